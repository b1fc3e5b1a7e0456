"""The 6510 twice, from the same table of opcodes: whole instructions for speed, single bus cycles for everything else.

Both cores share what an operation does (`operate`); they differ in how they reach memory. Everything the compiled code
calls stands in this file; state comes in as records of `sidlearn.cpu.state`, tables as records of
`sidlearn.cpu.opcodes` and `sidlearn.cpu.microcode`. Nothing is checked here.

Sources: MOS MCS6500 Microcomputer Family Programming and Hardware Manuals (1976); "NMOS 6510 Unintended Opcodes: No
More Secrets" (groepaz, 2021); decimal mode: Bruce Clark, "Decimal Mode" (6502.org).
"""

from __future__ import annotations

import numpy as np

from sidlearn._kernel import inline_kernel, kernel
from sidlearn.cpu.microcode import (
    DECODE,
    FETCH,
    FIRST_FETCH,
    FIX,
    FIX_PC,
    HIGH,
    HIGH_X,
    HIGH_Y,
    INDEX_X,
    INDEX_Y,
    JUMP,
    JUMP_LOW,
    KEEP,
    LOW,
    NEXT_PC,
    NOTHING,
    POINTER,
    POINTER_LOW,
    POINTER_X,
    PULL_STACK,
    READ_BASE,
    READ_PC,
    READ_POINTER,
    READ_STACK,
    SET_P,
    STACK_STORE,
    STEPS,
    STOP,
    STORE,
    TAKE,
    TEST,
    VALUE_HIGH,
    VALUE_LOW,
    VALUE_P,
    VECTOR,
    VECTOR_JUMP,
)
from sidlearn.cpu.opcodes import (
    ABSOLUTE,
    ABSOLUTE_X,
    ABSOLUTE_Y,
    ACCUMULATOR,
    ADC,
    ALR,
    ANC,
    AND,
    ANE,
    ARR,
    ASL,
    BIT,
    BRANCH,
    BREAK,
    BRK,
    CARRY,
    CLC,
    CLD,
    CLI,
    CLV,
    CMP,
    CPX,
    CPY,
    DCP,
    DEC,
    DECIMAL,
    DEX,
    DEY,
    EOR,
    FLOW,
    IMMEDIATE,
    INC,
    INDEXED_INDIRECT,
    INDIRECT,
    INDIRECT_INDEXED,
    INTERRUPT,
    INX,
    INY,
    ISC,
    JMP,
    JSR,
    LAS,
    LAX,
    LDA,
    LDX,
    LDY,
    LSR,
    LXA,
    MODIFY,
    NEGATIVE,
    ORA,
    OVERFLOW,
    PHA,
    PHP,
    PLA,
    PLP,
    PULL,
    PUSH,
    READ,
    REGISTER,
    RELATIVE,
    RLA,
    ROL,
    ROR,
    RRA,
    RTI,
    RTS,
    SAX,
    SBC,
    SBX,
    SEC,
    SED,
    SEI,
    SHA,
    SHX,
    SHY,
    SLO,
    SRE,
    STA,
    STX,
    STY,
    TAS,
    TAX,
    TAY,
    TSX,
    TXA,
    TXS,
    TYA,
    UNUSED,
    WRITE,
    ZERO,
    ZERO_PAGE_X,
    ZERO_PAGE_Y,
)
from sidlearn.cpu.state import (
    FULL,
    IO,
    IO_BASE,
    JAMMED,
    KEEP_WRITE,
    LOG_WRITE,
    RAM,
    REACHED,
    READS_IO,
    ROM,
    STOP_READ,
    STOP_WRITE,
    TRAP_ALWAYS,
    TRAPPED,
    WRITES_IO,
)

STACK = 0x100
NMI_VECTOR, IRQ_VECTOR = 0xFFFA, 0xFFFE
INTERRUPT_CYCLES = 7
BRK_OPCODE = 0x00

ANE_CONSTANT = 0xEF
LXA_CONSTANT = 0xEE
"""What the open bus inside the chip adds to A in ANE and LXA. It differs from chip to chip and with temperature; these
are the values most often seen. Source: "No More Secrets"."""

