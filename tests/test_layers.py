"""A folder is a stage, and imports point one way: from a stage to those below it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import daskbinder
from support import structure
from support.structure import STAGE, STAGES

FACES = {"answers", "cli", "cluster", "plots"}

MODULES = structure.modules()


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_module_stands_on_a_stage() -> None:
    assert {room(name) for name in MODULES} == set(STAGE)
    assert len(STAGE) <= 20
    assert len(STAGES) <= 10


@pytest.mark.parametrize("name", STAGE)
def test_imports_point_to_lower_stages(name: str) -> None:
    upward = [
        f"{module} imports {other}"
        for module, one in MODULES.items()
        if room(module) == name
        for other in one.imports(MODULES)
        if room(other) != name and STAGE[room(other)] >= STAGE[name]
    ]
    assert not upward


def test_only_faces_hand_on_what_stands_in_a_folder() -> None:
    inits = {name for name in MODULES if name.endswith(".__init__")}
    handing = {room(name) for name in inits if set(MODULES[name].imports(MODULES))}
    assert handing == FACES


def test_the_walk_sees_imports_inside_functions() -> None:
    assert "archive.sample" in set(MODULES["cli.archives"].imports(MODULES))


def test_public_names_are_there() -> None:
    assert sorted(daskbinder.__all__) == daskbinder.__all__
    for name in daskbinder.__all__:
        assert getattr(daskbinder, name).__doc__


@pytest.mark.parametrize("heavy", ["dask", "distributed", "numpy", "pandas", "pyarrow", "fsspec"])
def test_help_imports_nothing_heavy(heavy: str) -> None:
    code = f"import daskbinder.cli, sys; assert {heavy!r} not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_test_module_imports_another() -> None:
    tests = structure.modules(Path(__file__).parent)
    names = {name for name in tests if name.startswith("test_")}
    imported = {
        one
        for module in tests.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for one in (getattr(node, "module", None), *(alias.name for alias in node.names))
    }
    assert len(names) > 50
    assert not names & imported
