"""Shapes of all voices of a frame together, whatever their envelopes do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from sidlearn.learn.decode.envelopes import Envelopes
from sidlearn.learn.decode.forward import Frame, field, with_voice
from sidlearn.learn.decode.path import KNOTS, NOISE, PULSE, SKIP, Option
from sidlearn.learn.decode.shapes import USUAL_SLOTS, Notes, Shape
from sidlearn.registers import GATE, VOICE_STRIDE, VOICES

EXPLAINED_RMS = 1.2e-3
"""What the right shapes leave of most frames, their levels being free; measured on pyresidfp 0.17.0."""
ENOUGH_RMS = 2.5e-3
"""What they leave where an attack begins within the frame."""
NEAR_FREQ = 32
"""Sets whose FREQ are nearer count as one."""
RISE = 0.08
"""Of a level within a quarter of a frame by which a gate is known to be on; guess."""
BLOCK_STEPS = 8
"""Steps with one level where levels are heard."""
UNKNOWN, FIRST_UNKNOWN = (0, 0, 0), (3, 2, 2)
CANDIDATES, WAYS, SCANNED = 7, 3, 3
"""Shapes of a voice that are predicted, sets that are kept, and shapes that a scan gives."""


class Sets(Envelopes):
    """Sets of shapes."""

    def left(self, notes: Notes) -> float:
        """Return the root mean square of what notes leave, in units of the target."""
        return abs(self.forward.slope) * float(np.sqrt(notes.energy / (self.forward.samples - SKIP)))

    def followers(self, v: int) -> list[Shape]:
        """Return what followed in earlier frames on what a voice plays now, the latest first."""
        freq, width, control, _, _ = field(self.before().image, v)
        found: dict[Shape, None] = {}
        for k in range(len(self.path) - 2, max(len(self.path) - 150, -1), -1):
            then = field(self.image(k), v)
            if then[0] == freq and (then[2] ^ control) & 0xF0 == 0:
                after = field(self.image(k + 1), v)
                found.setdefault((after[0], width, after[2] & 0xF0, USUAL_SLOTS[v]))
            if len(found) > 2:
                break
        return list(found)

    def starts(self, v: int, count: int = 4) -> list[Shape]:
        """Return the shapes that notes of a voice began with, the latest first."""
        width = field(self.before().image, v)[1]
        found: dict[Shape, None] = {}
        for k in range(len(self.path) - 1, max(len(self.path) - 200, 0), -1):
            now, then = field(self.image(k), v), field(self.image(k - 1), v)
            if now[2] & GATE and not then[2] & GATE:
                found.setdefault((now[0], width, now[2] & 0xF0, USUAL_SLOTS[v]))
            if len(found) == count:
                break
        return list(found)

    def foreseen(self, v: int) -> list[Shape]:
        """Return the shapes that a voice is likely to have in the next frame."""
        wave = field(self.before().image, v)[2] & 0xF0
        made = [(f, w, wave, USUAL_SLOTS[v]) for f, w in self.guesses(v)] + self.followers(v) + self.starts(v)
        return [shape for shape in dict.fromkeys(made) if shape[2]][:CANDIDATES]

    def shape_sets(self, best: Frame) -> list[Notes]:
        """Return sets of shapes that explain the frame, the best first."""
        base = self.forward.sums(best)
        foreseen = {v: some for v in range(VOICES) if (some := self.foreseen(v))}
        notes = self.align(base, self.fit_set(base, {v: some[0] for v, some in foreseen.items()}))
        for _ in range(2):
            old = notes
            for v, some in foreseen.items():
                for shape in some:
                    if shape != notes.shapes[v]:
                        new = self.fit_set(base, {**notes.shapes, v: shape})
                        notes = new if new.energy < 0.97 * notes.energy else notes
            if notes is old or self.left(notes) < EXPLAINED_RMS:
                break
        notes = self.settle(base, notes)
        for _ in range(2):
            if self.left(notes) < ENOUGH_RMS:
                return [notes]
            old = notes
            for v in notes.shapes:
                notes = self.rescan(base, notes, v)
            if notes is old:
                break
            notes = self.settle(base, notes)
        found = [notes]
        # one, two or all voices do something new
        known = notes.shapes
        for count, kept in ((len(known) - 1, 3), (len(known) - 2, 2), (0, 1)):
            if count < 0:
                continue
            fits = [self.fit_set(base, dict(s)) for s in combinations(known.items(), count)]
            ways = sorted(fits, key=lambda n: n.energy)[:kept]
            for _ in range(VOICES - count):
                more = [new for way in ways for new in self.extended(base, way)]
                ways = self.distinct_sets(more)[: 2 * WAYS]
                ways = sorted((self.settle(base, way, 1) for way in ways), key=lambda n: n.energy)[:WAYS]
                found = self.distinct_sets([*found, *ways])
            if self.left(found[0]) < ENOUGH_RMS:
                break
        if self.left(found[0]) > ENOUGH_RMS:  # once more for each voice, now that the others are known
            for notes in found[:2]:
                for v in notes.shapes:
                    others = {u: shape for u, shape in notes.shapes.items() if u != v}
                    more = self.extended(base, self.fit_notes(base, others), (v,))
                    found += [self.settle(base, new, 1) for new in self.distinct_sets(more)[:2]]
            found = self.distinct_sets(found)
            found = self.distinct_sets([*found, *(self.settle(base, some) for some in found[:2])])
        if self.trace:
            print("   sets", [(n.shapes, round(self.left(n) * 1e4, 1)) for n in found[:WAYS]])
        return found[:WAYS]

    @staticmethod
    def distinct_sets(some: list[Notes]) -> list[Notes]:
        """Return sets in the order of what they leave, each but once."""
        found: dict[tuple, Notes] = {}
        for notes in sorted(some, key=lambda n: n.energy):
            names = ((v, f // NEAR_FREQ, wave) for v, (f, _, wave, _) in sorted(notes.shapes.items()))
            found.setdefault(tuple(names), notes)
        return list(found.values())

    def fit_set(self, base: np.ndarray, shapes: dict[int, Shape]) -> Notes:
        """Fit shapes, with the writes of voices one after the other."""
        return self.fit_notes(base, self.slotted(shapes, UNKNOWN if self.path else FIRST_UNKNOWN))

    def extended(self, base: np.ndarray, notes: Notes, voices: Sequence[int] = range(VOICES)) -> list[Notes]:
        """Return a set with one more voice, for the shapes of each that explain most of what is left."""
        flat = np.full(self.forward.samples, self.forward.per_wave)
        drift = np.full(self.forward.samples, self.forward.drift)
        made = []
        for v in voices:
            if v in notes.shapes:
                continue
            slot = self.slotted({**notes.shapes, v: (0, 0, 0, 0)}, UNKNOWN if self.path else FIRST_UNKNOWN)[v][3]
            slot = max(slot, 2 * sum(u not in notes.shapes for u in range(v)))
            written = self.written_at(v, slot)
            width = field(self.before().image, v)[1]
            shapes: list[Shape] = [
                (f, w if kind == 4 else width, kind << 4, slot)
                for f, w, kind, _ in self.folded(notes.rest, flat, v, written, SCANNED)
            ]
            widths = list(dict.fromkeys(w for _, w in self.guesses(v)))[:2] if self.path else []
            shapes += [(f, w, PULSE, slot) for f, _, wave, _ in shapes[:2] if wave == PULSE for w in widths]
            noises = self.noise_peaks(notes.rest, flat, drift, v, written, self.noise_freqs, (0.05, 1.1))
            shapes += [(f, width, NOISE, slot) for f in noises]
            made += [self.fit_notes(base, {**notes.shapes, v: shape}) for shape in shapes]
        return made

    def clothed(self, v: int, best: Frame, notes: Notes, thorough: bool) -> list[Option]:
        """Return what the envelope of a voice may do with the shape that it has in a set."""
        before = self.before().image
        _, width, control, ad, sr = field(before, v)
        gate = control & GATE
        if v not in notes.shapes:
            return []
        f, w, wave, _ = notes.shapes[v]
        w = w if wave == PULSE else width
        low = control & 0x0E
        made: list[Option] = []
        widths = [w, *self.unheard(v, wave, width)]
        made += [Option((f, x, wave | low | g, ad, sr)) for x in dict.fromkeys(widths) for g in (gate, gate ^ GATE)]
        rest = notes.rest + notes.parts[v]
        if not thorough:
            return made
        if gate:
            frame = self.play(with_voice(best.image, v, f, w, wave | low | gate))
            return made + self.refits(v, frame, rest)
        for _, a, s in self.instruments(v):
            made.append(Option((f, w, wave | low | GATE, a, s)))
        return made + self.new_envelopes(v, with_voice(best.image, v, f, w, wave | low | GATE), rest, True)

    def free_frame(self, notes: Notes) -> Frame:
        """Play the frame under way with shapes and levels as they were heard, whatever made these."""
        before = self.before()
        image, free = before.image, {}
        pads, at = [0, 0, 0, 0], 0
        steps = np.clip((np.arange(self.forward.steps) - self.at[0]) / (self.at[-1] - self.at[0]), 0, 1) * (KNOTS - 1)
        for v in range(VOICES):
            if v not in notes.shapes:
                continue
            f, w, wave, slot = notes.shapes[v]
            control = field(before.image, v)[2]
            heard = np.interp(steps, np.arange(KNOTS), notes.levels[v])
            gate = GATE if np.max(heard[len(heard) // 4 :] - heard[: -(len(heard) // 4)]) > RISE else control & GATE
            image = with_voice(image, v, f, w if wave == PULSE else None, wave | control & 0x0E | gate)
            free[v] = np.abs(self.forward.dac_env[None, :] - heard[::BLOCK_STEPS, None]).argmin(axis=1)
            free[v] = np.repeat(free[v], BLOCK_STEPS)[: self.forward.steps].astype(np.uint8)
            pads[v] = max(slot - at, 0)
            events = self.forward.events_between(before.image, image)
            at += pads[v] + int((events[:, 1] // VOICE_STRIDE == v).sum())
        return self.evaluate(before, len(self.path), image, (pads[0], pads[1], pads[2], 0), free)
