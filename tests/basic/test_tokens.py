"""Crunching one line: the table's order, what is left alone, abbreviations, and the way back."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn.basic import tokenize
from sidlearn.basic.petscii import read, to_bytes
from sidlearn.basic.tokens import KEYWORDS, TOKEN, crunch, expand
from tests.conftest import DATA

PETCAT = json.loads((DATA / "basic" / "tokens.json").read_text(encoding="utf-8"))["cases"]


def crunch_slowly(text: str) -> bytes:
    """Crunch plain text in small letters by the machine's own steps, one character and one table entry at a time."""
    out = bytearray()
    at, in_data = 0, False
    while at < len(text):
        rest = text[at:]
        if rest[0] == '"':
            end = rest.find('"', 1) + 1 or len(rest)
            out += to_bytes(rest[:end])
            at += end
            continue
        if in_data:
            in_data = rest[0] != ":"
        else:
            if rest[0] == "?":
                out.append(TOKEN["print"])
                at += 1
                continue
            keyword = next((k for k in KEYWORDS if rest.startswith(k)), None)
            if keyword is not None:
                out.append(TOKEN[keyword])
                at += len(keyword)
                if keyword == "rem":
                    return bytes(out) + to_bytes(text[at:])
                in_data = keyword == "data"
                continue
        out += to_bytes(rest[0])
        at += 1
    return bytes(out)


@pytest.mark.parametrize("case", PETCAT, ids=range(len(PETCAT)))
def test_listings_give_the_bytes_of_petcat(case):
    assert tokenize(case["listing"]).hex() == case["prg_hex"]


def test_tokens_run_from_128_to_203_without_a_gap():
    assert (TOKEN["end"], TOKEN["rem"], TOKEN["print"], TOKEN["go"]) == (0x80, 0x8F, 0x99, 0xCB)
    assert sorted(TOKEN.values()) == list(range(0x80, 0xCC))


_WORDS = st.lists(
    st.one_of(st.sampled_from(KEYWORDS), st.sampled_from('"" :;,?$%().0123456789abcdeginoprst '), st.just(" ")),
    max_size=30,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(_WORDS)
def test_crunching_agrees_with_the_steps_of_the_machine(text):
    assert crunch(text) == crunch_slowly(text)


@settings(max_examples=400, deadline=None)
@given(_WORDS)
def test_capitals_and_title_case_crunch_like_small_letters_outside_quotes(text):
    text = text.replace('"', "").replace("rem", "")
    assert crunch(text.upper()) == crunch(text.title()) == crunch(text)


# Source: the table of abbreviations in the Commodore 64 User's Guide, appendix D.
_ABBREVIATIONS = (
    "eN=end fO=for nE=next dA=data iN=input# dI=dim rE=read lE=let gO=goto rU=run reS=restore goS=gosub reT=return "
    "sT=stop wA=wait lO=load sA=save vE=verify dE=def pO=poke pR=print# cO=cont lI=list cL=clr cM=cmd sY=sys oP=open "
    "clO=close gE=get tA=tab( sP=spc( tH=then nO=not stE=step aN=and sG=sgn aB=abs uS=usr fR=fre sQ=sqr rN=rnd eX=exp "
    "sI=sin aT=atn pE=peek stR=str$ vA=val aS=asc cH=chr$ leF=left$ rI=right$ mI=mid$"
)


@pytest.mark.parametrize(("short", "keyword"), [pair.split("=") for pair in _ABBREVIATIONS.split()])
def test_a_shifted_letter_ends_an_abbreviation(short, keyword):
    assert crunch(short) == bytes([TOKEN[keyword]])
    assert crunch(read(f"{short[:-1]}{{SHIFT-{short[-1]}}}")) == bytes([TOKEN[keyword]])


@pytest.mark.parametrize(
    ("text", "same_as"),
    [
        ("Poke 1,2", "poke 1,2"),
        ("GoTo 10", "goto 10"),
        ("gOtO 10", "goto 10"),
        ("pRiNt a", "print a"),
        ("pOke 1,2", "poke 1,2"),
        ("pOs+1,h", "poke s+1,h"),  # spells POS
        ("fOr=1to2", "for r=1to2"),
        ("fOr i=1", "for i=1"),
        ("rEad,b", "read ad,b"),
        ("aNd=2", "and d=2"),
        ("ifa=1tHend", "ifa=1then end"),
    ],
)
def test_small_letters_and_a_capital_are_an_abbreviation_where_they_can_be(text, same_as):
    assert crunch(text).replace(b" ", b"") == crunch(same_as).replace(b" ", b"")


def test_keywords_are_found_inside_names():
    assert crunch("score") == b"SC" + bytes([TOKEN["or"]]) + b"E"
    assert crunch("total") == bytes([TOKEN["to"]]) + b"TAL"


def test_go_to_is_two_tokens_and_goto_one():
    assert crunch("go to") == bytes([TOKEN["go"], 0x20, TOKEN["to"]])
    assert crunch("goto") == bytes([TOKEN["goto"]])


def test_data_is_left_alone_up_to_a_colon_outside_quotes():
    assert crunch('data print,"a:B",?:print') == b'\x83 PRINT,"A:\xc2",?:\x99'


def test_rem_and_strings_keep_capitals_as_shifted_letters():
    assert crunch('Print "Ab":Rem Cd') == b'\x99 "\xc1B":\x8f \xc3D'


def test_codes_outside_quotes_are_not_crunched():
    assert crunch(read("{$99}a{$50}oke{$8f}print")) == b"\x99APOKE\x8f\x99"


@settings(max_examples=600, deadline=None)
@given(st.binary(min_size=1, max_size=60).filter(lambda line: 0 not in line), st.sampled_from(["petcat", "tok64"]))
def test_any_bytes_survive_expansion(line, form):
    text = read(expand(line, form))
    assert crunch(text) == crunch(text, question_mark_prints=False) == line


@pytest.mark.parametrize("form", ["petcat", "tok64"])
def test_bytes_that_make_and_break_keywords_survive_expansion(form):
    rng = random.Random(64)
    pool = b'STOPRINT#"":?DATAREMGO' + bytes([TOKEN["to"], TOKEN["data"], TOKEN["rem"], TOKEN["print"], TOKEN["go"]])
    for _ in range(2_000):
        line = bytes(rng.choices(pool, k=rng.randint(1, 25)))
        assert crunch(read(expand(line, form))) == line


def test_plain_programs_expand_without_codes():
    text = 'for i=1 to 10:poke s+i,peek(54299)and15:print"hello"chr$(13):next:data a,?,"b":rem stop'
    assert expand(crunch(text)) == text
