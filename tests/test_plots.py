"""Figures: what they draw is what was counted, gaps are gaps, colours can be told apart."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations, pairwise, product
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import daskbinder as db
from daskbinder import answers, plots
from daskbinder.model.annotations import Annotation
from daskbinder.pages.figures import LiveFigure
from daskbinder.pages.templates import read_web
from daskbinder.plots.rates import GRAINS, TIME
from daskbinder.plots.theme import ACCENT, PROVIDER_COLOURS
from daskbinder.plots.timeseries import HOVER, KINDS, STATES, STEP, TOTAL

START = date(2020, 12, 28)  # a Monday


def made(values: dict[str, list[float]], start: date = START) -> pd.DataFrame:
    """Counts by day; a day of which all values are NaN has no file, and no row."""
    index = pd.date_range(start, periods=len(next(iter(values.values()))), tz="UTC")
    return pd.DataFrame(values, index=index).dropna(how="all")


@pytest.fixture(scope="module")
def gappy() -> pd.DataFrame:
    """Forty days: one missing, then a week; a member that begins and one that ends."""
    random = np.random.default_rng(1)
    frame = pd.DataFrame(random.integers(0, 900, (40, 3)), columns=["gke", "ovh", "gesis"])
    frame = frame.astype(float)
    frame.loc[:9, "ovh"] = np.nan
    frame.loc[30:, "gesis"] = np.nan
    frame.loc[[5, *range(15, 22)], :] = np.nan
    return made({name: frame[name].tolist() for name in frame})


def drawn(plot: Any) -> dict[str, Any]:
    """Sources of the named parts of a figure."""
    return {part.name: part.data_source.data for part in hv.render(plot).renderers if part.name}


def test_the_average_is_the_one_of_the_data_set(counted: Path) -> None:
    rollups = db.open(str(counted))
    rates = plots.rates(rollups.federation("day", wide=True)).table
    rows = rollups.federation("day")
    assert len(rows) > 10
    for row in rows.itertuples():
        assert rates.loc[row.timestamp.tz_localize(None), row.federation] == pytest.approx(
            row.mean_7d
        )
    assert int(rates.notna().sum().sum()) == len(rows)


@pytest.mark.parametrize("grain", ["week", "month"])
def test_weeks_and_months_are_means_over_days_with_a_file(gappy: pd.DataFrame, grain: str) -> None:
    wanted: dict[tuple[date, str], list[float]] = {}
    files: dict[date, int] = {}
    for stamp, row in gappy.iterrows():
        day = stamp.date()
        first = day - timedelta(days=day.weekday()) if grain == "week" else day.replace(day=1)
        files[first] = files.get(first, 0) + 1
        for name, value in row.items():
            if value == value:
                wanted.setdefault((first, str(name)), []).append(value)
    rates = plots.rates(gappy, grain).table
    found = {
        (stamp.date(), name): value
        for name in rates
        for stamp, value in rates[name].dropna().items()
    }
    assert found.keys() == wanted.keys()
    for key, values in wanted.items():
        assert found[key] == pytest.approx(sum(values) / files[key[0]])


def test_a_step_that_is_none_is_refused(gappy: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="average, day, week, month, not 'year'"):
        plots.rates(gappy, "year")
    with pytest.raises(ValueError, match="lines, stacked, share, not 'pie'"):
        plots.members(gappy, kind="pie")


def test_a_day_without_a_file_breaks_every_line(gappy: pd.DataFrame) -> None:
    (part,) = (
        one for one in hv.render(plots.members(gappy, grain="day")).renderers if one.name == "gke"
    )
    broken = np.flatnonzero(np.isnan(part.data_source.data[part.glyph.y])).tolist()
    assert broken == [5, *range(15, 22)]


def test_areas_are_stacked_and_broken_where_days_are_missing(gappy: pd.DataFrame) -> None:
    parts = drawn(plots.members(gappy, kind="stacked", grain="day"))
    order = gappy.sum().sort_values(ascending=False).index.tolist()
    below = np.zeros(40)
    daily = gappy.tz_localize(None).reindex(pd.date_range(START, periods=40))
    for name in order:
        x, y = parts[name]["x"], parts[name]["y"]
        assert np.isnan(y).sum() >= 1
        corners = {(t, v) for t, v in zip(x, y, strict=True) if v == v}
        for i, value in enumerate(daily[name]):
            if value == value:
                day = daily.index[i].to_datetime64()
                assert (day, below[i]) in corners
                assert (day, below[i] + value) in corners
        below += daily[name].fillna(0).to_numpy()


def test_shares_add_up_to_one(gappy: pd.DataFrame) -> None:
    found = plots.PlotSeries.of(plots.rates(gappy, "day"), "share")
    tops = found.frame[[found.upper(i) for i in range(3)]].max(axis=1).dropna()
    assert len(tops) == len(gappy)
    assert tops.to_numpy() == pytest.approx(1.0)


def height(series: plots.PlotSeries, number: int, at: Any) -> float:
    """How high the area of a series is drawn at a time."""
    time, upper, lower = (
        series.frame[name].to_numpy() for name in (TIME, series.upper(number), series.lower(number))
    )
    for i in range(len(time) - 1):
        ends = upper[i : i + 2] - lower[i : i + 2]
        if time[i] < at < time[i + 1] and not np.isnan(ends).any():
            part = (at - time[i]) / (time[i + 1] - time[i])
            return float(ends[0] + part * (ends[1] - ends[0]))
    return 0.0


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Launches of members that begin and end on any day, some days without a file."""
    length = draw(st.integers(1, 70))
    columns = {}
    for name in "abc":
        first, last = sorted(draw(st.tuples(*[st.integers(0, length)] * 2)))
        values = draw(st.lists(st.integers(1, 9), min_size=last - first, max_size=last - first))
        columns[name] = [*[np.nan] * first, *map(float, values), *[np.nan] * (length - last)]
    table = made(columns, draw(st.dates(date(2020, 1, 1), date(2020, 3, 1))))
    missing = draw(st.sets(st.integers(0, length - 1), max_size=5))
    return table.drop(index=table.index[[day for day in missing if day < len(table)]])


