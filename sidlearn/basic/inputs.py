"""Where READ, GET and INPUT find their values.

All three share one routine on the machine: a list of variables in the program on one side, text with commas on the
other.
Steps: BASIC-M6502 (READ, INPCON), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.assigning import round_to_integer
from sidlearn.basic.channels import READ_TIMEOUT, RETURN, KeyboardChannel
from sidlearn.basic.memory import BUFFER, DATLIN, DATPTR, STATUS
from sidlearn.basic.messages import FILE_DATA, OUT_OF_DATA, STRING_TOO_LONG, SYNTAX, BasicError
from sidlearn.basic.nodes import LENGTH_FAC
from sidlearn.basic.text import COLON, DATAN, JMP, JSR, RTS, add_on, crossings, look, skip_text, step
from sidlearn.basic.tokens import TOKEN
from sidlearn.basic.variables import is_integer, is_string

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

DATA = TOKEN["data"]
_QUOTE, _COMMA = 0x22, 0x2C
_LONGEST_LINE = 88  # bytes of the input buffer
_BGETIN = JSR + 5 + 3 + 2 + 3 + 3 + 2 + RTS + 2 + RTS  # no key: measured on the original code
_KEY_TAKEN = 45  # estimate: the KERNAL moves the keyboard buffer down


class Redo(Exception):
    """The statement starts again: INPUT was given something else than a number, or INPUT# goes on waiting."""


class Source:
    """The part of the routine that all sources share: INLOOP behind the search for the variable."""

    def __init__(self, machine: Interpreter):
        self.m = machine
        self.ram = machine.ram
        self.position = 0

    def begin(self) -> None:
        """A statement begins."""

    def finish(self) -> None:
        """The list of variables has ended (VAREND)."""

    def item(self, at: int, name: int) -> None:
        """Give the next item to the variable at `at`."""
        raise NotImplementedError

    def _get(self) -> int:
        """Step to the next character (JSR CHRGET)."""
        self.position, cycles = step(self.ram, self.position)
        self.m.cycles += JSR + cycles
        return self.ram[self.position]

    def _again(self) -> int:
        """Look at the current character (JSR CHRGOT)."""
        self.position, cycles = look(self.ram, self.position)
        self.m.cycles += JSR + cycles
        return self.ram[self.position]

    def _take(self, at: int, name: int) -> int:
        """Convert and store the item before which the pointer stands (DATBK1 to STRDN2). Returns what follows it."""
        char = self._get()
        m = self.m
        m.cycles += 3
        if is_string(name):
            m.cycles += 2 + 3 + 3 + 3 + 2
            start = self.position
            stops = (COLON, _COMMA)
            if char == _QUOTE:
                m.cycles += 3
                start, stops = start + 1, (_QUOTE, _QUOTE)
            else:
                m.cycles += 2 + 2 + 3 + 2 + 2
            self._store_string(at, start, stops)
        else:
            m.cycles += 3
            self._store_number(at, name)
        return self._again()

    def _store_string(self, at: int, start: int, stops: tuple[int, int]) -> None:
        m = self.m
        m.cycles += 3 + 6 + 2 + (3 if start & 255 or stops[0] != _QUOTE else 4) + JSR
        descriptor, self.position, cycles = m.strings.new_literal(start, stops)
        m.cycles += cycles + JSR + 12 + RTS + JSR
        m.fac = LENGTH_FAC[self.ram[descriptor]]
        m.assign_string(at, descriptor)
        m.cycles += JMP

    def _store_number(self, at: int, name: int) -> None:
        m, ram = self.m, self.ram
        value, self.position, cycles = f40.fin(ram, self.position)
        m.cycles += JSR + cycles + 3 + JSR
        if is_integer(name):
            number, value, cycles = round_to_integer(value)
            m.cycles += 2 + JSR + JSR + cycles + 2 + 3 + 6 + 2 + 3 + 6 + RTS
            ram[at], ram[at + 1] = number >> 8 & 255, number & 255
        else:
            value, cycles = f40.movmf(value)
            m.cycles += 3 + JMP + 6 + cycles
            ram[at : at + 5] = f40.pack(value)
        m.fac = value

    def _close(self, char: int) -> bool:
        """Whether an item may end so (STRDN2), and on to the next variable (TRMOK)."""
        m = self.m
        if char not in (0, COLON):
            m.cycles += 2 + 2
            if char != _COMMA:
                return False
        m.cycles += 3 + 24
        return True


