"""From a sound to the registers that play it: checks the sound, chooses the method, gives back one `Learned`."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sidlearn import __version__, audio, clock
from sidlearn.chip import models
from sidlearn.errors import LearnError, nearest, one_of
from sidlearn.files import in_folder
from sidlearn.learn.checkpoint import Forgetful, Progress, Store, digest
from sidlearn.registers import VOICES
from sidlearn.writes import RegisterFrames, RegisterWrites

FRAME_RATES = {50: 1, 100: 2, 200: 4}
"""Nominal frames a second -> calls of the player in one PAL frame."""

QUALITIES = ("best", "fast")

SHORTEST_SECONDS = 0.01
LONGEST_SECONDS = 3_600.0  # guess: an hour, beyond which registers alone fill the memory of a small computer
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 768_000
WORKING_RATE_HZ = 48_000  # what is faster is resampled: a SID tune holds nothing above 20 kHz that registers could set
SILENCE_PEAK = 10 ** (-80 / 20)  # guess: 80 dB below full scale, where 16-bit files keep two bits
CLIPPED_SHARE = 1e-3  # guess: this share of samples at the very peak is worth a note
TRIAL_SECONDS = 2.0  # how much of a sound decides whether a SID made it


@dataclass(frozen=True)
class Learned:
    """Registers that play a sound.

    Attributes
    ----------
    frames : RegisterFrames
    writes : RegisterWrites
        The same as a log.
    confidence : ndarray, float32, shape (frames,)
        How sure each frame is, 0 to 1; `SURE` and above means that it is what the SID played.
    report : dict
        What `--report` writes as JSON: target, settings, method, figures, notes.
    model : str
    """

    frames: RegisterFrames
    writes: RegisterWrites
    confidence: np.ndarray
    report: dict[str, Any] = field(repr=False)
    model: str = "6581"

    def render(self, sample_rate: int = 44_100, mode: str = "exact") -> np.ndarray:
        """Return the sound of the registers, see `sidlearn.render`."""
        from sidlearn.chip.sid import render

        return render(self.writes, self.model, sample_rate, mode)

    def save(self, path: str | Path) -> None:
        """Write the registers as any output that `sidlearn.save` knows: ``.bas .prg .sid .csv .wav`` and others.

        As ``.toml`` or ``.ins`` their loudest note becomes an instrument, named after the file.
        """
        from sidlearn import outputs
        from sidlearn.learn import instrument

        if instrument.is_instrument(path):
            whole = self.report.get("method") != "decode"
            note = instrument.note_of(self.frames, Path(path).stem, self.model, whole)
            instrument.save(note, in_folder(path))
            return
        outputs.save(self.writes, path, self.model)

    def plot(self, ax: Any = None) -> Any:
        """Draw the registers over time and how sure they are; return matplotlib's axes."""
        from sidlearn import notebook

        return notebook.plot_learned(self, ax)

    def _repr_html_(self) -> str:
        from sidlearn import notebook

        return notebook.learned_html(self)


SURE = 0.5
"""Confidence from which on a decoded frame counts as sure."""


@dataclass(frozen=True)
class Target:
    """A sound as the methods get it."""

    audio: np.ndarray
    """Mono float32; a constant part stays, since a chip's own is part of its sound."""
    sample_rate: int
    notes: tuple[str, ...]
    """What the user should know about the sound."""


@dataclass(frozen=True)
class Settings:
    """What a method is asked for."""

    model: str = "6581"
    frame_rate: int = 50
    quality: str = "best"
    seed: int = 0
    voices: int = VOICES


@dataclass(frozen=True)
class Outcome:
    """What a method has found."""

    frames: RegisterFrames
    confidence: np.ndarray
    facts: dict[str, Any]
    writes: RegisterWrites | None = None
    """Where they are known better than by frames."""


Method = Callable[[Target, Settings, Store, Progress], Outcome]


def _decode(target: Target, settings: Settings, store: Store, progress: Progress) -> Outcome:
    from sidlearn.learn.decode import decode

    found = decode(
        target.audio,
        target.sample_rate,
        model=settings.model,
        frame_rate=settings.frame_rate,
        progress=progress,
        checkpoint=store,
    )
    facts = {
        "locked": bool(found.locked),
        "residual_db": round(float(found.residual_db), 2),
        "start_s": round(float(found.start_s), 6),
        "gain": round(float(found.gain), 6),
        "clock_ppm": round(float(found.clock_ppm), 1),
        "sure_share": round(float(np.mean(found.confidence >= SURE)), 4) if len(found.confidence) else 0.0,
    }
    return Outcome(found.frames, found.confidence, facts, found.writes)


