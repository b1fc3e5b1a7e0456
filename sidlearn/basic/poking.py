"""POKE, WAIT and SYS: statements that deal with addresses.

Steps: BASIC-M6502 (GETNUM, POKE, FNWAIT), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.nodes import COMMA, FRACTION, Body, Node, made_integer
from sidlearn.basic.text import JMP, JSR, RTS

if TYPE_CHECKING:
    from sidlearn.basic.statements import Statements


def address_and_byte(c: Statements) -> tuple[Node, Node]:
    """Compile an address, a comma and a byte (JSR GETNUM)."""
    t = c.t
    t.cost += JSR
    t.depth += 2
    address = c.number()
    t.cost += JSR
    t.expect(COMMA)
    if t.error:
        return address, c.failing(address)
    before = t.take()
    t.depth -= 2
    value = c.byte(JMP)
    return _address(c, address, before), value


def _address(c: Statements, node: Node, cost: int) -> Node:
    """Return a node that gives an address as an int (GETADR)."""
    m, run, getadr = c.m, node.run, f40.getadr

    def address() -> int:
        fac = run()
        value, cycles = getadr(fac)
        m.cycles += cost + cycles
        m.fac = fac if not fac[2] & FRACTION[fac[1]] else made_integer(fac)
        return value

    return Node(address)


def compile_poke(c: Statements) -> Body:
    t, m = c.t, c.m
    address, value = address_and_byte(c)
    if t.error:
        return c.finish([c.both(address, value).run])
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


def compile_wait(c: Statements) -> Body:
    t, m = c.t, c.m
    address, mask = address_and_byte(c)
    t.cost += 3 + 2
    t.again()
    flip = None
    if t.at_end:
        t.cost += 3
    elif not t.error:
        t.cost += 2 + JSR
        t.expect(COMMA)
        flip = c.failing() if t.error else c.byte(JMP)
    t.cost += 3 + 2
    if t.error:
        return c.finish([address.run, mask.run, *([flip.run] if flip else [])])
    cost, position = t.take(), t.position

    def wait() -> int:
        at = address.run()
        bits = mask.run()
        xor = flip.run() if flip else 0
        m.cycles += cost
        m.wait(at, bits, xor)
        return position

    return wait


def compile_sys(c: Statements) -> Body:
    t, m = c.t, c.m
    node = c.number()
    t.cost += JSR
    if t.error:
        return c.finish([node.run])
    address = _address(c, node, t.take())
    position, run = t.position, address.run

    def sys() -> int:
        return m.sys(run(), position)

    return sys
