"""The state of a chip as records, and how it looks at power-on.

Whole numbers are int64 in memory and masked to the chip's width by the kernel. Copying the two arrays is a snapshot.
"""

from __future__ import annotations

import numpy as np

from sidlearn.registers import VOICES

NEVER = -1
"""A deadline that no cycle count meets."""

ATTACK, DECAY, RELEASE = range(3)
"""States of an envelope generator; decay goes on into sustain without another state."""

FRAME = 8
"""Chip cycles for each sample of the decimator's first stage."""

STAGE1_FRAMES = 8
"""Such frames that one of its samples is made from: 64 taps."""

EXT_IN_ROOM = 2048
"""Cycles of a signal at EXT IN that a chip is given at a time."""

HISTORY = 4096
"""Room for samples that the last stage looks back to."""

EXACT_STEPS = 8
"""Cycles that the exact filter solves at a time. Blocks stand on multiples of it, so that no cut moves them."""

FAST_STEPS = 8
"""Frames that the fast filter solves at a time, on a grid of their own."""

LANES = 8
"""Chips, or stretches of one log, whose filters are solved side by side."""

IDLE_BLOCKS = 8192
"""Blocks of the filter's solver in which nothing goes in until it is at rest and left alone: 66 ms and more."""

PAIR = 2 * FRAME
"""Chip cycles for each sample of the half-band filter, the decimator's middle stage."""

HALF_TAPS = 47
"""Its taps: 4 n + 3 for it to be symmetric with a tap at each end."""

WINDOW = FRAME * STAGE1_FRAMES
"""Cycles that a sample of the decimator's first stage is made from."""

PAST = WINDOW - FRAME
"""Those of them that come before the last frame."""

ANSWER = 2 * STAGE1_FRAMES
"""Values that a step or a bend adds to the samples of the first stage: a vector's length, of which half are 0."""

RESPONSES = WINDOW + 1 + 2 * FRAME * ANSWER
"""Values that tell how the first stage answers, see `decimate.responses`."""

SETTINGS = WINDOW + 3 * FRAME
"""Changes of the analogue half's registers that can still matter: at most one a cycle."""

FILTER_ROWS = 11
"""What the filter keeps between blocks: charges of band-pass and low-pass, by how much both moved in the last step,
last input, and the last step's linear map: (band, low) to band, to low, and the input's share in both."""

_OSCILLATOR = [
    # registers
    ("frequency", "i8"),
    ("pulse_width", "i8"),
    ("waveform", "i8"),  # upper half of CONTROL: 1 triangle, 2 sawtooth, 4 pulse, 8 noise
    ("test", "i8"),
    ("sync", "i8"),
    ("ring_mask", "i8"),  # accumulator bit 23 while ring modulation folds the triangle, else 0
    ("no_pulse", "i8"),  # $FFF while pulse is not selected, else 0
    ("no_noise", "i8"),
    ("combined", "i8"),  # row of the model's combined waveforms, or -1
    # phase
    ("accumulator", "i8"),  # 24 bits
    ("msb_rising", "i8"),
    ("compared", "i8"),  # upper 12 bits of the accumulator that the pulse comparator sees next
    ("pulse", "i8"),  # output of the pulse comparator, $000 or $FFF
    ("latch", "i8"),  # 8580: triangle and sawtooth as OSC3 shows them one cycle later
    # noise
    ("noise_register", "i8"),  # 23 bits
    ("noise_latch", "i8"),
    ("noise_pipeline", "i8"),  # 2 when bit 19 rises, then 1 and 0: the two phases of a shift
    ("noise_test", "i8"),  # the TEST bit as the shift sees it
    ("noise", "i8"),  # 12-bit output
    ("creep_cycle", "i8"),  # when the next step towards all ones comes while TEST is held
    # output
    ("output", "i8"),  # 12 bits at the waveform DAC
    ("osc3", "i8"),  # 12 bits; OSC3 reads the upper eight of voice 3
    ("fade_cycle", "i8"),  # when the floating DAC input loses its next bits
]
_ENVELOPE = [
    ("gate", "i8"),
    ("attack", "i8"),
    ("decay", "i8"),
    ("sustain", "i8"),
    ("release", "i8"),
    ("envelope_counter", "i8"),  # 8 bits
    ("env3", "i8"),  # the counter as it was at the start of the cycle
    ("envelope_state", "i8"),  # ATTACK, DECAY or RELEASE
    ("envelope_target", "i8"),  # where the state pipeline leads
    ("envelope_enabled", "i8"),  # 0: frozen at zero
    ("state_pipeline", "i8"),
    ("step_pipeline", "i8"),
    ("exponential_pipeline", "i8"),
    ("exponential_counter", "i8"),
    ("exponential_period", "i8"),
    ("exponential_next", "i8"),  # a new period, in effect from the next cycle, or 0
    ("rate_counter", "i8"),
    ("rate_match", "i8"),  # the counter met the period in the previous cycle
    ("rate_last", "i8"),  # the count to meet: the period less one
]

