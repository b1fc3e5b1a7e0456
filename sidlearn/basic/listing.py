"""BASIC listings as text: tok64, bastext, petcat and plain ones to programs, and programs to listings.

Two ways lead from text to a program. `tokenize` gives the bytes that ``petcat -w2`` writes: lines stay in the order of
the text, and ``?`` outside quotes stays a question mark, which the machine cannot run. `type_in` gives what the machine
holds after the listing has been typed: lines sorted, the later of two with one number, ``?`` as PRINT.

In plain listings both cases of letters are unshifted letters outside quotes, except the shifted last letter of an
abbreviation (``pO``); inside quotes and after REM a capital is shifted, unless the listing has no small letter at all.
A name in braces gives its code; outside quotes codes are taken as they are, and ``{}`` is nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sidlearn.basic import containers, image
from sidlearn.basic.image import line_numbers, load_image, relink
from sidlearn.basic.petscii import FORMS, NUMBER, SHIFT, read
from sidlearn.basic.tokens import crunch, expand
from sidlearn.errors import ListingError, SourceError, nearest, one_of

__all__ = [
    "Program",
    "detokenize",
    "line_numbers",
    "load_image",
    "programs",
    "read_program",
    "relink",
    "tokenize",
    "type_in",
]

_START = re.compile(r"[ \t]*start[ \t]+(tok64|bastext|tok128|tokpet|tokx16)\b[ \t]*(.*?)[ \t]*", re.IGNORECASE)
_STOP = re.compile(r"[ \t]*stop[ \t]+(tok\w+|bastext)\b.*", re.IGNORECASE)
_ANY_START = re.compile(r"^[ \t]*start[ \t]+(tok64|bastext|tok128|tokpet|tokx16)\b", re.IGNORECASE | re.MULTILINE)
_PETCAT_HEAD = re.compile(r"[ \t]*;[ \t]*(.*?)[ \t]*==[ \t]*[0-9a-fA-F]{4}[ \t]*==[ \t]*")
_FOREIGN = {"tok128": "BASIC 7.0", "tokpet": "BASIC 4.0", "tokx16": "Commander X16 BASIC"}
_LINE = re.compile(r"[ \t]*([0-9]+)[ \t]*(.*)")
_SMALL_LETTER = re.compile(r"[a-z]")
_CAPITALS_TO_SMALL = {code: code + 0x20 for code in range(ord("A"), ord("Z") + 1)}
_NUMBER_DIGITS = 5  # of the largest line number
_MEMBER = re.compile(r"(.+\.\w+):([^/\\]+)")  # disk.d64:NAME, songs.tok64:NAME


@dataclass(frozen=True)
class Program:
    """One program of a listing."""

    name: str | None
    """As its header gives it, None without a header."""
    data: bytes
    """The .prg: load address $0801, linked lines, two zeros."""
    notes: tuple[str, ...] = ()
    """What a person may want to know: lines out of order, numbers out of range."""


@dataclass
class _Block:
    """The text of one program with the number of its first line in the file."""

    name: str | None
    kind: str
    first_line: int
    lines: list[str]


def tokenize(listing: str, name: str | None = None) -> bytes:
    """Return the program of a listing as ``petcat -w2`` writes it.

    Parameters
    ----------
    listing : str
        tok64, bastext, petcat or plain text.
    name : str, optional
        Which program, where the listing holds several; the first one otherwise.

    Returns
    -------
    program : bytes
        A .prg: load address $0801 first, then the lines in the order of the text.

    Raises
    ------
    ListingError
        For a line without a number or with one over 63999, an unknown {name}, a line over 255 bytes, or no lines.

    Examples
    --------
    >>> tokenize("10 poke 54296,15").hex(" ")
    '01 08 10 08 0a 00 97 20 35 34 32 39 36 2c 31 35 00 00 00'
    """
    return _choose(programs(listing), name).data


def type_in(listing: str, name: str | None = None) -> bytes:
    """Return the program that the machine holds after the listing has been typed.

    As `tokenize`, but sorted by line number, the later of two lines with one number, lines of a number alone deleted,
    and ``?`` as PRINT. This is what runs when a listing is run.
    """
    return _choose(programs(listing, typed=True), name).data


def programs(listing: str, typed: bool = False) -> list[Program]:
    """Return all programs of a listing; see `tokenize`, or `type_in` where `typed` is set."""
    text = listing.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")
    if not text.strip():
        raise ListingError("empty listing: expected lines such as 10 PRINT")
    blocks = list(_blocks(text))
    foreign = [block for block in blocks if block.kind in _FOREIGN]
    if foreign and len(foreign) == len(blocks):
        kind = foreign[0].kind
        raise ListingError(f"start {kind}: a listing in {_FOREIGN[kind]}; expected BASIC V2 (start tok64)")
    return [_program(block, typed) for block in blocks if block.kind not in _FOREIGN]


def detokenize(program: bytes, form: str = "petcat", name: str = "program.prg") -> str:
    """Return a program as a listing that `tokenize` turns into the same bytes.

    Parameters
    ----------
    program : bytes
        A .prg for any address, load address first. Data behind its text is left out.
    form : str
        ``"petcat"``: plain lines; ``"tok64"``: with header, for programs such as tok64 and bastext.
    name : str
        For tok64's header.

    Returns
    -------
    listing : str
        Small letters are unshifted ones. What no plain text can give stands as a code in braces.

    Raises
    ------
    ListingError
        If the program is cut off, or for another form.
    """
    if form not in FORMS:
        raise ListingError(f"listing form {form!r}: expected {one_of(FORMS)}")
    body = "".join(f"{number} {expand(text, form) or '{}'}\n" for number, text in image.split(program)[0])
    plain = re.sub(r"\{[^}]*\}", "", body)
    if plain.isupper():  # capitals alone would be read as unshifted
        body = re.sub(r"\{[^}]*\}|[A-Z]", lambda m: m[0] if len(m[0]) > 1 else NUMBER[form][ord(m[0]) + SHIFT], body)
    return body if form == "petcat" else f"start tok64 {name}\n{body}stop tok64\n"


def read_program(path: str | Path, typed: bool = True) -> bytes:
    """Return the bytes of the program in a file of any kind (see `open_program`)."""
    return open_program(path, typed).data


def open_program(path: str | Path, typed: bool = True) -> Program:
    """Return the program in a file of any kind.

    Parameters
    ----------
    path : str or Path
        A listing, ``.prg``, ``.p00``, ``.d64`` or ``.t64``; the content decides. ``disk.d64:NAME`` and
        ``songs.tok64:NAME`` choose one of several; ``*`` and ``?`` in names as on the 1541. Otherwise the first one.
    typed : bool
        Whether listings become programs as by `type_in`, which is what runs, or as by `tokenize`.

    Returns
    -------
    program : Program
        Its `data` is a .prg for $0801 with right links, load address first, and what follows its text.

    Raises
    ------
    SourceError
        If there is no such file.
    ListingError
        If it holds no BASIC program.
    """
    file, member = Path(path), None
    if not file.exists() and (match := _MEMBER.fullmatch(str(path))):
        file, member = Path(match[1]), match[2]
    try:
        data = file.read_bytes()
    except OSError as error:
        raise SourceError(f"{file}: {error.strerror or error}; expected a BASIC listing or program") from None
    try:
        return _from_bytes(data, file.suffix.lower(), member, typed)
    except ListingError as error:
        raise ListingError(f"{file}: {error}") from None


def _from_bytes(data: bytes, suffix: str, member: str | None, typed: bool) -> Program:
    """Return the program that the content of a file gives."""
    if not data:
        raise ListingError("empty file: expected a BASIC listing or program")
    if containers.is_p00(data):
        return Program(None, _binary(containers.read_p00(data)))
    if containers.is_t64(data):
        return Program(None, _binary(containers.read_t64(data, member or "*")))
    if suffix == ".d64" or (containers.is_d64(data) and b"\0" in data):
        if not containers.is_d64(data):
            raise ListingError(f"disk image of {len(data)} bytes: expected one of 35, 40 or 42 tracks")
        return Program(None, _binary(containers.read_d64(data, member or "*")))
    if image.looks_like_program(data) or (suffix == ".prg" and not _is_text(data)):
        return Program(None, _binary(data))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return _of_text(data.decode("utf-16", "replace"), member, typed)
    if (at := data.find(b"\0")) >= 0:
        raise ListingError(f"binary file (byte {at} is 0): expected a BASIC listing or program")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return _of_text(text, member, typed)


def _of_text(text: str, member: str | None, typed: bool) -> Program:
    return _choose(programs(text, typed), member)


def _is_text(data: bytes) -> bool:
    return b"\0" not in data and data.lstrip()[:1].isdigit()


def _binary(data: bytes) -> bytes:
    """Return a .prg relinked for $0801."""
    address = int.from_bytes(data[:2], "little")
    program = relink(data)
    if not line_numbers(program) or not (address == image.TEXT_START or image.looks_like_program(data)):
        raise ListingError(f"no BASIC line at its load address ${address:04X}: expected a BASIC program")
    return program


def _choose(found: list[Program], name: str | None) -> Program:
    """Return the program of that name, or the first one."""
    if name is None:
        return found[0]
    wanted = name.lower().removesuffix(".prg")
    names = [(program.name or "").lower().removesuffix(".prg") for program in found]
    pattern = re.compile("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in wanted))
    for program, known in zip(found, names, strict=True):
        if pattern.fullmatch(known):
            return program
    titles = [known for known in names if known] or ["the one program without a name"]
    raise ListingError(f"no program {name!r} in the listing{nearest(wanted, names)}; expected {one_of(titles)}")


def _blocks(text: str) -> Iterator[_Block]:
    """Yield each program's text. Where a listing has tok64 headers, what stands outside them is no program."""
    headed = _ANY_START.search(text) is not None
    block = None if headed else _Block(None, "plain", 1, [])
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.lstrip(" \t")
        if stripped[:1].isdigit():
            if block is not None:
                block.lines.append(line)
        elif headed and (match := _START.fullmatch(line)):
            kind, name = match[1].lower(), match[2]
            name = None if kind == "bastext" else name  # what follows "start bastext" is address and dialect
            if block is not None and block.kind == "bastext" and not any(block.lines):
                block.kind, block.name, block.first_line, block.lines = kind, name or None, number + 1, []
                continue
            if block is not None:
                yield block
            block = _Block(name or None, kind, number + 1, [])
        elif headed and _STOP.fullmatch(line):
            if block is not None:
                yield block
            block = None
        elif not headed and stripped[:1] == ";" and (match := _PETCAT_HEAD.fullmatch(line)):
            if block is not None and any(block.lines):
                yield block
            block = _Block(match[1] or None, "plain", number + 1, [])
        elif block is not None:
            block.lines.append(line)
    if block is not None:
        yield block


