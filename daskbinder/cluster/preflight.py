"""Whether a cluster can do a run, asked before it begins.

What would end in a killed worker or a strange error an hour later is said here in one sentence.
"""

import os
import secrets
import time
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dask.utils import format_bytes
from distributed import Client

from daskbinder._version import __version__
from daskbinder.archive.dayfiles import DayFile
from daskbinder.errors import InputError, JobError
from daskbinder.storage.location import Location

Tell = Callable[[str], None]
"""Takes a sentence for the user."""

PATIENCE = 60.0
"""Seconds to wait for the first worker, and for each answer of the cluster."""

BASE_MEMORY = 240 << 20
BLOCK_MEMORY = 2.5
"""Memory of a worker: bytes it takes by itself, and times the size of a block for each thread.

Measured: 160 MiB after import, 210 to 240 with months of counts, 1.1 to 1.3 times the block from a
folder, twice that over a network.
"""

USABLE = 0.8
"""Share of its limit that a worker can use: above it, Dask has it begin no more tasks."""

LEAST_BLOCK = 4 << 20
"""Bytes of the smallest block a run chooses by itself."""

_VERSION = "__import__('daskbinder._version')._version.__version__"
_LOOK = 0.1
_STEP = 1 << 20


def threads_for(limit: int, block: int) -> int:
    """Blocks of so many bytes that a worker with so much memory can hold at a time."""
    return int((USABLE * limit - BASE_MEMORY) / (BLOCK_MEMORY * max(block, 1)))


def block_for(client: Client, most: int) -> int:
    """Bytes of the largest block, up to `most`, of which each worker can hold one a thread."""
    shares = [
        (USABLE * worker["memory_limit"] - BASE_MEMORY) / (BLOCK_MEMORY * worker["nthreads"])
        for worker in workers_of(client).values()
        if worker["memory_limit"]
    ]
    size = int(min([most, *shares]))
    return max(size - size % _STEP, min(most, LEAST_BLOCK))


def silent(_: str) -> None:
    """Tell nobody."""


def wait_for_workers(client: Client, patience: float, tell: Tell = silent) -> None:
    """Wait until there is a worker."""
    deadline = time.monotonic() + patience
    told = False
    while not workers_of(client):
        if time.monotonic() > deadline:
            raise JobError(
                f"{client.scheduler.address} has had no worker for {patience:.0f} seconds; "
                "start some, or wait longer with --wait"
            )
        if not told:
            tell(f"waiting for workers to join {client.scheduler.address}")
            told = True
        time.sleep(_LOOK)


def all_pause(client: Client) -> bool:
    """Whether no worker begins another task, for lack of memory."""
    return all(worker["status"] == "paused" for worker in workers_of(client).values())


def check_software(client: Client, tell: Tell) -> None:
    """Compare versions with ours, and see that the package is there; else send it."""
    found = client.get_versions()
    everyone = {"the scheduler": found["scheduler"], **found["workers"]}
    ours = found["client"]
    for name in ("python", "dask", "distributed"):
        theirs = {who: _version(one, name) for who, one in everyone.items()}
        wrong = {who: version for who, version in theirs.items() if version != _version(ours, name)}
        if not wrong:
            continue
        who, version = next(iter(wrong.items()))
        others = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        differs = f"{name} is {_version(ours, name)} here and {version} at {who}{others}"
        if name == "python":
            raise InputError(f"{differs}; use the same Python everywhere")
        tell(f"warning: {differs}")
    lacking = _lacking(client)
    if lacking == "daskbinder":
        _send(client)
        lacking = _lacking(client)
    if lacking is not None:
        raise InputError(f"{lacking} is not installed on the cluster; install daskbinder there")
    versions = {
        "the scheduler": client.run_on_scheduler(eval, _VERSION),
        **client.run(eval, _VERSION),
    }
    for who, version in versions.items():
        if version != __version__:
            raise InputError(
                f"daskbinder is {__version__} here and {version} at {who}; install the same"
            )


def _version(host: Mapping[str, Any], name: str) -> str:
    if name == "python":
        return ".".join(host["host"]["python"].split(".")[:2])
    return str(host["packages"][name])


