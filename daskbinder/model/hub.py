"""One BinderHub's archive: where it is, what its day files are called, who is behind its hosts.

The archive of mybinder.org is the one known by default; that of another BinderHub is described by a
small file. Every fact that is of one archive and not of all is here or in a table named here.
"""

import os
import re
import tomllib
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from daskbinder.errors import InputError
from daskbinder.model.federation import Federation
from daskbinder.redaction import address_of

_DATE = "{date}"
_KEYS = {
    "name": str,
    "archive": str,
    "files": str,
    "first": date,
    "origin": str,
    "federation": str,
}


@dataclass(frozen=True)
class Instance:
    """What tells one archive from another.

    Attributes
    ----------
    archive : str
        The address of its day files.
    files : str
        The name of a day file, ``{date}`` standing for the UTC date; it may also end in ``.gz``.
    first : datetime.date
        Its first day. A site, which lists nothing, is asked for each day from then on.
    origin : str
        The origin of events that have none: those before version 3 of their schema.
    federation : Federation or None
        Who stands behind a host; None for the packaged table.
    name : str
        What pages call it.

    Raises
    ------
    ValueError
        When day files cannot be called so.
    """

    archive: str = field(default="gs://binder-events-archive", repr=False)
    files: str = "events-{date}.jsonl"
    first: date = date(2018, 11, 3)
    origin: str = "gke.mybinder.org"
    federation: Federation | None = None
    name: str = "mybinder.org"

    def __post_init__(self) -> None:
        _, found, after = self.files.partition(_DATE)
        if not found or _DATE in after or "/" in self.files or after.endswith(".gz"):
            raise ValueError(
                f"'files' is {self.files!r}, expected the name of a day file such as "
                "'events-{date}.jsonl': {date} once, no folder, without .gz"
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Instance":
        """Read the description of an archive.

        Parameters
        ----------
        path : str or Path
            A TOML file. Its keys are the attributes of an instance, of which ``archive`` has to be
            there; ``federation`` is the name of a table beside the file, without which each host is
            a member of its own. Without a ``name`` the archive's address stands for it, unless that
            is a folder's: where it lies on somebody's disk is nobody's business.

        Raises
        ------
        InputError
            When the file cannot be read or used.
        """
        path = Path(path)
        try:
            return cls(**_facts(path, tomllib.loads(path.read_text(encoding="utf-8-sig"))))
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InputError(f"{path} is not TOML: {error}") from error
        except ValueError as error:
            raise InputError(f"{path} does not describe an archive: {error}") from error

    def date_of(self, name: str) -> date | None:
        """Date of a day file, or None if the name is not exactly one of a day file."""
        found = self._name.fullmatch(name)
        try:
            return date.fromisoformat(found[1]) if found else None
        except ValueError:
            return None

    def name_of(self, day: date) -> str:
        """Name of the day file of a date."""
        return self.files.replace(_DATE, day.isoformat())

    @cached_property
    def _name(self) -> re.Pattern[str]:
        before, _, after = (re.escape(part) for part in self.files.partition(_DATE))
        return re.compile(rf"{before}([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}){after}(?:\.gz)?")


def _facts(path: Path, table: dict[str, Any]) -> dict[str, Any]:
    """Read the keys of a parsed file; a ValueError says which one is wrong."""
    for key, value in table.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key {key!r}; the keys are {', '.join(_KEYS)}")
        if type(value) is not _KEYS[key]:
            wanted = "text in quotes" if _KEYS[key] is str else "a date like 2021-03-04, unquoted"
            raise ValueError(f"{key!r} is {value!r}, expected {wanted}")
    archive = table.get("archive")
    if not archive:
        raise ValueError("'archive', the address of the day files, is missing")
    name = table.get("name") or (address_of(archive) if "://" in archive else "a local archive")
    members = table.get("federation")
    federation = Federation(()) if members is None else Federation.load(path.parent / members)
    return {**table, "federation": federation, "name": name}


MYBINDER = Instance()
"""The archive of mybinder.org."""
