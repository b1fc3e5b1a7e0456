"""The screen as CHROUT sees it: where the cursor stands, and what a character costs.

The costs are those of the KERNAL's screen editor, fitted to measured PRINT statements: it is not in BASIC-M6502.
"""

from __future__ import annotations

from sidlearn.basic.memory import PNTR, TBLX

COLUMNS, ROWS = 40, 25
RETURN, CURSOR_RIGHT = 13, 29
_DELETE, _HOME, _CLEAR, _DOWN, _UP, _LEFT = 20, 19, 147, 17, 145, 157

CHARACTER_CYCLES = 500
CONTROL_CYCLES = 400
RETURN_CYCLES = 300
CLEAR_CYCLES = 37_000
SCROLL_CYCLES = 20_000


class Screen:
    """The cursor and the text that a program has printed.

    Attributes
    ----------
    output : bytearray
        Every byte sent to CHROUT.
    """

    def __init__(self, ram: bytearray):
        self.ram = ram
        self.output = bytearray()

    @property
    def column(self) -> int:
        """Column of the cursor, as POS gives it: 0 to 79 on a logical line."""
        return self.ram[PNTR]

    def put(self, char: int) -> int:
        """Print one character. Returns the cycles."""
        self.output.append(char)
        ram = self.ram
        column = ram[PNTR]
        if char == RETURN or char == 141:
            ram[PNTR] = 0
            return RETURN_CYCLES + self._down()
        if char == CURSOR_RIGHT:
            return CONTROL_CYCLES + self._right(column)
        if char == _CLEAR:
            ram[PNTR] = ram[TBLX] = 0
            return CLEAR_CYCLES
        if char == _HOME:
            ram[PNTR] = ram[TBLX] = 0
            return CONTROL_CYCLES
        if char in (_DELETE, _LEFT):
            if column:
                ram[PNTR] = column - 1
            return CONTROL_CYCLES
        if char == _DOWN:
            return CONTROL_CYCLES + self._down()
        if char == _UP:
            if ram[TBLX]:
                ram[TBLX] -= 1
            return CONTROL_CYCLES
        if char & 0x7F < 32:
            return CONTROL_CYCLES
        return CHARACTER_CYCLES + self._right(column)

    def _right(self, column: int) -> int:
        if column + 1 >= 2 * COLUMNS:
            self.ram[PNTR] = 0
            return self._down()
        self.ram[PNTR] = column + 1
        return self._down() if column + 1 == COLUMNS else 0

    def _down(self) -> int:
        if self.ram[TBLX] + 1 < ROWS:
            self.ram[TBLX] += 1
            return 0
        return SCROLL_CYCLES
