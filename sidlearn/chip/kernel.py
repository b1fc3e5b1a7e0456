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
from typing import NamedTuple

import numpy as np

from sidlearn._kernel import kernel
from sidlearn.chip.models import VCR_ZERO
from sidlearn.chip.state import ATTACK, DECAY, FRAME, HISTORY, NEVER, RELEASE, STAGE1_FRAMES
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

BLOCK_FRAMES = 128
"""Frames of sound that are decimated at a time."""
BLOCK = BLOCK_FRAMES * FRAME


class Levels(NamedTuple):
    """Sums of voltages in every cycle of a stretch without writes, float64 (cycles,)."""

    routed: np.ndarray
    mixed: np.ndarray
    filtered: np.ndarray
    wave: np.ndarray
    """12-bit waveform of the voice under way, uint16 (cycles,)."""


SHORT_LEAP = 8
"""Fewer cycles than this are clocked one by one: the price of a leap."""
HARD_CYCLES = 32
"""Cycles clocked one by one before the next look whether the state allows a leap."""


FOREVER = 1 << 62
"""A cycle that never comes."""

OPEN_POT = 255
"""A paddle input with nothing on it never reaches its threshold. Source: MOS 6581 data sheet."""


# --- Registers ---------------------------------------------------------------------------------------------------


@kernel
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


@kernel
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


@kernel
def read_bus(chip, model):
    """The value left on the data bus, if it is still there."""
    if chip.cycle >= chip.bus_cycle:
        return 0
    if model.bus_halves:  # measured on pyresidfp 0.17.0: such a read halves the time left, and from 0 on nothing counts
        left = (chip.bus_cycle - chip.cycle) // 2
        chip.bus_cycle = chip.cycle + left if left else FOREVER
    return chip.bus_value


@kernel
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


@kernel
def select_waveform(voice, chip, model, waveform):
    """Switch waveforms to the output; with none, the DAC input floats and begins to fade."""
    voice.waveform = waveform
    voice.no_pulse = 0 if waveform & WAVE_PULSE else 0xFFF
    voice.no_noise = 0 if waveform & WAVE_NOISE else 0xFFF
    voice.combined = combined_row(waveform, model)
    voice.fade_cycle = NEVER if waveform else chip.cycle + model.fade_t0 - 1


@kernel
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


@kernel
def start_test(voice, chip, model):
    """TEST holds the oscillator at zero and the noise register in the first phase of a shift."""
    voice.test = 1
    voice.accumulator = 0
    voice.msb_rising = 0
    voice.noise_pipeline = 0
    voice.noise_latch = voice.noise_register
    voice.creep_cycle = chip.cycle + model.test_t0 - 1


# --- Oscillator --------------------------------------------------------------------------------------------------


@kernel
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


@kernel
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


@kernel
def synchronise(voices):
    """Hard sync: a voice starts again when its neighbour's top bit rises, unless that one is just synced too."""
    for v in range(VOICES):
        source = (v + LAST_VOICE) % VOICES
        if voices[v].sync and voices[source].msb_rising:
            if not (voices[source].sync and voices[(source + LAST_VOICE) % VOICES].msb_rising):
                voices[v].accumulator = 0


# --- Noise -------------------------------------------------------------------------------------------------------


@kernel
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


@kernel
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


@kernel
def latch_noise(voice):
    """First phase of a shift: the cells are latched, and so is the end of TEST."""
    voice.noise_test = 0
    voice.noise_latch = voice.noise_register


@kernel
def shift_noise(voice, model, waveform_before):
    """Second phase of a shift: the cells take over their neighbours' latched values."""
    latch = voice.noise_latch
    if writes_back(waveform_before, voice.waveform, model):
        latch = (latch & ~TAPS) | noise_taps(voice.output)
    feedback = ((latch >> 22 | voice.noise_test) ^ latch >> 17) & 1
    voice.noise_register = (latch << 1 & ALL_ONES) | feedback
    voice.noise = noise_output(voice.noise_register)


