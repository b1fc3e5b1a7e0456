"""The chip's filter in the decoder: what voices that are routed through it sound like, a frame at a time.

The solver is the chip's own (`sidlearn.chip.kernel`), cycle by cycle as in exact mode: at low cutoffs the 6581's filter
is so far from linear that steps of eight cycles, or edges that are spread over them, leave five times as much of a
frame (measured on pyresidfp 0.17.0). Its state goes from frame to frame with the rest of a hypothesis.
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
    solve,
)
from sidlearn.chip.state import EXACT_STEPS, FILTER_ROWS, work_dtype
from sidlearn.learn.decode.kernel import STEP, decimate, error_energy, frame_wave, mix_edges, mix_steps
from sidlearn.registers import FC_LO, MODE_VOL, RES_FILT

EXACT_WORK = work_dtype(EXACT_STEPS, 1)
"""Room for a block of the solver, which is a step of the decoder: `EXACT_STEPS` is `STEP`."""
STATE = FILTER_ROWS + 1
"""What the filter keeps from frame to frame: the solver's state, and what the last cycles give to the first step."""
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
    """Filter the sum of voices `routed`, float32 (cycles,), into the sum of the selected outputs by steps, `out`.

    `changes` has rows of step, FC, RES, routing and mode; the first holds before step 0, too. `state` moves on.
    """
    works = np.zeros(1, EXACT_WORK)
    work = works[0]
    rows = work["state"].ravel()
    for i in range(FILTER_ROWS):
        rows[i] = state[i]
    inputs, outputs = work["input"], work["filtered"]
    row = -1
    rising = state[FILTER_ROWS]
    for i in range(out.size):
        turned = row < 0
        row = max(row, 0)
        while row + 1 < changes.shape[0] and changes[row + 1, 0] <= i:
            row += 1
            turned = True
        if turned:
            c = changes[row]
            for j in range(EXACT_STEPS):
                set_step(work, record, j, c[1], c[2], c[3], c[4])
        for j in range(EXACT_STEPS):
            inputs[j] = routed[STEP * i + j]
        solve(work, record)
        total, ramp = np.float32(0), np.float32(0)
        for j in range(EXACT_STEPS):  # triangular windows of two steps, as waves have them
            total += outputs[j]
            ramp += (np.float32(j) + np.float32(0.5)) * outputs[j]
        ramp *= np.float32(1 / STEP)
        out[i] = (rising + total - ramp) * np.float32(1 / STEP)
        rising = ramp
    for i in range(FILTER_ROWS):
        state[i] = rows[i]
    state[FILTER_ROWS] = rising


@kernel
def spread(steps, cycles):
    """Fill `cycles` with straight lines between values by steps, both float32: what is not known better."""
    for i in range(steps.size):
        rise = (steps[min(i + 1, steps.size - 1)] - steps[i]) * np.float32(1 / STEP)
        for j in range(STEP):
            cycles[STEP * i + j] = steps[i] + rise * (np.float32(j) + np.float32(0.5))


@kernel
def add_routed(osc, voice, events, level, dac, combined, dac_env, drift, per_wave, rooms, routed):
    """Add what one voice gives to the filter in a frame with `events` to `routed`, float32 (cycles,).

    `osc` are the oscillators before it, `level` the envelope by steps; `rooms` are cycles and steps.
    """
    room, wave = rooms
    own = osc[voice].copy()
    frame_wave(own, osc[(voice + 2) % 3], voice, events, room.size, dac, combined, room, wave)
    for i in range(level.size):
        e = dac_env[level[i]]
        if e != 0:
            for j in range(STEP * i, STEP * i + STEP):
                routed[j] += np.float32(e * (drift + per_wave * room[j]))


@kernel
def add_past(waves, levels, dac_env, drift, per_wave, left_out, past):
    """Add the voices up that do not go through the filter in `past`, float64 (steps,)."""
    for i in range(past.size):
        past[i] = 0
    for v in range(3):
        wave, level = waves[v], levels[v]
        if not left_out >> v & 1:
            for i in range(past.size):
                past[i] += dac_env[level[i]] * (drift + per_wave * wave[i])


def changes_of(before: np.ndarray, after: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Return what is set for the filter in a frame, int64 (rows, 5): step, FC, RES, routing, mode."""
    now = [int(x) for x in before[FC_LO : MODE_VOL + 1]]
    rows = [(-1, *now)]
    for cycle, register, value in events[events[:, 1] >= FC_LO].tolist():
        now[register - FC_LO] = value
        rows.append((cycle // STEP, *now))
    return np.array([(step, lo & 7 | hi << 3, rf >> 4, rf & 0xF, mv >> 4) for step, lo, hi, rf, mv in rows], np.int64)


@kernel
def finish_filtered(
    osc, events, waves, levels, chip, mixer, lines, record, changes, state, history, target, dc, skip, rooms, out
):
    """Filter, mix and decimate three voices; return the error energy against `target` after its first `skip` samples.

    `osc` are the oscillators before the frame; `chip` is waveform DAC, combined waveforms, envelope DAC and taps;
    `mixer` is drift, range, base, lines for one unit, output zero, output scale, scale of the filter's outputs. `rooms`
    are float64 for each step, two rows of float32 for each step, and two for each cycle.
    """
    dac, combined, dac_env, taps = chip
    sums, (mixed, wave), (room, routed) = rooms[0], rooms[1], rooms[2]
    last = changes[changes.shape[0] - 1]
    left_out = last[3]
    if last[4] & VOICE_3_OFF and not last[3] & FILT3:
        left_out |= 4
    add_past(waves, levels, dac_env, mixer[0], mixer[1], left_out, sums)
    for i in range(routed.size):
        routed[i] = 0
    for v in range(3):
        if last[3] >> v & 1:
            add_routed(osc, v, events, levels[v], dac, combined, dac_env, mixer[0], mixer[1], (room, wave), routed)
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
    """Sum of the mixer's inputs that `own`, float32 (cycles,), adds behind the filter to `others`, low-passed.

    `without` is the filter's output without it. `rooms` are float32 (cycles,) and (steps,).
    """
    routed, through = rooms
    for i in range(routed.size):
        routed[i] = others[i] + own[i]
    here = state.copy()
    run_filter(record, changes, routed, here, through)
    for i in range(through.size):
        through[i] = scale * (through[i] - without[i])
    for i in range(history.size):
        history[i] = 0
    decimate(through, taps, history, out)
