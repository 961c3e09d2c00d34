"""Imports point one way: a module of the package imports only modules of lower rank."""

import subprocess
import sys

import pytest
import structure

import daskbinder

RANKS = [
    ["errors", "memory", "redaction", "text", "_version"],
    ["annotations", "local", "jsontext", "packed", "proxies", "settings"],
    [
        "events",
        "days",
        "groups",
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
    ["bucket", "site", "instance", "layout"],
    ["place"],
    ["dayfile", "scan", "manifest", "lock"],
    ["rollup", "losses", "cut", "remarks"],
    ["frame", "series"],
    ["archive", "repositories"],
    ["columns"],
    ["store"],
    ["ledger"],
    ["refresh", "lookup"],
    ["tasks", "overview", "mirror", "address", "manager", "readiness", "tally", "plots"],
    ["answers", "publication", "wish", "cluster", "audit"],
    ["graph", "tables"],
    ["planner", "state"],
    ["job", "view"],
    ["explore", "report"],
    ["commands.imports", "commands.show", "commands.watch"],
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


MODULES = structure.modules()


def test_every_module_has_a_rank() -> None:
    assert set(MODULES) == set(RANK)


@pytest.mark.parametrize("module", RANK)
def test_imports_point_to_lower_ranks(module: str) -> None:
    upward = [name for name in MODULES[module].imports(MODULES) if RANK[name] >= RANK[module]]
    assert not upward, f"{module} imports {upward}"


def test_the_walk_sees_imports_inside_functions() -> None:
    assert "sample" in set(MODULES["commands.archives"].imports(MODULES))


def test_public_names_are_there() -> None:
    assert sorted(daskbinder.__all__) == daskbinder.__all__
    for name in daskbinder.__all__:
        assert getattr(daskbinder, name).__doc__


@pytest.mark.parametrize("heavy", ["dask", "distributed", "numpy", "pandas", "pyarrow", "fsspec"])
def test_help_imports_nothing_heavy(heavy: str) -> None:
    code = f"import daskbinder.cli, sys; assert {heavy!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
