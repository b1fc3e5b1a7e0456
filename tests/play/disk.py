"""What SDL's disk driver has written, compared with what was meant."""

from __future__ import annotations

import numpy as np


def holds(path, expected, block=512):
    """Whether the file is whole blocks of silence, then `expected` to the bit, then silence."""
    played = np.fromfile(path, np.float32)
    for start in range(0, len(played) - len(expected) + 1, block):
        if np.array_equal(played[start : start + len(expected)], expected):
            return not played[start + len(expected) :].any()
        if played[start : start + block].any():
            return False
    return False


def sounding_seconds(path, sample_rate=44_100):
    """Return the time from the first sample that is not zero to the last."""
    sounding = np.flatnonzero(np.fromfile(path, np.float32))
    return (sounding[-1] - sounding[0] + 1) / sample_rate
