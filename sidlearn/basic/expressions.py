"""From expressions in program text to Python closures that take the machine's steps and count its cycles.

The walk over the text follows FRMEVL and EVAL of BASIC-M6502 (MIT licence): operators wait on the stack by precedence, and
every character is fetched and tested in the machine's order, so that the cost of reading the text is known when a statement
is compiled. What depends on values (floats, the variable tables, strings) is counted while the program runs.

A numeric closure returns an unpacked float (`float40.Fac`), a string closure the address of a descriptor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sidlearn.basic import float40 as f40
from sidlearn.basic.memory import PNTR, STATUS, STREND, VARTAB, ZERO_CONSTANT
from sidlearn.basic.messages import (
    ILLEGAL_QUANTITY, STRING_TOO_LONG, SYNTAX, TYPE_MISMATCH, UNDEFD_FUNCTION, BasicError,
)  # fmt: skip
from sidlearn.basic.text import JSR, Text

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

Closure = Callable[[], Any]

PLUS, MINUS, TIMES, DIVIDE, POWER, AND, OR, GREATER, EQUAL, LESS = range(0xAA, 0xB4)
FN, NOT, PI, TO = 0xA5, 0xA8, 0xFF, 0xA4
FIRST_FUNCTION, LEFT, RIGHT, MID, GO = 0xB4, 0xC8, 0xC9, 0xCA, 0xCB
QUOTE, COMMA, OPEN, CLOSE, DOLLAR, PERCENT, POINT = 0x22, 0x2C, 0x28, 0x29, 0x24, 0x25, 0x2E

PRECEDENCE = {PLUS: 0x79, MINUS: 0x79, TIMES: 0x7B, DIVIDE: 0x7B, POWER: 0x7F, AND: 0x50, OR: 0x46}
NEGATE_PRECEDENCE, NOT_PRECEDENCE, RELATION_PRECEDENCE = 0x7D, 0x5A, 0x64

CHKNUM = 18
CHKSTR = 17


class Node:
    """A compiled piece of an expression: `run` gives its value; `constant` is that value if it never changes."""

    __slots__ = ("constant", "run", "string")

    def __init__(self, run: Closure, string: bool = False, constant: f40.Fac | None = None):
        self.run = run
        self.string = string
        self.constant = constant


class Operator:
    """An operator waiting for its right-hand side."""

    __slots__ = ("mask", "precedence", "token")

    def __init__(self, token: int, precedence: int, mask: int = 0):
        self.token = token
        self.precedence = precedence
        self.mask = mask


def is_letter(char: int) -> bool:
    """Whether a variable name may begin with this character."""
    return 0x41 <= char <= 0x5A


class Expressions:
    """Compiles expressions for one statement."""

    def __init__(self, machine: Interpreter, text: Text):
        self.m = machine
        self.t = text

    # FRMEVL and its checks

    def evaluate(self) -> Node:
        """Compile a whole expression (JSR FRMEVL)."""
        t = self.t
        outer = t.deepest
        t.deepest = 0
        t.cost += JSR + 3 + (3 if t.position & 255 else 7) + 5 + 2 + 3
        t.position -= 1
        t.depth += 2
        node, _ = self._operand_chain(0)
        t.depth -= 2
        need, t.deepest = t.deepest, max(outer, t.deepest)
        return self._guard_stack(node, need) if t.depth <= 8 else node

    def _guard_stack(self, node: Node, need: int) -> Node:
        m = self.m
        if need <= m.safe_depth or node.constant is not None:
            return node
        run = node.run

        def guarded() -> Any:
            m.check_stack(need)
            return run()

        return Node(guarded, node.string)

    def number(self) -> Node:
        """Compile a numeric expression (JSR FRMNUM)."""
        self.t.cost += JSR
        self.t.depth += 2
        node = self.evaluate()
        self.t.depth -= 2
        return self.check_number(node)

    def check_number(self, node: Node) -> Node:
        """Compile the check that a value is a number (CHKNUM)."""
        self.t.cost += CHKNUM
        if node.string and not self.t.error:
            self.t.fail(TYPE_MISMATCH)
            return self.failing(node)
        return node

    def failing(self, *nodes: Node) -> Node:
        """Return a node that evaluates `nodes` and then raises the error found in the text."""
        code = self.t.error

        def fail() -> Any:
            for node in nodes:
                node.run()
            raise BasicError(code)

        return Node(fail)

    # operators

    def _operand_chain(self, precedence: int) -> tuple[Node, Operator | None]:
        """Compile from LPOPER on: an operand and all operators that bind tighter than `precedence`.

        Returns the node and the operator that ended the chain.
        """
        t = self.t
        t.depth += 1
        t.cost += 2 + 3 + 2
        t.check_stack(1)
        t.cost += JSR
        t.depth += 2
        result = self._operand()
        t.depth -= 2
        if isinstance(result, Node):
            node, operator = self._next_operator(result)
            first = True
        else:
            node, operator = result
            first = False
        while True:
            if t.error:
                t.depth -= 1
                return node, None
            if first:
                if operator is None:
                    t.cost += 2 + 4
                    if not precedence:
                        t.cost += 3 + 3 + 6
                        break
                    t.cost += 2
                    self._check_waiting(precedence, node)
                    break
                t.cost += 4 + 4
                if precedence >= operator.precedence:
                    t.cost += 3
                    self._check_waiting(precedence, node)
                    break
                t.cost += 2 + JSR
                if operator.token:  # a relation has cleared VALTYP
                    node = self.check_number(node)
                else:
                    t.cost += CHKNUM
            else:
                t.cost += 4 + 3
                if operator is None:
                    t.cost += 2 + 2 + (3 + 3 + 3 + 6 if not precedence else 2 + 3)
                    break
                t.cost += 3 + 4
                if precedence >= operator.precedence:
                    t.cost += 3
                    break
                t.cost += 2 + 3
            node, operator = self._binary(node, operator)
            first = False
        t.depth -= 1
        return node, operator

    def _check_waiting(self, precedence: int, node: Node) -> None:
        """QCHNUM: before the waiting operator is applied, its right-hand side must be a number unless it compares."""
        t = self.t
        t.cost += 2
        if precedence == RELATION_PRECEDENCE:
            t.cost += 3 + 3
            return
        t.cost += 2 + JSR + CHKNUM + 3
        if node.string:
            t.fail(TYPE_MISMATCH)

    def _push(self) -> None:
        """DOPRE1 and PUSHF1: put the operator and the left-hand side on the stack; ROUND is counted at run time."""
        t = self.t
        t.cost += 3 + JSR + 4 + 3 + 4 + 3 + JSR + 3 + 4 + 2 + 4 + 3 + 5 + 4 + 3 + 2 + 3 + JSR + 30 + 5 + 3 + 3 + 3

    def _binary(self, left: Node, operator: Operator) -> tuple[Node, Operator | None]:
        t = self.t
        self._push()
        t.depth += 12
        before = t.take()
        right, following = self._operand_chain(operator.precedence)
        t.depth -= 12
        if t.error:
            return self._both(left, self.failing(right)), None
        t.cost += 66
        middle = t.take()
        if operator.token:
            return self._arithmetic(operator.token, left, right, before, middle), following
        if left.string != right.string:
            t.fail(TYPE_MISMATCH)
            return self.failing(left, right), None
        if left.string:
            return self._compare_strings(operator.mask, left, right, before, middle), following
        return self._compare(operator.mask, left, right, before, middle), following

    def _both(self, left: Node, right: Node) -> Node:
        run_left, run_right = left.run, right.run

        def both() -> Any:
            run_left()
            return run_right()

        return Node(both, right.string)

    def _arithmetic(self, token: int, left: Node, right: Node, before: int, middle: int) -> Node:
        m = self.m
        run_left, run_right = left.run, right.run
        operation = {PLUS: f40.faddt, MINUS: f40.fsubt, TIMES: f40.fmultt, DIVIDE: f40.fdivt, POWER: f40.fpow}.get(token)
        if operation is None:
            operation = and_floats if token == AND else or_floats
        round_fac = f40.round_fac
        if right.constant is not None:
            right_value = right.constant
            total = before + middle

            def with_constant() -> f40.Fac:
                arg = run_left()
                if arg[3] & 128:
                    arg, cycles = round_fac(arg)
                    m.cycles += cycles
                else:
                    m.cycles += 19 if arg[1] else 12
                result, cycles = operation(arg, right_value)
                m.cycles += total + cycles
                return result

            return Node(with_constant)

        def binary() -> f40.Fac:
            arg, cycles = round_fac(run_left())
            m.cycles += before + cycles
            fac = run_right()
            result, cycles = operation(arg, fac)
            m.cycles += middle + cycles
            return result

        return Node(binary)

    def _compare(self, mask: int, left: Node, right: Node, before: int, middle: int) -> Node:
        m = self.m
        run_left, run_right = left.run, right.run
        round_fac, fcomp = f40.round_fac, f40.fcomp

        def compare() -> f40.Fac:
            arg, cycles = round_fac(run_left())
            m.cycles += before + cycles
            fac = run_right()
            order, cycles = fcomp(fac, arg)  # 1: right > left
            return m.relation(mask, -order, middle + cycles + 80)

        return Node(compare)

    def _compare_strings(self, mask: int, left: Node, right: Node, before: int, middle: int) -> Node:
        m = self.m
        run_left, run_right = left.run, right.run

        def compare() -> f40.Fac:
            first = run_left()
            m.cycles += before + 16
            second = run_right()
            length, address, cycles = m.strings.free(second)
            ram = m.ram
            right_text = ram[address : address + length]
            length, address, more = m.strings.free(first)
            left_text = ram[address : address + length]
            order = (left_text > right_text) - (left_text < right_text)
            equal = 0
            for a, b in zip(left_text, right_text, strict=False):
                if a != b:
                    break
                equal += 1
            return m.relation(mask, order, middle + cycles + more + 130 + 20 * equal)

        return Node(compare)

    def _next_operator(self, node: Node) -> tuple[Node, Operator | None]:
        """Compile from after EVAL to QPREC: find the operator that follows, joining strings on the way."""
        t = self.t
        while True:
            t.cost += 5
            char = t.again()
            mask = 0
            while True:
                t.cost += 2 + 2
                if not GREATER <= char <= LESS:
                    t.cost += 3 if char < GREATER else 2 + 2 + 3
                    break
                bit = 1 << char - GREATER
                t.cost += 2 + 2 + 2 + 2 + 2 + 2 + 3 + 3 + 2 + 3 + 3
                if mask & bit:
                    t.fail(SYNTAX)
                    return self.failing(node), None
                mask |= bit
                char = t.get()
            t.cost += 3
            if mask:
                t.cost += 3 + 5 + 2 + 2 + 3 + (3 if t.position & 255 else 7) + 5 + 2 + 3 + 3
                t.position -= 1
                return node, Operator(0, RELATION_PRECEDENCE, mask)
            t.cost += 2
            if char > LESS:
                t.cost += 1
                return node, None
            t.cost += 2
            if char < PLUS:
                t.cost += 3
                return node, None
            t.cost += 2 + 3
            if char == PLUS and node.string:
                t.cost += 2 + 3
                node = self._join(node)
                if t.error:
                    return node, None
                continue
            t.cost += 3 + 2 + 3 + 2 + 3 + 2
            return node, Operator(char, PRECEDENCE[char])

    def _join(self, left: Node) -> Node:
        """Compile a string addition (CAT)."""
        t, m = self.t, self.m
        t.cost += 3 + 3 + 3 + 3 + JSR
        before = t.take()
        t.depth += 4
        right = self._operand()
        t.depth -= 4
        if isinstance(right, tuple):  # a minus or NOT: its result is a number
            right = right[0]
        if t.error:
            return self._both(left, self.failing(right))
        if not right.string:
            t.fail(TYPE_MISMATCH)
            return self.failing(left, right)
        t.cost += JSR + CHKSTR + 3
        after = t.take()
        run_left, run_right = left.run, right.run

        def join() -> int:
            first = run_left()
            m.cycles += before
            second = run_right()
            strings, ram = m.strings, m.ram
            length = ram[first] + ram[second]
            if length > 255:
                raise BasicError(STRING_TOO_LONG)
            address, cycles = strings.allocate(length)
            ram[address : address + length] = strings.text(first) + strings.text(second)
            more = strings.free(second)[2] + strings.free(first)[2]
            descriptor, last = strings.put_new(length, address)
            m.cycles += after + cycles + more + last + 120 + 17 * length
            return descriptor

        return Node(join, string=True)

    # operands

    def _operand(self) -> Node | tuple[Node, Operator | None]:
        """Compile EVAL: one operand. A sign or NOT returns the operator that ended its own operand as well."""
        t = self.t
        t.cost += 5 + 2 + 3
        while True:
            char = t.get()
            if t.error:
                return self.failing()
            if 0x30 <= char <= 0x39:
                t.cost += 2 + 3
                return self._literal()
            t.cost += 3 + JSR
            if is_letter(char):
                t.cost += 16 + 2 + 3
                return self._variable()
            t.cost += (16 if char > 0x5A else 11) + 3 + 2
            if char == PI:
                t.cost += 2 + 4 + JSR + 70 + 3 - JSR
                t.get()
                return self._constant((0, 0x82, 0xC90FDAA1, 0))
            t.cost += 3 + 2
            if char == POINT:
                t.cost += 3 + 3
                return self._literal()
            t.cost += 2 + 2
            if char == MINUS:
                t.cost += 3
                return self._unary(f40.fneg, NEGATE_PRECEDENCE)
            t.cost += 2 + 2
            if char == PLUS:
                t.cost += 3
                continue
            break
        t.cost += 2 + 2
        if char == QUOTE:
            t.cost += 2
            return self.quoted()
        t.cost += 3 + 2
        if char == NOT:
            t.cost += 2 + 2 + 3
            return self._unary(not_float, NOT_PRECEDENCE)
        t.cost += 3 + 2
        if char == FN:
            t.cost += 2 + 3
            return self._call_function()
        t.cost += 3 + 2
        if char >= FIRST_FUNCTION:
            t.cost += 2 + 3
            return self._function(char)
        t.cost += 3
        return self._parenthesis()

    def _constant(self, value: f40.Fac) -> Node:
        """A value that is in the text: its cost is in the bill already."""
        return Node(lambda: value, constant=value)

    def _literal(self) -> Node:
        t = self.t
        try:
            value, position, cycles = f40.fin(t.ram, t.position)
        except f40.FloatError as error:
            t.fail(error.code)
            return self.failing()
        t.position = position
        t.char = t.ram[position]
        t.cost += cycles
        return self._constant(value)

    def _unary(self, operation: Closure, precedence: int) -> tuple[Node, Operator | None]:
        t, m = self.t, self.m
        t.cost += 4 + 4 + 3 - 3 + 16
        self._push()
        t.depth += 10
        node, following = self._operand_chain(precedence)
        t.depth -= 10
        if t.error:
            return self.failing(node), None
        t.cost += 66
        if node.constant is not None:
            try:
                value, cycles = operation(node.constant)
            except f40.FloatError as error:
                t.fail(error.code)
                return self.failing(), None
            t.cost += cycles
            return self._constant(value), following
        cost = t.take()
        run = node.run

        def unary() -> f40.Fac:
            value, cycles = operation(run())
            m.cycles += cost + cycles
            return value

        return Node(unary), following

    def quoted(self) -> Node:
        """Compile a string in the text (STRTXT); its characters stay where they are."""
        t, m = self.t, self.m
        ram = t.ram
        start = t.position + 1
        end = start
        while ram[end] not in (0, QUOTE):
            end += 1
        length = end - start
        t.position = end + (ram[end] == QUOTE)
        t.char = ram[t.position]
        t.cost += 60 + 17 * length + 30
        cost = t.take()
        strings = m.strings

        def literal() -> int:
            descriptor, cycles = strings.put_new(length & 255, start)
            m.cycles += cost + cycles
            return descriptor

        return Node(literal, string=True)

    def _parenthesis(self) -> Node:
        """Compile PARCHK."""
        t = self.t
        t.expect(OPEN, 2 + 4)
        if t.error:
            return self.failing()
        t.depth += 2
        node = self.evaluate()
        t.depth -= 2
        t.expect(CLOSE, 2 + 8 - JSR)
        return self.failing(node) if t.error else node

    # variables

    def name(self, mask: int = 0, arrays: bool = True, integers: bool = True) -> tuple[int, bool]:
        """Compile the reading of a variable's name (PTRGET up to the search). Returns name and whether ( follows."""
        t = self.t
        first = t.again()
        t.cost += 3 + JSR + 16 + 3 + 2 + 3 + 3
        if not is_letter(first):
            t.fail()
            return 0, False
        second = 0
        char = t.get()
        digit = 0x30 <= char <= 0x39
        t.cost += 3 if digit else 2 + JSR + (16 if char >= 0x41 else 11) + (2 if is_letter(char) else 3)
        if digit or is_letter(char):
            second = char
            t.cost += 2
            while True:
                char = t.get()
                if 0x30 <= char <= 0x39:
                    t.cost += 3
                    continue
                t.cost += 2 + JSR + (16 if char >= 0x41 else 11)
                if not is_letter(char):
                    t.cost += 2
                    break
                t.cost += 3
        t.cost += 2
        name = first << 8 | second
        if char == DOLLAR:
            t.cost += 2 + 2 + 3 + 3 + 2 + 2 + 2
            name |= 0x80
            char = t.get()
        else:
            t.cost += 3 + 2
            if char == PERCENT:
                t.cost += 2 + 3 + 2
                if not integers:
                    t.fail()
                    return 0, False
                t.cost += 2 + 3 + 3 + 3 + 2 + 2 + 2
                name |= 0x8080
                char = t.get()
            else:
                t.cost += 3
        t.cost += 3 + 2 + 3 + 2
        if char == OPEN and arrays:
            t.cost += 2 + 3
            return name | mask, True
        t.cost += 3 + 5 + 3 + 3 + 2
        return name | mask, False

    def _variable(self) -> Node:
        """Compile the value of a variable (ISVAR)."""
        t, m = self.t, self.m
        t.cost += JSR + 2
        t.again()
        t.cost += 3
        name, array = self.name()
        if t.error:
            return self.failing()
        if array:
            return self._element(name)
        t.cost += 6 + 6 + 3 + 2
        cost = t.take()
        find, ram = m.variables.find, m.ram
        if name & 0x80 and not name & 0x8000:
            return self._string_variable(name, cost)
        if name & 0x8000:

            def integer() -> f40.Fac:
                address, cycles = find(name)
                m.cycles += cost + cycles + 33
                value = ram[address] << 8 | ram[address + 1] if address else 0
                result, cycles = f40.givayf(value - 65536 if value & 0x8000 else value)
                m.cycles += cycles
                return result

            return Node(integer)
        unpack = f40.unpack
        special = {0x5449: self._read_time, 0x5354: self._read_status}.get(name)
        cost += 1 + 3 + 3 + JSR + 21 + 3 + 6 + 3 + 70

        def number() -> f40.Fac:
            address, cycles = find(name)
            m.cycles += cost + cycles
            if address:
                if address & 255 > 251:
                    m.cycles += (address & 255) - 251
                return unpack(ram[address : address + 5])
            m.cycles += 20
            return special() if special else f40.ZERO

        return Node(number)

    def _read_time(self) -> f40.Fac:
        m = self.m
        m.cycles += 60
        return f40.fac_from_int(m.memory.wall.jiffies(m.cycles))

    def _read_status(self) -> f40.Fac:
        m = self.m
        value = m.ram[STATUS]
        result, cycles = f40.float_signed_byte(value - 256 if value & 128 else value)
        m.cycles += cycles
        return result

    def _string_variable(self, name: int, cost: int) -> Node:
        m = self.m
        find = m.variables.find
        time = name == 0x54C9

        def string() -> int:
            address, cycles = find(name)
            m.cycles += cost + cycles + 40
            if address:
                return address
            if time:
                return m.time_string()
            return ZERO_CONSTANT

        return Node(string, string=True)

    def indices(self) -> list[Node]:
        """Compile the indices of an array from its opening parenthesis on (ISARY)."""
        t = self.t
        t.cost += 3 + 3 + 3 + 3 + 3 + 2
        nodes = []
        t.depth += 10
        while True:
            t.cost += 2 + 3 + 12 + JSR
            t.get()
            node = self.evaluate()
            t.cost += JSR
            nodes.append(self.check_number(node))
            t.cost += 60
            t.again()
            t.cost += 2
            if t.char != COMMA:
                t.cost += 2
                break
            t.cost += 3
        t.depth -= 10
        t.cost += 3
        t.expect(CLOSE, 2 + 8)
        if t.error:
            nodes.append(self.failing())
        t.cost += 8 + 8 + 2 + 3
        return nodes

    def element_address(self, name: int) -> Closure:
        """Compile the address of an array element."""
        m = self.m
        nodes = self.indices()
        cost = self.t.take()
        runs = [node.run for node in nodes]
        element = m.variables.element

        def address() -> int:
            indices = []
            for run in runs:
                indices.append(m.index(run()))
            result, cycles = element(name, indices)
            m.cycles += cost + cycles
            return result

        return address

    def _element(self, name: int) -> Node:
        m, ram = self.m, self.m.ram
        address_of = self.element_address(name)
        if name & 0x80 and not name & 0x8000:

            def string() -> int:
                m.cycles += 40
                return address_of()

            return Node(string, string=True)
        if name & 0x8000:

            def integer() -> f40.Fac:
                address = address_of()
                value = ram[address] << 8 | ram[address + 1]
                result, cycles = f40.givayf(value - 65536 if value & 0x8000 else value)
                m.cycles += cycles + 50
                return result

            return Node(integer)
        unpack = f40.unpack

        def number() -> f40.Fac:
            address = address_of()
            m.cycles += 127
            if address & 255 > 251:
                m.cycles += (address & 255) - 251
            return unpack(ram[address : address + 5])

        return Node(number)

    # functions

    def _function(self, token: int) -> Node:
        """Compile a call of a built-in function (ISFUN)."""
        t, m = self.t, self.m
        if token >= GO:
            t.fail()
            return self.failing()
        t.cost += 2 + 3 + 2
        t.get()
        t.cost += 2
        t.depth += 1
        try:
            if token >= LEFT:
                t.cost += 2
                return self._substring(token)
            t.cost += 3 + JSR
            node = self._parenthesis()
            t.cost += 4 + 2
            t.cost += 4 + 3 + 4 + 3 + JSR + 3
        finally:
            t.depth -= 1
        if t.error:
            return node
        maker = FUNCTIONS[token - FIRST_FUNCTION]
        takes_string = maker in STRING_ARGUMENT
        if maker is not _fre and takes_string != node.string:
            t.fail(TYPE_MISMATCH)
            return self.failing(node)
        result = maker(self, node)
        if not result.string:
            t.cost += 3 + CHKNUM
        return result

    def _substring(self, token: int) -> Node:
        """Compile LEFT$, RIGHT$ and MID$."""
        t, m = self.t, self.m
        t.expect(OPEN, 2 + 4)
        t.depth += 3
        string = self.evaluate()
        t.expect(COMMA, 2)
        if not string.string and not t.error:
            t.fail(TYPE_MISMATCH)
        if t.error:
            t.depth -= 3
            return self.failing(string)
        t.cost += JSR + CHKSTR + 4 + 2 + 6 + 6 + 2 + 3
        first, first_cost = self.byte()
        second, second_cost = None, 0
        if token == MID:
            t.cost += 5
            t.again()
            t.cost += 2
            if t.char != CLOSE:
                t.expect(COMMA, 2)
                second, second_cost = self.byte()
        t.depth -= 3
        t.expect(CLOSE, 2 + 8)
        if t.error:
            return self.failing(string)
        cost = t.take() + first_cost + second_cost + 120
        run_string, run_first = string.run, first
        run_second = second
        strings, ram = m.strings, m.ram

        def substring() -> int:
            descriptor = run_string()
            start = run_first()
            length = run_second() if run_second else 255
            size = ram[descriptor]
            if token == LEFT:
                offset, length = 0, min(start, size)
            elif token == RIGHT:
                length = min(start, size)
                offset = size - length
            else:
                if not start:
                    raise BasicError(ILLEGAL_QUANTITY)
                offset = start - 1
                length = max(0, min(length, size - offset))
            address, cycles = strings.allocate(length)
            source = ram[descriptor + 1] | ram[descriptor + 2] << 8
            ram[address : address + length] = ram[source + offset : source + offset + length]
            more = strings.free(descriptor)[2]
            result, last = strings.put_new(length, address)
            m.cycles += cost + cycles + more + last + 17 * length
            return result

        return Node(substring, string=True)

    def byte(self) -> tuple[Closure, int]:
        """Compile a number 0 to 255 (JSR GETBYT). Returns the closure and the cost not yet taken over by it."""
        t, m = self.t, self.m
        t.cost += JSR
        t.depth += 2
        node = self.number()
        t.depth -= 2
        t.cost += JSR + 3 + 2 + 3 + 3 - JSR
        t.again()
        cost = t.take()
        conint = f40.conint
        if node.constant is not None:
            try:
                constant, cycles = conint(node.constant)
            except f40.FloatError as error:
                t.fail(error.code)
                return self.failing().run, 0
            cost += cycles

            def constant_byte() -> int:
                m.cycles += cost
                return constant

            return constant_byte, 0
        run = node.run

        def byte() -> int:
            value, cycles = conint(run())
            m.cycles += cost + cycles
            return value

        return byte, 0

    def _call_function(self) -> Node:
        """Compile a call of a user's function (FNDOER)."""
        t, m = self.t, self.m
        t.cost += JSR
        name = self.function_name()
        t.cost += 6 + 6 + JSR
        t.depth += 4
        node = self._parenthesis()
        t.depth -= 4
        t.cost += JSR
        node = self.check_number(node)
        if t.error:
            return self.failing(node)
        cost = t.take()
        run = node.run
        depth = t.depth

        def call() -> f40.Fac:
            # the search for the function comes before its argument, and creates the entry that an undefined one lacks
            entry, cycles = m.variable(name)
            m.cycles += cycles
            value = run()
            m.cycles += cost
            entry, _ = m.variable(name)
            return m.call_function(entry, value, depth)

        return Node(call)

    def function_name(self) -> int:
        """Compile FN and a name (GETFNM)."""
        t = self.t
        t.expect(FN, 2)
        t.cost += 2 + 3 + JSR + 3
        name, _ = self.name(0x8000, arrays=False, integers=False)
        t.cost += 6 + 3 + CHKNUM
        if name & 0x80:
            t.fail(TYPE_MISMATCH)
        return name