VOICE_DTYPE = np.dtype(_OSCILLATOR + _ENVELOPE, align=True)
"""One voice: oscillator, waveform generator, envelope generator."""

_BUS = [
    ("cycle", "i8"),  # cycles clocked since power-on
    ("bus_value", "i8"),
    ("bus_cycle", "i8"),  # when the value on the data bus is lost
]
_FILTER = [
    ("cutoff", "i8"),  # FC, 11 bits
    ("resonance", "i8"),  # RES, 4 bits
    ("routing", "i8"),  # lower half of RES_FILT: FILT1, FILT2, FILT3, FILTEX
    ("mode", "i8"),  # upper half of MODE_VOL: 1 low-pass, 2 band-pass, 4 high-pass, 8 voice 3 off
    ("volume", "i8"),  # 4 bits
    ("filter", "f4", (FILTER_ROWS,)),  # before the block of cycles under way, see `FILTER_ROWS`
    ("unfed", "i8"),  # blocks since something went in, `IDLE_BLOCKS` at the most
    ("held", "f4", (3,)),  # low-pass, band-pass and high-pass while it is left alone
    # output stage of the board: behind its low-pass, and what its high-pass takes away
    ("ext_vlp", "f8"),
    ("ext_vhp", "f8"),
]
_DECIMATOR = [
    # what the first stage looks back to, with the cycles of the frame under way: sound at chip rate,
    ("recent", "f4", (PAST + FRAME,)),
    ("routed", "f4", (PAST + FRAME,)),  # by how much the inputs of the filter are off their silent level,
    ("mixed", "f4", (PAST + FRAME,)),  # and those of the mixer
    ("settings", "i8", (SETTINGS, 6)),  # first cycle, cutoff, resonance, routing, mode, volume; oldest first
    ("settings_end", "i8"),
    ("waiting", "f4", (HALF_TAPS,)),  # samples of the first stage that the second one looks back to
    ("history", "f4", (HISTORY,)),  # and the third one, the newest at history_end - 1
    ("history_end", "i8"),
    ("sample_due", "i8"),  # time of the next output after the newest sample there, cycles * sample_rate
]

_FAST = [
    ("frame_inputs", "f4", (3, 2)),  # the last three samples of the inputs of filter and mixer, oldest first
    ("fast_input", "f4", (FAST_STEPS, 2)),  # inputs of the filter's steps under way, and their slopes
    ("fast_settings", "i8", (FAST_STEPS, 4)),  # cutoff, resonance, routing, mode in each of them
    ("fed", "i8"),  # the first of them in which something goes into the filter
]

ROWS = 2 * VOICES
"""What voices give to filter and mixer in fast mode: rows of voice 1 into the filter, voice 1 past it, voice 2..."""

