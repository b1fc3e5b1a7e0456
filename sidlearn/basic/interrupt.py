"""The timer interrupt: the KERNAL's own handler, or machine code that a program has put in its place.

A player routine hung into 788 and 789 plays on while BASIC does something else, or nothing any more.
Source of the addresses: Commodore 64 Programmer's Reference Guide, chapter 5.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic.cpuport import CpuPort, new_cpu, registers_of
from sidlearn.basic.memory import CINV
from sidlearn.basic.routines import ROUTINES, name_of
from sidlearn.basic.timing import IRQ_CYCLES, WallClock
from sidlearn.errors import SidlearnError

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

HANDLER = 0xEA31
WITHOUT_CLOCK = 0xEA34  # POKE 788,52: neither TI nor the STOP key
ENTRY_CYCLES = 7 + 29  # the 6510's own, and saving the registers up to the jump through 788
_CLOCK_CYCLES = 85  # guess: counting TI and looking at the STOP key
LEAVE_CYCLES = 22  # three registers back, and RTI
_BACK = 0xE147  # a ROM address: reaching it means that the handler has returned by RTI

# Where a handler may go on in the ROM -> the cycles from there to the program, and whether TI counts.
EXITS = {
    HANDLER: (IRQ_CYCLES - ENTRY_CYCLES, True),
    WITHOUT_CLOCK: (IRQ_CYCLES - ENTRY_CYCLES - _CLOCK_CYCLES, False),
    0xEA7E: (4 + LEAVE_CYCLES, False),
    0xEA81: (LEAVE_CYCLES, False),
    0xFEBC: (LEAVE_CYCLES, False),
}


class TimerInterrupt:
    """What the wall clock calls at every timer interrupt."""

    def __init__(self, machine: Interpreter, clock: WallClock):
        self.machine = machine
        self.clock = clock
        self._cpu: CpuPort | None = None  # not the one of SYS, whose code may be under way

    @property
    def hooked(self) -> bool:
        """Whether a program has hung machine code into the vector."""
        return self.machine.memory.word(CINV) not in EXITS

    def __call__(self) -> tuple[int, bool]:
        """Handle one interrupt. Returns the cycles it takes from the program, and whether TI counts."""
        vector = self.machine.memory.word(CINV)
        if vector in EXITS:
            cycles, counts = EXITS[vector]
            return ENTRY_CYCLES + cycles, counts
        return self._run(vector)

    def _run(self, vector: int) -> tuple[int, bool]:
        machine, ram = self.machine, self.machine.ram
        if self._cpu is None:
            self._cpu = new_cpu()
        cpu = self._cpu
        registers = registers_of(0, 0, 0, 0x20, machine.frames.free)
        for value in (_BACK >> 8, _BACK & 255, registers.p, registers.a, registers.x, registers.y):
            ram[0x100 + registers.sp] = value
            registers.sp = registers.sp - 1 & 255
        cpu.max_cycles = self.clock.video.frame_cycles * 50
        ports = self._poke, self._peek
        stop = cpu.go_on(vector, ram, registers, *ports, 0)
        while stop.reason == "trap" and stop.address in ROUTINES:
            stop = cpu.leave(ram, registers, *ports, stop.cycles + ROUTINES[stop.address](machine, registers))
        if stop.reason == "returned":
            return ENTRY_CYCLES + stop.cycles, False
        if stop.reason == "trap" and stop.address in EXITS:
            cycles, counts = EXITS[stop.address]
            return ENTRY_CYCLES + stop.cycles + cycles, counts
        if stop.reason == "trap":
            raise SidlearnError(
                f"interrupt at {vector}: needs the {name_of(stop.address)}, which only a user's ROM has"
            )
        raise SidlearnError(
            f"interrupt at {vector}: stops at {stop.address} (${stop.address:04X}, {stop.reason}), expected RTI or"
            f" a jump to {HANDLER}"
        )

    def _poke(self, address: int, value: int, cycles: int) -> None:
        self.machine.memory.poke_at(address, value, self.clock.inside(ENTRY_CYCLES + cycles))

    def _peek(self, address: int, cycles: int) -> int:
        return self.machine.memory.peek_at(address, self.clock.inside(ENTRY_CYCLES + cycles))
