"""OPEN, CLOSE, CMD, PRINT#, INPUT#, GET#, LOAD, SAVE and VERIFY: the table of open files, and who it talks to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sidlearn.basic.channels import BLANK, SERIAL_BYTE_CYCLES, Channel, Drive, KeyboardChannel, ScreenChannel
from sidlearn.basic.folder import Folder
from sidlearn.basic.memory import STATUS, TXTTAB, VARTAB
from sidlearn.basic.messages import (
    DEVICE_NOT_PRESENT,
    FILE_NOT_FOUND,
    FILE_NOT_OPEN,
    FILE_OPEN,
    ILLEGAL_DEVICE_NUMBER,
    LOAD,
    MISSING_FILE_NAME,
    NOT_INPUT_FILE,
    NOT_OUTPUT_FILE,
    OUT_OF_MEMORY,
    SYNTAX,
    TOO_MANY_FILES,
    TYPE_MISMATCH,
    VERIFY,
    BasicError,
)  # fmt: skip

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

KEYBOARD, TAPE, SCREEN, DISK = 0, 1, 3, 8
MOST_FILES = 10
_LINE_FEED_FROM = 128  # files from this number on get a line feed behind each RETURN that PRINT sends
_RAM_END = 0x10000

Value = int | bytes


class FileOutput:
    """Stands for the screen while CMD or PRINT# send output elsewhere."""

    def __init__(self, machine: Interpreter, number: int, channel: Channel):
        self._machine = machine
        self._channel = channel
        self.line_feed = number >= _LINE_FEED_FROM

    @property
    def column(self) -> int:
        """Column of the cursor on the real screen, which zones and TAB go by."""
        return self._machine.screen.column

    def put(self, char: int) -> int:
        """Send one character. Returns the cycles."""
        self._machine.ram[STATUS] |= self._channel.put(char)
        return self._channel.cycles

    def space(self) -> int:
        """Send what stands between two values: a blank, where the screen would get a cursor right."""
        return self.put(BLANK)


