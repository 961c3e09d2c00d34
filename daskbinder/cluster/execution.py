"""Where a run takes place: a client that is there, a scheduler's address, or a cluster of its own.

Closes only what it opened.
"""

import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import resource_tracker
from typing import Any, ClassVar

import dask
from dask.utils import parse_bytes
from distributed import Client, Future, LocalCluster, Nanny, Worker, get_client
from distributed.scheduler import KilledWorker
from distributed.security import Security
from distributed.utils import silence_logging_cmgr

from daskbinder.cluster.managers import start
from daskbinder.cluster.preflight import (
    PATIENCE,
    Tell,
    all_pause,
    check_memory,
    check_software,
    silent,
    threads_for,
    wait_for_workers,
)
from daskbinder.cluster.probe import ask, is_open
from daskbinder.errors import InputError, JobError, LostFiles
from daskbinder.storage import buffers

_LOOK = 0.02  # seconds between two looks at what is done
_PATROL = 5.0  # seconds between two looks at who is there to do it
_PAUSE = 60.0  # seconds that all workers may be without memory
_NEWS = 0.2  # seconds until all that happened at once is heard of
_LAST_TASKS = 2.0  # seconds that an interrupted cluster has to end
_ANSWER = 30.0  # seconds that a scheduler has to take a client
_UNGUARDED = 86  # how the process of a worker ends that a script would start a run in
_NAMED = 3  # blocks that are named when workers died over them


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
    block: int = 64 << 20,
    wait: float = PATIENCE,
    dashboard: bool = False,
    tell: Tell = silent,
) -> Iterator[Client]:
    """Give a client for the time of a run.

    Parameters
    ----------
    scheduler : distributed.Client or str, optional
        A client or a scheduler's address. By default the current client, else the address in
        Dask's configuration (``DASK_SCHEDULER_ADDRESS``), else a cluster on this machine.
    security : distributed.Security, optional
        TLS for a scheduler's address; by default that of Dask's configuration.
    cluster : str, optional
        A cluster to start and to end with the run, see
        `daskbinder.cluster.managers.read_specification`.
    adapt : (int, int), optional
        Fewest and most workers of that cluster.
    workers, threads : int, optional
        Workers on this machine and threads of each, by default as many as there are cores in all
        and as fit in memory. One worker, the default, lives in this process, several in their own.
    memory_limit : int or str, optional
        Memory of each of its workers.
    block : int
        Bytes of the archive that one task reads.
    wait : float
        Seconds to wait for the first worker.
    dashboard : bool
        Tell where Dask's dashboard is.
    tell : callable
        Takes sentences for the user.

    Yields
    ------
    distributed.Client
        Connected to at least one worker. Only what was started here ends with the block.

    Raises
    ------
    InputError, JobError
        When there is no such cluster, or it cannot do the work.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(_UNGUARDED)  # a process of a worker imports the script that started it
    on_this_machine = {"workers": workers, "threads": threads, "memory_limit": memory_limit}
    asked = [name for name, value in on_this_machine.items() if value is not None]
    if (scheduler is not None) + (cluster is not None) + bool(asked) > 1:
        raise InputError(
            "a run takes place in one place: a scheduler, a cluster, or workers on this machine"
        )
    if adapt is not None and (cluster is None or not 1 <= adapt[0] <= adapt[1]):
        raise InputError("adapting needs a cluster and MIN:MAX workers, at least 1")
    with ExitStack() as stack:
        if isinstance(scheduler, Client):
            client = scheduler
        elif cluster is not None:
            client = stack.enter_context(start(cluster, adapt))
            if is_open(client.scheduler.address):
                _warn(client.scheduler.address, tell)
        else:
            address = scheduler
            found = None if asked or address else _current()
            if found is None and not asked and address is None:
                address = dask.config.get("scheduler-address", None)
            if found is not None:
                client = found
            elif address is not None:
                client = stack.enter_context(_remote(address, security, tell))
            else:
                local = _local(workers or 1, threads, memory_limit or "auto", block, dashboard)
                client = stack.enter_context(local)
        if dashboard:
            tell(f"dashboard: {_dashboard(client)}")
        if not client.scheduler.address.startswith("inproc://"):
            wait_for_workers(client, wait, tell)
            check_software(client, tell)
        check_memory(client, block)
        yield client


@contextmanager
def _remote(address: str, security: Security | None, tell: Tell) -> Iterator[Client]:
    if "://" not in address:
        encrypted = security is not None and security.require_encryption
        address = f"{'tls' if encrypted else 'tcp'}://{address}"
    if ask(address, security):
        _warn(address, tell)
    with silence_logging_cmgr(logging.CRITICAL), ExitStack() as stack:
        try:
            client = Client(address, security=security, set_as_default=False, timeout=_ANSWER)
        except (OSError, ValueError, TypeError, AssertionError, ImportError) as error:
            raise InputError(
                f"no Dask scheduler answers at {address} ({type(error).__name__}: {error})"
            ) from error
        yield stack.enter_context(client)


def _warn(address: str, tell: Tell) -> None:
    tell(
        f"warning: {address} is not encrypted, and whoever reaches it can run code there; "
        "use tls:// outside a network you trust"
    )


_UNWATCHED = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
}
"""Sampling the stacks of tasks this short, and the loop's delays, costs more than it tells."""


def _environment() -> dict[str, Any]:
    """Let the processes of workers keep freed memory for the next array, but not more.

    Dask has them give back all above 64 KiB. The kernel then clears the same pages for each array
    again, which took a quarter of their time.
    """
    key = "distributed.nanny.pre-spawn-environ"
    given = {k: v for k, v in dask.config.get(key).items() if k != "MALLOC_TRIM_THRESHOLD_"}
    return {key: {buffers.POOL: "jemalloc"} | given if buffers.has_jemalloc() else given}


