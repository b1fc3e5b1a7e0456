"""What a `STIL.txt` tells of a tune: titles, artists and remarks. The list comes with the High Voltage SID Collection.

An entry begins with the file's path inside the collection; ``(#2)`` begins what belongs to its second song. The list is
the user's: it is looked for in the folders above the tune, and in their ``DOCUMENTS`` folders.
"""

from __future__ import annotations

import re
from pathlib import Path

NAMES = ("DOCUMENTS/STIL.txt", "STIL.txt")
_SONG = re.compile(r"\(#(\d+)\)")
_FIELD = re.compile(r" *(NAME|AUTHOR|TITLE|ARTIST|COMMENT|BUG): (.*)")


def find(tune: Path) -> tuple[Path, str] | None:
    """Return the list and the tune's path inside its collection, or None."""
    tune = tune.resolve()
    for folder in tune.parents:
        for name in NAMES:
            if (folder / name).is_file():
                return folder / name, "/" + tune.relative_to(folder).as_posix()
    return None


def entry(text: str, path: str, song: int) -> list[tuple[str, str]]:
    """Return (field, text) of what `text` tells of the file and of its song `song` (from 1)."""
    lines = iter(text.splitlines())
    if not any(line.strip().lower() == path.lower() for line in lines):
        return []
    rows: list[list[str]] = []
    current = 0
    for line in lines:
        if not line.strip() or line.startswith(("/", "#")):
            break
        if match := _SONG.fullmatch(line.strip()):
            current = int(match[1])
        elif current in (0, song):
            if field := _FIELD.fullmatch(line):
                rows.append([field[1].lower(), field[2].strip()])
            elif rows:
                rows[-1][1] += " " + line.strip()
    return [(name, told) for name, told in rows]


def facts(tune: Path, song: int) -> list[tuple[str, str]]:
    """Return what the user's list tells of a tune, for `sidlearn info`; equal fields become one."""
    found = find(tune)
    if found is None:
        return []
    try:
        rows = entry(found[0].read_text(encoding="latin-1"), found[1], song)
    except OSError:
        return []
    told: dict[str, str] = {}
    for name, text in rows:
        clean = "".join(c if c.isprintable() else " " for c in text)
        told[name] = f"{told[name]}; {clean}" if name in told else clean
    return [(f"STIL {name}", text) for name, text in told.items()]
