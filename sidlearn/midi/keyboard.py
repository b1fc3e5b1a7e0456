"""The computer's keyboard as a piano: two rows of letters, as trackers have them."""

from __future__ import annotations

from collections.abc import Callable

LOWER, UPPER = "zsxdcvgbhnjm,l.;/", "q2w3er5t6y7ui9o0p"
SEMITONES = {
    **{key: n for n, key in enumerate(LOWER)},
    **{key: n + 12 for n, key in enumerate(UPPER)},
}
"""Key -> semitones above the lower row's C, on a keyboard with American keys."""

FIRST_C = 48
OCTAVE_DOWN, OCTAVE_UP, SILENCE = "<[", ">]", " "
LOWEST, HIGHEST = 0, 108

HELD_SECONDS = 0.6
"""A terminal tells no key's release: a note lasts until its key has not repeated for so long."""

VELOCITY = 100


class Piano:
    """Keys to notes.

    Parameters
    ----------
    send : callable
        Takes MIDI messages.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self.first_note = FIRST_C
        self._down: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def press(self, key: str) -> bool:
        """Take a key that goes down; return whether it means anything."""
        if key in OCTAVE_DOWN:
            self.first_note = max(self.first_note - 12, LOWEST)
        elif key in OCTAVE_UP:
            self.first_note = min(self.first_note + 12, HIGHEST)
        elif key == SILENCE:
            self.release_all()
        elif key.lower() in SEMITONES:
            self._press_note(key.lower())
        else:
            return False
        return True

    def _press_note(self, key: str) -> None:
        if key in self._down:
            return
        note = min(self.first_note + SEMITONES[key], 127)
        self._down[key] = note
        self._send(bytes((0x90, note, VELOCITY)))

    def release(self, key: str) -> None:
        """Take a key that goes up."""
        note = self._down.pop(key.lower(), None)
        self._until.pop(key.lower(), None)
        if note is not None:
            self._send(bytes((0x80, note, 0)))

    def release_all(self) -> None:
        """Let all notes go."""
        for key in list(self._down):
            self.release(key)

    def typed(self, text: str, now: float) -> None:
        """Take what a terminal gives, at a time in seconds."""
        for key in text:
            if self.press(key) and key.lower() in self._down:
                self._until[key.lower()] = now + HELD_SECONDS

    def tick(self, now: float) -> None:
        """Let notes go whose keys have not repeated."""
        for key in [k for k, until in self._until.items() if until <= now]:
            self.release(key)
