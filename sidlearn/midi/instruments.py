"""Instruments: what a voice does frame by frame, as TOML files, and the bank that comes with the package.

A file holds one instrument. All keys but `name` may be left out::

    name = "Brass"
    programs = [61, 62]        # General MIDI programs, from 0, that it stands in for
    drums = [38]               # General MIDI drum notes that it plays, at `pitch`
    pitch = "C-4"              # fixed note, for drums
    transpose = 0              # semitones
    attack = 2                 # the four nibbles of the envelope, 0 to 15
    decay = 9
    sustain = 10
    release = 6
    hard_restart = 2           # frames before a note in which the voice is made ready, where notes are known ahead
    speed = 1                  # program frames a picture: 1, 2 or 4
    waveform = ["test", "noise", ["pulse", 3], "sawtooth"]
    waveform_loop = 1          # step to go on with after the last; without it the last one stays
    arpeggio = [0, 4, 7]       # semitones above the key; "=C-5" is a note whatever the key
    arpeggio_loop = 0
    detune = [0, 12.5, -12.5]  # cents above that, down to a hundredth
    detune_loop = 1
    pulse_width = 2048         # 0 to 4095
    pulse_sweep = [[40, 25], [-40, 25]]    # change a frame
    pulse_loop = 0
    filter = "low"             # off, or low, band, high joined with +
    resonance = 8              # 0 to 15
    cutoff = 400               # 0 to 2047
    cutoff_sweep = [[40, 10], [-20, 60]]   # change a frame
    cutoff_loop = 0
    vibrato_depth = 0.2        # semitones
    vibrato_rate = 5.5         # Hz
    vibrato_delay = 0.3        # seconds

A step of a program is a value, for one frame, or ``[value, frames]``. Waveforms are ``triangle``, ``sawtooth``,
``pulse``, ``noise``, with ``ring``, ``sync``, ``test``, ``nogate`` joined on by ``+``, or ``silent``.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sidlearn.errors import InstrumentError, nearest, one_of
from sidlearn.files import whole_file
from sidlearn.midi.tuning import note_name, note_number
from sidlearn.registers import GATE, NOISE, PULSE, RING, SAWTOOTH, SYNC, TEST, TRIANGLE

FOLDER = Path(__file__).parent / "bank"

WAVES = {"triangle": TRIANGLE, "sawtooth": SAWTOOTH, "pulse": PULSE, "noise": NOISE}
EXTRAS = {"ring": RING, "sync": SYNC, "test": TEST, "nogate": GATE}
PASSBANDS = {"low": 1, "band": 2, "high": 4}
SPEEDS = (1, 2, 4)
MOST_FRAMES = 100_000
ABSOLUTE = 1000
"""Added to a note number in an arpeggio that does not follow the key."""
DETUNE_STEPS = 100
"""Steps of a cent in which an instrument is detuned: finer than any step of FREQ."""


@dataclass(frozen=True)
class Program:
    """Values frame by frame: steps of (value, frames), and the step to go on with after the last one.

    Without a loop the last value stays.
    """

    steps: tuple[tuple[int, int], ...] = ()
    loop: int | None = None

    @property
    def frames(self) -> int:
        """How long it lasts, once through."""
        return sum(count for _, count in self.steps)

    def at(self, frame: int) -> int:
        """Return the value in a frame, counted from 0."""
        return self._values[self._index(frame)]

    def sum_before(self, frame: int) -> int:
        """Return the sum of the values of all frames before this one; past its end a program without a loop adds 0."""
        values, total = self._values, self._total
        if frame <= len(values):
            return self._sums[frame]
        if self.loop is None:
            return total
        first = sum(count for _, count in self.steps[: self.loop])
        rounds, rest = divmod(frame - len(values), len(values) - first)
        return total + rounds * (total - self._sums[first]) + self._sums[first + rest] - self._sums[first]

    def _index(self, frame: int) -> int:
        count = len(self._values)
        if frame < count:
            return frame
        if self.loop is None:
            return count - 1
        first = sum(n for _, n in self.steps[: self.loop])
        return first + (frame - first) % (count - first)

    @property
    def _values(self) -> list[int]:
        return _unrolled(self.steps)[0]

    @property
    def _sums(self) -> list[int]:
        return _unrolled(self.steps)[1]

    @property
    def _total(self) -> int:
        return _unrolled(self.steps)[1][-1]


@lru_cache(maxsize=1024)
def _unrolled(steps: tuple[tuple[int, int], ...]) -> tuple[list[int], list[int]]:
    values = [value for value, count in steps for _ in range(count)]
    sums = [0]
    for value in values:
        sums.append(sums[-1] + value)
    return values, sums


HELD_PULSE = Program(((PULSE, 1),))


@dataclass(frozen=True)
class Instrument:
    """What a voice does from the start of a note on; see the module for the keys of the file."""

    name: str
    programs: tuple[int, ...] = ()
    drums: tuple[int, ...] = ()
    pitch: int | None = None
    transpose: int = 0
    attack: int = 0
    decay: int = 9
    sustain: int = 10
    release: int = 6
    hard_restart: int = 2
    speed: int = 1
    waveform: Program = HELD_PULSE
    arpeggio: Program = Program(((0, 1),))
    detune: Program = field(default_factory=Program)
    """In cents / `DETUNE_STEPS`."""
    pulse_width: int = 2048
    pulse_sweep: Program = field(default_factory=Program)
    filter: int = 0
    resonance: int = 0
    cutoff: int = 1024
    cutoff_sweep: Program = field(default_factory=Program)
    vibrato_depth: float = 0.0
    vibrato_rate: float = 5.5
    vibrato_delay: float = 0.0

    def control_at(self, frame: int) -> int:
        """Return CONTROL in a frame: waveform, and GATE unless the program takes it away."""
        return self.waveform.at(frame) ^ GATE

    def detune_at(self, frame: int) -> float:
        """Return by how many semitones a frame is out of tune."""
        return self.detune.at(frame) / (100 * DETUNE_STEPS) if self.detune.steps else 0.0

    def width_at(self, frame: int) -> int:
        """Return the pulse width in a frame, 0 to 4095."""
        return min(max(self.pulse_width + self._swept(self.pulse_sweep, frame), 0), 4095)

    def cutoff_offset(self, frame: int) -> int:
        """Return by how much the filter program has moved the cutoff."""
        return self._swept(self.cutoff_sweep, frame)

    @staticmethod
    def _swept(sweep: Program, frame: int) -> int:
        return sweep.sum_before(frame) if sweep.steps else 0


DEFAULT = Instrument("Pulse")


# --- Reading -----------------------------------------------------------------------------------------------------


def parse(text: str, name: str = "instrument") -> Instrument:
    """Return the instrument of a TOML text; `name` stands at the head of error messages.

    Raises
    ------
    InstrumentError
        With every mistake: file, line, key, what was expected and what was given.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line (\d+)", str(error))
        where = f"{name}:{place[1]}" if place else name
        raise InstrumentError(f"{where}: {error}") from None
    values: dict[str, Any] = {}
    wrong: list[str] = []
    for key, given in table.items():
        if key not in _KEYS:
            wrong.append(f"{name}:{_line(text, key)}: unknown key {key}{nearest(key, _KEYS)}")
            continue
        try:
            values[key] = _KEYS[key](given)
        except ValueError as error:
            wrong.append(f"{name}:{_line(text, key)}: {key}: {error}")
    if "name" not in table:
        wrong.append(f"{name}:1: name: expected the name of the instrument, given none")
    for loop, program in _LOOPS.items():
        place = values.pop(loop, None)
        if place is None or any(f": {program}: " in w for w in wrong):
            continue
        steps = values[program].steps if program in values else ()
        if not place < len(steps):
            wrong.append(f"{name}:{_line(text, loop)}: {loop}: expected a step of {program}, which has {len(steps)}")
            continue
        values[program] = replace(values[program], loop=place)
    if wrong:
        raise InstrumentError("; ".join(wrong))
    return Instrument(**values)


