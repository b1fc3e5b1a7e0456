"""What stands for the ROM routines that listings call by SYS, and their machine code by JSR.

Each changes memory and registers as the routine does and gives its cycles, RTS included; the cycles of the screen and
of floats are the machine's, the others estimates of short routines.
Sources of addresses, registers and effects: Commodore 64 Programmer's Reference Guide, chapter 5; Sheldon Leemon,
"Mapping the Commodore 64" (1984), 40960 to 65535; names of BASIC's routines: BASIC-M6502 (MIT licence).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sidlearn.basic import float40 as f40
from sidlearn.basic.channels import KeyboardChannel
from sidlearn.basic.expressions import Expressions
from sidlearn.basic.float_routines import FLOAT_ROUTINES, CpuRegisters, Routine, load_fac, store_fac
from sidlearn.basic.functions import PLOT
from sidlearn.basic.memory import PNTR, STATUS, TBLX, TXTPTR, TXTTAB
from sidlearn.basic.messages import ILLEGAL_DEVICE_NUMBER, SYNTAX, TEXTS, VERIFY, BasicError
from sidlearn.basic.screen import COLUMNS, ROWS, Screen
from sidlearn.basic.text import JSR, RTS, Text

if TYPE_CHECKING:
    from sidlearn.basic.interpreter import Interpreter


CARRY, ZERO_FLAG = 1, 2
SHORT = 20  # guess: a few loads and stores, and RTS
LINNUM = 0x14  # a line number or an address, low byte first
FACMO = 0x64  # where a string's descriptor lies
VALTYP = 0x0D  # whether the last value was a string
# What SETLFS and SETNAM keep: length of the name, number, secondary address, device, and where the name lies.
FNLEN, LA, SA, FA, FNADR = 0xB7, 0xB8, 0xB9, 0xBA, 0xBB
LAST_KERNAL_ERROR = ILLEGAL_DEVICE_NUMBER
CONTROL_PORT, CONTROL_PAGE = 0x00, 0xDC  # IOBASE: the first CIA


def _carry(registers: CpuRegisters, on: bool) -> None:
    registers.p = registers.p | CARRY if on else registers.p & ~CARRY


# The screen.


def _print(machine: Interpreter, registers: CpuRegisters) -> int:
    """CHROUT: print the character in A."""
    cycles = machine.printer.screen.put(registers.a)
    _carry(registers, False)
    return cycles


def _print_on_screen(machine: Interpreter, registers: CpuRegisters) -> int:
    return machine.screen.put(registers.a)


def _clear_screen(machine: Interpreter, registers: CpuRegisters) -> int:
    return _silently(machine.screen, 147)


def _home(machine: Interpreter, registers: CpuRegisters) -> int:
    return _silently(machine.screen, 19)


def _silently(screen: Screen, char: int) -> int:
    """Do what printing a character does, without a trace in what has been printed."""
    cycles = screen.put(char)
    del screen.output[-1]
    return cycles


def _set_pointers(machine: Interpreter, registers: CpuRegisters) -> int:
    """Take row and column from 214 and 211."""
    return PLOT


def _plot(machine: Interpreter, registers: CpuRegisters) -> int:
    """Move the cursor to row X and column Y, or tell where it is if the carry is set."""
    ram = machine.ram
    if registers.p & CARRY:
        registers.x, registers.y = ram[TBLX], ram[PNTR]
    else:
        ram[TBLX], ram[PNTR] = registers.x % ROWS, registers.y % (2 * COLUMNS)
        _carry(registers, False)
    return PLOT


def _size(machine: Interpreter, registers: CpuRegisters) -> int:
    registers.x, registers.y = COLUMNS, ROWS
    return SHORT


def _clear_line(machine: Interpreter, registers: CpuRegisters) -> int:
    """Clear the screen line X."""
    line = 0x0400 + registers.x % ROWS * COLUMNS
    machine.ram[line : line + COLUMNS] = b" " * COLUMNS
    return 20 * COLUMNS


def _scroll(machine: Interpreter, registers: CpuRegisters) -> int:
    """Move the screen up by a line."""
    ram, end = machine.ram, 0x0400 + COLUMNS * ROWS
    ram[0x0400:end] = ram[0x0400 + COLUMNS : end] + b" " * COLUMNS
    ram[TBLX] = max(ram[TBLX] - 1, 0)
    return 27 * COLUMNS * ROWS


# Keyboard and channels.


def _get_key(machine: Interpreter, registers: CpuRegisters) -> int:
    """GETIN: the next key, or 0; the next byte of a file that is read from."""
    channel = machine.files.input
    if channel is not None:
        return _read(machine, registers)
    registers.a = machine.next_key()
    _carry(registers, False)
    return 30


def _read(machine: Interpreter, registers: CpuRegisters) -> int:
    """CHRIN: the next character of a typed line, or the next byte of the file that is read from."""
    files = machine.files
    channel = files.input
    _carry(registers, False)
    if channel is None or isinstance(channel, KeyboardChannel):
        if not files.typed_line:
            files.typed_line += machine.read_line() + b"\r"
        registers.a = files.typed_line.pop(0)
        return 60
    registers.a, status = channel.get()
    machine.ram[STATUS] |= status
    return channel.cycles + SHORT


def _stop_key(machine: Interpreter, registers: CpuRegisters) -> int:
    """STOP: the zero flag tells that the key is down; it is answered between statements."""
    registers.a = 0xFF
    registers.p = (registers.p | CARRY) & ~ZERO_FLAG
    return SHORT


def _status(machine: Interpreter, registers: CpuRegisters) -> int:
    registers.a = machine.ram[STATUS]
    return SHORT


def _set_file(machine: Interpreter, registers: CpuRegisters) -> int:
    machine.ram[LA], machine.ram[FA], machine.ram[SA] = registers.a, registers.x, registers.y
    return SHORT


def _set_name(machine: Interpreter, registers: CpuRegisters) -> int:
    machine.ram[FNLEN], machine.ram[FNADR], machine.ram[FNADR + 1] = registers.a, registers.x, registers.y
    return SHORT


def _name(machine: Interpreter) -> bytes:
    at = machine.memory.word(FNADR)
    return bytes(machine.ram[at : at + machine.ram[FNLEN]])


def _kernal(action: Callable[[Interpreter, CpuRegisters], None]) -> Routine:
    """Make a routine that tells of an error by the carry and its number in A."""

    def routine(machine: Interpreter, registers: CpuRegisters) -> int:
        before = machine.cycles
        _carry(registers, False)
        try:
            action(machine, registers)
        except BasicError as error:
            _carry(registers, True)
            registers.a = min(error.code, LAST_KERNAL_ERROR)
        taken, machine.cycles = machine.cycles - before, before
        return taken + 4 * SHORT

    return routine


def _open(machine: Interpreter, registers: CpuRegisters) -> None:
    ram = machine.ram
    machine.files.open(ram[LA], ram[FA], ram[SA], _name(machine))


def _close(machine: Interpreter, registers: CpuRegisters) -> None:
    machine.files.close(registers.a)


def _input_from(machine: Interpreter, registers: CpuRegisters) -> None:
    machine.files.input = machine.files.reader(registers.x)


def _output_to(machine: Interpreter, registers: CpuRegisters) -> None:
    machine.files.select(registers.x)


def _clear_channels(machine: Interpreter, registers: CpuRegisters) -> None:
    machine.files.input = None
    machine.files.deselect()


def _close_all(machine: Interpreter, registers: CpuRegisters) -> None:
    machine.files.clear()


def _load(machine: Interpreter, registers: CpuRegisters) -> None:
    """LOAD, or VERIFY if A is not 0; X and Y tell where to, if the secondary address is 0, and then the end."""
    ram, files = machine.ram, machine.files
    if registers.a:
        try:
            files.verify(_name(machine), ram[FA])
        except BasicError as error:
            if error.code != VERIFY:
                raise
            ram[STATUS] |= 16
        return
    start = None if ram[SA] else registers.x | registers.y << 8
    end = files.read_in(_name(machine), ram[FA], ram[SA], start)
    registers.x, registers.y = end & 255, end >> 8 & 255


def _save(machine: Interpreter, registers: CpuRegisters) -> None:
    """SAVE from the pointer in page 0 at A to X and Y."""
    start = machine.memory.word(registers.a)
    machine.files.save(_name(machine), machine.ram[FA], start, registers.x | registers.y << 8)


# Clock, memory, start.


def _read_clock(machine: Interpreter, registers: CpuRegisters) -> int:
    registers.y, registers.x, registers.a = machine.memory.jiffies(machine.cycles).to_bytes(3, "big")
    return SHORT


def _set_clock(machine: Interpreter, registers: CpuRegisters) -> int:
    machine.memory.set_jiffies(registers.y << 16 | registers.x << 8 | registers.a, machine.cycles)
    return SHORT


def _count_clock(machine: Interpreter, registers: CpuRegisters) -> int:
    machine.memory.set_jiffies(machine.memory.jiffies(machine.cycles) + 1, machine.cycles)
    return 2 * SHORT


def _limit(low: int) -> Routine:
    """Make MEMTOP or MEMBOT: tell, or with the carry clear set, the pointer at `low`."""

    def routine(machine: Interpreter, registers: CpuRegisters) -> int:
        ram = machine.ram
        if registers.p & CARRY:
            registers.x, registers.y = ram[low], ram[low + 1]
        else:
            ram[low], ram[low + 1] = registers.x, registers.y
        return SHORT

    return routine


def _where_io(machine: Interpreter, registers: CpuRegisters) -> int:
    registers.x, registers.y = CONTROL_PORT, CONTROL_PAGE
    return SHORT


def _restore_vectors(machine: Interpreter, registers: CpuRegisters) -> int:
    machine.memory.restore_vectors()
    return 31 * SHORT


def _nothing(machine: Interpreter, registers: CpuRegisters) -> int:
    """Stand for a routine that changes nothing that a program here could notice."""
    return SHORT


def _end(machine: Interpreter, registers: CpuRegisters) -> int:
    """Reset, warm start and READY: the program is over."""
    machine.end(machine.statement_position)
    return 0


# BASIC.


def _next_statement(machine: Interpreter, registers: CpuRegisters) -> int:
    """NEWSTT itself. BASIC goes on behind the SYS, one return address deeper in the stack."""
    return 0


def _error(machine: Interpreter, registers: CpuRegisters) -> int:
    """ERROR with the number in X; READY from 128 on."""
    if registers.x not in TEXTS:
        machine.end(machine.statement_position)
    raise BasicError(registers.x)


def _syntax_error(machine: Interpreter, registers: CpuRegisters) -> int:
    raise BasicError(SYNTAX)


def _clr(machine: Interpreter, registers: CpuRegisters) -> int:
    return _billed(machine, machine.clear)


def _new(machine: Interpreter, registers: CpuRegisters) -> int:
    machine.new()
    return 0


def _relink(machine: Interpreter, registers: CpuRegisters) -> int:
    """LNKPRG: make the links between the lines anew."""
    return _billed(machine, machine.relink)


def _to_start(machine: Interpreter, registers: CpuRegisters) -> int:
    """STXTPT: the text pointer goes before the first line."""
    machine.memory.set_word(TXTPTR, machine.memory.word(TXTTAB) - 1)
    return SHORT


def _print_string(machine: Interpreter, registers: CpuRegisters) -> int:
    """STROUT: print the characters from A and Y on, up to a zero or a quote."""
    at = registers.a | registers.y << 8
    text = bytes(machine.ram[at : at + 255]).partition(b"\0")[0].partition(b'"')[0]
    return _billed(machine, lambda: machine.printer.text(text))


def _print_integer(machine: Interpreter, registers: CpuRegisters) -> int:
    """LINPRT: print the number X + 256 * A."""
    text, cycles = f40.fout(f40.fac_from_int(registers.a << 8 | registers.x))
    return cycles + _billed(machine, lambda: machine.printer.text(text.lstrip()))


def _billed(machine: Interpreter, action: Callable[[], object]) -> int:
    """Do what counts its own cycles. Returns them."""
    before = machine.cycles
    action()
    taken, machine.cycles = machine.cycles - before, before
    return taken


def _expression(machine: Interpreter, number: bool) -> tuple[f40.Fac | int, int]:
    """Evaluate what stands at the text pointer. Returns a number or a string's descriptor, and the cycles."""
    ram, memory = machine.ram, machine.memory
    text = Text(ram, memory.word(TXTPTR))
    expressions = Expressions(machine, text)
    node = expressions.number() if number else expressions.evaluate()
    if text.error:
        node = expressions.failing(node)
    before = machine.cycles
    value = node.run()
    taken, machine.cycles = machine.cycles - before, before
    memory.set_word(TXTPTR, text.position)
    ram[VALTYP] = 255 if isinstance(value, int) else 0
    if isinstance(value, int):
        memory.set_word(FACMO, value)
    else:
        store_fac(ram, value)
    return value, taken + text.take()


