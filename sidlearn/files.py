"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sidlearn.errors import OutputError


def in_folder(path: str | Path) -> Path:
    """Return `path` if there is a folder to write it in.

    Raises
    ------
    OutputError
        If there is none.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: no folder {str(path.parent)!r} to write it in")
    return path


@contextmanager
def whole_file(path: str | Path) -> Iterator[BinaryIO]:
    """Give a binary file that takes the name `path` when the block ends well, and vanishes when it does not.

    Raises
    ------
    OutputError
        If it cannot be written there.
    """
    path = Path(path)
    if path.is_dir():
        raise OutputError(f"{path}: expected a file to write, this is a folder")
    if path.exists() and not path.is_file():  # a device or a pipe, such as /dev/null, is written in place
        with path.open("wb") as file:
            yield file
        return
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise OutputError(f"{path}: cannot write there: {error.strerror}") from None
    try:
        with os.fdopen(handle, "w+b") as file:
            yield file
        mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_umask()
        os.chmod(name, mode)  # mkstemp gives 600
        os.replace(name, path)
    except OSError as error:
        _remove(name)
        raise OutputError(f"{path}: cannot write: {error.strerror}") from None
    except BaseException:
        _remove(name)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _remove(name: str) -> None:
    if os.path.exists(name):
        os.remove(name)
