"""The built-in functions of BASIC as compilers: each takes its argument's node and gives that of the call.

Steps: BASIC-M6502 (SGN to MID$), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.float40_text import chrgot
from sidlearn.basic.memory import FRETOP, LOFBUF, PNTR, STREND
from sidlearn.basic.messages import ILLEGAL_QUANTITY, TYPE_MISMATCH, BasicError
from sidlearn.basic.nodes import CHKSTR, CLOSE, COMMA, LEFT, LENGTH_FAC, MID, OPEN, RIGHT, Node
from sidlearn.basic.operands import FINGO
from sidlearn.basic.strings import PUTNEW
from sidlearn.basic.text import JMP, JSR, RTS

if TYPE_CHECKING:
    from sidlearn.basic.expressions import Expressions
    from sidlearn.basic.text import Text

PLOT = JMP + 15  # the KERNAL's reading of the cursor: measured on the original code
_LEN1 = JSR + JSR + CHKSTR + 6 + 2 + 3 + 2 + RTS  # without FRETMP
_PREAM = 62

Maker = Callable[["Expressions", Node], Node]


def _numeric(operation: Callable[[f40.Fac], tuple[f40.Fac, int]]) -> Maker:
    """Return the compiler of a function from number to number."""

    def make(c: Expressions, node: Node) -> Node:
        m = c.m
        cost = c.t.take()
        run = node.run

        def call() -> f40.Fac:
            value, cycles = operation(run())
            m.cycles += cost + cycles
            return value

        return Node(call)

    return make


def _peek(c: Expressions, node: Node) -> Node:
    m = c.m
    before = c.t.take() + 12 + JSR
    after = 2 + 14 + JMP
    run, getadr, sngflt, peek = node.run, f40.getadr, f40.sngflt, m.memory.peek

    def call() -> f40.Fac:
        address, cycles = getadr(run())
        m.cycles += before + cycles + 2 + 5
        value, cycles = sngflt(peek(address, m.cycles))
        m.cycles += after + cycles
        return value

    return Node(call)


def _usr(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take() + JMP
    run = node.run

    def call() -> f40.Fac:
        value = run()
        m.cycles += cost
        return m.call_usr(value)

    return Node(call)


def _fre(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take() + 3 + (2 + JSR + 6 if node.string else 3) + JSR + 16
    run, string, strings, word = node.run, node.string, m.strings, m.memory.word

    def call() -> f40.Fac:
        value = run()
        m.cycles += cost
        if string:
            m.cycles += strings.free(value)[2]
        m.cycles += strings.collect()
        free = word(FRETOP) - word(STREND) & 0xFFFF
        result, cycles = f40.givayf(free - 65536 if free & 0x8000 else free)
        m.cycles += cycles
        return result

    return Node(call)


def _pos(c: Expressions, node: Node) -> Node:
    m, ram = c.m, c.m.ram
    cost = c.t.take() + 2 + JSR + PLOT
    run = node.run

    def call() -> f40.Fac:
        run()
        value, cycles = f40.sngflt(ram[PNTR])
        m.cycles += cost + cycles
        return value

    return Node(call)


def _rnd(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run = node.run

    def call() -> f40.Fac:
        value = run()
        m.cycles += cost
        return m.random(value)

    return Node(call)


def _len(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take() + JSR + _LEN1 + JMP
    run, free = node.run, m.strings.free

    def call() -> f40.Fac:
        length, _, cycles = free(run())
        value, more = f40.sngflt(length)
        m.cycles += cost + cycles + more
        return value

    return Node(call)


def _asc(c: Expressions, node: Node) -> Node:
    m, ram = c.m, c.m.ram
    cost = c.t.take() + JSR + _LEN1 + 2 + 2 + 5 + 2 + JMP
    run, free = node.run, m.strings.free

    def call() -> f40.Fac:
        length, address, cycles = free(run())
        m.cycles += cost + cycles
        if not length:
            raise BasicError(ILLEGAL_QUANTITY)
        value, cycles = f40.sngflt(ram[address])
        m.cycles += cycles
        return value

    return Node(call)


def _val(c: Expressions, node: Node) -> Node:
    m, ram = c.m, c.m.ram
    cost = c.t.take() + JSR + _LEN1
    run, free = node.run, m.strings.free

    def call() -> f40.Fac:
        length, address, cycles = free(run())
        m.cycles += cost + cycles
        if not length:
            m.cycles += 2 + JMP + 14
            return f40.ZERO
        end = address + length & 0xFFFF
        m.cycles += 3 + 12 + 6 + 2 + 3 + 3 + 6 + (3 if (address & 255) + length < 256 else 4) + 3 + 2 + 5 + 3 + 2 + 6
        behind, ram[end] = ram[end], 0  # the number ends at a zero
        try:
            _, position, cycles = chrgot(ram, address)
            value, _, more = f40.fin(ram, position)
        finally:
            ram[end] = behind
        m.cycles += JSR + cycles + JSR + more + 4 + 2 + 6 + 12 + RTS
        return value

    return Node(call)


def _str(c: Expressions, node: Node) -> Node:
    m, ram = c.m, c.m.ram
    cost = c.t.take() + JSR + 18 + 2 + JSR - 2 + 8 + 4 + 3 + 8
    run = node.run

    def call() -> int:
        text, cycles = f40.fout(run())
        m.cycles += cost + cycles
        ram[LOFBUF : LOFBUF + len(text) + 1] = text + b"\0"
        descriptor, _, cycles = m.strings.new_literal(LOFBUF)
        m.cycles += cycles
        m.fac = LENGTH_FAC[len(text)]
        return descriptor

    return Node(call, string=True)


def _chr(c: Expressions, node: Node) -> Node:
    t, m, ram = c.t, c.m, c.m.ram
    t.cost -= JSR
    t.again()
    cost = t.take() + JSR + 2 + 3 + 2 + JSR + JSR + 9 + RTS + 4 + 2 + 6 + 8 + JMP + PUTNEW
    run, strings, conint = node.run, m.strings, f40.conint

    def call() -> int:
        value, cycles = conint(run())
        address, more = strings.allocate(1)
        ram[address] = value
        m.cycles += cost + cycles + more
        m.fac = LENGTH_FAC[1]
        return strings.put_new(1, address)

    return Node(call, string=True)


# In the order of the tokens from SGN on: the compiler, and whether it takes a string (None: either).
FUNCTIONS: tuple[tuple[Maker, bool | None], ...] = (
    (_numeric(f40.fsgn), False), (_numeric(f40.fint), False), (_numeric(f40.fabs), False), (_usr, None), (_fre, None),
    (_pos, None), (_numeric(f40.fsqr), False), (_rnd, False), (_numeric(f40.flog), False), (_numeric(f40.fexp), False),
    (_numeric(f40.fcos), False), (_numeric(f40.fsin), False), (_numeric(f40.ftan), False), (_numeric(f40.fatn), False),
    (_peek, False), (_len, True), (_str, False), (_val, True), (_asc, True), (_chr, False),
)  # fmt: skip


def substring(c: Expressions, token: int) -> Node:
    """Compile LEFT$, RIGHT$ and MID$ from their opening parenthesis on."""
    t, m = c.t, c.m
    t.expect(OPEN, 2 + 4)
    string = c.evaluate()
    t.expect(COMMA)
    if not string.string and not t.error:
        t.fail(TYPE_MISMATCH)
    if t.error:
        return c.failing(string)
    t.cost += JSR + CHKSTR + 4 + 2 + 12 + 2 + 3
    before = t.take()
    t.depth += 2
    number = c.byte()
    t.cost += 4 + 2 + 2 + 3 + JMP + FINGO
    t.depth += 1
    count = _second_number(c) if token == MID else None
    t.depth -= 3
    t.cost += JSR
    t.expect(CLOSE, 2 + 8)
    if t.error:
        return c.both(string, c.failing(number, *([count] if count else [])))
    t.cost += _PREAM + 3 + JSR + JSR + 9 + RTS + 6 + JSR + 4 + 2 + 4 + 2 + 3 + 3 + 3 + 2 + JSR + JMP + PUTNEW
    cost = t.take()
    run, run_number = string.run, number.run
    run_count = count.run if count else None
    strings, ram = m.strings, m.ram
    cut = _CUT[token]

    def call() -> int:
        descriptor = run()
        m.cycles += before
        first = run_number()
        limit = run_count() if run_count else 255
        offset, length, cycles = cut(ram[descriptor], first, limit)
        target, more = strings.allocate(length)
        m.cycles += cost + cycles + more
        _, source, cycles = strings.free(descriptor)
        if (source & 255) + offset >= 256:
            cycles += 4
        m.cycles += cycles + strings.copy(source + offset, length, target)
        m.fac = LENGTH_FAC[length]
        return strings.put_new(length, target)

    return Node(call, string=True, looks_back=string.looks_back)


def _second_number(c: Expressions) -> Node | None:
    """Compile MID$'s optional length."""
    t: Text = c.t
    t.cost += 5
    t.again()
    t.cost += 2
    if t.char == CLOSE:
        t.cost += 3
        return None
    t.cost += 2
    t.expect(COMMA)
    return c.failing() if t.error else c.byte()


def _cut_left(size: int, first: int, _: int) -> tuple[int, int, int]:
    if first < size:
        return 0, first, 5 + 2 + 3 + 3 + 2
    return 0, size, 5 + 2 + 2 + 5 + 2 + 2 + 3 + 2


def _cut_right(size: int, first: int, _: int) -> tuple[int, int, int]:
    if first <= size:
        return size - first, first, 2 + 5 + 2 + JMP + 3 + 3 + 2
    return 0, size, 2 + 5 + 2 + JMP + 2 + 5 + 2 + 2 + 3 + 2


def _cut_middle(size: int, first: int, limit: int) -> tuple[int, int, int]:
    if not first:
        raise BasicError(ILLEGAL_QUANTITY)
    cycles = 2 + 2 + 2 + 3 + 2 + 2 + 5
    rest = size - (first - 1)
    if rest < 0:
        return first - 1, 0, cycles + 3 + 2
    cycles += 2 + 2 + 3
    if rest < limit:
        return first - 1, rest, cycles + 3
    return first - 1, limit, cycles + 2 + 3 + 3


# From PREAM's return to the saving of the length (RLEFT3): offset, length and the cycles.
_CUT = {LEFT: _cut_left, RIGHT: _cut_right, MID: _cut_middle}
