"""A listing that plays a log: DATA lines, and the loop that reads them.

There are two forms. In the *plain* one BASIC itself waits, READs and POKEs. Each shape of a frame (the registers it
writes, with what they always get) is a line of its own, so that most values stand in the program once and DATA holds
only what differs. FOR loops make the pauses; how long they must be is found by running the listing on the machine that
`sidlearn.basic` is. BASIC manages some three writes a picture. A log that asks for more becomes the *coded* form: the
DATA lines hold a player in machine code with its packed writes (`packed`), and that keeps every frame.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from sidlearn import clock, registers
from sidlearn.errors import OutputError
from sidlearn.export.packed import changes, program, source, ticks, video_of
from sidlearn.writes import RegisterWrites

ROOM = 38_911
"""Bytes that BASIC has free at power-on."""

LINE = 79
"""Most characters of a line as it is typed: the editor takes two rows of 40, the last column for the cursor."""

PLAIN, CODED = "plain", "coded"
FORMS = ("auto", PLAIN, CODED)

TAPE_BUFFER = 828
END_ADDRESS = 0xD000
_VARIABLES = 256  # bytes: those of a loop, and room for a few of one's own

_VOICE_INSTRUMENT = (registers.CONTROL, registers.ATTACK_DECAY, registers.SUSTAIN_RELEASE)
_INSTRUMENT = frozenset(
    [registers.MODE_VOL, registers.RES_FILT]
    + [registers.voice_register(v, o) for v in range(registers.VOICES) for o in _VOICE_INSTRUMENT]
)
_CONTROLS = frozenset(registers.voice_register(v, registers.CONTROL) for v in range(registers.VOICES))
MOST_SHAPES = 40
"""Lines for shapes, at the most; rarer ones are written register by register."""

MARGIN = 0.06
"""Share of a frame between its beginning and its first write."""

TURN_CYCLES = 1_030
"""What one turn of an empty FOR loop takes on PAL, about."""

LEAST_ROW_CYCLES, LEAST_WRITE_CYCLES = 9_000, 4_300
"""What BASIC needs at the least for a frame and for a write in it: rows that are cheaper than this do not exist."""

PASSES = 8
"""Times that the pauses are corrected: two to four are enough as a rule."""


@dataclass(frozen=True)
class Listing:
    """A listing and what is known of it.

    Attributes
    ----------
    text : str
        The listing, in lower case, capitals shifted.
    size : int
        Bytes that it takes of BASIC's `ROOM`.
    form : str
        "plain" or "coded".
    frame_cycles : int
        The frames that it keeps.
    late_frames : float
        How many frames the latest write comes too late by our BASIC's time.
    slowdown : float
        The plain form's length, as a multiple of what it should be; 1 where it keeps time.
    """

    text: str
    size: int
    form: str
    frame_cycles: int
    late_frames: float
    slowdown: float

    def report(self) -> str:
        """Return size, form and how well it keeps time, as one line for people."""
        size = f"{self.text.count(chr(10))} lines, {self.size} of {ROOM} bytes"
        if self.form == PLAIN and self.slowdown <= 1:
            return f"{size}; plain BASIC, every write within {max(self.late_frames, 0.1):.1f} frames"
        slow = "BASIC alone is too slow for these frames"
        if self.slowdown > 1.05:
            slow += f": it would take {self.slowdown:.1f} times as long"
        if self.form == PLAIN:
            return f"{size}; {slow}, its writes come up to {self.late_frames:.1f} frames late"
        return f"{size}; {slow}, so a player in machine code stands in the DATA lines"


def write(writes: RegisterWrites, file: BinaryIO, title: str = "", form: str = "auto") -> Listing:
    """Write a log as a listing; see `listing`."""
    made = listing(writes, title, form)
    file.write(made.text.encode())
    return made


def listing(writes: RegisterWrites, title: str = "", form: str = "auto") -> Listing:
    """Return a listing that plays a log.

    Parameters
    ----------
    writes : RegisterWrites
        Of one SID.
    title : str
        For its first line.
    form : str
        "plain", "coded", or "auto": the plain form if it keeps all frames, else the coded one.

    Raises
    ------
    OutputError
        If the log writes to two SIDs, is too fast even for machine code, or does not fit: then with the size it would
        have, and how many seconds would fit.
    """
    if form not in FORMS:
        raise OutputError(f"form of a listing: expected one of {', '.join(FORMS)}, given {form!r}")
    if writes.sids > 1:
        raise OutputError(f"expected the writes to one SID, given {writes.sids}: a listing writes to one")
    slowdown = least_slowdown(writes)
    if form == PLAIN or (form == "auto" and slowdown <= 1):
        try:
            plain = _plain(writes, title)
        except OutputError:
            if form == PLAIN:
                raise
        else:
            if form == PLAIN or plain.slowdown <= 1:
                return plain
            slowdown = plain.slowdown
    return _coded(writes, title, max(slowdown, 1.0))


def least_slowdown(writes: RegisterWrites) -> float:
    """Return how many times as long as a log lasts plain BASIC needs for it at the very least."""
    frame_cycles = video_of(writes).frame_cycles
    events = changes(writes)
    rows = len(np.unique(events["cycle"] // frame_cycles))
    return (rows * LEAST_ROW_CYCLES + len(events) * LEAST_WRITE_CYCLES) / max(writes.length, frame_cycles)


# --- Text ----------------------------------------------------------------------------------------------------------


def _first_line(title: str) -> str:
    name = "".join(c if c.isalnum() or c in " -.'" else " " for c in title.lower() if c.isascii()).strip()
    return f"rem {name or 'a log'}, by sidlearn"[: LINE - 3]


def _data_lines(numbers: list[int], first: int) -> list[str]:
    """Return DATA lines, numbered by tens."""
    lines: list[str] = []
    line = ""
    for number in numbers:
        if line and len(line) + 1 + len(str(number)) > LINE:
            lines.append(line)
            line = ""
        line = f"{line},{number}" if line else f"{first + 10 * len(lines)} data {number}"
    return [*lines, line] if line else lines


def _finish(lines: list[str]) -> tuple[str, bytes]:
    """Return the text and its program."""
    from sidlearn.basic.listing import type_in

    text = "".join(f"{line}\n" for line in lines)
    return text, type_in(text)


def _check_room(size: int, writes: RegisterWrites, room: int = ROOM) -> None:
    """Raise the error of a listing that does not fit."""
    if size > room:
        raise OutputError(
            f"a listing of {size} bytes for {writes.seconds:.1f} s: expected at most {room} bytes,"
            f" which is about {room / size * writes.seconds:.1f} s of it; cut it with --seconds"
        )


# --- Plain ---------------------------------------------------------------------------------------------------------

Row = tuple[int, list[tuple[int, int]]]
"""A frame with what it writes: its number, and (register, value) in order."""


@dataclass(frozen=True)
class Shape:
    """What frames of one kind write.

    Attributes
    ----------
    parts : tuple of (register, value)
        The value is None where it comes from DATA.
    """

    parts: tuple[tuple[int, int | None], ...]

    @property
    def read(self) -> int:
        """How many values come from DATA."""
        return sum(value is None for _, value in self.parts)


def rows_of(writes: RegisterWrites, frame_cycles: int) -> list[Row]:
    """Return the frames of a log that change anything, with their changes in order."""
    rows: dict[int, list[tuple[int, int]]] = {}
    for cycle, register, value in changes(writes).tolist():
        rows.setdefault(cycle // frame_cycles, []).append((register, value))
    return list(rows.items())


def split_setup(rows: list[Row]) -> tuple[list[tuple[int, int]], list[Row]]:
    """Take what a first frame at the very beginning sets before its gates: nothing sounds yet, there is time."""
    if not rows or rows[0][0]:
        return [], rows
    row = rows[0][1]
    gates = [i for i, (register, _) in enumerate(row) if register in _CONTROLS]
    cut = min(gates[0] if gates else len(row), len(row) - 1)
    return row[:cut], [(0, row[cut:]), *rows[1:]]


def shapes_of(rows: list[Row]) -> tuple[list[Shape], list[int]]:
    """Find the shapes of frames.

    Returns
    -------
    shapes : list of Shape
        The most frequent first.
    numbers : list of int
        For each row the number of its shape.
    """
    # First by registers and what makes an instrument, then, if those are too many, by registers alone.
    for instrument in (_INSTRUMENT, frozenset[int]()):
        keys = [tuple((r, v if r in instrument else None) for r, v in row) for _, row in rows]
        if len(set(keys)) <= MOST_SHAPES:
            break
    common = [key for key, _ in Counter(keys).most_common()]
    if len(common) > MOST_SHAPES:
        raise OutputError(f"{len(common)} kinds of frames: a listing in plain BASIC has room for {MOST_SHAPES}")
    shapes = []
    for key in common:
        of_key = [row for (_, row), k in zip(rows, keys, strict=True) if k == key]
        constants = [{row[i][1] for row in of_key} for i in range(len(key))]
        shapes.append(
            Shape(tuple((r, next(iter(c)) if len(c) == 1 else None) for (r, _), c in zip(key, constants, strict=True)))
        )
    places = {key: i for i, key in enumerate(common)}
    return shapes, [places[key] for key in keys]


_LOOP, _END, _FIRST_SHAPE, _FIRST_DATA = 30, 50, 100, 1000
_TARGETS = 12  # of one ON
_LETTERS = "abcefghlmnopqruvwxyz"  # not those of the loop: s, t, d, k


def _shape_lines(shape: Shape, number: int) -> list[str]:
    """Return the lines of a shape; the last one goes back to the loop."""
    statements = []
    letters = iter(_LETTERS * 2)
    names = [next(letters) for _ in range(min(shape.read, len(_LETTERS)))]
    rest = shape.read - len(names)
    if names:
        statements.append(f"read {','.join(names)}")
    left = iter(names)
    for register, value in shape.parts:
        name = str(value) if value is not None else next(left, None)
        if name is None:
            rest -= 1
            statements.append("read a")
            name = "a"
        statements.append(_poke(register, name))
    statements.append(f"goto {_LOOP}")
    return _joined(statements, number)


def _poke(register: int, value: int | str) -> str:
    return f"poke s{f'+{register}' if register else ''},{value}"


def _joined(statements: list[str], number: int) -> list[str]:
    """Return statements in lines that are not too long, numbered from `number` on."""
    lines: list[str] = []
    line = ""
    for statement in statements:
        if line and len(line) + 1 + len(statement) > LINE:
            lines.append(line)
            line = ""
        line = f"{line}:{statement}" if line else f"{number + len(lines)} {statement}"
    return [*lines, line] if line else lines


def _plain_lines(
    title: str,
    setup: list[tuple[int, int]],
    rows: list[Row],
    shapes: list[Shape],
    numbers: list[int],
    pauses: list[int],
) -> list[str]:
    """Return the listing with these pauses, one for each row and one for the end."""
    at = [_FIRST_SHAPE + 10 * i for i in range(len(shapes))]
    lines = [
        f"10 {_first_line(title)}",
        "20 s=54272:for i=0 to 24:poke s+i,0:next",
        *_joined([_poke(*row) for row in setup], 21),
        f"{_LOOP} read d,k:for t=1 to d:next",
    ]
    targets = [*at, _END]
    for i in range(0, len(targets), _TARGETS):
        jump = f"on k{f'-{i}' if i else ''} goto {','.join(map(str, targets[i : i + _TARGETS]))}"
        if i + _TARGETS < len(targets):
            jump = f"if k<{i + _TARGETS + 1} then {jump}"
        lines.append(f"{_LOOP + 1 + i // _TARGETS} {jump}")
    lines.append(f"{_END} end")
    for shape, number in zip(shapes, at, strict=True):
        lines += _shape_lines(shape, number)
    data: list[int] = []
    for (_, row), number, pause in zip(rows, numbers, pauses, strict=False):
        data += [pause, number + 1]
        data += [v for (_, v), (_, fixed) in zip(row, shapes[number].parts, strict=True) if fixed is None]
    return lines + _data_lines([*data, pauses[-1], len(shapes) + 1], _FIRST_DATA)


def _plain(writes: RegisterWrites, title: str) -> Listing:
    """Return the plain form with pauses that our BASIC has measured."""
    video = video_of(writes)
    frame_cycles = video.frame_cycles
    setup, rows = split_setup(rows_of(writes, frame_cycles))
    shapes, numbers = shapes_of(rows)
    last = rows[-1][0] + 1 if rows else 1
    target = frame_cycles * np.array([frame for frame, _ in rows] + [max(-(-writes.length // frame_cycles), last)])
    counts = np.array([len(row) for _, row in rows] + [1])
    pauses = np.maximum(1, np.diff(target, prepend=0) // TURN_CYCLES)
    best: Listing | None = None
    least = np.inf
    start: float | None = None
    for _ in range(PASSES):
        text, image = _finish(_plain_lines(title, setup, rows, shapes, numbers, pauses.tolist()))
        size = len(image) - 2 + _VARIABLES
        _check_room(size, writes)
        begin, end = _measure(image, video.name, registers.WRITABLE + len(setup), counts)
        if start is None:  # a place in the frame that is the same for all rows
            start = (np.ceil((begin[0] - target[0]) / frame_cycles) + MARGIN) * frame_cycles
        late = begin - start - target
        early, latest = float(late[:-1].min(initial=0)), float((late + end - begin)[:-1].max(initial=0))
        off = max(-early, latest - (1 - MARGIN) * frame_cycles, abs(late[-1]) - frame_cycles) - MARGIN * frame_cycles
        if off < least:
            slowdown = max((begin[-1] - begin[0]) / max(target[-1] - target[0], 1), 1.01) if off > 0 else 1.0
            least, best = off, Listing(text, size, PLAIN, frame_cycles, latest / frame_cycles, slowdown)
        wanted = np.maximum(1, pauses - np.diff(late, prepend=0) / TURN_CYCLES)
        before, pauses = pauses, np.maximum(1, np.diff(np.round(np.cumsum(wanted)), prepend=0)).astype(int)
        if np.abs(late).max() < TURN_CYCLES or (before == pauses).all():
            break
    assert best is not None
    return best


def _measure(image: bytes, video: str, before: int, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run a plain listing; `before` writes come before the rows.

    Returns when each row begins and has ended, in cycles; the last one is the end itself.
    """
    from sidlearn.basic.interpreter import Interpreter
    from sidlearn.writes import LogPort

    port = LogPort()
    machine = Interpreter(image, port, video)
    machine.run()
    cycles = np.array([*port.cycles[before:], machine.now])
    last = np.cumsum(counts) - 1
    return cycles[last - counts + 1].astype(float), cycles[last].astype(float)


