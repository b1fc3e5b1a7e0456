"""From expressions in program text to Python closures that take the machine's steps and count its cycles.

The walk over the text follows FRMEVL and EVAL of BASIC-M6502 (MIT licence): operators wait on the stack by precedence,
and every character is fetched and tested in the machine's order, so that the cost of reading the text is known when a
statement is compiled. What depends on values (floats, the variable tables, strings) is counted while the program runs.
See `text` for what the cycles are.

A numeric closure returns an unpacked float (`float40.Fac`), a string closure the address of a descriptor. The
accumulator as the machine leaves it behind matters in a few places; it is kept in the interpreter's `fac` where they
could look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sidlearn.basic import float40 as f40
from sidlearn.basic.messages import SYNTAX, TYPE_MISMATCH, BasicError
from sidlearn.basic.nodes import (
    CHKNUM,
    FRACTION,
    GREATER,
    LESS,
    PLUS,
    PRECEDENCE,
    PULL,
    PUSH,
    RELATION_PRECEDENCE,
    Node,
    Operator,
    made_integer,
)
from sidlearn.basic.operands import operand
from sidlearn.basic.operations import arithmetic, compare, compare_strings, join
from sidlearn.basic.text import JMP, JSR, RTS, Text

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter


class Expressions:
    """Compiles expressions for one statement."""

    def __init__(self, machine: Interpreter, text: Text):
        self.m = machine
        self.t = text
        self._mask = 0  # OPMASK: what the last relation has left there

    # FRMEVL and its checks

    def evaluate(self) -> Node:
        """Compile a whole expression (JSR FRMEVL)."""
        t = self.t
        t.cost += JSR + 3 + (3 if t.position & 255 else 2 + 5) + 5 + 2 + 3
        t.position -= 1
        t.depth += 2
        node, _ = self._chain(0)
        t.depth -= 2
        return node

    def number(self) -> Node:
        """Compile a numeric expression (JSR FRMNUM)."""
        self.t.cost += JSR
        self.t.depth += 2
        node = self.evaluate()
        self.t.depth -= 2
        return self.check_number(node)

    def check_number(self, node: Node) -> Node:
        """Compile the check that a value is a number (CHKNUM without its JSR)."""
        self.t.cost += CHKNUM
        if node.string and not self.t.error:
            self.t.fail(TYPE_MISMATCH)
        return self.failing(node) if self.t.error else node

    def failing(self, *nodes: Node) -> Node:
        """Return a node that evaluates `nodes` and then raises the error found in the text."""
        code = self.t.error

        def fail() -> Any:
            for node in nodes:
                node.run()
            raise BasicError(code)

        return Node(fail)

    # operators

    def _chain(self, precedence: int) -> tuple[Node, Operator | None]:
        """Compile from LPOPER on: an operand and all operators that bind tighter than `precedence`.

        Returns the node and the operator that ended the chain.
        """
        t = self.t
        t.depth += 1
        t.cost += 2 + 3 + 2
        t.check_stack(1)
        t.cost += JSR
        t.depth += 2
        result = operand(self)
        t.depth -= 2
        self._mask = 0
        fetched = isinstance(result, Node)  # a sign or NOT comes back with its operator already found
        if isinstance(result, Node):
            t.cost += 5
            node, operator = self._next_operator(result)
        else:
            node, operator = result
        while not t.error:
            if not (self._from_text(node, precedence, operator) if fetched else self._from_stack(precedence, operator)):
                if precedence and node.string and operator is not None and not operator.token:
                    node = self._as_number(node)  # a relation that follows has cleared VALTYP
                break
            assert operator is not None
            node, operator = self._binary(node, operator)
            fetched = False
        t.depth -= 1
        return node, operator

    def _from_text(self, node: Node, precedence: int, operator: Operator | None) -> bool:
        """QOP and QPREC: whether the operator just found in the text comes before the one waiting."""
        t = self.t
        if operator is None:
            t.cost += 2 + 4
            if not precedence:
                t.cost += 3 + 3 + RTS
            else:
                t.cost += 2
                self._check_waiting(precedence, node.string)
            return False
        t.cost += 4 + 4
        if precedence >= operator.precedence:
            t.cost += 4
            self._check_waiting(precedence, node.string and operator.token != 0)  # a relation has cleared VALTYP
            return False
        t.cost += 2 + JSR + CHKNUM + 3
        if node.string and operator.token:  # a relation has cleared VALTYP
            t.fail(TYPE_MISMATCH)
        return True

    def _from_stack(self, precedence: int, operator: Operator | None) -> bool:
        """NEGPRC behind an operation: whether the operator found before it comes before the one waiting."""
        t = self.t
        t.cost += 4 + 3
        if operator is None:
            t.cost += 2 + 2 + (2 + 3 if precedence else 3 + 3 + 3 + RTS)
            return False
        t.cost += 3 + 4
        if precedence >= operator.precedence:
            t.cost += 3
            return False
        t.cost += 2 + 4 + 3
        return True

    def _check_waiting(self, precedence: int, string: bool) -> None:
        """QCHNUM: before the waiting operator is applied, its right-hand side must be a number unless it compares."""
        t = self.t
        t.cost += 2
        if precedence == RELATION_PRECEDENCE:
            t.cost += 3 + 3
            return
        t.cost += 2 + JSR + CHKNUM + 3
        if string:
            t.fail(TYPE_MISMATCH)

    def _as_number(self, node: Node) -> Node:
        """Return a node that gives what the accumulator holds behind a string, for arithmetic before a relation."""
        m, run = self.m, node.run

        def accumulator() -> f40.Fac:
            at = run()
            sign, exponent, mantissa, _ = m.fac
            high = mantissa >> 16
            if at < 0x100:
                exponent, high = m.ram[at], m.ram[at + 1] << 8 | m.ram[at + 2]
            return sign, exponent, high << 16 | (at & 255) << 8 | at >> 8, 0

        return Node(accumulator, looks_back=node.looks_back)

    def _as_string(self, node: Node) -> Node:
        """Return a node that gives the descriptor to which the accumulator of a number points by chance."""
        run = node.run

        def descriptor() -> int:
            mantissa = run()[2]
            return mantissa >> 8 & 255 | (mantissa & 255) << 8

        return Node(descriptor, True, looks_back=node.looks_back)

    def _binary(self, left: Node, operator: Operator) -> tuple[Node, Operator | None]:
        t = self.t
        if t.error:
            return self.failing(left), None
        t.cost += PUSH
        before = t.take()
        t.depth += 12
        right, following = self._chain(operator.precedence)
        t.depth -= 12
        if t.error:
            return self.both(left, self.failing(right)), None
        t.cost += PULL
        if operator.token:
            return arithmetic(self, operator.token, left, right, before), following
        if operator.string != right.string:
            t.fail(TYPE_MISMATCH)
            return self.failing(left, right), None
        if operator.string:
            left = left if left.string else self._as_string(left)
            self._mask = self._mask - 1 & 255  # STRCMP counts it down: it has no other use then, but see CAT
            return compare_strings(self, operator.mask, left, right, before), following
        return compare(self, operator.mask, left, right, before), following

    def both(self, left: Node, right: Node) -> Node:
        """Return a node that runs one after the other."""
        run_left, run_right = left.run, right.run

        def both() -> Any:
            run_left()
            return run_right()

        return Node(both, right.string)

    def _next_operator(self, node: Node) -> tuple[Node, Operator | None]:
        """Compile from TSTOP to QPREC: find the operator that follows, joining strings on the way."""
        t = self.t
        mask = 0
        while True:
            char = t.again()
            if t.error:
                return node, None
            while True:
                t.cost += 2 + 2
                if not GREATER <= char <= LESS:
                    t.cost += 3 if char < GREATER else 2 + 2 + 3
                    break
                bit = 1 << char - GREATER
                t.cost += 23
                if mask & bit:
                    t.fail(SYNTAX)
                    return self.failing(node), None
                mask |= bit
                t.cost += JMP
                char = t.get()
            t.cost += 3
            if mask:
                t.cost += 4 + 5 + 2 + 2 + 3 + (3 if t.position & 255 else 2 + 5) + 5 + 2 + 3 + 4
                t.position -= 1
                return node, Operator(0, RELATION_PRECEDENCE, mask & 7, node.string)
            t.cost += 2
            if char > LESS:
                t.cost += 4
                return node, None
            t.cost += 2 + 2
            if char < PLUS:
                t.cost += 4
                return node, None
            t.cost += 2 + 3
            if char == PLUS and node.string:
                t.cost += 2 + JMP
                t.cost += 12 + JSR
                before = t.take()
                t.depth += 4
                right = operand(self)
                t.depth -= 4
                # a sign or NOT comes with an operator: its result is a number, which cannot be joined
                node = join(self, node, right if isinstance(right, Node) else right[0], before)
                mask = self._mask  # a comparison of strings inside of it makes the machine see a relation here
                continue
            t.cost += 3 + 2 + 3 + 2 + 3 + 2
            return node, Operator(char, PRECEDENCE[char])

    # operands

    # variables

    # functions

    def byte(self, call: int = JSR) -> Node:
        """Compile a number 0 to 255 (GETBYT); `call` is the cost of getting there. The node gives an int."""
        t, m = self.t, self.m
        t.cost += call
        t.depth += 2
        node = self.number()
        t.depth -= 2
        t.cost -= JSR
        t.again()
        if t.error:
            return self.failing(node)
        conint = f40.conint
        if node.constant is not None:
            try:
                constant, cycles = conint(node.constant)
            except f40.FloatError as error:
                t.fail(error.code)
                return self.failing()
            t.cost += cycles
            cost = t.take()
            fac = made_integer(node.constant)

            def constant_byte() -> int:
                m.cycles += cost
                m.fac = fac
                return constant

            return Node(constant_byte)
        cost = t.take()
        run = node.run

        def byte() -> int:
            fac = run()
            value, cycles = conint(fac)
            m.cycles += cost + cycles
            m.fac = fac if not fac[2] & FRACTION[fac[1]] else made_integer(fac)
            return value

        return Node(byte, looks_back=node.looks_back)
