"""The envelope generators: exact, cycle by cycle as the chip's, and as a smooth curve that has gradients.

`exact` runs the generator itself, delay bug and all. `relaxed` is what it comes to without the bug and between whole
steps: attack a straight line, decay and release straight lines in the number of rate events they take. Its slopes by
attack, decay, sustain and release are used for both.
"""

from __future__ import annotations

import numpy as np
import torch

from sidlearn._kernel import kernel
from sidlearn.chip.state import POWER_ON_ENVELOPE
from sidlearn.registers import GATE, VOICES
from sidlearn.surrogate.batch import array, over_rows, tensor_like
from sidlearn.surrogate.controls import EVENTS, Controls

PERIODS = np.array([9, 32, 63, 95, 149, 220, 267, 313, 392, 977, 1954, 3126, 3907, 11720, 19532, 31251])
"""Cycles of a rate event for each nibble. Source: SID netlist."""
# Level from which on, going down, a step takes so many rate events. Source: Bob Yannes' interview; SID netlist.
SLOWER = ((0xFF, 1), (0x5D, 2), (0x36, 4), (0x1A, 8), (0x0E, 16), (0x06, 30))
RATE_STATES = 0x7FFF
"""The rate counter runs through this many states before it repeats. Source: SID netlist."""
ATTACK_STATE, DECAY_STATE, RELEASE_STATE = range(3)

# Columns of a generator's state.
(
    LEVEL, STATE, TARGET, ENABLED, PIPE_STATE, PIPE_STEP, PIPE_EXP, EXP_COUNT, EXP_PERIOD, EXP_NEXT, RATE_COUNT, MATCH,
    LAST, GATED, ATTACK, DECAY, SUSTAIN, RELEASE, SIZE,
) = range(19)  # fmt: skip

# Columns of a relaxed step: slopes of the level after it, the frame whose nibbles were at work, the edge it leads to.
BY_LEVEL, BY_NIBBLES, BY_CYCLES, TO_FRAME, TO_EDGE, STEP = 0, 1, 5, 6, 7, 8


def exact(controls: Controls, edges: np.ndarray) -> np.ndarray:
    """Return the envelope counters at the given cycles, as the chip has them: uint8 (b, 3, edges)."""
    whole = np.rint(array(controls.envelope)).astype(np.int64)
    levels = np.empty((*whole.shape[:2], len(edges)), np.uint8)

    def work(first: int, end: int) -> None:
        for b in range(first, end):
            for v in range(VOICES):
                follow_envelope(
                    whole[b, v], controls.control[b, v], controls.envelope_cycles[b, v],
                    controls.voice_cycles[b, v, :, EVENTS - 1], PERIODS, edges, levels[b, v],
                )  # fmt: skip

    over_rows(work, len(whole))
    return levels


class Relaxed(torch.autograd.Function):
    """(b, 3, f, 4) nibbles of attack, decay, sustain and release to (b, 3, edges) levels 0..255, without the bug."""

    @staticmethod
    def forward(ctx, nibbles, controls: Controls, edges: np.ndarray):
        values = array(nibbles).astype(np.float64)
        shape = values.shape[:2]
        levels = np.empty((*shape, len(edges)))
        steps = np.empty((*shape, len(edges) + values.shape[2] + 2, STEP))
        counts = np.empty(shape, np.int64)

        def work(first: int, end: int) -> None:
            for b in range(first, end):
                for v in range(VOICES):
                    counts[b, v] = follow_relaxed(
                        values[b, v], controls.control[b, v], controls.voice_cycles[b, v, :, EVENTS - 1],
                        np.log(PERIODS), EVENTS_DOWN, edges, levels[b, v], steps[b, v],
                    )  # fmt: skip

        over_rows(work, len(values))
        ctx.steps, ctx.counts, ctx.like = steps, counts, nibbles
        return tensor_like(levels, nibbles).to(nibbles.dtype)

    @staticmethod
    def backward(ctx, grad):
        given = array(grad).astype(np.float64)
        slopes = np.zeros(ctx.like.shape)
        for b in range(len(given)):
            for v in range(VOICES):
                slope_relaxed(ctx.steps[b, v, : ctx.counts[b, v]], given[b, v], slopes[b, v])
        return tensor_like(slopes, grad).to(ctx.like.dtype), None, None


