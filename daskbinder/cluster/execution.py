"""Computing a graph on a cluster: submit it, wait for it, and explain failures."""

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from distributed import Client, Future
from distributed.scheduler import KilledWorker

from daskbinder.cluster.preflight import PATIENCE, wait_for_workers, workers_of
from daskbinder.errors import InputError, JobError, LostFiles

_POLL = 0.05
"""Seconds between polls of the futures."""

_SETTLE = 0.2
"""Seconds to wait until all failures with the same cause are known."""

_NAMED = 3
"""Maximum number of tasks that an error names."""


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

    `about` describes the task of a key to the user. With `keep_going`, everything else is computed
    before `LostFiles` is raised, so that it names all of them. Workers are checked every
    `check_every` seconds; all of them may be paused, for lack of memory, for up to `most_paused`
    seconds.
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
    """Describe the tasks that were running when workers died."""
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
    """Wait until everything is done, something fails, or no usable worker is left.

    Polls, because waiting in the client's event loop would leave coroutines behind on Ctrl-C.
    """
    checked = awake = time.monotonic()
    pending = list(futures)
    while pending:
        time.sleep(_POLL)
        still_pending = [future for future in pending if future.status == "pending"]
        _raise_failure(set(pending).difference(still_pending), keep_going)
        pending = still_pending
        if time.monotonic() - checked > check_every:
            with suppress(OSError):  # the futures show it when the scheduler is lost
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
    """Raise the first failure; with `keep_going`, collect and return lost files instead."""
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
