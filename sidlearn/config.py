"""Settings: built-in values, then ``sidlearn.toml``, then ``SIDLEARN_*``, then the command line; last wins.

The files are the user's own (in the folder that `platformdirs` names) and the nearest ``sidlearn.toml`` from the
working folder upwards. A key or value that is not known is an error; all mistakes of a file are told at once.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sidlearn import clock
from sidlearn.errors import ConfigError, nearest, one_of

FILE_NAME = "sidlearn.toml"

Check = Callable[[Any], str | None]


def _choice(*names: object) -> Check:
    return lambda v: (
        None
        if v in names and type(v) is type(names[0])
        else f"expected {one_of(names)}, given {v!r}{nearest(v, names)}"
    )


def _number(least: float, most: float, whole: bool = True) -> Check:
    kind = "a whole number" if whole else "a number"

    def check(value: Any) -> str | None:
        right_type = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if right_type and least <= value <= most:
            return None
        return f"expected {kind} from {least:g} to {most:g}, given {value!r}"

    return check


def _model_name(value: Any) -> str | None:
    return None if isinstance(value, str) and value else f"expected the name of a chip model, given {value!r}"


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else f"expected a text, given {value!r}"


def _text_value(value: Any) -> str | None:
    return None if isinstance(value, str) else f"expected a text, given {value!r}"


def _option(default: Any, check: Check, text: str) -> Any:
    return field(default=default, metadata={"check": check, "text": text})


@dataclass(frozen=True)
class ChipConfig:
    """The chip that plays."""

    model: str = _option(
        "6581", _model_name, "Chip model: 6581 (the breadbin's, warm) or 8580 (the later C64's, clean)."
    )
    profile: str = _option(
        "", _text, 'What makes the chip differ from its model: "galway", "galway, combined=weak"; "" for nothing.'
    )
    mode: str = _option(
        "exact", _choice("exact", "fast"), "exact: filter solved every cycle; fast: quicker, a shade less true."
    )


@dataclass(frozen=True)
class MachineConfig:
    """The computer around it."""

    video: str = _option("pal", _choice(*clock.VIDEO), "Television standard, which sets clock and tempo: pal or ntsc.")
    seconds: int = _option(
        600, _number(1, 36_000), "A program that does not end is stopped after so many seconds of its own time."
    )


@dataclass(frozen=True)
class AudioConfig:
    """Sound files and speakers."""

    rate: int = _option(44_100, _number(8_000, 192_000), "Samples a second, of files and speakers.")
    wav_bits: int = _option(16, _choice(16, 24, 32), "Bits of a sample in .wav files; 32 is float.")
    block: int = _option(512, _number(64, 8_192), "Samples that the sound device takes at a time.")
    ahead_ms: int = _option(300, _number(50, 5_000), "How far ahead of the speakers the chip plays, in milliseconds.")
    tail_seconds: float = _option(5.0, _number(0, 60, whole=False), "Longest wait for the last note to die away.")


@dataclass(frozen=True)
class PlayConfig:
    """Playing live."""

    host: str = _option("sdl", _choice("sdl", "portaudio"), "What opens the sound device: sdl or portaudio.")
    block: int = _option(0, _number(0, 8_192), "Samples that it takes at a time while live; 0: the host's own default.")
    mode: str = _option(
        "poly",
        _choice("poly", "mono", "unison", "chord", "arp", "multi"),
        "How keys share the voices: poly, mono, unison, chord, arp or multi.",
    )
    instrument: str = _option("Square lead", _text_value, "Instrument that every channel begins with.")


@dataclass(frozen=True)
class MidiConfig:
    """MIDI in and out."""

    port: str = _option("", _text_value, "Input port that is opened, or part of its name; empty: every one there is.")
    patches: str = _option("", _text_value, "Instruments for program changes from 0 on, with commas between.")


@dataclass(frozen=True)
class Config:
    """All settings, one record a table of the file."""

    chip: ChipConfig = field(default_factory=ChipConfig)
    machine: MachineConfig = field(default_factory=MachineConfig)
    audio: AudioConfig = field(default_factory=AudioConfig)
    play: PlayConfig = field(default_factory=PlayConfig)
    midi: MidiConfig = field(default_factory=MidiConfig)


@dataclass(frozen=True)
class Setting:
    """One setting with its place: what `describe` lists."""

    table: str
    key: str
    value: Any
    text: str
    origin: str


def load(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Return the settings in force in `folder` (default: the working folder).

    Raises
    ------
    ConfigError
        On one line, all mistakes of the first file or variable that has any.
    """
    return _load(folder, environ)[0]


