"""Kernels with code of their own against the plain functions and NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import numba
from sidlearn.chip import tables, vectors

compiled = numba.njit


@compiled
def find(table, index, values, slopes):
    vectors.look_up(table, index, index.size, values, slopes)


@compiled
def turn(source, first, apart, target):
    vectors.interleave(source, first, apart, target)


def some_lines(count):
    """A table of so many lines, with what went into it."""
    rng = np.random.default_rng(count)
    heights, slopes = rng.standard_normal((2, count)).astype(np.float32)
    return tables.words(heights, slopes), heights, slopes


@pytest.mark.parametrize("size", [8, 16, 24, 64])
def test_lines_are_found_with_height_and_slope(size):
    table, heights, slopes = some_lines(1000)
    index = np.random.default_rng(1).integers(0, 1000, size).astype(np.int32)
    found = np.zeros((2, size), np.float32)
    find(table, index, found[0], found[1])
    assert np.array_equal(found, [heights[index], slopes[index]])


@pytest.mark.parametrize("kernel", [vectors.look_up_few, vectors.look_up_many])
def test_plain_look_ups_find_the_same_and_touch_nothing_else(kernel):
    table, heights, slopes = some_lines(50)
    index = np.arange(40, dtype=np.int32)
    found = np.full((2, 40), 9, np.float32)
    kernel.dispatcher(table, index, 8, found[0], found[1])
    size = vectors.FEW if kernel is vectors.look_up_few else vectors.MANY
    taken = slice(8, 8 + size)
    assert np.array_equal(found[:, taken], [heights[taken], slopes[taken]])
    assert (np.delete(found, np.arange(8, 8 + size), axis=1) == 9).all()


@pytest.mark.parametrize("way", [turn, vectors.interleave.dispatcher])
def test_rows_become_columns(way):
    source = np.arange(8 * 40, dtype=np.float32)
    target = np.zeros(64, np.float32)
    way(source, 16, 40, target)
    assert np.array_equal(target.reshape(8, 8), source.reshape(8, 40)[:, 16:24].T)
