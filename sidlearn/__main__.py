"""``python -m sidlearn`` and the console script ``sidlearn``."""

from __future__ import annotations

import errno
import os
import sys

BAD_USE, CTRL_C, PIPE_GONE = 2, 130, 141
MULTIPLYING = ("learn", "bench")
"""Verbs that work with matrices, or start programs that do."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit status: 0, 1 program error, 2 bad input, 130 Ctrl-C, 141 closed pipe."""
    _keep_places()
    _take_one_thread(sys.argv[1:] if arguments is None else arguments)
    try:
        from sidlearn.cli import run_command

        status = run_command(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return CTRL_C
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        _let_output_go()
        return PIPE_GONE
    except Exception as error:
        if os.environ.get("SIDLEARN_DEBUG"):
            raise
        reason = _output_fault(error)
        if reason:
            print(f"sidlearn: standard output: {reason}; expected somewhere to print to", file=sys.stderr)
            return BAD_USE
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print(f"sidlearn: unexpected {text}; SIDLEARN_DEBUG=1 shows where, for a bug report", file=sys.stderr)
        return BAD_USE


def _take_one_thread(arguments: list[str]) -> None:
    """Let numpy start no threads for matrices where none are multiplied: making them ready is half of its import.

    Only while numpy is not there yet, which reads this once; what the user has set stays.
    """
    if arguments and arguments[0] not in MULTIPLYING and "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


class _Closed:
    """Standard output where there is none: complains when it is used."""

    closed, encoding = False, "utf-8"

    def write(self, text: str) -> int:
        raise OSError("it is closed")

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError("it is closed")


def _keep_places() -> None:
    """Let no file that is opened later take the number of a standard stream that was closed."""
    while True:
        number = os.open(os.devnull, os.O_RDWR)
        if number > 2:
            os.close(number)
            break
    if sys.stdout is None:
        sys.stdout = _Closed()  # type: ignore[assignment]
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def _output_fault(error: Exception) -> str:
    """Return why standard output takes nothing, if that is what the error says, and let it go.

    Files that cannot be written have errors of their own by now (`OutputError`), and those of a system call have names.
    """
    if not isinstance(error, OSError) or error.filename is not None:
        return ""
    if isinstance(sys.stdout, _Closed):
        return str(error)
    if error.errno not in (errno.ENOSPC, errno.EIO, errno.EBADF, errno.EFBIG):
        return ""
    _let_output_go()
    return error.strerror or str(error)


def _let_output_go() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
