"""The core that runs single bus cycles: against the other core, and against what the manuals say of every cycle."""

from __future__ import annotations

import numpy as np
import pytest

from sidlearn._kernel import kernel as compiled
from sidlearn.cpu import kernel, state
from sidlearn.cpu import opcodes as o
from sidlearn.cpu.microcode import DECODE, FETCH, FIRST_FETCH, STEPS, step_records, steps_of
from tests.cpu.machine import OPCODES, REGISTERS, Bus, Flat
from tests.cpu.machine import STEPS as STEP_TABLE

# --- The lists of steps --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", o.OPCODES, ids=lambda c: f"{c.number:02X}-{c.mnemonic}")
def test_steps_are_as_many_as_the_opcode_table_has_cycles(opcode):
    steps, operates = steps_of(opcode)
    optional = {o.BRANCH: 2}.get(opcode.kind, int(opcode.page_cycle))
    if opcode.mnemonic != "JAM":
        assert 1 + len(steps) - optional == opcode.cycles
    assert (operates >= 0) == (opcode.kind not in (o.BRANCH, o.FLOW))


def test_every_list_ends_with_a_fetch():
    records = step_records()
    assert len(records) == FIRST_FETCH + 1
    ends = records[[*range(STEPS - 1, FIRST_FETCH, STEPS), FIRST_FETCH]]
    assert set(ends.bus.tolist()) == {FETCH}
    assert set(ends.action.tolist()) == {DECODE}


# --- One core against the other ------------------------------------------------------------------------------------


@compiled
def compare(flat, bus, flat_ram, bus_ram, maps, events, opcodes, steps, instructions):
    """Run both cores instruction by instruction; return how many agree in all registers and cycles."""
    kernel.begin_at(bus, flat.pc)
    for n in range(instructions):
        if kernel.run_flat(flat, flat_ram, maps, opcodes, events, flat.cycle + 1) != 0:
            return n
        while bus.cycle < flat.cycle:
            data = bus.output
            if bus.writing:
                bus_ram[bus.address] = data
            else:
                data = kernel.byte(bus_ram, bus.address)
            kernel.clock_cpu(bus, opcodes, steps, data)
        same = bus.a == flat.a and bus.x == flat.x and bus.y == flat.y and bus.sp == flat.sp and bus.p == flat.p
        at_fetch = steps[bus.step].bus == FETCH and bus.address == flat.pc
        bus_ram[0], bus_ram[1] = flat_ram[0], flat_ram[1]  # the plain machine around this core has no port
        if not (same and at_fetch and bus.cycle == flat.cycle):
            return -n - 1
    return instructions


@pytest.mark.parametrize("seed", range(60))
def test_both_cores_agree_on_random_code(seed):
    """All 256 opcodes but JAM, in random RAM, with random registers; a JAM met in data ends the stretch."""
    random = np.random.default_rng(seed)
    flat, bus = Flat(), Bus()
    total = 0
    for stretch in range(200):
        ram = random.integers(0, 256, 0x10000, np.uint8) if stretch % 20 == 0 else flat.ram
        jams = np.isin(ram, [code.number for code in o.OPCODES if code.mnemonic == "JAM"])
        ram[jams] = 0xEA
        ram[0:2] = 0x2F, 0x37
        flat.ram[:] = ram
        bus.ram[:] = ram
        pc, a, x, y, sp, p = random.integers(0, (0x10000, 256, 256, 256, 256, 256)).tolist()
        for cpu in (flat.cpu, bus.cpu):
            cpu.pc, cpu.a, cpu.x, cpu.y, cpu.sp, cpu.p = pc, a, x, y, sp, p & ~o.BREAK | o.UNUSED
            cpu.cycle = cpu.flag_late = 0
            cpu.port_direction = cpu.port_data = 0xFF
        done = compare(flat.cpu, bus.cpu, flat.ram, bus.ram, flat.maps[0], flat.events, OPCODES, STEP_TABLE, 500)
        assert done >= 0, f"stretch {stretch}, instruction {-done}: {flat.registers()}"
        assert np.array_equal(flat.ram, bus.ram)
        total += done
    assert total > 10_000


def test_random_code_meets_every_opcode():
    """The test above covers all opcodes: random bytes are opcodes in equal shares."""
    random = np.random.default_rng(0)
    seen = set(random.integers(0, 256, 0x10000).tolist())
    assert len(seen) == 256


# --- Every cycle on the bus ----------------------------------------------------------------------------------------


