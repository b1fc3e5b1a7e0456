"""BASIC V2: listings to programs and back, and an interpreter that keeps the machine's time.

Names arrive on first use (PEP 562), so that importing one part loads no other.
"""

from __future__ import annotations

import importlib
from typing import Any

# Public name -> the module that holds it.
_NAMES = {
    "Program": "sidlearn.basic.listing",
    "detokenize": "sidlearn.basic.listing",
    "load_image": "sidlearn.basic.image",
    "programs": "sidlearn.basic.listing",
    "read_program": "sidlearn.basic.listing",
    "run": "sidlearn.basic.program",
    "tokenize": "sidlearn.basic.listing",
    "type_in": "sidlearn.basic.listing",
}
_MODULES = ("float40", "image", "listing", "petscii", "tokens")

__all__ = [*_NAMES, *_MODULES]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(importlib.import_module(_NAMES[name]), name)
    elif name in _MODULES:
        value = importlib.import_module(f"sidlearn.basic.{name}")
    else:
        raise AttributeError(f"module 'sidlearn.basic' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
