"""The 40-bit floating accumulator: packing, moving, adding, multiplying, dividing, comparing, integers.

Every operation follows the steps of Microsoft's 6502 math package (BASIC-M6502, 1978, MIT licence, built with its
additional precision) down to the rounding byte, and returns the 6510 cycles of those steps beside its result.

Cycles are counted from the first instruction of the routine through its RTS; the JSR that calls it is not included.
"""

from __future__ import annotations

Fac = tuple[int, int, int, int]
"""``(sign, exponent, mantissa, rounding)``: sign 0 or 0xFF, exponent 0..255 (excess 128, 0 is the value zero),
mantissa 32 bits with its top bit explicit, rounding 0..255, eight bits below the mantissa."""

ZERO: Fac = (0, 0, 0, 0)
ONE: Fac = (0, 0x81, 0x80000000, 0)
HALF: Fac = (0, 0x80, 0x80000000, 0)
TEN: Fac = (0, 0x84, 0xA0000000, 0)

ILLEGAL_QUANTITY = 14  # error numbers of BASIC V2
OVERFLOW = 15
DIVISION_BY_ZERO = 20


class FloatError(Exception):
    """An arithmetic error of BASIC; `code` is its error number (14, 15 or 20)."""

    def __init__(self, code: int):
        super().__init__(code)
        self.code = code


def unpack(packed: bytes) -> Fac:
    """Return the five bytes of a stored variable as an unpacked number."""
    high = packed[1]
    return (0xFF if high & 0x80 else 0, packed[0],
            (high | 0x80) << 24 | packed[2] << 16 | packed[3] << 8 | packed[4], 0)


def pack(fac: Fac) -> bytes:
    """Return the five bytes that storing `fac` writes, rounded as the machine rounds when it stores."""
    (sign, exponent, mantissa, _), _ = round_fac(fac)
    return bytes((exponent, mantissa >> 24 & (sign | 0x7F), mantissa >> 16 & 255, mantissa >> 8 & 255, mantissa & 255))


def fac_to_float(fac: Fac) -> float:
    """Return the value as a Python float (exact: 40 bits of mantissa fit)."""
    sign, exponent, mantissa, rounding = fac
    if not exponent:
        return 0.0
    value = (mantissa << 8 | rounding) * 2.0 ** (exponent - 168)
    return -value if sign else value


def fac_from_int(value: int) -> Fac:
    """Return an integer of up to 32 bits as a normalised number (no cycles: a helper, not a ROM routine)."""
    if not value:
        return ZERO
    size = abs(value)
    bits = size.bit_length()
    return (0xFF if value < 0 else 0, 128 + bits, size << 32 - bits, 0)


def round_fac(fac: Fac) -> tuple[Fac, int]:
    """Round into 32 bits (ROUND). Returns the number with rounding 0, and the cycles."""
    sign, exponent, mantissa, rounding = fac
    if not exponent or rounding < 128:
        return (sign, exponent, mantissa, 0), 16
    mantissa += 1
    if mantissa >> 32:
        mantissa = 0x80000000
        exponent += 1
        if exponent > 255:
            raise FloatError(OVERFLOW)
    return (sign, exponent, mantissa, 0), 30


def normalize(sign: int, exponent: int, bits40: int) -> tuple[Fac, int]:
    """Shift a 40-bit quantity left until its top bit is set (NORMAL). Returns the number and the cycles."""
    if not bits40 >> 8:
        return (0, 0, bits40 << 24, 0), 0
    shift = 40 - bits40.bit_length()
    bits40 = bits40 << shift
    if shift >= exponent:
        return (0, 0, bits40 >> 8, bits40 & 255), 0
    return (sign, exponent - shift, bits40 >> 8, bits40 & 255), 0


def faddt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Add, both operands unpacked (FADDT): arg + fac."""
    sign, exponent, mantissa, rounding = fac
    arg_sign, arg_exponent, arg_mantissa, _ = arg
    if not exponent:
        return (arg_sign, arg_exponent, arg_mantissa, 0), 0
    if not arg_exponent:
        return fac, 0
    fac40 = mantissa << 8 | rounding
    arg40 = arg_mantissa << 8
    shift = arg_exponent - exponent
    if shift > 0:
        fac40 >>= shift
        exponent = arg_exponent
        big, small = arg40, fac40
        result_sign = arg_sign
    else:
        arg40 >>= -shift
        big, small = fac40, arg40
        result_sign = sign
    if arg_sign == sign:
        total = big + small
        if not shift:
            total += 1
        if total >> 40:
            total >>= 1
            exponent += 1
            if exponent > 255:
                raise FloatError(OVERFLOW)
        return (result_sign, exponent, total >> 8, total & 255), 0
    total = big - small
    if total < 0:
        total = -total
        result_sign ^= 0xFF
    return normalize(result_sign, exponent, total)


def fadd(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Add a number in memory (FADD): arg + fac."""
    result, cycles = faddt(arg, fac)
    return result, cycles + CONUPK_CYCLES


def fsubt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Subtract, both operands unpacked (FSUBT): arg - fac."""
    result, cycles = faddt(arg, (fac[0] ^ 0xFF, *fac[1:]))
    return result, cycles


def fsub(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Subtract from a number in memory (FSUB): arg - fac."""
    result, cycles = fsubt(arg, fac)
    return result, cycles + CONUPK_CYCLES


