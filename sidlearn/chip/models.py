"""Chip models: the tables of `sidlearn.chip.tables`, scaled to the kernel's units and packed into one record a chip.

`MODELS` names the chips, `load` builds the record of one. A profile is a set of changes to a chip's `Parameters`:
``load("6581", **PROFILES["galway"])``.

Units inside the record: every voltage v of the filter stands as u = (v - v_min) / (v_max - v_min), 0..1; a charge on
an integrator's capacitor as voltage over (v_max - v_min), -1..1; sound as -1..1 of full scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import lru_cache
from typing import Any

import numpy as np

from sidlearn._kept import kept
from sidlearn.chip import tables, waveforms
from sidlearn.clock import PAL
from sidlearn.errors import ModelError, nearest, one_of

STEPS = 4096
"""Intervals of every table over 0..1; between its points the kernel draws straight lines."""
LINES = 1024
"""Straight lines of every table that the filter's solver reads; each stands as a word, see `tables.lines`."""
PART_BITS = 6
"""Straight lines a period, as a power of 2, for a waveform behind the DAC of a 6581: what they leave out is 64 dB
below it."""
VCR_SIZE = 65536
"""Entries of the `vcr_current` table, and their number per u."""
VCR_ZERO = 4096
"""Its entry for a gate voltage that is just the threshold above the channel's end."""

MODEL_DTYPE = np.dtype(
    [
        # Which chip, and where the digital half follows residfp instead of silicon.
        ("is_8580", "i8"),
        ("residfp", "i8"),  # 1: follow pyresidfp 0.17.0 where it and real chips or the netlist part
        ("pw_delay", "i8"),  # cycles until a written pulse width is compared, beyond the next
        ("by_phase", "i8"),  # sawtooth with triangle goes by the accumulator, not by the AND of both
        ("latch_always", "i8"),  # 8580: the triangle and saw latch of OSC3 loads whatever is selected
        ("bus_halves", "i8"),  # reading a write-only register halves the time left to the bus value
        ("bus_decay", "i8"),  # cycles until the bus value has faded to 0
        ("fade_t0", "i8"),  # cycles until a waveform output that floats loses its first bits,
        ("fade_t1", "i8"),  # and then between two such steps
        ("test_t0", "i8"),  # the same for the noise register while TEST is held
        ("test_t1", "i8"),
        # Noise beside other waveforms, as output bits; see `sidlearn.chip.waveforms`.
        ("noise_holds", "u2", (8, 8)),  # cells that hold in a shift, by lower bits of waveform [before, after]
        (
            "pulse_pulls",
            "i8",
        ),  # 1: what is selected after noise with pulse pulls the output low before it is taken over
        ("noise_pulse_line", "i8"),  # noise with pulse, between two shifts: bits of the noise that hold,
        ("noise_pulse_cells", "i8"),  # and those of its register
        # Voices: u = voice_dc + voice_drift * dac_env[e] + voice_range * dac_wave[w] * dac_env[e].
        ("voice_range", "f8"),  # also EXT IN: u = voice_dc + voice_range * level
        ("voice_dc", "f8"),
        ("voice_drift", "f8"),
        ("ext_in", "f8"),  # level that stands at EXT IN, -1..1
        # Filter.
        ("filter_out_scale", "f8"),  # what the mixer gets of the sum s of k selected outputs: scale * s + offset[k]
        ("filter_out_offset", "f8", (4,)),
        ("rest", "f8"),  # u at which every stage rests; capacitors then hold 0
        ("drive", "f8"),  # gate drive of the integrators' transistors: 6581 Vdd - Vth, 8580 gate voltage - Vth
        ("threshold", "f8"),  # 6581: Vth
        ("snake", "f8"),  # 6581: charge per cycle through the snake, for one square unit
        # Output stage, charges per cycle.
        ("output_zero", "f8"),  # u of the volume stage that is sound 0
        ("output_scale", "f8"),  # full scales per u, gain of the output stage included
        ("low_pass", "f8"),
        ("high_pass", "f8"),
        ("clip_knee", "f8"),
        # Tables. Those of gain stages go by the mean of the stage's inputs, u * STEPS.
        ("dac_wave", "f4", (4096,)),
        ("dac_linear", "i8"),  # whether dac_wave is a straight line: dac_zero + dac_step * code, rounded alike
        ("dac_zero", "f4"),
        ("dac_step", "f4"),
        ("dac_env", "f4", (256,)),
        # Fast mode: triangle and sawtooth behind the waveform DAC as straight lines over 2**bits equal parts of a
        # period, level at the part's begin and slope by phase (1 / 2**24 of a period), at [waveform, 2**bits + part].
        ("part_lines", "f8", (3, 2 << PART_BITS, 2)),
        ("part_bits", "i8", (3,)),  # as many of them as the waveform takes
        ("combined", "u2", (waveforms.ROWS, 4096)),  # rows of `sidlearn.chip.waveforms`
        ("summer", "f4", (7, STEPS + 1)),  # [number of inputs]; 2..6 are in use
        ("mixer", "f4", (8, STEPS + 1)),  # [number of inputs]
        ("volume", "f4", (16, STEPS + 1)),  # [VOL]
        ("resonance", "f4", (16, STEPS + 1)),  # [RES]
        ("opamp_reverse", "f4", (STEPS + 1,)),  # input of an integrator's op-amp, by (charge + 1) / 2 * STEPS
        # 6581: charge per cycle through the voltage-controlled resistor from one of its ends, by
        # (gate voltage - threshold - voltage of that end) * VCR_SIZE + VCR_ZERO
        ("vcr_current", "f4", (VCR_SIZE,)),
        ("vcr_gate", "f8", (2048,)),  # 6581 [FC]: (drive - u of the control voltage)**2 / 2
        ("cutoff", "f8", (2048,)),  # 8580 [FC]: charge per cycle through the integrator's switches, per square unit
        # The same tables as words of two float32, intercept and slope, at the same place of each interval.
        ("summer_lines", "i8", (7 * (LINES + 1),)),  # [number of inputs], by their sum
        ("damping_lines", "i8", (16 * (LINES + 1),)),  # [RES]: resonance stage by the charge of the band-pass
        ("reverse_lines", "i8", (LINES + 1,)),  # opamp_reverse by the charge
        ("vcr_lines", "i8", (VCR_SIZE,)),  # vcr_current: value of the nearest entry, and slope by u
        ("vcr_tilt", "f4"),  # 1 / VCR_SIZE: they are lines; 0: steps, as residfp has them
        ("mix_lines", "i8", (16 * 8 * (LINES + 1),)),  # [VOL, number of inputs], mixer and volume by the inputs' sum
    ],
    align=True,
)


