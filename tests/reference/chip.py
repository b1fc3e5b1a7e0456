"""The digital half of the chip, plain: every cycle by itself, with no leap over any of them."""

from __future__ import annotations

from sidlearn._kernel import kernel
from sidlearn.chip.kernel import LAST_VOICE, add_voices, clock_digital, clock_envelope, clock_envelopes, write_due


@kernel
def clock_voices(voices, chip, model, room, first, size):
    """Clock the digital half for `size` cycles; the sums of voices and EXT IN go to `room` from `first` on."""
    for i in range(size):
        clock_digital(voices, chip, model)
        add_voices(voices, chip, model, room, first + i)


@kernel
def clock_readback(voices, chip, model, events, osc3, env3):
    """Play `events`; what a read after each cycle gives goes to `osc3` and `env3`."""
    next_event = 0
    for c in range(len(osc3)):
        next_event = write_due(voices, chip, model, events, next_event)
        clock_digital(voices, chip, model)
        osc3[c] = voices[LAST_VOICE].osc3 >> 4
        env3[c] = voices[LAST_VOICE].env3


@kernel
def clock_until_silent(voices, chip, model, events, cycles, limit):
    """Play `events` for `cycles`; return after how many more all envelopes are at zero, `limit` at the most."""
    next_event = 0
    for _ in range(cycles):
        next_event = write_due(voices, chip, model, events, next_event)
        clock_envelopes(voices)
        chip.cycle += 1
    for extra in range(limit):
        if not (voices[0].envelope_counter or voices[1].envelope_counter or voices[2].envelope_counter):
            return extra
        clock_envelopes(voices)
    return limit


@kernel
def clock_one_envelope(voice, cycles):
    """Clock an envelope generator for `cycles` cycles."""
    for _ in range(cycles):
        clock_envelope(voice)
