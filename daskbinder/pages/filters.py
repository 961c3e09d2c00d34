"""What a visitor chose: the query of the page's address, and nothing else."""

from collections.abc import Container
from dataclasses import dataclass
from datetime import date, timedelta
from urllib.parse import parse_qs

from daskbinder.pages.data import PageData
from daskbinder.plots.timeseries import KINDS, labels

RANGES = {"90d": "90 days", "365d": "A year", "all": "All", "own": "Other"}
GRAINS = {"average": "7-day mean", "day": "Day", "week": "Week", "month": "Month"}
VALUES = {
    "average": "7-day means",
    "day": "counts by day",
    "week": "daily means by week",
    "month": "daily means by month",
}
"""What the numbers of a series are, by its grain."""


@dataclass(frozen=True)
class Filters:
    """What a visitor chose.

    The query has labels of members and providers in place of their names: a form does not return
    every name unchanged, and some are too long for a URL.
    """

    range: str  # one of `RANGES`
    first: date
    last: date
    grain: str  # one of `GRAINS`
    kind: str  # one of `KINDS`
    members: tuple[str, ...]
    providers: tuple[str, ...]
    search: str  # part of the names of repositories
    page: int  # of the table of repositories, from 1
    repo: str  # one of `PageData.ids`; empty for the repository with the most launches

    @classmethod
    def read(cls, query: str, data: PageData) -> "Filters":
        """Read the query of an address; whatever is not valid gets its default."""
        given = parse_qs(query, keep_blank_values=True, max_num_fields=1000)

        def value(name: str, default: str, allowed: Container[str] | None = None) -> str:
            last = given.get(name, [default])[-1]
            return last if allowed is None or last in allowed else default

        def subset(name: str, known: tuple[str, ...]) -> tuple[str, ...]:
            if name not in given:
                return known
            labelled = zip(known, labels(known), strict=True)
            return tuple(each for each, label in labelled if label in given[name])

        chosen = value("range", "all", RANGES)
        first, last = data.first, data.last
        if chosen == "own":
            ends = _date(value("from", ""), first), _date(value("to", ""), last)
            first, last = (min(max(end, data.first), data.last) for end in sorted(ends))
        elif chosen != "all":
            first = max(first, last - timedelta(days=int(chosen[:-1]) - 1))
        page = value("page", "1")
        return cls(
            range=chosen,
            first=first,
            last=last,
            grain=value("grain", "average", GRAINS),
            kind=value("kind", "lines", KINDS),
            members=subset("member", data.members),
            providers=subset("provider", data.providers),
            search=value("q", "")[:200],
            page=int(page) if page.isascii() and page.isdigit() and len(page) < 7 else 1,
            repo=value("repo", ""),
        )

    def rows(self, data: PageData) -> slice:
        """Rows of the chosen days in the arrays of the data."""
        return slice((self.first - data.first).days, (self.last - data.first).days + 1)


def _date(text: str, default: date) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return default
