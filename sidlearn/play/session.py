"""`sidlearn play`: keyboard, chips, window and real hardware together, until one has had enough."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sidlearn import clock
from sidlearn.config import Config
from sidlearn.errors import DeviceError, OutputError
from sidlearn.midi import asid, controls, instruments, ports
from sidlearn.midi.keyboard import Piano
from sidlearn.midi.player import Player
from sidlearn.midi.tuning import note_name
from sidlearn.midi.voices import MODES, PRIORITIES
from sidlearn.play.desk import LEAST_TURN, Knob
from sidlearn.play.hardware import Hardware
from sidlearn.play.live import Engine
from sidlearn.play.performer import Performer
from sidlearn.play.speaker import check_device
from sidlearn.terminal import Progress, RawKeys, note, patience

if TYPE_CHECKING:
    from sidlearn.play.window import Window

COMPILING = "compiling the chip for this computer: once only, up to a minute"
LOOK_SECONDS = 0.02
TERMINATED = 128 + signal.SIGTERM

KNOBS = {
    "waveform": "WAVE", "pulse_width": "PULSE", "pulse_rate": "PW RATE", "pulse_depth": "PW DEEP",
    "attack": "ATTACK", "decay": "DECAY", "sustain": "SUSTAIN", "release": "RELEASE", "velocity": "VELO",
    "ring": "RING", "sync": "SYNC",
    "cutoff": "CUTOFF", "resonance": "RESO", "filter_mode": "FILTER", "routing": "ROUTE", "filter_depth": "FC PROG",
    "cutoff_rate": "FC RATE", "cutoff_depth": "FC DEEP",
    "vibrato_depth": "VIBRATO", "vibrato_rate": "VIB HZ", "vibrato_delay": "VIB LAG", "wheel": "WHEEL",
    "mode": "KEYS", "priority": "WINS", "retrigger": "RETRIG", "arp_speed": "ARP HZ", "detune": "DETUNE",
    "glide": "GLIDE", "glide_time": "GLIDE S", "volume": "VOLUME", "expression": "EXPRESS",
}  # fmt: skip
"""Control of `controls.CONTROLS` -> what stands over its knob in the window, at most seven characters."""

_BITS = {"waveform": "TSPN", "filter_mode": "LBH", "routing": "123"}


def knob_text(name: str, step: int, frame_hz: float) -> str:
    """Return a control's step as people read it."""
    if name in _BITS:
        return "".join(letter for bit, letter in enumerate(_BITS[name]) if step >> bit & 1) or "-"
    if name == "mode":
        return MODES[step]
    if name == "priority":
        return PRIORITIES[step]
    if name in ("ring", "sync", "glide", "retrigger"):
        return "on" if step else "off"
    if name == "arp_speed":
        return f"{controls.ARP_FRAMES[step] * frame_hz:.0f}"
    if name == "vibrato_rate":
        return f"{controls.rate_hz(step, *controls.VIBRATO_HZ):.1f}"
    if name in ("pulse_rate", "cutoff_rate"):
        return f"{controls.rate_hz(step, *controls.SWING_HZ):.2f}"
    if name == "glide_time":
        return f"{controls.glide_seconds(step):.2f}"
    return str(step)


@dataclass(frozen=True)
class Wishes:
    """What the command line asks of a session."""

    midi: str | None = None
    instrument: str | None = None
    window: bool | None = None
    asid: str | None = None
    asid_in: str | None = None
    sids: int = 1
    seconds: float | None = None
    host: str | None = None
    block: int | None = None


