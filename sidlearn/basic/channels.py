"""Open files: keyboard, screen, and the files and the status of a disk drive that stands for a folder of the host.

Source of numbers and texts: Commodore 64 Programmer's Reference Guide, chapter 6 and appendix on ST; Commodore 1541
User's Guide, "DOS error messages".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from sidlearn.basic.folder import MOST_BYTES, Folder
from sidlearn.basic.messages import NOT_OUTPUT_FILE, BasicError

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

RETURN, BLANK = 13, 32
SERIAL_BYTE_CYCLES = 2_450  # guess: the 1541 is known for some 400 bytes a second
END_OF_FILE, READ_TIMEOUT, WRITE_TIMEOUT = 64, 2, 1  # bits of ST

OK, FILE_NOT_FOUND, FILE_EXISTS, DISK_FULL, NO_CHANNEL, COMMAND, POWER_ON = 0, 62, 63, 72, 70, 31, 73
DOS_TEXTS = {
    OK: " OK",
    FILE_NOT_FOUND: "FILE NOT FOUND",
    FILE_EXISTS: "FILE EXISTS",
    DISK_FULL: "DISK FULL",
    NO_CHANNEL: "NO CHANNEL",
    COMMAND: "SYNTAX ERROR",
    POWER_ON: "CBM DOS V2.6 1541",
}
SUFFIXES = (".prg", ".seq", ".bas", ".tok64", ".txt")
"""Tried behind a name that no file has."""


class Channel:
    """An open file. This one has no end and no content, as the screen when it is read."""

    cycles = 0
    """What one byte costs beside the routines of BASIC."""

    def get(self) -> tuple[int, int]:
        """Return the next byte and ST."""
        return RETURN, 0

    def put(self, char: int) -> int:
        """Take a byte. Returns ST."""
        raise BasicError(NOT_OUTPUT_FILE)

    def flush(self) -> None:
        """Hand everything to the host."""

    def close(self) -> None:
        """Close it."""


class ScreenChannel(Channel):
    """Device 3."""

    def __init__(self, machine: Interpreter):
        self._screen = machine.screen

    def put(self, char: int) -> int:
        self.cycles = self._screen.put(char)
        return 0


class KeyboardChannel(Channel):
    """Device 0. INPUT# reads whole lines from it, GET# keys."""

    def __init__(self, machine: Interpreter):
        self._machine = machine

    def get(self) -> tuple[int, int]:
        return self._machine.next_key(), 0

    def line(self) -> bytes:
        """Return a typed line."""
        return self._machine.read_line()


class ReadChannel(Channel):
    """Bytes from a file; behind the last one come a RETURN and ST 66 for ever."""

    cycles = SERIAL_BYTE_CYCLES

    def __init__(self, data: bytes):
        self._data = data
        self._at = 0

    def get(self) -> tuple[int, int]:
        if self._at >= len(self._data):
            return RETURN, END_OF_FILE | READ_TIMEOUT
        self._at += 1
        return self._data[self._at - 1], END_OF_FILE if self._at == len(self._data) else 0

    def put(self, char: int) -> int:
        return WRITE_TIMEOUT


class WriteChannel(Channel):
    """Bytes to a file."""

    cycles = SERIAL_BYTE_CYCLES

    def __init__(self, file: BinaryIO, drive: Drive):
        self._file = file
        self._drive = drive
        self._left = MOST_BYTES

    def get(self) -> tuple[int, int]:
        return RETURN, END_OF_FILE | READ_TIMEOUT

    def put(self, char: int) -> int:
        try:
            if self._left:
                self._left -= 1
                self._file.write(bytes((char,)))
                return 0
        except OSError:
            self._left = 0
        self._drive.status = DISK_FULL
        return WRITE_TIMEOUT

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            self._drive.status = DISK_FULL

    def close(self) -> None:
        try:
            self._file.close()
        except OSError:
            self._drive.status = DISK_FULL


class StatusChannel(Channel):
    """Channel 15: how the last command ended. The commands themselves are not obeyed, but for I (initialise)."""

    cycles = SERIAL_BYTE_CYCLES

    def __init__(self, drive: Drive):
        self._drive = drive
        self._text = b""
        self._command = bytearray()

    def get(self) -> tuple[int, int]:
        if not self._text:
            self._text = self._drive.message()
            self._drive.status = OK
        char, self._text = self._text[0], self._text[1:]
        return char, 0 if self._text else END_OF_FILE

    def put(self, char: int) -> int:
        if char != RETURN:
            self._command = (self._command + bytes((char,)))[:64]
        else:
            self.obey(bytes(self._command))
            self._command.clear()
        return 0

    def obey(self, command: bytes) -> None:
        """Answer a command of the drive."""
        if command:
            self._drive.status = OK if command[:1] in (b"I", b"U") else COMMAND


