"""The screen as CHROUT sees it: where the cursor stands, and what a character costs.

The costs are those of the KERNAL's screen editor. It is not in BASIC-M6502; the figures of printing a character, a
return, a clear and most cursor keys were measured on the original code, the others are guesses after them.
"""

from __future__ import annotations

from sidlearn.basic.memory import PNTR, TBLX

COLUMNS, ROWS = 40, 25
RETURN, CURSOR_RIGHT = 13, 29
_SHIFT_RETURN, _DELETE, _HOME, _CLEAR, _DOWN, _UP, _LEFT = 141, 20, 19, 147, 17, 145, 157

# Cycles of CHROUT ($FFD2) through its RTS.
CHARACTER_CYCLES = 272
RIGHT_CYCLES = 184
RETURN_CYCLES = 225
CLEAR_CYCLES = 37_689
DOWN_CYCLES = 300
HOME_CYCLES = 300
CONTROL_CYCLES = 190  # guess: colours, cursor left and up
CLEAR_LINE_CYCLES = CLEAR_CYCLES // ROWS
MOVE_LINE_CYCLES = 1_230  # guess: 40 characters and colours, 27 cycles each, and the way to them


class Screen:
    """The cursor and the text that a program has printed.

    Attributes
    ----------
    output : bytearray
        Every byte sent to CHROUT.
    """

    line_feed = False
    """Whether a line feed goes behind every RETURN."""

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
        if char in (RETURN, _SHIFT_RETURN):
            ram[PNTR] = 0
            return RETURN_CYCLES + self._down()
        if char == CURSOR_RIGHT:
            return RIGHT_CYCLES + self._right(column)
        if char == _CLEAR:
            ram[PNTR] = ram[TBLX] = 0
            return CLEAR_CYCLES
        if char == _HOME:
            ram[PNTR] = ram[TBLX] = 0
            return HOME_CYCLES
        if char in (_DELETE, _LEFT):
            if column:
                ram[PNTR] = column - 1
        elif char == _DOWN:
            return DOWN_CYCLES + self._down()
        elif char == _UP:
            if ram[TBLX]:
                ram[TBLX] -= 1
        elif char & 0x7F >= 32:
            return CHARACTER_CYCLES + self._right(column)
        return CONTROL_CYCLES

    def space(self) -> int:
        """Send what stands between two values and what TAB and SPC send. Returns the cycles."""
        return self.put(CURSOR_RIGHT)

    def _right(self, column: int) -> int:
        if column + 1 >= 2 * COLUMNS:
            self.ram[PNTR] = 0
            return self._down()
        self.ram[PNTR] = column + 1
        if column + 1 != COLUMNS:
            return 0
        # the logical line goes on below: the editor moves the rest of the screen down to make room
        moved = ROWS - 2 - self.ram[TBLX]
        return self._down() + max(moved, 0) * MOVE_LINE_CYCLES + CLEAR_LINE_CYCLES

    def _down(self) -> int:
        """Go to the next row; in the last one the whole screen moves up."""
        if self.ram[TBLX] + 1 < ROWS:
            self.ram[TBLX] += 1
            return 0
        return (ROWS - 1) * MOVE_LINE_CYCLES + CLEAR_LINE_CYCLES
