"""The envelope generators: exact, cycle by cycle as the chip's, and as a smooth curve that has gradients.

`exact` runs the generator itself, delay bug and all. `relaxed` is what it comes to without the bug and between whole
steps: attack a straight line, decay and release straight lines in the number of rate events they take. Its slopes by
attack, decay, sustain and release are used for both.
"""

from __future__ import annotations

import numpy as np
import torch

from sidlearn._kernel import kernel, part_kernel
from sidlearn.chip import generator
from sidlearn.chip.generator import (
    COUNTER,
    IN_ATTACK,
    IN_DECAY,
    IN_RELEASE,
    hold,
    write_attack_decay,
    write_gate,
    write_sustain_release,
)
from sidlearn.chip.state import POWER_ON_ENVELOPE
from sidlearn.registers import GATE, VOICES
from sidlearn.surrogate.batch import array, over_rows, tensor_like
from sidlearn.surrogate.controls import EVENTS, Controls

PERIODS = np.array([9, 32, 63, 95, 149, 220, 267, 313, 392, 977, 1954, 3126, 3907, 11720, 19532, 31251])
"""Cycles of a rate event for each nibble. Source: SID netlist."""
# Level from which on, going down, a step takes so many rate events. Source: Bob Yannes' interview; SID netlist.
SLOWER = ((0xFF, 1), (0x5D, 2), (0x36, 4), (0x1A, 8), (0x0E, 16), (0x06, 30))
COUNTERS = np.arange(256, dtype=np.uint8)
EDGES_PER_POINT = 16
"""Edges over which the relaxed envelope is a straight line: 1.5 ms."""
# Columns of a relaxed step: slopes of the level after it, the frame whose nibbles were at work, the edge it leads to.
BY_LEVEL, BY_NIBBLES, BY_CYCLES, TO_FRAME, TO_EDGE, STEP = 0, 1, 5, 6, 7, 8


