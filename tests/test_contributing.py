"""CONTRIBUTING.md tells the truth: its map, its table of places, its recipe."""

import ast
import re
import shutil
import subprocess
import tomllib
from datetime import date
from pathlib import Path

import pytest

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder import answers, cluster, plots
from support import structure
from support.commands import python

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PLACES = re.findall(r"^\| ([^|`]+) \| `([\w./]+)` \| `(\w+)` \|$", TEXT, re.MULTILINE)

LONGEST_FUNCTION = 50
LONGEST_MODULE = 400
MOST_PARAMETERS = 8
PROMISED = {*db.__all__, *answers.__all__, *plots.__all__, *cluster.__all__}


def test_no_question_has_two_places() -> None:
    assert PLACES
    assert len({what for what, _, _ in PLACES}) == len(PLACES)


@pytest.mark.parametrize(("file", "name"), sorted({(file, name) for _, file, name in PLACES}))
def test_a_place_that_is_named_is_there(file: str, name: str) -> None:
    text = (ROOT / file).read_text("utf-8")
    if file.endswith(".toml"):
        assert name in tomllib.loads(text)
        return
    names: set[str] = set()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {one.id for one in targets if isinstance(one, ast.Name)}
    assert name in names


def test_commands_that_are_named_exist() -> None:
    for path in re.findall(r"`(\.ci/\w+)`|`python (tests/\S+?)`", TEXT):
        assert (ROOT / "".join(path)).exists()
    assert "--group dev -e ." in TEXT
    assert "dev" in tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]


def test_each_change_in_one_place_is_enough(
    make_archive: MakeArchive, launch: MakeLaunch, tmp_path: Path
) -> None:
    """The recipe and two more rows of the table, in a copy of the package, and a real count."""
    copy = tmp_path / "daskbinder"
    shutil.copytree(ROOT / "daskbinder", copy, ignore=shutil.ignore_patterns("__pycache__"))
    (recipe,) = re.findall(r"^```diff\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
    git = ["git", "apply", "--verbose", "-"]
    subprocess.run(git, input=recipe, text=True, cwd=tmp_path, check=True, capture_output=True)
    with (copy / "model" / "federation.toml").open("a", encoding="utf-8") as table:
        table.write('\n[[host]]\nhost = "moon.example.org"\nmember = "moon"\nsource = "a test"\n')
    events = copy / "model" / "launch.py"
    text = events.read_text("utf-8")
    assert text.count("range(1, 7)") == 1
    events.write_text(text.replace("range(1, 7)", "range(1, 8)"), "utf-8")

    days = [date(2021, 3, 31), date(2021, 4, 1), date(2021, 6, 30)]
    source = make_archive(
        {day: [launch(f"{day}T01:00", version=7, origin="moon.example.org")] for day in days}
    )
    code = f"""
import daskbinder as db
assert db.__file__.startswith({str(tmp_path)!r})
kinds = "daily", "quarterly"
done = db.run(db.plan(db.Archive({str(source)!r}), "out", windows=kinds)).rollups
print(done.load("quarterly", by="day")["timestamp"].dt.date.astype(str).tolist())
print(done.federation("day", wide=True)["moon"].sum())
again = db.run(db.plan(db.Archive({str(source)!r}), "out", windows=kinds))
print(again.bytes, db.check("out").faults)
"""
    ended = python(code, cwd=tmp_path, PYTHONPATH=str(tmp_path), PYTHONWARNINGS="error")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == [str([str(day) for day in days]), "3", "0 ()"]
    found = sorted(path.name for path in (tmp_path / "out/rollups/quarterly/by-hour").iterdir())
    assert found == ["2021-Q1.parquet", "2021-Q2.parquet"]


def test_nothing_imports_in_a_circle() -> None:
    found = structure.modules()
    assert structure.circular(found) == []
    circle = ast.parse("from daskbinder import cli")
    found["errors"] = structure.Module("errors", 1, circle)
    assert "errors" in structure.circular(found)  # the search finds one that is there


def test_every_public_name_is_documented_and_every_function_typed() -> None:
    found = structure.modules()
    assert structure.undocumented(found) == []
    assert structure.untyped(found) == []
    bare = {"x": structure.Module("x", 1, ast.parse("def f(a, *b: int) -> None: ..."))}
    assert structure.undocumented(bare) == structure.untyped(bare) == ["x.f"]


def test_functions_and_modules_stay_short() -> None:
    found = structure.modules()
    assert not {name: one.lines for name, one in found.items() if one.lines > LONGEST_MODULE}
    for one in found.values():
        for name, node in one.functions():
            assert structure.length(node) <= LONGEST_FUNCTION, name
            if name.rpartition(".")[2] not in PROMISED:
                assert structure.parameters(node) <= MOST_PARAMETERS, name