@kernel
def writes_back(before, after, model):
    """Whether the output of a combined waveform overwrites the noise register during a shift.

    A fitted rule: 12 of the 110 write-back programs among the VICE test programs still disagree with it.
    """
    if before <= 8 or after < 8 or (after == 8 and before != 0xF):
        return False
    if not model.is_8580:
        low_before, low_after = before & 3, after & 3
        if (low_before == 1 and low_after == 2) or (low_before == 2 and low_after == 1):
            return False
    return before != 0xC and after != 0xC


@kernel
def write_back_noise(voice):
    """Noise beside other waveforms: their zeros pull the register's taps down."""
    if voice.test or voice.noise_pipeline == 1:
        voice.noise = voice.output
    else:
        voice.noise_register &= ~TAPS | noise_taps(voice.output)
        voice.noise &= voice.output


# --- Waveform ----------------------------------------------------------------------------------------------------


@kernel
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
            write_back_noise(voice)
    compare_pulse_width(voice)
    if model.latch_always:
        latch_triangle_sawtooth(voice, source)


@kernel
def triangle_sawtooth(voice, source):
    """Triangle and sawtooth, wire-ANDed or as the phase that both come from; all ones if neither is selected."""
    folded = (voice.accumulator ^ (~source.accumulator & voice.ring_mask)) >> 12
    if voice.waveform & WAVE_SAWTOOTH:
        return folded & folded << 1 if is_wired(voice) else folded
    if voice.waveform & WAVE_TRIANGLE:
        return ((folded ^ 0xFFF if folded & 0x800 else folded) << 1) & 0xFFF
    return 0xFFF


@kernel
def is_wired(voice):
    """Whether sawtooth and triangle are selected, and go by their AND."""
    both = WAVE_SAWTOOTH | WAVE_TRIANGLE
    return voice.waveform & both == both and voice.combined < ST_BY_PHASE


@kernel
def pull_down(voice, model, value):
    """Zeros of combined waveforms pull the neighbouring ones down."""
    return int(model.combined[voice.combined, value]) if voice.combined >= 0 else value


@kernel
def pulse_output(voice, model):
    """All bits of the pulse: high while last cycle's accumulator is PW or more, or TEST is held.

    Real chips use the PW of this cycle (VICE test program oscsample1), residfp that of the cycle before.
    """
    if model.pw_delay:
        return voice.pulse
    return 0xFFF if voice.test or voice.compared >= voice.pulse_width else 0


@kernel
def compare_pulse_width(voice):
    """What the pulse comparator gives and sees in the next cycle."""
    voice.compared = voice.accumulator >> 12
    voice.pulse = 0xFFF if voice.compared >= voice.pulse_width else 0


@kernel
def pull_top_bit(voice):
    """6581: sawtooth's bit 11 is the accumulator's own top bit. Source: VICE test program osc_topbit."""
    if voice.waveform & WAVE_SAWTOOTH and not voice.output & 0x800:
        voice.msb_rising = 0
        voice.accumulator &= 0x7FFFFF


@kernel
def osc3_8580(voice, model, triangle_saw, gates):
    """OSC3 of the 8580: triangle and sawtooth come one cycle late."""
    value = latched_triangle_sawtooth(voice, model)
    if not model.latch_always and voice.waveform & (WAVE_TRIANGLE | WAVE_SAWTOOTH):
        voice.latch = triangle_saw  # residfp: the latch is loaded only while one of the two is selected
    return pull_down(voice, model, value & gates)


@kernel
def latched_triangle_sawtooth(voice, model):
    """Triangle and sawtooth of the cycle before, for OSC3 of the 8580; all ones if neither is selected."""
    if not voice.waveform & (WAVE_TRIANGLE | WAVE_SAWTOOTH):
        return 0xFFF
    if not model.latch_always:
        return voice.latch
    if voice.waveform & WAVE_SAWTOOTH:
        return voice.latch & (voice.latch << 1 if is_wired(voice) else 0xFFF)
    return voice.latch << 1 & 0xFFF


@kernel
def latch_triangle_sawtooth(voice, source):
    """8580: the accumulator's upper 12 bits, folded unless sawtooth is selected, are latched in every cycle.

    Source: SID netlist (0 wrong cycles of 500,452), but with the top bit latched too, as real 8580s read (ref8580).
    """
    upper = voice.accumulator >> 12
    fold = (voice.accumulator ^ (~source.accumulator & voice.ring_mask)) & 0x800000
    if fold and not voice.waveform & WAVE_SAWTOOTH:
        upper ^= 0x7FF
    voice.latch = upper


