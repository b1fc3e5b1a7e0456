"""Many chips side by side: each as if it were alone, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.bench.music import tune
from sidlearn.chip import batch
from sidlearn.chip.models import MODELS
from sidlearn.chip.sid import render, render_batch
from sidlearn.chip.state import LANES
from sidlearn.clock import NTSC
from sidlearn.registers import CONTROL, FC_HI, FREQ_HI, MODE_VOL, RES_FILT, SUSTAIN_RELEASE
from sidlearn.writes import RegisterWrites

from .traffic import traffic

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="millions of cycles")


def differing(logs, model="6581", sample_rate=44_100, **options):
    """Numbers of the logs that sound otherwise in a batch than alone."""
    together = render_batch(logs, model, sample_rate, **options)
    alone = [render(log, model, sample_rate, "fast", options.get("profile", "")) for log in logs]
    return [n for n, (one, other) in enumerate(zip(together, alone, strict=True)) if one.tobytes() != other.tobytes()]


def some_logs():
    """More than one group's worth, of all lengths."""
    music = [tune(0.02 * n, seed=n) for n in range(1, 2 * LANES)]
    noise = [traffic(seed=n, length=20_000 + 1_037 * n, gap=gap, everything=True) for n, gap in enumerate((2, 9, 300))]
    return [
        *music,
        *noise,
        tune(0.2, filtered=False),
        *(RegisterWrites.from_rows([], length=cycles) for cycles in (0, 1, 7, 8, 9)),
    ]


@pytest.mark.parametrize("model", MODELS)
def test_each_chip_sounds_as_if_alone(model):
    assert differing(some_logs(), model) == []


@pytest.mark.parametrize("sample_rate", [8_000, 48_000, 192_000, 500_000])
def test_at_any_sample_rate(sample_rate):
    assert differing([traffic(seed=n, length=9_000 + n, gap=30) for n in range(5)], sample_rate=sample_rate) == []


def test_a_filter_at_rest_is_left_alone_by_each_chip_for_itself():
    """Filters come to rest after half a second, and are fed again while others still rest."""
    begun = [(0, MODE_VOL, 0x7F), (0, FC_HI, 90), (0, SUSTAIN_RELEASE, 0xF0), (0, FREQ_HI, 9), (0, CONTROL, 0x21)]
    logs = []
    for n in range(LANES + 1):
        fed_again = 530_000 + 12_345 * n
        rows = [*begun, (100, RES_FILT, 0xF1), (5_000, RES_FILT, 0xF0), (fed_again, RES_FILT, 0x81)]
        logs.append(RegisterWrites.from_rows(rows, length=fed_again + 20_000))
    assert differing(logs, "8580") == []


def test_logs_of_any_clock_and_number_of_chips():
    stereo = RegisterWrites.from_rows([(0, 24, 15), (9, 32 + 24, 15), (50, 64 + 24, 9)], length=9_000)
    ntsc = RegisterWrites.from_rows([(0, 24, 15)], length=9_000, clock_hz=NTSC.clock_hz)
    assert differing([stereo, ntsc, tune(0.1), stereo, ntsc, tune(0.1), ntsc], profile="galway") == []


@pytest.mark.parametrize("number", [0, 1, batch.LEAST, LANES, LANES + 1])
def test_any_number_of_logs_on_any_number_of_threads(number):
    logs = [tune(0.1, seed=n) for n in range(number)]
    one, two = ([sound.tobytes() for sound in render_batch(logs, threads=threads)] for threads in (1, 2))
    assert one == two
    assert differing(logs) == []


def test_the_logs_are_left_as_they_were():
    log = tune(0.1)
    before = log.events.copy()
    render_batch([log] * LANES)
    assert np.array_equal(log.events, before)


def test_nothing_is_left_of_the_chips_before():
    logs = [tune(0.1, seed=n) for n in range(LANES)]
    before = [sound.tobytes() for sound in render_batch(logs)]
    render_batch([traffic(seed=n, length=30_000, everything=True) for n in range(LANES)], "8580")
    assert [sound.tobytes() for sound in render_batch(logs)] == before
