"""TI$: the jiffy clock as six digits, hours, minutes and seconds.

Steps: BASIC-M6502 (TIMELP, FOUTIM), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.float40_text import add_digit
from sidlearn.basic.memory import LOFBUF
from sidlearn.basic.messages import ILLEGAL_QUANTITY, BasicError
from sidlearn.basic.nodes import LENGTH_FAC
from sidlearn.basic.text import JMP, JSR, RTS

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

JIFFIES_A_SECOND = 60
_SETTIM = JMP + 19  # the KERNAL's setting of the jiffy clock
_DIGIT = 5 + JSR + 18 + 3 + 2 + JMP  # TIMNUM but for FINLOG


def time_text(jiffies: int) -> bytes:
    """Return TI$.

    Examples
    --------
    >>> time_text(60 * 3661)
    b'010101'
    """
    seconds = jiffies // JIFFIES_A_SECOND
    return f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}".encode()


def read_time(machine: Interpreter, jiffies: int) -> int:
    """Return TI$ as a new string; the clock has been read."""
    text = time_text(jiffies)
    machine.ram[LOFBUF : LOFBUF + 7] = text + b"\0"
    digits = [digit - 0x30 for digit in text]
    out = _FOUTIM + 50 * sum(digits[::2]) - 49 * sum(digits[1::2])
    descriptor, _, cycles = machine.strings.new_literal(LOFBUF)
    machine.cycles += 3 + 2 + 3 + 2 + 3 + 2 + JSR + out + JMP + 4 + 3 + 8 + cycles
    machine.fac = LENGTH_FAC[len(text)]
    return descriptor


def set_time(machine: Interpreter, text: bytes) -> None:
    """Set the clock from six digits."""
    if len(text) != 6 or not text.isdigit():
        raise BasicError(ILLEGAL_QUANTITY)
    fac = f40.ZERO
    cycles = 2 + 3 + 3
    for place in range(0, 6, 2):
        high, low = text[place] - 0x30, text[place + 1] - 0x30
        fac, added = add_digit(fac, high)
        fac, multiplied = f40.mul10(fac)
        cycles += 3 + JSR + _DIGIT + added + JSR + multiplied + 5 + 3
        fac, added = add_digit(fac, low)
        fac, moved = f40.movaf(fac)
        cycles += JSR + _DIGIT + added + JSR + moved + 2
        if fac[1]:
            fac, more = _times_six(fac)
            cycles += 2 + 2 + 2 + JSR + more
        else:
            cycles += 3
        cycles += 3 + 2 + 2 + (4 if place < 4 else 2)
    fac, multiplied = f40.mul10(fac)
    jiffies, converted = f40.qint(fac)
    machine.memory.set_jiffies(jiffies, machine.cycles)
    machine.cycles += cycles + JSR + multiplied + JSR + converted + 9 + JMP + _SETTIM
    machine.fac = fac


def _times_six(fac: f40.Fac) -> tuple[f40.Fac, int]:
    """FINML6: the number, plus the number, twice."""
    sign, exponent, mantissa, _ = fac
    (sign, exponent, mantissa, rounding), cycles = f40.faddt((sign, exponent + 1, mantissa, 0), fac)
    return (sign, exponent + 1, mantissa, rounding), cycles - _FADDT_TO_FADDC + 2 + 3 + JSR + 5 + 2 + RTS


_FADDT_TO_FADDC = 14
_FOUTIM = 2064  # six digits of 0: counted on the steps of BASIC-M6502
