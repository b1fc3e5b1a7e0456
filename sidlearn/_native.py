"""Compiled kernels without numba: what numba has compiled is kept as an object file, linked and called.

Importing numba and making it ready to load its own cache takes about a second of processor time, importing LLVM a
thirtieth. The first call of a kernel goes through numba, which compiles it, and leaves its object code here; in later
processes it is called directly. Where anything is different from what is known (another platform, a type that is not a
number, array, record or tuple of these, a changed source file, another processor), numba does it all.

Source of the calling convention: numba/core/callconv.py and the data models of numba 0.61 to 0.62: a status comes back,
the result through the first pointer, arrays go field by field, records by address.
"""

from __future__ import annotations

import builtins
import ctypes
import hashlib
import importlib.machinery
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from sidlearn import _linker
from sidlearn._kept import source_stamps

FOLDER = "native"
SUFFIX = ".object"
DONE, DONE_WITH_NONE = 0, -2
"""Statuses of numba's calling convention; all others are errors."""
RESULTS = {"int64": ctypes.c_int64, "float64": ctypes.c_double, "none": None}
HELPERS = (("numba", "_helperlib", "numba_"), ("numba.core.runtime", "_nrt_python", "NRT_"))
"""Extension modules of numba that hold what object code may call: package, module, prefix of their names."""
OFF = ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK", "NUMBA_DEBUGINFO", "SIDLEARN_NO_NATIVE")
"""Any of these in the environment leaves everything to numba."""

PROCESSOR = Path("/proc/cpuinfo")
"""Where Linux tells of the processor."""
CHANGING = ("cpu MHz", "processor", "core id", "apicid", "initial apicid", "physical id", "BogoMIPS", "bogomips")
"""Lines there that are not of the processor's kind."""


FIXED = (tuple, np.void)
"""Arguments that stay what they are as long as they are the same object."""
NOTHING: tuple[Any, list[Any]] = (None, [])


class Native:
    """A kernel for one set of argument types, ready to be called.

    Parameters
    ----------
    address : int
    result : str
        A key of `RESULTS`.
    """

    def __init__(self, address: int, result: str) -> None:
        self._call = ctypes.CFUNCTYPE(ctypes.c_int32)(address)
        self._result = RESULTS[result]
        self._flat: dict[int, tuple[Any, list[Any]]] = {}

    def __call__(self, arguments: tuple) -> Any:
        """Call it with arguments of the types that it was made for."""
        out = (self._result or ctypes.c_int64)()
        error = ctypes.c_void_p()
        flat: list[Any] = [ctypes.byref(out), ctypes.byref(error)]
        for n, value in enumerate(arguments):
            if not isinstance(value, FIXED):
                _flatten(value, flat)
                continue
            last, own = self._flat.get(n, NOTHING)
            if last is not value:
                _flatten(value, own := [])
                self._flat[n] = value, own
            flat += own
        status = self._call(*flat)
        if status not in (DONE, DONE_WITH_NONE):
            raise RuntimeError(f"kernel ended with status {status}")
        return out.value if self._result else None


def usable() -> bool:
    """Whether this process may do without numba."""
    return sys.platform.startswith("linux") and PROCESSOR.exists() and not any(os.environ.get(name) for name in OFF)


def signature(arguments: tuple, known: dict[int, tuple[Any, list[str]]]) -> tuple[str, ...] | None:
    """Return what the code for these arguments depends on, or None where they are left to numba.

    `known` keeps what was found for `FIXED` arguments, by their place: a chip's tables come again in every call.
    """
    kinds: list[str] = []
    for n, value in enumerate(arguments):
        if not isinstance(value, FIXED):
            if not _kind(value, kinds):
                return None
            continue
        last, own = known.get(n, NOTHING)
        if last is not value:
            if not _kind(value, own := []):
                return None
            known[n] = value, own
        kinds += own
    return tuple(kinds)


def find(function: Callable, kinds: tuple[str, ...]) -> Native | None:
    """Return the kept code of a kernel for arguments of these kinds, or None."""
    try:
        with _path(function, kinds).open("rb") as file:
            facts, code = json.loads(file.readline()), file.read()
        if facts["sha1"] != hashlib.sha1(code).hexdigest():
            return None
        return Native(_address(code, facts["symbol"]), facts["result"])
    except (OSError, ValueError, KeyError, RuntimeError, ImportError):
        return None


def keep(function: Callable, kinds: tuple[str, ...], dispatcher: Any, arguments: tuple) -> None:
    """Keep what numba has compiled for these arguments; silently not where its cache is other than expected."""
    from sidlearn.files import whole_file

    path = _path(function, kinds)
    if path.exists():
        return
    try:
        from numba.core.registry import cpu_target

        store = dispatcher._cache
        types = tuple(dispatcher.typeof_pyval(a) for a in arguments)
        key = store._index_key(types, cpu_target.target_context.codegen())
        library, description, *_ = store._cache_file._load_data(store._cache_file._load_index()[key])
        _, kind, (code, _) = library
        result = str(description.restype)
        if kind != "object" or result not in RESULTS or missing(code):
            return
        facts = {"symbol": description.llvm_func_name, "result": result, "sha1": hashlib.sha1(code).hexdigest()}
        path.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(path) as file:
            file.write(json.dumps(facts).encode() + b"\n" + code)
    except Exception:  # numba's own workings, which may change: then it loads its cache as ever
        return


# --- Names of files --------------------------------------------------------------------------------------------------


def _path(function: Callable, kinds: tuple[str, ...]) -> Path:
    """Return where the code of a kernel for arguments of these kinds is kept."""
    text = "\n".join((*kinds, *_surroundings()))
    name = f"{function.__module__}.{function.__qualname__}-{hashlib.sha1(text.encode()).hexdigest()}{SUFFIX}"
    return Path(os.environ["NUMBA_CACHE_DIR"]) / FOLDER / name


