"""Kernels that are called without numba: the same results, and numba wherever anything has changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sidlearn import _native

BEAM = """
import sys
from sidlearn import clock
from sidlearn.c64 import vic
beam = vic.power_on(clock.PAL)[0]
for _ in range(100_000):
    vic.clock_vic(beam)
print(beam.line, beam.column, vic.cycles_to_bad_line(beam), "numba" in sys.modules)
"""
ELF_ONLY = pytest.mark.skipif(not _native.usable(), reason="object code is kept on Linux, and where numba compiles")


def beam(folder: Path, **more: str) -> list[str]:
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(folder), **more}
    result = subprocess.run([sys.executable, "-c", BEAM], env=environ, capture_output=True, text=True, check=True)
    return result.stdout.split()


@ELF_ONLY
def test_a_second_process_gets_the_same_without_numba(tmp_path):
    *first, with_numba = beam(tmp_path)
    *second, still = beam(tmp_path)
    assert first == second
    assert (with_numba, still) == ("True", "False")
    kept = sorted((tmp_path / _native.FOLDER).iterdir())
    assert len(kept) == 2
    for path in kept:  # damaged files are not run
        path.write_bytes(path.read_bytes()[:-100])
    assert beam(tmp_path) == [*first, "True"]
    assert beam(tmp_path, SIDLEARN_NO_NATIVE="1") == [*first, "True"]


RECORD = np.dtype([("a", "i8"), ("b", "u1", (3,))], align=True)


def test_everything_that_types_depend_on_is_in_the_signature():
    square = np.zeros((4, 4))
    values = [
        1, 1.0, square, square.T, square[::2, ::2], square[0], square.astype(np.float32), np.zeros(3, RECORD),
        np.zeros(3, RECORD).view(np.recarray), np.zeros(3, RECORD)[0], (square, 1), (square, 1.0), (square, (1,)),
    ]  # fmt: skip
    frozen = np.zeros((4, 4))
    frozen.flags.writeable = False
    other = np.dtype([("a", "i8"), ("b", "u1", (4,))], align=True)
    values += [frozen, np.zeros(3, other), np.zeros(3, np.dtype([("a", "i8"), ("c", "u1", (3,))], align=True))]
    found = [_native.signature((value,), {}) for value in values]
    assert None not in found
    assert len(set(found)) == len(found)
    assert _native.signature((np.zeros((4, 4)),), {}) == _native.signature((np.ones((2, 3)),), {})


@pytest.mark.parametrize("value", ["text", None, True, 1j, [1], np.zeros(2, object), np.uint8(1), np.array("x")])
def test_other_things_are_left_to_numba(value):
    assert _native.signature((value,), {}) is None
    assert _native.signature(((1, value),), {}) is None


def test_what_is_known_of_an_argument_is_forgotten_with_it():
    known: dict = {}
    one, other = (np.zeros(3),), (np.zeros(3, np.float32),)
    first = _native.signature((one, 1), known)
    assert _native.signature((one, 1), known) == first == _native.signature((one, 1), {})
    assert _native.signature((other, 1), known) == _native.signature((other, 1), {}) != first


def test_what_is_no_object_file_is_not_linked():
    assert _native.missing(b"no code") == ["no ELF file"]


def test_a_kernel_is_compiled_again_when_a_file_it_calls_into_changes():
    from sidlearn import _kernel
    from sidlearn.c64 import cia, machine
    from sidlearn.cpu import kernel

    files = _kernel.sources_of(machine.__name__)
    assert files[0] == machine.__file__
    assert {cia.__file__, kernel.__file__} <= set(files)
    if not os.environ.get("NUMBA_DISABLE_JIT"):
        _, stamps = machine.run_exact.dispatcher._cache._cache_file._source_stamp
        assert len(stamps) == len(files)
