"""Object code in memory without LLVM: what LLVM makes of the same code."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pytest

from sidlearn import _linker, _native

pytestmark = pytest.mark.skipif(not (_linker.usable() and _native.usable()), reason="ELF files for x86-64 only")

SOURCE = """
@table = internal constant [4 x double] [double 0.5, double 1.0, double 2.0, double 4.0]
@count = common global i64 0
declare double @tanh(double)
define internal double @bent(double %x) noinline {
  %y = call double @tanh(double %x)
  ret double %y
}
define double @ask(i64 %n) {
  %at = getelementptr [4 x double], [4 x double]* @table, i64 0, i64 %n
  %x = load double, double* %at
  %y = call double @bent(double %x)
  %before = load i64, i64* @count
  %after = add i64 %before, 1
  store i64 %after, i64* @count
  %turns = uitofp i64 %before to double
  %sum = fadd double %y, %turns
  ret double %sum
}
"""


@pytest.fixture(scope="module")
def code():
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(codemodel="large", jit=True)
    return machine.emit_object(binding.parse_assembly(SOURCE))


def test_linked_code_calls_reads_and_counts(code):
    ask = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(_linker.link(code, "ask", _native._find))
    for turn, x in enumerate((0.5, 1.0, 2.0, 4.0)):
        assert ask(turn) == pytest.approx(math.tanh(x) + turn, abs=1e-15)


def test_what_cannot_be_linked_is_left_to_llvm(code):
    with pytest.raises(_linker.CannotLinkError, match="no tanh"):
        _linker.link(code, "ask", lambda name: None)
    with pytest.raises(_linker.CannotLinkError, match="has no other"):
        _linker.link(code, "other", _native._find)
    from llvmlite import binding

    near = binding.Target.from_default_triple().create_target_machine(codemodel="small", jit=True)
    with pytest.raises(_linker.CannotLinkError, match="another code model"):
        _linker.link(near.emit_object(binding.parse_assembly(SOURCE)), "ask", _native._find)


def test_names_are_looked_up_as_numba_means_them():
    assert _native._find("PyExc_ValueError") == id(ValueError)
    assert _native._find("numba_unpickle")
    assert _native._find("no such name") is None


def test_parts_of_a_file(code):
    file = _linker.ObjectFile(code)
    assert "tanh" in file.undefined()
    assert {".symtab", ".strtab"} <= {file.section_name(n) for n in range(len(file.sections))}
    assert np.all(file.sections["offset"] <= len(code))
