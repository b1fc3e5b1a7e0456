"""Broken files: mutations of tunes, programs and disks, each of which must be refused in a line or play.

``python -m tests.accuracy.broken_files [FILE...] [--count 10000] [--seed N] [--folder DIR]`` changes, cuts and joins
the given files (or those that it makes itself: tunes, programs in machine code and BASIC, a disk) and runs each for a
few pictures. It tells every exception that is not one of ours, every message of more than a line, and every file that
takes longer than its limit; the file itself is left in the folder. Exit status 1 if there was one.
"""

from __future__ import annotations

import argparse
import io
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from sidlearn import sources
from sidlearn.errors import SidlearnError
from sidlearn.export import prg_file, sid_file
from sidlearn.registers import OSC3
from tests.basic.test_listing import d64
from tests.c64.tunes import COUNTER, sid
from tests.export.test_players import random_frames

SECONDS = 0.3
LIMIT_SECONDS = 10
"""Of processor time for one file: a guess, far above the .01 s that most take."""
HEADER_BYTES = 0x80
"""Half of all changes fall into the first bytes, where the headers are."""
CHANGES = (1, 2, 5, 20, 200)
HOOKED = "init: LDX #<irq\n STX $0314\n LDX #>irq\n STX $0315\n RTS\nirq: INC $D401\n JMP $EA31"
"""An RSID that hangs itself on the timer's interrupt."""


class TooLong(Exception):
    """A file has taken longer than its limit."""


def seeds() -> dict[str, list[bytes]]:
    """Return good files to start from: suffix -> contents."""
    from sidlearn import basic

    frames = random_frames(1, 200, 19_656, 985_248)
    tune, program = io.BytesIO(), io.BytesIO()
    sid_file.write(frames.writes(), tune)
    prg_file.write(frames.writes(), program)
    listing = basic.tokenize('10 FORI=1TO9:POKE54272+I,I*7:NEXT:PRINT"A":GOTO10')
    tunes = [tune.getvalue(), sid(COUNTER), sid(COUNTER, speed=1, songs=3), sid(HOOKED, magic=b"RSID")]
    programs = {"tune": program.getvalue(), "list": listing}
    return {".sid": tunes, ".prg": [*programs.values()], ".d64": [d64(programs)]}


def mutations(content: bytes, chance: random.Random) -> bytes:
    """Return a broken copy."""
    data = bytearray(content)
    if chance.random() < 0.3:
        del data[chance.randrange(len(data)) :]
    if chance.random() < 0.1:
        at = chance.randrange(len(data) + 1)
        data[at:at] = bytes(chance.randrange(256) for _ in range(chance.choice(CHANGES)))
    for _ in range(chance.choice(CHANGES)):
        if data:
            where = chance.randrange(len(data) if chance.random() < 0.5 else min(len(data), HEADER_BYTES))
            data[where] = chance.choice((chance.randrange(256), 0, 0xFF, data[where] ^ 1 << chance.randrange(8)))
    return bytes(data)


def outcome(path: Path) -> str:
    """Run one file; return how it ended. What is not an error of ours passes through."""
    try:
        performance = sources.open_source(path, sources.Request(left_open=frozenset({"video", "model"})))
        until = round(SECONDS * performance.clock_hz)
        while not performance.ended and performance.cycle < until:
            performance.advance(until)
        return "stopped with a message" if performance.error else "played"
    except SidlearnError as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"a message of several lines: {error!r}") from error
        return "refused"


def members(suffix: str, path: Path) -> list[Path]:
    """Return what to open of a file: a disk as a whole and by the names of its programs."""
    return [path, Path(f"{path}:tune"), Path(f"{path}:list")] if suffix == ".d64" else [path]


def run(
    files: dict[str, list[bytes]], count: int, seed: int, folder: Path, tell: Callable[[str], None] = print
) -> Iterator[tuple[str, str, str]]:
    """Break `count` files of every kind; give suffix, outcome and a complaint, empty where all is well."""
    chance = random.Random(seed)
    sources.ReadbackPort(sources.Request()).peek(1, OSC3)  # compiles what a broken program might be the first to need
    for suffix, contents in files.items():
        for content in contents:  # whole ones first, for what is compiled then
            path = folder / f"whole{suffix}"
            path.write_bytes(content)
            for member in members(suffix, path):
                outcome(member)
        for number in range(count):
            path = folder / f"broken{suffix}"
            path.write_bytes(mutations(chance.choice(contents), chance))
            complaint, ended, begun = "", "", time.process_time()
            for member in members(suffix, path):
                try:
                    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_SECONDS)
                    ended = outcome(member)
                except Exception as error:  # what this program looks for
                    complaint = f"{type(error).__name__}: {error}"
                finally:
                    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            took = time.process_time() - begun
            if complaint:
                kept = folder / f"{number}{suffix}"
                kept.write_bytes(path.read_bytes())
                tell(f"{kept}: {complaint} ({took:.1f} s)")
            yield suffix, ended or "failed", complaint


def _too_long(*_: object) -> None:
    raise TooLong(f"more than {LIMIT_SECONDS} s")


def main() -> int:
    """Print what has failed, and how many files ended how."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("files", type=Path, nargs="*")
    parser.add_argument("--count", type=int, default=10_000, help="of each kind")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if options.seed is None else options.seed
    folder = options.folder or Path(tempfile.mkdtemp(prefix="sidlearn-broken-"))
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[bytes]] = {}
    for path in options.files:
        files.setdefault(path.suffix.lower(), []).append(path.read_bytes())
    signal.signal(signal.SIGVTALRM, _too_long)
    ends, failed = Counter[tuple[str, str]](), 0
    for suffix, ended, complaint in run(files or seeds(), options.count, seed, folder):
        ends[suffix, ended] += 1
        failed += bool(complaint)
    for (suffix, ended), number in sorted(ends.items()):
        print(f"{suffix} {ended}: {number}")
    print(f"seed {seed}: {failed} of {sum(ends.values())} failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