@kernel
def fade_output(voice, chip, model):
    """No waveform: the DAC input floats, and loses its bits after a time."""
    if chip.cycle == voice.fade_cycle:
        voice.output &= voice.output >> 1
        voice.osc3 = voice.output
        voice.fade_cycle = chip.cycle + model.fade_t1 if voice.output else NEVER


# --- Envelope ----------------------------------------------------------------------------------------------------


@kernel
def rate_period(rate):
    """Cycles of one rate event for a nibble of ATTACK_DECAY or SUSTAIN_RELEASE. Source: SID netlist."""
    if rate < 8:
        if rate < 4:
            return (9 if rate == 0 else 32) if rate < 2 else (63 if rate == 2 else 95)
        return (149 if rate == 4 else 220) if rate < 6 else (267 if rate == 6 else 313)
    if rate < 12:
        return (392 if rate == 8 else 977) if rate < 10 else (1954 if rate == 10 else 3126)
    return (3907 if rate == 12 else 11720) if rate < 14 else (19532 if rate == 14 else 31251)


@kernel
def select_rate(voice):
    """Compare the rate counter with the period of the state that runs."""
    if voice.envelope_state == ATTACK:
        voice.rate_last = rate_period(voice.attack) - 1
    elif voice.envelope_state == DECAY:
        voice.rate_last = rate_period(voice.decay) - 1
    else:
        voice.rate_last = rate_period(voice.release) - 1


@kernel
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


@kernel
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


@kernel
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


@kernel
def enter_state(voice, state):
    """Run with the rate of `state`."""
    voice.envelope_state = state
    select_rate(voice)


@kernel
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


@kernel
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


@kernel
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


@kernel
def clock_digital(voices, chip, model):
    """Clock the digital half by one cycle: it leaves `output` and `envelope_counter` in each of the voices."""
    for v in range(VOICES):
        clock_oscillator(voices[v], chip, model)
    clock_envelopes(voices)
    for v in range(VOICES):
        clock_waveform(voices[v], voices[(v + LAST_VOICE) % VOICES], chip, model)
    synchronise(voices)
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


@kernel
def voice_range(envelope, model):
    """Voltage of one voice at wave level 0, and per unit of wave level, for an 8-bit envelope."""
    level = float(model.dac_env[envelope])
    return model.voice_dc + model.voice_drift * level, model.voice_range * level


@kernel
def external_levels(chip, model):
    """Voltage of EXT IN into the filter, and past it."""
    level = model.voice_dc + model.voice_range * model.ext_in
    return (level, 0.0) if chip.routing & FILTEX else (0.0, level)


@kernel
def is_mixed(n, chip):
    """Whether voice `n` goes past the filter into the mixer."""
    return not chip.routing >> n & 1 and (n != LAST_VOICE or not chip.mode & VOICE_3_OFF)


@kernel
def new_levels():
    """Room for the sums of a stretch."""
    return Levels(np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK, np.uint16))


@kernel
def add_voices(voices, chip, model, levels, i):
    """Add EXT IN and the outputs of the voices up, those through the filter and those past it."""
    routed, mixed = external_levels(chip, model)
    for n in range(VOICES):
        zero, per_wave = voice_range(voices[n].envelope_counter, model)
        level = zero + per_wave * model.dac_wave[voices[n].output]
        if chip.routing >> n & 1:
            routed += level
        elif is_mixed(n, chip):
            mixed += level
    levels.routed[i] = routed
    levels.mixed[i] = mixed


# --- Many cycles at a time ---------------------------------------------------------------------------------------
# What comes is known ahead but for rare events: a sync, cells that fade, the 6581's top bit pulled down. A leap goes up
# to the next one, whose cycle is then clocked by `clock_digital`, as is every cycle of a hard state.


@kernel
def clock_voices(voices, chip, model, levels, size):
    """Clock the digital half for `size` cycles without writes; the sums of voices and EXT IN go to `levels`."""
    done = 0
    while done < size:
        leap, single = plan_leap(voices, chip, model, size - done)
        if leap:
            leap_voices(voices, chip, model, levels, done, leap)
            done += leap
        for i in range(done, done + single):
            clock_digital(voices, chip, model)
            add_voices(voices, chip, model, levels, i)
        done += single


