"""Public test programs for 6510, CIA and interrupts: which there are, which pass, and why the others do not.

``python -m tests.accuracy.programs DIR [--write]``, with DIR a checkout of VICE-testprogs, runs all of them and prints
a table; ``--write`` puts it into `PROGRAMS.md`. ``pytest tests/accuracy/test_vice_programs.py --testprogs DIR`` checks
each of them.

Klaus Dormann's functional test, Acid800, decimal mode, 64doc and the unstable opcodes run in the small C64 of
`harness`; Wolfgang Lorenz' suite, the interrupts and the CIA programs in the machine that plays tunes
(`c64_programs`). Programs for the newer 6526A, for NTSC and for other machines are left out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from tests.accuracy import c64_programs, harness
from tests.accuracy.harness import Listed, listed

TABLE = Path(__file__).with_name("PROGRAMS.md")
OTHER_MACHINES = {"vicii-ntsc", "vicii-ntscold", "dtv", "c128", "cia-new"}

BATCH = "for the 6526s of week 44 of 1985 alone, whose readings contradict those of all others"
ROM = "goes on in BASIC"
ROM_CODE = "runs instructions out of Commodore's ROM images"
MAINS = "needs mains as fast as pictures: at 50 Hz 6 of its 256 passes fail, 5 may"
SPRITES = "waits for an interrupt by two sprites that touch, and no picture is drawn"
FLAGS = "4 of its 16 parts, E, I, L and M, read the timers' flags otherwise in the cycle in which they are set"
DUMMY_READS = "6 of its 25 parts read $DD0D with indexed and INC instructions while an NMI comes up"

# Part of a path -> why its programs fail.
FAILS = {
    "sdr-icr-4485": BATCH, "ciavarious/cia3.prg": FLAGS, "hour-test": ROM, "ampmtest": ROM,
    "dd0dtest": DUMMY_READS, "hzsync6": MAINS, "mmufetch.prg": ROM_CODE, "irq-ack-vicii.prg": SPRITES,
}  # fmt: skip
PASSES = ("4485-0.prg",)
"""Of those the ones that pass all the same: this one all 6526s do."""

BEGINS = 5_000
"""When in the picture Lorenz' programs and those for interrupts are RUN: trap16 and trap17 stop, now and then, where an
interrupt is due while the flag I that their BRK has set is still on; ackraster wants one within 15 000 cycles."""


class Program(NamedTuple):
    """One program: its set, where it stands, how it is run, and why it fails, None if it passes."""

    group: str
    test: Listed
    run: Callable[[Path], tuple[bool, str]]
    reason: str | None

    @property
    def name(self) -> str:
        """Folder and file."""
        return f"{self.test.folder}/{self.test.program}"


def _in_small_c64(test: Listed, testprogs: Path) -> tuple[bool, str]:
    result = harness.run_program(test.path(testprogs), "6581", test.limit)
    if "expect:timeout" in test.options:
        return result.reason in ("jam", "time is over"), result.reason
    return result.passed, result.reason


def _in_machine(test: Listed, testprogs: Path, begins: int = 0) -> tuple[bool, str]:
    verdict, reason = c64_programs.run_program(test.path(testprogs), test.limit, begins)
    if "expect:timeout" in test.options:
        return verdict == c64_programs.NO_VERDICT, reason
    return verdict == 0, reason if verdict <= 0 else f"{reason} {verdict}"


def _begun_later(test: Listed, testprogs: Path) -> tuple[bool, str]:
    return _in_machine(test, testprogs, BEGINS)


# Name of a set, the folders it is in, and how it is run.
SETS: tuple[tuple[str, str, Callable[[Listed, Path], tuple[bool, str]]], ...] = (
    ("6510: Klaus Dormann, Acid800, decimal mode, 64doc, unstable opcodes", "CPU/", _in_small_c64),
    ("Wolfgang Lorenz' suite", "general/Lorenz-2.15/src", _begun_later),
    ("interrupts", "interrupts/", _begun_later),
    ("CIA", "CIA/", _in_machine),
)


def programs(testprogs: Path) -> Iterator[Program]:
    """Give all programs of a checkout that are for a PAL C64 with 6526s and judge themselves."""
    for group, folder, run in SETS:
        for test in listed(testprogs, folder):
            ours = not OTHER_MACHINES & set(test.options) and not any("ntsc" in option for option in test.options)
            if test.kind != "exitcode" or not test.program.endswith(".prg") or not ours:
                continue
            name = f"{test.folder}/{test.program}"
            reason = next((text for part, text in FAILS.items() if part in name), None)
            yield Program(
                group, test, lambda root, t=test, r=run: r(t, root), None if name.endswith(PASSES) else reason
            )


def table(testprogs: Path, tell: Callable[[str], None]) -> str:
    """Run everything and return the table."""
    rows: dict[str, list[int]] = {}
    failed: list[str] = []
    for program in programs(testprogs):
        begun = time.process_time()
        passed, why = program.run(testprogs)
        row = rows.setdefault(program.group, [0, 0])
        row[0] += passed
        row[1] += 1
        tell(f"{program.name}: {'passes' if passed else why} ({time.process_time() - begun:.1f} s)")
        if not passed:
            failed.append(f"| `{program.name}` | {why} | {program.reason or 'it is expected to pass'} |")
    lines = ["| programs | pass |", "|---|---|", *(f"| {g} | {p} of {n} |" for g, (p, n) in rows.items()), ""]
    return "\n".join([*lines, "| that does not pass | how it ends | why |", "|---|---|---|", *failed]) + "\n"


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("testprogs", type=Path)
    parser.add_argument("--write", action="store_true", help=f"into {TABLE.name}")
    options = parser.parse_args()
    text = table(options.testprogs, lambda line: print(line, file=sys.stderr, flush=True))
    print(text)
    if options.write:
        head = "# Test programs of VICE-testprogs\n\nMade by `python -m tests.accuracy.programs DIR --write`.\n\n"
        TABLE.write_text(head + text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
