"""Every answer is that of a plain count over the launches, and all answers agree."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from daskbinder import answers
from daskbinder.cli import main
from daskbinder.pages.content import PageContent
from daskbinder.pages.data import PageData
from daskbinder.pages.figures import FIGURES
from daskbinder.pages.filters import Filters
from support.census import Named, identity, tables, visits
from support.commands import invoke, python
from support.oracle import Oracle, member_of, read_archive

HEX = "256c3ad937af9ec7d4c65a29e5b6d454"
SPECS = (
    ("GitHub", "Owner/Name/main", 9),
    ("GitHub", "owner/name/main", 4),
    ("GitHub", "owner/name.git/feature/x", 2),
    ("GitHub", "Owner/other/main/", 3),
    ("GitHub", f"minrk/{HEX}/master", 2),
    ("Gist", f"MinRK/{HEX}", 1),
    ("GitLab", "owner%2Fname/main", 5),
    ("Git", "https%3A%2F%2Fgit.example.org%2FOwner%2Fname/main", 3),
    ("Git", "https%3A%2F%2Fgit.example.org%2Fowner%2Fname/main", 3),
    ("Zenodo", "10.5281/zenodo.3242074", 2),
    ("GitHub", "=cmd|' /C calc'!A0", 2),
    ("GitHub", "\x1b[31mred", 1),
    ("Tomorrow", "owner/name/main", 1),
)


OFFSETS = (0, 1, 2, 5, 6, 8, 12, 13, 29, 30, 31, 35, 59, 89, 90, 97)
"""Days after the first: at and beside the ends of windows of 7, 30 and 90 days."""


@pytest.fixture(scope="module")
def archive(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    """Make two springs of many providers, members and spellings, with many days missing."""
    days: dict[date | str, Any] = {}
    for year in (2020, 2021):
        for day in (date(year, 2, 3) + timedelta(days=i) for i in OFFSETS):
            old = {"ref": None, "origin": None, "build_token": None, "version": 1}
            events = [
                launch(
                    f"{day}T{hour:02}:30:00+00:00",
                    provider=provider,
                    spec=spec,
                    **(old if HEX in spec and provider == "GitHub" else {}),
                )
                for provider, spec, often in SPECS
                for hour in range(often + year - 2020)
                if (day.toordinal() + often + hour) % 3
            ]
            events.append(launch(f"{day}T00:00:00+00:00", spec=f"once/on-{day}/main"))
            for hour, event in enumerate(events):
                if "origin" in event and hour % 3:
                    event["origin"] = ("ovh.mybinder.org", "stranger.example.org")[hour % 2]
                if "origin" in event and hour % 5 == 0:
                    event |= {"version": 6, "request_origin": ("", "https://a.org")[hour % 2]}
            days[day] = events
    return make_archive(days)


@pytest.fixture(scope="module")
def oracle(archive: Path) -> Oracle:
    return read_archive(archive)


@pytest.fixture(scope="module")
def dest(archive: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("answers")
    db.run(db.plan(db.Archive(archive), dest), client)
    return dest


@pytest.fixture(scope="module")
def rollups(dest: Path) -> db.Rollups:
    return db.open(str(dest))


def plain(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Rows of a frame, with None for what is missing."""
    return [
        tuple(None if pd.isna(value) else value for value in row)
        for row in frame.itertuples(index=False)
    ]


def origin_of(launch: Any) -> str:
    return "gke.mybinder.org" if launch.origin is None else str(launch.origin)


def spelled(counted: Counter[tuple[Named, str | None]]) -> Counter[tuple[Any, ...]]:
    """Bring names together that mean one thing, under the one with the most launches."""
    spellings: dict[Any, Counter[str | None]] = defaultdict(Counter)
    sums: Counter[tuple[Any, ...]] = Counter()
    for (what, ref), n in counted.items():
        same = identity(what) if what.repository is not None else (what.provider, None)
        spellings[same][what.repository] += n
        sums[same, ref] += n
    found: Counter[tuple[Any, ...]] = Counter()
    for (same, ref), n in sums.items():
        names = spellings[same]
        found[same[0], min(names, key=lambda name: (-names[name], name)), ref] = n
    return found


