"""What stands around the code agrees with it: workflows, hooks, citation, change log."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from daskbinder._version import __version__
from support.commands import execute

ROOT = Path(__file__).parents[1]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text("utf-8"))
    for path in (ROOT / ".github" / "workflows").glob("*.yml")
}
GATE = (ROOT / ".ci" / "run").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


def steps(workflow: str, job: str) -> list[dict[str, Any]]:
    return WORKFLOWS[workflow]["jobs"][job]["steps"]


def lines(workflow: str, job: str) -> list[str]:
    return [step["run"] for step in steps(workflow, job) if "run" in step]


def run(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a workflow with the programs of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return execute("bash", "-euo", "pipefail", "-c", line, cwd=folder, PATH=path, **variables)


def test_no_workflow_may_write_the_code() -> None:
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}
        for job in workflow["jobs"].values():
            assert "contents" not in job.get("permissions", {})
            assert job["timeout-minutes"]


def test_each_python_that_is_promised_is_tested() -> None:
    tested = WORKFLOWS["ci"]["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested == ["3.11", "3.12", "3.13", "3.14"]
    prefix = "Programming Language :: Python :: 3."
    promised = [c for c in PROJECT["project"]["classifiers"] if c.startswith(prefix)]
    assert [name.rpartition(" ")[2] for name in promised] == tested
    assert PROJECT["project"]["requires-python"] == f">={tested[0]}"
    assert WORKFLOWS["ci"]["jobs"]["lowest"]["container"]["image"] == f"python:{tested[0]}-bookworm"


def test_workflow_and_hooks_lint_as_the_gate_does() -> None:
    gate = re.findall(r"^\.venv/bin/((?:ruff|mypy).*)$", GATE, re.MULTILINE)
    assert gate == ["ruff check .", "ruff format --check .", "mypy"]
    assert lines("ci", "lint")[-3:] == gate
    (ours,) = [r for r in read(".pre-commit-config.yaml")["repos"] if r["repo"] == "local"]
    entries = [hook["entry"] for hook in ours["hooks"]]
    assert entries == ["ruff check --fix", "ruff format", "mypy"]


def test_the_documentation_is_built_strictly_everywhere() -> None:
    """For a change, in the gate, and where it is published, beside what was counted."""
    places = [*lines("ci", "docs"), *lines("nightly", "count"), *GATE.splitlines()]
    builds = [line.removeprefix(".venv/bin/") for line in places if "sphinx-build" in line]
    assert [line.split()[-2:] for line in builds] == [
        ["docs", "build/docs"],
        ["docs", "site/docs"],
        ["docs", "build/docs"],
    ]
    assert all(line.startswith("sphinx-build -W --keep-going ") for line in builds)
    assert steps("nightly", "count")[-1]["with"]["path"] == "site"
    assert "build/" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


def test_groups_that_workflows_install_exist() -> None:
    named = set()
    for name, workflow in WORKFLOWS.items():
        for job in workflow["jobs"]:
            named |= set(re.findall(r"--group (\w+)", "\n".join(lines(name, job))))
    assert named == {"bench", "docs", "lint", "test"}
    assert named <= PROJECT["dependency-groups"].keys()


@pytest.mark.parametrize(("tag", "good"), [(f"v{__version__}", True), ("v0.0.0", False)])
def test_only_the_tag_of_the_version_is_released(tag: str, good: bool) -> None:
    (line,) = [line for line in lines("release", "build") if "GITHUB_REF_NAME" in line]
    assert (run(line, ROOT, GITHUB_REF_NAME=tag).returncode == 0) == good
    publish = WORKFLOWS["release"]["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"}
    assert not re.search(r"secrets\.|password", str(WORKFLOWS["release"]))


def test_the_nightly_lines_publish_a_report_and_a_tree(sampled: Path, tmp_path: Path) -> None:
    """The very lines, but for the archive; the next night begins with what is there."""
    ours = [line for line in lines("nightly", "count") if line.startswith("daskbinder ")]
    assert [shlex.split(line)[1] for line in ours] == ["run", "check", "export", "report"]
    for line in [*ours, ours[0]]:
        ended = run(line.replace("gs://binder-events-archive", str(sampled)), tmp_path)
        assert ended.returncode == 0, (line, ended.stderr)
    assert "0 day files, 0 bytes" in ended.stderr  # of the plan in the log
    upload = steps("nightly", "count")[-1]
    site = tmp_path / upload["with"]["path"]
    assert "</html>" in (site / "index.html").read_text("utf-8")
    assert list(site.rglob("*.json"))
    cache = next(step for step in steps("nightly", "count") if "cache" in step.get("uses", ""))
    assert (tmp_path / cache["with"]["path"] / "manifest.json").exists()


def test_the_benchmarks_line_has_options_that_exist() -> None:
    (line,) = [li for li in lines("benchmarks", "compare") if "-m benchmarks" in li]
    words = shlex.split(line)
    ended = run(f"{shlex.join(words[:4])} --help", ROOT)
    assert ended.returncode == 0, ended.stderr
    for option in words[4:]:
        assert not option.startswith("--") or f"{option} " in ended.stdout


def test_the_citation_is_of_this_version() -> None:
    citation = read("CITATION.cff")
    assert citation["version"] == __version__
    assert citation["license"] == PROJECT["project"]["license"]
    assert citation["keywords"] == PROJECT["project"]["keywords"]
    authors = PROJECT["project"]["authors"]
    assert [author["name"] for author in citation["authors"]] == [a["name"] for a in authors]


def test_the_change_log_begins_with_this_version() -> None:
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert heads[0] == __version__
    assert len(set(heads)) == len(heads)
