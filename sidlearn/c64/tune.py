"""`.sid` files: PSID and RSID, versions 1 to 4.

Source: SID_file_format.txt of the High Voltage SID Collection.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from hashlib import md5

from sidlearn import clock
from sidlearn.errors import SourceError

MAGIC = (b"PSID", b"RSID")
VERSIONS = (1, 2, 3, 4)
HEADER_BYTES = {1: 0x76, 2: 0x7C, 3: 0x7C, 4: 0x7C}
_NUMBERS = struct.Struct(">4sHHHHHHHI")
_TEXTS = 0x16
_TEXT_BYTES = 32
_FLAGS = struct.Struct(">HBBBB")

SONGS = 256
SPEED_BITS = 32
RSID_FIRST_ADDRESS = 0x07E8
NO_FREE_PAGE = 0xFF

_CLOCKS = (None, clock.PAL.name, clock.NTSC.name, None)
_MODELS = (None, "6581", "8580", None)
_CLOCK_TEXTS = ("not told", "PAL", "NTSC", "PAL or NTSC")
_MODEL_TEXTS = ("not told", "6581", "8580", "6581 or 8580")


@dataclass(frozen=True)
class Tune:
    """One `.sid` file.

    Attributes
    ----------
    magic : str
        ``PSID`` or ``RSID``: the latter needs a whole C64.
    load_address, init_address, play_address : int
        Where `data` goes; where song number - 1 in A is handed over; what is called from then on, 0 if the tune brings
        its own interrupt.
    songs, start_song : int
        Songs count from 1.
    speed : int
        Bit n: song n + 1 is called by the CIA's timer instead of once a picture.
    clock_bits, model_bits : int or tuple
        As in the header: 0 not told, 1 PAL or 6581, 2 NTSC or 8580, 3 both.
    sid_addresses : tuple of int
        Where the SIDs lie, the first always at $D400.
    free_page, free_pages : int
        Memory that the tune leaves alone: first page and how many, 0 if it uses nothing outside its data, 255 if there
        is none.
    data : bytes
        Without a load address.
    digest : str
        MD5 of the whole file: its key in Songlengths.md5.
    """

    magic: str
    version: int
    load_address: int
    init_address: int
    play_address: int
    songs: int
    start_song: int
    speed: int
    title: str
    author: str
    released: str
    player_only: bool = False
    basic: bool = False
    playsid_samples: bool = False
    clock_bits: int = 0
    model_bits: tuple[int, ...] = (0,)
    sid_addresses: tuple[int, ...] = (0xD400,)
    free_page: int = 0
    free_pages: int = 0
    data: bytes = field(default=b"", repr=False)
    digest: str = ""

    @property
    def end_address(self) -> int:
        """The last address that holds data."""
        return self.load_address + len(self.data) - 1

    @property
    def video(self) -> str | None:
        """The television standard it was written for, or None if any or unknown."""
        return _CLOCKS[self.clock_bits]

    @property
    def model(self) -> str | None:
        """The chip it was written for, or None if any or unknown."""
        return _MODELS[self.model_bits[0]]

    def by_timer(self, song: int) -> bool:
        """Whether the CIA's timer calls `song` (from 1) instead of the picture; songs past 32 follow the 32nd."""
        return bool(self.speed >> min(song - 1, SPEED_BITS - 1) & 1)

    def facts(self) -> list[tuple[str, str]]:
        """Return what is worth telling about it, as (name, text)."""
        songs = f"{self.songs}" + (f", begins with {self.start_song}" if self.songs > 1 else "")
        rows = [
            ("format", f"{self.magic} version {self.version}" + (", a BASIC program" if self.basic else "")),
            ("title", self.title),
            ("author", self.author),
            ("released", self.released),
            ("songs", songs),
            ("clock", _CLOCK_TEXTS[self.clock_bits]),
            ("model", ", ".join(_MODEL_TEXTS[bits] for bits in self.model_bits)),
            ("memory", f"${self.load_address:04X} to ${self.end_address:04X}"),
        ]
        if not self.basic:
            play = f"${self.play_address:04X}" if self.play_address else "by its own interrupt"
            rows += [("init", f"${self.init_address:04X}"), ("play", play)]
        if len(self.sid_addresses) > 1:
            rows.append(("SIDs at", ", ".join(f"${address:04X}" for address in self.sid_addresses)))
        return rows