def expected(oracle: Oracle, by: str, first: date, last: date) -> dict[tuple[Any, ...], int]:
    """Count launches by what `top` counts by."""
    found: Counter[Any] = Counter()
    named: Counter[tuple[Named, str | None]] = Counter()
    for (day, member, what), n in visits(oracle).items():
        if first <= day <= last:
            key = what._replace(ref=None)
            if by == "repo":
                named[key, None] += n
            elif by == "ref":
                named[key, what.ref] += n
            elif by == "org":
                named[key._replace(repository=what.org), None] += n  # type: ignore[arg-type]
            else:
                found[(member,) if by == "member" else (what.provider,)] += n
    if by in ("repo", "ref", "org"):
        names = spelled(named)
        return {row if by == "ref" else row[:2]: n for row, n in names.items()}
    if by == "origin":
        return Counter((origin_of(one),) for one in oracle.launches() if first <= one.date <= last)
    return dict(found)


EVER = date.min, date.max
LATER = date(2021, 2, 6), date(2021, 2, 20)


@pytest.mark.parametrize("by", ["repo", "org", "provider", "member", "origin", "ref"])
@pytest.mark.parametrize("days", [EVER, LATER])
def test_top_is_a_plain_count(
    rollups: db.Rollups, oracle: Oracle, by: str, days: tuple[date, date]
) -> None:
    chosen = {} if days is EVER else {"start": days[0], "end": str(days[1])}
    found = plain(answers.top(rollups, by, n=None, **chosen))
    wanted = expected(oracle, by, *days)
    assert {row[:-2]: row[-2] for row in found} == wanted
    assert len(found) == len(wanted)
    total = sum(wanted.values())
    assert [row[-1] for row in found] == [row[-2] / total for row in found]
    assert [row[-2] for row in found] == sorted((row[-2] for row in found), reverse=True)
    assert plain(answers.top(rollups, by, n=2, **chosen)) == found[:2]


def test_the_last_days_end_with_the_newest_file(rollups: db.Rollups, oracle: Oracle) -> None:
    newest = oracle.present[-1]
    last = answers.top(rollups, last="12d", n=None)
    since = answers.top(rollups, start=newest - timedelta(days=11), end=newest, n=None)
    assert last.equals(since)
    assert plain(last)


def test_a_repository_is_all_that_is_known_of_it(rollups: db.Rollups, oracle: Oracle) -> None:
    same = ("GitHub", "owner/name")
    rows = {key: n for key, n in visits(oracle).items() if identity(key[2]) == same}
    for text in (
        "owner/NAME",
        "https://github.com/owner/name",
        "https://github.com/owner/name.git",
        "https://github.com/owner/name/tree/main/notebooks",
        "https://mybinder.org/v2/gh/owner/name/HEAD?urlpath=lab",
    ):
        found = answers.repository(rollups, text)
        assert (found.provider, found.name, found.org) == ("GitHub", "Owner/Name", "Owner")
    ranking = [row[3] for row in tables(oracle)["repositories/all.parquet"]]
    assert found.total == sum(rows.values())
    assert found.rank == 1 + sum(n > found.total for n in ranking)
    assert found.share == found.total / sum(ranking)
    days = Counter[date]()
    members, refs = Counter[str](), Counter[str | None]()
    for (day, member, what), n in rows.items():
        days[day] += n
        members[member] += n
        refs[what.ref] += n
    assert plain(found.series) == sorted(days.items())
    assert (found.days, found.first_seen, found.last_seen) == (len(days), min(days), max(days))
    assert {row[0]: row[1] for row in plain(found.by_member)} == members
    assert {row[0]: row[1] for row in plain(found.by_ref)} == refs


