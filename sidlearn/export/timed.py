"""Register writes at their cycles, for logs that calls of a player do not carry: samples, and the writes of BASIC.

The machine does nothing else meanwhile. A write takes at least 59 cycles, so that writes which stand closer are put
off; those to the registers that change fastest are kept to their cycle, the others go into the gaps between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from sidlearn import registers
from sidlearn.errors import OutputError
from sidlearn.export.packed import changes, source, video_of
from sidlearn.writes import RegisterWrites

# Cycles from write to write by how the write is told, as `players/timed.s` says.
FULL, LITERAL, ESCAPE = 52, 63, 78
LEAST_WAIT, MOST_WAIT = 7, 5 * 256 + 6
PAGE_CYCLES, PAUSE_CYCLES, TURN_CYCLES, MOST_TURNS = 30, 40, 1009, 255
PAGE_BYTES = 256
ROWS = 252
"""Rows of the tables; four values are left for what is not a row."""
TOP_CYCLES = 63
"""From the top of the picture to where the cycles are counted from, a few more than it takes: so that every write is as
far behind the top of a picture as behind the beginning of a frame in the log."""
FAST_A_SECOND = 400
"""A register that is written more often than this keeps its cycles: eight times a picture."""
NEAR_CYCLES = 2000
"""While such writes come closer together than this, the times of others are whole steps."""
STEP_CYCLES = 16
"""Those steps: a guess; the fewer different times there are, the shorter are the data."""
TOLERATED_CYCLES, TOLERATED = 64, 0.02
"""Of the fast writes no more than this share may come later than that."""

Write = tuple[int, int, int]
"""Cycle, register, value."""


def before_first(writes: RegisterWrites) -> int:
    """Return the cycles that the player waits for the log's first one."""
    return video_of(writes).frame_cycles - TOP_CYCLES