@pytest.mark.parametrize("grain", GRAINS)
@settings(max_examples=40, deadline=None)
@given(table=tables())
def test_drawn_shares_add_up_to_one_wherever_any_is_drawn(grain: str, table: pd.DataFrame) -> None:
    series = plots.PlotSeries.of(plots.rates(table, grain), "share")
    time = np.unique(series.frame[TIME].to_numpy())
    second = np.timedelta64(1, "s")
    for one, other in pairwise(time):
        for at in (one + second, one + (other - one) / 2, other - second):
            total = sum(height(series, number, at) for number in range(3))
            assert total == pytest.approx(1.0) or total == 0.0


def test_a_month_is_drawn_from_its_first_day_to_its_last_within_the_data() -> None:
    """A fall at the beginning of a month is no slope through the month before."""
    days = made({"gke": [90.0] * 20 + [30.0] * 31}, date(2021, 3, 12))
    corners = [("03-12", 90.0), ("04-01", 90.0), ("04-01", 30.0), ("05-01", 30.0), ("05-02", 30.0)]
    line = drawn(plots.members(days, grain="month"))["gke"]
    found = zip(pd.DatetimeIndex(line["date"]).strftime("%m-%d"), line["series 0"], strict=True)
    assert list(dict.fromkeys(found)) == corners
    area = drawn(plots.members(days, grain="month", kind="stacked"))["gke"]
    found = zip(pd.DatetimeIndex(area["x"]).strftime("%m-%d"), area["y"], strict=True)
    assert set(corners) <= set(found)
    figure = hv.render(plots.members(days, grain="month"))
    ends = pd.to_datetime([figure.x_range.start, figure.x_range.end])
    assert list(ends.strftime("%m-%d")) == ["03-12", "05-02"]


