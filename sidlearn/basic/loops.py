"""FOR and NEXT, and delay loops at full speed.

A turn of a loop costs what the addition of the step, the storing and the comparison cost, and that follows from the
value alone: turns are remembered by value, step and limit. Steps: BASIC-M6502 (FOR, NEXT, FNDFOR), MIT licence; see
`text` for what the cycles are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.assigning import assign_float, assign_string
from sidlearn.basic.frames import FOR_STACK, ForFrame, Frames
from sidlearn.basic.messages import NEXT_WITHOUT_FOR, TYPE_MISMATCH, BasicError
from sidlearn.basic.nodes import CHKNUM, EQUAL, TO, Closure
from sidlearn.basic.references import read_name
from sidlearn.basic.text import COLON, JMP, JSR
from sidlearn.basic.tokens import TOKEN
from sidlearn.basic.variables import is_string

if TYPE_CHECKING:
    from sidlearn.basic.statements import Statements

STEP, COMMA = TOKEN["step"], 0x2C
_FIND_FIRST = 10  # FNDFOR up to its loop
_FIND_END = 15  # meeting something else than a loop
_PUSHF = 2 + 4 + 3 + 5 + 4 + 3 + 2 + 3 + JSR + 30 + 5
_TURN = 22 + JSR + f40.MOVFM_CYCLES + 9 + 6 + JSR + JSR + 6 + 2 + JSR - 3 + 8  # HAVFOR to the branch
_AGAIN = 2 + 28 + JMP
_DONE = 3 + 8

Turn = tuple[bytes, int, bool]
"""One turn: the variable's next five bytes, the cycles that vary, whether the loop is done."""

_TURNS: dict[tuple[f40.Fac, bytes], dict[bytes, Turn]] = {}
_MOST_LOOPS = 4096


def _turns(step: f40.Fac, limit: bytes) -> dict[bytes, Turn]:
    """Return the remembered turns of loops with this step and limit."""
    found = _TURNS.get((step, limit))
    if found is None:
        if len(_TURNS) >= _MOST_LOOPS:
            _TURNS.clear()
        found = _TURNS[step, limit] = {}
    return found


def _turn(value: bytes, step: f40.Fac, sign: int, limit: bytes) -> Turn:
    """Take one turn: add, round, store, compare."""
    total, cycles = f40.fadd(f40.unpack(value), step)
    total, stored = f40.movmf(total)
    order, compared = f40.fcomp(total, f40.unpack(limit))
    return f40.pack(total), cycles + stored + compared, order == sign


def pack_limit(fac: f40.Fac) -> tuple[bytes, int]:
    """Pack the limit of a FOR as the machine does, sign before rounding. Returns also the cycles of ROUND."""
    sign, exponent, mantissa, rounding = fac
    mantissa = mantissa & 0x7FFFFFFF | (sign & 0x80) << 24
    (_, exponent, mantissa, _), cycles = f40.round_fac((sign, exponent, mantissa, rounding))
    return bytes((exponent,)) + mantissa.to_bytes(4, "big"), cycles


def compile_for(c: Statements) -> Callable[[], int]:
    """Compile FOR."""
    t, m = c.t, c.m
    t.cost += 2 + 3 + JSR + JSR + 2
    t.again()
    t.cost += 3
    name, _ = read_name(c, arrays=False, integers=False)
    if t.error:
        return c.finish([])
    string = is_string(name)
    t.cost += 6
    address = c.simple_address(name)
    t.expect(EQUAL)
    t.cost += 12
    t.depth += 4
    start = c.evaluate()
    t.depth -= 4
    t.cost += 4 + 2 + JSR
    if start.string != string and not t.error:
        t.fail(TYPE_MISMATCH)
    if t.error:
        return c.finish([address, c.failing(start).run])
    assign = assign_string(c, address, start) if string else assign_float(c, address, start)
    t.cost += JSR + 8 + 2 + JSR + 22
    count, cycles = c.skip(COLON)
    body = t.position + count & 0xFFFF
    t.cost += cycles + 18 + 12
    t.expect(TO)
    t.cost += JSR
    if string and not t.error:
        t.fail(TYPE_MISMATCH)
    t.cost += CHKNUM
    t.depth += 2
    limit = c.number()
    t.depth -= 2
    t.cost += 24 + JSR + 30 + 5 + 4 + JSR + f40.MOVFM_CYCLES
    before = t.take()
    t.again()
    t.cost += 2
    step = None
    if t.char == STEP:
        t.cost += 2
        t.get()
        t.depth += 7
        step = c.number()
        t.depth -= 7
    else:
        t.cost += 3
    t.cost += JSR + JSR + _PUSHF + 12 + 5
    if t.error:
        return c.finish([assign, limit.run, *([step.run] if step else []), c.failing().run])
    after = t.take()
    position, run_limit, run_step = t.position, limit.run, step.run if step else None
    find, frames, sign_of, round_fac = m.variables.find, m.frames, f40.sign, f40.round_fac

    def loop() -> int:
        assign()
        at = find(name)[0]
        m.cycles += close_loop(frames, at)
        frames.check(FOR_STACK)
        packed, cycles = pack_limit(run_limit())
        m.cycles += before + cycles
        if run_step is None:
            sign, fac = 1, f40.ONE
            m.cycles += after + 22 + 19
        else:
            m.fac = f40.ONE
            fac = run_step()
            sign, cycles = sign_of(fac)
            fac, rounded = round_fac(fac)
            m.cycles += after + cycles + rounded
        m.fac = fac
        frames.push(ForFrame(at, fac, sign, packed, m.line, body))
        return position

    return loop


