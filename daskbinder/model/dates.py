"""Sets of dates, kept as runs of days that follow each other.

What a graph says of a million days has to be short; knows no files and no windows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from daskbinder.errors import InputError

__all__ = ["DateSet", "beside", "day_number", "day_of", "read_date"]

_EPOCH = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """Days from 1970-01-01 to `day`."""
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """Date `number` days after 1970-01-01, the inverse of `day_number`."""
    return date.fromordinal(number + _EPOCH)


def beside(day: date) -> set[date]:
    """Find the days just before and after one, of those that the calendar has."""
    near = (day.toordinal() - 1, day.toordinal() + 1)
    return {date.fromordinal(n) for n in near if 1 <= n <= date.max.toordinal()}


@dataclass(frozen=True)
class DateSet:
    """A set of dates.

    Attributes
    ----------
    runs : tuple of (int, int)
        Ordinals of the first and last day of each run, in order; runs do not touch.

    Examples
    --------
    >>> from datetime import date
    >>> days = DateSet.of([date(2021, 3, 1), date(2021, 3, 2), date(2021, 3, 4)])
    >>> len(days), len(days.runs), len(days.widened(0, 1))
    (3, 2, 5)
    """

    runs: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, days: Iterable[date]) -> "DateSet":
        """Keep these dates, in whatever order they come."""
        return cls.over((day.toordinal(), day.toordinal()) for day in days)

    @classmethod
    def over(cls, runs: Iterable[tuple[int, int]]) -> "DateSet":
        """Keep the days of these runs, which may overlap; beyond the calendar there are none."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(runs):
            first, last = max(first, _FIRST), min(last, _LAST)
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(last, joined[-1][1])
            elif first <= last:
                joined.append((first, last))
        return cls(tuple(joined))

    def __iter__(self) -> Iterator[date]:
        for first, last in self.runs:
            yield from map(date.fromordinal, range(first, last + 1))

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.runs)

    def __and__(self, other: "DateSet") -> "DateSet":
        """Days of both."""
        return DateSet.over(
            (max(first, start), min(last, stop))
            for first, last in self.runs
            for start, stop in other.runs
            if first <= stop and start <= last
        )

    @property
    def gaps(self) -> "DateSet":
        """Days between the first and the last that are not there."""
        ends = pairwise(self.runs)
        return DateSet(tuple((last + 1, first - 1) for (_, last), (first, _) in ends))

    @property
    def spans(self) -> tuple[tuple[date, date], ...]:
        """First and last day of each run."""
        return tuple((date.fromordinal(first), date.fromordinal(last)) for first, last in self.runs)

    @property
    def texts(self) -> list[str]:
        """Each run to be read: its only day, or its first and its last."""
        return [f"{a}" if a == b else f"{a} to {b}" for a, b in self.spans]

    def between(self, first: int, last: int) -> "DateSet":
        """Days of an interval of ordinals, both ends included."""
        return self & DateSet(((first, last),))

    def widened(self, before: int, after: int) -> "DateSet":
        """The days and so many before and after each."""
        return DateSet.over((first - before, last + after) for first, last in self.runs)


_FIRST, _LAST = date.min.toordinal(), date.max.toordinal()


def read_date(given: date | str | None) -> date | None:
    """Read a date that a user gave, as ``YYYY-MM-DD`` or as a date; None where none was given."""
    if given is None or isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise InputError(f"{given!r} is not a date; write it as YYYY-MM-DD") from error
