"""OSC3 and ENV3 of the `-residfp` models against pyresidfp, in every cycle of random writes to the voices.

``python -m tests.accuracy.identity --cycles 100e6`` compares that many cycles, over both chips and every kind of
traffic; ``--seed`` repeats a run, without it the seeds are new. About two minutes of processor time.
"""

from __future__ import annotations

import argparse
import itertools
import secrets
from typing import NamedTuple

import numpy as np

from sidlearn import chip
from tests.chip import traffic

CHIPS = ("6581", "8580")
LOG_CYCLES = 1_000_000

# (most cycles between two writes, longest pause) of a log. The last is for cells that creep and outputs that fade.
PACES = ((4, 200), (60, 8_000), (800, 30_000), (60, 900_000))


class Difference(NamedTuple):
    """What one log has shown."""

    chip: str
    kind: str
    pace: tuple[int, int]
    seed: int
    cycles: int
    osc3: int
    """Cycles in which OSC3 differs."""
    env3: int
    first: int
    """First cycle in which either does, or -1."""


def compare(name: str, kind: str, pace: tuple[int, int], seed: int, cycles: int) -> Difference:
    """Play one random log on both."""
    gap, pause = pace
    writes = traffic.traffic(seed, cycles, kind, gap, pause=pause)
    osc3, env3 = chip.readback(writes, f"{name}-residfp")
    their_osc3, their_env3 = traffic.oracle_readback(writes, name)
    wrong_osc3, wrong_env3 = osc3 != their_osc3, env3 != their_env3
    wrong = np.flatnonzero(wrong_osc3 | wrong_env3)
    first = int(wrong[0]) if len(wrong) else -1
    return Difference(name, kind, pace, seed, cycles, int(wrong_osc3.sum()), int(wrong_env3.sum()), first)


def run(cycles: int, seed: int) -> list[Difference]:
    """Compare so many cycles, shared out over chips, kinds of traffic and paces."""
    cases = list(itertools.product(PACES, CHIPS, traffic.KINDS))
    length = min(LOG_CYCLES, -(-cycles // len(cases)))
    logs = -(-cycles // length)
    return [
        compare(name, kind, pace, seed + n, length)
        for n, (pace, name, kind) in enumerate(itertools.islice(itertools.cycle(cases), logs))
    ]


def main() -> None:
    """Compare, and print a line for each chip and kind of traffic."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=float, default=1e6)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    found = run(int(options.cycles), seed)
    print(f"seed {seed}")
    for name, kind in itertools.product(CHIPS, traffic.KINDS):
        part = [d for d in found if (d.chip, d.kind) == (name, kind)]
        cycles, osc3, env3 = (sum(getattr(d, field) for d in part) for field in ("cycles", "osc3", "env3"))
        print(f"{name} {kind:<9} {cycles:>12,} cycles, wrong: OSC3 {osc3}, ENV3 {env3}")
    for difference in found:
        if difference.first >= 0:
            print(difference)
    print(f"in all {sum(d.cycles for d in found):,} cycles, wrong: {sum(d.osc3 + d.env3 for d in found)}")


if __name__ == "__main__":
    main()