PORT_PULLED_UP = 0x17
"""Port pins that read as 1 while they are inputs: the three banking lines and the cassette switch.
Source: C64 schematic 250407."""

PORT_FLOATING = 0xC8
"""Port pins that keep their last output for a while when they become inputs. Source: Lorenz test suite, cpuport."""

PORT_FADE_CYCLES = 0x2A000
"""For how long: $24000 to $30000 cycles on one C64. Source: VICE test program delaytime, CPU/cpuport/readme.txt."""


# --- Status register ---------------------------------------------------------------------------------------------


@inline_kernel
def result_flags(p, value):
    """N and Z of an 8-bit result."""
    return p & ~(NEGATIVE | ZERO) | value & NEGATIVE | (ZERO if value == 0 else 0)


@inline_kernel
def pushed(p):
    """The status register as an instruction pushes it."""
    return p | BREAK | UNUSED


@inline_kernel
def pulled(value):
    """The status register from what was pushed."""
    return value & ~BREAK | UNUSED


# --- Arithmetic --------------------------------------------------------------------------------------------------


@kernel
def add(p, a, value):
    """A + value + C; gives P and A. Decimal mode: Z comes from the binary sum, N and V from the half corrected one."""
    carry = p & CARRY
    total = a + value + carry
    if not p & DECIMAL:
        overflow = (a ^ total) & (value ^ total) & 0x80
        p = p & ~(CARRY | OVERFLOW) | total >> 8 | overflow >> 1
        return result_flags(p, total & 0xFF), total & 0xFF
    low = (a & 0xF) + (value & 0xF) + carry
    if low > 9:
        low = (low + 6 & 0xF) + 0x10
    high = (a & 0xF0) + (value & 0xF0) + low
    overflow = (a ^ high) & (value ^ high) & 0x80
    p = p & ~(CARRY | OVERFLOW | ZERO | NEGATIVE) | overflow >> 1 | high & NEGATIVE | (0 if total & 0xFF else ZERO)
    if high > 0x9F:
        high += 0x60
    return p | (CARRY if high > 0xFF else 0), high & 0xFF


@kernel
def subtract(p, a, value):
    """A - value - not C; gives P and A. In decimal mode the flags are those of the binary difference."""
    borrow = 1 - (p & CARRY)
    total = a - value - borrow
    overflow = (a ^ value) & (a ^ total) & 0x80
    flags = result_flags(p & ~(CARRY | OVERFLOW) | (CARRY if total >= 0 else 0) | overflow >> 1, total & 0xFF)
    if not p & DECIMAL:
        return flags, total & 0xFF
    low = (a & 0xF) - (value & 0xF) - borrow
    if low < 0:
        low = (low - 6 & 0xF) - 0x10
    high = (a & 0xF0) - (value & 0xF0) + low
    if high < 0:
        high -= 0x60
    return flags, high & 0xFF


@inline_kernel
def compare(p, register, value):
    """Flags of register - value."""
    return result_flags(p & ~CARRY | (CARRY if register >= value else 0), register - value & 0xFF)


@inline_kernel
def shift_left(p, value, carry):
    """Value shifted left with `carry` coming in; gives P and the result."""
    result = (value << 1 | carry) & 0xFF
    return result_flags(p & ~CARRY | value >> 7, result), result


@inline_kernel
def shift_right(p, value, carry):
    """Value shifted right with `carry` coming in; gives P and the result."""
    result = value >> 1 | carry << 7
    return result_flags(p & ~CARRY | value & CARRY, result), result


@kernel
def and_rotate(p, a, value):
    """ARR: AND, then ROR through part of the adder, which shows in the flags and corrects digits in decimal mode."""
    both = a & value
    result = both >> 1 | (p & CARRY) << 7
    if not p & DECIMAL:
        flags = result_flags(p & ~(CARRY | OVERFLOW), result)
        return flags | result >> 6 & CARRY | (result ^ result << 1) & OVERFLOW, result
    flags = p & ~(CARRY | OVERFLOW | ZERO | NEGATIVE) | (p & CARRY) << 7 | (0 if result else ZERO)
    flags |= (both ^ result) & OVERFLOW
    if (both & 0xF) + (both & 1) > 5:
        result = result & 0xF0 | result + 6 & 0xF
    if (both & 0xF0) + (both & 0x10) > 0x50:
        result = result + 0x60 & 0xFF
        flags |= CARRY
    return flags, result


