"""How well registers are found again in the sound of tunes: `python -m tests.accuracy.decoder FOLDER`.

FOLDER holds pairs of a sound (`NAME.flac`) and the register log it was made from (`NAME.csv`), a frame every 19 656
cycles; the chip is what the name ends with. Scores are by sets: voices may stand in any order, frames are looked at
when three quarters of them are over, voices below an envelope of 13 do not count, of noise only waveform and gate
count, PW only where a pulse is selected.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np

import sidlearn
from sidlearn import audio
from sidlearn.chip import models
from sidlearn.clock import PAL
from sidlearn.learn.decode import Decoded, decode, kernel
from sidlearn.learn.metrics import lsd
from sidlearn.writes import RegisterFrames

AUDIBLE = 12
"""Envelope above which a voice counts."""
MEASURES = ("notes", "freq", "width", "waveform", "gate")
SURE = 0.5
PULSE, NOISE = 0x40, 0x80


@dataclass(frozen=True)
class Voice:
    """One audible voice in one frame."""

    freq: int
    width: int
    control: int

    @property
    def note(self) -> float:
        """In semitones."""
        return 12 * float(np.log2(max(self.freq, 1)))


def frames_of(path: Path, count: int) -> RegisterFrames:
    """Return the frames of a register log."""
    values = np.zeros((count, 25), np.uint8)
    with path.open() as file:
        for row in csv.DictReader(file):
            values[min(int(row["cycle"]) // PAL.frame_cycles, count) :, int(row["register"])] = int(row["value"])
    return RegisterFrames(values)


def voices(frames: RegisterFrames) -> Iterator[list[Voice]]:
    """Yield the audible voices of each frame."""
    writes = frames.writes()
    events = np.stack([writes.events[name].astype(np.int64) for name in ("cycle", "register", "value")], axis=1)
    steps = -(-len(frames) * frames.frame_cycles // kernel.STEP)
    _, env = kernel.power_on()
    levels = np.zeros((3, steps), np.uint8)
    for v in range(3):
        kernel.frame_envelope(env[v], v, events, steps * kernel.STEP, levels[v])
    for f, image in enumerate(frames.values.astype(int)):
        at = (f * frames.frame_cycles + frames.frame_cycles * 3 // 4) // kernel.STEP
        yield [
            Voice(r[0] | r[1] << 8, (r[2] | r[3] << 8) & 0xFFF, r[4])
            for v in range(3)
            if levels[v, at] > AUDIBLE and (r := image[7 * v : 7 * v + 7]) is not None
        ]


def right(measure: str, a: Voice, b: Voice) -> bool:
    """Whether a found voice is as the true one."""
    if measure == "notes":
        return abs(a.note - b.note) <= 0.5
    if measure == "freq":
        return abs(a.freq - b.freq) <= 1
    if measure == "width":
        return bool(b.control & PULSE) and abs(a.width - b.width) <= 8
    if measure == "waveform":
        return a.control & 0xF0 == b.control & 0xF0
    return a.control & 1 == b.control & 1


def counts(measure: str, voice: Voice) -> bool:
    """Whether a voice is looked at by a measure."""
    if measure in ("waveform", "gate"):
        return True
    return not voice.control & NOISE and (measure != "width" or bool(voice.control & PULSE))


def hits(measure: str, truth: list[Voice], found: list[Voice]) -> tuple[int, int]:
    """Return how many voices are right in the best order, and of how many."""
    a = [v for v in truth if counts(measure, v)]
    b = [v for v in found if counts(measure, v)]
    n = max(len(a), len(b))
    if len(a) > len(b):
        a, b = b, a
    best = 0
    for order in permutations(range(len(b)), len(a)):
        best = max(best, sum(right(measure, a[i], b[k]) for i, k in enumerate(order)))
    return best, n


def judge(truth: RegisterFrames, found: Decoded) -> dict[str, float]:
    """Return the share of right registers by measure, and how confidence did."""
    total = {m: [0, 0] for m in MEASURES}
    sure = sure_right = frames = 0
    cents: list[float] = []
    for true, ours, confidence in zip(voices(truth), voices(found.frames), found.confidence, strict=False):
        all_right = True
        for m in MEASURES:
            k, n = hits(m, true, ours)
            total[m][0] += k
            total[m][1] += n
            all_right &= k == n
        cents += errors(true, ours)
        frames += 1
        if confidence >= SURE:
            sure += 1
            sure_right += all_right
    scores = {m: total[m][0] / max(total[m][1], 1) for m in MEASURES}
    scores["cents"] = float(np.mean(cents)) if cents else 0.0
    return {**scores, "sure": sure / max(frames, 1), "sure_right": sure_right / max(sure, 1)}


def errors(truth: list[Voice], found: list[Voice]) -> list[float]:
    """Return by how many cents the notes that are right are off."""
    apart = [
        min((abs(a.note - b.note) for b in found if counts("notes", b)), default=1) for a in truth if counts("notes", a)
    ]
    return [100 * d for d in apart if d <= 0.5]


def right_frames(truth: RegisterFrames, found: Decoded) -> np.ndarray:
    """Return whether everything that counts is right, by frame."""
    pairs = zip(voices(truth), voices(found.frames), strict=False)
    return np.array([all(k == n for k, n in (hits(m, a, b) for m in MEASURES)) for a, b in pairs])


def main() -> None:
    """Print a line a target, and the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", default="chip")
    parser.add_argument("--no-lsd", action="store_true")
    given = parser.parse_args()
    rows = []
    for path in sorted(given.folder.glob(f"*{given.only}*.flac")):
        log = path.with_suffix(".csv")
        if not log.exists():
            continue
        sound, rate = audio.read(path)
        sound = sound[: round(given.seconds * rate)]
        model = "8580" if "8580" in path.stem else "6581"
        start = time.process_time()
        found = decode(sound, rate, model=model)
        spent = time.process_time() - start
        row = judge(frames_of(log, len(found.frames)), found)
        row["residual"], row["cpu"] = found.residual_db, spent / (len(sound) / rate)
        if not given.no_lsd:
            twin = f"{model}-residfp" if f"{model}-residfp" in models.MODELS else model
            ours = sidlearn.render(found.writes, twin, rate)
            n = min(len(ours), len(sound))
            row["lsd"] = lsd(sound[:n], ours[:n], rate)
        rows.append(row)
        print(f"{path.stem:24s}", "  ".join(f"{k} {v:.3f}" for k, v in row.items()), flush=True)
    if rows:
        print(f"{'median':24s}", "  ".join(f"{k} {np.median([r[k] for r in rows]):.3f}" for k in rows[0]))


if __name__ == "__main__":
    main()
