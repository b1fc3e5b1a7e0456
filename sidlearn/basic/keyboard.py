"""The keyboard: keys that a user gives beforehand or types, on their way through the machine's buffer of ten.

Source of the addresses: Commodore 64 Programmer's Reference Guide, chapter 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TextIO

from sidlearn.basic.memory import KEYD, NDX
from sidlearn.basic.petscii import read, to_bytes
from sidlearn.errors import ListingError

BUFFER_KEYS = 10
LINE_BYTES = 80  # of a logical line on the screen, from which INPUT reads
RETURN = 13

# What terminals send for keys that are no characters, after ESC. Source: Xterm Control Sequences (Dickey), "PC-Style
# Function Keys" and "VT220-Style Function Keys". F1 to F8 as on the machine, where the even ones are shifted.
_SEQUENCES = {
    "[A": 0x91, "[B": 0x11, "[C": 0x1D, "[D": 0x9D, "OA": 0x91, "OB": 0x11, "OC": 0x1D, "OD": 0x9D,
    "[H": 0x13, "OH": 0x13, "[1~": 0x13, "[F": 0x93, "OF": 0x93, "[4~": 0x93, "[2~": 0x94, "[3~": 0x14,
    "OP": 0x85, "OQ": 0x89, "OR": 0x86, "OS": 0x8A, "[11~": 0x85, "[12~": 0x89, "[13~": 0x86, "[14~": 0x8A,
    "[15~": 0x87, "[17~": 0x8B, "[18~": 0x88, "[19~": 0x8C,
}  # fmt: skip
_CONTROLS = {"\r": 0x0D, "\n": 0x0D, "\x7f": 0x14, "\x08": 0x14}
_TYPED = re.compile(r"\x1b(?:\[[0-9;]*[~A-Za-z]|O[A-Za-z])|.", re.DOTALL)


def given_keys(text: str) -> bytes:
    """Return the keys that a text names as listings do: ``A{return}{f1}``, ``{down*3}``, ``{147}``.

    Letters are unshifted; where a text has both cases, its capitals are typed with SHIFT.

    Raises
    ------
    ListingError
        For an unknown name or a character that the keyboard lacks.

    Examples
    --------
    >>> given_keys("Y{return}{f1}")
    b'Y\\r\\x85'
    """
    outside_names = re.sub(r"\{[^{}]*\}", "", text)
    if not re.search("[a-z]", outside_names):
        text = re.sub(r"\{[^{}]*\}|[A-Z]", lambda m: m[0] if len(m[0]) > 1 else m[0].lower(), text)
    return to_bytes(read(text))


def typed_keys(text: str) -> bytes:
    """Return the keys that characters from a terminal stand for; what the machine has no key for is left out."""
    keys = bytearray()
    for match in _TYPED.finditer(text):
        char = match[0]
        if char[0] == "\x1b":
            keys += bytes((_SEQUENCES[char[1:]],)) if char[1:] in _SEQUENCES else b""
        elif char in _CONTROLS:
            keys.append(_CONTROLS[char])
        elif char >= " ":
            try:
                keys += to_bytes(read(char))
            except ListingError:
                continue
        elif char != "\0":
            keys.append(ord(char))  # CTRL and a letter
    return bytes(keys)


def typed_line(text: str) -> bytes:
    """Return a line of text as INPUT gets it: letters of both cases unshifted, 80 characters at the most.

    A question mark stands for what the machine has no character for.
    """
    line = bytearray()
    for char in text.rstrip("\r\n"):
        try:
            line += to_bytes(read(char.lower()))
        except ListingError:
            line += b"?"
    return bytes(line[:LINE_BYTES])


class Keyboard:
    """Keys on their way to the program.

    Keys that were given beforehand are typed as fast as the program takes them, ten ahead at first. From a program that
    empties the buffer (``POKE 198,0``) or waits for a key (``WAIT 198,1``) on, they are typed one at a time.

    Parameters
    ----------
    ram : bytearray
        The machine's 64 KB.
    keys : bytes
        PETSCII codes that are given beforehand.
    typed : callable, optional
        Gives the PETSCII codes that have been typed since it was last called, without waiting.
    lines : text stream, optional
        Where INPUT reads when no keys are left.
    """

    def __init__(
        self,
        ram: bytearray,
        keys: bytes = b"",
        typed: Callable[[], bytes] | None = None,
        lines: TextIO | None = None,
    ):
        self.ram = ram
        self.keys = bytearray(keys)
        self.typed = typed
        self.lines = lines
        self._given = bytearray()  # of `keys`, those that lie in the machine's buffer
        self._ahead = BUFFER_KEYS  # most keys that lie there

    def fill(self) -> None:
        """Move keys into the machine's buffer as far as it has room."""
        ram = self.ram
        if self.typed is not None:
            self.keys += self.typed()
        while self.keys and ram[NDX] < self._ahead:
            key = self.keys.pop(0)
            self._given.append(key)
            ram[KEYD + ram[NDX]] = key
            ram[NDX] += 1

    def take(self) -> int:
        """Take a key from the buffer; 0 for none."""
        ram = self.ram
        if not ram[NDX]:
            self.fill()
        if not ram[NDX]:
            return 0
        key = ram[KEYD]
        ram[KEYD : KEYD + BUFFER_KEYS - 1] = ram[KEYD + 1 : KEYD + BUFFER_KEYS]
        ram[NDX] -= 1
        del self._given[:1]
        self.fill()
        return key

    def count_written(self) -> None:
        """The program has written to 198: keys that it has thrown away unread are typed again, one at a time."""
        if self.ram[NDX] or self.live:
            self._given.clear()
        else:
            self._retype()

    def type_singly(self) -> bool:
        """Type one key at a time from now on. Returns whether that changes what lies in the buffer."""
        if self.live or self._ahead == 1:
            return False
        changes = len(self._given) > 1
        self._retype()
        return changes

    def _retype(self) -> None:
        self.keys[:0] = self._given
        self._given.clear()
        self.ram[NDX] = 0
        self._ahead = 1
        self.fill()

    @property
    def live(self) -> bool:
        """Whether a key may come at any time."""
        return self.typed is not None

    def line(self) -> bytes | None:
        """Return the next line for INPUT, from the keys as far as there are any; None if none ever comes."""
        line = bytearray()
        while key := self.take():
            if key in (RETURN, RETURN | 0x80):
                return bytes(line[:LINE_BYTES])
            if key == 0x14:
                del line[-1:]
            elif key & 0x7F >= 0x20:
                line.append(key)
        text = self.lines.readline() if self.lines else ""
        if not text:
            return None
        return (bytes(line) + typed_line(text))[:LINE_BYTES]
