"""Signs and comparison of 40-bit floats, and their way to whole numbers and back.

Cycles as in `float40_core`.
"""

from __future__ import annotations

from sidlearn.basic.float40_core import (
    ILLEGAL_QUANTITY,
    MINUS_32768,
    Fac,
    FloatError,
    long_shift_cycles,
    negate_cycles,
    normalize,
    single_shift_cycles,
    zero_bytes,
)


def _qint_cycles(exponent: int) -> int:
    """QINT of a positive number below 2^31."""
    places = 160 - exponent
    if 8 <= places <= 135:
        return 36 + long_shift_cycles(places)
    return 55 + single_shift_cycles(places)


def _qint_negative_cycles(exponent: int) -> int:
    """QINT of a negative number, without the complement's own cycles: sign bits shifted in cost 5 more each."""
    places = 160 - exponent
    return _qint_cycles(exponent) + 6 + 5 * (places % 8 if 8 <= places <= 135 else places - 1)


_QINT = (26, *(_qint_cycles(exponent) for exponent in range(1, 160)))
_QINT_NEGATIVE = (26, *(_qint_negative_cycles(exponent) for exponent in range(1, 160)))


def sign(fac: Fac) -> tuple[int, int]:
    """Return -1, 0 or 1 (SIGN)."""
    if not fac[1]:
        return 0, 12
    return (-1, 21) if fac[0] else (1, 22)


def fcomp(fac: Fac, mem: Fac) -> tuple[int, int]:
    """Compare with a number in memory (FCOMP): 1 if fac is greater, 0 if equal, -1 if less.

    Entering at FCOMPN, as NEXT does, takes 3 cycles less.
    """
    mem_sign, mem_exponent, mem_mantissa, _ = mem
    fac_sign, exponent, mantissa, rounding = fac
    if not mem_exponent:
        if not exponent:
            return 0, 32
        return (-1, 41) if fac_sign else (1, 42)
    if fac_sign != mem_sign:
        return (-1, 46) if fac_sign else (1, 47)
    if mem_exponent != exponent:
        mem_is_greater = mem_exponent > exponent
        cycles = 41
    else:
        difference = mem_mantissa ^ mantissa
        if difference > 0xFF:
            mem_is_greater = mem_mantissa > mantissa
            cycles = 53 if difference > 0xFFFFFF else 65 if difference > 0xFFFF else 77
        else:
            low = (mem_mantissa & 0xFF) - (mantissa & 0xFF) - (rounding > 127)  # a byte: it wraps
            if not low & 0xFF:
                return 0, 94
            mem_is_greater = low >= 0
            cycles = 93
    if mem_is_greater:
        return (1, cycles + 18) if fac_sign else (-1, cycles + 17)
    return (-1, cycles + 16) if fac_sign else (1, cycles + 17)


def fneg(fac: Fac) -> tuple[Fac, int]:
    """Negate (NEGOP)."""
    fac_sign, exponent, mantissa, rounding = fac
    if not exponent:
        return fac, 12
    return (fac_sign ^ 0xFF, exponent, mantissa, rounding), 19


def fabs(fac: Fac) -> tuple[Fac, int]:
    """ABS: clear the sign."""
    return (0, *fac[1:]), 11


def fsgn(fac: Fac) -> tuple[Fac, int]:
    """SGN: -1, 0 or 1 as a number."""
    value, cycles = sign(fac)
    result, more = float_signed_byte(value)
    return result, cycles + more + 6


def qint(fac: Fac) -> tuple[int, int]:
    """Return the greatest integer that is not above (QINT), for numbers below 2^31 in size.

    Raises
    ------
    ValueError
        At 2^31 and beyond, where no routine of the machine uses it.
    """
    fac_sign, exponent, mantissa, rounding = fac
    if exponent >= 160:
        raise ValueError(f"qint: exponent {exponent}: expected below 160, a number below 2^31")
    if not exponent:
        return 0, 26
    bits40 = mantissa << 8 | rounding
    if not fac_sign:
        return bits40 >> 168 - exponent, _QINT[exponent]
    return -bits40 >> 168 - exponent, _QINT_NEGATIVE[exponent] + negate_cycles(zero_bytes(bits40))


def fint(fac: Fac) -> tuple[Fac, int]:
    """INT: the greatest whole number that is not above."""
    if fac[1] >= 160:
        return fac, 14
    value, cycles = qint(fac)
    result, more = _float(fac[0], value << 8, 160)
    return result, cycles + more + 40


def ayint(fac: Fac) -> tuple[int, int]:
    """Return the greatest integer that is not above, of -32768 to 32767 (AYINT). May raise ILLEGAL QUANTITY."""
    if fac[1] < 0x90:
        value, cycles = qint(fac)
        return value, cycles + 11
    order, cycles = fcomp(fac, MINUS_32768)
    if order:
        raise FloatError(ILLEGAL_QUANTITY)
    value, more = qint(fac)
    return value, cycles + more + 22


def getadr(fac: Fac) -> tuple[int, int]:
    """Return the greatest integer that is not above, of 0 to 65535 (GETADR). May raise ILLEGAL QUANTITY."""
    if fac[0] or fac[1] > 0x90:
        raise FloatError(ILLEGAL_QUANTITY)
    value, cycles = qint(fac)
    return value, cycles + 36


def conint(fac: Fac) -> tuple[int, int]:
    """Return the greatest integer that is not above, of 0 to 255 (CONINT). May raise ILLEGAL QUANTITY.

    The cycles run from CONINT through its closing jump to CHRGOT, which looks at the next character again: add 26 if
    that is below $3A (comma, end of line, digit), 15 if not.
    """
    if fac[0]:
        raise FloatError(ILLEGAL_QUANTITY)
    value, cycles = ayint(fac)
    if value > 255:
        raise FloatError(ILLEGAL_QUANTITY)
    return value, cycles + 46


def givayf(value: int) -> tuple[Fac, int]:
    """Float a signed 16-bit integer (GIVAYF)."""
    result, cycles = _float(0xFF if value < 0 else 0, value << 24, 0x90)
    return result, cycles + 43


def sngflt(byte: int) -> tuple[Fac, int]:
    """Float a byte 0..255 (SNGFLT)."""
    result, cycles = _float(0, byte << 24, 0x90)
    return result, cycles + 48


def float_signed_byte(value: int) -> tuple[Fac, int]:
    """Float a signed byte -128..127 (FLOAT), as comparisons, SGN, ST and digits of a number do."""
    result, cycles = _float(0xFF if value < 0 else 0, value << 32, 0x88)
    return result, cycles + 37


def _float(value_sign: int, bits40: int, exponent: int) -> tuple[Fac, int]:
    """FADFLT: a signed 40-bit quantity to a number."""
    if not value_sign:
        result, cycles = normalize(0, exponent, bits40)
        return result, cycles + 3
    result, cycles = normalize(0xFF, exponent, -bits40)
    return result, cycles + 8 + negate_cycles(zero_bytes(bits40))
