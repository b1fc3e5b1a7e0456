"""Listings of every form to programs and back, files of every kind, and what is refused."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sidlearn.basic import detokenize, programs, read_program, tokenize, type_in
from sidlearn.basic.image import join, split
from sidlearn.basic.tokens import KEYWORDS
from sidlearn.errors import ListingError, SourceError
from tests.conftest import DATA

LISTINGS = sorted((DATA / "basic" / "listings").glob("*.tok64"))
PETCAT = json.loads((DATA / "basic" / "tokens.json").read_text(encoding="utf-8"))["cases"]
TUNE = '10 print"hi"\n20 poke 54296,15\n'
PRG = tokenize(TUNE)


def texts(program: bytes) -> list[bytes]:
    return [text for _, text in split(program)[0]]


def p00(program: bytes) -> bytes:
    return b"C64File\0" + b"TUNE".ljust(17, b"\0") + b"\0" + program


def d64(files: dict[str, bytes]) -> bytes:
    """Build a 35-track disk, a file's blocks one behind the other from track 1 on."""
    sectors = [21] * 17 + [19] * 7 + [18] * 6 + [17] * 5
    places = [(track, sector) for track, n in enumerate(sectors, 1) if track != 18 for sector in range(n)]
    blocks = {(track, sector): bytes(256) for track, n in enumerate(sectors, 1) for sector in range(n)}
    directory = bytearray(256)
    directory[1] = 0xFF
    for i, (name, content) in enumerate(files.items()):
        parts = [content[at : at + 254] for at in range(0, len(content), 254)]
        here, places = places[: len(parts)], places[len(parts) :]
        for j, part in enumerate(parts):
            head = bytes(here[j + 1]) if j + 1 < len(parts) else bytes([0, len(part) + 1])
            blocks[here[j]] = (head + part).ljust(256, b"\0")
        directory[i * 32 + 2 : i * 32 + 21] = bytes([0x82, *here[0]]) + name.upper().encode().ljust(16, b"\xa0")
    blocks[18, 1] = bytes(directory)
    return b"".join(blocks[track, sector] for track, n in enumerate(sectors, 1) for sector in range(n))


def t64(name: str, program: bytes) -> bytes:
    head = b"C64 tape image file".ljust(32, b"\0") + bytes([0, 1, 1, 0, 1, 0]) + bytes(26)
    end = int.from_bytes(program[:2], "little") + len(program) - 2
    entry = (
        bytes([1, 0x82]) + program[:2] + end.to_bytes(2, "little") + bytes(2) + (96).to_bytes(4, "little") + bytes(4)
    )
    return head + entry + name.upper().encode().ljust(16) + program[2:]


# ---- listings to programs


def test_small_letters_capitals_and_title_case_are_one_program_outside_quotes():
    small = "10 for i=1 to 10:poke 54272+i,0:next:goto 10\n"
    assert tokenize(small.upper()) == tokenize(small.title()) == tokenize(small)


def test_capitals_in_strings_are_shifted_unless_the_listing_has_no_small_letter():
    assert texts(tokenize('10 print "Hi"'))[0] == b'\x99 "\xc8I"'
    assert texts(tokenize('10 PRINT "Hi"'))[0] == b'\x99 "\xc8I"'
    assert texts(tokenize('10 PRINT "HI{down}"'))[0] == b'\x99 "HI\x11"'


def test_a_question_mark_is_print_when_typed_and_stays_as_petcat_writes_it():
    assert texts(type_in('10 ?"hi"'))[0] == b'\x99"HI"'
    assert texts(tokenize('10 ?"hi"'))[0] == b'?"HI"'
    assert "PRINT" in programs('10 ?"hi"')[0].notes[0]
    assert programs('10 rem ?:print"?":data ?')[0].notes == ()


