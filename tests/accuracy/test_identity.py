"""OSC3 and ENV3 of the `-residfp` models in a million cycles of random writes; `tests.accuracy.identity` runs more."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import sidlearn
from sidlearn._kernel import numba
from sidlearn.writes import RegisterWrites
from tests.accuracy import identity
from tests.chip import traffic

CASES = list(itertools.product(identity.CHIPS, traffic.KINDS))
CYCLES = 1_000_000 // len(CASES)

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a million cycles")


@pytest.mark.parametrize(("chip", "kind"), CASES)
def test_osc3_and_env3_equal_residfp_in_every_cycle(chip, kind):
    for seed, pace in enumerate(identity.PACES):
        found = identity.compare(chip, kind, pace, seed, CYCLES // len(identity.PACES))
        assert (found.osc3, found.env3) == (0, 0), found


def test_a_write_in_the_second_phase_of_a_shift_overwrites_cells_in_residfp():
    """The output of the cycle before, that of a sawtooth alone, takes the place of the cells and can set them."""
    found = [identity.compare("8580", "anything", (4, 200), seed, 60_000) for seed in (928238855, 3, 4)]
    assert sum(difference.osc3 for difference in found) == 0


@pytest.mark.parametrize("late", [0, 1, 2])
@pytest.mark.parametrize("chip", identity.CHIPS)
def test_a_voice_stopped_as_its_top_bit_rises_syncs_with_others_in_residfp(chip, late):
    """Voice 2 is stopped; whenever voice 3 syncs voice 1, it syncs voice 3, though it stands."""
    rises = 86  # cycles from power-on until the top bit of voice 2 has risen
    rows = [(0, 4, 2), (0, 8, 0x80), (0, 15, 0x10), (0, 18, 0x22), (rises + late, 11, 8)]
    writes = RegisterWrites.from_rows(rows, length=9_000)
    osc3, _ = sidlearn.chip.readback(writes, f"{chip}-residfp")
    assert np.array_equal(osc3, traffic.oracle_readback(writes, chip)[0])
    real, _ = sidlearn.chip.readback(writes, chip)
    assert np.array_equal(real, osc3) == (late > 0)


def test_readings_from_single_cycles_are_those_of_whole_stretches():
    """Where the oracle is asked after every cycle, and at another sample rate, it runs as it does anyway."""
    writes = traffic.traffic(3, 3_000, pause=200)
    sid, cycle = traffic.oracle("6581"), 0
    osc3, env3 = traffic.oracle_readback(writes, "6581")
    for event_cycle, register, value in writes.events.tolist():
        sid.clock(event_cycle - cycle)
        cycle = event_cycle
        if cycle:
            assert (sid.read(27), sid.read(28)) == (osc3[cycle - 1], env3[cycle - 1])
        sid.write(register, value)
