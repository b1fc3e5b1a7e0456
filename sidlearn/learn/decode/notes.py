"""From tracks to registers: envelopes are planned on the chip's generator, so that they come to the levels heard."""

from __future__ import annotations

import numpy as np

from sidlearn.learn import envelopes
from sidlearn.learn.decode.cutoffs import with_cutoff
from sidlearn.learn.decode.forward import field, with_voice
from sidlearn.learn.decode.tracks import HEARD_LEVEL, Tracker
from sidlearn.registers import GATE, NOISE, PULSE, VOICES

SILENT_WANTED = 1e-4
"""Level that is asked for where a voice was not found."""
LEAST_FALL, SHORTEST = 0.5, 3
"""Of a level from frame to frame, below which a voice has not just grown too quiet to be found, and frames that tell
how a note fades; guesses."""

LOUD_ENOUGH = 0.05
"""Level of a voice whose FREQ and PW can be told; guess."""
SAME_NOTE = 0.0025
"""Octaves between values of FREQ that are taken for the same: three cents; guess."""
SWEEP_FRAMES, LEAST_SWEPT, SAME_SWEEP = 8, 4, 60
"""Frames to either side in which a sweep of PW is a straight line, the fewest that make one, and how near to it most of
them must be; guesses."""


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


def settled(freqs: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return FREQ of a voice by frame in which values that are nearly the same have become the same, int64 (frames,).

    Players go through the same notes again and again; each frame tells FREQ to one in a thousand.
    """
    made = freqs.copy()
    left = np.flatnonzero((levels > LOUD_ENOUGH) & (freqs > 0))
    notes = np.log2(np.maximum(freqs, 1).astype(float))
    while len(left):
        near = np.abs(notes[left][:, None] - notes[left]) < SAME_NOTE
        middle = int(np.argmax(near.sum(axis=1)))
        same = left[near[middle]]
        order = same[np.argsort(freqs[same], kind="stable")]
        weights = np.cumsum(levels[order])
        made[same] = freqs[order[np.searchsorted(weights, 0.5 * weights[-1])]]
        left = left[~near[middle]]
    return made


def swept(widths: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Return PW of a voice by frame, each on the line that most of its neighbours are on, int64 (frames,)."""
    made = widths.copy()
    heard = np.flatnonzero(levels > LOUD_ENOUGH)
    for k in range(len(widths)):
        near = heard[np.abs(heard - k) <= SWEEP_FRAMES]
        if len(near) < LEAST_SWEPT:
            continue
        at, values = near - k, widths[near].astype(float)
        first, second = np.triu_indices(len(near), 1)
        slope = np.median((values[second] - values[first]) / (at[second] - at[first]))
        middle = np.median(values - slope * at)
        if np.median(np.abs(values - slope * at - middle)) < SAME_SWEEP:
            made[k] = min(max(round(middle), 0), 0xFFF)
    return made


def registers_of(tracker: Tracker, first: int) -> np.ndarray:
    """Return the registers of the frames that a tracker found, from `first` on, uint8 (frames, 25)."""
    searcher = tracker.searcher
    before = tracker.state
    frames = len(tracker.past_freqs) - first
    values = np.repeat(before.image[None], frames, axis=0)
    dac = searcher.forward.dac_env
    level_of = np.asarray(dac, np.float64) / float(dac[255])
    heard = np.array(tracker.past_levels).mean(axis=2)
    controls = np.array(tracker.past_controls)
    for v in range(VOICES):
        tonal = heard[:, v] * (controls[:, v] & NOISE == 0)
        freqs = settled(np.array([f[v] for f in tracker.past_freqs]), tonal)[first:]
        pulse = heard[:, v] * (controls[:, v] & PULSE != 0)
        widths = swept(np.array([w[v] for w in tracker.past_widths]), pulse)[first:]
        for k in range(frames):
            control = int(controls[first + k, v]) & 0xFE
            values[k] = with_voice(values[k], v, int(freqs[k]), int(widths[k]), control)
    for k in range(frames):
        image = values[k]
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
