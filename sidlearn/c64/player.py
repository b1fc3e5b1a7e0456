"""Plays a `.sid` file: puts it into a machine together with a small program that calls it, and gives out its writes.

Tunes with a play routine run on the fast core until they start an NMI of their own; all others run on the exact one.
Cycle 0 is the first cycle of the program that starts the tune; the tune's init begins about 170 cycles later.

Source of the environment: readme.txt of vsid/environment in VICE's test collection; SID_file_format.txt (HVSC); timing
of the first calls: measured on sidplayfp 2.4.0.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import Protocol

import numpy as np

from sidlearn import clock, registers
from sidlearn.c64 import kernal, machine
from sidlearn.c64.cia import START, TIMER_A
from sidlearn.c64.tune import NO_FREE_PAGE, Tune
from sidlearn.cpu.assemble import assemble
from sidlearn.cpu.kernel import STACK, begin_at
from sidlearn.cpu.opcodes import INTERRUPT, UNUSED
from sidlearn.cpu.state import FULL, IO_BASE, JAMMED, READS_IO, TRAP_ALWAYS, TRAPPED
from sidlearn.errors import SourceError
from sidlearn.writes import WRITE_DTYPE, LogPort, SidPort

PLAIN_PORT, NO_BASIC, NO_KERNAL, ALL_RAM = 0x37, 0x36, 0x35, 0x34
RASTER_BEFORE_LINE_0 = 61
"""Cycles from the start to the first picture: measured on sidplayfp 2.4.0."""
BASIC_START = 0x0801
# Load address, link, number; SYS with its number, which brackets and blanks may stand around; whatever follows in the
# line; no second line.
_SYS_LINE = re.compile(rb"\x01\x08....\x9e *\(? *(\d{4,5})[^\x00]*\x00\x00\x00", re.DOTALL)
REGISTERS = 780
"""Where BASIC's SYS takes A, X and Y from."""
INIT_SECONDS = 60
"""How long the init of a tune that is to be called may take: a guess, far above any that is known."""
PLAY_SECONDS = 5
"""How long the play routine may neither come back nor write: a guess, shorter than what counts as silence."""
WARM_START, PUSHED_BYTES = 0xFE66, 3
"""Where BRK leads, and what the KERNAL has pushed by then beside flags and address: A, X and Y."""
CIA_STARTED = START | 0x10
FIRST_PAGES = (*range(0x04, 0xA0), *range(0xC0, 0xD0))
"""Pages that the calling program may use when the header leaves the choice."""

# RAM as the KERNAL leaves it, as far as tunes look: address, bytes. Source: "Mapping the Commodore 64".
_RAM = (
    (0x002B, "01 08"), (0x0037, "00 A0"), (0x00BA, "08"), (0x00D1, "00 04"), (0x0281, "00 08 00 A0"),
    (0x0286, "0E"), (0x0288, "04"), (0x0289, "0A"), (0x028B, "04"),
    (0x0314, "31 EA 66 FE 47 FE 4A F3 91 F2 0E F2 50 F2 33 F3 57 F1 CA F1 ED F6 3E F1 2F F3 66 FE A5 F4 ED F5"),
)  # fmt: skip


RAM_CLEARED = 0x0800
"""The KERNAL writes everything below; what lies above is as the RAM chips come up."""


def power_on_ram() -> np.ndarray:
    """Return memory after a reset: four bytes $00 and $FF in turn, the other way round in every second 16 KB.

    Source: measured on sidplayfp 2.4.0; chips of other makers come up otherwise.
    """
    address = np.arange(0x10000)
    ram = np.where((address + 2 >> 2 ^ address >> 14) & 1, 0xFF, 0).astype(np.uint8)
    ram[:RAM_CLEARED] = 0
    return ram


def put_kernal_variables(ram: np.ndarray, video: clock.Video) -> None:
    """Put what the KERNAL leaves behind into memory."""
    for address, text in _RAM:
        content = bytes.fromhex(text)
        ram[address : address + len(content)] = np.frombuffer(content, np.uint8)
    ram[0:2] = 0x2F, PLAIN_PORT
    ram[0x02A6] = 1 if video is clock.PAL else 0


def put_ports(parts: machine.Machine) -> None:
    """Set the ports of both CIAs as the KERNAL does: keyboard, serial bus, video bank."""
    first, second = parts.cias[0], parts.cias[1]
    first.ports[:], first.directions[:] = (0x7F, 0xFF), (0xFF, 0x00)
    second.ports[:], second.directions[:] = (0x07, 0xFF), (0x3F, 0x00)


def bank(tune: Tune, address: int) -> int:
    """Return the value of $01 under which `address` is called."""
    if tune.magic == "RSID" or not address:
        return PLAIN_PORT
    if 0xD000 <= address < 0xE000:
        return ALL_RAM
    if address >= 0xE000:
        return NO_KERNAL
    if address >= 0xA000 or 0xA000 <= tune.end_address < 0xD000:
        return NO_BASIC
    return PLAIN_PORT