def accesses(source: str, cycles: int, ram: dict[int, int] | None = None, **registers: int) -> list[str]:
    bus = Bus()
    bus.load(source)
    for address, value in (ram or {}).items():
        bus.ram[address] = value
    for name, value in registers.items():
        bus.cpu[name] = value
    for _ in range(cycles):
        bus.cycle()
    assert STEP_TABLE[bus.cpu.step].bus == FETCH
    return [f"{kind}{address:04X}={data:02X}" for kind, address, data in bus.accesses]


# Source: MCS6500 Hardware Manual, appendix A; dummy reads of the NMOS chip: "64doc".
CYCLES = [
    ("LDA $1234", {}, "RC000=AD RC001=34 RC002=12 R1234=00"),
    ("LDA $12F0,X", {"x": 0x20}, "RC000=BD RC001=F0 RC002=12 R1210=00 R1310=00"),
    ("LDA $12F0,X", {"x": 0x0F}, "RC000=BD RC001=F0 RC002=12 R12FF=00"),
    ("STA $1200,X", {"x": 0x0F, "a": 7}, "RC000=9D RC001=00 RC002=12 R120F=00 W120F=07"),
    ("INC $1234", {}, "RC000=EE RC001=34 RC002=12 R1234=00 W1234=00 W1234=01"),
    ("INC $12F0,X", {"x": 0x20}, "RC000=FE RC001=F0 RC002=12 R1210=00 R1310=00 W1310=00 W1310=01"),
    ("LDA $F0,X", {"x": 0x20}, "RC000=B5 RC001=F0 R00F0=00 R0010=00"),
    ("LDA ($F0,X)", {"x": 0x20}, "RC000=A1 RC001=F0 R00F0=00 R0010=00 R0011=00 R0000=00"),
    ("LDA ($FF),Y", {"y": 1}, "RC000=B1 RC001=FF R00FF=00 R0000=00 R0001=00"),
    ("STA ($F0),Y", {"y": 1, "a": 9}, "RC000=91 RC001=F0 R00F0=00 R00F1=00 R0001=00 W0001=09"),
    ("INX", {}, "RC000=E8 RC001=00"),
    ("PHA", {"a": 5}, "RC000=48 RC001=00 W01FF=05"),
    ("PLA", {}, "RC000=68 RC001=00 R01FF=00 R0100=00"),
    ("JSR $1234", {}, "RC000=20 RC001=34 R01FF=00 W01FF=C0 W01FE=02 RC002=12"),
    ("RTS", {}, "RC000=60 RC001=00 R01FF=00 R0100=00 R0101=00 R0000=00"),
    ("RTI", {}, "RC000=40 RC001=00 R01FF=00 R0100=00 R0101=00 R0102=00"),
    ("BRK", {"p": 0x20}, "RC000=00 RC001=00 W01FF=C0 W01FE=02 W01FD=30 RFFFE=00 RFFFF=00"),
    ("JMP ($12FF)", {}, "RC000=6C RC001=FF RC002=12 R12FF=00 R1200=00"),
    ("BNE *+2", {"p": 0x20}, "RC000=D0 RC001=00 RC002=00"),
    ("BNE *-1", {"p": 0x20}, "RC000=D0 RC001=FD RC002=00 RC0FF=00"),
    ("BNE *+2", {"p": 0x22}, "RC000=D0 RC001=00"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "registers", "expected"), CYCLES, ids=[f"{c[0]} {c[1]}" for c in CYCLES])
def test_every_cycle_is_the_access_of_the_hardware_manual(source, registers, expected):
    assert accesses(source, len(expected.split()), **registers) == expected.split()


# --- Interrupts ----------------------------------------------------------------------------------------------------


def interrupted_at(source: str, irq_from: int, nmi: bool = False, p: int = o.UNUSED, cycles: int = 40, **lines):
    """Run with IRQ held (or NMI pulsed) from a cycle on; return the cycle of the handler's first fetch, and the bus."""
    bus = Bus()
    bus.load(source)
    bus.cpu.p = p
    bus.ram[0xFFFA:0x10000] = 0x00, 0x30, 0, 0, 0x00, 0x20
    for handler in (0x2000, 0x3000):  # NOP, then a loop
        bus.ram[handler : handler + 4] = 0xEA, 0x4C, 0x01, handler >> 8
    for cycle in range(cycles):
        active = int(cycle >= irq_from)
        bus.cycle(irq=0 if nmi else active, nmi=active if nmi else 0, **lines)
    fetches = [n for n, (_, address, _) in enumerate(bus.accesses) if address in (0x2000, 0x3000)]
    return (fetches[0] if fetches else None), bus