def and_floats(arg: f40.Fac, fac: f40.Fac) -> tuple[f40.Fac, int]:
    """AND of two numbers as 16-bit integers (ANDOP)."""
    right, cycles = f40.ayint(fac)
    left, more = f40.ayint(arg)
    result, last = f40.givayf(left & right)
    return result, 150 + cycles + more + last


def or_floats(arg: f40.Fac, fac: f40.Fac) -> tuple[f40.Fac, int]:
    """OR of two numbers as 16-bit integers (OROP)."""
    right, cycles = f40.ayint(fac)
    left, more = f40.ayint(arg)
    result, last = f40.givayf(left | right)
    return result, 150 + cycles + more + last


def not_float(fac: f40.Fac) -> tuple[f40.Fac, int]:
    """NOT of a number as a 16-bit integer (NOTOP)."""
    value, cycles = f40.ayint(fac)
    result, more = f40.givayf(~value)
    return result, 21 + cycles + more


def _numeric(operation: Closure) -> Closure:
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
    cost = c.t.take() + 6 + 6 + JSR + 2 + 5 + 2
    after = 8 + 6 + 3
    run, getadr, sngflt, peek = node.run, f40.getadr, f40.sngflt, m.memory.peek

    def call() -> f40.Fac:
        address, cycles = getadr(run())
        m.cycles += cost + cycles
        value, cycles = sngflt(peek(address, m.cycles))
        m.cycles += after + cycles
        return value

    return Node(call)


