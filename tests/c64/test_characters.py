"""The character ROM of our own."""

from __future__ import annotations

import numpy as np

from sidlearn import charset
from sidlearn.c64 import characters, kernal

SETS = np.unpackbits(np.frombuffer(characters.image(), np.uint8)).reshape(2, 2, 128, 8, 8).astype(bool)


def test_every_character_is_there_and_differs():
    for plain in SETS[:, 0]:
        empty = [code for code in range(128) if not plain[code].any()]
        assert empty == [32, 96]
    # 64 and 67 as well as 66 and 93 are the same line, and its third copy joins others without a seam
    assert len({shape.tobytes() for shape in SETS[0, 0]}) >= 123


def test_the_second_half_is_inverted():
    assert np.array_equal(SETS[:, 1], ~SETS[:, 0])


def test_letters_are_those_of_our_set():
    assert np.array_equal(SETS[0, 0, 1], charset.glyph("A"))
    assert np.array_equal(SETS[1, 0, 1], charset.glyph("a"))
    assert np.array_equal(SETS[1, 0, 65], charset.glyph("A"))


def test_lines_of_neighbours_meet():
    across, along, cross, corner = (SETS[0, 0, code] for code in (64, 93, 91, 112))
    assert np.array_equal(across[:, 0], cross[:, 7])
    assert np.array_equal(along[7], cross[0])
    assert np.array_equal(corner[:, 7], across[:, 0])
    assert np.array_equal(corner[7], along[0])


def test_the_machine_finds_it_at_d000(tmp_path):
    rom, traps = kernal.images(tmp_path)
    assert rom[0xD000:0xE000].tobytes() == characters.image()
    assert traps[0xD000:0xE000].all()
