"""The one numba decorator, and where its cache lies.

numba is imported when the first kernel module is, never by ``import sidlearn``.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

F = TypeVar("F", bound=Callable)


def cache_dir() -> Path:
    """Return the folder for compiled kernels: one per user and package version, or a temporary one if that fails.

    numba's own choice is the installed package's ``__pycache__``, which ``pip uninstall`` leaves behind (numba #9350)
    and which makes the import fail where neither it nor HOME can be written.
    """
    import platformdirs

    from sidlearn import __version__

    try:
        path = Path(platformdirs.user_cache_dir("sidlearn")) / __version__ / "numba"
        path.mkdir(parents=True, exist_ok=True)
        if os.access(path, os.W_OK):
            return path
    except OSError:
        pass
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    path = Path(tempfile.gettempdir()) / f"sidlearn-{owner}-{__version__}"
    path.mkdir(parents=True, exist_ok=True)
    return path


if "NUMBA_CACHE_DIR" not in os.environ:
    os.environ["NUMBA_CACHE_DIR"] = str(cache_dir())

import numba  # noqa: E402  (reads NUMBA_CACHE_DIR when it is imported)
from llvmlite import binding as llvm  # noqa: E402

LONGEST_UNROLLED = 4
"""Passes of a loop that LLVM may write out one after the other.

Otherwise it writes out loops over the eight steps of the filter's solver before it looks for vectors, and finds none:
314 ns a block instead of 191.
"""
LLVM_VERSIONS = range(14, 23)
"""Versions of LLVM that are known to have the option; another one might end the process over it."""

if llvm.llvm_version_info[0] in LLVM_VERSIONS and not hasattr(llvm, "sidlearn_unrolls"):
    llvm.set_option("sidlearn", f"-unroll-full-max-count={LONGEST_UNROLLED}")  # twice is an error
    llvm.sidlearn_unrolls = LONGEST_UNROLLED


def kernel(function: F) -> F:
    """Compile a kernel: cached on disk, no GIL while it runs.

    fastmath stays off: sums must come out the same however the work is cut.
    """
    return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False)(function)  # type: ignore[return-value]


def inline_kernel(function: F) -> F:
    """Compile a small kernel that LLVM always puts into its caller."""
    return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=False, forceinline=True)(function)  # type: ignore[return-value]
