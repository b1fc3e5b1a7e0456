"""From statements in program text to Python closures.

`compile_statement` takes the address that the machine's NEWSTT would look at and gives the closure that does what the
6510 does from there to the next NEWSTT. Steps and costs: BASIC-M6502 (MIT licence), with the Commodore options.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sidlearn.basic import float40 as f40
from sidlearn.basic.expressions import (
    CHKNUM, CLOSE, COMMA, EQUAL, QUOTE, TO, Closure, Expressions, Node,
)  # fmt: skip
from sidlearn.basic.frames import ForFrame, GosubFrame
from sidlearn.basic.memory import DATPTR, TXTTAB, ZERO_CONSTANT
from sidlearn.basic.messages import (
    NEXT_WITHOUT_FOR, RETURN_WITHOUT_GOSUB, SYNTAX, TYPE_MISMATCH, UNDEFD_STATEMENT, BasicError,
)  # fmt: skip
from sidlearn.basic.text import JSR, Text
from sidlearn.basic.tokens import TOKEN
from sidlearn.basic.variables import ENTRY

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

COLON, SEMICOLON, HASH = 0x3A, 0x3B, 0x23
GOTO, GOSUB, THEN, STEP, TAB, SPC, GO, MINUS = (
    TOKEN[k] for k in ("goto", "gosub", "then", "step", "tab(", "spc(", "go", "-")
)
DATA_TOKEN, REM_TOKEN = TOKEN["data"], TOKEN["rem"]
LAST_STATEMENT = TOKEN["new"]

# From NEWSTT (reached by JMP) to the jump through $0308: the STOP key, OLDTXT, the test of the current character.
AFTER_COLON = 83
AFTER_LINE = 118
JMP = 3
RTS = 6


class Statement:
    """A compiled statement: what happens before its dispatch, and its body.

    Attributes
    ----------
    before : int
        Cycles from NEWSTT to the dispatch.
    line : int
        The number of the line that begins here, or -1.
    body : callable
        Runs the statement and returns the address of the character it stopped at.
    """

    __slots__ = ("before", "body", "line")

    def __init__(self, before: int, line: int, body: Callable[[], int]):
        self.before = before
        self.line = line
        self.body = body


def skip_text(ram: bytearray, position: int, terminator: int) -> tuple[int, int]:
    """Count the characters up to `terminator` outside quotes, or to the end of the line (REMER).

    Returns
    -------
    count, cycles
        From the first fetch through RTS.
    """
    cycles = 0
    other, end = 0, terminator
    low = position & 255
    count = 0
    while True:
        char = ram[position + count & 0xFFFF]
        cycles += 5 + (low + count > 255)
        if not char:
            return count, cycles + 3 + RTS
        if char == end:
            return count, cycles + 2 + 3 + 3 + RTS
        count += 1
        if count == 256:
            return count, cycles
        if char == QUOTE:
            other, end = end, other
            cycles += 28
        else:
            cycles += 14


DATAN = 2 + 4 + 3 + 2 + 3 + 12  # before the first fetch
REMN = 2 + 3 + 2 + 3 + 12


def add_on(position: int, count: int) -> int:
    """Return the cost of moving the text pointer on (ADDON)."""
    return 2 + 2 + 3 + 3 + (3 if (position & 255) + count < 256 else 7) + RTS


class Statements(Expressions):
    """Compiles one statement."""

    def compile(self) -> Callable[[], int]:
        """Compile from the dispatch on (GONE): fetch the first character and go by it."""
        t = self.t
        t.get()
        t.cost += JSR
        return self.dispatch()

    def dispatch(self) -> Callable[[], int]:
        """Compile from GONE3 on: the current character begins the statement."""
        t = self.t
        char = t.char
        if t.error:
            return self.finish([])
        if t.at_end:
            t.cost += 4 + RTS
            return self.finish([])
        t.cost += 2 + 2
        if char < 0x80:
            t.cost += 3 + 3
            return self._let()
        t.cost += 2
        return self.by_token(char)

    def by_token(self, char: int) -> Callable[[], int]:
        """Compile a statement whose keyword has been fetched; the first part of GONE2 is counted already."""
        t = self.t
        t.cost += 2
        if char > LAST_STATEMENT:
            t.cost += 3 + 2
            if char != GO:
                t.fail()
                return self.finish([])
            t.cost += 3
            t.get()
            t.expect(TO)
            return self._goto()
        t.cost += 2 + 2 + 2 + 4 + 3 + 4 + 3 + 3 - JSR
        t.get()
        return STATEMENTS[char - 0x80](self)

    # building blocks

    def finish(self, steps: list[Closure], rts: int = JMP) -> Callable[[], int]:
        """Return the body of a statement that goes on behind itself."""
        t, m = self.t, self.m
        t.cost += rts
        cost = t.take()
        position = t.position
        code = t.error
        if code:

            def fail() -> int:
                for step in steps:
                    step()
                m.cycles += cost
                raise BasicError(code)

            return fail
        if not steps:

            def nothing() -> int:
                m.cycles += cost
                return position

            return nothing
        if len(steps) == 1:
            only = steps[0]

            def one() -> int:
                only()
                m.cycles += cost
                return position

            return one

        def many() -> int:
            for step in steps:
                step()
            m.cycles += cost
            return position

        return many

    def pay(self) -> Closure:
        """Return a step that pays the bill up to here."""
        m = self.m
        cost = self.t.take()

        def pay() -> None:
            m.cycles += cost

        return pay

    def skip(self, terminator: int) -> tuple[int, int]:
        """Skip text from the current position: DATAN or REMN with its JSR. Returns count and cycles."""
        t = self.t
        count, cycles = skip_text(t.ram, t.position, terminator)
        return count, cycles + JSR + (DATAN if terminator else REMN)

    def skip_statement(self, terminator: int) -> None:
        """Go to the end of the statement or line (DATAN or REMN, then ADDON)."""
        t = self.t
        count, cycles = self.skip(terminator)
        t.cost += cycles + add_on(t.position, count)
        t.position += count
        t.char = t.ram[t.position]

    def line_number(self) -> int:
        """Compile LINGET without its JSR; the current character has been tested."""
        t = self.t
        t.cost += 8
        number = 0
        while t.at_digit and not t.error:
            t.cost += 2
            if number >= 25 * 256:
                t.fail()
                return 0
            low = (number * 10 & 0xFFFF) & 255
            digit = t.char - 0x30
            number = number * 10 + digit
            t.cost += 69 + (0 if low + digit < 256 else 4)
            t.get()
            t.cost += 3
        t.cost += 3 + RTS
        return number

    def target(self) -> tuple[int, Closure]:
        """Compile a variable that gets a value (JSR PTRGET, STWD FORPNT). Returns its name and its address."""
        t, m = self.t, self.m
        t.cost += JSR + 2
        t.again()
        t.cost += 3
        name, array = self.name()
        if t.error:
            return name, self.failing().run
        if array:
            return name, self.element_address(name)
        t.cost += 6
        cost = t.take()
        return name, self.simple_address(name, cost)

    def simple_address(self, name: int, cost: int) -> Closure:
        """Return the closure that finds or creates a simple variable."""
        m = self.m
        find, variable = m.variables.find, m.variable

        def address() -> int:
            result, cycles = find(name)
            if not result:
                result, cycles = variable(name)
            m.cycles += cost + cycles
            return result

        return address

    # LET

    def _let(self) -> Callable[[], int]:
        steps = self.assignment()
        return self.finish(steps, RTS - RTS + JMP)

    def assignment(self) -> list[Closure]:
        """Compile LET from its entry."""
        t = self.t
        name, address = self.target()
        t.expect(EQUAL)
        t.cost += 12
        t.depth += 2
        node = self.evaluate()
        t.depth -= 2
        t.cost += 4 + 2 + JSR
        is_string = bool(name & 0x80 and not name & 0x8000)
        if node.string != is_string and not t.error:
            t.fail(TYPE_MISMATCH)
        if t.error:
            return [address, self.failing(node).run]
        if is_string:
            t.cost += 3 + 3 + RTS + 3 + 4
            return [self.assign_string(address, node)]
        t.cost += 13 + 2 + 4
        if name & 0x8000:
            return [self.assign_integer(address, node)]
        return [self.assign_float(address, node)]

    def assign_float(self, address: Closure, node: Node) -> Closure:
        """Return the closure that stores a float (COPFLT, MOVVF)."""
        m, ram = self.m, self.m.ram
        cost = self.t.take() + 3 + 3 + 6
        run, pack = node.run, f40.pack

        def assign() -> None:
            at = address()
            value = run()
            m.cycles += cost + (100 if value[1] else 93) + (11 if value[3] & 128 else 0)
            packed = pack(value)
            ram[at : at + 5] = packed

        return assign

    def assign_integer(self, address: Closure, node: Node) -> Closure:
        """Return the closure that stores a 16-bit integer (QINTGR)."""
        m, ram = self.m, self.m.ram
        cost = self.t.take() + 2 + JSR + JSR + 2 + 3 + 6 + 2 + 3 + 6 + 6
        run, round_fac, ayint = node.run, f40.round_fac, f40.ayint

        def assign() -> None:
            at = address()
            value, cycles = round_fac(run())
            number, more = ayint(value)
            m.cycles += cost + cycles + more
            ram[at] = number >> 8 & 255
            ram[at + 1] = number & 255

        return assign

    def assign_string(self, address: Closure, node: Node) -> Closure:
        """Return the closure that stores a string (INPCOM)."""
        m = self.m
        cost = self.t.take()
        run = node.run

        def assign() -> None:
            at = address()
            descriptor = run()
            m.cycles += cost
            m.assign_string(at, descriptor)

        return assign

    # flow

    def _for(self) -> Callable[[], int]:
        t, m = self.t, self.m
        t.cost += 2 + 3 + JSR + JSR + 2
        t.again()
        t.cost += 3
        name, _ = self.name(arrays=False, integers=False)
        is_string = bool(name & 0x80)
        if t.error:
            return self.finish([])
        t.cost += 6
        address = self.simple_address(name, t.take())
        t.expect(EQUAL)
        t.cost += 12
        t.depth += 4
        start = self.evaluate()
        t.depth -= 4
        t.cost += 4 + 2 + JSR + 13 + 2 + 4
        if start.string != is_string and not t.error:
            t.fail(TYPE_MISMATCH)
        if t.error:
            return self.finish([address, self.failing(start).run])
        assign = self.assign_string(address, start) if is_string else self.assign_float(address, start)
        t.cost += JSR
        count, cycles = self.skip(COLON)
        body = t.position + count
        t.cost += 8 + 2 + cycles + 18 + 12
        t.check_stack(9)
        t.expect(TO)
        t.cost += JSR
        if is_string and not t.error:
            t.fail(TYPE_MISMATCH)
        t.cost += CHKNUM
        t.depth += 4
        limit = self.number()
        t.depth -= 4
        t.cost += 11 + 4 + 6 + 3 + JSR + 30 + 5 + 4 + JSR + 70
        before = t.take()
        t.again()
        t.cost += 2
        step = None
        if t.char == STEP:
            t.cost += 2
            t.get()
            t.depth += 9
            step = self.number()
            t.depth -= 9
        else:
            t.cost += 3
        t.cost += JSR + JSR + 2 + 4 + 3 + 5 + 4 + 3 + 2 + 3 + JSR + 30 + 5 + 12 + 5
        if t.error:
            return self.finish([assign, limit.run, *([step.run] if step else [])])
        after = t.take()
        position = t.position
        run_limit = limit.run
        run_step = step.run if step else None
        variables = m.variables

        def loop() -> int:
            assign()
            at = variables.find(name)[0]
            m.open_for(at)
            bound = run_limit()
            limit_packed, cycles = pack_limit(bound)
            m.cycles += before + cycles
            if run_step:
                fac, cycles = f40.round_fac(run_step())
            else:
                fac, cycles = f40.ONE, 19
            sign, more = f40.sign(fac)
            m.cycles += after + cycles + more
            m.frames.append(ForFrame(at, fac, sign, limit_packed, m.line, body))
            return position

        return loop

    def _next(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if t.at_end:
            t.cost += 2 + 2 + 3 + 6 + JSR
            return m.next_closure(None, t.take(), t.position, None)
        t.cost += 3
        return self._next_variable()

    def _next_variable(self) -> Callable[[], int]:
        t, m = self.t, self.m
        name, address = self.target()
        if t.error:
            return self.finish([address])
        t.cost += JSR
        find_cost = t.take()
        position = t.position
        t.again()
        t.cost += 2
        more = None
        if t.char == COMMA:
            t.cost += 2
            t.get()
            t.cost += JSR
            more = self._next_variable()
            t.take()
        return m.next_closure(address, find_cost, position, more)

    def _goto(self) -> Callable[[], int]:
        t = self.t
        jump, _ = self.jump()
        if t.error:
            return self.finish([])
        return jump(JMP)

    def jump(self) -> tuple[Callable[[int], Callable[[], int]], int]:
        """Compile GOTO from its entry. Returns a maker of bodies, given what comes after the RTS, and its cost."""
        t, m = self.t, self.m
        t.cost += JSR
        number = self.line_number()
        if t.error:
            return (lambda after: self.finish([])), 0
        count, cycles = self.skip(0)
        t.cost += cycles
        cost = t.take()
        position = t.position

        def make(after: int) -> Callable[[], int]:
            def body() -> int:
                m.cycles += cost + after
                return m.go(number, position, count)

            return body

        return make, cost

    def _gosub(self) -> Callable[[], int]:
        t, m = self.t, self.m
        t.cost += 2
        t.check_stack(3)
        need = t.deepest
        back = t.position
        t.cost += 24 + 5
        t.again()
        t.cost += JSR
        make, _ = self.jump()
        if t.error:
            return self.finish([])
        body = make(JMP)
        frames = m.frames

        def gosub() -> int:
            m.check_stack(need)
            frames.append(GosubFrame(m.line, back))
            return body()

        return gosub

    def _return(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 3 + RTS
            return self.finish([])
        t.cost += 2 + 2 + 3 + JSR
        cost = t.take() + 2 + 2 + 3 + 4 + 28

        def back() -> int:
            frame, cycles = m.pop_gosub()
            m.cycles += cost + cycles
            if frame is None:
                raise BasicError(RETURN_WITHOUT_GOSUB)
            m.line = frame.line
            return m.skip_data(frame.position)

        return back

    def _if(self) -> Callable[[], int]:
        t, m = self.t, self.m
        condition = self.evaluate()
        t.again()
        t.cost += 2
        if t.char == GOTO:
            t.cost += 3
        else:
            t.cost += 2
            t.expect(THEN)
        t.cost += 3
        if t.error:
            return self.finish([condition.run])
        before = t.take()
        count, cycles = self.skip(0)
        false_cost = 2 + cycles + 3 + add_on(t.position, count) + JMP
        false_position = t.position + count
        t.cost += 3
        t.again()
        if t.at_digit:
            t.cost += 2 + 3
            then = self._goto()
        elif t.char == GOTO and False:
            then = None
        else:
            t.cost += 3 + 3
            then = self.dispatch()
        run, string, ram = condition.run, condition.string, m.ram

        def branch() -> int:
            value = run()
            if ram[value] if string else value[1]:
                m.cycles += before
                return then()
            m.cycles += before + false_cost
            return false_position

        return branch

    def _on(self) -> Callable[[], int]:
        t, m = self.t, self.m
        value, _ = self.byte()
        t.cost += JSR - JSR + 3 + 2
        token = t.char
        if token == GOSUB:
            t.cost += 3
        else:
            t.cost += 2 + 2
            if token != GOTO:
                t.cost += 3
                t.fail()
            t.cost += 2
        if t.error:
            return self.finish([value])
        costs = []
        bodies: list[Callable[[], int]] = []
        while True:
            start = Text(t.ram, t.position)
            start.cost = 5 + 2 + 4 + 3 + 2 + 2
            start.char = token
            start.depth = t.depth
            bodies.append(Statements(m, start).by_token(token))
            t.cost += 5 + 3
            t.get()
            t.cost += JSR
            self.line_number()
            t.cost += 2
            if t.char != COMMA or t.error:
                t.cost += 2 + 4 + RTS
                break
            t.cost += 3
            costs.append(t.take())
        failed = t.error
        t.cost += JMP
        costs.append(t.take())
        total = sum(costs)
        position = t.position

        def on() -> int:
            choice = value()
            if 1 <= choice <= len(bodies):
                m.cycles += sum(costs[: choice - 1])
                return bodies[choice - 1]()
            m.cycles += total
            if failed:
                raise BasicError(failed)
            return position

        return on

    def _end(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 2 + 3 + RTS
            return self.finish([])
        cost = t.take() + 2
        position = t.position

        def end() -> int:
            m.cycles += cost
            return m.end(position)

        return end

    def _stop(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 3 + 3 + RTS
            return self.finish([])
        cost = t.take() + 3
        position = t.position

        def stop() -> int:
            m.cycles += cost
            return m.stop(position)

        return stop

    def _run(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if t.at_end:
            cost = t.take() + 3

            def run() -> int:
                m.cycles += cost
                return m.restart()

            return run
        t.cost += 2
        cost = t.take()
        t.again()
        t.cost += JSR
        make, _ = self.jump()
        if t.error:
            return self.finish([])
        body = make(JMP)

        def run_from() -> int:
            m.cycles += cost
            m.clear()
            return body()

        return run_from

    def _clr(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 3 + RTS
            return self.finish([])

        def clear() -> None:
            m.clear()

        t.cost += 2
        return self.finish([clear])

    def _new(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if not t.at_end:
            return self.finish([])

        def new() -> int:
            return m.new()

        return new

    def _cont(self) -> Callable[[], int]:
        t, m = self.t, self.m
        if not t.at_end:
            return self.finish([])
        cost = t.take() + 40

        def cont() -> int:
            m.cycles += cost
            return m.statement_position

        return cont

    # DATA and friends

    def _data(self) -> Callable[[], int]:
        self.skip_statement(COLON)
        return self.finish([])

    def _rem(self) -> Callable[[], int]:
        t = self.t
        t.cost += 3
        self.skip_statement(0)
        return self.finish([])

    def _restore(self) -> Callable[[], int]:
        t, m = self.t, self.m
        t.cost += 2 + 3 + 2 + 3 + 3 + 6 + RTS

        def restore() -> None:
            m.memory.set_word(DATPTR, m.memory.word(TXTTAB) - 1)

        return self.finish([restore])

    def _read(self) -> Callable[[], int]:
        self.t.cost += 6 + 2
        return self.input_list(self.m.reader_of_data)

    def input_list(self, source: Any) -> Callable[[], int]:
        """Compile the list of variables of READ, INPUT or GET."""
        t, m = self.t, self.m
        targets = []
        steps: list[Closure] = []
        while True:
            name, address = self.target()
            if t.error:
                steps.append(address)
                break
            t.cost += 20
            is_string = bool(name & 0x80 and not name & 0x8000)
            targets.append((address, is_string, bool(name & 0x8000)))
            steps.append(self._input_step(source, address, is_string, bool(name & 0x8000)))
            t.again()
            if t.at_end:
                t.cost += 3
                break
            t.cost += 2
            t.expect(COMMA)
            t.cost += 3
        t.cost += 9

        def begin() -> None:
            source.begin()

        def finish() -> None:
            source.finish()

        return self.finish([begin, *steps, finish])

    def _input_step(self, source: Any, address: Closure, is_string: bool, is_integer: bool) -> Closure:
        m = self.m
        cost = self.t.take()

        def step() -> None:
            at = address()
            m.cycles += cost
            source.item(at, is_string, is_integer)

        return step

    def _get(self) -> Callable[[], int]:
        t = self.t
        if t.char == HASH:
            t.get()
            number, _ = self.byte()
            t.expect(COMMA)
            source = self.m.reader_of_file
            body = self.input_list(source)

            def get_file() -> int:
                source.open(number())
                return body()

            return get_file
        t.cost += 60
        return self.input_list(self.m.reader_of_key)

    def _input(self) -> Callable[[], int]:
        t, m = self.t, self.m
        steps: list[Closure] = []
        if t.char == QUOTE:
            prompt = self.quoted()
            t.expect(SEMICOLON)
            run = prompt.run

            def show() -> None:
                m.print_string(run())

            steps.append(show)
            if t.error:
                return self.finish(steps)
        t.cost += 60
        body = self.input_list(m.reader_of_line)
        if not steps:
            return body

        def with_prompt() -> int:
            steps[0]()
            return body()

        return with_prompt

    def _input_file(self) -> Callable[[], int]:
        number, _ = self.byte()
        self.t.expect(COMMA)
        source = self.m.reader_of_file
        body = self.input_list(source)

        def input_file() -> int:
            source.open(number())
            return body()

        return input_file

    def _dim(self) -> Callable[[], int]:
        t, m = self.t, self.m
        steps: list[Closure] = []
        while True:
            t.cost += 2 + JSR + 3
            t.char = t.ram[t.position]
            name, array = self.name()
            if t.error:
                break
            if array:
                steps.append(self._dimension(name))
            else:
                steps.append(self.simple_address(name, t.take()))
            t.again()
            if t.at_end or t.error:
                t.cost += 2 + RTS
                break
            t.cost += 3
            t.expect(COMMA)
        return self.finish(steps)

    def _dimension(self, name: int) -> Closure:
        m = self.m
        nodes = self.indices()
        cost = self.t.take()
        runs = [node.run for node in nodes]

        def dimension() -> None:
            indices = [m.index(run()) for run in runs]
            m.cycles += cost + m.variables.dimension(name, indices)

        return dimension

    def _def(self) -> Callable[[], int]:
        t, m = self.t, self.m
        t.cost += JSR
        name = self.function_name()
        if t.error:
            return self.finish([])
        function_cost = t.take()
        t.cost += JSR + 14
        t.expect(0x28, 2 + 4)
        t.cost += 5 + JSR + 2
        t.again()
        t.cost += 3
        argument, _ = self.name(arrays=False, integers=False)
        if argument & 0x80 and not t.error:
            t.fail(TYPE_MISMATCH)
        t.cost += 1 + JSR + CHKNUM
        argument_cost = t.take()
        t.expect(CLOSE, 2 + 8)
        t.expect(EQUAL)
        if t.error:
            return self.finish([self.simple_address(name, function_cost), self.simple_address(argument, argument_cost)])
        t.cost += 3 + 12 + 12 + JSR
        formula = t.position
        first = t.char
        self.skip_statement(COLON)
        t.cost += 3 + 2 + 5 * (4 + 6) + 4 * 2 + RTS
        variable = m.variable

        def define() -> None:
            entry, cycles = variable(name)
            m.cycles += function_cost + cycles
            at, cycles = variable(argument)
            m.cycles += argument_cost + cycles
            entry = m.variables.find(name)[0]
            m.ram[entry : entry + 5] = bytes((formula & 255, formula >> 8, at & 255, at >> 8, first))

        return self.finish([define])

    # memory

    def _poke(self) -> Callable[[], int]:
        t, m = self.t, self.m
        t.cost += JSR
        t.depth += 2
        address = self.number()
        t.cost += JSR
        t.expect(COMMA)
        t.cost += 3 - JSR
        value, _ = self.byte()
        t.depth -= 2
        if t.error:
            return self.finish([address.run, value])
        t.cost += 2 + 2 + 6
        run, getadr, poke = address.run, f40.getadr, m.memory.poke
        t.cost += 0
        store = t.take()
        position = t.position
        if address.constant is not None:
            try:
                constant, cycles = getadr(address.constant)
            except f40.FloatError as error:
                t.fail(error.code)
                return self.finish([])
            paid = cycles + store

            def poke_constant() -> int:
                byte = value()
                m.cycles += paid
                poke(constant, byte, m.cycles)
                m.cycles += RTS + JMP
                return position

            return m.after_poke(poke_constant, constant)

        def poke_computed() -> int:
            at, cycles = getadr(run())
            m.cycles += cycles
            byte = value()
            m.cycles += store
            poke(at, byte, m.cycles)
            m.cycles += RTS + JMP
            return position

        return m.after_poke(poke_computed, None)

    def _wait(self) -> Callable[[], int]:
        t, m = self.t, self.m
        t.cost += JSR
        address = self.number()
        t.cost += JSR
        t.expect(COMMA)
        t.cost += 3 - JSR
        mask, _ = self.byte()
        t.cost += 3 + 2
        t.again()
        flip = None
        if not t.at_end:
            t.cost += 2 + JSR
            t.expect(COMMA)
            t.cost += 3 - JSR
            flip, _ = self.byte()
        else:
            t.cost += 3
        t.cost += 3 + 2
        steps = [address.run, mask] + ([flip] if flip else [])
        if t.error:
            return self.finish(steps)
        cost = t.take()
        run = address.run
        position = t.position

        def wait() -> int:
            at, cycles = f40.getadr(run())
            m.cycles += cycles
            bits = mask()
            xor = flip() if flip else 0
            m.cycles += cost
            m.wait(at, bits, xor)
            m.cycles += 2 + RTS + JMP
            return position

        return wait

    def _sys(self) -> Callable[[], int]:
        t, m = self.t, self.m
        address = self.number()
        t.cost += JSR
        if t.error:
            return self.finish([address.run])
        cost = t.take() + 44
        run = address.run
        position = t.position

        def sys() -> int:
            at, cycles = f40.getadr(run())
            m.cycles += cost + cycles
            return m.sys(at, position)

        return sys

    # PRINT

    def _print(self) -> Callable[[], int]:
        return self.finish(self.print_steps(), 0)

    def print_steps(self) -> list[Closure]:
        """Compile PRINT from its entry."""
        t, m = self.t, self.m
        steps: list[Closure] = []
        first = True
        while True:
            if t.error:
                break
            if first and t.at_end:
                t.cost += 3
                steps.append(self.pay())
                steps.append(m.print_return)
                t.cost += RTS + JMP
                break
            t.cost += 2 if first else 0
            char = t.char
            if t.at_end:
                t.cost += 3 + RTS + JMP
                break
            t.cost += 2 + 2
            if char in (TAB, SPC):
                t.cost += 3 if char == TAB else 2 + 2 + 2 + 3
                steps.append(self._print_tab(char))
                first = False
                continue
            t.cost += 2 + 2 + 2 + 2 + 2
            if char == COMMA:
                t.cost += 3
                steps.append(self.pay())
                steps.append(m.print_comma)
                t.get()
                t.cost += 3
                first = False
                continue
            t.cost += 2 + 2
            if char == SEMICOLON:
                t.cost += 3
                t.get()
                t.cost += 3
                first = False
                continue
            t.cost += 2
            node = self.evaluate()
            t.cost += 3
            cost = t.take()
            if t.error:
                steps.append(self.failing(node).run)
                break
            steps.append(self._print_string(node, cost) if node.string else self._print_number(node, cost))
            t.again()
            first = True
        return steps

    def _print_string(self, node: Node, cost: int) -> Closure:
        m, run = self.m, node.run

        def show() -> None:
            descriptor = run()
            m.cycles += cost + 3
            m.print_string(descriptor)

        return show

    def _print_number(self, node: Node, cost: int) -> Closure:
        m, run = self.m, node.run

        def show() -> None:
            value = run()
            m.cycles += cost + 2
            m.print_number(value)

        return show

    def _print_tab(self, char: int) -> Closure:
        t, m = self.t, self.m
        t.cost += 3 + JSR
        t.get()
        value, _ = self.byte()
        t.cost += 2
        if t.char != CLOSE:
            t.fail()
        t.cost += 2 + 4
        cost = t.take()
        if not t.error:
            t.get()
            t.cost += 3
        tab = char == TAB

        def move() -> None:
            count = value()
            m.cycles += cost
            m.print_spaces(count, tab)

        return move if not t.error else self._both(Node(value), self.failing()).run

    # files

    def _print_file(self) -> Callable[[], int]:
        return self._command(close=True)

    def _cmd(self) -> Callable[[], int]:
        return self._command(close=False)

    def _command(self, close: bool) -> Callable[[], int]:
        t, m = self.t, self.m
        number, _ = self.byte()
        if t.char == COMMA:
            t.expect(COMMA)
        steps = self.print_steps()

        def open_output() -> None:
            m.select_output(number())

        def close_output() -> None:
            m.select_output(0)

        return self.finish([open_output, *steps, *([close_output] if close else [])], 0)

    def _device(self, action: str, least: int) -> Callable[[], int]:
        """Compile OPEN, CLOSE, LOAD, SAVE and VERIFY: up to four arguments, numbers and one string."""
        t, m = self.t, self.m
        nodes: list[Node] = []
        while not t.at_end and not t.error and len(nodes) < 4:
            if nodes:
                t.expect(COMMA)
            nodes.append(self.evaluate())
            t.again()
        if len(nodes) < least:
            t.fail()

        def run() -> None:
            values = [
                bytes(m.take_string(node.run())) if node.string else f40.conint(node.run())[0] for node in nodes
            ]
            m.device(action, values)

        return self.finish([run])

    def _open(self) -> Callable[[], int]:
        return self._device("open", 1)

    def _close(self) -> Callable[[], int]:
        return self._device("close", 1)

    def _load(self) -> Callable[[], int]:
        return self._device("load", 0)

    def _save(self) -> Callable[[], int]:
        return self._device("save", 0)

    def _verify(self) -> Callable[[], int]:
        return self._device("verify", 0)

    def _list(self) -> Callable[[], int]:
        t, m = self.t, self.m
        first, last = 0, 0xFFFF
        if t.at_digit:
            t.cost += JSR
            first = last = self.line_number()
        if t.char == MINUS:
            t.get()
            last = 0xFFFF
            if t.at_digit:
                last = self.line_number()
        if not t.at_end:
            t.fail()
            return self.finish([])

        def show() -> int:
            return m.list(first, last)

        return show


def pack_limit(fac: f40.Fac) -> tuple[bytes, int]:
    """Pack the limit of a FOR as the machine does: the sign goes in before the rounding."""
    sign, exponent, mantissa, rounding = fac
    mantissa = mantissa & 0x7FFFFFFF | (sign & 0x80) << 24
    rounded, cycles = f40.round_fac((sign, exponent, mantissa, rounding))
    return bytes((rounded[1],)) + rounded[2].to_bytes(4, "big"), cycles


def compile_statement(machine: Interpreter, position: int) -> Statement:
    """Compile the statement behind `position`, where a colon or the zero at the end of a line stands."""
    ram = machine.ram
    char = ram[position]
    line = -1
    if char == COLON:
        before = AFTER_COLON
        start = position
    elif char:
        return Statement(80, -1, machine.failing_statement(SYNTAX))
    else:
        low = position & 255
        before = AFTER_LINE + (low > 253) + (low > 252) + (low > 251) + (4 if low + 4 > 255 else 0)
        if not ram[position + 2]:
            return Statement(70, -1, lambda: machine.end_of_text(position))
        line = ram[position + 3] | ram[position + 4] << 8
        start = position + 4
    text = Text(ram, start)
    text.depth = 0
    return Statement(before, line, Statements(machine, text).compile())


# In the order of the tokens from END on.
STATEMENTS = (
    Statements._end, Statements._for, Statements._next, Statements._data, Statements._input_file, Statements._input,
    Statements._dim, Statements._read, Statements._let, Statements._goto, Statements._run, Statements._if,
    Statements._restore, Statements._gosub, Statements._return, Statements._rem, Statements._stop, Statements._on,
    Statements._wait, Statements._load, Statements._save, Statements._verify, Statements._def, Statements._poke,
    Statements._print_file, Statements._print, Statements._cont, Statements._list, Statements._clr, Statements._cmd,
    Statements._sys, Statements._open, Statements._close, Statements._get, Statements._new,
)  # fmt: skip
UNUSED = ENTRY, NEXT_WITHOUT_FOR, UNDEFD_STATEMENT, DATA_TOKEN, REM_TOKEN, ZERO_CONSTANT
