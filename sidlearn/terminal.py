"""What a person at a terminal sees beside results: notes, warnings and progress, all on standard error.

Nothing is written when standard error is no terminal, so scripts and pipes see results only.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


def is_terminal() -> bool:
    """Whether a person can see standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def shows_colours(stream: TextIO | None) -> bool:
    """Whether a stream is a terminal that obeys ANSI sequences, and ``NO_COLOR`` does not forbid colours."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or os.name == "nt":
        return False
    return stream is not None and stream.isatty()


def colour(text: str, code: str) -> str:
    """Return `text` in an ANSI colour, where the terminal has any and ``NO_COLOR`` does not forbid it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not is_terminal():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def note(text: str) -> None:
    """Tell the user something on a line of its own."""
    if is_terminal():
        print(f"\r\x1b[K{colour('sidlearn:', '36')} {text}", file=sys.stderr, flush=True)


class RawKeys:
    """Keys as they are typed on standard input, without echo and without waiting for the end of the line.

    Between `open` and `close` (or inside ``with``) the terminal is in that mode; Ctrl-C stays an interrupt. Where
    standard input is no terminal, or that of another job, no key ever comes.
    """

    def __init__(self) -> None:
        self._before: list | None = None
        self._opened = False

    def __enter__(self) -> RawKeys:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def available() -> bool:
        """Whether a person can type on standard input."""
        try:
            if not sys.stdin.isatty():
                return False
            return os.name == "nt" or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
        except (AttributeError, OSError, ValueError):
            return False

    def open(self) -> None:
        """Take the terminal."""
        self._opened = self.available()
        if self._opened and os.name != "nt":
            import termios

            fd = sys.stdin.fileno()
            self._before = termios.tcgetattr(fd)
            mode = termios.tcgetattr(fd)
            mode[3] &= ~(termios.ICANON | termios.ECHO)
            mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
            termios.tcsetattr(fd, termios.TCSADRAIN, mode)

    def close(self) -> None:
        """Give the terminal back as it was."""
        self._opened = False
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)
            self._before = None

    def read(self) -> str:
        """Return what has been typed since the last call."""
        if not self._opened:
            return ""
        if os.name == "nt":
            import msvcrt

            text = ""
            while msvcrt.kbhit():  # type: ignore[attr-defined]
                text += msvcrt.getwch()  # type: ignore[attr-defined]
            return text
        import select

        fd = sys.stdin.fileno()
        if not select.select([fd], [], [], 0)[0]:
            return ""
        try:
            typed = os.read(fd, 1024)
        except OSError:
            typed = b""
        self._opened = bool(typed)  # the terminal has gone
        return typed.decode("utf-8", "ignore")


class Progress:
    """One line that is written over and over, and taken away at the end.

    Attributes
    ----------
    held : bool
        Whether something else stands on the line, so that nothing is shown.
    """

    held = False

    def __init__(self, enabled: bool = True) -> None:
        self._on = enabled and is_terminal() and os.environ.get("TERM") != "dumb"
        self._shown = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._on and text != self._shown and not self.held:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]}\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = text

    def clear(self) -> None:
        """Take the line away."""
        if self._on and self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = ""


BAR_COLUMNS = 24


class Bar:
    """How far something is and how long it will take, on a line that is written over and over."""

    def __init__(self) -> None:
        self._line = Progress()
        self._start: float | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, done: float, what: str) -> None:
        """Show the share that is done, 0 to 1, and what is being done."""
        now = time.monotonic()
        if self._start is None or done <= 0:
            self._start = now
        full = round(BAR_COLUMNS * min(max(done, 0.0), 1.0))
        left = ""
        if done > 0.02:  # before that the guess would jump about
            seconds = round((now - self._start) * (1 - done) / done)
            left = f"  {seconds // 60}:{seconds % 60:02d} left"
        self._line.show(f"[{'#' * full}{'.' * (BAR_COLUMNS - full)}] {100 * done:3.0f} %  {what}{left}")

    def clear(self) -> None:
        """Take the line away; the next thing begins at 0."""
        self._line.clear()
        self._start = None


@contextmanager
def patience(text: str, after_seconds: float = 2.0) -> Iterator[threading.Timer]:
    """Tell `text` if the block takes longer than `after_seconds`: the first compilation does, once per machine.

    Gives the timer, which can be cancelled when what was waited for has come.
    """
    timer = threading.Timer(after_seconds, note, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield timer
    finally:
        timer.cancel()


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep what sound and MIDI libraries print, a dozen lines about cards that are missing, off standard error."""
    try:
        sys.stderr.flush()
        kept = os.dup(2)
    except (OSError, ValueError, AttributeError):  # there is no standard error
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
