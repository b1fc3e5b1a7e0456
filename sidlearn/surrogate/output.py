"""From steps to samples: the chip's decimator with the board's low-pass in it, the DC block and the soft clip."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
import torch

from sidlearn._kernel import kernel, part_kernel
from sidlearn.chip import decimate
from sidlearn.surrogate.batch import LANES, array, over_rows, tensor_like
from sidlearn.surrogate.grid import Cells, Grid

STOP_DB = 70.0
"""Attenuation of what would alias, as the window's design takes it."""
BLOCK = 512
"""Samples that are made at a time, so that they stay in the cache."""
CHAIN = 8
"""Samples of the DC block that follow one from the other."""


@lru_cache(maxsize=8)
def design(grid: Grid, low_pass: float) -> np.ndarray:
    """Return the taps that turn steps into samples: float64, shape (odd number of taps,), the middle one in step.

    Flat to where the chip's decimator is, against what averages and taps take from voices, with the board's low-pass.

    Parameters
    ----------
    grid : Grid
    low_pass : float
        Share by which the board's low-pass follows its input each cycle.
    """
    steps_hz = grid.sample_rate * grid.oversampling
    pass_hz = grid.pass_hz
    stop_hz = min(grid.sample_rate, grid.clock_hz / decimate.FRAME) - pass_hz
    length = (STOP_DB - 8) / (2.285 * 2 * np.pi * (stop_hz - pass_hz) / steps_hz) + 1
    half = min(ceil(length / 2), int(grid.delay / grid.step_cycles) - 1)
    size = 1 << 14
    hz = np.arange(size // 2 + 1) * steps_hz / size
    kept = hz <= (pass_hz + stop_hz) / 2
    wanted = np.zeros(len(hz), np.complex128)
    wanted[kept] = 1 / grid.voice_response(hz[kept])
    cycle = np.exp(-2j * np.pi * hz / grid.clock_hz)
    wanted *= low_pass * cycle / (1 - (1 - low_pass) * cycle)
    ideal = np.fft.irfft(wanted)
    taps = ideal[np.arange(-half, half + 1) % size] * np.kaiser(2 * half + 1, 0.1102 * (STOP_DB - 8.7))
    return taps[::-1] / taps.sum()


class Decimate(torch.autograd.Function):
    """(b, cells) sound before the board to (b, samples) at the sample rate, the DC gone, clipped to -1..1.

    What is before cycle 0 stands at `start`, which counts as 0.
    """

    @staticmethod
    def forward(ctx, sound, grid: Grid, cells: Cells, start: float, model):
        values = array(sound)
        kind = values.dtype.type
        taps = design(grid, float(model.low_pass)).astype(kind)
        shares = cells.shares.astype(kind)
        keep = float((1 - model.high_pass) ** (grid.clock_hz / grid.sample_rate))
        straight = np.zeros((len(values), cells.samples), kind)  # before the clip

        def work(begin: int, end: int) -> None:
            rows = np.empty(_rows_shape(grid, taps.size, cells.samples), kind)
            by_step = np.empty(cells.steps, kind)
            for b in range(begin, end):
                put_cells(
                    values[b], cells.runs, shares, cells.start, kind(start), grid.oversampling, taps.size, by_step, rows
                )
                decimate_rows(rows, taps, straight[b])
                block_direct(straight[b], keep)

        over_rows(work, len(values))
        audio = straight
        knee = float(model.clip_knee)
        if np.abs(straight).max(initial=0) > knee:
            audio = straight.copy()
            clip(audio.reshape(-1), knee)
        ctx.setting = taps, grid, cells, shares, keep, knee, straight
        return tensor_like(audio, sound)

    @staticmethod
    def backward(ctx, grad):
        taps, grid, cells, shares, keep, knee, straight = ctx.setting
        given = array(grad).copy()
        to_sound = np.empty((len(given), cells.count), given.dtype)

        def work(begin: int, end: int) -> None:
            rows = np.empty(_rows_shape(grid, taps.size, cells.samples), given.dtype)
            by_step = np.empty(cells.steps, given.dtype)
            for b in range(begin, end):
                slope_clip(straight[b], given[b], knee)
                slope_block_direct(given[b], keep)
                slope_decimate_rows(given[b], taps, rows)
                take_cells(rows, cells.runs, shares, cells.start, grid.oversampling, taps.size, by_step, to_sound[b])

        over_rows(work, len(given))
        return tensor_like(to_sound, grad), None, None, None, None


def _rows_shape(grid: Grid, taps: int, samples: int) -> tuple[int, int]:
    """Return the room for steps laid out [step within a sample, sample], as far as the taps reach."""
    return grid.oversampling, samples + taps // grid.oversampling + 1


# --- Kernels -----------------------------------------------------------------------------------------------------
# Sample k is made of the steps from (k + 1) * oversampling - 1 - taps // 2 on: of row p, column k + t, for tap
# t * oversampling + p.


@kernel
def put_cells(sound, runs, shares, first, start, oversampling, taps, by_step, rows):
    """Join cells to steps and lay those out so that the steps under one tap lie side by side."""
    for i in range(by_step.size):
        by_step[i] = 0
    for cuts in range(runs.size - 1):
        begin = max(runs[cuts], first)
        here, share = sound[begin : runs[cuts + 1]], shares[begin : runs[cuts + 1]]
        by = by_step[begin - cuts :]
        for i in range(here.size):
            by[i] += share[i] * (here[i] - start)
    for p in range(oversampling):
        row = rows[p]
        at, n = place(p, oversampling, taps)
        count = min(row.size - n, (by_step.size - at - 1) // oversampling + 1)
        for i in range(n):
            row[i] = 0
        here, x = row[n : n + count], by_step[at:]
        for i in range(count):
            here[i] = x[i * oversampling]
        for i in range(n + count, row.size):
            row[i] = 0


@kernel
def take_cells(rows, runs, shares, first, oversampling, taps, by_step, to_sound):
    """Slopes by cells from those by steps in rows."""
    for i in range(by_step.size):
        by_step[i] = 0
    for p in range(oversampling):
        row = rows[p]
        at, n = place(p, oversampling, taps)
        count = min(row.size - n, (by_step.size - at - 1) // oversampling + 1)
        here, x = row[n : n + count], by_step[at:]
        for i in range(count):
            x[i * oversampling] = here[i]
    for i in range(first):
        to_sound[i] = 0
    for cuts in range(runs.size - 1):
        begin = max(runs[cuts], first)
        to, share = to_sound[begin : runs[cuts + 1]], shares[begin : runs[cuts + 1]]
        by = by_step[begin - cuts :]
        for i in range(to.size):
            to[i] = share[i] * by[i]


@part_kernel
def place(p, oversampling, taps):
    """The first step that there is in row p, and its column."""
    at = oversampling - 1 - taps // 2 + p
    n = max(0, -(at // oversampling))
    return at + n * oversampling, n


@kernel
def decimate_rows(rows, taps, audio):
    """Add up the rows, each shifted by its taps, to samples that are zero; eight taps at a time."""
    oversampling = rows.shape[0]
    for begin in range(0, audio.size, BLOCK):
        count = min(BLOCK, audio.size - begin)
        out = audio[begin : begin + count]
        for p in range(oversampling):
            of_row = taps[p::oversampling]
            add_taps(rows[p, begin:], of_row, out, 1)


@part_kernel
def add_taps(row, taps, out, apart):
    """Add the convolution of a row with taps, whose values lie so far apart."""
    count, t = out.size, 0
    while t + 8 <= taps.size:
        a, b, c, d = taps[t], taps[t + 1], taps[t + 2], taps[t + 3]
        e, f, g, h = taps[t + 4], taps[t + 5], taps[t + 6], taps[t + 7]
        at = t * apart
        x0, x1, x2, x3 = row[at:], row[at + apart :], row[at + 2 * apart :], row[at + 3 * apart :]
        at += 4 * apart
        x4, x5, x6, x7 = row[at:], row[at + apart :], row[at + 2 * apart :], row[at + 3 * apart :]
        for i in range(count):
            out[i] += ((a * x0[i] + b * x1[i]) + (c * x2[i] + d * x3[i])) + (
                (e * x4[i] + f * x5[i]) + (g * x6[i] + h * x7[i])
            )
        t += 8
    while t < taps.size:
        tap, x = taps[t], row[t * apart :]
        for i in range(count):
            out[i] += tap * x[i]
        t += 1


@kernel
def slope_decimate_rows(given, taps, rows):
    """Slopes by the rows from those by the samples: the same with the taps turned round."""
    oversampling = rows.shape[0]
    most = taps.size // oversampling + 1
    padded = np.zeros(given.size + 2 * most + 8, given.dtype)
    padded[most : most + given.size] = given
    for p in range(oversampling):
        of_row = taps[p::oversampling][::-1].copy()
        row = rows[p]
        for begin in range(0, row.size, BLOCK):
            out = row[begin : begin + BLOCK]
            for i in range(out.size):
                out[i] = 0
            # row[n] meets sample n - t under tap t
            add_taps(padded[begin + most - of_row.size + 1 :], of_row, out, 1)


@kernel
def block_direct(audio, keep):
    """The board's DC block, some samples at a time: what is in them does not wait for what was before them."""
    high, powers = 0.0, keep ** np.arange(CHAIN + 1)
    whole = audio.size // CHAIN * CHAIN
    for begin in range(0, whole, CHAIN):
        x, own = audio[begin : begin + CHAIN], 0.0
        for k in range(CHAIN):
            level = float(x[k])
            x[k] = level - (own + powers[k] * high)
            own = level + keep * (own - level)
        high = own + powers[CHAIN] * high
    for i in range(whole, audio.size):
        level = audio[i]
        audio[i] = level - high
        high = level + keep * (high - level)


@kernel
def slope_block_direct(given, keep):
    """The same for slopes, backwards."""
    to_high, powers = 0.0, keep ** np.arange(CHAIN + 1)
    whole = given.size % CHAIN
    for begin in range(given.size - CHAIN, whole - 1, -CHAIN):
        x, own = given[begin : begin + CHAIN], 0.0
        for k in range(CHAIN):
            here = float(x[CHAIN - 1 - k])
            x[CHAIN - 1 - k] = here + (1 - keep) * (own + powers[k] * to_high)
            own = keep * own - here
        to_high = own + powers[CHAIN] * to_high
    for i in range(whole - 1, -1, -1):
        here = given[i]
        given[i] = here + (1 - keep) * to_high
        to_high = keep * to_high - here


@kernel
def clip(audio, knee):
    """Straight up to the knee, hyperbolic tangent above."""
    room = 1 - knee
    for i in range(audio.size):
        over = abs(audio[i]) - knee
        if over > 0:
            level = knee + room * np.tanh(over / room)
            audio[i] = level if audio[i] > 0 else -level


@kernel
def slope_clip(audio, given, knee):
    """Slopes through the clip, in place."""
    room = 1 - knee
    for i in range(audio.size):
        over = abs(audio[i]) - knee
        if over > 0:
            t = np.tanh(over / room)
            given[i] *= 1 - t * t


# --- Kernels: chips side by side ---------------------------------------------------------------------------------


@part_kernel
def put_step(rows, place, sound, share, start, joined):
    """Lay a cell of all lanes out as part of the step that has this place in rows, or as the first of it."""
    oversampling = rows.shape[0]
    here = rows[place % oversampling, place // oversampling]
    if joined:
        for i in range(LANES):
            here[i] += share * (sound[i] - start)
    else:
        for i in range(LANES):
            here[i] = share * (sound[i] - start)


@part_kernel
def decimate_lanes(rows, first, taps, audio):
    """`decimate_rows` of all lanes: rows (step within a sample, sample, lane), from a sample on, to (sample, lane)."""
    oversampling = rows.shape[0]
    flat = audio.reshape(audio.size)
    for i in range(flat.size):
        flat[i] = 0
    for p in range(oversampling):
        all_of_row = rows[p]
        row = all_of_row[first:]
        add_taps(row.reshape(row.size), taps[p::oversampling], flat, LANES)


@part_kernel
def block_direct_lanes(audio, keep, high):
    """The board's DC block of all lanes, whose capacitors stand at `high`, (LANES,)."""
    for k in range(audio.shape[0]):
        here = audio[k]
        for i in range(LANES):
            level = here[i]
            here[i] = level - high[i]
            high[i] = level + keep * (high[i] - level)
