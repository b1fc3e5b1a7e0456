"""AD, SR and gates by the levels that a voice had since its note began."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np

from sidlearn.chip.generator import (
    COUNTER,
    ENABLED,
    EXPONENTIAL_COUNTER,
    EXPONENTIAL_PERIOD,
    RATE_COUNTER,
    RATE_MATCH,
    RATE_STATES,
)
from sidlearn.chip.kernel import rate_period
from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import NO_PADS, ORDER, Frame, field, with_voice
from sidlearn.learn.decode.path import (
    SKIP,
    SOME_DECAYS,
    SOME_RELEASES,
    SOME_SUSTAINS,
    YOUNG_FRAMES,
    Group,
    Option,
    Past,
    in_time,
)
from sidlearn.learn.decode.scans import tops
from sidlearn.learn.decode.shapes import Shapes
from sidlearn.registers import ATTACK_DECAY, CONTROL, GATE, SUSTAIN_RELEASE, VOICE_STRIDE, VOICES, WRITABLE
from sidlearn.writes import WRITE_GAP_CYCLES

BLOCK = 27
"""Steps of a block in which an envelope is taken as level: 9 samples."""

OPEN_FRAMES = 12
"""Frames within which a note shows attack and decay or its release rate; guess."""

LONGEST_RETOLD = 150
"""Frames after which AD and SR are still found to have been others all the time; guess."""

LONGEST_REFIT = 40
"""Frames by which an envelope is followed back; guess."""

MATCHES = np.arange(0, 19_656, 8)
"""Cycles of a frame after which a rate counter may come to its period."""

LOWEST_PERIOD = 30
"""Of the exponential counter from level 6 down. Source: SID netlist."""

NIBBLES = np.array([(byte & 15 > 0) + (byte > 15) for byte in range(256)])
"""How many nibbles of a byte are not 0."""

HIDDEN_FRAMES = 2
"""For so many frames the ADSR delay bug can hide a gate: 32 768 cycles."""

MOST_MEASURED = 32
"""Of what is kept for envelopes that are tried with the same sound."""

SOME_PAIRS = np.array(
    [(a << 4 | d, s << 4 | r) for r in SOME_RELEASES for s in SOME_SUSTAINS for d in SOME_DECAYS for a in range(16)],
    np.int64,
)
"""Every attack with some decays, sustains and releases."""


class Envelopes(Shapes):
    """Envelopes of notes, by simulation."""

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
            if self.widely and begin < on:  # the note that began in between may be none
                made += self.patterns(v, best, rest, begin, begin)
        return made

    def begins(self, v: int, on: int, registers: tuple[int, int]) -> list[int]:
        """Return the frames in which AD and SR of the note that began in frame `on` may have been written."""
        earliest = len(self.path) - LONGEST_REFIT
        found = [max(on, earliest)]
        last = self.turned(v, on, GATE)
        possible = [registers, field(self.before().image, v)[3:]][: 1 + self.widely]
        if last is not None and last > earliest and field(self.path[last].image, v)[3:] in possible:
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
        sustains = range(16) if number - on <= YOUNG_FRAMES else (s,)
        releases = np.array([(ad, i << 4 | k) for i in sustains for k in range(16)], np.int64)
        if off is not None and on < off < window[0] and number - off <= OPEN_FRAMES and ad & 15 == r:
            # a release at the rate of the decay: it may as well begin later
            longer = dict.fromkeys(range(off, window[0]), GATE)
            for at in window:
                gates = longer | {k: GATE if k < at else 0 for k in window}
                made += self.refit(v, best, rest, begin, gates, releases, (freq, width, wave), 1)
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
        found = self.distinct(pairs, self.rank(v, frame, rest, begin, gates, pairs, late), count)
        return self.past_options(v, frame, begin, gates, shape, found, late)

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
        # where AD and SR were written with what they are now there is no write more or less if they were others
        told = self.told_since(v) if self.widely else frame.number
        sinces = dict.fromkeys((begin, told)) if told < begin else (begin,)
        for (ad, sr), since in product(pairs, sinces):
            past = Past(since, ad, sr, tuple((at, g) for at, g in gates.items() if at < frame.number), late)
            env = self.run(v, frame, since, gates, ad, sr, frame.number - since, late)
            made.append(Option((*shape, ad, sr), past, env.tobytes()))
        return made

    def told_since(self, v: int) -> int:
        """Return the frame in which AD and SR of a voice were written with what they are now."""
        now = field(self.before().image, v)[3:]
        k = len(self.path) - 1
        while k > 0 and len(self.path) - k < LONGEST_RETOLD and field(self.image(k - 1), v)[3:] == now:
            k -= 1
        return max(k, 0)

    def events(
        self,
        v: int,
        frame: Frame,
        begin: int,
        gates: dict[int, int],
        fresh: tuple[bool, bool],
        late: int = -1,
    ) -> np.ndarray:
        """Return the writes to an envelope from frame `begin` on, int64 (writes, 3), AD and SR as -1.

        `fresh` tells whether AD and SR get other values in frame `begin`. All other writes stay in time in the frames
        of the path.
        """
        old = self.image(begin - 1)
        _, _, _, ad, sr = field(old, v)
        images, pads = self.history(begin)
        told = np.full(len(images) + 1, -1, np.int64)
        for at, gate in gates.items():
            if begin <= at <= frame.number:
                told[at - begin] = gate
        pads[-1] = frame.pads
        if begin <= late <= frame.number:
            pads[late - begin, v] += 1
        was = np.concatenate([old[None], images])
        now = np.concatenate([images, frame.image[None]])
        new = now.copy()
        at = v * VOICE_STRIDE
        new[:, at + ATTACK_DECAY] = ad ^ 0x10 * fresh[0]
        new[:, at + SUSTAIN_RELEASE] = sr ^ 0x10 * fresh[1]
        new[:, at + CONTROL] = np.where(told < 0, now[:, at + CONTROL], now[:, at + CONTROL] & 0xFE | told & GATE)
        first = int(begin == 0 and self.everything)
        past = slice(first, len(images))  # when its writes came is known
        pads[past] += in_time(v, was, now, np.concatenate([old[None], new[:-1]]), new)[past]
        n = kernel.envelope_events(
            old,
            images,
            frame.image,
            pads,
            ORDER,
            WRITE_GAP_CYCLES,
            v,
            ad ^ 0x10 * fresh[0],
            sr ^ 0x10 * fresh[1],
            told,
            begin == 0 and self.everything,
            self.forward.frame_cycles,
            self._changes,
            self._rows,
        )
        return self._rows[:n].copy()

    def history(self, begin: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the registers of the frames from `begin` on, uint8 (frames, 25), and pads, with room for one more."""
        found = self._histories.get(begin)
        if found is None:
            frames = self.path[begin:]
            images = np.array([f.image for f in frames], np.uint8).reshape(-1, WRITABLE)
            found = self._histories[begin] = images, np.array([*(f.pads for f in frames), NO_PADS], np.int64)
        return found[0], found[1].copy()

    def run(
        self,
        v: int,
        frame: Frame,
        begin: int,
        gates: dict[int, int],
        ad: int,
        sr: int,
        frames: int,
        late: int = -1,
    ) -> np.ndarray:
        """Return the envelope some frames after the start of frame `begin`."""
        _, _, _, old_ad, old_sr = field(self.image(begin - 1), v)
        events = self.events(v, frame, begin, gates, (ad != old_ad, sr != old_sr), late)
        env = (self.path[begin].before if begin < len(self.path) else self.before()).env[v].copy()
        kernel.run_events(env, events, ad, sr, frames * self.forward.frame_cycles)
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
        measured = self.measured_with(v, begin, frame, rest)
        steps = self.forward.steps * len(measured[3])
        levels = np.zeros(3 * len(measured[0]), np.uint8)
        scores = np.empty(len(pairs))
        env = (self.path[begin].before if begin < len(self.path) else self.before()).env[v]
        _, _, _, ad, sr = field(self.image(begin - 1), v)
        fresh = (pairs != (ad, sr)) @ (1, 2)
        for kind in np.unique(fresh):
            some = np.flatnonzero(fresh == kind)
            part = np.empty(len(some))
            events = self.events(v, frame, begin, gates, (bool(kind & 1), bool(kind & 2)), late)
            kernel.scan_adsr(
                env,
                events,
                steps,
                BLOCK,
                *measured,
                self.forward.dac_env,
                pairs[some],
                levels,
                part,
            )
            scores[some] = part
        return scores - self.tie * self.novelty(v, pairs)

    def behind(self, v: int, begin: int) -> tuple[np.ndarray, ...]:
        """Return what `kernel.explained` wants to know of a voice in the frames of the path from `begin` on.

        Cross, energy and first of each block, and counts, with one more frame that holds nothing.
        """
        key = v, begin, self.freely
        found = self._behind.get(key)
        if found is None:
            carriers, rests = [np.zeros(0)], [np.zeros(0)]
            for f in self.path[begin:]:
                # what is left of a frame holds the means of other voices whose levels are free
                carrier, left = self.carried(f)
                carriers.append(carrier[v] - carrier[v].mean() * self.freely)
                part = carriers[-1] * self.sampled(f.levels[v])
                rests.append(left + part - part[SKIP:].mean())
            frames = len(carriers) - 1
            found = self._behind[key] = self.by_blocks(np.concatenate(carriers), np.concatenate(rests), 0, frames + 1)
        return found

    def by_blocks(self, carrier: np.ndarray, left: np.ndarray, frame: int, frames: int) -> tuple[np.ndarray, ...]:
        """Return cross, energy, first and count of samples of each of the blocks of `frames`, from a frame on."""
        at = np.arange(frame * self.forward.samples, frame * self.forward.samples + len(left))
        at = np.maximum(at * kernel.DECIMATION + 2 - kernel.SAMPLE_DELAY // kernel.STEP, 0)
        use = np.ones(len(left))
        use[:SKIP] = 0
        blocks = frames * self.forward.steps // BLOCK
        found = (carrier * left, carrier * carrier, carrier, np.ones(len(left)))
        return tuple(np.bincount(at // BLOCK, x * use, blocks) for x in found)

    def measured(
        self, behind: tuple[np.ndarray, ...], carrier: np.ndarray, rest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the same with what a voice sounds like in the frame under way; counts frame by frame."""
        frames = len(behind[0]) * BLOCK // self.forward.steps
        last = self.by_blocks(carrier, rest, frames - 1, frames)
        cross, energy, first, counts = (a + b for a, b in zip(behind, last, strict=True))
        return cross, energy, first, counts.reshape(frames, -1)

    def measured_with(
        self, v: int, begin: int, frame: Frame, rest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the same for what a voice plays in a hypothesis."""
        key = v, begin, self.freely, id(frame), id(rest)
        known = self._measured.get(key)
        if known is None:
            if len(self._measured) >= MOST_MEASURED:
                self._measured.clear()
            carrier = (self.swing if self.freely else self.at_full)(frame.waves[v], v, frame.image)
            # with what the numbers of the key belong to, so that they stay theirs
            known = self._measured[key] = frame, rest, self.measured(self.behind(v, begin), carrier, rest)
        return known[2]

    def restarts(self, v: int, image: np.ndarray, rest: np.ndarray, osc: np.ndarray) -> list[Option]:
        """Return options in which a note of a quiet voice begins at another time than its envelope is thought to.

        When an attack begins depends on the rate counter, and that on what was written while nobody heard it.
        """
        freq, width, control, ad, sr = field(image, v)
        state = self.before()
        events = self.forward.events(state, image, NO_PADS)
        osc = np.stack([osc if u == v else o for u, o in enumerate(state.osc)])
        wave, _ = self.forward.wave(replace(state, osc=osc), v, events)
        measured = self.measured(
            self.behind(v, len(self.path)), (self.swing if self.freely else self.at_full)(wave, v, image), rest
        )
        own = events[(events[:, 1] >= v * VOICE_STRIDE + CONTROL) & (events[:, 1] < (v + 1) * VOICE_STRIDE)]
        own[:, 1] -= v * VOICE_STRIDE
        steps = self.forward.steps
        levels = np.zeros(3 * len(measured[0]), np.uint8)
        scores = np.empty(len(MATCHES))
        args = (state.env[v], own, steps, BLOCK, *measured, self.forward.dac_env)
        kernel.scan_starts(*args, np.array([ad, sr]), MATCHES, levels, scores)
        made = []
        for match in tops(MATCHES, scores, 2):
            made.append(Option((freq, width, control, ad, sr), env=self.attacking(v, ad, match)))
        return made

    def attacking(self, v: int, ad: int, match: int) -> bytes:
        """Return the envelope of a quiet voice whose rate counter comes to the attack's period after `match` cycles."""
        env = self.before().env[v].copy()
        env[RATE_MATCH] = 0
        env[RATE_COUNTER] = (rate_period(ad >> 4) - 1 - match) % RATE_STATES
        return env.tobytes()

    def fading(self, v: int, group: Group) -> list[Option]:
        """Return options in which a quiet voice fades sooner or later than thought."""
        made = []
        level = int(self.before().env[v, COUNTER])
        for new in dict.fromkeys((level, max(level - 1, 0), level + 1)) if level else (1,):
            for turn in (0, 10, 20):
                env = self.before().env[v].copy()
                env[COUNTER], env[EXPONENTIAL_COUNTER], env[ENABLED] = new, turn, new > 0
                if not level:  # frozen at 0 it counted by one
                    env[EXPONENTIAL_PERIOD] = LOWEST_PERIOD
                made.append(Option(group, env=env.tobytes()))
        return made

    def novelty(self, v: int, pairs: np.ndarray) -> np.ndarray:
        """Return how many nibbles of pairs (AD, SR) differ from the nearest that a voice was played with."""
        key = v, pairs.tobytes()
        found = self._novelties.get(key)
        if found is None:
            known = {(a, s) for _, a, s in self.instruments(v)} | {field(self.before().image, v)[3:]}
            other = pairs[:, None] ^ np.array(sorted(known), np.int64)
            found = self._novelties[key] = NIBBLES[other].sum(axis=2).min(axis=1)
        return found
