"""Which registers a frame was made with: where the options of each voice come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from sidlearn.learn.decode import filtering, kernel
from sidlearn.learn.decode.combine import Combination
from sidlearn.learn.decode.cutoffs import FAR_CUTOFFS, HIGHEST_CUTOFF, cutoff_of, with_cutoff
from sidlearn.learn.decode.forward import Frame, field, with_voice
from sidlearn.learn.decode.path import AS_BEFORE, FAINT_RMS, HIGHEST, KNOWN, NOISE, PULSE, SKIP, Option, Start
from sidlearn.learn.decode.shapes import Notes
from sidlearn.registers import GATE, MODE_VOL, RING, SAWTOOTH, SYNC, TEST, TRIANGLE, VOICES
from sidlearn.writes import WRITE_GAP_CYCLES

NEW_AD, NEW_SR = 0x09, 0x80
"""Envelope with which notes of new instruments are looked for; guess: attack 0, decay 9, sustain 8."""

FAR_RMS = 0.02
"""What is left where a voice plays something else altogether; guess."""

CROSSED = 6
"""Shapes and envelopes of a voice that are tried together."""

SHIFTED = 64
"""FREQ by which a note is misjudged if it is thought to be written some cycles early or late; guess."""

ALIKE = 0.1
"""Share of their highest by which levels may differ in scans that are done once for both; guess."""

FAINT_LEVEL = 2
"""Envelope of a voice that is all but silent; guess."""

FAINT_GAIN = 0.5
"""Energy that is left where such a voice is what is heard, of what was left before; guess."""

MOST_TIMED = 60
"""Options of a voice that was not heard that are tried with a write more or less; guess."""

ATTACKS = (0, 6552, 13_104)
"""Cycles of a frame after which an attack may begin that the ADSR delay bug held up, as far as FREQ is looked for; a
third of a frame apart: guess."""

TUNED = 3
"""Options of a voice whose phase is not known that are tuned; guess."""

FOUND, KEPT = 4, 6
"""Shapes of a voice that are looked at, and ways to add voices that are kept."""


@dataclass(frozen=True)
class Way:
    """Options for some of the voices, and what they leave of the target."""

    chosen: dict[int, Option]
    rest: np.ndarray
    energy: float


def begun(option: Option, start: Start) -> Option:
    """Return an option that begins otherwise than the frames before tell, as far as it does not itself."""
    if option.past is not None:
        return option
    return replace(option, phase=start[0] if option.phase == KNOWN else option.phase, env=option.env or start[1])


def plain(control: int) -> bool:
    """Whether a voice plays a triangle, a sawtooth or a pulse, and nothing else acts on its oscillator."""
    return control >> 4 in (TRIANGLE >> 4, SAWTOOTH >> 4, PULSE >> 4) and not control & (TEST | RING | SYNC)


class Known:
    """What scans found, by waveform and PW: with levels that are nearly the same they find the same."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], list[tuple[np.ndarray, list]]] = {}

    def get(self, name: tuple[int, int], gain: np.ndarray) -> list | None:
        """Return what was found with levels like `gain`, or None."""
        for other, found in self._found.get(name, ()):
            if np.abs(gain - other).max() <= ALIKE * other.max():
                return found
        return None

    def put(self, name: tuple[int, int], gain: np.ndarray, found: list) -> list:
        """Keep what was found, and return it."""
        self._found.setdefault(name, []).append((gain, found))
        return found


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
        filtered = filtering.in_use(image)
        if filtered:
            image = with_cutoff(image, self.cutoffs()[0])
        for v in range(VOICES):
            image = with_voice(image, v, *guesses[v][0])
        best = self.play(image)
        if self.good(best):
            return best
        if filtered:
            best = self.swept(best, tuple(self.cutoffs()))
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
            if filtered and not self.good(best):
                best = self.swept(best)
            if best is previous:
                break
        return best

    def search(self, best: Frame) -> Frame:
        """Widen the choice of every voice until a combination explains the frame."""
        if self.path and filtering.in_use(best.image) and not self.widely:
            best = self.searched_with_cutoffs(best)
            if self.likely(best):
                return best
        self.share(best.image)
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
            best = self.padded(self.faint(best))
            if self.good(best):
                return best
            for v, more in enumerate(self.pursue(best)):
                self.add(options[v], more)
            best, combined = self.combine(options, best)
            if not self.good(best):
                best = self.padded(best)
            if not self.good(best):
                best, combined = self.rounds(self.near, options, best, combined)
            if self.likely(best):
                return best
        for some in self.discover(best):
            for v in range(VOICES):
                self.add(options[v], some[v])
        best, combined = self.combine(options, best)
        return best if self.good(best) else self.rounds(self.near, options, best, combined)[0]

    def searched_with_cutoffs(self, best: Frame) -> Frame:
        """Return the best frame near to one, whatever number of bytes of FC is written."""
        likeliest = self.cutoffs()[0]
        tried = self.written_otherwise(likeliest)
        if self.swaying():
            held = cutoff_of(self.before().image)
            tried = [likeliest + by for by in FAR_CUTOFFS]
            tried = [f + (f & 7 == held & 7) for f in tried]  # mostly both bytes are written
        found = []
        for cutoff in tried:
            if not 0 <= cutoff <= HIGHEST_CUTOFF:
                continue
            new = self.play(with_cutoff(best.image, cutoff))
            new = self.near_to(new) if self.swaying() else self.near_quickly(new)
            found.append(new)
            if self.trace:
                print("   with FC", cutoff, cutoff_of(new.image), self.rms(new.energy) * 1e4)
            if self.good(new):
                return new
        return min([best, *found], key=lambda f: f.energy)

    def near_quickly(self, best: Frame) -> Frame:
        """Return a better frame near to one, without looking far."""
        self.share(best.image)
        options = [dict.fromkeys(self.simple(v, best)) for v in range(VOICES)]
        best, combined = self.combine(options, best)
        for turn in range(2):
            if self.good(best):
                return best
            self.freely = turn % 2 == 0
            for v in range(VOICES):
                self.add(options[v], self.near(v, combined or best))
            best, combined = self.combine(options, best)
        return self.swept(best)

    def rounds(
        self, stage: Stage, options: list[dict[Option, None]], best: Frame, combined: Frame | None
    ) -> tuple[Frame, Frame | None]:
        """Add options and combine them as long as that helps."""
        stale = 0
        for turn in range(8):
            self.freely, self.deeply = turn % 2 == 0, turn > 0
            old = best
            for v in range(VOICES):
                frame = combined or best
                start = self.start_of(frame, v) if self.loose(v) else AS_BEFORE
                more = [*self.simple(v, frame), *stage(v, frame)]
                if self.widely and v + 1 < VOICES:
                    some = [o for o in more[:MOST_TIMED] if self.writes_unheard(v, o)]
                    more += [replace(o, unheard=by) for o in some for by in (1, -1)]
                self.add(options[v], more if start == AS_BEFORE else [begun(o, start) for o in more])
            best, combined = self.combine(options, best)
            if self.good(best):
                break
            stale = stale + 1 if best.energy > 0.95 * old.energy else 0
            if stale > 1:
                break
        if self.trace:
            print("  ", stage.__name__, [len(o) for o in options], round(self.rms(best.energy) * 1e4, 2))
        return best, combined

    def faint(self, best: Frame) -> Frame:
        """Return a frame with FREQ, PW and phase of voices at level 0 as they can still be heard, if that is better."""
        if not self.path or self.good(best) or self.rms(best.energy) > FAINT_RMS:
            return best
        old = best
        for v in range(VOICES):
            control = field(best.image, v)[2]
            if best.levels[v].max() > FAINT_LEVEL or not plain(control):
                continue
            for option in self.faint_options(v, best):
                image = with_voice(best.image, v, *option.group)
                for pads in dict.fromkeys((best.pads, self.pads_after(v, best, image))):
                    new = self.refine(self.with_option(v, best, option, pads))
                    if new.energy < FAINT_GAIN * old.energy:
                        best = min(best, new, key=lambda f: f.energy)
        return best

    def with_option(self, v: int, frame: Frame, option: Option, pads: tuple) -> Frame:
        """Return a frame with an option for one voice, all other voices as they are."""
        starts = self.starts_of(frame)
        starts = (*starts[:v], option.start, *starts[v + 1 :])
        return self.play(with_voice(frame.image, v, *option.group), pads, starts)

    def pads_after(self, v: int, frame: Frame, image: np.ndarray) -> tuple:
        """Return `pads` with which the voices after one are written when they were, if its registers are others."""
        start = frame.before.image
        by = self.writes(v, start, frame.image) - self.writes(v, start, image)
        return tuple(p + by * (u == v + 1 < VOICES) for u, p in enumerate(frame.pads))

    def faint_options(self, v: int, best: Frame) -> list[Option]:
        """Return options with any FREQ and PW of a voice that is all but silent, its phase as known and any."""
        _, width, control, ad, sr = field(best.image, v)
        rest = self.rest(best, v)
        gain, constant, _ = self.levels(best.image, v)
        written = self.written(best.image, v)
        osc = best.before.osc[v]
        start = self.start_of(best, v)
        made = [Option((f, width, control, ad, sr), None, start[1], start[0]) for f in self.heard(v)]
        for f, w, kind, _ in self.folded(rest, gain, osc, written, 3, self.freqs):
            if kind == control >> 4:
                made.append(Option((f, w if kind == 4 else width, control, ad, sr), None, start[1], start[0]))
        old = field(self.before().image, v)[0]
        for f, w, phase in self.unlocked(rest, gain, constant, control >> 4, old, written, self.freqs):
            made.append(Option((f, w if control & PULSE else width, control, ad, sr), None, start[1], phase))
        return made

    def writes_unheard(self, v: int, option: Option) -> bool:
        """Whether an option may write what nobody hears: PW without a pulse, or anything before a note begins."""
        control = option.group[2]
        return not control & PULSE or (bool(control & GATE) and self.quiet(v))

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
        heard = self.rest(best, v)
        rest = self.ahead(v, heard)
        written = self.written(best.image, v)
        osc = best.before.osc[v]
        if best.levels[v].max() > 2 and control >= 16:
            gain, constant, _ = self.levels(best.image, v)
            if control & NOISE:
                freqs = np.unique(np.linspace(freq * 0.8, min(freq * 1.25, HIGHEST), 400).astype(np.int64))
                found = self.noise_peaks(rest, gain, constant, osc, written, freqs)
                for other in (written - WRITE_GAP_CYCLES, written + WRITE_GAP_CYCLES):
                    if (
                        self.widely and other >= 0
                    ):  # there is no slope to follow if those before it are told of something else
                        found += self.noise_peaks(rest, gain, constant, osc, other, freqs)
            elif not plain(control):
                found = []
            else:
                freqs = np.arange(max(int(freq * 0.8), 1), min(int(freq * 1.25) + 17, HIGHEST), 16, dtype=np.int64)
                found = self.peaks(rest, gain, constant, control >> 4, width, osc, written, freqs)
                if self.path and control & PULSE and (new := self.guesses(v)[0][1]) != width:
                    some = self.peaks(rest, gain, constant, control >> 4, new, osc, written, freqs)
                    made += [Option((f, new, control, ad, sr)) for f in some]
                if control & PULSE:
                    pulses = self.folded(rest, gain, osc, written, 3, freqs)
                    made += [Option((f, w, control, ad, sr)) for f, w, kind, _ in pulses if kind == 4]
            made += [Option((f, width, control, ad, sr)) for f in found]
            if self.path and not control & PULSE:
                # nobody hears it, but every byte takes time
                held = field(self.before().image, v)[1]
                others = dict.fromkeys((self.guesses(v)[0][1], *((held, held ^ 0x101) if self.widely else ())))
                made += [Option((f, w, control, ad, sr)) for w in others if w != width for f in [freq, *found]]
            if control & 0x76 == PULSE:
                widths = self.widths(rest, gain, constant, osc, freq, written)
                made += [Option((freq, w, control, ad, sr)) for w in widths]
        if control & GATE and self.loose(v) and plain(control):
            free = self.free_options(v, best.image, rest)
            made += self.moved_near(v, best, free) + free
        if self.widely and control & 0xF6 == PULSE and best.levels[v].max():
            gain = self.levels(best.image, v)[0]
            # FREQ of a quiet voice is only heard by what it takes to write it
            timed = (freq, field(self.before().image, v)[0] ^ 0x0101)
            made += [Option((f, w, control, ad, sr)) for w in self.steady_width(v, best, gain) for f in timed]
        if self.widely:
            made += self.otherwise_written(v, best, rest)
        rest = self.free_rest(v, best) if self.freely else heard
        if control & GATE and not field(self.before().image, v)[2] & GATE:
            made += self.new_envelopes(v, best.image, rest)
        if self.quiet(v):
            made += self.restarts(v, best.image, rest, osc) if control & GATE else self.fading(v, field(best.image, v))
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

    def moved_near(self, v: int, best: Frame, options: list[Option]) -> list[Option]:
        """Return options for one voice moved to where they leave least, all other voices as in a frame."""
        played = [(self.with_option(v, best, option, best.pads), option.env) for option in options]
        made = []
        for frame, env in sorted(played, key=lambda p: p[0].energy)[:TUNED]:
            new = self.refine(frame)
            made.append(Option(field(new.image, v), env=env, phase=self.start_of(new, v)[0]))
        return made

    def otherwise_written(self, v: int, best: Frame, rest: np.ndarray) -> list[Option]:
        """Return options with AD and SR as they were, and FREQ as it must be if another write takes their time."""
        freq, width, control, _, _ = field(best.image, v)
        _, held_width, _, *held = field(self.before().image, v)
        if [*field(best.image, v)[3:]] == held or not plain(control) or best.levels[v].max() < 3:
            return []
        gain, constant, _ = self.levels(best.image, v)
        freqs = np.arange(max(freq - SHIFTED, 1), min(freq + SHIFTED, HIGHEST) + 1, 4, dtype=np.int64)
        made = []
        for w in dict.fromkeys((width, self.guesses(v)[0][1], held_width ^ 0x101)):
            written = self.written(with_voice(best.image, v, freq, w, control, *held), v)
            found = self.peaks(rest, gain, constant, control >> 4, width, best.before.osc[v], written, freqs, 1)
            made += [Option((f, w, control, held[0], held[1])) for f in (*found, freq)]
        return made

    def pursue(self, best: Frame) -> list[list[Option]]:
        """Return options with any FREQ and PW, played with instruments that were heard before.

        Voices are added one by one to nothing, each as it explains most of what is left; a few ways are kept.
        """
        target = self.sums(best)
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
        rest = self.ahead(v, rest)
        _, _, was, _, _ = field(self.before().image, v)
        written = self.written(image, v)
        osc = self.before().osc[v]
        made: list[Option] = []
        if around is not None:
            if around.phase != KNOWN:
                osc = osc.copy()
                osc[kernel.ACC] = around.phase
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
        unlocked: set[int] = set()
        known = Known()
        for wave, a, s, gate in sorted(tries):
            begun_image = with_voice(image, v, None, None, wave | gate, a, s)
            gain, constant, loud = self.levels(begun_image, v)
            if gate and self.quiet(v) and plain(wave) and wave not in unlocked:
                unlocked.add(wave)
                made += self.free_options(v, begun_image, rest)
            if not loud or wave < 16:
                continue
            if wave & NOISE:
                freqs = self.noise_freqs
                if around is not None:
                    freqs = np.unique(np.linspace(freq * 0.95, min(freq * 1.05, HIGHEST), 50).astype(np.int64))
                noises = known.get((NOISE, 0), gain)
                if noises is None:
                    noises = known.put((NOISE, 0), gain, self.noise_peaks(rest, gain, constant, osc, written, freqs))
                held = field(self.before().image, v)[1]
                made += [Option((f, held, wave | gate, a, s)) for f in noises]
                continue
            if not plain(wave):
                continue
            freqs = self.freqs
            if around is not None:
                freqs = np.arange(max(int(freq * 0.97), 1), min(int(freq * 1.03) + 9, HIGHEST), 8, dtype=np.int64)
            widths = [width]
            if wave & PULSE and around is None:
                widths = [*dict.fromkeys([width, self.guesses(v)[0][1]])]
            for w in widths:
                found = known.get((wave >> 4, w), gain)
                if found is None:
                    new = self.peaks(rest, gain, constant, wave >> 4, w, osc, written, freqs, count)
                    found = known.put((wave >> 4, w), gain, new)
                made += [Option((f, w, wave | gate, a, s)) for f in found]
            if around is not None:
                if wave & PULSE:
                    widths = self.widths(rest, gain, constant, osc, freq, written)
                    made += [Option((freq, w, wave | gate, a, s)) for w in widths]
                continue
            folded = known.get((0, 0), gain)
            if folded is None:
                folded = known.put((0, 0), gain, self.folded(rest, gain, osc, written, 2, self.freqs))
            for f, w, kind, _ in folded:
                held = field(self.before().image, v)[1]
                made.append(Option((f, w if kind == 4 else held, kind << 4 | gate, a, s)))
        if around is not None:
            return [begun(o, around.start) for o in made]
        return made

    def free_options(self, v: int, image: np.ndarray, rest: np.ndarray) -> list[Option]:
        """Return options in which a voice that is heard again has any FREQ, PW and phase."""
        _, width, control, ad, sr = field(image, v)
        old, osc = field(self.before().image, v)[0], self.before().osc[v]
        written = self.written(image, v)
        quiet = self.quiet(v)
        group = control, ad, sr
        made = []
        for env in (b"", *(self.attacking(v, ad, match) for match in ATTACKS if quiet)):
            gain, constant, loud = self.levels(image, v, env)
            if not loud:
                continue
            if quiet:  # what it had before may still be known: it is not all lost at level 0
                some = [(f, w) for f, w, kind, _ in self.folded(rest, gain, osc, written, 2, self.freqs) if kind == 4]
                if not control & PULSE:
                    found = self.peaks(rest, gain, constant, control >> 4, width, osc, written, self.freqs, 2)
                    some = [(f, width) for f in found]
                made += [Option((f, w, *group), env=env) for f, w in some]
            for f, w, phase in self.unlocked(rest, gain, constant, control >> 4, old, written, self.freqs):
                made.append(Option((f, w if control & PULSE else width, *group), env=env, phase=phase))
        return made

    def base(self, best: Frame, free: list[int]) -> np.ndarray:
        """Return what is left of a frame for some voices, without its mean."""
        parts = self.parts(best)
        base = self.sums(best) - sum(parts[v] for v in range(VOICES) if v not in free)
        return base - base[SKIP:].mean()

    def beam(self, best: Frame, free: list[int]) -> list[Notes]:
        """Return the best ways in which notes may begin in some voices, their levels being free."""
        before = self.before()
        base = self.base(best, free)
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
                    heard = self.ahead(v, notes.rest)
                    some = self.folded(heard, flat, before.osc[v], written, FOUND, self.freqs)
                    shapes = [(f, w, kind << 4) for f, w, kind, _ in some]
                    shapes += [
                        (f, field(before.image, v)[1], NOISE)
                        for f in self.noise_peaks(
                            heard, flat, drift, before.osc[v], written, self.noise_freqs, (0.05, 1.1)
                        )
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
        return beam

    def discover(self, best: Frame) -> list[list[list[Option]]]:
        """Return options of all voices in which notes begin with instruments that were not heard before.

        Voices are added one by one, their levels being free; a few ways to do so are kept.
        """
        free = [v for v in range(VOICES) if not field(self.before().image, v)[2] & GATE]
        beam = self.beam(best, free)
        base = self.base(best, free)
        made = []
        for notes in beam[:2]:
            options: list[list[Option]] = [[] for _ in range(VOICES)]
            for v, (f, w, wave) in notes.shapes.items():
                others = sum(notes.parts[u] for u in notes.shapes if u != v)
                image = with_voice(best.image, v, f, w, wave | GATE)
                options[v] = self.new_envelopes(v, image, base - others, len(notes.shapes) > 1)
            made.append(options)
        return made
