"""Public test programs for 6510, CIA and interrupts: each passes, or is a strict xfail with its reason.

Needs ``--testprogs DIR``, a checkout of VICE-testprogs. The table of all is `PROGRAMS.md`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sidlearn.cpu import kernel, state
from sidlearn.cpu.opcodes import opcode_records
from tests.accuracy.harness import boot, sys_address
from tests.accuracy.programs import programs


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.getoption("--testprogs")
    if "program" not in metafunc.fixturenames:
        return
    rows = []
    for program in programs(Path(folder)) if folder else []:
        fails = [pytest.mark.xfail(reason=program.reason, strict=True)] if program.reason else []
        rows.append(pytest.param(program, marks=[pytest.mark.slow, *fails], id=program.name))
    metafunc.parametrize("program", rows)


def test_program_passes(testprogs, program):
    passed, why = program.run(testprogs)
    assert passed, why


def test_functional_test_passes_on_the_core_for_whole_instructions(testprogs):
    program = (testprogs / "CPU/kdormann/6502_functional_test.prg").read_bytes()
    machine = boot("6581")
    cpu, memory = machine.cpu[0], state.memory_map()
    memory[0].rom[:] = machine.rom
    memory[0].hooks[0x7FF] = state.LOG_WRITE | state.STOP_WRITE
    start = program[0] | program[1] << 8
    machine.ram[start : start + len(program) - 2] = np.frombuffer(program[2:], np.uint8)
    cpu.pc = sys_address(program)
    events = state.event_buffer(8)
    status = kernel.run_flat(cpu, machine.ram, memory[0], opcode_records(), events, 180_000_000)
    assert (status, int(events[0]["value"])) == (state.WRITES_IO, 0)
