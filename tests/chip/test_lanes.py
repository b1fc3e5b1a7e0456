"""Rendering in lanes: as one stream, but for what a filter may keep of another start."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.bench.music import tune
from sidlearn.chip import lanes as in_lanes
from sidlearn.chip.models import MODELS
from sidlearn.chip.sid import render
from sidlearn.errors import ModelError
from sidlearn.registers import FC_HI, MODE_VOL, RES_FILT
from sidlearn.writes import RegisterWrites

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="millions of cycles")

MOST_DB = -90


def difference_db(ours, theirs):
    """Of the sound, in dB; much below any noise if there is none."""
    return 10 * np.log10(np.mean((ours - theirs).astype(float) ** 2) / np.mean(theirs.astype(float) ** 2) + 1e-30)


@pytest.mark.parametrize("model", MODELS)
def test_lanes_sound_as_one_stream(model):
    writes = tune(4, seed=3)
    if model != "6581-residfp":  # which may not forget, see `FORGOTTEN`
        assert in_lanes.render_lanes(writes, model, 44_100, "", 16) is not None
    assert difference_db(render(writes, model, lanes=16), render(writes, model)) < MOST_DB


def test_threads_do_not_change_a_bit():
    writes = tune(8, seed=4)
    one, two, other = (render(writes, lanes=30, threads=threads) for threads in (1, 2, None))
    assert one.tobytes() == two.tobytes() == other.tobytes()
    assert in_lanes.render_lanes(writes, "6581", 44_100, "", 32, 1).tobytes() == one.tobytes()


def test_voices_past_the_filter_are_the_same_to_the_bit():
    writes = tune(4, filtered=False)
    assert render(writes, lanes=16).tobytes() == render(writes).tobytes()


def test_a_filter_that_does_not_forget_is_played_in_one():
    """The 8580's lowest cutoff is some hertz."""
    rows = [(0, RES_FILT, 1), (0, MODE_VOL, 0x1F), (0, FC_HI, 0), (0, 6, 0xF0), (0, 1, 1), (0, 4, 0x21)]
    writes = RegisterWrites.from_rows(rows, length=16 * 100 * 1024)
    assert in_lanes.render_lanes(writes, "8580", 44_100, "", 16) is None
    assert render(writes, "8580", lanes=16).tobytes() == render(writes, "8580").tobytes()


@pytest.mark.parametrize("length", [0, 1, 1_000, 100_000])
def test_short_logs_are_played_in_one(length):
    writes = RegisterWrites.from_rows([(0, MODE_VOL, 15)] if length else [], length=length)
    assert render(writes, lanes=64).tobytes() == render(writes).tobytes()


@pytest.mark.parametrize("name", ["lanes", "threads"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "2"])
def test_a_wrong_number_is_told_in_one_line(name, value):
    with pytest.raises(ModelError, match=rf"^{name} .*: expected a whole number from 1 up$"):
        render(tune(0.1), **{name: value})
