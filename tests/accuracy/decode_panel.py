"""The decoder over tunes of every kind: `python -m tests.accuracy.decode_panel [--kinds ...] [--seeds ...]`.

A line a tune: shares of notes, FREQ within 1, PW within 8, waveform and gate that are right (`tests.accuracy.decoder`
tells how), of frames that are right in all of them, cents of FREQ, LSD of the result played again, the share of frames
marked sure and how many of those are right, CPU seconds per second of sound. Then medians by kind, and how often frames
of each confidence are right.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np

import sidlearn
from sidlearn.learn.decode import decode
from sidlearn.learn.metrics import lsd
from sidlearn.writes import RegisterFrames
from tests.accuracy import decode_tunes as tunes
from tests.accuracy.decoder import judge, right_frames

CHIPS = ("residfp:6581", "residfp:8580", "6581", "8580")
BINS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)
SHOWN = (
    "notes",
    "freq",
    "width",
    "waveform",
    "gate",
    "frames",
    "cents",
    "sure",
    "sure_right",
    "lsd",
    "residual",
    "cpu",
)


def flaws(name: str, seed: int) -> tunes.Flaws:
    """Return errors of a file: none, or one of each kind at random."""
    if name == "none":
        return tunes.Flaws()
    rng = np.random.default_rng(seed + 1000)
    gain, start, ppm = rng.uniform(0.2, 1.0), rng.uniform(0, 0.3), rng.uniform(-300, 300)
    return tunes.Flaws(
        gain if name in ("gain", "all") else 1.0,
        start if name in ("start", "all") else 0.0,
        ppm if name in ("clock", "all") else 0.0,
    )


def main() -> None:
    """Print a line a tune, medians, and the reliability of confidence."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", default=list(tunes.KINDS), choices=list(tunes.KINDS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--chips", nargs="+", default=["residfp:6581"], choices=CHIPS)
    parser.add_argument("--flaws", nargs="+", default=["none"], choices=["none", "gain", "start", "clock", "all"])
    parser.add_argument("--seconds", type=float, default=3.0)
    given = parser.parse_args()
    confidence, rights = [], []
    for kind in given.kinds:
        rows = []
        for seed in given.seeds:
            for chip in given.chips:
                for flaw in given.flaws:
                    frames = tunes.tune(kind, seed, given.seconds)
                    how = flaws(flaw, seed)
                    row, sure, good = one(frames, chip, how, tunes.KINDS[kind].frames_a_second)
                    confidence.append(sure)
                    rights.append(good)
                    rows.append(row)
                    name = f"{kind} {seed} {chip} {flaw}"
                    print(f"{name:38s}", "  ".join(f"{k} {row[k]:.3f}" for k in SHOWN), flush=True)
        print(f"{kind + ' median':38s}", "  ".join(f"{k} {np.median([r[k] for r in rows]):.3f}" for k in SHOWN))
    reliability(np.concatenate(confidence), np.concatenate(rights))


def one(
    frames: RegisterFrames, chip: str, how: tunes.Flaws, rate: int
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Decode one tune; return the scores, and by frame its confidence and whether it is right."""
    sound = tunes.sound(frames, chip, how)
    model = chip.removeprefix("residfp:")
    begun = time.process_time()
    found = decode(sound, tunes.SAMPLE_RATE, model=model, frame_rate=rate)
    spent = time.process_time() - begun
    n = min(len(frames), len(found.frames))
    truth = RegisterFrames(frames.values[:n], frames.frame_cycles)
    row = judge(truth, found)
    good = right_frames(truth, found)
    row["frames"] = float(good.mean())
    again = sidlearn.render(found.frames.writes(), f"{model}-residfp" if chip != model else model, tunes.SAMPLE_RATE)
    ideal = tunes.sound(truth, chip)
    m = min(len(again), len(ideal))
    row["lsd"] = lsd(ideal[:m], again[:m], tunes.SAMPLE_RATE)
    row["residual"] = found.residual_db
    row["cpu"] = spent / (len(sound) / tunes.SAMPLE_RATE)
    return row, found.confidence[:n], good


def reliability(confidence: np.ndarray, good: np.ndarray) -> None:
    """Print how many frames of each confidence there are, and how many of them are right."""
    print("confidence      frames  mean   right")
    for low, high in itertools.pairwise(BINS):
        some = (confidence >= low) & ((confidence < high) | (high == 1.0))
        if some.any():
            print(f"{low:.2f} to {high:.2f} {some.sum():8d}   {confidence[some].mean():.3f}  {good[some].mean():.3f}")


if __name__ == "__main__":
    main()
