"""Options for each voice put together: every combination judged, the best ones played."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import Frame, field, with_gate, with_voice
from sidlearn.learn.decode.path import AS_BEFORE, GOOD_RMS, PULSE, SKIP, Option, Starts, added, in_time, padded
from sidlearn.learn.decode.timing import Timing
from sidlearn.registers import GATE, VOICE_STRIDE, VOICES

TOGGLE_COST = 3e-7
"""Energy that a change of a gate must explain: without it gates that nobody hears would flicker."""

JUMP_TOGGLES = 30
"""So many changes of a gate cost as much as a voice that does not begin a frame as it ended the one before; guess."""

TRIED, SAME = 36, 2
"""Combinations that are played, a third if no two envelopes are unknown, and how many of them may differ in FREQ and PW
alone."""

REFINED, MOST_REFINED = 3, 10
"""Of these: the first ones, and those that differ in waveforms and envelopes."""

MOST_OPTIONS, SOME_OPTIONS = 80, 48
"""Of a voice that are kept from round to round, with two envelopes that are unknown and without."""

HOPELESS = 9.0
"""Energy of a refined combination, over that of the best one, from which single registers make no difference; guess."""

ENOUGH = 8
"""Good combinations beyond the first that are compared."""

BETTER = 0.9
"""Energy of a past that is less likely, over that of another, with which it is taken; guess."""

OTHER = Option((0, 0, 0, 0, 0))
"""Stands for a voice that does not matter."""


def least_places(left: np.ndarray, count: int) -> np.ndarray:
    """Return the places in a flat array of the `count` least of a combination's numbers, the least first."""
    flat = left.ravel()
    rows = left.min(axis=2).ravel()
    if len(rows) > count:  # as many rows as are wanted hold at least one that is not above this
        some = np.flatnonzero(flat <= np.partition(rows, count - 1)[count - 1])
    else:
        some = np.argpartition(flat, min(count, flat.size) - 1)[:count]
    some = some[np.argsort(flat[some], kind="stable")]
    return some[:count]


