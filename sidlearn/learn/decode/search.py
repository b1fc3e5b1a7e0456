"""Which registers a frame was made with: options for each voice, every combination judged, the best ones played."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations, product

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import NO_PADS, Frame, field, with_voice
from sidlearn.learn.decode.path import FAIR_RMS, GOOD_RMS, HIGHEST, LIKELY_RMS, NOISE, PULSE, SKIP, Option, padded
from sidlearn.learn.decode.refine import Refinement
from sidlearn.learn.decode.shapes import Notes
from sidlearn.registers import GATE, MODE_VOL, VOICE_STRIDE, VOICES

TOGGLE_COST = 3e-7
"""Energy that a change of a gate must explain: without it gates that nobody hears would flicker."""

TRIED, SAME = 36, 2
"""Combinations that are played, a third if no two envelopes are unknown, and how many of them may differ in FREQ and PW
alone."""

REFINED, MOST_REFINED, SETTLED = 3, 10, 1
"""Of these: the first ones, those that differ in waveforms and envelopes, and the best, in likely values."""

MOST_OPTIONS, SOME_OPTIONS = 80, 48
"""Of a voice that are kept from round to round, with two envelopes that are unknown and without."""

WRONG_WIDTH = 64
"""Of a PW that is found where writes are not where they were thought to be; guess."""

NEW_AD, NEW_SR = 0x09, 0x80
"""Envelope with which notes of new instruments are looked for; guess: attack 0, decay 9, sustain 8."""

FAR_RMS = 0.02
"""What is left where a voice plays something else altogether; guess."""

ENOUGH = 8
"""Good combinations beyond the first that are compared."""

CROSSED = 6
"""Shapes and envelopes of a voice that are tried together."""

OFTEN = 0.25
"""Share of frames in which a voice must have been told of a PW that nobody heard, to look for another; guess."""

LONGEST_REASSIGNED = 64
"""Frames in which writes that nobody heard are given to another voice; guess."""

LOOK_BACK = 16
"""Frames that are gone over again; guess."""

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
        best = self.predict()
        if not self.good(best):
            best = self.search(best)
            settled = self.settle(best)
            if settled is not best and not self.likely(settled):
                settled = self.rounds(self.near, [dict.fromkeys(self.simple(v, settled)) for v in range(VOICES)], settled, settled)[0]
            best = settled
            if not self.good(best):
                best = self.reassign(self.reveal(best))
            if self.path and self.good(best):
                best = self.steadier(best)
        self.accept(best)
        self.look_back()
        return best

    def reveal(self, best: Frame) -> Frame:
        """Return a better frame if PW, which is heard for the first time, was written long before, else `best`."""
        path, floor = self.path, self.floor
        for v in range(VOICES):
            width, control, _, _ = field(best.image, v)[1:]
            if not path or not control & PULSE or field(self.before().image, v)[2] & PULSE:
                continue
            likely = dict.fromkeys((0x800, (width + 128 & 0xF00) % 0x1000, width))
            others = [u for u in range(VOICES) if u != v and not field(self.before().image, u)[2] & PULSE]
            for held, u in product((w for w in likely if abs(w - width) <= WRONG_WIDTH), others or [v]):
                if not self.rewrite(v, u, held):
                    continue
                new = self.settle(self.refine(self.play(with_voice(best.image, v, width=held))))
                if not self.good(new):
                    some = [dict.fromkeys(self.simple(w, new)) for w in range(VOICES)]
                    new = self.rounds(self.near, some, new, new)[0]
                if self.trace:
                    print("   revealed", v, held, u, self.rms(new.energy) * 1e4)
                if new.energy < 0.5 * best.energy:
                    return new
                self.path, self.floor = path, floor
                self.renew()
        return best

    def rewrite(self, v: int, u: int, held: int | None = None) -> bool:
        """Give the writes of PW of voice `v` that nobody heard to voice `u`; False, and nothing done, if one was heard.

        PW of `v` stays as it is, or is `held` all the time.
        """
        path, floor = self.path, self.floor
        number = len(path)
        since = min(max(self.unheard(v), self.unheard(u), number - LONGEST_REASSIGNED), number)
        was, (mine, other) = self.image(since - 1), (field(self.image(since - 1), w)[1] for w in (v, u))
        mine = mine if held is None else held
        self.path, self.floor = path[:since], floor[:since]
        for old in path[since:]:
            if old.number or not self.everything:
                bytes_written = sum(self.changed_bytes(field(was, w)[1], field(old.image, w)[1]) for w in {u, v})
                other = (other & 0xF00) + (0x100 if bytes_written > 1 else 0) & 0xF00 | other + (bytes_written > 0) & 0xFF
            image = with_voice(old.image, v, width=mine)
            if u != v:
                image = with_voice(image, u, width=other)
            self.accept(self.evaluate(self.before(), old.number, image, old.pads))
            was = old.image
        self.renew()
        worst = max(self.floor[since:], default=0.0)
        if worst < max(LIKELY_RMS, 1.5 * max(floor[since:], default=0.0)):
            return True
        if self.trace:
            print("   not rewritten", v, u, held, since, np.round(np.array(self.floor[since:]) * 1e4, 1))
        self.path, self.floor = path, floor
        self.renew()
        return False

    @staticmethod
    def changed_bytes(old: int, new: int) -> int:
        """Return how many bytes of a register pair are written."""
        return ((old ^ new) & 0xFF > 0) + ((old ^ new) >> 8 > 0)

    def reassign(self, best: Frame) -> Frame:
        """Return a better frame if writes of PW that nobody heard belong to another voice, else `best`."""
        path, floor = self.path, self.floor
        silent = [v for v in range(VOICES) if path and not field(self.before().image, v)[2] & PULSE]
        for v, u in permutations(silent, 2):
            widths = [field(f.image, v)[1] for f in path[self.unheard(v) :]]
            if sum(a != b for a, b in pairwise(widths)) < OFTEN * len(widths) or not self.rewrite(v, u):
                continue
            new = self.predict()
            if not self.good(new):
                new = self.search(new)
            if self.trace:
                print("   reassigned", v, u, self.rms(new.energy) * 1e4)
            if new.energy < 0.5 * best.energy:
                return new
            self.path, self.floor = path, floor
            self.renew()
        return best

    def unheard(self, v: int) -> int:
        """Return the first frame since which nobody hears PW of a voice."""
        for k in range(len(self.path) - 1, -1, -1):
            if field(self.path[k].image, v)[2] & PULSE:
                return k + 1
        return 0 if self.everything else 1

    def look_back(self) -> None:
        """Go over frames again that were not understood when they came, once those after them are."""
        number = len(self.path)
        if number < 3 or max(self.floor[-2:]) > GOOD_RMS:
            return
        since = max(0, number - LOOK_BACK)
        doubtful = [k for k in range(since, number) if self.floor[k] > FAIR_RMS and k not in self._gone_over]
        if not doubtful:
            return
        self._gone_over.update(doubtful)
        first = doubtful[0]
        path, floor = self.path, self.floor
        self.path, self.floor = path[:first], floor[:first]
        for old in path[first:]:
            self.renew()
            new = self.play(old.image, old.pads)
            if not self.good(new):
                new = self.settle(self.refine(new))
            self.accept(self.steadier(new))
        if sum(f * f for f in self.floor) >= sum(f * f for f in floor):
            self.path, self.floor = path, floor
        elif self.trace:
            print("   gone over", first, np.round(np.array(floor[first:]) * 1e4, 1), np.round(np.array(self.floor[first:]) * 1e4, 1))
        self.renew()

    def steadier(self, frame: Frame) -> Frame:
        """Return the frame with no more left and the least that is new: writes that nobody hears stand for each other."""
        for _ in range(2):
            old = frame
            for v in range(VOICES):
                held = field(self.before().image, v)
                _, _, control, ad, sr = field(frame.image, v)
                tried = []
                for gate, (a, s), width in product(
                    (0, GATE), dict.fromkeys(((ad, sr), held[3:])), self.likely_widths(frame, v)
                ):
                    image = with_voice(frame.image, v, width=width, control=control & ~GATE | gate, ad=a, sr=s)
                    tried.append((self.news(v, image), self.again(frame, image)))
                least = min(f.energy for _, f in tried)
                frame = min(
                    (t for t in tried if t[1].energy <= 1.03 * least + 1e-6), key=lambda t: (t[0], t[1].energy)
                )[1]
            if frame is old:
                break
        return frame

    def news(self, v: int, image: np.ndarray) -> int:
        """Return how much of what a voice is told in a frame could not be expected."""
        _, held_width, was, *held = field(self.before().image, v)
        _, width, control, ad, sr = field(image, v)
        count = 2 * ((control ^ was) & GATE)
        if (ad, sr) != tuple(held):
            count += 1 if (control & 0xFE, ad, sr) in self.instruments(v) else 4
            count += 0 if control & GATE else 3  # who tells of an envelope lets a note begin
        if width != held_width and width != self.guesses(v)[0][1]:
            count += 1
        return count

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

    def add(self, options: dict[Option, None], more: Iterable[Option]) -> None:
        """Add options that are not there."""
        for option in more:
            options.setdefault(option)

    def part(self, v: int, option: Option, base: np.ndarray) -> np.ndarray:
        """Return what a voice adds with an option if the voices before it are told what `base` says."""
        image = with_voice(base, v, *option.group)
        return self.part_after(v, option, sum(self.writes(u, image) for u in range(v)))

    def writes(self, v: int, image: np.ndarray, old: np.ndarray | None = None) -> int:
        """Return how many registers of a voice are written."""
        own = slice(v * VOICE_STRIDE, (v + 1) * VOICE_STRIDE)
        if not self.path and self.everything:
            return VOICE_STRIDE
        return int(np.count_nonzero(image[own] != (self.before().image if old is None else old)[own]))

    def told(self, v: int, option: Option) -> tuple[np.ndarray, np.ndarray]:
        """Return the registers before and after an option of one voice, the others not touched."""
        old = self.before().image
        if option.past is not None:
            old = self.past_image([option if u == v else OTHER for u in range(VOICES)], len(self.path) - 1, old)
        image = with_voice(old, v, *option.group)
        if not self.path:
            image[MODE_VOL] = 15
        return old, image

    def part_after(self, v: int, option: Option, offset: int) -> np.ndarray:
        """Return what a voice adds to the sum of voices with an option, after so many writes to those before it.

        Float64 (samples - SKIP,), without its mean.
        """
        before = self.before()
        key = (v, option, offset)
        found = self._parts.get(key)
        if found is None:
            first = not self.path and self.everything
            old, image = self.told(v, option)
            pads = (0,) * v + (0 if first else offset,) + (0,) * (VOICES - v)
            events = self.forward.events_between(old, image, pads, first)
            own = events[events[:, 1] // VOICE_STRIDE == v]
            same = (v, option, own[:, 0].tobytes())
            found = self._parts.get(same)
        if found is None:
            env = np.frombuffer(option.env, np.int64).copy() if option.env else before.env[v].copy()
            wave, _ = self.forward.wave(before, v, own)
            levels = np.empty(self.forward.steps, np.uint8)
            kernel.frame_envelope(env, v, own, self.forward.frame_cycles, levels)
            out = np.empty(self.forward.samples, np.float32)
            f = self.forward
            kernel.contribution(wave, levels, f.dac_env, f.drift, f.per_wave, f.taps, self._mixed, self._history, out)
            found = out[SKIP:].astype(np.float64)
            found -= found.mean()
            self._parts[same] = found
        self._parts[key] = found
        return found

    def combine(self, options: list[dict[Option, None]], best: Frame) -> tuple[Frame, Frame | None]:
        """Play the combinations of options that fit best; return the best frame, and the best of what was played."""
        lists = [list(o) for o in options]
        target = self.forward.sums(best)[SKIP:]
        target = target - target.mean()
        left = self.lefts(lists, target)
        several = sum(self.open(v, best) for v in range(VOICES)) > 1
        most = MOST_OPTIONS if several else SOME_OPTIONS
        for v, options_v in enumerate(options):
            if len(lists[v]) > most:
                least = left.min(axis=tuple(u for u in range(VOICES) if u != v))
                for k in np.argsort(least, kind="stable")[most:]:
                    del options_v[lists[v][k]]
        played: list[tuple[Frame, list[Option]]] = []
        enough = 0
        combinations = []
        for k in self.chosen(lists, left, several):
            at = np.unravel_index(k, left.shape)
            some = [lists[v][at[v]] for v in range(VOICES)]
            combinations.append((float(left[at]) + self.tie * self.toggles(some), some))
        for _, some in sorted(combinations, key=lambda c: c[0]):
            played.append((self.play_options(some, best.image), some))
            enough += self.good(played[-1][0])
            if enough > ENOUGH:
                break
        played.sort(key=lambda p: p[0].energy)
        seen: dict[tuple, int] = {}
        for i, (frame, some) in enumerate(played):
            name = tuple(o.group[2:] for o in some)
            seen[name] = seen.get(name, 0) + 1
            again = seen[name] > 1 or (len(seen) > MOST_REFINED and not several)
            if (again and i >= REFINED) or frame.energy > 40 * played[0][0].energy:
                continue
            played[i] = (self.refine(frame), some)
            if self.good(played[i][0]):
                break
        if not any(self.good(p[0]) for p in played):
            for i in range(min(SETTLED, len(played))):
                played[i] = (self.settle(played[i][0]), played[i][1])
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
            kept = self.with_present_envelopes(frame, some)
            if kept.energy < best.energy - max(1e-6, 0.03 * best.energy):
                return kept, kept
        return best, played[0][0]

    def with_present_envelopes(self, frame: Frame, some: Sequence[Option]) -> Frame:
        """Return the best frame like one that was played, with the past of one voice, or of all, as it is."""
        past = [v for v, option in enumerate(some) if option.past is not None]
        best: Frame | None = None
        image = frame.image
        for v in past:
            ad, sr = field(self.before().image, v)[3:]
            image = with_voice(image, v, ad=ad, sr=sr)
        for gates in product((0, GATE), repeat=len(past)):
            tried = image
            for v, gate in zip(past, gates, strict=True):
                tried = with_voice(tried, v, control=field(image, v)[2] & ~GATE | gate)
            new = self.play(tried)
            if best is None or new.energy < best.energy:
                best = new
        assert best is not None
        return self.refine(best)

    def toggles(self, some: Sequence[Option]) -> int:
        """Return how many gates change in a combination, beside those of the path."""
        count = 0
        for v, option in enumerate(some):
            gates = dict(option.past.gates) if option.past is not None else {}
            count += len(gates)
            last = gates.get(len(self.path) - 1, field(self.before().image, v)[2] & GATE)
            gate = option.group[2] & GATE
            count += gate != last
            if option.past is None and not gate and option.group[3:] != field(self.before().image, v)[3:]:
                count += 2  # who tells of an envelope lets a note begin
            if last and not gate and option.group[0] != field(self.before().image, v)[0]:
                count += 2  # a note that ends as it changes its pitch
        return count

    def lefts(self, lists: list[list[Option]], target: np.ndarray) -> np.ndarray:
        """Return how much every combination leaves of `target`, less what it has, one axis a voice.

        What is written to one voice comes later by what is written to those before it.
        """
        counts = [np.array([self.writes(v, *self.told(v, o)[::-1]) for o in lists[v]]) for v in range(VOICES)]
        left = np.empty([len(some) for some in lists])
        parts: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}

        def at(v: int, offset: int) -> tuple[np.ndarray, np.ndarray]:
            if (v, offset) not in parts:
                made = np.stack([self.part_after(v, o, offset) for o in lists[v]])
                parts[v, offset] = made, np.einsum("ij,ij->i", made, made) - 2 * (made @ target)
            return parts[v, offset]

        for n in np.unique(counts[0]):
            first = np.flatnonzero(counts[0] == n)
            a, own_a = (x[first] for x in at(0, 0))
            for m in np.unique(counts[1]):
                second = np.flatnonzero(counts[1] == m)
                b, own_b = (x[second] for x in at(1, int(n)))
                c, own_c = at(2, int(n + m))
                block = own_a[:, None, None] + own_b[None, :, None] + own_c[None, None, :]
                block += 2 * (a @ b.T)[:, :, None]
                block += 2 * (a @ c.T)[:, None, :]
                block += 2 * (b @ c.T)[None, :, :]
                left[np.ix_(first, second)] = block
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
            name = tuple((lists[v][at[v]].group[2:], lists[v][at[v]].past) for v in range(VOICES))
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
            new = self.evaluate(state, old.number, changed(old.image, old.number), pads)
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
                    some = self.folded(rest, gain, v, written, 3, freqs)
                    made += [Option((f, w, control, ad, sr)) for f, w, kind, _ in some if kind == 4]
            made += [Option((f, width, control, ad, sr)) for f in found]
            if self.path and not control & PULSE and (new := self.guesses(v)[0][1]) != width:
                made += [Option((f, new, control, ad, sr)) for f in [freq, *found]]  # nobody hears it, but it takes time
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
            held = field(self.before().image, v)[2:]
            tries = {(control & 0xFE, ad, sr, was & GATE), (held[0] & 0xFE, *held[1:], 0)}
            if was & GATE:
                tries |= {(wave, *held[1:], g) for wave in (PULSE, NOISE) for g in (GATE, 0)}
            else:
                tries |= {(wave, a, s, GATE) for wave, a, s in self.instruments(v, 3)}
                # of a new instrument both are written
                a, r = NEW_AD ^ (NEW_AD == held[1]), NEW_SR ^ (NEW_SR == held[2]) << 4
                tries |= {(wave, a, r, GATE) for wave in (PULSE, NOISE)}
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
                    shapes = [(f, w, kind << 4) for f, w, kind, _ in self.folded(notes.rest, flat, v, written, FOUND, self.freqs)]
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
