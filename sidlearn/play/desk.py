"""What the window needs to know of whatever plays: `Desk`. Live play is one, a source at play is another."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sidlearn import registers
from sidlearn.errors import RegisterError, SidlearnError

LEAST_TURN = 1 / 64
"""What a step of the wheel turns a knob by, where its own steps are not longer."""


@dataclass(frozen=True)
class Knob:
    """A parameter that can be turned.

    Attributes
    ----------
    name : str
        At most eight characters.
    get : callable
        Gives the value, 0 to 1.
    set : callable
        Takes one.
    text : callable
        Gives the value as a person reads it, at most eight characters.
    least : float
        The least that the wheel turns it by.
    """

    name: str
    get: Callable[[], float]
    set: Callable[[float], None]
    text: Callable[[], str]
    least: float = LEAST_TURN


class Desk(Protocol):
    """Whatever plays, as the window sees it."""

    record: np.ndarray
    """One `play.record.RECORD_DTYPE`, shape (1,)."""
    title: str
    model: str
    knobs: Sequence[Knob]
    instruments: Sequence[str]
    instrument: int
    """Place of the chosen one in `instruments`, -1 for none."""

    @property
    def latency_ms(self) -> float:
        """From a key or a POKE to the speakers."""

    def poke(self, register: int, value: int) -> None:
        """Write a register of the first SID as soon as it can be."""

    def key(self, note: int, velocity: int) -> None:
        """Press a key of the piano (velocity 1 to 127) or let it go (0); MIDI note numbers."""

    def sounding(self) -> dict[int, int]:
        """Return the notes that sound with their voices."""

    def choose(self, instrument: int) -> None:
        """Take another instrument."""

    def save(self) -> str:
        """Save the instrument as it is now; return a line for the user."""

    def pause(self) -> None:
        """Stop the time of what plays, or let it go on."""


_NUMBER = r"\s*(\$[0-9a-fA-F]+|\d+)\s*"
_POKE = re.compile(rf"\s*poke{_NUMBER},{_NUMBER}", re.IGNORECASE)
_PEEK = re.compile(rf"\s*(?:\?|print)\s*peek\s*\({_NUMBER}\)\s*", re.IGNORECASE)


def command(desk: Desk, line: str) -> str:
    """Obey a line of the POKE prompt, ``POKE 54296,15:POKE $D404,17`` or ``?PEEK(54299)``; return what to answer.

    Examples
    --------
    >>> command(None, "LIST")
    '?SYNTAX  ERROR: POKE ADDRESS,VALUE OR ?PEEK(ADDRESS)'
    """
    answers = []
    for statement in line.split(":"):
        if not statement.strip():
            continue
        poke, peek = _POKE.fullmatch(statement), _PEEK.fullmatch(statement)
        try:
            if poke:
                desk.poke(_writable(_value(poke[1])), registers.check_value(_value(poke[2])))
            elif peek:
                answers.append(str(_peek(desk, registers.from_address(_value(peek[1])))))
            else:
                return "?SYNTAX  ERROR: POKE ADDRESS,VALUE OR ?PEEK(ADDRESS)"
        except SidlearnError as error:
            return f"?ILLEGAL QUANTITY  ERROR: {error}"
    return " ".join(answers) or "READY."


def _value(text: str) -> int:
    return int(text[1:], 16) if text.startswith("$") else int(text)


def _writable(address: int) -> int:
    number = registers.from_address(address)
    if number >= registers.WRITABLE:
        raise RegisterError(f"address {address}: it can only be read")
    return number


def _peek(desk: Desk, register: int) -> int:
    """Return what the chip answered last: OSC3 and ENV3 from its state, any other register as it was written."""
    record = desk.record[0]
    voice = record["voices"][0, 2]
    if register == registers.OSC3:
        return int(voice["osc3"]) >> 4
    if register == registers.ENV3:
        return int(voice["env3"])
    return int(record["registers"][0, register])


def listing(image: Sequence[int]) -> str:
    """Return the registers as a line of BASIC that sets them: what Ctrl-C copies.

    Examples
    --------
    >>> print(listing([0] * 24 + [15]), end="")
    10 FORI=54272TO54296:READV:POKEI,V:NEXT
    20 DATA0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,15
    """
    values = ",".join(str(int(v)) for v in image[: registers.WRITABLE])
    return f"10 FORI=54272TO54296:READV:POKEI,V:NEXT\n20 DATA{values}\n"
