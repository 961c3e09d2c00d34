"""Imports point one way: a module of the package imports only modules of lower rank."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import daskbinder

PACKAGE = Path(daskbinder.__file__).parent

RANKS = [
    ["errors", "_version"],
    ["annotations"],
    [
        "events",
        "days",
        "windows",
        "federation",
        "spec",
        "storage",
        "sample",
        "page",
        "sheet",
        "drawn",
        "looks",
    ],
    ["bucket", "site", "instance"],
    ["place"],
    ["dayfile", "scan", "store"],
    ["rollup", "frame", "cut"],
    ["series", "archive"],
    ["ledger", "repositories"],
    ["refresh", "lookup"],
    [
        *("tasks", "overview", "mirror", "address", "manager", "readiness", "answers"),
        *("publication", "plots"),
    ],
    ["wish", "cluster", "audit", "view"],
    ["graph"],
    ["planner"],
    ["job", "explore", "report"],
    ["commands.show"],
    ["commands.options"],
    [
        "commands.run",
        "commands.archives",
        "commands.check",
        "commands.answers",
        "commands.look",
        "commands.__init__",
    ],
    ["cli"],
    ["__init__", "__main__"],
]
RANK = {name: rank for rank, names in enumerate(RANKS) for name in names}


def imports(module: str) -> Iterator[str]:
    """Modules of the package that a module imports, anywhere in it, types included."""
    path = PACKAGE / f"{module.replace('.', '/')}.py"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = [node.module or ""]
            if node.module == "daskbinder":
                names = [f"daskbinder.{alias.name}" for alias in node.names]
        else:
            continue
        ours = (name.split(".")[1:] for name in names if name.startswith("daskbinder."))
        yield from (".".join(name[: 2 if name[0] == "commands" else 1]) for name in ours)


def test_every_module_has_a_rank() -> None:
    files = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    assert {".".join(file.with_suffix("").parts) for file in files} == set(RANK)


@pytest.mark.parametrize("module", RANK)
def test_imports_point_to_lower_ranks(module: str) -> None:
    upward = [name for name in imports(module) if RANK[name] >= RANK[module]]
    assert not upward, f"{module} imports {upward}"


def test_the_walk_sees_imports_inside_functions() -> None:
    assert "sample" in set(imports("commands.archives"))


def test_public_names_are_there() -> None:
    assert sorted(daskbinder.__all__) == daskbinder.__all__
    for name in daskbinder.__all__:
        assert getattr(daskbinder, name).__doc__


@pytest.mark.parametrize("heavy", ["dask", "distributed", "numpy", "pandas", "pyarrow", "fsspec"])
def test_help_imports_nothing_heavy(heavy: str) -> None:
    code = f"import daskbinder.cli, sys; assert {heavy!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
