"""Combined waveforms: what comes out when the voice's selectors join two or more waveforms on the same twelve wires.

Two models. A `WaveformCircuit` is the selector itself as a network of conductances, which makes all waveforms of a chip
from one set of them; chips that follow silicon use it. `PullDown` is the formula of libresidfp with a set of numbers
for each waveform; chips named after residfp use that.

The network: each of the 12 bits has a driver node (pulled to ground by a zero, to the supply by a one), an output node
and a node on the pulse line. Selected waveforms join them: sawtooth and noise tie output n to driver n; triangle with
sawtooth ties output n + 1 to driver n (the XOR of the triangle is off, so neighbours meet); triangle alone has drivers
of its own, behind the XOR, and grounds output 0; pulse ties every output to one resistive line that is driven from both
ends. An output bit is high when its own inputs are (wired AND) and its voltage is over the threshold. Transistors that
share one gate voltage obey Ohm's law in the variable (Vgate - Vth - V)^2, which is why a linear network does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

BITS = 12

# S sawtooth, T triangle, P pulse, N noise.
COMBINED_ROWS = ("ST", "PT", "PS", "PST", "NP")
"""The combined waveforms, in the order of the first rows of `by_circuit` and `by_pull_down`, which go by the wired AND
of the selected waveforms."""
PHASE_ROWS = ("ST", "PST")
"""The order of the two rows behind those, which go by the accumulator's upper 12 bits: the AND of sawtooth and triangle
does not tell lone ones of the accumulator, the circuit feels them."""
ROWS = len(COMBINED_ROWS) + len(PHASE_ROWS)


class WaveformCircuit(NamedTuple):
    """Conductances of the waveform selector in units of the saw selector; levels in units of the supply."""

    zero: float  # a zero of the accumulator to ground
    one: float  # a one of the accumulator to the supply
    top_zero: float  # the same two of bit 11, over those of the others: pull-down,
    top_level: float  # and open-circuit level
    triangle: float  # triangle selector
    triangle_ground: float  # output 0 to ground while triangle is selected
    pulse: float  # pulse selector
    pulse_top: float  # pulse selector of bit 11
    line: float  # pulse line between two bits
    line_low: float  # pulse line to its driver (high), at bit 0
    line_high: float  # and at bit 11
    xor_zero: float  # a zero of the triangle's XOR to ground
    xor_one: float  # a one of it to the supply
    noise_zero: float  # a zero of the noise register to ground
    noise_one: float  # a one of it to the supply
    noise_ground: float  # outputs 0-3 to ground while noise is selected
    threshold: float  # level over which an output bit counts as one


class PullDown(NamedTuple):
    """How strongly the zeros of a combined waveform pull their neighbours down (see `pull_down_waveform`)."""

    distance: str  # falloff with the distance of two bits: "exp", "lin" or "quad"
    threshold: float
    top_bit: float  # factor on bit 11
    pulse_strength: float
    distance_up: float  # falloff towards bits above
    distance_down: float  # falloff towards bits below


# Fits to OSC3 samplings of single chips, published as libsidplayfp/combined-waveforms; average is the fit to all that
# work, 14 6581s and 17 8580s. The others: 6581 R3 0486S reference, R2 4383 weak, R2 0384 strong, 3384 strong 3384; 8580
# R5 1088 reference, R5 4887 weak, R5 1489 strong. What belongs to noise is fitted to readings of noise with pulse
# from two further chips (libsidplayfp issue #3: 6581 3884, 8580 0591): 7 to 9 wrong bits of 80.
CIRCUITS = {
    "6581 average": WaveformCircuit(
        zero=2.734, one=0.09869, top_zero=2.052, top_level=1.725, triangle=0.7282, triangle_ground=1.475,
        pulse=1.013, pulse_top=1.19, line=17.23, line_low=0.4002, line_high=0.9448, xor_zero=6.133,
        xor_one=0.09504, noise_zero=0.2008, noise_one=0.03063, noise_ground=0.2962, threshold=0.5997,
    ),
    "6581 reference": WaveformCircuit(
        zero=2.822, one=0.08218, top_zero=1.386, top_level=1.903, triangle=0.9683, triangle_ground=1.215,
        pulse=1.092, pulse_top=1.424, line=12.14, line_low=0.2206, line_high=0.6382, xor_zero=2.023,
        xor_one=0.07707, noise_zero=0.2499, noise_one=0.04944, noise_ground=0.3628, threshold=0.5173,
    ),
    "6581 weak": WaveformCircuit(
        zero=3.446, one=0.06701, top_zero=1.023, top_level=2.076, triangle=0.9599, triangle_ground=1.211,
        pulse=1.326, pulse_top=1.394, line=24.99, line_low=0.2196, line_high=0.6989, xor_zero=1.783,
        xor_one=0.0561, noise_zero=0.08525, noise_one=0.00801, noise_ground=0.2683, threshold=0.5052,
    ),
    "6581 strong": WaveformCircuit(
        zero=2.332, one=0.0366, top_zero=1.481, top_level=2.283, triangle=0.9104, triangle_ground=1.201,
        pulse=1.114, pulse_top=1.008, line=15.62, line_low=0.01806, line_high=0.2953, xor_zero=2.35,
        xor_one=0.03592, noise_zero=1.727, noise_one=0.06088, noise_ground=1.61, threshold=0.2779,
    ),
    "6581 strong 3384": WaveformCircuit(
        zero=1.825, one=0.09457, top_zero=1.505, top_level=2.051, triangle=1.258, triangle_ground=1.169,
        pulse=1.26, pulse_top=1.345, line=16.46, line_low=0.148, line_high=0.6917, xor_zero=1.659,
        xor_one=0.1076, noise_zero=0.1397, noise_one=0.0142, noise_ground=0.2246, threshold=0.5178,
    ),
    "8580 average": WaveformCircuit(
        zero=1.201, one=0.02253, top_zero=0.9135, top_level=0.936, triangle=0.6574, triangle_ground=0.9525,
        pulse=0.8498, pulse_top=0.7919, line=2.165, line_low=0.008649, line_high=0.1355, xor_zero=1.428,
        xor_one=0.02269, noise_zero=0.07798, noise_one=0.0008018, noise_ground=0.09856, threshold=0.2824,
    ),
    "8580 reference": WaveformCircuit(
        zero=1.438, one=0.02258, top_zero=0.9083, top_level=0.8963, triangle=0.7592, triangle_ground=0.9383,
        pulse=1.057, pulse_top=0.8454, line=2.683, line_low=0.01385, line_high=0.131, xor_zero=1.617,
        xor_one=0.02401, noise_zero=0.07442, noise_one=0.001021, noise_ground=0.1435, threshold=0.2469,
    ),
    "8580 weak": WaveformCircuit(
        zero=1.198, one=0.02693, top_zero=1.014, top_level=1.082, triangle=0.9929, triangle_ground=0.8642,
        pulse=1.193, pulse_top=1.1, line=3.068, line_low=0.0137, line_high=0.175, xor_zero=0.9779,
        xor_one=0.02846, noise_zero=0.08033, noise_one=0.001719, noise_ground=0.1061, threshold=0.3183,
    ),
    "8580 strong": WaveformCircuit(
        zero=1.117, one=0.03144, top_zero=1.288, top_level=0.7685, triangle=0.7537, triangle_ground=1.094,
        pulse=0.9266, pulse_top=0.8195, line=2.284, line_low=0.004521, line_high=0.1165, xor_zero=1.304,
        xor_one=0.03242, noise_zero=0.08341, noise_one=0.0007271, noise_ground=0.1137, threshold=0.2384,
    ),
}  # fmt: skip

# Fits to OSC3 samplings of single chips, as published with libresidfp; NP is a guess there and here.
# Chips: 6581 R3 0486S average, R2 4383 weak, R2 0384 strong; 8580 R5 1088 average, R5 4887 weak, R5 1489 strong.
_NP_6581 = PullDown("exp", 0.96, 1.0, 2.5, 1.1, 1.2)
_NP_8580 = PullDown("exp", 0.95, 1.0, 1.15, 1.0, 1.45)
PULL_DOWNS = {
    "6581 average": {
        "ST": PullDown("exp", 0.877322257, 1.11349654, 0.0, 2.14537621, 9.08618164),
        "PT": PullDown("lin", 0.941692829, 1.0, 1.80072665, 0.033124879, 0.232303441),
        "PS": PullDown("lin", 1.66494179, 1.03760982, 5.62705326, 0.291590303, 0.283631504),
        "PST": PullDown("lin", 1.09762526, 0.975265801, 1.52196741, 0.151528224, 0.841949463),
        "NP": _NP_6581,
    },
    "6581 weak": {
        "ST": PullDown("exp", 0.892563999, 1.11905622, 0.0, 2.21876144, 9.63837719),
        "PT": PullDown("lin", 1.01262534, 1.0, 2.46070528, 0.0537485816, 0.0986242667),
        "PS": PullDown("lin", 2.14896345, 1.0216713, 10.5400085, 0.244498149, 0.126134038),
        "PST": PullDown("lin", 1.22330308, 0.933797896, 2.83245254, 0.0615176819, 0.323831677),
        "NP": _NP_6581,
    },
    "6581 strong": {
        "ST": PullDown("exp", 0.000637792516, 1.56725872, 0.0, 0.00036806846, 1.51800942),
        "PT": PullDown("lin", 0.924780309, 1.0, 1.96809769, 0.0888123438, 0.234606609),
        "PS": PullDown("lin", 1.2328074, 0.73079139, 3.9719491, 0.00156516861, 0.314677745),
        "PST": PullDown("lin", 1.08558261, 0.857638359, 1.52781796, 0.152927235, 1.02657032),
        "NP": _NP_6581,
    },
    "8580 average": {
        "ST": PullDown("exp", 0.853578329, 1.09615636, 0.0, 1.8819375, 6.80794907),
        "PT": PullDown("exp", 0.929835618, 1.0, 1.12836814, 1.10453653, 1.48065746),
        "PS": PullDown("quad", 0.911938608, 0.996440411, 1.2278074, 0.000117214302, 0.18948476),
        "PST": PullDown("exp", 0.938004673, 1.04827631, 1.21178246, 0.915959001, 1.42698038),
        "NP": _NP_8580,
    },
    "8580 weak": {
        "ST": PullDown("exp", 0.812351167, 1.1727736, 0.0, 1.87459648, 2.31578159),
        "PT": PullDown("exp", 0.917997837, 1.0, 1.01248944, 1.05761552, 1.37529826),
        "PS": PullDown("quad", 0.968754232, 1.00669801, 1.29909098, 0.00962483883, 0.146850556),
        "PST": PullDown("exp", 0.941834152, 1.06401193, 0.991132736, 0.995310068, 1.41105855),
        "NP": _NP_8580,
    },
    "8580 strong": {
        "ST": PullDown("exp", 0.89762634, 56.7594185, 0.0, 7.68995237, 12.0754194),
        "PT": PullDown("exp", 0.87147671, 1.0, 1.44887495, 1.05899632, 1.43786001),
        "PS": PullDown("quad", 0.89255774, 1.2253896, 1.75615835, 0.0245045591, 0.12982437),
        "PST": PullDown("exp", 0.91124934, 0.963609755, 0.909965038, 1.07445884, 1.82399702),
        "NP": _NP_8580,
    },
}

_FALLOFFS: dict[str, Callable] = {
    "exp": lambda distance, i: distance ** (-i),
    "lin": lambda distance, i: 1 / (1 + i * distance),
    "quad": lambda distance, i: 1 / (1 + i * i * distance),
}


def by_circuit(circuit: WaveformCircuit) -> np.ndarray:
    """All combined waveforms of one of `CIRCUITS`.

    Returns
    -------
    tables : ndarray, uint16, shape (ROWS, 4096)
        12-bit outputs; rows as `COMBINED_ROWS`, then `PHASE_ROWS`.
    """
    wired = [circuit_waveform(circuit, row) for row in COMBINED_ROWS]
    return np.stack(wired + [circuit_waveform(circuit, row, by_phase=True) for row in PHASE_ROWS])


def by_pull_down(pull_downs: Mapping[str, PullDown]) -> np.ndarray:
    """All combined waveforms of one of `PULL_DOWNS`, which know but the AND: uint16, shape (ROWS, 4096)."""
    wired = {row: pull_down_waveform(pull_downs[row]) for row in COMBINED_ROWS}
    phase = np.arange(1 << BITS)
    both = phase & phase << 1 & 0xFFF
    return np.stack([*wired.values(), *(wired[row][both] for row in PHASE_ROWS)])


def circuit_waveform(circuit: WaveformCircuit, row: str, by_phase: bool = False) -> np.ndarray:
    """Output of one combined waveform.

    Parameters
    ----------
    circuit : WaveformCircuit
    row : str
        One of `COMBINED_ROWS`.
    by_phase : bool
        For rows with S: whether the table goes by the accumulator's upper 12 bits instead of the wired AND. By the AND,
        the accumulator is taken to have the fewest ones that give it.

    Returns
    -------
    table : ndarray, uint16, shape (4096,)
    """
    index = np.arange(1 << BITS)
    wired, code = index, index
    if row in PHASE_ROWS:
        if by_phase:
            wired = index & index << 1 & 0xFFF
        else:
            code = index | index >> 1
    high = output_levels(circuit, row, code) > circuit.threshold
    return ((high << np.arange(BITS)[:, None]).sum(axis=0) & wired).astype(np.uint16)


def output_levels(circuit: WaveformCircuit, row: str, code: np.ndarray) -> np.ndarray:
    """Level of every output bit of a combined waveform.

    Parameters
    ----------
    circuit : WaveformCircuit
    row : str
        One of `COMBINED_ROWS`.
    code : ndarray, int, shape (codes,)
        What drives the bits: the accumulator's upper 12 bits for rows with S, else the bits of triangle or noise.

    Returns
    -------
    levels : ndarray, float64, shape (12, codes)
        Bit 0 first; the supply is 1.
    """
    saw, triangle, pulse, noise = (letter in row for letter in "STPN")
    high = ((code >> np.arange(BITS)[:, None]) & 1).astype(bool)

    zero, one, level = (np.full(BITS, value) for value in (circuit.zero, circuit.one, 1.0))
    zero[-1] *= circuit.top_zero
    level[-1] = circuit.top_level
    own = np.full(BITS, 1.0)  # output n to driver n
    cross = np.zeros(BITS)  # output n to driver n - 1
    ground = np.zeros(BITS)  # output n to ground
    if triangle:
        ground[0] = circuit.triangle_ground
    if saw and triangle:
        cross[1:] = circuit.triangle
    elif triangle:
        zero[:], one[:], level[:] = circuit.xor_zero, circuit.xor_one, 1.0
        own[:] = circuit.triangle
        own[0] = 0.0
    elif noise:
        zero[:], one[:], level[:] = circuit.noise_zero, circuit.noise_one, 1.0
        own[:4], ground[:4] = 0.0, circuit.noise_ground

    tap, line = np.zeros(BITS), np.zeros(BITS)  # output n to the pulse line; the line between n - 1 and n
    feed = np.ones(BITS)  # the line's node n to the supply; without pulse it hangs alone
    if pulse:
        tap[:], line[1:] = circuit.pulse, circuit.line
        tap[-1] = circuit.pulse_top
        feed[:] = 0.0
        feed[0], feed[-1] = circuit.line_low, circuit.line_high

    # Three nodes a bit (pulse line, output, driver): no node meets one further than three places away.
    drive = np.where(high, one[:, None], zero[:, None])
    band = np.zeros((3 * BITS, 4, len(code)))  # band[i, j]: conductance matrix at (i + j, i)
    current = np.zeros((3 * BITS, len(code)))
    band[0::3, 0] = (tap + feed + line + np.append(line[1:], 0.0))[:, None]
    band[1::3, 0] = (tap + own + cross + ground)[:, None]
    band[2::3, 0] = (own + np.append(cross[1:], 0.0))[:, None] + drive
    band[0::3, 1] = -tap[:, None]
    band[1::3, 1] = -own[:, None]
    band[0:-3:3, 3] = -line[1:, None]
    band[2:-3:3, 2] = -cross[1:, None]
    current[0::3] = feed[:, None]
    current[2::3] = np.where(high, (one * level)[:, None], 0.0)
    return _solve_band(band, current)[1::3]


def _solve_band(band: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Solve symmetric systems of bandwidth 3, all codes at once, by elimination; overwrites its inputs."""
    nodes = len(band)
    for i in range(nodes):
        for j in range(1, min(4, nodes - i)):
            share = band[i, j] / band[i, 0]
            right[i + j] -= share * right[i]
            for k in range(j, min(4, nodes - i)):
                band[i + j, k - j] -= share * band[i, k]
    for i in reversed(range(nodes)):
        for j in range(1, min(4, nodes - i)):
            right[i] -= band[i, j] * right[i + j]
        right[i] /= band[i, 0]
    return right


