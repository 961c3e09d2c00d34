"""A finished data set for users: its tables as Arrow, pandas or Dask."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from daskbinder.dataset.files import matches, parse_table_at
from daskbinder.dataset.layout import DAYS, MANIFEST, REJECTS, federation_name
from daskbinder.dataset.manifest import Manifest, read_manifest
from daskbinder.errors import InputError
from daskbinder.model.hub import MYBINDER
from daskbinder.model.windows import GRAINS, KINDS
from daskbinder.storage.location import Location

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd


@dataclass(frozen=True)
class Rollups:
    """A finished data set.

    Attributes
    ----------
    location : Location
        Where it is.
    contents : Manifest
        Its manifest; `manifest` is the same as a dict.
    """

    location: Location
    contents: Manifest

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """The manifest: instance, source, options, totals, files, incomplete windows and more."""
        return self.contents.as_dict()

    def names(self, window: str, *, by: str) -> list[str]:
        """Names of the rollup files of a kind of window, in chronological order."""
        if window not in KINDS or by not in GRAINS:
            raise InputError(f"there are rollups {KINDS} by {GRAINS}, not {window!r} by {by!r}")
        folders = f"rollups/{window}/by-{by}/", f"{window}/by-{by}/"
        names = sorted(name for name in self.contents.files if name.startswith(folders))
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
        entry = self.contents.files.get(name)
        if entry is None:
            raise InputError(f"{self.location} has no {name}")
        try:
            data = self.location.read(name)
        except FileNotFoundError:
            data = b""
        if not matches(data, entry):
            raise InputError(f"{self.location}/{name} is not the file of the last run; run again")
        return parse_table_at(self.location, name, data, columns)

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
            The rows of all windows, text as categoricals, ``build_token`` as pandas' nullable
            ``boolean``. Windows of a kind do not overlap, so no launch appears twice.
        """
        with ThreadPoolExecutor() as pool:
            tables = list(pool.map(self.table, self.names(window, by=by)))
        return _frame(pa.concat_tables(tables).unify_dictionaries().combine_chunks())

    def dask(self, window: str, *, by: str) -> "dd.DataFrame":
        """Like `load`, but as a lazy Dask DataFrame with one partition per window."""
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
            One column of launches per member, with the timestamp as index.

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
        """Name of the BinderHub whose launches these are; untrusted text from the manifest."""
        return self.contents.instance or MYBINDER.name

    @property
    def days(self) -> "pd.DataFrame":
        """The day table, one row per day file."""
        return self.table(DAYS).to_pandas()

    @property
    def rejects(self) -> "pd.DataFrame":
        """The rejected lines."""
        return self.table(REJECTS).to_pandas()

    @property
    def missing(self) -> list[date]:
        """Dates between the first and the last day file that have no file."""
        return list(self.contents.missing)


def _frame(table: pa.Table) -> "pd.DataFrame":
    """Make a DataFrame with nullable booleans, which pandas would convert to objects."""
    import pandas as pd

    return table.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)


def open_rollups(dest: str, *, storage_options: Mapping[str, Any] | None = None) -> Rollups:
    """Open a finished data set.

    Parameters
    ----------
    dest : str
        The folder or URL given to the run.
    storage_options : mapping, optional
        fsspec options for its file system.

    Returns
    -------
    Rollups

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
    return open_at(Location.at(dest, storage_options))


def open_at(location: Location) -> Rollups:
    """Open the finished data set at a location, as `open_rollups` does."""
    manifest = read_manifest(location)
    if manifest is None:
        raise InputError(
            f"{location} holds no finished data set: it has no {MANIFEST}; run into it first"
        )
    return Rollups(location, manifest)
