"""What lies between the voices and the board: routing, mixer and volume."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

from sidlearn._kernel import kernel, part_kernel
from sidlearn.chip import vectors
from sidlearn.chip.models import LINES
from sidlearn.surrogate.batch import LANES, array, over_rows, tensor_like
from sidlearn.surrogate.controls import Controls

FILTEX, FILT3, VOICE_3_OFF = 8, 4, 8
LOW_PASS, BAND_PASS, HIGH_PASS = 1, 2, 4
BLOCK = 512
"""Cells that are mixed at a time."""


def count_bits(values: np.ndarray) -> np.ndarray:
    """Return the number of ones in the lower four bits."""
    return sum((values >> bit & 1 for bit in range(4)), np.zeros_like(values))


def routes_of(controls: Controls) -> np.ndarray:
    """Return where each voice and EXT IN go: bits 0 to 3 into the filter, bits 4 to 7 past it. Int64 (b, slots)."""
    past = ~controls.routing & 0xF
    past = np.where(controls.mode & VOICE_3_OFF, past & ~FILT3, past)
    return controls.routing | past << 4


class Inputs(NamedTuple):
    """What the mixer works with besides sound."""

    counts: np.ndarray
    """Voices, EXT IN and filter outputs that are led to it, int64 (b, slots)."""
    offsets: np.ndarray
    """What the selected filter outputs add, (b, slots)."""
    lines: np.ndarray
    """Straight lines by volume and number of inputs, (16 * 8 * (LINES + 1), 2)."""
    scales: np.ndarray
    """Of the filter's outputs, level that is silence, and of the sound, (3,)."""


def inputs_of(controls: Controls, lines: np.ndarray, model: Any, kind: type) -> Inputs:
    """Return what the mixer is given, with numbers of a float type."""
    routing, mode = controls.routing, controls.mode
    voices = 4 - count_bits(routing) - ((mode & VOICE_3_OFF != 0) & (routing & FILT3 == 0))
    selected = count_bits(mode & (LOW_PASS | BAND_PASS | HIGH_PASS))
    return Inputs(
        voices + selected,
        np.asarray(model.filter_out_offset)[selected].astype(kind),
        lines.astype(kind),
        np.array([model.filter_out_scale, model.output_zero, model.output_scale]).astype(kind),
    )


class Mix(torch.autograd.Function):
    """(b, cells) sums past the filter and out of it, and (b, slots) volumes, to the sound (b, cells) before the
    board."""

    @staticmethod
    def forward(ctx, mixed, filtered, volume, controls: Controls, slots: np.ndarray, lines: np.ndarray, model):
        past, through, level = array(mixed), array(filtered), array(volume).astype(np.float64)
        inputs, offsets, table, scales = inputs_of(controls, lines, model, past.dtype.type)
        sound = np.empty_like(past)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                mix(past[b], through[b], level[b], inputs[b], offsets[b], slots, table, scales, sound[b])

        over_rows(work, len(past))
        ctx.save_for_backward(mixed, filtered, volume)
        ctx.setting = inputs, offsets, slots, table, scales
        return tensor_like(sound, mixed)

    @staticmethod
    def backward(ctx, grad):
        mixed, filtered, volume = ctx.saved_tensors
        inputs, offsets, slots, table, scales = ctx.setting
        past, through, level, given = array(mixed), array(filtered), array(volume).astype(np.float64), array(grad)
        to_sum, to_volume = np.empty_like(past), np.zeros_like(level)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                slope_mix(
                    past[b], through[b], level[b], inputs[b], offsets[b], slots, table, scales, given[b],
                    to_sum[b], to_volume[b],
                )  # fmt: skip

        over_rows(work, len(past))
        to_sum_tensor = tensor_like(to_sum, mixed)
        to_volume_tensor = tensor_like(to_volume, volume).to(volume.dtype)
        return to_sum_tensor, to_sum_tensor * float(scales[0]), to_volume_tensor, None, None, None, None


@lru_cache
def _work_dtype(kind: np.dtype) -> np.dtype:
    """Room for one cell of all lanes, for the reasons of `sidlearn.surrogate.filter`."""
    lanes = ("past", "through", "total", "per_sum", "offset", "share", "base", "slope", "sound")
    fields = [(name, kind, (LANES,)) for name in lanes] + [(n, np.int32, (LANES,)) for n in ("row", "rise", "index")]
    return np.dtype(fields + [(name, kind) for name in ("scale", "silence", "gain", "zero", "top")], align=True)


def room(scales: np.ndarray) -> np.ndarray:
    """Return room for the work on `LANES` chips, with the constants filled in."""
    made = np.zeros(1, _work_dtype(scales.dtype))
    for name, value in zip(("scale", "silence", "gain", "top"), (*scales, LINES - 0.01), strict=True):
        made[name] = value
    return made


# --- Kernels: chips side by side ---------------------------------------------------------------------------------


@part_kernel
def set_slot(m, slot, volume, counts, offsets):
    """What registers set for all lanes. Returns whether a volume is between two whole ones."""
    lanes = volume.shape[0]
    for i in range(LANES):
        lane = i if i < lanes else 0
        low, count = min(int(volume[lane, slot]), 15), counts[lane, slot]
        m["share"][i] = volume[lane, slot] - low
        m["per_sum"][i] = LINES / max(count, 1)
        m["offset"][i] = offsets[lane, slot]
        m["row"][i] = (low * 8 + count) * (LINES + 1)
        m["rise"][i] = 8 * (LINES + 1) if low < 15 else 0
    return m["share"].any()


