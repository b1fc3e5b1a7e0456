"""Keywords of BASIC V2 and the crunching of one line into tokens.

Crunching goes from left to right; at each place the first keyword of the table that matches wins, so ``GOTO`` comes
before ``GO`` and ``INPUT#`` before ``INPUT``, and keywords are found inside names (``SCORE`` is ``SC OR E``). Nothing
is crunched inside quotes, after ``REM``, and between ``DATA`` and the next colon outside quotes. A letter typed with
SHIFT ends an abbreviation of the first keyword that begins so.
Source of the steps: Microsoft's BASIC-M6502 (routine CRUNCH, MIT licence); of the keywords and their order: Commodore
64 Programmer's Reference Guide, appendix A.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from sidlearn.basic.petscii import FORMS, NUMBER, PI, QUOTED, SHIFTED_LETTERS, read, shifted, to_bytes

FIRST_TOKEN = 0x80
# In token order, from $80 on.
KEYWORDS = (
    "end", "for", "next", "data", "input#", "input", "dim", "read", "let", "goto", "run", "if", "restore", "gosub",
    "return", "rem", "stop", "on", "wait", "load", "save", "verify", "def", "poke", "print#", "print", "cont", "list",
    "clr", "cmd", "sys", "open", "close", "get", "new", "tab(", "to", "fn", "spc(", "then", "not", "step", "+", "-",
    "*", "/", "^", "and", "or", ">", "=", "<", "sgn", "int", "abs", "usr", "fre", "pos", "sqr", "rnd", "log", "exp",
    "cos", "sin", "tan", "atn", "peek", "len", "str$", "val", "asc", "chr$", "left$", "right$", "mid$", "go",
)  # fmt: skip
TOKEN = {keyword: FIRST_TOKEN + i for i, keyword in enumerate(KEYWORDS)}
DATA, REM, PRINT = TOKEN["data"], TOKEN["rem"], TOKEN["print"]
_QUOTE, _COLON, _QUESTION = b'":?'

_CODE = {keyword: chr(token) for keyword, token in TOKEN.items()}
_STRING = '"[^"]*"?'
_BODY = {"rem": ".*", "data": f'(?:{_STRING}|[^":])*'}  # what these two keep as it is
_IN_DATA = re.compile(f"{_STRING}|[A-Z]+")
_WITH_SHIFT = re.compile(f"[A-Z{SHIFTED_LETTERS}]")


def crunch(text: str, question_mark_prints: bool = True) -> bytes:
    """Return the tokenised bytes of one line.

    Parameters
    ----------
    text : str
        What follows the line number, as characters of `petscii`. Outside quotes, capitals are small letters unless
        they end an abbreviation.
    question_mark_prints : bool
        Whether ``?`` becomes the token of PRINT, as on the machine, or stays, as in petcat.

    Returns
    -------
    line : bytes
        Without link, number and closing zero.
    """
    if _WITH_SHIFT.search(text):
        pattern, replace = _shift_pattern(question_mark_prints)
        return to_bytes(pattern.sub(replace, text))
    return to_bytes(_pattern(question_mark_prints).sub(_replace, text))


def expand(line: bytes, form: str = "petcat") -> str:
    """Return a tokenised line as text that `crunch` turns into the same bytes.

    Parameters
    ----------
    line : bytes
        Any bytes from 1 to 255.
    form : str
        ``"petcat"`` or ``"tok64"``: whose names stand for control codes.

    Returns
    -------
    text : str
        Bytes that the crunching of plain text could not give are written as numbers in braces.
    """
    text = "".join(_pieces(line, form, frozenset()))
    plain = read(text)
    if plain[:1] not in (" ", "\t") and crunch(plain) == line:
        return text
    return _expand_exactly(line, form)


@lru_cache(maxsize=2)
def _pattern(question_mark: bool) -> re.Pattern[str]:
    """Return what crunching looks for: strings, keywords in table order, REM and DATA with all that they keep.

    Keywords are grouped by their first character, since those that begin differently never compete, and every group
    begins with that one character: this lets the regular expression skip the rest of the text fast.
    """
    rests: dict[str, list[str]] = {}
    for keyword in KEYWORDS:
        rests.setdefault(keyword[0], []).append(re.escape(keyword[1:]) + _BODY.get(keyword, ""))
    return _compile(rests, question_mark)


def _compile(rests: dict[str, list[str]], question_mark: bool) -> re.Pattern[str]:
    groups = [f"{re.escape(first)}(?:{'|'.join(rest)})" for first, rest in rests.items()]
    return re.compile("|".join([_STRING, *([r"\?"] if question_mark else []), *groups]), re.DOTALL)


def _replace(match: re.Match[str]) -> str:
    """Return the token of a keyword in small letters, strings as they are."""
    text = match[0]
    code = _CODE.get(text)
    if code is not None:
        return code
    if text[0] == '"':
        return text
    if text[0] == "r":
        return _CODE["rem"] + text[3:]
    if text[0] == "d":
        return _CODE["data"] + text[4:]
    return _CODE["print"]


@lru_cache(maxsize=2)
def _shift_pattern(question_mark: bool) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    """Return the same for lines with capitals or shifted letters, and what replaces its matches.

    A capital is a small letter unless it ends an abbreviation, and small letters before a capital are one where they
    can be: ``pOs+1`` is ``POKE S+1`` though it spells ``POS``, but ``pOke 1`` and ``pOkE`` are ``POKE``.
    """
    codes = [""]  # by number of the pattern's group
    rests: dict[str, list[str]] = {}

    def add(first: str, rest: str, keyword: str) -> None:
        rests.setdefault(first, []).append(f"({rest}){_BODY.get(keyword, '')}")
        group_codes[first].append(_CODE[keyword])

    group_codes: dict[str, list[str]] = {c: [] for c in {k[0] for k in KEYWORDS} | {k[0].upper() for k in KEYWORDS}}
    short = [keyword for keyword in KEYWORDS if len(keyword) == 2]  # GO must not hide goS
    for keyword in [keyword for keyword in KEYWORDS if keyword not in short]:
        add(keyword[0], _not_abbreviated(keyword) + _any_case(keyword[1:]), keyword)
    for keyword in KEYWORDS:
        for abbreviation in _abbreviations(keyword):
            add(keyword[0], abbreviation[1:], keyword)
    for keyword in short:
        add(keyword[0], _any_case(keyword[1:]), keyword)
    for keyword in KEYWORDS:
        if keyword[0].isalpha():
            add(keyword[0].upper(), _any_case(keyword[1:]), keyword)
    for capital in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        rests.setdefault(capital, []).append("")  # outside any keyword
    for first in rests:
        codes += group_codes.get(first, [])

    def replace(match: re.Match[str]) -> str:
        text, group = match[0], match.lastindex
        if group is None:
            return text if text[0] == '"' else text.lower() if text != "?" else _CODE["print"]
        code, rest = codes[group], text[match.end(group) - match.start() :]
        if code == _CODE["data"]:
            rest = _IN_DATA.sub(lambda m: m[0] if m[0][0] == '"' else m[0].lower(), rest)
        return code + rest

    return _compile(rests, question_mark), replace


def _any_case(keyword: str) -> str:
    return "".join(f"[{c}{c.upper()}]" if c.isalpha() else re.escape(c) for c in keyword)


def _abbreviations(keyword: str) -> list[str]:
    """Return a pattern for each abbreviation of a keyword: small letters, then a capital or shifted one."""
    if not keyword[0].isalpha():
        return []
    return [
        f"{keyword[:i]}[{keyword[i].upper()}{shifted(keyword[i])}]"
        for i in range(1, len(keyword) - 1)
        if keyword[i].isalpha()
    ]


def _not_abbreviated(keyword: str) -> str:
    """Return a pattern that fails, after a keyword's first letter, where its start is more likely an abbreviation."""
    if not keyword.isalpha():
        return ""
    doubtful = []
    for i in range(1, len(keyword) - 1):  # one capital, at i, and small letters after it
        argument = r" +[A-Za-z(\"0-9]" if i == len(keyword) - 2 else r" +[A-Za-z(\"0-9]|[(\"0-9]"
        doubtful.append(f"{keyword[1:i]}{keyword[i].upper()}{keyword[i + 1 :]}(?!{argument})")
    return f"(?!{'|'.join(doubtful)})" if doubtful else ""


