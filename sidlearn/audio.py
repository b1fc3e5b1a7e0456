"""Sound files in and out: WAV and FLAC by libsndfile, mono float32 inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sidlearn.errors import AudioError, one_of
from sidlearn.files import whole_file

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
"""Suffix -> libsndfile's name of the format, for writing; reading takes whatever libsndfile knows."""

SUBTYPES = {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}


def read(path: str | Path) -> tuple[np.ndarray, int]:
    """Return the sound of a file as mono float32 ``(samples,)`` and its sample rate in Hz; channels are averaged.

    Raises
    ------
    AudioError
        If the file is missing, no sound file, or holds no samples.
    """
    import soundfile

    path = Path(path)
    if not path.is_file():
        raise AudioError(f"{path}: no such file")
    try:
        samples, sample_rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: expected a sound file (WAV, FLAC, OGG, ...): {error.error_string.strip()}") from None
    if not len(samples):
        raise AudioError(f"{path}: the file holds no samples")
    return check(samples.mean(axis=1, dtype=np.float32)), int(sample_rate)


def write(path: str | Path, audio: np.ndarray, sample_rate: int, wav_bits: int = 16) -> None:
    """Write mono ``(samples,)`` or stereo ``(samples, 2)`` sound; the suffix names the format.

    FLAC holds 24 bits, WAV `wav_bits` (16, 24 or 32 for float). The file appears whole or not at all.

    Raises
    ------
    AudioError
        If the sound or the suffix cannot be used.
    """
    import soundfile

    path = Path(path)
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        raise AudioError(f"{path}: expected a sound file ending in {one_of(FORMATS)}")
    audio = check(audio)
    bits = wav_bits if name == "WAV" else 24
    with whole_file(path) as file:
        soundfile.write(file, _quantise(audio, bits), sample_rate, format=name, subtype=SUBTYPES[bits])


def check(audio: object) -> np.ndarray:
    """Return `audio` as float32 if it is sound: one or two channels, numbers only.

    Raises
    ------
    AudioError
        If it is not.
    """
    try:
        samples = np.asarray(audio, np.float32)
    except (TypeError, ValueError):
        raise AudioError(f"sound: expected an array of numbers, given {type(audio).__name__}") from None
    if samples.ndim != 1 and not (samples.ndim == 2 and samples.shape[1] in (1, 2)):
        raise AudioError(f"sound: expected (samples,) or (samples, 2), given {samples.shape}")
    if not np.isfinite(samples).all():
        where = int(np.flatnonzero(~np.isfinite(samples).reshape(len(samples), -1).all(axis=1))[0])
        raise AudioError(f"sound: expected finite numbers, sample {where} is {samples[where]}")
    return samples


def _quantise(audio: np.ndarray, bits: int) -> np.ndarray:
    """Return samples in steps of 2 ** (1 - bits), at the top of an integer; libsndfile would scale by one step less."""
    if bits == 32:
        return audio
    steps = audio * np.float32(1 << bits - 1)  # exact: a power of two
    np.rint(steps, out=steps)
    np.clip(steps, -(1 << bits - 1), (1 << bits - 1) - 1, out=steps)
    return steps.astype(np.int16) if bits == 16 else steps.astype(np.int32) << 32 - bits
