"""From a file to register writes: `SOURCES` maps a suffix to what opens it, `load` and `perform` play it through.

Every source is a `Performance`: something that makes writes in slices of time. A log has them all beforehand, a BASIC
program makes them as it runs, so that speakers and files are served by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TextIO

import numpy as np

from sidlearn import clock
from sidlearn.config import Config
from sidlearn.errors import SourceError, nearest, one_of
from sidlearn.writes import WRITE_DTYPE, LogPort, RegisterWrites

if TYPE_CHECKING:
    from sidlearn.c64.tune import Tune
    from sidlearn.chip.sid import SID
    from sidlearn.typist import LiveKeyboard


@dataclass(frozen=True)
class Request:
    """What a user may ask of a source."""

    song: int | None = None
    """From 1; None: the one that the file begins with."""
    video: str = clock.PAL.name
    model: str = "6581"
    left_open: frozenset[str] = frozenset()
    """Names of the settings above that a source may know better."""
    until_silence: bool = True
    """Whether a tune that does not end by itself ends when it has fallen silent."""
    keys: bytes = b""
    """PETSCII keys for a program that asks for some."""
    keyboard: LiveKeyboard | None = None
    """Where a program gets keys that are typed while it runs, and its lines."""
    lines: TextIO | None = None
    """Where INPUT reads its lines from when no keys are left."""
    files: Path | None = None
    """The one folder in which a program's files are."""
    profile: str = ""
    """What makes the chip differ from its model."""
    answers: bool = True
    """Whether a chip answers a tune that is a BASIC program; without one OSC3 and ENV3 read as 0."""

    @property
    def clock_hz(self) -> int:
        """Chip cycles a second."""
        return clock.video(self.video).clock_hz


class Performance(Protocol):
    """A source at play."""

    kind: str
    clock_hz: int
    sids: int

    @property
    def cycle(self) -> int:
        """How far it has come."""

    @property
    def ended(self) -> bool:
        """Whether all has been played."""

    @property
    def error(self) -> str | None:
        """The message of a program that ended in an error."""

    def advance(self, until_cycle: int) -> np.ndarray:
        """Play on to `until_cycle` or the end; return the new writes (`WRITE_DTYPE`), those before `until_cycle`."""

    def printed(self) -> bytes:
        """Return what a program has printed since the last call, in PETSCII."""

    def facts(self) -> list[tuple[str, str]]:
        """Return what `sidlearn info` tells, as (name, text)."""


class LogPerformance:
    """A register log at play."""

    error: str | None = None

    def __init__(self, writes: RegisterWrites, kind: str) -> None:
        self.kind = kind
        self.clock_hz = writes.clock_hz
        self.sids = writes.sids
        self.cycle = 0
        self.writes = writes
        self._next = 0

    @property
    def length_cycles(self) -> int:
        """How long it lasts."""
        return self.writes.length

    @property
    def ended(self) -> bool:
        """Whether all of it has been played."""
        return self.cycle >= self.writes.length and self._next >= len(self.writes)

    def advance(self, until_cycle: int) -> np.ndarray:
        """Return the writes up to `until_cycle`."""
        events = self.writes.events
        end = int(np.searchsorted(events["cycle"], until_cycle))
        part = events[self._next : end]
        self._next = max(end, self._next)
        self.cycle = max(min(until_cycle, self.writes.length + 1), self.cycle)
        return part

    def printed(self) -> bytes:
        """Return nothing: a log does not print."""
        return b""

    def facts(self) -> list[tuple[str, str]]:
        """Return its size."""
        return [("writes", str(len(self.writes)))]


