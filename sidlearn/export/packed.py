"""Register writes as the data of our own 6510 players: split into ticks and streams, with repeats found.

A tick is one call of the player. Writes keep their order within a stream; writes that change nothing are left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from sidlearn import clock, registers
from sidlearn.errors import OutputError
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FC_HI,
    FC_LO,
    FREQ_HI,
    FREQ_LO,
    MODE_VOL,
    PW_HI,
    PW_LO,
    RES_FILT,
    SUSTAIN_RELEASE,
    voice_register,
)
from sidlearn.writes import RegisterWrites

SOURCES = Path(__file__).parent / "players"

_VOICE_STREAMS = ((ATTACK_DECAY, SUSTAIN_RELEASE, CONTROL), (PW_LO, PW_HI), (FREQ_LO, FREQ_HI))
STREAMS: tuple[tuple[int, ...], ...] = (
    *(
        tuple(voice_register(v, o) for o in group)
        for v in reversed(range(registers.VOICES))
        for group in _VOICE_STREAMS
    ),
    (FC_LO, FC_HI, RES_FILT, MODE_VOL),
)
"""Registers of each stream; the player goes through them from the last one to the first."""

REGISTERS_A_STREAM = 4
MORE, WAIT, LONGEST_WAIT, REPEAT, LONGEST_REPEAT, END = 0x10, 0x20, 0x60, 0x80, 0x7E, 0xFF
REPEAT_BYTES = 3
CANDIDATES = 64
"""Earlier places that are tried for a repeat, latest first: a guess, more gain little."""

SPEEDS = (1, 2, 4)
"""Ticks a picture."""
BURST_CYCLES = 2000
"""Silence between writes that is longer than this divides the bursts in which the period is looked for."""
LONGEST_PERIOD = 0x10000
"""What a timer of the CIA can count."""
NEAR = 0.01
"""How far, as a share, a log's own period may be from the median distance of its bursts: a guess."""
ONE_CALL = 0.35
"""Share of a tick's period that one call of a player may take: four calls that fall into one tick take more."""
IDLE_CYCLES, WRITE_CYCLES = 2000, 75
"""What our player takes for a tick, at the most: with a new unit in every stream, and for each write."""
TOLERATED = 0.005
"""Share of ticks that may hold writes of two."""


class TooFastError(OutputError):
    """Writes that come too fast for a player that is called some times a picture."""


@dataclass(frozen=True)
class Ticks:
    """Writes cut into calls of a player.

    Attributes
    ----------
    events : ndarray of WRITE_DTYPE
        The writes that change something.
    period : int
        Cycles between ticks.
    picture : bool
        Whether that is the picture of the television standard.
    phase : int
        What is added to a cycle before it is divided by the period.
    count : int
        Ticks in all.
    """

    events: np.ndarray
    period: int
    picture: bool
    phase: int
    count: int

    @cached_property
    def numbers(self) -> np.ndarray:
        """In which tick each write is."""
        return (self.events["cycle"] + self.phase) // self.period

    @property
    def busiest(self) -> int:
        """The most writes in a tick."""
        return int(np.unique(self.numbers, return_counts=True)[1].max(initial=0))

    @property
    def carried(self) -> bool:
        """Whether streams carry the log: their player is fast enough, and ticks hold the writes of one call."""
        wide = _collisions(self.events["cycle"], self.events["register"], self.numbers, self.period)
        last = int(self.numbers[-1]) if len(self.numbers) else 0
        return wide <= TOLERATED * (last + 1) and IDLE_CYCLES + WRITE_CYCLES * self.busiest < self.period

    @cached_property
    def streams(self) -> list[dict[int, list[tuple[int, int]]]]:
        """For each of `STREAMS`: tick -> (index in the stream, value) in order."""
        streams: list[dict[int, list[tuple[int, int]]]] = [defaultdict(list) for _ in STREAMS]
        place = {r: (n, i) for n, group in enumerate(STREAMS) for i, r in enumerate(group)}
        rows = zip(self.numbers.tolist(), self.events["register"].tolist(), self.events["value"].tolist(), strict=True)
        for t, r, v in rows:
            n, index = place[r]
            streams[n][t].append((index, v))
        return streams


def video_of(writes: RegisterWrites) -> clock.Video:
    """Return the television standard of a log's clock."""
    return clock.NTSC if abs(writes.clock_hz - clock.NTSC.clock_hz) < 10_000 else clock.PAL


def changes(writes: RegisterWrites) -> np.ndarray:
    """Return the writes that change a register, and a first gate even on a register that is 0."""
    events = writes.events
    order = np.argsort(events["register"], kind="stable")
    register, value = events["register"][order], events["value"][order].astype(int)
    before = np.concatenate(([0], value[:-1]))
    before[np.concatenate(([True], register[1:] != register[:-1]))[: len(register)]] = 0
    return events[np.sort(order[value != before])]


