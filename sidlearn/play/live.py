"""The live engine: the chips on the audio thread, and how the rest of the program speaks to them."""

from __future__ import annotations

import gc
import sys
import threading
import time
from typing import Any

import numpy as np

from sidlearn import registers
from sidlearn.chip import decimate, models, state
from sidlearn.clock import PAL
from sidlearn.errors import DeviceError, ModelError, nearest, one_of
from sidlearn.play.hosts import BLOCKS, HOSTS, NO_SLACK, Host
from sidlearn.play.record import (
    AT_ONCE,
    FOREVER,
    HAND_LANE,
    LANES,
    MAX_BLOCK,
    MIX,
    RING,
    SCOPE,
    SOURCE_LANE,
    new_record,
)
from sidlearn.writes import SIDS, WRITE_DTYPE, RegisterWrites

SCOPE_HZ = 8_820
"""About how many points a second the scopes take."""

SWITCH_SECONDS = 0.0005
"""How long a busy Python thread may keep the others waiting while live: MIDI is read in Python."""

UNDERRUNS, WITHIN_SECONDS = 3, 10.0
"""So many gaps in so much time, and the block is doubled."""

LONGEST_ANSWER = 2_048
"""Samples of a block that such doubling ends at: 46 ms at 44.1 kHz. Longer ones have helped nobody, and a key that
sounds so late cannot be played (guess)."""

PATIENCE_SECONDS = 1.0
"""A device that has not asked for a block for so long has gone."""

SETTLE_SECONDS = 1.0
"""After a device has been opened it may stumble: gaps do not count for so long."""


