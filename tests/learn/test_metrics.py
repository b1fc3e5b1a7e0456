"""Distances between sounds."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.errors import AudioError
from sidlearn.learn.metrics import lsd

RATE = 44_100
NOISE = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)


def test_a_sound_is_no_distance_from_itself():
    assert lsd(NOISE, NOISE, RATE) == pytest.approx(0, abs=1e-6)


def test_gain_and_lag_do_not_count():
    later = np.concatenate([np.zeros(777, np.float32), NOISE * 0.3])
    assert lsd(NOISE, later, RATE) < 0.02
    assert lsd(later, NOISE, RATE) < 0.02


def test_one_decibel_in_half_of_the_spectrum_is_half_a_decibel():
    spectrum = np.fft.rfft(NOISE)
    hz = np.fft.rfftfreq(RATE, 1 / RATE)
    tilted = np.fft.irfft(spectrum * np.where(hz < 8_010, 10 ** (1 / 20), 1.0))
    assert lsd(NOISE, tilted, RATE) == pytest.approx(0.5, abs=0.02)


def test_what_lies_under_the_floor_does_not_count():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE) / RATE)
    hiss = 1e-6 * NOISE
    assert lsd(tone, tone + hiss, RATE) < 0.01
    assert lsd(tone, tone + NOISE, RATE) > 1


@pytest.mark.parametrize("wrong", [np.zeros(RATE), np.ones(100), np.full(RATE, np.nan), np.zeros((RATE, 2))])
def test_what_cannot_be_compared_is_told(wrong):
    with pytest.raises(AudioError):
        lsd(NOISE, wrong, RATE)