@kernel
def plan_leap(voices, chip, model, limit):
    """How many cycles to leap, and how many to clock one by one then, no more than `limit` in all."""
    for v in range(VOICES):
        if is_hard(voices[v], model):
            return 0, min(limit, HARD_CYCLES)
        limit = min(limit, cycles_to_event(voices[v], voices[(v + 1) % VOICES], chip, model))
    return (limit - 1, 1) if limit > SHORT_LEAP else (0, limit)


@kernel
def is_hard(voice, model):
    """Whether each output may change what comes: noise writes back, or the top bit is high and may be pulled down."""
    if voice.waveform > WAVE_NOISE and not is_noise_dead(voice, model):
        return True
    return pulls_top_bit(voice, model) and voice.accumulator >= 0x800000


@kernel
def is_noise_dead(voice, model):
    """Whether noise beside other waveforms has emptied its register: outside TEST it stays so, and the output at 0."""
    output = voice.output | voice.osc3 | pull_down(voice, model, 0)
    return output | voice.noise | voice.noise_register | voice.noise_pipeline | voice.noise_test | voice.test == 0


@kernel
def pulls_top_bit(voice, model):
    """Whether bit 11 of the output can be low while the accumulator's top bit is high, see `pull_top_bit`."""
    return not model.is_8580 and voice.waveform & WAVE_SAWTOOTH and voice.waveform != WAVE_SAWTOOTH


@kernel
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


@kernel
def cycles_to(deadline, chip):
    """Cycles up to and with the one of a deadline."""
    return deadline - chip.cycle + 1 if deadline >= chip.cycle else FOREVER


@kernel
def cycles_for(way, frequency):
    """Cycles in which an accumulator goes that way or more."""
    return (way + frequency - 1) // frequency if frequency else FOREVER


@kernel
def way_to_rise(voice, bit):
    """What has to be added to the accumulator until a bit of it goes up: 1 to twice the bit."""
    return ((bit - 1 - voice.accumulator) & (2 * bit - 1)) + 1


@kernel
def leap_voices(voices, chip, model, levels, first, size):
    """Clock the digital half for `size` cycles that are known ahead, into `levels` from `first` on.

    What no later cycle depends on (`output`, `osc3`, `env3`, `msb_rising`) is left to the cycle clocked after these.
    """
    routed, mixed = external_levels(chip, model)
    fill(levels.routed[first : first + size], routed)
    fill(levels.mixed[first : first + size], mixed)
    for v in range(VOICES):
        leap_noise(voices[v], model, levels.wave, size)
        if chip.routing >> v & 1 or is_mixed(v, chip):
            sums = levels.routed if chip.routing >> v & 1 else levels.mixed
            make_wave(voices[v], voices[(v + LAST_VOICE) % VOICES], model, levels.wave[:size])
            add_voice(voices[v], model, levels.wave[:size], sums[first : first + size])
        else:
            leap_envelope(voices[v], size)
    leap_oscillators(voices, model, size)
    chip.cycle += size


@kernel
def fill(array, value):
    """Set all cycles to one value."""
    for i in range(array.size):
        array[i] = value


@kernel
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


@kernel
def phase_step(voice):
    """What is added to the accumulator in each cycle."""
    return 0 if voice.test else voice.frequency


@kernel
def leap_noise(voice, model, wave, size):
    """Clock the noise register for `size` cycles, ahead of the accumulator; noise, if selected, goes to `wave`."""
    done = 0
    if voice.test:
        voice.noise_test = 1
    else:
        way = way_to_rise(voice, 0x080000)
        rise = voice.noise_pipeline - 3  # the cycle in which bit 19 rose; the register moves two cycles later
        if voice.noise_pipeline == 0:
            rise = cycles_for(way, voice.frequency) - 1
            way += 0x100000
        while rise + 2 < size:
            hold_noise(voice, wave, done, rise + 2)
            done = rise + 2
            if rise + 1 >= 0:
                latch_noise(voice)
            shift_noise(voice, model, voice.waveform)
            rise = cycles_for(way, voice.frequency) - 1
            way += 0x100000
        if rise + 2 == size and size > 1:
            latch_noise(voice)
        voice.noise_pipeline = max(rise + 3 - size, 0) if rise < size else 0
    hold_noise(voice, wave, done, size)


