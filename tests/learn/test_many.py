"""Targets to files: names, folders, one bad target among good ones, several at a time, resuming, reports."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from sidlearn import audio, export
from sidlearn.cli import run_command
from sidlearn.errors import LearnError, OutputError
from sidlearn.learn import learner, many
from sidlearn.writes import RegisterFrames

RATE = 22_050
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE)).astype(np.float32)


@pytest.fixture(autouse=True)
def one_note(monkeypatch):
    """A method that plays one triangle, louder for a louder target."""

    def find(target, settings, store, progress):
        progress(0.5, "one note")
        count = -(-len(target.audio) * 50 // target.sample_rate)
        values = np.zeros((count, 25), np.uint8)
        values[:, [0, 1, 4, 6, 24]] = 0xD6, 0x1C, 0x11, 0xF0, round(float(15 * np.abs(target.audio).max()))
        return learner.Outcome(RegisterFrames(values), np.ones(count, np.float32), {})

    monkeypatch.setattr(learner, "METHODS", {"pursue": find})


@pytest.fixture
def sounds(tmp_path):
    folder = tmp_path / "sounds"
    folder.mkdir()
    for name, gain in (("a", 1.0), ("b", 2.0)):
        audio.write(folder / f"{name}.wav", TONE * gain, RATE)
    return folder


def order(*targets, outputs=(), **settings):
    return many.Order(tuple(targets), tuple(map(str, outputs)), method="pursue", **settings)


def test_a_folder_becomes_a_folder(sounds, tmp_path):
    with many.executor(None, 1) as pool:
        done = many.run(order(sounds, outputs=[tmp_path / "{name}.csv", tmp_path / "{name}.wav"]), pool)
    assert [d.error for d in done] == [None, None]
    volumes = [(tmp_path / f"{n}.csv").read_text().splitlines()[1].split(",")[2] for n in "ab"]
    assert volumes == ["4", "9"]
    assert not list(tmp_path.glob("*.learning"))
    assert export.EXPORTERS[".csv"] is not None


def test_several_processes_give_the_same_bytes(sounds, tmp_path):
    for jobs in (1, 2):
        folder = tmp_path / str(jobs)
        folder.mkdir()
        with many.executor(None, jobs) as pool:
            many.run(order(sounds, outputs=[folder / "{name}.csv"]), pool)
    assert (tmp_path / "1" / "b.csv").read_bytes() == (tmp_path / "2" / "b.csv").read_bytes()


def test_a_bad_target_does_not_stop_the_others(sounds, tmp_path, capsys):
    (sounds / "a.wav").write_text("no sound at all")
    status = run_command(["learn", str(sounds), "--method", "pursue", "-o", str(tmp_path / "{name}.csv")])
    out, err = capsys.readouterr()
    assert status == 2
    assert re.fullmatch(r"sidlearn: \S+a\.wav: expected a sound file .*\n", err)
    assert "b.csv" in out
    assert (tmp_path / "b.csv").exists()
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("outputs", "error", "message"),
    [
        ([], LearnError, "expected -o OUT"),
        (["x.csv"], LearnError, r"x\.csv: 2 targets need \{name\} in it, such as '\{name\}\.csv'"),
        (["{name}.mp4"], OutputError, r"ends in '\.mp4', expected"),
        (["nowhere/{name}.csv"], OutputError, "no folder 'nowhere'"),
    ],
)
def test_names_are_checked_before_anything_runs(sounds, outputs, error, message):
    with pytest.raises(error, match=message):
        many.plan(order(sounds, outputs=outputs))


def test_targets_that_cannot_be(sounds, tmp_path):
    with pytest.raises(LearnError, match=r"none\.wav: no such file"):
        many.plan(order(tmp_path / "none.wav", outputs=["x.csv"]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LearnError, match="no sound file in this folder"):
        many.plan(order(tmp_path / "empty", outputs=["x.csv"]))
    with pytest.raises(LearnError, match="would take the place of its target"):
        many.plan(order(sounds / "a.wav", outputs=[sounds / "a.wav"]))
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.wav").write_bytes((sounds / "a.wav").read_bytes())
    with pytest.raises(LearnError, match=r"both .* and .* would be written there"):
        many.plan(order(sounds / "a.wav", other / "a.wav", outputs=[tmp_path / "{name}.csv"]))


def test_resume_leaves_what_is_done(sounds, tmp_path):
    wanted = order(sounds, outputs=[tmp_path / "{name}.csv"], resume=True)
    (tmp_path / "a.csv").write_text("learned before")
    with many.executor(None, 1) as pool:
        done = many.run(wanted, pool)
    assert [d.job.target.name for d in done] == ["b.wav"]
    assert (tmp_path / "a.csv").read_text() == "learned before"


def test_nobody_at_the_scheduler():
    pytest.importorskip("distributed")
    with pytest.raises(LearnError, match="no Dask scheduler answers there"), many.executor("tcp://127.0.0.1:9", 1):
        pass


def test_a_dask_cluster_does_the_same(sounds, tmp_path):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        many.executor(cluster.scheduler_address, 1) as pool,
    ):
        done = many.run(order(sounds, outputs=[tmp_path / "{name}.csv"]), pool)
    assert sorted(d.job.target.name for d in done) == ["a.wav", "b.wav"]
    assert [d.error for d in done] == [None, None]
    assert (tmp_path / "b.csv").read_text().splitlines()[1].endswith(",9")


def test_reports(sounds, tmp_path):
    for suffix in (".json", ".html"):
        with many.executor(None, 1) as pool:
            many.run(order(sounds / "a.wav", report=str(tmp_path / f"r{suffix}")), pool)
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["name"] == "a.wav"
    assert report["method"] == "pursue"
    assert report["frames"] == 25
    assert report["confidence"] == [1.0] * 25
    assert report["metrics"]["lsd"] > 0
    page = (tmp_path / "r.html").read_text()
    assert page.count("<audio") == 2
    assert page.count("data:image/png") >= 3 + 5  # two spectrograms, confidence, five registers in use
    assert "MODE_VOL" in page.upper().replace(" ", "_")
