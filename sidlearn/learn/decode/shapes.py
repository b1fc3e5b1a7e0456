"""FREQ, PW and waveform of voices whose levels are not known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import NO_PADS, Frame, field, with_voice
from sidlearn.learn.decode.path import HIGHEST, KNOTS, NOISE, PULSE, SKIP
from sidlearn.learn.decode.scans import Scans, centred, tops
from sidlearn.registers import GATE, VOICE_STRIDE, VOICES
from sidlearn.writes import WRITE_GAP_CYCLES

Shape = tuple[int, int, int, int]
"""FREQ, PW and waveform of a voice, and how many writes come before its FREQ in the frame."""
USUAL_SLOTS = (1, 4, 7)
"""Where the writes of each voice are looked for at first."""
LAST_SLOT = 20
NOISE_SLOTS, NOISE_REACH = 3, 160
"""How far a noise is looked for about a first guess."""
OTHERS = (
    (0, 0, 0),
    (0, 1, 0),
    (0, 0, 1),
    (0, 1, 1),
    (2, 0, 0),
    (0, 2, 0),
    (0, 0, 2),
    (0, 3, 0),
    (0, 2, 1),
    (0, 0, 3),
    (0, 1, 2),
    (2, 1, 0),
    (2, 1, 1),
)
"""Writes before each voice beside FREQ, PW and waveform of those before it: their gates, and AD and SR of its own."""
FIRST_OTHERS = tuple((3, a, b) for a in (2, 0, 3, 4) for b in (2, 0, 3, 4))
"""The same in the first frame: volume, AD, SR, and PW of waveforms that do not hear it."""
PAGED_REACH = 40
"""How far from what was found a FREQ is tried that differs in its upper byte alone."""
STEPS = (1.0, 1.0, 1.0, 1.0, 0.5)
"""Shares of a Gauss-Newton step that are taken."""


@dataclass(frozen=True)
class Notes:
    """Voices of a frame, their levels being free."""

    shapes: dict[int, Shape]
    rest: np.ndarray
    energy: float
    parts: dict[int, np.ndarray]
    levels: dict[int, np.ndarray]
    """At the knots."""


class Shapes(Scans):
    """Voices whose levels are free."""

    def own(self, v: int, shape: Shape) -> np.ndarray:
        """Return the writes of a voice that gets a shape, int64 (writes, 3)."""
        f, w, wave, slot = shape
        before = self.before().image
        everything = not self.path and self.everything
        pads = NO_PADS if everything else tuple(slot if u == v else 0 for u in range(VOICES + 1))
        image = with_voice(before, v, f, w, wave | field(before, v)[2] & (GATE | 0x0E))
        events = self.forward.events_between(before, image, pads, everything)
        return events[events[:, 1] // VOICE_STRIDE == v]

    def shape_carrier(self, v: int, shape: Shape) -> np.ndarray:
        """Return what a voice of some shape sounds like at level 1, float64 (samples,)."""
        found = self._shapes.get((v, shape))
        if found is None:
            wave, _ = self.forward.wave(self.before(), v, self.own(v, shape))
            found = self._shapes[v, shape] = self.voice_at_full(wave)
        return found

    def written_at(self, v: int, slot: int) -> int:
        """Return the cycle at which FREQ of a voice changes."""
        f, w, control, _, _ = field(self.before().image, v)
        events = self.own(v, (f ^ 0x0101, w, control & 0xF0, slot))
        # between its two bytes the high one is still the old one
        return int(events[events[:, 1] == v * VOICE_STRIDE + 1, 0][0])

    def fit_notes(self, base: np.ndarray, shapes: dict[int, Shape]) -> Notes:
        """Return how well voices explain `base` if their levels are free."""
        if not shapes:
            left = centred(base)[SKIP:]
            return Notes({}, base, float(left @ left), {}, {})
        keys = list(shapes.items())
        carriers = [self.shape_carrier(v, shape) for v, shape in keys]
        gram = np.empty((len(keys) * KNOTS, len(keys) * KNOTS))
        for i, first in enumerate(keys):
            for k, second in enumerate(keys[: i + 1]):
                block = self.product(first, second)
                gram[i * KNOTS : (i + 1) * KNOTS, k * KNOTS : (k + 1) * KNOTS] = block
                gram[k * KNOTS : (k + 1) * KNOTS, i * KNOTS : (i + 1) * KNOTS] = block.T
        cross = np.concatenate([self.basis(key) @ base[SKIP:] for key in keys])
        amounts = np.linalg.solve(gram, cross).reshape(len(keys), KNOTS)
        amounts = np.clip(amounts, 0, 1.05)
        parts = {v: (a @ self.hats) * c for v, a, c in zip(shapes, amounts, carriers, strict=True)}
        rest = base - sum(parts.values())
        left = centred(rest)[SKIP:]
        return Notes(shapes, rest, float(left @ left), parts, dict(zip(shapes, amounts, strict=True)))

    def basis(self, key: tuple[int, Shape]) -> np.ndarray:
        """Return what a voice sounds like with the level of each knot, means taken away, float64 (KNOTS, samples)."""
        found = self._bases.get(key)
        if found is None:
            made = (self.hats * self.shape_carrier(*key))[:, SKIP:]
            found = self._bases[key] = made - made.mean(axis=1, keepdims=True)
        return found

    def product(self, first: tuple[int, Shape], second: tuple[int, Shape]) -> np.ndarray:
        """Return the products of two bases, float64 (KNOTS, KNOTS), with the cost of bends where they are one."""
        found = self._products.get((first, second))
        if found is None:
            found = self.basis(first) @ self.basis(second).T
            if first == second:
                found += self.bend
            self._products[first, second] = found
        return found

    def tune(self, base: np.ndarray, notes: Notes) -> Notes:
        """Move FREQ and PW to where the error is least, levels being free."""
        for turn, factor in enumerate(STEPS):
            for v, (_, _, wave, _) in notes.shapes.items():
                if wave == NOISE and turn in (0, 2):
                    notes = self.rescan(base, notes, v)
            columns, moves = [], []
            for v, shape in notes.shapes.items():
                level = notes.levels[v] @ self.hats
                here = self.shape_carrier(v, shape)
                for i, by in ((0, 4), (1, 16)):
                    if (i == 1 and not shape[2] & PULSE) or (i == 0 and shape[2] == NOISE):
                        continue
                    step = by if shape[i] + by < (HIGHEST, 0x1000)[i] else -by
                    there = self.shape_carrier(v, moved(shape, i, step))
                    columns.append((level * (there - here))[SKIP:] / step)
                    moves.append((v, i))
            if not columns:
                break
            matrix = np.stack(columns)
            matrix -= matrix.mean(axis=1, keepdims=True)
            gram = matrix @ matrix.T
            gram[np.diag_indices(len(moves))] *= 1 + 1e-4
            gram[np.diag_indices(len(moves))] += 1e-12
            steps = factor * np.linalg.solve(gram, matrix @ centred(notes.rest)[SKIP:])
            shapes = dict(notes.shapes)
            for (v, i), step in zip(moves, steps, strict=True):
                limit = (24, 64)[i]
                shapes[v] = moved(shapes[v], i, round(float(np.clip(step, -limit, limit))))
            if shapes == notes.shapes:
                break
            new = self.fit_notes(base, shapes)
            if new.energy >= notes.energy:
                break
            notes = new
        return notes

    def slotted(
        self, shapes: dict[int, Shape], others: tuple[int, int, int], turning: bool = False
    ) -> dict[int, Shape]:
        """Return shapes with the writes of each voice after those of the voices before it, and so many `others`.

        With `turning` FREQ moves so that the mean phase stays where it is.
        """
        made: dict[int, Shape] = {}
        slot = 0
        for v in range(VOICES):
            slot += others[v]
            if v not in shapes:
                continue
            f, w, wave, now = shapes[v]
            if turning and wave != NOISE:
                freq = field(self.before().image, v)[0]
                f += round((f - freq) * WRITE_GAP_CYCLES * (slot - now) * 2 / self.forward.frame_cycles)
            made[v] = (min(max(f, 1), HIGHEST), w, wave, slot)
            slot += len(self.own(v, made[v]))
        return made

    def align(self, base: np.ndarray, notes: Notes) -> Notes:
        """Find how many writes come before those of each voice."""
        if not self.path and self.everything:
            return notes
        best = notes
        for others in OTHERS if self.path else FIRST_OTHERS:
            for turning in (False, True):
                shapes = self.slotted(notes.shapes, others, turning)
                if shapes != best.shapes:
                    new = self.fit_notes(base, shapes)
                    best = new if new.energy < 0.99 * best.energy else best
        for v, (f, w, wave, slot) in best.shapes.items():
            old = field(self.before().image, v)[0]
            paged = old + (f - old + 128 & ~0xFF)  # one byte alone is written
            if 0 < abs(paged - f) < PAGED_REACH:
                for then in (slot, slot - 1):
                    if 0 < paged <= HIGHEST and then >= 0:
                        new = self.fit_notes(base, {**best.shapes, v: (paged, w, wave, then)})
                        best = new if new.energy < best.energy else best
        return best

    def settle(self, base: np.ndarray, notes: Notes, rounds: int = 3) -> Notes:
        """Move all that shapes are made of to where the error is least."""
        for _ in range(rounds):
            old = notes.energy
            notes = self.tune(base, self.align(base, notes))
            if notes.energy > 0.9 * old:
                break
        return notes

    def rescan(self, base: np.ndarray, notes: Notes, v: int) -> Notes:
        """Look again for the FREQ of a voice, the others being known; keep it if that helps."""
        f, w, wave, slot = notes.shapes[v]
        level = np.maximum(notes.levels[v] @ self.hats, 0.02)
        gain, constant = self.forward.per_wave * level, self.forward.drift * level
        rest = centred(notes.rest + notes.parts[v])
        osc = self.before().osc[v]
        tries: list[tuple[int, int]] = []
        if wave == NOISE:
            slots = range(max(slot - NOISE_SLOTS, 0), slot + NOISE_SLOTS + 1) if self.path else [slot]
            freqs = np.arange(max(f - NOISE_REACH, 1), min(f + NOISE_REACH, HIGHEST) + 1, 8, dtype=np.int64)
            scored = []
            for some in slots:
                scores, written = np.empty(len(freqs)), self.written_at(v, some)
                kernel.scan_noise(rest, gain, constant, self.forward.dac, osc, written, freqs, SKIP, 0.5, 1.5, scores)
                k = int(np.argmax(scores))
                scored.append((float(scores[k]), int(freqs[k]), some))
            for _, top, some in sorted(scored, reverse=True)[:2]:
                near = np.arange(max(top - 7, 1), min(top + 7, HIGHEST) + 1, dtype=np.int64)
                scores, written = np.empty(len(near)), self.written_at(v, some)
                kernel.scan_noise(rest, gain, constant, self.forward.dac, osc, written, near, SKIP, 0.5, 1.5, scores)
                tries.append((int(near[np.argmax(scores)]), some))
        elif wave >> 4 in (1, 2, 4):
            written = self.written_at(v, slot)
            freqs = np.arange(max(int(f * 0.94), 1), min(int(f * 1.06) + 9, HIGHEST), 8, dtype=np.int64)
            scores, gains = np.empty(len(freqs)), np.empty(len(freqs))
            table = self.table(wave >> 4, w)
            acc, old = int(osc[kernel.ACC]), int(osc[kernel.FREQ])
            kernel.scan_frequencies(
                rest, gain, constant, table, acc, old, written, freqs, SKIP, 0.5, 1.5, scores, gains
            )
            tries += [(min(top, HIGHEST), slot) for top in tops(freqs, scores, 2)]
        found = notes
        for new, some in tries:
            tried = self.fit_notes(base, {**notes.shapes, v: (new, w, wave, some)})
            found = min(found, tried, key=lambda n: n.energy)
        return found

    def swapped(self, base: np.ndarray, notes: Notes) -> list[Notes]:
        """Return the same notes on other voices: at power-on these differ only by when they are written."""
        made = []
        names = list(notes.shapes)
        for order in permutations(names):
            shapes = {u: notes.shapes[v] for v, u in zip(names, order, strict=True)}
            new = self.fit_notes(base, self.slotted(shapes, FIRST_OTHERS[0])) if order != tuple(names) else notes
            for _ in range(2):
                for u in names:
                    new = self.rescan(base, new, u)
            made.append(self.settle(base, new, 1))
        return made

    def free_rest(self, v: int, best: Frame) -> np.ndarray:
        """Return what is left for one voice if the levels of all voices whose envelopes are not sure are free."""
        free = [u for u in range(VOICES) if u == v or self.open(u, best)]
        carriers = [self.carrier(best, u) for u in free]
        basis = np.concatenate([self.hats * c for c in carriers])
        parts = self.parts(best)
        rest = self.forward.sums(best) - sum(parts[u] for u in range(VOICES) if u not in free)
        used = basis[:, SKIP:]
        used = used - used.mean(axis=1, keepdims=True)
        gram = used @ used.T + np.kron(np.eye(len(free)), self.bend)
        found = np.linalg.solve(gram, used @ rest[SKIP:]).reshape(len(free), KNOTS)
        for u, c, amounts in zip(free, carriers, found, strict=True):
            if u != v:
                rest = rest - np.clip(amounts @ self.hats, 0, 1.05) * c
        return rest


def moved(shape: Shape, i: int, by: int) -> Shape:
    """Return a shape with one of its numbers moved, within what a register holds."""
    made = list(shape)
    made[i] = min(max(made[i] + by, (1, 0, 0, 0)[i]), (HIGHEST, 0xFFF, 0, LAST_SLOT)[i])
    return made[0], made[1], made[2], made[3]
