"""Puts object code into memory without LLVM: ELF files for x86-64 whose code may lie anywhere (the large code model).

Loading LLVM takes longer than most commands run. Source: System V ABI, chapter 4; its AMD64 supplement, chapter 4.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
from collections.abc import Callable

import numpy as np

ELF = b"\x7fELF\x02\x01"
"""A 64-bit little-endian ELF file: Linux and the BSDs."""
PAGE = mmap.PAGESIZE
_BITS, _SYMBOLS, _RELOCATIONS, _ZEROS = 1, 2, 4, 8
"""Types of sections."""
_IN_MEMORY, _CODE = 2, 4
"""Flags of sections."""
_UNDEFINED, _ABSOLUTE, _COMMON = 0, 0xFFF1, 0xFFF2
"""Sections that symbols have beside real ones."""
_ADDRESS = 1
"""The one relocation of the large code model: the 64-bit address of a symbol (R_X86_64_64)."""
_UNWINDING = ".eh_frame"
"""A section that exceptions of C++ need, which kernels have not."""

_SECTION_DTYPE = np.dtype([
    ("name", "<u4"), ("type", "<u4"), ("flags", "<u8"), ("address", "<u8"), ("offset", "<u8"), ("size", "<u8"),
    ("link", "<u4"), ("info", "<u4"), ("alignment", "<u8"), ("row", "<u8"),
])  # fmt: skip
_SYMBOL_DTYPE = np.dtype([
    ("name", "<u4"), ("info", "u1"), ("other", "u1"), ("section", "<u2"), ("value", "<u8"), ("size", "<u8"),
])  # fmt: skip
_RELOCATION_DTYPE = np.dtype([("offset", "<u8"), ("type", "<u4"), ("symbol", "<u4"), ("addend", "<i8")])
_READ, _EXECUTE = 1, 4

_kept: list[mmap.mmap] = []
"""Memory of linked code, alive as long as the process."""


class CannotLinkError(RuntimeError):
    """Object code that is left to LLVM."""


class ObjectFile:
    """The parts of an ELF object file.

    Parameters
    ----------
    code : bytes

    Raises
    ------
    CannotLinkError
        If it is none.
    """

    def __init__(self, code: bytes) -> None:
        if not code.startswith(ELF):
            raise CannotLinkError("no ELF file")
        self.code = code
        first = int(np.frombuffer(code, "<u8", 1, 40)[0])
        count, names = np.frombuffer(code, "<u2", 3, 58)[1:].tolist()
        self.sections = np.frombuffer(code, _SECTION_DTYPE, count, first)
        self._names = int(self.sections[names]["offset"])
        tables = np.flatnonzero(self.sections["type"] == _SYMBOLS)
        if len(tables) != 1:
            raise CannotLinkError("expected one table of symbols")
        table = self.sections[tables[0]]
        self._texts = int(self.sections[int(table["link"])]["offset"])
        self.symbols = np.frombuffer(
            code, _SYMBOL_DTYPE, int(table["size"]) // _SYMBOL_DTYPE.itemsize, int(table["offset"])
        )

    def text(self, start: int) -> str:
        """Return the name of a symbol."""
        return self._string(self._texts + start)

    def section_name(self, index: int) -> str:
        """Return the name of a section."""
        return self._string(self._names + int(self.sections[index]["name"]))

    def undefined(self) -> list[str]:
        """Return the names that it leaves to the linker."""
        rows = self.symbols[(self.symbols["section"] == _UNDEFINED) & (self.symbols["name"] > 0)]
        return [self.text(start) for start in rows["name"].tolist()]

    def relocations(self, section: np.void) -> np.ndarray:
        """Return what a section of relocations holds."""
        count = int(section["size"]) // _RELOCATION_DTYPE.itemsize
        return np.frombuffer(self.code, _RELOCATION_DTYPE, count, int(section["offset"]))

    def _string(self, start: int) -> str:
        return self.code[start : self.code.index(b"\0", start)].decode()


def usable() -> bool:
    """Whether this processor's code can be linked here."""
    return platform.machine() == "x86_64"