def schedule(writes: RegisterWrites) -> tuple[list[Write], list[bool]]:
    """Return the writes in the order in which they are made and when they should be, and which are the fast ones."""
    events, before = changes(writes), before_first(writes)
    rate = np.bincount(events["register"], minlength=registers.WRITABLE) / max(writes.seconds, 1e-9)
    is_fast = rate > FAST_A_SECOND
    rows = [
        (int(c) + before, int(r), int(v))
        for c, r, v in zip(events["cycle"], events["register"], events["value"], strict=True)
    ]
    fast = [row for row in rows if is_fast[row[1]]]
    slow = [row for row in rows if not is_fast[row[1]]]
    room = LITERAL + LEAST_WAIT
    out: list[Write] = []
    flags: list[bool] = []
    now = at = 0
    for row in fast:
        cycle = row[0]
        while at < len(slow):
            wanted = max(slow[at][0], now + room)
            if cycle - now < NEAR_CYCLES:
                wanted = now + room + -(-(wanted - now - room) // STEP_CYCLES) * STEP_CYCLES
            if wanted + room > cycle:
                break
            out.append((wanted, *slow[at][1:]))
            flags.append(False)
            now = wanted
            at += 1
        out.append(row)
        flags.append(True)
        now = max(cycle, now + room)
    out += slow[at:]
    flags += [False] * (len(slow) - at)
    return out, flags


@dataclass
class Tables:
    """The rows that writes are told by: whole ones, and those whose value follows."""

    whole: list[tuple[int, int, int]] = field(default_factory=list)  # cycles since the last write, register, value
    open: list[tuple[int, int]] = field(default_factory=list)  # cycles, register

    def image(self) -> bytes:
        """Return the four pages: values, registers, fine and coarse times."""
        rows = [(cycles - FULL, register, value) for cycles, register, value in self.whole]
        rows += [(cycles - LITERAL, register, 0) for cycles, register in self.open]
        pages = np.zeros((4, PAGE_BYTES), np.uint8)
        for n, (wait, register, value) in enumerate(rows):
            pages[:, n] = value, register, *times(wait)
        return pages.tobytes()


def times(wait: int) -> tuple[int, int]:
    """Return the fine and the coarse time of a wait from `LEAST_WAIT` to `MOST_WAIT` cycles."""
    fine = (wait - 2) % 5 + 2
    return 7 - fine, (wait - fine) // 5 & 0xFF


def choose(rows: list[Write]) -> Tables:
    """Return the tables that make the data shortest: by trying how many rows are left open."""
    deltas = np.diff([0, *(cycle for cycle, _, _ in rows)]).tolist()
    whole = Counter((d, r, v) for d, (_, r, v) in zip(deltas, rows, strict=True) if LEAST_WAIT <= d - FULL <= MOST_WAIT)
    opened: Counter[tuple[int, int]] = Counter()
    for (d, r, _), count in whole.items():
        if LEAST_WAIT <= d - LITERAL <= MOST_WAIT:
            opened[d, r] += count
    by_count = [key for key, count in opened.most_common(ROWS) if count > 1]
    best: tuple[int, Tables] = (0, Tables())
    for size in range(0, len(by_count) + 16, 16):
        chosen = by_count[:size]
        known = set(chosen)
        gains = {key: count * (1 if key[:2] in known else 4) for key, count in whole.items()}
        first = sorted(gains, key=lambda key: (-gains[key], key))[: ROWS - len(chosen)]
        gain = sum(gains[key] for key in first) + 3 * sum(opened[key] for key in chosen)
        if gain > best[0]:
            best = (gain, Tables(first, chosen))
    return best[1]


class Encoder:
    """Writes the data, write by write, and keeps count of where the player is."""

    def __init__(self, tables: Tables) -> None:
        self.data = bytearray()
        self.now = 0
        self._whole = {row: n for n, row in enumerate(tables.whole)}
        self._open = {row: n + len(tables.whole) for n, row in enumerate(tables.open)}
        self._special = len(tables.whole) + len(tables.open)
        self._waits: dict[int, list[int]] = {}  # of each register, the times that its open rows have
        for cycles, register in tables.open:
            self._waits.setdefault(register, []).append(cycles)
        for waits in self._waits.values():
            waits.sort()

    def put(self, cycle: int, register: int, value: int) -> int:
        """Add a write at `cycle`, or as soon after it as can be; return how many cycles it comes late."""
        delta = self._pause(cycle - self.now)
        code, late = self._code(delta, register, value)
        if not self._fits(len(code)):
            delta -= self._next_page()
            code, late = self._code(delta, register, value)
        self.data += code
        self.now = cycle + late
        return late

    def finish(self) -> bytes:
        """Return the data with their end."""
        if not self._fits(1):
            self._next_page()
        return bytes(self.data) + bytes((self._special + 3,))

    def _code(self, delta: int, register: int, value: int) -> tuple[bytes, int]:
        """Return the bytes of a write `delta` cycles after the last one, and how late it is."""
        row = self._whole.get((delta, register, value))
        if row is not None:
            return bytes((row,)), 0
        row = self._open.get((delta, register))
        if row is not None:
            return bytes((row, value)), 0
        escaped = max(delta, ESCAPE + LEAST_WAIT)
        waits = self._waits.get(register, [])
        at = bisect_left(waits, delta)
        if at < len(waits) and waits[at] <= escaped:
            return bytes((self._open[waits[at], register], value)), waits[at] - delta
        fine, coarse = times(escaped - ESCAPE)
        return bytes((self._special + 1, fine, register, value, coarse)), escaped - delta

    def _pause(self, delta: int) -> int:
        """Spend what is too long for one write; return what is left of `delta`."""
        while delta > FULL + MOST_WAIT:
            # what is left has to be enough for the longest way to tell the write
            turns = min((delta - PAUSE_CYCLES - 2 * PAGE_CYCLES - ESCAPE - LEAST_WAIT) // TURN_CYCLES, MOST_TURNS)
            if turns < 1:
                break
            if not self._fits(2):
                delta -= self._next_page()
                continue
            self.data += bytes((self._special + 2, turns))
            delta -= PAUSE_CYCLES + TURN_CYCLES * turns
        return delta

    def _fits(self, count: int) -> bool:
        """Whether so many bytes go into this page, with the one that ends it behind them."""
        return len(self.data) % PAGE_BYTES + count < PAGE_BYTES

    def _next_page(self) -> int:
        """Go on in the next page; return the cycles that this takes."""
        self.data.append(self._special)
        self.data += bytes(-len(self.data) % PAGE_BYTES)
        return PAGE_CYCLES


def program(writes: RegisterWrites, address: int, end: int, strict: bool = False) -> tuple[bytes, dict[str, int]]:
    """Return a player with its data, as they lie in memory from `address` on; with `strict` no register is put off.

    Raises
    ------
    OutputError
        If the writes come faster than the player can make them, or do not fit, with how much of them would.
    """
    if writes.sids > 1:
        raise OutputError(f"expected the writes to one SID, given {writes.sids}: our players write to one")
    rows, fast = schedule(writes)
    tables = choose(rows)
    encoder = Encoder(tables)
    made, ends = [], []
    for row in rows:
        made.append(row[0] + encoder.put(*row))
        ends.append(len(encoder.data))
    late = _late(writes, rows, np.array(made, np.int64))
    _check_speed(writes, rows, late if strict or not any(fast) else late[np.array(fast)])
    image, labels = assembled(tables, encoder.finish(), address)
    over = len(image) - (end - address)
    if over > 0:
        room = len(encoder.data) - over
        fits = (rows[int(np.searchsorted(ends, room, side="right")) - 1][0] - before_first(writes)) / writes.clock_hz
        raise OutputError(
            f"{len(encoder.data)} bytes for {writes.seconds:.1f} s of writes at their cycles: expected at most {room}"
            f" bytes, which is about {fits:.1f} s of it; cut it with --seconds"
        )
    return image, labels


def assembled(tables: Tables, data: bytes, address: int) -> tuple[bytes, dict[str, int]]:
    """Return player, tables and data, as they lie in memory from `address` on, and the player's labels."""
    from sidlearn.cpu.assemble import assemble

    special = len(tables.whole) + len(tables.open)

    def code(first: int) -> tuple[bytes, dict[str, int]]:
        head = f"data = {first + 4 * PAGE_BYTES}\nliterals = {len(tables.whole)}\nspecials = {special}\n"
        names = ("values", "targets", "fines", "coarses")
        head += "".join(f"{name} = {first + n * PAGE_BYTES}\n" for n, name in enumerate(names))
        _, image, labels = assemble(head + source("timed"), address)
        return image, labels

    first = -(-(address + len(code(0x1000)[0])) // PAGE_BYTES) * PAGE_BYTES
    image, labels = code(first)
    return image.ljust(first - address, b"\0") + tables.image() + data, labels


def _late(writes: RegisterWrites, rows: list[Write], made: np.ndarray) -> np.ndarray:
    """Return how many cycles after its own each write is made: `made` are the cycles of the rows."""
    events = changes(writes)
    wanted = events["cycle"][np.argsort(events["register"], kind="stable")] + before_first(writes)
    late = np.empty(len(rows), np.int64)
    order = np.argsort([register for _, register, _ in rows], kind="stable")  # a register's writes keep their order
    late[order] = made[order] - wanted
    return late


def _check_speed(writes: RegisterWrites, rows: list[Write], late: np.ndarray) -> None:
    """Refuse what the player cannot keep up with, by how late it makes the writes that count.

    Raises
    ------
    OutputError
        With the register that is written most often.
    """
    if not len(late) or (late > TOLERATED_CYCLES).mean() <= TOLERATED:
        return
    busiest = int(np.bincount([r for _, r, _ in rows], minlength=registers.WRITABLE).argmax())
    rate = sum(r == busiest for _, r, _ in rows) / max(writes.seconds, 1e-9)
    raise OutputError(
        f"register {busiest} ({registers.REGISTERS[busiest].name}) changes {rate:.0f} times a second and others between"
        f" it: expected a write in {FULL + LEAST_WAIT} to {ESCAPE + LEAST_WAIT} cycles at most; take .csv or .dump"
    )