def _events_down() -> np.ndarray:
    """Return how many rate events a decay from 255 to each level takes: float64 (256,), falling."""
    events = np.zeros(256)
    per_step = 1
    slower = dict(SLOWER)
    for level in range(255, 0, -1):
        per_step = slower.get(level, per_step)
        events[level - 1] = events[level] + per_step
    return events


EVENTS_DOWN = _events_down()


# --- Exact -------------------------------------------------------------------------------------------------------


@kernel
def follow_envelope(nibbles, control, set_cycles, gate_cycles, periods, edges, levels):
    """The counter of one generator at each of `edges`, from power-on through all frames."""
    e = np.zeros(SIZE, np.int64)
    e[LEVEL] = POWER_ON_ENVELOPE
    e[STATE] = e[TARGET] = RELEASE_STATE
    e[ENABLED] = e[MATCH] = e[EXP_PERIOD] = 1
    e[LAST] = periods[0] - 1
    now = at = 0
    while at < edges.size and edges[at] <= 0:
        levels[at] = e[LEVEL]
        at += 1
    for f in range(control.size):
        for event in range(3):
            if f and (
                (event == 0 and nibbles[f, 0] == nibbles[f - 1, 0] and nibbles[f, 1] == nibbles[f - 1, 1])
                or (event == 1 and nibbles[f, 2] == nibbles[f - 1, 2] and nibbles[f, 3] == nibbles[f - 1, 3])
                or (event == 2 and control[f] == control[f - 1])
            ):
                continue
            cycle = gate_cycles[f] if event == 2 else set_cycles[f, event]
            now, at = run_envelope(e, now, cycle, periods, edges, at, levels)
            if event == 0:
                e[ATTACK], e[DECAY] = nibbles[f, 0], nibbles[f, 1]
                if e[STATE] != RELEASE_STATE:
                    choose_rate(e, periods)
            elif event == 1:
                e[SUSTAIN], e[RELEASE] = nibbles[f, 2] * 17, nibbles[f, 3]
                if e[STATE] == RELEASE_STATE:
                    choose_rate(e, periods)
            else:
                set_gate(e, control[f] & GATE)
    if at < edges.size:
        run_envelope(e, now, int(edges[edges.size - 1]) + 2, periods, edges, at, levels)


@kernel
def run_envelope(e, now, until, periods, edges, at, levels):
    """Clock a generator up to a cycle, and note its counter at each edge on the way."""
    while now < until:
        level = e[LEVEL]
        quiet = still_cycles(e, until - now)
        if quiet:
            now += quiet
        else:
            clock_generator(e, periods)
            now += 1
        while at < edges.size and edges[at] < now:
            levels[at] = level if edges[at] < now - 1 or quiet else e[LEVEL]
            at += 1
    return now, at


@kernel
def choose_rate(e, periods):
    """The rate of the state that runs."""
    e[LAST] = (
        periods[e[RELEASE] if e[STATE] == RELEASE_STATE else e[DECAY] if e[STATE] == DECAY_STATE else e[ATTACK]] - 1
    )


@kernel
def set_gate(e, gate):
    """Gate on leads to attack, gate off to release, some cycles later."""
    if gate == e[GATED]:
        return
    e[GATED] = gate
    if not gate:
        e[TARGET] = RELEASE_STATE
        e[PIPE_STATE] = 3 if e[PIPE_STEP] else 2
        return
    e[TARGET] = ATTACK_STATE
    e[PIPE_STATE] = 2
    if e[MATCH] or e[PIPE_EXP] == 2:
        e[PIPE_STEP] = 2 if e[EXP_PERIOD] == 1 or e[PIPE_EXP] == 2 else 4
    elif e[PIPE_EXP] == 1:
        e[PIPE_STATE] = 3


@kernel
def still_cycles(e, limit):
    """Cycles, up to `limit`, in which nothing but the rate counter moves; clocks them. 0 if something is under way."""
    if e[PIPE_STATE] or e[PIPE_STEP] or e[PIPE_EXP] or e[MATCH] or e[EXP_NEXT]:
        return 0
    way = e[LAST] - e[RATE_COUNT]
    if way < 0:  # the ADSR delay bug: the counter is past the period and has to go all the way round
        way += RATE_STATES
    if not e[ENABLED] and e[STATE] != ATTACK_STATE:  # at zero, rate events do nothing at all
        period = e[LAST] + 1
        if limit <= way:
            e[RATE_COUNT] = (e[RATE_COUNT] + limit) % RATE_STATES
            return limit
        if way == 0 and limit > 2 * period:
            return limit // period * period - period
    cycles = min(way, limit)
    e[RATE_COUNT] = (e[RATE_COUNT] + cycles) % RATE_STATES
    return cycles


