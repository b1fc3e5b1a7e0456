"""Make the sounds that the learned listings of this folder were learned from: a flute phrase, a drum loop, a sentence.

    python make_sounds.py FOLDER
    sidlearn learn FOLDER -o '{name}.bas'

Flute and drums are computed here; the sentence is spoken by espeak-ng, where that is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import sidlearn

RATE = 44_100
SENTENCE = "I command the chip, with peek and poke."


def flute(seed: int = 1) -> np.ndarray:
    """Return a phrase of eight notes: few partials, a breath of noise, vibrato that comes late."""
    rng = np.random.default_rng(seed)
    notes = ((69, 0.5), (72, 0.25), (74, 0.25), (76, 0.75), (74, 0.25), (72, 0.5), (71, 0.25), (69, 1.0))
    parts = []
    for note, seconds in notes:
        t = np.arange(round(seconds * RATE)) / RATE
        vibrato = 0.004 * np.clip((t - 0.2) / 0.3, 0, 1) * np.sin(2 * np.pi * 5.2 * t)
        phase = 2 * np.pi * np.cumsum(440 * 2 ** ((note - 69) / 12) * (1 + vibrato)) / RATE
        tone = sum(level * np.sin(k * phase) for k, level in ((1, 1.0), (2, 0.35), (3, 0.12), (4, 0.04)))
        breath = np.convolve(rng.standard_normal(len(t)), np.hanning(12), "same") * (0.02 + 0.08 * np.exp(-t / 0.03))
        level = np.minimum(1, t / 0.05) * np.minimum(1, (t[-1] - t) / 0.06)
        parts.append(level * (tone + breath))
    return normal(np.concatenate(parts))


def drums(seed: int = 2) -> np.ndarray:
    """Return two bars of bass drum, snare and hi-hat."""
    rng = np.random.default_rng(seed)
    step = round(0.125 * RATE)
    loop = np.zeros(32 * step + RATE)

    def hit(at: int, sound: np.ndarray) -> None:
        loop[at * step : at * step + len(sound)] += sound

    t = np.arange(RATE // 3) / RATE
    bass = np.sin(2 * np.pi * np.cumsum(45 + 130 * np.exp(-t / 0.025)) / RATE) * np.exp(-t / 0.12)
    noise = rng.standard_normal(len(t))
    snare = 0.5 * noise * np.exp(-t / 0.07) + 0.5 * np.sin(2 * np.pi * 190 * t) * np.exp(-t / 0.05)
    hat = 0.25 * np.diff(noise, prepend=0) * np.exp(-t / 0.02)
    for bar in (0, 16):
        for at in (0, 7, 10):
            hit(bar + at, bass)
        for at in (4, 12):
            hit(bar + at, snare)
        for at in range(0, 16, 2):
            hit(bar + at, hat)
    return normal(loop[: 32 * step])


def normal(sound: np.ndarray) -> np.ndarray:
    """Return a sound with its peak at 0.8."""
    return (0.8 * sound / np.abs(sound).max()).astype(np.float32)


def main(folder: Path) -> None:
    """Write the sounds into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for make in (flute, drums):
        sidlearn.audio.write(folder / f"learned_{make.__name__}.flac", make(), RATE)
    if shutil.which("espeak-ng") is None:
        print("no sentence: espeak-ng is not installed")
        return
    spoken = folder / "learned_speech.wav"
    subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "135", "-w", str(spoken), SENTENCE], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("make_sounds.py: expected the name of a folder")
    main(Path(sys.argv[1]))
