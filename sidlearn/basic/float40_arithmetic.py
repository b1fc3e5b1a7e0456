"""Sum, difference, product and quotient of 40-bit floats, ten times and a tenth.

Cycles as in `float40_core`.
"""

from __future__ import annotations

from sidlearn.basic.float40_core import (
    DIVISION_BY_ZERO,
    OVERFLOW,
    TEN,
    Fac,
    FloatError,
    increment,
    long_shift_cycles,
    movaf,
    negate_cycles,
    normalize,
    single_shift_cycles,
    zero_bytes,
)

# -- cycles of the inner loops ----------------------------------------------------------------------------------------


def _alignment(places: int) -> int:
    """FADD1: bring the smaller operand to the larger exponent. Past 135 places its sign test fails: bit by bit."""
    if 8 <= places <= 135:
        return 14 + long_shift_cycles(places)
    return 21 + single_shift_cycles(places)


def _multiplier_cycles(zeros: int, carry: int) -> int:
    """FMULTT's work on the five multiplier bytes but for their set bits.

    `zeros` marks the zero ones among the four lower bytes, rounding byte in bit 0; `carry` is that of MULDIV. A zero
    byte is a shift of the product by one byte, and by one bit more if the carry is clear, as it is after another one.
    """
    cycles = 305
    for byte in range(4):
        if zeros >> byte & 1:
            cycles += 69 if carry else 113
            carry = 0
        else:
            cycles += 308
            carry = 1
    return cycles


def _loses_bit(zeros: int) -> bool:
    """Whether two adjacent zero bytes stand above one that is not: then the extra shift of the second one is felt."""
    return any(zeros >> byte & 3 == 3 and ~zeros & (1 << byte) - 1 for byte in range(1, 3))


_SHIFT_ARG = (26, *(33 + _alignment(places) for places in range(1, 256)))  # FADDT until both exponents are equal
_SHIFT_FAC = (26, *(50 + _alignment(places) for places in range(1, 256)))
_MULTIPLY = tuple(
    tuple((176 if carry else 171) + _multiplier_cycles(zeros, 1 - carry) for zeros in range(16)) for carry in (0, 1)
)
_LOSES_BIT = tuple(_loses_bit(zeros) for zeros in range(16))


# -- the four operations ----------------------------------------------------------------------------------------------


def faddt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Add, both operands unpacked (FADDT): arg + fac. The rounding bits of `arg` do not count. May raise OVERFLOW."""
    arg_sign, arg_exponent, arg_mantissa, _ = arg
    fac_sign, exponent, mantissa, rounding = fac
    if not exponent:
        return (arg_sign, arg_exponent, arg_mantissa, 0), 86
    if not arg_exponent:
        return fac, 25
    places = arg_exponent - exponent
    if places > 0:
        cycles = _SHIFT_FAC[places]
        larger = arg_mantissa << 8
        smaller = (mantissa << 8 | rounding) >> places
        exponent = arg_exponent
        if arg_sign == fac_sign:
            total = larger + smaller
        else:
            total = larger - smaller
            cycles += 70
            fac_sign = arg_sign
    else:
        cycles = _SHIFT_ARG[-places]
        larger = mantissa << 8 | rounding
        smaller = arg_mantissa << 8 >> -places
        if arg_sign == fac_sign:
            total = larger + smaller
            if not places:
                total += 1  # the comparison of the exponents has left the carry set
        else:
            total = larger - smaller
            cycles += 69
            if total < 0:  # equal exponents, the larger mantissa in ARG
                total = -total
                cycles += 5 + negate_cycles((total & 0xFF == 0) and zero_bytes(total))
                fac_sign ^= 0xFF
    if arg_sign == fac[0]:
        if total < 0x10000000000:
            return (fac_sign, exponent, total >> 8, total & 0xFF), cycles + 60
        if exponent == 255:
            raise FloatError(OVERFLOW)
        return (fac_sign, exponent + 1, total >> 9, total >> 1 & 0xFF), cycles + 91
    length = total.bit_length()
    if length == 40:
        return (fac_sign, exponent, total >> 8, total & 0xFF), cycles + 38
    fac, normal_cycles = normalize(fac_sign, exponent, total)
    return fac, cycles + normal_cycles


def fadd(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Add a number in memory (FADD): arg + fac. May raise OVERFLOW."""
    result, cycles = faddt(arg, fac)
    return result, cycles + 85


def fsubt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Subtract, both operands unpacked (FSUBT): arg - fac. May raise OVERFLOW."""
    fac_sign, exponent, mantissa, rounding = fac
    result, cycles = faddt(arg, (fac_sign ^ 0xFF, exponent, mantissa, rounding))
    return result, cycles + 20


def fsub(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Subtract from a number in memory (FSUB): arg - fac. May raise OVERFLOW."""
    result, cycles = fsubt(arg, fac)
    return result, cycles + 85