def load(path: str | Path) -> Instrument:
    """Return the instrument of a file, ``.toml`` or GoatTracker ``.ins``.

    Raises
    ------
    InstrumentError
        If the file is missing or broken.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InstrumentError(f"{path}: {error.strerror or error}") from None
    if path.suffix.lower() == ".ins":
        from sidlearn.midi import goattracker

        return goattracker.parse(content, str(path))
    try:
        return parse(content.decode("utf-8"), str(path))
    except UnicodeDecodeError:
        raise InstrumentError(f"{path}: expected a text file, this is binary") from None


def save(instrument: Instrument, path: str | Path) -> None:
    """Write an instrument to a file, ``.toml`` or GoatTracker ``.ins``; it appears whole or not at all."""
    path = Path(path)
    if path.suffix.lower() == ".ins":
        from sidlearn.midi import goattracker

        content = goattracker.pack(instrument)
    else:
        content = text_of(instrument).encode()
    with whole_file(path) as file:
        file.write(content)


def text_of(instrument: Instrument) -> str:
    """Return an instrument as TOML; `parse` gives it back."""
    plain = Instrument("")
    lines = []
    for f in fields(Instrument):
        value = getattr(instrument, f.name)
        if f.name != "name" and value == getattr(plain, f.name):
            continue
        lines.append(f"{f.name} = {_shown(f.name, value)}")
        if isinstance(value, Program) and value.loop is not None:
            loop = next(loop for loop, program in _LOOPS.items() if program == f.name)
            lines.append(f"{loop} = {value.loop}")
    return "\n".join(lines) + "\n"


def _shown(key: str, value: Any) -> str:
    if isinstance(value, Program):
        steps = [(_shown_step(key, v), n) for v, n in value.steps]
        return "[" + ", ".join(v if n == 1 else f"[{v}, {n}]" for v, n in steps) + "]"
    if key == "pitch":
        return f'"{note_name(value)}"'
    if key == "filter":
        return '"' + ("+".join(n for n, bit in PASSBANDS.items() if value & bit) or "off") + '"'
    if isinstance(value, tuple):
        return str(list(value))
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)


def _shown_step(key: str, value: int) -> str:
    if key == "waveform":
        return f'"{waveform_name(value)}"'
    if key == "arpeggio" and value >= ABSOLUTE - 64:
        return f'"={note_name(value - ABSOLUTE)}"'
    if key == "detune":
        return f"{value / DETUNE_STEPS:g}"
    return str(value)


def waveform_name(value: int) -> str:
    """Return CONTROL bits (GATE meaning its absence) as the file writes them."""
    parts = [n for n, bit in WAVES.items() if value & bit] or ([] if value & TEST else ["silent"])
    return "+".join([*parts, *(n for n, bit in EXTRAS.items() if value & bit)])


def _line(text: str, key: str) -> int:
    """Return the line on which a key stands."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=.]", line) or re.match(
            rf"\s*\[+\s*{re.escape(key)}\b", line
        ):
            return number
    return 1


