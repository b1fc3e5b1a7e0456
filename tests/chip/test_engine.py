"""The engine's leaps against the plain version that clocks every cycle: the same to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.chip import kernel, models, state
from sidlearn.clock import PAL
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FREQ_HI,
    FREQ_LO,
    GATE,
    MODE_VOL,
    NOISE,
    PULSE,
    PW_HI,
    PW_LO,
    RES_FILT,
    RING,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    SYNC,
    TEST,
    TRIANGLE,
    VOICE_STRIDE,
    VOICES,
)
from sidlearn.writes import RegisterWrites
from tests.reference import chip as plain

JIT = not numba.config.DISABLE_JIT
needs_jit = pytest.mark.skipif(not JIT, reason="a million cycles")
LONGEST_GAP = 50_000 if JIT else 60
FREQUENCIES = (0, 1, 2, 0x00FF, 0x0100, 0x1000, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF)
RATE_PERIODS = tuple(kernel.rate_period(rate) for rate in range(16))
EXPONENTIAL_PERIODS = (1, 2, 4, 8, 16, 30)
RATE_MASKS = (0x00, 0x11, 0x33, 0xF3, 0x3F, 0xFF)
KINDS = {
    "single": (0, TRIANGLE, SAWTOOTH, PULSE, NOISE),
    "combined": tuple(range(0, NOISE, TRIANGLE)),
    "any": tuple(range(0, 0x100, TRIANGLE)),
}
"""Waveforms to choose from."""


# --- Traffic ---


def random_log(seed, kind, length, longest=LONGEST_GAP):
    """Writes of all kinds, 1 to `longest` cycles apart, short gaps as likely as long ones; in bursts, too."""
    rng = np.random.default_rng(seed)
    rows, cycle = [], 0
    while cycle < length:
        for register, value in random_writes(rng, kind):
            rows.append((cycle, register, value))
            cycle += int(rng.integers(1, 12)) if rng.random() < 0.3 else 0
        cycle += int(longest ** rng.random())
    return RegisterWrites.from_rows([row for row in rows if row[0] < length], length=length)


def random_writes(rng, kind):
    """Some writes to one voice or to the filter, as rows (register, value)."""
    what, first = rng.random(), VOICE_STRIDE * int(rng.integers(VOICES))
    if what < 0.15:
        return [(int(rng.choice([RES_FILT, MODE_VOL])), int(rng.integers(256)))]
    if what < 0.4:
        return [(first + CONTROL, random_control(rng, kind))]
    if what < 0.6:
        frequency = int(rng.choice(FREQUENCIES) if rng.random() < 0.3 else 2 ** (16 * rng.random()))
        return [(first + FREQ_LO, frequency & 0xFF), (first + FREQ_HI, frequency >> 8)]
    if what < 0.8:
        rates = int(rng.integers(256)) & int(rng.choice(RATE_MASKS))
        return [(first + int(rng.choice([ATTACK_DECAY, SUSTAIN_RELEASE])), rates)]
    width = int(rng.choice([0, 0xFF, int(rng.integers(256))]))
    return [(first + int(rng.choice([PW_LO, PW_HI])), width)]


def random_control(rng, kind):
    """A CONTROL byte."""
    lower = (bit * (rng.random() < share) for bit, share in ((GATE, 0.6), (SYNC, 0.3), (RING, 0.3), (TEST, 0.1)))
    return int(rng.choice(KINDS[kind])) | sum(lower)


class Pair:
    """Two chips under the same writes: one leaps, the other is clocked cycle by cycle."""

    def __init__(self, model, seed=0):
        self.model = models.load(model)[0]
        self.rng = np.random.default_rng(seed)
        self.chips = [state.power_on(self.model, PAL.clock_hz) for _ in range(2)]
        self.rooms = [np.zeros(1, state.ROOM_DTYPE).view(np.recarray)[0] for _ in range(2)]

    def play(self, writes):
        """Play a log that begins now, and clock in pieces of any size."""
        cycle = 0
        for event_cycle, register, value in [*writes.events.tolist(), (writes.length, MODE_VOL, 0)]:
            self.clock(event_cycle - cycle)
            cycle = event_cycle
            for voices, chips in self.chips:
                kernel.write_register(voices, chips[0], self.model, register, value)

    def clock(self, cycles):
        while cycles:
            size = min(cycles, kernel.BLOCK if self.rng.random() < 0.5 else int(self.rng.integers(1, kernel.BLOCK + 1)))
            self.clock_piece(size)
            cycles -= size

    def clock_piece(self, cycles):
        """Clock both, and compare all that can be seen of them."""
        functions = kernel.clock_voices, plain.clock_voices
        for clock_voices, (voices, chips), room in zip(functions, self.chips, self.rooms, strict=True):
            clock_voices(voices, chips[0], self.model, room, 3, cycles)
        same_state(*self.chips)
        for name in ("routed", "mixed"):
            ours, theirs = (getattr(room, name)[3 : 3 + cycles] for room in self.rooms)
            assert ours.tobytes() == theirs.tobytes(), (name, np.flatnonzero(ours != theirs)[:4])


def same_state(ours, theirs):
    """Two chips (voices, chip) are equal, field by field."""
    for one, other in zip(ours, theirs, strict=True):
        if one.tobytes() == other.tobytes():
            continue
        parts = [name for name in one.dtype.names if one[name].tobytes() != other[name].tobytes()]
        assert {name: (one[name].tolist(), other[name].tolist()) for name in parts} == {}


# --- The same as cycle by cycle ---


@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_leaps_leave_the_same_state_and_levels(model, kind):
    pair = Pair(model)
    for seed in range(3 if JIT else 1):
        pair.play(random_log([seed, 0], kind, 150_000 if JIT else 300))
        pair.play(random_log([seed, 1], kind, 20_000 if JIT else 300, longest=100))


@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize("frequencies", [(0x8000, 0x8000, 0x8000), (0xFFFF, 0xFFFE, 0xFFFF), (1, 0xFFFF, 0), (9, 9, 7)])
def test_voices_that_sync_each_other_in_a_ring_stay_the_same(model, frequencies):
    rows = [(0, RES_FILT, 0x02)]
    for v, frequency in enumerate(frequencies):
        first = VOICE_STRIDE * v
        rows += [(0, first + FREQ_LO, frequency & 0xFF), (0, first + FREQ_HI, frequency >> 8)]
        rows += [(0, first + CONTROL, (TRIANGLE | RING, SAWTOOTH, PULSE)[v] | SYNC | GATE)]
    Pair(model).play(RegisterWrites.from_rows(rows, length=100_000 if JIT else 600))


@needs_jit
@pytest.mark.parametrize("model", models.MODELS)
def test_cells_that_creep_and_outputs_that_fade_stay_the_same(model):
    """For longer than both take to begin."""
    tables = models.load(model)[0]
    rows = [(0, v * VOICE_STRIDE + FREQ_HI, 0x31 + v) for v in range(VOICES)]
    rows += [(0, CONTROL, NOISE), (0, VOICE_STRIDE + CONTROL, SAWTOOTH | NOISE), (0, 2 * VOICE_STRIDE + CONTROL, NOISE)]
    rows += [(70_000, CONTROL, NOISE | TEST), (70_001, VOICE_STRIDE + CONTROL, TRIANGLE | TEST)]
    rows += [(70_003, 2 * VOICE_STRIDE + CONTROL, 0)]
    length = 70_003 + max(tables.test_t0 + 4 * tables.test_t1, tables.fade_t0 + 9 * tables.fade_t1)
    rows += [(length, VOICE_STRIDE + CONTROL, NOISE)]
    pair = Pair(model)
    pair.play(RegisterWrites.from_rows(rows, length=int(length) + 5_000))
    assert pair.chips[0][0].noise_register[0] == kernel.ALL_ONES
    assert pair.chips[0][0].output[2] < 0x10


@pytest.mark.parametrize("width", [0x0, 0x7, 0xC, 0xF])
@pytest.mark.parametrize("below", [TRIANGLE, PULSE, TRIANGLE | PULSE, NOISE])
def test_the_top_bit_of_a_6581_that_begins_high_is_pulled_in_the_same_cycle(width, below):
    step = 0x100 if JIT else 0x4000
    rows = [(0, v * VOICE_STRIDE + FREQ_HI, (step >> 8) * (1 + 37 * v) & 0xFF) for v in range(VOICES)]
    rows += [(0, CONTROL, PULSE), (0, VOICE_STRIDE + CONTROL, TRIANGLE | RING), (0, PW_HI, width)]
    pair = Pair("6581")
    pair.play(RegisterWrites.from_rows(rows, length=30_000 * 0x100 // step))
    assert pair.chips[0][0].accumulator[0] > 0xC00000
    pair.play(RegisterWrites.from_rows([(0, CONTROL, SAWTOOTH | below)], length=40_000 * 0x100 // step))


@needs_jit
@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize("below", [(1, 2, 3), (4, 5, 6), (7, 0, 0)])
def test_noise_that_others_have_emptied_stays_at_zero_and_is_leapt_over(model, below):
    rows = [(0, v * VOICE_STRIDE + FREQ_HI, 0x70 + v) for v in range(VOICES)]
    rows += [(5, v * VOICE_STRIDE + CONTROL, NOISE | waveform << 4 | GATE) for v, waveform in enumerate(below)]
    pair = Pair(model)
    pair.play(RegisterWrites.from_rows(rows, length=60_000))
    voices, chips = pair.chips[0]
    assert kernel.plan_leap(voices, chips[0], pair.model, 50)[0] > 0
    pair.play(RegisterWrites.from_rows([(9_000, CONTROL, NOISE | TEST), (9_100, CONTROL, NOISE)], length=20_000))


@needs_jit
@pytest.mark.parametrize("seed", range(4))
def test_envelopes_step_in_the_same_cycles(seed):
    """Gate and rates change at any time, with gaps up to the longest turns of the exponential counter."""
    tables = models.load("6581")[0]
    rng = np.random.default_rng(seed)
    (ours, chips), (theirs, _) = (state.power_on(tables, PAL.clock_hz) for _ in range(2))
    for _ in range(2_000):
        for v in range(VOICES):
            offset = int(rng.choice([CONTROL, ATTACK_DECAY, SUSTAIN_RELEASE]))
            value = int(rng.integers(256)) & int(rng.choice(RATE_MASKS))
            for voice in (ours[v], theirs[v]):
                kernel.write_voice(voice, chips[0], tables, offset, value)
        cycles = int(2_000 ** rng.random() if rng.random() < 0.99 else rng.integers(1_000_000))
        for v in range(VOICES):
            kernel.leap_envelope(ours[v], cycles)
            plain.clock_one_envelope(theirs[v], cycles)
        kernel.clock_envelopes(ours)
        kernel.clock_envelopes(theirs)
        same_state((ours,), (theirs,))


@needs_jit
def test_an_envelope_in_any_state_at_all_comes_to_the_same():
    """Counters next to where they match or wrap, beyond their periods, pipelines at any stage."""
    tables = models.load("6581")[0]
    rng = np.random.default_rng(0)
    for _ in range(6_000):
        ours, theirs = (state.power_on(tables, PAL.clock_hz)[0] for _ in range(2))
        fields = random_envelope(rng)
        turn = (fields["rate_last"] + 1) * fields["exponential_period"]
        cycles = int(100_000 ** rng.random()) if rng.random() < 0.5 else turn + int(rng.integers(6))
        for voice in (ours[0], theirs[0]):
            for name, value in fields.items():
                voice[name] = value
        kernel.leap_envelope(ours[0], cycles)
        plain.clock_one_envelope(theirs[0], cycles)
        ours.env3 = theirs.env3  # not kept by a leap
        same_state((ours,), (theirs,))


def random_envelope(rng):
    """Fields of an envelope generator."""
    last = int(rng.choice(RATE_PERIODS)) - 1
    near = [last - 1, last, last + 1, 0, 1, 2, 3, kernel.RATE_STATES - 1, kernel.RATE_STATES - 2]
    rate_counter = int(rng.choice(near) if rng.random() < 0.5 else rng.integers(kernel.RATE_STATES))
    period = int(rng.choice(EXPONENTIAL_PERIODS))
    level = int(rng.choice([0, 1, 0x06, 0x07, 0x5D, 0x5E, 0xFE, 0xFF, 0x11 * int(rng.integers(16))]))
    busy, sustained = rng.random() < 0.3, level % 0x11 == 0 and rng.random() < 0.8
    return {
        "attack": int(rng.integers(16)),
        "decay": int(rng.integers(16)),
        "release": int(rng.integers(16)),
        "sustain": level if sustained else 0x11 * int(rng.integers(16)),
        "envelope_counter": level,
        "envelope_state": state.DECAY if sustained else int(rng.integers(3)),
        "envelope_target": int(rng.integers(3)),
        "envelope_enabled": int(rng.random() < 0.8),
        "state_pipeline": int(rng.integers(4)) * (rng.random() < 0.1),
        "step_pipeline": int(rng.integers(5)) * busy,
        "exponential_pipeline": int(rng.integers(3)) * busy,
        "exponential_period": period,
        "exponential_next": period * (rng.random() < 0.2),
        "exponential_counter": int(rng.integers(period if rng.random() < 0.8 else 40)),
        "rate_counter": rate_counter % kernel.RATE_STATES,
        "rate_match": int(rng.random() < 0.1),
        "rate_last": last,
    }


# --- Reading back, silence ---


@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize("kind", KINDS)
def test_readback_is_the_same(model, kind):
    tables = models.load(model)[0]
    for seed in range(3 if JIT else 1):
        writes = random_log([seed, 2], kind, 150_000 if JIT else 400)
        results, chips = [], []
        for function in (kernel.clock_readback, plain.clock_readback):
            chips.append(state.power_on(tables, PAL.clock_hz))
            osc3, env3 = np.empty((2, writes.length), np.uint8)
            function(chips[-1][0], chips[-1][1][0], tables, events_of(writes), osc3, env3)
            results.append((osc3, env3))
        (osc3, env3), (their_osc3, their_env3) = results
        assert np.flatnonzero(osc3 != their_osc3).tolist() == []
        assert np.flatnonzero(env3 != their_env3).tolist() == []
        same_state(*chips)


def test_silence_comes_in_the_same_cycle():
    tables = models.load("6581")[0]
    seen = set()
    for seed in range(30 if JIT else 2):
        writes = random_log([seed, 3], "single", int(2 ** (5 + seed % 10)))
        limit = 200_000 if JIT else 500
        results = []
        for function in (kernel.clock_until_silent, plain.clock_until_silent):
            voices, chips = state.power_on(tables, PAL.clock_hz)
            results.append(function(voices, chips[0], tables, events_of(writes), writes.length, limit))
        assert results[0] == results[1]
        seen.add(results[0])
    assert len(seen) > 5 or not JIT


def events_of(writes):
    return writes.events.copy().view(np.recarray)
