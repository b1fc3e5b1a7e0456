"""A small C64 without ROMs that runs public test programs against our chip and our 6510.

Bus-cycle 6510, 64 KB of RAM behind the 6510's port, the digital half of the SID, a raster counter with bad lines, two
plain CIAs (timers, cascade, one-shot, interrupts; no TOD, no serial port). The ROMs are RTS bytes, but
for the interrupt entry and exit that the memory map documents. SETNAM and LOAD reach into a disk image. Programs tell
their verdict by a write to $D7FF, VICE's "debug cartridge": 0 passed, 255 failed.

Sources: Commodore 64 Programmer's Reference Guide; MOS 6526 data sheet; Christian Bauer, "The MOS 6567/6569 video
controller (VIC-II)" (1996); testbench/readme.txt of the VICE test programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sidlearn import clock
from sidlearn._kernel import inline_kernel, kernel
from sidlearn.chip import models
from sidlearn.chip.kernel import clock_digital, read_register, write_register
from sidlearn.chip.state import power_on
from sidlearn.cpu.kernel import STACK, begin_at, byte, clock_cpu, port_setting, read_port, write_port
from sidlearn.cpu.microcode import FETCH, step_records
from sidlearn.cpu.opcodes import UNUSED, opcode_records
from sidlearn.cpu.state import IO, RAM, c64_pages, cpu_state

POWER_ON_CYCLES = 2_500_000
"""From power-on to READY on a C64: what the SID has behind it when a program starts."""

PASS, FAIL, NONE = 0, 255, -1
RUNNING, VERDICT, TRAP, JAM = range(4)

LINES, LINE_CYCLES = clock.PAL.lines, clock.PAL.line_cycles
SPRITE_COLUMN, SPRITE_COUNT_COLUMN = 54, 15  # cycles 55 and 16 of a line
VERDICT_ADDRESS = 0xD7FF
SETNAM, LOAD, RETURN = 0xFFBD, 0xFFD5, 0xE147

CIA_DTYPE = np.dtype(
    [
        ("counter", "i8", (2,)),
        ("latch", "i8", (2,)),
        ("control", "i8", (2,)),
        ("counting", "i8", (2,)),  # bit 2: the timer counts in this cycle; it was started two cycles before
        ("loading", "i8", (2,)),  # a forced load takes place when it gets to 1
        ("flags", "i8"),
        ("mask", "i8"),
        ("ports", "i8", (2,)),
        ("directions", "i8", (2,)),
        ("irq", "i8"),
        ("is_6526a", "i8"),
    ]
)
VIC_DTYPE = np.dtype(
    [
        ("line", "i8"),
        ("column", "i8"),  # cycle in the line, from 0
        ("compare", "i8"),
        ("flags", "i8"),
        ("mask", "i8"),
        ("control", "i8"),  # $D011
        ("shown", "i8"),  # the picture was on at some time in line 48
        ("sprites", "i8"),  # bit n: sprite n fetches its data
        ("sprite_lines", "i8", (8,)),  # lines for which it still does
        ("registers", "u1", (64,)),
    ]
)
STATE_DTYPE = np.dtype(
    [
        ("verdict", "i8"),
        ("status", "i8"),
        ("sid_cycles", "i8"),  # how far the SID has been clocked
        ("traps", "u1", (0x10000,)),
        ("color", "u1", (0x400,)),
    ]
)


class Machine(NamedTuple):
    """All parts; each a record array of one (or two) elements."""

    cpu: np.recarray
    ram: np.ndarray
    rom: np.ndarray
    pages: np.ndarray
    opcodes: np.recarray
    steps: np.recarray
    cias: np.recarray
    vic: np.recarray
    voices: np.recarray
    chip: np.recarray
    model: np.recarray
    state: np.recarray


# --- CIA -----------------------------------------------------------------------------------------------------------


@kernel
def clock_cia(cia):
    """Clock both timers; B counts the underflows of A when it is set to.

    A 6526 pulls its interrupt line one cycle after the cause, a 6526A at once.
    """
    cia.irq = 1 if cia.flags & cia.mask else 0
    underflow = clock_timer(cia, 0, 1 if cia.control[0] & 0x21 == 1 else 0)
    source = cia.control[1] & 0x61
    clock_timer(cia, 1, 1 if source == 1 or (underflow and source in (0x41, 0x61)) else 0)
    if cia.is_6526a:
        cia.irq = 1 if cia.flags & cia.mask else 0


@kernel
def clock_timer(cia, timer, counts):
    """Clock one timer; gives 1 for an underflow. Starts and stops come through two cycles later.

    A timer that gets to 0 and would go on is loaded in the same cycle, and skips the next: its period is the latch plus
    one. Source: Wolfgang Lorenz, "A Software Model of the CIA6526" (1998).
    """
    cia.counting[timer] = (cia.counting[timer] << 1 | counts) & 7
    if cia.counting[timer] & 4:
        cia.counter[timer] = cia.counter[timer] - 1 & 0xFFFF
    underflow = 1 if cia.counter[timer] == 0 and cia.counting[timer] & 2 else 0
    if underflow:
        cia.flags |= 1 << timer
        if cia.control[timer] & 8:
            cia.control[timer] &= ~1
            cia.counting[timer] = 0
    if cia.loading[timer]:
        cia.loading[timer] -= 1
    if underflow or cia.loading[timer] == 1:
        cia.counter[timer] = cia.latch[timer]
        cia.counting[timer] &= ~2
    return underflow


@kernel
def read_cia(cia, register):
    if register < 2:  # nothing is connected: inputs are pulled up
        return cia.ports[register] | ~cia.directions[register] & 0xFF
    if register < 4:
        return cia.directions[register - 2]
    if register < 8:
        return cia.counter[(register - 4) >> 1] >> 8 * (register & 1) & 0xFF
    if register == 13:
        value = cia.flags | cia.irq << 7
        cia.flags = cia.irq = 0
        return value
    if register > 13:
        return cia.control[register - 14]
    return 0


@kernel
def write_cia(cia, register, value):
    if register < 2:
        cia.ports[register] = value
    elif register < 4:
        cia.directions[register - 2] = value
    elif register < 8:
        timer = (register - 4) >> 1
        if register & 1:
            cia.latch[timer] = cia.latch[timer] & 0xFF | value << 8
            if not cia.control[timer] & 1:
                cia.counter[timer] = cia.latch[timer]
        else:
            cia.latch[timer] = cia.latch[timer] & 0xFF00 | value
    elif register == 13:
        if value & 0x80:
            cia.mask |= value & 0x1F
        else:
            cia.mask &= ~value
    elif register > 13:
        timer = register - 14
        if value & 0x10:
            cia.loading[timer] = 3
        cia.control[timer] = value & ~0x10


# --- VIC -----------------------------------------------------------------------------------------------------------


@kernel
def clock_vic(vic):
    """Move the beam by one cycle; the raster interrupt comes with the first cycle of its line."""
    vic.column += 1
    if vic.column == LINE_CYCLES:
        vic.column = 0
        vic.line += 1
        if vic.line == LINES:
            vic.line = 0
            vic.shown = 0
        if vic.line == vic.compare:
            vic.flags |= 1
    if vic.line == 48 and vic.control & 0x10:
        vic.shown = 1
    if vic.column == SPRITE_COLUMN and vic.registers[0x15]:
        start_sprites(vic)
    elif vic.column == SPRITE_COUNT_COLUMN and vic.sprites:
        count_sprites(vic)


@kernel
def start_sprites(vic):
    """Sprites whose line it is begin to fetch: 21 lines, or 42 when they are expanded."""
    for n in range(8):
        enabled = vic.registers[0x15] >> n & 1
        if enabled and vic.registers[2 * n + 1] == vic.line & 0xFF and not vic.sprites >> n & 1:
            vic.sprites |= 1 << n
            vic.sprite_lines[n] = 42 if vic.registers[0x17] >> n & 1 else 21


@kernel
def count_sprites(vic):
    for n in range(8):
        if vic.sprites >> n & 1:
            vic.sprite_lines[n] -= 1
            if vic.sprite_lines[n] == 0:
                vic.sprites &= ~(1 << n)


@kernel
def takes_the_bus(vic):
    """Whether BA is low: 43 cycles of a bad line, and 5 for each sprite."""
    bad = vic.shown and 48 <= vic.line < 248 and (vic.line ^ vic.control) & 7 == 0
    if bad and 11 <= vic.column < 54:
        return 1
    if vic.sprites:
        for n in range(8):
            behind = vic.column - SPRITE_COLUMN - 2 * n
            if vic.sprites >> n & 1 and (behind + LINE_CYCLES) % LINE_CYCLES < 5:
                return 1
    return 0


@kernel
def read_vic(vic, register):
    if register == 0x11:
        return vic.control & 0x7F | vic.line >> 1 & 0x80
    if register == 0x12:
        return vic.line & 0xFF
    if register == 0x19:
        return vic.flags | 0x70 | (0x80 if vic.flags & vic.mask else 0)
    if register == 0x1A:
        return vic.mask | 0xF0
    if register >= 0x2F:
        return 0xFF
    return byte(vic.registers, register) | (0xF0 if register >= 0x20 else 0)


@kernel
def write_vic(vic, register, value):
    vic.registers[register] = value
    if register == 0x11:
        vic.control = value
        set_compare(vic, vic.compare & 0xFF | (value & 0x80) << 1)
    elif register == 0x12:
        set_compare(vic, vic.compare & 0x100 | value)
    elif register == 0x19:
        vic.flags &= ~value & 0xF
    elif register == 0x1A:
        vic.mask = value & 0xF


@kernel
def set_compare(vic, line):
    if line != vic.compare:
        vic.compare = line
        if vic.line == line:
            vic.flags |= 1


# --- The bus -------------------------------------------------------------------------------------------------------


@kernel
def catch_up(machine):
    """Clock the SID to the end of the cycle under way; between accesses it needs no attention."""
    cycles = machine.cpu[0].cycle + 1 - machine.state[0].sid_cycles
    for _ in range(cycles):
        clock_digital(machine.voices, machine.chip[0], machine.model[0])
    machine.state[0].sid_cycles += cycles


@kernel
def read_io(machine, address):
    if address < 0xD400:
        return read_vic(machine.vic[0], address & 0x3F)
    if address < 0xD800:
        catch_up(machine)
        return read_register(machine.voices, machine.chip[0], machine.model[0], address & 0x1F)
    if address < 0xDC00:
        return byte(machine.state[0].color, address & 0x3FF) | 0xF0
    if address < 0xDE00:
        return read_cia(machine.cias[(address >> 8) - 0xDC], address & 0xF)
    return 0xFF


@kernel
def write_io(machine, address, value):
    if address == VERDICT_ADDRESS:
        machine.state[0].verdict = value
        machine.state[0].status = VERDICT
    elif address < 0xD400:
        write_vic(machine.vic[0], address & 0x3F, value)
    elif address < 0xD800:
        catch_up(machine)
        write_register(machine.voices, machine.chip[0], machine.model[0], address & 0x1F, value)
    elif address < 0xDC00:
        machine.state[0].color[address & 0x3FF] = value & 0xF
    elif address < 0xDE00:
        write_cia(machine.cias[(address >> 8) - 0xDC], address & 0xF, value)


@inline_kernel
def read(machine, address):
    if address < 2:
        return read_port(machine.cpu[0], address)
    page = machine.pages[port_setting(machine.cpu[0]) << 8 | address >> 8]
    if page == RAM:
        return byte(machine.ram, address)
    if page == IO:
        return read_io(machine, address)
    return byte(machine.rom, address)


@inline_kernel
def write(machine, address, value):
    cpu = machine.cpu[0]
    if address < 2:
        write_port(cpu, machine.ram, address, value)
    elif machine.pages[port_setting(cpu) << 8 | address >> 8] == IO:
        write_io(machine, address, value)
    else:
        machine.ram[address] = value


@kernel
def run_machine(machine, until):
    """Run to a cycle, a verdict, a jam, or an opcode fetch at a trap."""
    cpu, vic, state = machine.cpu[0], machine.vic[0], machine.state[0]
    cia1, cia2 = machine.cias[0], machine.cias[1]
    state.status = RUNNING
    resumed = True
    while cpu.cycle < until:
        if state.traps[cpu.address] and machine.steps[cpu.step].bus == FETCH and not cpu.forced and not resumed:
            state.status = TRAP
            break
        resumed = False
        clock_vic(vic)
        clock_cia(cia1)
        clock_cia(cia2)
        cpu.irq = 1 if cia1.irq or vic.flags & vic.mask else 0
        cpu.nmi = cia2.irq
        cpu.stall = takes_the_bus(vic)
        data = cpu.output
        if cpu.writing:
            write(machine, cpu.address, data)
        elif not cpu.stall:
            data = read(machine, cpu.address)
        clock_cpu(cpu, machine.opcodes, machine.steps, data)
        if cpu.jammed:
            state.status = JAM
            break
        if state.status != RUNNING:
            break
    return state.status


@kernel
def run_in(voices, chip, model, cycles):
    """Let the SID run by itself."""
    for _ in range(cycles):
        clock_digital(voices, chip[0], model[0])


# --- Programs ------------------------------------------------------------------------------------------------------

# Entry and exit of interrupts, at the addresses of the memory map: (address, bytes).
_KERNAL = (
    (0xFF48, "48 8A 48 98 48 BA BD 04 01 29 10 F0 03 6C 16 03 6C 14 03"),  # save, then ($0316) for BRK or ($0314)
    (0xEA31, "4C 7E EA"),
    (0xEA7E, "AD 0D DC 68 A8 68 AA 68 40"),  # acknowledge CIA 1; $EA81: restore, RTI
    (0xFE43, "78 6C 18 03"),  # SEI, JMP ($0318)
    (0xFE47, "48 8A 48 98 48 A9 7F 8D 0D DD AC 0D DD"),  # save, silence CIA 2, and on into:
    (0xFE54, "4C BC FE"),
    (0xFEBC, "68 A8 68 AA 68 40"),  # restore, RTI
    (0xFE66, "4C 66 FE"),  # BRK ends in the monitor: stay
    (0xFFFA, "43 FE E2 FC 48 FF"),
    (0xA000, "94"), (0xD000, "3C"), (0xE000, "85"),  # first bytes of the ROMs, by which the Lorenz test mmu knows them
)  # fmt: skip
# RAM as the KERNAL leaves it, as far as programs look: address, bytes.
_RAM = (
    (0x002B, "01 08"), (0x0090, "00"), (0x00BA, "08"), (0x00D1, "00 04"),
    (0x0286, "0E"), (0x0288, "04"), (0x02A6, "01"),
    (0x0314, "31 EA 66 FE 47 FE"),
)  # fmt: skip
_IRQ_LATCH = clock.PAL.jiffy_cycles - 1


@lru_cache(maxsize=8)
def _warm_sid(model: str) -> tuple[np.recarray, np.recarray]:
    """The chip after `POWER_ON_CYCLES`."""
    record = models.load(model)
    voices, chip = power_on(record[0], clock.PAL.clock_hz)
    run_in(voices, chip, record, POWER_ON_CYCLES)
    return voices, chip


def boot(model: str) -> Machine:
    """Return a machine that shows READY, with the chip `model`."""
    ram, rom = np.zeros(0x10000, np.uint8), np.full(0x10000, 0x60, np.uint8)
    for target, rows in ((rom, _KERNAL), (ram, _RAM)):
        for address, text in rows:
            code = bytes.fromhex(text)
            target[address : address + len(code)] = np.frombuffer(code, np.uint8)
    ram[0x0400:0x07E8] = 0x20
    cpu = cpu_state()
    cpu.p = UNUSED
    ram[0], ram[1] = 0x2F, 0x37
    cias = np.zeros(2, CIA_DTYPE).view(np.recarray)
    cias.directions[0] = 0xFF, 0x00
    cias.ports[0] = 0x7F, 0xFF
    cias.directions[1] = 0x3F, 0x00
    cias.ports[1] = 0x07, 0xFF
    cias.latch[:] = cias.counter[:] = 0xFFFF
    cias.latch[0, 0] = cias.counter[0, 0] = _IRQ_LATCH
    cias.control[0, 0], cias.counting[0, 0], cias.mask[0] = 1, 7, 1
    vic = np.zeros(1, VIC_DTYPE).view(np.recarray)
    vic.control, vic.compare = 0x1B, 0x137
    state = np.zeros(1, STATE_DTYPE).view(np.recarray)
    state.verdict = NONE
    voices, chip = (array.copy() for array in _warm_sid(model))
    return Machine(
        cpu, ram, rom, c64_pages(), opcode_records(), step_records(), cias, vic, voices, chip, models.load(model), state
    )


def sys_address(program: bytes) -> int:
    """Return the number behind SYS in the program's BASIC line, which may be PEEK(43)+PEEK(44)*256 and more."""
    at = program.find(b"\x9e", 4, 40)
    if at < 0:
        return program[0] | program[1] << 8
    text = program[at + 1 : program.index(0, at)].replace(b" ", b"")
    for token, meaning in ((b"\xc2(43)", b"1"), (b"\xc2(44)", b"8"), (b"\xaa", b"+"), (b"\xac", b"*")):
        text = text.replace(token, meaning)
    digits = re.match(rb"\(?([\d+*]+)", text)
    assert digits is not None, text
    return sum(prod(int(factor) for factor in term.split(b"*")) for term in digits[1].split(b"+"))