def ticks(writes: RegisterWrites) -> Ticks:
    """Cut a log into the slowest ticks that streams carry.

    Raises
    ------
    OutputError
        If it writes to two SIDs; `TooFastError` if faster than a player can be called, as samples through MODE_VOL do.
    """
    for cut in cuts(writes):
        if cut.carried:
            return cut
    register = changes(writes)["register"]
    busiest = int(np.bincount(register, minlength=registers.WRITABLE).argmax())
    rate = float((register == busiest).sum() / max(writes.seconds, 1e-9))
    raise TooFastError(
        f"register {busiest} ({registers.REGISTERS[busiest].name}) changes {rate:.0f} times a second: expected at"
        f" most {SPEEDS[-1]} writes a picture, samples need .prg, .sid, .csv or .dump"
    )


def cuts(writes: RegisterWrites) -> Iterator[Ticks]:
    """Cut a log into ticks: a picture's, those of its own player, parts of a picture.

    Raises
    ------
    OutputError
        If it writes to two SIDs.
    """
    if writes.sids > 1:
        raise OutputError(f"expected the writes to one SID, given {writes.sids}: our players write to one")
    events = changes(writes)
    for period, picture, phase in _periods(writes, events["cycle"]):
        last = int(events["cycle"][-1] + phase) // period if len(events) else -1
        yield Ticks(events, period, picture, phase, max(-(-writes.length // period), last + 1))


def _periods(writes: RegisterWrites, cycles: np.ndarray) -> Iterator[tuple[int, bool, int]]:
    """Give periods with whether each is that of the picture, and its phase; `cycles` are those of the changes."""
    video = video_of(writes)
    yield video.frame_cycles, True, 0
    yield video.frame_cycles, True, _phase(cycles, video.frame_cycles)
    own = _own_period(writes.events["cycle"])
    if BURST_CYCLES < own <= LONGEST_PERIOD:
        yield own, False, _phase(cycles, own)
    for speed in SPEEDS[1:]:
        yield video.frame_cycles // speed, False, 0


def _own_period(cycles: np.ndarray) -> int:
    """Return the cycles between the calls of the player that has made the log, 0 if there is no telling.

    Half of the distances between bursts are about one call; of the periods near that it is the one that leaves the
    bursts closest together.
    """
    starts = cycles[np.concatenate(([True], np.diff(cycles) > BURST_CYCLES))[: len(cycles)]]
    if len(starts) < 8:
        return 0
    about = float(np.median(np.diff(starts)))
    if about > LONGEST_PERIOD:
        return 0
    tried = np.arange(int(about * (1 - NEAR)), int(about * (1 + NEAR)) + 2)
    return int(max(tried, key=lambda period: abs(_mean_angle(starts, int(period)))))


def _mean_angle(cycles: np.ndarray, period: int) -> complex:
    """Return where in a period cycles are, as a number on the unit circle, inside it as they are spread."""
    return complex(np.exp(2j * np.pi * (cycles % period) / period).mean())


def _phase(cycles: np.ndarray, period: int) -> int:
    """Return what to add so that most bursts begin in the middle of a tick."""
    if not len(cycles):
        return 0
    middle = int(np.angle(_mean_angle(cycles, period)) / (2 * np.pi) * period)
    return (period // 2 - middle) % period


def _collisions(cycles: np.ndarray, register: np.ndarray, tick: np.ndarray, period: int) -> int:
    """Return in how many ticks a register is written at times too far apart for one call."""
    order = np.lexsort((tick, register))
    key = register[order].astype(np.int64) << 40 | tick[order]
    first = np.flatnonzero(np.concatenate(([True], key[1:] != key[:-1]))[: len(key)])
    if not len(first):
        return 0
    span = np.maximum.reduceat(cycles[order], first) - np.minimum.reduceat(cycles[order], first)
    return len(np.unique(key[first][span > ONE_CALL * period] & (1 << 40) - 1))


# --- Packing -------------------------------------------------------------------------------------------------------


def _writes_unit(rows: list[tuple[int, int]]) -> bytes:
    """Return the unit of one tick: as few masks as the order of the writes allows."""
    chunks: list[list[tuple[int, int]]] = [[]]
    for index, value in rows:
        if chunks[-1] and index <= chunks[-1][-1][0]:
            chunks.append([])
        chunks[-1].append((index, value))
    out = bytearray()
    for chunk in chunks:
        out.append(sum(1 << index for index, _ in chunk) | (MORE if chunk is not chunks[-1] else 0))
        out += bytes(value for _, value in chunk)
    return bytes(out)


def _units(stream: dict[int, list[tuple[int, int]]], count: int) -> list[tuple[bytes, int]]:
    """Return the units of a stream with the ticks that each takes."""
    units: list[tuple[bytes, int]] = []
    now = 0
    for tick in (*sorted(stream), count):
        gap = tick - now
        while gap > 0:
            step = min(gap, LONGEST_WAIT)
            units.append((bytes((WAIT + step - 1,)), step))
            gap -= step
        if tick < count:
            units.append((_writes_unit(stream[tick]), 1))
        now = tick + 1
    return units


def pack(stream: dict[int, list[tuple[int, int]]], count: int, address: int) -> tuple[bytes, list[int]]:
    """Return the bytes of a stream that begins at `address`, and how many bytes are used up to each tick."""
    return pack_units(_units(stream, count), address, REPEAT, LONGEST_REPEAT)


def pack_units(
    units: list[tuple[bytes, int]], address: int, repeat: int, longest_repeat: int
) -> tuple[bytes, list[int]]:
    """Return units with their end as data that begin at `address`, and how many bytes are used up to each tick.

    Parameters
    ----------
    units : list of tuple
        Bytes, and the ticks that they take.
    address : int
    repeat : int
        The byte that plays no units again; with more added, so many.
    longest_repeat : int
        The most units that are played again at a time.
    """
    out = bytearray()
    written: list[tuple[int, int, int]] = []  # unit, offset in `out`, run of units without a repeat between them
    places: dict[bytes, list[int]] = defaultdict(list)  # unit -> indices into `written`
    used: list[int] = []
    run = at = 0
    while at < len(units):
        length, source = _longest(units, at, written, places, longest_repeat)
        if length and sum(len(units[at + i][0]) for i in range(length)) > REPEAT_BYTES:
            target = address + written[source][1]
            out += bytes((repeat + length, target & 0xFF, target >> 8 & 0xFF))
            run += 1
        else:
            length = 1
            places[units[at][0]].append(len(written))
            written.append((at, len(out), run))
            out += units[at][0]
        for unit in units[at : at + length]:
            used += [len(out)] * unit[1]
        at += length
    out.append(END)
    return bytes(out), used


def _longest(
    units: list[tuple[bytes, int]],
    at: int,
    written: list[tuple[int, int, int]],
    places: dict[bytes, list[int]],
    longest_repeat: int,
) -> tuple[int, int]:
    """Return the length of the longest earlier run of written units that goes on like `units[at:]`, and where."""
    best = (0, 0)
    for start in reversed(places.get(units[at][0], ())[-CANDIDATES:]):
        length, run = 0, written[start][2]
        most = min(longest_repeat, len(units) - at, len(written) - start)
        while length < most:
            unit, _, run_there = written[start + length]
            if run_there != run or units[unit][0] != units[at + length][0]:
                break
            length += 1
        if length > best[0]:
            best = (length, start)
    return best


def shell_names(cut: Ticks) -> str:
    """Return what the shells are told of the ticks, as assembly source."""
    return f"period = {cut.period - 1}\ntimer = {0 if cut.picture else 1}\n"


@cache
def source(name: str) -> str:
    """Return the assembly source of a part of our players."""
    return (SOURCES / f"{name}.s").read_text(encoding="ascii")


def program(
    writes: RegisterWrites, cut: Ticks, shell: str, address: int, end: int, align: int = 1
) -> tuple[bytes, dict[str, int]]:
    """Return a player with its data, as they lie in memory from `address` on.

    Parameters
    ----------
    writes : RegisterWrites
    cut : Ticks
        Its writes as calls of a player.
    shell : str
        What calls the player: a file of `players`.
    address, end : int
        The first address, and the first one behind the memory that may be used.
    align : int
        For shells that wait before the first tick: how long, in turns of a loop.

    Returns
    -------
    image : bytes
    labels : dict

    Raises
    ------
    OutputError
        If the log does not fit, with its size and how much of it would.
    """
    from sidlearn.cpu.assemble import assemble

    head = shell_names(cut) + f"align = {align}\n"
    for place, name in enumerate(("low", "mid", "high")):
        head += f"count_{name} = {((max(cut.count, 1) - 1 >> 8 * place) + 1) & 0xFF}\n"
    table = "registers:\n" + "".join(
        f".byte {', '.join(str(r) for r in (*group, *[0] * (REGISTERS_A_STREAM - len(group))))}\n" for group in STREAMS
    )

    def code(starts: list[int]) -> tuple[bytes, dict[str, int]]:
        words = f"streams: .word {', '.join(str(s) for s in starts)}\n"
        _, image, labels = assemble(head + source(shell) + "\n" + source("core") + "\n" + table + words, address)
        return image, labels

    first = address + len(code([0] * len(STREAMS))[0])
    data = bytearray()
    starts, usage = [], []
    for stream in cut.streams:
        starts.append((first + len(data)) & 0xFFFF)
        packed, used = pack(stream, cut.count, first + len(data))
        data += packed
        usage.append(used)
    room = end - first
    if len(data) > room:
        total = np.sum([u for u in usage if u], axis=0) + len(STREAMS)
        fits = int(np.searchsorted(total, room, side="right")) * cut.period / writes.clock_hz
        raise OutputError(
            f"{len(data)} bytes of packed writes for {writes.seconds:.1f} s: expected at most {room} bytes,"
            f" which is about {fits:.1f} s of it; cut it with --seconds"
        )
    image, labels = code(starts)
    return image + bytes(data), labels
