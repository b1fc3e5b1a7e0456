"""Who may import whom: the table of ARCHITECTURE.md, checked from the imports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "sidlearn"

BASE = {
    "__init__", "_kernel", "_parts", "_native", "_linker", "_kept", "audio", "charset", "clock", "config", "errors",
    "files", "pictures", "registers",
    "terminal", "writes",
}  # fmt: skip
TOP = {
    "__main__",
    "bench",
    "cli",
    "completion",
    "doctor",
    "notebook",
    "outputs",
    "playlist",
    "prompt",
    "sources",
    "typist",
}
"""Modules that may use everything, each inside the function that needs it."""

# part -> (parts it may use anywhere, parts it may use inside a function only)
MAY_USE: dict[str, tuple[set[str], set[str]]] = {
    "chip": (set(), set()),
    "cpu": (set(), set()),
    "midi": (set(), set()),
    "basic": (set(), {"cpu"}),
    "export": (set(), {"cpu", "basic"}),
    "c64": ({"cpu"}, {"basic"}),
    "surrogate": ({"chip"}, set()),
    "learn": ({"chip", "surrogate"}, {"outputs", "midi"}),
    "neural": ({"chip", "surrogate", "learn"}, set()),
    "play": ({"chip", "midi"}, set()),
}
HEAVY = {"torch", "pygame", "numba", "matplotlib", "scipy"}
"""Packages that `import sidlearn` and the base never load."""


def part_of(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports_of(path: Path) -> list[tuple[str, bool]]:
    """Return every imported module with whether the import stands inside a function (or for type checkers only)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = set()
    for node in ast.walk(tree):
        late = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if late or (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            inner |= {id(n) for n in ast.walk(node)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, id(node) in inner) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{a.name}" for a in node.names] if node.module == "sidlearn" else [node.module]
            found += [(name, id(node) in inner) for name in names if name]
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_what_its_part_may_use(path):
    part = part_of(path)
    assert part in BASE | TOP | MAY_USE.keys(), f"{part} is not in the table"
    for module, inside_function in imports_of(path):
        if not module.startswith("sidlearn."):
            continue
        used = module.split(".")[1]
        if used in BASE or used in {"__version__", part}:
            continue
        if part == "__init__" and inside_function:
            continue  # names for type checkers
        if used == "notebook" and inside_function:
            continue  # how a type shows itself
        if part in BASE:
            pytest.fail(f"base module {part} uses {module}")
        if part in TOP:
            assert inside_function or used in TOP | {"export"}, f"{part} imports {module} outside a function"
            continue
        anywhere, inside = MAY_USE[part]
        assert used in anywhere or (inside_function and used in inside), f"{part} may not use {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_packages_stay_out_of_base(path):
    if part_of(path) not in (BASE - {"_kernel", "_parts"}) | TOP:
        return
    at_top = {module.split(".")[0] for module, inside in imports_of(path) if not inside}
    assert not at_top & HEAVY


def test_surrogate_never_uses_the_kernel():
    for path in (PACKAGE / "surrogate").glob("*.py"):
        assert not any(module.startswith("sidlearn.chip.kernel") for module, _ in imports_of(path))
