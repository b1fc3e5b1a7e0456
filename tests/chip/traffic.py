"""Random register traffic, and pyresidfp to play it on."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn import registers
from sidlearn.clock import PAL
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FREQ_HI,
    GATE,
    NOISE,
    PULSE,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    TEST,
    TRIANGLE,
    VOICE_STRIDE,
    VOICES,
)
from sidlearn.writes import RegisterWrites

ORACLE = "pyresidfp"


def single(rng):
    """CONTROL with one waveform and the gate."""
    return int(rng.choice([TRIANGLE, SAWTOOTH, PULSE, NOISE])) | int(rng.integers(2)) * GATE


def chained(rng):
    """The same with sync, ring modulation and, now and then, TEST."""
    return single(rng) | _lower(rng)


def combined(rng):
    """CONTROL with any of the waveforms but noise."""
    return int(rng.integers(8)) << 4 | _lower(rng)


def anything(rng):
    """CONTROL with any bits."""
    return int(rng.integers(16)) << 4 | _lower(rng)


def noisy(rng):
    """CONTROL with noise beside anything."""
    return NOISE | anything(rng)


KINDS = {f.__name__: f for f in (single, chained, combined, anything, noisy)}


def _lower(rng):
    return int(rng.integers(16)) & (0xF if rng.random() < 0.2 else 0xF & ~TEST)


def traffic(seed, length, kind="anything", gap=60, everything=False, pause=8_000):
    """Random writes to the 21 registers of the voices, or to all 25: every 1 to `gap` cycles, with pauses."""
    rng = np.random.default_rng(seed)
    rows, cycle = [], 0
    while True:
        cycle += int(rng.integers(1, gap + 1) if rng.random() < 0.97 else rng.integers(1, pause))
        if cycle >= length:
            return RegisterWrites.from_rows(rows, length=length)
        if everything and rng.random() < 0.2:
            rows.append((cycle, int(rng.integers(registers.FC_LO, registers.WRITABLE)), int(rng.integers(256))))
            continue
        voice, offset = int(rng.integers(VOICES)), int(rng.integers(VOICE_STRIDE + 4))
        offset = min(offset, VOICE_STRIDE) if offset != VOICE_STRIDE else FREQ_HI
        offset = CONTROL if offset == VOICE_STRIDE else offset
        value = KINDS[kind](rng) if offset == CONTROL else int(rng.integers(256))
        if offset in (ATTACK_DECAY, SUSTAIN_RELEASE) and rng.random() < 0.6:
            value &= 0x33  # short enough to see them through
        rows.append((cycle, voice * VOICE_STRIDE + offset, value))


def oracle(model, sample_rate=PAL.clock_hz, clock_hz=PAL.clock_hz):
    """A pyresidfp chip that gives one sample a cycle."""
    residfp = pytest.importorskip("pyresidfp._pyresidfp")
    chip = residfp.ChipModel.MOS8580 if model.startswith("8580") else residfp.ChipModel.MOS6581
    return residfp.SID(chip, residfp.SamplingMethod.DECIMATE, float(clock_hz), float(sample_rate))


def oracle_readback(writes, model):
    """What pyresidfp reads from OSC3 and ENV3 after every cycle."""
    sid = oracle(model, sample_rate=8_000)  # few samples, since nobody hears them
    clock, read, readings, cycle = sid.clock, sid.read, bytearray(), 0
    for event_cycle, register, value in [*writes.events.tolist(), (writes.length, registers.MODE_VOL, 0)]:
        for _ in range(event_cycle - cycle):
            clock(1)
            readings.append(read(registers.OSC3))
            readings.append(read(registers.ENV3))
        cycle = event_cycle
        sid.write(register, value)
    osc3, env3 = np.frombuffer(readings, np.uint8).reshape(-1, 2).T
    return osc3, env3


def oracle_sound(writes, model):
    """What pyresidfp puts out, one sample a cycle, -1..1."""
    sid = oracle(model)
    sound, cycle = [], 0
    for event_cycle, register, value in writes.events.tolist():
        sound += sid.clock(event_cycle - cycle)
        cycle = event_cycle
        sid.write(register, value)
    return np.array(sound + sid.clock(writes.length - cycle)) / 32768
