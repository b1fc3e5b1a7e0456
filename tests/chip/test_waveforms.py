"""Combined waveforms: laws of the circuit, and second ways to compute its tables and those of the formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sidlearn.chip import waveforms
from sidlearn.chip.waveforms import CIRCUITS, COMBINED_ROWS, PHASE_ROWS, PULL_DOWNS

ALL = np.arange(4096)
BOTH = ALL & ALL << 1 & 0xFFF
SETS = {f"circuit {name}": waveforms.by_circuit(circuit) for name, circuit in CIRCUITS.items()} | {
    f"formula {name}": waveforms.by_pull_down(rows) for name, rows in PULL_DOWNS.items()
}


def nodes(circuit, row, code):
    """Levels of the output bits from the conductances between named nodes, by a general solver."""
    names = {name: i for i, name in enumerate((kind, bit) for kind in ("drive", "out", "line") for bit in range(12))}
    matrix, current = np.zeros((36, 36)), np.zeros(36)

    def join(one, other, conductance):
        for a, b in ((one, other), (other, one)):
            matrix[names[a], names[a]] += conductance
            matrix[names[a], names[b]] -= conductance

    def tie(node, conductance, level):
        matrix[names[node], names[node]] += conductance
        current[names[node]] += conductance * level

    for bit in range(12):
        high, top = code >> bit & 1, bit == 11
        if "S" in row:
            zero, one = circuit.zero * (circuit.top_zero if top else 1), circuit.one
            tie(("drive", bit), one if high else zero, (circuit.top_level if top else 1) if high else 0)
            join(("drive", bit), ("out", bit), 1)
            if "T" in row and bit < 11:
                join(("drive", bit), ("out", bit + 1), circuit.triangle)
        elif "T" in row:
            tie(("drive", bit), circuit.xor_one if high else circuit.xor_zero, high)
            join(("drive", bit), ("out", bit), circuit.triangle if bit else 0)
        else:
            tie(("drive", bit), circuit.noise_one if high else circuit.noise_zero, high)
            join(("drive", bit), ("out", bit), 1 if bit > 3 else 0)
            tie(("out", bit), 0 if bit > 3 else circuit.noise_ground, 0)
        if "P" in row:
            join(("out", bit), ("line", bit), circuit.pulse_top if top else circuit.pulse)
            if bit < 11:
                join(("line", bit), ("line", bit + 1), circuit.line)
            tie(("line", bit), {0: circuit.line_low, 11: circuit.line_high}.get(bit, 0), 1)
        else:
            tie(("line", bit), 1, 1)
    if "T" in row:
        tie(("out", 0), circuit.triangle_ground, 0)
    levels = np.linalg.solve(matrix, current)
    return levels[[names["out", bit] for bit in range(12)]]


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("row", COMBINED_ROWS)
def test_levels_equal_those_of_a_general_solver(name, row):
    codes = np.random.default_rng(len(row)).integers(4096, size=20)
    levels = waveforms.output_levels(CIRCUITS[name], row, codes)
    expected = np.stack([nodes(CIRCUITS[name], row, int(code)) for code in codes], axis=1)
    assert levels == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("row", COMBINED_ROWS)
def test_a_one_more_in_the_accumulator_lowers_no_output(name, row):
    """Resistors alone cannot do otherwise: every level is a mean, with positive weights, of those that drive it."""
    levels = waveforms.output_levels(CIRCUITS[name], row, ALL)
    for bit in range(12):
        low = ALL[ALL >> bit & 1 == 0]
        assert (levels[:, low | 1 << bit] >= levels[:, low] - 1e-12).all()


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("row", COMBINED_ROWS)
def test_levels_stay_between_ground_and_the_highest_driver(name, row):
    levels = waveforms.output_levels(CIRCUITS[name], row, ALL)
    assert levels.min() >= 0
    assert levels.max() <= max(CIRCUITS[name].top_level, 1)


@pytest.mark.parametrize("name", CIRCUITS)
def test_without_a_pulse_line_a_bit_is_felt_less_the_further_away(name):
    """Sawtooth with triangle: a bit reaches outputs above its own two through one neighbour after the other."""
    levels = waveforms.output_levels(CIRCUITS[name], "ST", ALL)
    low = ALL[ALL & 1 == 0]
    change = (levels[:, low | 1] - levels[:, low]).max(axis=1)
    assert change[:2].min() > 0.05  # of the supply
    assert (np.diff(change[1:]) < 0).all()
    assert change[11] < change[1] / 5


@pytest.mark.parametrize("name", SETS)
def test_combining_waveforms_only_clears_bits(name):
    values = np.stack([ALL] * len(COMBINED_ROWS) + [BOTH] * len(PHASE_ROWS))
    assert SETS[name].shape == values.shape
    assert not (SETS[name] & ~values).any()
    assert not SETS[name][:, 0].any()
    assert (SETS[name] != values).any(axis=1).all()


@pytest.mark.parametrize("name", PULL_DOWNS)
def test_the_formula_knows_but_the_and_of_sawtooth_and_triangle(name):
    table = SETS[f"formula {name}"]
    for row, by_phase in zip(PHASE_ROWS, table[len(COMBINED_ROWS) :], strict=True):
        assert np.array_equal(by_phase, table[COMBINED_ROWS.index(row)][BOTH])


@pytest.mark.parametrize("name", CIRCUITS)
def test_the_circuit_knows_the_accumulator_behind_the_and(name):
    """By the AND it is taken to have the fewest ones; more of them can only let more through."""
    table = SETS[f"circuit {name}"]
    differ = 0
    for row, by_phase in zip(PHASE_ROWS, table[len(COMBINED_ROWS) :], strict=True):
        by_and = table[COMBINED_ROWS.index(row)][BOTH]
        assert not (by_and & ~by_phase).any()
        fewest = ALL == (BOTH | BOTH >> 1)
        assert np.array_equal(by_and[fewest], by_phase[fewest])
        differ += np.count_nonzero(by_and != by_phase)
    assert differ


def scalar_pull_down(value, row):
    """Output of a combined waveform for one value, bit by bit in double precision, with the margin of each decision."""
    falloff = {"exp": lambda d, i: d**-i, "lin": lambda d, i: 1 / (1 + i * d), "quad": lambda d, i: 1 / (1 + i * i * d)}
    bits = [float(value >> bit & 1) for bit in range(12)]
    bits[11] *= row.top_bit
    out, margin = 0, math.inf
    for at in range(12):
        weights = {
            other: falloff[row.distance](row.distance_down if other < at else row.distance_up, abs(at - other))
            for other in range(12)
            if other != at
        }
        pull = sum((1 - bits[other]) * weight for other, weight in weights.items()) - row.pulse_strength
        above = 1 - pull / sum(weights.values()) - row.threshold
        if bits[at] > 0:
            margin = min(margin, abs(above))
            out |= int(above > 0) << at
    return out, margin


@pytest.mark.parametrize("name", PULL_DOWNS)
@pytest.mark.parametrize("row", COMBINED_ROWS)
def test_combined_waveform_equals_the_rule_bit_by_bit(name, row):
    pull_down = PULL_DOWNS[name][row]
    table = waveforms.pull_down_waveform(pull_down)
    for value in range(0, 4096, 13):
        out, margin = scalar_pull_down(value, pull_down)
        assert table[value] == out or margin < 1e-5  # single precision decides
