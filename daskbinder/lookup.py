"""Where in a finished data set an answer stands: tables and arrays, out of the files a run left.

Everything here is a look-up; the archive is never read. It knows no pandas, so that a command can
answer at once: `daskbinder.answers` has the same as DataFrames.
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

from daskbinder import spec
from daskbinder.days import read_date
from daskbinder.errors import InputError
from daskbinder.events import day_number
from daskbinder.repositories import DAILY, identities, ranking, sums
from daskbinder.rollup import distinct
from daskbinder.scan import Ints
from daskbinder.store import ACTIVE, DIRECTORY, REPOSITORIES, Rollups, federation_name
from daskbinder.windows import GRAINS, KINDS

T = TypeVar("T")

BY = {
    "repo": ("provider", "repository"),
    "org": ("provider", "org"),
    "provider": ("provider",),
    "member": ("member",),
    "origin": ("origin",),
    "ref": ("provider", "repository", "ref"),
}
"""What launches are told apart by, and the columns that name it."""

PERIODS: dict[str, tuple[str, Callable[[pa.Array], pa.Array] | None]] = {
    "month": ("{}-{:02}", pc.month),
    "quarter": ("{}Q{}", pc.quarter),
    "year": ("{}", None),
}
"""Parts of a year: how each is written, and which of its year it is."""

_LAST = re.compile(r"([1-9][0-9]{0,5})\s*(?:d|days?)?")
_REQUEST_ORIGIN_SINCE = 6


@dataclass(frozen=True)
class Span:
    """Days from one to another, both included."""

    first: date
    last: date


def whole(rollups: Rollups) -> Span:
    """All days on which a data set may hold launches."""
    start, end = (date.fromisoformat(rollups.manifest[name]) for name in ("start", "end"))
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
        final = final or date.fromisoformat(rollups.manifest["end"])
        first = max(final, everything.first) - timedelta(days=int(found[1]) - 1)
    span = Span(first or everything.first, final or everything.last)
    if span.first > span.last:
        raise InputError(f"the range ends ({span.last}) before it starts ({span.first})")
    return span


# Tables of the data set ---------------------------------------------------------------------------


def directory(rollups: Rollups) -> pa.Table:
    """All repositories, the most launched first, as rows of `repositories.DIRECTORY`."""
    return rollups.table(DIRECTORY)


def active(rollups: Rollups) -> pa.Table:
    """How many repositories were active when, as rows of `repositories.ACTIVE`."""
    return rollups.table(ACTIVE)


def daily(rollups: Rollups, span: Span) -> pa.Table:
    """Launches by date, member, repository and ref, as rows of `repositories.DAILY`."""
    tables = from_each(rollups, months(rollups, span), lambda rows: _within(rows, span))
    return pa.concat_tables([DAILY.empty_table(), *tables]).unify_dictionaries().combine_chunks()


def from_each(rollups: Rollups, names: Sequence[str], choose: Callable[[pa.Table], T]) -> list[T]:
    """Choose from the table of each of some files, a few at a time."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: choose(rollups.table(name)), names))


def months(rollups: Rollups, span: Span) -> list[str]:
    """Names of the files about repositories in the months of some days."""
    first, last = (
        f"{REPOSITORIES}/{day.isoformat()[:7]}.parquet" for day in (span.first, span.last)
    )
    return sorted(name for name in rollups.manifest["files"] if first <= name <= last)


def _within(rows: pa.Table, span: Span) -> pa.Table:
    """Only the rows of some days."""
    day = rows["date"].cast(pa.int32()).to_numpy()
    inside = (day_number(span.first) <= day) & (day <= day_number(span.last))
    return rows if inside.all() else rows.filter(pa.array(inside))


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
    rows = daily(rollups, span)
    members = rows["federation"].combine_chunks()
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
    provider, text = (rows[column].combine_chunks() for column in ("provider", name))
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


# Answers ------------------------------------------------------------------------------------------


def top(rollups: Rollups, by: str, span: Span, n: int | None) -> pa.Table:
    """Rank what `BY` has by launches on some days: its names, ``n``, and ``share`` of all."""
    if by not in BY:
        raise InputError(f"launches are counted by {', '.join(BY)}, not by {by!r}")
    if by == "member":
        totals = _members(rollups, span)
    elif by == "origin":
        totals = _fields(rollups, span, ["origin"])
    elif span == whole(rollups) and by == "repo":
        totals = directory(rollups).select([*BY[by], "n"])
        totals = totals.set_column(0, "provider", totals["provider"].cast(pa.string()))
    elif span == whole(rollups) and by != "ref":
        totals = by_names(directory(rollups), BY[by])
    else:
        totals = by_names(daily(rollups, span), BY[by])
    return ranked(totals, n)


