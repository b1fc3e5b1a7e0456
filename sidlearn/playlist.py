"""Folders and `.m3u` playlists: which files they hold, and which one is played next."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sidlearn.errors import SourceError
from sidlearn.sources import SOURCES, check_exists

LISTS = (".m3u", ".m3u8")
IN_FOLDERS = tuple(suffix for suffix in SOURCES if suffix not in (".txt", ".d64", ".t64"))
"""Kinds of files that are played out of a folder: texts and disks may be anything else."""
_SONG = re.compile(r"(.+\.sid):(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True)
class Entry:
    """One file of a list; `song` None is the one that the file begins with."""

    path: Path
    song: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.song is None else f"{self.path}:{self.song}"


def is_list(path: str | Path) -> bool:
    """Whether a source is a folder or a playlist."""
    return Path(path).is_dir() or Path(path).suffix.lower() in LISTS


def entries(path: str | Path, song: int | None = None) -> list[Entry]:
    """Return what a folder (with those inside it), a playlist or a single file plays, in order.

    Raises
    ------
    SourceError
        If there is no such file or if nothing can be played.
    """
    path = Path(path)
    if path.is_dir():
        found = [
            Entry(file, song)
            for file in sorted(path.rglob("*"))
            if file.suffix.lower() in IN_FOLDERS and file.is_file()
        ]
    elif path.suffix.lower() in LISTS:
        check_exists(path)
        found = [Entry(e.path, song or e.song) for e in _read_list(path)]
    else:
        return [Entry(path, song)]
    if not found:
        raise SourceError(f"{path}: nothing to play in it: expected files ending in {', '.join(IN_FOLDERS)}")
    return found


def _read_list(path: Path) -> list[Entry]:
    """Return the entries of a playlist: a file a line, ``tune.sid:3`` for its third song; ``#`` begins a remark."""
    try:
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        name = line.strip()
        if not name or name.startswith("#"):
            continue
        match = _SONG.fullmatch(name)
        file, song = (match[1], int(match[2])) if match else (name, None)
        if "\0" in name:
            raise SourceError(f"{path}:{number}: expected the name of a file, given {name[:80]!r}")
        place = path.parent / file.replace("\\", "/")
        found.append(Entry(place, song))
    return found


def named_outputs(outputs: list[Path], number: int, count: int, entry: Entry) -> list[Path]:
    """Return the names of the files that one entry of a list is written to: ``all.wav`` gives ``all-01-tune.wav``.

    Where ``{name}`` stands in a name, that becomes ``01-tune``.
    """
    own = f"{number:0{max(2, len(str(count)))}}-{entry.path.stem}"
    return [
        o.with_name(o.name.replace("{name}", own) if "{name}" in o.name else f"{o.stem}-{own}{o.suffix}")
        for o in outputs
    ]


NEXT, PREVIOUS, QUIT = "next", "previous", "quit"
KEYS = {"n": NEXT, "+": NEXT, "\x1b[c": NEXT, "p": PREVIOUS, "-": PREVIOUS, "\x1b[d": PREVIOUS, "q": QUIT}
"""What is typed -> what it does; the arrows are the escape sequences that terminals send."""
KEYS_TEXT = "n next, p previous, q quit"


def command(typed: str) -> str | None:
    """Return the last command in what has been typed."""
    found = [(typed.lower().rfind(keys), word) for keys, word in KEYS.items() if keys in typed.lower()]
    return max(found)[1] if found else None


class Position:
    """Where in a list one is. A tune's songs are stepped through before the next entry.

    Parameters
    ----------
    entries : list of Entry
    loop : bool
        Whether the first entry follows the last one.
    """

    def __init__(self, entries: list[Entry], loop: bool = False) -> None:
        self._entries, self._loop = entries, loop
        self.count = len(entries)
        self._at = 0
        self._song = entries[0].song

    @property
    def entry(self) -> Entry | None:
        """What is to be played, None behind the end."""
        if not 0 <= self._at < len(self._entries):
            return None
        return Entry(self._entries[self._at].path, self._song)

    def go_on(self) -> None:
        """An entry has been played to its end."""
        self._go(1)

    def step(self, word: str, song: int, songs: int) -> None:
        """Do what a key says while song `song` of `songs` plays."""
        if word == QUIT:
            self._at = len(self._entries)
        elif word == NEXT and song < songs:
            self._song = song + 1
        elif word == PREVIOUS and song > 1:
            self._song = song - 1
        else:
            self._go(1 if word == NEXT else -1, stay=word == PREVIOUS)

    def _go(self, by: int, stay: bool = False) -> None:
        self._at += by
        if self._loop:
            self._at %= len(self._entries)
        elif stay:
            self._at = max(self._at, 0)
        if self._at < len(self._entries):
            self._song = self._entries[self._at].song
