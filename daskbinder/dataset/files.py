"""Where results lie, how a file of them is written, and how they are read back.

Knows the layout below DEST; never counts anything.
"""

import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather
import pyarrow.parquet as pq

from daskbinder.dataset.columns import kind_of
from daskbinder.dataset.layout import DAYS, MANIFEST, REJECTS, federation_name
from daskbinder.dataset.manifest import read_manifest
from daskbinder.errors import InputError
from daskbinder.model.hub import MYBINDER
from daskbinder.model.launch import COLUMNS
from daskbinder.model.windows import GRAINS, KINDS
from daskbinder.storage.location import Location

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

_BATCH = 1 << 20
_SHORT = {"timestamp", *(name for name, column in COLUMNS.items() if column.repeats)}


@dataclass(frozen=True)
class Written:
    """A file that was written.

    Attributes
    ----------
    name : str
        Its name below DEST.
    bytes : int
        Its size.
    rows : int
        Its rows.
    n : int or None
        Launches in it, None where it has no such column.
    crc32 : int
        CRC-32 of its bytes.
    secret : int or None
        Launches in it by specs that hold a password, a user or a token; None where it has no specs.
    """

    name: str
    bytes: int
    rows: int
    n: int | None
    crc32: int
    secret: int | None = None


def write_table(location: Location, name: str, table: pa.Table) -> Written:
    """Write a table as one whole file, Parquet or Feather by its name.

    Statistics are kept for the timestamp alone, and columns that are short once they are dictionary
    codes are not compressed: both save time and cost next to nothing.
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
    n = pc.sum(table["n"]).as_py() or 0 if "n" in table.column_names else None
    return Written(name, data.size, len(table), n, zlib.crc32(data))


@cache
def _codecs(*columns: str) -> dict[str, str]:
    return {column: "zstd" for column in columns if column not in _SHORT}


def read_table(location: Location, name: str, columns: list[str] | None = None) -> pa.Table:
    """Read a table that `write_table` wrote, or some columns of it.

    Raises
    ------
    InputError
        When it is none.
    """
    return _parse_at(location, name, location.read(name), columns)


def _parse_at(location: Location, name: str, data: bytes, columns: list[str] | None) -> pa.Table:
    try:
        return parse_table(name, data, columns)
    except InputError as error:
        raise InputError(f"{location}/{error}; run again with --full") from error


def parse_table(name: str, data: bytes, columns: list[str] | None = None) -> pa.Table:
    """Read a table, or some columns of it, from the bytes of its file.

    Raises
    ------
    InputError
        When it is no table, or one of other columns than a file of this name has.
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


def is_whole(location: Location, name: str, entry: Mapping[str, Any]) -> bool:
    """Whether a file is the one its entry in the manifest speaks of."""
    try:
        data = location.read(name)
    except FileNotFoundError:
        return False
    return _is_entry(data, entry)


def _is_entry(data: bytes, entry: Mapping[str, Any]) -> bool:
    return len(data) == entry["bytes"] and zlib.crc32(data) == entry["crc32"]


def write_tables(location: Location, tables: Iterable[tuple[str, pa.Table]]) -> list[Written]:
    """Write tables under their names, many at a time if each has far to go."""
    if location.is_local:
        return [write_table(location, name, table) for name, table in tables]
    with ThreadPoolExecutor(location.concurrency) as pool:
        return list(pool.map(lambda named: write_table(location, *named), tables))


def describe(written: Written) -> dict[str, Any]:
    """Entry of a file in the manifest."""
    left_out = {"name"} if written.secret is not None else {"name", "secret"}
    return {key: value for key, value in vars(written).items() if key not in left_out}


def secret_launches(manifest: Mapping[str, Any]) -> int:
    """Launches in the rollups by specs that hold a password, a user or a token.

    The windows of a kind, by hour or by day, hold every launch once.
    """
    found: Counter[str] = Counter()
    for name, entry in manifest["files"].items():
        if isinstance(entry, dict) and isinstance(entry.get("secret"), int):
            found[name.rpartition("/")[0]] += entry["secret"]
    return max(found.values(), default=0)


