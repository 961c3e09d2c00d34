"""Checks of a cluster before a run begins: workers, software, memory, access to the data.

Without them, a problem would end in a killed worker or an obscure error, perhaps an hour later.
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
"""Called with a message for the user."""

PATIENCE = 60.0
"""Seconds to wait for the first worker, and for each reply from the cluster."""

LEAST_BLOCK = 4 << 20
"""Smallest block size, in bytes, that a run chooses by itself."""

# Measured: 160 MiB after import, 210 to 240 MiB with months of counts; per thread 1.1 to 1.3 times
# the block size from a folder, twice that over a network.
_BASE_MEMORY = 240 << 20
_MEMORY_PER_BLOCK = 2.5
_USABLE = 0.8  # share of its memory limit above which Dask starts no more tasks on a worker

_POLL = 0.1
_STEP = 1 << 20
_NEEDED = "daskbinder.pipeline.counting_tasks"
_VERSION = "__import__('daskbinder._version')._version.__version__"


def silent(_: str) -> None:
    """Discard the message."""


def workers_of(client: Client) -> dict[str, Any]:
    """What the scheduler knows of each worker, by address."""
    workers: dict[str, Any] = client.scheduler_info(n_workers=-1)["workers"]
    return workers


def is_in_process(client: Client) -> bool:
    """Whether the scheduler lives in this process."""
    return str(client.scheduler.address).startswith("inproc://")


def wait_for_workers(client: Client, patience: float, tell: Tell = silent) -> None:
    """Wait up to `patience` seconds for a worker."""
    if not workers_of(client):
        tell(f"waiting for workers to join {client.scheduler.address}")
    deadline = time.monotonic() + patience
    while not workers_of(client):
        if time.monotonic() > deadline:
            raise JobError(
                f"{client.scheduler.address} has had no worker for {patience:.0f} seconds; "
                "start some, or wait longer with --wait"
            )
        time.sleep(_POLL)


def threads_for(limit: int, block: int) -> int:
    """Number of threads, each reading a block of `block` bytes, that a memory limit allows."""
    return int((_USABLE * limit - _BASE_MEMORY) / (_MEMORY_PER_BLOCK * max(block, 1)))


def _largest_block(worker: Mapping[str, Any]) -> int | None:
    """Largest block, in bytes, that every thread of a worker can hold; None without a limit."""
    limit, threads = worker["memory_limit"], worker["nthreads"]
    return threads_for(limit, threads) if limit else None


def block_for(client: Client, most: int) -> int:
    """Largest block, in bytes and up to `most`, that every thread of every worker can hold."""
    sizes = map(_largest_block, workers_of(client).values())
    size = min([most, *(size for size in sizes if size is not None)])
    return max(size - size % _STEP, min(most, LEAST_BLOCK))


def check_memory(client: Client, block: int) -> None:
    """Refuse a block size that is too large for at least one worker."""
    for address, worker in workers_of(client).items():
        size = _largest_block(worker)
        if size is not None and size < max(block, 1):
            fits = max(size, 0) >> 20
            advice = f"use --blocksize {fits}MiB" if fits else "give it more memory"
            raise InputError(
                f"worker {address} has {format_bytes(worker['memory_limit'])} of memory, too "
                f"little for {worker['nthreads']} blocks of {format_bytes(block)} at a time; "
                f"{advice}"
            )


def check_software(client: Client, tell: Tell) -> None:
    """Compare the cluster's versions with ours, and send our package where it is missing."""
    report = client.get_versions()
    ours, hosts = report["client"], {"the scheduler": report["scheduler"], **report["workers"]}
    for name in ("python", "dask", "distributed"):
        theirs = {who: _version(host, name) for who, host in hosts.items()}
        difference = _difference(name, _version(ours, name), theirs)
        if difference and name == "python":
            raise InputError(f"{difference}; use the same Python everywhere")
        if difference:
            tell(f"warning: {difference}")
    missing = _missing_module(client)
    if missing == "daskbinder":
        _send_package(client)
        missing = _missing_module(client)
    if missing:
        raise InputError(f"{missing} is not installed on the cluster; install daskbinder there")
    versions = {"the scheduler": client.run_on_scheduler(eval, _VERSION)}
    versions |= client.run(eval, _VERSION)
    if difference := _difference("daskbinder", __version__, versions):
        raise InputError(f"{difference}; install the same version everywhere")