def _evaluate(machine: Interpreter, registers: CpuRegisters) -> int:
    return _expression(machine, number=False)[1]


def _evaluate_number(machine: Interpreter, registers: CpuRegisters) -> int:
    return _expression(machine, number=True)[1]


def _check_comma(machine: Interpreter, registers: CpuRegisters) -> int:
    text = Text(machine.ram, machine.memory.word(TXTPTR))
    text.expect(ord(","))
    if text.error:
        raise BasicError(text.error)
    machine.memory.set_word(TXTPTR, text.position)
    registers.a = text.char
    return text.take()


def _next_byte(machine: Interpreter, registers: CpuRegisters) -> int:
    """GTBYTC: step over a character, then GETBYT."""
    text = Text(machine.ram, machine.memory.word(TXTPTR))
    text.get()
    machine.memory.set_word(TXTPTR, text.position)
    return text.take() + _byte(machine, registers)


def _byte(machine: Interpreter, registers: CpuRegisters) -> int:
    """GETBYT: a number of 0 to 255 into X."""
    _, cycles = _expression(machine, number=True)
    registers.x, more = f40.conint(load_fac(machine.ram))
    machine.ram[FACMO + 1] = registers.x
    return cycles + more


def _comma_byte(machine: Interpreter, registers: CpuRegisters) -> int:
    """COMBYT."""
    return _check_comma(machine, registers) + _byte(machine, registers) + JSR


