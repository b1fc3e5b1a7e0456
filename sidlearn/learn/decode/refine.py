"""FREQ and PW moved to where the error is least."""

from __future__ import annotations

from itertools import product

import numpy as np

from sidlearn.learn.decode import kernel
from sidlearn.learn.decode.cutoffs import HIGHEST_CUTOFF, cutoff_of, with_cutoff
from sidlearn.learn.decode.forward import Frame, field, with_voice
from sidlearn.learn.decode.path import AS_BEFORE, FAINT_RMS, GOOD_RMS, HIGHEST, KNOWN, LIKELY_RMS, NOISE, PULSE, shifted
from sidlearn.learn.decode.retelling import Retelling
from sidlearn.registers import FC_HI, FC_LO, VOICES

SNAP = 24
"""Distance in FREQ over which a value is taken for one that was expected; guess."""
MOST_HEARD = 40
"""Values of FREQ that a voice had before and that are tried again; guess."""
FARTHEST = 1000.0
"""Energy, over that of where the search began, from which no two steps lead back; guess."""
FARTHEST_STEP = 4.0
"""Energy, over that of where a step began, from which one more is taken; guess."""
NEAR_RMS = 1.5e-2
"""What a frame leaves at most of which all but small errors are right; guess."""


CUTOFF = (VOICES, 0)
"""FC among what moves."""
CUTOFF_STEP, LONGEST_CUTOFF_STEP = 4, 48
"""By which FC moves; guess."""
TURN, MOST_TURNS = 1 << 8, 1024
"""Of an oscillator: a 65536th of a period; by how many of them it moves at once, guess."""


