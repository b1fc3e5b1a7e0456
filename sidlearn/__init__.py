"""sidlearn: the SID chip of the Commodore 64 as POKE memory, and a machine that learns the POKEs.

Names arrive on first use (PEP 562): ``import sidlearn`` loads neither numba, torch nor pygame.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# Public name -> the module that holds it.
_NAMES = {
    "SID": "sidlearn.chip.sid",
    "render": "sidlearn.chip.sid",
    "listen": "sidlearn.notebook",
    "load": "sidlearn.sources",
    "save": "sidlearn.outputs",
    "RegisterWrites": "sidlearn.writes",
    "RegisterFrames": "sidlearn.writes",
    "SidPort": "sidlearn.writes",
    "SidlearnError": "sidlearn.errors",
}
_PACKAGES = (
    "audio",
    "basic",
    "chip",
    "clock",
    "config",
    "errors",
    "export",
    "learn",
    "notebook",
    "outputs",
    "play",
    "registers",
    "sources",
    "writes",
)

__all__ = ["__version__", *_NAMES, *_PACKAGES]  # noqa: PLE0604

if TYPE_CHECKING:
    from sidlearn.chip.sid import SID, render
    from sidlearn.errors import SidlearnError
    from sidlearn.notebook import listen
    from sidlearn.outputs import save
    from sidlearn.sources import load
    from sidlearn.writes import RegisterFrames, RegisterWrites, SidPort


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _PACKAGES:
        value = importlib.import_module(f"sidlearn.{name}")
    else:
        raise AttributeError(f"module 'sidlearn' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
