"""The 256 opcodes of the 6510 as data: the kernels, the disassembler and the assembler all run from these rows.

Sources: MOS MCS6500 Microcomputer Family Programming Manual (1976), appendices A and B, for the documented opcodes;
"NMOS 6510 Unintended Opcodes: No More Secrets" (groepaz, 2021) for the others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sidlearn._kept import kept

# --- Operations --------------------------------------------------------------------------------------------------
# fmt: off
(
    ADC, AND, ASL, BCC, BCS, BEQ, BIT, BMI, BNE, BPL, BRK, BVC, BVS, CLC, CLD, CLI, CLV, CMP, CPX, CPY, DEC, DEX, DEY,
    EOR, INC, INX, INY, JMP, JSR, LDA, LDX, LDY, LSR, NOP, ORA, PHA, PHP, PLA, PLP, ROL, ROR, RTI, RTS, SBC, SEC, SED,
    SEI, STA, STX, STY, TAX, TAY, TSX, TXA, TXS, TYA,
    # not in the manual
    ALR, ANC, ANE, ARR, DCP, ISC, JAM, LAS, LAX, LXA, RLA, RRA, SAX, SBX, SHA, SHX, SHY, SLO, SRE, TAS,
) = range(76)
# fmt: on

MNEMONICS = tuple(name for name, number in list(globals().items()) if isinstance(number, int) and name.isupper())
"""Mnemonic of each operation number; those that the manual does not have are named as in "No More Secrets"."""

# --- Status register ---------------------------------------------------------------------------------------------

CARRY, ZERO, INTERRUPT, DECIMAL, BREAK, UNUSED, OVERFLOW, NEGATIVE = (1 << bit for bit in range(8))

BRANCHES = {
    BPL: (NEGATIVE, 0), BMI: (NEGATIVE, 1), BVC: (OVERFLOW, 0), BVS: (OVERFLOW, 1),
    BCC: (CARRY, 0), BCS: (CARRY, 1), BNE: (ZERO, 0), BEQ: (ZERO, 1),
}  # fmt: skip
"""Branch -> the flag it looks at, and what it has to be."""

# --- Addressing modes --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mode:
    """One addressing mode: its key in the table below, bytes of operand, and how an assembler writes it."""

    number: int
    key: str
    operand_bytes: int
    text: str  # the operand with its value as {}


(
    IMPLIED, ACCUMULATOR, IMMEDIATE, ZERO_PAGE, ZERO_PAGE_X, ZERO_PAGE_Y, INDEXED_INDIRECT, INDIRECT_INDEXED,
    ABSOLUTE, ABSOLUTE_X, ABSOLUTE_Y, INDIRECT, RELATIVE,
) = range(13)  # fmt: skip

MODES = (
    Mode(IMPLIED, "imp", 0, ""),
    Mode(ACCUMULATOR, "acc", 0, "A"),
    Mode(IMMEDIATE, "imm", 1, "#{}"),
    Mode(ZERO_PAGE, "zpg", 1, "{}"),
    Mode(ZERO_PAGE_X, "zpx", 1, "{},X"),
    Mode(ZERO_PAGE_Y, "zpy", 1, "{},Y"),
    Mode(INDEXED_INDIRECT, "izx", 1, "({},X)"),
    Mode(INDIRECT_INDEXED, "izy", 1, "({}),Y"),
    Mode(ABSOLUTE, "abs", 2, "{}"),
    Mode(ABSOLUTE_X, "abx", 2, "{},X"),
    Mode(ABSOLUTE_Y, "aby", 2, "{},Y"),
    Mode(INDIRECT, "ind", 2, "({})"),
    Mode(RELATIVE, "rel", 1, "{}"),
)
"""All modes, in the order of their numbers."""

# --- Kinds: what an operation does with memory ---------------------------------------------------------------------

REGISTER, READ, WRITE, MODIFY, BRANCH, PUSH, PULL, FLOW = range(8)
"""Registers only; one read; one write; read, write back, write anew; branch; stack; jumps, calls, returns and JAM."""

_READS = {ADC, AND, BIT, CMP, CPX, CPY, EOR, LDA, LDX, LDY, ORA, SBC, ALR, ANC, ANE, ARR, LAS, LAX, LXA, SBX}
_WRITES = {STA, STX, STY, SAX, SHA, SHX, SHY, TAS}
_MODIFIES = {ASL, DEC, INC, LSR, ROL, ROR, DCP, ISC, RLA, RRA, SLO, SRE}
_PUSHES, _PULLS = {PHA, PHP}, {PLA, PLP}
_FLOW = {BRK, JAM, JMP, JSR, RTI, RTS}

HIGH_BYTE_STORES = {SHA, SHX, SHY, TAS}
"""They store the AND of a register with the high byte of the address plus one; that value also becomes the high byte of
the address when indexing crosses a page."""

LATE_INTERRUPT_FLAG = {CLI, SEI, PLP}
"""They change the interrupt flag in their last cycle, after interrupts have been looked at."""


def _kind(operation: int, mode: int) -> int:
    kinds: tuple[tuple[int, Iterable[int]], ...]
    if mode in (IMPLIED, ACCUMULATOR):
        kinds = ((PUSH, _PUSHES), (PULL, _PULLS), (FLOW, _FLOW))
    else:
        kinds = (
            (READ, _READS | {NOP}),
            (WRITE, _WRITES),
            (MODIFY, _MODIFIES),
            (BRANCH, BRANCHES.keys()),
            (FLOW, _FLOW),
        )
    return next((kind for kind, operations in kinds if operation in operations), REGISTER)


# --- The table ---------------------------------------------------------------------------------------------------
# Eight opcodes a line, from $00 on: mnemonic, mode, cycles; "*" in front: not in the manual; "+" behind: one cycle more
# when indexing crosses a page. Branches take one more when taken and another when the target lies in another page. JAM
# never ends.
_TABLE = """
 BRK imp 7  |  ORA izx 6  | *JAM imp 0  | *SLO izx 8  | *NOP zpg 3  |  ORA zpg 3  |  ASL zpg 5  | *SLO zpg 5
 PHP imp 3  |  ORA imm 2  |  ASL acc 2  | *ANC imm 2  | *NOP abs 4  |  ORA abs 4  |  ASL abs 6  | *SLO abs 6
 BPL rel 2  |  ORA izy 5+ | *JAM imp 0  | *SLO izy 8  | *NOP zpx 4  |  ORA zpx 4  |  ASL zpx 6  | *SLO zpx 6
 CLC imp 2  |  ORA aby 4+ | *NOP imp 2  | *SLO aby 7  | *NOP abx 4+ |  ORA abx 4+ |  ASL abx 7  | *SLO abx 7
 JSR abs 6  |  AND izx 6  | *JAM imp 0  | *RLA izx 8  |  BIT zpg 3  |  AND zpg 3  |  ROL zpg 5  | *RLA zpg 5
 PLP imp 4  |  AND imm 2  |  ROL acc 2  | *ANC imm 2  |  BIT abs 4  |  AND abs 4  |  ROL abs 6  | *RLA abs 6
 BMI rel 2  |  AND izy 5+ | *JAM imp 0  | *RLA izy 8  | *NOP zpx 4  |  AND zpx 4  |  ROL zpx 6  | *RLA zpx 6
 SEC imp 2  |  AND aby 4+ | *NOP imp 2  | *RLA aby 7  | *NOP abx 4+ |  AND abx 4+ |  ROL abx 7  | *RLA abx 7
 RTI imp 6  |  EOR izx 6  | *JAM imp 0  | *SRE izx 8  | *NOP zpg 3  |  EOR zpg 3  |  LSR zpg 5  | *SRE zpg 5
 PHA imp 3  |  EOR imm 2  |  LSR acc 2  | *ALR imm 2  |  JMP abs 3  |  EOR abs 4  |  LSR abs 6  | *SRE abs 6
 BVC rel 2  |  EOR izy 5+ | *JAM imp 0  | *SRE izy 8  | *NOP zpx 4  |  EOR zpx 4  |  LSR zpx 6  | *SRE zpx 6
 CLI imp 2  |  EOR aby 4+ | *NOP imp 2  | *SRE aby 7  | *NOP abx 4+ |  EOR abx 4+ |  LSR abx 7  | *SRE abx 7
 RTS imp 6  |  ADC izx 6  | *JAM imp 0  | *RRA izx 8  | *NOP zpg 3  |  ADC zpg 3  |  ROR zpg 5  | *RRA zpg 5
 PLA imp 4  |  ADC imm 2  |  ROR acc 2  | *ARR imm 2  |  JMP ind 5  |  ADC abs 4  |  ROR abs 6  | *RRA abs 6
 BVS rel 2  |  ADC izy 5+ | *JAM imp 0  | *RRA izy 8  | *NOP zpx 4  |  ADC zpx 4  |  ROR zpx 6  | *RRA zpx 6
 SEI imp 2  |  ADC aby 4+ | *NOP imp 2  | *RRA aby 7  | *NOP abx 4+ |  ADC abx 4+ |  ROR abx 7  | *RRA abx 7
