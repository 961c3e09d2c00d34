"""A client for a run: the caller's own, or one for a scheduler's address or a new cluster.

Closes only what it opened.
"""

import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import dask
from distributed import Client, get_client
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from daskbinder.cluster.local import UNGUARDED, start_local, workers_for
from daskbinder.cluster.managers import start_managed
from daskbinder.cluster.preflight import (
    PATIENCE,
    Tell,
    check_memory,
    check_software,
    is_in_process,
    silent,
    wait_for_workers,
)
from daskbinder.cluster.probe import check_scheduler, is_exposed
from daskbinder.errors import InputError

_CLIENT_TIMEOUT = 30.0
"""Seconds to wait for a scheduler to accept a client."""


@contextmanager
def connect(
    scheduler: "Client | str | None" = None,
    *,
    security: Security | None = None,
    cluster: str | None = None,
    adapt: tuple[int, int] | None = None,
    workers: int | None = None,
    threads: int | None = None,
    memory_limit: int | str | None = None,
    archive_bytes: int = 0,
    block: int = 64 << 20,
    wait: float = PATIENCE,
    dashboard: bool = False,
    tell: Tell = silent,
) -> Iterator[Client]:
    """Provide a client that is ready for a run.

    Parameters
    ----------
    scheduler : distributed.Client or str, optional
        A client or a scheduler's address. By default the current client, else the address in
        Dask's configuration (``DASK_SCHEDULER_ADDRESS``), else a cluster on this machine.
    security : distributed.Security, optional
        TLS settings for a scheduler's address; by default from Dask's configuration.
    cluster : str, optional
        A cluster to start for the run; see `daskbinder.cluster.managers.read_specification`.
    adapt : (int, int), optional
        Minimum and maximum number of workers of that cluster.
    workers, threads : int, optional
        Workers on this machine, and threads per worker. By default one worker, with as many
        threads as cores and memory allow. A single worker runs in this process; several get a
        process each.
    memory_limit : int or str, optional
        Memory per worker on this machine.
    archive_bytes : int
        If this is 2 GiB or more, and nothing else is said, there is a worker for each four cores.
        A script that starts several must be guarded by ``if __name__ == "__main__":``.
    block : int
        Bytes of the archive that one task reads.
    wait : float
        Seconds to wait for the first worker.
    dashboard : bool
        Whether to tell the user the address of Dask's dashboard.
    tell : callable
        Called with messages for the user.

    Yields
    ------
    distributed.Client
        Connected to at least one worker.

    Raises
    ------
    InputError, JobError
        When the cluster cannot be reached or started, or cannot do the run.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(UNGUARDED)  # a worker process is importing the script that started it
    is_local = any(option is not None for option in (workers, threads, memory_limit))
    if (scheduler is not None) + (cluster is not None) + is_local > 1:
        raise InputError("give a scheduler, a cluster or workers on this machine, not several")
    if adapt is not None and (cluster is None or not 1 <= adapt[0] <= adapt[1]):
        raise InputError("adapting needs a cluster and MIN:MAX workers, at least 1")
    if scheduler is None and cluster is None and not is_local:
        scheduler = _current_client() or dask.config.get("scheduler-address", None)
    opened: AbstractContextManager[Client]
    if isinstance(scheduler, Client):
        opened = nullcontext(scheduler)
    elif scheduler is not None:
        opened = _open_remote(scheduler, security)
    elif cluster is not None:
        opened = start_managed(cluster, adapt)
    else:
        workers = workers or (1 if is_local else workers_for(archive_bytes))
        opened = start_local(workers, threads, memory_limit or "auto", block, dashboard)
    with opened as client:
        if client is not scheduler and is_exposed(client.scheduler.address):
            tell(
                f"warning: {client.scheduler.address} is not encrypted, and anyone who can reach "
                "it can run code there; use tls:// outside a network you trust"
            )
        if dashboard:
            tell(f"dashboard: {_dashboard_url(client)}")
        if not is_in_process(client):
            wait_for_workers(client, wait, tell)
            check_software(client, tell)
        check_memory(client, block)
        yield client


def _current_client() -> Client | None:
    try:
        return get_client()
    except ValueError:
        return None


@contextmanager
def _open_remote(address: str, security: Security | None) -> Iterator[Client]:
    if "://" not in address:
        encrypted = security is not None and security.require_encryption
        address = f"{'tls' if encrypted else 'tcp'}://{address}"
    check_scheduler(address, security)
    with silence_logging_cmgr(logging.CRITICAL):
        try:
            client = Client(
                address, security=security, set_as_default=False, timeout=_CLIENT_TIMEOUT
            )
        except (OSError, ValueError, TypeError, AssertionError, ImportError) as error:
            raise InputError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}: {error})"
            ) from error
        with client:
            yield client


def _dashboard_url(client: Client) -> str:
    """URL of the dashboard; for a cluster in this process it listens on loopback only."""
    if is_in_process(client):
        port = client.scheduler_info()["services"].get("dashboard")
        return f"http://127.0.0.1:{port}/status"
    return str(client.dashboard_link)
