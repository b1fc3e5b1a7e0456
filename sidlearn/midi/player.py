"""From MIDI messages to register writes: channels, knobs, and what the three voices do frame by frame.

`Player` writes to any `SidPort`. It knows no chip and no clock but the cycles it is told, so a performance can be heard
as it is played, rendered from a file, or tested to the last write.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from sidlearn import clock, registers
from sidlearn.errors import MidiError, one_of
from sidlearn.midi import controls
from sidlearn.midi.controls import CONTROLS
from sidlearn.midi.instruments import ABSOLUTE, DEFAULT, Bank, Instrument, shipped
from sidlearn.midi.tuning import note_to_freq
from sidlearn.midi.voices import FREE, HELD, MODES, PEDAL, PRIORITIES, RELEASED, Allocator, Key
from sidlearn.midi.wire import is_whole
from sidlearn.registers import GATE, RING, SYNC, TEST, VOICE_STRIDE, VOICES
from sidlearn.writes import FRAME_ORDER, SidPort

CHANNELS, DRUM_CHANNEL, LAST_CHANNEL = 16, 9, 15
MULTI_POLY_CHANNEL = 3

WRITE_CYCLES = 4
"""Between two writes: the shortest that a 6510 needs for one (STA absolute)."""

ATTACK_CYCLES = 12
"""After a gate opens the attack counts by its own rate up to 4 cycles later (SID netlist); the rest is room."""

RELEASE_MS = (6, 24, 48, 72, 114, 168, 204, 240, 300, 750, 1500, 2400, 3000, 9000, 15000, 24000)
"""From full level to silence. Source: MOS 6581 data sheet."""

WRAP_CYCLES = 0x8000
"""After a slower rate the envelope's rate counter may run all the way round before a faster one counts (delay bug)."""

FIRST_PROGRAM = 80
"""What channels play before any program change: General MIDI's square lead, from 0."""

CENTRE = 8192
FULL_VOLUME = 127
PRESSURE_SEMITONES = 0.5
"""Vibrato that full pressure adds (our choice)."""
UNISON_CENTS = 50
PULSE_SWING, CUTOFF_SWING = 2047, 1023
FILTER_DEPTH_ONE = 64
HELD_FRAME = 1_000
"""A frame at which an instrument's waveform has settled, for what the window shows."""

STATE_REQUEST = bytes((0xF0, 0x7D, 0x53, 0x4C, 0x01, 0xF7))
"""System exclusive "SL" under the number for own use: answered by `STATE_ANSWER`, 25 registers as two nibbles each."""
STATE_ANSWER = bytes((0xF0, 0x7D, 0x53, 0x4C, 0x02))
GM_ON = bytes((0xF0, 0x7E, 0x7F, 0x09, 0x01, 0xF7))
MASTER_VOLUME = bytes((0xF0, 0x7F, 0x7F, 0x04, 0x01))

SOUND_CONTROLS = (
    "pulse_width", "arp_speed", "filter_depth", "waveform", "release", "attack", "decay", "sustain", "vibrato_rate",
    "vibrato_depth", "vibrato_delay", "ring", "sync",
)  # fmt: skip
"""What a new program puts back to the instrument's own."""


@dataclass
class Channel:
    """What a MIDI channel remembers."""

    instrument: Instrument = DEFAULT
    values: dict[str, int] = field(default_factory=dict)
    """14-bit values of controls that have moved, by name."""
    bend: int = CENTRE
    bend_range: float = 2.0
    pressure: int = 0
    fine: float = 0.0
    coarse: int = 0
    wheel_range: float = 1.0
    pedal: bool = False
    selected: tuple[bool, int] | None = None
    """Whether an NRPN is selected, and its number; None: nothing."""
    entry: int = 0
    sostenuto: set[Key] = field(default_factory=set)
    last_note: float | None = None
    glide_from: int | None = None

    def raw(self, name: str) -> int | None:
        """Return the step of a control, its default, or None where the instrument decides."""
        control = CONTROLS[name]
        if name in self.values:
            return controls.step(self.values[name], control.steps)
        return control.default

    def share(self, name: str) -> int:
        """Return the step of a control that has a default."""
        return self.raw(name) or 0


@dataclass
class Voice:
    """What a voice of the chip plays."""

    number: int
    instrument: Instrument = DEFAULT
    channel: int = 0
    note: float = 60
    velocity: int = 100
    gate: bool = False
    frame: int = 0
    begun: int = 0
    next_tick: int | None = None
    ends: int | None = None
    glide_note: float | None = None
    glide_begun: int = 0
    detune: float = 0.0
    chord: list[int] = field(default_factory=list)
    pressure: int = 0
    killed: bool = True
    """Envelope made ready for any note: rates at zero."""


