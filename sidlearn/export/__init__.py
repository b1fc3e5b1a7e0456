"""Stored register writes: one module a format. `EXPORTERS` maps a suffix to its writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from sidlearn.export import csv_log, midi_file, prg_file, sid_file, vice_dump
from sidlearn.writes import RegisterWrites

Exporter = Callable[[RegisterWrites, BinaryIO], None]

EXPORTERS: dict[str, Exporter] = {
    ".csv": csv_log.write,
    ".dump": vice_dump.write,
    ".mid": midi_file.write,
    ".prg": prg_file.write,
    ".sid": sid_file.write,
}
"""Suffix -> function that writes a log into an open binary file."""
