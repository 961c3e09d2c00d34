"""Day files of several blocks that change while runs read them: a run has one version of each.

``DASKBINDER_REWRITES`` says how many runs are made.
"""

import json
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from threading import Event, Thread

from distributed import Client

import daskbinder as db
from conftest import MakeLaunch, Report

RUNS = int(os.environ.get("DASKBINDER_REWRITES", "15"))
FIRST = date(2021, 3, 4)
DAYS = [FIRST + timedelta(days=i) for i in range(3)]
SENTENCE = re.compile(
    r"was rewritten since it was listed; run again"
    r"|has another events-\S+ than was listed; run again|has no launch in it: "
)


class Rewriter:
    """Changes one day file after another; every content is the beginning of one version.

    The lines of a version are numbered, and all lines are of one length.
    """

    def __init__(self, folder: Path, line: dict[str, object], chance: random.Random) -> None:
        self.folder, self.line, self.chance = folder, line, chance
        self.versions = 0
        self.seen: Counter[str] = Counter()
        self.is_over = Event()

    def lines(self, day: date, version: int, first: int, last: int) -> bytes:
        stamp = {"timestamp": f"{day}T10:00:00+00:00"}
        found = [self.line | stamp | {"spec": f"{version:06}/{i:06}"} for i in range(first, last)]
        return b"".join(json.dumps(one).encode() + b"\n" for one in found)

    def change(self) -> None:
        day = self.chance.choice(DAYS)
        path = self.folder / f"events-{day}.jsonl"
        kind = self.chance.choice(["replaced", "written over", "appended to", "truncated"])
        if kind in ("replaced", "written over"):
            self.versions += 1
            body = self.lines(day, self.versions, 0, self.chance.choice([60, 60, 60, 90]))
            if kind == "replaced":
                new = self.folder / "new"
                new.write_bytes(body)
                new.replace(path)
            else:
                path.write_bytes(body)
        else:
            body = path.read_bytes()
            length = body.index(b"\n") + 1
            count, version = len(body) // length, int(json.loads(body[:length])["spec"][:6])
            if kind == "appended to":
                with path.open("ab") as file:
                    file.write(self.lines(day, version, count, count + self.chance.choice([1, 30])))
            else:
                os.truncate(path, self.chance.randrange(count // 2, count + 1) * length)
        self.seen[kind] += 1

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Change files now and then, until the block is over."""

        def work() -> None:
            while not self.is_over.wait(self.chance.choice([0.001, 0.02, 0.3, 0.8])):
                self.change()

        thread = Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            self.is_over.set()
            thread.join()


def test_a_run_reads_one_version_of_each_file_or_ends_in_a_sentence(
    launch: MakeLaunch, tmp_path: Path, client: Client, report: Report
) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    rewriter = Rewriter(folder, launch(), random.Random(19))
    for day in DAYS:
        (folder / f"events-{day}.jsonl").write_bytes(rewriter.lines(day, 0, 0, 60))
    ended: Counter[str] = Counter()
    in_blocks = 0
    with rewriter.at_work():
        for i in range(RUNS):
            plan = db.plan(
                db.Archive(folder),
                tmp_path / "out",
                windows=["daily"],
                grains=["day"],
                blocksize=1_500,
                full=i % 2 == 0,
            )
            in_blocks += len(plan.blocks) > 2 * len(plan.read)
            try:
                check_versions(db.run(plan).rollups)
            except (db.InputError, db.JobError) as error:
                assert SENTENCE.search(str(error)), error  # noqa: PT017  # the other is no failure
                ended["in a sentence"] += 1
            else:
                ended["with one version of each file"] += 1
    check_versions(db.run(db.plan(db.Archive(folder), tmp_path / "out")).rollups)
    assert db.check(tmp_path / "out", folder).ok
    assert in_blocks > RUNS // 2
    kinds = ", ".join(f"{n:,} {kind}" for kind, n in sorted(rewriter.seen.items()))
    ends = ", ".join(f"{n:,} ended {how}" for how, n in sorted(ended.items()))
    report(f"{RUNS:,} runs while files were {kinds}: {ends}, 0 with a mix")


def check_versions(rollups: db.Rollups) -> None:
    """See that the launches of each day are the beginning of one version, as long as the file."""
    numbers: dict[date, list[int]] = defaultdict(list)
    versions: dict[date, set[str]] = defaultdict(set)
    for row in rollups.load("daily", by="day").itertuples():
        version, _, number = row.spec.partition("/")
        assert row.n == 1
        versions[row.timestamp.date()].add(version)
        numbers[row.timestamp.date()].append(int(number))
    for day in rollups.days.itertuples():
        assert len(versions[day.date]) <= 1, f"{day.date} is a mix of {versions[day.date]}"
        assert sorted(numbers[day.date]) == list(range(day.accepted))
