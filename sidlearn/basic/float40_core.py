"""The 40-bit floating accumulator: the forms of a number, packing, rounding, normalising, moving, and its clockwork.

Every operation of the `float40` modules follows the steps of Microsoft's 6502 math package (BASIC-M6502, 1978, MIT
licence, built with its additional precision) down to the rounding byte, and returns beside its result the 6510 cycles
of those steps. Loops over bits and bytes are summed in closed form: shifts, bit counts and small tables made from the
instructions' cycles (MOS 6500 hardware manual). Branches that cross a page take their extra cycle where the C64's
memory map puts them across one ($B849-$BFFF and $E000-$E37A).

Cycles run from the first instruction of a routine through its RTS; the JSR that calls it is not included. A plain
number added to `cycles` is the sum of the instructions between two calls or loops on that path. Routines that read an
operand from memory count it as lying inside one page: add `crossing_cycles` of its address.
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

_ERROR_TEXTS = {ILLEGAL_QUANTITY: "ILLEGAL QUANTITY", OVERFLOW: "OVERFLOW", DIVISION_BY_ZERO: "DIVISION BY ZERO"}

MOVFM_CYCLES = 70  # load FAC from memory
MOVFA_CYCLES = 81  # move ARG into FAC
MOVEF_CYCLES = 88  # move FAC into ARG without rounding
CONUPK_CYCLES = 85  # fetch a memory operand into ARG, with its JSR


class FloatError(Exception):
    """An arithmetic error of BASIC; `code` is its error number (14, 15 or 20)."""

    def __init__(self, code: int) -> None:
        super().__init__(f"{_ERROR_TEXTS[code]} (error {code})")
        self.code = code


# -- forms of a number ------------------------------------------------------------------------------------------------


def unpack(packed: bytes | bytearray) -> Fac:
    """Return the five bytes of a stored variable as an unpacked number."""
    bits = int.from_bytes(packed, "big")
    return 0xFF if bits & 0x80000000 else 0, bits >> 32, bits & 0xFFFFFFFF | 0x80000000, 0


def pack(fac: Fac) -> bytes:
    """Return the five bytes that storing `fac` writes, rounded as the machine rounds when it stores (OVERFLOW)."""
    fac_sign, exponent, mantissa, rounding = fac
    if rounding > 127:
        (_, exponent, mantissa, _), _ = round_fac(fac)
    return (exponent << 32 | (mantissa if fac_sign else mantissa & 0x7FFFFFFF)).to_bytes(5, "big")


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


def single_shift_cycles(places: int) -> int:
    """ROLSHF: right shifts of one bit, the first bit of the top byte already out."""
    return 46 * places - 14


def long_shift_cycles(places: int) -> int:
    """SHIFTR: right shifts by whole bytes, then by bits."""
    size, bits = divmod(places, 8)
    cycles = 2 * (size + 1) + 41 * size + 11
    return cycles + (13 if not bits else 46 * bits + 9)


def _normal_cycles_of(length: int) -> int:
    """NORMAL, by the length in bits of the 40-bit quantity; it gives up on an empty 32-bit mantissa."""
    if length <= 8:
        return 175
    size, bits = divmod(40 - length, 8)
    return 38 + 39 * size + 30 * bits


def count_up_cycles(carries: int) -> int:
    """INCFAC: count up four bytes, `carries` of which overflow."""
    return 14 + 7 * carries if carries < 3 else 32


def negate_cycles(trailing: int) -> int:
    """NEGFAC: complement sign and 40 bits, of which `trailing` bytes at the end are zero."""
    return 62 if not trailing else 55 + count_up_cycles(trailing - 1)


NORMAL_CYCLES = tuple(_normal_cycles_of(length) for length in range(42))


def zero_bytes(bits40: int) -> int:
    """Return how many of the five bytes are zero at the low end."""
    if not bits40:
        return 5
    return ((bits40 & -bits40).bit_length() - 1) >> 3


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
    return (fac_sign, exponent, mantissa, rounding), cycles + 15 + count_up_cycles(carries)


def normalize(fac_sign: int, exponent: int, bits40: int) -> tuple[Fac, int]:
    """Shift mantissa and rounding (`bits40`) left until the top bit is set, lowering the exponent (NORMAL)."""
    length = bits40.bit_length()
    if length <= 8:  # only the 32-bit mantissa is looked at; the rounding bits end up at its top
        return (0, 0, bits40 << 24, 0), 175
    bits40 <<= 40 - length
    exponent += length - 40
    if exponent <= 0:
        return (0, 0, bits40 >> 8, bits40 & 0xFF), NORMAL_CYCLES[length]
    return (fac_sign, exponent, bits40 >> 8, bits40 & 0xFF), NORMAL_CYCLES[length]


def movmf(fac: Fac) -> tuple[Fac, int]:
    """Round and store FAC (MOVMF, the pointer in X and Y): what FAC and the memory hold afterwards, and the cycles."""
    fac, cycles = round_fac(fac)
    return fac, cycles + 81


def movaf(fac: Fac) -> tuple[Fac, int]:
    """Round FAC and copy it to ARG (MOVAF): what both hold afterwards, and the cycles."""
    fac, cycles = round_fac(fac)
    return fac, cycles + 94
