"""Real parts for the measurements: a sound server that records, a display, a witness of the computer's own stalls."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.midi.jack import WITH_US

STALL_SECONDS = 0.006
"""A sleep of 1 ms that took longer is a stall of the computer."""

WITNESS_PRIORITY, SERVER_PRIORITY, RECORDER_PRIORITY = 90, 20, 15
"""Of SCHED_FIFO; the audio thread of what is measured has 10."""

# A process of the highest priority that does nothing but look at the clock. Where it is held up, everything is.
WITNESS = """
import json, signal, sys, time
stalls, going = [], [True]
signal.signal(signal.SIGTERM, lambda *_: going.clear())
last = time.monotonic()
while going:
    time.sleep(0.001)
    now = time.monotonic()
    if now - last > float(sys.argv[1]):
        stalls.append((last, now))
    last = now
print(json.dumps(stalls))
"""


def prioritise(process: subprocess.Popen, level: int) -> None:
    """Give all threads of a process a real-time priority, where that is allowed.

    From outside, as PulseAudio gives up what it was started with.
    """
    for task in os.listdir(f"/proc/{process.pid}/task"):
        with suppress(OSError):
            os.sched_setscheduler(int(task), os.SCHED_FIFO, os.sched_param(level))


class Witness:
    """Sees when the computer itself stood still; `stalls` after `stop`, as (begin, end) of `time.monotonic`."""

    def __init__(self) -> None:
        command = [*WITH_US, sys.executable, "-c", WITNESS, str(STALL_SECONDS)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        prioritise(self._process, WITNESS_PRIORITY)
        self.stalls: list[tuple[float, float]] = []

    def stop(self) -> None:
        """End it and read what it saw."""
        self._process.send_signal(signal.SIGTERM)
        out, _ = self._process.communicate(timeout=10)
        self.stalls = [tuple(s) for s in json.loads(out)]

    def explains(self, begin: float, end: float, margin: float = 0.3) -> bool:
        """Whether a stall lies within, or close before or after, a stretch of time."""
        return any(s < end + margin and begin - margin < e for s, e in self.stalls)


@contextmanager
def sound_server(rate: int = 44_100) -> Iterator[Path]:
    """Run PulseAudio with a null sink of float32; the environment points to it. Gives a folder for files."""
    folder = Path(tempfile.mkdtemp(prefix="sidlearn-sound-"))
    for name in ("run", "home"):
        (folder / name).mkdir(mode=0o700)
    asound = folder / "asound.conf"
    asound.write_text("</usr/share/alsa/alsa.conf>\npcm.!default { type pulse }\nctl.!default { type pulse }\n")
    before = dict(os.environ)
    os.environ.update(XDG_RUNTIME_DIR=str(folder / "run"), PULSE_RUNTIME_PATH=str(folder / "run"))
    # without enable-memfd=no the server aborts within a minute, without norewinds a stream stalls at its start
    command = [
        *WITH_US, "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--realtime=no",
        "--high-priority=no", "--disable-shm=yes", "--enable-memfd=no", "--log-target=stderr",
        f"--load=module-null-sink sink_name=sid rate={rate} format=float32le norewinds=1",
        "--load=module-native-protocol-unix auth-anonymous=1",
    ]  # fmt: skip
    environ = {**os.environ, "HOME": str(folder / "home")}
    server = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            if subprocess.run(["pactl", "info"], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise RuntimeError("the sound server did not start")
        prioritise(server, SERVER_PRIORITY)
        yield folder
    finally:
        server.terminate()
        server.wait(timeout=10)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


class Recorder:
    """Records what the null sink plays, both channels, float32."""

    def __init__(self, path: Path, rate: int = 44_100) -> None:
        self.path = path
        command = [
            *WITH_US, "parec", "-d", "sid.monitor", "--format=float32le", f"--rate={rate}", "--channels=2",
            "--latency-msec=50", "--raw",
        ]  # fmt: skip
        with path.open("wb") as out:
            self._process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        prioritise(self._process, RECORDER_PRIORITY)

    def stop(self) -> None:
        """End the recording."""
        time.sleep(0.5)
        self._process.terminate()
        self._process.wait(timeout=10)


@contextmanager
def display(width: int = 1280, height: int = 800) -> Iterator[None]:
    """Run an X server without a screen and let the environment point to it."""
    read, write = os.pipe()
    command = [*WITH_US, "Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=(write,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as lines:
        number = lines.readline().strip()
    before = {key: os.environ.get(key) for key in ("DISPLAY", "SDL_VIDEODRIVER")}
    os.environ["DISPLAY"] = f":{number}"
    os.environ["SDL_VIDEODRIVER"] = "x11"
    try:
        yield
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
        server.terminate()
        server.wait(timeout=10)
