"""The C64 that tunes run on: both cores of the 6510 with everything that a program can reach from them.

`run_exact` goes bus cycle by bus cycle. `run_fast` runs whole instructions from one event to the next: interrupts come
with the cycle, bad lines stop the CPU, but a write beside a bad line may be off by a cycle or two, and sprites take no
time. Both leave off between two cycles or instructions, so that one can go on where the other has stopped.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sidlearn import clock, registers
from sidlearn._kernel import inline_kernel, kernel
from sidlearn.c64 import cia, vic
from sidlearn.c64.cia import clock_cia, quiet_cycles, read_cia, skip_cia, write_cia
from sidlearn.c64.cia import cycles_to_event as cia_event
from sidlearn.c64.vic import (
    clock_vic,
    cycles_to_bad_line,
    cycles_to_interrupt,
    quiet_beam,
    read_vic,
    skip_vic,
    takes_the_bus,
    write_vic,
)
from sidlearn.cpu.kernel import begin_at, byte, clock_cpu, port_setting, put_event, read_port, run_flat, write_port
from sidlearn.cpu.microcode import FETCH, step_records
from sidlearn.cpu.opcodes import INTERRUPT, opcode_records
from sidlearn.cpu.state import (
    EVENT_DTYPE,
    FULL,
    IO,
    IO_BASE,
    JAMMED,
    LOG_WRITE,
    RAM,
    REACHED,
    READS_IO,
    ROM,
    STOP_READ,
    STOP_WRITE,
    TRAPPED,
    WRITES_IO,
    cpu_state,
    memory_map,
)

NMI_ON = 6
"""Why `run_fast` has stopped, beside the reasons of `run_flat`: the tune has let CIA 2 interrupt."""

SID_AT, SID_END, COLOR_AT, CIA_AT, FREE_AT = 0xD400, 0xD800, 0xD800, 0xDC00, 0xDE00
FIRST_ROM = 0xA000
"""Below it all is RAM, but for the CPU's port."""
SLOT_BYTES = 32
SLOTS = (SID_END - SID_AT + 0xE000 - FREE_AT) // SLOT_BYTES
FREE_SLOT = (SID_END - SID_AT) // SLOT_BYTES
NO_SID = 255
OSC3, ENV3, POTX, POTY = registers.OSC3, registers.ENV3, registers.POTX, registers.POTY
BAD_LINE_CYCLES = vic.BA_TO - vic.BA_FROM
SEEN_AFTER = 2
"""An interrupt line has to be on for two cycles before an instruction ends to be taken behind it."""
JUMP_CYCLES, JUMP_OPCODE = 3, 0x4C
EVENTS = 1 << 16
OPEN_BUS = 0xFF

STATE_DTYPE = np.dtype(
    [
        ("chips_cycle", "i8"),  # how far the chips have been clocked
        ("clocked", "i8"),  # 1: they have for the bus cycle under way
        ("idle", "i8"),  # address of a ``JMP *`` in which the program only waits for interrupts
        ("sid_bus", "i8"),  # the value that was last written to a SID, which its other registers read as
        ("stop_at_nmi", "i8"),  # 1: stop when CIA 2 may interrupt
        ("slots", "u1", (SLOTS,)),  # which SID answers in 32 bytes of $D400-$D7FF and $DE00-$DFFF
        ("color", "u1", (0x400,)),
    ],
    align=True,
)


class Machine(NamedTuple):
    """All parts; each a record array, `cias` of two, `events` the writes to the SIDs that nobody has fetched yet."""

    cpu: np.recarray
    ram: np.ndarray
    maps: np.recarray
    opcodes: np.recarray
    steps: np.recarray
    cias: np.recarray
    vic: np.recarray
    state: np.recarray
    events: np.recarray