def _address(machine: Interpreter, registers: CpuRegisters) -> int:
    """GETADR: the accumulator as an address, to 20 and 21, Y and A."""
    value, cycles = f40.getadr(load_fac(machine.ram))
    machine.memory.set_word(LINNUM, value)
    registers.y, registers.a = value & 255, value >> 8
    return cycles + 2 * RTS


def _address_and_byte(machine: Interpreter, registers: CpuRegisters) -> int:
    """GETNUM: an address to 20 and 21, a comma, a byte into X, as POKE has them."""
    cycles = _evaluate_number(machine, registers) + _address(machine, registers)
    return cycles + _comma_byte(machine, registers)


ROUTINES: dict[int, Routine] = {
    # BASIC
    0xA437: _error, 0xA474: _end, 0xA533: _relink, 0xA642: _new, 0xA65E: _clr, 0xA68E: _to_start,
    0xA7AE: _next_statement, 0xAB1E: _print_string, 0xAD8A: _evaluate_number, 0xAD9E: _evaluate,
    0xAEFD: _check_comma, 0xAF08: _syntax_error, 0xB79B: _next_byte, 0xB79E: _byte, 0xB7EB: _address_and_byte,
    0xB7F1: _comma_byte, 0xB7F7: _address, 0xBDCD: _print_integer, 0xE37B: _end, 0xE38B: _error, 0xE394: _end,
    **FLOAT_ROUTINES,
    # the screen editor
    0xE50A: _plot, 0xE510: _set_pointers, 0xE544: _clear_screen, 0xE566: _home, 0xE56C: _set_pointers,
    0xE716: _print_on_screen, 0xE8EA: _scroll, 0xE9FF: _clear_line, 0xEA87: _nothing,
    # what the jump table leads to
    0xF13E: _get_key, 0xF157: _read, 0xF1CA: _print, 0xF20E: _kernal(_input_from), 0xF250: _kernal(_output_to),
    0xF333: _kernal(_clear_channels), 0xFCE2: _end, 0xFDA3: _nothing, 0xFD15: _restore_vectors, 0xFE66: _end,
    # the jump table
    0xFF81: _clear_screen, 0xFF84: _nothing, 0xFF87: _nothing, 0xFF8A: _restore_vectors, 0xFF90: _nothing,
    0xFF99: _limit(0x0283), 0xFF9C: _limit(0x0281), 0xFF9F: _nothing, 0xFFA2: _nothing, 0xFFB7: _status,
    0xFFBA: _set_file, 0xFFBD: _set_name, 0xFFC0: _kernal(_open), 0xFFC3: _kernal(_close),
    0xFFC6: _kernal(_input_from), 0xFFC9: _kernal(_output_to), 0xFFCC: _kernal(_clear_channels), 0xFFCF: _read,
    0xFFD2: _print, 0xFFD5: _kernal(_load), 0xFFD8: _kernal(_save), 0xFFDB: _set_clock, 0xFFDE: _read_clock,
    0xFFE1: _stop_key, 0xFFE4: _get_key, 0xFFE7: _kernal(_close_all), 0xFFEA: _count_clock, 0xFFED: _size,
    0xFFF0: _plot, 0xFFF3: _where_io,
}  # fmt: skip
"""Address -> stand-in."""


