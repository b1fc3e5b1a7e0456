"""Whether a tune uses the filter, and with which routing, resonance and mode: found once, where it is first heard."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from sidlearn.learn.decode import filtering
from sidlearn.learn.decode.cutoffs import CLOSE, HIGHEST_CUTOFF, cutoff_of, with_cutoff
from sidlearn.learn.decode.forward import Frame
from sidlearn.learn.decode.path import HIGHEST, NOISE, ROUGHNESS, SKIP
from sidlearn.learn.decode.search import Searcher
from sidlearn.learn.decode.shapes import Notes
from sidlearn.registers import MODE_VOL, RES_FILT, VOICES

COARSE_MODES, MODES = (1, 2, 4), (1, 2, 4, 3, 5, 6, 7)
"""Low-pass, band-pass, high-pass, and their sums."""
COARSE_RESONANCES = (3, 12)
COARSE_CUTOFFS = (30, 120, 220, 320, 420, 520, 620, 720, 850, 1000, 1250, 1700)
"""Dense where a 6581's cutoff rises; a guess."""
CUTOFF_STEPS = (96, 48, 24, 12, 6)
COARSE_FREQS = np.arange(96, HIGHEST, 64, dtype=np.int64)
BASES, TUNED, TRIED = 4, 6, 3
"""Ways to explain the voices past the filter, settings that are gone into, and settings that are searched with."""
FINE = 1.5
"""Roughness with which resonances are told apart; guess."""
POLISHED = 3
"""Resonances with which all is moved to where the error is least."""
POLISHES = 3
HOPELESS = 0.5
"""Share of a frame's energy beyond which no filter is looked for: no SID made it; guess."""


@dataclass(frozen=True)
class Setting:
    """A filter, and the notes that explain a frame best with it."""

    routing: int
    resonance: int
    mode: int
    cutoff: int
    notes: Notes

    @property
    def energy(self) -> float:
        """Of what is left."""
        return self.notes.energy


