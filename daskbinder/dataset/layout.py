"""Names of the files below DEST: made and recognised only here.

A name read from a file (a manifest, a receipt) is untrusted. Only names that this module can make
are ever written, read or removed.
"""

import re
from typing import NamedTuple

from daskbinder.model.windows import GRAINS, KINDS, Window, labels_of

MANIFEST = "manifest.json"
DAYS = "days.parquet"
REJECTS = "rejects.parquet"
REPOSITORIES = "repositories/by-day"
DIRECTORY = "repositories/all.parquet"
ACTIVE = "repositories/active.parquet"

JOURNAL = ".daskbinder"
"""Folder of a run in progress; not part of the data set."""
LOCK = f"{JOURNAL}/lock"
PENDING = f"{JOURNAL}/target.json"
RECEIPTS = f"{JOURNAL}/done"
EARLIER_DAYS = f"{JOURNAL}/{DAYS}"
"""Copy of the day table that a run replaces."""


class _Series(NamedTuple):
    """A folder with one file per window, named `before`, the window's label, then `after`."""

    kind: str
    labels: str
    before: str
    after: str


def rollup_name(window: Window, grain: str) -> str:
    """Name of a window's rollup."""
    return f"rollups/{window.kind}/by-{grain}/{window.label}.parquet"


def notebook_name(window: Window, grain: str) -> str:
    """Name of a window's rollup in the older notebook's layout."""
    label = f"{window.kind}-by-{grain}-{window.label}"
    return f"{window.kind}/by-{grain}/{label}.feather"


def repositories_name(month: Window) -> str:
    """Name of the file with a month's launches by repository."""
    return f"{REPOSITORIES}/{month.label}.parquet"


def federation_name(grain: str) -> str:
    """Name of a federation series."""
    return f"federation/by-{grain}.parquet"


_SINGLE = {DAYS, REJECTS, DIRECTORY, ACTIVE, *map(federation_name, GRAINS)}
_BY_WINDOW = {
    REPOSITORIES: _Series("monthly", "iso", "", ".parquet"),
    **{
        f"rollups/{kind}/by-{grain}": _Series(kind, "iso", "", ".parquet")
        for kind in KINDS
        for grain in GRAINS
    },
    **{
        f"{kind}/by-{grain}": _Series(kind, "notebook", f"{kind}-by-{grain}-", ".feather")
        for kind in KINDS
        for grain in GRAINS
    },
}
_RECEIPT = re.compile(r"[a-zA-Z0-9.-]+-[0-9a-f]{16}", re.ASCII)

FOLDERS = ("", "federation", "repositories", *_BY_WINDOW, JOURNAL, RECEIPTS)
"""Every folder that a run writes to, relative to DEST; the empty name is DEST itself."""


def is_output(name: str) -> bool:
    """Whether this is the name of a file that a data set may have, other than the manifest.

    Examples
    --------
    >>> is_output("rollups/weekly/by-day/2021-W09.parquet")
    True
    >>> is_output("rollups/weekly/by-day/2021-W54.parquet"), is_output("../days.parquet")
    (False, False)
    """
    folder, _, file = name.rpartition("/")
    series = _BY_WINDOW.get(folder)
    if series is None:
        return name in _SINGLE
    label = file.removeprefix(series.before).removesuffix(series.after)
    year = label[:4]
    return (
        file == f"{series.before}{label}{series.after}"
        and year.isascii()
        and year.isdecimal()
        and label in labels_of(series.kind, int(year), labels=series.labels)
    )


def receipt_name(key: str) -> str:
    """Name of a task's receipt."""
    return f"{RECEIPTS}/{key}.json"


def receipt_key(name: str) -> str | None:
    """Key of the task whose receipt has this file name; None if it is not a receipt's name."""
    key = name.removesuffix(".json")
    return key if name == f"{key}.json" and _RECEIPT.fullmatch(key) else None
