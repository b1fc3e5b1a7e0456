"""The whole chip in one pass, where no gradients are asked for: what one unit gives is taken by the next in the cache.

Chips are worked on side by side, frame by frame. A frame's voices are played chip by chip, up to where they are known;
from there on all goes cell by cell, `LANES` chips at a time. What a voice plays beyond that is kept for the next frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from sidlearn._kernel import kernel, part_kernel
from sidlearn.registers import VOICES, WRITABLE
from sidlearn.surrogate import filter as filters
from sidlearn.surrogate import mixer, output
from sidlearn.surrogate.batch import LANES, array, over_rows
from sidlearn.surrogate.controls import Controls
from sidlearn.surrogate.filter import load_inputs, recur_block, set_frame
from sidlearn.surrogate.grid import FINER, HALF_TAPS, Cells, Grid, cells, write_gap
from sidlearn.surrogate.mixer import BAND_PASS, HIGH_PASS, LOW_PASS, count_bits, mix_lanes, routes_of, set_slot
from sidlearn.surrogate.oscillator import PHASES, S_CELL, S_STATE, SEGMENT, Waves, follow_frame, power_on
from sidlearn.surrogate.output import block_direct_lanes, clip, decimate_lanes, put_step
from sidlearn.surrogate.voices import BLOCK, PER_EDGE, sum_block

SAMPLES = 64
"""Samples that are made at a time."""


@dataclass(frozen=True)
class Schedule:
    """How far each of some frames, and what is behind the last, leads; all int64 (frames + 1,) but for the sizes."""

    ends: np.ndarray
    """Cells that are known once the voices have been followed to its first write."""
    steps: np.ndarray
    """Steps of these."""
    samples: np.ndarray
    """Samples that can be made of these."""
    parts: int
    """Parts of steps that a voice plays in a frame, at most."""
    tail: int
    """Parts of them that are left for the next, at most."""
    columns: int
    """Samples whose steps lie side by side, at most."""


@lru_cache(maxsize=16)
def schedule(grid: Grid, frames: int, frame_cycles: int, taps: int) -> Schedule:
    """Return the schedule of so many frames, for a decimator of so many taps."""
    made = cells(grid, frames, frame_cycles)
    starts = np.arange(frames) * frame_cycles
    known = np.searchsorted(made.parts, starts, "right") - 1
    steps = np.append(np.maximum((known - 2 * HALF_TAPS) // FINER + 1, 0), made.steps)
    last = np.searchsorted(made.parts, starts + WRITABLE * write_gap(frame_cycles), "right") - 1
    last = np.append(np.minimum(last, len(made.parts) - 2), len(made.parts) - 2)
    first = FINER * np.append(0, steps)  # part with which each frame's begin
    samples = (steps + first_place(taps, grid.oversampling) - taps) // grid.oversampling + 1
    samples = np.append(np.clip(samples[:-1], 0, made.samples), made.samples)
    columns = -(-(steps + first_place(taps, grid.oversampling)) // grid.oversampling) - np.append(0, samples[:-1])
    return Schedule(
        ends=np.searchsorted(made.cell_steps, steps),
        steps=steps,
        samples=samples,
        parts=int((last + 1 - first[:-1]).max()),
        tail=int(max((last + 1 - first[1:])[:-1].max(), known[0] + 1)),
        columns=int(max(columns.max(), np.diff(samples, prepend=0).max()) + taps // grid.oversampling + 1),
    )


def first_place(taps: int, oversampling: int) -> int:
    """Return the place of step 0 among those that samples are made of: sample k from place k * oversampling on."""
    return taps // 2 - oversampling + 1


def render(
    controls: Controls, envelopes: np.ndarray, grid: Grid, where: Cells, tables: Waves, made: filters.Filter,
    mix_lines: np.ndarray, start: float, model: Any,
) -> np.ndarray:  # fmt: skip
    """Return the sound of some chips.

    Parameters
    ----------
    controls : Controls
    envelopes : ndarray, float32, shape (b, 3, edges)
        Levels at the envelope DACs, an edge every `PER_EDGE` cells.
    grid : Grid
    where : Cells
    tables : Waves
    made : Filter
    mix_lines : ndarray, shape (16 * 8 * (LINES + 1), 2)
    start : float
        What the board's capacitors stand at.
    model : record
        The chip's.

    Returns
    -------
    audio : ndarray, float32, shape (b, samples)
    """
    kind = np.float32
    rates, widths = (array(v).astype(np.float64) for v in (controls.frequency, controls.pulse_width))
    rates /= PHASES
    rows, frames = controls.control.shape[0], controls.control.shape[2]
    fir = output.design(grid, float(model.low_pass)).astype(kind)
    plan = schedule(grid, frames, where.frame_cycles, fir.size)
    per_cell, shares = 1 / np.diff(where.parts), where.shares.astype(kind)
    voltages = np.array([model.voice_dc, model.voice_range, model.voice_drift, model.ext_in]).astype(kind)
    routes, filtered_inputs = routes_of(controls), count_bits(controls.routing) + 2
    selected = controls.mode & (LOW_PASS | BAND_PASS | HIGH_PASS)
    cutoff, resonance, volume = (array(v).astype(kind) for v in (controls.cutoff, controls.resonance, controls.volume))
    inputs = mixer.inputs_of(controls, mix_lines, model, kind)
    mix_words = inputs.lines.reshape(-1).view(np.complex64)
    keep = float((1 - model.high_pass) ** (grid.clock_hz / grid.sample_rate))
    made, t = made.astype(kind), tables
    audio = np.empty((rows, where.samples), kind)
    loudest = np.zeros(rows, kind)

    def work(begin: int, end: int) -> None:
        here = slice(begin, end)
        render_lanes(
            rates[here], widths[here], controls.control[here], controls.voice_cycles[here],
            (t.codes, t.low_codes, t.levels, t.integrals, t.lines, t.means, t.low_levels, t.periods, t.dac, t.fade),
            where.parts, per_cell, envelopes[here], routes[here], where.cell_steps, where.slots,
            where.taps.astype(kind), voltages, plan.ends, plan.steps, plan.samples, plan.parts, plan.tail,
            made.work(kind)[0], cutoff[here], resonance[here], filtered_inputs[here], selected[here], shares,
            kind(grid.step_cycles),
            (made.reverse, made.damping, made.summer, made.current, made.gate, made.bend), made.is_8580,
            bool(selected[here].any()), mixer.room(inputs.scales)[0], volume[here], inputs.counts[here],
            inputs.offsets[here], mix_words, where.start, kind(start), fir, keep,
            np.zeros((grid.oversampling, plan.columns, LANES), kind), first_place(fir.size, grid.oversampling),
            audio[here], loudest[here],
        )  # fmt: skip

    over_rows(work, rows, LANES)
    if loudest.max(initial=0) > model.clip_knee:
        clip(audio.reshape(-1), float(model.clip_knee))
    return audio


# --- Kernels -----------------------------------------------------------------------------------------------------


@kernel
def render_lanes(
    rates, widths, control, cycles, waves, edges, per_cell, envelope, routes, cell_steps, slots, taps, voltages, ends,
    steps, samples, size, tail, w, cutoff, resonance, inputs, selected, shares, step, circuits, is_8580, is_filtered, m,
    volume, counts, offsets, mix_lines, first_cell, start, fir, keep, rows, first_place, audio, loudest,
):  # fmt: skip
    """Play some chips side by side, to the end."""
    codes, low_codes, tables, integrals, lines, means, low_levels, periods, dac, fade = waves
    lanes = rates.shape[0]
    states, tails = np.empty((lanes, VOICES, S_STATE)), np.zeros((lanes, VOICES, tail), envelope.dtype)
    all_parts, unused = np.empty(VOICES * size, envelope.dtype), np.empty((VOICES, 1, SEGMENT))
    most = ends[0]
    for f in range(1, ends.size):
        most = max(most, ends[f] - ends[f - 1])
    routed, mixed = np.empty((lanes, most), envelope.dtype), np.empty((lanes, most), envelope.dtype)
    wave, levels = np.empty((VOICES, BLOCK), envelope.dtype), np.empty(BLOCK + 2 * PER_EDGE, envelope.dtype)
    block, past = np.zeros((SAMPLES, LANES), envelope.dtype), np.empty((SAMPLES, LANES), envelope.dtype)
    high = np.zeros(LANES)
    for lane in range(lanes):
        power_on(states[lane], edges, tails[lane])
    begin = slot = part = moved = sample = 0
    for f in range(ends.size):
        next_part = FINER * steps[f]
        here, per_here = edges[part:], per_cell[part:]
        count = min(size, per_here.size)
        parts = all_parts[: VOICES * count].reshape((VOICES, count))
        for lane in range(lanes):
            state, kept = states[lane], tails[lane]
            for v in range(VOICES):
                state[v, S_CELL] -= moved
                parts[v, : min(tail, count)] = kept[v, : min(tail, count)]
            follow_frame(
                state, f, rates[lane], widths[lane], control[lane], cycles[lane], codes, low_codes, tables, integrals,
                lines, means, low_levels, periods, dac, fade, here, per_here, True, False, unused, parts,
            )  # fmt: skip
            left = min(tail, count - (next_part - part))
            for v in range(VOICES):
                kept[v, :left] = parts[v, next_part - part : next_part - part + left]
            sum_cells(
                begin, ends[f], slot, part, cell_steps, slots, routes[lane], parts, taps, envelope[lane], voltages,
                levels, wave, routed[lane], mixed[lane],
            )  # fmt: skip
        slot = join_lanes(
            begin, ends[f], slot, slots, routed, mixed, w, cutoff, resonance, inputs, selected, shares, step, circuits,
            is_8580, is_filtered, m, volume, counts, offsets, mix_lines, cell_steps, first_cell, start, rows,
            first_place - sample * rows.shape[0], block, past,
        )  # fmt: skip
        begin, part, moved = ends[f], next_part, next_part - part
        sound_lanes(rows, fir, keep, high, block, audio[:, sample : samples[f]], loudest)
        move_columns(rows, samples[f] - sample)
        sample = samples[f]


@part_kernel
def slot_of(cell, slot, slots):
    """The slot, from `slot` on, that a cell is in; what is before the first belongs to it."""
    while slot + 2 < slots.size and slots[slot + 1] <= cell:
        slot += 1
    return slot


@part_kernel
def sum_cells(
    begin, end, slot, part, cell_steps, slots, routes, parts, taps, envelope, voltages, levels, wave, routed, mixed
):  # fmt: skip
    """Sums of voltages of one chip's cells, whose parts begin at `part`."""
    cell = begin
    while cell < end:
        slot = slot_of(cell, slot, slots)
        stop = min(end, slots[slot + 1], cell + BLOCK)
        sum_block(
            routes[slot], cell, parts, FINER * cell_steps[cell] - part, taps, envelope, voltages, levels, wave, 0,
            routed[cell - begin : stop - begin], mixed[cell - begin : stop - begin],
        )  # fmt: skip
        cell = stop