class DataSource(Source):
    """READ."""

    def begin(self) -> None:
        self.position = self.m.memory.word(DATPTR)

    def item(self, at: int, name: int) -> None:
        """Read one item of DATA."""
        m = self.m
        if self._again() in (0, COLON):
            m.cycles += 2 + 3 + 3 + 3
            self._find()
        else:
            m.cycles += 3
        if not self._close(self._take(at, name)):
            m.line = m.memory.word(DATLIN)
            raise BasicError(SYNTAX)

    def finish(self) -> None:
        self.m.memory.set_word(DATPTR, self.position)
        self.m.cycles += 6 + 3 + 2 + JMP + 6 + RTS

    def _find(self) -> None:
        """Skip statements until one is DATA (DATLOP)."""
        m, ram = self.m, self.ram
        while True:
            count, cycles = skip_text(ram, self.position, COLON)
            cycles += JSR + DATAN + 4
            at = self.position + count
            if ram[at]:
                cycles += 3
            else:
                if not ram[at + 2]:
                    raise BasicError(OUT_OF_DATA)
                m.memory.set_word(DATLIN, ram[at + 3] | ram[at + 4] << 8)
                cycles += 2 + 2 + 2 + 5 + 2 + 2 + 5 + 3 + 2 + 5 + 2 + 3 + crossings(self.position, count + 2, count + 4)
                count += 4
            count += 1
            m.cycles += cycles + JSR + add_on(self.position, count)
            self.position += count
            if self._again() == DATA:
                m.cycles += 2 + 2 + 2 + JMP
                return
            m.cycles += 2 + 2 + 3


class LineSource(Source):
    """INPUT: a line from the keyboard, again until it fits."""

    def ask(self) -> bool:
        """Ask, and read the first line. False for an empty one, which leaves all variables alone."""
        self._read_line()
        return self.ram[BUFFER] != 0

    def begin(self) -> None:
        self.position = BUFFER - 1

    def _read_line(self) -> None:
        m, ram = self.m, self.ram
        m.printer.text(b"?\x1d")
        line = m.read_line()
        ram[BUFFER - 1] = _COMMA
        ram[BUFFER : BUFFER + len(line) + 1] = line + b"\0"
        self.position = BUFFER - 1

    def item(self, at: int, name: int) -> None:
        """Take one item of the line."""
        m = self.m
        if self._again() in (0, COLON):
            m.printer.text(b"?")
            self._read_line()
        if not self._close(self._take(at, name)):
            m.printer.text(b"?REDO FROM START\r")
            raise Redo

    def finish(self) -> None:
        if self.ram[self.position]:
            self.m.printer.text(b"?EXTRA IGNORED\r")


class KeySource(Source):
    """GET: one key, or none."""

    def next_key(self) -> int:
        """Return the next key, 0 for none."""
        return self.m.next_key()

    def begin(self) -> None:
        self.ram[BUFFER + 1] = 0

    def item(self, at: int, name: int) -> None:
        """Take one key from the keyboard buffer."""
        m, ram = self.m, self.ram
        self.position = BUFFER + 1
        self._again()
        key = self.next_key()
        ram[BUFFER] = key
        m.cycles += 2 + 3 + 2 + JSR + _BGETIN + (_KEY_TAKEN if key else 0) + 4 + 2 + 2 + 3 + 6
        self.position = BUFFER - 1
        if is_string(name):
            self._get()
            m.cycles += 3 + 2 + 3 + 2 + 2 + 3 + 2 + 3 + 3 + 2
            self._store_string(at, BUFFER, (0, 0))
            self._again()
            self._close(0)
        elif not self._close(self._take(at, name)):
            raise BasicError(SYNTAX)

    def finish(self) -> None:
        self.m.cycles += 6 + 3 + 3 + 2 + 5 + 3 + RTS + 3 + 2 + RTS


class FileKeySource(KeySource):
    """GET#: one byte of a file."""

    def open(self, number: int) -> None:
        """Choose the file to read from."""
        self._channel = self.m.files.reader(number)

    def ask(self) -> bool:
        """Whether the variables get values: always."""
        return True

    def next_key(self) -> int:
        """Return the next byte."""
        key, self.ram[STATUS] = self._channel.get()
        self.m.cycles += self._channel.cycles
        return key


class FileLineSource(LineSource):
    """INPUT#: lines of a file."""

    def open(self, number: int) -> None:
        """Choose the file to read from."""
        self._channel = self.m.files.reader(number)

    def ask(self) -> bool:
        """Read the first line that is not empty. False if reading fails, which leaves all variables alone."""
        while True:
            self._read_line()
            if self.ram[STATUS] & READ_TIMEOUT:
                return False
            if self.ram[BUFFER]:
                return True
            self.m.cycles += JSR + RTS
            if self.m.cycles >= self.m.check_at:
                raise Redo  # the screen gives empty lines for ever

    def _read_line(self) -> None:
        m, ram = self.m, self.ram
        line = self._channel.line() if isinstance(self._channel, KeyboardChannel) else self._read_to_return()
        ram[BUFFER - 1] = _COMMA
        ram[BUFFER : BUFFER + len(line) + 1] = line + b"\0"
        self.position = BUFFER - 1
        m.cycles += JSR + RTS

    def _read_to_return(self) -> bytes:
        line = bytearray()
        while True:
            char, self.ram[STATUS] = self._channel.get()
            self.m.cycles += self._channel.cycles
            if char == RETURN:
                return bytes(line)
            if len(line) >= _LONGEST_LINE:
                raise BasicError(STRING_TOO_LONG)
            line.append(char)

    def item(self, at: int, name: int) -> None:
        """Take one item of the line, or of the next one."""
        if self._again() in (0, COLON):
            self._read_line()
        if not self._close(self._take(at, name)):
            raise BasicError(FILE_DATA)

    def finish(self) -> None:
        """What is left of the line is lost."""
