"""Frame after frame, and what later frames tell of those before them.

Writes that nobody hears move what is written after them. Which voice they went to, and what a gate or PW was that
nobody heard, shows some frames later; the frames before are then played again as they must have been.
"""

from __future__ import annotations

from itertools import pairwise, permutations, product

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.forward import Frame, State, field, with_gate, with_voice
from sidlearn.learn.decode.path import (
    ALL_KNOWN,
    AS_BEFORE,
    FAIR_RMS,
    GOOD_RMS,
    HIGHEST,
    KNOWN,
    LIKELY_RMS,
    PULSE,
    added,
    in_time,
    shifted,
)
from sidlearn.learn.decode.refine import NEAR_RMS
from sidlearn.learn.decode.steadying import Steadying
from sidlearn.registers import GATE, VOICES

NEIGHBOURS = 2
"""FREQ by which a note may be misjudged in the frame in which it begins; guess."""

LOOK_BACK = 16
"""Frames that are gone over again; guess."""

WRONG_WIDTH = 64
"""Of a PW that is found where writes are not where they were thought to be; guess."""

OFTEN = 0.25
"""Share of frames in which a voice must have been told of a PW that nobody heard, to look for another; guess."""

LONGEST_REASSIGNED = 64
"""Frames in which writes that nobody heard are given to another voice; guess."""


MOST_KNOWN = 8
"""Instruments of a voice that are tried in place of a new one; guess."""

UNEXPLAINED = 3
"""Of what could not be expected, how much a write without a register is; guess."""

REPHASED, REPHASING_GAIN = 9, 0.95
"""Frames within which a phase is found more exactly, and the energy that is left where it is, of what was; guess."""

PHASES = [sign << bit for bit in range(5, 12) for sign in (1, -1)]
"""By which a phase may be other than found, of 24 bits; guess."""


