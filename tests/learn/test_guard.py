"""No number is optimised alone: what improves a refinement's own loss must not cost intelligibility or pitch."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.bench.targets import drums
from sidlearn.chip.sid import render
from sidlearn.learn import metrics, pursue
from sidlearn.learn.checkpoint import Forgetful
from tests.learn.sounds import RATE, babble

LOUDNESS = 2.0

# Below this a difference means nothing: one frame of the sounds used here.
TOLERANCES = {"stoi": 0.01, "estoi": 0.01, "rpa": 0.03, "rms_cosine": 0.02}


def scores(sound, frames) -> dict[str, float]:
    pytest.importorskip("pystoi")
    pytest.importorskip("swift_f0")
    played = render(frames.writes(), "6581", RATE)
    values, reasons = metrics.score(sound, played, RATE, TOLERANCES)
    assert not reasons
    return values


@pytest.fixture(scope="module")
def stages():
    """Frames after each refinement, and their loss: the distance of levels less both likenesses."""
    sound = babble(3.6)  # in half as much, chance decides
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(pursue, "LOUDNESS", (LOUDNESS,))
    plain = pursue.Effort(2, (), pursue.SIX_LEVELS, None)
    efforts = {
        "searched": plain,
        "chosen again": plain._replace(passes=(True,)),
        "polished": plain._replace(passes=(True,), moves=pursue.polish.FEW),
        "in tune": plain._replace(passes=(True,), moves=pursue.polish.FEW._replace(again=(pursue.polish.SOME,))),
    }
    found = {}
    for name, effort in efforts.items():
        frames = pursue.pursue(sound, RATE, effort=effort).frames
        found[name] = (frames, loss_of(sound, frames), scores(sound, frames))
    monkeypatch.undo()
    return found


def loss_of(sound, frames) -> float:
    """Return the loss that refinements lower, of registers played in the emulator."""
    seconds = frames.frame_cycles / 985_248
    target = pursue.analyse(sound, RATE, len(frames), seconds)
    atoms = pursue.dictionary("6581", seconds)
    wanted = pursue.want(target, atoms, LOUDNESS)
    goal = pursue.goal_of(
        sound, RATE, len(frames), frames.frame_cycles, wanted, atoms.bands, np.zeros(len(frames), bool)
    )
    bench = pursue.polish.Bench("6581", frames.frame_cycles, goal)
    power = pursue.polish.listen_to_all(bench, frames, "6581")
    levels = (((power + goal.floor) ** 0.125 - goal.compressed) ** 2 @ goal.weight).mean()
    course, spectrogram = pursue.likeness.overall(goal.target, pursue.likeness.course(goal.target, power))
    return float(goal.weights @ np.array([levels, -course, -spectrogram]))


@pytest.mark.parametrize(("before", "after"), [("searched", "chosen again"), ("chosen again", "polished")])
def test_a_refinement_improves_its_loss_and_costs_nothing_that_is_heard(stages, before, after):
    (_, old_loss, old), (_, new_loss, new) = stages[before], stages[after]
    assert new_loss < old_loss
    for name, tolerance in TOLERANCES.items():
        assert new[name] >= old[name] - tolerance, name


def test_all_refinements_together_make_speech_clearer(stages):
    first, last = stages["searched"][2], stages["polished"][2]
    assert last["estoi"] > first["estoi"] + 0.02


def test_polishing_again_where_the_pitch_was_lost_costs_nothing_else(stages):
    (_, _, old), (_, _, new) = stages["polished"], stages["in tune"]
    assert new["rpa"] >= old["rpa"]
    for name, tolerance in TOLERANCES.items():
        assert new[name] >= old[name] - tolerance, name


def test_strokes_of_drums_are_heard_and_no_others():
    sound = drums()[: 2 * RATE]
    played = render(pursue.pursue(sound, RATE, quality="fast").frames.writes(), "6581", RATE)
    assert metrics.score(sound, played, RATE, ["onset_f"])[0]["onset_f"] >= 0.85


@pytest.mark.parametrize(("frame_rate", "seconds", "again"), [(100, 0.8, ()), (50, 1.0, (pursue.polish.SOME,))])
def test_a_killed_run_ends_with_the_same_bytes(monkeypatch, frame_rate, seconds, again):
    """The run dies in the middle of the choosing, and once more in the middle of the polish."""
    monkeypatch.setattr(pursue, "PIECE_FRAMES", 20)
    monkeypatch.setattr(pursue.polish, "KEPT_FRAMES", 10)
    sound = babble(seconds)
    effort = pursue.Effort(4, (False,), pursue.THREE_LEVELS, pursue.polish.FEW._replace(again=again))
    how = {"effort": effort, "quality": "fast", "frame_rate": frame_rate}
    whole = pursue.pursue(sound, RATE, **how)

    class Dying(Forgetful):
        """A store that outlives the runs, which die at its third and sixth result."""

        def __init__(self):
            self.kept: dict = {}
            self.puts = 0

        def get(self, name):
            return self.kept.get(name)

        def put(self, name, /, **arrays):
            self.kept[name] = {key: np.array(value) for key, value in arrays.items()}
            self.puts += 1
            if self.puts in (2, 5):
                raise KeyboardInterrupt

    store = Dying()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            pursue.pursue(sound, RATE, checkpoint=store, **how)
    resumed = pursue.pursue(sound, RATE, checkpoint=store, **how)
    assert store.puts > 5
    assert resumed.frames == whole.frames
    assert np.array_equal(resumed.confidence, whole.confidence)
