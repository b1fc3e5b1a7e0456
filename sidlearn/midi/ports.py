"""MIDI ports by name, and keyboards that come and go.

`systems` gives what this computer has: python-rtmidi, rtmidi2, or the portmidi inside pygame. Messages arrive as bytes
with the time of `time.perf_counter` at which they came.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from sidlearn.errors import DeviceError, nearest
from sidlearn.terminal import quiet_libraries

Receive = Callable[[bytes, float], None]

CLIENT = "sidlearn"
VIRTUAL = "virtual"
"""The name of a port that is no keyboard's: one of our own, for other programs to connect to."""

POLL_SECONDS = 0.5
"""Between two looks at the names of the ports: no system tells of a keyboard that is pulled out."""

PYGAME_POLL_SECONDS = 0.002


SILENT = (0xF8, 0xFE)
"""Clock and active sensing: many, and nothing here is done by them."""

DRIFT = 1e-4
"""Seconds a second by which two clocks of a computer may part, generously."""

LONGEST_WAIT = 0.1
"""Seconds that a message may have waited for Python; a longer time is a fault of the clock's."""


class Arrivals:
    """When messages came, from what the MIDI system itself counted between them.

    Python hears of a message when it gets its turn, the system has the time of the wire. The quickest turn of late
    tells how the two clocks stand to each other.
    """

    def __init__(self) -> None:
        self._counted = 0.0
        self._ahead = float("inf")

    def time_of(self, since_last: float, now: float) -> float:
        """Return the time of a message that came `since_last` seconds after the one before, heard of at `now`."""
        self._counted += since_last
        ahead = now - self._counted
        self._ahead = min(self._ahead + DRIFT * since_last, ahead)
        if ahead - self._ahead > LONGEST_WAIT:
            self._ahead = ahead
        return self._counted + self._ahead


class Closable(Protocol):
    """A port that is open."""

    def close(self) -> None:
        """Give it back."""


class OutPort(Closable, Protocol):
    """A port to send to."""

    def send(self, message: bytes) -> None:
        """Send one whole message."""


class System(Protocol):
    """One way to MIDI."""

    name: str

    def inputs(self) -> list[str]:
        """Names of the ports that can be listened to."""

    def outputs(self) -> list[str]:
        """Names of the ports that can be sent to."""

    def listen(self, name: str, receive: Receive) -> Closable:
        """Open an input; `VIRTUAL` makes one of our own where the system can."""

    def talk(self, name: str) -> OutPort:
        """Open an output."""


class Rtmidi:
    """python-rtmidi: ALSA, JACK, CoreMIDI, Windows."""

    def __init__(self, api: int, label: str) -> None:
        import rtmidi

        self._rtmidi = rtmidi
        self._api = api
        self.name = f"RtMidi {label}"
        try:
            self._in, self._out = rtmidi.MidiIn(api, name=f"{CLIENT}-look"), rtmidi.MidiOut(api, name=f"{CLIENT}-look")
        except Exception as error:  # SystemError of the wheel, RtMidiError and others of builds
            raise DeviceError(f"{self.name}: {str(error).splitlines()[0] if str(error) else error!r}") from None

    def inputs(self) -> list[str]:
        return [n for n in self._in.get_ports() if not n.startswith(f"{CLIENT}-look")]

    def outputs(self) -> list[str]:
        return [n for n in self._out.get_ports() if not n.startswith(f"{CLIENT}-look")]

    def listen(self, name: str, receive: Receive) -> Closable:
        port = self._rtmidi.MidiIn(self._api, name=CLIENT, queue_size_limit=1 << 16)
        port.ignore_types(sysex=False, timing=False, active_sense=False)  # ignored ones would be missing from the times
        if name == VIRTUAL:
            port.open_virtual_port("in")
        else:
            port.open_port(_place(name, port.get_ports()), "in")

        arrivals = Arrivals()

        def callback(event: Any, _: Any) -> None:
            message, seconds = event
            came = arrivals.time_of(seconds, time.perf_counter())
            if message[0] not in SILENT:
                receive(bytes(message), came)

        port.set_callback(callback)
        return _RtmidiPort(port)

    def talk(self, name: str) -> OutPort:
        port = self._rtmidi.MidiOut(self._api, name=CLIENT)
        if name == VIRTUAL:
            port.open_virtual_port("out")
        else:
            port.open_port(_place(name, port.get_ports()), "out")
        return _RtmidiPort(port)


