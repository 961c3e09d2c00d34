"""Where in a finished data set an answer stands: tables and arrays, from tables that a run left.

Everything here is a look-up: it reads files of the data set and never the archive. It knows no
pandas, so that a command can answer at once; `daskbinder.answers` has the same as DataFrames.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder import spec
from daskbinder.errors import InputError
from daskbinder.events import day_number
from daskbinder.repositories import DAILY, identities
from daskbinder.scan import Ints
from daskbinder.store import ACTIVE, DIRECTORY, REPOSITORIES, Rollups, federation_name

BY = {
    "repo": ("provider", "repository"),
    "org": ("provider", "org"),
    "provider": ("provider",),
    "member": ("member",),
    "origin": ("origin",),
    "ref": ("provider", "repository", "ref"),
}
"""What launches are told apart by, and the columns that name it."""

PERIODS = ("month", "quarter", "year")

_LAST = re.compile(r"(\d+)\s*(?:d|days?)?")


@dataclass(frozen=True)
class Span:
    """Days from one to another, both included."""

    first: date
    last: date

    @property
    def numbers(self) -> tuple[int, int]:
        """The two days, in days from 1970-01-01."""
        return day_number(self.first), day_number(self.last)


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
        The first and the last day; those of the data set by default.
    last : int or str, optional
        So many days (``"90d"``) to `end`, or to the last day there is a file of.
    """
    everything = whole(rollups)
    first, final = _date(start), _date(end)
    if last is not None:
        found = _LAST.fullmatch(str(last).strip())
        if found is None or not int(found[1]) or first is not None:
            raise InputError(f"the last days are given as 90d, and without a start; not {last!r}")
        final = final or date.fromisoformat(rollups.manifest["end"])
        first = final - timedelta(days=int(found[1]) - 1)
    span = Span(first or everything.first, final or everything.last)
    if span.first > span.last:
        raise InputError(f"the range ends ({span.last}) before it starts ({span.first})")
    return span


def _date(given: date | str | None) -> date | None:
    if given is None or isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise InputError(f"{given!r} is not a date; write it as YYYY-MM-DD") from error


# Tables of the data set ---------------------------------------------------------------------------


def daily(rollups: Rollups, span: Span | None = None) -> pa.Table:
    """Launches by date, member, repository and ref, as rows of `repositories.DAILY`."""
    span = span or whole(rollups)
    tables = [rollups.table(name) for name in _months(rollups, REPOSITORIES, span)]
    rows = pa.concat_tables([DAILY.empty_table(), *tables]).unify_dictionaries().combine_chunks()
    return _within(rows, span)


def _months(rollups: Rollups, folder: str, span: Span) -> list[str]:
    """Names of the files of a folder for the months that hold any of the days."""
    first, last = span.first.isoformat()[:7], span.last.isoformat()[:7]
    names = sorted(name for name in rollups.manifest["files"] if name.startswith(f"{folder}/"))
    return [name for name in names if first <= name[-15:-8] <= last]


def _within(rows: pa.Table, span: Span) -> pa.Table:
    day = rows["date"].cast(pa.int32()).to_numpy()
    first, last = span.numbers
    if len(day) and first <= day.min() and day.max() <= last:
        return rows
    return rows.filter(pa.array((first <= day) & (day <= last)))


def directory(rollups: Rollups) -> pa.Table:
    """All repositories, the most launched first, as rows of `repositories.DIRECTORY`."""
    return rollups.table(DIRECTORY)


def active(rollups: Rollups) -> pa.Table:
    """How many repositories were active when, as rows of `repositories.ACTIVE`."""
    return rollups.table(ACTIVE)


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


def launches(rollups: Rollups, known: pa.Table, span: Span | None = None) -> Launches:
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


def locate(rows: pa.Table, known: pa.Table) -> Ints:
    """Find the row of a directory that each row of `repositories.DAILY` is about."""
    provider, repository = (rows[name].combine_chunks() for name in ("provider", "repository"))
    number = repository.indices.to_numpy().astype(np.int64) * len(provider.dictionary)
    distinct, at = np.unique(number + provider.indices.to_numpy(), return_inverse=True)
    names, providers = np.divmod(distinct, max(len(provider.dictionary), 1))
    wanted = identities(
        provider.dictionary.take(pa.array(providers)), repository.dictionary.take(pa.array(names))
    )
    there = identities(known["provider"].cast(pa.string()), known["repository"])
    return pc.index_in(wanted, there).to_numpy(zero_copy_only=False)[at]


