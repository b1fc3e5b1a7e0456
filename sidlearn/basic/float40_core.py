"""The 40-bit floating accumulator: packing, moving, adding, multiplying, dividing, comparing, integers.

Every operation follows the steps of Microsoft's 6502 math package (BASIC-M6502, 1978, MIT licence, built with its
additional precision) down to the rounding byte, and returns beside its result the 6510 cycles of those steps. Loops
over bits and bytes are summed in closed form: shifts, bit counts and small tables built below from the instructions'
cycles (MOS 6500 hardware manual). Branches that cross a page take their extra cycle where the C64's memory map puts
them across one ($B849-$BFFF and $E000-$E37A).

Cycles run from the first instruction of a routine through its RTS; the JSR that calls it is not included. Routines
that read an operand from memory count it as lying inside one page: add `crossing_cycles` of its address.
"""

from __future__ import annotations

Fac = tuple[int, int, int, int]
"""``(sign, exponent, mantissa, rounding)``: sign 0 or 0xFF, exponent 0..255 (excess 128; 0 is the value zero, whatever
the mantissa), mantissa 32 bits with its top bit explicit, rounding the 8 bits below the mantissa."""

ZERO: Fac = (0, 0, 0, 0)
ONE: Fac = (0, 0x81, 0x80000000, 0)
HALF: Fac = (0, 0x80, 0x80000000, 0)
TEN: Fac = (0, 0x84, 0xA0000000, 0)
MINUS_32768: Fac = (0xFF, 0x90, 0x80000000, 0)

ILLEGAL_QUANTITY = 14  # error numbers of BASIC V2 (C64 Programmer's Reference Guide, appendix)
OVERFLOW = 15
DIVISION_BY_ZERO = 20

MOVFM_CYCLES = 70  # load FAC from memory
MOVFA_CYCLES = 81  # move ARG into FAC
MOVEF_CYCLES = 88  # move FAC into ARG without rounding
CONUPK_CYCLES = 85  # fetch a memory operand into ARG, with its JSR


class FloatError(Exception):
    """An arithmetic error of BASIC; `code` is its error number (14, 15 or 20)."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


# -- forms of a number ------------------------------------------------------------------------------------------------


def unpack(packed: bytes) -> Fac:
    """Return the five bytes of a stored variable as an unpacked number."""
    exponent, high, *low = packed
    return 0xFF if high & 0x80 else 0, exponent, (high | 0x80) << 24 | low[0] << 16 | low[1] << 8 | low[2], 0


def pack(fac: Fac) -> bytes:
    """Return the five bytes that storing `fac` writes, rounded as the machine rounds when it stores (OVERFLOW)."""
    (fac_sign, exponent, mantissa, _), _ = round_fac(fac)
    high = mantissa >> 24 & (0xFF if fac_sign else 0x7F)
    return bytes((exponent, high, mantissa >> 16 & 0xFF, mantissa >> 8 & 0xFF, mantissa & 0xFF))


def fac_to_float(fac: Fac) -> float:
    """Return the value, rounding bits included, as a Python float (exact: a double holds 53 bits)."""
    fac_sign, exponent, mantissa, rounding = fac
    if not exponent:
        return 0.0
    value = (mantissa << 8 | rounding) * 2.0 ** (exponent - 168)
    return -value if fac_sign else value


def fac_from_int(value: int) -> Fac:
    """Return an integer below 2^32 in size as a normalised number (a helper, not a routine of the machine)."""
    size = abs(value)
    bits = size.bit_length()
    return (0xFF if value < 0 else 0, 128 + bits, size << 32 - bits, 0) if size else ZERO


def crossing_cycles(address: int) -> int:
    """Return the cycles that fetching the five bytes at `address` takes longer when they straddle a page."""
    return max(0, (address & 0xFF) - 251)


# -- cycles of the inner loops ----------------------------------------------------------------------------------------


def _single_shifts(places: int) -> int:
    """ROLSHF: right shifts of one bit, the first bit of the top byte already out."""
    return 46 * places - 14


def _long_shift(places: int) -> int:
    """SHIFTR: right shifts by whole bytes, then by bits."""
    size, bits = divmod(places, 8)
    cycles = 2 * (size + 1) + 41 * size + 11
    return cycles + (13 if not bits else 46 * bits + 9)


def _alignment(places: int) -> int:
    """FADD1: bring the smaller operand to the larger exponent. Past 135 places its sign test fails: bit by bit."""
    if 8 <= places <= 135:
        return 14 + _long_shift(places)
    return 21 + _single_shifts(places)


def _normal_cycles(length: int) -> int:
    """NORMAL, by the length in bits of the 40-bit quantity; it gives up on an empty 32-bit mantissa."""
    if length <= 8:
        return 175
    size, bits = divmod(40 - length, 8)
    return 38 + 39 * size + 30 * bits


def _incfac_cycles(carries: int) -> int:
    """INCFAC: count up four bytes, `carries` of which overflow."""
    return 14 + 7 * carries if carries < 3 else 32


def _negate_cycles(trailing: int) -> int:
    """NEGFAC: complement sign and 40 bits, of which `trailing` bytes at the end are zero."""
    return 62 if not trailing else 55 + _incfac_cycles(trailing - 1)


def _qint_cycles(exponent: int) -> int:
    """QINT of a positive number below 2^31."""
    places = 160 - exponent
    if 8 <= places <= 135:
        return 36 + _long_shift(places)
    return 55 + _single_shifts(places)


def _qint_negative_cycles(exponent: int) -> int:
    """QINT of a negative number, without the complement's own cycles: sign bits shifted in cost 5 more each."""
    places = 160 - exponent
    return _qint_cycles(exponent) + 6 + 5 * (places % 8 if 8 <= places <= 135 else places - 1)


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


