"""Calendar windows: which days fill a day, a week or a month, and what each is called.

Pure calendar work; knows no files and no launches.
"""

from calendar import monthrange
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date, timedelta
from functools import cache
from typing import NamedTuple

__all__ = ["GRAINS", "KINDS", "LABELS", "Window", "labels_of", "window_of", "windows_of"]


class _Kind(NamedTuple):
    """A family of windows: first and last day around a day, and labels of a last day."""

    bounds: Callable[[date], tuple[date, date]]
    iso: Callable[[date], str]
    notebook: Callable[[date], str]


def _day(day: date) -> tuple[date, date]:
    return date(day.year, day.month, day.day), date(day.year, day.month, day.day)


def _week(day: date) -> tuple[date, date]:
    monday = day.toordinal() - day.weekday()
    return date.fromordinal(monday), date.fromordinal(min(monday + 6, date.max.toordinal()))


def _month(day: date) -> tuple[date, date]:
    first = date(day.year, day.month, 1)
    return first, first.replace(day=monthrange(day.year, day.month)[1])


def _iso_week(day: date) -> str:
    year, week, _ = day.isocalendar()
    return f"{year:04}-W{week:02}"


def _sunday_week(day: date) -> str:
    return day.strftime("%Y-w%W")


def _year_month(day: date) -> str:
    return day.isoformat()[:7]


_FAMILY = {
    "daily": _Kind(_day, date.isoformat, date.isoformat),
    "weekly": _Kind(_week, _iso_week, _sunday_week),
    "monthly": _Kind(_month, _year_month, _year_month),
}

KINDS: tuple[str, ...] = tuple(_FAMILY)
GRAINS = ("hour", "day")
LABELS = ("iso", "notebook")


@dataclass(frozen=True, order=True)
class Window:
    """A day, a week from Monday to Sunday or a month of the calendar.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    first, last : datetime.date
        The days it runs from and to, both included; the calendar itself ends on 9999-12-31.
    label : str
        Its name, in either of the ways of `LABELS`.

    Raises
    ------
    ValueError
        When these do not describe one window.
    """

    kind: str
    first: date
    last: date
    label: str

    def __post_init__(self) -> None:
        family = _family(self.kind)
        first, last = family.bounds(self.first)
        if (self.first, self.last) != (first, last):
            raise ValueError(
                f"the {self.kind} window of {self.first} is {first} to {last},"
                f" not {self.first} to {self.last}"
            )
        if self.label not in (family.iso(last), family.notebook(last)):
            raise ValueError(
                f"the {self.kind} window of {first} is called {family.iso(last)},"
                f" not {self.label!r}"
            )

    def dates(self) -> list[date]:
        """Every day of the window, in order."""
        days = range(self.first.toordinal(), self.last.toordinal() + 1)
        return [date.fromordinal(day) for day in days]


def window_of(kind: str, day: date, *, labels: str = "iso") -> Window:
    """Find the one window of a kind that holds a day.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    day : datetime.date
        The day.
    labels : {"iso", "notebook"}
        Weeks are called ``2021-W09`` after ISO 8601, or as the older notebook calls them, by
        ``strftime("%Y-w%W")`` of their Sunday. Bounds and all other labels are the same.

    Returns
    -------
    Window

    Examples
    --------
    >>> from datetime import date
    >>> window_of("weekly", date(2021, 1, 3)).label
    '2020-W53'
    >>> window_of("monthly", date(2021, 2, 3)).last
    datetime.date(2021, 2, 28)
    """
    if labels not in LABELS:
        raise ValueError(f"labels are one of {', '.join(LABELS)}, not {labels!r}")
    family = _family(kind)
    first, last = family.bounds(day)
    label = family.notebook if labels == "notebook" else family.iso
    return Window(kind, first, last, label(last))


def windows_of(kind: str, days: Iterable[date], *, labels: str = "iso") -> list[Window]:
    """Find the windows of a kind that hold any of the days, each once, in order of time.

    Examples
    --------
    >>> from datetime import date
    >>> [one.label for one in windows_of("weekly", [date(2021, 1, 3), date(2021, 1, 4)])]
    ['2020-W53', '2021-W01']
    """
    found: list[Window] = []
    for day in days:
        if not found or not found[-1].first <= day <= found[-1].last:
            found.append(window_of(kind, day, labels=labels))
    return sorted(set(found))


@cache
def labels_of(kind: str, year: int, *, labels: str = "iso") -> frozenset[str]:
    """Labels of the windows of a kind that hold a day of a year; none if there is no such year.

    Examples
    --------
    >>> "2020-W53" in labels_of("weekly", 2020), "2021-W53" in labels_of("weekly", 2021)
    (True, False)
    """
    if not MINYEAR <= year <= MAXYEAR:
        return frozenset()
    found, day, last = set(), date(year, 1, 1), date(year, 12, 31)
    while True:
        window = window_of(kind, day, labels=labels)
        found.add(window.label)
        if window.last >= last:
            return frozenset(found)
        day = window.last + timedelta(days=1)


def _family(kind: str) -> _Kind:
    if kind not in _FAMILY:
        raise ValueError(f"windows are one of {', '.join(KINDS)}, not {kind!r}")
    return _FAMILY[kind]
