"""Instruments: the format says what it is given, mistakes name file, line and key, and the bank is whole."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import sidlearn
from sidlearn import registers
from sidlearn.errors import InstrumentError
from sidlearn.midi import goattracker
from sidlearn.midi.instruments import ABSOLUTE, Bank, Instrument, Program, load, parse, save, shipped, text_of
from sidlearn.midi.player import Player
from sidlearn.writes import LogPort, RegisterWrites

VALUES = st.integers(-200, 200)


def programs(values, min_size=1):
    steps = st.lists(st.tuples(values, st.integers(1, 5)), min_size=min_size, max_size=6).map(tuple)
    return st.builds(
        lambda s, loop: Program(s, loop % len(s) if loop is not None and s else None),
        steps, st.none() | st.integers(0, 5),
    )  # fmt: skip


WAVEFORMS = st.integers(0, 0xDF).filter(lambda v: v & 0xF0 or v & 8)  # the tracker has no more
NOTES = st.integers(-30, 60) | st.integers(ABSOLUTE + 13, ABSOLUTE + 107)
NIBBLE = st.integers(0, 15)
INSTRUMENTS = st.builds(
    Instrument,
    name=st.sampled_from(["A", "Some lead", 'With "quotes"']),
    attack=NIBBLE, decay=NIBBLE, sustain=NIBBLE, release=NIBBLE,
    hard_restart=st.integers(0, 4),
    waveform=programs(WAVEFORMS), arpeggio=programs(NOTES),
    detune=programs(st.integers(-240_000, 240_000), 0),
    pulse_width=st.integers(0, 4095), pulse_sweep=programs(st.integers(-128, 127), 0),
    filter=st.integers(0, 7), resonance=NIBBLE, cutoff=st.integers(0, 255).map(lambda c: c * 8),
    cutoff_sweep=programs(st.integers(-100, 100).map(lambda c: c * 8), 0),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(INSTRUMENTS)
def test_text_and_back_is_the_same_instrument(instrument):
    assert parse(text_of(instrument)) == instrument


@settings(max_examples=60, deadline=None)
@given(INSTRUMENTS)
def test_goattracker_and_back_plays_the_same_frames(instrument):
    try:
        packed = goattracker.pack(instrument)
    except InstrumentError as error:  # loops of such lengths that they meet again only after so many rows
        assert "GoatTracker 255" in str(error)
        assume(False)
    back = goattracker.parse(packed)
    for name in ("attack", "decay", "sustain", "release", "hard_restart", "pulse_width"):
        assert getattr(back, name) == getattr(instrument, name)
    for frame in range(80):
        assert back.control_at(frame) == instrument.control_at(frame)
        assert back.arpeggio.at(frame) == instrument.arpeggio.at(frame)
        assert back.width_at(frame) == instrument.width_at(frame)
    if instrument.filter:
        assert (back.filter, back.resonance, back.cutoff) == (
            instrument.filter, instrument.resonance, instrument.cutoff,
        )  # fmt: skip
        assert [back.cutoff_offset(f) for f in range(80)] == [instrument.cutoff_offset(f) for f in range(80)]


@settings(max_examples=60, deadline=None)
@given(programs(VALUES), st.integers(0, 60))
def test_programs_loop_and_sum_as_written_out(program, frame):
    values = [v for v, n in program.steps for _ in range(n)]
    start = None if program.loop is None else sum(n for _, n in program.steps[: program.loop])
    while len(values) <= frame:
        values += [values[-1]] if start is None else values[start:]
    assert program.at(frame) == values[frame]
    once = sum(n for _, n in program.steps)
    expected = values[:frame] if start is not None else values[: min(frame, once)]
    assert program.sum_before(frame) == sum(expected)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "A"\nattack = 16\n', "x.toml:2: attack: expected a whole number from 0 to 15, given 16"),
        ('name = "A"\n\nattak = 1\n', "x.toml:3: unknown key attak .did you mean attack"),
        ('name = "A"\nwaveform = ["puls"]\n', "x.toml:2: waveform: step 0: .*'puls' .did you mean pulse"),
        ('name = "A"\narpeggio = [0, "=H-4"]\n', "x.toml:2: arpeggio: step 1: expected a note"),
        ('name = "A"\nwaveform = ["pulse"]\nwaveform_loop = 1\n', "x.toml:3: waveform_loop: .*which has 1"),
        ('name = "A"\nfilter = "lo"\n', "x.toml:2: filter: expected off"),
        ("attack = 1\n", "x.toml:1: name: expected the name"),
        ('name = "A"\nattack = \n', "x.toml:2: "),
        ('name = "A"\nattack = 99\nrelease = -1\n', "x.toml:2: attack.*; x.toml:3: release"),
        ('name = "A"\npulse_sweep = 4\n', "x.toml:2: pulse_sweep: expected a list of steps, given 4"),
    ],
)
def test_mistakes_name_file_line_and_key(text, told):
    with pytest.raises(InstrumentError, match=told):
        parse(text, "x.toml")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=120))
def test_goattracker_garbage_is_an_error_of_ours_or_an_instrument(data):
    with contextlib.suppress(InstrumentError):
        goattracker.parse(b"GTI5" + data)


def test_goattracker_file_by_hand():
    """A note as the tracker's manual shows it: noise at B-7, then pulse, then an arpeggio that loops."""
    wave = [(0x81, 0xDF), (0x41, 0), (0, 4), (0, 7), (0xFF, 2)]
    pulse = [(0x84, 0), (0x20, 0x40), (0x40, 0xE0), (0xFF, 2)]
    tables = b"".join(bytes((len(t),)) + bytes(r[0] for r in t) + bytes(r[1] for r in t) for t in (wave, pulse, [], []))
    data = b"GTI5" + bytes((0x09, 0xA4, 1, 1, 0, 0, 0, 2, 9)) + b"Lead".ljust(16, b"\0") + tables
    lead = goattracker.parse(data)
    assert (lead.name, lead.attack, lead.decay, lead.sustain, lead.release) == ("Lead", 0, 9, 10, 4)
    assert [lead.control_at(f) for f in range(7)] == [0x09, 0x81, 0x41, 0x41, 0x41, 0x41, 0x41]
    assert [lead.arpeggio.at(f) for f in range(8)] == [0, ABSOLUTE + 107, 0, 4, 7, 0, 4, 7]
    assert lead.width_at(0) == 0x400
    assert lead.width_at(32) == 0x400 + 32 * 64
    assert lead.width_at(96) == 0x400