def driver_page(tune: Tune) -> int:
    """Return the page for the program that calls the tune.

    Raises
    ------
    SourceError
        If the tune leaves no page free.
    """
    if tune.free_page not in (0, NO_FREE_PAGE) and tune.free_pages:
        return tune.free_page
    first, last = tune.load_address >> 8, tune.end_address >> 8
    for page in FIRST_PAGES:
        if not first <= page <= last and tune.free_page != NO_FREE_PAGE:
            return page
    for page in (0x03, 0x02):
        if not first <= page <= last:
            return page
    raise SourceError(f"{tune.title or 'tune'}: it leaves no page of memory free to call it from")


class Player(Protocol):
    """A tune at play, whatever it is made of."""

    @property
    def error(self) -> str | None:
        """The message of a program that ended in an error."""

    @property
    def cycle(self) -> int:
        """How far it has come."""

    @property
    def ended(self) -> bool:
        """Whether it goes no further."""

    @property
    def begun(self) -> bool:
        """Whether what the tune is set up by has come back, if it has to."""

    def advance(self, until_cycle: int) -> np.ndarray:
        """Play on to `until_cycle`; return the new writes before it."""

    def printed(self) -> bytes:
        """Return what it has printed since the last call, in PETSCII."""


def open_tune(tune: Tune, song: int, video: clock.Video, port: LogPort, name: str) -> Player:
    """Return the player that a tune needs.

    Raises
    ------
    SourceError
        If the tune has no player of its own, or leaves no room to call it from.
    """
    if tune.player_only:
        raise SourceError(f"{name}: holds a Compute! Sidplayer song alone, expected a tune with its player")
    try:
        if tune.basic:
            return BasicTunePlayer(tune, song, video, port)
        return TunePlayer(tune, song, video, port)
    except SourceError as error:
        raise SourceError(f"{name}: {error}") from None


def machine_code(program: bytes) -> Tune | None:
    """Return a program that is machine code behind one line with SYS as a tune that brings its own interrupts, or None.

    Parameters
    ----------
    program : bytes
        With its load address.
    """
    load = program[0] | program[1] << 8
    line = _SYS_LINE.match(program)
    if load != BASIC_START or line is None:
        return None
    address = int(line[1])
    if not BASIC_START <= address < BASIC_START + len(program) - 2:
        return None
    return Tune(
        "RSID", 2, load, address, 0, 1, 1, 0, "", "", "", sid_addresses=(0xD400,), data=program[2:][: 0x10000 - load]
    )  # fmt: skip


class BasicTunePlayer:
    """A tune that is a BASIC program: song - 1 stands in 780 to 782 when it is run."""

    def __init__(self, tune: Tune, song: int, video: clock.Video, port: LogPort) -> None:
        from sidlearn.basic.interpreter import Interpreter

        program = tune.load_address.to_bytes(2, "little") + tune.data
        self._port = port
        self._interpreter = Interpreter(program, port, video.name, sid=port)
        self._interpreter.ram[REGISTERS : REGISTERS + 3] = bytes((song - 1,)) * 3
        self._taken = self._shown = 0

    @property
    def cycle(self) -> int:
        """Where its clock stands."""
        return self._interpreter.now

    @property
    def ended(self) -> bool:
        """Whether the program has come to its end."""
        return self._interpreter.ended

    @property
    def error(self) -> str | None:
        """BASIC's own message."""
        return self._interpreter.error

    def advance(self, until_cycle: int) -> np.ndarray:
        """Run to `until_cycle`; a statement is never cut, so writes past it wait for the next call."""
        self._interpreter.run(until_cycle)
        port = self._port
        end = bisect_left(port.cycles, until_cycle, self._taken)
        part = slice(self._taken, end)
        self._taken = end
        events = np.empty(end - part.start, WRITE_DTYPE)
        for name, values in (("cycle", port.cycles), ("register", port.registers), ("value", port.values)):
            events[name] = values[part]
        return events

    @property
    def begun(self) -> bool:
        """Always: there is no init."""
        return True

    def printed(self) -> bytes:
        """Return what it has sent to the screen since the last call."""
        part = bytes(self._interpreter.screen.output[self._shown :])
        self._shown += len(part)
        return part


