"""Where READ, GET and INPUT find their values.

All three share one routine on the machine: a list of variables in the program on one side, text with commas on the other.
Steps and costs: BASIC-M6502 (READ, INPCON), MIT licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.memory import BUFFER, DATLIN, DATPTR, KEYD, NDX
from sidlearn.basic.messages import FILE_NOT_OPEN, OUT_OF_DATA, SYNTAX, BasicError
from sidlearn.basic.statements import DATA_TOKEN, add_on, skip_text

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

_QUOTE, _COMMA, _COLON = 0x22, 0x2C, 0x3A


class _Source:
    """The part of the routine that all sources share."""

    def __init__(self, machine: Interpreter):
        self.m = machine
        self.position = 0

    def begin(self) -> None:
        """A statement begins."""

    def finish(self) -> None:
        """The list of variables has ended."""

    def _again(self, position: int) -> int:
        """Return the cost of CHRGOT with its JSR."""
        return 21 if self.m.ram[position] >= 0x3A else 32

    def _get(self) -> int:
        """Step to the next character that is no blank; pays for JSR CHRGET."""
        m = self.m
        ram, p = m.ram, self.position
        cycles = 6
        while True:
            p = p + 1 & 0xFFFF
            char = ram[p]
            if not p & 255:
                cycles += 4
            if char >= 0x3A:
                cycles += 23
                break
            if char != 0x20:
                cycles += 34
                break
            cycles += 21
        m.cycles += cycles
        self.position = p
        return char

    def _take(self, at: int, is_string: bool, is_integer: bool) -> None:
        """Convert the item that begins at the current character and store it."""
        m = self.m
        if is_string:
            self._take_string(at, m.ram[self.position])
        else:
            self._take_number(at, is_integer)

    def _take_string(self, at: int, char: int) -> None:
        m = self.m
        ram = m.ram
        start = self.position
        if char == _QUOTE:
            start += 1
            stops = (_QUOTE, 0)
        else:
            stops = (_COMMA, _COLON, 0)
        end = start
        while ram[end] not in stops and end - start < 255:
            end += 1
        self.position = end + (ram[end] == _QUOTE and char == _QUOTE)
        m.cycles += 120 + 18 * (end - start)
        descriptor, cycles = m.literal(start, end - start)
        m.cycles += cycles
        m.assign_string(at, descriptor)

    def _take_number(self, at: int, is_integer: bool) -> None:
        m = self.m
        ram = m.ram
        value, self.position, cycles = f40.fin(ram, self.position)
        m.cycles += cycles + 11
        if is_integer:
            value, cycles = f40.round_fac(value)
            number, more = f40.ayint(value)
            m.cycles += cycles + more + 50
            ram[at], ram[at + 1] = number >> 8 & 255, number & 255
        else:
            m.cycles += 124 if value[1] else 117
            ram[at : at + 5] = f40.pack(value)


class DataReader(_Source):
    """READ."""

    def begin(self) -> None:
        self.position = self.m.memory.word(DATPTR)

    def item(self, at: int, is_string: bool, is_integer: bool) -> None:
        """Read one item into the variable at `at`."""
        m = self.m
        m.cycles += 20 + self._again(self.position)
        if m.ram[self.position] in (0, _COLON):
            self._find_data()
        self._get()
        self._take(at, is_string, is_integer)
        char = m.ram[self.position]
        m.cycles += self._again(self.position)
        if char not in (0, _COLON, _COMMA):
            m.line = m.memory.word(DATLIN)
            raise BasicError(SYNTAX)
        m.memory.set_word(DATPTR, self.position)

    def _find_data(self) -> None:
        """Skip statements until one is DATA (DATLOP)."""
        m = self.m
        ram = m.ram
        while True:
            count, cycles = skip_text(ram, self.position, _COLON)
            m.cycles += cycles + 32
            at = self.position + count
            if not ram[at]:
                if not ram[at + 2]:
                    raise BasicError(OUT_OF_DATA)
                m.memory.set_word(DATLIN, ram[at + 3] | ram[at + 4] << 8)
                m.cycles += 35
                at += 4
                count += 4
            count += 1
            m.cycles += 20 + add_on(self.position, count)
            self.position = at + 1
            if ram[self.position] == DATA_TOKEN:
                return


class LineReader(_Source):
    """INPUT: a line from the keyboard, again until it fits."""

    def begin(self) -> None:
        self._read_line()

    def _read_line(self) -> None:
        m = self.m
        m.put(0x3F)
        m.put(29)
        line = m.read_line()
        m.ram[BUFFER - 1] = _COMMA
        m.ram[BUFFER : BUFFER + len(line) + 1] = line + b"\0"
        self.position = BUFFER - 1

    def item(self, at: int, is_string: bool, is_integer: bool) -> None:
        """Take one item of the line."""
        m = self.m
        if not m.ram[self.position]:
            m.put(0x3F)
            self._read_line()
        self._get()
        try:
            self._take(at, is_string, is_integer)
        except f40.FloatError:
            raise
        char = m.ram[self.position]
        if char not in (0, _COLON, _COMMA):
            m.print_text(b"?REDO FROM START\r")
            raise Redo

    def finish(self) -> None:
        if self.m.ram[self.position]:
            self.m.print_text(b"?EXTRA IGNORED\r")


class Redo(Exception):
    """INPUT was given something else than a number: the statement starts again."""


class KeyReader(_Source):
    """GET: one key, or none."""

    def item(self, at: int, is_string: bool, is_integer: bool) -> None:
        """Take one key from the keyboard buffer."""
        m = self.m
        ram = m.ram
        m.cycles += 300
        key = m.next_key()
        ram[BUFFER - 1], ram[BUFFER], ram[BUFFER + 1] = 0, key, 0
        if is_string:
            descriptor, cycles = m.literal(BUFFER, 1 if key else 0)
            m.cycles += cycles
            m.assign_string(at, descriptor)
            return
        self.position = BUFFER - 1
        self._get()
        self._take_number(at, is_integer)
        if ram[self.position] not in (0, _COLON, _COMMA):
            raise BasicError(SYNTAX)


class FileReader(_Source):
    """GET# and INPUT#: there are no files."""

    def open(self, number: int) -> None:
        """Choose the file to read from."""
        if number not in self.m.files:
            raise BasicError(FILE_NOT_OPEN)

    def item(self, at: int, is_string: bool, is_integer: bool) -> None:
        """Read nothing."""
        raise BasicError(FILE_NOT_OPEN)


KEYS = KEYD, NDX