def test_files_of_both_kinds(tmp_path):
    lead = Bank(shipped()).named("saw lead")
    save(lead, tmp_path / "a.toml")
    assert load(tmp_path / "a.toml") == lead
    save(lead, tmp_path / "a.ins")
    assert load(tmp_path / "a.ins").name == "Saw lead"
    with pytest.raises(InstrumentError, match="No such file"):
        load(tmp_path / "b.toml")


def test_the_bank_has_every_program_and_the_common_drums():
    bank = Bank(shipped())
    assert len(bank.instruments) >= 24
    assert len({p for i in shipped() for p in i.programs}) == 128
    assert len([p for i in shipped() for p in i.programs]) == 128
    for note in range(35, 82):
        assert bank.drum(note) is not None
    drums = {bank.drum(n).name for n in (36, 38, 42, 46, 49, 45)}
    assert len(drums) == 6
    with pytest.raises(InstrumentError, match="did you mean Saw lead"):
        bank.named("saw leed")


@pytest.mark.parametrize("instrument", shipped(), ids=lambda i: i.name)
def test_every_shipped_instrument_sounds_and_goes_silent(instrument):
    port = LogPort()
    player = Player(port, instrument=instrument)
    player.message(1000, bytes((0x90, 57, 100)))
    player.message(400_000, bytes((0x80, 57, 0)))
    player.advance(900_000)
    log = port.writes(900_000)
    gates = np.isin(log.events["register"], [registers.voice_register(v, registers.CONTROL) for v in range(3)])
    sound, quiet = (
        sidlearn.render(RegisterWrites(e, log.length), mode="fast") for e in (log.events, log.events[~gates])
    )
    assert np.isfinite(sound).all()
    assert np.abs(sound - quiet).max() > 0.02
    assert not player.voices[0].gate
