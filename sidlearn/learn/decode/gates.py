"""SR and gates that nobody can hear, as they are in the other notes of a voice.

A release at the rate of the decay, a sustain that is not yet reached, or the ADSR delay bug hide when a gate went off.
Of all SR that explain as many notes of an instrument the one is taken that was thought of first, of all frames in which
a gate may have gone off the latest that fits most notes of the voice. Where no length fits them all, that leaves open
when gates were on.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from sidlearn.learn.decode.forward import field, with_voice
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.retelling import Gating, Lineage
from sidlearn.registers import GATE, VOICES

ENOUGH = 0.6
"""Share of the votes of the likeliest length with which a longer one is taken; guess."""
RELIABLE_RMS = 8e-4
"""Error of frames whose levels are known well enough to tell envelopes; guess."""
MISSED = 2
"""Notes more than others an SR may fail to explain before it is not looked at any longer; guess."""


@dataclass(frozen=True)
class Note:
    """A note of one voice as the path has it: first frame, frame in which the gate goes off, first frame after it."""

    on: int
    off: int
    end: int


@dataclass
class Told:
    """An SR, and how the notes of an instrument may have been with it."""

    sr: int
    missed: int
    alive: list[Lineage]
    gatings: dict[int, Gating]
    """By the first frame of each note that is explained."""
    last: int = -1
    """Frame up to which `alive` have been followed."""


def tidy(searcher: Decoder) -> np.ndarray:
    """Move SR and gates of a path to what is likely; return which gates are open, bool (frames, 3)."""
    count = len(searcher.path)
    unknown = np.zeros((count, VOICES), bool)
    for v in range(VOICES):
        notes = split(searcher, v)
        for ad in sorted({field(searcher.image(note.on), v)[3] for note in notes}):
            some = [note for note in notes if field(searcher.image(note.on), v)[3] == ad]
            retell(searcher, v, ad, some, unknown)
    return unknown


def split(searcher: Decoder, v: int) -> list[Note]:
    """Return the notes of a voice."""
    count = len(searcher.path)
    gates = np.array([0, *(searcher.gate(v, k) for k in range(count))])
    starts = np.flatnonzero((gates[1:] == 1) & (gates[:-1] == 0))
    ends = [*starts[1:].tolist(), count][: len(starts)]
    notes = []
    for on, end in zip(starts.tolist(), ends, strict=True):
        quiet = np.flatnonzero(gates[on + 1 : end + 1] == 0)
        notes.append(Note(on, on + int(quiet[0]) if len(quiet) else end, end))
    return notes


def retell(searcher: Decoder, v: int, ad: int, notes: list[Note], unknown: np.ndarray) -> None:
    """Give the notes of one instrument of a voice the SR and gates that are likely; mark gates that stay open."""
    rivals = explained(searcher, v, ad, notes)
    if not rivals:
        return
    held = Counter(field(searcher.image(note.on), v)[4] for note in notes)
    best = max(rivals, key=lambda t: (held[t.sr], -t.sr))
    gatings = {note: best.gatings[note.on] for note in notes if note.on in best.gatings}
    votes = Counter(at - gating.on for gating in gatings.values() for at in gating.offs)
    common = max((n for n in votes if all(fits(note, gating, n) for note, gating in gatings.items())), default=0)
    chosen: dict[Note, tuple[int, int]] = {}
    for note, gating in gatings.items():
        if gating.offs:
            most = max(votes[at - gating.on] for at in gating.offs)
            last = max(at for at in gating.offs if votes[at - gating.on] >= ENOUGH * most)
            chosen[note] = gating.on, min(gating.on + common, note.end) if common else last
    for note in notes:
        if note.on not in best.gatings:
            unknown[note.on + 1 : note.end, v] = True
    for told in rivals:
        for gating in told.gatings.values():
            for places in (gating.ons, () if common else gating.offs):
                unknown[min(places, default=0) : max(places, default=0), v] = True
    if not replay(searcher, v, best.sr, chosen):
        for note, (on, off) in chosen.items():
            if (on, off) != (note.on, note.off):
                replay(searcher, v, field(searcher.image(note.on), v)[4], {note: (on, off)})


def fits(note: Note, gating: Gating, length: int) -> bool:
    """Whether the gate of a note may have been on for so many frames, as far as the path goes."""
    off = gating.on + length
    return off in gating.offs or off > note.end in gating.offs


def explained(searcher: Decoder, v: int, ad: int, notes: list[Note]) -> list[Told]:
    """Return the SR with which most notes of an instrument sound as they do, and how."""
    rivals = [Told(sr, 0, [], {}) for sr in range(256)]
    last = split(searcher, v)[-1]
    for note in notes:
        reliable = max(searcher.floor[note.on : note.end]) < RELIABLE_RMS
        if not reliable:
            continue
        for told in rivals:
            told.alive = follow(searcher, v, (ad, told.sr), note, told)
            told.missed += not told.alive
            told.last = note.end
            for lineage in told.alive:
                on = lineage.gate and lineage.notes[-1].key == note.on
                if on and note != last:
                    continue  # what is still on does not begin again
                for new in lineage.notes:
                    own = replace(new, offs=(note.end,)) if on else new
                    if own.key >= note.on:
                        told.gatings[own.key] = own.joined(told.gatings.get(own.key, own))
        least = min(told.missed for told in rivals)
        rivals = [told for told in rivals if told.missed <= least + MISSED]
    least = min(told.missed for told in rivals)
    return [told for told in rivals if told.missed == least]


def follow(searcher: Decoder, v: int, told: tuple[int, int], note: Note, so_far: Told) -> list[Lineage]:
    """Return how a note sounds as it does with AD and SR `told`, after those before it or after what the path says."""
    if so_far.last == note.on and so_far.alive:
        bare = [replace(old, notes=tuple(n for n in old.notes if n.key >= note.on)) for old in so_far.alive]
        found = searcher.follow(v, told, note.on, note.end, bare, False)
        if found:
            return found
    return searcher.follow(v, told, note.on, note.end, [searcher.founder(v, note.on)])


def replay(searcher: Decoder, v: int, sr: int, chosen: dict[Note, tuple[int, int]]) -> bool:
    """Play the path again with another SR in some notes, and with gates that go on and off in other frames.

    Returns
    -------
    kept : bool
        Whether that sounds the same: if not the path stays what it was.
    """
    gates: dict[int, int] = {}
    ads: dict[int, int] = {}
    for note, (on, off) in chosen.items():
        ads |= dict.fromkeys(range(on, note.end), field(searcher.image(note.on), v)[3])
        gates |= {k: GATE if k < off else 0 for k in range(on, note.end)}
    for note, (on, _) in chosen.items():  # begun while the one before fades
        gates |= dict.fromkeys(range(on, note.on), GATE)
    images = []
    for k, frame in enumerate(searcher.path):
        image = frame.image
        if k in gates:
            _, _, control, own, old = field(image, v)
            image = with_voice(image, v, control=control & ~GATE | gates[k], sr=sr if own == ads[k] else old)
        images.append(image)
    return searcher.play_again(v, images)
