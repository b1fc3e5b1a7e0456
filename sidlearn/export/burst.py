"""Register writes as bursts: each call of the player makes its writes in the order and at the distances of the log.

The player makes the code of a burst while it waits for its tick, so that writes may stand as close as a 6510 can make
them. That takes more memory than streams (`packed`), and time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sidlearn.export.packed import Ticks, pack_units, shell_names, source
from sidlearn.registers import BASE

WRITE_CYCLES, STORE_CYCLES, LOAD_CYCLES = 6, 4, 2
"""LDA # and STA; each of them."""
FINE, COARSE, TURN_CYCLES, MOST_TURNS = 127, 128, 16, 128
"""Gaps: so many cycles one by one; above that whole turns, of which the first takes `COARSE` cycles."""
NOTHING = 31
"""The register of a gap without a write."""
FROM_X, SAME, INTO_X = 28, 29, 30
"""Instead of registers: stores of X, loaded before the write before, and of that write's value; what loads X."""
CYCLES = {FROM_X: STORE_CYCLES, SAME: STORE_CYCLES, INTO_X: LOAD_CYCLES}
"""Of these; all others take `WRITE_CYCLES`."""
LAST, WITH_GAP = 0x20, 0x40
WAIT, LONGEST_WAIT, REPEAT, LONGEST_REPEAT = 0x80, 63, 0xC0, 62
PAGE_BYTES = 256
BURST_PAGES = 3
"""What the code of a burst may take."""
BEFORE, PREPARE_CYCLES, A_WRITE, CALL_SHARE = 1000, 300, 290, 0.95
"""Cycles before a burst, for the next one's beginning and each of its writes, at the most; and the share of a tick's
period that all of it may take."""

SHORT_LIMIT, LONG_CALL = 14, 13
"""Gaps below the one are made of BIT and NOP, longer ones by a call into the sled, which takes the other and a cycle
for each byte of it that is run."""
SLOW_STORE = 1
"""No instruction takes a cycle: STA ,Y takes one more than STA."""
BIT, NOP, LDX, LDA, STA, STA_Y, STX = 0x24, 0xEA, 0xA2, 0xA9, 0x8D, 0x99, 0x8E
JSR, RTS, CMP, CMP_ZERO = 0x20, 0x60, 0xC9, 0xC5
SLED_BYTES = FINE - LONG_CALL
SLED = bytes((CMP,)) * (SLED_BYTES - 2) + bytes((CMP_ZERO, NOP, RTS))
"""Entered n bytes before its RTS it takes n + 1 cycles."""
TURNS = """
turns:  JSR sled_end-86
turn:   NOP
        NOP
        NOP
        NOP
        BIT $24
        DEX
        BNE turn
        RTS
"""

CIA1, CIA2 = 0xDC04, 0xDD04
"""Timers that run with the ticks: the one that calls the player, or one that goes along."""
LINE = 12
"""Of the picture, where bursts begin when the player is called at its top: what comes before the first one is over."""

TOLERANCES = (0, 3, 12, 128)
"""Cycles that writes may be moved by, if there is too little memory for their own: guesses, all nearer than streams."""
FIRST_CYCLES = 1000
"""All bursts wait for what the first one of a log has that much sooner: what a tune writes as it is set up."""

Row = tuple[int, int, int]
"""Gap, register, value; or one of `CYCLES` in the register's place, and the register for the stores."""