@part_kernel
def mix_lanes(m, lines, past, through, between):
    """`mix` of one cell of all lanes, whose `lines` are words of two floats; the sound is left in `m`."""
    scale, silence, gain, zero, top = m["scale"], m["silence"], m["gain"], m["zero"], m["top"]
    for i in range(LANES):
        m["past"][i] = past[i]
    for i in range(LANES):
        m["through"][i] = through[i]
    for i in range(LANES):
        m["total"][i] = m["past"][i] + (scale * m["through"][i] + m["offset"][i])
    for i in range(LANES):
        m["index"][i] = np.int32(min(max(zero, m["total"][i] * m["per_sum"][i]), top)) + m["row"][i]
    vectors.look_up(lines, m["index"], LANES, m["base"], m["slope"])
    for i in range(LANES):
        m["sound"][i] = ((m["base"][i] + m["slope"][i] * m["total"][i]) - silence) * gain
    if between:
        for i in range(LANES):
            m["index"][i] += m["rise"][i]
        vectors.look_up(lines, m["index"], LANES, m["base"], m["slope"])
        for i in range(LANES):
            above = ((m["base"][i] + m["slope"][i] * m["total"][i]) - silence) * gain
            m["sound"][i] += m["share"][i] * (above - m["sound"][i])


# --- Kernels: a row of cells -------------------------------------------------------------------------------------


@part_kernel
def look_up(past, through, scale, offset, per_sum, lines, totals, index, base, slope):
    """The mixer's sums, and where its table puts them: as a straight line each."""
    zero, top = per_sum - per_sum, past.dtype.type(LINES - 0.01)
    count = past.size
    for i in range(count):
        totals[i] = past[i] + (scale * through[i] + offset)
        index[i] = np.int32(min(max(zero, totals[i] * per_sum), top))
    for i in range(count):
        n = np.uint32(index[i])
        base[i], slope[i] = lines[n, 0], lines[n, 1]


@kernel
def mix(past, through, volume, inputs, offsets, slots, lines, scales, sound):
    """Mixer and volume by one table; between two volumes on a straight line."""
    scale, zero, gain = scales[0], scales[1], scales[2]
    kind = past.dtype.type
    totals, base, slope = np.empty(BLOCK, past.dtype), np.empty(BLOCK, past.dtype), np.empty(BLOCK, past.dtype)
    index = np.empty(BLOCK, np.int32)
    for slot in range(volume.size):
        low = min(int(volume[slot]), 15)
        share = kind(volume[slot] - low)
        per_sum = kind(LINES / max(inputs[slot], 1))
        row = (low * 8 + inputs[slot]) * (LINES + 1)
        above = (min(low + 1, 15) * 8 + inputs[slot]) * (LINES + 1)
        for first in range(slots[slot] if slot else 0, slots[slot + 1], BLOCK):
            end = min(first + BLOCK, slots[slot + 1])
            count = end - first
            here, there, out = past[first:end], through[first:end], sound[first:end]
            look_up(
                here, there, scale, offsets[slot], per_sum, lines[row : row + LINES + 1], totals, index, base, slope
            )
            for i in range(count):
                out[i] = ((base[i] + slope[i] * totals[i]) - zero) * gain
            if share != 0:
                look_up(
                    here, there, scale, offsets[slot], per_sum, lines[above : above + LINES + 1], totals, index, base,
                    slope,
                )  # fmt: skip
                for i in range(count):
                    out[i] += share * (((base[i] + slope[i] * totals[i]) - zero) * gain - out[i])


@kernel
def slope_mix(past, through, volume, inputs, offsets, slots, lines, scales, given, to_sum, to_volume):
    """Slopes by the sum at the mixer and by the volume from those by the sound."""
    scale, gain = scales[0], scales[2]
    kind = past.dtype.type
    totals, base, slope = np.empty(BLOCK, past.dtype), np.empty(BLOCK, past.dtype), np.empty(BLOCK, past.dtype)
    base_above, slope_above = np.empty(BLOCK, past.dtype), np.empty(BLOCK, past.dtype)
    index = np.empty(BLOCK, np.int32)
    for slot in range(volume.size):
        low = min(int(volume[slot]), 14)  # the slope at full volume is that of the last step
        share = kind(volume[slot] - low)
        per_sum = kind(LINES / max(inputs[slot], 1))
        row = (low * 8 + inputs[slot]) * (LINES + 1)
        above = row + 8 * (LINES + 1)
        sums = np.zeros(8)
        for first in range(slots[slot] if slot else 0, slots[slot + 1], BLOCK):
            end = min(first + BLOCK, slots[slot + 1])
            count = end - first
            here, there, grad, out = past[first:end], through[first:end], given[first:end], to_sum[first:end]
            look_up(
                here, there, scale, offsets[slot], per_sum, lines[row : row + LINES + 1], totals, index, base, slope
            )
            look_up(
                here, there, scale, offsets[slot], per_sum, lines[above : above + LINES + 1], totals, index,
                base_above, slope_above,
            )  # fmt: skip
            for i in range(count):
                step = slope_above[i] - slope[i]
                out[i] = grad[i] * gain * (slope[i] + share * step)
                base[i] = grad[i] * ((base_above[i] - base[i]) + step * totals[i])
            for i in range(0, count // 8 * 8, 8):
                for k in range(8):
                    sums[k] += base[i + k]
            for i in range(count // 8 * 8, count):
                sums[0] += base[i]
        total = ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))
        to_volume[slot] += total * gain
