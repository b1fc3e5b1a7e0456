"""How keys share the voices, and the parameters that move by themselves: against what the table and the modes say."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn import registers
from sidlearn.midi import controls
from sidlearn.midi.controls import CONTROLS
from sidlearn.midi.instruments import Instrument, Program
from sidlearn.midi.tuning import note_to_freq
from sidlearn.midi.voices import MODES, PRIORITIES
from sidlearn.registers import CONTROL, FREQ_LO, GATE, PW_LO, SUSTAIN_RELEASE
from tests.midi.test_controls import NOTE, TONE, VALUE, Desk

FRAME, CLOCK = 19_656, 985_248
SWEPT = Instrument("Swept", sustain=15, filter=1, cutoff=800, cutoff_sweep=Program(((40, 10), (-15, 12))))


def turned(name, step, instrument=TONE, play=False):
    """A desk on which a parameter stands at a step, set by its controller or NRPN."""
    desk, control = Desk(instrument, play), CONTROLS[name]
    value = desk.player.value_for(name, step)
    if control.cc is not None and control.cc_low is None and control.steps <= 128:
        desk.cc(control.cc, min(-(-step * 128 // control.steps), 127))
    else:
        desk.parameter("nrpn", list(CONTROLS).index(name), value >> 7, value & 127)
    target = desk.player.chip if control.scope == controls.CHIP else desk.player.channels[0]
    assert target.raw(name) == step
    return desk


def add(desk, name, step):
    value = desk.player.value_for(name, step)
    desk.parameter("nrpn", list(CONTROLS).index(name), value >> 7, value & 127)


def gates(desk):
    return [desk.image[7 * v + CONTROL] & GATE for v in range(3)]


def gate_count(desk, voice=0):
    """How often a voice's gate has opened."""
    opened = state = 0
    for register, value in zip(desk.port.registers, desk.port.values, strict=True):
        if register == 7 * voice + CONTROL:
            opened += value & GATE & ~state
            state = value
    return opened


def cutoffs(desk, seconds):
    """The cutoff in each frame to come."""
    found = []
    for _ in range(round(seconds * CLOCK / FRAME)):
        desk.run(FRAME / CLOCK)
        found.append(desk.image[registers.FC_LO] | desk.image[registers.FC_HI] << 3)
    return found


def widths(desk, seconds):
    found = []
    for _ in range(round(seconds * CLOCK / FRAME)):
        desk.run(FRAME / CLOCK)
        found.append(desk.word(PW_LO, 12))
    return found


# --- Arpeggio, unison, filter program ----------------------------------------------------------------------------


@pytest.mark.parametrize("step", range(8))
def test_arpeggios_step_at_the_rate_of_the_table_inside_one_envelope(step):
    desk = turned("mode", MODES.index("arp"))
    desk.cc(17, step * 16)
    notes = [57, 61, 64]
    for note in notes:
        desk.send(0x90, note, 100)
    desk.run(0.1)
    found = desk.freqs(2.0)
    wanted = [note_to_freq(n) for n in notes]
    assert set(found) <= set(wanted)
    for before, after in itertools.pairwise(found):
        assert wanted.index(after) == (wanted.index(before) + 1) % 3  # in the order of the keys
    a_second = controls.ARP_FRAMES[step] * CLOCK / FRAME
    assert len(found) == pytest.approx(2 * a_second, rel=0.05, abs=1.5)
    assert gate_count(desk) == 1


@settings(max_examples=20, deadline=None)
@given(VALUE)
def test_detune_parts_the_voices_of_a_unison(value):
    desk = turned("mode", MODES.index("unison"))
    desk.cc(18, value)
    desk.send(0x90, NOTE, 100)
    apart = 0.5 * value / 127
    assert [desk.word(7 * v) for v in range(3)] == [note_to_freq(round(NOTE + d * apart, 4)) for d in (-1, 0, 1)]
    assert gates(desk) == [1, 1, 1]


@settings(max_examples=20, deadline=None)
@given(VALUE)
def test_filter_depth_is_the_share_of_the_filter_program(value):
    desk = Desk(SWEPT, play=False)
    desk.cc(19, value)
    desk.send(0x90, NOTE, 100)
    for frame, found in enumerate(cutoffs(desk, 0.6)):
        # the frame that has begun by then may be this one or the one before
        offsets = [SWEPT.cutoff_offset(f) for f in (frame, frame + 1)]
        assert found in [min(max(800 + round(o * value / 64), 0), 2047) for o in offsets]


# --- Swings ------------------------------------------------------------------------------------------------------


@settings(max_examples=8, deadline=None)
@given(st.integers(40, 110), st.integers(8, 127))
def test_pulse_width_swings_by_its_depth_at_its_rate(rate, depth):
    desk = Desk(play=False)
    desk.cc(16, 64)
    add(desk, "pulse_rate", rate)
    add(desk, "pulse_depth", depth)
    desk.send(0x90, NOTE, 100)
    middle = CONTROLS["pulse_width"].steps * controls.spread(64) >> 14
    found = widths(desk, 8.0)
    reach = 2047 * depth / 127
    assert max(found) <= min(middle + reach + 1, 4095)
    assert min(found) >= max(middle - reach - 1, 0)
    assert max(found) - min(found) > 1.2 * reach
    above = [w > middle for w in found]
    turns = sum(a != b for a, b in itertools.pairwise(above))
    hz = 0.05 * (12 / 0.05) ** (rate / 127)
    assert turns / 2 / 8 == pytest.approx(hz, rel=0.1, abs=0.15)


