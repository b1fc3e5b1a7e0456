"""Fast mode's last stage against the response that it is to have, at positions between its rows too."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.chip import decimate
from sidlearn.clock import NTSC, PAL

TOLERANCES = {"flat_db": 0.02, "alias_db": -100, "steady": 1e-5}
BETWEEN = 4
"""Positions looked at between two rows of taps."""


def interpolated(decimator):
    """The last stage as one filter, with `BETWEEN` values for each row of taps, and their rate in Hz."""
    rows, taps = decimator.stage2.astype(np.float64), decimator.stage2.shape[1] // 2
    share = np.arange(BETWEEN)[:, None] / BETWEEN
    lines = (rows[:, None, :taps] + share * rows[:, None, taps:]).reshape(-1, taps)  # what the kernel draws
    return lines[:, ::-1].T.ravel(), len(lines) * decimator.clock_hz / decimator.step


@pytest.mark.parametrize("clock_hz", [PAL.clock_hz, NTSC.clock_hz, decimate.MAX_CLOCK_HZ])
@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 48_000])
def test_it_follows_the_response_and_lets_nothing_through_beyond(sample_rate, clock_hz):
    decimator = decimate.design(sample_rate, clock_hz, fast=True)
    values, rate_hz = interpolated(decimator)
    spectrum = np.abs(np.fft.rfft(values, 8 * len(values))) / values.sum()
    hz = np.arange(len(spectrum)) * rate_hz / (8 * len(values))
    pass_hz = min(decimate.PASS_HZ, decimate.FAST_PASS_SHARE * sample_rate)
    stop_hz = min(sample_rate, clock_hz / decimator.step) - pass_hz
    passed = hz <= pass_hz
    age = np.arange(len(decimator.stage1)) - (len(decimator.stage1) - 1) / 2
    droop = np.cos(2 * np.pi * np.outer(hz[passed] / clock_hz, age)) @ decimator.stage1.astype(np.float64)
    assert np.abs(20 * np.log10(spectrum[passed] * droop / droop[0])).max() < TOLERANCES["flat_db"]
    assert 20 * np.log10(spectrum[hz >= stop_hz].max()) < TOLERANCES["alias_db"]


@pytest.mark.parametrize("sample_rate", [8_000, 44_100, 192_000])
def test_a_steady_level_keeps_its_height_at_every_position(sample_rate):
    decimator = decimate.design(sample_rate, PAL.clock_hz, fast=True)
    taps = decimator.stage2.shape[1] // 2
    assert np.abs(decimator.stage2[:, :taps].sum(axis=1, dtype=np.float64) - 1).max() < TOLERANCES["steady"]


def test_a_narrower_transition_takes_more_taps():
    taps = [decimate.design(rate, PAL.clock_hz, fast=True).stage2.shape[1] for rate in (8_000, 22_050, 44_100)]
    assert taps[0] > taps[1] > taps[2]


@pytest.mark.parametrize("sample_rate", [44_100, 96_000])
def test_nothing_is_louder_in_the_transition_than_before_it(sample_rate):
    values, _ = interpolated(decimate.design(sample_rate, PAL.clock_hz, fast=True))
    assert np.abs(np.fft.rfft(values, 4 * len(values))).max() / values.sum() < 1.5
