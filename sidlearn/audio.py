"""Sound files in and out: float32 inside, WAV written by ourselves, all else by libsndfile."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sidlearn.errors import AudioError, one_of
from sidlearn.files import whole_file

FORMATS = {".wav": "WAV", ".flac": "FLAC"}
"""Suffix -> libsndfile's name of the format, for writing; reading takes whatever libsndfile knows."""

FLAC_SUBTYPE, FLAC_BITS = "PCM_24", 24
WAV_PCM, WAV_FLOAT = 1, 3
"""Codes of what a WAV holds. Source: Microsoft's Multimedia Data Standards Update (1994)."""
WAV_MOST_BYTES = (1 << 32) - 64
"""Its lengths are 32-bit numbers, which count the header too."""
BLOCK = 1 << 14
"""Frames that are worked on at a time, so that they stay in the cache: a third of the time of all at once."""


def read(path: str | Path) -> tuple[np.ndarray, int]:
    """Return the sound of a file as mono float32 ``(samples,)`` and its sample rate in Hz; channels are averaged.

    Raises
    ------
    AudioError
        If the file is missing, no sound file, or holds no samples or some that are no numbers.
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
    return check(samples.mean(axis=1, dtype=np.float32), str(path)), int(sample_rate)


def write(path: str | Path, audio: np.ndarray, sample_rate: int, wav_bits: int = 16) -> None:
    """Write mono ``(samples,)`` or stereo ``(samples, 2)`` sound; the suffix names the format.

    FLAC holds 24 bits, WAV `wav_bits` (16, 24 or 32 for float). The file appears whole or not at all.

    Raises
    ------
    AudioError
        If the sound or the suffix cannot be used.
    """
    path = Path(path)
    name = FORMATS.get(path.suffix.lower())
    if name is None:
        raise AudioError(f"{path}: expected a sound file ending in {one_of(FORMATS)}")
    audio = check(audio)
    if name == "WAV":
        if audio.size * (wav_bits // 8) > WAV_MOST_BYTES:
            raise AudioError(f"{path}: expected less than 4 GB of sound, which is what a WAV holds; take .flac")
        with whole_file(path) as file:
            _write_wav(file, audio, sample_rate, wav_bits)
        return
    import soundfile  # loads libsndfile

    with whole_file(path) as file:
        soundfile.write(file, _quantise(audio, FLAC_BITS), sample_rate, format=name, subtype=FLAC_SUBTYPE)


def _write_wav(file: BinaryIO, audio: np.ndarray, sample_rate: int, bits: int) -> None:
    """Write a WAV with `bits` of 16 or 24 in whole numbers, or 32 in floats."""
    channels = audio.shape[1] if audio.ndim == 2 else 1
    frame_bytes = channels * bits // 8
    content_bytes = len(audio) * frame_bytes
    kind = WAV_FLOAT if bits == 32 else WAV_PCM
    layout = struct.pack("<HHIIHH", kind, channels, sample_rate, sample_rate * frame_bytes, frame_bytes, bits)
    chunks = [(b"fmt ", layout + bytes(2) if bits == 32 else layout)]
    if bits == 32:
        chunks.append((b"fact", struct.pack("<I", len(audio))))
    head = b"".join(name + struct.pack("<I", len(part)) + part for name, part in chunks)
    padding = bytes(content_bytes % 2)
    size = 4 + len(head) + 8 + content_bytes + len(padding)
    file.write(b"RIFF" + struct.pack("<I", size) + b"WAVE" + head + b"data" + struct.pack("<I", content_bytes))
    for start in range(0, len(audio), BLOCK):
        file.write(_wav_samples(audio[start : start + BLOCK], bits).data)
    file.write(padding)


def _wav_samples(audio: np.ndarray, bits: int) -> np.ndarray:
    """Return samples as they lie in a WAV."""
    content = _quantise(audio, bits)
    if bits == 24:  # the upper three bytes of four
        return np.ascontiguousarray(content.astype("<i4").view(np.uint8).reshape(-1, 4)[:, 1:])
    return np.ascontiguousarray(content, "<i2" if bits == 16 else "<f4")


def check(audio: object, name: str = "sound") -> np.ndarray:
    """Return `audio` as float32 if it is sound: one or two channels, numbers only; `name` is what errors call it.

    Raises
    ------
    AudioError
        If it is not.
    """
    try:
        samples = np.asarray(audio, np.float32)
    except (TypeError, ValueError):
        raise AudioError(f"{name}: expected an array of numbers, given {type(audio).__name__}") from None
    if samples.ndim != 1 and not (samples.ndim == 2 and samples.shape[1] in (1, 2)):
        raise AudioError(f"{name}: expected (samples,) or (samples, 2), given {samples.shape}")
    if not all(np.isfinite(samples[n : n + BLOCK]).all() for n in range(0, len(samples), BLOCK)):
        where = int(np.flatnonzero(~np.isfinite(samples).reshape(len(samples), -1).all(axis=1))[0])
        raise AudioError(f"{name}: expected finite numbers, sample {where} is {samples[where]}")
    return samples


def _quantise(audio: np.ndarray, bits: int) -> np.ndarray:
    """Return samples in steps of 2 ** (1 - bits), at the top of an integer; libsndfile would scale by one step less."""
    if bits == 32:
        return audio
    steps = audio * np.float32(1 << bits - 1)  # exact: a power of two
    np.rint(steps, out=steps)
    np.clip(steps, -(1 << bits - 1), (1 << bits - 1) - 1, out=steps)
    return steps.astype(np.int16) if bits == 16 else steps.astype(np.int32) << 32 - bits
