"""One BinderHub's archive: its address, its day files, and the members behind its hosts.

The archive of mybinder.org is the default; a small TOML file describes another BinderHub's.
"""

import os
import re
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Annotated

import msgspec

from daskbinder.model.federation import Federation
from daskbinder.model.toml import read_toml
from daskbinder.redaction import address_of

_DATE = "{date}"


@dataclass(frozen=True)
class Instance:
    """One BinderHub's archive.

    Attributes
    ----------
    archive : str
        URL or folder of its day files.
    files : str
        Name of a day file, with ``{date}`` for the UTC date; ``.gz`` may follow.
    first : datetime.date
        Its first day. A site has no listing, so each day from then on is requested by name.
    origin : str
        Origin of events without one: those before schema version 3.
    federation : Federation or None
        Its hosts and members; None for the packaged table.
    name : str
        Its name on pages.

    Raises
    ------
    ValueError
        When `files` is not the name of a day file.
    """

    archive: str = field(default="gs://binder-events-archive", repr=False)
    files: str = "events-{date}.jsonl"
    first: date = date(2018, 11, 3)
    origin: str = "gke.mybinder.org"
    federation: Federation | None = None
    name: str = "mybinder.org"

    def __post_init__(self) -> None:
        _, placeholder, after = self.files.partition(_DATE)
        if not placeholder or _DATE in after or "/" in self.files or after.endswith(".gz"):
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
            A TOML file. Its keys are the attributes of an instance; ``archive`` is required.
            ``federation`` names a table beside the file; without one, each host is a member of its
            own. Without a ``name``, the archive's address is used, unless it is a local folder:
            that path is private.

        Raises
        ------
        InputError
            When the file cannot be read or used.
        """
        path = Path(path)
        facts = read_toml(path, _Description, "the instance")
        address = address_of(facts.archive) if "://" in facts.archive else "a local archive"
        members = facts.federation
        return cls(
            archive=facts.archive,
            files=facts.files,
            first=facts.first,
            origin=facts.origin,
            federation=Federation.load(path.parent / members) if members else Federation(()),
            name=facts.name or address,
        )

    def date_of(self, name: str) -> date | None:
        """Date in the name of a day file; None if `name` is not exactly one."""
        match = self._name.fullmatch(name)
        try:
            return date.fromisoformat(match[1]) if match else None
        except ValueError:
            return None

    def name_of(self, day: date) -> str:
        """Name of the day file of a date."""
        return self.files.replace(_DATE, day.isoformat())

    @cached_property
    def _name(self) -> re.Pattern[str]:
        before, _, after = (re.escape(part) for part in self.files.partition(_DATE))
        return re.compile(rf"{before}([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}){after}(?:\.gz)?")


MYBINDER = Instance()
"""The archive of mybinder.org."""


class _Description(msgspec.Struct, forbid_unknown_fields=True):
    """The keys of a file that describes an archive."""

    archive: Annotated[str, msgspec.Meta(min_length=1)]
    files: str = MYBINDER.files
    first: date = MYBINDER.first
    origin: str = MYBINDER.origin
    federation: str | None = None
    name: str = ""

    def __post_init__(self) -> None:
        Instance(files=self.files)
