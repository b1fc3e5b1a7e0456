"""How long the command line takes to answer: ``python -m tests.benchmarks.start``.

The best of ten starts of each, and the CPU time of it; ``--help`` has to be there within 150 ms. Exit status 1 else.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

LIMIT_MS = 150.0
STARTS = 10
COMMANDS = {"--help": ["--help"], "--version": ["--version"], "play --help": ["play", "--help"]}


def measure(arguments: list[str]) -> tuple[float, float]:
    """Return milliseconds of wall and CPU time of the quickest start."""
    best = (float("inf"), float("inf"))
    for _ in range(STARTS):
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "sidlearn", *arguments], stdout=subprocess.DEVNULL, check=True)
        wall = time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        best = min(best, (1000 * wall, 1000 * (after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime)))
    return best


def main() -> int:
    """Measure all and print JSON."""
    result = {
        name: dict(zip(("wall_ms", "cpu_ms"), (round(v, 1) for v in measure(arguments)), strict=True))
        for name, arguments in COMMANDS.items()
    }
    print(json.dumps(result, indent=1))
    return int(result["--help"]["wall_ms"] > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
