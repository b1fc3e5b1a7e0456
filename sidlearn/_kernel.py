"""The one numba decorator, and where its cache lies.

numba is imported when a kernel has to be compiled, never by ``import sidlearn``.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable
from functools import cache, update_wrapper
from pathlib import Path
from typing import Any, TypeVar

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

LONGEST_UNROLLED = 4
"""Passes of a loop that LLVM may write out one after the other.

Otherwise it writes out loops over the eight steps of the filter's solver before it looks for vectors, and finds none:
314 ns a block instead of 191.
"""
LLVM_VERSIONS = range(14, 23)
"""Versions of LLVM that are known to have the option; another one might end the process over it."""


@cache
def load_numba() -> Any:
    """Return numba, with LLVM set up for our kernels; it reads NUMBA_CACHE_DIR when it is imported."""
    from llvmlite import binding as llvm

    if llvm.llvm_version_info[0] in LLVM_VERSIONS and not hasattr(llvm, "sidlearn_unrolls"):
        llvm.set_option("sidlearn", f"-unroll-full-max-count={LONGEST_UNROLLED}")  # twice is an error
        llvm.sidlearn_unrolls = LONGEST_UNROLLED
    import numba

    return numba


OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": False}
"""fastmath stays off: sums must come out the same however the work is cut."""


class Kernel:
    """A function that numba compiles, when it is first called or when compiled code calls it.

    Until then, and in processes that find it compiled by an earlier one (`_native`), numba is not even imported.

    Parameters
    ----------
    function : callable
    options : dict
        For ``numba.njit``.
    """

    def __init__(self, function: Callable, options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self._function, self._options = function, options
        self._dispatcher: Any = None
        self._natives: dict[tuple[str, ...], Any] = {}
        self._kinds: dict[int, tuple[Any, list[str]]] = {}

    @property
    def dispatcher(self) -> Any:
        """numba's own object; the plain function under ``NUMBA_DISABLE_JIT``."""
        if self._dispatcher is None:
            self._dispatcher = load_numba().njit(**self._options)(self._function)
            _watch_sources(self._dispatcher, self._function.__module__)
        return self._dispatcher

    @property
    def _numba_type_(self) -> Any:
        """What numba takes this object for where compiled code calls it."""
        return self.dispatcher._numba_type_

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_function" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.dispatcher, name)

    def __reduce__(self) -> str:
        return self._function.__qualname__

    def __call__(self, *arguments: Any) -> Any:
        """Call it with positional arguments."""
        if self._dispatcher is not None:
            return self._dispatcher(*arguments)
        from sidlearn import _native

        kinds = _native.signature(arguments, self._kinds) if _native.usable() else None
        if kinds is None:
            return self._first(arguments)
        native = self._natives.get(kinds) or _native.find(self._function, kinds)
        if native is not None:
            self._natives[kinds] = native
            return native(arguments)
        result = self._first(arguments)
        _native.keep(self._function, kinds, self._dispatcher, arguments)
        return result

    def _first(self, arguments: tuple) -> Any:
        """Compile and call it.

        numba makes millions of objects that live until it is done: without the visits of Python's collector it takes a
        fourteenth less.
        """
        collects = gc.isenabled()
        gc.disable()
        try:
            return self.dispatcher(*arguments)
        finally:
            if collects:
                gc.enable()


class PartKernel(Kernel):
    """A kernel that other kernels call; called from Python it is compiled as any other."""

    def __init__(self, function: Callable, options: dict[str, Any]) -> None:
        super().__init__(function, options)
        self._part: Any = None

    @property
    def _numba_type_(self) -> Any:
        """What numba takes this object for where compiled code calls it."""
        if self._part is None:
            self._part = self._compile_part()
        return self._part._numba_type_

    def _compile_part(self) -> Any:
        """Return numba's object for it as a part; the usual one where its code has to raise errors."""
        if load_numba().config.BOUNDSCHECK:
            return self.dispatcher
        from sidlearn._parts import compile_part

        part = compile_part(self._function, self._options)
        _watch_sources(part, self._function.__module__)
        return part


class VectorKernel(Kernel):
    """A small kernel with code of its own for LLVM; the plain function serves where indices are to be checked.

    Parameters
    ----------
    function : callable
    code : callable
        For ``numba.extending.intrinsic``.
    """

    def __init__(self, function: Callable, code: Callable) -> None:
        super().__init__(function, {**OPTIONS, "forceinline": True})
        self._code = code
        self._intrinsic: Any = None

    @property
    def _numba_type_(self) -> Any:
        """What numba takes this object for where compiled code calls it."""
        if load_numba().config.BOUNDSCHECK:
            return self.dispatcher._numba_type_
        from numba.core.registry import cpu_target
        from numba.extending import intrinsic

        if self._intrinsic is None:
            self._intrinsic = intrinsic(self._code)
            cpu_target.typing_context.refresh()
        return cpu_target.typing_context.resolve_value_type(self._intrinsic)


def sources_of(module: str) -> tuple[str, ...]:
    """Return the files of a module and of all that it takes kernels from."""
    found: list[str] = []
    names = [module]
    for name in names:
        content = sys.modules.get(name)
        if content is None or content.__file__ is None:
            continue
        found.append(content.__file__)
        others = {v._function.__module__ for v in vars(content).values() if isinstance(v, Kernel)}
        names += sorted(others - set(names))
    return tuple(found)


def _watch_sources(dispatcher: Any, module: str) -> None:
    """Let numba's cache look at all files that a kernel is made from; by itself it looks at one alone."""
    file: Any = getattr(getattr(dispatcher, "_cache", None), "_cache_file", None)
    if getattr(file, "_source_stamp", None):  # numba's own workings, which may change: then it is as ever
        stamps = tuple((s.st_mtime, s.st_size) for s in map(os.stat, sources_of(module)))
        file._source_stamp = (file._source_stamp, stamps)


def kernel(function: F) -> F:
    """Compile a kernel: cached on disk, no GIL while it runs."""
    return Kernel(function, OPTIONS)  # type: ignore[return-value]


def inline_kernel(function: F) -> F:
    """Compile a small kernel that LLVM always puts into its caller."""
    return Kernel(function, {**OPTIONS, "forceinline": True})  # type: ignore[return-value]


def part_kernel(function: F) -> F:
    """Compile a kernel that other kernels call: half of the work (`_parts`)."""
    return PartKernel(function, OPTIONS)  # type: ignore[return-value]


def inline_part_kernel(function: F) -> F:
    """Compile a small one of them that LLVM always puts into its caller."""
    return PartKernel(function, {**OPTIONS, "forceinline": True})  # type: ignore[return-value]


def vector_kernel(code: Callable) -> Callable[[F], F]:
    """Compile a small kernel with code of its own for LLVM; the plain function tells what it does."""
    return lambda function: VectorKernel(function, code)  # type: ignore[return-value]


def __getattr__(name: str) -> Any:
    if name == "numba":
        return load_numba()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