def link(code: bytes, symbol: str, find: Callable[[str], int | None]) -> int:
    """Put object code into memory and return the address of one of its functions.

    Parameters
    ----------
    code : bytes
    symbol : str
        The name of the function.
    find : callable
        From a name that the code asks for to its address, or None.

    Raises
    ------
    CannotLinkError
        If it is of another kind than the large code model's, or asks for what is not there.
    """
    file = ObjectFile(code)
    starts, commons, size = _layout(file)
    memory = mmap.mmap(-1, max(size, PAGE))
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    content = np.frombuffer(memory, np.uint8)
    for index, start in starts.items():
        section = file.sections[index]
        if section["type"] == _BITS:
            offset, length = int(section["offset"]), int(section["size"])
            content[start : start + length] = np.frombuffer(code, np.uint8, length, offset)
    places = {index: base + start for index, start in starts.items()}
    addresses = _addresses(file, places, {n: base + start for n, start in commons.items()}, find)
    for section in file.sections[file.sections["type"] == _RELOCATIONS]:
        target = starts.get(int(section["info"]))
        if target is None:
            continue
        rows = file.relocations(section)
        if (rows["type"] != _ADDRESS).any():
            raise CannotLinkError("relocations of another code model")
        values = (addresses[rows["symbol"]] + rows["addend"]).astype("<i8")
        at = rows["offset"].astype(np.int64) + target
        content[at[:, None] + np.arange(8)] = values.view(np.uint8).reshape(-1, 8)
    _let_run(file, starts, base)
    _kept.append(memory)
    wanted = [n for n, row in enumerate(file.symbols) if row["name"] and file.text(int(row["name"])) == symbol]
    if not wanted or not addresses[wanted[0]]:
        raise CannotLinkError(f"object code has no {symbol}")
    return int(addresses[wanted[0]])


def _layout(file: ObjectFile) -> tuple[dict[int, int], dict[int, int], int]:
    """Return where each section and each symbol without one goes, code in pages of its own first; the size of all."""
    starts: dict[int, int] = {}
    size = 0
    flags, kinds = file.sections["flags"], file.sections["type"]
    for code in (True, False):
        size = -(-size // PAGE) * PAGE
        for index in np.flatnonzero((flags & _IN_MEMORY > 0) & (flags & _CODE > 0) == code).tolist():
            section = file.sections[index]
            if not flags[index] & _IN_MEMORY or kinds[index] not in (_BITS, _ZEROS) or not section["size"]:
                continue
            if file.section_name(index) == _UNWINDING:
                continue
            alignment = max(int(section["alignment"]), 1)
            starts[index] = size = -(-size // alignment) * alignment
            size += int(section["size"])
    commons: dict[int, int] = {}
    for n in np.flatnonzero(file.symbols["section"] == _COMMON).tolist():
        alignment = int(file.symbols[n]["value"])
        commons[n] = size = -(-size // alignment) * alignment
        size += int(file.symbols[n]["size"])
    return starts, commons, size


def _addresses(
    file: ObjectFile, places: dict[int, int], commons: dict[int, int], find: Callable[[str], int | None]
) -> np.ndarray:
    """Return the address of every symbol, int64; 0 for those of sections that are not there."""
    addresses = np.zeros(len(file.symbols), np.int64)
    for n, row in enumerate(file.symbols.tolist()):
        start, _, _, section, value, _ = row
        if section == _COMMON:
            addresses[n] = commons[n]
        elif section == _ABSOLUTE:
            addresses[n] = value
        elif section != _UNDEFINED:
            addresses[n] = places[section] + value if section in places else 0
        elif start:
            address = find(file.text(start))
            if address is None:
                raise CannotLinkError(f"no {file.text(start)} in this process")
            addresses[n] = address
    return addresses


def _let_run(file: ObjectFile, starts: dict[int, int], base: int) -> None:
    """Make the pages of code executable and no longer writable."""
    ends = [s + int(file.sections[i]["size"]) for i, s in starts.items() if file.sections[i]["flags"] & _CODE]
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    if protect(base, max(ends, default=0), _READ | _EXECUTE):
        raise CannotLinkError("this system lets no memory be executed")