@inline_kernel
def operate(operation, a, x, y, sp, p, value):
    """What an operation does inside the chip.

    `value` is what was read; for operations on A and pushes it is A. Gives the registers and the value to write.
    """
    if operation == LDA:
        a = value
        p = result_flags(p, a)
    elif operation == LDX:
        x = value
        p = result_flags(p, x)
    elif operation == LDY:
        y = value
        p = result_flags(p, y)
    elif operation == LAX:
        a = x = value
        p = result_flags(p, a)
    elif operation == STA:
        value = a
    elif operation == STX:
        value = x
    elif operation == STY:
        value = y
    elif operation in (SAX, SHA):
        value = a & x
    elif operation == SHX:
        value = x
    elif operation == SHY:
        value = y
    elif operation == TAS:
        value = sp = a & x
    elif operation == ADC:
        p, a = add(p, a, value)
    elif operation == SBC:
        p, a = subtract(p, a, value)
    elif operation == AND:
        a &= value
        p = result_flags(p, a)
    elif operation == ORA:
        a |= value
        p = result_flags(p, a)
    elif operation == EOR:
        a ^= value
        p = result_flags(p, a)
    elif operation == CMP:
        p = compare(p, a, value)
    elif operation == CPX:
        p = compare(p, x, value)
    elif operation == CPY:
        p = compare(p, y, value)
    elif operation == BIT:
        p = p & ~(NEGATIVE | OVERFLOW | ZERO) | value & (NEGATIVE | OVERFLOW) | (0 if a & value else ZERO)
    elif operation == ASL:
        p, value = shift_left(p, value, 0)
    elif operation == ROL:
        p, value = shift_left(p, value, p & CARRY)
    elif operation == LSR:
        p, value = shift_right(p, value, 0)
    elif operation == ROR:
        p, value = shift_right(p, value, p & CARRY)
    elif operation == INC:
        value = value + 1 & 0xFF
        p = result_flags(p, value)
    elif operation == DEC:
        value = value - 1 & 0xFF
        p = result_flags(p, value)
    elif operation == INX:
        x = x + 1 & 0xFF
        p = result_flags(p, x)
    elif operation == INY:
        y = y + 1 & 0xFF
        p = result_flags(p, y)
    elif operation == DEX:
        x = x - 1 & 0xFF
        p = result_flags(p, x)
    elif operation == DEY:
        y = y - 1 & 0xFF
        p = result_flags(p, y)
    elif operation == TAX:
        x = a
        p = result_flags(p, x)
    elif operation == TAY:
        y = a
        p = result_flags(p, y)
    elif operation == TXA:
        a = x
        p = result_flags(p, a)
    elif operation == TYA:
        a = y
        p = result_flags(p, a)
    elif operation == TSX:
        x = sp
        p = result_flags(p, x)
    elif operation == TXS:
        sp = x
    elif operation == PHA:
        value = a
    elif operation == PHP:
        value = pushed(p)
    elif operation == PLA:
        a = value
        p = result_flags(p, a)
    elif operation == PLP:
        p = pulled(value)
    elif operation == CLC:
        p &= ~CARRY
    elif operation == SEC:
        p |= CARRY
    elif operation == CLI:
        p &= ~INTERRUPT
    elif operation == SEI:
        p |= INTERRUPT
    elif operation == CLD:
        p &= ~DECIMAL
    elif operation == SED:
        p |= DECIMAL
    elif operation == CLV:
        p &= ~OVERFLOW
    elif operation == SLO:
        p, value = shift_left(p, value, 0)
        a |= value
        p = result_flags(p, a)
    elif operation == RLA:
        p, value = shift_left(p, value, p & CARRY)
        a &= value
        p = result_flags(p, a)
    elif operation == SRE:
        p, value = shift_right(p, value, 0)
        a ^= value
        p = result_flags(p, a)
    elif operation == RRA:
        p, value = shift_right(p, value, p & CARRY)
        p, a = add(p, a, value)
    elif operation == DCP:
        value = value - 1 & 0xFF
        p = compare(p, a, value)
    elif operation == ISC:
        value = value + 1 & 0xFF
        p, a = subtract(p, a, value)
    elif operation == ANC:
        a &= value
        p = result_flags(p & ~CARRY | a >> 7, a)
    elif operation == ALR:
        p, a = shift_right(p, a & value, 0)
    elif operation == ARR:
        p, a = and_rotate(p, a, value)
    elif operation == SBX:
        both = a & x
        x = both - value & 0xFF
        p = compare(p, both, value)
    elif operation == LAS:
        sp &= value
        a = x = sp
        p = result_flags(p, a)
    elif operation == ANE:
        a = (a | ANE_CONSTANT) & x & value
        p = result_flags(p, a)
    elif operation == LXA:
        a = x = (a | LXA_CONSTANT) & value
        p = result_flags(p, a)
    return a, x, y, sp, p, value


