"""The explorer and the report in headless Chromium: started, opened, watched, asked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from distributed import Client
from playwright.sync_api import Browser, Page

import daskbinder as db
from benchmarks.look import FIGURES
from daskbinder.model.hub import MYBINDER
from support import runs
from support.commands import PROGRAM, start


def count(archive: Path, dest: Path, client: Client, instance: db.Instance = MYBINDER) -> Path:
    runs.run(db.Archive(archive, instance=instance), dest, client)
    return dest


@contextmanager
def explorer(dest: Path, port: int = 0) -> Iterator[tuple[str, psutil.Process]]:
    process = start(*PROGRAM, "explore", dest, "--no-browser", "--port", port)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().split()[0]
        yield address, psutil.Process(process.pid)
    finally:
        process.send_signal(2)
        said = process.communicate(timeout=20)[1]
        assert process.returncode == 0
        assert "Traceback" not in said, said


class Watched:
    """A page of which every request, error and message is kept."""

    def __init__(self, browser: Browser, **how: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}} | how)
        self.page: Page = self.context.new_page()
        self.asked: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("websocket", lambda socket: self.asked.append(socket.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda said: (
                self.errors.append(said.text) if said.type in ("error", "warning") else None
            ),
        )

    def strangers(self, host: str) -> list[str]:
        """Requests to anybody else."""
        return [
            url
            for url in self.asked
            if urlsplit(url).netloc != host and urlsplit(url).scheme not in ("data", "blob")
        ]


def visit(page: Page, address: str) -> Page:
    """Open the explorer and wait until it has everything."""
    page.goto(address)
    page.wait_for_function(
        "names => names.every(name => (window.Bokeh?.documents ?? []).some("
        "doc => doc.get_model_by_name(`figure-${name}`)))",
        arg=list(FIGURES),
    )
    page.wait_for_function("document.body.dataset.shown !== undefined")
    return page


def shown(page: Page, name: str) -> str:
    return page.locator(f"[data-show={name}]").inner_text()


def act(page: Page, do: Callable[[], Any]) -> None:
    """Do something, and wait until what it changed is painted."""
    page.evaluate("performance.clearMarks()")
    do()
    page.wait_for_function("performance.getEntriesByName('shown').length > 0")


def figure(page: Page, name: str, what: str) -> Any:
    """Evaluate something about a figure, of which `it` is the model."""
    return page.evaluate(
        f"(() => {{ const it = Bokeh.documents.map(doc => doc.get_model_by_name('figure-{name}'))"
        f".find(Boolean); return {what} }})()"
    )
