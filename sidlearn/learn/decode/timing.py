"""When registers were written in a frame: what nobody hears takes time, and all that comes after it is late."""

from __future__ import annotations

from itertools import product

import numpy as np

from sidlearn.chip.generator import COUNTER
from sidlearn.learn.decode.forward import Frame, field, with_voice
from sidlearn.learn.decode.path import GOOD_RMS, KNOWN, PULSE, QUIET_LEVEL, SKIP
from sidlearn.learn.decode.refine import NEAR_RMS, Refinement
from sidlearn.registers import GATE, VOICES

MOST_REFINED = 6
"""Of what is tried where something was written sooner or later; guess."""

PADDING_GAIN = 0.5
"""Energy that is left where a write that nobody hears explains what is heard, of what is left without it; guess."""

NEAR_WIDTH = 8
"""PW that need not be told apart by the mean; guess."""

LEFT_OPEN = 2
"""Frames that are not understood, after which the phases of all voices are doubted; guess."""

FRESH = 4
"""Frames within which a phase that was found is found better; guess."""


class Timing(Refinement):
    """Frames whose writes come sooner or later."""

    def padded(self, best: Frame) -> Frame:
        """Return a frame that writes later or sooner, if that is better: nobody heard what was written before.

        Nor where in its period a voice was that could not be heard.
        """
        if not self.path or self.good(best) or self.rms(best.energy) > NEAR_RMS:
            return best
        found = self.timed(best)
        if self.good(found):
            return found
        loose = {v: 1 for v in range(VOICES) if self.drifting(v) and self.start_of(best, v)[0] == KNOWN}
        return self.timed(self.turned_by(best, best.image, loose), found) if loose else found

    def drifting(self, v: int) -> bool:
        """Whether the phase of a voice may be a little other than thought.

        It was quiet, or found a short time ago, or the last frames leave more than right registers do.
        """
        number = len(self.path)
        if min(self.floor[-LEFT_OPEN:]) > GOOD_RMS:
            return True
        found = any(starts[v][0] != KNOWN for k in range(number - FRESH, number) if (starts := self.jumps.get(k)))
        return found or bool(self.before().env[v, COUNTER] <= QUIET_LEVEL)

    def timed(self, frame: Frame, best: Frame | None = None) -> Frame:
        """Return the best of a frame with other times of writing, if it is much better than `best`, else `best`."""
        best = best or frame
        for _ in range(2):
            old = best
            # what FREQ and PW can make up for does not count
            moves = np.linalg.qr(self.slopes(frame)[2].T)[0]

            def left(frame: Frame, moves: np.ndarray = moves) -> float:
                return frame.energy - float(np.sum((self.error(frame) @ moves) ** 2))

            for new in sorted(self.timings(frame), key=left)[:MOST_REFINED]:
                best = min(best, self.refine(new), key=lambda f: f.energy)
                if self.good(best):
                    return best
            if best.energy > PADDING_GAIN * old.energy:
                return old
            frame = best
        return best

    def timings(self, frame: Frame) -> list[Frame]:
        """Return what a frame may be like if some of it was written sooner or later."""
        start = frame.before.image
        images = [frame.image]
        for v in range(VOICES):
            _, _, control, ad, sr = field(frame.image, v)
            widths = self.likely_widths(frame, v)
            if not control & PULSE:
                widths.append(field(start, v)[1] ^ 0x101)  # both bytes written
            if control & 0xF6 == PULSE and 0 < frame.levels[v].max() <= QUIET_LEVEL:
                widths += self.steady_width(v, frame, self.levels(frame.image, v)[0])
            pairs = dict.fromkeys(((ad, sr), field(start, v)[3:]))
            for gate, (a, s), w in product((0, GATE), pairs, dict.fromkeys(widths)):
                images.append(with_voice(frame.image, v, width=w, control=control & ~GATE | gate, ad=a, sr=s))
        made: dict[tuple, tuple[np.ndarray, tuple]] = {}
        for image, ahead in product(images, product((0, 1, -1), repeat=VOICES)):
            if np.count_nonzero(ahead) > 1:
                continue
            pads = tuple(p + by for p, by in zip(frame.pads, (*ahead, 0), strict=True))
            made.setdefault((image.tobytes(), pads), (image, pads))
        return [self.again(frame, image, pads) for image, pads in made.values()]

    def steady_width(self, v: int, best: Frame, gain: np.ndarray) -> list[int]:
        """Return the PW with which a voice explains the mean of what is left: all that is heard of a quiet one."""
        left = self.forward.target[best.number] - best.out - best.before.dc
        drift = 2 * (best.before.dc - self.path[-1].before.dc) if self.path else 0.0
        dac = self.forward.dac
        swing = self.forward.slope * float(gain.mean() * (dac[0xFFF] - dac[0]))
        by = (drift - float(left[SKIP:].mean())) / swing * 4096
        width = field(best.image, v)[1]
        new = round(np.clip(width + by, 0, 0xFFF))
        return [new] if abs(new - width) > NEAR_WIDTH else []
