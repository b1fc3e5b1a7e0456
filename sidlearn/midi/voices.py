"""Who gets which of the three voices: the rule table, and nothing else.

A note takes a voice by the first rule of `RULES` that fits any; where it fits several, the one whose state has lasted
longest, then the one with the lowest number. So voices that sound are left alone while one is released, released ones
while one is silent, and notes go round in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from sidlearn.registers import VOICES

FREE, RELEASED, PEDAL, HELD = "free", "released", "pedal", "held"
"""Silent; dying away; held by a pedal after its key; held by its key."""

MODES = ("poly", "mono", "unison", "chord", "arp", "multi")
"""How keys share the voices.

poly: a voice a note. mono: one voice, one note at a time. unison: one note on all voices, detuned. chord: up to three
notes under one envelope, the voices left over double them. arp: all keys in turn on one voice under one envelope, at
frame rate. multi: channels 1 to 3 are voices 1 to 3, all others play poly.
"""

PRIORITIES = ("last", "low", "high")
"""Which of several keys sounds where there is room for one."""

Key = tuple[int, int]
"""Channel and note, both from 0."""


@dataclass
class Slot:
    """A voice as the rules see it; `since` counts events, so that it orders without a clock."""

    key: Key | None = None
    state: str = FREE
    since: int = 0
    reserved: Key | None = None


Rule = tuple[str, Callable[[Slot, Key, Collection[Key]], bool]]

RULES: tuple[Rule, ...] = (
    ("made ready for this note", lambda slot, key, ending: slot.reserved == key),
    ("the same key again", lambda slot, key, ending: slot.key == key and slot.state != FREE and slot.reserved is None),
    ("silent", lambda slot, key, ending: slot.state == FREE and slot.reserved is None),
    ("released", lambda slot, key, ending: slot.state == RELEASED and slot.reserved is None),
    ("ends before the note begins", lambda slot, key, ending: slot.key in ending and slot.reserved is None),
    ("held by a pedal", lambda slot, key, ending: slot.state == PEDAL and slot.reserved is None),
    ("held by a key", lambda slot, key, ending: slot.state == HELD and slot.reserved is None),
    ("made ready for another", lambda slot, key, ending: True),
)
"""Name -> whether it fits (slot, new key, keys known to end before it begins); the first that fits any slot decides."""


class Allocator:
    """The state of the voices, and the choice by `RULES`."""

    def __init__(self, voices: int = VOICES) -> None:
        self.slots = [Slot() for _ in range(voices)]
        self._count = 0

    def choose(self, key: Key, among: Collection[int] | None = None, ending: Collection[Key] = ()) -> int:
        """Return the voice that a note would get now."""
        numbers = range(len(self.slots)) if among is None else sorted(among)
        for _, fits in RULES:
            fitting = [n for n in numbers if fits(self.slots[n], key, ending)]
            if fitting:
                return min(fitting, key=lambda n: (self.slots[n].since, n))
        raise AssertionError("the last rule fits always")

    def set(self, voice: int, state: str, key: Key | None = None) -> None:
        """Note that a voice has changed its state; it keeps its key unless a new one is given."""
        slot = self.slots[voice]
        self._count += 1
        slot.state, slot.since = state, self._count
        if state == HELD:
            slot.key, slot.reserved = key, None
        elif state == FREE:
            slot.key = None

    def reserve(self, voice: int, key: Key) -> None:
        """Keep a voice for a note that is about to begin; whatever it plays is over."""
        slot = self.slots[voice]
        slot.reserved = key
        if slot.state != FREE:
            self.set(voice, RELEASED)
            slot.key = None

    def find(self, key: Key, *states: str) -> list[int]:
        """Return the voices with that key in one of these states."""
        return [n for n, slot in enumerate(self.slots) if slot.key == key and slot.state in states]
