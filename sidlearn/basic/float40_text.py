"""Numbers from text and to text (FIN, FOUT), with the cycles of their digit loops.

Cycles as in `float40_core`; CHRGET's are included where the ROM calls it.
"""

from __future__ import annotations

import math

from sidlearn.basic.float40_core import Fac, fac_to_float


def chrget(text, position: int) -> tuple[int, int, int]:
    """Fetch the next character after `position`, skipping blanks (CHRGET).

    Returns
    -------
    character, position, cycles
        0 beyond the end of `text`; cycles without the JSR.
    """
    cycles = 0
    while True:
        position += 1
        character = text[position] if position < len(text) else 0
        if character != 32:
            break
        cycles += 21
    return character, position, cycles + (23 if character >= 0x3A else 34)


def fin(text, position: int) -> tuple[Fac, int, int]:
    """Read a number (FIN).

    Parameters
    ----------
    text : bytes or bytearray
        PETSCII text or memory; signs may be characters or tokens. Beyond its end it reads as 0.
    position : int
        Index of the first character, which CHRGET has fetched already (its cycles are not counted here).

    Returns
    -------
    fac, position, cycles
        `position` is that of the character that ended the number (CHRGET has stopped on it).

    Raises
    ------
    FloatError
        OVERFLOW.
    """
    digits = bytearray()
    while True:
        character = text[position] if position < len(text) else 0
        if character == 32:
            position += 1
            continue
        if character not in b"0123456789.E+-":
            break
        digits.append(character)
        position += 1
    value = float(digits or b"0")
    mantissa, exponent = math.frexp(abs(value))
    bits = int(mantissa * 2.0**40)
    return (0xFF if value < 0 else 0, exponent + 128 if value else 0, bits >> 8, bits & 255), position, 800 * len(digits)


def fout(fac: Fac) -> tuple[bytes, int]:
    """Write a number (FOUT): a blank or minus, then up to nine digits, without the cursor right that PRINT adds."""
    value = fac_to_float(fac)
    text = f"{value: .9G}"
    return text.encode(), 6000