_DRAWN = [
    # of each row, from `drawn_from` on, until something changes: a straight line, and what it belongs to
    ("drawn_level", "f8", (ROWS,)),  # level in that cycle
    ("drawn_slope", "f8", (ROWS,)),  # and its rise per cycle
    ("drawn_from", "i8", (ROWS,)),
    ("drawn_part", "i8", (ROWS,)),  # place in the model's `part_lines`; 0: the level holds
    ("drawn_phase", "i8", (ROWS,)),  # of the oscillator in the first cycle,
    ("drawn_step", "i8", (ROWS,)),  # and by how much it goes on
    ("drawn_zero", "f4", (ROWS,)),  # as `voice_range` has them
    ("drawn_range", "f4", (ROWS,)),
    ("drawn_frame", "i8", (ROWS,)),  # first frame of the first stage that has nothing of the row yet
    ("drawn", "f4", (ROWS, STAGE1_FRAMES)),  # samples of the first stage that are not finished
    ("summed_end", "i8"),  # the cycle after the last one for which there are sums cycle by cycle
    ("summed", "i8"),  # whether there are any in the block under way
]

_EXT_IN = [
    ("ext_in", "f4", (EXT_IN_ROOM,)),  # levels of the coming cycles, from ext_in_at up to ext_in_end
    ("ext_in_at", "i8"),
    ("ext_in_end", "i8"),
]

CHIP_DTYPE = np.dtype(_BUS + _EXT_IN + _FILTER + _DECIMATOR + _FAST + _DRAWN, align=True)
"""What the three voices share: bus, filter registers and analogue state, decimator."""


BLOCK_FRAMES = 128
"""Frames that are clocked at a time."""
TAP_LANES = 16
"""Partial sums of the decimator's last stage; the number of its taps is a multiple of it."""
OUTPUTS = 16
"""Outputs of it whose partial sums are added up at a time."""

ROOM_FRAMES = BLOCK_FRAMES + STAGE1_FRAMES
"""Frames that the decimator's first stage looks at then."""
_COLUMNS, _FRAMES = FRAME * (BLOCK_FRAMES + 1), BLOCK_FRAMES + 1

