"""The loop that plays a source aloud: run it a little ahead of the speakers, show where it is, stop at once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sidlearn import clock, registers
from sidlearn.chip import mix
from sidlearn.config import Config
from sidlearn.play.speaker import Speaker
from sidlearn.terminal import Progress, colour

if TYPE_CHECKING:
    from sidlearn.chip.sid import SID

NAMES = ("C-", "C#", "D-", "D#", "E-", "F-", "F#", "G-", "G#", "A-", "A#", "B-")
WAVEFORMS = (
    (registers.NOISE, "noise"),
    (registers.PULSE, "pulse"),
    (registers.SAWTOOTH, "saw"),
    (registers.TRIANGLE, "tri"),
)
VOICE_COLOURS = ("92", "96", "95")

RETURN = 13
POLL_SECONDS = 0.01
"""How often the loop looks at the queue."""


class Source(Protocol):
    """What the player needs of a `sidlearn.sources.Performance`."""

    clock_hz: int
    sids: int

    @property
    def ended(self) -> bool:
        """Whether all has been played."""

    def advance(self, until_cycle: int) -> np.ndarray:
        """Play on and return the new writes."""

    def printed(self) -> bytes:
        """Return what a program has printed since the last call."""


class Chips:
    """The one to three SIDs that a source writes to, mixed to one signal, or to two if there are several."""

    def __init__(self, source: Source, settings: Config) -> None:
        from sidlearn.chip.sid import SID

        chip = settings.chip
        self.sids: list[SID] = [
            SID(chip.model, settings.audio.rate, source.clock_hz, chip.mode, chip.profile) for _ in range(source.sids)
        ]

    def clock(self, events: np.ndarray, until_cycle: int) -> np.ndarray:
        """Return the sound up to `until_cycle`, with `events` acting on the way."""
        for cycle, register, value in events.tolist():
            self.sids[register // registers.MIRROR].poke(cycle, register % registers.MIRROR, value)
        return mix.of_tune([sid.clock(until_cycle - sid.cycle) for sid in self.sids])

    @property
    def channels(self) -> int:
        """Of the sound."""
        return 1 if len(self.sids) == 1 else 2

    @property
    def sounding(self) -> bool:
        """Whether any envelope is above zero."""
        return any(sid.sounding for sid in self.sids)


def play(
    source: Source,
    settings: Config,
    seconds: float | None = None,
    printed: Callable[[bytes], None] = lambda _: None,
    started: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
    fade_seconds: float = 0.0,
) -> bool:
    """Play a source aloud to its end and until its last note has died away.

    Parameters
    ----------
    source : Source
    settings : Config
    seconds : float, optional
        Where to stop; without it ``machine.seconds``.
    printed : callable
        Takes what the program prints, as it prints it.
    started : callable
        Called once, when the first sound goes to the speakers.
    stopped : callable
        Asked all the time; True ends the sound at once.
    fade_seconds : float
        How long the sound fades before the end, where that is known beforehand: at `seconds` or the source's
        ``length_cycles``.

    Returns
    -------
    cut : bool
        Whether the source was stopped at the limit.

    Raises
    ------
    DeviceError
        If there is no sound device.
    """
    audio = settings.audio
    limit = clock.seconds_to_cycles(settings.machine.seconds if seconds is None else seconds, source.clock_hz)
    step = source.clock_hz // 25
    ahead = audio.ahead_ms * audio.rate // 1000
    chips = Chips(source, settings)
    with Speaker(audio.rate, audio.block, chips.channels) as speaker, Progress() as progress:
        meter = Meter(source.clock_hz, seconds)
        cycle, sent, running = 0, 0, False
        tail_end = None
        fade = Fade(source, limit if seconds is not None else None, fade_seconds)
        while not stopped():
            while speaker.queued < ahead and cycle < limit and (tail_end is None or cycle < tail_end):
                cycle = min(cycle + step, limit)
                events = source.advance(cycle)
                sound = fade.apply(chips.clock(events, cycle), cycle)
                speaker.write(sound)
                sent += len(sound)
                meter.note(events)
                printed_now = source.printed()
                if printed_now:
                    progress.clear()
                    printed(printed_now)
                    progress.held = printed_now[-1] != RETURN
                if source.ended:
                    tail_end = tail_end or cycle + clock.seconds_to_cycles(audio.tail_seconds, source.clock_hz)
                    if not chips.sounding or getattr(source, "cut_short", False):
                        tail_end = cycle
            finished = cycle >= limit or (tail_end is not None and cycle >= tail_end)
            if not running and (finished or speaker.queued >= ahead):
                speaker.start()
                started()
                running = True
            progress.show(meter.line((sent - speaker.queued) / audio.rate))
            if finished and not speaker.queued:
                time.sleep(2 * audio.block / audio.rate)  # what the device holds past the queue
                return not source.ended
            time.sleep(POLL_SECONDS)
    return False


class Fade:
    """Takes the sound down to nothing before an end that is known."""

    def __init__(self, source: Source, limit: int | None, seconds: float) -> None:
        ends = [end for end in (limit, getattr(source, "length_cycles", None)) if end is not None]
        self._cycles = clock.seconds_to_cycles(seconds, source.clock_hz) if ends else 0
        self._end = min(ends, default=0)
        self._gain = 1.0

    def apply(self, sound: np.ndarray, until_cycle: int) -> np.ndarray:
        """Return the sound up to `until_cycle` with its share of the fade."""
        if not self._cycles:
            return sound
        before, self._gain = self._gain, min(max((self._end - until_cycle) / self._cycles, 0.0), 1.0)
        if before == self._gain == 1:
            return sound
        return (sound.T * np.linspace(before, self._gain, len(sound), dtype=np.float32)).T


class Meter:
    """The progress line: the time, and what each voice plays at that time."""

    def __init__(self, clock_hz: int, seconds: float | None) -> None:
        self._clock_hz = clock_hz
        self._seconds = seconds
        self._image = [0] * registers.WRITABLE
        self._waiting: list[tuple[int, int, int]] = []

    def note(self, events: np.ndarray) -> None:
        """Take writes that have been sent on but not been heard yet."""
        self._waiting += [e for e in events.tolist() if e[1] < registers.WRITABLE]

    def line(self, heard_seconds: float) -> str:
        """Return the line for the moment that is heard now."""
        heard = heard_seconds * self._clock_hz
        count = 0
        for cycle, register, value in self._waiting:
            if cycle > heard:
                break
            self._image[register] = value
            count += 1
        del self._waiting[:count]
        total = f" / {minutes(self._seconds)}" if self._seconds else ""
        voices = "  ".join(colour(f"{v + 1} {self._voice(v)}", VOICE_COLOURS[v]) for v in range(registers.VOICES))
        return f"{minutes(heard_seconds)}{total}  {voices}"

    def _voice(self, voice: int) -> str:
        image = self._image[voice * registers.VOICE_STRIDE :]
        control = image[registers.CONTROL]
        if not control & registers.GATE:
            return f"{'-':<9}"
        freq = image[registers.FREQ_LO] | image[registers.FREQ_HI] << 8
        waves = "+".join(name for bit, name in WAVEFORMS if control & bit) or "none"
        return f"{note_name(clock.freq_to_hz(freq, self._clock_hz))} {waves:<5}"


def note_name(hz: float) -> str:
    """Return the nearest note of the tempered scale (A-4 is 440 Hz), such as ``C#5``."""
    if hz <= 0:
        return "---"
    semitone = round(12 * np.log2(hz / 440)) + 57
    return f"{NAMES[semitone % 12]}{semitone // 12}" if semitone >= 0 else "---"


def minutes(seconds: float) -> str:
    """Return seconds as ``m:ss.s``."""
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"
