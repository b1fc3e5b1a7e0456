"""What a program prints, for a terminal: colours, reverse and cursor keys as ANSI sequences; and listings in colour.

Source: PETSCII control codes, Commodore 64 Programmer's Reference Guide, appendix C; ECMA-48 for the terminal's side.
"""

from __future__ import annotations

import re

from sidlearn.basic.petscii import Terminal
from sidlearn.basic.tokens import KEYWORDS, expand

ESC = "\x1b["
RESET = f"{ESC}0m"
# PETSCII code -> colour of the xterm palette of 256 that is nearest to the VIC's (guess by eye).
_COLOURS = {
    0x90: 16, 0x05: 231, 0x1C: 124, 0x9F: 80, 0x9C: 133, 0x1E: 71, 0x1F: 19, 0x9E: 227,
    0x81: 130, 0x95: 94, 0x96: 174, 0x97: 239, 0x98: 244, 0x99: 156, 0x9A: 69, 0x9B: 249,
}  # fmt: skip
_CONTROLS = {code: f"{ESC}38;5;{colour}m" for code, colour in _COLOURS.items()} | {
    0x12: f"{ESC}7m", 0x92: f"{ESC}27m", 0x93: f"{ESC}2J{ESC}H", 0x13: f"{ESC}H", 0x11: "\x1bD", 0x91: f"{ESC}A",
    0x1D: f"{ESC}C", 0x9D: "\b", 0x14: "\b \b",
}  # fmt: skip
_NAME = re.compile(r"\{[^{}]*\}")
_KEYWORD = "|".join(re.escape(k) for k in sorted(KEYWORDS, key=len, reverse=True) if k[0].isalpha())
_PARTS = re.compile(rf'(?P<text>"[^"]*"?)|(?P<rem>rem.*)|(?P<keyword>{_KEYWORD})', re.IGNORECASE | re.DOTALL)
_PART_COLOURS = {"text": "32", "rem": "90", "keyword": "94"}


class AnsiTerminal(Terminal):
    """As `Terminal`, with colours, reverse, and a cursor that moves.

    Examples
    --------
    >>> AnsiTerminal().text(bytes([28, 65, 13]))
    '\\x1b[38;5;124mA\\n'
    """

    def __init__(self) -> None:
        super().__init__()
        self._reverse = False

    def text(self, output: bytes) -> str:
        """Return the next piece of output."""
        parts = []
        for code in output:
            if code in _CONTROLS:
                parts.append(_CONTROLS[code])
            else:
                plain = super().text(bytes((code,)))
                # a RETURN ends reverse, as on the machine
                parts.append(f"{ESC}27m\n" if plain == "\n" and self._reverse else plain)
            if code in (0x12, 0x92, 0x0D):
                self._reverse = code == 0x12
        return "".join(parts)


def list_line(number: int, line: bytes, colours: bool) -> str:
    """Return a tokenised line as LIST shows it, in text that can be typed again.

    Parameters
    ----------
    number : int
    line : bytes
        Its tokens.
    colours : bool
        Whether keywords, strings and remarks are coloured.

    Examples
    --------
    >>> list_line(10, b'\\x99 "HI"', colours=False)
    '10 PRINT "HI"'
    """
    text = expand(line)
    if not re.search("[A-Z]", _NAME.sub("", text)):
        text = _capitals(text)
    if not colours:
        return f"{number} {text}"
    coloured = _PARTS.sub(lambda m: f"{ESC}{_PART_COLOURS[m.lastgroup or 'text']}m{m[0]}{RESET}", text)
    return f"{ESC}33m{number}{RESET} {coloured}"


def _capitals(text: str) -> str:
    """Return text in capitals, but for the names in braces."""
    return re.sub(r"\{[^{}]*\}|[^{}]", lambda m: m[0] if len(m[0]) > 1 else m[0].upper(), text)
