"""The envelope generator on a plain array, for those who try thousands of envelopes: planner, decoder, surrogate.

Cycle for cycle that of `sidlearn.chip.kernel`, which keeps its state in the records of whole voices; `skip` leaps over
what the chip takes cycle by cycle. Sources of its facts: see there.
"""

from __future__ import annotations

import numpy as np

from sidlearn._kernel import inline_kernel, kernel
from sidlearn.chip.kernel import rate_period
from sidlearn.chip.state import POWER_ON_ENVELOPE

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


def power_on() -> np.ndarray:
    """Return the state of a generator that has just got its power, int64 (FIELDS,)."""
    state = np.zeros(FIELDS, np.int64)
    state[COUNTER] = POWER_ON_ENVELOPE
    state[STATE] = state[TARGET] = IN_RELEASE
    state[ENABLED] = state[RATE_MATCH] = state[EXPONENTIAL_PERIOD] = 1
    state[RATE_LAST] = 8
    return state


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


@kernel
def select_rate(state):
    """Compare the rate counter with the period of the state that runs."""
    if state[STATE] == IN_ATTACK:
        state[RATE_LAST] = rate_period(state[ATTACK_DECAY] >> 4) - 1
    elif state[STATE] == IN_DECAY:
        state[RATE_LAST] = rate_period(state[ATTACK_DECAY] & 15) - 1
    else:
        state[RATE_LAST] = rate_period(state[SUSTAIN_RELEASE] & 15) - 1


@kernel
def write_attack_decay(state, value):
    """Write ATTACK_DECAY."""
    state[ATTACK_DECAY] = value
    if state[STATE] != IN_RELEASE:
        select_rate(state)


@kernel
def write_sustain_release(state, value):
    """Write SUSTAIN_RELEASE."""
    state[SUSTAIN_RELEASE] = value
    if state[STATE] == IN_RELEASE:
        select_rate(state)


@kernel
def write_gate(state, gate):
    """Open (1) or close (0) the gate; as it was, it does nothing."""
    if gate == state[GATE]:
        return
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
def clock(state):
    """Clock the generator by one cycle."""
    if state[EXPONENTIAL_NEXT]:
        state[EXPONENTIAL_PERIOD] = state[EXPONENTIAL_NEXT]
        state[EXPONENTIAL_NEXT] = 0
    if state[STATE_PIPELINE]:
        change_state(state)
    advance(state)
    if state[RATE_COUNTER] == state[RATE_LAST]:
        state[RATE_MATCH] = 1
    else:
        state[RATE_COUNTER] += 1
        if state[RATE_COUNTER] == RATE_STATES:
            state[RATE_COUNTER] = 0


@kernel
def change_state(state):
    """Go a cycle further on the way to the target state."""
    state[STATE_PIPELINE] -= 1
    if state[TARGET] == IN_ATTACK:
        if state[STATE_PIPELINE] == 1:
            state[RATE_LAST] = rate_period(state[ATTACK_DECAY] & 15) - 1
        elif state[STATE_PIPELINE] == 0:
            state[ENABLED] = 1
            state[STATE] = IN_ATTACK
            select_rate(state)
    elif state[TARGET] == IN_DECAY:
        if state[STATE_PIPELINE] == 0:
            state[STATE] = IN_DECAY
            select_rate(state)
    elif state[STATE_PIPELINE] == (1 if state[STATE] == IN_DECAY else 0) and state[STATE] != IN_RELEASE:
        state[STATE] = IN_RELEASE
        select_rate(state)


@kernel
def advance(state):
    """Move what is due: a step of the counter, a turn of the exponential counter, or a rate event."""
    if state[STEP_PIPELINE]:
        state[STEP_PIPELINE] -= 1
        if state[STEP_PIPELINE] == 0:
            step(state)
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
def step(state):
    """Count up or down by one; 255 turns to decay, 0 freezes."""
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
def hold(state, limit):
    """Clock for 1 to `limit` cycles that all have the level of the first; return how many."""
    clock(state)
    held = 1
    while held < limit and state[STEP_PIPELINE] != 1:
        cycles = skip(state, limit - held)
        if cycles == 0:
            clock(state)
            cycles = 1
        held += cycles
    return held


@kernel
def skip(state, limit):
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


@inline_kernel
def turns_over(level):
    """Whether an envelope does more at a level than count: it changes its exponential period, or its direction."""
    return level in (0xFF, 0x5D, 0x36, 0x1A, 0x0E, 0x06, 0)


@kernel
def turn_length(state):
    """Return the cycles from one step of a counting envelope to the next; 0 if anything else is under way."""
    if state[STEP_PIPELINE] != 1 or state[STATE_PIPELINE] or state[EXPONENTIAL_PIPELINE] or state[EXPONENTIAL_NEXT]:
        return 0
    if state[RATE_MATCH] or state[EXPONENTIAL_COUNTER] or not state[ENABLED]:
        return 0
    attack = state[STATE] == IN_ATTACK
    times = 1 if attack else state[EXPONENTIAL_PERIOD]
    tail = 2 if times == 1 else 3
    if state[RATE_COUNTER] != tail or state[RATE_LAST] <= tail:
        return 0
    return (state[RATE_LAST] + 1) * times
