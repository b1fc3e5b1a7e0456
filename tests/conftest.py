"""Fixtures for all tests, and a numba cache that can never be stale."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "tests" / "data"


def _source_hash() -> str:
    """Hash what compiled code may depend on: numba's own check misses a change in another file than the cached one.

    That is every package that holds a kernel, and the base modules whose constants kernels may read.
    """
    package = ROOT / "sidlearn"
    folders = {path.parent for path in package.rglob("*.py") if "@kernel" in path.read_text(encoding="utf-8")} - {
        package
    }
    sources = {path for folder in folders for path in folder.glob("*.py")}
    sources |= {package / name for name in ("_kernel.py", "_parts.py", "clock.py", "registers.py", "writes.py")}
    digest = hashlib.sha256()
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


# Set before any test imports a kernel. A cache that a caller has chosen himself still gets a folder per source state.
_base = Path(os.environ.get("NUMBA_CACHE_DIR", ROOT / ".numba_cache"))
os.environ["NUMBA_CACHE_DIR"] = str(_base / _source_hash())
os.environ.setdefault("SDL_AUDIODRIVER", "dummy")
os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
# A shell has its background jobs ignore Ctrl-C, and programs that the tests start would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--testprogs", metavar="DIR", default=None, help="a checkout of VICE-testprogs, for tests against real chips"
    )


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of measured data."""
    return DATA


@pytest.fixture(scope="session")
def testprogs(request: pytest.FixtureRequest) -> Path:
    """The user's checkout of VICE-testprogs."""
    folder = request.config.getoption("--testprogs")
    if folder is None:
        pytest.skip("needs --testprogs DIR, a checkout of VICE-testprogs")
    return Path(folder)


def need_real_part(*programs: str) -> None:
    """Skip a test where a program is missing; fail it where CI has said that all are there."""
    missing = [p for p in programs if shutil.which(p) is None]
    if missing:
        told = f"needs {', '.join(missing)}"
        if os.environ.get("SIDLEARN_REQUIRE_REAL_PARTS"):
            pytest.fail(told)
        pytest.skip(told)
