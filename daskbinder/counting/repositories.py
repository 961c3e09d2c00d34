"""Launches of each repository and ref by day, under the names that specs gave them.

Counts and tables in, tables out; no files, no Dask. Names that mean one repository are merged
only in `daskbinder.counting.directory`.
"""

from collections.abc import Collection

import numpy as np
import pyarrow as pa

from daskbinder.counting.codes import (
    Column,
    Ints,
    dates,
    decode,
    distinct,
    distinct_rows,
    encode_sorted,
    sum_groups,
)
from daskbinder.counting.counts import Counts
from daskbinder.counting.members import find_members
from daskbinder.model import specs
from daskbinder.model.federation import Federation

_TEXT = pa.dictionary(pa.int32(), pa.string())
_TARGET = ("provider", "repository", "ref", "org")

DAILY = pa.schema(
    [
        pa.field("date", pa.date32(), nullable=False),
        pa.field("federation", _TEXT, nullable=False),
        pa.field("provider", _TEXT, nullable=False),
        pa.field("repository", _TEXT, nullable=False),
        pa.field("org", _TEXT),
        pa.field("ref", _TEXT),
        pa.field("n", pa.int64(), nullable=False),
    ]
)
"""Columns of the launches of a month by day; ``org`` is null if the spec cannot be parsed."""


def count_repositories(counts: Counts, federation: Federation) -> pa.Table:
    """Add up counts by date, federation member, repository and ref, as rows of `DAILY`."""
    members, member = find_members(counts, federation)
    used, key = distinct(counts.key)
    (provider, providers), (version, versions), (spec, texts) = (
        counts.keys.column(name) for name in ("provider", "version", "spec")
    )
    # for specs, only versions before and since Gists differ
    version = np.minimum(versions.to_numpy().take(version[used]), specs.GIST_SINCE)
    (provider, version, spec), target = distinct_rows([provider[used], version, spec[used]])
    targets = specs.resolve(
        providers.take(pa.array(provider)), texts.take(pa.array(spec)), pa.array(version)
    )
    federation_column = pa.DictionaryArray.from_arrays(
        pa.array(member, pa.int32()), pa.array(members, pa.string())
    )
    return _lay_out(counts.day, federation_column, targets, target[key], counts.n)


def arrange(rows: pa.Table) -> pa.Table:
    """Sort rows of `DAILY`, nulls last, and add up those that agree in all but their launches.

    The same launches give the same table, however they were cut into rows; dictionaries hold no
    unused value.
    """
    day, n = rows["date"].cast(pa.int32()).to_numpy(), rows["n"].to_numpy()
    return _lay_out(day, rows["federation"], rows, np.arange(len(rows)), n)


def _lay_out(day: Ints, federation: Column, targets: pa.Table, target: Ints, n: Ints) -> pa.Table:
    """Lay rows out, each with a day, a member, the index of a row of `targets`, and launches."""
    member, members = encode_sorted(federation)
    codes, values = zip(*(encode_sorted(targets[name]) for name in _TARGET), strict=True)
    distinct_codes, same = distinct_rows(codes)
    (day, member, target), row = distinct_rows([day, member, same[target]])
    columns = {
        "date": dates(day),
        "federation": decode(member, members),
        "n": sum_groups(row, n, len(day)),
    }
    for name, of_target, of_column in zip(_TARGET, distinct_codes, values, strict=True):
        columns[name] = decode(of_target[target], of_column)
    return pa.table([columns[name] for name in DAILY.names], schema=DAILY)


def without(rows: pa.Table, days: Collection[int]) -> pa.Table:
    """Only the rows of `DAILY` for days other than these."""
    day = rows["date"].cast(pa.int32()).to_numpy()
    return rows.filter(pa.array(~np.isin(day, list(days))))
