"""Register writes: the one currency between everything that makes, plays, stores or shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from sidlearn import clock, registers
from sidlearn.errors import WritesError

WRITE_DTYPE = np.dtype([("cycle", "i8"), ("register", "u1"), ("value", "u1")])
"""One write: it acts before chip cycle ``cycle`` is clocked."""

SIDS = 3
"""A log can address three SIDs: registers 0 to 24, and the same plus 32 and plus 64."""

WRITE_GAP_CYCLES = 40
"""Distance of the writes that frames become: what a player routine on a 6510 needs from one STA to the next."""

# Order of the writes of one frame: CONTROL last, so that a gate never opens on old values.
_VOICE_ORDER = (
    registers.ATTACK_DECAY,
    registers.SUSTAIN_RELEASE,
    registers.FREQ_LO,
    registers.FREQ_HI,
    registers.PW_LO,
    registers.PW_HI,
    registers.CONTROL,
)
FRAME_ORDER = tuple(range(registers.FC_LO, registers.MODE_VOL + 1)) + tuple(
    registers.voice_register(v, o) for v in range(registers.VOICES) for o in _VOICE_ORDER
)
"""The order in which `RegisterFrames.writes` gives out the registers of one frame."""


class SidPort(Protocol):
    """What BASIC, the C64 and MIDI see of a chip. `sidlearn.SID` is one, and so is `LogPort`."""

    def poke(self, cycle: int, register: int, value: int) -> None:
        """Write a register before `cycle` is clocked."""

    def peek(self, cycle: int, register: int) -> int:
        """Read a register after `cycle` cycles have been clocked."""


class LogPort:
    """A port with no chip behind it: keeps the writes, reads as zero."""

    def __init__(self) -> None:
        self.cycles: list[int] = []
        self.registers: list[int] = []
        self.values: list[int] = []
        self.asked = False
        """Whether a chip has been missed."""

    def poke(self, cycle: int, register: int, value: int) -> None:
        """Keep one write."""
        self.cycles.append(cycle)
        self.registers.append(register)
        self.values.append(value)

    def peek(self, cycle: int, register: int) -> int:
        """Return 0: there is no chip that could answer."""
        self.asked = True
        return 0

    def writes(self, length: int, clock_hz: int = clock.PAL.clock_hz) -> RegisterWrites:
        """Return what was kept, as a log of `length` cycles."""
        events = np.empty(len(self.cycles), WRITE_DTYPE)
        events["cycle"], events["register"], events["value"] = self.cycles, self.registers, self.values
        return RegisterWrites(events, length, clock_hz)


@dataclass(frozen=True)
class RegisterWrites:
    """A log of writes to one to three SIDs.

    Parameters
    ----------
    events : ndarray, `WRITE_DTYPE`, shape (n,)
        Cycles count from 0 and never fall; equal cycles keep their order. Registers are 0 to 24, for a second and
        third SID 32 and 64 more.
    length : int
        Cycles from the start to the end of the sound.
    clock_hz : int
        Chip cycles a second.

    Raises
    ------
    WritesError
        If a rule is broken.
    """

    events: np.ndarray
    length: int
    clock_hz: int = clock.PAL.clock_hz

    def __post_init__(self) -> None:
        events = np.asarray(self.events)
        if events.dtype != WRITE_DTYPE or events.ndim != 1:
            raise WritesError(
                f"writes: expected a (n,) array of {WRITE_DTYPE.names}, given {events.dtype} {events.shape}"
            )
        length = _whole("length", self.length, 0)
        object.__setattr__(self, "length", length)
        object.__setattr__(self, "clock_hz", _whole("clock_hz", self.clock_hz, 1))
        cycles = events["cycle"]
        if len(events):
            if cycles[0] < 0:
                raise WritesError(f"writes: the first one is at cycle {cycles[0]}, expected 0 or later")
            back = np.flatnonzero(np.diff(cycles) < 0)
            if len(back):
                i = int(back[0]) + 1
                raise WritesError(f"write {i}: cycle {cycles[i]} comes after cycle {cycles[i - 1]}: time must not fall")
            if cycles[-1] > length:
                raise WritesError(f"writes: the last one is at cycle {cycles[-1]}, past the length of {length}")
        bad = np.flatnonzero((events["register"] % 32 >= registers.WRITABLE) | (events["register"] >= 32 * SIDS))
        if len(bad):
            i = int(bad[0])
            raise WritesError(
                f"write {i}: register {events['register'][i]}: a SID has 0 to {registers.WRITABLE - 1} to write"
                " (second and third SID: 32 and 64 more)"
            )
        if events is self.events and events.flags.writeable:
            events = events.copy()
        events.flags.writeable = False
        object.__setattr__(self, "events", events)

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[int, int, int]] | np.ndarray,
        length: int | None = None,
        clock_hz: int = clock.PAL.clock_hz,
        name: str = "writes",
    ) -> RegisterWrites:
        """Make a log of ``(cycle, register, value)`` rows; without a length it ends with its last write.

        Raises
        ------
        WritesError
            If a row breaks the rules of the type; `name` stands at the head of the message.
        """
        try:
            table = np.asarray(rows if isinstance(rows, np.ndarray) else list(rows), np.int64).reshape(-1, 3)
        except (TypeError, ValueError, OverflowError):
            raise WritesError(f"{name}: expected rows of cycle, register, value in whole numbers") from None
        bad = np.flatnonzero(((table[:, 1:] < 0) | (table[:, 1:] > 255)).any(axis=1))
        if len(bad):
            i = int(bad[0])
            raise WritesError(f"{name}: write {i}: register and value are 0 to 255, given {tuple(table[i].tolist())}")
        events = np.empty(len(table), WRITE_DTYPE)
        events["cycle"], events["register"], events["value"] = table.T
        if length is None:
            length = max(int(events["cycle"][-1]), 0) if len(events) else 0
        try:
            return cls(events, length, clock_hz)
        except WritesError as error:
            raise WritesError(f"{name}: {error}") from None

    @classmethod
    def empty(cls, seconds: float = 0, clock_hz: int = clock.PAL.clock_hz) -> RegisterWrites:
        """Return `seconds` without a write."""
        return cls(np.empty(0, WRITE_DTYPE), clock.seconds_to_cycles(seconds, clock_hz), clock_hz)

    def __len__(self) -> int:
        return len(self.events)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RegisterWrites):
            return NotImplemented
        same = self.length == other.length and self.clock_hz == other.clock_hz
        return same and np.array_equal(self.events, other.events)

    def __hash__(self) -> int:
        return hash((self.events.tobytes(), self.length, self.clock_hz))

    @property
    def seconds(self) -> float:
        """How long the log lasts."""
        return self.length / self.clock_hz

    @property
    def sids(self) -> int:
        """How many SIDs it writes to: 1, 2 or 3."""
        return 1 if not len(self.events) else int(self.events["register"].max()) // 32 + 1

    def sid(self, number: int) -> RegisterWrites:
        """Return the log of SID 0, 1 or 2 alone, with registers 0 to 24."""
        part = self.events[self.events["register"] // 32 == number].copy()
        part["register"] %= 32
        return RegisterWrites(part, self.length, self.clock_hz)

    def cut(self, length: int) -> RegisterWrites:
        """Return the first `length` cycles."""
        keep = self.events[self.events["cycle"] < length]
        return RegisterWrites(keep, length, self.clock_hz)

    def frames(self, frame_cycles: int = clock.PAL.frame_cycles, sid: int = 0) -> RegisterFrames:
        """Return the register image at the end of every frame.

        Frame f is the image after all writes with cycle < (f + 1) x `frame_cycles`; before the first write it is all
        zeros. The last frame may be begun only: there are as many as it takes to cover `length`.
        """
        frame_cycles = _whole("frame_cycles", frame_cycles, 1)
        count = -(-self.length // frame_cycles)
        events = self.sid(sid).events if self.sids > 1 else self.events
        last = np.full((count, registers.WRITABLE), -1, np.int64)  # index of the newest write, per frame and register
        frame = events["cycle"] // frame_cycles
        inside = frame < count  # a write at cycle == length acts on nothing
        np.maximum.at(last, (frame[inside], events["register"][inside]), np.flatnonzero(inside))
        np.maximum.accumulate(last, axis=0, out=last)
        values = np.concatenate((events["value"], np.zeros(1, np.uint8)))[last]  # -1 reads the zero at the end
        return RegisterFrames(values, frame_cycles, self.clock_hz)

    def plot(self, ax: Any = None) -> Any:
        """Draw the registers over time; return matplotlib's axes."""
        return self.frames().plot(ax)

    def _repr_html_(self) -> str:
        from sidlearn import notebook

        return notebook.writes_html(self)


