"""PRINT: what goes to the screen, and what getting it there costs.

Steps: BASIC-M6502 (PRINT, STRPRT, OUTSPC), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.functions import PLOT
from sidlearn.basic.messages import DIRECT, TEXTS, error_line
from sidlearn.basic.nodes import CLOSE, COMMA, LENGTH_FAC, QUOTE, SEMICOLON, Closure, Node
from sidlearn.basic.screen import RETURN, Screen
from sidlearn.basic.strings import PUTNEW
from sidlearn.basic.text import JMP, JSR, RTS, crossings
from sidlearn.basic.tokens import KEYWORDS, TOKEN

if TYPE_CHECKING:
    from sidlearn.basic.filing import FileOutput
    from sidlearn.basic.interpreter import Interpreter
    from sidlearn.basic.statements import Statements

TAB, SPC = TOKEN["tab("], TOKEN["spc("]
ZONE = 10
LINE_FEED = 10
LONGEST_LINE = 255
_OUTDO = JSR + JSR + 2 + RTS + 2 + RTS  # without CHROUT
_OUTSPC = 3 + 3 + 2 + 4 + _OUTDO


def compile_print(c: Statements) -> Callable[[], int]:
    """Compile PRINT from its entry."""
    t, m = c.t, c.m
    printer = m.printer
    steps: list[Closure] = []
    after_value = True  # at PRINT, not PRINTC: the end of the statement means the end of the line
    while not t.error:
        if after_value:
            if t.at_end:
                t.cost += 3
                steps += (c.pay(), printer.end_line)
                break
            t.cost += 2
        if t.at_end:
            t.cost += 3 + RTS
            break
        t.cost += 2 + 2
        after_value = False
        if t.char == TAB:
            t.cost += 3
            steps.append(_compile_tab(c, tab=True))
            continue
        t.cost += 2 + 2 + 2
        if t.char == SPC:
            t.cost += 3
            steps.append(_compile_tab(c, tab=False))
            continue
        t.cost += 2 + 2
        if t.char == COMMA:
            t.cost += 3
            steps += (c.pay(), printer.to_zone)
            t.get()
            t.cost += JMP
            continue
        t.cost += 2 + 2
        if t.char == SEMICOLON:
            t.cost += 4
            t.get()
            t.cost += JMP
            continue
        t.cost += 2
        node = c.evaluate()
        t.cost += 3
        if t.error:
            steps.append(c.failing(node).run)
            break
        steps.append(_show(c, node))
        t.again()
        after_value = True
    return c.finish(steps)


def _show(c: Statements, node: Node) -> Closure:
    m = c.m
    cost = c.t.take() + (3 + JSR if node.string else 2 + JSR)
    run, show = node.run, m.printer.string if node.string else m.printer.number

    def value() -> None:
        result = run()
        m.cycles += cost
        show(result)

    return value


def _compile_tab(c: Statements, tab: bool) -> Closure:
    """Compile TAB( and SPC( (TABER)."""
    t, m = c.t, c.m
    t.cost += 3 + 2 + JSR + PLOT + 3 + JSR
    t.get()
    node = c.byte(0)
    t.cost += 2
    if t.char != CLOSE and not t.error:
        t.fail()
    if t.error:
        return c.failing(node).run
    t.cost += 2 + 4
    cost = t.take()
    t.get()
    t.cost += JMP
    run, spaces = node.run, m.printer.spaces

    def move() -> None:
        count = run()
        m.cycles += cost
        spaces(count, tab)

    return move


def keywords_of(ram: bytearray, position: int) -> bytes:
    """Return the text of a line as LIST prints it: tokens outside quotes as keywords."""
    text = bytearray()
    quoted = False
    for char in bytes(ram[position : position + LONGEST_LINE]).partition(b"\0")[0]:
        quoted ^= char == QUOTE
        if 0x80 <= char < 0x80 + len(KEYWORDS) and not quoted:
            text += KEYWORDS[char - 0x80].upper().encode()
        else:
            text.append(char)
    return bytes(text)


class Printer:
    """Sends values to the screen and pays for it."""

    def __init__(self, machine: Interpreter):
        self.m = machine
        self.screen: Screen | FileOutput = machine.screen

    def put(self, char: int) -> None:
        """Print one character (OUTDO without its JSR)."""
        self.m.cycles += _OUTDO + self.screen.put(char)

    def text(self, characters: bytes) -> None:
        """Print the machine's own words (STROUT): each character is looked at for their end, then printed."""
        self.m.cycles += 4 + JSR + JSR + 8 + 14 + 7 + 20 + 2 + 2 + 3 + PUTNEW + JSR + 6 + 123 + 6 + 2 + 4 + RTS
        for char in characters:
            self.m.cycles += 20 + 2 + 2 + 5 + JSR
            self.put(char)
            self.m.cycles += 2 + 2 + 3

    def error(self, code: int, line: int) -> str:
        """Print an error message (ERROR up to READY). Returns it."""
        self.m.cycles += 60  # the vector, and the way to the text: estimate
        self.end_line()
        self.m.cycles += JSR
        self.put(ord("?"))
        for char in TEXTS[code].encode():
            self.m.cycles += 5 + 3 + 2 + JSR
            self.put(char)
            self.m.cycles += 2 + 4 + 3
        self.m.cycles += JSR + 41
        self.text(b"  ERROR")
        if line < DIRECT:
            self.at_line(line)
        return error_line(code, line)

    def at_line(self, line: int) -> None:
        """Print IN and a line number (INPRT)."""
        self.m.cycles += 3 + 2 + 2 + JSR
        self.text(b" IN ")
        text, cycles = f40.fout(f40.fac_from_int(line))
        self.m.cycles += 4 + 6 + 6 + 2 + 2 + JSR + 100 + JSR + cycles + JMP
        self.text(text[1:])

    def string(self, descriptor: int) -> None:
        """Print a string and free it (STRPRT)."""
        m = self.m
        length, address, cycles = m.strings.free(descriptor)
        m.cycles += JSR + 6 + cycles + 6 + crossings(address, 0, length - 1)
        for char in bytes(m.ram[address : address + length]):
            m.cycles += 2 + 2 + 5 + JSR
            self.put(char)
            m.cycles += 2 + 2 + (3 if char != RETURN else 2 + JSR + 2 + RTS + JMP)
        m.cycles += 2 + 4 + RTS

    def number(self, value: f40.Fac) -> None:
        """Print a number, then a cursor right (from FOUT to NEWCHR)."""
        m, ram = self.m, self.m.ram
        text, cycles = f40.fout(value)
        ram[0x100 : 0x101 + len(text)] = text + b"\0"
        m.cycles += cycles + JSR + 8
        descriptor, _, cycles = m.strings.new_literal(0x100)
        m.cycles += cycles + JSR
        m.fac = LENGTH_FAC[len(text)]
        self.string(descriptor)
        m.cycles += JSR + _OUTSPC + self.screen.space() + 3

    def end_line(self) -> None:
        """End the line (CRDO)."""
        self.m.cycles += 2 + JSR
        self.put(RETURN)
        if self.screen.line_feed:
            self.put(LINE_FEED)
        self.m.cycles += 3 + 3 + 2 + RTS

    def to_zone(self) -> None:
        """Go to the next zone of ten (COMPRT)."""
        column = self.screen.column
        self.m.cycles += 2 + JSR + PLOT + 2 + 2 + 5 * (column // ZONE + 1) - 1 + 2 + 2 + 4 + 2
        self._right(ZONE - column % ZONE)

    def spaces(self, count: int, tab: bool) -> None:
        """TAB and SPC behind the reading of their argument."""
        if not tab:
            self.m.cycles += 3
        else:
            count -= self.screen.column
            self.m.cycles += 2 + 2 + 3
            if count < 0:
                self.m.cycles += 3
                return
            self.m.cycles += 2 + 2
        self._right(count)

    def _right(self, count: int) -> None:
        """Send cursor rights (XSPAC)."""
        self.m.cycles += 2
        for _ in range(count):
            self.m.cycles += 2 + 3 + JSR + _OUTSPC + self.screen.space() + 3
        self.m.cycles += 2 + 2
