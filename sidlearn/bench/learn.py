"""The learner beside other converters: the same sounds, all played on pyresidfp, and what each costs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from sidlearn.bench.chip import play_residfp
from sidlearn.bench.converters import METHODS
from sidlearn.bench.measure import Progress, Report, Row, take_turns
from sidlearn.bench.music import tune
from sidlearn.bench.targets import RATE, own_targets, read_targets
from sidlearn.clock import PAL
from sidlearn.errors import SidlearnError
from sidlearn.registers import CONTROL, FREQ_HI, voice_register
from sidlearn.writes import RegisterFrames, RegisterWrites

PANEL = ("stoi", "estoi", "visqol", "rpa", "rms_cosine", "onset_f", "lsd", "mss", "sot")
JUDGED = ("stoi", "visqol", "rpa")
"""What a method has to be first on."""
OURS = {"sidlearn fast": "fast", "sidlearn best": "best"}
YARDSTICK = "4-bit digi"
"""A method that is out of competition: it samples, and stops all other work of a C64."""
QUICK_SECONDS, QUICK_EFFORT = 1.2, 0.25
BATCH = 32
MOST_SECONDS = {"fast": 2.0, "best": 10.0}
"""CPU seconds that a second of sound may take."""


def bench(progress: Progress = lambda _: None, quick: bool = False, folder: Path | None = None) -> Report:
    """Measure everything.

    Parameters
    ----------
    progress : callable
    quick : bool
        Whether to take the first second of one sound only, and to try less.
    folder : Path, optional
        Sounds to learn instead of our own.

    Raises
    ------
    SidlearnError
        If pyresidfp, the judge, is not installed, or the folder holds no sounds.
    """
    _judge()
    sounds = read_targets(folder) if folder else own_targets()
    if quick:
        name, sound = next(iter(sounds.items()))
        sounds = {name: sound[: round(QUICK_SECONDS * RATE)]}
    rows = _contest(sounds, QUICK_EFFORT if quick else 1.0, progress)
    return Report("learn", rows + _speeds(progress, quick))


def _judge() -> ModuleType:
    try:
        import pyresidfp._pyresidfp as residfp
    except ImportError:
        raise SidlearnError("bench learn: needs the judge, pip install pyresidfp==0.17.0") from None
    return residfp


# --- The contest -------------------------------------------------------------------------------------------------


def _contest(sounds: dict[str, np.ndarray], effort: float, progress: Progress) -> list[Row]:
    results: dict[str, list[dict[str, float]]] = {name: [] for name in (*METHODS, *OURS)}
    rows = []
    progress(", ".join(sounds))
    for target, found in _all_values(sounds, effort, progress):
        for name, values in found.items():
            results[name].append(values)
            rows.append(_row(f"{target}, {name}", values))
    medians = {name: _median(values) for name, values in results.items()}
    if len(sounds) > 1:
        rows += [_row(f"median, {name}", values) for name, values in medians.items()]
    rows += _verdicts(medians)
    for name, quality in OURS.items():
        cost = medians[name]["CPU s/s"]
        rows.append(Row(f"resynthesis, {quality}", cost, "s per s", MOST_SECONDS[quality], lower_is_better=True))
    return rows


def _all_values(
    sounds: dict[str, np.ndarray], effort: float, progress: Progress
) -> Iterator[tuple[str, dict[str, dict[str, float]]]]:
    """Yield each sound with what every method makes of it; several sounds at a time, in processes of their own.

    Costs are processor seconds, so they stay the same whatever runs beside.
    """
    if len(sounds) == 1:
        for target, sound in sounds.items():
            yield target, _values(sound, effort, progress)
        return
    workers = min(len(sounds), os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        waiting = {target: pool.submit(_values, sound, effort) for target, sound in sounds.items()}
        for target, future in waiting.items():
            yield target, future.result()
            progress(f"{target}: done")


def _values(sound: np.ndarray, effort: float, progress: Progress = lambda _: None) -> dict[str, dict[str, float]]:
    """Return the figures of all methods on one sound."""
    methods = METHODS | {name: partial(_learn, quality) for name, quality in OURS.items()}
    residfp, seconds = _judge(), len(sound) / RATE
    found = {}
    for name, method in methods.items():
        progress(name)
        writes, cost = _timed(name, method, sound, effort)
        costs = {"writes/s": len(writes) / seconds, "CPU s/s": cost / seconds}
        found[name] = judge(residfp, writes, sound) | costs
    return found


def _learn(quality: str, sound: np.ndarray, rate: int, effort: float, seed: int) -> RegisterWrites:
    from sidlearn.learn import learn

    return learn(sound, rate, method="pursue", quality=quality, seed=seed).writes


def _timed(
    name: str, method: Callable[..., RegisterWrites], sound: np.ndarray, effort: float
) -> tuple[RegisterWrites, float]:
    """Return what a method writes and its CPU seconds; what compiles or loads on first use is not counted."""
    if name not in _warm:
        method(sound[: RATE // 2], RATE, 0.1, 0)
        _warm.add(name)
    begun = time.process_time()
    writes = method(sound, RATE, effort, 0)
    return writes, time.process_time() - begun


_warm: set[str] = set()


def judge(residfp: ModuleType, writes: RegisterWrites, sound: np.ndarray) -> dict[str, float]:
    """Return the metrics of a log against the sound that it is meant to be, played on pyresidfp at its clock's rate."""
    import soxr

    from sidlearn.learn.metrics import score

    played = play_residfp(residfp, writes, "6581", writes.clock_hz, "DECIMATE").astype(np.float32) / 32_768
    played = soxr.resample(played, writes.clock_hz, RATE, "VHQ")
    size = min(len(played), len(sound))
    played = played[:size] - np.median(played[:size])
    return score(sound[:size], played, RATE, PANEL)[0]


