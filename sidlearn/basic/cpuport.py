"""Machine code called from BASIC by SYS and USR.

Source of the addresses: Commodore 64 Programmer's Reference Guide, chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sidlearn.basic.float_routines import CpuRegisters
from sidlearn.basic.memory import JIFFIES, TXTPTR
from sidlearn.basic.routines import ROUTINES, name_of
from sidlearn.errors import SidlearnError

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

REGISTERS = 780
"""SYS takes A, X, Y and the flags from here, and leaves them here."""

INTERRUPTS_OFF = 4
"""The flag I."""

FINEST_SLICE = 64
"""Cycles: how closely the code is watched around a timer interrupt, for its flag I and for what it reads of TI."""


class CpuStop(Protocol):
    """Why machine code has stopped: "returned", "trap" (it wants a ROM), "jam" or "limit"; where, and when."""

    reason: str
    address: int
    cycles: int


Poke = Callable[[int, int, int], None]
Peek = Callable[[int, int], int]


class CpuPort(Protocol):
    """Runs machine code on BASIC's memory; `sidlearn.cpu.port.MachineCode` is one.

    ``poke(address, value, cycles)`` and ``peek(address, cycles)`` are for 53248 to 57343; cycles count from the call.
    """

    max_cycles: int

    def start(self, address: int, ram: bytearray, registers: CpuRegisters, poke: Poke, peek: Peek) -> CpuStop:
        """Call `address` and run."""
        ...

    def go_on(
        self, address: int, ram: bytearray, registers: CpuRegisters, poke: Poke, peek: Peek, cycles: int
    ) -> CpuStop:
        """Run on from `address`, `cycles` after the call."""
        ...

    def leave(self, ram: bytearray, registers: CpuRegisters, poke: Poke, peek: Peek, cycles: int) -> CpuStop:
        """Return from a routine in ROM, `cycles` after the call, and run on."""
        ...


class MachineCall:
    """One call of machine code, which may outlast a slice of the program's time.

    Attributes
    ----------
    returned : bool
        Whether it has come back.
    """

    def __init__(self, machine: Interpreter, address: int, position: int | None = None):
        self.machine = machine
        self.address = address
        self.returned = False
        self._base = machine.cycles
        self._stop: CpuStop | None = None
        ram = machine.ram
        a, x, y, p = ram[REGISTERS : REGISTERS + 4]
        self._registers = registers_of(a, x, y, p, machine.frames.free - 2)
        if position is not None:
            machine.memory.set_word(TXTPTR, position)

    def run(self) -> bool:
        """Run until it returns or the machine's clock passes `check_at`. Returns whether it has returned."""
        machine, ram, registers = self.machine, self.machine.ram, self._registers
        if self._stop is None and self.address in ROUTINES:
            machine.cycles += ROUTINES[self.address](machine, registers)
            self._finish()
            return True
        if machine.cpu is None:
            machine.cpu = new_cpu()
        cpu = machine.cpu
        ports = self._poke, self._peek
        while True:
            self._meet_the_clock()
            until = min(machine.check_at, machine.cycles + machine.wall.calm(machine.cycles, FINEST_SLICE))
            cpu.max_cycles = until - self._base
            if self._stop is None:
                stop = cpu.start(self.address, ram, registers, *ports)
            else:
                stop = cpu.go_on(self._stop.address, ram, registers, *ports, self._stop.cycles)
            while stop.reason == "trap" and stop.address in ROUTINES:
                machine.cycles = self._base + stop.cycles
                cycles = ROUTINES[stop.address](machine, registers)
                stop = cpu.leave(ram, registers, *ports, stop.cycles + cycles)
            machine.cycles = self._base + stop.cycles
            self._stop = stop
            if stop.reason != "limit" or machine.cycles >= machine.check_at:
                break
        machine.memory_changed()
        if stop.reason == "trap":
            raise SidlearnError(f"SYS {self.address}: needs the {name_of(stop.address)}, which only a user's ROM has")
        if stop.reason == "jam":
            raise SidlearnError(f"SYS {self.address}: the opcode at {stop.address} stops the 6510 for good")
        if stop.reason == "returned":
            self._finish()
        return self.returned

    def _meet_the_clock(self) -> None:
        """Let the timer interrupt happen where the code allows it, and show TI where the code may read it."""
        machine = self.machine
        machine.wall.mask(bool(self._registers.p & INTERRUPTS_OFF), machine.cycles)
        machine.ram[JIFFIES : JIFFIES + 3] = machine.memory.jiffies(machine.cycles).to_bytes(3, "big")

    def _finish(self) -> None:
        registers = self._registers
        self.machine.ram[REGISTERS : REGISTERS + 4] = bytes((registers.a, registers.x, registers.y, registers.p))
        self._meet_the_clock()
        self.returned = True

    def _poke(self, address: int, value: int, cycles: int) -> None:
        self.machine.memory.poke(address, value, self._base + cycles)

    def _peek(self, address: int, cycles: int) -> int:
        return self.machine.memory.peek(address, self._base + cycles)


def new_cpu() -> CpuPort:
    """Return a 6510."""
    from sidlearn.cpu.port import MachineCode

    return MachineCode()  # type: ignore[return-value]


def registers_of(a: int, x: int, y: int, p: int, sp: int) -> CpuRegisters:
    """Return registers for a call."""
    from sidlearn.cpu.port import Registers

    return Registers(a, x, y, p, sp)
