"""Standard MIDI files of our own making: every note that three voices can hold sounds, in time and in tune."""

from __future__ import annotations

import random

import mido
import numpy as np
import pytest

import sidlearn
from sidlearn import registers, sources
from sidlearn.errors import MidiError
from sidlearn.midi import song
from sidlearn.midi.instruments import Bank, shipped
from sidlearn.midi.player import Player
from sidlearn.registers import CONTROL, GATE, VOICE_STRIDE
from sidlearn.writes import LogPort

CLOCK, FRAME = 985_248, 19_656
SCALE = (0, 2, 4, 5, 7, 9, 11)


def track(file, events, channel=0, program=None):
    """Add a track of (tick, length, note) with note offs."""
    rows = []
    for tick, length, note in events:
        rows.append((tick, 1, mido.Message("note_on", channel=channel, note=note, velocity=96)))
        rows.append((tick + length, 0, mido.Message("note_off", channel=channel, note=note, velocity=0)))
    if program is not None:
        rows.append((0, 0, mido.Message("program_change", channel=channel, program=program)))
    rows.sort(key=lambda r: r[:2])
    made, last = mido.MidiTrack(), 0
    for tick, _, message in rows:
        made.append(message.copy(time=tick - last))
        last = tick
    file.tracks.append(made)


def tempo_track(file, changes):
    made, last = mido.MidiTrack(), 0
    for tick, tempo in changes:
        made.append(mido.MetaMessage("set_tempo", tempo=tempo, time=tick - last))
        last = tick
    file.tracks.append(made)


