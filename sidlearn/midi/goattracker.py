"""GoatTracker instruments, ``.ins``, in and out.

A file is a header and four tables of two columns: wave, pulse, filter, speed. What a table does is played through frame
by frame on the way in, until it repeats, so every jump and delay becomes steps of ours. On the way out what the tables
cannot say is left out: vibrato finer than theirs, detuning, cutoff finer than 8 bits, 2x and 4x speed.

Source: GoatTracker 2.76, readme.txt, sections 3.3, 3.4 and 6.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sidlearn.errors import InstrumentError
from sidlearn.midi.instruments import ABSOLUTE, Instrument, Program
from sidlearn.registers import GATE, SAWTOOTH, TEST

MAGICS = (b"GTI3", b"GTI4", b"GTI5")
HEADER, NAME_SIZE, TABLES = 29, 16, 4
WAVE, PULSE, FILTER, SPEED = range(TABLES)
MOST_ROWS = 255

JUMP, KEEP_NOTE, SILENT_WAVES, COMMANDS = 0xFF, 0x80, 0xE0, 0xF0
ABSOLUTE_NOTE, NEGATIVE = 0x81, 0x60
ABSOLUTE_BASE = 12
"""MIDI note of C-0, the note before the first absolute one."""

NO_HARD_RESTART = 0x80
FIRST_FRAME = TEST | GATE
"""The usual waveform of a note's first frame."""

MOST_FRAMES = 4096
"""How far a table is played on the way in."""

CUTOFF_STEP = 8
"""Units of our 11 bits in one of its 8."""

VIBRATO_FRAMES_A_SECOND = 50
MIDDLE_FREQ = 4459
"""FREQ of middle C on PAL, for the depth of its vibrato, which is in units of FREQ."""

Table = tuple[bytes, bytes]


# --- In ----------------------------------------------------------------------------------------------------------


def parse(data: bytes, name: str = "instrument") -> Instrument:
    """Return the instrument of a ``.ins`` file.

    Raises
    ------
    InstrumentError
        If it is none, or breaks off.
    """
    if data[:4] not in MAGICS:
        raise InstrumentError(f"{name}: expected a GoatTracker 2 instrument, which begins with GTI3 to GTI5")
    if len(data) < HEADER:
        raise InstrumentError(f"{name}: expected a header of {HEADER} bytes, given {len(data)}")
    tables = _tables(data, name)
    attack_decay, sustain_release, wave, pulse, filter_, vibrato, delay, gate_timer, first = data[4:13]
    title = data[13:HEADER].split(b"\0")[0].decode("latin-1").strip() or "GoatTracker"
    waveform, arpeggio = _waves(tables[WAVE], wave, first, name)
    width, sweep = _pulses(tables[PULSE], pulse, name)
    instrument = Instrument(
        title,
        attack=attack_decay >> 4,
        decay=attack_decay & 15,
        sustain=sustain_release >> 4,
        release=sustain_release & 15,
        hard_restart=0 if gate_timer & NO_HARD_RESTART else min(gate_timer & 0x3F, 4),
        waveform=waveform,
        arpeggio=arpeggio,
        pulse_width=width,
        pulse_sweep=sweep,
    )
    instrument = _filters(tables[FILTER], filter_, instrument, name)
    if vibrato and delay and vibrato <= len(tables[SPEED][0]):
        left, right = tables[SPEED][0][vibrato - 1], tables[SPEED][1][vibrato - 1]
        frames = max(left & 0x7F, 1)
        semitones = frames / 2 * right / MIDDLE_FREQ * 12 / 0.6931  # semitones of a small share of the pitch
        instrument = replace(
            instrument,
            vibrato_depth=round(min(semitones, 12.0), 3),
            vibrato_rate=round(VIBRATO_FRAMES_A_SECOND / (2 * frames), 2),
            vibrato_delay=delay / VIBRATO_FRAMES_A_SECOND,
        )
    return instrument


def _tables(data: bytes, name: str) -> list[Table]:
    tables, at = [], HEADER
    for kind in ("wave", "pulse", "filter", "speed"):
        rows = data[at] if at < len(data) else 0
        left, right = data[at + 1 : at + 1 + rows], data[at + 1 + rows : at + 1 + 2 * rows]
        if len(right) < rows:
            raise InstrumentError(f"{name}: byte {at}: {kind} table: expected {rows} rows, the file breaks off")
        tables.append((left, right))
        at += 1 + 2 * rows
    return tables