# --- The port at $00 and $01 -------------------------------------------------------------------------------------


@kernel
def port_pins(cpu):
    """What $01 reads as."""
    inputs = PORT_PULLED_UP
    if cpu.cycle < cpu.port_fade:
        inputs |= cpu.port_charge
    return cpu.port_data & cpu.port_direction | inputs & ~cpu.port_direction


@kernel
def port_setting(cpu):
    """Setting of the memory map: LORAM, HIRAM and CHAREN, pulled up while they are inputs."""
    return (cpu.port_data | ~cpu.port_direction) & 7


@kernel
def read_port(cpu, address):
    """Read $00 or $01."""
    return port_pins(cpu) if address else cpu.port_direction


@kernel
def write_port(cpu, ram, address, value):
    """Write $00 or $01. Where the RAM would show them, it holds what the CPU reads there."""
    outputs = cpu.port_direction & PORT_FLOATING
    cpu.port_charge = cpu.port_charge & ~outputs | cpu.port_data & outputs
    if address:
        cpu.port_data = value
    else:
        if outputs & ~value:
            cpu.port_fade = cpu.cycle + PORT_FADE_CYCLES
        cpu.port_direction = value
    ram[0] = cpu.port_direction
    ram[1] = port_pins(cpu)


@inline_kernel
def byte(array, address):
    """One byte as a signed whole number."""
    return np.int64(array[address])


# --- Whole instructions --------------------------------------------------------------------------------------------


@inline_kernel
def look(ram, memory, bank, address):
    """Read without stopping: opcodes, operands, pointers and vectors."""
    source = memory.pages[bank + (address >> 8)]
    if source == RAM:
        return byte(ram, address)
    if source == ROM:
        return byte(memory.rom, address)
    return byte(memory.io, address - IO_BASE)


@kernel
def write_io(cpu, memory, events, address, before, value, modify):
    """Write to a chip; reads before writes back (`modify`) put the old value on the bus first. True: stop after it."""
    hook = memory.hooks[address - IO_BASE]
    if hook & LOG_WRITE:
        if modify:
            put_event(cpu, events, cpu.access_cycle - 1, address, before)
        put_event(cpu, events, cpu.access_cycle, address, value)
    if hook & KEEP_WRITE:
        memory.io[address - IO_BASE] = value
    return hook & STOP_WRITE != 0


@kernel
def put_event(cpu, events, cycle, address, value):
    """Add one write to the log."""
    event = events[cpu.filled]
    event.cycle, event.address, event.value = cycle, address, value
    cpu.filled += 1


