"""The pieces that the compiler of expressions works with, and what the accumulator holds behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sidlearn.basic import float40 as f40
from sidlearn.basic.tokens import TOKEN

Closure = Callable[[], Any]
Operation = Callable[[f40.Fac], tuple[f40.Fac, int]]

PLUS, MINUS, TIMES, DIVIDE, POWER, AND, OR = (TOKEN[k] for k in ("+", "-", "*", "/", "^", "and", "or"))
GREATER, LESS = TOKEN[">"], TOKEN["<"]  # the equals sign lies between them
FN, NOT, PI, EQUAL, TO = TOKEN["fn"], TOKEN["not"], 0xFF, TOKEN["="], TOKEN["to"]
FIRST_FUNCTION, LEFT, RIGHT, MID, GO = (TOKEN[k] for k in ("sgn", "left$", "right$", "mid$", "go"))
QUOTE, COMMA, OPEN, CLOSE, DOLLAR, PERCENT, POINT = b'",()$%.'
SEMICOLON, HASH = b";#"
GOTO, GOSUB, THEN = (TOKEN[k] for k in ("goto", "gosub", "then"))


# Source: BASIC-M6502, OPTAB.
PRECEDENCE = {PLUS: 0x79, MINUS: 0x79, TIMES: 0x7B, DIVIDE: 0x7B, POWER: 0x7F, AND: 0x50, OR: 0x46}
NEGATE_PRECEDENCE, NOT_PRECEDENCE, RELATION_PRECEDENCE = 0x7D, 0x5A, 0x64

CHKNUM = 18
CHKSTR = 17
PUSH = 109  # DOPRE1 to LPOPER: the operator and the left-hand side go on the stack; ROUND comes on top
PULL = 66  # PULSTK: the left-hand side comes back


class Node:
    """A compiled piece of an expression.

    Attributes
    ----------
    run : callable
        Gives its value.
    string : bool
        Whether that is a string.
    constant : Fac or None
        The value, if it never changes: its cost is in the bill of the text then.
    looks_back : bool
        Whether it begins with something whose cost depends on what the accumulator held before.
    """

    __slots__ = ("constant", "looks_back", "run", "string")

    def __init__(self, run: Closure, string: bool = False, constant: f40.Fac | None = None, looks_back: bool = False):
        self.run = run
        self.string = string
        self.constant = constant
        self.looks_back = looks_back


class Operator:
    """An operator waiting for its right-hand side.

    A relation has the token 0 and a mask of > (1), = (2) and < (4). It compares strings if what stands right before it
    is one (`string`), whatever has become of that by then.
    """

    __slots__ = ("mask", "precedence", "string", "token")

    def __init__(self, token: int, precedence: int, mask: int = 0, string: bool = False):
        self.token = token
        self.precedence = precedence
        self.mask = mask
        self.string = string


def half_rounded(fac: f40.Fac, rounded: f40.Fac) -> f40.Fac:
    """Return what ROUND leaves behind: it shifts the rounding byte left, and does not clear it."""
    return rounded[0], rounded[1], rounded[2], fac[3] << 1 & 255


# Exponent -> the bits of the mantissa that stand behind the binary point.
FRACTION = tuple(0xFFFFFFFF >> min(max(exponent - 128, 0), 32) for exponent in range(256))


def made_integer(fac: f40.Fac) -> f40.Fac:
    """Return what QINT leaves behind: an integer under the old exponent.

    The bytes that it shifts out pass through the rounding byte.
    """
    sign, exponent, mantissa, rounding = fac
    size = (160 - exponent) >> 3
    if not exponent or size < 1:
        return fac
    bits = mantissa << 8 | rounding
    if sign:
        bits = -bits
    return sign, exponent, bits >> 168 - exponent & 0xFFFFFFFF, bits >> 8 * min(size, 5) & 255


LENGTH_FAC: tuple[f40.Fac, ...] = tuple((0, length, 0, 0) for length in range(256))
"""What making a string leaves in the accumulator: its exponent is the length of the string."""


Body = Callable[[], int]
"""Runs a statement; gives the address of the character it stopped at."""


def is_letter(char: int) -> bool:
    """Whether a variable name may begin with this character."""
    return 0x41 <= char <= 0x5A


def isletc(char: int) -> int:
    """Return the cycles of the test for a letter (ISLETC)."""
    return 16 if char >= 0x41 else 11
