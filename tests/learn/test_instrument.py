"""A learned note becomes an instrument, and the instrument engine plays the frames that were learned."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn import learn
from sidlearn.errors import LearnError, OutputError
from sidlearn.learn import instrument, learner
from sidlearn.midi import instruments
from sidlearn.midi.instruments import shipped
from sidlearn.midi.player import Player
from sidlearn.registers import CONTROL, FC_HI, FC_LO, FREQ_LO, GATE, MODE_VOL, RES_FILT, VOICE_STRIDE
from sidlearn.writes import RegisterFrames, RegisterWrites

FRAME_CYCLES = 19_656


def note_frames(rng: np.random.Generator, count: int = 60, closes: int = 40, frame_cycles: int = FRAME_CYCLES):
    """Return frames of one note with everything else at random: waveform, FREQ, pulse width, cutoff."""
    values = np.zeros((count, 25), np.uint8)
    freq = np.clip(7_493 + rng.integers(-3_000, 20_000) + np.cumsum(rng.integers(-90, 90, count)), 300, 65_535)
    width = np.clip(2_048 + np.cumsum(rng.integers(-60, 60, count)), 0, 4_095)
    cutoff = np.clip(900 + np.cumsum(rng.integers(-30, 30, count)), 0, 2_047)
    values[:, 0], values[:, 1] = freq & 0xFF, freq >> 8
    values[:, 2], values[:, 3] = width & 0xFF, width >> 8
    values[:, CONTROL] = rng.choice([0x11, 0x21, 0x41, 0x51, 0x81, 0x15, 0x43], count)
    values[closes:, CONTROL] &= ~np.uint8(GATE)
    values[:, 5], values[:, 6] = rng.integers(0, 0x60), rng.integers(0x40, 0xF0) & 0xF0 | rng.integers(5, 10)
    values[:, FC_LO], values[:, FC_HI] = cutoff & 7, cutoff >> 3
    values[:, RES_FILT], values[:, MODE_VOL] = 0x91, 0x1F
    return RegisterFrames(values, frame_cycles)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("frame_cycles", [FRAME_CYCLES, FRAME_CYCLES // 4])
def test_engine_plays_the_frames_that_were_learned(seed, frame_cycles):
    frames = note_frames(np.random.default_rng(seed), frame_cycles=frame_cycles)
    note = instrument.note_of(frames)
    played = note.play()
    expected = frames.values[: len(played)]
    assert len(played) >= 40
    assert np.array_equal(played.values[:, :VOICE_STRIDE], expected[:, :VOICE_STRIDE])
    for register in (FC_LO, FC_HI, RES_FILT, MODE_VOL):
        assert np.array_equal(played.values[:, register], expected[:, register])


ONE_GATE = [i for i in shipped() if not any(value & GATE for value, _ in i.waveform.steps)]


@pytest.mark.parametrize("own", ONE_GATE, ids=lambda i: i.name)
def test_shipped_instruments_come_back_from_what_they_play(own):
    # A second way round: the bank's instruments, played, learned from their frames, played again.
    rows = []

    class Port:
        def poke(self, cycle, register, value):
            rows.append((cycle, register, value))

        def peek(self, cycle, register):
            return 0

    cycles = FRAME_CYCLES // own.speed
    player = Player(Port(), instrument=own, drums=False)
    player.message(0, bytes((0x90, 60, 127)))
    player.message(30 * cycles, bytes((0x80, 60, 0)))
    player.advance(50 * cycles)
    first = RegisterWrites.from_rows(rows, 50 * cycles).frames(cycles)
    played = instrument.note_of(first).play()
    assert np.array_equal(played.values[:, : CONTROL + 1], first.values[: len(played), : CONTROL + 1])


def test_saved_instrument_is_read_back(tmp_path):
    note = instrument.note_of(note_frames(np.random.default_rng(3)), name="Take 3")
    path = tmp_path / "take.toml"
    instrument.save(note, path)
    assert instruments.load(path) == note.instrument
    assert "down for 40 of" in path.read_text().splitlines()[0]


def test_arpeggio_and_pulse_sweep_that_repeat_become_loops():
    values = np.zeros((48, 25), np.uint8)
    freq = np.array([4_455, 5_613, 6_675])[np.arange(48) % 3]  # C-4, E-4, G-4
    width = 2_048 + 40 * np.abs(np.arange(48) % 16 - 8)
    values[:, 0], values[:, 1] = freq & 0xFF, freq >> 8
    values[:, 2], values[:, 3] = width & 0xFF, width >> 8
    values[:, CONTROL], values[:, 6], values[:, MODE_VOL] = 0x41, 0xF0, 15
    made = instrument.note_of(RegisterFrames(values, FRAME_CYCLES)).instrument
    assert made.arpeggio == instruments.Program(((0, 1), (4, 1), (7, 1)), 0)
    assert made.detune.steps == ()
    assert [made.width_at(n) for n in range(200)] == [2_048 + 40 * abs(n % 16 - 8) for n in range(200)]


def test_planned_envelope_becomes_the_nearest_four_nibbles():
    # Levels of attack 8, decay 9, sustain 8, release 9 as the planner finds them: other registers, same course.
    course = instrument._course(instrument.Nibbles(8, 9, 8, 9), 30, 60, FRAME_CYCLES)
    nibbles, closes = instrument._fit(course, FRAME_CYCLES, "6581")
    found = instrument._course(nibbles, closes, 60, FRAME_CYCLES)
    assert np.abs(found.astype(int) - course).max() <= 12
    assert nibbles.sustain == 8


def test_silence_has_no_note():
    with pytest.raises(LearnError, match="no voice of these registers sounds"):
        instrument.note_of(RegisterFrames(np.zeros((20, 25), np.uint8), FRAME_CYCLES))


def test_learned_sound_saves_as_instrument(tmp_path):
    frames = note_frames(np.random.default_rng(5))
    learned = learner.Learned(frames, frames.writes(), np.ones(len(frames), np.float32), {"method": "decode"})
    learned.save(tmp_path / "lead.toml")
    assert instruments.load(tmp_path / "lead.toml").name == "lead"
    with pytest.raises(OutputError, match="no folder"):
        learned.save(tmp_path / "none" / "lead.toml")


def test_one_voice_is_asked_for_and_kept_to():
    rate = 22_050
    seconds = np.arange(rate // 2) / rate
    tone = np.sin(2 * np.pi * 440 * seconds) + 0.5 * np.sin(2 * np.pi * 880 * seconds)
    sound = (0.3 * tone * np.minimum(1, 20 * seconds) * np.exp(-3 * seconds)).astype(np.float32)
    learned = learn.learn(sound, rate, method="pursue", quality="fast", voices=1)
    for voice in (1, 2):
        first = voice * VOICE_STRIDE
        assert not learned.frames.values[:, first + CONTROL].astype(bool).any()
    note = instrument.note_of(learned.frames, whole=True)
    assert abs(note.key - 69) <= 1
    played = note.play().values
    assert np.array_equal(played[:, FREQ_LO], learned.frames.values[note.first :, FREQ_LO][: len(played)])
