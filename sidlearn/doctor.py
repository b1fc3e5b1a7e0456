"""What sidlearn finds on this computer: every problem at once, each with its remedy."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from sidlearn import __version__
from sidlearn.errors import SidlearnError
from sidlearn.terminal import colour, quiet_libraries

GOOD, POOR, FAULT = "ok", "note", "fault"
"""All well; something is not there that only some tasks need; nothing will work before this is mended."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: its state (`GOOD`, `POOR` or `FAULT`), what was found, and the remedy if any."""

    subject: str
    state: str
    found: str
    remedy: str = ""


def examine(roms: bool = False) -> list[Finding]:
    """Look at everything, with `roms` also at a user's own ROM images; nothing that fails keeps the rest back."""
    checks = (*(c for c in CHECKS if c is not _images), _roms) if roms else CHECKS
    return [finding for check in checks for finding in check()]


def report(findings: list[Finding]) -> str:
    """Return the findings as text for people."""
    width = max(len(f.subject) for f in findings)
    marks = {GOOD: ("ok   ", "32"), POOR: ("note ", "33"), FAULT: ("FAULT", "31")}
    lines = []
    for f in findings:
        mark, code = marks[f.state]
        lines.append(f"{colour(mark, code)}  {f.subject:<{width}}  {f.found}")
        if f.remedy:
            lines.append(f"{'':<{width + 9}}-> {f.remedy}")
    return "\n".join(lines)


def _system() -> Iterator[Finding]:
    yield Finding("sidlearn", GOOD, f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    if not getattr(sys, "_is_gil_enabled", lambda: True)() or platform.python_implementation() != "CPython":
        yield Finding("Python", FAULT, platform.python_implementation(), "numba needs CPython with the GIL")


def _packages() -> Iterator[Finding]:
    for name, needed_for in (
        ("numpy", None),
        ("numba", None),
        ("soundfile", "sound files"),
        ("mido", "MIDI"),
        ("matplotlib", "pictures: pip install 'sidlearn[plot]'"),
        ("torch", "learning: pip install 'sidlearn[learn]'"),
    ):
        version = _version(name)
        if version:
            yield Finding(name, GOOD, version)
        elif needed_for is None:
            yield Finding(name, FAULT, "not installed", f"pip install {name}")
        else:
            yield Finding(name, POOR, f"not installed; needed for {needed_for}")


def _pygame() -> Iterator[Finding]:
    community, old = _version("pygame-ce"), _version("pygame")
    remedy = "pip uninstall -y pygame pygame-ce && pip install pygame-ce"
    if community and old:
        found = f"pygame {old} and pygame-ce {community} are both installed and break each other"
        yield Finding("pygame", FAULT, found, remedy)
        return
    if not community and not old:
        yield Finding("pygame", FAULT, "not installed", "pip install pygame-ce")
        return
    reason = _broken_pygame()
    name = f"pygame-ce {community}" if community else f"pygame {old}"
    if reason:
        yield Finding("pygame", FAULT, f"{name}: {reason}", remedy)
    else:
        yield Finding("pygame", GOOD, name)


def _broken_pygame() -> str:
    """Return what keeps pygame from being used."""
    from sidlearn.play import speaker

    try:
        speaker.pygame_module()
        speaker.library()
    except SidlearnError as error:
        return str(error).partition(";")[0]
    return ""


def _sound() -> Iterator[Finding]:
    from sidlearn.play import speaker
    from sidlearn.play.hosts import NO_DEVICES

    try:
        driver, names = speaker.devices()
    except SidlearnError as error:
        yield Finding("speakers", POOR, str(error), "sidlearn run SOURCE -o out.wav writes a file and needs none")
    else:
        nowhere = driver in NO_DEVICES
        if names or nowhere:
            yield Finding("speakers", GOOD, f"{driver}: {', '.join(names) or 'heard by nobody'}")
        else:
            remedy = "a sound card or sound server; sidlearn run SOURCE -o out.wav writes a file and needs none"
            yield Finding("speakers", POOR, f"{driver}: no device", remedy)
    if not _version("sounddevice"):
        remedy = "pip install 'sidlearn[audio]' for less latency: sidlearn play --host portaudio"
        yield Finding("PortAudio", POOR, "not installed", remedy)
        return
    try:
        with quiet_libraries():
            import sounddevice

            devices = [d["name"] for d in sounddevice.query_devices() if d["max_output_channels"]]
    except OSError as error:
        yield Finding("PortAudio", POOR, f"no library: {error}", "on Debian: apt install libportaudio2")
    except Exception as error:  # PortAudioError of a package that may not be there
        yield Finding("PortAudio", POOR, f"{error}", "sidlearn play --host sdl does without")
    else:
        state, found = (GOOD, ", ".join(devices)) if devices else (POOR, "no output device")
        yield Finding("PortAudio", state, found, "" if devices else "sidlearn play --host sdl does without")


def _midi() -> Iterator[Finding]:
    from sidlearn.midi import ports

    try:
        system = ports.find_system()
        with quiet_libraries():
            inputs, outputs = system.inputs(), system.outputs()
    except Exception as error:  # every system has errors of its own, python-rtmidi's without a common base
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = "a running JACK server or the kernel's snd-seq module; pip install 'sidlearn[midi]'"
        yield Finding("MIDI", POOR, reason, f"{remedy}; the computer's keyboard plays without")
        return
    if not inputs and not _version("python-rtmidi") and not _version("rtmidi2"):
        yield Finding(
            "MIDI", POOR, f"{system.name}: no input port", "pip install 'sidlearn[midi]', or plug a keyboard in"
        )
    elif not inputs:
        yield Finding("MIDI", POOR, f"{system.name}: no input port", "plug a keyboard in; it is found as it comes")
    else:
        yield Finding("MIDI", GOOD, f"{system.name}: in {', '.join(inputs)}; out {', '.join(outputs) or 'none'}")


def _display() -> Iterator[Finding]:
    remedy = "a desktop session, or DISPLAY of one; sidlearn play --no-window does without"
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        yield Finding("display", POOR, "none (neither DISPLAY nor WAYLAND_DISPLAY is set)", remedy)
        return
    from sidlearn.play import speaker

    name = os.environ.get("WAYLAND_DISPLAY") or os.environ.get("DISPLAY") or sys.platform
    try:
        driver = speaker.video_driver()
    except SidlearnError as error:
        yield Finding("display", POOR, f"{name}: {error}", remedy)
    else:
        yield Finding("display", GOOD, f"{name} ({driver})")


def _cache() -> Iterator[Finding]:
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or _default_cache())
    there = next(f for f in (folder, *folder.absolute().parents) if f.exists())  # numba makes what is missing
    if not os.access(there, os.W_OK):
        yield Finding("kernel cache", POOR, f"{folder} cannot be written", "set NUMBA_CACHE_DIR to a folder of yours")
        return
    compiled = sum(1 for _ in folder.rglob("*.nbc"))
    state = f"{compiled} compiled kernels" if compiled else "empty: the first sound takes up to a minute"
    yield Finding("kernel cache", GOOD, f"{folder}, {state}")


