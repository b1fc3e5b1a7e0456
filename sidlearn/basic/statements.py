"""From statements in program text to Python closures.

`compile_statement` takes the address that the machine's NEWSTT would look at and gives the closure that does what the
6510 does from the dispatch to the next NEWSTT. Steps: BASIC-M6502 (MIT licence), with the Commodore options; see `text`
for what the cycles are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidlearn.basic.assigning import assignment, compile_def, compile_dim
from sidlearn.basic.expressions import Expressions
from sidlearn.basic.files import compile_cmd, compile_device, compile_print_file
from sidlearn.basic.flow import (
    compile_clr,
    compile_cont,
    compile_end,
    compile_gosub,
    compile_goto,
    compile_if,
    compile_list,
    compile_new,
    compile_on,
    compile_rem,
    compile_return,
    compile_run,
    compile_stop,
)
from sidlearn.basic.loops import compile_for, compile_next
from sidlearn.basic.messages import SYNTAX, BasicError
from sidlearn.basic.nodes import GO, TO, Body, Closure
from sidlearn.basic.poking import compile_poke, compile_sys, compile_wait
from sidlearn.basic.printing import compile_print
from sidlearn.basic.reading import (
    compile_data,
    compile_get,
    compile_input,
    compile_input_file,
    compile_read,
    compile_restore,
)
from sidlearn.basic.references import element_address, read_pointer
from sidlearn.basic.text import COLON, DATAN, JMP, JSR, REMN, RTS, Text, add_on, crossings, skip_text
from sidlearn.basic.tokens import TOKEN

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

LAST_STATEMENT = TOKEN["new"]

# From NEWSTT to the jump through $0308: the STOP key (43, with what the KERNAL takes), OLDTXT, the current character.
_TO_CURRENT = 43 + 18 + 2 + 5
AFTER_COLON = _TO_CURRENT + 4 + 2 + 4 + 5
AFTER_LINE = _TO_CURRENT + 2 + 2 + 5 + 2 + 3 + 2 + 5 + 3 + 2 + 5 + 3 + 2 + 3 + 3 + 3 + 5

NOT_DISPATCHED = -2


class Statement:
    """A compiled statement: what happens before its dispatch, and its body.

    Attributes
    ----------
    before : int
        Cycles from NEWSTT to the dispatch.
    line : int
        The number of the line that begins here; -1 if none does, `NOT_DISPATCHED` if nothing is left to dispatch.
    body : Body
        Runs it.
    need : int
        Bytes of stack that it may need.
    """

    __slots__ = ("before", "body", "line", "need")

    def __init__(self, before: int, line: int, body: Body, need: int = 0):
        self.before = before
        self.line = line
        self.body = body
        self.need = need


class Statements(Expressions):
    """Compiles one statement.

    Attributes
    ----------
    entry : int
        The address that NEWSTT looks at.
    before : int
        Cycles from there to the dispatch.
    """

    def __init__(self, machine: Interpreter, text: Text, entry: int = -1, before: int = 0):
        super().__init__(machine, text)
        self.entry = entry
        self.before = before

    def compile(self) -> Body:
        """Compile from the dispatch on (GONE): fetch the first character and go by it."""
        t = self.t
        t.get()
        t.cost += JSR
        return self.dispatch()

    def dispatch(self) -> Body:
        """Compile from GONE3 on: the current character begins the statement."""
        t = self.t
        if t.error:
            return self.finish([])
        if t.at_end:
            t.cost += 4 + RTS
            return self.finish([])
        t.cost += 2 + 2
        if t.char < 0x80:
            t.cost += 4 + JMP
            return self.finish(assignment(self))
        t.cost += 2
        return self.by_token(t.char)

    def by_token(self, char: int) -> Body:
        """Compile a statement whose keyword has been fetched, from the test for the last one on."""
        t = self.t
        t.cost += 2
        if char > LAST_STATEMENT:
            t.cost += 4 + 2
            if char != GO:
                t.fail()
                return self.finish([])
            t.cost += 2
            t.get()
            t.expect(TO)
            t.cost += JMP
            return compile_goto(self)
        t.cost += 2 + 2 + 2 + 4 + 3 + 4 + 3 + JMP - JSR
        t.get()
        return STATEMENTS[char - 0x80](self)

    # building blocks

    def finish(self, steps: list[Closure], jump: int = JMP) -> Body:
        """Return the body of a statement that goes on behind itself."""
        t, m = self.t, self.m
        t.cost += jump
        cost, position, code = t.take(), t.position, t.error
        if code:

            def fail() -> int:
                for step in steps:
                    step()
                m.cycles += cost
                raise BasicError(code)

            return fail
        if len(steps) == 1:
            only = steps[0]

            def one() -> int:
                only()
                m.cycles += cost
                return position

            return one

        def several() -> int:
            for step in steps:
                step()
            m.cycles += cost
            return position

        return several

    def pay(self) -> Closure:
        """Return a step that pays the bill up to here."""
        m = self.m
        cost = self.t.take()

        def pay() -> None:
            m.cycles += cost

        return pay

    def skip(self, terminator: int) -> tuple[int, int]:
        """Count text from the current position on: DATAN or REMN with its JSR. Returns count and cycles."""
        count, cycles = skip_text(self.t.ram, self.t.position, terminator)
        return count, cycles + JSR + (DATAN if terminator else REMN)

    def skip_statement(self, terminator: int) -> None:
        """Go to the end of the statement or line (DATAN or REMN, then ADDON)."""
        t = self.t
        count, cycles = self.skip(terminator)
        t.cost += cycles + add_on(t.position, count)
        t.position += count
        t.char = t.ram[t.position]

    def line_number(self) -> int:
        """Compile LINGET with its JSR; the current character has been tested."""
        t = self.t
        t.cost += JSR + 8
        number = 0
        while t.at_digit and not t.error:
            t.cost += 2
            if number >= 25 * 256:
                t.fail()
                return 0
            low, digit = number * 10 & 255, t.char - 0x30
            number = number * 10 + digit
            t.cost += 69 + (0 if low + digit < 256 else 4)
            t.get()
            t.cost += JMP
        t.cost += 3 + RTS
        return number

    def target(self) -> tuple[int, Closure]:
        """Compile a variable that gets a value (JSR PTRGET, STWD FORPNT). Returns its name and its address."""
        t = self.t
        t.depth += 2
        name, array = read_pointer(self)
        if t.error:
            t.depth -= 2
            return name, self.failing().run
        t.cost += 6
        address = element_address(self, name) if array else self.simple_address(name)
        t.depth -= 2
        return name, address

    def simple_address(self, name: int) -> Closure:
        """Return the closure that finds or creates a simple variable."""
        m = self.m
        cost = self.t.take()
        find, find_or_create = m.variables.find, m.variables.find_or_create

        def address() -> int:
            result, cycles = find(name)
            if not result:
                result, cycles = find_or_create(name)
            m.cycles += cost + cycles
            return result

        return address

    # LET

    # flow

    # DATA and its readers

    # memory

    # files


def compile_statement(machine: Interpreter, position: int) -> Statement:
    """Compile the statement behind `position`, where a colon or the zero at the end of a line stands."""
    ram = machine.ram
    char = ram[position]
    if char == COLON:
        before, line, start = AFTER_COLON, -1, position
    elif char:
        return Statement(_TO_CURRENT + 4 + 2 + 2 + JMP, NOT_DISPATCHED, machine.failing_body(SYNTAX))
    elif not ram[position + 2]:
        before = _TO_CURRENT + 2 + 2 + 5 + 2 + 2 + JMP + 4 + 3 + JMP
        return Statement(before, NOT_DISPATCHED, lambda: machine.end(position))
    else:
        before = AFTER_LINE + crossings(position, 2, 4) + (0 if (position & 255) + 4 < 256 else 4)
        line = ram[position + 3] | ram[position + 4] << 8
        start = position + 4
    text = Text(ram, start)
    body = Statements(machine, text, position, before).compile()
    return Statement(before, line, body, text.deepest)


# In the order of the tokens from END on.
STATEMENTS: tuple[Callable[[Statements], Body], ...] = (
    compile_end, compile_for, compile_next, compile_data, compile_input_file, compile_input,
    compile_dim, compile_read, lambda c: c.finish(assignment(c)), compile_goto, compile_run,
    compile_if, compile_restore, compile_gosub, compile_return, compile_rem, compile_stop,
    compile_on, compile_wait, lambda c: compile_device(c, "load"), lambda c: compile_device(c, "save"),
    lambda c: compile_device(c, "verify"), compile_def, compile_poke, compile_print_file, compile_print,
    compile_cont, compile_list, compile_clr, compile_cmd, compile_sys,
    lambda c: compile_device(c, "open"), lambda c: compile_device(c, "close"), compile_get, compile_new,
)  # fmt: skip