def read(content: bytes, name: str = "tune") -> Tune:
    """Return the tune that a file's bytes hold.

    Raises
    ------
    SourceError
        If it is no `.sid` file, is cut short, or cannot be a tune.
    """
    if len(content) < HEADER_BYTES[1]:
        raise SourceError(f"{name}: expected a .sid file of at least {HEADER_BYTES[1]} bytes, given {len(content)}")
    magic, version, offset, load, init, play, songs, start, speed = _NUMBERS.unpack_from(content)
    if magic not in MAGIC:
        raise SourceError(f"{name}: expected a .sid file, which begins with PSID or RSID, given {magic!r}")
    real = magic == b"RSID"
    if version not in VERSIONS or (real and version == 1):
        raise SourceError(f"{name}: version {version}: expected {2 if real else 1} to {VERSIONS[-1]}")
    if offset < HEADER_BYTES[version] or offset >= len(content):
        raise SourceError(
            f"{name}: data at {offset}: expected from {HEADER_BYTES[version]} to the end of the file, {len(content)}"
        )
    data = content[offset:]
    if load == 0:
        if len(data) < 3:
            raise SourceError(f"{name}: expected a load address and data, given {len(data)} bytes")
        load, data = data[0] | data[1] << 8, data[2:]
    if load + len(data) > 0x10000:
        raise SourceError(f"{name}: {len(data)} bytes from ${load:04X} on: expected them to end by $FFFF")
    if not 1 <= songs <= SONGS:
        raise SourceError(f"{name}: {songs} songs: expected 1 to {SONGS}")
    flags, free_page, free_pages, second, third = _FLAGS.unpack_from(content, 0x76) if version > 1 else (0,) * 5
    basic = real and bool(flags & 2)
    player_only = not real and bool(flags & 1)
    if not init and not basic:
        init = load
    tune = Tune(
        magic.decode(), version, load, init, play, songs, start if 1 <= start <= songs else 1, speed,
        _text(content, 0), _text(content, 1), _text(content, 2),
        player_only=player_only, basic=basic, playsid_samples=not real and bool(flags & 2),
        clock_bits=flags >> 2 & 3,
        sid_addresses=_sids(second if version >= 3 else 0, third if version >= 4 else 0),
        free_page=free_page, free_pages=free_pages, data=data,
        digest=md5(content, usedforsecurity=False).hexdigest(),
    )  # fmt: skip
    shifts = (4, 6, 8)[: len(tune.sid_addresses)]
    bits = [flags >> shift & 3 for shift in shifts]
    object.__setattr__(tune, "model_bits", tuple(b or bits[0] for b in bits))
    if real:
        _check_real(tune, name)
    return tune


def _text(content: bytes, number: int) -> str:
    raw = content[_TEXTS + number * _TEXT_BYTES :][:_TEXT_BYTES].split(b"\0")[0].decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in raw).strip()


def _sids(*middles: int) -> tuple[int, ...]:
    """Addresses from the two middle digits; odd ones and those outside the free space of the I/O area do not count."""
    addresses = [0xD400]
    for middle in middles:
        address = 0xD000 | middle << 4
        if not middle & 1 and (0x42 <= middle < 0x80 or 0xE0 <= middle <= 0xFE) and address not in addresses:
            addresses.append(address)
    return tuple(addresses)


def _check_real(tune: Tune, name: str) -> None:
    """What an RSID header must not hold."""
    if tune.load_address < RSID_FIRST_ADDRESS:
        raise SourceError(f"{name}: loads at ${tune.load_address:04X}: an RSID loads from ${RSID_FIRST_ADDRESS:04X} on")
    if tune.play_address or tune.speed:
        raise SourceError(f"{name}: play ${tune.play_address:04X}, speed {tune.speed}: in an RSID both are 0")
    init = tune.init_address
    if not tune.basic and (0xA000 <= init < 0xC000 or init >= 0xD000):
        raise SourceError(f"{name}: init at ${init:04X}: an RSID's lies in plain RAM")