# Answers ------------------------------------------------------------------------------------------


def top(rollups: Rollups, by: str, span: Span, n: int | None) -> pa.Table:
    """Count launches of some days by what `BY` has, the most first; ``n`` and ``share`` of all."""
    if by not in BY:
        raise InputError(f"launches are counted by {', '.join(BY)}, not by {by!r}")
    if by == "member":
        totals = _members(rollups, span)
    elif by == "origin":
        totals = _origins(rollups, span, ["origin"])
    else:
        totals = _repositories(daily(rollups, span), by)
    return ranked(totals, n)


def ranked(totals: pa.Table, n: int | None) -> pa.Table:
    """The first `n` rows, those with the most launches; names decide among equals."""
    names = [name for name in totals.column_names if name != "n"]
    order = [("n", "descending"), *((name, "ascending") for name in names)]
    whole = pc.sum(totals["n"]).as_py() or 1
    rows = totals.sort_by(order).slice(0, n)
    return rows.append_column("share", pc.divide(pc.cast(rows["n"], pa.float64()), float(whole)))


def _repositories(rows: pa.Table, by: str) -> pa.Table:
    """Add rows of `repositories.DAILY` up by names, which are shown as most often written."""
    columns = BY[by]
    spelled = rows.group_by(list(columns)).aggregate([("n", "sum")]).combine_chunks()
    texts = {
        name: spelled[name].cast(pa.string()) if name in spelled.column_names else None
        for name in columns
    }
    same = texts | {"n": spelled["n_sum"]}
    if by == "provider":
        return pa.table(same)
    name = columns[1]
    key = spec.keys(texts["provider"], texts[name])
    keyed = pa.table(same | {"key": key})
    groups = ["provider", "key", *columns[2:]]
    spellings = keyed.group_by(["provider", "key", name]).aggregate([("n", "sum")])
    spellings = spellings.sort_by([("n_sum", "descending"), (name, "ascending")])
    first = _first(spellings, ["provider", "key"])
    totals = keyed.group_by(groups).aggregate([("n", "sum")]).rename_columns([*groups, "n"])
    shown = spellings.take(first).select(["provider", "key", name])
    place = pc.index_in(_joined(totals), _joined(shown))
    return totals.append_column(name, shown[name].take(place)).select([*columns, "n"])


def _joined(table: pa.Table) -> pa.Array:
    provider, key = table["provider"], pc.fill_null(table["key"], "\0")
    length = pc.cast(pc.binary_length(provider), pa.string())
    return pc.binary_join_element_wise(length, provider, key, " ").combine_chunks()


def _first(table: pa.Table, names: Sequence[str]) -> pa.Array:
    """Rows that are the first with their values."""
    codes = _joined(table).dictionary_encode().indices.to_numpy()
    _, first = np.unique(codes, return_index=True)
    return pa.array(first)


def _members(rollups: Rollups, span: Span) -> pa.Table:
    grain = rollups.manifest["options"]["grains"][-1]
    rows = rollups.table(federation_name(grain))
    columns = {
        "date": rows["timestamp"].cast(pa.date32()),
        "member": rows["federation"].cast(pa.string()),
        "n": rows["n"],
    }
    rows = _within(pa.table(columns), span).group_by(["member"]).aggregate([("n", "sum")])
    rows = rows.rename_columns(["member", "n"])
    return rows.filter(pc.greater(rows["n"], 0))


def _origins(rollups: Rollups, span: Span, names: Sequence[str]) -> pa.Table:
    """Add rollups up by fields that no other table has."""
    tables = []
    for name in _months(rollups, "rollups/monthly/by-day", span):
        rows = rollups.table(name)
        columns = {
            name: rows[name].cast(pa.string())
            if pa.types.is_dictionary(rows[name].type)
            else rows[name]
            for name in names
        }
        columns |= {"date": rows["timestamp"].cast(pa.date32()), "n": rows["n"]}
        tables.append(_within(pa.table(columns), span))
    rows = pa.concat_tables(tables).group_by(list(names)).aggregate([("n", "sum")])
    return rows.rename_columns([*names, "n"])


