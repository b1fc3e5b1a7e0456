"""GOTO, GOSUB, IF, ON, END and all that decides where a program goes on.

Steps: BASIC-M6502 (GOTO to ONGOTO, STOP to CLEAR), MIT licence; see `text` for what the cycles are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sidlearn.basic.frames import GosubFrame
from sidlearn.basic.loops import skip_loops_cycles
from sidlearn.basic.messages import RETURN_WITHOUT_GOSUB, BasicError
from sidlearn.basic.nodes import COMMA, GOSUB, GOTO, MINUS, THEN, Body
from sidlearn.basic.text import JMP, JSR, RTS, Text, add_on, skip_data

if TYPE_CHECKING:
    from sidlearn.basic.statements import Statements

END = 2 + 6 + 3 + 2 + 2 + 6 + 12 + 8 + 4 + 3 + JMP  # STOPC to READY
SETMSG = JMP + 18  # the KERNAL's switch of messages: estimate


def compile_goto(c: Statements) -> Body:
    """Compile GOTO from its entry, which RTS leaves for NEWSTT."""
    jump = compile_jump(c, JMP)
    return jump if jump else c.finish([])


def compile_jump(c: Statements, after: int) -> Body | None:
    """Compile GOTO from its entry; `after` comes behind its RTS. None if the number is wrong."""
    t, m = c.t, c.m
    number = c.line_number()
    if t.error:
        return None
    count, cycles = c.skip(0)
    t.cost += cycles + after
    cost, position = t.take(), t.position

    def jump() -> int:
        m.cycles += cost
        return m.go(number, position, count)

    return jump


def compile_gosub(c: Statements) -> Body:
    t, m = c.t, c.m
    t.cost += 2
    t.check_stack(3)
    need, back = t.deepest, t.position
    t.cost += 24 + 5
    t.again()
    t.cost += JSR
    jump = compile_jump(c, JMP)
    frames = m.frames
    if jump is None:
        return c.finish([])

    def gosub() -> int:
        frames.check(need)
        frames.push(GosubFrame(m.line, back))
        return jump()

    return gosub


def compile_return(c: Statements) -> Body:
    t, m, ram = c.t, c.m, c.m.ram
    if not t.at_end:
        t.cost += 3 + RTS
        return c.finish([])
    cost = t.take() + 2 + 2 + 3 + JSR + 2 + 2 + 3 + 4 + 28 + JMP
    frames = m.frames

    def back() -> int:
        loops = 0
        while frames.open:
            frame = frames.pop()
            if isinstance(frame, GosubFrame):
                m.line = frame.line
                position, cycles = skip_data(ram, frame.position)
                m.cycles += cost + skip_loops_cycles(loops) + cycles
                return position
            loops += 1
        raise BasicError(RETURN_WITHOUT_GOSUB)

    return back


def compile_if(c: Statements) -> Body:
    t, m = c.t, c.m
    condition = c.evaluate()
    t.again()
    t.cost += 2
    if t.char == GOTO:
        t.cost += 3
    else:
        t.cost += 2
        t.expect(THEN)
    if t.error:
        return c.finish([condition.run])
    before = t.take() + 3
    count, cycles = c.skip(0)
    false_cost = before + 2 + cycles + 4 + add_on(t.position, count) + JMP
    false_position = t.position + count
    t.cost += before + 3
    t.again()
    if t.at_digit:
        t.cost += 2 + JMP
        then = compile_goto(c)
    else:
        t.cost += 3 + JMP
        then = c.dispatch()
    run, string = condition.run, condition.string

    def branch() -> int:
        value = run()
        if not string:
            m.fac = value
        if m.fac[1]:
            return then()
        m.cycles += false_cost
        return false_position

    return branch


def compile_on(c: Statements) -> Body:
    t, m = c.t, c.m
    value = c.byte()
    t.cost += 3 + 2
    token = t.char
    if token == GOSUB:
        t.cost += 3
    else:
        t.cost += 2 + 2
        if token != GOTO:
            t.fail()
        t.cost += 2
    if t.error:
        return c.finish([value.run])
    paid = [t.take()]  # up to the DEC for the choice
    bodies: list[Body] = []
    while True:
        chosen = Text(t.ram, t.position)
        chosen.cost = 5 + 2 + 4 + JMP + 2 + 2
        bodies.append(type(c)(m, chosen).by_token(token))
        t.deepest = max(t.deepest, chosen.deepest)
        t.cost += 5 + 3
        t.get()
        c.line_number()
        t.cost += 2
        if t.char != COMMA or t.error:
            break
        t.cost += 3
        paid.append(paid[-1] + t.take())
    failed = t.error
    t.cost += 2 + 4 + RTS + JMP
    total = paid[-1] + t.take()
    run, position = value.run, t.position

    def on() -> int:
        choice = run()
        if 1 <= choice <= len(bodies):
            m.cycles += paid[choice - 1]
            return bodies[choice - 1]()
        m.cycles += total
        if failed:
            raise BasicError(failed)
        return position

    return on


def compile_end(c: Statements) -> Body:
    t, m = c.t, c.m
    if not t.at_end:
        t.cost += 2 + 3 + RTS
        return c.finish([])
    cost, position = t.take() + 2 + END, t.position

    def end() -> int:
        m.cycles += cost
        return m.end(position)

    return end


def compile_stop(c: Statements) -> Body:
    t, m = c.t, c.m
    if not t.at_end:
        t.cost += 3 + 3 + RTS
        return c.finish([])
    cost, position = t.take() + 3 + END, t.position

    def stop() -> int:
        m.cycles += cost
        return m.stop(position)

    return stop


def compile_run(c: Statements) -> Body:
    t, m = c.t, c.m
    t.cost += 3 + 2 + JSR + SETMSG + 4
    if t.at_end:
        cost = t.take() + 2 + JMP + JSR + 24 + 2 + 2 + JMP

        def run() -> int:
            m.cycles += cost
            return m.restart()

        return run
    t.cost += 3 + JSR + JMP
    cost = t.take()
    t.again()
    t.cost += JSR
    jump = compile_jump(c, JMP)
    if jump is None:
        return c.finish([])

    def run_from() -> int:
        m.cycles += cost
        m.clear()
        return jump()

    return run_from


def compile_clr(c: Statements) -> Body:
    t, m = c.t, c.m
    if not t.at_end:
        t.cost += 3 + RTS
        return c.finish([])
    t.cost += 2
    return c.finish([m.clear])


def compile_new(c: Statements) -> Body:
    return c.finish([]) if not c.t.at_end else c.m.new


def compile_cont(c: Statements) -> Body:
    t, m = c.t, c.m
    if not t.at_end:
        t.cost += 3 + RTS
        return c.finish([])
    cost = t.take() + 2 + 2 + 3 + 3 + 9 + 12 + RTS + JMP

    def cont() -> int:
        m.cycles += cost
        return m.cont()

    return cont


def compile_rem(c: Statements) -> Body:
    c.t.cost += 4
    c.skip_statement(0)
    return c.finish([])


def compile_list(c: Statements) -> Body:
    t, m = c.t, c.m
    first, last = 0, 0xFFFF
    if t.at_digit:
        first = last = c.line_number()
    if t.char == MINUS:
        t.get()
        last = c.line_number() if t.at_digit else 0xFFFF
    if not t.at_end:
        t.fail()
        return c.finish([])

    def show() -> int:
        return m.list(first, last)

    return show
