"""Distances between spectra: logarithmic, mel at three resolutions, transport, warped cepstra; and of loudness."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from sidlearn._kernel import kernel
from sidlearn.learn.pairs import WINDOW, align, match

HOP = 1_024
BAND_HZ = (20.0, 16_000.0)
FLOOR_DB = 60.0
"""How far under each frame's peak a bin still counts."""
QUIET_DB = 70.0
"""Frames further than this under the loudest one do not count."""

# Windows in seconds with their mel bands; hops are half. Source: B. Hayes, synth-permutations (ISMIR 2025).
MSS_RESOLUTIONS = ((0.010, 32), (0.025, 64), (0.100, 128))
MSS_RANGE_DB = 80.0
CEPSTRA = 20
CEPSTRUM_WINDOW_SECONDS, CEPSTRUM_HOP_SECONDS = 0.050, 0.010
WARP_FRAMES = 50
"""How far warping may lead away from the diagonal: half a second."""
SOT_WINDOW, SOT_HOP = 2_048, 512
RMS_WINDOW, RMS_HOP = 2_048, 512


def lsd(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the log-spectral distance in dB.

    Hann 2048, hop 1024, 20 Hz to 16 kHz, floor 60 dB under each frame's peak; lag and one overall gain are fitted;
    root mean square over bins, mean over the frames within 70 dB of the loudest.

    Parameters
    ----------
    reference, candidate : ndarray, shape (samples,)
        Mono.
    sample_rate : int
        Of both, in Hz.

    Raises
    ------
    AudioError
        If one of them is no mono sound, shorter than a window, or silent.
    """
    reference, candidate = align(reference, candidate, sample_rate)
    hz = np.fft.rfftfreq(WINDOW, 1 / sample_rate)
    inside = (hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1])
    power = _power(reference, WINDOW, HOP)[:, inside] + 1e-30
    other = _power(candidate, WINDOW, HOP)[:, inside] + 1e-30
    other *= power.sum() / other.sum()
    peak = power.max(axis=1)
    loud = peak > peak.max() * 10 ** (-QUIET_DB / 10)
    floor = peak[loud, None] * 10 ** (-FLOOR_DB / 10)
    difference = 10 * np.log10(np.maximum(power[loud], floor) / np.maximum(other[loud], floor))
    return float(np.sqrt(np.mean(difference**2, axis=1)).mean())


def mss(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the mean difference in dB of log-mel spectra with windows of 10, 25 and 100 ms, each spectrogram against
    its own loudest point, over 80 dB; lower is better."""
    reference, candidate = match(reference, candidate, sample_rate)
    distances = [
        np.abs(
            _decibels(mel_power(reference, sample_rate, window, window / 2, bands))
            - _decibels(mel_power(candidate, sample_rate, window, window / 2, bands))
        ).mean()
        for window, bands in MSS_RESOLUTIONS
    ]
    return float(np.mean(distances))


def sot(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return how far the energy of a frame's spectrum has to be moved to become the other's, in Hz, mean over frames.

    Frames that are silent (100 dB under the loudest) in the reference do not count. Both sounds stand on an even floor
    100 dB under their loudest point, which is what silence in the candidate is taken as.
    """
    reference, candidate = match(reference, candidate, sample_rate)
    power, other = _power(reference, SOT_WINDOW, SOT_HOP), _power(candidate, SOT_WINDOW, SOT_HOP)
    loud = power.sum(axis=1) > 1e-10 * power.sum(axis=1).max()
    power += 1e-10 * power.max()
    other += 1e-10 * other.max()
    shares = [np.cumsum(p / p.sum(axis=1, keepdims=True), axis=1) for p in (power[loud], other[loud])]
    step_hz = sample_rate / SOT_WINDOW
    return float(np.abs(shares[0] - shares[1]).sum(axis=1).mean() * step_hz)


def wmfcc(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the mean distance of 20 mel cepstra along the path that warps the time of one onto the other's best."""
    reference, candidate = match(reference, candidate, sample_rate)
    cost, steps = _warp(_cepstra(reference, sample_rate), _cepstra(candidate, sample_rate))
    return float(cost / steps)


def rms_cosine(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the cosine between the loudness over time (root mean square of 2048 samples) of both, 0..1."""
    reference, candidate = match(reference, candidate, sample_rate)
    loudness = [np.sqrt(np.mean(_frames(sound, RMS_WINDOW, RMS_HOP) ** 2, axis=1)) for sound in (reference, candidate)]
    return float(loudness[0] @ loudness[1] / (np.linalg.norm(loudness[0]) * np.linalg.norm(loudness[1]) + 1e-30))


def mel_power(audio: np.ndarray, sample_rate: int, window_seconds: float, hop_seconds: float, bands: int) -> np.ndarray:
    """Return the power in mel bands over frames centred on multiples of the hop: float64 (frames, bands)."""
    window, hop = round(window_seconds * sample_rate), round(hop_seconds * sample_rate)
    padded = np.pad(audio, (window // 2, window // 2))
    size = 1 << max(window - 1, 1).bit_length()
    return _power(padded, window, hop, size) @ mel_filters(sample_rate, size, bands).T


@lru_cache(maxsize=32)
def mel_filters(sample_rate: int, size: int, bands: int) -> np.ndarray:
    """Return triangular filters of equal area, evenly spaced on Slaney's mel scale: float64 (bands, size // 2 + 1).

    A band too narrow to hold a bin takes the one nearest to its middle, so that none is always silent.
    """
    hz = np.fft.rfftfreq(size, 1 / sample_rate)
    edges = _mel_to_hz(np.linspace(0, _hz_to_mel(sample_rate / 2), bands + 2))
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    filters = np.maximum(0, np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)))
    empty = np.flatnonzero(filters.sum(axis=1) == 0)
    filters[empty, np.abs(hz - middle[empty]).argmin(axis=1)] = 1
    return filters * 2 / (high - low)


# Slaney's Auditory Toolbox (1998): even in Hz to 1 kHz, which is 15 steps, then 27 steps for every factor of 6.4.
_LINEAR_HZ, _LINEAR_MEL, _LOG_STEP = 1_000.0, 15.0, np.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    if hz < _LINEAR_HZ:
        return hz * _LINEAR_MEL / _LINEAR_HZ
    return _LINEAR_MEL + np.log(hz / _LINEAR_HZ) / _LOG_STEP


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    above = _LINEAR_HZ * np.exp(_LOG_STEP * (mel - _LINEAR_MEL))
    return np.where(mel < _LINEAR_MEL, mel * _LINEAR_HZ / _LINEAR_MEL, above)


def _frames(audio: np.ndarray, window: int, hop: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(audio, window)[::hop]


def _power(audio: np.ndarray, window: int, hop: int, size: int | None = None) -> np.ndarray:
    """Return the power spectra of Hann windows: (frames, bins)."""
    frames = _frames(audio, window, hop)
    periodic_hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    power = np.empty((len(frames), (size or window) // 2 + 1))
    for first in range(0, len(frames), 4_096):  # minutes of sound in bounded memory
        part = slice(first, first + 4_096)
        power[part] = np.abs(np.fft.rfft(frames[part] * periodic_hann, size or window, axis=1)) ** 2
    return power


def _decibels(power: np.ndarray) -> np.ndarray:
    """Return decibels against the loudest point, down to `MSS_RANGE_DB` under it."""
    return 10 * np.log10(np.maximum(power / max(power.max(), 1e-30), 10 ** (-MSS_RANGE_DB / 10)))


def _cepstra(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return mel cepstra, the first of which is the loudness: float64 (frames, CEPSTRA)."""
    bands = 128
    levels = _decibels(mel_power(audio, sample_rate, CEPSTRUM_WINDOW_SECONDS, CEPSTRUM_HOP_SECONDS, bands))
    row, column = np.arange(CEPSTRA)[:, None], np.arange(bands)
    cosines = np.sqrt(2 / bands) * np.cos(np.pi * row * (2 * column + 1) / (2 * bands))
    cosines[0] /= np.sqrt(2)
    return levels @ cosines.T


@kernel
def _warp(first, second):
    """Dynamic time warping within a band: cost of the best path, and how many steps it has."""
    rows, columns, width = first.shape[0], second.shape[0], first.shape[1]
    cost = np.full(columns + 1, np.inf)
    steps = np.zeros(columns + 1)
    cost[0] = 0
    for i in range(rows):
        centre = i * columns // rows
        low = max(0, centre - WARP_FRAMES)
        diagonal, diagonal_steps = cost[low], steps[low]
        cost[low] = np.inf  # left of the band there is no way
        for j in range(low, min(columns, centre + WARP_FRAMES + 1)):
            best, best_steps = diagonal, diagonal_steps
            if cost[j + 1] < best:
                best, best_steps = cost[j + 1], steps[j + 1]
            if cost[j] < best:
                best, best_steps = cost[j], steps[j]
            distance = 0.0
            for k in range(width):
                distance += abs(first[i, k] - second[j, k])
            diagonal, diagonal_steps = cost[j + 1], steps[j + 1]
            cost[j + 1] = best + distance / width
            steps[j + 1] = best_steps + 1
    return cost[columns], max(steps[columns], 1.0)
