"""From a sound file to what the decoder compares with: the mixer's output, a sample every 24 chip cycles."""

from __future__ import annotations

from typing import Any

import numpy as np

from sidlearn.clock import PAL
from sidlearn.learn.decode.forward import TAPS, low_pass
from sidlearn.learn.decode.kernel import DECIMATION, STEP

TOP_SHARE = 0.44
"""Of the sample rate: nothing above is used."""
CENTRE = 0.5
"""Cycles from the first cycle of a step back to the centre of its window, and on to what a sample of a file shows:
measured on pyresidfp 0.17.0 at one sample a cycle."""
PAD = 4096


def convert(
    audio: np.ndarray,
    sample_rate: float,
    record: Any,
    *,
    start_cycles: float = 0.0,
    gain: float = 1.0,
    clock_hz: int = PAL.clock_hz,
) -> np.ndarray:
    """Undo the board's output stage and resample.

    Parameters
    ----------
    audio : ndarray, shape (samples,)
        Mono.
    sample_rate : float
        Of the file by the chip's clock, in Hz.
    record : record of `sidlearn.chip.models.MODEL_DTYPE`
    start_cycles : float
        Cycle of the first sample.
    gain : float
        By how much the file is louder than the chip.

    Returns
    -------
    target : ndarray, float32
        From cycle 0 on; sample n is centred 32 steps before the end of its last cycle, as the decoder's own.
    """
    import soxr
    from scipy.signal import lfilter

    x = np.asarray(audio, np.float64) / gain
    size = 1 << int(np.ceil(np.log2(len(x) + 2 * PAD)))
    spectrum = np.fft.rfft(np.concatenate((np.full(PAD, x[0]), x, np.full(PAD, x[-1]))), size)
    hz = np.fft.rfftfreq(size, 1 / sample_rate)
    low, high = float(record.low_pass), float(record.high_pass)
    delay = np.exp(-2j * np.pi * hz / clock_hz)
    board = low * delay / (1 - (1 - low) * delay)
    taper = np.clip(1 - (hz / sample_rate - TOP_SHARE) / (0.49 - TOP_SHARE), 0, 1)
    spectrum *= taper * np.sinc(hz * STEP / clock_hz) ** 2 / board
    spectrum *= np.exp(-2j * np.pi * hz * (CENTRE + start_cycles) / clock_hz)
    y = np.fft.irfft(spectrum, size)[PAD : PAD + len(x)]
    silence = (0.5 - float(record.output_zero)) * float(record.output_scale)
    y += silence + high * clock_hz / sample_rate * (np.cumsum(y) - 0.5 * y)
    steps = soxr.resample(y, sample_rate, clock_hz / STEP, quality="VHQ")
    taps = low_pass(clock_hz)
    out = lfilter(taps, 1, np.concatenate((np.full(TAPS, silence), steps)))[TAPS:]
    return out[DECIMATION - 1 :: DECIMATION].astype(np.float32)
