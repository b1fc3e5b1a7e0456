"""The table that siddump prints: a line a frame, for each voice what has changed, dots where nothing has.

``| 12 | 1D46  A-4 B9  41 0FA9 800 | .... (+ 0014) .. .... ... | ....  ... ..  .. .... ... | 3000 F1 Low F |``: FREQ,
note, CONTROL, attack to release and pulse width of the voices, then cutoff, RES_FILT, filter mode and volume.
Source: what siddump 1.08 prints.
"""

from __future__ import annotations

import re

import numpy as np

from sidlearn import clock, registers
from sidlearn.errors import SourceError
from sidlearn.writes import RegisterFrames, RegisterWrites

_FIRST_FIELD = re.compile(r"\s*(?:(\d+)|(\d+):(\d\d)\.(\d\d))\s*")
_MODES = {"Off": 0, "Low": 1, "Bnd": 2, "L+B": 3, "Hi": 4, "L+H": 5, "B+H": 6, "LBH": 7}
_FRAMES_A_SECOND = 50

Change = tuple[int, int, int]
"""A register, the bits of it that change, and what they become."""


def looks_like(text: str) -> bool:
    """Whether the beginning of a file is that of such a table."""
    return re.search(r"^\| *Frame *\| *Freq", text[:4096], re.MULTILINE) is not None


def read(text: str, name: str = "table", clock_hz: int = clock.PAL.clock_hz) -> RegisterWrites:
    """Return the log that the table shows.

    Parameters
    ----------
    text : str
    name : str
        For messages.
    clock_hz : int
        Chip cycles a second; a frame is the picture of the television standard with that clock.

    Raises
    ------
    SourceError
        With file name and number of the line that cannot be read, or if there are no frames.
    """
    frames: dict[int, list[Change]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.strip().split("|")
        if len(fields) < 7 or not (match := _FIRST_FIELD.fullmatch(fields[1])):
            continue  # head, rulers, remarks
        frame = int(match[1]) if match[1] else (int(match[2]) * 60 + int(match[3])) * _FRAMES_A_SECOND + int(match[4])
        if not frame < clock.seconds_to_cycles(36_000, 100):
            raise SourceError(f"{name}:{number}: frame {frame}: expected less than ten hours")
        try:
            changes = [c for voice in range(registers.VOICES) for c in _voice(voice, fields[2 + voice])]
            frames[frame] = changes + _filter(fields[5])
        except (ValueError, KeyError, IndexError):
            raise SourceError(f"{name}:{number}: expected a line of siddump, given {line.strip()[:40]!r}") from None
    if not frames:
        raise SourceError(f"{name}: expected a table of siddump, found no frames in it")
    first = min(frames)
    values = np.zeros((max(frames) - first + 1, registers.WRITABLE), np.uint8)
    image = np.zeros(registers.WRITABLE, np.uint8)
    for at in range(len(values)):
        for register, mask, value in frames.get(first + at, ()):
            image[register] = image[register] & (mask ^ 0xFF) | value
        values[at] = image
    video = clock.NTSC if abs(clock_hz - clock.NTSC.clock_hz) < 10_000 else clock.PAL
    return RegisterFrames(values, video.frame_cycles, clock_hz).writes()


def _hexadecimal(text: str, digits: int) -> int | None:
    """Return a number of so many digits, None for dots."""
    if len(text) != digits:
        raise ValueError
    return None if text == "." * digits else int(text, 16)


def _voice(voice: int, field: str) -> list[Change]:
    """Return the changes that one voice's column shows."""
    words = field.split()
    pairs = (
        (words[0], 4, registers.FREQ_HI, registers.FREQ_LO),
        (words[-2], 4, registers.ATTACK_DECAY, registers.SUSTAIN_RELEASE),
        (words[-1], 3, registers.PW_HI, registers.PW_LO),
    )
    changes = []
    for text, digits, high, low in pairs:
        value = _hexadecimal(text, digits)
        if value is not None:
            changes.append((registers.voice_register(voice, high), 0xFF, value >> 8))
            changes.append((registers.voice_register(voice, low), 0xFF, value & 0xFF))
    control = _hexadecimal(words[-3], 2)
    if control is not None:
        changes.append((registers.voice_register(voice, registers.CONTROL), 0xFF, control))
    return changes


def _filter(field: str) -> list[Change]:
    """Return the changes of the filter's column."""
    cutoff_text, resonance_text, mode_text, volume_text = field.split()
    changes = []
    cutoff, resonance = _hexadecimal(cutoff_text, 4), _hexadecimal(resonance_text, 2)
    if cutoff is not None:
        changes += [(registers.FC_HI, 0xFF, cutoff >> 8), (registers.FC_LO, 0xFF, cutoff >> 5 & 7)]
    if resonance is not None:
        changes.append((registers.RES_FILT, 0xFF, resonance))
    if set(mode_text) != {"."}:
        changes.append((registers.MODE_VOL, 0xF0, _MODES[mode_text] << 4))
    volume = _hexadecimal(volume_text, 1)
    if volume is not None:
        changes.append((registers.MODE_VOL, 0x0F, volume))
    return changes