@dataclass(frozen=True)
class Parameters:
    """What makes one chip differ from another."""

    is_8580: bool
    residfp: bool
    combined: str
    """Set of combined waveforms: of `waveforms.CIRCUITS`, or, following residfp, of `waveforms.PULL_DOWNS`."""
    dac_ratio: float
    """2R / R of all ladders."""
    dac_terminated: bool
    dac_leak: float
    """Share of its weight that a bit gives while it is off."""
    wave_saturates: bool
    voice_range_v: float
    voice_dc_v: float
    """Level of a silent voice; on the 6581 this is what makes digis loud."""
    voice_drift_v: float
    """Rise of that level from envelope 0 to 255."""
    ext_in: float
    """Level that stands at EXT IN, -1..1."""
    supply_v: float
    threshold_v: float
    max_v: float
    """Upper end of the normalised range; the lower one is the op-amp's."""
    capacitor_f: float
    transistor_a_v2: float
    """u Cox of the filter's transistors."""
    filter_curve: float
    """0..1, position between bright and dark on the scale of pyresidfp 0.17.0."""
    cutoff_curve: tuple[float, float] | None
    """6581: lowest cutoff in Hz and shift in FC steps of a measured curve, see `tables.cutoff_hz_6581`; None: by
    `filter_curve`."""
    filter_out: float
    """Strength of a filter output in the mixer against that of a voice."""
    fade_t0: int
    """Cycles until a floating waveform output fades, and `fade_t1` between further steps."""
    fade_t1: int
    test_t0: int
    """Cycles until the noise register creeps towards ones under TEST, and `test_t1` between further steps."""
    test_t1: int
    bus_decay: int
    """Cycles until the value on the data bus is gone."""
    output_gain: float


