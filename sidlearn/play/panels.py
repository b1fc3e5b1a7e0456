"""The parts of the window: each draws itself from a `View` and answers the mouse."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sidlearn import registers
from sidlearn.chip import models, tables
from sidlearn.play.desk import Desk
from sidlearn.play.record import MIX, SCOPE
from sidlearn.play.screen import (
    BACKGROUND,
    BLACK,
    BLUE,
    DARK_GREY,
    GREY,
    LIGHT_BLUE,
    LIGHT_GREY,
    LIGHT_RED,
    MIX_COLOUR,
    PANEL,
    RED,
    VOICE_COLOURS,
    WHITE,
    YELLOW,
    Box,
    Colour,
    Screen,
)
from sidlearn.registers import VOICES, voice_register

NOTE_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
SCOPE_SECONDS = 0.025
"""How much of a wave a scope shows."""
SPECTRUM_SAMPLES = 4_096
SPECTRUM_BARS = 64
SPECTRUM_RANGE_DB = 72.0
FLASH_SECONDS = 0.25
FILTER_LOWEST_HZ, FILTER_HIGHEST_HZ = 30.0, 16_000.0
EIGHT_580_HZ_A_STEP = 6.97  # cutoff of an 8580 a step of FC, from the published measurements that the chip follows

# Seconds of the sixteen attack, and decay and release rates: MOS 6581 data sheet.
ATTACK_SECONDS = (
    0.002, 0.008, 0.016, 0.024, 0.038, 0.056, 0.068, 0.08, 0.1, 0.25, 0.5, 0.8, 1.0, 3.0, 5.0, 8.0,
)  # fmt: skip
DECAY_SECONDS = tuple(3 * s for s in ATTACK_SECONDS)


@dataclass
class View:
    """One picture's worth of what plays, copied out of the record so that drawing never looks at moving numbers."""

    desk: Desk
    image: np.ndarray = field(default_factory=lambda: np.zeros(registers.MIRROR, np.uint8))
    age: np.ndarray = field(default_factory=lambda: np.full(registers.MIRROR, math.inf))
    """Seconds since each register was written."""
    scopes: list[np.ndarray] = field(default_factory=list)
    mix: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    sounding: dict[int, int] = field(default_factory=dict)
    frames_per_second: float = 0.0

    def refresh(self) -> None:
        """Take the newest state."""
        record = self.desk.record[0]
        self.image = record["registers"][0].copy()
        written = record["written"][0].astype(np.float64)
        now = record["samples"] * record["clock_hz"] / record["sample_rate"]
        age = np.maximum(now - written, 0) / record["clock_hz"]  # a write of the block under way is ahead of `now`
        self.age = np.where(written < 0, math.inf, age)
        end = int(record["scope_end"])
        rate = record["sample_rate"] / max(int(record["scope_step"]), 1)
        points = min(2 * round(SCOPE_SECONDS * rate), SCOPE)
        self.scopes = [_newest(record["scope"][v], end, points, SCOPE) for v in range(VOICES)]
        self.mix = _newest(record["mix"], int(record["samples"]), SPECTRUM_SAMPLES, MIX)
        self.sounding = self.desk.sounding()

    def control(self, voice: int) -> int:
        """Return the CONTROL register of a voice."""
        return int(self.image[voice_register(voice, registers.CONTROL)])

    def hz(self, voice: int) -> float:
        """Return the frequency of a voice."""
        low, high = (int(self.image[voice_register(voice, r)]) for r in (registers.FREQ_LO, registers.FREQ_HI))
        return (low | high << 8) * float(self.desk.record[0]["clock_hz"]) / (1 << 24)


def _newest(ring: np.ndarray, end: int, count: int, size: int) -> np.ndarray:
    """Return the newest `count` points of a ring that has taken `end`, zeros before the first."""
    points = ring[np.arange(end - count, end) % size].copy()
    points[: max(count - end, 0)] = 0
    return points


