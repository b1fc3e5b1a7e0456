"""Keys typed while a program plays aloud: GET gets keys, INPUT gets lines, and the sound goes on meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter
    from sidlearn.terminal import RawKeys

RETURN, DELETE, BLANK = 13, 20, 32


class LiveKeyboard:
    """A person at the keyboard of a program at play.

    The program runs in a thread of its own, because INPUT may wait in the middle of a statement. The thread runs only
    while `run` waits for it, so that nothing is shared while both work.

    Parameters
    ----------
    keys : RawKeys
        Open while the program plays.
    """

    def __init__(self, keys: RawKeys) -> None:
        self._keys = keys
        self._echo = bytearray()
        self._line = bytearray()
        self._typed_ahead = bytearray()
        self._asking = False
        self._answer: str | None = None
        self._thread: threading.Thread | None = None
        self._turn, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._until = 0
        self._failure: BaseException | None = None

    # the program's side

    def typed(self) -> bytes:
        """Return the PETSCII keys that have been typed since the last call."""
        from sidlearn.basic.keyboard import typed_keys

        keys = bytes(self._typed_ahead) + typed_keys(self._keys.read())
        self._typed_ahead.clear()
        return keys

    def readline(self) -> str:
        """Wait until a line has been typed."""
        self._asking = True
        self._done.release()
        self._turn.acquire()
        self._asking = False
        answer, self._answer = self._answer or "", None
        return answer

    # the player's side

    def run(self, machine: Interpreter, until_cycle: int) -> None:
        """Let the program run to `until_cycle`, or let it wait for its line."""
        if self._asking:
            self._type()
            while machine.now < until_cycle:  # the machine's clock goes on while it waits
                machine.cycles = machine.wall.pure(until_cycle, machine.cycles)
            if self._answer is None:
                return
        elif self._thread is None:
            self._thread = threading.Thread(target=self._work, args=(machine,), daemon=True)
            self._thread.start()
        self._until = until_cycle
        self._turn.release()
        self._done.acquire()
        if self._failure is not None:
            raise self._failure

    def echo(self) -> bytes:
        """Return what the screen shows of the keys typed since the last call, in PETSCII."""
        part = bytes(self._echo)
        self._echo.clear()
        return part

    def _work(self, machine: Interpreter) -> None:
        self._turn.acquire()
        while True:
            try:
                machine.run(self._until)
            except BaseException as failure:  # told by the thread that plays
                self._failure = failure
            self._done.release()
            self._turn.acquire()

    def _type(self) -> None:
        """Edit the line that the program waits for."""
        from sidlearn.basic.petscii import Terminal

        keys = self.typed()
        for i, key in enumerate(keys):
            if key == RETURN:
                self._answer = Terminal().text(bytes(self._line)) + "\n"
                self._echo.append(RETURN)
                self._line.clear()
                self._typed_ahead += keys[i + 1 :]
                return
            if key == DELETE:
                self._echo += bytes((DELETE,)) if self._line else b""
                del self._line[-1:]
            elif key & 0x7F >= BLANK:
                self._line.append(key)
                self._echo.append(key)