class BasicPerformance:
    """A BASIC program at play."""

    kind = "BASIC program"
    sids = 1

    def __init__(self, program: bytes, request: Request) -> None:
        from sidlearn.basic.interpreter import Interpreter

        self.program = program
        self.clock_hz = request.clock_hz
        self._port = ReadbackPort(request)
        self._keyboard = keyboard = request.keyboard
        self._interpreter = Interpreter(
            program,
            self._port,
            request.video,
            sid=self._port,
            keys=request.keys,
            lines=keyboard or request.lines,  # type: ignore[arg-type]
            typed=keyboard.typed if keyboard else None,
            files=request.files,
        )
        self._taken = 0
        self._printed = 0

    @property
    def cycle(self) -> int:
        """Where its clock stands."""
        return self._interpreter.now

    @property
    def ended(self) -> bool:
        """Whether the program has come to its end."""
        return self._interpreter.ended

    @property
    def error(self) -> str | None:
        """BASIC's own message, if it ended with one."""
        return self._interpreter.error

    def advance(self, until_cycle: int) -> np.ndarray:
        """Run to `until_cycle`. A statement is never cut, so writes past it wait for the next call."""
        if self._keyboard is None:
            self._interpreter.run(until_cycle)
        else:
            self._keyboard.run(self._interpreter, until_cycle)
        port = self._port
        end = self._taken
        while end < len(port.cycles) and port.cycles[end] < until_cycle:
            end += 1
        part = slice(self._taken, end)
        self._taken = end
        events = np.empty(part.stop - part.start, WRITE_DTYPE)
        events["cycle"], events["register"], events["value"] = (
            port.cycles[part],
            port.registers[part],
            port.values[part],
        )
        return events

    def printed(self) -> bytes:
        """Return what it has sent to the screen since the last call."""
        part = bytes(self._interpreter.screen.output[self._printed :])
        self._printed += len(part)
        return part + self._keyboard.echo() if self._keyboard else part

    def facts(self) -> list[tuple[str, str]]:
        """Return its size in lines and bytes."""
        from sidlearn.basic.image import line_numbers

        numbers = line_numbers(self.program)
        span = f"{len(numbers)} lines, {numbers[0]} to {numbers[-1]}" if numbers else "no lines"
        return [("program", f"{span}; {len(self.program) - 2} bytes")]


class TunePerformance:
    """A `.sid` tune at play: until its listed length, silence, or an end that it brings about itself."""

    def __init__(self, path: Path, request: Request, tune: Tune | None = None) -> None:
        from sidlearn.c64 import player, silence, songlengths
        from sidlearn.c64.tune import read

        self._path = path
        self.tune = tune or read(_content(path), str(path))
        self.song = request.song or self.tune.start_song
        if self.song > self.tune.songs:
            raise SourceError(f"{path}: song {self.song}: expected 1 to {self.tune.songs}")
        video = self.tune.video if "video" in request.left_open and self.tune.video else request.video
        model = self.tune.model if "model" in request.left_open and self.tune.model else request.model
        self.request = replace(request, video=video, model=model)
        self.model = model
        self.kind = "machine code" if tune else f"{self.tune.magic} tune"
        self.songs = self.tune.songs
        self.sids = len(self.tune.sid_addresses)
        self.clock_hz = self.request.clock_hz
        self.ended = False
        self._silence_cycles = silence.SECONDS * self.clock_hz
        self._listener = silence.Listener()
        self._seconds = songlengths.seconds(path, self.tune.digest, self.song)
        self._length = None if self._seconds is None else clock.seconds_to_cycles(self._seconds, self.clock_hz)
        self._port = port = LogPort() if self.tune.basic and not request.answers else ReadbackPort(self.request)
        self._player = player.open_tune(self.tune, self.song, clock.video(video), port, str(path))

    @property
    def length_cycles(self) -> int | None:
        """How long it lasts, where a list has told."""
        return self._length if self.request.until_silence else None

    @property
    def unanswered(self) -> bool:
        """Whether it has read what only a chip could have told."""
        return self._port.asked and not isinstance(self._port, ReadbackPort)

    @property
    def cycle(self) -> int:
        """How far it has come."""
        return self._player.cycle

    @property
    def error(self) -> str | None:
        """Why it has stopped by itself."""
        return self._player.error

    def advance(self, until_cycle: int) -> np.ndarray:
        """Play on to `until_cycle` or the end."""
        if self._length is not None and self.request.until_silence:
            until_cycle = min(until_cycle, self._length)
        parts = [np.empty(0, WRITE_DTYPE)]
        while not self.ended and self.cycle < until_cycle:
            parts.append(self._player.advance(min(until_cycle, self.cycle + self.clock_hz)))
            self._listener.hear(parts[-1])
            self._look_at_end()
        return np.concatenate(parts)

    @property
    def cut_short(self) -> bool:
        """Whether it has ended because its list says so: then nothing rings on."""
        return self.ended and not self._player.ended and self._length is not None and self.request.until_silence

    def _look_at_end(self) -> None:
        silent = self._player.begun and self.cycle - self._listener.last_cycle >= self._silence_cycles
        over = self._length is not None and self.cycle >= self._length
        self.ended = self._player.ended or (self.request.until_silence and (over or (silent and not self._length)))

    def printed(self) -> bytes:
        """Return what a tune that is a BASIC program has printed."""
        return self._player.printed()

    def facts(self) -> list[tuple[str, str]]:
        """Return what its header and the user's STIL.txt tell."""
        from sidlearn.c64 import stil

        if self.kind == "machine code":
            return [("program", f"SYS {self.tune.init_address}; {len(self.tune.data)} bytes")]
        rows = [*self.tune.facts(), ("song", str(self.song))]
        if self._seconds is not None:
            rows.append(("listed length", f"{self._seconds:.3f} s"))
        return rows + stil.facts(self._path, self.song)


