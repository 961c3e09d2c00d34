"""What a visitor chose and what the page then says: against plain counts, whatever is asked."""

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

import holoviews as hv
import pytest
from distributed import Client
from hypothesis import given, settings
from hypothesis import strategies as st

import daskbinder as db
from daskbinder.archive.sample import write_sample
from daskbinder.pages import report, templates
from daskbinder.pages.content import PageContent
from daskbinder.pages.data import PageData
from daskbinder.pages.downloads import repositories_csv, series_csv
from daskbinder.pages.figures import FIGURES, LiveFigure
from daskbinder.pages.filters import Filters
from daskbinder.text import number as written
from daskbinder.text import plural
from support import runs


@pytest.fixture(scope="module")
def rollups(counted: Path) -> db.Rollups:
    return db.open(str(counted))


@pytest.fixture(scope="module")
def data(rollups: db.Rollups) -> PageData:
    return PageData.load(rollups)


def chosen(data: PageData, **query: object) -> Filters:
    return Filters.read(urlencode(query, doseq=True), data)


def between(data: PageData, first: date, last: date, **query: object) -> Filters:
    return chosen(data, range="own", **{"from": first, "to": last}, **query)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def launches(rollups: db.Rollups, filters: Filters, key: str = "provider") -> Counter[str]:
    """Count launches of the chosen days and members by a column of the rollups, one at a time."""
    federation = db.Federation.load()
    found: Counter[str] = Counter()
    for row in rollups.load("monthly", by="day").itertuples():
        day = row.timestamp.date()
        if (
            filters.first <= day <= filters.last
            and federation.member(row.origin, day) in filters.members
            and row.provider in filters.providers
        ):
            found[getattr(row, key)] += row.n
    return found


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"range": "own", "from": "2021-02-26", "to": "2021-03-01"},
        {"member": ["gke", "turing"]},
        {"provider": ["GitHub"], "member": ["gke"]},
        {"member": ""},
    ],
    ids=str,
)
def test_headlines_and_table_are_what_was_counted(
    rollups: db.Rollups, data: PageData, query: dict[str, object]
) -> None:
    filters = chosen(data, **query)
    shown = PageContent(data).texts(filters, "")
    counts = launches(rollups, filters)
    total = sum(counts.values())
    assert number(shown["launches"]) == total
    text = io.StringIO(repositories_csv(PageContent(data), filters))
    rows = list(csv.DictReader(text))
    assert sum(int(row["launches"]) for row in rows) == total
    assert number(shown["repositories"]) == len(rows)
    by_provider: Counter[str] = Counter()
    for row in rows:
        by_provider[row["provider"]] += int(row["launches"])
    # Gists of 2018 and 2019 stand under GitHub in the archive; none is in this one
    assert by_provider == +counts
    assert [int(row["launches"]) for row in rows] == sorted(
        (int(row["launches"]) for row in rows), reverse=True
    )
    if rows:
        assert shown["rows"][0][3] == f"{int(rows[0]['launches']):,}"


def test_the_change_is_against_as_many_days_before(rollups: db.Rollups, data: PageData) -> None:
    filters = chosen(data, **{"range": "own", "from": "2021-03-01", "to": "2021-03-03"})
    before = chosen(data, **{"range": "own", "from": "2021-02-26", "to": "2021-02-28"})
    present = [set(db.open(str(rollups.location.address)).days["date"])] * 2
    rates = [
        sum(launches(rollups, one).values()) / sum(one.first <= day <= one.last for day in days)
        for one, days in zip((filters, before), present, strict=True)
    ]
    note = PageContent(data).texts(filters, "")["rate_note"]
    assert f"{abs(rates[0] / rates[1] - 1):.1%} against the 3 days before" in note
    assert note.startswith("▲" if rates[0] > rates[1] else "▼")
    assert "no earlier days" in PageContent(data).texts(chosen(data), "")["rate_note"]


@pytest.fixture(scope="module")
def lossy_rollups(client: Client, tmp_path_factory: pytest.TempPathFactory) -> db.Rollups:
    """Days around those of which mybinder.org lost the launches of GKE: 2022-10-20 to 11-23."""
    folder = tmp_path_factory.mktemp("lossy")
    write_sample(folder / "in", days=120, start=date(2022, 9, 1), events_per_day=90)
    runs.run(db.Archive(folder / "in"), folder / "out", client)
    return db.open(str(folder / "out"))


@pytest.fixture(scope="module")
def figures(lossy: PageData) -> dict[str, LiveFigure]:
    content, filters = PageContent(lossy), chosen(lossy)
    return {
        name: LiveFigure(hv.render(FIGURES[name].draw(content, filters)))
        for name in ("lines", "share", "providers", "repository")
    }


@pytest.fixture(scope="module")
def lossy(lossy_rollups: db.Rollups) -> PageData:
    return PageData.load(lossy_rollups)


