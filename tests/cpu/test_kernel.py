"""What both cores share, and the core that runs whole instructions."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import kernel as compiled
from sidlearn.cpu import kernel, state
from sidlearn.cpu.opcodes import (
    ADC,
    ARR,
    BREAK,
    CARRY,
    DECIMAL,
    INTERRUPT,
    MNEMONICS,
    NEGATIVE,
    OPCODES,
    OVERFLOW,
    READ,
    SBC,
    UNUSED,
    WRITE,
    ZERO,
)  # fmt: skip
from tests.cpu.machine import Flat
from tests.reference import arithmetic

BITS = {"N": NEGATIVE, "V": OVERFLOW, "Z": ZERO, "C": CARRY}


@compiled
def table(operation, p):
    """Result and P of an operation for every A and every operand: uint8 (256, 256, 2)."""
    out = np.zeros((256, 256, 2), np.uint8)
    for a in range(256):
        for value in range(256):
            result, _, _, _, flags, _ = kernel.operate(operation, a, 0, 0, 0, p, value)
            out[a, value, 0] = result
            out[a, value, 1] = flags
    return out


REFERENCE = {
    (ADC, 0): arithmetic.add_binary,
    (ADC, DECIMAL): arithmetic.add_decimal,
    (SBC, 0): arithmetic.subtract_binary,
    (SBC, DECIMAL): arithmetic.subtract_decimal,
    (ARR, 0): lambda a, value, carry: arithmetic.and_rotate(a, value, carry, 0),
    (ARR, DECIMAL): lambda a, value, carry: arithmetic.and_rotate(a, value, carry, 1),
}


@pytest.mark.parametrize("carry", [0, 1])
@pytest.mark.parametrize(("operation", "mode"), REFERENCE, ids=lambda v: MNEMONICS[v] if v in (ADC, SBC, ARR) else v)
def test_adder_agrees_with_the_digits_by_hand_for_all_operands(operation, mode, carry):
    start = UNUSED | mode | carry
    got = table(operation, start)
    for a in range(256):
        for value in range(256):
            result, flags = REFERENCE[operation, mode](a, value, carry)
            p = UNUSED | mode | sum(BITS[name] for name, is_set in flags.items() if is_set)
            assert tuple(got[a, value]) == (result, p), f"A={a:02X} operand={value:02X}"


def test_decimal_sums_of_decimal_digits_are_decimal_sums():
    for carry in (0, 1):
        got = table(ADC, UNUSED | DECIMAL | carry)
        for a in range(100):
            for value in range(100):
                result, flags = got[int(str(a), 16), int(str(value), 16)]
                total = a + value + carry
                assert int(f"{result:x}") == total % 100
                assert flags & CARRY == total // 100


# Documented operations in plain Python: (registers, operand) -> changed registers and the result that sets N and Z.
READS = {
    "LDA": lambda r, v: ({"a": v}, v), "LDX": lambda r, v: ({"x": v}, v), "LDY": lambda r, v: ({"y": v}, v),
    "AND": lambda r, v: ({"a": r["a"] & v}, r["a"] & v), "ORA": lambda r, v: ({"a": r["a"] | v}, r["a"] | v),
    "EOR": lambda r, v: ({"a": r["a"] ^ v}, r["a"] ^ v),
    "CMP": lambda r, v: ({"C": r["a"] >= v}, (r["a"] - v) % 256),
    "CPX": lambda r, v: ({"C": r["x"] >= v}, (r["x"] - v) % 256),
    "CPY": lambda r, v: ({"C": r["y"] >= v}, (r["y"] - v) % 256),
    "LAX": lambda r, v: ({"a": v, "x": v}, v),
    "ANC": lambda r, v: ({"a": r["a"] & v, "C": (r["a"] & v) > 127}, r["a"] & v),
    "ALR": lambda r, v: ({"a": (r["a"] & v) // 2, "C": (r["a"] & v) % 2}, (r["a"] & v) // 2),
    "SBX": lambda r, v: ({"x": (s := ((r["a"] & r["x"]) - v) % 256), "C": r["a"] & r["x"] >= v}, s),
    "LAS": lambda r, v: (dict.fromkeys(("a", "x", "sp"), r["sp"] & v), r["sp"] & v),
}  # fmt: skip
MODIFIES = {
    "ASL": lambda r, v: ({"C": v > 127}, v * 2 % 256), "LSR": lambda r, v: ({"C": v % 2}, v // 2),
    "ROL": lambda r, v: ({"C": v > 127}, v * 2 % 256 + r["C"]),
    "ROR": lambda r, v: ({"C": v % 2}, v // 2 + 128 * r["C"]),
    "INC": lambda r, v: ({}, (v + 1) % 256), "DEC": lambda r, v: ({}, (v - 1) % 256),
}  # fmt: skip
COMBINED = {"SLO": ("ASL", "ORA"), "RLA": ("ROL", "AND"), "SRE": ("LSR", "EOR"), "DCP": ("DEC", "CMP")}
STORES = {
    "STA": lambda r: r["a"], "STX": lambda r: r["x"], "STY": lambda r: r["y"], "SAX": lambda r: r["a"] & r["x"],
}  # fmt: skip


def expected(name: str, registers: dict[str, int], value: int) -> tuple[dict[str, int], int]:
    """Registers (with C, N, Z) after a documented operation, and the value that goes back to memory."""
    after = dict(registers)
    if name in STORES:
        return after, STORES[name](registers)
    if name in COMBINED:
        first, second = COMBINED[name]
        changed, value = MODIFIES[first](after, value)
        after |= changed
        changed, result = READS[second](after, value)
    elif name in MODIFIES:
        changed, result = MODIFIES[name](after, value)
        value = result
    else:
        changed, result = READS[name](after, value)
    after |= changed
    after["N"], after["Z"] = result >> 7, result == 0
    return {key: int(v) for key, v in after.items()}, value


@pytest.mark.parametrize("name", [*READS, *MODIFIES, *COMBINED, *STORES])
def test_operation_agrees_with_plain_python(name):
    random = np.random.default_rng(sum(name.encode()))
    flat = Flat()
    cpu = flat.cpu
    for opcode in (o for o in OPCODES if o.mnemonic == name and o.mode.key in ("imm", "abs", "aby", "acc")):
        for a, x, y, sp, p, value in random.integers(0, 256, (300, 6)).tolist():
            flat.ram[0x0200:0x0203] = opcode.number, 0x34, 0x12
            cpu.pc, cpu.a, cpu.x, cpu.y, cpu.sp, cpu.p = 0x0200, a, x, y, sp, p & ~BREAK | UNUSED
            address = {"imm": 0x0201, "aby": 0x1234 + y}.get(opcode.mode.key, 0x1234)
            flat.ram[address] = value
            before = {"a": a, "x": x, "y": y, "sp": sp, "C": p & CARRY, "N": p >> 7, "Z": (p & ZERO) >> 1}
            if opcode.mode.key == "acc":
                after, result = expected(name, before, a)
                after["a"] = result
            else:
                after, result = expected(name, before, value)
            assert flat.step() == state.REACHED
            got = {key: int(cpu[key]) for key in ("a", "x", "y", "sp")}
            got |= {"C": cpu.p & CARRY, "N": cpu.p >> 7, "Z": (cpu.p & ZERO) >> 1}
            assert got == after
            assert cpu.p & (INTERRUPT | DECIMAL | OVERFLOW | UNUSED) == (p | UNUSED) & 0x6C
            if opcode.mode.key != "acc":
                assert flat.ram[address] == result


# --- Cycles ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "cycles"),
    [
        ("LDX #1\n LDA $10FF,X", 2 + 5),
        ("LDX #1\n LDA $10FE,X", 2 + 4),
        ("LDX #1\n STA $10FE,X", 2 + 5),
        ("LDY #1\n LDA #$FF\n STA $20\n LDA ($20),Y", 2 + 2 + 3 + 6),
        ("LDX #1\n INC $10FF,X", 2 + 7),
        ("LDX #0\n BEQ *+2", 2 + 3),
        ("LDX #0\n BNE *+2", 2 + 2),
        ("* = $C0FB\n LDX #0\n BEQ *+2", 2 + 3),
        ("* = $C0FC\n LDX #0\n BEQ *+2", 2 + 3),
        ("* = $C0FB\n LDX #0\n BEQ *+3", 2 + 4),
        ("LDX #1\n BNE *-8", 2 + 4),
    ],
)
def test_cycles_of_crossed_pages_and_branches(source, cycles):
    flat = Flat()
    flat.load(source)
    instructions = source.count("\n") + 1 - source.count("* = ")
    for _ in range(instructions):
        flat.step()
    assert flat.cpu.cycle == cycles


def test_indirect_jump_takes_both_bytes_from_one_page():
    flat = Flat()
    flat.load("JMP ($12FF)")
    flat.ram[0x12FF], flat.ram[0x1200], flat.ram[0x1300] = 0x34, 0x56, 0x78
    flat.step()
    assert flat.cpu.pc == 0x5634


def test_zero_page_pointers_and_indexing_wrap():
    flat = Flat()
    flat.load("LDX #$FF\n LDA ($00,X)\n LDA $80,X\n LDY #0\n LDA ($FF),Y")
    flat.ram[0xFF], flat.ram[0x00], flat.ram[0x7F] = 0x00, 0x30, 7
    flat.ram[0x3000] = 9
    flat.step(), flat.step()
    assert flat.cpu.a == 9
    flat.step()
    assert flat.cpu.a == 7
    flat.step(), flat.step()
    assert flat.cpu.a == 9


def test_stack_wraps_and_rts_comes_back_behind_jsr():
    flat = Flat()
    names = flat.load("LDX #0\n TXS\n JSR sub\nback: NOP\nsub: RTS")
    for _ in range(4):
        flat.step()
    assert (flat.cpu.pc, flat.cpu.sp) == (names["back"], 0)
    assert (flat.ram[0x100], flat.ram[0x1FF]) == (0xC0, 0x05)


def test_brk_pushes_the_address_two_behind_and_b():
    flat = Flat()
    flat.load("BRK")
    flat.ram[0xFFFE], flat.ram[0xFFFF] = 0x00, 0x20
    flat.cpu.p = UNUSED | CARRY
    flat.step()
    assert flat.cpu.pc == 0x2000
    assert flat.ram[0x1FD:0x200].tolist() == [UNUSED | CARRY | BREAK, 0x02, 0xC0]
    assert flat.cpu.p == UNUSED | CARRY | INTERRUPT


@pytest.mark.parametrize("opcode", [o for o in OPCODES if o.mnemonic == "JAM"], ids=lambda o: f"{o.number:02X}")
def test_jam_stops_for_good(opcode):
    flat = Flat()
    flat.ram[0xC000] = opcode.number
    flat.cpu.pc = 0xC000
    assert flat.run(1000) == state.JAMMED
    assert (flat.cpu.pc, flat.cpu.cycle) == (0xC000, 0)


def test_high_byte_stores_and_into_the_address_when_a_page_is_crossed():
    flat = Flat()
    flat.load("LDX #$55\n LDY #$10\n SHX $12F0,Y\n SHX $1280,Y")
    for _ in range(4):
        flat.step()
    value = 0x55 & 0x13
    assert flat.ram[value << 8] == value  # $1300, its high byte replaced
    assert flat.ram[0x1290] == value


# --- Interrupts --------------------------------------------------------------------------------------------------


def irq_machine(source: str) -> tuple[Flat, dict[str, int]]:
    flat = Flat()
    names = flat.load(source)
    flat.ram[0xFFFE], flat.ram[0xFFFF] = 0x00, 0x20
    flat.ram[0xFFFA], flat.ram[0xFFFB] = 0x00, 0x30
    flat.cpu.irq = 1
    return flat, names


def test_irq_waits_for_the_interrupt_flag():
    flat, _ = irq_machine("SEI\n NOP\n NOP")
    flat.cpu.p |= INTERRUPT
    for _ in range(3):
        flat.step()
    assert flat.cpu.pc == 0xC003


def test_irq_is_taken_one_instruction_after_cli_even_behind_sei():
    flat, names = irq_machine("CLI\n SEI\nnext: NOP")
    flat.cpu.p |= INTERRUPT
    flat.step(), flat.step()
    assert flat.cpu.pc == names["next"]
    flat.step()
    assert flat.cpu.pc == 0x2000
    assert flat.cpu.cycle == 2 + 2 + 7
    assert flat.ram[0x1FD] & (INTERRUPT | BREAK) == INTERRUPT  # SEI is over, B is clear


def test_the_delay_of_cli_survives_the_end_of_a_run():
    flat, _ = irq_machine("CLI\n NOP\n NOP")
    flat.cpu.p |= INTERRUPT
    assert flat.run(2) == state.REACHED
    flat.run(3)
    assert (flat.cpu.pc, flat.cpu.cycle) == (0xC002, 4)
    flat.run(5)
    assert flat.cpu.pc == 0x2000


def test_rti_lets_the_irq_in_at_once():
    flat, names = irq_machine("LDA #>end\n PHA\n LDA #<end\n PHA\n LDA #0\n PHA\n RTI\nend: NOP")
    flat.cpu.p |= INTERRUPT
    for _ in range(7):
        flat.step()
    assert flat.cpu.pc == names["end"]
    flat.step()
    assert flat.cpu.pc == 0x2000


def test_nmi_goes_before_irq_and_is_taken_once():
    flat, _ = irq_machine("NOP")
    flat.cpu.p = UNUSED
    flat.cpu.nmi_latched = 1
    flat.step()
    assert (flat.cpu.pc, flat.cpu.nmi_latched) == (0x3000, 0)
    flat.ram[0x3000] = 0xEA
    flat.step()
    assert flat.cpu.pc == 0x3001


# --- Chips, ROM and port -----------------------------------------------------------------------------------------


def c64(source: str, hooks: int = state.LOG_WRITE | state.KEEP_WRITE) -> Flat:
    flat = Flat(state.memory_map())
    flat.maps[0].hooks[:] = hooks
    flat.load(source)
    flat.ram[0], flat.ram[1] = 0x2F, 0x37
    return flat


def test_stores_to_the_sid_are_logged_with_the_end_of_their_last_cycle():
    flat = c64("LDA #15\n STA $D418\n LDX #1\n STX $D400")
    for _ in range(4):
        flat.step()
    assert flat.log() == [(6, 0xD418, 15), (12, 0xD400, 1)]
    assert flat.ram[0xD418] == 0


def test_read_modify_write_puts_the_old_value_on_the_bus_first():
    flat = c64("INC $D418")
    flat.maps[0].io[0x418] = 0x21
    flat.step()
    assert flat.log() == [(5, 0xD418, 0x21), (6, 0xD418, 0x22)]


def test_reads_of_chips_stop_and_go_on_with_the_answer():
    flat = c64("LDX #2\n LDA $D419,X\n LSR $D41B", state.STOP_READ | state.LOG_WRITE)
    assert flat.run(100) == state.READS_IO
    assert (flat.cpu.pc, flat.cpu.address, flat.cpu.access_cycle) == (0xC002, 0xD41B, 6)
    flat.maps[0].io[0x41B] = 0x81
    flat.cpu.answered = 1
    assert flat.run(100) == state.READS_IO
    assert (flat.cpu.a, flat.cpu.pc, flat.cpu.cycle, flat.cpu.access_cycle) == (0x81, 0xC005, 6, 10)
    flat.maps[0].io[0x41B] = 0x55
    flat.cpu.answered = 1
    assert flat.run(12) == state.REACHED
    assert flat.log() == [(11, 0xD41B, 0x55), (12, 0xD41B, 0x2A)]


def test_writes_that_the_caller_wants_to_see_stop_behind_the_instruction():
    flat = c64("STA $DC0D\n NOP", state.STOP_WRITE)
    assert flat.run(100) == state.WRITES_IO
    assert (flat.cpu.pc, flat.cpu.cycle, flat.cpu.address) == (0xC003, 4, 0xDC0D)


def test_a_full_log_stops_before_it_overflows():
    flat = c64("loop: STA $D418\n JMP loop")
    assert flat.run(1_000_000) == state.FULL
    assert len(flat.events) - 2 < flat.cpu.filled <= len(flat.events)
    flat.cpu.filled = 0
    assert flat.run(1_000_000) == state.FULL


def test_port_switches_rom_chips_and_ram():
    flat = c64("LDA $E000\n LDX #$35\n STX 1\n LDA $E000\n LDX #$34\n STX 1\n STA $D418\n LDA 1")
    flat.maps[0].rom[0xE000] = 0x11
    flat.ram[0xE000] = 0x22
    flat.step()
    assert flat.cpu.a == 0x11
    for _ in range(3):
        flat.step()
    assert flat.cpu.a == 0x22
    for _ in range(3):
        flat.step()
    assert flat.ram[0xD418] == 0x22
    assert flat.log() == []
    flat.step()
    assert flat.cpu.a == 0x34


def test_port_pins_that_are_inputs_read_their_pull_ups():
    flat = c64("LDA #0\n STA 1\n STA 0\n LDA 1")
    for _ in range(4):
        flat.step()
    assert flat.cpu.a == 0x17
    assert kernel.port_setting(flat.cpu) == 7


def test_unconnected_port_pins_keep_their_charge_for_a_while():
    flat = c64("LDA #$FF\n STA 0\n STA 1\n LDA #0\n STA 0\n STA 1\n LDA 1\n LDA 1")
    for _ in range(7):
        flat.step()
    assert flat.cpu.a == 0x17 | kernel.PORT_FLOATING
    assert kernel.read_port(flat.cpu, 1) == 0x17 | kernel.PORT_FLOATING
    flat.cpu.cycle += kernel.PORT_FADE_CYCLES
    flat.step()
    assert flat.cpu.a == 0x17
    assert kernel.read_port(flat.cpu, 1) == 0x17


def test_traps_stop_before_the_instruction_only_while_the_rom_is_in():
    flat = c64("JMP $FFD2")
    flat.maps[0].traps[0xFFD2] = state.TRAP_ROM
    assert flat.run(100) == state.TRAPPED
    assert (flat.cpu.pc, flat.cpu.cycle) == (0xFFD2, 3)
    flat.cpu.port_data = 0x35
    flat.ram[0xFFD2] = 0xEA
    assert flat.run(5) == state.REACHED
    flat.maps[0].traps[0xFFD3] = state.TRAP_ALWAYS
    assert flat.run(100) == state.TRAPPED


@pytest.mark.parametrize(
    ("setting", "basic", "io", "kernal"),
    [
        (0, "RAM", "RAM", "RAM"), (1, "RAM", "ROM", "RAM"), (2, "RAM", "ROM", "ROM"), (3, "ROM", "ROM", "ROM"),
        (4, "RAM", "RAM", "RAM"), (5, "RAM", "IO", "RAM"), (6, "RAM", "IO", "ROM"), (7, "ROM", "IO", "ROM"),
    ],
)  # fmt: skip
def test_memory_map_is_that_of_the_reference_guide(setting, basic, io, kernal):
    pages = state.c64_pages()[256 * setting : 256 * setting + 256]
    numbers = [getattr(state, name) for name in ("RAM", basic, "RAM", io, kernal)]
    spans = ((0, 0xA0), (0xA0, 0xC0), (0xC0, 0xD0), (0xD0, 0xE0), (0xE0, 0x100))
    for (start, end), number in zip(spans, numbers, strict=True):
        assert set(pages[start:end].tolist()) == {number}


@pytest.mark.parametrize("opcode", [o for o in OPCODES if o.kind in (READ, WRITE)], ids=lambda o: f"{o.number:02X}")
def test_only_reads_touch_registers_and_only_writes_touch_memory(opcode):
    flat = Flat()
    flat.ram[:] = 0x44
    flat.ram[0xC000 : 0xC000 + opcode.size] = [opcode.number, 0x50, 0x60][: opcode.size]
    flat.cpu.pc, flat.cpu.a, flat.cpu.x, flat.cpu.y = 0xC000, 0xA5, 0x5A, 0x03
    before = flat.ram.copy()
    flat.step()
    changed = np.flatnonzero(flat.ram != before)
    if opcode.kind == READ:
        assert not len(changed)
    else:
        assert len(changed) == 1
        if opcode.mnemonic != "TAS":
            assert (flat.cpu.a, flat.cpu.x, flat.cpu.y, flat.cpu.sp) == (0xA5, 0x5A, 0x03, 0xFF)
