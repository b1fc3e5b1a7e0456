"""A user's own ROM images: which ones they are, and whether BASIC in them makes the same writes as ours.

Nothing of a ROM is shown or kept; it is known by its SHA-1 and judged by what it does.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sidlearn import clock, registers
from sidlearn.c64 import kernal, machine
from sidlearn.cpu.kernel import begin_at
from sidlearn.cpu.opcodes import INTERRUPT, UNUSED
from sidlearn.cpu.state import FULL, IO_BASE, JAMMED, READS_IO, TRAPPED
from sidlearn.writes import LogPort

BASIC, KERNAL, CHARACTERS, BOTH = "BASIC", "KERNAL", "character set", "BASIC and KERNAL"
SIZES = {8192: (BASIC, KERNAL), 4096: (CHARACTERS,), 16384: (BOTH,)}

# SHA-1 -> what it is, and its name. Source: the ROM tables of MAME (c64.cpp), which name Commodore's part numbers.
KNOWN = {
    "79015323128650c742a3694c9429aa91f355905e": (BASIC, "BASIC V2, 901226-01"),
    "87cc04d61fc748b82df09856847bb5c2754a2033": (KERNAL, "KERNAL revision 1, 901227-01"),
    "0e2e4ee3f2d41f00bed72f9ab588b83e306fdb13": (KERNAL, "KERNAL revision 2, 901227-02"),
    "1d503e56df85a62fee696e7618dc5b4e781df1bb": (KERNAL, "KERNAL revision 3, 901227-03"),
    "6c4fa9465f6091b174df27dfe679499df447503c": (KERNAL, "KERNAL of the 4064, 901246-01"),
    "adc7c31e18c7c7413d54802ef2f4193da14711aa": (CHARACTERS, "character set 901225-01"),
}

BOOT_SECONDS = 5
"""From the reset to READY., with time to spare: the KERNAL's test of the memory takes about two."""
MORE_SECONDS = 1
SAME_MS = 1.0
"""Writes count as at the same time within this, once the median difference is taken away."""

RESET, PROGRAM_AT, VARTAB, KEYS, KEY_COUNT = 0xFFFC, 0x0801, 0x2D, 631, 198

# Numbers, strings, arrays, functions, loops and jumps, each of which ends in a POKE.
LISTING = """10 s=54272:dim n(7):def fn h(x)=int(x/256):for i=0 to 24:poke s+i,0:next
20 poke s+24,15:poke s+5,9:poke s+6,240:a$="C-E-G-C'":b=1.05946309
30 for i=0 to 7:n(i)=4291*b^(i*2):next
40 for i=1 to 7 step 2:k=asc(mid$(a$,i,1))-64:f=n(k and 7):gosub 100:next
50 read f,d:if f>0 then gosub 110:goto 50
60 for x=1 to 3:poke s+24,15-x*int(sqr(x)*2.5)and 15:next:poke s+4,16
70 q=sin(1)+cos(2)*exp(.5)-log(7)/atn(3):poke s+2,fn h(abs(q)*9999):poke s+3,val("7"+str$(2))and 15
80 w$="":for i=1 to 20:w$=chr$(64+i)+left$(w$,9):next:poke s+21,len(w$):poke s+22,asc(right$(w$,3))
90 end
100 d=25
110 poke s,f-256*fn h(f):poke s+1,fn h(f):poke s+4,17:for t=1 to d:next:poke s+4,16:return
200 data 8583,20,9634.5,10,1e4,31,-1,.
"""


@dataclass(frozen=True)
class Image:
    """A file in the folder: what it is (None if its size is no ROM's), its name, and whether its hash is known."""

    path: Path
    kind: str | None
    name: str
    known: bool


@dataclass(frozen=True)
class Comparison:
    """What the ROM and our interpreter have written.

    Attributes
    ----------
    same : bool
        The same registers and values in the same order.
    count : int
        Writes of our interpreter.
    text : str
        The result in words.
    worst_ms : float
        The largest difference in time of one write, the median taken away.
    """

    same: bool
    count: int
    text: str
    worst_ms: float = 0.0


