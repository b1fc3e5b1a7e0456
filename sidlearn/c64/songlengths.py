"""Song lengths from a `Songlengths.md5`, the list that comes with the High Voltage SID Collection.

A line is ``md5 = 1:02 0:45.500``, one length a song. The list is the user's: it is looked for beside the tune, in the
folders above it, and in their ``DOCUMENTS`` folders.
"""

from __future__ import annotations

import re
from pathlib import Path

NAMES = ("Songlengths.md5", "DOCUMENTS/Songlengths.md5")
_LENGTH = re.compile(r"(\d+):(\d{1,2})(?:\.(\d{1,3}))?")


def find(tune: Path) -> Path | None:
    """Return the list that belongs to a tune's folder, or None."""
    for folder in tune.resolve().parents:
        for name in NAMES:
            if (folder / name).is_file():
                return folder / name
    return None


def lengths(text: str, digest: str) -> list[float]:
    """Return the seconds of every song of the file with that MD5; empty if it is not listed."""
    at = text.find(f"\n{digest}=")
    if at < 0:
        return []
    line = text[at + len(digest) + 2 :].split("\n", 1)[0]
    return [
        60 * int(minutes) + int(seconds) + int((part or "0").ljust(3, "0")) / 1000
        for minutes, seconds, part in _LENGTH.findall(line)
    ]


def seconds(tune: Path, digest: str, song: int) -> float | None:
    """Return how long song `song` (from 1) lasts, or None if nobody has told."""
    path = find(tune)
    if path is None:
        return None
    try:
        listed = lengths("\n" + path.read_text(encoding="latin-1"), digest)
    except OSError:
        return None
    return listed[song - 1] if song <= len(listed) and listed[song - 1] > 0 else None
