"""What a change of some columns does to both likenesses is what working them out anew gives."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.learn import likeness
from sidlearn.learn.analyse import bands_for

BANDS = bands_for(0.02)
COLUMNS = 120


def table(seed: int) -> np.ndarray:
    """Return band power that rises and falls, with a pause."""
    rng = np.random.default_rng(seed)
    slow = np.cumsum(rng.normal(0, 0.4, (COLUMNS, len(BANDS.hz))), axis=0)
    power = 1e-3 * np.exp(slow - slow.mean(axis=0)).astype(np.float32)
    power[50:58] = 1e-9
    return power


@pytest.fixture(scope="module")
def target():
    return likeness.likeness(table(1), BANDS.hz, 0.01, 1.0)


def test_a_sound_is_most_like_itself(target):
    assert likeness.overall(target, likeness.course(target, table(1))) == pytest.approx((1, 1), abs=1e-3)
    other = likeness.overall(target, likeness.course(target, table(2)))
    assert max(other) < 0.6


def test_louder_all_over_moves_the_same(target):
    course, spectrogram = likeness.overall(target, likeness.course(target, 4 * table(1)))
    assert course == pytest.approx(1, abs=1e-3)
    assert 0.9 < spectrogram < 1


@pytest.mark.parametrize(("first", "count"), [(0, 3), (33, 1), (48, 4), (117, 3)])
def test_what_columns_change_is_the_same_when_worked_out_anew(target, first, count):
    power = table(2)
    now = likeness.course(target, power)
    before = likeness.overall(target, now)
    old = likeness.alike(target, now, first, power[first : first + count], False)
    fresh = table(3)[first : first + count]
    new = likeness.alike(target, now, first, fresh, False)
    assert likeness.overall(target, now) == pytest.approx(before)  # nothing is kept

    likeness.alike(target, now, first, fresh, True)
    power[first : first + count] = fresh
    again = likeness.course(target, power)
    for kept, made in zip(now, again, strict=True):
        assert np.allclose(kept, made, rtol=1e-4, atol=1e-9)
    after = likeness.overall(target, again)
    segments = target.stride * len(target.shape)
    assert new[0] - old[0] == pytest.approx(segments * (after[0] - before[0]), abs=2e-3)
    points = target.importance.sum()
    assert new[1] - old[1] == pytest.approx(points * (after[1] - before[1]), abs=1e-6)


def test_a_sound_shorter_than_a_segment_has_no_course():
    power = table(1)[:10]
    short = likeness.likeness(power, BANDS.hz, 0.01, 1.0)
    now = likeness.course(short, power)
    assert len(short.shape) == 0
    assert likeness.alike(short, now, 2, power[2:4], True)[0] == 0


def stroke(at: int, decibels: float = 20.0) -> np.ndarray:
    """Return even noise with a stroke in it that rings for eight columns."""
    power = np.full((COLUMNS, len(BANDS.hz)), 1e-6, np.float32)
    power[at : at + 8] *= 10 ** (decibels / 10 * np.linspace(1, 0.2, 8))[:, None]
    return power


@pytest.mark.parametrize(("heard", "worse"), [(stroke(30), stroke(30, 10)), (stroke(30), stroke(60))])
def test_a_stroke_that_is_missing_and_one_too_many_cost(heard, worse):
    target = likeness.likeness(heard, BANDS.hz, 0.01, 1.0)
    now = likeness.course(target, heard)
    assert likeness.alike(target, now, 20, heard[20:80], False)[2] == pytest.approx(0, abs=1e-6)
    assert likeness.alike(target, now, 20, worse[20:80], False)[2] > 0.3


def test_rises_cost_nothing_where_a_voice_speaks():
    target = likeness.likeness(stroke(30), BANDS.hz, 0.01, 1.0, np.ones(COLUMNS, bool))
    now = likeness.course(target, stroke(30))
    assert likeness.alike(target, now, 20, stroke(60)[20:80], False)[2] == 0
