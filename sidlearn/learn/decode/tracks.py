"""Voices as far as one frame tells without envelopes: FREQ, PW and waveform, with levels and phases free.

This is what is left to do where the closed loop does not know any more in what state the chip is. A frame is explained
by the notes of three voices whose levels are any straight lines between a few knots; what goes on from the frame before
is tried first, then what was heard before, with any phase, and at last any FREQ. The filter is taken for linear.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from sidlearn.learn.decode import filtering, kernel, tracks_kernel
from sidlearn.learn.decode.cutoffs import HIGHEST_CUTOFF, cutoff_of, with_cutoff
from sidlearn.learn.decode.forward import field
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.path import HIGHEST, SKIP
from sidlearn.registers import NOISE, PULSE, RES_FILT, RING, SAWTOOTH, SYNC, TRIANGLE, VOICES
from sidlearn.writes import WRITE_GAP_CYCLES

KNOTS, MANY_KNOTS = 4, 7
"""Of the level of a voice in a frame, and where notes may begin in it."""
FULL = 1.05
"""Most of a level; guess."""
BEND, SHARP_BEND = 0.008, 0.002
"""What bends of levels cost, by the energy of the voice; guess."""
FLOOR = 6e-4
"""Share of a frame's energy that is left at best; guess."""
CLEAR_DB, FAIR_DB, POOR_DB = -21.0, -17.0, -13.0
"""Energy left with which a frame is understood, with which other phases are looked for, and with which any FREQ is."""
NOISE_DB = -9.0
"""Energy left from which on a voice must play noise; guess."""
VOICE_DB = 0.35
"""What a voice has to explain to count; guess, as are all costs."""
HEARD_LEVEL = 0.02
"""Of a voice whose phase is followed."""
GOES_ON = 0.1
"""What it costs that a level does not begin where it ended, by the energy of the voice; guess."""
BEAM = 6
LOWEST = 300
"""FREQ from which on notes are looked for: below 18 Hz anything is explained."""
LOW, LEAST_WIDTH, ODD_DB = 800, 100, 0.8
"""FREQ and PW below which notes are seldom, and what that costs; guess."""
TAKEN_COST = 0.38
"""Cost of FREQ with which another voice may go on; guess."""
PLAIN = (TRIANGLE, SAWTOOTH, PULSE)
PAIRS = (PULSE | SYNC, SAWTOOTH | SYNC, TRIANGLE | RING, TRIANGLE | SYNC)
DAMPED = 0.7
"""Share of the slope of FC that goes on: often nothing tells of it; guess."""
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
LEAST_CUTOFF = 100
"""FC below which nothing changes much; guess."""
SURE_DB = -24.0
"""Energy left with which FC is sure; guess."""


@dataclass(frozen=True)
class Note:
    """What one voice may do in a frame."""

    freq: int
    width: int
    control: int
    """Without the gate."""
    phase: int
    """Of its oscillator at the frame's start."""
    cost: float
    """In dB: how unlikely it is."""
    register: int = 0
    """Of noise at the frame's start."""


@dataclass
class Track:
    """What was found for all frames from one on."""

    first: int
    freqs: list[np.ndarray]
    widths: list[np.ndarray]
    controls: list[np.ndarray]
    levels: list[np.ndarray]
    """By voice and knot."""
    cutoffs: list[int]
    left_db: list[float]


