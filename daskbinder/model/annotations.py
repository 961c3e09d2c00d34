"""What to know before reading the series: gaps, breaks, days on which a number means another thing.

The facts are data, in `annotations.toml`; nothing here reads a launch.
"""

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from pathlib import Path

from daskbinder.errors import InputError

__all__ = ["Annotation", "annotations"]

_HOME = "jupyterhub/mybinder.org-deploy"
_ISSUE = re.compile(r"(?:\b([\w.-]+/[\w.-]+))?#(\d+)")


@dataclass(frozen=True)
class Annotation:
    """Something to know about some days of the series.

    Attributes
    ----------
    first, last : datetime.date or None
        The days from and to which it holds, both included; None where open. One is given.
    member : str or None
        The member of the federation it is about, None for all.
    what : str
        What happened, in one sentence.
    source : str
        Where this is known from.
    """

    first: date | None
    last: date | None
    member: str | None
    what: str
    source: str = ""

    @property
    def when(self) -> str:
        """The days, to be read."""
        if self.first is None:
            return f"until {self.last}"
        if self.last is None:
            return f"from {self.first}"
        return f"{self.first}" if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def links(self) -> dict[str, str]:
        """Addresses of the issues that the source names, by their names there."""
        return {
            found[0]: f"https://github.com/{found[1] or _HOME}/issues/{found[2]}"
            for found in _ISSUE.finditer(self.source)
        }

    def touches(self, first: date, last: date, members: Collection[str] | None = None) -> bool:
        """Whether it is about a day from `first` to `last`, and about one of the members."""
        within = (self.first or date.min) <= last and (self.last or date.max) >= first
        return within and (members is None or self.member is None or self.member in members)


@cache
def annotations(path: str | Path | None = None) -> tuple[Annotation, ...]:
    """Read a table of annotations.

    Parameters
    ----------
    path : str or Path, optional
        A TOML file of ``[[annotation]]`` tables with ``what``, at least one of ``from`` and ``to``
        (TOML dates), and optional ``member`` and ``source``. The packaged table by default.

    Returns
    -------
    tuple of Annotation
        In the order of the days from which they hold, else of those to which they do.

    Examples
    --------
    >>> annotations()[0].when
    '2019-06-06 to 2019-06-12'
    """
    file = files("daskbinder.model") / "annotations.toml" if path is None else Path(path)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        found = [_annotation(entry) for entry in table["annotation"]]
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot read the annotations {file}: {reason}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"the annotations {file} cannot be used: {error}") from error
    return tuple(sorted(found, key=lambda note: note.first or note.last or date.min))


def _annotation(entry: object) -> Annotation:
    if not isinstance(entry, dict):
        raise TypeError(f"an entry is a table, not {entry!r}")
    first, last = entry.get("from"), entry.get("to")
    days = [day for day in (first, last) if day is not None]
    texts = [entry.get("what", ""), entry.get("source", ""), entry.get("member", "")]
    if (
        not texts[0]
        or not days
        or any(type(day) is not date for day in days)
        or sorted(days) != days
        or not all(isinstance(text, str) for text in texts)
    ):
        raise ValueError(f"an entry needs 'what' and ordered dates, not {entry!r}")
    return Annotation(first, last, entry.get("member"), texts[0], texts[1])