def test_a_week_or_month_that_the_data_cover_in_part_says_so_and_is_hatched() -> None:
    days = made({"gke": [90.0] * 20 + [30.0] * 31}, date(2021, 3, 12)).drop(
        index=pd.Timestamp("2021-04-05", tz="UTC")
    )
    months, weeks, average, day = (
        plots.rates(days, grain) for grain in ("month", "week", "average", "day")
    )
    heads = {
        grain: plots.PlotSeries.of(rates, "lines").hover[STEP].tolist()[:-1]
        for grain, rates in (("month", months), ("week", weeks), ("average", average), ("day", day))
    }
    assert heads["month"] == [
        "2021-03, 20 of 31 days",
        "2021-04, 29 of 30 days",
        "2021-05, 1 of 31 days",
    ]
    assert [text.partition(", ")[2] for text in heads["week"]] == [
        "3 of 7 days",
        "",
        "",
        "",
        "6 of 7 days",
        "",
        "",
        "6 of 7 days",
    ]
    missing = (date(2021, 4, 5) - date(2021, 3, 12)).days
    assert heads["day"][missing] == "Mon 2021-04-05, no file"
    assert heads["average"][0].endswith("2021-03-12, 1 of 7 days")
    assert [heads["average"][missing + more].partition(", ")[2] for more in (0, 1, 7)] == [
        "no file",
        "6 of 7 days",
        "",
    ]
    live = LiveFigure(hv.render(plots.series(day)))
    for rates, ends in (
        (months, [("2021-03-12", "2021-04-01"), ("2021-05-01", "2021-05-02")]),
        (weeks, [("2021-03-12", "2021-03-15"), ("2021-04-26", "2021-05-02")]),
        (average, []),
    ):
        drawn_anew = LiveFigure(hv.render(plots.series(rates, kind="share")))
        live.show(plots.PlotSeries.of(rates, "lines"))
        for figure in (live, drawn_anew):
            edges = [
                pd.DatetimeIndex(each).strftime("%Y-%m-%d") for each in figure.partial.data.values()
            ]
            assert list(zip(*edges, strict=True)) == ends
    (part,) = (one for one in live.figure.renderers if one.data_source is live.partial)
    assert part.glyph.hatch_pattern == "right_diagonal_line"


