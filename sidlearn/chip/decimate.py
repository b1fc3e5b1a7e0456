"""From one sample a chip cycle to the sample rate: two linear-phase filters, designed here and run by the kernel.

The first makes a sample of every eight cycles, from the last 64; the second goes from there to any rate and makes good
the first one's droop. Design: Kaiser windows (J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh
window function", 1974).

Output sample k (from 0) is the filtered sound at ``(k + 1) * clock_hz / sample_rate - delay_cycles(...)`` cycles. Times
are whole numbers over `sample_rate`, so that they never drift, and after c cycles there are
``c * sample_rate // clock_hz`` samples.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sidlearn.chip.state import FRAME, HISTORY, STAGE1_FRAMES
from sidlearn.errors import SampleRateError

PASS_HZ = 20_000
"""The sound is flat up to here, or up to `PASS_SHARE` of a low sample rate."""
PASS_SHARE = 0.4535  # 20 kHz of 44.1 kHz
STOP_DB = 108
"""Attenuation the windows are made for, with room to the -100 dB that aliases must stay under."""
PHASES = 128
"""Positions between two samples of the first stage; a straight line between two of them is 116 dB exact at 20 kHz."""
MIN_TAPS = 64
"""A shorter second stage cannot follow the first one's droop."""

FAST_PASS_SHARE = 0.41
"""Fast mode is flat up to this share of the sample rate only: half as many taps."""

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 8_000, 192_000
MIN_CLOCK_HZ, MAX_CLOCK_HZ = 500_000, 1_200_000

_STAGE1_TAPS = FRAME * STAGE1_FRAMES


class Decimator(NamedTuple):
    """The taps and rates that the kernel's `decimate` works with."""

    stage1: np.ndarray
    """float32 (64,)."""
    stage2: np.ndarray
    """float32 (PHASES + 1, taps), the oldest sample's tap first; taps is a multiple of 32."""
    clock_hz: int
    sample_rate: int


@lru_cache(maxsize=8)
def design(sample_rate: int, clock_hz: int, low_pass: float | None = None) -> Decimator:
    """Return the decimator from `clock_hz` to `sample_rate`.

    Parameters
    ----------
    sample_rate, clock_hz : int
        In Hz.
    low_pass : float, optional
        For fast mode: share by which the board's low-pass follows its input each cycle, to be part of the second stage.

    Raises
    ------
    SampleRateError
        If it cannot make that rate.
    """
    _check(sample_rate, clock_hz)
    stage1, stage1_hz = _stage1(clock_hz), clock_hz / FRAME
    pass_hz = min(PASS_HZ, (PASS_SHARE if low_pass is None else FAST_PASS_SHARE) * sample_rate)
    stop_hz = min(sample_rate, stage1_hz) - pass_hz  # what folds back below pass_hz begins here
    taps = max(MIN_TAPS, 32 * int(np.ceil(_kaiser_length(stop_hz - pass_hz, stage1_hz) / 32)))
    prototype = _prototype(taps, (pass_hz + stop_hz) / 2, stage1, clock_hz, low_pass)
    stage2 = np.empty((PHASES + 1, taps), np.float32)
    for phase in range(PHASES + 1):
        stage2[phase] = prototype[phase::PHASES][:taps][::-1]
    stage2.flags.writeable = False
    stage1 = stage1.astype(np.float32)
    stage1.flags.writeable = False
    return Decimator(stage1, stage2, clock_hz, sample_rate)


def step_response(decimator: Decimator) -> np.ndarray:
    """Share of the first stage's taps that lie before each cycle of its window: float32, shape (65,), 0 to 1."""
    response = np.append(0, np.cumsum(decimator.stage1, dtype=np.float64))
    return (response / response[-1]).astype(np.float32)


def delay_cycles(sample_rate: int, clock_hz: int, low_pass: float | None = None) -> int:
    """Cycles by which the sound of the decimator lags: half of each filter's length, and a frame in fast mode."""
    taps = design(sample_rate, clock_hz, low_pass).stage2.shape[1]
    return (0 if low_pass is None else FRAME) + _STAGE1_TAPS // 2 + FRAME * taps // 2


def sample_count(cycles: int, sample_rate: int, clock_hz: int) -> int:
    """Samples that are out after so many cycles from power-on."""
    return cycles * sample_rate // clock_hz


def _check(sample_rate: object, clock_hz: object) -> None:
    for name, value, low, high in (
        ("sample rate", sample_rate, MIN_SAMPLE_RATE, MAX_SAMPLE_RATE),
        ("clock", clock_hz, MIN_CLOCK_HZ, MAX_CLOCK_HZ),
    ):
        if not isinstance(value, int) or not low <= value <= high:
            raise SampleRateError(f"{name} {value!r}: expected a whole number of Hz, {low} to {high}")


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


def _prototype(taps: int, cut_hz: float, stage1: np.ndarray, clock_hz: int, low_pass: float | None) -> np.ndarray:
    """The second stage as one filter with `PHASES` taps a sample, shape (taps * PHASES + 1,): inverse of the droop."""
    size = 1 << int(np.ceil(np.log2(4 * taps * PHASES)))
    step_hz = clock_hz / FRAME * PHASES / size
    hz = np.arange(round(cut_hz / step_hz)) * step_hz
    centre = (_STAGE1_TAPS - 1) / 2
    droop = np.cos(2 * np.pi * np.outer(hz / clock_hz, np.arange(_STAGE1_TAPS) - centre)) @ stage1
    spectrum = np.zeros(size // 2 + 1, np.complex128)
    spectrum[: len(hz)] = 1 / droop
    if low_pass is not None:
        delay = np.exp(-2j * np.pi * hz / clock_hz)
        spectrum[: len(hz)] *= low_pass * delay / (1 - (1 - low_pass) * delay)
    ideal = np.fft.irfft(spectrum)
    half = taps * PHASES // 2
    age = np.arange(taps * PHASES + 1)
    prototype = ideal[(age - half) % size] * _kaiser_window(age, taps * PHASES)
    return prototype / prototype[:-1].sum() * PHASES


assert 2 * _kaiser_length((1 - 2 * PASS_SHARE) * MIN_SAMPLE_RATE, MAX_CLOCK_HZ / FRAME) < HISTORY
