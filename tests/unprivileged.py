"""Running a program as a user without rights, also where only root may enter the folders that Python lies in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

NOBODY = 65_534

# In a view of the file system of its own: $1 is a folder that is closed, the words up to "--" what lies in it that the
# user has to reach.
OPEN = """
closed=$1; shift
rooms=$(mktemp -d); n=0
for path in "$@"; do
  [ "$path" = -- ] && break
  n=$((n + 1)); mkdir "$rooms/$n" && mount --bind "$path" "$rooms/$n" || exit 125
done
mount -t tmpfs none "$closed" && chmod 755 "$closed" || exit 125
n=0
while [ "$1" != -- ]; do
  n=$((n + 1)); mkdir -p "$1" && mount --bind "$rooms/$n" "$1" || exit 125
  shift
done
shift
exec "$@"
"""
WITHOUT_RIGHTS = ("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups", "--no-new-privs")


@cache
def prefix() -> tuple[str, ...]:
    """Return what to put before a command; nothing where we are no root, or may not become another."""
    if os.name != "posix" or os.getuid() != 0 or not shutil.which("setpriv"):
        return ()
    needed = sorted({Path(sys.base_prefix).resolve(), Path(sys.prefix).resolve(), ROOT})
    closed = sorted({p for path in needed for p in path.parents if p.stat().st_mode & 0o005 != 0o005})
    ways: list[tuple[str, ...]] = [WITHOUT_RIGHTS]
    if closed and shutil.which("unshare"):
        inside = [str(p) for p in needed if closed[0] in p.parents]
        ways.append(("unshare", "--mount", "sh", "-c", OPEN, "sh", str(closed[0]), *inside, "--", *WITHOUT_RIGHTS))
    same = f"import os, sys, numpy; assert os.getuid() and sys.base_prefix == {sys.base_prefix!r}"
    test = [sys.executable, "-c", same]
    for way in ways:
        if subprocess.run([*way, *test], cwd=ROOT, capture_output=True, check=False).returncode == 0:
            return way
    return ()
