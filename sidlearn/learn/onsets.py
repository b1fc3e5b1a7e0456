"""Where sounds begin, by spectral flux, and how many beginnings a candidate keeps."""

from __future__ import annotations

import numpy as np

from sidlearn.errors import AudioError
from sidlearn.learn.pairs import match
from sidlearn.learn.spectra import mel_power

NEAR_SECONDS = 0.05
"""Onsets this close are the same; what MIREX allows."""
WINDOW_SECONDS, HOP_SECONDS, BANDS = 0.046, 0.01, 80
# Peaks: the highest of 30 ms on either side, above the mean of 100 ms on either side by a share of the loudest peak,
# and 80 ms after the last one. Guesses, after S. Boeck et al., "Evaluating the online capabilities of onset detection
# methods" (ISMIR 2012).
PEAK_FRAMES, MEAN_FRAMES, REST_FRAMES, ABOVE_MEAN = 3, 10, 8, 0.07


def detect(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the onsets of a mono sound in seconds: float64 (onsets,).

    A band's power is compressed to what the ear hears of it, log(1 + power over 50 dB under the loudest), and what
    it rises by within 20 ms, summed over the bands, is the novelty whose peaks are onsets.
    """
    power = mel_power(audio, sample_rate, WINDOW_SECONDS, HOP_SECONDS, BANDS)
    peak = power.max()
    if peak <= 0:
        return np.empty(0)
    loud = np.log10(1 + 1e5 * power / peak)
    before = np.concatenate((np.zeros((2, BANDS)), loud[:-2]))  # two frames back: attacks take a while
    novelty = np.maximum(loud - before, 0).sum(axis=1)
    return _peaks(novelty) * HOP_SECONDS


def onset_f(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the F-measure of the reference's onsets in the candidate, within 50 ms, 0..1; higher is better."""
    reference, candidate = match(reference, candidate, sample_rate)
    wanted = detect(reference, sample_rate)
    if not len(wanted):
        raise AudioError("reference: no onset in it")
    return f_measure(wanted, detect(candidate, sample_rate))


def f_measure(wanted: np.ndarray, found: np.ndarray, near_seconds: float = NEAR_SECONDS) -> float:
    """Return twice the number of pairs over the number of all onsets; no onset is in two pairs.

    Both rise. On a line the first possible partner is always a best one, so taking turns finds the most pairs.
    """
    if not len(wanted) + len(found):
        return 1.0
    pairs = i = j = 0
    while i < len(wanted) and j < len(found):
        if abs(wanted[i] - found[j]) <= near_seconds:
            pairs += 1
            i += 1
            j += 1
        elif wanted[i] < found[j]:
            i += 1
        else:
            j += 1
    return 2 * pairs / (len(wanted) + len(found))


def _peaks(novelty: np.ndarray) -> np.ndarray:
    """Return the frames of the novelty's peaks."""
    highest = _sliding(novelty, PEAK_FRAMES).max(axis=1)
    mean = _sliding(novelty, MEAN_FRAMES).mean(axis=1)
    strong = (novelty >= highest) & (novelty > mean + ABOVE_MEAN * novelty.max())
    frames: list[int] = []
    for frame in np.flatnonzero(strong):
        if not frames or frame - frames[-1] >= REST_FRAMES:
            frames.append(int(frame))
    return np.array(frames, np.int64)


def _sliding(values: np.ndarray, reach: int) -> np.ndarray:
    """Return for each value those up to `reach` before and after it: (values, 2 reach + 1)."""
    return np.lib.stride_tricks.sliding_window_view(np.pad(values, reach), 2 * reach + 1)
