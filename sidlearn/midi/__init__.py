"""MIDI in, instruments, and ASID: from notes and knobs to register writes, with no chip in sight."""