# Voltages and transistors: measured on a 6581 R4AR 0687 14 and an 8580 R5 1690 25 for the emulators reSID and residfp.
# Voices, DACs, fade times (of a 6581 R3 and an 8580 R5), gains: as in pyresidfp 0.17.0, measured at its output.
# Filter outputs in the mixer: 233.7 kohm over 251.5 kohm, the die's resistors.
_6581 = Parameters(
    is_8580=False, residfp=False, combined="reference",
    dac_ratio=2.20, dac_terminated=False, dac_leak=0.0075, wave_saturates=True,
    voice_range_v=1.5, voice_dc_v=5 * 1.015, voice_drift_v=0.2143, ext_in=0.0,
    supply_v=12 * 1.015, threshold_v=1.31, max_v=12 * 1.015 - 1.31, capacitor_f=470e-12, transistor_a_v2=20e-6,
    filter_curve=0.5, cutoff_curve=None, filter_out=0.93,
    fade_t0=54_000, fade_t1=1_400, test_t0=50_000, test_t1=15_000, bus_decay=0x1D00,
    output_gain=3 / 2,
)  # fmt: skip
_8580 = Parameters(
    is_8580=True, residfp=False, combined="reference",
    dac_ratio=2.00, dac_terminated=True, dac_leak=0.0035, wave_saturates=False,
    voice_range_v=0.24, voice_dc_v=4.75 * 1.01, voice_drift_v=0.0, ext_in=0.0,
    supply_v=9 * 1.01, threshold_v=0.80, max_v=8.91, capacitor_f=22e-9, transistor_a_v2=100e-6,
    filter_curve=0.5, cutoff_curve=None, filter_out=1.0,
    fade_t0=800_000, fade_t1=50_000, test_t0=986_000, test_t1=314_300, bus_decay=0xA2000,
    output_gain=5 / 2,
)  # fmt: skip

MODELS: dict[str, Parameters] = {
    "6581": _6581,
    "8580": _8580,
    "6581-residfp": replace(_6581, residfp=True, combined="average"),
    "8580-residfp": replace(_8580, residfp=True, combined="average"),
}
"""The chips. Those without a suffix follow real chips and the netlist; `-residfp` ones follow pyresidfp 0.17.0."""

PROFILES: dict[str, dict[str, Any]] = {
    **{name: {"cutoff_curve": curve} for name, curve in tables.CUTOFF_CURVES_6581.items()},
    "digi boost": {"ext_in": -1.0},
}
"""Changes for `load`: the measured cutoff curves of five kinds of 6581, and the resistor from EXT IN to ground that
makes sample playback audible on an 8580."""


def load(name: str = "6581", clock_hz: float = PAL.clock_hz, **changes: Any) -> np.recarray:
    """Return the record of one chip.

    Parameters
    ----------
    name : str
        A key of `MODELS`.
    clock_hz : float
        The chip's clock, which the parts on the C64's board and the 6581's filter do not follow.
    **changes
        Changes to the chip's `Parameters`, such as ``combined="weak"`` or ``**profile("galway")``.

    Returns
    -------
    model : np.recarray, shape (1,), MODEL_DTYPE
        Read only; the same array for the same arguments.

    Raises
    ------
    ModelError
        If there is no such chip or parameter, or the parameter cannot have such a value.

    Examples
    --------
    >>> load("8580").dac_env.shape
    (1, 256)
    """
    if not 0 < clock_hz < math.inf:
        raise ModelError(f"model {name}: expected a clock above 0 Hz, not {clock_hz!r}")
    return _build(parameters(name, **changes), float(clock_hz))


