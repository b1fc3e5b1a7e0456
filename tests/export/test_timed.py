"""Logs that are played cycle by cycle: what our own machine makes of the exported files."""

from __future__ import annotations

import io

import numpy as np
import pytest

from sidlearn import clock
from sidlearn.c64 import player, tune
from sidlearn.errors import OutputError
from sidlearn.export import prg_file, sid_file, timed
from sidlearn.registers import MODE_VOL
from sidlearn.writes import RegisterWrites

VIDEO = clock.PAL


def samples(seconds: float, gap: int, jitter: int = 0, music: bool = False, seed: int = 1) -> RegisterWrites:
    """Samples through MODE_VOL every `gap` cycles, give or take some; with music on the voices now and then."""
    chance = np.random.default_rng(seed)
    count = int(seconds * VIDEO.clock_hz / gap)
    cycles = np.arange(count) * gap + chance.integers(0, jitter + 1, count)
    rows = [(int(c), MODE_VOL, 0x10 | int(v)) for c, v in zip(cycles, chance.integers(0, 16, count), strict=True)]
    if music:
        for frame in range(int(seconds * 50)):
            begun = frame * VIDEO.frame_cycles
            rows += [(begun + 300 + 30 * n, int(r), int(chance.integers(256))) for n, r in enumerate((5, 6, 0, 1, 4))]
    return RegisterWrites.from_rows(sorted(rows))


def changes(events: np.ndarray, register: int) -> np.ndarray:
    """Cycle and value of the writes that change a register."""
    rows = events[events["register"] == register]
    before = np.concatenate(([0], rows["value"][:-1]))
    return rows[rows["value"] != before]


def played(writes: RegisterWrites, kind: str) -> np.ndarray:
    file = io.BytesIO()
    if kind == "sid":
        sid_file.write(writes, file)
        read = tune.read(file.getvalue())
        assert read.magic == "RSID"
    else:
        prg_file.write(writes, file)
        read = player.machine_code(file.getvalue())
    ran = player.TunePlayer(read, 1, VIDEO)
    events = ran.advance(writes.length + 4 * VIDEO.frame_cycles)
    assert ran.error is None
    return events


@pytest.mark.parametrize("kind", ["sid", "prg"])
def test_samples_come_at_their_cycles(kind):
    writes = samples(1.5, 123, jitter=7)
    wanted = changes(writes.events, MODE_VOL)
    heard = changes(played(writes, kind), MODE_VOL)[-len(wanted) :]  # the start has its own
    assert np.array_equal(wanted["value"], heard["value"])
    shift = heard["cycle"] - wanted["cycle"]
    assert (shift == shift[0]).mean() > 0.995
    assert abs(shift - shift[0]).max() < 60


def test_music_goes_between_the_samples():
    writes = samples(1.5, 200, jitter=5, music=True)
    events = played(writes, "prg")
    for register in (0, 1, 4, 5, 6, MODE_VOL):
        wanted = changes(writes.events, register)
        heard = changes(events, register)[-len(wanted) :]
        assert np.array_equal(wanted["value"], heard["value"]), register
        shift = heard["cycle"] - wanted["cycle"]
        if register == MODE_VOL:
            shift_of_samples = shift
    assert (shift_of_samples == shift_of_samples[0]).mean() > 0.99


def test_every_way_to_tell_a_write_takes_the_cycles_it_says():
    chance = np.random.default_rng(3)
    gaps = np.concatenate([
        np.arange(115, 400), [1330, 1338, 1339, 1400, 2000, 5000, 400_000, 120] * 5, chance.integers(115, 1500, 400),
        [115] * 500,
    ])  # fmt: skip
    cycles = np.cumsum(gaps)
    rows = [(int(c), int(r), int(v)) for c, r, v in zip(
        cycles, chance.integers(0, 25, len(gaps)), chance.integers(1, 256, len(gaps)), strict=True
    )]  # fmt: skip
    encoder_rows = [(c, r, v) for c, r, v in rows]
    encoder = timed.Encoder(timed.choose(encoder_rows))
    assert sum(encoder.put(*row) for row in encoder_rows) == 0
    late = [timed.Encoder(timed.Tables()).put(60 + n, 1, 2) for n in range(3)]
    assert late == [25, 24, 23]
    writes = RegisterWrites.from_rows(rows)
    wanted = writes.events
    events = played_by_cycles(writes)
    heard = events[events["cycle"] >= events["cycle"][-len(wanted)]] if len(events) >= len(wanted) else events
    assert np.array_equal(heard["register"], wanted["register"])
    assert np.array_equal(heard["value"], wanted["value"])
    shift = heard["cycle"] - wanted["cycle"]
    assert (shift == shift[0]).all()


def played_by_cycles(writes: RegisterWrites) -> np.ndarray:
    """Play the writes just as they are."""
    rows = [(c + timed.before_first(writes), r, v) for c, r, v in writes.events.tolist()]
    tables = timed.choose(rows)
    encoder = timed.Encoder(tables)
    for row in rows:
        encoder.put(*row)
    image, labels = timed.assembled(tables, encoder.finish(), 0x0800)
    read = tune.Tune("RSID", 2, 0x0800, labels["start"], 0, 1, 1, 0, "", "", "", sid_addresses=(0xD400,), data=image)
    return player.TunePlayer(read, 1, VIDEO).advance(writes.length + 5 * VIDEO.frame_cycles)


@pytest.mark.parametrize("suffix", [".sid", ".prg"])
def test_any_log_can_keep_its_cycles(tmp_path, suffix):
    import sidlearn

    chance = np.random.default_rng(7)
    cycles = np.cumsum(chance.integers(130, 20_000, 300))
    rows = zip(cycles, chance.integers(0, 25, 300), chance.integers(1, 256, 300), strict=True)
    writes = RegisterWrites.from_rows([(int(c), int(r), int(v)) for c, r, v in rows])
    sidlearn.save(writes, tmp_path / f"a{suffix}", timing="cycles")
    back = sidlearn.load(tmp_path / f"a{suffix}", seconds=5)
    wanted = timed.changes(writes)
    heard = back.events[-len(wanted) :]
    assert np.array_equal(heard["register"], wanted["register"])
    assert np.array_equal(heard["value"], wanted["value"])
    assert len(set((heard["cycle"] - wanted["cycle"]).tolist())) == 1


def test_what_is_too_fast_or_too_long_is_told():
    with pytest.raises(OutputError, match=r"MODE_VOL.*changes \d+ times a second"):
        prg_file.write(samples(1.0, 40), io.BytesIO())
    with pytest.raises(OutputError, match=r"bytes for 20\.0 s.*which is about \d+\.\d s"):
        sid_file.write(samples(20.0, 123), io.BytesIO())
