"""FC, a frame at a time: sweeps are smooth, so that it is looked for where the frames before lead to."""

from __future__ import annotations

import numpy as np

from sidlearn.learn.decode import filtering
from sidlearn.learn.decode.forward import Frame
from sidlearn.learn.decode.routed import Routed
from sidlearn.registers import FC_HI, FC_LO, RES_FILT, VOICES

HIGHEST_CUTOFF = 0x7FF
QUIET_ROUTED = 6
"""Envelope up to which a routed voice does not tell FC; guess."""
TREND, LEAST_TREND = 7, 3
"""Frames whose FC make a trend, and the fewest."""
FAR_CUTOFFS = (0, 40, -40, 20, -20)
"""Distances at which FC is tried where there is no trend; guess."""
CLOSE = 4
"""FC about a guess that are all tried: how many bytes change moves all that is written later."""
FARTHEST = 40
"""FC from a guess to one that takes another number of writes."""
WIDE = np.unique(np.round(np.geomspace(6, 1500, 12)).astype(int))
"""Distances from a guess at which FC is looked for where it is lost."""


def cutoff_of(image: np.ndarray) -> int:
    """Return FC."""
    return int(image[FC_LO]) & 7 | int(image[FC_HI]) << 3


def with_cutoff(image: np.ndarray, cutoff: int) -> np.ndarray:
    """Return a copy of an image with another FC."""
    image = image.copy()
    image[FC_LO], image[FC_HI] = cutoff & 7, cutoff >> 3
    return image


class Cutoffs(Routed):
    """FC of the frame under way."""

    def cutoffs(self) -> list[int]:
        """Return FC with which the next frame may be made, the likeliest first."""
        held = cutoff_of(self.before().image)
        number = len(self.path)
        past = [(f.number, cutoff_of(f.image)) for f in self.path[-TREND:] if self.hears_cutoff(f)]
        found = [held]
        if len(past) > 1:
            numbers, values = np.array(past, float).T
            slope, start = np.polyfit(numbers, values, 1)
            ahead = round(float(start + slope * number))
            found.insert(0, ahead)
            found.append(2 * past[-1][1] - past[-2][1])
        if len(past) > 2 and len({f for _, f in past[-3:]}) == 1:
            found.insert(0, past[-1][1])
        return [*dict.fromkeys(min(max(f, 0), HIGHEST_CUTOFF) for f in found)]

    def swaying(self) -> bool:
        """Whether FC is not known well enough to be foreseen."""
        return sum(self.hears_cutoff(f) for f in self.path[-TREND:]) < LEAST_TREND

    def written_otherwise(self, cutoff: int) -> list[int]:
        """Return FC near to one, for each number of bytes in which it may differ from before.

        Every byte that is written moves what is written after it, which is heard better than FC is.
        """
        held = cutoff_of(self.before().image)
        by_count: dict[int, int] = {}
        for new in range(max(cutoff - FARTHEST, 0), min(cutoff + FARTHEST, HIGHEST_CUTOFF) + 1):
            count = (new & 7 != held & 7) + (new >> 3 != held >> 3)
            if count not in by_count or abs(new - cutoff) < abs(by_count[count] - cutoff):
                by_count[count] = new
        return sorted(by_count.values(), key=lambda f: abs(f - cutoff))

    def hears_cutoff(self, frame: Frame) -> bool:
        """Whether a voice is heard through the filter."""
        image = frame.image
        if not filtering.in_use(image):
            return False
        return any(image[RES_FILT] >> v & 1 and frame.levels[v].max() > QUIET_ROUTED for v in range(VOICES))

    def swept(self, frame: Frame, others: tuple[int, ...] = (), close: int = CLOSE) -> Frame:
        """Return the best frame with FC near to that of a frame, or to others."""
        if not filtering.in_use(frame.image):
            return frame
        best = frame
        tried = dict.fromkeys(
            f + by for f in dict.fromkeys((cutoff_of(frame.image), *others)) for by in range(-close, close + 1)
        )
        for cutoff in tried:
            if 0 <= cutoff <= HIGHEST_CUTOFF:
                new = self.again(frame, with_cutoff(frame.image, cutoff))
                if new.energy < best.energy:
                    best = new
        return best

    def swept_widely(self, frame: Frame) -> Frame:
        """Return the best frame with any FC."""
        if not self.hears_cutoff(frame):
            return frame
        middle = cutoff_of(frame.image)
        some = [middle + by for d in WIDE.tolist() for by in (d, -d)]
        best = self.swept(frame, tuple(f for f in some if 0 <= f <= HIGHEST_CUTOFF), 0)
        step = max(abs(cutoff_of(best.image) - middle) // 4, CLOSE)
        while step >= 1:
            middle = cutoff_of(best.image)
            best = self.swept(best, (middle - step, middle + step), 0)
            if cutoff_of(best.image) == middle:
                step //= 2
        return best

    def again(self, frame: Frame, image: np.ndarray, pads: tuple | None = None) -> Frame:
        """Play a frame with other registers from the state in which it began."""
        if frame.before is self.before():
            return self.play(image, frame.pads if pads is None else pads)
        return self.evaluate(frame.before, frame.number, image, frame.pads if pads is None else pads)
