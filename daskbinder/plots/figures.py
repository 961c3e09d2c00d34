"""The figures as functions: a data set or a table in, a plot out."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import holoviews as hv
import hvplot.pandas  # noqa: F401  (gives frames their hvplot)
import numpy as np
import pandas as pd
from bokeh.models import NumeralTickFormatter

from daskbinder.dataset.rollups import Rollups
from daskbinder.model.annotations import Annotation
from daskbinder.plots import tables, theme
from daskbinder.plots.marks import Marks
from daskbinder.plots.rates import GRAINS, TIME, Rates, losses, rates
from daskbinder.plots.theme import ACCENT, COLOURS, INK, THOUSANDS
from daskbinder.plots.timeseries import (
    HOVER,
    KINDS,
    LEVEL,
    STATES,
    STEP,
    YEAR_ROWS,
    PlotSeries,
    calendar,
    count_states,
    labels,
    states,
    week_of_hours,
)


def members(
    counts: tables.Given,
    *,
    kind: str = "lines",
    grain: str = "average",
    notes: Iterable[Annotation] | None = None,
    title: str | None = None,
    height: int = 360,
    legend: bool = True,
) -> hv.Overlay:
    """Draw launches a day by member of the federation.

    Parameters
    ----------
    counts : Rollups or pandas.DataFrame
        A data set, or launches by day, one column per member:
        ``rollups.federation("day", wide=True)``.
    kind : {"lines", "stacked", "share"}
        One line per member, stacked areas, or stacked areas in percent.
    grain : str
        See `rates`.
    notes : iterable of Annotation, optional
        What to mark; by default the packaged annotations about these days and members, which are
        about mybinder.org alone. On days on which launches of one of them are lost, its line has a
        gap, and areas and shares of all do.
    title : str, optional
        Replaces the default title; empty for none.
    height : int
        In pixels; the width follows the page.
    legend : bool
        Whether to show one.

    Returns
    -------
    holoviews.Overlay
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    is_share = kind == "share"
    what = "Share of launches" if is_share else "Daily launches"
    usual = f"{what} by federation member ({GRAINS[grain]})"
    notes, table = tables.notes_on(counts, notes), tables.by_member(counts)
    about = [str(name) for name in table]
    return series(
        rates(tables.largest_first(table), grain, losses(notes, about)),
        kind=kind,
        unit="share of launches" if is_share else "launches a day",
        notes=notes,
        about=about,
        title=usual if title is None else title,
        height=height,
        legend=legend,
    )


def providers(
    counts: tables.Given,
    *,
    grain: str = "average",
    notes: Iterable[Annotation] | None = None,
    title: str | None = None,
    height: int = 300,
    legend: bool = True,
) -> hv.Overlay:
    """Draw launches a day by provider, on a logarithmic axis: GitHub dwarfs the others.

    Parameters
    ----------
    counts : Rollups or pandas.DataFrame
        A data set, or launches by day, one column per provider; 0 on a day with a file but none of
        a provider.
    grain, notes, title, height, legend
        See `members`.

    Returns
    -------
    holoviews.Overlay
    """
    usual = f"Daily launches by provider ({GRAINS[grain]}, logarithmic)"
    notes = tables.notes_on(counts, notes)
    return series(
        rates(tables.largest_first(tables.by_provider(counts)), grain, losses(notes, of_sum=True)),
        colours=theme.PROVIDER_COLOURS,
        notes=notes,
        title=usual if title is None else title,
        height=height,
        legend=legend,
        logy=True,
    )


def repository(
    counts: "Rollups | pd.Series[int]",
    name: str | None = None,
    *,
    grain: str = "average",
    notes: Iterable[Annotation] | None = None,
    title: str | None = None,
    height: int = 260,
) -> hv.Overlay:
    """Draw launches a day of one repository.

    Parameters
    ----------
    counts : Rollups or pandas.Series
        A data set, or launches by day, for every day that has a file; its name is that of the
        repository.
    name : str, optional
        In a data set: ``owner/name``, or a URL, as `daskbinder.answers.repository` takes it.
    grain, notes, title, height
        See `members`.

    Returns
    -------
    holoviews.Overlay

    Raises
    ------
    InputError
        When the repository was never launched.
    """
    notes, launches = tables.notes_on(counts, notes), tables.of_repository(counts, name)
    (label,) = labels([str(launches.name)])
    escaped = label.replace("{", "{{").replace("}", "}}")  # HoloViews formats titles
    usual = f"Daily launches of {escaped} ({GRAINS[grain]})"
    return series(
        rates(launches.to_frame(label), grain, losses(notes, of_sum=True)),
        kind="stacked",
        colours={label: ACCENT},
        notes=notes,
        title=usual if title is None else title,
        height=height,
        legend=False,
    )


def repositories(
    table: tables.Given, *, most: int = 20, title: str | None = None, height: int | None = None
) -> hv.Bars:
    """Draw the repositories with the most launches.

    Parameters
    ----------
    table : Rollups or pandas.DataFrame
        A data set, or ``repository`` and ``n``: ``answers.top(rollups, by="repo")``.
    most : int
        How many to show.
    title, height
        See `members`.

    Returns
    -------
    holoviews.Bars
    """
    top = tables.top(table, most).nlargest(most, "n", keep="first").iloc[::-1]
    names = labels(top["repository"].astype(str))
    frame = pd.DataFrame({"repository": names, "launches": top["n"].to_numpy("int64")})
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
        tools=[theme.make_hover("@repository", "@launches{0,0} launches")],
        default_tools=["save"],
        hooks=[theme.apply_theme, theme.label_bars],
    )


