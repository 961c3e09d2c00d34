"""Sums, ranks and shares of launches, from the tables of a data set.

Tables in, tables out, and no pandas, so that commands start fast; `daskbinder.answers` returns the
same as DataFrames.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.answers import select
from daskbinder.answers.select import Span
from daskbinder.counting.directory import identities
from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model import specs
from daskbinder.redaction import without_secrets

Table = TypeVar("Table")

BY = {
    "repo": ("provider", "repository"),
    "org": ("provider", "org"),
    "provider": ("provider",),
    "member": ("member",),
    "origin": ("origin",),
    "ref": ("provider", "repository", "ref"),
}
"""Ranking dimensions, and the columns of each."""

PERIODS: dict[str, tuple[str, Callable[[pa.Array], pa.Array]]] = {
    "month": ("{}-{:02}", pc.month),
    "quarter": ("{}Q{}", pc.quarter),
    "year": ("{}", lambda time: pa.nulls(len(time), pa.int64())),
}
"""Periods: how each is written, and which part of its year a time falls in."""

_REQUEST_ORIGIN_SINCE = 6


def top(rollups: Rollups, by: str, span: Span, n: int | None) -> pa.Table:
    """Rank a dimension of `BY` by launches in a span: its columns, ``n``, and ``share`` of all."""
    if by not in BY:
        raise InputError(f"launches are counted by {', '.join(BY)}, not by {by!r}")
    is_all = span == select.all_days(rollups)
    if by == "member":
        totals = _members(rollups, span)
    elif by == "origin":
        totals = select.from_rollups(rollups, span, ["origin"])
    elif is_all and by == "repo":
        totals = select.directory(rollups).select([*BY[by], "n"])
        totals = totals.set_column(0, "provider", totals["provider"].cast(pa.string()))
    elif is_all and by != "ref":
        totals = by_names(select.directory(rollups), BY[by])
    else:
        totals = by_names(select.daily(rollups, span, BY[by]), BY[by])
    return ranked(totals, n)


def ranked(totals: pa.Table, n: int | None) -> pa.Table:
    """The first `n` rows, the most launches first, then by name; with ``share`` of all launches."""
    names = [name for name in totals.column_names if name != "n"]
    launches = pc.sum(totals["n"]).as_py() or 1
    if n is not None and n < len(totals):  # sort only those that have enough launches
        least = np.partition(totals["n"].to_numpy(), len(totals) - n)[len(totals) - n]
        totals = totals.filter(pc.greater_equal(totals["n"], int(least)))
    order = [("n", "descending"), *((name, "ascending") for name in names)]
    rows = totals.sort_by(order).slice(0, n)
    share = pc.divide(rows["n"].cast(pa.float64()), float(launches))
    return rows.append_column("share", share)


def by_names(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Add up launches by provider and optionally name and ref; spellings of a name are merged."""
    totals = select.summed(rows, names)
    return _merge_spellings(totals, *names[1:]) if len(names) > 1 else totals


def _merge_spellings(totals: pa.Table, name: str, *others: str) -> pa.Table:
    """Add up rows whose names mean the same, under the spelling with the most launches.

    Of spellings with equal launches, the first in the alphabet is kept.
    """
    identity = identities(totals["provider"], totals[name]).dictionary_encode("encode").indices
    is_shared = pa.array((np.bincount(identity) > 1)[identity.to_numpy()])
    rows = totals.append_column("identity", identity).filter(is_shared)
    spellings = rows.group_by(["identity", name], use_threads=False).aggregate([("n", "sum")])
    spellings = spellings.sort_by(
        [("identity", "ascending"), ("n_sum", "descending"), (name, "ascending")]
    )
    chosen = spellings.group_by("identity", use_threads=False).aggregate([(name, "first")])
    spelling = chosen[f"{name}_first"].take(pc.index_in(rows["identity"], chosen["identity"]))
    rows = rows.set_column(rows.column_names.index(name), name, spelling)
    merged = select.summed(rows, ["provider", name, *others])
    return pa.concat_tables([totals.filter(pc.invert(is_shared)), merged])


def _members(rollups: Rollups, span: Span) -> pa.Table:
    rows = select.federation_series(rollups)
    columns = {"date": rows["timestamp"].cast(pa.date32()), "member": rows["federation"]}
    rows = select.summed(select.within(pa.table(columns | {"n": rows["n"]}), span), ["member"])
    return rows.filter(pc.greater(rows["n"], 0))