class LiveDesk:
    """Live play as the window sees it: see `sidlearn.play.desk.Desk`."""

    title = "live"

    def __init__(self, performer: Performer, model: str, names: list[str], chosen: str) -> None:
        self._performer = performer
        self.engine = performer.engine
        self.record = performer.engine.records
        self.model = model
        self.instruments: Sequence[str] = names
        self.instrument = names.index(chosen) if chosen in names else -1
        self.knobs: Sequence[Knob] = [self._knob(name) for name in KNOBS]

    @property
    def latency_ms(self) -> float:
        """From a key to the speakers."""
        return self.engine.latency_ms

    def _knob(self, name: str) -> Knob:
        control = controls.CONTROLS[name]
        player = self._performer.player

        def step() -> int:
            return player.step_of(name)

        def get() -> float:
            return step() / (control.steps - 1)

        def turn(share: float) -> None:
            wanted = round(share * (control.steps - 1))
            with self._performer.lock:
                player.turn(self.engine.cycle_at(), 0, name, player.value_for(name, wanted))
                self._performer.hand_on()

        def text() -> str:
            return knob_text(name, step(), player.clock_hz / player.frame_cycles)

        return Knob(KNOBS[name], get, turn, text, max(1 / (control.steps - 1), LEAST_TURN))

    def poke(self, register: int, value: int) -> None:
        """Write a register of the first SID as soon as it can be."""
        self._performer.write(register, value)

    def key(self, note: int, velocity: int) -> None:
        """Press a key of the piano, or let it go (velocity 0)."""
        self._performer.receive(bytes((0x90, note, velocity)))

    def sounding(self) -> dict[int, int]:
        """Return the notes that sound with their voices."""
        voices = list(self._performer.player.voices)
        return {round(v.note): v.number for v in voices if v.gate}

    def choose(self, instrument: int) -> None:
        """Take another instrument."""
        self.instrument = instrument % len(self.instruments)
        player = self._performer.player
        with self._performer.lock:
            player.set_instrument(self.engine.cycle_at(), player.bank.named(self.instruments[self.instrument]))
            self._performer.hand_on()

    def save(self) -> str:
        """Save the instrument with what has been turned to the user's own folder."""
        with self._performer.lock:
            changed = self._performer.player.instrument_as_turned()
        folder = instruments.own_folder()
        path = folder / f"{changed.name.lower().replace(' ', '-')}.toml"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot make it: {error.strerror}") from None
        instruments.save(changed, path)
        return f"saved {path}"

    def pause(self) -> None:
        """Stop the time of what plays, or let it go on."""
        if self.record["running"][0]:
            self.engine.hold()
        else:
            self.engine.run()


def play_live(settings: Config, wishes: Wishes) -> dict[str, Any]:
    """Play until Ctrl-C, SIGTERM, the window's end or the wished length; return the engine's counters.

    Raises
    ------
    DeviceError
        If there is no sound device, or no MIDI system or display where one was asked for.
    InstrumentError
        If there is no such instrument.
    """
    os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")
    clock_hz = clock.video(settings.machine.video).clock_hz
    patches = [p.strip() for p in settings.midi.patches.split(",") if p.strip()]
    bank = instruments.bank(patches)
    chosen = bank.named(wishes.instrument or settings.play.instrument)
    window = _wants_window(wishes)
    with ExitStack() as stack:
        system = _midi_system(wishes)
        hardware = _asid_out(stack, system, wishes.asid, clock_hz)
        host = wishes.host or settings.play.host
        if host == "sdl":
            check_device()  # before the chip is compiled, which may take a minute
        with patience(COMPILING):
            engine = stack.enter_context(
                Engine(
                    settings.chip.model, settings.audio.rate, clock_hz, settings.chip.mode, wishes.sids, scopes=window
                )
            )
            tap = hardware.send if hardware else None
            performer = Performer(engine, lambda port: Player(port, bank, clock_hz, instrument=chosen), tap)
            performer.player.set_mode(0, settings.play.mode)
            # The window first: the libraries that it loads would hold up the audio thread.
            shown = _window(performer, settings, list(bank.instruments), chosen.name) if window else None
            engine.open(host, wishes.block or settings.play.block or None)
        stack.enter_context(_terminated())  # not before: nothing may be raised inside the compiler
        performer.start()
        stack.callback(performer.close)
        stack.callback(performer.lost)
        if system is not None:
            _listen(stack, system, performer, wishes, settings)
        note(f"{chosen.name} on a {settings.chip.model}, {engine.host.name}, {engine.latency_ms:.0f} ms; Ctrl-C ends")
        end = None if wishes.seconds is None else time.monotonic() + wishes.seconds
        if shown is not None:
            _in_window(shown, performer.engine, end)
        else:
            _in_terminal(performer, end)
        return {**engine.facts(), "messages": performer.messages}