def _outside_texts(form: str) -> tuple[list[str], list[str]]:
    """Return the text of every byte outside quotes, and of every byte outside quotes in DATA."""
    plain, in_data = list(NUMBER[form]), list(NUMBER[form])
    for code in range(0x20, 0x60):
        char = QUOTED[form][code]
        if len(char) == 1:
            in_data[code] = char
            if char not in TOKEN and code != _QUESTION:
                plain[code] = char
    for keyword, token in TOKEN.items():
        plain[token] = keyword
    plain[PI] = in_data[PI] = "{pi}"
    return plain, in_data


_OUTSIDE = {form: _outside_texts(form) for form in FORMS}


def _pieces(line: bytes, form: str, as_numbers: frozenset[int]) -> list[str]:
    """Return the text of every byte, those at the places `as_numbers` as numbers in braces."""
    quoted, number = QUOTED[form], NUMBER[form]
    outside, outside_in_data = _OUTSIDE[form]
    pieces = []
    in_string = in_data = in_rem = False
    for i, code in enumerate(line):
        if i in as_numbers:
            pieces.append(number[code])
            continue
        if in_rem or in_string:
            pieces.append(quoted[code])
        else:
            pieces.append((outside_in_data if in_data else outside)[code])
        if in_rem:
            continue
        if code == _QUOTE:
            in_string = not in_string
        elif not in_string:
            in_rem = code == REM and not in_data
            in_data = code != _COLON if in_data else code == DATA
    return pieces


def _expand_exactly(line: bytes, form: str) -> str:
    """Return text that gives `line`, with as many numbers in braces as that takes."""
    as_numbers: set[int] = {0} if line[:1] == b" " else set()
    while True:
        text = "".join(_pieces(line, form, frozenset(as_numbers)))
        got = crunch(read(text))
        if got == line:
            return text
        last = min(len(got), len(line) - 1)
        wrong = next((i for i in range(last) if got[i] != line[i]), last)
        while wrong in as_numbers:
            wrong = (wrong + 1) % len(line)
        as_numbers.add(wrong)
