"""The SID as a person or a program meets it: registers to POKE and PEEK, sound to take away.

`SID` keeps the state of one chip and the writes that are still to come; the work is done by `sidlearn.chip.kernel`,
which is loaded when the first chip is made.
"""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, overload

import numpy as np

from sidlearn import registers
from sidlearn.chip import batch, decimate, mix, models, state
from sidlearn.chip.ext_in import ExtIn, Signal
from sidlearn.chip.lanes import render_lanes
from sidlearn.clock import PAL
from sidlearn.errors import AudioError, ModelError, RegisterError, WritesError, nearest, one_of
from sidlearn.writes import WRITE_DTYPE, RegisterWrites

MODES = ("exact", "fast")
"""How the analogue half is worked out: in every cycle, or in every eighth, which is less exact above 10 kHz."""


class SID:
    """One SID chip, from power-on.

    Parameters
    ----------
    model : str
        A name from ``chip.models()``.
    sample_rate : int
        Of the sound, 8 000 Hz up to the clock: one sample a cycle.
    clock_hz : int
        Chip cycles a second.
    mode : str
        One of `MODES`.
    profile : str or mapping
        What makes this chip differ from its model, see `models.profile`: ``"galway"``, ``"galway, combined=weak"``.

    Raises
    ------
    ModelError
        If there is no such model, mode or profile.
    SampleRateError
        If the sample rate or the clock is out of range.

    Notes
    -----
    Registers go by address (54272 to 55295, the same 32 registers over and over), number (0 to 31) or name
    (``"MODE_VOL"``). A write acts on the cycle that is clocked next.

    A SID is also a `SidPort`: with a cycle as first argument, `poke` and `peek` act at that time. Writes wait until the
    chip is clocked past their cycle; a peek clocks the chip as far as it has to, and the sound made on the way comes
    with the next `clock`.

    Examples
    --------
    >>> sid = SID(model="6581", sample_rate=44_100)
    >>> sid[54296] = 15
    >>> sid["CONTROL_3"] = 0x20
    >>> audio = sid.clock(19_656)
    >>> audio.shape, audio.dtype
    ((879,), dtype('float32'))
    >>> sid[54299]
    85
    """

    def __init__(
        self,
        model: str = "6581",
        sample_rate: int = 44_100,
        clock_hz: int = PAL.clock_hz,
        mode: str = "exact",
        profile: str | Mapping[str, Any] = "",
    ) -> None:
        if mode not in MODES:
            raise ModelError(f"mode {mode!r}: expected {one_of(MODES)}{nearest(mode, MODES)}")
        self.model = model
        self.mode = mode
        self.sample_rate = _index(sample_rate)
        self.clock_hz = _index(clock_hz)
        decimate.check_rates(self.sample_rate, self.clock_hz)
        self.profile = profile
        self._tables = models.load(model, self.clock_hz, **models.profile(profile))[0]
        low_pass = float(self._tables.low_pass)
        self._decimator = decimate.design(self.sample_rate, self.clock_hz, low_pass, mode == "fast")
        self._responses = decimate.responses(self._decimator)
        self._room = np.zeros(1, state.ROOM_DTYPE).view(np.recarray)[0]
        self.reset()

    def reset(self) -> None:
        """Switch the power off and on again: cycle 0, nothing queued, no sound kept."""
        self._voices, self._chips = state.power_on(self._tables, self.clock_hz)
        self._chip = self._chips[0]
        self._queue: list[tuple[int, int, int]] = []
        self._sound: list[np.ndarray] = []
        self._ext_in: ExtIn | None = None

    @property
    def cycle(self) -> int:
        """Cycles clocked since power-on."""
        return int(self._chip.cycle)

    @property
    def sounding(self) -> bool:
        """Whether any envelope is above zero."""
        return bool(self._voices.envelope_counter.any())

    @property
    def delay_seconds(self) -> float:
        """By how much the sound lags behind the writes: half the length of the decimator's filters."""
        return decimate.delay_cycles(self.sample_rate, self.clock_hz, self.mode == "fast") / self.clock_hz

    def __repr__(self) -> str:
        return (
            f"SID(model={self.model!r}, sample_rate={self.sample_rate}, clock_hz={self.clock_hz}, mode={self.mode!r})"
            f" at cycle {self.cycle}"
        )

    # --- Registers ---

    def __setitem__(self, address: int | str | slice, value: int | Iterable[int]) -> None:
        if not isinstance(address, slice):
            self.poke(address, value)
            return
        numbers = _slice(address)
        values = list(value) if isinstance(value, Iterable) else [value] * len(numbers)
        if len(values) != len(numbers):
            raise RegisterError(f"registers: {len(numbers)} of them, given {len(values)} values")
        checked = [registers.check_value(v) for v in values]
        for number, one in zip(numbers, checked, strict=True):
            self._write(number, one)

    @overload
    def __getitem__(self, address: int | str) -> int: ...
    @overload
    def __getitem__(self, address: slice) -> list[int]: ...
    def __getitem__(self, address: int | str | slice) -> int | list[int]:
        if isinstance(address, slice):
            return [self._read(number) for number in _slice(address)]
        return self.peek(address)

    def poke(self, *args: Any) -> None:
        """Write a register: ``poke(address, value)`` now, ``poke(cycle, register, value)`` before `cycle` is clocked.

        Raises
        ------
        RegisterError
            If there is no such register, or the value is no byte.
        WritesError
            If `cycle` lies before the chip's own or that of an earlier poke.
        """
        if len(args) == 2:
            self._write(registers.from_address(args[0]), registers.check_value(args[1]))
        elif len(args) == 3:
            number, value = registers.from_address(args[1]), registers.check_value(args[2])
            latest = self._queue[-1][0] if self._queue else self.cycle
            self._queue.append((_not_before(latest, args[0]), number, value))
        else:
            raise TypeError(f"poke: expected (address, value) or (cycle, register, value), given {len(args)} arguments")

    def peek(self, *args: Any) -> int:
        """Read a register: ``peek(address)`` now, or ``peek(cycle, register)`` after `cycle` cycles have been clocked.

        Registers that can only be written give what is left on the data bus.

        Raises
        ------
        RegisterError
            If there is no such register.
        WritesError
            If `cycle` lies before the chip's own.
        """
        if len(args) == 1:
            return self._read(registers.from_address(args[0]))
        if len(args) != 2:
            raise TypeError(f"peek: expected (address) or (cycle, register), given {len(args)} arguments")
        number = registers.from_address(args[1])
        self._advance(_not_before(self.cycle, args[0]) - self.cycle)
        return self._read(number)

    # --- Time ---

    def clock(self, cycles: int, ext_in: Signal | None = None) -> np.ndarray:
        """Let `cycles` cycles go by and return their sound, after any that peeks at later cycles have left.

        Parameters
        ----------
        cycles : int
            0 or more. From power-on to cycle c there are ``c * sample_rate // clock_hz`` samples, however they are cut.
        ext_in : array_like, shape (cycles,), or tuple (samples, sample_rate), optional
            What comes in at EXT IN meanwhile, see the property `ext_in`, and stays there after these cycles.

        Returns
        -------
        audio : ndarray, float32, shape (samples,)
            Mono, within -1..1.

        Raises
        ------
        WritesError
            If `cycles` is not a whole number from 0 up.
        AudioError
            If `ext_in` has a wrong shape, or values that are not numbers within -1..1.
        """
        cycles = _cycles("clock", cycles)
        if ext_in is not None:
            signal = ExtIn.of(ext_in, self.clock_hz)
            if not isinstance(ext_in, tuple) and len(signal.samples) != cycles:
                raise AudioError(f"EXT IN: expected {cycles} samples, one a cycle, given {len(signal.samples)}")
            self._ext_in = signal
        self._advance(cycles)
        sound, self._sound = self._sound, []
        return sound[0] if len(sound) == 1 else np.concatenate(sound) if sound else np.empty(0, np.float32)

    def play(self, writes: RegisterWrites) -> np.ndarray:
        """Play a log from now on, its cycle 0 being the next one, and return its sound: float32, shape (samples,)."""
        start = self.cycle
        events = writes.events.copy()
        events["cycle"] += start
        if self._queue:
            raise WritesError(f"play: {len(self._queue)} writes are still queued, from cycle {self._queue[0][0]} on")
        self._run(events, writes.length)
        return self.clock(0)

    @property
    def ext_in(self) -> np.ndarray | None:
        """What is still to come in at EXT IN, a sample a cycle, float32; None if nothing is.

        Set it to an array with a sample for each cycle from now on, or to a tuple ``(samples, sample_rate)`` that is
        drawn out to the chip's clock; -1..1, a voice's range. After its end EXT IN falls back to the profile's constant
        level, on which it stands all the time. RES_FILT bit 3 (FILTEX) leads it through the filter.
        """
        return None if self._ext_in is None else self._ext_in.rest()

    @ext_in.setter
    def ext_in(self, signal: Signal | None) -> None:
        self._ext_in = None if signal is None else ExtIn.of(signal, self.clock_hz)

    # --- State ---

    def snapshot(self) -> dict[str, Any]:
        """Return a copy of everything that makes the sound from here on: plain data that can be pickled."""
        return {
            "model": self.model,
            "sample_rate": self.sample_rate,
            "clock_hz": self.clock_hz,
            "profile": self.profile,
            "mode": self.mode,
            "voices": np.array(self._voices),
            "chip": np.array(self._chips),
            "queue": list(self._queue),
            "sound": [part.copy() for part in self._sound],
            "ext_in": self._ext_in,
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a `snapshot`, to the last bit.

        Raises
        ------
        ModelError
            If it was taken of another model or mode, or at another sample rate or clock.
        """
        for name in ("model", "profile", "sample_rate", "clock_hz", "mode"):
            if snapshot[name] != getattr(self, name):
                raise ModelError(f"snapshot: {name} is {snapshot[name]!r}, this SID has {getattr(self, name)!r}")
        self._voices[:] = snapshot["voices"]
        self._chips[:] = snapshot["chip"]
        self._queue = list(snapshot["queue"])
        self._sound = [part.copy() for part in snapshot["sound"]]
        self._ext_in = snapshot["ext_in"]

    def __getstate__(self) -> dict[str, Any]:
        return self.snapshot()

    def __setstate__(self, snapshot: dict[str, Any]) -> None:
        SID.__init__(self, *(snapshot[name] for name in ("model", "sample_rate", "clock_hz", "mode", "profile")))
        self.restore(snapshot)

    # --- Work ---

    def _advance(self, cycles: int) -> None:
        """Clock the chip with the writes that are queued; keep the sound."""
        end = self.cycle + cycles
        due = sum(1 for event in self._queue if event[0] < end)
        events, self._queue = self._queue[:due], self._queue[due:]
        self._run(np.array(events, WRITE_DTYPE), cycles)

    def run(self, events: np.ndarray, cycles: int) -> np.ndarray:
        """Clock the chip with writes at its own cycles (`WRITE_DTYPE`), nothing queued; return the sound."""
        self._run(events, cycles)
        sound, self._sound = self._sound, []
        return sound[0] if len(sound) == 1 else np.concatenate(sound) if sound else np.empty(0, np.float32)

    def _run(self, events: np.ndarray, cycles: int) -> None:
        """Clock the chip with `events`, piece by piece while something comes in at EXT IN; keep the sound."""
        while self._ext_in is not None and cycles:
            size = min(cycles, state.EXT_IN_ROOM)
            levels, self._ext_in = self._ext_in.take(size)
            self._chip.ext_in[: len(levels)] = levels
            self._chip.ext_in_at, self._chip.ext_in_end = 0, len(levels)
            due = int(np.searchsorted(events["cycle"], self.cycle + size))
            self._run_piece(events[:due], size)
            events, cycles = events[due:], cycles - size
        self._run_piece(events, cycles)

    def _run_piece(self, events: np.ndarray, cycles: int) -> None:
        """Clock the chip with `events` and what EXT IN has in store; keep the sound."""
        from sidlearn.chip import kernel

        start, end = self.cycle, self.cycle + cycles
        audio = np.empty(self._count(end) - self._count(start), np.float32)
        if cycles:
            events = events.view(np.recarray)
            chip = self._voices, self._chip, self._tables, events, cycles, self._decimator, self._room
            if self.mode == "fast":
                kernel.clock_chip_fast(*chip, self._responses, audio)
            else:
                kernel.clock_chip(*chip, audio)
        if audio.size:
            self._sound.append(audio)

    def _count(self, cycle: int) -> int:
        return decimate.sample_count(cycle, self.sample_rate, self.clock_hz)

    def _write(self, number: int, value: int) -> None:
        from sidlearn.chip import kernel

        self._flush()
        kernel.write_register(self._voices, self._chip, self._tables, number, value)

    def _read(self, number: int) -> int:
        from sidlearn.chip import kernel

        self._flush()
        return kernel.read_register(self._voices, self._chip, self._tables, number)

    def _flush(self) -> None:
        """Do the queued writes of this very cycle, which came before what is to be done now."""
        from sidlearn.chip import kernel

        while self._queue and self._queue[0][0] <= self.cycle:
            _, number, value = self._queue.pop(0)
            kernel.write_register(self._voices, self._chip, self._tables, number, value)


def render(
    writes: RegisterWrites,
    model: str = "6581",
    sample_rate: int = 44_100,
    mode: str = "exact",
    profile: str | Mapping[str, Any] = "",
    stereo: bool = False,
    lanes: int = 1,
    threads: int | None = None,
) -> np.ndarray:
    """Play register writes on the chip from power-on and return the sound.

    Parameters
    ----------
    writes : RegisterWrites
        Their `clock_hz` is that of the chip. Those to a second or third SID are played on chips of their own.
    model : str
        A name from ``chip.models()``.
    sample_rate : int
        In Hz, 8 000 up to the log's clock.
    mode : str
        One of `MODES`.
    profile : str or mapping
        Changes to the model, see `models.profile`.
    stereo : bool
        Whether to place several SIDs on two sides, see `mix.gains`, instead of taking their mean.
    lanes : int
        Into how many stretches exact mode may cut the log, to play them side by side: more sound a second, but no
        longer equal to the last bit. It is within -90 dB, and the same for any number of threads. Best a multiple of
        8; logs of some seconds and less are played in one.
    threads : int, optional
        How many times 8 lanes are clocked at a time; as many as there are cores if left out.

    Returns
    -------
    audio : ndarray, float32, shape (samples,), or (samples, 2) in stereo
        Within -1..1, ``writes.length * sample_rate // clock_hz`` samples; for one SID the same to the last bit as
        `SID.clock` gives for these writes.

    Raises
    ------
    ModelError
        If there is no such model, mode or profile, or `lanes` or `threads` is not a whole number from 1 up.
    SampleRateError
        If the sample rate or the clock is out of range.

    Examples
    --------
    >>> render(RegisterWrites.empty(seconds=1)).shape
    (44100,)
    >>> two = RegisterWrites.from_rows([(0, 24, 15), (0, 32 + 24, 15)], length=985_248)
    >>> render(two, stereo=True).shape
    (44100, 2)
    """
    _check_writes(writes)
    lanes, threads = _count_of("lanes", lanes), None if threads is None else _count_of("threads", threads)
    parts = [writes] if writes.sids == 1 else [writes.sid(n) for n in range(writes.sids)]
    sounds = []
    for part in parts:
        sid = SID(model, sample_rate, writes.clock_hz, mode, profile)
        sound = None
        if lanes > 1 and mode == "exact":
            sound = render_lanes(part, model, sample_rate, profile, lanes, threads)
        sounds.append(sid.play(part) if sound is None else sound)
    return (mix.stereo if stereo else mix.mono)(sounds)


def render_batch(
    list_of_writes: Sequence[RegisterWrites],
    model: str = "6581",
    sample_rate: int = 44_100,
    mode: str = "fast",
    threads: int | None = None,
    profile: str | Mapping[str, Any] = "",
) -> list[np.ndarray]:
    """Play many logs, each on a chip of its own from power-on, on all cores at once.

    Parameters
    ----------
    list_of_writes : sequence of RegisterWrites
    model, sample_rate, mode, profile
        As in `render`.
    threads : int, optional
        How many chips, or in fast mode groups of 8, are clocked at a time; as many as there are cores if left out.

    Returns
    -------
    sounds : list of ndarray, float32
        For each log what `render` gives, to the last bit and for any number of threads.

    Raises
    ------
    ModelError
        If there is no such model, mode or profile, or `threads` is not a whole number from 1 up.
    SampleRateError
        If the sample rate or the clock is out of range.

    Examples
    --------
    >>> [sound.shape for sound in render_batch([RegisterWrites.empty(seconds=1)] * 2, threads=1)]
    [(44100,), (44100,)]
    """
    logs = list(list_of_writes)
    for writes in logs:
        _check_writes(writes)
    threads = os.cpu_count() or 1 if threads is None else _count_of("threads", threads)
    if mode == "fast":
        return _render_fast(logs, model, sample_rate, threads, profile)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda writes: render(writes, model, sample_rate, mode, profile=profile), logs))


def _render_fast(
    logs: list[RegisterWrites], model: str, sample_rate: int, threads: int, profile: str | Mapping[str, Any]
) -> list[np.ndarray]:
    """`render_batch` in fast mode: chips side by side where there are enough of one clock."""
    parts = [[writes] if writes.sids == 1 else [writes.sid(n) for n in range(writes.sids)] for writes in logs]
    flat = [part for log in parts for part in log]
    sounds: dict[int, np.ndarray] = {}
    for clock_hz in {part.clock_hz for part in flat}:
        these = [n for n, part in enumerate(flat) if part.clock_hz == clock_hz]
        chosen = [flat[n] for n in these]
        if len(these) < batch.LEAST:
            played = [render(part, model, sample_rate, "fast", profile) for part in chosen]
        else:
            played = batch.render_lots(chosen, model, _index(sample_rate), profile, threads)
        sounds.update(zip(these, played, strict=True))
    ready = (sounds[n] for n in range(len(flat)))
    return [mix.mono([next(ready) for _ in log]) for log in parts]


def readback(
    writes: RegisterWrites, model: str = "6581", profile: str | Mapping[str, Any] = ""
) -> tuple[np.ndarray, np.ndarray]:
    """Play register writes from power-on and return what PEEKs of OSC3 and ENV3 would give.

    Parameters
    ----------
    writes : RegisterWrites
        Those to a second or third SID are left out.
    model : str
        A name from ``chip.models()``.
    profile : str or mapping
        Changes to the model, see `models.profile`.

    Returns
    -------
    osc3, env3 : ndarray, uint8, shape (writes.length,)
        [c] is what a read just after cycle c was clocked returns.

    Raises
    ------
    ModelError
        If there is no such model or profile.

    Examples
    --------
    >>> osc3, env3 = readback(RegisterWrites.from_rows([(0, 18, 0x20)], length=3))
    >>> osc3, env3
    (array([85, 85, 85], dtype=uint8), array([170, 170, 170], dtype=uint8))
    """
    from sidlearn.chip import kernel

    _check_writes(writes)
    tables = models.load(model, writes.clock_hz, **models.profile(profile))[0]
    voices, chips = state.power_on(tables, writes.clock_hz)
    osc3, env3 = np.empty((2, writes.length), np.uint8)
    kernel.clock_readback(voices, chips[0], tables, _first_sid(writes), osc3, env3)
    return osc3, env3


def sounding_cycles(writes: RegisterWrites, model: str, limit: int) -> int:
    """Return how many cycles after its end a log still sounds: until every envelope is at zero, `limit` at the most.

    Parameters
    ----------
    writes : RegisterWrites
        Those to a second or third SID are left out.
    model : str
        A name from ``chip.models()``.
    limit : int
        In cycles.

    Examples
    --------
    >>> log = RegisterWrites.from_rows([(0, 6, 0xF0), (0, 4, 1), (5000, 4, 0)], length=20_000)
    >>> sounding_cycles(log, "6581", limit=100_000)
    0
    """
    from sidlearn.chip import kernel

    _check_writes(writes)
    tables = models.load(model, writes.clock_hz)[0]
    voices, chips = state.power_on(tables, writes.clock_hz)
    return kernel.clock_until_silent(voices, chips[0], tables, _first_sid(writes), writes.length, limit)


def _check_writes(writes: object) -> None:
    if not isinstance(writes, RegisterWrites):
        raise WritesError(f"writes: expected RegisterWrites, given {type(writes).__name__}")


def _first_sid(writes: RegisterWrites) -> np.recarray:
    """The events of a log's first SID as the kernel takes them."""
    return (writes if writes.sids == 1 else writes.sid(0)).events.copy().view(np.recarray)


def _index(value: Any) -> Any:
    """Return whole numbers of all kinds as int, anything else as it is: who uses it says what was expected."""
    try:
        return operator.index(value)
    except TypeError:
        return value


def _count_of(name: str, value: Any) -> int:
    number = _index(value)
    if not isinstance(number, int) or number < 1:
        raise ModelError(f"{name} {value!r}: expected a whole number from 1 up")
    return number


def _cycles(name: str, value: Any) -> int:
    number = _index(value)
    if not isinstance(number, int) or number < 0:
        raise WritesError(f"{name} {value!r}: expected a whole number of cycles from 0 up")
    return number


def _not_before(latest: int, value: Any) -> int:
    """Return the cycle of a timed access."""
    cycle = _cycles("cycle", value)
    if cycle < latest:
        raise WritesError(f"cycle {cycle}: expected {latest} or later, time must not fall")
    return cycle


def _slice(part: slice) -> list[int]:
    """Return the register numbers of a slice of addresses or numbers; as ever, its end is not included."""
    low = registers.from_address(0 if part.start is None else part.start)
    start = low if part.start is None else _index(part.start)
    stop = start - low + registers.COUNT if part.stop is None else _index(part.stop)
    step = 1 if part.step is None else _index(part.step)
    if not isinstance(stop, int) or not isinstance(step, int) or step < 1 or stop > registers.LAST_ADDRESS + 1:
        raise RegisterError(f"registers {part}: expected start, stop and a step of 1 or more, as addresses or numbers")
    return [registers.from_address(address) for address in range(start, stop, step)]
