"""Broken programs: each ends in an error of BASIC, in its end, or at its limit, and in no other way."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from sidlearn.basic import run
from sidlearn.basic.direct import DirectMachine
from sidlearn.basic.image import join
from sidlearn.basic.interpreter import Interpreter
from sidlearn.basic.listing import type_in
from sidlearn.basic.messages import TEXTS
from sidlearn.basic.tokens import KEYWORDS
from sidlearn.errors import SidlearnError

PROGRAMS = int(os.environ.get("SIDLEARN_FUZZ", "10000"))
"""How many; SIDLEARN_FUZZ sets another number."""

MOST_CYCLES = 400_000
LONGEST_CPU_SECONDS = 5.0
BATCHES = 10

EXAMPLES = [
    path.read_text(encoding="utf-8")
    for path in sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.tok64"))
]
NUMBERS = (
    "0", "1", "-1", ".", "1e38", "1e39", "-1e99", "65535", "65536", "63999", "255", "256", "1e-40", "32767", "32768",
    "99999999999999999999", "00000000000001", "54272", "197", "198", "2049", "43", "45", "55", "788", "1",
)  # fmt: skip
NAMES = ("a", "b%", "c$", "d(1)", "e$(2)", "f%(i)", "i", "ti", "ti$", "st", "fn x(1)", "zz(1,2,3)")
SIGNS = ("+", "-", "*", "/", "^", "=", "<", ">", ",", ";", ":", "(", ")", '"', "#", "$", "%", "and", "or", "not", " ")


def word(rng: random.Random) -> str:
    """Return something that listings are made of."""
    kind = rng.random()
    if kind < 0.35:
        return rng.choice(KEYWORDS)
    if kind < 0.55:
        return rng.choice(NUMBERS)
    if kind < 0.75:
        return rng.choice(NAMES)
    if kind < 0.95:
        return rng.choice(SIGNS)
    return f'"{rng.choice(("", "a", "abc", "1,2", "x" * 60, "{clr}"))}"'


# E: an expression, N: a number, M: another one, V: a variable, W: any word.
STATEMENTS = (
    "V=E", "printE", "pokeN,M", "pokeN,E", "gotoN", "goto10", "fori=NtoM", "fori=1toE", "next", "nexti", "gosub20",
    "gosubN", "return", "dimV", "readV", "restore", "dataN,V", "ifEthenN", "ifEthenV=N", "onEgoto10,20,30", "waitN,M",
    "deffnx(y)=E", "getV", "inputV", 'input"E";V', "sysN", "clr", "run", "end", "stop", "cont", "list", "new",
    "openN,8", "open1,3", "print#N,V", "print#1,E", "input#N,V", "get#1,V", "closeN", "cmd1", "cmdN", 'load"V",8',
    'save"x",N', 'verify"x",N', "?V", "remW", "rem", "W",
)  # fmt: skip


def statement(rng: random.Random) -> str:
    """Return a statement that is nearly right."""
    text = rng.choice(STATEMENTS)
    for letter, make in (
        ("E", expression),
        ("N", lambda rng: rng.choice(NUMBERS)),
        ("M", lambda rng: rng.choice(NUMBERS)),
        ("V", lambda rng: rng.choice(NAMES)),
        ("W", word),
    ):
        if letter in text:
            text = text.replace(letter, make(rng))
    return text


def expression(rng: random.Random, depth: int = 0) -> str:
    """Return an expression, sometimes a deep one."""
    kind = rng.random()
    if kind < 0.45 or depth > 40:
        return rng.choice((rng.choice(NUMBERS), rng.choice(NAMES), '"text"'))
    inner = expression(rng, depth + 1)
    if kind < 0.6:
        return f"({inner})"
    if kind < 0.8:
        return f"{rng.choice(KEYWORDS[-25:-1])}({inner})"
    return f"{inner}{rng.choice(SIGNS)}{expression(rng, depth + 1)}"


def listing(rng: random.Random) -> str:
    """Return a generated listing: nearly right statements, words in any order, deep nesting, long lines."""
    lines = []
    for i in range(rng.randrange(1, 9)):
        kind = rng.random()
        if kind < 0.6:
            text = ":".join(statement(rng) for _ in range(rng.randrange(1, 4)))
        elif kind < 0.85:
            text = "".join(word(rng) for _ in range(rng.randrange(1, 30)))
        elif kind < 0.95:
            text = "print" + rng.choice(("(", "not", "-", "sin(", "len(", "a$+(", "1+(")) * rng.randrange(1, 120)
        else:
            text = ("a=1:" * 80)[: rng.randrange(200, 256)]
        lines.append(f"{rng.choice((i * 10, i * 10, rng.randrange(63_999)))} {text}")
    return "\n".join(lines)


def mutated(rng: random.Random, text: str) -> str:
    """Return a listing with some of its characters, words and lines changed."""
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(text) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            text = text[:at] + chr(rng.randrange(32, 127)) + text[at + 1 :]
        elif kind == 1:
            text = text[:at] + text[at + rng.randrange(1, 20) :]
        elif kind == 2:
            text = text[:at] + word(rng) + text[at:]
        elif kind == 3:
            text = text[:at] + "\n" + text[at:]
        elif kind == 4:
            lines = text.split("\n")
            rng.shuffle(lines)
            text = "\n".join(lines)
        else:
            text = text[:at] + rng.choice(NUMBERS) + text[at + rng.randrange(4) :]
    return text


def broken_program(rng: random.Random) -> bytes | str:
    """Return a program in tokens, or a listing, with something wrong in it."""
    kind = rng.random()
    if kind < 0.3:
        return mutated(rng, rng.choice(EXAMPLES))
    if kind < 0.6:
        return listing(rng)
    if kind < 0.7:
        return mutated(rng, listing(rng))
    if kind < 0.8:
        lines = [
            (rng.randrange(65_536), bytes(rng.randrange(1, 256) for _ in range(rng.choice((3, 10, 40, 251)))))
            for _ in range(rng.randrange(1, 6))
        ]
        return join(lines)
    try:
        program = bytearray(type_in(rng.choice(EXAMPLES) if rng.random() < 0.5 else listing(rng)))
    except SidlearnError:
        return "10 end"
    for _ in range(rng.randrange(1, 12)):
        program[rng.randrange(2, len(program))] = rng.choice(
            (0, 1, 34, 58, 255, rng.randrange(256), rng.randrange(128, 204))
        )
    return bytes(program[: rng.choice((len(program), rng.randrange(2, len(program) + 1)))])


def expected_end(error: str | None) -> bool:
    """Whether a program has ended as programs do."""
    if error is None or error.startswith("BREAK"):
        return True
    return error.startswith("?") and error[1:].partition("  ERROR")[0] in TEXTS.values()


@pytest.mark.parametrize("batch", range(BATCHES))
def test_broken_programs_end_as_on_the_machine(batch):
    slowest = (0.0, 0)
    for number in range(batch, PROGRAMS, BATCHES):
        rng = random.Random(number)
        program = broken_program(rng)
        before = time.process_time()
        try:
            result = run(
                program, "pal" if number % 3 else None, max_cycles=MOST_CYCLES, keys=b"A1\r", lines=["5,x", "", "7"]
            )
        except SidlearnError:
            continue
        except Exception as error:
            raise AssertionError(f"program {number}: {type(error).__name__}: {error}") from error
        slowest = max(slowest, (time.process_time() - before, number))
        assert expected_end(result.error), (number, result.error)
        assert result.cycles <= MOST_CYCLES, number
    assert slowest[0] < LONGEST_CPU_SECONDS, slowest


@pytest.mark.parametrize("batch", range(2))
def test_programs_in_slices_with_a_disk_end_too(tmp_path, batch):
    for number in range(batch, PROGRAMS // 10, 2):
        rng = random.Random(f"slices {number}")
        try:
            program = type_in(listing(rng))
        except SidlearnError:
            continue
        machine = Interpreter(program, video="pal", keys=b"A1\r", files=tmp_path)
        try:
            for until in range(7_000, 100_000, 7_000):
                if not machine.run(until):
                    break
        except SidlearnError:
            continue
        except Exception as error:
            raise AssertionError(f"program {number}: {type(error).__name__}: {error}") from error
        finally:
            machine.files.clear()
        assert expected_end(machine.error), (number, machine.error)


def test_whatever_is_typed_at_ready_ends_there(tmp_path):
    for number in range(PROGRAMS // 50):
        rng = random.Random(f"typed {number}")
        machine = DirectMachine(video="pal", home=tmp_path)
        for _ in range(12):
            line = listing(rng).split("\n")[0] if rng.random() < 0.4 else statement(rng)
            line = mutated(rng, line) if rng.random() < 0.3 else line
            try:
                if machine.type_line(line):
                    machine.run(machine.now + 60_000)
                    if not machine.ended:
                        machine.press_stop()
                        assert not machine.run(machine.now + 1_000_000) or machine.wall.hooked, (number, line)
            except SidlearnError:
                pass
            except Exception as error:
                raise AssertionError(f"session {number}, {line!r}: {type(error).__name__}: {error}") from error
            assert expected_end(machine.error), (number, line, machine.error)
            machine.ready()
