"""From register writes to a file of any kind: `OUTPUTS` maps a suffix to what writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from sidlearn import audio
from sidlearn.errors import OutputError, nearest, one_of
from sidlearn.export import EXPORTERS, Exporter
from sidlearn.files import in_folder, whole_file
from sidlearn.writes import RegisterWrites


@dataclass(frozen=True)
class Sound:
    """How writes become a sound file."""

    model: str = "6581"
    mode: str = "exact"
    sample_rate: int = 44_100
    wav_bits: int = 16
    profile: str = ""
    listing: str = "auto"
    fade_seconds: float = 0.0
    timing: str = "auto"


def _write_log(exporter: Exporter, writes: RegisterWrites, path: Path, sound: Sound) -> None:
    with whole_file(path) as file, _named(path):
        exporter(writes, file)


def _write_tune(writes: RegisterWrites, path: Path, sound: Sound) -> None:
    from sidlearn.export import sid_file

    with whole_file(path) as file, _named(path):
        sid_file.write(writes, file, sound.model, title=path.stem, timing=sound.timing)


def _write_program(writes: RegisterWrites, path: Path, sound: Sound) -> None:
    from sidlearn.export import prg_file

    with whole_file(path) as file, _named(path):
        prg_file.write(writes, file, sound.timing)


def _write_listing(writes: RegisterWrites, path: Path, sound: Sound) -> None:
    from sidlearn.export import bas_file
    from sidlearn.terminal import note

    with whole_file(path) as file, _named(path):
        made = bas_file.write(writes, file, path.stem, sound.listing)
    note(f"{path}: {made.report()}")


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name in front of what an exporter has to say."""
    try:
        yield
    except OutputError as error:
        raise OutputError(f"{path}: {error}") from None


def _write_sound(writes: RegisterWrites, path: Path, sound: Sound) -> None:
    from sidlearn.chip.sid import render

    samples = render(writes, sound.model, sound.sample_rate, sound.mode, sound.profile, stereo=writes.sids > 1)
    fade = min(round(sound.fade_seconds * sound.sample_rate), len(samples))
    if fade:
        samples[-fade:] = (samples[-fade:].T * np.linspace(1, 0, fade, dtype=np.float32)).T
    audio.write(path, samples, sound.sample_rate, sound.wav_bits)


OUTPUTS: dict[str, Callable[[RegisterWrites, Path, Sound], None]] = {
    **dict.fromkeys(audio.FORMATS, _write_sound),
    **{suffix: partial(_write_log, exporter) for suffix, exporter in EXPORTERS.items()},
    ".sid": _write_tune,
    ".prg": _write_program,
    ".bas": _write_listing,
}
"""Suffix -> function that writes such a file."""


LOGS = (".csv", ".dump")
"""Suffixes of what nobody hears as it is: writes and their times, no more."""


def check(path: str | Path) -> Path:
    """Return `path` if a file of that kind can be written there.

    Raises
    ------
    OutputError
        If the suffix is unknown or the folder is missing.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in OUTPUTS:
        given = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise OutputError(f"{path}: {given}, expected {one_of(OUTPUTS)}{nearest(suffix, OUTPUTS)}")
    return in_folder(path)


def save(
    writes: RegisterWrites,
    path: str | Path,
    model: str = "6581",
    sample_rate: int = 44_100,
    mode: str = "exact",
    wav_bits: int = 16,
    profile: str = "",
    listing: str = "auto",
    fade_seconds: float = 0.0,
    timing: str = "auto",
) -> None:
    """Write register writes as sound, a log (``.csv .dump``), a program for a C64 (``.sid .prg``) or a listing.

    Sound is ``.wav`` or ``.flac``, a listing ``.bas``; `listing` chooses its form: "plain" BASIC, "coded" with a player
    in machine code, or "auto", plain where that keeps time. Sound fades out over its last `fade_seconds`. A program for
    a C64 has a player that is called some times a picture, or, with `timing` "cycles" and where calls do not carry the
    log, one that makes every write at its cycle.

    The file appears whole or not at all.

    Raises
    ------
    OutputError
        If the suffix is unknown or the place cannot be written.
    """
    if not isinstance(writes, RegisterWrites):
        raise OutputError(f"save: expected RegisterWrites, given {type(writes).__name__}")
    path = check(path)
    OUTPUTS[path.suffix.lower()](
        writes, path, Sound(model, mode, sample_rate, wav_bits, profile, listing, fade_seconds, timing)
    )
