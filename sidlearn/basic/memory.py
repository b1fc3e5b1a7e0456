"""The 64 KB that a BASIC program sees: RAM with the machine's own pointers, and the chips behind 53248 to 57343.

Source of the addresses: Commodore 64 Programmer's Reference Guide, chapter 5 (memory map).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidlearn import registers
from sidlearn.basic.timing import INTERRUPT_CONTROL, TIMER_HIGH, TIMER_LOW

if TYPE_CHECKING:
    from sidlearn.basic.timing import PureClock
    from sidlearn.writes import SidPort

# Zero page: where BASIC keeps its pointers (low byte first).
TEMPPT = 0x16  # first free string temporary
LASTPT = 0x17  # newest string temporary
TEMPST = 0x19  # three string temporaries of three bytes
TXTTAB = 0x2B  # start of the program text (43)
VARTAB = 0x2D  # end of the text, start of the variables (45)
ARYTAB = 0x2F  # start of the arrays (47)
STREND = 0x31  # end of the arrays (49)
FRETOP = 0x33  # bottom of the strings (51)
FRESPC = 0x35
MEMSIZ = 0x37  # top of memory (55)
CURLIN = 0x39  # current line (57)
OLDLIN = 0x3B
OLDTXT = 0x3D
DATLIN = 0x3F  # line of the DATA being read (63)
DATPTR = 0x41  # next DATA item (65)
DSCTMP = 0x61  # a string descriptor is built here
TXTPTR = 0x7A  # text pointer (122)
RNDX = 0x8B  # last random number (139), five bytes
STATUS = 0x90  # ST (144)
JIFFIES = 0xA0  # TI, high byte first (160)
NDX = 0xC6  # characters waiting in the keyboard buffer (198)
PNTR = 0xD3  # column of the cursor (211)
TBLX = 0xD6  # row of the cursor (214)
LOFBUF = 0x00FF  # STR$ and TI$ are built from here on
BUFFER = 0x0200  # INPUT reads its line to here
KEYD = 0x0277  # keyboard buffer (631)
CINV = 0x0314  # vector of the timer interrupt (788)
USRADD = 0x0311  # address of USR (785)
TEXT_START = 0x0801
RAM_TOP = 0xA000

ZERO_CONSTANT = 0xBF13  # where an undefined variable is read from: a zero in the ROM

_BASIC_ROM = range(0xA000, 0xC000)
_KERNAL_ROM = range(0xE000, 0x10000)

# What KERNAL and BASIC leave in RAM before a program runs.
_POWER_ON = {
    0x00: 47, 0x01: 55, 0x03: 0xAA, 0x04: 0xB1, 0x05: 0x91, 0x06: 0xB3, 0x13: 0, 0x2B: 1, 0x2C: 8, 0x37: 0, 0x38: 160,
    0x53: 3, 0x54: 0x4C, 0x90: 0, 0x91: 255, 0x99: 0, 0x9A: 3,
    0xC5: 64, 0xCB: 64, 0xD1: 0, 0xD2: 4, 0xD5: 39, 0xD6: 7, 0x281: 0, 0x282: 8, 0x283: 0, 0x284: 160, 0x286: 14,
    0x288: 4, 0x289: 10, 0x28A: 0, 0x28B: 4, 0x28C: 16, 0x2A6: 1,
}  # fmt: skip
_VECTORS = {  # page 3, 768 on
    0x0300: 0xE38B, 0x0302: 0xA483, 0x0304: 0xA57C, 0x0306: 0xA71A, 0x0308: 0xA7E4, 0x030A: 0xAE86, 0x0311: 0xB248,
    0x0314: 0xEA31, 0x0316: 0xFE66, 0x0318: 0xFE47, 0x031A: 0xF34A, 0x031C: 0xF291, 0x031E: 0xF20E, 0x0320: 0xF250,
    0x0322: 0xF333, 0x0324: 0xF157, 0x0326: 0xF1CA, 0x0328: 0xF6ED, 0x032A: 0xF13E, 0x032C: 0xF32F, 0x032E: 0xFE66,
    0x0330: 0xF4A5, 0x0332: 0xF5ED,
}  # fmt: skip

# CHRGET, which fetches the next character that is no blank, and behind its first three instructions CHRGOT, the same
# again; carry clear for a digit, the zero flag for the end of a statement. Its operand is the text pointer itself.
# Source: BASIC-M6502 (MIT licence).
_CHRGET_AT = 0x73
_CHRGET = bytes.fromhex("E67A D002 E67B AD60EA C93A B00A C920 F0EF 38 E930 38 E9D0 60")

# ROM bytes that listings look at: the version byte of the KERNAL and the 6510's vectors. Everything else reads as 0.
_ROM_BYTES = {0xFF80: 3, 0xFFFA: 0x43, 0xFFFB: 0xFE, 0xFFFC: 0xE2, 0xFFFD: 0xFC, 0xFFFE: 0x48, 0xFFFF: 0xFF}

# VIC registers as the KERNAL sets them, 53248 on (Programmer's Reference Guide, appendix G and N).
_VIC = (0,) * 17 + (27, 0, 0, 0, 0, 200, 0, 20, 0, 0, 0, 0, 0, 0, 0, 14, 6, 1, 2, 3, 4, 0, 1, 2, 3, 4, 5, 6, 7)
_VIC_UNUSED = {0x16: 0xC0, 0x18: 0x01, 0x19: 0x70, 0x1A: 0xF0} | dict.fromkeys(range(0x20, 0x2F), 0xF0)

D011, D012 = 0x11, 0x12
SID_PAGES = range(registers.BASE, registers.LAST_ADDRESS + 1)


class Memory:
    """RAM, the ROM windows that hide it, and the chips.

    Parameters
    ----------
    port : SidPort
        Takes the writes to the SID.
    reader : SidPort
        Answers PEEKs of registers 25 to 28.
    wall : PureClock
        Tells the time on the machine's own clock, for the raster, the timers and the log.
    """

    def __init__(self, port: SidPort, reader: SidPort, wall: PureClock):
        self.ram = bytearray(0x10000)
        self.port = port
        self.reader = reader
        self.wall = wall
        self.vic = bytearray(_VIC + (0xFF,) * (64 - len(_VIC)))
        self.cia1 = bytearray(16)
        self.cia2 = bytearray(16)
        self.color = bytearray(b"\xfe" * 0x400)
        self.written: Callable[[int], None] = lambda address: None
        self.page0_read: Callable[[], None] = lambda: None
        self._start()

    def _start(self) -> None:
        ram = self.ram
        for address, value in _POWER_ON.items():
            ram[address] = value
        self.restore_vectors()
        ram[0x0310] = 0x4C
        ram[_CHRGET_AT : _CHRGET_AT + len(_CHRGET)] = _CHRGET
        ram[RNDX : RNDX + 5] = bytes((0x80, 0x4F, 0xC7, 0x52, 0x58))
        ram[0x0400:0x07E8] = b" " * 1000
        self.cia1[0:4] = bytes((0x7F, 0xFF, 0xFF, 0))
        self.cia2[0:4] = bytes((0x97, 0xFF, 0x3F, 0))

    def restore_vectors(self) -> None:
        """Set the vectors of page 3 as the start of the machine does."""
        for address, vector in _VECTORS.items():
            self.set_word(address, vector)

    def word(self, address: int) -> int:
        """Return the pointer at `address`."""
        ram = self.ram
        return ram[address] | ram[address + 1] << 8

    def set_word(self, address: int, value: int) -> None:
        """Store a pointer."""
        self.ram[address] = value & 255
        self.ram[address + 1] = value >> 8 & 255

    def peek(self, address: int, cycles: int) -> int:
        """Read as PEEK does; `cycles` is the pure CPU time at the end of the bus access."""
        if self.wall.hooked:
            self.wall.cycle(cycles)  # machine code on the interrupt may have written there
        if address < 0x100:
            if JIFFIES <= address < JIFFIES + 3:
                return self.jiffies(cycles) >> 8 * (JIFFIES + 2 - address) & 255
            self.page0_read()
            return self.ram[address]
        if address < 0xA000 or 0xC000 <= address < 0xD000:
            return self.ram[address]
        bank = self.ram[1]
        if address < 0xC000:
            return self.ram[address] if bank & 3 != 3 else _ROM_BYTES.get(address, 0)
        if address >= 0xE000:
            return self.ram[address] if not bank & 2 else _ROM_BYTES.get(address, 0)
        if not bank & 3:
            return self.ram[address]
        return self.peek_at(address, self.wall.cycle(cycles)) if bank & 4 else 0

    def peek_at(self, address: int, when: int) -> int:
        """Read a chip at log cycle `when`."""
        if address < 0xD400:
            return self._peek_vic(address & 63, when)
        if address < 0xD800:
            register = address & 31
            if 25 <= register < registers.COUNT:
                return self.reader.peek(when, register) & 255
            return 0
        if address < 0xDC00:
            return self.color[address & 0x3FF] | 0xF0
        if address < 0xDD00:
            return self._peek_cia1(address & 15, when)
        if address < 0xDE00:
            return self.cia2[address & 15]
        return 0

    def _peek_vic(self, register: int, when: int) -> int:
        if register == D012:
            return self.wall.raster(when) & 255
        if register == D011:
            return self.vic[D011] & 0x7F | self.wall.raster(when) >> 1 & 0x80
        return self.vic[register] | _VIC_UNUSED.get(register, 0) if register < 0x2F else 0xFF

    def _peek_cia1(self, register: int, when: int) -> int:
        if register in (TIMER_LOW, TIMER_HIGH):
            return self.wall.timer(when) >> 8 * (register - TIMER_LOW) & 255
        return self.wall.flags(when) if register == INTERRUPT_CONTROL else self.cia1[register]

    def poke(self, address: int, value: int, cycles: int) -> None:
        """Write as POKE does; `cycles` is the pure CPU time at the end of the bus access."""
        if 0xD000 <= address < 0xE000 and self.ram[1] & 3 and self.ram[1] & 4:
            self.poke_at(address, value, self.wall.cycle(cycles))
            return
        if JIFFIES <= address < JIFFIES + 3:
            shift = 8 * (JIFFIES + 2 - address)
            self.set_jiffies(self.jiffies(cycles) & ~(255 << shift) | value << shift, cycles)
        self.ram[address] = value
        if address < self.ram[STREND + 1] + 1 << 8:
            self.written(address)

    def jiffies(self, cycles: int) -> int:
        """Return TI."""
        return self.wall.jiffies(cycles)

    def set_jiffies(self, value: int, cycles: int) -> None:
        """Set TI."""
        self.wall.set_jiffies(value, cycles)

    def changes_by_itself(self, address: int) -> bool:
        """Whether WAIT may ever see another value there than the first time."""
        return self.wall.hooked or 0xD000 <= address < 0xE000 or JIFFIES <= address < JIFFIES + 3

    def poke_at(self, address: int, value: int, when: int) -> None:
        """Write to a chip at log cycle `when`."""
        if SID_PAGES.start <= address < SID_PAGES.stop:
            register = address & 31
            if register < registers.WRITABLE:
                self.port.poke(when, register, value)
        elif address < 0xD400:
            self.vic[address & 63] = value
            if address & 63 == D011:
                self.wall.set_screen(value)
        elif address < 0xDC00:
            self.color[address & 0x3FF] = value & 15
        elif address < 0xDD00:
            self.cia1[address & 15] = value
            self.wall.set_timer(address & 15, value, when)
        elif address < 0xDE00:
            self.cia2[address & 15] = value
