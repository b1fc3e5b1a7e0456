"""Pitch by SwiftF0, and how much of it a candidate keeps."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from sidlearn.errors import AudioError
from sidlearn.learn.pairs import match, need, resample

DETECTOR_HZ = 16_000
SURE = 0.9
"""Only frames in which the detector is surer than this of the reference's pitch count."""
NEAR_CENTS = 50


class Pitch(NamedTuple):
    """Pitch over time."""

    seconds: np.ndarray
    """Middle of each frame, float64 (frames,)."""
    hz: np.ndarray
    confidence: np.ndarray
    """0..1."""


def track(audio: np.ndarray, sample_rate: int) -> Pitch:
    """Return the pitch of a mono sound, 62.5 times a second, between 47 and 2094 Hz.

    Raises
    ------
    LearnError
        If SwiftF0 is not installed.
    """
    found = _detector().detect(np.asarray(resample(audio, sample_rate, DETECTOR_HZ), np.float32), DETECTOR_HZ)
    return Pitch(np.asarray(found.timestamps), np.asarray(found.pitch_hz), np.asarray(found.confidence))


def rpa(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the raw pitch accuracy: the share of the reference's pitched frames in which the candidate is within 50
    cents of it, 0..1; higher is better."""
    reference, candidate = match(reference, candidate, sample_rate)
    target = track(reference, sample_rate)
    sure = target.confidence > SURE
    if not sure.any():
        raise AudioError("reference: no frame has a clear pitch")
    hz = track(candidate, sample_rate).hz
    cents = 1_200 * np.log2(hz[sure] / target.hz[sure])
    return float(np.mean(np.abs(cents) <= NEAR_CENTS))


@lru_cache
def _detector() -> Any:
    # One thread, and none that waits busily: the same result on every machine, and the cores stay free.
    return need("swift_f0", "pitch accuracy", "swift-f0").SwiftF0(threads=1, spin=False)
