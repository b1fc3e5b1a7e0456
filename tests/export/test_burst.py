"""Logs played in bursts: every write where it was, beside the code that the 6510 makes of the data."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest

from sidlearn import clock
from sidlearn.c64 import player, tune
from sidlearn.export import burst, packed, prg_file, sid_file
from sidlearn.export.program import program
from sidlearn.writes import RegisterWrites

FRAME = clock.PAL.frame_cycles
TICKS = 40


def log(
    seed: int, period: int = FRAME, hz: int = clock.PAL.clock_hz, widest: int = 400, most: int = 12
) -> RegisterWrites:
    """Return writes in bursts that come at uneven times, at gaps of every length from that of a LDA and a STA on.

    Some have others right behind them, as STA, STX and STY make them: one of another value, or several of the same.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for t in range(TICKS):
        cycle = t * period + 30 + int(rng.integers(0, 200))
        for _ in range(int(rng.integers(0, most))):
            register, value = int(rng.integers(0, 25)), int(rng.integers(1, 256))
            rows.append((cycle, register, value))
            if rng.random() < 0.2:
                if rng.random() < 0.5:  # X is loaded before the first of three
                    cycle += burst.WRITE_CYCLES
                    rows.append((cycle, (register + 2) % 25, value ^ 0x55))
                cycle += burst.STORE_CYCLES
                rows.append((cycle, (register + 1) % 25, value ^ 0xFF))
            elif rng.random() < 0.2:
                for other in range(1, int(rng.integers(2, 5))):
                    cycle += burst.STORE_CYCLES + int(rng.integers(0, 2))
                    rows.append((cycle, (register + other) % 25, value))
            cycle += burst.LOAD_CYCLES + int(rng.integers(burst.WRITE_CYCLES, widest))
    rows.insert(0, (5, 24, 15))  # before what the calls write
    writes = RegisterWrites.from_rows(rows, length=TICKS * period, clock_hz=hz)
    return RegisterWrites(packed.changes(writes), writes.length, hz)  # no write that changes nothing


def opened(writes: RegisterWrites, kind: str) -> player.TunePlayer:
    """Return the player of our machine with a log as a file."""
    file = io.BytesIO()
    if kind == "sid":
        sid_file.write(writes, file)
        return player.TunePlayer(tune.read(file.getvalue()), 1, packed.video_of(writes))
    prg_file.write(writes, file)
    code = player.machine_code(file.getvalue())
    assert code is not None
    return player.TunePlayer(code, 1, packed.video_of(writes))


def player_of(writes: RegisterWrites, end: int = sid_file.END_ADDRESS) -> str:
    """Return by what a log is played."""
    made = program(writes, "sid", sid_file.LOAD_ADDRESS, end)
    return "cycles" if made.cut is None else "bursts" if "slide" in made.labels else "streams"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "video", "speed"), [("sid", "pal", 1), ("sid", "ntsc", 1), ("sid", "pal", 2),
                                                      ("prg", "pal", 1), ("prg", "ntsc", 2)])  # fmt: skip
