"""The script that makes the README's pictures and the film: what it shows is what sounds; the pictures are there."""

from __future__ import annotations

import importlib.util
import re
import subprocess

import numpy as np
import pytest

from tests.conftest import ROOT, need_real_part

pygame = pytest.importorskip("pygame")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "examples" / "make_pictures.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    pygame.quit()


def test_the_pictures_of_the_readme_are_there_small_and_of_both_sizes():
    shown = re.findall(r"\]\((examples/pictures/[^)]+\.png)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(shown) >= 3
    sizes = set()
    for name in shown:
        path = ROOT / name
        assert path.stat().st_size < 150_000
        sizes.add(pygame.image.load(path).get_size())
    assert sizes == {(960, 600), (1920, 1200)}


def test_live_play_is_seen_and_heard(script):
    sound = []
    for window, part in script.live(30, (960, 600), script.LEAD):
        sound.append(part)
        sounding = window.desk.sounding()
    assert np.abs(np.concatenate(sound)).max() > 0.05
    assert len(sounding) == 3
    assert len({v for v in window.view.image if v}) > 5


def test_a_film_has_picture_and_sound_of_one_length(script, tmp_path, monkeypatch):
    need_real_part("ffmpeg", "ffprobe")
    monkeypatch.setattr(script, "LEAD", "Saw lead")
    live, listing = script.live, script.listing
    monkeypatch.setattr(script, "live", lambda pictures, size, name: live(25, size, name))
    monkeypatch.setattr(script, "listing", lambda pictures, size: listing(25, size))
    script.save_film(tmp_path / "film.mp4", (480, 300))
    asked = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type,duration", "-of", "csv=p=0"]
    told = subprocess.run([*asked, str(tmp_path / "film.mp4")], capture_output=True, text=True, check=True).stdout
    streams = dict(line.split(",") for line in told.split())
    assert set(streams) == {"video", "audio"}
    assert float(streams["video"]) == pytest.approx(1.0, abs=0.05)
    assert float(streams["audio"]) == pytest.approx(1.0, abs=0.1)
