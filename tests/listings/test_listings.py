"""Whole BASIC programs with the writes they must give."""

from __future__ import annotations

from itertools import product

import pytest

from sidlearn.basic import run

SWEEP = """
10 s=54272:for i=0 to 24:poke s+i,0:next
20 poke s+24,31:poke s+23,241:poke s+6,240:poke s+4,33
30 for c=0 to 255 step 17:poke s+22,c:next
40 for c=255 to 0 step -51:poke s+22,c:poke s+21,c and 7:next
"""

NOTES = """
10 dim f(11):for i=0 to 11:f(i)=int(268*2^(i/12)+.5):next
20 s=54272:read n$:for i=1 to len(n$):v=asc(mid$(n$,i,1))-65
30 gosub 100:next:end
100 h=int(f(v)/256):poke s,f(v)-256*h:poke s+1,h:poke s+4,17:poke s+4,16:return
200 data "aceghl"
"""

SONG = """
100 rem three voices from data, one line a step
110 s=54272:def fnr(x)=s+7*v+x
120 read a$:if a$="end" then poke s+24,0:end
130 for v=0 to 2:n=val(mid$(a$,2*v+1,2)):on sgn(n)+1 gosub 200,300:next:goto 120
200 poke fnr(4),16:return
300 poke fnr(1),n:poke fnr(4),17:return
400 data "201030","002500","110099",end
"""


def writes_of(program: str) -> list[tuple[int, int]]:
    result = run(program)
    assert result.error is None
    events = result.writes.events
    return list(zip(events["register"].tolist(), events["value"].tolist(), strict=True))


def sweep() -> list[tuple[int, int]]:
    rows = [(i, 0) for i in range(25)] + [(24, 31), (23, 241), (6, 240), (4, 33)]
    rows += [(22, c) for c in range(0, 256, 17)]
    for c in range(255, -1, -51):
        rows += [(22, c), (21, c & 7)]
    return rows


def notes() -> list[tuple[int, int]]:
    rows = []
    for name in "aceghl":
        freq = int(268 * 2 ** ((ord(name) - 97) / 12) + 0.5)
        rows += [(0, freq & 255), (1, freq >> 8), (4, 17), (4, 16)]
    return rows


def song() -> list[tuple[int, int]]:
    rows = []
    for line, voice in product(("201030", "002500", "110099"), range(3)):
        n = int(line[2 * voice : 2 * voice + 2])
        rows += [(7 * voice + 1, n), (7 * voice + 4, 17)] if n else [(7 * voice + 4, 16)]
    return [*rows, (24, 0)]


@pytest.mark.parametrize(("program", "expected"), [(SWEEP, sweep()), (NOTES, notes()), (SONG, song())])
def test_listing_writes_what_it_says(program, expected):
    assert writes_of(program) == expected
