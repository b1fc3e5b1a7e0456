"""How well speech is understood (STOI, ESTOI) and how good a sound is (ViSQOL), by their usual libraries."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np

from sidlearn.errors import AudioError
from sidlearn.learn.pairs import match, need, resample

SPEECH_HZ, AUDIO_HZ = 16_000, 48_000
"""The sample rates that ViSQOL's two modes are made for."""
LEAST_SECONDS = 0.5
"""STOI looks at stretches of 384 ms of speech, ViSQOL at patches of 200 to 320 ms; less than this is too little."""


def stoi(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the short-time objective intelligibility (Taal et al. 2011), about 0..1; higher is better."""
    return _stoi(reference, candidate, sample_rate, extended=False)


def estoi(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return the extended STOI (Jensen and Taal 2016), about 0..1; higher is better."""
    return _stoi(reference, candidate, sample_rate, extended=True)


def visqol_speech(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return ViSQOL's mean opinion score in speech mode, 1..5, by its polynomial mapping; higher is better."""
    return _visqol(reference, candidate, sample_rate, "speech", SPEECH_HZ)


def visqol_audio(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> float:
    """Return ViSQOL's mean opinion score in audio mode, 1..5; higher is better."""
    return _visqol(reference, candidate, sample_rate, "audio", AUDIO_HZ)


def _stoi(reference: np.ndarray, candidate: np.ndarray, sample_rate: int, extended: bool) -> float:
    pystoi = need("pystoi", "ESTOI" if extended else "STOI")
    reference, candidate = _long_enough(*match(reference, candidate, sample_rate), sample_rate)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        value = pystoi.stoi(reference, candidate, sample_rate, extended=extended)
    if any("Not enough STFT frames" in str(w.message) for w in told):
        raise AudioError("reference: less than 0.4 s of it is loud enough for STOI")
    return float(value)


def _visqol(reference: np.ndarray, candidate: np.ndarray, sample_rate: int, mode: str, mode_hz: int) -> float:
    api = _visqol_api(mode)
    reference, candidate = _long_enough(*match(reference, candidate, sample_rate), sample_rate)
    pair = (resample(sound, sample_rate, mode_hz) for sound in (reference, candidate))
    try:
        return float(api.measure_from_arrays(*pair, mode_hz).moslqo)
    except (ValueError, RuntimeError, IndexError) as error:
        raise AudioError(f"ViSQOL finds nothing to compare: {error}") from None


@lru_cache
def _visqol_api(mode: str) -> Any:
    api = need("visqol", "ViSQOL", "visqol-python").VisqolApi()
    if mode == "speech":
        api.create(mode=mode, use_lattice_model=False)
    else:
        api.create(mode=mode)
    return api


def _long_enough(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    if len(reference) < LEAST_SECONDS * sample_rate:
        raise AudioError(f"reference: {len(reference) / sample_rate:.2f} s, expected at least {LEAST_SECONDS} s")
    return reference, candidate
