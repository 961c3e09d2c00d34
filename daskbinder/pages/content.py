"""Tables seen through what a visitor chose: the numbers, the text and the figures of a page."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from daskbinder import plots
from daskbinder.model.dates import day_number
from daskbinder.pages import templates
from daskbinder.pages.data import PageData
from daskbinder.pages.filters import Filters
from daskbinder.plots import theme, timeseries
from daskbinder.text import number, percent, readable, write_csv

__all__ = ["PageContent", "figures"]

HEADLINES = {
    "launches": "Launches",
    "rate": "Launches a day",
    "repositories": "Repositories launched",
    "largest": "Largest member",
    "missing": "Days without a file",
}
ROWS = 12
"""Rows of a page of the table."""


class PageContent:
    """Tables seen through what was chosen: everything that is shown, as numbers and text."""

    def __init__(self, tables: PageData) -> None:
        self.tables = tables
        self._rates = lru_cache(32)(self._rates_of)
        self._totals = lru_cache(8)(self._totals_of)

    def member_rates(self, state: Filters) -> pd.DataFrame:
        """Launches a day of each member; those not chosen are empty."""
        rates = self._rates("member", state.grain, state.providers)
        return rates.where(rates.notna() & np.isin(self.tables.members, state.members))

    def provider_rates(self, state: Filters) -> pd.DataFrame:
        """Launches a day of each provider; those not chosen are empty."""
        rates = self._rates("provider", state.grain, state.members)
        return rates.where((rates > 0) & np.isin(self.tables.providers, state.providers))

    def repository_rates(self, state: Filters) -> pd.DataFrame:
        """Launches a day of the chosen repository, on the members chosen."""
        tables, launches = self.tables, self.tables.launches
        row = self.repository(state)
        found = launches.repository == row if row is not None else np.zeros(0, np.intp)
        rows = np.flatnonzero(found)
        rows = rows[self._chosen_members(state.members)[launches.member[rows]]]
        n = np.bincount(
            launches.day[rows] - tables.first,
            weights=launches.n[rows],
            minlength=len(tables.index),
        )
        frame = pd.DataFrame({ONE: np.where(tables.present, n, np.nan)}, index=tables.index)
        return timeseries.rates(frame, state.grain)

    def hours(self, state: Filters) -> pd.DataFrame:
        """Mean launches in each hour of the week."""
        tables, rows = self.tables, state.rows(self.tables)
        chosen = [tables.members.index(name) for name in state.members]
        there = tables.present[rows]
        n = tables.hourly[rows][there][:, :, chosen].sum(axis=2).ravel()
        index = pd.DatetimeIndex(np.repeat(tables.index[rows][there].to_numpy(), 24))
        hour = np.tile(np.arange(24), int(there.sum()))
        frame = pd.DataFrame({"n": n}, index=index + pd.to_timedelta(hour, "h"))
        return timeseries.week_of_hours(frame)

    def repository(self, state: Filters) -> int | None:
        """Row of the chosen repository; by default the first of the table."""
        if state.repo:
            row = pc.index(self.tables.identity, pa.scalar(state.repo)).as_py()
            if row >= 0:
                return int(row)
        ranked, _ = self._totals(state.first, state.last, state.members, state.providers)
        return int(ranked[0]) if len(ranked) else None

    def found(self, state: Filters) -> tuple[Any, Any, Any]:
        """Rows of repositories that were launched and are looked for, their launches and ranks."""
        ranked, totals = self._totals(state.first, state.last, state.members, state.providers)
        rank = np.arange(1, len(ranked) + 1)
        if state.search:
            names = self.tables.known["repository"].take(pa.array(ranked))
            same = pc.match_substring(names, state.search, ignore_case=True)
            kept = same.to_numpy()
            ranked, totals, rank = ranked[kept], totals[kept], rank[kept]
        return ranked, totals, rank

    def shown(self, state: Filters, query: str) -> dict[str, Any]:
        """Text of the page."""
        tables = self.tables
        ranked, totals = self._totals(state.first, state.last, state.members, state.providers)
        return {
            "query": query,
            "from": state.first.isoformat(),
            "to": state.last.isoformat(),
            "unit": _unit(state),
            "hours_unit": "launches an hour, UTC"
            + ("" if state.providers == tables.providers else ", all providers"),
            "notes": [
                number
                for number, note in enumerate(tables.notes, 1)
                if note.touches(state.first, state.last, state.members)
            ],
            **self._headlines(state, len(ranked)),
            **self._page(state, int(totals.sum())),
            **self._chosen(state),
        }

    def _headlines(self, state: Filters, repositories: int) -> dict[str, str]:
        tables, rows = self.tables, state.rows(self.tables)
        counts = self._counts(state)
        now, there = counts[rows], tables.present[rows]
        length = rows.stop - rows.start
        before = slice(rows.start - length, rows.start)
        total, days = int(now.sum()), int(there.sum())
        note = f"{length:,} days, {days:,} with a file"
        change = "no days before to compare with"
        if before.start >= 0 and tables.present[before].any() and days:
            earlier = counts[before].sum() / tables.present[before].sum()
            if earlier:
                change = _changed(total / days / earlier - 1, length)
        by_member = now.sum(axis=0)
        largest = int(by_member.argmax()) if by_member.size else 0
        dates = tables.states["date"].to_numpy().astype("datetime64[D]")
        within = (dates >= np.datetime64(state.first)) & (dates <= np.datetime64(state.last))
        tally = tables.states.loc[within, "state"].value_counts()
        return {
            "launches": f"{total:,}",
            "launches_note": note,
            "rate": number(total / days) if days else "–",
            "rate_note": change,
            "repositories": f"{repositories:,}",
            "repositories_note": f"{total / repositories:,.1f} launches each, on average"
            if repositories
            else "none",
            "largest": readable(tables.members[largest], 24) if total else "–",
            "largest_note": f"{percent(by_member[largest] / total)} of the launches"
            if total
            else "no launches",
            "missing": f"{tally.get('missing', 0):,}",
            "missing_note": f"{tally.get('truncated', 0):,} truncated, "
            f"{tally.get('provisional', 0):,} provisional",
        }

    def _page(self, state: Filters, whole: int) -> dict[str, Any]:
        ranked, totals, rank = self.found(state)
        pages = max(1, -(-len(ranked) // ROWS))
        number = min(max(state.page, 1), pages)
        chosen = self.repository(state)
        rows = []
        top = int(totals[0]) if len(totals) else 1
        part = slice((number - 1) * ROWS, number * ROWS)
        for row, n, place in zip(ranked[part], totals[part], rank[part], strict=True):
            entry = self.tables.known.slice(int(row), 1).to_pylist()[0]
            rows.append(
                [
                    f"{place:,}",
                    readable(entry["repository"], 120),
                    readable(entry["provider"], 24),
                    f"{n:,}",
                    percent(n / whole),
                    round(100 * int(n) / top, 1),
                    self.tables.identity[int(row)].as_py(),
                ]
            )
        return {
            "rows": rows,
            "page": number,
            "pages": pages,
            "repo": "" if chosen is None else self.tables.identity[chosen].as_py(),
            "table_unit": "launches in the chosen days",
            "page_note": f"{len(ranked):,} found, page {number:,} of {pages:,}"
            if len(ranked)
            else "none found",
        }

    def _chosen(self, state: Filters) -> dict[str, str]:
        row = self.repository(state)
        if row is None:
            return {
                "repository": "No repository",
                "repository_note": "nothing was launched in the chosen days",
                "link": "",
                "link_text": "",
            }
        entry = self.tables.known.slice(row, 1).to_pylist()[0]
        address = templates.link(
            entry["provider"], entry["repository"], fits=entry["org"] is not None
        )
        name = readable(entry["repository"], 120)
        return {
            "repository": name,
            "repository_note": f"{_unit(replace(state, kind='lines'))} · {entry['n']:,} launches "
            f"in all, number {row + 1:,} of {len(self.tables.known):,} · first "
            f"{entry['first_seen']}, last {entry['last_seen']}",
            "link": address or "",
            "link_text": f"Open on {readable(entry['provider'], 24)}",
        }

    def _counts(self, state: Filters) -> Any:
        """Launches by day and member, of what was chosen."""
        tables = self.tables
        members = np.isin(tables.members, state.members)
        providers = np.isin(tables.providers, state.providers)
        return tables.cube[:, :, providers].sum(axis=2) * members

    def _rates_of(self, of: str, grain: str, chosen: tuple[str, ...]) -> pd.DataFrame:
        tables = self.tables
        if of == "member":
            n = tables.cube[:, :, np.isin(tables.providers, chosen)].sum(axis=2)
            values = np.where(tables.alive, n, np.nan)
            names = tables.members
        else:
            n = tables.cube[:, np.isin(tables.members, chosen)].sum(axis=1)
            values = np.where(tables.present[:, None], n, np.nan)
            names = tables.providers
        frame = pd.DataFrame(values, index=tables.index, columns=list(names))
        return timeseries.rates(frame, grain)

    def _chosen_members(self, chosen: tuple[str, ...]) -> Any:
        """Whether each member of the launches is chosen."""
        return np.isin(self.tables.members, chosen)[self.tables.place]

    def _totals_of(
        self, first: date, last: date, members: tuple[str, ...], providers: tuple[str, ...]
    ) -> tuple[Any, Any]:
        """Repositories that were launched, the most first, and how often."""
        launches = self.tables.launches
        start, stop = np.searchsorted(launches.day, [day_number(first), day_number(last) + 1])
        repository, n = launches.repository[start:stop], launches.n[start:stop]
        if members != self.tables.members:
            kept = self._chosen_members(members)[launches.member[start:stop]]
            repository, n = repository[kept], n[kept]
        totals = np.bincount(repository, weights=n, minlength=len(self.tables.known))
        if providers != self.tables.providers:
            among = np.isin(self.tables.providers, providers)
            totals[~among[self.tables.provider_of]] = 0
        order = np.argsort(-totals, kind="stable")
        order = order[: int((totals > 0).sum())]
        return order, totals[order].astype(np.int64)


ONE = "this repository"


def _unit(state: Filters) -> str:
    what = "share of launches" if state.kind == "share" else "launches a day"
    return f"{what}, {timeseries.GRAINS[state.grain]}"


def _changed(part: float, days: int) -> str:
    sign = "▲" if part > 0 else "▼" if part < 0 else "="
    return f"{sign} {abs(part):.1%} against the {days:,} days before"


def figures(
    view: PageContent, state: Filters | None = None, *, heights: int = 360
) -> dict[str, Any]:
    """Draw the figures of a page, by their names."""
    tables = view.tables
    state = state or Filters.read("", tables)
    members, unit = view.member_rates(state), {"share": "share of launches"}
    made = {
        kind: plots.series(
            members,
            kind=kind,
            unit=unit.get(kind, "launches a day"),
            notes=tables.notes,
            about=tables.members,
            height=heights,
            legend=False,
        )
        for kind in timeseries.KINDS
    }
    made["providers"] = plots.series(
        view.provider_rates(state),
        colours=theme.PROVIDER_COLOURS,
        notes=tables.notes,
        logy=True,
        height=300,
        legend=False,
    )
    made["hours"] = plots.draw_hours(view.hours(state), title="", height=340)
    made["repository"] = plots.series(
        view.repository_rates(state),
        kind="stacked",
        colours={ONE: theme.ACCENT},
        notes=tables.notes,
        height=420,
        legend=False,
    )
    made["archive"] = plots.archive(tables.days, title="", legend=False)
    return made


def legend(names: Sequence[str], of: str) -> list[tuple[str, str]]:
    """Names of members or providers as the figures show them, with their colours."""
    colours = {"members": theme.COLOURS, "providers": theme.PROVIDER_COLOURS}[of]
    shades = [theme.colour(name, colours) for name in names]
    return list(zip(timeseries.labels(names), shades, strict=True))


def tallies(tables: PageData) -> list[tuple[str, str]]:
    """In how many states days of the archive are, with the colours of these."""
    found = tables.states["state"].value_counts()
    return [
        (f"{state}: {found.get(state, 0):,}", shade) for state, shade in timeseries.STATES.items()
    ]


def series_csv(view: PageContent, state: Filters) -> str:
    """Launches a day of the members chosen, a row a step within the days chosen."""
    rates = view.member_rates(state)[list(state.members)]
    rates = rates.loc[pd.Timestamp(state.first) : pd.Timestamp(state.last)]
    rows = (
        [step.date().isoformat(), *("" if value != value else round(value, 3) for value in row)]
        for step, row in zip(rates.index, rates.to_numpy(), strict=True)
    )
    return write_csv(["date", *state.members], rows)


def repositories_csv(view: PageContent, state: Filters) -> str:
    """Every repository that was launched and is looked for, the most launched first."""
    ranked, totals, rank = view.found(state)
    known = view.tables.known.take(pa.array(ranked))
    columns = [
        known[name].to_pylist() for name in ("provider", "repository", "first_seen", "last_seen")
    ]
    rows = zip(rank.tolist(), *columns[:2], totals.tolist(), *columns[2:], strict=True)
    return write_csv(
        ["rank", "provider", "repository", "launches", "first_seen", "last_seen"], rows
    )
