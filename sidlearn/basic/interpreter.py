"""The BASIC V2 interpreter: runs a tokenised program, counts the 6510's cycles and writes the SID's registers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TextIO

import numpy as np

from sidlearn.basic import float40 as f40
from sidlearn.basic.cpuport import CpuPort, MachineCall
from sidlearn.basic.expressions import Expressions
from sidlearn.basic.filing import Filing
from sidlearn.basic.float_routines import load_fac, store_fac
from sidlearn.basic.frames import Frames
from sidlearn.basic.inputs import DataSource, FileKeySource, FileLineSource, KeySource, LineSource, Redo
from sidlearn.basic.interrupt import TimerInterrupt
from sidlearn.basic.keyboard import Keyboard
from sidlearn.basic.memory import (
    ARYTAB,
    CINV,
    CURLIN,
    DATPTR,
    FRETOP,
    MEMSIZ,
    NDX,
    OLDTXT,
    PNTR,
    RNDX,
    STREND,
    TEXT_START,
    TXTPTR,
    TXTTAB,
    USRADD,
    VARTAB,
    ZERO_CONSTANT,
    Memory,
)
from sidlearn.basic.messages import (
    BREAK,
    CANT_CONTINUE,
    DIRECT,
    ILLEGAL_QUANTITY,
    TEXTS,
    UNDEFD_FUNCTION,
    UNDEFD_STATEMENT,
    BasicError,
)
from sidlearn.basic.nodes import FRACTION, LENGTH_FAC, made_integer
from sidlearn.basic.printing import Printer, keywords_of
from sidlearn.basic.screen import Screen
from sidlearn.basic.statements import NOT_DISPATCHED, Statement, compile_statement
from sidlearn.basic.strings import Strings
from sidlearn.basic.text import JMP, JSR, RTS, Text, crossings
from sidlearn.basic.timing import LOG_CYCLES, WallClock, wall_clock
from sidlearn.basic.tistring import set_time
from sidlearn.basic.variables import Variables
from sidlearn.writes import LogPort, SidPort

TRACE_DTYPE = np.dtype([("cycle", "i8"), ("line", "u2")])
"""One row a statement: when it was dispatched, and the line it stands in."""

_NEVER = 1 << 62
_CLALL = 5 + 33  # the KERNAL's closing of all files: estimate from its few stores
PROMPT_CYCLES = 3_821  # from READY until BASIC waits for a line again: measured on the original code
_UNDEFINED_USR = 0xB248  # ILLEGAL QUANTITY: where USR points before it is set


class Ended(Exception):
    """The program has ended."""


class Waiting(Exception):
    """The program waits for something that never comes."""


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
    typed : callable, optional
        Gives the PETSCII keys that have been typed since it was last called.
    files : path, optional
        The folder that stands for the disk in device 8. Without it a program reaches no file of the host.

    Attributes
    ----------
    error : str or None
        ``?SYNTAX  ERROR IN 20`` or ``BREAK IN 20`` once the program has ended so.
    waiting : bool
        Whether the program has ended because it waits for a key or a line that never comes.
    screen : Screen
        What it has printed.
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
        typed: Callable[[], bytes] | None = None,
        files: str | Path | None = None,
    ):
        self.wall = wall_clock(video)
        self._interrupt = TimerInterrupt(self, self.wall) if isinstance(self.wall, WallClock) else None
        if isinstance(self.wall, WallClock) and self._interrupt is not None:
            self.wall.interrupt = self._interrupt
        self.memory = Memory(port if port is not None else LogPort(), sid if sid is not None else LogPort(), self.wall)
        self.ram = self.memory.ram
        self.strings = Strings(self.memory)
        self.variables = Variables(self.memory, self.strings)
        self.screen = Screen(self.ram)
        self.printer = Printer(self)
        self.files = Filing(self, files)
        self.frames = Frames()
        self.cpu = cpu
        self.keyboard = Keyboard(self.ram, keys, typed, lines)
        self.cycles = 0
        self.line = 0
        self.fac: f40.Fac = f40.ONE
        self.error: str | None = None
        self._ended = False
        self.waiting = False
        self.statement_position = 0
        self.check_at = _NEVER
        self._started = False
        self._call: MachineCall | None = None
        self._waits_for: tuple[int, int, int] | None = None
        self._cont: tuple[int, int] | None = None
        self._stop_pressed = False
        self._statements: dict[int, Statement] = {}
        self._formulas: dict[int, tuple[Callable[[], f40.Fac], int, int]] = {}
        self._function_stack = 0
        self.traced = trace
        self._trace: list[tuple[int, int]] | None = [] if trace else None
        self.data_source = DataSource(self)
        self.line_source = LineSource(self)
        self.key_source = KeySource(self)
        self.file_key_source = FileKeySource(self)
        self.file_line_source = FileLineSource(self)
        self.memory.written = self._memory_written
        self.memory.page0_read = self._show_page0
        self._load(program)

    # starting and running

    def _load(self, program: bytes) -> None:
        ram, memory = self.ram, self.memory
        body = program[2:]
        ram[TEXT_START - 1] = 0
        ram[TEXT_START : TEXT_START + len(body)] = body
        memory.set_word(VARTAB, max(TEXT_START + len(body), self.relink()))
        self.clear()
        self.cycles = 0
        self.position = TEXT_START - 1
        self.keyboard.fill()

    def relink(self) -> int:
        """Set the links of all lines (LNKPRG). Returns the address behind the program."""
        ram = self.ram
        at = TEXT_START
        while ram[at + 1]:
            following = ram.find(0, at + 4) + 1
            if not 0 < following < len(ram) - 4:
                break
            ram[at], ram[at + 1] = following & 255, following >> 8
            at = following
        return at + 2

    def run(self, until_cycle: int | None = None) -> bool:
        """Go on until the program's clock passes `until_cycle`, or it ends.

        Returns
        -------
        running : bool
            False when the program has ended, stopped with an error, or waits for what never comes, and has left no
            machine code on the interrupt. Such code plays on from the next call.
        """
        limit = _NEVER if until_cycle is None else until_cycle
        wall = self.wall
        if self._ended:
            while wall.hooked and until_cycle is not None and wall.cycle(self.cycles) < limit:
                self.cycles = wall.pure(limit, self.cycles)
            return not self.ended
        try:
            while wall.cycle(self.cycles) < limit:
                self.check_at = _NEVER if until_cycle is None else wall.pure(limit, self.cycles)
                self._run()
                if self._stop_pressed:
                    self._stop_pressed = False
                    self._call = self._waits_for = None
                    self.stop(self.position)
        except Ended:
            self._ended = True
            self.files.flush()
        except Waiting:
            self.waiting = self._ended = True
            self.files.flush()
        except BasicError as error:
            self._fail(error.code)
        except f40.FloatError as error:
            self._fail(error.code)
        return not self.ended

    @property
    def ended(self) -> bool:
        """Whether the program has come to its end, and nothing of it plays on."""
        return self._ended and not self.wall.hooked

    def _run(self) -> None:
        """Run statements until the clock passes `check_at`."""
        statements, frames, trace = self._statements, self.frames, self._trace
        position = self.position
        if self._call is not None:
            position = self._go_on_with_code(position)
        if self._waits_for is not None:
            self._go_on_waiting()
        try:
            while self.cycles < self.check_at:
                statement = statements.get(position)
                if statement is None:
                    statement = statements[position] = compile_statement(self, position)
                if not self._started:
                    self._started = True
                    self.cycles = -statement.before
                self.cycles += statement.before
                if statement.line >= 0:
                    self.line = statement.line
                if trace is not None and statement.line != NOT_DISPATCHED:
                    trace.append((self.wall.cycle(self.cycles) - LOG_CYCLES, self.line))
                self.statement_position = position
                if frames.free < statement.need:
                    frames.check(statement.need)
                try:
                    position = statement.body()
                except Redo:
                    continue
        finally:
            self.position = position

    @property
    def now(self) -> int:
        """The program's clock in log cycles."""
        return self.wall.cycle(self.cycles)

    @property
    def trace(self) -> np.ndarray | None:
        """The trace, if one is kept."""
        return None if self._trace is None else np.array(self._trace, TRACE_DTYPE)

    def _fail(self, code: int) -> None:
        self._ended = True
        self._cont = None
        self.files.deselect()
        self.files.flush()
        self.error = self.printer.error(code, self.line)
        self.cycles += PROMPT_CYCLES

    # memory that the interpreter keeps elsewhere

    def _memory_written(self, address: int) -> None:
        """Memory below the end of the arrays has been written by a POKE or by machine code."""
        memory = self.memory
        if address < 0x100:
            if TXTTAB <= address <= STREND + 1:
                self.forget()
            elif address == NDX:
                self.keyboard.count_written()
            elif address in (CURLIN, CURLIN + 1):
                self.line = memory.word(CURLIN)
        elif TEXT_START - 1 <= address < memory.word(VARTAB):
            self.forget()
        elif address in (CINV, CINV + 1):
            self._look_at_vector()
        elif address < memory.word(STREND):
            self.variables.forget()

    def forget(self) -> None:
        """Program text or tables may have changed: compile and search anew."""
        self._statements.clear()
        self._formulas.clear()
        self.variables.forget()

    def memory_changed(self) -> None:
        """Machine code may have written anywhere."""
        self.forget()
        self._look_at_vector()

    def _look_at_vector(self) -> None:
        self.wall.hooked = self._interrupt is not None and self._interrupt.hooked

    def _show_page0(self) -> None:
        """A program looks at page 0: put there what is kept elsewhere."""
        self.keyboard.fill()
        self.memory.set_word(CURLIN, self.line)
        self.memory.set_word(OLDTXT, self.statement_position)

    # services for compiled code

    def failing_body(self, code: int) -> Callable[[], int]:
        """Return a body that raises an error."""

        def fail() -> int:
            raise BasicError(code)

        return fail

    def index(self, fac: f40.Fac) -> int:
        """Return an array index (AYINT behind POSINT's test)."""
        if fac[0] & 128:
            raise BasicError(ILLEGAL_QUANTITY)
        value, cycles = f40.ayint(fac)
        self.cycles += cycles
        self.fac = fac if not fac[2] & FRACTION[fac[1]] else made_integer(fac)
        return value

    def assign_string(self, at: int, descriptor: int) -> None:
        """Let the variable at `at` have a string (INPCOM)."""
        ram, memory, strings = self.ram, self.memory, self.strings
        if at == ZERO_CONSTANT:
            length, address, cycles = strings.free(descriptor)
            self.cycles += 3 + 2 + 2 + JSR + 6 + cycles + 2 + 2
            set_time(self, bytes(ram[address : address + length]))
            return
        low, high = ram[descriptor + 1], ram[descriptor + 2]
        cycles = 3 + 2 + 4 + 2 + 5 + 3 + crossings(descriptor, 2, 2)
        in_heap = high > ram[FRETOP + 1]
        if high < ram[FRETOP + 1]:
            cycles += 3
        elif in_heap:
            cycles += 2 + 3
        else:
            cycles += 2 + 2 + 2 + 5 + 3 + crossings(descriptor, 1, 1)
            in_heap = low >= ram[FRETOP]
            cycles += 2 if in_heap else 3
        owned = False
        if in_heap:
            owned = descriptor >= memory.word(VARTAB)
            cycles += 3 + 3
            if descriptor >> 8 < ram[VARTAB + 1]:
                cycles += 3
            elif descriptor >> 8 > ram[VARTAB + 1]:
                cycles += 2 + 3
            else:
                cycles += 2 + 2 + 3 + 3 + (3 if owned else 2)
        if owned:
            length = ram[descriptor]
            target, more = strings.allocate(length)
            more += strings.copy(strings.where(descriptor), length, target) + crossings(descriptor, 1, 2)
            self.cycles += cycles + 2 + 5 + JSR + 33 + more + 12 + JSR + 32 + 6 + 4 + 6 + JSR + 17 + 39 + RTS
            ram[at : at + 3] = bytes((length, target & 255, target >> 8))
            self.fac = LENGTH_FAC[length]
            return
        more = strings.free_descriptor(descriptor)[1] + crossings(descriptor, 1, 2)
        self.cycles += cycles + 6 + JMP + 6 + JSR + more + 39 + RTS
        ram[at : at + 3] = ram[descriptor : descriptor + 3]

    def take_string(self, descriptor: int) -> bytes:
        """Return the characters of a string and free it."""
        length, address, cycles = self.strings.free(descriptor)
        self.cycles += cycles
        return bytes(self.ram[address : address + length])

    def random(self, fac: f40.Fac) -> f40.Fac:
        """Return RND."""
        peek = self.memory.peek
        clocks = b"" if fac[1] else bytes(peek(address, self.cycles) for address in (0xDC04, 0xDC05, 0xDC08, 0xDC09))
        result, self.ram[RNDX : RNDX + 5], cycles = f40.frnd(fac, bytes(self.ram[RNDX : RNDX + 5]), clocks)
        self.cycles += cycles
        return result

    def call_function(self, entry: int, value: f40.Fac, depth: int) -> f40.Fac:
        """Call the user's function whose entry lies at `entry` (FNDOER behind the argument).

        Parameters
        ----------
        depth : int
            Bytes on the stack where it is called.
        """
        ram, memory = self.ram, self.memory
        formula, argument = memory.word(entry), memory.word(entry + 2)
        if not argument >> 8:
            raise BasicError(UNDEFD_FUNCTION)
        run, cost, need = self._formula(formula)
        self._function_stack += depth + 9
        self.frames.check(need + self._function_stack)
        kept = bytes(ram[argument : argument + 5])
        value, cycles = f40.movmf(value)
        self.cycles += 2 + 5 + 3 + 2 + 2 + 5 + 2 + 3 + 2 + 64 + 3 + JSR + cycles + 12 + 5 + 3 + 2 + 5 + 3 + 12
        self.cycles += crossings(entry, 1, 1) + crossings(entry, 2, 3) + crossings(argument, 0, 4)
        ram[argument : argument + 5] = f40.pack(value)
        self.fac = value
        result = run()
        self.cycles += cost + 14 + 3 + 14 + 66
        self._function_stack -= depth + 9
        ram[argument : argument + 5] = kept
        return result

    def _formula(self, position: int) -> tuple[Callable[[], f40.Fac], int, int]:
        """Compile the right-hand side of a DEF FN: its closure, the cost behind it, and the stack it needs."""
        found = self._formulas.get(position)
        if found is None:
            text = Text(self.ram, position)
            expressions = Expressions(self, text)
            node = expressions.number()
            text.again()
            if not text.at_end:
                text.fail()
            if text.error:
                node = expressions.failing(node)
            found = self._formulas[position] = (node.run, text.take(), text.deepest)
        return found

    def go(self, number: int, position: int, count: int) -> int:
        """Search a line (GOTO behind REMN). Returns the address before it.

        Parameters
        ----------
        number : int
            Of the line.
        position, count : int
            Where the statement's text goes on, and how many characters are left of its line.
        """
        memory, ram = self.memory, self.ram
        if self.line < number:
            at = position + count + 1
            cycles = 14 + 2 + 2 + 2 + 3 + 3 + (3 if (position & 255) + count + 1 < 256 else 2 + 2 + 3) + JSR
        else:
            at = memory.word(TXTTAB)
            cycles = 14 + 3 + 6 + JSR
        high = number >> 8
        while True:
            if not ram[at + 1]:
                raise BasicError(UNDEFD_STATEMENT)
            line = ram[at + 2] | ram[at + 3] << 8
            if line >= number:
                break
            cycles += 65 if ram[at + 3] == high else 55
            low = at & 255
            if low > 252:
                cycles += 1 + (2 if low == 255 else 0) + (low > 253 and ram[at + 3] == high)
            at = ram[at] | ram[at + 1] << 8
        if line != number:
            raise BasicError(UNDEFD_STATEMENT)
        cycles += 53 + crossings(at, 1, 1) + crossings(at, 2, 3)
        self.cycles += cycles + 2 + 3 + 2 + 3 + 3 + 2 + 3 + RTS
        return at - 1

    def end(self, position: int) -> int:
        """END, and the end of the text."""
        self._remember(position)
        self.position = position
        self.cycles += PROMPT_CYCLES
        raise Ended

    def stop(self, position: int) -> int:
        """STOP, and the STOP key."""
        self._remember(position)
        self.files.deselect()
        self.printer.text(b"\r\n" + TEXTS[BREAK].encode())
        self.error = TEXTS[BREAK]
        if self.line < DIRECT:
            self.printer.at_line(self.line)
            self.error += f" IN {self.line}"
        self.cycles += PROMPT_CYCLES
        raise Ended

    def _remember(self, position: int) -> None:
        """Keep where CONT goes on."""
        if self.line < DIRECT:
            self._cont = position, self.line

    def cont(self) -> int:
        """CONT. In a program it is the statement that it goes on with: itself."""
        if self.line < DIRECT:
            return self.statement_position
        if self._cont is None:
            raise BasicError(CANT_CONTINUE)
        position, self.line = self._cont
        return position

    def press_stop(self) -> None:
        """Press the STOP key: the program breaks behind the statement that runs."""
        self._stop_pressed = True
        self.check_at = 0

    def restart(self) -> int:
        """RUN."""
        self.clear()
        return self.memory.word(TXTTAB) - 1

    def clear(self) -> None:
        """CLR (CLEARC)."""
        memory = self.memory
        memory.set_word(FRETOP, memory.word(MEMSIZ))
        memory.set_word(ARYTAB, memory.word(VARTAB))
        memory.set_word(STREND, memory.word(VARTAB))
        self.strings.reset()
        self.frames.clear()
        self.variables.forget()
        self.files.clear()
        self._cont = None
        self.cycles += 12 + JSR + _CLALL + 18 + JSR + self.restore() + 41

    def restore(self) -> int:
        """RESTORE. Returns the cycles."""
        start = self.memory.word(TXTTAB)
        self.memory.set_word(DATPTR, start - 1)
        return 2 + 3 + 2 + 3 + (3 if start & 255 else 4) + 6 + RTS

    def start_over(self) -> None:
        """The text has been replaced by LOAD: run it from its start with the variables as they are."""
        self.relink()
        self.forget()
        self.restore()
        self.strings.reset()
        self.frames.clear()

    def new(self) -> int:
        """NEW."""
        memory = self.memory
        start = memory.word(TXTTAB)
        memory.set_word(start, 0)
        memory.set_word(VARTAB, start + 2)
        self.forget()
        self.clear()
        raise Ended

    def wait(self, address: int, mask: int, flip: int) -> None:
        """WAIT: look at an address until one of the bits in `mask` differs from `flip`.

        Waiting that outlasts its time goes on first when the program is run again.
        """
        self._waits_for = address, mask, flip
        self._go_on_waiting()

    def _go_on_waiting(self) -> None:
        memory = self.memory
        assert self._waits_for is not None
        address, mask, flip = self._waits_for
        while not (memory.peek(address, self.cycles + 5) ^ flip) & mask:
            self.cycles += 14
            if address == NDX and self.keyboard.type_singly():
                continue
            if not (memory.changes_by_itself(address) or self.keyboard.live):
                raise Waiting
            if self.cycles >= self.check_at:
                return
        self._waits_for = None
        self.cycles += 13 + RTS + JMP

    # machine code

    def sys(self, address: int, position: int) -> int:
        """SYS. Returns where BASIC goes on; code that outlasts its time goes on first when the program is run again."""
        self.cycles += 10 + 4 + 3 + 12 + 4 + 5
        self._call = MachineCall(self, address, position)
        return self._go_on_with_code(position)

    def _go_on_with_code(self, position: int) -> int:
        """Run machine code until it returns or its time is over. Returns where BASIC stands."""
        assert self._call is not None
        if self._call.run():
            self._call = None
            self.cycles += 3 + 12 + 4 + 4 + RTS + JMP
            return self.memory.word(TXTPTR)  # it may have read arguments behind the address
        return position

    def call_usr(self, value: f40.Fac) -> f40.Fac:
        """Call the machine code behind 785 and 786 with the accumulator in 97 to 102."""
        address = self.memory.word(USRADD)
        if address == _UNDEFINED_USR:
            raise BasicError(ILLEGAL_QUANTITY)
        store_fac(self.ram, value)
        if not MachineCall(self, address).run():
            raise Waiting
        return load_fac(self.ram)

    # keyboard

    def next_key(self) -> int:
        """Take a key from the keyboard buffer; 0 for none."""
        return self.keyboard.take()

    def read_line(self) -> bytes:
        """Read a line for INPUT."""
        line = self.keyboard.line()
        if line is None:
            raise Waiting
        self.ram[PNTR] = 0  # the screen editor has gone to the next line
        return line

    # listing

    def list_line(self, number: int, at: int) -> None:
        """Print the line whose text begins at `at`."""
        self.printer.end_line()
        self.printer.text(f"{number} ".encode() + keywords_of(self.ram, at))

    def list(self, first: int, last: int) -> int:
        """LIST, which ends the program."""
        ram = self.ram
        at = self.memory.word(TXTTAB)
        while ram[at + 1] and self.cycles < self.check_at:
            number = ram[at + 2] | ram[at + 3] << 8
            if number > last:
                break
            if first <= number:
                self.list_line(number, at + 4)
            at = min(ram[at] | ram[at + 1] << 8, len(ram) - 5)
        return self.end(self.position)
