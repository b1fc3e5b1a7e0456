"""What `sidplayfp` writes to the SID when it plays a tune: its exSID driver is taken over by one that keeps a log."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from sidlearn import registers
from sidlearn.c64 import tune

DRIVER = Path(__file__).with_name("exsid_log.c")
SECOND_SID_BYTES, VERSION_BYTE = slice(0x7A, 0x7C), 5
TAIL_CYCLES = 300_000
"""The log reaches farther than asked for, since its last lines may be lost."""
ENDLESS = "-t3600"


def available() -> bool:
    """Whether there are both `sidplayfp` and a C compiler."""
    return bool(shutil.which("sidplayfp") and shutil.which("cc"))


@cache
def driver() -> Path:
    """Return the library that keeps the log, built anew."""
    library = Path(tempfile.mkdtemp(prefix="sidlearn-exsid-")) / "exsid_log.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, DRIVER], check=True)
    return library


def one_sid(content: bytes) -> bytes:
    """Return a tune with the header of one SID: exSID is one chip, to which all addresses lead."""
    read = tune.read(content)
    if len(read.sid_addresses) < 2:
        return content
    changed = bytearray(content)
    changed[VERSION_BYTE], changed[SECOND_SID_BYTES] = 2, bytes(2)
    return bytes(changed)


def writes(content: bytes, song: int, cycles: int) -> np.ndarray:
    """Return cycle, register and value of every write in the first `cycles`, int64, shape (writes, 3).

    A tune for two or three SIDs has all its writes on one.
    """
    with tempfile.TemporaryDirectory() as folder:
        path, log = Path(folder) / "tune.sid", Path(folder) / "log.csv"
        path.write_bytes(one_sid(content))
        environ = {
            **os.environ,
            "LD_PRELOAD": str(driver()),
            "SIDLEARN_LOG": str(log),
            "SIDLEARN_CYCLES": str(cycles + TAIL_CYCLES),
        }
        command = ["sidplayfp", "--exsid", "--delay=0", f"-o{song}", ENDLESS, "-q", str(path)]
        subprocess.run(command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=300)
        text = log.read_text(encoding="ascii") if log.exists() else ""
    rows = [tuple(map(int, line.split(","))) for line in text.splitlines()[1:] if line.count(",") == 3]
    table = np.array(rows, np.int64).reshape(-1, 4)[:, [0, 2, 3]]
    return table[(table[:, 0] < cycles) & (table[:, 1] < registers.WRITABLE)]
