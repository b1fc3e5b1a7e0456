"""What voices add to a frame if some of them go through the filter, and what is heard of them ahead of it."""

from __future__ import annotations

import numpy as np

from sidlearn.learn.decode import filtering, kernel
from sidlearn.learn.decode.forward import NO_PADS, Frame, State
from sidlearn.learn.decode.path import SKIP, Path
from sidlearn.registers import FC_LO, MODE_VOL, RES_FILT, VOICES

SHARED = slice(FC_LO, MODE_VOL + 1)
"""Registers that are no voice's."""
LEAST_GAIN = 0.05
"""Of the filter, over its most, below which nothing is made louder again; guess."""
FILTERS_KEPT = 64
SETTLING = 3
"""Frames in which the filter comes to rest."""


class Routed(Path):
    """Voices through the filter."""

    shared: bytes = b""
    """The registers that are no voice's in the frame under way; nothing: as in the frame before."""

    def share(self, image: np.ndarray) -> None:
        """Look for voices with the shared registers of an image."""
        if (new := image[SHARED].tobytes()) != self.shared:
            self.shared = new
            self._parts.clear()
            self._told.clear()

    def with_shared(self, image: np.ndarray) -> np.ndarray:
        """Return a copy of an image with the shared registers of the frame under way."""
        image = image.copy()
        if self.shared:
            image[SHARED] = np.frombuffer(self.shared, np.uint8)
        return image

    def routes(self, v: int, image: np.ndarray | None = None) -> bool:
        """Whether a voice goes through the filter."""
        routing = (self.image_under_way() if image is None else image)[RES_FILT]
        return bool(routing >> v & 1)

    def image_under_way(self) -> np.ndarray:
        """Return the registers before the frame under way, with its shared ones."""
        return self.with_shared(self.before().image)

    def changes(self, before: np.ndarray, image: np.ndarray, pads: tuple = NO_PADS) -> np.ndarray:
        """Return what is set for the filter in a frame."""
        events = self.forward.events_between(before, image, pads, not self.path and self.everything)
        return filtering.changes_of(before, image, events)

    def alone(self, state: State, changes: np.ndarray) -> np.ndarray:
        """Return the filter's output if nothing more goes in from the start of a frame on, float32 (steps,)."""
        key = (state.filter.tobytes(), changes.tobytes())
        found = self._alone.get(key)
        if found is None:
            if len(self._alone) > FILTERS_KEPT:
                self._alone.clear()
            found = np.empty(self.forward.steps, np.float32)
            filtering.run_filter(self.forward.record, changes, self._nothing, state.filter.copy(), found)
            self._alone[key] = found
        return found

    def ringing(self, frame: Frame) -> np.ndarray:
        """Return what the filter still gives of the frames before, low-passed, float64 (samples,)."""
        f = self.forward
        steps = self.alone(frame.before, self.changes(frame.before.image, frame.image, frame.pads))
        steps = (steps * np.float32(f.mixer(frame.image).constants[6])).astype(np.float32)
        out = np.empty(f.samples, np.float32)
        self._history[:] = steps[0]
        kernel.decimate(steps, f.taps, self._history, out)
        return out.astype(np.float64)

    def sums(self, frame: Frame) -> np.ndarray:
        """Return the sum of voices that a frame of the target stands for, the mixer undone, float64 (samples,)."""
        if not filtering.in_use(frame.image):
            return self.forward.sums(frame)
        target = self.forward.target[frame.number] - np.float32(frame.before.dc)
        return np.interp(target, *self.forward.mixer(frame.image).inverse) - self.ringing(frame)

    def through(
        self, own: np.ndarray, state: State, changes: np.ndarray, others: np.ndarray | None = None
    ) -> np.ndarray:
        """Return what a voice's output by cycles adds to the sum of voices behind the filter, float32 (samples,)."""
        f = self.forward
        if others is None:
            others, without = self._nothing, self.alone(state, changes)
        else:
            without = np.empty(f.steps, np.float32)
            filtering.run_filter(f.record, changes, others, state.filter.copy(), without)
        out = np.empty(f.samples, np.float32)
        filtering.filtered_part(
            f.record,
            changes,
            others,
            without,
            own,
            float(f.record.filter_out_scale),
            state.filter,
            f.taps,
            self._rooms_through,
            self._history,
            out,
        )
        return out

    def parts_through(
        self,
        oscs: list[np.ndarray],
        envs: list[np.ndarray],
        v: int,
        olds: np.ndarray,
        images: np.ndarray,
        offset: int,
    ) -> np.ndarray:
        """Return what a routed voice adds behind the filter with each of its options; see `Forward.parts`."""
        f, state = self.forward, self.before()
        pads = (0,) * v + (offset,) + (0,) * (VOICES - v)
        level = np.empty(f.steps, np.uint8)
        made = np.empty((len(envs), f.samples - SKIP))
        for k, (osc, env, old, image) in enumerate(zip(oscs, envs, olds, images, strict=True)):
            events = f.events_between(old, image, pads, not self.path and self.everything)
            kernel.frame_envelope(env.copy(), v, events, f.frame_cycles, level)
            changes = filtering.changes_of(old, image, events)
            made[k] = self.through(f.into_filter(osc, v, events, level), state, changes)[SKIP:]
        return made - made.mean(axis=1, keepdims=True)

    def by_cycles(self, steps: np.ndarray) -> np.ndarray:
        """Return a voice's output by steps as float32 (cycles,)."""
        cycles = np.empty(self.forward.frame_cycles, np.float32)
        filtering.spread(steps, cycles)
        return cycles

    def input_of(self, frame: Frame, v: int) -> np.ndarray:
        """Return what a voice of a frame gives to the filter, float32 (cycles,)."""
        f = self.forward
        first = not frame.number and self.everything
        events = f.events_between(frame.before.image, frame.image, frame.pads, first)
        return f.into_filter(frame.before.osc, v, events, frame.levels[v])

    def ahead(self, v: int, rest: np.ndarray) -> np.ndarray:
        """Return what goes into the filter to leave `rest`, if a voice is routed through it."""
        image = self.image_under_way()
        if not image[RES_FILT] >> v & 1:
            return rest
        n = 2 * len(rest)
        answer = self.response(image)
        spectrum = np.fft.rfft(rest, n)
        power = np.abs(answer) ** 2
        least = (LEAST_GAIN**2) * power.max()
        made = np.fft.irfft(spectrum * answer.conj() / (power + least), n)[: len(rest)]
        return made - made[SKIP:].mean()

    def response(self, image: np.ndarray) -> np.ndarray:
        """Return how the filter answers, to steps of half a voice's height, by frequency."""
        key = image[SHARED].tobytes()
        found = self._responses.get(key)
        if found is None:
            if len(self._responses) > FILTERS_KEPT:
                self._responses.clear()
            f = self.forward
            changes = filtering.changes_of(image, image, np.zeros((0, 3), np.int64))
            low, high = np.float32(0.5 * f.drift), np.float32(0.5 * (f.drift + f.per_wave))
            answers = []
            for old, new in ((low, high), (high, low)):  # steps, the resistors' own being small beside them
                state = filtering.power_on()
                made = np.empty(f.steps, np.float32)
                for _ in range(SETTLING):
                    filtering.run_filter(f.record, changes, np.full(f.frame_cycles, old, np.float32), state, made)
                at_rest = float(made[-1])
                filtering.run_filter(f.record, changes, np.full(f.frame_cycles, new, np.float32), state, made)
                rise = (made.astype(np.float64) - at_rest) / float(new - old) * float(f.record.filter_out_scale)
                answers.append(rise)
            answer = np.diff(0.5 * (answers[0] + answers[1])[1 :: kernel.DECIMATION], prepend=0)
            found = self._responses[key] = np.fft.rfft(answer, 2 * f.samples)
        return found

    def muted(self, frame: Frame, v: int) -> np.ndarray:
        """Return what all routed voices of a frame but one give to the filter, float32 (cycles,)."""
        total = np.zeros(self.forward.frame_cycles, np.float32)
        for u in range(VOICES):
            if u != v and frame.image[RES_FILT] >> u & 1:
                total += self.input_of(frame, u)
        return total