def power_on(video: clock.Video, sid_addresses: tuple[int, ...] = (SID_AT,)) -> Machine:
    """Return a machine with empty memory and no ROMs, its first SID everywhere in $D400-$D7FF where no other is."""
    maps = memory_map()
    hooks = maps[0].hooks
    hooks[:] = STOP_READ | STOP_WRITE | LOG_WRITE
    state = np.zeros(1, STATE_DTYPE).view(np.recarray)
    slots = state[0].slots
    slots[:FREE_SLOT], slots[FREE_SLOT:] = 0, NO_SID
    for number, address in enumerate(sid_addresses[1:], 1):
        slots[slot_of(address)] = number
    for slot in np.flatnonzero(slots != NO_SID):
        first = (
            SID_AT + slot * SLOT_BYTES if slot < FREE_SLOT else FREE_AT + (slot - FREE_SLOT) * SLOT_BYTES
        ) - IO_BASE
        hooks[first : first + SLOT_BYTES] = STOP_READ | LOG_WRITE
    state.idle = -1
    return Machine(
        cpu_state(),
        np.zeros(0x10000, np.uint8),
        maps,
        opcode_records(),
        step_records(),
        cia.power_on(video),
        vic.power_on(video),
        state,
        np.zeros(EVENTS, EVENT_DTYPE).view(np.recarray),
    )


# --- The bus -------------------------------------------------------------------------------------------------------


@inline_kernel
def slot_of(address):
    """Index into `slots` of an address in $D400-$D7FF or $DE00-$DFFF."""
    return (address - SID_AT) >> 5 if address < SID_END else FREE_SLOT + ((address - FREE_AT) >> 5)


@kernel
def asks_the_sid(state, address):
    """Whether a read needs the chip itself."""
    if address < SID_AT or SID_END <= address < FREE_AT or state.slots[slot_of(address)] == NO_SID:
        return False
    return address & 0x1F in (OSC3, ENV3)


@kernel
def read_io(machine, address):
    """Read from a chip, but for OSC3 and ENV3."""
    state = machine.state[0]
    if address < SID_AT:
        return read_vic(machine.vic[0], address & 0x3F)
    if COLOR_AT <= address < CIA_AT:
        return byte(state.color, address & 0x3FF) | 0xF0
    if CIA_AT <= address < FREE_AT:
        return read_cia(machine.cias[(address - CIA_AT) >> 8], address & 0xF)
    if state.slots[slot_of(address)] == NO_SID or address & 0x1F in (POTX, POTY):
        return OPEN_BUS
    return state.sid_bus


@kernel
def write_io(machine, address, value, cycle):
    """Write to a chip; a write to a SID goes into the log."""
    state = machine.state[0]
    if address < SID_AT:
        write_vic(machine.vic[0], address & 0x3F, value)
    elif COLOR_AT <= address < CIA_AT:
        state.color[address & 0x3FF] = value & 0xF
    elif CIA_AT <= address < FREE_AT:
        write_cia(machine.cias[(address - CIA_AT) >> 8], address & 0xF, value)
    elif state.slots[slot_of(address)] != NO_SID:
        state.sid_bus = value
        put_event(machine.cpu[0], machine.events, cycle, address, value)


@inline_kernel
def read(machine, address):
    """Read what the CPU sees at an address."""
    cpu, memory = machine.cpu[0], machine.maps[0]
    if address < 2:
        return read_port(cpu, address)
    page = memory.pages[port_setting(cpu) << 8 | address >> 8]
    if page == RAM:
        return byte(machine.ram, address)
    if page == IO:
        return read_io(machine, address)
    return byte(memory.rom, address)


@inline_kernel
def write(machine, address, value):
    """Write what the CPU has put on the bus."""
    cpu, memory = machine.cpu[0], machine.maps[0]
    if address < 2:
        write_port(cpu, machine.ram, address, value)
    elif memory.pages[port_setting(cpu) << 8 | address >> 8] == IO:
        write_io(machine, address, value, cpu.cycle + 1)
    else:
        machine.ram[address] = value


@inline_kernel
def is_io(machine, address):
    """Whether the CPU sees a chip there."""
    return machine.maps[0].pages[port_setting(machine.cpu[0]) << 8 | address >> 8] == IO


# --- Single cycles ---------------------------------------------------------------------------------------------------


