"""Calendar windows: days, weeks and months, their bounds and their labels."""

from calendar import monthrange
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, date
from functools import cache
from typing import NamedTuple

from daskbinder.model.dates import DateSet

__all__ = ["GRAINS", "KINDS", "LABELS", "Window", "labels_of", "window_of", "windows_of"]


class _Kind(NamedTuple):
    """A kind of window: its bounds around a day, and its label from its last day."""

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
    """A day, a week from Monday to Sunday or a calendar month.

    `first` and `last` are its bounds, both included; the calendar itself ends on 9999-12-31. Raises
    ValueError if bounds and label do not belong to one window of this `kind`.
    """

    kind: str
    first: date
    last: date
    label: str

    def __post_init__(self) -> None:
        rules = _kind(self.kind)
        first, last = rules.bounds(self.first)
        if (self.first, self.last) != (first, last):
            raise ValueError(
                f"the {self.kind} window of {self.first} is {first} to {last},"
                f" not {self.first} to {self.last}"
            )
        if self.label not in (rules.iso(last), rules.notebook(last)):
            raise ValueError(
                f"the {self.kind} window of {first} is called {rules.iso(last)}, not {self.label!r}"
            )

    def dates(self) -> list[date]:
        """Every day of the window, in order."""
        return list(DateSet(((self.first, self.last),)))


def window_of(kind: str, day: date, *, labels: str = "iso") -> Window:
    """Window of a kind that holds a day.

    Weeks are labelled ``2021-W09`` after ISO 8601 or, with `labels` ``"notebook"``, by
    ``strftime("%Y-w%W")`` of their Sunday. Bounds and all other labels are the same.

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
    rules = _kind(kind)
    first, last = rules.bounds(day)
    label = rules.notebook if labels == "notebook" else rules.iso
    return Window(kind, first, last, label(last))


def windows_of(kind: str, days: Iterable[date], *, labels: str = "iso") -> list[Window]:
    """Windows of a kind that hold any of the days, each once, in order.

    Examples
    --------
    >>> from datetime import date
    >>> [window.label for window in windows_of("weekly", [date(2021, 1, 3), date(2021, 1, 4)])]
    ['2020-W53', '2021-W01']
    """
    windows: list[Window] = []
    for day in days:
        if not windows or not windows[-1].first <= day <= windows[-1].last:
            windows.append(window_of(kind, day, labels=labels))
    return sorted(set(windows))


@cache
def labels_of(kind: str, year: int, *, labels: str = "iso") -> frozenset[str]:
    """Labels of the windows of a kind that overlap a year; empty if there is no such year.

    Examples
    --------
    >>> "2020-W53" in labels_of("weekly", 2020), "2021-W53" in labels_of("weekly", 2021)
    (True, False)
    """
    if not MINYEAR <= year <= MAXYEAR:
        return frozenset()
    days = DateSet(((date(year, 1, 1), date(year, 12, 31)),))
    return frozenset(window.label for window in windows_of(kind, days, labels=labels))


def _kind(kind: str) -> _Kind:
    if kind not in _FAMILY:
        raise ValueError(f"windows are one of {', '.join(KINDS)}, not {kind!r}")
    return _FAMILY[kind]