@cache
def _surroundings() -> tuple[str, ...]:
    """Return what compiled code depends on beside its arguments: our sources, numba, Python and the processor."""
    settings = sorted(f"{k}={v}" for k, v in os.environ.items() if k.startswith("NUMBA_") and k != "NUMBA_CACHE_DIR")
    return (*source_stamps(), *settings, sys.version, *_processor())


def _processor() -> list[str]:
    """Return what Linux tells of the first processor, but for what changes as it runs."""
    lines = PROCESSOR.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    return [line for line in lines if line.partition(":")[0].strip() not in CHANGING]


@cache
def _dtype_text(dtype: np.dtype) -> str:
    """Return all of a dtype's fields, offsets and sizes."""
    if dtype.names is None:
        return dtype.str if dtype.subdtype is None else f"{_dtype_text(dtype.base)}{dtype.shape}"
    table: dict[str, Any] = dict(dtype.fields or {})
    fields = (f"{name}:{table[name][1]}:{_dtype_text(table[name][0])}" for name in dtype.names)
    return f"{{{dtype.itemsize},{dtype.isalignedstruct},{','.join(fields)}}}"


def _kind(value: Any, kinds: list[str]) -> bool:
    """Add to `kinds` what numba's types depend on; False where the value is of a kind that is left to numba."""
    if type(value) in (int, np.int64):
        kinds.append("i8")
    elif type(value) in (float, np.float64):
        kinds.append("f8")
    elif isinstance(value, np.ndarray) and value.dtype.kind in "iufVb":
        flags = value.flags
        state = f"{flags.c_contiguous}{flags.f_contiguous}{flags.writeable}{flags.aligned}"
        kinds.append(f"array {value.ndim} {state} {type(value).__name__} {_dtype_text(value.dtype)}")
    elif isinstance(value, np.void):
        kinds.append(f"record {type(value).__name__} {_dtype_text(value.dtype)}")
    elif isinstance(value, tuple):
        kinds.append(f"tuple {type(value).__name__} {len(value)}")
        return all(_kind(part, kinds) for part in value)
    else:
        return False
    return True


# --- Calls -----------------------------------------------------------------------------------------------------------


def _flatten(value: Any, flat: list[Any]) -> None:
    """Add a value as numba passes it."""
    if isinstance(value, tuple):
        for part in value:
            _flatten(part, flat)
    elif isinstance(value, np.ndarray):
        flat += (
            None,
            None,
            ctypes.c_int64(value.size),
            ctypes.c_int64(value.itemsize),
            ctypes.c_void_p(value.ctypes.data),
            *map(ctypes.c_int64, value.shape),
            *map(ctypes.c_int64, value.strides),
        )
    elif isinstance(value, np.void):
        memory = memoryview(value)  # type: ignore[arg-type]  # numpy's stubs do not know it
        flat.append(ctypes.c_void_p(np.frombuffer(memory, np.uint8).ctypes.data))
    elif isinstance(value, float):
        flat.append(ctypes.c_double(value))
    else:
        flat.append(ctypes.c_int64(value))


_engines: list[Any] = []
"""Kept alive as long as the process: the code lies in their memory."""


# --- Object code -----------------------------------------------------------------------------------------------------


def missing(code: bytes) -> list[str]:
    """Return the names that object code asks for and this process has not; an error text where it is no ELF file."""
    try:
        names = _linker.ObjectFile(code).undefined()
    except _linker.CannotLinkError as error:
        return [str(error)]
    return [name for name in names if _find(name) is None]


@cache
def _find(name: str) -> int | None:
    """Return where something lies that object code asks for: an exception, a function of C or Python, one of numba."""
    kind = getattr(builtins, name.removeprefix("PyExc_"), None) if name.startswith("PyExc_") else None
    if kind is not None:
        return id(kind)
    try:
        return ctypes.addressof(ctypes.c_char.in_dll(_process(), name))
    except ValueError:
        return _helpers().get(name)


@cache
def _process() -> ctypes.CDLL:
    """Return the names of all libraries that Python has loaded."""
    return ctypes.CDLL(None)


@cache
def _helpers() -> dict[str, int]:
    """Return name and address of what numba's extension modules hold, without importing numba."""
    found: dict[str, int] = {}
    root = importlib.util.find_spec("numba")
    if root is None or root.origin is None:
        return found
    for package, name, prefix in HELPERS:
        folder = Path(root.origin).parent.joinpath(*package.split(".")[1:])
        for suffix in importlib.machinery.EXTENSION_SUFFIXES:
            path = folder / f"{name}{suffix}"
            if path.exists():
                module = sys.modules.get(f"{package}.{name}") or _extension(name, path)
                found |= {n if n.startswith("_") else prefix + n: a for n, a in module.c_helpers.items()}
    return found


def _extension(name: str, path: Path) -> Any:
    """Load an extension module outside its package."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _address(code: bytes, symbol: str) -> int:
    """Link object code and return where a function of it lies."""
    if _linker.usable():
        try:
            return _linker.link(code, symbol, _find)
        except _linker.CannotLinkError:
            pass
    return _address_by_llvm(code, symbol)


def _address_by_llvm(code: bytes, symbol: str) -> int:
    """Link object code of any kind and processor."""
    from llvmlite import binding

    if missing(code):
        raise RuntimeError("object code asks for names that are not there")
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for name in _linker.ObjectFile(code).undefined():
        binding.add_symbol(name, _find(name))
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    _engines.append(engine)
    address = engine.get_function_address(symbol)
    if not address:
        raise RuntimeError(f"object code has no {symbol}")
    return address