@kernel
def clock_generator(e, periods):
    """Clock a generator by one cycle. Source: SID netlist."""
    if e[EXP_NEXT]:
        e[EXP_PERIOD] = e[EXP_NEXT]
        e[EXP_NEXT] = 0
    if e[PIPE_STATE]:
        e[PIPE_STATE] -= 1
        turn_state(e, periods)
    move(e)
    if e[RATE_COUNT] == e[LAST]:
        e[MATCH] = 1
    else:
        e[RATE_COUNT] = (e[RATE_COUNT] + 1) % RATE_STATES


@kernel
def turn_state(e, periods):
    """The way to the target state, one cycle further."""
    left = e[PIPE_STATE]
    if e[TARGET] == ATTACK_STATE:
        if left == 1:
            e[LAST] = periods[e[DECAY]] - 1
        elif left == 0:
            e[ENABLED] = 1
            e[STATE] = ATTACK_STATE
            choose_rate(e, periods)
    elif e[TARGET] == DECAY_STATE:
        if left == 0:
            e[STATE] = DECAY_STATE
            choose_rate(e, periods)
    elif e[STATE] != RELEASE_STATE and left == (1 if e[STATE] == DECAY_STATE else 0):
        e[STATE] = RELEASE_STATE
        choose_rate(e, periods)


@kernel
def move(e):
    """What falls due: a step of the counter, the end of an exponential period, or a rate event."""
    if e[PIPE_STEP]:
        e[PIPE_STEP] -= 1
        if e[PIPE_STEP] == 0:
            step_level(e)
            return
    if e[PIPE_EXP]:
        e[PIPE_EXP] -= 1
        if e[PIPE_EXP] == 0:
            e[EXP_COUNT] = 0
            if e[STATE] == RELEASE_STATE or (e[STATE] == DECAY_STATE and e[LEVEL] != e[SUSTAIN]):
                e[PIPE_STEP] = 1
            return
    if e[MATCH]:
        e[MATCH] = e[RATE_COUNT] = 0
        if e[STATE] == ATTACK_STATE:
            e[EXP_COUNT] = 0
            e[PIPE_STEP] = 2
        elif e[ENABLED]:
            e[EXP_COUNT] += 1
            if e[EXP_COUNT] == e[EXP_PERIOD]:
                e[PIPE_EXP] = 1 if e[EXP_PERIOD] == 1 else 2


@kernel
def step_level(e):
    """Count up or down; 255 turns to decay, 0 freezes."""
    if not e[ENABLED]:
        return
    rising = e[STATE] == ATTACK_STATE
    e[LEVEL] = (e[LEVEL] + (1 if rising else -1)) & 0xFF
    level = e[LEVEL]
    if rising and level == 0xFF:
        e[TARGET] = DECAY_STATE
        e[PIPE_STATE] = 3
    elif not rising and level == 0:
        e[ENABLED] = 0
    if level in (0xFF, 0):
        e[EXP_NEXT] = 1
    elif level == 0x5D:
        e[EXP_NEXT] = 2
    elif level == 0x36:
        e[EXP_NEXT] = 4
    elif level == 0x1A:
        e[EXP_NEXT] = 8
    elif level == 0x0E:
        e[EXP_NEXT] = 16
    elif level == 0x06:
        e[EXP_NEXT] = 30


# --- Relaxed -----------------------------------------------------------------------------------------------------


@kernel
def period_at(nibble, log_periods):
    """Cycles of a rate event between two nibbles, even in octaves; and the slope of its logarithm by the nibble."""
    low = min(max(int(np.floor(nibble)), 0), 14)
    slope = log_periods[low + 1] - log_periods[low]
    return np.exp(log_periods[low] + (nibble - low) * slope), slope


@kernel
def level_after(events, events_down):
    """Level that so many rate events from 255 on lead to, and its slope by the events."""
    if events >= events_down[0]:
        return 0.0, 0.0
    low, high = 0, 255  # events_down falls from events_down[0] to 0
    while high - low > 1:
        middle = (low + high) // 2
        if events_down[middle] > events:
            low = middle
        else:
            high = middle
    slope = 1 / (events_down[high] - events_down[low])
    return high + (events - events_down[high]) * slope, slope


