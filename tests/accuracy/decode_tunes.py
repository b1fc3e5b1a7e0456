"""Tunes at random, as trackers and BASIC programs make them, to see whether a decoder finds their registers again.

`KINDS` names what a decoder is asked for; `tune(kind, seed)` makes the frames, `sound(...)` plays them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import sidlearn
from sidlearn.clock import PAL
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FC_HI,
    FC_LO,
    GATE,
    MODE_VOL,
    NOISE,
    PULSE,
    RES_FILT,
    RING,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    SYNC,
    TRIANGLE,
    VOICE_STRIDE,
    WRITABLE,
)
from sidlearn.writes import FRAME_ORDER, WRITE_DTYPE, WRITE_GAP_CYCLES, RegisterFrames, RegisterWrites

SAMPLE_RATE = 44_100
A4_FREQ = 7492
"""FREQ of A4, 440 Hz, at the PAL clock."""
MAJOR = (0, 2, 4, 5, 7, 9, 11)
CHORDS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 12))
PROGRESSIONS = ((0, 5, 3, 4), (0, 3, 4, 4), (5, 3, 0, 4), (0, 4, 5, 3))


@dataclass(frozen=True)
class Kind:
    """What a tune may hold."""

    drums: bool = False
    slides: bool = False
    arpeggios: bool = False
    filter: bool = False
    pairs: bool = False
    """Ring modulation and sync."""
    hard_restart: bool = False
    frames_a_second: int = 50


KINDS = {
    "grade1": Kind(),
    "grade1-restart": Kind(hard_restart=True),
    "grade2": Kind(drums=True, slides=True, arpeggios=True),
    "grade2-restart": Kind(drums=True, slides=True, arpeggios=True, hard_restart=True),
    "grade3": Kind(drums=True, slides=True, arpeggios=True, filter=True, pairs=True),
    "filter": Kind(filter=True),
    "pairs": Kind(pairs=True, slides=True),
    "multispeed": Kind(slides=True, arpeggios=True, frames_a_second=100),
}


@dataclass(frozen=True)
class Instrument:
    """How a voice plays its notes."""

    wave: int
    ad: int
    sr: int
    width: int
    sweep: int
    vibrato: float
    """In semitones."""
    slide: int
    """Frames of a slide into the note."""


@dataclass(frozen=True)
class Flaws:
    """How a file differs from the chip's own sound."""

    gain: float = 1.0
    start_s: float = 0.0
    """Of silence before power-on."""
    clock_ppm: float = 0.0


def pitch(note: float) -> int:
    """Return FREQ of a MIDI note."""
    return min(round(A4_FREQ * 2 ** ((note - 69) / 12)), 0xFFFF)


def instrument(rng: np.random.Generator, kind: Kind, waves: tuple[int, ...]) -> Instrument:
    """Return an instrument with envelopes as music has them."""
    return Instrument(
        int(rng.choice(waves)),
        int(rng.choice([0, 0, 1, 2, 3, 5]) << 4 | rng.integers(4, 12)),
        int(rng.choice([0, 4, 6, 8, 10, 12, 15]) << 4 | rng.integers(3, 11)),
        int(rng.integers(4, 29)) * 128,
        int(rng.choice([0, 0, 14, 24, 32, 58])),
        float(rng.choice([0.0, 0.15, 0.25])) if kind.slides else 0.0,
        int(rng.choice([0, 2, 3])) if kind.slides else 0,
    )