def hours(counts: tables.Given, *, title: str | None = None, height: int = 300) -> hv.HeatMap:
    """Draw mean launches an hour, by hour of the day and day of the week, in UTC.

    Parameters
    ----------
    counts : Rollups or pandas.DataFrame
        A data set, or launches by hour: ``rollups.federation("hour", wide=True)``.
    title, height
        See `members`.

    Returns
    -------
    holoviews.HeatMap
    """
    table = week_of_hours(tables.by_member(counts, "hour"))
    return draw_hours(table, title=title, height=height)


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
        hooks=[theme.apply_theme, theme.format_hours],
        tools=[
            theme.make_hover("@weekday, @hour{00}:00 UTC", "@launches{0,0.[0]} launches an hour")
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


def archive(days: tables.Given, *, title: str | None = None, legend: bool = True) -> hv.Overlay:
    """Draw a calendar of the archive: one square per day, one block of weeks per year.

    Parameters
    ----------
    days : Rollups or pandas.DataFrame
        A data set, or ``answers.completeness(rollups)``.
    title, legend
        See `members`.

    Returns
    -------
    holoviews.Overlay
    """
    frame, years = calendar(states(tables.days(days)))
    height = 44 + 13 * YEAR_ROWS * max(len(years), 1) + 30 * legend
    size = {"height": height, "responsive": True}
    squares = frame.hvplot.heatmap(
        x="week",
        y="row",
        C="code",
        cmap=list(STATES.values()),
        clim=(-0.5, len(STATES) - 0.5),
        colorbar=False,
        hover_cols=["state", STEP, HOVER],
        xlim=(-0.7, 53.7),
        ylim=(-YEAR_ROWS * len(years) + 1, 1),
        xlabel="",
        ylabel="",
        title="Days of the archive" if title is None else title,
        **size,
    ).opts(
        tools=[theme.make_hover(f"@{STEP}", f"@state, @{HOVER}")],
        default_tools=["save"],
        line_color=None,
        clipping_colors={"NaN": "transparent"},
    )
    layers = [squares]
    nowhere = pd.DataFrame({"week": [np.nan], "row": [np.nan]})  # draws the legend alone
    for label, shade in count_states(frame["state"]) if legend else ():
        style = {"color": shade, "marker": "square", "size": 80, "hover": False}
        layers.append(nowhere.hvplot.scatter(x="week", y="row", label=label, **style, **size))
    return hv.Overlay(layers).opts(
        hooks=[theme.apply_theme, theme.format_calendar(years)],
        legend_position="top",
        show_legend=legend,
        **size,
    )


def series(
    rates: Rates,
    *,
    kind: str = "lines",
    unit: str = "launches a day",
    colours: Mapping[str, str] = COLOURS,
    notes: Iterable[Annotation] | None = None,
    about: Collection[str] | None = None,
    title: str = "",
    height: int = 360,
    legend: bool = True,
    logy: bool = False,
) -> hv.Overlay:
    """Draw rates over time, with the known gaps and breaks.

    Parameters
    ----------
    rates : Rates
        What `rates` returns.
    kind, title, height, legend
        See `members`.
    unit : str
        Of the values.
    colours : mapping
        Colours by column; other columns are grey.
    notes : iterable of Annotation, optional
        What to mark; the packaged annotations by default.
    about : collection of str, optional
        Members whose notes are marked, by default all; those about all members always are.
    logy : bool
        Whether the axis is logarithmic.

    Returns
    -------
    holoviews.Overlay
    """
    values = PlotSeries.of(rates, kind, logy)
    shades = [theme.colour(str(name), colours) for name in rates.table]
    first, last = (pd.Timestamp(end).date() for end in values.days)
    marks = Marks.find(first, last, notes, about)
    size = {"height": height, "responsive": True}
    layers = [
        *marks.draw(),
        *_draw_parts(values, shades, size),
        theme.draw_partial(values.partial),
        _draw_hover(values, size),
    ]
    for layer in layers:
        layer.opts(default_tools=theme.TIME_TOOLS)  # HoloViews ignores those of an overlay
    return hv.Overlay(layers).opts(
        title=title,
        xlabel="",
        ylabel=unit,
        ylim=values.ylim(),
        xlim=values.xlim(),
        logy=logy,
        yformatter=NumeralTickFormatter(
            format="0%" if kind == "share" else theme.MAGNITUDES if logy else THOUSANDS
        ),
        show_grid=True,
        show_legend=legend,
        legend_position="top",
        active_tools=["xbox_zoom"],
        hooks=[theme.apply_theme, theme.format_dates, marks.write(values.ylim()[1])],
        **size,
    )


def _draw_parts(values: PlotSeries, shades: Sequence[str], size: dict[str, Any]) -> Iterator[Any]:
    """Draw the line or the area of each series."""
    for number, (name, shade) in enumerate(zip(values.names, shades, strict=True)):
        upper, lower = values.upper(number), values.lower(number)
        style = {"x": TIME, "y": upper, "color": shade, "label": name, "hover": False, **size}
        if values.kind == "lines":
            line = pd.DataFrame(dict(zip((TIME, upper), values.line(number), strict=True)))
            yield line.hvplot.line(line_width=1.8, **style)
        else:
            edges = values.frame[[TIME, upper, lower]]
            yield edges.hvplot.area(y2=lower, stacked=False, alpha=0.85, line_width=0, **style)


def _draw_hover(values: PlotSeries, size: dict[str, Any]) -> Any:
    """Draw an invisible line that shows the hover text."""
    style = {"hover_cols": [STEP, HOVER], "hover": False, "alpha": 0, **size}
    line = values.hover.hvplot.line(x=TIME, y=LEVEL, **style)
    tool = theme.make_hover(f"@{STEP}", f"@{HOVER}", mode="vline", line_policy="none")
    return line.opts(tools=[tool], show_legend=False)
