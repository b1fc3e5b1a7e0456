"""Machine code on somebody else's memory."""

from __future__ import annotations

import pytest

from sidlearn.cpu.assemble import assemble
from sidlearn.cpu.port import MachineCode, MachineCodeError


class Owner:
    """64 KB with chips that answer with the time of the read."""

    def __init__(self, source: str):
        self.ram = bytearray(0x10000)
        self.ram[0], self.ram[1] = 0x2F, 0x37
        address, code, self.names = assemble(source)
        self.ram[address : address + len(code)] = code
        self.address = address
        self.accesses: list[tuple] = []

    def poke(self, address: int, value: int, cycles: int) -> None:
        self.accesses.append(("poke", address, value, cycles))

    def peek(self, address: int, cycles: int) -> int:
        self.accesses.append(("peek", address, cycles))
        return cycles & 0xFF

    def call(self, code: MachineCode, a: int = 0, x: int = 0, y: int = 0, p: int = 0) -> tuple[int, int, int, int, int]:
        return code.call(self.address, self.ram, a, x, y, p, self.poke, self.peek)


def test_registers_go_in_and_out():
    owner = Owner("INX\n DEY\n SEC\n ROL A\n RTS")
    assert owner.call(MachineCode(), a=0x80, x=1, y=1) == (1, 2, 0, 0x31, 14)


def test_chips_see_every_access_in_order_and_on_time():
    owner = Owner("LDA $D41B\n STA $D418\n INC $D404\n RTS")
    a, *_, cycles = owner.call(MachineCode())
    assert a == 4
    assert owner.accesses == [
        ("peek", 0xD41B, 4),
        ("poke", 0xD418, 4, 8),
        ("peek", 0xD404, 12),
        ("poke", 0xD404, 12, 13),
        ("poke", 0xD404, 13, 14),
    ]
    assert cycles == 20


def test_more_writes_than_the_buffer_holds_arrive_all():
    owner = Owner("LDX #0\n LDY #40\nloop: STX $D418\n INX\n BNE loop\n DEY\n BNE loop\n RTS")
    owner.call(MachineCode())
    assert len(owner.accesses) == 40 * 256
    cycles = [access[3] for access in owner.accesses]
    assert cycles == sorted(cycles)
    assert cycles[0] == 8


def test_subroutines_and_pushed_bytes_do_not_end_the_call():
    owner = Owner("JSR sub\n LDA #7\n RTS\nsub: PHA\n PLA\n RTS")
    assert owner.call(MachineCode())[0] == 7


def test_routines_stand_for_the_rom():
    printed = []

    def chrout(registers, ram):
        printed.append(registers.a)
        registers.p |= 1
        return 100

    owner = Owner("LDA #65\n JSR $FFD2\n JSR $FFD2\n RTS")
    *_, p, cycles = owner.call(MachineCode({0xFFD2: chrout}))
    assert printed == [65, 65]
    assert p & 1
    assert cycles == 2 + 6 + 100 + 6 + 100 + 6


def test_a_jump_into_a_routine_returns_for_the_caller():
    owner = Owner("JMP $FFD2")
    assert owner.call(MachineCode({0xFFD2: lambda registers, ram: 10}))[4] == 3 + 10


def test_unknown_rom_is_named():
    owner = Owner("JSR $FFE4\n RTS")
    with pytest.raises(MachineCodeError, match=r"SYS 49152: needs the ROM at 65508 \(\$FFE4\)") as error:
        owner.call(MachineCode())
    assert (error.value.stop.reason, error.value.stop.cycles) == ("trap", 6)


def test_ram_under_the_rom_runs_when_it_is_banked_in():
    owner = Owner("LDA #$35\n STA 1\n JSR $E000\n LDA #$37\n STA 1\n RTS")
    owner.ram[0xE000:0xE003] = bytes.fromhex("a2 09 60")
    assert owner.call(MachineCode())[1] == 9
    assert owner.ram[1] == 0x37


def test_a_jam_is_named():
    owner = Owner("NOP\n .byte 2")
    with pytest.raises(MachineCodeError, match="opcode at 49153 stops"):
        owner.call(MachineCode())


def test_an_endless_loop_ends_at_the_limit():
    owner = Owner("loop: JMP loop")
    with pytest.raises(MachineCodeError, match="runs on after 1002 cycles"):
        owner.call(MachineCode(max_cycles=1000))


def test_rom_bytes_that_matter_can_be_read():
    owner = Owner("LDA $FF80\n RTS")
    assert owner.call(MachineCode(rom={0xFF80: 3}))[0] == 3
