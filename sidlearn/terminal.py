"""What a person at a terminal sees beside results: notes, warnings and progress, all on standard error.

Nothing is written when standard error is no terminal, so scripts and pipes see results only.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def is_terminal() -> bool:
    """Whether a person can see standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def colour(text: str, code: str) -> str:
    """Return `text` in an ANSI colour, where the terminal has any and ``NO_COLOR`` does not forbid it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not is_terminal():
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def note(text: str) -> None:
    """Tell the user something on a line of its own."""
    if is_terminal():
        print(f"\r\x1b[K{colour('sidlearn:', '36')} {text}", file=sys.stderr, flush=True)


class Progress:
    """One line that is written over and over, and taken away at the end."""

    def __init__(self, enabled: bool = True) -> None:
        self._on = enabled and is_terminal() and os.environ.get("TERM") != "dumb"
        self._shown = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Replace the line."""
        if self._on and text != self._shown:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{text[:width]}\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = text

    def clear(self) -> None:
        """Take the line away."""
        if self._on and self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
            self._shown = ""


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
