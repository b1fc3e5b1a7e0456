"""A differentiable SID in torch: the chip's own tables, phase and envelopes, with gradients for what is smooth.

Names arrive on first use, and torch with them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

# Public name -> the module that holds it.
_NAMES = {
    "DifferentiableSID": "sidlearn.surrogate.synth",
    "pack": "sidlearn.surrogate.controls",
    "round_straight_through": "sidlearn.surrogate.controls",
}

__all__ = ["DifferentiableSID", "pack", "round_straight_through"]

if TYPE_CHECKING:
    from sidlearn.surrogate.controls import pack, round_straight_through
    from sidlearn.surrogate.synth import DifferentiableSID


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'sidlearn.surrogate' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
