"""From sound to registers, and how well that went.

Names arrive on first use: what only scores two sounds loads no learner.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_NAMES = {
    "learn": "sidlearn.learn.learner",
    "Learned": "sidlearn.learn.learner",
    "METHODS": "sidlearn.learn.learner",
    "METRICS": "sidlearn.learn.metrics",
}

__all__ = ["METHODS", "METRICS", "Learned", "learn"]

if TYPE_CHECKING:
    from sidlearn.learn.learner import METHODS, Learned, learn
    from sidlearn.learn.metrics import METRICS


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'sidlearn.learn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value
