"""Names of keys in all their sets, characters of other alphabets, and what a program prints."""

from __future__ import annotations

import pytest

from sidlearn.basic.petscii import FORMS, QUOTED, Terminal, escape, read, to_bytes, to_terminal
from sidlearn.errors import ListingError


def codes(name: str) -> bytes:
    return to_bytes(escape(name))


# One code with its names in petcat, tok64, bastext, 64'er, MikroBITTI and COMPUTE!'s Gazette.
@pytest.mark.parametrize(
    ("code", "names"),
    [
        (0x93, "clr|clear|CLR|$93|147|SHIFT-HOME|sh home"),
        (0x13, "home|HOME|ct s|CTRL-S|019"),
        (0x11, "down|DOWN|crsr down|017"),
        (0x91, "up|UP|crsr up"),
        (0x1D, "rght|right|RIGHT|crsr right"),
        (0x9D, "left|LEFT"),
        (0x12, "rvon|reverse on|RVSON|RVS ON|ct 9|CTRL-R"),
        (0x92, "rvof|reverse off|RVSOFF|RVS OFF|RVOFF|ct 0"),
        (0x05, "wht|white|WHITE|ct 2"),
        (0x96, "lred|pink|LIG.RED|LT.RED|LT RED|light red|cm 3"),
        (0x97, "gry1|dark gray|GREY 1|GRAY 1|gray1"),
        (0x98, "gry2|gray|GREY 2"),
        (0x9B, "gry3|light gray|GREY 3|LIG.GREY"),
        (0x99, "lgrn|light green|LIG.GREEN|LT.GREEN"),
        (0x9A, "lblu|light blue|LIG.BLUE|LT.BLUE"),
        (0x81, "orng|orange|ORANGE|cm 1|CBM-1"),
        (0x95, "brn|brown|BROWN|cm 2"),
        (0x85, "f1|F1|133"),
        (0x87, "f5|r5"),
        (0x8E, "swuc"),
        (0x0E, "swlc|ct n"),
        (0x14, "del|delete|DEL|ct t"),
        (0x94, "inst|INST|shift-del"),
        (0x0D, "return|ct m|$0d"),
        (0x8D, "sret|sh return"),
        (0xA0, "SHIFT-SPACE|sh space"),
        (0xDB, "sh +|SHIFT-+|sh plus"),
        (0xDD, "sh -|SHIFT--|shift minus"),
        (0xDC, "cm -|CBM--|commodore minus"),
        (0xC0, "sh asterisk|SHIFT-*|sh *"),
        (0xDF, "cm asterisk|CBM-*"),
        (0xC1, "SHIFT-A|sh a|shift a"),
        (0xB0, "CBM-A|cm a|C= a"),
        (0xAD, "CBM-Z|cm z"),
        (0x01, "CTRL-A|ct a|001|$1"),
        (0x5C, "pound|£"),
        (0x5F, "arrow left|left arrow"),
        (0x5E, "arrow up|up arrow"),
        (0xFF, "pi|255"),
        (0x20, "space"),
    ],
)
def test_every_set_of_names_gives_the_code(code, names):
    for name in names.split("|"):
        assert codes(name) == bytes([code]), name


@pytest.mark.parametrize(("name", "code", "count"), [("down*10", 0x11, 10), ("001*5", 1, 5), ("5 RIGHT", 0x1D, 5)])
def test_a_count_repeats_a_key(name, code, count):
    assert codes(name) == bytes([code]) * count


def test_the_plural_of_a_counted_key_is_read():
    assert codes("12 SPACES") == b" " * 12
    assert codes("3 UPS") == b"\x91" * 3


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(ListingError, match=r"unknown name \{rvonn\} \(did you mean rvon\?\)"):
        escape("rvonn")


@pytest.mark.parametrize("name", ["0", "000", "256", "$100", "down*0", "down*256"])
def test_codes_and_counts_out_of_range_are_refused(name):
    with pytest.raises(ListingError, match="expected a co"):
        escape(name)


@pytest.mark.parametrize("form", FORMS)
def test_every_code_reads_back_as_it_is_written(form):
    for code in range(1, 256):
        assert to_bytes(read(QUOTED[form][code])) == bytes([code])


def test_tok64_writes_only_names_that_tok64_knows():
    known = {
        "clear", "home", "right", "left", "up", "down", "reverse on", "reverse off", "black", "white", "red", "cyan",
        "purple", "green", "blue", "yellow", "orange", "brown", "pink", "dark gray", "gray", "light green",
        "light blue", "light gray", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8",
    }  # fmt: skip
    names = {text[1:-1] for text in QUOTED["tok64"] if text.startswith("{") and not text[1:-1].isdecimal()}
    assert names == known


def test_signs_of_other_keyboards_are_read():
    assert to_bytes(read("π£↑←~")) == b"\xff\x5c\x5e\x5f\xff"
    assert to_bytes(read("“x”")) == b'"X"'
    assert to_bytes(read("♠♥●╮")) == b"\xc1\xd3\xd1\xc9"


@pytest.mark.parametrize("text", ["ä", "a{clr", "a}", "\x07", "€"])
def test_what_petscii_lacks_is_refused(text):
    with pytest.raises(ListingError):
        read(text)


def test_letters_are_capitals_on_the_terminal_until_code_14():
    assert to_terminal(b"HELLO\r 5\x1d\x93\x05") == "HELLO\n 5 "
    assert to_terminal(b"\x0eH\xc5LLO\x8eA") == "hElloA"


def test_a_terminal_keeps_its_character_set_between_pieces():
    terminal = Terminal()
    assert terminal.text(b"\x0e") + terminal.text(b"ABC\xc1") == "abcA"


def test_graphics_are_shown_as_their_unicode_twins():
    assert to_terminal(b"\xc1\xd3\xff\xde\x61\\^_") == "♠♥ππ♠£↑←"
