"""What stands for the ROM's routines of floats, which machine code calls: compiled BASIC is made of them.

Numbers are in the accumulator FAC at 97 and the argument ARG at 105. The ROM's routines that combine both look at the
zero flag for a FAC of zero, which their callers set from its exponent; these look at the exponent.
Sources of addresses, registers and effects: Sheldon Leemon, "Mapping the Commodore 64" (1984); of the steps between two
addresses and the names: BASIC-M6502 (MIT licence).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sidlearn.basic import float40 as f40
from sidlearn.basic.memory import TXTPTR

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter


class CpuRegisters(Protocol):
    """A, X, Y, the flags and the stack pointer of a 6510."""

    a: int
    x: int
    y: int
    p: int
    sp: int


Routine = Callable[["Interpreter", CpuRegisters], int]
Unary = Callable[[f40.Fac], tuple[f40.Fac, int]]
Binary = Callable[[f40.Fac, f40.Fac], tuple[f40.Fac, int]]

ZERO_FLAG, NEGATIVE_FLAG = 2, 128
FAC, FAC_SIGN, FAC_ROUNDING = 0x61, 0x66, 0x70
ARG, ARG_SIGN, SIGNS = 0x69, 0x6E, 0x6F
"""SIGNS is 255 where FAC and ARG differ in sign."""
FACMO = 0x64
"""A signed integer, high byte first."""
TEMPORARY = {0xBBC7: 0x5C, 0xBBCA: 0x57}
"""Entries that keep FAC in page 0, and where."""
OUTPUT_STRING = 0x0100
INTEGER_EXPONENT = 160
"""From here on a number is all integer: QINT leaves it as it is."""


def store_fac(ram: bytearray, fac: f40.Fac) -> None:
    """Put a number into the accumulator at 97."""
    ram[FAC : FAC_SIGN + 1] = bytes((fac[1],)) + fac[2].to_bytes(4, "big") + bytes((fac[0],))
    ram[FAC_ROUNDING] = fac[3]


def load_fac(ram: bytearray) -> f40.Fac:
    """Return the number in the accumulator at 97."""
    return ram[FAC_SIGN] & 0x80 and 0xFF, ram[FAC], int.from_bytes(ram[FAC + 1 : FAC_SIGN], "big"), ram[FAC_ROUNDING]


def _store_arg(ram: bytearray, arg: f40.Fac) -> None:
    ram[ARG : ARG_SIGN + 1] = bytes((arg[1],)) + arg[2].to_bytes(4, "big") + bytes((arg[0],))
    ram[SIGNS] = (ram[ARG_SIGN] ^ ram[FAC_SIGN]) & 0x80 and 0xFF


def _load_arg(ram: bytearray) -> f40.Fac:
    return ram[ARG_SIGN] & 0x80 and 0xFF, ram[ARG], int.from_bytes(ram[ARG + 1 : ARG_SIGN], "big"), 0


def _answer(registers: CpuRegisters, value: int) -> None:
    """Leave a byte in A, and the flags of its load."""
    registers.a = value & 255
    registers.p &= ~(ZERO_FLAG | NEGATIVE_FLAG)
    registers.p |= (0 if registers.a else ZERO_FLAG) | (registers.a & NEGATIVE_FLAG)


def _float_at(machine: Interpreter, registers: CpuRegisters) -> f40.Fac:
    at = registers.a | registers.y << 8
    return f40.unpack(machine.ram[at : at + 5].ljust(5, b"\0"))


# Whole numbers.


def _to_integer(machine: Interpreter, registers: CpuRegisters) -> int:
    """AYINT: the accumulator as a signed integer to 100 and 101."""
    value, cycles = f40.ayint(load_fac(machine.ram))
    machine.ram[FACMO : FACMO + 2] = (value & 0xFFFF).to_bytes(2, "big")
    return cycles


def _from_integer(machine: Interpreter, registers: CpuRegisters) -> int:
    """GIVAYF: the signed integer Y + 256 * A into the accumulator."""
    value = registers.a << 8 | registers.y
    fac, cycles = f40.givayf(value - 0x10000 if value & 0x8000 else value)
    store_fac(machine.ram, fac)
    return cycles


def _from_byte(machine: Interpreter, registers: CpuRegisters) -> int:
    """SNGFLT: Y into the accumulator."""
    fac, cycles = f40.sngflt(registers.y)
    store_fac(machine.ram, fac)
    return cycles


def _to_long(machine: Interpreter, registers: CpuRegisters) -> int:
    """QINT: FAC as a signed integer of four bytes to 98."""
    ram = machine.ram
    fac = load_fac(ram)
    if fac[1] >= INTEGER_EXPONENT:
        return 14
    value, cycles = f40.qint(fac)
    ram[FAC + 1 : FAC_SIGN] = (value & 0xFFFFFFFF).to_bytes(4, "big")
    return cycles


def _from_signed_byte(machine: Interpreter, registers: CpuRegisters) -> int:
    """FLOAT: the signed byte A into FAC."""
    fac, cycles = f40.float_signed_byte(registers.a - 256 if registers.a & 128 else registers.a)
    store_fac(machine.ram, fac)
    return cycles


def _sign(machine: Interpreter, registers: CpuRegisters) -> int:
    """SIGN: 1, 0 or 255 into A."""
    order, cycles = f40.sign(load_fac(machine.ram))
    _answer(registers, order)
    return cycles


def _compare(machine: Interpreter, registers: CpuRegisters) -> int:
    """FCOMP: 1, 0 or 255 into A as FAC is above, equal to or below the float at A and Y."""
    order, cycles = f40.fcomp(load_fac(machine.ram), _float_at(machine, registers))
    _answer(registers, order)
    return cycles


# From one place to another.


def _fetch(machine: Interpreter, registers: CpuRegisters) -> int:
    """MOVFM: the float at A and Y into FAC."""
    store_fac(machine.ram, _float_at(machine, registers))
    _answer(registers, machine.ram[FAC])
    return f40.MOVFM_CYCLES


def _fetch_arg(machine: Interpreter, registers: CpuRegisters) -> int:
    """CONUPK: the float at A and Y into ARG; FAC's exponent into A."""
    _store_arg(machine.ram, _float_at(machine, registers))
    _answer(registers, machine.ram[FAC])
    return f40.CONUPK_CYCLES


