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

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sidlearn.basic import float40 as f40
from sidlearn.basic.memory import DSCTMP, STATUS, ZERO_CONSTANT
from sidlearn.basic.messages import STRING_TOO_LONG, SYNTAX, TYPE_MISMATCH, BasicError
from sidlearn.basic.strings import PUTNEW
from sidlearn.basic.text import JMP, JSR, RTS, Text, crossings
from sidlearn.basic.tokens import TOKEN
from sidlearn.basic.variables import ST, TI, TI_STRING, is_integer, is_string

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter

Closure = Callable[[], Any]
Operation = Callable[[f40.Fac], tuple[f40.Fac, int]]

PLUS, MINUS, TIMES, DIVIDE, POWER, AND, OR = (TOKEN[k] for k in ("+", "-", "*", "/", "^", "and", "or"))
GREATER, LESS = TOKEN[">"], TOKEN["<"]  # the equals sign lies between them
FN, NOT, PI, EQUAL, TO = TOKEN["fn"], TOKEN["not"], 0xFF, TOKEN["="], TOKEN["to"]
FIRST_FUNCTION, LEFT, RIGHT, MID, GO = (TOKEN[k] for k in ("sgn", "left$", "right$", "mid$", "go"))
QUOTE, COMMA, OPEN, CLOSE, DOLLAR, PERCENT, POINT = b'",()$%.'

# Source: BASIC-M6502, OPTAB.
PRECEDENCE = {PLUS: 0x79, MINUS: 0x79, TIMES: 0x7B, DIVIDE: 0x7B, POWER: 0x7F, AND: 0x50, OR: 0x46}
NEGATE_PRECEDENCE, NOT_PRECEDENCE, RELATION_PRECEDENCE = 0x7D, 0x5A, 0x64

CHKNUM = 18
CHKSTR = 17
_PUSH = 109  # DOPRE1 to LPOPER: the operator and the left-hand side go on the stack; ROUND comes on top
_PULL = 66  # PULSTK: the left-hand side comes back
_PI_VALUE: f40.Fac = (0, 0x82, 0xC90FDAA1, 0)


class Node:
    """A compiled piece of an expression.

    Attributes
    ----------
    run : callable
        Gives its value.
    string : bool
        Whether that is a string.
    constant : Fac or None
        The value, if it never changes: its cost is in the bill of the text then.
    looks_back : bool
        Whether it begins with something whose cost depends on what the accumulator held before.
    """

    __slots__ = ("constant", "looks_back", "run", "string")

    def __init__(
        self, run: Closure, string: bool = False, constant: f40.Fac | None = None, looks_back: bool = False
    ):
        self.run = run
        self.string = string
        self.constant = constant
        self.looks_back = looks_back


class Operator:
    """An operator waiting for its right-hand side; a relation has the token 0 and a mask of > (1), = (2) and < (4)."""

    __slots__ = ("mask", "precedence", "token")

    def __init__(self, token: int, precedence: int, mask: int = 0):
        self.token = token
        self.precedence = precedence
        self.mask = mask


def is_letter(char: int) -> bool:
    """Whether a variable name may begin with this character."""
    return 0x41 <= char <= 0x5A


def _isletc(char: int) -> int:
    """Return the cycles of the test for a letter (ISLETC)."""
    return 16 if char >= 0x41 else 11


