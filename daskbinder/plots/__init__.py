"""Figures of finished results: one function a figure, hvplot in, HoloViews out.

Counts come in as the tables that `Rollups` and `answers` give; nothing here reads a file. All
series are launches a day, whatever the step between two points, so that weeks and months that lack
days do not look like a fall. Days without a file are gaps, drawn as gaps.
"""

from daskbinder.plots.figures import (
    COLOURS,
    PlotSeries,
    archive,
    colour,
    draw_hours,
    hours,
    labels,
    members,
    providers,
    rates,
    repositories,
    repository,
    series,
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
