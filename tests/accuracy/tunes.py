"""Tunes on our machine beside libsidplayfp: the same writes in the same order, and how far apart in time.

``python -m tests.accuracy.tunes FILE.sid... [--seconds 60] [--song N]`` plays each with `sidplayfp` as well (a log
instead of its sound; needs a C compiler). ``--store FILE.json`` keeps what sidplayfp writes, as checksums of its parts,
for `test_vice_vsid.py`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sidlearn import clock
from sidlearn.c64 import player, tune
from tests.accuracy import sidplayfp

WINDOW, RUN = 80, 8
"""Where the sequences part they are joined again by so many equal writes, looked for in so many."""
PARTS, EVERY = 20, 2000
"""Of a stored log: checksums of so many parts, cycles of every so many writes."""


class Match(NamedTuple):
    """How two logs compare."""

    share: float
    """Writes that are equal in order, of the longer log."""
    least: int
    """Cycles between equal writes, ours less theirs."""
    most: int


def ours(content: bytes, song: int, video: clock.Video, cycles: int) -> tuple[np.ndarray, player.TunePlayer]:
    """Return our writes in the same form as those of `sidplayfp.writes`, and the player."""
    ran = player.TunePlayer(tune.read(content), song, video)
    events = ran.advance(cycles)
    columns = (events["cycle"], events["register"] & 0x1F, events["value"])
    return np.column_stack(columns).astype(np.int64).reshape(-1, 3), ran


def match(own: np.ndarray, peer: np.ndarray) -> Match:
    """Compare two logs, joining them again behind differences."""
    first, second = ((rows[:, 1] << 8 | rows[:, 2]).tolist() for rows in (own, peer))
    pairs: list[tuple[int, int]] = []
    i = j = 0
    while i < len(first) and j < len(second):
        if first[i] == second[j]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
            continue
        x, y = _join(first, second, i, j)
        i, j = i + x, j + y
    if not pairs:
        return Match(0.0, 0, 0)
    at = np.array(pairs)
    apart = own[at[:, 0], 0] - peer[at[:, 1], 0]
    return Match(len(pairs) / max(len(first), len(second)), int(apart.min()), int(apart.max()))


def _join(first: list[int], second: list[int], i: int, j: int) -> tuple[int, int]:
    """Return how many writes to leave out in each until both go on alike."""
    for total in range(1, WINDOW):
        for x in range(total + 1):
            run = first[i + x : i + x + RUN]
            if run and run == second[j + total - x : j + total - x + RUN]:
                return x, total - x
    return 1, 1


def stored(content: bytes, song: int, cycles: int) -> dict[str, object]:
    """Return what is kept of sidplayfp's log."""
    peer = sidplayfp.writes(content, song, cycles)
    return {
        "song": song,
        "writes": len(peer),
        "sha256": checksums(peer),
        "every": EVERY,
        "cycles": peer[::EVERY, 0].tolist(),
    }


def checksums(rows: np.ndarray) -> list[str]:
    """Return the checksums of the parts of a log, times left out."""
    parts = np.array_split(rows[:, 1:].astype(np.uint8), PARTS)
    return [hashlib.sha256(part.tobytes()).hexdigest()[:16] for part in parts]


def main() -> None:
    """Print a line a tune."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tunes", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--song", type=int, default=0)
    parser.add_argument("--store", type=Path, metavar="FILE.json")
    options = parser.parse_args()
    if not sidplayfp.available():
        parser.error("needs sidplayfp and a C compiler")
    kept: dict[str, object] = {}
    good = count = 0
    for path in options.tunes:
        content = path.read_bytes()
        read = tune.read(content, str(path))
        if read.basic:
            print(f"{path.name}: a BASIC program, which sidplayfp cannot play without a ROM")
            continue
        song, video = options.song or read.start_song, clock.VIDEO[read.video or "pal"]
        cycles = round(options.seconds * video.clock_hz)
        if options.store:
            kept[f"{path.parent.name}/{path.name}"] = stored(content, song, cycles)
            continue
        begun = time.process_time()
        own, ran = ours(content, song, video, cycles)
        took = time.process_time() - begun
        result = match(own, sidplayfp.writes(content, song, cycles))
        tail = f", {ran.error}" if ran.error else ""
        count += 1
        good += result.share >= 0.95
        print(
            f"{path.name}, {read.magic}, song {song}: {result.share:.2%} of {len(own)} writes equal, {result.least} to"
            f" {result.most} cycles apart, {options.seconds / took:.0f} x real time{tail}",
            flush=True,
        )
    if options.store:
        options.store.write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="ascii")
    else:
        print(f"{good} of {count} tunes make at least 95 % of the writes that sidplayfp makes")


if __name__ == "__main__":
    main()
