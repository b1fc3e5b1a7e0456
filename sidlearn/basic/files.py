"""PRINT#, CMD, OPEN and the others that name a file or a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.nodes import COMMA, Body, Node
from sidlearn.basic.printing import compile_print
from sidlearn.basic.text import JMP

if TYPE_CHECKING:
    from sidlearn.basic.statements import Statements


def compile_print_file(c: Statements) -> Body:
    return _command(c, close=True)


def compile_cmd(c: Statements) -> Body:
    return _command(c, close=False)


def _command(c: Statements, close: bool) -> Body:
    t, m = c.t, c.m
    number = c.byte()
    if t.char == COMMA:
        t.expect(COMMA)
    files = m.files
    body = compile_print(c)

    def command() -> int:
        files.select(number.run())
        position = body()
        if close:
            files.deselect()
        return position

    return command


def compile_device(c: Statements, action: str) -> Body:
    """Compile OPEN, CLOSE, LOAD, SAVE and VERIFY: up to four arguments, numbers and one string."""
    t, m = c.t, c.m
    nodes: list[Node] = []
    while not t.at_end and not t.error and len(nodes) < 4:
        if nodes:
            t.expect(COMMA)
        nodes.append(c.evaluate())
        t.again()
    if not nodes and action in ("open", "close"):
        t.fail()

    if t.error:
        return c.finish([node.run for node in nodes])
    cost, position = t.take() + JMP, t.position

    def run() -> int:
        values: list[int | bytes] = [
            m.take_string(node.run()) if node.string else f40.conint(node.run())[0] for node in nodes
        ]
        m.cycles += cost
        return m.files.perform(action, values, position)

    return run
