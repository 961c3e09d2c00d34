"""The columns of each table of a data set, by file name."""

from typing import NamedTuple

import pyarrow as pa

from daskbinder.counting import directory, members, repositories, rollup_tables
from daskbinder.dataset.layout import (
    ACTIVE,
    DAYS,
    DIRECTORY,
    REJECTS,
    REPOSITORIES,
    federation_name,
)
from daskbinder.model.launch import COLUMNS

DAY_TABLE = pa.schema(
    {
        "date": pa.date32(),
        "name": pa.string(),
        "bytes": pa.int64(),
        "fingerprint": pa.string(),
        "lines": pa.int64(),
        "accepted": pa.int64(),
        "rejected": pa.int64(),
        "indexed": pa.int64(),
        "hours_present": pa.int8(),
        "provisional": pa.bool_(),
    }
)
REJECTED_LINES = pa.schema(
    {
        "name": pa.string(),
        "line": pa.int64(),
        "reason": pa.string(),
        "text": pa.string(),
        "n": pa.int64(),
    }
)


_MAY_BE_NULL = {
    *(name for name, column in COLUMNS.items() if column.nullable),
    *("org", "indexed", "mean_7d"),
}
"""Columns that may hold nulls."""


class Kind(NamedTuple):
    """A kind of table: its name in messages, and its columns."""

    what: str
    schema: pa.Schema

    def fits(self, schema: pa.Schema, table: pa.Table) -> bool:
        """Whether a file of this schema, read as `table` in full or in part, fits this kind."""
        return (
            schema.names == self.schema.names
            and schema.types == self.schema.types
            and not any(table[name].null_count for name in {*table.column_names} - _MAY_BE_NULL)
        )


_ALONE = {
    DAYS: Kind("a day table", DAY_TABLE),
    REJECTS: Kind("a table of rejected lines", REJECTED_LINES),
    DIRECTORY: Kind("a directory of repositories", directory.DIRECTORY),
    ACTIVE: Kind("a table of active repositories", directory.ACTIVE),
    federation_name("hour"): Kind("a federation series", members.HOURLY),
    federation_name("day"): Kind("a federation series", members.DAILY),
}


def kind_of(name: str) -> Kind | None:
    """Kind of the table in a file of this name; None if its columns depend on what was counted.

    Examples
    --------
    >>> kind_of("rollups/weekly/by-day/2021-W09.parquet").what
    'a rollup'
    """
    if name.startswith("rollups/"):
        return Kind("a rollup", rollup_tables.SCHEMA)
    if name.startswith(f"{REPOSITORIES}/"):
        return Kind("a table of repositories", repositories.DAILY)
    return _ALONE.get(name.rpartition("/")[2] if name.startswith(".") else name)
