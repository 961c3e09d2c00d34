"""Known gaps and breaks in the series, and days on which a number means something different.

The facts are in `annotations.toml`; this module reads no launches.
"""

import re
from collections.abc import Collection
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path

import msgspec

from daskbinder.model.toml import read_toml

__all__ = ["Annotation", "annotations"]

_HOME = "jupyterhub/mybinder.org-deploy"
_ISSUE = re.compile(r"(?:\b([\w.-]+/[\w.-]+))?#(\d+)")


class Annotation(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    rename={"first": "from", "last": "to"},
):
    """A note on some days of the series.

    Attributes
    ----------
    first, last : datetime.date or None
        First and last day it applies to; None where open. At least one is given.
    member : str or None
        The federation member it is about, None for all.
    what : str
        What happened, in one sentence.
    source : str
        Where the information comes from.
    lost : bool
        Whether launches of these days happened but are not in the archive, so that a series of
        them has a gap. Both ends are given then.
    """

    first: date | None = None
    last: date | None = None
    member: str | None = None
    what: str = ""
    source: str = ""
    lost: bool = False

    def __post_init__(self) -> None:
        if not self.what:
            raise ValueError("'what' is missing")
        if self.first is None and self.last is None:
            raise ValueError("'from' or 'to' is missing")
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"'from' {self.first} is after 'to' {self.last}")
        if self.lost and not (self.first and self.last):
            raise ValueError("'lost' needs both 'from' and 'to'")

    @property
    def when(self) -> str:
        """The days, in words."""
        if self.first is None:
            return f"until {self.last}"
        if self.last is None:
            return f"from {self.first}"
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def links(self) -> dict[str, str]:
        """URLs of the issues named in the source, keyed by those names."""
        return {
            issue[0]: f"https://github.com/{issue[1] or _HOME}/issues/{issue[2]}"
            for issue in _ISSUE.finditer(self.source)
        }

    def touches(self, first: date, last: date, members: Collection[str] | None = None) -> bool:
        """Whether it concerns a day from `first` to `last` and one of the members."""
        within = (self.first or date.min) <= last and (self.last or date.max) >= first
        return within and (members is None or self.member is None or self.member in members)


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    annotation: list[Annotation]


@cache
def annotations(path: str | Path | None = None) -> tuple[Annotation, ...]:
    """Read a table of annotations.

    Parameters
    ----------
    path : str or Path, optional
        A TOML file of ``[[annotation]]`` tables with ``what``, at least one of ``from`` and ``to``
        (TOML dates), and optional ``member``, ``source`` and ``lost``. The packaged table by
        default.

    Returns
    -------
    tuple of Annotation
        Sorted by first day, or by last day where there is no first.

    Raises
    ------
    InputError
        When the file cannot be read or used.

    Examples
    --------
    >>> annotations()[0].when
    '2019-06-06 to 2019-06-12'
    """
    file = files("daskbinder.model") / "annotations.toml" if path is None else Path(path)
    table = read_toml(file, _Table, "the annotations")
    return tuple(sorted(table.annotation, key=lambda note: note.first or note.last or date.min))
