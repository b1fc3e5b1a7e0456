"""Learning that is killed at a random moment and resumed ends with the bytes of an unbroken run.

python -m tests.accuracy.kill_and_resume SOUND [--tries 10] [--seconds 2] [--frame-rate 200]
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OUTPUT = "learned.csv"


def learn(
    folder: Path, sound: Path, seconds: float, *more: str, kill_after: float | None = None
) -> tuple[bytes | None, bool]:
    """Learn in a process of its own; return what it has written, None if nothing, and whether it was killed."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "sidlearn", "learn", str(sound), "-o", OUTPUT, "--method", "pursue"]
    command += ["--quality", "fast", "--seconds", str(seconds), *more]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
    written = folder / OUTPUT
    return written.read_bytes() if written.exists() else None, process.returncode < 0


def main() -> int:
    """Try, and tell each try; return 1 if one ended otherwise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sound", type=Path)
    parser.add_argument("--tries", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--frame-rate", default="50", choices=("50", "100", "200"))
    options = parser.parse_args()
    rate = ("--frame-rate", options.frame_rate)
    sound = options.sound.resolve()
    equal = 0
    with tempfile.TemporaryDirectory() as root:
        whole, _ = learn(Path(root, "whole"), sound, options.seconds, *rate)  # compiles what is to be compiled
        begun = time.monotonic()
        again, _ = learn(Path(root, "again"), sound, options.seconds, *rate)
        longest = time.monotonic() - begun
        print(f"unbroken {longest:.1f} s, {'the same bytes' if again == whole else 'other bytes'} twice", flush=True)
        tries = 0
        while tries < options.tries:
            moment, folder = random.uniform(0.3, longest), Path(root, "broken")
            shutil.rmtree(folder, ignore_errors=True)
            _, killed = learn(folder, sound, options.seconds, *rate, kill_after=moment)
            if not killed:  # it was over before
                continue
            tries += 1
            resumed, _ = learn(folder, sound, options.seconds, *rate, "--resume")
            same = resumed is not None and resumed == whole
            equal += same
            print(f"killed after {moment:.1f} s: {'the same bytes' if same else 'other bytes'}", flush=True)
    print(f"{equal} of {options.tries}")
    return 0 if equal == options.tries else 1


if __name__ == "__main__":
    sys.exit(main())
