"""A Dask cluster on this machine for the duration of a run; it listens on loopback only."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any, ClassVar

import dask
from dask.system import CPU_COUNT
from dask.utils import parse_bytes
from distributed import Client, LocalCluster, Nanny, Worker

from daskbinder.cluster.preflight import threads_for
from daskbinder.errors import InputError
from daskbinder.storage import buffers

UNGUARDED = 86
"""Exit status of a worker process that would start a run by importing the main script."""

_CLOSE_TIMEOUT = 2.0
"""Seconds that the cluster of an interrupted run gets to close."""

_THREADS = 4
"""Threads that share a process. Each holds Python's lock a tenth of the time that it counts and a
fifth of the time that it writes, and Dask's own thread holds it too: more would wait for one
another."""

_WORTH_PROCESSES = 2 << 30
"""Bytes of an archive from which on processes, which take a second to start, are worth it."""

_LOOPBACK = "127.0.0.1:0"

# for tasks this short, sampling stacks and timing the event loop cost more than they are worth
_UNWATCHED = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
}


class _WithoutPages:
    """Turns off a worker's own dashboard."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"dashboard": False})


class _PlainWorker(_WithoutPages, Worker):  # type: ignore[misc]
    """A worker in this process."""


class _PlainNanny(_WithoutPages, Nanny):  # type: ignore[misc]
    """A worker in its own process, whose exit status is recorded."""

    exits: ClassVar[set[int]] = set()

    def _on_worker_exit_sync(self, exitcode: int) -> None:
        self.exits.add(exitcode)
        super()._on_worker_exit_sync(exitcode)


def workers_for(size: int) -> int:
    """Number of worker processes that suits this machine for an archive of `size` bytes."""
    return max(1, CPU_COUNT // _THREADS) if size >= _WORTH_PROCESSES else 1


@contextmanager
def start_local(
    workers: int, threads: int | None, memory_limit: int | str, block: int, dashboard: bool
) -> Iterator[Client]:
    """Start workers on this machine; by default, as many threads as cores and memory allow."""
    if threads is None:
        threads = max(1, CPU_COUNT // workers)
        if memory_limit != "auto":
            threads = max(1, min(threads, threads_for(parse_bytes(memory_limit), block)))
    cluster = _make_cluster(workers, threads, memory_limit, dashboard)
    timeout = {}
    try:
        with Client(cluster, set_as_default=False) as client, buffers.frugal():
            yield client
    except (KeyboardInterrupt, SystemExit):
        timeout = {"timeout": _CLOSE_TIMEOUT}
        raise
    finally:
        with suppress(TimeoutError):
            cluster.close(**timeout)


def _make_cluster(
    workers: int, threads: int, memory_limit: int | str, dashboard: bool
) -> LocalCluster:
    _PlainNanny.exits.clear()
    try:
        with _sigint_blocked(), dask.config.set(_UNWATCHED | _worker_environment()):
            return LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                memory_limit=memory_limit,
                host="127.0.0.1" if workers > 1 else None,
                # None would still open a port, on every interface
                dashboard_address=_LOOPBACK,
                worker_dashboard_address=_LOOPBACK,
                # importing the dashboard takes 0.4 s
                scheduler_kwargs={"dashboard": dashboard},
                worker_class=_PlainNanny if workers > 1 else _PlainWorker,
                # a failed task's exception is already reported in one sentence
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError:
        if UNGUARDED in _PlainNanny.exits:
            raise InputError(
                "each worker process imports the script that starts it; "
                "put what the script does below 'if __name__ == \"__main__\":'"
            ) from None
        raise


def _worker_environment() -> dict[str, Any]:
    """Let worker processes keep freed memory for the next array, but no more than that.

    Dask makes them return everything above 64 KiB. The kernel then clears the same pages again for
    each array, which took a quarter of the workers' time.
    """
    key = "distributed.nanny.pre-spawn-environ"
    given = {k: v for k, v in dask.config.get(key).items() if k != "MALLOC_TRIM_THRESHOLD_"}
    return {key: {buffers.POOL: "jemalloc"} | given if buffers.has_jemalloc() else given}


@contextmanager
def _sigint_blocked() -> Iterator[None]:
    """Block SIGINT here and in every process started meanwhile.

    Ctrl-C reaches every process of a terminal; this process stops its workers itself.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # started while SIGINT is blocked, it would unblock it
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
