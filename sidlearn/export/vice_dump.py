"""The sound dump of VICE: ``delta register value`` in decimal, delta in cycles since the last write.

Source: what ``x64sc -sounddev dump`` writes.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from sidlearn.clock import PAL
from sidlearn.export.rows import parse_rows
from sidlearn.writes import RegisterWrites


def write(writes: RegisterWrites, file: BinaryIO) -> None:
    """Write a log; its clock and length are not part of the format."""
    events = writes.events
    delta = np.diff(events["cycle"], prepend=0)
    rows = np.column_stack([delta, events["register"].astype(np.int64), events["value"].astype(np.int64)])
    np.savetxt(file, rows, fmt="%d")


def read(text: str, name: str = "log", clock_hz: int = PAL.clock_hz) -> RegisterWrites:
    """Return the log that `text` holds, as long as its last write.

    Raises
    ------
    SourceError
        If a line is not three whole numbers, with the number of the line.
    WritesError
        If a delta is negative or a register is outside the SID.
    """
    rows = parse_rows(text.splitlines(), None, name, first_line=1)
    rows[:, 0] = np.cumsum(rows[:, 0])
    return RegisterWrites.from_rows(rows, clock_hz=clock_hz, name=name)
