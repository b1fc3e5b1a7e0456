"""The live engine on the file device: the same bytes as offline, writes at their time, silence at the end."""

from __future__ import annotations

import time

import numpy as np
import pytest

import sidlearn
from sidlearn import registers
from sidlearn.errors import DeviceError, ModelError
from sidlearn.play.live import AT_ONCE, HAND_LANE, SOURCE_LANE, Engine
from sidlearn.play.record import RING
from sidlearn.writes import WRITE_DTYPE, RegisterWrites

TONE = [(0, 24, 15), (0, 5, 0x00), (0, 6, 0xF0), (0, 1, 40), (0, 4, 0x21)]


def performance(seed: int, sids: int = 1) -> RegisterWrites:
    """A third of a second of hard traffic: every register, gates, bursts within one cycle."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(20, 400))
    rows = np.zeros((count, 3), np.int64)
    rows[:, 0] = np.sort(rng.integers(0, 300_000, count))
    rows[count // 2 : count // 2 + 8, 0] = rows[count // 2, 0]
    rows[:, 0].sort()
    rows[:, 1] = rng.integers(0, registers.WRITABLE, count) + 32 * rng.integers(0, sids, count)
    rows[:, 2] = rng.integers(0, 256, count)
    rows[0, 1:] = registers.MODE_VOL, 15
    return RegisterWrites.from_rows(rows, length=320_000)


@pytest.mark.parametrize("sample_rate", [22_050, 44_100, 48_000])
@pytest.mark.parametrize("seed", range(20))
def test_live_equals_offline_bit_for_bit(seed, sample_rate):
    writes = performance(seed)
    block = (64, 256, 300, 1024)[seed % 4]
    model = ("6581", "8580")[seed // 4 % 2]
    with Engine(model, sample_rate, scopes=seed % 3 == 0, keep=True) as live:
        live.open("file", block)
        half = len(writes) // 2
        live.write(writes.events[:half])
        offline = sidlearn.render(writes, model, sample_rate)
        first = live.pull(len(offline) // 4 // block * block)  # the rest is handed over while it plays
        live.write(writes.events[half:])
        sound = np.concatenate((first, live.pull(len(offline) - len(first))))
        assert np.abs(sound).max() > 0.01
        if live.record.late:  # what came too late acted later: the log says when
            offline = sidlearn.render(live.log(), model, sample_rate)[: len(sound)]
        np.testing.assert_array_equal(sound, offline)


def test_fast_mode_is_the_same_too():
    writes = performance(99)
    with Engine(mode="fast") as live:
        live.open("file", 256)
        live.write(writes.events)
        offline = sidlearn.render(writes, mode="fast")
        np.testing.assert_array_equal(live.pull(len(offline)), offline)


@pytest.mark.parametrize("sids", [2, 3])
def test_several_sids_are_mixed_as_offline(sids):
    writes = performance(7, sids)
    with Engine(sids=sids) as live:
        live.open("file", 512)
        live.write(writes.events)
        offline = sidlearn.render(writes)
        np.testing.assert_array_equal(live.pull(len(offline)), offline)


def test_late_writes_act_at_once_are_counted_and_logged_with_the_time_they_acted():
    with Engine(keep=True) as live:
        live.open("file", 256)
        live.write(RegisterWrites.from_rows(TONE).events)
        first = live.pull(2560)
        live.poke(100, 1, 80)
        sound = np.concatenate((first, live.pull(2560)))
        log = live.log()
        assert live.record.late == 1
        assert live.record.latest == log.events["cycle"][-1] - 100 > 50_000
        np.testing.assert_array_equal(sound, sidlearn.render(log)[:5120])


def test_a_hand_does_not_wait_for_a_source_that_is_ahead():
    with Engine(keep=True) as live:
        live.open("file", 256)
        live.write(np.array([(500_000, 24, 5)], WRITE_DTYPE), SOURCE_LANE)
        live.write(np.array([(AT_ONCE, 24, 9)], WRITE_DTYPE), HAND_LANE)
        live.pull(256)
        assert live.log().events["value"].tolist() == [9]
        assert live.record.registers[0, registers.MODE_VOL] == 9
        assert live.record.late == 0


def test_the_two_lanes_are_merged_by_time():
    with Engine(keep=True) as live:
        live.open("file", 4096)
        rng = np.random.default_rng(5)
        for lane in (SOURCE_LANE, HAND_LANE):
            rows = [(int(c), 0, lane) for c in np.sort(rng.integers(0, 80_000, 300))]
            live.write(RegisterWrites.from_rows(rows).events, lane)
        live.pull(4096)
        log = live.log().events
        assert len(log) == 600
        assert (np.diff(log["cycle"]) >= 0).all()
        assert live.record.late == 0


def test_sound_stops_at_the_horizon_and_goes_on_where_it_stopped():
    writes = performance(3)
    with Engine() as live:
        live.open("file", 256)
        live.record.horizon = 100_000
        live.write(writes.events)
        offline = sidlearn.render(writes)
        reached = 100_000 * 44_100 // 985_248
        first = live.pull(5120)
        assert live.record.starved > 0
        assert live.record.samples == reached
        np.testing.assert_array_equal(first[:reached], offline[:reached])
        assert np.abs(np.diff(first[reached:])).max() <= max(abs(first[reached - 1]) * 0.01, 1e-6)  # no click
        live.record.horizon = 1 << 62
        np.testing.assert_array_equal(live.pull(len(offline) - reached), offline[reached:])


def test_on_hold_no_time_goes_by():
    with Engine() as live:
        live.open("file", 256, running=False)
        assert not live.pull(512).any()
        assert live.cycle == 0
        live.run()
        live.pull(512)
        assert live.cycle > 0


def test_more_writes_than_there_is_room_for_are_an_error_where_nothing_plays_them():
    with Engine() as live:
        live.open("file", 256)
        with pytest.raises(DeviceError, match="1 writes too many"):
            live.write(np.zeros(RING + 1, WRITE_DTYPE))


def test_ten_thousand_writes_a_second_all_act():
    with Engine(keep=True) as live:
        live.open("file", 256)
        sent = []
        for n in range(345):  # two seconds
            events = np.array([(AT_ONCE, (n + i) % 25, (3 * n + i) % 256) for i in range(58)], WRITE_DTYPE)
            live.write(events, HAND_LANE)
            sent.append(events)
            live.pull(256)
        log, given = live.log().events, np.concatenate(sent)
        assert len(log) == len(given) == 345 * 58
        np.testing.assert_array_equal(log[["register", "value"]], given[["register", "value"]])


def test_scopes_show_wave_times_envelope():
    with Engine(scopes=True) as live:
        live.open("file", 256)
        live.write(RegisterWrites.from_rows(TONE).events)
        live.pull(8820)
        points = live.scope(400, 0)
        assert points.max() > 0.9
        assert points.min() < -0.9
        hz = 40 * 256 * 985_248 / (1 << 24)  # a sawtooth falls once a period
        step = live.record.scope_step / 44_100
        assert (np.diff(points) < -1).sum() == pytest.approx(400 * step * hz, abs=1.5)
        assert np.abs(live.mix(200)).max() > 0.01


def three_gaps(live):
    """What the engine answers to two gaps, then to a third."""
    live.record.underruns += 2
    assert live.watch() is None
    live.record.underruns += 1
    return live.watch() or ""


def test_watch_doubles_the_block_after_three_underruns_as_far_as_it_helps(monkeypatch):
    monkeypatch.setattr("sidlearn.play.live.SETTLE_SECONDS", 0)
    with Engine() as live:
        live.open("file", 256)
        for block in (512, 1024, 2048):
            assert f"{block} samples" in three_gaps(live)
            assert live.host.block == block
            assert live.watch() is None
        assert "too busy" in three_gaps(live)
        assert three_gaps(live) == ""  # once is enough
        assert live.host.block == 2048


def test_gaps_while_a_device_settles_do_not_count():
    with Engine() as live:
        live.open("file", 256)
        assert three_gaps(live) == ""
        assert live.host.block == 256


def test_sdl_plays_in_real_time(monkeypatch):
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    with Engine() as live:
        live.open("sdl", 512)
        time.sleep(0.5)
        played = live.record.samples / 44_100
        assert 0.3 < played < 0.9
        assert live.record.blocks > 20
        arrival = time.perf_counter()
        ahead = live.cycle_at(arrival) - live.record.block_cycle
        assert 0 < ahead < 4 * live.block_cycles
        assert live.cycle_at(arrival + 0.001) - live.cycle_at(arrival) == pytest.approx(985, abs=live.block_cycles)


def test_wrong_names_are_told():
    with pytest.raises(ModelError, match="mode 'fest'"):
        Engine(mode="fest")
    with pytest.raises(DeviceError, match=r"sound host 'sld'.*did you mean sdl"):
        Engine().open("sld")
