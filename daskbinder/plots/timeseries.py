"""What figures draw: counts as launches a day, as lines and areas, and as words to be pointed at.

Tables in, tables out; nothing here knows how a figure looks.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from daskbinder.text import readable

KINDS = ("lines", "stacked", "share")
GRAINS = {"average": "7-day average", "day": "by day", "week": "by week", "month": "by month"}
"""Steps between the points of a series, and what each is called."""
STATES = {
    "complete": "#4f98f0",
    "truncated": "#d9a514",
    "missing": "#d43d51",
    "provisional": "#8a8f98",
}
TIME, ALL, WHEN, TOLD = "date", "all together", "day", "launches"
_SPACE = "\N{FIGURE SPACE}"
_LOST = 40
_LONGEST_LABEL = 44
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def rates(counts: pd.DataFrame, grain: str = "average") -> pd.DataFrame:
    """Turn launches by day into launches a day at a step.

    Parameters
    ----------
    counts : pandas.DataFrame
        Launches by day: an index of days, a column a series, as
        ``rollups.federation("day", wide=True)`` gives them. A day that is not in the index has no
        file; NaN says that a series has not begun or has ended.
    grain : str
        One of `GRAINS`: the mean of the last seven days, each day, week (from Monday) or month.

    Returns
    -------
    pandas.DataFrame
        Means over the days that have a file, NaN where none has or the series is not there. The
        index has every step, without a time zone.
    """
    if grain not in GRAINS:
        raise ValueError(f"the steps are {', '.join(GRAINS)}, not {grain!r}")
    daily = _regular(counts)
    there = daily.notna().any(axis=1)
    if grain == "day" or daily.empty:
        return daily
    filled, days = daily.fillna(0), there.astype("float64")
    if grain == "average":
        mean = (
            filled.rolling(7, min_periods=1).sum().div(days.rolling(7, min_periods=1).sum(), axis=0)
        )
        return mean.where(daily.notna())
    rule = {"week": "W-MON", "month": "MS"}[grain]
    steps = {"closed": "left", "label": "left"}
    sums, among = filled.resample(rule, **steps).sum(), days.resample(rule, **steps).sum()
    alive = daily.notna().resample(rule, **steps).sum() > 0
    return sums.div(among.where(among > 0), axis=0).where(alive)


def week_of_hours(counts: pd.DataFrame) -> pd.DataFrame:
    """Mean launches of all columns together in each hour of the week: weekday, hour, launches."""
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
    """Say of every day of the archive in what state it is.

    Parameters
    ----------
    days : pandas.DataFrame
        What there is of each day: ``answers.completeness(rollups)``.

    Returns
    -------
    pandas.DataFrame
        ``date``, ``state`` (one of `STATES`) and ``launches``. A day is truncated when its file has
        no line, when the archive's own index counts more lines than there are, or when hours are
        empty in which the days around it have `_LOST` launches or more.
    """
    lines = (days["launches"] + days["rejected"]).fillna(0)
    around = {"window": 29, "center": True, "min_periods": 1}
    hours, launches = (days[name].astype("float64") for name in ("hours", "launches"))
    usual = hours.rolling(**around).median() - hours
    lost = usual * launches.rolling(**around).median() / 24
    torn = (lines < days["indexed"].fillna(0)) | (lost >= _LOST) | (lines == 0)
    state = np.select(
        [~days["present"], days["provisional"], torn],
        ["missing", "provisional", "truncated"],
        "complete",
    )
    launches = days["launches"].fillna(0).astype("int64")
    return pd.DataFrame({"date": days["date"], "state": state, "launches": launches})


class PlotSeries(NamedTuple):
    """What a figure over time draws.

    Attributes
    ----------
    names : tuple of str
        Its series, as they are shown.
    frame : pandas.DataFrame
        Time, each series (`upper`), below each area its lower edge (`lower`), and what to say when
        pointed at. No column is called after a series: a browser would know some names already.
    kind : str
        How they are drawn.
    """

    names: tuple[str, ...]
    frame: pd.DataFrame
    kind: str

    @classmethod
    def of(cls, table: pd.DataFrame, kind: str, grain: str) -> "PlotSeries":
        """Lay rates out as lines, as areas one upon the other, or as areas of shares."""
        names = labels([str(name) for name in table])
        values = table.to_numpy("float64")
        columns = {TIME: table.index}
        there = ~np.isnan(values)
        filled = np.where(there, values, 0.0)
        if kind == "share":
            total = filled.sum(axis=1, keepdims=True)
            filled = np.divide(filled, total, out=np.zeros_like(filled), where=total > 0)
            there &= total > 0
        edges = np.cumsum(filled, axis=1)
        upper = np.where(there, filled if kind == "lines" else edges, np.nan)
        for number in range(len(names)):
            columns[cls.upper(number)] = upper[:, number]
            if kind != "lines":
                columns[cls.lower(number)] = np.where(
                    there[:, number], edges[:, number] - filled[:, number], np.nan
                )
        highest = np.max(np.where(there, upper, 0.0), axis=1, initial=0.0)
        columns[ALL] = np.where(there.any(axis=1), highest, np.nan)
        columns[WHEN] = pd.Series(
            _spoken(table.index[0], len(table), grain) if len(table) else [],
            table.index,
            dtype=object,
        )
        columns[TOLD] = pd.Series(
            _told(values, filled if kind == "share" else None, names), table.index, dtype=object
        )
        return cls(tuple(names), pd.DataFrame(columns).reset_index(drop=True), kind)

    @staticmethod
    def upper(number: int) -> str:
        """Name the column of a series, or of the upper edge of its area."""
        return f"series {number}"

    @staticmethod
    def lower(number: int) -> str:
        """Name the column of the lower edge of an area."""
        return f"below {number}"

    def line(self, number: int) -> tuple[Any, Any]:
        """Points of a line, from its first value to its last."""
        values = self.frame[self.upper(number)].to_numpy()
        there = np.flatnonzero(~np.isnan(values))
        part = slice(there[0], there[-1] + 1) if len(there) else slice(0, 0)
        return self.frame[TIME].to_numpy()[part], values[part]

    def polygon(self, number: int) -> tuple[Any, Any]:
        """Corners of an area: along its lower edge and back along the upper, gaps between."""
        time = self.frame[TIME].to_numpy()
        edges = self.upper(number), self.lower(number)
        upper, lower = (self.frame[column].to_numpy() for column in edges)
        there = np.flatnonzero(~np.isnan(upper))
        parts = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1) if len(there) else []
        x: list[Any] = []
        y: list[Any] = []
        for part in parts:
            if x:
                x.append(np.array(["NaT"], time.dtype))
                y.append(np.array([np.nan]))
            x += [time[part], time[part[::-1]]]
            y += [lower[part], upper[part[::-1]]]
        return (np.concatenate(x), np.concatenate(y)) if x else (time[:0], upper[:0])

    def ylim(self, logy: bool = False, rows: Any = slice(None)) -> tuple[float, float]:
        """Ends of the axis of values, of some rows."""
        if self.kind == "share":
            return 0.0, 1.0
        values = self.frame[[*map(self.upper, range(len(self.names)))]].to_numpy()[rows]
        top = float(np.nanmax(values, initial=0.0))
        if logy:
            return float(np.nanmin(values, initial=max(top, 1.0))) / 1.5, max(top, 1.0) * 2
        return 0.0, top * 1.06 or 1.0

    @property
    def xlim(self) -> tuple[Any, Any]:
        """Ends of the axis of time."""
        time, edge = self.frame[TIME], pd.Timedelta(hours=12)
        if time.empty:
            return np.datetime64("1970-01-01"), np.datetime64("1970-01-02")
        return (time.iloc[0] - edge).to_datetime64(), (time.iloc[-1] + edge).to_datetime64()


def _regular(counts: pd.DataFrame) -> pd.DataFrame:
    """Every day from the first to the last, without a time zone."""
    index = pd.DatetimeIndex(counts.index)
    frame = counts.set_axis(index.tz_localize(None), axis=0)
    frame = frame.set_axis([str(name) for name in counts], axis=1).astype("float64")
    if len(frame):
        frame = frame.reindex(pd.date_range(index.min(), index.max(), freq="D").tz_localize(None))
    return frame.rename_axis(TIME)


def labels(names: Iterable[str]) -> list[str]:
    """Names as they are shown, each once, and none that the figures use themselves."""
    taken = {ALL}
    found: list[str] = []
    for name in names:
        label = shown = readable(name, _LONGEST_LABEL)
        number = 2
        while label in taken:
            label = f"{shown} ({number})"
            number += 1
        taken.add(label)
        found.append(label)
    return found


@lru_cache(maxsize=32)
def _spoken(first: pd.Timestamp, steps: int, grain: str) -> list[str]:
    """Name steps of time."""
    step = {"week": "7D", "month": "MS"}.get(grain, "D")
    pattern = {"week": "week of %a %d %B %Y", "month": "%B %Y"}.get(grain, "%a %d %B %Y")
    return list(pd.date_range(first, periods=steps, freq=step).strftime(pattern))


def _told(values: Any, shares: Any, names: Sequence[str]) -> list[str]:
    """What to say at each step: a line a series, numbers aligned."""
    rows = list(zip(values.T.tolist(), names, strict=True))
    there = ~np.isnan(values)
    total = np.where(there.any(axis=1), np.where(there, values, 0.0).sum(axis=1), np.nan)
    if shares is not None:
        shown = np.where(there, shares, np.nan)
        rows = list(zip(shown.T.tolist(), names, strict=True))
    elif len(names) > 1:
        rows.append((total.tolist(), ALL))
    width = 6 if shares is not None else len(f"{np.nanmax(total, initial=0.0):,.0f}")
    whole, small = (f"{_SPACE}>{width},.{digits}f" for digits in (0, 1))
    if shares is not None:
        whole = small = f"{_SPACE}>{width}.1%"
    columns = [
        [
            "" if value != value else f"{value:{small if 0 < value < 10 else whole}} {name}\n"
            for value in column
        ]
        for column, name in rows
    ]
    return ["".join(lines) for lines in zip(*columns, strict=True)]
