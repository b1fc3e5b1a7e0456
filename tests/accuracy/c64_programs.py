"""VICE's self-judging programs on the machine that plays tunes: exact core, stand-in ROMs, no disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sidlearn import clock
from sidlearn.c64 import kernal, machine, player
from sidlearn.cpu.kernel import STACK, begin_at
from sidlearn.cpu.opcodes import UNUSED
from sidlearn.cpu.state import IO_BASE, JAMMED, READS_IO, TRAP_ROM, TRAPPED
from tests.accuracy.harness import RETURN, VERDICT_ADDRESS, sys_address

SLICE = 200_000
RTS = 0x60
HOLE = 4
"""So many zeros in a row are no code."""
NO_VERDICT = -1
IDLE = 0x0334
"""Where the machine waits for RUN, in the cassette buffer."""
NEW_STATEMENT = 0xA7AE
"""Where unpackers go to RUN what they have unpacked. Source: "Mapping the Commodore 64", 42926."""
ROM_BEGINS = {0xA000: 0x94, 0xD000: 0x3C, 0xE000: 0x85}
"""What Lorenz' mmu and mmufetch expect at the beginning of each ROM."""


def ready() -> machine.Machine:
    """Return a machine as it shows READY, with a return wherever the stand-in ROMs hold nothing."""
    parts = machine.power_on(clock.PAL)
    memory, ram = parts.maps[0], parts.ram
    memory.rom[:], _ = kernal.images(Path("no folder"))
    for start, end in ((0xA000, 0xC000), (0xE000, 0x10000)):
        rom = memory.rom[start:end]
        holes = np.convolve(rom == 0, np.ones(HOLE, int), "full")[: len(rom)] == HOLE  # the last of so many zeros
        for last in np.flatnonzero(holes):
            rom[last - HOLE + 1 : last + 1] = RTS
    memory.rom[list(ROM_BEGINS)] = list(ROM_BEGINS.values())
    memory.traps[:] = 0
    memory.traps[[RETURN, NEW_STATEMENT]] = TRAP_ROM
    ram[:] = player.power_on_ram()
    ram[IDLE : IDLE + 3] = 0x4C, IDLE & 0xFF, IDLE >> 8
    player.put_kernal_variables(ram, clock.PAL)
    ram[0x0400:0x07E8] = 0x20
    player.put_ports(parts)
    timers = parts.cias[0]
    timers.latch[0] = timers.counter[0] = clock.PAL.jiffy_cycles - 1
    timers.control[0], timers.delay, timers.feed, timers.mask = 1, 0xF, 1, 1
    return parts


def run_program(path: Path, limit: int, begins: int = 0) -> tuple[int, str]:
    """Return the verdict of a .prg, 0 for passed and -1 for none, and why it has ended; it is RUN at cycle `begins`."""
    program = path.read_bytes()
    parts = ready()
    cpu, ram = parts.cpu[0], parts.ram
    load = program[0] | program[1] << 8
    end = load + len(program) - 2
    ram[load:end] = np.frombuffer(program[2:], np.uint8)
    ram[0x2D], ram[0x2E] = end & 0xFF, end >> 8
    ram[STACK + 0xFE], ram[STACK + 0xFF] = (RETURN - 1) & 0xFF, RETURN - 1 >> 8
    cpu.p, cpu.sp = UNUSED, 0xFD
    if begins:
        begin_at(cpu, IDLE)
        machine.run_exact(parts, begins)
        limit += begins
    begin_at(cpu, sys_address(program))
    while cpu.cycle < limit:
        status = machine.run_exact(parts, min(limit, int(cpu.cycle) + SLICE))
        events = parts.events[: int(cpu.filled)]
        verdicts = events.value[events.address == VERDICT_ADDRESS]
        cpu.filled = 0
        if len(verdicts):
            return int(verdicts[0]), "verdict"
        if status == READS_IO:
            parts.maps[0].io[int(cpu.address) - IO_BASE] = 0
            cpu.answered = 1
        elif status == JAMMED:
            return NO_VERDICT, f"jam at ${int(cpu.pc):04X}"
        elif status == TRAPPED and int(cpu.address) == NEW_STATEMENT:  # what has been unpacked is RUN
            begin_at(cpu, sys_address(bytes((1, 8)) + ram[0x0801:0x0900].tobytes()))
        elif status == TRAPPED:
            begin_at(cpu, IDLE)
    return NO_VERDICT, "time is over"