def _lacking(client: Client) -> str | None:
    """Name of a module that the scheduler or a worker cannot import, of those we need."""
    code = "__import__('daskbinder.pipeline.counting_tasks') and None"
    try:
        client.run_on_scheduler(eval, code)
        client.run(eval, code)
    except ModuleNotFoundError as error:
        return str(error.name)
    return None


def _send(client: Client) -> None:
    """Send our own package to the scheduler and to all workers, those that join later too."""
    package = Path(__file__).parents[1]
    with TemporaryDirectory() as folder:
        archive = Path(folder) / f"daskbinder-{__version__}.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(package.rglob("*")):
                if path.suffix in (".py", ".toml"):
                    packed.write(path, path.relative_to(package.parent))
        client.upload_file(str(archive))


def check_memory(client: Client, block: int) -> None:
    """Refuse blocks that would be too large for a worker."""
    for address, worker in workers_of(client).items():
        limit, threads = worker["memory_limit"], worker["nthreads"]
        if limit and threads_for(limit, block) < threads:
            room = int((USABLE * limit - BASE_MEMORY) / (BLOCK_MEMORY * threads))
            fits = max(room, 0) >> 20
            advice = f"use --blocksize {fits}MiB" if fits else "give it more memory"
            raise InputError(
                f"worker {address} has {format_bytes(limit)} of memory, too little for "
                f"{threads} blocks of {format_bytes(block)} at a time; {advice}"
            )


def check_places(client: Client, source: Location, file: DayFile, dest: Location) -> None:
    """See that the archive can be read and the results written, from where the tasks run.

    Raises
    ------
    InputError, JobError
        With the place and the machine that cannot use it.
    """
    probe = f".daskbinder-probe-{secrets.token_hex(8)}"
    if _is_here(client):
        # a source that is elsewhere was reached from here when it was listed
        said = _try_source(source, file) if source.is_local else None
        _raise(said or _try_dest(dest, probe), dest)
        with suppress(OSError):
            dest.remove(probe)
        return
    hosts = {worker["host"]: address for address, worker in workers_of(client).items()}
    if not dest.is_local:
        hosts = dict(list(hosts.items())[:1])
    for host, address in hosts.items():
        name = f"{probe}-{host.replace(':', '-')}"
        future = client.submit(
            _try_places, source, file, dest, name, workers=[address], key=name, pure=False
        )
        try:
            _raise(future.result(timeout=PATIENCE), dest, f"on {host}, ")
        except TimeoutError as error:
            raise JobError(
                f"worker {address} could not read {source} and write {dest} "
                f"in {PATIENCE:.0f} seconds; check both from there"
            ) from error
        finally:
            future.release()
        if dest.is_local:
            seen = Path(dest.path(name)).exists()
            if not seen:
                raise InputError(
                    f"{dest} on {host} is another folder than here; "
                    "give a folder that all machines share, or a URL"
                )
        with suppress(OSError):
            dest.remove(name)


def _raise(said: tuple[str, str] | None, dest: Location, where: str = "") -> None:
    if said is not None:
        what, why = said
        raise (JobError if what == str(dest) else InputError)(f"{where}{what} {why}")


def _try_places(
    source: Location, file: DayFile, dest: Location, probe: str
) -> tuple[str, str] | None:
    """Do in a task what others will do; say which place failed and how."""
    return _try_source(source, file) or _try_dest(dest, probe)


def _try_source(source: Location, file: DayFile) -> tuple[str, str] | None:
    try:
        if source.entry(file.name).size not in (None, file.size):
            return str(source), f"has another {file.name} than was listed; run again"
    except FileNotFoundError:
        return str(source), f"has no {file.name}; give a folder that all machines see, or a URL"
    except (OSError, InputError, JobError) as error:
        return str(source), f"cannot be read: {_why(error)}"
    return None


def _try_dest(dest: Location, probe: str) -> tuple[str, str] | None:
    try:
        dest.write(probe, b"daskbinder")
    except (OSError, InputError, JobError) as error:
        return str(dest), f"cannot be written: {_why(error)}"
    return None


def _why(error: BaseException) -> str:
    cause = error if isinstance(error, OSError) else error.__cause__
    return os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else str(error)


def workers_of(client: Client) -> dict[str, Any]:
    """What the scheduler knows of each worker, by its address."""
    workers: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    return workers


def _is_here(client: Client) -> bool:
    return str(client.scheduler.address).startswith("inproc://")
