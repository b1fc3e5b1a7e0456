"""The listing of page 185, from its text to the notes in the sound file, against the original machine."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sidlearn import audio, clock

LISTING = Path(__file__).resolve().parent.parent.parent / "examples" / "page185.tok64"
BOUNDS = {"cycle": 0.03, "cents": 2.0, "gate_ms": 2.0}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Log and sound as the command line makes them."""
    folder = tmp_path_factory.mktemp("page185")
    outputs = ["-o", str(folder / "p.csv"), "-o", str(folder / "p.wav")]
    subprocess.run([sys.executable, "-m", "sidlearn", "run", str(LISTING), *outputs], check=True, cwd=folder)
    rows = [tuple(map(int, r)) for r in list(csv.reader((folder / "p.csv").open()))[1:]]
    return rows, audio.read(folder / "p.wav")


@pytest.fixture(scope="module")
def reference(request):
    path = Path(__file__).resolve().parent.parent / "data" / "basic" / "logs" / "page185_spaced.csv"
    return [
        (int(r["cycle_pal_mean"]), int(r["reg"]), int(r["value"])) for r in csv.DictReader(path.open())
    ]  # fmt: skip


def notes(rows):
    """Return (first cycle, last cycle, FREQ) of every note."""
    found, image, begun = [], [0] * 25, 0
    for cycle, register, value in rows:
        if register == 4 and value & 1 > image[4] & 1:
            begun = cycle
        if register == 4 and value & 1 < image[4] & 1:
            found.append((begun, cycle, image[0] | image[1] << 8))
        image[register] = value
    return found


def test_the_96_writes_are_those_of_the_machine(played, reference):
    rows, _ = played
    assert [row[1:] for row in rows] == [row[1:] for row in reference]
    late = [abs(row[0] / ref[0] - 1) for row, ref in zip(rows, reference, strict=True)]
    assert max(late) < BOUNDS["cycle"]


def test_the_17_notes_last_as_long_as_on_the_machine(played, reference):
    mine, theirs = notes(played[0]), notes(reference)
    assert len(mine) == len(theirs) == 17
    for (on, off, freq), (ref_on, ref_off, ref_freq) in zip(mine, theirs, strict=True):
        assert freq == ref_freq
        assert abs((off - on) - (ref_off - ref_on)) / clock.PAL.clock_hz * 1e3 < BOUNDS["gate_ms"]


def test_the_17_notes_have_the_pitch_of_their_freq(played):
    rows, (sound, rate) = played
    for on, off, freq in notes(rows):
        begin = round((on / clock.PAL.clock_hz + 0.03) * rate)
        count = round(min((off - on) / clock.PAL.clock_hz - 0.03, 0.25) * rate)
        hz = pitch(sound[begin : begin + count], rate, clock.freq_to_hz(freq))
        assert abs(1200 * np.log2(hz / clock.freq_to_hz(freq))) < BOUNDS["cents"]


def pitch(sound, rate, near_hz):
    """Return the frequency near `near_hz` at which the harmonics of a sound are strongest."""
    seconds = np.arange(len(sound)) / rate
    cents = np.arange(-5, 5.5, 0.5)
    hz = near_hz * 2 ** (cents / 1200)
    turns = np.exp(-2j * np.pi * np.outer(hz, seconds))  # (cents, samples); its powers are the harmonics
    window = sound * np.hanning(len(sound))
    strength = sum(np.abs(turns**k @ window) for k in range(1, 9))
    return hz[np.argmax(strength)]
