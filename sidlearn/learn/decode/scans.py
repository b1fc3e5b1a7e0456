"""What one voice may be, given what is left for it: FREQ, pulse widths and waveforms by how much they explain."""

from __future__ import annotations

import numpy as np

from sidlearn.learn.decode import harmonics, kernel
from sidlearn.learn.decode.cutoffs import Cutoffs
from sidlearn.learn.decode.forward import NO_PADS, Frame, State, field, with_voice
from sidlearn.learn.decode.path import HIGHEST, NOISE_STEP, PULSE, SKIP
from sidlearn.registers import VOICE_STRIDE, VOICES


def tops(values: np.ndarray, scores: np.ndarray, count: int, distance: int = 2) -> list[int]:
    """Return the values of the highest local maxima of `scores`, at least `distance` places apart."""
    found: list[int] = []
    places: list[int] = []
    inner = np.r_[True, scores[1:] >= scores[:-1]] & np.r_[scores[:-1] > scores[1:], True] & (scores > 0)
    candidates = np.flatnonzero(inner)
    for k in candidates[np.argsort(-scores[candidates], kind="stable")]:
        if all(abs(k - p) > distance for p in places):
            places.append(int(k))
            found.append(int(values[k]))
            if len(found) == count:
                break
    return found


class Scans(Cutoffs):
    """Scans of one voice."""

    def rest(self, frame: Frame, v: int) -> np.ndarray:
        """Return what is left for one voice, without its mean."""
        parts = self.parts(frame)
        rest = self.sums(frame) - sum(parts[u] for u in range(VOICES) if u != v)
        return rest - rest[SKIP:].mean()

    def parts(self, frame: Frame) -> np.ndarray:
        """Return what each voice adds to the sum of voices in a frame, float64 (3, samples)."""
        if self._last is None or self._last[0] is not frame:
            f = self.forward
            made = np.empty((VOICES, f.samples), np.float32)
            for v in range(VOICES):
                if self.routes(v, frame.image):
                    changes = self.changes(frame.before.image, frame.image, frame.pads)
                    made[v] = self.through(self.input_of(frame, v), frame.before, changes, self.muted(frame, v))
                    continue
                kernel.contribution(
                    frame.waves[v],
                    frame.levels[v],
                    f.dac_env,
                    f.drift,
                    f.per_wave,
                    f.taps,
                    self._mixed,
                    self._history,
                    made[v],
                )
            self._last = (frame, made.astype(np.float64))
        return self._last[1]

    def written(self, image: np.ndarray, v: int) -> int:
        """Return the cycle at which FREQ of a voice changes if the other registers become those of `image`."""
        before = self.before().image
        image = with_voice(image, v, freq=field(before, v)[0] ^ 0x0101)
        events = self.forward.events_between(before, image, NO_PADS, not self.path and self.everything)
        # between its two bytes the high one is still the old one
        return int(events[events[:, 1] == v * VOICE_STRIDE + 1, 0][0])

    def levels(self, image: np.ndarray, v: int, env: bytes = b"") -> tuple[np.ndarray, np.ndarray, bool]:
        """Return what a wave level is multiplied by at each sample, what is added, and whether there is anything."""
        forward = self.forward
        events = forward.events(self.before(), image, NO_PADS, not self.path and self.everything)
        state = np.frombuffer(env, np.int64).copy() if env else self.before().env[v].copy()
        levels = np.empty(forward.steps, np.uint8)
        kernel.frame_envelope(state, v, events, forward.frame_cycles, levels)
        gain, constant = np.empty(forward.samples), np.empty(forward.samples)
        kernel.decimate_levels(levels, forward.dac_env, forward.drift, forward.per_wave, gain, constant)
        return gain, constant, bool(levels.max() > 2)

    def table(self, waveform: int, width: int) -> np.ndarray:
        """Return the integral of a waveform over its period."""
        key = (waveform, width if waveform == 4 else 0)
        if key not in self._tables:
            if len(self._tables) > 64:
                self._tables.clear()
            table = np.empty(4097)
            kernel.integral_table(waveform, width, self.forward.dac, table)
            self._tables[key] = table
        return self._tables[key]

    def peaks(
        self,
        rest: np.ndarray,
        gain: np.ndarray,
        constant: np.ndarray,
        waveform: int,
        width: int,
        osc: np.ndarray,
        written: int,
        freqs: np.ndarray,
        count: int = 3,
    ) -> list[int]:
        """Return the FREQ that explain most of `rest`, levels, see `levels`, and waveform being known."""
        acc, old = int(osc[kernel.ACC]), int(osc[kernel.FREQ])
        table = self.table(waveform, width)

        def scan(some: np.ndarray) -> np.ndarray:
            scores, gains = np.empty(len(some)), np.empty(len(some))
            kernel.scan_frequencies(
                rest, gain, constant, table, acc, old, written, some, SKIP, 0.85, 1.15, scores, gains
            )
            return scores

        if freqs is self.freqs:
            at = acc + old * written
            offset = self.forward.drift / self.forward.per_wave
            scores = harmonics.explained(rest, gain, offset, table, at, written, SKIP, 0.85, 1.15)
        else:
            scores = scan(freqs)
        found = []
        for top in tops(freqs, scores, count):
            f = top
            for reach, step in ((28, 4), (3, 1)):
                near = np.arange(max(f - reach, 1), min(f + reach, HIGHEST) + 1, step)
                f = int(near[np.argmax(scan(near))])
            found.append(f)
        return found

    def folded(
        self, rest: np.ndarray, gain: np.ndarray, osc: np.ndarray, written: int, count: int, freqs: np.ndarray
    ) -> list[tuple[int, int, int, float]]:
        """Return FREQ, PW (0 without pulse), waveform and gain that explain most of `rest`."""
        acc, old = int(osc[kernel.ACC]), int(osc[kernel.FREQ])
        n = len(freqs)
        scores, kinds, widths, gains = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n)
        dac = self.forward.dac
        kernel.fold_frequencies(rest, gain, dac, acc, old, written, freqs, SKIP, 1.15, scores, kinds, widths, gains)
        found = []
        for top in tops(freqs, scores, count):
            k = int(np.searchsorted(freqs, top))
            kind, width, g = int(kinds[k]), int(widths[k]), float(gains[k])
            table = self.table(kind, width)
            f = top
            for reach, step in ((30, 3), (2, 1)):
                near = np.arange(max(f - reach, 1), min(f + reach, HIGHEST) + 1, step)
                s, gs = np.empty(len(near)), np.empty(len(near))
                kernel.scan_frequencies(
                    rest, gain, np.zeros_like(gain), table, acc, old, written, near, SKIP, 0.5 * g, 1.5 * g, s, gs
                )
                f = int(near[np.argmax(s)])
            found.append((min(f, HIGHEST), width if kind == 4 else 0, kind, g))
        return found

    def unlocked(
        self,
        rest: np.ndarray,
        gain: np.ndarray,
        constant: np.ndarray,
        waveform: int,
        old: int,
        written: int,
        freqs: np.ndarray,
        count: int = 3,
    ) -> list[tuple[int, int, int]]:
        """Return FREQ, PW and phase at the start of the frame that explain most of `rest`, levels being known."""
        n = len(freqs)
        scores, phases, widths = np.empty(n), np.empty(n, np.int64), np.empty(n, np.int64)
        dac = self.forward.dac
        kernel.fold_free(rest, gain, dac, waveform, old, written, freqs, SKIP, 0.85, 1.15, scores, phases, widths)
        found = []
        for top in tops(freqs, scores, count):
            f, k = top, int(np.searchsorted(freqs, top))
            phase, width = int(phases[k]), int(widths[k])
            table = self.table(waveform, width)
            for reach, step, turn in ((32, 8, 1 << 16), (6, 2, 1 << 14), (1, 1, 1 << 12)):
                near = np.arange(max(f - reach, 1), min(f + reach, HIGHEST) + 1, step)
                best = -np.inf
                middle = phase
                for by in range(-4, 5):
                    s, gains = np.empty(len(near)), np.empty(len(near))
                    acc = middle + by * turn & kernel.MASK
                    kernel.scan_frequencies(
                        rest, gain, constant, table, acc, old, written, near, SKIP, 0.85, 1.15, s, gains
                    )
                    if s.max() > best:
                        best, f, phase = float(s.max()), int(near[np.argmax(s)]), acc
            if waveform == PULSE >> 4:  # finer than it was found
                osc = np.zeros(kernel.OSCILLATOR_FIELDS, np.int64)
                osc[kernel.ACC], osc[kernel.FREQ] = phase, old
                found += [(f, w, phase) for w in self.widths(rest, gain, constant, osc, f, written)]
            else:
                found.append((f, width, phase))
        return found

    def widths(
        self, rest: np.ndarray, gain: np.ndarray, constant: np.ndarray, osc: np.ndarray, freq: int, written: int
    ) -> list[int]:
        """Return the PW that explain most of `rest`, FREQ and levels being known."""
        dac = self.forward.dac
        scores = np.empty(257)
        kernel.scan_widths(
            rest,
            gain,
            constant,
            float(dac[0xFFF] - dac[0]),
            float(dac[0]),
            int(osc[kernel.ACC]),
            int(osc[kernel.FREQ]),
            written,
            freq,
            SKIP,
            scores,
        )
        return [int(w) * 16 for w in tops(np.arange(256), scores[:256], 2, 4)]

    def noise_peaks(
        self,
        rest: np.ndarray,
        gain: np.ndarray,
        constant: np.ndarray,
        osc: np.ndarray,
        written: int,
        freqs: np.ndarray,
        reach: tuple[float, float] = (0.85, 1.15),
    ) -> list[int]:
        """Return the FREQ of noise that explain most of `rest`."""

        def scan(some: np.ndarray) -> np.ndarray:
            scores = np.empty(len(some))
            kernel.scan_noise(rest, gain, constant, self.forward.dac, osc, written, some, SKIP, *reach, scores)
            return scores

        found = []
        for f in tops(freqs, scan(freqs), 2, 2):
            by = max(f * 0.004, NOISE_STEP / 2)
            near = np.unique(np.linspace(max(f - by, 1), min(f + by, HIGHEST), 25).astype(np.int64))
            found.append(int(near[np.argmax(scan(near))]))
        return found

    def carried(self, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
        """Return what each voice of a frame of the path sounds like at full level, and what is left of the target."""
        found = self._carried.get(frame.number)
        if found is None or found[0] is not frame:
            carriers = np.stack(
                [self.at_full(wave, v, frame.image, frame.before) for v, wave in enumerate(frame.waves)]
            )
            left = self.sums(frame) - self.parts(frame).sum(axis=0)
            left[:SKIP] = left[SKIP:].mean()
            left -= left.mean()
            found = self._carried[frame.number] = (frame, carriers, left)
        return found[1], found[2]

    def sampled(self, levels: np.ndarray) -> np.ndarray:
        """Return envelopes by steps as levels by samples."""
        return self.forward.dac_env[levels[np.maximum(self.at, 0)]]

    def swing(self, wave: np.ndarray, v: int, image: np.ndarray, state: State | None = None) -> np.ndarray:
        """Return the same without its mean: what tells voices apart whose levels are not known."""
        made = self.at_full(wave, v, image, state)
        return made - made.mean()

    def at_full(self, wave: np.ndarray, v: int, image: np.ndarray, state: State | None = None) -> np.ndarray:
        """Return what a voice sounds like at level 1 from its wave by steps, float64 (samples,), with its mean.

        `image` tells whether the voice goes through the filter, in a frame that begins with `state`.
        """
        steps = (self.forward.per_wave * wave + self.forward.drift).astype(np.float32)
        if self.routes(v, image):
            state = state or self.before()
            part = self.through(self.by_cycles(steps), state, self.changes(state.image, image))
        else:
            part = np.empty(self.forward.samples, np.float32)
            self._history[:] = 0
            kernel.decimate(steps, self.forward.taps, self._history, part)
        made = part.astype(np.float64)
        made[:SKIP] = made[SKIP:].mean()
        return made
