"""From one sample a chip cycle to the sample rate: linear-phase filters, designed here and run by the kernel.

The first stage makes a sample of every eight cycles, from the last 64; the second one, a half-band filter, a sample of
two of those; the third one goes from there to any rate and makes good the first one's droop and the low-pass of the
C64's board. Above `RESAMPLED_MAX` the third stage works alone, and at the clock itself none. Design: Kaiser windows
(J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window function", 1974); fast mode, which has no
half-band, takes its last stage from `equiripple`.

Output sample k (from 0) is the filtered sound at ``(k + 1) * clock_hz / sample_rate - delay_cycles(...)`` cycles. Times
are whole numbers over `sample_rate`, so that they never drift, and after c cycles there are
``c * sample_rate // clock_hz`` samples.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sidlearn.chip import equiripple
from sidlearn.chip.state import ANSWER, FRAME, HALF_TAPS, HISTORY, PAIR, STAGE1_FRAMES, WINDOW
from sidlearn.errors import SampleRateError

PASS_HZ = 20_000
"""The sound is flat up to here, or up to `PASS_SHARE` of a low sample rate."""
PASS_SHARE = 0.4535  # 20 kHz of 44.1 kHz
STOP_DB = 108
"""Attenuation the windows are made for, with room to the -100 dB that aliases must stay under."""
PHASES = 256
"""Positions between two samples of the second stage; a straight line between two of them is 116 dB exact at 20 kHz."""
FAST_EVERY = 2
"""Where the last stage gets twice as many samples, half as many positions are as exact."""
CACHE_LINE = 64
"""Bytes."""
MIN_TAPS = 64
"""A shorter third stage cannot follow the first one's droop."""
TAPS_UNIT = 16
"""The kernel takes so many taps at a time."""

FAST_PASS_SHARE = 0.43
"""Fast mode is flat up to this share of the sample rate only: fewer taps."""

MIN_SAMPLE_RATE = 8_000
RESAMPLED_MAX = 192_000
MIN_CLOCK_HZ, MAX_CLOCK_HZ = 500_000, 1_200_000

_STAGE1_TAPS = FRAME * STAGE1_FRAMES


class Decimator(NamedTuple):
    """The taps and rates that the kernel works with."""

    stage1: np.ndarray
    """float32 (64,)."""
    half: np.ndarray
    """float32: the first half of every other tap of the half-band filter; empty if there is none."""
    stage2: np.ndarray
    """float32 (phases, 2 * taps): taps of the last stage, the oldest sample's first, then the steps to the next row."""
    step: int
    """Cycles for each sample that the last stage gets."""
    clock_hz: int
    sample_rate: int


def check_rates(sample_rate: object, clock_hz: object) -> None:
    """Check that there is a decimator from `clock_hz` to `sample_rate`.

    Raises
    ------
    SampleRateError
        If one of them is no whole number of Hz, or out of range.
    """
    if not isinstance(clock_hz, int) or not MIN_CLOCK_HZ <= clock_hz <= MAX_CLOCK_HZ:
        raise SampleRateError(f"clock {clock_hz!r}: expected a whole number of Hz, {MIN_CLOCK_HZ} to {MAX_CLOCK_HZ}")
    if not isinstance(sample_rate, int) or not MIN_SAMPLE_RATE <= sample_rate <= clock_hz:
        raise SampleRateError(
            f"sample rate {sample_rate!r}: expected a whole number of Hz, {MIN_SAMPLE_RATE} to {clock_hz}, the clock"
        )


