"""Program files inside other files: P00 (PC64), D64 (1541 disk images), T64 (tape archives).

Sources: Peter Schepers, "D64 (Electronic form of a physical 1541 disk)", "T64" and "PC64 (P00)" format descriptions;
Commodore 1541 user's guide, chapter 5 (directory), and the 1541's rules for ``*`` and ``?`` in names.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidlearn.basic.petscii import to_bytes, to_terminal
from sidlearn.errors import ListingError, nearest, one_of

_P00_MAGIC, _P00_HEAD = b"C64File\0", 26
_T64_MAGIC, _T64_HEAD, _T64_ENTRY = b"C64", 64, 32
_SECTOR = 256
_TRACK_SECTORS = (0, *[21] * 17, *[19] * 7, *[18] * 6, *[17] * 12)  # by track, from 1; 36 to 42 are extended disks
_DIRECTORY_TRACK, _DIRECTORY_SECTOR = 18, 1
_ENTRIES, _ENTRY = 8, 32
_PRG, _CLOSED, _TYPE = 2, 0x80, 0x07
_PAD = b"\xa0"
# bytes of 35, 40 and 42 tracks, without and with the table of read errors (one byte a sector)
_SECTORS = {tracks: sum(_TRACK_SECTORS[: tracks + 1]) for tracks in (35, 40, 42)}
D64_SIZES = frozenset(size for n in _SECTORS.values() for size in (n * _SECTOR, n * (_SECTOR + 1)))


def is_p00(data: bytes) -> bool:
    """Return whether the bytes are a PC64 file."""
    return data.startswith(_P00_MAGIC)


def is_d64(data: bytes) -> bool:
    """Return whether the bytes have the size of a 1541 disk."""
    return len(data) in D64_SIZES


def is_t64(data: bytes) -> bool:
    """Return whether the bytes are a tape archive."""
    return data.startswith(_T64_MAGIC) and not is_p00(data) and b"tape" in data[:32].lower()


def read_p00(data: bytes) -> bytes:
    """Return the .prg inside a P00 file.

    Raises
    ------
    ListingError
        If it is shorter than its header.
    """
    if len(data) <= _P00_HEAD:
        raise ListingError(f"P00 file of {len(data)} bytes: expected more than its header of {_P00_HEAD}")
    return data[_P00_HEAD:]


def read_d64(data: bytes, name: str = "*") -> bytes:
    """Return a program from a disk image.

    Parameters
    ----------
    data : bytes
        The image: 35, 40 or 42 tracks, with or without error bytes.
    name : str
        The file's name, letters of either case; ``*`` stands for any rest and ``?`` for any one character. The first
        program that fits is taken.

    Returns
    -------
    program : bytes
        The .prg, load address first.

    Raises
    ------
    ListingError
        If the disk has no such program, or its directory or a file runs in a circle or off the disk.
    """
    return _choose(_d64_programs(data), name, "disk")


def read_t64(data: bytes, name: str = "*") -> bytes:
    """Return a program from a tape archive; names and errors as for `read_d64`."""
    return _choose(_t64_programs(data), name, "tape")


def _choose(programs: Iterator[tuple[bytes, object]], name: str, kind: str) -> bytes:
    """Return the bytes of the first program whose name fits."""
    pattern = to_bytes(name.lower())
    names = []
    for found, content in programs:
        if _fits(found, pattern):
            return content() if callable(content) else bytes(content)  # type: ignore[call-overload]
        names.append(to_terminal(found).lower())
    if not names:
        raise ListingError(f"{kind} image without a program")
    raise ListingError(f"no program {name!r} on the {kind}{nearest(name, names)}; expected {one_of(names)}")


def _fits(name: bytes, pattern: bytes) -> bool:
    """Return whether a name fits a pattern as the 1541 compares them."""
    for i, code in enumerate(pattern):
        if code == ord("*"):
            return True
        if i >= len(name) or (code != ord("?") and code != name[i]):
            return False
    return len(name) == len(pattern)


def _d64_programs(data: bytes) -> Iterator[tuple[bytes, object]]:
    """Yield name and reader of every closed program file."""
    for sector in _chain(data, _DIRECTORY_TRACK, _DIRECTORY_SECTOR):
        for at in range(0, _ENTRIES * _ENTRY, _ENTRY):
            kind, track, first = sector[at + 2 : at + 5]
            if kind & _TYPE == _PRG and kind & _CLOSED:
                name = sector[at + 5 : at + 21].split(_PAD)[0]
                yield name, lambda track=track, first=first: _d64_file(data, track, first)


def _d64_file(data: bytes, track: int, sector: int) -> bytes:
    parts = []
    for block in _chain(data, track, sector):
        # in the last block the second byte is the place of the last byte used
        parts.append(block[2:] if block[0] else block[2 : block[1] + 1])
    return b"".join(parts)


def _chain(data: bytes, track: int, sector: int) -> Iterator[bytes]:
    """Yield the blocks of a file or directory, each of which names the next one."""
    seen = set()
    while track:
        if not 1 <= track < len(_TRACK_SECTORS) or sector >= _TRACK_SECTORS[track] or (track, sector) in seen:
            raise ListingError(f"broken disk image: a block points to track {track}, sector {sector}")
        seen.add((track, sector))
        start = (sum(_TRACK_SECTORS[:track]) + sector) * _SECTOR
        block = data[start : start + _SECTOR]
        if len(block) < _SECTOR:
            raise ListingError(f"broken disk image: track {track} is not in it")
        yield block
        track, sector = block[0], block[1]


def _t64_programs(data: bytes) -> Iterator[tuple[bytes, object]]:
    """Yield name and .prg of every entry in use."""
    entries = int.from_bytes(data[34:36], "little")
    for at in range(_T64_HEAD, _T64_HEAD + entries * _T64_ENTRY, _T64_ENTRY):
        entry = data[at : at + _T64_ENTRY]
        if len(entry) < _T64_ENTRY or entry[0] == 0:
            continue
        start, end = int.from_bytes(entry[2:4], "little"), int.from_bytes(entry[4:6], "little")
        offset = int.from_bytes(entry[8:12], "little")
        # Many archives hold a wrong end address ($C3C6): the file's own end is the limit then.
        yield entry[16:32].rstrip(b" \xa0"), entry[2:4] + data[offset : offset + max(end - start, 0)]
