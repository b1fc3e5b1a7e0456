"""Which registers a frame was made with: options for each voice, every combination judged, the best ones played."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import permutations, product

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import NO_PADS, Forward, Frame, State, field, with_voice
from sidlearn.registers import CONTROL, GATE, MODE_VOL, VOICE_STRIDE, VOICES

FREQ_STEP = 32
"""Of the scan: an error of this is a 27th of a period of the fundamental after a PAL frame."""
LOWEST, HIGHEST = 96, 65_535
SKIP = 24
"""Samples at the start of a frame that also depend on the frame before."""
FIRST_SKIP = 30
"""The same for the first frame, where the target rings."""
GOOD_RMS = 3e-4
"""A frame this near to its target needs no search: twice what the right registers leave in most frames."""
FLOOR_RMS = 1.3e-4
"""What the right registers leave of most frames; measured on pyresidfp 0.17.0."""
TOGGLE_COST = 3e-7
"""Energy that a change of a gate must explain: without it gates that nobody hears would flicker."""
LIKELY_RMS = 8e-4
"""What the right registers leave at most, in frames in which fast attacks begin."""
BLOCK = 27
"""Steps of a block in which an envelope is taken as level: 9 samples."""
OPEN_FRAMES = 12
"""Frames within which a note shows attack and decay or its release rate; guess."""
LONGEST_REFIT = 40
"""Frames by which an envelope is followed back; guess."""
HIDDEN_FRAMES = 2
"""For so many frames the ADSR delay bug can hide a gate: 32 768 cycles."""
KNOTS = 17
"""Of free levels in a frame."""
SMOOTHNESS = 0.3
"""How much a bend of free levels costs; guess."""
TRIED, SAME = 48, 4
"""Combinations that are played, a third if no two envelopes are unknown, and how many of them may differ in FREQ and PW
alone."""
REFINED = 3
MOST_OPTIONS = 80
"""Of a voice that are kept from round to round."""
ENOUGH = 8
"""Good combinations beyond the first that are compared."""
CROSSED = 6
"""Shapes and envelopes of a voice that are tried together."""
FOUND, KEPT = 4, 6
"""Shapes of a voice that are looked at, and ways to add voices that are kept."""
NOISE = 0x80
PULSE = 0x40

Group = tuple[int, int, int, int, int]
"""FREQ, PW, CONTROL, AD and SR of a voice."""
YOUNG_FRAMES = 4
"""Frames within which the attack of a note may still be hidden by the ADSR delay bug, or under way."""
SOME_DECAYS, SOME_SUSTAINS, SOME_RELEASES = (8, 3, 11), (8, 15, 0), (8, 0, 1, 3)
"""A release rate can delay the attack that follows."""
SOME_PAIRS = np.array(
    [(a << 4 | d, s << 4 | r) for r in SOME_RELEASES for s in SOME_SUSTAINS for d in SOME_DECAYS for a in range(16)],
    np.int64,
)
"""Every attack with some decays, sustains and releases."""


@dataclass(frozen=True)
class Past:
    """What was different in frames before: AD and SR from `begin` on, and gates by frame."""

    begin: int
    ad: int
    sr: int
    gates: tuple[tuple[int, int], ...] = ()
    late: int = -1
    """A frame in which one more write, that nobody hears, came before those of the voice; -1: none."""


@dataclass(frozen=True)
class Option:
    """What one voice may do in a frame."""

    group: Group
    past: Past | None = None
    env: bytes = b""
    """State of the envelope at the start of the frame, if `past` changes it."""


@dataclass(frozen=True)
class Way:
    """Options for some of the voices, and what they leave of the target."""

    chosen: dict[int, Option]
    rest: np.ndarray
    energy: float


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


Stage = Callable[[int, Frame], list[Option]]
OTHER = Option((0, 0, 0, 0, 0))
"""Stands for a voice that does not matter."""


def padded(pads: tuple, v: int) -> tuple:
    """Return `pads` with one more write ahead of those of a voice."""
    return (*pads[:v], pads[v] + 1, *pads[v + 1 :])


def hat_functions(n: int) -> np.ndarray:
    """Return the functions that join `KNOTS` points by straight lines, float64 (KNOTS, n)."""
    at = np.linspace(0, KNOTS - 1, n)
    return np.maximum(0, 1 - np.abs(at - np.arange(KNOTS)[:, None]))


def tops(values: np.ndarray, scores: np.ndarray, count: int, distance: int = 2) -> list[int]:
    """Return the values of the highest local maxima of `scores`, at least `distance` places apart."""
    found: list[int] = []
    places: list[int] = []
    inner = np.r_[True, scores[1:] >= scores[:-1]] & np.r_[scores[:-1] > scores[1:], True] & (scores > 0)
    candidates = np.flatnonzero(inner)
    for k in candidates[np.argsort(-scores[candidates], kind="stable")]:
        if all(abs(k - p) > distance for p in places):
            places.append(int(k))
            found.append(int(values[k]))
            if len(found) == count:
                break
    return found


class Searcher:
    """Decodes frame after frame with one `Forward`."""

    everything = True
    """Whether the first frame writes all registers, and not only what differs from zero."""

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.path: list[Frame] = []
        self.floor: list[float] = []
        self.start = forward.power_on()
        self.freqs = np.arange(LOWEST, HIGHEST, FREQ_STEP, dtype=np.int64)
        self.noise_freqs = np.unique(np.round(np.geomspace(200, 65_535, 2500)).astype(np.int64))
        self.hats = hat_functions(forward.samples)
        self.at = np.arange(forward.samples) * kernel.DECIMATION + 2 - kernel.SAMPLE_DELAY // kernel.STEP
        bend = np.diff(np.eye(KNOTS), 2, axis=0)
        self.bend = SMOOTHNESS * bend.T @ bend + 1e-6 * np.eye(KNOTS)
        self.trace = False
        self.freely = True
        self.tie = 0.03 * forward.samples * (FLOOR_RMS / forward.slope) ** 2
        self._tables: dict = {}
        self._seen: dict[bytes, Frame] = {}
        self._parts: dict = {}
        self._carried: dict[int, tuple[Frame, np.ndarray, np.ndarray]] = {}
        self._last: tuple[Frame, np.ndarray] | None = None
        self._mixed = np.empty(forward.steps, np.float32)
        self._history = np.zeros(forward.taps.size - 1, np.float32)

    # --- Frames ---

    def before(self) -> State:
        """Return the state that the next frame begins with."""
        return self.path[-1].after if self.path else self.start

    def image(self, number: int) -> np.ndarray:
        """Return the registers after frame `number`."""
        return self.path[number].image if number >= 0 else self.start.image

    def rms(self, energy: float) -> float:
        """Return the root mean square of an error per sample."""
        return float(np.sqrt(max(energy, 0) / self.forward.samples))

    def good(self, frame: Frame) -> bool:
        """Whether nothing is left to explain."""
        return self.rms(frame.energy) < GOOD_RMS

    def play(self, image: np.ndarray, pads: tuple = NO_PADS) -> Frame:
        """Play the frame under way with the registers of `image`."""
        key = image.tobytes() + bytes(pads)
        found = self._seen.get(key)
        if found is None:
            found = self._seen[key] = self.evaluate(self.before(), len(self.path), image, pads)
        return found

    def evaluate(self, state: State, number: int, image: np.ndarray, pads: tuple) -> Frame:
        """Play any frame."""
        first = number == 0
        return self.forward.evaluate(state, number, image, pads, FIRST_SKIP if first else 0, first and self.everything)

    def decode_next(self) -> Frame:
        """Find the registers of the next frame and go on to it."""
        self.renew()
        best = self.predict()
        if not self.good(best):
            best = self.search(best)
        self.accept(best)
        return best

    def renew(self) -> None:
        """Forget what was played for another past."""
        self._seen.clear()
        self._parts.clear()
        self.forward.forget()

    def accept(self, frame: Frame) -> None:
        """Make a frame part of the path."""
        self.pass_dc(frame)
        self.floor.append(self.rms(frame.energy))
        self.path.append(frame)

    def pass_dc(self, frame: Frame) -> None:
        """Let the constant error of a frame be known to the next one."""
        error = self.forward.target[frame.number] - frame.out - frame.before.dc
        if frame.number:
            frame.after.dc = frame.before.dc + 0.5 * float(error.mean())
        else:
            frame.after.dc = frame.before.dc + float(error[FIRST_SKIP:].mean())

    def better(self, old: Frame, new: Frame) -> Frame:
        """Return `new` if it is nearer to the target by more than noise, else `old`."""
        return new if new.energy < old.energy - max(1e-6, 0.03 * old.energy) else old

    # --- Predictions ---

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

    def guesses(self, v: int) -> list[tuple[int, int]]:
        """Return FREQ and PW with which a voice may go on, the likeliest first."""
        past = [field(self.image(k), v)[:2] for k in range(len(self.path) - 1, max(len(self.path) - 13, -2), -1)]
        freq, width = past[0]
        freqs, widths = [freq], [width]
        if len(past) > 1 and (slope := width - past[1][1]) and 0 <= width + slope < 4096:
            widths.insert(0, width + slope)
        if len(past) > 3:  # what it did most of the time: a silent voice is hard to hear
            slopes = [past[k][1] - past[k + 1][1] for k in range(len(past) - 1)]
            slope = max(sorted(set(slopes)), key=slopes.count)
            if slope and 0 <= width + slope < 4096 and width + slope not in widths:
                widths.insert(1, width + slope)
        if len(past) > 1 and (slope := freq - past[1][0]):
            freqs.append(min(max(freq + slope, 0), 65_535))
        for period in (2, 3, 4, 6):
            if len(past) > period and past[period - 1][0] != freq:
                cycle = len(past) >= 2 * period and all(past[i][0] == past[i + period][0] for i in range(period))
                new = past[period - 1][0]
                if cycle and new in freqs:
                    freqs.remove(new)
                if new not in freqs:
                    freqs.insert(0 if cycle else len(freqs), new)
        found = [(f, w) for f in freqs for w in widths]
        return sorted(found, key=lambda o: freqs.index(o[0]) + widths.index(o[1]))

    # --- Search ---

    def search(self, best: Frame) -> Frame:
        """Widen the choice of every voice until a combination explains the frame."""
        options: list[dict[Option, None]] = [{} for _ in range(VOICES)]
        for v in range(VOICES):
            self.add(options[v], self.simple(v, best))
        best, combined = self.combine(options, best)
        if self.good(best) and combined:
            return best
        if self.path:
            best, combined = self.rounds(self.near, options, best, combined)
            if self.rms(best.energy) < LIKELY_RMS:
                return best
            for v, more in enumerate(self.pursue(best)):
                self.add(options[v], more)
            best, combined = self.combine(options, best)
            if not self.good(best):
                best, combined = self.rounds(self.near, options, best, combined)
            if self.good(best):
                return best
            if self.rms(best.energy) < LIKELY_RMS:
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
        """Return what a voice adds to the sum of voices with an option, without its mean, float64 (samples - SKIP,)."""
        image = with_voice(base, v, *option.group)
        before = self.before()
        old = before.image
        if option.past is not None:
            old = self.past_image([option if u == v else OTHER for u in range(VOICES)], len(self.path) - 1, old)
        events = self.forward.events_between(old, image, NO_PADS, not self.path and self.everything)
        own = events[events[:, 1] // VOICE_STRIDE == v]
        key = (v, option, own[:, 0].tobytes())
        found = self._parts.get(key)
        if found is None:
            env = np.frombuffer(option.env, np.int64).copy() if option.env else before.env[v].copy()
            wave, _ = self.forward.wave(before, v, events)
            levels = np.empty(self.forward.steps, np.uint8)
            kernel.frame_envelope(env, v, events, self.forward.frame_cycles, levels)
            out = np.empty(self.forward.samples, np.float32)
            f = self.forward
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
        for _ in range(2):
            left = self.lefts(lists, base, target)
            at = np.unravel_index(int(np.argmin(left)), left.shape)
            # what is written before moves what comes later: once more about the combination that was found
            base = best.image
            for v in range(VOICES):
                base = with_voice(base, v, *lists[v][at[v]].group)
        for v, options_v in enumerate(options):
            if len(lists[v]) > MOST_OPTIONS:
                least = left.min(axis=tuple(u for u in range(VOICES) if u != v))
                for k in np.argsort(least, kind="stable")[MOST_OPTIONS:]:
                    del options_v[lists[v][k]]
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

    def toggles(self, some: Sequence[Option]) -> int:
        """Return how many gates change in a combination, beside those of the path."""
        count = 0
        for v, option in enumerate(some):
            gates = dict(option.past.gates) if option.past is not None else {}
            count += len(gates)
            last = gates.get(len(self.path) - 1, field(self.before().image, v)[2] & GATE)
            gate = option.group[2] & GATE
            count += gate != last
            if last and not gate and option.group[0] != field(self.before().image, v)[0]:
                count += 2  # a note that ends as it changes its pitch
        return count

    def lefts(self, lists: list[list[Option]], base: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return how much every combination leaves of `target`, less what it has, one axis a voice."""
        parts = [np.stack([self.part(v, o, base) for o in lists[v]]) for v in range(VOICES)]
        own = [np.einsum("ij,ij->i", p, p) - 2 * (p @ target) for p in parts]
        left = own[0][:, None, None] + own[1][None, :, None] + own[2][None, None, :]
        left += 2 * (parts[0] @ parts[1].T)[:, :, None]
        left += 2 * (parts[0] @ parts[2].T)[:, None, :]
        left += 2 * (parts[1] @ parts[2].T)[None, :, :]
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

    def past_image(self, some: Sequence[Option], number: int, image: np.ndarray) -> np.ndarray:
        """Return the registers of an earlier frame as options have them."""
        for v, option in enumerate(some):
            past = option.past
            if past is None:
                continue
            if number >= past.begin:
                image = with_voice(image, v, ad=past.ad, sr=past.sr)
            for at, gate in past.gates:
                if at == number:
                    image = with_voice(image, v, control=field(image, v)[2] & ~GATE | gate)
        return image

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

    # --- Options ---

    def instruments(self, v: int, count: int = 4) -> list[tuple[int, int, int]]:
        """Return waveform, AD and SR that a voice was played with, the newest first."""
        found: list[tuple[int, int, int]] = []
        for frame in reversed(self.path):
            _, _, control, ad, sr = field(frame.image, v)
            if control & GATE and (control & 0xFE, ad, sr) not in found:
                found.append((control & 0xFE, ad, sr))
                if len(found) == count:
                    break
        return found

    def simple(self, v: int, best: Frame) -> list[Option]:
        """Return what is there already: values heard before, gate on or off."""
        freq, width, control, ad, sr = field(best.image, v)
        _, _, was, _, _ = field(self.before().image, v)
        made = []
        pairs = self.guesses(v) if self.path else [(freq, width)]
        values = [*dict.fromkeys([(freq, width), *pairs, *((f, width) for f in self.heard(v))])]
        for f, w in values:
            made.append(Option((f, w, control, ad, sr)))
            made.append(Option((f, w, control ^ GATE, ad, sr)))
            if not was & GATE:
                for wave, a, s in self.instruments(v):
                    made.append(Option((f, w, wave | GATE, a, s)))
        return made

    def heard(self, v: int, count: int = 8) -> list[int]:
        """Return the latest values of FREQ of a voice."""
        found: dict[int, None] = {}
        for frame in reversed(self.path[-100:]):
            found.setdefault(field(frame.image, v)[0])
            if len(found) == count:
                break
        return list(found)

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
                    shapes = [(f, w, kind << 4) for f, w, kind, _ in self.folded(notes.rest, flat, v, written, FOUND)]
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
        rest = notes.rest + notes.parts[v]
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
        carriers = [self.voice_at_full(self.forward.wave(self.before(), v, events)[0]) for v in shapes]
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
        new = self.voice_at_full(self.forward.wave(self.before(), v, events)[0])
        events = self.forward.events_between(self.before().image, self.begun(best.image, notes.shapes), NO_PADS, first)
        old = self.voice_at_full(self.forward.wave(self.before(), v, events)[0])
        size = np.abs(old) > 1e-9
        level = np.where(size, notes.parts[v] / np.where(size, old, 1), 0)
        return level * new

    def voice_at_full(self, wave: np.ndarray) -> np.ndarray:
        """Return what a voice sounds like at level 1 from its wave by steps, float64 (samples,), without its mean."""
        part = np.empty(self.forward.samples, np.float32)
        self._history[:] = 0
        steps = (self.forward.per_wave * wave + self.forward.drift).astype(np.float32)
        kernel.decimate(steps, self.forward.taps, self._history, part)
        made = part.astype(np.float64)
        made[:SKIP] = made[SKIP:].mean()
        return made - made.mean()

    # --- Envelopes ---

    def open(self, v: int, frame: Frame) -> bool:
        """Whether the envelope of a voice is not yet sure: its gate changed a short time ago."""
        if field(frame.image, v)[2] & 0xF0 == 0:
            return False
        if (field(frame.image, v)[2] ^ field(self.before().image, v)[2]) & GATE:
            return True
        turned = self.turned(v, len(self.path), field(self.before().image, v)[2] & GATE)
        return turned is not None and len(self.path) - turned <= YOUNG_FRAMES

    def new_envelopes(
        self, v: int, image: np.ndarray, rest: np.ndarray, several: bool = False, count: int = 3
    ) -> list[Option]:
        """Return options in which a note begins with the envelopes that fit best."""
        freq, width, control, _, _ = field(image, v)
        _, _, _, ad, sr = field(self.before().image, v)
        frame = self.play(with_voice(image, v, ad=ad ^ 0x10, sr=sr ^ 0x10))
        pairs = self.fit_pairs(v, frame, rest, len(self.path), {}, count, several, (ad, sr))
        return [Option((freq, width, control | GATE, i, k)) for i, k in pairs]

    def fit_pairs(
        self,
        v: int,
        frame: Frame,
        rest: np.ndarray,
        begin: int,
        gates: dict[int, int],
        count: int,
        several: bool = False,
        old: tuple[int, int] | None = None,
    ) -> list[tuple[int, int]]:
        """Return the best AD and SR of a voice from frame `begin` on, of all that there are; `several` for many.

        With `old` both must be others, since that moves what is written after them.
        """
        known = sorted({(a, s) for u in range(VOICES) for _, a, s in self.instruments(u)})
        pairs = np.concatenate([np.array(known, np.int64).reshape(-1, 2), SOME_PAIRS])
        scores = self.rank(v, frame, rest, begin, gates, pairs)
        for vary in (
            lambda a, d, s, r: [(a, j, k, r) for j in range(16) for k in range(16)],
            lambda a, d, s, r: [(i, d, s, k) for i in (max(a - 1, 0), a, min(a + 1, 15)) for k in range(16)],
        ):
            ad, sr = (int(x) for x in pairs[np.argmax(scores)])
            more = np.array([(a << 4 | d, s << 4 | r) for a, d, s, r in vary(ad >> 4, ad & 15, sr >> 4, sr & 15)])
            pairs = np.concatenate([pairs, more])
            scores = np.concatenate([scores, self.rank(v, frame, rest, begin, gates, more)])
        if old is not None:
            same = (pairs == old).any(axis=1)
            same[: len(known)] = False
            scores[same] = -np.inf
        found = self.distinct(pairs, scores, count)
        if not several:
            return found
        # two that rise together are hard to tell: the best of every attack and every few decays
        kind = pairs[:, 0] >> 4 << 2 | (pairs[:, 0] & 15) >> 2
        order = np.argsort(-scores, kind="stable")
        _, first = np.unique(kind[order], return_index=True)
        return [*dict.fromkeys([*found, *((int(pairs[k, 0]), int(pairs[k, 1])) for k in order[first])])]

    @staticmethod
    def distinct(pairs: np.ndarray, scores: np.ndarray, count: int) -> list[tuple[int, int]]:
        """Return the best of `pairs`, one of those that sound the same."""
        found: list[tuple[int, int]] = []
        last = np.inf
        for k in np.argsort(-scores, kind="stable"):
            if scores[k] < last - 1e-9:
                last = scores[k]
                found.append((int(pairs[k, 0]), int(pairs[k, 1])))
                if len(found) == count:
                    break
        return found

    def free_rest(self, v: int, best: Frame) -> np.ndarray:
        """Return what is left for one voice if the levels of all voices whose envelopes are not sure are free."""
        free = [u for u in range(VOICES) if u == v or self.open(u, best)]
        carriers = [self.carrier(best, u) for u in free]
        basis = np.concatenate([self.hats * c for c in carriers])
        parts = self.parts(best)
        rest = self.forward.sums(best) - sum(parts[u] for u in range(VOICES) if u not in free)
        rest = rest - rest[SKIP:].mean()
        used = basis[:, SKIP:]
        used = used - used.mean(axis=1, keepdims=True)
        gram = used @ used.T + np.kron(np.eye(len(free)), self.bend)
        found = np.linalg.solve(gram, used @ rest[SKIP:]).reshape(len(free), KNOTS)
        for u, c, amounts in zip(free, carriers, found, strict=True):
            if u != v:
                rest = rest - np.clip(amounts @ self.hats, 0, 1.05) * c
        return rest - rest[SKIP:].mean()

    def refits(self, v: int, best: Frame, rest: np.ndarray) -> list[Option]:
        """Return options in which the envelope of a voice was another than thought, or its gate changed unnoticed."""
        number = len(self.path)
        freq, width, control, ad, sr = field(best.image, v)
        was = field(self.before().image, v)[2] & GATE
        on = self.turned(v, number, GATE)
        if on is None:
            return []
        age = number - on
        wave = control & 0xFE
        made: list[Option] = []
        if was and age <= YOUNG_FRAMES:
            shape = (freq, width, wave | GATE)
            frame = self.play(with_voice(best.image, v, *shape))
            several = self.freely and sum(self.open(u, best) for u in range(VOICES)) > 1
            made += self.past_options(v, frame, on, {}, shape, self.fit_pairs(v, frame, rest, on, {}, 3, several))
        for begin in self.begins(v, on, (ad, sr)):
            made += self.patterns(v, best, rest, begin, on)
        return made

    def begins(self, v: int, on: int, registers: tuple[int, int]) -> list[int]:
        """Return the frames in which AD and SR of the note that began in frame `on` may have been written."""
        earliest = len(self.path) - LONGEST_REFIT
        found = [max(on, earliest)]
        last = self.turned(v, on, GATE)
        if last is not None and last > earliest and field(self.path[last].image, v)[3:] == registers:
            found.append(last)
        return found

    def patterns(self, v: int, best: Frame, rest: np.ndarray, begin: int, on: int) -> list[Option]:
        """Return what the gate of a voice may have done in the last frames, with the AD and SR that go with it."""
        number = len(self.path)
        freq, width, control, ad, sr = field(best.image, v)
        was = field(self.before().image, v)[2] & GATE
        a, s, r = ad >> 4, sr >> 4, sr & 15
        wave = control & 0xFE
        made: list[Option] = []
        off = self.turned(v, number, 0)
        held = (number if was or off is None else off) - on
        window = range(max(on + 1, number - HIDDEN_FRAMES), number + 1)
        present = tuple(field(self.path[k].image, v)[2] & GATE for k in window[:-1])
        releases = np.array([(ad, s << 4 | k) for k in range(16)], np.int64)
        for pattern in product((0, GATE), repeat=len(window)):
            gates = dict(zip(window, pattern, strict=True))
            shape = (freq, width, wave | pattern[-1])
            if pattern[:-1] == present and pattern[-1] == was and held <= OPEN_FRAMES:
                attacks = range(max(a - 1, 0), min(a + 2, 16)) if number - on <= YOUNG_FRAMES else (a,)
                pairs = [(i << 4 | j, k << 4 | r) for i in attacks for j in range(16) for k in range(16)]
                made += self.refit(v, best, rest, begin, {}, np.array(pairs, np.int64), shape)
            elif pattern[:-1] == present and pattern[-1] == was:
                pairs = [(ad, k << 4 | r) for k in range(16)]
                made += self.refit(v, best, rest, begin, {}, np.array(pairs, np.int64), shape, 1)
            if not all(pattern):
                changed = {k: g for k, g in gates.items() if k == number or g != present[k - window[0]]}
                made += self.refit(v, best, rest, begin, changed, releases, shape, 1)
                if v and min(changed) < number:
                    made += self.refit(v, best, rest, begin, changed, releases, shape, 1, min(changed))
        return made

    def turned(self, v: int, end: int, gate: int) -> int | None:
        """Return the last frame before `end` in which the gate of a voice went on (GATE) or off (0), or None."""
        for k in range(end - 1, -1, -1):
            if field(self.path[k].image, v)[2] & GATE == gate and field(self.image(k - 1), v)[2] & GATE != gate:
                return k
        return None

    def refit(
        self,
        v: int,
        best: Frame,
        rest: np.ndarray,
        begin: int,
        gates: dict[int, int],
        pairs: np.ndarray,
        shape: tuple[int, int, int],
        count: int = 2,
        late: int = -1,
    ) -> list[Option]:
        """Return the best of `pairs` (AD, SR), written in frame `begin`."""
        image = with_voice(best.image, v, *shape)
        frame = self.play(image) if not np.array_equal(image, best.image) else best
        scores = self.rank(v, frame, rest, begin, gates, pairs, late)
        return self.past_options(v, frame, begin, gates, shape, self.distinct(pairs, scores, count), late)

    def past_options(
        self,
        v: int,
        frame: Frame,
        begin: int,
        gates: dict[int, int],
        shape: tuple[int, int, int],
        pairs: Sequence[tuple[int, int]],
        late: int = -1,
    ) -> list[Option]:
        """Return options with AD and SR that were written in frame `begin`."""
        made = []
        for ad, sr in pairs:
            past = Past(begin, ad, sr, tuple((at, g) for at, g in gates.items() if at < frame.number), late)
            env = self.run(v, frame, begin, gates, ad, sr, frame.number - begin, late)
            made.append(Option((*shape, ad, sr), past, env.tobytes()))
        return made

    def events(
        self, v: int, frame: Frame, begin: int, gates: dict[int, int], fresh: tuple[bool, bool], late: int = -1
    ) -> np.ndarray:
        """Return the writes to an envelope from frame `begin` on, int64 (writes, 3), AD and SR as -1.

        `fresh` tells whether AD and SR get other values in frame `begin`.
        """
        rows = []
        old = self.image(begin - 1)
        _, _, _, ad, sr = field(old, v)
        ad, sr = ad ^ 0x10 * fresh[0], sr ^ 0x10 * fresh[1]
        for k, f in enumerate([*self.path[begin:], frame]):
            image = with_voice(f.image, v, ad=ad, sr=sr)
            if f.number in gates:
                image = with_voice(image, v, control=field(image, v)[2] & ~GATE | gates[f.number])
            pads = padded(f.pads, v) if f.number == late else f.pads
            own = self.forward.events_between(old, image, pads, f.number == 0 and self.everything)
            for cycle, register, value in own:
                offset = register - v * VOICE_STRIDE
                if CONTROL <= offset < VOICE_STRIDE:
                    rows.append((cycle + k * self.forward.frame_cycles, offset, -1 if offset > CONTROL else value))
            old = image
        return np.array(rows, np.int64).reshape(-1, 3)

    def run(
        self, v: int, frame: Frame, begin: int, gates: dict[int, int], ad: int, sr: int, frames: int, late: int = -1
    ) -> np.ndarray:
        """Return the envelope some frames after the start of frame `begin`."""
        _, _, _, old_ad, old_sr = field(self.image(begin - 1), v)
        events = self.events(v, frame, begin, gates, (ad != old_ad, sr != old_sr), late)
        cycles = frames * self.forward.frame_cycles
        env = (self.path[begin].before if begin < len(self.path) else self.before()).env[v].copy()
        levels = np.zeros(frames * self.forward.steps + 1, np.uint8)
        kernel.run_events(env, events[events[:, 0] < cycles], ad, sr, cycles, levels)
        return env

    def rank(
        self,
        v: int,
        frame: Frame,
        rest: np.ndarray,
        begin: int,
        gates: dict[int, int],
        pairs: np.ndarray,
        late: int = -1,
    ) -> np.ndarray:
        """Return the energy that each of `pairs` (AD, SR) explains from frame `begin` on, float64 (pairs,)."""
        n = self.forward.samples
        carriers, rests = [], []
        for f in self.path[begin:]:
            carrier, left = self.carried(f)
            carriers.append(carrier[v])
            rests.append(left + carrier[v] * self.sampled(f.levels[v]))
        carriers.append(self.carrier(frame, v))
        rests.append(rest)
        carrier = np.concatenate(carriers)
        left = np.concatenate(rests)
        at = np.maximum(np.arange(len(left)) * kernel.DECIMATION + 2 - kernel.SAMPLE_DELAY // kernel.STEP, 0)
        block = at // BLOCK
        blocks = int(block[-1]) + 1
        use = np.ones(len(left))
        use[:SKIP] = 0
        use[len(left) - n : len(left) - n + SKIP] = 0
        cross = np.bincount(block, carrier * left * use, blocks)
        energy = np.bincount(block, carrier * carrier * use, blocks)
        steps = n * kernel.DECIMATION * (len(self.path) - begin + 1)
        levels = np.zeros(steps + BLOCK + 1, np.uint8)
        scores = np.empty(len(pairs))
        env = (self.path[begin].before if begin < len(self.path) else self.before()).env[v]
        _, _, _, ad, sr = field(self.image(begin - 1), v)
        fresh = (pairs != (ad, sr)) @ (1, 2)
        for kind in np.unique(fresh):
            some = np.flatnonzero(fresh == kind)
            part = np.empty(len(some))
            events = self.events(v, frame, begin, gates, (bool(kind & 1), bool(kind & 2)), late)
            kernel.scan_adsr(env, events, steps, BLOCK, cross, energy, self.forward.dac_env, pairs[some], levels, part)
            scores[some] = part
        return scores - self.tie * self.novelty(v, pairs)

    def novelty(self, v: int, pairs: np.ndarray) -> np.ndarray:
        """Return how many nibbles of pairs (AD, SR) differ from the nearest that a voice was played with."""
        known = {(a, s) for _, a, s in self.instruments(v)} | {field(self.before().image, v)[3:]}
        least = np.full(len(pairs), 4)
        for ad, sr in known:
            other = pairs ^ np.array([ad, sr])
            least = np.minimum(least, ((other & 0xF) != 0).sum(axis=1) + ((other >> 4) != 0).sum(axis=1))
        return least

    def carried(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Return what each voice of a frame of the path sounds like at level 1, and what is left of the target."""
        found = self._carried.get(frame.number)
        if found is None or found[0] is not frame:
            carriers = np.stack([self.carrier(frame, v) for v in range(VOICES)])
            left = self.forward.sums(frame) - self.parts(frame).sum(axis=0)
            left[:SKIP] = left[SKIP:].mean()
            left -= left.mean()
            found = self._carried[frame.number] = (frame, carriers, left)
        return found[1], found[2]

    def carrier(self, frame: Frame, v: int) -> np.ndarray:
        """Return what a voice of a frame sounds like at level 1, float64 (samples,), without its mean."""
        return self.voice_at_full(frame.waves[v])

    def sampled(self, levels: np.ndarray) -> np.ndarray:
        """Return envelopes by steps as levels by samples."""
        return self.forward.dac_env[levels[np.maximum(self.at, 0)]]

    # --- Scans of one voice ---

    def rest(self, frame: Frame, v: int) -> np.ndarray:
        """Return what is left for one voice, without its mean."""
        parts = self.parts(frame)
        rest = self.forward.sums(frame) - sum(parts[u] for u in range(VOICES) if u != v)
        return rest - rest[SKIP:].mean()

    def parts(self, frame: Frame) -> np.ndarray:
        """Return what each voice adds to the sum of voices in a frame, float64 (3, samples)."""
        if self._last is None or self._last[0] is not frame:
            f = self.forward
            made = np.empty((VOICES, f.samples), np.float32)
            for v in range(VOICES):
                kernel.contribution(
                    frame.waves[v],
                    frame.levels[v],
                    f.dac_env,
                    f.drift,
                    f.per_wave,
                    f.taps,
                    self._mixed,
                    self._history,
                    made[v],
                )
            self._last = (frame, made.astype(np.float64))
        return self._last[1]

    def written(self, image: np.ndarray, v: int) -> int:
        """Return the cycle at which FREQ of a voice changes if the other registers become those of `image`."""
        before = self.before().image
        image = with_voice(image, v, freq=field(before, v)[0] ^ 0x0101)
        events = self.forward.events_between(before, image, NO_PADS, not self.path and self.everything)
        # between its two bytes the high one is still the old one
        return int(events[events[:, 1] == v * VOICE_STRIDE + 1, 0][0])

    def levels(self, image: np.ndarray, v: int) -> tuple[np.ndarray, np.ndarray, bool]:
        """Return what a wave level is multiplied by at each sample, what is added, and whether there is anything."""
        forward = self.forward
        events = forward.events(self.before(), image, NO_PADS, not self.path and self.everything)
        env = self.before().env[v].copy()
        levels = np.empty(forward.steps, np.uint8)
        kernel.frame_envelope(env, v, events, forward.frame_cycles, levels)
        gain, constant = np.empty(forward.samples), np.empty(forward.samples)
        kernel.decimate_levels(levels, forward.dac_env, forward.drift, forward.per_wave, gain, constant)
        return gain, constant, bool(levels.max() > 2)

    def table(self, waveform: int, width: int) -> np.ndarray:
        """Return the integral of a waveform over its period."""
        key = (waveform, width if waveform == 4 else 0)
        if key not in self._tables:
            if len(self._tables) > 64:
                self._tables.clear()
            table = np.empty(4097)
            kernel.integral_table(waveform, width, self.forward.dac, table)
            self._tables[key] = table
        return self._tables[key]

    def peaks(
        self,
        rest: np.ndarray,
        gain: np.ndarray,
        constant: np.ndarray,
        waveform: int,
        width: int,
        v: int,
        written: int,
        freqs: np.ndarray,
        count: int = 3,
    ) -> list[int]:
        """Return the FREQ that explain most of `rest`, levels and waveform being known."""
        osc = self.before().osc[v]
        acc, old = int(osc[kernel.ACC]), int(osc[kernel.FREQ])
        table = self.table(waveform, width)

        def scan(some: np.ndarray) -> np.ndarray:
            scores, gains = np.empty(len(some)), np.empty(len(some))
            kernel.scan_frequencies(
                rest, gain, constant, table, acc, old, written, some, SKIP, 0.85, 1.15, scores, gains
            )
            return scores

        found = []
        for top in tops(freqs, scan(freqs), count):
            f = top
            for reach, step in ((28, 4), (3, 1)):
                near = np.arange(max(f - reach, 1), min(f + reach, HIGHEST) + 1, step)
                f = int(near[np.argmax(scan(near))])
            found.append(f)
        return found

    def folded(
        self, rest: np.ndarray, gain: np.ndarray, v: int, written: int, count: int
    ) -> list[tuple[int, int, int, float]]:
        """Return FREQ, PW (0 without pulse), waveform and gain that explain most of `rest`."""
        osc = self.before().osc[v]
        acc, old = int(osc[kernel.ACC]), int(osc[kernel.FREQ])
        freqs = self.freqs
        n = len(freqs)
        scores, kinds, widths, gains = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
        dac = self.forward.dac
        kernel.fold_frequencies(rest, gain, dac, acc, old, written, freqs, SKIP, 1.15, scores, kinds, widths, gains)
        found = []
        for top in tops(freqs, scores, count):
            k = int(np.searchsorted(freqs, top))
            kind, width, g = int(kinds[k]), int(widths[k]), float(gains[k])
            table = self.table(kind, width)
            f = top
            for reach, step in ((30, 3), (2, 1)):
                near = np.arange(max(f - reach, 1), min(f + reach, HIGHEST) + 1, step)
                s, gs = np.empty(len(near)), np.empty(len(near))
                kernel.scan_frequencies(
                    rest, gain, np.zeros_like(gain), table, acc, old, written, near, SKIP, 0.5 * g, 1.5 * g, s, gs
                )
                f = int(near[np.argmax(s)])
            found.append((min(f, HIGHEST), width if kind == 4 else 0, kind, g))
        return found

    def widths(
        self, rest: np.ndarray, gain: np.ndarray, constant: np.ndarray, v: int, freq: int, written: int
    ) -> list[int]:
        """Return the PW that explain most of `rest`, FREQ and levels being known."""
        osc = self.before().osc[v]
        dac = self.forward.dac
        scores = np.empty(257)
        kernel.scan_widths(
            rest,
            gain,
            constant,
            float(dac[0xFFF] - dac[0]),
            float(dac[0]),
            int(osc[kernel.ACC]),
            int(osc[kernel.FREQ]),
            written,
            freq,
            SKIP,
            scores,
        )
        return [int(w) * 16 for w in tops(np.arange(256), scores[:256], 2, 4)]

    def noise_peaks(
        self,
        rest: np.ndarray,
        gain: np.ndarray,
        constant: np.ndarray,
        v: int,
        written: int,
        freqs: np.ndarray,
        reach: tuple[float, float] = (0.85, 1.15),
    ) -> list[int]:
        """Return the FREQ of noise that explain most of `rest`."""
        osc = self.before().osc[v]

        def scan(some: np.ndarray) -> np.ndarray:
            scores = np.empty(len(some))
            kernel.scan_noise(rest, gain, constant, self.forward.dac, osc, written, some, SKIP, *reach, scores)
            return scores

        found = []
        for f in tops(freqs, scan(freqs), 2, 2):
            near = np.unique(np.linspace(f * 0.996, min(f * 1.004, HIGHEST), 25).astype(np.int64))
            found.append(int(near[np.argmax(scan(near))]))
        return found

    # --- Refinement ---

    def refine(self, frame: Frame, rounds: int = 4) -> Frame:
        """Move FREQ and PW of the audible voices to where the error is least, all together."""
        best = frame
        for turn in range(rounds):
            if self.good(best):
                break
            old = best
            if turn and self.rms(best.energy) > LIKELY_RMS:
                best = self.tune_noise(best)
            new = self.step(best)
            if new is not None and new.energy < best.energy:
                best = new
            if best.energy > 0.98 * old.energy and turn:
                break
        return self.descend(best)

    def tune_noise(self, frame: Frame) -> Frame:
        """Try every FREQ near to that of a noise: there is no slope to follow."""
        best = frame
        for v, i in self.movable(frame):
            if i == 0 and field(frame.image, v)[2] & NOISE:
                for reach, step in ((48, 6), (4, 1)):
                    middle = best
                    for by in range(-reach, reach + 1, step):
                        image = self.moved(middle, (v, 0), by)
                        if image is not None:
                            best = min(best, self.again(middle, image), key=lambda f: f.energy)
        return best

    def again(self, frame: Frame, image: np.ndarray, pads: tuple | None = None) -> Frame:
        """Play a frame with other registers from the state in which it began."""
        if frame.before is self.before():
            return self.play(image, frame.pads if pads is None else pads)
        return self.evaluate(frame.before, frame.number, image, frame.pads if pads is None else pads)

    def movable(self, frame: Frame) -> list[tuple[int, int]]:
        """Return voice and register (0 FREQ, 1 PW) of what can be heard and was changed in this frame."""
        found = []
        for v in range(VOICES):
            freq, width, control, _, _ = field(frame.image, v)
            old = field(frame.before.image, v)
            if frame.levels[v].max() < 3 or control < 16:
                continue
            if freq != old[0]:
                found.append((v, 0))
            changed = width != old[1] or control & 0xF0 != old[2] & 0xF0
            if control & 0xF0 == PULSE and (changed or self.rms(frame.energy) > LIKELY_RMS):
                found.append((v, 1))
        return found

    def moved(self, frame: Frame, which: tuple[int, int], by: int) -> np.ndarray | None:
        """Return registers in which one value is moved, or None beyond its ends."""
        v, i = which
        value = field(frame.image, v)[i] + by
        if not 0 <= value <= (0xFFF if i else 0xFFFF):
            return None
        return with_voice(frame.image, v, **{"width" if i else "freq": value})

    def step(self, frame: Frame) -> Frame | None:
        """Take one Gauss-Newton step in all that moves; None where nothing does."""
        moves = [(v, i) for v, i in self.movable(frame) if not field(frame.image, v)[2] & NOISE]
        columns, used = [], []
        for which in moves:
            by = 8 if which[1] else 2
            image = self.moved(frame, which, by)
            if image is None:
                by = -by
                image = self.moved(frame, which, by)
            if image is None:
                continue
            change = (self.again(frame, image).out - frame.out) / by
            columns.append(change - change.mean())
            used.append(which)
        if not used:
            return None
        error = self.forward.target[frame.number] - frame.out - frame.before.dc
        matrix = np.stack(columns).astype(np.float64)
        gram = matrix @ matrix.T
        gram[np.diag_indices(len(used))] *= 1 + 1e-6
        gram[np.diag_indices(len(used))] += 1e-12
        by_all = np.linalg.solve(gram, matrix @ (error - error.mean()))
        image = frame.image
        for (v, i), by in zip(used, by_all, strict=True):
            limit = 128 if i else 24
            value = field(image, v)[i] + round(float(np.clip(by, -limit, limit)))
            value = min(max(value, 0), 0xFFF if i else 0xFFFF)
            image = with_voice(image, v, **{"width" if i else "freq": value})
        return self.again(frame, image)

    def descend(self, frame: Frame) -> Frame:
        """Move single registers by one, or by more where a noise hears FREQ, as long as that helps."""
        best = frame
        for v, i in self.movable(frame):
            noisy = bool(field(frame.image, v)[2] & NOISE)
            for step in (24, 8, 3, 1) if noisy else (1,):
                for by in (step, -step):
                    while (image := self.moved(best, (v, i), by)) is not None:
                        new = self.again(best, image)
                        if new.energy >= best.energy:
                            break
                        best = new
        return best
