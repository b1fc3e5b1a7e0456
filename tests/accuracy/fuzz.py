"""Random writes of any kind to the chip: no NaN, no level beyond 1, nothing read or written out of bounds.

``NUMBA_BOUNDSCHECK=1 python -m tests.accuracy.fuzz --logs 10000`` plays so many, on chips, modes and sample rates in
turn; ``--seed`` repeats a run. Some minutes, for compiled code that looks at every index.
"""

from __future__ import annotations

import argparse
import secrets

import numpy as np

from sidlearn._kernel import numba
from sidlearn.chip.models import MODELS
from sidlearn.chip.sid import MODES, SID, readback
from sidlearn.registers import WRITABLE
from sidlearn.writes import RegisterWrites

RATES = (8_000, 44_100, 48_000, 192_000, 985_248)
CYCLES = 20_000
"""Of a log at most."""


def log(rng: np.random.Generator) -> RegisterWrites:
    """Return writes of any values to any registers, from one a cycle to a few in all; some never move the voices."""
    length = int(rng.integers(1, CYCLES))
    count = int(rng.integers(0, max(2, length // int(2 ** rng.integers(1, 14)))))
    cycles = np.sort(rng.integers(0, length, count)).tolist()
    first = int(rng.choice((0, 0, 0, 14, 21)))
    registers = rng.integers(first, WRITABLE, count).tolist()
    values = rng.choice((0, 255, 129, 8), count) if rng.random() < 0.2 else rng.integers(0, 256, count)
    return RegisterWrites.from_rows(list(zip(cycles, registers, values.tolist(), strict=True)), length=length)


def play(seed: int) -> None:
    """Play one log, cut anywhere, with a signal at EXT IN at times; raise AssertionError if anything is wrong."""
    rng = np.random.default_rng(seed)
    writes = log(rng)
    model = list(MODELS)[seed % len(MODELS)]
    mode = MODES[seed // len(MODELS) % 2]
    sid = SID(model, int(rng.choice(RATES)), mode=mode)
    for event in writes.events.tolist():
        sid.poke(*event)
    sound = []
    while sid.cycle < writes.length:
        size = int(rng.integers(1, writes.length - sid.cycle + 1))
        ext_in = rng.uniform(-1, 1, size) if rng.random() < 0.1 else None
        sound.append(sid.clock(size, ext_in=ext_in))
    levels = np.concatenate(sound) if sound else np.empty(0)
    assert np.isfinite(levels).all(), seed
    assert np.abs(levels).max(initial=0) <= 1, seed
    osc3, _ = readback(writes, model)
    assert len(osc3) == writes.length, seed


def main() -> None:
    """Play many, and say how many there were."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--logs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = secrets.randbelow(1 << 31) if options.seed is None else options.seed
    for n in range(options.logs):
        play(seed + n)
        if n % 100 == 99:
            print(f"seed {seed}: {n + 1} logs", flush=True)
    checked = "every index checked" if numba.config.BOUNDSCHECK else "indices not checked: set NUMBA_BOUNDSCHECK=1"
    print(f"seed {seed}: {options.logs} logs, nothing wrong; {checked}")


if __name__ == "__main__":
    main()
