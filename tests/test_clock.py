"""Clocks and conversions."""

from __future__ import annotations

import pytest

from sidlearn import clock
from sidlearn.errors import ConfigError


def test_frames_of_both_standards():
    assert clock.PAL.frame_cycles == 19_656
    assert clock.NTSC.frame_cycles == 17_095


@pytest.mark.parametrize(("rate", "cycles"), [(50, 19_656), (100, 9_828), (200, 4_914)])
def test_frame_cycles_on_pal(rate, cycles):
    assert clock.frame_cycles(rate) == cycles


@pytest.mark.parametrize(("rate", "cycles"), [(60, 17_095), (120, 8_547)])
def test_frame_cycles_on_ntsc(rate, cycles):
    assert clock.frame_cycles(rate, clock.NTSC.clock_hz) == cycles


def test_other_frame_rates_are_told():
    with pytest.raises(ConfigError, match="50, 100 or 200"):
        clock.frame_cycles(60)


def test_concert_pitch():
    freq = clock.hz_to_freq(440)
    assert freq == 7493  # round(440 * 2**24 / 985248)
    assert clock.freq_to_hz(freq) == pytest.approx(440, abs=0.03)


def test_freq_is_held_in_range():
    assert clock.hz_to_freq(1e6) == 0xFFFF
    assert clock.hz_to_freq(-5) == 0


def test_unknown_standard_is_told():
    with pytest.raises(ConfigError, match="did you mean pal"):
        clock.video("pall")