def test_a_name_that_several_providers_have_is_the_most_launched(rollups: db.Rollups) -> None:
    assert answers.repository(rollups, "owner/name").provider == "GitHub"
    assert answers.repository(rollups, "owner/name", provider="GitLab").provider == "GitLab"
    assert answers.repository(rollups, f"minrk/{HEX}").provider == "Gist"
    assert answers.repository(rollups, "10.5281/ZENODO.3242074").provider == "Zenodo"
    assert answers.repository(rollups, "owner/name/main", provider="Tomorrow").org is None
    with pytest.raises(db.InputError, match="'no/such' was never launched"):
        answers.repository(rollups, "no/such")


@pytest.mark.parametrize(
    ("by", "period", "before"),
    [
        ("month", lambda day: f"{day:%Y-%m}", lambda period: f"{int(period[:4]) - 1}{period[4:]}"),
        (
            "quarter",
            lambda day: f"{day.year}Q{(day.month + 2) // 3}",
            lambda period: f"{int(period[:4]) - 1}{period[4:]}",
        ),
        ("year", lambda day: f"{day.year}", lambda period: f"{int(period) - 1}"),
    ],
)
def test_members_are_counted_by_period(
    rollups: db.Rollups,
    oracle: Oracle,
    by: str,
    period: Callable[[date], str],
    before: Callable[[str], str],
) -> None:
    counted = Counter(
        (period(one.date), member_of(origin_of(one), one.date, oracle.hosts))
        for one in oracle.launches()
    )
    totals = Counter[str]()
    for (when, _), n in counted.items():
        totals[when] += n
    wanted = [
        (
            when,
            member,
            n,
            n / totals[when],
            n / counted[before(when), member] - 1 if counted[before(when), member] else None,
        )
        for (when, member), n in counted.items()
    ]
    wanted.sort(key=lambda row: (row[0], -row[2], row[1]))
    assert plain(answers.members(rollups, by)) == wanted
    assert any(row[4] for row in wanted)


def test_the_cubes_hold_every_launch(rollups: db.Rollups, oracle: Oracle) -> None:
    launched = visits(oracle)
    wanted = Counter[tuple[Any, ...]]()
    for (day, member, what), n in launched.items():
        wanted[day, member, what.provider] += n
    found = plain(answers.daily(rollups))
    assert found == [(*key, n) for key, n in sorted(wanted.items())]

    known = answers.repositories(rollups)
    assert plain(known) == tables(oracle)["repositories/all.parquet"]
    cube, sums = answers.launches(rollups), Counter[tuple[Any, ...]]()
    rows = zip(cube.day, cube.member, cube.repository, cube.n, strict=True)
    names = list(zip(known["provider"], known["repository"], strict=True))
    for day, member, repository, n in rows:
        key = date(1970, 1, 1) + timedelta(days=int(day)), cube.members[member], *names[repository]
        sums[key] += int(n)
    by_name = Counter[tuple[Any, ...]]()
    shown = {identity(Named(*name, None, None)): name for name in names}
    for (day, member, what), n in launched.items():
        by_name[(day, member, *shown[identity(what)])] += n
    assert sums == by_name
    assert list(cube.day) == sorted(cube.day)


@pytest.mark.parametrize("by", ["day", "week", "month", "7d", "30d", "90d"])
def test_active_repositories_are_counted(rollups: db.Rollups, oracle: Oracle, by: str) -> None:
    rows = tables(oracle)["repositories/active.parquet"]
    assert plain(answers.active(rollups, by)) == [row[1:] for row in rows if row[0] == by]


def test_new_repositories_are_counted(rollups: db.Rollups, oracle: Oracle) -> None:
    rows = tables(oracle)["repositories/all.parquet"]
    wanted = Counter(f"{row[5]:%Y-%m}" for row in rows)
    assert dict(plain(answers.new(rollups))) == wanted


