"""Machine code as text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sidlearn.cpu.opcodes import OPCODES, RELATIVE, Opcode


@dataclass(frozen=True)
class Instruction:
    """One instruction in memory.

    Attributes
    ----------
    address : int
    opcode : Opcode
    operand : int
        The byte or word behind the opcode; 0 without one.
    """

    address: int
    opcode: Opcode
    operand: int

    @property
    def target(self) -> int:
        """The operand, or where a branch leads."""
        if self.opcode.mode.number != RELATIVE:
            return self.operand
        return self.address + 2 + (self.operand ^ 0x80) - 0x80 & 0xFFFF

    @property
    def bytes(self) -> bytes:
        """The instruction as it lies in memory."""
        operand = self.operand.to_bytes(self.opcode.mode.operand_bytes, "little")
        return bytes((self.opcode.number,)) + operand

    @property
    def text(self) -> str:
        """Mnemonic and operand as an assembler takes them: ``LDA $D41B``, ``BNE $C000``."""
        mode = self.opcode.mode
        digits = 4 if mode.number == RELATIVE else 2 * mode.operand_bytes
        operand = mode.text.format(f"${self.target:0{digits}X}")
        return f"{self.opcode.mnemonic} {operand}".rstrip()


def decode(memory: bytes | bytearray, address: int) -> Instruction:
    """Return the instruction at `address` of a 64 KB memory; it wraps at the end."""
    opcode = OPCODES[memory[address]]
    operand = bytes(memory[(address + 1 + i) & 0xFFFF] for i in range(opcode.mode.operand_bytes))
    return Instruction(address, opcode, int.from_bytes(operand, "little"))


def instructions(code: bytes, address: int) -> Iterator[Instruction]:
    """Give the instructions of `code` that lies at `address`; one that is cut off at the end is left out."""
    at = 0
    while at < len(code):
        opcode = OPCODES[code[at]]
        if at + opcode.size > len(code):
            return
        yield Instruction(address + at & 0xFFFF, opcode, int.from_bytes(code[at + 1 : at + opcode.size], "little"))
        at += opcode.size


def disassemble(code: bytes, address: int) -> str:
    """Return `code` as text that the assembler turns back into the same bytes.

    Parameters
    ----------
    code : bytes
    address : int
        Where it lies in memory.

    Returns
    -------
    text : str
        One instruction a line, with its address and bytes as a comment.

    Examples
    --------
    >>> print(disassemble(bytes((0xA9, 0x0F, 0x8D, 0x18, 0xD4, 0x60)), 0xC000))
            * = $C000
            LDA #$0F        ; C000 A9 0F
            STA $D418       ; C002 8D 18 D4
            RTS             ; C005 60
    """
    from sidlearn.cpu.assemble import opcode_for

    lines = [f"        * = ${address:04X}"]
    done = 0
    for instruction in instructions(code, address):
        raw = instruction.bytes
        done += len(raw)
        text = instruction.text
        if opcode_for(instruction.opcode.mnemonic, instruction.opcode.mode.number) is not instruction.opcode:
            text = ".byte " + ", ".join(f"${value:02X}" for value in raw)  # a second opcode for the same text
        lines.append(f"        {text:<15} ; {instruction.address:04X} {raw.hex(' ').upper()}")
    if done < len(code):
        lines.append("        .byte " + ", ".join(f"${value:02X}" for value in code[done:]))
    return "\n".join(lines)
