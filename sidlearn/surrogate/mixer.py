"""What lies between the waveforms and the sound: envelopes on voices, routing, mixer and volume."""

from __future__ import annotations

import numpy as np
import torch

from sidlearn._kernel import kernel
from sidlearn.chip.models import LINES
from sidlearn.registers import VOICES
from sidlearn.surrogate.batch import array, over_rows, tensor_like
from sidlearn.surrogate.controls import Controls
from sidlearn.surrogate.grid import Grid

FILTEX, FILT3, VOICE_3_OFF = 8, 4, 8
LOW_PASS, BAND_PASS, HIGH_PASS = 1, 2, 4


def count_bits(values: np.ndarray) -> np.ndarray:
    """Return the number of ones in the lower four bits."""
    return sum((values >> bit & 1 for bit in range(4)), np.zeros_like(values))


def first_steps(cycles: np.ndarray, grid: Grid, steps: int) -> np.ndarray:
    """Return for cycles (..., f) the first step that each setting is in force for, and the end: int64 (..., f + 1)."""
    first = np.ceil((cycles + grid.delay) / grid.step_cycles).astype(np.int64) - 1
    first = np.clip(first, 0, steps)
    first[..., 0] = np.minimum(first[..., 0], steps)
    return np.concatenate((first, np.full((*first.shape[:-1], 1), steps)), -1)


class Combine(torch.autograd.Function):
    """(b, 3, steps) waveform levels and (b, 3, edges) envelope levels, both of DACs, to the sums of voltages (b, steps)
    that go to the filter and past it."""

    @staticmethod
    def forward(ctx, waves, envelopes, routes: np.ndarray, first: np.ndarray, per_edge: int, model):
        wave, envelope = array(waves), array(envelopes)
        voltages = np.array([model.voice_dc, model.voice_range, model.voice_drift, model.ext_in])
        routed = np.zeros((len(wave), wave.shape[2]), wave.dtype)
        mixed = np.zeros_like(routed)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                combine(wave[b], envelope[b], routes[b], first[b], per_edge, voltages, routed[b], mixed[b])

        over_rows(work, len(wave))
        ctx.save_for_backward(waves, envelopes)
        ctx.setting = routes, first, per_edge, voltages
        return tensor_like(routed, waves), tensor_like(mixed, waves)

    @staticmethod
    def backward(ctx, to_routed, to_mixed):
        waves, envelopes = ctx.saved_tensors
        routes, first, per_edge, voltages = ctx.setting
        wave, envelope, routed, mixed = array(waves), array(envelopes), array(to_routed), array(to_mixed)
        to_wave, to_envelope = np.zeros_like(wave), np.zeros_like(envelope)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                slope_combine(
                    wave[b], envelope[b], routes[b], first[b], per_edge, voltages, routed[b], mixed[b],
                    to_wave[b], to_envelope[b],
                )  # fmt: skip

        over_rows(work, len(wave))
        return tensor_like(to_wave, waves), tensor_like(to_envelope, envelopes), None, None, None, None


class Mix(torch.autograd.Function):
    """(b, steps) sums past the filter and out of it, and (b, f) volumes, to the sound (b, steps) before the board."""

    @staticmethod
    def forward(ctx, mixed, filtered, volume, controls: Controls, first: np.ndarray, lines: np.ndarray, model):
        past, through, level = array(mixed), array(filtered), array(volume).astype(np.float64)
        routing, mode = controls.routing, controls.mode
        inputs = 4 - count_bits(routing) - ((mode & VOICE_3_OFF != 0) & (routing & FILT3 == 0))
        selected = count_bits(mode & (LOW_PASS | BAND_PASS | HIGH_PASS))
        offsets = np.asarray(model.filter_out_offset)[selected]
        scales = np.array([model.filter_out_scale, model.output_zero, model.output_scale])
        sound = np.zeros_like(past)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                mix(
                    past[b], through[b], level[b], (inputs + selected)[b], offsets[b], first[b], lines, scales, sound[b]
                )

        over_rows(work, len(past))
        ctx.save_for_backward(mixed, filtered, volume)
        ctx.setting = inputs + selected, offsets, first, lines, scales
        return tensor_like(sound, mixed)

    @staticmethod
    def backward(ctx, grad):
        mixed, filtered, volume = ctx.saved_tensors
        inputs, offsets, first, lines, scales = ctx.setting
        past, through, level, given = array(mixed), array(filtered), array(volume).astype(np.float64), array(grad)
        to_sum, to_volume = np.zeros_like(past), np.zeros_like(level)

        def work(start: int, end: int) -> None:
            for b in range(start, end):
                slope_mix(
                    past[b], through[b], level[b], inputs[b], offsets[b], first[b], lines, scales, given[b],
                    to_sum[b], to_volume[b],
                )  # fmt: skip

        over_rows(work, len(past))
        to_sum_tensor = tensor_like(to_sum, mixed)
        to_volume_tensor = tensor_like(to_volume, volume).to(volume.dtype)
        return to_sum_tensor, to_sum_tensor * float(scales[0]), to_volume_tensor, None, None, None, None


