"""Whatever happens to an archive and to a data set between runs, the next run ends as a rebuild.

``DASKBINDER_HISTORIES`` says how many histories hypothesis draws.
"""

import gzip
import os
import shutil
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

from distributed import Client
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)

import daskbinder as db
from conftest import MakeEvents, Report
from support.disk import disk, ends, wait_for_threads
from support.histories import FIRST, Writer, data, facts

HISTORIES = int(os.environ.get("DASKBINDER_HISTORIES", "12"))
DAYS = st.integers(0, 12).map(lambda offset: FIRST + timedelta(days=offset))
CHOICES = st.sampled_from(
    [
        {"windows": ["daily"], "grains": ["day"]},
        {"windows": ["weekly", "monthly"], "grains": ["day"]},
        {"windows": ["monthly"], "grains": ["hour", "day"]},
        {"windows": ["daily"], "grains": ["hour", "day"]},
    ]
)


class History(RuleBasedStateMachine):
    """An archive, a data set of it, and what may happen to both."""

    events: MakeEvents
    client: Client
    root: Path
    seen: Counter[str]

    @initialize(options=CHOICES)
    def begin(self, options: dict[str, list[str]]) -> None:
        self.seen["histories"] += 1
        shutil.rmtree(self.root, ignore_errors=True)
        self.options = options
        self.archive, self.dest = self.root / "archive", self.root / "dest"
        self.archive.mkdir(parents=True)
        self.writer = Writer(self.archive)
        self.write(FIRST, 0)
        self.write(FIRST + timedelta(days=12), 0)
        self.count(self.dest)

    @rule(day=DAYS, seed=st.integers(0, 3))
    def write(self, day: date, seed: int) -> None:
        """Add or rewrite a day: what it holds may grow, shrink or stray."""
        self.drop(day)
        self.writer.write(day, self.events(day, seed))

    @rule(day=DAYS)
    def remove(self, day: date) -> None:
        """Take a day away, if another is left that can be read."""
        if {*self.archive.glob("*.jsonl")} - {self.archive / f"events-{day}.jsonl"}:
            self.drop(day)

    @rule(day=DAYS, seed=st.integers(0, 3), spoilt=st.booleans())
    def pack(self, day: date, seed: int, spoilt: bool) -> None:
        """Write a day as gzip, perhaps cut short; one that is whole stays there."""
        self.write(day, seed)
        path = self.archive / f"events-{day}.jsonl"
        packed = gzip.compress(path.read_bytes(), mtime=0)
        if spoilt and any(other != path for other in self.archive.glob("*.jsonl")):
            packed = packed[:-9]
        path.unlink()
        path.with_name(f"{path.name}.gz").write_bytes(packed)
        if not any(self.archive.glob("*.jsonl")):
            self.write(FIRST - timedelta(days=3), seed)

    @rule(place=st.integers(0, 1000))
    def lose(self, place: int) -> None:
        """Lose a file of the data set."""
        names = sorted(data(self.dest))
        if names:
            (self.dest / names[place % len(names)]).unlink()
            self.seen["losses"] += 1

    @rule(at=st.integers(1, 40))
    def crash(self, at: int) -> None:
        """Run, and die at a call of the file system."""
        with disk(self.dest, at):
            failed = ends(lambda: self.count(self.dest))
            wait_for_threads(self.client)
        self.seen["crashes"] += failed is not None

    @rule()
    def run(self) -> None:
        self.count(self.dest)
        self.seen["refreshes"] += 1
        self.count(self.root / "rebuilt", full=True)
        found, wanted = data(self.dest), data(self.root / "rebuilt")
        assert found.keys() == wanted.keys()
        assert [name for name in found if found[name] != wanted[name]] == []
        assert facts(self.dest) == facts(self.root / "rebuilt")

    def teardown(self) -> None:
        if self.root.exists():
            self.run()

    def drop(self, day: date) -> None:
        self.writer.remove(day)
        (self.archive / f"events-{day}.jsonl.gz").unlink(missing_ok=True)

    def count(self, dest: Path, **how: bool) -> None:
        db.run(db.plan(db.Archive(self.archive), dest, keep_going=True, **self.options, **how))


def test_any_history_ends_as_a_rebuild(
    events: MakeEvents, client: Client, tmp_path: Path, report: Report
) -> None:
    seen: Counter[str] = Counter()

    class PlotSeries(History):
        pass

    PlotSeries.events, PlotSeries.client = staticmethod(events), client
    PlotSeries.root, PlotSeries.seen = tmp_path / "history", seen
    run_state_machine_as_test(
        PlotSeries,
        settings=settings(
            max_examples=HISTORIES,
            stateful_step_count=8,
            phases=[Phase.reuse, Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    said = ", ".join(f"{n:,} {what}" for what, n in seen.items())
    report(f"{said}: all end as a rebuild")
