"""The BASIC V2 interpreter: runs a tokenised program, counts the 6510's cycles and writes the SID's registers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

import numpy as np

from sidlearn import clock
from sidlearn.basic import float40 as f40
from sidlearn.basic.frames import FOR_BYTES, GOSUB_BYTES, ForFrame, GosubFrame
from sidlearn.basic.inputs import DataReader, FileReader, KeyReader, LineReader, Redo
from sidlearn.basic.memory import (
    ARYTAB, BUFFER, CURLIN, DATPTR, FRETOP, JIFFIES, KEYD, MEMSIZ, NDX, PNTR, RNDX, STREND, TEXT_START, TXTTAB, VARTAB,
    ZERO_CONSTANT, Memory,
)  # fmt: skip
from sidlearn.basic.messages import (
    DEVICE_NOT_PRESENT, FILE_NOT_OPEN, FILE_OPEN, ILLEGAL_QUANTITY, NEXT_WITHOUT_FOR, OUT_OF_MEMORY, SYNTAX, TEXTS,
    UNDEFD_FUNCTION, UNDEFD_STATEMENT, BasicError, error_line,
)  # fmt: skip
from sidlearn.basic.screen import Screen
from sidlearn.basic.statements import COLON, Statement, add_on, compile_statement, skip_text
from sidlearn.basic.strings import Strings
from sidlearn.basic.text import Text
from sidlearn.basic.timing import wall_clock
from sidlearn.basic.variables import Variables
from sidlearn.errors import SidlearnError
from sidlearn.writes import LogPort, RegisterWrites, SidPort

TRACE_DTYPE = np.dtype([("cycle", "i8"), ("line", "u2")])
"""One row a statement: when it was dispatched, and the line it stands in."""

STACK_TOP = 0xFA  # stack pointer after CLR: BASIC-M6502, STKEND
NO_LIMIT = 1 << 62


class CpuPort(Protocol):
    """Runs machine code for SYS and USR.

    ``call`` runs from `address` until the matching RTS, on the machine's memory, and returns the registers and the cycles:
    ``a, x, y, p, cycles``. Writes to chips go through ``poke(address, value, cycles)``, where `cycles` counts from the call.
    """

    def call(
        self,
        address: int,
        ram: bytearray,
        a: int,
        x: int,
        y: int,
        p: int,
        poke: Callable[[int, int, int], None],
        peek: Callable[[int, int], int],
    ) -> tuple[int, int, int, int, int]: ...


class _Ended(Exception):
    """The program has ended."""


class _Waiting(Exception):
    """The program waits for something that never comes."""


@dataclass(frozen=True)
class Run:
    """What a program has done.

    Attributes
    ----------
    output : bytes
        PETSCII as sent to CHROUT, with the text of an error or BREAK, without RUN's echo and READY.
    error : str or None
        ``?SYNTAX  ERROR IN 20``, or ``BREAK IN 20``.
    writes : RegisterWrites
        Every write to the SID; as long as the program ran.
    cycles : int
        From the dispatch of the first statement to the end of the program.
    trace : ndarray, TRACE_DTYPE, or None
        One row a statement, when asked for.
    """

    output: bytes
    error: str | None
    writes: RegisterWrites
    cycles: int
    trace: np.ndarray | None


class Interpreter:
    """A Commodore 64 as far as BASIC V2 sees it.

    Parameters
    ----------
    program : bytes
        A tokenised program with its load address, as in a .prg file.
    port : SidPort, optional
        Takes every write to the SID as it happens.
    video : str or None
        None counts pure CPU cycles, "pal" and "ntsc" the wall clock with badlines and the jiffy interrupt.
    sid : SidPort, optional
        Answers PEEKs of 54297 to 54300; without one they give 0.
    trace : bool
        Keep the cycle of every statement.
    keys : bytes
        PETSCII keys that wait in the keyboard buffer, for GET.
    lines : text stream, optional
        Where INPUT reads its lines from.
    cpu : CpuPort, optional
        Runs SYS and USR.
    """

    def __init__(
        self,
        program: bytes,
        port: SidPort | None = None,
        video: str | None = None,
        sid: SidPort | None = None,
        trace: bool = False,
        keys: bytes = b"",
        lines: TextIO | None = None,
        cpu: CpuPort | None = None,
    ):
        self.port = port if port is not None else LogPort()
        self.wall = wall_clock(video)
        self.memory = Memory(self.port, sid if sid is not None else LogPort(), self.wall)
        self.ram = self.memory.ram
        self.strings = Strings(self.memory)
        self.variables = Variables(self.memory, self.strings)
        self.screen = Screen(self.ram)
        self.cpu = cpu
        self.keys = bytearray(keys)
        self.lines = lines
        self.files: dict[int, int] = {}
        self.cycles = 0
        self.line = 0
        self.frames: list[ForFrame | GosubFrame] = []
        self.stack_used = 0
        self.safe_depth = 80
        self.error: str | None = None
        self.ended = False
        self.waiting = False
        self.statement_position = 0
        self._start: int | None = None
        self._limit = NO_LIMIT
        self._statements: dict[int, Statement] = {}
        self._trace: list[tuple[int, int]] | None = [] if trace else None
        self.reader_of_data = DataReader(self)
        self.reader_of_line = LineReader(self)
        self.reader_of_key = KeyReader(self)
        self.reader_of_file = FileReader(self)
        self.memory.text_changed = self._memory_written
        self.memory.page0_read = self._show_page0
        self.memory.page0_written = self._take_page0
        self._load(program)

    # starting and running

    def _load(self, program: bytes) -> None:
        ram, memory = self.ram, self.memory
        body = program[2:]
        ram[TEXT_START - 1] = 0
        ram[TEXT_START : TEXT_START + len(body)] = body
        end = TEXT_START + len(body)
        ram[end : end + 3] = bytes(3)
        last = self._relink()
        memory.set_word(VARTAB, max(end, last))
        self.clear()
        self.position = TEXT_START - 1

    def _relink(self) -> int:
        """Set the links of all lines (LNKPRG). Returns the address behind the program."""
        ram = self.ram
        at = TEXT_START
        while ram[at + 1]:
            following = at + 4
            while ram[following]:
                following += 1
            following += 1
            ram[at], ram[at + 1] = following & 255, following >> 8
            at = following
        return at + 2

    def run(self, until_cycle: int | None = None) -> bool:
        """Go on until the program's clock passes `until_cycle`, or it ends.

        Returns
        -------
        running : bool
            False when the program has ended or stopped with an error.
        """
        if self.ended:
            return False
        self._limit = NO_LIMIT if until_cycle is None else until_cycle
        wall = self.wall
        try:
            while True:
                pure = NO_LIMIT if until_cycle is None else wall.pure(until_cycle)
                if not self._run_until(pure) or wall.cycle(self.cycles) >= self._limit:
                    break
        except _Ended:
            self.ended = True
        except _Waiting:
            self.waiting = self.ended = True
        except BasicError as error:
            self._fail(error.code)
        except f40.FloatError as error:
            self._fail(error.code)
        return not self.ended

    def _run_until(self, pure: int) -> bool:
        statements = self._statements
        self.check_at = pure
        position = self.position
        trace = self._trace
        if self._start is None:
            statement = statements[position] = compile_statement(self, position)
            self.cycles = -statement.before
            self._start = 0
        try:
            while True:
                statement = statements.get(position)
                if statement is None:
                    statement = statements[position] = compile_statement(self, position)
                self.cycles += statement.before
                if statement.line >= 0:
                    self.line = statement.line
                if trace is not None:
                    trace.append((self.wall.cycle(self.cycles), self.line))
                self.statement_position = position
                try:
                    position = statement.body()
                except Redo:
                    continue
                if self.cycles >= self.check_at:
                    return True
        finally:
            self.position = position

    @property
    def now(self) -> int:
        """The program's clock in log cycles."""
        return self.wall.cycle(self.cycles)

    def _fail(self, code: int) -> None:
        self.ended = True
        line = self.line
        self.error = error_line(code, line)
        self.screen.output += b"\r" + self.error.encode()

    def trace(self) -> np.ndarray | None:
        """Return the trace, if one was kept."""
        return None if self._trace is None else np.array(self._trace, TRACE_DTYPE)

    # memory that the interpreter keeps elsewhere

    def _memory_written(self, address: int) -> None:
        memory = self.memory
        if address < memory.word(VARTAB):
            if address >= TEXT_START - 1:
                self._statements.clear()
        elif address < memory.word(STREND):
            self.variables.forget()

    def _show_page0(self) -> None:
        memory = self.memory
        memory.set_word(CURLIN, self.line)
        memory.set_word(0x3D, self.statement_position)
        jiffies = self.wall.jiffies(self.cycles)
        self.ram[JIFFIES : JIFFIES + 3] = jiffies.to_bytes(3, "big")

    def _take_page0(self, address: int) -> None:
        if TXTTAB <= address <= STREND + 1:
            self.variables.forget()
            self._statements.clear()
        elif JIFFIES <= address < JIFFIES + 3:
            value = self.ram[address]
            jiffies = bytearray(self.wall.jiffies(self.cycles).to_bytes(3, "big"))
            jiffies[address - JIFFIES] = value
            self.wall.set_jiffies(self.cycles, int.from_bytes(jiffies, "big"))

    def after_poke(self, body: Callable[[], int], address: int | None) -> Callable[[], int]:
        """Return the body of a POKE."""
        return body

    # services for compiled code

    def failing_statement(self, code: int) -> Callable[[], int]:
        """Return a body that raises an error."""

        def fail() -> int:
            raise BasicError(code)

        return fail

    def check_stack(self, need: int) -> None:
        """Raise OUT OF MEMORY if fewer than `need` bytes of stack are left."""
        used = sum(FOR_BYTES if isinstance(f, ForFrame) else GOSUB_BYTES for f in self.frames)
        if STACK_TOP - 2 - used - self.stack_used < need:
            raise BasicError(OUT_OF_MEMORY)

    def relation(self, mask: int, order: int, cycles: int) -> f40.Fac:
        """Return the result of a comparison (DOCMP): `order` is -1, 0 or 1 for less, equal, greater."""
        bit = 4 if order < 0 else 2 if not order else 1
        result, more = f40.float_signed_byte(-1 if mask & bit else 0)
        self.cycles += cycles + more
        return result

    def index(self, fac: f40.Fac) -> int:
        """Return an array index (POSINT)."""
        if fac[0] & 128:
            raise BasicError(ILLEGAL_QUANTITY)
        value, cycles = f40.ayint(fac)
        self.cycles += cycles + 20
        return value

    def variable(self, name: int) -> tuple[int, int]:
        """Find or create a simple variable. Returns the address of its value and the cycles."""
        address, cycles = self.variables.find(name)
        if address:
            return address, cycles
        if name == 0x54C9:
            return ZERO_CONSTANT, cycles
        if name in (0x5449, 0x5354):
            raise BasicError(SYNTAX)
        address, more = self.variables.create(name)
        return address, cycles + more

    def time_string(self) -> int:
        """Return TI$ as a new string."""
        seconds = self.wall.jiffies(self.cycles) // 60
        text = f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}".encode()
        descriptor, cycles = self.strings.new(text)
        self.cycles += cycles + 3000
        return descriptor

    def set_time(self, text: bytes) -> None:
        """Set TI$ from six digits."""
        if len(text) != 6 or not text.isdigit():
            raise BasicError(ILLEGAL_QUANTITY)
        hours, minutes, seconds = int(text[:2]), int(text[2:4]), int(text[4:])
        self.wall.set_jiffies(self.cycles, 60 * (3600 * hours + 60 * minutes + seconds))
        self.cycles += 5000

    def literal(self, start: int, length: int) -> tuple[int, int]:
        """Return a string for characters in memory: those of the input buffer are copied. Returns also the cycles."""
        if BUFFER <= start < BUFFER + 0x100:
            return self.strings.new(bytes(self.ram[start : start + length]))
        return self.strings.put_new(length, start)

    def assign_string(self, at: int, descriptor: int) -> None:
        """Let the variable at `at` have a string (INPCOM)."""
        ram, memory, strings = self.ram, self.memory, self.strings
        if at == ZERO_CONSTANT:
            length, address, cycles = strings.free(descriptor)
            self.cycles += cycles
            self.set_time(bytes(ram[address : address + length]))
            return
        address = ram[descriptor + 1] | ram[descriptor + 2] << 8
        cycles = 60
        if address >= memory.word(FRETOP) and descriptor >= memory.word(VARTAB):
            length = ram[descriptor]
            copy, more = strings.allocate(length)
            source = ram[descriptor + 1] | ram[descriptor + 2] << 8
            ram[copy : copy + length] = ram[source : source + length]
            cycles += more + 17 * length + 80
            ram[at : at + 3] = bytes((length, copy & 255, copy >> 8))
            strings.free_descriptor(0x61)
        else:
            cycles += strings.free_descriptor(descriptor)[1] + 40
            ram[at : at + 3] = ram[descriptor : descriptor + 3]
        self.cycles += cycles

    def take_string(self, descriptor: int) -> bytes:
        """Return the characters of a string and free it."""
        length, address, cycles = self.strings.free(descriptor)
        self.cycles += cycles
        return bytes(self.ram[address : address + length])

    def value_of(self, text: bytes) -> f40.Fac:
        """Return the number in a text (VAL)."""
        position = 0
        self.cycles += 32
        while text[position] == 0x20:
            position += 1
            self.cycles += 21
        value, _, cycles = f40.fin(text, position)
        self.cycles += cycles + 30
        return value

    def random(self, fac: f40.Fac) -> f40.Fac:
        """Return RND."""
        timer = self.wall.timer(self.cycles)
        cia = bytes((timer & 255, timer >> 8 & 255, self.memory.cia1[8], self.memory.cia1[9]))
        result, seed, cycles = f40.frnd(fac, bytes(self.ram[RNDX : RNDX + 5]), cia)
        self.ram[RNDX : RNDX + 5] = seed
        self.cycles += cycles
        return result

    def call_function(self, entry: int, value: f40.Fac, depth: int) -> f40.Fac:
        """Call a user's function whose entry lies at `entry` (FNDOER)."""
        ram = self.ram
        formula = ram[entry] | ram[entry + 1] << 8
        argument = ram[entry + 2] | ram[entry + 3] << 8
        if not argument >> 8:
            raise BasicError(UNDEFD_FUNCTION)
        saved = bytes(ram[argument : argument + 5])
        ram[argument : argument + 5] = f40.pack(value)
        node, cost = self._formula(formula)
        self.cycles += 380 + (100 if value[1] else 93)
        self.stack_used += depth + 16
        result = node()
        self.stack_used -= depth + 16
        self.cycles += cost
        ram[argument : argument + 5] = saved
        return result

    def _formula(self, position: int) -> tuple[Callable[[], Any], int]:
        key = -position
        found: Any = self._statements.get(key)
        if found is None:
            from sidlearn.basic.expressions import Expressions

            text = Text(self.ram, position)
            expressions = Expressions(self, text)
            node = expressions.number()
            text.again()
            if not text.at_end:
                text.fail()
            if text.error:
                node = expressions.failing(node)
            found = self._statements[key] = (node.run, text.take())  # type: ignore[assignment]
        return found

    def call_usr(self, value: f40.Fac) -> f40.Fac:
        """Call the machine code behind 785 and 786."""
        address = self.memory.word(0x0311)
        if address == 0xB248:
            raise BasicError(ILLEGAL_QUANTITY)
        ram = self.ram
        ram[0x61:0x67] = bytes((value[1],)) + value[2].to_bytes(4, "big") + bytes((value[0],))
        ram[0x70] = value[3]
        self._machine_code(address)
        return (ram[0x66], ram[0x61], int.from_bytes(ram[0x62:0x66], "big"), ram[0x70])

    # loops and jumps

    def open_for(self, variable: int) -> None:
        """FOR: drop an open loop over the same variable, and all inside it; make sure of the stack."""
        frames = self.frames
        cycles = 10
        for i in range(len(frames) - 1, -1, -1):
            frame = frames[i]
            if not isinstance(frame, ForFrame):
                break
            if frame.variable == variable:
                del frames[i:]
                break
            cycles += 30
        self.cycles += cycles + 24
        self.check_stack(80 - 2)

    def next_closure(
        self, address: Callable[[], int] | None, cost: int, position: int, more: Callable[[], int] | None
    ) -> Callable[[], int]:
        """Return the body of NEXT."""
        frames, ram = self.frames, self.ram
        unpack, fadd, pack, fcomp = f40.unpack, f40.fadd, f40.pack, f40.fcomp

        def step() -> int:
            if address is None:
                if not frames or not isinstance(frames[-1], ForFrame):
                    raise BasicError(NEXT_WITHOUT_FOR)
                frame = frames[-1]
                self.cycles += cost + 46
            else:
                variable = address()
                cycles = 46
                while True:
                    if not frames or not isinstance(frames[-1], ForFrame):
                        raise BasicError(NEXT_WITHOUT_FOR)
                    frame = frames[-1]
                    if frame.variable == variable:
                        break
                    frames.pop()
                    cycles += 30
                self.cycles += cost + cycles
            at = frame.variable
            value, cycles = fadd(unpack(ram[at : at + 5]), frame.step)
            packed = pack(value)
            ram[at : at + 5] = packed
            value = unpack(packed)
            order, more_cycles = fcomp(value, unpack(frame.limit))
            self.cycles += 220 + cycles + more_cycles
            if order != frame.sign:
                self.cycles += 40
                self.line = frame.line
                return frame.position
            frames.pop()
            self.cycles += 40
            if more is not None:
                return more()
            return position

        return step

    def pop_gosub(self) -> tuple[GosubFrame | None, int]:
        """Drop the open loops of a subroutine and its frame. Returns the frame and the cycles."""
        frames = self.frames
        cycles = 20
        while frames:
            frame = frames.pop()
            if isinstance(frame, GosubFrame):
                return frame, cycles
            cycles += 30
        return None, cycles

    def skip_data(self, position: int) -> int:
        """Skip to the end of the statement (DATA), as RETURN does with the line number behind GOSUB."""
        count, cycles = skip_text(self.ram, position, COLON)
        self.cycles += cycles + 32 + add_on(position, count) + 3
        return position + count

    def go(self, number: int, position: int, count: int) -> int:
        """Search a line (GOTO). Returns the address before it."""
        memory, ram = self.memory, self.ram
        cycles = 6
        if self.line >> 8 < number >> 8:
            at = position + count + 1
            cycles += 2 + 2 + 2 + 3 + 3 + 3
        else:
            at = memory.word(TXTTAB)
            cycles += 3 + 6
        cycles += 6
        high, low = number >> 8, number & 255
        while True:
            if not ram[at + 1]:
                raise BasicError(UNDEFD_STATEMENT)
            line = ram[at + 2] | ram[at + 3] << 8
            if line >= number:
                break
            cycles += 65 if ram[at + 3] == high else 55
            at = ram[at] | ram[at + 1] << 8
        if line != number:
            raise BasicError(UNDEFD_STATEMENT)
        cycles += 2 + 6 + 5 + 2 + 2 + 2 + 3 + 5 + 2 + 3 + 3 + 2 + 5 + 2 + 3 + 6
        self.cycles += cycles + 2 + 3 + 2 + 3 + 3 + 2 + 3 + 6
        return at - 1

    def end(self, position: int) -> int:
        """END."""
        self.position = position
        raise _Ended

    def end_of_text(self, position: int) -> int:
        """The program has run off its end."""
        raise _Ended

    def stop(self, position: int) -> int:
        """STOP."""
        self.error = f"BREAK IN {self.line}"
        self.screen.output += b"\r\n" + self.error.encode()
        raise _Ended

    def restart(self) -> int:
        """RUN."""
        self.clear()
        return self.memory.word(TXTTAB) - 1

    def clear(self) -> None:
        """CLR."""
        memory = self.memory
        memory.set_word(FRETOP, memory.word(MEMSIZ))
        memory.set_word(ARYTAB, memory.word(VARTAB))
        memory.set_word(STREND, memory.word(VARTAB))
        memory.set_word(DATPTR, memory.word(TXTTAB) - 1)
        self.strings.reset()
        self.frames.clear()
        self.variables.forget()
        self.files.clear()
        self.cycles += 300

    def new(self) -> int:
        """NEW."""
        raise _Ended

    def wait(self, address: int, mask: int, flip: int) -> None:
        """WAIT."""
        volatile = 0xD000 <= address < 0xE000 or JIFFIES <= address < JIFFIES + 3
        while True:
            value = self.memory.peek(address, self.cycles + 5)
            if (value ^ flip) & mask:
                return
            self.cycles += 14
            if not volatile or self.wall.cycle(self.cycles) >= self._limit:
                raise _Waiting

    # machine code

    def sys(self, address: int, position: int) -> int:
        """SYS: machine code, or a stand-in for a routine of the ROM."""
        if address == 42926:
            return self.position if False else self.statement_position
        self._machine_code(address)
        self.cycles += 40
        return position

    def _machine_code(self, address: int) -> None:
        ram = self.ram
        if address == 58692:
            self.cycles += self.screen.put(147)
            self.screen.output.pop()
            return
        if address == 65490:
            self.cycles += self.screen.put(ram[780])
            return
        if address == 65520:
            if ram[783] & 1:
                ram[781], ram[782] = ram[214], ram[PNTR]
            else:
                ram[214], ram[PNTR] = ram[781], ram[782]
            return
        if address == 64738:
            raise _Ended
        if self.cpu is None:
            raise SidlearnError(f"SYS {address}: machine code needs a 6510, expected a program of BASIC statements alone")
        base = self.cycles
        memory = self.memory
        result = self.cpu.call(
            address, ram, ram[780], ram[781], ram[782], ram[783],
            lambda at, value, cycles: memory.poke(at, value, base + cycles),
            lambda at, cycles: memory.peek(at, base + cycles),
        )  # fmt: skip
        ram[780], ram[781], ram[782], ram[783] = result[:4]
        self.cycles += result[4]
        self.variables.forget()
        self._statements.clear()

    # screen and keyboard

    def put(self, char: int) -> None:
        """Print one character."""
        self.cycles += self.screen.put(char)

    def print_text(self, text: bytes) -> None:
        """Print some characters."""
        for char in text:
            self.put(char)

    def print_string(self, descriptor: int) -> None:
        """Print a string and free it."""
        length, address, cycles = self.strings.free(descriptor)
        self.cycles += cycles + 30
        for char in bytes(self.ram[address : address + length]):
            self.put(char)

    def print_number(self, value: f40.Fac) -> None:
        """Print a number, then a cursor right."""
        text, cycles = f40.fout(value)
        self.cycles += cycles + 200
        for char in text:
            self.put(char)
        self.put(29)

    def print_return(self) -> None:
        """End the line."""
        self.put(13)

    def print_comma(self) -> None:
        """Go to the next zone of ten."""
        for _ in range(10 - self.screen.column % 10):
            self.put(29)

    def print_spaces(self, count: int, tab: bool) -> None:
        """TAB and SPC."""
        for _ in range(max(0, count - self.screen.column) if tab else count):
            self.put(29)

    def next_key(self) -> int:
        """Take a key from the keyboard buffer; 0 for none."""
        ram = self.ram
        if not ram[NDX] and self.keys:
            return self.keys.pop(0)
        if not ram[NDX]:
            return 0
        key = ram[KEYD]
        ram[KEYD : KEYD + 9] = ram[KEYD + 1 : KEYD + 10]
        ram[NDX] -= 1
        return key

    def read_line(self) -> bytes:
        """Read a line for INPUT."""
        line = self.lines.readline() if self.lines else ""
        if not line:
            raise _Waiting
        self.put(13)
        return line.rstrip("\r\n").upper().encode("latin-1", "replace")[:80]

    # files and listing

    def select_output(self, number: int) -> None:
        """Choose the file that PRINT# and CMD write to."""
        if number and number not in self.files:
            raise BasicError(FILE_NOT_OPEN)

    def device(self, action: str, values: list[Any]) -> None:
        """OPEN, CLOSE, LOAD, SAVE, VERIFY: there is only the screen and the keyboard."""
        if action == "close":
            self.files.pop(values[0], None)
        elif action == "open":
            number = values[0]
            device = values[1] if len(values) > 1 else 1
            if number in self.files:
                raise BasicError(FILE_OPEN)
            if device not in (0, 3):
                raise BasicError(DEVICE_NOT_PRESENT)
            self.files[number] = device
        else:
            raise BasicError(DEVICE_NOT_PRESENT)

    def list(self, first: int, last: int) -> int:
        """LIST."""
        raise _Ended


