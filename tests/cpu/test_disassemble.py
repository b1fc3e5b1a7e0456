"""Machine code to text and back."""

from __future__ import annotations

import random

import pytest

from sidlearn.cpu.assemble import AssemblyError, assemble
from sidlearn.cpu.disassemble import decode, disassemble, instructions
from sidlearn.cpu.opcodes import OPCODES


@pytest.mark.parametrize("opcode", OPCODES, ids=lambda o: f"{o.number:02X}")
@pytest.mark.parametrize("operand", [b"\x00\x00", b"\x7f\x00", b"\x80\xff", b"\xff\x12"], ids=bytes.hex)
def test_every_opcode_survives_the_round_trip(opcode, operand):
    code = bytes((opcode.number,)) + operand[: opcode.mode.operand_bytes]
    assert assemble(disassemble(code, 0xC000))[:2] == (0xC000, code)


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_survive_the_round_trip(seed):
    code = random.Random(seed).randbytes(500)
    assert assemble(disassemble(code, 0x1000))[1] == code


def test_instructions_cover_the_code_without_gaps():
    code = random.Random(1).randbytes(300)
    at = 0x2000
    for instruction in instructions(code, 0x2000):
        assert instruction.address == at
        assert instruction.bytes == code[at - 0x2000 : at - 0x2000 + instruction.opcode.size]
        at += instruction.opcode.size
    assert len(code) - (at - 0x2000) < 3


def test_decode_wraps_at_the_end_of_memory():
    memory = bytearray(0x10000)
    memory[0xFFFF], memory[0], memory[1] = 0x4C, 0x34, 0x12
    assert decode(memory, 0xFFFF).text == "JMP $1234"


def test_branches_show_their_target():
    assert next(instructions(bytes((0xD0, 0xFE)), 0xC000)).text == "BNE $C000"
    assert next(instructions(bytes((0xF0, 0x10)), 0xFFFE)).text == "BEQ $0010"


def test_labels_may_stand_before_and_behind_their_use():
    start, code, names = assemble(
        "loop: LDX table+1,Y\n BNE loop\n JMP end\nend: RTS\ntable: .byte 1, $FF, -1\n .word end"
    )
    assert (start, names["end"], names["table"]) == (0xC000, 0xC008, 0xC009)
    assert code == bytes.fromhex("be0ac0 d0fb 4c08c0 60 01ffff 08c0")


def test_small_addresses_become_zero_page_operands_unless_written_long():
    assert assemble("LDA $10\n LDA $0010\n LDA 16\n STX $10,Y\n LDA $10,Y\n JMP $10")[1] == bytes.fromhex(
        "a510 ad1000 a510 9610 b91000 4c1000"
    )


def test_low_and_high_bytes_and_names():
    assert assemble("base = $D400\n LDA #<base+24\n LDX #>base\n * = $C008\n .byte %101, *-$C000")[1] == bytes.fromhex(
        "a918 a2d4 00000000 05 08"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("LDQ #1", "no operation LDQ"),
        ("LDA #256", "256 does not fit into 1 byte"),
        ("STA #1", "STA has no such operand"),
        ("BNE $D000", "a branch reaches from -128 to 127"),
        ("JMP nowhere", "no label nowhere"),
        ("a: NOP\na: NOP", "a is defined twice"),
        ("LDA 1 2", "expected a value"),
        ("STA", "STA needs an operand"),
    ],
)
def test_mistakes_name_the_line(source, message):
    with pytest.raises(AssemblyError, match=message):
        assemble(source)