class Player:
    """Three voices under MIDI.

    Parameters
    ----------
    port : SidPort
        Where the writes go; only `poke` is called, and its cycles never fall.
    bank : Bank, optional
        Instruments for programs and drums; those that come with the package if left out.
    clock_hz : int
    frame_cycles : int, optional
        Of a frame; a picture of the standard with that clock if left out.
    instrument : Instrument, optional
        What every channel plays before any program change.
    drums : bool
        Whether channel 10 plays drums.
    answer : callable, optional
        Takes system exclusive messages that answer others.
    """

    def __init__(
        self,
        port: SidPort,
        bank: Bank | None = None,
        clock_hz: int = clock.PAL.clock_hz,
        frame_cycles: int | None = None,
        instrument: Instrument | None = None,
        drums: bool = True,
        answer: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._port = port
        self.bank = bank or Bank(shipped())
        self.clock_hz = clock_hz
        standard = clock.NTSC if abs(clock_hz - clock.NTSC.clock_hz) < 20_000 else clock.PAL
        self.frame_cycles = frame_cycles or standard.frame_cycles
        self._drums = drums
        self._answer = answer
        self._instrument = self.bank.program(FIRST_PROGRAM) if instrument is None else instrument
        self._written = 0
        self._waits = False
        self.wanted = [0] * registers.WRITABLE
        """The registers as the player last wanted them."""
        self.image = [0] * registers.WRITABLE
        """The registers as they were last written, raw writes included."""
        self.reset(0)

    # --- State that others may look at or turn ---

    @property
    def mode(self) -> str:
        """How keys share the voices: one of `voices.MODES`."""
        return MODES[self.chip.share("mode")]

    def set_mode(self, cycle: int, mode: str) -> None:
        """Change how keys share the voices; all notes end.

        Raises
        ------
        MidiError
            If there is no such mode.
        """
        if mode not in MODES:
            raise MidiError(f"mode {mode!r}: expected {one_of(MODES)}")
        self.turn(cycle, 0, "mode", self.value_for("mode", MODES.index(mode)))

    @staticmethod
    def value_for(name: str, step: int) -> int:
        """Return a 14-bit value that gives a step of a control."""
        steps = CONTROLS[name].steps
        return -(-(step * controls.TOP) // steps)

    def step_of(self, name: str, channel: int = 0) -> int:
        """Return the step that a control is at in effect: as turned, or as the instrument has it."""
        control = CONTROLS[name]
        target = self.chip if control.scope == controls.CHIP else self.channels[channel]
        turned = target.raw(name)
        if turned is not None:
            return turned
        instrument = self.channels[channel].instrument
        held = instrument.control_at(HELD_FRAME)
        of_instrument = {
            "pulse_width": instrument.pulse_width,
            "waveform": held >> 4,
            "ring": int(bool(held & RING)),
            "sync": int(bool(held & SYNC)),
            "attack": instrument.attack,
            "decay": instrument.decay,
            "sustain": instrument.sustain,
            "release": instrument.release,
            "vibrato_depth": round(127 * instrument.vibrato_depth),
            "vibrato_rate": controls.raw_of_rate(instrument.vibrato_rate, *controls.VIBRATO_HZ),
            "vibrato_delay": round(instrument.vibrato_delay / controls.VIBRATO_DELAY_SECONDS * 127),
            "arp_speed": controls.ARP_FRAMES.index(1.0),
            "filter_depth": FILTER_DEPTH_ONE,
            "volume": FULL_VOLUME,
            "cutoff": instrument.cutoff if instrument.filter else self._filter(self._now)[0],
            "resonance": instrument.resonance if instrument.filter else self._filter(self._now)[1],
            "routing": self._filter(self._now)[2],
            "filter_mode": instrument.filter if instrument.filter else self._filter(self._now)[3] & 7,
        }
        return min(max(of_instrument[name], 0), control.steps - 1)

    def instrument_as_turned(self, channel: int = 0) -> Instrument:
        """Return a channel's instrument with what has been turned since written into it."""
        state = self.channels[channel]
        instrument = state.instrument
        changes: dict[str, Any] = {
            name: value
            for name in ("attack", "decay", "sustain", "release", "pulse_width")
            if (value := state.raw(name)) is not None
        }
        if instrument.filter or self.chip.raw("filter_mode"):
            for control, name in (("cutoff", "cutoff"), ("resonance", "resonance"), ("filter_mode", "filter")):
                if (value := self.chip.raw(control)) is not None:
                    changes[name] = value
        if (value := state.raw("vibrato_depth")) is not None:
            changes["vibrato_depth"] = round(value / 127, 4)
        if (value := state.raw("vibrato_rate")) is not None:
            changes["vibrato_rate"] = round(controls.rate_hz(value, *controls.VIBRATO_HZ), 4)
        if (value := state.raw("vibrato_delay")) is not None:
            changes["vibrato_delay"] = round(value / 127 * controls.VIBRATO_DELAY_SECONDS, 4)
        waves = [state.raw(name) for name in ("waveform", "ring", "sync")]
        if any(w is not None for w in waves):
            # the program holds CONTROL with GATE upside down, as GATE is open unless a step closes it
            steps = tuple(
                (self._turned_control(state, value ^ GATE) ^ GATE, frames)
                for value, frames in instrument.waveform.steps
            )
            changes["waveform"] = replace(instrument.waveform, steps=steps)
        return replace(instrument, **changes)

    def set_instrument(self, cycle: int, instrument: Instrument, channel: int | None = None) -> None:
        """Let one channel, or all, play an instrument from the next note on."""
        for number in range(CHANNELS) if channel is None else (channel,):
            self.channels[number].instrument = instrument
            for name in SOUND_CONTROLS:
                self.channels[number].values.pop(name, None)
        if channel is None:
            self._instrument = instrument
        self._flush(cycle)

    def turn(self, cycle: int, channel: int, name: str, value: int) -> None:
        """Set a control of `controls.CONTROLS` to a 14-bit value, as a knob does."""
        control = CONTROLS[name]
        target = self.chip if control.scope == controls.CHIP else self.channels[channel]
        if name in ("mode", "priority") and controls.step(value, control.steps) != target.raw(name):
            self._silence(cycle)
        target.values[name] = value
        self._flush(cycle)

    # --- Messages ---

    @staticmethod
    def can_wait(data: bytes) -> bool:
        """Whether a message only moves something that the next one may move on: a controller, bend, pressure."""
        if data[0] & 0xF0 in (0xA0, 0xD0, 0xE0):
            return True
        return data[0] & 0xF0 == 0xB0 and len(data) > 1 and (data[1] in controls.BY_CC or data[1] in controls.BY_CC_LOW)

    def message(self, cycle: int, data: bytes, wait: bool = False) -> None:
        """Take one MIDI message that acts at `cycle`; what is no whole message changes nothing.

        With `wait` its writes are left to the next message, which comes about now: see `can_wait`.
        """
        if not is_whole(data):
            return
        self._waits = wait
        try:
            self._message(cycle, data)
        finally:
            self._waits = False

    def _message(self, cycle: int, data: bytes) -> None:
        self.advance(cycle)
        kind, channel = data[0] & 0xF0, data[0] & 0x0F
        if kind == 0x90 and data[2]:
            self._note_on(cycle, channel, data[1], data[2])
        elif kind in (0x80, 0x90):
            self._note_off(cycle, channel, data[1])
        elif kind == 0xA0:
            for voice in self.voices:
                if voice.gate and voice.channel == channel and voice.note == data[1]:
                    voice.pressure = data[2]
        elif kind == 0xB0:
            self._control(cycle, channel, data[1], data[2])
        elif kind == 0xC0:
            self.set_instrument(cycle, self.bank.program(data[1]), channel)
        elif kind == 0xD0:
            self.channels[channel].pressure = data[1]
        elif kind == 0xE0:
            self.channels[channel].bend = data[2] << 7 | data[1]
        elif data[0] == 0xFF:
            self.reset(cycle)
        elif data[0] == 0xF0:
            self._exclusive(cycle, data)
        self._flush(cycle)

    def prepare(self, cycle: int, channel: int, note: int, ending: Collection[Key] = ()) -> None:
        """Make a voice ready for a note that is known to begin within a few frames: hard restart.

        The voice that the note will get is shut and its rates set to zero, so that the envelope's rate counter is low
        when it begins and the delay bug cannot strike. `ending` are keys known to be let go before.
        """
        if self.mode != "poly" or self._fixed_voice(channel) is not None:
            return
        self.advance(cycle)
        key = (channel, note)
        number = self.allocator.choose(key, ending=ending)
        slot = self.allocator.slots[number]
        if slot.reserved is not None or (slot.state in (HELD, PEDAL) and slot.key not in ending):
            return  # nothing to spare: the note will steal a voice when it comes
        if slot.state != FREE:
            self._kill(self.voices[number])
        self.allocator.reserve(number, key)
        self._flush(cycle)

    def restart_frames(self, channel: int, note: int) -> int:
        """Return how many frames before it begins `prepare` wants to know of a note."""
        instrument = self._instrument_of(channel, note)
        return instrument.hard_restart if instrument else 0

    def reset(self, cycle: int) -> None:
        """Silence, and every channel as at the beginning."""
        self.chip = Channel()
        self.channels = [Channel(self._instrument) for _ in range(CHANNELS)]
        self.voices = [Voice(n, self._instrument) for n in range(VOICES)]
        self.allocator = Allocator()
        self._keys: list[tuple[Key, int]] = []
        self._pedal_keys: set[Key] = set()
        self._master = FULL_VOLUME
        self._filter_voice: Voice | None = None
        self._zone: tuple[int, int] | None = None
        self._now = cycle
        self._flush(cycle)

    # --- Time ---

    def advance(self, until_cycle: int) -> None:
        """Play the frames that begin before `until_cycle`."""
        while True:
            due = [v for v in self.voices if v.next_tick is not None and v.next_tick < until_cycle]
            if not due:
                break
            voice = min(due, key=lambda v: (v.next_tick or 0, v.number))
            self._tick(voice)
        self._now = max(self._now, until_cycle)

    @property
    def sounding(self) -> bool:
        """Whether any voice has something to do."""
        return any(v.next_tick is not None for v in self.voices)

    @property
    def held_keys(self) -> list[Key]:
        """The keys that are down or held by a pedal."""
        return [slot.key for slot in self.allocator.slots if slot.key and slot.state in (HELD, PEDAL)]

    def _tick(self, voice: Voice) -> None:
        cycle = voice.next_tick or 0
        if voice.ends is not None and cycle >= voice.ends:
            voice.next_tick = None
            self._kill(voice)
            self.allocator.set(voice.number, FREE)
        else:
            voice.frame += 1
            voice.next_tick = cycle + self.frame_cycles // self._speed(voice)
            if voice.ends is not None:
                voice.next_tick = min(voice.next_tick, voice.ends)
        self._now = cycle
        self._flush(cycle)

    def _speed(self, voice: Voice) -> int:
        return max(voice.instrument.speed, math.ceil(self._arp_rate(voice)) if len(voice.chord) > 1 else 1)

    # --- Notes ---

    def _instrument_of(self, channel: int, note: int) -> Instrument | None:
        if self._drums and channel == DRUM_CHANNEL:
            return self.bank.drum(note)
        return self.channels[channel].instrument

    def _fixed_voice(self, channel: int) -> int | None:
        """Return the one voice that a channel plays on, where it has one."""
        if self._zone is not None:
            master, members = self._zone
            index = channel - 1 if master == 0 else LAST_CHANNEL - 1 - channel
            if members <= VOICES and 0 <= index < members:
                return index
        if self.mode == "multi" and channel < MULTI_POLY_CHANNEL:
            return channel
        return None

    def _note_on(self, cycle: int, channel: int, note: int, velocity: int) -> None:
        instrument = self._instrument_of(channel, note)
        if instrument is None:
            return
        key = (channel, note)
        self._pedal_keys.discard(key)
        fixed = self._fixed_voice(channel)
        drum = self._drums and channel == DRUM_CHANNEL
        if fixed is not None or (self.mode in ("mono", "unison", "arp", "chord") and not drum):
            before = self._group(channel)
            self._keys = [k for k in self._keys if k[0] != key] + [(key, velocity)]
            self._play_group(cycle, channel, before, instrument)
            return
        number = self.allocator.choose(key)
        self._start(cycle, self.voices[number], instrument, channel, note, velocity)
        self.allocator.set(number, HELD, key)

    def _note_off(self, cycle: int, channel: int, note: int) -> None:
        key = (channel, note)
        state = self.channels[channel]
        in_group = any(k == key for k, _ in self._keys)
        held = self.allocator.find(key, HELD)
        if not in_group and not held:
            return
        if state.pedal or key in state.sostenuto:
            self._pedal_keys.add(key)
            if not in_group:
                for number in held:
                    self.allocator.set(number, PEDAL)
            return
        self._let_go(cycle, key)

    def _let_go(self, cycle: int, key: Key) -> None:
        """A key is up, and no pedal holds it any more."""
        self._pedal_keys.discard(key)
        if any(k == key for k, _ in self._keys):
            before = self._group(key[0])
            self._keys = [k for k in self._keys if k[0] != key]
            self._play_group(cycle, key[0], before, None)
            return
        for number in self.allocator.find(key, HELD, PEDAL):
            self._release(cycle, self.voices[number])

    def _group(self, channel: int) -> list[tuple[Key, int]]:
        """The keys that share one envelope with those of a channel, oldest first."""
        if self._fixed_voice(channel) is not None:
            return [k for k in self._keys if k[0][0] == channel]
        return [k for k in self._keys if self._fixed_voice(k[0][0]) is None]

    def _play_group(
        self, cycle: int, channel: int, before: list[tuple[Key, int]], instrument: Instrument | None
    ) -> None:
        """Sound what one envelope's keys ask for, after one has come (`instrument`) or gone (None)."""
        fixed = self._fixed_voice(channel)
        group = self._group(channel)
        mode = "mono" if fixed is not None else self.mode
        voices = self.voices[:1] if mode in ("mono", "arp") else self.voices
        if fixed is not None:
            voices = [self.voices[fixed]]
        if not group:
            for voice in voices:
                if voice.gate:
                    self._release(cycle, voice)
            return
        if mode == "chord":
            notes = [k for k, _ in group[-VOICES:]]
            wanted = [notes[n % len(notes)] for n in range(VOICES)]
        else:
            wanted = [self._leader(group)] * len(voices)
        velocity = dict(group)[wanted[0]]
        anew = not before or (instrument is not None and mode == "mono" and self._retriggers())
        changed = before and self._leader(group) != self._leader(before)
        if mode in ("mono", "unison") and self._retriggers() and changed:
            anew = True
        for place, (voice, key) in enumerate(zip(voices, wanted, strict=True)):
            detune = 0.0
            if mode == "unison":
                detune = (place - 1) * UNISON_CENTS / 100 * self.channels[key[0]].share("detune") / 127
            if anew or not voice.gate:
                chosen = self._instrument_of(*key) or DEFAULT
                self._start(cycle, voice, chosen, key[0], key[1], velocity)
                self.allocator.set(voice.number, HELD, key)
            elif voice.note != key[1] or voice.channel != key[0]:
                self._glide_to(cycle, voice, key[0], key[1])
                self.allocator.slots[voice.number].key = key
            voice.detune = detune
            voice.chord = [k[1] for k, _ in group] if mode == "arp" else []

    def _leader(self, group: list[tuple[Key, int]]) -> Key:
        priority = PRIORITIES[self.chip.share("priority")]
        if priority == "low":
            return min(group, key=lambda k: k[0][1])[0]
        if priority == "high":
            return max(group, key=lambda k: k[0][1])[0]
        return group[-1][0]

    def _retriggers(self) -> bool:
        return bool(self.chip.share("retrigger"))

    def _start(self, cycle: int, voice: Voice, instrument: Instrument, channel: int, note: int, velocity: int) -> None:
        """Begin a note: the gate opens after everything else is set."""
        state = self.channels[channel]
        if voice.gate:  # the gate must be seen to close
            voice.gate = False
            self._flush(cycle)
        last = state.glide_from if state.glide_from is not None else state.last_note
        gliding = last is not None and (state.share("glide") or state.glide_from is not None)
        voice.instrument, voice.channel, voice.velocity = instrument, channel, velocity
        voice.note, voice.gate, voice.frame, voice.begun = note, True, 0, cycle
        voice.glide_note, voice.glide_begun = (last if gliding else None), cycle
        voice.ends, voice.killed, voice.pressure = None, False, 0
        voice.detune, voice.chord = 0.0, []
        voice.next_tick = cycle + self.frame_cycles // instrument.speed
        state.last_note, state.glide_from = note, None
        if instrument.filter:
            self._filter_voice = voice
        elif self._filter_voice is voice:
            self._filter_voice = None

    def _glide_to(self, cycle: int, voice: Voice, channel: int, note: int) -> None:
        """Legato: a new pitch under the envelope that is on."""
        state = self.channels[channel]
        if state.share("glide") or state.glide_from is not None:
            voice.glide_note, voice.glide_begun = self._gliding_note(voice, cycle), cycle
            if state.glide_from is not None:
                voice.glide_note = state.glide_from
        else:
            voice.glide_note = None
        voice.channel, voice.note = channel, note
        state.last_note, state.glide_from = note, None

    def _release(self, cycle: int, voice: Voice) -> None:
        """Close the gate; the voice is free when its release is over."""
        voice.gate = False
        rate = self._envelope(voice)[3]
        lasts = clock.seconds_to_cycles(RELEASE_MS[rate] / 1000, self.clock_hz)
        voice.ends = cycle + lasts + WRAP_CYCLES
        voice.next_tick = min(voice.next_tick or voice.ends, voice.ends)
        self.allocator.set(voice.number, RELEASED)

    def _kill(self, voice: Voice) -> None:
        """Shut a voice and let its envelope stand ready: gate off, all rates zero."""
        voice.gate, voice.killed, voice.next_tick, voice.ends = False, True, None, None
        voice.chord = []
        if self._filter_voice is voice:
            self._filter_voice = None

    def _silence(self, cycle: int) -> None:
        """All sound off."""
        for voice in self.voices:
            self._kill(voice)
            self.allocator.slots[voice.number].reserved = None
            self.allocator.set(voice.number, FREE)
        self._keys.clear()
        self._pedal_keys.clear()
        for state in self.channels:
            state.sostenuto.clear()
        self._flush(cycle)

    def all_notes_off(self, cycle: int, channel: int | None = None) -> None:
        """Let all keys go, of one channel or of all; pedals do not hold them."""
        self.advance(cycle)
        keys = {k for k, _ in self._keys} | {s.key for s in self.allocator.slots if s.key}
        for key in self._by_voice(k for k in keys if channel is None or k[0] == channel):
            self._let_go(cycle, key)
        self._flush(cycle)

    def _by_voice(self, keys: Iterable[Key]) -> list[Key]:
        """Return keys in the order of their voices: what is let go at once becomes free in that order."""
        places = {slot.key: number for number, slot in reversed(list(enumerate(self.allocator.slots)))}
        return sorted(keys, key=lambda k: (places.get(k, VOICES), k))

    # --- Controllers ---

    def _control(self, cycle: int, channel: int, number: int, value: int) -> None:
        state = self.channels[channel]
        if number in controls.BY_CC:
            self.turn(cycle, channel, controls.BY_CC[number].name, controls.spread(value))
        elif number in controls.BY_CC_LOW:
            control = controls.BY_CC_LOW[number]
            target = self.chip if control.scope == controls.CHIP else state
            high = target.values.get(control.name, 0) & ~0x7F
            self.turn(cycle, channel, control.name, high | value)
        elif number == controls.SUSTAIN_PEDAL:
            state.pedal = value >= 64
            if not state.pedal:
                self._pedal_up(cycle, channel)
        elif number == controls.SOSTENUTO:
            if value >= 64:
                down = {k for k, _ in self._keys} | {s.key for s in self.allocator.slots if s.key and s.state == HELD}
                state.sostenuto = {k for k in down if k[0] == channel and k not in self._pedal_keys}
            else:
                state.sostenuto = set()
                self._pedal_up(cycle, channel)
        elif number == controls.GLIDE_FROM:
            state.glide_from = value
        elif number in (controls.DATA_HIGH, controls.DATA_LOW, controls.INCREMENT, controls.DECREMENT):
            self._data_entry(cycle, channel, number, value)
        elif number in (controls.NRPN_HIGH, controls.RPN_HIGH, controls.NRPN_LOW, controls.RPN_LOW):
            self._select(state, number, value)
        elif number == controls.ALL_SOUND_OFF:
            for voice in self.voices:
                if voice.channel == channel and voice.next_tick is not None:
                    self._kill(voice)
                    self.allocator.set(voice.number, FREE)
            self._keys = [k for k in self._keys if k[0][0] != channel]
            self._pedal_keys = {k for k in self._pedal_keys if k[0] != channel}
        elif number == controls.RESET:
            self._reset_controls(cycle, channel)
        elif number >= controls.ALL_NOTES_OFF:
            self.all_notes_off(cycle, channel)
            if number == controls.MONO_ON:
                self.set_mode(cycle, "mono")
            elif number == controls.POLY_ON:
                self.set_mode(cycle, "poly")

    def _pedal_up(self, cycle: int, channel: int) -> None:
        state = self.channels[channel]
        for key in self._by_voice(self._pedal_keys):
            if key[0] == channel and not state.pedal and key not in state.sostenuto:
                self._let_go(cycle, key)

    def _reset_controls(self, cycle: int, channel: int) -> None:
        """Source: RP-015, "Response to Reset All Controllers"."""
        state = self.channels[channel]
        for name in controls.RESET_BY_121:
            state.values.pop(name, None)
        state.bend, state.pressure, state.selected = CENTRE, 0, None
        state.pedal, state.sostenuto, state.glide_from = False, set(), None
        self._pedal_up(cycle, channel)

    @staticmethod
    def _select(state: Channel, number: int, value: int) -> None:
        nrpn = number in (controls.NRPN_HIGH, controls.NRPN_LOW)
        before = state.selected[1] if state.selected is not None and state.selected[0] == nrpn else 0x3FFF
        if number in (controls.NRPN_HIGH, controls.RPN_HIGH):
            state.selected = nrpn, value << 7 | before & 0x7F
        else:
            state.selected = nrpn, before & 0x3F80 | value
        if state.selected == (False, controls.RPN_NULL):
            state.selected = None
        state.entry = 0

    def _data_entry(self, cycle: int, channel: int, number: int, value: int) -> None:
        state = self.channels[channel]
        if state.selected is None:
            return
        nrpn, parameter = state.selected
        if number in (controls.INCREMENT, controls.DECREMENT):
            self._nudge(cycle, channel, 1 if number == controls.INCREMENT else -1)
            return
        if number == controls.DATA_HIGH:
            # 7 bits reach the top of an NRPN; an RPN of the standard starts its lower half at zero
            state.entry = controls.spread(value) if nrpn else value << 7
        else:
            state.entry = state.entry & ~0x7F | value
        self._enter(cycle, channel, nrpn, parameter, state.entry)

    def _enter(self, cycle: int, channel: int, nrpn: bool, parameter: int, value: int) -> None:
        state = self.channels[channel]
        high, low = parameter >> 7, parameter & 0x7F
        if nrpn and high == controls.NRPN_REGISTERS and low < registers.WRITABLE:
            self._write(cycle, low, value >> 6)
        elif nrpn and high == controls.NRPN_CONTROLS and low in controls.BY_NRPN:
            self.turn(cycle, channel, controls.BY_NRPN[low].name, value)
        elif nrpn:
            return
        elif parameter == controls.RPN_BEND:
            state.bend_range = (value >> 7) + (value & 0x7F) / 100
        elif parameter == controls.RPN_FINE:
            state.fine = (value - CENTRE) / CENTRE
        elif parameter == controls.RPN_COARSE:
            state.coarse = (value >> 7) - 64
        elif parameter == controls.RPN_WHEEL:
            state.wheel_range = (value >> 7) + (value & 0x7F) / 128
        elif parameter == controls.RPN_MPE and channel in (0, LAST_CHANNEL):
            self._set_zone(cycle, channel, value >> 7)

    def _nudge(self, cycle: int, channel: int, direction: int) -> None:
        """Data increment and decrement: a step of a control, a semitone of a range, the finest of the fine tuning."""
        state = self.channels[channel]
        assert state.selected is not None
        nrpn, parameter = state.selected
        high, low = parameter >> 7, parameter & 0x7F
        if nrpn and high == controls.NRPN_CONTROLS and low in controls.BY_NRPN:
            control = controls.BY_NRPN[low]
            target = self.chip if control.scope == controls.CHIP else state
            step = min(max((target.raw(control.name) or 0) + direction, 0), control.steps - 1)
            self.turn(cycle, channel, control.name, self.value_for(control.name, step))
        elif nrpn and high == controls.NRPN_REGISTERS and low < registers.WRITABLE:
            self._write(cycle, low, min(max(self.image[low] + direction, 0), 255))
        elif nrpn:
            return
        elif parameter == controls.RPN_BEND:
            state.bend_range = min(max(state.bend_range + direction, 0), 127)
        elif parameter == controls.RPN_FINE:
            state.fine = min(max(state.fine + direction / CENTRE, -1), (CENTRE - 1) / CENTRE)
        elif parameter == controls.RPN_COARSE:
            state.coarse = min(max(state.coarse + direction, -64), 63)
        elif parameter == controls.RPN_WHEEL:
            state.wheel_range = min(max(state.wheel_range + direction, 0), 127)

    def _set_zone(self, cycle: int, master: int, members: int) -> None:
        """MPE Configuration Message. Source: MIDI Polyphonic Expression 1.0, section 2.1."""
        self.all_notes_off(cycle)
        members = min(members, LAST_CHANNEL)
        self._zone = (master, members) if members else None
        for number, state in enumerate(self.channels):
            state.bend_range = 48.0 if members and self._is_member(number) else 2.0

    def _is_member(self, channel: int) -> bool:
        if self._zone is None:
            return False
        master, members = self._zone
        return 1 <= channel <= members if master == 0 else LAST_CHANNEL - members <= channel < LAST_CHANNEL

    def _exclusive(self, cycle: int, data: bytes) -> None:
        if data == GM_ON:
            self._silence(cycle)
            self.reset(cycle)
        elif data == STATE_REQUEST:
            nibbles = [part for value in self.image for part in (value >> 4, value & 15)]
            self._answer(STATE_ANSWER + bytes(nibbles) + b"\xf7")
        elif data[: len(MASTER_VOLUME)] == MASTER_VOLUME and len(data) == len(MASTER_VOLUME) + 3:
            self._master = data[-2]

    # --- From state to registers ---

    def _envelope(self, voice: Voice) -> tuple[int, int, int, int]:
        """Attack, decay, sustain and release of a voice, with what its channel has turned."""
        state, instrument = self.channels[voice.channel], voice.instrument
        given = (instrument.attack, instrument.decay, instrument.sustain, instrument.release)
        turned = (state.raw(name) for name in ("attack", "decay", "sustain", "release"))
        attack, decay, sustain, release = (g if t is None else t for g, t in zip(given, turned, strict=True))
        softness = state.share("velocity") / 127 * (1 - voice.velocity / 127)
        level = self._level(state)
        loudest = max((self._level(s) for s in self.channels if self._moved(s)), default=level)
        quieter = level / loudest if loudest and self._moved(state) else 1.0
        return attack, decay, round(sustain * (1 - softness) * quieter), release

    @staticmethod
    def _moved(state: Channel) -> bool:
        return "volume" in state.values or "expression" in state.values

    @staticmethod
    def _level(state: Channel) -> float:
        volume = state.raw("volume")
        return (FULL_VOLUME if volume is None else volume) * state.share("expression") / FULL_VOLUME

    def _volume(self) -> int:
        """The volume nibble: that of the loudest channel that has set any."""
        level = max((self._level(s) for s in self.channels if self._moved(s)), default=float(FULL_VOLUME))
        return int(level * self._master / FULL_VOLUME * 16) >> 7

    def _gliding_note(self, voice: Voice, cycle: int) -> float:
        if voice.glide_note is None:
            return voice.note
        seconds = controls.glide_seconds(self.channels[voice.channel].share("glide_time"))
        passed = (cycle - voice.glide_begun) / self.clock_hz
        if passed >= seconds:
            return voice.note
        return voice.glide_note + (voice.note - voice.glide_note) * passed / seconds

    def _vibrato(self, voice: Voice, cycle: int) -> float:
        """Semitones of vibrato."""
        state, instrument = self.channels[voice.channel], voice.instrument
        depth_raw, rate_raw, delay_raw = (state.raw(f"vibrato_{n}") for n in ("depth", "rate", "delay"))
        depth = instrument.vibrato_depth if depth_raw is None else depth_raw / 127
        rate = instrument.vibrato_rate if rate_raw is None else controls.rate_hz(rate_raw, *controls.VIBRATO_HZ)
        delay = instrument.vibrato_delay if delay_raw is None else delay_raw / 127 * controls.VIBRATO_DELAY_SECONDS
        seconds = (cycle - voice.begun) / self.clock_hz
        if seconds < delay:
            depth = 0.0
        depth += state.share("wheel") / 127 * state.wheel_range
        depth += max(state.pressure, voice.pressure) / 127 * PRESSURE_SEMITONES
        return depth * math.sin(2 * math.pi * rate * max(seconds - delay, 0)) if depth else 0.0

    def _arp_rate(self, voice: Voice) -> float:
        speed = self.channels[voice.channel].raw("arp_speed")
        return 1.0 if speed is None else controls.ARP_FRAMES[speed]

    def _freq(self, voice: Voice, cycle: int) -> int:
        instrument, state = voice.instrument, self.channels[voice.channel]
        frames = voice.frame
        steps = frames * self._arp_rate(voice) / self._speed(voice) if len(voice.chord) > 1 else 0
        interval = instrument.arpeggio.at(self._arp_frame(voice))
        if interval >= ABSOLUTE - 64:
            return note_to_freq(interval - ABSOLUTE, self.clock_hz)
        note = self._gliding_note(voice, cycle)
        if len(voice.chord) > 1:
            note = voice.chord[int(steps + 1e-9) % len(voice.chord)]
        if instrument.pitch is not None:
            note = instrument.pitch
        bend = self._bend(state)
        if self._zone is not None and self._is_member(voice.channel):
            bend += self._bend(self.channels[self._zone[0]])
        note += instrument.transpose + interval + bend + state.fine + state.coarse + voice.detune
        note += instrument.detune_at(voice.frame)
        return note_to_freq(round(note + self._vibrato(voice, cycle), 4), self.clock_hz)

    def _arp_frame(self, voice: Voice) -> int:
        """The frame of the instrument's own arpeggio, which `arp_speed` makes faster or slower."""
        if self.channels[voice.channel].raw("arp_speed") is None or len(voice.instrument.arpeggio.steps) < 2:
            return voice.frame
        return int(voice.frame * min(self._arp_rate(voice), 1.0) + 1e-9)

    @staticmethod
    def _bend(state: Channel) -> float:
        return (state.bend - CENTRE) / CENTRE * state.bend_range

    def _control_byte(self, voice: Voice) -> int:
        state = self.channels[voice.channel]
        value = self._turned_control(state, voice.instrument.control_at(voice.frame))
        return value if voice.gate else value & ~GATE

    @staticmethod
    def _turned_control(state: Channel, value: int) -> int:
        """CONTROL of an instrument with what its channel has turned."""
        waveform = state.raw("waveform")
        if waveform is not None and not value & TEST:
            value = value & 0x0F | waveform << 4
        for name, bit in (("ring", RING), ("sync", SYNC)):
            turned = state.raw(name)
            if turned is not None:
                value = value & ~bit | (bit if turned else 0)
        return value

    def _width(self, voice: Voice, cycle: int) -> int:
        state = self.channels[voice.channel]
        width = voice.instrument.width_at(voice.frame)
        turned = state.raw("pulse_width")
        if turned is not None:
            width += turned - voice.instrument.pulse_width
        width += round(PULSE_SWING * self._swing(state, "pulse", voice, cycle))
        return min(max(width, 0), 4095)

    def _swing(self, state: Channel, what: str, voice: Voice, cycle: int) -> float:
        """A slow triangle, -1..1, by the channel's depth."""
        depth = state.share(f"{what}_depth") / 127
        if not depth:
            return 0.0
        rate = controls.rate_hz(state.share(f"{what}_rate"), *controls.SWING_HZ)
        phase = (cycle - voice.begun) / self.clock_hz * rate % 1
        return depth * (4 * abs((phase + 0.75) % 1 - 0.5) - 1)

    def _filter(self, cycle: int) -> tuple[int, int, int, int]:
        """Cutoff, resonance, routing and mode of the one filter: the newest voice with a filter program leads it."""
        leader = self._filter_voice
        cutoff, resonance, mode, routing = (self.chip.raw(n) for n in ("cutoff", "resonance", "filter_mode", "routing"))
        frequency = self.wanted[registers.FC_HI] << 3 | self.wanted[registers.FC_LO]
        sharpness, passband = self.wanted[registers.RES_FILT] >> 4, self.wanted[registers.MODE_VOL] >> 4
        if leader is not None:
            state, instrument = self.channels[leader.channel], leader.instrument
            frequency, sharpness, passband = instrument.cutoff, instrument.resonance, instrument.filter
            depth = state.raw("filter_depth")
            offset = instrument.cutoff_offset(leader.frame)
            offset = round(offset * (1 if depth is None else depth / FILTER_DEPTH_ONE))
            offset += round(CUTOFF_SWING * self._swing(state, "cutoff", leader, cycle))
        else:
            offset = 0
        if cutoff is not None:
            frequency = cutoff
        if routing is None:
            routing = sum(1 << v.number for v in self.voices if v.instrument.filter and not v.killed)
        return (
            min(max(frequency + offset, 0), 2047),
            sharpness if resonance is None else resonance,
            routing,
            passband if mode is None else mode,
        )

    def _desired(self, cycle: int) -> list[int]:
        """All 25 registers as the state of things asks for."""
        image = list(self.wanted)
        for voice in self.voices:
            at = voice.number * VOICE_STRIDE
            if voice.killed:
                image[at + registers.CONTROL] &= ~GATE
                image[at + registers.ATTACK_DECAY] = image[at + registers.SUSTAIN_RELEASE] = 0
                continue
            freq, width = self._freq(voice, cycle), self._width(voice, cycle)
            attack, decay, sustain, release = self._envelope(voice)
            image[at : at + VOICE_STRIDE] = (
                freq & 0xFF,
                freq >> 8,
                width & 0xFF,
                width >> 8,
                self._control_byte(voice),
                attack << 4 | decay,
                sustain << 4 | release,
            )
        cutoff, resonance, routing, mode = self._filter(cycle)
        image[registers.FC_LO], image[registers.FC_HI] = cutoff & 7, cutoff >> 3
        image[registers.RES_FILT] = resonance << 4 | routing
        image[registers.MODE_VOL] = mode << 4 | self._volume()
        return image

    def _flush(self, cycle: int) -> None:
        """Write what is wanted otherwise than before, in an order in which no gate opens on old values.

        Where a gate opens on an envelope that stands ready, with both rates zero, they stay so until it has begun its
        attack: the chip counts by decay for a cycle first, and by release before that, and if the rate counter ran past
        the attack's period meanwhile the delay bug would strike. Source: SID netlist, as `chip.kernel` has it.
        """
        if self._waits:
            return
        image = self._desired(cycle)
        if image == self.wanted:
            return
        waiting: list[int] = []
        for register in FRAME_ORDER:
            if image[register] == self.wanted[register]:
                continue
            voice, offset = divmod(register, VOICE_STRIDE)
            if voice < VOICES and offset in (registers.ATTACK_DECAY, registers.SUSTAIN_RELEASE):
                control = voice * VOICE_STRIDE + registers.CONTROL
                opens = image[control] & ~self.wanted[control] & GATE
                if opens and not self.wanted[register]:
                    waiting.append(register)
                    continue
            self._want(cycle, register, image[register])
            if voice < VOICES and offset == registers.CONTROL and waiting:
                self._written += ATTACK_CYCLES
                for late in waiting:
                    self._want(cycle, late, image[late])
                waiting.clear()

    def _want(self, cycle: int, register: int, value: int) -> None:
        self.wanted[register] = value
        self._write(cycle, register, value)

    def _write(self, cycle: int, register: int, value: int) -> None:
        self._written = max(cycle, self._written)
        self._port.poke(self._written, register, value)
        self._written += WRITE_CYCLES
        self.image[register] = value
