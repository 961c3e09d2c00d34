"""The computation of a graph on a cluster: wait for it, and explain what went wrong."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from daskbinder.cluster.preflight import PATIENCE, wait_for_workers, workers_of
from daskbinder.errors import InputError, JobError, LostFiles

_POLL = 0.02
"""Seconds between two looks at the futures."""

_SETTLE = 0.2
"""Seconds until every failure of one cause is known."""

_NAMED = 3
"""Most tasks that an error names."""


def compute(
    client: Client,
    outputs: Sequence[Any],
    about: Callable[[object], str] = str,
    *,
    keep_going: bool = False,
    check_every: float = 5.0,
    most_paused: float = 60.0,
) -> list[Any]:
    """Compute lazy values in one graph; on failure, cancel it and say what went wrong.

    `about` tells the user what the task of a key works on. With `keep_going`, everything else is
    computed before lost files are raised, so that all of them are known. Every `check_every`
    seconds the workers are looked at; for `most_paused` seconds all may be paused for lack of
    memory.
    """
    futures = client.compute(list(outputs))
    try:
        _wait(client, futures, keep_going, check_every, most_paused)
        return list(client.gather(futures))
    except (InputError, JobError):
        raise
    except KilledWorker as error:
        raise JobError(
            f"workers died {error.allowed_failures + 1} times over {_suspects(futures, about)}; "
            "they may lack memory: use a smaller --blocksize, fewer threads or more memory"
        ) from error
    except OSError as error:
        raise JobError(f"cannot read or write: {error}; fix this and run again") from error
    except Exception as error:
        raise JobError(f"the job failed: {type(error).__name__}: {error}") from error
    finally:
        if client.status == "running":
            with suppress(Exception):
                client.cancel(futures)


def _suspects(futures: Sequence[Future], about: Callable[[object], str]) -> str:
    """Name the tasks that were running when workers died."""
    time.sleep(_SETTLE)
    errors = [future.exception() for future in futures if future.status == "error"]
    names = sorted({about(error.task) for error in errors if isinstance(error, KilledWorker)})
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _wait(
    client: Client,
    futures: Sequence[Future],
    keep_going: bool,
    check_every: float,
    most_paused: float,
) -> None:
    """Wait until all is done, something failed, or nobody is left to do the work.

    Polls: waiting in the client's event loop would leave coroutines behind on Ctrl-C.
    """
    checked = awake = time.monotonic()
    pending = list(futures)
    while pending:
        time.sleep(_POLL)
        still_pending = [future for future in pending if future.status == "pending"]
        _raise_failure(set(pending).difference(still_pending), keep_going)
        pending = still_pending
        if time.monotonic() - checked > check_every:
            with suppress(OSError):  # the futures tell when the scheduler is lost
                wait_for_workers(client, PATIENCE)
                if any(worker["status"] != "paused" for worker in workers_of(client).values()):
                    awake = time.monotonic()
            checked = time.monotonic()
            if checked - awake > most_paused:
                raise JobError(
                    "no worker has had memory to continue with; "
                    "give them more, or use fewer threads or a smaller --blocksize"
                )
    if lost := _raise_failure(futures, keep_going):
        raise LostFiles(lost)


def _raise_failure(futures: Iterable[Future], keep_going: bool) -> dict[str, str]:
    """Raise the first failure; with `keep_going`, return lost files instead."""
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
