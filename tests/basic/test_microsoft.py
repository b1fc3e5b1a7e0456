"""Random programs against Microsoft's own BASIC: its published source, assembled and run on a 6502."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from sidlearn.basic import run
from sidlearn.basic.listing import type_in

DATA = json.loads((Path(__file__).parents[1] / "data" / "basic" / "microsoft.json").read_text())


def as_stored(output: bytes) -> str:
    """Blank lines before messages are told differently there, and so is the end of the output."""
    return re.sub(r"\r+\?", "\r?", output.decode("latin-1").strip("\r"))


@pytest.mark.parametrize("case", DATA["cases"], ids=range(len(DATA["cases"])))
def test_prints_and_writes_what_microsofts_code_does(case):
    lines = [DATA["before"], *case["program"].split("\n"), DATA["after"]]
    numbered = {line.partition(" ")[0]: line for line in lines}
    program = "\n".join(sorted(numbered.values(), key=lambda line: int(line.partition(" ")[0])))
    result = run(type_in(program), lines=case["lines"], max_cycles=20_000_000)
    assert as_stored(result.output) == case["output"]
    events = result.writes.events
    assert [[int(e["register"]), int(e["value"])] for e in events] == [w for w in case["writes"] if w[0] < 25]


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ('"a"<"b"<"c"', "TYPE MISMATCH"),  # the type of what stands right before a relation counts
        ('""+str$("a"="b")', "SYNTAX"),  # comparing strings counts OPMASK down, which joining looks at
        ('7<"a"="b"', None),  # a relation clears the type: 7 is compared with the descriptor of "a"
    ],
)
def test_relations_and_the_type_of_strings(expression, error):
    found = run(f"10 a={expression}").error
    assert found == (f"?{error}  ERROR IN 10" if error else None)