*NOP imm 2  |  STA izx 6  | *NOP imm 2  | *SAX izx 6  |  STY zpg 3  |  STA zpg 3  |  STX zpg 3  | *SAX zpg 3
 DEY imp 2  | *NOP imm 2  |  TXA imp 2  | *ANE imm 2  |  STY abs 4  |  STA abs 4  |  STX abs 4  | *SAX abs 4
 BCC rel 2  |  STA izy 6  | *JAM imp 0  | *SHA izy 6  |  STY zpx 4  |  STA zpx 4  |  STX zpy 4  | *SAX zpy 4
 TYA imp 2  |  STA aby 5  |  TXS imp 2  | *TAS aby 5  | *SHY abx 5  |  STA abx 5  | *SHX aby 5  | *SHA aby 5
 LDY imm 2  |  LDA izx 6  |  LDX imm 2  | *LAX izx 6  |  LDY zpg 3  |  LDA zpg 3  |  LDX zpg 3  | *LAX zpg 3
 TAY imp 2  |  LDA imm 2  |  TAX imp 2  | *LXA imm 2  |  LDY abs 4  |  LDA abs 4  |  LDX abs 4  | *LAX abs 4
 BCS rel 2  |  LDA izy 5+ | *JAM imp 0  | *LAX izy 5+ |  LDY zpx 4  |  LDA zpx 4  |  LDX zpy 4  | *LAX zpy 4
 CLV imp 2  |  LDA aby 4+ |  TSX imp 2  | *LAS aby 4+ |  LDY abx 4+ |  LDA abx 4+ |  LDX aby 4+ | *LAX aby 4+
 CPY imm 2  |  CMP izx 6  | *NOP imm 2  | *DCP izx 8  |  CPY zpg 3  |  CMP zpg 3  |  DEC zpg 5  | *DCP zpg 5
 INY imp 2  |  CMP imm 2  |  DEX imp 2  | *SBX imm 2  |  CPY abs 4  |  CMP abs 4  |  DEC abs 6  | *DCP abs 6
 BNE rel 2  |  CMP izy 5+ | *JAM imp 0  | *DCP izy 8  | *NOP zpx 4  |  CMP zpx 4  |  DEC zpx 6  | *DCP zpx 6
 CLD imp 2  |  CMP aby 4+ | *NOP imp 2  | *DCP aby 7  | *NOP abx 4+ |  CMP abx 4+ |  DEC abx 7  | *DCP abx 7
 CPX imm 2  |  SBC izx 6  | *NOP imm 2  | *ISC izx 8  |  CPX zpg 3  |  SBC zpg 3  |  INC zpg 5  | *ISC zpg 5
 INX imp 2  |  SBC imm 2  |  NOP imp 2  | *SBC imm 2  |  CPX abs 4  |  SBC abs 4  |  INC abs 6  | *ISC abs 6
 BEQ rel 2  |  SBC izy 5+ | *JAM imp 0  | *ISC izy 8  | *NOP zpx 4  |  SBC zpx 4  |  INC zpx 6  | *ISC zpx 6
 SED imp 2  |  SBC aby 4+ | *NOP imp 2  | *ISC aby 7  | *NOP abx 4+ |  SBC abx 4+ |  INC abx 7  | *ISC abx 7
