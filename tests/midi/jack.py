"""A real MIDI system for tests: a JACK server without a sound card."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import need_real_part

NAME = "sidlearn-test"


START_SECONDS = 10

WITH_US = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
"""Stands before a command that is to end when we do, whatever ends us: JACK knows no more than eight servers."""


def _started(command, environ, name):
    """Start a server and wait until it can be reached; None where it ends at once."""
    process = subprocess.Popen([*WITH_US, *command], env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        if any(name in entry for entry in os.listdir("/dev/shm") if entry.endswith(f"_{os.getuid()}_0")):
            time.sleep(0.2)
            return process
        time.sleep(0.02)
    process.kill()
    process.wait()
    return None


@contextmanager
def server(period=256):
    """Run a JACK server of our own; the environment names it."""
    need_real_part("jackd")
    name = f"{NAME}-{os.getpid()}"
    environ = {**os.environ, "JACK_NO_AUDIO_RESERVATION": "1", "JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1"}
    command = ["jackd", "-n", name, "-d", "dummy", "-r", "44100", "-p", str(period)]
    real_time, plain = [command[0], "-R", "-P", "40", *command[1:]], [command[0], "-r", *command[1:]]
    process = _started(real_time, environ, name) or _started(plain, environ, name)
    if process is None:
        raise RuntimeError("jackd does not start")
    before = {key: os.environ.get(key) for key in ("JACK_DEFAULT_SERVER", "JACK_NO_START_SERVER")}
    os.environ["JACK_DEFAULT_SERVER"], os.environ["JACK_NO_START_SERVER"] = name, "1"
    try:
        yield environ
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})
        process.terminate()
        process.wait(timeout=10)
        for left in Path("/dev/shm").glob(f"jack_sem.*_{name}_*"):  # a server leaves its clients' behind
            left.unlink(missing_ok=True)


def jack_system():
    """Return JACK as a MIDI system."""
    import rtmidi

    from sidlearn.midi.ports import Rtmidi

    return Rtmidi(rtmidi.API_UNIX_JACK, "JACK")


KEYBOARD = """
import sys, time, rtmidi
out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=sys.argv[1])
out.open_virtual_port("keys")
print("here", flush=True)
for line in sys.stdin:
    words = line.split()
    if words:
        out.send_message([int(w, 16) for w in words])
"""


class Keyboard:
    """A MIDI keyboard in a process of its own, which can be pulled out."""

    def __init__(self, name="Toy keyboard"):
        self.process = subprocess.Popen(
            [sys.executable, "-c", KEYBOARD, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline().strip() == "here"

    def send(self, *data):
        """Send a message."""
        self.process.stdin.write(" ".join(f"{b:x}" for b in data) + "\n")
        self.process.stdin.flush()

    def pull_out(self):
        """End without letting a key go."""
        self.process.kill()
        self.process.wait()