GAP = date(2022, 10, 20), date(2022, 11, 23)


def in_gap(data: PageData, first: date, last: date) -> int:
    """How many days from `first` to `last` that have a file are days of the loss."""
    days = data.index[data.present].date
    return sum(max(first, GAP[0]) <= day <= min(last, GAP[1]) for day in days)


def mean(data: PageData, first: date, last: date) -> float:
    """Launches a day that has a file and is none of the loss."""
    days = [
        number
        for number, day in enumerate(data.index.date)
        if first <= day <= last and not GAP[0] <= day <= GAP[1] and data.present[number]
    ]
    return sum(int(data.cube[day].sum()) for day in days) / len(days)


@pytest.mark.parametrize(
    ("first", "last", "left_out"),
    [
        (date(2022, 11, 16), date(2022, 12, 15), "{} of these and {} of those"),
        (date(2022, 10, 11), date(2022, 11, 9), "{} of these"),
        (date(2022, 12, 5), date(2022, 12, 18), "{} of those"),
    ],
)
def test_a_comparison_leaves_out_days_of_known_loss_on_both_sides(
    lossy: PageData, first: date, last: date, left_out: str
) -> None:
    length = last - first + timedelta(days=1)
    spans = (first, last), (first - length, last - length)
    shown = PageContent(lossy).texts(between(lossy, first, last), "")
    rates = [mean(lossy, *days) for days in spans]
    counts = [in_gap(lossy, *days) for days in spans]
    text = left_out.format(*(plural(count, "day") for count in counts if count))
    assert shown["rate_note"].endswith(
        f"{abs(rates[0] / rates[1] - 1):.1%} against the {length.days} days before, "
        f"without {text} with launches lost"
    )
    assert shown["rate"] == written(rates[0])
    assert ("with launches lost" in shown["launches_note"]) is (counts[0] > 0)


def test_a_loss_of_members_that_are_not_chosen_is_none(lossy: PageData) -> None:
    content, days = PageContent(lossy), (date(2022, 10, 20), date(2022, 11, 5))
    filters = between(lossy, *days, member="ovh")
    shown = content.texts(filters, "")
    assert "lost" not in shown["rate_note"] + shown["launches_note"]
    assert not content.member_rates(filters).steps["unknown"].any()
    everyone = between(lossy, *days)
    shown = content.texts(everyone, "")
    assert (shown["rate"], shown["largest"], shown["largest_note"]) == ("–", "–", "not known")
    assert content.hours(everyone)["launches"].isna().all()
    for rates in (content.provider_rates(everyone), content.repository_rates(everyone)):
        assert rates.table.loc["2022-10-20":"2022-11-23"].isna().all(axis=None)  # type: ignore[misc]
        assert rates.table.loc["2022-11-24"].notna().any()


