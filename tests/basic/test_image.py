"""Programs as files and in memory: links, load addresses, and files cut short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidlearn.basic.image import join, line_numbers, load_image, looks_like_program, relink, split
from sidlearn.errors import ListingError

LINES = [(10, b"\x99 1"), (20, b"\x8910")]
MACHINE_CODE = bytes.fromhex("a90f8d18d460")


def links(program: bytes) -> list[int]:
    """Return the addresses met by following the stored links, for a program that loads where it says."""
    load = int.from_bytes(program[:2], "little")
    address, found = load, []
    while link := int.from_bytes(program[address - load + 2 : address - load + 4], "little"):
        found.append(address)
        address = link
    return [*found, address]


@given(st.lists(st.tuples(st.integers(0, 63999), st.binary(max_size=80).map(lambda b: b.replace(b"\0", b"")))))
def test_split_undoes_join_and_links_lead_from_line_to_line(lines):
    program = join(lines)
    assert split(program) == (lines, b"")
    assert len(links(program)) == len(lines) + 1
    assert links(program)[-1] == 0x0801 + len(program) - 4  # the closing zeros


def test_a_program_of_another_machine_is_moved_to_0801():
    program = join(LINES)
    for load in (0x0401, 0x1001, 0x1201, 0x1C01):
        moved = bytearray(program)
        moved[:2] = load.to_bytes(2, "little")
        moved[2:4] = (load + 8).to_bytes(2, "little")
        assert looks_like_program(bytes(moved))
        assert relink(bytes(moved)) == program


def test_wrong_links_are_made_anew():
    wrong = bytearray(join(LINES))
    wrong[2:4] = b"\x34\x12"
    assert relink(bytes(wrong)) == join(LINES)


def test_machine_code_behind_the_text_stays_where_it_was():
    program = join([(10, b"\x9e2061")]) + MACHINE_CODE
    address, data = load_image(program)
    assert address == 0x0801
    assert data[2061 - address :] == MACHINE_CODE
    assert split(program)[1] == MACHINE_CODE


def test_the_image_starts_with_the_first_link():
    _, data = load_image(join(LINES))
    assert data == join(LINES)[2:]


@pytest.mark.parametrize("cut", range(1, len(join(LINES))))
def test_a_program_cut_short_anywhere_is_refused(cut):
    with pytest.raises(ListingError, match="cut off"):
        split(join(LINES)[:-cut])


def test_a_program_too_long_for_basic_is_refused():
    with pytest.raises(ListingError, match="38911"):
        load_image(join([(n, b"\x8f" + b"X" * 200) for n in range(200)]))


def test_line_numbers_keep_the_order_of_the_file():
    assert line_numbers(join([(20, b"\x80"), (10, b"\x80")])) == [20, 10]
