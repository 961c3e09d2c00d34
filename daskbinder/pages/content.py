"""What the pages say and draw, as numbers and text, for a visitor's filters."""

from collections.abc import Callable
from functools import wraps
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder.model.annotations import Annotation
from daskbinder.model.dates import day_number
from daskbinder.pages import templates
from daskbinder.pages.data import PageData
from daskbinder.pages.filters import VALUES, Filters
from daskbinder.plots import timeseries
from daskbinder.plots.rates import GRAINS, Rates, losses, lost_days, rates
from daskbinder.text import number, percent, plural, readable

HEADLINES = {
    "launches": "Launches",
    "rate": "Launches a day",
    "repositories": "Repositories launched",
    "largest": "Largest member",
    "missing": "Days without a file",
}
REPOSITORY = "this repository"
"""Name of the series of a repository."""
PAGE_ROWS = 12
"""Rows per page of the repository table."""
MOST_RESULTS = 32
"""Results cached per visitor."""

T = TypeVar("T")


def remember(*fields: str) -> Callable[[Callable[..., T]], Callable[..., T]]:
    """Cache a method of `PageContent` by the fields of the filters that it depends on."""
    key_of = attrgetter(*fields)

    def decorate(method: Callable[..., T]) -> Callable[..., T]:
        @wraps(method)
        def remembering(content: "PageContent", filters: Filters) -> T:
            key, results = (method, key_of(filters)), content.results
            if key not in results:
                results[key] = method(content, filters)
                if len(results) > MOST_RESULTS:
                    del results[next(iter(results))]
            result: T = results[key]
            return result

        return remembering

    return decorate


