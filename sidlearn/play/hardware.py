"""Real chips at a MIDI port: what plays here is sent to them as ASID, and a box that is plugged in again catches up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from sidlearn import clock, registers
from sidlearn.config import Config
from sidlearn.midi import asid, ports
from sidlearn.terminal import Progress, note
from sidlearn.writes import SIDS

if TYPE_CHECKING:
    from sidlearn.play.player import Source

LOOK_SECONDS = 1.0
"""Between two looks at whether the port is still there."""

CONTROL_LAST = sorted(range(registers.WRITABLE), key=lambda r: r in asid.CONTROLS)


class Hardware:
    """Up to three SIDs at an output port.

    Parameters
    ----------
    system : sidlearn.midi.ports.System
    name : str
        The port or part of its name; `ports.VIRTUAL` makes one of our own.
    clock_hz : int
        Writes within one frame of that clock's television standard share messages.
    told : callable
        Takes a sentence when the port goes or comes back.

    Raises
    ------
    DeviceError
        If there is no such port now.
    """

    def __init__(
        self,
        system: ports.System,
        name: str,
        clock_hz: int = clock.PAL.clock_hz,
        told: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._system, self._told = system, told
        standard = clock.NTSC if abs(clock_hz - clock.NTSC.clock_hz) < abs(clock_hz - clock.PAL.clock_hz) else clock.PAL
        self.frame_cycles = standard.frame_cycles
        self._sender = asid.Sender(self.frame_cycles)
        self._image: dict[tuple[int, int], int] = {}
        self._lock = threading.Lock()
        self._name = name if name == ports.VIRTUAL else ports.check(name, system.outputs(), "output")
        self._port: ports.OutPort | None = system.talk(self._name)
        self._port.send(asid.START_MESSAGE)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if self._name != ports.VIRTUAL:
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def send(self, events: np.ndarray) -> None:
        """Send writes (`WRITE_DTYPE`) on; without the box they are kept for when it comes back."""
        with self._lock:
            for _, register, value in events.tolist():
                self._image[divmod(register, registers.MIRROR)] = value
            for _, message in self._sender.messages(events):
                self._send(message)

    def _send(self, message: bytes) -> None:
        if self._port is None:
            return
        try:
            self._port.send(message)
        except Exception as error:  # every system has errors of its own
            self._lose(str(error))

    def _lose(self, reason: str = "") -> None:
        if self._port is not None:
            with suppress(Exception):
                self._port.close()
            self._port = None
            self._told(f"{ports.bare(self._name)} has gone{f': {reason}' if reason else ''}")

    def look(self) -> None:
        """Notice when the box has been pulled out, and give it all registers when it is there again."""
        try:
            names = self._system.outputs()
        except Exception:  # the system itself has gone
            names = []
        found = next((n for n in names if ports.bare(n) == ports.bare(self._name)), None)
        with self._lock:
            if found is None:
                self._lose()
            elif self._port is None:
                try:
                    self._port = self._system.talk(found)
                except Exception:
                    return
                self._name = found
                self._told(f"{ports.bare(found)} is back")
                self._send(asid.START_MESSAGE)
                for sid in range(SIDS):
                    rows = [(r, self._image[sid, r]) for r in CONTROL_LAST if (sid, r) in self._image]
                    for message in asid.encode(rows, sid):
                        self._send(message)

    def _work(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self.look()

    def close(self) -> None:
        """Silence the chips and give the port back."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        with self._lock:
            for sid in sorted({0, *(s for s, _ in self._image)}):
                rows = [(r, self._image.get((sid, r), 0) & ~registers.GATE) for r in asid.CONTROLS]
                for message in asid.encode([*rows, (registers.MODE_VOL, 0)], sid):
                    self._send(message)
            self._send(asid.STOP_MESSAGE)
            if self._port is not None:
                with suppress(Exception):
                    self._port.close()
                self._port = None


def play_on(
    hardware: Hardware,
    source: Source,
    settings: Config,
    seconds: float | None = None,
    printed: Callable[[bytes], None] = lambda _: None,
    started: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> bool:
    """Play a source on real chips in real time, without sound here, to its end and until its last note has died away.

    Every write leaves in the frame of its time. Parameters and result are those of `sidlearn.play.player.play`.
    """
    from sidlearn.play.player import RETURN, Chips, Meter

    limit = clock.seconds_to_cycles(settings.machine.seconds if seconds is None else seconds, source.clock_hz)
    tail = clock.seconds_to_cycles(settings.audio.tail_seconds, source.clock_hz)
    chips = Chips(source, settings)  # they are not heard, but tell when the last note has died away
    cycle, tail_end = 0, None
    with Progress() as progress:
        meter = Meter(source.clock_hz, seconds)
        started()
        begun = time.perf_counter()
        while not stopped() and cycle < limit and (tail_end is None or cycle < tail_end):
            first = cycle
            cycle = min(cycle + hardware.frame_cycles, limit)
            events = source.advance(cycle)
            chips.clock(events, cycle)
            meter.note(events)
            text = source.printed()
            wait = begun + first / source.clock_hz - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            hardware.send(events)
            if text:
                progress.clear()
                printed(text)
                progress.held = text[-1] != RETURN
            progress.show(meter.line(first / source.clock_hz))
            if source.ended:
                tail_end = tail_end or cycle + tail
                if not chips.sounding:
                    tail_end = cycle
        wait = begun + cycle / source.clock_hz - time.perf_counter()
        if wait > 0 and not stopped():
            time.sleep(wait)
    return not source.ended


def open_hardware(name: str, clock_hz: int) -> Hardware:
    """Open the port that a user names, on the first MIDI system that works.

    Raises
    ------
    DeviceError
        If there is no MIDI system or no such port.
    """
    return Hardware(ports.find_system(), name, clock_hz, note)
