"""From tracks to registers: envelopes are planned on the chip's generator, so that they come to the levels heard."""

from __future__ import annotations

import numpy as np

from sidlearn.learn import envelopes
from sidlearn.learn.decode.cutoffs import with_cutoff
from sidlearn.learn.decode.forward import field, with_voice
from sidlearn.learn.decode.tracks import HEARD_LEVEL, Tracker
from sidlearn.registers import GATE, VOICES

SILENT_WANTED = 1e-4
"""Level that is asked for where a voice was not found."""
LEAST_FALL, SHORTEST = 0.5, 3
"""Of a level from frame to frame, below which a voice has not just grown too quiet to be found, and frames that tell
how a note fades; guesses."""


def faded(levels: np.ndarray) -> np.ndarray:
    """Return levels by frame, float64 (frames,), in which notes that are lost as they fade go on fading."""
    made = levels.astype(float).copy()
    for k in range(SHORTEST, len(made)):
        if made[k] > HEARD_LEVEL or made[k - 1] <= HEARD_LEVEL:
            continue
        past = made[k - SHORTEST : k]
        if (past <= HEARD_LEVEL / 4).any() or (np.diff(past) > 0).any():
            continue
        fall = (past[-1] / past[0]) ** (1 / (SHORTEST - 1))
        if fall > LEAST_FALL:
            made[k] = max(made[k], past[-1] * fall)
    return made


def registers_of(tracker: Tracker, first: int) -> np.ndarray:
    """Return the registers of the frames that a tracker found, from `first` on, uint8 (frames, 25)."""
    searcher = tracker.searcher
    before = tracker.state
    frames = len(tracker.past_freqs) - first
    values = np.repeat(before.image[None], frames, axis=0)
    dac = searcher.forward.dac_env
    level_of = np.asarray(dac, np.float64) / float(dac[255])
    for k in range(frames):
        image = values[k]
        for v in range(VOICES):
            freq, width = int(tracker.past_freqs[first + k][v]), int(tracker.past_widths[first + k][v])
            image = with_voice(image, v, freq, width & 0xFFF, int(tracker.past_controls[first + k][v]) & 0xFE)
        values[k] = with_cutoff(image, tracker.cutoffs[first + k]) if tracker.routing else image
    for v in range(VOICES):
        levels = np.array([level[v].mean() for level in tracker.past_levels[first:]]) / float(dac[255])
        timing = envelopes.timing_of(values, v, searcher.forward.frame_cycles, before.image)
        waveform = values[:, 7 * v + 4].astype(np.int64)
        rows, _ = envelopes.plan_from(
            before.env[v].copy(),
            np.clip(faded(levels), SILENT_WANTED, 1.0),
            waveform,
            field(before.image, v)[2] & 0xFE,
            timing,
            level_of,
        )
        for k, (ad, sr, gate) in enumerate(rows.tolist()):
            control = int(waveform[k]) | (GATE if gate else 0)
            values[k] = with_voice(values[k], v, control=control, ad=ad, sr=sr)
    return values