def rows_of(offsets: Sequence[int], registers: Sequence[int], values: Sequence[int]) -> list[Row]:
    """Return the rows of a tick, whose writes come `offsets` cycles behind its beginning, or as soon as can be."""
    rows: list[Row] = []
    now = 0
    in_a = in_x = None  # the value in A, and the number of the write whose value is in X
    for n, (offset, register, value) in enumerate(zip(offsets, registers, values, strict=True)):
        room = offset - now
        if n == in_x:
            rows.append((0, FROM_X, register))
            now += STORE_CYCLES
            in_x = None
            continue
        if room < WRITE_CYCLES and value == in_a:
            gap = SLOW_STORE if room > STORE_CYCLES else 0
            rows.append((gap, SAME, register))
            now += STORE_CYCLES + gap
            continue
        gap = max(room - WRITE_CYCLES, 0)
        in_a = value
        load = in_x is None and gap >= LOAD_CYCLES and _needs_x(offsets, values, n)
        if load:
            in_x = load
            gap -= LOAD_CYCLES
            now += LOAD_CYCLES
        while gap > FINE:
            turns = min((gap - COARSE) // TURN_CYCLES, MOST_TURNS - 1)
            rows.append((COARSE + turns, NOTHING, 0))
            gap -= COARSE + TURN_CYCLES * turns
            now += COARSE + TURN_CYCLES * turns
        now += gap + WRITE_CYCLES
        if load:
            load_gap = 0 if gap == SLOW_STORE else gap
            rows.append((load_gap, INTO_X, values[load]))
            gap -= load_gap
        rows.append((gap, register, value))
    return rows


def _needs_x(offsets: Sequence[int], values: Sequence[int], n: int) -> int:
    """Return the next write too near for a load before it, if X can be loaded before write `n` and not later, or 0."""
    for m in range(n + 1, len(offsets)):
        gap = offsets[m] - offsets[m - 1]
        if gap <= STORE_CYCLES and values[m] != values[m - 1]:
            return m
        if gap >= LOAD_CYCLES + WRITE_CYCLES:
            break
    return 0


def span(rows: list[Row]) -> int:
    """Return the cycles that a burst takes."""
    return sum(
        COARSE + TURN_CYCLES * (gap - COARSE) if register == NOTHING else gap + CYCLES.get(register, WRITE_CYCLES)
        for gap, register, _ in rows
    )


def unit(rows: list[Row]) -> bytes:
    """Return a tick's rows as data."""
    out = bytearray()
    before = None
    for n, (gap, register, value) in enumerate(rows):
        out.append(register | (LAST if n == len(rows) - 1 else 0) | (WITH_GAP if gap != before else 0))
        if gap != before:
            out.append(gap)
        if register != NOTHING:
            out.append(value)
        before = gap
    return bytes(out)


def code(rows: list[Row], sled_end: int, turns: int) -> bytes:
    """Return the code that the player makes of a tick's rows."""
    out = bytearray()
    for gap, register, value in rows:
        if gap >= COARSE:
            out += bytes((LDX, gap - COARSE + 1, JSR, turns & 0xFF, turns >> 8))
        elif gap >= SHORT_LIMIT:
            target = sled_end + LONG_CALL - gap
            out += bytes((JSR, target & 0xFF, target >> 8))
        elif gap != SLOW_STORE:
            out += bytes((BIT, BIT)) * (gap % 2) + bytes((NOP,)) * ((gap - 3 * (gap % 2)) // 2)
        store = STA_Y if gap == SLOW_STORE else STA
        if register == INTO_X:
            out += bytes((LDX, value))
        elif register in (FROM_X, SAME):
            out += bytes((STX if register == FROM_X else store, value, BASE >> 8))
        elif register != NOTHING:
            out += bytes((LDA, value, store, register, BASE >> 8))
    return bytes(out) + bytes((RTS,))


def bursts(cut: Ticks, tolerance: int = 0) -> dict[int, list[Row]]:
    """Return the rows of each tick in which something is written; writes may move by up to `tolerance` cycles."""
    events, tick = cut.events, cut.numbers
    offset = events["cycle"] + cut.phase - tick * cut.period
    starts = np.flatnonzero(np.diff(tick, prepend=-1)[: len(tick)])
    if tolerance:
        offset = snapped(offset, events["register"], starts, tolerance)
    firsts = offset[starts]
    begin = int(firsts[1:].min(initial=cut.period))
    if len(firsts) and begin - firsts[0] < FIRST_CYCLES:
        begin = min(begin, int(firsts[0]))
    base = begin - LOAD_CYCLES - WRITE_CYCLES
    columns = (offset - base).tolist(), events["register"].tolist(), events["value"].tolist()
    ends = [*starts[1:].tolist(), len(events)][: len(starts)]
    return {
        int(tick[start]): rows_of(*(column[start:end] for column in columns))
        for start, end in zip(starts.tolist(), ends, strict=True)
    }


def snapped(offset: np.ndarray, register: np.ndarray, starts: np.ndarray, tolerance: int) -> np.ndarray:
    """Return the offsets of earlier ticks with the same registers in place of those that are as near as that.

    The calls of a player differ by some cycles where they do the same, as their code takes one branch or the other.
    """
    known: dict[bytes, np.ndarray] = {}  # of the registers, (kinds, writes)
    out = offset.copy()
    for start, end in zip(starts, [*starts[1:], len(offset)], strict=True):
        own, key = offset[start:end], register[start:end].tobytes()
        alike = known.get(key, np.empty((0, end - start), np.int64))
        distances = abs(alike - own).max(1, initial=0)
        if distances.min(initial=tolerance + 1) > tolerance:
            known[key] = np.vstack((alike, own))
        else:
            out[start:end] = alike[distances.argmin()]
    return out


def in_time(rows: dict[int, list[Row]], period: int) -> bool:
    """Whether every burst and the making of the next one go into a tick."""
    room = CALL_SHARE * period - BEFORE - PREPARE_CYCLES
    return all(span(rows[t]) + A_WRITE * len(rows.get(t + 1, ())) <= room for t in rows)


def keeps_time(cut: Ticks) -> bool:
    """Whether there is time for the bursts of a log that is cut so."""
    return A_WRITE * cut.busiest <= cut.period and in_time(bursts(cut), cut.period)


def program(cut: Ticks, shell: str, address: int, end: int) -> tuple[bytes, dict[str, int]] | None:
    """Return a player of bursts with its data and labels, or None where there is too little memory.

    Takes a log for whose bursts there is time (`keeps_time`).
    """
    for tolerance in TOLERANCES:
        rows = bursts(cut, tolerance)
        made = _image(rows, cut, shell, address, end - BURST_PAGES * PAGE_BYTES)
        if made and in_time(rows, cut.period):
            return made
    return None


def _image(
    rows: dict[int, list[Row]], cut: Ticks, shell: str, address: int, end: int
) -> tuple[bytes, dict[str, int]] | None:
    """Return player and data with the burst's code at `end`, or None where there is too little room."""
    from sidlearn.cpu.assemble import assemble

    def assembled(sled: int, data: int) -> tuple[bytes, dict[str, int]]:
        sled_end = sled + SLED_BYTES
        turns = sled_end + 1
        _, waits, _ = assemble(f"sled_end = {sled_end}\n{TURNS}", turns)
        first = turns + len(waits)
        by_raster = shell == "sid" and cut.picture
        head = f"line = {LINE}\nlimit = {(cut.period >> 8) - 1}\nclock = {CIA2 if by_raster else CIA1}\n"
        head += f"data = {data}\nburst = {end}\nfirst = {first}\nsled_end = {sled_end}\nturns = {turns}\n"
        parts = (source(shell), source("raster" if by_raster else "timer"), source("burst"))
        _, image, labels = assemble(shell_names(cut) + head + "\n".join(parts), address)
        image = image.ljust(sled - address, b"\0") + SLED + waits + code(rows.get(0, []), sled_end, turns)
        return image, labels

    player = address + len(assembled(address, 0x1000)[0])
    sled = -(-player // PAGE_BYTES) * PAGE_BYTES
    data = address + len(assembled(sled, 0x1000)[0])
    if any(len(code(r, sled + SLED_BYTES, sled)) > BURST_PAGES * PAGE_BYTES for r in rows.values()):
        return None
    content, _ = pack_units(_units(rows, cut.count), data, REPEAT, LONGEST_REPEAT)
    if data + len(content) > end:
        return None
    image, labels = assembled(sled, data)
    return image + content, labels


def _units(rows: dict[int, list[Row]], count: int) -> list[tuple[bytes, int]]:
    """Return the units of all ticks but the first, with the ticks that each takes."""
    units: list[tuple[bytes, int]] = []
    now = 1
    for tick in (*sorted(t for t in rows if t), count):
        while tick > now:
            step = min(tick - now, LONGEST_WAIT)
            units.append((bytes((WAIT + step - 1,)), step))
            now += step
        if tick < count:
            units.append((unit(rows[tick]), 1))
        now = tick + 1
    return units
