"""Kernels that other kernels call: made into LLVM's language once, and into machine code with what calls them.

numba takes each function of a call tree through all of LLVM, together with all that it calls, and gives it entries for
Python and C. What lies six calls deep is optimised six times, and most of that machine code is never run: half of the
time that a chip's first sample takes to compile. A part is typed and linked into its callers, no more.

Source of what is overridden here: numba/core/codegen.py, compiler.py and caching.py, 0.61 to 0.68.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding as llvm
from numba import njit
from numba.core import caching, codegen, compiler, types

KIND = "part"
"""What numba's cache calls the form in which these libraries are kept, and what their files' names begin with."""
COUNTING = {"zeros", "empty", "full", "ravel", "view", "reshape"}
"""Names of what gives back arrays; a part with none of them counts no references, which is a fifth of its code."""
GIVING = {"call", "binop", "inplace_binop", "unary"}
"""Operations whose results have to be given up again, where they are arrays."""


class _WithoutEnvironments:
    """A code generator that leaves environments alone: they lie in machine code, where Python's objects are raised."""

    def __init__(self, whole: Any) -> None:
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing."""


class Part(codegen.JITCodeLibrary):
    """The code of a part, to be linked into others.

    Parameters
    ----------
    codegen, name
        As numba gives them.
    optimised : bool
        Whether LLVM looks at it before it is linked: its loops become vectors that it would not find in the whole.
    """

    def __init__(self, codegen: Any, name: str, optimised: bool = False) -> None:
        super().__init__(codegen, name)
        self._optimised = optimised

    @classmethod
    def read(cls, codegen: Any, name: str, bitcode: bytes) -> Part:
        """Return a part that `serialize_using_object_code` has written."""
        part = cls(codegen, name)
        part._final_module = part._shared_module = llvm.parse_bitcode(bitcode)
        part._finalize_final_module()
        return part

    @property
    def codegen(self) -> Any:
        """What numba hands environments to."""
        return _WithoutEnvironments(self._codegen)

    def _optimize_final_module(self) -> None:
        if self._optimised:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no machine code."""
        return 0

    def serialize_using_object_code(self) -> tuple[str, str, bytes]:
        """Return what numba's cache keeps."""
        return self.name, KIND, self._get_module_for_linking().as_bitcode()


class PartCompiler(compiler.Compiler):
    """numba's own compiler, but for the kind of library."""

    def compile_extra(self, func: Callable) -> Any:
        """Compile a function into a `Part`; those that are always put into their callers are optimised before that.

        Raises
        ------
        TypeError
            If it is given arrays and does not count references to them.
        """
        state = self.state
        state.library = Part(state.targetctx.codegen(), func.__qualname__, state.flags.forceinline)
        result = super().compile_extra(func)
        if not state.flags.nrt:
            given = [state.return_type]
            given += [s.return_type for e, s in state.calltypes.items() if getattr(e, "op", "") in GIVING]
            if any(map(_holds_array, given)):
                raise TypeError(f"kernel {func.__qualname__}: is given an array by what is not in COUNTING")
        return result


def _holds_array(kind: Any) -> bool:
    return isinstance(kind, types.Array) or any(map(_holds_array, getattr(kind, "types", ())))


class _PartCacheImpl(caching.CompileResultCacheImpl):
    def get_filename_base(self, fullname: str, abiflags: str) -> str:
        return f"{KIND}-{super().get_filename_base(fullname, abiflags)}"

    def rebuild(self, target_context: Any, payload: tuple) -> Any:
        """Return the compiled part that was kept; the order of `payload` is that of numba's `CompileResult._reduce`."""
        (name, _, bitcode), fndesc, environment, signature, objectmode, lifted, annotation, reload_init, _ = payload
        library = Part.read(target_context.codegen(), name, bitcode)
        return compiler.compile_result(
            target_context=target_context,
            typing_context=target_context.typing_context,
            library=library,
            environment=environment,
            entry_point=target_context.get_executable(library, fndesc, environment),
            fndesc=fndesc,
            type_annotation=annotation,
            signature=signature,
            objectmode=objectmode,
            lifted=lifted,
            reload_init=reload_init,
        )


class PartCache(caching.Cache):
    """numba's cache, in files of their own: the same function may also have been compiled to be called from Python."""

    _impl_class = _PartCacheImpl  # type: ignore[assignment]


def compile_part(function: Callable, options: dict[str, Any]) -> Any:
    """Return numba's object for a function that is a part.

    Parameters
    ----------
    function : callable
    options : dict
        For ``numba.njit``.
    """
    fewer = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "cache": False}
    counts = not COUNTING.isdisjoint(function.__code__.co_names)
    made = njit(**{**options, **fewer, "_nrt": counts, "pipeline_class": PartCompiler})(function)
    made._cache = PartCache(function)
    return made
