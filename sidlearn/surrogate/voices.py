"""Three voices: oscillators times envelopes, and where they are routed, as sums of voltages.

The oscillators are followed frame by frame, and what is known of them is summed up at once, while it is in the cache.
"""

from __future__ import annotations

import numpy as np
import torch

from sidlearn._kernel import kernel, part_kernel
from sidlearn.registers import VOICES
from sidlearn.surrogate.batch import array, over_rows, tensor_like
from sidlearn.surrogate.controls import Controls
from sidlearn.surrogate.grid import FINER, HALF_TAPS, Cells
from sidlearn.surrogate.mixer import FILTEX
from sidlearn.surrogate.oscillator import (
    PHASES,
    S_CELL,
    S_COUNT,
    S_STATE,
    SEGMENT,
    Waves,
    follow_frame,
    power_on,
    room,
    slope_segments,
)

PER_EDGE = 8
"""Cells over which an envelope is a straight line: 60 us."""
BLOCK = 512
"""Cells that are summed up at a time."""


class Voices(torch.autograd.Function):
    """(b, 3, f, 2) frequencies and pulse widths and (b, 3, edges) levels at the envelope DACs to the sums of voltages
    that go to the filter and past it, both (b, cells).

    An envelope is a straight line between its edges, `PER_EDGE` cells apart. `routes` (b, slots) hold from the cells
    `Cells.slots` on. If `quick`, combined waveforms are added up over the chip's own cycles, and the others' averages
    taken in single precision.
    """

    @staticmethod
    def forward(
        ctx, frequency, pulse_width, envelopes, controls: Controls, routes: np.ndarray, tables: Waves, cells: Cells,
        model, quick: bool,
    ):  # fmt: skip
        rates = array(frequency).astype(np.float64) / PHASES
        widths, envelope = array(pulse_width).astype(np.float64), array(envelopes)
        kind = envelope.dtype.type
        taps, per_cell = cells.taps.astype(kind), 1 / np.diff(cells.parts)
        voltages = np.array([model.voice_dc, model.voice_range, model.voice_drift, model.ext_in]).astype(kind)
        keep = any(ctx.needs_input_grad[:3])
        wave = np.empty((len(rates) if keep else 1, VOICES, cells.count if keep else BLOCK), kind)
        routed = np.empty((len(rates), cells.count), kind)
        mixed = np.empty_like(routed)
        segments: list[list[np.ndarray]] = [[] for _ in range(len(rates))]
        t = tables

        def work(first: int, end: int) -> None:
            parts = np.empty((VOICES, len(per_cell)), kind)
            ours = wave if keep else np.empty_like(wave)
            for b in range(first, end):
                most = room(rates[b], controls.control[b], cells.frame_cycles) if keep else 1
                found = np.empty((VOICES, most, SEGMENT))
                counts = play_voices(
                    rates[b], widths[b], controls.control[b], controls.voice_cycles[b], t.codes, t.low_codes, t.levels,
                    t.integrals, t.lines, t.means, t.low_levels, t.periods, t.dac, t.fade, cells.parts, per_cell, quick,
                    keep, found, parts, envelope[b], routes[b], cells.slots, cells.slot_steps, taps, voltages,
                    ours[b if keep else 0], routed[b], mixed[b],
                )  # fmt: skip
                segments[b] = [found[v, : counts[v]].copy() for v in range(VOICES)] if keep else []

        over_rows(work, len(rates))
        ctx.save_for_backward(envelopes)
        ctx.setting = segments, wave, routes, tables, cells, per_cell, voltages, quick
        ctx.shapes = frequency.shape, pulse_width.shape
        return tensor_like(routed, envelopes), tensor_like(mixed, envelopes)

    @staticmethod
    def backward(ctx, to_routed, to_mixed):
        segments, wave, routes, t, cells, per_cell, voltages, quick = ctx.setting
        envelope, routed, mixed = array(ctx.saved_tensors[0]), array(to_routed), array(to_mixed)
        rate_slopes, width_slopes = (np.zeros((*s[:2], s[2] * s[3])) for s in ctx.shapes)
        to_envelope = np.empty_like(envelope)
        taps = cells.taps.astype(wave.dtype)

        def work(first: int, end: int) -> None:
            parts, to_wave = np.empty(len(per_cell), wave.dtype), np.empty(wave.shape[1:], wave.dtype)
            for b in range(first, end):
                slope_combine(
                    wave[b], envelope[b], routes[b], cells.slots, voltages, routed[b], mixed[b], to_wave, to_envelope[b]
                )
                for v in range(VOICES):
                    part_slopes(to_wave[v], taps, cells.runs, cells.steps, parts)
                    slope_segments(
                        segments[b][v], parts, t.integrals, t.lines, t.low_levels, cells.parts, per_cell, quick,
                        rate_slopes[b, v], width_slopes[b, v],
                    )  # fmt: skip

        over_rows(work, len(wave))
        return (
            tensor_like((rate_slopes / PHASES).reshape(ctx.shapes[0]), to_routed).to(to_routed.dtype),
            tensor_like(width_slopes.reshape(ctx.shapes[1]), to_routed).to(to_routed.dtype),
            tensor_like(to_envelope, to_routed),
            *[None] * 6,
        )


# --- Kernels -----------------------------------------------------------------------------------------------------


