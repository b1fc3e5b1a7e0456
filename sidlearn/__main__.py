"""``python -m sidlearn`` and the console script ``sidlearn``."""

from __future__ import annotations

import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 done, 1 program error, 2 bad input, 130 Ctrl-C."""
    try:
        from sidlearn.cli import run_command

        return run_command(arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if os.environ.get("SIDLEARN_DEBUG"):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"sidlearn: unexpected {text}; SIDLEARN_DEBUG=1 shows where, for a bug report", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
