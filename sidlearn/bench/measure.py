"""How a benchmark measures: contestants take turns, CPU seconds count, the table shows ratios."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Progress = Callable[[str], None]

REPETITIONS = 5


def peak_megabytes() -> float:
    """Return the most memory that this process has had, in MB.

    Linux tells it since the program began; elsewhere it may hold what the process that started this one had.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(peak.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@dataclass(frozen=True)
class Timing:
    """CPU seconds of the repetitions of one piece of work."""

    seconds: tuple[float, ...]

    @property
    def least(self) -> float:
        """The fastest: what a shared machine disturbs least."""
        return min(self.seconds)

    @property
    def middle(self) -> float:
        """The median."""
        return sorted(self.seconds)[len(self.seconds) // 2]

    @property
    def most(self) -> float:
        """The slowest."""
        return max(self.seconds)


@dataclass(frozen=True)
class Row:
    """One line of a report: a figure with its unit, what it must reach, and whatever else belongs to it."""

    case: str
    figure: float
    unit: str
    floor: float | None = None
    lower_is_better: bool = False
    details: dict[str, object] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether the figure reaches the floor (or stays under it, where lower is better)."""
        if self.floor is None:
            return True
        return self.figure <= self.floor if self.lower_is_better else self.figure >= self.floor


@dataclass(frozen=True)
class Report:
    """All rows of a benchmark."""

    name: str
    rows: list[Row]

    def text(self) -> str:
        """Return the report as a table for people."""
        lines = [f"sidlearn bench {self.name}: {machine()}", ""]
        width = max(len(row.case) for row in self.rows)
        for row in self.rows:
            floor = "" if row.floor is None else f"  {'at most' if row.lower_is_better else 'at least'} {row.floor:g}"
            mark = "" if row.holds else "  SHORT"
            details = "  ".join(f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.details.items())
            lines.append(f"{row.case:<{width}}  {row.figure:8.3g} {row.unit:<12}{floor}{mark}  {details}".rstrip())
        return "\n".join(lines)

    def json(self) -> str:
        """Return the report as one JSON object."""
        rows = [
            {
                "case": row.case,
                "figure": row.figure,
                "unit": row.unit,
                "floor": row.floor,
                "holds": row.holds,
                **row.details,
            }
            for row in self.rows
        ]
        return json.dumps({"bench": self.name, "machine": machine(), "rows": rows})


def machine() -> str:
    """Return what was measured on."""
    return f"Python {platform.python_version()}, {platform.machine()}, {platform.system()}"


def take_turns(
    works: Sequence[Callable[[], object]], repetitions: int = REPETITIONS, progress: Progress = lambda _: None
) -> list[Timing]:
    """Run all pieces of work one after the other, `repetitions` times over, so that a busy moment hits all alike.

    Each work is run once before, uncounted, so that nothing compiles or loads while time is taken.
    """
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(repetitions):
        for number, work in enumerate(works):
            progress(f"repetition {turn + 1} of {repetitions}, {number + 1} of {len(works)}")
            before = time.process_time()
            work()
            seconds[number].append(time.process_time() - before)
    return [Timing(tuple(s)) for s in seconds]
