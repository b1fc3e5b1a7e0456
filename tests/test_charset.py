"""Every character is there, readable apart from every other, and leaves room to its neighbours."""

from __future__ import annotations

import numpy as np

from sidlearn import charset


def test_every_character_differs_from_every_other():
    shapes = {g.tobytes() for g in charset.glyphs()}
    assert len(shapes) == charset.LAST - charset.FIRST + 1 == 95


def test_neighbours_do_not_touch():
    assert not charset.glyphs()[:, :, 0].any()
    below = [chr(charset.FIRST + i) for i in np.flatnonzero(charset.glyphs()[:, 7].any(axis=1))]
    assert set(below) <= set(charset.BELOW)


def test_only_the_space_is_empty():
    filled = charset.glyphs().any(axis=(1, 2))
    assert np.flatnonzero(~filled).tolist() == [0]


def test_what_is_not_in_the_set_is_a_question_mark():
    assert np.array_equal(charset.glyph("\N{SNOWMAN}"), charset.glyph("?"))
    assert charset.glyph("A").any()
