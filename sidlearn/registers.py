"""The register map of the SID as data: the only place that knows $D404.

Source: MOS 6581 data sheet; Commodore 64 Programmer's Reference Guide, appendix O.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidlearn.errors import RegisterError, nearest

BASE = 0xD400
"""Address of register 0: 54272, the number every BASIC listing begins with."""

MIRROR = 32
"""The map repeats every 32 bytes, because only five address lines reach the chip."""

LAST_ADDRESS = 0xD7FF
"""End of the SID's window in the memory of a C64."""

COUNT = 29
"""Registers 0 to 24 can be written, 25 to 28 can be read."""

WRITABLE = 25
VOICE_STRIDE = 7
VOICES = 3


@dataclass(frozen=True)
class Register:
    """One register: its number, its name, the voice it belongs to (or None) and what its bits mean, bit 7 first."""

    number: int
    name: str
    voice: int | None
    bits: str
    readable: bool = False

    @property
    def address(self) -> int:
        """The address that PEEK and POKE use."""
        return BASE + self.number


# Offset inside a voice -> name and bits.
_VOICE = (
    ("FREQ_LO", "F7-F0: oscillator frequency, low byte"),
    ("FREQ_HI", "F15-F8: oscillator frequency, high byte"),
    ("PW_LO", "PW7-PW0: pulse width, low byte"),
    ("PW_HI", "- - - - PW11-PW8: pulse width, high nibble"),
    ("CONTROL", "noise pulse sawtooth triangle test ring sync gate"),
    ("ATTACK_DECAY", "ATK3-ATK0 DCY3-DCY0"),
    ("SUSTAIN_RELEASE", "STN3-STN0 RLS3-RLS0"),
)
_GLOBAL = (
    ("FC_LO", "- - - - - FC2-FC0: cutoff, low three bits", False),
    ("FC_HI", "FC10-FC3: cutoff, high byte", False),
    ("RES_FILT", "RES3-RES0 FILTEX FILT3 FILT2 FILT1", False),
    ("MODE_VOL", "3OFF HP BP LP VOL3-VOL0", False),
    ("POTX", "paddle X", True),
    ("POTY", "paddle Y", True),
    ("OSC3", "waveform of voice 3", True),
    ("ENV3", "envelope of voice 3", True),
)


def _build() -> tuple[Register, ...]:
    rows = [
        Register(v * VOICE_STRIDE + i, f"{name}_{v + 1}", v, bits)
        for v in range(VOICES)
        for i, (name, bits) in enumerate(_VOICE)
    ]
    rows += [
        Register(VOICES * VOICE_STRIDE + i, name, None, bits, readable)
        for i, (name, bits, readable) in enumerate(_GLOBAL)
    ]
    return tuple(rows)


REGISTERS = _build()
"""All 29 registers in the order of their numbers."""

NUMBER = {r.name: r.number for r in REGISTERS}
"""Name -> number, voices counted from 1: ``NUMBER["CONTROL_2"]`` is 11."""

# Offsets inside a voice and numbers of the shared registers, by the names of the data sheet.
FREQ_LO, FREQ_HI, PW_LO, PW_HI, CONTROL, ATTACK_DECAY, SUSTAIN_RELEASE = range(VOICE_STRIDE)
FC_LO, FC_HI, RES_FILT, MODE_VOL, POTX, POTY, OSC3, ENV3 = range(VOICES * VOICE_STRIDE, COUNT)

# Bits of CONTROL.
GATE, SYNC, RING, TEST, TRIANGLE, SAWTOOTH, PULSE, NOISE = (1 << b for b in range(8))


def voice_register(voice: int, offset: int) -> int:
    """Return the register number of `offset` (such as ``CONTROL``) in `voice` 0 to 2."""
    return voice * VOICE_STRIDE + offset


def from_address(address: object) -> int:
    """Return the register 0 to 31 behind an address 54272 to 55295, a register number 0 to 31, or a name.

    Raises
    ------
    RegisterError
        If it is none of these.
    """
    if isinstance(address, str):
        if address.upper() in NUMBER:
            return NUMBER[address.upper()]
        raise RegisterError(f"register {address!r}: no such name{nearest(address.upper(), NUMBER)}")
    try:
        number = address.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        raise RegisterError(f"address {address!r}: expected a whole number, 54272 to 55295 or 0 to 31") from None
    if BASE <= number <= LAST_ADDRESS:
        return (number - BASE) % MIRROR
    if 0 <= number < MIRROR:
        return number
    raise RegisterError(f"address {number}: a SID lies at {BASE} to {LAST_ADDRESS}, its registers are 0 to 31")


def check_value(value: object) -> int:
    """Return `value` as int if it is a byte.

    Raises
    ------
    RegisterError
        If it is not a whole number from 0 to 255.
    """
    try:
        number = value.__index__()  # type: ignore[attr-defined]
    except AttributeError:
        raise RegisterError(f"value {value!r}: a register holds a whole number from 0 to 255") from None
    if 0 <= number <= 255:
        return number
    raise RegisterError(f"value {number}: a register holds 0 to 255")
