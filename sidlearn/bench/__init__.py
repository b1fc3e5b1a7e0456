"""Speed and memory, measured beside the peers in one run: `BENCHES` maps a name to its module."""

from __future__ import annotations

BENCHES = ("chip", "basic", "cpu", "learn")
"""What `sidlearn bench` can measure; each is a module here with a function ``bench(progress) -> Report``."""
