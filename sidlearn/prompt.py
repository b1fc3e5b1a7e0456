"""`sidlearn basic`: READY. in the terminal, with sound that goes on while one types."""

from __future__ import annotations

import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from sidlearn.config import Config
    from sidlearn.sources import Request

SLICE = 50
"""A program runs in slices of a second divided by this."""

_SEQUENCE = re.compile(r"\x1b(\[[0-9;]*[A-Za-z]|D)|\b")


class Sound:
    """A chip that plays on by itself, in a thread, whatever else goes on. It is opened by the first write.

    Attributes
    ----------
    failure : str or None
        Why there is no sound.
    """

    def __init__(self, settings: Config, clock_hz: int) -> None:
        self.failure: str | None = None
        self._settings = settings
        self._clock_hz = clock_hz
        self._events: list[tuple[int, int, int]] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cycle = 0

    @property
    def playing(self) -> bool:
        """Whether there is a sound device in use."""
        return self._thread is not None and self.failure is None

    @property
    def cycle(self) -> int:
        """The cycle up to which sound has been made."""
        return self._cycle

    def write(self, events: np.ndarray, offset: int) -> None:
        """Take writes; `offset` is added to their cycles. What comes too late acts at once."""
        if not len(events):
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._play, daemon=True)
            self._thread.start()
        with self._lock:
            self._events += [(cycle + offset, register, value) for cycle, register, value in events.tolist()]

    def close(self) -> None:
        """Stop at once."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def _play(self) -> None:
        from sidlearn.chip.sid import SID
        from sidlearn.errors import SidlearnError
        from sidlearn.play.speaker import Speaker

        chip, audio = self._settings.chip, self._settings.audio
        try:
            with Speaker(audio.rate, audio.block) as speaker:
                sid = SID(chip.model, audio.rate, self._clock_hz, chip.mode, chip.profile)
                ahead = audio.ahead_ms * audio.rate // 1000
                speaker.start()
                while not self._stop.is_set():
                    while speaker.queued < ahead:
                        speaker.write(self._clock(sid, self._clock_hz // SLICE))
                    self._stop.wait(0.005)
        except SidlearnError as failure:
            self.failure = str(failure)

    def _clock(self, sid: Any, cycles: int) -> np.ndarray:
        until = self._cycle + cycles
        with self._lock:
            count = next((i for i, event in enumerate(self._events) if event[0] >= until), len(self._events))
            due, self._events = self._events[:count], self._events[count:]
            self._cycle = until
        for cycle, register, value in due:
            sid.poke(max(cycle, sid.cycle), register, value)
        return sid.clock(cycles)


class Prompt:
    """The machine, its terminal and its sound.

    Parameters
    ----------
    settings : Config
    request : Request
        Television standard and chip, and the folder for files.
    home : Path
        The folder of LOAD and SAVE where `request` names none.
    """

    def __init__(self, settings: Config, request: Request, home: Path) -> None:
        from sidlearn.basic.ansi import AnsiTerminal
        from sidlearn.basic.direct import DirectMachine
        from sidlearn.basic.petscii import Terminal
        from sidlearn.sources import ReadbackPort
        from sidlearn.terminal import RawKeys, shows_colours

        self._person = RawKeys.available()
        self._colours = shows_colours(sys.stdout)
        self._terminal = AnsiTerminal() if self._colours else Terminal()
        self._raw = RawKeys()
        self._port = ReadbackPort(request)
        self._taken = self._shown = 0
        self._partial = ""
        self.clock_hz = request.clock_hz
        self.sound = Sound(settings, request.clock_hz)
        self.machine = DirectMachine(
            self._port,
            request.video,
            self._port,
            typed=self._keys if self._person else None,
            lines=self,  # type: ignore[arg-type]
            files=request.files,
            home=home,
            listed=self._list,
        )
        self._offset = 0
        self._told = False

    # the terminal

    def _keys(self) -> bytes:
        from sidlearn.basic.keyboard import typed_keys

        return typed_keys(self._raw.read())

    def show(self, text: str) -> None:
        """Print text."""
        self._partial = (self._partial + text).rpartition("\n")[2]
        sys.stdout.write(text)
        sys.stdout.flush()

    def show_output(self) -> None:
        """Print what the machine has printed since the last call."""
        output = self.machine.screen.output
        if len(output) > self._shown:
            self.show(self._terminal.text(bytes(output[self._shown :])))
            self._shown = len(output)

    def _list(self, number: int, line: bytes) -> None:
        from sidlearn.basic.ansi import list_line

        self.show_output()
        self.show("\n" + list_line(number, line, self._colours))

    def readline(self) -> str:
        """Read a line for INPUT; an empty text at the end of all input. Ctrl-C is the STOP key."""
        self.show_output()
        self._raw.close()
        try:
            with _interrupts(signal.default_int_handler):
                return self._input() + "\n"
        except EOFError:
            return ""
        except KeyboardInterrupt:
            self.machine.press_stop()
            return "\n"
        finally:
            if self._person:
                self._raw.open()
            self._offset = self._next_offset()

    def _input(self) -> str:
        """Read a line with whatever editing Python's readline gives."""
        before = _SEQUENCE.sub("", self._partial)
        self._partial = ""
        if not self._person:
            return input()
        sys.stdout.write("\r")
        return input(before)

    # running

    def loop(self) -> None:
        """Take lines until the end of input."""
        while True:
            try:
                line = self._input()
            except EOFError:
                if self._person:
                    self.show("\n")
                return
            except KeyboardInterrupt:
                self.show("\n")
                continue
            self.take(line)

    def take(self, line: str) -> None:
        """Take one typed line."""
        from sidlearn.errors import SidlearnError

        try:
            if not self.machine.type_line(line):
                return
            self._run()
        except SidlearnError as error:
            self._raw.close()
            self.show_output()
            print(f"sidlearn: {error}", file=sys.stderr, flush=True)
        self.machine.ready()
        self.show_output()
        if self.sound.failure and not self._told:
            from sidlearn.terminal import note

            self._told = True
            note(f"no sound: {self.sound.failure.partition(';')[0]}")

    def _run(self) -> None:
        machine, slice_cycles = self.machine, self.clock_hz // SLICE
        self._offset = self._next_offset()
        started, started_cycle = time.monotonic(), machine.now
        with self._raw if self._person else _nothing(), _interrupts(lambda *_: machine.press_stop()):
            running = not machine.ended
            while running:
                running = machine.run(machine.now + slice_cycles) and not machine.waiting
                self.sound.write(self._new_events(), self._offset)
                self.show_output()
                if self.sound.playing:
                    while machine.now + self._offset > self.sound.cycle + 4 * slice_cycles and self.sound.playing:
                        time.sleep(0.004)
                elif self._person:
                    ahead = (machine.now - started_cycle) / self.clock_hz - (time.monotonic() - started)
                    if ahead > 1 / SLICE:
                        time.sleep(min(ahead, 1 / SLICE))

    def _next_offset(self) -> int:
        """Return what to add to the machine's cycles so that they come a little later than the sound made so far."""
        return max(self._offset, self.sound.cycle + 2 * self.clock_hz // SLICE - self.machine.now)

    def _new_events(self) -> np.ndarray:
        import numpy as np

        from sidlearn.writes import WRITE_DTYPE

        port = self._port
        part = slice(self._taken, len(port.cycles))
        self._taken = part.stop
        events = np.empty(part.stop - part.start, WRITE_DTYPE)
        events["cycle"], events["register"], events["value"] = (
            port.cycles[part],
            port.registers[part],
            port.values[part],
        )
        return events


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _interrupts(handler: Any) -> Iterator[None]:
    """Let Ctrl-C call `handler` inside the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def open_prompt(settings: Config, request: Request, program: str | None = None) -> None:
    """Run the READY. prompt until the end of input.

    Parameters
    ----------
    settings : Config
    request : Request
    program : str, optional
        A listing or program file to begin with.
    """
    from sidlearn import __version__
    from sidlearn.basic.listing import read_program

    prompt = Prompt(settings, request, request.files or Path.cwd())
    machine = prompt.machine
    if prompt._person:
        with suppress(ImportError):
            import readline  # noqa: F401  gives input() its history and editing
        prompt.show(f"sidlearn {__version__}: BASIC V2, {machine.free_bytes} bytes free; Ctrl-C stops, Ctrl-D ends\n")
    if program is not None:
        machine.bring(read_program(program))
    try:
        machine.ready()
        prompt.show_output()
        prompt.loop()
    finally:
        prompt._raw.close()
        prompt.sound.close()
        if prompt._colours:
            from sidlearn.basic.ansi import RESET

            prompt.show(RESET)