def test_a_month_with_known_loss_has_lower_bounds_in_the_report(
    lossy_rollups: db.Rollups, lossy: PageData
) -> None:
    html = report.render(lossy_rollups)
    rows = re.findall(r'<tr><th scope="row">(2022-\d\d)</th>(.*?)</tr>', html)
    gke = lossy.members.index("gke")
    tables = len(rows) // len({month for month, _ in rows})
    assert tables == 2  # by member and by provider
    for month, row in rows[: len(rows) // 2]:
        cells = re.findall(r'<td class="n">(.*?)</td>', row)
        is_lossy = month in ("2022-10", "2022-11")
        for i, cell in enumerate(cells[:-1]):
            assert cell.startswith("≥ ") is (is_lossy and i in (gke, len(lossy.members))), row
    for month, row in rows[len(rows) // 2 :]:
        cells = re.findall(r'<td class="n">(.*?)</td>', row)
        assert all(cell.startswith("≥ ") for cell in cells[:-1]) is (
            month in ("2022-10", "2022-11")
        )


def test_a_hatched_end_is_explained_where_it_is_in_sight(lossy: PageData) -> None:
    content = PageContent(lossy)
    for grain, first, is_hatched in (
        ("week", lossy.first, True),  # 1 September 2022 is a Thursday, and the first of its month
        ("month", lossy.first, False),
        ("average", lossy.first, False),
        ("week", date(2022, 9, 5), False),
    ):
        unit = content.texts(between(lossy, first, date(2022, 10, 9), grain=grain), "")["unit"]
        assert unit.endswith("; hatched: part of a week only") is is_hatched


@settings(max_examples=30, deadline=None)
@given(
    chosen_days=st.tuples(st.integers(0, 119), st.integers(0, 119)),
    which=st.sets(st.integers(0, 4)),
)
def test_the_notes_that_are_listed_are_those_with_numbers_in_the_figures(
    lossy: PageData, figures: dict[str, LiveFigure], chosen_days: tuple[int, int], which: set[int]
) -> None:
    first, last = (lossy.first + timedelta(days=day) for day in sorted(chosen_days))
    some = {"member": [lossy.members[i] for i in which if i < len(lossy.members)]} if which else {}
    filters, content = between(lossy, first, min(last, lossy.last), **some), PageContent(lossy)
    listed = content.texts(filters, "")["notes"]
    for name, live in figures.items():
        update = FIGURES[name].update
        assert update is not None
        update(live.figure, content, filters, None)
        numbers = live.marks[2].data
        assert sorted(map(int, numbers["number"])) == listed
        x = live.figure.x_range
        assert all(x.start <= at <= x.end for at in numbers["at"])


def test_another_hub_has_no_known_loss(lossy: PageData) -> None:
    other = replace(lossy, instance="Another hub")
    filters = between(other, date(2022, 11, 16), date(2022, 12, 15))
    assert "lost" not in PageContent(other).texts(filters, "")["rate_note"]


def test_the_series_as_csv_is_that_of_the_figure(data: PageData) -> None:
    filters = chosen(data, grain="day", member=["gke", "ovh"])
    rows = list(csv.DictReader(io.StringIO(series_csv(PageContent(data), filters))))
    rates = PageContent(data).member_rates(filters).table
    assert len(rows) == len(rates)
    for row, (stamp, wanted) in zip(rows, rates.iterrows(), strict=True):
        assert row["date"] == stamp.date().isoformat()
        assert list(row) == ["date", "gke", "ovh"]
        for name in ("gke", "ovh"):
            assert row[name] == "" if wanted[name] != wanted[name] else float(row[name])


def test_a_search_finds_parts_of_names_in_any_case(data: PageData) -> None:
    content = PageContent(data)
    names = data.directory["repository"].to_pylist()
    wanted = {name for name in names if "jupyter" in name.casefold()}
    assert wanted
    ranked, _, ranks = content.ranking(chosen(data, q="JUPYTER"))
    assert {names[row] for row in ranked} == wanted
    assert ranks[0] >= 1
    note = content.texts(chosen(data, q="no such thing"), "")["page_note"]
    assert note == "No repository for this choice"


def test_the_chosen_repository_is_the_one_of_the_address(data: PageData) -> None:
    content = PageContent(data)
    name = data.directory["repository"][5].as_py()
    provider = data.directory["provider"][5].as_py()
    filters = chosen(data, repo=f"{provider}/{name}", grain="day")
    shown = content.texts(filters, "")
    assert shown["repository"] == name
    assert content.repository_rates(filters).table.sum().sum() == data.directory["n"][5].as_py()
    assert content.texts(chosen(data, repo="GitHub/never/was"), "")["repository"] == (
        data.directory["repository"][0].as_py()
    )


@given(
    st.dictionaries(
        st.sampled_from(
            ["range", "from", "to", "grain", "kind", "member", "provider", "q", "page", "repo"]
        ),
        st.lists(
            st.text(max_size=20)
            | st.sampled_from(["all", "90d", "own", "0001-01-01", "9999-12-31", "gke", "-1", "٣"]),
            max_size=3,
        ),
    )
)
def test_any_query_is_a_page(data: PageData, query: dict[str, list[str]]) -> None:
    filters = Filters.read(urlencode(query, doseq=True), data)
    assert date(2021, 2, 23) <= filters.first <= filters.last <= date(2021, 3, 5)
    assert set(filters.members) <= set(data.members)
    shown = PageContent(data).texts(filters, "")
    assert 1 <= shown["page"] <= shown["pages"]
    assert len(shown["rows"]) <= 12


# Text of strangers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "name", "address"),
    [
        ("GitHub", "jupyter/nbviewer", "https://github.com/jupyter/nbviewer"),
        ("GitHub", "a/<b>", "https://github.com/a/%3Cb%3E"),
        ("GitHub", 'a/"onclick=x', "https://github.com/a/%22onclick%3Dx"),
        ("GitHub", "a/b?c#d", "https://github.com/a/b%3Fc%23d"),
        ("GitHub", "a/été", "https://github.com/a/%C3%A9t%C3%A9"),
        ("GitHub", "../evil", None),
        ("GitHub", "/evil", None),
        ("GitHub", "", None),
        ("Gist", "0123abc", "https://gist.github.com/0123abc"),
        ("GitLab", "group/sub/name", "https://gitlab.com/group/sub/name"),
        ("Zenodo", "10.5281/zenodo.1", "https://doi.org/10.5281/zenodo.1"),
        ("Git", "https://evil.example/x", None),
        ("javascript", "alert(1)", None),
    ],
)
def test_links_lead_to_known_hosts_only(provider: str, name: str, address: str | None) -> None:
    assert templates.link_to(provider, name) == address
    assert templates.link_to(provider, name, is_valid=False) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(26_033_365, "26,033,365"), (7, "7"), (1.25, "1.2"), (0, "0"), (19_876.4, "19,876")],
)
def test_numbers_have_separators(value: float, text: str) -> None:
    assert written(value) == text
