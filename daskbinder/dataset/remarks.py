"""What an archive lacked when it was counted, as the tables of a data set tell: sentences.

Tables and dates in, sentences out; nothing is read here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daskbinder.counting.codes import Ints
from daskbinder.dataset.manifest import Shrunk
from daskbinder.model.dates import DateSet
from daskbinder.model.launch import HOUR
from daskbinder.text import listing, plural, readable

_STALE = timedelta(days=2)
_SILENCE = 24
"""Hours without a launch that are worth a word."""


def gaps(rows: Sequence[Mapping[str, Any]], today: date) -> Iterator[str]:
    """What the day table tells of the archive."""
    if not rows:
        return
    missing = DateSet.of(row["date"] for row in rows).gaps
    if missing:
        yield f"{counted_days(missing)} missing"
    provisional = [row["date"] for row in rows if row["provisional"]]
    if provisional:
        yield f"{counted_days(provisional)} counted while provisional"
    partial = [row["date"] for row in rows if row["hours_present"] < 24 and not row["provisional"]]
    if partial:
        yield f"{counted_days(partial)} without launches in some hours"
    uneven = mismatches(rows)
    if uneven:
        yield f"{counted_days(uneven)} with other counts in the archive's index"
    newest = max(row["date"] for row in rows)
    if today - newest > _STALE:
        yield f"the newest day, {newest}, is {(today - newest).days:,} days old"


def secrets(launches: int) -> Iterator[str]:
    """What to know of the specs before rollups are published."""
    if launches:
        yield (
            f"{launches:,} {'launch has' if launches == 1 else 'launches have'} a password, a user "
            "or a token in the spec, which rollups keep; "
            "docs/results.md says what to do before you publish them"
        )


def shrunk(days: Mapping[date, Shrunk]) -> Iterator[str]:
    """Days that lost more than half of their launches, as the manifest names them."""
    if days:
        told = [f"{day}: {n.now:,} of {n.before:,}" for day, n in sorted(days.items())]
        have = "has" if len(days) == 1 else "have"
        yield (
            f"{plural(len(days), 'day')} {have} less than half of the launches counted before "
            f"({listing(told)}); see whether the archive is whole, or take it as it is with "
            "run --full"
        )


def mismatches(rows: Iterable[Mapping[str, Any]]) -> list[date]:
    """Days of which the archive's index counts other lines than there are."""
    return [row["date"] for row in rows if row["indexed"] not in (None, row["lines"])]


def silences(series: pa.Table) -> Iterator[str]:
    """When members without an end had no launch for long while others had."""
    if not len(series):
        return
    hour = series["timestamp"].cast(pa.int64()).to_numpy() // HOUR
    n = series["n"].to_numpy()
    column = series["federation"].combine_chunks()
    member = column.indices.to_numpy()
    _, location = np.unique(hour, return_inverse=True)
    shared = np.bincount(location, weights=n)[location] > 0
    for code, name in enumerate(column.dictionary.to_pylist()):
        own = shared & (member == code)
        runs = [f"{_hour(first)} to {_hour(last)}" for first, last in _runs(hour[own], n[own] == 0)]
        if runs:
            times = plural(len(runs), "time")
            yield f"{readable(name)} without launches {times}: {listing(runs)}"


def _runs(hour: Ints, silent: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last hour of each long run of silent ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], silent, [False]])))
    for start, stop in edges.reshape(-1, 2).tolist():
        if stop - start >= _SILENCE:
            yield int(hour[start]), int(hour[stop - 1])


def _hour(number: int) -> str:
    return f"{datetime.fromtimestamp(number * 3600, UTC):%Y-%m-%dT%H}"


def counted_days(days: Iterable[date]) -> str:
    """Say how many days, and which if they are few."""
    found = DateSet.of(days)
    return f"{plural(len(found), 'day')} ({listing(found.texts)})"
