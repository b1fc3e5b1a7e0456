"""Every controller, RPN and NRPN of the table, for any value: the registers are what the table says."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn import registers
from sidlearn.midi import controls
from sidlearn.midi.controls import BY_CC, BY_NRPN, CONTROLS
from sidlearn.midi.instruments import Bank, Instrument, Program
from sidlearn.midi.player import STATE_ANSWER, STATE_REQUEST, Player
from sidlearn.midi.tuning import note_to_freq
from sidlearn.registers import ATTACK_DECAY, CONTROL, FREQ_LO, PW_LO, RING, SUSTAIN_RELEASE, SYNC
from sidlearn.writes import LogPort

VALUE = st.integers(0, 127)
TONE = Instrument("Tone", programs=(0,), sustain=15, waveform=Program(((0x20, 1),)))
NOTE = 57


class Desk:
    """A player with one note held, and its registers."""

    def __init__(self, instrument=TONE, play=True):
        self.answers = []
        self.port = LogPort()
        self.player = Player(self.port, Bank([instrument]), instrument=instrument, answer=self.answers.append)
        self.now = 1000
        if play:
            self.send(0x90, NOTE, 100)

    def send(self, *data):
        self.now += 100
        self.player.message(self.now, bytes(data))

    def cc(self, number, value):
        self.send(0xB0, number, value)

    def parameter(self, kind, number, value, low=None):
        high_cc, low_cc = (controls.NRPN_HIGH, controls.NRPN_LOW) if kind == "nrpn" else (101, 100)
        self.cc(high_cc, number >> 7)
        self.cc(low_cc, number & 127)
        self.cc(6, value)
        if low is not None:
            self.cc(38, low)

    @property
    def image(self):
        image = [0] * 25
        for register, value in zip(self.port.registers, self.port.values, strict=True):
            image[register] = value
        return image

    def word(self, register, bits=16):
        return (self.image[register] | self.image[register + 1] << 8) & ((1 << bits) - 1)

    def run(self, seconds):
        self.now += round(seconds * 985_248)
        self.player.advance(self.now)

    def freqs(self, seconds):
        """FREQ of voice 1 after each frame that changed it."""
        first = len(self.port.cycles)
        word, found, last = [self.image[0], self.image[1]], [], -1000
        self.run(seconds)
        rows = zip(self.port.cycles[first:], self.port.registers[first:], self.port.values[first:], strict=True)
        for cycle, register, value in rows:
            if register < 2:
                word[register] = value
                if cycle - last < 1000:
                    found.pop()
                found.append(word[0] | word[1] << 8)
                last = cycle
        return found


def nibble(register, high):
    return lambda desk: desk.image[register] >> 4 if high else desk.image[register] & 15


READ = {
    "waveform": nibble(CONTROL, True),
    "resonance": nibble(registers.RES_FILT, True),
    "attack": nibble(ATTACK_DECAY, True),
    "decay": nibble(ATTACK_DECAY, False),
    "sustain": nibble(SUSTAIN_RELEASE, True),
    "release": nibble(SUSTAIN_RELEASE, False),
    "filter_mode": lambda desk: desk.image[registers.MODE_VOL] >> 4 & 7,
    "routing": lambda desk: desk.image[registers.RES_FILT] & 7,
    "ring": lambda desk: int(bool(desk.image[CONTROL] & RING)),
    "sync": lambda desk: int(bool(desk.image[CONTROL] & SYNC)),
    "cutoff": lambda desk: desk.image[registers.FC_LO] | desk.image[registers.FC_HI] << 3,
    "pulse_width": lambda desk: desk.word(PW_LO, 12),
}
"""Controls that are bits of a register: how to read them back."""


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(sorted(READ)), VALUE)
def test_seven_bits_reach_the_whole_range(name, value):
    desk, control = Desk(), CONTROLS[name]
    desk.cc(control.cc, value)
    step = READ[name](desk)
    assert step == (value << 7 | value) * control.steps >> 14
    assert step == {0: 0, 127: control.steps - 1}.get(value, step)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["cutoff", "pulse_width"]), VALUE, VALUE)
def test_two_controllers_make_fourteen_bits(name, high, low):
    desk, control = Desk(), CONTROLS[name]
    desk.cc(control.cc, high)
    desk.cc(control.cc_low, low)
    assert READ[name](desk) == (high << 7 | low) * control.steps >> 14


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(sorted(READ)), VALUE, st.none() | VALUE)
def test_nrpn_moves_the_same_parameters(name, high, low):
    desk, control = Desk(), CONTROLS[name]
    number = list(CONTROLS).index(name)
    desk.parameter("nrpn", controls.NRPN_CONTROLS << 7 | number, high, low)
    value = high << 7 | (high if low is None else low)
    assert READ[name](desk) == value * control.steps >> 14


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 24), VALUE, st.none() | VALUE)
def test_raw_register_writes(register, high, low):
    desk = Desk(play=False)
    desk.parameter("nrpn", controls.NRPN_REGISTERS << 7 | register, high, low)
    assert desk.image[register] == (high << 1 | ((high if low is None else low) >> 6))
    desk.player.message(desk.now + 1, STATE_REQUEST)
    assert len(desk.answers) == 1
    body = desk.answers[0][len(STATE_ANSWER) : -1]
    assert [body[2 * i] << 4 | body[2 * i + 1] for i in range(25)] == desk.image


@settings(max_examples=30, deadline=None)
@given(VALUE, VALUE)
def test_volume_and_expression_are_the_volume_nibble(volume, expression):
    desk = Desk()
    desk.cc(7, volume)
    assert desk.image[registers.MODE_VOL] & 15 == volume >> 3
    desk.cc(11, expression)
    assert desk.image[registers.MODE_VOL] & 15 == int(volume * expression / 127) >> 3
    desk.cc(121, 0)  # puts expression back, not volume
    assert desk.image[registers.MODE_VOL] & 15 == volume >> 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 16383), st.integers(0, 24), st.integers(0, 99))
def test_bend_and_its_range(bend, semitones, cents):
    desk = Desk()
    desk.parameter("rpn", controls.RPN_BEND, semitones, cents)
    desk.send(0xE0, bend & 127, bend >> 7)
    shift = (bend - 8192) / 8192 * (semitones + cents / 100)
    assert desk.word(FREQ_LO) == note_to_freq(round(NOTE + shift, 4))
    desk.cc(121, 0)
    assert desk.word(FREQ_LO) == note_to_freq(NOTE)


def test_bend_range_is_two_semitones_before_any_rpn():
    desk = Desk()
    desk.send(0xE0, 0, 0)
    assert desk.word(FREQ_LO) == note_to_freq(NOTE - 2)


@settings(max_examples=30, deadline=None)
@given(VALUE, VALUE)
def test_fine_and_coarse_tuning(high, low):
    desk = Desk()
    desk.parameter("rpn", controls.RPN_FINE, high, low)
    assert desk.word(FREQ_LO) == note_to_freq(round(NOTE + ((high << 7 | low) - 8192) / 8192, 4))
    desk = Desk()
    desk.parameter("rpn", controls.RPN_COARSE, high)
    assert desk.word(FREQ_LO) == note_to_freq(NOTE + high - 64)


@settings(max_examples=12, deadline=None)
@given(VALUE, st.sampled_from([1, 77]))
def test_wheel_and_depth_are_vibrato_up_to_a_semitone(depth, number):
    desk = Desk()
    desk.cc(number, depth)
    found = desk.freqs(2.0)
    if depth == 0:
        assert not found
        return
    top, bottom = (note_to_freq(round(NOTE + s * depth / 127, 4)) for s in (1, -1))
    assert bottom - 1 <= min(found)
    assert max(found) <= top + 1
    assert max(found) - min(found) > 0.75 * (top - bottom)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 5).map(lambda n: n * 25))
def test_vibrato_rate_and_delay(value):
    desk = Desk(play=False)
    desk.cc(77, 127)
    desk.cc(76, value)
    desk.cc(78, 64)
    desk.send(0x90, NOTE, 100)
    delay = 64 / 127 * 2
    before = desk.freqs(delay - 0.05)
    assert set(before) <= {note_to_freq(NOTE)}  # nothing moves yet
    rate = 0.5 * (12 / 0.5) ** (value / 127)
    middle = note_to_freq(NOTE)
    last, turns = None, 0
    seconds = 6.0
    for freq in desk.freqs(seconds):
        above = freq > middle
        turns += last is not None and above != last
        last = above
    assert turns / 2 / seconds == pytest.approx(rate, abs=0.35 + rate * 0.15)


@settings(max_examples=10, deadline=None)
@given(st.integers(30, 100))
def test_glide_takes_its_time_and_cc84_says_from_where(value):
    desk = Desk(play=False)
    desk.cc(5, value)
    desk.cc(84, NOTE - 12)
    desk.send(0x90, NOTE, 100)
    seconds = 4 * (value / 127) ** 2
    assert desk.word(FREQ_LO) == note_to_freq(NOTE - 12)
    desk.run(seconds / 2)
    assert desk.word(FREQ_LO) == pytest.approx(note_to_freq(NOTE - 6), rel=0.06 + 0.02 / seconds)
    desk.run(seconds / 2 + 0.05)
    assert desk.word(FREQ_LO) == note_to_freq(NOTE)


def test_glide_on_and_off():
    desk = Desk()
    desk.cc(65, 127)
    desk.cc(5, 60)
    desk.send(0x90, NOTE + 12, 100)
    assert desk.word(7) == note_to_freq(NOTE)
    desk.cc(65, 0)
    desk.send(0x90, NOTE + 24, 100)
    assert desk.word(14) == note_to_freq(NOTE + 24)


def test_sustain_and_sostenuto():
    desk = Desk()
    gate = lambda v: desk.image[7 * v + CONTROL] & 1  # noqa: E731
    desk.cc(66, 127)  # sostenuto holds what is down now
    desk.send(0x90, 60, 100)
    desk.send(0x80, NOTE, 0)
    desk.send(0x80, 60, 0)
    assert (gate(0), gate(1)) == (1, 0)
    desk.cc(66, 0)
    assert gate(0) == 0
    desk.cc(64, 127)
    desk.send(0x90, 64, 100)
    desk.send(0x80, 64, 0)
    assert gate(2) == 1
    desk.cc(64, 63)
    assert gate(2) == 0


@pytest.mark.parametrize("number", [120, 123, 124, 125, 126, 127])
def test_all_off(number):
    desk = Desk()
    desk.send(0x90, 60, 100)
    desk.cc(number, 0)
    assert not any(desk.image[7 * v + CONTROL] & 1 for v in range(3))
    assert desk.player.mode == {126: "mono"}.get(number, "poly")


@settings(max_examples=20, deadline=None)
@given(st.lists(VALUE, min_size=4, max_size=40))
def test_reset_puts_back_what_rp015_says(numbers):
    desk = Desk()
    for i, number in enumerate(numbers):
        if number not in (*range(120, 128), 7, 39, *(c.cc for c in CONTROLS.values() if c.cc)):
            desk.cc(number, numbers[-i])
    desk.cc(64, 127)
    desk.send(0xE0, 0, 0)
    desk.send(0xD0, 127)
    desk.cc(121, 0)
    state = desk.player.channels[0]
    assert (state.bend, state.pressure, state.pedal, state.selected) == (8192, 0, False, None)


def test_null_rpn_closes_data_entry():
    desk = Desk()
    desk.parameter("rpn", controls.RPN_BEND, 12)
    desk.cc(101, 127)
    desk.cc(100, 127)
    desk.cc(6, 5)
    assert desk.player.channels[0].bend_range == 12


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([96, 97]), max_size=12), st.sampled_from(sorted(READ)))
def test_increment_and_decrement_move_by_a_step_and_stay_in_range(nudges, name):
    desk, control = Desk(), CONTROLS[name]
    number = list(CONTROLS).index(name)
    desk.parameter("nrpn", number, 0)
    step = 0
    for nudge in nudges:
        desk.cc(nudge, 0)
        step = min(max(step + (1 if nudge == 96 else -1), 0), control.steps - 1)
    assert READ[name](desk) == step


def test_mpe_gives_each_member_a_voice_and_a_bend_of_its_own():
    desk = Desk(play=False)
    desk.parameter("rpn", controls.RPN_MPE, 3)
    for channel in (1, 2, 3):
        desk.send(0x90 | channel, 60 + channel, 100)
    desk.send(0xE2, 0, 96)  # channel 3, half way up
    words = [desk.word(7 * v) for v in range(3)]
    assert words == [note_to_freq(61), note_to_freq(62 + 24), note_to_freq(63)]
    desk.send(0xE0, 0, 0)  # the master bends all, by two semitones
    assert [desk.word(7 * v) for v in range(3)] == [note_to_freq(59), note_to_freq(62 + 22), note_to_freq(61)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=6), max_size=60))
def test_no_message_does_harm(messages):
    desk = Desk()
    for message in messages:
        desk.now += 50
        desk.player.message(desk.now, message)
    desk.run(0.1)
    cycles = desk.port.cycles
    assert cycles == sorted(cycles)
    assert all(0 <= r < 25 and 0 <= v < 256 for r, v in zip(desk.port.registers, desk.port.values, strict=True))
    desk.send(0xFF)
    assert not any(desk.image[7 * v + CONTROL] & 1 for v in range(3))


def test_every_controller_of_the_table_is_covered_here():
    """Those that are no bits of a register have tests of their own above, or in `test_modes`."""
    own = {"wheel", "glide_time", "volume", "expression", "glide", "vibrato_rate", "vibrato_depth", "vibrato_delay"}
    there = {"arp_speed", "detune", "filter_depth", "mode", "priority", "retrigger", "pulse_rate", "pulse_depth",
             "cutoff_rate", "cutoff_depth", "velocity"}  # fmt: skip
    assert set(CONTROLS) == set(READ) | own | there
    assert len(BY_CC) == sum(c.cc is not None for c in CONTROLS.values())
    assert list(BY_NRPN) == list(range(len(CONTROLS)))