def by_provider(rollups: Rollups) -> pa.Table:
    """Count launches by ``date``, ``member`` and ``provider``."""
    names = ["date", "federation", "provider"]
    files = select.month_files(rollups, select.all_days(rollups))
    tables = select.from_files(
        rollups, files, lambda rows: select.summed(rows, names), [*names, "n"]
    )
    rows = pa.concat_tables(tables).rename_columns(["date", "member", "provider", "n"])
    return rows.sort_by([(name, "ascending") for name in ("date", "member", "provider")])


def scripts(rollups: Rollups) -> pa.Table:
    """Rank the sites that asked for launches, of the schema versions that record them."""
    span = select.all_days(rollups)
    totals = select.from_rollups(rollups, span, ["request_origin", "version"])
    version = totals["version"].cast(pa.int64())
    totals = totals.filter(pc.greater_equal(version, _REQUEST_ORIGIN_SINCE))
    return ranked(select.summed(totals, ["request_origin"]), None)


def members(rollups: Rollups, by: str) -> pa.Table:
    """Count launches of the members by period: ``period, member, n, share, change``."""
    if by not in PERIODS:
        raise InputError(f"members are counted by {', '.join(PERIODS)}, not by {by!r}")
    label, part_of_year = PERIODS[by]
    rows = select.federation_series(rollups)
    time = rows["timestamp"]
    keys = {"year": pc.year(time), "part": part_of_year(time), "member": rows["federation"]}
    groups = pa.table(keys | {"n": rows["n"]}).group_by([*keys], use_threads=False)
    counts = {
        (row["year"], row["part"], row["member"]): row["n_sum"]
        for row in groups.aggregate([("n", "sum")]).to_pylist()
        if row["n_sum"]
    }
    totals: Counter[tuple[int, int | None]] = Counter()
    for (year, part, _), n in counts.items():
        totals[year, part] += n
    found = []
    for (year, part, member), n in counts.items():
        before = counts.get((year - 1, part, member))
        change = n / before - 1 if before else None
        row = label.format(year, part), member, n, n / totals[year, part], change
        found.append(dict(zip(_MEMBERS.names, row, strict=True)))
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
class Repository(Generic[Table]):
    """What is known of one repository.

    Attributes
    ----------
    provider, name : str
        Its provider, and its name as most often written.
    org : str or None
        Its owner; None for a spec that is not in the form of its provider.
    total : int
        Launches.
    share : float
        Its share of all launches.
    rank : int
        1 for the most launched; those with equal launches share a rank.
    days : int
        Days with launches.
    first_seen, last_seen : datetime.date
        The first and the last of them.
    series : table
        ``date`` and ``n``: each day with launches.
    by_member, by_ref : table
        ``member`` or ``ref`` (None where none was asked for), ``n`` and ``share``, the most first.
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
    series: Table
    by_member: Table
    by_ref: Table


def repository(rollups: Rollups, text: str, provider: str | None = None) -> Repository[pa.Table]:
    """Find the repository that a name or a URL means."""
    known = select.directory(rollups)
    row = known.slice(_row_of(known, text, provider), 1).to_pylist()[0]
    rows = select.rows_about(rollups, row)
    return Repository(
        row["provider"],
        row["repository"],
        row["org"],
        row["n"],
        row["n"] / pc.sum(known["n"]).as_py(),
        1 + pc.sum(pc.greater(known["n"], row["n"])).as_py(),
        row["days"],
        row["first_seen"],
        row["last_seen"],
        select.summed(rows, ["date"]).sort_by("date"),
        ranked(select.summed(rows.rename_columns({"federation": "member"}), ["member"]), None),
        ranked(select.summed(rows, ["ref"]), None),
    )


def _row_of(known: pa.Table, text: str, provider: str | None) -> int:
    """Find the most launched row of the directory that a text may mean."""
    meant = [pair for pair in specs.candidates(text) if provider in (None, pair[0])]
    if provider is not None:
        meant.append((provider, without_secrets(text)))
    columns = (pa.array(column, pa.string()) for column in zip(*meant, strict=True))
    there = identities(known["provider"].cast(pa.string()), known["repository"])
    rows = pc.index_in(identities(*columns), there).drop_null().to_pylist()
    if not rows:
        text = without_secrets(text)
        raise InputError(f"{text!r} was never launched; give owner/name, a DOI or a URL")
    return int(min(rows))
