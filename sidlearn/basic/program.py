"""`run`: a listing in, everything it has done out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import StringIO
from typing import TextIO

import numpy as np

from sidlearn import clock
from sidlearn.basic.cpuport import CpuPort
from sidlearn.basic.interpreter import Interpreter
from sidlearn.writes import LogPort, RegisterWrites, SidPort


@dataclass(frozen=True)
class Run:
    """What a program has done.

    Attributes
    ----------
    output : bytes
        PETSCII as sent to CHROUT, with the text of an error or BREAK, without RUN's echo and READY.
    error : str or None
        ``?SYNTAX  ERROR IN 20``, or ``BREAK IN 20``.
    writes : RegisterWrites
        Every write to the SID; as long as the program ran.
    cycles : int
        From the dispatch of the first statement to the end of the program.
    trace : ndarray, TRACE_DTYPE, or None
        One row a statement, when asked for.
    waiting : bool
        Whether the program was left waiting for a key or a line that never comes.
    """

    output: bytes
    error: str | None
    writes: RegisterWrites
    cycles: int
    trace: np.ndarray | None
    waiting: bool = False


class _Tee(LogPort):
    """Keeps the writes and passes them on to the chip that answers PEEKs."""

    def __init__(self, sid: SidPort | None):
        super().__init__()
        self.sid = sid

    def poke(self, cycle: int, register: int, value: int) -> None:
        super().poke(cycle, register, value)
        if self.sid is not None:
            self.sid.poke(cycle, register, value)


def run(
    program: str | bytes,
    video: str | None = None,
    sid: SidPort | None = None,
    max_cycles: int | None = None,
    trace: bool = False,
    keys: bytes = b"",
    lines: Iterable[str] | TextIO | None = None,
    cpu: CpuPort | None = None,
) -> Run:
    """Run a BASIC program to its end.

    Parameters
    ----------
    program : str or bytes
        A listing, or a tokenised program (.prg).
    video : str or None
        None counts pure CPU cycles, "pal" and "ntsc" the wall clock.
    sid : SidPort, optional
        Gets every write, and answers PEEKs of 54297 to 54300.
    max_cycles : int, optional
        Stop there, on the clock that `video` chooses.
    trace : bool
        Keep the cycle and line of every statement.
    keys : bytes
        PETSCII keys that wait in the keyboard buffer.
    lines : text stream or lines, optional
        What INPUT is answered.
    cpu : CpuPort, optional
        Runs SYS and USR.

    Returns
    -------
    run : Run

    Examples
    --------
    >>> from sidlearn.basic import run
    >>> result = run("10 poke 54296,15: print 2^10")
    >>> result.output
    b' 1024\\x1d\\r'
    >>> result.writes.events["value"]
    array([15], dtype=uint8)
    """
    if isinstance(program, str):
        from sidlearn.basic.listing import type_in

        # The screen editor gives BASIC no blanks at the end of a line.
        program = type_in("\n".join(line.rstrip(" ") for line in program.splitlines()))
    if lines is not None and not hasattr(lines, "readline"):
        lines = StringIO("".join(f"{line}\n" for line in lines))
    port = _Tee(sid)
    machine = Interpreter(program, port, video, sid, trace, keys, lines, cpu)  # type: ignore[arg-type]
    machine.run(max_cycles)
    clock_hz = (clock.video(video) if video else clock.PAL).clock_hz
    cycles = machine.now
    writes = port.writes(max(cycles, port.cycles[-1] if port.cycles else 0), clock_hz)
    if max_cycles is not None and cycles > max_cycles:
        cycles, writes = max_cycles, writes.cut(max_cycles)
    return Run(bytes(machine.screen.output), machine.error, writes, cycles, machine.trace, machine.waiting)