def pull_down_waveform(pull_down: PullDown) -> np.ndarray:
    """Output of a combined waveform for every AND of its parts: zeros pull neighbouring ones down.

    Parameters
    ----------
    pull_down : PullDown

    Returns
    -------
    table : ndarray, uint16, shape (4096,)
        12-bit output for each 12-bit wired AND of the selected waveforms.

    Notes
    -----
    The fits were made in single precision, so that is what is used here: the threshold decides in the last bits.
    """
    number = np.float32
    falloff = _FALLOFFS[pull_down.distance]
    steps = np.arange(12).astype(number)
    up = falloff(number(pull_down.distance_up), steps).astype(number)
    down = falloff(number(pull_down.distance_down), steps).astype(number)
    bit = ((np.arange(4096)[:, None] >> np.arange(12)) & 1).astype(number)
    bit[:, 11] *= number(pull_down.top_bit)
    table = np.zeros(4096, dtype=np.uint16)
    for at in range(12):
        pull = np.zeros(4096, dtype=number)
        total = number(0)
        for other in range(12):
            if other == at:
                continue
            weight = down[at - other] if other < at else up[other - at]
            pull += (number(1) - bit[:, other]) * weight
            total += weight
        pull = (pull - number(pull_down.pulse_strength)) / total
        stays = (bit[:, at] > 0) & (number(1) - pull > number(pull_down.threshold))
        table |= stays.astype(np.uint16) << at
    return table