# --- Checks: each takes what stands in the file and returns the field, or raises ValueError ----------------------


def _text(given: Any) -> str:
    if isinstance(given, str) and given.strip():
        return given
    raise ValueError(f"expected a text, given {given!r}")


def _whole(least: int, most: int) -> Any:
    def check(given: Any) -> int:
        if isinstance(given, int) and not isinstance(given, bool) and least <= given <= most:
            return given
        raise ValueError(f"expected a whole number from {least} to {most}, given {given!r}")

    return check


def _number(least: float, most: float) -> Any:
    def check(given: Any) -> float:
        if isinstance(given, int | float) and not isinstance(given, bool) and least <= given <= most:
            return float(given)
        raise ValueError(f"expected a number from {least:g} to {most:g}, given {given!r}")

    return check


def _numbers(least: int, most: int) -> Any:
    one = _whole(least, most)

    def check(given: Any) -> tuple[int, ...]:
        if not isinstance(given, list):
            raise ValueError(f"expected a list of numbers, given {given!r}")
        return tuple(one(g) for g in given)

    return check


def _program(value: Any) -> Any:
    def check(given: Any) -> Program:
        if not isinstance(given, list) or not given:
            raise ValueError(f"expected a list of steps, given {given!r}")
        steps = []
        for i, one in enumerate(given):
            try:
                steps.append(_step(one, value))
            except ValueError as error:
                raise ValueError(f"step {i}: {error}") from None
        if sum(count for _, count in steps) > MOST_FRAMES:
            raise ValueError(f"expected {MOST_FRAMES} frames at the most")
        return Program(tuple(steps))

    return check


def _step(given: Any, value: Any) -> tuple[int, int]:
    if isinstance(given, list):
        if len(given) != 2:
            raise ValueError(f"expected a value or [value, frames], given {given!r}")
        return value(given[0]), _whole(1, MOST_FRAMES)(given[1])
    return value(given), 1


def _waveform(given: Any) -> int:
    names = {**WAVES, **EXTRAS, "silent": 0}
    if not isinstance(given, str):
        raise ValueError(f"expected waveforms joined by +, given {given!r}")
    bits = 0
    for part in given.split("+"):
        if part.strip() not in names:
            raise ValueError(f"expected {one_of(names)}, given {part.strip()!r}{nearest(part.strip(), names)}")
        bits |= names[part.strip()]
    return bits


def _interval(given: Any) -> int:
    if isinstance(given, str) and given.startswith("="):
        return ABSOLUTE + _note(given[1:])
    if isinstance(given, int) and not isinstance(given, bool) and -96 <= given <= 96:
        return given
    raise ValueError(f'expected semitones from -96 to 96 or a note as "=C-4", given {given!r}')


def _cents(given: Any) -> int:
    return round(DETUNE_STEPS * _number(-2_400, 2_400)(given))


def _note(given: Any) -> int:
    number = note_number(given) if isinstance(given, str) else None
    if number is None:
        raise ValueError(f"expected a note as C-4 or F#2, given {given!r}")
    return number


