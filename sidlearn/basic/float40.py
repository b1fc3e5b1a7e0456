"""The Commodore 64's 40-bit floats, equal in every bit and counted in 6510 cycles: the public names.

`float40_core` holds the forms of a number and its moves, `float40_arithmetic`, `float40_integers` and `float40_series`
the operations, `float40_text` the conversion from and to text. Functions of unpacked numbers return their result and
the cycles. Names that end in ``t`` (`faddt`) find both operands unpacked, as operators in an expression do; those
without (`fadd`) fetch `arg` from memory first, as NEXT and the series do.
"""

from __future__ import annotations

from collections.abc import Callable

from sidlearn.basic.float40_arithmetic import (
    div10,
    fadd,
    faddt,
    fdiv,
    fdivt,
    fmul,
    fmultt,
    fsub,
    fsubt,
    mul10,
)
from sidlearn.basic.float40_core import (
    CONUPK_CYCLES,
    DIVISION_BY_ZERO,
    HALF,
    ILLEGAL_QUANTITY,
    MINUS_32768,
    MOVEF_CYCLES,
    MOVFA_CYCLES,
    MOVFM_CYCLES,
    ONE,
    OVERFLOW,
    TEN,
    ZERO,
    Fac,
    FloatError,
    crossing_cycles,
    fac_from_int,
    fac_to_float,
    increment,
    movaf,
    movmf,
    normalize,
    pack,
    round_fac,
    unpack,
)
from sidlearn.basic.float40_integers import (
    ayint,
    conint,
    fabs,
    fcomp,
    fint,
    float_signed_byte,
    fneg,
    fsgn,
    getadr,
    givayf,
    qint,
    sign,
    sngflt,
)
from sidlearn.basic.float40_series import PI, fatn, fcos, fexp, finlog, flog, fpow, frnd, fsin, fsqr, ftan
from sidlearn.basic.float40_text import chrget, chrgot, fin, fout

__all__ = [
    "CONUPK_CYCLES",
    "DIVISION_BY_ZERO",
    "HALF",
    "ILLEGAL_QUANTITY",
    "MINUS_32768",
    "MOVEF_CYCLES",
    "MOVFA_CYCLES",
    "MOVFM_CYCLES",
    "ONE",
    "OPERATIONS",
    "OVERFLOW",
    "PI",
    "TEN",
    "ZERO",
    "Fac",
    "FloatError",
    "ayint",
    "chrget",
    "chrgot",
    "conint",
    "crossing_cycles",
    "div10",
    "fabs",
    "fac_from_int",
    "fac_to_float",
    "fadd",
    "faddt",
    "fatn",
    "fcomp",
    "fcos",
    "fdiv",
    "fdivt",
    "fexp",
    "fin",
    "finlog",
    "fint",
    "float_signed_byte",
    "flog",
    "fmul",
    "fmultt",
    "fneg",
    "fout",
    "fpow",
    "frnd",
    "fsgn",
    "fsin",
    "fsqr",
    "fsub",
    "fsubt",
    "ftan",
    "getadr",
    "givayf",
    "increment",
    "movaf",
    "movmf",
    "mul10",
    "normalize",
    "pack",
    "qint",
    "round_fac",
    "sign",
    "sngflt",
    "unpack",
]


def _packed_unary(function: Callable) -> Callable[[bytes], tuple[bytes, int]]:
    def operate(a: bytes) -> tuple[bytes, int]:
        result, cycles = function(unpack(a))
        return pack(result), cycles

    return operate


def _packed_binary(function: Callable) -> Callable[[bytes, bytes], tuple[bytes, int]]:
    def operate(a: bytes, b: bytes) -> tuple[bytes, int]:
        result, cycles = function(unpack(a), unpack(b))
        return pack(result), cycles

    return operate


def _parse(text: bytes) -> tuple[bytes, int]:
    text = bytes(text).upper()
    _, start, _ = chrgot(text, 0)
    fac, _, cycles = fin(text, start)
    return pack(fac), cycles


def _print(a: bytes) -> tuple[bytes, int]:
    return fout(unpack(a))


OPERATIONS: dict[str, Callable] = {
    "add": _packed_binary(fadd),
    "sub": _packed_binary(fsub),
    "mul": _packed_binary(fmul),
    "div": _packed_binary(fdiv),
    "pow": _packed_binary(fpow),
    "int": _packed_unary(fint),
    "sqr": _packed_unary(fsqr),
    "exp": _packed_unary(fexp),
    "log": _packed_unary(flog),
    "sin": _packed_unary(fsin),
    "cos": _packed_unary(fcos),
    "tan": _packed_unary(ftan),
    "atn": _packed_unary(fatn),
    "mul10": _packed_unary(mul10),
    "div10": _packed_unary(div10),
    "parse": _parse,
    "print": _print,
}
"""Name -> function of packed operands: ``result, cycles = OPERATIONS["add"](a, b)``.

`a` is the operand in memory, `b` the one in the accumulator; ``sub`` is a - b, ``div`` a / b, ``pow`` a ^ b. ``parse``
takes ASCII bytes, ``print`` gives them. Results are rounded as when stored; the cycles are those of the routine alone.
"""
