"""What stands in place of the ROMs: an image assembled from our own source, or the images that the user has.

A user's own ROMs are taken from a folder ``roms`` where sidlearn is run; they are told apart by size and content.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from sidlearn._kept import kept
from sidlearn.cpu.state import TRAP_ROM

SOURCES = Path(__file__).parent / "roms"
OWN = ("basic", "kernal")
"""Sources of our own ROM images."""
USER_ROMS = Path("roms")
BASIC_AT, CHARACTERS_AT, KERNAL_AT = 0xA000, 0xD000, 0xE000
ROM_BYTES, CHARACTER_BYTES = 0x2000, 0x1000
BASIC_NAME = b"CBMBASIC"
"""What a BASIC ROM holds from its fifth byte on. Source: "Mapping the Commodore 64", 40964."""

# Address -> name of the routines that tunes might ask for. Source: C64 Programmer's Reference Guide, chapter 5;
# "Mapping the Commodore 64".
ROUTINES = {
    0xE544: "clear the screen", 0xE566: "cursor home", 0xE716: "print to the screen", 0xEA87: "SCNKEY",
    0xEE13: "ACPTR", 0xF13E: "GETIN", 0xF157: "CHRIN", 0xF1CA: "CHROUT", 0xF20E: "CHKIN", 0xF250: "CHKOUT",
    0xF291: "CLOSE", 0xF333: "CLRCHN", 0xF34A: "OPEN", 0xF49E: "LOAD", 0xF5DD: "SAVE", 0xF6ED: "STOP",
    0xFCE2: "reset", 0xFD02: "look for a cartridge", 0xFE66: "BRK", 0xFF48: "IRQ",
}  # fmt: skip


@cache
def code(name: str) -> str:
    """Return the source of one of our own programs."""
    return (SOURCES / f"{name}.s").read_text(encoding="ascii")


@cache
@kept
def stand_in() -> tuple[np.ndarray, np.ndarray]:
    """Return our own ROM images at their places, uint8 (65536,), and traps: `TRAP_ROM` wherever they hold no code."""
    from sidlearn.c64 import characters
    from sidlearn.cpu.assemble import assemble

    rom = np.zeros(0x10000, np.uint8)
    for name in OWN:
        address, image, _ = assemble(code(name))
        rom[address : address + len(image)] = np.frombuffer(image, np.uint8)
    traps = np.where(rom == 0, TRAP_ROM, 0).astype(np.uint8)
    rom[CHARACTERS_AT : CHARACTERS_AT + CHARACTER_BYTES] = np.frombuffer(characters.image(), np.uint8)
    return rom, traps


def images(folder: Path | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return what the ROMs hold and where they trap: the stand-in, under the user's images where there are any."""
    rom, traps = (array.copy() for array in stand_in())
    folder = USER_ROMS if folder is None else folder
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.stat().st_size in (ROM_BYTES, CHARACTER_BYTES):
                _place(np.frombuffer(path.read_bytes(), np.uint8), rom, traps)
    return rom, traps


def _place(image: np.ndarray, rom: np.ndarray, traps: np.ndarray) -> None:
    """Put an image of the user where it belongs."""
    if len(image) == CHARACTER_BYTES:
        start = CHARACTERS_AT
    else:
        start = BASIC_AT if image[4:12].tobytes() == BASIC_NAME else KERNAL_AT
        traps[start : start + len(image)] = 0
    rom[start : start + len(image)] = image


def routine(address: int) -> str:
    """Return how a ROM routine is called in a message."""
    name = ROUTINES.get(address)
    where = "BASIC" if address < 0xC000 else "character" if address < KERNAL_AT else "KERNAL"
    return f"the {where} ROM at ${address:04X}" + (f" ({name})" if name else "")
