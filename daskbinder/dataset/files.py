"""The tables of a data set, one file each: write, read and verify them."""

import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from io import BytesIO

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from daskbinder.dataset.columns import kind_of
from daskbinder.dataset.manifest import FileEntry
from daskbinder.errors import InputError
from daskbinder.model.launch import COLUMNS
from daskbinder.storage.location import Location

_BATCH = 1 << 20
_SHORT = {"timestamp", *(name for name, column in COLUMNS.items() if column.repeats)}


def write_table(location: Location, name: str, table: pa.Table) -> FileEntry:
    """Write a table as one file, Parquet or Feather by its name; return its manifest entry.

    Only the timestamp gets statistics, and columns that dictionary encoding already makes small are
    not compressed: both save time at almost no cost in size.
    """
    sink = pa.BufferOutputStream()
    if name.endswith(".feather"):
        pyarrow.feather.write_feather(table, sink)
    else:
        pq.write_table(
            table,
            sink,
            compression=_codecs(*table.column_names),
            write_statistics=["timestamp"],
            write_batch_size=_BATCH,
        )
    data = sink.getvalue()
    location.write(name, data)
    n = int(table["n"].to_numpy().sum()) if "n" in table.column_names else None
    return FileEntry(data.size, len(table), n, zlib.crc32(data))


@cache
def _codecs(*columns: str) -> dict[str, str]:
    return {column: "zstd" for column in columns if column not in _SHORT}


def write_tables(
    location: Location, tables: Iterable[tuple[str, pa.Table]]
) -> dict[str, FileEntry]:
    """Write tables under their names, concurrently if over a network."""

    def write(named: tuple[str, pa.Table]) -> tuple[str, FileEntry]:
        return named[0], write_table(location, *named)

    if location.is_local:
        return dict(map(write, tables))
    with ThreadPoolExecutor(location.concurrency) as pool:
        return dict(pool.map(write, tables))


def read_table(location: Location, name: str, columns: list[str] | None = None) -> pa.Table:
    """Read a table that `write_table` wrote, or some columns of it.

    Raises
    ------
    InputError
        When the file is not such a table.
    """
    return parse_table_at(location, name, location.read(name), columns)


def parse_table_at(
    location: Location, name: str, data: bytes, columns: list[str] | None = None
) -> pa.Table:
    """Like `parse_table`, but errors name the location and the remedy."""
    try:
        return parse_table(name, data, columns)
    except InputError as error:
        raise InputError(f"{location}/{error}; run again with --full") from error


def parse_table(name: str, data: bytes, columns: list[str] | None = None) -> pa.Table:
    """Read a table, or some columns of it, from the bytes of its file.

    Raises
    ------
    InputError
        When it is not a table, or lacks the columns expected in a file of this name.
    """
    try:
        if name.endswith(".feather"):
            return pyarrow.feather.read_table(BytesIO(data), columns)
        file = pq.ParquetFile(pa.BufferReader(data))
        table = file.read(columns, use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} cannot be read: {error}") from error
    kind = kind_of(name)
    if kind is not None and not kind.fits(file.schema_arrow, table):
        raise InputError(f"{name} is not {kind.what}")
    return table


def is_intact(location: Location, name: str, entry: FileEntry) -> bool:
    """Whether a file exists with the size and checksum of its manifest entry."""
    try:
        return matches(location.read(name), entry)
    except FileNotFoundError:
        return False


def matches(data: bytes, entry: FileEntry) -> bool:
    """Whether bytes have the size and checksum of a manifest entry."""
    return len(data) == entry.bytes and zlib.crc32(data) == entry.crc32
