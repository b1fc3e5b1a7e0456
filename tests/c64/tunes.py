"""Small tunes made with our own assembler."""

from __future__ import annotations

import struct

from sidlearn.cpu.assemble import assemble


def sid(
    source: str,
    magic: bytes = b"PSID",
    version: int = 2,
    load: int = 0x1000,
    songs: int = 1,
    start: int = 1,
    speed: int = 0,
    flags: int = 0x14,
    extra: tuple[int, int, int, int] = (0, 0, 0, 0),
    texts: tuple[bytes, bytes, bytes] = (b"Title", b"Author", b"2026 Nobody"),
) -> bytes:
    """Return a `.sid` file; the source's labels `init` and `play` are its entries."""
    address, code, names = assemble(source, load)
    offset = 0x76 if version == 1 else 0x7C
    header = magic + struct.pack(
        ">HHHHHHHI", version, offset, 0, names.get("init", 0), names.get("play", 0), songs, start, speed
    )
    header += b"".join(text.ljust(32, b"\0") for text in texts)
    if version > 1:
        header += struct.pack(">HBBBB", flags, *extra)
    return header + struct.pack("<H", address) + code


COUNTER = """
init:   STA $D400       ; the song
        LDA #0
        STA count
        RTS
play:   INC count
        LDA count
        STA $D401
        RTS
count:  .byte 0
"""
"""Writes 1, 2, 3, ... to FREQ_HI, one a call."""
