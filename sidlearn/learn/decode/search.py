"""Which registers a frame was made with: where the options of each voice come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from sidlearn.learn.decode.combine import Combination
from sidlearn.learn.decode.forward import Frame, field, with_voice
from sidlearn.learn.decode.path import HIGHEST, NOISE, PULSE, SKIP, Option
from sidlearn.learn.decode.shapes import Notes
from sidlearn.registers import GATE, MODE_VOL, VOICES

NEW_AD, NEW_SR = 0x09, 0x80
"""Envelope with which notes of new instruments are looked for; guess: attack 0, decay 9, sustain 8."""

FAR_RMS = 0.02
"""What is left where a voice plays something else altogether; guess."""

CROSSED = 6
"""Shapes and envelopes of a voice that are tried together."""

FOUND, KEPT = 4, 6
"""Shapes of a voice that are looked at, and ways to add voices that are kept."""


@dataclass(frozen=True)
class Way:
    """Options for some of the voices, and what they leave of the target."""

    chosen: dict[int, Option]
    rest: np.ndarray
    energy: float


Stage = Callable[[int, Frame], list[Option]]


class Searcher(Combination):
    """Finds the registers of one frame."""

    def predict(self) -> Frame:
        """Return the best frame that goes on as the frames before did."""
        image = self.before().image.copy()
        if not self.path:
            image[MODE_VOL] = 15
            return self.play(image)
        guesses = [self.guesses(v) for v in range(VOICES)]
        for v in range(VOICES):
            image = with_voice(image, v, *guesses[v][0])
        best = self.play(image)
        if self.good(best):
            return best
        best = self.better(best, self.play(self.before().image))
        for _ in range(2):
            previous = best
            for v in range(VOICES):
                for guess in guesses[v]:
                    best = self.better(best, self.play(with_voice(best.image, v, *guess)))
                    if self.good(best):
                        return best
                control = field(best.image, v)[2]
                best = self.better(best, self.play(with_voice(best.image, v, control=control ^ GATE)))
            if best is previous:
                break
        return best

    def search(self, best: Frame) -> Frame:
        """Widen the choice of every voice until a combination explains the frame."""
        options: list[dict[Option, None]] = [{} for _ in range(VOICES)]
        for v in range(VOICES):
            self.add(options[v], self.simple(v, best))
        best, combined = self.combine(options, best)
        if self.good(best) and combined:
            return best
        if self.path:
            if self.rms(best.energy) < FAR_RMS:
                best, combined = self.rounds(self.near, options, best, combined)
                if self.likely(best):
                    return best
            for v, more in enumerate(self.pursue(best)):
                self.add(options[v], more)
            best, combined = self.combine(options, best)
            if not self.good(best):
                best, combined = self.rounds(self.near, options, best, combined)
            if self.good(best):
                return best
            if self.likely(best):
                return best
        for some in self.discover(best):
            for v in range(VOICES):
                self.add(options[v], some[v])
        best, combined = self.combine(options, best)
        return best if self.good(best) else self.rounds(self.near, options, best, combined)[0]

    def rounds(
        self, stage: Stage, options: list[dict[Option, None]], best: Frame, combined: Frame | None
    ) -> tuple[Frame, Frame | None]:
        """Add options and combine them as long as that helps."""
        stale = 0
        for turn in range(8):
            self.freely = turn % 2 == 0
            old = best
            for v in range(VOICES):
                self.add(options[v], self.simple(v, combined or best))
                self.add(options[v], stage(v, combined or best))
            best, combined = self.combine(options, best)
            if self.good(best):
                break
            stale = stale + 1 if best.energy > 0.95 * old.energy else 0
            if stale > 1:
                break
        if self.trace:
            print("  ", stage.__name__, [len(o) for o in options], round(self.rms(best.energy) * 1e4, 2))
        return best, combined

    def near_to(self, best: Frame) -> Frame:
        """Return a better frame near to one, or that one."""
        return self.rounds(self.near, [dict.fromkeys(self.simple(v, best)) for v in range(VOICES)], best, best)[0]

    def add(self, options: dict[Option, None], more: Iterable[Option]) -> None:
        """Add options that are not there."""
        for option in more:
            options.setdefault(option)

    def simple(self, v: int, best: Frame) -> list[Option]:
        """Return what is there already: values heard before, gate on or off."""
        freq, width, control, ad, sr = field(best.image, v)
        _, _, was, _, _ = field(self.before().image, v)
        made: list[Option] = []
        if not self.path:
            return [Option((freq, width, c, ad, sr)) for c in (control, control ^ GATE)]
        pairs = self.guesses(v)
        heard = [(f, w) for w in dict.fromkeys((width, pairs[0][1])) for f in self.heard(v)]
        values = [*dict.fromkeys([(freq, width), *pairs, (freq, pairs[0][1]), *heard])]
        made += [Option(group) for group in self.successors(v)]
        if not was & GATE:
            made += [Option(group) for group in self.starts(v)]
        for f, w in values:
            made.append(Option((f, w, control, ad, sr)))
            made.append(Option((f, w, control ^ GATE, ad, sr)))
            if not was & GATE:
                for wave, a, s in self.instruments(v):
                    made.append(Option((f, w, wave | GATE, a, s)))
        return made

    def near(self, v: int, best: Frame) -> list[Option]:
        """Return options in which FREQ moves a little, PW by any amount, or the envelope was another."""
        freq, width, control, ad, sr = field(best.image, v)
        made: list[Option] = []
        rest = self.rest(best, v)
        written = self.written(best.image, v)
        if best.levels[v].max() > 2 and control >= 16:
            gain, constant, _ = self.levels(best.image, v)
            if control & NOISE:
                freqs = np.unique(np.linspace(freq * 0.8, min(freq * 1.25, HIGHEST), 400).astype(np.int64))
                found = self.noise_peaks(rest, gain, constant, v, written, freqs)
            elif control & 6 or control >> 4 not in (1, 2, 4):
                found = []
            else:
                freqs = np.arange(max(int(freq * 0.8), 1), min(int(freq * 1.25) + 17, HIGHEST), 16, dtype=np.int64)
                found = self.peaks(rest, gain, constant, control >> 4, width, v, written, freqs)
                if self.path and control & PULSE and (new := self.guesses(v)[0][1]) != width:
                    some = self.peaks(rest, gain, constant, control >> 4, new, v, written, freqs)
                    made += [Option((f, new, control, ad, sr)) for f in some]
                if control & PULSE:
                    pulses = self.folded(rest, gain, v, written, 3, freqs)
                    made += [Option((f, w, control, ad, sr)) for f, w, kind, _ in pulses if kind == 4]
            made += [Option((f, width, control, ad, sr)) for f in found]
            if self.path and not control & PULSE and (new := self.guesses(v)[0][1]) != width:
                # nobody hears it, but it takes time
                made += [Option((f, new, control, ad, sr)) for f in [freq, *found]]
            if control & 0x76 == PULSE:
                widths = self.widths(rest, gain, constant, v, freq, written)
                made += [Option((freq, w, control, ad, sr)) for w in widths]
        if self.freely:
            rest = self.free_rest(v, best)
        if control & GATE and not field(self.before().image, v)[2] & GATE:
            made += self.new_envelopes(v, best.image, rest)
        envelopes = self.refits(v, best, rest)
        shapes = list(dict.fromkeys(o.group[:2] for o in made if o.group[:2] != (freq, width)))[:CROSSED]
        crossed = [
            replace(e, group=(*shape, *e.group[2:]))
            for e in envelopes[:CROSSED]
            for shape in shapes
            if e.past is not None
        ]
        held = field(self.before().image, v)[1]
        if width != held:
            crossed += [replace(e, group=(freq, held, *e.group[2:])) for e in envelopes]
        return made + envelopes + crossed

    def pursue(self, best: Frame) -> list[list[Option]]:
        """Return options with any FREQ and PW, played with instruments that were heard before.

        Voices are added one by one to nothing, each as it explains most of what is left; a few ways are kept.
        """
        target = self.forward.sums(best)
        target = target - target[SKIP:].mean()
        simple = [self.simple(v, best) for v in range(VOICES)]
        known = [np.stack([self.part(v, o, best.image) for o in simple[v]]) for v in range(VOICES)]
        sizes = [np.einsum("ij,ij->i", k, k) for k in known]
        ways: list[Way] = [Way({}, target, float(target[SKIP:] @ target[SKIP:]))]
        scanned: dict = {}
        for depth in range(VOICES):
            found: dict[tuple, Way] = {}
            for way in ways:
                for v in range(VOICES):
                    if v in way.chosen:
                        continue
                    scores = 2 * known[v] @ way.rest[SKIP:] - sizes[v]
                    options = [simple[v][k] for k in np.argsort(-scores, kind="stable")[:3]]
                    key = (v, *sorted((u, o.group) for u, o in way.chosen.items()))
                    image = best.image
                    for u, option in way.chosen.items():
                        image = with_voice(image, u, *option.group)
                    if key not in scanned:
                        scanned[key] = self.scanned(v, image, way.rest, 3 if depth < 2 else 2)
                    for option in [*options, *scanned[key]]:
                        rest = way.rest.copy()
                        rest[SKIP:] -= self.part(v, option, image)
                        chosen = {**way.chosen, v: option}
                        name = tuple(sorted((u, o.group) for u, o in chosen.items()))
                        found.setdefault(name, Way(chosen, rest, float(rest[SKIP:] @ rest[SKIP:])))
            ways = sorted(found.values(), key=lambda w: w.energy)[: KEPT - 2 * (depth == 1)]
        made: list[list[Option]] = [[] for _ in range(VOICES)]
        settled = sorted((self.settled(way, best, target) for way in ways[:4]), key=lambda w: w.energy)
        for way in settled:
            for v, option in way.chosen.items():
                made[v].append(option)
        if self.trace:
            names = [{v: o.group[:3] for v, o in sorted(w.chosen.items())} for w in settled[:3]]
            lefts = [round(float(np.sqrt(w.energy / 795)) * 1e4) for w in settled[:3]]
            print("   pursued", list(zip(names, lefts, strict=True)))
        return made

    def settled(self, way: Way, best: Frame, target: np.ndarray) -> Way:
        """Move FREQ and PW of every voice to where the others leave most to it, now that all are known."""
        for _ in range(2):
            for v in way.chosen:
                image = best.image
                for u, option in way.chosen.items():
                    image = with_voice(image, u, *option.group)
                parts = {u: self.part(u, o, image) for u, o in way.chosen.items()}
                rest = target.copy()
                rest[SKIP:] -= sum(p for u, p in parts.items() if u != v)
                tried = [way.chosen[v], *self.scanned(v, image, rest, 2, way.chosen[v])]
                lefts = [rest[SKIP:] - self.part(v, o, image) for o in tried]
                energies = [float(left @ left) for left in lefts]
                k = int(np.argmin(energies))
                way = Way({**way.chosen, v: tried[k]}, way.rest, energies[k])
        return way

    def scanned(
        self, v: int, image: np.ndarray, rest: np.ndarray, count: int, around: Option | None = None
    ) -> list[Option]:
        """Return options with the FREQ and PW that explain most of `rest`; `around` for one near to an option."""
        freq, width, control, ad, sr = field(image, v)
        _, _, was, _, _ = field(self.before().image, v)
        written = self.written(image, v)
        made: list[Option] = []
        if around is not None:
            freq, width, control, ad, sr = around.group
            tries = {(control & 0xFE, ad, sr, control & GATE)}
        else:
            old_ad, old_sr = field(self.before().image, v)[3:]
            tries = {(control & 0xFE, ad, sr, was & GATE), (was & 0xFE, old_ad, old_sr, 0)}
            if was & GATE:
                tries |= {(wave, old_ad, old_sr, g) for wave in (PULSE, NOISE) for g in (GATE, 0)}
            else:
                tries |= {(wave, a, s, GATE) for wave, a, s in self.instruments(v, 3)}
                # of a new instrument both are written
                new_ad, new_sr = NEW_AD ^ (old_ad == NEW_AD), NEW_SR ^ (old_sr == NEW_SR) << 4
                tries |= {(wave, new_ad, new_sr, GATE) for wave in (PULSE, NOISE)}
        for wave, a, s, gate in sorted(tries):
            gain, constant, loud = self.levels(with_voice(image, v, None, None, wave | gate, a, s), v)
            if not loud or wave < 16:
                continue
            if wave & NOISE:
                freqs = self.noise_freqs
                if around is not None:
                    freqs = np.unique(np.linspace(freq * 0.95, min(freq * 1.05, HIGHEST), 50).astype(np.int64))
                found = self.noise_peaks(rest, gain, constant, v, written, freqs)
                held = field(self.before().image, v)[1]
                made += [Option((f, held, wave | gate, a, s)) for f in found]
                continue
            if wave & 6 or wave >> 4 not in (1, 2, 4):
                continue
            freqs = self.freqs
            if around is not None:
                freqs = np.arange(max(int(freq * 0.97), 1), min(int(freq * 1.03) + 9, HIGHEST), 8, dtype=np.int64)
            widths = [width]
            if wave & PULSE and around is None:
                widths = [*dict.fromkeys([width, self.guesses(v)[0][1]])]
            for w in widths:
                found = self.peaks(rest, gain, constant, wave >> 4, w, v, written, freqs, count)
                made += [Option((f, w, wave | gate, a, s)) for f in found]
            if around is not None:
                if wave & PULSE:
                    widths = self.widths(rest, gain, constant, v, freq, written)
                    made += [Option((freq, w, wave | gate, a, s)) for w in widths]
                continue
            for f, w, kind, _ in self.folded(rest, gain, v, written, 2, self.freqs):
                held = field(self.before().image, v)[1]
                made.append(Option((f, w if kind == 4 else held, kind << 4 | gate, a, s)))
        return made

    def discover(self, best: Frame) -> list[list[list[Option]]]:
        """Return options of all voices in which notes begin with instruments that were not heard before.

        Voices are added one by one, their levels being free; a few ways to do so are kept.
        """
        before = self.before()
        free = [v for v in range(VOICES) if not field(before.image, v)[2] & GATE]
        parts = self.parts(best)
        base = self.forward.sums(best) - sum(parts[v] for v in range(VOICES) if v not in free)
        base = base - base[SKIP:].mean()
        flat = np.full(self.forward.samples, self.forward.per_wave)
        drift = np.full(self.forward.samples, self.forward.drift)
        silent = Notes({}, base, float(base[SKIP:] @ base[SKIP:]), {}, {})
        beam = [silent]
        for _ in free:
            found = list(beam)
            for notes in beam:
                for v in free:
                    if v in notes.shapes:
                        continue
                    written = self.written(self.begun(best.image, {**notes.shapes, v: (0, 0, 0)}), v)
                    some = self.folded(notes.rest, flat, v, written, FOUND, self.freqs)
                    shapes = [(f, w, kind << 4) for f, w, kind, _ in some]
                    shapes += [
                        (f, field(before.image, v)[1], NOISE)
                        for f in self.noise_peaks(notes.rest, flat, drift, v, written, self.noise_freqs, (0.05, 1.1))
                    ]
                    found += [self.fit_notes(best, base, {**notes.shapes, v: shape}) for shape in shapes]
            found.sort(key=lambda x: x.energy)
            unique: dict[tuple, Notes] = {}
            for notes in found:
                unique.setdefault(tuple(sorted(notes.shapes.items())), notes)
            tuned = [self.tune(best, base, notes) for notes in list(unique.values())[: 2 * KEPT]]
            beam = sorted(tuned, key=lambda x: x.energy)[:KEPT]
        if not self.path:
            more = [n for notes in beam[:3] for n in self.swapped(best, base, notes)]
            beam = sorted([*beam, *more], key=lambda x: x.energy)
        if self.trace:
            print("   found", [(n.shapes, round(float(np.sqrt(n.energy / 795)) * 1e4)) for n in [silent, *beam]])
        made = []
        for notes in beam[:2]:
            options: list[list[Option]] = [[] for _ in range(VOICES)]
            for v, (f, w, wave) in notes.shapes.items():
                others = sum(notes.parts[u] for u in notes.shapes if u != v)
                image = with_voice(best.image, v, f, w, wave | GATE)
                options[v] = self.new_envelopes(v, image, base - others, len(notes.shapes) > 1)
            made.append(options)
        return made