@kernel
def play_voices(
    rates, widths, control, cycles, codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac, fade,
    edges, per_cell, quick, keep, segments, parts, envelope, routes, slots, slot_steps, taps, voltages, wave, routed,
    mixed,
):  # fmt: skip
    """Sums of voltages of one chip. Returns how many segments each voice has."""
    states = np.empty((VOICES, S_STATE))
    power_on(states, edges, parts)
    done = 0
    for f in range(control.shape[1] + 1):
        follow_frame(
            states, f, rates, widths, control, cycles, codes, low_codes, tables, integrals, lines, means, low_levels,
            periods, dac, fade, edges, per_cell, quick, keep, segments, parts,
        )  # fmt: skip
        known = int(min(states[0, S_CELL], states[1, S_CELL], states[2, S_CELL]))
        done = combine_slots(
            done, known, parts, taps, slots, slot_steps, envelope, routes, voltages, keep, wave, routed, mixed
        )
    return states[:, S_COUNT].astype(np.int64)


@part_kernel
def combine_slots(done, known, parts, taps, slots, slot_steps, envelope, routes, voltages, keep, wave, routed, mixed):
    """Sum up all slots from `done` on whose parts are `known`; returns the first that is left."""
    lines = np.empty(BLOCK + 2 * PER_EDGE, wave.dtype)
    while done < routes.size:
        first, end, step = slots[done] if done else 0, slots[done + 1], slot_steps[done]
        if FINER * (step + end - first - 1) + 2 * HALF_TAPS > known:
            break
        for begin in range(first, end, BLOCK):
            count = min(BLOCK, end - begin)
            sum_block(
                routes[done], begin, parts, FINER * (step + begin - first), taps, envelope, voltages, lines, wave,
                begin if keep else 0, routed[begin : begin + count], mixed[begin : begin + count],
            )  # fmt: skip
        done += 1
    return done


@part_kernel
def sum_block(route, begin, parts, part, taps, envelope, voltages, lines, wave, column, to_filter, past):
    """Sum up some cells, from `begin` on, whose parts begin at `part`; waves are left in `wave` from a column on."""
    count = past.size
    start_sums(route, voltages, to_filter, past)
    for v in range(VOICES):
        here = wave[v, column : column + count]
        join_parts(parts[v, part:], taps, here)
        edge, skip = begin // PER_EDGE, begin % PER_EDGE
        fill_lines(envelope[v, edge:], lines[: -(-(skip + count) // PER_EDGE) * PER_EDGE])
        line = lines[skip : skip + count]
        if route >> v & 1:
            add_voice(here, line, voltages, to_filter)
        if route >> 4 + v & 1:
            add_voice(here, line, voltages, past)


@part_kernel
def start_sums(route, voltages, to_filter, past):
    """What goes to the filter and past it without the voices: EXT IN."""
    nothing = voltages[0] - voltages[0]
    ext_in = voltages[0] + voltages[1] * voltages[3]
    in_filter, in_past = ext_in if route & FILTEX else nothing, ext_in if route >> 4 & FILTEX else nothing
    for i in range(past.size):
        to_filter[i] = in_filter
        past[i] = in_past


@part_kernel
def add_voice(wave, line, voltages, sums):
    """Add a voice's voltages."""
    zero, per_wave, drift = voltages[0], voltages[1], voltages[2]
    for i in range(sums.size):
        sums[i] += zero + line[i] * (drift + per_wave * wave[i])


@part_kernel
def join_parts(parts, taps, levels):
    """The level of each cell, that of its step: the parts around the step's middle, weighted."""
    a, b, c, d = taps[0], taps[1], taps[2], taps[3]  # the others are the same turned round
    for i in range(levels.size):
        n = FINER * i
        levels[i] = (a * (parts[n] + parts[n + 7]) + b * (parts[n + 1] + parts[n + 6])) + (
            c * (parts[n + 2] + parts[n + 5]) + d * (parts[n + 3] + parts[n + 4])
        )


@part_kernel
def fill_lines(envelope, levels):
    """An envelope's straight lines, each over `PER_EDGE` cells."""
    number = envelope.dtype.type
    per, half = number(1 / PER_EDGE), number(0.5)
    c, d, e, f, g, h = number(2), number(3), number(4), number(5), number(6), number(7)
    for edge in range(levels.size // PER_EDGE):
        rise = (envelope[edge + 1] - envelope[edge]) * per
        start, n = envelope[edge] + half * rise, PER_EDGE * edge
        levels[n], levels[n + 1], levels[n + 2], levels[n + 3] = (
            start, start + rise, start + c * rise, start + d * rise,
        )  # fmt: skip
        levels[n + 4], levels[n + 5], levels[n + 6], levels[n + 7] = (
            start + e * rise, start + f * rise, start + g * rise, start + h * rise,
        )  # fmt: skip


@kernel
def part_slopes(slopes, taps, runs, steps, parts):
    """Slopes by parts of steps from those by cells."""
    a, b, c, d = taps[0], taps[1], taps[2], taps[3]
    before = HALF_TAPS - 1
    by_step = np.zeros(steps + 2 * before, slopes.dtype)
    for cuts in range(runs.size - 1):
        here, by = slopes[runs[cuts] : runs[cuts + 1]], by_step[before + runs[cuts] - cuts :]
        for i in range(here.size):
            by[i] += here[i]
    for i in range(steps + before):
        parts[FINER * i] = (b * by_step[i] + d * by_step[i + 1]) + (c * by_step[i + 2] + a * by_step[i + 3])
        parts[FINER * i + 1] = (a * by_step[i] + c * by_step[i + 1]) + (d * by_step[i + 2] + b * by_step[i + 3])


@kernel
def slope_combine(wave, envelope, routes, slots, voltages, to_routed, to_mixed, to_wave, to_envelope):
    """Slopes by waveform and envelope levels from those by the sums."""
    per_wave, drift = voltages[1], voltages[2]
    nothing = drift - drift
    size = wave.shape[1]
    level, by_level = np.empty(-(-size // PER_EDGE) * PER_EDGE, wave.dtype), np.empty(size, wave.dtype)
    for v in range(VOICES):
        fill_lines(envelope[v], level)
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
