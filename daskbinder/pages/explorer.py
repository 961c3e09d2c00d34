"""The explorer: a Panel app on loopback that shows a finished data set in the browser.

Figures are drawn once and copied for each visitor, whose choices replace the values of the copies.
The page is our own template: its text and controls appear before Panel's scripts have loaded.
"""

import asyncio
import logging
import socket
import webbrowser
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import holoviews as hv
import panel as pn
import param
from bokeh.document import Document
from panel.custom import JSComponent
from panel.io import hold
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError

from daskbinder.dataset.rollups import Rollups
from daskbinder.errors import InputError
from daskbinder.pages import templates
from daskbinder.pages.content import HEADLINES, PageContent
from daskbinder.pages.data import PageData
from daskbinder.pages.downloads import FILES, Download
from daskbinder.pages.figures import FIGURES, legend
from daskbinder.pages.filters import GRAINS, RANGES, Filters
from daskbinder.plots.theme import COLOURS, PROVIDER_COLOURS
from daskbinder.plots.timeseries import KINDS, count_states
from daskbinder.text import plural

__all__ = ["serve"]

_NOTHING = "No launches for this choice"
_LOOPBACK = "127.0.0.1"
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' blob:; frame-src 'none'; object-src 'none'; form-action 'self'; "
    "base-uri 'none'"
)


class Originals:
    """Every figure, drawn once; copying one is faster than drawing it."""

    def __init__(self, data: PageData) -> None:
        content, filters = PageContent(data), Filters.read("", data)
        self._documents: dict[str, Any] = {}
        for name, page_figure in FIGURES.items():
            figure = hv.render(page_figure.draw(content, filters))
            figure.name = f"figure-{name}"
            document = Document()
            document.add_root(figure)
            self._documents[name] = document.to_json()

    def copy(self, name: str) -> Any:
        """Make a Bokeh figure like the original."""
        document = Document.from_json(self._documents[name])
        (figure,) = document.roots
        document.remove_root(figure)
        return figure


class Bridge(JSComponent):  # type: ignore[misc]  # Panel has no types
    """Passes choices from the page to the server, and text back."""

    shown = param.Dict()

    _esm = templates.read_web("explore.js")


