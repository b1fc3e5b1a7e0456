"""A bare 6510 for tests: 64 KB of RAM, no chips."""

from __future__ import annotations

import numpy as np

from sidlearn.cpu import kernel, state
from sidlearn.cpu.assemble import assemble
from sidlearn.cpu.microcode import step_records
from sidlearn.cpu.opcodes import opcode_records

OPCODES = opcode_records()
STEPS = step_records()
REGISTERS = ("pc", "a", "x", "y", "sp", "p", "cycle")


class Flat:
    """The core that runs whole instructions, on `memory` (all RAM if none is given)."""

    def __init__(self, memory: np.recarray | None = None):
        self.ram = np.zeros(0x10000, np.uint8)
        self.maps = state.ram_map() if memory is None else memory
        self.events = state.event_buffer(64)
        self.cpus = state.cpu_state()
        self.cpu = self.cpus[0]

    def load(self, source: str) -> dict[str, int]:
        """Assemble a program into the RAM and go to it."""
        address, code, names = assemble(source)
        self.ram[address : address + len(code)] = np.frombuffer(code, np.uint8)
        self.cpu.pc = address
        return names

    def run(self, until: int) -> int:
        return int(kernel.run_flat(self.cpu, self.ram, self.maps[0], OPCODES, self.events, until))

    def step(self) -> int:
        """Run one instruction (or one interrupt)."""
        return self.run(int(self.cpu.cycle) + 1)

    def log(self) -> list[tuple[int, int, int]]:
        return self.events[: self.cpu.filled].tolist()

    def registers(self) -> tuple[int, ...]:
        return tuple(int(self.cpu[name]) for name in REGISTERS)


class Bus:
    """The core that runs single cycles, on RAM; lines change by a schedule."""

    def __init__(self) -> None:
        self.ram = np.zeros(0x10000, np.uint8)
        self.cpus = state.cpu_state()
        self.cpu = self.cpus[0]
        self.accesses: list[tuple[str, int, int]] = []

    def load(self, source: str) -> dict[str, int]:
        address, code, names = assemble(source)
        self.ram[address : address + len(code)] = np.frombuffer(code, np.uint8)
        kernel.begin_at(self.cpu, address)
        return names

    def cycle(self, irq: int = 0, nmi: int = 0, stall: int = 0) -> None:
        """One bus cycle with the lines as given."""
        cpu = self.cpu
        cpu.irq, cpu.nmi, cpu.stall = irq, nmi, stall
        address = int(cpu.address)
        if cpu.writing:
            self.ram[address] = cpu.output
            data = int(cpu.output)
        else:
            data = int(self.ram[address])
        self.accesses.append(("W" if cpu.writing else "R", address, data))
        kernel.clock_cpu(cpu, OPCODES, STEPS, data)

    def run(self, cycles: int) -> None:
        kernel.run_bus(self.cpu, self.ram, OPCODES, STEPS, int(self.cpu.cycle) + cycles)
