"""Processes killed at random moments: the next run ends as if none were, and nobody reads a mix.

``DASKBINDER_KILLS`` says how many are killed.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from distributed import Client

import daskbinder as db
from conftest import Report
from support.histories import data, facts
from support.machines import Machines, machines

KILLS = int(os.environ.get("DASKBINDER_KILLS", "4"))
WORKERS = 2
DAYS = 14


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Give a scheduler with workers that have nannies."""
    with machines(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def add_nanny(cluster: Machines) -> subprocess.Popen[bytes]:
    words = ["--host", "127.0.0.1", "--nthreads", "1", "--no-dashboard", "--nanny"]
    return cluster.start("worker", cluster.address, *words)


class Reader(threading.Thread):
    """Reads a data set again and again; what it gets is whole or refused in a sentence."""

    def __init__(self, dest: Path) -> None:
        super().__init__(daemon=True)
        self.dest, self.done = str(dest), threading.Event()
        self.seen: Counter[str] = Counter()
        self.torn: list[str] = []

    def run(self) -> None:
        while not self.done.is_set():
            try:
                rollups = db.open(self.dest)
                total = rollups.manifest["totals"]["accepted"]
                n = rollups.load("monthly", by="day")["n"].sum()
                if n != total or n != rollups.federation("day")["n"].sum():
                    self.torn.append(f"{n:,} launches in place of {total:,}")
                self.seen["read"] += 1
            except (db.InputError, db.JobError):
                self.seen["refused"] += 1
            except Exception as error:
                self.torn.append(repr(error))


@contextmanager
def reading(dest: Path) -> Iterator[Reader]:
    reader = Reader(dest)
    reader.start()
    try:
        yield reader
    finally:
        reader.done.set()
        reader.join(30)
    assert reader.torn == []


def change(folder: Path, chance: random.Random) -> None:
    """Take some lines from a day and give them to another."""
    a, b = (chance.choice(sorted(folder.glob("events-*"))) for _ in range(2))
    lines = a.read_bytes().splitlines(keepends=True)
    cut = chance.randrange(len(lines) // 2 + 1)
    a.write_bytes(b"".join(lines[cut:]))
    moved = b"".join(lines[:cut]).replace(a.name[7:17].encode(), b.name[7:17].encode())
    b.write_bytes(b.read_bytes() + moved)


def start(folder: Path, dest: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "daskbinder", "run", str(folder), str(dest), *more]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until_begun(running: subprocess.Popen[bytes], dest: Path) -> None:
    while running.poll() is None and not (dest / ".daskbinder/target.json").exists():
        time.sleep(0.002)


def test_any_process_may_be_killed_at_any_moment(
    cluster: Machines, client: Client, tmp_path: Path, report: Report
) -> None:
    folder, dest, spare = (tmp_path / name for name in ("archive", "out", "spare"))
    db.write_sample(folder, days=DAYS, events_per_day=2_000)
    db.run(db.plan(db.Archive(folder), dest))
    chance = random.Random()  # the moments cannot be had again anyway
    nannies = [add_nanny(cluster) for _ in range(WORKERS)]
    seen: Counter[str] = Counter()
    with reading(dest) as reader, Client(cluster.address, set_as_default=False) as remote:
        for kill in range(KILLS):
            remote.wait_for_workers(WORKERS, timeout=60)
            change(folder, chance)
            more = ["--full"] if kill % 2 else []
            victim = ("client", "worker", "nanny", "client of its own workers")[kill % 4]
            where = ["--scheduler", cluster.address] if kill % 4 < 3 else ["--workers", "2"]
            running = start(folder, dest, *where, "--blocksize", "300KB", *more)
            if chance.random() < 0.8:  # else it is hardly more than started
                wait_until_begun(running, dest)
            time.sleep(chance.uniform(0.0, 0.9))
            if running.poll() is None:
                seen[f"{victim}, killed in mid-run"] += 1
            if victim.startswith("client"):
                running.kill()
            elif victim == "nanny":
                nanny = nannies.pop(chance.randrange(WORKERS))
                nanny.kill()
                nannies.append(add_nanny(cluster))
            else:
                for worker in psutil.Process(chance.choice(nannies).pid).children():
                    if "spawn_main" in " ".join(worker.cmdline()):
                        worker.kill()
            code = running.wait(120)
            seen["runs that ended well all the same"] += code == 0
            if not victim.startswith("client"):
                assert code in (0, 1)
            if chance.random() < 0.3:
                change(folder, chance)
            db.run(db.plan(db.Archive(folder), dest), client)
            db.run(db.plan(db.Archive(folder), spare, full=True), client)
            found, wanted = data(dest), data(spare)
            assert found.keys() == wanted.keys()
            assert [name for name in found if found[name] != wanted[name]] == []
            assert facts(dest) == facts(spare)
            assert db.check(dest, folder).ok
            seen["kills"] += 1
    said = ", ".join(f"{n:,} {what}" for what, n in (seen + reader.seen).items())
    report(f"{said}: every run after it ended as a rebuild, nothing torn was read")
