"""Machine code for those who own the memory: SYS and USR of BASIC, and whoever else has a C64's RAM and chips.

The 6510 runs on the owner's RAM, tells the owner's chips of every access, and comes back when the routine returns, when
it would go on inside a ROM, or when its time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sidlearn import clock
from sidlearn.cpu import kernel, state
from sidlearn.cpu.opcodes import BREAK, UNUSED, opcode_records
from sidlearn.errors import SidlearnError

Poke = Callable[[int, int, int], None]
"""``poke(address, value, cycles)``: a write to a chip; `cycles` have passed since the call when the access ends."""

Peek = Callable[[int, int], int]
"""``peek(address, cycles)``: what a read of a chip gives."""

RETURN_ADDRESS = 0xE147
"""Where the routine's RTS leads: an address in the KERNAL ROM, so that it can only be reached by returning."""

STACK_POINTER = 0xF6
"""Stack pointer at the call: a guess, the C64's depends on what BASIC has on its stack."""

MAX_CYCLES = 600 * clock.PAL.clock_hz
"""Ten minutes: after that a routine counts as one that does not end."""

EVENTS = 4096
"""Writes that are kept before they are handed to the chips."""


@dataclass
class Registers:
    """The registers of the 6510; `p` as PHP pushes it, with bits 4 and 5 set."""

    a: int = 0
    x: int = 0
    y: int = 0
    p: int = BREAK | UNUSED
    sp: int = STACK_POINTER


@dataclass(frozen=True)
class Stop:
    """Why machine code has stopped.

    Attributes
    ----------
    reason : str
        "returned": by the RTS that matches the call; "trap": the next instruction would come from a ROM; "jam": an
        opcode has stopped the CPU for good; "limit": its time is over.
    address : int
        The program counter.
    cycles : int
        Since the call.
    """

    reason: str
    address: int
    cycles: int


class MachineCodeError(SidlearnError, RuntimeError):
    """Machine code that does not return: it needs a ROM, has jammed the CPU, or does not end; see `stop`."""

    def __init__(self, message: str, stop: Stop):
        super().__init__(message)
        self.stop = stop


Routine = Callable[[Registers, bytearray], int]
"""Stands for a routine in ROM: changes the registers and the RAM, returns its cycles, RTS included."""


