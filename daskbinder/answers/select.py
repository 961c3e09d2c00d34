"""The rows of a data set that an answer needs: which days, which files, which rows of them.

Only looks things up, never reads the archive, and does not import pandas, so that commands start
fast.
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

from daskbinder.counting.codes import Ints, as_array
from daskbinder.counting.directory import identities
from daskbinder.counting.repositories import DAILY
from daskbinder.dataset.layout import DIRECTORY, REPOSITORIES, federation_name
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


def all_days(rollups: Rollups) -> Span:
    """All days that may have launches: those of the files, and one more on each side."""
    day = timedelta(days=1)
    return Span(rollups.contents.start - day, rollups.contents.end + day)


def read_span(
    rollups: Rollups,
    start: date | str | None = None,
    end: date | str | None = None,
    last: int | str | None = None,
) -> Span:
    """Parse the first and last day, or the number of `last` days (``"90d"``) up to the end."""
    everything = all_days(rollups)
    first, final = read_date(start), read_date(end)
    if last is not None:
        match = _LAST.fullmatch(str(last).strip())
        if match is None or first is not None:
            raise InputError(f"the last days are written 90d, without a start; not {last!r}")
        final = final or rollups.contents.end
        first = max(final, everything.first) - timedelta(days=int(match[1]) - 1)
    span = Span(first or everything.first, final or everything.last)
    if span.first > span.last:
        raise InputError(f"the range ends ({span.last}) before it starts ({span.first})")
    return span


def directory(rollups: Rollups) -> pa.Table:
    """All repositories, the most launched first, as rows of `repositories.DIRECTORY`."""
    return rollups.table(DIRECTORY)


def federation_series(rollups: Rollups) -> pa.Table:
    """Launches of each member, in the coarsest grain of the data set."""
    return rollups.table(federation_name(rollups.contents.options.grains[-1]))


def daily(rollups: Rollups, span: Span, names: Sequence[str] = DAILY.names) -> pa.Table:
    """Launches by date, member, repository and ref: columns of `repositories.DAILY`."""
    columns = list(dict.fromkeys(["date", *names, "n"]))
    files = month_files(rollups, span)
    tables = from_files(rollups, files, lambda rows: within(rows, span), columns)
    rows = pa.concat_tables([DAILY.empty_table().select(columns), *tables])
    return rows.unify_dictionaries().combine_chunks()


def from_files(
    rollups: Rollups,
    files: Sequence[str],
    select: Callable[[pa.Table], T],
    columns: list[str] | None = None,
) -> list[T]:
    """Select from the table of each file, a few at a time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: select(rollups.table(name, columns)), files))


def month_files(rollups: Rollups, span: Span) -> list[str]:
    """Names of the files about repositories for the months of a span."""
    first, last = (
        f"{REPOSITORIES}/{day.isoformat()[:7]}.parquet" for day in (span.first, span.last)
    )
    return sorted(name for name in rollups.contents.files if first <= name <= last)


def within(rows: pa.Table, span: Span) -> pa.Table:
    """Only the rows whose date is in a span."""
    day = rows["date"].cast(pa.int32()).to_numpy()
    inside = (day_number(span.first) <= day) & (day <= day_number(span.last))
    return rows if inside.all() else rows.filter(pa.array(inside))


def from_rollups(rollups: Rollups, span: Span, names: Sequence[str]) -> pa.Table:
    """Add up launches by columns that only the rollups have."""

    def select(rows: pa.Table) -> pa.Table:
        dates = rows["timestamp"].cast(pa.date32())
        return summed(within(rows.select([*names, "n"]).append_column("date", dates), span), names)

    options = rollups.contents.options
    kind = next(kind for kind in reversed(KINDS) if kind in options.windows)
    grain = next(grain for grain in reversed(GRAINS) if grain in options.grains)
    tables = from_files(rollups, rollups.names(kind, by=grain), select)
    return summed(pa.concat_tables(tables), names)


def rows_about(rollups: Rollups, row: dict[str, object]) -> pa.Table:
    """Rows of `repositories.DAILY` about the repository in a row of the directory."""
    wanted = identities(pa.array([row["provider"]]), pa.array([row["repository"]]))[0]
    provider = pa.scalar(row["provider"], pa.string())

    def select(rows: pa.Table) -> pa.Table:
        names = as_array(rows["repository"])
        providers = pa.repeat(provider, len(names.dictionary))
        is_wanted = pc.equal(identities(providers, names.dictionary), wanted)
        rows = rows.filter(is_wanted.take(names.indices))
        return rows.filter(pc.equal(rows["provider"], provider)).cast(_DECODED)

    span = Span(row["first_seen"], row["last_seen"])  # type: ignore[arg-type]
    return pa.concat_tables(from_files(rollups, month_files(rollups, span), select))


_DECODED = pa.schema(
    field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in DAILY
)


def summed(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Add up launches by some columns, which become plain text."""
    groups = rows.select([*names, "n"]).group_by(list(names), use_threads=False)
    totals = groups.aggregate([("n", "sum")]).rename_columns([*names, "n"])
    types = {name: pa.date32() if name == "date" else pa.string() for name in names}
    return totals.cast(pa.schema(types | {"n": pa.int64()})).combine_chunks()


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
        Index in `members`.
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


def launches(rollups: Rollups) -> Launches:
    """Launches by day, member and row of the directory."""
    rows = daily(rollups, all_days(rollups), ["federation", "provider", "repository"])
    members = as_array(rows["federation"])
    return Launches(
        tuple(members.dictionary.to_pylist()),
        rows["date"].cast(pa.int32()).to_numpy(),
        members.indices.to_numpy().astype(np.int16),
        row_numbers(rows, directory(rollups)).astype(np.int32),
        rows["n"].to_numpy().astype(np.int32),
    )


def row_numbers(rows: pa.Table, known: pa.Table, name: str = "repository") -> Ints:
    """Find the row of `known` that means the same name as each of `rows`, -1 for none.

    Both tables have a ``provider`` and a column `name`. Only distinct pairs of these are compared.
    """
    provider, text = (as_array(rows[column]).dictionary_encode() for column in ("provider", name))
    width, null = max(len(provider.dictionary), 1), len(text.dictionary)
    text_code = text.indices.fill_null(null).to_numpy().astype(np.int64)
    pair = text_code * width + provider.indices.to_numpy()
    occurs = np.zeros((null + 1) * width, np.bool_)
    occurs[pair] = True
    pairs = np.flatnonzero(occurs)
    text_codes, provider_codes = np.divmod(pairs, width)
    wanted = identities(
        provider.dictionary.take(pa.array(provider_codes)),
        text.dictionary.take(pa.array(text_codes, mask=text_codes == null)),
    )
    there = identities(*(known[column].cast(pa.string()) for column in ("provider", name)))
    row = np.zeros(len(occurs), np.int64)
    row[pairs] = pc.index_in(wanted, there).fill_null(-1).to_numpy()
    return row[pair]