ROOM_DTYPE = np.dtype(
    [
        # by cycle, of which `PAST` come before column 0: the first cycle of the frame that the block begins in
        ("routed", "f4", (PAST + _COLUMNS,)),  # sums of voltages over their silent level: into the filter,
        ("mixed", "f4", (PAST + _COLUMNS,)),  # and past it
        ("sound", "f4", (PAST + _COLUMNS,)),
        # by cycle
        ("filtered", "f4", (_COLUMNS,)),
        ("total", "f4", (_COLUMNS,)),  # sum at the mixer; with the number of its line, and that line as a word
        ("line", "i4", (_COLUMNS,)),
        ("word", "i8", (_COLUMNS,)),
        ("value", "f4", (_COLUMNS,)),  # of the voice under way: level behind the waveform DAC,
        ("wave", "u2", (_COLUMNS,)),  # and 12-bit waveform
        # by cycle in frame and frame: what the decimator's first stage takes
        ("parts", "f4", (FRAME, ROOM_FRAMES)),
        ("drawn", "f4", (ROWS, _FRAMES + 2 * ANSWER)),  # by frame, fast mode: first stage of voices, see `ROWS`
        # by frame
        ("samples", "f4", (_FRAMES,)),  # sound of the first stage
        ("routed_samples", "f4", (_FRAMES,)),  # fast mode: first stage of the sums,
        ("mixed_samples", "f4", (_FRAMES,)),
        ("fed", "f4", (_FRAMES + 2,)),  # inputs of the filter, with those of two frames before
        ("low", "f4", (_FRAMES,)),  # outputs of the filter,
        ("band", "f4", (_FRAMES,)),
        ("high", "f4", (_FRAMES,)),
        ("part", "f4", (_FRAMES,)),  # sound under one of several settings
        # samples of the first stage on their way through the second
        ("queue", "f4", (HALF_TAPS + _FRAMES,)),
        ("even", "f4", (HALF_TAPS + _FRAMES,)),
        ("odd", "f4", (HALF_TAPS + _FRAMES,)),
        ("halves", "f4", (_FRAMES,)),
        # last stage: partial sums of some outputs, half as many, and their sums
        ("products", "f4", (OUTPUTS * TAP_LANES,)),
        ("halved", "f4", (OUTPUTS * TAP_LANES // 2,)),
        ("sums", "f4", (OUTPUTS,)),
        ("settings", "i8", (SETTINGS + FRAME * BLOCK_FRAMES + 1, 6)),  # as `chip.settings`
    ],
    align=True,
)
"""Room for a block of cycles of one chip."""

_BLOCK = FRAME * BLOCK_FRAMES
SIDE_ROW = _BLOCK + 16
"""From a lane to the next: a line of the cache more than a block, or all would take the same place in it."""

SIDE_DTYPE = np.dtype(
    [
        # by cycle, as in `ROOM_DTYPE`: element [lane * SIDE_ROW + cycle],
        ("routed", "f4", (SIDE_ROW * LANES,)),
        ("mixed", "f4", (SIDE_ROW * LANES,)),
        # and from here on [cycle * LANES + lane]
        ("sound", "f4", ((PAST + _BLOCK) * LANES,)),
        # by frame
        ("samples", "f4", (BLOCK_FRAMES * LANES,)),
        ("fed", "f4", ((BLOCK_FRAMES + 2) * LANES,)),  # fast mode: inputs of the filters, after the last two
    ],
    align=True,
)
"""Room for a block of cycles of `LANES` chips side by side."""


def work_dtype(steps: int, lanes: int) -> np.dtype:
    """Room for the filter's solver: so many steps of so many chips, element [step * lanes + lane].

    Fields of both integrators hold those of the band-pass, then those of the low-pass.
    """
    one = steps * lanes
    both = 2 * one
    layout: list[tuple[str, tuple[int, ...]]] = [
        ("state", (FILTER_ROWS, lanes)),
        ("start", (2, lanes)),  # lanes: the charges before the block, with which the forecast goes ahead
        ("kept", (FILTER_ROWS, lanes)),  # and the state before it
        # given: what goes in, and what registers have set in each step
        ("input", (one,)),
        ("slope", (one,)),  # of the input, per cycle
        ("silent", (one,)),  # what comes in besides
        ("gate", (both,)),  # vcr_gate (6581) or cutoff (8580)
        ("per_sum", (one,)),  # lines of the summer for one unit
        ("low", (one,)),
        ("band", (one,)),
        ("high", (one,)),
        # lanes: the mixer's other inputs, what comes in besides, its lines for one unit, and the sound
        ("mixed", (one,)),
        ("mix_silent", (one,)),
        ("mix_per_sum", (one,)),
        ("sound", (one,)),
        # forecast, and the parts of the filter there: value, and slope by what goes in
        ("charge", (both,)),
        ("x", (both,)),
        ("x_slope", (both,)),
        ("out", (both,)),
        ("sum", (one,)),
        ("damping_slope", (one,)),
        ("summer_slope", (one,)),
        ("in", (both,)),
        ("bend", (both,)),
        ("value", (both,)),  # of lines that were looked up: value at 0, and slope
        ("slope_x", (both,)),
        ("other_value", (both,)),
        ("slope_in", (both,)),
        ("beside", (both,)),  # by how much a voltage is beside the entry of vcr_lines that it takes
        ("other_beside", (both,)),
        ("flow", (both,)),
        ("flow_in", (both,)),
        ("flow_x", (both,)),
        # linear map of each step, about the forecast
        ("a", (one,)),
        ("b", (one,)),
        ("c", (one,)),
        ("d", (one,)),
        ("p", (one,)),
        ("q", (one,)),
        ("u", (one,)),
        ("v", (one,)),
        # fast mode: by how much the first half of a step moves the charges, and the map of a whole step
        ("band_half", (one,)),
        ("low_half", (one,)),
        ("whole_a", (one,)),
        ("whole_b", (one,)),
        ("whole_c", (one,)),
        ("whole_d", (one,)),
        ("whole_p", (one,)),
        ("whole_q", (one,)),
        # solution, as distance from the forecast
        ("to_band", (one,)),
        ("to_low", (one,)),
        ("band_off", (one,)),
        ("low_off", (one,)),
        ("filtered", (one,)),
        ("low_out", (one,)),
        ("band_out", (one,)),
        ("high_out", (one,)),
    ]
    names: list[str] = []
    formats: list[tuple[str, tuple[int, ...]]] = []
    offsets: list[int] = []
    size = 0

    def add(name: str, kind: str, shape: tuple[int, ...], at: int) -> None:
        nonlocal size
        names.append(name)
        formats.append((kind, shape))
        offsets.append(at)
        size = max(size, at + np.dtype(kind).itemsize * int(np.prod(shape)))

    for name, shape in layout:
        add(name, "f4", shape, size)
    for name in ("summer_row", "damping_row", "mix_row"):
        add(name, "i4", (one,), size)
    for name in ("index", "other_index"):
        add(name, "i4", (both,), size)
    return np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": -(-size // 64) * 64}  # type: ignore[call-overload]
    )


# Source: spread of the VICE test programs oscinit, noiseinit and allinit; measured on pyresidfp 0.17.0.
POWER_ON_ACCUMULATOR = 0x555555
POWER_ON_ENVELOPE = 0xAA
POWER_ON_NOISE = 0x7FFFFE  # all ones, shifted once with feedback 0
POWER_ON_NOISE_OUTPUT = 0xFE0
POWER_ON_LATCH = 0x555  # of the accumulator above


def power_on(model, clock_hz):
    """Return the state of a chip that has just got its power: its filter at rest.

    Parameters
    ----------
    model : record of `sidlearn.chip.models.MODEL_DTYPE`
    clock_hz : int

    Returns
    -------
    voices : recarray of `VOICE_DTYPE`, shape (3,)
    chips : recarray of `CHIP_DTYPE`, shape (1,)
    """
    voices = np.zeros(VOICES, VOICE_DTYPE).view(np.recarray)
    voices.no_pulse = voices.no_noise = 0xFFF
    voices.combined = -1
    voices.accumulator = POWER_ON_ACCUMULATOR
    voices.latch = voices.compared = POWER_ON_LATCH
    voices.noise_register = POWER_ON_NOISE
    voices.noise = POWER_ON_NOISE_OUTPUT
    voices.creep_cycle = voices.fade_cycle = NEVER
    voices.envelope_counter = voices.env3 = POWER_ON_ENVELOPE
    voices.envelope_state = voices.envelope_target = RELEASE
    voices.envelope_enabled = voices.rate_match = 1
    voices.exponential_period = 1
    voices.rate_last = 8  # RELEASE 0: every 9 cycles
    chips = np.zeros(1, CHIP_DTYPE).view(np.recarray)
    chips.bus_cycle = NEVER
    # The board's capacitors begin at half of the range, not at rest: a step of 12 400 (6581) and 6 200 (8580) of 32 768
    # that dies away in some tenths of a second. Measured on pyresidfp 0.17.0.
    chips.ext_vlp = chips.ext_vhp = (0.5 - model.output_zero) * model.output_scale
    chips.recent = chips.waiting = chips.history = chips.ext_vhp
    chips.history_end = HISTORY
    chips.settings_end = 1
    chips.settings[0, 0, 0] = -WINDOW
    chips.drawn_frame = STAGE1_FRAMES
    chips.summed_end = NEVER
    chips.sample_due = clock_hz
    return voices, chips