class Settings(Searcher):
    """The search for the filter's settings."""

    filters = False
    """Whether a filter is looked for in the first frame."""

    def with_filter(self, best: Frame) -> Frame:
        """Return a better first frame in which voices go through the filter, or `best`."""
        target = self.forward.target[best.number]
        if best.energy > HOPELESS * len(target) * float(np.var(target)):
            return best
        self.roughness = ROUGHNESS
        found: list[Setting] = []
        for shapes in self.bases(best):
            missing = [v for v in range(VOICES) if v not in shapes]
            for count in range(1, len(missing) + 1):
                for voices in combinations(missing, count):
                    found += self.coarsely(best, shapes, sum(1 << v for v in voices))
        found.sort(key=lambda s: s.energy)
        tuned = sorted((self.tuned(best, s) for s in self.different(found, TUNED)), key=lambda s: s.energy)
        if self.trace:
            for s in tuned:
                print("   filter", s.routing, s.resonance, s.mode, s.cutoff, s.notes.shapes, self.left(s))
        old = best
        for setting in self.different(tuned, TRIED):
            new = self.search(self.play(self.with_setting(old.image, setting)))
            new = self.settle(new)
            if self.trace:
                print("   searched", setting.routing, setting.resonance, setting.mode, self.rms(new.energy) * 1e4)
            best = min(best, new, key=lambda f: f.energy)
            if self.likely(best):
                break
        if filtering.in_use(best.image):
            return self.with_resonance(best)
        self.roughness = 1.0
        return best

    def left(self, setting: Setting) -> int:
        """Return what a setting leaves, for messages."""
        return round(float(np.sqrt(setting.energy / self.forward.samples)) * 1e4)

    @staticmethod
    def with_setting(image: np.ndarray, setting: Setting) -> np.ndarray:
        """Return a copy of an image with the filter's registers."""
        image = with_cutoff(image, setting.cutoff)
        image[RES_FILT] = setting.resonance << 4 | setting.routing
        image[MODE_VOL] = setting.mode << 4 | image[MODE_VOL] & 15
        return image

    def bases(self, best: Frame) -> list[dict[int, tuple[int, int, int]]]:
        """Return notes past the filter that explain most of a frame, each note of them being needed."""
        found: dict[tuple, Notes] = {}
        base = self.sums(best)
        base = base - base[SKIP:].mean()
        for notes in self.beam(best, [*range(VOICES)]):
            for count in (1, 2):
                for voices in combinations(sorted(notes.shapes), count):
                    shapes = {v: notes.shapes[v] for v in voices}
                    key = tuple((v, round(np.log2(max(s[0], 1)) * 24), s[2]) for v, s in shapes.items())
                    if key not in found:
                        found[key] = self.fit_notes(best, base, shapes)
        ranked = sorted(found.values(), key=lambda n: n.energy)
        pairs = [n.shapes for n in ranked if len(n.shapes) == 2 and not any(s[2] == NOISE for s in n.shapes.values())]
        single = [n.shapes for n in ranked if len(n.shapes) == 1]
        return [*pairs[:BASES], *single[:1], {}]

    def coarsely(self, best: Frame, shapes: dict[int, tuple[int, int, int]], routing: int) -> list[Setting]:
        """Return settings from a coarse grid, for notes past the filter that are known."""
        made = []
        for mode in COARSE_MODES:
            for resonance in COARSE_RESONANCES:
                for cutoff in COARSE_CUTOFFS:
                    silent = Notes(shapes, np.zeros(0), 0.0, {}, {})
                    setting = Setting(routing, resonance, mode, cutoff, silent)
                    made.append(self.with_routed_notes(best, setting))
        return sorted(made, key=lambda s: s.energy)[: 2 * TUNED]

    def with_routed_notes(self, best: Frame, setting: Setting) -> Setting:
        """Return a setting with notes through the filter beside those past it."""
        frame, base = self.set_up(best, setting)
        notes = self.fit_notes(frame, base, setting.notes.shapes) if setting.notes.shapes else None
        rest = notes.rest if notes else base
        shapes = dict(setting.notes.shapes)
        flat = np.full(self.forward.samples, self.forward.per_wave)
        best_notes = notes
        for _ in range(bin(setting.routing).count("1")):
            tried = []
            for v in range(VOICES):
                if not setting.routing >> v & 1 or v in shapes:
                    continue
                written = self.written(self.begun(frame.image, {**shapes, v: (0, 0, 0)}), v)
                heard = self.ahead(v, rest)
                for f, w, kind, _ in self.folded(heard, flat, self.before().osc[v], written, 1, COARSE_FREQS):
                    tried.append(self.fit_notes(frame, base, {**shapes, v: (f, w, kind << 4)}))
            if not tried:
                break
            best_notes = min(tried, key=lambda n: n.energy)
            shapes, rest = best_notes.shapes, best_notes.rest
        if best_notes is None:
            best_notes = Notes({}, base, float(base[SKIP:] @ base[SKIP:]), {}, {})
        return Setting(setting.routing, setting.resonance, setting.mode, setting.cutoff, best_notes)

    def set_up(self, best: Frame, setting: Setting) -> tuple[Frame, np.ndarray]:
        """Return a frame with a filter, and the sum of voices that the target stands for with it."""
        frame = self.play(self.with_setting(best.image, setting))
        self.share(frame.image)
        base = self.sums(frame)
        return frame, base - base[SKIP:].mean()

    def tuned(self, best: Frame, setting: Setting) -> Setting:
        """Move FC, resonance, mode and notes to where the error is least."""
        setting = self.with_tuned_notes(best, setting)
        for step in CUTOFF_STEPS:
            old = setting
            for cutoff in (setting.cutoff - step, setting.cutoff + step):
                setting = self.changed(best, setting, cutoff=cutoff)
            reach = step // 12 + 1
            for resonance in range(max(setting.resonance - reach, 0), min(setting.resonance + reach, 15) + 1):
                setting = self.changed(best, setting, resonance=resonance)
            if step == CUTOFF_STEPS[0]:
                for mode in MODES:
                    setting = self.changed(best, setting, mode=mode)
            if setting is not old:
                setting = self.with_tuned_notes(best, setting)
        return setting

    def changed(self, best: Frame, setting: Setting, **to: int) -> Setting:
        """Return a setting with something changed if that is better."""
        values = {"routing": setting.routing, "resonance": setting.resonance, "mode": setting.mode, **to}
        cutoff = min(max(to.get("cutoff", setting.cutoff), 0), HIGHEST_CUTOFF)
        new = Setting(values["routing"], values["resonance"], values["mode"], cutoff, setting.notes)
        frame, base = self.set_up(best, new)
        notes = self.fit_notes(frame, base, setting.notes.shapes)
        if notes.energy >= setting.energy:
            return setting
        return Setting(new.routing, new.resonance, new.mode, cutoff, notes)

    def with_tuned_notes(self, best: Frame, setting: Setting) -> Setting:
        """Return a setting with its notes moved to where the error is least."""
        frame, base = self.set_up(best, setting)
        notes = self.tune(frame, base, self.fit_notes(frame, base, setting.notes.shapes))
        return Setting(setting.routing, setting.resonance, setting.mode, setting.cutoff, notes)

    @staticmethod
    def different(found: list[Setting], count: int) -> list[Setting]:
        """Return the best settings, one of those that are near to each other."""
        kept: list[Setting] = []
        for s in found:
            alike = (
                s.routing == k.routing and s.mode == k.mode and abs(s.cutoff - k.cutoff) < CUTOFF_STEPS[0] for k in kept
            )
            if not any(alike):
                kept.append(s)
                if len(kept) == count:
                    break
        return kept

    def with_resonance(self, best: Frame) -> Frame:
        """Return the best frame with any resonance, FC following."""
        self.roughness = FINE
        found = []
        for resonance in range(16):
            image = best.image.copy()
            image[RES_FILT] = resonance << 4 | image[RES_FILT] & 15
            found.append(self.swept_widely(self.again(best, image)))
        found.sort(key=lambda f: f.energy)
        # decays that are not right make up for a wrong resonance: each is searched with
        found = [self.polished(self.search(self.polished(f))) for f in found[:POLISHED]]
        self.roughness = ROUGHNESS
        if self.trace:
            print("   resonances", [(int(f.image[RES_FILT]) >> 4, cutoff_of(f.image), f.energy**0.5) for f in found])
        return min(found, key=lambda f: f.energy)

    def polished(self, best: Frame) -> Frame:
        """Return a frame that is understood, moved to where the error is least: a filter hides small errors."""
        if not filtering.in_use(best.image):
            return best
        self.polishing = True
        for _ in range(POLISHES):
            old = best
            best = self.refine(self.swept(best, close=2 * CLOSE))
            for v, i in self.movable(best):
                if i == 0 and v < VOICES and best.image[RES_FILT] >> v & 1:
                    moved = [m for by in (-2, -1, 1, 2) if (m := self.moved(best, (v, i), by)) is not None]
                    some = [self.swept(self.again(best, image), close=4 * CLOSE) for image in moved]
                    best = min([best, *some], key=lambda f: f.energy)
            if best.energy > 0.99 * old.energy:
                break
        self.polishing = False
        return best