def _median(values: list[dict[str, float]]) -> dict[str, float]:
    names = {name for v in values for name in v}
    return {name: float(np.median([v[name] for v in values if name in v])) for name in names}


def _row(case: str, values: dict[str, float]) -> Row:
    order = ("estoi", "visqol", "rpa", "rms_cosine", "onset_f", "lsd", "mss", "sot", "writes/s", "CPU s/s")
    details: dict[str, object] = {name: values[name] for name in order if name in values}
    return Row(case, values.get("stoi", float("nan")), "STOI", details=details)


def _verdicts(medians: dict[str, dict[str, float]]) -> list[Row]:
    """Return for each metric that is judged by how much our best is ahead of the best other method."""
    ours = medians["sidlearn best"]
    rows = []
    for metric in JUDGED:
        others = {n: v[metric] for n, v in medians.items() if n not in OURS and n != YARDSTICK and metric in v}
        if metric in ours and others:
            name = max(others, key=lambda n: others[n])
            rows.append(Row(f"lead on {metric}", ours[metric] - others[name], metric, 0.0, details={"before": name}))
    return rows


# --- Speeds ------------------------------------------------------------------------------------------------------


def _speeds(progress: Progress, quick: bool) -> list[Row]:
    import torch

    from sidlearn.surrogate import DifferentiableSID

    repetitions = 1 if quick else 3
    seconds = 1.0 if quick else 2.0
    frames = torch.from_numpy(_batch(seconds))
    length = frames.shape[1] * PAL.frame_cycles / PAL.clock_hz * BATCH
    threads = torch.get_num_threads()

    def real_time(cost: float) -> float:  # all cores at work on one batch
        return length / (cost / threads)

    works: list[tuple[str, float | None, Callable[[], object]]] = []
    for model, floors in (("6581", (500, 150)), ("8580", (None, None))):
        chip = DifferentiableSID(model, RATE)
        works += [
            (f"surrogate, {model}, forward", floors[0], partial(_forward, chip, frames)),
            (f"surrogate, {model}, forward and backward", floors[1], partial(_both_ways, chip, frames)),
        ]
    from sidlearn.bench import modular

    modules = modular.Voice(BATCH, seconds, RATE)
    works += [("modular voice (torchsynth's method), forward", None, modules.play)]
    timings = take_turns([work for *_, work in works], repetitions, progress)
    rows = [
        Row(name, real_time(t.least), "x real time", floor, details={"batch": BATCH, "threads": threads})
        for (name, floor, _), t in zip(works, timings, strict=True)
    ]
    return rows + _parts(progress, repetitions)


def _batch(seconds: float) -> np.ndarray:
    """Return 32 tunes with filter as frames, float32 (32, frames, 25)."""
    return np.stack([tune(seconds, seed=seed).frames().values for seed in range(BATCH)]).astype(np.float32)


def _forward(chip: Any, frames: Any) -> None:
    import torch

    with torch.no_grad():
        chip(frames)


def _both_ways(chip: Any, frames: Any) -> None:
    chip(frames.clone().requires_grad_()).square().mean().backward()


def _parts(progress: Progress, repetitions: int) -> list[Row]:
    """Return the speeds of what the learner is made of: planner, decoder, emulator."""
    from sidlearn.chip.sid import SID, render
    from sidlearn.learn import envelopes, learn

    seconds, tries, cores = 4.0, 400, os.cpu_count() or 1
    count = round(seconds * PAL.clock_hz / PAL.frame_cycles)
    wanted = np.abs(np.sin(np.arange(count) * 0.21)) * np.linspace(1, 0.2, count)
    none = np.zeros(count, np.int64)
    timing = envelopes.Timing(none, none, PAL.frame_cycles)
    log = tune(3, filtered=False)
    sound = render(log, "6581", RATE)
    values = tune(1).frames().values
    sid = SID("6581", RATE, mode="fast")
    sid.play(RegisterFrames(values).writes())
    kept = sid.snapshot()

    def candidates() -> None:
        for n in range(tries):
            sid.restore(kept)
            sid.poke(sid.cycle, voice_register(n % 3, FREQ_HI), n & 0xFF)
            sid.poke(sid.cycle, voice_register(n % 3, CONTROL), 0x41)
            sid.clock(PAL.frame_cycles)

    works: list[Callable[[], object]] = [
        lambda: envelopes.plan(wanted, np.full(count, 0x40, np.uint8), timing),
        candidates,
        lambda: learn(sound, RATE, method="decode"),
    ]
    planning, trying, decoding = take_turns(works, repetitions, progress)
    return [
        Row("envelope planner, one voice", seconds / planning.least, "x real time", 20),
        Row("candidates in the emulator", cores * tries / trying.least, "frames/s", 2_000, details={"cores": cores}),
        Row("decoder", decoding.least / log.seconds, "s per s", 3, lower_is_better=True),
    ]
