"""Functions of the 40-bit floats: powers, roots, logarithms, trigonometry, random numbers.

Steps and constants are those of Microsoft's BASIC-M6502 (1978, MIT licence); the random generator's two constants have
a fifth byte, zero, and the sine none of the listing's two spare constants, as measured on the C64. Cycles are counted
as in `float40_core`: from a routine's first instruction through its RTS, without the JSR.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from sidlearn.basic.float40_arithmetic import (
    fadd,
    faddt,
    fdiv,
    fdivt,
    fmul,
    fsub,
    fsubt,
)
from sidlearn.basic.float40_core import (
    HALF,
    ILLEGAL_QUANTITY,
    MOVEF_CYCLES,
    MOVFM_CYCLES,
    ONE,
    OVERFLOW,
    Fac,
    FloatError,
    increment,
    movaf,
    movmf,
    normalize,
    pack,
    unpack,
)
from sidlearn.basic.float40_integers import (
    fcomp,
    fint,
    float_signed_byte,
    fneg,
    qint,
    sign,
)


def _constant(packed: str) -> Fac:
    return unpack(bytes.fromhex(packed))


class Polynomial(NamedTuple):
    """Coefficients, highest power first, and the cycles of a run that no operand changes."""

    coefficients: tuple[Fac, ...]
    cycles: int


def _polynomial(address: int, *packed: str) -> Polynomial:
    """Return the coefficients at `address` (of their count) with POLY1's fixed cycles and those of page crossings."""
    degree = len(packed) - 1
    pointers = [address + 1 + 5 * place for place in range(degree + 1)]
    crossings = sum(max(0, (pointer & 0xFF) - 251) for pointer in pointers)
    carries = sum(before >> 8 != after >> 8 for before, after in pairwise(pointers))
    return Polynomial(tuple(map(_constant, packed)), 46 + degree * 43 + crossings + carries)


LOG2_E = _constant("8138aa3b29")
LN_2 = _constant("80317217f8")
SQRT_HALF = _constant("803504f334")
SQRT_2 = _constant("813504f334")
MINUS_HALF = _constant("8080000000")
QUARTER = _constant("7f00000000")
HALF_PI = _constant("81490fdaa2")
TWO_PI = _constant("83490fdaa2")
PI = _constant("82490fdaa1")  # the constant behind the pi key; not the double of HALF_PI
RANDOM_FACTOR = _constant("9835447a00")
RANDOM_TERM = _constant("6828b14600")

# Addresses: the C64's memory map.
LOG_SERIES = _polynomial(0xB9C1, "7f5e56cb79", "80139b0b64", "8076389316", "8238aa3b20")
EXP_SERIES = _polynomial(
    0xBFC4, "7134583e56", "74167eb31b", "772feee385", "7a1d841c2a", "7c6359580a", "7e75fde7c6", "8031721810",
    "8100000000",
)  # fmt: skip
SIN_SERIES = _polynomial(
    0xE2EF, "84e61a2d1b", "862807fbf8", "8799688901", "872335dfe1", "86a55de728", "83490fdaa2"
)  # fmt: skip
ATN_SERIES = _polynomial(
    0xE33E, "76b383bdd3", "791ef4a6f5", "7b83fcb010", "7c0c1f67ca", "7cde53cbc1", "7d1464704c", "7db7ea517a",
    "7d6330887e", "7e9244993a", "7e4ccc91c7", "7faaaaaa13", "8100000000",
)  # fmt: skip


def poly(fac: Fac, polynomial: Polynomial) -> tuple[Fac, int]:
    """Evaluate a polynomial (POLY1)."""
    coefficients, cycles = polynomial
    x, more = movmf(fac)
    cycles += more
    fac, more = fmul(coefficients[0], x)
    cycles += more
    last = len(coefficients) - 1
    for place in range(1, last):
        fac, more = fadd(coefficients[place], fac)
        cycles += more
        fac, more = fmul(x, fac)
        cycles += more
    fac, more = fadd(coefficients[last], fac)
    return fac, cycles + more


def polyx(fac: Fac, polynomial: Polynomial) -> tuple[Fac, Fac, int]:
    """Evaluate x P(x^2) (POLYX). Returns also x as it was kept, rounded."""
    x, stored = movmf(fac)
    square, squared = fmul(x, x)
    series, evaluated = poly(square, polynomial)
    result, multiplied = fmul(x, series)
    return result, x, stored + squared + evaluated + multiplied + 40


def finlog(fac: Fac, value: int) -> tuple[Fac, int]:
    """Add a signed byte -128..127 to FAC (FINLOG), as LOG does its exponent and FIN each digit."""
    arg, moved = movaf(fac)
    fac, floated = float_signed_byte(value)
    fac, added = faddt(arg, fac)
    return fac, moved + floated + added + 34


