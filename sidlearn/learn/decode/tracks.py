"""Voices as far as one frame tells without envelopes: FREQ, PW and waveform, with levels and phases free.

This is what is left to do where the closed loop does not know any more in what state the chip is. What goes on from the
frame before is tried first, then what was heard before, with any phase, and at last any FREQ.
"""

from __future__ import annotations

import numpy as np

from sidlearn.learn.decode import kernel, tracks_kernel
from sidlearn.learn.decode.blend import FULL, Blend
from sidlearn.learn.decode.cutoffs import HIGHEST_CUTOFF
from sidlearn.learn.decode.foresight import HEARD_LEVEL, KNOTS, LEAST_CUTOFF, LOWEST, Note
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.path import SKIP
from sidlearn.learn.decode.scans import tops
from sidlearn.registers import NOISE, PULSE, RING, SAWTOOTH, SYNC, TRIANGLE, VOICES
from sidlearn.writes import WRITE_GAP_CYCLES

MANY_KNOTS = 7
"""Of levels where notes may begin."""
CLEAR_DB, FAIR_DB = -21.0, -17.0
"""Energy left with which a frame is understood, and with which notes are what was heard before; guess."""
PLAIN = (TRIANGLE, SAWTOOTH, PULSE)
PAIRS = (PULSE | SYNC, SAWTOOTH | SYNC, TRIANGLE | RING, TRIANGLE | SYNC)
SOME_LIKELY = 8
MOST_NOISES, MOST_SHIFTS, PARTS = 4, 40, 3
"""FREQ of noise that are tried, shifts of its register to either side, and places of its phase in a shift; guess."""
PHASE_ERROR = 1 << 15
"""By which the phase of a note that goes on may be wrong: FREQ off by one or two in the frame before; guess."""
STIFF = 3e-3
"""Share by which a note that goes on has to explain more to have another FREQ; guess."""
CUTOFFS = np.array([120, 200, 260, 320, 390, 460, 540, 630, 730, 860, 1050, 1400])
"""FC that are tried where FC is not sure; dense where a 6581's cutoff rises."""
JUMP_DB, MOST_JUMP_DB = 0.006, 1.5
"""What it costs that FC is so far from where it was foreseen, and at most; guess."""
TOLD_DB = 0.2
"""By how much other FC explain less where a sound tells of it; guess."""
SURE_DB = -24.0
"""Energy left with which FC is sure; guess."""