class ReadbackPort(LogPort):
    """A log that answers PEEKs of OSC3, ENV3 and the paddles from a chip, which exists from the first such PEEK on."""

    def __init__(self, request: Request) -> None:
        super().__init__()
        self._request = request
        self._chip: SID | None = None
        self._fed = 0

    def peek(self, cycle: int, register: int) -> int:
        """Return what the chip answers after `cycle` cycles of these writes."""
        from sidlearn.chip.sid import SID

        if self._chip is None:
            self._chip = SID(self._request.model, clock_hz=self._request.clock_hz, profile=self._request.profile)
        for i in range(self._fed, len(self.cycles)):
            self._chip.poke(self.cycles[i], self.registers[i], self.values[i])
        self._fed = len(self.cycles)
        return self._chip.peek(cycle, register)


def _open_text(path: Path, request: Request) -> Performance:
    """A listing, or what siddump has printed."""
    from sidlearn.export import siddump

    file, member = split_member(path)
    if member is None and siddump.looks_like(_content(file)[:4096].decode("latin-1")):
        return _open_siddump(path, request)
    return _open_listing(path, request)


def _open_siddump(path: Path, request: Request) -> Performance:
    from sidlearn.export import siddump

    return LogPerformance(siddump.read(_text(path), str(path), request.clock_hz), "siddump table")


def _open_listing(path: Path, request: Request) -> Performance:
    from sidlearn.basic.listing import read_program

    return BasicPerformance(read_program(path), request)


def _open_program(path: Path, request: Request) -> Performance:
    """A program of one line with SYS has the whole machine to itself; others are BASIC's."""
    from sidlearn.basic.listing import read_program
    from sidlearn.c64.player import machine_code

    program = read_program(path)
    code = machine_code(program)
    return BasicPerformance(program, request) if code is None else TunePerformance(path, request, code)


def _open_csv(path: Path, request: Request) -> Performance:
    from sidlearn.export import csv_log

    return LogPerformance(csv_log.read(_text(path), str(path), request.clock_hz), "register log")


def _open_dump(path: Path, request: Request) -> Performance:
    from sidlearn.export import vice_dump

    return LogPerformance(vice_dump.read(_text(path), str(path), request.clock_hz), "VICE sound dump")


def _open_song(path: Path, request: Request) -> Performance:
    from sidlearn.config import load as load_config
    from sidlearn.midi import instruments
    from sidlearn.midi.song import SongPerformance

    patches = [name.strip() for name in load_config().midi.patches.split(",") if name.strip()]
    return SongPerformance(path, request.clock_hz, instruments.bank(patches))


SOURCES: dict[str, Callable[[Path, Request], Performance]] = {
    ".sid": TunePerformance,
    ".bas": _open_listing,
    ".tok64": _open_listing,
    ".txt": _open_text,
    ".prg": _open_program,
    ".p00": _open_program,
    ".d64": _open_program,
    ".t64": _open_program,
    ".mid": _open_song,
    ".midi": _open_song,
    ".csv": _open_csv,
    ".dump": _open_dump,
    ".siddump": _open_siddump,
}
"""Suffix -> function that opens such a file."""

NOT_PLAYED = dict.fromkeys((".mus", ".str"), "a song for Compute!'s Sidplayer is not played without its player")
"""Suffix -> why such a file is refused."""

CONTAINERS = (".d64", ".t64", ".tok64", ".bas", ".txt")
"""Files that may hold several programs: ``disk.d64:NAME`` chooses one."""


def split_member(path: str | Path) -> tuple[Path, str | None]:
    """Return file and member of ``disk.d64:NAME`` or ``songs.tok64:NAME``; the member is None for a plain path."""
    match = re.fullmatch(rf"(.+(?:{'|'.join(map(re.escape, CONTAINERS))})):(.+)", str(path), re.IGNORECASE)
    if match is None or Path(path).exists():
        return Path(path), None
    return Path(match[1]), match[2]


def open_source(path: str | Path, request: Request | None = None) -> Performance:
    """Return the performance of a file.

    Raises
    ------
    SourceError
        If it is missing or of an unknown kind; what it holds may raise other errors of the family.
    """
    request = request or Request()
    check_exists(path)
    suffix = split_member(path)[0].suffix.lower()
    if suffix in NOT_PLAYED:
        raise SourceError(f"{path}: {NOT_PLAYED[suffix]}: expected a .sid that holds both")
    if suffix not in SOURCES:
        given = f"ends in {suffix!r}" if suffix else "has no suffix"
        raise SourceError(f"{path}: {given}, expected {one_of(SOURCES)}{nearest(suffix, SOURCES)}")
    if request.song not in (None, 1) and suffix != ".sid":
        raise SourceError(f"{path}: song {request.song}: this kind of file holds one song")
    return SOURCES[suffix](Path(path), request)


