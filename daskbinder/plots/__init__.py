"""Figures of finished results: one function per figure, drawn by hvplot, returned as HoloViews.

They take a data set, or the tables that `Rollups` and `answers` give. Series show launches a day at
every step, so that a week or month with missing days does not look like a drop. Days without a
file, or with launches that are known to be lost, are gaps in the figure.
"""

from daskbinder.plots.figures import (
    archive,
    draw_hours,
    hours,
    members,
    providers,
    repositories,
    repository,
    series,
)
from daskbinder.plots.rates import Rates, rates
from daskbinder.plots.theme import COLOURS, colour
from daskbinder.plots.timeseries import PlotSeries, labels, states, week_of_hours

__all__ = [
    "COLOURS",
    "PlotSeries",
    "Rates",
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
