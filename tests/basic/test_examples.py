"""The examples: listings that a person can type, that end by themselves, and that leave no voice sounding."""

from __future__ import annotations

import re

import pytest

from sidlearn.basic import detokenize, programs, run, tokenize, type_in
from sidlearn.clock import PAL
from sidlearn.registers import CONTROL, GATE, VOICES, voice_register
from tests.conftest import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.tok64"))
SCREEN_LINE = 80  # what the machine's editor takes for one line of a program


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.stem)
def listing(request):
    return request.param.read_text(encoding="utf-8")


def test_every_example_has_its_line_in_the_readme():
    told = set(re.findall(r"`(\w+\.tok64)`", (ROOT / "examples" / "README.md").read_text(encoding="utf-8")))
    assert told == {path.name for path in EXAMPLES}


def test_examples_can_be_typed_and_converted(listing):
    (program,) = programs(listing)
    assert program.notes == ()
    assert all(len(line.strip()) <= SCREEN_LINE for line in listing.splitlines())
    assert type_in(listing) == tokenize(listing) == tokenize(detokenize(program.data))


def test_own_examples_begin_with_what_they_show(listing):
    if "page185" not in listing:
        assert re.match(r"start tok64 \w+\.prg\n10 rem .*\n20 rem ", listing)


def test_examples_end_by_themselves_with_all_gates_closed(listing):
    result = run(listing, video="pal", max_cycles=60 * PAL.clock_hz)
    assert result.error is None
    assert result.output == b""
    assert 5 < result.cycles / PAL.clock_hz < 40
    events = result.writes.events
    for voice in range(VOICES):
        control = events["value"][events["register"] == voice_register(voice, CONTROL)]
        assert len(control) == 0 or not control[-1] & GATE
    assert len(events) > 90
