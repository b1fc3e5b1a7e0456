"""Live play: MIDI and keys to the player, the player's writes to the engine, each at its time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from sidlearn.errors import DeviceError
from sidlearn.midi.player import Player
from sidlearn.play.live import AT_ONCE, HAND_LANE, Engine
from sidlearn.writes import FRAME_ORDER, WRITE_DTYPE

TICK_SECONDS = 0.002
"""How often the frames that have become due are handed on."""

AT_A_TIME = 8
"""Messages that a MIDI system's own thread may be kept for; what comes faster waits for the next tick, in its order."""

TOGETHER_SECONDS = 0.001
"""Controllers that wait in a row and came within so long act together, at the time of the last."""


class Performer:
    """A player on an engine, in real time.

    Parameters
    ----------
    engine : Engine
    tap : callable, optional
        Takes the writes too, `WRITE_DTYPE`: to real hardware, for one.

    Attributes
    ----------
    player : Player
        Touch it inside `with performer.lock` alone.
    """

    def __init__(
        self,
        engine: Engine,
        make_player: Callable[[Performer], Player],
        tap: Callable[[np.ndarray], None] | None = None,
    ) -> None:
        self.engine = engine
        self.lock = threading.RLock()
        self._tap = tap
        self._waiting: list[tuple[int, int, int]] = []
        self._inbox: deque[tuple[bytes, float]] = deque()
        self._behind = False
        self.messages = 0
        self.player = make_player(self)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def poke(self, cycle: int, register: int, value: int) -> None:
        """Take a write of the player."""
        self._waiting.append((cycle, register, value))

    def peek(self, cycle: int, register: int) -> int:
        """Return what the chip answers now."""
        return self.engine.peek(cycle, register)

    def receive(self, message: bytes, seconds: float | None = None) -> None:
        """Take a MIDI message that came at a time of `time.perf_counter`; from any thread, which is not kept long."""
        self._inbox.append((message, time.perf_counter() if seconds is None else seconds))
        if self.lock.acquire(blocking=False):  # else whoever has it, or the next tick, sees to it
            try:
                self._empty(AT_A_TIME)
            finally:
                self.lock.release()

    def _empty(self, most: int | None = None) -> None:
        """Play messages that wait, in their order; called with the lock held."""
        inbox, player = self._inbox, self.player
        for _ in range(len(inbox) if most is None else min(most, len(inbox))):
            message, came = inbox.popleft()
            self.messages += 1
            together = bool(inbox) and inbox[0][1] - came < TOGETHER_SECONDS and player.can_wait(inbox[0][0])
            player.message(self.engine.cycle_at(came), message, wait=together and player.can_wait(message))
        self.hand_on()

    def lost(self) -> None:
        """A keyboard has gone: let go whatever it held."""
        with self.lock:
            self._empty()
            self.player.all_notes_off(self.engine.cycle_at())
            self.hand_on()

    def tick(self) -> None:
        """Hand on the messages that wait and the frames that are due."""
        with self.lock:
            self._empty()
            self.player.advance(self.engine.cycle_at())
            self.hand_on()

    def write(self, register: int, value: int) -> None:
        """Write a register of the first chip as soon as it can be."""
        self.pass_on(np.array([(AT_ONCE, register, value)], WRITE_DTYPE))

    def pass_on(self, events: np.ndarray) -> None:
        """Give writes that are not the player's to the engine, and to whoever listens."""
        with self.lock:
            if self._behind:  # what was lost is made good by what the registers should hold by now
                rows = [(AT_ONCE, r, self.player.wanted[r]) for r in FRAME_ORDER]
                events = np.concatenate([np.array(rows, WRITE_DTYPE), events])
            try:
                self.engine.write(events, HAND_LANE)
                self._behind = False
            except DeviceError:  # the chips stand still, or the device takes no more
                self._behind = True
            if self._tap is not None:
                self._tap(events)

    def hand_on(self) -> None:
        """Give the player's writes to the engine; called with the lock held."""
        if self._waiting:
            events = np.array(self._waiting, WRITE_DTYPE)
            self._waiting.clear()
            self.pass_on(events)

    def start(self) -> None:
        """Let frames go by in a thread of their own."""
        with self.lock:
            self.hand_on()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(TICK_SECONDS):
            self.tick()

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