class Visit:
    """The page of one visitor."""

    def __init__(self, data: PageData, originals: Originals, query: str) -> None:
        self.data, self.originals, self.content = data, originals, PageContent(data)
        self.filters = Filters.read(query, data)
        self.slots = {name: pn.Column(sizing_mode="stretch_width", margin=0) for name in FIGURES}
        self.shown: dict[str, Any] = {}
        self.bridge = Bridge(shown=self.content.texts(self.filters, query))
        self.bridge.on_msg(lambda event: self._choose(getattr(event, "data", event)))

    def template(self, query: str) -> pn.Template:
        """Lay out the page with its first figure; the others follow."""
        template = pn.Template(templates.load_template("explore.html"))
        for name, slot in self.slots.items():
            template.add_panel(name, slot)
        template.add_panel("bridge", self.bridge)
        for name, value in self._variables(query).items():
            template.add_variable(name, value)
        self._show(self.filters.kind)
        pn.state.onload(self._show_next)
        return template

    def _variables(self, query: str) -> dict[str, Any]:
        data, filters = self.data, self.filters
        return {
            "policy": _POLICY,
            "page_css": templates.read_web("page.css"),
            "explore_css": templates.read_web("explore.css"),
            "page_js": templates.read_web("page.js"),
            "query": query,
            "filters": filters,
            "instance": data.instance,
            "first": data.first,
            "last": data.last,
            "ranges": list(RANGES.items()),
            "grains": list(GRAINS.items()),
            "kinds": [(kind, kind.capitalize()) for kind in KINDS],
            "headlines": list(HEADLINES.items()),
            "shown": self.bridge.shown,
            "groups": [
                ("Members", "member", legend(data.members, COLOURS, filters.members)),
                (
                    "Providers",
                    "provider",
                    legend(data.providers, PROVIDER_COLOURS, filters.providers),
                ),
            ],
            "notes": list(enumerate(data.notes, 1)),
            "archive_note": plural(len(data.days), "day"),
            "states": count_states(data.states["state"]),
        }

    def _show_next(self) -> None:
        """Add the next figure that is missing, those in sight first; between two, choices count."""
        for name in sorted(self.slots, key=self._is_hidden):
            if not len(self.slots[name]):
                self._show(name)
                pn.state.curdoc.add_next_tick_callback(self._show_next)
                return

    def _choose(self, query: Any) -> None:
        """Show what the visitor chose."""
        if not isinstance(query, str):
            return
        self.filters = Filters.read(query, self.data)
        with hold():
            for name, page_figure in FIGURES.items():
                if page_figure.update and not self._is_hidden(name):
                    self._show(name)
            self.bridge.shown = self.content.texts(self.filters, query)

    def _is_hidden(self, name: str) -> bool:
        """Whether it is of a kind that is not chosen."""
        return name in KINDS and name != self.filters.kind

    def _show(self, name: str) -> None:
        """Update a figure to the filters, and add it to the page if it is missing."""
        slot, update = self.slots[name], FIGURES[name].update
        figure = slot[0].object if len(slot) else self.originals.copy(name)
        if update:
            self.shown[name] = update(figure, self.content, self.filters, self.shown.get(name))
        if not len(slot):  # after its update, since each change to a shown figure is sent
            size = {"sizing_mode": "stretch_width", "height": figure.height, "margin": 0}
            plot = pn.pane.Bokeh(figure, visible=figure.visible, **size)
            style = {"styles": {"color": "var(--soft)"}, "visible": not figure.visible}
            slot.extend([plot, pn.pane.Str(_NOTHING, **style)])
        slot[0].visible, slot[1].visible = figure.visible, not figure.visible


def make_page(data: PageData, origin: str) -> Callable[[], Any]:
    """Return a function that makes each visitor's page, for requests to `origin` only."""
    originals = Originals(data)

    def page_of_visitor() -> Any:
        request = pn.state.curdoc.session_context.request
        if request.headers.get("Host") != origin:
            return pn.pane.Str(f"This server answers at {origin} only.")
        given = {
            name: [value.decode("utf-8", "replace") for value in values]
            for name, values in request.arguments.items()
        }
        query = urlencode(given, doseq=True)
        return Visit(data, originals, query).template(query)

    return page_of_visitor


def serve(
    rollups: Rollups, *, port: int = 0, show: bool = True, tell: Callable[[str], None] = print
) -> None:
    """Show a data set in the browser, until interrupted.

    `port` is on loopback, 0 for any free one; `tell` is called with the address.
    """
    data = PageData.load(rollups)
    port = _free_port(port)
    origin = f"{_LOOPBACK}:{port}"
    server = pn.serve(
        {"/": make_page(data, origin)},
        address=_LOOPBACK,
        port=port,
        websocket_origin=[origin],
        extra_patterns=[
            (rf"/{name}\.csv", Download, {"data": data, "origin": origin, "name": name})
            for name in FILES
        ],
        title=f"Launches on {data.instance}",
        show=False,
        start=False,
        verbose=False,
    )
    logging.getLogger("bokeh.server.views.ws").setLevel(logging.ERROR)
    server.io_loop.asyncio_loop.set_exception_handler(_handle_error)
    server.start()
    try:
        tell(f"http://{origin}/")
        if show:
            server.io_loop.call_later(0.1, webbrowser.open, f"http://{origin}/")
        server.io_loop.start()
    finally:
        server.stop()


def _handle_error(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error, unless a visitor left before everything was sent."""
    if not isinstance(context.get("exception"), WebSocketClosedError | StreamClosedError):
        loop.default_exception_handler(context)


def _free_port(port: int) -> int:
    """Find a free port, or check that this one is free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError as error:
            raise InputError(
                f"port {port} cannot be used ({error.strerror}); choose another with --port"
            ) from error
        return int(probe.getsockname()[1])