@kernel
def hold_noise(voice, wave, first, end):
    """The noise register keeps still in these cycles."""
    if voice.waveform == WAVE_NOISE:
        fill(wave[first:end], voice.noise)


@kernel
def leap_envelope(voice, size):
    """Clock an envelope generator for `size` cycles."""
    while size:
        size -= hold_envelope(voice, size)


@kernel
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


@kernel
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


@kernel
def cycles_to_action(voice, to_match):
    """Cycles up to a rate event that is not but counted, if the rate counter meets its period after `to_match`."""
    if voice.envelope_state == ATTACK:
        return to_match + 1
    counted = voice.exponential_period - 1 - voice.exponential_counter
    if counted < 0 or not voice.envelope_enabled:
        return FOREVER
    return to_match + 1 + counted * (voice.rate_last + 1)


@kernel
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


@kernel
def is_flat(voice):
    """Whether the output holds its value through a leap: it floats, or its noise is dead."""
    return voice.waveform == 0 or voice.waveform > WAVE_NOISE


@kernel
def make_wave(voice, source, model, wave):
    """Fill `wave` with a voice's outputs to come, ahead of the accumulators; noise alone stands there already."""
    if is_flat(voice):
        fill(wave, voice.output)
    elif voice.waveform != WAVE_NOISE:
        fill_triangle_sawtooth(
            voice, wave, voice.accumulator + phase_step(voice), source.accumulator + phase_step(source), source
        )
        combine_wave(voice, model, wave)


@kernel
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


@kernel
def fill_triangle_sawtooth(voice, wave, phase, source_phase, source):
    """Fill `wave` as `triangle_sawtooth` does, from phases on that it begins with."""
    step, source_step = phase_step(voice), phase_step(source)
    if voice.waveform & WAVE_SAWTOOTH:
        for i in range(wave.size):
            wave[i] = (phase + step * i) >> 12 & 0xFFF
        if is_wired(voice):
            for i in range(wave.size):
                wave[i] &= wave[i] << 1
    elif voice.waveform & WAVE_TRIANGLE:
        for i in range(wave.size):
            here = phase + step * i
            fold = (here ^ (~(source_phase + source_step * i) & voice.ring_mask)) >> 23 & 1
            wave[i] = (here >> 11 ^ -fold) & 0xFFE
    else:
        fill(wave, 0xFFF)


@kernel
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


@kernel
def add_voice(voice, model, wave, sums):
    """Add a voice to `sums`: its `wave` by its envelope, which is clocked on the way."""
    two_levels = voice.waveform == WAVE_PULSE or is_flat(voice)
    low, high = (0, 0xFFF) if voice.waveform == WAVE_PULSE else (voice.output, voice.output)
    done = 0
    while done < wave.size:
        end = done + hold_envelope(voice, wave.size - done)
        zero, per_wave = voice_range(voice.envelope_counter, model)
        if two_levels:
            low_level, high_level = zero + per_wave * model.dac_wave[low], zero + per_wave * model.dac_wave[high]
            add_two_levels(wave[done:end], sums[done:end], low_level, high_level)
        else:
            add_wave(wave[done:end], sums[done:end], model.dac_wave, zero, per_wave)
        done = end


@kernel
def add_wave(wave, sums, dac_wave, zero, per_wave):
    """Add a voice while its envelope holds."""
    for i in range(wave.size):
        sums[i] += zero + per_wave * dac_wave[wave[i]]


@kernel
def add_two_levels(wave, sums, low, high):
    """The same for a waveform of two levels, the lower one where it is 0."""
    for i in range(wave.size):
        sums[i] += high if wave[i] else low


@kernel
def count_bits(nibble):
    """Number of ones in four bits."""
    return (nibble & 1) + (nibble >> 1 & 1) + (nibble >> 2 & 1) + (nibble >> 3 & 1)