def flog(fac: Fac) -> tuple[Fac, int]:
    """LOG, natural. Raises ILLEGAL QUANTITY at or below zero."""
    fac_sign, exponent, mantissa, rounding = fac
    if fac_sign or not exponent:
        raise FloatError(ILLEGAL_QUANTITY)
    fac, cycles = fadd(SQRT_HALF, (0, 0x80, mantissa, rounding))
    fac, more = fdiv(SQRT_2, fac)
    cycles += more
    fac, more = fsub(ONE, fac)
    cycles += more
    fac, _, more = polyx(fac, LOG_SERIES)
    cycles += more
    fac, more = fadd(MINUS_HALF, fac)
    cycles += more
    fac, more = finlog(fac, exponent - 0x80)
    cycles += more
    fac, more = fmul(LN_2, fac)
    return fac, cycles + more + 110


def fexp(fac: Fac) -> tuple[Fac, int]:
    """EXP. Raises OVERFLOW from 88.03 up; gives 0 where the result is below 2.94E-39."""
    fac, cycles = fmul(LOG2_E, fac)
    fac_sign, exponent, mantissa, rounding = fac
    if rounding >= 0xB0:
        (fac_sign, exponent, mantissa, _), more = increment(fac)
        cycles += more + 5
    if exponent >= 0x88:
        if not fac_sign:
            raise FloatError(OVERFLOW)
        return (0, 0, mantissa, 0), cycles + 163
    fac = fac_sign, exponent, mantissa, 0
    whole, more = fint(fac)
    cycles += more
    scale = qint(fac)[0] + 0x80
    if scale == 0xFF:
        raise FloatError(OVERFLOW)
    fac, more = fsubt(whole, (fac_sign, exponent, mantissa, rounding + 0x50 & 0xFF))
    cycles += more
    fac, more = fneg(fac)
    cycles += more
    (_, exponent, mantissa, rounding), more = poly(fac, EXP_SERIES)
    cycles += more + 236 + MOVEF_CYCLES
    if not scale:
        return (0, 0, mantissa, rounding), cycles + 28
    exponent += scale - 0x80
    if exponent < 0:
        return (0, 0, mantissa, rounding), cycles + 38
    if exponent == 0:
        return (0, 0, mantissa, rounding), cycles + 37
    if exponent > 0xFF:
        raise FloatError(OVERFLOW)
    return (0, exponent, mantissa, rounding), cycles + (38 if exponent < 0x80 else 43)


def fpow(arg: Fac, fac: Fac, kept_integer: int = 0) -> tuple[Fac, int]:
    """Power (FPWRT): arg ^ fac, both unpacked.

    Parameters
    ----------
    arg, fac : Fac
        The base and the exponent.
    kept_integer : int
        What address 7 holds. An exponent of 2^31 or more does not set it, and a negative base then takes the parity
        of the result from there.

    Raises
    ------
    FloatError
        ILLEGAL QUANTITY for a negative base with a broken exponent, OVERFLOW.
    """
    if not fac[1]:
        result, cycles = fexp(fac)
        return result, cycles + 3
    if not arg[1]:
        return (0, 0, fac[2], fac[3]), 22
    power, stored = movmf(fac)
    cycles = stored + 21
    odd = 0
    if arg[0]:
        whole, more = fint(power)
        order, compared = fcomp(whole, power)
        if order:
            raise FloatError(ILLEGAL_QUANTITY)
        cycles += more + compared + 22
        odd = (qint(power)[0] if power[1] < 160 else kept_integer) & 1
    fac, more = flog((0, arg[1], arg[2], 0))
    cycles += more
    fac, more = fmul(power, fac)
    cycles += more
    fac, more = fexp(fac)
    cycles += more + 120
    if not odd:
        return fac, cycles + 9
    fac, more = fneg(fac)
    return fac, cycles + more + 2


def fsqr(fac: Fac) -> tuple[Fac, int]:
    """SQR, which is x ^ .5. Raises ILLEGAL QUANTITY below zero."""
    arg, cycles = movaf(fac)
    result, more = fpow(arg, HALF)
    return result, cycles + more + 16 + MOVFM_CYCLES


def fsin(fac: Fac) -> tuple[Fac, int]:
    """SIN of radians."""
    result, _, _, cycles = _sine(fac)
    return result, cycles


def fcos(fac: Fac) -> tuple[Fac, int]:
    """COS of radians: the sine a quarter turn on."""
    fac, cycles = fadd(HALF_PI, fac)
    result, _, _, more = _sine(fac)
    return result, cycles + more + 10


