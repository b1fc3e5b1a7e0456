"""Distances between two sounds. `METRICS` maps a name to its function."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sidlearn.audio import check
from sidlearn.errors import AudioError

WINDOW = 2_048
HOP = 1_024
BAND_HZ = (20.0, 16_000.0)
FLOOR_DB = 60.0
"""How far under each frame's peak a bin still counts."""
QUIET_DB = 70.0
"""Frames further than this under the loudest one do not count."""
MOST_LAG_SECONDS = 0.1


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
    power = _power(reference, sample_rate)
    other = _power(candidate, sample_rate)
    other *= power.sum() / other.sum()
    peak = power.max(axis=1)
    loud = peak > peak.max() * 10 ** (-QUIET_DB / 10)
    floor = peak[loud, None] * 10 ** (-FLOOR_DB / 10)
    difference = 10 * np.log10(np.maximum(power[loud], floor) / np.maximum(other[loud], floor))
    return float(np.sqrt(np.mean(difference**2, axis=1)).mean())


def align(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of two sounds that belong together once the lag of up to 0.1 s between them is taken away."""
    reference, candidate = _mono("reference", reference), _mono("candidate", candidate)
    lag = lag_samples(reference, candidate, round(MOST_LAG_SECONDS * sample_rate))
    if lag > 0:
        candidate = candidate[lag:]
    else:
        reference = reference[-lag:]
    count = min(len(reference), len(candidate))
    if count < WINDOW:
        raise AudioError(f"sound: {count} samples in common, expected at least {WINDOW}")
    return reference[:count], candidate[:count]


def lag_samples(reference: np.ndarray, candidate: np.ndarray, most: int) -> int:
    """Return by how many samples `candidate` comes later: the peak of the cross-correlation within `most`."""
    size = 1 << (len(reference) + len(candidate) - 1).bit_length()
    spectrum = np.fft.rfft(reference - reference.mean(), size).conj() * np.fft.rfft(candidate - candidate.mean(), size)
    correlation = np.fft.irfft(spectrum, size)
    window = np.concatenate((correlation[size - most :], correlation[: most + 1]))
    return int(np.argmax(window)) - most


def _mono(name: str, audio: np.ndarray) -> np.ndarray:
    audio = check(audio).astype(np.float64)
    if audio.ndim != 1:
        raise AudioError(f"{name}: expected mono sound, given {audio.shape}")
    if len(audio) < WINDOW:
        raise AudioError(f"{name}: {len(audio)} samples, expected at least {WINDOW}")
    if np.ptp(audio) == 0:
        raise AudioError(f"{name}: silent, so there is nothing to compare")
    return audio


def _power(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """Return the power spectra inside the band: (frames, bins)."""
    frames = np.lib.stride_tricks.sliding_window_view(audio, WINDOW)[::HOP]
    hz = np.fft.rfftfreq(WINDOW, 1 / sample_rate)
    inside = (hz >= BAND_HZ[0]) & (hz <= BAND_HZ[1])
    periodic_hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    return np.abs(np.fft.rfft(frames * periodic_hann, axis=1)[:, inside]) ** 2 + 1e-30


METRICS: dict[str, Callable[[np.ndarray, np.ndarray, int], float]] = {"lsd": lsd}
"""Name -> function of reference, candidate and sample rate; lower is better."""
