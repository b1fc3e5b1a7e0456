"""The errors of BASIC V2: their numbers, their texts, and the exception that carries one to the program's end.

Source: Commodore 64 Programmer's Reference Guide, appendix K; the numbers are those that the machine keeps in X when it
calls its error routine.
"""

from __future__ import annotations

TOO_MANY_FILES = 1
FILE_OPEN = 2
FILE_NOT_OPEN = 3
FILE_NOT_FOUND = 4
DEVICE_NOT_PRESENT = 5
NOT_INPUT_FILE = 6
NOT_OUTPUT_FILE = 7
MISSING_FILE_NAME = 8
ILLEGAL_DEVICE_NUMBER = 9
NEXT_WITHOUT_FOR = 10
SYNTAX = 11
RETURN_WITHOUT_GOSUB = 12
OUT_OF_DATA = 13
ILLEGAL_QUANTITY = 14
OVERFLOW = 15
OUT_OF_MEMORY = 16
UNDEFD_STATEMENT = 17
BAD_SUBSCRIPT = 18
REDIMD_ARRAY = 19
DIVISION_BY_ZERO = 20
ILLEGAL_DIRECT = 21
TYPE_MISMATCH = 22
STRING_TOO_LONG = 23
FILE_DATA = 24
FORMULA_TOO_COMPLEX = 25
CANT_CONTINUE = 26
UNDEFD_FUNCTION = 27
VERIFY = 28
LOAD = 29
BREAK = 30

TEXTS = {
    TOO_MANY_FILES: "TOO MANY FILES",
    FILE_OPEN: "FILE OPEN",
    FILE_NOT_OPEN: "FILE NOT OPEN",
    FILE_NOT_FOUND: "FILE NOT FOUND",
    DEVICE_NOT_PRESENT: "DEVICE NOT PRESENT",
    NOT_INPUT_FILE: "NOT INPUT FILE",
    NOT_OUTPUT_FILE: "NOT OUTPUT FILE",
    MISSING_FILE_NAME: "MISSING FILE NAME",
    ILLEGAL_DEVICE_NUMBER: "ILLEGAL DEVICE NUMBER",
    NEXT_WITHOUT_FOR: "NEXT WITHOUT FOR",
    SYNTAX: "SYNTAX",
    RETURN_WITHOUT_GOSUB: "RETURN WITHOUT GOSUB",
    OUT_OF_DATA: "OUT OF DATA",
    ILLEGAL_QUANTITY: "ILLEGAL QUANTITY",
    OVERFLOW: "OVERFLOW",
    OUT_OF_MEMORY: "OUT OF MEMORY",
    UNDEFD_STATEMENT: "UNDEF'D STATEMENT",
    BAD_SUBSCRIPT: "BAD SUBSCRIPT",
    REDIMD_ARRAY: "REDIM'D ARRAY",
    DIVISION_BY_ZERO: "DIVISION BY ZERO",
    ILLEGAL_DIRECT: "ILLEGAL DIRECT",
    TYPE_MISMATCH: "TYPE MISMATCH",
    STRING_TOO_LONG: "STRING TOO LONG",
    FILE_DATA: "FILE DATA",
    FORMULA_TOO_COMPLEX: "FORMULA TOO COMPLEX",
    CANT_CONTINUE: "CAN'T CONTINUE",
    UNDEFD_FUNCTION: "UNDEF'D FUNCTION",
    VERIFY: "VERIFY",
    LOAD: "LOAD",
    BREAK: "BREAK",
}


DIRECT = 0xFF00
"""Line numbers from here on mean direct mode."""


class BasicError(Exception):
    """A program has run into one of the machine's own errors; `code` is its number."""

    def __init__(self, code: int):
        super().__init__(TEXTS[code])
        self.code = code


def error_line(code: int, line: int) -> str:
    """Return what the machine prints for an error: two blanks stand before ERROR. In direct mode there is no line.

    Examples
    --------
    >>> error_line(SYNTAX, 20)
    '?SYNTAX  ERROR IN 20'
    """
    return f"?{TEXTS[code]}  ERROR" + (f" IN {line}" if line < DIRECT else "")