"""


@dataclass(frozen=True)
class Opcode:
    """One row of the table.

    Parameters
    ----------
    number : int
        The byte.
    mnemonic : str
    operation : int
        Index into `MNEMONICS`.
    mode : Mode
    kind : int
        `REGISTER`, `READ`, `WRITE`, `MODIFY`, `BRANCH`, `PUSH`, `PULL` or `FLOW`.
    cycles : int
        Without those for crossed pages and taken branches; 0 for JAM.
    page_cycle : bool
        One more cycle when indexing crosses a page.
    documented : bool
        It stands in the manual.
    """

    number: int
    mnemonic: str
    operation: int
    mode: Mode
    kind: int
    cycles: int
    page_cycle: bool
    documented: bool

    @property
    def size(self) -> int:
        """Bytes of the instruction."""
        return 1 + self.mode.operand_bytes


def _parse(number: int, cell: str) -> Opcode:
    mnemonic, key, cycles = cell.replace("*", "").replace("+", "").split()
    operation = MNEMONICS.index(mnemonic)
    mode = next(mode for mode in MODES if mode.key == key)
    return Opcode(
        number, mnemonic, operation, mode, _kind(operation, mode.number), int(cycles), "+" in cell, "*" not in cell
    )


OPCODES = tuple(_parse(number, cell) for number, cell in enumerate(_TABLE.strip().replace("\n", "|").split("|")))
"""All 256 opcodes."""

# --- The same for the kernels ------------------------------------------------------------------------------------

# Signed, because numba takes the shift of an unsigned byte for uint64, and its sum with int64 for a float.
OPCODE_DTYPE = np.dtype(
    [
        ("operation", "i2"),
        ("mode", "i2"),
        ("kind", "i2"),
        ("operand_bytes", "i2"),
        ("cycles", "i2"),
        ("page_cycle", "i2"),
        ("flag", "i2"),  # branches: the flag they look at
        ("wanted", "i2"),  # branches: that flag, if it has to be set
        ("high_byte_store", "i2"),
        ("late_interrupt_flag", "i2"),
    ]
)


@kept
def opcode_records() -> np.recarray:
    """Return the table as the kernels read it: recarray of `OPCODE_DTYPE`, shape (256,)."""
    records = np.zeros(len(OPCODES), OPCODE_DTYPE).view(np.recarray)
    for row, opcode in zip(records, OPCODES, strict=True):
        flag, wanted = BRANCHES.get(opcode.operation, (0, 0))
        row.operation, row.mode, row.kind = opcode.operation, opcode.mode.number, opcode.kind
        row.operand_bytes, row.cycles, row.page_cycle = opcode.mode.operand_bytes, opcode.cycles, opcode.page_cycle
        row.flag, row.wanted = flag, flag * wanted
        row.high_byte_store = opcode.operation in HIGH_BYTE_STORES
        row.late_interrupt_flag = opcode.operation in LATE_INTERRUPT_FLAG
    records.flags.writeable = False
    return records
