"""What the learner takes and what it refuses; how the method is chosen; that results are kept."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn import learn as package
from sidlearn.errors import AudioError, LearnError, ModelError
from sidlearn.learn import learner
from sidlearn.learn.checkpoint import Checkpoint
from sidlearn.writes import RegisterFrames

RATE = 44_100
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)).astype(np.float32)


def frames_of(target: learner.Target, level: int) -> learner.Outcome:
    count = -(-len(target.audio) * 50 // target.sample_rate)
    values = np.zeros((count, 25), np.uint8)
    values[:, 24] = level
    return learner.Outcome(RegisterFrames(values), np.full(count, 0.5, np.float32), {"locked": False})


@pytest.fixture
def calls(monkeypatch):
    """Methods that only tell that they were called."""
    called: list[str] = []

    def method(name: str, level: int) -> learner.Method:
        def find(target, settings, store, progress):
            called.append(name)
            return frames_of(target, level)

        return find

    monkeypatch.setattr(learner, "METHODS", {"decode": method("decode", 1), "pursue": method("pursue", 2)})
    monkeypatch.setattr(learner, "_choose", lambda *_: "decode")
    return called


@pytest.mark.parametrize(
    ("sound", "rate", "message"),
    [
        (np.zeros(RATE), RATE, "silent"),
        (np.full(RATE, 0.5), RATE, "silent"),
        (TONE[:100], RATE, r"at least 0.01 s of sound, given 0.0023 s"),
        (TONE, 4_000, r"sample rate 4000: expected 8000 to 768000 Hz"),
        (TONE, "44100", "sample rate '44100'"),
    ],
)
def test_what_cannot_be_learned(sound, rate, message):
    with pytest.raises(LearnError, match=message):
        package.learn(sound, rate)


def test_sound_that_is_no_sound():
    broken = TONE.copy()
    broken[77] = np.nan
    with pytest.raises(AudioError, match="sample 77 is nan"):
        package.learn(broken, RATE)
    with pytest.raises(AudioError, match="expected an array"):
        package.learn("song.wav", RATE)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"frame_rate": 60}, LearnError, "expected 50, 100 or 200 frames a second"),
        ({"method": "pursuit"}, LearnError, r"expected auto, decode or pursue \(did you mean pursue\?\)"),
        ({"quality": "good"}, LearnError, "expected best or fast"),
        ({"seed": -1}, LearnError, "expected a whole number from 0"),
        ({"model": "6582"}, ModelError, "6582"),
    ],
)
def test_settings_are_checked_first(settings, error, message):
    with pytest.raises(error, match=message):
        package.learn(TONE, RATE, **settings)


def test_fast_stereo_sound_becomes_mono_at_a_working_rate():
    target = learner.prepare(np.stack((np.repeat(TONE, 4), np.repeat(-0.5 * TONE, 4)), axis=1), 4 * RATE)
    assert target.sample_rate == 48_000
    assert abs(len(target.audio) / 48_000 - len(TONE) / RATE) < 1e-3
    assert np.abs(target.audio).max() == pytest.approx(0.25 * 0.3, rel=0.05)
    assert any("resampled from 176400" in note for note in target.notes)


def test_clipped_sound_gets_a_note():
    assert any("clipped" in note for note in learner.prepare(np.clip(10 * TONE, -1, 1), RATE).notes)
    assert learner.prepare(TONE, RATE).notes == ()


def test_what_does_not_lock_is_resynthesised(calls):
    learned = package.learn(TONE, RATE)
    assert calls == ["decode", "pursue"]
    assert learned.report["method"] == "pursue"
    assert learned.frames.values[:, 24].tolist() == [2] * 25
    assert learned.writes.frames() == learned.frames


def test_a_method_that_was_asked_for_is_kept(calls):
    assert package.learn(TONE, RATE, method="decode").report["method"] == "decode"
    assert calls == ["decode"]


def test_a_finished_result_is_not_learned_again(calls, tmp_path):
    key = {"target": "x"}
    first = package.learn(TONE, RATE, method="pursue", checkpoint=Checkpoint(tmp_path / "c", key))
    again = package.learn(TONE, RATE, method="pursue", checkpoint=Checkpoint(tmp_path / "c", key, resume=True))
    assert calls == ["pursue"]
    assert again.frames == first.frames
    assert again.report == first.report
    assert np.array_equal(again.confidence, first.confidence)
