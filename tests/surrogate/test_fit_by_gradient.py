"""The example for researchers: level, pulse width and cutoff by gradient through `DifferentiableSID` alone."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "fit_by_gradient.py"


@pytest.mark.parametrize("wanted", [(11.0, 1_400.0, 600.0), (8.0, 500.0, 1_200.0)])
def test_a_fit_finds_what_was_played(wanted):
    torch.set_num_threads(1)
    script = runpy.run_path(str(SCRIPT))
    level, width, cutoff = script["fit"](script["note"](torch.tensor(wanted)).detach())
    assert int(level) == wanted[0]  # what the register holds of it
    assert width == pytest.approx(wanted[1], abs=5)
    assert cutoff == pytest.approx(wanted[2], abs=10)


def test_the_script_is_under_forty_lines():
    assert len(SCRIPT.read_text(encoding="utf-8").splitlines()) < 40