@kernel
def run_flat(cpu, ram, memory, opcodes, events, until):
    """Run whole instructions until `until` cycles have passed or something needs the caller.

    `cpu.irq` and `cpu.nmi_latched` are looked at before every instruction; the caller ends a run two cycles after a
    line changes, when the instruction that could not see it any more is over. Dummy accesses are left out, except for
    the double write of read-modify-write instructions to chips. Pins of the port that float lose their charge between
    runs only.

    Parameters
    ----------
    cpu : record of `CPU_DTYPE`
    ram : ndarray, uint8, shape (65536,)
    memory : record of `MAP_DTYPE`
    opcodes : recarray of `OPCODE_DTYPE`, shape (256,)
    events : recarray of `EVENT_DTYPE`, at least 2
        Writes to chips go here from `cpu.filled` on.
    until : int
        In cycles of `cpu.cycle`.

    Returns
    -------
    status : int
        `REACHED`; `TRAPPED` before the instruction at `cpu.pc`; `JAMMED`; `READS_IO`: the instruction at `cpu.pc` reads
        `cpu.address` in the access that ends at `cpu.access_cycle`, call again with the value in `memory.io` and
        `cpu.answered` set; `WRITES_IO` after a write that the caller wants to see; `FULL`: no room for more events.
    """
    a, x, y, sp, p, pc = cpu.a, cpu.x, cpu.y, cpu.sp, cpu.p, cpu.pc
    cycle = cpu.cycle
    bank = port_setting(cpu) << 8
    if cpu.port_fade and cycle >= cpu.port_fade:
        ram[1] = port_pins(cpu)
        cpu.port_fade = 0
    lines = cpu.irq | cpu.nmi_latched
    mask = p ^ cpu.flag_late  # the interrupt flag as the end of the last instruction saw it
    room = len(events) - 2
    status = REACHED if cpu.filled <= room else FULL
    if status == FULL:
        until = cycle
    while cycle < until:
        if lines and (cpu.nmi_latched or not mask & INTERRUPT):
            ram[STACK + sp] = pc >> 8
            ram[STACK + (sp - 1 & 0xFF)] = pc & 0xFF
            ram[STACK + (sp - 2 & 0xFF)] = p & ~BREAK | UNUSED
            sp = sp - 3 & 0xFF
            p |= INTERRUPT
            vector = NMI_VECTOR if cpu.nmi_latched else IRQ_VECTOR
            pc = look(ram, memory, bank, vector) | look(ram, memory, bank, vector + 1) << 8
            cpu.nmi_latched = 0
            lines = cpu.irq
            mask = p
            cycle += INTERRUPT_CYCLES
            continue
        source = memory.pages[bank + (pc >> 8)]
        trap = memory.traps[pc]
        if trap and (trap == TRAP_ALWAYS or source == ROM):
            status = TRAPPED
            break
        if source == RAM:
            opcode = byte(ram, pc)
            low = byte(ram, pc + 1 & 0xFFFF)
            high = byte(ram, pc + 2 & 0xFFFF)
        else:
            opcode = look(ram, memory, bank, pc)
            low = look(ram, memory, bank, pc + 1 & 0xFFFF)
            high = look(ram, memory, bank, pc + 2 & 0xFFFF)
        row = opcodes[opcode]
        operation, mode, kind = int(row.operation), int(row.mode), int(row.kind)
        cycles = int(row.cycles)
        following = pc + 1 + int(row.operand_bytes) & 0xFFFF
        base = address = low
        if mode == ABSOLUTE:
            base = address = low | high << 8
        elif mode == ABSOLUTE_X:
            base = low | high << 8
            address = base + x & 0xFFFF
        elif mode == ABSOLUTE_Y:
            base = low | high << 8
            address = base + y & 0xFFFF
        elif mode == ZERO_PAGE_X:
            address = low + x & 0xFF
        elif mode == ZERO_PAGE_Y:
            address = low + y & 0xFF
        elif mode == INDEXED_INDIRECT:
            address = byte(ram, low + x & 0xFF) | byte(ram, low + x + 1 & 0xFF) << 8
            base = address
        elif mode == INDIRECT_INDEXED:
            base = byte(ram, low) | byte(ram, low + 1 & 0xFF) << 8
            address = base + y & 0xFFFF
        elif mode == IMMEDIATE:
            base = address = pc + 1 & 0xFFFF
        elif mode == RELATIVE:
            address = following + (low ^ 0x80) - 0x80 & 0xFFFF
            base = following
        crossed = (base ^ address) & 0xFF00
        if crossed:
            cycles += int(row.page_cycle)

        if kind == BRANCH:
            if p & int(row.flag) == int(row.wanted):
                cycles += 2 if crossed else 1
                following = address
            pc = following
            cycle += cycles
            mask = p
            continue

        value = a
        if kind in (READ, MODIFY):
            source = memory.pages[bank + (address >> 8)]
            if mode == IMMEDIATE:
                value = low
            elif source == RAM:
                value = byte(ram, address)
            elif source == ROM:
                value = byte(memory.rom, address)
            else:
                if memory.hooks[address - IO_BASE] & STOP_READ and not cpu.answered:
                    cpu.address = address
                    cpu.access_cycle = cycle + cycles - (2 if kind == MODIFY else 0)
                    status = READS_IO
                    break
                cpu.answered = 0
                value = byte(memory.io, address - IO_BASE)
        elif kind == PULL:
            sp = sp + 1 & 0xFF
            value = byte(ram, STACK + sp)
        elif kind == FLOW:
            if operation == JMP:
                if mode == INDIRECT:
                    target = low | high << 8
                    following = look(ram, memory, bank, target)
                    following |= look(ram, memory, bank, target & 0xFF00 | target + 1 & 0xFF) << 8
                else:
                    following = address
            elif operation == JSR:
                ram[STACK + sp] = (pc + 2 & 0xFFFF) >> 8
                ram[STACK + (sp - 1 & 0xFF)] = pc + 2 & 0xFF
                sp = sp - 2 & 0xFF
                following = address
            elif operation == RTS:
                following = byte(ram, STACK + (sp + 1 & 0xFF)) | byte(ram, STACK + (sp + 2 & 0xFF)) << 8
                following = following + 1 & 0xFFFF
                sp = sp + 2 & 0xFF
            elif operation == RTI:
                p = pulled(byte(ram, STACK + (sp + 1 & 0xFF)))
                following = byte(ram, STACK + (sp + 2 & 0xFF)) | byte(ram, STACK + (sp + 3 & 0xFF)) << 8
                sp = sp + 3 & 0xFF
            elif operation == BRK:
                ram[STACK + sp] = (pc + 2 & 0xFFFF) >> 8
                ram[STACK + (sp - 1 & 0xFF)] = pc + 2 & 0xFF
                ram[STACK + (sp - 2 & 0xFF)] = pushed(p)
                sp = sp - 3 & 0xFF
                p |= INTERRUPT
                following = look(ram, memory, bank, IRQ_VECTOR) | look(ram, memory, bank, IRQ_VECTOR + 1) << 8
            else:
                status = JAMMED
                break
            pc = following
            cycle += cycles
            mask = p
            continue

        before = value
        mask = p
        a, x, y, sp, p, value = operate(operation, a, x, y, sp, p, value)
        if not row.late_interrupt_flag:
            mask = p
        pc = following
        cycle += cycles
        if kind in (WRITE, MODIFY):
            if row.high_byte_store:
                value &= (base >> 8) + 1
                if crossed:
                    address = address & 0xFF | value << 8
            if memory.pages[bank + (address >> 8)] == IO:
                cpu.access_cycle = cycle
                cpu.address = address
                if write_io(cpu, memory, events, address, before, value, kind == MODIFY):
                    status = WRITES_IO
                    break
                if cpu.filled > room:
                    status = FULL
                    break
            elif address > 1:
                ram[address] = value
            else:
                cpu.cycle = cycle
                write_port(cpu, ram, address, value)
                bank = port_setting(cpu) << 8
        elif kind == PUSH:
            ram[STACK + sp] = value
            sp = sp - 1 & 0xFF
        elif mode == ACCUMULATOR:
            a = value
    cpu.a, cpu.x, cpu.y, cpu.sp, cpu.p, cpu.pc = a, x, y, sp, p, pc
    cpu.cycle = cycle
    cpu.flag_late = (p ^ mask) & INTERRUPT
    return status