@lru_cache(maxsize=8)
def design(sample_rate: int, clock_hz: int, low_pass: float | None = None, fast: bool = False) -> Decimator:
    """Return the decimator from `clock_hz` to `sample_rate`.

    Parameters
    ----------
    sample_rate, clock_hz : int
        In Hz.
    low_pass : float, optional
        Share by which the board's low-pass follows its input each cycle, to be part of the last stage.
    fast : bool
        For fast mode, whose filter and mixer work once in eight cycles.

    Raises
    ------
    SampleRateError
        If it cannot make that rate.
    """
    check_rates(sample_rate, clock_hz)
    step = _step(sample_rate, clock_hz, fast)
    stage1, input_hz = _stage1(clock_hz), clock_hz / step
    pass_hz = min(PASS_HZ, (FAST_PASS_SHARE if fast else PASS_SHARE) * sample_rate)
    stop_hz = min(sample_rate, input_hz) - pass_hz  # what folds back below pass_hz begins here
    if step == 1:
        low_pass = None  # the kernel's own

    def response(hz: np.ndarray) -> np.ndarray:
        return _response(hz, stage1 if step > 1 else np.ones(1), clock_hz, low_pass)

    if fast:
        taps = _taps(equiripple.length(stop_hz - pass_hz, input_hz))
        phases = PHASES // FAST_EVERY
        prototype = equiripple.prototype(taps, phases, pass_hz, stop_hz, input_hz, response)
    else:
        taps = _taps(_kaiser_length(stop_hz - pass_hz, input_hz))
        every = FAST_EVERY if step == FRAME else 1
        phases = PHASES // every
        prototype = _prototype(taps, (pass_hz + stop_hz) / 2, input_hz, response)[::every]
    prototype /= prototype[:-1].sum() / phases
    rows = np.stack([prototype[phase::phases][:taps][::-1] for phase in range(phases + 1)]).astype(np.float32)
    decimator = Decimator(
        stage1.astype(np.float32),
        _half_band().astype(np.float32) if step == PAIR else np.empty(0, np.float32),
        _aligned(np.hstack([rows[:-1], np.diff(rows, axis=0)])),
        step,
        clock_hz,
        sample_rate,
    )
    for part in decimator[:3]:
        part.flags.writeable = False
    return decimator


def _step(sample_rate: int, clock_hz: int, fast: bool) -> int:
    """Cycles for each sample that the last stage gets.

    A clock far below the C64's leaves no room for the half-band, and in fast mode one stage costs less than two.
    """
    if sample_rate > RESAMPLED_MAX and not fast:
        return 1
    half_hz = clock_hz / PAIR
    if fast:
        return FRAME
    fits = half_hz > 2 * PASS_HZ and _kaiser_length(half_hz - 2 * PASS_HZ, 2 * half_hz) <= HALF_TAPS
    return PAIR if fits else FRAME


def responses(decimator: Decimator) -> np.ndarray:
    """Return how the first stage answers to steps and bends of its input, for fast mode: float32, (RESPONSES,).

    First the share of its taps that lie before each cycle of its window, 0 to 1, `WINDOW` + 1 values. Then for each
    cycle of a frame twice `ANSWER`: what the frame's sample and those after it gain by a step of 1 from that cycle on,
    and by a slope of 1 a cycle.
    """
    taps = decimator.stage1.astype(np.float64) / decimator.stage1.sum(dtype=np.float64)
    step = np.append(0, np.cumsum(taps))
    values, none = [step], np.zeros(ANSWER - STAGE1_FRAMES)
    for cycle in range(FRAME):
        first = cycle + WINDOW - FRAME * (1 + np.arange(STAGE1_FRAMES))  # in the window of each sample
        values += [1 - step[first], none, np.array([taps[n:] @ np.arange(WINDOW - n) for n in first]), none]
    return np.concatenate(values).astype(np.float32)


