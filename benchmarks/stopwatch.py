"""Run one command and measure it: wall time, CPU time and peak memory of its whole process tree."""

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

INTERVAL = 0.05


@dataclass(frozen=True)
class Measurement:
    """What one run of a command took.

    Attributes
    ----------
    seconds : float
        Wall time from start to end of the process.
    cpu_seconds : float
        User and system time of the process and all that it waited for.
    peak_bytes : int
        Largest sum of memory over all processes of the tree, shared pages counted once.
    output : str
        What the command printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


class CommandFailed(RuntimeError):
    """The measured command did not end well; the message holds what it said."""


def measure(command: Sequence[str | Path], cwd: Path | None = None) -> Measurement:
    """Run a command to its end and measure it.

    Parameters
    ----------
    command : sequence of str or Path
        The program and its arguments.
    cwd : Path, optional
        Where to run it.

    Returns
    -------
    Measurement

    Raises
    ------
    CommandFailed
        When the command ends with another status than 0.

    Notes
    -----
    Memory is looked at every 50 ms, so a shorter peak may be missed. Linux's proportional set size
    (PSS) shares out pages that several processes map; elsewhere resident sizes are added up. It is
    only asked for when the cheap sum of resident sizes, which is never smaller, exceeds the peak.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        start = time.perf_counter()
        child = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, stdout=output, stderr=subprocess.STDOUT
        )
        with _Sampler(child.pid) as sampler:
            _, status, usage = os.wait4(child.pid, 0)
            seconds = time.perf_counter() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if child.returncode:
        words = " ".join(str(part) for part in command)
        raise CommandFailed(f"{words} ended with status {child.returncode}:\n{said}")
    return Measurement(seconds, usage.ru_utime + usage.ru_stime, sampler.peak, said)


class _Sampler(threading.Thread):
    """Follows the memory of a process tree until told to stop."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._root = psutil.Process(pid)
        self._done = threading.Event()

    def __enter__(self) -> "_Sampler":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        """Look at the tree at every interval."""
        while not self._done.wait(INTERVAL):
            self.peak = max(self.peak, _memory(self._root, above=self.peak))


def _memory(root: psutil.Process, above: int) -> int:
    """Sum of memory over a process tree, exact only when it may exceed a known peak."""
    tree = _alive(root)
    resident = sum(_size(process, exact=False) for process in tree)
    return sum(_size(process, exact=True) for process in tree) if resident > above else 0


def _alive(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _size(process: psutil.Process, exact: bool) -> int:
    try:
        if exact:
            info = process.memory_full_info()
            return int(getattr(info, "pss", info.rss))
        return int(process.memory_info().rss)
    except psutil.Error:  # it ended, or is a zombie
        return 0
