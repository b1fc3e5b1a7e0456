"""Reading program text as the machine does: character by character through CHRGET, with what each step costs.

The compiler of statements walks over the text once with a `Text`; the cycles that the machine spends on the same walk
every time the statement runs pile up in `cost` until the next piece of compiled code takes them over.

Here and in the other modules of the interpreter, numbers added to a cost are cycles of the instructions of the routine
that is named beside them: routines of BASIC-M6502 (MIT licence), cycles of the MOS 6500 hardware manual, branches
across a page where the C64's memory map puts them. CHRGET is the C64's, which tests for ``:`` before it tests for a
blank.
"""

from __future__ import annotations

from sidlearn.basic.messages import ILLEGAL_DIRECT, SYNTAX
from sidlearn.basic.nodes import QUOTE

JSR = 6
RTS = 6
JMP = 3
GETSTK_LIMIT = 62  # bytes of stack that GETSTK keeps free: BASIC-M6502, 2 * NUMLEV + 16

DIRECT_END = 0x0300  # text below lies in the input buffer: it is a line in direct mode

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

    def not_direct(self) -> None:
        """ERRDIR: what follows works in a program only, not in a line that has just been typed."""
        if self.position < DIRECT_END:
            self.fail(ILLEGAL_DIRECT)

    def check_stack(self, words: int) -> None:
        """GETSTK for `words` two-byte entries, with its JSR."""
        self.cost += JSR + 22
        self.deepest = max(self.deepest, self.depth + 2 + GETSTK_LIMIT + 2 * words)


def skip_text(ram: bytearray, position: int, terminator: int) -> tuple[int, int]:
    """Count the characters up to `terminator` outside quotes, or to the end of the line (REMER).

    Returns
    -------
    count, cycles
        From the first fetch through the RTS.
    """
    end, other = terminator, 0
    cycles = count = 0
    while count < 256:
        char = ram[position + count & 0xFFFF]
        if not char:
            cycles += 5 + 3 + RTS
            break
        if char == end:
            cycles += 5 + 2 + 3 + 3 + RTS
            break
        count += 1
        cycles += 19
        if char == QUOTE:
            end, other = other, end
            cycles += 14
    return count, cycles + crossings(position, 0, count)


DATAN = 2 + 4 + 3 + 2 + 3 + 12  # before the first fetch


REMN = 2 + 3 + 2 + 3 + 12


def add_on(position: int, count: int) -> int:
    """Return the cost of moving the text pointer on (ADDON)."""
    return 2 + 2 + 3 + 3 + (3 if (position & 255) + count < 256 else 2 + 5) + RTS


def skip_data(ram: bytearray, position: int) -> tuple[int, int]:
    """Go to the end of the statement (DATA). Returns the address there and the cycles."""
    count, cycles = skip_text(ram, position, COLON)
    return position + count, JSR + DATAN + cycles + add_on(position, count)