def check_exists(path: str | Path) -> None:
    """Say so if there is no such file, and what the nearest name is.

    Raises
    ------
    SourceError
        If it is missing or a folder.
    """
    file, _ = split_member(path)
    if file.is_dir():
        raise SourceError(f"{path}: expected a file, this is a folder")
    if not file.exists():
        near = nearest(file.name, [p.name for p in file.parent.iterdir()]) if file.parent.is_dir() else ""
        raise SourceError(f"{path}: no such file{near}")


@dataclass(frozen=True)
class Result:
    """A source played through."""

    writes: RegisterWrites
    printed: bytes
    error: str | None
    cut: bool
    """Whether it was stopped at the time limit."""


def perform(
    performance: Performance, request: Request, seconds: float | None = None, config: Config | None = None
) -> Result:
    """Play a source through and return what it wrote.

    Parameters
    ----------
    performance : Performance
    request : Request
    seconds : float, optional
        The length of a log; where a program is stopped at the latest. Without it a program is stopped after
        ``machine.seconds`` of its own time, and sound goes on after the last write until the chip is silent,
        ``audio.tail_seconds`` at the most.
    """
    config = config or Config()
    hz = performance.clock_hz
    limit = clock.seconds_to_cycles(config.machine.seconds if seconds is None else seconds, hz)
    if isinstance(performance, LogPerformance):
        log = performance.writes
        writes = log if seconds is None else RegisterWrites(log.cut(limit).events, limit, hz)
        printed, cut = b"", False
    else:
        writes, printed = _run(performance, limit)
        cut = not performance.ended
    rings_on = not (cut or getattr(performance, "cut_short", False))
    if rings_on and (writes.length < limit or seconds is None):
        most = clock.seconds_to_cycles(config.audio.tail_seconds, hz)
        if seconds is not None:
            most = min(most, limit - writes.length)
        writes = RegisterWrites(writes.events, writes.length + release_cycles(writes, request.model, most), hz)
    return Result(writes, printed, performance.error, cut)


def _run(performance: Performance, limit: int) -> tuple[RegisterWrites, bytes]:
    """Run a program to its end or to `limit`; return its writes and what it printed."""
    parts, printed = [np.empty(0, WRITE_DTYPE)], []
    while not performance.ended and performance.cycle < limit:
        parts.append(performance.advance(limit))
        printed.append(performance.printed())
    told = getattr(performance, "length_cycles", None)
    end = min(performance.cycle, limit, *([told] if told else []))
    writes = RegisterWrites(np.concatenate(parts), end, performance.clock_hz)
    return writes, b"".join(printed)


def release_cycles(writes: RegisterWrites, model: str, limit: int) -> int:
    """Return for how many cycles after its end a log still sounds, `limit` at the most."""
    from sidlearn.chip import sounding_cycles

    if not len(writes) or limit <= 0:
        return 0
    return max(sounding_cycles(writes.sid(n) if writes.sids > 1 else writes, model, limit) for n in range(writes.sids))


def load(
    path: str | Path,
    song: int | None = None,
    seconds: float | None = None,
    video: str | None = None,
    model: str | None = None,
) -> RegisterWrites:
    """Return the register writes of any source.

    Parameters
    ----------
    path : str or Path
        ``.bas .tok64 .txt`` listings, ``.prg .p00``, ``disk.d64:NAME``, ``.sid`` tunes, register logs ``.csv .dump``.
    song : int, optional
        Counted from 1, for files that hold several; without it the one that the file begins with.
    seconds : float, optional
        The length of a log; the most of a program's own time.
    video : str, optional
        ``pal`` or ``ntsc``: the clock; without it what a tune was written for, else ``pal``.
    model : str, optional
        The chip that answers the PEEKs of a program; without it what a tune was written for, else ``6581``. A tune that
        is a BASIC program reads 0 unless it is named, as in `basic.run` without a SID: what it writes is then the same
        on every chip.

    Raises
    ------
    SourceError, ListingError, WritesError
        If the file cannot be used.
    """
    left_open = frozenset(name for name, value in (("video", video), ("model", model)) if value is None)
    request = Request(
        song, video or clock.PAL.name, model or "6581", left_open, seconds is None, answers=model is not None
    )
    return perform(open_source(path, request), request, seconds).writes


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SourceError(f"{path}: expected a text file, this is binary") from None
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