@pytest.mark.parametrize("nmi", [False, True])
@pytest.mark.parametrize(
    ("source", "late"),
    [
        # the last cycle in which the line may come up to be seen before the next instruction: the second last
        ("INX\n INX\n INX", 0),
        ("LDA $1234\n INX", 2),
        ("INC $1234\n INX", 4),
        ("JSR next\nnext: INX", 4),
    ],
)
def test_interrupts_are_seen_in_the_second_last_cycle(source, late, nmi):
    length = late + 2
    assert interrupted_at(source, late, nmi)[0] == length + 7
    assert interrupted_at(source, late + 1, nmi)[0] == length + 2 + 7  # one INX later


@pytest.mark.parametrize(
    ("irq_from", "expected"),
    [(0, 3 + 7), (1, 3 + 2 + 7), (2, 3 + 2 + 7), (3, 3 + 2 + 7), (4, 3 + 2 + 2 + 7)],
)
def test_a_branch_taken_in_its_page_looks_at_interrupts_in_its_first_cycle_only(irq_from, expected):
    assert interrupted_at("BNE next\nnext: INX\n INX\n INX", irq_from)[0] == expected


@pytest.mark.parametrize(("irq_from", "expected"), [(0, 4 + 7), (1, 4 + 7), (2, 4 + 7), (3, 4 + 2 + 7)])
def test_a_branch_to_another_page_looks_again_before_its_last_cycle(irq_from, expected):
    source = "* = $C0FC\n BNE next\n NOP\n NOP\nnext: INX\n INX"
    assert interrupted_at(source, irq_from)[0] == expected


def test_cli_and_plp_let_one_instruction_pass():
    assert interrupted_at("CLI\n INX\n INX", 0, p=o.UNUSED | o.INTERRUPT)[0] == 2 + 2 + 7
    assert interrupted_at("LDA #0\n PHA\n PLP\n INX", 0, p=o.UNUSED | o.INTERRUPT)[0] == 2 + 3 + 4 + 2 + 7


def test_sei_comes_too_late_for_an_irq_that_is_there():
    first, bus = interrupted_at("SEI\n INX", 0)
    assert first == 2 + 7
    assert bus.ram[0x1FD] == o.UNUSED | o.INTERRUPT


def test_rti_looks_at_interrupts_with_the_pulled_flag():
    source = "LDA #>next\n PHA\n LDA #<next\n PHA\n LDA #0\n PHA\n RTI\nnext: INX"
    assert interrupted_at(source, 0, p=o.UNUSED | o.INTERRUPT, cycles=60)[0] == 3 * 5 + 6 + 7


def test_an_interrupt_reads_its_opcode_twice_and_pushes_b_clear():
    _, bus = interrupted_at("NOP\n NOP", 0)
    sequence = [f"{kind}{address:04X}" for kind, address, _ in bus.accesses[2:9]]
    assert sequence == ["RC001", "RC001", "W01FF", "W01FE", "W01FD", "RFFFE", "RFFFF"]
    assert bus.ram[0x1FD:0x200].tolist() == [o.UNUSED, 0x01, 0xC0]


@pytest.mark.parametrize("nmi_from", range(5, 20))
def test_nmi_is_taken_once_however_long_the_line_is_held(nmi_from):
    _, bus = interrupted_at("loop: INX\n JMP loop", nmi_from, nmi=True, cycles=80)
    assert [address for _, address, _ in bus.accesses].count(0xFFFA) == 1


@pytest.mark.parametrize(("nmi_from", "vector"), [(0, 0x3000), (1, 0x3000), (3, 0x3000), (4, 0x2000), (5, 0x2000)])
def test_nmi_takes_over_a_brk_up_to_its_fourth_cycle(nmi_from, vector):
    bus = Bus()
    bus.load("BRK")
    bus.cpu.p = o.UNUSED
    bus.ram[0xFFFA:0x10000] = 0x00, 0x30, 0, 0, 0x00, 0x20
    for handler in (0x2000, 0x3000):  # NOP, then a loop
        bus.ram[handler : handler + 4] = 0xEA, 0x4C, 0x01, handler >> 8
    for cycle in range(20):
        bus.cycle(nmi=int(cycle >= nmi_from))
    addresses = [address for _, address, _ in bus.accesses]
    assert addresses[7] == vector
    assert bus.ram[0x1FD] & o.BREAK
    if vector == 0x2000:  # the handler's first instruction runs, then the NMI
        assert addresses[7 + 2 + 7] == 0x3000


def test_a_brk_ends_with_one_instruction_of_its_handler():
    _, bus = interrupted_at("BRK", 3)
    addresses = [address for _, address, _ in bus.accesses]
    assert addresses[7] == 0x2000
    assert addresses.count(0xFFFE) == 1  # the IRQ that came meanwhile is masked


# --- RDY -----------------------------------------------------------------------------------------------------------