def test_typed_lines_are_sorted_replaced_and_deleted_and_petcat_keeps_the_order():
    listing = "20 stop\n10 end\n30 new\n20 run\n30\n"
    assert split(type_in(listing))[0] == [(10, b"\x80"), (20, b"\x8a")]
    assert split(tokenize(listing))[0] == [(20, b"\x90"), (10, b"\x80"), (30, b"\xa2"), (20, b"\x8a")]
    assert "order" in programs(listing)[0].notes[-1]


def test_spaces_around_the_number_go_and_those_at_the_end_stay():
    assert split(tokenize("  10   rem x  \n\n\t20end"))[0] == [(10, b"\x8f X  "), (20, b"\x80")]


def test_digits_after_the_number_and_a_blank_belong_to_the_line():
    assert split(tokenize("433 9e-1"))[0] == [(433, b"9E\xab1")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends_of_every_system(end):
    assert tokenize(TUNE.replace("\n", end)) == PRG


def test_bytes_that_only_mark_the_text_are_skipped():
    assert tokenize("\ufeff" + TUNE + "\x1a") == PRG


@pytest.mark.parametrize("path", LISTINGS, ids=lambda path: path.stem)
def test_published_listings_give_the_same_program_typed_or_converted(path):
    text = path.read_text(encoding="utf-8")
    assert type_in(text) == tokenize(text) == read_program(path)


TOK64 = """Some prose with 20 words: is no program.
start tok64 first.prg
10 print "{clear}{down*3}A{001}"
stop tok64
1 more prose
START TOK64 second
10 data 1,\\
     2,3
20 end
Stop Tok64
"""


def test_tok64_files_hold_several_programs_between_prose():
    first, second = programs(TOK64)
    assert (first.name, second.name) == ("first.prg", "second")
    assert texts(first.data) == [b'\x99 "\x93\x11\x11\x11\xc1\x01"']
    assert texts(second.data) == [b"\x83 1,2,3", b"\x80"]


def test_a_program_is_chosen_by_name():
    assert tokenize(TOK64, "SECOND") == tokenize(TOK64, "second.prg") == programs(TOK64)[1].data
    assert tokenize(TOK64) == programs(TOK64)[0].data
    with pytest.raises(ListingError, match=r"no program 'secnd' .*did you mean second.*expected first or second"):
        tokenize(TOK64, "secnd")


def test_bastext_headers_are_read():
    listing = 'start bastext 0801 2.0\nstart tok64 x.prg\n10 ?"{sh +}{cm a}{ct a}"\nstop tok64\nstop bastext\n'
    (program,) = programs(listing)
    assert program.name == "x.prg"
    assert texts(program.data) == [b'?"\xdb\xb0\x01"']
    assert texts(tokenize("start bastext\n10 end\n")) == [b"\x80"]


def test_petcat_headers_part_programs():
    listing = "\n\n;one.prg ==0801==\n   10 end\n\n;two.prg ==0801==\n   20 stop\n"
    assert [(p.name, texts(p.data)) for p in programs(listing)] == [("one.prg", [b"\x80"]), ("two.prg", [b"\x90"])]


def test_a_backslash_at_the_end_of_a_plain_line_is_a_pound_sign_before_a_numbered_line():
    assert texts(tokenize("10 rem 5\\\n20 end")) == [b"\x8f 5\\", b"\x80"]
    assert texts(tokenize("10 print 1,\\\n  a\n20 end")) == [b"\x99 1,A", b"\x80"]


def test_an_empty_name_is_nothing_but_keeps_a_line():
    assert split(tokenize("10 {}\n20 p{}oke"))[0] == [(10, b""), (20, b"POKE")]


def test_pi_is_read_in_every_spelling():
    assert {texts(tokenize(f"10 a={pi}*2"))[0] for pi in ("π", "~", "{pi}", "{$ff}", "{255}")} == {b"A\xb2\xff\xac2"}


# ---- errors


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        ("", "empty listing"),
        (" \n", "empty listing"),
        ("start tok64 x\nstop tok64\n", "no program lines"),
        ("10 end\n64000 end\n", r"line 64000 \(line 2 of the file\): expected a line number of 0 to 63999"),
        ("10 end\nprint\n", r"line 2 of the file: expected a line number first, got 'print'"),
        ('10 end\n\n20 print"{rvonn}"', r"line 3 of the file: unknown name \{rvonn\} \(did you mean rvon\?\)"),
        ("10 rem {clr", r"line 1 of the file: a \{ without its other half"),
        ("10 rem ä", "not in PETSCII"),
        ("10 rem \0", "control character 0"),
        ("10 rem " + "x" * 260, r"line 10 \(line 1 of the file\): 262 bytes when tokenised; expected at most 255"),
        ("start tok128 x\n10 end\nstop tok128", "BASIC 7.0"),
        ("prose\nstart tok64 x\n10 end\noops\n", r"line 4 of the file: expected a line number first, got 'oops'"),
    ],
)
def test_errors_say_the_line_and_what_was_expected(listing, message):
    for convert in (tokenize, type_in):
        with pytest.raises(ListingError, match=message) as caught:
            convert(listing)
        assert "\n" not in str(caught.value)


