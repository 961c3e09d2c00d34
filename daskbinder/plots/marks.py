"""Marks of known gaps and breaks in a figure over time, with the numbers of the notes on them."""

from collections.abc import Callable, Collection, Iterable
from datetime import date
from typing import Any, NamedTuple

import holoviews as hv
import pandas as pd
from bokeh.models import ColumnDataSource

from daskbinder.model.annotations import Annotation, annotations
from daskbinder.plots.theme import INK

_LONGEST_BAND = 130  # days; longer periods get a line where they begin
_NUMBER_WIDTH = 0.04  # share of the width that the number of a note takes
_DAY = pd.Timedelta(days=1)


class Marks(NamedTuple):
    """What marks the notes on some days.

    Attributes
    ----------
    bands : pandas.DataFrame
        ``first`` and ``last``: where the band of a short note begins and ends.
    lines : pandas.DataFrame
        ``at``: where a note without a near end begins.
    numbers : pandas.DataFrame
        ``at``, ``number`` in the whole list, and ``row`` from the top: one for each note.
    """

    bands: pd.DataFrame
    lines: pd.DataFrame
    numbers: pd.DataFrame

    @classmethod
    def find(
        cls,
        first: date,
        last: date,
        notes: Iterable[Annotation] | None,
        members: Collection[str] | None,
    ) -> "Marks":
        """Find the notes on the days from `first` to `last` and on some members, or on all.

        What began before these days is numbered at their beginning.
        """
        bands, lines, numbers = [], [], []
        for number, note in enumerate(annotations() if notes is None else notes, 1):
            start = note.first or note.last
            if start is None or not note.touches(first, last, members):
                continue
            if note.first and note.last and (note.last - note.first).days < _LONGEST_BAND:
                bands.append((pd.Timestamp(note.first), pd.Timestamp(note.last) + _DAY))
            elif first <= start <= last:
                lines.append(pd.Timestamp(start))
            is_inside = first <= start <= last
            numbers.append((pd.Timestamp(start if is_inside else first), str(number)))
        return cls(
            pd.DataFrame(bands, columns=["first", "last"], dtype="datetime64[ns]"),
            pd.DataFrame({"at": pd.DatetimeIndex(lines)}),
            _place(numbers, (pd.Timestamp(last) - pd.Timestamp(first) + _DAY) * _NUMBER_WIDTH),
        )

    def sources(self, top: float) -> list[dict[str, Any]]:
        """Columns of what is drawn; the numbers hang below `top`, the end of the value axis."""
        numbers = self.numbers.assign(top=top, offset=3.0 + 12 * self.numbers["row"])
        tables = self.bands, self.lines, numbers.drop(columns="row")
        return [{name: table[name].to_numpy() for name in table} for table in tables]

    def draw(self) -> list[Any]:
        """Draw bands and dashed lines."""
        style = {"color": INK, "apply_ranges": False, "show_legend": False}
        dashes = {"alpha": 0.9, "line_width": 1, "line_dash": "4 3"}
        return [
            hv.VSpans(self.bands, ["first", "last"]).opts(alpha=0.18, line_alpha=0, **style),
            hv.VLines(self.lines, ["at"]).opts(**dashes, **style),
        ]

    def write(self, top: float) -> Callable[[Any, Any], None]:
        """Make a hook that writes the number of each note at the top of a figure."""

        def hook(plot: Any, _element: Any) -> None:
            if not any("number" in part.data_source.data for part in plot.state.renderers):
                plot.state.text(
                    x="at",
                    y="top",
                    text="number",
                    y_offset="offset",
                    source=ColumnDataSource(self.sources(top)[2]),
                    x_offset=2,
                    text_baseline="top",
                    text_font_size="11px",
                    text_color=INK,
                )

        return hook


def _place(numbers: list[tuple[pd.Timestamp, str]], width: pd.Timedelta) -> pd.DataFrame:
    """Place numbers in rows, so that none is written over another."""
    placed, row_ends = [], list[pd.Timestamp]()
    for at, number in sorted(numbers, key=lambda pair: pair[0]):
        row = next((row for row, end in enumerate(row_ends) if at >= end), len(row_ends))
        row_ends[row : row + 1] = [at + width]
        placed.append((at, number, row))
    frame = pd.DataFrame(placed, columns=["at", "number", "row"])
    return frame.astype({"at": "datetime64[ns]", "number": object, "row": "int64"})
