"""What people install: a wheel and a source distribution, whole, in environments of their own."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from daskbinder._version import __version__

ROOT = Path(__file__).parents[1]
KINDS = ["whl", "tar.gz"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build the source distribution, and from it the wheel, as a release does."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    found = {kind: next(folder.glob(f"*.{kind}")) for kind in KINDS}
    assert all(path.name.startswith(f"daskbinder-{__version__}") for path in found.values())
    return found


def package_files() -> set[str]:
    """Every file of the package, code and data."""
    paths = (path for path in (ROOT / "daskbinder").rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in paths if path.parent.name != "__pycache__"}


def test_the_wheel_has_the_package_and_nothing_else(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["whl"]) as wheel:
        names = set(wheel.namelist())
    ours = {name for name in names if name.startswith("daskbinder/")}
    assert ours == package_files()
    assert {Path(name).suffix for name in ours} >= {".py", ".toml", ".html", ".css", ".js"}
    others = {Path(name).name for name in names - ours}
    assert others == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "LICENSE"}


def test_the_source_has_what_builds_tests_and_explains_it(built: dict[str, Path]) -> None:
    with tarfile.open(built["tar.gz"]) as source:
        names = {name.partition("/")[2] for name in source.getnames()}
    assert names > package_files()
    assert names > {"README.md", "LICENSE", "pyproject.toml", "docs/shell.md"}
    assert names > {"tests/conftest.py", "tests/support/gcs.py"}
    assert not {
        name for name in names if "__pycache__" in name or name.startswith((".venv", "dist"))
    }


def run_there(python: Path, folder: Path, *words: str) -> str:
    """Run a program of an environment, away from the source and its settings."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ended = subprocess.run(
        [str(python.parent / words[0]), *words[1:]],
        cwd=folder,
        env=clean | {"COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def smoke(python: Path, folder: Path) -> None:
    """See that the installed program counts, answers and knows its tables."""
    home = run_there(python, folder, "python", "-c", "import daskbinder as d; print(d.__file__)")
    assert Path(home.strip()).is_relative_to(python.parents[1])
    module = ["python", "-m", "daskbinder"]
    run_there(python, folder, *module, "sample", "archive", "--days", "3", "--events-per-day", "99")
    assert "launches" in run_there(python, folder, "daskbinder", "run", "archive", "rollups")
    assert "ipython" in run_there(python, folder, *module, "top", "rollups", "--last", "3d")
    code = "from daskbinder.model.annotations import annotations; print(len(annotations()))"
    assert int(run_there(python, folder, "python", "-c", code)) > 5


def test_what_was_built_works_without_the_source(built: dict[str, Path], tmp_path: Path) -> None:
    """The environment has what we depend on, by a path of its own, and nothing of the source."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    where = run_there(
        python, tmp_path, "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"
    )
    (Path(where.strip()) / "others.pth").write_text(sysconfig.get_path("purelib"))
    alone = ["--no-deps", "--no-index", "--no-build-isolation", "--quiet"]
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--ignore-installed"]
    subprocess.run([*pip, *alone, str(built["whl"])], check=True)
    smoke(python, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_built_installs_with_all_it_needs(
    kind: str, built: dict[str, Path], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    run_there(python, tmp_path, "pip", "install", "--quiet", str(built[kind]))
    assert "launches on 2021-03-23" in run_there(python, tmp_path, "daskbinder", "demo", "here")
    smoke(python, tmp_path)
    run_there(python, tmp_path, "daskbinder", "report", "rollups", "-o", "report.html")
    assert (tmp_path / "report.html").stat().st_size > 1e6
