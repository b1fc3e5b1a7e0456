"""Whether a voice's pitch is heard in the sound of the registers, by the detector that hears it in the target.

A formant that one voice plays as a single harmonic can be louder than all the rest; ear and detector then follow it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sidlearn.errors import LearnError
from sidlearn.learn import pitch

SURE = 0.85
"""Only where the detector is surer than this of the target; a little less than what `pitch.rpa` counts from."""
NEAR_CENTS = 45
BEFORE_SECONDS, AFTER_SECONDS = 0.25, 0.08
"""What the detector is given around a stretch: it hears by what is around."""


class Wanted(NamedTuple):
    """What must be heard of a target's pitch."""

    seconds: np.ndarray
    """Times at which the detector is sure of it, float64 (n,)."""
    hz: np.ndarray


def wanted_pitch(audio: np.ndarray, sample_rate: int) -> Wanted | None:
    """Return the pitch of a target where it is certain; None where nothing here can hear it."""
    try:
        found = pitch.track(np.asarray(audio, np.float32), sample_rate)
    except LearnError:
        return None
    sure = found.confidence > SURE
    return Wanted(found.seconds[sure], found.hz[sure])


def missed(wanted: Wanted, sound: np.ndarray, sample_rate: int, starts: float, first: float, last: float) -> int:
    """Return at how many wanted times from `first` to `last` a sound has another pitch, which starts at a time."""
    inside = np.flatnonzero((wanted.seconds >= first) & (wanted.seconds < last))
    if not len(inside):
        return 0
    found = pitch.track(sound, sample_rate)
    if not len(found.hz):
        return len(inside)
    nearest = np.abs(found.seconds[None] + starts - wanted.seconds[inside, None]).argmin(axis=1)
    cents = 1_200 * np.log2(found.hz[nearest] / wanted.hz[inside])
    return int(np.count_nonzero(np.abs(cents) > NEAR_CENTS))