def parameters(name: str = "6581", **changes: Any) -> Parameters:
    """Return the parameters of one chip, with the same arguments and errors as `load`."""
    check_name(name)
    for key, value in changes.items():
        _check(key, value)
    chip = replace(MODELS[name], **changes)
    if chip.combined not in _combined_sets(chip):
        expected = f"{one_of(_combined_sets(chip))}{nearest(chip.combined, _combined_sets(chip))}"
        raise ModelError(f"chip parameter combined: expected {expected}, not {chip.combined!r}")
    if chip.is_8580 and chip.cutoff_curve is not None:
        raise ModelError(f"model {name}: cutoff_curve is for a 6581; an 8580 has filter_curve")
    return chip


def profile(given: str | Mapping[str, Any] = "") -> dict[str, Any]:
    """Return the changes for `load` that a profile stands for.

    Parameters
    ----------
    given : str or mapping
        A name from `PROFILES`; a single parameter as ``"filter_out=0.9"``; several of both with commas between, of
        which the last wins; a mapping of parameters; or "" for none.

    Returns
    -------
    changes : dict
        Values by names of `Parameters`.

    Raises
    ------
    ModelError
        If there is no such profile or parameter, or the parameter cannot have such a value.

    Examples
    --------
    >>> profile("galway, combined=weak")
    {'cutoff_curve': (280.0, -405.0), 'combined': 'weak'}
    """
    if isinstance(given, Mapping):
        changes = dict(given)
    elif isinstance(given, str):
        changes = {}
        for part in filter(None, (part.strip() for part in given.split(","))):
            changes |= _profile_part(part)
    else:
        raise ModelError(f"profile {given!r}: expected a name or a mapping of parameters")
    for key, value in changes.items():
        _check(key, value)
    return changes


def _profile_part(part: str) -> dict[str, Any]:
    key, equals, text = (piece.strip() for piece in part.partition("="))
    if equals:
        return {key: _value(key, text)}
    if part not in PROFILES:
        expected = f"{one_of([*PROFILES, 'PARAMETER=VALUE'])}{nearest(part, PROFILES)}"
        raise ModelError(f"profile {part!r}: expected {expected}")
    return PROFILES[part]


def _value(key: str, text: str) -> Any:
    """The value of a parameter that is written as text; what cannot be one is left for `_check` to tell of."""
    if key == "cutoff_curve":
        hz, _, shift = text.partition(":")
        pair = _number(hz), _number(shift)
        return None if text == "none" else pair
    if _KINDS.get(key) == "bool":
        return {"true": True, "false": False}.get(text.lower(), text)
    return text if _KINDS.get(key) == "str" else _number(text)


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def check_name(name: str) -> str:
    """Return `name` if it is a key of `MODELS`.

    Raises
    ------
    ModelError
        If there is no such chip.
    """
    if name not in MODELS:
        raise ModelError(f"model {name!r}: expected {one_of(MODELS)}{nearest(name, MODELS)}")
    return name


_KINDS = {field.name: str(field.type) for field in fields(Parameters)}
# Bounds of parameters for which no chip is imaginable beyond them; others need only be numbers above 0.
_BOUNDS = {
    "dac_leak": (0, 1),
    "voice_drift_v": (0, 2),
    "ext_in": (-1, 1),
    "filter_curve": (0, 1),
    "transistor_a_v2": (1e-6, 1e-3),
}


def _check(key: str, value: Any) -> None:
    """Raise ModelError unless a parameter of that name can have that value."""
    if key not in _KINDS:
        raise ModelError(f"chip parameter {key!r}: there is none of that name{nearest(key, _KINDS)}")
    low, high = _BOUNDS.get(key, (0, math.inf))
    if _KINDS[key] == "bool":
        good, expected = isinstance(value, (bool, np.bool_)), "True or False"
    elif key == "combined":
        good, expected = isinstance(value, str), "the name of a set"
    elif key == "cutoff_curve":
        pair = isinstance(value, tuple) and len(value) == 2 and all(_is_number(part) for part in value)
        good, expected = value is None or (pair and value[0] > 0), "None or a tuple (Hz above 0, FC steps)"
    else:
        good = _is_number(value) and (low <= value <= high if key in _BOUNDS else value > 0)
        expected = f"{low} to {high}" if key in _BOUNDS else "a number above 0"
    if not good:
        raise ModelError(f"chip parameter {key}: expected {expected}, not {value!r}")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(value)


