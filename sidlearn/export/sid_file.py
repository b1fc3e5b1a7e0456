"""A `.sid` file with our own 6510 player, for sidplayfp, VICE and real machines.

A PSID whose player is called some times a picture, or an RSID that makes each write at its cycle.

Source of the format: SID_file_format.txt (High Voltage SID Collection).
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from sidlearn import clock
from sidlearn.export.packed import video_of
from sidlearn.export.program import program
from sidlearn.writes import RegisterWrites

LOAD_ADDRESS, END_ADDRESS = 0x0800, 0xD000
VERSION, HEADER_BYTES, TEXT_BYTES = 2, 0x7C, 32
_CLOCK_BITS = {clock.PAL.name: 1 << 2, clock.NTSC.name: 2 << 2}
_MODEL_BITS = {"6581": 1 << 4, "8580": 2 << 4}
FREE_PAGE, FREE_PAGES = 4, 4
"""Pages $04 to $07 are left to whatever plays the file."""


def write(
    writes: RegisterWrites,
    file: BinaryIO,
    model: str = "6581",
    title: str = "",
    author: str = "",
    released: str = "made with sidlearn",
    timing: str = "auto",
) -> None:
    """Write a log as a tune; with `timing` "cycles" as one that makes every write at its cycle.

    Raises
    ------
    OutputError
        If it does not fit into a C64's memory, or writes faster than a player can.
    """
    made = program(writes, "sid", LOAD_ADDRESS, END_ADDRESS, timing)
    if made.cut:
        calls = b"PSID", made.labels["init"], made.labels["play"], 0 if made.cut.picture else 1
        free_pages = FREE_PAGE, FREE_PAGES
    else:
        calls = b"RSID", made.labels["start"], 0, 0
        free_pages = 0, 0
    magic, init, play, speed = calls
    header = magic + struct.pack(">HHHHHHHI", VERSION, HEADER_BYTES, 0, init, play, 1, 1, speed)
    for text in (title, author, released):
        header += text.encode("latin-1", "replace")[: TEXT_BYTES - 1].ljust(TEXT_BYTES, b"\0")
    flags = _CLOCK_BITS[video_of(writes).name] | _MODEL_BITS.get(model[:4], 0)
    header += struct.pack(">HBBBB", flags, *free_pages, 0, 0)
    file.write(header + LOAD_ADDRESS.to_bytes(2, "little") + made.image)
