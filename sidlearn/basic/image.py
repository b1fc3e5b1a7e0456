"""A tokenised program as it lies in a file and in memory: lines chained by links from $0801 on.

Each line is a link to the next one, its number, its bytes and a zero; a link whose high byte is zero ends the text. The
machine's loader ignores the links in the file and makes new ones, and so does this module.
Source: Commodore 64 Programmer's Reference Guide, chapter 5; Microsoft's BASIC-M6502 (routines CHEAD, LNKPRG).
"""

from __future__ import annotations

from collections.abc import Iterable

from sidlearn.errors import ListingError

TEXT_START = 0x0801
TEXT_LIMIT = 0xA000  # where BASIC's own memory ends
MAX_LINE_NUMBER = 63_999
MAX_LINE_BYTES = 255  # as files hold them
MAX_LINKED_BYTES = 251  # the machine's relinking counts a whole line, link and all, in one byte
_LOAD_BYTES = 2
_HEAD_BYTES = 4


def join(lines: Iterable[tuple[int, bytes]]) -> bytes:
    """Return the bytes of a .prg for $0801 with the given (number, tokenised bytes), in the order given."""
    address = TEXT_START
    parts = [TEXT_START.to_bytes(_LOAD_BYTES, "little")]
    for number, text in lines:
        address += _HEAD_BYTES + len(text) + 1
        parts += (bytes((address & 0xFF, address >> 8 & 0xFF, number & 0xFF, number >> 8)), text, b"\0")
    parts.append(b"\0\0")
    return b"".join(parts)


def split(program: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the lines of a program and what follows its text.

    Parameters
    ----------
    program : bytes
        A .prg, load address first. Stored links count only in that a high byte of zero ends the text.

    Returns
    -------
    lines : list of (int, bytes)
        Number and tokenised bytes, in the order of the file.
    rest : bytes
        Machine code or other data behind the text, often empty.

    Raises
    ------
    ListingError
        If the program is cut off before its end.
    """
    lines: list[tuple[int, bytes]] = []
    at = _LOAD_BYTES
    while True:
        if at + 1 >= len(program):
            last = f"line {lines[-1][0]}" if lines else "its load address"
            raise ListingError(f"program cut off after {last}: expected a next line or two closing zeros")
        if program[at + 1] == 0:
            return lines, program[at + 2 :]
        if at + _HEAD_BYTES > len(program):
            raise ListingError(f"program cut off at byte {len(program)}: expected a line number")
        number = program[at + 2] | program[at + 3] << 8
        end = program.find(0, at + _HEAD_BYTES)
        if end < 0:
            raise ListingError(f"program cut off in line {number}: expected a zero at its end")
        lines.append((number, program[at + _HEAD_BYTES : end]))
        at = end + 1


def line_numbers(program: bytes) -> list[int]:
    """Return the numbers of a program's lines, in the order of the file."""
    return [number for number, _ in split(program)[0]]


def relink(program: bytes) -> bytes:
    """Return a program moved to $0801 with right links, and with all that follows its text.

    Parameters
    ----------
    program : bytes
        A .prg for any address, load address first.

    Returns
    -------
    program : bytes
        The same text for $0801, load address first.
    """
    lines, rest = split(program)
    return join(lines) + rest


def load_image(program: bytes) -> tuple[int, bytes]:
    """Return where a program lies in memory after LOAD, and its bytes.

    Parameters
    ----------
    program : bytes
        A .prg for any address, load address first.

    Returns
    -------
    address : int
        $0801.
    data : bytes
        Relinked text and what follows it; the variables begin at `address` + ``len(data)``.

    Raises
    ------
    ListingError
        If it is cut off or does not fit between $0801 and $9FFF.
    """
    data = relink(program)[_LOAD_BYTES:]
    room = TEXT_LIMIT - TEXT_START
    if len(data) > room:
        raise ListingError(f"program of {len(data)} bytes: BASIC has room for {room}")
    return TEXT_START, data


def looks_like_program(data: bytes) -> bool:
    """Return whether the bytes are a load address and a chain of BASIC lines with links that rise."""
    try:
        lines, _ = split(data)
    except ListingError:
        return False
    if not lines or any(len(text) > MAX_LINE_BYTES for _, text in lines):
        return False
    link = data[_LOAD_BYTES] | data[_LOAD_BYTES + 1] << 8
    load = data[0] | data[1] << 8
    return load < link <= load + _HEAD_BYTES + MAX_LINE_BYTES + 2
