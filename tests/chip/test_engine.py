"""The engine's leaps against the plain version that clocks every cycle: the same state and levels, to the last bit."""

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
from tests.reference import chip as plain

JIT = not numba.config.DISABLE_JIT
LONGEST_GAP = 50_000
FREQUENCIES = (0, 1, 2, 0x00FF, 0x0100, 0x1000, 0x7FFF, 0x8000, 0x8001, 0xFFFE, 0xFFFF)
WAVEFORMS = tuple(range(0, 0x100, 0x10))


class Pair:
    """Two chips under the same writes: one leaps, the other is clocked cycle by cycle."""

    def __init__(self, model):
        self.model = models.load(model)[0]
        self.chips = [state.power_on(self.model, PAL.clock_hz) for _ in range(2)]
        self.levels = [kernel.new_levels() for _ in range(2)]

    def write(self, register, value):
        for voices, chips in self.chips:
            kernel.write_register(voices, chips[0], self.model, register, value)

    def clock(self, cycles):
        """Clock both, and compare all that can be seen of them."""
        for clock_voices, (voices, chips), levels in zip(
            (kernel.clock_voices, plain.clock_voices), self.chips, self.levels, strict=True
        ):
            clock_voices(voices, chips[0], self.model, levels, cycles)
        (ours, our_chip), (theirs, their_chip) = self.chips
        if ours.tobytes() != theirs.tobytes():
            assert difference(ours, theirs) == []
        assert our_chip[0].cycle == their_chip[0].cycle
        assert our_chip.tobytes() == their_chip.tobytes()
        for name in ("routed", "mixed"):
            one, other = (getattr(levels, name)[:cycles] for levels in self.levels)
            assert one.tobytes() == other.tobytes(), (name, np.flatnonzero(one != other)[:4])

    def cut(self, cycles, rng):
        """Clock so many cycles in pieces of any size."""
        while cycles:
            size = min(cycles, kernel.BLOCK if rng.random() < 0.5 else int(rng.integers(1, kernel.BLOCK + 1)))
            self.clock(size)
            cycles -= size


def difference(ours, theirs):
    """Where the states of voices part."""
    return [
        (v, name, int(ours[v][name]), int(theirs[v][name]))
        for v in range(VOICES)
        for name in ours.dtype.names
        if ours[v][name] != theirs[v][name]
    ]


def control(rng, kind):
    """A CONTROL byte: `kind` says which waveforms are likely."""
    waveform = {
        "single": lambda: rng.choice([0, TRIANGLE, SAWTOOTH, PULSE, NOISE]),
        "combined": lambda: rng.integers(8) << 4,
        "any": lambda: rng.choice(WAVEFORMS),
    }[kind]()
    lower = GATE * (rng.random() < 0.6) | SYNC * (rng.random() < 0.3) | RING * (rng.random() < 0.3)
    return int(waveform) | int(lower) | TEST * (rng.random() < 0.1)


def random_writes(rng, kind):
    """Some writes to one voice or to the filter, as rows (register, value)."""
    if rng.random() < 0.15:
        return [(int(rng.choice([RES_FILT, MODE_VOL])), int(rng.integers(256)))]
    first, what = VOICE_STRIDE * int(rng.integers(VOICES)), rng.random()
    if what < 0.3:
        return [(first + CONTROL, control(rng, kind))]
    if what < 0.5:
        frequency = int(rng.choice(FREQUENCIES) if rng.random() < 0.3 else 2 ** (16 * rng.random()))
        return [(first + FREQ_LO, frequency & 0xFF), (first + FREQ_HI, frequency >> 8)]
    if what < 0.7:
        register = int(rng.choice([ATTACK_DECAY, SUSTAIN_RELEASE]))
        mask = int(rng.choice([0x00, 0x11, 0x33, 0xF3, 0x3F, 0xFF]))
        return [(first + register, int(rng.integers(256)) & mask)]
    return [(first + int(rng.choice([PW_LO, PW_HI])), int(rng.choice([0, 0xFF, int(rng.integers(256))])))]


def play(pair, seed, kind, cycles, longest=LONGEST_GAP):
    """Random traffic: from 1 to `longest` cycles between writes, short gaps as likely as long ones."""
    rng = np.random.default_rng(seed)
    while cycles > 0:
        for register, value in random_writes(rng, kind):
            pair.write(register, value)
            if rng.random() < 0.3:
                pair.clock(int(rng.integers(1, 12)))
        gap = int(longest ** rng.random())
        pair.cut(gap, rng)
        cycles -= gap


@pytest.mark.parametrize("model", models.MODELS)
@pytest.mark.parametrize("kind", ["single", "combined", "any"])
def test_leaps_leave_the_same_state_and_levels(model, kind):
    pair = Pair(model)
    for part in range(3 if JIT else 1):
        play(pair, [len(kind), part], kind, 150_000 if JIT else 300, LONGEST_GAP if JIT else 60)
        play(pair, [len(kind), part, 1], kind, 20_000 if JIT else 300, 100)
