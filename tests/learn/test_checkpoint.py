"""Results on disk: whole, for one target only, and thrown away unless they are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.errors import LearnError
from sidlearn.learn.checkpoint import Checkpoint, digest

KEY = {"target": "ab12", "frame_rate": 50}


def test_arrays_come_back_as_they_were(tmp_path):
    store = Checkpoint(tmp_path / "c", KEY)
    store.put("notes/0", level=np.float64([0.1, 0.2]), frames=np.uint8([[1, 2]]))
    again = Checkpoint(tmp_path / "c", KEY, resume=True).get("notes/0")
    assert again["level"].tolist() == [0.1, 0.2]
    assert again["frames"].dtype == np.uint8
    assert store.get("other") is None


def test_without_resume_old_results_go(tmp_path):
    Checkpoint(tmp_path / "c", KEY).put("notes", a=1)
    assert Checkpoint(tmp_path / "c", KEY).get("notes") is None


def test_results_of_another_target_are_refused(tmp_path):
    Checkpoint(tmp_path / "c", KEY).put("notes", a=1)
    with pytest.raises(LearnError, match=r"its frame_rate is 50, asked for now 100"):
        Checkpoint(tmp_path / "c", KEY | {"frame_rate": 100}, resume=True)


def test_a_torn_file_is_no_result(tmp_path):
    store = Checkpoint(tmp_path / "c", KEY)
    store.put("notes", a=np.arange(1000))
    path = tmp_path / "c" / "notes.npz"
    path.write_bytes(path.read_bytes()[:300])
    assert store.get("notes") is None


def test_a_disk_that_cannot_be_written_ends_the_checkpoint_not_the_run(tmp_path):
    (tmp_path / "c").write_text("a file where the folder should be")
    store = Checkpoint(tmp_path / "c", KEY, resume=True)
    store.put("notes", a=1)
    store.put("notes", a=1)
    assert (tmp_path / "c").read_text().startswith("a file")


def test_equal_sound_has_an_equal_name():
    sound = np.linspace(-1, 1, 100, dtype=np.float32)
    assert digest(sound) == digest(sound.copy()) != digest(sound[:-1])


def test_an_array_may_be_called_name(tmp_path):
    store = Checkpoint(tmp_path / "c", KEY)
    store.put("method", name=np.str_("pursue"))
    assert str(store.get("method")["name"]) == "pursue"
