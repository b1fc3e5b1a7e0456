"""What can be turned: one table of parameters with their controllers, which the player, the window and the tests read.

A value arrives as 14 bits. A controller of 7 bits is spread over the whole range by repeating its bits, so that 127
reaches the top; where a second controller brings the lower 7 bits, they take the place of the repeated ones. A
parameter of n steps takes the upper bits: ``value * n >> 14``.

Sources: controller numbers of General MIDI 2 and RP-021; the NRPN way of MIDIbox SID.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CHIP, CHANNEL = "chip", "channel"
TOP = 1 << 14


@dataclass(frozen=True)
class Control:
    """One parameter: how many steps it has, what moves it, whether it is the chip's or a channel's."""

    name: str
    steps: int
    cc: int | None
    cc_low: int | None
    scope: str
    text: str
    default: int | None = None
    """Step before anything has moved it; None: what the instrument says."""


def _table() -> tuple[Control, ...]:
    return (
        Control("wheel", 128, 1, 33, CHANNEL, "vibrato depth by the modulation wheel: up to a semitone", 0),
        Control("glide_time", 128, 5, 37, CHANNEL, "time of a glide: 0 to 4 s, finer at its lower end", 32),
        Control("volume", 128, 7, 39, CHANNEL, "volume: the highest of all channels is the chip's", None),
        Control("expression", 128, 11, 43, CHANNEL, "share of the volume", 127),
        Control("pulse_width", 4096, 16, 48, CHANNEL, "pulse width"),
        Control("arp_speed", 8, 17, None, CHANNEL, "steps a second of arpeggios, see ARP_FRAMES"),
        Control("detune", 128, 18, None, CHANNEL, "unison: voices apart by up to 50 cents", 24),
        Control("filter_depth", 128, 19, None, CHANNEL, "share of its filter program: 0 none, 64 all, 127 twice", None),
        Control("glide", 2, 65, None, CHANNEL, "glide off, on", 0),
        Control("waveform", 16, 70, None, CHANNEL, "upper half of CONTROL: triangle 1, sawtooth 2, pulse 4, noise 8"),
        Control("resonance", 16, 71, None, CHIP, "resonance of the filter"),
        Control("release", 16, 72, None, CHANNEL, "release"),
        Control("attack", 16, 73, None, CHANNEL, "attack"),
        Control("cutoff", 2048, 74, 106, CHIP, "cutoff of the filter"),
        Control("decay", 16, 75, None, CHANNEL, "decay"),
        Control("vibrato_rate", 128, 76, None, CHANNEL, "vibrato: 0.5 to 12 Hz"),
        Control("vibrato_depth", 128, 77, None, CHANNEL, "vibrato: up to a semitone"),
        Control("vibrato_delay", 128, 78, None, CHANNEL, "vibrato begins after 0 to 2 s"),
        Control("sustain", 16, 79, None, CHANNEL, "sustain"),
        Control("filter_mode", 8, 80, None, CHIP, "low-pass 1, band-pass 2, high-pass 4"),
        Control("ring", 2, 81, None, CHANNEL, "ring modulation off, on"),
        Control("sync", 2, 82, None, CHANNEL, "hard sync off, on"),
        Control("routing", 8, 83, None, CHIP, "voices through the filter: 1, 2, 4 for voices 1, 2, 3"),
        # By NRPN alone.
        Control("mode", 6, None, None, CHIP, "how keys share the voices, see voices.MODES", 0),
        Control("priority", 3, None, None, CHIP, "mono: last, low, high", 0),
        Control("retrigger", 2, None, None, CHIP, "mono: legato, or every note starts anew", 0),
        Control("pulse_rate", 128, None, None, CHANNEL, "pulse width swings at 0.05 to 12 Hz", 40),
        Control("pulse_depth", 128, None, None, CHANNEL, "pulse width swings by up to 2047", 0),
        Control("cutoff_rate", 128, None, None, CHANNEL, "cutoff swings at 0.05 to 12 Hz", 40),
        Control("cutoff_depth", 128, None, None, CHANNEL, "cutoff swings by up to 1023", 0),
        Control("velocity", 128, None, None, CHANNEL, "how much velocity takes from the sustain level", 0),
    )


CONTROLS = {c.name: c for c in _table()}
"""All parameters by name. NRPN 0 / n moves the n-th of them, from 0."""

BY_CC = {c.cc: c for c in CONTROLS.values() if c.cc is not None}
BY_CC_LOW = {c.cc_low: c for c in CONTROLS.values() if c.cc_low is not None}
BY_NRPN = dict(enumerate(CONTROLS.values()))

NRPN_CONTROLS = 0
"""NRPN number, upper half, under which the parameters stand; the lower half is the place in `CONTROLS`."""

NRPN_REGISTERS = 84
"""The same for raw register writes: the lower half is the register 0 to 24, the byte is ``value >> 6``."""

ARP_FRAMES = (1 / 8, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 1.0, 2.0, 4.0)
"""Arpeggio steps a frame, by `arp_speed`: 6, 8, 12, 17, 25, 50, 100 and 200 Hz on PAL."""

# Controllers with a meaning of their own. Source: MIDI 1.0 detailed specification, RP-015.
DATA_HIGH, DATA_LOW, SUSTAIN_PEDAL, SOSTENUTO, GLIDE_FROM = 6, 38, 64, 66, 84
INCREMENT, DECREMENT, NRPN_LOW, NRPN_HIGH, RPN_LOW, RPN_HIGH = 96, 97, 98, 99, 100, 101
ALL_SOUND_OFF, RESET, ALL_NOTES_OFF, OMNI_OFF, OMNI_ON, MONO_ON, POLY_ON = 120, 121, 123, 124, 125, 126, 127

RPN_BEND, RPN_FINE, RPN_COARSE, RPN_WHEEL, RPN_MPE, RPN_NULL = 0, 1, 2, 5, 6, 127 << 7 | 127

RESET_BY_121 = ("wheel", "expression", "glide")
"""What CC 121 puts back, besides bend, pressure, pedals and the choice of RPN: not volume, program or sound. RP-015."""


VIBRATO_HZ, SWING_HZ = (0.5, 12.0), (0.05, 12.0)
"""Slowest and fastest, for 0 and 127."""
VIBRATO_DELAY_SECONDS = 2.0
"""For 127."""


def spread(value: int) -> int:
    """Return 7 bits as 14 that reach the top."""
    return value << 7 | value


def step(value: int, steps: int) -> int:
    """Return the step of a 14-bit value."""
    return value * steps >> 14


def rate_hz(raw: int, low: float, high: float) -> float:
    """Return the rate for 0 to 127, evenly by ratio."""
    return low * (high / low) ** (raw / 127)


def raw_of_rate(hz: float, low: float, high: float) -> int:
    """Return 0 to 127 for a rate, as near as it goes."""
    return round(127 * math.log(min(max(hz, low), high) / low) / math.log(high / low))


def glide_seconds(raw: int) -> float:
    """Return the time of a glide for 0 to 127."""
    return 4 * (raw / 127) ** 2