class Expressions:
    """Compiles expressions for one statement."""

    def __init__(self, machine: Interpreter, text: Text):
        self.m = machine
        self.t = text

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
        result = self._operand()
        t.depth -= 2
        fetched = isinstance(result, Node)  # a sign or NOT comes back with its operator already found
        if isinstance(result, Node):
            t.cost += 5
            node, operator = self._next_operator(result)
        else:
            node, operator = result
        while not t.error:
            if not (self._from_text(node, precedence, operator) if fetched else self._from_stack(precedence, operator)):
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
                self._check_waiting(precedence, node)
            return False
        t.cost += 4 + 4
        if precedence >= operator.precedence:
            t.cost += 4
            self._check_waiting(precedence, node)
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

    def _binary(self, left: Node, operator: Operator) -> tuple[Node, Operator | None]:
        t = self.t
        if t.error:
            return self.failing(left), None
        t.cost += _PUSH
        before = t.take()
        t.depth += 12
        right, following = self._chain(operator.precedence)
        t.depth -= 12
        if t.error:
            return self.both(left, self.failing(right)), None
        t.cost += _PULL
        if operator.token:
            return self._arithmetic(operator.token, left, right, before), following
        if left.string != right.string:
            t.fail(TYPE_MISMATCH)
            return self.failing(left, right), None
        if left.string:
            return self._compare_strings(operator.mask, left, right, before), following
        return self._compare(operator.mask, left, right, before), following

    def both(self, left: Node, right: Node) -> Node:
        """Return a node that runs one after the other."""
        run_left, run_right = left.run, right.run

        def both() -> Any:
            run_left()
            return run_right()

        return Node(both, right.string)

    def _arithmetic(self, token: int, left: Node, right: Node, before: int) -> Node:
        m = self.m
        cost = self.t.take() + before
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

    def _compare(self, mask: int, left: Node, right: Node, before: int) -> Node:
        """DOREL on numbers."""
        m = self.m
        cost = self.t.take() + 47
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

    def _compare_strings(self, mask: int, left: Node, right: Node, before: int) -> Node:
        """DOREL on strings (STRCMP)."""
        m = self.m
        cost = self.t.take() + JSR + 15 + 3 + 10 + JSR + 6 + 9 + 6 + JSR + 6 + 2 + 2 + 3
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

    def _next_operator(self, node: Node) -> tuple[Node, Operator | None]:
        """Compile from TSTOP to QPREC: find the operator that follows, joining strings on the way."""
        t = self.t
        while True:
            char = t.again()
            if t.error:
                return node, None
            mask = 0
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
                return node, Operator(0, RELATION_PRECEDENCE, mask)
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
                node = self._join(node)
                continue
            t.cost += 3 + 2 + 3 + 2 + 3 + 2
            return node, Operator(char, PRECEDENCE[char])

    def _join(self, left: Node) -> Node:
        """Compile a string addition (CAT)."""
        t, m = self.t, self.m
        t.cost += 12 + JSR
        before = t.take()
        t.depth += 4
        right = self._operand()
        t.depth -= 4
        if isinstance(right, tuple):  # a sign or NOT: its result is a number
            right = right[0]
        if t.error:
            return self.both(left, self.failing(right))
        if not right.string:
            t.fail(TYPE_MISMATCH)
            return self.failing(left, right)
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

    # operands

    def _operand(self) -> Node | tuple[Node, Operator | None]:
        """Compile EVAL: one operand. A minus or NOT gives also the operator that ended its own operand."""
        t = self.t
        t.cost += 5 + 2 + 3
        while True:
            char = t.get()
            if t.error:
                return self.failing()
            if t.at_digit:
                t.cost += 2 + JMP
                return self._literal()
            t.cost += 3 + JSR + _isletc(char)
            if is_letter(char):
                t.cost += 2 + JMP
                return self._variable()
            t.cost += 3 + 2
            if char == PI:
                t.cost += 2 + 4 + JSR + f40.MOVFM_CYCLES + JMP - JSR
                t.get()
                return self._constant(_PI_VALUE)
            t.cost += 3 + 2
            if char == POINT:
                t.cost += 3 + JMP
                return self._literal()
            t.cost += 2 + 2
            if char == MINUS:
                t.cost += 4 + 2
                return self._unary(f40.fneg, NEGATE_PRECEDENCE)
            t.cost += 2 + 2
            if char != PLUS:
                break
            t.cost += 3
        t.cost += 2 + 2
        if char == QUOTE:
            t.cost += 2
            return self.quoted()
        t.cost += 3 + 2
        if char == NOT:
            t.cost += 2 + 2 + 4
            return self._unary(not_float, NOT_PRECEDENCE)
        t.cost += 3 + 2
        if char == FN:
            t.cost += 2 + JMP
            return self._call_function()
        t.cost += 3 + 2
        if char >= FIRST_FUNCTION:
            t.cost += 2 + JMP
            return self._function(char)
        t.cost += 3
        return self.parenthesis()

    def _constant(self, value: f40.Fac) -> Node:
        """A value that is in the text: its cost is in the bill already."""
        return Node(lambda: value, constant=value)

    def _literal(self) -> Node:
        t = self.t
        try:
            value, t.position, cycles = f40.fin(t.ram, t.position)
        except f40.FloatError as error:
            t.fail(error.code)
            return self.failing()
        t.char = t.ram[t.position]
        t.cost += cycles
        return self._constant(value)

    def _unary(self, operation: Operation, precedence: int) -> tuple[Node, Operator | None]:
        """GONPRC: the accumulator is pushed as for a binary operator, whatever it holds."""
        t, m = self.t, self.m
        t.cost += 4 + 4 + JMP + _PUSH
        t.depth += 9
        node, following = self._chain(precedence)
        t.depth -= 9
        if t.error:
            return self.failing(node), None
        t.cost += _PULL
        cost = t.take()
        run, round_fac = node.run, f40.round_fac

        def unary() -> f40.Fac:
            rounded, cycles = round_fac(m.fac)
            m.fac = half_rounded(m.fac, rounded)
            value, more = operation(run())
            m.cycles += cost + cycles + more
            return value

        return Node(unary, looks_back=True), following

    def quoted(self) -> Node:
        """Compile a string in the text (STRTXT); its characters stay where they are."""
        t, m = self.t, self.m
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

    def parenthesis(self) -> Node:
        """Compile a value in parentheses (PARCHK)."""
        t = self.t
        t.expect(OPEN, 2 + 4)
        if t.error:
            return self.failing()
        node = self.evaluate()
        t.expect(CLOSE, 2 + 8 - JSR)
        return self.failing(node) if t.error else node

    # variables

    def name(self, kind: int = 0, arrays: bool = True, integers: bool = True) -> tuple[int, bool]:
        """Compile the reading of a variable's name, from PTRGT2 to the search.

        Parameters
        ----------
        kind : int
            Bits that the name gets: $8000 for a function.
        arrays, integers : bool
            False where SUBFLG forbids them.

        Returns
        -------
        name, array
            Whether an opening parenthesis follows.
        """
        t = self.t
        first = t.again()
        if not is_letter(first):
            t.fail()
            return 0, False
        t.cost += 3 + JSR + 16 + 3 + 2 + 3 + 3
        second = 0
        char = t.get()
        digit = t.at_digit
        t.cost += 3 if digit else 2 + JSR + _isletc(char) + (2 if is_letter(char) else 3)
        if digit or is_letter(char):
            second = char
            t.cost += 2
            while True:
                char = t.get()
                if t.at_digit:
                    t.cost += 3
                    continue
                t.cost += 2 + JSR + _isletc(char)
                if not is_letter(char):
                    t.cost += 2
                    break
                t.cost += 3
        t.cost += 2
        name = first << 8 | second | kind
        if char == DOLLAR:
            t.cost += 2 + 2 + 3 + 3 + 6
            name |= 0x80
            char = t.get()
        else:
            t.cost += 3 + 2
            if char == PERCENT:
                if not integers:
                    t.fail()
                    return 0, False
                t.cost += 2 + 3 + 2 + 2 + 3 + 3 + 3 + 6
                name |= 0x8080
                char = t.get()
            else:
                t.cost += 3
        t.cost += 3 + 2 + 3 + 2
        if char == OPEN and arrays:
            t.cost += 2 + JMP
            return name, True
        t.cost += 3 + 2 + 3 + 3 + 3
        return name, False

    def pointer(self, load: int = 2) -> tuple[int, bool]:
        """Compile PTRGET up to the search, with its JSR."""
        t = self.t
        t.cost += JSR + load
        t.again()
        t.cost += 3
        return self.name()

    def _variable(self) -> Node:
        """Compile the value of a variable (ISVAR)."""
        t = self.t
        t.depth += 2
        name, array = self.pointer()
        if t.error:
            t.depth -= 2
            return self.failing()
        address = self.element_address(name) if array else None
        t.depth -= 2
        t.cost += 6 + 6 + 3
        if is_string(name):
            return self._element_string(address) if address else self._simple_string(name)
        t.cost += 3 + 3
        if is_integer(name):
            return self._integer(name, address)
        return self._element_float(address) if address else self._simple_float(name)

    def _simple_float(self, name: int) -> Node:
        m, ram = self.m, self.m.ram
        cost = self.t.take() + 3 + JSR
        found_cost = cost + 21 + 3 + 6 + JMP + f40.MOVFM_CYCLES
        find, unpack = m.variables.find, f40.unpack
        special = {TI: self._read_time, ST: self._read_status}.get(name)
        undefined = 2 + 4 + RTS + 30 + 2 + 2 + 9 + f40.MOVFM_CYCLES
        if name >> 8 == ord("T"):
            undefined += 2 + 2 + 3
        else:
            undefined += 3 + 2 + (2 + 2 + 3 if name >> 8 == ord("S") else 3)

        def number() -> f40.Fac:
            address, cycles = find(name)
            if address:
                m.cycles += found_cost + cycles
                if address & 255 > 251:
                    m.cycles += (address & 255) - 251
                return unpack(ram[address : address + 5])
            m.cycles += cost + cycles
            if special:
                return special()
            m.cycles += undefined
            return f40.ZERO

        return Node(number)

    def _read_time(self) -> f40.Fac:
        m = self.m
        m.cycles += 2 + 4 + RTS + 30 + 2 + 2 + 2 + 2 + 2 + JSR + GETTIM
        result, cycles = f40.normalize(0, 160, m.memory.jiffies(m.cycles) << 8)
        m.cycles += 2 + 2 + JMP + 12 + 3 + cycles
        return result

    def _read_status(self) -> f40.Fac:
        m = self.m
        value = m.ram[STATUS]
        result, cycles = f40.float_signed_byte(value - 256 if value & 128 else value)
        m.cycles += 2 + 4 + RTS + 30 + 2 + 2 + 3 + 2 + 2 + 2 + 2 + JSR + READST + JMP + cycles
        return result

    def _simple_string(self, name: int) -> Node:
        from sidlearn.basic.tistring import read_time

        m = self.m
        cost = self.t.take() + 2 + 2 + 3 + JSR
        find = m.variables.find
        undefined = 2 + 4 + RTS + 30 + 2 + 2 + (2 + 2 + 3 + RTS if name >> 8 == ord("T") else 3 + RTS)

        def string() -> int:
            address, cycles = find(name)
            m.cycles += cost + cycles
            if address:
                m.cycles += 21 + 3 + RTS
                return address
            if name == TI_STRING:
                m.cycles += 2 + 4 + RTS + 30 + 2 + 2 + 2 + 2 + 2 + JSR + GETTIM
                return read_time(m, m.memory.jiffies(m.cycles))
            m.cycles += undefined
            return ZERO_CONSTANT

        return Node(string, string=True)

    def _integer(self, name: int, address: Closure | None) -> Node:
        m, ram = self.m, self.m.ram
        cost = self.t.take() + 2 + 2 + 5 + 2 + 2 + 5 + 2 + 2 + JMP
        find, givayf = m.variables.find, f40.givayf

        def integer() -> f40.Fac:
            if address:
                at = address()
            else:
                at, cycles = find(name)
                m.cycles += cycles
                if not at:
                    m.cycles += 2 + 4 + RTS
                    at = ZERO_CONSTANT
            value = ram[at] << 8 | ram[at + 1]
            result, cycles = givayf(value - 65536 if value & 0x8000 else value)
            m.cycles += cost + cycles + (at & 255 == 255)
            return result

        return Node(integer)

    def _element_string(self, address: Closure) -> Node:
        m = self.m
        cost = self.t.take() + 2 + 2 + 3 + JSR + 21 + 3 + RTS

        def string() -> int:
            m.cycles += cost
            return address()

        return Node(string, string=True)

    def _element_float(self, address: Closure) -> Node:
        m, ram = self.m, self.m.ram
        cost = self.t.take() + 3 + JSR + 21 + 3 + 6 + JMP + f40.MOVFM_CYCLES
        unpack = f40.unpack

        def number() -> f40.Fac:
            at = address()
            m.cycles += cost
            if at & 255 > 251:
                m.cycles += (at & 255) - 251
            return unpack(ram[at : at + 5])

        return Node(number)

    def indices(self) -> list[Node]:
        """Compile the indices of an array from its opening parenthesis on (ISARY up to the search)."""
        t = self.t
        t.cost += 17
        nodes: list[Node] = []
        t.depth += 2
        while True:
            t.cost += 17 + JSR
            t.get()
            t.depth += 5
            node = self.evaluate()
            t.depth -= 5
            t.cost += JSR
            nodes.append(self.check_number(node))
            t.depth += 2
            t.cost += 5 + 54
            t.again()
            t.cost += 2
            if t.char != COMMA:
                break
            t.cost += 4
        t.depth -= 2 + 2 * len(nodes)
        t.cost += 2 + 3
        t.expect(CLOSE, 2 + 8)
        if t.error:
            nodes.append(self.failing())
        t.cost += 14 + 2 + 3
        return nodes

    def element_address(self, name: int) -> Closure:
        """Compile the address of an array element, from its parenthesis through PTRGET's RTS."""
        m = self.m
        nodes = self.indices()
        cost = self.t.take()
        element, index = m.variables.element, m.index
        if len(nodes) == 1:
            run = nodes[0].run

            def one() -> int:
                result, cycles = element(name, [index(run())])
                m.cycles += cost + cycles
                return result

            return one
        runs = [node.run for node in nodes]

        def several() -> int:
            result, cycles = element(name, [index(run()) for run in runs])
            m.cycles += cost + cycles
            return result

        return several

    # functions

    def _function(self, token: int) -> Node:
        """Compile a call of a built-in function (ISFUN)."""
        from sidlearn.basic.functions import FUNCTIONS, substring

        t = self.t
        if token >= GO:
            t.fail()
            return self.failing()
        t.cost += 2 + 3 + 2
        t.get()
        t.cost += 2
        t.depth += 1
        if token >= LEFT:
            t.cost += 2
            node = substring(self, token)
            t.depth -= 1
            return node
        t.cost += 3 + JSR
        t.depth += 2
        node = self.parenthesis()
        t.depth -= 3
        t.cost += 4 + 2 + FINGO
        if t.error:
            return node
        make, argument = FUNCTIONS[token - FIRST_FUNCTION]
        if argument is not None and argument != node.string:
            t.fail(TYPE_MISMATCH)
            return self.failing(node)
        result = make(self, node)
        result.looks_back = node.looks_back
        if not result.string:
            t.cost += JMP + CHKNUM
        return result

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

    def _call_function(self) -> Node:
        """Compile a call of a user's function (FNDOER)."""
        t, m = self.t, self.m
        t.cost += JSR
        name = self.function_name()
        search = t.take()
        t.cost += 6 + 6 + JSR
        t.depth += 4
        node = self.parenthesis()
        t.depth -= 4
        t.cost += JSR
        node = self.check_number(node)
        if t.error:
            return self.failing(node)
        cost = t.take() + 14
        run, depth, find = node.run, t.depth, m.variables.find_or_create

        def call() -> f40.Fac:
            entry, cycles = find(name)
            m.cycles += search + cycles
            value = run()
            m.cycles += cost
            return m.call_function(entry, value, depth)

        return Node(call, looks_back=node.looks_back)

    def function_name(self) -> int:
        """Compile FN and a name (GETFNM but for the search)."""
        t = self.t
        t.expect(FN)
        t.cost += 2 + 3 + JSR
        name, _ = self.name(0x8000, arrays=False, integers=False)
        t.cost += 6 + JMP + CHKNUM
        if name & 0x80 and not t.error:
            t.fail(TYPE_MISMATCH)
        return name