class TunePlayer:
    """A tune in its machine.

    Parameters
    ----------
    tune : Tune
        Machine code; BASIC programs go through `sidlearn.basic`.
    song : int
        From 1.
    video : clock.Video
    port : SidPort, optional
        Gets the writes and answers reads of OSC3 and ENV3 of the first SID; asked only when the tune does.
    exact : bool, optional
        Every bus cycle, or whole instructions; by default as the tune needs it.

    Attributes
    ----------
    error : str or None
        Why the tune has stopped by itself: it jams the CPU, needs a ROM, or its init does not come back.
    """

    def __init__(
        self,
        tune: Tune,
        song: int = 1,
        video: clock.Video = clock.PAL,
        port: SidPort | None = None,
        exact: bool | None = None,
    ) -> None:
        if not 1 <= song <= tune.songs:
            raise SourceError(f"song {song}: expected 1 to {tune.songs}")
        if tune.basic:
            raise SourceError("expected a tune in machine code, given a BASIC program")
        self.tune, self.video = tune, video
        self.clock_hz = video.clock_hz
        self.error: str | None = None
        self._port: SidPort = port if port is not None else LogPort()
        self._parts: list[np.ndarray] = []
        self._unheard: list[np.ndarray] = []
        self._fetched = 0
        self._seen, self._moved = (0, 0), 0  # calls that have come back and writes made, and since when
        self._machine = machine.power_on(video, tune.sid_addresses)
        self._fill_memory(song)
        self._exact = not tune.play_address if exact is None else exact
        if self._exact:
            begin_at(self._machine.cpu[0], self._start)

    @property
    def cycle(self) -> int:
        """How far it has come."""
        return int(self._machine.cpu[0].cycle)

    @property
    def ended(self) -> bool:
        """Whether it has stopped by itself."""
        return self.error is not None

    @property
    def begun(self) -> bool:
        """Whether init has come back, or need not."""
        return not self.tune.play_address or bool(self._machine.ram[self._played])

    def printed(self) -> bytes:
        """Return nothing: what machine code puts on the screen is not looked at."""
        return b""

    @property
    def exact(self) -> bool:
        """Whether it runs by bus cycles."""
        return self._exact

    def _fill_memory(self, song: int) -> None:
        tune, parts, video = self.tune, self._machine, self.video
        memory, ram, cpu = parts.maps[0], parts.ram, parts.cpu[0]
        memory.rom[:], memory.traps[:] = kernal.images()
        ram[:] = power_on_ram()
        put_kernal_variables(ram, video)
        ram[tune.load_address : tune.load_address + len(tune.data)] = np.frombuffer(tune.data, np.uint8)
        labels = self._place_driver(song)
        self._start, self._played, self._calls = labels["start"], labels["played"], labels.get("calls", 0)
        cpu.pc, cpu.p, cpu.sp = self._start, UNUSED | INTERRUPT, 0xFF
        parts.state.idle, parts.state.stop_at_nmi = labels["idle"], 1
        memory.traps[labels["idle"]] = TRAP_ALWAYS
        beam, timers = parts.vic[0], parts.cias[0]
        beam.line, beam.column = video.lines - 1, video.line_cycles - RASTER_BEFORE_LINE_0
        beam.flags = 1  # line 311 has gone by many times
        timers.latch[0] = timers.counter[0] = video.jiffy_cycles - 1
        put_ports(parts)
        if not tune.play_address or tune.by_timer(song):
            timers.mask = TIMER_A
        else:
            beam.mask, beam.compare = 1, 0
            beam.control = beam.registers[0x11] = 0x1B
            beam.registers[0x12] = 0
        if tune.play_address:
            vectors = [(0x0314, labels["irq"])]
            if tune.end_address < 0xFFFE or tune.load_address > 0xFFFF:
                vectors.append((0xFFFE, labels["hard"]))
            for address, target in vectors:
                if not tune.load_address <= address <= tune.end_address:
                    ram[address], ram[address + 1] = target & 0xFF, target >> 8

    def _place_driver(self, song: int) -> dict[str, int]:
        """Assemble the program that calls the tune into a free page; return its labels."""
        tune = self.tune
        called = bool(tune.play_address)
        timer = tune.by_timer(song) or not called
        values = {
            "init": tune.init_address,
            "play": tune.play_address,
            "initbank": bank(tune, tune.init_address),
            "playbank": bank(tune, tune.play_address),
            "song": song - 1,
            "timer": int(timer),
            "control": CIA_STARTED if timer else 0,
            "status": UNUSED | (0 if tune.magic == "RSID" else INTERRUPT),
        }
        source = "\n".join(f"{name} = {value}" for name, value in values.items())
        source += "\n" + kernal.code("play" if called else "start")
        address, code, labels = assemble(source, driver_page(tune) << 8)
        self._machine.ram[address : address + len(code)] = np.frombuffer(code, np.uint8)
        return labels

    def advance(self, until_cycle: int) -> np.ndarray:
        """Play on to `until_cycle`; return the new writes (`WRITE_DTYPE`), those before `until_cycle`."""
        parts = self._machine
        cpu = parts.cpu[0]
        while self.error is None and cpu.cycle < until_cycle:
            run = machine.run_exact if self._exact else machine.run_fast
            status = run(parts, self._slice(until_cycle))
            if status == FULL:
                self._fetch()
            elif status == READS_IO:
                self._answer()
            elif status == machine.NMI_ON:
                machine.change_to_cycles(parts)
                self._exact = True
            elif status in (JAMMED, TRAPPED):
                self._stop(status)
            self._look_at_init()
            self._look_at_play()
        self._fetch()
        return self._give(until_cycle)

    def _slice(self, until_cycle: int) -> int:
        """Run at most to where init has to be over, and for a second."""
        until_cycle = min(until_cycle, self.cycle + self.clock_hz)
        limit = INIT_SECONDS * self.clock_hz
        return min(until_cycle, limit) if self.cycle < limit else until_cycle

    def _look_at_init(self) -> None:
        parts = self._machine
        over = INIT_SECONDS * self.clock_hz <= self.cycle < (INIT_SECONDS + 1) * self.clock_hz
        if self.error is None and over and not self.begun:
            self.error = (
                f"init at ${self.tune.init_address:04X} has not come back after {INIT_SECONDS} s:"
                f" the CPU is at ${int(parts.cpu[0].pc):04X}"
            )

    def _look_at_play(self) -> None:
        """Stop a play routine that does nothing any more."""
        parts = self._machine
        state = (int(parts.ram[self._calls]), self._fetched + int(parts.cpu[0].filled))
        if not self._calls or not parts.ram[self._played] or state != self._seen:
            self._seen, self._moved = state, self.cycle
        elif self.error is None and self.cycle - self._moved > PLAY_SECONDS * self.clock_hz:
            self.error = (
                f"play at ${self.tune.play_address:04X} has not come back for {PLAY_SECONDS} s:"
                f" the CPU is at ${int(parts.cpu[0].pc):04X}"
            )

    def _brk(self) -> int:
        """Return where the BRK stands that has led to the KERNAL."""
        cpu, ram = self._machine.cpu[0], self._machine.ram
        low, high = (STACK + (int(cpu.sp) + PUSHED_BYTES + n & 0xFF) for n in (2, 3))
        return (int(ram[low]) | int(ram[high]) << 8) - 2 & 0xFFFF

    def _stop(self, status: int) -> None:
        cpu = self._machine.cpu[0]
        pc = int(cpu.pc)
        at = int(cpu.address) if self._exact else pc
        if status == TRAPPED and at == WARM_START:
            self.error = f"the BRK at ${self._brk():04X} ends the program, as where code has gone astray"
        elif status == TRAPPED:
            self.error = f"needs {kernal.routine(at)}, which nothing stands in for"
        else:
            self.error = f"the opcode at ${pc - self._exact & 0xFFFF:04X} stops the CPU for good"

    def _answer(self) -> None:
        """The tune reads OSC3 or ENV3."""
        self._fetch()
        parts = self._machine
        cpu = parts.cpu[0]
        for part in self._unheard:
            for cycle, register, value in part.tolist():
                if register < registers.MIRROR:
                    self._port.poke(cycle, register, value)
        self._unheard.clear()
        address = int(cpu.address)
        cycle = int(cpu.cycle) + 1 if self._exact else int(cpu.access_cycle)
        first = parts.state[0].slots[machine.slot_of(address)] == 0
        parts.maps[0].io[address - IO_BASE] = self._port.peek(cycle, address & 0x1F) if first else 0
        cpu.answered = 1

    def _fetch(self) -> None:
        """Take the writes out of the machine."""
        parts = self._machine
        cpu = parts.cpu[0]
        count = int(cpu.filled)
        cpu.filled = 0
        if not count:
            return
        self._fetched += count
        raw = parts.events[:count]
        parts.state.sid_bus = raw["value"][-1]
        address = raw["address"].astype(np.int64)
        slot = np.where(address < machine.SID_END, (address - machine.SID_AT) >> 5, machine.slot_of(0xDE00))
        free = address >= machine.FREE_AT
        slot[free] += (address[free] - machine.FREE_AT) >> 5
        register = address & 0x1F
        events = np.empty(count, WRITE_DTYPE)
        events["cycle"], events["value"] = raw["cycle"], raw["value"]
        events["register"] = register + 32 * parts.state[0].slots[slot]
        events = events[register < registers.WRITABLE]
        self._parts.append(events)
        self._unheard.append(events)

    def _give(self, until_cycle: int) -> np.ndarray:
        events = np.concatenate(self._parts) if self._parts else np.empty(0, WRITE_DTYPE)
        if self.error is not None:
            until_cycle = max(until_cycle, self.cycle + 1)
        count = int(np.searchsorted(events["cycle"], until_cycle))
        self._parts = [events[count:]]
        return events[:count]
