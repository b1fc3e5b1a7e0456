"""The engine of the SID: a small function for each unit of the chip, named after it.

Everything the compiled code calls stands in this file. State comes in as records of `sidlearn.chip.state`, tables as
one record of `sidlearn.chip.models`; nothing is checked here. `clock_digital` is exact to the last bit: the models
named after residfp follow that emulator, the others follow real chips where those overrule it. Between writes most of
what it does is known ahead; `clock_voices` leaps over such cycles and comes out in the same state with the same levels.

Sources: VICE test programs with readings of real chips; the public transistor netlist of the SID, as simulated for OSC3
and ENV3; pyresidfp 0.17.0, measured from outside. Where one of them rules alone, the place says so.
"""

from __future__ import annotations

import math

import numpy as np

from sidlearn._kernel import inline_part_kernel, kernel, part_kernel
from sidlearn.chip.models import LINES, PART_BITS, VCR_SIZE, VCR_ZERO
from sidlearn.chip.state import (
    ANSWER,
    ATTACK,
    BLOCK_FRAMES,
    DECAY,
    EXACT_STEPS,
    FAST_STEPS,
    FRAME,
    HALF_TAPS,
    HISTORY,
    IDLE_BLOCKS,
    LANES,
    NEVER,
    OUTPUTS,
    PAIR,
    PAST,
    RELEASE,
    ROOM_FRAMES,
    ROWS,
    SIDE_ROW,
    STAGE1_FRAMES,
    TAP_LANES,
    WINDOW,
    work_dtype,
)
from sidlearn.chip.vectors import interleave, look_up
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    ENV3,
    FC_HI,
    FC_LO,
    FREQ_HI,
    FREQ_LO,
    GATE,
    MODE_VOL,
    NOISE,
    OSC3,
    POTX,
    POTY,
    PULSE,
    PW_HI,
    PW_LO,
    RES_FILT,
    RING,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    SYNC,
    TEST,
    TRIANGLE,
    VOICE_STRIDE,
    VOICES,
)

LAST_VOICE = VOICES - 1

# Waveforms, the upper half of CONTROL.
WAVE_TRIANGLE = TRIANGLE >> 4
WAVE_SAWTOOTH = SAWTOOTH >> 4
WAVE_PULSE = PULSE >> 4
WAVE_NOISE = NOISE >> 4
ALL_WAVES = 0xF
ST_BY_PHASE, PST_BY_PHASE = 5, 6
"""Rows of the model's combined waveforms that go by the accumulator; those before, ST, PT, PS, PST, NP, by the AND."""

ALL_ONES = 0x7FFFFF
"""The noise register with every bit set."""
TAPS = 1 << 20 | 1 << 18 | 1 << 14 | 1 << 11 | 1 << 9 | 1 << 5 | 1 << 2 | 1
"""Bits of the noise register that come out as waveform bits 11 to 4. Source: the 6581 die (reSID's documentation)."""

RATE_STATES = 0x7FFF
"""The rate counter runs through this many states before it repeats. Source: SID netlist, a 15-bit shift register."""

# Lower bits of `chip.mode`, the upper half of MODE_VOL.
LOW_PASS, BAND_PASS, HIGH_PASS, VOICE_3_OFF = 1, 2, 4, 8

FILTEX, FILT3 = 8, 4

BLOCK = BLOCK_FRAMES * FRAME
"""Cycles that are clocked at a time."""

MOST_CHARGE = 0.999
"""Of the filter's range; whatever a charge is driven to beyond is cut, so that nothing runs away."""
EXACT_WORK = work_dtype(EXACT_STEPS, 1)
FAST_WORK = work_dtype(FAST_STEPS, 1)
LANES_WORK = work_dtype(EXACT_STEPS, LANES)
BATCH_WORK = work_dtype(FAST_STEPS, LANES)


SHORT_LEAP = 8
"""Fewer cycles than this are clocked one by one: the price of a leap."""
HARD_CYCLES = 32
"""Cycles clocked one by one before the next look whether the state allows a leap."""

FOREVER = 1 << 62
"""A cycle that never comes."""

LONGEST_STEP = 0x1000000 // 25
"""Fast mode draws no line shorter than 25 cycles: what it leaves out is above 20 kHz."""

OPEN_POT = 255
"""A paddle input with nothing on it never reaches its threshold. Source: MOS 6581 data sheet."""


# --- Registers ---------------------------------------------------------------------------------------------------