# --- Noise writes back ---
# Beside noise, what pulls the output low also pulls at the cells of the noise register. Which of them give way while
# TEST falls and the waveform changes differs from chip to chip. Source: OSC3 of four chips for all 64 changes (VICE
# test programs wb_testsuite, samplings of 6581 2586 and 2783, 8580 0591 and 2888); where they differ or are unsteady,
# one of them is followed, as the comments say.

HOLDS_ALL, HOLDS_NONE = 0xFFF, 0
TRIANGLE_OR_SAWTOOTH, PULSE = 3, 4


def noise_holds(is_8580: bool) -> np.ndarray:
    """Which cells of the noise register keep their bits in a shift, the second phase of which finds a new waveform.

    Parameters
    ----------
    is_8580 : bool

    Returns
    -------
    holds : ndarray, uint16, shape (8, 8)
        [before, after], lower bits of both waveforms, which have noise beside them: output bits whose cells hold; the
        others take over the output.

    Notes
    -----
    One case is left to the kernel: from all four waveforms to noise alone, all cells hold if all are ones (VICE test
    program wb_testsuite), but none does if there is a zero among them (noiselfsrinit, on ten 8580s). With all on, every
    output is joined to every other; that one zero then pulls them all is a guess.
    """
    holds = np.full((8, 8), HOLDS_ALL, np.uint16)
    for before in range(1, 8):
        for after in range(1, 8):
            holds[before, after] = (_holds_8580 if is_8580 else _holds_6581)(before, after)
    if not is_8580:
        holds[PULSE, 0] = HOLDS_NONE  # VICE test program wf12nsr: noise with pulse has run down to 0, and stays there
    return holds