@dataclass
class MachineCode:
    """A 6510 on somebody else's memory.

    Parameters
    ----------
    routines : mapping of address -> Routine
        What stands for routines in ROM, such as 65490 (CHROUT). Other ROM addresses end a call.
    rom : mapping of address -> byte
        What reads of ROM give where that matters; 0 elsewhere.
    max_cycles : int
        How long one call may last.

    Examples
    --------
    >>> ram = bytearray(0x10000)
    >>> ram[0x01] = 0x37
    >>> ram[0xC000:0xC006] = bytes((0xA9, 0x0F, 0x8D, 0x18, 0xD4, 0x60))  # LDA #$0F, STA $D418, RTS
    >>> MachineCode().call(49152, ram, 0, 0, 0, 0, poke=lambda *write: print(write), peek=lambda *read: 0)
    (54296, 15, 6)
    (15, 0, 0, 48, 12)
    """

    routines: Mapping[int, Routine] = field(default_factory=dict)
    rom: Mapping[int, int] = field(default_factory=dict)
    max_cycles: int = MAX_CYCLES

    def __post_init__(self) -> None:
        self._cpus = state.cpu_state()
        self._maps = state.memory_map()
        self._opcodes = opcode_records()
        self._events = state.event_buffer(EVENTS)
        memory = self._maps[0]
        memory.hooks[:] = state.STOP_READ | state.LOG_WRITE
        memory.traps[:] = state.TRAP_ROM
        for address, value in self.rom.items():
            memory.rom[address] = value

    def call(
        self,
        address: int,
        ram: bytearray,
        a: int,
        x: int,
        y: int,
        p: int,
        poke: Poke,
        peek: Peek,
    ) -> tuple[int, int, int, int, int]:
        """Run from `address` until the matching RTS.

        Parameters
        ----------
        address : int
        ram : bytearray, 65536 bytes
            Read and written in place; 0 and 1 hold the 6510's port.
        a, x, y, p : int
        poke, peek
            Take and answer the accesses to $D000-$DFFF while the chips are banked in.

        Returns
        -------
        a, x, y, p : int
        cycles : int
            From the first cycle of the first instruction to the end of the RTS.

        Raises
        ------
        MachineCodeError
            If it does not return.
        """
        registers = Registers(a, x, y, p)
        stop = self.start(address, ram, registers, poke, peek)
        while stop.reason == "trap" and stop.address in self.routines:
            cycles = self.routines[stop.address](registers, ram)
            stop = self.leave(ram, registers, poke, peek, stop.cycles + cycles)
        if stop.reason == "trap":
            raise MachineCodeError(f"SYS {address}: needs the ROM at {stop.address} (${stop.address:04X})", stop)
        if stop.reason == "jam":
            raise MachineCodeError(f"SYS {address}: the opcode at {stop.address} stops the 6510 for good", stop)
        if stop.reason == "limit":
            raise MachineCodeError(f"SYS {address}: expected to return, runs on after {stop.cycles} cycles", stop)
        return registers.a, registers.x, registers.y, registers.p, stop.cycles

    def start(self, address: int, ram: bytearray, registers: Registers, poke: Poke, peek: Peek) -> Stop:
        """Push the return address, go to `address` and run; `registers` then holds what the routine has left."""
        back = RETURN_ADDRESS - 1
        for value in (back >> 8, back & 0xFF):
            ram[kernel.STACK + registers.sp] = value
            registers.sp = registers.sp - 1 & 0xFF
        return self.go_on(address, ram, registers, poke, peek, 0)

    def leave(self, ram: bytearray, registers: Registers, poke: Poke, peek: Peek, cycles: int) -> Stop:
        """Return from a routine in ROM, `cycles` after the call, and run on."""
        low, high = (ram[kernel.STACK + (registers.sp + i & 0xFF)] for i in (1, 2))
        registers.sp = registers.sp + 2 & 0xFF
        return self.go_on((low | high << 8) + 1 & 0xFFFF, ram, registers, poke, peek, cycles)

    def go_on(self, address: int, ram: bytearray, registers: Registers, poke: Poke, peek: Peek, cycles: int) -> Stop:
        """Run from `address`, `cycles` after the call, until something stops it."""
        cpu, memory, view = self._cpus[0], self._maps[0], np.frombuffer(ram, np.uint8)
        cpu.pc, cpu.cycle, cpu.flag_late, cpu.answered, cpu.filled = address, cycles, 0, 0, 0
        cpu.a, cpu.x, cpu.y, cpu.sp = registers.a, registers.x, registers.y, registers.sp
        cpu.p = registers.p & ~BREAK | UNUSED
        cpu.port_direction, cpu.port_data, cpu.port_fade = ram[0], ram[1], 0
        while True:
            status = kernel.run_flat(cpu, view, memory, self._opcodes, self._events, self.max_cycles)
            for event in self._events[: cpu.filled].tolist():
                poke(event[1], event[2], event[0])
            cpu.filled = 0
            if status == state.READS_IO:
                memory.io[cpu.address - state.IO_BASE] = peek(int(cpu.address), int(cpu.access_cycle))
                cpu.answered = 1
            elif status != state.FULL:
                break
        registers.a, registers.x, registers.y, registers.sp = (int(r) for r in (cpu.a, cpu.x, cpu.y, cpu.sp))
        registers.p = int(cpu.p) | BREAK | UNUSED
        reason = {state.TRAPPED: "trap", state.JAMMED: "jam", state.REACHED: "limit"}[status]
        if reason == "trap" and cpu.pc == RETURN_ADDRESS:
            reason = "returned"
        return Stop(reason, int(cpu.pc), int(cpu.cycle))
