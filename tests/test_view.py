"""What a visitor chose and what the page then says: against plain counts, whatever is asked."""

import csv
import io
from collections import Counter
from datetime import date
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

import daskbinder as db
from daskbinder.pages import templates
from daskbinder.pages.content import PageContent, repositories_csv, series_csv
from daskbinder.pages.data import PageData
from daskbinder.pages.filters import Filters
from daskbinder.text import number as written


@pytest.fixture(scope="module")
def rollups(counted: Path) -> db.Rollups:
    return db.open(str(counted))


@pytest.fixture(scope="module")
def tables(rollups: db.Rollups) -> PageData:
    return PageData.load(rollups)


def chosen(tables: PageData, **query: object) -> Filters:
    return Filters.read(urlencode(query, doseq=True), tables)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def launches(rollups: db.Rollups, state: Filters, key: str = "provider") -> Counter[str]:
    """Count launches of the chosen days and members by a column of the rollups, one at a time."""
    federation = db.Federation.load()
    found: Counter[str] = Counter()
    for row in rollups.load("monthly", by="day").itertuples():
        day = row.timestamp.date()
        if (
            state.first <= day <= state.last
            and federation.member(row.origin, day) in state.members
            and row.provider in state.providers
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
    rollups: db.Rollups, tables: PageData, query: dict[str, object]
) -> None:
    state = chosen(tables, **query)
    shown = PageContent(tables).shown(state, "")
    counts = launches(rollups, state)
    total = sum(counts.values())
    assert number(shown["launches"]) == total
    text = io.StringIO(repositories_csv(PageContent(tables), state))
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


def test_the_change_is_against_as_many_days_before(rollups: db.Rollups, tables: PageData) -> None:
    state = chosen(tables, **{"range": "own", "from": "2021-03-01", "to": "2021-03-03"})
    before = chosen(tables, **{"range": "own", "from": "2021-02-26", "to": "2021-02-28"})
    present = [set(db.open(str(rollups.location.address)).days["date"])] * 2
    rates = [
        sum(launches(rollups, one).values()) / sum(one.first <= day <= one.last for day in days)
        for one, days in zip((state, before), present, strict=True)
    ]
    note = PageContent(tables).shown(state, "")["rate_note"]
    assert f"{abs(rates[0] / rates[1] - 1):.1%} against the 3 days before" in note
    assert note.startswith("▲" if rates[0] > rates[1] else "▼")
    assert "no days before" in PageContent(tables).shown(chosen(tables), "")["rate_note"]


def test_the_series_as_csv_is_that_of_the_figure(tables: PageData) -> None:
    state = chosen(tables, grain="day", member=["gke", "ovh"])
    rows = list(csv.DictReader(io.StringIO(series_csv(PageContent(tables), state))))
    rates = PageContent(tables).member_rates(state)
    assert len(rows) == len(rates)
    for row, (stamp, wanted) in zip(rows, rates.iterrows(), strict=True):
        assert row["date"] == stamp.date().isoformat()
        assert list(row) == ["date", "gke", "ovh"]
        for name in ("gke", "ovh"):
            assert row[name] == "" if wanted[name] != wanted[name] else float(row[name])


def test_a_search_finds_parts_of_names_in_any_case(tables: PageData) -> None:
    view = PageContent(tables)
    names = tables.known["repository"].to_pylist()
    wanted = {name for name in names if "jupyter" in name.casefold()}
    assert wanted
    ranked, _, ranks = view.found(chosen(tables, q="JUPYTER"))
    assert {names[row] for row in ranked} == wanted
    assert ranks[0] >= 1
    assert view.shown(chosen(tables, q="no such thing"), "")["page_note"] == "none found"


def test_the_chosen_repository_is_the_one_of_the_address(tables: PageData) -> None:
    view = PageContent(tables)
    name = tables.known["repository"][5].as_py()
    provider = tables.known["provider"][5].as_py()
    state = chosen(tables, repo=f"{provider}/{name}", grain="day")
    shown = view.shown(state, "")
    assert shown["repository"] == name
    assert view.repository_rates(state).sum().sum() == tables.known["n"][5].as_py()
    assert view.shown(chosen(tables, repo="GitHub/never/was"), "")["repository"] == (
        tables.known["repository"][0].as_py()
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
def test_any_query_is_a_page(tables: PageData, query: dict[str, list[str]]) -> None:
    state = Filters.read(urlencode(query, doseq=True), tables)
    assert date(2021, 2, 23) <= state.first <= state.last <= date(2021, 3, 5)
    assert set(state.members) <= set(tables.members)
    shown = PageContent(tables).shown(state, "")
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
    assert templates.link(provider, name) == address
    assert templates.link(provider, name, fits=False) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(26_033_365, "26,033,365"), (7, "7"), (1.25, "1.2"), (0, "0"), (19_876.4, "19,876")],
)
def test_numbers_have_separators(value: float, text: str) -> None:
    assert written(value) == text
