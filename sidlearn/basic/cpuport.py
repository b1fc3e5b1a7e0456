"""Machine code called from BASIC by SYS and USR, and what stands for the ROM routines that listings call.

Source of the addresses: Commodore 64 Programmer's Reference Guide, chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sidlearn.basic.functions import PLOT
from sidlearn.basic.memory import PNTR, TBLX
from sidlearn.errors import SidlearnError

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

REGISTERS = 780
"""SYS takes A, X, Y and the flags from here, and leaves them here."""

CARRY = 1


class CpuRegisters(Protocol):
    """A, X, Y, the flags and the stack pointer of a 6510."""

    a: int
    x: int
    y: int
    p: int
    sp: int


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

    def __init__(self, machine: Interpreter, address: int):
        self.machine = machine
        self.address = address
        self.returned = False
        self._base = machine.cycles
        self._stop: CpuStop | None = None
        ram = machine.ram
        a, x, y, p = ram[REGISTERS : REGISTERS + 4]
        self._registers = registers_of(a, x, y, p, machine.frames.free - 2)

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
        cpu.max_cycles = machine.check_at - self._base
        ports = self._poke, self._peek
        if self._stop is None:
            stop = cpu.start(self.address, ram, registers, *ports)
        else:
            stop = cpu.go_on(self._stop.address, ram, registers, *ports, self._stop.cycles)
        while stop.reason == "trap" and stop.address in ROUTINES:
            machine.cycles = self._base + stop.cycles
            cycles = ROUTINES[stop.address](machine, registers)
            stop = cpu.leave(ram, registers, *ports, stop.cycles + cycles)
        machine.cycles = self._base + stop.cycles
        machine.memory_changed()
        if stop.reason == "trap":
            raise SidlearnError(
                f"SYS {self.address}: needs the ROM at {stop.address} (${stop.address:04X}), expected code in RAM alone"
            )
        if stop.reason == "jam":
            raise SidlearnError(f"SYS {self.address}: the opcode at {stop.address} stops the 6510 for good")
        self._stop = stop
        if stop.reason == "returned":
            self._finish()
        return self.returned

    def _finish(self) -> None:
        registers = self._registers
        self.machine.ram[REGISTERS : REGISTERS + 4] = bytes((registers.a, registers.x, registers.y, registers.p))
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


def _clear_screen(machine: Interpreter, registers: CpuRegisters) -> int:
    """58692: clear the screen."""
    cycles = machine.screen.put(147)
    del machine.screen.output[-1]
    return cycles


def _chrout(machine: Interpreter, registers: CpuRegisters) -> int:
    """65490: print the character in A."""
    cycles = machine.screen.put(registers.a)
    registers.p &= ~CARRY
    return cycles


def _getin(machine: Interpreter, registers: CpuRegisters) -> int:
    """65508: the next key, or 0."""
    registers.a = machine.next_key()
    registers.p &= ~CARRY
    return 30


def _plot(machine: Interpreter, registers: CpuRegisters) -> int:
    """65520: move the cursor, or tell where it is if the carry is set."""
    ram = machine.ram
    if registers.p & CARRY:
        registers.x, registers.y = ram[TBLX], ram[PNTR]
    else:
        ram[TBLX], ram[PNTR] = registers.x, registers.y
    return PLOT


def _next_statement(machine: Interpreter, registers: CpuRegisters) -> int:
    """42926: NEWSTT itself. BASIC goes on behind the SYS, one return address deeper in the stack."""
    return 0


def _reset(machine: Interpreter, registers: CpuRegisters) -> int:
    """64738: reset the machine."""
    machine.end(machine.statement_position)
    return 0


ROUTINES: dict[int, Callable[[Interpreter, CpuRegisters], int]] = {
    42926: _next_statement,
    58692: _clear_screen,
    64738: _reset,
    65490: _chrout,
    65508: _getin,
    65520: _plot,
}
"""Address -> stand-in for a routine of the ROM: changes memory and registers, gives its cycles with its RTS."""