def close_loop(frames: Frames, variable: int) -> int:
    """FOR: drop an open loop over the same variable, and all inside it. Returns the cycles (FNDFOR, BNE NOTOL)."""
    cycles = _FIND_FIRST
    for depth, frame in enumerate(reversed(frames.open)):
        if not isinstance(frame, ForFrame):
            break
        if frame.variable == variable:
            for _ in range(depth + 1):
                frames.pop()
            return cycles + _match_cycles(variable) + 2 + 8
        cycles += _mismatch_cycles(frame.variable, variable)
    return cycles + _FIND_END + 3


def _match_cycles(variable: int) -> int:
    """FNDFOR: the frame is the one. A variable in page 0 would count as none named."""
    return 36 if variable >> 8 else 49


def _mismatch_cycles(frame_variable: int, variable: int) -> int:
    """FNDFOR: go past a frame."""
    return 32 if frame_variable >> 8 != variable >> 8 else 40


def skip_loops_cycles(count: int) -> int:
    """RETURN: FNDFOR past `count` open loops."""
    return _FIND_FIRST + 32 * count + _FIND_END


def compile_next(c: Statements) -> Callable[[], int]:
    """Compile NEXT."""
    t = c.t
    if t.at_end:
        t.cost += 2 + 2 + 3
        return _next_body(c, None, c.entry)
    t.cost += 3
    return _next_variable(c, c.entry)


def _next_variable(c: Statements, entry: int) -> Callable[[], int]:
    """Compile a NEXT that names its variable (GETFOR)."""
    t = c.t
    _, address = c.target()
    if t.error:
        return c.finish([address])
    t.cost -= 6
    return _next_body(c, address, entry)


def _next_body(c: Statements, address: Closure | None, entry: int) -> Callable[[], int]:
    """Compile NEXT from STXFOR on.

    `entry` is the address that NEWSTT sees before this NEXT, or -1: a loop whose body begins there is empty, and all
    its turns are taken at once.
    """
    t, m = c.t, c.m
    t.cost += 6 + JSR
    found = t.take() + 3 + _FIND_FIRST
    t.again()
    t.cost += 2
    following = None
    if t.char == COMMA:
        t.cost += 2
        t.get()
        t.cost += JSR
        done_cost = t.take()
        following = _next_variable(c, -1)
    else:
        t.cost += 3 + JMP
        done_cost = t.take()
    position, around = t.position, c.before
    frames, ram, unpack = m.frames, m.ram, f40.unpack

    def find() -> tuple[ForFrame, int]:
        """FNDFOR: drop the loops inside the one to go on with."""
        variable = address() if address else 0
        cycles = found
        while frame := frames.loop():
            if address is None:
                return frame, cycles + 49
            if frame.variable == variable:
                return frame, cycles + _match_cycles(variable)
            frames.pop()
            cycles += _mismatch_cycles(frame.variable, variable)
        raise BasicError(NEXT_WITHOUT_FOR)

    def turn() -> int:
        start = m.cycles
        frame, cycles = find()
        at, step, limit = frame.variable, frame.step, frame.limit
        fixed = _TURN + max(0, (at & 255) - 251)
        turns = _turns(step, limit)
        value = bytes(ram[at : at + 5])
        now = m.cycles + cycles + fixed
        repeat = 0
        while True:
            taken = turns.get(value)
            if taken is None:
                taken = turns[value] = _turn(value, step, frame.sign, limit)
            value, varying, done = taken
            now += varying
            if done:
                break
            now += _AGAIN
            if frame.position != entry or now >= m.check_at or m.traced:
                m.cycles = now
                ram[at : at + 5] = value
                m.fac = unpack(value)
                m.line = frame.line
                return frame.position
            if not repeat:
                search = m.cycles - start  # finding the variable
                repeat = around + search + found + (_match_cycles(at) if address else 49) + fixed
            now += repeat
        m.cycles = now + _DONE + done_cost
        ram[at : at + 5] = value
        m.fac = unpack(value)
        frames.pop()
        return following() if following else position

    return turn