def test_a_number_with_digits_of_the_statement_is_kept_as_petcat_does_and_refused_when_typed():
    (program,) = programs("20808718 end")
    assert split(program.data)[0] == [(20808718 & 0xFFFF, b"\x80")]
    assert "20808718" in program.notes[0]
    with pytest.raises(ListingError, match="0 to 63999"):
        type_in("20808718 end")


# ---- programs to listings


def generated_program(rng: random.Random) -> bytes:
    """Make a program out of keywords, names, numbers, strings and remarks with any codes in them."""
    lines = []
    for number in sorted(rng.sample(range(64_000), rng.randint(1, 6))):
        line = ""
        for _ in range(rng.randint(1, 8)):
            kind = rng.randrange(6)
            if kind == 0:
                line += "".join(rng.choices("abcdefghijklmnopqrstuvwxyz0123456789.,;:()=+-<>%$ ", k=rng.randint(1, 8)))
            elif kind == 1:
                line += '"' + "".join(f"{{${rng.randint(1, 255):02x}}}" for _ in range(rng.randint(0, 5))) + '"'
            elif kind == 2:
                line += '"' + "".join(rng.choices("abcXYZ 123!?:", k=rng.randint(0, 9))) + rng.choice(['"', ""])
            else:
                line += rng.choice(KEYWORDS) + rng.choice(["", " "])
        lines.append(f"{number} {line}x")
    return tokenize("\n".join(lines))


@pytest.mark.parametrize("form", ["petcat", "tok64"])
def test_listing_a_program_and_tokenizing_it_gives_the_program(form):
    rng = random.Random(f"sidlearn {form}")
    for _ in range(5_000):
        program = generated_program(rng)
        assert tokenize(detokenize(program, form)) == program


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 63_999), st.binary(max_size=40).map(lambda b: b.replace(b"\0", b""))),
        min_size=1, max_size=4, unique_by=lambda line: line[0],
    ),
    st.sampled_from(["petcat", "tok64"]),
)  # fmt: skip
def test_lines_of_any_bytes_survive_listing_and_tokenizing(lines, form):
    lines.sort()
    listing = detokenize(join(lines), form)
    assert tokenize(listing) == join(lines)
    assert split(type_in(listing))[0] == lines


@pytest.mark.parametrize("case", PETCAT[:40], ids=range(40))
def test_programs_of_petcat_survive_listing(case):
    program = bytes.fromhex(case["prg_hex"])
    assert tokenize(detokenize(program)) == tokenize(detokenize(program, "tok64")) == program


def test_a_listing_without_small_letters_is_not_read_as_unshifted():
    program = join([(10, b'"\xc1\xc2"')])
    assert tokenize(detokenize(program)) == program


def test_a_plain_program_is_listed_as_it_was_typed():
    assert detokenize(PRG) == TUNE
    assert detokenize(PRG, "tok64", "tune") == f"start tok64 tune\n{TUNE}stop tok64\n"