NAMES = {
    0xA000: "start vectors", 0xA38A: "search the stack for FOR", 0xA408: "check memory", 0xA560: "input a line",
    0xA579: "tokenise", 0xA613: "search a line", 0xA69C: "LIST", 0xA871: "RUN", 0xA8A0: "GOTO", 0xA9A5: "LET",
    0xAA9A: "PRINT", 0xB08B: "find a variable", 0xB487: "make a string", 0xB6A3: "free a string",
    0xE5A0: "set up the VIC", 0xE5B4: "take a key",
    0xEA31: "timer interrupt", 0xEB1E: "read the keyboard's matrix", 0xED09: "TALK", 0xED0C: "LISTEN",
    0xEDDD: "CIOUT", 0xEE13: "ACPTR", 0xF49E: "LOAD", 0xF5DD: "SAVE", 0xF6ED: "STOP", 0xFF8D: "VECTOR",
    0xFF93: "SECOND", 0xFF96: "TKSA", 0xFFA5: "ACPTR", 0xFFA8: "CIOUT", 0xFFAB: "UNTLK", 0xFFAE: "UNLSN",
    0xFFB1: "LISTEN", 0xFFB4: "TALK",
}  # fmt: skip
"""Address -> name of a routine that nothing stands for."""


def name_of(address: int) -> str:
    """Return how a ROM address is called in a message."""
    where = "BASIC" if address < 0xC000 else "KERNAL"
    name = NAMES.get(address)
    return f"{where} routine {f'{name!r} ' if name else ''}at {address} (${address:04X})"
