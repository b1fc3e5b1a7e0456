"""What a sound holds in each register frame: power in bands, pitch and how sure it is, peaks, onsets."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from sidlearn.errors import LearnError

RATE_HZ = 22_050
"""Rate at which target and chip are compared: up to 11 kHz."""
FFT_SIZE = 2_048
LOW_HZ, HIGH_HZ = 70.0, 10_000.0
BANDS = 40
WIDE_HZ = (0.0, 450.0, 1_200.0, 2_800.0, 20_000.0)
"""Edges of the wide bands that follow the narrow ones; the last wide band is all of the sound. Guess: F1 to F3, up."""
GRID_HZ = 5.0
"""Step of the table that says which bands a partial falls into."""
LEAST_WINDOW_SECONDS = 0.026  # guess: two periods of a low voice
WINDOW_FRAMES = 1.6  # guess: a frame and what it shares with its neighbours
VOICED = 0.5  # guess: confidence from which on a frame has a pitch
PEAKS = 6
PEAK_WINDOW_SECONDS = 0.06


class Bands(NamedTuple):
    """How power is counted: a Hann window and triangular mel bands."""

    window: np.ndarray
    """float64 (samples,), scaled so that a partial of power 1 gives 1, summed over the bands it falls into."""
    filters: np.ndarray
    """float64 (bins, bands)."""
    response: np.ndarray
    """float32 (grid, bands): what a partial of power 1 gives in each band, in steps of `GRID_HZ`."""
    hz: np.ndarray
    """float64 (bands,): middles; 0 for wide bands."""


class Target(NamedTuple):
    """A sound, cut into register frames."""

    power: np.ndarray
    """float32 (frames, bands)."""
    f0_hz: np.ndarray
    """float64 (frames,): 0 where there is no pitch."""
    voicing: np.ndarray
    """float64 (frames,): 0..1, how sure the pitch is."""
    peaks_hz: np.ndarray
    """float64 (frames, PEAKS): strongest partials, 0 where there are fewer."""


@lru_cache(maxsize=8)
def bands_for(frame_seconds: float) -> Bands:
    """Return the bands for frames of a length."""
    size = round(max(LEAST_WINDOW_SECONDS, WINDOW_FRAMES * frame_seconds) * RATE_HZ)
    window = np.hanning(size + 2)[1:-1]
    window /= np.sqrt(np.sum(window**2) * FFT_SIZE / 2)  # sum of |X|^2 over the bins of one partial is 1
    edges = _mel_to_hz(np.linspace(_hz_to_mel(LOW_HZ), _hz_to_mel(HIGH_HZ), BANDS + 2))
    bins = np.fft.rfftfreq(FFT_SIZE, 1 / RATE_HZ)
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.clip(np.minimum(rising, falling), 0, None)
    middles = edges[1:-1]
    wide = [(middles >= low) & (middles < high) for low, high in pairwise(WIDE_HZ)]
    filters = np.hstack((filters, filters @ np.array([*wide[:3], middles > 0], np.float64).T))
    grid = np.arange(0, RATE_HZ / 2, GRID_HZ)
    t = np.arange(size) / RATE_HZ
    response = np.empty((len(grid), filters.shape[1]), np.float32)
    for i in range(0, len(grid), 256):  # in parts, for memory
        tones = np.exp(2j * np.pi * grid[i : i + 256, None] * t) * window * np.sqrt(2)
        # one-sided power of a real partial: half of the complex tone's amplitude, taken once
        response[i : i + 256] = np.abs(np.fft.fft(tones, FFT_SIZE)[:, : len(bins)]) ** 2 @ filters / 2
    return Bands(window, filters, response, np.concatenate((middles, np.zeros(filters.shape[1] - BANDS))))


def band_power(audio: np.ndarray, centres: np.ndarray, bands: Bands) -> np.ndarray:
    """Return the power of a sound at `RATE_HZ` around samples `centres`: float32 (frames, bands)."""
    size = len(bands.window)
    padded = np.pad(np.asarray(audio, np.float64), (size, size + FFT_SIZE))
    out = np.empty((len(centres), bands.filters.shape[1]), np.float32)
    starts = np.asarray(np.round(centres - size / 2), np.int64) + size
    for i in range(0, len(centres), 512):
        index = np.clip(starts[i : i + 512, None], 0, len(padded) - size) + np.arange(size)
        spectrum = np.fft.rfft(padded[index] * bands.window, FFT_SIZE, axis=1)
        out[i : i + 512] = (np.abs(spectrum) ** 2) @ bands.filters
    return out


def analyse(audio: np.ndarray, sample_rate: int, frames: int, frame_seconds: float) -> Target:
    """Return what the register frames of a sound hold.

    Parameters
    ----------
    audio : ndarray, float32, shape (samples,)
    sample_rate : int
    frames : int
    frame_seconds : float
    """
    from sidlearn.learn.pairs import resample

    sound = np.asarray(resample(np.asarray(audio, np.float64), sample_rate, RATE_HZ), np.float64)
    sound = sound - np.mean(sound)
    centres = (np.arange(frames) + 0.5) * frame_seconds * RATE_HZ
    power = band_power(sound, centres, bands_for(frame_seconds))
    f0, voicing = pitch(audio, sample_rate, (np.arange(frames) + 0.5) * frame_seconds)
    return Target(power, f0, voicing, _peaks(sound, centres))


def analyse_columns(audio: np.ndarray, sample_rate: int, seconds: np.ndarray, bands: Bands) -> np.ndarray:
    """Return the band power of a sound around some times: float32 (times, bands)."""
    from sidlearn.learn.pairs import resample

    sound = np.asarray(resample(np.asarray(audio, np.float64), sample_rate, RATE_HZ), np.float64)
    return band_power(sound - np.mean(sound), seconds * RATE_HZ, bands)


def pitch(audio: np.ndarray, sample_rate: int, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pitch at some times, 0 where there is none, and how sure it is: float64 (times,) each.

    By SwiftF0; where it is not installed, by `yin`.
    """
    from sidlearn.learn.pairs import resample

    try:
        from sidlearn.learn.pitch import track

        found = track(np.asarray(audio, np.float32), sample_rate)
        at, hz, confidence = found.seconds, found.hz, found.confidence
    except (LearnError, ImportError):
        sound = np.asarray(resample(np.asarray(audio, np.float64), sample_rate, 16_000), np.float64)
        at, hz, confidence = yin(sound, 16_000)
    if not len(at):
        return np.zeros(len(seconds)), np.zeros(len(seconds))
    hz, confidence = _clean(np.asarray(hz, np.float64), np.asarray(confidence, np.float64))
    sure = np.interp(seconds, at, confidence)
    voiced = confidence >= VOICED
    f0 = np.zeros(len(seconds))
    if voiced.any():
        f0 = 2 ** np.interp(seconds, at[voiced], np.log2(hz[voiced]))
        nearest = np.clip(np.searchsorted((at[1:] + at[:-1]) / 2, seconds), 0, len(at) - 1)
        f0[~voiced[nearest]] = 0
    return f0, sure