@lru_cache(maxsize=16)
@kept
def _build(chip: Parameters, clock_hz: float) -> np.recarray:
    """Pack the tables of one chip into a record."""
    model = np.zeros(1, dtype=MODEL_DTYPE).view(np.recarray)
    row = model[0]
    _fill_digital(row, chip)
    _fill_voices(row, chip)
    _fill_filter(row, chip, clock_hz)
    _fill_output(row, chip, clock_hz)
    _fill_lines(row)
    model.setflags(write=False)
    return model


def _fill_digital(row: np.record, chip: Parameters) -> None:
    values = asdict(chip)
    for key in ("is_8580", "residfp", "fade_t0", "fade_t1", "test_t0", "test_t1", "bus_decay"):
        row[key] = values[key]
    row["pw_delay"] = chip.residfp
    row["latch_always"] = chip.is_8580 and not chip.residfp
    row["bus_halves"] = chip.residfp
    row["by_phase"] = not chip.residfp
    row["noise_holds"] = (waveforms.noise_holds_residfp if chip.residfp else waveforms.noise_holds)(chip.is_8580)
    if not chip.residfp:
        row["pulse_pulls"] = chip.is_8580
        row["noise_pulse_line"], row["noise_pulse_cells"] = waveforms.NOISE_PULSE_HOLDS[_family(chip)]
    row["combined"] = _combined(_combined_sets(chip)[chip.combined])


def _combined_sets(chip: Parameters) -> dict[str, Any]:
    """The sets of combined waveforms that a chip may have, by name."""
    sets: dict[str, Any] = waveforms.PULL_DOWNS if chip.residfp else waveforms.CIRCUITS
    family = f"{_family(chip)} "
    return {name.removeprefix(family): made for name, made in sets.items() if name.startswith(family)}


def _family(chip: Parameters) -> str:
    return "8580" if chip.is_8580 else "6581"


def _combined(made: Any) -> np.ndarray:
    return (waveforms.by_circuit if isinstance(made, waveforms.WaveformCircuit) else waveforms.by_pull_down)(made)


def _fill_voices(row: np.record, chip: Parameters) -> None:
    wave = _dac(12, chip)
    if chip.wave_saturates:
        wave = tables.saturate_6581(wave)
    row["dac_wave"] = wave - wave[0x7FF]
    _fill_straight(row)
    _fill_parts(row)
    row["dac_env"] = _dac(8, chip)
    low, span = _range(chip)
    row["voice_range"] = chip.voice_range_v / span
    row["voice_dc"] = (chip.voice_dc_v - low) / span
    row["voice_drift"] = chip.voice_drift_v / span
    row["ext_in"] = chip.ext_in


def _fill_straight(row: np.record) -> None:
    """Look whether the waveform DAC is straight to the precision of its table."""
    codes = np.arange(4096, dtype=np.float32)
    row["dac_zero"] = row["dac_wave"][0]
    row["dac_step"] = (row["dac_wave"][4095].astype(np.float64) - row["dac_wave"][0]) / 4095
    line = row["dac_zero"] + row["dac_step"] * codes
    row["dac_linear"] = bool(np.abs(line - row["dac_wave"]).max() < 1e-6)  # -120 dB of its range
    if row["dac_linear"]:
        row["dac_wave"] = line


def _fill_parts(row: np.record) -> None:
    """Fit straight lines to parts of triangle (1) and sawtooth (2)."""
    code = np.arange(4096)
    folded = np.where(code & 0x800, code ^ 0xFFF, code) << 1
    for waveform, codes, least in ((1, folded, 1), (2, code, 0)):
        levels = row["dac_wave"][codes].astype(np.float64)
        row["part_bits"][waveform] = least if row["dac_linear"] else PART_BITS
        for bits in range(least, PART_BITS + 1):
            parts = levels.reshape(1 << bits, -1)
            at = np.arange(parts.shape[1]) - (parts.shape[1] - 1) / 2
            slope = parts @ at / (at @ at) / 4096
            lines = np.stack([parts.mean(axis=1) - slope * (1 << 23 - bits), slope], axis=-1)
            row["part_lines"][waveform, 1 << bits : 2 << bits] = lines


