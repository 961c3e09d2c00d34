"""Progress displays on standard error, for a run and for a sync."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from daskbinder.text import visible

if TYPE_CHECKING:
    from daskbinder.pipeline.run import Result


class RunProgress:
    """Shows the progress of a run: a bar on a terminal, elsewhere a line for every 10%."""

    def __init__(self, total: int) -> None:
        self.console = Console(stderr=True)
        self.total, self.bytes, self.launches, self.tenth = max(total, 1), 0, 0, 0
        self.started = time.perf_counter()
        self.bar = Progress(
            TextColumn("counting"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.fields[launches]:,} launches"),
            TextColumn("{task.fields[rate]:,.0f} MB/s"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=self.total, launches=0, rate=0.0)

    def __enter__(self) -> "RunProgress":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def tell(self, sentence: str) -> None:
        """Print a message above the bar."""
        text = f"daskbinder: {visible(sentence)}"
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def advance(self, read: int, launches: int) -> None:
        """Add bytes read, and the launches in them."""
        self.bytes, self.launches = self.bytes + read, self.launches + launches
        rate = self.bytes / 1e6 / max(time.perf_counter() - self.started, 1e-6)
        self.bar.update(self.task, advance=read, launches=self.launches, rate=rate)
        tenth = 10 * self.bytes // self.total
        if not self.console.is_terminal and tenth > self.tenth:
            self.tenth = tenth
            click.echo(
                f"{10 * tenth}% read, {self.launches:,} launches, {rate:,.0f} MB/s", err=True
            )

    def finish(self, result: "Result") -> None:
        """Fill the bar: progress of the last tasks may not have arrived."""
        launches = result.rollups.contents.totals.accepted
        self.bar.update(self.task, completed=self.total, launches=launches)


@contextmanager
def sync_progress(total: int) -> Iterator[Callable[[int, int], None]]:
    """Show a bar on a terminal; yield a function to call with the bytes of each finished file."""
    console = Console(stderr=True)
    with Progress(
        *Progress.get_default_columns()[:2],
        *(DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task("syncing", total=total)
        yield lambda size, _fetched: bar.advance(task, size)
