"""What a run keeps in DEST while it is under way, so that one killed anywhere is taken up again.

A lock, so that there is one run at a time; the target, by which the next run knows whether it wants
the same as the one that was interrupted; and receipts, one for each task that finished. All of it
lies in one folder, is no part of the data set, and goes when the manifest has been written.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from daskbinder.dayfile import DayFile, Part
from daskbinder.errors import InputError, JobError
from daskbinder.events import Reason
from daskbinder.place import Place
from daskbinder.scan import Tally
from daskbinder.series import MemberCounts
from daskbinder.store import DAYS, Written

FOLDER = ".daskbinder"

_TARGET = f"{FOLDER}/target.json"
_DONE = f"{FOLDER}/done"
_FILES = f"{FOLDER}/files"
_LOCK = f"{FOLDER}/lock"

ASIDE = f"{FOLDER}/{DAYS}"
"""The day table of the run before."""


@contextmanager
def locked(dest: Place) -> Iterator[None]:
    """Keep other runs off a folder; the lock goes with the process, however it ends.

    Elsewhere than in a folder nothing is locked: there the manifest is only replaced if it is still
    the one the run began with.

    Raises
    ------
    InputError
        When another run is at work there.
    JobError
        When nothing can be written there.
    """
    if not dest.is_local:
        yield
        return
    path = Path(dest.path(_LOCK))
    while True:
        file = _lock(path, dest)
        if _is_same(file, path):
            break
        file.close()  # whoever held the lock has just taken the file away
    try:
        yield
    finally:
        with file, suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()


def _lock(path: Path, dest: Place) -> IO[str]:
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        seen = error.strerror or error
        raise JobError(f"{dest} cannot be written: {seen}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise InputError(
            f"another run is writing to {dest}; wait for it, or give another folder"
        ) from error
    return file


def _is_same(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


@dataclass(frozen=True)
class Target:
    """What a run wants.

    Attributes
    ----------
    token : str
        Names what it wants together with what it builds on.
    names : frozenset of str or None
        Files that it may replace; None if that is not known.
    left : frozenset of str
        Files that may be there too, though no manifest will name them.
    anew : bool
        Whether it counts everything anew, because what was there cannot be trusted. It is taken up
        as such: what it replaced must not be trusted either.
    """

    token: str
    names: frozenset[str] | None
    left: frozenset[str]
    anew: bool

    def beside(self, names: Collection[str]) -> "Target":
        """Aim at other files too; those so far may then be left."""
        before = self.names or frozenset()
        return replace(self, names=before | set(names), left=self.left | before)


def read_target(dest: Place) -> Target | None:
    """What the run that was interrupted here wanted, None if there was none."""
    try:
        saved = json.loads(dest.read(_TARGET))
        return Target(
            saved["token"], frozenset(saved["names"]), frozenset(saved["left"]), saved["anew"]
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, TypeError, KeyError):
        return Target("", None, frozenset(), anew=True)


def begin(dest: Place, token: str, names: Collection[str], *, anew: bool) -> Target:
    """Say what is wanted and which files will be replaced, before any is.

    The day table is set aside: it will be replaced, and the next run needs it if this one ends
    early. What runs that ended early may have left is part of the target.
    """
    dest.sweep()
    before = read_target(dest)
    if before is None:
        with suppress(FileNotFoundError):
            dest.write(ASIDE, dest.read(DAYS))
    left = before.left | (before.names or frozenset()) if before else frozenset()
    target = Target(token, frozenset(names), left, anew)
    aim(dest, target)
    return target


def aim(dest: Place, target: Target) -> None:
    """Say which files will be replaced, before any is that was not named before."""
    dest.write(_TARGET, json.dumps(vars(target), default=sorted).encode())


def list_files(dest: Place, listings: Mapping[str, Sequence[DayFile]]) -> None:
    """Write listings of day files down, by name, for tasks that are told only the name."""

    def write(item: tuple[str, Sequence[DayFile]]) -> None:
        name, files = item
        rows = [
            [file.date.isoformat(), file.name, file.size, file.fingerprint, file.modified]
            for file in files
        ]
        dest.write(_listing(name), json.dumps(rows).encode())

    with ThreadPoolExecutor(dest.concurrency) as pool:
        list(pool.map(write, listings.items()))


@lru_cache(maxsize=8)
def files_listed(dest: Place, name: str) -> tuple[DayFile, ...]:
    """Day files of a listing; names tell what is in them, so one that was read is remembered."""
    found = []
    for day, *rest in json.loads(dest.read(_listing(name))):
        found.append(DayFile(date.fromisoformat(day), *rest))
    return tuple(found)


def clear(dest: Place) -> None:
    """Remove everything but the lock, which belongs to whoever holds it."""
    for key in done(dest):
        dest.remove(_receipt(key))
    with suppress(FileNotFoundError, NotADirectoryError):
        for entry in dest.entries(_FILES):
            dest.remove(f"{_FILES}/{entry.name}")
    dest.remove(ASIDE)
    dest.remove(_TARGET)
    if dest.is_local:
        for folder in (_DONE, _FILES):
            with suppress(OSError):
                Path(dest.path(folder)).rmdir()


def done(dest: Place) -> set[str]:
    """Keys of the tasks that have a receipt."""
    try:
        return {entry.name.removesuffix(".json") for entry in dest.entries(_DONE)}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def remember(dest: Place, key: str, task: Callable[..., Any], *inputs: Any) -> Any:
    """Do a task and leave a receipt with its result."""
    result = task(*inputs)
    dest.write(_receipt(key), json.dumps(_encode(result), default=str).encode())
    return result


def recall(dest: Place, key: str) -> Any:
    """Return the result of a task that left a receipt."""
    return _decode(json.loads(dest.read(_receipt(key))))


def _listing(name: str) -> str:
    return f"{_FILES}/{name}.json"


def _receipt(key: str) -> str:
    return f"{_DONE}/{key}.json"


def _encode(result: Any) -> dict[str, Any]:
    if isinstance(result, MemberCounts):
        arrays = {name: getattr(result, name).tolist() for name in ("hour", "member", "n")}
        return {"members": result.members, "unknown": result.unknown, **arrays}
    if all(isinstance(item, Written) for item in result):
        return {"written": [vars(item) for item in result]}
    return {"tallies": [[_saved(part), vars(tally)] for part, tally in result]}


def _decode(saved: dict[str, Any]) -> Any:
    if "members" in saved:
        hour, member, n = (np.array(saved[name], np.int64) for name in ("hour", "member", "n"))
        return MemberCounts(tuple(saved["members"]), hour, member, n, tuple(saved["unknown"]))
    if "written" in saved:
        return [Written(**item) for item in saved["written"]]
    return [(_part(part), _tally(tally)) for part, tally in saved["tallies"]]


def _saved(part: Part) -> dict[str, Any]:
    return vars(part) | {"file": vars(part.file)}


def _part(saved: dict[str, Any]) -> Part:
    file = saved["file"]
    return Part(
        DayFile(**{**file, "date": date.fromisoformat(file["date"])}), saved["start"], saved["stop"]
    )


def _tally(saved: dict[str, Any]) -> Tally:
    rejected = Counter({Reason(reason): n for reason, n in saved["rejected"].items()})
    records = [(index, Reason(reason), text) for index, reason, text in saved["records"]]
    return Tally(**{**saved, "rejected": rejected, "records": records})
