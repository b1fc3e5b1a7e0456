"""The chip as the decoder sees it: from register images to samples at a 24th of the chip clock, a frame at a time."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as of
from functools import lru_cache

import numpy as np

from sidlearn.chip import models
from sidlearn.clock import PAL
from sidlearn.learn.decode import filtering, kernel
from sidlearn.registers import CONTROL, GATE, MODE_VOL, PW_LO, VOICE_STRIDE, VOICES, WRITABLE
from sidlearn.writes import FRAME_ORDER, WRITE_GAP_CYCLES

SAMPLE_CYCLES = kernel.STEP * kernel.DECIMATION
"""Cycles of a sample."""
TAPS = 64
"""Of the low-pass at an eighth of the clock."""
PASS_HZ, STOP_HZ = 11_000, 18_500
"""Band in which target and hypotheses are compared; files hold nothing reliable above."""
FULL_VOLUME = 15
ORDER = np.array(FRAME_ORDER, np.int64)
NO_PADS = (0, 0, 0, 0)


@lru_cache(maxsize=4)
def low_pass(clock_hz: int = PAL.clock_hz) -> np.ndarray:
    """Return the taps that come before the decimation, float32 (TAPS,), linear phase."""
    from scipy.signal import firwin

    taps = firwin(TAPS, (PASS_HZ + STOP_HZ) / 2, fs=clock_hz / kernel.STEP, window=("kaiser", 6.2))
    return taps.astype(np.float32)


@dataclass
class State:
    """Everything that makes the sound from a frame's first cycle on."""

    osc: np.ndarray
    env: np.ndarray
    history: np.ndarray
    image: np.ndarray
    """The 25 registers, uint8."""
    dc: float = 0.0
    filter: np.ndarray = of(default_factory=filtering.power_on)


@dataclass
class Frame:
    """One frame of a hypothesis."""

    number: int
    before: State
    after: State
    pads: tuple[int, int, int, int]
    waves: np.ndarray
    """Mean DAC level of each voice and step, float32 (3, steps)."""
    levels: np.ndarray
    """Envelopes, uint8 (3, steps)."""
    out: np.ndarray
    """Float32 (samples,)."""
    energy: float
    """Of the difference to the target."""

    @property
    def image(self) -> np.ndarray:
        return self.after.image


COMPILED = (
    kernel.frame_events,
    kernel.kept_wave,
    kernel.play_frame,
    kernel.play_voices,
    kernel.least_by_gates,
    kernel.frame_envelope,
    kernel.finish,
    kernel.contribution,
    kernel.decimate,
    kernel.decimate_levels,
    kernel.integral_table,
    kernel.scan_frequencies,
    kernel.fold_frequencies,
    kernel.fold_free,
    kernel.scan_widths,
    kernel.scan_noise,
    kernel.scan_adsr,
    kernel.scan_starts,
    kernel.run_events,
    kernel.add_pairs,
    filtering.run_filter,
    filtering.spread,
    filtering.add_routed,
    filtering.finish_filtered,
    filtering.filtered_part,
)


def prepare() -> None:
    """Have numba call the kernels: they are called some thousand times a second, which ctypes is slow at."""
    for some in COMPILED:
        some.dispatcher  # type: ignore[union-attr]  # noqa: B018  # compiles, or loads what was compiled