@part_kernel
def join_lanes(
    begin, end, slot, slots, routed, mixed, w, cutoff, resonance, inputs, selected, shares, step, circuits, is_8580,
    is_filtered, m, volume, counts, offsets, mix_lines, cell_steps, first_cell, start, rows, place, block, past,
):  # fmt: skip
    """Filter and mixer of some cells, laid out as steps, of which step 0 has that place; returns the last slot."""
    reverse, damping, summer, current, gates, bends = circuits
    cell, known = begin, -1
    between = between_volumes = False
    while cell < end:
        slot = slot_of(cell, slot, slots)
        if slot != known:
            between = set_frame(w, slot, cutoff, resonance, inputs, selected, step, gates, bends)
            between_volumes = set_slot(m, slot, volume, counts, offsets)
            known = slot
        count = min(end, slots[slot + 1], cell + SAMPLES) - cell
        if is_filtered:
            load_inputs(routed, cell - begin, count, block)
            recur_block(
                w, block, cell, count, slots[slot], shares, reverse, damping, summer, current, is_8580, 1, between,
                block.reshape((1, SAMPLES, LANES)), False,
            )  # fmt: skip
        else:
            block[:] = 0
        load_inputs(mixed, cell - begin, count, past)
        for n in range(count):
            mix_lanes(m, mix_lines, past[n], block[n], between_volumes)
            at = place + cell_steps[cell + n]
            if cell + n >= first_cell and at >= 0:
                joined = cell + n > 0 and cell_steps[cell + n - 1] == cell_steps[cell + n] and cell + n > first_cell
                put_step(rows, at, m["sound"], shares[cell + n], start, joined)
        cell += count
    return slot


@part_kernel
def sound_lanes(rows, fir, keep, high, block, audio, loudest):
    """Samples of all lanes from the steps that lie in rows."""
    for first in range(0, audio.shape[1], SAMPLES):
        count = min(SAMPLES, audio.shape[1] - first)
        out = block[:count]
        decimate_lanes(rows, first, fir, out)
        block_direct_lanes(out, keep, high)
        for lane in range(audio.shape[0]):
            row, most = audio[lane, first : first + count], loudest[lane]
            for i in range(count):
                row[i] = out[i, lane]
                most = max(most, abs(row[i]))
            loudest[lane] = most


@part_kernel
def move_columns(rows, count):
    """Let go of the samples that are made."""
    left = rows.shape[1] - count
    for p in range(rows.shape[0]):
        row = rows[p]
        for n in range(left):
            for i in range(LANES):
                row[n, i] = row[n + count, i]
        row[left:] = 0