class _RtmidiPort:
    def __init__(self, port: Any) -> None:
        self._port = port

    def send(self, message: bytes) -> None:
        self._port.send_message(message)

    def close(self) -> None:
        with suppress(Exception):
            self._port.cancel_callback()
        with suppress(Exception):
            self._port.close_port()
        with suppress(Exception):
            self._port.delete()


class Rtmidi2:
    """rtmidi2, for Pythons that python-rtmidi has no wheels for."""

    name = "rtmidi2"

    def __init__(self) -> None:
        import rtmidi2

        self._rtmidi = rtmidi2
        try:
            rtmidi2.get_in_ports()
        except Exception as error:
            raise DeviceError(f"rtmidi2: {error}") from None

    def inputs(self) -> list[str]:
        return list(self._rtmidi.get_in_ports())

    def outputs(self) -> list[str]:
        return list(self._rtmidi.get_out_ports())

    def listen(self, name: str, receive: Receive) -> Closable:
        port = self._rtmidi.MidiIn(CLIENT)
        if name == VIRTUAL:
            port.open_virtual_port("in")
        else:
            port.open_port(_place(name, self.inputs()))
        port.callback = lambda message, _: receive(bytes(message), time.perf_counter())
        return port  # type: ignore[no-any-return]

    def talk(self, name: str) -> OutPort:
        port = self._rtmidi.MidiOut(CLIENT)
        port.open_port(_place(name, self.outputs()))
        return _Rtmidi2Out(port)


class _Rtmidi2Out:
    def __init__(self, port: Any) -> None:
        self._port = port

    def send(self, message: bytes) -> None:
        self._port.send_raw(*message)

    def close(self) -> None:
        self._port.close_port()


class Pygame:
    """The portmidi inside pygame-ce: it has to be asked, so a thread does that."""

    name = "portmidi (pygame)"

    def __init__(self) -> None:
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        import pygame.midi

        self._midi = pygame.midi
        try:
            self._midi.init()
        except Exception as error:
            raise DeviceError(f"{self.name}: {error}") from None

    def _names(self, column: int) -> list[tuple[int, str]]:
        devices: list[tuple[int, Any]] = [(i, self._midi.get_device_info(i)) for i in range(self._midi.get_count())]
        return [(i, d[1].decode(errors="replace")) for i, d in devices if d and d[column] and not d[4]]

    def inputs(self) -> list[str]:
        with quiet_libraries():
            self._midi.quit()  # portmidi lists its devices once
            self._midi.init()
        return [name for _, name in self._names(2)]

    def outputs(self) -> list[str]:
        return [name for _, name in self._names(3)]

    def listen(self, name: str, receive: Receive) -> Closable:
        names = self._names(2)
        number = names[_place(name, [n for _, n in names])][0]
        return _PygameIn(self._midi.Input(number), receive)

    def talk(self, name: str) -> OutPort:
        names = self._names(3)
        number = names[_place(name, [n for _, n in names])][0]
        return _PygameOut(self._midi.Output(number))


class _PygameIn:
    def __init__(self, port: Any, receive: Receive) -> None:
        from sidlearn.midi.wire import Parser

        self._port, self._receive, self._parser = port, receive, Parser()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(PYGAME_POLL_SECONDS):
            while self._port.poll():
                for data, _ in self._port.read(64):
                    # portmidi pads with zeros; the parser sees where a message ends
                    for message in self._parser.feed(data):
                        self._receive(message, time.perf_counter())

    def close(self) -> None:
        self._stop.set()
        self._thread.join(timeout=1)
        with suppress(Exception):
            self._port.close()


