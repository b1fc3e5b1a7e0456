"""``import sidlearn`` is light, and every public name arrives."""

from __future__ import annotations

import subprocess
import sys

import pytest

import sidlearn

HEAVY = ("torch", "pygame", "numba", "numpy", "matplotlib", "scipy", "soundfile", "mido")


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_import_loads_no_heavy_package():
    assert loaded_after("import sidlearn") == set()


def test_help_loads_no_heavy_package():
    code = """
import contextlib, io, sidlearn.__main__
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    sidlearn.__main__.main(["--help"])
"""
    assert loaded_after(code.strip()) == set()


def test_basic_needs_no_numba():
    """A listing turns into a register log without the chip, so the interpreter starts at once."""
    assert "numba" not in loaded_after("import sidlearn.basic as b; b.run('10 poke 54296,15')")


@pytest.mark.parametrize("name", sidlearn.__all__)
def test_every_public_name_arrives(name):
    assert getattr(sidlearn, name) is not None


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'sing'"):
        _ = sidlearn.sing
