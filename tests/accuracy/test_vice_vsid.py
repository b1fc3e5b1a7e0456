"""The tunes of VICE's `vsid` folder: libsidplayfp's writes for 60 s, and for BASIC tunes those of the original machine.

Needs ``--testprogs DIR``, a checkout of VICE-testprogs. Two tunes that sidplayfp cannot play without a ROM are left
out.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from sidlearn import clock
from sidlearn.c64 import player, tune
from sidlearn.writes import LogPort
from tests.accuracy.tunes import checksums, ours

DATA = Path(__file__).resolve().parent.parent / "data" / "c64"
STORED = json.loads((DATA / "sidplayfp.json").read_text(encoding="ascii"))
BASIC = json.loads((DATA / "basic_tunes.json").read_text(encoding="ascii"))

SECONDS = 60
PSID_CYCLES = 64
"""How far apart a write may be in time: a bad line and a bit, where it stands at its edge."""
PARTS_EQUAL = 19
"""Of twenty: Young_Ones plays one value of a counter."""
BASIC_LENGTH = 3e-4
"""Of a tune's length: when in a picture it starts, and how the SID's ENV3 reads, are not in the reference."""


@pytest.mark.slow
@pytest.mark.parametrize("name", STORED)
def test_a_tune_makes_the_writes_that_sidplayfp_makes(testprogs, name):
    row = STORED[name]
    content = (testprogs / "vsid" / name).read_bytes()
    read = tune.read(content)
    video = clock.VIDEO[read.video or "pal"]
    own, ran = ours(content, row["song"], video, SECONDS * video.clock_hz)
    assert ran.error is None
    assert abs(len(own) - row["writes"]) <= 1
    equal = np.array(checksums(own)) == np.array(row["sha256"])
    assert equal.sum() >= PARTS_EQUAL
    if read.magic == "PSID":
        assert abs(own[:: row["every"], 0] - row["cycles"]).max() <= PSID_CYCLES


@pytest.mark.slow
@pytest.mark.parametrize("name", BASIC)
def test_a_basic_tune_makes_the_writes_of_the_machine(testprogs, name):
    """Without a SID to read, as the reference was made."""
    row = BASIC[name]
    file, song = name.split(" ")
    read = tune.read((testprogs / "vsid/tunes" / file).read_bytes())
    ran = player.BasicTunePlayer(read, int(song), clock.PAL, LogPort())
    events = ran.advance(row["cycles"] + 3 * clock.PAL.clock_hz)
    sequence = np.column_stack((events["register"], events["value"])).astype(np.uint8)[: row["writes"]]
    assert hashlib.sha256(sequence.tobytes()).hexdigest()[:16] == row["sha256"]
    length = int(events["cycle"][row["writes"] - 1] - events["cycle"][0])
    assert abs(length / row["cycles"] - 1) <= BASIC_LENGTH
    assert ran.error == row["error"]
