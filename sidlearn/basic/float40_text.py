"""Numbers from text (FIN) and to text (FOUT), with the cycles of their digit loops.

Steps of Microsoft's BASIC-M6502 (1978, MIT licence); CHRGET tests for ``:`` and above before it tests for a blank, as
measured on the C64 (23, 34 and 21 cycles). Cycles are counted as in `float40_core`.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidlearn.basic.float40_arithmetic import (
    div10,
    fadd,
    faddt,
    fmul,
    mul10,
)
from sidlearn.basic.float40_core import (
    HALF,
    OVERFLOW,
    ZERO,
    Fac,
    FloatError,
    movaf,
    unpack,
)
from sidlearn.basic.float40_integers import (
    fcomp,
    float_signed_byte,
    fneg,
    qint,
)

BILLION = unpack(bytes.fromhex("9e6e6b2800"))
NINE_DIGITS = unpack(bytes.fromhex("9e6e6b27fd"))  # 999999999.25: above it nine digits cannot hold the integer part
EIGHT_DIGITS = unpack(bytes.fromhex("9b3ebc1ffd"))  # 99999999.90625: above it nine digits are used up

_MINUS, _PLUS, _POINT, _E = b"-+.E"
# Sign of an exponent -> whether it is minus, and the cycles of the comparisons that find it. $AB and $AA are tokens.
_EXPONENT_SIGNS = {0xAB: (True, 12), _MINUS: (True, 16), 0xAA: (False, 15), _PLUS: (False, 19)}
_DIGITS = tuple(float_signed_byte(digit) for digit in range(10))


def chrgot(text: Sequence[int], position: int) -> tuple[int, int, int]:
    """Look at the character at `position`, or the next one that is no blank (CHRGOT).

    Returns
    -------
    character, position, cycles
        Beyond the end of `text` the character is 0. When `text` is the whole memory, `position` is an address, and
        stepping into the next page takes 4 cycles more.
    """
    length = len(text)
    cycles = 0
    while True:
        character = text[position] if position < length else 0
        if character != 32:
            return character, position, cycles + (15 if character > 0x39 else 26)
        position += 1
        cycles += 21 if position & 0xFF else 25


def chrget(text: Sequence[int], position: int) -> tuple[int, int, int]:
    """Fetch the next character after `position` that is no blank (CHRGET); returns as `chrgot`."""
    position += 1
    character, found, cycles = chrgot(text, position)
    return character, found, cycles + (8 if position & 0xFF else 12)


def fin(text: Sequence[int], position: int) -> tuple[Fac, int, int]:
    """Read a number (FIN).

    Parameters
    ----------
    text : bytes or bytearray
        PETSCII text or the whole memory; beyond its end it reads as 0. The sign of the number is a character, that of
        its exponent a character or a token.
    position : int
        Index of the first character, which CHRGET has fetched already (its cycles are not counted here).

    Returns
    -------
    fac, position, cycles
        `position` is that of the character that ended the number: CHRGET has stopped on it. The cycles hold those of
        CHRGET for every character after the first.

    Raises
    ------
    FloatError
        OVERFLOW.
    """
    character = text[position] if position < len(text) else 0
    fac = ZERO
    cycles = 102
    negative = point_seen = False
    places = 0
    if 0x30 <= character <= 0x39:
        cycles += 4  # a branch across a page
    elif character in (_MINUS, _PLUS):
        negative = character == _MINUS
        character, position, more = chrget(text, position)
        cycles += more + (18 if negative else 17)
    else:
        cycles += 10
    while True:
        if 0x30 <= character <= 0x39:
            cycles += 41
            if point_seen:
                places += 1
                cycles += 4
            fac, more = mul10(fac)
            cycles += more
            fac, more = add_digit(fac, character - 0x30)
            cycles += more
        elif character != _POINT:
            break
        elif point_seen:
            cycles += 17
            break
        else:
            point_seen = True
            cycles += 24
        character, position, more = chrget(text, position)
        cycles += more
    ten_power = 0
    if character == _E:
        ten_power, position, more = _read_exponent(text, position)
        cycles += more + 10
    elif character != _POINT:
        cycles += 14
    else:
        cycles += 3
    fac, more = _scale(fac, ten_power - places)
    cycles += more
    if not negative:
        return fac, position, cycles + 11
    fac, more = fneg(fac)
    return fac, position, cycles + more + 9


def add_digit(fac: Fac, digit: int) -> tuple[Fac, int]:
    """Add a digit 0..9 to FAC (FINLOG)."""
    arg, moved = movaf(fac)
    fac, floated = _DIGITS[digit]
    fac, added = faddt(arg, fac)
    return fac, moved + floated + added + 34


def fout(fac: Fac) -> tuple[bytes, int]:
    """Write a number (FOUT): a blank or minus, then up to nine digits, without the cursor right that PRINT adds.

    Returns
    -------
    text, cycles
        ASCII, which is PETSCII here. Printing it, or moving it to the string space, is not counted.
    """
    fac_sign, exponent, mantissa, rounding = fac
    text = bytearray(b"-" if fac_sign else b" ")
    cycles = 29 if fac_sign else 28
    if not exponent:
        return bytes(text + b"0"), cycles + 27
    digits, power, more = _nine_digits((0, exponent, mantissa, rounding))
    cycles += more + 3
    before_point = 1
    if power < -10:
        cycles += 33
        power += 8
    elif power > 0:
        cycles += 35
        power += 8
    else:
        before_point = power + 9
        power = 0
        if before_point > 0:
            cycles += 42
        elif before_point:
            cycles += 69
            text += b".0"
        else:
            cycles += 60
            text += b"."
    cycles += _digit_cycles(digits)
    if before_point > 0:
        cycles += 8
        digits = digits[:before_point] + "." + digits[before_point:]
    text += digits.encode()
    length = len(text)
    text = text.rstrip(b"0")
    cycles += 12 * (length - len(text)) + 20
    if text[-1] == _POINT:
        del text[-1]
        cycles -= 1
    if not power:
        return bytes(text), cycles + 26
    size = abs(power)
    text += f"E{'-' if power < 0 else '+'}{size:02d}".encode()
    return bytes(text), cycles + (78 if power < 0 else 68) + 7 * (size // 10)


# -- helpers ----------------------------------------------------------------------------------------------------------


def _read_exponent(text: Sequence[int], position: int) -> tuple[int, int, int]:
    """Read what follows the E. Returns the signed power of ten, the position of the next character, and the cycles."""
    power, negative = 0, False
    character, position, cycles = chrget(text, position)
    if 0x30 <= character <= 0x39:
        cycles += 12
    elif character in _EXPONENT_SIGNS:
        negative, more = _EXPONENT_SIGNS[character]
        character, position, fetched = chrget(text, position)
        cycles += more + fetched + 15
    else:
        return 0, position, cycles + 36
    while 0x30 <= character <= 0x39:
        if power < 10:
            power = power * 10 + character - 0x30
            cycles += 38
        elif negative:
            power = 100
            cycles += 21
        else:
            raise FloatError(OVERFLOW)
        character, position, more = chrget(text, position)
        cycles += more + 9
    return (-power, position, cycles + 14) if negative else (power, position, cycles + 8)


def _scale(fac: Fac, power: int) -> tuple[Fac, int]:
    """Multiply or divide by ten, `power` times; the machine counts in a signed byte."""
    power = (power + 128 & 0xFF) - 128
    if not power:
        return fac, 11
    cycles = 13
    step = mul10 if power > 0 else div10
    for _ in range(abs(power)):
        fac, more = step(fac)
        cycles += more + 14
    return fac, cycles - 1 if power > 0 else cycles + 1


def _nine_digits(fac: Fac) -> tuple[str, int, int]:
    """Scale a positive number to nine digits before the point, and round.

    Returns
    -------
    digits, power, cycles
        The nine digits, the power of ten that they are to be multiplied with (0 to 38, or below 0), the cycles.
    """
    power = 0
    cycles = 18
    if fac[1] <= 0x80:
        cycles += 11
        power = -9
        fac, more = fmul(BILLION, fac)
        cycles += more
    while True:
        order, more = fcomp(fac, NINE_DIGITS)
        cycles += more + 10
        if order <= 0:
            break
        fac, more = div10(fac)
        cycles += more + 19
        power += 1
    if order:
        cycles += 4
        while True:
            order, more = fcomp(fac, EIGHT_DIGITS)
            cycles += more + 10
            if order > 0:
                break
            fac, more = mul10(fac)
            cycles += more + (18 if order else 17)
            power -= 1
        fac, more = fadd(HALF, fac)
        cycles += more + 18
    else:
        cycles += 3
    value, more = qint(fac)
    return f"{value:09d}", power, cycles + more


def _digit_cycles(digits: str) -> int:
    """Cycles of the nine digits: powers of ten are subtracted and added in turn until the sign changes."""
    down = sum(map(int, digits[0::2]))
    up = sum(map(int, digits[1::2]))
    return 2790 + 50 * down - 49 * up