def _dac(bits: int, chip: Parameters) -> np.ndarray:
    return tables.dac(bits, chip.dac_ratio, chip.dac_terminated, chip.dac_leak)


def _opamp_points(chip: Parameters) -> Sequence[tuple[float, float]]:
    return tables.OPAMP_8580 if chip.is_8580 else tables.OPAMP_6581


def _range(chip: Parameters) -> tuple[float, float]:
    """Lowest voltage and span of the normalised range, in V."""
    low = _opamp_points(chip)[0][0]
    return low, chip.max_v - low


def _fill_filter(row: np.record, chip: Parameters, clock_hz: float) -> None:
    low, span = _range(chip)
    curve = tables.opamp(_opamp_points(chip))
    v_drive = chip.supply_v - chip.threshold_v
    v_in = low + span * np.arange(STEPS + 1) / STEPS

    def stages(ratios: np.ndarray) -> np.ndarray:
        return (tables.gain_stage(curve, v_drive, ratios[:, None], v_in) - low) / span

    # Ratios of the transistors, from the dies. Source: the reSID and residfp filter descriptions.
    row["summer"] = stages(np.arange(7))
    row["mixer"] = stages(np.arange(8) * 8 / (5 if chip.is_8580 else 6))
    row["volume"] = stages(np.arange(16) / (16 if chip.is_8580 else 12))
    row["resonance"] = stages(tables.resonance_ratios_8580() if chip.is_8580 else tables.resonance_ratios_6581())
    charge_v = span * (2 * np.arange(STEPS + 1) / STEPS - 1)
    row["opamp_reverse"] = (tables.opamp_reverse(_opamp_points(chip))(charge_v) - low) / span
    row["rest"] = row["volume"][0, 0]
    _fill_filter_out(row, chip)
    if chip.is_8580:
        _fill_integrators_8580(row, chip)
    else:
        _fill_integrators_6581(row, chip, clock_hz)


def _fill_filter_out(row: np.record, chip: Parameters) -> None:
    """A weaker input of the mixer leaves it nearer to its rest."""
    row["filter_out_scale"] = chip.filter_out
    row["filter_out_offset"] = (1 - chip.filter_out) * row["rest"] * np.arange(4)
    if chip.residfp:
        # Measured on pyresidfp 0.17.0: its outputs weaken towards the middle of the range, all together, and even if
        # none is selected; with all else routed away, too, the 6581's mixer then acts as if that were its only input.
        row["filter_out_offset"] = (1 - chip.filter_out) / 2
        if not chip.is_8580:
            row["mixer"][0] = row["mixer"][1]


CYCLE_S = 1e-6
"""Time in which an integrator charges per cycle: 1 us whatever the clock in residfp. The cutoff of a real 8580 does
move with the clock, by about 4 % between PAL and NTSC; our 6581 keeps its cutoff in Hz, equal to residfp's on PAL."""
THERMAL_V = 0.026
"""Thermal voltage kT/q at about 300 K."""
SNAKE_WIDTH = 1 / 115
"""W/L of the 6581's snake, from the die."""
VCR_WIDTH = 9
"""W/L of the 6581's voltage-controlled resistor, from the die."""

# residfp rounds both charges to whole numbers, which bends the 6581's lowest cutoffs: that of the snake to 15 steps
# instead of 15.25, and that of the resistor to 0 or 1 where it is weakest. Found by trying steps against
# pyresidfp 0.17.0: 60 to 67 dB at FC 0 to 350 with these, 34 to 40 dB without.
SNAKE_STEP = 2**-13
VCR_STEP = 2 / 65535
# Above so many steps the rounding is worth less than .1 dB of the difference to pyresidfp.
VCR_ROUNDED = 64