@settings(max_examples=8, deadline=None)
@given(st.integers(40, 110), st.integers(8, 127))
def test_cutoff_swings_by_its_depth_at_its_rate(rate, depth):
    still = Instrument("Still", sustain=15, filter=1, cutoff=1000)
    desk = Desk(still, play=False)
    add(desk, "cutoff_rate", rate)
    add(desk, "cutoff_depth", depth)
    desk.send(0x90, NOTE, 100)
    found = cutoffs(desk, 8.0)
    reach = 1023 * depth / 127
    assert max(found) <= min(1000 + reach + 1, 2047)
    assert min(found) >= max(1000 - reach - 1, 0)
    assert max(found) - min(found) > 1.2 * reach
    above = [w > 1000 for w in found]
    turns = sum(a != b for a, b in itertools.pairwise(above))
    hz = 0.05 * (12 / 0.05) ** (rate / 127)
    assert turns / 2 / 8 == pytest.approx(hz, rel=0.1, abs=0.15)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(["wheel", "channel", "key"]), st.integers(1, 24))
def test_wheel_range_and_pressure_are_vibrato(what, semitones):
    desk = Desk()
    reach = 0.5
    if what == "wheel":
        desk.parameter("rpn", controls.RPN_WHEEL, semitones, 0)
        desk.cc(1, 127)
        reach = semitones
    elif what == "channel":
        desk.send(0xD0, 127)
    else:
        desk.send(0xA0, NOTE, 127)
    found = desk.freqs(2.0)
    top, bottom = (note_to_freq(NOTE + s * reach) for s in (1, -1))
    assert bottom - 1 <= min(found)
    assert max(found) <= top + 1
    assert max(found) - min(found) > 0.75 * (top - bottom)


@settings(max_examples=30, deadline=None)
@given(VALUE, st.integers(1, 127), st.integers(0, 15))
def test_velocity_takes_its_share_from_the_sustain_level(share, velocity, sustain):
    desk = Desk(play=False)
    desk.cc(79, -(-sustain * 128 // 16))
    add(desk, "velocity", share)
    desk.send(0x90, NOTE, velocity)
    level = sustain * (1 - share / 127 * (1 - velocity / 127))
    assert desk.image[SUSTAIN_RELEASE] >> 4 == round(level)


# --- Keys and voices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "sounding"), [("poly", 3), ("mono", 1), ("unison", 3), ("chord", 3), ("arp", 1)])
def test_each_mode_opens_its_gates(mode, sounding):
    desk = turned("mode", MODES.index(mode))
    for note in (57, 61, 64):
        desk.send(0x90, note, 100)
    assert sum(gates(desk)) == sounding
    for note in (57, 61, 64):
        desk.send(0x80, note, 0)
    assert gates(desk) == [0, 0, 0]


def test_a_chord_is_under_one_envelope_and_takes_its_pitches_from_the_keys():
    desk = turned("mode", MODES.index("chord"))
    desk.send(0x90, 57, 100)
    for note in (61, 64):
        desk.run(0.05)
        desk.send(0x90, note, 100)
    desk.run(0.05)
    assert sorted(desk.word(7 * v + FREQ_LO) for v in range(3)) == [note_to_freq(n) for n in (57, 61, 64)]
    assert [gate_count(desk, v) for v in range(3)] == [1, 1, 1]


def test_channels_are_voices_in_multi():
    desk = turned("mode", MODES.index("multi"))
    for channel in (2, 0, 1):
        desk.send(0x90 | channel, 60 + channel, 100)
    assert [desk.word(7 * v) for v in range(3)] == [note_to_freq(60 + v) for v in range(3)]


@pytest.mark.parametrize("priority", range(3))
@pytest.mark.parametrize("retrigger", range(2))
@pytest.mark.parametrize("seed", range(10))
def test_mono_plays_the_key_that_wins_and_falls_back(priority, retrigger, seed):
    desk = turned("mode", MODES.index("mono"))
    add(desk, "priority", priority)
    add(desk, "retrigger", retrigger)
    rng, down = random.Random(seed), []
    opened = gate_count(desk)
    for _ in range(40):
        leader = None if not down else {"last": down[-1], "low": min(down), "high": max(down)}[PRIORITIES[priority]]
        if down and rng.random() < 0.45:
            note = rng.choice(down)
            down.remove(note)
            desk.send(0x80, note, 0)
            new_key = False
        else:
            note = rng.choice([n for n in range(40, 80) if n not in down])
            down.append(note)
            desk.send(0x90, note, 100)
            new_key = True
        desk.run(0.03)
        wins = None if not down else {"last": down[-1], "low": min(down), "high": max(down)}[PRIORITIES[priority]]
        assert gates(desk) == [int(bool(down)), 0, 0]
        if down:
            assert desk.word(FREQ_LO) == note_to_freq(wins)
        if new_key and len(down) == 1:
            opened += 1  # a first key always begins a note
        elif retrigger and down and (new_key or wins != leader):
            opened += 1
        assert gate_count(desk) == opened
