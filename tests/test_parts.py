"""Kernels that other kernels call: linked into their callers, kept for callers to come, and called like any other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPILED = pytest.mark.skipif(
    any(os.environ.get(name) for name in ("NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK")), reason="parts are compiled"
)

KERNELS = """
import numpy as np
from sidlearn._kernel import inline_part_kernel, kernel, part_kernel

@inline_part_kernel
def add_square(values, n):
    values[n] += n * n

@part_kernel
def total(values):
    for n in range(values.size):
        add_square(values, n)
    return values.sum()

@part_kernel
def numbers(size):
    return np.full(size, 2.0)

@part_kernel
def forgets(size):
    return numbers(size).sum()

@kernel
def once(values):
    return total(values)

@kernel
def twice(values):
    return total(values) + total(values)

@kernel
def careless(size):
    return forgets(size)
"""


def run(folder: Path, line: str) -> list[str]:
    if not (folder / "some_kernels.py").exists():  # what is compiled is as old as its source
        (folder / "some_kernels.py").write_text(KERNELS)
    environ = {**os.environ, "NUMBA_CACHE_DIR": str(folder), "SIDLEARN_NO_NATIVE": "1", "PYTHONPATH": os.pathsep.join(
        [str(folder), str(Path(__file__).parent.parent)]
    )}  # fmt: skip
    code = f"import numpy as np, some_kernels as k\n{line}"
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    return result.stdout.split()


@COMPILED
def test_a_part_is_kept_for_other_callers_and_can_be_called_alone(tmp_path):
    hits = "sum(k.total._part.stats.cache_hits.values()), sum(k.total._part.stats.cache_misses.values())"
    assert run(tmp_path, f"print(k.once(np.ones(3)), {hits})") == ["8.0", "0", "1"]
    assert run(tmp_path, f"print(k.twice(np.ones(3)), {hits}, k.total(np.ones(3)))") == ["21.0", "1", "0", "8.0"]


@COMPILED
def test_machine_code_is_made_of_the_whole_alone(tmp_path):
    line = (
        "k.once(np.ones(3)); (one,) = k.total._part.overloads.values(); print(one.library.get_pointer_to_function('x'))"
    )
    assert run(tmp_path, line) == ["0"]
    kept = {path.name.partition("-")[0] for path in tmp_path.rglob("*.nbc")}
    assert kept == {"part", "some_kernels.once"}


@COMPILED
def test_a_part_that_counts_no_references_is_given_no_arrays(tmp_path):
    line = "try: k.careless(3)\nexcept Exception as error: print('COUNTING' in str(error))"
    assert run(tmp_path, line) == ["True"]
