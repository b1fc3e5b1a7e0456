"""The chip's filter in the decoder: what voices that are routed through it sound like, a frame at a time.

The solver is the chip's own (`sidlearn.chip.kernel`), with a step for each eight cycles as in fast mode. Its state goes
from frame to frame with the rest of a hypothesis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sidlearn._kernel import kernel
from sidlearn.chip.kernel import (
    BAND_PASS,
    FILT3,
    HIGH_PASS,
    LINES,
    LOW_PASS,
    VOICE_3_OFF,
    set_step,
    solve_frames,
)
from sidlearn.chip.state import FAST_STEPS, FILTER_ROWS, work_dtype
from sidlearn.learn.decode.kernel import STEP, decimate, error_energy, mix_edges, mix_steps
from sidlearn.registers import FC_LO, MODE_VOL, RES_FILT

FAST_WORK = work_dtype(FAST_STEPS, 1)
STATE = FILTER_ROWS + 2 + FAST_STEPS
"""What the filter keeps from frame to frame: the solver's state before a block that is not yet full, the input before
it, how many steps of it there are, and their inputs."""
SELECTED = (LOW_PASS | BAND_PASS | HIGH_PASS) << 4
"""Bits of MODE_VOL that give an output of the filter to the mixer."""


def power_on() -> np.ndarray:
    """Return the filter at rest, float32 (STATE,)."""
    return np.zeros(STATE, np.float32)


def in_use(image: np.ndarray) -> bool:
    """Whether the filter is heard with these registers."""
    return bool(image[RES_FILT] & 7 or image[MODE_VOL] & (SELECTED | VOICE_3_OFF << 4))


def inputs_of(image: np.ndarray) -> tuple[int, int]:
    """Return how many inputs of the mixer voices and EXT IN are, and how many outputs of the filter."""
    routing, mode = int(image[RES_FILT]) & 0xF, int(image[MODE_VOL]) >> 4
    past = 4 - bin(routing).count("1") - bool(mode & VOICE_3_OFF and not routing & FILT3)
    return past, bin(mode & (LOW_PASS | BAND_PASS | HIGH_PASS)).count("1")


@kernel
def run_filter(record, changes, routed, state, out):
    """Filter the sum of voices `routed`, float32 (steps,), into the sum of the selected outputs, `out`.

    `changes` has rows of step, FC, RES, routing and mode; the first holds before step 0, too. `state` moves on.
    """
    works = np.zeros(1, FAST_WORK)
    work = works[0]
    rows = work["state"].ravel()
    for i in range(FILTER_ROWS):
        rows[i] = state[i]
    before, waiting = state[FILTER_ROWS], int(state[FILTER_ROWS + 1])
    row = 0
    for j in range(FAST_STEPS):
        set_step(work, record, j, changes[0, 1], changes[0, 2], changes[0, 3], changes[0, 4])
    last = routed.size - 1
    low_out, band_out, high_out = work["low_out"], work["band_out"], work["high_out"]
    for first in range(-waiting, routed.size, FAST_STEPS):
        changing = row + 1 < changes.shape[0] and changes[row + 1, 0] < first + FAST_STEPS
        if changing:
            for j in range(FAST_STEPS):
                while row + 1 < changes.shape[0] and changes[row + 1, 0] <= first + j:
                    row += 1
                c = changes[row]
                set_step(work, record, j, c[1], c[2], c[3], c[4])
        partly = first + FAST_STEPS > routed.size
        if partly:  # solved again in the next frame, when all of it is known
            for i in range(FILTER_ROWS):
                state[i] = rows[i]
            state[FILTER_ROWS] = before
            state[FILTER_ROWS + 1] = routed.size - first
            for i in range(first, routed.size):
                state[FILTER_ROWS + 2 + i - first] = routed[i]
        for j in range(FAST_STEPS):
            i = min(first + j, last)
            now = routed[i] if i >= 0 else state[FILTER_ROWS + 2 + j]
            after = now
            if i < -1:
                after = state[FILTER_ROWS + 3 + j]
            elif i < last:
                after = routed[i + 1]
            work["input"][j] = now
            work["slope"][j] = (after - before) * np.float32(0.125)
            before = now
        solve_frames(work, record)
        mode = changes[row, 4]
        for j in range(max(-first, 0), min(FAST_STEPS, routed.size - first)):
            total = np.float32(0)
            if mode & LOW_PASS:
                total += low_out[j]
            if mode & BAND_PASS:
                total += band_out[j]
            if mode & HIGH_PASS:
                total += high_out[j]
            out[first + j] = total
        if changing:
            c = changes[row]
            for j in range(FAST_STEPS):
                set_step(work, record, j, c[1], c[2], c[3], c[4])
        if first + FAST_STEPS == routed.size:
            for i in range(FILTER_ROWS):
                state[i] = rows[i]
            state[FILTER_ROWS] = before
            state[FILTER_ROWS + 1] = 0


@kernel
def route(waves, levels, dac_env, drift, per_wave, routing, muted, past, routed):
    """Add voices up in `past`, float64, and in `routed`, float32, which go through the filter."""
    for i in range(past.size):
        past[i] = 0
        routed[i] = 0
    for v in range(3):
        wave, level = waves[v], levels[v]
        if muted >> v & 1:
            continue
        if routing >> v & 1:
            for i in range(past.size):
                routed[i] += dac_env[level[i]] * (drift + per_wave * wave[i])
        else:
            for i in range(past.size):
                past[i] += dac_env[level[i]] * (drift + per_wave * wave[i])


def changes_of(before: np.ndarray, after: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return what is set for the filter in a frame, int64 (rows, 5): step, FC, RES, routing, mode."""
    now = [int(x) for x in before[FC_LO : MODE_VOL + 1]]
    rows = [(-FAST_STEPS, *now)]
    for cycle, register, value in events[events[:, 1] >= FC_LO].tolist():
        now[register - FC_LO] = value
        rows.append((cycle // STEP, *now))
    return np.array([(step, lo & 7 | hi << 3, rf >> 4, rf & 0xF, mv >> 4) for step, lo, hi, rf, mv in rows], np.int64)


@kernel
def finish_filtered(
    waves, levels, dac_env, mixer, lines, record, changes, muted, state, taps, history, target, dc, skip, rooms, out
):
    """Filter, mix and decimate three voices; return the error energy against `target` after its first `skip` samples.

    `mixer` is drift, range, base, lines for one unit, output zero, output scale, scale of the filter's outputs. `rooms`
    are two rows, float64 and float32, for each step.
    """
    sums, (routed, mixed) = rooms[0], rooms[1]
    last = changes[changes.shape[0] - 1]
    if last[4] & VOICE_3_OFF and not last[3] & FILT3:
        muted |= 4
    route(waves, levels, dac_env, mixer[0], mixer[1], last[3], muted, sums, routed)
    run_filter(record, changes, routed, state, mixed)
    for i in range(sums.size):
        sums[i] += mixer[2] + mixer[6] * mixed[i]
    mix_steps(sums, lines, mixer[3], mixer[4], mixer[5], mixed)
    mix_edges(sums, mixed)
    decimate(mixed, taps, history, out)
    return error_energy(target, out, dc, skip)


@dataclass(frozen=True)
class Mixer:
    """What the mixer does with a number of inputs at a volume."""

    lines: np.ndarray
    """Float64 (lines, 2): sound and its slope, by the inputs' sum."""
    constants: np.ndarray
    """Drift, range and base of voices, lines for one unit, output zero and scale, scale of the filter's outputs."""
    inverse: tuple[np.ndarray, np.ndarray]
    """Sound, rising, and what comes in over the base."""
    slope: float
    """Of the sound in the middle of the range."""


def mixer_for(record: Any, image: np.ndarray) -> Mixer:
    """Return the mixer with the registers of an image."""
    past, selected = inputs_of(image)
    inputs = max(past + selected, 1)
    first = (int(image[MODE_VOL] & 15) * 8 + past + selected) * (LINES + 1)
    pairs = np.ascontiguousarray(record.mix_lines).view(np.float32).reshape(-1, 2)
    lines = pairs[first : first + LINES + 1].astype(np.float64)
    per_wave, drift = float(record.voice_range), float(record.voice_drift)
    ext_in = 0.0 if image[RES_FILT] & 8 else per_wave * float(record.ext_in)
    base = past * float(record.voice_dc) + ext_in + float(record.filter_out_offset[selected])
    per_sum, zero, scale = LINES / inputs, float(record.output_zero), float(record.output_scale)
    out_scale = float(record.filter_out_scale)
    sums = np.linspace(0, 0.999 * inputs, 4000)
    mixed = np.empty(4000, np.float32)
    mix_steps(sums, lines, per_sum, zero, scale, mixed)
    turn = 1 if mixed[-1] > mixed[0] else -1
    middle = base + 1.5 * drift + selected * out_scale * float(record.rest)
    slope = float(lines[min(max(int(middle * per_sum), 0), LINES), 1] * scale)
    constants = np.array([drift, per_wave, base, per_sum, zero, scale, out_scale])
    return Mixer(lines, constants, (mixed[::turn], sums[::turn] - base), slope)


@kernel
def filtered_part(record, changes, others, without, own, scale, state, taps, rooms, history, out):
    """Sum of the mixer's inputs that `own`, float32 (steps,), adds behind the filter to `others`, low-passed.

    `without` is the filter's output without it. `rooms` are float32 (3, steps) and the state's copy.
    """
    routed, through = rooms[0], rooms[1]
    for i in range(routed.size):
        routed[i] = others[i] + own[i]
    here = state.copy()
    run_filter(record, changes, routed, here, through)
    for i in range(through.size):
        through[i] = scale * (through[i] - without[i])
    for i in range(history.size):
        history[i] = 0
    decimate(through, taps, history, out)
