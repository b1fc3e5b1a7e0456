"""From a sound that a SID made to the registers it was made with, a frame at a time and in closed loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sidlearn.chip import models
from sidlearn.chip.decimate import delay_cycles
from sidlearn.chip.generator import FIELDS
from sidlearn.clock import PAL
from sidlearn.learn.checkpoint import Forgetful, Progress, Store
from sidlearn.learn.decode.fallback import Budget, go_on
from sidlearn.learn.decode.forward import NO_PADS, Forward
from sidlearn.learn.decode.gates import tidy
from sidlearn.learn.decode.hindsight import Decoder
from sidlearn.learn.decode.path import Start
from sidlearn.learn.decode.target import CENTRE, convert
from sidlearn.registers import WRITABLE
from sidlearn.writes import WRITE_DTYPE, RegisterFrames, RegisterWrites

LOCKED_DB = -15.0
"""Residual of the first frames below which a sound is taken for one that a SID made; guess."""
CLEAR_RMS = 4e-4
"""What the right chip and registers leave of a frame at most, fast attacks aside; measured on pyresidfp 0.17.0."""
HOPELESS_DB = -5.0
"""A first frame with more than this left was made by no chip, wherever the sound begins; guess."""
UNFILTERED_RMS = 8e-4
"""What of a first frame without a filter is left at most; guess."""
PARTLY_DB, FILTERED_ORIGINS = -3.0, 2
"""A first frame with less left without a filter may have one, and origins with which it is looked for; guess."""
STAGE, KEPT_EVERY = "decode", 25
"""Name of the checkpoint, and after how many frames it is written."""
LOST_DB = -12.0
LOST_FRAMES = 12
"""After so many frames in a row with a residual above `LOST_DB` the rest is found without the state of the chip."""
GUESSED_CONFIDENCE = 0.2
"""Of frames that were found so."""
SURE_RMS = 2.4e-4
"""Error at which a frame is as likely right as wrong; guess."""
OPEN = 0.4
"""Confidence at most in a frame in which nobody can hear whether a gate is on; guess."""
HEARD_LEVEL = 12
"""Envelope above which it matters."""


@dataclass(frozen=True)
class Decoded:
    """Registers as far as they could be told from the sound.

    Attributes
    ----------
    frames : RegisterFrames
    writes : RegisterWrites
        The same with every write at the cycle at which it must have come: what sounds like the target.
    confidence : ndarray, float32, shape (frames,)
        0.5 and above: what the SID was told in this frame.
    residual_db : float
        Energy of what is left of the target over that of the target without its mean, in dB, median over frames.
    start_s : float
        When in the file the first frame begins.
    gain : float
        By how much the file is louder than the chip.
    clock_ppm, sample_rate_error : float
        By how much the chip ran too fast, or the file's rate is wrong: only their difference can be heard.
    locked : bool
        Whether a SID made the sound.
    """

    frames: RegisterFrames
    writes: RegisterWrites
    confidence: np.ndarray
    residual_db: float
    start_s: float
    gain: float
    clock_ppm: float
    sample_rate_error: float
    locked: bool


def decode(
    audio: np.ndarray,
    sample_rate: float,
    *,
    model: str = "6581",
    frame_rate: int = 50,
    progress: Progress | None = None,
    checkpoint: Store | None = None,
) -> Decoded:
    """Find the registers that a SID was told, from its sound.

    Parameters
    ----------
    audio : ndarray, shape (samples,)
        Mono, from power-on.
    sample_rate : float
        In Hz.
    model : str
        The chip; its residfp variant is tried too.
    frame_rate : int
        50, 100 or 200 frames a second of the result; a player at 50 Hz is looked for.
    progress : callable, optional
    checkpoint : Store, optional

    Returns
    -------
    decoded : Decoded
    """
    from threadpoolctl import threadpool_limits

    # the matrices are small: more threads wait for each other longer than they work
    with threadpool_limits(1, "blas"):
        return _decode(audio, sample_rate, model, frame_rate, progress, checkpoint or Forgetful())


def _decode(
    audio: np.ndarray, sample_rate: float, model: str, frame_rate: int, progress: Progress | None, store: Store
) -> Decoded:
    frames = max(int(np.ceil(len(audio) / sample_rate * PAL.clock_hz / PAL.frame_cycles)), 1)
    kept = store.get(STAGE)
    searcher, origin = resumed(audio, sample_rate, model, kept) if kept else started(audio, sample_rate, model)
    total = len(searcher.forward.target)
    lost = LOST_FRAMES if total and residual_db(searcher, 0) > LOST_DB else 0
    lost = int(kept["lost"]) if kept else lost
    budget = Budget(searcher)
    while len(searcher.path) < total and lost < LOST_FRAMES and not budget.is_spent():
        frame = searcher.decode_next()
        lost = lost + 1 if residual_db(searcher, frame.number) > LOST_DB else 0
        if len(searcher.path) % KEPT_EVERY == 0:
            store.put(STAGE, **saved(searcher), origin=origins(model, sample_rate).index(origin), lost=lost)
        if progress is not None:
            progress(len(searcher.path) / total, "decode")
    values = np.zeros((frames, WRITABLE), np.uint8)
    confidence = np.zeros(frames, np.float32)
    if searcher.path:
        unknown = tidy(searcher)
        values[: len(searcher.path)] = [frame.image for frame in searcher.path]
        confidence[: len(searcher.path)] = confidences(searcher, unknown)
    lefts = [residual_db(searcher, k) for k in range(len(searcher.path))]
    if searcher.path:
        values[len(searcher.path) :] = values[len(searcher.path) - 1]
        if len(searcher.path) < total and residual_db(searcher, 0) < LOCKED_DB:
            found, more = go_on(searcher, total, progress)
            first = total - len(found)
            values[first:total], confidence[first:] = found, GUESSED_CONFIDENCE
            values[total:] = values[total - 1]
            lefts[first:] = more.tolist()
    left = float(np.median(lefts)) if lefts else 0.0
    times = frame_rate // 50
    return Decoded(
        RegisterFrames(np.repeat(values, times, axis=0), PAL.frame_cycles // times),
        written(searcher, values),
        np.repeat(confidence, times),
        left,
        -origin.start_cycles / PAL.clock_hz,
        1.0,
        0.0,
        0.0,
        len(lefts) == total and total > 0 and left < LOCKED_DB,
    )


def confidences(searcher: Decoder, unknown: np.ndarray) -> np.ndarray:
    """Return how sure the frames of a path are, float32 (frames,); `unknown` gates, bool (frames, 3)."""
    found = np.empty(len(searcher.path), np.float32)
    for k, frame in enumerate(searcher.path):
        sure = 1 / (1 + (searcher.rms(frame.energy) / SURE_RMS) ** 2)
        heard = frame.levels[:, frame.levels.shape[1] * 3 // 4] > HEARD_LEVEL
        found[k] = min(sure, OPEN) if (heard & unknown[k]).any() else sure
    return found


def written(searcher: Decoder, values: np.ndarray) -> RegisterWrites:
    """Return the registers of frames, uint8 (frames, 25), as writes at the cycles at which they must have come."""
    rows = [np.empty(0, WRITE_DTYPE)]
    old = searcher.start.image
    for number, image in enumerate(values):
        pads = searcher.path[number].pads if number < len(searcher.path) else NO_PADS
        told = searcher.forward.events_between(old, image, pads, number == 0 and searcher.everything)
        row = np.empty(len(told), WRITE_DTYPE)
        row["cycle"] = told[:, 0] + number * PAL.frame_cycles
        row["register"], row["value"] = told[:, 1], told[:, 2]
        rows.append(row[np.argsort(row["cycle"], kind="stable")])
        old = image
    return RegisterWrites(np.concatenate(rows), len(values) * PAL.frame_cycles, PAL.clock_hz)


@dataclass(frozen=True)
class Origin:
    """How a sound may have come about."""

    model: str
    start_cycles: float
    """Cycle of the first sample."""
    everything: bool
    """Whether all registers were written at first, and not only what differs from zero."""


def origins(model: str, sample_rate: float) -> list[Origin]:
    """Return how a target for `model` may have been made, the likeliest first."""
    ours = PAL.clock_hz / sample_rate - delay_cycles(round(sample_rate), PAL.clock_hz) - CENTRE
    twin = f"{model}-residfp"
    chips = [(twin, 0.0), (model, ours)] if twin in models.MODELS else [(model, 0.0), (model, ours)]
    return [Origin(name, start, everything) for everything in (True, False) for name, start in chips]


def started(audio: np.ndarray, sample_rate: float, model: str) -> tuple[Decoder, Origin]:
    """Return a searcher that has decoded the first frame, for the origin that explains it best."""
    best = None
    partly: list[tuple[float, Origin]] = []
    for tried, origin in enumerate(origins(model, sample_rate)):
        searcher = searcher_for(audio, sample_rate, origin)
        if len(searcher.forward.target):
            searcher.decode_next()
            partly.append((residual_db(searcher, 0), origin))
        if best is None or searcher.floor < best[0].floor:
            best = searcher, origin
        if not searcher.floor or searcher.floor[0] < CLEAR_RMS:
            break
        if tried and residual_db(best[0], 0) > HOPELESS_DB:
            break
    assert best is not None
    if best[0].floor and best[0].floor[0] > UNFILTERED_RMS:
        # what is not made by voices alone may be made through the filter
        partly.sort(key=lambda p: p[0])
        for left, origin in partly[:FILTERED_ORIGINS]:
            if left > PARTLY_DB:
                break
            searcher = searcher_for(audio, sample_rate, origin)
            searcher.filters = True
            searcher.decode_next()
            if residual_db(searcher, 0) < residual_db(best[0], 0):
                best = searcher, origin
            if searcher.floor[0] < CLEAR_RMS:
                break
    return best


def saved(searcher: Decoder) -> dict[str, np.ndarray]:
    """Return what it takes to play the frames found so far again."""
    return {
        "images": np.array([f.image for f in searcher.path], np.uint8),
        "pads": np.array([f.pads for f in searcher.path], np.int64),
        "jumps": np.array(sorted(searcher.jumps), np.int64),
        "evaluated": np.array(searcher.forward.evaluated),
        "gone_over": np.array(sorted(searcher.gone_over), np.int64),
        "starts": np.array([row(s) for _, some in sorted(searcher.jumps.items()) for s in some], np.int64),
    }


def row(start: Start) -> np.ndarray:
    """Return what a voice begins a frame with as numbers, int64 (1 + FIELDS,): its phase, its envelope or zeros."""
    phase, env = start
    return np.r_[phase, np.frombuffer(env or bytes(8 * FIELDS), np.int64)]


def resumed(audio: np.ndarray, sample_rate: float, model: str, kept: dict[str, np.ndarray]) -> tuple[Decoder, Origin]:
    """Return a searcher that has the frames of an earlier run."""
    origin = origins(model, sample_rate)[int(kept["origin"])]
    searcher = searcher_for(audio, sample_rate, origin)
    starts = [(int(r[0]), r[1:].tobytes() if r[1:].any() else b"") for r in kept["starts"]]
    searcher.jumps.update(
        {k: (starts[3 * i], starts[3 * i + 1], starts[3 * i + 2]) for i, k in enumerate(kept["jumps"].tolist())}
    )
    searcher.gone_over.update(kept["gone_over"].tolist())
    for k, (image, pads) in enumerate(zip(kept["images"], kept["pads"], strict=True)):
        searcher.accept(searcher.evaluate(searcher.before(), k, image, tuple(int(p) for p in pads)))
    searcher.forward.evaluated = int(kept["evaluated"])
    return searcher, origin


def searcher_for(audio: np.ndarray, sample_rate: float, origin: Origin) -> Decoder:
    """Return a searcher for a sound that came about in a given way."""
    target = convert(audio, sample_rate, models.load(origin.model)[0], start_cycles=origin.start_cycles)
    searcher = Decoder(Forward(origin.model, target, PAL.frame_cycles))
    searcher.everything = origin.everything
    return searcher


def residual_db(searcher: Decoder, number: int) -> float:
    """Return the energy left of a frame over that of the target, in dB."""
    target = searcher.forward.target[number]
    return 10 * float(np.log10(max(searcher.path[number].energy, 1e-12) / max(len(target) * np.var(target), 1e-12)))