def melody(seed):
    """One line, staccato and legato, with pauses."""
    rng, file = random.Random(seed), mido.MidiFile(type=1, ticks_per_beat=480)
    tempo_track(file, [(0, 500_000)])
    tick, events = 0, []
    for _ in range(40):
        length = rng.choice((60, 120, 240, 480))
        events.append((tick, rng.choice((length, length // 2)), 48 + rng.choice(SCALE) + 12 * rng.randrange(3)))
        tick += length * rng.choice((1, 1, 1, 2))
    track(file, events, program=rng.choice((0, 24, 56, 80, 81)))
    return file


def chords(seed):
    """Triads that follow one another without a gap."""
    rng, file = random.Random(seed), mido.MidiFile(type=1, ticks_per_beat=96)
    tempo_track(file, [(0, 600_000)])
    events = []
    for bar in range(16):
        root = 48 + rng.choice(SCALE)
        events += [(bar * 96, 96, root + interval) for interval in (0, 4, 7)]
    track(file, events, program=16)
    return file


def band(seed):
    """Lead, bass and drums, one note each at a time, on three channels."""
    rng, file = random.Random(seed), mido.MidiFile(type=1, ticks_per_beat=480)
    tempo_track(file, [(0, 450_000)])
    track(file, [(n * 240, 200, 60 + rng.choice(SCALE)) for n in range(32)], 0, 80)
    track(file, [(n * 480, 470, 36 + rng.choice(SCALE)) for n in range(16)], 1, 33)
    track(file, [(n * 240, 100, (36, 42, 38, 42)[n % 4]) for n in range(32)], 9)
    return file


def tempi(seed):
    """A canon of two under a tempo that keeps changing, type 1."""
    rng, file = random.Random(seed), mido.MidiFile(type=1, ticks_per_beat=120)
    tempo_track(file, [(n * 90, rng.randrange(200_000, 900_000)) for n in range(20)])
    line = [(n * 60, 60, 60 + rng.choice(SCALE)) for n in range(30)]
    track(file, line, 0, 73)
    track(file, [(t + 120, n, k - 12) for t, n, k in line], 1, 40)
    return file


def pedal(seed):
    """Arpeggios, type 0: nine notes in each of which three sound at most."""
    rng, file = random.Random(seed), mido.MidiFile(type=0, ticks_per_beat=480)
    events = [(n * 100, 290, 50 + 5 * (n % 3) + rng.choice(SCALE)) for n in range(45)]
    events = [e for i, e in enumerate(events) if i < 3 or e[2] not in [x[2] for x in events[i - 3 : i]]]
    track(file, events, program=0)
    return file


FILES = {f.__name__: f for f in (melody, chords, band, tempi, pedal)}


def fitting_notes(messages):
    """The note-ons at which no more than three notes sound, from the messages alone."""
    down, found = [], []
    for event in messages:
        if event.is_on:
            down = [k for k in down if k != event.key] + [event.key]
            if len(down) <= 3:
                found.append(event)
        elif event.is_off and event.key in down:
            down.remove(event.key)
    return found


def gates(writes):
    """(cycle, voice, FREQ at that time) of every gate that opens."""
    image, found = [0] * 25, []
    for cycle, register, value in writes.events.tolist():
        voice, offset = divmod(register, VOICE_STRIDE)
        if offset == CONTROL and voice < 3 and value & GATE and not image[register] & GATE:
            at = voice * VOICE_STRIDE
            found.append((cycle, voice, image[at] | image[at + 1] << 8))
        image[register] = value
    return found


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("seed", [1, 2])
def test_every_note_that_three_voices_can_hold_sounds_at_its_onset(name, seed, tmp_path):
    path = tmp_path / f"{name}.mid"
    FILES[name](seed).save(path)
    writes = sidlearn.load(path)
    messages = song.read(path)
    notes = fitting_notes(messages)
    assert len(notes) >= 15
    opened = gates(writes)
    for event in notes:
        near = [g for g in opened if 0 <= g[0] - event.cycle < FRAME]
        assert near, f"{name}: nothing begins at {event.cycle / CLOCK:.3f} s"
        opened.remove(near[0])
    # and in tune: the first frame of every note, as a player on its own plays it
    bank = Bank(shipped())
    program = {0: 80}
    for event in messages:
        if event.data[0] & 0xF0 == 0xC0:
            program[event.data[0] & 15] = event.data[1]
    opened = gates(writes)
    for event in notes:
        channel = event.key[0]
        port = LogPort()
        alone = Player(port, bank)
        if channel in program:
            alone.message(0, bytes((0xC0 | channel, program[channel])))
        alone.message(1000, event.data)
        (_, _, freq), *_ = gates(port.writes(2000))
        assert freq in [g[2] for g in opened if 0 <= g[0] - event.cycle < FRAME]


@pytest.mark.parametrize("name", FILES)
def test_the_sound_begins_with_the_note(name, tmp_path):
    """Render it, and look at the envelopes: each voice whose gate opens has left zero a frame later."""
    path = tmp_path / f"{name}.mid"
    FILES[name](3).save(path)
    writes = sidlearn.load(path)
    opened = [g for g in gates(writes) if g[1] == 2]  # ENV3 tells of voice 3
    _, env3 = sidlearn.chip.readback(writes)
    assert opened
    slow = 0
    for cycle, _, _ in opened:
        grown = env3[cycle : cycle + FRAME].astype(int)
        slow += not (np.diff(grown) > 0).any()
    assert slow == 0


def test_times_follow_the_tempo_map(tmp_path):
    file = tempi(5)
    file.save(tmp_path / "t.mid")
    seconds = 0.0
    expected = []
    for message in mido.MidiFile(tmp_path / "t.mid"):  # mido's own clock, in floating point
        seconds += message.time
        if message.type == "note_on":
            expected.append(seconds)
    found = [e.cycle / CLOCK for e in song.read(tmp_path / "t.mid") if e.is_on]
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_program_pedal_and_end(tmp_path):
    file = mido.MidiFile(type=0, ticks_per_beat=100)
    made = mido.MidiTrack()
    for message in (
        mido.Message("control_change", control=64, value=127),
        mido.Message("note_on", note=60, velocity=90),
        mido.Message("note_off", note=60, time=50),
        mido.Message("note_on", note=64, velocity=90, time=50),
    ):
        made.append(message)
    file.tracks.append(made)
    file.save(tmp_path / "p.mid")
    performance = sources.open_source(tmp_path / "p.mid")
    result = sources.perform(performance, sources.Request())
    assert performance.ended
    assert not result.cut
    opened, image = gates(result.writes), [0] * 25
    assert len(opened) == 2
    for _, register, value in result.writes.events.tolist():
        image[register] = value
    assert not any(image[v * VOICE_STRIDE + CONTROL] & GATE for v in range(3))  # nothing is left hanging
    closes = [c for c, r, v in result.writes.events.tolist() if r == CONTROL and not v & GATE and c > opened[0][0]]
    assert closes[0] >= opened[1][0] - 2 * FRAME  # the pedal held the first note


def test_slices_of_any_size_give_the_same_writes(tmp_path):
    band(4).save(tmp_path / "b.mid")
    whole = sidlearn.load(tmp_path / "b.mid")
    performance = sources.open_source(tmp_path / "b.mid")
    rng, parts, cycle = random.Random(1), [], 0
    while not performance.ended:
        cycle += rng.randrange(1, 100_000)
        parts.append(performance.advance(cycle))
    np.testing.assert_array_equal(np.concatenate(parts), whole.events)


@pytest.mark.parametrize(
    "content", [b"", b"RIFFxxxx", b"MThd\0\0\0\6\0\1\0\1\0\0", b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk\0\0\1\0\x90"]
)
def test_broken_files_are_told_in_one_line(content, tmp_path):
    path = tmp_path / "x.mid"
    path.write_bytes(content)
    with pytest.raises(MidiError, match=r"x.mid: expected a"):
        song.read(path)


def test_registers_stay_in_range(tmp_path):
    band(9).save(tmp_path / "b.mid")
    events = sidlearn.load(tmp_path / "b.mid").events
    assert events["register"].max() < registers.WRITABLE
