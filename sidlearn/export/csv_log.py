"""The open register log: ``cycle,register,value``, a line a write."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from sidlearn.clock import PAL
from sidlearn.errors import SourceError
from sidlearn.export.rows import parse_rows
from sidlearn.writes import WRITE_DTYPE, RegisterWrites

HEADER = "cycle,register,value"


def write(writes: RegisterWrites, file: BinaryIO) -> None:
    """Write a log; its clock and length are not part of the format."""
    events = writes.events
    rows = np.column_stack([events[name].astype(np.int64) for name in WRITE_DTYPE.names or ()])
    file.write(f"{HEADER}\n".encode())
    np.savetxt(file, rows, fmt="%d", delimiter=",")


def read(text: str, name: str = "log", clock_hz: int = PAL.clock_hz) -> RegisterWrites:
    """Return the log that `text` holds, as long as its last write.

    Raises
    ------
    SourceError
        If the header is missing or a line is not three whole numbers, with the number of the line.
    WritesError
        If time falls or a register is outside the SID.
    """
    lines = text.splitlines()
    if not lines or lines[0].strip().replace(" ", "").lower() != HEADER:
        given = lines[0][:40] if lines else "an empty file"
        raise SourceError(f"{name}:1: expected the header {HEADER!r}, given {given!r}")
    rows = parse_rows(lines[1:], ",", name, first_line=2)
    return RegisterWrites.from_rows(rows, clock_hz=clock_hz, name=name)