class Combination(Timing):
    """Combinations of options."""

    def combine(self, options: list[dict[Option, None]], best: Frame) -> tuple[Frame, Frame | None]:
        """Play the combinations of options that fit best; return the best frame, and the best of what was played."""
        lists = [list(o) for o in options]
        self.share(best.image)
        target = self.sums(best)[SKIP:]
        target = target - target.mean()
        left = self.lefts(lists, target)
        sounding = [self.sounding(v, lists[v], left) for v in range(VOICES)]
        lists = [[lists[v][k] for k in places] for v, places in enumerate(sounding)]
        left = left[np.ix_(*sounding)]
        several = sum(self.open(v, best) for v in range(VOICES)) > 1
        most = (MOST_OPTIONS if several else SOME_OPTIONS) * (1 + self.widely)
        for v, options_v in enumerate(options):
            if len(lists[v]) > most:
                least = left.min(axis=tuple(u for u in range(VOICES) if u != v))
                for k in np.argsort(least, kind="stable")[most:]:
                    del options_v[lists[v][k]]
        # many sound the same: those come first that change least of what was thought before
        costs = [np.array([self.toggled(v, o) for o in some], np.float32) for v, some in enumerate(lists)]
        left += self.tie * (costs[0][:, None, None] + costs[1][:, None] + costs[2])
        played: list[tuple[Frame, list[Option]]] = []
        enough = 0
        combinations = []
        for k in self.chosen(lists, left, several):
            at = np.unravel_index(k, left.shape)
            some = [lists[v][at[v]] for v in range(VOICES)]
            combinations.append((float(left[at]), some))
        for _, some in sorted(combinations, key=lambda c: c[0]):
            played.append((self.play_options(some, best.image), some))
            enough += self.good(played[-1][0])
            if enough > ENOUGH:
                break
        played.sort(key=lambda p: p[0].energy)
        refined = np.inf
        seen: dict[tuple, int] = {}
        for i, (frame, some) in enumerate(played):
            name = tuple(o.group[2:] for o in some)
            seen[name] = seen.get(name, 0) + 1
            again = seen[name] > 1 or (len(seen) > MOST_REFINED and not several)
            if (again and i >= REFINED) or frame.energy > 40 * played[0][0].energy:
                continue
            played[i] = (self.refine(frame, worth=HOPELESS * refined), some)
            refined = min(refined, played[i][0].energy)
            if self.good(played[i][0]):
                played[i + 1 :] = self.likewise(frame, played[i][0], played[i + 1 :])
                break
        if not any(self.good(p[0]) for p in played):
            played[0] = (self.settle(played[0][0]), played[0][1])
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

    def likewise(self, rough: Frame, fine: Frame, others: list[tuple[Frame, list[Option]]]) -> list:
        """Return combinations with FREQ and PW moved as in one of them, where they were the same."""

        def shape(frame: Frame) -> list[tuple[int, int]]:
            return [field(frame.image, v)[:2] for v in range(VOICES)]

        made = []
        for frame, some in others:
            if all(a[0] == b[0] for a, b in zip(shape(frame), shape(rough), strict=True)):
                image = frame.image
                for v, (freq, width) in enumerate(shape(fine)):
                    same = field(image, v)[1] == field(rough.image, v)[1]
                    image = with_voice(image, v, freq, width if same else None)
                made.append((min(frame, self.again(frame, image), key=lambda f: f.energy), some))
            else:
                made.append((frame, some))
        return made

    def chosen(self, lists: list[list[Option]], left: np.ndarray, several: bool) -> list[int]:
        """Return the combinations that leave least, and the best for each pattern of gates."""
        best = least_places(left, 50 * TRIED)
        most = (TRIED if several else TRIED // 3) * (1 + self.widely)
        names = []
        for options in lists:
            known: dict[tuple, int] = {}
            names.append(np.array([known.setdefault((o.group[2:], o.past), len(known)) for o in options]))
        kinds = np.zeros(len(best), np.int64)
        for numbers, at in zip(names, np.unravel_index(best, left.shape), strict=True):
            kinds = kinds * len(numbers) + numbers[at]
        found: list[int] = []
        seen: dict[int, int] = {}
        for k, kind in zip(best.tolist(), kinds.tolist(), strict=True):
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] <= SAME:
                found.append(k)
                if len(found) == most:
                    break
        gates = [np.array([o.group[2] & GATE for o in some], np.int64) for some in lists]
        values, places = np.empty(2**VOICES), np.empty(2**VOICES, np.int64)
        kernel.least_by_gates(left, gates[0], gates[1], gates[2], values, places)
        return list(dict.fromkeys([*found, *places[places >= 0].tolist()]))

    def sounding(self, v: int, options: list[Option], left: np.ndarray) -> list[int]:
        """Return the places of a voice's options that sound different, and of those that do not the likeliest ones."""
        least = left.min(axis=tuple(u for u in range(VOICES) if u != v))
        sounds: dict[tuple, list[int]] = {}
        for k, option in enumerate(options):
            _, _, count = self.told_once(v, option)
            freq, width, control, _, _ = option.group
            shape = freq, width if control & PULSE else 0, option.phase, option.unheard
            name = *shape, count, round(float(least[k]) / self.tie)
            sounds.setdefault(name, []).append(k)
        kept = []
        for places in sounds.values():
            kept += sorted(places, key=lambda k: self.toggled(v, options[k]))[:SAME]
        return sorted(kept)

    def lefts(self, lists: list[list[Option]], target: np.ndarray) -> np.ndarray:
        """Return how much every combination leaves of `target`, less a constant, one axis a voice.

        What is written to one voice comes later by what is written to those before it.
        """
        counts = [np.array([self.told_once(v, o)[2] + o.unheard for o in lists[v]]) for v in range(VOICES)]
        # the number of writes before a voice 1 or 2 is the option's place in `slots`
        slots1, at1 = np.unique(counts[0], return_inverse=True)
        slots2, at2 = np.unique(counts[0][:, None] + counts[1], return_inverse=True)
        at2 = at2.reshape(len(lists[0]), len(lists[1]))
        # less what some options add, so that single precision is enough for the differences
        middle = [self.part_after(v, lists[v][0], 0) for v in range(VOICES)]
        rest = (target - sum(middle)).astype(np.float32)
        a, own_a = self.parts_after(lists, 0, 0, middle[0], rest)
        seconds = [self.parts_after(lists, 1, int(n), middle[1], rest) for n in slots1]
        thirds = [self.parts_after(lists, 2, int(n), middle[2], rest) for n in slots2]
        ab = np.stack([own_a[:, None] + own + 2 * (a @ b.T) for b, own in seconds])
        ac = np.stack([own + 2 * (a @ c.T) for c, own in thirds])
        bc = np.empty((len(slots1), len(lists[1]), len(lists[2])), np.float32)
        for k, (b, _) in enumerate(seconds):
            after = at2[np.flatnonzero(at1 == k)[0]]
            for q in np.unique(after):
                bc[k, after == q] = 2 * (b[after == q] @ thirds[q][0].T)
        left = np.empty([len(some) for some in lists], np.float32)
        kernel.add_pairs(ab, ac, bc, at1, at2, left)
        return left

    def parts_after(
        self, lists: list[list[Option]], v: int, offset: int, middle: np.ndarray, rest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what a voice adds with each of its options to `middle`, and the energy each alone adds to `rest`."""
        found = np.array(self.make_parts(v, lists[v], offset))
        made = np.empty(found.shape, np.float32)
        np.subtract(found, middle, out=made, casting="same_kind")
        return made, np.einsum("ij,ij->i", made, made) - 2 * (made @ rest)

    def part(self, v: int, option: Option, base: np.ndarray) -> np.ndarray:
        """Return what a voice adds with an option if the voices before it are told what `base` says."""
        image = with_voice(base, v, *option.group)
        return self.part_after(v, option, sum(self.writes(u, self.before().image, image) for u in range(v)))

    def part_after(self, v: int, option: Option, offset: int) -> np.ndarray:
        """Return what a voice adds to the sum of voices with an option, after so many writes to those before it.

        Float64 (samples - SKIP,), without its mean.
        """
        return self.make_parts(v, [option], offset)[0]

    def make_parts(self, v: int, options: Sequence[Option], offset: int) -> list[np.ndarray]:
        """Return what `part_after` does for several options, all made at once."""
        first = not self.path and self.everything
        known, keys = self._parts, []
        for option in options:
            # what is not written does not come later
            moved = offset and not first and self.told_once(v, option)[2]
            keys.append((v, id(option), offset if moved else 0))
        for at in (offset, 0) if offset else (0,):
            new = {key: o for key, o in zip(keys, options, strict=True) if key[2] == at and key not in known}
            if not new:
                continue
            oscs, envs = [], []
            for option in new.values():
                starts = [AS_BEFORE] * v + [(option.phase, b"")] + [AS_BEFORE] * (VOICES - 1 - v)
                oscs.append(self.begun_at(tuple(starts)).osc)
                envs.append(np.frombuffer(option.env, np.int64) if option.env else self.before().env[v])
            told = [self.told_once(v, option) for option in new.values()]
            olds, images = np.array([t[0] for t in told]), np.array([t[1] for t in told])
            if self.routes(v):
                parts = self.parts_through(oscs, envs, v, olds, images, at)
            else:
                parts = self.forward.parts(np.array(oscs), np.array(envs), v, olds, images, at, SKIP, first)
            # options are kept, so that their numbers stay theirs
            for (key, option), part in zip(new.items(), parts, strict=True):
                known[key] = option, part
        return [known[key][1] for key in keys]

    def told_once(self, v: int, option: Option) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the registers before and after an option, see `told`, and how many of the voice's are written."""
        found = self._told.get((v, id(option)))
        if found is None:
            old, image = self.told(v, option)
            found = self._told[v, id(option)] = option, (old, image, self.writes(v, old, image))
        return found[1]

    def told(self, v: int, option: Option) -> tuple[np.ndarray, np.ndarray]:
        """Return the registers before and after an option of one voice, the others not touched."""
        old = self.before().image
        if option.past is not None:
            old = self.past_image([option if u == v else OTHER for u in range(VOICES)], len(self.path) - 1, old)
        image = self.with_shared(with_voice(old, v, *option.group))
        return old, image

    def writes(self, v: int, old: np.ndarray, new: np.ndarray) -> int:
        """Return how many registers of a voice are written between two images."""
        own = slice(v * VOICE_STRIDE, (v + 1) * VOICE_STRIDE)
        if not self.path and self.everything:
            return VOICE_STRIDE
        return int(np.count_nonzero(new[own] != old[own]))

    def toggles(self, some: Sequence[Option]) -> int:
        """Return how many gates change in a combination, beside those of the path."""
        return sum(self.toggled(v, option) for v, option in enumerate(some))

    def toggled(self, v: int, option: Option) -> int:
        """Return how many gates of a voice change with an option, and what else changes of what was thought before."""
        count = JUMP_TOGGLES * (option.start != AS_BEFORE) + abs(option.unheard)
        gates: dict[int, int] = {}
        if option.past is not None:
            gates = dict(option.past.gates)
            count += len(gates) + self.widely
            count += 2 * ((option.past.ad, option.past.sr) != field(self.before().image, v)[3:])
        last = gates.get(len(self.path) - 1, field(self.before().image, v)[2] & GATE)
        gate = option.group[2] & GATE
        count += gate != last
        begins = gate and not (last and self.widely)
        if option.past is None and not begins and option.group[3:] != field(self.before().image, v)[3:]:
            count += 2  # who tells of an envelope lets a note begin
        if last and not gate and option.group[0] != field(self.before().image, v)[0]:
            count += 2  # a note that ends as it changes its pitch
        return count

    def play_options(self, some: Sequence[Option], base: np.ndarray) -> Frame:
        """Play one combination."""
        image = base
        for v, option in enumerate(some):
            image = with_voice(image, v, *option.group)
        starts = self.starts_told(some)
        pads = (0, some[0].unheard, some[1].unheard, 0)
        if not any(o.past for o in some):
            return self.play(image, pads, starts)
        before = self.begun_at(starts)
        env = before.env.copy()
        for v, option in enumerate(some):
            if option.env:
                env[v] = np.frombuffer(option.env, np.int64)
        old = self.past_image(some, len(self.path) - 1, before.image)
        state = replace(before, env=env, image=old)
        return self.evaluate(state, len(self.path), image, pads)

    @staticmethod
    def starts_told(some: Sequence[Option]) -> Starts:
        """Return how the voices begin a frame if options are right."""
        first, second, third = (option.start for option in some)
        return first, second, third

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
                tried = with_gate(tried, v, gate)
            new = self.play(tried, frame.pads, self.starts_told(some))
            if best is None or new.energy < best.energy:
                best = new
        assert best is not None
        return self.refine(best)

    def adopt(self, frame: Frame, some: Sequence[Option]) -> Frame | None:
        """Change the path as options want it and return the frame played after it; None if the past gets worse."""
        known = self.path, self.floor
        found = None
        for undone, timed in product(self.undoings(some), (True, False)):
            self.path, self.floor = list(known[0]), list(known[1])
            new = self.replay(frame, some, undone, timed)
            if new is None:
                continue
            self.renew()
            if found is None or new.energy < BETTER * found[0].energy:
                found = new, self.path, self.floor
            if self.good(new):
                break
        self.path, self.floor = known if found is None else found[1:]
        return None if found is None else found[0]

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

    def replay(
        self, frame: Frame, some: Sequence[Option], undone: dict[int, tuple[int, int, int]], timed: bool
    ) -> Frame | None:
        """Play the path again as options want it; keep it, and return the frame after it, if it is no worse.

        `timed`: a write more or less takes the place of another that nobody hears, so that all others stay in time.
        """
        number = frame.number
        turned = [self.start_of(frame, v)[0] for v in range(VOICES)]  # refined since
        told = [(turned[v], option.start[1]) for v, option in enumerate(some)]
        starts = told[0], told[1], told[2]

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
            return self.play(image, frame.pads, starts)
        state = self.path[begin].before
        frames: list[Frame] = []
        for old in self.path[begin:]:
            pads = padded(old.pads, late[old.number]) if old.number in late else old.pads
            image_then = changed(old.image, old.number)
            for v, option in enumerate(some):
                if timed and option.past is not None and (old.number or not self.everything):
                    pads = added(pads, in_time(v, old.before.image, old.image, state.image, image_then))
            if min(pads) < min(0, *old.pads):
                return None  # a write takes its time
            new = self.evaluate(state, old.number, image_then, pads)
            if new.energy > 2 * old.energy + 819 * GOOD_RMS**2:
                return None
            self.pass_on(new)
            frames.append(new)
            state = new.after
        self.path[begin:] = frames
        self.floor[begin:] = [self.rms(f.energy) for f in frames]
        self.renew()
        return self.refine(self.play(image, frame.pads, starts))
