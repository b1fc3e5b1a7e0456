"""From MIDI notes to the FREQ registers."""

from __future__ import annotations

from functools import lru_cache

from sidlearn import clock

A4_NOTE, A4_HZ = 69, 440.0
"""Source: MIDI 1.0, note numbers; concert pitch."""

CENTS = 100


def note_to_hz(note: float, a4_hz: float = A4_HZ) -> float:
    """Return the pitch of a note number, which may lie between two keys, in equal temperament."""
    return a4_hz * 2 ** ((note - A4_NOTE) / 12)


@lru_cache(maxsize=4096)
def note_to_freq(note: float, clock_hz: int = clock.PAL.clock_hz, a4_hz: float = A4_HZ) -> int:
    """Return the FREQ value nearest to a note, held within 0 to 65535 (3.85 kHz at most on PAL).

    Examples
    --------
    >>> note_to_freq(69)
    7493
    """
    return clock.hz_to_freq(note_to_hz(note, a4_hz), clock_hz)


NAMES = ("C-", "C#", "D-", "D#", "E-", "F-", "F#", "G-", "G#", "A-", "A#", "B-")


def note_name(note: int) -> str:
    """Return a key's name with its octave, as trackers write it: 60 is ``C-4``."""
    return f"{NAMES[note % 12]}{note // 12 - 1}"


def note_number(name: str) -> int | None:
    """Return the note number of ``C-4``, ``C4``, ``C#4`` or ``Db4``; None if it is no such name."""
    text = name.strip().replace("-", "", 1) if name.strip()[1:2] == "-" else name.strip()
    letters = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
    if not text or text[0].upper() not in letters:
        return None
    semitone, rest = letters[text[0].upper()], text[1:]
    if rest[:1] in ("#", "b"):
        semitone += 1 if rest[0] == "#" else -1
        rest = rest[1:]
    if not rest.lstrip("-").isdigit():
        return None
    number = semitone + 12 * (int(rest) + 1)
    return number if 0 <= number <= 127 else None