class Refinement(Retelling):
    """The last step to the exact values."""

    def refine(self, frame: Frame, rounds: int = 4, worth: float = np.inf) -> Frame:
        """Move FREQ and PW of the audible voices to where the error is least, all together.

        With an energy above `worth` left after that, single registers are not looked at.
        """
        best = frame
        for turn in range(rounds):
            if self.good(best):
                break
            old = best
            if turn and self.rms(best.energy) > LIKELY_RMS:
                best = self.tune_noise(best)
            new = self.step(best)
            if new is not None and best.energy <= new.energy < FARTHEST_STEP * best.energy:
                new = self.step(new)  # rounded, it may lead up before it leads down
            if new is not None and new.energy < best.energy:
                best = new
            if best.energy > 0.98 * old.energy and turn:
                break
        return self.descend(best) if best.energy <= worth else best

    def settle(self, frame: Frame) -> Frame:
        """Return the frame with likely values where it is all but right."""
        if self.good(frame) or self.rms(frame.energy) > NEAR_RMS:
            return frame
        if (known := self._settled.get(id(frame))) is not None:
            return known[1]
        snapped = self.snap(frame)
        if snapped is not frame:
            snapped = self.descend(min(self.step(snapped) or snapped, snapped, key=lambda f: f.energy))
        self._settled[id(frame)] = self._settled[id(snapped)] = frame, snapped
        return snapped

    def snap(self, frame: Frame) -> Frame:
        """Try the values that the frames before make likely, of all voices at once, near to those of a frame."""
        if not self.path:
            return frame
        best = frame
        tried = set()
        choices = [product(self.round_freqs(frame, v), self.likely_widths(frame, v)) for v in range(VOICES)]
        for some in product(*choices):
            image = frame.image
            for v, (freq, width) in enumerate(some):
                image = with_voice(image, v, freq, width)
            if image.tobytes() in tried:
                continue
            tried.add(image.tobytes())
            new = self.again(frame, image)
            if new.energy > FARTHEST * frame.energy:
                continue
            for _ in range(2):
                new = min(new, self.step(new) or new, key=lambda f: f.energy)
            best = self.better(best, new)
        middle = best
        for freqs in product(*(self.likely_freqs(middle, v) for v in range(VOICES))):
            image = middle.image
            for v, freq in enumerate(freqs):
                image = with_voice(image, v, freq=freq)
            best = self.better(best, self.again(middle, image))
        return best

    def heard_before(self, frame: Frame) -> Frame:
        """Return the frame with values of FREQ that were heard before where its phase makes up for the difference."""
        for v in range(VOICES):
            if self.start_of(frame, v)[0] == KNOWN:
                continue
            freq = field(frame.image, v)[0]
            for other in self.heard(v, MOST_HEARD):
                if 0 < abs(other - freq) <= SNAP:
                    new = self.again(frame, with_voice(frame.image, v, freq=other))
                    for _ in range(3):
                        new = min(new, self.step(new, True) or new, key=lambda f: f.energy)
                    if self.rms(new.energy) < max(1.2 * self.rms(frame.energy), GOOD_RMS):
                        frame = new
                        break
        return frame

    def round_freqs(self, frame: Frame, v: int) -> list[int]:
        """Return FREQ of a voice, and one that takes a write less: a byte that stays as it is takes none."""
        freq = field(frame.image, v)[0]
        held = field(self.before().image, v)[0]
        other = freq + (held - freq + 128) % 256 - 128
        near = 0 < abs(other - freq) <= SNAP and 0 <= other <= HIGHEST
        return [freq, other] if near and other != held else [freq]

    def likely_freqs(self, frame: Frame, v: int) -> list[int]:
        """Return values of FREQ near to that of a voice."""
        freq = field(frame.image, v)[0]
        others = [f for f, _ in self.guesses(v)]
        return [*dict.fromkeys((freq, *(f for f in others if abs(f - freq) <= SNAP)))][:3]

    def likely_widths(self, frame: Frame, v: int) -> list[int]:
        """Return values of PW that a voice may have.

        Where nobody hears it, it may still have been written, one byte or both, and what comes after is written later.
        """
        width, held = field(frame.image, v)[1], field(self.before().image, v)[1]
        guessed = [w for _, w in self.guesses(v)]
        if field(frame.image, v)[2] & 0xF0 == PULSE and frame.levels[v].max() > 2:
            return [*dict.fromkeys((width, *guessed, held))][:3]
        return [*dict.fromkeys((width, *guessed[:1], held, held ^ 1, *((held ^ 0x101,) if self.widely else ())))]

    def tune_noise(self, frame: Frame) -> Frame:
        """Try every FREQ near to that of a noise: there is no slope to follow."""
        best = frame
        for v, i in self.movable(frame):
            if i == 0 and v < VOICES and field(frame.image, v)[2] & NOISE:
                for reach, step in ((48, 6), (4, 1)):
                    middle = best
                    for by in range(-reach, reach + 1, step):
                        image = self.moved(middle, (v, 0), by)
                        if image is not None:
                            best = min(best, self.again(middle, image), key=lambda f: f.energy)
        return best

    def movable(self, frame: Frame) -> list[tuple[int, int]]:
        """Return voice and register (0 FREQ, 1 PW) of what can be heard and was changed in this frame."""
        found = []
        for v in range(VOICES):
            freq, width, control, _, _ = field(frame.image, v)
            old = field(frame.before.image, v)
            if control < 16 or (frame.levels[v].max() < 3 and self.rms(frame.energy) > FAINT_RMS):
                continue
            if freq != old[0]:
                found.append((v, 0))
            changed = width != old[1] or control & 0xF0 != old[2] & 0xF0
            if control & 0xF0 == PULSE and (changed or not self.good(frame)):
                found.append((v, 1))
        if self.hears_cutoff(frame) and not self.good(frame):
            found.append(CUTOFF)
        return found

    def moved(self, frame: Frame, which: tuple[int, int], by: int) -> np.ndarray | None:
        """Return registers in which one value is moved, or None beyond its ends."""
        v, i = which
        if which == CUTOFF:
            value = cutoff_of(frame.image) + by
            return with_cutoff(frame.image, value) if 0 <= value <= HIGHEST_CUTOFF else None
        value = field(frame.image, v)[i] + by
        if not 0 <= value <= (0xFFF if i else 0xFFFF):
            return None
        return with_voice(frame.image, v, **{"width" if i else "freq": value})

    def turned_by(self, frame: Frame, image: np.ndarray, turns: dict[int, int]) -> Frame:
        """Play a frame with other registers and with the phases of some voices moved by 65536ths of a period."""
        acc = frame.before.osc[:, kernel.ACC]
        starts = [AS_BEFORE] * VOICES
        for v, by in turns.items():
            starts[v] = int(acc[v]) + by * TURN & kernel.MASK, b""
        return self.evaluate(shifted(frame.before, tuple(starts)), frame.number, image, frame.pads)

    def slopes(self, frame: Frame, phases_only: bool = False) -> tuple[list[tuple[int, int]], list[int], np.ndarray]:
        """Return what moves, the voices whose phase does, and by how much the sound changes with each, without mean."""
        moves = [] if phases_only else [m for m in self.movable(frame) if m == CUTOFF or not self.noisy(frame, m[0])]
        columns, used = [], []
        for which in moves:
            if which == CUTOFF:
                if (change := self.by_cutoff(frame)) is not None:
                    columns.append(change - change.mean())
                    used.append(which)
                continue
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
        unlocked = [v for v in range(VOICES) if self.start_of(frame, v)[0] != KNOWN]
        for v in unlocked:
            change = (self.turned_by(frame, frame.image, {v: 64}).out - frame.out) / 64
            columns.append(change - change.mean())
        return used, unlocked, np.array(columns, np.float64).reshape(-1, self.forward.samples)

    def error(self, frame: Frame) -> np.ndarray:
        """Return what a frame leaves of the target, without its mean."""
        error = self.forward.target[frame.number] - frame.out - frame.before.dc
        return error - error.mean()

    def step(self, frame: Frame, phases_only: bool = False) -> Frame | None:
        """Take one Gauss-Newton step in all that moves; None where nothing does."""
        used, unlocked, matrix = self.slopes(frame, phases_only)
        if not len(matrix):
            return None
        gram = matrix @ matrix.T
        gram[np.diag_indices(len(matrix))] *= 1 + 1e-6
        gram[np.diag_indices(len(matrix))] += 1e-12
        by_all = np.linalg.solve(gram, matrix @ self.error(frame))
        image = frame.image
        for (v, i), by in zip(used, by_all, strict=False):
            if v == VOICES:
                value = cutoff_of(image) + round(float(np.clip(by, -LONGEST_CUTOFF_STEP, LONGEST_CUTOFF_STEP)))
                image = with_cutoff(image, min(max(value, 0), HIGHEST_CUTOFF))
                continue
            limit = 128 if i else 24
            value = field(image, v)[i] + round(float(np.clip(by, -limit, limit)))
            value = min(max(value, 0), 0xFFF if i else 0xFFFF)
            image = with_voice(image, v, **{"width" if i else "freq": value})
        if unlocked:
            by = np.round(np.clip(by_all[len(used) :], -MOST_TURNS, MOST_TURNS)).astype(int).tolist()
            return self.turned_by(frame, image, dict(zip(unlocked, by, strict=True)))
        return self.again(frame, image)

    def noisy(self, frame: Frame, v: int) -> bool:
        """Whether a voice plays noise."""
        return v < VOICES and bool(field(frame.image, v)[2] & NOISE)

    def by_cutoff(self, frame: Frame) -> np.ndarray | None:
        """Return by how much the sound changes with FC, all that is written later being written at the same time."""
        known = self.before().image
        for by in (CUTOFF_STEP, CUTOFF_STEP + 1):
            up, down = self.moved(frame, CUTOFF, by), self.moved(frame, CUTOFF, -by)
            if up is None or down is None:
                continue
            written = [int(np.count_nonzero(i[FC_LO : FC_HI + 1] != known[FC_LO : FC_HI + 1])) for i in (up, down)]
            if written[0] == written[1]:
                return (self.again(frame, up).out - self.again(frame, down).out) / (2 * by)
        return None

    def descend(self, frame: Frame) -> Frame:
        """Move single registers by one, or by more where a noise hears FREQ, as long as that helps."""
        best = frame
        for v, i in self.movable(frame):
            if v == VOICES:
                continue  # too many that sound alike
            noisy = self.noisy(frame, v)
            for step in (24, 8, 3, 1) if noisy else (1,):
                for by in (step, -step):
                    while (image := self.moved(best, (v, i), by)) is not None:
                        new = self.again(best, image)
                        if new.energy >= best.energy:
                            break
                        best = new
        return best
