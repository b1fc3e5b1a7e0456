"""Registers for any sound: three voices and a filter, chosen frame by frame, with envelopes planned exactly."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from sidlearn.clock import PAL, frame_cycles
from sidlearn.learn import envelopes, intonation, likeness, polish, search
from sidlearn.learn.analyse import Bands, Target, analyse, analyse_columns, bands_for
from sidlearn.learn.atoms import Dictionary, dictionary, partial_power
from sidlearn.learn.checkpoint import Forgetful, Store
from sidlearn.registers import (
    ATTACK_DECAY,
    CONTROL,
    FC_HI,
    FC_LO,
    FREQ_HI,
    FREQ_LO,
    GATE,
    MODE_VOL,
    NOISE,
    PW_HI,
    PW_LO,
    RES_FILT,
    RING,
    SUSTAIN_RELEASE,
    SYNC,
    TRIANGLE,
    VOICES,
    WRITABLE,
    voice_register,
)
from sidlearn.writes import RegisterFrames

HZ_TO_FREQ = (1 << 24) / PAL.clock_hz
FRAME_SECONDS = 0.02
LEVEL_OF = (10 ** (-search.LEVEL_STEP_DB * np.arange(search.LEVELS) / 10)).astype(np.float32)


@dataclass(frozen=True)
class Pursued:
    """Registers that sound like a target."""

    frames: RegisterFrames
    confidence: np.ndarray
    notes: tuple[str, ...] = field(default=())


@dataclass
class Score:
    """What each voice does in each frame, before its envelope is planned."""

    freq: np.ndarray
    pulse_width: np.ndarray
    control: np.ndarray
    """Without the gate."""
    level: np.ndarray
    """0..1 of a full envelope."""
    routed: np.ndarray
    cutoff: np.ndarray
    resonance: np.ndarray
    mode: np.ndarray

    @classmethod
    def empty(cls, frames: int) -> Score:
        ints = lambda *shape: np.zeros(shape, np.int64)  # noqa: E731
        return cls(
            ints(frames, 3), ints(frames, 3), ints(frames, 3), np.zeros((frames, 3)), np.zeros((frames, 3), bool),
            ints(frames), ints(frames), ints(frames),
        )  # fmt: skip


class Effort(NamedTuple):
    """How much is tried, so that a second of sound takes no longer than it may."""

    row_step: int
    """Every which of the filter's settings is searched with all atoms."""
    passes: tuple[bool, ...]
    """How often all choices are gone through again, and whether with all atoms."""
    levels: tuple[int, ...]
    """Levels, in steps of `search.LEVEL_STEP_DB`, that these atoms are tried at."""
    moves: polish.Moves | None
    """What is tried in the emulator."""


SIX_LEVELS, THREE_LEVELS = (0, 3, 6, 9, 12, 16), (2, 7, 12)

# At most 2 s (fast) and 10 s (best) of CPU per second of sound.
EFFORTS = {
    "fast": Effort(2, (True,), SIX_LEVELS, polish.FEW),
    "best": Effort(1, (True, True), SIX_LEVELS, polish.MANY),
}
FINER_EFFORTS = {"fast": (None, polish.FEW), "best": (polish.MANY, polish.SOME)}
"""Where there are more than `COARSE_RATE` frames a second: what is tried in the emulator before and after."""


