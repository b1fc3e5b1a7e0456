"""Several SIDs as one sound."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.chip import mix


@pytest.mark.parametrize("sids", mix.PLACES)
def test_every_sid_has_the_same_power_wherever_it_stands(sids):
    power = (mix.gains(sids).astype(np.float64) ** 2).sum(axis=1)
    assert power == pytest.approx([power[0]] * sids, rel=1e-6)


@pytest.mark.parametrize("sids", mix.PLACES)
def test_no_side_leaves_full_scale(sids):
    loud = mix.stereo([np.ones(4, np.float32)] * sids)
    assert loud.max() == pytest.approx(1, abs=1e-6)
    assert loud.max(axis=0) == pytest.approx(loud.max(), abs=1e-6)  # both sides are as loud


def test_two_sids_are_left_and_right():
    left, right = np.random.default_rng(1).normal(0, 0.1, (2, 50)).astype(np.float32)
    assert np.array_equal(mix.stereo([left, right]), np.stack([left, right], axis=1))
    assert np.array_equal(mix.of_tune([left, right]), mix.stereo([left, right]))


def test_a_third_sid_is_in_the_middle():
    silent, middle = np.zeros(50, np.float32), np.random.default_rng(1).normal(0, 0.1, 50).astype(np.float32)
    both = mix.stereo([silent, silent, middle])
    assert np.array_equal(both[:, 0], both[:, 1])
    assert np.abs(both).max() > 0.1
    assert not mix.stereo([middle, silent, silent])[:, 1].any()
    assert not mix.stereo([silent, middle, silent])[:, 0].any()


def test_one_sid_is_mono_and_the_same_on_both_sides_if_asked():
    sound = np.random.default_rng(1).normal(0, 0.1, 50).astype(np.float32)
    assert mix.of_tune([sound]) is sound
    assert np.array_equal(mix.stereo([sound]), np.stack([sound, sound], axis=1))


def test_the_mean_of_both_sides_of_two_sids_is_their_mono_sound():
    sounds = list(np.random.default_rng(1).normal(0, 0.1, (2, 50)).astype(np.float32))
    assert mix.stereo(sounds).mean(axis=1) == pytest.approx(mix.mono(sounds), abs=1e-7)
