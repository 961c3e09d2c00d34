"""Launches of each federation member over time, by hour and by day.

Arrays and tables in, tables out; no files, no Dask.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daskbinder.counting.codes import Ints, distinct_rows, sum_groups
from daskbinder.counting.counts import Counts
from daskbinder.model.dates import day_number, day_of
from daskbinder.model.federation import Federation
from daskbinder.model.launch import HOUR, TIMESTAMP

DAYS_OF_MEAN = 7

HOURLY = pa.schema(
    {
        "timestamp": TIMESTAMP,
        "federation": pa.dictionary(pa.int32(), pa.string()),
        "n": pa.int64(),
    }
)
"""Columns of the series by hour."""

DAILY = HOURLY.append(pa.field("mean_7d", pa.float64()))
"""Columns of the series by day, with the mean of a day and the six before."""

_NEVER = int(np.iinfo(np.int64).max)


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
        Index in `members`.
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


def find_members(counts: Counts, federation: Federation) -> tuple[tuple[str, ...], Ints]:
    """Find the members behind counts: which member an origin belongs to depends on the date.

    Returns the members, sorted, and for each row of the counts the index of its member.
    """
    codes, origins = counts.keys.column("origin")
    (origin, day), pair = distinct_rows([codes.take(counts.key), counts.day])
    names = [
        federation.member(origins[code].as_py(), day_of(number))
        for code, number in zip(origin.tolist(), day.tolist(), strict=True)
    ]
    members = tuple(sorted(set(names)))
    return members, np.array([members.index(name) for name in names], np.int64).take(pair)


def count_members(counts: Counts, federation: Federation) -> MemberCounts:
    """Add up counts by member."""
    members, member = find_members(counts, federation)
    (hour, member), row = distinct_rows([counts.hour, member])
    codes, origins = counts.keys.column("origin")
    present = np.flatnonzero(np.bincount(codes.take(counts.key)))
    used = origins.take(pa.array(present)).to_pylist()
    unknown = tuple(origin for origin in used if not federation.knows(origin))
    return MemberCounts(members, hour, member, sum_groups(row, counts.n, len(hour)), unknown)


def read_members(series: pa.Table, without: Collection[int]) -> MemberCounts:
    """Read counts back from the series by hour or day, except those of some days."""
    hour = series["timestamp"].cast(pa.int64()).to_numpy() // HOUR
    n = series["n"].to_numpy()
    rows = (n > 0) & ~np.isin(hour // 24, list(without))
    column = series["federation"].combine_chunks()
    members = tuple(column.dictionary.to_pylist())
    return MemberCounts(members, hour[rows], column.indices.to_numpy()[rows], n[rows], ())


def member_series(
    parts: Sequence[MemberCounts], present: Iterable[int], federation: Federation
) -> dict[str, pa.Table]:
    """Lay out the federation series by ``"hour"`` (`HOURLY`) and by ``"day"`` (`DAILY`).

    `parts` are counts of disjoint dates. `present` has the dates whose day file was read, in days
    from 1970-01-01. A member has a row for every present day from its beginning to its end, and for
    any other day or hour on which it has launches.

    The mean divides the launches on the present days among the last seven calendar days by the
    number of those days, so that the means of the members add up to the mean of the total. It is
    null if no day is present.
    """
    present = np.unique(np.fromiter(present, np.int64))
    spans = _spans(parts, present, federation)
    members = sorted(spans)
    days = np.unique(np.concatenate([present, *(part.hour // 24 for part in parts)]))
    n = np.zeros((len(days), 24, len(members)), np.int64)
    for part in parts:
        codes = np.array([members.index(m) if m in spans else -1 for m in part.members], np.int64)
        day = np.searchsorted(days, part.hour // 24)
        np.add.at(n, (day, part.hour % 24, codes[part.member]), part.n)

    is_present = np.isin(days, present)
    first, last = np.array([spans[name] for name in members], np.int64).reshape(-1, 2).T
    active = is_present[:, None] & (first <= days[:, None]) & (days[:, None] <= last)
    by_day = n.sum(axis=1)
    mean = _trailing_mean(days, by_day, is_present)
    hours = days[:, None] * 24 + np.arange(24)
    return {
        "hour": _table(hours.ravel(), members, (active[:, None, :] | (n > 0)), n),
        "day": _table(days * 24, members, active | (by_day > 0), by_day, mean),
    }


def _spans(
    parts: Sequence[MemberCounts], present: Ints, federation: Federation
) -> dict[str, tuple[int, int]]:
    """First and last day of each member that is active on a present day or has launches."""
    spans: dict[str, tuple[int, int]] = {}
    for name in federation.members:
        span = federation.span(name)
        if span is not None:
            begins, ends = span
            spans[name] = day_number(begins), _NEVER if ends is None else day_number(ends)
    observed = set()
    for part in parts:
        for code in np.unique(part.member).tolist():
            name, day = part.members[code], part.hour[part.member == code] // 24
            first, last = spans.get(name, (_NEVER, -_NEVER))
            spans[name] = min(first, int(day.min())), max(last, int(day.max()))
            observed.add(name)
    return {
        name: (first, last)
        for name, (first, last) in spans.items()
        if name in observed or ((first <= present) & (present <= last)).any()
    }


def _trailing_mean(
    days: Ints, by_day: Ints, is_present: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Mean of the present days among the last seven calendar days; NaN if there is none."""
    start = np.searchsorted(days, days - (DAYS_OF_MEAN - 1))
    totals = np.cumsum(np.vstack([np.zeros_like(by_day[:1]), by_day * is_present[:, None]]), axis=0)
    present = np.concatenate([[0], np.cumsum(is_present)])
    until = np.arange(1, len(days) + 1)
    divisor = (present[until] - present[start])[:, None]
    with np.errstate(invalid="ignore"):
        return np.asarray((totals[until] - totals[start]) / np.where(divisor > 0, divisor, np.nan))


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
    columns = [
        pa.array(hours[time] * HOUR, TIMESTAMP),
        pa.DictionaryArray.from_arrays(
            pa.array(member, pa.int32()), pa.array(members, pa.string())
        ),
        pa.array(n.reshape(kept.shape)[kept], pa.int64()),
    ]
    if mean is None:
        return pa.table(columns, schema=HOURLY)
    return pa.table([*columns, pa.array(mean[kept], from_pandas=True)], schema=DAILY)
