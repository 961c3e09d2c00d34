"""What figures draw: launches a day as lines and areas, with hover text; no colours or axes.

Tables in, tables out.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from daskbinder.plots.rates import TIME, Rates
from daskbinder.text import readable

KINDS = ("lines", "stacked", "share")
STATES = {
    "complete": "#4f98f0",
    "truncated": "#d9a514",
    "missing": "#d43d51",
    "provisional": "#8a8f98",
}
"""States of a day of the archive, with their colours."""
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

TOP, STEP, HOVER = "top", "day", "launches"
"""Columns of a figure beside `TIME` and its series: highest value, name of the step, hover text."""
TOTAL = "total"
"""What the sum of all series is called in the hover text."""
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
            STEP: index.strftime("%a %d %B %Y"),
            HOVER: [f"{n:,} launches" for n in days["launches"]],
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
        `TIME`, a column for each series (`upper`), for areas also their lower edges (`lower`),
        then `TOP`, `STEP` and `HOVER`. No column is named after a series, because names such as
        ``constructor`` mean something to a browser.
    kind : str
        One of `KINDS`.
    """

    names: tuple[str, ...]
    frame: pd.DataFrame
    kind: str

    @classmethod
    def of(cls, rates: Rates, kind: str) -> "PlotSeries":
        """Lay out rates as lines, stacked areas, or stacked shares."""
        table, unknown = rates.table, rates.steps["unknown"].to_numpy()
        names = labels(str(name) for name in table)
        values = table.to_numpy("float64")
        valid = ~np.isnan(values)
        if kind != "lines":
            valid &= ~unknown[:, None]  # the others would rise by what is lost
        filled = np.where(valid, values, 0.0)
        if kind == "share":
            total = filled.sum(axis=1, keepdims=True)
            filled = np.divide(filled, total, out=np.zeros_like(filled), where=total > 0)
            valid &= total > 0
        edges = filled if kind == "lines" else np.cumsum(filled, axis=1)
        top = np.max(np.where(valid, edges, 0.0), axis=1, initial=0.0)
        columns: dict[str, Any] = {TIME: table.index}
        for number, shown in enumerate(valid.T):
            columns[cls.upper(number)] = np.where(shown, edges[:, number], np.nan)
            if kind != "lines":
                below = edges[:, number] - filled[:, number]
                columns[cls.lower(number)] = np.where(shown, below, np.nan)
        columns[TOP] = np.where(valid.any(axis=1) | unknown, top, np.nan)
        shares = np.where(valid, filled, np.nan) if kind == "share" else None
        first = next(iter(table.index), None)
        columns[STEP] = pd.Series(_step_names(first, len(table), rates.grain), dtype=object)
        columns[HOVER] = pd.Series(_hover_texts(rates, shares, names), dtype=object)
        return cls(tuple(names), pd.DataFrame(columns), kind)

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

    def ylim(self, logy: bool = False, rows: Any = slice(None)) -> tuple[float, float]:
        """Ends of the value axis, for some rows."""
        if self.kind == "share":
            return 0.0, 1.0
        values = self.frame[[*map(self.upper, range(len(self.names)))]].to_numpy()[rows]
        top = float(np.nanmax(values, initial=0.0))
        if logy:
            return float(np.nanmin(values, initial=max(top, 1.0))) / 1.5, max(top, 1.0) * 2
        return 0.0, top * 1.06 or 1.0

    @property
    def xlim(self) -> tuple[Any, Any]:
        """Ends of the time axis, half a day outside the first and last points."""
        time, edge = self.frame[TIME], pd.Timedelta(hours=12)
        if time.empty:
            return np.datetime64("1970-01-01"), np.datetime64("1970-01-02")
        return (time.iloc[0] - edge).to_datetime64(), (time.iloc[-1] + edge).to_datetime64()


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
    pattern = {"week": "week of %a %d %B %Y", "month": "%B %Y"}.get(grain, "%a %d %B %Y")
    return list(pd.date_range(first, periods=steps, freq=freq).strftime(pattern))


def _hover_texts(rates: Rates, shares: Any, names: Sequence[str]) -> list[str]:
    """Write the hover text of each step: one line per series, numbers aligned, then the total."""
    values, unknown = rates.table.to_numpy("float64"), rates.steps["unknown"].to_numpy()
    rows = list(zip((values if shares is None else shares).T, rates.lost.T, names, strict=True))
    if shares is not None:
        width, large, small = 6, ".1%", ".1%"
    else:
        valid = ~np.isnan(values)
        is_known = valid.any(axis=1) & ~unknown
        total = np.where(is_known, np.where(valid, values, 0.0).sum(axis=1), np.nan)
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
