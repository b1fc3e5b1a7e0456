"""Reading program text as the machine does: character by character through CHRGET, with what each step costs.

The compiler of statements walks over the text once with a `Text`; the cycles that the machine spends on the same walk
every time the statement runs pile up in `cost` until the next piece of compiled code takes them over.

Here and in the other modules of the interpreter, numbers added to a cost are cycles of the instructions of the routine
that is named beside them: routines of BASIC-M6502 (MIT licence), cycles of the MOS 6500 hardware manual, branches
across a page where the C64's memory map puts them. CHRGET is the C64's, which tests for ``:`` before it tests for a
blank.
"""

from __future__ import annotations

from sidlearn.basic.messages import SYNTAX

JSR = 6
RTS = 6
JMP = 3
GETSTK_LIMIT = 62  # bytes of stack that GETSTK keeps free: BASIC-M6502, 2 * NUMLEV + 16

BLANK, COLON, DIGIT_0, DIGIT_9 = 0x20, 0x3A, 0x30, 0x39


def look(ram: bytearray, position: int) -> tuple[int, int]:
    """CHRGOT: return the position of the first character from `position` on that is no blank, and the cycles."""
    cycles = 0
    while ram[position] == BLANK:
        position = position + 1 & 0xFFFF
        cycles += 21 if position & 255 else 25
    return position, cycles + (15 if ram[position] >= COLON else 26)


def step(ram: bytearray, position: int) -> tuple[int, int]:
    """CHRGET: return the position of the next character that is no blank, and the cycles."""
    position = position + 1 & 0xFFFF
    found, cycles = look(ram, position)
    return found, cycles + (8 if position & 255 else 12)


def crossings(address: int, first: int, last: int) -> int:
    """Return how many of the bytes `first` to `last` behind `address` lie in the next page: fetching them by (),Y
    takes a cycle more each."""
    return max(0, last - max(first, 256 - (address & 255)) + 1)


class Text:
    """A text pointer with a bill.

    Attributes
    ----------
    position : int
        Address of the current character (TXTPTR).
    char : int
        The character there, as CHRGET left it.
    cost : int
        Cycles spent since `take` was last called.
    error : int
        Number of the error that the machine finds at this place of the text, or 0. After an error the text reads as
        ended, and whoever compiles the statement makes it raise the error at the right moment.
    depth, deepest : int
        Bytes on the stack inside the statement, and the most that a check of the stack has seen or asked for.
    """

    __slots__ = ("char", "cost", "deepest", "depth", "error", "position", "ram")

    def __init__(self, ram: bytearray, position: int):
        self.ram = ram
        self.position = position
        self.char = ram[position]
        self.cost = 0
        self.error = 0
        self.depth = 0
        self.deepest = 0

    def take(self) -> int:
        """Return the bill and start a new one."""
        cost, self.cost = self.cost, 0
        return cost

    def fail(self, code: int = SYNTAX) -> None:
        """Remember the first error."""
        if not self.error:
            self.error = code
            self.char = 0

    def get(self) -> int:
        """Fetch the next character that is not a blank (JSR CHRGET)."""
        if self.error:
            return 0
        self.position, cycles = step(self.ram, self.position)
        self.char = self.ram[self.position]
        self.cost += JSR + cycles
        return self.char

    def again(self) -> int:
        """Fetch the current character once more (JSR CHRGOT)."""
        if self.error:
            return 0
        self.position, cycles = look(self.ram, self.position)
        self.char = self.ram[self.position]
        self.cost += JSR + cycles
        return self.char

    def expect(self, char: int, load: int = 2) -> None:
        """Check for `char` and go past it (JSR SYNCHR); it takes `load` cycles to have the character in A."""
        if self.error:
            return
        self.cost += load + 12
        if self.ram[self.position] != char:
            self.fail()
            return
        self.get()

    @property
    def at_digit(self) -> bool:
        """Carry clear after CHRGET: the character is a digit."""
        return DIGIT_0 <= self.char <= DIGIT_9

    @property
    def at_end(self) -> bool:
        """Zero set after CHRGET: the statement ends here."""
        return self.char in (0, COLON)

    def check_stack(self, words: int) -> None:
        """GETSTK for `words` two-byte entries, with its JSR."""
        self.cost += JSR + 22
        self.deepest = max(self.deepest, self.depth + 2 + GETSTK_LIMIT + 2 * words)