def _clean(hz: np.ndarray, confidence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take the confidence from single frames that leap away from both neighbours."""
    confidence = confidence.copy()
    with np.errstate(divide="ignore"):
        octave = np.log2(np.maximum(hz, 1.0))
    for i in range(1, len(hz) - 1):
        near = [octave[j] for j in (i - 1, i + 1) if confidence[j] >= VOICED]
        if near and min(abs(octave[i] - o) for o in near) > 0.4 and confidence[i] < 0.9:
            confidence[i] = 0
    return hz, confidence


def yin(sound: np.ndarray, rate: int, low_hz: float = 60.0, high_hz: float = 1_200.0) -> tuple[np.ndarray, ...]:
    """Return times, pitch and confidence of a sound by the cumulative mean normalised difference.

    Method: A. de Cheveigne and H. Kawahara, "YIN, a fundamental frequency estimator" (2002).
    """
    hop, longest, shortest = rate // 62, int(rate / low_hz), int(rate / high_hz)
    size = 2 * longest
    padded = np.pad(sound, (size // 2 + longest, size + longest))
    count = max(len(sound) // hop, 1)
    hz, confidence = np.zeros(count), np.zeros(count)
    lags = np.arange(1, longest + 1)
    for i in range(count):
        part = padded[i * hop : i * hop + size + longest]
        head = part[:size]
        n = 1 << (size + longest).bit_length()
        product = np.fft.irfft(np.fft.rfft(part, n) * np.conj(np.fft.rfft(head, n)), n)[: longest + 1]
        squares = np.concatenate(([0.0], np.cumsum(part**2)))
        energy = squares[size : size + longest + 1] - squares[: longest + 1]
        difference = np.maximum(energy[0] + energy - 2 * product, 0)[1:]
        total = np.cumsum(difference)
        if total[-1] <= 1e-9 * len(part):
            continue
        normal = difference * lags / np.maximum(total, 1e-12)
        span = normal[shortest - 1 :]
        below = np.flatnonzero(span < 0.15)
        k = int(below[0]) if len(below) else int(np.argmin(span))
        while k + 1 < len(span) and span[k + 1] < span[k]:
            k += 1
        lag = k + shortest
        hz[i] = rate / _vertex(normal, lag - 1, lag)
        confidence[i] = max(0.0, 1 - span[k] / 0.4)
    return np.arange(count) * hop / rate, np.maximum(hz, 1.0), np.minimum(confidence, 1)


def _vertex(values: np.ndarray, index: int, at: float) -> float:
    """Return the position of the minimum of a parabola through a value and its neighbours."""
    if not 0 < index < len(values) - 1:
        return at
    a, b, c = values[index - 1 : index + 2]
    bend = a - 2 * b + c
    return at + (0.5 * (a - c) / bend if bend > 1e-12 else 0.0)


def _peaks(sound: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the strongest partials around each centre, strongest first: float64 (frames, PEAKS)."""
    size = round(PEAK_WINDOW_SECONDS * RATE_HZ)
    window = np.hanning(size)
    bins = 4_096
    padded = np.pad(sound, (size, size))
    out = np.zeros((len(centres), PEAKS))
    for i, centre in enumerate(centres):
        start = min(max(round(centre - size / 2) + size, 0), len(padded) - size)
        level = np.log(np.abs(np.fft.rfft(padded[start : start + size] * window, bins)) + 1e-9)
        inner = level[1:-1]
        top = np.flatnonzero((inner > level[:-2]) & (inner >= level[2:])) + 1
        top = top[(top > 60 * bins // RATE_HZ) & (top < 5_000 * bins // RATE_HZ)]
        top = top[np.argsort(-level[top])][:PEAKS]
        top = top[level[top] > level.max() - 4.6]  # 40 dB
        bend = level[top - 1] - 2 * level[top] + level[top + 1]
        shift = np.where(bend < -1e-9, 0.5 * (level[top - 1] - level[top + 1]) / np.minimum(bend, -1e-9), 0)
        out[i, : len(top)] = (top + shift) * RATE_HZ / bins
    return out


def _hz_to_mel(hz: float) -> float:
    """Source: D. O'Shaughnessy, "Speech Communication" (1987)."""
    return float(2_595 * np.log10(1 + hz / 700))


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2_595) - 1)