class _PygameOut:
    def __init__(self, port: Any) -> None:
        self._port = port

    def send(self, message: bytes) -> None:
        if message[0] == 0xF0:
            self._port.write_sys_ex(0, message)
        else:
            self._port.write_short(*message)

    def close(self) -> None:
        self._port.close()


def systems() -> Iterator[Callable[[], System]]:
    """Give what makes each MIDI system that may be here, the best first."""
    try:
        import rtmidi
    except ImportError:
        pass
    else:
        for api in rtmidi.get_compiled_api():
            label = rtmidi.get_api_display_name(api)
            yield lambda api=api, label=label: Rtmidi(api, label)  # type: ignore[misc]
    try:
        import rtmidi2  # noqa: F401
    except ImportError:
        pass
    else:
        yield Rtmidi2
    yield Pygame


def find_system() -> System:
    """Return the first MIDI system that works.

    Raises
    ------
    DeviceError
        If none does, with what each had to say.
    """
    reasons = []
    for make in systems():
        try:
            with quiet_libraries():
                return make()
        except (DeviceError, ImportError) as error:
            reasons.append(str(error))
    remedy = "pip install 'sidlearn[midi]'"
    raise DeviceError(f"no MIDI system here ({'; '.join(reasons) or remedy})")


def match(wanted: str, names: list[str]) -> str | None:
    """Return the port that a user means: the exact name, or the first that holds it, whatever the case."""
    if wanted in names:
        return wanted
    return next((n for n in names if wanted.lower() in n.lower()), None)


def bare(name: str) -> str:
    """Return a port's name without the numbers that ALSA puts behind it, which change when it is plugged in again."""
    return re.sub(r"\s+\d+:\d+$", "", name)


def check(wanted: str, names: list[str], what: str) -> str:
    """Return the port that is meant.

    Raises
    ------
    DeviceError
        If there is none.
    """
    found = match(wanted, names)
    if found is None:
        have = f"there is {', '.join(names)}" if names else "there is none"
        raise DeviceError(f"MIDI {what} {wanted!r}: no such port{nearest(wanted, names)}; {have}")
    return found


def _place(name: str, names: list[str]) -> int:
    for i, known in enumerate(names):
        if known == name or bare(known) == bare(name):
            return i
    raise DeviceError(f"MIDI port {name!r} has gone")


class Watcher:
    """Keeps input ports open: opens them when they appear, closes them when they go, and tells of both.

    Parameters
    ----------
    system : System
    wanted : str
        A port or part of its name; "" for all there are, `VIRTUAL` for one of our own.
    receive : callable
        Takes a message and the time it came.
    told : callable
        Takes a sentence about a port that has come or gone.
    lost : callable
        Called when a port has gone: nothing that it holds will ever be let go by it.
    """

    def __init__(
        self,
        system: System,
        wanted: str,
        receive: Receive,
        told: Callable[[str], None] = lambda _: None,
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._system, self._wanted, self._receive = system, wanted, receive
        self._told, self._lost = told, lost
        self.open: dict[str, Closable] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        if wanted == VIRTUAL:
            self.open[VIRTUAL] = system.listen(VIRTUAL, receive)
        else:
            self.look()
            self._thread = threading.Thread(target=self._work, daemon=True)
            self._thread.start()

    def look(self) -> None:
        """Compare the ports with those that are open."""
        try:
            names = self._system.inputs()
        except Exception:  # the system itself has gone
            names = []
        names = [n for n in names if not n.startswith(CLIENT)]
        if self._wanted:
            found = match(self._wanted, names)
            names = [found] if found else []
        for gone in [n for n in self.open if n not in names]:
            self.open.pop(gone).close()
            self._lost()
            self._told(f"{bare(gone)} has gone")
        for new in [n for n in names if n not in self.open]:
            try:
                self.open[new] = self._system.listen(new, self._receive)
            except Exception as error:
                self._told(f"{bare(new)} cannot be opened: {error}")
            else:
                self._told(f"{bare(new)} is playing")

    def _work(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self.look()

    def close(self) -> None:
        """Close all ports."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)
        for port in self.open.values():
            port.close()
        self.open.clear()