# --- Single bus cycles ---------------------------------------------------------------------------------------------


@kernel
def begin_at(cpu, address):
    """Put the fetch of the opcode at `address` on the bus, as a reset does when it is over."""
    cpu.step = FIRST_FETCH
    cpu.address = address
    cpu.pc = address + 1 & 0xFFFF
    cpu.writing = 0
    cpu.forced = cpu.due = cpu.jammed = cpu.stalled = 0


@kernel
def look_at_interrupts(cpu):
    """What the interrupt logic sees at the end of a cycle: NMI by its edge, IRQ by its level."""
    if cpu.nmi and not cpu.nmi_before:
        cpu.nmi_latched = 1
    cpu.nmi_before = cpu.nmi
    cpu.due = 1 if cpu.nmi_latched or (cpu.irq and not cpu.p & INTERRUPT) else 0


@kernel
def hold(cpu, opcodes, steps, due):
    """A cycle that RDY repeats: interrupts are still looked at, CLI and SEI have done their work after the first turn.

    Source: readings of a real C64 in the VICE test programs interrupts/irqdma.
    """
    cpu.stalled = 1
    if steps[cpu.step].operate:
        operation = opcodes[cpu.opcode].operation
        if operation == CLI:
            cpu.p &= ~INTERRUPT
        elif operation == SEI:
            cpu.p |= INTERRUPT
    look_at_interrupts(cpu)
    cpu.due |= due


