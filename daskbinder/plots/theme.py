"""How figures look: colours, axes, what is shown when pointed at, and marks of known gaps."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from zlib import crc32

import holoviews as hv
import pandas as pd
from bokeh.models import (
    DatetimeTickFormatter,
    FixedTicker,
    Label,
    Node,
    NoOverlap,
    NumeralTickFormatter,
)

from daskbinder.model.annotations import Annotation, annotations

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
_OTHERS = ("#8a8f98", "#a08870", "#7d93a8", "#9a86a0")
INK = "#7b828c"
THOUSANDS = "0,0.[0]"
YEAR_ROWS = 8
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_BAND_DAYS = 130
_APART = 0.04  # of the width, between two numbers of notes in one row


def colour(name: str, colours: Mapping[str, str] = COLOURS) -> str:
    """Colour of a member, always the same; those of no known one are shades of grey."""
    return colours.get(name) or _OTHERS[crc32(name.encode()) % len(_OTHERS)]


class Mark(NamedTuple):
    """A note in a figure: its number, and the days it is drawn on."""

    number: int
    first: date
    last: date | None


def noted(
    index: pd.DatetimeIndex, notes: Iterable[Annotation] | None, about: Collection[str]
) -> list[Mark]:
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
                marks.append(Mark(number, begin, note.last if is_band else None))
    return marks


def marked(marks: Sequence[Mark]) -> list[Any]:
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
                color=INK, alpha=0.18, line_alpha=0, apply_ranges=False, show_legend=False
            )
        )
    if lines:
        layers.append(
            hv.VLines(pd.DataFrame({"at": lines}), ["at"]).opts(
                color=INK,
                alpha=0.9,
                line_width=1,
                line_dash="4 3",
                apply_ranges=False,
                show_legend=False,
            )
        )
    return layers


def tooltip(head: str, body: str) -> str:
    """HTML shown when pointed at something; Bokeh escapes what it fills in."""
    return (
        '<div style="font:12px/1.45 system-ui,sans-serif;max-width:320px">'
        f'<div style="font-weight:600">{head}</div>'
        '<div style="white-space:pre-line;font-variant-numeric:tabular-nums;'
        f'overflow-wrap:anywhere">{body}</div></div>'
    )


def dress(plot: Any, _element: Any) -> None:
    """Give a Bokeh figure a look that fits white and black pages alike."""
    figure = plot.state
    figure.output_backend = "canvas"  # copying from WebGL stalls for longer than drawing takes
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


def dated(plot: Any, _element: Any) -> None:
    """Write dates below, as many as there is room for."""
    axis = plot.state.xaxis[0]
    axis.formatter = DatetimeTickFormatter(
        years="%Y", months="%b %Y", days="%d %b %Y", hours="%d %b %H:%M", hourmin="%d %b %H:%M"
    )
    axis.ticker.desired_num_ticks = 8
    axis.major_label_policy = NoOverlap(min_distance=12)


def numbered(marks: Sequence[Mark]) -> Callable[[Any, Any], None]:
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
                    text_color=INK,
                    x_offset=2,
                    y_offset=-3 - 12 * row,
                    text_baseline="top",
                )
            )

    return write


def left_to_right(plot: Any, _element: Any) -> None:
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
        text_color=INK,
    )
    figure.xgrid.grid_line_color, figure.ygrid.grid_line_color = INK, None
    figure.xgrid.grid_line_alpha = 0.22


def hour_axes(plot: Any, _element: Any) -> None:
    """Write every third hour below; the scale needs no title of its own."""
    figure = plot.state
    figure.xaxis.ticker = FixedTicker(ticks=list(range(0, 24, 3)))
    figure.xaxis.major_label_overrides = {hour: f"{hour:02}" for hour in range(24)}
    plot.handles["colorbar"].title = None
    figure.grid.grid_line_color = None


def year_axes(years: Sequence[int]) -> Callable[[Any, Any], None]:
    """Name the blocks of a calendar after their years, and the columns after months."""

    def write(plot: Any, _element: Any) -> None:
        figure = plot.state
        middles = {-YEAR_ROWS * number - 3: str(year) for number, year in enumerate(years)}
        figure.yaxis.ticker = FixedTicker(ticks=list(middles))
        figure.yaxis.major_label_overrides = middles
        starts = {round(4.345 * month, 2): name for month, name in enumerate(_MONTHS)}
        figure.xaxis.ticker = FixedTicker(ticks=[tick + 2 for tick in starts])
        figure.xaxis.major_label_policy = NoOverlap(min_distance=8)
        figure.xaxis.major_label_overrides = {tick + 2: name for tick, name in starts.items()}
        figure.grid.grid_line_color = None

    return write
