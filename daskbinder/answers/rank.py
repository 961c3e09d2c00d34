"""How often what was launched: sums, ranks and shares, out of the tables that a run left.

Tables in, tables out, without pandas, so that a command can answer at once: `daskbinder.answers`
has the same as DataFrames.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.answers import select
from daskbinder.answers.select import Span
from daskbinder.counting.codes import Ints, distinct, one_of_each, sums
from daskbinder.counting.repositories import array_of, identities, ranking
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
"""What launches are told apart by, and the columns that name it."""

PERIODS: dict[str, tuple[str, Callable[[pa.Array], pa.Array] | None]] = {
    "month": ("{}-{:02}", pc.month),
    "quarter": ("{}Q{}", pc.quarter),
    "year": ("{}", None),
}
"""Parts of a year: how each is written, and which of its year it is."""

_REQUEST_ORIGIN_SINCE = 6


def top(rollups: Rollups, by: str, span: Span, n: int | None) -> pa.Table:
    """Rank what `BY` has by launches on some days: its names, ``n``, and ``share`` of all."""
    if by not in BY:
        raise InputError(f"launches are counted by {', '.join(BY)}, not by {by!r}")
    if by == "member":
        totals = _members(rollups, span)
    elif by == "origin":
        totals = select.fields(rollups, span, ["origin"])
    elif span == select.whole(rollups) and by == "repo":
        totals = select.directory(rollups).select([*BY[by], "n"])
        totals = totals.set_column(0, "provider", totals["provider"].cast(pa.string()))
    elif span == select.whole(rollups) and by != "ref":
        totals = by_names(select.directory(rollups), BY[by])
    else:
        totals = by_names(select.daily(rollups, span, BY[by]), BY[by])
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


def by_names(rows: pa.Table, names: Sequence[str]) -> pa.Table:
    """Add launches up by names, those that mean one thing together."""
    return _spelled(select.summed(rows, names))


def _spelled(totals: pa.Table) -> pa.Table:
    """Bring together what is one but for its spelling, under that with the most launches.

    The columns of `totals` are a provider, a name, perhaps a ref, and ``n``. Of equals the first in
    the alphabet stands.
    """
    names = totals.column_names[:-1]
    if len(names) == 1:
        return totals
    code = {name: array_of(totals[name]).dictionary_encode("encode") for name in names}
    texts, width = code[names[1]].dictionary, len(code[names[1]].dictionary)
    same = identities(totals["provider"], totals[names[1]]).dictionary_encode("encode")
    n, spelling = totals["n"].to_numpy(), _places(same) * width + _places(code[names[1]])
    found, place = distinct(spelling, len(same.dictionary) * width)
    same_again = np.bincount(found // width)[found // width] > 1
    alphabet = np.zeros(len(found), np.int64)  # told where there is something to choose from
    alphabet[same_again] = ranking(texts.take(pa.array(found[same_again] % width)))
    order = np.lexsort([alphabet, -sums(place, n, len(found)), found // width])
    chosen = np.flatnonzero(np.diff(found[order] // width, prepend=-1))
    shown = texts.take(pa.array(found[order][chosen] % width))

    group, groups = _places(same), len(same.dictionary)
    for name in names[2:]:
        width = len(code[name].dictionary)
        group, groups = group * width + _places(code[name]), groups * width
    found, place = distinct(group, groups)
    first = one_of_each(place, len(found))
    columns = {name: totals[name].take(pa.array(first)) for name in names}
    columns[names[1]] = shown.take(pa.array(_places(same)[first]))
    return pa.table(columns | {"n": sums(place, n, len(found))})


def _places(column: pa.DictionaryArray) -> Ints:
    return column.indices.to_numpy().astype(np.int64)


def _members(rollups: Rollups, span: Span) -> pa.Table:
    rows = select.by_member(rollups)
    columns = {"date": rows["timestamp"].cast(pa.date32()), "member": rows["federation"]}
    rows = select.summed(select.within(pa.table(columns | {"n": rows["n"]}), span), ["member"])
    return rows.filter(pc.greater(rows["n"], 0))


def by_provider(rollups: Rollups) -> pa.Table:
    """Count launches by ``date``, ``member`` and ``provider``."""
    names = ["date", "federation", "provider"]
    files = select.months(rollups, select.whole(rollups))
    chosen = select.from_each(
        rollups, files, lambda rows: select.summed(rows, names), [*names, "n"]
    )
    rows = pa.concat_tables(chosen)
    return rows.rename_columns(["date", "member", "provider", "n"]).sort_by(
        [("date", "ascending"), ("member", "ascending"), ("provider", "ascending")]
    )


def scripts(rollups: Rollups) -> pa.Table:
    """Rank what asked for launches, where the version of their schema tells."""
    totals = select.fields(rollups, select.whole(rollups), ["request_origin", "version"])
    version = totals["version"].cast(pa.int64())
    totals = totals.filter(pc.greater_equal(version, _REQUEST_ORIGIN_SINCE))
    return ranked(select.summed(totals, ["request_origin"]), None)


def members(rollups: Rollups, by: str) -> pa.Table:
    """Count launches of the members by period: ``period, member, n, share, change``."""
    if by not in PERIODS:
        raise InputError(f"members are counted by {', '.join(PERIODS)}, not by {by!r}")
    rows = select.by_member(rollups)
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
class Repository(Generic[Table]):
    """What there is to know of one repository.

    Attributes
    ----------
    provider, name : str
        Who holds it, and its name as most often written.
    org : str or None
        Whose it is; None for a spec that fits nothing its provider knows.
    total : int
        Launches.
    share : float
        Part of all launches.
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
    """Find the repository that a name or an address means."""
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