@kernel
def run_exact(machine, until):
    """Run bus cycles until `until` of `cpu.cycle`.

    Returns
    -------
    status : int
        `REACHED`, `FULL`, `JAMMED`; `TRAPPED` before an instruction in a part of the ROM that holds none, at
        `cpu.address`; `READS_IO`: the SID is asked for `cpu.address`, call again with the value in `maps.io` and
        `cpu.answered` set.
    """
    cpu, beam, state, memory = machine.cpu[0], machine.vic[0], machine.state[0], machine.maps[0]
    cia1, cia2 = machine.cias[0], machine.cias[1]
    room = len(machine.events) - 2
    while cpu.cycle < until:
        if cpu.filled > room:
            return FULL
        if not state.clocked:
            quiet = min(quiet_cycles(cia1), quiet_cycles(cia2), quiet_beam(beam), until - cpu.cycle)
            if quiet >= JUMP_CYCLES:
                run_quiet(machine, quiet)
                if cpu.jammed:
                    return JAMMED
                if not state.clocked:
                    continue
            else:
                clock_vic(beam)
                clock_cia(cia1)
                clock_cia(cia2)
                state.chips_cycle += 1
                state.clocked = 1
                set_bus_lines(machine)
            if memory.traps[cpu.address] and at_trap(machine):
                return TRAPPED
        set_bus_lines(machine)
        data = cpu.output
        if cpu.writing:
            write(machine, cpu.address, data)
        elif not cpu.stall:
            if cpu.address >= SID_AT and asks_the_sid(state, cpu.address) and is_io(machine, cpu.address):
                if not cpu.answered:
                    return READS_IO
                cpu.answered = 0
                data = byte(memory.io, cpu.address - IO_BASE)
            else:
                data = read(machine, cpu.address)
        state.clocked = 0
        clock_cpu(cpu, machine.opcodes, machine.steps, data)
        if cpu.jammed:
            return JAMMED
    return REACHED


@kernel
def at_trap(machine):
    """Whether this cycle fetches an opcode from a part of the ROM that holds none."""
    cpu = machine.cpu[0]
    if machine.steps[cpu.step].bus != FETCH or cpu.forced:
        return False
    return machine.maps[0].pages[port_setting(cpu) << 8 | cpu.address >> 8] == ROM


@inline_kernel
def set_bus_lines(machine):
    """What the CPU sees of the chips in this cycle."""
    cpu, beam = machine.cpu[0], machine.vic[0]
    cpu.irq = 1 if machine.cias[0].irq or beam.flags & beam.mask else 0
    cpu.nmi = machine.cias[1].irq
    cpu.stall = takes_the_bus(beam)


@kernel
def is_waiting(machine):
    """Whether the CPU is about to jump to where it stands, and no interrupt is on its way."""
    cpu = machine.cpu[0]
    if machine.steps[cpu.step].bus != FETCH or cpu.forced or cpu.due or cpu.nmi_latched or cpu.opcode != JUMP_OPCODE:
        return False
    return cpu.nmi == cpu.nmi_before and (cpu.p & INTERRUPT or not cpu.irq)


@kernel
def run_quiet(machine, cycles):
    """Run up to `cycles` cycles in which no chip does anything but count.

    Ends early at an access to a chip or a trap, with the chips clocked for that cycle and `clocked` set.
    """
    cpu, state, memory, ram = machine.cpu[0], machine.state[0], machine.maps[0], machine.ram
    steps, opcodes = machine.steps, machine.opcodes
    now = cpu.cycle
    skip_vic(machine.vic[0], 1)
    set_bus_lines(machine)
    skip_vic(machine.vic[0], -1)
    setting = port_setting(cpu) << 8
    if cpu.stall and not cpu.writing:
        clock_cpu(cpu, opcodes, steps, 0)
        cpu.cycle += cycles - 1
        skip_chips(machine, cpu.cycle)
        return
    if cpu.address == state.idle and is_waiting(machine):
        cpu.cycle += cycles // JUMP_CYCLES * JUMP_CYCLES  # every turn leaves the CPU as it was
        skip_chips(machine, cpu.cycle)
        return
    for passed in range(cycles):
        address = cpu.address
        data = cpu.output
        if not 2 <= address < FIRST_ROM and (address < 2 or memory.pages[setting | address >> 8] != RAM):
            if address < 2 or memory.pages[setting | address >> 8] == IO or memory.traps[address]:
                skip_chips(machine, now + passed + 1)
                state.clocked = 1
                return
            if cpu.writing:
                ram[address] = data
            else:
                data = byte(memory.rom, address)
        elif cpu.writing:
            ram[address] = data
        else:
            data = byte(ram, address)
        clock_cpu(cpu, opcodes, steps, data)
        if cpu.jammed:
            break
    skip_chips(machine, cpu.cycle)


# --- Whole instructions ----------------------------------------------------------------------------------------------


