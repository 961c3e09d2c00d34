"""Where in a finished data set an answer stands: which days, which files, which rows of them.

Everything here is a look-up; the archive is never read. It knows no pandas, so that a command can
answer at once.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.counting.codes import Ints
from daskbinder.counting.repositories import DAILY, array_of, identities
from daskbinder.dataset.layout import ACTIVE, DIRECTORY, REPOSITORIES, federation_name
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model.dates import day_number, read_date
from daskbinder.model.windows import GRAINS, KINDS

T = TypeVar("T")

_LAST = re.compile(r"([1-9][0-9]{0,5})\s*(?:d|days?)?")


@dataclass(frozen=True)
class Span:
    """Days from one to another, both included."""

    first: date
    last: date


def whole(rollups: Rollups) -> Span:
    """All days on which a data set may hold launches."""
    start, end = rollups.contents.start, rollups.contents.end
    return Span(start - timedelta(days=1), end + timedelta(days=1))


def span_of(
    rollups: Rollups,
    start: date | str | None = None,
    end: date | str | None = None,
    last: int | str | None = None,
) -> Span:
    """Find the days that are meant.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    start, end : datetime.date or str, optional
        The first and the last day; by default all there are.
    last : int or str, optional
        So many days (``"90d"``) to `end`, or to the last day that has a file.
    """
    everything = whole(rollups)
    first, final = read_date(start), read_date(end)
    if last is not None:
        found = _LAST.fullmatch(str(last).strip())
        if found is None or first is not None:
            raise InputError(f"so many last days are written 90d, without a start; not {last!r}")
        final = final or rollups.contents.end
        first = max(final, everything.first) - timedelta(days=int(found[1]) - 1)
    span = Span(first or everything.first, final or everything.last)
    if span.first > span.last:
        raise InputError(f"the range ends ({span.last}) before it starts ({span.first})")
    return span


def directory(rollups: Rollups) -> pa.Table:
    """All repositories, the most launched first, as rows of `repositories.DIRECTORY`."""
    return rollups.table(DIRECTORY)


def active(rollups: Rollups) -> pa.Table:
    """How many repositories were active when, as rows of `repositories.ACTIVE`."""
    return rollups.table(ACTIVE)


def daily(rollups: Rollups, span: Span, names: Sequence[str] = DAILY.names) -> pa.Table:
    """Launches by date, member, repository and ref: columns of `repositories.DAILY`."""
    columns = list(dict.fromkeys(["date", *names, "n"]))
    tables = from_each(rollups, months(rollups, span), lambda rows: within(rows, span), columns)
    rows = pa.concat_tables([DAILY.empty_table().select(columns), *tables])
    return rows.unify_dictionaries().combine_chunks()


def from_each(
    rollups: Rollups,
    names: Sequence[str],
    choose: Callable[[pa.Table], T],
    columns: Sequence[str] | None = None,
) -> list[T]:
    """Choose from the table, or some columns of it, of each of some files, a few at a time."""
    wanted = None if columns is None else list(columns)
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: choose(rollups.table(name, wanted)), names))


def months(rollups: Rollups, span: Span) -> list[str]:
    """Names of the files about repositories in the months of some days."""
    first, last = (
        f"{REPOSITORIES}/{day.isoformat()[:7]}.parquet" for day in (span.first, span.last)
    )
    return sorted(name for name in rollups.contents.files if first <= name <= last)


def within(rows: pa.Table, span: Span) -> pa.Table:
    """Only the rows of some days."""
    day = rows["date"].cast(pa.int32()).to_numpy()
    inside = (day_number(span.first) <= day) & (day <= day_number(span.last))
    return rows if inside.all() else rows.filter(pa.array(inside))


def fields(rollups: Rollups, span: Span, names: Sequence[str]) -> pa.Table:
    """Add launches up by fields of theirs that only the rollups have."""

    def choose(rows: pa.Table) -> pa.Table:
        dates = rows["timestamp"].cast(pa.date32())
        rows = within(rows.select([*names, "n"]).append_column("date", dates), span)
        return summed(rows.drop_columns("date"), names)

    options = rollups.contents.options
    kind = next(kind for kind in reversed(KINDS) if kind in options.windows)
    grain = next(grain for grain in reversed(GRAINS) if grain in options.grains)
    chosen = from_each(rollups, rollups.names(kind, by=grain), choose)
    return summed(pa.concat_tables(chosen), names)


def by_member(rollups: Rollups) -> pa.Table:
    """Read the coarser of the federation series there are."""
    return rollups.table(federation_name(rollups.contents.options.grains[-1]))


def rows_about(rollups: Rollups, row: dict[str, object]) -> pa.Table:
    """Rows of `repositories.DAILY` about a row of the directory."""
    wanted = identities(pa.array([row["provider"]]), pa.array([row["repository"]]))[0]
    provider = pa.scalar(row["provider"], pa.string())

    def choose(rows: pa.Table) -> pa.Table:
        names = array_of(rows["repository"])
        same = pc.equal(
            identities(pa.repeat(provider, len(names.dictionary)), names.dictionary), wanted
        )
        rows = rows.filter(same.take(names.indices))
        rows = rows.filter(pc.equal(rows["provider"], provider))
        return rows.cast(_PLAIN)

    span = Span(row["first_seen"], row["last_seen"])  # type: ignore[arg-type]
    return pa.concat_tables(from_each(rollups, months(rollups, span), choose))


_PLAIN = pa.schema(
    [
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in DAILY
    ]
)


def summed(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Add launches up by some columns, which become plain text."""
    found = rows.select([*names, "n"]).group_by(list(names), use_threads=False)
    found = found.aggregate([("n", "sum")]).rename_columns([*names, "n"])
    types = {name: pa.date32() if name == "date" else pa.string() for name in names}
    return found.cast(pa.schema(types | {"n": pa.int64()})).combine_chunks()


