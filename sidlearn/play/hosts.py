"""Where sound goes: SDL2, PortAudio, or nowhere but a caller who asks for blocks. `HOSTS` maps a name to each.

A host calls the compiled function of `sidlearn.play.stream` for every block, without Python in between. The SDL2 is the
one inside pygame-ce. pygame's own audio callback is known to deadlock under load, and a Python callback of any library
waits for the GIL; neither is used.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import byref
from typing import Any, Protocol

import numpy as np

from sidlearn.errors import DeviceError
from sidlearn.play import speaker
from sidlearn.terminal import quiet_libraries

REAL_TIME_PRIORITY = 10
"""Of SCHED_FIFO, asked for where the system grants it."""


class Host(Protocol):
    """A sound device that is open."""

    block: int
    """Samples that it takes at a time."""
    slack_seconds: float
    """How late a block may come before there is a gap."""
    latency_seconds: float
    """From the moment a block is asked for to its first sample at the speakers, as far as the system tells."""
    name: str
    real_time: bool
    """Whether the system has granted its thread real-time priority."""

    def close(self) -> None:
        """Stop at once and give the device back."""


class SdlHost:
    """The SDL2 that pygame-ce brings along."""

    def __init__(self, record: np.ndarray, block: int, device: str | None = None) -> None:
        from sidlearn.play import stream

        rate = int(record["sample_rate"][0])
        callback = stream.callback("sdl").address
        self._sdl = speaker.library()
        os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")  # else SIGTERM and SIGINT become events of no loop
        want = speaker.Spec(rate, speaker.AUDIO_F32, 1, 0, block, 0, 0, callback, record.ctypes.data)
        have = speaker.Spec()
        with real_time() as granted:  # SDL's threads start as soon as the subsystem does
            with quiet_libraries():
                if self._sdl.SDL_InitSubSystem(speaker.INIT_AUDIO):
                    raise DeviceError(f"no sound device: {self._error()}; write a file instead with -o out.wav")
                wanted = device.encode() if device else None
                self._device = self._sdl.SDL_OpenAudioDevice(wanted, 0, byref(want), byref(have), 0)
            if not self._device:
                reason = self._error()
                self._sdl.SDL_QuitSubSystem(speaker.INIT_AUDIO)
                raise DeviceError(f"no sound device: {reason}; write a file instead with -o out.wav")
        self.block = have.samples
        driver = (self._sdl.SDL_GetCurrentAudioDriver() or b"none").decode()
        self.slack_seconds = NO_SLACK if driver in NO_DEVICES else self.block / rate
        self.latency_seconds = 2 * self.block / rate
        self.name = f"SDL {driver}"
        self.real_time = bool(granted)
        self._sdl.SDL_PauseAudioDevice(self._device, 0)

    def close(self) -> None:
        """Stop at once and give the device back."""
        if self._device:
            self._sdl.SDL_CloseAudioDevice(self._device)
            self._sdl.SDL_QuitSubSystem(speaker.INIT_AUDIO)
            self._device = 0

    def _error(self) -> str:
        return self._sdl.SDL_GetError().decode() or "SDL names no reason"


class PortAudioHost:
    """PortAudio by the package sounddevice: less latency, and underruns as the system counts them."""

    def __init__(self, record: np.ndarray, block: int, device: str | None = None) -> None:
        from sidlearn.play import stream

        try:
            with quiet_libraries():
                import sounddevice
        except ImportError:
            raise DeviceError(
                "no PortAudio: expected the package sounddevice (pip install 'sidlearn[audio]')"
            ) from None
        except OSError:
            raise DeviceError("no PortAudio: expected its library (on Debian: apt install libportaudio2)") from None
        rate = int(record["sample_rate"][0])
        ffi = sounddevice._ffi
        try:
            with real_time() as granted, quiet_libraries():
                usual = float(sounddevice.query_devices(device, "output")["default_low_output_latency"])
                self._stream: Any = sounddevice._StreamBase(
                    "output",
                    samplerate=rate,
                    blocksize=block,
                    device=device,
                    channels=1,
                    dtype="float32",
                    latency=min(usual, 2 * block / rate),  # PortAudio takes what is possible above it
                    callback=ffi.cast("PaStreamCallback*", stream.callback("portaudio").address),
                    wrap_callback=None,
                    userdata=ffi.cast("void*", record.ctypes.data),
                )
                self._stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            raise DeviceError(f"no sound device: PortAudio: {error}; write a file instead with -o out.wav") from None
        self.block = block
        self.slack_seconds = NO_SLACK  # PortAudio tells underruns itself
        self.latency_seconds = float(self._stream.latency)
        self.name = "PortAudio"
        self.real_time = bool(granted)

    def close(self) -> None:
        """Stop at once and give the device back."""
        if self._stream is not None:
            self._stream.abort()
            self._stream.close()
            self._stream = None


class FileHost:
    """No device: whoever holds it asks for blocks, as fast as he likes. The same bytes come out every time."""

    def __init__(self, record: np.ndarray, block: int, device: str | None = None) -> None:
        from sidlearn.play import stream

        self._record = record
        self._fill = stream.callback("fill").ctypes
        self.block = block
        self.slack_seconds = NO_SLACK
        self.latency_seconds = 0.0
        self.name = "file"
        self.real_time = False

    def pull(self, samples: int) -> np.ndarray:
        """Return the next `samples`, float32, block by block."""
        out = np.empty(samples, np.float32)
        for first in range(0, samples, self.block):
            part = out[first : first + self.block]
            self._fill(self._record.ctypes.data, part.ctypes.data, len(part))
        return out

    def close(self) -> None:
        """Do nothing: there is no device."""


NO_DEVICES = ("dummy", "disk")
"""Drivers of SDL that nobody hears: they keep no time (dummy runs a tenth too fast), so they have no gaps."""

NO_SLACK = 1e9
"""Seconds of slack for hosts on which no gap can be told from the times of blocks."""

HOSTS: dict[str, Callable[[np.ndarray, int, str | None], Any]] = {
    "sdl": SdlHost,
    "portaudio": PortAudioHost,
    "file": FileHost,
}
"""Name -> what opens the device for a record and a block size."""

BLOCKS = {"sdl": 512, "portaudio": 256, "file": 256}
"""Samples of a block where the user names none. Source: measured, no gap in 20 s with a busy Python thread."""


@contextmanager
def real_time() -> Iterator[list[int]]:
    """Ask for real-time priority for the threads that start in this block, and do without where it is refused.

    What it gives lists, after the block, the threads that it was granted for.
    """
    folder = "/proc/self/task"
    granted: list[int] = []
    if not sys.platform.startswith("linux") or not os.path.isdir(folder):
        yield granted
        return
    before = set(os.listdir(folder))
    yield granted
    time.sleep(0.02)  # a thread is there at once, but the system may name it later
    for task in set(os.listdir(folder)) - before:
        try:
            os.sched_setscheduler(int(task), os.SCHED_FIFO, os.sched_param(REAL_TIME_PRIORITY))
        except (OSError, ValueError):
            return
        granted.append(int(task))