_NORMAL = tuple(_normal_cycles(length) for length in range(42))
_QINT = (26, *(_qint_cycles(exponent) for exponent in range(1, 160)))
_QINT_NEGATIVE = (26, *(_qint_negative_cycles(exponent) for exponent in range(1, 160)))
_SHIFT_ARG = (26, *(33 + _alignment(places) for places in range(1, 256)))  # FADDT until both exponents are equal
_SHIFT_FAC = (26, *(50 + _alignment(places) for places in range(1, 256)))
_MULTIPLY = tuple(
    tuple((176 if carry else 171) + _multiplier_cycles(zeros, 1 - carry) for zeros in range(16)) for carry in (0, 1)
)
_LOSES_BIT = tuple(_loses_bit(zeros) for zeros in range(16))


# -- rounding and normalising -----------------------------------------------------------------------------------------


def round_fac(fac: Fac) -> tuple[Fac, int]:
    """Round into 32 bits (ROUND). Returns the number with rounding 0, and the cycles. May raise OVERFLOW."""
    fac_sign, exponent, mantissa, rounding = fac
    if rounding < 128:
        return (fac_sign, exponent, mantissa, 0), 19 if exponent else 12
    if not exponent:
        return (fac_sign, 0, mantissa, 0), 12
    return increment((fac_sign, exponent, mantissa, 0), 12)


def increment(fac: Fac, cycles: int = 0) -> tuple[Fac, int]:
    """Add one to the last bit of the mantissa (INCRND). May raise OVERFLOW."""
    fac_sign, exponent, mantissa, rounding = fac
    mantissa += 1
    if mantissa & 0xFF:
        return (fac_sign, exponent, mantissa, rounding), cycles + 29
    if mantissa >> 32:
        if exponent == 255:
            raise FloatError(OVERFLOW)
        return (fac_sign, exponent + 1, 0x80000000, rounding >> 1), cycles + 81
    carries = 1 if mantissa & 0xFFFF else 2 if mantissa & 0xFFFFFF else 3
    return (fac_sign, exponent, mantissa, rounding), cycles + 15 + _incfac_cycles(carries)


def normalize(fac_sign: int, exponent: int, bits40: int) -> tuple[Fac, int]:
    """Shift mantissa and rounding (`bits40`) left until the top bit is set, lowering the exponent (NORMAL)."""
    length = bits40.bit_length()
    if length <= 8:  # only the 32-bit mantissa is looked at; the rounding bits end up at its top
        return (0, 0, bits40 << 24, 0), 175
    bits40 <<= 40 - length
    exponent += length - 40
    if exponent <= 0:
        return (0, 0, bits40 >> 8, bits40 & 0xFF), _NORMAL[length]
    return (fac_sign, exponent, bits40 >> 8, bits40 & 0xFF), _NORMAL[length]


def movmf(fac: Fac) -> tuple[Fac, int]:
    """Round and store FAC (MOVMF, the pointer in X and Y): what FAC and the memory hold afterwards, and the cycles."""
    fac, cycles = round_fac(fac)
    return fac, cycles + 81


def movaf(fac: Fac) -> tuple[Fac, int]:
    """Round FAC and copy it to ARG (MOVAF): what both hold afterwards, and the cycles."""
    fac, cycles = round_fac(fac)
    return fac, cycles + 94


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
                cycles += 5 + _negate_cycles((total & 0xFF == 0) and _zero_bytes(total))
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
    """Multiply, both operands unpacked (FMULTT): arg * fac. The rounding bits of `arg` do not count. May raise OVERFLOW.

    The multiplier is `fac` with its rounding byte: the cost is in its set bits and its zero bytes.
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
    zeros = (
        (not rounding)
        + 2 * (not mantissa & 0xFF)
        + 4 * (not mantissa & 0xFF00)
        + 8 * (not mantissa & 0xFF0000)
    )
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
    (fac_sign, exponent, mantissa, _), cycles = round_fac(fac)
    arg_sign, arg_exponent, arg_mantissa, _ = arg
    exponent = arg_exponent - exponent + 128
    if not arg_exponent:
        return (0, 0, mantissa, fac[3] << 1 & 0xFF), cycles + 55
    if exponent < 0:
        return (0, 0, mantissa, fac[3] << 1 & 0xFF), cycles + 65
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


# -- signs, comparison, integers --------------------------------------------------------------------------------------


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
    return -bits40 >> 168 - exponent, _QINT_NEGATIVE[exponent] + _negate_cycles(_zero_bytes(bits40))


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

    The cycles end before the jump to CHRGOT, which looks at the next character again: add 26 if it is below $3A
    (comma, end of line, digit), 15 if not.
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


# -- helpers ----------------------------------------------------------------------------------------------------------


def _zero_bytes(bits40: int) -> int:
    """Return how many of the five bytes are zero at the low end."""
    if not bits40:
        return 5
    return ((bits40 & -bits40).bit_length() - 1) >> 3


def _float(value_sign: int, bits40: int, exponent: int) -> tuple[Fac, int]:
    """FADFLT: a signed 40-bit quantity to a number."""
    if not value_sign:
        result, cycles = normalize(0, exponent, bits40)
        return result, cycles + 3
    result, cycles = normalize(0xFF, exponent, -bits40)
    return result, cycles + 8 + _negate_cycles(_zero_bytes(bits40))


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
