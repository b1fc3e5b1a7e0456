"""FREQ and PW that were misjudged by little in one frame and made up for in the next: told once instead."""

from __future__ import annotations

from collections import Counter

import numpy as np

from sidlearn.learn.decode.forward import Frame, field, with_voice
from sidlearn.learn.decode.path import PULSE
from sidlearn.learn.decode.settings import Settings
from sidlearn.registers import VOICES

SMALL_FREQ, SMALL_WIDTH = 4, 4
"""By how much FREQ and PW of a note change from frame to frame if they are misjudged; guess."""
WINDOW = 8
"""Frames within which that is put right; guess."""
ALIKE = 1.03
"""Energy of frames with less that is new, over that of those with more, up to which they are preferred; guess."""


class Steadying(Settings):
    """Notes held as they are told."""

    def steady(self) -> None:
        """Let notes have one FREQ, and one PW, in the latest frames, where that explains these as well."""
        for v in range(VOICES):
            for i, most in ((0, SMALL_FREQ), (1, SMALL_WIDTH)):
                self.steady_register(v, i, most)

    def steady_register(self, v: int, i: int, most: int) -> None:
        """Do the same for one register of a voice, 0 for FREQ and 1 for PW, if it never changes by more than `most`."""
        number = len(self.path)
        since = number - 1
        while since > max(number - WINDOW, 0) and self.held(v, i, most, since):
            since -= 1
        values = [field(f.image, v)[i] for f in self.path[since:]]
        if len(set(values)) == 1:
            return
        path, floor = self.path, self.floor
        energy = sum(f.energy for f in path[since:])
        found = path, floor
        for value in list(dict.fromkeys([values[-1], *(x for x, _ in Counter(values).most_common(2))])):
            images = [with_voice(f.image, v, **{"width" if i else "freq": value}) for f in path[since:]]
            self.path, self.floor = path[:since], floor[:since]
            if self.played_on(path[since:], images, ALIKE * energy):
                energy = sum(f.energy for f in self.path[since:])
                found = self.path, self.floor
        if self.trace and found[0] is not path:
            print("   steadied", v, "FREQ" if i == 0 else "PW", since, values, field(found[0][-1].image, v)[i])
        self.restore(*found)

    def held(self, v: int, i: int, most: int, number: int) -> bool:
        """Whether a voice goes on in a frame as in the one before, but for a small change of one register."""
        now, was = field(self.image(number), v), field(self.image(number - 1), v)
        if i and not now[2] & PULSE:
            return False
        return abs(now[i] - was[i]) <= most and not (now[2] ^ was[2]) & 0xF6 and now[2] >= 16

    def played_on(self, frames: list[Frame], images: list[np.ndarray], most: float) -> bool:
        """Play frames with other registers after the path; False where more energy is left than `most`."""
        self.renew()
        for old, image in zip(frames, images, strict=True):
            new = self.evaluate(self.before(), old.number, image, old.pads)
            most -= new.energy
            if most < 0:
                return False
            self.pass_on(new)
            self.floor.append(self.rms(new.energy))
            self.path.append(new)
        return True

    def restore(self, path: list[Frame], floor: list[float]) -> None:
        """Go back to frames that were found before."""
        self.path, self.floor = path, floor
        self.renew()
