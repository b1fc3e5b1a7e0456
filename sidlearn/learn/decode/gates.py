"""When gates went off that nobody can hear going off: as in the other notes of the voice.

A release at the rate of the decay, a sustain that is not yet reached, or the ADSR delay bug hide a gate. Of all frames
in which it may have gone off the latest is taken that fits most notes of the voice.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import with_gate
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.registers import GATE, VOICE_STRIDE, VOICES

ENOUGH = 0.6
"""Share of the votes of the likeliest length with which a longer one is taken; guess."""
SAME_STEPS = 40
"""Envelope steps of eight cycles in which two gates may differ and still sound the same; guess."""


def tidy(searcher: Decoder) -> np.ndarray:
    """Return the registers of the frames that a searcher found, gates moved to where they are likely, uint8."""
    values = np.array([frame.image for frame in searcher.path])
    for v in range(VOICES):
        notes = [(on, off, end, hidden(searcher, v, on, off, end)) for on, off, end in split(values, v)]
        votes = Counter(at - on for on, _, _, places in notes for at in places)
        for on, off, end, places in notes:
            most = max(votes[at - on] for at in places)
            best = max(at for at in places if votes[at - on] >= ENOUGH * most)
            if best != off:
                for k in range(on, end):
                    values[k] = with_gate(values[k], v, GATE if k < best else 0)
    return values


def split(values: np.ndarray, v: int) -> list[tuple[int, int, int]]:
    """Return the notes of a voice: first frame, frame in which the gate goes off, and the first frame after it."""
    gates = values[:, v * VOICE_STRIDE + 4] & GATE
    before = np.r_[0, gates[:-1]]
    starts = np.flatnonzero((gates == 1) & (before == 0))
    ends = [*starts[1:].tolist(), len(values)][: len(starts)]
    notes = []
    for on, end in zip(starts.tolist(), ends, strict=True):
        quiet = np.flatnonzero(gates[on:end] == 0)
        notes.append((on, on + int(quiet[0]) if len(quiet) else end, end))
    return notes


def hidden(searcher: Decoder, v: int, on: int, off: int, end: int) -> list[int]:
    """Return the frames in which the gate of a note may have gone off without a difference."""
    return [off, *(at for at in range(on + 1, end) if at != off and alike(searcher, v, off, at, end))]


def alike(searcher: Decoder, v: int, off: int, at: int, end: int) -> bool:
    """Whether a gate sounds the same if it goes off in frame `at` and not in `off`, up to the next note."""
    forward, path = searcher.forward, searcher.path
    for k in (at, off) if off < len(path) else (at,):
        events = forward.events_between(path[k].before.image, path[k].image, path[k].pads)
        if (events[:, 1] >= (v + 1) * VOICE_STRIDE)[events[:, 1] < VOICES * VOICE_STRIDE].any():
            return False  # the write would move what comes after it
    first, last = min(off, at), min(end, len(path) - 1)
    env = path[first].before.env[v].copy()
    old = path[first].before.image
    levels = np.empty(forward.steps, np.uint8)
    differing = 0
    for k in range(first, last + 1):
        image = path[k].image
        if k < end:
            image = with_gate(image, v, GATE if k < at else 0)
        events = forward.events_between(old, image, path[k].pads)
        kernel.frame_envelope(env, v, events, forward.frame_cycles, levels)
        differing += int(np.count_nonzero(levels != path[k].levels[v]))
        if differing > SAME_STEPS:
            return False
        old = image
    return True
