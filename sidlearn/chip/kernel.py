"""The engine of the SID, one cycle at a time: a small function for each unit of the chip, named after it.

Everything the compiled code calls stands in this file. State comes in as records of `sidlearn.chip.state`, tables as
one record of `sidlearn.chip.models`; nothing is checked here. `clock_digital` is exact to the last bit: the models
named after residfp follow that emulator, the others follow real chips where those overrule it.

Sources: VICE test programs with readings of real chips; the public transistor netlist of the SID, as simulated for OSC3
and ENV3; pyresidfp 0.17.0, measured from outside. Where one of them rules alone, the place says so.
"""

from __future__ import annotations

from sidlearn._kernel import kernel
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
from sidlearn.chip.state import ATTACK, DECAY, NEVER, RELEASE

LAST_VOICE = VOICES - 1

# Waveforms, the upper half of CONTROL.
WAVE_TRIANGLE = TRIANGLE >> 4
WAVE_SAWTOOTH = SAWTOOTH >> 4
WAVE_PULSE = PULSE >> 4
WAVE_NOISE = NOISE >> 4

ALL_ONES = 0x7FFFFF
"""The noise register with every bit set."""
TAPS = 1 << 20 | 1 << 18 | 1 << 14 | 1 << 11 | 1 << 9 | 1 << 5 | 1 << 2 | 1
"""Bits of the noise register that come out as waveform bits 11 to 4. Source: the 6581 die (Bob Yannes' interview; reSID)."""

RATE_STATES = 0x7FFF
"""The rate counter runs through this many states before it repeats. Source: SID netlist, a 15-bit shift register."""

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
    if register == POTX or register == POTY:
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
    if model.bus_halves:  # measured on pyresidfp 0.17.0: such a read halves the time that is left
        chip.bus_cycle = chip.cycle + (chip.bus_cycle - chip.cycle) // 2
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
    voice.combined = combined_row(waveform)
    voice.fade_cycle = NEVER if waveform else chip.cycle + model.fade_t0 - 1


@kernel
def combined_row(waveform):
    """Row of the model's combined waveforms (ST, PT, PS, PST, NP), or -1: noise beside others uses the table of those."""
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
            voice.noise_test = 0
            voice.noise_latch = voice.noise_register
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
    """Hard sync: a voice starts again when its neighbour's accumulator passes half, unless that one is just synced too."""
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
    """Triangle and sawtooth, wire-ANDed; all ones if neither is selected."""
    folded = (voice.accumulator ^ (~source.accumulator & voice.ring_mask)) >> 12
    if voice.waveform & WAVE_SAWTOOTH:
        return folded & folded << 1 if voice.waveform & WAVE_TRIANGLE else folded
    if voice.waveform & WAVE_TRIANGLE:
        return ((folded ^ 0xFFF if folded & 0x800 else folded) << 1) & 0xFFF
    return 0xFFF


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
    if not model.latch_always:  # residfp: the latch is loaded only while one of the two is selected
        if not voice.waveform & (WAVE_TRIANGLE | WAVE_SAWTOOTH):
            return voice.output
        value = voice.latch
        voice.latch = triangle_saw
    elif voice.waveform & WAVE_SAWTOOTH:
        value = voice.latch & (voice.latch << 1 if voice.waveform & WAVE_TRIANGLE else 0xFFF)
    elif voice.waveform & WAVE_TRIANGLE:
        value = voice.latch << 1 & 0xFFF
    else:
        value = 0xFFF
    return pull_down(voice, model, value & gates)


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
    if level == 0xFF or level == 0:
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
    for v in range(VOICES):
        clock_envelope(voices[v])
    for v in range(VOICES):
        clock_waveform(voices[v], voices[(v + LAST_VOICE) % VOICES], chip, model)
    synchronise(voices)
    chip.cycle += 1


@kernel
def clock_readback(voices, chip, model, events, osc3, env3):
    """Play `events` without sound; what a read after each cycle gives goes to `osc3` and `env3`."""
    next_event = 0
    for c in range(len(osc3)):
        while next_event < len(events) and events[next_event].cycle <= c:
            event = events[next_event]
            write_register(voices, chip, model, int(event.register), int(event.value))
            next_event += 1
        clock_digital(voices, chip, model)
        osc3[c] = voices[LAST_VOICE].osc3 >> 4
        env3[c] = voices[LAST_VOICE].env3