@kernel
def clock_filter(chip, model, levels, size):
    """Clock the state-variable filter for `size` cycles; what it gives to the mixer goes to `levels.filtered`."""
    inputs = count_bits(chip.routing) + 2
    summer = model.summer[inputs]
    per_input = (summer.size - 1) / inputs
    resonance = model.resonance[chip.resonance]
    per_unit = resonance.size - 1
    low = 1.0 if chip.mode & LOW_PASS else 0.0
    band = 1.0 if chip.mode & BAND_PASS else 0.0
    high = 1.0 if chip.mode & HIGH_PASS else 0.0
    vbp, vlp = chip.vbp, chip.vlp
    bp_vx, bp_vc, lp_vx, lp_vc = chip.bp_vx, chip.bp_vc, chip.lp_vx, chip.lp_vc
    vhp = chip.vhp
    for i in range(size):
        damping = between(resonance, vbp * per_unit)
        vhp = between(summer, (levels.routed[i] + damping + vlp) * per_input)
        if model.is_8580:
            bp_vx, bp_vc = integrate_8580(vhp, bp_vx, bp_vc, chip.cutoff, model)
            vbp = bp_vx - bp_vc
            lp_vx, lp_vc = integrate_8580(vbp, lp_vx, lp_vc, chip.cutoff, model)
        else:
            bp_vx, bp_vc = integrate_6581(vhp, bp_vx, bp_vc, chip.cutoff, model)
            vbp = bp_vx - bp_vc
            lp_vx, lp_vc = integrate_6581(vbp, lp_vx, lp_vc, chip.cutoff, model)
        vlp = lp_vx - lp_vc
        levels.filtered[i] = low * vlp + band * vbp + high * vhp
    chip.vhp, chip.vbp, chip.vlp = vhp, vbp, vlp
    chip.bp_vx, chip.bp_vc, chip.lp_vx, chip.lp_vc = bp_vx, bp_vc, lp_vx, lp_vc


@kernel
def vcr_current(over, model):
    """Charge per cycle from one end of the voltage-controlled resistor, its gate's overdrive there being `over`."""
    return between(model.vcr_current, over * model.vcr_current.size + VCR_ZERO)


@kernel
def integrate_6581(vi, vx, vc, fc, model):
    """One cycle of an integrator of the 6581; gives the new op-amp input and charge.

    Two transistors in parallel feed it: the long thin "snake" in triode, and a voltage-controlled resistor by the EKV
    law, whose gate follows cutoff and input.
    """
    over_in = model.drive - vi
    over_x = model.drive - vx
    snake = model.snake * (over_x * over_x - over_in * over_in)
    gate = model.drive - model.threshold - math.sqrt(model.vcr_gate[fc] + 0.5 * over_in * over_in)
    vc = vc + snake + (vcr_current(gate - vx, model) - vcr_current(gate - vi, model))
    return opamp_input(vc, model), vc


@kernel
def integrate_8580(vi, vx, vc, fc, model):
    """One cycle of an integrator of the 8580, fed by as many transistors in triode as FC has set."""
    over_in = max(model.drive - vi, 0.0)
    over_x = model.drive - vx
    vc = vc + model.cutoff[fc] * (over_x * over_x - over_in * over_in)
    return opamp_input(vc, model), vc


@kernel
def opamp_input(vc, model):
    """Input of an integrator's op-amp for the charge on its capacitor."""
    half = 0.5 * (model.opamp_reverse.size - 1)
    return between(model.opamp_reverse, vc * half + half)


