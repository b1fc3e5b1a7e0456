"""ATTACK_DECAY, SUSTAIN_RELEASE and gate for a wanted level in every frame, planned on the chip's envelope generator.

A level can rise in any frame of an attack and fall in any frame of a release, at 16 rates each, and jump where an
attack runs through to a sustain level; what a choice really does depends on the rate counter (ADSR delay bug), so every
choice is tried on an exact copy of the generator, which `tests/learn/test_envelopes.py` holds to the chip's ENV3.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sidlearn._kernel import kernel
from sidlearn.chip import models
from sidlearn.writes import WRITE_GAP_CYCLES

# State of one generator, int64 (FIELDS,), see `sidlearn.chip.state.VOICE_DTYPE`.
(
    COUNTER,
    STATE,
    TARGET,
    ENABLED,
    STATE_PIPELINE,
    STEP_PIPELINE,
    EXPONENTIAL_PIPELINE,
    EXPONENTIAL_COUNTER,
    EXPONENTIAL_PERIOD,
    EXPONENTIAL_NEXT,
    RATE_COUNTER,
    RATE_MATCH,
    RATE_LAST,
    GATE,
    ATTACK_DECAY,
    SUSTAIN_RELEASE,
) = range(16)
FIELDS = 16

IN_ATTACK, IN_DECAY, IN_RELEASE = range(3)
RATE_STATES = 0x7FFF
FOREVER = 1 << 62

PARTS = 2
"""Parts of a frame whose mean levels are compared with what is wanted."""
BEAM = 16
CHOICES = 256
"""Room for the choices of one frame."""
DECAYS = (0, 5, 8)  # guess: at once, within a third of a 50 Hz frame, within several frames; more crowd the beam
WRITE_COST = 2e-5  # guess: of one register write, against squared errors of the root of the level
JUMP_COST = 2e-4  # guess: of a choice that waits for the rate counter to come round (ADSR delay bug)


class Timing(NamedTuple):
    """When the writes of one voice come, frame by frame: the order is that of `RegisterFrames.writes`."""

    before: np.ndarray
    """int64 (frames,): writes of the frame that come before this voice's first one."""
    between: np.ndarray
    """int64 (frames,): writes between SUSTAIN_RELEASE and CONTROL."""
    frame_cycles: int


class Plan(NamedTuple):
    """The envelope registers of one voice."""

    attack_decay: np.ndarray
    """uint8 (frames,)."""
    sustain_release: np.ndarray
    gate: np.ndarray
    """bool (frames,)."""
    level: np.ndarray
    """float32 (frames,): mean level in each frame, 0..1."""