def describe(folder: Path | None = None, environ: Mapping[str, str] | None = None) -> list[Setting]:
    """Return every setting with its value and where that came from."""
    config, origins = _load(folder, environ)
    return [
        Setting(
            table,
            f.name,
            getattr(getattr(config, table), f.name),
            f.metadata["text"],
            origins.get((table, f.name), "built-in"),
        )
        for table, f in _walk()
    ]


def template() -> str:
    """Return a ``sidlearn.toml`` with every option, its meaning and its built-in value."""
    lines = ["# Settings of sidlearn: every option with its built-in value. The command line overrides this file."]
    table = None
    for name, f in _walk():
        if name != table:
            table = name
            lines += ["", f"[{name}]"]
        value = f'"{f.default}"' if isinstance(f.default, str) else str(f.default)
        lines += [f"# {f.metadata['text']}", f"{f.name} = {value}"]
    return "\n".join(lines) + "\n"


def files(folder: Path | None = None) -> list[Path]:
    """Return the settings files that exist, the user's own first."""
    import platformdirs

    folder = (folder or Path.cwd()).resolve()
    own = Path(platformdirs.user_config_dir("sidlearn")) / FILE_NAME
    near = next((p / FILE_NAME for p in (folder, *folder.parents) if (p / FILE_NAME).is_file()), None)
    return [p for p in (own, near) if p is not None and p.is_file()]


def read(path: Path) -> dict[tuple[str, str], Any]:
    """Return the checked values of one file by (table, key).

    Raises
    ------
    ConfigError
        With every mistake of the file on one line.
    """
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    known = {table: {f.name: f for t, f in _walk() if t == table} for table, _ in _walk()}
    values: dict[tuple[str, str], Any] = {}
    wrong = []
    for table, entries in tables.items():
        if table not in known:
            wrong.append(f"unknown table [{table}]: expected {one_of(known)}{nearest(table, known)}")
            continue
        if not isinstance(entries, dict):
            wrong.append(f"{table}: expected a table [{table}], given {entries!r}")
            continue
        for key, value in entries.items():
            if key not in known[table]:
                wrong.append(f"unknown key {table}.{key}: expected {one_of(known[table])}{nearest(key, known[table])}")
                continue
            fault = known[table][key].metadata["check"](value)
            if fault:
                wrong.append(f"{table}.{key}: {fault}")
            values[table, key] = value
    if wrong:
        raise ConfigError(f"{path}: {'; '.join(wrong)}")
    return values


def _walk() -> Iterator[tuple[str, Any]]:
    for table in fields(Config):
        for option in fields(table.default_factory):  # type: ignore[arg-type]
            yield table.name, option


def _load(folder: Path | None, environ: Mapping[str, str] | None) -> tuple[Config, dict[tuple[str, str], str]]:
    values: dict[tuple[str, str], Any] = {}
    origins: dict[tuple[str, str], str] = {}
    for path in files(folder):
        found = read(path)
        values |= found
        origins |= dict.fromkeys(found, str(path))
    for (table, option), (name, text) in _environment(os.environ if environ is None else environ).items():
        value: Any = text
        if not isinstance(option.default, str):
            try:
                value = type(option.default)(text)
            except ValueError:
                value = text  # the check says what was expected
        fault = option.metadata["check"](value)
        if fault:
            raise ConfigError(f"{name}: {fault}")
        values[table, option.name] = value
        origins[table, option.name] = name
    config = Config()
    for (table, key), value in values.items():
        config = replace(config, **{table: replace(getattr(config, table), **{key: value})})
    return config, origins


def _environment(environ: Mapping[str, str]) -> dict[tuple[str, Any], tuple[str, str]]:
    found = {}
    for table, option in _walk():
        name = f"SIDLEARN_{table}_{option.name}".upper()
        if name in environ:
            found[table, option] = (name, environ[name])
    return found