class Drive:
    """A disk drive whose disk is a folder of the host.

    Attributes
    ----------
    status : int
        Number of the DOS message that channel 15 tells next.
    """

    def __init__(self, folder: Folder):
        self.folder = folder
        self.status = POWER_ON

    def message(self) -> bytes:
        """Return the DOS message."""
        return f"{self.status:02d},{DOS_TEXTS[self.status]},00,00\r".encode()

    def open(self, name: bytes, secondary: int) -> Channel:
        """Open a file as ``NAME,S,R`` says; 0 and 1 are for programs that are read and written."""
        if secondary == 15:
            channel = StatusChannel(self)
            channel.obey(name)
            return channel
        replace, name, words = parse_name(name)
        letters = [word[:1] for word in words]
        writes = b"W" in letters or (secondary == 1 and b"R" not in letters)
        if not name or name[:1] == b"#":
            self.status = NO_CHANNEL
            return ReadChannel(b"")
        self.status = OK
        if b"A" in letters:
            entry = self.folder.find(name, SUFFIXES)
            file = self.folder.append(entry) if entry else None
            self.status = OK if file else FILE_NOT_FOUND
        elif writes:
            file = self.folder.create(name, ".prg" if secondary == 1 or b"P" in letters else "", replace)
            self.status = OK if file else FILE_EXISTS
        else:
            data = self.directory() if name[:1] == b"$" else self.read(name)
            return ReadChannel(data or b"")
        return WriteChannel(file, self) if file else ReadChannel(b"")

    def read(self, name: bytes) -> bytes | None:
        """Return the content of the file of that name, or None."""
        entry = self.folder.find(name, SUFFIXES)
        data = None if entry is None else self.folder.read(entry)
        self.status = FILE_NOT_FOUND if data is None else OK
        return data

    def load(self, name: bytes) -> bytes | None:
        """Return a program, load address first, or None. Listings are tokenised."""
        from sidlearn.basic.listing import type_in
        from sidlearn.errors import ListingError

        _, name, _ = parse_name(name)
        if name[:1] == b"$":
            return self.directory()
        entry = self.folder.find(name, SUFFIXES)
        data = self.read(name)
        if data and entry and entry.lower().endswith((".bas", ".tok64", ".txt")):
            try:
                return type_in(data.decode("utf-8", "replace"))
            except ListingError:
                self.status = FILE_NOT_FOUND
                return None
        return data

    def save(self, name: bytes, program: bytes, replace: bool = False) -> bool:
        """Store a program; a name in .bas makes it a listing. Returns whether it could."""
        from sidlearn.basic.listing import detokenize

        asked, name, _ = parse_name(name)
        if name.upper().endswith(b".BAS"):
            program = detokenize(program).encode()
        file = self.folder.create(name, ".prg", asked or replace)
        self.status = FILE_EXISTS
        if file is None:
            return False
        channel = WriteChannel(file, self)
        self.status = OK
        for byte in program:
            channel.put(byte)
        channel.close()
        return self.status == OK

    def directory(self) -> bytes:
        """Return the directory as the program that LOAD"$" gives."""
        from sidlearn.basic.image import join

        lines = [(0, b'\x12"' + self.folder.path.name.upper().encode("ascii", "replace")[:16].ljust(16) + b'" 00 2A')]
        for name, size in self.folder.files():
            stem, _, suffix = name.rpartition(".")
            kind = "PRG" if suffix.lower() == "prg" and stem else "SEQ"
            shown = (stem if kind == "PRG" else name).upper().encode("ascii", "replace").decode()[:16]
            blocks = min(-(-size // 254), 63_999)
            text = f'"{shown}"{kind:>{20 - len(shown)}}'
            lines.append((blocks, b" " * (4 - len(str(blocks))) + text.encode()))
        self.status = OK
        return join(lines)


def parse_name(name: bytes) -> tuple[bool, bytes, list[bytes]]:
    """Return whether ``@`` asks for replacing, the name without drive number, and the words behind it."""
    name, *words = name.split(b",")
    replace = name[:1] == b"@"
    head, colon, rest = name.partition(b":")
    if colon and len(head.removeprefix(b"@")) <= 1:
        name = rest
    elif replace:
        name = name[1:]
    return replace, name, [word.strip().upper() for word in words]