def _walk(table: Table, start: int, name: str, kind: str) -> Iterator[tuple[int, int, int]]:
    """Give (row, left, right) in the order in which a table is played, jumps followed; rows count from 1."""
    row, jumps = start, 0
    while row:
        if not 1 <= row <= len(table[0]):
            raise InstrumentError(f"{name}: {kind} table: row {row}: expected 1 to {len(table[0])}")
        left, right = table[0][row - 1], table[1][row - 1]
        if left == JUMP:
            jumps += 1
            if right == row or jumps > MOST_ROWS:
                raise InstrumentError(f"{name}: {kind} table: row {row} jumps to nothing but jumps")
            row = right
            continue
        jumps = 0
        yield row, left, right
        row += 1
        if row > len(table[0]):
            return


def _waves(table: Table, start: int, first: int, name: str) -> tuple[Program, Program]:
    """Play the wave table; CONTROL and semitones frame by frame."""
    controls: list[int] = []
    notes: list[int] = []
    control, note = GATE, 0
    if first not in (0x00, 0xFE, 0xFF):
        controls.append(first ^ GATE)
        notes.append(0)
        control = first
    seen: dict[tuple[int, int, int], int] = {}
    loop = None
    for row, left, given in _walk(table, start, name, "wave"):
        right = given
        state = (row, control, note)
        if state in seen or len(controls) >= MOST_FRAMES:
            loop = seen.get(state)
            break
        seen[state] = len(controls)
        frames = 1
        if left >= COMMANDS:
            right = KEEP_NOTE  # commands of the tracker have no place in an instrument of ours
        elif left >= SILENT_WAVES:
            control = left & 0x0F
        elif left >= 0x10:
            control = left
        else:
            frames += left
        # A delayed row keeps the note before it until its last frame.
        before = note
        if right >= ABSOLUTE_NOTE:
            note = ABSOLUTE + ABSOLUTE_BASE + right - KEEP_NOTE
        elif right >= NEGATIVE and right != KEEP_NOTE:
            note = right - KEEP_NOTE
        elif right != KEEP_NOTE:
            note = right
        controls += [control ^ GATE] * frames
        notes += [before] * (frames - 1) + [note]
    if not controls:
        controls, notes = [0], [0]
    return _packed(controls, loop), _packed(notes, loop)


def _packed(values: list[int], loop: int | None) -> Program:
    """Return values as steps; a step begins at `loop`."""
    steps: list[list[int]] = []
    place = None
    for i, value in enumerate(values):
        if i == loop:
            place = len(steps)
        if steps and steps[-1][0] == value and i != loop:
            steps[-1][1] += 1
        else:
            steps.append([value, 1])
    if place is None and len(steps) > 1:
        steps[-1][1] = 1
    if place is None and len(steps) == 1:
        steps[0][1] = 1
    return Program(tuple((v, n) for v, n in steps), place)


def _signed(value: int) -> int:
    return value - 256 if value & 0x80 else value


def _sweep(table: Table, start: int, name: str, kind: str) -> tuple[int | None, list[tuple[int, int]], int | None]:
    """Return the first value set, the steps of change, and the step to go on with."""
    first: int | None = None
    value = 0
    steps: list[tuple[int, int]] = []
    seen: dict[int, int] = {}
    for row, left, right in _walk(table, start, name, kind):
        if row in seen:
            return first, steps, seen[row] if seen[row] < len(steps) else None
        if len(steps) >= MOST_ROWS:
            break
        seen[row] = len(steps)
        if kind == "pulse" and left >= 0x80:
            wanted = (left & 0x0F) << 8 | right
        elif kind == "filter" and left == 0:
            wanted = right * CUTOFF_STEP
        elif left >= 0x80:
            continue
        else:
            change = _signed(right) * (CUTOFF_STEP if kind == "filter" else 1)
            steps.append((change, left))
            value += change * left
            continue
        if first is None:
            first = value = wanted
        elif wanted != value:
            steps.append((wanted - value, 1))
            value = wanted
    return first, steps, None


def _pulses(table: Table, start: int, name: str) -> tuple[int, Program]:
    first, steps, loop = _sweep(table, start, name, "pulse")
    return 2048 if first is None else first, Program(tuple(steps), loop)


def _filters(table: Table, start: int, instrument: Instrument, name: str) -> Instrument:
    if not start:
        return instrument
    settings = next(((left, right) for _, left, right in _first_rows(table, start, name) if left >= 0x80), None)
    first, steps, loop = _sweep(table, start, name, "filter")
    passband, resonance = (1, 0) if settings is None else (settings[0] >> 4 & 7, settings[1] >> 4)
    return replace(
        instrument,
        filter=passband,
        resonance=resonance,
        cutoff=instrument.cutoff if first is None else min(first, 2047),
        cutoff_sweep=Program(tuple(steps), loop),
    )


def _first_rows(table: Table, start: int, name: str) -> list[tuple[int, int, int]]:
    rows, seen = [], set()
    for row in _walk(table, start, name, "filter"):
        if row[0] in seen:
            break
        seen.add(row[0])
        rows.append(row)
    return rows


# --- Out ---------------------------------------------------------------------------------------------------------