def tune(kind: Kind | str, seed: int, seconds: float = 5.0) -> RegisterFrames:
    """Return a tune: melody, bass and chords, with what its kind allows."""
    kind = KINDS[kind] if isinstance(kind, str) else kind
    rng = np.random.default_rng(seed)
    times = kind.frames_a_second // 50
    count = round(seconds * PAL.clock_hz / PAL.frame_cycles) * times
    values = np.zeros((count, WRITABLE), np.uint8)
    values[:, MODE_VOL] = 15
    step = int(rng.choice([6, 8, 10, 12])) * times
    root, progression = int(rng.integers(45, 57)), PROGRESSIONS[rng.integers(len(PROGRESSIONS))]
    bars = [progression[(f // (8 * step)) % 4] for f in range(count)]
    lead = instrument(rng, kind, (PULSE, SAWTOOTH, TRIANGLE))
    bass = instrument(rng, kind, (PULSE, SAWTOOTH, TRIANGLE))
    chord = instrument(rng, kind, (PULSE, TRIANGLE, SAWTOOTH))
    voices = rng.permutation(3)
    melody(values, int(voices[0]), lead, rng, kind, step, root + 24, bars)
    bass_line(values, int(voices[1]), bass, rng, kind, step, root - 12, bars)
    chords(values, int(voices[2]), chord, rng, kind, step, root + 12, bars, times)
    if kind.filter:
        sweep(values, rng)
    return RegisterFrames(values, PAL.frame_cycles // times)


def put(values: np.ndarray, v: int, f: int, made: Instrument, freq: int, control: int) -> None:
    """Set the registers of one voice in one frame."""
    at = v * VOICE_STRIDE
    freq = min(max(freq, 0), 0xFFFF)
    width = (made.width + made.sweep * f) & 0xFFF
    if made.sweep:
        width = 256 + abs((made.width + made.sweep * f) % 7168 - 3584)
    values[f, at : at + CONTROL] = freq & 0xFF, freq >> 8, width & 0xFF, width >> 8
    values[f, at + CONTROL] = control
    values[f, at + ATTACK_DECAY], values[f, at + SUSTAIN_RELEASE] = made.ad, made.sr


def note(
    values: np.ndarray, v: int, f: int, length: int, held: int, made: Instrument, key: float, kind: Kind, extra: int = 0
) -> None:
    """Play one note; `extra` are bits of CONTROL beside waveform and gate."""
    freq = pitch(key)
    for k in range(min(length, len(values) - f)):
        now = float(freq)
        if made.slide and k < made.slide:
            now = pitch(key - made.slide + k)
        elif made.vibrato:
            now = freq * 2 ** (made.vibrato / 12 * np.sin(2 * np.pi * k / 8))
        put(values, v, f + k, made, round(now), made.wave | extra | (GATE if k < held else 0))
    if kind.hard_restart:
        for k in range(max(length - 2, held), length):
            if f + k < len(values):
                values[f + k, v * VOICE_STRIDE + ATTACK_DECAY : v * VOICE_STRIDE + 7] = 0x0F, 0x00


def melody(values, v, made, rng, kind, step, base, bars) -> None:
    """Play steps of a scale, some of them rests."""
    degree, f = int(rng.integers(7)), 0
    while f < len(values):
        length = step * int(rng.choice([1, 1, 2, 2, 4]))
        degree = int(np.clip(degree + rng.integers(-2, 3), -4, 11))
        key = base + 12 * (degree // 7) + MAJOR[degree % 7]
        extra = 0
        if kind.pairs and rng.random() < 0.5:
            extra = RING if made.wave == TRIANGLE else SYNC
        held = 0 if rng.random() < 0.12 else max(1, round(length * rng.uniform(0.4, 0.95)))
        note(values, v, f, length, held, made, key, kind, extra)
        f += length


DRUM = ((NOISE, 12_288), (NOISE, 8_192), (PULSE, 2_500), (PULSE, 1_873), (PULSE, 1_403))


def bass_line(values, v, made, rng, kind, step, base, bars) -> None:
    """Play roots and fifths, and drums where the kind has them."""
    every = int(rng.choice([3, 4]))
    shift = rng.uniform(0.7, 1.4)
    drum = [(wave, round(freq * shift)) for wave, freq in DRUM]
    snare = Instrument(NOISE, 0x00 | int(rng.integers(6, 10)), int(rng.integers(4, 11)) << 4 | 6, 2048, 0, 0, 0)
    for n, f in enumerate(range(0, len(values), step)):
        key = base + MAJOR[bars[f] % 7] + (7 if n % 4 == 3 else 12 if n % 2 else 0)
        if kind.drums and n % every == every - 2:
            for k in range(min(step, len(values) - f)):
                wave, freq = drum[min(k, len(drum) - 1)]
                put(values, v, f + k, snare, freq, wave | (GATE if k < 3 else 0))
        else:
            note(values, v, f, step, max(1, step * 3 // 4), made, key, kind)


def chords(values, v, made, rng, kind, step, base, bars, times) -> None:
    """Play chords as arpeggios, or their notes one by one."""
    shape = CHORDS[rng.integers(len(CHORDS))]
    length = step * int(rng.choice([1, 2, 4]))
    held = max(1, round(length * rng.uniform(0.5, 0.95)))
    for n, f in enumerate(range(0, len(values), length)):
        key = base + MAJOR[bars[f] % 7]
        note(values, v, f, length, held, made, key + shape[n % len(shape)], kind)
        if kind.arpeggios:
            for k in range(f, min(f + length, len(values))):
                freq = pitch(key + shape[(k // times) % len(shape)])
                values[k, v * VOICE_STRIDE], values[k, v * VOICE_STRIDE + 1] = freq & 0xFF, freq >> 8


def sweep(values: np.ndarray, rng: np.random.Generator) -> None:
    """Route one or two voices through a filter that moves."""
    frames = np.arange(len(values))
    low, high = sorted(rng.integers(100, 1800, 2))
    cutoff = np.round(low + (high - low) * (0.5 - 0.5 * np.cos(2 * np.pi * frames / rng.uniform(60, 200)))).astype(int)
    values[:, FC_LO], values[:, FC_HI] = cutoff & 7, cutoff >> 3
    routed = int(rng.choice([1, 2, 4, 3, 6]))
    values[:, RES_FILT] = int(rng.integers(0, 16)) << 4 | routed
    values[:, MODE_VOL] = int(rng.choice([1, 1, 1, 2, 4, 3])) << 4 | 15


def everything(frames: RegisterFrames) -> RegisterWrites:
    """Return the writes of frames; the first frame writes all registers, as players do that begin."""
    later = frames.writes()
    rows = [(WRITE_GAP_CYCLES * k, register, frames.values[0, register]) for k, register in enumerate(FRAME_ORDER)]
    first = np.array(rows, WRITE_DTYPE)
    events = np.concatenate([first, later.events[later.events["cycle"] >= frames.frame_cycles]])
    return RegisterWrites(events, later.length, later.clock_hz)


def sound(frames: RegisterFrames, chip: str, flaws: Flaws | None = None, seed: int = 0) -> np.ndarray:
    """Play frames; `chip` is a model of ours, or "6581" or "8580" after "residfp:" for pyresidfp."""
    import soxr

    flaws = flaws or Flaws()
    writes = everything(frames)
    rate = SAMPLE_RATE * (1 + flaws.clock_ppm * 1e-6)
    if chip.startswith("residfp:"):
        import pyresidfp._pyresidfp as residfp

        from sidlearn.bench.chip import play_residfp

        raw = play_residfp(residfp, writes, chip[8:], writes.clock_hz, "DECIMATE").astype(np.float64) / 32_768
        made = soxr.resample(raw, writes.clock_hz, SAMPLE_RATE, "VHQ")
    else:
        made = sidlearn.render(writes, chip, SAMPLE_RATE)
    if flaws.clock_ppm:
        made = soxr.resample(made.astype(np.float64), rate, SAMPLE_RATE, "VHQ")
    silence = round(flaws.start_s * SAMPLE_RATE)
    made = np.concatenate([np.full(silence, made[0]), made])
    return (made * flaws.gain).astype(np.float32)
