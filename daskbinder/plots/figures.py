"""The figures as functions: a table in, a plot out."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import holoviews as hv
import hvplot.pandas  # noqa: F401  (gives frames their hvplot)
import numpy as np
import pandas as pd
from bokeh.models import HoverTool, NumeralTickFormatter

from daskbinder.model.annotations import Annotation
from daskbinder.plots.theme import (
    ACCENT,
    COLOURS,
    INK,
    PROVIDER_COLOURS,
    THOUSANDS,
    YEAR_ROWS,
    colour,
    dated,
    dress,
    hour_axes,
    left_to_right,
    marked,
    noted,
    numbered,
    tooltip,
    year_axes,
)
from daskbinder.plots.timeseries import (
    ALL,
    GRAINS,
    KINDS,
    STATES,
    TIME,
    TOLD,
    WHEN,
    PlotSeries,
    labels,
    rates,
    states,
    week_of_hours,
)

__all__ = [
    "COLOURS",
    "PlotSeries",
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

_TOOLS = ["xpan", "xbox_zoom", "xwheel_zoom", "reset", "save"]


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
    (name,) = labels([str(counts.name)])
    table = rates(counts.to_frame(name), grain)
    shown = name.replace("{", "{{").replace("}", "}}")  # HoloViews fills titles in
    usual = f"Daily launches of {shown} ({GRAINS[grain]})"
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
        tools=[HoverTool(tooltips=tooltip("@repository", "@launches{0,0} launches"))],
        default_tools=["save"],
        hooks=[dress, left_to_right],
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
            hooks=[dress, hour_axes],
            tools=[
                HoverTool(
                    tooltips=tooltip(
                        "@weekday, @hour{00}:00 UTC", "@launches{0,0.[0]} launches an hour"
                    )
                )
            ],
            default_tools=["save"],
            colorbar_opts={
                "formatter": NumeralTickFormatter(format=THOUSANDS),
                "width": 8,
                "padding": 4,
                "background_fill_alpha": 0,
                "major_label_text_color": INK,
                "bar_line_color": None,
                "major_tick_line_color": None,
            },
        )
    )


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
            "row": -YEAR_ROWS * (year - min(years, default=0)) - weekday,
            "state": days["state"].to_numpy(),
            WHEN: index.strftime("%a %d %B %Y"),
            TOLD: [f"{n:,} launches" for n in days["launches"]],
        }
    ).astype(dict.fromkeys(("state", WHEN, TOLD), object))  # HoloViews reshapes them
    height = 44 + 13 * YEAR_ROWS * max(len(years), 1) + 30 * legend
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
        ylim=(-YEAR_ROWS * len(years) + 1, 1),
        xlabel="",
        ylabel="",
        title="Days of the archive" if title is None else title,
        **size,
    ).opts(
        hv.opts.HeatMap(
            tools=[HoverTool(tooltips=tooltip(f"@{WHEN}", f"@state, @{TOLD}"))],
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
        hooks=[dress, year_axes(years)], legend_position="top", show_legend=legend, **size
    )


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
    drawn = PlotSeries.of(table, kind, grain)
    marks = noted(table.index, notes, about)
    common: dict[str, Any] = {"x": TIME, "hover": False, "responsive": True, "height": height}
    layers = marked(marks)
    for number, (name, given) in enumerate(zip(drawn.names, table, strict=True)):
        style = common | {"color": colour(str(given), colours), "label": name}
        upper, lower = drawn.upper(number), drawn.lower(number)
        if kind == "lines":
            line = pd.DataFrame(dict(zip((TIME, upper), drawn.line(number), strict=True)))
            layers.append(line.hvplot.line(y=upper, line_width=1.8, **style))
        else:
            area = {"stacked": False, "alpha": 0.85, "line_width": 0}
            edges = drawn.frame[[TIME, upper, lower]]
            layers.append(edges.hvplot.area(y=upper, y2=lower, **area, **style))
    told = drawn.frame[[TIME, ALL, WHEN, TOLD]]
    pointed = told.hvplot.line(y=ALL, hover_cols=[WHEN, TOLD], **common | {"alpha": 0})
    hover = HoverTool(tooltips=tooltip(f"@{WHEN}", f"@{TOLD}"), mode="vline", line_policy="nearest")
    layers.append(pointed.opts(tools=[hover], show_legend=False))
    return hv.Overlay(layers).opts(
        title=title,
        xlabel="",
        ylabel=unit,
        ylim=drawn.ylim(logy),
        xlim=drawn.xlim,
        logy=logy,
        yformatter=NumeralTickFormatter(format="0%" if kind == "share" else THOUSANDS),
        height=height,
        responsive=True,
        show_grid=True,
        show_legend=legend,
        legend_position="top",
        default_tools=_TOOLS,
        active_tools=["xbox_zoom"],
        hooks=[dress, dated, numbered(marks)],
    )


def _largest_first(counts: pd.DataFrame) -> pd.DataFrame:
    order = counts.sum().to_numpy("float64").argsort(kind="stable")[::-1]
    return counts.iloc[:, order]
