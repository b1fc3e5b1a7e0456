"""Several SIDs as one sound, mono or stereo."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PLACES: dict[int, tuple[float, ...]] = {1: (0.5,), 2: (0.0, 1.0), 3: (0.0, 1.0, 0.5)}
"""Where each of so many SIDs stands, 0 left to 1 right: the second SID of a C64 is heard from the right, a third from
the middle."""


def gains(sids: int) -> np.ndarray:
    """How much of each SID goes to each side.

    Equal power: a SID's squares add up to the same wherever it stands. All are scaled by one factor, so that no side
    leaves -1..1 even if all SIDs are at full scale there; one SID alone keeps its level on both sides.

    Parameters
    ----------
    sids : int
        1 to 3.

    Returns
    -------
    gains : ndarray, float32, shape (sids, 2)
        Left and right.
    """
    angle = np.pi / 2 * np.array(PLACES[sids])
    sides = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    sides[sides < 1e-9] = 0
    return (sides / sides.sum(axis=0).max()).astype(np.float32)


def mono(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean of the SIDs' sounds, each (samples,): float32 (samples,)."""
    return sounds[0] if len(sounds) == 1 else np.asarray(np.mean(sounds, axis=0, dtype=np.float32))


def stereo(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """Return the sounds of one to three SIDs, each (samples,), at their places: float32 (samples, 2)."""
    shares = gains(len(sounds))
    out = np.zeros((len(sounds[0]), 2), np.float32)
    for sound, share in zip(sounds, shares, strict=True):
        out += sound[:, None] * share
    return out


def of_tune(sounds: Sequence[np.ndarray]) -> np.ndarray:
    """Return what speakers and sound files get: one SID mono (samples,), two or three stereo (samples, 2)."""
    return sounds[0] if len(sounds) == 1 else stereo(sounds)