def scripts(rollups: Rollups) -> pa.Table:
    """Count launches by ``request_origin``, where the version of the schema has it."""
    totals = _origins(rollups, whole(rollups), ["request_origin", "version"])
    totals = totals.filter(pc.greater_equal(totals["version"], _REQUEST_ORIGIN_SINCE))
    totals = totals.group_by(["request_origin"]).aggregate([("n", "sum")])
    return ranked(totals.rename_columns(["request_origin", "n"]), None)


_REQUEST_ORIGIN_SINCE = 6


def members(rollups: Rollups, by: str) -> pa.Table:
    """Count launches of the federation members by period."""
    if by not in PERIODS:
        raise InputError(f"members are counted by {', '.join(PERIODS)}, not by {by!r}")
    grain = rollups.manifest["options"]["grains"][-1]
    rows = rollups.table(federation_name(grain))
    rows = rows.filter(pc.greater(rows["n"], 0))
    year = pc.year(rows["timestamp"]).to_numpy()
    part = {"month": pc.month, "quarter": pc.quarter, "year": lambda _: None}[by](rows["timestamp"])
    counted: dict[tuple[int, int, str], int] = {}
    parts = np.zeros(len(year), np.int64) if part is None else part.to_numpy()
    names = rows["federation"].cast(pa.string()).to_pylist()
    for key, n in zip(
        zip(year.tolist(), parts.tolist(), names, strict=True), rows["n"].to_pylist(), strict=True
    ):
        counted[key] = counted.get(key, 0) + n
    totals: dict[tuple[int, int], int] = {}
    for (one, two, _), n in counted.items():
        totals[one, two] = totals.get((one, two), 0) + n
    label = {"month": "{}-{:02}", "quarter": "{}Q{}", "year": "{}"}[by]
    found = []
    for (one, two, name), n in sorted(
        counted.items(), key=lambda item: (item[0][:2], -item[1], item[0][2])
    ):
        before = counted.get((one - 1, two, name))
        found.append(
            {
                "period": label.format(one, two),
                "member": name,
                "n": n,
                "share": n / totals[one, two],
                "change": None if not before else n / before - 1,
            }
        )
    types = {"period": pa.string(), "member": pa.string(), "n": pa.int64()}
    types |= {"share": pa.float64(), "change": pa.float64()}
    return pa.Table.from_pylist(found, pa.schema(types))


def find(known: pa.Table, text: str, provider: str | None = None) -> int:
    """Find the row of a directory that a name or an address means."""
    meant = spec.candidates(text)
    meant = [pair for pair in meant if provider is None or pair[0] == provider]
    if provider is not None:
        meant.append((provider, text))
    providers, names = (pa.array(column) for column in zip(*meant, strict=True))
    there = identities(known["provider"].cast(pa.string()), known["repository"])
    rows = pc.index_in(identities(providers, names), there).drop_null().to_pylist()
    if not rows:
        raise InputError(f"no launch of {text!r} is known; write owner/name, a DOI or a URL")
    return min(rows)


def rows_about(rollups: Rollups, found: dict[str, Any]) -> pa.Table:
    """Rows of `repositories.DAILY` about one row of the directory."""
    span = Span(found["first_seen"], found["last_seen"])
    rows = daily(rollups, span)
    provider, name = (pa.array([found[name]]) for name in ("provider", "repository"))
    key = spec.keys(provider, name)[0]
    texts = rows["repository"].combine_chunks()
    same = spec.keys(pa.repeat(found["provider"], len(texts.dictionary)), texts.dictionary)
    codes = np.flatnonzero(pc.equal(same, key).to_numpy(zero_copy_only=False))
    mask = np.isin(texts.indices.to_numpy(), codes)
    rows = rows.filter(pa.array(mask))
    return rows.filter(pc.equal(rows["provider"], found["provider"]))
