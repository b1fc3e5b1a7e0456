"""Direct mode: the machine at READY., to which lines are typed that change the program or run at once."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from sidlearn.basic.channels import DOS_TEXTS, Drive
from sidlearn.basic.filing import DISK, TAPE, Filing
from sidlearn.basic.folder import Folder
from sidlearn.basic.image import MAX_LINE_NUMBER, MAX_LINKED_BYTES, TEXT_START, join
from sidlearn.basic.interpreter import Ended, Interpreter
from sidlearn.basic.memory import BUFFER, MEMSIZ, PNTR, STREND, TXTTAB, VARTAB
from sidlearn.basic.messages import DIRECT, OUT_OF_MEMORY, STRING_TOO_LONG, SYNTAX, BasicError
from sidlearn.basic.petscii import read
from sidlearn.basic.tokens import crunch
from sidlearn.writes import SidPort

LINE_BYTES = 88  # that the machine takes in one line
_DIRECT_LINE = 0xFFFF
_NUMBERED = re.compile(r" *([0-9][0-9 ]*)(.*)", re.DOTALL)
_COLON = 0x3A
_EMPTY = bytes((TEXT_START & 255, TEXT_START >> 8, 0, 0))


class DirectFiling(Filing):
    """Files as the machine at READY. has them: lines typed there reach the home folder, programs the given one only."""

    def __init__(self, machine: DirectMachine, folder: str | Path | None, home: str | Path):
        super().__init__(machine, folder)
        self._home = self.drive or Drive(Folder(home))

    @property
    def _typed(self) -> bool:
        return self.m.line >= DIRECT

    def _storage(self, name: bytes, device: int) -> Drive:
        if self._typed and device in (TAPE, DISK) and name:
            return self._home
        return super()._storage(name, device)

    def _say(self, text: bytes) -> None:
        if self._typed:
            self.m.printer.text(b"\r" + text)

    def load(self, name: bytes, device: int, secondary: int, position: int) -> int:
        """LOAD; typed, it replaces the program and ends at READY."""
        if not self._typed:
            return super().load(name, device, secondary, position)
        self._storage(name, device)
        self._say(b"SEARCHING FOR " + name)
        end = self.read_in(name, device, secondary)
        self._say(b"LOADING")
        self.m.memory.set_word(VARTAB, end)
        self.m.start_over()
        self.m.clear()
        raise Ended

    def save(self, name: bytes, device: int, start: int, end: int) -> None:
        """SAVE; typed, it tells why it could not."""
        drive = self._storage(name, device)
        self._say(b"SAVING " + name)
        super().save(name, device, start, end)
        if self._typed and drive.status:
            self._say(f"{drive.status}, {DOS_TEXTS[drive.status]}".encode())

    def verify(self, name: bytes, device: int) -> None:
        """VERIFY."""
        self._storage(name, device)
        self._say(b"SEARCHING FOR " + name + b"\rVERIFYING")
        super().verify(name, device)
        self._say(b"OK")


class DirectMachine(Interpreter):
    """An interpreter that is typed at.

    Parameters
    ----------
    port, video, sid
        As of `Interpreter`.
    typed, lines
        Where programs get keys and lines.
    files : path, optional
        The folder that programs reach.
    home : path
        The folder that LOAD, SAVE and VERIFY reach when they are typed; `files` comes first.
    listed : callable, optional
        Takes number and tokens of each line that LIST shows, instead of the screen.
    """

    def __init__(
        self,
        port: SidPort | None = None,
        video: str | None = None,
        sid: SidPort | None = None,
        typed: Callable[[], bytes] | None = None,
        lines: TextIO | None = None,
        files: str | Path | None = None,
        home: str | Path = ".",
        listed: Callable[[int, bytes], None] | None = None,
    ):
        super().__init__(_EMPTY, port, video, sid, typed=typed, lines=lines)
        self.files = DirectFiling(self, files, home)
        self._listed = listed
        self._started = self._ended = True
        self.line = _DIRECT_LINE

    def type_line(self, text: str) -> bool:
        """Take a line as it has been typed. Returns whether there is something to run.

        Raises
        ------
        ListingError
            For a character that the machine lacks.
        """
        self.ram[PNTR] = 0
        self.line = _DIRECT_LINE
        typed = read(text.rstrip("\r\n")).replace("\t", " ")
        if not re.search("[a-z]", typed):
            typed = typed.translate({code: code + 32 for code in range(ord("A"), ord("Z") + 1)})
        try:
            if match := _NUMBERED.fullmatch(typed):
                self._edit(match[1], match[2].lstrip(" "))
                return False
            return self._begin(crunch(typed))
        except BasicError as error:
            self._fail(error.code)
            return True

    def _begin(self, line: bytes) -> bool:
        if not line.strip(b" "):
            return False
        if len(line) > LINE_BYTES:
            raise BasicError(STRING_TOO_LONG)
        self.ram[BUFFER - 1 : BUFFER + len(line) + 3] = bytes((_COLON,)) + line + b"\0\0\0"
        self.forget()
        self.position = BUFFER - 1
        self.error = None
        self.waiting = self._ended = False
        return True

    def _edit(self, digits: str, text: str) -> None:
        """Put a line into the program, in the place of one with its number; without text, take that one away."""
        number = int(digits.replace(" ", ""))
        line = crunch(text)
        if number > MAX_LINE_NUMBER:
            raise BasicError(SYNTAX)
        if len(line) > MAX_LINKED_BYTES:
            raise BasicError(STRING_TOO_LONG)
        lines = [entry for entry in self.program_lines() if entry[0] != number]
        if line:
            at = next((i for i, (other, _) in enumerate(lines) if other > number), len(lines))
            lines.insert(at, (number, line))
        body = join(lines)[2:]
        start = self.memory.word(TXTTAB)
        end = start + len(body)
        if end >= self.memory.word(MEMSIZ):
            raise BasicError(OUT_OF_MEMORY)
        self._replace(body)

    def bring(self, program: bytes) -> None:
        """Put a program (.prg, load address first) into memory."""
        self._replace(program[2:])

    def _replace(self, body: bytes) -> None:
        start = self.memory.word(TXTTAB)
        self.ram[start : start + len(body)] = body
        self.memory.set_word(VARTAB, start + len(body))
        self.start_over()
        self.clear()

    @property
    def free_bytes(self) -> int:
        """Bytes that a program may still take."""
        return self.memory.word(MEMSIZ) - self.memory.word(STREND)

    def program_lines(self) -> list[tuple[int, bytes]]:
        """Return number and tokens of every line in memory."""
        ram = self.ram
        lines, at = [], self.memory.word(TXTTAB)
        while at < len(ram) - 5 and ram[at + 1]:
            end = ram.find(0, at + 4)
            if end < 0:
                break
            lines.append((ram[at + 2] | ram[at + 3] << 8, bytes(ram[at + 4 : end])))
            at = end + 1
        return lines

    def ready(self) -> None:
        """Print READY."""
        self.line = _DIRECT_LINE
        self.files.deselect()
        for char in b"\rREADY.\r":
            self.screen.put(char)

    def list_line(self, number: int, at: int) -> None:
        if self._listed is None:
            super().list_line(number, at)
        else:
            self._listed(number, bytes(self.ram[at : at + 255]).partition(b"\0")[0])

    def _fail(self, code: int) -> None:
        super()._fail(code)
        self.frames.clear()
