"""Where a run takes place: a client that is there, a scheduler's address, or a cluster of its own.

Closes only what it opened.
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any

from distributed import Client, Future, LocalCluster, get_client
from distributed.security import Security

from daskbinder.errors import InputError, JobError

_LOOK = 0.01
_LAST_TASKS = 2.0
"""Seconds between two looks at what is done; seconds an interrupted cluster has to end."""


@contextmanager
def connect(
    scheduler: "Client | str | None" = None,
    *,
    workers: int = 1,
    threads: int | None = None,
    memory_limit: int | str = "auto",
    security: Security | None = None,
    announce: Callable[[str], None] | None = None,
) -> Iterator[Client]:
    """Give a client for the time of a run.

    Parameters
    ----------
    scheduler : distributed.Client or str, optional
        A client, or the address of a scheduler. By default the current client if there is one,
        else a cluster on this machine that ends with the run.
    workers, threads : int
        Workers of that cluster and threads of each, one for each core in all by default. A single
        worker lives in this process, several in their own.
    memory_limit : int or str
        Memory of each of its workers.
    security : distributed.Security, optional
        TLS for a scheduler's address.
    announce : callable, optional
        Told where Dask's dashboard is.

    Yields
    ------
    distributed.Client
        Connected.

    Raises
    ------
    InputError
        When no scheduler answers.
    """
    with ExitStack() as stack:
        if isinstance(scheduler, Client):
            client = scheduler
        elif scheduler is not None:
            try:
                client = Client(scheduler, security=security, set_as_default=False, timeout=10)
            except (OSError, ValueError, TypeError) as error:
                raise InputError(
                    f"no Dask scheduler answers at {scheduler} ({error}); is it running?"
                ) from error
            stack.enter_context(client)
        else:
            client = _current() or stack.enter_context(_local(workers, threads, memory_limit))
        if announce is not None:
            announce(_dashboard(client))
        yield client


@contextmanager
def _local(workers: int, threads: int | None, memory_limit: int | str) -> Iterator[Client]:
    cluster: LocalCluster | None = None
    patience = {}
    try:
        with _signals_held_back():
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=threads or max(1, _cores() // workers),
                processes=workers > 1,
                memory_limit=memory_limit,
                host="127.0.0.1" if workers > 1 else None,
                # None would still open a port, on every interface
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                # a task that fails is told by the exception, in one sentence
                silence_logs=logging.CRITICAL,
            )
        with Client(cluster, set_as_default=False) as client:
            yield client
    except (KeyboardInterrupt, SystemExit):
        patience = {"timeout": _LAST_TASKS}
        raise
    finally:
        if cluster is not None:
            with suppress(TimeoutError):
                cluster.close(**patience)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Hold SIGINT back; what is started meanwhile never gets it.

    Ctrl-C reaches every process of a terminal; it is for this one to stop its workers.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # started later, it would let SIGINT through again
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def compute(client: Client, outputs: Sequence[Any]) -> list[Any]:
    """Compute lazy values, all in one graph; on failure, take back what is under way.

    Raises
    ------
    InputError, JobError
        As a task raised it, or a JobError that says what went wrong.
    """
    futures = client.compute(list(outputs))
    try:
        # Waiting in the client's own loop would leave its coroutines behind on Ctrl-C.
        for future in futures:
            while future.status == "pending":
                time.sleep(_LOOK)
                _raise_failure(futures)
        _raise_failure(futures)
        return list(client.gather(futures))
    except (InputError, JobError):
        raise
    except OSError as error:
        raise JobError(f"cannot read or write: {error}; run again when that is mended") from error
    except Exception as error:
        raise JobError(f"the job failed: {type(error).__name__}: {error}") from error
    finally:
        with suppress(Exception):
            client.cancel(futures)


def _raise_failure(futures: Sequence[Future]) -> None:
    for future in futures:
        if future.status == "error":
            future.result()
        if future.status in ("cancelled", "lost"):
            raise JobError("the scheduler was lost; nothing was published, run again")


def _dashboard(client: Client) -> str:
    """URL of the dashboard; that of a cluster inside this process listens on loopback."""
    if client.scheduler.address.startswith("inproc://"):
        port = client.scheduler_info()["services"].get("dashboard")
        return f"http://127.0.0.1:{port}/status"
    return str(client.dashboard_link)


def _current() -> Client | None:
    try:
        return get_client()
    except ValueError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