def note_name(hz: float) -> str:
    """Return the note next to a frequency, as ``A-4``."""
    if hz < 8:
        return "---"
    note = round(69 + 12 * math.log2(hz / 440))
    name = NOTE_NAMES[note % 12]
    return f"{name}{'' if len(name) == 2 else '-'}{note // 12 - 1}"


def waveform_name(control: int) -> str:
    """Return the waveforms of a CONTROL register, as ``TP`` for triangle and pulse."""
    bits = ((registers.TRIANGLE, "T"), (registers.SAWTOOTH, "S"), (registers.PULSE, "P"), (registers.NOISE, "N"))
    return "".join(letter for bit, letter in bits if control & bit) or "-"


class Panel:
    """A part of the window in its box."""

    def __init__(self, box: Box) -> None:
        self.box = box

    def draw(self, screen: Screen, view: View) -> None:
        """Draw the part."""

    def press(self, x: float, y: float, view: View) -> bool:
        """Take a press of the mouse; return whether drags and the release belong to this part from now on."""
        return False

    def drag(self, x: float, y: float, view: View) -> None:
        """Take a move of the mouse with its button held."""

    def release(self, view: View) -> None:
        """Take the end of a press."""

    def scroll(self, steps: int, x: float, y: float, view: View) -> None:
        """Take turns of the wheel."""