def _passband(given: Any) -> int:
    parts = [p.strip() for p in given.split("+")] if isinstance(given, str) else [None]
    if parts == ["off"]:
        return 0
    for part in parts:
        if part not in PASSBANDS:
            raise ValueError(f"expected off, or {one_of(PASSBANDS)} joined by +, given {given!r}")
    return sum({PASSBANDS[p] for p in parts if p})


def _speed(given: Any) -> int:
    if given in SPEEDS and not isinstance(given, bool):
        return int(given)
    raise ValueError(f"expected {one_of(SPEEDS)}, given {given!r}")


_NIBBLE = _whole(0, 15)
_KEYS: dict[str, Any] = {
    "name": _text,
    "programs": _numbers(0, 127),
    "drums": _numbers(0, 127),
    "pitch": _note,
    "transpose": _whole(-48, 48),
    "attack": _NIBBLE,
    "decay": _NIBBLE,
    "sustain": _NIBBLE,
    "release": _NIBBLE,
    "hard_restart": _whole(0, 4),
    "speed": _speed,
    "waveform": _program(_waveform),
    "waveform_loop": _whole(0, MOST_FRAMES),
    "arpeggio": _program(_interval),
    "arpeggio_loop": _whole(0, MOST_FRAMES),
    "detune": _program(_cents),
    "detune_loop": _whole(0, MOST_FRAMES),
    "pulse_width": _whole(0, 4095),
    "pulse_sweep": _program(_whole(-4095, 4095)),
    "pulse_loop": _whole(0, MOST_FRAMES),
    "filter": _passband,
    "resonance": _NIBBLE,
    "cutoff": _whole(0, 2047),
    "cutoff_sweep": _program(_whole(-2047, 2047)),
    "cutoff_loop": _whole(0, MOST_FRAMES),
    "vibrato_depth": _number(0, 12),
    "vibrato_rate": _number(0.01, 25),
    "vibrato_delay": _number(0, 60),
}
_LOOPS = {
    "waveform_loop": "waveform",
    "arpeggio_loop": "arpeggio",
    "detune_loop": "detune",
    "pulse_loop": "pulse_sweep",
    "cutoff_loop": "cutoff_sweep",
}


# --- The bank ----------------------------------------------------------------------------------------------------


class Bank:
    """Instruments by name, by General MIDI program and by drum note."""

    def __init__(self, instruments: Iterable[Instrument], patches: Sequence[str] = ()) -> None:
        self.instruments = {i.name: i for i in instruments}
        self._programs = {p: i for i in self.instruments.values() for p in i.programs}
        self._drums = {d: i for i in self.instruments.values() for d in i.drums}
        self._patches = [self.named(p) for p in patches]

    def named(self, name: str) -> Instrument:
        """Return an instrument by its name, whatever the case, or from a file of that name.

        Raises
        ------
        InstrumentError
            If there is none.
        """
        for known, instrument in self.instruments.items():
            if known.lower() == name.lower():
                return instrument
        if Path(name).suffix.lower() in (".toml", ".ins"):
            return load(name)
        raise InstrumentError(
            f"instrument {name!r}: no such instrument{nearest(name, self.instruments)}; sidlearn play --instruments"
        )

    def program(self, number: int) -> Instrument:
        """Return what program change `number`, from 0, selects: the patches of the settings, else General MIDI."""
        if number < len(self._patches):
            return self._patches[number]
        if number in self._programs:
            return self._programs[number]
        near = min(self._programs, key=lambda p: (abs(p - number), p), default=None)
        return DEFAULT if near is None else self._programs[near]

    def drum(self, note: int) -> Instrument | None:
        """Return what a drum note plays, or None where there is nothing like it."""
        if note in self._drums:
            return self._drums[note]
        near = min(self._drums, key=lambda d: (abs(d - note), d), default=None)
        return None if near is None else self._drums[near]


@lru_cache(maxsize=1)
def shipped() -> tuple[Instrument, ...]:
    """Return the instruments that come with the package."""
    return tuple(load(path) for path in sorted(FOLDER.glob("*.toml")))


def own_folder() -> Path:
    """Return the folder of the user's own instruments, which the window saves to."""
    import platformdirs

    return Path(os.environ.get("SIDLEARN_INSTRUMENTS") or Path(platformdirs.user_data_dir("sidlearn")) / "instruments")


def bank(patches: Sequence[str] = ()) -> Bank:
    """Return the shipped instruments and the user's own, which take the place of shipped ones of the same name."""
    folder = own_folder()
    own = [load(p) for p in sorted(folder.glob("*")) if p.suffix in (".toml", ".ins")] if folder.is_dir() else []
    return Bank([*shipped(), *own], patches)
