"""What operators do: arithmetic, logic, comparisons, and the joining of strings.

Steps: BASIC-M6502 (FADDT to FPWRT, ANDOP, OROP, DOREL, CAT), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.memory import DSCTMP
from sidlearn.basic.messages import STRING_TOO_LONG, TYPE_MISMATCH, BasicError
from sidlearn.basic.nodes import AND, CHKSTR, DIVIDE, LENGTH_FAC, MINUS, OR, PLUS, POWER, TIMES, Node, half_rounded
from sidlearn.basic.strings import PUTNEW
from sidlearn.basic.text import JMP, JSR, crossings

if TYPE_CHECKING:
    from sidlearn.basic.expressions import Expressions


def arithmetic(c: Expressions, token: int, left: Node, right: Node, before: int) -> Node:
    m = c.m
    cost = c.t.take() + before
    run_left, run_right = left.run, right.run
    operation, round_fac = OPERATIONS[token], f40.round_fac
    if right.constant is not None:
        constant = right.constant

        def with_constant() -> f40.Fac:
            arg, rounded = round_fac(run_left())
            result, cycles = operation(arg, constant)
            m.cycles += cost + rounded + cycles
            return result

        return Node(with_constant, looks_back=left.looks_back)
    if right.looks_back:

        def looking_back() -> f40.Fac:
            value = run_left()
            arg, rounded = round_fac(value)
            m.fac = half_rounded(value, arg)
            result, cycles = operation(arg, run_right())
            m.cycles += cost + rounded + cycles
            return result

        return Node(looking_back, looks_back=left.looks_back)
    cost -= before

    def binary() -> f40.Fac:
        arg, rounded = round_fac(run_left())
        m.cycles += before + rounded
        result, cycles = operation(arg, run_right())
        m.cycles += cost + cycles
        return result

    return Node(binary, looks_back=left.looks_back)


def compare(c: Expressions, mask: int, left: Node, right: Node, before: int) -> Node:
    """DOREL on numbers."""
    m = c.m
    cost = c.t.take() + 47
    run_left, run_right = left.run, right.run
    round_fac, fcomp = f40.round_fac, f40.fcomp
    # fcomp's answer, that of right against left -> the result, and the cycles from QCOMP on.
    results = {
        order: (TRUTH, cycles + TRUTH_CYCLES) if mask & bit else (FALSEHOOD, cycles + FALSE_CYCLES)
        for order, bit, cycles in ((1, 4, 7 + DOCMP), (0, 2, 7 + DOCMP), (-1, 1, 3 + DOCMP))
    }

    def compare() -> f40.Fac:
        value = run_left()
        arg, rounded = round_fac(value)
        m.cycles += before + rounded
        if right.looks_back:
            m.fac = half_rounded(value, arg)
        order, cycles = fcomp(run_right(), arg)
        result, more = results[order]
        m.cycles += cost + cycles + more
        return result

    return Node(compare, looks_back=left.looks_back)


def compare_strings(c: Expressions, mask: int, left: Node, right: Node, before: int) -> Node:
    """DOREL on strings (STRCMP)."""
    m = c.m
    cost = c.t.take() + JSR + 15 + 3 + 10 + JSR + 6 + 9 + 6 + JSR + 6 + 2 + 2 + 3
    run_left, run_right, ram, strings = left.run, right.run, m.ram, m.strings

    def compare() -> f40.Fac:
        first = run_left()
        m.cycles += before + (19 if m.fac[1] else 12)
        second = run_right()
        length, right_at, cycles = strings.free(second)
        ram[DSCTMP] = length
        right_text = ram[right_at : right_at + length]
        length, left_at, more = strings.free(first)
        left_text = ram[left_at : left_at + length]
        shorter = min(len(left_text), len(right_text))
        if length == len(right_text):
            order, more = 0, more + 3
        elif length < len(right_text):
            order, more = -1, more + 2 + 2 + 3
        else:
            order, more = 1, more + 2 + 2 + 2 + 3 + 2
        equal = 0
        while equal < shorter and left_text[equal] == right_text[equal]:
            equal += 1
        more += 3 + 2 + 2 + 20 * equal
        if equal < shorter:
            more += crossings(left_at, 0, equal) + crossings(right_at, 0, equal) + 2 + 2 + 3 + 5 + 5 + 2 + 2
            if left_text[equal] > right_text[equal]:
                order, more = 1, more + 3
            else:
                order, more = -1, more + 2 + 2
        else:
            if equal:
                more += crossings(left_at, 0, equal - 1) + crossings(right_at, 0, equal - 1)
            more += 2 + 2 + 2 + 3 + (3 if order > 0 else 2 + 2 + 3)
        true = mask & (1 if order > 0 else 4 if order else 2)
        m.cycles += cost + cycles + more + DOCMP + (TRUTH_CYCLES if true else FALSE_CYCLES)
        return TRUTH if true else FALSEHOOD

    return Node(compare, looks_back=True)


def join(c: Expressions, left: Node, right: Node, before: int) -> Node:
    """Compile a string addition (CAT) behind its second operand."""
    t, m = c.t, c.m
    if t.error:
        return c.both(left, c.failing(right))
    if not right.string:
        t.fail(TYPE_MISMATCH)
        return c.failing(left, right)
    t.cost += JSR + CHKSTR + 14 + 2 + 5 + 2 + 5 + 3 + JSR + 33 + JSR + 32 + 6 + 6 + JSR + JSR + 6 + JSR
    t.cost += JSR + PUTNEW + JMP
    after = t.take()
    run_left, run_right, strings, ram = left.run, right.run, m.strings, m.ram

    def join() -> int:
        first = run_left()
        m.cycles += before
        second = run_right()
        length = ram[first] + ram[second]
        if length > 255:
            raise BasicError(STRING_TOO_LONG)
        target, cycles = strings.allocate(length)
        cycles += strings.copy(strings.where(first), ram[first], target) + crossings(first, 1, 2)
        rest = target + ram[first]
        size, source, more = strings.free(second)
        cycles += more + strings.copy(source, size, rest)
        cycles += strings.free(first)[2]
        m.cycles += after + cycles
        m.fac = LENGTH_FAC[length]
        return strings.put_new(length, target)

    return Node(join, string=True, looks_back=left.looks_back)


def and_floats(arg: f40.Fac, fac: f40.Fac) -> tuple[f40.Fac, int]:
    """AND of two numbers as 16-bit integers (ANDOP)."""
    right, cycles = f40.ayint(fac)
    left, more = f40.ayint(arg)
    result, last = f40.givayf(left & right)
    return result, 151 + cycles + more + last


def or_floats(arg: f40.Fac, fac: f40.Fac) -> tuple[f40.Fac, int]:
    """OR of two numbers as 16-bit integers (OROP)."""
    right, cycles = f40.ayint(fac)
    left, more = f40.ayint(arg)
    result, last = f40.givayf(left | right)
    return result, 155 + cycles + more + last


def not_float(fac: f40.Fac) -> tuple[f40.Fac, int]:
    """NOT of a number as a 16-bit integer (NOTOP)."""
    value, cycles = f40.ayint(fac)
    result, more = f40.givayf(~value)
    return result, JSR + 12 + JMP + cycles + more


OPERATIONS = {
    PLUS: f40.faddt, MINUS: f40.fsubt, TIMES: f40.fmultt, DIVIDE: f40.fdivt, POWER: f40.fpow, AND: and_floats,
    OR: or_floats,
}  # fmt: skip


TRUTH, _TRUTH = f40.float_signed_byte(-1)


FALSEHOOD, _FALSEHOOD = f40.float_signed_byte(0)


DOCMP = 9 + JMP


TRUTH_CYCLES, FALSE_CYCLES = 2 + 2 + _TRUTH, 3 + _FALSEHOOD