def power_on() -> np.ndarray:
    """Return the state of a generator that has just got its power, int64 (FIELDS,)."""
    state = np.zeros(FIELDS, np.int64)
    state[COUNTER] = 0xAA
    state[STATE] = state[TARGET] = IN_RELEASE
    state[ENABLED] = state[RATE_MATCH] = state[EXPONENTIAL_PERIOD] = 1
    state[RATE_LAST] = 8
    return state


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
    gap = min(WRITE_GAP_CYCLES, timing.frame_cycles // 25)
    registers, level, _ = _search(
        target,
        weights,
        np.asarray(waveform, np.int64),
        np.asarray(timing.before, np.int64),
        np.asarray(timing.between, np.int64),
        timing.frame_cycles,
        gap,
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
    gap = min(WRITE_GAP_CYCLES, timing.frame_cycles // 25)
    registers = np.stack((plan_.attack_decay, plan_.sustain_release, plan_.gate), axis=1).astype(np.int64)
    return _follow(
        registers,
        np.asarray(waveform, np.int64),
        np.asarray(timing.before, np.int64),
        np.asarray(timing.between, np.int64),
        timing.frame_cycles,
        gap,
        power_on(),
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
        _write_attack_decay(state, choice[0])
        cycle += gap
        writes += 1
    if choice[1] != state[SUSTAIN_RELEASE]:
        _clock(state, done, cycle, frame_cycles, level_of, level_sums)
        done = cycle
        _write_sustain_release(state, choice[1])
        cycle += gap
        writes += 1
    cycle += between * gap
    if choice[2] != state[GATE]:
        _clock(state, done, cycle, frame_cycles, level_of, level_sums)
        done = cycle
        _write_gate(state, choice[2])
        if not new_waveform:
            writes += 1
    _clock(state, done, frame_cycles, frame_cycles, level_of, level_sums)
    for p in range(PARTS):
        level_sums[p] /= frame_cycles / PARTS
    return writes


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
    at = start
    while at < end:
        held = _hold(state, end - at)
        level = level_of[state[COUNTER]]
        first = at
        at += held
        while first < at:
            p = min(int(first / part_cycles), PARTS - 1)
            stop = at if p == PARTS - 1 else min(at, int(np.ceil((p + 1) * part_cycles)))
            sums[p] += level * (stop - first)
            first = stop


# --- The generator, as in `sidlearn.chip.kernel` -------------------------------------------------------------------


@kernel
def _period(rate):
    """Cycles of one rate event for a nibble. Source: SID netlist."""
    if rate < 8:
        if rate < 4:
            return (9 if rate == 0 else 32) if rate < 2 else (63 if rate == 2 else 95)
        return (149 if rate == 4 else 220) if rate < 6 else (267 if rate == 6 else 313)
    if rate < 12:
        return (392 if rate == 8 else 977) if rate < 10 else (1954 if rate == 10 else 3126)
    return (3907 if rate == 12 else 11720) if rate < 14 else (19532 if rate == 14 else 31251)


@kernel
def _select_rate(state):
    """Compare the rate counter with the period of the state that runs."""
    if state[STATE] == IN_ATTACK:
        state[RATE_LAST] = _period(state[ATTACK_DECAY] >> 4) - 1
    elif state[STATE] == IN_DECAY:
        state[RATE_LAST] = _period(state[ATTACK_DECAY] & 15) - 1
    else:
        state[RATE_LAST] = _period(state[SUSTAIN_RELEASE] & 15) - 1


@kernel
def _write_attack_decay(state, value):
    state[ATTACK_DECAY] = value
    if state[STATE] != IN_RELEASE:
        _select_rate(state)


@kernel
def _write_sustain_release(state, value):
    state[SUSTAIN_RELEASE] = value
    if state[STATE] == IN_RELEASE:
        _select_rate(state)


@kernel
def _write_gate(state, gate):
    state[GATE] = gate
    if gate:
        state[TARGET] = IN_ATTACK
        state[STATE_PIPELINE] = 2
        if state[RATE_MATCH] or state[EXPONENTIAL_PIPELINE] == 2:
            soon = state[EXPONENTIAL_PERIOD] == 1 or state[EXPONENTIAL_PIPELINE] == 2
            state[STEP_PIPELINE] = 2 if soon else 4
        elif state[EXPONENTIAL_PIPELINE] == 1:
            state[STATE_PIPELINE] = 3
    else:
        state[TARGET] = IN_RELEASE
        state[STATE_PIPELINE] = 3 if state[STEP_PIPELINE] else 2


@kernel
def _clock_one(state):
    """Clock the generator by one cycle."""
    if state[EXPONENTIAL_NEXT]:
        state[EXPONENTIAL_PERIOD] = state[EXPONENTIAL_NEXT]
        state[EXPONENTIAL_NEXT] = 0
    if state[STATE_PIPELINE]:
        _change_state(state)
    _advance(state)
    if state[RATE_COUNTER] == state[RATE_LAST]:
        state[RATE_MATCH] = 1
    else:
        state[RATE_COUNTER] += 1
        if state[RATE_COUNTER] == RATE_STATES:
            state[RATE_COUNTER] = 0


@kernel
def _change_state(state):
    state[STATE_PIPELINE] -= 1
    if state[TARGET] == IN_ATTACK:
        if state[STATE_PIPELINE] == 1:
            state[RATE_LAST] = _period(state[ATTACK_DECAY] & 15) - 1
        elif state[STATE_PIPELINE] == 0:
            state[ENABLED] = 1
            state[STATE] = IN_ATTACK
            _select_rate(state)
    elif state[TARGET] == IN_DECAY:
        if state[STATE_PIPELINE] == 0:
            state[STATE] = IN_DECAY
            _select_rate(state)
    elif state[STATE_PIPELINE] == (1 if state[STATE] == IN_DECAY else 0) and state[STATE] != IN_RELEASE:
        state[STATE] = IN_RELEASE
        _select_rate(state)


@kernel
def _advance(state):
    if state[STEP_PIPELINE]:
        state[STEP_PIPELINE] -= 1
        if state[STEP_PIPELINE] == 0:
            _step(state)
            return
    if state[EXPONENTIAL_PIPELINE]:
        state[EXPONENTIAL_PIPELINE] -= 1
        if state[EXPONENTIAL_PIPELINE] == 0:
            state[EXPONENTIAL_COUNTER] = 0
            sustain = (state[SUSTAIN_RELEASE] >> 4) * 17
            if state[STATE] == IN_RELEASE or (state[STATE] == IN_DECAY and state[COUNTER] != sustain):
                state[STEP_PIPELINE] = 1
            return
    if state[RATE_MATCH]:
        state[RATE_MATCH] = 0
        state[RATE_COUNTER] = 0
        if state[STATE] == IN_ATTACK:
            state[EXPONENTIAL_COUNTER] = 0
            state[STEP_PIPELINE] = 2
        elif state[ENABLED]:
            state[EXPONENTIAL_COUNTER] += 1
            if state[EXPONENTIAL_COUNTER] == state[EXPONENTIAL_PERIOD]:
                state[EXPONENTIAL_PIPELINE] = 1 if state[EXPONENTIAL_PERIOD] == 1 else 2


@kernel
def _step(state):
    if not state[ENABLED]:
        return
    if state[STATE] == IN_ATTACK:
        state[COUNTER] = (state[COUNTER] + 1) & 0xFF
        if state[COUNTER] == 0xFF:
            state[TARGET] = IN_DECAY
            state[STATE_PIPELINE] = 3
    else:
        state[COUNTER] = (state[COUNTER] - 1) & 0xFF
        if state[COUNTER] == 0:
            state[ENABLED] = 0
    level = state[COUNTER]
    if level in (0xFF, 0):
        state[EXPONENTIAL_NEXT] = 1
    elif level == 0x5D:
        state[EXPONENTIAL_NEXT] = 2
    elif level == 0x36:
        state[EXPONENTIAL_NEXT] = 4
    elif level == 0x1A:
        state[EXPONENTIAL_NEXT] = 8
    elif level == 0x0E:
        state[EXPONENTIAL_NEXT] = 16
    elif level == 0x06:
        state[EXPONENTIAL_NEXT] = 30


@kernel
def _hold(state, limit):
    """Clock for 1 to `limit` cycles that all have the level of the first; return how many."""
    _clock_one(state)
    held = 1
    while held < limit and state[STEP_PIPELINE] != 1:
        cycles = _skip(state, limit - held)
        if cycles == 0:
            _clock_one(state)
            cycles = 1
        held += cycles
    return held


@kernel
def _skip(state, limit):
    """Clock for up to `limit` cycles, up to the next step, in one go; return how many, 0 if anything is under way."""
    if state[STATE_PIPELINE] or state[STEP_PIPELINE] or state[EXPONENTIAL_PIPELINE] or state[RATE_MATCH]:
        return 0
    if state[EXPONENTIAL_NEXT]:
        state[EXPONENTIAL_PERIOD] = state[EXPONENTIAL_NEXT]
        state[EXPONENTIAL_NEXT] = 0
    to_match = state[RATE_LAST] - state[RATE_COUNTER]
    if to_match < 0:
        to_match += RATE_STATES
    period = state[RATE_LAST] + 1
    if state[STATE] == IN_ATTACK:
        to_action = to_match + 1
    else:
        counted = state[EXPONENTIAL_PERIOD] - 1 - state[EXPONENTIAL_COUNTER]
        to_action = FOREVER if counted < 0 or not state[ENABLED] else to_match + 1 + counted * period
    tail = 2 if state[STATE] == IN_ATTACK or state[EXPONENTIAL_PERIOD] == 1 else 3
    sustained = state[STATE] == IN_DECAY and state[COUNTER] == (state[SUSTAIN_RELEASE] >> 4) * 17
    turn = period * state[EXPONENTIAL_PERIOD]
    if sustained and tail <= state[RATE_COUNTER] <= state[RATE_LAST] and to_action <= turn <= limit:
        return limit - limit % turn
    if to_action + tail <= limit:
        state[RATE_COUNTER] = tail
        state[EXPONENTIAL_COUNTER] = 0
        state[STEP_PIPELINE] = 0 if sustained else 1
        return to_action + tail
    limit = min(limit, to_action)
    beyond = limit - to_match - 1
    if beyond < 0:
        state[RATE_COUNTER] = (state[RATE_COUNTER] + limit) % RATE_STATES
        return limit
    if state[ENABLED]:
        state[EXPONENTIAL_COUNTER] += (beyond + period - 1) // period
    state[RATE_COUNTER] = beyond % period
    if state[RATE_COUNTER] == 0:
        state[RATE_COUNTER] = period - 1
        state[RATE_MATCH] = 1
    return limit


# --- One frame at a time -----------------------------------------------------------------------------------------


def state_of(voice) -> np.ndarray:
    """Return the generator's state in a record of `sidlearn.chip.state.VOICE_DTYPE`: int64 (FIELDS,)."""
    return np.array(
        [
            voice.envelope_counter,
            voice.envelope_state,
            voice.envelope_target,
            voice.envelope_enabled,
            voice.state_pipeline,
            voice.step_pipeline,
            voice.exponential_pipeline,
            voice.exponential_counter,
            voice.exponential_period,
            voice.exponential_next,
            voice.rate_counter,
            voice.rate_match,
            voice.rate_last,
            voice.gate,
            voice.attack << 4 | voice.decay,
            voice.sustain // 17 << 4 | voice.release,
        ],
        np.int64,
    )


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
    gap = min(WRITE_GAP_CYCLES, timing.frame_cycles // 25)
    registers, _, cost = _search(
        np.sqrt(np.asarray(wanted, np.float64)),
        np.ones(frames),
        np.asarray(waveform, np.int64),
        np.asarray(timing.before, np.int64),
        np.asarray(timing.between, np.int64),
        timing.frame_cycles,
        gap,
        beam,
        level_of,
        np.array(DECAYS, np.int64),
        state,
        waveform_before,
    )
    return registers, float(cost)