class Engine:
    """One to three SIDs that play in real time.

    Parameters
    ----------
    model : str
        A name from ``chip.models()``.
    sample_rate, clock_hz : int
        In Hz.
    mode : str
        ``exact`` or ``fast``.
    sids : int
        1 to 3.
    scopes : bool
        Whether points for the scopes are taken from the start, see `scopes`.
    keep : bool
        Whether all writes are kept for `log`.

    Raises
    ------
    ModelError, SampleRateError
        If there is no such chip, or no such rate.

    Notes
    -----
    `record` (`records[0]`) is the one record of `sidlearn.play.record`: read from it whatever there is to show; its
    times and `ticks_ahead` make those of `time.perf_counter`. Time is told in cycles of the chips. The engine is a
    `SidPort` that hears but does not answer; use `write` for many at once.
    """

    def __init__(
        self,
        model: str = "6581",
        sample_rate: int = 44_100,
        clock_hz: int = PAL.clock_hz,
        mode: str = "exact",
        sids: int = 1,
        scopes: bool = False,
        keep: bool = False,
    ) -> None:
        from sidlearn.chip.sid import MODES
        from sidlearn.play import stream

        if mode not in MODES:
            raise ModelError(f"mode {mode!r}: expected {one_of(MODES)}{nearest(mode, MODES)}")
        self.model, self.mode = model, mode
        self.sample_rate, self.clock_hz = sample_rate, clock_hz
        decimate.design(sample_rate, clock_hz)  # checks both
        self._model = models.load(model, clock_hz)
        self._decimator = decimate.design(sample_rate, clock_hz, float(self._model[0].low_pass), mode == "fast")
        self._responses = decimate.responses(self._decimator)
        self.records = new_record()
        self.record = self.records.view(np.recarray)[0]
        self._functions = [stream.callback(name) for name in ("fill", mode)]
        self._put = stream.put
        self._clock = _Ticks()
        self._lock = threading.Lock()
        self._keep = keep
        self._kept: list[np.ndarray] = []
        self._taken = np.zeros(LANES, np.int64)
        self._free = np.zeros(LANES, np.int64)
        self._host: Host | None = None
        self._host_name = ""
        self._device: str | None = None
        self._gaps: list[float] = []
        self._opened = 0.0
        self._given_up = self._gone = False
        self._alive = 0, 0.0
        self._seen_underruns = 0
        self._switch: float | None = None
        r = self.record
        r.clock_hz, r.sample_rate, r.sids, r.fast = clock_hz, sample_rate, sids, mode == "fast"
        r.model_at = self._model.ctypes.data
        taps = self._decimator
        r.stage1_at, r.half_at, r.stage2_at = (part.ctypes.data for part in taps[:3])
        r.half_taps, r.step = taps.half.size, taps.step
        r.stage2_rows, r.stage2_columns = taps.stage2.shape
        r.responses_at = self._responses.ctypes.data
        r.fill_at, r.clock_at = (f.address for f in self._functions)
        r.ticks_at, r.ticks_hz, self.ticks_ahead = self._clock.address, self._clock.hz, self._clock.ahead()
        r.slack = NO_SLACK
        for sid in range(SIDS):
            voices, chips = state.power_on(self._model[0], clock_hz)
            r.voices[sid], r.chips[sid] = voices, chips[0]
        if scopes:
            self.scopes = True
        self.write(np.empty(0, WRITE_DTYPE))  # compiles what puts writes into a lane

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- Device ---

    def open(
        self, host: str = "sdl", block: int | None = None, device: str | None = None, running: bool = True
    ) -> None:
        """Open a sound device and begin.

        Parameters
        ----------
        host : str
            A name of `sidlearn.play.hosts.HOSTS`.
        block : int, optional
            Samples that the device takes at a time; without it what has proved itself for the host.
        device : str, optional
            A device other than the system's own choice.
        running : bool
            Whether time goes by on the chips from the start; else `run` begins it.

        Raises
        ------
        DeviceError
            If there is no such host or device.
        """
        if host not in HOSTS:
            raise DeviceError(f"sound host {host!r}: expected {one_of(HOSTS)}{nearest(host, HOSTS)}")
        self._host_name, self._device = host, device
        self.record.running = running
        if host != "file":
            gc.freeze()
            self._switch = sys.getswitchinterval()
            sys.setswitchinterval(min(SWITCH_SECONDS, self._switch))
        self._open(block or BLOCKS[host])

    def _open(self, block: int) -> None:
        self.record.blocks = 0
        self._host = HOSTS[self._host_name](self.records, min(block, MAX_BLOCK), self._device)
        self.record.slack = self._host.slack_seconds
        self._opened = time.monotonic()
        self._alive = 0, self._opened
        self._gaps.clear()

    @property
    def host(self) -> Host:
        """The device in use.

        Raises
        ------
        DeviceError
            If none is open.
        """
        if self._host is None:
            raise DeviceError("no sound device is open")
        return self._host

    def close(self) -> None:
        """Stop at once and give the device back; the chips stay as they are."""
        if self._host is not None:
            self._host.close()
            self._host = None
        if self._switch is not None:
            sys.setswitchinterval(self._switch)
            self._switch = None

    def run(self) -> None:
        """Let time go by on the chips."""
        self.record.running = 1

    def hold(self) -> None:
        """Let time stand still on the chips: silence until `run`."""
        self.record.running = 0

    def pull(self, samples: int) -> np.ndarray:
        """Return the next `samples` of the host ``file``, float32."""
        return self.host.pull(samples)  # type: ignore[attr-defined, no-any-return]

    def watch(self) -> str | None:
        """Look after the device, some times a second: answer underruns with a longer block, and say so."""
        self.ticks_ahead = self._clock.ahead()  # a clock that is being set drifts against the other
        now = time.monotonic()
        if self._host is not None and self._host_name != "file":
            blocks = int(self.record.blocks)
            if blocks != self._alive[0]:
                self._alive = blocks, now
            elif now - self._alive[1] > PATIENCE_SECONDS:
                return self._revive(now)
        underruns = int(self.record.underruns)
        if now - self._opened >= SETTLE_SECONDS:
            self._gaps += [now] * (underruns - self._seen_underruns)
        self._seen_underruns = underruns
        self._gaps = [t for t in self._gaps if now - t <= WITHIN_SECONDS]
        if len(self._gaps) < UNDERRUNS or self._host is None:
            return None
        told = f"{UNDERRUNS} gaps in the sound within {WITHIN_SECONDS:g} s"
        block = self._host.block * 2
        if block <= LONGEST_ANSWER:
            self._host.close()
            self._open(block)
            return f"{told}: blocks of {block} samples from here on"
        self._gaps.clear()
        if self._given_up:
            return None
        self._given_up = True
        remedy = " or --mode fast" if self.mode == "exact" else ""
        return f"{told}: the computer is too busy; fewer other programs{remedy} would help"

    def _revive(self, now: float) -> str | None:
        """Open a device that has gone again, or another that the system has now."""
        assert self._host is not None
        block, self._alive = self._host.block, (0, now)
        self._host.close()
        try:
            self._open(block)
        except DeviceError as error:
            told, self._gone = (None if self._gone else f"the sound device has gone ({error}); looking for it"), True
            return told
        self._gone = False
        return f"the sound device had gone; playing on {self._host.name}"

    # --- Time ---

    @property
    def cycle(self) -> int:
        """The cycle up to which sound has been made."""
        return int(self.record.chips[0]["cycle"])

    @property
    def block_cycles(self) -> int:
        """Cycles of a block."""
        return -(-(self._host.block if self._host else 0) * self.clock_hz // self.sample_rate)

    def cycle_at(self, seconds: float | None = None) -> int:
        """Return the cycle at which something acts that arrived at a time of `time.perf_counter` (now): a block later.

        What arrives while one block plays acts at the same distance into the next one, so that rhythm is kept and all
        is late by the same time.
        """
        r = self.record
        block = self.block_cycles
        cycle, begun = int(r.block_cycle), float(r.block_time) + self.ticks_ahead
        if not r.running or self._host_name == "file" or not r.blocks:
            return max(cycle, self.cycle)
        passed = (time.perf_counter() if seconds is None else seconds) - begun
        return cycle + min(max(int(passed * self.clock_hz), -4 * block), 4 * block) + block

    # --- Writes ---

    def write(self, events: np.ndarray, lane: int = SOURCE_LANE) -> None:
        """Hand over timed writes; `AT_ONCE` as cycle means with the next block. Waits while the lane is full.

        Parameters
        ----------
        events : ndarray, `WRITE_DTYPE`, shape (n,)
            Within a lane a write never acts before an earlier one.
        lane : int
            `SOURCE_LANE` for what is known ahead, `HAND_LANE` for what is played.
        """
        events = np.ascontiguousarray(events).view(np.recarray)
        r = self.record
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            with self._lock:
                if self._keep:
                    self._collect()
                    free = self._taken
                else:
                    free = r.head
                done = self._put(r.tail, r.ring, lane, free, events)
            if done == len(events):
                return
            events = events[done:]
            if self._host is None or self._host_name == "file" or not r.running or time.monotonic() > until:
                raise DeviceError(f"{len(events)} writes too many: {RING} can wait while nothing plays them")
            time.sleep(0.002)

    def poke(self, cycle: int, register: int, value: int) -> None:
        """Write a register before `cycle` is clocked, or as soon as possible."""
        event = np.array([(cycle, register, value)], WRITE_DTYPE)
        self.write(event, HAND_LANE)

    def peek(self, cycle: int, register: int) -> int:
        """Return OSC3 or ENV3 of the first SID as they are now; 0 for the others."""
        voice = self.record.voices[0, registers.VOICES - 1]
        if register == registers.OSC3:
            return int(voice["osc3"]) >> 4
        return int(voice["env3"]) if register == registers.ENV3 else 0

    def _collect(self) -> None:
        """Copy what has acted out of the rings, before it is written over."""
        r = self.record
        heads = r.head.copy()
        parts = []
        for lane in range(LANES):
            index = np.arange(self._taken[lane], heads[lane]) & (RING - 1)
            if len(index):
                parts.append(r.ring[lane][index])
        if parts:
            both = np.concatenate(parts)
            self._kept.append(both[np.argsort(both["cycle"], kind="stable")])
        self._taken[:] = heads

    def log(self) -> RegisterWrites:
        """Return all writes so far as they have acted, to the cycle; the engine was made with ``keep=True``.

        `sidlearn.render` makes the same sound of them, bit for bit.
        """
        with self._lock:
            self._collect()
            events = np.concatenate([np.empty(0, WRITE_DTYPE), *self._kept])
        return RegisterWrites(events[np.argsort(events["cycle"], kind="stable")], self.cycle, self.clock_hz)

    # --- What there is to see ---

    @property
    def scopes(self) -> bool:
        """Whether points for the scopes of the voices are taken; costs some of the audio thread's time."""
        return bool(self.record.scope_step)

    @scopes.setter
    def scopes(self, on: bool) -> None:
        self.record.scope_step = max(self.sample_rate // SCOPE_HZ, 1) if on else 0

    def scope(self, points: int, voice: int, sid: int = 0) -> np.ndarray:
        """Return the newest `points` of a voice's scope, oldest first, -1..1."""
        end = int(self.record.scope_end)
        return self.record.scope[sid * registers.VOICES + voice].take(np.arange(end - points, end), mode="wrap")

    def mix(self, samples: int) -> np.ndarray:
        """Return the newest `samples` of the whole sound, `MIX` at the most, oldest first."""
        end = int(self.record.samples)
        return self.record.mix.take(np.arange(end - samples, end), mode="wrap")

    @property
    def latency_ms(self) -> float:
        """From a key to the speakers, in ms: one block, and what the device holds."""
        if self._host is None:
            return 0.0
        return 1000 * (self._host.block / self.sample_rate + self._host.latency_seconds)

    def facts(self) -> dict[str, Any]:
        """Return the counters, for ``--json`` and for people."""
        r = self.record
        return {
            "host": self._host.name if self._host else "none",
            "block": self._host.block if self._host else 0,
            "priority": "real time" if self._host and self._host.real_time else "plain",
            "latency_ms": round(self.latency_ms, 1),
            "seconds": round(int(r.samples) / self.sample_rate, 3),
            "underruns": int(r.underruns),
            "starved": int(r.starved),
            "late_writes": int(r.late),
            "latest_ms": round(1000 * int(r.latest) / self.clock_hz, 3),
            "load": round(float(r.load), 3),
            "load_peak": round(float(r.load_peak), 3),
        }


class _Ticks:
    """The clock that the audio thread reads: SDL's, of which compiled code knows the address."""

    def __init__(self) -> None:
        import ctypes

        from sidlearn.play import speaker

        sdl = speaker.library()
        self._counter, frequency = sdl.SDL_GetPerformanceCounter, sdl.SDL_GetPerformanceFrequency
        self._counter.restype = frequency.restype = ctypes.c_uint64
        self.hz = float(frequency())
        self.address = ctypes.cast(self._counter, ctypes.c_void_p).value or 0

    def ahead(self) -> float:
        """Return by how many seconds `time.perf_counter` is ahead of it: the quickest of three looks."""
        looks = []
        for _ in range(3):
            before = time.perf_counter()
            ticks = self._counter() / self.hz
            after = time.perf_counter()
            looks.append((after - before, (before + after) / 2 - ticks))
        return min(looks)[1]


__all__ = ["AT_ONCE", "FOREVER", "HAND_LANE", "MIX", "SCOPE", "SOURCE_LANE", "Engine"]
