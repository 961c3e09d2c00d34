"""The pages of an exported site: one for each repository and organisation, and a search over all.

They are plain files that any web server can hold. They load nothing but their own style sheet,
script and index, hold no script of their own, and say nothing of the day they were made, so that a
page changes only with its launches. A chart is drawn as SVG: thousands of pages with Bokeh in each
would be gigabytes.
"""

from calendar import monthrange
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from daskbinder.answers.export import badge, page_of
from daskbinder.answers.subjects import Subject
from daskbinder.dataset.manifest import Manifest
from daskbinder.dataset.rollups import Rollups
from daskbinder.model.hub import MYBINDER
from daskbinder.pages import templates
from daskbinder.plots.rates import losses
from daskbinder.text import percent, plural, readable

__all__ = ["SitePages"]

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'none'; base-uri 'none'"
)
_LISTED = 50
"""Names that a list on a page shows."""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 720, 220, 72, 24


class SitePages:
    """Makes the pages: what `daskbinder.answers.export.publish` takes.

    Parameters
    ----------
    rollups : Rollups
        The data set that is exported.
    """

    def __init__(self, rollups: Rollups) -> None:
        self._instance = readable(rollups.instance, 120)
        self._days = _days_by_month(rollups.contents)
        self._is_mybinder = rollups.instance == MYBINDER.name
        self._losses = losses(None) if self._is_mybinder else []

    def of_subject(self, subject: Subject) -> bytes:
        """Make the page of a repository or an organisation."""
        facts, n = subject.facts, subject.facts["launches"]
        first, last = (facts[name].isoformat()[:7] for name in ("first_seen", "last_seen"))
        months = {month: 0 for month in self._days if first <= month <= last}
        name, is_repository = (facts["provider"], subject.name), "repository" in facts
        return self._render(
            "subject.html",
            depth=subject.path.count("/"),
            kind="repository" if is_repository else "organisation",
            subject=subject,
            facts=facts,
            name=readable(subject.name, 120),
            provider=readable(facts["provider"], 40),
            link=templates.link_to(*name) if is_repository else None,
            launch=templates.launch_on_mybinder(*name)
            if is_repository and self._is_mybinder
            else None,
            chart=self._chart(months | facts["by_month"]),
            tables=[
                (title, [(readable(name, 80), f"{k:,}", percent(k / n)) for name, k in rows])
                for title, rows in (
                    ("Members of the federation", _largest(facts["by_member"])),
                    ("Refs", _largest(facts.get("by_ref", {}))),
                )
                if rows
            ],
            repositories=[
                (readable(one.name, 120), page_of(one.path), f"{one.facts['launches']:,}")
                for one in subject.repositories[:_LISTED]
            ],
            more=max(0, len(subject.repositories) - _LISTED),
            short=badge(n)["message"],
            page=page_of(subject.path),
        )

    def at_top(self, index: dict[str, Any], totals: dict[str, Any]) -> dict[str, bytes]:
        """Make the index page, and the style sheet and script of all pages."""
        lists = {
            title: [
                (readable(name, 120), readable(provider, 40), f"{n:,}", page_of(path))
                for provider, name, n, path in index[title][:_LISTED]
            ]
            for title in ("repositories", "organisations")
        }
        page = self._render(
            "site.html",
            depth=0,
            first=index["start"],
            last=index["end"],
            launches=f"{totals['launches']:,}",
            known=plural(totals["repositories"], "repository"),
            least=f"{index['least']:,}",
            chart=self._chart(dict.fromkeys(self._days, 0) | totals["by_month"]),
            lists=lists,
        )
        read = templates.read_web
        style = read("page.css") + read("site.css")
        script = f"{read('page.js')};\n{read('site.js')}"
        return {"index.html": page, "site.css": style.encode(), "site.js": script.encode()}

    def _render(self, template: str, *, depth: int, **values: Any) -> bytes:
        page = templates.load_template(template).render(
            policy=_POLICY, instance=self._instance, root="../" * depth, **values
        )
        return page.encode()

    def _chart(self, by_month: Mapping[str, int]) -> "Chart":
        """Draw launches by month."""
        months = sorted(by_month.items())
        top = max((n for _, n in months), default=0) or 1
        bottom, step = _HEIGHT - _BOTTOM, (_WIDTH - _LEFT) / max(len(months), 1)
        scale = (bottom - 10) / top
        bars, rows = [], []
        for number, (month, n) in enumerate(months):
            kind = self._days.get(month, "unknown")
            if n and kind == "unknown":  # launches in the file of a day beside the month
                kind = "partial"
            height = bottom - 10 if kind == "unknown" else n * scale
            said = plural(n, "launch") if kind != "unknown" else "no day file"
            said += ", some days without a file" if kind == "partial" else ""
            if kind != "unknown" and (lost := self._lost_in(month)):
                kind, said = "partial", f"{said}, some of {lost} lost"
            place = round(_LEFT + number * step, 1), round(bottom - height, 1)
            size = round(max(step * 0.82, 0.5), 1), round(height, 1)
            bars.append(Bar(*place, *size, f"{month}: {said}", kind))
            rows.append((month, said))
        unit = _round_step(top)
        lines = [(round(bottom - n * scale, 1), f"{n:,}") for n in range(0, top + 1, unit)]
        years = [i for i, (month, _) in enumerate(months) if month.endswith("-01")] or [0]
        shown = years[:: -(-len(years) // 12)] if months else []
        labels = [(round(_LEFT + i * step, 1), months[i][0][:4]) for i in shown]
        return Chart(_WIDTH, _HEIGHT, _LEFT, bars, lines, labels, rows[::-1])

    def _lost_in(self, month: str) -> str:
        """Name the members of which launches of a month are known to be lost."""
        return ", ".join(
            note.member or "all members"
            for note in self._losses
            if f"{note.first}"[:7] <= month <= f"{note.last}"[:7]
        )


class Bar(NamedTuple):
    """A month of a chart: where its bar is, in the units of the drawing."""

    x: float
    y: float
    width: float
    height: float
    title: str
    kind: str  # "whole", "partial" or "unknown": how many days of the month have a file


class Chart(NamedTuple):
    """Launches by month, as a drawing `width` wide and `height` high."""

    width: int
    height: int
    left: int
    bars: list[Bar]
    lines: list[tuple[float, str]]  # height and label
    years: list[tuple[float, str]]  # position and label
    rows: list[tuple[str, str]]  # the same as a table


def _round_step(top: int) -> int:
    """Find a round step, of which at most four fit below `top`."""
    size = 1
    while True:
        for step in (size, 2 * size, 5 * size):
            if top // step <= 4:
                return step
        size *= 10


def _days_by_month(contents: Manifest) -> dict[str, str]:
    """Tell for each month whether all days have a file, some, or none."""
    missing = set(contents.missing)
    days: dict[str, list[bool]] = {}
    for number in range((contents.end - contents.start).days + 1):
        day = contents.start + timedelta(days=number)
        days.setdefault(f"{day:%Y-%m}", []).append(day not in missing)
    kinds = {}
    for month, known in days.items():
        whole = monthrange(int(month[:4]), int(month[5:]))[1]
        kinds[month] = "whole" if sum(known) == whole else "partial" if any(known) else "unknown"
    return kinds


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
