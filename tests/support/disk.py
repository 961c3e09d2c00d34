"""A file system that fails when told: at one call, or from that call on, as if the process died."""

import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distributed import Client

import daskbinder as db


class Disk:
    """Fails at one call that changes something below a folder, and at all after it or at no other.

    Python tells of each such call before it is made, whoever makes it.
    """

    changes = frozenset(("os.rename", "os.remove", "os.mkdir", "os.rmdir"))

    def __init__(self) -> None:
        self.root = ""
        self.lock = threading.Lock()
        sys.addaudithook(self.hear)  # for the rest of the process

    def __call__(self, root: Path, at: int | None = None, *, for_good: bool = True) -> "Disk":
        self.at, self.for_good = at, for_good
        self.calls, self.next = 0, str(root)
        return self

    def __enter__(self) -> "Disk":
        self.root = self.next
        return self

    def __exit__(self, *_: object) -> None:
        self.root = ""

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.root or (event != "open" and event not in self.changes):
            return
        if event == "open" and not _writes(*args[1:]):
            return
        path = _whole_path(event, args)
        if not path.startswith(self.root):
            return
        with self.lock:
            self.calls += 1
            if self.calls == self.at or (self.at and self.for_good and self.calls > self.at):
                if event == "os.rename":  # what is written may not all be there yet
                    os.truncate(path, Path(path).stat().st_size // 2)
                raise OSError(errno.ENOSPC, "No space left on device")


def _whole_path(event: str, args: tuple[Any, ...]) -> str:
    """Path of the call, also where it is made below a folder that is open.

    Of files that are opened Python does not tell that folder, but these have names of our own.
    """
    name = str(args[0])
    if name.startswith("/"):
        return name
    if event == "open":
        return f"{disk.root}/{name}" if name.startswith(".daskbinder-") or name == "lock" else name
    return f"{Path(f'/proc/self/fd/{args[_FOLDER_OF[event]]}').resolve()}/{name}"


_FOLDER_OF = {"os.rename": 2, "os.remove": 1, "os.mkdir": 2, "os.rmdir": 1}


def _writes(mode: str | None, flags: int) -> bool:
    return bool(set(mode or "") & set("wax+")) or bool(flags & (os.O_WRONLY | os.O_RDWR))


disk = Disk()


def wait_for_threads(client: Client) -> None:
    """Wait for tasks that go on after the run failed: those of a dead process would not."""
    while any(client.run(lambda dask_worker: len(dask_worker.state.executing)).values()):
        time.sleep(0.005)


def ends(work: Callable[[], None]) -> str | None:
    """Do something; return what it failed with, in a sentence."""
    try:
        work()
    except (db.JobError, OSError) as error:
        return str(error)
    return None
