"""Which registers a frame was made with: options for each voice, every combination judged, the best ones played."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import NO_PADS, Frame, field, with_voice
from sidlearn.learn.decode.path import GOOD_RMS, HIGHEST, LIKELY_RMS, NOISE, PULSE, SKIP, Option, padded
from sidlearn.learn.decode.refine import Refinement
from sidlearn.learn.decode.sets import NEAR_FREQ
from sidlearn.registers import GATE, MODE_VOL, VOICE_STRIDE, VOICES

TOGGLE_COST = 3e-7
"""Energy that a change of a gate must explain: without it gates that nobody hears would flicker."""

TRIED, SAME = 48, 4
"""Combinations that are played, a third if no two envelopes are unknown, and how many of them may differ in FREQ and PW
alone."""

REFINED = 3
ENVELOPE_WRITE = 0.5
"""What a write of AD or SR costs beside a change of a gate; guess."""

MOST_OPTIONS = 40
"""Of a voice that are kept from round to round."""

COMBINED = 20
"""Options of a voice of which every combination is judged, the times of writes included."""
ORDERS, DISCOVERED = 2, 3
"""Sets of shapes of the first frame that are looked at, each in so many orders of voices."""
FORESEEN = 6
"""Options of a voice that are among them whatever they leave: the first, which are foreseen."""
FREE_RATIO = 1.5
"""Of what a frame leaves to what its shapes leave: above, the envelopes are taken as they are heard; guess."""
MOST_GUESSES, MOST_TOGGLED = 9, 4
"""FREQ and PW that are foreseen for a voice, and those with which the gate changes."""
NEAR_NOISE = 2000
ENOUGH = 8
"""Good combinations beyond the first that are compared."""

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

OTHER = Option((0, 0, 0, 0, 0))
"""Stands for a voice that does not matter."""


class Searcher(Refinement):
    """Decodes frame after frame with one `Forward`."""

    def decode_next(self) -> Frame:
        """Find the registers of the next frame and go on to it."""
        self.renew()
        self.freely = True
        best = self.predict()
        if not self.good(best):
            best = self.search(best)
        self.accept(best)
        return best

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
            for v in range(VOICES):
                self.add(options[v], self.moves(v, combined or best))
            best, combined = self.combine(options, best)
            if self.good(best):
                return best
            sets = self.shape_sets(best)
            for rank, notes in enumerate(sets):
                for v in range(VOICES):
                    self.add(options[v], self.clothed(v, best, notes, rank == 0))
            best, combined = self.combine(options, best)
            if not self.good(best):
                best, combined = self.rounds(self.near, options, best, combined)
            if sets and self.rms(best.energy) > max(FREE_RATIO * self.left(sets[0]), LIKELY_RMS):
                best = min(best, self.free_frame(sets[0]), key=lambda f: f.energy)
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

    def add(self, options: dict[Option, None], more: Iterable[Option]) -> None:
        """Add options that are not there."""
        for option in more:
            options.setdefault(option)

    def own_writes(self, v: int, option: Option, base: np.ndarray, slot: int) -> np.ndarray:
        """Return the writes of one voice, the first of them after `slot` others, int64 (writes, 3)."""
        old = self.before().image
        if option.past is not None:
            old = self.past_image([option if u == v else OTHER for u in range(VOICES)], len(self.path) - 1, old)
        everything = not self.path and self.everything
        pads = NO_PADS if everything else tuple(slot if u == v else 0 for u in range(VOICES + 1))
        events = self.forward.events_between(old, with_voice(old, v, *option.group), pads, everything)
        events = events[events[:, 1] // VOICE_STRIDE == v]
        if option.group[2] & 6:  # the voice that rings or syncs it
            source = (v + 2) % VOICES
            more = self.forward.events_between(self.before().image, base)
            more = more[more[:, 1] // VOICE_STRIDE == source]
            events = np.concatenate([events, more])
            events = events[np.argsort(events[:, 0], kind="stable")]
        return events

    def part(self, v: int, option: Option, base: np.ndarray, slot: int = -1) -> np.ndarray:
        """Return what a voice adds to the sum of voices with an option, without its mean, float64 (samples - SKIP,).

        Its writes come after `slot` others; -1: as many as with the registers of `base`.
        """
        if slot < 0:
            events = self.forward.events_between(
                self.before().image, with_voice(base, v, *option.group), NO_PADS, not self.path and self.everything
            )
            slot = int((events[:, 1] < v * VOICE_STRIDE).sum() + (events[:, 1] >= VOICES * VOICE_STRIDE).sum())
        events = self.own_writes(v, option, base, slot)
        key = (v, option, events.tobytes())
        found = self._parts.get(key)
        if found is None:
            before, f = self.before(), self.forward
            env = np.frombuffer(option.env, np.int64).copy() if option.env else before.env[v].copy()
            wave, _ = f.wave(before, v, events)
            levels = np.empty(f.steps, np.uint8)
            kernel.frame_envelope(env, v, events, f.frame_cycles, levels)
            out = np.empty(f.samples, np.float32)
            kernel.contribution(wave, levels, f.dac_env, f.drift, f.per_wave, f.taps, self._mixed, self._history, out)
            found = out[SKIP:].astype(np.float64)
            found -= found.mean()
            self._parts[key] = found
        return found

    def combine(self, options: list[dict[Option, None]], best: Frame) -> tuple[Frame, Frame | None]:
        """Play the combinations of options that fit best; return the best frame, and the best of what was played."""
        lists = [list(o) for o in options]
        target = self.forward.sums(best)[SKIP:]
        target = target - target.mean()
        base = best.image
        least, base = self.marginals(lists, base, target)
        least = [np.minimum(a, b) for a, b in zip(least, self.marginals(lists, base, target)[0], strict=True)]
        for v, options_v in enumerate(options):
            order = np.argsort(least[v], kind="stable")
            for k in order[MOST_OPTIONS:]:
                del options_v[lists[v][k]]
            kept = dict.fromkeys([*order[:COMBINED].tolist(), *range(min(FORESEEN, len(lists[v])))])
            lists[v] = [lists[v][k] for k in kept]
        left = self.lefts(lists, base, target)
        at = np.unravel_index(int(np.argmin(left)), left.shape)
        for v in range(VOICES):
            base = with_voice(base, v, *lists[v][at[v]].group)
        played: list[tuple[Frame, list[Option]]] = []
        several = sum(self.open(v, best) for v in range(VOICES)) > 1
        enough = 0
        combinations = []
        for k in self.chosen(lists, left, several):
            at = np.unravel_index(k, left.shape)
            some = [lists[v][at[v]] for v in range(VOICES)]
            combinations.append((float(left[at]) + self.tie * self.toggles(some), some))
        for _, some in sorted(combinations, key=lambda c: c[0]):
            played.append((self.play_options(some, base), some))
            enough += self.good(played[-1][0])
            if enough > ENOUGH:
                break
        played.sort(key=lambda p: p[0].energy)
        seen: dict[tuple, int] = {}
        for i, (frame, some) in enumerate(played):
            name = tuple(o.group[2:] for o in some)
            seen[name] = seen.get(name, 0) + 1
            if (seen[name] > 1 and i >= REFINED) or frame.energy > 40 * played[0][0].energy:
                continue
            played[i] = (self.refine(frame), some)
            if self.good(played[i][0]):
                break
        cost = TOGGLE_COST + 0.01 * min(p[0].energy for p in played)
        played.sort(key=lambda p: p[0].energy + cost * self.toggles(p[1]))
        for frame, some in played:
            if frame.energy > best.energy - max(1e-6, 0.03 * best.energy):
                break
            if not any(o.past for o in some):
                return frame, frame
            adopted = self.adopt(frame, some)
            if adopted is not None and adopted.energy < best.energy:
                return adopted, adopted
        return best, played[0][0]

    def toggles(self, some: Sequence[Option]) -> float:
        """Return how many gates change in a combination, beside those of the path, and half of the other writes."""
        count = 0.0
        for v, option in enumerate(some):
            gates = dict(option.past.gates) if option.past is not None else {}
            count += len(gates)
            last = gates.get(len(self.path) - 1, field(self.before().image, v)[2] & GATE)
            gate = option.group[2] & GATE
            count += gate != last
            if last and not gate and option.group[0] != field(self.before().image, v)[0]:
                count += 2  # a note that ends as it changes its pitch
            ad, sr = field(self.image(option.past.begin - 1) if option.past is not None else self.before().image, v)[3:]
            count += ENVELOPE_WRITE * ((option.group[3] != ad) + (option.group[4] != sr))
        return count

    def marginals(
        self, lists: list[list[Option]], base: np.ndarray, target: np.ndarray
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """Return what the best combination with each option leaves, when all is written as for `base`.

        The registers of the best combination come second.
        """
        parts = [np.stack([self.part(v, o, base) for o in lists[v]]).astype(np.float32) for v in range(VOICES)]
        aim = target.astype(np.float32)
        own = [np.einsum("ij,ij->i", some, some) - 2 * (some @ aim) for some in parts]
        pairs = [2 * (parts[a] @ parts[b].T) for a, b in ((0, 1), (0, 2), (1, 2))]
        least = [np.full(len(some), np.inf, np.float32) for some in lists]
        for i in range(len(lists[0])):
            block = (own[0][i] + own[1] + pairs[0][i])[:, None] + (own[2] + pairs[1][i])[None, :] + pairs[2]
            rows = block.min(axis=1)
            least[0][i] = rows.min()
            np.minimum(least[1], rows, out=least[1])
            np.minimum(least[2], block.min(axis=0), out=least[2])
        for v in range(VOICES):
            base = with_voice(base, v, *lists[v][int(np.argmin(least[v]))].group)
        return least, base

    def lefts(self, lists: list[list[Option]], base: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return how much every combination leaves of `target`, less what it has, one axis a voice.

        What is written for a voice moves what is written for the next.
        """
        events = self.forward.events_between(self.before().image, base)
        shared = int((events[:, 1] >= VOICES * VOICE_STRIDE).sum())
        counts = [
            np.array([len(self.own_writes(v, o, base, 0)) if not o.group[2] & 6 else 7 for o in lists[v]])
            for v in range(2)
        ]
        left = np.empty([len(some) for some in lists])

        def stacked(v: int, rows: np.ndarray, slot: int) -> tuple[np.ndarray, np.ndarray]:
            some = np.stack([self.part(v, lists[v][k], base, slot) for k in rows])
            return some, np.einsum("ij,ij->i", some, some) - 2 * (some @ target)

        thirds: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        for first in np.unique(counts[0]):
            rows0 = np.flatnonzero(counts[0] == first)
            parts0, own0 = stacked(0, rows0, shared)
            for second in np.unique(counts[1]):
                rows1 = np.flatnonzero(counts[1] == second)
                parts1, own1 = stacked(1, rows1, shared + int(first))
                slot = shared + int(first + second)
                if slot not in thirds:
                    thirds[slot] = stacked(2, np.arange(len(lists[2])), slot)
                parts2, own2 = thirds[slot]
                block = own0[:, None, None] + own1[None, :, None] + own2[None, None, :]
                block += 2 * (parts0 @ parts1.T)[:, :, None]
                block += 2 * (parts0 @ parts2.T)[:, None, :]
                block += 2 * (parts1 @ parts2.T)[None, :, :]
                left[np.ix_(rows0, rows1)] = block
        return left

    def chosen(self, lists: list[list[Option]], left: np.ndarray, several: bool) -> list[int]:
        """Return the combinations that leave least, and the best for each pattern of gates."""
        flat = left.ravel()
        count = min(50 * TRIED, flat.size)
        best = np.argpartition(flat, count - 1)[:count]
        best = best[np.argsort(flat[best], kind="stable")]
        most = TRIED if several else TRIED // 3
        found: list[int] = []
        seen: dict[tuple, int] = {}
        for k in best:
            at = np.unravel_index(k, left.shape)
            name = tuple(lists[v][at[v]].group[2:] for v in range(VOICES))
            seen[name] = seen.get(name, 0) + 1
            if seen[name] <= SAME:
                found.append(int(k))
                if len(found) == most:
                    break
        gates = [np.array([o.group[2] & GATE for o in some]) for some in lists]
        more = []
        for pattern in product((0, 1), repeat=VOICES):
            rows = [np.flatnonzero(g == p) for g, p in zip(gates, pattern, strict=True)]
            if all(len(r) for r in rows):
                part = left[np.ix_(*rows)]
                at = np.unravel_index(int(np.argmin(part)), part.shape)
                more.append(int(np.ravel_multi_index([r[i] for r, i in zip(rows, at, strict=True)], left.shape)))
        return list(dict.fromkeys([*found, *more]))

    def play_options(self, some: Sequence[Option], base: np.ndarray) -> Frame:
        """Play one combination."""
        image = base
        for v, option in enumerate(some):
            image = with_voice(image, v, *option.group)
        if not any(o.past for o in some):
            return self.play(image)
        before = self.before()
        env = before.env.copy()
        for v, option in enumerate(some):
            if option.env:
                env[v] = np.frombuffer(option.env, np.int64)
        old = self.past_image(some, len(self.path) - 1, before.image)
        state = replace(before, env=env, image=old)
        return self.evaluate(state, len(self.path), image, NO_PADS)

    def adopt(self, frame: Frame, some: Sequence[Option]) -> Frame | None:
        """Change the path as options want it and return the frame played after it; None if the past gets worse."""
        for undone in self.undoings(some):
            new = self.replay(frame, some, undone)
            if new is not None:
                return new
        return None

    def undoings(self, some: Sequence[Option]) -> list[dict[int, tuple[int, int, int]]]:
        """Return changes of AD and SR that may have been taken for another write that came before.

        By voice: the frame, and AD and SR before it.
        """
        found: list[dict[int, tuple[int, int, int]]] = [{}]
        for option in some:
            for at, _ in option.past.gates if option.past is not None else ():
                for u in range(VOICES):
                    old, new = field(self.image(at - 1), u)[3:], field(self.path[at].image, u)[3:]
                    if old != new and {u: (at, *old)} not in found:
                        found.append({u: (at, *old)})
        return found

    def replay(self, frame: Frame, some: Sequence[Option], undone: dict[int, tuple[int, int, int]]) -> Frame | None:
        """Play the path again as options want it; keep it, and return the frame after it, if it is no worse."""
        number = frame.number

        def changed(image: np.ndarray, at: int) -> np.ndarray:
            for u, (first, ad, sr) in undone.items():
                if at >= first and field(image, u)[3:] == field(self.path[first].image, u)[3:]:
                    image = with_voice(image, u, ad=ad, sr=sr)
            return self.past_image(some, at, image)

        begin = min(min([p.begin, *(at for at, _ in p.gates)]) for o in some if (p := o.past) is not None)
        late = {o.past.late: v for v, o in enumerate(some) if o.past is not None and o.past.late >= 0}
        while (
            begin < number
            and begin not in late
            and np.array_equal(changed(self.path[begin].image, begin), self.path[begin].image)
        ):
            begin += 1
        image = frame.image
        for u, (first, ad, sr) in undone.items():
            if field(image, u)[3:] == field(self.path[first].image, u)[3:]:
                image = with_voice(image, u, ad=ad, sr=sr)
        if begin == number:
            return self.play(image, frame.pads)
        state = self.path[begin].before
        frames: list[Frame] = []
        self.forward.forget()
        for old in self.path[begin:]:
            pads = padded(old.pads, late[old.number]) if old.number in late else old.pads
            free = {
                v: levels for v, levels in old.free.items() if (past := some[v].past) is None or old.number < past.begin
            }
            new = self.evaluate(state, old.number, changed(old.image, old.number), pads, free)
            if new.energy > 2 * old.energy + 819 * GOOD_RMS**2:
                return None
            self.pass_dc(new)
            frames.append(new)
            state = new.after
        self.path[begin:] = frames
        self.floor[begin:] = [self.rms(f.energy) for f in frames]
        self.renew()
        return self.refine(self.play(image, frame.pads))

    def simple(self, v: int, best: Frame) -> list[Option]:
        """Return what is there already: values heard before, gate on or off."""
        freq, width, control, ad, sr = field(best.image, v)
        _, _, was, _, _ = field(self.before().image, v)
        made = []
        pairs = self.guesses(v)[:MOST_GUESSES] if self.path else [(freq, width)]
        for w in self.unheard(v, control, width):
            made.append(Option((*pairs[0][:1], w, control, ad, sr)))
            made.append(Option((freq, w, control, ad, sr)))
        values = [*dict.fromkeys([(freq, width), *pairs])]
        made += [Option((f, w, control, ad, sr)) for f, w in values]
        made += [Option((f, w, control ^ GATE, ad, sr)) for f, w in values[:MOST_TOGGLED]]
        made += [Option((f, w, wave | control & 0x0E, ad, sr)) for f, w, wave, _ in self.followers(v)]
        if not was & GATE:
            starts = [(f, width) for f in dict.fromkeys(f for f, _, _, _ in self.starts(v))]
            for f, w in [*values[:2], *starts]:
                made += [Option((f, w, wave | GATE, a, s)) for wave, a, s in self.instruments(v, 3)]
        return made

    def moves(self, v: int, best: Frame) -> list[Option]:
        """Return options in which FREQ moves a little, or PW by any amount, and the envelope goes on."""
        freq, width, control, ad, sr = field(best.image, v)
        if best.levels[v].max() <= 2 or control < 16 or control & 6:
            return []
        rest = self.rest(best, v)
        written = self.written(best.image, v)
        gain, constant, _ = self.levels(best.image, v)
        made: list[Option] = []
        if control & NOISE:
            freqs = np.arange(max(freq - NEAR_NOISE, 1), min(freq + NEAR_NOISE, HIGHEST), 16, dtype=np.int64)
            made += [
                Option((f, width, control, ad, sr)) for f in self.noise_peaks(rest, gain, constant, v, written, freqs)
            ]
        elif control >> 4 in (1, 2, 4):
            freqs = np.arange(max(int(freq * 0.85), 1), min(int(freq * 1.18) + 17, HIGHEST), 16, dtype=np.int64)
            for f in self.peaks(rest, gain, constant, control >> 4, width, v, written, freqs, 2):
                unheard = dict.fromkeys([width, *self.unheard(v, control, width)])
                made += [Option((f, w, control, ad, sr)) for w in unheard]
            if control & PULSE:
                widths = self.widths(rest, gain, constant, v, freq, written)
                made += [Option((freq, w, control, ad, sr)) for w in widths]
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
            made += [Option((f, width, control, ad, sr)) for f in found]
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
            tries = {(control & 0xFE, ad, sr, was & GATE)}
            if not was & GATE:
                tries |= {(wave, a, s, GATE) for wave, a, s in self.instruments(v, 3)}
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
            for f, w, kind, _ in self.folded(rest, gain, v, written, 2):
                held = field(self.before().image, v)[1]
                made.append(Option((f, w if kind == 4 else held, kind << 4 | gate, a, s)))
        return made

    def discover(self, best: Frame) -> list[list[list[Option]]]:
        """Return options of all voices in which notes begin with instruments that were not heard before.

        Voices are added one by one, their levels being free; a few ways to do so are kept.
        """
        base = self.forward.sums(best)
        silent = self.fit_notes(base, {})
        beam = [silent]
        for _ in range(VOICES):
            found = self.distinct_sets([*beam, *(new for notes in beam for new in self.extended(base, notes))])
            beam = sorted((self.settle(base, notes) for notes in found[: 2 * KEPT]), key=lambda x: x.energy)[:KEPT]
        more = [n for notes in beam[:3] for n in self.swapped(base, notes)]
        beam = self.distinct_sets([*beam, *more])
        if self.trace:
            print("   found", [(n.shapes, round(self.left(n) * 1e4, 1)) for n in [silent, *beam]])
        made = []
        kinds: dict[tuple, int] = {}
        for notes in beam:
            kind = tuple(sorted((wave, f // NEAR_FREQ) for f, _, wave, _ in notes.shapes.values()))
            kinds[kind] = kinds.get(kind, 0) + 1
            if kinds[kind] > ORDERS or len(kinds) > DISCOVERED:
                continue
            options: list[list[Option]] = [[] for _ in range(VOICES)]
            for v, (f, w, wave, _) in notes.shapes.items():
                image = with_voice(best.image, v, f, w, wave | GATE)
                rest = notes.rest + notes.parts[v]
                options[v] = self.new_envelopes(v, image, rest, len(notes.shapes) > 1)
            made.append(options)
        return made
