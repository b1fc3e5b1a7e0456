"""A few of the random logs of `tests.accuracy.fuzz`; CI plays them with every index checked."""

from __future__ import annotations

import pytest

from sidlearn._kernel import numba
from tests.accuracy import fuzz


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="hundreds of thousands of cycles")
@pytest.mark.parametrize("first", range(0, 80, 8))
def test_random_writes_make_sound_within_range(first):
    for seed in range(first, first + 8):
        fuzz.play(seed)