def _holds_6581(before: int, after: int) -> int:
    """What pulls must stay selected; but a pulse line that is let go has not charged its lower bits yet."""
    if before & after & TRIANGLE_OR_SAWTOOTH or before == PULSE:
        return HOLDS_NONE
    return 0xF80 if before & after & PULSE else HOLDS_ALL  # chip 2783; 2586 has FE0, FC0 and F80


def _holds_8580(before: int, after: int) -> int:
    """Triangle and sawtooth take over from each other; what comes after the pulse pulls as strongly as it can."""
    if before == PULSE:
        # With triangle and pulse 0591; with triangle and sawtooth 2888, unsteady; with pulse as `NOISE_PULSE_HOLDS`.
        return (HOLDS_ALL, 0xFC0, HOLDS_ALL, 0xFC0, 0xFC0, 0xE00, 0xFC0, HOLDS_NONE)[after]
    if after == PULSE:
        return 0xFE0 if before & PULSE else HOLDS_ALL  # chip 0591
    return HOLDS_NONE


def noise_holds_residfp(is_8580: bool) -> np.ndarray:
    """The rule of pyresidfp 0.17.0 in the form of `noise_holds`: all cells or none."""
    holds = np.full((8, 8), HOLDS_ALL, np.uint16)
    for before in range(1, 8):
        for after in range(8):
            swapped = not is_8580 and (before & 3, after & 3) in ((1, 2), (2, 1))
            to_noise_alone = after == 0 and before != 7
            if not (swapped or to_noise_alone or PULSE in (before, after)):
                holds[before, after] = HOLDS_NONE
    return holds


NOISE_PULSE_HOLDS = {"6581": (HOLDS_NONE, HOLDS_ALL), "8580": (0xFC0, 0xFC0)}
"""Noise with pulse between two shifts: bits that the output leaves alone, of the noise as it comes out and of the
register's cells. On the 6581 the output runs down to 0 within 6 cycles (VICE test program wf12nsr) while the register
waits for the next shift (8 to C in wb_testsuite); on the 8580 the two lowest bits give way at once, the others hold."""