def test_what_is_said_of_a_step_is_said_from_its_beginning_to_its_end() -> None:
    days = made({"gke": [90.0] * 20 + [30.0] * 31}, date(2021, 3, 12))
    month, day = (
        plots.PlotSeries.of(plots.rates(days, grain), "lines").hover for grain in ("month", "day")
    )
    assert month[TIME].dt.strftime("%m-%d").tolist() == ["03-12", "04-01", "05-01", "05-02"]
    assert [text[:7] for text in month[STEP]] == ["2021-03", "2021-04", "2021-05", ""]
    assert day[TIME].iloc[[0, -1]].astype(str).tolist() == [
        "2021-03-11 12:00:00",
        "2021-05-01 12:00:00",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_figure_given_new_values_is_the_figure_drawn_anew(gappy: pd.DataFrame, kind: str) -> None:
    """The explorer changes figures that HoloViews drew; this is what it relies on."""
    live = LiveFigure(hv.render(plots.series(plots.rates(gappy * 3, "day"), kind=kind)))
    for grain in ("average", "week"):
        rates = plots.rates(gappy, grain).only(gappy.columns != "ovh")
        live.show(plots.PlotSeries.of(rates, kind))
        anew = LiveFigure(hv.render(plots.series(rates, kind=kind)))
        assert live.parts.keys() == anew.parts.keys() == {"gke", "ovh", "gesis"}
        for name in ("gke", "gesis"):
            for one, other in zip(
                live.parts[name].data.values(), anew.parts[name].data.values(), strict=True
            ):
                np.testing.assert_array_equal(one, other)
        assert not len(next(iter(live.parts["ovh"].data.values())))
        assert list(live.hover.data[HOVER]) == list(anew.hover.data[HOVER])
        assert list(live.hover.data[STEP]) == list(anew.hover.data[STEP])


def test_what_is_said_of_a_day_has_each_member_and_all_together() -> None:
    days = made({"gke": [12345.0, 7.0], "ovh": [5.0, np.nan]})
    found = plots.PlotSeries.of(plots.rates(days, "day"), "lines")
    space = "\N{FIGURE SPACE}"
    assert found.hover[HOVER][0] == (f"12,345 gke\n{space * 3}5.0 ovh\n12,350 {TOTAL}\n")
    assert "ovh" not in found.hover[HOVER][1]
    assert found.hover[STEP][0] == "Mon 2020-12-28"


def test_every_figure_says_its_unit_and_none_says_users(counted: Path) -> None:
    rollups = db.open(str(counted))
    days, hours = (rollups.federation(by, wide=True) for by in ("day", "hour"))
    daily = answers.daily(rollups)
    by_provider = daily.pivot_table(
        index="date", columns="provider", values="n", aggfunc="sum", fill_value=0
    )
    one = answers.repository(rollups, answers.repositories(rollups)["repository"][0])
    series = one.series.set_index("date")["n"].rename(one.name)
    figures = {
        "launches a day": [
            plots.members(days),
            plots.members(days, kind="stacked"),
            plots.providers(by_provider),
            plots.repository(series),
        ],
        "share of launches": [plots.members(days, kind="share")],
        "launches": [plots.repositories(answers.top(rollups)), plots.hours(hours)],
        "archive": [plots.archive(answers.completeness(rollups))],
    }
    for unit, some in figures.items():
        for plot in some:
            figure = hv.render(plot)
            words = f"{figure.title.text} {figure.xaxis[0].axis_label} {figure.yaxis[0].axis_label}"
            assert unit in words.lower(), words
            assert "user" not in words
            assert figure.toolbar.logo is None


@pytest.mark.parametrize("name", ["lines", "stacked", "share", "providers", "repository"])
def test_a_figure_over_time_moves_and_zooms_in_width_only(gappy: pd.DataFrame, name: str) -> None:
    if name in KINDS:
        plot = plots.members(gappy, kind=name)
    else:
        plot = plots.providers(gappy) if name == "providers" else plots.repository(gappy["gke"])
    tools = hv.render(plot).toolbar.tools
    ways = {type(tool).__name__: tool.dimensions for tool in tools if hasattr(tool, "dimensions")}
    assert ways == dict.fromkeys(("PanTool", "BoxZoomTool", "WheelZoomTool"), "width")


def test_bars_have_the_most_launched_on_top(counted: Path) -> None:
    top = answers.top(db.open(str(counted)), n=8)
    figure = hv.render(plots.repositories(top, most=5))
    source = figure.renderers[0].data_source.data
    assert list(source["launches"]) == top["n"].tolist()[:5][::-1]
    assert figure.y_range.factors[-1] == top["repository"][0]


def test_hours_are_means_of_the_hours_that_have_a_file(counted: Path) -> None:
    hourly = db.open(str(counted)).federation("hour", wide=True)
    sums: dict[tuple[str, int], list[float]] = {}
    for stamp, row in hourly.iterrows():
        cell = stamp.strftime("%a"), stamp.hour
        sums.setdefault(cell, []).append(float(row.sum()))
    found = plots.week_of_hours(hourly).set_index(["weekday", "hour"])["launches"]
    assert len(found) == 168
    for cell, value in found.items():
        assert value == pytest.approx(np.mean(sums[cell]) if cell in sums else np.nan, nan_ok=True)


# Notes --------------------------------------------------------------------------------------------


def numbers(plot: Any) -> list[str]:
    sources = (part.data_source.data for part in hv.render(plot).renderers)
    return sorted(next(list(source["number"]) for source in sources if "number" in source))


def test_notes_are_marked_with_their_number_in_the_whole_list() -> None:
    days = made({"gke": [1.0] * 60, "ovh": [1.0] * 60}, date(2022, 10, 1))
    assert numbers(plots.members(days)) == ["3", "6"]
    notes = [
        Annotation(date(2022, 9, 1), date(2022, 9, 2), None, "before"),
        Annotation(date(2022, 9, 1), None, None, "began before, and goes on"),
        Annotation(date(2022, 10, 5), None, "ovh", "a break"),
        Annotation(date(2022, 10, 7), date(2022, 10, 9), "turing", "of another member"),
        Annotation(date(2022, 10, 20), date(2022, 11, 23), "gke", "a gap"),
    ]
    plot = plots.members(days, notes=notes)
    assert numbers(plot) == ["2", "3", "5"]
    spans = [part for part in hv.render(plot).renderers if type(part.glyph).__name__ == "VStrip"]
    (band,) = (part for part in spans if "first" in part.data_source.data)
    first, last = (band.data_source.data[name][0] for name in ("first", "last"))
    assert (str(first)[:10], str(last)[:10]) == ("2022-10-20", "2022-11-24")
    assert numbers(plots.providers(days, notes=notes)) == ["2", "3", "4", "5"]


# Known loss ---------------------------------------------------------------------------------------

LOST = Annotation(date(2021, 1, 6), date(2021, 1, 20), "gke", "lost", lost=True)  # days 9 to 23


@pytest.fixture(scope="module")
def lossy() -> pd.DataFrame:
    """Sixty days from the Monday, of which gke lost nearly all of fifteen."""
    gke = [1.0 if 9 <= day < 24 else 300.0 for day in range(60)]
    return made({"gke": gke, "ovh": [100.0] * 60, "gesis": [50.0] * 60})


@pytest.mark.parametrize("grain", ["average", "day"])
def test_a_day_of_known_loss_is_a_gap_and_other_days_are_as_if_it_were_not(
    lossy: pd.DataFrame, grain: str
) -> None:
    table = plots.rates(lossy, grain, [LOST]).table
    assert np.flatnonzero(table["gke"].isna()).tolist() == list(range(9, 24))
    assert table["gke"].dropna().unique() == pytest.approx([300.0])
    assert table["ovh"].tolist() == [100.0] * 60


def test_a_week_or_month_is_the_mean_of_the_days_that_are_known(lossy: pd.DataFrame) -> None:
    weeks = plots.rates(lossy, "week", [LOST])
    assert weeks.table["gke"].isna().tolist() == [False, False, True, *[False] * 6]
    assert weeks.table["gke"].dropna().unique() == pytest.approx([300.0])
    assert weeks.steps["unknown"].tolist() == weeks.table["gke"].isna().tolist()
    months = plots.rates(lossy, "month", [LOST])
    assert months.table["gke"].tolist() == pytest.approx([300.0] * 3)
    assert not months.steps["unknown"].any()


@pytest.mark.parametrize("kind", ["stacked", "share"])
def test_shares_and_totals_are_unknown_while_a_member_loses_launches(
    lossy: pd.DataFrame, kind: str
) -> None:
    rates = plots.rates(lossy, "day", [LOST])
    found = plots.PlotSeries.of(rates, kind)
    for number in range(3):
        edges = found.frame[[found.upper(number), found.lower(number)]]
        assert np.flatnonzero(edges.isna().all(axis=1)).tolist() == list(range(9, 24))
    texts = plots.PlotSeries.of(rates, "lines").hover[HOVER][:-1]
    assert [TOTAL in text for text in texts] == [not 9 <= day < 24 for day in range(60)]
    space = "\N{FIGURE SPACE}"
    assert texts[9] == f"lost gke\n100 ovh\n{space}50 gesis\n"


def test_figures_leave_out_known_loss_unless_told_not_to(lossy: pd.DataFrame) -> None:
    def gaps(plot: Any, name: str) -> int:
        (part,) = (one for one in hv.render(plot).renderers if one.name == name)
        return int(np.isnan(part.data_source.data[part.glyph.y]).sum())

    assert gaps(plots.members(lossy, grain="day", notes=[LOST]), "gke") == 15
    assert gaps(plots.members(lossy, grain="day", notes=[LOST]), "ovh") == 0
    assert gaps(plots.members(lossy, grain="day", notes=()), "gke") == 0
    by_provider = lossy.set_axis(["GitHub", "Gist", "GitLab"], axis=1)
    assert gaps(plots.providers(by_provider, grain="day", notes=[LOST]), "Gist") == 15
    assert gaps(plots.providers(by_provider, grain="day", notes=()), "Gist") == 0
    without_gke = plots.members(lossy[["ovh", "gesis"]], kind="share", grain="day", notes=[LOST])
    assert len(drawn(without_gke)["ovh"]["x"]) == 120
    packaged = made({"gke": [1.0] * 60, "ovh": [1.0] * 60}, date(2022, 10, 1))
    assert gaps(plots.members(packaged, grain="day"), "gke") == 35


# Names of strangers -------------------------------------------------------------------------------


def test_labels_are_clean_short_and_each_once() -> None:
    names = ["date", "a\u202eb", "a\nb", "x" * 10_000, "", "launches", "dup", "dup", "low from"]
    found = plots.labels(names)
    assert len(set(found)) == len(names)
    assert all(label.isprintable() and len(label) <= 50 for label in found)
    assert TOTAL not in plots.labels([TOTAL])
    assert found[3].endswith("…")


def test_members_with_names_of_our_own_columns_are_drawn() -> None:
    hostile = ["date", "day", "launches", TOTAL, "<b>x</b>", "a from", "a", ""]
    days = made({name: [float(i + 1)] * 9 for i, name in enumerate(hostile)})
    assert len(drawn(plots.members(days, kind="share"))) == len(hostile)


# Small, empty and odd ones ------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "grain"), [("lines", "average"), ("share", "month")])
@pytest.mark.parametrize(
    "values",
    [
        {"gke": [3.0]},
        {"gke": [0.0, 0.0]},
        {"gke": [np.nan, 2.0, np.nan, 3.0], "x": [1.0] + [np.nan] * 3},
    ],
    ids=["one day", "no launch", "gaps"],
)
def test_tiny_ones_are_drawn(kind: str, grain: str, values: dict[str, list[float]]) -> None:
    figure = hv.render(plots.members(made(values), kind=kind, grain=grain))
    assert figure.y_range.end > figure.y_range.start == 0
    assert figure.x_range.end > figure.x_range.start


def test_empty_ones_are_drawn() -> None:
    empty = pd.DataFrame({"gke": []}, index=pd.DatetimeIndex([], tz="UTC"))
    days = pd.DataFrame(
        {
            "date": pd.DatetimeIndex([]),
            "present": pd.Series([], dtype=bool),
            "launches": pd.Series([], dtype="Int64"),
            "rejected": pd.Series([], dtype="Int64"),
            "indexed": pd.Series([], dtype="Int64"),
            "hours": pd.Series([], dtype="Int64"),
            "provisional": pd.Series([], dtype=bool),
        }
    )
    for plot in (
        plots.members(empty),
        plots.members(empty, kind="share", grain="week"),
        plots.providers(empty),
        plots.hours(empty),
        plots.archive(days),
        plots.repositories(pd.DataFrame({"repository": [], "n": []})),
    ):
        assert hv.render(plot).renderers


# The archive --------------------------------------------------------------------------------------


def test_states_of_days() -> None:
    days = pd.DataFrame(
        {
            "date": pd.date_range("2021-03-01", periods=8),
            "present": [True, True, False, True, True, True, True, True],
            "launches": pd.array([90, 91, None, 40, 0, 92, 95, 12], "Int64"),
            "rejected": pd.array([1, 0, None, 0, 0, 0, 0, 0], "Int64"),
            "indexed": pd.array([91, None, None, None, None, 93, 90, None], "Int64"),
            "hours": pd.array([24, 24, None, 11, 0, 24, 24, 5], "Int64"),
            "provisional": [False] * 7 + [True],
        }
    )
    assert plots.states(days)["state"].tolist() == [
        "complete",
        "complete",
        "missing",
        "truncated",
        "truncated",
        "truncated",
        "complete",
        "provisional",
    ]
    figure = hv.render(plots.archive(days))
    cells = figure.renderers[0].data_source.data
    shown = {
        str(when)[-2:]: state
        for when, state in zip(cells["day"], cells["state"], strict=True)
        if state in STATES
    }
    assert shown == {f"{i:02}": state for i, state in enumerate(plots.states(days)["state"], 1)}


# Colours ------------------------------------------------------------------------------------------

TOGETHER = [
    ["gke", "ovh", "gesis", "turing"],
    ["gke", "ovh", "ovh2", "gesis"],
    ["ovh2", "gesis", "curvenote"],
    ["hetzner-2i2c", "gesis", "hetzner-2i2c-bare"],
    ["hetzner-2i2c", "hetzner-gesis", "bids-ovh"],
]
"""Members that were in the federation at one time."""

# Machado, Oliveira, Fernandes 2009, severity 1: normal, protanopia, deuteranopia, tritanopia
EYES = [
    np.eye(3),
    np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
]
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)


