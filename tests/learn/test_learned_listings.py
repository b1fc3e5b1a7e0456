"""The learned listings of the examples: our BASIC runs them, and they sound like what they were learned from."""

from __future__ import annotations

import runpy

import numpy as np
import pytest

import sidlearn
from sidlearn.learn import metrics
from sidlearn.registers import WRITABLE
from sidlearn.writes import RegisterWrites
from tests.conftest import ROOT

LISTINGS = sorted((ROOT / "examples").glob("learned_*.bas"))
RATE = 44_100
LEAST = {"flute": {"rpa": 0.9, "rms_cosine": 0.93}, "drums": {"onset_f": 0.85}}
FRAME_CYCLES = 19_656


def played(name: str) -> RegisterWrites:
    """Return what a listing plays, from the first frame on: what it clears first is left out."""
    writes = sidlearn.load(ROOT / "examples" / f"learned_{name}.bas", seconds=30)
    cleared = writes.events[:WRITABLE]
    assert sorted(cleared["register"]) == list(range(WRITABLE))
    assert not cleared["value"].any()
    events = writes.events[WRITABLE:].copy()
    start = int(events["cycle"][0])
    events["cycle"] -= start
    return RegisterWrites(events, int(events["cycle"][-1]) + FRAME_CYCLES, writes.clock_hz)


@pytest.fixture(scope="module")
def sounds():
    return runpy.run_path(str(ROOT / "examples" / "make_sounds.py"))


def test_there_is_one_of_each():
    assert [path.stem for path in LISTINGS] == ["learned_drums", "learned_flute", "learned_speech"]


@pytest.mark.parametrize("name", LEAST)
def test_a_listing_sounds_like_what_it_was_learned_from(name, sounds):
    if name == "flute":
        pytest.importorskip("swift_f0")
    wanted = sounds[name]()
    found = sidlearn.render(played(name), "6581", RATE, "fast")
    values, reasons = metrics.score(wanted, found, RATE, LEAST[name])
    assert not reasons
    for metric, least in LEAST[name].items():
        assert values[metric] >= least, metric


def test_the_sentence_keeps_the_tempo_of_its_frames():
    """Writes come in bursts, 50 a second: the player never falls behind."""
    cycles = played("speech").events["cycle"]
    first = cycles[np.flatnonzero(np.diff(cycles, prepend=-FRAME_CYCLES) > 5_000)]
    frames = np.round(first / FRAME_CYCLES)
    assert np.abs(first / FRAME_CYCLES - frames).max() < 0.25
    assert np.array_equal(np.unique(frames), frames)
    assert 160 < frames[-1] < 175
