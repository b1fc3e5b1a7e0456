"""What lies between the waveforms and the sound: envelopes on voices, routing, mixer and volume."""

from __future__ import annotations

import numpy as np
import torch

from sidlearn._kernel import kernel
from sidlearn.chip.models import LINES
from sidlearn.registers import VOICES
from sidlearn.surrogate.batch import array, over_rows, tensor_like
from sidlearn.surrogate.controls import Controls

FILTEX, FILT3, VOICE_3_OFF = 8, 4, 8
LOW_PASS, BAND_PASS, HIGH_PASS = 1, 2, 4
PER_EDGE = 8
"""Cells over which an envelope is a straight line: 60 us."""
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


class Combine(torch.autograd.Function):
    """(b, 3, cells) waveform levels and (b, 3, edges) envelope levels, both of DACs, to the sums of voltages (b, cells)
    that go to the filter and past it.

    An envelope is a straight line between its edges, `PER_EDGE` cells apart. `routes` (b, slots) hold from the cells
    `slots` (slots + 1,) on.
    """

    @staticmethod
    def forward(ctx, waves, envelopes, routes: np.ndarray, slots: np.ndarray, model):
        wave, envelope = array(waves), array(envelopes)
        kind = wave.dtype.type
        voltages = np.array([model.voice_dc, model.voice_range, model.voice_drift, model.ext_in]).astype(kind)
        routed = np.empty((len(wave), wave.shape[2]), wave.dtype)
        mixed = np.empty_like(routed)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                combine(wave[b], envelope[b], routes[b], slots, voltages, routed[b], mixed[b])

        over_rows(work, len(wave))
        ctx.save_for_backward(waves, envelopes)
        ctx.setting = routes, slots, voltages
        return tensor_like(routed, waves), tensor_like(mixed, waves)

    @staticmethod
    def backward(ctx, to_routed, to_mixed):
        waves, envelopes = ctx.saved_tensors
        routes, slots, voltages = ctx.setting
        wave, envelope, routed, mixed = array(waves), array(envelopes), array(to_routed), array(to_mixed)
        to_wave, to_envelope = np.empty_like(wave), np.empty_like(envelope)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                slope_combine(
                    wave[b], envelope[b], routes[b], slots, voltages, routed[b], mixed[b], to_wave[b], to_envelope[b]
                )

        over_rows(work, len(wave))
        return tensor_like(to_wave, waves), tensor_like(to_envelope, envelopes), None, None, None


class Mix(torch.autograd.Function):
    """(b, cells) sums past the filter and out of it, and (b, slots) volumes, to the sound (b, cells) before the
    board."""

    @staticmethod
    def forward(ctx, mixed, filtered, volume, controls: Controls, slots: np.ndarray, lines: np.ndarray, model):
        past, through, level = array(mixed), array(filtered), array(volume).astype(np.float64)
        kind = past.dtype.type
        routing, mode = controls.routing, controls.mode
        inputs = 4 - count_bits(routing) - ((mode & VOICE_3_OFF != 0) & (routing & FILT3 == 0))
        selected = count_bits(mode & (LOW_PASS | BAND_PASS | HIGH_PASS))
        offsets = np.asarray(model.filter_out_offset)[selected].astype(kind)
        scales = np.array([model.filter_out_scale, model.output_zero, model.output_scale]).astype(kind)
        table = lines.astype(kind)
        sound = np.empty_like(past)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                mix(past[b], through[b], level[b], (inputs + selected)[b], offsets[b], slots, table, scales, sound[b])

        over_rows(work, len(past))
        ctx.save_for_backward(mixed, filtered, volume)
        ctx.setting = inputs + selected, offsets, slots, table, scales
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


# --- Kernels -----------------------------------------------------------------------------------------------------


