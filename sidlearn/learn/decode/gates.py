"""When gates went on and off that nobody can hear: as those of other voices, and as in the other notes of the voice.

A release at the rate of the decay, a sustain that is not yet reached, or the ADSR delay bug hide a gate. A note that
may have begun with those of other voices does; of all frames in which it may have ended the latest is taken that fits
most notes of the voice.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import field, with_gate, with_voice
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.registers import GATE, SUSTAIN_RELEASE, VOICE_STRIDE, VOICES

ENOUGH = 0.6
"""Share of the votes of the likeliest length with which a longer one is taken; guess."""
SAME_STEPS = 40
"""Envelope steps of eight cycles in which two gates may differ and still sound the same; guess."""


def tidy(searcher: Decoder) -> np.ndarray:
    """Return the registers of the frames that a searcher found, gates moved to where they are likely, uint8."""
    values = np.array([frame.image for frame in searcher.path])
    starts = [Counter(on for u in range(VOICES) if u != v for on, _, _ in split(values, u)) for v in range(VOICES)]
    for v in range(VOICES):
        begin_together(searcher, values, v, starts[v])
        notes = [(on, off, end, hidden(searcher, values, v, on, off, end)) for on, off, end in split(values, v)]
        votes = Counter(at - on for on, _, _, places in notes for at in places)
        for on, off, end, places in notes:
            most = max(votes[at - on] for at in places)
            best = max(at for at in places if votes[at - on] >= ENOUGH * most)
            if best != off:
                for k in range(on, end):
                    values[k] = with_voice(with_gate(values[k], v, GATE if k < best else 0), v, sr=places[best])
    return values


def begin_together(searcher: Decoder, values: np.ndarray, v: int, others: Counter[int]) -> None:
    """Let notes of a voice begin where `others` have more notes that begin, if that sounds the same.

    What hides the gate may be a release at the rate of the decay, which was taken for another: no gate told of it.
    """
    for on, off, end in split(values, v):
        for at in (on - 1, on - 2, on + 1):
            if not 2 <= at < off or others[at] <= others[on]:
                continue
            gates = dict.fromkeys(range(at, on), GATE) | dict.fromkeys(range(on, at), 0)
            if at < on:
                gates[at - 1] = 0
            tried = values.copy()
            for k, gate in gates.items():
                tried[k] = with_gate(tried[k], v, gate)
            sr = same_release(searcher, tried, v, sorted({*gates, max(gates) + 1}), end)
            if sr is not None:
                values[:] = tried
                for k in range(min(gates), end):
                    values[k] = with_voice(values[k], v, sr=sr)
                break


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


def hidden(searcher: Decoder, values: np.ndarray, v: int, on: int, off: int, end: int) -> dict[int, int]:
    """Return the frames in which the gate of a note may have gone off without a difference, each with its SR."""
    found = {off: field(values[on], v)[4]}
    for at in range(on + 1, end):
        if at != off:
            tried = values.copy()
            for k in range(on, end):
                tried[k] = with_gate(tried[k], v, GATE if k < at else 0)
            sr = same_release(searcher, tried, v, [at, off], end)
            if sr is not None:
                found[at] = sr
    return found


def same_release(searcher: Decoder, values: np.ndarray, v: int, changed: list[int], end: int) -> int | None:
    """Return the SR with which a voice sounds as heard: as told, or released at the rate of the decay; or None."""
    ad, sr = field(values[min(changed)], v)[3:]
    for new in dict.fromkeys((sr, sr & 0xF0 | ad & 15)):
        if alike(searcher, values, v, changed, end, new):
            return new
    return None


def alike(searcher: Decoder, values: np.ndarray, v: int, changed: list[int], end: int, sr: int) -> bool:
    """Whether a voice sounds as heard up to frame `end` if its gate is that of `values`, which changes in some frames.

    SR is taken to have been `sr` all the time.
    """
    forward, path = searcher.forward, searcher.path
    for k in (k for k in changed if k < len(path)):
        events = forward.events_between(path[k].before.image, path[k].image, path[k].pads)
        if (events[:, 1] >= (v + 1) * VOICE_STRIDE)[events[:, 1] < VOICES * VOICE_STRIDE].any():
            return False  # the write would move what comes after it
    first, last = min(changed), min(end, len(path) - 1)
    env = path[first].before.env[v].copy()
    old = with_voice(path[first].before.image, v, sr=sr)
    kernel.write_envelope(env, SUSTAIN_RELEASE, sr)
    levels = np.empty(forward.steps, np.uint8)
    differing = 0
    for k in range(first, last + 1):
        image = with_voice(with_gate(path[k].image, v, field(values[k], v)[2] & GATE), v, sr=sr)
        events = forward.events_between(old, image, path[k].pads)
        kernel.frame_envelope(env, v, events, forward.frame_cycles, levels)
        differing += int(np.count_nonzero(levels != path[k].levels[v]))
        if differing > SAME_STEPS:
            return False
        old = image
    return True
