"""Dates: sets of them, kept as spans of consecutive days, and day numbers since 1970-01-01."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from daskbinder.errors import InputError

__all__ = ["DateSet", "beside", "day_number", "day_of", "read_date"]

_FIRST, _LAST = date.min.toordinal(), date.max.toordinal()
_EPOCH = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """Days from 1970-01-01 to `day`."""
    return day.toordinal() - _EPOCH


def day_of(number: int) -> date:
    """Date `number` days after 1970-01-01, the inverse of `day_number`."""
    return date.fromordinal(number + _EPOCH)


def beside(day: date) -> set[date]:
    """The days just before and after `day`, within the calendar."""
    return {*DateSet.of([day]).widened(1, 1)} - {day}


def read_date(given: date | str | None) -> date | None:
    """Parse a date that a user gave, as ``YYYY-MM-DD`` or a date; None if none was given."""
    if given is None or isinstance(given, date):
        return given
    try:
        return date.fromisoformat(given)
    except ValueError as error:
        raise InputError(f"{given!r} is not a date; write it as YYYY-MM-DD") from error


@dataclass(frozen=True)
class DateSet:
    """A set of dates. A million consecutive ones take a few bytes.

    Attributes
    ----------
    spans : tuple of (date, date)
        First and last day of each span, in order; spans neither overlap nor touch.

    Examples
    --------
    >>> from datetime import date
    >>> days = DateSet.of([date(2021, 3, 1), date(2021, 3, 2), date(2021, 3, 4)])
    >>> len(days), len(days.spans), len(days.widened(0, 1))
    (3, 2, 5)
    """

    spans: tuple[tuple[date, date], ...] = ()

    @classmethod
    def of(cls, days: Iterable[date]) -> "DateSet":
        """Make a set from dates in any order."""
        return cls._joined((day.toordinal(), day.toordinal()) for day in days)

    @classmethod
    def _joined(cls, spans: Iterable[tuple[int, int]]) -> "DateSet":
        """Make a set from spans of ordinals, which may overlap and reach beyond the calendar."""
        joined: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            first, last = max(first, _FIRST), min(last, _LAST)
            if joined and first <= joined[-1][1] + 1:
                joined[-1] = joined[-1][0], max(last, joined[-1][1])
            else:
                joined.append((first, last))
        return cls(tuple((date.fromordinal(a), date.fromordinal(b)) for a, b in joined))

    def __iter__(self) -> Iterator[date]:
        for first, last in self.spans:
            yield from map(date.fromordinal, range(first.toordinal(), last.toordinal() + 1))

    def __len__(self) -> int:
        return sum((last - first).days + 1 for first, last in self.spans)

    @property
    def gaps(self) -> "DateSet":
        """Days between the first and the last that are not in the set."""
        ends = pairwise(self.spans)
        return DateSet._joined((b.toordinal() + 1, c.toordinal() - 1) for (_, b), (c, _) in ends)

    @property
    def texts(self) -> list[str]:
        """Each span in words: its only day, or its first and last."""
        return [f"{a}" if a == b else f"{a} to {b}" for a, b in self.spans]

    def widened(self, before: int, after: int) -> "DateSet":
        """The dates, plus `before` days before and `after` days after each."""
        spans = self.spans
        return DateSet._joined((a.toordinal() - before, b.toordinal() + after) for a, b in spans)
