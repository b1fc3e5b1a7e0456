"""Public 6502 and 6510 test programs on our 6510, in the small C64 of `harness`.

Needs ``--testprogs DIR``, a checkout of VICE-testprogs: Klaus Dormann's functional test, Wolfgang Lorenz' suite,
Acid800, the decimal mode, 64doc and unstable opcode programs, interrupts during DMA against dumps of a real C64.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sidlearn.cpu import kernel, state
from sidlearn.cpu.opcodes import opcode_records
from tests.accuracy.harness import Listed, boot, listed, run_program, sys_address

FOLDERS = ("CPU/", "general/Lorenz-2.15/src", "interrupts/")

PLAIN_CIA = "the harness has no port B outputs, no write pipeline and no bugs of the 6526"
FAILS = {
    **dict.fromkeys(("cia1pb6.prg", "cia1pb7.prg", "cia2pb6.prg", "cia2pb7.prg"), PLAIN_CIA),
    **dict.fromkeys(("cia1ta.prg", "cia1tb.prg", "cia2ta.prg", "cia2tb.prg", "cia1tab.prg"), PLAIN_CIA),
    **dict.fromkeys(("cia1tanew.prg", "cia1tbnew.prg", "cia2tanew.prg", "cia2tbnew.prg", "cia1tabnew.prg"), PLAIN_CIA),
    **dict.fromkeys(("imr.prg", "imrnew.prg", "flipos.prg"), PLAIN_CIA),
    **dict.fromkeys(("cia-int-irq.prg", "cia-int-irq-new.prg", "cia-int-nmi.prg", "cia-int-nmi-new.prg"), PLAIN_CIA),
    "irq-ack-vicii.prg": "the harness' raster interrupt has no delays inside the line",
    "ackraster.prg": "the harness' raster interrupt has no delays inside the line",
}


def usable(test: Listed) -> bool:
    machine_is_ours = not {"vicii-ntsc", "vicii-ntscold", "dtv", "c128"} & set(test.options)
    return test.kind == "exitcode" and test.program.endswith(".prg") and machine_is_ours


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.getoption("--testprogs")
    if "test" not in metafunc.fixturenames:
        return
    rows = []
    for start in FOLDERS if folder else ():
        for test in filter(usable, listed(Path(folder), start)):
            reason = FAILS.get(test.program)
            marks = [pytest.mark.slow] + ([pytest.mark.xfail(reason=reason)] if reason else [])
            cia = "-new" if "cia-new" in test.options else ""
            rows.append(pytest.param(test, marks=marks, id=f"{test.folder}/{test.program}{cia}"))
    metafunc.parametrize("test", rows)


def test_program_passes(testprogs, test):
    result = run_program(test.path(testprogs), "6581", test.limit, new_cias="cia-new" in test.options)
    if "expect:timeout" in test.options:
        assert result.reason in ("jam", "time is over")
    else:
        assert result.passed, result.reason


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