def run(
    program: str | bytes,
    video: str | None = None,
    sid: SidPort | None = None,
    max_cycles: int | None = None,
    trace: bool = False,
    keys: bytes = b"",
    lines: Iterable[str] | TextIO | None = None,
    cpu: CpuPort | None = None,
) -> Run:
    """Run a BASIC program to its end.

    Parameters
    ----------
    program : str or bytes
        A listing, or a tokenised program (.prg).
    video : str or None
        None counts pure CPU cycles, "pal" and "ntsc" the wall clock.
    sid : SidPort, optional
        Answers PEEKs of 54297 to 54300.
    max_cycles : int, optional
        Stop there, on the clock that `video` chooses.
    trace : bool
        Keep the cycle and line of every statement.
    keys, lines, cpu
        See `Interpreter`.

    Returns
    -------
    run : Run
    """
    if isinstance(program, str):
        from sidlearn.basic.listing import type_in

        program = type_in(program)
    log = LogPort()

    class Both:
        @staticmethod
        def poke(cycle: int, register: int, value: int) -> None:
            log.poke(cycle, register, value)
            if sid is not None:
                sid.poke(cycle, register, value)

    machine = Interpreter(program, Both(), video, sid, trace, keys, lines, cpu)  # type: ignore[arg-type]
    machine.run(max_cycles)
    clock_hz = clock.VIDEO[video].clock_hz if video else clock.PAL.clock_hz
    cycles = machine.now
    length = max(cycles, log.cycles[-1] if log.cycles else 0)
    return Run(bytes(machine.screen.output), machine.error, log.writes(length, clock_hz), cycles, machine.trace())


UNUSED = (TEXTS,)