def _program(block: _Block, typed: bool) -> Program:
    """Return the program of one block."""
    lines: list[tuple[int, bytes]] = []
    notes = []
    unrunnable = False
    for file_line, digits, text in _numbered(block):
        number = int(digits)
        if number > image.MAX_LINE_NUMBER:
            if typed or len(str(number)) <= _NUMBER_DIGITS:
                raise ListingError(
                    f"line {number} (line {file_line} of the file): expected a line number of 0 to"
                    f" {image.MAX_LINE_NUMBER}"
                )
            # digits of the statement have run into the number; petcat keeps its low 16 bits
            number &= 0xFFFF
            notes.append(f"line {digits} (line {file_line} of the file) is kept as {number}")
        if not text:
            notes.append(f"line {number} (line {file_line} of the file) is empty and left out")
            lines = [entry for entry in lines if entry[0] != number] if typed else lines
            continue
        data = crunch(text, question_mark_prints=typed)
        if len(data) > image.MAX_LINE_BYTES:
            raise ListingError(
                f"line {number} (line {file_line} of the file): {len(data)} bytes when tokenised; expected at most"
                f" {image.MAX_LINE_BYTES}"
            )
        if not typed and "?" in text and not unrunnable and data != crunch(text):
            unrunnable = True
            notes.append(f"line {number}: ? stays a question mark, as petcat writes it; the machine wants PRINT there")
        if len(data) > image.MAX_LINKED_BYTES:
            notes.append(
                f"line {number}: {len(data)} bytes; the machine links lines of {image.MAX_LINKED_BYTES} at most"
            )
        lines.append((number, data))
    if not lines:
        where = f" after line {block.first_line - 1} of the file" if block.first_line > 1 else ""
        raise ListingError(f"no program lines{where}: expected lines such as 10 PRINT")
    if any(a[0] >= b[0] for a, b in pairwise(lines)):
        if typed:
            lines = sorted(dict(lines).items())
        else:
            notes.append("the lines do not rise: they are kept in the order of the text")
    return Program(block.name, image.join(lines), tuple(notes))


