"""What notes sound like together, levels being straight lines between a few knots, and the levels that explain a sound.

The filter is taken for linear.
"""

from __future__ import annotations

import numpy as np

from sidlearn.learn.decode import filtering, tracks_kernel
from sidlearn.learn.decode.cutoffs import with_cutoff
from sidlearn.learn.decode.foresight import KNOTS, Foresight, Note
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.path import SKIP
from sidlearn.registers import NOISE, VOICES

FULL = 1.05
"""Most of a level; guess."""
BEND, SHARP_BEND = 0.008, 0.002
"""What bends of levels cost, by the energy of the voice; guess."""
FLOOR = 6e-4
"""Share of a frame's energy that is left at best; guess."""
VOICE_DB = 0.35
"""What a voice has to explain to count; guess, as are all costs."""
GOES_ON = 0.1
"""What it costs that a level does not begin where it ended, by the energy of the voice; guess."""
BEAM = 6

SILENT_ENERGY = 1e-9
"""Energy of a frame below which nothing is told apart."""
Way = tuple[float, float, dict[int, int], np.ndarray]
"""Cost and energy left in dB, options by voice, and levels by voice and knot."""


class Blend(Foresight):
    """The sound of some notes."""

    def __init__(self, searcher: Decoder, first: int | None = None) -> None:
        super().__init__(searcher, first)
        f = self.forward
        self.set_knots(KNOTS)
        self.answers: dict[int, np.ndarray] = {}
        self.fed = np.zeros(f.samples)
        if self.path and self.routing:
            last = self.path[-1]
            some = (searcher.input_of(last, v)[:: tracks_kernel.CYCLES] for v in range(VOICES) if self.routing >> v & 1)
            self.fed = sum(some, self.fed)

    def set_knots(self, knots: int) -> None:
        """Set how many knots levels have in a frame."""
        at = np.linspace(0, knots - 1, self.forward.samples)
        self.hats = np.maximum(0, 1 - np.abs(at - np.arange(knots)[:, None]))
        bend = np.diff(np.eye(knots), 2, axis=0)
        self.bend = (BEND if knots == KNOTS else SHARP_BEND) * bend.T @ bend + 1e-4 * np.eye(knots)

    def row(self, v: int, note: Note) -> list[int]:
        """Return a note as the kernels take it."""
        old = int(self.past_freqs[-1][v]) if self.past_freqs else 0
        return [note.phase, old, self.written(v), note.freq, note.width, note.control]

    def source(self, v: int, chosen: dict[int, Note]) -> np.ndarray:
        """Return phase and FREQ of the voice that rings and syncs one."""
        u = (v + 2) % VOICES
        old = int(self.past_freqs[-1][u]) if self.past_freqs else 0
        note = chosen.get(u)
        freq, phase = (note.freq, note.phase) if note else (old, int(self.phases[u]))
        return np.array([phase, old, freq, self.written(u)], np.int64)

    def waves(self, v: int, notes: list[Note], chosen: dict[int, Note]) -> np.ndarray:
        """Return what notes sound like at level 1, float64 (notes, samples)."""
        f = self.forward
        out = np.empty((len(notes), f.samples))
        rows = np.array([self.row(v, n) for n in notes], np.int64)
        tracks_kernel.play_all(rows, self.source(v, chosen), f.dac, out)
        for k, note in enumerate(notes):
            if note.control & NOISE:
                phase, old, written, freq = self.row(v, note)[:4]
                tracks_kernel.play_noise(note.register, phase, old, written, freq, f.dac, out[k])
        return f.drift + f.per_wave * out

    def columns(self, v: int, waves: np.ndarray, answer: np.ndarray | None) -> np.ndarray:
        """Return waves times knots as they are heard, without their mean, float64 (notes, knots, samples - SKIP)."""
        made = waves[:, None, :] * self.hats
        if self.routing >> v & 1:
            made = self.filtered(made, answer)
        made = made[:, :, SKIP:]
        return made - made.mean(axis=2, keepdims=True)

    def filtered(self, made: np.ndarray, answer: np.ndarray | None) -> np.ndarray:
        """Return sounds through the filter, if there is one."""
        if answer is None:
            return made
        n = made.shape[-1]
        return np.fft.irfft(np.fft.rfft(made, 2 * n, axis=-1) * answer, 2 * n, axis=-1)[..., :n]

    def answer(self, cutoff: int) -> np.ndarray:
        """Return how the filter answers with an FC."""
        cutoff &= ~7
        if cutoff not in self.answers:
            self.answers[cutoff] = self.searcher.response(with_cutoff(self.image, cutoff))
        return self.answers[cutoff]

    def wanted(self, answer: np.ndarray | None) -> np.ndarray:
        """Return the sum of voices that the frame stands for, less what the filter still gives of the one before."""
        f = self.forward
        target = f.target[self.number] - np.float32(self.state.dc)
        if not filtering.in_use(self.image):
            return np.interp(target, *f._inverse)
        z = np.interp(target, *f.mixer(self.image).inverse)
        if answer is not None:
            n = len(z)
            z = z - np.fft.irfft(np.fft.rfft(self.fed, 2 * n) * answer, 2 * n)[n:]
        return z

    def ahead(self, v: int, rest: np.ndarray, answer: np.ndarray | None) -> np.ndarray:
        """Return what goes into the filter to leave `rest`."""
        if not self.routing >> v & 1 or answer is None:
            return rest - rest[SKIP:].mean()
        n = 2 * len(rest)
        power = np.abs(answer) ** 2
        made = np.fft.irfft(np.fft.rfft(rest, n) * answer.conj() / (power + 0.0025 * power.max()), n)[: len(rest)]
        return made - made[SKIP:].mean()

    def heard(self, v: int, notes: list[Note], chosen: dict[int, Note], answer: np.ndarray | None) -> np.ndarray:
        """Return the columns of notes."""
        if not notes:
            return np.zeros((0, len(self.hats), self.forward.samples - SKIP))
        return self.columns(v, self.waves(v, notes, chosen), answer)

    def rests(
        self, chosen: dict[int, Note], levels: np.ndarray, z: np.ndarray, answer: np.ndarray | None
    ) -> list[np.ndarray]:
        """Return what is left for each voice."""
        parts = {}
        for v, note in chosen.items():
            part = self.waves(v, [note], chosen)[0] * (levels[v] @ self.hats)
            parts[v] = self.filtered(part, answer) if self.routing >> v & 1 else part
        whole = z - sum(parts.values()) if parts else z
        return [self.ahead(v, whole + parts.get(v, 0.0), answer) for v in range(VOICES)]

    def combine(self, options: list[list[Note]], cols: list[np.ndarray], z: np.ndarray) -> list[Way]:
        """Return the best ways to explain `z`."""
        if not any(options):
            return [(0.0, 0.0, {}, np.zeros((VOICES, len(self.hats))))]
        sizes = [len(o) for o in options]
        offsets = np.r_[0, np.cumsum(sizes)]
        size = len(self.hats)
        flat = np.concatenate([c.reshape(len(c) * size, -1) for c in cols if len(c)])
        gram, heights = flat @ flat.T, flat @ z
        total = max(float(z @ z), SILENT_ENERGY)
        costs = np.concatenate([[o.cost for o in some] for some in options if some])
        last = self.past_levels[-1][:, -1] if self.past_levels else np.zeros(VOICES)
        ends = np.repeat(last, sizes)
        alone = max(sizes) == 1  # nothing is to be chosen
        ways: list[tuple[float, float, tuple[int, ...], np.ndarray]] = [(0.0, 0.0, (), np.zeros(0))]
        best = list(ways)
        span = np.arange(size)
        for _ in range(VOICES):
            sets = (
                [tuple(range(sum(sizes)))]
                if alone
                else sorted(
                    {
                        tuple(sorted((*way[2], int(offsets[v] + k))))
                        for way in ways
                        for v in range(VOICES)
                        if not any(offsets[v] <= i < offsets[v + 1] for i in way[2])
                        for k in range(sizes[v])
                    }
                )
            )
            if not sets:
                break
            index = (np.array(sets)[:, :, None] * size + span).reshape(len(sets), -1)
            g = gram[index[:, :, None], index[:, None, :]]
            h = heights[index]
            m = index.shape[1]
            ridge, held = np.zeros_like(g), np.zeros_like(h)
            for b in range(m // size):
                own = slice(b * size, (b + 1) * size)
                scale = np.trace(g[:, own, own], axis1=1, axis2=2) / size
                ridge[:, own, own] = self.bend * scale[:, None, None]
                ridge[:, own.start, own.start] += GOES_ON * scale
                held[:, own.start] = GOES_ON * scale * ends[np.array(sets)[:, b]]
            levels = np.linalg.solve(g + ridge + 1e-9 * np.eye(m), (h + held)[:, :, None])[:, :, 0]
            levels = np.clip(levels, 0, FULL)
            left = total - 2 * np.einsum("ij,ij->i", h, levels) + np.einsum("ij,ijk,ik->i", levels, g, levels)
            db = 10 * np.log10(np.maximum(left, 0) / total + FLOOR)
            cost = db + costs[np.array(sets)].sum(axis=1) + VOICE_DB * np.array([len(s) for s in sets])
            order = np.argsort(cost, kind="stable")[:BEAM]
            ways = [(float(cost[i]), float(db[i]), sets[i], levels[i]) for i in order]
            best = ways if alone else best + ways
            if alone:
                break
        best.sort(key=lambda w: w[0])
        made = []
        for cost, db, some, level in best[:BEAM]:
            chosen = {int(np.searchsorted(offsets, i, "right") - 1): i for i in some}
            by_voice = np.zeros((VOICES, size))
            for b, i in enumerate(some):
                by_voice[int(np.searchsorted(offsets, i, "right") - 1)] = level[b * size : (b + 1) * size]
            made.append((cost, db, {v: i - int(offsets[v]) for v, i in chosen.items()}, by_voice))
        return made

    def again(self, chosen, answer, cut):
        """Return notes and what is left, with the knots that are set now."""
        options = [[chosen[v]] if v in chosen else [] for v in range(VOICES)]
        cols = [self.heard(v, options[v], chosen, answer) for v in range(VOICES)]
        best = self.combine(options, cols, cut)[0]
        return {v: chosen[v] for v in best[2]}, best