@dataclass(frozen=True)
class Rollups:
    """A finished data set.

    Attributes
    ----------
    location : Location
        Where it lies.
    manifest : dict
        What the run that made it left: instance, source, options, totals, files, incomplete
        windows and missing days.
    """

    location: Location
    manifest: dict[str, Any]

    def names(self, window: str, *, by: str) -> list[str]:
        """Names of the rollup files of a kind of window, in order of time."""
        if window not in KINDS or by not in GRAINS:
            raise InputError(f"there are rollups {KINDS} by {GRAINS}, not {window!r} by {by!r}")
        folders = f"rollups/{window}/by-{by}/", f"{window}/by-{by}/"
        names = sorted(name for name in self.manifest["files"] if name.startswith(folders))
        if not names:
            raise InputError(f"{self.location} has no {window} rollups by {by}")
        return names

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """One file of the data set, or some columns of it, as an Arrow table.

        Raises
        ------
        InputError
            When the file is not the one the manifest names.
        """
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise InputError(f"{self.location} has no {name}")
        try:
            data = self.location.read(name)
        except FileNotFoundError:
            data = b""
        if not _is_entry(data, entry):
            raise InputError(f"{self.location}/{name} is not the file of the last run; run again")
        return _parse_at(self.location, name, data, columns)

    def load(self, window: str, *, by: str) -> "pd.DataFrame":
        """Load all rollups of a kind of window.

        Parameters
        ----------
        window : str
            ``"daily"``, ``"weekly"`` or ``"monthly"``.
        by : str
            ``"hour"`` or ``"day"``.

        Returns
        -------
        pandas.DataFrame
            The rows of all windows, text as categoricals, ``build_token`` as pandas' ``boolean``,
            which has room for what is not known. Weeks and months tile the archive, so no
            launch comes twice.
        """
        with ThreadPoolExecutor() as pool:
            tables = list(pool.map(self.table, self.names(window, by=by)))
        return _frame(pa.concat_tables(tables).unify_dictionaries().combine_chunks())

    def dask(self, window: str, *, by: str) -> "dd.DataFrame":
        """Like `load`, as a lazy Dask DataFrame with a partition a window."""
        import dask.dataframe as dd

        names = self.names(window, by=by)
        meta = self._frame(names[0]).iloc[:0]
        for column in meta.select_dtypes("category"):
            meta[column] = meta[column].cat.remove_unused_categories().cat.as_unordered()
        from dask.dataframe.utils import clear_known_categories

        return dd.from_map(self._frame, names, meta=clear_known_categories(meta))

    def _frame(self, name: str) -> "pd.DataFrame":
        return _frame(self.table(name))

    def federation(self, by: str = "day", *, wide: bool = False) -> "pd.DataFrame":
        """Load a federation series.

        Parameters
        ----------
        by : str
            ``"hour"`` or ``"day"``.
        wide : bool
            One column of launches a member, with the timestamp as index.

        Returns
        -------
        pandas.DataFrame
            Long by default: ``timestamp``, ``federation``, ``n`` and, by day, ``mean_7d``.
        """
        if by not in GRAINS:
            raise InputError(f"the federation series come by {GRAINS}, not by {by!r}")
        frame = self.table(federation_name(by)).to_pandas()
        if wide:
            return frame.pivot(index="timestamp", columns="federation", values="n")
        return frame

    @property
    def instance(self) -> str:
        """Name of the BinderHub whose launches these are, a text from a file."""
        return str(self.manifest.get("instance", MYBINDER.name))

    @property
    def days(self) -> "pd.DataFrame":
        """The day table: a row a file."""
        return self.table(DAYS).to_pandas()

    @property
    def rejects(self) -> "pd.DataFrame":
        """The rejected lines."""
        return self.table(REJECTS).to_pandas()

    @property
    def missing(self) -> list[date]:
        """Dates between the first and the last day file that have none."""
        return [date.fromisoformat(text) for text in self.manifest["missing"]]


def _frame(table: pa.Table) -> "pd.DataFrame":
    """Make a frame; of truth values with nulls pandas makes objects by itself, and Dask text."""
    import pandas as pd

    return table.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)


def open_rollups(dest: str, *, storage_options: Mapping[str, Any] | None = None) -> Rollups:
    """Open what a run left.

    Parameters
    ----------
    dest : str
        The folder or URL given to the run.
    storage_options : mapping, optional
        Arguments of its file system, as fsspec takes them.

    Raises
    ------
    InputError
        When there is no finished data set.

    Examples
    --------
    >>> import daskbinder as db
    >>> rollups = db.open("rollups")
    >>> weeks = rollups.load("weekly", by="day")
    >>> int(weeks["n"].sum()) == rollups.manifest["totals"]["accepted"]
    True
    >>> list(rollups.federation("day", wide=True).columns[:2])
    ['binderhub', 'gesis']
    """
    return open_place(Location.at(dest, storage_options))


def open_place(location: Location) -> Rollups:
    """Open what a run left at a place, as `open_rollups` does."""
    manifest = read_manifest(location)
    if manifest is None:
        raise InputError(
            f"{location} holds no finished data set: it has no {MANIFEST}; run into it first"
        )
    return Rollups(location, manifest)
