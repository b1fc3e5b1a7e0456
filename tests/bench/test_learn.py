"""The learner's benchmark: the other converters do what they say, and the verdicts count what they should."""

from __future__ import annotations

import numpy as np
import pytest

import sidlearn
from sidlearn.bench import converters, learn, targets
from sidlearn.errors import AudioError, SidlearnError
from sidlearn.writes import RegisterFrames

RATE = targets.RATE


def tone(hz: float, seconds: float = 0.4) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    return (0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)


def strongest_hz(sound: np.ndarray) -> float:
    sound = sound[len(sound) // 3 : 2 * len(sound) // 3]
    power = np.abs(np.fft.rfft((sound - sound.mean()) * np.hanning(len(sound)), 1 << 17))
    return float(np.argmax(power) * RATE / (1 << 17))


@pytest.mark.parametrize("method", ["peak picking", "dictionary", "greedy"])
@pytest.mark.parametrize("hz", [262.0, 880.0])
def test_converters_play_the_note_that_they_hear(method, hz):
    played = sidlearn.render(converters.METHODS[method](tone(hz), RATE))
    assert abs(1200 * np.log2(strongest_hz(played) / hz)) < 60


def test_the_digi_is_the_sound_itself():
    sound = targets.flute()[: RATE // 2]
    writes = converters.sample(sound, RATE)
    played = sidlearn.render(writes)
    assert len(writes) / writes.seconds > 1_000
    assert abs(1200 * np.log2(strongest_hz(played) / strongest_hz(sound))) < 10


@pytest.mark.parametrize("method", ["Adam", "CMA-ES"])
def test_searches_come_nearer_with_effort_and_repeat_by_seed(method):
    pytest.importorskip("cmaes")
    sound = tone(330.0, 0.2)
    run = lambda effort: converters.METHODS[method](sound, RATE, effort, 3)  # noqa: E731
    assert run(0.05) == run(0.05)

    def off(writes) -> float:
        played = sidlearn.render(writes)[: len(sound)]
        power = lambda x: converters.power_of(x / max(np.abs(x).max(), 1e-9))  # noqa: E731
        return float(np.mean((power(played - played.mean()) - power(sound[: len(played)])) ** 2))

    assert off(run(0.5)) < off(run(0.01))


def test_a_note_is_played_as_its_log():
    note = converters.note_of(np.random.default_rng(1).random(18), 5)
    sound = converters.play(sidlearn.SID("6581", RATE, mode="fast"), note)
    played = sidlearn.render(RegisterFrames(note).writes(), mode="fast")
    assert np.corrcoef(converters.power_of(sound).ravel(), converters.power_of(played).ravel())[0, 1] > 0.9


def test_own_targets_are_of_use_and_repeat():
    sounds = targets.own_targets()
    assert set(sounds) == {"voice", "flute", "drums"}
    for name, sound in sounds.items():
        assert np.isfinite(sound).all()
        assert np.abs(sound).max() == pytest.approx(0.8)
        assert 1.5 < len(sound) / RATE < 3
        assert np.array_equal(sound, targets.own_targets()[name])


def test_a_folder_without_sounds_is_told(tmp_path):
    with pytest.raises(AudioError, match=r"expected a folder with \.wav or \.flac"):
        targets.read_targets(tmp_path)
    sidlearn.audio.write(tmp_path / "one.wav", tone(440.0), RATE)
    assert list(targets.read_targets(tmp_path)) == ["one"]


def test_verdicts_leave_the_yardstick_out():
    values = {"stoi": 0.5, "visqol": 2.0, "rpa": 0.9}
    medians = {
        "greedy": values | {"stoi": 0.6}, "4-bit digi": values | {"stoi": 0.9}, "sidlearn best": values | {"stoi": 0.7},
        "sidlearn fast": values | {"stoi": 0.8},
    }  # fmt: skip
    rows = {row.case: row for row in learn._verdicts(medians)}
    assert rows["lead on stoi"].figure == pytest.approx(0.1)
    assert rows["lead on stoi"].details["before"] == "greedy"
    assert all(row.holds for row in rows.values())


def test_options_of_the_learner_are_for_the_learner(capsys):
    from sidlearn.__main__ import main

    assert main(["bench", "chip", "--quick"]) == 2
    assert "for bench learn" in capsys.readouterr().err
    assert issubclass(AudioError, SidlearnError)