def _keep(machine: Interpreter, registers: CpuRegisters) -> int:
    """MOVMF: FAC, rounded, to X and Y."""
    return _keep_at(machine, registers.x | registers.y << 8)


def _keep_at(machine: Interpreter, at: int) -> int:
    fac, cycles = f40.movmf(load_fac(machine.ram))
    store_fac(machine.ram, fac)
    machine.ram[at : at + 5] = f40.pack(fac)
    return cycles


def _keep_in_page_0(at: int) -> Routine:
    """Make MOV1F or MOV2F."""
    return lambda machine, registers: _keep_at(machine, at)


def _fac_from_arg(machine: Interpreter, registers: CpuRegisters) -> int:
    """MOVFA."""
    store_fac(machine.ram, _load_arg(machine.ram))
    return f40.MOVFA_CYCLES


def _arg_from_fac(machine: Interpreter, registers: CpuRegisters) -> int:
    """MOVAF: FAC, rounded, into ARG."""
    fac, cycles = f40.round_fac(load_fac(machine.ram))
    store_fac(machine.ram, fac)
    return cycles + _copy_to_arg(machine, registers)


def _copy_to_arg(machine: Interpreter, registers: CpuRegisters) -> int:
    """MOVEF: FAC as it is into ARG."""
    ram = machine.ram
    ram[ARG : ARG_SIGN + 1] = ram[FAC : FAC_SIGN + 1]
    ram[FAC_ROUNDING] = 0
    return f40.MOVEF_CYCLES


# Sums, products, functions.