def fmultt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Multiply, both operands unpacked (FMULTT): arg * fac. May raise OVERFLOW.

    The rounding bits of `arg` do not count. The multiplier is `fac` with its rounding byte: the cost is in its set
    bits and its zero bytes.
    """
    fac_sign, exponent, mantissa, rounding = fac
    if not exponent:
        return fac, 11
    arg_sign, arg_exponent, arg_mantissa, _ = arg
    if not arg_exponent:
        return (0, 0, mantissa, rounding), 40
    exponent += arg_exponent - 128
    if exponent < 0:
        return (0, 0, mantissa, rounding), 50
    if exponent > 255:
        raise FloatError(OVERFLOW)
    multiplier = mantissa << 8 | rounding
    zeros = (not rounding) + 2 * (not mantissa & 0xFF) + 4 * (not mantissa & 0xFF00) + 8 * (not mantissa & 0xFF0000)
    cycles = _MULTIPLY[exponent > 127][zeros] + 37 * multiplier.bit_count()
    product = arg_mantissa * multiplier >> 32
    if _LOSES_BIT[zeros]:
        product = _product_with_lost_bit(arg_mantissa, multiplier)
    if product < 0x8000000000:
        product <<= 1
        exponent -= 1
        cycles += 30
    if exponent > 0:
        return (arg_sign ^ fac_sign, exponent, product >> 8, product & 0xFF), cycles
    return (0, 0, product >> 8, product & 0xFF), cycles - (arg_exponent + fac[1] == 128)


def fmul(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Multiply by a number in memory (FMULT): arg * fac. May raise OVERFLOW."""
    result, cycles = fmultt(arg, fac)
    return result, cycles + 85


def fdivt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Divide, both operands unpacked (FDIVT): arg / fac, to 34 bits. May raise DIVISION BY ZERO, OVERFLOW."""
    if not fac[1]:
        raise FloatError(DIVISION_BY_ZERO)
    fac_sign, exponent, mantissa, rounding = fac
    cycles = 19
    if rounding > 127:
        (_, exponent, mantissa, rounding), cycles = increment((fac_sign, exponent, mantissa, rounding << 1 & 0xFF), 12)
    else:
        rounding <<= 1
    arg_sign, arg_exponent, arg_mantissa, _ = arg
    exponent = arg_exponent - exponent + 128
    if not arg_exponent:
        return (0, 0, mantissa, rounding), cycles + 55
    if exponent < 0:
        return (0, 0, mantissa, rounding), cycles + 65
    if exponent >= 255:
        raise FloatError(OVERFLOW)
    result_sign = arg_sign ^ fac_sign
    cycles += 447 + (5 if exponent > 127 else 0)
    if not exponent:
        result_sign = 0  # the exponent is counted up once more, from zero, whose sign is positive
        cycles -= 1
    quotient, more = _quotient(arg_mantissa, mantissa)
    result, normal_cycles = normalize(result_sign, exponent + 1, quotient << 6)
    return result, cycles + more + normal_cycles


def fdiv(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Divide a number in memory (FDIV): arg / fac. May raise DIVISION BY ZERO, OVERFLOW."""
    result, cycles = fdivt(arg, fac)
    return result, cycles + 85


def mul10(fac: Fac) -> tuple[Fac, int]:
    """Multiply by ten (MUL10): four times the number, plus the number, twice. May raise OVERFLOW."""
    (fac_sign, exponent, mantissa, _), cycles = movaf(fac)
    if not exponent:
        return (fac_sign, 0, mantissa, 0), cycles + 17
    exponent += 3
    total = mantissa * 320
    cycles += 235
    if total >= 0x10000000000:
        total >>= 1
        exponent += 1
        cycles += 31
    if exponent > 255:
        raise FloatError(OVERFLOW)
    return (fac_sign, exponent, total >> 8, total & 0xFF), cycles


def div10(fac: Fac) -> tuple[Fac, int]:
    """Divide by ten, positive (DIV10)."""
    (_, exponent, mantissa, _), cycles = movaf(fac)
    result, more = fdivt((0, exponent, mantissa, 0), TEN)
    return result, cycles + more + 94


# -- helpers ----------------------------------------------------------------------------------------------------------


def _product_with_lost_bit(multiplicand: int, multiplier: int) -> int:
    """The product's upper 40 bits, multiplied byte by byte with the extra shifts that adjacent zero bytes cause.

    Such a shift halves the 32 bits of the partial product but leaves the rounding byte as it is.
    """
    product, carry = 0, 1
    for place in range(0, 40, 8):
        byte = multiplier >> place & 0xFF
        if byte:
            product = product + (multiplicand * byte << 8) >> 8
            carry = 1
        else:
            product >>= 8
            if not carry:
                product = product >> 9 << 8 | product & 0xFF
            carry = 0
    return product


def _quotient(dividend: int, divisor: int) -> tuple[int, int]:
    """Return the 34 quotient bits of two mantissas, and the cycles by which comparing and subtracting vary.

    Each place either has its bit settled by the carry (3 cycles), by a clear top bit (7), or by a comparison that
    goes through the bytes until two differ; a subtraction takes 44.
    """
    difference = dividend ^ divisor
    cycles = 9 if difference > 0xFFFFFF else 17 if difference > 0xFFFF else 25 if difference > 0xFF else 30
    remainder = dividend
    for _ in range(33):
        if remainder >= divisor:
            remainder -= divisor
        remainder += remainder
        if remainder > 0xFFFFFFFF:
            cycles += 3
        elif remainder < 0x80000000:
            cycles += 7
        else:
            difference = remainder ^ divisor
            cycles += 14 if difference > 0xFFFFFF else 22 if difference > 0xFFFF else 30 if difference > 0xFF else 35
    quotient = (dividend << 33) // divisor
    return quotient, cycles + 858 + 44 * (quotient >> 1).bit_count()
