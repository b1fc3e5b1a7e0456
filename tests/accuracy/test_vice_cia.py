"""VICE's self-judging CIA programs on the machine that plays tunes: each passes or is a strict xfail.

Needs ``--testprogs DIR``, a checkout of VICE-testprogs. Programs for the newer 6526A are left out: ours is a 6526.
81 of 119 pass; 14 of the others are for one batch of 6526s, 16 run in BASIC as well as in machine code.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.accuracy.c64_programs import run_program
from tests.accuracy.harness import Listed, listed

BATCH = "for the 6526s of week 44 of 1985 alone, whose readings contradict those of all others"
ROM = "goes on in BASIC"
UNKNOWN = "not analysed"

# Part of a path -> why its programs fail.
FAILS = {
    "sdr-icr-4485": BATCH, "ciavarious/": ROM, "cia-b-counts-a": ROM, "hour-test": ROM, "ampmtest": ROM,
    "cia-timer-oldcias": UNKNOWN, "dd0dtest": UNKNOWN, "reload0/": UNKNOWN, "tod/fix-hour": UNKNOWN,
    "hzsync1": UNKNOWN, "hzsync6": UNKNOWN,
}  # fmt: skip
PASS_4485 = ("4485-0.prg",)
"""Of those the ones that all 6526s pass."""


def programs_for_ours(testprogs: Path) -> list[Listed]:
    rows = [test for test in listed(testprogs, "CIA/") if test.kind == "exitcode"]
    return [t for t in rows if "cia-new" not in t.options and not any("ntsc" in option for option in t.options)]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.getoption("--testprogs")
    if "test" not in metafunc.fixturenames:
        return
    rows = []
    for test in programs_for_ours(Path(folder)) if folder else []:
        name = f"{test.folder}/{test.program}"
        why = next((reason for part, reason in FAILS.items() if part in name), None)
        why = None if name.endswith(PASS_4485) else why
        marks = [pytest.mark.slow] + ([pytest.mark.xfail(reason=why, strict=True)] if why else [])
        rows.append(pytest.param(test, marks=marks, id=name))
    metafunc.parametrize("test", rows)


def test_program_passes(testprogs, test):
    verdict, reason = run_program(test.path(testprogs), test.limit)
    assert verdict == 0, reason
