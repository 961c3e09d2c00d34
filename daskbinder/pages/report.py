"""The report: a finished data set as one HTML file that loads nothing from the network."""

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
from daskbinder.model.dates import DateSet
from daskbinder.pages import templates
from daskbinder.pages.content import HEADLINES, PageContent
from daskbinder.pages.data import PageData
from daskbinder.pages.figures import FIGURES, legend
from daskbinder.pages.filters import Filters
from daskbinder.plots.rates import losses, lost_days
from daskbinder.plots.theme import COLOURS, PROVIDER_COLOURS
from daskbinder.plots.timeseries import count_states, labels
from daskbinder.storage.location import Location
from daskbinder.text import plural, readable

__all__ = ["render", "write"]

_RECENT_DAYS = 90
_TOP_ROWS = 25
_KINDS = (
    ("lines", "Launches by federation member", "launches a day, 7-day average"),
    ("stacked", "Launches of all members together", "launches a day, 7-day average"),
    ("share", "Share of each federation member", "share of launches, 7-day average"),
)
_SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)


def write(rollups: Rollups, out: str) -> int:
    """Write the report of a data set, whole or not at all, and return its size in bytes.

    `out` is a path or any URL of fsspec.
    """
    folder, slash, name = out.rpartition("/")
    html = render(rollups).encode()
    Location.at(folder + slash if slash else ".").write(name, html)
    return len(html)


def render(rollups: Rollups) -> str:
    """Make the report of a data set as HTML."""
    data = PageData.load(rollups)
    content, filters = PageContent(data), Filters.read("", data)
    figures, scripts = _embed(content, filters)
    recent = Filters.read(f"range={_RECENT_DAYS}d", data)
    shown = content.texts(filters, "")
    totals = rollups.contents.totals
    return templates.load_template("report.html").render(
        policy=_policy(scripts),
        css=templates.read_web("page.css"),
        scripts="\n".join(f"<script>{script}</script>" for script in scripts),
        figures=figures,
        version=__version__,
        instance=data.instance,
        source=_source(rollups.contents.source),
        first=data.first,
        last=data.last,
        headlines=list(HEADLINES.items()),
        shown=shown,
        kinds=_KINDS,
        members=legend(data.members, COLOURS, data.members),
        providers=legend(data.providers, PROVIDER_COLOURS, data.providers),
        states=count_states(data.states["state"]),
        recent=plural((recent.last - recent.first).days + 1, "day"),
        recent_first=recent.first,
        top=[
            (*cells, content.link_to(row))
            for row, cells in content.ranking_table(recent, slice(_TOP_ROWS))
        ],
        tables=[
            ("Months by member", "by-member", *_months(data, data.members, axis=2)),
            ("Months by provider", "by-provider", *_months(data, data.providers, axis=1)),
        ],
        days=plural(len(data.days), "day"),
        gaps=DateSet.of(data.days.loc[~data.days["present"], "date"].dt.date).texts,
        notes=[note for note in enumerate(data.notes, 1) if note[0] in shown["notes"]],
        files=plural(totals.files, "day file"),
        launches=plural(totals.accepted, "launch"),
        rejected=plural(totals.rejected, "line"),
    )


def _embed(content: PageContent, filters: Filters) -> tuple[dict[str, str], list[str]]:
    """Draw the figures: HTML for each, and the scripts that the page needs."""
    figures = {}
    for name, page_figure in FIGURES.items():
        if page_figure.in_report:
            figures[name] = hv.render(page_figure.draw(content, filters))
            figures[name].name = f"figure-{name}"
    script, html = components(figures)
    bokeh = Resources(mode="inline", components=["bokeh"]).js_raw
    return html, [*bokeh, *_SCRIPT.findall(script), templates.read_web("page.js")]


def _source(url: str) -> str:
    """Name the archive, but never a local folder."""
    return readable(url, 200) if "://" in url else "a local archive"


def _policy(scripts: Sequence[str]) -> str:
    """Let the browser run these scripts only, and load nothing."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    known = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {known}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; form-action 'none'; base-uri 'none'"
    )


def _months(data: PageData, names: Sequence[str], *, axis: int) -> tuple[list[str], list[Any]]:
    """Launches by month, the newest first: labels, then for each month its name, values and total.

    The last cell says how many of its days have a file. `axis` of the cube is summed. Where
    launches are lost, what is left of them is a lower bound.
    """
    counts = data.cube.sum(axis=axis)
    months = data.index.to_period("M")
    members = [[name] if names is data.members else None for name in names]
    gaps = [lost_days(data.index, losses(data.notes, each)) for each in (*members, None)]
    lost = np.stack(gaps, axis=1) & data.present[:, None]
    rows = []
    for month in months.unique()[::-1]:
        days = np.asarray(months == month)
        values = counts[days].sum(axis=0).tolist()
        files = f"{int(data.present[days].sum())} of {month.days_in_month}"
        shown = [
            f"≥ {value:,}" if is_lost else f"{value:,}" if value else "–"
            for value, is_lost in zip([*values, sum(values)], lost[days].any(axis=0), strict=True)
        ]
        rows.append((str(month), shown[:-1], shown[-1], files))
    return labels(names), rows