def images(folder: Path) -> list[Image]:
    """Return what lies in a folder, but for texts."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_file() and path.suffix.lower() not in (".md", ".txt") and not path.name.startswith("."):
            found.append(identify(path))
    return found


def identify(path: Path) -> Image:
    """Return what a file is, by its size and its hash."""
    size = path.stat().st_size
    if size not in SIZES:
        return Image(path, None, f"{size} bytes, expected 8192 (BASIC, KERNAL) or 4096 (character set)", False)
    content = path.read_bytes()
    digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    if digest in KNOWN:
        kind, name = KNOWN[digest]
        return Image(path, kind, name, True)
    kinds = SIZES[size]
    kind = kinds[0]
    if len(kinds) > 1:
        kind = BASIC if content[4:12] == kernal.BASIC_NAME else KERNAL
    return Image(path, kind, f"unknown {kind} ROM, SHA-1 {digest}", False)


def compare(folder: Path, listing: str = LISTING, video: clock.Video = clock.PAL) -> Comparison:
    """Run a listing on the folder's ROMs and on our interpreter, and compare the writes to the SID."""
    from sidlearn.basic.interpreter import Interpreter
    from sidlearn.basic.listing import type_in

    program = type_in(listing)
    port = LogPort()
    ours = Interpreter(program, port, video.name)
    ours.run()
    rows, why = _run_roms(folder, program, video, ours.now)
    wanted = np.array([port.cycles, port.registers, port.values], np.int64).T
    if why:
        return Comparison(False, len(wanted), why)
    for i, (want, got) in enumerate(zip(wanted.tolist(), rows.tolist(), strict=False)):
        if want[1:] != got[1:]:
            return Comparison(
                False, len(wanted),
                f"write {i + 1} of {len(wanted)} differs: ROM {_written(got)}, interpreter {_written(want)}",
            )  # fmt: skip
    if len(rows) != len(wanted):
        return Comparison(False, len(wanted), f"the ROM makes {len(rows)} writes, the interpreter {len(wanted)}")
    late = rows[:, 0] - wanted[:, 0]
    worst_ms = float(np.abs(late - np.median(late)).max() / video.clock_hz * 1000)
    text = f"interpreter and ROM make the same {len(wanted)} writes, each within {worst_ms:.2f} ms"
    return Comparison(True, len(wanted), text, worst_ms)


def _written(row: list[int]) -> str:
    return f"POKE {registers.BASE + row[1]},{row[2]}"


def _run_roms(folder: Path, program: bytes, video: clock.Video, cycles: int) -> tuple[np.ndarray, str]:
    """Start the machine with a folder's ROMs, give it a program and RUN.

    Returns
    -------
    rows : ndarray (n, 3)
        Cycle, register and value of each write behind RUN.
    why : str
        Why there is no result, else empty.
    """
    from sidlearn.c64.player import power_on_ram, put_ports

    parts = machine.power_on(video)
    cpu, memory, ram = parts.cpu[0], parts.maps[0], parts.ram
    memory.rom[:], memory.traps[:] = kernal.images(folder)
    ram[:] = power_on_ram()
    put_ports(parts)
    cpu.p, cpu.sp = UNUSED | INTERRUPT, 0xFF
    begin_at(cpu, int(memory.rom[RESET]) | int(memory.rom[RESET + 1]) << 8)
    _, why = _run_to(parts, BOOT_SECONDS * video.clock_hz)
    if why:
        return np.empty((0, 3), np.int64), f"the ROM does not start: {why}"
    body = np.frombuffer(program[2:], np.uint8)
    ram[PROGRAM_AT : PROGRAM_AT + len(body)] = body
    end = PROGRAM_AT + len(body)
    for pointer in (VARTAB, VARTAB + 2, VARTAB + 4):
        ram[pointer], ram[pointer + 1] = end & 0xFF, end >> 8
    keys = b"RUN\r"
    ram[KEYS : KEYS + len(keys)] = np.frombuffer(keys, np.uint8)
    ram[KEY_COUNT] = len(keys)
    return _run_to(parts, int(cpu.cycle) + cycles + MORE_SECONDS * video.clock_hz)


def _run_to(parts: machine.Machine, until: int) -> tuple[np.ndarray, str]:
    """Run every bus cycle up to `until`. Returns the writes to the SID, and why it has stopped before, if it has."""
    cpu = parts.cpu[0]
    found, why = [], ""
    while cpu.cycle < until and not why:
        status = machine.run_exact(parts, until)
        if status in (FULL, READS_IO):
            if status == READS_IO:
                parts.maps[0].io[int(cpu.address) - IO_BASE] = 0
                cpu.answered = 1
        elif status == JAMMED:
            why = f"the opcode at ${int(cpu.pc):04X} stops the CPU for good"
        elif status == TRAPPED:
            why = f"needs {kernal.routine(int(cpu.address))}, which is not there"
        events = parts.events[: int(cpu.filled)]
        found.append(np.array([events["cycle"], events["address"], events["value"]], np.int64).T)
        cpu.filled = 0
    rows = np.concatenate(found) if found else np.empty((0, 3), np.int64)
    rows[:, 1] &= registers.MIRROR - 1
    return rows[rows[:, 1] < registers.WRITABLE], why