def _pursue(target: Target, settings: Settings, store: Store, progress: Progress) -> Outcome:
    from sidlearn.learn.pursue import pursue

    found = pursue(
        target.audio,
        target.sample_rate,
        model=settings.model,
        frame_rate=settings.frame_rate,
        quality=settings.quality,
        seed=settings.seed,
        voices=settings.voices,
        progress=progress,
        checkpoint=store,
    )
    return Outcome(found.frames, found.confidence, {})


METHODS: dict[str, Method] = {"decode": _decode, "pursue": _pursue}
"""Name -> how registers are found: `decode` for sound that a SID made, `pursue` for any other."""

AUTO = "auto"


def learn(
    audio: np.ndarray,
    sample_rate: int,
    *,
    frame_rate: int = 50,
    method: str = AUTO,
    model: str = "6581",
    quality: str = "best",
    seed: int = 0,
    voices: int = VOICES,
    checkpoint: Store | None = None,
    progress: Progress | None = None,
) -> Learned:
    """Return the registers with which a SID plays a sound.

    Parameters
    ----------
    audio : array_like, shape (samples,) or (samples, 2)
        Stereo is taken as the mean of both sides.
    sample_rate : int
        In Hz, 8 000 to 768 000.
    frame_rate : int
        50, 100 or 200 register frames a second (once, twice, four times in a PAL frame of 19 656 cycles).
    method : str
        ``decode`` for sound that a SID made, ``pursue`` for any other; ``auto`` tries to decode the first seconds.
    model : str
        The chip that is to play it, a name from ``chip.models()``.
    quality : str
        ``best``, or ``fast`` for less search.
    seed : int
        Equal seeds give equal bytes.
    voices : int
        How many voices any sound may use, 1 to 3; sound that a SID made has those that it has.
    checkpoint : Store, optional
        Where finished stages are kept, see `learn.checkpoint.Checkpoint`.
    progress : callable, optional
        Called with the share done, 0 to 1, and what is being done.

    Raises
    ------
    AudioError, LearnError, ModelError
        If sound or settings cannot be used.

    Examples
    --------
    >>> import numpy as np, sidlearn
    >>> sidlearn.learn.learn(np.zeros(44_100), 44_100)
    Traceback (most recent call last):
        ...
    sidlearn.errors.LearnError: the sound is silent: nothing to learn
    """
    settings = check_settings(Settings(model, frame_rate, quality, seed, voices), method)
    target = prepare(audio, sample_rate)
    store, tell = checkpoint or Forgetful(), progress or _silent
    name, outcome = _find(target, settings, method, store, tell)
    writes = outcome.frames.writes() if outcome.writes is None else outcome.writes
    report = {
        "sidlearn": __version__,
        "target": {"seconds": round(len(target.audio) / target.sample_rate, 4), "sample_rate": target.sample_rate},
        "settings": {
            "model": model,
            "frame_rate": frame_rate,
            "method": method,
            "quality": quality,
            "seed": seed,
            "voices": voices,
        },
        "method": name,
        "frames": len(outcome.frames),
        "writes": len(writes),
        "writes_per_second": round(len(writes) / max(writes.seconds, 1e-9), 1),
        **outcome.facts,
        "notes": list(target.notes),
    }
    return Learned(outcome.frames, writes, np.asarray(outcome.confidence, np.float32), report, model)


def _silent(done: float, what: str) -> None:
    pass


def _find(target: Target, settings: Settings, method: str, store: Store, progress: Progress) -> tuple[str, Outcome]:
    """Return the method that was used and what it found, which is kept for outputs that could not be written."""
    kept = store.get("outcome")
    if kept is not None:
        frames = RegisterFrames(kept["values"], frame_cycles(settings.frame_rate))
        return str(kept["method"]), Outcome(frames, kept["confidence"], json.loads(str(kept["facts"])))
    name = method if method != AUTO else _choose(target, settings, store, progress)
    outcome = METHODS[name](target, settings, store, progress)
    if method == AUTO and name == "decode" and not outcome.facts["locked"]:
        name, outcome = "pursue", METHODS["pursue"](target, settings, store, progress)
    facts = json.dumps(outcome.facts)
    store.put("outcome", values=outcome.frames.values, confidence=outcome.confidence, method=name, facts=facts)
    return name, outcome


