"""The speakers, by the SDL2 that pygame-ce brings along.

SDL's own audio thread plays from a queue that is filled from here, so no Python runs in the audio path. pygame's own
audio callback is known to deadlock under load and `Channel.queue` to leave gaps, so SDL is called directly.
"""

from __future__ import annotations

import ctypes
import os
import sys
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_uint8, c_uint16, c_uint32, c_void_p
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from sidlearn.errors import DeviceError
from sidlearn.terminal import quiet_libraries

# Source: SDL 2 headers, SDL.h and SDL_audio.h.
INIT_AUDIO, INIT_VIDEO = 0x10, 0x20
AUDIO_F32 = 0x8120 if sys.byteorder == "little" else 0x9120
_NO_CHANGES = 0  # SDL converts to whatever the device wants


class Spec(Structure):
    """SDL_AudioSpec."""

    _fields_ = (
        ("freq", c_int),
        ("format", c_uint16),
        ("channels", c_uint8),
        ("silence", c_uint8),
        ("samples", c_uint16),
        ("padding", c_uint16),
        ("size", c_uint32),
        ("callback", c_void_p),
        ("userdata", c_void_p),
    )


class Speaker:
    """An open sound device that takes float32 in any amount.

    Parameters
    ----------
    sample_rate : int
        In Hz; SDL converts if the device wants another.
    block : int
        Samples the device takes at a time.
    channels : int
        1 takes sound of shape (samples,), 2 of shape (samples, 2); SDL converts if the device wants another number.

    Raises
    ------
    DeviceError
        If there is no sound device, or no SDL2.
    """

    def __init__(self, sample_rate: int, block: int = 512, channels: int = 1) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self._sdl = library()
        # Without this SDL turns SIGTERM and SIGINT into events of a loop that does not run here.
        os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
        with quiet_libraries():
            failed = self._sdl.SDL_InitSubSystem(INIT_AUDIO)
        if failed:
            raise DeviceError(f"no sound device: {self._error()}; write a file instead with -o out.wav")
        want = Spec(sample_rate, AUDIO_F32, channels, 0, block, 0, 0, None, None)
        have = Spec()
        with quiet_libraries():
            self._device = self._sdl.SDL_OpenAudioDevice(None, 0, byref(want), byref(have), _NO_CHANGES)
        if not self._device:
            reason = self._error()
            self._sdl.SDL_QuitSubSystem(INIT_AUDIO)
            raise DeviceError(f"no sound device: {reason}; write a file instead with -o out.wav")

    def __enter__(self) -> Speaker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def driver(self) -> str:
        """SDL's name of the sound system in use."""
        return (self._sdl.SDL_GetCurrentAudioDriver() or b"none").decode()

    def write(self, audio: np.ndarray) -> None:
        """Put sound at the end of the queue; it is copied."""
        audio = np.ascontiguousarray(audio, np.float32)
        if self._sdl.SDL_QueueAudio(self._device, audio.ctypes.data, audio.nbytes):
            raise DeviceError(f"sound device: {self._error()}")

    def start(self) -> None:
        """Let the device play what is queued."""
        self._sdl.SDL_PauseAudioDevice(self._device, 0)

    @property
    def queued(self) -> int:
        """Samples that wait to be played."""
        return self._sdl.SDL_GetQueuedAudioSize(self._device) // (4 * self.channels)

    def close(self) -> None:
        """Stop at once and give the device back."""
        if self._device:
            self._sdl.SDL_CloseAudioDevice(self._device)
            self._sdl.SDL_QuitSubSystem(INIT_AUDIO)
            self._device = 0

    def _error(self) -> str:
        return self._sdl.SDL_GetError().decode() or "SDL names no reason"


