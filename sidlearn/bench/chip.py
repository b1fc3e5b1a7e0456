"""The chip beside residfp: speed of every mode, memory, start-up, and how far the sound is off."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from types import ModuleType

import numpy as np

from sidlearn.bench.measure import Progress, Report, Row, Timing, take_turns
from sidlearn.bench.music import tune
from sidlearn.errors import SidlearnError
from sidlearn.writes import RegisterWrites

SECONDS = 60
SAMPLE_RATE = 44_100
SETTLE_SECONDS = 2  # residfp starts with a step and, when it resamples, with whatever its buffer held

LANES = 32
BATCH_CHIPS, BATCH_SECONDS = 256, 1

# (case, model, filter on, mode, lanes, floor)
CASES = (
    ("exact, 6581, filter", "6581", True, "exact", 1, 2.5),
    ("exact, 8580, filter", "8580", True, "exact", 1, None),
    ("exact, 6581, filter, lanes", "6581", True, "exact", LANES, 6),
    ("exact, 8580, filter, lanes", "8580", True, "exact", LANES, None),
    ("exact, 6581, no filter", "6581", False, "exact", 1, None),
    ("fast, 6581, filter", "6581", True, "fast", 1, 10),
    ("fast, 8580, filter", "8580", True, "fast", 1, None),
    ("fast, 6581, no filter", "6581", False, "fast", 1, 20),
    ("fast, 8580, no filter", "8580", False, "fast", 1, 16),
)


def bench(progress: Progress = lambda _: None) -> Report:
    """Measure everything.

    Raises
    ------
    SidlearnError
        If pyresidfp, the peer, is not installed.
    """
    residfp = _peer()
    logs = {True: tune(SECONDS), False: tune(SECONDS, filtered=False)}
    rows = _speed(residfp, logs, progress)
    rows += _batch(progress)
    rows += _memory_and_start(progress)
    return Report("chip", rows)


def _peer() -> ModuleType:
    try:
        import pyresidfp._pyresidfp as residfp
    except ImportError:
        raise SidlearnError("bench chip: needs the peer, pip install pyresidfp==0.17.0") from None
    return residfp


def _speed(residfp: ModuleType, logs: dict[bool, RegisterWrites], progress: Progress) -> list[Row]:
    from sidlearn.chip.sid import render

    peers = {(m, f): partial(play_residfp, residfp, logs[f], m) for m in ("6581", "8580") for f in (True, False)}
    ours: list[Callable[[], object]] = [
        partial(render, logs[f], model, SAMPLE_RATE, mode, lanes=lanes, threads=1)
        for _, model, f, mode, lanes, _ in CASES
    ]
    timings = take_turns([*peers.values(), *ours], progress=progress)
    peer_timings = dict(zip(peers, timings, strict=False))
    rows = []
    for (case, model, filtered, mode, lanes, floor), timing in zip(CASES, timings[len(peers) :], strict=True):
        peer = peer_timings[model, filtered]
        progress(f"distance of {case}")
        off = distance(residfp, logs[filtered], model, mode, lanes)
        rows.append(
            Row(case, peer.least / timing.least, "x residfp", floor, details={**_details(timing, peer), "LSD dB": off})
        )
    return rows


def _details(timing: Timing, peer: Timing) -> dict[str, object]:
    return {
        "CPU s": f"{timing.least:.2f}/{timing.middle:.2f}/{timing.most:.2f}",
        "residfp": f"{peer.least:.2f}/{peer.middle:.2f}/{peer.most:.2f}",
        "x real time": SECONDS / timing.least,
    }


def play_residfp(
    residfp: ModuleType, writes: RegisterWrites, model: str, sample_rate: int = SAMPLE_RATE, method: str = "RESAMPLE"
) -> np.ndarray:
    """Play a log on residfp and return its samples, int16."""
    chip = residfp.ChipModel.MOS8580 if model.startswith("8580") else residfp.ChipModel.MOS6581
    sid = residfp.SID(chip, getattr(residfp.SamplingMethod, method), float(writes.clock_hz), float(sample_rate))
    sound: list[int] = []
    now = 0
    for cycle, register, value in writes.events.tolist():
        sound += sid.clock(cycle - now)
        now = cycle
        sid.write(register, value)
    sound += sid.clock(writes.length - now)
    return np.array(sound, np.int16)


def _batch(progress: Progress) -> list[Row]:
    """Many chips for a second each: seconds of sound for a second of the processor, all threads counted."""
    from sidlearn.chip.sid import render_batch

    progress("batch of chips")
    logs = [tune(BATCH_SECONDS, seed=seed) for seed in range(BATCH_CHIPS)]
    (timing,) = take_turns([lambda: render_batch(logs, "6581", SAMPLE_RATE)], 3, progress)
    speed = BATCH_CHIPS * BATCH_SECONDS / timing.least
    return [Row(f"batch of {BATCH_CHIPS} chips, 6581, filter", speed, "chip s / s", 150)]


def distance(
    residfp: ModuleType, writes: RegisterWrites, model: str, mode: str, lanes: int = 1, seconds: float = 12
) -> float:
    """Return the log-spectral distance of our `-residfp` model to residfp, taken at one sample a cycle, in dB."""
    import soxr

    from sidlearn.chip.sid import render
    from sidlearn.learn.metrics import lsd

    writes = writes.cut(round(seconds * writes.clock_hz))
    theirs = play_residfp(residfp, writes, model, writes.clock_hz, "DECIMATE").astype(np.float32) / 32_768
    theirs = soxr.resample(theirs, writes.clock_hz, SAMPLE_RATE, "VHQ")
    ours = render(writes, f"{model}-residfp", SAMPLE_RATE, mode, lanes=lanes)
    skip = SETTLE_SECONDS * SAMPLE_RATE
    return lsd(theirs[skip:], ours[skip:], SAMPLE_RATE)


_FIRST_SAMPLE = """
import time; begun = time.perf_counter()
import sidlearn, numpy
sidlearn.SID()[54296] = 15
sid = sidlearn.SID(); sid.clock(1000)
print(time.perf_counter() - begun)
"""
_MEMORY = """
import sidlearn
from sidlearn.bench.measure import peak_megabytes
from sidlearn.bench.music import tune
sidlearn.render(tune(60))
print(peak_megabytes())
"""


def _memory_and_start(progress: Progress) -> list[Row]:
    progress("cold compile")
    with tempfile.TemporaryDirectory() as folder:
        environ = {**os.environ, "NUMBA_CACHE_DIR": folder}
        cold = _child(_FIRST_SAMPLE, environ)
        warm = min(_child(_FIRST_SAMPLE, environ) for _ in range(3))
    progress("memory")
    rows = [
        Row("first sample, warm", warm, "s", 1.5, lower_is_better=True),
        Row("first sample, cold compile", cold, "s", 30, lower_is_better=True),
    ]
    if sys.platform != "win32":
        rows.append(Row("memory of a 60 s render", _child(_MEMORY, dict(os.environ)), "MB", 400, lower_is_better=True))
    return rows


def _child(code: str, environ: dict[str, str]) -> float:
    """Run code in a process of its own and return the number that it prints."""
    result = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    return float(result.stdout.split()[-1])
