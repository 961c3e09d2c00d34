"""Another BinderHub's archive is counted from a small description of it."""

import json
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from shutil import copy

import holoviews as hv
import pytest
from click.testing import CliRunner
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder import answers
from daskbinder.cli import main
from daskbinder.model.hub import MYBINDER
from daskbinder.pages.content import PageContent
from daskbinder.pages.data import PageData
from daskbinder.pages.figures import FIGURES
from daskbinder.pages.filters import Filters
from daskbinder.pages.report import render
from support.commands import invoke
from support.histories import data, equals_a_rebuild
from support.web import FakeSite

EXAMPLES = Path(__file__).parents[1] / "docs" / "examples"
FIRST = date(2022, 2, 27)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, launch: MakeLaunch) -> Path:
    """Make the example's archive in a folder, and the example say that it is there."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "archive").mkdir()
    for day in (FIRST + timedelta(days=i) for i in range(4)):
        events = [
            launch(f"{day}T08:00:00+00:00", version=2, origin=None, spec="campus/course/main"),
            launch(f"{day}T09:00:00+00:00", origin="hub.example.edu", spec="campus/course/main"),
            launch(f"{day}T10:00:00+00:00", origin="gpu.example.edu", spec="campus/deep/main"),
            launch(f"{day}T11:00:00+00:00", origin="new.example.edu", spec="campus/deep/main"),
        ]
        (folder / "archive" / f"launches-{day}.jsonl").write_text(
            "".join(json.dumps(event) + "\n" for event in events)
        )
    (folder / "archive" / f"events-{FIRST}.jsonl").write_text("of somebody else\n")
    copy(EXAMPLES / "hub-members.toml", folder)
    text = (EXAMPLES / "hub.toml").read_text("utf-8")
    assert '"gs://example-hub-events"' in text
    (folder / "hub.toml").write_text(
        text.replace('"gs://example-hub-events"', json.dumps(str(folder / "archive")))
    )
    return folder


def test_the_example_is_counted(hub: Path, client: Client, tmp_path: Path) -> None:
    instance = db.Instance.load(hub / "hub.toml")
    archive = db.Archive(instance=instance)
    assert [file.date for file in archive.files] == [FIRST + timedelta(days=i) for i in range(4)]
    db.run(db.plan(archive, tmp_path / "out"), client)
    rollups = db.open(str(tmp_path / "out"))
    assert rollups.manifest["totals"]["accepted"] == 16
    assert rollups.manifest["totals"]["rejected"] == 0
    assert rollups.manifest["unknown_origins"] == ["new.example.edu"]
    assert rollups.manifest["instance"] == rollups.instance == "hub.example.edu"
    members = answers.top(rollups, "member")
    assert dict(zip(members["member"], members["n"], strict=True)) == {
        "campus": 8,
        "gpu": 4,
        "new": 4,
    }
    origins = answers.top(rollups, "origin")
    assert dict(zip(origins["origin"], origins["n"], strict=True))["hub.example.edu"] == 8
    assert not db.plan(archive, tmp_path / "out").read


def test_commands_take_it(hub: Path, tmp_path: Path) -> None:
    option = "--instance", hub / "hub.toml"
    out = tmp_path / "out"
    invoke("run", out, *option, "--workers", 1)
    assert "0 faults" in invoke("check", out, hub / "archive", *option)
    assert json.loads(invoke("info", *option, "--json"))["days"] == 4
    assert "4 days fetched" in invoke("sync", tmp_path / "copy", *option)
    copied = {path.name for path in (tmp_path / "copy").iterdir()}
    assert copied == {f"launches-{FIRST + timedelta(days=i)}.jsonl" for i in range(4)}
    assert "4 days unchanged" in invoke("sync", tmp_path / "copy", *option)


def test_other_origins_are_other_results(hub: Path, client: Client, tmp_path: Path) -> None:
    (hub / "other.toml").write_text(
        (hub / "hub.toml").read_text("utf-8").replace("hub.example.edu", "gpu.example.edu")
    )
    for name in ("hub", "other", "hub"):
        archive = db.Archive(instance=db.Instance.load(hub / f"{name}.toml"))
        plan = db.plan(archive, tmp_path)
        assert len(plan.read) == 4
        db.run(plan, client)
        counted = Counter[str]()
        for row in answers.top(db.open(str(tmp_path)), "member").itertuples():
            counted[row.member] += row.n
        assert counted["gpu"] == {"hub": 4, "other": 8}[name]


def test_without_a_table_each_host_is_a_member(hub: Path, client: Client, tmp_path: Path) -> None:
    lines = (hub / "hub.toml").read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("federation")]
    (hub / "alone.toml").write_text("\n".join(kept))
    archive = db.Archive(instance=db.Instance.load(hub / "alone.toml"))
    db.run(db.plan(archive, tmp_path), client)
    assert set(answers.top(db.open(str(tmp_path)), "member")["member"]) == {"hub", "gpu", "new"}


def marks(rollups: db.Rollups) -> int:
    """How many notes are drawn in the figures of a data set."""
    data = PageData.load(rollups)
    content, filters = PageContent(data), Filters.read("", data)
    drawn = [figure.draw(content, filters) for figure in FIGURES.values()]
    parts = (part for plot in drawn for part in plot.traverse(None, [hv.VLines, hv.VSpans]))
    return sum(map(len, parts))


def test_pages_have_its_name_and_nothing_of_mybinder(
    make_archive: MakeArchive, launch: MakeLaunch, client: Client, tmp_path: Path
) -> None:
    days = [date(2019, 11, 9), date(2019, 11, 10), date(2019, 11, 11)]
    folder, dest = make_archive({day: [launch(f"{day}T10:00")] for day in days}), tmp_path / "out"
    db.run(db.plan(db.Archive(folder), dest), client)
    path, before = dest / "manifest.json", data(dest)
    manifest = json.loads(path.read_text("utf-8"))
    assert manifest.pop("instance") == "mybinder.org"
    path.write_text(json.dumps(manifest))  # as before there were names
    rollups = db.open(dest)
    html = render(rollups)
    assert "<title>Launches on mybinder.org, 2019-11-09 to 2019-11-11</title>" in html
    assert "<h1>Launches on mybinder.org</h1>" in html
    assert "Known gaps and breaks" in html
    assert marks(rollups) == 5

    archive = db.Archive(folder, instance=db.Instance(name="Hub of <R&D>"))
    plan = db.plan(archive, dest)
    assert not plan.read
    html = render(db.run(plan, client).rollups)
    assert data(dest) == before
    assert "<title>Launches on Hub of &lt;R&amp;D&gt;, 2019-11-09 to 2019-11-11</title>" in html
    assert "<h1>Launches on Hub of &lt;R&amp;D&gt;</h1>" in html
    assert "mybinder" not in html
    assert "Known gaps and breaks" not in html
    assert marks(db.open(dest)) == 0

    db.run(db.plan(db.Archive(folder), dest), client)
    equals_a_rebuild(folder, dest, tmp_path / "spare")


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        ("archive = 'gs://launches'", "gs://launches"),
        ("archive = '/home/somebody/launches'", "a local archive"),
        ("archive = 'gs://launches'\nname = 'Our hub'", "Our hub"),
    ],
)
def test_without_a_name_the_address_stands_for_it(lines: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "hub.toml").write_text(lines)
    assert db.Instance.load(tmp_path / "hub.toml").name == name


def test_a_site_is_asked_for_its_days_by_its_names(hub: Path) -> None:
    instance = db.Instance.load(hub / "hub.toml")
    today = FIRST + timedelta(days=3)
    with FakeSite() as site:
        site.put_folder(hub / "archive")
        archive = db.Archive(site.url, instance=instance, today=today)
        asked = [line for line in site.requests if f"-{today.year}-" in line]
    assert len(archive.files) == 4
    assert len(asked) == (today - instance.first).days + 1
    assert all("launches-" in line for line in asked)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("archive =", "is not TOML"),
        ("files = 'a-{date}'", "Object missing required field `archive`"),
        ("archive = 'a'\nname = 5", "Expected `str`, got `int` - at `$.name`"),
        ("archive = 5", "Expected `str`, got `int` - at `$.archive`"),
        ("archive = 'a'\nfirst = '2021-01-01'", "Expected `date`, got `str` - at `$.first`"),
        ("archive = 'a'\nfirst = 2021-01-01T00:00:00", "Expected `date`, got `datetime`"),
        ("archive = 'a'\nfiles = 'events.jsonl'", "expected the name of a day file"),
        ("archive = 'a'\nfiles = '{date}-{date}.jsonl'", "expected the name of a day file"),
        ("archive = 'a'\nfiles = 'x/{date}.jsonl'", "expected the name of a day file"),
        ("archive = 'a'\nfiles = '{date}.jsonl.gz'", "without .gz"),
        ("archive = 'a'\ncolour = 'red'", "Object contains unknown field `colour`"),
        ("archive = 'a'\nfederation = 'none.toml'", "cannot read the federation table"),
    ],
)
def test_what_describes_no_archive_is_one_sentence(
    text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "hub.toml").write_text(text)
    ended = CliRunner().invoke(main, ["info", "--instance", str(tmp_path / "hub.toml")])
    assert ended.exit_code == 2
    assert sentence in ended.output
    assert ended.output.count("\n") == 1


@pytest.mark.parametrize(
    ("files", "name", "day"),
    [
        ("events-{date}.jsonl", "events-2021-03-04.jsonl", date(2021, 3, 4)),
        ("events-{date}.jsonl", "events-2021-03-04.jsonl.gz", date(2021, 3, 4)),
        ("events-{date}.jsonl", "events-2021-02-30.jsonl", None),
        ("events-{date}.jsonl", "events-2021-03-04xjsonl", None),
        ("events-{date}.jsonl", "events-2021-03-04.jsonl\n", None),
        ("a+b({date})", "a+b(2021-03-04)", date(2021, 3, 4)),
        ("{date}", "2021-03-04", date(2021, 3, 4)),
    ],
)
def test_names_are_exactly_those_of_day_files(files: str, name: str, day: date | None) -> None:
    instance = db.Instance(files=files)
    assert instance.date_of(name) == day
    if day is not None:
        assert name.startswith(instance.name_of(day))


def test_the_instance_by_default_is_mybinder() -> None:
    assert db.Instance() == MYBINDER
    assert MYBINDER.name_of(MYBINDER.first) == "events-2018-11-03.jsonl"
