"""Operands of expressions: literals, strings in the text, signs, parentheses, calls of functions.

Steps: BASIC-M6502 (EVAL, ISFUN, FNDOER), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.messages import TYPE_MISMATCH
from sidlearn.basic.nodes import (
    CHKNUM,
    CLOSE,
    FIRST_FUNCTION,
    FN,
    GO,
    LEFT,
    LENGTH_FAC,
    MINUS,
    NEGATE_PRECEDENCE,
    NOT,
    NOT_PRECEDENCE,
    OPEN,
    PI,
    PLUS,
    POINT,
    PULL,
    PUSH,
    QUOTE,
    Node,
    Operation,
    Operator,
    half_rounded,
    is_letter,
    isletc,
)
from sidlearn.basic.operations import not_float
from sidlearn.basic.references import read_name, variable
from sidlearn.basic.strings import PUTNEW
from sidlearn.basic.text import JMP, JSR

if TYPE_CHECKING:
    from sidlearn.basic.expressions import Expressions

_PI_VALUE: f40.Fac = (0, 0x82, 0xC90FDAA1, 0)
FINGO = 5 + 3 + 5 + 3 + JSR + JMP


def operand(c: Expressions) -> Node | tuple[Node, Operator | None]:
    """Compile EVAL: one operand. A minus or NOT gives also the operator that ended its own operand."""
    t = c.t
    t.cost += 5 + 2 + 3
    while True:
        char = t.get()
        if t.error:
            return c.failing()
        if t.at_digit:
            t.cost += 2 + JMP
            return literal(c)
        t.cost += 3 + JSR + isletc(char)
        if is_letter(char):
            t.cost += 2 + JMP
            return variable(c)
        t.cost += 3 + 2
        if char == PI:
            t.cost += 2 + 4 + JSR + f40.MOVFM_CYCLES + JMP - JSR
            t.get()
            return constant(c, _PI_VALUE)
        t.cost += 3 + 2
        if char == POINT:
            t.cost += 3 + JMP
            return literal(c)
        t.cost += 2 + 2
        if char == MINUS:
            t.cost += 4 + 2
            return unary(c, f40.fneg, NEGATE_PRECEDENCE)
        t.cost += 2 + 2
        if char != PLUS:
            break
        t.cost += 3
    t.cost += 2 + 2
    if char == QUOTE:
        t.cost += 2
        return quoted(c)
    t.cost += 3 + 2
    if char == NOT:
        t.cost += 2 + 2 + 4
        return unary(c, not_float, NOT_PRECEDENCE)
    t.cost += 3 + 2
    if char == FN:
        t.cost += 2 + JMP
        return user_function(c)
    t.cost += 3 + 2
    if char >= FIRST_FUNCTION:
        t.cost += 2 + JMP
        return function(c, char)
    t.cost += 3
    return parenthesis(c)


def constant(c: Expressions, value: f40.Fac) -> Node:
    """A value that is in the text: its cost is in the bill already."""
    return Node(lambda: value, constant=value)


def literal(c: Expressions) -> Node:
    t = c.t
    try:
        value, t.position, cycles = f40.fin(t.ram, t.position)
    except f40.FloatError as error:
        t.fail(error.code)
        return c.failing()
    t.char = t.ram[t.position]
    t.cost += cycles
    return constant(c, value)


def unary(c: Expressions, operation: Operation, precedence: int) -> tuple[Node, Operator | None]:
    """GONPRC: the accumulator is pushed as for a binary operator, whatever it holds."""
    t, m = c.t, c.m
    t.cost += 4 + 4 + JMP + PUSH
    t.depth += 9
    node, following = c._chain(precedence)
    t.depth -= 9
    if t.error:
        return c.failing(node), None
    t.cost += PULL
    cost = t.take()
    run, round_fac = node.run, f40.round_fac

    def unary() -> f40.Fac:
        rounded, cycles = round_fac(m.fac)
        m.fac = half_rounded(m.fac, rounded)
        value, more = operation(run())
        m.cycles += cost + cycles + more
        return value

    return Node(unary, looks_back=True), following


def quoted(c: Expressions) -> Node:
    """Compile a string in the text (STRTXT); its characters stay where they are."""
    t, m = c.t, c.m
    start = t.position + 1
    t.cost += 3 + 3 + 2 + (3 if start & 255 else 4) + JSR + 8
    length, t.position, page, cycles = m.strings.literal(start)
    t.char = t.ram[t.position]
    fixed = 2 + 2 + 3 + PUTNEW if page and page != 2 else 0
    t.cost += JMP + 18
    cost = t.take()
    strings, fac = m.strings, LENGTH_FAC[length]
    if fixed:
        cost += cycles + fixed

        def literal() -> int:
            m.cycles += cost
            m.fac = fac
            return strings.put_new(length, start)

        return Node(literal, string=True)

    def copied() -> int:
        descriptor, _, cycles = strings.new_literal(start)
        m.cycles += cost + cycles
        m.fac = fac
        return descriptor

    return Node(copied, string=True)


def parenthesis(c: Expressions) -> Node:
    """Compile a value in parentheses (PARCHK)."""
    t = c.t
    t.expect(OPEN, 2 + 4)
    if t.error:
        return c.failing()
    node = c.evaluate()
    t.expect(CLOSE, 2 + 8 - JSR)
    return c.failing(node) if t.error else node


def function(c: Expressions, token: int) -> Node:
    """Compile a call of a built-in function (ISFUN)."""
    from sidlearn.basic.functions import FUNCTIONS, substring

    t = c.t
    if token >= GO:
        t.fail()
        return c.failing()
    t.cost += 2 + 3 + 2
    t.get()
    t.cost += 2
    t.depth += 1
    if token >= LEFT:
        t.cost += 2
        node = substring(c, token)
        t.depth -= 1
        return node
    t.cost += 3 + JSR
    t.depth += 2
    node = parenthesis(c)
    t.depth -= 3
    t.cost += 4 + 2 + FINGO
    if t.error:
        return node
    make, argument = FUNCTIONS[token - FIRST_FUNCTION]
    if argument is not None and argument != node.string:
        t.fail(TYPE_MISMATCH)
        return c.failing(node)
    result = make(c, node)
    result.looks_back = node.looks_back
    if not result.string:
        t.cost += JMP + CHKNUM
    return result


def user_function(c: Expressions) -> Node:
    """Compile a call of a user's function (FNDOER)."""
    t, m = c.t, c.m
    t.cost += JSR
    name = function_name(c)
    search = t.take()
    t.cost += 6 + 6 + JSR
    t.depth += 4
    node = parenthesis(c)
    t.depth -= 4
    t.cost += JSR
    node = c.check_number(node)
    if t.error:
        return c.failing(node)
    cost = t.take() + 14
    run, depth, find = node.run, t.depth, m.variables.find_or_create

    def call() -> f40.Fac:
        entry, cycles = find(name)
        m.cycles += search + cycles
        value = run()
        m.cycles += cost
        return m.call_function(entry, value, depth)

    return Node(call, looks_back=node.looks_back)


def function_name(c: Expressions) -> int:
    """Compile FN and a name (GETFNM but for the search)."""
    t = c.t
    t.expect(FN)
    t.cost += 2 + 3 + JSR
    name, _ = read_name(c, 0x8000, arrays=False, integers=False)
    t.cost += 6 + JMP + CHKNUM
    if name & 0x80 and not t.error:
        t.fail(TYPE_MISMATCH)
    return name