def _numbered(block: _Block) -> Iterator[tuple[int, str, str]]:
    """Yield line in the file, digits of the line number and text of every line of a program."""
    lines = _continued(block) if any(line.endswith("\\") for line in block.lines) else block.lines
    text = "\n".join(lines)
    try:
        text = read(text)
    except ListingError as error:
        position = getattr(error, "position", 0)
        raise ListingError(f"line {block.first_line + text.count(chr(10), 0, position)} of the file: {error}") from None
    text = text.replace("\t", " ")
    if not _SMALL_LETTER.search(text):
        text = text.translate(_CAPITALS_TO_SMALL)
    match_line = _LINE.fullmatch
    for file_line, line in enumerate(text.split("\n"), block.first_line):
        match = match_line(line)
        if match is not None:
            yield file_line, match[1], match[2]
        elif line.strip():
            start = line.strip() if len(line.strip()) <= 30 else line.strip()[:30] + "..."
            raise ListingError(f"line {file_line} of the file: expected a line number first, got {start!r}")


def _continued(block: _Block) -> list[str]:
    """Return the lines with those that end in a backslash joined to the next, which leaves an empty line.

    tok64 continues any such line. Elsewhere a backslash may be a pound sign, so only a line without a number continues.
    """
    lines = list(block.lines)
    for i in range(len(lines) - 1, 0, -1):
        following = lines[i].lstrip(" \t")
        if lines[i - 1].endswith("\\") and following and (block.kind != "plain" or not following[0].isdigit()):
            lines[i - 1] = lines[i - 1][:-1] + following
            lines[i] = ""
    return lines