def pursue(
    audio: np.ndarray,
    sample_rate: int,
    *,
    model: str = "6581",
    frame_rate: int = 50,
    quality: str = "best",
    seed: int = 0,
    voices: int = VOICES,
    progress: Any = None,
    checkpoint: Any = None,
    effort: Effort | None = None,
) -> Pursued:
    """Return registers that sound like a target.

    Parameters
    ----------
    audio : ndarray, float32, shape (samples,)
    sample_rate : int
    model : str
        The chip that is to play it.
    frame_rate : int
        50, 100 or 200.
    quality : str
        ``best`` or ``fast``: which of `EFFORTS` is made.
    seed : int
        Without effect: nothing here is left to chance.
    voices : int
        How many voices may sound.
    progress : callable, optional
        Is told the share done and what is being done.
    checkpoint : Store, optional
        Where what is done is kept.
    effort : Effort, optional
        In place of the one that goes with the quality.
    """
    effort = effort or EFFORTS[quality]
    cycles, times = frame_cycles(COARSE_RATE), frame_rate // COARSE_RATE
    seconds = cycles / PAL.clock_hz
    count = max(1, int(np.ceil(len(audio) / sample_rate / seconds)))
    target = analyse(audio, sample_rate, count, seconds)
    struck = struck_frames(target, seconds)
    atoms = dictionary(model, seconds)
    store, tell = checkpoint or Forgetful(), progress or _say_nothing
    finer_moves = None
    if times > 1:
        moves, finer_moves = FINER_EFFORTS[quality]
        effort = effort._replace(moves=moves)
    coarse_share = 1.0 if times == 1 else COARSE_SHARE
    told = lambda done, what: tell(coarse_share * done, what)  # noqa: E731
    score, loss, wanted = choose_frames(target, atoms, quality, effort, seconds, store, told, voices)
    frames = to_frames(score, cycles, model)
    if effort.moves is not None:
        goal = goal_of(audio, sample_rate, count, cycles, wanted, atoms.bands, struck)
        sung = intonation.wanted_pitch(audio, sample_rate) if times == 1 and effort.moves.again else None
        frames, loss = polish.polish(
            frames, score.level, target.f0_hz > 0, struck, goal, model, effort.moves, store,
            lambda done: told(CHOOSING_SHARE + (1 - CHOOSING_SHARE) * done, "polish"), sung=sung,
        )  # fmt: skip
    if finer_moves is not None:
        count = max(1, int(np.ceil(len(audio) / sample_rate / seconds * times)))
        frames, level = polish.finer(frames, times, count, model)
        bands = bands_for(frames.frame_cycles / PAL.clock_hz)
        voiced = np.repeat(target.f0_hz > 0, times)[:count]
        struck = np.repeat(struck, times)[:count]
        goal = goal_of(audio, sample_rate, count, frames.frame_cycles, wanted, bands, struck)
        frames, loss = polish.polish(
            frames, level, voiced, struck, goal, model, finer_moves, store,
            lambda done: tell(coarse_share + (1 - coarse_share) * done, "finer"), "finer",
        )  # fmt: skip
    return Pursued(close(frames), (UNSURE * np.exp(-CONFIDENCE_SLOPE * loss)).astype(np.float32))


COARSE_RATE = 50
"""Frames a second in which choices are made; where there are more of them, they begin with what these have."""
COARSE_SHARE = 0.5  # of the time, measured
CHOOSING_SHARE = 0.35  # of the time, measured
UNSURE = 0.49
"""Nothing here is known to be what a SID played, so no frame counts as sure."""
CONFIDENCE_SLOPE = 8.0  # guess: half of it where a frame is as far off as the worst tenth of speech


SHORTEST_CLOSED = 10  # frames: shorter sounds need all of them


def close(frames: RegisterFrames) -> RegisterFrames:
    """Return frames of which the last one closes all gates, so that nothing sounds on for ever."""
    values = frames.values.copy()
    if len(values) >= SHORTEST_CLOSED:
        for v in range(VOICES):
            values[-1, voice_register(v, CONTROL)] &= ~np.uint8(GATE)
            values[-1, voice_register(v, SUSTAIN_RELEASE)] &= 0xF0
    return RegisterFrames(values, frames.frame_cycles)


def _say_nothing(done: float, what: str) -> None:
    pass


