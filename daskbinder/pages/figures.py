"""The figures of the pages: `FIGURES` says how each is drawn and how it follows the filters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from bokeh.models import LinearColorMapper

from daskbinder import plots
from daskbinder.pages.content import REPOSITORY, PageContent
from daskbinder.pages.filters import Filters
from daskbinder.plots import theme
from daskbinder.plots.marks import Marks
from daskbinder.plots.rates import Rates
from daskbinder.plots.timeseries import HOVER, KINDS, PARTIAL, PlotSeries

_NO_MARKS = Marks.find(date(1970, 1, 1), date(1970, 1, 1), (), ())
_COLUMNS_OF_MARKS = [set(source) for source in _NO_MARKS.sources(0.0)]
"""By which the sources of a figure's marks are told from the others."""


@dataclass(frozen=True)
class PageFigure:
    """A figure of the pages.

    `draw` makes a HoloViews plot; `update` applies new filters to a visitor's copy, a Bokeh figure.
    What `update` returns is passed to its next call (None at first), so that it sends the browser
    only what changed. It hides a figure that would show nothing but zeros. A figure without
    `update` does not depend on the filters.
    """

    draw: Callable[[PageContent, Filters], Any]
    update: Callable[[Any, PageContent, Filters, Any], Any] | None = None
    in_report: bool = True


class LiveFigure:
    """A Bokeh figure over time, updated in place."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure
        self.parts = {part.name: part.data_source for part in figure.renderers if part.name}
        sources = [part.data_source for part in figure.renderers]
        (self.hover,) = (source for source in sources if HOVER in source.data)
        (self.partial,) = (source for source in sources if PARTIAL[0] in source.data)
        self.marks = [
            next(source for source in sources if columns == set(source.data))
            for columns in _COLUMNS_OF_MARKS
        ]

    def show(self, series: PlotSeries) -> None:
        """Replace the values."""
        for number, name in enumerate(series.names):
            source = self.parts[name]
            points = (series.line if series.kind == "lines" else series.polygon)(number)
            source.data = dict(zip(source.data, points, strict=True))
        for source, table in ((self.hover, series.hover), (self.partial, series.partial)):
            source.data = {name: table[name].to_numpy() for name in source.data}

    def zoom(self, series: PlotSeries, first: date, last: date) -> None:
        """Set both axes to the days from `first` to `last`; hide the figure if they are empty."""
        start, end = series.xlim(first, last)
        self.figure.visible = not series.is_empty(start, end)
        low, high = series.ylim(start, end)
        self.figure.x_range.update(start=start, end=end, reset_start=start, reset_end=end)
        self.figure.y_range.update(start=low, end=high, reset_start=low, reset_end=high)

    def mark(self, marks: Marks) -> None:
        """Replace the marks of notes."""
        found = marks.sources(self.figure.y_range.end)
        for source, columns in zip(self.marks, found, strict=True):
            source.data = columns


def over_time(
    rates: Callable[[PageContent, Filters], Rates],
    kind: str = "lines",
    *,
    in_report: bool = True,
    **style: Any,
) -> PageFigure:
    """Declare a figure of rates; `style` goes to `plots.series`."""

    def draw(content: PageContent, filters: Filters) -> Any:
        return plots.series(
            rates(content, filters),
            kind=kind,
            notes=content.data.notes,
            legend=False,
            **style,
        )

    def update(figure: Any, content: PageContent, filters: Filters, shown: Any) -> Any:
        found, live = rates(content, filters), LiveFigure(figure)
        if shown is None or not shown[0].equals(found):
            shown = found, PlotSeries.of(found, kind, style.get("logy", False))
            live.show(shown[1])
        days = filters.first, filters.last
        live.zoom(shown[1], *days)
        live.mark(Marks.find(*days, content.data.notes, content.about(filters)))
        return shown

    return PageFigure(draw, update, in_report)


def draw_hours(content: PageContent, filters: Filters) -> Any:
    """Draw launches by hour of the week."""
    return plots.draw_hours(content.hours(filters), title="", height=340)


def update_hours(figure: Any, content: PageContent, filters: Filters, shown: Any) -> Any:
    """Give the hours of the week their values, and the colours their scale."""
    hours = content.hours(filters)
    if shown is None or not shown.equals(hours):
        (cells,) = figure.renderers
        data = cells.data_source.data
        order = zip(data["weekday"], data["hour"], strict=True)
        values = hours.set_index(["weekday", "hour"])["launches"].loc[list(order)].to_numpy()
        cells.data_source.data = {**data, "zvalues": values, "launches": values}
        high = float(np.nanmax(values, initial=0.0))
        low = float(np.nanmin(values, initial=high))
        figure.select_one(LinearColorMapper).update(low=low, high=high)
        figure.visible = high > 0
    return hours


def draw_archive(content: PageContent, _filters: Filters) -> Any:
    """Draw the calendar of the archive."""
    return plots.archive(content.data.days, title="", legend=False)


_SHARE = {"share": "share of launches"}
FIGURES = {
    **{
        kind: over_time(PageContent.member_rates, kind, unit=_SHARE.get(kind, "launches a day"))
        for kind in KINDS
    },
    "providers": over_time(
        PageContent.provider_rates, logy=True, colours=theme.PROVIDER_COLOURS, height=300
    ),
    "hours": PageFigure(draw_hours, update_hours),
    "repository": over_time(
        PageContent.repository_rates,
        "stacked",
        in_report=False,
        colours={REPOSITORY: theme.ACCENT},
        height=420,
    ),
    "archive": PageFigure(draw_archive),
}
"""The figures by name, in the order in which the explorer loads them."""


def legend(
    names: Sequence[str], colours: dict[str, str], chosen: Sequence[str]
) -> list[tuple[str, str, bool]]:
    """Label members or providers as the figures do, with their colours and whether chosen."""
    known = zip(plots.labels(names), names, strict=True)
    return [(label, theme.colour(name, colours), name in chosen) for label, name in known]