def linear(shade: str) -> Any:
    part = np.array([int(shade[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)


def lab(light: Any) -> Any:
    x, y, z = np.cbrt(np.clip(XYZ @ np.clip(light, 0, 1) / XYZ.sum(axis=1), 1e-4, 1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def contrast(shade: str, page: str) -> float:
    one, other = sorted(float((XYZ @ linear(name))[1]) + 0.05 for name in (shade, page))
    return other / one


def pairs() -> Iterator[tuple[str, str]]:
    yield from {pair for group in TOGETHER for pair in combinations(group, 2)}


@pytest.mark.parametrize(("one", "other"), sorted(pairs()))
def test_members_of_one_time_are_told_apart_by_any_eye(one: str, other: str) -> None:
    for eye in EYES:
        seen = [lab(eye @ linear(plots.COLOURS[name])) for name in (one, other)]
        assert np.linalg.norm(seen[0] - seen[1]) > 20


@pytest.mark.parametrize(("one", "other"), list(combinations(PROVIDER_COLOURS, 2)))
def test_providers_are_told_apart_by_any_eye(one: str, other: str) -> None:
    for eye in EYES:
        seen = [lab(eye @ linear(PROVIDER_COLOURS[name])) for name in (one, other)]
        assert np.linalg.norm(seen[0] - seen[1]) > 15


def test_no_provider_looks_like_a_member() -> None:
    for one, other in product(plots.COLOURS.values(), PROVIDER_COLOURS.values()):
        assert np.linalg.norm(lab(linear(one)) - lab(linear(other))) > 12, (one, other)


def test_each_colour_is_seen_on_light_and_dark_cards_and_means_one_thing() -> None:
    cards = re.findall(r"--card: (#\w+);", read_web("page.css"))
    assert len(cards) == 2
    named = [*plots.COLOURS.values(), *PROVIDER_COLOURS.values(), *STATES.values(), ACCENT]
    shades = [*named, *{plots.colour(f"stranger {i}") for i in range(100)}]
    assert len(shades) == len(named) + 4
    assert len(set(shades)) == len(shades)
    for shade in shades:  # the most that one colour can have against both is 4.1
        assert min(contrast(shade, card) for card in cards) >= 3, shade
    assert plots.colour("somebody") == plots.colour("somebody")


# From a data set ----------------------------------------------------------------------------------


def test_a_data_set_is_drawn_as_its_tables_are(counted: Path) -> None:
    rollups = db.open(str(counted))
    daily = answers.daily(rollups).pivot_table(
        index="date", columns="provider", values="n", aggfunc="sum", fill_value=0
    )
    name = answers.top(rollups, n=1)["repository"][0]
    series = answers.repository(rollups, name).series.set_index("date")["n"].rename(name)
    series.index = pd.DatetimeIndex(series.index)
    assert len(series) == answers.completeness(rollups)["present"].sum(), "launched on every day"
    for draw, table, *more in (
        (plots.members, rollups.federation("day", wide=True)),
        (plots.hours, rollups.federation("hour", wide=True)),
        (plots.providers, daily),
        (plots.repository, series, name),
        (plots.repositories, answers.top(rollups, n=20)),
        (plots.archive, answers.completeness(rollups)),
    ):
        draw_one: Any = draw
        found, wanted = draw_one(rollups, *more), draw_one(table)
        assert _shown(found) == _shown(wanted), draw.__name__


def _shown(plot: Any) -> list[str]:
    """Data of each part of a figure, and its title."""
    figure = hv.render(plot)
    parts = [part.data_source.data for part in figure.renderers]
    return [figure.title.text, *(repr({k: list(v) for k, v in part.items()}) for part in parts)]


def test_days_without_a_launch_of_a_repository_are_zero_if_they_have_a_file(
    counted: Path,
) -> None:
    rollups = db.open(str(counted))
    rare = answers.repositories(rollups)["repository"].iloc[-1]
    days = answers.completeness(rollups).query("present")["date"]
    launched = answers.repository(rollups, rare).series.set_index("date")["n"]
    launched.index = pd.DatetimeIndex(launched.index)
    assert len(launched) < len(days)
    series = launched.reindex(pd.DatetimeIndex(days), fill_value=0).rename(rare)
    assert _shown(plots.repository(rollups, rare)) == _shown(plots.repository(series))
    with pytest.raises(TypeError, match="name the repository"):
        plots.repository(rollups)
    with pytest.raises(db.InputError, match="never launched"):
        plots.repository(rollups, "nobody/nothing")