def ranked(totals: pa.Table, n: int | None) -> pa.Table:
    """The first `n` rows, the most launches first and names in order; ``share`` of all."""
    names = [name for name in totals.column_names if name != "n"]
    all_of_them = pc.sum(totals["n"]).as_py() or 1
    if n is not None and n < len(totals):  # none of the first n has fewer launches than this
        least = np.partition(totals["n"].to_numpy(), len(totals) - n)[len(totals) - n]
        totals = totals.filter(pc.greater_equal(totals["n"], int(least)))
    order = [("n", "descending"), *((name, "ascending") for name in names)]
    rows = totals.sort_by(order).slice(0, n)
    share = pc.divide(rows["n"].cast(pa.float64()), float(all_of_them))
    return rows.append_column("share", share)


def _summed(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Add launches up by some columns, which become plain text."""
    found = rows.select([*names, "n"]).group_by(list(names), use_threads=False)
    found = found.aggregate([("n", "sum")]).rename_columns([*names, "n"])
    types = {name: pa.date32() if name == "date" else pa.string() for name in names}
    return found.cast(pa.schema(types | {"n": pa.int64()})).combine_chunks()


def by_names(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Add launches up by names, those that mean one thing together."""
    return _spelled(_summed(rows, names))


def _spelled(totals: pa.Table) -> pa.Table:
    """Bring together what is one but for its spelling, under that with the most launches.

    The columns of `totals` are a provider, a name, perhaps a ref, and ``n``. Of equals the first in
    the alphabet stands.
    """
    names = totals.column_names[:-1]
    if len(names) == 1:
        return totals
    code = {name: totals[name].combine_chunks().dictionary_encode("encode") for name in names}
    texts, width = code[names[1]].dictionary, len(code[names[1]].dictionary)
    same = identities(totals["provider"], totals[names[1]]).dictionary_encode("encode")
    n, spelling = totals["n"].to_numpy(), _places(same) * width + _places(code[names[1]])
    found, _, place = distinct(spelling, len(same.dictionary) * width)
    order = np.lexsort([ranking(texts)[found % width], -sums(place, n, len(found)), found // width])
    chosen = np.flatnonzero(np.diff(found[order] // width, prepend=-1))
    shown = texts.take(pa.array(found[order][chosen] % width))

    group, groups = _places(same), len(same.dictionary)
    for name in names[2:]:
        width = len(code[name].dictionary)
        group, groups = group * width + _places(code[name]), groups * width
    found, first, place = distinct(group, groups)
    columns = {name: totals[name].take(pa.array(first)) for name in names}
    columns[names[1]] = shown.take(pa.array(_places(same)[first]))
    return pa.table(columns | {"n": sums(place, n, len(found))})


def _places(column: pa.DictionaryArray) -> Ints:
    return column.indices.to_numpy().astype(np.int64)


def _members(rollups: Rollups, span: Span) -> pa.Table:
    rows = _by_member(rollups)
    columns = {"date": rows["timestamp"].cast(pa.date32()), "member": rows["federation"]}
    rows = _summed(_within(pa.table(columns | {"n": rows["n"]}), span), ["member"])
    return rows.filter(pc.greater(rows["n"], 0))


def _by_member(rollups: Rollups) -> pa.Table:
    """Read the coarser of the federation series there are."""
    return rollups.table(federation_name(rollups.manifest["options"]["grains"][-1]))


def _fields(rollups: Rollups, span: Span, names: Sequence[str]) -> pa.Table:
    """Add launches up by fields of theirs that only the rollups have."""

    def choose(rows: pa.Table) -> pa.Table:
        dates = rows["timestamp"].cast(pa.date32())
        rows = _within(rows.select([*names, "n"]).append_column("date", dates), span)
        return _summed(rows.drop_columns("date"), names)

    options = rollups.manifest["options"]
    kind = next(kind for kind in reversed(KINDS) if kind in options["windows"])
    grain = next(grain for grain in reversed(GRAINS) if grain in options["grains"])
    chosen = from_each(rollups, rollups.names(kind, by=grain), choose)
    return _summed(pa.concat_tables(chosen), names)


def by_provider(rollups: Rollups) -> pa.Table:
    """Count launches by ``date``, ``member`` and ``provider``."""
    names = ["date", "federation", "provider"]
    chosen = from_each(rollups, months(rollups, whole(rollups)), lambda rows: _summed(rows, names))
    rows = pa.concat_tables(chosen)
    return rows.rename_columns(["date", "member", "provider", "n"]).sort_by(
        [("date", "ascending"), ("member", "ascending"), ("provider", "ascending")]
    )


def scripts(rollups: Rollups) -> pa.Table:
    """Rank what asked for launches, where the version of their schema tells."""
    totals = _fields(rollups, whole(rollups), ["request_origin", "version"])
    version = totals["version"].cast(pa.int64())
    totals = totals.filter(pc.greater_equal(version, _REQUEST_ORIGIN_SINCE))
    return ranked(_summed(totals, ["request_origin"]), None)


def members(rollups: Rollups, by: str) -> pa.Table:
    """Count launches of the members by period: ``period, member, n, share, change``."""
    if by not in PERIODS:
        raise InputError(f"members are counted by {', '.join(PERIODS)}, not by {by!r}")
    rows = _by_member(rollups)
    label, part = PERIODS[by]
    year, time = pc.year(rows["timestamp"]), rows["timestamp"]
    rows = pa.table(
        {
            "year": year,
            "part": part(time) if part else year,
            "member": rows["federation"],
            "n": rows["n"],
        }
    )
    groups = rows.group_by(["year", "part", "member"], use_threads=False)
    counted = {
        (row["year"], row["part"] if part else None, row["member"]): row["n_sum"]
        for row in groups.aggregate([("n", "sum")]).to_pylist()
        if row["n_sum"]
    }
    totals: dict[tuple[int, int | None], int] = {}
    for (one, other, _), n in counted.items():
        totals[one, other] = totals.get((one, other), 0) + n
    found = []
    for (one, other, member), n in counted.items():
        before = counted.get((one - 1, other, member))
        found.append(
            {
                "period": label.format(one, other),
                "member": member,
                "n": n,
                "share": n / totals[one, other],
                "change": n / before - 1 if before else None,
            }
        )
    found.sort(key=lambda row: (row["period"], -row["n"], row["member"]))
    return pa.Table.from_pylist(found, _MEMBERS)


_MEMBERS = pa.schema(
    {
        "period": pa.string(),
        "member": pa.string(),
        "n": pa.int64(),
        "share": pa.float64(),
        "change": pa.float64(),
    }
)


@dataclass(frozen=True)
class Found:
    """A repository that was found.

    Attributes
    ----------
    provider, name, org, total, share, rank, days, first_seen, last_seen
        As in `daskbinder.answers.Repository`.
    series, by_member, by_ref : pyarrow.Table
        Its launches by ``date``, by ``member`` and by ``ref``.
    """

    provider: str
    name: str
    org: str | None
    total: int
    share: float
    rank: int
    days: int
    first_seen: date
    last_seen: date
    series: pa.Table
    by_member: pa.Table
    by_ref: pa.Table


def repository(rollups: Rollups, text: str, provider: str | None = None) -> Found:
    """Find the repository that a name or an address means."""
    known = directory(rollups)
    row = known.slice(_row_of(known, text, provider), 1).to_pylist()[0]
    rows = _rows_about(rollups, row)
    return Found(
        row["provider"],
        row["repository"],
        row["org"],
        row["n"],
        row["n"] / pc.sum(known["n"]).as_py(),
        1 + pc.sum(pc.greater(known["n"], row["n"])).as_py(),
        row["days"],
        row["first_seen"],
        row["last_seen"],
        _summed(rows, ["date"]).sort_by("date"),
        ranked(_summed(rows.rename_columns({"federation": "member"}), ["member"]), None),
        ranked(_summed(rows, ["ref"]), None),
    )


def _row_of(known: pa.Table, text: str, provider: str | None) -> int:
    """Find the most launched row of the directory that a text may mean."""
    meant = [pair for pair in spec.candidates(text) if provider in (None, pair[0])]
    if provider is not None:
        meant.append((provider, text))
    columns = (pa.array(column, pa.string()) for column in zip(*meant, strict=True))
    there = identities(known["provider"].cast(pa.string()), known["repository"])
    rows = pc.index_in(identities(*columns), there).drop_null().to_pylist()
    if not rows:
        raise InputError(f"{text!r} was never launched; give owner/name, a DOI or a URL")
    return int(min(rows))


def _rows_about(rollups: Rollups, row: dict[str, object]) -> pa.Table:
    """Rows of `repositories.DAILY` about a row of the directory."""
    wanted = identities(pa.array([row["provider"]]), pa.array([row["repository"]]))[0]
    provider = pa.scalar(row["provider"], pa.string())

    def choose(rows: pa.Table) -> pa.Table:
        names = rows["repository"].combine_chunks()
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
