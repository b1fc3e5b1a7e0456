"""Sounds for the learner's benchmark, computed here: a voice, a flute, drums; or a user's own folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sidlearn import audio
from sidlearn.errors import AudioError

RATE = 44_100

# Formant frequencies in Hz of vowels of a man's voice, and their bandwidths.
# Source: Peterson and Barney, "Control methods used in a study of the vowels", JASA 24 (1952), means of 33 men.
VOWELS = {
    "i": (270, 2290, 3010),
    "e": (530, 1840, 2480),
    "a": (730, 1090, 2440),
    "o": (570, 840, 2410),
    "u": (300, 870, 2240),
}
BANDWIDTHS_HZ = (70, 100, 150)
# Vowel or hiss, seconds, pitch in Hz at its start: a line of nonsense with the stress and fall of a sentence.
PHRASE = (
    ("s", 0.10, 0), ("i", 0.16, 118), ("d", 0.05, 0), ("a", 0.22, 132), ("s", 0.09, 0), ("o", 0.18, 126),
    ("f", 0.09, 0), ("u", 0.20, 116), ("e", 0.14, 122), ("t", 0.06, 0), ("a", 0.24, 108), ("i", 0.26, 92),
)  # fmt: skip
HISS_HZ = {"s": (4_000, 9_000), "f": (1_500, 8_000), "t": (2_500, 7_000), "d": (1_500, 4_000)}
CLOSURES = "td"  # a silence, then a burst


def own_targets() -> dict[str, np.ndarray]:
    """Return name -> sound at `RATE`."""
    return {"voice": voice(), "flute": flute(), "drums": drums()}


def read_targets(folder: Path) -> dict[str, np.ndarray]:
    """Return the sounds of a folder at `RATE`, mono.

    Raises
    ------
    AudioError
        If there is none.
    """
    from sidlearn.learn import pairs

    names = (
        sorted(p for p in Path(folder).iterdir() if p.suffix.lower() in (".wav", ".flac")) if folder.is_dir() else []
    )
    if not names:
        raise AudioError(f"{folder}: expected a folder with .wav or .flac files, found none")
    sounds = {}
    for path in names:
        sound, rate = audio.read(path)
        sounds[path.stem] = pairs.mono(str(path), pairs.resample(sound, rate, RATE)).astype(np.float32)
    return sounds


def voice(seed: int = 1) -> np.ndarray:
    """Return a line that a man might say: pulses through three resonators for vowels, noise for consonants."""
    pick = np.random.default_rng(seed)
    parts = []
    formants = np.array(VOWELS["e"], float)
    for n, (sound, seconds, pitch) in enumerate(PHRASE):
        size = round(seconds * RATE)
        fade = np.minimum(1, np.minimum(np.arange(size), np.arange(size)[::-1]) / (0.012 * RATE))
        if sound not in VOWELS:
            noise = _band(pick.standard_normal(size), *HISS_HZ[sound])
            if sound in CLOSURES:
                noise *= np.where(
                    np.arange(size) < size // 2, 0, np.exp(-(np.arange(size) - size // 2) / (0.008 * RATE))
                )
            parts.append(0.25 * fade * noise)
            continue
        after = next((p for s, _, p in PHRASE[n + 1 :] if s in VOWELS), 85)
        hz = np.linspace(pitch, after, size) * (1 + 0.008 * np.sin(2 * np.pi * 5 * np.arange(size) / RATE))
        share = np.clip(np.arange(size) / (0.06 * RATE), 0, 1)[:, None]  # formants glide from the vowel before
        path = formants + share * (np.array(VOWELS[sound]) - formants)
        parts.append(fade * _resonate(_pulses(hz), path))
        formants = np.array(VOWELS[sound], float)
    return _normal(np.concatenate(parts))


def flute(seed: int = 1) -> np.ndarray:
    """Return five notes of few partials with a breath of noise and late vibrato."""
    pick = np.random.default_rng(seed)
    parts = []
    for note, seconds in ((74, 0.4), (77, 0.2), (79, 0.3), (81, 0.6), (76, 0.5)):
        t = np.arange(round(seconds * RATE)) / RATE
        vibrato = 0.004 * np.clip((t - 0.15) / 0.2, 0, 1) * np.sin(2 * np.pi * 5.4 * t)
        phase = 2 * np.pi * np.cumsum(440 * 2 ** ((note - 69) / 12) * (1 + vibrato)) / RATE
        tone = sum(level * np.sin(k * phase) for k, level in ((1, 1.0), (2, 0.4), (3, 0.1), (4, 0.05)))
        breath = _band(pick.standard_normal(len(t)), 1_500, 6_000) * (0.01 + 0.05 * np.exp(-t / 0.03))
        parts.append(np.minimum(1, t / 0.04) * np.minimum(1, (t[-1] - t) / 0.05) * (tone + breath))
    return _normal(np.concatenate(parts))


def drums(seed: int = 1) -> np.ndarray:
    """Return a bar of bass drum, snare and hi-hat."""
    pick = np.random.default_rng(seed)
    step = round(0.125 * RATE)
    bar = np.zeros(17 * step + RATE // 3)
    t = np.arange(RATE // 3) / RATE
    noise = pick.standard_normal(len(t))
    bass = np.sin(2 * np.pi * np.cumsum(48 + 120 * np.exp(-t / 0.03)) / RATE) * np.exp(-t / 0.11)
    snare = 0.5 * noise * np.exp(-t / 0.06) + 0.5 * np.sin(2 * np.pi * 185 * t) * np.exp(-t / 0.05)
    hat = 0.25 * np.diff(noise, prepend=0) * np.exp(-t / 0.025)
    for hits, sound in (((0, 6, 10), bass), ((4, 12), snare), (range(2, 16, 4), hat)):
        for at in hits:
            bar[at * step : at * step + len(sound)] += sound
    return _normal(bar[: 16 * step])


def _pulses(hz: np.ndarray) -> np.ndarray:
    """Return what the glottis gives: a falling sawtooth, softened."""
    phase = np.cumsum(hz) / RATE % 1
    return np.convolve(np.where(phase < 0.6, np.sin(np.pi * phase / 0.6) ** 2, 0), [1, -0.98], "same")


def _resonate(source: np.ndarray, formants: np.ndarray) -> np.ndarray:
    """Return a source through resonators in a row whose frequencies (samples, 3) move."""
    out = source.copy()
    for k, bandwidth in enumerate(BANDWIDTHS_HZ):
        r = np.exp(-np.pi * bandwidth / RATE)
        a = 2 * r * np.cos(2 * np.pi * formants[:, k] / RATE)
        before = before2 = 0.0
        for i in range(len(out)):
            here = (1 - a[i] + r * r) * out[i] + a[i] * before - r * r * before2
            before2, before = before, here
            out[i] = here
    return out / max(np.abs(out).max(), 1e-9)


def _band(noise: np.ndarray, low_hz: float, high_hz: float) -> np.ndarray:
    spectrum = np.fft.rfft(noise)
    hz = np.fft.rfftfreq(len(noise), 1 / RATE)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0
    band = np.fft.irfft(spectrum, len(noise))
    return band / max(np.abs(band).max(), 1e-9)


def _normal(sound: np.ndarray) -> np.ndarray:
    """Return a sound with its peak at 0.8."""
    return (0.8 * sound / np.abs(sound).max()).astype(np.float32)
