"""What the pages show is true: commands, Python, SQL, links, columns, the drawing."""

import re
import shlex
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import daskbinder
from daskbinder import answers, plots
from daskbinder.cli import main
from support.commands import execute
from support.structure import STAGE

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SHOWN = [DOCS / "tutorial.md", ROOT / "README.md"]  # the first makes what the others use
SHOWN += [DOCS / f"{name}.md" for name in ("notebook", "results", "shell")]
PAGES = [*ROOT.glob("*.md"), *DOCS.glob("*.md"), ROOT / "benchmarks" / "README.md"]
RESULTS = (DOCS / "results.md").read_text("utf-8")
NUMBERS_OF_THE_CLOCK = ("seconds", "MB/s", "launches/s")


def fenced(page: Path, *languages: str) -> list[tuple[str, str]]:
    """Return the language and the text of each block of a page."""
    named = "|".join(languages)
    text = page.read_text("utf-8")
    return re.findall(rf"^```({named})\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def run(words: list[str], folder: Path) -> str:
    ended = execute(*words, cwd=folder)
    assert ended.returncode == 0, (words, ended.stderr)
    return ended.stdout


def check_session(text: str, folder: Path, ran: dict[str, list[str]]) -> None:
    """Run the commands of a session, each once, and look for the lines that it shows."""
    for command in text.split("$ ")[1:]:
        line, *output = command.splitlines()
        words = shlex.split(line)
        assert words[0] == "daskbinder"
        if line not in ran:
            printed = run([sys.executable, "-m", *words], folder)
            ran[line] = [one.rstrip() for one in printed.splitlines()]
        assert output, line
        for one in output:
            assert one in ran[line], (line, ran[line])
            assert not one.startswith(NUMBERS_OF_THE_CLOCK), "changes from run to run"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do what the pages show, in their order, and keep what that leaves."""
    folder = tmp_path_factory.mktemp("docs")
    ran: dict[str, list[str]] = {}
    for page in SHOWN:
        for language, text in fenced(page, "console", "sql"):
            if language == "console":
                check_session(text, folder, ran)
            else:
                assert duckdb.sql(text.replace("'rollups/", f"'{folder}/rollups/")).fetchall()
    return folder


def test_the_pages_show_what_happens(folder: Path) -> None:
    """The Python of a page is one program; one process runs them all, which saves imports."""
    programs = ["".join(text for _, text in fenced(page, "python")) for page in SHOWN]
    code = f"for program in {programs!r}:\n    exec(program, {{'__name__': '__main__'}})"
    run([sys.executable, "-W", "error", "-c", code], folder)


def test_every_file_that_a_run_leaves_is_named(folder: Path) -> None:
    layout = RESULTS.partition("## Files")[2].partition("\n## ")[0]
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


TABLES = {
    "A rollup": "rollups/weekly/by-day/2021-W09.parquet",
    "A federation series": "federation/by-day.parquet",
    "Launches of repositories": "repositories/by-day/2021-03.parquet",
    "All repositories": "repositories/all.parquet",
    "Active repositories": "repositories/active.parquet",
    "Days": "days.parquet",
    "Rejected lines": "rejects.parquet",
}
TYPES = {
    "timestamp": {pa.timestamp("us", "UTC")},
    "date": {pa.date32()},
    "integer": {pa.int64(), pa.int8()},
    "number": {pa.float64()},
    "boolean": {pa.bool_()},
    "text": {pa.string(), pa.dictionary(pa.int32(), pa.string())},
}


@pytest.mark.parametrize("title", TABLES)
def test_the_columns_are_those_of_the_files(title: str, counted: Path) -> None:
    section = RESULTS.partition(f"### {title}\n")[2].partition("\n#")[0]
    told = re.findall(r"^\| `(\w+)` \| (\w+)", section, re.MULTILINE)
    schema = pq.read_schema(counted / TABLES[title])
    assert [name for name, _ in told] == schema.names
    for name, kind in told:
        assert schema.field(name).type in TYPES[kind], name


OPTIONS = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
OF_OTHERS = {
    *("--group", "--help", "--version", "--slow", "--host", "--protocol"),
    *("--nthreads", "--tls-ca-file", "--upgrade", "--quiet", "--days", "--repeat", "--peer"),
}
OURS = [page for page in PAGES if page.parent == DOCS or page.name == "README.md"]


@pytest.fixture(scope="module")
def helps() -> str:
    return "".join(CliRunner().invoke(main, [name, "--help"]).stdout for name in main.commands)


@pytest.mark.parametrize("page", OURS, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_option_that_is_named_exists(page: Path, helps: str) -> None:
    if page.parent.name == "benchmarks":
        return
    for name in set(OPTIONS.findall(page.read_text("utf-8"))) - OF_OTHERS:
        assert re.search(rf"^  (?:-\w, )?{name}\b", helps, re.MULTILINE), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        if page.parent == DOCS and file.parent == DOCS and anchor:
            text = file.read_text("utf-8")
            stub = re.search(r"^This page is \[.*\]\((.*)\)\.$", text, re.MULTILINE)
            file = DOCS / stub[1] if stub else file
        heads = re.findall(r"^#+ (.*)$", file.read_text("utf-8"), re.MULTILINE) if anchor else []
        found = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert not anchor or anchor in found, target


def test_each_logger_that_is_named_writes_a_log() -> None:
    table = (DOCS / "shell.md").read_text("utf-8")
    rows = re.findall(r"^\| `([A-Z]+)` \| `([\w.]+)` \|", table, re.MULTILINE)
    assert rows
    for level, logger in rows:
        text = (ROOT / f"{logger.replace('.', '/')}.py").read_text("utf-8")
        assert "log = logging.getLogger(__name__)" in text
        assert f"log.{level.lower()}(" in text


def test_the_site_has_every_page() -> None:
    trees = [text for page in DOCS.glob("*.md") for _, text in fenced(page, r"\{toctree\}")]
    named = {name for tree in trees for name in tree.split() if not name.startswith(":")}
    assert named == {page.stem for page in DOCS.glob("*.md")} - {"index"}


@pytest.mark.parametrize(
    ("page", "module"),
    [("python", daskbinder), ("python-answers", answers), ("python-plots", plots)],
)
def test_the_reference_has_every_public_name(page: str, module: object) -> None:
    text = (DOCS / f"{page}.md").read_text("utf-8")
    found = re.findall(rf"^\.\. auto\w+:: {module.__name__}\.(\w+)$", text, re.MULTILINE)
    assert sorted(found) == sorted(module.__all__)


def test_the_drawing_has_every_folder_of_the_package_on_its_stage() -> None:
    svg = "{http://www.w3.org/2000/svg}"
    drawing = ElementTree.parse(DOCS / "architecture.svg")
    heights = {
        str(text.text): float(text.attrib["y"])
        for text in drawing.iter(f"{svg}text")
        if "folder" in text.attrib["class"].split()
    }
    folders = {path.parent.name for path in (ROOT / "daskbinder").glob("*/__init__.py")}
    assert set(heights) == folders
    by_height = sorted(heights, key=lambda name: -heights[name])
    assert [STAGE[name] for name in by_height] == sorted(STAGE[name] for name in folders)
    for one in folders:
        assert {heights[two] for two in folders if STAGE[two] == STAGE[one]} == {heights[one]}
    walk = (DOCS / "architecture.md").read_text("utf-8")
    numbered = re.findall(r"^(\d)\. \*\*(\w+)\*\*", walk, re.MULTILINE)
    spoken = drawing.findtext(f"{svg}desc") or ""
    assert [f"{name} ({number})" for number, name in numbered] == re.findall(r"\w+ \(\d\)", spoken)
    assert all(f"**{name}**" in walk for name in folders)


def test_the_packages_that_build_the_site_are_a_group() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert any(line.startswith("sphinx>") for line in project["dependency-groups"]["docs"])