@dataclass(frozen=True)
class Launches:
    """Launches by day, member and repository, as arrays that are quick to select from.

    Attributes
    ----------
    members : tuple of str
        The members.
    day : ndarray of int32
        Days from 1970-01-01, sorted.
    member : ndarray of int16
        Place in `members`.
    repository : ndarray of int32
        Row of the directory of repositories.
    n : ndarray of int32
        Launches.
    """

    members: tuple[str, ...]
    day: Ints
    member: Ints
    repository: Ints
    n: Ints


def launches(rollups: Rollups, known: pa.Table, span: Span) -> Launches:
    """Launches by day, member and row of the directory `known`."""
    rows = daily(rollups, span, ["federation", "provider", "repository"])
    members = array_of(rows["federation"])
    return Launches(
        tuple(members.dictionary.to_pylist()),
        rows["date"].cast(pa.int32()).to_numpy(),
        members.indices.to_numpy().astype(np.int16),
        locate(rows, known).astype(np.int32),
        rows["n"].to_numpy().astype(np.int32),
    )


def locate(rows: pa.Table, known: pa.Table, name: str = "repository") -> Ints:
    """Find the row of `known` that each row of `repositories.DAILY` is about, -1 for none.

    Both have a ``provider`` and a column `name`, which in `rows` are dictionaries.
    """
    provider, text = (array_of(rows[column]) for column in ("provider", name))
    width = max(len(provider.dictionary), 1)
    place = text.indices.fill_null(len(text.dictionary)).to_numpy().astype(np.int64)
    number = place * width + provider.indices.to_numpy()
    seen = np.zeros((len(text.dictionary) + 1) * width, np.bool_)
    seen[number] = True
    found = np.flatnonzero(seen)
    texts = pa.array(found // width, mask=found // width == len(text.dictionary))
    wanted = identities(
        provider.dictionary.take(pa.array(found % width)), text.dictionary.take(texts)
    )
    there = identities(*(known[column].cast(pa.string()) for column in ("provider", name)))
    at = np.zeros(len(seen), np.int64)
    at[found] = pc.index_in(wanted, there).fill_null(-1).to_numpy()
    return at[number]