@kernel
def skip_chips(machine, until):
    """Clock the chips until `until`."""
    state = machine.state[0]
    cycles = until - state.chips_cycle
    if cycles > 0:
        skip_vic(machine.vic[0], cycles)
        skip_cia(machine.cias[0], cycles)
        skip_cia(machine.cias[1], cycles)
        state.chips_cycle = until


@kernel
def set_lines(machine):
    """Put the chips' interrupts on the CPU's lines."""
    cpu, beam = machine.cpu[0], machine.vic[0]
    cpu.irq = 1 if machine.cias[0].irq or beam.flags & beam.mask else 0
    cpu.nmi = machine.cias[1].irq
    if cpu.nmi and not cpu.nmi_before:
        cpu.nmi_latched = 1
    cpu.nmi_before = cpu.nmi


@kernel
def next_event(machine):
    """Cycle at which an interrupt line may change by itself."""
    cycles = min(cycles_to_interrupt(machine.vic[0]), cia_event(machine.cias[0]))
    return machine.state[0].chips_cycle + min(cycles, cia_event(machine.cias[1]))


@kernel
def take_writes(machine):
    """Hand the writes at the end of the log that are not for a SID to their chips."""
    cpu, state, events = machine.cpu[0], machine.state[0], machine.events
    first = cpu.filled
    while first > 0 and not is_sid(state, np.int64(events[first - 1].address)):
        first -= 1
    last = cpu.filled
    for n in range(first, last):
        address, value = np.int64(events[n].address), np.int64(events[n].value)
        cpu.filled = n
        write_io(machine, address, value, np.int64(events[n].cycle))
    cpu.filled = first


@kernel
def is_sid(state, address):
    """Whether a write there goes into the log."""
    return (SID_AT <= address < SID_END or address >= FREE_AT) and state.slots[slot_of(address)] != NO_SID


@kernel
def run_fast(machine, until):
    """Run whole instructions until `until` of `cpu.cycle`.

    Returns
    -------
    status : int
        As `run_exact`, with the instruction at `cpu.pc` in place of the one at `cpu.address`; `NMI_ON` when
        `stop_at_nmi` is set and CIA 2 may interrupt from now on.
    """
    cpu, beam, state, memory = machine.cpu[0], machine.vic[0], machine.state[0], machine.maps[0]
    while cpu.cycle < until:
        skip_chips(machine, cpu.cycle)
        set_lines(machine)
        idle = cpu.pc == state.idle and not cpu.nmi_latched and not (cpu.irq and not cpu.p & INTERRUPT)
        event = next_event(machine) + SEEN_AFTER
        if idle:
            waits = max(min(event, until) - cpu.cycle, 1)
            cpu.cycle += (waits + JUMP_CYCLES - 1) // JUMP_CYCLES * JUMP_CYCLES
            cpu.flag_late = 0
            skip_chips(machine, cpu.cycle)
            if takes_the_bus(beam):
                cpu.cycle += vic.BA_TO - beam.column  # the jump has been waiting since the bad line began
            continue
        if takes_the_bus(beam):
            cpu.cycle += BAD_LINE_CYCLES
            continue
        bad = state.chips_cycle + max(cycles_to_bad_line(beam), 1)
        status = run_flat(cpu, machine.ram, memory, machine.opcodes, machine.events, min(event, bad, until))
        if status == READS_IO:
            address = cpu.address
            if asks_the_sid(state, address):
                return READS_IO
            skip_chips(machine, cpu.access_cycle)
            if cpu.filled:
                state.sid_bus = machine.events[cpu.filled - 1].value
            memory.io[address - IO_BASE] = read_io(machine, address)
            cpu.answered = 1
        elif status == WRITES_IO:
            skip_chips(machine, cpu.access_cycle)
            take_writes(machine)
            if state.stop_at_nmi and machine.cias[1].mask:
                return NMI_ON
        elif status == TRAPPED and cpu.pc == state.idle:
            cpu.flag_late = 0  # the jump has looked at the interrupt flag as it is now
        elif status in (FULL, JAMMED, TRAPPED):
            return status
    return REACHED


@kernel
def change_to_cycles(machine):
    """Go on with `run_exact` where `run_fast` has stopped."""
    skip_chips(machine, machine.cpu[0].cycle)
    nmi = machine.cpu[0].nmi_latched
    begin_at(machine.cpu[0], machine.cpu[0].pc)
    machine.cpu[0].nmi_latched = nmi
    machine.state[0].clocked = 0