def _usr(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run = node.run

    def call() -> f40.Fac:
        value = run()
        m.cycles += cost
        return m.call_usr(value)

    return Node(call)


def _fre(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run, string = node.run, node.string

    def call() -> f40.Fac:
        value = run()
        m.cycles += cost
        if string:
            m.cycles += m.strings.free(value)[2]
        m.cycles += m.strings.collect()
        free = m.memory.word(0x33) - m.memory.word(STREND) & 0xFFFF
        result, cycles = f40.givayf(free - 65536 if free & 0x8000 else free)
        m.cycles += cycles + 40
        return result

    return Node(call)


def _pos(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run = node.run

    def call() -> f40.Fac:
        run()
        m.cycles += cost + 10
        value, cycles = f40.sngflt(m.ram[PNTR])
        m.cycles += cycles
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
    cost = c.t.take()
    run = node.run

    def call() -> f40.Fac:
        length, _, cycles = m.strings.free(run())
        value, more = f40.sngflt(length)
        m.cycles += cost + cycles + more + 40
        return value

    return Node(call)


def _str(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run = node.run

    def call() -> int:
        text, cycles = f40.fout(run())
        m.ram[0x100 : 0x100 + len(text) + 1] = text + b"\0"
        m.cycles += cost + cycles + 100 + 34 * len(text)
        descriptor, cycles = m.strings.new(text)
        m.cycles += cycles
        return descriptor

    return Node(call, string=True)


def _val(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run = node.run

    def call() -> f40.Fac:
        length, address, cycles = m.strings.free(run())
        m.cycles += cost + cycles + 60
        if not length:
            return f40.ZERO
        text = bytes(m.ram[address : address + length]) + b"\0"
        return m.value_of(text)

    return Node(call)


def _asc(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run = node.run

    def call() -> f40.Fac:
        length, address, cycles = m.strings.free(run())
        m.cycles += cost + cycles + 50
        if not length:
            raise BasicError(ILLEGAL_QUANTITY)
        value, cycles = f40.sngflt(m.ram[address])
        m.cycles += cycles
        return value

    return Node(call)


def _chr(c: Expressions, node: Node) -> Node:
    m = c.m
    cost = c.t.take()
    run = node.run

    def call() -> int:
        value, cycles = f40.conint(run())
        m.cycles += cost + cycles + 40
        descriptor, cycles = m.strings.new(bytes((value,)))
        m.cycles += cycles
        return descriptor

    return Node(call, string=True)


# In the order of the tokens from SGN on.
FUNCTIONS = (
    _numeric(f40.fsgn), _numeric(f40.fint), _numeric(f40.fabs), _usr, _fre, _pos, _numeric(f40.fsqr), _rnd,
    _numeric(f40.flog), _numeric(f40.fexp), _numeric(f40.fcos), _numeric(f40.fsin), _numeric(f40.ftan),
    _numeric(f40.fatn), _peek, _len, _str, _val, _asc, _chr,
)  # fmt: skip
STRING_ARGUMENT = (_len, _val, _asc)
UNDEFINED = UNDEFD_FUNCTION, VARTAB