def key(audio: np.ndarray, settings: Settings, method: str) -> dict[str, Any]:
    """Return what a checkpoint has to agree with."""
    return {
        "target": digest(audio),
        "model": settings.model,
        "frame_rate": settings.frame_rate,
        "method": method,
        "quality": settings.quality,
        "seed": settings.seed,
        "voices": settings.voices,
        "version": __version__,
    }


def check_settings(settings: Settings, method: str = AUTO) -> Settings:
    """Return the settings if the learner can work with them.

    Raises
    ------
    LearnError, ModelError
        If not.
    """
    models.check_name(settings.model)
    known = (AUTO, *METHODS)
    if method not in known:
        raise LearnError(f"method {method!r}: expected {one_of(known)}{nearest(method, known)}")
    if settings.frame_rate not in FRAME_RATES:
        raise LearnError(f"frame rate {settings.frame_rate!r}: expected {one_of(FRAME_RATES)} frames a second")
    if settings.quality not in QUALITIES:
        raise LearnError(f"quality {settings.quality!r}: expected {one_of(QUALITIES)}")
    if isinstance(settings.seed, bool) or not isinstance(settings.seed, int) or not 0 <= settings.seed < 1 << 32:
        raise LearnError(f"seed {settings.seed!r}: expected a whole number from 0 to 4294967295")
    if isinstance(settings.voices, bool) or settings.voices not in range(1, VOICES + 1):
        raise LearnError(f"voices {settings.voices!r}: expected 1 to {VOICES}")
    return settings


def prepare(sound: np.ndarray, sample_rate: int) -> Target:
    """Return a sound as the methods need it: mono, at a rate that they can take.

    Raises
    ------
    AudioError, LearnError
        If it cannot be learned from.
    """
    samples = audio.check(sound)
    if samples.ndim == 2:
        samples = samples.mean(axis=1, dtype=np.float32)
    if not isinstance(sample_rate, (int, float, np.integer)) or not LOWEST_RATE_HZ <= sample_rate <= HIGHEST_RATE_HZ:
        raise LearnError(f"sample rate {sample_rate!r}: expected {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz")
    seconds = len(samples) / sample_rate
    if seconds < SHORTEST_SECONDS:
        raise LearnError(f"expected at least {SHORTEST_SECONDS} s of sound, given {seconds:.4f} s")
    if seconds > LONGEST_SECONDS:
        raise LearnError(f"expected at most {LONGEST_SECONDS:.0f} s of sound, given {seconds:.0f} s")
    notes = []
    peak = float(np.abs(samples).max())
    if np.ptp(samples) < SILENCE_PEAK:
        raise LearnError("the sound is silent: nothing to learn")
    if np.mean(np.abs(samples) >= peak * (1 - 1e-6)) > CLIPPED_SHARE:
        notes.append("the sound is clipped: its loudest parts are lost")
    rate = int(sample_rate)
    if rate > WORKING_RATE_HZ:
        import soxr

        samples = soxr.resample(samples, rate, WORKING_RATE_HZ, "VHQ").astype(np.float32)
        notes.append(f"resampled from {rate} to {WORKING_RATE_HZ} Hz")
        rate = WORKING_RATE_HZ
    elif rate < 16_000:
        notes.append(f"a sample rate of {rate} Hz: nothing above {rate // 2} Hz can be learned")
    return Target(samples, rate, tuple(notes))


def _choose(target: Target, settings: Settings, store: Store, progress: Progress) -> str:
    """Return the method for a sound: whether its first seconds can be decoded, if a SID can have made them."""
    kept = store.get("method")
    if kept is not None:
        return str(kept["name"])
    from sidlearn.learn.decode import decode

    sounding = np.abs(target.audio - np.median(target.audio)) > 0.02 * np.ptp(target.audio)
    first = int(np.argmax(sounding))
    end = first + math.ceil(TRIAL_SECONDS * target.sample_rate)
    trial = decode(
        target.audio[:end],
        target.sample_rate,
        model=settings.model,
        frame_rate=settings.frame_rate,
        progress=lambda done, what: progress(0.05 * done, "is it a SID?"),
    )
    name = "decode" if trial.locked else "pursue"
    store.put("method", name=np.str_(name))
    return name


def frame_cycles(frame_rate: int) -> int:
    """Return the chip cycles of one frame."""
    return clock.PAL.frame_cycles // FRAME_RATES[frame_rate]
