"""A source at play in the window: `sidlearn run SOURCE --window`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from sidlearn import clock
from sidlearn.config import Config
from sidlearn.errors import OutputError
from sidlearn.play.desk import Knob
from sidlearn.play.live import AT_ONCE, SOURCE_LANE, Engine
from sidlearn.play.player import Source
from sidlearn.play.record import FOREVER

LOOK_SECONDS = 0.1
"""How often the device is looked after."""


class SourceDesk:
    """A program or tune as the window sees it, see `sidlearn.play.desk.Desk`: its registers can be watched and POKEd.

    `feed` is to be called some times a second: it plays the source on, a little ahead of the speakers.
    """

    knobs: Sequence[Knob] = ()
    instruments: Sequence[str] = ()
    instrument = -1

    def __init__(self, source: Source, engine: Engine, settings: Config, title: str, seconds: float | None) -> None:
        self.title, self.model = title, settings.chip.model
        self.engine, self.record = engine, engine.records
        self._source = source
        hz = source.clock_hz
        self._limit = clock.seconds_to_cycles(settings.machine.seconds if seconds is None else seconds, hz)
        self._ahead = clock.seconds_to_cycles(settings.audio.ahead_ms / 1000, hz)
        self._tail = clock.seconds_to_cycles(settings.audio.tail_seconds, hz)
        self._cycle = 0
        self._end: int | None = None
        engine.record.horizon = 0

    @property
    def latency_ms(self) -> float:
        """From a POKE to the speakers."""
        return self.engine.latency_ms

    @property
    def over(self) -> bool:
        """Whether all has been heard: up to the limit, or the end of the source and its last note."""
        cycle = self.engine.cycle
        if self._end is None or cycle >= self._limit:
            return cycle >= self._limit
        return cycle >= self._end - self._tail and (cycle >= self._end or not self._sounding)

    @property
    def _sounding(self) -> bool:
        return bool(self.record[0]["voices"]["envelope_counter"][: self._source.sids].any())

    @property
    def cut(self) -> bool:
        """Whether the source goes on past the limit."""
        return not self._source.ended

    def feed(self) -> bytes:
        """Play the source on to a little ahead of what is heard; return what it has printed."""
        until = min(self.engine.cycle + self._ahead, self._limit)
        if until <= self._cycle:
            return b""
        events = self._source.advance(until)
        self._cycle = until
        if len(events):
            self.engine.write(events, SOURCE_LANE)
        if self._source.ended and self._end is None:
            self._end = until + self._tail
        self.engine.record.horizon = until if until < self._limit else FOREVER  # the last block is to be whole
        return self._source.printed()

    def poke(self, register: int, value: int) -> None:
        """Write a register of the first SID as soon as it can be."""
        self.engine.poke(AT_ONCE, register, value)

    def key(self, note: int, velocity: int) -> None:
        """Do nothing: what plays has its notes from a program."""

    def sounding(self) -> dict[int, int]:
        """Return nothing: the window reads the notes off the registers."""
        return {}

    def choose(self, instrument: int) -> None:
        """Do nothing: there is none to take."""

    def save(self) -> str:
        """Say that there is no instrument.

        Raises
        ------
        OutputError
            Always.
        """
        raise OutputError("a program plays: there is no instrument to save")

    def pause(self) -> None:
        """Stop the time of the chip, and with it the program's, or let it go on."""
        if self.engine.record.running:
            self.engine.hold()
        else:
            self.engine.run()


def play_in_window(
    source: Source,
    settings: Config,
    title: str,
    seconds: float | None = None,
    printed: Callable[[bytes], None] = lambda _: None,
    started: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
    host: str = "sdl",
) -> bool:
    """Play a source aloud with the window open, to its end or until the window is closed.

    Parameters
    ----------
    source, settings, seconds, printed, started, stopped
        As in `sidlearn.play.player.play`.
    title : str
        Stands at the top of the window.
    host : str
        A name of `sidlearn.play.hosts.HOSTS`.

    Returns
    -------
    cut : bool
        Whether the source was stopped at the limit.

    Raises
    ------
    DeviceError
        If there is no sound device or no display.
    """
    from sidlearn.play.window import Window
    from sidlearn.terminal import note

    chip, audio = settings.chip, settings.audio
    engine = Engine(chip.model, audio.rate, source.clock_hz, chip.mode, source.sids, scopes=True)
    desk = SourceDesk(source, engine, settings, title, seconds)
    window = Window(desk)
    looked = time.monotonic()

    def going() -> bool:
        nonlocal looked
        output = desk.feed()
        if output:
            printed(output)
        if time.monotonic() - looked > LOOK_SECONDS:
            looked = time.monotonic()
            told = engine.watch()
            if told:
                note(told)
        return not (desk.over or stopped())

    with engine:
        try:
            desk.feed()
            engine.open(host)
            started()
            window.run(going)
        finally:
            if window.open:
                window.close()
    return desk.over and desk.cut
