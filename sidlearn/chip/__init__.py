"""The SID 6581 and 8580: register writes in, sound and PEEKs out.

Names arrive on first use, and numba with the first chip.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sidlearn.chip import models

# Public name -> the module that holds it.
_NAMES = {
    "SID": "sidlearn.chip.sid",
    "render": "sidlearn.chip.sid",
    "render_batch": "sidlearn.chip.sid",
    "readback": "sidlearn.chip.sid",
    "sounding_cycles": "sidlearn.chip.sid",
    "MODES": "sidlearn.chip.sid",
    "MODELS": "sidlearn.chip.models",
}

__all__ = ["MODELS", "MODES", "SID", "models", "readback", "render", "render_batch", "sounding_cycles"]

if TYPE_CHECKING:
    from sidlearn.chip.models import MODELS
    from sidlearn.chip.sid import MODES, SID, readback, render, render_batch, sounding_cycles


class _Models(ModuleType):
    """The module `sidlearn.chip.models`, which can be called too: ``chip.models()`` lists the names."""

    def __call__(self) -> list[str]:
        return list(self.MODELS)


models.__class__ = _Models


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module 'sidlearn.chip' has no attribute {name!r}")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
