"""Lines of three whole numbers, as the text formats of register logs have them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sidlearn.errors import SourceError


def parse_rows(lines: Sequence[str], separator: str | None, name: str, first_line: int) -> np.ndarray:
    """Return int64 ``(n, 3)``; blank lines are skipped.

    Raises
    ------
    SourceError
        With file name and line number, if a line holds anything else.
    """
    rows = []
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        parts = line.split(separator)
        try:
            cycle, register, value = (int(p) for p in parts)
        except ValueError:
            raise SourceError(f"{name}:{number}: expected three whole numbers, given {line.strip()[:40]!r}") from None
        if not (abs(cycle) < 1 << 62 and 0 <= register <= 255 and 0 <= value <= 255):
            raise SourceError(
                f"{name}:{number}: expected a cycle, register 0 to 24, value 0 to 255, given {line.strip()[:40]!r}"
            )
        rows.append((cycle, register, value))
    return np.array(rows, np.int64).reshape(-1, 3)
