"""LET, DIM and DEF FN: what gives variables their values.

Steps: BASIC-M6502 (LET, DIM, DEF), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.messages import TYPE_MISMATCH
from sidlearn.basic.nodes import CHKNUM, CLOSE, COMMA, EQUAL, OPEN, Body, Closure, Node, half_rounded, made_integer
from sidlearn.basic.operands import function_name
from sidlearn.basic.references import indices, read_name
from sidlearn.basic.text import COLON, JMP, JSR, RTS
from sidlearn.basic.variables import is_integer, is_string

if TYPE_CHECKING:
    from sidlearn.basic.statements import Statements


def assignment(c: Statements) -> list[Closure]:
    """Compile LET from its entry."""
    t = c.t
    name, address = c.target()
    t.expect(EQUAL)
    t.cost += 12
    t.depth += 2
    node = c.evaluate()
    t.depth -= 2
    t.cost += 4 + 2 + JSR
    if node.string != is_string(name) and not t.error:
        t.fail(TYPE_MISMATCH)
    if t.error:
        return [address, c.failing(node).run]
    if is_string(name):
        return [assign_string(c, address, node)]
    if is_integer(name):
        return [assign_integer(c, address, node)]
    return [assign_float(c, address, node)]


def assign_float(c: Statements, address: Closure, node: Node) -> Closure:
    """Return the closure that stores a float (CHKVAL to MOVVF)."""
    m, ram = c.m, c.m.ram
    cost = c.t.take() + 13 + 2 + 4 + 3 + JMP + 6
    run, pack, movmf = node.run, f40.pack, f40.movmf

    def assign() -> None:
        at = address()
        value, cycles = movmf(run())
        ram[at : at + 5] = pack(value)
        m.cycles += cost + cycles
        m.fac = value

    return assign


def assign_integer(c: Statements, address: Closure, node: Node) -> Closure:
    """Return the closure that stores a 16-bit integer (CHKVAL to QINTGR)."""
    m, ram = c.m, c.m.ram
    cost = c.t.take() + 13 + 2 + 4 + 2 + JSR + JSR + 2 + 3 + 6 + 2 + 3 + 6 + RTS
    run = node.run

    def assign() -> None:
        at = address()
        value = run()
        number, m.fac, cycles = round_to_integer(value)
        m.cycles += cost + cycles
        ram[at] = number >> 8 & 255
        ram[at + 1] = number & 255

    return assign


def assign_string(c: Statements, address: Closure, node: Node) -> Closure:
    """Return the closure that stores a string (CHKVAL to INPCOM)."""
    m = c.m
    cost = c.t.take() + 15 + 3 + 4
    run = node.run

    def assign() -> None:
        at = address()
        descriptor = run()
        m.cycles += cost
        m.assign_string(at, descriptor)

    return assign


def compile_dim(c: Statements) -> Body:
    t = c.t
    steps: list[Closure] = []
    while True:
        t.cost += 2 + JSR + 3
        t.depth += 2
        name, array = read_name(c)
        if not t.error:
            steps.append(_dimension(c, name) if array else c.simple_address(name))
        t.depth -= 2
        t.again()
        if t.at_end or t.error:
            t.cost += 2 + RTS
            break
        t.cost += 3
        t.expect(COMMA)
    return c.finish(steps)


def _dimension(c: Statements, name: int) -> Closure:
    m = c.m
    nodes = indices(c)
    cost = c.t.take()
    runs = [node.run for node in nodes]
    dimension, index = m.variables.dimension, m.index

    def dim() -> None:
        indices = [index(run()) for run in runs]
        m.cycles += cost + dimension(name, indices)

    return dim


def compile_def(c: Statements) -> Body:
    t, m, ram = c.t, c.m, c.m.ram
    t.cost += JSR
    t.not_direct()
    name = function_name(c)
    if t.error:
        return c.finish([])
    find_function = c.simple_address(name)
    t.cost += JSR + 14
    t.expect(OPEN, 2 + 4)
    t.cost += 5 + JSR + 2
    t.again()
    t.cost += 3
    argument, _ = read_name(c, arrays=False, integers=False)
    if argument & 0x80 and not t.error:
        t.fail(TYPE_MISMATCH)
    if t.error:
        return c.finish([find_function])
    t.cost += JSR + CHKNUM
    find_argument = c.simple_address(argument)
    t.expect(CLOSE, 2 + 8)
    t.expect(EQUAL)
    if t.error:
        return c.finish([find_function, find_argument])
    formula, first = t.position, t.char
    t.cost += 3 + 12 + 12 + JSR
    c.skip_statement(COLON)
    t.cost += JMP + 66
    find = m.variables.find

    def define() -> None:
        find_function()
        at = find_argument()
        entry = find(name)[0]
        ram[entry : entry + 5] = bytes((formula & 255, formula >> 8, at & 255, at >> 8, first))

    return c.finish([define])


def round_to_integer(fac: f40.Fac) -> tuple[int, f40.Fac, int]:
    """Return a 16-bit integer as assignments make it (ROUND, AYINT), what that leaves in FAC, and the cycles."""
    rounded, cycles = f40.round_fac(fac)
    fac = half_rounded(fac, rounded)
    number, more = f40.ayint(fac)
    return number, made_integer(fac), cycles + more
