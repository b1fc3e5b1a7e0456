"""Names of variables in the text, and the values behind them.

Steps: BASIC-M6502 (PTRGET, ISVAR, ISARY), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.memory import STATUS, ZERO_CONSTANT
from sidlearn.basic.nodes import CLOSE, COMMA, DOLLAR, OPEN, PERCENT, Closure, Node, is_letter, isletc
from sidlearn.basic.text import JMP, JSR, RTS
from sidlearn.basic.variables import ST, TI, TI_STRING, is_integer, is_string

if TYPE_CHECKING:
    from sidlearn.basic.expressions import Expressions


def read_name(c: Expressions, kind: int = 0, arrays: bool = True, integers: bool = True) -> tuple[int, bool]:
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
    t = c.t
    first = t.again()
    if not is_letter(first):
        t.fail()
        return 0, False
    t.cost += 3 + JSR + 16 + 3 + 2 + 3 + 3
    second = 0
    char = t.get()
    digit = t.at_digit
    t.cost += 3 if digit else 2 + JSR + isletc(char) + (2 if is_letter(char) else 3)
    if digit or is_letter(char):
        second = char
        t.cost += 2
        while True:
            char = t.get()
            if t.at_digit:
                t.cost += 3
                continue
            t.cost += 2 + JSR + isletc(char)
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


def read_pointer(c: Expressions, load: int = 2) -> tuple[int, bool]:
    """Compile PTRGET up to the search, with its JSR."""
    t = c.t
    t.cost += JSR + load
    t.again()
    t.cost += 3
    return read_name(c)


def variable(c: Expressions) -> Node:
    """Compile the value of a variable (ISVAR)."""
    t = c.t
    t.depth += 2
    name, array = read_pointer(c)
    if t.error:
        t.depth -= 2
        return c.failing()
    address = element_address(c, name) if array else None
    t.depth -= 2
    t.cost += 6 + 6 + 3
    if is_string(name):
        return _element_string(c, address) if address else _simple_string(c, name)
    t.cost += 3 + 3
    if is_integer(name):
        return _integer(c, name, address)
    return _element_float(c, address) if address else _simple_float(c, name)


def _simple_float(c: Expressions, name: int) -> Node:
    m, ram = c.m, c.m.ram
    cost = c.t.take() + 3 + JSR
    found_cost = cost + 21 + 3 + 6 + JMP + f40.MOVFM_CYCLES
    find, unpack = m.variables.find, f40.unpack
    special = {TI: _read_time, ST: _read_status}.get(name)
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
            return special(c)
        m.cycles += undefined
        return f40.ZERO

    return Node(number)


def _simple_string(c: Expressions, name: int) -> Node:
    from sidlearn.basic.tistring import read_time

    m = c.m
    cost = c.t.take() + 2 + 2 + 3 + JSR
    find = m.variables.find
    undefined = 2 + 4 + RTS + 30 + 2 + 2 + (2 + 2 + 3 + RTS if name >> 8 == ord("T") else 3 + RTS)

    def string() -> int:
        address, cycles = find(name)
        m.cycles += cost + cycles
        if m.fac[3]:
            m.fac = (*m.fac[:3], 0)
        if address:
            m.cycles += 21 + 3 + RTS
            return address
        if name == TI_STRING:
            m.cycles += 2 + 4 + RTS + 30 + 2 + 2 + 2 + 2 + 2 + JSR + GETTIM
            return read_time(m, m.memory.jiffies(m.cycles))
        m.cycles += undefined
        return ZERO_CONSTANT

    return Node(string, string=True)


def _read_time(c: Expressions) -> f40.Fac:
    m = c.m
    m.cycles += 2 + 4 + RTS + 30 + 2 + 2 + 2 + 2 + 2 + JSR + GETTIM
    result, cycles = f40.normalize(0, 160, m.memory.jiffies(m.cycles) << 8)
    m.cycles += 2 + 2 + JMP + 12 + 3 + cycles
    return result


def _read_status(c: Expressions) -> f40.Fac:
    m = c.m
    value = m.ram[STATUS]
    result, cycles = f40.float_signed_byte(value - 256 if value & 128 else value)
    m.cycles += 2 + 4 + RTS + 30 + 2 + 2 + 3 + 2 + 2 + 2 + 2 + JSR + READST + JMP + cycles
    return result


def _integer(c: Expressions, name: int, address: Closure | None) -> Node:
    m, ram = c.m, c.m.ram
    cost = c.t.take() + 2 + 2 + 5 + 2 + 2 + 5 + 2 + 2 + JMP
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


def _element_string(c: Expressions, address: Closure) -> Node:
    m = c.m
    cost = c.t.take() + 2 + 2 + 3 + JSR + 21 + 3 + RTS

    def string() -> int:
        m.cycles += cost
        at = address()
        if m.fac[3]:
            m.fac = (*m.fac[:3], 0)
        return at

    return Node(string, string=True)


def _element_float(c: Expressions, address: Closure) -> Node:
    m, ram = c.m, c.m.ram
    cost = c.t.take() + 3 + JSR + 21 + 3 + 6 + JMP + f40.MOVFM_CYCLES
    unpack = f40.unpack

    def number() -> f40.Fac:
        at = address()
        m.cycles += cost
        if at & 255 > 251:
            m.cycles += (at & 255) - 251
        return unpack(ram[at : at + 5])

    return Node(number)


def indices(c: Expressions) -> list[Node]:
    """Compile the indices of an array from its opening parenthesis on (ISARY up to the search)."""
    t = c.t
    t.cost += 17
    nodes: list[Node] = []
    t.depth += 2
    while True:
        t.cost += 17 + JSR
        t.get()
        t.depth += 5
        node = c.evaluate()
        t.depth -= 5
        t.cost += JSR
        nodes.append(c.check_number(node))
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
        nodes.append(c.failing())
    t.cost += 14 + 2 + 3
    return nodes


def element_address(c: Expressions, name: int) -> Closure:
    """Compile the address of an array element, from its parenthesis through PTRGET's RTS."""
    m = c.m
    nodes = indices(c)
    cost = c.t.take()
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


RDTIM = JMP + 30  # the KERNAL's reading of the jiffy clock


GETTIM = JSR + RDTIM + 9 + 5 + RTS


READST = JMP + 23