@kernel
def mix(chip, model, levels, size, block, column):
    """Mixer, volume and the output stage of the board for `size` cycles: sound, -1..1."""
    past = 4 - count_bits(chip.routing)
    if chip.mode & VOICE_3_OFF and not chip.routing & FILT3:
        past -= 1
    selected = count_bits(chip.mode & (LOW_PASS | BAND_PASS | HIGH_PASS))
    mixer = model.mixer[past + selected]
    per_input = (mixer.size - 1) / max(past + selected, 1)
    volume = model.volume[chip.volume]
    per_unit = volume.size - 1
    offset = model.filter_out_offset[selected]
    for i in range(size):
        total = levels.mixed[i] + (model.filter_out_scale * levels.filtered[i] + offset)
        level = between(volume, between(mixer, total * per_input) * per_unit)
        level = clip(external_filter(chip, level, model), model.clip_knee)
        block[(column + i) % FRAME, STAGE1_FRAMES + (column + i) // FRAME] = level


@kernel
def external_filter(chip, level, model):
    """Low-pass and DC block of the C64's board, clocked for one cycle."""
    level = (level - model.output_zero) * model.output_scale
    out = chip.ext_vlp - chip.ext_vhp
    chip.ext_vhp += model.high_pass * (chip.ext_vlp - chip.ext_vhp)
    chip.ext_vlp += model.low_pass * (level - chip.ext_vlp)
    return out


@kernel
def clip(level, knee):
    """Soft clip of the sound to -1..1: straight up to the knee, hyperbolic tangent above."""
    if abs(level) <= knee:
        return level
    room = 1 - knee
    return math.copysign(knee + room * math.tanh((abs(level) - knee) / room), level)


# --- Decimator ---------------------------------------------------------------------------------------------------


@kernel
def new_block():
    """Room for sound at chip rate, [cycle in frame, frame]: first the frames that its first sample looks back to."""
    return np.zeros((FRAME, STAGE1_FRAMES + BLOCK_FRAMES + 1), np.float32)


@kernel
def decimate(chip, block, cycles, decimator, audio, filled):
    """Take the sound of `cycles` more cycles, which stands in `block` from the cycle under way on.

    Writes what is due to `audio` from `filled` on, and returns how far it is filled then.
    """
    # Loops here and below: an assignment of slices costs two seconds of compilation.
    for cycle in range(FRAME):
        for frame in range(STAGE1_FRAMES + 1 if cycle < chip.frame_cycle else STAGE1_FRAMES):
            block[cycle, frame] = chip.recent[cycle, frame]
    frames = (chip.frame_cycle + cycles) // FRAME
    chip.frame_cycle = (chip.frame_cycle + cycles) % FRAME
    lanes = np.empty(decimator.stage2.shape[1] // 8, np.float32)
    samples = np.zeros(frames, np.float32)
    filter_frames(decimator.stage1, block, samples)
    for sample in samples:
        filled = write_samples(chip, decimator, FRAME * decimator.sample_rate - 1, lanes, audio, filled)
        push_history(chip, sample, decimator.stage2.shape[1])
        chip.sample_due -= FRAME * decimator.sample_rate
    for cycle in range(FRAME):
        for frame in range(STAGE1_FRAMES + 1):
            chip.recent[cycle, frame] = block[cycle, frames + frame]
    return write_samples(chip, decimator, chip.frame_cycle * decimator.sample_rate, lanes, audio, filled)


@kernel
def filter_frames(taps, block, samples):
    """First stage: each frame's sample from its own cycles and those of the frames before."""
    for frame in range(STAGE1_FRAMES):
        t = taps[frame * FRAME : (frame + 1) * FRAME]
        for i in range(samples.size):
            at = i + frame + 1
            samples[i] += (
                (t[0] * block[0, at] + t[1] * block[1, at]) + (t[2] * block[2, at] + t[3] * block[3, at])
            ) + ((t[4] * block[4, at] + t[5] * block[5, at]) + (t[6] * block[6, at] + t[7] * block[7, at]))


@kernel
def write_samples(chip, decimator, until, lanes, audio, filled):
    """Write the outputs that are due at `until` after the newest sample of the first stage, or before."""
    frame = FRAME * decimator.sample_rate
    while chip.sample_due <= until:
        audio[filled] = interpolate(chip, decimator.stage2, chip.sample_due, frame, lanes)
        filled += 1
        chip.sample_due += decimator.clock_hz
    return filled


@kernel
def push_history(chip, sample, taps):
    """Keep one more sample of the first stage; the second one looks back over `taps` of them."""
    if chip.history_end == HISTORY:
        for i in range(taps):
            chip.history[i] = chip.history[HISTORY - taps + i]
        chip.history_end = taps
    chip.history[chip.history_end] = sample
    chip.history_end += 1


@kernel
def interpolate(chip, stage2, due, frame, lanes):
    """One output, `due` / `frame` of a first-stage sample after the newest of them."""
    position = due * (stage2.shape[0] - 1)
    phase = position // frame
    share = np.float32((position - phase * frame) / frame)
    samples = chip.history[chip.history_end - stage2.shape[1] : chip.history_end]
    multiply(stage2[phase], samples, lanes)
    before = add_up(lanes)
    multiply(stage2[phase + 1], samples, lanes)
    return before + share * (add_up(lanes) - before)


@kernel
def multiply(taps, samples, lanes):
    """First half of a sum of products: eight to a lane, in an order that vector units can follow."""
    n = lanes.size
    for i in range(n):
        lanes[i] = (
            (taps[i] * samples[i] + taps[i + n] * samples[i + n])
            + (taps[i + 2 * n] * samples[i + 2 * n] + taps[i + 3 * n] * samples[i + 3 * n])
        ) + (
            (taps[i + 4 * n] * samples[i + 4 * n] + taps[i + 5 * n] * samples[i + 5 * n])
            + (taps[i + 6 * n] * samples[i + 6 * n] + taps[i + 7 * n] * samples[i + 7 * n])
        )


@kernel
def add_up(lanes):
    """Second half: the sum of a multiple of four lanes, the same on every machine."""
    a = b = c = d = np.float32(0)
    for i in range(0, lanes.size, 4):
        a += lanes[i]
        b += lanes[i + 1]
        c += lanes[i + 2]
        d += lanes[i + 3]
    return (a + b) + (c + d)


# --- The whole chip ----------------------------------------------------------------------------------------------


@kernel
def clock_chip(voices, chip, model, events, cycles, decimator, audio):
    """Clock `cycles` cycles with the writes in `events`; return how many samples that made."""
    end = chip.cycle + cycles
    block = new_block()
    levels = new_levels()
    next_event = 0
    filled = 0
    while chip.cycle < end:
        first = chip.frame_cycle
        size = min(BLOCK - first, end - chip.cycle)
        next_event = clock_block(voices, chip, model, events, next_event, levels, block, first, size)
        filled = decimate(chip, block, size, decimator, audio, filled)
    return filled


@kernel
def clock_block(voices, chip, model, events, next_event, levels, block, first, size):
    """Clock `size` cycles into `block` from its cycle `first` on; return the first event that is not yet due."""
    done = first
    while done < first + size:
        next_event = write_due(voices, chip, model, events, next_event)
        stretch = cycles_to_write(chip, events, next_event, first + size - done)
        clock_voices(voices, chip, model, levels, stretch)
        clock_filter(chip, model, levels, stretch)
        mix(chip, model, levels, stretch, block, done)
        done += stretch
    return next_event


@kernel
def write_due(voices, chip, model, events, next_event):
    """Write what is due before the cycle that comes; return the first event that is not."""
    while next_event < len(events) and events[next_event].cycle <= chip.cycle:
        event = events[next_event]
        write_register(voices, chip, model, int(event.register), int(event.value))
        next_event += 1
    return next_event


@kernel
def cycles_to_write(chip, events, next_event, limit):
    """Cycles until the next of `events` is due, `limit` at the most."""
    return min(limit, events[next_event].cycle - chip.cycle) if next_event < len(events) else limit


@kernel
def clock_readback(voices, chip, model, events, osc3, env3):
    """Play `events` without sound; what a read after each cycle gives goes to `osc3` and `env3`."""
    wave = np.empty(BLOCK, np.uint16)
    next_event = 0
    done = 0
    while done < osc3.size:
        next_event = write_due(voices, chip, model, events, next_event)
        end = done + cycles_to_write(chip, events, next_event, min(osc3.size - done, BLOCK))
        read_voice_3(voices, chip, model, wave, osc3[done:end], env3[done:end])
        done = end


@kernel
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


@kernel
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
    next_event = 0
    done = 0
    while done < cycles:
        next_event = write_due(voices, chip, model, events, next_event)
        size = cycles_to_write(chip, events, next_event, cycles - done)
        for v in range(VOICES):
            leap_envelope(voices[v], size)
        chip.cycle += size
        done += size
    return cycles_to_silence(voices, limit)


@kernel
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


@kernel
def is_silent(voices):
    """Whether all envelopes are at zero."""
    return voices[0].envelope_counter == voices[1].envelope_counter == voices[2].envelope_counter == 0


@kernel
def clock_envelopes(voices):
    """Clock all envelope generators by one cycle."""
    for v in range(VOICES):
        clock_envelope(voices[v])
