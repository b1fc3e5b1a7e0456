"""Kernels of the decoder do what slower ones do."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.chip import generator, models
from sidlearn.learn.decode import filtering, kernel

CYCLES = 19_656 * 3


def writes(rng, count):
    """Return writes to an envelope in the order of their cycles, int64 (count, 3): cycle, 4 to 6, value."""
    cycles = np.sort(rng.integers(0, CYCLES, count))
    return np.stack([cycles, rng.integers(4, 7, count), rng.integers(0, 256, count)], axis=1)


def clocked(state, events, cycles):
    """Return the level of each cycle, an envelope clocked one by one."""
    levels = np.empty(cycles, np.int64)
    at = 0
    for cycle in range(cycles):
        while at < len(events) and events[at, 0] == cycle:
            kernel.write_envelope(state, events[at, 1], events[at, 2])
            at += 1
        generator.clock(state)
        levels[cycle] = state[generator.COUNTER]
    return levels


@pytest.mark.parametrize("seed", range(6))
def test_envelopes_that_are_leapt_over_are_those_that_are_clocked(seed):
    rng = np.random.default_rng(seed)
    events = writes(rng, 12)
    events[events[:, 1] == 5, 2] &= 0x77 if seed % 2 else 0xFF  # fast ones too
    slow, fast = generator.power_on(), generator.power_on()
    levels = clocked(slow, events, CYCLES)
    found = np.zeros(CYCLES, np.uint8)
    kernel.follow_events(fast, events, 0, 0, 0, CYCLES, 7, 3, 0, found)
    assert np.array_equal(found[: len(levels[3::7])], levels[3::7])
    later = writes(rng, 4)
    assert np.array_equal(clocked(slow, later, 20_000), clocked(fast, later, 20_000))


@pytest.mark.parametrize("seed", range(4))
def test_what_choices_of_adsr_share_is_what_each_alone_does(seed):
    rng = np.random.default_rng(seed)
    frames, block = 3, 27
    steps = 2457 * frames
    blocks = steps // block
    cross, energy, first = rng.normal(size=blocks), rng.random(blocks), rng.normal(size=blocks)
    counts = np.full((frames, blocks // frames), 9.0)
    dac_env = np.linspace(0, 1, 256).astype(np.float32)
    # AD, SR and gate on, then off some frames later
    off = int(rng.integers(3_000, 40_000))
    events = np.array([(0, 5, -1), (40, 6, -1), (80 + 40 * seed, 4, 0x41), (off, 4, 0x40)])
    choices = np.array([(0x29, s << 4 | r) for s in (0, 5, 15) for r in range(16)])
    state = generator.power_on()
    levels = np.zeros(3 * blocks, np.uint8)
    together, alone = np.empty(len(choices)), np.empty(1)
    kernel.scan_adsr(state, events, steps, block, cross, energy, first, counts, dac_env, choices, levels, together)
    for choice, score in zip(choices, together, strict=True):
        kernel.scan_adsr(
            state, events, steps, block, cross, energy, first, counts, dac_env, choice[None], levels, alone
        )
        assert alone[0] == score
    assert len(set(together.tolist())) > 3


def test_where_a_voice_jumps_the_mean_of_both_levels_is_mixed():
    record = models.load("6581-residfp")[0]
    mixer = filtering.mixer_for(record, np.array([0] * 24 + [15], np.uint8))
    base, per_sum, zero, scale = mixer.constants[2], mixer.constants[3], mixer.constants[4], mixer.constants[5]

    def mixed(sums):
        out = np.empty(len(sums), np.float32)
        kernel.mix_steps(sums, mixer.lines, per_sum, zero, scale, out)
        return out

    window = np.r_[np.arange(0.5, kernel.STEP), np.arange(kernel.STEP - 0.5, 0, -1)] / kernel.STEP**2
    worst = plain = 0.0
    for edge in range(160, 200):  # the cycle in which it jumps
        sums = base + np.where(np.arange(400) < edge, -0.15, 0.25)
        steps = np.convolve(sums, window, "valid")[:: kernel.STEP]
        heard = np.convolve(mixed(sums), window, "valid")[:: kernel.STEP]
        ours = mixed(steps)
        plain = max(plain, float(np.abs(ours - heard).max()))
        kernel.mix_edges(steps, ours)
        worst = max(worst, float(np.abs(ours - heard).max()))
    assert plain > 5e-3
    assert worst < 1e-4
