"""Environments that lack something, run as a user without rights: one clear line each, and the right exit status."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import sidlearn
from tests.conftest import ROOT
from tests.unprivileged import NOBODY, prefix

LISTING = '10 PRINT "HI":POKE 54296,15:POKE 54277,9:POKE 54273,25:POKE 54276,17\n'
ENDLESS = "10 POKE 54296,15\n20 GOTO 20\n"


class Place:
    """A folder that the user without rights owns, and the environment of a computer that lacks nothing."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.rights = prefix()
        (folder / "song.bas").write_text(LISTING)
        (folder / "endless.bas").write_text(ENDLESS)
        self.temporary = folder / "tmp"
        self.cache = self.temporary / f"sidlearn-{NOBODY if self.rights else os.getuid()}-{sidlearn.__version__}"
        known = Path(os.environ["NUMBA_CACHE_DIR"])
        if known.is_dir():
            shutil.copytree(known, self.cache)
        self.cache.mkdir(parents=True, exist_ok=True)
        for path in (folder, *folder.rglob("*")):
            if self.rights:
                os.chown(path, NOBODY, NOBODY)
        folder.chmod(0o755)
        keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")}
        self.environ = {
            **keep,
            "HOME": str(folder),
            "TMPDIR": str(self.temporary),
            "NUMBA_CACHE_DIR": str(self.cache),
            "SDL_AUDIODRIVER": "dummy",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "JACK_NO_START_SERVER": "1",
        }

    def start(self, *arguments: str, without=(), before="", **changes) -> subprocess.Popen:
        """Run the program in the folder; `before` stands before it in a shell that ends in ``"$@"``."""
        environ = {k: v for k, v in {**self.environ, **changes}.items() if k not in without}
        command = [sys.executable, "-m", "sidlearn", *arguments]
        if before:
            command = ["sh", "-c", before, "sh", *command]
        return subprocess.Popen(
            [*self.rights, *command], cwd=self.folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def run(self, *arguments: str, **options) -> tuple[int, str, str]:
        """Run it to its end: exit status, standard output, standard error."""
        process = self.start(*arguments, **options)
        out, error = process.communicate(timeout=240)
        return process.returncode, out, error


@pytest.fixture(scope="module")
def place():
    folder = Path(tempfile.mkdtemp(prefix="sidlearn-hostile-"))
    try:
        yield Place(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one_line(error: str, pattern: str) -> None:
    assert re.fullmatch(rf"sidlearn: {pattern}\n", error), error


NO_DEVICE = {"SDL_AUDIODRIVER": "pulseaudio", "PULSE_SERVER": "/nonexistent"}


@pytest.mark.parametrize("arguments", [("run", "song.bas"), ("play", "--no-window", "--seconds", "1")])
def test_no_sound_device(place, arguments):
    status, _, error = place.run(*arguments, **NO_DEVICE)
    assert status == 2
    one_line(error, r"no sound device: .*; write a file instead with -o out\.wav")


def test_a_file_needs_no_sound_device(place):
    status, out, error = place.run("run", "song.bas", "-o", "song.wav", "--play", **NO_DEVICE)
    assert (status, out.strip(), error) == (0, "HI", "")
    assert (place.folder / "song.wav").stat().st_size > 1000


def test_no_display(place):
    gone = {"SDL_VIDEODRIVER": "x11", "DISPLAY": ":77"}
    status, _, error = place.run("play", "--window", "--seconds", "1", **gone)
    assert status == 2
    one_line(error, r"no display for the window .*--no-window.*")
    status, _, error = place.run("play", "--seconds", "0.3")  # nobody asked for one
    assert (status, error) == (0, "")


def test_no_midi_system(place):
    status, _, error = place.run("play", "--no-window", "--midi", "Keys", "--seconds", "0.5")
    if "no MIDI system" in error:
        assert status == 2
        one_line(error, "no MIDI system here .*")
    else:  # there is one, whose ports nobody has plugged in yet
        assert (status, error) == (0, "")
    status, _, error = place.run("play", "--no-window", "--seconds", "0.3")
    assert (status, error) == (0, "")
    status, _, error = place.run("run", "song.bas", "--asid", "Box")
    assert status == 2
    one_line(error, "(no MIDI system here|MIDI output 'Box': no such port).*")


def test_no_home_that_can_be_written_and_an_installation_that_is_read_only(place):
    status, out, error = place.run(
        "run", "song.bas", "-o", "home.wav", without=["NUMBA_CACHE_DIR"], HOME="/nonexistent"
    )
    assert (status, out.strip(), error) == (0, "HI", "")
    status, _, error = place.run(
        "play", "--no-window", "--seconds", "0.3", without=["NUMBA_CACHE_DIR"], HOME="/nonexistent"
    )
    assert (status, error) == (0, "")
    if place.rights:
        looks = "import os, sidlearn; print(os.access(os.path.dirname(sidlearn.__file__), os.W_OK))"
        command = [*place.rights, sys.executable, "-c", looks]
        done = subprocess.run(command, env=place.environ, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "False"


@pytest.mark.skipif(os.name != "posix", reason="shell redirections")
def test_closed_standard_output(place):
    status, _, error = place.run("info", "song.bas", before='exec "$@" >&-')
    assert status == 2
    one_line(error, "standard output: it is closed; expected somewhere to print to")
    status, _, error = place.run(
        "run", "song.bas", "-o", "closed.wav", before='exec "$@" >&-'
    )  # it has somewhere to play
    assert (status, error) == (0, "")
    assert (place.folder / "closed.wav").stat().st_size > 1000
    status, _, error = place.run("doctor", before='"$@" | true; exec true')
    assert (status, error) == (0, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_standard_output(place):
    status, _, error = place.run("info", "song.bas", before='exec "$@" >/dev/full')
    assert status == 2
    one_line(error, "standard output: No space left on device; expected somewhere to print to")


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize(
    ("arguments", "statuses"),
    [
        (("run", "endless.bas"), (-signal.SIGTERM, 143)),
        (("run", "endless.bas", "-o", "never.wav", "--seconds", "36000"), (-signal.SIGTERM, 143)),
        (("play", "--no-window"), (143,)),
    ],
)
def test_sigterm_ends_it_soon_and_leaves_no_half_file(place, arguments, statuses):
    process = place.start(*arguments)
    time.sleep(6)
    assert process.poll() is None, process.communicate()
    process.terminate()
    begun = time.monotonic()
    _, error = process.communicate(timeout=30)
    assert time.monotonic() - begun < 5
    assert process.returncode in statuses
    assert error == ""
    assert not [p.name for p in place.folder.iterdir() if "never" in p.name]


def installed(folder: Path, name: str, version: str) -> None:
    """Put what pip knows of a package into a folder."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def test_both_pygames(place):
    both = place.folder / "both"
    for name, version in (("pygame", "2.6.1"), ("pygame-ce", "2.5.8")):
        installed(both, name, version)
    status, out, _ = place.run("doctor", PYTHONPATH=f"{both}{os.pathsep}{ROOT}")
    assert status == 1
    assert "FAULT  pygame" in out
    assert "pip uninstall -y pygame pygame-ce && pip install pygame-ce" in out


def test_pygame_after_the_other_was_uninstalled(place):
    """Its files are gone, its name is there: `import pygame` gives an empty package."""
    broken = place.folder / "broken"
    (broken / "pygame").mkdir(parents=True)
    installed(broken, "pygame-ce", "2.5.8")
    (broken / "pygame" / "__init__.py").touch()
    path = f"{broken}{os.pathsep}{ROOT}"
    status, out, _ = place.run("doctor", PYTHONPATH=path)
    assert status == 1
    assert "FAULT  pygame" in out
    assert "pip install pygame-ce" in out
    status, _, error = place.run("play", "--window", "--seconds", "1", PYTHONPATH=path)
    assert status == 2
    one_line(error, ".*pip install pygame-ce.*")
    status, _, error = place.run("run", "song.bas", PYTHONPATH=path)  # an SDL2 of the system's own will do
    if status:
        assert status == 2
        one_line(error, ".*pygame-ce.*")


def test_a_file_is_written_without_any_pygame(place):
    path = f"{place.folder / 'broken'}{os.pathsep}{ROOT}"
    status, out, error = place.run("run", "song.bas", "-o", "without.wav", PYTHONPATH=path)
    assert (status, out.strip(), error) == (0, "HI", "")