class PageContent:
    """The content of a page, computed from the data for any choice of filters."""

    def __init__(self, data: PageData) -> None:
        self.data = data
        self.results: dict[Any, Any] = {}

    @remember("grain", "members", "providers")
    def member_rates(self, filters: Filters) -> Rates:
        """Launches a day of each member; NaN for those not chosen."""
        data = self.data
        counts = data.cube[:, :, np.isin(data.providers, filters.providers)].sum(axis=2)
        shown = self._rates(counts, data.active, data.members, filters)
        return shown.only(np.isin(data.members, filters.members))

    @remember("grain", "members", "providers")
    def provider_rates(self, filters: Filters) -> Rates:
        """Launches a day of each provider; NaN for those not chosen."""
        data = self.data
        counts = data.cube[:, np.isin(data.members, filters.members)].sum(axis=1)
        shown = self._rates(counts, data.present[:, None], data.providers, filters, of_sum=True)
        return shown.only(np.isin(data.providers, filters.providers))

    @remember("grain", "first", "last", "members", "providers", "repo")
    def repository_rates(self, filters: Filters) -> Rates:
        """Launches a day of the chosen repository, on the chosen members."""
        data, launches = self.data, self.data.launches
        repository = self.repository(filters)
        rows = np.flatnonzero([] if repository is None else launches.repository == repository)
        rows = rows[np.isin(data.members, filters.members)[launches.member[rows]]]
        days = launches.day[rows] - day_number(data.first)
        counts = np.bincount(days, weights=launches.n[rows], minlength=len(data.index))
        counts, present = counts[:, None], data.present[:, None]
        return self._rates(counts, present, (REPOSITORY,), filters, of_sum=True)

    @remember("first", "last", "members")
    def hours(self, filters: Filters) -> pd.DataFrame:
        """Mean launches in each hour of the week."""
        data, rows = self.data, filters.rows(self.data)
        present = self.known(filters)[rows]
        chosen = np.isin(data.members, filters.members)
        counts = data.hourly[rows][present][:, :, chosen].sum(axis=2).ravel()
        hours = pd.to_timedelta(np.tile(np.arange(24), int(present.sum())), "h")
        index = data.index[rows][present].repeat(24) + hours
        return timeseries.week_of_hours(pd.DataFrame({"n": counts}, index=index))

    def losses(self, filters: Filters, *, of_sum: bool = False) -> list[Annotation]:
        """Losses of the members that matter."""
        return losses(self.data.notes, self.about(filters), of_sum=of_sum)

    def about(self, filters: Filters) -> tuple[str, ...] | None:
        """Members whose notes matter; None for all, also those without a launch, by default."""
        return None if filters.members == self.data.members else filters.members

    def known(self, filters: Filters) -> Any:
        """Whether each day has a file, and no launches of the chosen members that are lost."""
        data = self.data
        return data.present & ~lost_days(data.index, self.losses(filters))

    def repository(self, filters: Filters) -> int | None:
        """Row of the chosen repository, by default of the one with the most launches."""
        if filters.repo:
            row = pc.index(self.data.ids, pa.scalar(filters.repo)).as_py()
            if row >= 0:
                return int(row)
        ranked, _ = self._totals(filters)
        return int(ranked[0]) if len(ranked) else None

    @remember("first", "last", "members", "providers", "search")
    def ranking(self, filters: Filters) -> tuple[Any, Any, Any]:
        """Repositories that match the filters: rows of the directory, launches, and ranks."""
        ranked, totals = self._totals(filters)
        ranks = np.arange(1, len(ranked) + 1)
        if filters.search:
            names = self.data.directory["repository"].take(pa.array(ranked))
            matches = pc.match_substring(names, filters.search, ignore_case=True).to_numpy()
            ranked, totals, ranks = ranked[matches], totals[matches], ranks[matches]
        return ranked, totals, ranks

    def ranking_table(self, filters: Filters, rows: slice) -> list[tuple[int, list[Any]]]:
        """Rows of the ranking as text, each after its row of the directory.

        They are rank, name, provider, launches, share, and the length of the bar in percent.
        """
        ranked, totals, ranks = self.ranking(filters)
        total = int(self._totals(filters)[1].sum())
        table = []
        for row, n, rank in zip(ranked[rows], totals[rows], ranks[rows], strict=True):
            entry = self._entry(row)
            name, provider = readable(entry["repository"], 120), readable(entry["provider"], 24)
            bar = round(100 * int(n) / int(totals[0]), 1)
            cells = [f"{rank:,}", name, provider, f"{n:,}", percent(n / total), bar]
            table.append((int(row), cells))
        return table

    def link_to(self, row: int) -> str | None:
        """Link to a repository, by its row of the directory."""
        entry = self._entry(row)
        is_valid = entry["org"] is not None
        return templates.link_to(entry["provider"], entry["repository"], is_valid=is_valid)

    def texts(self, filters: Filters, query: str) -> dict[str, Any]:
        """All text of the page that depends on the filters."""
        data = self.data
        all_providers = filters.providers == data.providers
        return {
            "query": query,
            "from": filters.first.isoformat(),
            "to": filters.last.isoformat(),
            "unit": self._unit(filters, filters.kind),
            "series_csv": f"Series as CSV: {VALUES[filters.grain]}",
            "hours_unit": "launches an hour, UTC" + ("" if all_providers else ", all providers"),
            "notes": [
                i
                for i, note in enumerate(data.notes, 1)
                if note.touches(filters.first, filters.last, self.about(filters))
            ],
            **self._headlines(filters),
            **self._table(filters),
            **self._chosen_repository(filters),
        }

    def _headlines(self, filters: Filters) -> dict[str, str]:
        data, rows = self.data, filters.rows(self.data)
        files, known = data.present[rows], self.known(filters)[rows]
        total = int(self._by_member(filters, rows, files).sum())
        counts, days = self._by_member(filters, rows, known), int(known.sum())
        rated, largest = int(counts.sum()), int(counts.argmax())
        lost = int(files.sum()) - days
        repositories = len(self._totals(filters)[0])
        dates = data.states["date"]
        within = dates.between(pd.Timestamp(filters.first), pd.Timestamp(filters.last))
        states = data.states.loc[within, "state"].value_counts()
        headlines = {
            "launches": (
                f"{total:,}",
                f"{plural(rows.stop - rows.start, 'day')}, {int(files.sum()):,} with a file"
                + (f", {lost:,} with launches lost" if lost else ""),
            ),
            "rate": (number(rated / days) if days else "–", self._change(filters, rows)),
            "repositories": (
                f"{repositories:,}",
                f"{total / repositories:,.1f} launches each on average" if repositories else "none",
            ),
            "largest": (
                readable(data.members[largest], 24) if rated else "–",
                f"{percent(counts[largest] / rated)} of the launches"
                if rated
                else "no launches"
                if days
                else "not known",
            ),
            "missing": (
                f"{states.get('missing', 0):,}",
                f"{states.get('truncated', 0):,} truncated, "
                f"{states.get('provisional', 0):,} provisional",
            ),
        }
        return {name: text for name, (text, _) in headlines.items()} | {
            f"{name}_note": note for name, (_, note) in headlines.items()
        }

    def _change(self, filters: Filters, rows: slice) -> str:
        """Compare launches a day with those of the same number of days before."""
        length = rows.stop - rows.start
        before = slice(rows.start - length, rows.start)
        known, present = self.known(filters), self.data.present
        if before.start >= 0 and known[rows].any() and known[before].any():
            rate, earlier = (
                self._by_member(filters, part, known[part]).sum() / known[part].sum()
                for part in (rows, before)
            )
            if earlier:
                change = rate / earlier - 1
                sign = "▲" if change > 0 else "▼" if change < 0 else "="
                lost = [int((present & ~known)[part].sum()) for part in (rows, before)]
                left_out = [
                    f"{plural(days, 'day')} of {which}"
                    for days, which in zip(lost, ("these", "those"), strict=True)
                    if days
                ]
                text = f"{sign} {abs(change):.1%} against the {plural(length, 'day')} before"
                without = f", without {' and '.join(left_out)} with launches lost"
                return text + (without if left_out else "")
        return "no earlier days to compare with"

    def _unit(self, filters: Filters, kind: str) -> str:
        """Say what a figure over time shows, and what its hatched ends are."""
        what = "share of launches" if kind == "share" else "launches a day"
        steps = self.member_rates(filters).steps
        shown = (steps["end"].dt.date > filters.first) & (steps["start"].dt.date <= filters.last)
        hatched = (
            f"; hatched: part of a {filters.grain} only" if steps["partial"][shown].any() else ""
        )
        return f"{what}, {GRAINS[filters.grain]}{hatched}"

    def _table(self, filters: Filters) -> dict[str, Any]:
        matches = len(self.ranking(filters)[0])
        pages = max(1, -(-matches // PAGE_ROWS))
        page = min(max(filters.page, 1), pages)
        part = slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS)
        ids, chosen = self.data.ids, self.repository(filters)
        return {
            "rows": [
                [*cells, ids[row].as_py()] for row, cells in self.ranking_table(filters, part)
            ],
            "page": page,
            "pages": pages,
            "repo": "" if chosen is None else ids[chosen].as_py(),
            "table_unit": "launches in the chosen days",
            "page_note": f"{matches:,} found, page {page:,} of {pages:,}"
            if matches
            else "No repository for this choice",
        }

    def _chosen_repository(self, filters: Filters) -> dict[str, str]:
        row = self.repository(filters)
        if row is None:
            return {
                "repository": "No repository",
                "repository_note": "nothing was launched in the chosen days",
                "link": "",
                "link_text": "",
            }
        entry = self._entry(row)
        return {
            "repository": readable(entry["repository"], 120),
            "repository_note": f"{self._unit(filters, 'lines')} · "
            f"{plural(entry['n'], 'launch')} in all, "
            f"number {row + 1:,} of {len(self.data.directory):,} · "
            f"first {entry['first_seen']}, last {entry['last_seen']}",
            "link": self.link_to(row) or "",
            "link_text": f"Open on {readable(entry['provider'], 24)}",
        }

    def _entry(self, row: int) -> dict[str, Any]:
        """Read a row of the directory of repositories."""
        entry: dict[str, Any] = self.data.directory.slice(int(row), 1).to_pylist()[0]
        return entry

    def _rates(
        self,
        counts: Any,
        valid: Any,
        names: tuple[str, ...],
        filters: Filters,
        *,
        of_sum: bool = False,
    ) -> Rates:
        frame = pd.DataFrame(np.where(valid, counts, np.nan), self.data.index, list(names))
        return rates(frame, filters.grain, self.losses(filters, of_sum=of_sum))

    def _by_member(self, filters: Filters, rows: slice, days: Any) -> Any:
        """Launches of each member on some days of these rows; zero for those not chosen."""
        providers = np.isin(self.data.providers, filters.providers)
        counts = self.data.cube[rows][days][:, :, providers].sum(axis=(0, 2))
        return counts * np.isin(self.data.members, filters.members)

    @remember("first", "last", "members", "providers")
    def _totals(self, filters: Filters) -> tuple[Any, Any]:
        """Repositories with launches, those with the most first, and their launches."""
        data, launches = self.data, self.data.launches
        days = day_number(filters.first), day_number(filters.last) + 1
        start, stop = np.searchsorted(launches.day, days)
        repository, n = launches.repository[start:stop], launches.n[start:stop]
        if filters.members != data.members:
            chosen = np.isin(data.members, filters.members)[launches.member[start:stop]]
            repository, n = repository[chosen], n[chosen]
        totals = np.bincount(repository, weights=n, minlength=len(data.directory))
        if filters.providers != data.providers:
            totals[~np.isin(data.providers, filters.providers)[data.provider_of]] = 0
        ranked = np.argsort(-totals, kind="stable")[: int((totals > 0).sum())]
        return ranked, totals[ranked].astype(np.int64)
