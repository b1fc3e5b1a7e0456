"""What is told of a pitch that is or is not heard."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.errors import LearnError
from sidlearn.learn import intonation, pitch

RATE = 22_050


def tone(hz: float, seconds: float = 1.0) -> np.ndarray:
    """A sawtooth of ten partials."""
    t = np.arange(round(seconds * RATE)) / RATE
    return sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, 11)).astype(np.float32) / 3


@pytest.fixture
def wanted() -> intonation.Wanted:
    pytest.importorskip("swift_f0")
    return intonation.wanted_pitch(tone(150), RATE)


def test_a_pitch_that_is_played_is_missed_nowhere(wanted):
    assert len(wanted.hz) > 50
    assert intonation.missed(wanted, tone(150 * 2 ** (20 / 1_200)), RATE, 0.0, 0.0, 1.0) == 0


def test_another_pitch_is_missed_everywhere(wanted):
    assert intonation.missed(wanted, tone(150 * 2 ** (80 / 1_200)), RATE, 0.0, 0.0, 1.0) == len(wanted.hz)
    assert intonation.missed(wanted, tone(300), RATE, 0.0, 0.0, 1.0) == len(wanted.hz)


def test_only_a_stretch_counts_and_the_sound_may_start_later(wanted):
    sound = np.concatenate((tone(150, 0.5), tone(220, 0.5)))
    assert intonation.missed(wanted, sound, RATE, 0.0, 0.1, 0.4) == 0
    assert intonation.missed(wanted, sound[RATE // 4 :], RATE, 0.25, 0.3, 0.45) == 0
    inside = np.count_nonzero((wanted.seconds >= 0.6) & (wanted.seconds < 0.9))
    assert intonation.missed(wanted, sound[RATE // 4 :], RATE, 0.25, 0.6, 0.9) == inside


def test_what_has_no_pitch_wants_none(wanted):
    noise = np.random.default_rng(1).standard_normal(RATE).astype(np.float32)
    assert len(intonation.wanted_pitch(noise, RATE).hz) == 0


def test_without_a_detector_nothing_is_wanted(monkeypatch):
    def none(*_):
        raise LearnError("no detector")

    monkeypatch.setattr(pitch, "track", none)
    assert intonation.wanted_pitch(tone(150), RATE) is None