SECTORS = (0, *[21] * 17, *[19] * 7, *[18] * 6, *[17] * 5)
"""Sectors of the tracks 1 to 35 of a 1541 disk. Source: Commodore 1541 User's Guide."""


def files_on_disk(image: bytes) -> dict[bytes, bytes]:
    """Return the files of a .d64 by name."""

    def sector(track: int, number: int) -> bytes:
        start = 256 * (sum(SECTORS[:track]) + number)
        return image[start : start + 256]

    def chain(track: int, number: int) -> Iterator[bytes]:
        while track:
            block = sector(track, number)
            track, number = block[0], block[1]
            yield block[2:] if track else block[2 : number + 1]

    found = {}
    for block in chain(18, 1):
        for entry in (block[i : i + 30] for i in range(0, 254, 32)):
            if entry[0]:
                found[entry[3:19].rstrip(b"\xa0")] = b"".join(chain(entry[1], entry[2]))
    return found


@dataclass(frozen=True)
class Result:
    """What a program has said: `verdict` 0 or 255 as written, -1 for none; and why and when the run ended."""

    verdict: int
    reason: str
    cycles: int
    machine: Machine

    @property
    def passed(self) -> bool:
        return self.verdict == PASS


def load_file(machine: Machine, name: bytes, disk: dict[bytes, bytes]) -> None:
    """KERNAL LOAD: into memory, or against it when A is 1; ST and C tell the outcome."""
    cpu, ram = machine.cpu[0], machine.ram
    content = disk.get(name)
    ram[0x90] = 0
    cpu.p |= 1
    if content is None:
        cpu.a = 4  # FILE NOT FOUND
        return
    start = int(cpu.x) | int(cpu.y) << 8
    body = np.frombuffer(content[2:], np.uint8)
    if cpu.a == 0:
        ram[start : start + len(body)] = body
    elif not np.array_equal(ram[start : start + len(body)], body):
        ram[0x90] = 0x10
    end = start + len(body)
    cpu.x, cpu.y = end & 0xFF, end >> 8
    cpu.p &= ~1


