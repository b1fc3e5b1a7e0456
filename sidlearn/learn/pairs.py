"""Two sounds made comparable: checked, brought together in time, resampled; and what a missing package is told as."""

from __future__ import annotations

import importlib
from functools import lru_cache
from types import ModuleType

import numpy as np

from sidlearn.audio import check
from sidlearn.errors import AudioError, LearnError

WINDOW = 2_048
"""Sounds shorter than this many samples are not compared."""
MOST_LAG_SECONDS = 0.1
ALIKE = 0.5
"""Correlation from which on two sounds have the same waveform, so that a lag between them can be told. A guess."""
EXTRA = "pip install 'sidlearn[learn]'"


def align(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of two sounds that belong together once the lag of up to 0.1 s between them is taken away."""
    reference, candidate = mono("reference", reference), mono("candidate", candidate)
    lag = lag_samples(reference, candidate, round(MOST_LAG_SECONDS * sample_rate))
    if lag > 0:
        candidate = candidate[lag:]
    else:
        reference = reference[-lag:]
    count = min(len(reference), len(candidate))
    if count < WINDOW:
        raise AudioError(f"sound: {count} samples in common, expected at least {WINDOW}")
    return reference[:count], candidate[:count]


def match(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the reference, and the candidate at its length: what is missing is silence, what is over is left out.

    A lag of up to 0.1 s is taken away where both have the same waveform. Where they have not, as with speech played by
    three oscillators, the peak of a correlation says nothing, and the sounds are taken as they stand.
    """
    reference, candidate = mono("reference", reference), mono("candidate", candidate)
    lag = lag_samples(reference, candidate, round(MOST_LAG_SECONDS * sample_rate))
    moved = _at_length(candidate[lag:] if lag > 0 else np.pad(candidate, (-lag, 0)), len(reference))
    if lag and _correlation(reference, moved) >= ALIKE:
        return reference, moved
    return reference, _at_length(candidate, len(reference))


def lag_samples(reference: np.ndarray, candidate: np.ndarray, most: int) -> int:
    """Return by how many samples `candidate` comes later: the peak of the cross-correlation within `most`."""
    size = 1 << (len(reference) + len(candidate) - 1).bit_length()
    spectrum = np.fft.rfft(reference - reference.mean(), size).conj() * np.fft.rfft(candidate - candidate.mean(), size)
    correlation = np.fft.irfft(spectrum, size)
    window = np.concatenate((correlation[size - most :], correlation[: most + 1]))
    return int(np.argmax(window)) - most


def mono(name: str, audio: np.ndarray) -> np.ndarray:
    """Return `audio` as float64 if it is a mono sound that is long enough and not silent.

    Raises
    ------
    AudioError
        If it is not.
    """
    audio = check(audio).astype(np.float64)
    if audio.ndim != 1:
        raise AudioError(f"{name}: expected mono sound, given {audio.shape}")
    if len(audio) < WINDOW:
        raise AudioError(f"{name}: {len(audio)} samples, expected at least {WINDOW}")
    if np.ptp(audio) == 0:
        raise AudioError(f"{name}: silent, so there is nothing to compare")
    return audio


def resample(audio: np.ndarray, sample_rate: int, new_rate: int) -> np.ndarray:
    """Return mono `audio` at `new_rate` Hz."""
    if sample_rate == new_rate:
        return audio
    return need("soxr", "resampling").resample(audio, sample_rate, new_rate, quality="VHQ")


@lru_cache
def need(module: str, what: str, package: str | None = None) -> ModuleType:
    """Return a module that may not be installed.

    Raises
    ------
    LearnError
        If it is not, with the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        raise LearnError(f"{what} needs {package or module}, which is not installed: {EXTRA}") from None


def _at_length(audio: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(audio[:samples], (0, max(0, samples - len(audio))))


def _correlation(reference: np.ndarray, candidate: np.ndarray) -> float:
    reference, candidate = reference - reference.mean(), candidate - candidate.mean()
    size = np.sqrt((reference @ reference) * (candidate @ candidate))
    return float(reference @ candidate / size) if size else 0.0
