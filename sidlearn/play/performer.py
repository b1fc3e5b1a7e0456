"""Live play: MIDI and keys to the player, the player's writes to the engine, each at its time."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from sidlearn.midi.player import Player
from sidlearn.play.live import AT_ONCE, HAND_LANE, Engine
from sidlearn.writes import WRITE_DTYPE

TICK_SECONDS = 0.002
"""How often the frames that have become due are handed on."""


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
        """Take a MIDI message that came at a time of `time.perf_counter`; from any thread."""
        with self.lock:
            self.messages += 1
            self.player.message(self.engine.cycle_at(seconds), message)
            self.hand_on()

    def lost(self) -> None:
        """A keyboard has gone: let go whatever it held."""
        with self.lock:
            self.player.all_notes_off(self.engine.cycle_at())
            self.hand_on()

    def tick(self) -> None:
        """Hand on the frames that are due."""
        with self.lock:
            self.player.advance(self.engine.cycle_at())
            self.hand_on()

    def write(self, register: int, value: int) -> None:
        """Write a register of the first chip as soon as it can be."""
        self.pass_on(np.array([(AT_ONCE, register, value)], WRITE_DTYPE))

    def pass_on(self, events: np.ndarray) -> None:
        """Give writes that are not the player's to the engine, and to whoever listens."""
        with self.lock:
            self.engine.write(events, HAND_LANE)
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