def ftan(fac: Fac) -> tuple[Fac, int]:
    """TAN of radians: sine by cosine. Raises DIVISION BY ZERO where the cosine is zero."""
    fac, cycles = movmf(fac)
    sine, (_, exponent, mantissa, _), flipped, more = _sine(fac)
    cycles += more
    sine, more = movmf(sine)
    cycles += more
    cosine, _, more = _folded_sine((0, exponent, mantissa, 0), flipped)
    cycles += more
    result, more = fdiv(sine, cosine)
    return result, cycles + more + 74 + MOVFM_CYCLES


def fatn(fac: Fac) -> tuple[Fac, int]:
    """ATN in radians: of the reciprocal where the argument is 1 or more."""
    negative, exponent = fac[0], fac[1]
    cycles = 43
    if negative:
        fac, more = fneg(fac)
        cycles += more + 5
    if exponent > 0x80:
        fac, more = fdiv(ONE, fac)
        cycles += more + 9
    fac, _, more = polyx(fac, ATN_SERIES)
    cycles += more
    if exponent > 0x80:
        fac, more = fsub(HALF_PI, fac)
        cycles += more + 9
    if negative:
        fac, more = fneg(fac)
        cycles += more + 5
    else:
        cycles += 9
    return fac, cycles


def frnd(fac: Fac, seed_packed: bytes, cia_bytes: bytes = b"\0\0\0\0") -> tuple[Fac, bytes, int]:
    """RND: the next number for fac > 0, a sequence started from fac < 0, one from the clocks for fac = 0.

    Parameters
    ----------
    fac : Fac
        The argument.
    seed_packed : bytes
        The five bytes at 139 ($8B): the last number.
    cia_bytes : bytes
        For fac = 0: what $DC04, $DC05, $DC08 and $DC09 read, in this order.

    Returns
    -------
    fac, seed_packed, cycles
        The number, what 139 holds now, and the cycles.
    """
    order, cycles = sign(fac)
    if order < 0:
        _, exponent, mantissa, _ = fac
        cycles += 33
    elif order:
        fac, multiplied = fmul(RANDOM_FACTOR, unpack(seed_packed))
        (_, exponent, mantissa, _), added = fadd(RANDOM_TERM, fac)
        cycles += 65 + MOVFM_CYCLES + multiplied + added
    else:
        exponent = 0
        # unswapped they go to the mantissa as $DC04, $DC08, $DC05, $DC09
        mantissa = cia_bytes[3] << 24 | cia_bytes[1] << 16 | cia_bytes[2] << 8 | cia_bytes[0]
        cycles += 78
    swapped = int.from_bytes(mantissa.to_bytes(4, "little"), "big")
    number, normalized = normalize(0, 0x80, swapped << 8 | exponent)
    number, stored = movmf(number)
    return number, pack(number), cycles + normalized + stored + 29


def _sine(fac: Fac) -> tuple[Fac, Fac, int, int]:
    """SIN: fold the angle into a quarter turn either way. Returns the sine, x of the series, TANSGN and the cycles."""
    arg, cycles = movaf(fac)
    fac, more = fdivt(arg, TWO_PI)
    cycles += more
    turns, more = movaf(fac)
    cycles += more
    whole, more = fint(turns)
    cycles += more
    fac, more = fsubt(turns, whole)
    cycles += more
    fac, more = fsub(QUARTER, fac)
    cycles += more + 140
    past_quarter = fac[0]
    if not past_quarter:
        result, x, more = _folded_sine(fac, past_quarter)
        return result, x, 0, cycles + more + 3
    fac, more = fadd(HALF, fac)
    cycles += more + 18
    if not fac[0]:
        result, x, more = _folded_sine(fac, past_quarter)
        return result, x, 0xFF, cycles + more + 10
    result, x, more = _quarter_sine(fac, past_quarter)
    return result, x, 0, cycles + more + 3


def _folded_sine(turns: Fac, negate: int) -> tuple[Fac, Fac, int]:
    """SIN1, where TAN enters for the cosine: fold back, then as `_quarter_sine`."""
    fac, cycles = fneg(turns)
    result, x, more = _quarter_sine(fac, negate)
    return result, x, cycles + more + 6


def _quarter_sine(turns: Fac, negate: int) -> tuple[Fac, Fac, int]:
    """SIN2: add a quarter turn and evaluate the series. Returns the result, x of the series, and the cycles."""
    fac, cycles = fadd(QUARTER, turns)
    if negate:
        fac, more = fneg(fac)
        cycles += more + 5
    result, x, more = polyx(fac, SIN_SERIES)
    return result, x, cycles + more + 24