class Scope(Panel):
    """The wave of one voice, or of the whole sound, standing still."""

    def __init__(self, box: Box, voice: int | None) -> None:
        super().__init__(box)
        self._voice = voice

    def draw(self, screen: Screen, view: View) -> None:
        """Draw the wave from where it rises through its middle."""
        box = self.box
        screen.fill(box, PANEL)
        voice = self._voice
        colour = MIX_COLOUR if voice is None else VOICE_COLOURS[voice]
        if voice is None:
            points = view.mix[-round(2 * SCOPE_SECONDS * float(view.desk.record[0]["sample_rate"])) :]
        else:
            points = view.scopes[voice]
        wave = steady(points, len(points) // 2)
        middle, half = box.y + box.height / 2 + 6, box.height / 2 - 12
        screen.line([(box.x + 4, middle), (box.x + box.width - 4, middle)], BLUE)
        if voice is None:
            wave = wave - points.mean() if len(points) else wave
        xs = np.linspace(box.x + 4, box.x + box.width - 4, len(wave))
        screen.line(np.stack((xs, middle - np.clip(wave, -1, 1) * half), axis=1), colour)
        if voice is None:
            screen.text(box.x + 6, box.y + 5, "MIX", colour)
            return
        control = view.control(voice)
        gate = control & registers.GATE
        screen.disc(box.x + 11, box.y + 9, 4, colour if gate else DARK_GREY)
        screen.text(box.x + 20, box.y + 5, f"VOICE {voice + 1}", colour)
        extra = ("RING " if control & registers.RING else "") + ("SYNC " if control & registers.SYNC else "")
        extra += "TEST " if control & registers.TEST else ""
        label = f"{extra}{waveform_name(control)} {note_name(view.hz(voice))}"
        screen.text(box.x + box.width - 6 - screen.text_width(label), box.y + 5, label, WHITE if gate else GREY)


def steady(points: np.ndarray, count: int) -> np.ndarray:
    """Return `count` points that begin where the wave rises through its middle, so that the picture stands still."""
    if len(points) <= count:
        return points
    room = len(points) - count
    low, high = float(points.min()), float(points.max())
    middle = (low + high) / 2
    above = points[: room + 1] > middle
    rises = np.flatnonzero(above[1:] & ~above[:-1]) + 1
    if not len(rises) or high - low < 1e-4:
        return points[room:]
    # Of all rises the one before the highest peak, so that waves with several rises a period stay put too.
    ahead = [float(points[r : r + count // 4].sum()) for r in rises]
    start = int(rises[int(np.argmax(np.round(ahead, 2)))])
    return points[start : start + count]


class Registers(Panel):
    """The 25 registers as cells of hexadecimal digits that flash on a write and can be typed over."""

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self.typed = ""
        self.chosen: int | None = None

    HEADS = ("FREQ", "", "PULSE", "", "CTRL", "AD", "SR")
    SHARED = ("FC LO", "FC HI", "RES", "VOL")
    ROW = 24.0

    def _cell(self, register: int) -> Box:
        left, top = self.box.x + 34, self.box.y + 36
        width = (self.box.width - 42) / 7
        voice, offset = divmod(register, registers.VOICE_STRIDE)
        if voice == VOICES:  # the shared ones, four in a row below
            return Box(left + offset * 1.75 * width, top + 3 * self.ROW + 22, width - 3, self.ROW - 4)
        return Box(left + offset * width, top + voice * self.ROW, width - 3, self.ROW - 4)

    def draw(self, screen: Screen, view: View) -> None:
        """Draw the names, the cells and a line on what the chosen one means."""
        box = self.box
        screen.fill(box, PANEL)
        screen.text(box.x + 6, box.y + 5, "REGISTERS 54272", LIGHT_BLUE)
        for offset, head in enumerate(self.HEADS):
            screen.text(self._cell(offset).x, box.y + 22, head, GREY)
        for voice in range(VOICES):
            screen.text(box.x + 8, self._cell(7 * voice).y + 6, f"V{voice + 1}", VOICE_COLOURS[voice])
        for offset, head in enumerate(self.SHARED):
            cell = self._cell(21 + offset)
            screen.text(cell.x, cell.y - 11, head, GREY)
        for register in range(registers.WRITABLE):
            cell = self._cell(register)
            glow = max(0.0, 1 - float(view.age[register]) / FLASH_SECONDS)
            colour = VOICE_COLOURS[register // 7] if register < 21 else LIGHT_GREY
            screen.fill(cell, _blend(BLACK, colour, 0.75 * glow))
            text = f"{int(view.image[register]):02X}"
            if register == self.chosen:
                screen.frame(cell, WHITE)
                text = (self.typed + "__")[:2] if self.typed else text
            screen.centred(cell, text, BLACK if glow > 0.6 else WHITE)
        screen.text(box.x + 8, box.y + box.height - 13, self._meaning(view), LIGHT_GREY, width=box.width - 16)

    def _meaning(self, view: View) -> str:
        if self.chosen is None:
            return "CLICK A CELL AND TYPE A BYTE"
        register = registers.REGISTERS[self.chosen]
        return f"POKE {register.address},{int(view.image[self.chosen])}  {register.name}"

    def press(self, x: float, y: float, view: View) -> bool:
        """Choose the cell under the mouse."""
        self.typed = ""
        cells = (r for r in range(registers.WRITABLE) if self._cell(r).holds(x, y))
        self.chosen = next(cells, None)
        return False

    def type(self, character: str, view: View) -> bool:
        """Take a key while a cell is chosen; return whether it was one for the cell."""
        if self.chosen is None or len(character) != 1 or character.upper() not in "0123456789ABCDEF":
            return False
        self.typed += character.upper()
        if len(self.typed) == 2:
            view.desk.poke(self.chosen, int(self.typed, 16))
            self.typed = ""
        return True


def _blend(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


class Envelopes(Panel):
    """The ADSR shape of each voice, drawn from its nibbles."""

    def draw(self, screen: Screen, view: View) -> None:
        """Draw three shapes below each other."""
        screen.fill(self.box, PANEL)
        screen.text(self.box.x + 6, self.box.y + 5, "ADSR", LIGHT_BLUE)
        height = (self.box.height - 20) / VOICES
        for voice in range(VOICES):
            row = Box(self.box.x + 8, self.box.y + 18 + voice * height, self.box.width - 16, height - 6)
            ad = int(view.image[voice_register(voice, registers.ATTACK_DECAY)])
            sr = int(view.image[voice_register(voice, registers.SUSTAIN_RELEASE)])
            screen.fill(Box(row.x, row.y + row.height, row.width, 1), BLUE)
            screen.line(adsr_shape(ad, sr, row), VOICE_COLOURS[voice])
            text = f"{ad:02X} {sr:02X}"
            screen.text(row.x + row.width - screen.text_width(text), row.y, text, GREY)


def adsr_shape(attack_decay: int, sustain_release: int, box: Box) -> list[tuple[float, float]]:
    """Return the corners of an envelope in a box; times are drawn on a logarithmic scale."""
    quarter = box.width / 4

    def width(seconds: float) -> float:
        return quarter * math.log10(1 + seconds * 500) / math.log10(1 + DECAY_SECONDS[15] * 500)

    sustain = (sustain_release >> 4) / 15
    x, bottom = box.x, box.y + box.height
    points = [(x, bottom)]
    x += width(ATTACK_SECONDS[attack_decay >> 4])
    points.append((x, box.y))
    start = x
    span = width(DECAY_SECONDS[attack_decay & 15])
    points += [(start + span * t, bottom - box.height * _fall(t, sustain)) for t in np.linspace(0.1, 1, 10)]
    x = start + span + quarter
    points.append((x, bottom - box.height * sustain))
    span = width(DECAY_SECONDS[sustain_release & 15])
    points += [(x + span * t, bottom - box.height * sustain * _fall(t, 0)) for t in np.linspace(0.1, 1, 10)]
    return points


def _fall(share: float, end: float) -> float:
    """Return the level of an exponential fall from 1 to `end` after a share of its time."""
    return end + (1 - end) * (math.exp(-4 * share) - math.exp(-4)) / (1 - math.exp(-4))


class Filter(Panel):
    """The response of the filter with its cutoff, over the spectrum of the sound."""

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self._cutoffs: dict[str, np.ndarray] = {}
        self._bars = np.zeros(SPECTRUM_BARS)

    def draw(self, screen: Screen, view: View) -> None:
        """Draw bars, curve, the cutoff in Hz, and which voices go through."""
        box, image = self.box, view.image
        screen.fill(box, PANEL)
        plot = Box(box.x + 6, box.y + 20, box.width - 12, box.height - 28)
        self._spectrum(screen, view, plot)
        cutoff = int(image[registers.FC_LO]) & 7 | int(image[registers.FC_HI]) << 3
        resonance, mode = int(image[registers.RES_FILT]) >> 4, int(image[registers.MODE_VOL]) >> 4
        hz = self._hz(view.desk.model, cutoff)
        names = "+".join(n for bit, n in ((1, "LP"), (2, "BP"), (4, "HP")) if mode & bit) or "OFF"
        through = "".join(str(v + 1) for v in range(VOICES) if int(image[registers.RES_FILT]) >> v & 1) or "-"
        screen.text(box.x + 6, box.y + 5, f"FILTER {names}", LIGHT_BLUE)
        label = f"{hz:.0f} HZ  RES {resonance}  V {through}"
        screen.text(box.x + box.width - 6 - screen.text_width(label), box.y + 5, label, WHITE if mode & 7 else GREY)
        if mode & 7:
            x = plot.x + plot.width * _log_place(hz)
            screen.fill(Box(x, plot.y, 1, plot.height), RED)
            screen.line(filter_curve(hz, resonance, mode, view.desk.model, plot), YELLOW)

    def _spectrum(self, screen: Screen, view: View, plot: Box) -> None:
        rate = float(view.desk.record[0]["sample_rate"])
        levels = spectrum(view.mix, rate)
        self._bars = np.maximum(levels, self._bars - 0.03)  # fall slowly, as eyes do
        width = plot.width / SPECTRUM_BARS
        for i, level in enumerate(self._bars):
            height = plot.height * level
            screen.fill(Box(plot.x + i * width, plot.y + plot.height - height, width * 0.8, height), BLUE)

    def _hz(self, model: str, cutoff: int) -> float:
        if model not in self._cutoffs:
            self._cutoffs[model] = cutoffs(model)
        return float(self._cutoffs[model][cutoff])


def cutoffs(model: str) -> np.ndarray:
    """Return the cutoff in Hz for each FC, float (2048,): the published curves, for a 6581 the one in the middle."""
    chip = models.parameters(model)
    steps = np.arange(2048)
    if chip.is_8580:
        return np.maximum(steps * EIGHT_580_HZ_A_STEP, 1.0)
    levels = tables.dac(11, chip.dac_ratio, chip.dac_terminated, chip.dac_leak)
    curves = [tables.cutoff_hz_6581(levels, *curve) for curve in tables.CUTOFF_CURVES_6581.values()]
    return np.median(curves, axis=0)


def _log_place(hz: float) -> float:
    place = math.log(max(hz, 1) / FILTER_LOWEST_HZ) / math.log(FILTER_HIGHEST_HZ / FILTER_LOWEST_HZ)
    return min(max(place, 0.0), 1.0)


def filter_curve(hz: float, resonance: int, mode: int, model: str, plot: Box) -> np.ndarray:
    """Return the response of the filter as points in a box: a two-pole state-variable filter's, -36 to +12 dB."""
    q = 2 ** (resonance / 8) * 0.707 if "8580" in model else 0.6 + 1.1 * resonance / 15
    frequencies = np.geomspace(FILTER_LOWEST_HZ, FILTER_HIGHEST_HZ, 96)
    s = 1j * frequencies / max(hz, 1)
    below = s * s + s / q + 1
    response = sum(part for bit, part in ((1, 1 / below), (2, s / below), (4, s * s / below)) if mode & bit)
    decibels = 20 * np.log10(np.abs(response) + 1e-6)
    ys = plot.y + plot.height * np.clip(0.25 - decibels / 48, 0, 1)
    return np.stack((np.linspace(plot.x, plot.x + plot.width, len(ys)), ys), axis=1)


def spectrum(mix: np.ndarray, sample_rate: float) -> np.ndarray:
    """Return levels 0 to 1 of `SPECTRUM_BARS` bands on a logarithmic scale."""
    power = np.abs(np.fft.rfft((mix - mix.mean()) * np.hanning(len(mix)))) * 4 / len(mix)
    edges = np.geomspace(FILTER_LOWEST_HZ, FILTER_HIGHEST_HZ, SPECTRUM_BARS + 1) * len(mix) / sample_rate
    first = np.minimum(edges[:-1].astype(int), len(power) - 1)
    last = np.minimum(np.maximum(edges[1:].astype(int), first + 1), len(power))
    peaks = np.array([power[a:b].max() if b > a else 0.0 for a, b in zip(first, last, strict=True)])
    return np.clip(1 + 20 * np.log10(peaks + 1e-9) / SPECTRUM_RANGE_DB, 0, 1)


class Piano(Panel):
    """Keys with a colour for each voice; the mouse plays them."""

    LOWEST, HIGHEST = 24, 96  # C1 to C7
    BLACK_KEYS = (1, 3, 6, 8, 10)

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self._held: int | None = None
        whites = [n for n in range(self.LOWEST, self.HIGHEST + 1) if n % 12 not in self.BLACK_KEYS]
        width = box.width / len(whites)
        self._keys: dict[int, Box] = {
            n: Box(box.x + i * width, box.y, width - 1, box.height) for i, n in enumerate(whites)
        }
        for note in range(self.LOWEST, self.HIGHEST):
            if note % 12 in self.BLACK_KEYS:
                left = self._keys[note - 1]
                self._keys[note] = Box(left.x + width * 0.68, box.y, width * 0.62, box.height * 0.62)

    def draw(self, screen: Screen, view: View) -> None:
        """Draw white keys, then black ones, then the names of the Cs."""
        screen.fill(self.box, BACKGROUND)
        playing = view.sounding or heard(view)
        for black in (False, True):
            for note, box in self._keys.items():
                if (note % 12 in self.BLACK_KEYS) is black:
                    plain = BLACK if black else LIGHT_GREY
                    voice = playing.get(note)
                    screen.fill(box, plain if voice is None else VOICE_COLOURS[voice])
                    if black:
                        screen.frame(box, DARK_GREY)
                    elif note % 12 == 0:
                        screen.text(box.x + 1, box.y + box.height - 11, f"C{note // 12 - 1}", DARK_GREY)

    def _under(self, x: float, y: float) -> int | None:
        found = [note for note, box in self._keys.items() if box.holds(x, y)]
        return max(found, key=lambda note: note % 12 in self.BLACK_KEYS, default=None)

    def press(self, x: float, y: float, view: View) -> bool:
        """Press the key under the mouse: the lower down, the louder."""
        self._held = self._under(x, y)
        if self._held is not None:
            key = self._keys[self._held]
            view.desk.key(self._held, 40 + round(87 * (y - key.y) / key.height))
        return True

    def drag(self, x: float, y: float, view: View) -> None:
        """Slide to the next key."""
        note = self._under(x, y)
        if note != self._held:
            self.release(view)
            self.press(x, y, view)

    def release(self, view: View) -> None:
        """Let the key go."""
        if self._held is not None:
            view.desk.key(self._held, 0)
            self._held = None


def heard(view: View) -> dict[int, int]:
    """Return the notes of the voices whose gates are on, read off FREQ: what plays without keys."""
    notes = {}
    for voice in reversed(range(VOICES)):
        control, hz = view.control(voice), view.hz(voice)
        if control & registers.GATE and control & 0x70 and hz > 8:
            notes[round(69 + 12 * math.log2(hz / 440))] = voice
    return notes


class Knobs(Panel):
    """A knob for every parameter: drag up and down, or turn the wheel."""

    ROWS = 3

    def __init__(self, box: Box) -> None:
        super().__init__(box)
        self._turned: int | None = None
        self._from = (0.0, 0.0)

    def _cells(self, count: int) -> list[Box]:
        columns = max(-(-count // self.ROWS), 1)
        height = (self.box.height - 6) / self.ROWS
        rows = [
            Box(self.box.x + 4, self.box.y + 4 + r * height, self.box.width - 8, height - 2) for r in range(self.ROWS)
        ]
        return [cell for row in rows for cell in row.columns(columns, 2)][:count]

    def draw(self, screen: Screen, view: View) -> None:
        """Draw each knob with its name and value."""
        screen.fill(self.box, PANEL)
        knobs = view.desk.knobs
        if not knobs:
            screen.centred(self.box, "NO KNOBS: A PROGRAM SETS THE REGISTERS", GREY)
        for knob, cell in zip(knobs, self._cells(len(knobs)), strict=True):
            value = min(max(knob.get(), 0.0), 1.0)
            x, y, radius = cell.x + cell.width / 2, cell.y + 20, 8.0
            screen.centred(Box(cell.x, cell.y, cell.width, 11), _fitting(knob.name, screen, cell.width), LIGHT_GREY)
            screen.disc(x, y, radius, DARK_GREY)
            angle = math.radians(225 - 270 * value)
            tip = (x + radius * math.cos(angle), y - radius * math.sin(angle))
            screen.line([(x, y), tip], WHITE)
            arc = [math.radians(225 - 270 * value * t) for t in np.linspace(0, 1, 16)]
            screen.line([(x + 10.5 * math.cos(a), y - 10.5 * math.sin(a)) for a in arc], YELLOW)
            screen.centred(Box(cell.x, cell.y + 31, cell.width, 9), _fitting(knob.text(), screen, cell.width), WHITE)

    def _under(self, x: float, y: float, view: View) -> int | None:
        cells = self._cells(len(view.desk.knobs))
        return next((i for i, cell in enumerate(cells) if cell.holds(x, y)), None)

    def press(self, x: float, y: float, view: View) -> bool:
        """Take hold of a knob."""
        self._turned = self._under(x, y, view)
        if self._turned is not None:
            self._from = (y, view.desk.knobs[self._turned].get())
        return self._turned is not None

    def drag(self, x: float, y: float, view: View) -> None:
        """Turn it: 120 units of the way are all of its range."""
        if self._turned is not None:
            start, value = self._from
            view.desk.knobs[self._turned].set(min(max(value + (start - y) / 120, 0.0), 1.0))

    def scroll(self, steps: int, x: float, y: float, view: View) -> None:
        """Turn the knob under the mouse."""
        under = self._under(x, y, view)
        if under is not None:
            knob = view.desk.knobs[under]
            knob.set(min(max(knob.get() + steps * knob.least, 0.0), 1.0))


def _fitting(text: str, screen: Screen, width: float) -> str:
    return text[: max(int(width / screen.text_width("x")), 1)]


class Instruments(Panel):
    """The list of instruments; a click takes one."""

    ROW = 11.0

    def draw(self, screen: Screen, view: View) -> None:
        """Draw the part of the list around the chosen one."""
        box, desk = self.box, view.desk
        screen.fill(box, PANEL)
        screen.text(box.x + 6, box.y + 5, "INSTRUMENTS", LIGHT_BLUE)
        if not desk.instruments:
            screen.text(box.x + 6, box.y + 20, "-", GREY)
        for row, number in enumerate(self._shown(view)):
            y = box.y + 18 + row * self.ROW
            chosen = number == desk.instrument
            if chosen:
                screen.fill(Box(box.x + 3, y - 1.5, box.width - 6, self.ROW), LIGHT_BLUE)
            screen.text(box.x + 6, y, desk.instruments[number], WHITE if chosen else LIGHT_GREY, width=box.width - 12)

    def _shown(self, view: View) -> range:
        count, room = len(view.desk.instruments), int((self.box.height - 20) / self.ROW)
        first = min(max(view.desk.instrument - room // 2, 0), max(count - room, 0))
        return range(first, min(first + room, count))

    def press(self, x: float, y: float, view: View) -> bool:
        """Take the instrument under the mouse."""
        row = int((y - self.box.y - 16) / self.ROW)
        shown = self._shown(view)
        if 0 <= row < len(shown):
            view.desk.choose(shown[row])
        return False

    def scroll(self, steps: int, x: float, y: float, view: View) -> None:
        """Take the next or the one before."""
        count = len(view.desk.instruments)
        if count:
            view.desk.choose(min(max(view.desk.instrument - steps, 0), count - 1))


class Status(Panel):
    """The title, and in the corner latency, underruns, load and pictures a second."""

    def draw(self, screen: Screen, view: View) -> None:
        """Draw the line; underruns are red."""
        record, box, desk = view.desk.record[0], self.box, view.desk
        figures = (
            f"{desk.latency_ms:.1f} MS   CPU {100 * float(record['load']):.0f} %   {view.frames_per_second:.0f} FPS"
        )
        underruns = int(record["underruns"])
        warning = f"{underruns} UNDERRUNS" if underruns != 1 else "1 UNDERRUN"
        x = box.x + box.width - screen.text_width(figures)
        screen.text(x, box.y, figures, LIGHT_GREY)
        x -= screen.text_width(warning) + 16
        screen.text(x, box.y, warning, LIGHT_RED if underruns else GREY)
        screen.text(box.x, box.y, f"SIDLEARN  {desk.model}  {desk.title}", WHITE, width=x - box.x - 16)
