"""What a visitor chose: the query of the page's address, and nothing else."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import parse_qs

from daskbinder.model.dates import day_number, day_of
from daskbinder.pages.data import PageData
from daskbinder.plots.timeseries import KINDS, labels

RANGES = {"90d": "90 days", "365d": "A year", "all": "All", "own": "Other"}
GRAINS = {"average": "7-day mean", "day": "Day", "week": "Week", "month": "Month"}


@dataclass(frozen=True)
class Filters:
    """What a visitor chose.

    Attributes
    ----------
    range : str
        One of `RANGES`.
    first, last : datetime.date
        The days.
    grain, kind : str
        One of `GRAINS`, of `drawn.KINDS`.
    members, providers : tuple of str
        Those that are shown. An address has them as `drawn.labels` gives them: not every name
        comes through a form as it was, and some are longer than an address may be.
    search : str
        What names of repositories contain.
    page : int
        Page of the table, from 1.
    repo : str
        The chosen repository as `PageData.identity` has it; empty for the most launched.
    """

    range: str
    first: date
    last: date
    grain: str
    kind: str
    members: tuple[str, ...]
    providers: tuple[str, ...]
    search: str
    page: int
    repo: str

    @classmethod
    def read(cls, query: str, tables: PageData) -> "Filters":
        """Read the query of an address; whatever cannot be meant is left at what is usual."""
        given = parse_qs(query, keep_blank_values=True, max_num_fields=1000)

        def one(name: str, usual: str, among: Container[str] | None = None) -> str:
            value = given.get(name, [usual])[-1]
            return value if among is None or value in among else usual

        def some(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
            if name not in given:
                return known
            named = zip(known, labels(known), strict=True)
            return tuple(one for one, label in named if label in given[name])

        chosen = one("range", "all", RANGES)
        begin, end = day_of(tables.first), day_of(tables.last)
        first, last = begin, end
        if chosen == "own":
            first = _date(one("from", ""), begin, begin, end)
            last = _date(one("to", ""), end, begin, end)
            first, last = min(first, last), max(first, last)
        elif chosen != "all":
            first = max(begin, end - timedelta(days=int(chosen[:-1]) - 1))
        number = one("page", "1")
        return cls(
            chosen,
            first,
            last,
            one("grain", "average", GRAINS),
            one("kind", "lines", KINDS),
            some("member", tables.members),
            some("provider", tables.providers),
            one("q", "")[:200],
            int(number) if number.isascii() and number.isdigit() and len(number) < 7 else 1,
            one("repo", ""),
        )

    def rows(self, tables: PageData) -> slice:
        """The chosen days among those of the tables."""
        return slice(
            day_number(self.first) - tables.first, day_number(self.last) - tables.first + 1
        )


def _date(text: str, usual: date, first: date, last: date) -> date:
    try:
        return min(max(date.fromisoformat(text), first), last)
    except ValueError:
        return usual
