"""The state of a 6510 as a record, and what it sees of a C64's memory.

Whole numbers are int64 in memory and masked to their width by the kernels. Copying the arrays is a snapshot.
"""

from __future__ import annotations

import numpy as np

from sidlearn.cpu.opcodes import INTERRUPT, UNUSED

_REGISTERS = [
    ("pc", "i8"),
    ("a", "i8"),
    ("x", "i8"),
    ("y", "i8"),
    ("sp", "i8"),
    ("p", "i8"),  # bit 5 is always set, bit 4 never: it exists on the stack only
    ("cycle", "i8"),  # cycles that have passed
]
_LINES = [
    ("irq", "i8"),  # 1: the line is held
    ("nmi", "i8"),  # 1: the line is held; its going on counts
    ("nmi_latched", "i8"),  # it went on, and the interrupt has not been taken yet
    ("port_direction", "i8"),  # $00, 1: output
    ("port_data", "i8"),  # $01 as written
    ("port_charge", "i8"),  # what the pins without a connection keep when they become inputs,
    ("port_fade", "i8"),  # and the cycle at which they have lost it
]
_FLAT = [
    ("filled", "i8"),  # events in the buffer
    ("address", "i8"),  # of the access that has stopped the run; for single cycles the address lines
    ("access_cycle", "i8"),  # cycles that have passed when that access ends
    ("flag_late", "i8"),  # INTERRUPT: the last instruction changed that flag too late for its own end
    ("answered", "i8"),  # 1: `io` now holds what the stopped read gives
]
_BUS_CYCLE = [
    ("writing", "i8"),  # 1: this cycle writes `output` to `address`, 0: it reads
    ("output", "i8"),
    ("stall", "i8"),  # 1: RDY is low, the cycle is not over if it reads
    ("stalled", "i8"),  # this cycle has been held by RDY
    ("opcode", "i8"),
    ("step", "i8"),  # index into the table of steps
    ("effective", "i8"),  # effective address under way
    ("target", "i8"),  # the same with its high byte right
    ("high", "i8"),  # high byte of the address before indexing, plus one
    ("pointer", "i8"),  # zero page pointer, or low byte of where a jump leads
    ("value", "i8"),  # to be written
    ("forced", "i8"),  # 1: a BRK that an interrupt has put in place of the opcode
    ("due", "i8"),  # an interrupt was seen at the end of the cycle before
    ("branch_due", "i8"),  # the same, as a branch looked at it
    ("nmi_before", "i8"),  # the line in the cycle before
    ("jammed", "i8"),
]

CPU_DTYPE = np.dtype(_REGISTERS + _LINES + _FLAT + _BUS_CYCLE, align=True)
"""Registers, lines, and what each of the two cores keeps between calls."""

EVENT_DTYPE = np.dtype([("cycle", "i8"), ("address", "u2"), ("value", "u1")])
"""One write to a chip; `cycle` counts the cycles that have passed when the bus access ends, so that it stands at that
cycle in a `RegisterWrites`."""

# What a page of the memory map is to the CPU.
RAM, ROM, IO = range(3)

# Bits of `hooks`: what happens at an address while the chips are banked in.
STOP_READ, STOP_WRITE, LOG_WRITE, KEEP_WRITE = 1, 2, 4, 8

# Values of `traps`.
TRAP_ALWAYS, TRAP_ROM = 1, 2

# Why `run_flat` came back.
REACHED, TRAPPED, JAMMED, READS_IO, WRITES_IO, FULL = range(6)

IO_BASE, IO_SIZE = 0xD000, 0x1000
PAGES = 256

MAP_DTYPE = np.dtype(
    [
        ("pages", "u1", (8 * PAGES,)),  # [setting of the port's low three bits * 256 + page]: RAM, ROM or IO
        ("rom", "u1", (0x10000,)),  # what reads give where a ROM is banked in
        ("io", "u1", (IO_SIZE,)),  # what reads give where the chips are banked in
        ("hooks", "u1", (IO_SIZE,)),  # bits STOP_READ, STOP_WRITE, LOG_WRITE, KEEP_WRITE
        ("traps", "u1", (0x10000,)),  # TRAP_ALWAYS: stop before that instruction; TRAP_ROM: if it would come from ROM
    ]
)
"""Everything that a program sees beside the RAM."""

LORAM, HIRAM, CHAREN = 1, 2, 4
"""Low three bits of the 6510's port. Source: Commodore 64 Programmer's Reference Guide, chapter 5."""


def cpu_state() -> np.recarray:
    """Return a 6510 at rest: recarray of `CPU_DTYPE`, shape (1,), its port as a C64 has it after power-on."""
    cpus = np.zeros(1, CPU_DTYPE).view(np.recarray)
    cpus.p = UNUSED | INTERRUPT
    cpus.sp = 0xFF
    cpus.port_direction, cpus.port_data = 0x2F, 0x37
    return cpus


def event_buffer(size: int) -> np.recarray:
    """Return room for `size` events: recarray of `EVENT_DTYPE`."""
    return np.zeros(size, EVENT_DTYPE).view(np.recarray)


def c64_pages() -> np.ndarray:
    """Return the C64's memory map without a cartridge: uint8 (8 * 256,), `RAM`, `ROM` or `IO`.

    Source: Commodore 64 Programmer's Reference Guide, chapter 5.
    """
    pages = np.full((8, PAGES), RAM, np.uint8)
    for setting in range(8):
        if setting & LORAM and setting & HIRAM:
            pages[setting, 0xA0:0xC0] = ROM
        if setting & HIRAM:
            pages[setting, 0xE0:0x100] = ROM
        if setting & (LORAM | HIRAM):
            pages[setting, 0xD0:0xE0] = IO if setting & CHAREN else ROM
    return pages.ravel()


def memory_map() -> np.recarray:
    """Return a C64's map with empty ROMs, chips that only keep what is written, no traps: `MAP_DTYPE`, shape (1,)."""
    maps = np.zeros(1, MAP_DTYPE).view(np.recarray)
    maps.pages = c64_pages()
    maps.hooks = KEEP_WRITE
    return maps


def ram_map() -> np.recarray:
    """Return a map that is RAM throughout, as for a bare 6502: `MAP_DTYPE`, shape (1,)."""
    maps = np.zeros(1, MAP_DTYPE).view(np.recarray)
    maps.pages = RAM
    return maps
