"""A Dask cluster of separate processes on this machine."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Machines:
    """A scheduler and workers, each a process of its own."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        env: dict[str, str] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.folder, self.options, self.python = folder, options, python
        self.env = os.environ | {"PYTHONPATH": str(ROOT)} | (env or {})
        self.processes: list[subprocess.Popen[bytes]] = []
        found = folder / "scheduler.json"
        words = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"]
        self.scheduler = self.start("scheduler", *words, "--scheduler-file", str(found))
        deadline = time.monotonic() + 30
        while not found.exists() or not found.read_text().strip():
            assert time.monotonic() < deadline, "the scheduler did not start"
            time.sleep(0.02)
        self.address: str = json.loads(found.read_text())["address"]

    def start(self, kind: str, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [self.python, "-m", f"distributed.cli.dask_{kind}", *words, *self.options],
            cwd=self.folder,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    def add_worker(self, *words: str) -> subprocess.Popen[bytes]:
        local = ["--host", "127.0.0.1", "--no-nanny", "--nthreads", "1", "--no-dashboard"]
        return self.start("worker", self.address, *local, *words)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()


@contextmanager
def machines(folder: Path, *options: str, **more: Any) -> Iterator[Machines]:
    made = Machines(folder, *options, **more)
    try:
        yield made
    finally:
        made.stop()
