"""What figures draw: launches a day as lines and areas, with hover text; no colours or axes.

Tables in, tables out.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from daskbinder.plots.rates import TIME, Rates
from daskbinder.text import plural, readable

KINDS = ("lines", "stacked", "share")
STATES = {
    "complete": "#2c95c4",
    "truncated": "#b8860b",
    "missing": "#d0344b",
    "provisional": "#8c8c8c",
}
"""States of a day of the archive, with their colours."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

LEVEL, STEP, HOVER = "level", "day", "launches"
"""Columns of what is hovered over, beside `TIME`: a height, name of the step, hover text."""
TOTAL = "total"
"""What the sum of all series is called in the hover text."""
PARTIAL = ("partial from", "partial to")
"""Columns of weeks and months that the data cover only in part, at either end."""
YEAR_ROWS = 8  # of the calendar: seven weekdays and a blank one
_SPACE = "\N{FIGURE SPACE}"
_LOST_LAUNCHES = 40
_LONGEST_LABEL = 44


def week_of_hours(counts: pd.DataFrame) -> pd.DataFrame:
    """Average launches by hour, over all columns, for each hour of the week.

    Returns
    -------
    pandas.DataFrame
        ``hour``, ``weekday`` and ``launches``, 168 rows; NaN for an hour that never has a file.
    """
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
    """Find the state of every day of the archive.

    Parameters
    ----------
    days : pandas.DataFrame
        ``answers.completeness(rollups)``.

    Returns
    -------
    pandas.DataFrame
        ``date``, ``state`` (one of `STATES`) and ``launches``. A day is truncated when its file has
        no line, when the archive's own index counts more lines than the file has, or when it lacks
        hours that are worth forty launches or more on the days around it.
    """
    lines = (days["launches"] + days["rejected"]).fillna(0)
    month = {"window": 29, "center": True, "min_periods": 1}
    hours, launches = (days[name].astype("float64") for name in ("hours", "launches"))
    empty_hours = hours.rolling(**month).median() - hours
    lost = empty_hours * launches.rolling(**month).median() / 24
    truncated = (lines < days["indexed"].fillna(0)) | (lost >= _LOST_LAUNCHES) | (lines == 0)
    state = np.select(
        [~days["present"], days["provisional"], truncated],
        ["missing", "provisional", "truncated"],
        "complete",
    )
    launches = days["launches"].fillna(0).astype("int64")
    return pd.DataFrame({"date": days["date"], "state": state, "launches": launches})


def count_states(state: "pd.Series[str]") -> list[tuple[str, str]]:
    """Label each state with its number of days, beside its colour."""
    counts = state.value_counts()
    return [(f"{name}: {counts.get(name, 0):,}", shade) for name, shade in STATES.items()]


def calendar(days: pd.DataFrame) -> tuple[pd.DataFrame, range]:
    """Place days, with their states, in one block of weeks per year; also return the years."""
    index = pd.DatetimeIndex(days["date"])
    year, weekday = index.year.to_numpy(), index.day_of_week.to_numpy()
    day_of_year = index.day_of_year.to_numpy() - 1
    first_weekday = (weekday - day_of_year) % 7
    years = range(year[0], year[-1] + 1) if len(year) else range(0)
    frame = pd.DataFrame(
        {
            "week": (day_of_year + first_weekday) // 7,
            "row": -YEAR_ROWS * (year - min(years, default=0)) - weekday,
            "state": days["state"].to_numpy(),
            STEP: index.strftime("%a %Y-%m-%d"),
            HOVER: [plural(n, "launch") for n in days["launches"]],
        }
    ).astype(dict.fromkeys(("state", STEP, HOVER), object))  # HoloViews reshapes them
    frame["code"] = frame["state"].map({state: code for code, state in enumerate(STATES)})
    return frame, years