def half_rounded(fac: f40.Fac, rounded: f40.Fac) -> f40.Fac:
    """Return what ROUND leaves behind: it shifts the rounding byte left, and does not clear it."""
    return rounded[0], rounded[1], rounded[2], fac[3] << 1 & 255


# Exponent -> the bits of the mantissa that stand behind the binary point.
FRACTION = tuple(0xFFFFFFFF >> min(max(exponent - 128, 0), 32) for exponent in range(256))


def made_integer(fac: f40.Fac) -> f40.Fac:
    """Return what QINT leaves behind, as far as ROUND looks at it: bytes shifted out pass through the rounding byte."""
    sign, exponent, mantissa, rounding = fac
    size = (160 - exponent) >> 3
    if not exponent or size < 1:
        return fac
    bits = mantissa << 8 | rounding
    return sign, exponent, mantissa, (-bits if sign else bits) >> 8 * min(size, 5) & 255


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
FINGO = 5 + 3 + 5 + 3 + JSR + JMP
LENGTH_FAC: tuple[f40.Fac, ...] = tuple((0, length, 0, 0) for length in range(256))
"""What making a string leaves in the accumulator: its exponent is the length of the string."""

RDTIM = JMP + 30  # the KERNAL's reading of the jiffy clock
GETTIM = JSR + RDTIM + 9 + 5 + RTS
READST = JMP + 23