def test_every_write_comes_at_its_cycle(seed, kind, video, speed):
    standard = clock.VIDEO[video]
    period = standard.frame_cycles // speed
    writes = log(seed, period, standard.clock_hz, widest=50 if speed > 1 else 400, most=12 // speed)
    heard = opened(writes, kind).advance(writes.length + 2 * period)[-len(writes) :]
    assert np.array_equal(heard["register"], writes.events["register"])
    assert np.array_equal(heard["value"], writes.events["value"])
    late = heard["cycle"] - writes.events["cycle"]
    assert len(set(late.tolist())) == 1


def test_the_6510_makes_the_code_that_is_foreseen():
    writes = log(7)
    cut = packed.ticks(writes)
    rows = burst.bursts(cut)
    ran = opened(writes, "sid")
    ram = ran._machine.ram
    made = 0
    for t in range(1, TICKS):
        ran.advance(t * FRAME - 2000)  # the burst of tick t lies ready
        at = (sid_file.END_ADDRESS >> 8) - burst.BURST_PAGES << 8
        memory = bytes(ram)
        sled_end = memory.index(burst.SLED) + burst.SLED_BYTES
        wanted = burst.code(rows.get(t, []), sled_end, sled_end + 1)
        assert memory[at : at + len(wanted)] == wanted
        made += len(rows.get(t, []))
    assert made > 100


@pytest.mark.parametrize(
    "gaps", list(itertools.product((6, 7, 8, 19, 20, 133, 134, 150, 262, 263, 5000, 19000), repeat=2))
)
def test_rows_take_the_time_that_they_stand_for(gaps):
    offsets = np.cumsum(gaps).tolist()
    rows = burst.rows_of(offsets, [0, 1], [0, 0])
    assert burst.span(rows) == offsets[-1]
    assert burst.span(rows[: next(n for n, row in enumerate(rows) if row[1] == 0) + 1]) == offsets[0]


def test_writes_that_come_too_close_are_put_off_and_lost_time_is_caught_up():
    assert [gap for gap, _, _ in burst.rows_of([100, 106, 107, 130], [0, 1, 2, 3], [1, 2, 3, 4])] == [92, 0, 0, 0, 14]


def test_a_value_that_comes_right_behind_another_waits_in_x():
    rows = burst.rows_of([400, 404, 412], [0, 1, 2], [5, 6, 7])
    assert [row for row in rows if row[1] != burst.NOTHING][1:] == [
        (0, 0, 5), (0, burst.FROM_X, 1), (2, 2, 7)]  # fmt: skip
    assert burst.span(rows) == 412
    assert burst.rows_of([100, 106, 110, 118], [0, 1, 2, 3], [5, 6, 7, 8]) == [
        (92, burst.INTO_X, 7), (0, 0, 5), (0, 1, 6), (0, burst.FROM_X, 2), (2, 3, 8)]  # fmt: skip


def test_a_value_that_comes_again_stays_in_a():
    rows = burst.rows_of([100, 104, 109, 120], [0, 1, 2, 3], [5] * 4)
    assert rows == [(94, 0, 5), (0, burst.SAME, 1), (1, burst.SAME, 2), (5, 3, 5)]


def test_a_log_that_is_too_long_for_bursts_is_played_from_streams():
    values = np.random.default_rng(1).integers(0, 256, (1000, 20)).tolist()
    rows = [(t * FRAME + n * 40, n, value) for t, row in enumerate(values) for n, value in enumerate(row)]
    writes = RegisterWrites.from_rows(rows, length=1000 * FRAME)
    ends = (sid_file.END_ADDRESS, 0x9000)
    assert [player_of(writes, end) for end in ends] == ["bursts", "streams"]


def test_a_log_that_is_too_long_for_its_own_cycles_moves_by_a_few():
    rng = np.random.default_rng(1)
    tunes = rng.integers(0, 256, (64, 20)).tolist()
    rows = [
        (t * FRAME + n * 40 + int(rng.integers(0, 3)), n, value)
        for t in range(1500)
        for n, value in enumerate(tunes[t % 64])
    ]
    writes = RegisterWrites.from_rows(rows, length=1500 * FRAME)
    made = program(writes, "sid", sid_file.LOAD_ADDRESS, sid_file.END_ADDRESS)
    exact = burst.bursts(packed.ticks(writes))
    assert len(made.image) < sum(len(burst.unit(tick)) for tick in exact.values()) / 4
    heard = opened(writes, "sid").advance(writes.length + FRAME)
    wanted = packed.changes(writes)
    heard = heard[-len(wanted) :]
    assert np.array_equal(heard["register"], wanted["register"])
    assert np.array_equal(heard["value"], wanted["value"])
    late = heard["cycle"] - wanted["cycle"]
    assert 0 < np.ptp(late) <= 2 * 3


def test_bursts_that_leave_no_time_for_the_next_are_played_by_cycles_or_from_streams():
    cycles = np.sort(np.random.default_rng(1).choice(60 * FRAME // 200, 180, replace=False)).tolist()
    rows = [(c * 200, n % 3, n & 0xFF) for n, c in enumerate(cycles)]
    assert player_of(RegisterWrites.from_rows(rows, length=60 * FRAME)) == "cycles"
    close = [row for c, r, v in rows for row in [(c, r, v), (c + 20, r + 7, v), (c + 40, r + 14, v)]]
    assert player_of(RegisterWrites.from_rows(close, length=60 * FRAME)) == "streams"


def test_bursts_that_lie_across_the_frames_or_come_more_rarely_are_played_as_bursts():
    offsets = [n * 300 for n in range(12)]
    across = [(t * FRAME + 18_000 + offset, n, t + n & 0xFF) for t in range(60) for n, offset in enumerate(offsets)]
    assert player_of(RegisterWrites.from_rows(across)) == "bursts"
    rarely = [(t * 49_263 + offset, n, t + n & 0xFF) for t in range(60) for n, offset in enumerate(offsets)]
    assert player_of(RegisterWrites.from_rows(rarely)) == "bursts"