# --- Coded ---------------------------------------------------------------------------------------------------------

_FIRST_STRINGS = 1000
_LOWEST_TARGET = 0x1000
BASIC_START = 0x0801
_LONGEST_TURN = 1_230
"""No turn of a FOR loop takes longer on a machine with its picture on."""
_ALIGN_CYCLES = 6
"""One turn of the player's own loop, badlines included."""
_ALIGNMENTS = 5
"""Steps to the right place in a frame: two for the FOR loop, three for the player's."""


def _coded(writes: RegisterWrites, title: str, slowdown: float) -> Listing:
    """Return the coded form."""
    pause, align = 0, 1
    for _ in range(_ALIGNMENTS):  # so that the first frame begins where a frame of the new run does
        coded = _code(writes, title, pause, align)
        if coded.excess:
            raise OutputError(
                f"{coded.excess}, which is about {_seconds_that_fit(writes):.1f} s of it; cut it with --seconds"
            )
        begin = _begin(coded.image, video_of(writes).name)
        wanted = int(MARGIN * coded.frame_cycles - begin) % coded.frame_cycles
        if wanted > _LONGEST_TURN:
            pause += wanted // _LONGEST_TURN
        else:
            align = min(align + wanted // _ALIGN_CYCLES, 255)
    return Listing(coded.text, coded.size, CODED, coded.frame_cycles, 0.0, slowdown)


@dataclass(frozen=True)
class _Code:
    """A coded listing; `excess` says what is too large, if anything is."""

    text: str
    image: bytes
    size: int
    frame_cycles: int
    excess: str


def _code(writes: RegisterWrites, title: str, pause: int, align: int) -> _Code:
    """Return the listing that waits so many turns before its player, and in it."""
    from sidlearn.cpu.assemble import assemble

    cut = ticks(writes)
    target = _LOWEST_TARGET
    for _ in range(2):  # the size is the same anywhere, the addresses in it are not
        data, _ = program(writes, cut, "bas", target, 1 << 24, align)
        target = max(END_ADDRESS - len(data), _LOWEST_TARGET)
    _, loader, _ = assemble(f"target = {target}\n{source('loader')}", TAPE_BUFFER)
    lines = [
        f"10 {_first_line(title)}",
        f"20 c={TAPE_BUFFER}:for i=c to c+{len(loader) - 1}:read v:x=x+v:poke i,v:next",
        f'30 if x<>{sum(loader)} then print "wrong data":end',
        f"40 for t=1 to {pause}:next:sys c" if pause else "40 sys c",
        "50 end",
        *_data_lines(list(loader), 100),
        *_string_lines(base64.b64encode(data).decode().rstrip("=") + "*"),
    ]
    text, image = _finish(lines)
    size = len(image) - 2 + _VARIABLES
    excess = ""
    if size > ROOM:
        excess = f"a listing of {size} bytes for {writes.seconds:.1f} s: expected at most {ROOM} bytes"
    elif size > target - BASIC_START:
        excess = (
            f"a listing of {size} bytes for {writes.seconds:.1f} s that turns into {len(data)} more: expected at most"
            f" {END_ADDRESS - BASIC_START} bytes together"
        )
    return _Code(text, image, size, cut.period, excess)


def _string_lines(letters: str) -> list[str]:
    """Return DATA lines with a string each; the strings are cut where the lines are full."""
    lines = []
    number = _FIRST_STRINGS
    while letters:
        head = f'{number} data "'
        lines.append(head + letters[: LINE - len(head)])
        letters = letters[LINE - len(head) :]
        number += 10 if number < 60_000 else 1
    return lines


def _seconds_that_fit(writes: RegisterWrites) -> float:
    """Return the longest beginning of a log that fits."""
    low, high = 0, writes.length
    while high - low > max(writes.length // 200, writes.clock_hz // 10):
        middle = (low + high) // 2
        low, high = (low, middle) if _code(writes.cut(middle), "", 0, 1).excess else (middle, high)
    return low / writes.clock_hz


def _begin(image: bytes, video: str) -> int:
    """Run a coded listing up to its player. Returns the cycle of the first write behind the clearing of the chip."""
    from sidlearn.basic.interpreter import Interpreter
    from sidlearn.writes import LogPort

    port = LogPort()
    machine = Interpreter(image, port, video)
    slice_cycles = clock.video(video).frame_cycles
    while machine.run(machine.now + slice_cycles) and len(port.cycles) < registers.WRITABLE:
        pass
    return port.cycles[registers.WRITABLE - 1] if len(port.cycles) >= registers.WRITABLE else machine.now
