"""What the README shows works: its commands, its output, its Python."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner

from benchmarks.soak import SOAKS
from daskbinder.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
CLUSTERS = (ROOT / "docs" / "clusters.md").read_text("utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text("utf-8")
SHELL = (ROOT / "docs" / "shell.md").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "benchmarks" / "README.md"]
GATE = (ROOT / ".ci" / "run").read_text("utf-8")
FIGURES_OF_THE_CLOCK = ("seconds", "MB/s", "launches/s")


def fenced(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


PYTHON = [*fenced("python"), *fenced("python", SHELL)]


def shown() -> list[tuple[list[str], list[str]]]:
    """Return each command of the console sessions, and the lines shown as its output."""
    found = []
    for session in fenced("console"):
        for text in session.split("$ ")[1:]:
            line, *output = text.splitlines()
            found.append((shlex.split(line), output))
    return found


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("readme")


@pytest.fixture(scope="module")
def helps() -> str:
    return "".join(CliRunner().invoke(main, [name, "--help"]).stdout for name in main.commands)


def test_the_readme_has_two_front_door_commands_and_the_gate_runs_exactly_these() -> None:
    pattern = re.search(r"sed -n '(s/.*/p)' README\.md", GATE)
    assert pattern is not None
    sed = subprocess.run(
        ["sed", "-n", pattern[1], str(ROOT / "README.md")],
        capture_output=True,
        text=True,
        check=True,
    )
    demo, tests = sed.stdout.splitlines()
    assert README.count("python3 -m venv ") == 2
    assert demo.endswith("pip install --quiet . && .venv/bin/daskbinder demo")
    assert "--group test -e . && .venv/bin/python -m pytest" in tests
    assert "pip>=25.1" in tests  # the first that knows groups
    for command in (demo, tests):
        steps = command.split(" && ")
        assert steps[0] == "python3 -m venv .venv"
        assert all(step.startswith(".venv/bin/") for step in steps[1:])


@pytest.mark.parametrize("number", range(len(shown())))
def test_a_command_shows_what_the_readme_shows(folder: Path, number: int) -> None:
    words, output = shown()[number]
    assert words[0] == "daskbinder"
    ended = run([sys.executable, "-m", *words], folder)
    assert ended.returncode == 0, ended.stderr
    printed = [line.rstrip() for line in ended.stdout.splitlines()]
    assert output
    for line in output:
        assert line in printed
    kept = [line for line in output if line.startswith(FIGURES_OF_THE_CLOCK)]
    assert not kept, "figures that change from run to run are not for the README"


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_snippet_runs(folder: Path, number: int) -> None:
    ended = run([sys.executable, "-W", "error", "-c", PYTHON[number]], folder)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("number", range(len(fenced("sql"))))
def test_a_query_finds_something(
    folder: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert duckdb.sql(fenced("sql")[number]).fetchall()


def test_every_file_that_a_run_leaves_is_named(folder: Path) -> None:
    layout = README.partition("## What a run leaves")[2]
    left = [path for path in (folder / "rollups").rglob("*") if path.is_file()]
    assert left
    for path in left:
        name = str(path.relative_to(folder / "rollups"))
        if name.startswith("rollups/"):
            assert re.fullmatch(
                r"rollups/(daily|weekly|monthly)/by-(hour|day)/2021[\dW-]*\.parquet", name
            )
        elif name.startswith("repositories/by-day/"):
            assert re.fullmatch(r"2021-\d\d\.parquet", Path(name).name)
            assert "repositories/by-day/LABEL.parquet" in layout
        else:
            assert Path(name).name in layout


NAMED = re.findall(r"`(--[a-z-]+)", README + CLUSTERS + RESULTS + SHELL)
NAMED += re.findall(r" (--[a-z-]+)", "\n".join(re.findall("daskbinder run.*", README + CLUSTERS)))


@pytest.mark.parametrize("name", sorted(set(NAMED) - {"--help", "--version", "--slow"}))
def test_an_option_that_is_named_exists(name: str, helps: str) -> None:
    assert re.search(rf"^  (?:-\w, )?{name}\b", helps, re.MULTILINE)


def test_each_guarantee_is_one_that_is_tested_at_length_and_never_was_wrong() -> None:
    section = README.partition("## Guarantees")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d,]+) \| (\d+) \|$", section, re.MULTILINE)
    assert {name for name, _, _ in rows} == set(SOAKS)
    assert all(wrong == "0" and int(times.replace(",", "")) > 0 for _, times, wrong in rows)
    for one in SOAKS.values():
        assert one.variable in (ROOT / one.test).read_text("utf-8")


def test_the_front_door_is_short() -> None:
    assert README.count("\n") <= 250
    assert README.index(".png)") < README.index("## ")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        heads = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE) if anchor else []
        found = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not anchor or anchor in found, target
