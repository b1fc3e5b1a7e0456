"""Machine code called from BASIC: the port to a 6510, and stand-ins for the ROM routines that listings call.

Source of the addresses: Commodore 64 Programmer's Reference Guide, chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sidlearn.basic.memory import PNTR, TBLX
from sidlearn.errors import SidlearnError

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

REGISTERS = 780
"""SYS takes A, X, Y and the flags from here, and leaves them here."""


class CpuPort(Protocol):
    """Runs machine code for SYS and USR."""

    def call(
        self,
        address: int,
        ram: bytearray,
        registers: tuple[int, int, int, int],
        peek: Callable[[int, int], int],
        poke: Callable[[int, int, int], None],
        max_cycles: int,
    ) -> tuple[tuple[int, int, int, int], int]:
        """Run from `address` until the RTS that matches the call.

        Parameters
        ----------
        address : int
            Where the code begins.
        ram : bytearray
            The 64 KB of RAM, to be changed in place.
        registers : tuple of int
            A, X, Y and the flags.
        peek, poke : callable
            ``peek(address, cycles)`` and ``poke(address, value, cycles)`` for 53248 to 57343; `cycles` counts from the
            call to the end of the bus access.
        max_cycles : int
            Give up then.

        Returns
        -------
        registers, cycles
        """
        ...


def call_machine_code(machine: Interpreter, address: int) -> None:
    """Call `address` with the registers in 780 to 783."""
    stand_in = STAND_INS.get(address)
    if stand_in is not None:
        stand_in(machine)
        return
    if machine.cpu is None:
        raise SidlearnError(f"SYS {address}: machine code needs a 6510, given a program that runs in BASIC alone")
    ram, memory, start = machine.ram, machine.memory, machine.cycles
    registers, cycles = machine.cpu.call(
        address,
        ram,
        (ram[780], ram[781], ram[782], ram[783]),
        lambda at, cycles: memory.peek(at, start + cycles),
        lambda at, value, cycles: memory.poke(at, value, start + cycles),
        machine.check_at - start,
    )
    ram[REGISTERS : REGISTERS + 4] = bytes(registers)
    machine.cycles += cycles
    machine.forget()


def _clear_screen(machine: Interpreter) -> None:
    """58692: clear the screen."""
    machine.cycles += machine.screen.put(147)
    del machine.screen.output[-1]


def _chrout(machine: Interpreter) -> None:
    """65490: print the character in A."""
    machine.cycles += machine.screen.put(machine.ram[780])


def _plot(machine: Interpreter) -> None:
    """65520: move the cursor, or tell where it is if the carry is set."""
    ram = machine.ram
    machine.cycles += 18
    if ram[783] & 1:
        ram[781], ram[782] = ram[TBLX], ram[PNTR]
    else:
        ram[TBLX], ram[PNTR] = ram[781], ram[782]


def _next_statement(machine: Interpreter) -> None:
    """42926: NEWSTT itself. BASIC goes on behind the SYS, one return address deeper in the stack."""


def _reset(machine: Interpreter) -> None:
    """64738: reset the machine."""
    machine.end(machine.statement_position)


STAND_INS: dict[int, Callable[[Interpreter], None]] = {
    42926: _next_statement,
    58692: _clear_screen,
    64738: _reset,
    65490: _chrout,
    65520: _plot,
}
