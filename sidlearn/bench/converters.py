"""How others turn sound into registers of a chip, written afresh for the SID: what the learner is measured against.

Each takes a mono sound and gives a log of register writes at 50 frames a second (the digi: one write a sample). All
methods that choose levels frame by frame share the learner's planner of envelopes, so that what differs is what they
choose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sidlearn.clock import PAL
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FREQ_HI,
    FREQ_LO,
    GATE,
    MODE_VOL,
    NOISE,
    PULSE,
    PW_HI,
    PW_LO,
    SAWTOOTH,
    SUSTAIN_RELEASE,
    TRIANGLE,
    VOICES,
    WRITABLE,
    voice_register,
)
from sidlearn.writes import FRAME_ORDER, WRITE_GAP_CYCLES, RegisterFrames, RegisterWrites

WINDOW = 2_048
"""Samples that a spectrum is taken over, at 44.1 kHz."""
FREQ_PER_HZ = 2**24 / PAL.clock_hz
FULL_VOICE = 0.25
"""Amplitude of one voice at full envelope, as share of the loudest sound that three make. A guess, for scaling only."""
DIGI_HZ = 7_812
NOTE_FRAMES = 5
"""Frames of a note for the methods that fit envelopes: a tenth of a second."""


class Score(NamedTuple):
    """What three voices play, frame by frame: each (frames, 3)."""

    hz: np.ndarray
    control: np.ndarray
    pulse_width: np.ndarray
    level: np.ndarray
    """0..1 of a full envelope."""


def frames_of(sound: np.ndarray, rate: int) -> int:
    """Return how many 50 Hz frames a sound has."""
    return max(1, int(np.ceil(len(sound) / rate * PAL.clock_hz / PAL.frame_cycles)))


def spectra(sound: np.ndarray, rate: int, frames: int) -> np.ndarray:
    """Return magnitudes around the middle of each frame, float32 (frames, WINDOW // 2 + 1)."""
    hop = rate * PAL.frame_cycles / PAL.clock_hz
    padded = np.pad(sound, (WINDOW // 2, WINDOW + int(hop)))
    starts = ((np.arange(frames) + 0.5) * hop).astype(int)
    starts = np.minimum(starts, len(padded) - WINDOW)
    pieces = padded[starts[:, None] + np.arange(WINDOW)] * np.hanning(WINDOW)
    return np.abs(np.fft.rfft(pieces)).astype(np.float32) / WINDOW


def to_writes(score: Score) -> RegisterWrites:
    """Return the registers of a score, with envelopes from the learner's planner."""
    from sidlearn.learn import envelopes
    from sidlearn.learn.envelopes import timing_of

    values = np.zeros((len(score.hz), WRITABLE), np.uint8)
    values[:, MODE_VOL] = 15
    freq = np.clip(np.rint(score.hz * FREQ_PER_HZ), 0, 0xFFFF).astype(int)
    for v in range(VOICES):
        for offset, column in (
            (FREQ_LO, freq[:, v] & 0xFF), (FREQ_HI, freq[:, v] >> 8), (PW_LO, score.pulse_width[:, v] & 0xFF),
            (PW_HI, score.pulse_width[:, v] >> 8), (CONTROL, score.control[:, v]),
        ):  # fmt: skip
            values[:, voice_register(v, offset)] = column
    for v in range(VOICES):
        timing = timing_of(values, v, PAL.frame_cycles)
        plan = envelopes.plan(np.clip(score.level[:, v], 0, 1), score.control[:, v].astype(np.uint8), timing)
        values[:, voice_register(v, ATTACK_DECAY)] = plan.attack_decay
        values[:, voice_register(v, SUSTAIN_RELEASE)] = plan.sustain_release
        values[:, voice_register(v, CONTROL)] |= plan.gate.astype(np.uint8) * GATE
    return RegisterFrames(values).writes()


# --- Peak picking ------------------------------------------------------------------------------------------------


def pick_peaks(sound: np.ndarray, rate: int, effort: float = 1.0, seed: int = 0) -> RegisterWrites:
    """Three strongest spectral peaks above the pitch as triangles, at 8 kHz.

    Method: artrag's SN76489 speech encoder (2015), with triangles, the SID's nearest to a sine, for squares.
    """
    import soxr

    low = soxr.resample(sound, rate, 8_000)
    size, hop = 512, 8_000 * PAL.frame_cycles / PAL.clock_hz
    frames = frames_of(sound, rate)
    score = empty_score(frames)
    padded = np.pad(low, (size // 2, size + int(hop)))
    floor_hz = pitches(sound, rate, frames)
    hz_of = np.fft.rfftfreq(4 * size, 1 / 8_000)
    for t in range(frames):
        start = min(int((t + 0.5) * hop), len(padded) - size)
        power = np.abs(np.fft.rfft(padded[start : start + size] * np.hanning(size), 4 * size)) * 4 / size
        above = hz_of >= max(0.8 * floor_hz[t], 60)
        tops = np.flatnonzero((power[1:-1] > power[:-2]) & (power[1:-1] >= power[2:]) & above[1:-1]) + 1
        tops = tops[np.argsort(-power[tops])][:VOICES]
        for v, top in enumerate(np.sort(tops)):
            score.hz[t, v], score.level[t, v] = hz_of[top], power[top]
            score.control[t, v] = TRIANGLE
    return to_writes(loudened(score))


def empty_score(frames: int) -> Score:
    """Return a score without a sound."""
    shape = frames, VOICES
    return Score(np.full(shape, 220.0), np.full(shape, TRIANGLE), np.full(shape, 0x800), np.zeros(shape))


def loudened(score: Score) -> Score:
    """Return a score whose loudest voice has a full envelope."""
    return score._replace(level=score.level / max(score.level.max(), 1e-9))


def pitches(sound: np.ndarray, rate: int, frames: int, low_hz: float = 70, high_hz: float = 500) -> np.ndarray:
    """Return the pitch in each frame by autocorrelation, 0 where there is none."""
    size, hop = int(rate * 0.04), rate * PAL.frame_cycles / PAL.clock_hz
    padded = np.pad(sound, (size // 2, size + int(hop)))
    found = np.zeros(frames)
    lags = np.arange(int(rate / high_hz), int(rate / low_hz))
    for t in range(frames):
        start = min(int((t + 0.5) * hop), len(padded) - size)
        piece = padded[start : start + size]
        spectrum = np.abs(np.fft.rfft(piece * np.hanning(size), 2 * size)) ** 2
        likeness = np.fft.irfft(spectrum)[:size]
        best = lags[np.argmax(likeness[lags])]
        found[t] = rate / best if likeness[best] > 0.4 * likeness[0] > 0 else 0
    return found


# --- Dictionary and greedy search --------------------------------------------------------------------------------


class Atoms(NamedTuple):
    """Sounds of one voice, as the chip plays them at full envelope."""

    hz: np.ndarray
    control: np.ndarray
    pulse_width: np.ndarray
    magnitude: np.ndarray
    """Float32 (atoms, WINDOW // 2 + 1)."""


def record_atoms(settings: list[tuple[float, int, int]], rate: int) -> Atoms:
    """Return the atoms for settings (Hz, CONTROL, pulse width), played on the chip."""
    from sidlearn.chip.sid import render_batch

    logs = []
    for hz, control, width in settings:
        values = np.zeros((8, WRITABLE), np.uint8)
        freq = min(round(hz * FREQ_PER_HZ), 0xFFFF)
        values[:, voice_register(0, FREQ_LO)], values[:, voice_register(0, FREQ_HI)] = freq & 255, freq >> 8
        values[:, voice_register(0, PW_LO)], values[:, voice_register(0, PW_HI)] = width & 255, width >> 8
        values[:, voice_register(0, CONTROL)] = control | GATE
        values[:, voice_register(0, SUSTAIN_RELEASE)] = 0xF0
        values[:, MODE_VOL] = 15
        logs.append(RegisterFrames(values).writes())
    sounds = render_batch(logs, "6581", rate, "fast", threads=1)
    magnitude = np.stack([spectra(s, rate, 8)[3:7].mean(axis=0) for s in sounds])
    magnitude[:, :2] = 0  # the DC that the chip adds is no part of a sound
    table = np.array(settings, float)
    return Atoms(table[:, 0], table[:, 1].astype(int), table[:, 2].astype(int), magnitude)


def match_dictionary(sound: np.ndarray, rate: int, effort: float = 1.0, seed: int = 0) -> RegisterWrites:
    """The recorded sound of one voice whose spectrogram has the least squared error, slice by slice.

    Method: N. Bild's ay-3-8910 (2021): tones and noises of one channel, 16 volumes.
    """
    tones = [(440 * 2 ** ((n - 69) / 12), PULSE, 0x800) for n in range(36, 97)]
    noises = [(hz, NOISE, 0x800) for hz in (500.0, 1_000.0, 2_000.0, 3_900.0)]
    atoms = record_atoms(tones + noises, rate)
    frames = frames_of(sound, rate)
    wanted = scaled(spectra(sound, rate, frames), atoms)
    score = empty_score(frames)
    levels = np.arange(16) / 15
    cross, own = wanted @ atoms.magnitude.T, (atoms.magnitude**2).sum(axis=1)
    error = levels[:, None, None] ** 2 * own - 2 * levels[:, None, None] * cross  # (16, frames, atoms)
    best = error.transpose(1, 0, 2).reshape(frames, -1).argmin(axis=1)
    level, atom = np.divmod(best, len(own))
    score.hz[:, 0], score.control[:, 0], score.pulse_width[:, 0] = (
        atoms.hz[atom], atoms.control[atom], atoms.pulse_width[atom],
    )  # fmt: skip
    score.level[:, 0] = levels[level]
    return to_writes(score)


def scaled(wanted: np.ndarray, atoms: Atoms) -> np.ndarray:
    """Return spectra as loud as the chip can be: the loudest frame takes all that its best atom has."""
    wanted = wanted.copy()
    wanted[:, :2] = 0
    loudest = wanted[np.argmax((wanted**2).sum(axis=1))]
    fit = (atoms.magnitude @ loudest) / (atoms.magnitude**2).sum(axis=1)
    return wanted / max(fit.max(), 1e-9)


def choose_greedily(sound: np.ndarray, rate: int, effort: float = 1.0, seed: int = 0) -> RegisterWrites:
    """Voice after voice the frequency, duty and volume that explain most of what is left.

    Method: nbirkbeck's nes-freq-audio (2015): blocks of a spectrum, channels in turn.
    """
    semitones = [440 * 2 ** ((n / 2 - 69) / 12) for n in range(2 * 31, 2 * 103)]
    shapes = ((PULSE, 0x200), (PULSE, 0x400), (PULSE, 0x800), (TRIANGLE, 0x800))
    tones = [(hz, control, width) for hz in semitones for control, width in shapes]
    noises = [(hz, NOISE, 0x800) for hz in (300.0, 600.0, 1_200.0, 2_400.0, 3_900.0)]
    atoms = record_atoms(tones + noises, rate)
    frames = frames_of(sound, rate)
    left = scaled(spectra(sound, rate, frames), atoms)
    score = empty_score(frames)
    own = (atoms.magnitude**2).sum(axis=1)
    for v in range(VOICES):
        fit = np.clip((left @ atoms.magnitude.T) / own, 0, 1)  # (frames, atoms)
        fit = np.rint(15 * fit) / 15
        atom = (2 * fit * (left @ atoms.magnitude.T) - fit**2 * own).argmax(axis=1)
        level = fit[np.arange(frames), atom]
        score.hz[:, v], score.control[:, v] = atoms.hz[atom], atoms.control[atom]
        score.pulse_width[:, v], score.level[:, v] = atoms.pulse_width[atom], level
        left = np.maximum(left - level[:, None] * atoms.magnitude[atom], 0)
    return to_writes(score)


# --- Adam on a spectral loss -------------------------------------------------------------------------------------


def descend(sound: np.ndarray, rate: int, effort: float = 1.0, seed: int = 0) -> RegisterWrites:
    """All that is smooth by Adam on a multi-resolution spectral loss, through the differentiable chip.

    Method: that of differentiable synthesizers (Engel and others, DDSP, 2020): from a neutral start, no search. Voices
    are a pulse, a sawtooth and noise; notes are a tenth of a second; FREQ, PW, sustain and decay are learned.
    """
    import torch

    from sidlearn.surrogate import DifferentiableSID, pack

    torch.manual_seed(seed)
    frames = frames_of(sound, rate)
    notes = -(-frames // NOTE_FRAMES)
    start = torch.log2(torch.tensor([220.0, 440.0, 2_000.0]) * FREQ_PER_HZ)
    pitch = (start + 0.3 * torch.randn(1, frames, VOICES)).requires_grad_()
    width = (0.5 * torch.randn(1, frames, VOICES)).requires_grad_()
    nibbles = torch.zeros(1, notes, VOICES, 3, requires_grad=True)  # decay, sustain, release
    gate = (torch.arange(frames) % NOTE_FRAMES < NOTE_FRAMES - 1).long()
    control = (torch.tensor([PULSE, SAWTOOTH, NOISE]) + gate[:, None]).float()[None]
    one = torch.ones(1, frames)
    target = torch.from_numpy(sound)[None]

    def registers(rounded: bool = False) -> torch.Tensor:
        decay, sustain, release = (15 * torch.sigmoid(nibbles)).repeat_interleave(NOTE_FRAMES, 1)[:, :frames].unbind(-1)
        freq, pulse = 2 ** pitch.clamp(5, 15.9), 4095 * torch.sigmoid(width)
        if rounded:
            decay, sustain, release, freq, pulse = (x.round() for x in (decay, sustain, release, freq, pulse))
        zero = 0 * one
        return pack(freq, pulse, control, decay, 16 * sustain + release, zero, zero, 15 * one)

    sid = DifferentiableSID("6581", rate, envelope="relaxed")
    adam = torch.optim.Adam([pitch, width, nibbles], lr=0.05)
    for _ in range(max(1, round(200 * effort))):
        adam.zero_grad()
        played = sid(registers())
        size = min(played.shape[1], target.shape[1])
        spectral_distance(played[:, :size], target[:, :size]).backward()
        for group in (pitch, width, nibbles):
            if group.grad is not None:
                torch.nan_to_num_(group.grad)
        adam.step()
    with torch.no_grad():
        values = registers(rounded=True)[0].round().clamp(0, 255).to(torch.uint8).numpy()
    return RegisterFrames(values).writes()


def spectral_distance(first, second):
    """Return the mean difference of magnitudes and of their logarithms at three resolutions, for torch."""
    import torch

    total = torch.zeros(())
    for size in (512, 1_024, 2_048):
        window = torch.hann_window(size)
        a, b = (
            torch.stft(x, size, size // 2, window=window, return_complex=True).abs() + 1e-4 for x in (first, second)
        )
        total = total + ((a - b).abs().mean() / b.mean() + (a.log() - b.log()).abs().mean())
    return total


# --- CMA-ES ------------------------------------------------------------------------------------------------------

CMA_NOTE_FRAMES = 5
WAVES = (TRIANGLE, SAWTOOTH, PULSE, NOISE)


def evolve(sound: np.ndarray, rate: int, effort: float = 1.0, seed: int = 0) -> RegisterWrites:
    """CMA-ES (package `cmaes`) over the registers of a tenth of a second after the other, in the emulator.

    Method: Yee-King, Fedden and d'Inverno, "Automatic programming of VST sound synthesizers" (2018), and Hagiwara
    (2022): no gradients, a spectral loss. Each voice has frequency, waveform, pulse width, attack, decay and sustain.
    """
    from cmaes import CMA

    from sidlearn.chip.sid import SID

    frames = frames_of(sound, rate)
    sound = np.pad(sound / max(np.abs(sound).max(), 1e-9) * 3 * FULL_VOICE, (0, rate))
    sid = SID("6581", rate, mode="fast")
    sid.poke(0, MODE_VOL, 15)
    values = np.zeros((frames, WRITABLE), np.uint8)
    values[:, MODE_VOL] = 15
    mean = np.tile([0.4, 0.5, 0.5, 0.2, 0.5, 0.5], VOICES)
    for first in range(0, frames, CMA_NOTE_FRAMES):
        count = min(CMA_NOTE_FRAMES, frames - first)
        hop = PAL.frame_cycles * rate / PAL.clock_hz
        wanted = power_of(sound[int(first * hop) : int((first + count) * hop)])
        before = sid.snapshot()
        search = CMA(
            mean=mean, sigma=0.3, bounds=np.tile([0.0, 1.0], (len(mean), 1)), seed=seed + first, population_size=10
        )
        best, best_loss = mean, np.inf
        for _ in range(max(1, round(30 * effort))):
            tried = []
            for _ in range(search.population_size):
                genes = search.ask()
                sid.restore(before)
                loss = float(np.mean((power_of(play(sid, note_of(genes, count))) - wanted) ** 2))
                tried.append((genes, loss))
                if loss < best_loss:
                    best, best_loss = genes, loss
            search.tell(tried)
        note = note_of(best, count)
        sid.restore(before)
        play(sid, note)
        values[first : first + count] = note
    return RegisterFrames(values).writes()


def note_of(genes: np.ndarray, count: int) -> np.ndarray:
    """Return the frames of a note from genes 0..1, six a voice; its gate is off in the last frame."""
    values = np.zeros((count, WRITABLE), np.uint8)
    values[:, MODE_VOL] = 15
    for v in range(VOICES):
        pitch, wave, width, attack, decay, sustain = genes[6 * v : 6 * v + 6]
        freq = min(round(55 * 2 ** (6.1 * pitch) * FREQ_PER_HZ), 0xFFFF)
        control = WAVES[min(int(4 * wave), 3)]
        for offset, value in (
            (FREQ_LO, freq & 255), (FREQ_HI, freq >> 8), (PW_LO, round(4_095 * width) & 255),
            (PW_HI, round(4_095 * width) >> 8), (CONTROL, control | GATE),
            (ATTACK_DECAY, min(int(9 * attack), 8) << 4 | min(int(11 * decay), 10)),
            (SUSTAIN_RELEASE, min(int(16 * sustain), 15) << 4 | 4),
        ):  # fmt: skip
            values[:, voice_register(v, offset)] = value
        values[-1, voice_register(v, CONTROL)] = control
    return values


def play(sid, note: np.ndarray) -> np.ndarray:
    """Play a note's frames on a chip that runs, all registers of the first one written."""
    begun, before = sid.cycle, None
    for f, row in enumerate(note):
        at = begun + f * PAL.frame_cycles
        for register in FRAME_ORDER:
            if before is None or row[register] != before[register]:
                sid.poke(at, register, int(row[register]))
                at += WRITE_GAP_CYCLES
        before = row
    return sid.clock(len(note) * PAL.frame_cycles)


def power_of(sound: np.ndarray) -> np.ndarray:
    """Return a power-compressed spectrogram of a note."""
    size, hop = 1_024, 512
    if len(sound) < size:
        sound = np.pad(sound, (0, size - len(sound)))
    pieces = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop] * np.hanning(size)
    return (np.abs(np.fft.rfft(pieces))[:, 2:] / size) ** 0.3


# --- Digi --------------------------------------------------------------------------------------------------------


def sample(sound: np.ndarray, rate: int, effort: float = 1.0, seed: int = 0) -> RegisterWrites:
    """Four-bit samples through the volume register at 7.8 kHz: not a note in it, and 150 times the writes."""
    import soxr

    low = soxr.resample(sound, rate, DIGI_HZ)
    values = np.clip(np.rint(7.5 + 7.5 * low / max(np.abs(low).max(), 1e-9)), 0, 15).astype(int)
    cycles = np.rint(np.arange(len(values)) * PAL.clock_hz / DIGI_HZ).astype(int)
    changed = np.flatnonzero(np.diff(values, prepend=-1))
    # Three silent voices at full envelope with TEST held: their constant level is what the volume then scales.
    rows = [(0, voice_register(v, r), value) for v in range(VOICES) for r, value in (
        (ATTACK_DECAY, 0), (SUSTAIN_RELEASE, 0xF0), (PW_HI, 0), (CONTROL, PULSE | 8 | GATE))]  # fmt: skip
    rows += [(int(cycles[i]), MODE_VOL, int(values[i])) for i in changed]
    return RegisterWrites.from_rows(rows, length=int(len(sound) / rate * PAL.clock_hz))


METHODS: dict[str, Callable[..., RegisterWrites]] = {
    "peak picking": pick_peaks,
    "dictionary": match_dictionary,
    "greedy": choose_greedily,
    "Adam": descend,
    "CMA-ES": evolve,
    "4-bit digi": sample,
}
"""Name -> function of sound, rate, effort (a factor on how long it tries) and seed."""
