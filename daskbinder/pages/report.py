"""The report: a finished data set as one HTML file that asks nothing of the network."""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import holoviews as hv
import numpy as np
from bokeh.embed import components
from bokeh.resources import Resources

from daskbinder._version import __version__
from daskbinder.dataset.rollups import Rollups
from daskbinder.model.dates import DateSet, day_of
from daskbinder.pages import templates
from daskbinder.pages.content import HEADLINES, PageContent, figures, legend, tallies
from daskbinder.pages.data import PageData
from daskbinder.pages.filters import Filters
from daskbinder.plots.timeseries import labels
from daskbinder.storage.location import Location
from daskbinder.text import percent, readable

__all__ = ["render", "write"]

RECENT = 90
"""Days of the ranking of repositories."""

_MOST = 25
_KINDS = (
    ("lines", "Launches by federation member", "launches a day, 7-day average"),
    ("stacked", "Launches of all members together", "launches a day, 7-day average"),
    ("share", "Share of each federation member", "share of launches, 7-day average"),
)
_SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)


def write(rollups: Rollups, out: str) -> int:
    """Write the report of a data set as one whole file.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    out : str
        The file: a path, or any URL of fsspec.

    Returns
    -------
    int
        Its bytes.
    """
    folder, slash, name = out.rpartition("/")
    location = Location.at(folder + slash if slash else ".")
    data = render(rollups).encode()
    location.write(name, data)
    return len(data)


def render(rollups: Rollups) -> str:
    """Make the report of a data set.

    Returns
    -------
    str
        HTML.
    """
    tables = PageData.load(rollups)
    view, state = PageContent(tables), Filters.read("", tables)
    recent = Filters.read(f"range={RECENT}d", tables)
    drawn = {name: hv.render(plot) for name, plot in figures(view, state).items()}
    del drawn["repository"]
    for name, figure in drawn.items():
        figure.name = f"figure-{name}"
    script, places = components(drawn)
    bokeh = Resources(mode="inline", components=["bokeh"]).js_raw
    scripts = [*bokeh, *_SCRIPT.findall(script), templates.web("page.js")]
    totals = rollups.contents.totals
    return (
        templates.environment()
        .get_template("report.html")
        .render(
            policy=_policy(scripts),
            css=templates.web("page.css"),
            scripts="\n".join(f"<script>{script}</script>" for script in scripts),
            figures=places,
            version=__version__,
            instance=tables.instance,
            source=_source(rollups.contents.source),
            first=day_of(tables.first),
            last=day_of(tables.last),
            headlines=list(HEADLINES.items()),
            shown=view.shown(state, ""),
            kinds=_KINDS,
            members=legend(tables.members, "members"),
            providers=legend(tables.providers, "providers"),
            states=tallies(tables),
            recent=(recent.last - recent.first).days + 1,
            recent_first=recent.first,
            top=_top(view, recent),
            tables=[
                ("Months by member", "by-member", *_months(tables, tables.members, axis=2)),
                ("Months by provider", "by-provider", *_months(tables, tables.providers, axis=1)),
            ],
            days=f"{len(tables.days):,}",
            gaps=DateSet.of(tables.days.loc[~tables.days["present"], "date"].dt.date).texts,
            notes=[
                (number, note)
                for number, note in enumerate(tables.notes, 1)
                if note.touches(state.first, state.last, tables.members)
            ],
            files=f"{totals.files:,}",
            launches=f"{totals.accepted:,}",
            rejected=f"{totals.rejected:,}",
        )
    )


def _source(url: str) -> str:
    """Name the archive; where it lies on somebody's disk is nobody's business."""
    return readable(url, 200) if "://" in url else "a local archive"


def _policy(scripts: Sequence[str]) -> str:
    """Let the browser run these scripts and no other, and load nothing from anywhere."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    known = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {known}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'"
    )


def _top(view: PageContent, state: Filters) -> list[tuple[Any, ...]]:
    """The repositories with the most launches, as they are shown."""
    ranked, totals, _ = view.found(state)
    whole = int(totals.sum())
    rows = []
    for rank, (row, n) in enumerate(zip(ranked[:_MOST], totals[:_MOST], strict=True), 1):
        entry = view.tables.known.slice(int(row), 1).to_pylist()[0]
        provider, name = entry["provider"], entry["repository"]
        rows.append(
            (
                rank,
                readable(name, 120),
                readable(provider, 24),
                f"{n:,}",
                percent(n / whole),
                round(100 * int(n) / int(totals[0]), 1),
                templates.link(provider, name, fits=entry["org"] is not None),
            )
        )
    return rows


def _months(tables: PageData, names: Sequence[str], *, axis: int) -> tuple[list[str], list[Any]]:
    """Launches of each month, the newest first: names, and rows of values, total and days."""
    counts = tables.cube.sum(axis=axis)
    month = tables.index.to_period("M")
    rows = []
    for one in month.unique()[::-1]:
        days = np.asarray(month == one)
        values = counts[days].sum(axis=0)
        files = f"{int(tables.present[days].sum())} of {one.days_in_month}"
        shown = [f"{value:,}" if value else "–" for value in values.tolist()]
        rows.append((str(one), shown, f"{int(values.sum()):,}", files))
    return labels(names), rows