def routes_of(controls: Controls) -> np.ndarray:
    """Return where each voice and EXT IN go: bits 0 to 3 into the filter, bits 4 to 7 past it. Int64 (b, f)."""
    past = ~controls.routing & 0xF
    past = np.where(controls.mode & VOICE_3_OFF, past & ~FILT3, past)
    return controls.routing | past << 4


# --- Kernels -----------------------------------------------------------------------------------------------------


@kernel
def combine(wave, envelope, routes, first, per_edge, voltages, routed, mixed):
    """Sums of voltages of one chip. The envelope is a straight line between its edges, `per_edge` steps apart."""
    zero, per_wave, drift = voltages[0], voltages[1], voltages[2]
    for f in range(routes.size):
        route = routes[f]
        ext_in = zero + per_wave * voltages[3]
        for sums, bits in ((routed, route & 0xF), (mixed, route >> 4)):
            for i in range(first[f], first[f + 1]):
                sums[i] = ext_in if bits & FILTEX else 0.0
            for v in range(VOICES):
                if bits >> v & 1:
                    i = first[f]
                    while i < first[f + 1]:
                        edge = i // per_edge
                        end = min(first[f + 1], (edge + 1) * per_edge)
                        rise = (envelope[v, edge + 1] - envelope[v, edge]) / per_edge
                        start = envelope[v, edge] + (i - edge * per_edge + 0.5) * rise
                        for k in range(i, end):
                            level = start + (k - i) * rise
                            sums[k] += zero + level * (drift + per_wave * wave[v, k])
                        i = end


@kernel
def slope_combine(wave, envelope, routes, first, per_edge, voltages, to_routed, to_mixed, to_wave, to_envelope):
    """Slopes by waveform and envelope levels from those by the sums."""
    per_wave, drift = voltages[1], voltages[2]
    for f in range(routes.size):
        for sums, bits in ((to_routed, routes[f] & 0xF), (to_mixed, routes[f] >> 4)):
            for v in range(VOICES):
                if bits >> v & 1:
                    i = first[f]
                    while i < first[f + 1]:
                        edge = i // per_edge
                        end = min(first[f + 1], (edge + 1) * per_edge)
                        start, share = envelope[v, edge], i - edge * per_edge + 0.5
                        rise = (envelope[v, edge + 1] - start) / per_edge
                        to_start = to_rise = 0.0
                        for k in range(i, end):
                            after = share + (k - i)
                            to_wave[v, k] += sums[k] * per_wave * (start + after * rise)
                            by_level = sums[k] * (drift + per_wave * wave[v, k])
                            to_start += by_level
                            to_rise += by_level * after
                        to_envelope[v, edge] += to_start - to_rise / per_edge
                        to_envelope[v, edge + 1] += to_rise / per_edge
                        i = end


@kernel
def mix(past, through, volume, inputs, offsets, first, lines, scales, sound):
    """Mixer and volume by one table; between two volumes on a straight line."""
    scale, zero, gain = scales[0], scales[1], scales[2]
    for f in range(volume.size):
        low = min(int(volume[f]), 15)
        share = volume[f] - low
        per_sum = LINES / max(inputs[f], 1)
        row = (low * 8 + inputs[f]) * (LINES + 1)
        above = (min(low + 1, 15) * 8 + inputs[f]) * (LINES + 1)
        offset = offsets[f]
        for i in range(first[f], first[f + 1]):
            total = past[i] + (scale * through[i] + offset)
            n = int(min(max(0.0, total * per_sum), LINES - 0.01))
            level = lines[row + n, 0] + lines[row + n, 1] * total
            if share:
                level += share * (lines[above + n, 0] + lines[above + n, 1] * total - level)
            sound[i] = (level - zero) * gain


@kernel
def slope_mix(past, through, volume, inputs, offsets, first, lines, scales, given, to_sum, to_volume):
    """Slopes by the sum at the mixer and by the volume from those by the sound."""
    scale, gain = scales[0], scales[2]
    for f in range(volume.size):
        low = min(int(volume[f]), 15)
        share = volume[f] - low
        per_sum = LINES / max(inputs[f], 1)
        if low == 15:  # the slope at full volume is that of the last step
            low, share = 14, 1.0
        row = (low * 8 + inputs[f]) * (LINES + 1)
        above = ((low + 1) * 8 + inputs[f]) * (LINES + 1)
        offset, total_volume = offsets[f], 0.0
        for i in range(first[f], first[f + 1]):
            total = past[i] + (scale * through[i] + offset)
            n = int(min(max(0.0, total * per_sum), LINES - 0.01))
            slope = lines[row + n, 1] + share * (lines[above + n, 1] - lines[row + n, 1])
            step = lines[above + n, 0] - lines[row + n, 0] + (lines[above + n, 1] - lines[row + n, 1]) * total
            to_sum[i] = given[i] * gain * slope
            total_volume += given[i] * gain * step
        to_volume[f] += total_volume
