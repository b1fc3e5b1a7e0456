"""The state as records."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn.chip import models, state
from sidlearn.chip.kernel import noise_output
from sidlearn.clock import NTSC, PAL


@pytest.fixture(params=models.MODELS)
def model(request):
    return models.load(request.param)[0]


def test_power_on_is_that_of_a_real_chip(model):
    """Source: VICE test programs oscinit, noiseinit, allinit; measured on pyresidfp 0.17.0."""
    voices, chips = state.power_on(model, PAL.clock_hz)
    assert (voices.accumulator == 0x555555).all()
    assert (voices.envelope_counter == 0xAA).all()
    assert (voices.noise_register == 0x7FFFFE).all()
    assert (voices.noise == noise_output(0x7FFFFE)).all()
    assert not voices.waveform.any()
    assert not voices.test.any()
    assert not voices.gate.any()
    assert chips.cycle == 0


def test_whole_numbers_have_the_width_that_kernels_count_in():
    for dtype in (state.VOICE_DTYPE, state.CHIP_DTYPE):
        for name in dtype.names:
            assert dtype[name].base in (np.dtype("i8"), np.dtype("f8"), np.dtype("f4")), name


def test_every_chip_has_a_state_of_its_own(model):
    one, other = state.power_on(model, PAL.clock_hz), state.power_on(model, PAL.clock_hz)
    for a, b in zip(one, other, strict=True):
        assert not np.shares_memory(a, b)
        assert a.tobytes() == b.tobytes()


def test_the_clock_sets_when_the_first_sample_is_due(model):
    assert state.power_on(model, NTSC.clock_hz)[1].sample_due == NTSC.clock_hz
