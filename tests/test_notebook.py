"""What a notebook shows of sounds, writes, frames and learned results; the notebooks of the examples run."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import numpy as np
import pytest

import sidlearn
from sidlearn.learn.learner import Learned
from sidlearn.notebook import listen
from sidlearn.pictures import png
from sidlearn.writes import RegisterFrames


@pytest.fixture(scope="module")
def frames():
    values = np.zeros((25, 25), np.uint8)
    values[:, [0, 1, 4, 6, 24]] = 0xD6, 0x1C, 0x11, 0xF0, 15
    return RegisterFrames(values)


def sound_in(html: str):
    import soundfile

    data = re.search(r"data:audio/flac;base64,([^\"]+)", html)[1]
    return soundfile.read(io.BytesIO(base64.b64decode(data)))


def test_a_sound_shows_itself():
    t = np.arange(22_050) / 22_050
    html = listen(0.25 * np.sin(2 * np.pi * 1000 * t), 22_050)._repr_html_()
    samples, rate = sound_in(html)
    assert rate == 22_050
    assert len(samples) == 22_050
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 1000
    assert "1.00 s at 22050 Hz" in html


def test_writes_and_frames_show_sound_and_registers(frames):
    for thing in (frames, frames.writes()):
        html = thing._repr_html_()
        samples, rate = sound_in(html)
        assert abs(len(samples) / rate - 0.5) < 0.01
        assert abs(np.argmax(np.abs(np.fft.rfft(samples))) / (len(samples) / rate) - 433) < 3
        assert html.count("data:image/png") == 5  # the registers in use
        assert "54276" in html


def test_a_learned_result_shows_itself(frames):
    report = {"method": "pursue", "target": {"seconds": 0.5}, "frames": 25, "writes": 5}
    html = Learned(frames, frames.writes(), np.ones(25, np.float32), report)._repr_html_()
    assert "0.50 s, resynthesised" in html
    assert html.count("data:image/png") == 6


def test_a_long_log_says_what_is_shown(frames):
    long = sidlearn.RegisterWrites(frames.writes().events, 100 * 985_248)
    assert "the first 60 s are shown" in long._repr_html_()


def test_plots_return_axes(frames):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    learned = Learned(frames, frames.writes(), np.ones(25, np.float32), {})
    for axes in (frames.plot(), frames.writes().plot(), learned.plot(), listen(frames).plot()):
        assert axes.get_xlabel() == "seconds"
        assert axes.get_xlim()[1] == pytest.approx(25 * 19_656 / 985_248, rel=0.01)
        axes.figure.canvas.draw()
        matplotlib.pyplot.close(axes.figure)


def test_a_png_is_read_back():
    pygame = pytest.importorskip("pygame")
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    picture = pygame.image.load(io.BytesIO(png(rgb)), "x.png")
    assert np.array_equal(pygame.surfarray.array3d(picture).transpose(1, 0, 2), rgb)


EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda p: p.name)
def test_notebooks_of_the_examples_run(path):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "committed without outputs"
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(EXAMPLES)}}).execute()
    shown = [o for cell in notebook.cells for o in cell.get("outputs", []) if "text/html" in o.get("data", {})]
    assert shown


def test_a_scale_has_round_seconds_and_as_many_ticks_as_fit():
    from sidlearn.pictures import MOST_TICKS, scaled, tick_step

    assert [tick_step(seconds) for seconds in (0.03, 2.9, 12, 100, 1_800)] == [0.005, 0.5, 1, 10, 200]
    for seconds in (0.01, 1.0, 7.3, 3_599.0):
        assert MOST_TICKS / 3 < seconds / tick_step(seconds) <= MOST_TICKS
    page = scaled("<img>", 2.0, 4_000)
    assert "2 kHz" in page
    assert "5 kHz" not in page  # above half of the sample rate there is nothing
    assert 'left:100.00%">2 s' in page
