"""Ordinary music as a register log: what a player routine of the 1980s writes, 50 times a second."""

from __future__ import annotations

import random

import numpy as np

from sidlearn import clock, registers
from sidlearn.registers import GATE, NOISE, PULSE, SAWTOOTH, TRIANGLE
from sidlearn.writes import RegisterFrames, RegisterWrites

SCALE = (0, 2, 3, 5, 7, 8, 10)  # natural minor
TEMPO_FRAMES = 6  # a sixteenth note


def tune(seconds: float = 60, filtered: bool = True, seed: int = 1) -> RegisterWrites:
    """Return a tune for three voices: bass through the filter, pulse melody with vibrato, arpeggios and drums.

    Parameters
    ----------
    seconds : float
    filtered : bool
        Whether bass and melody go through the filter, whose cutoff moves every frame.
    seed : int
        Another tune for another number.
    """
    pick = random.Random(seed)
    frames = round(seconds * clock.PAL.clock_hz / clock.PAL.frame_cycles)
    image = np.zeros((frames, registers.WRITABLE), np.uint8)
    bass = [pick.choice((0, 0, 3, 4)) for _ in range(8)]
    melody = [pick.choice((0, 2, 4, 5, 7, 9, None)) for _ in range(64)]
    pulse = 0x400
    for frame in range(frames):
        step, into = divmod(frame, TEMPO_FRAMES)
        row = image[frame]
        root = bass[step // 16 % len(bass)]
        pulse = 0x100 + abs((frame * 23) % 0x1C00 - 0xE00)
        _voice(row, 0, _pitch(root, -2), SAWTOOTH | GATE * (into < 4 and step % 2 == 0), 0x08, 0x8A, pulse)
        degree = melody[step % len(melody)]
        vibrato = 1 + 0.004 * np.sin(frame * 0.7)
        gate = GATE * (degree is not None and into < 5)
        _voice(row, 1, _pitch(root + (degree or 0), 0) * vibrato, PULSE | gate, 0x29, 0x6A, pulse)
        if step % 8 == 4 and into < 3:
            _voice(row, 2, 30 * 220.0, NOISE | GATE * (into < 2), 0x00, 0xA8, 0)
        else:
            _voice(row, 2, _pitch(root + (0, 2, 4)[frame % 3], 1), TRIANGLE | GATE * (into < 5), 0x0A, 0x49, 0)
        cutoff = int(900 + 700 * np.sin(frame * 0.021))
        row[registers.FC_LO], row[registers.FC_HI] = cutoff & 7, cutoff >> 3
        row[registers.RES_FILT] = 0x73 if filtered else 0
        row[registers.MODE_VOL] = (0x1F if frame // 400 % 2 == 0 else 0x3F) if filtered else 0x0F
    return RegisterFrames(image).writes()


def _pitch(degree: int, octave: int) -> float:
    """Return the pitch in Hz of a degree of the scale."""
    octaves, step = divmod(degree, len(SCALE))
    return 440 * 2 ** ((SCALE[step] - 12) / 12 + octaves + octave)


def _voice(row: np.ndarray, voice: int, hz: float, control: int, ad: int, sr: int, pulse_width: int) -> None:
    freq = clock.hz_to_freq(hz)
    first = registers.voice_register(voice, 0)
    row[first : first + registers.VOICE_STRIDE] = (
        freq & 0xFF, freq >> 8, pulse_width & 0xFF, pulse_width >> 8, control, ad, sr
    )  # fmt: skip