def _fill_integrators_6581(row: np.record, chip: Parameters, clock_hz: float) -> None:
    low, span = _range(chip)
    cycle_s = CYCLE_S if chip.residfp else CYCLE_S * PAL.clock_hz / clock_hz
    per_ampere = cycle_s / chip.capacitor_f / span
    snake = per_ampere * chip.transistor_a_v2 / 2 * SNAKE_WIDTH * span**2
    over_v = span * (np.arange(VCR_SIZE) - VCR_ZERO) / VCR_SIZE
    smooth = per_ampere * tables.ekv_current(over_v, chip.transistor_a_v2 * VCR_WIDTH, THERMAL_V)
    charge = smooth
    if chip.residfp:
        snake = np.round(snake / SNAKE_STEP) * SNAKE_STEP
        charge = np.round(charge / VCR_STEP) * VCR_STEP
    row["drive"] = (chip.supply_v - chip.threshold_v - low) / span
    row["threshold"] = chip.threshold_v / span
    row["snake"] = snake
    row["vcr_current"] = charge
    row["vcr_tilt"] = 0 if chip.residfp else 1 / VCR_SIZE
    row["vcr_lines"] = tables.words(_vcr_values(charge, smooth), np.gradient(smooth) * VCR_SIZE)
    # Control voltage: a 6.65 V divider and the cutoff DAC's 2.63 V. Source: measurements for reSID.
    control_v = 6.65 + (1 - chip.filter_curve) + 2.63 * _dac(11, chip)
    row["vcr_gate"] = ((chip.supply_v - chip.threshold_v - control_v) / span) ** 2 / 2
    if chip.cutoff_curve is not None:
        _follow_cutoff_curve(row, chip, clock_hz)


def _vcr_values(charge: np.ndarray, smooth: np.ndarray) -> np.ndarray:
    """The current as the solver takes it: rounded only where that is heard, or its slopes would not fit its values."""
    return np.where(charge < (VCR_ROUNDED + 0.25) * VCR_STEP, charge, smooth)


def _fill_lines(row: np.record) -> None:
    """Pack the tables as the solver reads them."""
    grid = np.linspace(0, 1, STEPS + 1)
    charge = np.linspace(-1, 1, LINES + 1)
    reverse = np.interp(charge, 2 * grid - 1, row["opamp_reverse"])
    row["reverse_lines"] = tables.lines(reverse, -1, 2)
    every = STEPS // LINES
    row["summer_lines"] = np.concatenate([tables.lines(row["summer"][n, ::every], 0, max(n, 1)) for n in range(7)])
    damping = [np.interp(reverse - charge, grid, stage) for stage in row["resonance"]]
    row["damping_lines"] = np.concatenate([tables.lines(stage, -1, 2) for stage in damping])
    mix = [
        tables.lines(np.interp(mixer[::every], grid, volume), 0, max(n, 1))
        for volume in row["volume"]
        for n, mixer in enumerate(row["mixer"])
    ]
    row["mix_lines"] = np.concatenate(mix)


def _follow_cutoff_curve(row: np.record, chip: Parameters, clock_hz: float) -> None:
    """Set snake and control voltages so that small signals find the measured cutoffs."""
    base_hz, shift = chip.cutoff_curve or (0.0, 0.0)
    high, band = _operating_point(row)
    over = row["drive"] - np.array([high, band])
    snake = np.geomspace(0.1, 10, 200)[:, None] * row["snake"]
    row["snake"] = np.interp(base_hz, _pole_hz(row, 2 * snake * over, high, band, clock_hz), snake[:, 0])
    # The control voltage enters as vcr_gate; the resistor conducts as its current's slope against the channel's end.
    vcr_gate = np.linspace((row["drive"] + 0.1) ** 2 / 2, 0, 4000)[:, None]
    gate = row["drive"] - np.sqrt(vcr_gate + over**2 / 2) - row["threshold"]
    slope = np.diff(row["vcr_current"].astype(np.float64)) * VCR_SIZE
    at = (gate - np.array([high, band])) * VCR_SIZE + VCR_ZERO
    conductance = 2 * row["snake"] * over + np.interp(at, np.arange(VCR_SIZE - 1) + 0.5, slope)
    pole_hz = _pole_hz(row, conductance, high, band, clock_hz)
    cutoff_hz = tables.cutoff_hz_6581(_dac(11, chip), base_hz, shift)
    row["vcr_gate"] = np.interp(cutoff_hz, pole_hz, vcr_gate[:, 0])


