"""Benchmarks: what they count and how they tell it."""

from __future__ import annotations

import json

import numpy as np

from sidlearn.bench import basic, music
from sidlearn.bench.measure import Report, Row, peak_megabytes, take_turns
from sidlearn.registers import CONTROL, FC_HI, GATE


def test_contestants_take_turns_after_one_uncounted_run():
    order = []
    timings = take_turns([lambda: order.append("a"), lambda: order.append("b")], repetitions=3)
    assert "".join(order) == "ab" + "ab" * 3
    assert [len(t.seconds) for t in timings] == [3, 3]
    assert timings[0].least <= timings[0].middle <= timings[0].most


def test_a_figure_that_is_short_is_marked():
    rows = [Row("fast", 2.0, "x", 3), Row("slow", 2.0, "s", 3, lower_is_better=True)]
    text = Report("x", rows).text().splitlines()
    assert text[-2].endswith("SHORT")
    assert not text[-1].endswith("SHORT")
    assert [row["holds"] for row in json.loads(Report("x", rows).json())["rows"]] == [False, True]


def test_tune_plays_all_voices_and_sweeps_the_filter():
    frames = music.tune(10).frames()
    for voice in range(3):
        gates = frames.values[:, 7 * voice + CONTROL] & GATE
        assert np.count_nonzero(np.diff(gates.astype(int)) == 1) > 10
    assert len(np.unique(frames.values[:, FC_HI])) > 50
    assert music.tune(5) == music.tune(5)
    assert music.tune(5) != music.tune(5, seed=2)


def test_every_measured_program_has_as_many_onsets_as_writes():
    for program in basic.programs():
        assert program["write_cycles_pal"] == sorted(program["write_cycles_pal"])
        assert program["cycles_cpu"] < program["cycles_pal"] < program["cycles_ntsc"]


def test_peak_memory_is_that_of_this_process():
    before = peak_megabytes()
    block = np.ones(40_000_000, np.uint8)
    assert peak_megabytes() >= max(before, block.nbytes / 1e6)
    assert peak_megabytes() < before + 100
