"""Tables that take longer to compute than to read: kept beside the compiled kernels, named by what they come from."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pickle
import sys
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from sidlearn import _kernel  # noqa: F401  # names the folder in the environment

F = TypeVar("F", bound=Callable)

FOLDER = "tables"
OFF = "SIDLEARN_NO_TABLES"
"""With this in the environment every table is computed."""
FAST_PICKLE = 5
"""Version of pickle's format that writes arrays without a copy."""


def kept(make: F) -> F:
    """Keep what a function of plain arguments returns, an array or a tuple of them, for later processes.

    Its source, that of all the package and the versions of numpy and Python are in the file's name; damaged files are
    computed again, and where nothing can be written nothing is kept.
    """

    @wraps(make)
    def read_or_make(*arguments: Any) -> Any:
        if os.environ.get(OFF):
            return make(*arguments)
        path = _path(make, arguments)
        try:
            with path.open("rb") as file:
                digest, content = file.readline().strip(), file.read()
            if digest.decode() == hashlib.sha1(content).hexdigest():
                return _thaw(pickle.loads(content))
        except (OSError, ValueError, pickle.UnpicklingError, EOFError, AttributeError, ImportError):
            pass
        result = make(*arguments)
        _write(path, pickle.dumps(_freeze(result), FAST_PICKLE))
        return result

    return read_or_make  # type: ignore[return-value]


def _freeze(result: Any) -> Any:
    """Return arrays with the flag that pickle leaves out."""
    return tuple(map(_freeze, result)) if isinstance(result, tuple) else [result, result.flags.writeable]


def _thaw(content: Any) -> Any:
    if isinstance(content, tuple):
        return tuple(map(_thaw, content))
    array, writeable = content
    array.setflags(write=writeable)
    return array


def _path(make: Callable, arguments: tuple) -> Path:
    text = "\n".join((repr(arguments), *source_stamps(), np.__version__, sys.version))
    name = f"{make.__module__}.{make.__qualname__}-{hashlib.sha1(text.encode()).hexdigest()}.table"
    return Path(os.environ["NUMBA_CACHE_DIR"]) / FOLDER / name


def _write(path: Path, content: bytes) -> None:
    from sidlearn.errors import OutputError
    from sidlearn.files import whole_file

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(hashlib.sha1(content).hexdigest().encode() + b"\n" + content)
    except (OSError, OutputError):
        return


@cache
def source_stamps() -> tuple[str, ...]:
    """Return place, time and size of every source that tables and kernels are made from, and of numba's version."""
    package = Path(__file__).parent
    files = [path for folder in source_folders(package) for path in sorted(folder.glob("*.[ps]*"))]
    for name in ("numba", "llvmlite"):
        found = importlib.util.find_spec(name)
        files += [Path(found.origin).with_name("_version.py")] if found and found.origin else []
    return tuple(f"{path} {(s := path.stat()).st_mtime_ns} {s.st_size}" for path in files)


def source_folders(package: Path) -> list[Path]:
    """Return the folders whose sources kernels and tables are made from."""
    return [
        package,
        *(package / part for part in ("chip", "cpu", "c64", "c64/roms", "learn", "learn/decode", "surrogate")),
    ]