def pack(instrument: Instrument) -> bytes:
    """Return an instrument as a ``.ins`` file.

    Raises
    ------
    InstrumentError
        If it needs more rows than a table has.
    """
    wave = _wave_rows(instrument)
    pulse = _pulse_rows(instrument)
    filter_ = _filter_rows(instrument)
    speed = _speed_rows(instrument)
    for kind, rows in (("wave", wave), ("pulse", pulse), ("filter", filter_)):
        if len(rows) > MOST_ROWS:
            raise InstrumentError(f"{instrument.name}: its {kind} table has {len(rows)} rows, GoatTracker {MOST_ROWS}")
    header = bytes(
        (
            instrument.attack << 4 | instrument.decay,
            instrument.sustain << 4 | instrument.release,
            1 if wave else 0,
            1 if pulse else 0,
            1 if filter_ else 0,
            1 if speed else 0,
            min(max(round(instrument.vibrato_delay * VIBRATO_FRAMES_A_SECOND), 1), 255) if speed else 0,
            instrument.hard_restart or NO_HARD_RESTART,
            0,
        )
    )
    title = instrument.name.encode("latin-1", "replace")[: NAME_SIZE - 1].ljust(NAME_SIZE, b"\0")
    data = MAGICS[-1] + header + title
    for rows in (wave, pulse, filter_, speed):
        data += bytes((len(rows),)) + bytes(left for left, _ in rows) + bytes(right for _, right in rows)
    return data


def _wave_rows(instrument: Instrument) -> list[tuple[int, int]]:
    waves, notes = instrument.waveform, instrument.arpeggio
    first, frames = _common_frames(waves, notes)
    rows: list[tuple[int, int]] = []
    place = None
    for frame in range(frames):
        if frame == first:
            place = len(rows)
        rows.append((_wave_byte(instrument.control_at(frame)), _note_byte(notes.at(frame), instrument)))
    rows.append((JUMP, 0 if place is None else place + 1))
    return rows


def _common_frames(*programs: Program) -> tuple[int | None, int]:
    """Return where the programs begin to repeat together, if they do, and how many frames there are until then."""
    from math import lcm

    before, period = 0, 1
    looped = False
    for program in programs:
        if program.loop is None:
            before = max(before, program.frames)
        else:
            start = sum(n for _, n in program.steps[: program.loop])
            before = max(before, start)
            period = lcm(period, program.frames - start)
            looped = True
    return (before, before + period) if looped else (None, max(before, 1))


def _wave_byte(control: int) -> int:
    if control < 0x10:
        return SILENT_WAVES | control
    return control if control < SILENT_WAVES else control & ~SAWTOOTH  # the table has no room for three with noise


def _note_byte(interval: int, instrument: Instrument) -> int:
    if instrument.pitch is not None and interval < ABSOLUTE - 64:
        interval += ABSOLUTE + instrument.pitch
    if interval >= ABSOLUTE - 64:
        return min(max(interval - ABSOLUTE - ABSOLUTE_BASE + KEEP_NOTE, ABSOLUTE_NOTE), 0xDF)
    interval += instrument.transpose
    return min(interval, 0x5F) if interval >= 0 else max(KEEP_NOTE + interval, NEGATIVE)


def _sweep_rows(sweep: Program, scale: int, first_row: int) -> list[tuple[int, int]]:
    rows: list[tuple[int, int]] = []
    place = None
    for index, (change, count) in enumerate(sweep.steps):
        frames = count
        if index == sweep.loop:
            place = first_row + len(rows)
        speed = min(max(round(change / scale), -128), 127)
        while frames:
            part = min(frames, 0x7F)
            rows.append((part, speed & 0xFF))
            frames -= part
    rows.append((JUMP, place or 0))
    return rows


def _pulse_rows(instrument: Instrument) -> list[tuple[int, int]]:
    width = instrument.pulse_width
    return [(0x80 | width >> 8, width & 0xFF), *_sweep_rows(instrument.pulse_sweep, 1, 2)]


def _filter_rows(instrument: Instrument) -> list[tuple[int, int]]:
    if not instrument.filter:
        return []
    settings = (0x80 | instrument.filter << 4, instrument.resonance << 4 | 7)
    return [settings, (0, instrument.cutoff // CUTOFF_STEP), *_sweep_rows(instrument.cutoff_sweep, CUTOFF_STEP, 3)]


def _speed_rows(instrument: Instrument) -> list[tuple[int, int]]:
    if not instrument.vibrato_depth:
        return []
    frames = min(max(round(VIBRATO_FRAMES_A_SECOND / (2 * instrument.vibrato_rate)), 1), 0x7F)
    amount = instrument.vibrato_depth * 0.6931 / 12 * MIDDLE_FREQ * 2 / frames
    return [(frames, min(max(round(amount), 1), 255))]
