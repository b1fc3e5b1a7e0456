"""Reading program text as the machine does: character by character through CHRGET, with what each step costs.

The compiler of statements walks over the text once with a `Text`; the cycles that the machine spends on the same walk every
time the statement runs pile up in `cost` until the next piece of compiled code takes them over.
"""

from __future__ import annotations

from sidlearn.basic.messages import SYNTAX

JSR = 6
GETSTK_LIMIT = 62  # bytes of stack that GETSTK keeps free: BASIC-M6502, 2 * NUMLEV + 16


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
        ram, p, cost = self.ram, self.position, self.cost + JSR
        while True:
            p = p + 1 & 0xFFFF
            char = ram[p]
            if not p & 255:
                cost += 4  # INC of the high byte
            if char >= 0x3A:
                cost += 23
                break
            if char != 0x20:
                cost += 34
                break
            cost += 21
        self.position, self.char, self.cost = p, char, cost
        return char

    def again(self) -> int:
        """Fetch the current character once more (JSR CHRGOT)."""
        if self.error:
            return 0
        char = self.ram[self.position]
        if char == 0x20:
            self.cost += 13
            return self.get()
        self.cost += JSR + (15 if char >= 0x3A else 26)
        self.char = char
        return char

    def expect(self, char: int, entry: int = 2) -> None:
        """Check for `char` and go past it (JSR SYNCHR); `entry` cycles load the character."""
        if self.error:
            return
        self.cost += entry + 12
        if self.ram[self.position] != char:
            self.fail()
            return
        self.get()

    @property
    def at_digit(self) -> bool:
        """Carry clear after CHRGET: the character is a digit."""
        return 0x30 <= self.char <= 0x39

    @property
    def at_end(self) -> bool:
        """Zero set after CHRGET: the statement ends here."""
        return self.char in (0, 0x3A)

    def check_stack(self, words: int) -> None:
        """GETSTK for `words` two-byte entries, JSR included."""
        self.cost += JSR + 22
        self.deepest = max(self.deepest, self.depth + 2 + GETSTK_LIMIT + 2 * words)
