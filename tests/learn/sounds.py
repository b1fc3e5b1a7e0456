"""Sounds to learn from, computed: something like speech, and drums."""

from __future__ import annotations

import numpy as np

RATE = 16_000


def babble(seconds: float = 1.6, seed: int = 1) -> np.ndarray:
    """Return syllables: a pulse train through three formants that move, with hisses and pauses between them."""
    rng = np.random.default_rng(seed)
    count = round(seconds * RATE)
    t = np.arange(count) / RATE
    pitch = 120 * 2 ** (0.3 * np.sin(2 * np.pi * 0.9 * t + rng.uniform(0, 6)))
    source = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0)
    out = np.zeros(count)
    syllable = 0.2
    shape = np.clip(np.sin(np.pi * (t % syllable) / syllable) * 1.6 - 0.25, 0, 1)
    for middle, swing in ((500, 0.5), (1_500, 0.45), (2_600, 0.15)):
        knots = np.arange(0, seconds + 0.2, 0.1)
        hz = middle * 2 ** (swing * np.interp(t, knots, rng.uniform(-1, 1, len(knots))))
        out += _resonate(source, hz, 90.0)
    out = out / np.abs(out).max() * shape
    hiss = np.diff(rng.standard_normal(count), prepend=0) * 0.12 * (t % (2 * syllable) < 0.05)
    return ((out + hiss) / 1.3).astype(np.float32)


def _resonate(source: np.ndarray, hz: np.ndarray, width_hz: float) -> np.ndarray:
    """Send a source through a resonance that moves."""
    radius = np.exp(-np.pi * width_hz / RATE)
    first, second = 2 * radius * np.cos(2 * np.pi * hz / RATE), -(radius**2)
    out = np.zeros(len(source))
    a = b = 0.0
    for n, value in enumerate(source):
        a, b = value + first[n] * a + second * b, a
        out[n] = a
    return out


def hits(seconds: float = 1.5, seed: int = 2) -> np.ndarray:
    """Return a drum and a snare in turn, four hits a second."""
    rng = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE))
    t = np.arange(RATE // 4) / RATE
    drum = np.sin(2 * np.pi * np.cumsum(50 + 120 * np.exp(-t / 0.03)) / RATE) * np.exp(-t / 0.1)
    snare = 0.6 * rng.standard_normal(len(t)) * np.exp(-t / 0.06)
    for i, at in enumerate(range(RATE // 10, len(out) - len(t), RATE // 4)):
        out[at : at + len(t)] += snare if i % 2 else drum
    return (0.7 * out / np.abs(out).max()).astype(np.float32)
