"""How figures look: colours, axes and hover text."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

import holoviews as hv
import pandas as pd
from bokeh.models import (
    DatetimeTickFormatter,
    FixedTicker,
    HoverTool,
    NoOverlap,
    NumeralTickFormatter,
)

from daskbinder.plots.timeseries import YEAR_ROWS

COLOURS = {
    "gke": "#2793eb",
    "ovh": "#357b35",
    "gesis": "#6953ef",
    "turing": "#9c9004",
    "ovh2": "#b26196",
    "curvenote": "#8f934c",
    "hetzner-2i2c": "#688f2b",
    "hetzner-gesis": "#b945b0",
    "bids-ovh": "#c93163",
    "hetzner-2i2c-bare": "#ec5a8f",
}
"""Colours of the members: colour-blind safe, visible on light and dark cards."""
PROVIDER_COLOURS = {
    "GitHub": "#8650bd",
    "Gist": "#6ca00f",
    "Git": "#d77191",
    "GitLab": "#07a85c",
    "Zenodo": "#cb2a92",
    "Figshare": "#7a691e",
    "Hydroshare": "#9988cd",
    "Dataverse": "#007851",
    "CKAN": "#2482ff",
}
"""Colours of the providers; no member has one of them."""
ACCENT = "#d9700f"
_OTHERS = ("#8a8f98", "#a08870", "#7d93a8", "#9a86a0")
INK = "#7b828c"
THOUSANDS = "0,0.[0]"
MAGNITUDES = "0,0.[00000]"  # of a logarithmic axis, which also has ticks below one launch a day
TIME_TOOLS = ["xpan", "xbox_zoom", "xwheel_zoom", "reset", "save"]
"""Tools of a figure over time, which move and zoom its width only."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def colour(name: str, colours: Mapping[str, str] = COLOURS) -> str:
    """Colour of a member, always the same; unknown members get a shade of grey."""
    return colours.get(name) or _OTHERS[crc32(name.encode()) % len(_OTHERS)]


def draw_partial(periods: pd.DataFrame) -> Any:
    """Hatch the weeks or months that the data cover only in part."""
    style = {"apply_ranges": False, "show_legend": False, "line_alpha": 0, "fill_alpha": 0}
    return hv.VSpans(periods, [*periods]).opts(hooks=[_hatch], **style)


def _hatch(plot: Any, _element: Any) -> None:
    """Set what HoloViews has no option for."""
    hatch = {"pattern": "right_diagonal_line", "color": INK, "alpha": 0.7, "scale": 8, "weight": 1}
    plot.handles["glyph"].update(**{f"hatch_{name}": value for name, value in hatch.items()})


def make_hover(head: str, body: str, **options: Any) -> HoverTool:
    """Make a hover tool; Bokeh escapes the values that it fills in."""
    return HoverTool(
        tooltips=(
            '<div style="font:12px/1.45 system-ui,sans-serif;max-width:320px">'
            f'<div style="font-weight:600">{head}</div>'
            '<div style="white-space:pre-line;font-variant-numeric:tabular-nums;'
            f'overflow-wrap:anywhere">{body}</div></div>'
        ),
        **options,
    )


def apply_theme(plot: Any, _element: Any) -> None:
    """Style a Bokeh figure for light and dark pages alike."""
    figure = plot.state
    figure.output_backend = "canvas"  # copying from WebGL takes longer than drawing
    figure.background_fill_color = figure.border_fill_color = figure.outline_line_color = None
    figure.title.text_font_size, figure.title.text_font_style = "14px", "bold"
    figure.title.text_color = INK
    figure.toolbar.logo, figure.toolbar.autohide = None, True
    for axis in figure.axis:
        axis.axis_line_color = axis.major_tick_line_color = axis.minor_tick_line_color = None
        axis.axis_label_text_font_style = "normal"
        axis.axis_label_text_font_size, axis.major_label_text_font_size = "12px", "12px"
        axis.axis_label_text_color = axis.major_label_text_color = INK
    for grid in figure.grid:
        grid.grid_line_color, grid.grid_line_alpha = INK, 0.22
    figure.xgrid.grid_line_color = None
    for legend in figure.legend:
        legend.background_fill_color = legend.border_line_color = None
        legend.label_text_color, legend.label_text_font_size = INK, "12px"
        legend.click_policy = "hide"
        legend.padding, legend.margin, legend.spacing = 0, 4, 12


def format_dates(plot: Any, _element: Any) -> None:
    """Label the time axis with as many dates as fit."""
    axis = plot.state.xaxis[0]
    axis.formatter = DatetimeTickFormatter(
        years="%Y", months="%Y-%m", days="%Y-%m-%d", hours="%m-%d %H:%M", hourmin="%m-%d %H:%M"
    )
    axis.ticker.desired_num_ticks = 8
    axis.major_label_policy = NoOverlap(min_distance=12)


def label_bars(plot: Any, _element: Any) -> None:
    """Write names inside horizontal bars, where a narrow page has room for them."""
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
        text_color=INK,
    )
    figure.xgrid.grid_line_color, figure.ygrid.grid_line_color = INK, None
    figure.xgrid.grid_line_alpha = 0.22


def format_hours(plot: Any, _element: Any) -> None:
    """Label every third hour; the colour scale needs no title of its own."""
    figure = plot.state
    figure.xaxis.ticker = FixedTicker(ticks=list(range(0, 24, 3)))
    figure.xaxis.major_label_overrides = {hour: f"{hour:02}" for hour in range(24)}
    plot.handles["colorbar"].title = None
    figure.grid.grid_line_color = None


def format_calendar(years: Sequence[int]) -> Callable[[Any, Any], None]:
    """Make a hook that labels the blocks of a calendar with years and its columns with months."""

    def write(plot: Any, _element: Any) -> None:
        figure = plot.state
        rows = {-YEAR_ROWS * number - 3: str(year) for number, year in enumerate(years)}
        weeks = {round(4.345 * month, 2) + 2: name for month, name in enumerate(_MONTHS)}
        for axis, names in ((figure.yaxis, rows), (figure.xaxis, weeks)):
            axis.ticker = FixedTicker(ticks=list(names))
            axis.major_label_overrides = names
        figure.xaxis.major_label_policy = NoOverlap(min_distance=8)
        figure.grid.grid_line_color = None

    return write