def _version(host: Mapping[str, Any], name: str) -> str:
    if name == "python":
        return ".".join(host["host"]["python"].split(".")[:2])
    return str(host["packages"][name])


def _difference(name: str, ours: str, theirs: Mapping[str, str]) -> str:
    """Say which hosts have another version; empty if none."""
    others = {who: version for who, version in theirs.items() if version != ours}
    if not others:
        return ""
    who, version = next(iter(others.items()))
    more = f" and {len(others) - 1} more" if len(others) > 1 else ""
    return f"{name} is {ours} here and {version} at {who}{more}"


def _missing_module(client: Client) -> str | None:
    """Name a module that the scheduler or a worker needs but cannot import."""
    code = f"__import__({_NEEDED!r}) and None"
    try:
        client.run_on_scheduler(eval, code)
        client.run(eval, code)
    except ModuleNotFoundError as error:
        return str(error.name)
    return None


def _send_package(client: Client) -> None:
    """Send our package to the scheduler and all workers, including those that join later."""
    package = Path(__file__).parents[1]
    with TemporaryDirectory() as folder:
        archive = Path(folder) / f"daskbinder-{__version__}.zip"
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(package.rglob("*")):
                if path.suffix in (".py", ".toml"):
                    packed.write(path, path.relative_to(package.parent))
        client.upload_file(str(archive))


def check_places(client: Client, source: Location, file: DayFile, dest: Location) -> None:
    """Check that every machine that runs tasks can read the archive and write the results."""
    name = f".daskbinder-probe-{secrets.token_hex(8)}"
    if is_in_process(client):
        _try_places(source if source.is_local else None, file, dest, name)
        with suppress(OSError):
            dest.remove(name)
        return
    hosts = {worker["host"]: address for address, worker in workers_of(client).items()}
    if not dest.is_local:
        hosts = dict(list(hosts.items())[:1])
    for host, address in hosts.items():
        _check_host(client, host, address, (source, file, dest, f"{name}-{host.replace(':', '-')}"))


def _check_host(
    client: Client, host: str, address: str, places: tuple[Location, DayFile, Location, str]
) -> None:
    source, _, dest, name = places
    future = client.submit(_try_places, *places, workers=[address], key=name, pure=False)
    try:
        future.result(timeout=PATIENCE)
        if dest.is_local and not Path(dest.path(name)).exists():
            raise InputError(
                f"{dest} is another folder than here; "
                "give a folder that all machines share, or a URL"
            )
    except TimeoutError as error:
        raise JobError(
            f"worker {address} could not read {source} and write {dest} "
            f"in {PATIENCE:.0f} seconds; check both from there"
        ) from error
    except (InputError, JobError) as error:
        raise type(error)(f"on {host}, {error}") from error
    finally:
        future.release()
    with suppress(OSError):
        dest.remove(name)


def _try_places(source: Location | None, file: DayFile, dest: Location, name: str) -> None:
    """Look up a day file and write a small probe file; runs as a task, where the others will."""
    try:
        if source is not None and source.entry(file.name).size not in (None, file.size):
            raise InputError(f"{source} has another {file.name} than was listed; run again")
    except FileNotFoundError as error:
        raise InputError(
            f"{source} has no {file.name}; give a folder that all machines see, or a URL"
        ) from error
    except OSError as error:
        raise InputError(f"{source} cannot be read: {_reason(error)}") from error
    try:
        dest.write(name, b"daskbinder")
    except (OSError, InputError, JobError) as error:
        raise JobError(f"{dest} cannot be written: {_reason(error)}") from error


def _reason(error: BaseException) -> str:
    cause = error if isinstance(error, OSError) else error.__cause__
    return os.strerror(cause.errno) if isinstance(cause, OSError) and cause.errno else str(error)