class PlotSeries(NamedTuple):
    """What a figure over time draws.

    Attributes
    ----------
    names : tuple of str
        The series, as they are shown.
    frame : pandas.DataFrame
        `TIME`, a column for each series (`upper`), and for areas also their lower edges (`lower`).
        A week or month has two rows, where it begins and where it ends. No column is named after a
        series, because names such as ``constructor`` mean something to a browser.
    hover : pandas.DataFrame
        `TIME`, from which on there is something to say until the next row, `LEVEL`, `STEP` and
        `HOVER`. The last row says nothing.
    partial : pandas.DataFrame
        `PARTIAL`: a row for each week or month that the data cover only in part.
    kind : str
        One of `KINDS`.
    logy : bool
        Whether values are on a logarithmic axis, which has no zero.
    """

    names: tuple[str, ...]
    frame: pd.DataFrame
    hover: pd.DataFrame
    partial: pd.DataFrame
    kind: str
    logy: bool = False

    @classmethod
    def of(cls, rates: Rates, kind: str, logy: bool = False) -> "PlotSeries":
        """Lay out rates as lines, stacked areas, or stacked shares."""
        unknown = rates.steps["unknown"].to_numpy()
        names = labels(str(name) for name in rates.table)
        values = rates.table.to_numpy("float64")
        valid = values > 0 if logy else ~np.isnan(values)
        if kind != "lines":
            valid &= ~unknown[:, None]  # the others would rise by what is lost
        filled = np.where(valid, values, 0.0)
        if kind == "share":
            total = filled.sum(axis=1, keepdims=True)
            filled = np.divide(filled, total, out=np.zeros_like(filled), where=total > 0)
            valid &= total > 0
        upper = filled if kind == "lines" else np.cumsum(filled, axis=1)
        shown = valid if kind == "lines" or rates.is_stepped else _widen(valid)
        rows = np.repeat(np.arange(len(values)), 2 if rates.is_stepped else 1)
        ends = rates.steps[["start", "end"]].to_numpy().ravel()
        columns: dict[str, Any] = {TIME: ends if rates.is_stepped else rates.table.index}
        edges = {cls.upper: upper} | ({} if kind == "lines" else {cls.lower: upper - filled})
        for number in range(len(names)):
            for name_of, edge in edges.items():
                values_of = np.where(shown[:, number], edge[:, number], np.nan)
                columns[name_of(number)] = values_of[rows]
        hover = _hover(rates, np.where(valid, filled, np.nan), kind, names)
        partial = rates.steps.loc[rates.steps["partial"], ["start", "end"]].set_axis(
            PARTIAL, axis=1
        )
        return cls(tuple(names), pd.DataFrame(columns), hover, partial, kind, logy)

    @staticmethod
    def upper(number: int) -> str:
        """Name the column of a line, or of the upper edge of an area."""
        return f"series {number}"

    @staticmethod
    def lower(number: int) -> str:
        """Name the column of the lower edge of an area."""
        return f"below {number}"

    def line(self, number: int) -> tuple[Any, Any]:
        """Points of a line, from its first value to its last."""
        values = self.frame[self.upper(number)].to_numpy()
        valid = np.flatnonzero(~np.isnan(values))
        part = slice(valid[0], valid[-1] + 1) if len(valid) else slice(0, 0)
        return self.frame[TIME].to_numpy()[part], values[part]

    def polygon(self, number: int) -> tuple[Any, Any]:
        """Corners of an area: along the lower edge and back along the upper, NaN at gaps."""
        time = self.frame[TIME].to_numpy()
        upper, lower = (self.frame[edge(number)].to_numpy() for edge in (self.upper, self.lower))
        valid = np.flatnonzero(~np.isnan(upper))
        if not len(valid):
            return time[:0], upper[:0]
        x: list[Any] = []
        y: list[Any] = []
        for part in np.split(valid, np.flatnonzero(np.diff(valid) > 1) + 1):
            x += [np.array(["NaT"], time.dtype), time[part], time[part[::-1]]]
            y += [np.array([np.nan]), lower[part], upper[part[::-1]]]
        return np.concatenate(x[1:]), np.concatenate(y[1:])

    def ylim(self, start: Any = None, end: Any = None) -> tuple[float, float]:
        """Ends of the value axis, for the time from `start` to `end`."""
        if self.kind == "share":
            return 0.0, 1.0
        values = self._heights(start, end)
        top = float(np.nanmax(values, initial=0.0))
        if self.logy:
            return float(np.nanmin(values, initial=max(top, 1.0))) / 1.5, max(top, 1.0) * 2
        return 0.0, top * 1.06 or 1.0

    def is_empty(self, start: Any = None, end: Any = None) -> bool:
        """Whether nothing but zeros is drawn for the time from `start` to `end`."""
        return not (self._heights(start, end) > 0).any()

    def _heights(self, start: Any, end: Any) -> Any:
        """Values, or upper edges, of all series for the time from `start` to `end`."""
        values = self.frame[[*map(self.upper, range(len(self.names)))]].to_numpy()
        if start is None:
            return values
        time = self.hover[TIME].to_numpy()
        inside = (time[1:] > start) & (time[:-1] < end)
        return values[np.repeat(inside, len(values) // max(len(inside), 1))]

    @property
    def days(self) -> tuple[Any, Any]:
        """The first and the last day."""
        start, end = self.xlim()
        half = np.timedelta64(12, "h")  # beside the points of days
        return (start + half).astype("datetime64[D]"), (end - half).astype("datetime64[D]")

    def xlim(self, first: Any = None, last: Any = None) -> tuple[Any, Any]:
        """Ends of the time axis, for the days from `first` to `last`: points are inside it."""
        if self.hover.empty:
            return np.datetime64("1970-01-01"), np.datetime64("1970-01-02")
        time, day = self.hover[TIME].to_numpy(), np.timedelta64(1, "D")
        if first is None:
            return time[0], time[-1]
        margin = time[0] - time[0].astype("datetime64[D]")  # half a day, or none
        return np.datetime64(first) - margin, np.datetime64(last) + day - margin


def labels(names: Iterable[str]) -> list[str]:
    """Make names readable and distinct; none is the label of the total."""
    taken = [TOTAL]
    for name in names:
        label = base = readable(name, _LONGEST_LABEL)
        number = 1
        while label in taken:
            number += 1
            label = f"{base} ({number})"
        taken.append(label)
    return taken[1:]


@lru_cache(maxsize=32)
def _step_names(first: pd.Timestamp | None, steps: int, grain: str) -> list[str]:
    if first is None:
        return []
    freq = {"week": "7D", "month": "MS"}.get(grain, "D")
    pattern = {"week": "week of %a %Y-%m-%d", "month": "%Y-%m"}.get(grain, "%a %Y-%m-%d")
    return list(pd.date_range(first, periods=steps, freq=freq).strftime(pattern))


def _widen(valid: Any) -> Any:
    """Add the points beside those of each series, where others have one: areas taper to zero."""
    beside = valid.copy()
    beside[1:] |= valid[:-1]
    beside[:-1] |= valid[1:]
    return beside & valid.any(axis=1, keepdims=True)


def _hover(rates: Rates, shown: Any, kind: str, names: Sequence[str]) -> pd.DataFrame:
    """Say what is hovered over: a period, or a day with twelve hours to each side of its point."""
    table, steps = rates.table, rates.steps
    names_of_steps = _step_names(next(iter(table.index), None), len(table), rates.grain)
    margin = pd.Timedelta(hours=0 if rates.is_stepped else 12)
    texts = {
        STEP: [
            name
            if files == days
            else f"{name}, {files} of {days} days"
            if files
            else f"{name}, no file"
            for name, files, days in zip(names_of_steps, steps["files"], steps["days"], strict=True)
        ],
        HOVER: _hover_texts(rates, shown, kind, names),
    }
    nothing = [""] * bool(len(table))
    time = pd.DatetimeIndex([*steps["start"], *steps["end"].iloc[-1:]]) - margin
    columns = {name: pd.Series([*text, *nothing], dtype=object) for name, text in texts.items()}
    return pd.DataFrame({TIME: time, LEVEL: 1.0, **columns})


def _hover_texts(rates: Rates, shown: Any, kind: str, names: Sequence[str]) -> list[str]:
    """Write the hover text of each step: one line per series, numbers aligned, then the total."""
    rows = list(zip(shown.T, rates.lost.T, names, strict=True))
    if kind == "share":
        width, large, small = 6, ".1%", ".1%"
    else:
        valid, unknown = ~np.isnan(shown), rates.steps["unknown"].to_numpy()
        is_known = valid.any(axis=1) & ~unknown
        total = np.where(is_known, np.where(valid, shown, 0.0).sum(axis=1), np.nan)
        if len(names) > 1:
            rows.append((total, np.zeros_like(unknown), TOTAL))
        width, large, small = len(f"{np.nanmax(total, initial=0.0):,.0f}"), ",.0f", ",.1f"
    lines = [
        [
            f"{'lost':{_SPACE}>{width}} {name}\n"
            if is_lost
            else ""
            if value != value
            else f"{value:{_SPACE}>{width}{small if 0 < value < 10 else large}} {name}\n"
            for value, is_lost in zip(column.tolist(), lost.tolist(), strict=True)
        ]
        for column, lost, name in rows
    ]
    return ["".join(texts) for texts in zip(*lines, strict=True)]