def test_scripts_are_told_from_sites(rollups: db.Rollups, oracle: Oracle) -> None:
    wanted = Counter(one.request_origin for one in oracle.launches() if one.version >= 6)
    found = answers.scripts(rollups)
    assert dict(zip(found["request_origin"], found["n"], strict=True)) == wanted
    assert found["share"].sum() == pytest.approx(1)


def test_the_archive_is_as_complete_as_its_days(rollups: db.Rollups, oracle: Oracle) -> None:
    found = answers.completeness(rollups)
    days = {day.date: day for day in oracle.days}
    assert len(found) == (oracle.present[-1] - oracle.present[0]).days + 1
    for row in found.itertuples():
        day = days.get(row.date.date())
        assert row.present == (day is not None)
        assert pd.isna(row.launches) if day is None else row.launches == day.accepted


def test_all_answers_agree(rollups: db.Rollups, oracle: Oracle) -> None:
    everything = oracle.accepted
    for by in ("repo", "org", "provider", "member", "origin", "ref"):
        assert answers.top(rollups, by, n=None)["n"].sum() == everything
    for period in ("month", "quarter", "year"):
        assert answers.members(rollups, period)["n"].sum() == everything
    assert answers.daily(rollups)["n"].sum() == everything
    assert answers.repositories(rollups)["n"].sum() == everything
    assert answers.launches(rollups).n.sum() == everything
    assert answers.completeness(rollups)["launches"].sum() == everything


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda r: answers.top(r, "colour"), "counted by repo, org"),
        (lambda r: answers.top(r, last="soon"), "written 90d"),
        (lambda r: answers.top(r, last="9d", start="2021-01-01"), "without a start"),
        (lambda r: answers.top(r, start="2021-02-30"), "is not a date"),
        (lambda r: answers.top(r, start="2021-02-02", end="2021-02-01"), "ends .* before"),
        (lambda r: answers.members(r, "day"), "counted by month"),
        (lambda r: answers.active(r, "hour"), "counted by day"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(
    rollups: db.Rollups, ask: Callable[[db.Rollups], Any], sentence: str
) -> None:
    with pytest.raises(db.InputError, match=sentence):
        ask(rollups)


# The commands -----------------------------------------------------------------------------------


def test_commands_say_what_the_interface_says(dest: Path, rollups: db.Rollups) -> None:
    found = json.loads(invoke("top", dest, "--by", "org", "-n", 3, "--json"))
    assert found["rows"] == answers.top(rollups, "org", n=3).to_dict("records")
    found = json.loads(invoke("repo", dest, "owner/name", "--json"))
    same = answers.repository(rollups, "owner/name")
    assert (found["total"], found["rank"]) == (same.total, same.rank)
    assert sum(row["n"] for row in found["series"]) == same.total
    found = json.loads(invoke("members", dest, "--quarter", "2021q1", "--json"))
    frame = answers.members(rollups, "quarter")
    wanted = frame[frame["period"] == "2021Q1"]
    assert [(row["member"], row["n"]) for row in found["rows"]] == plain(wanted[["member", "n"]])


def test_tables_are_for_people(dest: Path) -> None:
    table = invoke("top", dest)
    assert "Owner/Name" in table
    assert "\x1b" not in table
    assert "\\x1b[31mred" in table
    shown = invoke("repo", dest, "owner/name")
    assert "Owner/Name" in shown
    assert "█" in shown
    assert "feature/x" in shown
    table = invoke("members", dest, "--year", 2021)
    assert "2020" not in table
    assert "ovh" in table


def test_csv_holds_no_formula(dest: Path) -> None:
    rows = invoke("top", dest, "--csv").splitlines()
    assert rows[0] == "provider,repository,n,share"
    assert any(row.startswith("GitHub,'=cmd|' /C calc'!A0,") for row in rows)
    days = invoke("repo", dest, "owner/name", "--csv").splitlines()
    assert days[0] == "date,n"
    assert sum(int(row.split(",")[1]) for row in days[1:]) > 0
    years = invoke("members", dest, "--by", "year", "--csv").splitlines()
    assert years[0] == "period,member,n,share,change"
    assert len(years) > 2


def test_what_is_not_there_is_bad_usage(dest: Path, tmp_path: Path) -> None:
    for words in (
        ["repo", dest, "no/such"],
        ["members", dest, "--quarter", "1999Q1"],
        ["members", dest, "--quarter", "2021Q1", "--by", "year"],
        ["top", tmp_path],
    ):
        assert CliRunner().invoke(main, [str(word) for word in words]).exit_code == 2


@pytest.mark.parametrize("heavy", ["pandas", "dask", "distributed"])
def test_commands_need_nothing_heavy(dest: Path, heavy: str) -> None:
    for words in (["top", str(dest)], ["repo", str(dest), "owner/name"], ["members", str(dest)]):
        code = (
            f"import sys; from daskbinder.cli import main; main({words}, standalone_mode=False); "
            f"assert {heavy!r} not in sys.modules"
        )
        ended = python(code)
        assert ended.returncode == 0, ended.stderr


def test_pandas_is_there_for_who_asks_after_a_command(dest: Path) -> None:
    code = (
        f"from daskbinder.cli import main; main(['top', {str(dest)!r}], standalone_mode=False)\n"
        "import daskbinder as db; from daskbinder import answers\n"
        f"assert len(answers.top(db.open({str(dest)!r}))) > 5"
    )
    ended = python(code)
    assert ended.returncode == 0, ended.stderr


def test_days_before_1970_are_days_like_any_other(
    make_archive: MakeArchive, launch: MakeLaunch, tmp_path: Path, client: Client
) -> None:
    days = [date(1969, 12, 31), date(1970, 1, 1)]
    archive = make_archive({day: [launch(f"{day}T10:00:00+00:00")] for day in days})
    rollups = db.run(db.plan(db.Archive(archive), tmp_path / "out")).rollups
    found = answers.repositories(rollups)
    assert found[["n", "days"]].values.tolist() == [[2, 2]]
    assert found[["first_seen", "last_seen"]].values.tolist() == [days]
    active = answers.active(rollups, "30d")
    assert active["repositories"].tolist() == [1, 1]


QUESTIONS: dict[str, Callable[[db.Rollups], Any]] = {
    **{name: getattr(answers, name) for name in ("repositories", "daily", "new", "scripts")},
    "completeness": answers.completeness,
    **{f"top {by}": partial(answers.top, by=by) for by in ("repo", "member", "origin", "ref")},
    **{f"members {by}": partial(answers.members, by=by) for by in ("month", "year")},
    **{f"active {by}": partial(answers.active, by=by) for by in ("day", "30d")},
    "series": lambda rollups: rollups.federation("day", wide=True),
    "rollups": lambda rollups: rollups.load("monthly", by="day"),
    "repository": lambda rollups: answers.repository(rollups, _first(rollups)).by_ref,
    "figures": lambda rollups: _shown(rollups),
}


def _first(rollups: db.Rollups) -> str:
    return str(answers.repositories(rollups)["repository"].iloc[0])


def _shown(rollups: db.Rollups) -> pd.DataFrame:
    """Draw all that a page shows, and return its series."""
    data = PageData.load(rollups)
    content, filters = PageContent(data), Filters.read("", data)
    for figure in FIGURES.values():
        figure.draw(content, filters)
    return content.member_rates(filters).table


@pytest.mark.parametrize("question", QUESTIONS)
def test_answers_are_the_same_where_nan_is_not_na(rollups: db.Rollups, question: str) -> None:
    """Dates without a file have no counts, and pandas may tell that from not a number."""
    wanted = QUESTIONS[question](rollups)
    try:
        apart = pd.option_context("future.distinguish_nan_and_na", True)
        with apart:
            found = QUESTIONS[question](rollups)
    except pd.errors.OptionError:
        pytest.skip("this pandas does not tell them apart")
    pd.testing.assert_frame_equal(found, wanted)
