"""FREQ, PW and waveform of voices whose levels are not known."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import NO_PADS, Frame, field, with_voice
from sidlearn.learn.decode.path import HIGHEST, KNOTS, NOISE, PULSE, SKIP
from sidlearn.learn.decode.scans import Scans, tops
from sidlearn.registers import GATE, VOICES


@dataclass(frozen=True)
class Notes:
    """Notes that begin in a frame, their levels being free."""

    shapes: dict[int, tuple[int, int, int]]
    """FREQ, PW and waveform by voice."""
    rest: np.ndarray
    energy: float
    parts: dict[int, np.ndarray]
    levels: dict[int, np.ndarray]
    """At the knots."""


class Shapes(Scans):
    """Voices whose levels are free."""

    def swapped(self, best: Frame, base: np.ndarray, notes: Notes) -> list[Notes]:
        """Return the same notes on other voices: at power-on these differ only by when they are written."""
        made = []
        names = list(notes.shapes)
        for order in permutations(names):
            shapes = {u: notes.shapes[v] for v, u in zip(names, order, strict=True)}
            new = self.fit_notes(best, base, shapes) if order != tuple(names) else notes
            for _ in range(2):
                for u in names:
                    new = self.rescan(best, base, new, u)
            made.append(self.tune(best, base, new))
        return made

    def rescan(self, best: Frame, base: np.ndarray, notes: Notes, v: int) -> Notes:
        """Look again for the FREQ of a note, the others being known; keep it if that helps."""
        f, w, wave = notes.shapes[v]
        level = self.levels_of(notes, v)
        gain, constant = self.forward.per_wave * level, self.forward.drift * level
        rest = self.ahead(v, notes.rest + notes.parts[v])
        written = self.written(self.begun(best.image, notes.shapes), v)
        osc = self.before().osc[v]
        if wave == NOISE:
            freqs = np.arange(max(f - 64, 1), min(f + 64, HIGHEST) + 1, 2, dtype=np.int64)
            scores = np.empty(len(freqs))
            kernel.scan_noise(rest, gain, constant, self.forward.dac, osc, written, freqs, SKIP, 0.5, 1.5, scores)
        else:
            freqs = np.arange(max(int(f * 0.94), 1), min(int(f * 1.06) + 9, HIGHEST), 8, dtype=np.int64)
            scores, gains = np.empty(len(freqs)), np.empty(len(freqs))
            kernel.scan_frequencies(
                rest,
                gain,
                constant,
                self.table(wave >> 4, w),
                int(osc[kernel.ACC]),
                int(osc[kernel.FREQ]),
                written,
                freqs,
                SKIP,
                0.5,
                1.5,
                scores,
                gains,
            )
        found = notes
        for new in (min(f, HIGHEST) for f in tops(freqs, scores, 2)):
            tried = self.fit_notes(best, base, {**notes.shapes, v: (new, w, wave)})
            found = min(found, tried, key=lambda n: n.energy)
        return found

    def levels_of(self, notes: Notes, v: int) -> np.ndarray:
        """Return the free levels of a note, smoothed to their mean."""
        return np.full(self.forward.samples, max(float(notes.levels[v].mean()), 0.05))

    def begun(self, image: np.ndarray, shapes: dict[int, tuple[int, int, int]]) -> np.ndarray:
        """Return registers in which notes begin, with AD and SR that differ from before."""
        for v, (f, w, wave) in shapes.items():
            _, _, _, ad, sr = field(self.before().image, v)
            image = with_voice(image, v, f, w, wave | GATE, ad ^ 0x10, sr ^ 0x10)
        return image

    def fit_notes(self, best: Frame, base: np.ndarray, shapes: dict[int, tuple[int, int, int]]) -> Notes:
        """Return how well notes explain `base` if their levels are free."""
        image = self.begun(best.image, shapes)
        events = self.forward.events_between(self.before().image, image, NO_PADS, not self.path and self.everything)
        carriers = [self.swing(self.forward.wave(self.before(), v, events)[0], v, image) for v in shapes]
        basis = np.concatenate([self.hats * c for c in carriers])
        used = basis[:, SKIP:]
        used = used - used.mean(axis=1, keepdims=True)
        gram = used @ used.T + np.kron(np.eye(len(shapes)), self.bend)
        amounts = np.linalg.solve(gram, used @ base[SKIP:]).reshape(len(shapes), KNOTS)
        parts = {v: (np.clip(a, 0, 1.05) @ self.hats) * c for v, a, c in zip(shapes, amounts, carriers, strict=True)}
        rest = base - sum(parts.values())
        rest = rest - rest[SKIP:].mean()
        levels = dict(zip(shapes, np.clip(amounts, 0, 1.05), strict=True))
        return Notes(shapes, rest, float(rest[SKIP:] @ rest[SKIP:]), parts, levels)

    def tune(self, best: Frame, base: np.ndarray, notes: Notes) -> Notes:
        """Move FREQ and PW of notes to where the error is least, their levels being free."""
        for factor in (1.0, 1.0, 1.0, 1.0, 0.5):
            for v, (_, _, wave) in notes.shapes.items():
                if wave == NOISE:
                    notes = self.rescan(best, base, notes, v)
            columns, moves = [], []
            for v, (f, w, wave) in notes.shapes.items():
                if wave == NOISE:
                    continue
                for i, by in ((0, 4), (1, 16)):
                    if i and not wave & PULSE:
                        continue
                    step = by if i == 0 or w < 4080 else -by
                    other = self.fit_part(best, notes, v, (f, w + step, wave) if i else (f + step, w, wave))
                    columns.append((other - notes.parts[v])[SKIP:] / step)
                    moves.append((v, i))
            if not columns:
                break
            matrix = np.stack(columns)
            matrix -= matrix.mean(axis=1, keepdims=True)
            gram = matrix @ matrix.T
            gram[np.diag_indices(len(moves))] *= 1 + 1e-4
            gram[np.diag_indices(len(moves))] += 1e-12
            steps = factor * np.linalg.solve(gram, matrix @ notes.rest[SKIP:])
            shapes = dict(notes.shapes)
            for (v, i), step in zip(moves, steps, strict=True):
                f, w, wave = shapes[v]
                if i == 0:
                    f = min(max(f + round(float(np.clip(step, -12, 12))), 1), HIGHEST)
                else:
                    w = min(max(w + round(float(np.clip(step, -48, 48))), 0), 0xFFF)
                shapes[v] = (f, w, wave)
            new = self.fit_notes(best, base, shapes)
            if new.energy >= notes.energy:
                break
            notes = new
        return notes

    def fit_part(self, best: Frame, notes: Notes, v: int, shape: tuple[int, int, int]) -> np.ndarray:
        """Return what a voice adds with another FREQ or PW and the levels found before."""
        image = self.begun(best.image, {**notes.shapes, v: shape})
        first = not self.path and self.everything
        events = self.forward.events_between(self.before().image, image, NO_PADS, first)
        new = self.swing(self.forward.wave(self.before(), v, events)[0], v, image)
        events = self.forward.events_between(self.before().image, self.begun(best.image, notes.shapes), NO_PADS, first)
        old = self.swing(self.forward.wave(self.before(), v, events)[0], v, image)
        size = np.abs(old) > 1e-9
        level = np.where(size, notes.parts[v] / np.where(size, old, 1), 0)
        return level * new

    def free_rest(self, v: int, best: Frame) -> np.ndarray:
        """Return what is left for one voice if the levels of all voices whose envelopes are not sure are free."""
        free = [u for u in range(VOICES) if u == v or self.open(u, best)]
        carriers = [self.swing(best.waves[u], u, best.image) for u in free]
        basis = np.concatenate([self.hats * c for c in carriers])
        parts = self.parts(best)
        rest = self.sums(best) - sum(parts[u] for u in range(VOICES) if u not in free)
        rest = rest - rest[SKIP:].mean()
        used = basis[:, SKIP:]
        used = used - used.mean(axis=1, keepdims=True)
        gram = used @ used.T + np.kron(np.eye(len(free)), self.bend)
        found = np.linalg.solve(gram, used @ rest[SKIP:]).reshape(len(free), KNOTS)
        for u, c, amounts in zip(free, carriers, found, strict=True):
            if u != v:
                rest = rest - np.clip(amounts @ self.hats, 0, 1.05) * c
        return rest - rest[SKIP:].mean()