class Decoder(Steadying):
    """Decodes frame after frame with one `Forward`."""

    def decode_next(self) -> Frame:
        """Find the registers of the next frame and go on to it."""
        self.renew()
        best = self.predict()
        if not self.good(best):
            best = self.faint(self.retuned(best))
        if not self.good(best):
            best = self.search(best)
            settled = self.settle(best)
            if settled is not best and not self.likely(settled):
                settled = self.near_to(settled)
            best = self.faint(settled)
            if not self.good(best):
                best = self.padded(self.reassign(self.reveal(best)))
            if self.filters and not self.path and not self.likely(best):
                best = self.with_filter(best)
            if not self.likely(best):
                best = self.searched_widely(best)
            if self.path and self.good(best):
                best = self.steadier(best)
        self.accept(self.polished(best))
        self.rephase()
        self.look_back()
        self.steady()
        return best

    def rephase(self) -> None:
        """Find the phase of a voice more exactly that was found some frames ago, once a frame shows it is not exact.

        A pulse ends a cycle sooner or later with the last bits of its phase, once in some hundred periods.
        """
        last = max(self.jumps, default=-REPHASED)
        if self.good(self.path[-1]) or not len(self.path) - REPHASED < last < len(self.path):
            return
        known = self.path[last:]
        for v, (phase, _) in enumerate(self.jumps[last]):
            for by in PHASES if phase != KNOWN else ():
                starts = [AS_BEFORE] * VOICES
                starts[v] = phase + by & kernel.MASK, b""
                new = self.played_again(shifted(known[0].before, tuple(starts)), known)
                if sum(f.energy for f in new) < sum(f.energy for f in self.path[last:]) * REPHASING_GAIN:
                    self.path[last:] = new
                    self.floor[last:] = [self.rms(f.energy) for f in new]
        if self.path[last] is not known[0]:
            if self.trace:
                print("   phases of", last, "were a little other")
            begun = self.path[last].before
            same = [b"" if not env else begun.env[v].tobytes() for v, (_, env) in enumerate(self.jumps[last])]
            told = [
                KNOWN if phase == KNOWN else int(begun.osc[v, kernel.ACC])
                for v, (phase, _) in enumerate(self.jumps[last])
            ]
            self.jumps[last] = tuple(zip(told, same, strict=True))
            self.path[last - 1].after = begun

    def played_again(self, state: State, frames: list[Frame]) -> list[Frame]:
        """Play frames of the path again from another state, FREQ and PW as they fit best with it."""
        made = []
        for old in frames:
            new = self.evaluate(state, old.number, old.image, old.pads)
            if not self.good(new):
                new = self.descend(new)
            self.pass_on(new)
            made.append(new)
            state = new.after
        return made

    def retuned(self, best: Frame) -> Frame:
        """Return a better frame if FREQ in the one before was a little other than thought, else `best`.

        One frame tells FREQ and PW of a note that begins to no more than one or two; in the next one its phase is off.
        """
        if not self.path or self.rms(best.energy) > NEAR_RMS:
            return best
        path, floor = self.path, self.floor
        found = best, path, floor
        for last in self.neighbours(path[-1]):
            self.path, self.floor = path[:-1], floor[:-1]
            self.accept(last)
            self.renew()
            new = self.predict()
            if self.good(new) and new.energy < found[0].energy:
                found = new, self.path, self.floor
        if found[0] is not best and self.trace:
            print("   retuned", path[-1].number)
        self.restore(*found[1:])
        return found[0]

    def neighbours(self, frame: Frame) -> list[Frame]:
        """Return a frame of the path with slightly other values of FREQ that it was the first to have."""
        made = []
        for v in range(VOICES):
            freq, _, control, _, _ = field(frame.image, v)
            if freq == field(frame.before.image, v)[0] or control < 16 or frame.levels[v].max() < 3:
                continue
            for by in range(-NEIGHBOURS, NEIGHBOURS + 1):
                if not by or not 0 <= freq + by <= HIGHEST:
                    continue
                new = self.again(frame, with_voice(frame.image, v, freq=freq + by))
                for way in (1, -1) if control & PULSE else ():
                    while (image := self.moved(new, (v, 1), way)) is not None:
                        other = self.again(frame, image)
                        if other.energy >= new.energy:
                            break
                        new = other
                if self.good(new):
                    made.append(new)
        return made

    def searched_widely(self, best: Frame) -> Frame:
        """Return a frame found with all that is seldom so: unknown phases, attacks that begin late, other timing."""
        self.widely = True
        best = self.search(best)
        settled = self.settle(best)
        best = self.near_to(settled) if settled is not best and not self.likely(settled) else settled
        if not self.likely(best):
            best = self.padded(self.reassign(self.reveal(best)))
        best = self.heard_before(self.as_told(best))
        if self.path and self.rms(best.energy) < LIKELY_RMS:
            best = self.steadier(best)
        self.widely = False
        return best

    def as_told(self, best: Frame) -> Frame:
        """Return a frame that begins as the frames before tell, as far as that explains it too."""
        starts = self.starts_of(best)
        if starts == ALL_KNOWN:
            return best
        for some in ([AS_BEFORE] * VOICES, [(phase, b"") for phase, _ in starts], [(KNOWN, env) for _, env in starts]):
            new = self.refine(self.play(best.image, best.pads, (some[0], some[1], some[2])))
            if self.likely(new):
                return new
        return best

    def look_back(self) -> None:
        """Go over frames again that were not understood when they came, once those after them are."""
        number = len(self.path)
        if number < 3 or max(self.floor[-2:]) > GOOD_RMS:
            return
        since = max(0, number - LOOK_BACK)
        doubtful = [k for k in range(since, number) if self.floor[k] > FAIR_RMS and k not in self.gone_over]
        if not doubtful:
            return
        self.gone_over.update(doubtful)
        first = doubtful[0]
        path, floor = self.path, self.floor
        self.path, self.floor = path[:first], floor[:first]
        for old in path[first:]:
            self.renew()
            new = self.play(old.image, old.pads)
            if not self.good(new):
                new = self.settle(self.refine(new))
            self.accept(self.steadier(new))
        if self.trace:
            print("   gone over", first, *(np.round(np.array(f[first:]) * 1e4, 1) for f in (floor, self.floor)))
        if sum(f * f for f in self.floor) >= sum(f * f for f in floor):
            self.restore(path, floor)
        self.renew()

    def steadier(self, frame: Frame) -> Frame:
        """Return the frame with no more left and the least that is new.

        Writes that nobody hears stand for each other.
        """
        for _ in range(2):
            old = frame
            for v in range(VOICES):
                held = field(self.before().image, v)
                ad, sr = field(frame.image, v)[3:]
                known = [(a, s) for _, a, s in self.instruments(v, MOST_KNOWN)]
                pairs = {(ad, sr): None, held[3:]: None}
                if (ad, sr) not in [*pairs][1:] + known:  # as good as all others so far, maybe
                    pairs |= dict.fromkeys(known)
                tried = []
                for gate, (a, s), width in product((0, GATE), pairs, self.likely_widths(frame, v)):
                    image = with_gate(with_voice(frame.image, v, width=width, ad=a, sr=s), v, gate)
                    start = frame.before.image
                    # a gate may be taken for a write of something else, or not: notes begin unheard
                    told = (image, with_voice(image, v, ad=ad, sr=sr), frame.image)
                    for pads in dict.fromkeys(added(frame.pads, in_time(v, start, t, start, image)) for t in told):
                        tried.append((self.news(v, image) + self.padding(pads), self.again(frame, image, pads)))
                least = min(f.energy for _, f in tried)
                frame = min(
                    (t for t in tried if t[1].energy <= 1.03 * least + 1e-6), key=lambda t: (t[0], t[1].energy)
                )[1]
            if self.widely:
                frame = self.otherwise_timed(frame)
            if frame is old:
                break
        return frame

    @staticmethod
    def padding(pads: tuple) -> int:
        """Return how unlikely it is that writes come otherwise than thought, as `news` counts."""
        return UNEXPLAINED * sum(abs(p) for p in pads)

    def otherwise_timed(self, frame: Frame) -> Frame:
        """Return a frame in which a write of PW takes the time that AD or SR was thought to take, if that is better."""
        best = frame
        for v in range(VOICES):
            ad, sr = field(self.before().image, v)[3:]
            if field(frame.image, v)[3:] == (ad, sr):
                continue
            told = with_voice(frame.image, v, ad=ad, sr=sr)
            for u in range(VOICES):
                for width in self.likely_widths(frame, u):
                    new = self.again(frame, with_voice(told, u, width=width))
                    best = min(best, new, key=lambda f: f.energy)
        return best

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

    def reveal(self, best: Frame) -> Frame:
        """Return a better frame if PW, which is heard for the first time, was written long before, else `best`."""
        path, floor = self.path, self.floor
        for v in range(VOICES):
            width, control, _, _ = field(best.image, v)[1:]
            if not path or not control & PULSE or field(self.before().image, v)[2] & PULSE:
                continue
            likely = dict.fromkeys((0x800, width + 128 & 0xF00, width))
            others = [u for u in range(VOICES) if u != v and not field(self.before().image, u)[2] & PULSE]
            for held, u in product((w for w in likely if abs(w - width) <= WRONG_WIDTH), others or [v]):
                if not self.rewrite(v, u, held):
                    continue
                new = self.settle(self.refine(self.play(with_voice(best.image, v, width=held))))
                if not self.good(new):
                    new = self.padded(self.near_to(new))
                if self.trace:
                    print("   revealed", v, held, u, self.rms(new.energy) * 1e4)
                if new.energy < 0.5 * best.energy:
                    return new
                self.restore(path, floor)
        return best

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
                new = self.padded(self.search(new))
            if self.trace:
                print("   reassigned", v, u, self.rms(new.energy) * 1e4)
            if new.energy < 0.5 * best.energy:
                return new
            self.restore(path, floor)
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
                high = other + (0x100 if bytes_written > 1 else 0) & 0xF00
                other = high | other + (bytes_written > 0) & 0xFF
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
        self.restore(path, floor)
        return False

    @staticmethod
    def changed_bytes(old: int, new: int) -> int:
        """Return how many bytes of a register pair are written."""
        return ((old ^ new) & 0xFF > 0) + ((old ^ new) >> 8 > 0)

    def unheard(self, v: int) -> int:
        """Return the first frame since which nobody hears PW of a voice."""
        for k in range(len(self.path) - 1, -1, -1):
            if field(self.path[k].image, v)[2] & PULSE:
                return k + 1
        return 0 if self.everything else 1