def goal_of(
    audio: np.ndarray,
    sample_rate: int,
    count: int,
    cycles: int,
    wanted: Wanted,
    bands: Bands,
    struck: np.ndarray,
) -> polish.Goal:
    """Return what the registers' sound is compared with; `struck` is bool (frames,)."""
    step = polish.column_cycles(cycles)
    seconds = np.arange(count * cycles // step + 1) * step / PAL.clock_hz
    power = analyse_columns(audio, sample_rate, seconds, bands) * np.float32(wanted.gain)
    free = ~struck[np.minimum(np.arange(len(power)) * step // cycles, count - 1)]
    alike = likeness.likeness(power, bands.hz, step / PAL.clock_hz, wanted.gain, free)
    compressed = ((power + wanted.floor) ** 0.125).astype(np.float32)
    return polish.Goal(alike, compressed, wanted.floor, wanted.weight, WEIGHTS, bands, POLISH_SWITCH_COST, step)


# --- Choosing ----------------------------------------------------------------------------------------------------


class Palette(NamedTuple):
    """The atoms of one frame."""

    power: np.ndarray
    """float32 (atoms, bands)."""
    allowed: np.ndarray
    """bool (SLOTS, atoms)."""
    base: np.ndarray
    """float64 (atoms,): FREQ of the pitch, 0 for noise."""
    row: np.ndarray
    """int64 (atoms,): among shapes or noises."""
    name: np.ndarray
    """int64 (atoms,): the same for all frames."""
    constant: np.ndarray
    """float64 (atoms,): constant part at full level, past the filter."""

    def names(self, best: np.ndarray, setting: int) -> list[int]:
        """Return what is heard as a change when it is another one in the next frame: filter setting and atoms."""
        return [int(setting), *(-1 if a == search.OFF else int(self.name[a]) for a in best[:, 0])]


class Wanted(NamedTuple):
    """A target in units of the chip."""

    power: np.ndarray
    compressed: np.ndarray
    floor: np.ndarray
    weight: np.ndarray
    gain: float
    """What the target's power was multiplied by."""


class Routing(NamedTuple):
    """What stays as it is all along, since every change of it is heard as a click."""

    mode: int
    mask: int

    @property
    def voices(self) -> np.ndarray:
        """Which voices go through the filter: bool (3,)."""
        return np.array([bool(self.mask >> v & 1) for v in range(VOICES)])


PIECE_FRAMES = 1_000
"""Frames that are chosen together: what bounds the memory, and what a killed run keeps."""


def choose_frames(
    target: Target,
    atoms: Dictionary,
    quality: str,
    effort: Effort,
    frame_seconds: float,
    store: Store,
    tell: Any,
    voices: int = VOICES,
) -> tuple[Score, np.ndarray, Wanted]:
    """Return what the voices do in each frame, and its loss."""
    wanted, routing = choose_routing(target, atoms, quality, voices)
    frames = len(target.power)
    score, losses = Score.empty(frames), np.zeros(frames)
    score.mode[:], score.routed[:] = routing.mode, routing.voices
    chosen = ("freq", "pulse_width", "control", "level", "cutoff", "resonance")
    for first in range(0, frames, PIECE_FRAMES):
        part = slice(first, min(first + PIECE_FRAMES, frames))
        kept = store.get(f"pursue/{first}")
        if kept is None:
            piece, losses[part] = _choose_piece(part, target, wanted, routing, atoms, effort, frame_seconds, voices)
            store.put(f"pursue/{first}", losses=losses[part], **{name: getattr(piece, name) for name in chosen})
        else:
            piece, losses[part] = Score.empty(part.stop - first), kept["losses"]
            for name in chosen:
                setattr(piece, name, kept[name])
        for name in chosen:
            getattr(score, name)[part] = getattr(piece, name)
        tell(CHOOSING_SHARE * part.stop / frames, "voices")
    return score, losses, wanted


def _choose_piece(
    part: slice,
    whole: Target,
    wanted: Wanted,
    routing: Routing,
    atoms: Dictionary,
    effort: Effort,
    seconds: float,
    voices: int,
) -> tuple[Score, np.ndarray]:
    """Return what the voices do in some frames, and what each of them loses by its levels."""
    target = Target(*(column[part] for column in whole))
    wanted = wanted._replace(power=wanted.power[part], compressed=wanted.compressed[part])
    palettes = [palette(t, target, atoms, voices) for t in range(len(target.power))]
    rows = settings_of(routing, atoms)
    tried = rows[:: effort.row_step] if len(rows) > 1 else rows
    found = search_all(range(len(palettes)), palettes, wanted, atoms, tried, [routing] * len(tried), 2)
    struck = struck_frames(target, seconds)
    best, setting = assemble(found, palettes, wanted, atoms, routing, tried, switch_costs(struck))
    losses = choose_all_again(best, setting, palettes, wanted, atoms, routing, rows, seconds, effort, struck)
    score = Score.empty(len(palettes))
    for t in range(len(palettes)):
        write_candidate(score, t, palettes[t], best[t], target.f0_hz[t], atoms, setting[t])
    return score, losses


WEIGHTS = np.array([10.0, 1.0, 1.0])
"""Of the distance of levels, the likeness of courses and that of spectrograms."""


def choose_all_again(
    best, setting, palettes, wanted: Wanted, atoms: Dictionary, routing, rows, frame_seconds, effort, struck
):
    """Choose again with regard to how the sound moves, in place; return what each frame loses by its levels."""
    frames, bands = len(palettes), len(wanted.weight)
    target = likeness.likeness(wanted.power, atoms.bands.hz, frame_seconds, wanted.gain, ~struck)
    power = np.zeros((frames, bands), np.float32)
    constant = np.zeros(frames)
    for t in range(frames):
        sound, constant[t] = render_candidate(palettes[t], best[t], atoms, routing, setting[t], wanted)
        power[t] = sound - wanted.floor
    now = likeness.course(target, power)
    factor = np.where(routing.voices, atoms.constants.low_pass if routing.mode & 0x10 else 0.0, 1.0)
    losses = np.zeros(frames)
    coarse = np.array(effort.levels, np.int64)
    switch_cost = switch_costs(struck)
    for thorough in effort.passes:
        for t in range(frames):
            frame = palettes[t]
            near = [palettes[n].names(best[n], setting[n]) for n in (t - 1, t + 1) if 0 <= n < frames]
            own = np.append(frame.name, -1)
            cost = sum((own[None] != np.array(n[1:])[:, None]).astype(np.float64) for n in near)
            row_cost = sum((rows != n[0]).astype(np.float64) for n in near)
            around = np.array([constant[max(t - 1, 0)], constant[min(t + 1, frames - 1)]])
            switch = WEIGHTS[0] * switch_cost[t]
            terms = likeness.Terms(
                atoms.filters.gain, routing.voices, LEVEL_OF, coarse, wanted.floor, wanted.weight, atoms.click,
                WEIGHTS,
            )  # fmt: skip
            given = likeness.Frame(
                frame.power, frame.allowed, np.zeros((3, len(own))) + switch * cost,
                factor[:, None] * frame.constant, rows, np.zeros(len(rows)) + switch * row_cost,
                around, wanted.compressed[t],
            )  # fmt: skip
            setting[t], _, plain = likeness.choose_again(
                target, now, t, given, terms, best[t], int(setting[t]), thorough
            )
            losses[t] = plain / WEIGHTS[0] / float(np.sum(wanted.weight))
            sound, constant[t] = render_candidate(frame, best[t], atoms, routing, setting[t], wanted)
            power[t] = sound - wanted.floor
    return losses


def struck_frames(target: Target, frame_seconds: float) -> np.ndarray:
    """Return where drums and the like sound, bool (frames,): little around has a pitch, so no voice is speaking.

    Shorter stretches are pauses of a voice.
    """
    reach = round(NO_VOICE_SECONDS / frame_seconds)
    voiced = np.pad((target.f0_hz > 0).astype(np.float64), reach, mode="symmetric")
    struck = np.lib.stride_tricks.sliding_window_view(voiced, 2 * reach + 1).mean(axis=1) < NO_VOICE_SHARE
    edges = np.flatnonzero(np.diff(struck.astype(np.int8), prepend=0, append=0))
    for first, last in edges.reshape(-1, 2):
        if last - first < min(reach, len(struck)):
            struck[first:last] = False
    return struck


NO_VOICE_SECONDS, NO_VOICE_SHARE = 1.0, 0.35  # guess: pauses of speech are shorter, and pitched drums rarer


def switch_costs(struck: np.ndarray) -> np.ndarray:
    """Return what a change of an atom costs in each frame: struck sounds ring, they do not change."""
    return np.where(struck, STRUCK_SWITCH_COST, SWITCH_COST)


def want(target: Target, atoms: Dictionary, loudness: float) -> Wanted:
    gain = scale(target.power, atoms) * loudness
    power = (target.power * gain).astype(np.float32)
    floor = (np.quantile(power, 0.98, axis=0) * FLOOR_SHARE + search.FLOOR).astype(np.float32)
    return Wanted(power, ((power + floor) ** 0.125).astype(np.float32), floor, band_weight(atoms.bands.hz), gain)


LOUDNESS = (1.0, 2.0, 4.0)
"""How loud a target is played, for its loudest frames and a full sawtooth: tried one after the other."""
FLOOR_SHARE = 1e-4
CANDIDATES = 8
TOTAL_WEIGHT = 4.0
WIDE_WEIGHT = 1.0
START_COST = 0.2
START_SECONDS = 0.065  # half of the time constant of the board's capacitor
SWITCH_COST, STRUCK_SWITCH_COST = 0.002, 0.04
POLISH_SWITCH_COST = 0.3
ROUNDS = 2


def scale(power: np.ndarray, atoms: Dictionary) -> float:
    """Return by what a target's power is multiplied so that its loudest frames have that of a full sawtooth."""
    total = power[:, -1]
    loud = np.quantile(total, 0.99)
    full = float(atoms.shapes.power[1].sum())
    return full / max(float(loud), 1e-20)


def band_weight(hz: np.ndarray) -> np.ndarray:
    weight = np.where(hz > 5_000, 0.5, 1.0)
    weight[hz == 0] = WIDE_WEIGHT
    weight[-1] = TOTAL_WEIGHT
    return weight.astype(np.float32)


def palette(t: int, target: Target, atoms: Dictionary, voices: int = VOICES) -> Palette:
    """Return what may sound in a frame: harmonics of its pitch, or its strongest partials, and noise."""
    shapes, noises = atoms.shapes, atoms.noises
    linked = (shapes.control & (SYNC | RING)) != 0
    f0 = target.f0_hz[t]
    if f0 > 0:
        powers = [partial_power(shapes.power, f0, atoms.bands)]
        base = np.full(len(linked), f0 * HZ_TO_FREQ)
        index = np.arange(len(linked))
        high = shapes.ratio * f0 * HZ_TO_FREQ < 65_000
        allowed = np.stack((high & (shapes.ratio == 1) & ~linked, high, high & ~linked))
    else:
        plain = np.flatnonzero((shapes.ratio == 1) & ~linked)[:4]
        peaks = target.peaks_hz[t][target.peaks_hz[t] > 0]
        powers = [partial_power(shapes.power[plain], hz, atoms.bands) for hz in peaks]
        base = np.repeat(peaks * HZ_TO_FREQ, len(plain))
        index = np.tile(plain, len(peaks))
        allowed = np.ones((3, len(index)), bool)
    count = len(noises.freq)
    noisy = np.ones((3, count), bool)
    noisy[0] = f0 <= 0
    noisy[voices:] = allowed[voices:] = False
    mean = np.concatenate((shapes.mean[index], np.full(count, NOISE_MEAN)))
    return Palette(
        np.ascontiguousarray(np.concatenate([*powers, noises.power]), np.float32),
        np.concatenate((allowed, noisy), axis=1),
        np.concatenate((base, np.zeros(count))),
        np.concatenate((index, np.arange(count))),
        np.concatenate((index, 1_000 + np.arange(count))),
        atoms.constants.per_wave * mean + atoms.constants.offset,
    )


def settings_of(routing: Routing, atoms: Dictionary) -> np.ndarray:
    """Return the filter settings that go with a routing."""
    if not routing.mask:
        return np.zeros(1, np.int64)
    return np.flatnonzero(atoms.filters.mode == routing.mode)


def choose_routing(target: Target, atoms: Dictionary, quality: str, voices: int) -> tuple[Wanted, Routing]:
    """Return the loudness, filter mode and the voices through it that suit the sound best, by some loud frames."""
    strength = target.power[:, -1]
    loud = np.flatnonzero(strength > np.quantile(strength, 0.3))
    count = 60 if quality == "best" else 24
    loud = loud if len(loud) else np.arange(len(strength))
    frames = loud[np.unique(np.linspace(0, len(loud) - 1, count).astype(int))]
    palettes = {int(t): palette(int(t), target, atoms, voices) for t in frames}
    routings = [Routing(0, 0)] + [Routing(m, k) for m in (0x10, 0x20, 0x40) for k in range(1, 1 << voices)]
    seconds = len(strength) * FRAME_SECONDS
    lowest, best = np.inf, (want(target, atoms, LOUDNESS[0]), routings[0])
    for loudness in LOUDNESS:
        wanted = want(target, atoms, loudness)
        rows, of = [], []
        for routing in routings:
            for row in settings_of(routing, atoms)[:: 3 if routing.mask else 1]:
                rows.append(row)
                of.append(routing)
        found = search_all(frames, palettes, wanted, atoms, np.array(rows), of, 1)
        which = np.array([routings.index(r) for r in of])
        energy = float(wanted.power[:, -1].mean()) * seconds
        for i, routing in enumerate(routings):
            step = atoms.constants.start[routing.mode, routing.mask.bit_count()]
            total = found.loss[:, which == i].min(axis=1).mean()
            total += START_COST * step**2 * START_SECONDS / energy
            if total < lowest:
                lowest, best = total, (wanted, routing)
        routings = [best[1], routings[0]] if best[1] != routings[0] else [best[1]]
    return best


class Found(NamedTuple):
    """The best atoms of some frames for each filter setting."""

    best: np.ndarray
    """int64 (frames, settings, SLOTS, 2)."""
    loss: np.ndarray
    """float32 (frames, settings)."""


def search_all(frames, palettes, wanted: Wanted, atoms: Dictionary, rows, routings, sweeps: int) -> Found:
    """Search some frames on two cores."""
    frames = list(frames)
    routed = np.array([[bool(r.mask >> v & 1) for v in range(3)] for r in routings])
    best = np.zeros((len(frames), len(rows), 3, 2), np.int64)
    loss = np.zeros((len(frames), len(rows)), np.float32)
    rows = np.asarray(rows, np.int64)

    def work(first: int) -> None:
        for i in range(first, len(frames), THREADS):
            frame = palettes[frames[i]]
            search.search_frame(
                frame.power, np.zeros(len(frame.power), np.float32), frame.allowed, atoms.filters.gain, rows, routed,
                wanted.compressed[frames[i]], wanted.floor, wanted.weight, LEVEL_OF,
                np.array(search.COARSE, np.int64), sweeps, best[i], loss[i],
            )  # fmt: skip

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(work, range(THREADS)))
    return Found(best, loss)


THREADS = 2


def assemble(found: Found, palettes, wanted: Wanted, atoms: Dictionary, routing: Routing, rows, switch_cost):
    """Return the best path through the candidates of all frames: atoms and levels (frames, 3, 2), filter settings."""
    frames = len(palettes)
    own_count = min(CANDIDATES, len(rows))
    size = own_count + 2
    order = np.argsort(found.loss, axis=1, kind="stable")[:, :own_count]
    best = np.zeros((frames, size, 3, 2), np.int64)
    setting = np.zeros((frames, size), np.int64)
    own = np.full((frames, size), np.inf, np.float32)
    power = np.zeros((frames, size, len(wanted.weight)), np.float32)
    dc = np.zeros((frames, size), np.float32)
    change = np.zeros((frames, size, size), np.float32)
    keep = np.zeros(frames, np.int64)
    routed = routing.voices
    for t in range(frames):
        best[t, :own_count] = found.best[t, order[t]]
        setting[t, :own_count] = rows[order[t]]
        own[t, :own_count] = found.loss[t, order[t]]
        for k in range(own_count):
            power[t, k], dc[t, k] = render_candidate(palettes[t], best[t, k], atoms, routing, setting[t, k], wanted)
    for i in range(ROUNDS + 1):
        names = [[palettes[t].names(best[t, k], setting[t, k]) for k in range(size)] for t in range(frames)]
        for t in range(1, frames):
            for k in range(size):
                for j in range(size):
                    change[t, k, j] = switch_cost[t] * sum(
                        a != b for a, b in zip(names[t][k], names[t - 1][j], strict=True)
                    )
        search.best_path(power, own, dc, atoms.click, wanted.compressed, wanted.weight, change, keep)
        if i == ROUNDS:
            break
        # The chosen ones stay; their neighbours may go on with the same atoms.
        chosen = best[np.arange(frames), keep].copy()
        chosen_setting = setting[np.arange(frames), keep].copy()
        for t in range(frames):
            for n, other in ((0, t - 1), (1, t + 1)):
                k = own_count + n
                if not 0 <= other < frames:
                    continue
                own[t, k] = np.inf
                same = carry(palettes[other], chosen[other], palettes[t])
                if same is None:
                    continue
                best[t, k], setting[t, k] = same, chosen_setting[other]
                own[t, k] = search.refit(
                    palettes[t].power, np.zeros(len(palettes[t].power), np.float32), atoms.filters.gain,
                    setting[t, k], routed, wanted.compressed[t], wanted.floor, wanted.weight, LEVEL_OF, best[t, k],
                    np.empty(len(wanted.weight), np.float32), np.empty(len(wanted.weight), np.float32),
                )  # fmt: skip
                power[t, k], dc[t, k] = render_candidate(palettes[t], best[t, k], atoms, routing, setting[t, k], wanted)
            k = keep[t]  # kept in place of the worst own one
            if k >= own_count:
                w = own_count - 1
                best[t, w], setting[t, w] = chosen[t], chosen_setting[t]
                power[t, w], dc[t, w] = render_candidate(palettes[t], best[t, w], atoms, routing, setting[t, w], wanted)
                own[t, w] = search.distance(
                    power[t, w], power[t, w], power[t, w], np.float32(0), wanted.compressed[t], wanted.weight,
                    np.empty(len(wanted.weight), np.float32),
                )  # fmt: skip
    every = np.arange(frames)
    return best[every, keep].copy(), setting[every, keep].copy()


def carry(source: Palette, best, frame: Palette):
    """Return the atoms of one frame in another frame's palette, with their levels; None where one is missing."""
    out = np.array(best)
    for v in range(3):
        a = best[v, 0]
        if a == search.OFF:
            continue
        near = frame.row == source.row[a]
        if source.base[a] == 0:
            near &= frame.base == 0
        else:
            near &= (frame.base > 0) & (np.abs(frame.base / source.base[a] - 1) < 0.06)
        near &= frame.allowed[v]
        if not near.any():
            return None
        where = np.flatnonzero(near)
        out[v, 0] = where[np.argmin(np.abs(frame.base[where] - source.base[a]))]
    return out


def render_candidate(frame: Palette, best, atoms: Dictionary, routing: Routing, row: int, wanted: Wanted):
    """Return the band power of a candidate, and its constant part."""
    power = wanted.floor.copy()
    dc = 0.0
    for v in range(3):
        a, level = best[v]
        if a == search.OFF:
            continue
        routed = routing.mask >> v & 1
        power += LEVEL_OF[level] * frame.power[a] * (atoms.filters.gain[row] if routed else 1)
        constant = np.sqrt(LEVEL_OF[level]) * frame.constant[a]
        dc += constant * ((atoms.constants.low_pass if routing.mode & 0x10 else 0.0) if routed else 1)
    return power, dc


NOISE_MEAN = -0.06  # measured on the 6581: the waveform DAC's mean over all values


def write_candidate(score: Score, t: int, frame: Palette, best, f0: float, atoms: Dictionary, row: int) -> None:
    """Write what the voices do in a frame."""
    shapes, filters = atoms.shapes, atoms.filters
    score.cutoff[t], score.resonance[t] = filters.cutoff[row], filters.resonance[row]
    master = round(f0 * HZ_TO_FREQ)
    for v in range(3):
        a, level = best[v]
        if a == search.OFF:
            if v == 0 and f0 > 0:
                score.freq[t, v], score.control[t, v] = master, TRIANGLE
            continue
        i = frame.row[a]
        if frame.base[a] == 0:
            score.freq[t, v], score.control[t, v] = atoms.noises.freq[i], NOISE
        else:
            base = master if f0 > 0 else frame.base[a]
            score.freq[t, v] = min(round(base * shapes.ratio[i]), 0xFFFF)
            score.control[t, v], score.pulse_width[t, v] = shapes.control[i], shapes.pulse_width[i]
        score.level[t, v] = np.sqrt(LEVEL_OF[level])


# --- Registers ---------------------------------------------------------------------------------------------------


def to_frames(score: Score, cycles: int, model: str) -> RegisterFrames:
    """Return the registers of a score: what a silent voice keeps costs no write; envelopes are planned exactly."""
    score = fill_silence(score)
    values = np.zeros((len(score.freq), WRITABLE), np.uint8)
    values[:, FC_LO] = score.cutoff & 7
    values[:, FC_HI] = score.cutoff >> 3
    values[:, RES_FILT] = score.resonance << 4 | score.routed @ np.array([1, 2, 4])
    values[:, MODE_VOL] = score.mode | 15
    for v in range(VOICES):
        for offset, column in (
            (FREQ_LO, score.freq[:, v] & 0xFF),
            (FREQ_HI, score.freq[:, v] >> 8),
            (PW_LO, score.pulse_width[:, v] & 0xFF),
            (PW_HI, score.pulse_width[:, v] >> 8),
            (CONTROL, score.control[:, v]),
        ):
            values[:, voice_register(v, offset)] = column
    for v in range(VOICES):
        plan_voice(values, v, score.level[:, v], cycles, model)
    return RegisterFrames(values, cycles)


def plan_voice(values: np.ndarray, voice: int, level: np.ndarray, cycles: int, model: str) -> envelopes.Plan:
    """Plan the envelope of a voice into the registers; those that are written before it must stand already."""
    control = values[:, voice_register(voice, CONTROL)] & ~np.uint8(GATE)
    timing = envelopes.timing_of(values, voice, cycles)
    plan = envelopes.plan(level, control, timing, model)
    values[:, voice_register(voice, ATTACK_DECAY)] = plan.attack_decay
    values[:, voice_register(voice, SUSTAIN_RELEASE)] = plan.sustain_release
    values[:, voice_register(voice, CONTROL)] = control | plan.gate * np.uint8(GATE)
    return plan


def fill_silence(score: Score) -> Score:
    """Let silent voices keep what they had, where nothing hangs on it."""
    for v in range(VOICES):
        for t in range(1, len(score.freq)):
            if score.level[t, v] == 0 and not (v == 0 and score.control[t, 1] & (SYNC | RING)):
                for name in ("freq", "pulse_width", "control"):
                    getattr(score, name)[t, v] = getattr(score, name)[t - 1, v]
    off = np.asarray(~(score.routed & (score.level > 0)).any(axis=1))
    for t in range(1, len(score.freq)):
        if off[t]:
            for name in ("cutoff", "resonance", "mode"):
                getattr(score, name)[t] = getattr(score, name)[t - 1]
    return score
