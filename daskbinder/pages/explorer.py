"""The explorer: a Panel app on loopback that shows a finished data set in the browser.

Figures are drawn once and copied for every visitor; what a visitor chooses gives them new values.
The page is our own template, for it is there before Panel's scripts are.
"""

import asyncio
import logging
import socket
import webbrowser
from collections.abc import Callable
from datetime import date
from typing import Any
from urllib.parse import urlencode

import holoviews as hv
import numpy as np
import panel as pn
import param
import tornado.web
from bokeh.document import Document
from bokeh.models import LinearColorMapper
from panel.custom import JSComponent
from panel.io import hold
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.model.dates import day_of
from daskbinder.pages import templates
from daskbinder.pages.content import (
    HEADLINES,
    PageContent,
    figures,
    legend,
    repositories_csv,
    series_csv,
    tallies,
)
from daskbinder.pages.data import PageData
from daskbinder.pages.filters import GRAINS, RANGES, Filters
from daskbinder.plots.timeseries import ALL, KINDS, TIME, TOLD, WHEN, PlotSeries

__all__ = ["serve"]

_LOCAL = "127.0.0.1"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob:; frame-src 'none'; object-src 'none'; form-action 'self'; "
    "base-uri 'none'"
)


class LiveFigure:
    """A figure over time that is there, and is given new values."""

    def __init__(self, figure: Any, *, logy: bool = False) -> None:
        self.figure, self.logy = figure, logy
        self.parts = {part.name: part.data_source for part in figure.renderers if part.name}
        sources = (part.data_source for part in figure.renderers)
        (self.told,) = (source for source in sources if TOLD in source.data)

    def draw(self, values: PlotSeries) -> None:
        """Give it new values."""
        time = values.frame[TIME].to_numpy()
        for number, name in enumerate(values.names):
            source = self.parts[name]
            points = (values.line if values.kind == "lines" else values.polygon)(number)
            source.data = dict(zip(source.data, points, strict=True))
        told = {
            TIME: time,
            WHEN: values.frame[WHEN].tolist(),
            TOLD: values.frame[TOLD].tolist(),
        }
        highest = values.frame[ALL].to_numpy()
        self.told.data = {name: told.get(name, highest) for name in self.told.data}

    def frame(self, values: PlotSeries, first: date, last: date) -> None:
        """Show the days from `first` to `last`."""
        half = np.timedelta64(12, "h")
        start, end = np.datetime64(first) - half, np.datetime64(last) + half
        time = values.frame[TIME].to_numpy()
        x, y = self.figure.x_range, self.figure.y_range
        x.update(start=start, end=end, reset_start=start, reset_end=end)
        low, high = values.ylim(self.logy, (time >= start) & (time <= end))
        y.update(start=low, end=high, reset_start=low, reset_end=high)


class Figures:
    """The figures, each drawn once and then copied for every visitor: drawing takes longer."""

    def __init__(self, tables: PageData) -> None:
        self._made = {
            name: _packed(name, plot) for name, plot in figures(PageContent(tables)).items()
        }

    def copy(self, name: str) -> Any:
        """Give a new figure of a name."""
        document = Document.from_json(self._made[name])
        (figure,) = document.roots
        document.remove_root(figure)
        return figure


def _packed(name: str, plot: Any) -> Any:
    figure = hv.render(plot)
    figure.name = f"figure-{name}"
    document = Document()
    document.add_root(figure)
    return document.to_json()


class Bridge(JSComponent):  # type: ignore[misc]  # Panel has no types
    """What goes between the page and the server."""

    shown = param.Dict()

    _esm = templates.web("explore.js")


