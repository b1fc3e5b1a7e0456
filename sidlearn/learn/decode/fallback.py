"""When the closed loop gives up, and what is done with the frames that it leaves."""

from __future__ import annotations

import numpy as np

from sidlearn.learn.checkpoint import Progress
from sidlearn.learn.decode import filtering
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.notes import registers_of
from sidlearn.learn.decode.path import LIKELY_RMS
from sidlearn.learn.decode.tracks import Tracker

FIRST_EVALUATIONS, EVALUATIONS = 16_000, 60
"""Frames that may be played in the search of a tune that uses the filter, and so many more for each frame of it."""
LOST_RMS = 4 * LIKELY_RMS
"""Error of a frame that was not understood; guess."""
DOUBTFUL = 2
"""Frames in a row with it after which a tune that uses the filter is taken for lost; guess."""


class Budget:
    """What the closed loop may do for a tune that uses the filter: a frame of it that is lost takes seconds."""

    def __init__(self, searcher: Decoder) -> None:
        self.searcher = searcher

    def is_spent(self) -> bool:
        """Whether the rest is to be found otherwise."""
        path = self.searcher.path
        if not path or not filtering.in_use(path[-1].image):
            return False
        if min(self.searcher.floor[-DOUBTFUL:]) > LOST_RMS and len(path) > DOUBTFUL:
            return True
        return self.searcher.forward.evaluated > FIRST_EVALUATIONS + EVALUATIONS * len(path)


def go_on(searcher: Decoder, total: int, progress: Progress | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Find the frames up to `total` that the closed loop did not understand.

    Returns
    -------
    values : ndarray, uint8, shape (frames, 25)
        Registers of the last frames before `total`.
    left_db : ndarray, shape (frames,)
        Energy that is left of them.
    """
    first = len(searcher.path)
    while first > 1 and searcher.floor[first - 1] > LOST_RMS:
        first -= 1
    tracker = Tracker(searcher, first)
    while tracker.number < total:
        tracker.next()
        if progress is not None:
            progress(tracker.number / total, "decode")
    return registers_of(tracker, first), np.array(tracker.left[first:])
