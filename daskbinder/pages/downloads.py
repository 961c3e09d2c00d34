"""The CSV downloads of the explorer."""

from typing import Any

import pandas as pd
import pyarrow as pa
import tornado.web

from daskbinder.pages.content import PageContent
from daskbinder.pages.data import PageData
from daskbinder.pages.filters import VALUES, Filters
from daskbinder.text import write_csv


def series_csv(content: PageContent, filters: Filters) -> str:
    """`VALUES` of the chosen members, one row per step within the chosen days."""
    rates = content.member_rates(filters).table[list(filters.members)]
    rates = rates.loc[pd.Timestamp(filters.first) : pd.Timestamp(filters.last)]
    rows = (
        [step.date().isoformat(), *("" if value != value else round(value, 3) for value in row)]
        for step, row in zip(rates.index, rates.to_numpy(), strict=True)
    )
    return write_csv(["date", *filters.members], rows)


def repositories_csv(content: PageContent, filters: Filters) -> str:
    """All repositories that match the filters, those with the most launches first."""
    ranked, totals, ranks = content.ranking(filters)
    table = content.data.directory.take(pa.array(ranked))
    columns: dict[str, list[Any]] = {"rank": ranks.tolist()}
    for name in ("provider", "repository", "launches", "first_seen", "last_seen"):
        columns[name] = totals.tolist() if name == "launches" else table[name].to_pylist()
    return write_csv(list(columns), zip(*columns.values(), strict=True))


FILES = {"series": series_csv, "repositories": repositories_csv}


class Download(tornado.web.RequestHandler):
    """Answers with one of `FILES`."""

    def initialize(self, data: PageData, origin: str, name: str) -> None:
        """Take what the server was set up with."""
        self.data, self.origin, self.name = data, origin, name

    def get(self) -> None:
        """Answer with CSV, to our own page only."""
        if self.request.host != self.origin:
            raise tornado.web.HTTPError(403)
        filters = Filters.read(self.request.query, self.data)
        text = FILES[self.name](PageContent(self.data), filters)
        what = f"series-{VALUES[filters.grain]}" if self.name == "series" else self.name
        name = f"{what.replace(' ', '-')}-{filters.first}-{filters.last}.csv"
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("X-Content-Type-Options", "nosniff")
        self.write(text)
