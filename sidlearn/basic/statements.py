"""From statements in program text to Python closures.

`compile_statement` takes the address that the machine's NEWSTT would look at and gives the closure that does what the
6510 does from the dispatch to the next NEWSTT. Steps: BASIC-M6502 (MIT licence), with the Commodore options; see `text`
for what the cycles are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sidlearn.basic import float40 as f40
from sidlearn.basic.expressions import (
    CHKNUM,
    CLOSE,
    COMMA,
    EQUAL,
    FRACTION,
    OPEN,
    QUOTE,
    TO,
    Closure,
    Expressions,
    Node,
    half_rounded,
    made_integer,
)
from sidlearn.basic.frames import GosubFrame
from sidlearn.basic.loops import compile_for, compile_next, skip_loops_cycles
from sidlearn.basic.messages import RETURN_WITHOUT_GOSUB, SYNTAX, TYPE_MISMATCH, BasicError
from sidlearn.basic.printing import compile_print
from sidlearn.basic.text import COLON, JMP, JSR, RTS, Text, crossings
from sidlearn.basic.tokens import TOKEN
from sidlearn.basic.variables import is_integer, is_string

if TYPE_CHECKING:
    from sidlearn.basic.inputs import Source
    from sidlearn.basic.interpreter import Interpreter

SEMICOLON, HASH = 0x3B, 0x23
GOTO, GOSUB, THEN, GO, MINUS = (TOKEN[k] for k in ("goto", "gosub", "then", "go", "-"))
LAST_STATEMENT = TOKEN["new"]

# From NEWSTT to the jump through $0308: the STOP key (43, with what the KERNAL takes), OLDTXT, the current character.
_TO_CURRENT = 43 + 18 + 2 + 5
AFTER_COLON = _TO_CURRENT + 4 + 2 + 4 + 5
AFTER_LINE = _TO_CURRENT + 2 + 2 + 5 + 2 + 3 + 2 + 5 + 3 + 2 + 5 + 3 + 2 + 3 + 3 + 3 + 5

NOT_DISPATCHED = -2

Body = Callable[[], int]
"""Runs a statement; gives the address of the character it stopped at."""


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


def round_to_integer(fac: f40.Fac) -> tuple[int, f40.Fac, int]:
    """Return a 16-bit integer as assignments make it (ROUND, AYINT), what that leaves in FAC, and the cycles."""
    rounded, cycles = f40.round_fac(fac)
    fac = half_rounded(fac, rounded)
    number, more = f40.ayint(fac)
    return number, made_integer(fac), cycles + more


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
            return self.finish(self.assignment())
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
            return self.goto()
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
        name, array = self.pointer()
        if t.error:
            t.depth -= 2
            return name, self.failing().run
        t.cost += 6
        address = self.element_address(name) if array else self.simple_address(name)
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
        if node.string != is_string(name) and not t.error:
            t.fail(TYPE_MISMATCH)
        if t.error:
            return [address, self.failing(node).run]
        if is_string(name):
            return [self.assign_string(address, node)]
        if is_integer(name):
            return [self.assign_integer(address, node)]
        return [self.assign_float(address, node)]

    def assign_float(self, address: Closure, node: Node) -> Closure:
        """Return the closure that stores a float (CHKVAL to MOVVF)."""
        m, ram = self.m, self.m.ram
        cost = self.t.take() + 13 + 2 + 4 + 3 + JMP + 6
        run, pack, movmf = node.run, f40.pack, f40.movmf

        def assign() -> None:
            at = address()
            value, cycles = movmf(run())
            ram[at : at + 5] = pack(value)
            m.cycles += cost + cycles
            m.fac = value

        return assign

    def assign_integer(self, address: Closure, node: Node) -> Closure:
        """Return the closure that stores a 16-bit integer (CHKVAL to QINTGR)."""
        m, ram = self.m, self.m.ram
        cost = self.t.take() + 13 + 2 + 4 + 2 + JSR + JSR + 2 + 3 + 6 + 2 + 3 + 6 + RTS
        run = node.run

        def assign() -> None:
            at = address()
            value = run()
            number, m.fac, cycles = round_to_integer(value)
            m.cycles += cost + cycles
            ram[at] = number >> 8 & 255
            ram[at + 1] = number & 255

        return assign

    def assign_string(self, address: Closure, node: Node) -> Closure:
        """Return the closure that stores a string (CHKVAL to INPCOM)."""
        m = self.m
        cost = self.t.take() + 15 + 3 + 4
        run = node.run

        def assign() -> None:
            at = address()
            descriptor = run()
            m.cycles += cost
            m.assign_string(at, descriptor)

        return assign

    # flow

    def goto(self) -> Body:
        """Compile GOTO from its entry, which RTS leaves for NEWSTT."""
        jump = self.jump(JMP)
        return jump if jump else self.finish([])

    def jump(self, after: int) -> Body | None:
        """Compile GOTO from its entry; `after` comes behind its RTS. None if the number is wrong."""
        t, m = self.t, self.m
        number = self.line_number()
        if t.error:
            return None
        count, cycles = self.skip(0)
        t.cost += cycles + after
        cost, position = t.take(), t.position

        def jump() -> int:
            m.cycles += cost
            return m.go(number, position, count)

        return jump

    def _gosub(self) -> Body:
        t, m = self.t, self.m
        t.cost += 2
        t.check_stack(3)
        need, back = t.deepest, t.position
        t.cost += 24 + 5
        t.again()
        t.cost += JSR
        jump = self.jump(JMP)
        frames = m.frames
        if jump is None:
            return self.finish([])

        def gosub() -> int:
            frames.check(need)
            frames.push(GosubFrame(m.line, back))
            return jump()

        return gosub

    def _return(self) -> Body:
        t, m, ram = self.t, self.m, self.m.ram
        if not t.at_end:
            t.cost += 3 + RTS
            return self.finish([])
        cost = t.take() + 2 + 2 + 3 + JSR + 2 + 2 + 3 + 4 + 28 + JMP
        frames = m.frames

        def back() -> int:
            loops = 0
            while frames.open:
                frame = frames.pop()
                if isinstance(frame, GosubFrame):
                    m.line = frame.line
                    position, cycles = skip_data(ram, frame.position)
                    m.cycles += cost + skip_loops_cycles(loops) + cycles
                    return position
                loops += 1
            raise BasicError(RETURN_WITHOUT_GOSUB)

        return back

    def _if(self) -> Body:
        t, m = self.t, self.m
        condition = self.evaluate()
        t.again()
        t.cost += 2
        if t.char == GOTO:
            t.cost += 3
        else:
            t.cost += 2
            t.expect(THEN)
        if t.error:
            return self.finish([condition.run])
        before = t.take() + 3
        count, cycles = self.skip(0)
        false_cost = before + 2 + cycles + 4 + add_on(t.position, count) + JMP
        false_position = t.position + count
        t.cost += before + 3
        t.again()
        if t.at_digit:
            t.cost += 2 + JMP
            then = self.goto()
        else:
            t.cost += 3 + JMP
            then = self.dispatch()
        run, string = condition.run, condition.string

        def branch() -> int:
            value = run()
            if not string:
                m.fac = value
            if m.fac[1]:
                return then()
            m.cycles += false_cost
            return false_position

        return branch

    def _on(self) -> Body:
        t, m = self.t, self.m
        value = self.byte()
        t.cost += 3 + 2
        token = t.char
        if token == GOSUB:
            t.cost += 3
        else:
            t.cost += 2 + 2
            if token != GOTO:
                t.fail()
            t.cost += 2
        if t.error:
            return self.finish([value.run])
        paid = [t.take()]  # up to the DEC for the choice
        bodies: list[Body] = []
        while True:
            chosen = Text(t.ram, t.position)
            chosen.cost = 5 + 2 + 4 + JMP + 2 + 2
            bodies.append(Statements(m, chosen).by_token(token))
            t.deepest = max(t.deepest, chosen.deepest)
            t.cost += 5 + 3
            t.get()
            self.line_number()
            t.cost += 2
            if t.char != COMMA or t.error:
                break
            t.cost += 3
            paid.append(paid[-1] + t.take())
        failed = t.error
        t.cost += 2 + 4 + RTS + JMP
        total = paid[-1] + t.take()
        run, position = value.run, t.position

        def on() -> int:
            choice = run()
            if 1 <= choice <= len(bodies):
                m.cycles += paid[choice - 1]
                return bodies[choice - 1]()
            m.cycles += total
            if failed:
                raise BasicError(failed)
            return position

        return on

    def _end(self) -> Body:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 2 + 3 + RTS
            return self.finish([])
        cost, position = t.take() + 2 + END, t.position

        def end() -> int:
            m.cycles += cost
            return m.end(position)

        return end

    def _stop(self) -> Body:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 3 + 3 + RTS
            return self.finish([])
        cost, position = t.take() + 3 + END, t.position

        def stop() -> int:
            m.cycles += cost
            return m.stop(position)

        return stop

    def _run(self) -> Body:
        t, m = self.t, self.m
        t.cost += 3 + 2 + JSR + SETMSG + 4
        if t.at_end:
            cost = t.take() + 2 + JMP + JSR + 24 + 2 + 2 + JMP

            def run() -> int:
                m.cycles += cost
                return m.restart()

            return run
        t.cost += 3 + JSR + JMP
        cost = t.take()
        t.again()
        t.cost += JSR
        jump = self.jump(JMP)
        if jump is None:
            return self.finish([])

        def run_from() -> int:
            m.cycles += cost
            m.clear()
            return jump()

        return run_from

    def _clr(self) -> Body:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 3 + RTS
            return self.finish([])
        t.cost += 2
        return self.finish([m.clear])

    def _new(self) -> Body:
        return self.finish([]) if not self.t.at_end else self.m.new

    def _cont(self) -> Body:
        t, m = self.t, self.m
        if not t.at_end:
            t.cost += 3 + RTS
            return self.finish([])
        cost = t.take() + 2 + 2 + 3 + 3 + 9 + 12 + RTS + JMP

        def cont() -> int:
            m.cycles += cost
            return m.statement_position

        return cont

    # DATA and its readers

    def _data(self) -> Body:
        self.skip_statement(COLON)
        return self.finish([])

    def _rem(self) -> Body:
        self.t.cost += 4
        self.skip_statement(0)
        return self.finish([])

    def _restore(self) -> Body:
        m = self.m
        cost = self.t.take()

        def restore() -> None:
            m.cycles += cost + m.restore()

        return self.finish([restore])

    def _read(self) -> Body:
        self.t.cost += 6 + 2 + 4 + 9
        return self.input_list(self.m.data_source)

    def input_list(self, source: Source) -> Body:
        """Compile the list of variables of READ, INPUT or GET (INLOOP)."""
        t = self.t
        steps: list[Closure] = [source.begin]
        while True:
            name, address = self.target()
            if t.error:
                steps.append(address)
                break
            t.cost += 24
            steps.append(self._item(source, address, name))
            t.again()
            if t.at_end or t.error:
                t.cost += 3
                break
            t.cost += 2
            t.expect(COMMA)
            t.cost += JMP
            if t.error:
                break
        steps.append(source.finish)
        return self.finish(steps)

    def _item(self, source: Source, address: Closure, name: int) -> Closure:
        m, item = self.m, source.item
        cost = self.t.take()

        def take() -> None:
            at = address()
            m.cycles += cost
            item(at, name)

        return take

    def _get(self) -> Body:
        t = self.t
        t.cost += JSR + 14 + 2
        if t.char == HASH:
            t.cost += 2
            t.get()
            return self._from_file(self.byte())
        t.cost += 3 + 2 + 2 + 2 + 4 + 2 + JSR + 9
        return self.input_list(self.m.key_source)

    def _from_file(self, number: Node) -> Body:
        self.t.expect(COMMA)
        source = self.m.file_source
        body = self.input_list(source)

        def from_file() -> int:
            source.open(number.run())
            return body()

        return from_file

    def _input(self) -> Body:
        t, m = self.t, self.m
        t.cost += 2
        if t.char != QUOTE:
            t.cost += 3
            return self._input_line()
        t.cost += 2 + JSR
        prompt = self.quoted()
        t.expect(SEMICOLON)
        if t.error:
            return self.finish([prompt.run])
        t.cost += JSR
        cost = t.take()
        body = self._input_line()

        def with_prompt() -> int:
            descriptor = prompt.run()
            m.cycles += cost
            m.printer.string(descriptor)
            return body()

        return with_prompt

    def _input_line(self) -> Body:
        t = self.t
        t.cost += JSR + 14 + 2 + 4
        source = self.m.line_source
        count, _ = self.skip(COLON)
        empty = t.position + count
        body = self.input_list(source)

        def input_line() -> int:
            return body() if source.ask() else empty

        return input_line

    def _input_file(self) -> Body:
        return self._from_file(self.byte())

    def _dim(self) -> Body:
        t = self.t
        steps: list[Closure] = []
        while True:
            t.cost += 2 + JSR + 3
            t.depth += 2
            name, array = self.name()
            if not t.error:
                steps.append(self._dimension(name) if array else self.simple_address(name))
            t.depth -= 2
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
        dimension, index = m.variables.dimension, m.index

        def dim() -> None:
            indices = [index(run()) for run in runs]
            m.cycles += cost + dimension(name, indices)

        return dim

    def _def(self) -> Body:
        t, m, ram = self.t, self.m, self.m.ram
        t.cost += JSR
        name = self.function_name()
        if t.error:
            return self.finish([])
        find_function = self.simple_address(name)
        t.cost += JSR + 14
        t.expect(OPEN, 2 + 4)
        t.cost += 5 + JSR + 2
        t.again()
        t.cost += 3
        argument, _ = self.name(arrays=False, integers=False)
        if argument & 0x80 and not t.error:
            t.fail(TYPE_MISMATCH)
        if t.error:
            return self.finish([find_function])
        t.cost += JSR + CHKNUM
        find_argument = self.simple_address(argument)
        t.expect(CLOSE, 2 + 8)
        t.expect(EQUAL)
        if t.error:
            return self.finish([find_function, find_argument])
        formula, first = t.position, t.char
        t.cost += 3 + 12 + 12 + JSR
        self.skip_statement(COLON)
        t.cost += JMP + 66
        find = m.variables.find

        def define() -> None:
            find_function()
            at = find_argument()
            entry = find(name)[0]
            ram[entry : entry + 5] = bytes((formula & 255, formula >> 8, at & 255, at >> 8, first))

        return self.finish([define])

    # memory

    def address_and_byte(self) -> tuple[Node, Node]:
        """Compile an address, a comma and a byte (JSR GETNUM)."""
        t = self.t
        t.cost += JSR
        t.depth += 2
        address = self.number()
        t.cost += JSR
        t.expect(COMMA)
        if t.error:
            return address, self.failing(address)
        before = t.take()
        t.depth -= 2
        value = self.byte(JMP)
        return self._address(address, before), value

    def _address(self, node: Node, cost: int) -> Node:
        """Return a node that gives an address as an int (GETADR)."""
        m, run, getadr = self.m, node.run, f40.getadr

        def address() -> int:
            fac = run()
            value, cycles = getadr(fac)
            m.cycles += cost + cycles
            m.fac = fac if not fac[2] & FRACTION[fac[1]] else made_integer(fac)
            return value

        return Node(address)

    def _poke(self) -> Body:
        t, m = self.t, self.m
        address, value = self.address_and_byte()
        if t.error:
            return self.finish([self.both(address, value).run])
        t.cost += 2 + 2 + 6
        store, position = t.take(), t.position
        run_address, run_value, poke = address.run, value.run, m.memory.poke

        def body() -> int:
            at = run_address()
            byte = run_value()
            m.cycles += store
            poke(at, byte, m.cycles)
            m.cycles += RTS + JMP
            return position

        return body

    def _wait(self) -> Body:
        t, m = self.t, self.m
        address, mask = self.address_and_byte()
        t.cost += 3 + 2
        t.again()
        flip = None
        if t.at_end:
            t.cost += 3
        elif not t.error:
            t.cost += 2 + JSR
            t.expect(COMMA)
            flip = self.failing() if t.error else self.byte(JMP)
        t.cost += 3 + 2
        if t.error:
            return self.finish([address.run, mask.run, *([flip.run] if flip else [])])
        cost, position = t.take(), t.position

        def wait() -> int:
            at = address.run()
            bits = mask.run()
            xor = flip.run() if flip else 0
            m.cycles += cost
            m.wait(at, bits, xor)
            m.cycles += RTS + JMP
            return position

        return wait

    def _sys(self) -> Body:
        t, m = self.t, self.m
        node = self.number()
        t.cost += JSR
        if t.error:
            return self.finish([node.run])
        address = self._address(node, t.take())
        position, run = t.position, address.run

        def sys() -> int:
            return m.sys(run(), position)

        return sys

    # files

    def _print_file(self) -> Body:
        return self._command(close=True)

    def _cmd(self) -> Body:
        return self._command(close=False)

    def _command(self, close: bool) -> Body:
        t, m = self.t, self.m
        number = self.byte()
        if t.char == COMMA:
            t.expect(COMMA)
        select = m.select_output
        body = compile_print(self)

        def command() -> int:
            select(number.run())
            position = body()
            if close:
                select(0)
            return position

        return command

    def _device(self, action: str) -> Body:
        """Compile OPEN, CLOSE, LOAD, SAVE and VERIFY: up to four arguments, numbers and one string."""
        t, m = self.t, self.m
        nodes: list[Node] = []
        while not t.at_end and not t.error and len(nodes) < 4:
            if nodes:
                t.expect(COMMA)
            nodes.append(self.evaluate())
            t.again()
        if not nodes and action in ("open", "close"):
            t.fail()

        def run() -> None:
            values: list[Any] = [
                m.take_string(node.run()) if node.string else f40.conint(node.run())[0] for node in nodes
            ]
            m.device(action, values)

        return self.finish([run])

    def _list(self) -> Body:
        t, m = self.t, self.m
        first, last = 0, 0xFFFF
        if t.at_digit:
            first = last = self.line_number()
        if t.char == MINUS:
            t.get()
            last = self.line_number() if t.at_digit else 0xFFFF
        if not t.at_end:
            t.fail()
            return self.finish([])

        def show() -> int:
            return m.list(first, last)

        return show


END = 2 + 6 + 3 + 2 + 2 + 6 + 12 + 8 + 4 + 3 + JMP  # STOPC to READY
SETMSG = JMP + 18  # the KERNAL's switch of messages: estimate


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
    Statements._end, compile_for, compile_next, Statements._data, Statements._input_file, Statements._input,
    Statements._dim, Statements._read, lambda c: c.finish(c.assignment()), Statements.goto, Statements._run,
    Statements._if, Statements._restore, Statements._gosub, Statements._return, Statements._rem, Statements._stop,
    Statements._on, Statements._wait, lambda c: c._device("load"), lambda c: c._device("save"),
    lambda c: c._device("verify"), Statements._def, Statements._poke, Statements._print_file, compile_print,
    Statements._cont, Statements._list, Statements._clr, Statements._cmd, Statements._sys,
    lambda c: c._device("open"), lambda c: c._device("close"), Statements._get, Statements._new,
)  # fmt: skip