def devices() -> tuple[str, list[str]]:
    """Return SDL's sound driver and the names of its output devices.

    Raises
    ------
    DeviceError
        If there is none.
    """
    sdl = library()
    with quiet_libraries():
        failed = sdl.SDL_InitSubSystem(INIT_AUDIO)
    if failed:
        raise DeviceError(f"no sound device: {sdl.SDL_GetError().decode()}")
    try:
        names = [sdl.SDL_GetAudioDeviceName(i, 0) for i in range(max(sdl.SDL_GetNumAudioDevices(0), 0))]
        return sdl.SDL_GetCurrentAudioDriver().decode(), [n.decode(errors="replace") for n in names if n]
    finally:
        sdl.SDL_QuitSubSystem(INIT_AUDIO)


PYGAME_REMEDY = "pip uninstall -y pygame pygame-ce && pip install pygame-ce"


def pygame_module() -> Any:
    """Return pygame, whole.

    Raises
    ------
    DeviceError
        If it is not there, or half of it is, as when pygame and pygame-ce were both installed and one has gone.
    """
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")  # else SIGTERM becomes an event and the program lives on
    try:
        import pygame

        _ = pygame.version.ver, pygame.display, pygame.RESIZABLE
    except (ImportError, AttributeError) as error:
        raise DeviceError(f"pygame-ce cannot be used ({error}): expected it whole; {PYGAME_REMEDY}") from None
    return pygame


def check_device() -> None:
    """Open the sound device and close it again.

    Raises
    ------
    DeviceError
        If there is none.
    """
    Speaker(44_100).close()


def video_driver() -> str:
    """Return SDL's name of the window system that a window would open on.

    Raises
    ------
    DeviceError
        If none can be reached.
    """
    sdl = library()
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
    with quiet_libraries():
        failed = sdl.SDL_InitSubSystem(INIT_VIDEO)
    if failed:
        raise DeviceError(f"no display: {sdl.SDL_GetError().decode()}")
    try:
        name = (sdl.SDL_GetCurrentVideoDriver() or b"none").decode()
    finally:
        sdl.SDL_QuitSubSystem(INIT_VIDEO)
    if name in ("none", "dummy", "offscreen"):
        raise DeviceError(f"no display: SDL finds none but {name!r}")
    return name


def library_path() -> Path | None:
    """Return the SDL2 inside pygame-ce (or pygame), or None. pygame itself is not imported: that takes a while."""
    spec = find_spec("pygame")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(next(iter(spec.submodule_search_locations)))
    patterns = (
        (package.parent / "pygame_ce.libs", "libSDL2-2*.so*"),
        (package.parent / "pygame.libs", "libSDL2-2*.so*"),
        (package / ".dylibs", "libSDL2-2*.dylib"),
        (package, "SDL2.dll"),
    )
    return next((path for folder, pattern in patterns for path in sorted(folder.glob(pattern))), None)


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    import ctypes.util

    name = library_path() or ctypes.util.find_library("SDL2-2.0") or ctypes.util.find_library("SDL2")
    if name is None:
        raise DeviceError("no SDL2 found: expected the one inside pygame-ce (pip install pygame-ce)")
    try:
        sdl = ctypes.CDLL(str(name))
    except OSError as error:
        raise DeviceError(f"SDL2 cannot be loaded: {error}") from None
    sdl.SDL_GetError.restype = c_char_p
    sdl.SDL_GetCurrentAudioDriver.restype = c_char_p
    sdl.SDL_GetAudioDeviceName.restype = c_char_p
    sdl.SDL_GetCurrentVideoDriver.restype = c_char_p
    sdl.SDL_GetAudioDeviceName.argtypes = [c_int, c_int]
    sdl.SDL_OpenAudioDevice.argtypes = [c_char_p, c_int, POINTER(Spec), POINTER(Spec), c_int]
    sdl.SDL_OpenAudioDevice.restype = c_uint32
    sdl.SDL_QueueAudio.argtypes = [c_uint32, c_void_p, c_uint32]
    sdl.SDL_GetQueuedAudioSize.argtypes = [c_uint32]
    sdl.SDL_GetQueuedAudioSize.restype = c_uint32
    sdl.SDL_PauseAudioDevice.argtypes = [c_uint32, c_int]
    sdl.SDL_CloseAudioDevice.argtypes = [c_uint32]
    return sdl
