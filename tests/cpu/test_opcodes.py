"""The opcode table against the laws of the 6502's design."""

from __future__ import annotations

from collections import Counter

import pytest

from sidlearn.cpu import opcodes as o

INDEXED = {o.ABSOLUTE_X, o.ABSOLUTE_Y, o.INDIRECT_INDEXED}
# Cycles of a read by addressing mode: MCS6500 Programming Manual, appendix B.
READ_CYCLES = {
    o.IMMEDIATE: 2, o.ZERO_PAGE: 3, o.ZERO_PAGE_X: 4, o.ZERO_PAGE_Y: 4, o.ABSOLUTE: 4, o.ABSOLUTE_X: 4,
    o.ABSOLUTE_Y: 4, o.INDEXED_INDIRECT: 6, o.INDIRECT_INDEXED: 5,
}  # fmt: skip
FLOW_CYCLES = {"BRK": 7, "JSR": 6, "RTI": 6, "RTS": 6, "JAM": 0}
PLACE = dict(zip(range(0, 32, 4), ("izx", "zpg", "imm", "abs", "izy", "zpx", "aby", "abx"), strict=True))
"""Low five bits of the opcodes with ..01: their addressing mode."""


def ids(opcode: o.Opcode) -> str:
    return f"{opcode.number:02X}-{opcode.mnemonic}-{opcode.mode.key}"


def test_there_are_256_opcodes_of_which_the_manual_has_151():
    assert [opcode.number for opcode in o.OPCODES] == list(range(256))
    assert sum(opcode.documented for opcode in o.OPCODES) == 151
    assert len({opcode.mnemonic for opcode in o.OPCODES if opcode.documented}) == 56
    assert {opcode.mnemonic for opcode in o.OPCODES} == set(o.MNEMONICS)


def test_mode_numbers_are_places_in_the_list_of_modes():
    assert [mode.number for mode in o.MODES] == list(range(len(o.MODES)))


@pytest.mark.parametrize("opcode", o.OPCODES, ids=ids)
def test_cycles_follow_from_kind_and_mode(opcode):
    mode = opcode.mode.number
    if opcode.kind == o.REGISTER:
        expected = 2
    elif opcode.kind == o.READ:
        expected = READ_CYCLES[mode]
    elif opcode.kind == o.WRITE:
        expected = READ_CYCLES[mode] + (mode in INDEXED)
    elif opcode.kind == o.MODIFY:
        expected = READ_CYCLES[mode] + (mode in INDEXED) + 2
    elif opcode.kind == o.BRANCH:
        expected = 2
    elif opcode.kind in (o.PUSH, o.PULL):
        expected = 3 if opcode.kind == o.PUSH else 4
    elif opcode.mnemonic == "JMP":
        expected = 3 if mode == o.ABSOLUTE else 5
    else:
        expected = FLOW_CYCLES[opcode.mnemonic]
    assert opcode.cycles == expected
    assert opcode.page_cycle == (opcode.kind == o.READ and mode in INDEXED)


def test_a_third_of_the_opcodes_is_regular():
    """Opcodes with the low bits 01 (and 11) have their mode in bits 2 to 4 and their operation in bits 5 to 7."""
    for low, names in ((1, "ORA AND EOR ADC STA LDA CMP SBC"), (3, "SLO RLA SRE RRA SAX LAX DCP ISC")):
        for high, name in enumerate(names.split()):
            for place, key in PLACE.items():
                opcode = o.OPCODES[high << 5 | place | low]
                if opcode.mode.key == "imm" or opcode.number in (0x93, 0x9B, 0x9F, 0xBB):
                    continue  # $89, ANC and its like, SHA, TAS, LAS
                expected = {"zpx": "zpy", "abx": "aby"}.get(key, key) if name in ("SAX", "LAX") else key
                assert (opcode.mnemonic, opcode.mode.key) == (name, expected)


def test_columns_2_and_12_jam_except_where_they_are_nop_or_ldx():
    jams = [opcode.number for opcode in o.OPCODES if opcode.mnemonic == "JAM"]
    assert jams == [*range(0x02, 0x80, 0x10), 0x92, 0xB2, 0xD2, 0xF2]


def test_branches_come_in_pairs():
    for opcode in o.OPCODES:
        if opcode.kind == o.BRANCH:
            flag, wanted = o.BRANCHES[opcode.operation]
            assert o.BRANCHES[o.OPCODES[opcode.number ^ 0x20].operation] == (flag, 1 - wanted)
    assert Counter(o.BRANCHES.values()).most_common(1)[0][1] == 1


def test_records_hold_the_same_as_the_rows():
    for record, opcode in zip(o.opcode_records(), o.OPCODES, strict=True):
        assert o.MNEMONICS[record.operation] == opcode.mnemonic
        assert (record.mode, record.kind, record.cycles, record.page_cycle) == (
            opcode.mode.number,
            opcode.kind,
            opcode.cycles,
            opcode.page_cycle,
        )
        assert record.operand_bytes + 1 == opcode.size