def delay_cycles(sample_rate: int, clock_hz: int, fast: bool = False) -> int:
    """Cycles by which the sound of the decimator lags: half of each filter's length, and a frame in fast mode."""
    decimator = design(sample_rate, clock_hz, fast=fast)
    if decimator.step == 1 and sample_rate == clock_hz:
        return 0
    last = decimator.step * (decimator.stage2.shape[1] // 2) // 2
    if decimator.step == 1:
        return last
    half = FRAME * (HALF_TAPS // 2) if decimator.step == PAIR else 0
    return (FRAME if fast else 0) + _STAGE1_TAPS // 2 + half + last


def sample_count(cycles: int, sample_rate: int, clock_hz: int) -> int:
    """Samples that are out after so many cycles from power-on."""
    return cycles * sample_rate // clock_hz


def _aligned(array: np.ndarray) -> np.ndarray:
    """Return a copy that begins where a vector may: reading across two lines of the cache takes twice as long."""
    room = np.empty(array.size + CACHE_LINE // array.itemsize, array.dtype)
    start = -room.ctypes.data % CACHE_LINE // array.itemsize
    room[start : start + array.size] = array.ravel()
    return room[start : start + array.size].reshape(array.shape)


def _kaiser_length(transition_hz: float, rate_hz: float) -> float:
    """Taps of a Kaiser-windowed filter with that transition and `STOP_DB`."""
    return (STOP_DB - 8) / (2.285 * 2 * np.pi * transition_hz / rate_hz) + 1


def _kaiser_window(age: np.ndarray, length: float) -> np.ndarray:
    """Kaiser window over 0..length, for `STOP_DB`."""
    beta = 0.1102 * (STOP_DB - 8.7)
    return np.i0(beta * np.sqrt(np.maximum(1 - (2 * age / length - 1) ** 2, 0))) / np.i0(beta)


def _stage1(clock_hz: int) -> np.ndarray:
    """Taps of the first stage, float64 (64,). What it lets fold back lies above 20 kHz; it may droop below that."""
    stop_hz = clock_hz / FRAME - PASS_HZ
    width_hz = clock_hz * (STOP_DB - 8) / (2.285 * 2 * np.pi * (_STAGE1_TAPS - 1))
    cut = (stop_hz - width_hz / 2) / clock_hz
    age = np.arange(_STAGE1_TAPS)
    taps = np.sinc(2 * cut * (age - (_STAGE1_TAPS - 1) / 2)) * _kaiser_window(age, _STAGE1_TAPS - 1)
    return taps / taps.sum()


def _half_band() -> np.ndarray:
    """The first half of every other tap of the half-band filter, float64; the others are 0, and 1/2 in the middle."""
    age = np.arange(HALF_TAPS)
    taps = np.sinc((age - HALF_TAPS // 2) / 2) / 2 * _kaiser_window(age, HALF_TAPS - 1)
    half = taps[: HALF_TAPS // 2 + 1 : 2]
    return half / half.sum() / 4


def _taps(length: float) -> int:
    """As many taps as the kernel takes."""
    return max(MIN_TAPS, TAPS_UNIT * int(np.ceil(length / TAPS_UNIT)))


def _response(hz: np.ndarray, stage1: np.ndarray, clock_hz: int, low_pass: float | None) -> np.ndarray:
    """Response of the last stage in its pass band: inverse of the first one's droop, low-pass of the board."""
    centre = (len(stage1) - 1) / 2
    droop = np.cos(2 * np.pi * np.outer(hz / clock_hz, np.arange(len(stage1)) - centre)) @ stage1
    if low_pass is None:
        return 1 / droop
    delay = np.exp(-2j * np.pi * hz / clock_hz)
    return low_pass * delay / (1 - (1 - low_pass) * delay) / droop


def _prototype(taps: int, cut_hz: float, input_hz: float, response: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """The last stage as one filter with `PHASES` taps a sample, shape (taps * PHASES + 1,), through a window."""
    size = 1 << int(np.ceil(np.log2(4 * taps * PHASES)))
    step_hz = input_hz * PHASES / size
    hz = np.arange(round(cut_hz / step_hz)) * step_hz
    spectrum = np.zeros(size // 2 + 1, np.complex128)
    spectrum[: len(hz)] = response(hz)
    ideal = np.fft.irfft(spectrum)
    half = taps * PHASES // 2
    age = np.arange(taps * PHASES + 1)
    return ideal[(age - half) % size] * _kaiser_window(age, taps * PHASES)


assert 2 * _kaiser_length((1 - 2 * PASS_SHARE) * MIN_SAMPLE_RATE, MAX_CLOCK_HZ / FRAME) < HISTORY
