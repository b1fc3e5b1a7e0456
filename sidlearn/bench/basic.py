"""BASIC beside the original: how far its tempo is off, and how fast it runs here."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np

from sidlearn.bench.measure import Progress, Report, Row, take_turns
from sidlearn.clock import PAL

DELAY_LOOPS = "10 FOR K=1 TO 200:FOR T=1 TO 500:NEXT T:NEXT K\n"
FLOATS = "10 FOR I=1 TO 300:A=SIN(I/10)*EXP(-I/100)+SQR(I)/LOG(I+1)+I^1.5:NEXT\n"
LONG_LINES = 24_000  # about a megabyte


def bench(progress: Progress = lambda _: None) -> Report:
    """Measure everything."""
    return Report("basic", [*_tempo(progress), *_speed(progress)])


def programs() -> list[dict[str, Any]]:
    """Return the measured programs: listing, total cycles, and the PAL cycle of every write."""
    text = resources.files("sidlearn.bench").joinpath("basic_programs.json").read_text(encoding="utf-8")
    return json.loads(text)["programs"]


def _tempo(progress: Progress) -> list[Row]:
    from sidlearn import basic

    rows = []
    for program in programs():
        progress(program["name"])
        pure = basic.run(program["listing"]).cycles
        pal = basic.run(program["listing"], video="pal")
        ntsc = basic.run(program["listing"], video="ntsc").cycles
        late = pal.writes.events["cycle"] - np.array(program["write_cycles_pal"])
        off = np.abs(late - np.median(late)).max() / PAL.clock_hz * 1e3
        details = {
            "pure cycles off": pure - program["cycles_cpu"],
            "PAL %": 100 * (pal.cycles / program["cycles_pal"] - 1),
            "NTSC %": 100 * (ntsc / program["cycles_ntsc"] - 1),
        }
        rows.append(Row(f"tempo of {program['name']}", off, "ms off", 1, lower_is_better=True, details=details))
    return rows


def _speed(progress: Progress) -> list[Row]:
    from sidlearn import basic

    page185 = next(p["listing"] for p in programs() if p["name"].startswith("page185"))
    long = "\n".join(f"{n} PRINT A$;:POKE S+4,33:FOR T=1 TO 250" for n in range(1, LONG_LINES))
    works: dict[str, Callable[[], object]] = {
        "delay loops": lambda: basic.run(DELAY_LOOPS, video="pal"),
        "float-heavy code": lambda: basic.run(FLOATS, video="pal"),
        "page185, listing to log": lambda: basic.run(page185, video="pal"),
        f"tokenise {len(long) / 1e6:.2f} MB": lambda: basic.tokenize(long),
    }
    timings = take_turns(list(works.values()), progress=progress)
    floors = (100.0, 20.0, 0.05, 1.0)
    rows = []
    for (case, work), timing, floor in zip(works.items(), timings, floors, strict=True):
        if floor > 1:
            seconds = work().cycles / PAL.clock_hz  # type: ignore[attr-defined]
            rows.append(Row(case, seconds / timing.least, "x real time", floor))
        else:
            rows.append(Row(case, timing.least, "CPU s", floor, lower_is_better=True))
    begun = time.perf_counter()
    basic.run("10 POKE 54296,15")
    rows.append(Row("one POKE, listing to log", time.perf_counter() - begun, "s"))
    return rows