def _wants_window(wishes: Wishes) -> bool:
    if wishes.window is not None:
        return wishes.window
    if sys.platform.startswith("linux"):
        return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
    return True


def _midi_system(wishes: Wishes) -> ports.System | None:
    """Return the MIDI system; without one go on, unless the user has asked for a port."""
    try:
        return ports.find_system()
    except DeviceError as error:
        if wishes.midi or wishes.asid or wishes.asid_in:
            raise
        note(f"{error}; the computer's keyboard plays")
        return None


def _listen(stack: ExitStack, system: ports.System, performer: Performer, wishes: Wishes, settings: Config) -> None:
    receive: ports.Receive = performer.receive
    if wishes.asid_in is not None:
        engine, plain = performer.engine, performer.receive

        def receive(message: bytes, seconds: float) -> None:
            events = asid.events(engine.cycle_at(seconds), message)
            if len(events):
                performer.pass_on(events)
            elif not message.startswith(asid.HEAD):
                plain(message, seconds)

    wanted = wishes.asid_in or wishes.midi or settings.midi.port
    watcher = ports.Watcher(system, wanted, receive, told=note, lost=performer.lost)
    stack.callback(watcher.close)
    if wanted and not watcher.open:
        note(f"no MIDI port {wanted!r} yet; it plays when it is plugged in")


def _asid_out(stack: ExitStack, system: ports.System | None, name: str | None, clock_hz: int) -> Hardware | None:
    """Return the real chips that play along, or None."""
    if name is None or system is None:
        return None
    hardware = Hardware(system, name, clock_hz, note)
    stack.callback(hardware.close)
    return hardware


def _window(performer: Performer, settings: Config, names: list[str], chosen: str) -> Window:
    from sidlearn.play.window import Window

    return Window(LiveDesk(performer, settings.chip.model, names, chosen))


def _in_window(window: Window, engine: Engine, end: float | None) -> None:
    looked = [0.0]

    def going() -> bool:
        if time.monotonic() - looked[0] > LOOK_SECONDS * 5:
            looked[0] = time.monotonic()
            _watch(engine)
        return end is None or time.monotonic() < end

    window.run(going)


def _in_terminal(performer: Performer, end: float | None) -> None:
    piano = Piano(performer.receive)
    with RawKeys() as keys, Progress() as progress:
        while end is None or time.monotonic() < end:
            now = time.monotonic()
            typed = keys.read()
            if typed:
                piano.typed(typed, now)
            piano.tick(now)
            progress.show(_line(performer))
            _watch(performer.engine)
            time.sleep(LOOK_SECONDS)
        piano.release_all()


def _watch(engine: Engine) -> None:
    told = engine.watch()
    if told:
        note(told)


def _line(performer: Performer) -> str:
    """Return what sounds, for a terminal."""
    parts = []
    for voice in performer.player.voices:
        parts.append(f"{voice.number + 1} {note_name(round(voice.note)) if voice.gate else '---'}")
    r = performer.engine.record
    gaps = f"  {int(r.underruns)} gaps" if r.underruns else ""
    return f"{'   '.join(parts)}   load {100 * float(r.load):.0f} %{gaps}"


@contextmanager
def _terminated() -> Iterator[None]:
    """Let SIGTERM end what is under way as cleanly as Ctrl-C does; the exit status is 143."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def names_of_instruments() -> list[str]:
    """Return the instruments that can be asked for."""
    return list(instruments.bank().instruments)