@dataclass(frozen=True)
class RegisterFrames:
    """The 25 registers at the end of every frame: the form that the learner and the trackers use.

    Parameters
    ----------
    values : ndarray, uint8, shape (frames, 25)
    frame_cycles : int
        Cycles of a frame: 19 656 for 50 Hz on PAL, a half or a quarter of it for multispeed, 17 095 on NTSC.
    clock_hz : int
    """

    values: np.ndarray
    frame_cycles: int = clock.PAL.frame_cycles
    clock_hz: int = clock.PAL.clock_hz

    def __post_init__(self) -> None:
        values = np.asarray(self.values)
        if values.ndim != 2 or values.shape[1] != registers.WRITABLE or values.dtype != np.uint8:
            raise WritesError(
                f"frames: expected uint8 (frames, {registers.WRITABLE}), given {values.dtype} {values.shape}"
            )
        object.__setattr__(self, "frame_cycles", _whole("frame_cycles", self.frame_cycles, 1))
        object.__setattr__(self, "clock_hz", _whole("clock_hz", self.clock_hz, 1))
        if values is self.values and values.flags.writeable:
            values = values.copy()
        values.flags.writeable = False
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.values)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RegisterFrames):
            return NotImplemented
        same = self.frame_cycles == other.frame_cycles and self.clock_hz == other.clock_hz
        return same and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash((self.values.tobytes(), self.frame_cycles, self.clock_hz))

    @cached_property
    def frame_rate(self) -> float:
        """Frames a second."""
        return self.clock_hz / self.frame_cycles

    def writes(self) -> RegisterWrites:
        """Return the changes as a log: from each frame's first cycle on, `FRAME_ORDER`, 40 cycles apart.

        Where a frame is too short for 25 writes at that distance they move closer together, so that
        ``frames.writes().frames(frames.frame_cycles) == frames`` always holds.
        """
        order = np.array(FRAME_ORDER)
        ordered = self.values[:, order]
        before = np.vstack((np.zeros((1, registers.WRITABLE), np.uint8), ordered[:-1]))
        frame, column = np.nonzero(ordered != before)
        gap = min(WRITE_GAP_CYCLES, self.frame_cycles // registers.WRITABLE)
        first = np.searchsorted(frame, frame)  # index of the frame's first change
        events = np.empty(len(frame), WRITE_DTYPE)
        events["cycle"] = frame * self.frame_cycles + (np.arange(len(frame)) - first) * gap
        events["register"] = order[column]
        events["value"] = ordered[frame, column]
        return RegisterWrites(events, len(self.values) * self.frame_cycles, self.clock_hz)

    def plot(self, ax: Any = None) -> Any:
        """Draw the registers over time; return matplotlib's axes."""
        from sidlearn import notebook

        return notebook.plot_frames(self, ax)

    def _repr_html_(self) -> str:
        from sidlearn import notebook

        return notebook.frames_html(self)


def _whole(name: str, value: object, least: int) -> int:
    """Return `value` as int, or say that it has to be a whole number from `least` up."""
    try:
        number = value.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        raise WritesError(f"{name} {value!r}: expected a whole number from {least} up") from None
    if number < least:
        raise WritesError(f"{name} {number}: expected {least} or more")
    return number
