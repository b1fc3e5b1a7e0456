"""Laws of the analogue tables, and second ways to compute them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

from sidlearn.chip import tables

LADDER_6581 = (2.20, False)
LEAK_6581 = 0.0075
# Source: the weights that circuit simulation of the 6581's ladders gives, as published for residfp; bit 0 first.
WEIGHTS_6581 = {
    8: (0.007129, 0.010369, 0.018323, 0.034606, 0.066619, 0.128912, 0.249802, 0.484239),
    11: (0.000978, 0.001423, 0.002514, 0.004749, 0.009142, 0.017690, 0.034278, 0.066448, 0.128822, 0.249751, 0.484204),
    12: (0.000505, 0.000734, 0.001297, 0.002449, 0.004715, 0.009124, 0.017681, 0.034274, 0.066446, 0.128821, 0.249751,
         0.484204),
}  # fmt: skip
# Bits: (non-monotonic steps where counted, largest drop in LSB, code before which it comes).
DROPS_6581 = {8: (8, 0x80), 11: (65, 0x400), 12: (129, 0x800)}
OPAMPS = {"6581": (tables.OPAMP_6581, 10.87), "8580": (tables.OPAMP_8580, 8.29)}


def thevenin_weights(bits, ratio, terminated):
    """Weights of a ladder the other way: fold it up from the low end, one rung at a time."""
    weights = []
    for driven in range(bits):
        voltage, resistance = 0.0, ratio if terminated else math.inf
        for bit in range(bits):
            share = 1.0 if resistance == math.inf else resistance / (resistance + ratio)
            voltage += (float(bit == driven) - voltage) * share
            resistance = ratio * share + (1.0 if bit < bits - 1 else 0.0)
        weights.append(voltage)
    return np.array(weights) / sum(weights)


@pytest.mark.parametrize("bits", WEIGHTS_6581)
def test_weights_of_the_6581_are_the_published_ones(bits):
    assert np.round(tables.ladder_weights(bits, *LADDER_6581), 6) == pytest.approx(WEIGHTS_6581[bits], abs=1.01e-6)


@given(st.integers(1, 14), st.floats(1.5, 3), st.booleans())
def test_ladder_by_nodes_equals_ladder_folded_up(bits, ratio, terminated):
    nodes = tables.ladder_weights(bits, ratio, terminated)
    assert nodes == pytest.approx(thevenin_weights(bits, ratio, terminated), rel=1e-9)


@pytest.mark.parametrize("bits", DROPS_6581)
def test_largest_drop_of_a_6581_dac_comes_where_the_top_bit_sets(bits):
    steps = np.diff(tables.dac(bits, *LADDER_6581, leak=0.0)) * ((1 << bits) - 1)
    drop, code = DROPS_6581[bits]
    assert (round(-steps.min()), int(steps.argmin()) + 1) == (drop, code)


def test_waveform_dac_of_the_6581_falls_511_times():
    assert (np.diff(tables.dac(12, *LADDER_6581, LEAK_6581)) < 0).sum() == 511


@pytest.mark.parametrize("bits", [8, 11, 12])
def test_dacs_of_the_8580_are_straight(bits):
    steps = np.diff(tables.dac(bits, 2.0, True, leak=0.0035))
    assert steps == pytest.approx(np.full(steps.shape, steps.mean()), rel=1e-6)


@pytest.mark.parametrize("leak", [0.0, 0.0075])
def test_off_bits_of_a_dac_leak_their_share(leak):
    levels = tables.dac(8, *LADDER_6581, leak)
    assert levels[0] == pytest.approx(leak)
    assert levels[-1] == pytest.approx(1)


@pytest.mark.parametrize("chip", OPAMPS)
def test_opamp_meets_its_points_and_never_rises(chip):
    points, _ = OPAMPS[chip]
    x, y = np.array(points).T
    curve = tables.opamp(points)
    assert curve(x) == pytest.approx(y, abs=1e-12)
    dense = np.linspace(x[0], x[-1], 100_001)
    assert (np.diff(curve(dense)) <= 1e-12).all()


@pytest.mark.parametrize("chip", OPAMPS)
def test_opamp_equals_scipys_monotone_cubic_inside(chip):
    points, _ = OPAMPS[chip]
    x, y = np.array(points).T
    dense = np.linspace(x[1], x[-2], 10_001)  # the outermost pieces differ by choice of the end slopes
    assert tables.opamp(points)(dense) == pytest.approx(PchipInterpolator(x, y)(dense), abs=1e-9)


@pytest.mark.parametrize("chip", OPAMPS)
def test_reverse_opamp_undoes_the_opamp_at_its_points(chip):
    points, _ = OPAMPS[chip]
    curve, reverse = tables.opamp(points), tables.opamp_reverse(points)
    x = np.array(points)[:, 0]
    assert reverse(x - curve(x)) == pytest.approx(x, abs=1e-9)


def test_slope_of_the_cubic_is_its_derivative():
    curve = tables.opamp(tables.OPAMP_6581)
    at = np.linspace(2.41, 9.99, 4001)
    at = at[np.abs(at[:, None] - curve.x).min(axis=1) > 1e-4]  # no measured point within the step
    _, slope = curve.value_and_slope(at)
    step = 1e-5
    assert slope == pytest.approx((curve(at + step) - curve(at - step)) / (2 * step), abs=1e-3)


@pytest.mark.parametrize("chip", OPAMPS)
@pytest.mark.parametrize("ratio", [0.0, 0.4, 1.0, 1.4, 4.0, 8 * 7 / 5])
def test_gain_stage_balances_its_currents(chip, ratio):
    points, drive = OPAMPS[chip]
    curve = tables.opamp(points)
    v_in = np.linspace(curve.x[0], curve.x[-1], 97)

    def surplus(v_x, v):
        squares = [max(drive - part, 0) ** 2 for part in (v_x, v, float(curve(v_x)))]
        return (ratio + 1) * squares[0] - ratio * squares[1] - squares[2]

    expected = [float(curve(brentq(surplus, curve.x[0], curve.x[-1], args=(v,), xtol=1e-13))) for v in v_in]
    assert tables.gain_stage(curve, drive, ratio, v_in) == pytest.approx(expected, abs=1e-6)


def test_gain_stages_of_several_ratios_equal_each_alone():
    curve, drive = tables.opamp(tables.OPAMP_6581), 10.87
    v_in = np.linspace(0.81, 10.87, 50)
    ratios = np.array([0.5, 2.0, 6.0])
    together = tables.gain_stage(curve, drive, ratios[:, None], v_in)
    assert (together == [tables.gain_stage(curve, drive, ratio, v_in) for ratio in ratios]).all()


def test_opamps_rest_where_output_equals_input():
    assert tables.opamp_rest(tables.opamp(tables.OPAMP_6581)) == pytest.approx(4.54)
    curve = tables.opamp(tables.OPAMP_8580)
    rest = tables.opamp_rest(curve)
    assert curve(rest) == pytest.approx(rest)


def test_resonance_of_the_8580_is_nearly_an_eighth_of_an_octave_a_step():
    assert tables.resonance_ratios_8580() == pytest.approx(2 ** ((4 - np.arange(16)) / 8), rel=0.05)
    # Source: the resistors on the 8580's die.
    assert tables.resonance_ratios_8580()[[0, 1, 2, 3, 15]] == pytest.approx(
        [1.4, 1.283, 1.175, 1.079, 0.385], abs=1e-3
    )


def test_resonance_of_the_6581_falls_in_equal_steps_to_no_damping():
    assert tables.resonance_ratios_6581().tolist() == [(15 - res) / 8 for res in range(16)]


def test_transistor_goes_from_exponential_to_square_law():
    gain, thermal = 1e-5, 0.026
    weak = tables.ekv_current(np.array([-0.5, -0.5 + thermal]), gain, thermal)
    assert weak[1] / weak[0] == pytest.approx(math.e, rel=1e-3)
    assert tables.ekv_current(np.array([4.0]), gain, thermal)[0] == pytest.approx(gain / 2 * 4.0**2, rel=1e-9)


def test_average_6581_cutoff_curve_spans_the_hearing_range():
    level = tables.dac(11, *LADDER_6581, LEAK_6581)
    base_hz, shift = tables.CUTOFF_CURVES_6581["average"]
    cutoff_hz = tables.cutoff_hz_6581(level, base_hz, shift)
    # Source: reDIP-SID's average curve, about 1.5 kHz in the middle and 23 kHz at the top.
    assert math.sqrt(cutoff_hz[1023] * cutoff_hz[1024]) == pytest.approx(1500, rel=0.05)
    assert cutoff_hz[2047] == pytest.approx(23_000, rel=0.01)
    assert cutoff_hz[1024] < cutoff_hz[1023]  # the cutoff DAC falls where its top bit sets
