"""What the archive lacked when it was counted, one sentence each.

Tables and dates in, sentences out; reads no files.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from daskbinder.counting.codes import Ints
from daskbinder.dataset.faults import days_text, mismatches
from daskbinder.dataset.manifest import Shrunk
from daskbinder.model.dates import DateSet
from daskbinder.model.launch import HOUR
from daskbinder.text import listing, plural, readable

_STALE = timedelta(days=2)
_LONG_SILENCE = 24  # hours


def gaps(rows: Sequence[Mapping[str, Any]], today: date) -> Iterator[str]:
    """Missing, provisional, partial and stale days, according to the day table."""
    if not rows:
        return
    missing = DateSet.of(row["date"] for row in rows).gaps
    if missing:
        yield f"{days_text(missing)} missing"
    provisional = [row["date"] for row in rows if row["provisional"]]
    if provisional:
        yield f"{days_text(provisional)} counted while provisional"
    partial = [row["date"] for row in rows if row["hours_present"] < 24 and not row["provisional"]]
    if partial:
        yield f"{days_text(partial)} without launches in some hours"
    if differing := mismatches(rows):
        yield f"{days_text(differing)} with other counts in the archive's index"
    newest = max(row["date"] for row in rows)
    if today - newest > _STALE:
        yield f"the newest day, {newest}, is {(today - newest).days:,} days old"


def secrets(launches: int) -> Iterator[str]:
    """What to know about secrets in specs before publishing rollups."""
    if launches:
        yield (
            f"{launches:,} {'launch has' if launches == 1 else 'launches have'} a password, a user "
            "or a token in the spec, which rollups keep; "
            "docs/results.md says what to do before you publish them"
        )


def shrunk(days: Mapping[date, Shrunk]) -> Iterator[str]:
    """Days that lost more than half of their launches."""
    if days:
        counts = [f"{day}: {n.now:,} of {n.before:,}" for day, n in sorted(days.items())]
        have = "has" if len(days) == 1 else "have"
        yield (
            f"{plural(len(days), 'day')} {have} less than half of the launches counted before "
            f"({listing(counts)}); see whether the archive is whole, or take it as it is with "
            "run --full"
        )


def silences(series: pa.Table) -> Iterator[str]:
    """Gaps of a day or longer in a member's launches, before it left and while others had some."""
    if not len(series):
        return
    hour = series["timestamp"].cast(pa.int64()).to_numpy() // HOUR
    n = series["n"].to_numpy()
    column = series["federation"].combine_chunks()
    member = column.indices.to_numpy()
    _, index = np.unique(hour, return_inverse=True)
    anybody = np.bincount(index, weights=n)[index] > 0
    for code, name in enumerate(column.dictionary.to_pylist()):
        rows = anybody & (member == code)
        silent = [f"{_hour(a)} to {_hour(b)}" for a, b in _runs(hour[rows], n[rows] == 0)]
        if silent:
            times = plural(len(silent), "time")
            yield f"{readable(name)} without launches {times}: {listing(silent)}"


def _runs(hour: Ints, is_silent: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and last hour of each long silence."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_silent, [False]])))
    for start, stop in edges.reshape(-1, 2).tolist():
        if stop - start >= _LONG_SILENCE:
            yield int(hour[start]), int(hour[stop - 1])


def _hour(number: int) -> str:
    return f"{datetime.fromtimestamp(number * 3600, UTC):%Y-%m-%dT%H}"