@kernel
def fill_line(envelope, levels):
    """An envelope's straight lines, cell by cell."""
    size = levels.size
    per = envelope.dtype.type(1 / PER_EDGE)
    half = envelope.dtype.type(0.5)
    for edge in range(size // PER_EDGE):
        start = envelope[edge]
        rise = (envelope[edge + 1] - start) * per
        here = levels[edge * PER_EDGE : (edge + 1) * PER_EDGE]
        for k in range(PER_EDGE):
            here[k] = start + (k + half) * rise
    for i in range(size // PER_EDGE * PER_EDGE, size):
        edge = size // PER_EDGE
        levels[i] = envelope[edge] + (i - edge * PER_EDGE + half) * ((envelope[edge + 1] - envelope[edge]) * per)


@kernel
def combine(wave, envelope, routes, slots, voltages, routed, mixed):
    """Sums of voltages of one chip."""
    zero, per_wave, drift = voltages[0], voltages[1], voltages[2]
    nothing = zero - zero
    ext_in = zero + per_wave * voltages[3]
    level = np.empty(wave.shape[1], wave.dtype)
    for v in range(VOICES):
        fill_line(envelope[v], level)
        for slot in range(routes.size):
            first, end = slots[slot] if slot else 0, slots[slot + 1]
            route = routes[slot]
            here, line = wave[v, first:end], level[first:end]
            for sums, bits in ((routed[first:end], route & 0xF), (mixed[first:end], route >> 4)):
                if v == 0:
                    start = ext_in if bits & FILTEX else nothing
                    for i in range(end - first):
                        sums[i] = start
                if bits >> v & 1:
                    for i in range(end - first):
                        sums[i] += zero + line[i] * (drift + per_wave * here[i])


@kernel
def slope_combine(wave, envelope, routes, slots, voltages, to_routed, to_mixed, to_wave, to_envelope):
    """Slopes by waveform and envelope levels from those by the sums."""
    per_wave, drift = voltages[1], voltages[2]
    nothing = drift - drift
    size = wave.shape[1]
    level, by_level = np.empty(size, wave.dtype), np.empty(size, wave.dtype)
    for v in range(VOICES):
        fill_line(envelope[v], level)
        for slot in range(routes.size):
            first, end = slots[slot] if slot else 0, slots[slot + 1]
            # A voice goes to one of the two sums, or to none.
            in_filter, past = routes[slot] >> v & 1, routes[slot] >> 4 + v & 1
            sums = to_routed[first:end] if in_filter else to_mixed[first:end]
            here, line, by = wave[v, first:end], level[first:end], by_level[first:end]
            slopes = to_wave[v, first:end]
            if in_filter or past:
                for i in range(end - first):
                    slopes[i] = sums[i] * (per_wave * line[i])
                    by[i] = sums[i] * (drift + per_wave * here[i])
            else:
                for i in range(end - first):
                    slopes[i] = by[i] = nothing
        slope_line(by_level, to_envelope[v])


@kernel
def slope_line(by_level, to_envelope):
    """Slopes by an envelope's edges from those cell by cell."""
    for edge in range(to_envelope.size):
        to_envelope[edge] = 0
    whole = by_level.size // PER_EDGE
    weights = (np.arange(PER_EDGE) + 0.5) / PER_EDGE
    a, b, c, d = weights[0], weights[1], weights[2], weights[3]
    e, f, g, h = weights[4], weights[5], weights[6], weights[7]
    for edge in range(whole):
        x = by_level[edge * PER_EDGE : (edge + 1) * PER_EDGE]
        total = ((x[0] + x[1]) + (x[2] + x[3])) + ((x[4] + x[5]) + (x[6] + x[7]))
        after = ((a * x[0] + b * x[1]) + (c * x[2] + d * x[3])) + ((e * x[4] + f * x[5]) + (g * x[6] + h * x[7]))
        to_envelope[edge] += total - after
        to_envelope[edge + 1] += after
    for i in range(whole * PER_EDGE, by_level.size):
        share = weights[i - whole * PER_EDGE]
        to_envelope[whole] += by_level[i] * (1 - share)
        to_envelope[whole + 1] += by_level[i] * share


@kernel
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
