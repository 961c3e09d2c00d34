"""Launches of each federation member over time, hour by hour and day by day.

Arrays and tables in, tables out; no files, no Dask.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daskbinder.counting.codes import Ints, distinct, sums
from daskbinder.counting.counts import Counts
from daskbinder.model.dates import day_number, day_of
from daskbinder.model.federation import Federation
from daskbinder.model.launch import HOUR, KEY, TIMESTAMP

DAYS_OF_MEAN = 7


@dataclass(frozen=True)
class MemberCounts:
    """Launches by member and hour.

    Attributes
    ----------
    members : tuple of str
        Names of the members.
    hour : ndarray of int
        Hours from 1970-01-01 UTC.
    member : ndarray of int
        Place in `members`.
    n : ndarray of int64
        Launches.
    unknown : tuple of str
        Origins that the federation table does not know.
    """

    members: tuple[str, ...]
    hour: Ints
    member: Ints
    n: Ints
    unknown: tuple[str, ...]


def members_of(counts: Counts, federation: Federation) -> tuple[tuple[str, ...], Ints]:
    """Find the members behind counts: who stands behind an origin depends on the date.

    Returns
    -------
    tuple of str
        The members, sorted.
    ndarray of int
        The place of each row's member among them.
    """
    column = list(KEY).index("origin")
    origins = counts.keys.values[column].to_pylist()
    origin = counts.keys.codes[:, column].take(counts.key)
    day0, days = (int(counts.day[0]), int(np.ptp(counts.day)) + 1) if len(counts.day) else (0, 0)
    pairs, place = distinct(origin.astype(np.int64) * days + counts.day - day0, len(origins) * days)
    found = [
        federation.member(origins[pair // days], day_of(day0 + pair % days))
        for pair in pairs.tolist()
    ]
    members = tuple(sorted(set(found)))
    return members, np.array([members.index(name) for name in found], np.int64).take(place)


def count_members(counts: Counts, federation: Federation) -> MemberCounts:
    """Add up counts by member."""
    members, member = members_of(counts, federation)
    hour = counts.hour
    hour0, hours = (int(hour[0]), int(np.ptp(hour)) + 1) if len(hour) else (0, 0)
    width = max(len(members), 1)
    rows, place = distinct((hour - hour0) * width + member, hours * width)
    n = sums(place, counts.n, len(rows))
    hour, member = np.divmod(rows, width)
    hour += hour0
    column = list(KEY).index("origin")
    origins = counts.keys.values[column].to_pylist()
    present = np.flatnonzero(np.bincount(counts.keys.codes[:, column].take(counts.key)))
    unknown = sorted({origins[i] for i in present if not federation.knows(origins[i])})
    return MemberCounts(members, hour, member, n, tuple(unknown))


def read_members(series: pa.Table, without: Collection[int]) -> MemberCounts:
    """Counts behind a series that `member_series` laid out, but for those of some days."""
    hour = series["timestamp"].cast(pa.int64()).to_numpy() // HOUR
    n = series["n"].to_numpy()
    rows = (n > 0) & ~np.isin(hour // 24, list(without))
    column = series["federation"].combine_chunks()
    members = tuple(column.dictionary.to_pylist())
    return MemberCounts(members, hour[rows], column.indices.to_numpy()[rows], n[rows], ())


def member_series(
    parts: Sequence[MemberCounts], present: Iterable[int], federation: Federation
) -> dict[str, pa.Table]:
    """Lay the federation series out.

    Parameters
    ----------
    parts : sequence of MemberCounts
        Counts of disjoint dates.
    present : iterable of int
        The dates whose day file was read, in days from 1970-01-01.
    federation : Federation
        When members begin and end.

    Returns
    -------
    dict of pyarrow.Table
        ``"hour"`` and ``"day"``: ``timestamp`` (us, UTC), ``federation`` (dictionary of str),
        ``n`` (int64) and, by day, ``mean_7d`` (float64, null where no day is present). A member
        has a row for every present day from its beginning to its end, and for any other day or
        hour on which it has launches.

    Notes
    -----
    The mean divides the launches on the present ones of the last seven calendar days by the number
    of those days, so that the means of the members add up to the mean of the total.
    """
    present = np.unique(np.fromiter(present, np.int64))
    observed = {part.members[code] for part in parts for code in np.unique(part.member)}
    spans = _spans(parts, observed, present, federation)
    members = sorted(spans)
    days = np.unique(np.concatenate([present, *(part.hour // 24 for part in parts)]))
    n = np.zeros((len(days), 24, len(members)), np.int64)
    for part in parts:
        place = {name: code for code, name in enumerate(members)}
        codes = np.array([place.get(name, -1) for name in part.members], np.int64)
        day = np.searchsorted(days, part.hour // 24)
        np.add.at(n, (day, part.hour % 24, codes[part.member]), part.n)

    is_present = np.isin(days, present)
    first, last = (np.array([spans[name][i] for name in members], np.int64) for i in (0, 1))
    active = is_present[:, None] & (first <= days[:, None]) & (days[:, None] <= last)
    by_day = n.sum(axis=1)
    mean = _trailing_mean(days, by_day, is_present)
    hours = days[:, None] * 24 + np.arange(24)
    return {
        "hour": _table(hours.ravel(), members, (active[:, None, :] | (n > 0)), n),
        "day": _table(days * 24, members, active | (by_day > 0), by_day, mean),
    }


def _spans(
    parts: Sequence[MemberCounts], observed: set[str], present: Ints, federation: Federation
) -> dict[str, tuple[int, int]]:
    """First and last day of each member that is active on a present day or has launches."""
    spans: dict[str, tuple[int, int]] = {}
    never = int(np.iinfo(np.int64).max)
    for name in federation.members:
        span = federation.span(name)
        if span is not None:
            end = never if span[1] is None else day_number(span[1])
            spans[name] = day_number(span[0]), end
    for part in parts:
        for code, name in enumerate(part.members):
            day = part.hour[part.member == code] // 24
            if len(day):
                first, last = spans.get(name, (never, -never))
                spans[name] = min(first, int(day.min())), max(last, int(day.max()))
    return {
        name: (first, last)
        for name, (first, last) in spans.items()
        if name in observed or ((first <= present) & (present <= last)).any()
    }


def _trailing_mean(
    days: Ints, by_day: Ints, is_present: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Mean of the present ones of the last seven calendar days; NaN where there is none."""
    start = np.searchsorted(days, days - (DAYS_OF_MEAN - 1))
    totals = np.cumsum(np.vstack([np.zeros_like(by_day[:1]), by_day * is_present[:, None]]), axis=0)
    counted = np.concatenate([[0], np.cumsum(is_present)])
    until = np.arange(1, len(days) + 1)
    among = (counted[until] - counted[start])[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray((totals[until] - totals[start]) / np.where(among > 0, among, np.nan))


HOURLY = pa.schema(
    {
        "timestamp": TIMESTAMP,
        "federation": pa.dictionary(pa.int32(), pa.string()),
        "n": pa.int64(),
    }
)
"""Columns of the series by hour."""

DAILY = HOURLY.append(pa.field("mean_7d", pa.float64()))
"""Columns of the series by day: also the mean of a day and the six before."""


def _table(
    hours: Ints,
    members: list[str],
    kept: npt.NDArray[np.bool_],
    n: Ints,
    mean: npt.NDArray[np.float64] | None = None,
) -> pa.Table:
    """Rows of a (time, member) grid that are kept."""
    kept = kept.reshape(len(hours), len(members))
    time, member = np.nonzero(kept)
    columns = {
        "timestamp": pa.array(hours[time] * HOUR, TIMESTAMP),
        "federation": pa.DictionaryArray.from_arrays(
            pa.array(member, pa.int32()), pa.array(members, pa.string())
        ),
        "n": pa.array(n.reshape(kept.shape)[kept], pa.int64()),
    }
    if mean is None:
        return pa.table(columns, schema=HOURLY)
    columns["mean_7d"] = pa.array(mean[kept], pa.float64(), from_pandas=True)
    return pa.table(columns, schema=DAILY)
