"""Figures of finished results: one function a figure, hvplot in, HoloViews out.

Counts come in as the tables that `Rollups` and `answers` give; nothing here reads a file. All
series are launches a day, whatever the step between two points, so that weeks and months that lack
days do not look like a fall. Days without a file are gaps, drawn as gaps.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, NamedTuple
from zlib import crc32

import holoviews as hv
import hvplot.pandas  # noqa: F401  (gives frames their hvplot)
import numpy as np
import pandas as pd
from bokeh.models import (
    DatetimeTickFormatter,
    FixedTicker,
    HoverTool,
    Label,
    Node,
    NoOverlap,
    NumeralTickFormatter,
)

from daskbinder.annotations import Annotation, annotations

__all__ = [
    "COLOURS",
    "Drawn",
    "archive",
    "colour",
    "draw_hours",
    "hours",
    "labels",
    "members",
    "providers",
    "rates",
    "repositories",
    "repository",
    "series",
    "states",
    "week_of_hours",
]

KINDS = ("lines", "stacked", "share")
GRAINS = {"average": "7-day average", "day": "by day", "week": "by week", "month": "by month"}
"""Steps between the points of a series, and what each is called."""

COLOURS = {
    "gke": "#4f98f0",
    "ovh": "#1b7a34",
    "gesis": "#5e52e9",
    "turing": "#a99a14",
    "ovh2": "#b26094",
    "curvenote": "#999c56",
    "hetzner-2i2c": "#688f2a",
    "hetzner-gesis": "#b743ae",
    "bids-ovh": "#c92e62",
    "hetzner-2i2c-bare": "#f76396",
}
"""A colour a member: told apart by the colour-blind, seen on white and on black."""

PROVIDER_COLOURS = {
    "GitHub": "#4f98f0",
    "Gist": "#b743ae",
    "Git": "#1b7a34",
    "GitLab": "#d9700f",
    "Zenodo": "#5e52e9",
    "Figshare": "#c92e62",
    "Hydroshare": "#2a9aa8",
    "Dataverse": "#a99a14",
    "CKAN": "#f76396",
}
ACCENT = "#d9700f"
STATES = {
    "complete": "#4f98f0",
    "truncated": "#d9a514",
    "missing": "#d43d51",
    "provisional": "#8a8f98",
}
_OTHERS = ("#8a8f98", "#a08870", "#7d93a8", "#9a86a0")
_INK = "#7b828c"
TIME, ALL, WHEN, TOLD = "date", "all together", "day", "launches"
_BELOW = " from"
_SPACE = "\N{FIGURE SPACE}"
_THOUSANDS = "0,0.[0]"
_YEAR_ROWS = 8
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BAND_DAYS = 130
_LOST = 40
_APART = 0.04  # of the width, between two numbers of notes in one row
_LONGEST_LABEL = 44
_TOOLS = ["xpan", "xbox_zoom", "xwheel_zoom", "reset", "save"]


def colour(name: str, colours: Mapping[str, str] = COLOURS) -> str:
    """Colour of a member, always the same; those of no known one are shades of grey."""
    return colours.get(name) or _OTHERS[crc32(name.encode()) % len(_OTHERS)]


def readable(text: str, longest: int = _LONGEST_LABEL) -> str:
    """Text of a stranger as it can be shown: one line, no invisible characters, not too long."""
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text.strip()) or "(empty)"
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def rates(counts: pd.DataFrame, grain: str = "average") -> pd.DataFrame:
    """Turn launches by day into launches a day at a step.

    Parameters
    ----------
    counts : pandas.DataFrame
        Launches by day: an index of days, a column a series, as
        ``rollups.federation("day", wide=True)`` gives them. A day that is not in the index has no
        file; NaN says that a series has not begun or has ended.
    grain : str
        One of `GRAINS`: the mean of the last seven days, each day, week (from Monday) or month.

    Returns
    -------
    pandas.DataFrame
        Means over the days that have a file, NaN where none has or the series is not there. The
        index has every step, without a time zone.
    """
    if grain not in GRAINS:
        raise ValueError(f"the steps are {', '.join(GRAINS)}, not {grain!r}")
    daily = _regular(counts)
    there = daily.notna().any(axis=1)
    if grain == "day" or daily.empty:
        return daily
    filled, days = daily.fillna(0), there.astype("float64")
    if grain == "average":
        mean = (
            filled.rolling(7, min_periods=1).sum().div(days.rolling(7, min_periods=1).sum(), axis=0)
        )
        return mean.where(daily.notna())
    rule = {"week": "W-MON", "month": "MS"}[grain]
    steps = {"closed": "left", "label": "left"}
    sums, among = filled.resample(rule, **steps).sum(), days.resample(rule, **steps).sum()
    alive = daily.notna().resample(rule, **steps).sum() > 0
    return sums.div(among.where(among > 0), axis=0).where(alive)


def members(
    counts: pd.DataFrame,
    *,
    kind: str = "lines",
    grain: str = "average",
    notes: Iterable[Annotation] | None = None,
    title: str | None = None,
    height: int = 360,
    legend: bool = True,
) -> hv.Overlay:
    """Launches a day by member of the federation.

    Parameters
    ----------
    counts : pandas.DataFrame
        Launches by day, a column a member: ``rollups.federation("day", wide=True)``.
    kind : {"lines", "stacked", "share"}
        A line a member, areas one upon the other, or areas of percent.
    grain : str
        See `rates`.
    notes : iterable of Annotation, optional
        What to mark; the packaged annotations about these days and members by default.
    title : str, optional
        In place of the usual one; empty for none.
    height : int
        In pixels; the width follows the page.
    legend : bool
        Whether to show one.

    Returns
    -------
    holoviews.Overlay
    """
    if kind not in KINDS:
        raise ValueError(f"the kinds are {', '.join(KINDS)}, not {kind!r}")
    unit = "share of launches" if kind == "share" else "launches a day"
    what = "Share of launches" if kind == "share" else "Daily launches"
    usual = f"{what} by federation member ({GRAINS[grain]})"
    table = rates(_largest_first(counts), grain)
    return series(
        table,
        kind=kind,
        grain=grain,
        unit=unit,
        notes=notes,
        about=[str(name) for name in counts],
        title=usual if title is None else title,
        height=height,
        legend=legend,
    )


def providers(
    counts: pd.DataFrame,
    *,
    grain: str = "average",
    notes: Iterable[Annotation] | None = None,
    title: str | None = None,
    height: int = 300,
    legend: bool = True,
) -> hv.Overlay:
    """Launches a day by provider of repositories, on a logarithmic axis: GitHub outweighs all.

    Parameters
    ----------
    counts : pandas.DataFrame
        Launches by day, a column a provider.
    grain, notes, title, height, legend
        See `members`.

    Returns
    -------
    holoviews.Overlay
    """
    found = rates(_largest_first(counts), grain)
    usual = f"Daily launches by provider ({GRAINS[grain]}, logarithmic)"
    return series(
        found.where(found > 0),
        grain=grain,
        colours=PROVIDER_COLOURS,
        notes=notes,
        title=usual if title is None else title,
        height=height,
        legend=legend,
        logy=True,
    )


def repository(
    counts: "pd.Series[int]",
    *,
    grain: str = "average",
    notes: Iterable[Annotation] | None = None,
    title: str | None = None,
    height: int = 260,
) -> hv.Overlay:
    """Launches a day of one repository.

    Parameters
    ----------
    counts : pandas.Series
        Launches by day, of every day that has a file; its name is that of the repository.
    grain, notes, title, height
        See `members`.

    Returns
    -------
    holoviews.Overlay
    """
    name = readable(str(counts.name))
    table = rates(counts.to_frame(name), grain)
    usual = f"Daily launches of {name} ({GRAINS[grain]})"
    return series(
        table,
        kind="stacked",
        grain=grain,
        colours={name: ACCENT},
        notes=notes,
        title=usual if title is None else title,
        height=height,
        legend=False,
    )


def repositories(
    table: pd.DataFrame, *, most: int = 20, title: str | None = None, height: int | None = None
) -> hv.Bars:
    """Draw the repositories with the most launches.

    Parameters
    ----------
    table : pandas.DataFrame
        ``repository`` and ``n``: ``answers.top(rollups, by="repo")``.
    most : int
        How many to show.
    title, height
        See `members`.

    Returns
    -------
    holoviews.Bars
    """
    top = table.nlargest(most, "n", keep="first").iloc[::-1]
    frame = pd.DataFrame(
        {
            "repository": labels(top["repository"].astype(str)),
            "launches": top["n"].to_numpy("int64"),
        }
    )
    return frame.hvplot.barh(
        x="repository",
        y="launches",
        color=ACCENT,
        alpha=0.4,
        bar_width=0.8,
        hover=False,
        responsive=True,
        height=height or 80 + 24 * max(len(frame), 1),
    ).opts(
        title="Repositories with the most launches" if title is None else title,
        xlabel="",
        ylabel="launches",
        ylim=(0, None),
        line_color=None,
        tools=[HoverTool(tooltips=_tooltip("@repository", "@launches{0,0} launches"))],
        default_tools=["save"],
        hooks=[_dress, _left_to_right],
    )


def hours(counts: pd.DataFrame, *, title: str | None = None, height: int = 300) -> hv.HeatMap:
    """Mean launches an hour, by hour of the day and day of the week, in UTC.

    Parameters
    ----------
    counts : pandas.DataFrame
        Launches by hour: ``rollups.federation("hour", wide=True)``.
    title, height
        See `members`.

    Returns
    -------
    holoviews.HeatMap
    """
    return draw_hours(week_of_hours(counts), title=title, height=height)


def draw_hours(frame: pd.DataFrame, *, title: str | None = None, height: int = 300) -> hv.HeatMap:
    """Draw what `week_of_hours` returns."""
    return frame.hvplot.heatmap(
        x="hour",
        y="weekday",
        C="launches",
        cmap="cividis",
        colorbar=True,
        xlabel="hour of the day (UTC)",
        ylabel="",
        yaxis="left",
        title="Launches an hour, by hour and weekday" if title is None else title,
        height=height,
        responsive=True,
        hover=False,
    ).opts(
        hv.opts.HeatMap(
            hooks=[_dress, _hour_axes],
            tools=[
                HoverTool(
                    tooltips=_tooltip(
                        "@weekday, @hour{00}:00 UTC", "@launches{0,0.[0]} launches an hour"
                    )
                )
            ],
            default_tools=["save"],
            colorbar_opts={
                "formatter": NumeralTickFormatter(format=_THOUSANDS),
                "width": 8,
                "padding": 4,
                "background_fill_alpha": 0,
                "major_label_text_color": _INK,
                "bar_line_color": None,
                "major_tick_line_color": None,
            },
        )
    )


WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def week_of_hours(counts: pd.DataFrame) -> pd.DataFrame:
    """Mean launches of all columns together in each hour of the week: weekday, hour, launches."""
    index = pd.DatetimeIndex(counts.index)
    total = counts.sum(axis=1).to_numpy("float64")
    cell = index.day_of_week.to_numpy() * 24 + index.hour.to_numpy()
    sums, times = (np.bincount(cell, weights=w, minlength=168) for w in (total, np.ones(len(cell))))
    with np.errstate(invalid="ignore"):
        mean = sums / np.where(times > 0, times, np.nan)
    return pd.DataFrame(
        {
            "hour": np.tile(np.arange(24), 7),
            "weekday": np.repeat(np.array(WEEKDAYS, object), 24),
            "launches": mean,
        }
    ).astype({"weekday": object})[::-1]


def states(days: pd.DataFrame) -> pd.DataFrame:
    """Say of every day of the archive in what state it is.

    Parameters
    ----------
    days : pandas.DataFrame
        What there is of each day: ``answers.completeness(rollups)``.

    Returns
    -------
    pandas.DataFrame
        ``date``, ``state`` (one of `STATES`) and ``launches``. A day is truncated when its file has
        no line, when the archive's own index counts more lines than there are, or when hours are
        empty in which the days around it have `_LOST` launches or more.
    """
    lines = (days["launches"] + days["rejected"]).fillna(0)
    around = {"window": 29, "center": True, "min_periods": 1}
    hours, launches = (days[name].astype("float64") for name in ("hours", "launches"))
    usual = hours.rolling(**around).median() - hours
    lost = usual * launches.rolling(**around).median() / 24
    torn = (lines < days["indexed"].fillna(0)) | (lost >= _LOST) | (lines == 0)
    state = np.select(
        [~days["present"], days["provisional"], torn],
        ["missing", "provisional", "truncated"],
        "complete",
    )
    launches = days["launches"].fillna(0).astype("int64")
    return pd.DataFrame({"date": days["date"], "state": state, "launches": launches})


def archive(days: pd.DataFrame, *, title: str | None = None, legend: bool = True) -> hv.Overlay:
    """Draw a calendar of the archive: a square a day, a block of weeks a year.

    Parameters
    ----------
    days : pandas.DataFrame
        What there is of each day: ``answers.completeness(rollups)``.
    title, legend
        See `members`.

    Returns
    -------
    holoviews.Overlay
    """
    days = states(days)
    index = pd.DatetimeIndex(days["date"])
    year, weekday = index.year.to_numpy(), index.day_of_week.to_numpy()
    first_weekday = (weekday - index.day_of_year.to_numpy() + 1) % 7
    years = range(year[0], year[-1] + 1) if len(year) else range(0)
    frame = pd.DataFrame(
        {
            "week": (index.day_of_year.to_numpy() - 1 + first_weekday) // 7,
            "row": -_YEAR_ROWS * (year - min(years, default=0)) - weekday,
            "state": days["state"].to_numpy(),
            WHEN: index.strftime("%a %d %B %Y"),
            TOLD: [f"{n:,} launches" for n in days["launches"]],
        }
    ).astype(dict.fromkeys(("state", WHEN, TOLD), object))  # HoloViews reshapes them
    height = 44 + 13 * _YEAR_ROWS * max(len(years), 1) + 30 * legend
    size = {"height": height, "responsive": True}
    frame["code"] = frame["state"].map({state: code for code, state in enumerate(STATES)})
    squares = frame.hvplot.heatmap(
        x="week",
        y="row",
        C="code",
        cmap=list(STATES.values()),
        clim=(-0.5, len(STATES) - 0.5),
        colorbar=False,
        hover_cols=["state", WHEN, TOLD],
        xlim=(-0.7, 53.7),
        ylim=(-_YEAR_ROWS * len(years) + 1, 1),
        xlabel="",
        ylabel="",
        title="Days of the archive" if title is None else title,
        **size,
    ).opts(
        hv.opts.HeatMap(
            tools=[HoverTool(tooltips=_tooltip(f"@{WHEN}", f"@state, @{TOLD}"))],
            default_tools=["save"],
            line_color=None,
            clipping_colors={"NaN": "transparent"},
        )
    )
    layers = [squares]
    tallies = frame["state"].value_counts()
    for state, shade in STATES.items():
        if legend:
            nowhere = pd.DataFrame({"week": [np.nan], "row": [np.nan]})
            style = {"color": shade, "marker": "square", "size": 80, "hover": False}
            label = f"{state}: {tallies.get(state, 0):,}"
            layers.append(nowhere.hvplot.scatter(x="week", y="row", label=label, **style, **size))
    return hv.Overlay(layers).opts(
        hooks=[_dress, _year_axes(years)], legend_position="top", show_legend=legend, **size
    )


class Drawn(NamedTuple):
    """What a figure over time draws.

    Attributes
    ----------
    names : tuple of str
        Its series, as they are shown.
    frame : pandas.DataFrame
        Time, each series, below each area its lower edge, and what to say when pointed at.
    kind : str
        How they are drawn.
    """

    names: tuple[str, ...]
    frame: pd.DataFrame
    kind: str

    @classmethod
    def of(cls, table: pd.DataFrame, kind: str, grain: str) -> "Drawn":
        """Lay rates out as lines, as areas one upon the other, or as areas of shares."""
        names = labels([str(name) for name in table])
        values = table.to_numpy("float64")
        columns = {TIME: table.index}
        there = ~np.isnan(values)
        filled = np.where(there, values, 0.0)
        if kind == "share":
            total = filled.sum(axis=1, keepdims=True)
            filled = np.divide(filled, total, out=np.zeros_like(filled), where=total > 0)
            there &= total > 0
        edges = np.cumsum(filled, axis=1)
        upper = np.where(there, filled if kind == "lines" else edges, np.nan)
        for number, name in enumerate(names):
            columns[name] = upper[:, number]
            if kind != "lines":
                columns[name + _BELOW] = np.where(
                    there[:, number], edges[:, number] - filled[:, number], np.nan
                )
        highest = np.max(np.where(there, upper, 0.0), axis=1, initial=0.0)
        columns[ALL] = np.where(there.any(axis=1), highest, np.nan)
        columns[WHEN] = pd.Series(
            _spoken(table.index[0], len(table), grain) if len(table) else [],
            table.index,
            dtype=object,
        )
        columns[TOLD] = pd.Series(
            _told(values, filled if kind == "share" else None, names), table.index, dtype=object
        )
        return cls(tuple(names), pd.DataFrame(columns).reset_index(drop=True), kind)

    def line(self, name: str) -> tuple[Any, Any]:
        """Points of a line, from its first value to its last."""
        values = self.frame[name].to_numpy()
        there = np.flatnonzero(~np.isnan(values))
        part = slice(there[0], there[-1] + 1) if len(there) else slice(0, 0)
        return self.frame[TIME].to_numpy()[part], values[part]

    def polygon(self, name: str) -> tuple[Any, Any]:
        """Corners of an area: along its lower edge and back along the upper, gaps between."""
        time = self.frame[TIME].to_numpy()
        upper, lower = (self.frame[column].to_numpy() for column in (name, name + _BELOW))
        there = np.flatnonzero(~np.isnan(upper))
        parts = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1) if len(there) else []
        x: list[Any] = []
        y: list[Any] = []
        for part in parts:
            if x:
                x.append(np.array(["NaT"], time.dtype))
                y.append(np.array([np.nan]))
            x += [time[part], time[part[::-1]]]
            y += [lower[part], upper[part[::-1]]]
        return (np.concatenate(x), np.concatenate(y)) if x else (time[:0], upper[:0])

    def ylim(self, logy: bool = False, rows: Any = slice(None)) -> tuple[float, float]:
        """Ends of the axis of values, of some rows."""
        if self.kind == "share":
            return 0.0, 1.0
        values = self.frame[list(self.names)].to_numpy()[rows]
        top = float(np.nanmax(values, initial=0.0))
        if logy:
            return float(np.nanmin(values, initial=max(top, 1.0))) / 1.5, max(top, 1.0) * 2
        return 0.0, top * 1.06 or 1.0

    @property
    def xlim(self) -> tuple[Any, Any]:
        """Ends of the axis of time."""
        time, edge = self.frame[TIME], pd.Timedelta(hours=12)
        if time.empty:
            return np.datetime64("1970-01-01"), np.datetime64("1970-01-02")
        return (time.iloc[0] - edge).to_datetime64(), (time.iloc[-1] + edge).to_datetime64()


def series(
    table: pd.DataFrame,
    *,
    kind: str = "lines",
    grain: str = "average",
    unit: str = "launches a day",
    colours: Mapping[str, str] = COLOURS,
    notes: Iterable[Annotation] | None = None,
    about: Collection[str] = (),
    title: str = "",
    height: int = 360,
    legend: bool = True,
    logy: bool = False,
) -> hv.Overlay:
    """Draw rates over time, with what is to know about the time.

    Parameters
    ----------
    table : pandas.DataFrame
        What `rates` returns.
    kind, grain, title, height, legend
        See `members`.
    unit : str
        Of the values.
    colours : mapping
        Colours of columns; others are grey.
    notes : iterable of Annotation, optional
        What to mark; the packaged annotations by default.
    about : collection of str
        Members, the notes about which are marked beside those about all.
    logy : bool
        Whether the axis is logarithmic.

    Returns
    -------
    holoviews.Overlay
    """
    drawn = Drawn.of(table, kind, grain)
    marks = _noted(table.index, notes, about)
    common: dict[str, Any] = {"x": TIME, "hover": False, "responsive": True, "height": height}
    layers = _marked(marks)
    for name, given in zip(drawn.names, table, strict=True):
        style = common | {"color": colour(str(given), colours), "label": name}
        if kind == "lines":
            line = pd.DataFrame(dict(zip((TIME, name), drawn.line(name), strict=True)))
            layers.append(line.hvplot.line(y=name, line_width=1.8, **style))
        else:
            below = name + _BELOW
            layers.append(
                drawn.frame.hvplot.area(
                    y=name, y2=below, stacked=False, alpha=0.85, line_width=0, **style
                )
            )
    pointed = drawn.frame.hvplot.line(y=ALL, hover_cols=[WHEN, TOLD], **common | {"alpha": 0})
    hover = HoverTool(
        tooltips=_tooltip(f"@{WHEN}", f"@{TOLD}"), mode="vline", line_policy="nearest"
    )
    layers.append(pointed.opts(tools=[hover], show_legend=False))
    return hv.Overlay(layers).opts(
        title=title,
        xlabel="",
        ylabel=unit,
        ylim=drawn.ylim(logy),
        xlim=drawn.xlim,
        logy=logy,
        yformatter=NumeralTickFormatter(format="0%" if kind == "share" else _THOUSANDS),
        height=height,
        responsive=True,
        show_grid=True,
        show_legend=legend,
        legend_position="top",
        default_tools=_TOOLS,
        active_tools=["xbox_zoom"],
        hooks=[_dress, _dated, _numbered(marks)],
    )


def _regular(counts: pd.DataFrame) -> pd.DataFrame:
    """Every day from the first to the last, without a time zone."""
    index = pd.DatetimeIndex(counts.index)
    frame = counts.set_axis(index.tz_localize(None), axis=0)
    frame = frame.set_axis([str(name) for name in counts], axis=1).astype("float64")
    if len(frame):
        frame = frame.reindex(pd.date_range(index.min(), index.max(), freq="D").tz_localize(None))
    return frame.rename_axis(TIME)


def _largest_first(counts: pd.DataFrame) -> pd.DataFrame:
    order = counts.sum().to_numpy("float64").argsort(kind="stable")[::-1]
    return counts.iloc[:, order]


def labels(names: Iterable[str]) -> list[str]:
    """Names as they are shown, each once, and none that the figures use themselves."""
    taken = {TIME, ALL, WHEN, TOLD}
    found: list[str] = []
    for name in names:
        label = shown = readable(name)
        number = 2
        while label in taken or label.endswith(_BELOW):
            label = f"{shown} ({number})"
            number += 1
        taken.add(label)
        found.append(label)
    return found


@lru_cache(maxsize=32)
def _spoken(first: pd.Timestamp, steps: int, grain: str) -> list[str]:
    """Name steps of time."""
    step = {"week": "7D", "month": "MS"}.get(grain, "D")
    pattern = {"week": "week of %a %d %B %Y", "month": "%B %Y"}.get(grain, "%a %d %B %Y")
    return list(pd.date_range(first, periods=steps, freq=step).strftime(pattern))


def _told(values: Any, shares: Any, names: Sequence[str]) -> list[str]:
    """What to say at each step: a line a series, numbers aligned."""
    rows = list(zip(values.T.tolist(), names, strict=True))
    there = ~np.isnan(values)
    total = np.where(there.any(axis=1), np.where(there, values, 0.0).sum(axis=1), np.nan)
    if shares is not None:
        shown = np.where(there, shares, np.nan)
        rows = list(zip(shown.T.tolist(), names, strict=True))
    elif len(names) > 1:
        rows.append((total.tolist(), ALL))
    width = 6 if shares is not None else len(f"{np.nanmax(total, initial=0.0):,.0f}")
    whole, small = (f"{_SPACE}>{width},.{digits}f" for digits in (0, 1))
    if shares is not None:
        whole = small = f"{_SPACE}>{width}.1%"
    columns = [
        [
            "" if value != value else f"{value:{small if 0 < value < 10 else whole}} {name}\n"
            for value in column
        ]
        for column, name in rows
    ]
    return ["".join(lines) for lines in zip(*columns, strict=True)]


class _Mark(NamedTuple):
    """A note in a figure: its number, and the days it is drawn on."""

    number: int
    first: date
    last: date | None


def _noted(
    index: pd.DatetimeIndex, notes: Iterable[Annotation] | None, about: Collection[str]
) -> list[_Mark]:
    """Where to mark notes about some days and members; numbers are those of the whole list."""
    if not len(index):
        return []
    first, last = index[0].date(), index[-1].date()
    marks = []
    for number, note in enumerate(annotations() if notes is None else notes, 1):
        if note.touches(first, last, set(about)):
            is_band = note.first and note.last and (note.last - note.first).days < _BAND_DAYS
            begin = note.first or note.last
            if begin is not None and (is_band or first <= begin <= last):
                marks.append(_Mark(number, begin, note.last if is_band else None))
    return marks


def _marked(marks: Sequence[_Mark]) -> list[Any]:
    """Bands over days that a note is about, a line where it begins if it has no near end."""
    bands = [
        (pd.Timestamp(mark.first), pd.Timestamp(mark.last) + pd.Timedelta(days=1))
        for mark in marks
        if mark.last
    ]
    lines = [pd.Timestamp(mark.first) for mark in marks if not mark.last]
    layers: list[Any] = []
    if bands:
        frame = pd.DataFrame(bands, columns=["first", "last"])
        layers.append(
            hv.VSpans(frame, ["first", "last"]).opts(
                color=_INK, alpha=0.18, line_alpha=0, apply_ranges=False, show_legend=False
            )
        )
    if lines:
        layers.append(
            hv.VLines(pd.DataFrame({"at": lines}), ["at"]).opts(
                color=_INK,
                alpha=0.9,
                line_width=1,
                line_dash="4 3",
                apply_ranges=False,
                show_legend=False,
            )
        )
    return layers


def _tooltip(head: str, body: str) -> str:
    """HTML shown when pointed at something; Bokeh escapes what it fills in."""
    return (
        '<div style="font:12px/1.45 system-ui,sans-serif;max-width:320px">'
        f'<div style="font-weight:600">{head}</div>'
        '<div style="white-space:pre-line;font-variant-numeric:tabular-nums;'
        f'overflow-wrap:anywhere">{body}</div></div>'
    )


def _dress(plot: Any, _element: Any) -> None:
    """Give a Bokeh figure a look that fits white and black pages alike."""
    figure = plot.state
    figure.output_backend = "canvas"  # copying from WebGL stalls for longer than drawing takes
    figure.background_fill_color = figure.border_fill_color = figure.outline_line_color = None
    figure.title.text_font_size, figure.title.text_font_style = "14px", "bold"
    figure.title.text_color = _INK
    figure.toolbar.logo, figure.toolbar.autohide = None, True
    for axis in figure.axis:
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "12px", "12px"
        axis.axis_label_text_color = axis.major_label_text_color = _INK
    for grid in figure.grid:
        grid.grid_line_color, grid.grid_line_alpha = _INK, 0.22
    figure.xgrid.grid_line_color = None
    for legend in figure.legend:
        legend.background_fill_color = legend.border_line_color = None
        legend.label_text_color, legend.label_text_font_size = _INK, "12px"
        legend.click_policy = "hide"
        legend.padding, legend.margin, legend.spacing = 0, 4, 12


def _dated(plot: Any, _element: Any) -> None:
    axis = plot.state.xaxis[0]
    axis.formatter = DatetimeTickFormatter(
        years="%Y", months="%b %Y", days="%d %b %Y", hours="%d %b %H:%M", hourmin="%d %b %H:%M"
    )
    axis.ticker.desired_num_ticks = 8
    axis.major_label_policy = NoOverlap(min_distance=12)


def _numbered(marks: Sequence[_Mark]) -> Callable[[Any, Any], None]:
    """Write the number of each note above the place it is marked at."""

    def write(plot: Any, _element: Any) -> None:
        if any(isinstance(one, Label) for one in plot.state.center):
            return
        x = plot.state.x_range
        least = (pd.Timestamp(x.end) - pd.Timestamp(x.start)) * _APART
        ends: list[pd.Timestamp] = []
        for mark in sorted(marks, key=lambda mark: mark.first):
            at = pd.Timestamp(mark.first)
            row = next((row for row, end in enumerate(ends) if at >= end), len(ends))
            ends[row : row + 1] = [at + least]
            plot.state.add_layout(
                Label(
                    x=at.value / 1e6,
                    y=Node(target="frame", symbol="top"),
                    text=str(mark.number),
                    text_font_size="11px",
                    text_color=_INK,
                    x_offset=2,
                    y_offset=-3 - 12 * row,
                    text_baseline="top",
                )
            )

    return write


def _left_to_right(plot: Any, _element: Any) -> None:
    """Write names into the bars, where a narrow page has room for them."""
    figure = plot.state
    figure.yaxis.visible = False
    figure.xaxis.formatter = NumeralTickFormatter(format="0,0")
    figure.text(
        x=0,
        y="repository",
        text="repository",
        source=plot.handles["source"],
        x_offset=6,
        text_baseline="middle",
        text_font_size="12px",
        text_color=_INK,
    )
    figure.xgrid.grid_line_color, figure.ygrid.grid_line_color = _INK, None
    figure.xgrid.grid_line_alpha = 0.22


def _hour_axes(plot: Any, _element: Any) -> None:
    figure = plot.state
    figure.xaxis.ticker = FixedTicker(ticks=list(range(0, 24, 3)))
    figure.xaxis.major_label_overrides = {hour: f"{hour:02}" for hour in range(24)}
    plot.handles["colorbar"].title = None
    figure.grid.grid_line_color = None


def _year_axes(years: Sequence[int]) -> Callable[[Any, Any], None]:
    """Name the blocks of a calendar after their years, and the columns after months."""

    def write(plot: Any, _element: Any) -> None:
        figure = plot.state
        middles = {-_YEAR_ROWS * number - 3: str(year) for number, year in enumerate(years)}
        figure.yaxis.ticker = FixedTicker(ticks=list(middles))
        figure.yaxis.major_label_overrides = middles
        starts = {round(4.345 * month, 2): name for month, name in enumerate(_MONTHS)}
        figure.xaxis.ticker = FixedTicker(ticks=[tick + 2 for tick in starts])
        figure.xaxis.major_label_policy = NoOverlap(min_distance=8)
        figure.xaxis.major_label_overrides = {tick + 2: name for tick, name in starts.items()}
        figure.grid.grid_line_color = None

    return write