class Filing:
    """The open files of a program.

    Parameters
    ----------
    machine : Interpreter
    folder : Path, optional
        The folder that stands for the disk in device 8; without one no such device is present.
    """

    def __init__(self, machine: Interpreter, folder: str | Path | None = None):
        self.m = machine
        self.drive = None if folder is None else Drive(Folder(folder))
        self.input: Channel | None = None  # what machine code reads from; None is the keyboard
        self.typed_line = bytearray()  # of the keyboard, what machine code has not read yet
        self._open: dict[int, Channel] = {}

    def perform(self, action: str, values: Sequence[Value], position: int) -> int:
        """Carry out a statement with its arguments. Returns where the program goes on."""
        match action:
            case "open":
                self.open(*_checked(values, (int, int, int, bytes)))
            case "close":
                self.close(*_checked(values[:1], (int,)))
            case _:
                name, device, secondary = _checked(values, (bytes, int, int), (b"", TAPE, 0))
                if action == "save":
                    self.save(name, device, *(self.m.memory.word(pointer) for pointer in (TXTTAB, VARTAB)))
                elif action == "load":
                    return self.load(name, device, secondary, position)
                else:
                    self.verify(name, device)
        return position

    def open(self, number: int, device: int = TAPE, secondary: int = 0, name: bytes = b"") -> None:
        """OPEN."""
        if not number:
            raise BasicError(NOT_INPUT_FILE)  # as the KERNAL has it
        if number in self._open:
            raise BasicError(FILE_OPEN)
        if len(self._open) >= MOST_FILES:
            raise BasicError(TOO_MANY_FILES)
        if device == KEYBOARD:
            channel: Channel = KeyboardChannel(self.m)
        elif device == SCREEN:
            channel = ScreenChannel(self.m)
        else:
            channel = self._drive(device).open(name, secondary & 15)
        self.m.ram[STATUS] = 0
        self._open[number] = channel

    def close(self, number: int) -> None:
        """CLOSE; a file that is not open is closed already."""
        channel = self._open.pop(number, None)
        if channel is not None:
            channel.close()
        if channel is self.input:
            self.input = None

    def clear(self) -> None:
        """Close all files."""
        for channel in self._open.values():
            channel.close()
        self._open.clear()
        self.input = None
        self.deselect()

    def flush(self) -> None:
        """Hand to the host all that has been written; the files stay open."""
        for channel in self._open.values():
            channel.flush()

    def reader(self, number: int) -> Channel:
        """Return the file that INPUT# and GET# read from."""
        if number not in self._open:
            raise BasicError(FILE_NOT_OPEN)
        return self._open[number]

    def select(self, number: int) -> None:
        """Send output to a file."""
        channel = self.reader(number)
        if isinstance(channel, KeyboardChannel):
            raise BasicError(NOT_OUTPUT_FILE)
        self.m.printer.screen = FileOutput(self.m, number, channel)

    def deselect(self) -> None:
        """Send output to the screen again."""
        self.m.printer.screen = self.m.screen

    def _drive(self, device: int) -> Drive:
        drive = self.drive_of(device)
        if drive is None:
            self.m.ram[STATUS] |= 0x80
            raise BasicError(DEVICE_NOT_PRESENT)
        return drive

    def drive_of(self, device: int) -> Drive | None:
        """Return the drive that answers to a device number, or None."""
        return self.drive if device == DISK else None

    def _storage(self, name: bytes, device: int) -> Drive:
        """Return the drive for LOAD and SAVE."""
        if device in (KEYBOARD, 2, SCREEN):
            raise BasicError(ILLEGAL_DEVICE_NUMBER)
        drive = self._drive(device)
        if not name:
            raise BasicError(MISSING_FILE_NAME)
        return drive

    def save(self, name: bytes, device: int, start: int, end: int) -> None:
        """SAVE what lies from `start` up to `end`."""
        data = bytes((start & 255, start >> 8)) + bytes(self.m.ram[start:end])
        self._storage(name, device).save(name, data)

    def load(self, name: bytes, device: int, secondary: int, position: int) -> int:
        """LOAD inside a program: the new text runs from its start, with all variables."""
        self.read_in(name, device, secondary)
        self.m.start_over()
        return self.m.memory.word(TXTTAB) - 1

    def read_in(self, name: bytes, device: int, secondary: int, start: int | None = None) -> int:
        """Bring a file into memory. Returns the address behind its last byte.

        Parameters
        ----------
        secondary : int
            0: to where BASIC begins, or to `start`; 1: to where it has been saved from.
        """
        drive = self._storage(name, device)
        data = drive.load(name)
        self.m.ram[STATUS] = 0
        if data is None:
            raise BasicError(FILE_NOT_FOUND)
        if len(data) < 2:
            raise BasicError(LOAD)
        memory = self.m.memory
        if secondary:
            start = int.from_bytes(data[:2], "little")
        elif start is None:
            start = memory.word(TXTTAB)
        body = data[2:]
        if start + len(body) > _RAM_END:
            raise BasicError(OUT_OF_MEMORY)
        self.m.ram[start : start + len(body)] = body
        self.m.ram[STATUS] = 64
        self.m.cycles += len(data) * SERIAL_BYTE_CYCLES
        self.m.memory_changed()
        return start + len(body)

    def verify(self, name: bytes, device: int) -> None:
        """VERIFY: compare a file with memory."""
        data = self._storage(name, device).load(name)
        if data is None:
            raise BasicError(FILE_NOT_FOUND)
        start = self.m.memory.word(TXTTAB)
        if bytes(self.m.ram[start : start + len(data) - 2]) != data[2:]:
            raise BasicError(VERIFY)


def _checked(values: Sequence[Value], kinds: Sequence[type], defaults: Sequence[Value] = ()) -> list:
    """Return the values, and defaults for those that are missing, if each is a number or a string as it should be."""
    if len(values) > len(kinds):
        raise BasicError(SYNTAX)
    for value, kind in zip(values, kinds, strict=False):
        if not isinstance(value, kind):
            raise BasicError(TYPE_MISMATCH)
    return [*values, *defaults[len(values) :]]
