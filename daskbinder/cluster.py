"""Where a run takes place: a client that is there, a scheduler's address, or a cluster of its own.

Closes only what it opened.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from distributed import Client, LocalCluster, get_client
from distributed.security import Security

from daskbinder.errors import InputError


@contextmanager
def connect(
    scheduler: "Client | str | None" = None,
    *,
    workers: int = 1,
    threads: int | None = None,
    memory_limit: str = "auto",
    security: Security | None = None,
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
    memory_limit : str
        Memory of each of its workers.
    security : distributed.Security, optional
        TLS for a scheduler's address.

    Yields
    ------
    distributed.Client
        Connected.

    Raises
    ------
    InputError
        When no scheduler answers.
    """
    if isinstance(scheduler, Client):
        yield scheduler
        return
    with ExitStack() as stack:
        if scheduler is not None:
            try:
                client = Client(scheduler, security=security, set_as_default=False, timeout=10)
            except (OSError, ValueError, TypeError) as error:
                raise InputError(
                    f"no Dask scheduler answers at {scheduler} ({error}); is it running?"
                ) from error
            yield stack.enter_context(client)
            return
        current = _current()
        if current is not None:
            yield current
            return
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
        stack.enter_context(cluster)
        yield stack.enter_context(Client(cluster, set_as_default=False))


def _current() -> Client | None:
    try:
        return get_client()
    except ValueError:
        return None


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
