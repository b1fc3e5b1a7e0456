"""Cycles of BASIC against the original machine code: the table of errors.

``pytest -s tests/accuracy/test_basic_timing.py`` prints it.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from sidlearn.basic import run

DATA = Path(__file__).resolve().parent.parent / "data" / "basic"
TIMING = json.loads((DATA / "timing.json").read_text(encoding="utf-8"))
STATEMENTS = json.loads((DATA / "statements.json").read_text(encoding="utf-8"))["programs"]
SNIPPETS = TIMING["snippets"]
PROGRAMS = [p for p in TIMING["programs"] if p["listing"].startswith("listings/")]
NEEDS_CPU = {"p07_mc_loader"}

EXACT_SNIPPETS = 1.0  # share of the snippets with the very cycle count
PURE_ONSET_CYCLES = 0  # of a write, pure cycles
PAL_ONSET_CYCLES = 400  # of a write, once the median difference is taken off; the reference is a mean over phases
PAL_TOTAL = 2e-4  # of a program's length
PHASE_CYCLES = 500  # where in a picture a program starts is worth this much


def snippet_cycles(snippet) -> int:
    """Cycles from the first statement of line 100 to that of line 900."""
    trace = run("\n".join(snippet["lines"]), trace=True).trace
    first = {line: int(trace["cycle"][trace["line"] == line][0]) for line in (100, 900)}
    return first[900] - first[100]


@pytest.mark.parametrize("snippet", SNIPPETS, ids=[s["id"] for s in SNIPPETS])
def test_snippet_takes_the_cycles_of_the_machine(snippet):
    assert snippet_cycles(snippet) == snippet["cycles_cpu"]


@pytest.mark.parametrize("program", STATEMENTS, ids=range(len(STATEMENTS)))
def test_random_statements_take_the_cycles_of_their_steps(program):
    trace = run("\n".join(program["lines"]), trace=True, max_cycles=5_000_000).trace
    took = np.diff(trace["cycle"])
    rows = [[int(line), int(cycles)] for line, cycles in zip(trace["line"], took, strict=False)]
    assert rows[: len(program["statements"])] == program["statements"]


def differences(program, video):
    """Return run, and the onsets of its writes against the log."""
    text = (DATA / program["listing"]).read_text(encoding="utf-8")
    result = run(text, video=video)
    with (DATA / program["log"]).open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    events = result.writes.events
    got = list(zip(events["register"].tolist(), events["value"].tolist(), strict=True))
    assert got == [(int(r["reg"]), int(r["value"])) for r in rows]
    column = "cycle_pal_mean" if video else "cycle_cpu"
    return result, events["cycle"] - np.array([int(r[column]) for r in rows])


@pytest.fixture(params=PROGRAMS, ids=[p["id"] for p in PROGRAMS])
def program(request):
    if request.param["id"] in NEEDS_CPU:
        pytest.importorskip("sidlearn.cpu.port")
    return request.param


def test_program_writes_at_the_machines_cycles(program):
    result, late = differences(program, None)
    assert result.error == program["screen_error"]
    assert abs(late).max() <= PURE_ONSET_CYCLES
    assert result.cycles == program["total_cycles_cpu"]


def test_program_keeps_the_machines_wall_time(program):
    result, late = differences(program, "pal")
    assert abs(late - np.median(late)).max() <= PAL_ONSET_CYCLES
    expected = program["total_cycles_pal"]
    assert abs(result.cycles - expected) <= PAL_TOTAL * expected + PHASE_CYCLES
    expected = program["total_cycles_ntsc"]
    assert abs(run((DATA / program["listing"]).read_text(), video="ntsc").cycles - expected) <= (
        PAL_TOTAL * expected + PHASE_CYCLES
    )


def test_table_of_errors(capsys):
    """Not more than a few cycles of a million are wrong anywhere."""
    wrong = [s["id"] for s in SNIPPETS if snippet_cycles(s) != s["cycles_cpu"]]
    rows = [f"snippets: {len(SNIPPETS) - len(wrong)} of {len(SNIPPETS)} exact"]
    for p in PROGRAMS:
        pure, late = differences(p, None)
        pal, pal_late = differences(p, "pal")
        rows.append(
            f"{p['id']:20} {len(late):4} writes, pure {abs(late).max():3} cycles off,"
            f" total {pure.cycles - p['total_cycles_cpu']:+d};"
            f" PAL {abs(pal_late - np.median(pal_late)).max():5.0f} off,"
            f" total {100 * (pal.cycles / p['total_cycles_pal'] - 1):+.4f} %"
        )
    with capsys.disabled():
        print("", *rows, sep="\n")
    assert len(wrong) <= (1 - EXACT_SNIPPETS) * len(SNIPPETS)