def exact(controls: Controls, edges: np.ndarray, dac: np.ndarray = COUNTERS) -> np.ndarray:
    """Return the envelopes at the given cycles, as the chip has them: (b, 3, edges).

    Parameters
    ----------
    controls : Controls
    edges : ndarray, float64, shape (edges,)
    dac : ndarray, shape (256,)
        What each counter counts for; without it the counters come back, uint8.
    """
    whole = np.rint(array(controls.envelope)).astype(np.int64)
    levels = np.empty((*whole.shape[:2], len(edges)), dac.dtype)
    power_on = np.tile(generator.power_on(), (VOICES, 1))

    def work(first: int, end: int) -> None:
        for b in range(first, end):
            follow_envelopes(
                power_on.copy(), whole[b], controls.control[b], controls.envelope_cycles[b],
                controls.voice_cycles[b, :, :, EVENTS - 1], edges, dac, levels[b],
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


class Convert(torch.autograd.Function):
    """(b, 3, points) relaxed levels 0..255, `EDGES_PER_POINT` edges apart, to (b, 3, edges) at the DACs.

    With the chip's own levels there, `exactly` (b, 3, edges), these are the result, and the slopes the relaxed levels'.
    """

    @staticmethod
    def forward(ctx, points, dac: np.ndarray, edges: int, exactly: np.ndarray | None):
        given = array(points)
        ctx.save_for_backward(points)
        ctx.dac, ctx.edges = dac.astype(given.dtype), edges
        if exactly is not None:
            return tensor_like(exactly, points)
        levels = np.empty((*given.shape[:2], edges), given.dtype)
        for b in range(len(given)):
            for v in range(VOICES):
                convert(given[b, v], ctx.dac, levels[b, v])
        return tensor_like(levels, points)

    @staticmethod
    def backward(ctx, grad):
        (points,) = ctx.saved_tensors
        values, given = array(points), array(grad)
        slopes = np.zeros_like(values)
        for b in range(len(values)):
            for v in range(VOICES):
                slope_convert(values[b, v], ctx.dac, given[b, v], slopes[b, v])
        return tensor_like(slopes, points), None, None, None


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


# --- From levels to the DAC ---------------------------------------------------------------------------------------


@kernel
def convert(points, dac, levels):
    """Straight lines between points, and the DAC's between its entries."""
    for n in range(levels.size):
        share = points.dtype.type(n % EDGES_PER_POINT) / EDGES_PER_POINT
        smooth = points[n // EDGES_PER_POINT]
        smooth += (points[n // EDGES_PER_POINT + 1] - smooth) * share
        low = int(min(max(smooth, 0.0), 254.0))
        levels[n] = dac[low] + (smooth - low) * (dac[low + 1] - dac[low])


@kernel
def slope_convert(points, dac, given, slopes):
    """Slopes by the points from those by the levels."""
    for n in range(given.size):
        share = (n % EDGES_PER_POINT) / EDGES_PER_POINT
        point = n // EDGES_PER_POINT
        smooth = points[point] + (points[point + 1] - points[point]) * share
        low = int(min(max(smooth, 0.0), 254.0))
        slope = given[n] * (dac[low + 1] - dac[low])
        slopes[point] += slope * (1 - share)
        slopes[point + 1] += slope * share


# --- Exact -------------------------------------------------------------------------------------------------------


@kernel
def follow_envelopes(e, nibbles, control, set_cycles, gate_cycles, edges, dac, levels):
    """What three generators count for at each of `edges`, from power-on through all frames."""
    for v in range(VOICES):
        follow_envelope(e[v], nibbles[v], control[v], set_cycles[v], gate_cycles[v], edges, dac, levels[v])


@part_kernel
def follow_envelope(e, nibbles, control, set_cycles, gate_cycles, edges, dac, levels):
    """What the counter of one generator counts for at each of `edges`, from power-on through all frames."""
    now = at = 0
    while at < edges.size and edges[at] <= 0:
        levels[at] = dac[e[COUNTER]]
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
            now, at = run_envelope(e, now, cycle, edges, at, dac, levels)
            if event == 0:
                write_attack_decay(e, nibbles[f, 0] << 4 | nibbles[f, 1])
            elif event == 1:
                write_sustain_release(e, nibbles[f, 2] << 4 | nibbles[f, 3])
            else:
                write_gate(e, control[f] & GATE)
    if at < edges.size:
        run_envelope(e, now, int(edges[edges.size - 1]) + 2, edges, at, dac, levels)


@part_kernel
def run_envelope(e, now, until, edges, at, dac, levels):
    """Clock a generator up to a cycle, and note its counter at each edge on the way."""
    while now < until:
        now += hold(e, until - now)
        while at < edges.size and edges[at] < now:
            levels[at] = dac[e[COUNTER]]
            at += 1
    return now, at


# --- Relaxed -----------------------------------------------------------------------------------------------------


@part_kernel
def period_at(nibble, log_periods):
    """Cycles of a rate event between two nibbles, even in octaves; and the slope of its logarithm by the nibble."""
    low = min(max(int(np.floor(nibble)), 0), 14)
    slope = log_periods[low + 1] - log_periods[low]
    return np.exp(log_periods[low] + (nibble - low) * slope), slope


@part_kernel
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


@part_kernel
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
    now, gate, state = 0.0, 0, IN_RELEASE
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
            state = IN_ATTACK if gate else IN_RELEASE
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


@part_kernel
def advance(level, state, cycles, nibbles, log_periods, events_down, step):
    """Let `cycles` go by: the level and state after them; slopes by the level before and the nibbles to `step`."""
    for k in range(STEP):
        step[k] = 0.0
    if state != IN_ATTACK:
        return advance_down(level, state, cycles, nibbles, log_periods, events_down, step)
    period, per_nibble = period_at(nibbles[0], log_periods)
    left = (255 - level) * period
    if cycles < left:
        step[BY_LEVEL] = 1.0
        step[BY_NIBBLES] = -cycles / period * per_nibble
        return level + cycles / period, state
    level, state = advance_down(255.0, IN_DECAY, cycles - left, nibbles, log_periods, events_down, step)
    # What is left of the time depends on the attack: the later at the top, the less decay.
    decay_period, _ = period_at(nibbles[1], log_periods)
    by_cycles = step[BY_CYCLES] / decay_period
    step[BY_LEVEL] = by_cycles * period
    step[BY_NIBBLES] = -by_cycles * left * per_nibble
    return level, state


@part_kernel
def advance_down(level, state, cycles, nibbles, log_periods, events_down, step):
    """The same in decay or release."""
    which = 1 if state == IN_DECAY else 3
    floor = nibbles[2] * 17.0 if state == IN_DECAY else 0.0
    step[BY_LEVEL] = 1.0
    if level < floor:
        floor = 0.0  # sustain raised above the level: it decays on to 0
    if level <= 0 or (level == floor and state == IN_DECAY):
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
