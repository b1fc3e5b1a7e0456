"""What every opcode does on the bus, cycle by cycle, derived from the opcode table.

A step is one bus cycle: what the address lines show (`FETCH` to `HALT`), what happens when the cycle ends (`NOTHING` to
`STOP`), and whether the operation itself takes place then. Every list ends with the fetch of the next opcode.

Source: MCS6500 Microcomputer Family Hardware Manual (1976), appendix A; "64doc" (John West, Marko Makela, 1994).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sidlearn._kept import kept
from sidlearn.cpu import opcodes as o

# What stands on the bus.
FETCH, NEXT_PC, READ_PC, READ_BASE, READ_POINTER, READ_STACK, PULL_STACK, STACK_STORE, STORE, HALT = range(10)

# What the end of the cycle does.
(
    NOTHING, DECODE, LOW, HIGH, HIGH_X, HIGH_Y, INDEX_X, INDEX_Y, FIX, POINTER, POINTER_X, POINTER_LOW, KEEP,
    TEST, TAKE, FIX_PC, JUMP_LOW, JUMP, VALUE_HIGH, VALUE_LOW, VALUE_P, VECTOR, VECTOR_JUMP, SET_P, STOP,
) = range(25)  # fmt: skip

STEPS = 8
"""Steps of one opcode, the next fetch included."""

FIRST_FETCH = 256 * STEPS
"""The step that a CPU begins with."""

Step = tuple[int, int]

_FETCH = (FETCH, DECODE)

# Cycles that find the address, the last one before the access left open where indexing may need a correction.
_ADDRESS: dict[int, list[Step]] = {
    o.ZERO_PAGE: [(NEXT_PC, LOW)],
    o.ZERO_PAGE_X: [(NEXT_PC, LOW), (READ_BASE, INDEX_X)],
    o.ZERO_PAGE_Y: [(NEXT_PC, LOW), (READ_BASE, INDEX_Y)],
    o.ABSOLUTE: [(NEXT_PC, LOW), (NEXT_PC, HIGH)],
    # FIX is left out by reads that cross no page
    o.ABSOLUTE_X: [(NEXT_PC, LOW), (NEXT_PC, HIGH_X), (READ_BASE, FIX)],
    o.ABSOLUTE_Y: [(NEXT_PC, LOW), (NEXT_PC, HIGH_Y), (READ_BASE, FIX)],
    o.INDEXED_INDIRECT: [
        (NEXT_PC, POINTER), (READ_POINTER, POINTER_X), (READ_POINTER, POINTER_LOW), (READ_POINTER, HIGH),
    ],
    o.INDIRECT_INDEXED: [
        (NEXT_PC, POINTER), (READ_POINTER, POINTER_LOW), (READ_POINTER, HIGH_Y), (READ_BASE, FIX),
    ],
}  # fmt: skip

_FLOW: dict[str, list[Step]] = {
    "JMP abs": [(NEXT_PC, POINTER), (READ_PC, JUMP)],
    "JMP ind": [(NEXT_PC, LOW), (NEXT_PC, HIGH), (READ_BASE, JUMP_LOW), (READ_BASE, JUMP)],
    "JSR abs": [
        (NEXT_PC, POINTER), (READ_STACK, VALUE_HIGH), (STACK_STORE, VALUE_LOW), (STACK_STORE, NOTHING), (READ_PC, JUMP),
    ],
    "RTS imp": [
        (READ_PC, NOTHING), (READ_STACK, NOTHING), (PULL_STACK, POINTER), (PULL_STACK, JUMP), (NEXT_PC, NOTHING),
    ],
    "RTI imp": [
        (READ_PC, NOTHING), (READ_STACK, NOTHING), (PULL_STACK, SET_P), (PULL_STACK, POINTER), (PULL_STACK, JUMP),
    ],
    "BRK imp": [
        (NEXT_PC, VALUE_HIGH), (STACK_STORE, VALUE_LOW), (STACK_STORE, VALUE_P), (STACK_STORE, VECTOR),
        (READ_BASE, JUMP_LOW), (READ_BASE, VECTOR_JUMP),
    ],
    "JAM imp": [(READ_PC, NOTHING), (HALT, STOP)],
}  # fmt: skip


def steps_of(opcode: o.Opcode) -> tuple[list[Step], int]:
    """Return the cycles of an opcode behind its fetch, and the index of the one at whose end the operation happens.

    The index is -1 where the steps themselves are the whole operation (jumps, branches). Branches and indexed reads may
    leave out their last cycles.
    """
    if opcode.kind == o.REGISTER:
        return [(READ_PC, NOTHING)], 0
    if opcode.kind == o.BRANCH:
        return [(NEXT_PC, TEST), (READ_PC, TAKE), (READ_PC, FIX_PC)], -1
    if opcode.kind == o.PUSH:
        return [(READ_PC, NOTHING), (STACK_STORE, NOTHING)], 0
    if opcode.kind == o.PULL:
        return [(READ_PC, NOTHING), (READ_STACK, NOTHING), (PULL_STACK, NOTHING)], 2
    if opcode.kind == o.FLOW:
        return _FLOW[f"{opcode.mnemonic} {opcode.mode.key}"], -1
    if opcode.mode.number == o.IMMEDIATE:
        return [(NEXT_PC, NOTHING)], 0
    steps = list(_ADDRESS[opcode.mode.number])
    if opcode.kind == o.READ:
        return [*steps, (READ_BASE, NOTHING)], len(steps)
    if opcode.kind == o.WRITE:
        return [*steps, (STORE, NOTHING)], len(steps) - 1
    return [*steps, (READ_BASE, KEEP), (STORE, NOTHING), (STORE, NOTHING)], len(steps) + 1


STEP_DTYPE = np.dtype([("bus", "i2"), ("action", "i2"), ("operate", "i2")])


@kept
def step_records() -> np.recarray:
    """Return the steps of all opcodes: recarray of `STEP_DTYPE`; those of opcode n begin at n * `STEPS`."""
    rows: list[tuple[int, int, int]] = []
    for opcode in o.OPCODES:
        steps, operates = steps_of(opcode)
        padded: Iterable[Step] = [*steps, *[_FETCH] * (STEPS - len(steps))]
        rows += [(*step, int(index == operates)) for index, step in enumerate(padded)]
    rows += [(*_FETCH, 0)] * (FIRST_FETCH + 1 - len(rows))
    records = np.array(rows, STEP_DTYPE).view(np.recarray)
    records.flags.writeable = False
    return records
