"""The one folder of the host that a program's files may lie in.

A program names its files in PETSCII. A name becomes a plain lower-case one without separators, and files are found by
comparing it with what the folder holds; links, devices, pipes and sub-folders do not count as files. The folder itself
is opened once, so that what it is called later makes no difference.
"""

from __future__ import annotations

import os
import re
import stat
from fnmatch import fnmatchcase
from pathlib import Path
from typing import BinaryIO

from sidlearn.errors import SourceError

NAME_LENGTH = 16  # characters of a name on a 1541
MOST_BYTES = 1 << 24  # read from or written to one file; a 1541's disk holds 174 848
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789 .-_+()"
_WILD = "*?"
# Names that open a device on Windows. Source: Microsoft, "Naming Files, Paths, and Namespaces".
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def host_name(name: bytes, wild: bool = False) -> str:
    """Return the plain name that a PETSCII name stands for; empty if nothing is left of it.

    Parameters
    ----------
    name : bytes
        Letters of both cases mean the same; what is no letter, digit or harmless sign becomes ``_``.
    wild : bool
        Keep ``*`` and ``?``.
    """
    text = "".join(chr(code & 0x7F if code >= 0xC0 else code).lower() for code in name[:NAME_LENGTH])
    plain = "".join(c if c in _PLAIN or (wild and c in _WILD) else "_" for c in text).rstrip(" .")
    if plain.startswith("."):
        plain = f"_{plain[1:]}"
    return f"_{plain}"[:NAME_LENGTH] if _RESERVED.fullmatch(plain) else plain


class Folder:
    """Reads and writes plain files in one folder.

    Raises
    ------
    SourceError
        If there is no such folder.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        if not self.path.is_dir():
            what = "this is a file" if self.path.exists() else "there is none"
            raise SourceError(f"{path}: expected a folder for the program's files, {what}")
        self._fd: int | None = None
        if os.open in os.supports_dir_fd and os.scandir in os.supports_fd:
            self._fd = os.open(self.path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0))

    def __del__(self) -> None:
        if getattr(self, "_fd", None) is not None:
            os.close(self._fd)  # type: ignore[arg-type]
            self._fd = None

    def files(self) -> list[tuple[str, int]]:
        """Return name and size of all plain files, sorted."""
        with os.scandir(self.path if self._fd is None else self._fd) as entries:
            found = [
                (e.name, e.stat(follow_symlinks=False).st_size) for e in entries if e.is_file(follow_symlinks=False)
            ]
        return sorted(found)

    def find(self, name: bytes, suffixes: tuple[str, ...] = ()) -> str | None:
        """Return the host's name of the first file that `name` means, with ``*`` and ``?`` as on the 1541."""
        pattern = host_name(name, wild=True)
        if not pattern:
            return None
        known = [(host_name(n.encode("latin-1", "replace").upper()), n) for n, _ in self.files()]
        known = [(plain, n) for plain, n in known if plain]
        for suffix in ("", *suffixes):
            wanted = f"{pattern}{suffix}"[: max(NAME_LENGTH, len(pattern))]
            for plain, entry in known:
                if plain == wanted:
                    return entry
        if "*" in pattern:
            pattern = pattern[: pattern.index("*") + 1]
        return next((entry for plain, entry in known if fnmatchcase(plain, pattern)), None)

    def read(self, entry: str) -> bytes | None:
        """Return the content of a file, or None if it cannot be read as one."""
        try:
            fd = self._open(entry, os.O_RDONLY)
        except OSError:
            return None
        with os.fdopen(fd, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        return data if len(data) <= MOST_BYTES else None

    def create(self, name: bytes, suffix: str = "", replace: bool = False) -> BinaryIO | None:
        """Open a file for writing from its beginning; None if it exists, unless `replace`, or cannot be made."""
        plain = host_name(name)
        entry = self.find(plain.upper().encode(), (suffix,) if suffix else ()) if plain else None
        if not plain or (entry is not None and not replace):
            return None
        if suffix and "." not in plain:
            plain += suffix
        try:
            if entry is None:
                fd = self._open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            else:
                fd = self._open(entry, os.O_WRONLY)
                os.ftruncate(fd, 0)
        except OSError:
            return None
        return os.fdopen(fd, "wb")

    def append(self, entry: str) -> BinaryIO | None:
        """Open a file for writing behind its end."""
        try:
            return os.fdopen(self._open(entry, os.O_WRONLY | os.O_APPEND), "ab")
        except OSError:
            return None

    def _open(self, entry: str, flags: int) -> int:
        """Open a plain file.

        Raises
        ------
        OSError
            If it cannot be opened, or is anything but a plain file with one name.
        """
        flags |= _NO_LINKS | getattr(os, "O_CLOEXEC", 0)
        if self._fd is None:
            path = self.path / entry
            if path.is_symlink():
                raise OSError(f"{entry}: a link")
            fd = os.open(path, flags, 0o666)
        else:
            fd = os.open(entry, flags, 0o666, dir_fd=self._fd)
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            os.close(fd)
            raise OSError(f"{entry}: not a plain file with one name")
        return fd