class Tracker(Blend):
    """Finds the notes of frame after frame, from where a searcher has got to."""

    def __init__(self, searcher: Decoder, first: int | None = None) -> None:
        super().__init__(searcher, first)
        f = self.forward
        self.flat = np.full(f.samples, f.per_wave)
        self.grid = searcher.freqs[searcher.freqs >= LOWEST]
        self.room = np.empty(f.samples)
        self.told, self.unsure = True, 0

    def next(self) -> None:
        """Find the notes of the next frame."""
        self.set_knots(KNOTS)
        self.foresee_times()
        cutoff = self.foreseen_cutoff()
        answer = self.answer(cutoff) if self.routing else None
        z = self.wanted(answer)
        cut = z[SKIP:] - z[SKIP:].mean()
        options = [self.likely(v) for v in range(VOICES)]
        chosen = {v: options[v][0] for v in range(VOICES) if options[v]}
        cols = [self.heard(v, options[v], chosen, answer) for v in range(VOICES)]
        best = self.combine(options, cols, cut)[0]
        chosen = {**chosen, **{v: options[v][k] for v, k in best[2].items()}}
        paired = [v for v in range(VOICES) if any(n.control & (RING | SYNC) for n in options[v])]
        if paired:
            for v in paired:
                cols[v] = self.heard(v, options[v], chosen, answer)
            best = self.combine(options, cols, cut)[0]
        chosen = {v: options[v][k] for v, k in best[2].items()}
        if self.routing:
            cutoff, chosen, best = self.with_cutoff(cutoff, {v: [n] for v, n in chosen.items()}, best)
            if best[1] > FAIR_DB:
                some = {v: [*o[:SOME_LIKELY], *([chosen[v]] if v in chosen else [])] for v, o in enumerate(options)}
                cutoff, chosen, best = self.with_cutoff(cutoff, some, best)
            answer = self.answer(cutoff)
            z = self.wanted(answer)
            cut = z[SKIP:] - z[SKIP:].mean()
        chosen, best = self.polished(chosen, best, z, cut, answer)
        for stage in (self.with_phases, self.with_noise, self.with_pairs, self.with_any, self.with_any):
            if best[1] < (CLEAR_DB if stage == self.with_phases else FAIR_DB):
                break
            if stage == self.with_phases:
                self.set_knots(MANY_KNOTS)
                way = self.again(chosen, answer, cut)
                chosen, best = way
            more = stage(chosen, best[3], z, answer)
            for v in range(VOICES):
                options[v] = [*options[v][:SOME_LIKELY], *more[v]]
                if v in chosen and chosen[v] not in options[v]:
                    options[v].append(chosen[v])
            cols = [self.heard(v, options[v], chosen, answer) for v in range(VOICES)]
            best = self.combine(options, cols, cut)[0]
            chosen = {v: options[v][k] for v, k in best[2].items()}
            if self.routing and stage == self.with_any:
                cutoff, chosen, best = self.with_cutoff(cutoff, {v: [n] for v, n in chosen.items()}, best)
                answer = self.answer(cutoff)
                z = self.wanted(answer)
                cut = z[SKIP:] - z[SKIP:].mean()
            chosen, best = self.polished(chosen, best, z, cut, answer)
        self.accept(cutoff, chosen, best)

    def with_phases(self, chosen, levels, z, answer) -> list[list[Note]]:
        """Return notes that were heard before, with the phases that explain most."""
        rests = self.rests(chosen, levels, z, answer)
        made: list[list[Note]] = [[], [], []]
        for v in range(VOICES):
            notes = [n for n in self.likely(v) if not n.control & (RING | SYNC)]
            if not notes:
                continue
            rows = np.array([self.row(v, n) for n in notes], np.int64)
            scores = np.empty(len(rows))
            tracks_kernel.find_phases(rows, rests[v] / self.forward.per_wave, SKIP, FULL, self.forward.dac, scores)
            for k in np.argsort(-scores, kind="stable")[:3]:
                made[v].append(self.refined(v, rows[k], rests[v], chosen, notes[k].cost + self.jump(v), True))
        return made

    def with_noise(self, chosen, levels, z, answer) -> list[list[Note]]:
        """Return noises that were heard before, the noise register being near to where it was thought to be."""
        made: list[list[Note]] = [[], [], []]
        f = self.forward
        rests = self.rests(chosen, levels, z, answer)
        for v in range(VOICES):
            freqs: dict[int, None] = {}
            for c, q in zip(self.past_controls[::-1], self.past_freqs[::-1], strict=True):
                if c[v] & NOISE:
                    freqs.setdefault(int(q[v]))
            if not freqs:
                continue
            phase, old, written = int(self.phases[v]), int(self.past_freqs[-1][v]), self.written(v)
            freq, phase, register, score = tracks_kernel.find_noise(
                int(self.registers[v]), phase, old, written, np.array(list(freqs)[:MOST_NOISES], np.int64),
                MOST_SHIFTS, PARTS, rests[v] / f.per_wave, SKIP, FULL, f.dac, self.room,
            )  # fmt: skip
            if score > 0:
                width = self.widths(v)[0]
                made[v].append(Note(int(freq), width, NOISE, int(phase), 0.5, int(register)))
        return made

    def with_pairs(self, chosen, levels, z, answer) -> list[list[Note]]:
        """Return notes that are rung or synced by the voice before."""
        rests = self.rests(chosen, levels, z, answer)
        f = self.forward
        made: list[list[Note]] = [[], [], []]
        freqs = np.unique(np.geomspace(1200, 48_000, 300).astype(np.int64))
        for v in range(VOICES):
            if (v + 2) % VOICES not in chosen:
                continue
            source = self.source(v, chosen)
            known = self.controls(v)
            for control in PAIRS:
                if known and control & 0xF0 not in {c & 0xF0 for c in known} and control != (TRIANGLE | RING):
                    continue
                w = self.widths(v)[0]
                old = int(self.past_freqs[-1][v])
                rows = np.array([[int(self.phases[v]), old, self.written(v), q, w, control] for q in freqs], np.int64)
                scores = np.empty(len(rows))
                tracks_kernel.score_all(rows, source, rests[v] / f.per_wave, SKIP, FULL, f.dac, self.room, scores)
                order = np.argsort(-scores, kind="stable")[:3]
                for k in order:
                    made[v].append(self.refined(v, rows[k], rests[v], chosen, 1.0, True))
        return made

    def with_any(self, chosen, levels, z, answer) -> list[list[Note]]:
        """Return notes with any FREQ, PW and waveform."""
        rests = self.rests(chosen, levels, z, answer)
        f = self.forward
        n = len(self.grid)
        made: list[list[Note]] = [[], [], []]
        scores, kinds, widths, gains = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
        phases = np.empty(n, np.int64)

        for v in range(VOICES):
            rest, written = rests[v], self.written(v)
            old, phase = int(self.past_freqs[-1][v]), int(self.phases[v])
            known = self.controls(v)
            if self.known[v]:
                kernel.fold_frequencies(
                    rest, self.flat, f.dac, phase, old, written, self.grid, SKIP, FULL, scores, kinds, widths, gains
                )
                for freq in tops(self.grid, scores, 3):
                    k = int(np.searchsorted(self.grid, freq))
                    kind = int(kinds[k]) << 4
                    row = [phase, old, written, freq, int(widths[k]), kind]
                    cost = 1.2 + (0.0 if kind in known else 0.6)
                    made[v].append(self.priced(v, self.refined(v, row, rest, chosen, cost, False)))
            for control in known or PLAIN:
                if control & (RING | SYNC):
                    continue
                kind = control >> 4
                kernel.fold_free(
                    rest, self.flat, f.dac, kind, old, written, self.grid[::2], SKIP, 0.0, FULL,
                    scores[: len(self.grid[::2])], phases, widths,
                )  # fmt: skip
                some = self.grid[::2]
                for freq in tops(some, scores[: len(some)], 2):
                    k = int(np.searchsorted(some, freq))
                    row = [int(phases[k]), old, written, freq, int(widths[k]), control]
                    made[v].append(self.priced(v, self.refined(v, row, rest, chosen, 1.2 + self.jump(v), True)))
        return made

    def refined(self, v, row, rest, chosen, cost, loose, turns=3) -> Note:
        """Return a note moved to where it explains most."""
        f = self.forward
        row = np.array(row, np.int64)
        scaled = rest / f.per_wave
        reach = 1 << 23
        stiff = 1e-6
        if not loose:  # the oscillator goes on; what is not known is when FREQ was written, and its last bits
            reach = PHASE_ERROR + 4 * WRITE_GAP_CYCLES * abs(int(row[3]) - int(row[1]))
            stiff = STIFF if row[3] == row[1] else 1e-6
        source = self.source(v, chosen)
        tracks_kernel.refine(row, source, scaled, SKIP, FULL, turns, reach, stiff, f.dac, self.room)
        return Note(int(row[3]), int(row[4]), int(row[5]), int(row[0]), cost)

    def polished(self, chosen, best, z, cut, answer):
        """Return notes moved to where they explain most together."""
        for _ in range(2 if best[1] > CLEAR_DB else 1):
            rests = self.rests(chosen, best[3], z, answer)
            new = {}
            for v, note in chosen.items():
                if note.control & NOISE:
                    new[v] = note
                    continue
                new[v] = self.refined(v, self.row(v, note), rests[v], chosen, note.cost, False, 2)
            order = sorted(new)
            options = [[chosen[v], new[v]] if v in new else [] for v in range(VOICES)]
            cols = [self.heard(v, options[v], new, answer) for v in range(VOICES)]
            if not order:
                break
            found = self.combine(options, cols, cut)[0]
            chosen = {v: options[v][k] for v, k in found[2].items()}
            best = found
        return chosen, best

    def with_cutoff(self, cutoff, options, best):
        """Return FC, notes and what is left with the FC that explains most."""
        if not any(self.routing >> v & 1 and some for v, some in options.items()):
            return cutoff, {v: some[-1] for v, some in options.items() if some}, best
        every = [options.get(v, []) for v in range(VOICES)]
        likeliest = {v: some[-1] for v, some in options.items() if some}
        cols = [self.heard(v, every[v], likeliest, self.answer(cutoff)) for v in range(VOICES)]
        tried = [cutoff, *(cutoff + by for by in (-48, 48, -24, -12, 12, 24))]
        if best[1] > SURE_DB:
            tried += CUTOFFS.tolist()
        found = []
        for new in dict.fromkeys(min(max(f, LEAST_CUTOFF), HIGHEST_CUTOFF) for f in tried):
            answer = self.answer(new)
            for v in range(VOICES):
                if self.routing >> v & 1:
                    cols[v] = self.heard(v, every[v], likeliest, answer)
            z = self.wanted(answer)
            way = self.combine(every, cols, z[SKIP:] - z[SKIP:].mean())[0]
            dear = min(JUMP_DB / (1 + self.unsure) * abs(new - cutoff), MOST_JUMP_DB)
            found.append((way[0] + dear, new, way))
        _, cutoff, best = min(found, key=lambda w: w[0])
        self.told = min(abs(w[2][0] - best[0]) for w in found[1:3]) > TOLD_DB
        return cutoff, {v: every[v][k] for v, k in best[2].items()}, best

    def accept(self, cutoff, chosen, best) -> None:
        """Go on to the next frame."""
        f = self.forward
        _, db, _, levels = best
        old = self.past_freqs[-1] if self.past_freqs else np.zeros(VOICES, int)
        freqs = old.copy()
        widths = np.array([self.widths(v)[0] for v in range(VOICES)])
        controls = (self.past_controls[-1] if self.past_controls else np.zeros(VOICES, int)).copy()
        fed = np.zeros(f.samples)
        for v in range(VOICES):
            note = chosen.get(v)
            if note is None:
                levels[v] = 0
            else:
                freqs[v], widths[v], controls[v] = note.freq, note.width, note.control
                self.phases[v] = note.phase
                if note.control & NOISE:
                    self.registers[v] = note.register
                if self.routing >> v & 1:
                    fed += self.waves(v, [note], chosen)[0] * (levels[v] @ self.hats)
            heard = note is not None and levels[v].max() > HEARD_LEVEL
            self.known[v] = heard or (
                self.known[v] and len(self.past_levels) > 0 and self.past_levels[-1][v].max() > HEARD_LEVEL
            )
            w = self.written(v)
            self.registers[v] = tracks_kernel.register_after(
                int(self.registers[v]), int(self.phases[v]), int(old[v]), w, int(freqs[v]), f.frame_cycles
            )
            self.phases[v] = (self.phases[v] + int(old[v]) * w + int(freqs[v]) * (f.frame_cycles - w)) & kernel.MASK
        self.fed = fed
        self.unsure = 0 if self.told and best[1] < FAIR_DB else self.unsure + 1
        if levels.shape[1] != KNOTS:
            at = np.linspace(0, levels.shape[1] - 1, KNOTS)
            levels = np.array([np.interp(at, np.arange(levels.shape[1]), row) for row in levels])
        self.keep(freqs, widths, controls, levels, cutoff, db)
        self.number += 1
