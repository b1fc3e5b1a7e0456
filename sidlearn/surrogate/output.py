"""From steps to samples: the chip's decimator with the board's low-pass in it, the DC block and the soft clip."""

from __future__ import annotations

from functools import lru_cache
from math import ceil

import numpy as np
import torch

from sidlearn._kernel import kernel
from sidlearn.chip import decimate
from sidlearn.surrogate.batch import array, over_rows, tensor_like
from sidlearn.surrogate.grid import Grid

STOP_DB = 70.0
"""Attenuation of what would alias, as the window's design takes it."""
BLOCK = 256
"""Samples that are made at a time, so that they stay in the cache."""


@lru_cache(maxsize=8)
def design(grid: Grid, low_pass: float) -> np.ndarray:
    """Return the taps that turn steps into samples: float64, shape (odd number of taps,), the middle one in step.

    Flat to where the chip's decimator is, against the droop of averages over a step, with the board's low-pass.

    Parameters
    ----------
    grid : Grid
    low_pass : float
        Share by which the board's low-pass follows its input each cycle.
    """
    steps_hz = grid.sample_rate * grid.oversampling
    pass_hz = min(decimate.PASS_HZ, decimate.PASS_SHARE * grid.sample_rate)
    stop_hz = min(grid.sample_rate, grid.clock_hz / decimate.FRAME) - pass_hz
    length = (STOP_DB - 8) / (2.285 * 2 * np.pi * (stop_hz - pass_hz) / steps_hz) + 1
    half = min(ceil(length / 2), int(grid.delay / grid.step_cycles) - 1)
    size = 1 << 14
    hz = np.arange(size // 2 + 1) * steps_hz / size
    wanted = np.where(hz <= (pass_hz + stop_hz) / 2, 1 / np.sinc(hz / steps_hz), 0).astype(np.complex128)
    cycle = np.exp(-2j * np.pi * hz / grid.clock_hz)
    wanted *= low_pass * cycle / (1 - (1 - low_pass) * cycle)
    ideal = np.fft.irfft(wanted)
    taps = ideal[np.arange(-half, half + 1) % size] * np.kaiser(2 * half + 1, 0.1102 * (STOP_DB - 8.7))
    return taps[::-1] / taps.sum()


class Decimate(torch.autograd.Function):
    """(b, steps) sound before the board to (b, samples) at the sample rate, the DC gone, clipped to -1..1."""

    @staticmethod
    def forward(ctx, sound, grid: Grid, samples: int, start: float, model):
        values = array(sound)
        taps = design(grid, float(model.low_pass)).astype(values.dtype)
        keep = float((1 - model.high_pass) ** (grid.clock_hz / grid.sample_rate))
        straight = np.empty((len(values), samples), values.dtype)  # before the clip
        first = max(grid.step_at(0), 0)

        def work(begin: int, end: int) -> None:
            for b in range(begin, end):
                decimate_steps(values[b], taps, grid.oversampling, first, start, straight[b])
                block_direct(straight[b], keep)

        over_rows(work, len(values))
        audio = straight
        knee = float(model.clip_knee)
        if np.abs(straight).max(initial=0) > knee:
            audio = straight.copy()
            clip(audio.reshape(-1), knee)
        ctx.setting = taps, grid.oversampling, first, keep, knee, straight, values.shape
        return tensor_like(audio, sound)

    @staticmethod
    def backward(ctx, grad):
        taps, oversampling, first, keep, knee, straight, shape = ctx.setting
        given = array(grad).copy()
        to_sound = np.zeros(shape, given.dtype)

        def work(begin: int, end: int) -> None:
            for b in range(begin, end):
                slope_clip(straight[b], given[b], knee)
                slope_block_direct(given[b], keep)
                slope_decimate(given[b], taps, oversampling, first, to_sound[b])

        over_rows(work, len(given))
        return tensor_like(to_sound, grad), None, None, None, None


# --- Kernels -----------------------------------------------------------------------------------------------------


@kernel
def decimate_steps(sound, taps, oversampling, first, start, audio):
    """Filter steps and take every `oversampling`-th; steps before `first` stand at `start`, which counts as 0."""
    half = taps.size // 2
    phases = np.zeros((oversampling, BLOCK + taps.size // oversampling + 2), sound.dtype)
    for begin in range(0, audio.size, BLOCK):
        count = min(BLOCK, audio.size - begin)
        lowest = (begin + 1) * oversampling - 1 - half  # the step under the first tap of the first sample
        for p in range(oversampling):
            for n in range(phases.shape[1]):
                i = lowest + n * oversampling + p
                phases[p, n] = sound[i] - start if first <= i < sound.size else 0.0
        out = audio[begin : begin + count]
        for i in range(count):
            out[i] = 0.0
        t = 0
        while t < taps.size:
            if t + 3 * oversampling < taps.size and t % oversampling == 0:
                for p in range(oversampling):
                    n = t // oversampling
                    a, b, c, d = (
                        taps[t + p], taps[t + p + oversampling], taps[t + p + 2 * oversampling],
                        taps[min(t + p + 3 * oversampling, taps.size - 1)],
                    )  # fmt: skip
                    if t + p + 3 * oversampling >= taps.size:
                        d = 0 * d
                    row = phases[p]
                    for i in range(count):
                        out[i] += (a * row[n + i] + b * row[n + i + 1]) + (c * row[n + i + 2] + d * row[n + i + 3])
                t += 4 * oversampling
            else:
                tap, row, n = taps[t], phases[t % oversampling], t // oversampling
                for i in range(count):
                    out[i] += tap * row[n + i]
                t += 1


@kernel
def slope_decimate(given, taps, oversampling, first, to_sound):
    """Slopes by the steps from those by the samples."""
    half = taps.size // 2
    size = given.size
    for p in range(oversampling):
        # Steps i = n * oversampling + p; sample k reaches step (k + 1) * oversampling - 1 - half + t.
        count = (to_sound.size - p + oversampling - 1) // oversampling
        sums = np.zeros(count, given.dtype)
        for t in range(taps.size):
            away = p + 1 + half - t
            if away % oversampling:
                continue
            shift = away // oversampling - 1  # k = n + shift
            tap = taps[t]
            for n in range(max(0, -shift), min(count, size - shift)):
                sums[n] += tap * given[n + shift]
        for n in range(count):
            i = n * oversampling + p
            if i >= first:
                to_sound[i] = sums[n]


@kernel
def block_direct(audio, keep):
    """The board's DC block."""
    high = 0.0
    for i in range(audio.size):
        level = audio[i]
        audio[i] = level - high
        high = level + keep * (high - level)


@kernel
def slope_block_direct(given, keep):
    """The same for slopes, backwards."""
    to_high = 0.0
    for i in range(given.size - 1, -1, -1):
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
