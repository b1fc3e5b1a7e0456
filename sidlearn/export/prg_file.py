"""A program for a real C64: RUN, and hear it. The player and its data lie behind one line of BASIC."""

from __future__ import annotations

from typing import BinaryIO

from sidlearn.export.program import program
from sidlearn.writes import RegisterWrites

LOAD_ADDRESS, END_ADDRESS = 0x0801, 0xD000
_SYS = 0x9E
_LINE_NUMBER = 10


def write(writes: RegisterWrites, file: BinaryIO, timing: str = "auto") -> None:
    """Write a log as a program; with `timing` "cycles" as one that makes every write at its cycle.

    Raises
    ------
    OutputError
        If it does not fit into a C64's memory, or writes faster than a player can.
    """
    body = _LINE_NUMBER.to_bytes(2, "little") + bytes((_SYS,))
    start = LOAD_ADDRESS + 2 + len(body) + 4 + 1 + 2  # link, line, four digits, end of line, end of program
    body += str(start).encode() + b"\0"
    link = LOAD_ADDRESS + 2 + len(body)
    made = program(writes, "prg", start, END_ADDRESS, timing)
    assert made.labels["start"] == start
    file.write(LOAD_ADDRESS.to_bytes(2, "little") + link.to_bytes(2, "little") + body + b"\0\0" + made.image)