def _into_fac(operation: Callable[[bytearray], tuple[f40.Fac, int]]) -> Routine:
    """Make a routine whose result, a number and its cycles, goes into FAC."""

    def routine(machine: Interpreter, registers: CpuRegisters) -> int:
        fac, cycles = operation(machine.ram)
        store_fac(machine.ram, fac)
        return cycles

    return routine


def _function(operation: Unary) -> Routine:
    """Make a routine that changes FAC."""
    return _into_fac(lambda ram: operation(load_fac(ram)))


def _with_arg(operation: Binary) -> Routine:
    """Make a routine that combines ARG with FAC."""
    return _into_fac(lambda ram: operation(_load_arg(ram), load_fac(ram)))


def _with_float(operation: Binary) -> Routine:
    """Make a routine that combines the float at A and Y with FAC."""
    combine = _with_arg(operation)

    def routine(machine: Interpreter, registers: CpuRegisters) -> int:
        _store_arg(machine.ram, _float_at(machine, registers))
        return combine(machine, registers)

    return routine


def _random(machine: Interpreter, registers: CpuRegisters) -> int:
    """RND."""
    before = machine.cycles
    store_fac(machine.ram, machine.random(load_fac(machine.ram)))
    taken, machine.cycles = machine.cycles - before, before
    return taken


# Text.


def _from_text(machine: Interpreter, registers: CpuRegisters) -> int:
    """FIN: the number at the text pointer into FAC; CHRGET has fetched its first character."""
    fac, position, cycles = f40.fin(machine.ram, machine.memory.word(TXTPTR))
    store_fac(machine.ram, fac)
    machine.memory.set_word(TXTPTR, position)
    return cycles


def _to_text(machine: Interpreter, registers: CpuRegisters) -> int:
    """FOUT: the accumulator as text at 256, a zero behind it."""
    text, cycles = f40.fout(load_fac(machine.ram))
    machine.ram[OUTPUT_STRING : OUTPUT_STRING + len(text) + 1] = text + b"\0"
    registers.a, registers.y = OUTPUT_STRING & 255, OUTPUT_STRING >> 8
    return cycles


FLOAT_ROUTINES: dict[int, Routine] = {
    0xB1AA: _to_integer, 0xB391: _from_integer, 0xB395: _from_integer, 0xB3A2: _from_byte,
    0xB850: _with_float(f40.fsub), 0xB853: _with_arg(f40.fsubt), 0xB867: _with_float(f40.fadd),
    0xB86A: _with_arg(f40.faddt), 0xB9EA: _function(f40.flog), 0xBA28: _with_float(f40.fmul),
    0xBA2B: _with_arg(f40.fmultt),
    0xBA8C: _fetch_arg, 0xBAE2: _function(f40.mul10), 0xBAFE: _function(f40.div10), 0xBB0F: _with_float(f40.fdiv),
    0xBB12: _with_arg(f40.fdivt), 0xBBA2: _fetch, 0xBBD4: _keep, 0xBBFC: _fac_from_arg, 0xBC0C: _arg_from_fac,
    0xBC0F: _copy_to_arg, 0xBC1B: _function(f40.round_fac), 0xBC2B: _sign, 0xBC39: _function(f40.fsgn),
    0xBC3C: _from_signed_byte, 0xBC58: _function(f40.fabs), 0xBC5B: _compare, 0xBC9B: _to_long,
    0xBCCC: _function(f40.fint), 0xBCF3: _from_text, 0xBDDD: _to_text, 0xBF71: _function(f40.fsqr),
    0xBF7B: _with_arg(f40.fpow), 0xBFB4: _function(f40.fneg), 0xBFED: _function(f40.fexp), 0xE097: _random,
    0xE264: _function(f40.fcos), 0xE26B: _function(f40.fsin), 0xE2B4: _function(f40.ftan),
    0xE30E: _function(f40.fatn), **{entry: _keep_in_page_0(at) for entry, at in TEMPORARY.items()},
}  # fmt: skip
"""Address -> stand-in."""