@kernel
def events_to(level, events_down):
    """Rate events from 255 down to a level between whole ones, and the slope by the level."""
    low = min(max(int(np.floor(level)), 0), 254)
    slope = events_down[low + 1] - events_down[low]
    return events_down[low] + (level - low) * slope, slope


@kernel
def follow_relaxed(nibbles, control, gate_cycles, log_periods, events_down, edges, levels, steps):
    """The smooth level of one voice at each edge; what each step on the way follows, for the slopes. Returns how many.

    Rates and sustain change with the gate's write of their frame.
    """
    level, power_on = float(POWER_ON_ENVELOPE), np.zeros(4)
    now, gate, state = 0.0, 0, RELEASE_STATE
    at = count = 0
    while at < edges.size and edges[at] <= 0:
        levels[at] = level
        at += 1
    for f in range(control.size + 1):
        until = float(gate_cycles[f]) if f < control.size else edges[edges.size - 1]
        n = max(f - 1, 0)
        while now < until and at < edges.size:
            end = min(until, edges[at])
            given = nibbles[n] if f else power_on
            level, state = advance(level, state, end - now, given, log_periods, events_down, steps[count])
            if f == 0:
                steps[count, BY_NIBBLES : BY_NIBBLES + 4] = 0.0
            steps[count, TO_FRAME] = n
            steps[count, TO_EDGE] = -1
            now = end
            if edges[at] <= now:
                levels[at] = level
                steps[count, TO_EDGE] = at
                at += 1
            count += 1
        if f < control.size and (control[f] & GATE) != gate:
            gate = control[f] & GATE
            state = ATTACK_STATE if gate else RELEASE_STATE
    return count


@kernel
def slope_relaxed(steps, given, slopes):
    """Slopes by the nibbles of each frame from those by the levels, from the last step back to the first."""
    to_level = 0.0
    for n in range(len(steps) - 1, -1, -1):
        step = steps[n]
        if step[TO_EDGE] >= 0:
            to_level += given[int(step[TO_EDGE])]
        for k in range(4):
            slopes[int(step[TO_FRAME]), k] += to_level * step[BY_NIBBLES + k]
        to_level *= step[BY_LEVEL]


@kernel
def advance(level, state, cycles, nibbles, log_periods, events_down, step):
    """Let `cycles` go by: the level and state after them; slopes by the level before and the nibbles to `step`."""
    for k in range(STEP):
        step[k] = 0.0
    if state != ATTACK_STATE:
        return advance_down(level, state, cycles, nibbles, log_periods, events_down, step)
    period, per_nibble = period_at(nibbles[0], log_periods)
    left = (255 - level) * period
    if cycles < left:
        step[BY_LEVEL] = 1.0
        step[BY_NIBBLES] = -cycles / period * per_nibble
        return level + cycles / period, state
    level, state = advance_down(255.0, DECAY_STATE, cycles - left, nibbles, log_periods, events_down, step)
    # What is left of the time depends on the attack: the later at the top, the less decay.
    decay_period, _ = period_at(nibbles[1], log_periods)
    by_cycles = step[BY_CYCLES] / decay_period
    step[BY_LEVEL] = by_cycles * period
    step[BY_NIBBLES] = -by_cycles * left * per_nibble
    return level, state


@kernel
def advance_down(level, state, cycles, nibbles, log_periods, events_down, step):
    """The same in decay or release."""
    which = 1 if state == DECAY_STATE else 3
    floor = nibbles[2] * 17.0 if state == DECAY_STATE else 0.0
    step[BY_LEVEL] = 1.0
    if level < floor:
        floor = 0.0  # sustain raised above the level: it decays on to 0
    if level <= 0 or (level == floor and state == DECAY_STATE):
        if level > 0:
            step[BY_LEVEL], step[BY_NIBBLES + 2] = 0.0, 17.0
        return level, state
    period, per_nibble = period_at(nibbles[which], log_periods)
    before, before_slope = events_to(level, events_down)
    after, after_slope = level_after(before + cycles / period, events_down)
    if after <= floor:
        step[BY_LEVEL] = 0.0
        step[BY_NIBBLES + 2] = 17.0 if floor > 0 else 0.0
        return floor, state
    step[BY_LEVEL] = before_slope * after_slope
    step[BY_CYCLES] = after_slope
    step[BY_NIBBLES + which] = -cycles / period * per_nibble * after_slope
    return after, state
