"""DATA, READ, RESTORE, GET and INPUT: lists of variables that get what comes from somewhere else.

Steps: BASIC-M6502 (DATA, RESTOR, INLOOP), MIT licence; see `text` for what the cycles are. `inputs` has the sources.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic.nodes import COMMA, HASH, QUOTE, SEMICOLON, Body, Closure, Node
from sidlearn.basic.operands import quoted
from sidlearn.basic.text import COLON, JMP, JSR

if TYPE_CHECKING:
    from sidlearn.basic.inputs import FileKeySource, FileLineSource, Source
    from sidlearn.basic.statements import Statements


def compile_data(c: Statements) -> Body:
    c.skip_statement(COLON)
    return c.finish([])


def compile_restore(c: Statements) -> Body:
    m = c.m
    cost = c.t.take()

    def restore() -> None:
        m.cycles += cost + m.restore()

    return c.finish([restore])


def compile_read(c: Statements) -> Body:
    c.t.cost += 6 + 2 + 4 + 9
    return input_list(c, c.m.data_source)


def input_list(c: Statements, source: Source) -> Body:
    """Compile the list of variables of READ, INPUT or GET (INLOOP)."""
    t = c.t
    steps: list[Closure] = [source.begin]
    while True:
        name, address = c.target()
        if t.error:
            steps.append(address)
            break
        t.cost += 24
        steps.append(_item(c, source, address, name))
        t.again()
        if t.at_end or t.error:
            t.cost += 3
            break
        t.cost += 2
        t.expect(COMMA)
        t.cost += JMP
        if t.error:
            break
    steps.append(source.finish)
    return c.finish(steps)


def _item(c: Statements, source: Source, address: Closure, name: int) -> Closure:
    m, item = c.m, source.item
    cost = c.t.take()

    def take() -> None:
        at = address()
        m.cycles += cost
        item(at, name)

    return take


def compile_get(c: Statements) -> Body:
    t = c.t
    t.cost += JSR + 14 + 2
    t.not_direct()
    if t.error:
        return c.finish([])
    if t.char == HASH:
        t.cost += 2
        t.get()
        return _from_file(c, c.byte(), c.m.file_key_source)
    t.cost += 3 + 2 + 2 + 2 + 4 + 2 + JSR + 9
    return input_list(c, c.m.key_source)


def _from_file(c: Statements, number: Node, source: FileKeySource | FileLineSource) -> Body:
    t = c.t
    t.expect(COMMA)
    t.not_direct()
    if t.error:
        return c.finish([number.run])
    count, _ = c.skip(COLON)
    empty = t.position + count
    body = input_list(c, source)

    def from_file() -> int:
        source.open(number.run())
        return body() if source.ask() else empty

    return from_file


def compile_input(c: Statements) -> Body:
    t, m = c.t, c.m
    t.cost += 2
    if t.char != QUOTE:
        t.cost += 3
        return _input_line(c)
    t.cost += 2 + JSR
    prompt = quoted(c)
    t.expect(SEMICOLON)
    if t.error:
        return c.finish([prompt.run])
    t.cost += JSR
    cost = t.take()
    body = _input_line(c)

    def with_prompt() -> int:
        descriptor = prompt.run()
        m.cycles += cost
        m.printer.string(descriptor)
        return body()

    return with_prompt


def _input_line(c: Statements) -> Body:
    t = c.t
    t.cost += JSR + 14 + 2 + 4
    t.not_direct()
    if t.error:
        return c.finish([])
    source = c.m.line_source
    count, _ = c.skip(COLON)
    empty = t.position + count
    body = input_list(c, source)

    def input_line() -> int:
        return body() if source.ask() else empty

    return input_line


def compile_input_file(c: Statements) -> Body:
    return _from_file(c, c.byte(), c.m.file_line_source)
