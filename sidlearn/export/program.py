"""The program that plays a log on the real machine: of our players the truest one that can carry it.

Bursts keep every write's cycle, or nearly so where memory is short; so does the player by cycles, which takes more
memory and all of the machine; streams keep order and frame. What comes too fast for calls has to be played by cycles.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidlearn.errors import OutputError
from sidlearn.export import burst, packed, timed
from sidlearn.export.packed import Ticks
from sidlearn.writes import RegisterWrites

TIMINGS = ("auto", "cycles")
"""How a log becomes a program: the truest way that carries it, or by cycles whatever it is."""


@dataclass(frozen=True)
class Program:
    """A player with its data.

    Attributes
    ----------
    image : bytes
        As it lies in memory.
    labels : dict
        Name -> address.
    cut : Ticks or None
        The calls that it wants; None where it plays by cycles and never comes back.
    """

    image: bytes
    labels: dict[str, int]
    cut: Ticks | None


def program(writes: RegisterWrites, shell: str, address: int, end: int, timing: str = "auto") -> Program:
    """Return the program that plays a log, in the memory from `address` to `end`.

    Parameters
    ----------
    writes : RegisterWrites
    shell : str
        What calls the player: a file of `players`.
    address, end : int
        The first address, and the first one behind the memory that may be used.
    timing : str
        One of `TIMINGS`.

    Raises
    ------
    OutputError
        If it does not fit into a C64's memory, with its size and how much of it would, or writes faster than a player
        can.
    """
    if timing == "cycles":
        return Program(*timed.program(writes, address, end), None)
    cuts = list(packed.cuts(writes))
    played = next((cut for cut in cuts if burst.keeps_time(cut)), None)
    made = played and burst.program(played, shell, address, end)
    if made:
        return Program(*made, played)
    carried = next((cut for cut in cuts if cut.carried), None)
    try:
        return Program(*timed.program(writes, address, end, strict=carried is not None), None)
    except OutputError:
        if carried is None:
            raise
        return Program(*packed.program(writes, carried, shell, address, end), carried)
