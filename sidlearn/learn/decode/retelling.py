"""AD and SR that a voice was told of many notes ago, and gates that nobody heard since.

A release at the rate of the decay, or a note that ends before its sustain is reached, leave SR and gates open: many of
them sound the same. All of them are followed at once, and a later note that tells them apart tells of the earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.envelopes import HIDDEN_FRAMES, Envelopes
from sidlearn.learn.decode.forward import NO_PADS, Frame, field, with_voice
from sidlearn.learn.decode.path import SKIP, Option, Past, added, in_time
from sidlearn.registers import GATE

SAME_STEPS = 40
"""Steps of a frame in which two levels may differ and still sound the same; guess."""
LONGEST_TOLD = 400
"""Frames by which a voice is followed back; guess."""
LONGEST_NOTE = 64
"""Frames of a note whose SR is looked for; guess."""
BEST_LEVELS, BEST_TELLINGS = 3, 2
"""Levels of a voice that are gone into, and what may have led to them that is kept."""
MOST_LOST, LEAST_LOST = 1.1, 3e-5
"""By how much more may be left of a frame that is played again, as a factor and as a root mean square; guess."""


LEVELS_RMS = 1.5e-2
"""What a frame leaves at most in which only levels are other than thought; guess."""
MOST_FOLLOWED = 4096
"""Voices with SR and AD since a frame that are followed at once; guess."""


@dataclass(frozen=True)
class Gating:
    """When the gate of a note may have gone on and off."""

    key: int
    """Frame in which it goes on in the path."""
    ons: tuple[int, ...]
    offs: tuple[int, ...] = ()

    @property
    def on(self) -> int:
        """The frame in which it goes on: that of the path where that may be."""
        return self.key if self.key in self.ons else max(self.ons)

    def joined(self, other: Gating) -> Gating:
        """Return what may have been so one way or another."""
        ons, offs = {*self.ons, *other.ons}, {*self.offs, *other.offs}
        return Gating(self.key, tuple(sorted(ons)), tuple(sorted(offs)))


@dataclass(frozen=True)
class Lineage:
    """A voice that sounds as it did with other registers."""

    env: bytes
    """State of its envelope after the frames."""
    gate: int
    notes: tuple[Gating, ...]

    def joined(self, other: Lineage) -> Lineage:
        """Return both of two ways to the same."""
        notes = tuple(a.joined(b) for a, b in zip(self.notes, other.notes, strict=False))
        return Lineage(self.env, self.gate, notes)

    def gates(self, begin: int, end: int) -> list[int]:
        """Return the gate in the frames from `begin` on, every note as long as it can be."""
        made = [0] * (end - begin)
        for note in self.notes:
            for k in range(max(note.on, begin), max(note.offs) if note.offs else end):
                made[k - begin] = GATE
        return made

    def ways(self, k: int, begins: bool, next_on: int) -> list[tuple[int, tuple[Gating, ...]]]:
        """Return what the gate may do in a frame in which a note of the path begins or not, and the notes then."""
        key = self.notes[-1].key if self.notes else -1
        if begins:
            if self.gate:  # what is still on does not begin again
                return [(GATE, self.notes)] if key == k else []
            return [(GATE, (*self.notes, Gating(k, (k,))))]
        if self.gate and key > k:
            return [(GATE, self.notes)]
        if self.gate:
            last = self.notes[-1] if self.notes else Gating(k, (k,))
            return [(GATE, self.notes), (0, (*self.notes[:-1], replace(last, offs=(k,))))]
        early = [(GATE, (*self.notes, Gating(next_on, (k,))))] if next_on > k else []
        return [(0, self.notes), *early]


class Retelling(Envelopes):
    """What a voice was told long before."""

    def next_on(self, v: int, number: int) -> int:
        """Return the frame after `number` in which a note of the path begins, -1 if the ADSR delay bug hides none."""
        for k in range(number + 1, min(number + 1 + HIDDEN_FRAMES, len(self.path))):
            if self.gate(v, k) and not self.gate(v, k - 1):
                return k
        return -1

    def founder(self, v: int, begin: int) -> Lineage:
        """Return what a voice is like before a frame of the path."""
        return Lineage(self.path[begin].before.env[v].tobytes(), self.gate(v, begin - 1), ())

    def follow(
        self, v: int, told: tuple[int, int], begin: int, end: int, alive: list[Lineage], fresh: bool = True
    ) -> list[Lineage]:
        """Return how lineages may go on in the frames of the path from `begin` to `end`, `told` being AD and SR.

        `fresh` tells whether SR was another before them.
        """
        ad, sr = told
        for k in range(begin, end):
            was, now = self.gate(v, k - 1), self.gate(v, k)
            made: dict[tuple[bytes, int], Lineage] = {}
            if (jump := self.jumps.get(k)) is not None and jump[v][1]:
                alive = [replace(old, env=jump[v][1]) for old in alive]
            begins = bool(now and not was)
            next_on = -1 if now else self.next_on(v, k)
            for old in alive:
                for gate, notes in old.ways(k, begins, next_on):
                    found = self.heard_alike(v, k, sr, ad, old, gate, fresh and k == begin)
                    if found is None:
                        continue
                    new = Lineage(found, gate, notes)
                    other = made.get((found, gate))
                    made[found, gate] = new if other is None else new.joined(other)
            alive = list(made.values())
            if not alive:
                break
        return alive

    def heard_alike(self, v: int, k: int, sr: int, ad: int, old: Lineage, gate: int, first: bool) -> bytes | None:
        """Return the envelope after a frame of the path with another SR and gate, None if that is heard."""
        frame = self.path[k]
        before = frame.before.image
        held = before if first else self.told_of(v, before, sr, ad, old.gate)
        image = self.told_of(v, frame.image, sr, ad, gate)
        env = np.frombuffer(old.env, np.int64).copy()
        levels = np.empty(self.forward.steps, np.uint8)
        everything = k == 0 and self.everything
        pads = frame.pads
        if not everything:
            pads = added(pads, in_time(v, before, frame.image, held, image))
        events = self.forward.events_between(held, image, pads, everything)
        kernel.frame_envelope(env, v, events, self.forward.frame_cycles, levels)
        if np.count_nonzero(levels != frame.levels[v]) > SAME_STEPS:
            return None
        return env.tobytes()

    @staticmethod
    def told_of(v: int, image: np.ndarray, sr: int, ad: int, gate: int) -> np.ndarray:
        """Return registers with another SR, if AD is `ad`, and another gate of a voice."""
        _, _, control, own, other = field(image, v)
        return with_voice(image, v, control=control & ~GATE | gate, sr=sr if own == ad else other)

    def refits(self, v: int, best: Frame, rest: np.ndarray) -> list[Option]:
        """Return options in which the envelope of a voice was another than thought, or its gate changed unnoticed."""
        return super().refits(v, best, rest) + (self.retellings(v, best, rest) if self.deeply else [])

    def noted(self, v: int, sr: int, begin: int) -> list[Lineage]:
        """Return how a voice sounds as it did from frame `begin` on, in which a note begins, with another SR.

        SR is another wherever AD is as in the last frame. What was found for frames of the path that stay is kept.
        """
        number = len(self.path)
        ad = field(self.before().image, v)[3]
        key = v, ad, sr, begin
        found = self._lineages.get(key)
        if found is not None:
            return found
        # a frame of the path, and what goes on after the one that is so many before it that all it tells is known
        if len(self._ancestors) > MOST_FOLLOWED:
            self._ancestors.clear()
        known = self._ancestors.setdefault(key, [])
        later = self.path[begin + HIDDEN_FRAMES :]
        while known and (len(known) > len(later) or known[-1][0] is not later[len(known) - 1]):
            known.pop()
        alive = known[-1][1] if known else [self.founder(v, begin)]
        for k in range(begin + len(known), number):
            if not alive:
                break
            alive = self.follow(v, (ad, sr), k, k + 1, alive, k == begin)
            if k + HIDDEN_FRAMES < number:
                known.append((self.path[k + HIDDEN_FRAMES], alive))
        self._lineages[key] = alive
        return alive

    def retellings(self, v: int, best: Frame, rest: np.ndarray) -> list[Option]:
        """Return options in which SR was another since a note began, or long before, and nobody heard it till now."""
        if self.rms(best.energy) > LEVELS_RMS:
            return []
        number = len(self.path)
        on = self.turned(v, number, GATE)
        freq, width, control, _, _ = field(best.image, v)
        if on is None or number - on > LONGEST_NOTE or control < 16:
            return []
        since = self.told_first(v, on)
        if since == on:  # of a first note `refits` tells all
            return []
        ad, held = field(self.before().image, v)[3:]
        carrier = (self.swing if self.freely else self.at_full)(best.waves[v], v, best.image)
        present = Lineage(self.before().env[v].tobytes(), self.gate(v, number - 1), ())
        plain = {self.levels_with(v, best.image, present, held, gate).tobytes() for gate in (0, GATE)}
        found: dict[bytes, tuple[float, list[tuple[int, int]]]] = {}
        for sr in range(256):
            for lineage in self.noted(v, sr, on):
                for gate in (GATE, 0) if lineage.gate else (0,):
                    levels = self.levels_with(v, best.image, lineage, sr, gate)
                    key = levels.tobytes()
                    if key in plain:
                        continue
                    if key not in found:
                        part = carrier * self.sampled(levels)
                        part = (part - part.mean())[SKIP:]
                        found[key] = float(2 * part @ rest[SKIP:] - part @ part), []
                    found[key][1].append((sr, gate))
        made: list[Option] = []
        for _, ways in sorted(found.values(), key=lambda f: -f[0])[:BEST_LEVELS]:
            made += self.told_since_long(v, (freq, width, control, ad), (since, on), ways)
        return made

    def gates_told(self, v: int, lineage: Lineage, begin: int) -> tuple[tuple[int, int], ...]:
        """Return the frames from `begin` on in which a lineage has another gate than the path, and the gate."""
        number = len(self.path)
        gates = lineage.gates(begin, number)
        return tuple((k, g) for k, g in zip(range(begin, number), gates, strict=True) if g != self.gate(v, k))

    def gate(self, v: int, number: int) -> int:
        """Return the gate of a voice after a frame."""
        return field(self.image(number), v)[2] & GATE

    def levels_with(self, v: int, image: np.ndarray, lineage: Lineage, sr: int, gate: int) -> np.ndarray:
        """Return the levels of a voice in the frame under way after a lineage, uint8 (steps,)."""
        before = self.before().image
        ad = field(before, v)[3]
        held, new = self.told_of(v, before, sr, ad, lineage.gate), self.told_of(v, image, sr, ad, gate)
        env = np.frombuffer(lineage.env, np.int64).copy()
        levels = np.empty(self.forward.steps, np.uint8)
        events = self.forward.events_between(held, new, NO_PADS)
        kernel.frame_envelope(env, v, events, self.forward.frame_cycles, levels)
        return levels

    def told_first(self, v: int, on: int) -> int:
        """Return the frame in which the first of the notes began that have AD as that of frame `on` has it."""
        number = len(self.path)
        ad = field(self.image(on), v)[3]
        since = on
        while since > 0 and number - since < LONGEST_TOLD and field(self.image(since - 1), v)[3] == ad:
            since -= 1
        return next(k for k in range(since, on + 1) if self.gate(v, k) and not self.gate(v, k - 1))

    def told_since_long(
        self, v: int, shape: tuple[int, int, int, int], begins: tuple[int, ...], ways: list[tuple[int, int]]
    ) -> list[Option]:
        """Return options for SR and gates that sound the same now: those that other notes allow come first."""
        freq, width, control, ad = shape
        known = {s: n for n, (_, _, s) in enumerate(self.instruments(v, 8))}
        made = []
        ways = sorted(ways, key=lambda w: (known.get(w[0], 99), w[0]))
        for begin in begins:
            for sr, gate in ways:
                for lineage in self.noted(v, sr, begin):
                    if not lineage.gate and gate:
                        continue
                    gates = self.gates_told(v, lineage, begin)
                    past = Past(begin, ad, sr, gates)
                    made.append(Option((freq, width, control & ~GATE | gate, ad, sr), past, lineage.env))
                    break
                if len(made) >= BEST_TELLINGS:
                    return made
        return made

    def play_again(self, v: int, images: list[np.ndarray]) -> bool:
        """Play the path with other registers of the envelope of a voice, all other writes when they were.

        Returns
        -------
        kept : bool
            Whether that explains the sound as well: if not the path stays what it was.
        """
        path, floor = self.path, self.floor
        first = next((k for k, f in enumerate(path) if not np.array_equal(f.image, images[k])), len(path))
        if first == len(path):
            return True
        self.path, self.floor = path[:first], floor[:first]
        self.renew()
        for old in path[first:]:
            before, image = self.before(), images[old.number]
            pads = old.pads
            if old.number or not self.everything:
                pads = added(pads, in_time(v, old.before.image, old.image, before.image, image))
            new = self.evaluate(before, old.number, image, pads)
            if new.energy > MOST_LOST * old.energy + self.forward.samples * LEAST_LOST**2:
                self.path, self.floor = path, floor
                return False
            self.pass_on(new)
            self.path.append(new)
            self.floor.append(self.rms(new.energy))
        return True