@contextmanager
def _local(
    workers: int, threads: int | None, memory_limit: int | str, block: int, dashboard: bool
) -> Iterator[Client]:
    if threads is None:
        threads = max(1, _cores() // workers)
        if memory_limit != "auto":
            threads = max(1, min(threads, threads_for(parse_bytes(memory_limit), block)))
    cluster: LocalCluster | None = None
    patience = {}
    exits: set[int] = set()
    nanny = type(_PlainNanny.__name__, (_PlainNanny,), {"exits": exits})
    try:
        with _signals_held_back(), dask.config.set(_UNWATCHED | _environment()):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=threads,
                memory_limit=memory_limit,
                host="127.0.0.1" if workers > 1 else None,
                # None would still open a port, on every interface
                dashboard_address="127.0.0.1:0",
                worker_dashboard_address="127.0.0.1:0",
                # importing what draws its pages takes 0.4 s
                scheduler_kwargs={"dashboard": dashboard},
                worker_class=nanny if workers > 1 else _PlainWorker,
                # a task that fails is told by the exception, in one sentence
                silence_logs=logging.CRITICAL,
            )
        with Client(cluster, set_as_default=False) as client, buffers.frugal():
            yield client
    except (KeyboardInterrupt, SystemExit):
        patience = {"timeout": _LAST_TASKS}
        raise
    except RuntimeError:
        if cluster is None and _UNGUARDED in exits:
            raise InputError(_ADVICE) from None
        raise
    finally:
        if cluster is not None:
            with suppress(TimeoutError):
                cluster.close(**patience)


_ADVICE = (
    "each worker in a process of its own imports the script that asks for it; "
    "put what that does below 'if __name__ == \"__main__\":'"
)


class _PlainWorker(Worker):  # type: ignore[misc]
    """A worker without pages of its own in the dashboard."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"dashboard": False})


class _PlainNanny(Nanny):  # type: ignore[misc]
    """The same in a process of its own, remembering how that ended."""

    exits: ClassVar[set[int]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"dashboard": False})

    def _on_worker_exit_sync(self, exitcode: int) -> None:
        self.exits.add(exitcode)
        super()._on_worker_exit_sync(exitcode)


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


def compute(
    client: Client,
    outputs: Sequence[Any],
    about: Callable[[object], str] = str,
    *,
    keep_going: bool = False,
) -> list[Any]:
    """Compute lazy values, all in one graph; on failure, take back what is under way.

    Parameters
    ----------
    client : distributed.Client
        Where.
    outputs : sequence of Delayed
        The values.
    about : callable
        Says for the user what the task of a key is about.
    keep_going : bool
        Whether all else is still computed when files are lost, so that all of them are known.

    Raises
    ------
    InputError, JobError
        As a task raised it, or a JobError that says what went wrong.
    """
    futures = client.compute(list(outputs))
    try:
        _wait(client, futures, keep_going)
        return list(client.gather(futures))
    except (InputError, JobError):
        raise
    except KilledWorker as error:
        raise JobError(
            f"workers died {error.allowed_failures + 1} times over {_suspects(futures, about)}; "
            "they may lack memory: use a smaller --blocksize, fewer threads or more memory"
        ) from error
    except OSError as error:
        raise JobError(f"cannot read or write: {error}; run again when that is mended") from error
    except Exception as error:
        raise JobError(f"the job failed: {type(error).__name__}: {error}") from error
    finally:
        if client.status == "running":
            with suppress(Exception):
                client.cancel(futures)


def _suspects(futures: Sequence[Future], about: Callable[[object], str]) -> str:
    """Say what the tasks were about that were under way when workers died."""
    time.sleep(_NEWS)
    errors = [future.exception() for future in futures if future.status == "error"]
    names = sorted({about(error.task) for error in errors if isinstance(error, KilledWorker)})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _wait(client: Client, futures: Sequence[Future], keep_going: bool) -> None:
    """Wait until all is done, or one failed, or nobody is left to do it.

    Waiting in the client's own loop would leave its coroutines behind on Ctrl-C.
    """
    seen = awake = time.monotonic()
    pending = list(futures)
    while pending:
        time.sleep(_LOOK)
        looked_at, pending = pending, []
        ended: list[Future] = []
        for future in looked_at:
            (pending if future.status == "pending" else ended).append(future)
        _raise_failure(ended, keep_going)
        if time.monotonic() - seen > _PATROL:
            with suppress(OSError):  # a scheduler that is lost is told by the futures
                wait_for_workers(client, PATIENCE)
                if not all_pause(client):
                    awake = time.monotonic()
            seen = time.monotonic()
            if seen - awake > _PAUSE:
                raise JobError(
                    "no worker has had memory to go on with; "
                    "give them more, or use fewer threads or a smaller --blocksize"
                )
    if lost := _raise_failure(futures, keep_going):
        raise LostFiles(lost)


def _raise_failure(futures: Sequence[Future], keep_going: bool) -> dict[str, str]:
    """Raise what failed; return the files that are lost if that is to be borne."""
    lost: dict[str, str] = {}
    for future in futures:
        if future.status == "error":
            error = future.exception()
            if not (keep_going and isinstance(error, LostFiles)):
                future.result()
            lost |= error.files
        if future.status in ("cancelled", "lost"):
            raise JobError("the scheduler was lost, nothing was published; run again")
    return lost


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