class Visit:
    """One visitor's page."""

    def __init__(self, tables: PageData, figures: Figures, query: str) -> None:
        self.tables, self.figures, self.view = tables, figures, PageContent(tables)
        self.state = Filters.read(query, tables)
        self.live: dict[str, LiveFigure] = {}
        self.seen: dict[str, Any] = {}
        self.slots = {
            name: pn.Column(sizing_mode="stretch_width", margin=0)
            for name in (*KINDS, "providers", "hours", "repository", "archive")
        }
        self.bridge = Bridge(shown=self.view.shown(self.state, query))
        self.bridge.on_msg(lambda event: self._choose(getattr(event, "data", event)))

    def template(self, query: str) -> pn.Template:
        """Lay the page out, with the first figure; the others follow."""
        tables, state = self.tables, self.state
        found = pn.Template(templates.environment().get_template("explore.html"))
        for name, slot in self.slots.items():
            found.add_panel(name, slot)
        found.add_panel("bridge", self.bridge)
        names = {"members": tables.members, "providers": tables.providers}
        keys = {of: legend(some, of) for of, some in names.items()}
        filters = [
            (
                title,
                of.removesuffix("s"),
                [(*key, name in chosen) for name, key in zip(names[of], keys[of], strict=True)],
            )
            for title, of, chosen in (
                ("Members", "members", state.members),
                ("Providers", "providers", state.providers),
            )
        ]
        for name, value in {
            "policy": _POLICY,
            "page_css": templates.web("page.css"),
            "explore_css": templates.web("explore.css"),
            "page_js": templates.web("page.js"),
            "query": query,
            "state": state,
            "instance": tables.instance,
            "first": day_of(tables.first),
            "last": day_of(tables.last),
            "ranges": list(RANGES.items()),
            "grains": list(GRAINS.items()),
            "kinds": [(kind, kind.capitalize()) for kind in KINDS],
            "headlines": list(HEADLINES.items()),
            "shown": self.bridge.shown,
            "filters": filters,
            "notes": list(enumerate(tables.notes, 1)),
            "archive_note": f"{len(tables.days):,} days",
            "states": tallies(tables),
            **keys,
        }.items():
            found.add_variable(name, value)
        self._show(state.kind)
        pn.state.onload(self._rest)
        return found

    def _rest(self) -> None:
        """Add the figures that are not seen first, one at a time: what is asked goes before."""
        for name, slot in self.slots.items():
            if not len(slot):
                self._show(name)
                pn.state.curdoc.add_next_tick_callback(self._rest)
                return

    def _choose(self, query: Any) -> None:
        """Show what was chosen."""
        if not isinstance(query, str):
            return
        self.state = Filters.read(query, self.tables)
        with hold():
            for name in (self.state.kind, "repository", "providers", "hours"):
                self._show(name)
            self.bridge.shown = self.view.shown(self.state, query)

    def _show(self, name: str) -> None:
        """Bring a figure to what was chosen, if that is new to it."""
        slot = self.slots[name]
        figure = slot[0].object if len(slot) else self.figures.copy(name)
        if name == "hours":
            self._show_hours(figure)
        elif name != "archive":
            self.live.setdefault(name, LiveFigure(figure, logy=name == "providers"))
            self._show_series(name)
        if not len(slot):  # when it has its values: what is on the page is told each change
            size = {"sizing_mode": "stretch_width", "height": figure.height, "margin": 0}
            slot.append(pn.pane.Bokeh(figure, **size))

    def _show_series(self, name: str) -> None:
        state, view = self.state, self.view
        key: Any = state.grain, state.members, state.providers
        kind, rates = name, view.member_rates
        if name == "providers":
            kind, rates = "lines", view.provider_rates
        elif name == "repository":
            kind, rates = "stacked", view.repository_rates
            key = state.grain, state.members, view.repository(state)
        if name not in self.seen or self.seen[name][0] != key:
            self.seen[name] = key, PlotSeries.of(rates(state), kind, state.grain)
            self.live[name].draw(self.seen[name][1])
        self.live[name].frame(self.seen[name][1], state.first, state.last)

    def _show_hours(self, figure: Any) -> None:
        state = self.state
        key = state.first, state.last, state.members
        if self.seen.get("hours") == key:
            return
        self.seen["hours"] = key
        mean = self.view.hours(state).set_index(["weekday", "hour"])["launches"]
        (part,) = figure.renderers
        data = part.data_source.data
        values = mean.loc[list(zip(data["weekday"], data["hour"], strict=True))].to_numpy()
        part.data_source.data = {**data, "zvalues": values, "launches": values}
        high = float(np.nanmax(values, initial=0.0))
        low = float(np.nanmin(values, initial=high))
        figure.select_one(LinearColorMapper).update(low=low, high=high)


def pages(tables: PageData, origin: str) -> Callable[[], Any]:
    """Make the page of each visitor.

    Parameters
    ----------
    tables : PageData
        What is shown.
    origin : str
        Host and port that the server answers to.
    """
    originals = Figures(tables)

    def page_of_visitor() -> Any:
        request = pn.state.curdoc.session_context.request
        if request.headers.get("Host") != origin:
            return pn.pane.Str(f"This server answers at {origin} only.")
        given = {
            name: [text.decode("utf-8", "replace") for text in texts]
            for name, texts in request.arguments.items()
        }
        query = urlencode(given, doseq=True)
        return Visit(tables, originals, query).template(query)

    return page_of_visitor


class _Download(tornado.web.RequestHandler):
    """What is shown, as a file."""

    def initialize(self, tables: PageData, origin: str, kind: str) -> None:
        self.tables, self.origin, self.kind = tables, origin, kind

    def get(self) -> None:
        """Answer with CSV."""
        if self.request.host != self.origin:
            raise tornado.web.HTTPError(403)
        state = Filters.read(self.request.query, self.tables)
        view = PageContent(self.tables)
        text = {"series": series_csv, "repositories": repositories_csv}[self.kind](view, state)
        name = f"{self.kind}-{state.first}-{state.last}.csv"
        self.set_header("Content-Type", "text/csv; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("X-Content-Type-Options", "nosniff")
        self.write(text)


def serve(
    rollups: Rollups, *, port: int = 0, show: bool = True, tell: Callable[[str], None] = print
) -> None:
    """Show a data set in the browser, until interrupted.

    Parameters
    ----------
    rollups : Rollups
        The data set.
    port : int
        Of this machine, on loopback only; any free one by default.
    show : bool
        Whether to open the browser.
    tell : callable
        Called with the address.
    """
    tables = PageData.load(rollups)
    port = _bound(port)
    origin = f"{_LOCAL}:{port}"
    files = [
        (rf"/{kind}\.csv", _Download, {"tables": tables, "origin": origin, "kind": kind})
        for kind in ("series", "repositories")
    ]
    server = pn.serve(
        {"/": pages(tables, origin)},
        address=_LOCAL,
        port=port,
        websocket_origin=[origin],
        extra_patterns=files,
        title=f"Launches on {tables.instance}",
        show=False,
        start=False,
        verbose=False,
    )
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    server.io_loop.asyncio_loop.set_exception_handler(_hear)
    server.start()
    try:
        tell(f"http://{origin}/")
        if show:
            server.io_loop.call_later(0.1, webbrowser.open, f"http://{origin}/")
        server.io_loop.start()
    finally:
        server.stop()


def _hear(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what went wrong, but that a visitor left before all was sent is nothing wrong."""
    if not isinstance(context.get("exception"), WebSocketClosedError | StreamClosedError):
        loop.default_exception_handler(context)


def _bound(port: int) -> int:
    """Find a free port, or make sure that this one is."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOCAL, port))
        except OSError as error:
            raise InputError(
                f"port {port} cannot be used ({error.strerror}); name another by --port"
            ) from error
        return int(probe.getsockname()[1])