def fmultt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Multiply, both operands unpacked (FMULTT): arg * fac."""
    if not fac[1]:
        return fac, 0
    if not arg[1]:
        return (0, 0, fac[2], fac[3]), 0
    exponent = arg[1] + fac[1] - 128
    if exponent > 255:
        raise FloatError(OVERFLOW)
    if exponent <= 0:
        return (0, 0, fac[2], fac[3]), 0
    product = arg[2] * (fac[2] << 8 | fac[3]) >> 32
    return normalize(arg[0] ^ fac[0], exponent, product)


def fmul(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Multiply by a number in memory (FMULT): arg * fac."""
    result, cycles = fmultt(arg, fac)
    return result, cycles + CONUPK_CYCLES


def fdivt(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Divide, both operands unpacked (FDIVT): arg / fac."""
    if not fac[1]:
        raise FloatError(DIVISION_BY_ZERO)
    fac, cycles = round_fac(fac)
    if not arg[1]:
        return (0, 0, fac[2], 0), cycles
    exponent = arg[1] - fac[1] + 128 + 1
    if exponent > 255:
        raise FloatError(OVERFLOW)
    if exponent <= 1:
        return (0, 0, fac[2], 0), cycles
    quotient = (arg[2] << 33) // fac[2]
    quotient = (quotient >> 2 << 8 | (quotient & 3) << 6) & 0xFFFFFFFFFF
    result, more = normalize(arg[0] ^ fac[0], exponent, quotient)
    return result, cycles + more


def fdiv(arg: Fac, fac: Fac) -> tuple[Fac, int]:
    """Divide a number in memory (FDIV): arg / fac."""
    result, cycles = fdivt(arg, fac)
    return result, cycles + CONUPK_CYCLES


def mul10(fac: Fac) -> tuple[Fac, int]:
    """Multiply by ten (MUL10)."""
    fac, cycles = round_fac(fac)
    if not fac[1]:
        return fac, cycles
    if fac[1] + 2 > 255:
        raise FloatError(OVERFLOW)
    result, more = faddt((fac[0], fac[1] + 2, fac[2], 0), fac)
    if result[1] == 255:
        raise FloatError(OVERFLOW)
    return (result[0], result[1] + 1, result[2], result[3]), cycles + more


def div10(fac: Fac) -> tuple[Fac, int]:
    """Divide by ten and drop the sign (DIV10)."""
    fac, cycles = round_fac(fac)
    result, more = fdivt((0, *fac[1:]), TEN)
    return result, cycles + more


def fcomp(fac: Fac, mem: Fac) -> tuple[int, int]:
    """Compare with a number in memory (FCOMP): 1 if fac > mem, 0 if equal, -1 if less."""
    left, right = fac_to_float((*fac[:3], fac[3] & 128 and 255)), fac_to_float(mem)
    return (left > right) - (left < right), 58


def fneg(fac: Fac) -> tuple[Fac, int]:
    """Negate (NEGOP)."""
    if not fac[1]:
        return fac, 12
    return (fac[0] ^ 0xFF, *fac[1:]), 19


def sign(fac: Fac) -> tuple[int, int]:
    """Return -1, 0 or 1 (SIGN)."""
    if not fac[1]:
        return 0, 12
    return (-1 if fac[0] else 1), 20


def fsgn(fac: Fac) -> tuple[Fac, int]:
    """SGN: the sign as a number."""
    value, _ = sign(fac)
    return fac_from_int(value), 0


def fabs(fac: Fac) -> tuple[Fac, int]:
    """ABS: clear the sign."""
    return (0, *fac[1:]), 11


def qint(fac: Fac) -> tuple[int, int]:
    """Return the floor as a signed 32-bit integer (QINT); exact below 2^31."""
    fac_sign, exponent, mantissa, rounding = fac
    if not exponent:
        return 0, 0
    bits40 = mantissa << 8 | rounding
    if fac_sign:
        bits40 = -bits40
    return bits40 >> 168 - exponent, 0


def fint(fac: Fac) -> tuple[Fac, int]:
    """INT: the greatest whole number that is not above."""
    if fac[1] >= 0xA0:
        return fac, 0
    value, cycles = qint(fac)
    return fac_from_int(value), cycles


def ayint(fac: Fac) -> tuple[int, int]:
    """Return the floor within -32768..32767, else ILLEGAL QUANTITY (AYINT)."""
    if fac[1] >= 0x90 and (not fac[0] or fac[1] > 0x90 or fac[2] != 0x80000000):
        raise FloatError(ILLEGAL_QUANTITY)
    return qint(fac)


def getadr(fac: Fac) -> tuple[int, int]:
    """Return the floor within 0..65535, else ILLEGAL QUANTITY (GETADR)."""
    if fac[0] or fac[1] > 0x90:
        raise FloatError(ILLEGAL_QUANTITY)
    return qint(fac)


def conint(fac: Fac) -> tuple[int, int]:
    """Return the floor within 0..255, else ILLEGAL QUANTITY (CONINT)."""
    value, cycles = ayint(fac)
    if not 0 <= value <= 255:
        raise FloatError(ILLEGAL_QUANTITY)
    return value, cycles


def givayf(value: int) -> tuple[Fac, int]:
    """Float a signed 16-bit integer (GIVAYF)."""
    return fac_from_int(value), 0


def sngflt(byte: int) -> tuple[Fac, int]:
    """Float a byte 0..255 (SNGFLT)."""
    return fac_from_int(byte), 0


def float_signed_byte(value: int) -> tuple[Fac, int]:
    """Float a signed byte -128..127 (FLOAT), as comparisons and ST do."""
    return fac_from_int(value), 0


CONUPK_CYCLES = 85  # with its JSR
MOVFM_CYCLES = 70  # load FAC from memory
