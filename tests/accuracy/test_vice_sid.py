"""VICE's self-judging SID programs on our chip: every row passes, or is a strict xfail with its reason.

Needs ``--testprogs DIR``, a checkout of VICE-testprogs. The models of real chips pass 194 of 194 runs; those that
follow residfp 181, as residfp itself does (libresidfp issue #8).
"""

from __future__ import annotations

import pytest

from sidlearn.chip.models import MODELS
from tests.accuracy.harness import Listed, listed, run_program

CHIPS = {"6581": "sid-old", "8580": "sid-new"}

# Model -> programs that fail on it; the other models pass all. Why: libresidfp issue #8, its rule for noise write-back.
WRITE_BACK = "residfp fails it too, for its rule of noise write-back"
FAILS = {
    "6581-residfp": [f"noise_writeback_check_{pair}_old.prg" for pair in
                     ("8_to_C", "9_to_C", "A_to_C", "C_to_C", "D_to_C", "D_to_E", "E_to_C", "F_to_8", "F_to_C")],
    "8580-residfp": [f"noise_writeback_check_{pair}_new.prg" for pair in ("C_to_9", "C_to_E", "C_to_F")]
                    + ["wf12nsr-8580.prg"],
}  # fmt: skip


def chips_of(test: Listed) -> list[str]:
    """A program that names no chip has to pass on both."""
    named = [chip for chip, option in CHIPS.items() if option in test.options]
    return named or list(CHIPS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.getoption("--testprogs")
    if "test" not in metafunc.fixturenames:
        return
    from pathlib import Path

    rows = []
    for test in listed(Path(folder), "SID/") if folder else []:
        for chip in chips_of(test) if test.kind == "exitcode" else []:
            for model in (name for name in MODELS if name.split("-")[0] == chip):
                fails = test.program in FAILS.get(model, [])
                marks = [pytest.mark.slow] + ([pytest.mark.xfail(reason=WRITE_BACK, strict=True)] if fails else [])
                rows.append(pytest.param(test, model, marks=marks, id=f"{test.folder[4:]}/{test.program}-{model}"))
    metafunc.parametrize(("test", "model"), rows)


def test_program_passes(testprogs, test, model):
    result = run_program(test.path(testprogs), model, test.limit, test.disk(testprogs))
    assert result.passed, result.reason


def test_the_list_has_194_runs(testprogs):
    tests = [test for test in listed(testprogs, "SID/") if test.kind == "exitcode"]
    assert sum(len(chips_of(test)) for test in tests) == 194