def _operating_point(row: np.record) -> tuple[float, float]:
    """Where high-pass and band-pass stand with one silent voice routed, RES 0; nothing then charges the capacitors."""
    reverse = row["opamp_reverse"].astype(np.float64)
    charge = 2 * np.arange(STEPS + 1) / STEPS - 1

    def invert(u: float) -> float:
        return u - float(np.interp(u, reverse, charge))

    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        band = invert(middle)
        total = row["voice_dc"] + _stage(row["resonance"][0], band) + invert(band)
        low, high = (middle, high) if _stage(row["summer"][3], total / 3) > middle else (low, middle)
    return middle, invert(middle)


def _stage(table: np.ndarray, u: float) -> float:
    """Output of a gain stage for the mean of its inputs."""
    return float(np.interp(u * STEPS, np.arange(STEPS + 1), table))


def _pole_hz(row: np.record, conductance: np.ndarray, high: float, band: float, clock_hz: float) -> np.ndarray:
    """Geometric mean of the filter's two poles for conductances (..., 2) of its integrators, by small signals."""
    step = 1 / STEPS
    reverse = row["opamp_reverse"].astype(np.float64)
    charge = 2 * np.arange(STEPS + 1) / STEPS - 1

    def derivative(table: np.ndarray, u: float) -> float:
        return (_stage(table, u + step) - _stage(table, u - step)) / (2 * step)

    def across(u: float) -> float:  # of an op-amp's input, by its charge
        return 2 * step / float(np.diff(np.interp([u - step, u + step], reverse, charge))[0])

    reverse_low = float(np.interp(band, reverse, charge))
    total = row["voice_dc"] + _stage(row["resonance"][0], band) + band - reverse_low
    summer = derivative(row["summer"][3], total / 3) / 3
    damping = derivative(row["resonance"][0], band)
    across_band, across_low = across(high), across(band)
    to_band, to_low = conductance[..., 0], conductance[..., 1]
    # One cycle of the two charges: band' = a band + b low; low' = c low + d band'.
    a = 1 - to_band * across_band + to_band * summer * damping * (across_band - 1)
    b = to_band * summer * (across_low - 1)
    c = 1 - to_low * across_low
    d = to_low * (across_band - 1)
    trace, determinant = a + c + b * d, a * c
    root = np.sqrt((trace**2 / 4 - determinant).astype(complex))
    return np.sqrt(np.abs(np.log(trace / 2 + root) * np.log(trace / 2 - root))) * clock_hz / (2 * np.pi)


def _fill_integrators_8580(row: np.record, chip: Parameters) -> None:
    low, span = _range(chip)
    per_ampere = CYCLE_S / chip.capacitor_f / span
    gate_v = 4.75 * 1.01 * (1.8 - 0.6 * chip.filter_curve)
    row["drive"] = (gate_v - chip.threshold_v - low) / span
    # W/L per step of FC, from the die; at FC 0 residfp leaves half a step.
    width = 0.00615 * np.maximum(np.arange(2048), 0.5)
    row["cutoff"] = per_ampere * chip.transistor_a_v2 / 2 * width * span**2


def _fill_output(row: np.record, chip: Parameters, clock_hz: float) -> None:
    row["output_zero"] = row["rest"]
    row["output_scale"] = 2 * chip.output_gain
    low_pass_s, high_pass_s = 10e3 * 1e-9, 10e3 * 10e-6  # 10 kohm with 1 nF, and with 10 uF, on the C64's board
    cycle_s = 1 / clock_hz
    if chip.residfp:
        # Measured on pyresidfp 0.17.0: 12/128 on PAL, 11/128 on NTSC, 1/131072 on both.
        row["low_pass"] = round(128 * cycle_s / (low_pass_s + cycle_s)) / 128
        row["high_pass"] = round(131_072 * cycle_s / (high_pass_s + cycle_s)) / 131_072
    else:
        row["low_pass"] = 1 - math.exp(-cycle_s / low_pass_s)
        row["high_pass"] = 1 - math.exp(-cycle_s / high_pass_s)
    row["clip_knee"] = 28000 / 32768  # measured on pyresidfp 0.17.0