@part_kernel
def write_register(voices, chip, model, register, value):
    """Write one register 0 to 31; it acts on the next cycle that is clocked."""
    chip.bus_value = value
    chip.bus_cycle = chip.cycle + model.bus_decay
    if register < VOICES * VOICE_STRIDE:
        write_voice(voices[register // VOICE_STRIDE], chip, model, register % VOICE_STRIDE, value)
    elif register == FC_LO:
        chip.cutoff = (chip.cutoff & 0x7F8) | (value & 7)
    elif register == FC_HI:
        chip.cutoff = (value << 3) | (chip.cutoff & 7)
    elif register == RES_FILT:
        chip.resonance = value >> 4
        chip.routing = value & 0xF
    elif register == MODE_VOL:
        chip.mode = value >> 4
        chip.volume = value & 0xF


@part_kernel
def write_voice(voice, chip, model, offset, value):
    """Write one of the seven registers of a voice."""
    if offset == FREQ_LO:
        voice.frequency = (voice.frequency & 0xFF00) | value
    elif offset == FREQ_HI:
        voice.frequency = (value << 8) | (voice.frequency & 0xFF)
    elif offset == PW_LO:
        voice.pulse_width = (voice.pulse_width & 0xF00) | value
    elif offset == PW_HI:
        voice.pulse_width = ((value & 0xF) << 8) | (voice.pulse_width & 0xFF)
    elif offset == CONTROL:
        write_waveform_control(voice, chip, model, value)
        write_gate(voice, value & GATE)
    elif offset == ATTACK_DECAY:
        voice.attack = value >> 4
        voice.decay = value & 0xF
        if voice.envelope_state != RELEASE:
            select_rate(voice)
    elif offset == SUSTAIN_RELEASE:
        voice.sustain = (value >> 4) * 17  # the nibble repeated: what the counter is compared with
        voice.release = value & 0xF
        if voice.envelope_state == RELEASE:
            select_rate(voice)


@kernel
def read_register(voices, chip, model, register):
    """Read one register 0 to 31: what can only be written gives the value left on the data bus."""
    if register in (POTX, POTY):
        value = OPEN_POT
    elif register == OSC3:
        value = voices[LAST_VOICE].osc3 >> 4
    elif register == ENV3:
        value = voices[LAST_VOICE].env3
    else:
        return read_bus(chip, model)
    chip.bus_value = value
    chip.bus_cycle = chip.cycle + model.bus_decay
    return value


@part_kernel
def read_bus(chip, model):
    """The value left on the data bus, if it is still there."""
    if chip.cycle >= chip.bus_cycle:
        return 0
    if model.bus_halves:  # measured on pyresidfp 0.17.0: such a read halves the time left, and from 0 on nothing counts
        left = (chip.bus_cycle - chip.cycle) // 2
        chip.bus_cycle = chip.cycle + left if left else FOREVER
    return chip.bus_value


@part_kernel
def write_waveform_control(voice, chip, model, value):
    """The bits of CONTROL that steer oscillator and waveform generator."""
    waveform_before = voice.waveform
    waveform = value >> 4
    voice.sync = 1 if value & SYNC else 0
    voice.ring_mask = 0x800000 if value & RING and not value & SAWTOOTH else 0
    if waveform != waveform_before:
        select_waveform(voice, chip, model, waveform)
    if value & TEST and not voice.test:
        start_test(voice, chip, model)
    elif voice.test and not value & TEST:
        voice.test = 0
        voice.creep_cycle = NEVER
        shift_noise(voice, model, waveform_before)


@part_kernel
def select_waveform(voice, chip, model, waveform):
    """Switch waveforms to the output; with none, the DAC input floats and begins to fade."""
    voice.waveform = waveform
    voice.no_pulse = 0 if waveform & WAVE_PULSE else 0xFFF
    voice.no_noise = 0 if waveform & WAVE_NOISE else 0xFFF
    voice.combined = combined_row(waveform, model)
    voice.fade_cycle = NEVER if waveform else chip.cycle + model.fade_t0 - 1


@part_kernel
def combined_row(waveform, model):
    """Row of the model's combined waveforms, or -1. Noise beside others uses the table of their AND."""
    if model.by_phase and waveform == WAVE_SAWTOOTH | WAVE_TRIANGLE:
        return ST_BY_PHASE
    if model.by_phase and waveform == WAVE_PULSE | WAVE_SAWTOOTH | WAVE_TRIANGLE:
        return PST_BY_PHASE
    if waveform == WAVE_NOISE | WAVE_PULSE:
        return 4
    below = waveform & 7
    if below == 3:
        return 0
    if below == 5:
        return 1
    if below == 6:
        return 2
    if below == 7:
        return 3
    return -1


@part_kernel
def start_test(voice, chip, model):
    """TEST holds the oscillator at zero and the noise register in the first phase of a shift."""
    voice.test = 1
    voice.accumulator = 0
    if not model.residfp:
        voice.msb_rising = 0
    voice.noise_pipeline = 0
    voice.noise_latch = voice.noise_register
    voice.creep_cycle = chip.cycle + model.test_t0 - 1


# --- Oscillator --------------------------------------------------------------------------------------------------


@part_kernel
def clock_oscillator(voice, chip, model):
    """Add FREQ to the accumulator; bit 19 going up moves the noise register two cycles later."""
    if voice.test:
        hold_in_test(voice, chip, model)
        return
    before = voice.accumulator
    after = (before + voice.frequency) & 0xFFFFFF
    voice.accumulator = after
    rising = ~before & after
    voice.msb_rising = rising >> 23
    if rising & 0x080000:
        voice.noise_pipeline = 2
    elif voice.noise_pipeline:
        voice.noise_pipeline -= 1
        if voice.noise_pipeline:
            latch_noise(voice)
        else:
            shift_noise(voice, model, voice.waveform)


@part_kernel
def hold_in_test(voice, chip, model):
    """While TEST is held the noise register's cells creep to one."""
    voice.noise_test = 1
    voice.pulse = 0xFFF
    if chip.cycle == voice.creep_cycle:
        voice.noise_register |= (voice.noise_register << 1 | 1) & ALL_ONES
        voice.noise_latch = voice.noise_register
        voice.noise = noise_output(voice.noise_register)
        if voice.noise_register != ALL_ONES:
            voice.creep_cycle += model.test_t1


@part_kernel
def synchronise(voices, model):
    """Hard sync: a voice starts again when its neighbour's top bit rises, unless that one is just synced too.

    In residfp a voice that TEST has stopped just as its top bit rose stays so; it syncs whenever another voice does.
    """
    if model.residfp and not is_sync_due(voices):
        return
    for v in range(VOICES):
        source = (v + LAST_VOICE) % VOICES
        if voices[v].sync and voices[source].msb_rising:
            if not (voices[source].sync and voices[(source + LAST_VOICE) % VOICES].msb_rising):
                voices[v].accumulator = 0


@part_kernel
def is_sync_due(voices):
    """Whether the top bit of a voice that is not stopped has risen which the next one is to follow."""
    due = 0
    for v in range(VOICES):
        due |= voices[v].msb_rising & (1 - voices[v].test) & voices[(v + 1) % VOICES].sync
    return due


# --- Noise -------------------------------------------------------------------------------------------------------


@part_kernel
def noise_output(register):
    """The taps of the noise register as waveform bits 11 to 4."""
    return (
        (register & 1 << 20) >> 9
        | (register & 1 << 18) >> 8
        | (register & 1 << 14) >> 5
        | (register & 1 << 11) >> 3
        | (register & 1 << 9) >> 2
        | (register & 1 << 5) << 1
        | (register & 1 << 2) << 3
        | (register & 1) << 4
    )


@part_kernel
def noise_taps(output):
    """Waveform bits 11 to 4 as the taps of the noise register: the reverse of `noise_output`."""
    return (
        (output & 1 << 11) << 9
        | (output & 1 << 10) << 8
        | (output & 1 << 9) << 5
        | (output & 1 << 8) << 3
        | (output & 1 << 7) << 2
        | (output & 1 << 6) >> 1
        | (output & 1 << 5) >> 3
        | (output & 1 << 4) >> 4
    )


@part_kernel
def latch_noise(voice):
    """First phase of a shift: the cells are latched, and so is the end of TEST."""
    voice.noise_test = 0
    voice.noise_latch = voice.noise_register


@part_kernel
def shift_noise(voice, model, waveform_before):
    """Second phase of a shift: the cells take over their neighbours' latched values."""
    latch = voice.noise_latch & (~TAPS | noise_taps(written_back(voice, waveform_before, model)))
    if model.residfp and is_replaced(waveform_before, voice.waveform, model):
        latch |= noise_taps(voice.output)  # of the cycle before, which may still be that of a waveform without noise
    feedback = ((latch >> 22 | voice.noise_test) ^ latch >> 17) & 1
    voice.noise_register = (latch << 1 & ALL_ONES) | feedback
    voice.noise = noise_output(voice.noise_register)


@part_kernel
def is_replaced(before, after, model):
    """Whether in residfp the output takes the place of the noise register's taps during a shift."""
    return before > WAVE_NOISE and after >= WAVE_NOISE and model.noise_holds[before & 7, after & 7] == 0


@part_kernel
def written_back(voice, before, model):
    """What the output of a combined waveform leaves of the noise register's taps during a shift, as output bits."""
    after = voice.waveform
    if before <= WAVE_NOISE or after < WAVE_NOISE:
        return 0xFFF
    if before == ALL_WAVES and after == WAVE_NOISE and voice.noise_latch & TAPS != TAPS:
        return voice.output  # one zero is enough, see `sidlearn.chip.waveforms.noise_holds`
    pulled = model.pulse_pulls and before == WAVE_NOISE | WAVE_PULSE and after & (WAVE_TRIANGLE | WAVE_SAWTOOTH)
    return int(model.noise_holds[before & 7, after & 7]) | (0 if pulled else voice.output)


@part_kernel
def write_back_noise(voice, model):
    """Noise beside other waveforms: their zeros pull the noise down, and its register's taps outside of a shift."""
    line = cells = 0
    if voice.waveform == WAVE_NOISE | WAVE_PULSE:
        line, cells = model.noise_pulse_line, model.noise_pulse_cells
    voice.noise &= voice.output | line
    if not voice.test and voice.noise_pipeline != 1:
        voice.noise_register &= ~TAPS | noise_taps(voice.output | cells)


# --- Waveform ----------------------------------------------------------------------------------------------------


@part_kernel
def clock_waveform(voice, source, chip, model):
    """Make the 12-bit output of one voice; `source` is the voice that rings and syncs it."""
    if voice.waveform == 0:
        fade_output(voice, chip, model)
    else:
        gates = (voice.no_noise | voice.noise) & (voice.no_pulse | pulse_output(voice, model))
        triangle_saw = triangle_sawtooth(voice, source)
        voice.output = pull_down(voice, model, triangle_saw & gates)
        if model.is_8580:
            voice.osc3 = osc3_8580(voice, model, triangle_saw, gates)
        else:
            voice.osc3 = voice.output
            pull_top_bit(voice)
        if voice.waveform > 8:
            write_back_noise(voice, model)
    compare_pulse_width(voice)
    if model.latch_always:
        latch_triangle_sawtooth(voice, source)


@part_kernel
def triangle_sawtooth(voice, source):
    """Triangle and sawtooth, wire-ANDed or as the phase that both come from; all ones if neither is selected."""
    folded = (voice.accumulator ^ (~source.accumulator & voice.ring_mask)) >> 12
    if voice.waveform & WAVE_SAWTOOTH:
        return folded & folded << 1 if is_wired(voice) else folded
    if voice.waveform & WAVE_TRIANGLE:
        return ((folded ^ 0xFFF if folded & 0x800 else folded) << 1) & 0xFFF
    return 0xFFF


@part_kernel
def is_wired(voice):
    """Whether sawtooth and triangle are selected, and go by their AND."""
    both = WAVE_SAWTOOTH | WAVE_TRIANGLE
    return voice.waveform & both == both and voice.combined < ST_BY_PHASE


@part_kernel
def pull_down(voice, model, value):
    """Zeros of combined waveforms pull the neighbouring ones down."""
    return int(model.combined[voice.combined, value]) if voice.combined >= 0 else value


@part_kernel
def pulse_output(voice, model):
    """All bits of the pulse: high while last cycle's accumulator is PW or more, or TEST is held.

    Real chips use the PW of this cycle (VICE test program oscsample1), residfp that of the cycle before.
    """
    if model.pw_delay:
        return voice.pulse
    return 0xFFF if voice.test or voice.compared >= voice.pulse_width else 0


@part_kernel
def compare_pulse_width(voice):
    """What the pulse comparator gives and sees in the next cycle."""
    voice.compared = voice.accumulator >> 12
    voice.pulse = 0xFFF if voice.compared >= voice.pulse_width else 0


@part_kernel
def pull_top_bit(voice):
    """6581: sawtooth's bit 11 is the accumulator's own top bit. Source: VICE test program osc_topbit."""
    if voice.waveform & WAVE_SAWTOOTH and not voice.output & 0x800:
        voice.msb_rising = 0
        voice.accumulator &= 0x7FFFFF


@part_kernel
def osc3_8580(voice, model, triangle_saw, gates):
    """OSC3 of the 8580: triangle and sawtooth come one cycle late."""
    value = latched_triangle_sawtooth(voice, model)
    if not model.latch_always and voice.waveform & (WAVE_TRIANGLE | WAVE_SAWTOOTH):
        voice.latch = triangle_saw  # residfp: the latch is loaded only while one of the two is selected
    return pull_down(voice, model, value & gates)


@part_kernel
def latched_triangle_sawtooth(voice, model):
    """Triangle and sawtooth of the cycle before, for OSC3 of the 8580; all ones if neither is selected."""
    if not voice.waveform & (WAVE_TRIANGLE | WAVE_SAWTOOTH):
        return 0xFFF
    if not model.latch_always:
        return voice.latch
    if voice.waveform & WAVE_SAWTOOTH:
        return voice.latch & (voice.latch << 1 if is_wired(voice) else 0xFFF)
    return voice.latch << 1 & 0xFFF


@part_kernel
def latch_triangle_sawtooth(voice, source):
    """8580: the accumulator's upper 12 bits, folded unless sawtooth is selected, are latched in every cycle.

    Source: SID netlist (0 wrong cycles of 500,452), but with the top bit latched too, as real 8580s read (ref8580).
    """
    upper = voice.accumulator >> 12
    fold = (voice.accumulator ^ (~source.accumulator & voice.ring_mask)) & 0x800000
    if fold and not voice.waveform & WAVE_SAWTOOTH:
        upper ^= 0x7FF
    voice.latch = upper


@part_kernel
def fade_output(voice, chip, model):
    """No waveform: the DAC input floats, and loses its bits after a time."""
    if chip.cycle == voice.fade_cycle:
        voice.output &= voice.output >> 1
        voice.osc3 = voice.output
        voice.fade_cycle = chip.cycle + model.fade_t1 if voice.output else NEVER


# --- Envelope ----------------------------------------------------------------------------------------------------


@part_kernel
def rate_period(rate):
    """Cycles of one rate event for a nibble of ATTACK_DECAY or SUSTAIN_RELEASE. Source: SID netlist."""
    if rate < 8:
        if rate < 4:
            return (9 if rate == 0 else 32) if rate < 2 else (63 if rate == 2 else 95)
        return (149 if rate == 4 else 220) if rate < 6 else (267 if rate == 6 else 313)
    if rate < 12:
        return (392 if rate == 8 else 977) if rate < 10 else (1954 if rate == 10 else 3126)
    return (3907 if rate == 12 else 11720) if rate < 14 else (19532 if rate == 14 else 31251)


@part_kernel
def select_rate(voice):
    """Compare the rate counter with the period of the state that runs."""
    if voice.envelope_state == ATTACK:
        voice.rate_last = rate_period(voice.attack) - 1
    elif voice.envelope_state == DECAY:
        voice.rate_last = rate_period(voice.decay) - 1
    else:
        voice.rate_last = rate_period(voice.release) - 1


@part_kernel
def write_gate(voice, gate):
    """Gate on leads to attack, gate off to release, each some cycles later."""
    if gate == voice.gate:
        return
    voice.gate = gate
    if gate:
        voice.envelope_target = ATTACK
        voice.state_pipeline = 2
        if voice.rate_match or voice.exponential_pipeline == 2:
            soon = voice.exponential_period == 1 or voice.exponential_pipeline == 2
            voice.step_pipeline = 2 if soon else 4
        elif voice.exponential_pipeline == 1:
            voice.state_pipeline = 3
    else:
        voice.envelope_target = RELEASE
        voice.state_pipeline = 3 if voice.step_pipeline else 2


@part_kernel
def clock_envelope(voice):
    """Clock one envelope generator. Source: SID netlist (0 wrong readings of ENV3 in 402,038 cycles)."""
    voice.env3 = voice.envelope_counter
    if voice.exponential_next:
        voice.exponential_period = voice.exponential_next
        voice.exponential_next = 0
    if voice.state_pipeline:
        change_state(voice)
    advance_envelope(voice)
    if voice.rate_counter == voice.rate_last:
        voice.rate_match = 1
    else:  # compared for equality: a shorter period chosen too late waits for a full turn, the ADSR delay bug
        voice.rate_counter += 1
        if voice.rate_counter == RATE_STATES:
            voice.rate_counter = 0


@part_kernel
def change_state(voice):
    """One step of the pipeline that leads to the target state."""
    voice.state_pipeline -= 1
    if voice.envelope_target == ATTACK:
        if voice.state_pipeline == 1:
            voice.rate_last = rate_period(voice.decay) - 1
        elif voice.state_pipeline == 0:
            voice.envelope_enabled = 1
            enter_state(voice, ATTACK)
    elif voice.envelope_target == DECAY:
        if voice.state_pipeline == 0:
            enter_state(voice, DECAY)
    elif voice.state_pipeline == (1 if voice.envelope_state == DECAY else 0):
        if voice.envelope_state != RELEASE:
            enter_state(voice, RELEASE)


@part_kernel
def enter_state(voice, state):
    """Run with the rate of `state`."""
    voice.envelope_state = state
    select_rate(voice)


@part_kernel
def advance_envelope(voice):
    """Move what is due: a step of the counter, a turn of the exponential counter, or a rate event."""
    if voice.step_pipeline:
        voice.step_pipeline -= 1
        if voice.step_pipeline == 0:
            step_envelope(voice)
            return
    if voice.exponential_pipeline:
        voice.exponential_pipeline -= 1
        if voice.exponential_pipeline == 0:
            voice.exponential_counter = 0
            if voice.envelope_state == RELEASE or (
                voice.envelope_state == DECAY and voice.envelope_counter != voice.sustain
            ):
                voice.step_pipeline = 1
            return
    if voice.rate_match:
        voice.rate_match = 0
        voice.rate_counter = 0
        if voice.envelope_state == ATTACK:
            voice.exponential_counter = 0
            voice.step_pipeline = 2
        elif voice.envelope_enabled:
            voice.exponential_counter += 1
            if voice.exponential_counter == voice.exponential_period:
                voice.exponential_pipeline = 1 if voice.exponential_period == 1 else 2


@part_kernel
def step_envelope(voice):
    """Count the level up or down by one; it wraps."""
    if not voice.envelope_enabled:
        return
    if voice.envelope_state == ATTACK:
        voice.envelope_counter = (voice.envelope_counter + 1) & 0xFF
        if voice.envelope_counter == 0xFF:
            voice.envelope_target = DECAY
            voice.state_pipeline = 3
    else:
        voice.envelope_counter = (voice.envelope_counter - 1) & 0xFF
        if voice.envelope_counter == 0:
            voice.envelope_enabled = 0
    select_exponential_period(voice)


@part_kernel
def select_exponential_period(voice):
    """Levels at which decay and release slow down. Source: Bob Yannes' interview; SID netlist."""
    level = voice.envelope_counter
    if level in (0xFF, 0):
        voice.exponential_next = 1
    elif level == 0x5D:
        voice.exponential_next = 2
    elif level == 0x36:
        voice.exponential_next = 4
    elif level == 0x1A:
        voice.exponential_next = 8
    elif level == 0x0E:
        voice.exponential_next = 16
    elif level == 0x06:
        voice.exponential_next = 30


# --- Digital half ------------------------------------------------------------------------------------------------


@part_kernel
def clock_digital(voices, chip, model):
    """Clock the digital half by one cycle: it leaves `output` and `envelope_counter` in each of the voices."""
    begin_cycle(voices, chip, model)
    end_cycle(voices, chip, model)


@part_kernel
def begin_cycle(voices, chip, model):
    """Clock all there is in the voices."""
    for v in range(VOICES):
        clock_oscillator(voices[v], chip, model)
    clock_envelopes(voices)
    for v in range(VOICES):
        clock_waveform(voices[v], voices[(v + LAST_VOICE) % VOICES], chip, model)


@part_kernel
def end_cycle(voices, chip, model):
    """Voices that are synced begin again, behind their outputs."""
    synchronise(voices, model)
    chip.cycle += 1


# --- Analogue half -----------------------------------------------------------------------------------------------
# Voltages stand in the units of the model's record; every stage inverts.


@kernel
def between(table, position):
    """Value of a table at a position that lies between its entries, on a straight line; level beyond its ends."""
    if position < 0.0:
        return float(table[0])
    index = int(position)
    if index >= table.size - 1:
        return float(table[table.size - 1])
    here = float(table[index])
    return here + (position - index) * (float(table[index + 1]) - here)


@part_kernel
def voice_range(envelope, model):
    """Voltage of one voice over its silent level at wave level 0, and per unit of wave level; float32."""
    level = float(model.dac_env[envelope])
    return np.float32(model.voice_drift * level), np.float32(model.voice_range * level)


@part_kernel
def external_levels(chip, model):
    """Voltage of EXT IN over its silent level into the filter, and past it; float32."""
    level, nothing = np.float32(model.voice_range * model.ext_in), np.float32(0)
    return (level, nothing) if chip.routing & FILTEX else (nothing, level)


@part_kernel
def is_mixed(n, chip):
    """Whether voice `n` goes past the filter into the mixer."""
    return not chip.routing >> n & 1 and (n != LAST_VOICE or not chip.mode & VOICE_3_OFF)


@part_kernel
def add_voices(voices, chip, model, room, i):
    """Add EXT IN and the outputs of the voices up, those through the filter and those past it."""
    routed, mixed = external_levels(chip, model)
    for n in range(VOICES):
        zero, per_wave = voice_range(voices[n].envelope_counter, model)
        level = zero + per_wave * model.dac_wave[voices[n].output]
        if chip.routing >> n & 1:
            routed += level
        elif is_mixed(n, chip):
            mixed += level
    room.routed[i] = routed
    room.mixed[i] = mixed


# --- Many cycles at a time ---------------------------------------------------------------------------------------
# What comes is known ahead but for rare events: a sync, cells that fade, the 6581's top bit pulled down. A leap goes up
# to the next one, whose cycle is then clocked by `clock_digital`, as is every cycle of a hard state.


@part_kernel
def clock_voices(voices, chip, model, room, first, size):
    """Clock the digital half for `size` cycles without writes; sums of voices and EXT IN go to `room` from `first`."""
    done = 0
    while done < size:
        leap, single = plan_leap(voices, chip, model, size - done)
        if leap:
            leap_voices(voices, chip, model, room, first + done, leap)
            done += leap
        for i in range(done, done + single):
            clock_digital(voices, chip, model)
            add_voices(voices, chip, model, room, first + i)
        done += single
    add_ext_in(chip, model, room, first, size)


@part_kernel
def add_ext_in(chip, model, room, first, size):
    """Add the signal at EXT IN, if there is any, to the constant level that stands there."""
    cycles = min(size, chip.ext_in_end - chip.ext_in_at)
    sums = room.routed if chip.routing & FILTEX else room.mixed
    scale = np.float32(model.voice_range)
    for i in range(cycles):
        sums[first + i] += scale * chip.ext_in[chip.ext_in_at + i]
    chip.ext_in_at += cycles


@part_kernel
def plan_leap(voices, chip, model, limit):
    """How many cycles to leap, and how many to clock one by one then, no more than `limit` in all."""
    for v in range(VOICES):
        if is_hard(voices[v], model):
            return 0, min(limit, HARD_CYCLES)
        limit = min(limit, cycles_to_event(voices[v], voices[(v + 1) % VOICES], chip, model))
    return (limit - 1, 1) if limit > SHORT_LEAP else (0, limit)


@part_kernel
def is_hard(voice, model):
    """Whether each output may change what comes: noise writes back, or the top bit is high and may be pulled down."""
    if voice.waveform > WAVE_NOISE and not is_noise_dead(voice, model):
        return True
    return pulls_top_bit(voice, model) and voice.accumulator >= 0x800000


@part_kernel
def is_noise_dead(voice, model):
    """Whether noise beside other waveforms has emptied its register: outside TEST it stays so, and the output at 0."""
    output = voice.output | voice.osc3 | pull_down(voice, model, 0)
    return output | voice.noise | voice.noise_register | voice.test == 0


@part_kernel
def pulls_top_bit(voice, model):
    """Whether bit 11 of the output can be low while the accumulator's top bit is high, see `pull_top_bit`."""
    return not model.is_8580 and voice.waveform & WAVE_SAWTOOTH and voice.waveform != WAVE_SAWTOOTH


@part_kernel
def cycles_to_event(voice, destination, chip, model):
    """Cycles up to and with the next one in which an event of this voice may come; it syncs `destination`."""
    cycles = FOREVER
    if voice.test:
        cycles = cycles_to(voice.creep_cycle, chip)
    elif destination.sync or pulls_top_bit(voice, model):
        cycles = cycles_for(way_to_rise(voice, 0x800000), voice.frequency)
    if voice.waveform == 0:
        cycles = min(cycles, cycles_to(voice.fade_cycle, chip))
    return cycles


@part_kernel
def cycles_to(deadline, chip):
    """Cycles up to and with the one of a deadline."""
    return deadline - chip.cycle + 1 if deadline >= chip.cycle else FOREVER


@part_kernel
def cycles_for(way, frequency):
    """Cycles in which an accumulator goes that way or more."""
    return (way + frequency - 1) // frequency if frequency else FOREVER


@part_kernel
def way_to_rise(voice, bit):
    """What has to be added to the accumulator until a bit of it goes up: 1 to twice the bit."""
    return ((bit - 1 - voice.accumulator) & (2 * bit - 1)) + 1


@part_kernel
def leap_voices(voices, chip, model, room, first, size):
    """Clock the digital half for `size` cycles that are known ahead, into `room` from `first` on.

    What the cycle clocked after these sets anew (`output`, `osc3`, `env3`, `msb_rising`, `noise_test`) is left to it.
    """
    routed, mixed = external_levels(chip, model)
    fill(room.routed[first : first + size], routed)
    fill(room.mixed[first : first + size], mixed)
    for v in range(VOICES):
        leap_noise(voices[v], model, room.wave, size)
        if chip.routing >> v & 1 or is_mixed(v, chip):
            sums = room.routed if chip.routing >> v & 1 else room.mixed
            source = voices[(v + LAST_VOICE) % VOICES]
            add_voice(voices[v], source, model, room, size, sums[first : first + size])
        else:
            leap_envelope(voices[v], size)
    leap_oscillators(voices, model, size)
    chip.cycle += size


@part_kernel
def fill(array, value):
    """Set all cycles to one value."""
    for i in range(array.size):
        array[i] = value


@part_kernel
def leap_oscillators(voices, model, size):
    """Clock the accumulators for `size` cycles, and what follows them a cycle later."""
    for v in range(VOICES):
        voices[v].accumulator = (voices[v].accumulator + size * phase_step(voices[v])) & 0xFFFFFF
    for v in range(VOICES):
        source = voices[(v + LAST_VOICE) % VOICES]
        compare_pulse_width(voices[v])
        if model.latch_always:
            latch_triangle_sawtooth(voices[v], source)
        elif model.is_8580 and voices[v].waveform & (WAVE_TRIANGLE | WAVE_SAWTOOTH):
            voices[v].latch = triangle_sawtooth(voices[v], source)


@part_kernel
def phase_step(voice):
    """What is added to the accumulator in each cycle."""
    return 0 if voice.test else voice.frequency


@part_kernel
def leap_noise(voice, model, wave, size):
    """Clock the noise register for `size` cycles, ahead of the accumulator; noise, if selected, goes to `wave`."""
    done = 0
    if not voice.test:
        way = way_to_rise(voice, 0x080000)
        rise = voice.noise_pipeline - 3  # the cycle in which bit 19 rose; the register moves two cycles later
        if voice.noise_pipeline == 0:
            rise = cycles_for(way, voice.frequency) - 1
            way += 0x100000
        if voice.waveform < WAVE_NOISE:  # nobody looks at it meanwhile
            shifts = 0
            if rise + 2 < size:
                shifts = 1 + max(((size - 2) * voice.frequency - way >> 20) + 1, 0)
                way += (shifts - 1) << 20
                rise = cycles_for(way, voice.frequency) - 1
            shift_noise_often(voice, model, shifts)
        while rise + 2 < size:
            hold_noise(voice, wave, done, rise + 2)
            done = rise + 2
            latch_noise(voice)
            shift_noise(voice, model, voice.waveform)
            rise = cycles_for(way, voice.frequency) - 1
            way += 0x100000
        if rise + 2 == size:
            latch_noise(voice)
        voice.noise_pipeline = max(rise + 3 - size, 0) if rise < size else 0
    hold_noise(voice, wave, done, size)


@part_kernel
def shift_noise_often(voice, model, shifts):
    """Shift the noise register so many times while no waveform beside noise holds any of it back."""
    if shifts == 0:
        return
    register, left = voice.noise_register, shifts - 1
    while left > 0:
        bits = min(left, 18)  # these many come from the register as it is: from bits 22 and 17 downwards
        fresh = (register >> (23 - bits) ^ register >> (18 - bits)) & ((1 << bits) - 1)
        register = (register << bits & ALL_ONES) | fresh
        left -= bits
    voice.noise_register = register
    latch_noise(voice)
    shift_noise(voice, model, voice.waveform)


@part_kernel
def hold_noise(voice, wave, first, end):
    """The noise register keeps still in these cycles."""
    if voice.waveform == WAVE_NOISE:
        fill(wave[first:end], voice.noise)


@part_kernel
def leap_envelope(voice, size):
    """Clock an envelope generator for `size` cycles."""
    while size:
        size -= hold_envelope(voice, size)


@part_kernel
def hold_envelope(voice, limit):
    """Clock an envelope generator for 1 to `limit` cycles that all have the level of the first; return how many."""
    clock_envelope(voice)
    held = 1
    while held < limit and voice.step_pipeline != 1:
        cycles = skip_envelope(voice, limit - held)
        if cycles == 0:
            clock_envelope(voice)
            cycles = 1
        held += cycles
    return held


@part_kernel
def skip_envelope(voice, limit):
    """Clock an envelope generator for up to `limit` cycles, up to the next step; return how many.

    None if anything is under way in it; it stops short of what `limit` does not reach the end of.
    """
    if voice.state_pipeline or voice.step_pipeline or voice.exponential_pipeline or voice.rate_match:
        return 0
    if voice.exponential_next:
        voice.exponential_period = voice.exponential_next
        voice.exponential_next = 0
    to_match = voice.rate_last - voice.rate_counter
    if to_match < 0:
        to_match += RATE_STATES
    to_action = cycles_to_action(voice, to_match)
    tail = 2 if voice.envelope_state == ATTACK or voice.exponential_period == 1 else 3  # from there up to the step
    sustained = voice.envelope_state == DECAY and voice.envelope_counter == voice.sustain
    turn = (voice.rate_last + 1) * voice.exponential_period
    if sustained and tail <= voice.rate_counter <= voice.rate_last and to_action <= turn <= limit:
        return limit - limit % turn  # all is as it was after every turn of the exponential counter
    if to_action + tail <= limit:
        voice.rate_counter = tail
        voice.exponential_counter = 0
        voice.step_pipeline = 0 if sustained else 1
        return to_action + tail
    limit = min(limit, to_action)
    count_rate(voice, to_match, limit)
    return limit


@part_kernel
def cycles_to_action(voice, to_match):
    """Cycles up to a rate event that is not but counted, if the rate counter meets its period after `to_match`."""
    if voice.envelope_state == ATTACK:
        return to_match + 1
    counted = voice.exponential_period - 1 - voice.exponential_counter
    if counted < 0 or not voice.envelope_enabled:
        return FOREVER
    return to_match + 1 + counted * (voice.rate_last + 1)


@part_kernel
def count_rate(voice, to_match, cycles):
    """Clock the rate counter for `cycles`; rate events among them are but counted."""
    beyond = cycles - to_match - 1
    if beyond < 0:
        voice.rate_counter = (voice.rate_counter + cycles) % RATE_STATES
        return
    period = voice.rate_last + 1
    if voice.envelope_enabled:
        voice.exponential_counter += (beyond + voice.rate_last) // period
    voice.rate_counter = beyond % period
    if voice.rate_counter == 0:  # this cycle meets the period, the next one is the event
        voice.rate_counter = voice.rate_last
        voice.rate_match = 1


@part_kernel
def is_flat(voice):
    """Whether the output holds its value through a leap: it floats, or its noise is dead."""
    return voice.waveform == 0 or voice.waveform > WAVE_NOISE


@part_kernel
def make_wave(voice, source, model, wave):
    """Fill `wave` with a voice's outputs to come, ahead of the accumulators; noise alone stands there already."""
    if is_flat(voice):
        fill(wave, voice.output)
    elif voice.waveform != WAVE_NOISE:
        fill_triangle_sawtooth(
            voice, wave, voice.accumulator + phase_step(voice), source.accumulator + phase_step(source), source
        )
        combine_wave(voice, model, wave)


@part_kernel
def make_osc3(voice, source, model, wave):
    """The same for OSC3, where the 8580's triangle and sawtooth come one cycle late."""
    if is_flat(voice):
        fill(wave, voice.osc3)
    elif not model.is_8580:
        make_wave(voice, source, model, wave)
    elif voice.waveform != WAVE_NOISE:
        fill_triangle_sawtooth(voice, wave, voice.accumulator, source.accumulator, source)
        wave[0] = latched_triangle_sawtooth(voice, model)
        combine_wave(voice, model, wave)


@part_kernel
def fill_triangle_sawtooth(voice, wave, phase, source_phase, source):
    """Fill `wave` as `triangle_sawtooth` does, from phases on that it begins with."""
    step, source_step = phase_step(voice), phase_step(source)
    if voice.waveform & WAVE_SAWTOOTH:
        for i in range(wave.size):
            wave[i] = (phase + step * i) >> 12 & 0xFFF
        if is_wired(voice):
            for i in range(wave.size):
                wave[i] &= wave[i] << 1
    elif voice.waveform & WAVE_TRIANGLE and not voice.ring_mask:
        for i in range(wave.size):
            here = phase + step * i
            wave[i] = (here >> 11 ^ -(here >> 23 & 1)) & 0xFFE
    elif voice.waveform & WAVE_TRIANGLE:
        for i in range(wave.size):
            here = phase + step * i
            fold = (here ^ (~(source_phase + source_step * i) & voice.ring_mask)) >> 23 & 1
            wave[i] = (here >> 11 ^ -fold) & 0xFFE
    else:
        fill(wave, 0xFFF)


@part_kernel
def combine_wave(voice, model, wave):
    """Pull triangle and sawtooth in `wave` down by the pulse, and neighbours by each other, as far as selected."""
    if voice.waveform & WAVE_PULSE and not voice.test:
        first = wave[0] & pulse_output(voice, model)
        phase, step, width = voice.accumulator, voice.frequency, voice.pulse_width << 12
        for i in range(wave.size):  # what is compared is the phase of the cycle before
            wave[i] = wave[i] if (phase + step * i & 0xFFFFFF) >= width else 0
        wave[0] = first
    if voice.combined >= 0:
        table = model.combined[voice.combined]
        for i in range(wave.size):
            wave[i] = table[wave[i]]


@part_kernel
def add_voice(voice, source, model, room, size, sums):
    """Add a voice to `sums`, its envelope clocked on the way; noise alone stands in `room.wave` already."""
    wave, value = room.wave[:size], room.value[:size]
    if voice.waveform == WAVE_PULSE:
        add_pulse(voice, model, sums)
        return
    if is_flat(voice):
        fill(value, model.dac_wave[voice.output])
    elif voice.waveform == WAVE_SAWTOOTH:
        convert_sawtooth(voice, model, value)
    else:
        make_wave(voice, source, model, wave)
        convert(model, wave, value)
    done = 0
    while done < size:
        end = done + hold_envelope(voice, size - done)
        zero, per_wave = voice_range(voice.envelope_counter, model)
        add_wave(value[done:end], sums[done:end], zero, per_wave)
        done = end


@part_kernel
def convert(model, wave, value):
    """The waveform DAC."""
    if model.dac_linear:
        zero, step = model.dac_zero, model.dac_step
        for i in range(wave.size):
            value[i] = zero + step * np.float32(wave[i])
    else:
        dac_wave = model.dac_wave
        for i in range(wave.size):
            value[i] = dac_wave[wave[i]]


@part_kernel
def convert_sawtooth(voice, model, value):
    """Levels of sawtooth alone behind the waveform DAC, ahead of the accumulator."""
    phase, step = voice.accumulator + phase_step(voice), phase_step(voice)
    if model.dac_linear:
        zero, per_code = model.dac_zero, model.dac_step
        for i in range(value.size):
            value[i] = zero + per_code * np.float32((phase + step * i) >> 12 & 0xFFF)
    else:
        dac_wave = model.dac_wave
        for i in range(value.size):
            value[i] = dac_wave[(phase + step * i) >> 12 & 0xFFF]


@part_kernel
def add_pulse(voice, model, sums):
    """Add a voice of pulse alone."""
    low_wave, high_wave = model.dac_wave[0], model.dac_wave[0xFFF]
    phase, step, width = voice.accumulator, phase_step(voice), voice.pulse_width << 12
    if voice.test:
        width = 0
    first_high = voice.test or pulse_output(voice, model)
    done = 0
    while done < sums.size:
        end = done + hold_envelope(voice, sums.size - done)
        zero, per_wave = voice_range(voice.envelope_counter, model)
        low, high = zero + per_wave * low_wave, zero + per_wave * high_wave
        if done == 0:
            sums[0] += high if first_high else low
            done = 1
        add_two_levels(sums[done:end], phase + step * done, step, width, low, high)
        done = end


@part_kernel
def add_wave(value, sums, zero, per_wave):
    """Add a voice while its envelope holds."""
    for i in range(value.size):
        sums[i] += zero + per_wave * value[i]


@part_kernel
def add_two_levels(sums, phase, step, width, low, high):
    """The same for pulse: what is compared with the width is the phase of the cycle before."""
    for i in range(sums.size):
        sums[i] += high if (phase + step * i & 0xFFFFFF) >= width else low


@part_kernel
def count_bits(nibble):
    """Number of ones in four bits."""
    return (nibble & 1) + (nibble >> 1 & 1) + (nibble >> 2 & 1) + (nibble >> 3 & 1)


@part_kernel
def board_filter(chip, model, sound):
    """Low-pass and DC block of the C64's board over `sound`, in place."""
    low, high = chip.ext_vlp, chip.ext_vhp
    low_pass, high_pass = model.low_pass, model.high_pass
    low_keep, high_keep = 1 - low_pass, 1 - high_pass
    for i in range(sound.size):
        level = low - high
        high = high_keep * high + high_pass * low
        low = low_keep * low + low_pass * sound[i]
        sound[i] = level
    chip.ext_vlp, chip.ext_vhp = low, high


@part_kernel
def clip(level, knee):
    """Soft clip of the sound to -1..1: straight up to the knee, hyperbolic tangent above."""
    if abs(level) <= knee:
        return level
    room = 1 - knee
    return math.copysign(knee + room * math.tanh((abs(level) - knee) / room), level)


# --- The filter's solver -----------------------------------------------------------------------------------------
# The filter is two charges on capacitors, moved once a cycle by everything that bends between them. For a block of
# steps: a forecast of both charges by the last step's linear map; then value and slopes of every part at the forecast,
# all steps side by side so that loops become vectors, with the look-ups in loops of their own; then, in turn, the
# linear map of each step. It is Newton's method with one iteration, and the forecast is good enough for 56 dB.


@part_kernel
def set_step(work, model, t, cutoff, resonance, routing, mode):
    """What registers set for one step of one chip."""
    inputs = count_bits(routing) + 2
    one = work["per_sum"].size
    gate = model.cutoff[cutoff] if model.is_8580 else model.vcr_gate[cutoff]
    work["gate"][t] = gate
    work["silent"][t] = model.voice_dc * count_bits(routing)
    work["gate"][one + t] = gate
    work["per_sum"][t] = LINES / inputs
    work["summer_row"][t] = inputs * (LINES + 1)
    work["damping_row"][t] = resonance * (LINES + 1)
    work["low"][t] = 1.0 if mode & LOW_PASS else 0.0
    work["band"][t] = 1.0 if mode & BAND_PASS else 0.0
    work["high"][t] = 1.0 if mode & HIGH_PASS else 0.0


@inline_part_kernel
def solve(work, model):
    """Solve one block of steps of one cycle."""
    forecast(work)
    expand(work, model)
    follow_maps(work)
    add_outputs(work)


@inline_part_kernel
def forecast(work):
    """Both charges before each step, by the last step's linear map on the inputs, which are known."""
    state, charge, inputs = work["state"], work["charge"], work["input"]
    one, lanes = inputs.size, state.shape[1]
    steps = one // lanes
    for lane in range(lanes):
        band, low = state[0, lane], state[1, lane]
        band_step, low_step, last = state[2, lane], state[3, lane], state[4, lane]
        a, b, c, d = state[5, lane], state[6, lane], state[7, lane], state[8, lane]
        u, v = state[9, lane], state[10, lane]
        for j in range(steps):
            t = j * lanes + lane
            charge[t] = band
            charge[one + t] = low
            rise = inputs[t] - last
            last = inputs[t]
            next_band = (a * band_step + u * rise) + b * low_step
            low_step = (d * low_step + v * rise) + c * band_step
            band_step = next_band
            band += band_step
            low += low_step
        state[4, lane] = last
    most = np.float32(MOST_CHARGE)
    for t in range(charge.size):
        charge[t] = min(max(-most, charge[t]), most)


@inline_part_kernel
def expand(work, model):
    """Maps of all steps, from where they are forecast."""
    expand_stages(work, model)
    if model.is_8580:
        expand_integrators_8580(work, model)
    else:
        expand_integrators_6581(work, model)
    make_maps(work)


@inline_part_kernel
def expand_stages(work, model):
    """Op-amp inputs, integrator outputs and high-pass at the forecast."""
    charge, index, damping_index = work["charge"], work["index"], work["other_index"]
    x, x_slope, out = work["x"], work["x_slope"], work["out"]
    value, damping, damping_slope, row = work["value"], work["other_value"], work["damping_slope"], work["damping_row"]
    one = work["per_sum"].size
    zero, half, top = np.float32(0), np.float32(LINES / 2), np.float32(LINES - 0.01)
    for t in range(2 * one):
        index[t] = np.int32(min(max(zero, charge[t] * half + half), top))
    for t in range(one):
        damping_index[t] = index[t] + row[t]
    look_up(model.reverse_lines, index, 2 * one, value, x_slope)
    look_up(model.damping_lines, damping_index, one, damping, damping_slope)
    for t in range(2 * one):
        x[t] = value[t] + x_slope[t] * charge[t]
        out[t] = x[t] - charge[t]
    silent, summer_row = work["silent"], work["summer_row"]
    total, inputs, per_sum, summer_slope = work["sum"], work["input"], work["per_sum"], work["summer_slope"]
    for t in range(one):
        total[t] = (inputs[t] + silent[t]) + (damping[t] + damping_slope[t] * charge[t]) + out[one + t]
        index[t] = np.int32(min(max(zero, total[t] * per_sum[t]), top)) + summer_row[t]
    look_up(model.summer_lines, index, one, value, summer_slope)
    voltage = work["in"]
    for t in range(one):
        voltage[t] = value[t] + summer_slope[t] * total[t]
        voltage[one + t] = out[t]


@inline_part_kernel
def expand_integrators_8580(work, model):
    """Charge per cycle of both integrators, fed by as many transistors in triode as FC has set; and its slopes."""
    voltage, x, gate = work["in"], work["x"], work["gate"]
    flow, flow_in, flow_x = work["flow"], work["flow_in"], work["flow_x"]
    zero, drive = np.float32(0), np.float32(model.drive)
    for t in range(x.size):
        over_in, over_x = max(drive - voltage[t], zero), drive - x[t]
        flow[t] = gate[t] * (over_x * over_x - over_in * over_in)
        flow_in[t] = (gate[t] + gate[t]) * over_in
        flow_x[t] = -((gate[t] + gate[t]) * over_x)


@inline_part_kernel
def expand_integrators_6581(work, model):
    """The same for the 6581.

    Two transistors in parallel feed each: the long thin "snake" in triode, and a voltage-controlled resistor by the EKV
    law, whose gate follows cutoff and input.
    """
    voltage, x, gate, bend, index = work["in"], work["x"], work["gate"], work["bend"], work["index"]
    flow, flow_in, flow_x = work["flow"], work["flow_in"], work["flow_x"]
    zero, half, drive, snake = np.float32(0), np.float32(0.5), np.float32(model.drive), np.float32(model.snake)
    pinch = np.float32(model.drive - model.threshold)
    size, at_zero, top = np.float32(VCR_SIZE), np.float32(VCR_ZERO + 0.5), np.float32(VCR_SIZE - 1)
    tilt = np.float32(model.vcr_tilt)
    beside, other_beside, other_index = work["beside"], work["other_beside"], work["other_index"]
    for t in range(x.size):
        over_in = drive - voltage[t]
        root = np.sqrt(gate[t] + half * (over_in * over_in))
        over = pinch - root
        bend[t] = half * over_in / root
        at, other_at = (over - x[t]) * size + at_zero, (over - voltage[t]) * size + at_zero
        at, other_at = min(max(zero, at), top), min(max(zero, other_at), top)
        entry, other_entry = np.int32(at), np.int32(other_at)
        index[t], other_index[t] = entry, other_entry
        beside[t] = (at - np.float32(entry) - half) * tilt
        other_beside[t] = (other_at - np.float32(other_entry) - half) * tilt
    value, slope, other_value, other_slope = work["value"], work["slope_x"], work["other_value"], work["slope_in"]
    look_up(model.vcr_lines, index, x.size, value, slope)
    look_up(model.vcr_lines, other_index, x.size, other_value, other_slope)
    for t in range(x.size):
        over_in, over_x = drive - voltage[t], drive - x[t]
        resistor = (value[t] + slope[t] * beside[t]) - (other_value[t] + other_slope[t] * other_beside[t])
        flow[t] = snake * (over_x * over_x - over_in * over_in) + resistor
        flow_in[t] = ((snake + snake) * over_in + other_slope[t]) + (slope[t] - other_slope[t]) * bend[t]
        flow_x[t] = -((snake + snake) * over_x + slope[t])


@inline_part_kernel
def make_maps(work):
    """The linear map of each step: (band, low) goes to (a band + b low + p, c band + d low + q); u, v by the input."""
    a, b, c, d, p, q, u, v = (
        work["a"], work["b"], work["c"], work["d"], work["p"], work["q"], work["u"], work["v"],
    )  # fmt: skip
    x_slope, flow, flow_in, flow_x = work["x_slope"], work["flow"], work["flow_in"], work["flow_x"]
    summer_slope, damping_slope = work["summer_slope"], work["damping_slope"]
    size = a.size
    one = np.float32(1)
    for t in range(size):
        from_sum = flow_in[t] * summer_slope[t]
        from_band = flow_in[size + t] * (x_slope[t] - one)  # the low-pass follows the band-pass within the cycle
        a_t = one + from_sum * damping_slope[t] + flow_x[t] * x_slope[t]
        b_t = from_sum * (x_slope[size + t] - one)
        a[t] = a_t
        b[t] = b_t
        c[t] = from_band * a_t
        d[t] = (one + flow_x[size + t] * x_slope[size + t]) + from_band * b_t
        p[t] = flow[t]
        q[t] = flow[size + t] + from_band * flow[t]
        u[t] = from_sum
        v[t] = from_band * from_sum


@inline_part_kernel
def follow_maps(work):
    """The charges step by step; what they are off the forecast before each step is kept."""
    state, charge, band_off, low_off = work["state"], work["charge"], work["band_off"], work["low_off"]
    a, b, c, d, p, q, u, v = (
        work["a"], work["b"], work["c"], work["d"], work["p"], work["q"], work["u"], work["v"],
    )  # fmt: skip
    to_band, to_low = work["to_band"], work["to_low"]
    size, lanes = a.size, state.shape[1]
    steps = size // lanes
    most = np.float32(MOST_CHARGE)
    for t in range(size - lanes):  # from the forecast of one step to that of the next
        to_band[t] = p[t] + (charge[t] - charge[lanes + t])
        to_low[t] = q[t] + (charge[size + t] - charge[size + lanes + t])
    for lane in range(lanes):
        x, y = state[0, lane] - charge[lane], state[1, lane] - charge[size + lane]
        for j in range(steps - 1):
            t = j * lanes + lane
            band_off[t], low_off[t] = x, y
            next_x = (a[t] * x + to_band[t]) + b[t] * y
            y = (d[t] * y + to_low[t]) + c[t] * x
            x = next_x
        t = (steps - 1) * lanes + lane
        band_off[t], low_off[t] = x, y
        band = min(max(-most, charge[t] + ((a[t] * x + p[t]) + b[t] * y)), most)
        low = min(max(-most, charge[size + t] + ((d[t] * y + q[t]) + c[t] * x)), most)
        state[0, lane], state[1, lane] = band, low
        state[2, lane], state[3, lane] = band - (charge[t] + x), low - (charge[size + t] + y)
        state[5, lane], state[6, lane], state[7, lane], state[8, lane] = a[t], b[t], c[t], d[t]
        state[9, lane], state[10, lane] = u[t], v[t]


@inline_part_kernel
def add_outputs(work):
    """The selected outputs after each cycle."""
    a, b, c, d, p, q = work["a"], work["b"], work["c"], work["d"], work["p"], work["q"]
    band_off, low_off, out, voltage = work["band_off"], work["low_off"], work["out"], work["in"]
    x_slope, damping_slope, summer_slope = work["x_slope"], work["damping_slope"], work["summer_slope"]
    low, band, high, filtered = work["low"], work["band"], work["high"], work["filtered"]
    size = a.size
    one, most = np.float32(1), np.float32(4)
    for t in range(size):
        x, y, per_low = band_off[t], low_off[t], x_slope[size + t] - one
        x_after = a[t] * x + (b[t] * y + p[t])
        y_after = d[t] * y + (c[t] * x + q[t])
        total = low[t] * (out[size + t] + per_low * y_after)
        total += band[t] * (out[t] + (x_slope[t] - one) * x_after)
        total += high[t] * (voltage[t] + summer_slope[t] * (damping_slope[t] * x + per_low * y))
        filtered[t] = min(max(-most, total), most)


# --- The solver in fast mode -------------------------------------------------------------------------------------
# A step is a frame: the map of a cycle is raised to its eighth power by squaring, so that no pole warps.


@inline_part_kernel
def solve_frames(work, model):
    """Solve one block of steps of one frame; the outputs are those at the middle of each."""
    forecast_frames(work)
    expand(work, model)
    square_maps(work)
    square_maps(work)
    join_halves(work)
    follow_frames_maps(work)
    make_outputs(work)


@inline_part_kernel
def forecast_frames(work):
    """Both charges at the middle of each step, by the last step's linear map on the inputs, which are known."""
    state, charge, inputs = work["state"], work["charge"], work["input"]
    one, lanes = inputs.size, state.shape[1]
    steps = one // lanes
    half, most = np.float32(0.5), np.float32(MOST_CHARGE)
    for lane in range(lanes):
        band, low = state[0, lane], state[1, lane]
        band_step, low_step, last = state[2, lane], state[3, lane], state[4, lane]
        a, b, c, d = state[5, lane], state[6, lane], state[7, lane], state[8, lane]
        u, v = state[9, lane], state[10, lane]
        for j in range(steps):
            t = j * lanes + lane
            rise = inputs[t] - last
            last = inputs[t]
            next_band = (a * band_step + u * rise) + b * low_step
            low_step = (d * low_step + v * rise) + c * band_step
            band_step = next_band
            charge[t] = band + half * band_step
            charge[one + t] = low + half * low_step
            band += band_step
            low += low_step
        state[4, lane] = last
    for t in range(charge.size):
        charge[t] = min(max(-most, charge[t]), most)


@inline_part_kernel
def square_maps(work):
    """Maps of twice as many cycles."""
    maps = work["a"], work["b"], work["c"], work["d"], work["p"], work["q"], work["u"], work["v"]
    a, b, c, d, p, q, u, v = maps
    for t in range(a.size):
        a_t, b_t, c_t, d_t, p_t, q_t, u_t, v_t = a[t], b[t], c[t], d[t], p[t], q[t], u[t], v[t]
        p[t] = p_t + (a_t * p_t + b_t * q_t)
        q[t] = q_t + (c_t * p_t + d_t * q_t)
        u[t] = u_t + (a_t * u_t + b_t * v_t)
        v[t] = v_t + (c_t * u_t + d_t * v_t)
        cross, trace = b_t * c_t, a_t + d_t
        a[t], b[t], c[t], d[t] = a_t * a_t + cross, b_t * trace, c_t * trace, d_t * d_t + cross


@inline_part_kernel
def join_halves(work):
    """Maps of a whole step from those of its half, between which the input bends from one side to the other."""
    a, b, c, d, p, q, u, v = (
        work["a"], work["b"], work["c"], work["d"], work["p"], work["q"], work["u"], work["v"],
    )  # fmt: skip
    slope, band_half, low_half = work["slope"], work["band_half"], work["low_half"]
    whole_a, whole_b, whole_c, whole_d = work["whole_a"], work["whole_b"], work["whole_c"], work["whole_d"]
    whole_p, whole_q = work["whole_p"], work["whole_q"]
    for t in range(a.size):
        bent_band, bent_low = u[t] * slope[t], v[t] * slope[t]
        band, low = p[t] - bent_band, q[t] - bent_low
        band_half[t], low_half[t] = band, low
        whole_p[t] = a[t] * band + (b[t] * low + (p[t] + bent_band))
        whole_q[t] = d[t] * low + (c[t] * band + (q[t] + bent_low))
        cross, trace = b[t] * c[t], a[t] + d[t]
        whole_a[t], whole_b[t] = a[t] * a[t] + cross, b[t] * trace
        whole_c[t], whole_d[t] = c[t] * trace, d[t] * d[t] + cross


@inline_part_kernel
def follow_frames_maps(work):
    """The charges step by step; how far they are off the forecast in the middle of each is kept."""
    state, charge, band_off, low_off = work["state"], work["charge"], work["band_off"], work["low_off"]
    a, b, c, d, p, q = (
        work["whole_a"], work["whole_b"], work["whole_c"], work["whole_d"], work["whole_p"], work["whole_q"],
    )  # fmt: skip
    to_band, to_low, u, v = work["to_band"], work["to_low"], work["u"], work["v"]
    size, lanes = a.size, state.shape[1]
    steps = size // lanes
    most = np.float32(MOST_CHARGE)
    for t in range(size - lanes):  # from the forecast of one step to that of the next
        to_band[t] = p[t] + (charge[t] - charge[lanes + t])
        to_low[t] = q[t] + (charge[size + t] - charge[size + lanes + t])
    for lane in range(lanes):
        x, y = state[0, lane] - charge[lane], state[1, lane] - charge[size + lane]
        for j in range(steps - 1):
            t = j * lanes + lane
            band_off[t], low_off[t] = x, y
            next_x = (a[t] * x + to_band[t]) + b[t] * y
            y = (d[t] * y + to_low[t]) + c[t] * x
            x = next_x
        t = (steps - 1) * lanes + lane
        band_off[t], low_off[t] = x, y
        band = min(max(-most, charge[t] + ((a[t] * x + p[t]) + b[t] * y)), most)
        low = min(max(-most, charge[size + t] + ((d[t] * y + q[t]) + c[t] * x)), most)
        state[0, lane], state[1, lane] = band, low
        state[2, lane], state[3, lane] = band - (charge[t] + x), low - (charge[size + t] + y)
        state[5, lane], state[6, lane], state[7, lane], state[8, lane] = a[t], b[t], c[t], d[t]
        half_a, half_b, half_c, half_d = work["a"][t], work["b"][t], work["c"][t], work["d"][t]
        state[9, lane] = u[t] + (half_a * u[t] + half_b * v[t])
        state[10, lane] = v[t] + (half_c * u[t] + half_d * v[t])
    go_half_a_step(work)


@inline_part_kernel
def go_half_a_step(work):
    """From the start of each step to its middle."""
    band_off, low_off = work["band_off"], work["low_off"]
    half_a, half_b, half_c, half_d = work["a"], work["b"], work["c"], work["d"]
    band_half, low_half = work["band_half"], work["low_half"]
    for t in range(band_off.size):
        x, y = band_off[t], low_off[t]
        band_off[t] = half_a[t] * x + (half_b[t] * y + band_half[t])
        low_off[t] = half_d[t] * y + (half_c[t] * x + low_half[t])


@inline_part_kernel
def make_outputs(work):
    """Low-pass, band-pass and high-pass at the middle of each step."""
    band_off, low_off, out, voltage = work["band_off"], work["low_off"], work["out"], work["in"]
    x_slope, damping_slope, summer_slope = work["x_slope"], work["damping_slope"], work["summer_slope"]
    low_out, band_out, high_out = work["low_out"], work["band_out"], work["high_out"]
    size = band_off.size
    one, zero, most = np.float32(1), np.float32(0), np.float32(1)
    for t in range(size):
        low_rise = (x_slope[size + t] - one) * low_off[t]
        low_out[t] = min(max(zero, out[size + t] + low_rise), most)
        band_out[t] = min(max(zero, out[t] + (x_slope[t] - one) * band_off[t]), most)
        high = voltage[t] + summer_slope[t] * (damping_slope[t] * band_off[t] + low_rise)
        high_out[t] = min(max(zero, high), most)


# --- Blocks ------------------------------------------------------------------------------------------------------
# Both modes clock the voices of a block first, and note what registers set meanwhile. Exact mode solves the filter,
# mixes in every cycle and decimates; in fast mode the decimator's first stage comes before filter and mixer, which work
# once a frame. What it makes smaller is only by how much voices are off their silent level; levels set by registers are
# weighted by the stage's taps cycle by cycle, so that a volume written between two frames stays where it is.


@part_kernel
def copy(source, target):
    """Copy an array; an assignment of slices costs two seconds of compilation."""
    for i in range(target.size):
        target[i] = source[i]


@part_kernel
def clock_block(voices, chip, model, events, next_event, room, size):
    """Clock the digital half for `size` cycles; return the first event not yet due, and the number of settings."""
    settings = room.settings
    changes = chip.settings_end
    for row in range(changes):
        copy(chip.settings[row], settings[row])
    at = PAST + chip.cycle % FRAME
    copy(chip.routed, room.routed[:at])
    copy(chip.mixed, room.mixed[:at])
    end = at + size
    while at < end:
        next_event = write_due(voices, chip, model, events, next_event)
        changes = note_settings(chip, settings, changes)
        stretch = cycles_to_write(chip, events, next_event, end - at)
        clock_voices(voices, chip, model, room, at, stretch)
        at += stretch
    return next_event, changes


@part_kernel
def note_settings(chip, settings, changes):
    """Add what registers set from this cycle on, if it is new; return the number of settings."""
    last = settings[changes - 1]
    same = last[1] == chip.cutoff and last[2] == chip.resonance and last[3] == chip.routing
    if same and last[4] == chip.mode and last[5] == chip.volume:
        return changes
    if last[0] < chip.cycle:
        changes += 1
    row = settings[changes - 1]
    row[0], row[1], row[2] = chip.cycle, chip.cutoff, chip.resonance
    row[3], row[4], row[5] = chip.routing, chip.mode, chip.volume
    return changes


@part_kernel
def setting_at(settings, changes, index, cycle):
    """The setting in force in a cycle, from `index` on."""
    while index + 1 < changes and settings[index + 1, 0] <= cycle:
        index += 1
    return index


@part_kernel
def setting_end(settings, changes, index):
    """The cycle in which the setting after this one begins."""
    return settings[index + 1, 0] if index + 1 < changes else FOREVER


@part_kernel
def keep_block(chip, room, end, changes):
    """Keep of a block that ends before column `end` what can still matter."""
    gone, kept = end // FRAME * FRAME, PAST + end % FRAME
    copy(room.routed[gone:], chip.routed[:kept])
    copy(room.mixed[gone:], chip.mixed[:kept])
    first = setting_at(room.settings, changes, 0, chip.cycle - WINDOW - 2 * FRAME)
    chip.settings_end = changes - first
    for row in range(first, changes):
        copy(room.settings[row], chip.settings[row - first])


@part_kernel
def past_filter(setting):
    """Number of voices, and EXT IN, that go past the filter."""
    past = 4 - count_bits(setting[3])
    return past - 1 if setting[4] & VOICE_3_OFF and not setting[3] & FILT3 else past


@part_kernel
def convert_total(model, room, first, end, setting, sound):
    """Mixer and volume by one table, from `room.total` on; the first of `sound` is that of `first`."""
    inputs = past_filter(setting) + count_bits(setting[4] & (LOW_PASS | BAND_PASS | HIGH_PASS))
    zero, top, per_sum = np.float32(0), np.float32(LINES - 0.01), np.float32(LINES / max(inputs, 1))
    start = (setting[5] * 8 + inputs) * (LINES + 1)
    lines = model.mix_lines[start : start + LINES + 1]
    size = end - first
    total, line, word = room.total[first:end], room.line[:size], room.word[:size]
    pair = word.view(np.float32)
    for i in range(size):
        line[i] = np.int32(min(max(zero, total[i] * per_sum), top))
    for i in range(size):
        word[i] = lines[np.uint32(line[i])]
    at_zero, gain = np.float32(model.output_zero), np.float32(model.output_scale)
    for i in range(size):
        sound[i] = ((pair[2 * i] + pair[2 * i + 1] * total[i]) - at_zero) * gain


# --- Exact mode --------------------------------------------------------------------------------------------------


@kernel
def clock_chip(voices, chip, model, events, cycles, decimator, room, audio):
    """Clock `cycles` cycles with the writes in `events`; return how many samples that made."""
    stop = chip.cycle + cycles
    works = np.zeros(1, EXACT_WORK)
    next_event = filled = np.int64(0)  # as a plain 0 it would be a type of its own, and all below be compiled twice
    while chip.cycle < stop:
        first = chip.cycle % FRAME
        end = min(BLOCK, first + stop - chip.cycle)
        next_event, changes = clock_block(voices, chip, model, events, next_event, room, end - first)
        follow_cycles(chip, model, room, works[0], first, end, changes)
        mix_cycles(chip, model, room, first, end, changes)
        filled = finish_exact(chip, model, room, decimator, first, end, audio, filled)
        keep_block(chip, room, end, changes)
    return filled


@part_kernel
def follow_cycles(chip, model, room, work, first, end, changes):
    """Clock the filter up to column `end`; its outputs go to `room.filtered`.

    Cycles are solved in blocks on a fixed grid; one that is not yet full is solved again when more of it is known.
    """
    settings, routed, filtered = room.settings, room.routed, room.filtered
    inputs, outputs = work["input"], work["filtered"]
    state = work["state"].ravel()
    copy(chip.filter, state)
    setting, in_force = 0, -1
    for column in range(0, end, FRAME):
        if column + FRAME > end:
            copy(state, chip.filter)
        cycle = chip.cycle - end + column
        setting = setting_at(settings, changes, setting, cycle)
        known = min(FRAME, end - column)
        fed = known  # the first cycle in which something goes into the filter
        for j in range(known):
            inputs[j] = routed[PAST + column + j]
        if setting_end(settings, changes, setting) >= cycle + FRAME:
            if in_force != setting:
                set_all_steps(work, model, settings[setting])
                in_force = setting
            if settings[setting, 3]:
                fed = 0
        else:
            in_force = -1
            now = setting
            for j in range(FRAME):
                now = setting_at(settings, changes, now, cycle + j)
                set_one_step(work, model, j, settings[now])
                if settings[now, 3]:
                    fed = min(fed, j)
        if chip.unfed < IDLE_BLOCKS or fed < known:
            solve(work, model)
            for j in range(known):
                filtered[column + j] = outputs[j]
        if chip.unfed == IDLE_BLOCKS:
            low, band, high = chip.held[0], chip.held[1], chip.held[2]
            for j in range(fed):
                filtered[column + j] = work["low"][j] * low + work["band"][j] * band + work["high"][j] * high
        if column + FRAME <= end:
            count_unfed(chip, fed < FRAME)
            if chip.unfed == IDLE_BLOCKS - 1:
                hold_outputs(chip, work)
    if end % FRAME == 0:
        copy(state, chip.filter)


@part_kernel
def count_unfed(chip, fed):
    """Count the blocks of the filter's solver since something went in; after `IDLE_BLOCKS` it is left alone."""
    chip.unfed = 0 if fed else min(chip.unfed + 1, IDLE_BLOCKS)


@part_kernel
def set_one_step(work, model, j, setting):
    """What registers set for one step of one chip."""
    set_step(work, model, j, setting[1], setting[2], setting[3], setting[4])


@part_kernel
def set_all_steps(work, model, setting):
    """What registers set for all steps of one chip."""
    for j in range(work["per_sum"].size):
        set_one_step(work, model, j, setting)


@part_kernel
def hold_outputs(chip, work):
    """Keep the filter's outputs in the last step: they stay so while nothing goes in."""
    out, voltage = work["out"], work["in"]
    size = work["per_sum"].size
    chip.held[0], chip.held[1], chip.held[2] = out[2 * size - 1], out[size - 1], voltage[size - 1]


@part_kernel
def mix_cycles(chip, model, room, first, end, changes):
    """Mixer and volume in every cycle: sound before the board's output stage."""
    settings, mixed, filtered, total = room.settings, room.mixed[PAST:], room.filtered, room.total
    copy(chip.recent, room.sound[: PAST + first])
    scale, at, index = np.float32(model.filter_out_scale), first, 0
    while at < end:
        cycle = chip.cycle - end + at
        index = setting_at(settings, changes, index, cycle)
        until = min(end, at + setting_end(settings, changes, index) - cycle)
        setting = settings[index]
        selected = count_bits(setting[4] & (LOW_PASS | BAND_PASS | HIGH_PASS))
        silent = np.float32(model.voice_dc * past_filter(setting) + model.filter_out_offset[selected])
        sums, past, through = total[at:until], mixed[at:until], filtered[at:until]
        for i in range(until - at):
            sums[i] = (past[i] + silent) + scale * through[i]
        convert_total(model, room, at, until, setting, room.sound[PAST + at : PAST + until])
        at = until


@part_kernel
def finish_exact(chip, model, room, decimator, first, end, audio, filled):
    """The board's output stage and the decimator for columns `first` to `end`; return how far `audio` is filled."""
    before = filled
    if decimator.step == 1:
        sound = room.sound[PAST + first : PAST + end]
        board_filter(chip, model, sound)
        filled = write_samples(chip, decimator, sound, np.int64(0), room, audio, filled)
    else:
        frames = end // FRAME
        samples = room.samples[:frames]
        filter_frames(decimator.stage1, room.sound, room, samples)
        copy(room.sound[frames * FRAME :], chip.recent[: PAST + end % FRAME])
        filled = finish(chip, model, room, decimator, samples, audio, filled)
    return clip_all(model, audio, before, filled)


@part_kernel
def finish(chip, model, room, decimator, samples, audio, filled):
    """The second stage for more samples of the first, up to the cycle under way, and the board's DC block."""
    before = filled
    if decimator.step == FRAME:
        filled = write_samples(chip, decimator, samples, chip.cycle % FRAME, room, audio, filled)
    else:
        pairs = halve(chip, decimator.half, room, samples)
        filled = write_samples(chip, decimator, room.halves[:pairs], chip.cycle % PAIR, room, audio, filled)
    block_direct(chip, model, decimator, audio, before, filled)
    return filled


@part_kernel
def block_direct(chip, model, decimator, audio, first, end):
    """DC block of the C64's board, a sample of the sound at a time; its low-pass is in the last stage's taps."""
    high, keep = chip.ext_vhp, (1 - model.high_pass) ** (decimator.clock_hz / decimator.sample_rate)
    for i in range(first, end):
        level = audio[i]
        audio[i] = level - high
        high = keep * high + (1 - keep) * level
    chip.ext_vhp = high


@part_kernel
def clip_all(model, audio, first, end):
    """Soft clip; return `end`."""
    knee = model.clip_knee
    for i in range(first, end):
        audio[i] = clip(audio[i], knee)
    return end


# --- Exact mode in lanes -----------------------------------------------------------------------------------------
# `LANES` stretches of one log side by side: the filter's steps wait for each other within a lane only, so that a vector
# holds the same step of all lanes. Each lane adds up as `clock_chip` does.


@inline_part_kernel
def solve_lanes(work, model):
    """As `solve`."""
    forecast_lanes(work, np.float32(0))
    expand(work, model)
    follow_lane_maps(work)
    add_outputs(work)


@inline_part_kernel
def forecast_lanes(work, share):
    """As `forecast`, or, with a share of one half, as `forecast_frames`: so far into each step."""
    state, start, charge, inputs = work["state"], work["start"], work["charge"], work["input"]
    one, lanes = inputs.size, state.shape[1]
    for j in range(one // lanes):
        for lane in range(lanes):
            t = j * lanes + lane
            band, low, band_step, low_step = start[0, lane], start[1, lane], state[2, lane], state[3, lane]
            rise = inputs[t] - state[4, lane]
            state[4, lane] = inputs[t]
            next_band = (state[5, lane] * band_step + state[9, lane] * rise) + state[6, lane] * low_step
            next_low = (state[8, lane] * low_step + state[10, lane] * rise) + state[7, lane] * band_step
            charge[t] = band + share * next_band
            charge[one + t] = low + share * next_low
            state[2, lane], state[3, lane] = next_band, next_low
            start[0, lane], start[1, lane] = band + next_band, low + next_low
    most = np.float32(MOST_CHARGE)
    for t in range(charge.size):
        charge[t] = min(max(-most, charge[t]), most)


@inline_part_kernel
def follow_lane_maps(work):
    """As `follow_maps`."""
    state, start, charge = work["state"], work["start"], work["charge"]
    a, b, c, d, p, q, u, v = (
        work["a"], work["b"], work["c"], work["d"], work["p"], work["q"], work["u"], work["v"],
    )  # fmt: skip
    band_off, low_off, to_band, to_low = work["band_off"], work["low_off"], work["to_band"], work["to_low"]
    size, lanes = a.size, state.shape[1]
    most = np.float32(MOST_CHARGE)
    for t in range(size - lanes):  # from the forecast of one step to that of the next
        to_band[t] = p[t] + (charge[t] - charge[lanes + t])
        to_low[t] = q[t] + (charge[size + t] - charge[size + lanes + t])
    for lane in range(lanes):
        band_off[lane] = state[0, lane] - charge[lane]
        low_off[lane] = state[1, lane] - charge[size + lane]
    for t in range(0, size - lanes, lanes):
        for lane in range(lanes):
            i = t + lane
            x, y = band_off[i], low_off[i]
            band_off[lanes + i] = (a[i] * x + to_band[i]) + b[i] * y
            low_off[lanes + i] = (d[i] * y + to_low[i]) + c[i] * x
    for lane in range(lanes):
        t = size - lanes + lane
        x, y = band_off[t], low_off[t]
        band = min(max(-most, charge[t] + ((a[t] * x + p[t]) + b[t] * y)), most)
        low = min(max(-most, charge[size + t] + ((d[t] * y + q[t]) + c[t] * x)), most)
        state[0, lane], state[1, lane] = band, low
        start[0, lane], start[1, lane] = band, low
        state[2, lane], state[3, lane] = band - (charge[t] + x), low - (charge[size + t] + y)
        state[5, lane], state[6, lane], state[7, lane], state[8, lane] = a[t], b[t], c[t], d[t]
        state[9, lane], state[10, lane] = u[t], v[t]


@kernel
def clock_lanes(voices, chips, model, events, next_events, blocks, decimator, rooms, works, sides, sounds, begun, held):
    """Clock `LANES` chips for so many blocks, each with its own part of the writes in `events` still to come.

    The decimator's first stage goes to `sounds`, row by row; what the filter held when a lane had gone through `begun`
    blocks to `held`. `rooms` has one more for what the chips share.
    """
    work, side, shared = works[0], sides[0], rooms[LANES]
    changes = np.zeros(LANES, np.int64)
    in_force = np.full((LANES, 6), -1)
    for lane in range(LANES):
        load_lane(work, chips[lane], lane)
        for i in range(PAST):
            side.sound[i * LANES + lane] = chips[lane].recent[i]
    for block in range(blocks):
        for lane in range(LANES):
            if block == begun[lane]:
                held[lane, 0], held[lane, 1] = work["state"][0, lane], work["state"][1, lane]
            chip, room = chips[lane], rooms[lane]
            next_events[lane], changes[lane] = clock_block(
                voices[lane], chip, model, events, next_events[lane], shared, BLOCK
            )
            copy(shared.routed[PAST : PAST + BLOCK], side.routed[lane * SIDE_ROW : lane * SIDE_ROW + BLOCK])
            copy(shared.mixed[PAST : PAST + BLOCK], side.mixed[lane * SIDE_ROW : lane * SIDE_ROW + BLOCK])
            for row in range(changes[lane]):
                copy(shared.settings[row], room.settings[row])
            keep_block(chip, shared, BLOCK, changes[lane])
        follow_lanes(chips[0].cycle, chips, model, rooms, work, side, changes, in_force)
        filter_lanes(decimator.stage1, side)
        for lane in range(LANES):
            for i in range(BLOCK_FRAMES):
                sounds[lane, block * BLOCK_FRAMES + i] = side.samples[i * LANES + lane]
    for lane in range(LANES):
        chips[lane].filter[0], chips[lane].filter[1] = work["state"][0, lane], work["state"][1, lane]


@part_kernel
def load_lane(work, chip, lane):
    """Put a chip's filter into its lane."""
    for row in range(work["state"].shape[0]):
        work["state"][row, lane] = chip.filter[row]
    work["start"][0, lane], work["start"][1, lane] = chip.filter[0], chip.filter[1]


@part_kernel
def put_in_lane(values, lanes, lane, size):
    """Put the first `size` of some values into a lane."""
    for i in range(size):
        lanes[i * LANES + lane] = values[i]


@part_kernel
def follow_lanes(cycle, chips, model, rooms, work, side, changes, in_force):
    """Clock filters and mixers of all lanes for a block; their sound goes to `side.sound`."""
    now, due = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    inputs, mixed, sound = work["input"], work["mixed"], work["sound"]
    size = EXACT_STEPS * LANES
    soonest = np.int64(0)
    for column in range(0, BLOCK, EXACT_STEPS):
        if column + EXACT_STEPS > soonest:
            for lane in range(LANES):
                if column + EXACT_STEPS > due[lane]:
                    set_lane(chips[lane], model, rooms[lane], work, lane, column, changes[lane], now, due, in_force)
            soonest = due.min()
        interleave(side.routed, column, SIDE_ROW, inputs)
        interleave(side.mixed, column, SIDE_ROW, mixed)
        solve_lanes(work, model)
        mix_lanes(work, model)
        copy(sound, side.sound[(PAST + column) * LANES : (PAST + column) * LANES + size])


@part_kernel
def set_lane(chip, model, room, work, lane, column, changes, now, due, in_force):
    """Put what registers set for the steps from `column` on into a lane; `due` says for how long that holds."""
    settings, held = room.settings, in_force[lane]
    begin = chip.cycle - BLOCK
    setting = setting_at(settings, changes, now[lane], begin + column)
    now[lane] = setting
    end = setting_end(settings, changes, setting) - begin
    if end >= column + EXACT_STEPS:
        s = settings[setting]
        due[lane] = end
        if s[1] == held[1] and s[2] == held[2] and s[3] == held[3] and s[4] == held[4] and s[5] == held[5]:
            return
        copy(s, held)
        for j in range(EXACT_STEPS):
            set_lane_step(work, model, j * LANES + lane, s)
        return
    held[1] = -1
    due[lane] = column + EXACT_STEPS
    for j in range(EXACT_STEPS):
        setting = setting_at(settings, changes, setting, begin + column + j)
        set_lane_step(work, model, j * LANES + lane, settings[setting])


@part_kernel
def set_lane_step(work, model, t, setting):
    """What registers set for one step: of the filter, and of the mixer."""
    set_step(work, model, t, setting[1], setting[2], setting[3], setting[4])
    selected = count_bits(setting[4] & (LOW_PASS | BAND_PASS | HIGH_PASS))
    past = past_filter(setting)
    work["mix_silent"][t] = model.voice_dc * past + model.filter_out_offset[selected]
    work["mix_per_sum"][t] = LINES / max(past + selected, 1)
    work["mix_row"][t] = (setting[5] * 8 + past + selected) * (LINES + 1)


@inline_part_kernel
def mix_lanes(work, model):
    """As `mix_cycles`."""
    total, index, value, slope = work["sum"], work["index"], work["value"], work["slope_in"]
    mixed, silent, filtered, sound = work["mixed"], work["mix_silent"], work["filtered"], work["sound"]
    per_sum, row = work["mix_per_sum"], work["mix_row"]
    size = sound.size
    scale, zero, top = np.float32(model.filter_out_scale), np.float32(0), np.float32(LINES - 0.01)
    for t in range(size):
        total[t] = (mixed[t] + silent[t]) + scale * filtered[t]
        index[t] = row[t] + np.int32(min(max(zero, total[t] * per_sum[t]), top))
    look_up(model.mix_lines, index, size, value, slope)
    at_zero, gain = np.float32(model.output_zero), np.float32(model.output_scale)
    for t in range(size):
        sound[t] = ((value[t] + slope[t] * total[t]) - at_zero) * gain


@part_kernel
def filter_lanes(taps, side):
    """As `filter_frames`, of `side.sound`; what comes next looks back to the last of it."""
    sound, samples = side.sound, side.samples
    fill(samples, np.float32(0))
    for frame in range(STAGE1_FRAMES):
        t = taps[frame * FRAME : (frame + 1) * FRAME]
        t0, t1, t2, t3, t4, t5, t6, t7 = t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]
        for i in range(BLOCK_FRAMES):
            at = (frame + i) * FRAME * LANES
            for lane in range(LANES):
                k = at + lane
                samples[i * LANES + lane] += (
                    (t0 * sound[k] + t1 * sound[k + LANES]) + (t2 * sound[k + 2 * LANES] + t3 * sound[k + 3 * LANES])
                ) + (
                    (t4 * sound[k + 4 * LANES] + t5 * sound[k + 5 * LANES])
                    + (t6 * sound[k + 6 * LANES] + t7 * sound[k + 7 * LANES])
                )
    copy(sound[BLOCK * LANES :], sound[: PAST * LANES])


@kernel
def finish_lanes(chip, model, decimator, room, sounds, begun, cycles, audio):
    """The rest of `clock_chip` for the first stage of all lanes, each from its block in `begun` on.

    Return how many samples of sound that made.
    """
    filled, stop = np.int64(0), chip.cycle + cycles
    lane, at = 0, begun[0] * BLOCK_FRAMES
    while chip.cycle < stop:
        if at == sounds.shape[1]:
            lane += 1
            at = begun[lane] * BLOCK_FRAMES
        size = min(BLOCK, stop - chip.cycle)
        frames = size // FRAME
        copy(sounds[lane, at : at + frames], room.samples[:frames])
        chip.cycle += size
        filled = finish(chip, model, room, decimator, room.samples[:frames], audio, filled)
        at += frames
    return clip_all(model, audio, np.int64(0), filled)


@kernel
def skip_voices(voices, chip, model, events, next_event, stop, room):
    """Clock the digital half up to cycle `stop`, without a sound; return the first event that is not due before."""
    while chip.cycle < stop:
        next_event = write_due(voices, chip, model, events, next_event)
        end = chip.cycle + min(cycles_to_write(chip, events, next_event, stop - chip.cycle), BLOCK)
        while chip.cycle < end:
            leap, single = plan_leap(voices, chip, model, end - chip.cycle)
            if leap:
                for v in range(VOICES):
                    leap_noise(voices[v], model, room.wave, leap)
                    leap_envelope(voices[v], leap)
                leap_oscillators(voices, model, leap)
                chip.cycle += leap
            for _ in range(single):
                clock_digital(voices, chip, model)
    return next_event


# --- Voices in fast mode -----------------------------------------------------------------------------------------
# Nobody needs a level in every cycle. Between two events a voice is a straight line: pulse, noise and a floating output
# hold their level, triangle and sawtooth rise and fall, on the 6581 with a bend wherever a higher bit of its DAC
# changes. Far from events the decimator's first stage, of linear phase, gives the line in the middle of its window; an
# event adds a step and a bend to the eight samples whose windows it lies in, by the cycle. Sums come out the same for
# any cut: lines begin at events only, and each row of samples adds up its own, in their order. What is no line, that is
# combined waveforms, ring modulation and EXT IN, goes through the first stage cycle by cycle.


@part_kernel
def draw_block(voices, chip, model, responses, events, next_event, room, size):
    """As `clock_block`, with the first stage of what can be drawn by lines in `room.drawn`."""
    settings = room.settings
    changes = chip.settings_end
    for row in range(changes):
        copy(chip.settings[row], settings[row])
    first_frame = chip.cycle // FRAME
    for row in range(ROWS):
        if is_empty(chip, row, first_frame):
            chip.drawn_frame[row] = first_frame
        else:
            copy(chip.drawn[row], room.drawn[row, :STAGE1_FRAMES])
    chip.summed = 0
    if chip.summed_end > first_frame * FRAME - PAST:
        begin_sums(chip, room)
    end = chip.cycle + size
    while chip.cycle < end:
        next_event = write_due(voices, chip, model, events, next_event)
        changes = note_settings(chip, settings, changes)
        stretch = cycles_to_write(chip, events, next_event, end - chip.cycle)
        draw_voices(voices, chip, model, responses, room, first_frame, stretch)
    for row in range(ROWS):
        if not is_empty(chip, row, first_frame):
            hold_line(chip, room, row, first_frame, chip.cycle // FRAME + STAGE1_FRAMES)
    return next_event, changes


@part_kernel
def is_empty(chip, row, frame):
    """Whether nothing of a row comes from a frame on, if it does not turn."""
    return (
        chip.drawn_level[row] == 0
        and chip.drawn_part[row] == 0
        and chip.drawn_from[row] // FRAME + STAGE1_FRAMES <= frame
    )


@part_kernel
def begin_sums(chip, room):
    """Make room for sums cycle by cycle, behind those of the cycles before."""
    chip.summed = 1
    fill(room.routed, np.float32(0))
    fill(room.mixed, np.float32(0))
    if chip.summed_end != NEVER:
        copy(chip.routed, room.routed[: PAST + FRAME])
        copy(chip.mixed, room.mixed[: PAST + FRAME])


@part_kernel
def keep_drawn_block(chip, room, end, changes):
    """As `keep_block`."""
    frames = end // FRAME
    for row in range(ROWS):
        if not is_empty(chip, row, chip.cycle // FRAME - frames):
            copy(room.drawn[row, frames : frames + STAGE1_FRAMES], chip.drawn[row])
    if not chip.summed:
        chip.summed_end = NEVER
    keep_block(chip, room, end, changes)
    fill(chip.routed[PAST + end % FRAME :], np.float32(0))
    fill(chip.mixed[PAST + end % FRAME :], np.float32(0))


@part_kernel
def draw_voices(voices, chip, model, responses, room, first_frame, size):
    """Clock the digital half for `size` cycles without writes, and draw what it gives."""
    column = PAST + chip.cycle - first_frame * FRAME
    if model.ext_in != 0 or chip.ext_in_at < chip.ext_in_end:
        add_ext_in_level(chip, model, room, column, size)
    done = 0
    while done < size:
        leap, single = plan_leap(voices, chip, model, size - done)
        if leap:
            draw_leap(voices, chip, model, responses, room, first_frame, leap)
        for _ in range(single):
            begin_cycle(voices, chip, model)
            for v in range(VOICES):
                draw_output(voices[v], v, chip, model, responses, room, first_frame)
            end_cycle(voices, chip, model)
        done += leap + single
    add_ext_in(chip, model, room, column, size)


@part_kernel
def add_ext_in_level(chip, model, room, column, size):
    """Add what stands at EXT IN all the time."""
    need_sums(chip, room, size)
    routed, mixed = external_levels(chip, model)
    for i in range(column, column + size):
        room.routed[i] += routed
        room.mixed[i] += mixed


@part_kernel
def need_sums(chip, room, size):
    """See that there is room for sums of so many cycles."""
    if not chip.summed:
        begin_sums(chip, room)
    chip.summed_end = chip.cycle + size


@part_kernel
def row_of(n, chip):
    """Row that voice `n` is drawn in, or -1."""
    return 2 * n if chip.routing >> n & 1 else 2 * n + 1 if is_mixed(n, chip) else -1


@part_kernel
def is_drawn(voice):
    """Whether straight lines make up a voice."""
    return (
        voice.waveform in (0, WAVE_SAWTOOTH, WAVE_PULSE)
        or voice.waveform >= WAVE_NOISE
        or (voice.waveform == WAVE_TRIANGLE and not voice.ring_mask)
    )


@part_kernel
def draw_leap(voices, chip, model, responses, room, first_frame, size):
    """As `leap_voices`."""
    for v in range(VOICES):
        voice, row = voices[v], row_of(v, chip)
        drawn = row if is_drawn(voice) else -1
        leave_rows(chip, responses, room, first_frame, v, drawn)
        if voice.waveform != WAVE_NOISE or drawn < 0:
            leap_noise(voice, model, room.wave, size)
        if row < 0:
            leap_envelope(voice, size)
        elif drawn < 0:
            need_sums(chip, room, size)
            column = PAST + chip.cycle - first_frame * FRAME
            sums = room.routed if chip.routing >> v & 1 else room.mixed
            add_voice(voice, voices[(v + LAST_VOICE) % VOICES], model, room, size, sums[column : column + size])
        elif voice.waveform == WAVE_PULSE:
            draw_pulse(voice, chip, model, responses, room, first_frame, row, size)
        elif voice.waveform == WAVE_NOISE:
            draw_noise(voice, chip, model, responses, room, first_frame, row, size)
        else:
            draw_wave(voice, chip, model, responses, room, first_frame, row, size)
    leap_oscillators(voices, model, size)
    chip.cycle += size


@part_kernel
def leave_rows(chip, responses, room, first_frame, v, row):
    """Nothing comes from a voice any more in rows but `row`."""
    for other in range(2 * v, 2 * v + 2):
        if other != row:
            draw_level(chip, responses, room, first_frame, other, chip.cycle, 0.0)


@part_kernel
def draw_output(voice, v, chip, model, responses, room, first_frame):
    """Draw the cycle that was just clocked, but for its end."""
    row = row_of(v, chip)
    drawn = row if is_drawn(voice) else -1
    leave_rows(chip, responses, room, first_frame, v, drawn)
    if row < 0:
        return
    zero, per_wave = voice_range(voice.envelope_counter, model)
    if drawn < 0:
        need_sums(chip, room, 1)
        sums = room.routed if chip.routing >> v & 1 else room.mixed
        sums[PAST + chip.cycle - first_frame * FRAME] += zero + per_wave * model.dac_wave[voice.output]
    elif voice.waveform in (WAVE_TRIANGLE, WAVE_SAWTOOTH):
        draw_parts(
            voice, chip, model, responses, room, first_frame, row, chip.cycle, 1, voice.accumulator, zero, per_wave
        )
    else:
        level = float(zero) + float(per_wave) * float(model.dac_wave[voice.output])
        draw_level(chip, responses, room, first_frame, row, chip.cycle, level)


@part_kernel
def draw_wave(voice, chip, model, responses, room, first_frame, row, size):
    """Draw triangle, sawtooth, or an output that holds."""
    held = float(model.dac_wave[voice.output])
    phase, done = voice.accumulator + phase_step(voice), 0
    while done < size:
        cycles = hold_envelope(voice, size - done)
        zero, per_wave = voice_range(voice.envelope_counter, model)
        if voice.waveform in (WAVE_TRIANGLE, WAVE_SAWTOOTH):
            here = (phase + done * phase_step(voice)) & 0xFFFFFF
            draw_parts(
                voice, chip, model, responses, room, first_frame, row, chip.cycle + done, cycles, here, zero, per_wave
            )
        else:
            level = float(zero) + float(per_wave) * held
            draw_level(chip, responses, room, first_frame, row, chip.cycle + done, level)
        done += cycles


@part_kernel
def draw_parts(voice, chip, model, responses, room, first_frame, row, cycle, cycles, phase, zero, per_wave):
    """Draw triangle or sawtooth from `phase` on for so many cycles in which the envelope holds."""
    step = phase_step(voice)
    bits = model.part_bits[voice.waveform]
    while bits > 1 and step << bits > LONGEST_STEP:
        bits -= 1
    width = 24 - bits
    part, first = phase >> width, voice.waveform << (PART_BITS + 1) | 1 << bits
    lines = model.part_lines[voice.waveform]
    same = chip.drawn_part[row] == first + part and chip.drawn_step[row] == step
    same = same and chip.drawn_phase[row] + step * (cycle - chip.drawn_from[row]) == phase
    same = same and chip.drawn_zero[row] == zero and chip.drawn_range[row] == per_wave
    end, size, into = cycle + cycles, 1 << width, phase & ((1 << width) - 1)
    whole = size // step if step else 0
    cycles = cycles_for(size - into, step)
    while True:
        if not same:
            level, slope = lines[1 << bits | part, 0], lines[1 << bits | part, 1]
            level = float(zero) + float(per_wave) * (level + slope * into)
            turn_line(chip, responses, room, first_frame, row, cycle, level, float(per_wave) * slope * step)
            chip.drawn_part[row], chip.drawn_phase[row], chip.drawn_step[row] = first + part, part * size + into, step
            chip.drawn_zero[row], chip.drawn_range[row] = zero, per_wave
        cycle += cycles
        if cycle >= end:
            return
        into += cycles * step - size
        part = (part + 1) & ((1 << bits) - 1)
        cycles = whole if into + whole * step >= size else whole + 1
        same = False


@part_kernel
def draw_pulse(voice, chip, model, responses, room, first_frame, row, size):
    """Draw pulse alone."""
    low_wave, high_wave = float(model.dac_wave[0]), float(model.dac_wave[0xFFF])
    phase, step, width = voice.accumulator, phase_step(voice), voice.pulse_width << 12
    if voice.test:
        width = 0
    first_high = voice.test or pulse_output(voice, model)
    done = 0
    while done < size:
        end = done + hold_envelope(voice, size - done)
        zero, per_wave = voice_range(voice.envelope_counter, model)
        low, high = float(zero) + float(per_wave) * low_wave, float(zero) + float(per_wave) * high_wave
        while done < end:
            if done == 0:
                is_high, cycles = first_high, 1
            else:  # what is compared with the width is the phase of the cycle before
                compared = (phase + step * done) & 0xFFFFFF
                is_high = compared >= width
                cycles = cycles_for((0x1000000 if is_high else width) - compared, step)
            draw_level(chip, responses, room, first_frame, row, chip.cycle + done, high if is_high else low)
            done += min(cycles, end - done)


@part_kernel
def draw_noise(voice, chip, model, responses, room, first_frame, row, size):
    """Draw noise alone, its register clocked on the way as in `leap_noise`."""
    way = way_to_rise(voice, 0x080000)
    rise = voice.noise_pipeline - 3
    if voice.test:
        rise = FOREVER
    elif voice.noise_pipeline == 0:
        rise = cycles_for(way, voice.frequency) - 1
        way += 0x100000
    done = 0
    while done < size:
        end = done + hold_envelope(voice, size - done)
        zero, per_wave = voice_range(voice.envelope_counter, model)
        while done < end:
            if done == rise + 2:
                latch_noise(voice)
                shift_noise(voice, model, voice.waveform)
                rise = cycles_for(way, voice.frequency) - 1
                way += 0x100000
            level = float(zero) + float(per_wave) * float(model.dac_wave[voice.noise])
            draw_level(chip, responses, room, first_frame, row, chip.cycle + done, level)
            done = min(end, rise + 2)
    if voice.test:
        return
    if rise + 2 == size:
        latch_noise(voice)
    voice.noise_pipeline = max(rise + 3 - size, 0) if rise < size else 0


@part_kernel
def draw_level(chip, responses, room, first_frame, row, cycle, level):
    """From `cycle` on a row holds its level."""
    if chip.drawn_part[row] or chip.drawn_level[row] != level:
        turn_line(chip, responses, room, first_frame, row, cycle, level, 0.0)
        chip.drawn_part[row] = 0


@part_kernel
def turn_line(chip, responses, room, first_frame, row, cycle, level, slope):
    """From `cycle` on a row goes along another line."""
    frame = cycle // FRAME
    hold_line(chip, room, row, first_frame, frame + STAGE1_FRAMES)
    here = chip.drawn_level[row] + chip.drawn_slope[row] * (cycle - chip.drawn_from[row])
    step, bend = np.float32(level - here), np.float32(slope - chip.drawn_slope[row])
    samples, first = room.drawn[row], np.uint64(frame - first_frame)
    answer = np.uint64(WINDOW + 1 + 2 * ANSWER * (cycle - frame * FRAME))
    for n in range(ANSWER):
        k = np.uint64(n)
        samples[first + k] += step * responses[answer + k] + bend * responses[answer + np.uint64(ANSWER) + k]
    chip.drawn_level[row], chip.drawn_slope[row], chip.drawn_from[row] = level, slope, cycle


@part_kernel
def hold_line(chip, room, row, first_frame, end):
    """A row goes on along its line into frames up to `end`, until it turns; what lies beyond is of no use."""
    first = chip.drawn_frame[row]
    if first >= end:
        return
    samples, begin = room.drawn[row], first - first_frame
    level, slope = chip.drawn_level[row], chip.drawn_slope[row]
    middle = WINDOW - (WINDOW - 1) / 2 - FRAME  # of a window, before the frame that it ends with
    since = float(first * FRAME - chip.drawn_from[row]) - middle
    for n in range(ANSWER):  # most often they are fewer, but a vector costs less than to know how many
        samples[np.uint64(begin + n)] = np.float32(level + slope * (since + n * FRAME))
    for n in range(ANSWER, end - first):
        samples[np.uint64(begin + n)] = np.float32(level + slope * (since + n * FRAME))
    chip.drawn_frame[row] = end


@part_kernel
def add_rows(chip, room, first_row, samples):
    """Add the first stage of all voices, in the same order for any cut."""
    fill(samples, np.float32(0))
    for row in range(first_row, ROWS, 2):
        if not is_empty(chip, row, chip.cycle // FRAME - samples.size):
            add(room.drawn[row], samples)


@part_kernel
def add(source, target):
    """Add to an array what another one begins with."""
    for i in range(target.size):
        target[i] += source[i]


# --- Fast mode ---------------------------------------------------------------------------------------------------


@kernel
def clock_chip_fast(voices, chip, model, events, cycles, decimator, room, responses, audio):
    """As `clock_chip`, with filter and mixer once a frame; `responses` are the first stage's, see `decimate`."""
    stop = chip.cycle + cycles
    works = np.zeros(1, FAST_WORK)
    next_event = filled = np.int64(0)  # as a plain 0 it would be a type of its own, and all below be compiled twice
    while chip.cycle < stop:
        first = chip.cycle % FRAME
        end = min(BLOCK, first + stop - chip.cycle)
        next_event, changes = draw_block(voices, chip, model, responses, events, next_event, room, end - first)
        frames = end // FRAME
        decimate_inputs(chip, decimator, room, frames)
        follow_frames(chip, model, room, works[0], chip.cycle // FRAME - frames, frames, changes)
        mix_frames(chip, model, room, chip.cycle // FRAME - frames, frames, changes, responses)
        before = filled
        filled = finish(chip, model, room, decimator, room.samples[:frames], audio, filled)
        clip_all(model, audio, before, filled)
        keep_drawn_block(chip, room, end, changes)
    return filled


@part_kernel
def decimate_inputs(chip, decimator, room, frames):
    """First stage of both sums."""
    add_rows(chip, room, 0, room.routed_samples[:frames])
    add_rows(chip, room, 1, room.mixed_samples[:frames])
    if chip.summed:
        add_sums(decimator, room, room.routed[: PAST + frames * FRAME], room.routed_samples[:frames])
        add_sums(decimator, room, room.mixed[: PAST + frames * FRAME], room.mixed_samples[:frames])


@part_kernel
def add_sums(decimator, room, sums, samples):
    """Add the first stage of what is there cycle by cycle."""
    if is_zero(sums):
        return
    part = room.part[: samples.size]
    filter_frames(decimator.stage1, sums, room, part)
    add(part, samples)


@part_kernel
def is_zero(values):
    """Whether all values are 0: sums that come from +0, so that no bit is set in them."""
    bits = values.view(np.int32)
    any_bit = np.int32(0)
    for i in range(bits.size):
        any_bit |= bits[i]
    return any_bit == 0


@part_kernel
def follow_frames(chip, model, room, work, first_frame, frames, changes):
    """Filter for each frame whose successor is known: its three outputs, and the mixer's other input, go to `room`."""
    if is_idle(chip, room, frames, changes):
        pass_idle_frames(chip, room, first_frame, frames, changes)
        return
    settings, fed = room.settings, room.fed
    low, band, high = room.low, room.band, room.high
    low_out, band_out, high_out = work["low_out"], work["band_out"], work["high_out"]
    load_frames(chip, model, work)
    line_up_inputs(chip, room, frames)
    middle, in_force, done = 0, -1, 0
    while done < frames:
        first = (first_frame + done - 1) % FAST_STEPS
        steps = min(FAST_STEPS - first, frames - done)
        if first == 0:
            chip.fed = FAST_STEPS
        for n in range(steps):
            work["input"][first + n] = fed[done + n + 1]
            work["slope"][first + n] = (fed[done + n + 2] - fed[done + n]) * np.float32(0.125)
        cycle = (first_frame + done) * FRAME - WINDOW // 2
        middle = setting_at(settings, changes, middle, cycle)
        if in_force != middle or setting_end(settings, changes, middle) <= cycle + (steps - 1) * FRAME:
            in_force = set_frames(chip, model, work, settings, changes, middle, cycle, first, steps)
        find_first_fed(chip, work, first, steps)
        solving = chip.unfed < IDLE_BLOCKS or chip.fed < first + steps
        if solving:
            solve_frames(work, model)
        for n in range(steps):
            low[done + n] = low_out[first + n]
            band[done + n] = band_out[first + n]
            high[done + n] = high_out[first + n]
        if chip.unfed == IDLE_BLOCKS:
            for n in range(min(steps, chip.fed - first)):
                low[done + n], band[done + n], high[done + n] = chip.held[0], chip.held[1], chip.held[2]
        done += steps
        if first + steps < FAST_STEPS:
            keep_inputs(chip, work, first, steps)
            return
        if solving:
            copy(work["state"].ravel(), chip.filter)
        count_unfed(chip, chip.fed < FAST_STEPS)
        if chip.unfed == IDLE_BLOCKS - 1:
            last = FAST_STEPS - 1
            chip.held[0], chip.held[1], chip.held[2] = low_out[last], band_out[last], high_out[last]


@part_kernel
def line_up_inputs(chip, room, frames):
    """What goes into the filter, behind the two frames before; what goes past it, a frame later."""
    inputs, fed, mixed = chip.frame_inputs, room.fed, room.mixed_samples
    fed[0], fed[1] = inputs[1, 0], inputs[2, 0]
    copy(room.routed_samples[:frames], fed[2 : frames + 2])
    inputs[0, 0], inputs[1, 0], inputs[2, 0] = fed[max(frames - 1, 0)], fed[frames], fed[frames + 1]
    before = inputs[2, 1]
    for i in range(frames):
        mixed[i], before = before, mixed[i]
    inputs[2, 1] = before


@part_kernel
def set_frames(chip, model, work, settings, changes, setting, cycle, first, steps):
    """Set what registers set for so many steps; return the setting if it is that of all steps of the block, or -1."""
    for n in range(steps):
        now = setting_at(settings, changes, setting, cycle + n * FRAME)
        s, held = settings[now], chip.fast_settings[first + n]
        if s[1] != held[0] or s[2] != held[1] or s[3] != held[2] or s[4] != held[3]:
            held[0], held[1], held[2], held[3] = s[1], s[2], s[3], s[4]
            set_frame(chip, model, work, first + n)
    return setting if steps == FAST_STEPS and now == setting else -1


@part_kernel
def find_first_fed(chip, work, first, steps):
    """Note the first of some steps in which something goes into the filter."""
    inputs, slope = work["input"], work["slope"]
    for j in range(first, min(first + steps, chip.fed)):
        if chip.fast_settings[j, 2] or inputs[j] != 0 or slope[j] != 0:
            chip.fed = j
            return


@part_kernel
def keep_inputs(chip, work, first, steps):
    """Keep what goes into the filter in steps of a block that is not yet full."""
    for j in range(first, first + steps):
        chip.fast_input[j, 0], chip.fast_input[j, 1] = work["input"][j], work["slope"][j]


@part_kernel
def is_idle(chip, room, frames, changes):
    """Whether the filter is at rest and nothing goes in up to the last frame of a block."""
    if (
        chip.unfed < IDLE_BLOCKS
        or chip.fed < FAST_STEPS
        or chip.frame_inputs[1, 0] != 0
        or chip.frame_inputs[2, 0] != 0
    ):
        return False
    for s in range(changes):
        if room.settings[s, 3]:
            return False
    return is_zero(room.routed_samples[:frames])


@part_kernel
def pass_idle_frames(chip, room, first_frame, frames, changes):
    """As `follow_frames` while the filter is idle."""
    if frames == 0:
        return
    inputs, mixed, middle = chip.frame_inputs, room.mixed_samples, 0
    before = inputs[2, 1]
    inputs[0, 0] = inputs[1, 0] = inputs[2, 0] = np.float32(0)
    for i in range(frames):
        mixed[i], before = before, mixed[i]
    inputs[2, 1] = before
    fill(room.low[:frames], chip.held[0])
    fill(room.band[:frames], chip.held[1])
    fill(room.high[:frames], chip.held[2])
    for i in range(max(0, frames - FAST_STEPS), frames):
        j = (first_frame + i - 1) % FAST_STEPS
        middle = setting_at(room.settings, changes, middle, (first_frame + i) * FRAME - WINDOW // 2)
        s, held = room.settings[middle], chip.fast_settings[j]
        held[0], held[1], held[2], held[3] = s[1], s[2], s[3], s[4]
        chip.fast_input[j, 0] = chip.fast_input[j, 1] = np.float32(0)


@part_kernel
def load_frames(chip, model, work):
    """Put the filter before the steps under way, and what they got already, into `work`."""
    copy(chip.filter, work["state"].ravel())
    for j in range(FAST_STEPS):
        work["input"][j], work["slope"][j] = chip.fast_input[j, 0], chip.fast_input[j, 1]
        set_frame(chip, model, work, j)


@part_kernel
def set_frame(chip, model, work, j):
    """What registers set for one step."""
    r = chip.fast_settings[j]
    set_step(work, model, j, r[0], r[1], r[2], r[3])


@part_kernel
def mix_frames(chip, model, room, first_frame, frames, changes, responses):
    """Mixer and volume: each setting in a frame's window by the share of the taps over its cycles."""
    settings, sound = room.settings, room.samples
    setting = done = 0
    if first_frame == 0 and frames:
        sound[0] = chip.recent[0]  # before the first cycle: silence
        done = 1
    while done < frames:
        start = (first_frame + done) * FRAME - WINDOW
        setting = setting_at(settings, changes, setting, start)
        until = setting_end(settings, changes, setting)
        if until >= start + WINDOW:
            end = min(frames, until // FRAME - first_frame + 1)
            mix_run(model, room, done, end, settings[setting], sound)
            done = end
            continue
        sound[done] = 0
        since = np.float32(0)
        for s in range(setting, changes):
            if settings[s, 0] >= start + WINDOW:
                break
            share = np.float32(1)
            if s + 1 < changes:
                share = responses[min(settings[s + 1, 0] - start, WINDOW)]
            mix_run(model, room, done, done + 1, settings[s], room.part)
            sound[done] += (share - since) * room.part[done]
            since = share
        done += 1


@part_kernel
def mix_run(model, room, first, end, setting, sound):
    """Mixer and volume for some frames under one setting, before the board's output stage."""
    mode = setting[4]
    scale, none = np.float32(model.filter_out_scale), np.float32(0)
    from_low = scale if mode & LOW_PASS else none
    from_band = scale if mode & BAND_PASS else none
    from_high = scale if mode & HIGH_PASS else none
    selected = count_bits(mode & (LOW_PASS | BAND_PASS | HIGH_PASS))
    silent = np.float32(model.voice_dc * past_filter(setting) + model.filter_out_offset[selected])
    total, mixed = room.total[first:end], room.mixed_samples[first:end]
    low, band, high = room.low[first:end], room.band[first:end], room.high[first:end]
    for i in range(end - first):
        total[i] = (mixed[i] + silent) + ((from_low * low[i] + from_band * band[i]) + from_high * high[i])
    convert_total(model, room, first, end, setting, sound[first:end])


# --- Fast mode in lanes ------------------------------------------------------------------------------------------
# `LANES` chips side by side, each with a log of its own, from power-on. Each adds up as `clock_chip_fast` does: to the
# last bit the same.


@kernel
def clock_batch(
    voices, chips, model, events, firsts, lengths, decimator, responses, rooms, works, sides, audio, places
):
    """Clock chips from power-on for `lengths` cycles; the log of each lies in `events` from its place in `firsts` on.

    Each one's sound goes to `audio` from its place in `places` on. `rooms` has one more for what they share.
    """
    work, side, shared, lanes = works[0], sides[0], rooms[LANES], lengths.size
    next_events, changes, frames = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    in_force = np.zeros((LANES, 6), np.int64)
    filled = places.copy()
    for t in range(FAST_STEPS * LANES):
        set_step(work, model, t, 0, 0, 0, 0)
    start, size, longest = np.int64(0), np.int64(FRAME), lengths.max()
    while start < longest:
        for lane in range(lanes):
            cycles = min(size, lengths[lane] - start)
            frames[lane] = max(cycles // FRAME, 0)
            if cycles > 0:
                chip, log = chips[lane], events[firsts[lane] : firsts[lane + 1]]
                next_events[lane], changes[lane] = draw_block(
                    voices[lane], chip, model, responses, log, next_events[lane], shared, cycles
                )
                decimate_inputs(chip, decimator, shared, frames[lane])
                hand_over(chip, shared, rooms[lane], side, lane, frames[lane], changes[lane])
                keep_drawn_block(chip, shared, cycles, changes[lane])
        follow_batch(chips, model, rooms, work, side, start // FRAME, frames, changes, in_force)
        for lane in range(lanes):
            cycles = min(size, lengths[lane] - start)
            if cycles > 0:
                chip, room, ready = chips[lane], rooms[lane], frames[lane]
                mix_frames(chip, model, room, start // FRAME, ready, changes[lane], responses)
                before = filled[lane]
                filled[lane] = finish(chip, model, room, decimator, room.samples[:ready], audio, before)
                clip_all(model, audio, before, filled[lane])
        start += size
        size = np.int64(BLOCK)  # the first one is the frame alone after which the filter's blocks begin


@part_kernel
def hand_over(chip, shared, room, side, lane, frames, changes):
    """From the shared room what the filter gets of a block to its lane, the rest, a frame later, to the chip's own."""
    put_in_lane(shared.routed_samples, side.fed[2 * LANES :], lane, frames)
    before = chip.frame_inputs[2, 1]
    for i in range(frames):
        room.mixed_samples[i] = before
        before = shared.mixed_samples[i]
    chip.frame_inputs[2, 1] = before
    for row in range(changes):
        copy(shared.settings[row], room.settings[row])


@part_kernel
def follow_batch(chips, model, rooms, work, side, first_frame, frames, changes, in_force):
    """As `follow_frames`, for as many frames of each lane."""
    now, due = np.zeros(LANES, np.int64), np.zeros(LANES, np.int64)
    inputs, slope, given = work["input"], work["slope"], side.fed
    first_step = (first_frame + FAST_STEPS - 1) % FAST_STEPS
    longest = frames.max()
    column = 0
    while column < longest:
        steps = FAST_STEPS - first_step
        first, size = first_step * LANES, steps * LANES
        at = column * LANES
        for t in range(size):
            inputs[first + t] = given[LANES + at + t]
            slope[first + t] = (given[2 * LANES + at + t] - given[at + t]) * np.float32(0.125)
        copy(work["state"].ravel(), work["kept"].ravel())
        for lane in range(LANES):
            if column < frames[lane]:
                known = min(steps, frames[lane] - column)
                if due[lane] < column + known:
                    set_lane_frames(
                        model, rooms[lane], work, lane, first_frame, column, first_step, known, changes[lane], now, due,
                        in_force,
                    )  # fmt: skip
                find_fed(chips[lane], work, lane, first_step, known, in_force[lane])
        solve_frames_in_lanes(work, model)
        for lane in range(LANES):
            if column < frames[lane]:
                take_lane(chips[lane], rooms[lane], work, lane, column, first_step, min(steps, frames[lane] - column))
        column += steps
        first_step = 0
    copy(given[longest * LANES : (longest + 2) * LANES], given[: 2 * LANES])


@part_kernel
def set_lane_frames(model, room, work, lane, first_frame, column, first_step, steps, changes, now, due, in_force):
    """Put what registers set for so many steps into a lane; `due` is the first frame of which it is not yet known."""
    settings, held = room.settings, in_force[lane]
    cycle = (first_frame + column) * FRAME - WINDOW // 2
    setting = setting_at(settings, changes, now[lane], cycle)
    now[lane] = setting
    s = settings[setting]
    due[lane] = (setting_end(settings, changes, setting) + WINDOW // 2 + FRAME - 1) // FRAME - first_frame
    if due[lane] >= column + steps:
        if s[1] != held[1] or s[2] != held[2] or s[3] != held[3] or s[4] != held[4]:
            copy(s, held)
            for j in range(FAST_STEPS):
                set_step(work, model, j * LANES + lane, s[1], s[2], s[3], s[4])
        return
    held[1] = -1
    held[3] = 0  # each step is looked at
    due[lane] = column + steps
    for n in range(steps):
        setting = setting_at(settings, changes, setting, cycle + n * FRAME)
        s = settings[setting]
        set_step(work, model, (first_step + n) * LANES + lane, s[1], s[2], s[3], s[4])


@part_kernel
def find_fed(chip, work, lane, first_step, steps, held):
    """Note the first of some steps in which something goes into a lane's filter."""
    if first_step == 0:
        chip.fed = FAST_STEPS
    if held[3]:
        chip.fed = min(chip.fed, first_step)
        return
    inputs, slope = work["input"], work["slope"]
    for j in range(first_step, first_step + steps):
        t = j * LANES + lane
        if work["summer_row"][t] > 2 * (LINES + 1) or inputs[t] != 0 or slope[t] != 0:
            chip.fed = min(chip.fed, j)
            return


@part_kernel
def take_lane(chip, room, work, lane, column, first_step, steps):
    """Take the filter's outputs in so many steps out of a lane; one whose chip is at rest keeps its state."""
    low, band, high = room.low, room.band, room.high
    low_out, band_out, high_out = work["low_out"], work["band_out"], work["high_out"]
    for n in range(steps):
        i, t = column + n, (first_step + n) * LANES + lane
        low[i], band[i], high[i] = low_out[t], band_out[t], high_out[t]
    if chip.unfed == IDLE_BLOCKS:
        for j in range(first_step, min(first_step + steps, chip.fed)):
            i = column + j - first_step
            low[i], band[i], high[i] = chip.held[0], chip.held[1], chip.held[2]
    if first_step + steps < FAST_STEPS:
        return
    fed = chip.fed < FAST_STEPS
    if chip.unfed == IDLE_BLOCKS and not fed:
        for row in range(work["state"].shape[0]):
            work["state"][row, lane] = work["kept"][row, lane]
        work["start"][0, lane], work["start"][1, lane] = work["kept"][0, lane], work["kept"][1, lane]
    count_unfed(chip, fed)
    if chip.unfed == IDLE_BLOCKS - 1:
        t = (FAST_STEPS - 1) * LANES + lane
        chip.held[0], chip.held[1], chip.held[2] = low_out[t], band_out[t], high_out[t]


@inline_part_kernel
def solve_frames_in_lanes(work, model):
    """As `solve_frames`."""
    forecast_lanes(work, np.float32(0.5))
    expand(work, model)
    square_maps(work)
    square_maps(work)
    join_halves(work)
    exchange_maps(work)
    follow_lane_maps(work)
    exchange_maps(work)
    follow_lane_inputs(work)
    go_half_a_step(work)
    make_outputs(work)


@inline_part_kernel
def exchange_maps(work):
    """Maps of whole steps in the place of those of their halves, or back."""
    a, b, c, d, p, q = work["a"], work["b"], work["c"], work["d"], work["p"], work["q"]
    whole_a, whole_b, whole_c, whole_d = work["whole_a"], work["whole_b"], work["whole_c"], work["whole_d"]
    whole_p, whole_q = work["whole_p"], work["whole_q"]
    for t in range(a.size):
        a[t], whole_a[t] = whole_a[t], a[t]
        b[t], whole_b[t] = whole_b[t], b[t]
        c[t], whole_c[t] = whole_c[t], c[t]
        d[t], whole_d[t] = whole_d[t], d[t]
        p[t], q[t] = whole_p[t], whole_q[t]


@inline_part_kernel
def follow_lane_inputs(work):
    """What the input has to do with the charges in the last step, for the forecast of the next."""
    state, a, b, c, d, u, v = work["state"], work["a"], work["b"], work["c"], work["d"], work["u"], work["v"]
    lanes = state.shape[1]
    for lane in range(lanes):
        t = u.size - lanes + lane
        state[9, lane] = u[t] + (a[t] * u[t] + b[t] * v[t])
        state[10, lane] = v[t] + (c[t] * u[t] + d[t] * v[t])


# --- Decimator ---------------------------------------------------------------------------------------------------


@part_kernel
def filter_frames(taps, sound, room, samples):
    """First stage: each frame's sample from its own cycles and those before, which come first in `sound`."""
    separate(sound, room.parts.ravel(), samples.size + STAGE1_FRAMES - 1)
    fill(samples, np.float32(0))
    for frame in range(STAGE1_FRAMES):
        add_products(taps[frame * FRAME : (frame + 1) * FRAME], room.parts.ravel(), frame, samples)


@part_kernel
def separate(sound, parts, frames):
    """Put the same cycle of all frames side by side, [cycle in frame * ROOM_FRAMES + frame]."""
    for i in range(frames):
        parts[i], parts[ROOM_FRAMES + i] = sound[8 * i], sound[8 * i + 1]
        parts[2 * ROOM_FRAMES + i], parts[3 * ROOM_FRAMES + i] = sound[8 * i + 2], sound[8 * i + 3]
        parts[4 * ROOM_FRAMES + i], parts[5 * ROOM_FRAMES + i] = sound[8 * i + 4], sound[8 * i + 5]
        parts[6 * ROOM_FRAMES + i], parts[7 * ROOM_FRAMES + i] = sound[8 * i + 6], sound[8 * i + 7]


@part_kernel
def add_products(t, parts, frame, samples):
    """Add the share of eight taps to each frame's sample."""
    n = ROOM_FRAMES
    p0, p1, p2, p3 = parts[frame:], parts[n + frame :], parts[2 * n + frame :], parts[3 * n + frame :]
    p4, p5, p6, p7 = parts[4 * n + frame :], parts[5 * n + frame :], parts[6 * n + frame :], parts[7 * n + frame :]
    for i in range(samples.size):
        samples[i] += ((t[0] * p0[i] + t[1] * p1[i]) + (t[2] * p2[i] + t[3] * p3[i])) + (
            (t[4] * p4[i] + t[5] * p5[i]) + (t[6] * p6[i] + t[7] * p7[i])
        )


@part_kernel
def halve(chip, taps, room, samples):
    """Half-band filter: `room.halves` gets a sample for each two of the first stage; return how many.

    Of the `HALF_TAPS` every other one is 0 but that in the middle, 1/2; `taps` has half of the rest, which mirrors it.
    """
    waiting = HALF_TAPS - 2 + (chip.cycle // FRAME - samples.size) % 2
    queue, even, odd, halves = room.queue, room.even, room.odd, room.halves
    copy(chip.waiting, queue[:waiting])
    copy(samples, queue[waiting : waiting + samples.size])
    waiting += samples.size
    pairs = (waiting - (HALF_TAPS - 2)) // 2
    for i in range(pairs + HALF_TAPS // 2):
        even[i], odd[i] = queue[2 * i], queue[2 * i + 1]
    half, last, middle = np.float32(0.5), HALF_TAPS // 2, HALF_TAPS // 4
    for i in range(pairs):
        halves[i] = half * odd[i + middle]
    for k in range(taps.size):
        tap, early, late = taps[k], even[k : k + pairs], even[last - k : last - k + pairs]
        for i in range(pairs):
            halves[i] += tap * (early[i] + late[i])
    copy(queue[2 * pairs : waiting], chip.waiting[: waiting - 2 * pairs])
    return pairs


@part_kernel
def write_samples(chip, decimator, samples, under_way, room, audio, filled):
    """Last stage: take more samples and write the outputs that are due, `under_way` cycles after the last of them."""
    if decimator.sample_rate == decimator.clock_hz and decimator.step == 1:
        copy(samples, audio[filled : filled + samples.size])
        return filled + samples.size
    phases, taps, rows = decimator.stage2.shape[0], decimator.stage2.shape[1] // 2, decimator.stage2.ravel()
    unit = decimator.step * decimator.sample_rate
    history = chip.history
    if chip.history_end + samples.size > HISTORY:
        copy(history[chip.history_end - taps :], history[:taps])
        chip.history_end = taps
    copy(samples, history[chip.history_end : chip.history_end + samples.size])
    until = samples.size * unit + under_way * decimator.sample_rate
    due = chip.sample_due
    newest, rest = due // unit, due % unit  # kept up by adding: a division costs as much as a quarter of the taps
    whole, part = decimator.clock_hz // unit, decimator.clock_hz % unit
    per_unit = phases / unit
    while due <= until:
        made = 0
        while due <= until and made < OUTPUTS:
            position = rest * per_unit
            phase = int(position)
            share = np.float32(position - phase)
            first = chip.history_end + newest - taps
            multiply(rows, 2 * taps * phase, share, taps, history, first, room.products, made * TAP_LANES)
            made += 1
            due += decimator.clock_hz
            newest += whole
            rest += part
            if rest >= unit:
                rest -= unit
                newest += 1
        add_up(room.products, room.halved, room.sums)
        copy(room.sums[:made], audio[filled : filled + made])
        filled += made
    chip.history_end += samples.size
    chip.sample_due = due - samples.size * unit
    return filled


@inline_part_kernel
def multiply(rows, row, share, taps, history, first, products, to):
    """First part of a sum of products with taps between two rows: `TAP_LANES` are left to add up."""
    tap, step, sample = np.uint64(row), np.uint64(row + taps), np.uint64(first)  # indices that numba need not look at
    for n in range(TAP_LANES):
        products[np.uint64(to + n)] = np.float32(0)
    for _ in range(0, taps, TAP_LANES):
        for n in range(TAP_LANES):
            k = np.uint64(n)
            products[np.uint64(to) + k] += (rows[tap + k] + share * rows[step + k]) * history[sample + k]
        tap, step, sample = tap + np.uint64(TAP_LANES), step + np.uint64(TAP_LANES), sample + np.uint64(TAP_LANES)


@inline_part_kernel
def add_up(products, halved, sums):
    """The rest, for `OUTPUTS` at a time: in an order that is the same on every machine."""
    half = TAP_LANES // 2
    for i in range(OUTPUTS):
        for k in range(half):
            halved[half * i + k] = products[2 * half * i + k] + products[2 * half * i + half + k]
    for i in range(OUTPUTS):
        n = half * i
        a, b, c, d = halved[n], halved[n + 1], halved[n + 2], halved[n + 3]
        e, f, g, h = halved[n + 4], halved[n + 5], halved[n + 6], halved[n + 7]
        sums[i] = ((a + b) + (c + d)) + ((e + f) + (g + h))


# --- Events, reading back ----------------------------------------------------------------------------------------


@part_kernel
def write_due(voices, chip, model, events, next_event):
    """Write what is due before the cycle that comes; return the first event that is not."""
    while next_event < len(events) and events[next_event].cycle <= chip.cycle:
        event = events[next_event]
        write_register(voices, chip, model, np.int64(event.register), np.int64(event.value))
        next_event += 1
    return next_event


@part_kernel
def cycles_to_write(chip, events, next_event, limit):
    """Cycles until the next of `events` is due, `limit` at the most."""
    return min(limit, events[next_event].cycle - chip.cycle) if next_event < len(events) else limit


@kernel
def clock_readback(voices, chip, model, events, osc3, env3):
    """Play `events` without sound; what a read after each cycle gives goes to `osc3` and `env3`."""
    wave = np.empty(BLOCK, np.uint16)
    next_event = done = np.int64(0)
    while done < osc3.size:
        next_event = write_due(voices, chip, model, events, next_event)
        end = done + cycles_to_write(chip, events, next_event, min(osc3.size - done, BLOCK))
        read_voice_3(voices, chip, model, wave, osc3[done:end], env3[done:end])
        done = end


@part_kernel
def read_voice_3(voices, chip, model, wave, osc3, env3):
    """Clock the digital half without writes, as `clock_voices`; what a read after each cycle gives goes to `osc3` and
    `env3`."""
    done = 0
    while done < osc3.size:
        leap, single = plan_leap(voices, chip, model, osc3.size - done)
        if leap:
            leap_voice_3(voices, chip, model, wave[:leap], osc3[done : done + leap], env3[done : done + leap])
            done += leap
        for i in range(done, done + single):
            clock_digital(voices, chip, model)
            osc3[i] = voices[LAST_VOICE].osc3 >> 4
            env3[i] = voices[LAST_VOICE].env3
        done += single


@part_kernel
def leap_voice_3(voices, chip, model, wave, osc3, env3):
    """Clock the digital half for cycles that are known ahead, as `leap_voices`."""
    for v in range(VOICES):
        leap_noise(voices[v], model, wave, wave.size)
        if v != LAST_VOICE:
            leap_envelope(voices[v], wave.size)
    make_osc3(voices[LAST_VOICE], voices[LAST_VOICE - 1], model, wave)
    for i in range(wave.size):
        osc3[i] = wave[i] >> 4
    done = 0
    while done < env3.size:
        env3[done] = voices[LAST_VOICE].envelope_counter  # as it was at the start of the cycle
        end = done + hold_envelope(voices[LAST_VOICE], env3.size - done)
        fill(env3[done + 1 : end], voices[LAST_VOICE].envelope_counter)
        done = end
    leap_oscillators(voices, model, wave.size)
    chip.cycle += wave.size


@kernel
def clock_until_silent(voices, chip, model, events, cycles, limit):
    """Clock the envelopes alone, through `events` and `cycles`; return how many cycles later all are at zero.

    The state after that is of no use: some voices are ahead of others.
    """
    next_event = done = np.int64(0)
    while done < cycles:
        next_event = write_due(voices, chip, model, events, next_event)
        size = cycles_to_write(chip, events, next_event, cycles - done)
        for v in range(VOICES):
            leap_envelope(voices[v], size)
        chip.cycle += size
        done += size
    return cycles_to_silence(voices, limit)


@part_kernel
def cycles_to_silence(voices, limit):
    """Cycles until all envelopes are at zero, `limit` at the most."""
    held = np.zeros(VOICES, np.int64)  # cycles still to come with the level that a voice has now
    done = 0
    if is_silent(voices):
        return done
    while done < limit:
        for v in range(VOICES):
            if held[v] == 0:
                held[v] = hold_envelope(voices[v], limit - done)
        if is_silent(voices):
            return done + 1
        shortest = min(held[0], held[1], held[2])
        held -= shortest
        done += shortest
    return limit


@part_kernel
def is_silent(voices):
    """Whether all envelopes are at zero."""
    return voices[0].envelope_counter == voices[1].envelope_counter == voices[2].envelope_counter == 0


@part_kernel
def clock_envelopes(voices):
    """Clock all envelope generators by one cycle."""
    for v in range(VOICES):
        clock_envelope(voices[v])
