"""Folders and playlists."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidlearn import cli, playlist
from sidlearn.errors import DeviceError, SourceError
from tests.c64.tunes import COUNTER, sid


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "b").mkdir()
    (tmp_path / "a.sid").write_bytes(sid(COUNTER, songs=3, start=2))
    (tmp_path / "b" / "c.csv").write_text("cycle,register,value\n0,24,15\n")
    (tmp_path / "notes.txt").write_text("not music")
    (tmp_path / "all.m3u").write_text("#EXTM3U\n#EXTINF:5,song\nb/c.csv\n\na.sid:3\na.sid\n")
    return tmp_path


def test_a_folder_gives_what_is_in_it(folder):
    assert [e.path.name for e in playlist.entries(folder)] == ["a.sid", "c.csv"]


def test_a_playlist_gives_its_lines(folder):
    assert [(e.path.name, e.song) for e in playlist.entries(folder / "all.m3u")] == [
        ("c.csv", None),
        ("a.sid", 3),
        ("a.sid", None),
    ]


def test_a_missing_file_does_not_stop_the_others(folder, capsys, monkeypatch):
    from sidlearn.cli import BAD_USE, run_command

    monkeypatch.chdir(folder)
    (folder / "c.csv").write_text("cycle,register,value\n0,24,15\n")
    (folder / "all.m3u").write_text("b.sid\nc.csv\n")
    assert run_command(["run", "all.m3u", "-o", "{name}.csv", "-o", "all.dump", "--seconds", "0.1"]) == BAD_USE
    assert "b.sid: no such file" in capsys.readouterr().err
    assert {p.name for p in folder.glob("*02*")} == {"02-c.csv", "all-02-c.dump"}


def test_a_null_in_a_playlist_is_named_with_its_line(folder):
    (folder / "all.m3u").write_text("a.sid\nb\0.sid\n")
    with pytest.raises(SourceError, match=r"all\.m3u:2: expected the name of a file"):
        playlist.entries(folder / "all.m3u")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SourceError, match="nothing to play"):
        playlist.entries(tmp_path)


def test_keys_step_through_songs_and_entries(folder):
    position = playlist.Position(playlist.entries(folder / "all.m3u"))
    seen = []
    for word, songs in (("next", 1), ("next", 3), ("next", 3), ("previous", 3), ("previous", 3), ("previous", 3)):
        entry = position.entry
        seen.append((entry.path.name, entry.song))
        position.step(word, entry.song or 2, songs)
    seen.append((position.entry.path.name, position.entry.song))
    assert seen == [
        ("c.csv", None),
        ("a.sid", 3),
        ("a.sid", None),  # whose second song is the one it begins with
        ("a.sid", 3),
        ("a.sid", 2),
        ("a.sid", 1),
        ("a.sid", 3),
    ]


def test_the_list_ends_or_begins_again(folder):
    position = playlist.Position(playlist.entries(folder))
    position.go_on()
    position.go_on()
    assert position.entry is None
    position = playlist.Position(playlist.entries(folder), loop=True)
    position.go_on()
    position.go_on()
    assert position.entry.path.name == "a.sid"
    position.step(playlist.QUIT, 1, 1)
    assert position.entry is None


@pytest.mark.parametrize(
    ("typed", "word"), [("n", "next"), ("\x1b[D", "previous"), ("xq", "quit"), ("np", "previous"), ("x", None)]
)
def test_keys(typed, word):
    assert playlist.command(typed) == word


def test_every_entry_is_written_to_files_of_its_own(folder, capsys):
    (folder / "b" / "broken.sid").write_bytes(b"PSID")
    out = folder / "log.csv"
    assert cli.run_command(["run", str(folder), "-o", str(out), "--seconds", "0.1"]) == cli.BAD_USE
    assert sorted(p.name for p in folder.glob("log*")) == ["log-01-a.csv", "log-03-c.csv"]
    captured = capsys.readouterr()
    assert "broken.sid: expected a .sid file" in captured.err
    assert captured.err.count("\n") == 1


def test_sound_fades_out(tmp_path):
    import numpy as np

    from sidlearn import RegisterWrites, audio, outputs

    rows = [(0, 24, 15), (1, 6, 0xF0), (2, 1, 20), (3, 4, 17)]
    writes = RegisterWrites.from_rows(rows, length=985_248)
    for name, fade in (("a.wav", 0.0), ("b.wav", 0.5)):
        outputs.save(writes, tmp_path / name, mode="fast", fade_seconds=fade)
    plain, rate = audio.read(tmp_path / "a.wav")
    faded, _ = audio.read(tmp_path / "b.wav")
    half = len(plain) - rate // 2
    assert np.array_equal(plain[:half], faded[:half])
    ramp = np.linspace(1, 0, rate // 2)
    assert abs(faded[half:] - plain[half:] * ramp).max() < 1e-4


def test_without_a_sound_device_the_first_entry_ends_the_list(folder, monkeypatch):
    tried = []

    def play(options, *rest):
        tried.append(options.source)
        raise DeviceError("no sound device")

    monkeypatch.setattr(cli, "_play_entry", play)
    with pytest.raises(DeviceError):
        cli._run_aloud(cli.build_parser().parse_args(["run", str(folder)]), None, None)
    assert len(tried) == 1
