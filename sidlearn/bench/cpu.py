"""The 6510 and its C64: cycles a second of both cores, and tunes to register logs beside sidplayfp."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from sidlearn import clock
from sidlearn.bench.measure import Progress, Report, Row, take_turns
from sidlearn.bench.music import tune as music

SECONDS = 60
WHOLE_SECONDS = 120
LONG_SECONDS = 600
CORE_SECONDS = 4
REPETITIONS = 3

# What a play routine does: tables, sums, branches, subroutines.
WORK = """
start:  LDX #0
next:   LDA table,X
        CLC
        ADC $FB
        STA $FB
        LDA ($FD),Y
        EOR table,X
        STA result,X
        JSR half
        INX
        BNE next
        INC $FC
        JMP start
half:   LSR
        BCC even
        INC $FA
even:   RTS
table  = $2000
result = $2100
"""


def bench(progress: Progress = lambda _: None) -> Report:
    """Measure everything; the row beside sidplayfp is there where it is installed."""
    progress("both cores")
    return Report("cpu", [*_cores(progress), *_tunes(progress), *_whole(progress)])


def _cores(progress: Progress) -> list[Row]:
    from sidlearn.c64 import machine
    from sidlearn.cpu.assemble import assemble
    from sidlearn.cpu.kernel import begin_at, run_flat
    from sidlearn.cpu.opcodes import opcode_records
    from sidlearn.cpu.state import EVENT_DTYPE, cpu_state, ram_map

    address, code, _ = assemble(WORK, 0x1000)
    cycles = CORE_SECONDS * clock.PAL.clock_hz

    def flat() -> None:
        cpus, ram = cpu_state(), np.zeros(0x10000, np.uint8)
        ram[address : address + len(code)] = np.frombuffer(code, np.uint8)
        cpus.pc = address
        run_flat(cpus[0], ram, ram_map()[0], opcode_records(), np.zeros(16, EVENT_DTYPE), 10 * cycles)

    def machine_of_cycles() -> None:
        parts = machine.power_on(clock.PAL)
        parts.ram[address : address + len(code)] = np.frombuffer(code, np.uint8)
        begin_at(parts.cpu[0], address)
        machine.run_exact(parts, cycles)

    timings = take_turns([flat, machine_of_cycles], REPETITIONS, progress)
    return [
        Row("6510, whole instructions", 10 * cycles / timings[0].least / 1e6, "Mcycles/s", 150),
        Row("C64, bus cycles", cycles / timings[1].least / 1e6, "Mcycles/s", 40),
    ]


def _tunes(progress: Progress) -> list[Row]:
    from sidlearn.c64 import player, tune
    from sidlearn.export import sid_file

    file = io.BytesIO()
    sid_file.write(music(SECONDS // 2), file)
    content = file.getvalue()

    def log() -> None:
        player.TunePlayer(tune.read(content)).advance(SECONDS * clock.PAL.clock_hz)

    (timing,) = take_turns([log], REPETITIONS, progress)
    details: dict[str, object] = {}
    peer = _peer_seconds(content, progress)
    if peer:
        details = {"sidplayfp without sound": SECONDS / peer}
    return [Row("50 Hz tune to register log", SECONDS / timing.least, "x real time", 500, details=details)]


def _peer_seconds(content: bytes, progress: Progress) -> float | None:
    """Return the CPU seconds that sidplayfp takes for the same time without making sound, or None without it."""
    program = shutil.which("sidplayfp")
    if program is None:
        return None
    progress("sidplayfp")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.sid"
        path.write_bytes(content)
        command = [program, "--none", "--delay=0", "-q", f"-t{SECONDS}", str(path)]
        return min(_spent(command, folder)[0] for _ in range(REPETITIONS))


def _whole(progress: Progress) -> list[Row]:
    """From a .sid to a .wav as a user does it, start of the program included; and the memory of a long one."""
    from sidlearn.export import sid_file

    if not hasattr(os, "wait4"):
        return []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.sid"
        with path.open("wb") as file:
            sid_file.write(music(WHOLE_SECONDS), file)
        ours = [sys.executable, "-m", "sidlearn", "run", str(path), "-o", "ours.wav", "--mode", "fast", "--seconds"]
        peer = ["sidplayfp", "-wpeer.wav", "--residfp", "--delay=0", "-q", f"-t{WHOLE_SECONDS}", str(path)]
        progress("a tune to .wav")
        _spent([*ours, "1"], folder)  # compiles where nobody has
        rows = []
        if shutil.which(peer[0]):
            timings: list[tuple[float, float]] = []
            for _ in range(REPETITIONS):
                timings.append((_spent([*ours, str(WHOLE_SECONDS)], folder)[0], _spent(peer, folder)[0]))
            own, theirs = (min(column) for column in zip(*timings, strict=True))
            details: dict[str, object] = {"CPU s": own, "sidplayfp -w with reSIDfp": theirs}
            case = f"{WHOLE_SECONDS} s tune to .wav, fast"
            rows.append(Row(case, theirs / own, "x sidplayfp", 8, details=details))
        progress("memory")
        _, megabytes = _spent([*ours, str(LONG_SECONDS)], folder)
        rows.append(Row("memory of a 10 minute tune to .wav", megabytes, "MB", 500, lower_is_better=True))
    return rows


def _spent(command: list[str], folder: str) -> tuple[float, float]:
    """Run a program; return its CPU seconds and the most memory that it had, in MB.

    Python keeps its bytecode, as it does for users, even where it has been told here to keep none.
    """
    null = subprocess.DEVNULL
    environ = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = os.path.join(folder, "bytecode")
    with subprocess.Popen(command, cwd=folder, env=environ, stdin=null, stdout=null, stderr=null) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return used.ru_utime + used.ru_stime, used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)