class Tracker:
    """Finds the notes of frame after frame, from where a searcher has got to."""

    def __init__(self, searcher: Decoder, first: int | None = None) -> None:
        self.searcher = searcher
        self.forward = f = searcher.forward
        path = searcher.path[:first]
        self.state = state = path[-1].after if path else searcher.start
        self.image = state.image.copy()
        self.number = len(path)
        self.phases = state.osc[:, kernel.ACC].copy()
        self.registers = state.osc[:, kernel.NOISE_REG].copy()
        self.known = np.ones(VOICES, bool)
        self.past_freqs: list[np.ndarray] = []
        self.past_widths: list[np.ndarray] = []
        self.past_controls: list[np.ndarray] = []
        self.past_levels: list[np.ndarray] = []
        self.cutoffs: list[int] = []
        self.left: list[float] = []
        for frame in path:
            some = [field(frame.image, v) for v in range(VOICES)]
            level = f.dac_env[frame.levels[:, :: (f.steps - 1) // (KNOTS - 1)]]
            self.keep(
                np.array([s[0] for s in some]),
                np.array([s[1] for s in some]),
                np.array([s[2] & 0xFE for s in some]),
                level[:, :KNOTS],
                cutoff_of(frame.image),
                -40.0,
            )
        n = f.samples
        self.set_knots(KNOTS)
        self.flat = np.full(n, f.per_wave)
        grid = searcher.freqs
        self.grid = grid[grid >= LOWEST]
        self.routing = int(self.image[RES_FILT]) & 7 if filtering.in_use(self.image) else 0
        self.fed = np.zeros(n)
        if path and self.routing:
            last = path[-1]
            self.fed = sum(
                (searcher.input_of(last, v)[::24] for v in range(VOICES) if self.routing >> v & 1), np.zeros(n)
            )
        self.dc = state.dc
        self.room = np.empty(n)
        self.times = [0] * VOICES
        self.answers: dict[int, np.ndarray] = {}
        self.told, self.unsure = True, 0

    def set_knots(self, knots: int) -> None:
        """Set how many knots levels have in a frame."""
        at = np.linspace(0, knots - 1, self.forward.samples)
        self.hats = np.maximum(0, 1 - np.abs(at - np.arange(knots)[:, None]))
        bend = np.diff(np.eye(knots), 2, axis=0)
        self.bend = (BEND if knots == KNOTS else SHARP_BEND) * bend.T @ bend + 1e-4 * np.eye(knots)

    def keep(self, freqs, widths, controls, levels, cutoff, left) -> None:
        self.past_freqs.append(freqs)
        self.past_widths.append(widths)
        self.past_controls.append(controls)
        self.past_levels.append(levels)
        self.cutoffs.append(cutoff)
        self.left.append(left)

    # --- what may come -------------------------------------------------------------------------------------------

    def written(self, v: int) -> int:
        """Return about when FREQ of a voice is written: after what is likely to be written to others."""
        return self.times[v]

    def foresee_times(self) -> None:
        """Guess when FREQ of each voice is written."""
        at = 2 if self.routing else 0
        for v in range(VOICES):
            old, width = int(self.past_freqs[-1][v]), int(self.past_widths[-1][v])
            self.times[v] = WRITE_GAP_CYCLES * (at + 1)
            likely = next(iter(self.freqs(v)))
            at += Decoder.changed_bytes(old, likely) + Decoder.changed_bytes(width, self.widths(v)[0])

    def widths(self, v: int) -> list[int]:
        """Return PW with which a voice may go on, the likeliest first."""
        past = [int(w[v]) for w in self.past_widths[-8:]]
        if not past:
            return [0x800]
        slope = round(float(np.median(np.diff(past)))) if len(past) > 2 else 0
        new = past[-1] + slope
        return [new, past[-1]] if abs(slope) > 3 and LEAST_WIDTH < new < 4096 - LEAST_WIDTH else [past[-1]]

    def freqs(self, v: int) -> dict[int, float]:
        """Return FREQ with which a voice may go on, and what they cost."""
        past = [int(f[v]) for f in self.past_freqs[-60:]][::-1]
        found: dict[int, float] = {}
        if not past:
            return found
        found[past[0]] = 0.0
        for period in (2, 3, 4, 6):
            cycle = len(past) >= 2 * period and all(abs(past[i] - past[i + period]) <= 3 for i in range(period))
            if cycle and past[period - 1] != past[0]:
                found = {past[period - 1]: 0.0, past[0]: 0.3}
                break
        if len(past) > 1 and (slope := past[0] - past[1]) and abs(slope) < 0.07 * past[0]:
            for f in (past[0] + slope, past[0] - slope):
                found.setdefault(min(max(f, LOWEST), HIGHEST), 0.2)
        ago: dict[int, int] = {}
        for k, f in enumerate(past):
            ago.setdefault(f, k)
        for n, f in enumerate(list(ago)[:14]):
            found.setdefault(f, 0.3 + 0.02 * n)
        return found

    def controls(self, v: int) -> dict[int, float]:
        """Return waveforms with which a voice may go on, and what they cost."""
        past = self.past_controls[-120:]
        if not past:
            return {}
        found = {int(past[-1][v]) & 0xF6: 0.0}
        for c, level in zip(past[::-1], self.past_levels[-120:][::-1], strict=True):
            if level[v].max() > HEARD_LEVEL:
                found.setdefault(int(c[v]) & 0xF6, 0.6)
        return {c: cost for c, cost in found.items() if c & 0xF0 and not c & NOISE and c >> 4 in (1, 2, 4)}

    def likely(self, v: int) -> list[Note]:
        """Return how a voice may go on."""
        made: dict[tuple, Note] = {}
        phase = int(self.phases[v])
        widths = self.widths(v)
        for (c, dear), (f, dearer) in product(self.controls(v).items(), self.freqs(v).items()):
            if dear and dearer > 0.3 + 0.02 * 7:
                continue
            for k, w in enumerate(widths if c & PULSE else widths[:1]):
                made.setdefault((f, w, c), Note(f, w, c, phase, dear + dearer + 0.1 * k))
        return list(made.values())

    # --- what notes sound like -----------------------------------------------------------------------------------

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
        target = f.target[self.number] - np.float32(self.dc)
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

    # --- one frame -----------------------------------------------------------------------------------------------

    def combine(
        self, options: list[list[Note]], cols: list[np.ndarray], z: np.ndarray
    ) -> list[tuple[float, float, dict[int, int], np.ndarray]]:
        """Return the best ways to explain `z`: cost and energy left in dB, options by voice, levels."""
        sizes = [len(o) for o in options]
        offsets = np.r_[0, np.cumsum(sizes)]
        size = len(self.hats)
        flat = np.concatenate([c.reshape(len(c) * size, -1) for c in cols if len(c)])
        gram, heights = flat @ flat.T, flat @ z
        total = float(z @ z)
        costs = np.concatenate([[o.cost for o in some] for some in options if some])
        last = self.past_levels[-1][:, -1] if self.past_levels else np.zeros(VOICES)
        ends = np.repeat(last, sizes)
        ways: list[tuple[float, float, tuple[int, ...], np.ndarray]] = [(0.0, 0.0, (), np.zeros(0))]
        best = list(ways)
        span = np.arange(size)
        for _ in range(VOICES):
            sets = sorted(
                {
                    tuple(sorted((*way[2], int(offsets[v] + k))))
                    for way in ways
                    for v in range(VOICES)
                    if not any(offsets[v] <= i < offsets[v + 1] for i in way[2])
                    for k in range(sizes[v])
                }
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
            best += ways
        best.sort(key=lambda w: w[0])
        made = []
        for cost, db, some, level in best[:BEAM]:
            chosen = {int(np.searchsorted(offsets, i, "right") - 1): i for i in some}
            by_voice = np.zeros((VOICES, size))
            for b, i in enumerate(some):
                by_voice[int(np.searchsorted(offsets, i, "right") - 1)] = level[b * size : (b + 1) * size]
            made.append((cost, db, {v: i - int(offsets[v]) for v, i in chosen.items()}, by_voice))
        return made

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

    def again(self, chosen, answer, cut):
        """Return notes and what is left, with the knots that are set now."""
        options = [[chosen[v]] if v in chosen else [] for v in range(VOICES)]
        if not chosen:
            return chosen, (0.0, 0.0, {}, np.zeros((VOICES, len(self.hats))))
        cols = [self.heard(v, options[v], chosen, answer) for v in range(VOICES)]
        best = self.combine(options, cols, cut)[0]
        return {v: chosen[v] for v in best[2]}, best

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

    def jump(self, v: int) -> float:
        """Return what it costs that the phase of a voice is another than thought."""
        return 0.5 if not self.known[v] else 1.0

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

    def with_any(self, chosen, levels, z, answer) -> list[list[Note]]:
        """Return notes with any FREQ, PW and waveform."""
        rests = self.rests(chosen, levels, z, answer)
        f = self.forward
        n = len(self.grid)
        made: list[list[Note]] = [[], [], []]
        scores, kinds, widths, gains = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
        phases = np.empty(n, np.int64)
        from sidlearn.learn.decode.scans import tops

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

    def priced(self, v: int, note: Note) -> Note:
        """Return a note at a higher cost if it explains anything a little, or another voice plays it."""
        thin = note.control & PULSE and not LEAST_WIDTH < note.width < 4096 - LEAST_WIDTH
        taken = False
        for u in range(VOICES):
            if u != v and self.past_levels[-1][u].max() > HEARD_LEVEL:
                likely = [f for f, cost in self.freqs(u).items() if cost < TAKEN_COST]
                taken |= any(abs(np.log2(note.freq / f)) < 1 / 24 for f in likely if f)
        return replace(note, cost=note.cost + ODD_DB * ((note.freq < LOW) + bool(thin) + taken))

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

    def foreseen_cutoff(self) -> int:
        """Return FC where the frames before lead to."""
        past = self.cutoffs[-5:]
        if len(past) < 3:
            return past[-1] if past else cutoff_of(self.image)
        slope = (past[-1] - past[0]) / (len(past) - 1)
        return int(min(max(round(past[-1] + DAMPED * slope), LEAST_CUTOFF), HIGHEST_CUTOFF))

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