def run_program(
    path: Path, model: str = "6581", limit: int = 10_000_000, disk: Path | None = None, new_cias: bool = False
) -> Result:
    """Run a .prg by its SYS line until it gives a verdict or `limit` cycles (with power-on) are over."""
    program = path.read_bytes()
    machine = boot(model)
    machine.cias.is_6526a = new_cias
    cpu, state = machine.cpu[0], machine.state[0]
    load = program[0] | program[1] << 8
    machine.ram[load : load + len(program) - 2] = np.frombuffer(program[2:], np.uint8)
    end = load + len(program) - 2
    machine.ram[0x2D], machine.ram[0x2E] = end & 0xFF, end >> 8
    machine.ram[STACK + 0xFE], machine.ram[STACK + 0xFF] = (RETURN - 1) & 0xFF, RETURN - 1 >> 8
    cpu.sp = 0xFD
    files = files_on_disk(disk.read_bytes()) if disk else {}
    state.traps[[SETNAM, LOAD, RETURN]] = 1
    begin_at(cpu, sys_address(program))
    name = b""
    while True:
        status = run_machine(machine, limit - POWER_ON_CYCLES)
        if status != TRAP or cpu.address == RETURN:
            break
        if cpu.address == SETNAM:
            where = int(cpu.x) | int(cpu.y) << 8
            name = machine.ram[where : where + int(cpu.a)].tobytes()
        else:
            load_file(machine, name, files)
    reason = {RUNNING: "time is over", VERDICT: "verdict", TRAP: "returned", JAM: "jam"}[int(status)]
    return Result(int(state.verdict), reason, int(cpu.cycle), machine)


@dataclass(frozen=True)
class Listed:
    """One line of VICE's list of tests: place, time, options such as ``sid-old`` and ``mountd64:x``."""

    folder: str
    program: str
    kind: str
    limit: int
    options: tuple[str, ...]

    def path(self, testprogs: Path) -> Path:
        return testprogs / self.folder / self.program

    def disk(self, testprogs: Path) -> Path | None:
        names = [option.partition(":")[2] for option in self.options if option.startswith("mountd64:")]
        return testprogs / self.folder / names[0] if names else None


def listed(testprogs: Path, folder: str) -> list[Listed]:
    """Return the lines of testbench/c64-testlist.in for the folders that begin with `folder`."""
    rows = []
    for line in (testprogs / "testbench" / "c64-testlist.in").read_text(encoding="latin-1").splitlines():
        place, _, rest = line.partition(",")
        if not place.startswith("../" + folder):
            continue
        program, kind, limit, *options = rest.split(",")
        rows.append(Listed(place[3:].rstrip("/"), program, kind, int(limit), tuple(options)))
    return rows
