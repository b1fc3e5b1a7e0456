"""ATTACK_DECAY, SUSTAIN_RELEASE and gate for a wanted level in every frame, planned on the chip's envelope generator.

A level can rise in any frame of an attack and fall in any frame of a release, at 16 rates each, and jump where an
attack runs through to a sustain level; what a choice really does depends on the rate counter (ADSR delay bug), so every
choice is tried on an exact copy of the generator, which `tests/learn/test_envelopes.py` holds to the chip's ENV3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sidlearn import registers
from sidlearn._kernel import kernel
from sidlearn.chip import models
from sidlearn.chip.generator import (
    ATTACK_DECAY,
    COUNTER,
    FIELDS,
    GATE,
    IN_ATTACK,
    IN_DECAY,
    RATE_COUNTER,
    RATE_LAST,
    STATE,
    SUSTAIN_RELEASE,
    hold,
    power_on,
    turn_length,
    turns_over,
    write_attack_decay,
    write_gate,
    write_sustain_release,
)
from sidlearn.registers import WRITABLE, voice_register
from sidlearn.writes import FRAME_ORDER, WRITE_GAP_CYCLES

PARTS = 2
"""Parts of a frame whose mean levels are compared with what is wanted."""
BEAM = 16
CHOICES = 256
"""Room for the choices of one frame."""
DECAYS = (0, 5, 8)  # guess: at once, within a third of a 50 Hz frame, within several frames; more crowd the beam
WRITE_COST = 2e-5  # guess: of one register write, against squared errors of the root of the level
JUMP_COST = 2e-4  # guess: of a choice that waits for the rate counter to come round (ADSR delay bug)


_ORDER = np.array(FRAME_ORDER)


class Timing(NamedTuple):
    """When the writes of one voice come, frame by frame: the order is that of `RegisterFrames.writes`."""

    before: np.ndarray
    """int64 (frames,): writes of the frame that come before this voice's first one."""
    between: np.ndarray
    """int64 (frames,): writes between SUSTAIN_RELEASE and CONTROL."""
    frame_cycles: int

    def cycles(self) -> tuple[np.ndarray, np.ndarray, int, int]:
        """Return all of it as the kernels take it, and last the cycles from one write to the next."""
        gap = min(WRITE_GAP_CYCLES, self.frame_cycles // WRITABLE)
        return np.asarray(self.before, np.int64), np.asarray(self.between, np.int64), self.frame_cycles, gap


class Plan(NamedTuple):
    """The envelope registers of one voice."""

    attack_decay: np.ndarray
    """uint8 (frames,)."""
    sustain_release: np.ndarray
    gate: np.ndarray
    """bool (frames,)."""
    level: np.ndarray
    """float32 (frames,): mean level in each frame, 0..1."""


def timing_of(values: np.ndarray, voice: int, frame_cycles: int, before: np.ndarray | None = None) -> Timing:
    """Return when the writes of a voice come in the frames of `values`, uint8 (frames, 25).

    `before` are the registers that stand already, zeros if left out.
    """
    last = np.zeros_like(values[:1]) if before is None else before[None]
    ordered = (values != np.concatenate((last, values[:-1])))[:, _ORDER]
    first = FRAME_ORDER.index(voice_register(voice, registers.ATTACK_DECAY))
    return Timing(ordered[:, :first].sum(axis=1), ordered[:, first + 2 : first + 6].sum(axis=1), frame_cycles)


def levels(model: str = "6581") -> np.ndarray:
    """Return what the envelope counter's 256 values come to, 0..1, float32 (256,)."""
    dac = np.asarray(models.load(model)[0].dac_env, np.float64)
    return (dac / dac[255]).astype(np.float32)


def plan(
    wanted: np.ndarray,
    waveform: np.ndarray,
    timing: Timing,
    model: str = "6581",
    weight: np.ndarray | None = None,
    beam: int = BEAM,
) -> Plan:
    """Return the registers whose levels come closest to the wanted ones.

    Parameters
    ----------
    wanted : ndarray, shape (frames,)
        Level of the voice, 0..1, of a full envelope; a negative one means that any will do.
    waveform : ndarray, uint8, shape (frames,)
        CONTROL without its gate bit: its changes cost no write of their own.
    timing : Timing
    model : str
    weight : ndarray, shape (frames,), optional
        How much each frame counts.
    beam : int
        States kept from frame to frame.

    Notes
    -----
    Levels are compared by their roots, as mean of each half of a frame.
    """
    frames = len(wanted)
    weights = np.ones(frames) if weight is None else np.asarray(weight, np.float64)
    target = np.where(np.asarray(wanted) < 0, -1.0, np.sqrt(np.maximum(wanted, 0))).astype(np.float64)
    registers, level, _ = _search(
        target,
        weights,
        np.asarray(waveform, np.int64),
        *timing.cycles(),
        beam,
        levels(model).astype(np.float64),
        np.array(DECAYS, np.int64),
        power_on(),
        0,
    )
    return Plan(
        registers[:, 0].astype(np.uint8),
        registers[:, 1].astype(np.uint8),
        registers[:, 2].astype(bool),
        level.astype(np.float32),
    )


def follow(plan_: Plan, waveform: np.ndarray, timing: Timing) -> np.ndarray:
    """Return the envelope counter at the end of each frame of a plan, uint8 (frames,)."""
    registers = np.stack((plan_.attack_decay, plan_.sustain_release, plan_.gate), axis=1).astype(np.int64)
    return _follow(
        registers,
        np.asarray(waveform, np.int64),
        *timing.cycles(),
        power_on(),
    )


def reached(rows: np.ndarray, timing: Timing, level_of: np.ndarray, state: np.ndarray | None = None) -> np.ndarray:
    """Return the mean levels that given registers come to, float64 (frames, PARTS).

    Parameters
    ----------
    rows : ndarray, int64, shape (frames, 3)
        AD, SR and gate.
    timing : Timing
    level_of : ndarray, float64, shape (256,)
        From `levels`.
    state : ndarray, int64, shape (FIELDS,), optional
        Of the generator before them; power-on if left out.
    """
    return _reached(
        np.asarray(rows, np.int64),
        *timing.cycles(),
        level_of,
        power_on() if state is None else state.copy(),
    )


# --- The search --------------------------------------------------------------------------------------------------


@kernel
def _search(
    target, weights, waveform, before, between, frame_cycles, gap, beam, level_of, decays, start, waveform_before
):
    """Beam search over frames; registers int64 (frames, 3): AD, SR, gate; mean levels float64 (frames,)."""
    frames = target.size
    states = np.zeros((beam, FIELDS), np.int64)
    costs = np.full(beam, np.inf)
    states[0] = start
    costs[0] = 0.0
    chosen = np.zeros((frames, beam, 3), np.int64)
    parent = np.zeros((frames, beam), np.int64)
    reached = np.zeros((frames, beam))
    choices = np.zeros((CHOICES, 3), np.int64)
    trial = np.zeros(FIELDS, np.int64)
    room = beam * CHOICES
    new_costs = np.empty(room)
    new_states = np.zeros((room, FIELDS), np.int64)
    new_from = np.zeros(room, np.int64)
    new_choice = np.zeros((room, 3), np.int64)
    new_level = np.zeros(room)
    parts = np.zeros(PARTS)
    for t in range(frames):
        found = 0
        last = waveform[t - 1] if t else waveform_before
        for b in range(beam):
            if costs[b] == np.inf:
                continue
            count = _list_choices(states[b], target[t], level_of, decays, choices)
            for c in range(count):
                trial[:] = states[b]
                writes = _run_frame(
                    trial, choices[c], waveform[t] != last, before[t], between[t], frame_cycles, gap, level_of, parts
                )
                error = 0.0
                mean = 0.0
                for p in range(PARTS):
                    if target[t] >= 0:
                        difference = np.sqrt(parts[p]) - target[t]
                        error += difference * difference
                    mean += parts[p]
                if trial[RATE_COUNTER] > trial[RATE_LAST]:
                    error += JUMP_COST
                new_costs[found] = costs[b] + weights[t] * error / PARTS + WRITE_COST * writes
                new_states[found] = trial
                new_from[found] = b
                new_choice[found] = choices[c]
                new_level[found] = mean / PARTS
                found += 1
        order = np.argsort(new_costs[:found])
        kept = 0
        costs[:] = np.inf
        for i in range(found):
            n = order[i]
            if _is_new(new_states, order, i, kept, states):
                states[kept] = new_states[n]
                costs[kept] = new_costs[n]
                chosen[t, kept] = new_choice[n]
                parent[t, kept] = new_from[n]
                reached[t, kept] = new_level[n]
                kept += 1
                if kept == beam:
                    break
    best = 0
    registers = np.zeros((frames, 3), np.int64)
    level = np.zeros(frames)
    for i in range(frames):
        t = frames - 1 - i
        registers[t] = chosen[t, best]
        level[t] = reached[t, best]
        best = parent[t, best]
    return registers, level, costs[0]


@kernel
def _is_new(new_states, order, i, kept, states):
    """Whether no state that is kept already goes on in the same way as candidate `order[i]`."""
    state = new_states[order[i]]
    for k in range(kept):
        if (
            states[k, COUNTER] == state[COUNTER]
            and states[k, STATE] == state[STATE]
            and states[k, GATE] == state[GATE]
            and abs(states[k, RATE_COUNTER] - state[RATE_COUNTER]) < 9
            and states[k, RATE_LAST] == state[RATE_LAST]
        ):
            return False
    return True


@kernel
def _list_choices(state, target, level_of, decays, choices):
    """Fill `choices` with the (AD, SR, gate) worth trying in a state; return how many."""
    count = 0
    choices[count, 0], choices[count, 1], choices[count, 2] = state[ATTACK_DECAY], state[SUSTAIN_RELEASE], state[GATE]
    count += 1
    level = level_of[state[COUNTER]]
    wanted = level if target < 0 else target * target
    sustain = 15
    for n in range(16):
        if level_of[n * 17] >= wanted:
            sustain = n
            break
    low = max(sustain - 1, 0)
    if state[STATE] == IN_ATTACK or state[GATE] == 0:  # rise
        for attack in range(16):
            choices[count, 0], choices[count, 1], choices[count, 2] = attack << 4, 0xF0, 1
            count += 1
    for s in range(low, min(low + 2, 16)):  # to a sustain level
        for d in range(decays.size):
            choices[count, 0], choices[count, 1], choices[count, 2] = decays[d], s << 4, 1
            count += 1
    for release in range(16):  # fall
        choices[count, 0] = state[ATTACK_DECAY]
        choices[count, 1] = (state[SUSTAIN_RELEASE] & 0xF0) | release
        choices[count, 2] = 0
        count += 1
    return count


@kernel
def _run_frame(state, choice, new_waveform, before, between, frame_cycles, gap, level_of, parts):
    """Do the writes of one frame and clock the generator to its end; `parts` are mean levels; return the writes."""
    cycle = before * gap
    done = 0
    writes = 0
    level_sums = parts
    for p in range(PARTS):
        level_sums[p] = 0.0
    if choice[0] != state[ATTACK_DECAY]:
        _clock(state, done, cycle, frame_cycles, level_of, level_sums)
        done = cycle
        write_attack_decay(state, choice[0])
        cycle += gap
        writes += 1
    if choice[1] != state[SUSTAIN_RELEASE]:
        _clock(state, done, cycle, frame_cycles, level_of, level_sums)
        done = cycle
        write_sustain_release(state, choice[1])
        cycle += gap
        writes += 1
    cycle += between * gap
    if choice[2] != state[GATE]:
        _clock(state, done, cycle, frame_cycles, level_of, level_sums)
        done = cycle
        write_gate(state, choice[2])
        if not new_waveform:
            writes += 1
    _clock(state, done, frame_cycles, frame_cycles, level_of, level_sums)
    for p in range(PARTS):
        level_sums[p] /= frame_cycles / PARTS
    return writes


@kernel
def _reached(registers, before, between, frame_cycles, gap, level_of, state):
    """Mean levels of every frame's parts."""
    out = np.zeros((len(registers), PARTS))
    for t in range(len(registers)):
        _run_frame(state, registers[t], False, before[t], between[t], frame_cycles, gap, level_of, out[t])
    return out


@kernel
def _follow(registers, waveform, before, between, frame_cycles, gap, state):
    """Envelope counter at the end of every frame."""
    parts = np.zeros(PARTS)
    level_of = np.zeros(256)
    counters = np.zeros(len(registers), np.uint8)
    for t in range(len(registers)):
        _run_frame(state, registers[t], False, before[t], between[t], frame_cycles, gap, level_of, parts)
        counters[t] = state[COUNTER]
    return counters


@kernel
def _clock(state, start, end, frame_cycles, level_of, sums):
    """Clock from cycle `start` of a frame to `end`, adding level x cycles to the sum of each part."""
    part_cycles = frame_cycles / PARTS
    part = min(int(start / part_cycles), PARTS - 1)
    edge = frame_cycles if part == PARTS - 1 else int(np.ceil((part + 1) * part_cycles))
    at = start
    while at < end:
        turn = turn_length(state)
        count, level, way = 1, int(state[COUNTER]), 0
        if turn and at + turn <= end:  # as long as it only counts, steps are alike
            way = 1 if state[STATE] == IN_ATTACK else -1
            sustain = (state[SUSTAIN_RELEASE] >> 4) * 17 if state[STATE] == IN_DECAY else -1
            count, most = 0, (end - at) // turn
            after = level + way
            while count < most and after != sustain and not turns_over(after & 0xFF):
                count, after = count + 1, after + way
            state[COUNTER] = after - way
        if not turn or not count or not way:
            turn, count = hold(state, end - at), 1
            level, way = int(state[COUNTER]), 0
        for _ in range(count):
            level += way
            first, at = at, at + turn
            while first < at:
                stop = min(at, edge)
                sums[part] += level_of[level] * (stop - first)
                first = stop
                if first == edge and part < PARTS - 1:
                    part += 1
                    edge = frame_cycles if part == PARTS - 1 else int(np.ceil((part + 1) * part_cycles))


# --- One frame at a time -----------------------------------------------------------------------------------------


def plan_from(
    state: np.ndarray,
    wanted: np.ndarray,
    waveform: np.ndarray,
    waveform_before: int,
    timing: Timing,
    level_of: np.ndarray,
    beam: int = BEAM,
) -> tuple[np.ndarray, float]:
    """Return AD, SR and gate for the next frames of a generator in any state, int64 (frames, 3), and what is missed.

    Parameters
    ----------
    state : ndarray, int64, shape (FIELDS,)
    wanted, waveform, timing, beam
        As for `plan`, of these frames.
    waveform_before : int
        CONTROL without its gate bit in the frame before.
    level_of : ndarray, float64, shape (256,)
        From `levels`.
    """
    frames = len(wanted)
    registers, _, cost = _search(
        np.sqrt(np.asarray(wanted, np.float64)),
        np.ones(frames),
        np.asarray(waveform, np.int64),
        *timing.cycles(),
        beam,
        level_of,
        np.array(DECAYS, np.int64),
        state,
        waveform_before,
    )
    return registers, float(cost)
