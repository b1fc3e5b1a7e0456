"""Rich displays for notebooks: sounds, register writes and learned results with a player and a picture, and plots.

Jupyter asks an object for ``_repr_html_``; the types of the package answer with what stands here. `listen` gives any
sound such a face. Plots need matplotlib (``pip install 'sidlearn[plot]'``) and return its axes.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from sidlearn import registers
from sidlearn.errors import SidlearnError

if TYPE_CHECKING:
    from sidlearn.learn.learner import Learned
    from sidlearn.writes import RegisterFrames, RegisterWrites

SECONDS_SHOWN = 60.0
"""How much of a log is played in a notebook: a longer one makes the page heavy."""

DISPLAY_RATE = 44_100


@dataclass(frozen=True)
class Clip:
    """A sound that a notebook shows and plays.

    Attributes
    ----------
    audio : ndarray, float32, shape (samples,) or (samples, 2)
    sample_rate : int
    """

    audio: np.ndarray
    sample_rate: int

    def _repr_html_(self) -> str:
        from sidlearn.pictures import picture, player, spectrogram

        mono = self.audio if self.audio.ndim == 1 else self.audio.mean(axis=1)
        seconds = len(mono) / self.sample_rate
        caption = f"<div>{seconds:.2f} s at {self.sample_rate} Hz</div>"
        return player(self.audio, self.sample_rate) + picture(spectrogram(mono, self.sample_rate)) + caption

    def plot(self, ax: Any = None) -> Any:
        """Draw the spectrogram; return matplotlib's axes."""
        from sidlearn.pictures import HIGHEST_HZ, LOWEST_HZ, spectrogram

        mono = self.audio if self.audio.ndim == 1 else self.audio.mean(axis=1)
        ax = _axes(ax)
        top = min(HIGHEST_HZ, self.sample_rate / 2)
        seconds = np.linspace(0, len(mono) / self.sample_rate, 1201)
        levels = spectrogram(mono, self.sample_rate)[::-1]
        ax.pcolormesh(seconds, np.geomspace(LOWEST_HZ, top, len(levels) + 1), levels, shading="flat", rasterized=True)
        ax.set_yscale("log")
        ax.set_xlabel("seconds")
        ax.set_ylabel("Hz")
        return ax


def listen(sound: Any, sample_rate: int = DISPLAY_RATE, model: str = "6581") -> Clip:
    """Return a sound with a face for notebooks.

    Parameters
    ----------
    sound : array_like, RegisterWrites, RegisterFrames or Learned
        Registers are played on the chip first.
    sample_rate : int
        Of the array, or to play registers at.
    model : str
        The chip for register writes; a learned result has its own.

    Examples
    --------
    >>> import sidlearn
    >>> clip = sidlearn.listen([0.0, 0.5, 0.0], 8_000)
    >>> "audio/flac" in clip._repr_html_()
    True
    """
    from sidlearn import audio
    from sidlearn.chip.sid import render
    from sidlearn.writes import RegisterFrames, RegisterWrites

    if hasattr(sound, "writes") and hasattr(sound, "model"):  # Learned
        sound, model = sound.writes, sound.model
    if isinstance(sound, RegisterFrames):
        sound = sound.writes()
    if isinstance(sound, RegisterWrites):
        sound = render(sound, model, sample_rate)
    return Clip(audio.check(sound), sample_rate)


def writes_html(writes: RegisterWrites) -> str:
    """Return a log for a notebook: what it holds, how it sounds on a 6581, its registers over time."""
    from sidlearn.clock import seconds_to_cycles
    from sidlearn.pictures import lanes

    shown = writes.cut(min(writes.length, seconds_to_cycles(SECONDS_SHOWN, writes.clock_hz)))
    cut = "" if shown.length == writes.length else f", the first {SECONDS_SHOWN:.0f} s are shown"
    many = f" to {writes.sids} SIDs" if writes.sids > 1 else ""
    head = f"<div>{writes.seconds:.2f} s, {len(writes)} writes{many} at {writes.clock_hz} Hz{cut}</div>"
    return head + _sound_of(shown, "6581") + lanes(shown.frames())


def frames_html(frames: RegisterFrames) -> str:
    """Return register frames for a notebook."""
    from sidlearn.pictures import lanes

    head = f"<div>{len(frames)} frames of {frames.frame_cycles} cycles, {frames.frame_rate:.2f} a second</div>"
    return head + _sound_of(frames.writes(), "6581") + lanes(frames)


def learned_html(learned: Learned) -> str:
    """Return a learned result for a notebook: one sentence, its sound, how sure it is, its registers."""
    from sidlearn.learn.report import summary
    from sidlearn.pictures import LANE_ROWS, WIDTH, lanes, picture, stretch

    sure = picture(stretch(np.asarray(learned.confidence)[None, :], LANE_ROWS, WIDTH))
    head = f"<div>{html.escape(summary(learned.report))}</div>"
    return f"{head}{_sound_of(learned.writes, learned.model)}<div>how sure</div>{sure}{lanes(learned.frames)}"


def _sound_of(writes: RegisterWrites, model: str) -> str:
    from sidlearn.chip.sid import render
    from sidlearn.pictures import player

    if not writes.length:
        return "<div>no sound: a length of 0</div>"
    return player(render(writes, model, DISPLAY_RATE, "fast"), DISPLAY_RATE)


def plot_frames(frames: RegisterFrames, ax: Any = None) -> Any:
    """Draw the registers over time, bright for high values; return matplotlib's axes."""
    ax = _axes(ax)
    seconds = np.arange(len(frames) + 1) / frames.frame_rate
    ax.pcolormesh(seconds, np.arange(registers.WRITABLE + 1) - 0.5, frames.values.T, vmin=0, vmax=255, rasterized=True)
    ax.set_yticks(range(registers.WRITABLE), [r.name for r in registers.REGISTERS[: registers.WRITABLE]], fontsize=7)
    ax.invert_yaxis()
    ax.set_xlabel("seconds")
    return ax


def plot_learned(learned: Learned, ax: Any = None) -> Any:
    """Draw the registers with a line for how sure each frame is; return matplotlib's axes."""
    ax = plot_frames(learned.frames, ax)
    seconds = np.arange(len(learned.frames)) / learned.frames.frame_rate
    sure = ax.twinx()
    sure.plot(seconds, learned.confidence, color="white", linewidth=0.8)
    sure.set_ylim(0, 1)
    sure.set_ylabel("how sure")
    return ax


def _axes(ax: Any) -> Any:
    if ax is not None:
        return ax
    try:
        from matplotlib import pyplot
    except ImportError:
        raise SidlearnError("plot: expected matplotlib, which is not installed: pip install 'sidlearn[plot]'") from None
    return pyplot.subplots()[1]
