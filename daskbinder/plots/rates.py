"""Launches a day at each step of a series, and how much of each step is known.

Tables in, tables out.
"""

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from msgspec import structs

from daskbinder.model.annotations import Annotation, annotations

GRAINS = {"average": "7-day average", "day": "by day", "week": "by week", "month": "by month"}
"""Steps between the points of a series, and what each is called."""
TIME = "date"
_PERIODS = {"week": "W-MON", "month": "MS"}


class Rates(NamedTuple):
    """Mean launches a day at each step.

    Attributes
    ----------
    table : pandas.DataFrame
        Launches a day: a row per step, a column per series. NaN where no day of the step has a
        file, where all its launches are known to be lost, or where the series has not begun or has
        ended. The index has every step, as its first day without a time zone.
    lost : numpy.ndarray
        bool, by step and series: whether all launches of the step are known to be lost.
    steps : pandas.DataFrame
        For each row: ``start`` and ``end``, the days of the data that it is about, the end not
        included; ``files``, how many days have a file, of ``days`` that the period has;
        ``partial``, whether the data begin within the week or month, or end within it;
        ``unknown``, whether the launches of all series together are, because some are lost.
    grain : str
        One of `GRAINS`.
    """

    table: pd.DataFrame
    lost: Any
    steps: pd.DataFrame
    grain: str

    @property
    def is_stepped(self) -> bool:
        """Whether a value is about a whole period, and not about one day."""
        return self.grain in _PERIODS

    def only(self, chosen: Any) -> "Rates":
        """Leave out some series: they become NaN."""
        chosen = np.broadcast_to(chosen, self.lost.shape)
        return self._replace(table=self.table.where(chosen), lost=self.lost & chosen)

    def equals(self, other: "Rates") -> bool:
        """Whether everything is the same."""
        return (
            self.grain == other.grain
            and self.table.equals(other.table)
            and self.steps.equals(other.steps)
            and np.array_equal(self.lost, other.lost)
        )


def rates(counts: pd.DataFrame, grain: str = "average", notes: Iterable[Annotation] = ()) -> Rates:
    """Turn launches by day into mean launches a day at each step.

    Parameters
    ----------
    counts : pandas.DataFrame
        Launches by day: an index of days, one column per series, as
        ``rollups.federation("day", wide=True)`` gives them. A day that is not in the index has no
        file; NaN says that a series has not begun or has ended.
    grain : str
        One of `GRAINS`: the mean of the last seven days, each day, week (from Monday) or month.
    notes : iterable of Annotation
        Days of those that say ``lost`` are not known for their member, or for all.

    Returns
    -------
    Rates
        Means over the days that have a file and are not lost.

    Raises
    ------
    ValueError
        When `grain` is not one of `GRAINS`.
    """
    if grain not in GRAINS:
        raise ValueError(f"grain must be one of {', '.join(GRAINS)}, not {grain!r}")
    daily = _every_day(counts)
    has_file = daily.notna().any(axis=1).to_numpy()
    gaps = losses(notes)
    names, losers = list(daily), dict.fromkeys(note.member for note in gaps)
    lost = pd.DataFrame(
        {
            number: lost_days(daily.index, [gap for gap in gaps if gap.member in (None, name)])
            for number, name in enumerate((*names, *losers))
        },
        daily.index,
    )
    known = ~lost & has_file[:, None]
    daily = daily.where(known.iloc[:, : len(names)].to_numpy())
    sums = _sum(daily, grain)
    known_days = _sum(known.astype("float64"), grain).to_numpy()
    with np.errstate(invalid="ignore", divide="ignore"):
        table = sums / known_days[:, : len(names)]
    if grain == "average":
        table = table.where(daily.notna())
    if grain in _PERIODS:
        lost = (_sum(lost.astype("float64"), grain) > 0) & ~(known_days > 0)
    unknown = lost.iloc[:, len(names) :].any(axis=1).to_numpy()
    steps = _steps(table.index, daily.index, has_file, grain).assign(unknown=unknown)
    return Rates(table, lost.iloc[:, : len(names)].to_numpy(), steps, grain)


def losses(
    notes: Iterable[Annotation] | None,
    members: Collection[str] | None = None,
    *,
    of_sum: bool = False,
) -> list[Annotation]:
    """Find the notes on lost launches of some members, by default of any.

    `notes` are the packaged ones by default. Each loss becomes one of all series if these are sums
    over the members.
    """
    lost = [
        note
        for note in (annotations() if notes is None else notes)
        if note.lost and (members is None or note.member is None or note.member in members)
    ]
    return [structs.replace(note, member=None) for note in lost] if of_sum else lost


def lost_days(days: pd.DatetimeIndex, notes: Iterable[Annotation]) -> Any:
    """Whether each day is one of a loss."""
    lost = np.zeros(len(days), bool)
    for note in notes:
        lost |= (days >= pd.Timestamp(note.first)) & (days <= pd.Timestamp(note.last))
    return lost


def _steps(
    index: pd.DatetimeIndex, days: pd.DatetimeIndex, has_file: Any, grain: str
) -> pd.DataFrame:
    """Say which days each step is about."""
    length = pd.DateOffset(**{"week": {"weeks": 1}, "month": {"months": 1}}.get(grain, {"days": 1}))
    begin, end = index - pd.Timedelta(days=6 * (grain == "average")), index + length
    files = _sum(pd.DataFrame(has_file, days, dtype="float64"), grain)[0].fillna(0).to_numpy()
    if grain == "average":
        files = files * has_file
    return pd.DataFrame(
        {
            "start": np.maximum(index, days[0]) if len(days) else index,
            "end": np.minimum(end, days[-1] + pd.Timedelta(days=1)) if len(days) else end,
            "files": files.astype("int64"),
            "days": (end - begin).days,
            "partial": (index < days[:1].min()) | (end > days[-1:].max() + pd.Timedelta(days=1)),
        },
        index,
    )


def _sum(frame: pd.DataFrame, grain: str) -> pd.DataFrame:
    """Sum what is known of each step."""
    if frame.empty or grain == "day":
        return frame
    if grain == "average":
        return frame.rolling(7, min_periods=1).sum()
    return frame.resample(_PERIODS[grain], closed="left", label="left").sum(min_count=1)


def _every_day(counts: pd.DataFrame) -> pd.DataFrame:
    """Add the days that have no file, as NaN, and drop the time zone."""
    index = pd.DatetimeIndex(counts.index)
    frame = counts.set_axis(index.tz_localize(None), axis=0)
    frame = frame.set_axis([str(name) for name in counts], axis=1).astype("float64")
    if len(frame):
        frame = frame.reindex(pd.date_range(index.min(), index.max(), freq="D").tz_localize(None))
    return frame.rename_axis(TIME)