def test_reads_wait_for_rdy_and_writes_do_not():
    bus = Bus()
    bus.load("INC $1234\n NOP")
    for cycle in range(12):
        bus.cycle(stall=int(3 <= cycle < 7))
    assert [f"{kind}{address:04X}" for kind, address, _ in bus.accesses][:11] == [
        "RC000", "RC001", "RC002", "R1234", "R1234", "R1234", "R1234", "R1234", "W1234", "W1234", "RC003",
    ]  # fmt: skip
    bus = Bus()
    bus.load("INC $1234\n NOP")
    for cycle in range(9):
        bus.cycle(stall=int(cycle >= 4))
    after = [f"{kind}{address:04X}" for kind, address, _ in bus.accesses][4:]
    assert after == ["W1234", "W1234", "RC003", "RC003", "RC003"]
    assert bus.ram[0x1234] == 1


def test_a_stall_changes_nothing_but_time():
    random = np.random.default_rng(3)
    program = """
        LDX #0
loop:   INX
        STX $40
        LDA $40,X
        ADC ($42),Y
        STA $1200,X
        ROL $1200,X
        JSR sub
        JMP loop
sub:    PHA
        PLA
        RTS
    """
    plain, stalled = Bus(), Bus()
    for bus in (plain, stalled):
        bus.load(program)
    for _ in range(3000):
        plain.cycle()
    for _ in range(6000):
        stalled.cycle(stall=int(random.random() < 0.5))
    writes = [[access for access in bus.accesses if access[0] == "W"] for bus in (plain, stalled)]
    common = min(map(len, writes))
    assert common > 300
    assert writes[0][:common] == writes[1][:common]


def test_a_stall_before_the_store_of_shx_hides_the_high_byte():
    for stall, value in ((0, 0xFF & 0x13), (1, 0xFF)):
        bus = Bus()
        bus.load("SHX $1234,Y")
        bus.cpu.x = 0xFF
        for cycle in range(5 + stall):
            bus.cycle(stall=stall * int(cycle == 3))
        assert bus.ram[0x1234] == value


@pytest.mark.parametrize(
    ("program", "flag", "irq_from", "stall", "first"),
    [
        # the second cycle of CLI or SEI is held in cycles 1 to 5, and over in cycle 6
        ("CLI\n INX\n INX", o.INTERRUPT, 0, (1, 6), 7 + 7),  # without the hold INX would run first
        ("CLI\n INX\n INX", o.INTERRUPT, 4, (1, 6), 7 + 7),
        ("CLI\n INX\n INX", o.INTERRUPT, 6, (1, 6), 9 + 7),
        ("SEI\n INX\n INX", 0, 0, (1, 6), 7 + 7),
        ("SEI\n INX\n INX", 0, 1, (1, 6), None),
        ("SEI\n INX\n INX", 0, 4, (1, 6), None),
        ("INX\n INX\n INX", 0, 5, (1, 6), 7 + 7),  # seen in the last cycle but one on the clock
        ("INX\n INX\n INX", 0, 6, (1, 6), 9 + 7),
    ],
)
def test_interrupts_are_looked_at_while_rdy_holds_a_cycle(program, flag, irq_from, stall, first):
    """As a real C64 does in the VICE test programs interrupts/irqdma."""
    bus = Bus()
    bus.load(program)
    bus.cpu.p = o.UNUSED | flag
    bus.ram[0xFFFE:0x10000] = 0x00, 0x20
    bus.ram[0x2000:0x2003] = 0x4C, 0x00, 0x20
    bus.ram[0xC003:0xC006] = 0x4C, 0x03, 0xC0
    for cycle in range(30):
        bus.cycle(irq=int(cycle >= irq_from), stall=int(stall[0] <= cycle < stall[1]))
    fetches = [n for n, (_, address, _) in enumerate(bus.accesses) if address == 0x2000]
    assert (fetches[0] if fetches else None) == first


# --- JAM -----------------------------------------------------------------------------------------------------------


def test_jam_holds_the_bus_and_hears_no_interrupt():
    bus = Bus()
    bus.load(".byte $02")
    for _ in range(30):
        bus.cycle(irq=1, nmi=1)
    assert bus.cpu.jammed
    assert {access[:2] for access in bus.accesses[5:]} == {("R", 0xFFFF)}


@pytest.mark.parametrize("dtype", [state.CPU_DTYPE, state.MAP_DTYPE, o.OPCODE_DTYPE, STEP_TABLE.dtype])
def test_no_field_hides_behind_an_attribute_of_numpy_records(dtype):
    """Kernels that run without numba reach fields as attributes."""
    assert not set(dtype.names) & set(dir(np.record))
    assert set(REGISTERS) <= set(state.CPU_DTYPE.names)