def _default_cache() -> Path:
    from sidlearn._kernel import cache_dir

    return cache_dir()


def _settings() -> Iterator[Finding]:
    from sidlearn import config

    for path in config.files():
        try:
            count = len(config.read(path))
        except SidlearnError as error:
            yield Finding("settings", FAULT, str(error), "sidlearn config shows every option")
        else:
            yield Finding("settings", GOOD, f"{path}: {count} options")
    if not config.files():
        yield Finding("settings", GOOD, "built-in")


def _images() -> Iterator[Finding]:
    from sidlearn.c64 import romcheck
    from sidlearn.c64.kernal import USER_ROMS

    try:
        found = [image.name for image in romcheck.images(USER_ROMS.resolve())]
    except OSError:
        found = []
    yield Finding("ROMs", GOOD, ", ".join(found) or "none, and none needed")


def _roms() -> Iterator[Finding]:
    from sidlearn.c64 import romcheck
    from sidlearn.c64.kernal import USER_ROMS

    folder = USER_ROMS.resolve()
    try:
        found = romcheck.images(folder)
    except OSError as error:
        yield Finding("ROMs", FAULT, f"{folder}: {error.strerror}")
        return
    for image in found:
        state = GOOD if image.known else POOR
        yield Finding("ROM", state if image.kind else FAULT, f"{image.path.name}: {image.name}")
    kinds = {image.kind for image in found}
    if romcheck.BOTH in kinds:
        yield Finding(
            "ROMs", POOR, "BASIC and KERNAL in one image", "cut it in two: the first 8192 bytes and the last ones"
        )
    missing = [kind for kind in (romcheck.BASIC, romcheck.KERNAL) if kind not in kinds]
    if missing:
        yield Finding(
            "ROMs", POOR, f"no {' and no '.join(missing)} image in {folder}: nothing to compare with",
            "none is needed; to compare, put images read out of a C64 of yours there (8192 bytes each)",
        )  # fmt: skip
        return
    try:
        result = romcheck.compare(folder)
    except SidlearnError as error:
        yield Finding("ROMs", FAULT, str(error))
        return
    if not result.same:
        remedy = "unknown images may differ; with the known ones this is a fault of sidlearn: please report it"
        yield Finding("ROMs", FAULT, result.text, remedy)
    else:
        yield Finding("ROMs", GOOD if result.worst_ms <= romcheck.SAME_MS else POOR, result.text)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _system,
    _packages,
    _pygame,
    _sound,
    _midi,
    _display,
    _cache,
    _images,
    _settings,
)
"""What is looked at, in the order of the report."""