def test_control_codes_are_listed_by_name():
    program = tokenize('10 print"{clr}{147}{light red}"chr$(~)')
    assert detokenize(program) == '10 print"{clr}{clr}{lred}"chr$({pi})\n'
    assert '10 print"{clear}{clear}{pink}"chr$({pi})\n' in detokenize(program, "tok64")


def test_an_unknown_form_is_refused():
    with pytest.raises(ListingError, match="expected petcat or tok64"):
        detokenize(PRG, "html")


# ---- files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tune.bas", TUNE.encode()),
        ("tune", TUNE.upper().replace("HI", "hi").encode()),
        ("tune.txt", TUNE.encode("utf-16")),
        ("tune.prg", PRG),
        ("prg.bas", PRG),
        ("text.prg", TUNE.encode()),
        ("tune.p00", p00(PRG)),
        ("tune.d64", d64({"tune": PRG})),
        ("tune.t64", t64("tune", PRG)),
    ],
)
def test_files_are_read_by_their_content(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert read_program(tmp_path / name) == PRG


def test_disk_programs_are_chosen_by_name_and_wildcards(tmp_path):
    long = tokenize("\n".join(f"{n} rem {n:>60}" for n in range(1, 60)))
    (tmp_path / "songs.d64").write_bytes(d64({"menu": PRG, "long song": long, "song 2": tokenize("1 end")}))
    disk = str(tmp_path / "songs.d64")
    assert read_program(disk) == read_program(disk + ":*") == read_program(disk + ":MENU") == PRG
    assert read_program(disk + ":long*") == read_program(disk + ":l??g song") == long
    assert read_program(disk + ":song ?") == tokenize("1 end")
    with pytest.raises(ListingError, match=r"no program 'manu' on the disk \(did you mean menu\?\)"):
        read_program(disk + ":manu")


def test_listings_in_a_file_are_chosen_by_name(tmp_path):
    (tmp_path / "two.tok64").write_text(TOK64, encoding="utf-8")
    assert read_program(f"{tmp_path / 'two.tok64'}:second") == tokenize(TOK64, "second")


def test_listings_are_read_as_typed_or_as_petcat_does(tmp_path):
    (tmp_path / "q.bas").write_text('10 ?"hi"', encoding="utf-8")
    assert texts(read_program(tmp_path / "q.bas")) == [b'\x99"HI"']
    assert texts(read_program(tmp_path / "q.bas", typed=False)) == [b'?"HI"']


def circling_disk() -> bytes:
    disk = bytearray(d64({"a": PRG}))
    disk[0:2] = b"\x01\x00"  # the file's first block points to itself
    return bytes(disk)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.bas", b"", "empty file"),
        ("noise.bas", bytes(range(200, 256)) + bytes(40), "binary file"),
        ("cut.prg", PRG[:-4], "cut off"),
        ("code.prg", b"\x00\xc0\xa9\x0f\x8d\x18\xd4\x60\x00\x00", "C000|cut off"),
        ("cut.p00", p00(PRG)[:20], "P00 file"),
        ("cut.d64", d64({"a": PRG})[:-1], "disk image"),
        ("circle.d64", circling_disk(), "track 1, sector 0"),
        ("empty.d64", bytes(174848), "without a program"),
    ],
)
def test_broken_files_are_refused_on_one_line_with_their_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ListingError, match=message) as caught:
        read_program(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"none\.bas"):
        read_program(tmp_path / "none.bas")


# ---- speed


def test_listings_import_neither_numpy_nor_numba():
    code = "import sys, sidlearn.basic.listing; print(any(m in sys.modules for m in ('numpy', 'numba', 'torch')))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


@pytest.mark.parametrize("change", [str, str.upper, str.title], ids=["small", "capitals", "title"])
def test_a_megabyte_is_tokenized_in_a_second(change):
    text = "".join(case["listing"] for case in PETCAT)
    text = re.sub(r"\{[^}]*\}", "", text)
    text = change(text * (1 + 1_000_000 // len(text)))
    start = time.process_time()
    tokenize(text)
    assert time.process_time() - start < 1.0  # 0.13 s to 0.35 s where it was written