@kernel
def clock_cpu(cpu, opcodes, steps, data):
    """End the bus cycle under way and put the next one on the bus.

    Between calls `cpu.address`, `cpu.writing` and `cpu.output` say what the cycle under way does. The machine sets
    `cpu.irq`, `cpu.nmi` and `cpu.stall` (RDY) as they stand in that cycle, does the access, and calls.

    Parameters
    ----------
    cpu : record of `CPU_DTYPE`
        Set going by `begin_at`.
    opcodes : recarray of `OPCODE_DTYPE`, shape (256,)
    steps : recarray of `STEP_DTYPE`
    data : int
        What a read has given.
    """
    cpu.cycle += 1
    due = cpu.due  # interrupts count as they stood at the end of the second last cycle of an instruction
    nmi_latched = cpu.nmi_latched
    if cpu.stall and not cpu.writing:
        hold(cpu, opcodes, steps, due)
        return
    look_at_interrupts(cpu)
    index = cpu.step
    step = steps[index]
    action = int(step.action)
    index += 1
    value = data

    if action == NOTHING:
        pass
    elif action == DECODE:
        cpu.opcode = BRK_OPCODE if cpu.forced else data
        index = cpu.opcode * STEPS
    elif action == LOW:
        cpu.effective = data
        cpu.high = 1
    elif action == HIGH:
        cpu.effective |= data << 8
        cpu.high = data + 1 & 0xFF
    elif action in (HIGH_X, HIGH_Y):
        cpu.high = data + 1 & 0xFF
        whole = data << 8 | cpu.effective
        cpu.target = whole + (cpu.x if action == HIGH_X else cpu.y) & 0xFFFF
        cpu.effective = whole & 0xFF00 | cpu.target & 0xFF
        if cpu.effective == cpu.target and opcodes[cpu.opcode].page_cycle:
            index += 1
    elif action == INDEX_X:
        cpu.effective = cpu.effective + cpu.x & 0xFF
    elif action == INDEX_Y:
        cpu.effective = cpu.effective + cpu.y & 0xFF
    elif action == FIX:
        cpu.effective = cpu.target
    elif action == POINTER:
        cpu.pointer = data
    elif action == POINTER_X:
        cpu.pointer = cpu.pointer + cpu.x & 0xFF
    elif action == POINTER_LOW:
        cpu.effective = data
        cpu.pointer = cpu.pointer + 1 & 0xFF
    elif action == KEEP:
        cpu.value = data
    elif action == TEST:
        row = opcodes[cpu.opcode]
        if cpu.p & int(row.flag) == int(row.wanted):
            cpu.target = cpu.pc + (data ^ 0x80) - 0x80 & 0xFFFF
            cpu.branch_due = due
        else:
            index += 2
    elif action == TAKE:
        cpu.pc = cpu.pc & 0xFF00 | cpu.target & 0xFF
        if cpu.pc == cpu.target:
            index += 1
            due = cpu.branch_due  # the third cycle of a branch that stays in its page looks at no interrupts
    elif action == FIX_PC:
        cpu.pc = cpu.target
        due |= cpu.branch_due
    elif action == JUMP_LOW:
        cpu.pointer = data
        cpu.effective = cpu.effective & 0xFF00 | cpu.effective + 1 & 0xFF
    elif action == JUMP:
        cpu.pc = data << 8 | cpu.pointer
    elif action == VALUE_HIGH:
        cpu.value = cpu.pc >> 8
    elif action == VALUE_LOW:
        cpu.value = cpu.pc & 0xFF
    elif action == VALUE_P:
        cpu.value = cpu.p if cpu.forced else pushed(cpu.p)
    elif action == VECTOR:
        cpu.p |= INTERRUPT
        cpu.forced = 0
        cpu.effective = IRQ_VECTOR
        if nmi_latched:  # an NMI that comes up to the push of the low byte takes over any interrupt and BRK
            cpu.effective = NMI_VECTOR
            cpu.nmi_latched = 0
    elif action == VECTOR_JUMP:
        cpu.pc = data << 8 | cpu.pointer
        due = 0  # the first instruction of a handler always runs
    elif action == SET_P:
        cpu.p = pulled(data)
    elif action == STOP:
        cpu.jammed = 1
        index -= 1

    if step.operate:
        row = opcodes[cpu.opcode]
        kind = int(row.kind)
        if kind in (REGISTER, PUSH):
            value = cpu.a
        elif kind == MODIFY:
            value = cpu.value
        cpu.a, cpu.x, cpu.y, cpu.sp, cpu.p, cpu.value = operate(
            int(row.operation), cpu.a, cpu.x, cpu.y, cpu.sp, cpu.p, value
        )
        if row.mode == ACCUMULATOR:
            cpu.a = cpu.value
        elif row.high_byte_store:
            masked = cpu.value & cpu.high
            if cpu.effective >> 8 != cpu.high - 1 & 0xFF:
                cpu.effective = cpu.effective & 0xFF | masked << 8
            if not cpu.stalled:  # a stall in this cycle hides the high byte. Source: VICE test programs shxy, sha, shs
                cpu.value = masked
    cpu.stalled = 0

    bus = int(steps[index].bus)
    cpu.step = index
    cpu.writing = 0
    if bus == FETCH:
        cpu.forced = due
        cpu.address = cpu.pc
        cpu.pc = cpu.pc + 1 - due & 0xFFFF
    elif bus == NEXT_PC:
        cpu.address = cpu.pc
        cpu.pc = cpu.pc + 1 - cpu.forced & 0xFFFF
    elif bus == READ_PC:
        cpu.address = cpu.pc
    elif bus == READ_BASE:
        cpu.address = cpu.effective
    elif bus == READ_POINTER:
        cpu.address = cpu.pointer
    elif bus == READ_STACK:
        cpu.address = STACK + cpu.sp
    elif bus == PULL_STACK:
        cpu.sp = cpu.sp + 1 & 0xFF
        cpu.address = STACK + cpu.sp
    elif bus == STORE:
        cpu.address = cpu.effective
        cpu.output = cpu.value
        cpu.writing = 1
    elif bus == STACK_STORE:
        cpu.address = STACK + cpu.sp
        cpu.sp = cpu.sp - 1 & 0xFF
        cpu.output = cpu.value
        cpu.writing = 1
    else:
        cpu.address = 0xFFFF


@kernel
def run_bus(cpu, ram, opcodes, steps, until):
    """Run single cycles on plain RAM until `until` cycles have passed: the smallest machine around `clock_cpu`."""
    while cpu.cycle < until:
        data = cpu.output
        if cpu.writing:
            ram[cpu.address] = data
        else:
            data = byte(ram, cpu.address)
        clock_cpu(cpu, opcodes, steps, data)