class Forward:
    """One chip model and one target.

    Parameters
    ----------
    name : str
        A key of `models.MODELS`.
    target : ndarray, float32, shape (samples,)
        What `sidlearn.learn.decode.target` made, from the first cycle of the first frame on.
    frame_cycles : int
        A multiple of 24.
    """

    def __init__(self, name: str, target: np.ndarray, frame_cycles: int, clock_hz: int = PAL.clock_hz) -> None:
        prepare()
        self.name = name
        record = models.load(name, clock_hz)[0]
        self.record = record
        self.frame_cycles = frame_cycles
        self.samples = frame_cycles // SAMPLE_CYCLES
        self.steps = frame_cycles // kernel.STEP
        frames = len(target) // self.samples
        self.target = np.ascontiguousarray(target[: frames * self.samples].reshape(frames, self.samples), np.float32)
        self.taps = low_pass(clock_hz)
        self.dac = np.ascontiguousarray(record.dac_wave)
        self.dac_env = np.ascontiguousarray(record.dac_env)
        self.combined = np.ascontiguousarray(record.combined)
        self.drift, self.per_wave = float(record.voice_drift), float(record.voice_range)
        inputs = VOICES + 1
        first = (FULL_VOLUME * 8 + inputs) * (models.LINES + 1)
        pairs = np.ascontiguousarray(record.mix_lines).view(np.float32).reshape(-1, 2)
        self.lines = pairs[first : first + models.LINES + 1].astype(np.float64)
        self.base = float(
            VOICES * record.voice_dc
            + record.voice_dc
            + record.voice_range * record.ext_in
            + record.filter_out_offset[0]
        )
        zero, scale = float(record.output_zero), float(record.output_scale)
        per_sum = models.LINES / inputs
        self.constants = np.array([self.drift, self.per_wave, self.base, per_sum, zero, scale])
        self.model = (self.dac_env, self.constants)
        self.silence = (0.5 - zero) * scale
        middle = self.base + 1.5 * (self.drift + 0.5 * self.per_wave * 0)
        self.slope = float(self.lines[int(middle * per_sum), 1] * scale)
        sums = np.linspace(0, 0.999 * inputs, 4000)
        mixed = np.empty(4000, np.float32)
        kernel.mix_steps(sums, self.lines, per_sum, zero, scale, mixed)
        turn = 1 if mixed[-1] > mixed[0] else -1
        self._inverse = (mixed[::turn], sums[::turn] - self.base)
        self._sums, self._mixed = np.zeros(self.steps), np.zeros(self.steps, np.float32)
        self._events = np.zeros((WRITABLE, 3), np.int64)
        self._chip = (self.dac, self.combined, self.dac_env, self.constants, self.lines, self.taps)
        self._kept = (
            np.zeros((VOICES, kernel.SLOTS, kernel.KEY), np.int64),
            np.zeros((VOICES, kernel.SLOTS, self.steps), np.float32),
            np.zeros((VOICES, kernel.SLOTS, kernel.OSCILLATOR_FIELDS), np.int64),
        )
        self._rooms = (
            np.zeros(frame_cycles, np.float32),
            np.zeros((WRITABLE, 3), np.int64),
            np.zeros(kernel.KEY, np.int64),
            np.zeros((WRITABLE, 3), np.int64),
            self._sums,
            self._mixed,
        )
        self._pads: dict[tuple, np.ndarray] = {}
        self._level = np.zeros(self.steps, np.uint8)
        self._filter_chip = (self.dac, self.combined, self.dac_env, self.taps)
        self._filter_rooms = (
            np.zeros(self.steps),
            np.zeros((2, self.steps), np.float32),
            np.zeros((2, frame_cycles), np.float32),
        )
        self._mixers: dict = {}
        self.evaluated = 0

    def power_on(self) -> State:
        """Return the state of a chip that has just got its power."""
        osc, env = kernel.power_on()
        osc[:, kernel.CARRY] = int(kernel.CARRY_UNIT * self.dac[0] * 0.5 * kernel.STEP)
        return State(osc, env, np.full(TAPS - 1, self.silence, np.float32), np.zeros(WRITABLE, np.uint8))

    def events(self, before: State, image: np.ndarray, pads: tuple, everything: bool = False) -> np.ndarray:
        """Return the writes of a frame, int64 (writes, 3)."""
        return self.events_between(before.image, image, pads, everything)

    def events_between(
        self, before: np.ndarray, image: np.ndarray, pads: tuple = NO_PADS, everything: bool = False
    ) -> np.ndarray:
        """Return the writes that lead from one image to another, int64 (writes, 3)."""
        n = kernel.frame_events(before, image, ORDER, WRITE_GAP_CYCLES, self.pads(pads), everything, self._events)
        return self._events[:n].copy()

    def pads(self, pads: tuple) -> np.ndarray:
        """Return pads as an array, int64 (4,)."""
        found = self._pads.get(pads)
        if found is None:
            found = self._pads[pads] = np.array(pads, np.int64)
        return found

    def wave(self, before: State, v: int, events: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the wave of one voice, float32 (steps,), and its oscillator at the frame's end."""
        wave = np.empty(self.steps, np.float32)
        end = np.empty(kernel.OSCILLATOR_FIELDS, np.int64)
        kernel.kept_wave(before.osc, v, events, self.frame_cycles, self._chip, self._kept, self._rooms, wave, end)
        return wave, end

    def parts(
        self,
        oscs: np.ndarray,
        envs: np.ndarray,
        v: int,
        olds: np.ndarray,
        images: np.ndarray,
        offset: int,
        skip: int,
        everything: bool = False,
    ) -> np.ndarray:
        """Return what a voice adds to the sum of voices with each of its options, float64 (options, samples - skip).

        Without the mean; `offset` writes to other voices come before.

        Parameters
        ----------
        oscs : ndarray, int64, shape (options, 3, fields)
        envs : ndarray, int64, shape (options, fields)
            Its envelopes; they move on.
        olds, images : ndarray, uint8, shape (options, 25)
            Registers before and after.
        """
        out = np.empty((len(envs), self.samples - skip))
        timing = (ORDER, WRITE_GAP_CYCLES, everything, self.frame_cycles)
        machine = (timing, self._chip, self._kept, self._rooms, self._level)
        kernel.play_voices(oscs, envs, v, olds, images, offset, *machine, skip, out)
        return out

    def evaluate(
        self,
        before: State,
        number: int,
        image: np.ndarray,
        pads: tuple = NO_PADS,
        skip: int = 0,
        everything: bool = False,
    ) -> Frame:
        """Play one frame in which the registers become `image`."""
        self.evaluated += 1
        waves = np.empty((VOICES, self.steps), np.float32)
        levels = np.empty((VOICES, self.steps), np.uint8)
        out = np.empty(self.samples, np.float32)
        osc, env, history = np.empty_like(before.osc), np.empty_like(before.env), np.empty_like(before.history)
        energy = kernel.play_frame(
            (before.osc, before.env, before.history),
            (osc, env, history),
            before.image,
            image,
            self.pads(pads),
            (ORDER, WRITE_GAP_CYCLES, everything, self.frame_cycles),
            self._chip,
            self._kept,
            self._rooms,
            self.target[number],
            before.dc,
            skip,
            waves,
            levels,
            out,
        )
        after = State(osc, env, history, image, before.dc, before.filter)
        if filtering.in_use(image):
            after.history = before.history.copy()
            events = self.events_between(before.image, image, pads, everything)
            energy = self.finish_filtered(waves, levels, before, events, after, self.target[number], skip, out)
        return Frame(number, before, after, pads, waves, levels, out, energy)

    def mixer(self, image: np.ndarray) -> filtering.Mixer:
        """Return the mixer with the registers of an image."""
        key = (*filtering.inputs_of(image), int(image[MODE_VOL] & 15))
        if key not in self._mixers:
            self._mixers[key] = filtering.mixer_for(self.record, image)
        return self._mixers[key]

    def finish_filtered(
        self,
        waves: np.ndarray,
        levels: np.ndarray,
        before: State,
        events: np.ndarray,
        after: State,
        target: np.ndarray,
        skip: int,
        out: np.ndarray,
    ) -> float:
        """Play voices through filter and mixer into `out`; move `after` on and return the energy of the error."""
        mixer = self.mixer(after.image)
        after.filter = after.filter.copy()
        return filtering.finish_filtered(
            before.osc,
            events,
            waves,
            levels,
            self._filter_chip,
            mixer.constants,
            mixer.lines,
            self.record,
            filtering.changes_of(before.image, after.image, events),
            after.filter,
            after.history,
            target,
            after.dc,
            skip,
            self._filter_rooms,
            out,
        )

    def into_filter(self, osc: np.ndarray, v: int, events: np.ndarray, level: np.ndarray) -> np.ndarray:
        """Return what one voice gives to the filter, float32 (cycles,), from its envelope by steps."""
        routed = np.zeros(self.frame_cycles, np.float32)
        rooms = self._filter_rooms[2][0], self._filter_rooms[1][1]
        constants = self.dac_env, self.drift, self.per_wave
        filtering.add_routed(osc, v, events, level, self.dac, self.combined, *constants, rooms, routed)
        return routed

    def sums(self, frame: Frame) -> np.ndarray:
        """Return the sum of voices that a frame of the target stands for, the mixer undone, float64 (samples,)."""
        return np.interp(self.target[frame.number] - np.float32(frame.before.dc), *self._inverse)

    def rest(self, frame: Frame, mute: tuple[int, ...]) -> np.ndarray:
        """Return what is left of the target without some voices, as a sum of voices' levels, float64 (samples,)."""
        levels = frame.levels.copy()
        levels[list(mute)] = 0
        history = frame.before.history.copy()
        out = np.empty(self.samples, np.float32)
        kernel.finish(
            frame.waves,
            levels,
            self.model,
            self.lines,
            self.taps,
            history,
            self.target[frame.number],
            frame.before.dc,
            0,
            self._sums,
            self._mixed,
            out,
        )
        return (self.target[frame.number].astype(np.float64) - out - frame.before.dc) / self.slope


def field(image: np.ndarray, v: int) -> tuple[int, int, int, int, int]:
    """Return FREQ, PW, CONTROL, AD and SR of a voice."""
    r = image[v * VOICE_STRIDE : (v + 1) * VOICE_STRIDE].tolist()
    return r[0] | r[1] << 8, (r[2] | r[3] << 8) & 0xFFF, r[4], r[5], r[6]


def with_gate(image: np.ndarray, v: int, gate: int) -> np.ndarray:
    """Return a copy of an image with the gate of a voice on (GATE) or off (0)."""
    return with_voice(image, v, control=field(image, v)[2] & ~GATE | gate)


def with_voice(
    image: np.ndarray,
    v: int,
    freq: int | None = None,
    width: int | None = None,
    control: int | None = None,
    ad: int | None = None,
    sr: int | None = None,
) -> np.ndarray:
    """Return a copy of an image with some registers of a voice changed."""
    image = image.copy()
    at = v * VOICE_STRIDE
    if freq is not None:
        image[at], image[at + 1] = freq & 0xFF, freq >> 8
    if width is not None:
        image[at + PW_LO], image[at + PW_LO + 1] = width & 0xFF, width >> 8
    for offset, value in ((CONTROL, control), (5, ad), (6, sr)):
        if value is not None:
            image[at + offset] = value
    return image
