"""What is seen of a run while it goes on."""

import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from daskbinder.text import visible

if TYPE_CHECKING:
    from daskbinder.pipeline.run import Result


class Watch:
    """Shows how far a run is: a bar on a terminal, a line from time to time elsewhere."""

    def __init__(self, total: int) -> None:
        self.console = Console(stderr=True)
        self.total, self.bytes, self.events, self.tenth = max(total, 1), 0, 0, 0
        self.started = time.perf_counter()
        self.bar = Progress(
            TextColumn("counting"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}% {task.fields[events]:,} launches"),
            TextColumn("{task.fields[rate]:,.0f} MB/s"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task("", total=self.total, events=0, rate=0.0)

    def __enter__(self) -> "Watch":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def tell(self, sentence: str) -> None:
        """Print a sentence above the bar."""
        said = f"daskbinder: {visible(sentence)}"
        self.console.print(said, markup=False, highlight=False, soft_wrap=True)

    def finish(self, result: "Result") -> None:
        """Show the end; the last tasks may not have been heard of."""
        accepted = result.rollups.contents.totals.accepted
        self.bar.update(self.task, completed=self.total, events=accepted)

    def advance(self, read: int, events: int) -> None:
        """Count bytes that were read and launches that were in them."""
        self.bytes, self.events = self.bytes + read, self.events + events
        rate = self.bytes / 1e6 / max(time.perf_counter() - self.started, 1e-6)
        self.bar.update(self.task, advance=read, events=self.events, rate=rate)
        if not self.console.is_terminal and 10 * self.bytes // self.total > self.tenth:
            self.tenth = 10 * self.bytes // self.total
            click.echo(
                f"{10 * self.tenth}% read, {self.events:,} launches, {rate:,.0f} MB/s", err=True
            )
