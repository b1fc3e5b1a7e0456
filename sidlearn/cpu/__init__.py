"""The 6510: its opcodes as data, two cores that run from them, a disassembler and an assembler."""
