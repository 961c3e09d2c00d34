"""What a storage can do, and the two plain kinds: a folder, and any file system of fsspec.

Each operation is tried once and says what it saw; who calls decides what to do about it.
"""

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import fsspec

from daskbinder.storage import buffers, local

LISTED = "was rewritten since it was listed"
WRITTEN = "was written by another run meanwhile"
REFUSED = "refused"
"""In place of a fingerprint, with the status: a file that we may not read."""

_KINDS = {"directory": "folder", "other": "special file"}


@dataclass(frozen=True)
class Entry:
    """A file as a listing shows it.

    Attributes
    ----------
    name : str
        Name without folders.
    size : int or None
        Bytes, None where the place does not say.
    fingerprint : str
        What the place knows that changes with the content: generation, md5, crc32c, etag or
        time of modification.
    modified : float or None
        When it was last written, in seconds since 1970, None where the place does not say.
    kind : str
        What it is: ``"file"``, or what stands in the place of one, such as ``"folder"``.
    ctime_ns : int or None
        When content or anything else of it was last changed, in nanoseconds since 1970, by the
        clock of the file system. Only folders say, and nobody can set it.
    """

    name: str
    size: int | None
    fingerprint: str
    modified: float | None = None
    kind: str = "file"
    ctime_ns: int | None = None

    def may_be(self, other: "Entry") -> bool:
        """Whether the other may be of the same content, by what both of them know."""
        known = other.known
        same = all(known.get(key, value) == value for key, value in self.known.items())
        facts = (self.size, other.size), (self.ctime_ns, other.ctime_ns)
        return same and all(None in pair or pair[0] == pair[1] for pair in facts)

    @property
    def known(self) -> dict[str, str]:
        """The fingerprint by the names of its parts."""
        return dict(part.partition("=")[::2] for part in self.fingerprint.split(" "))


class Changed(Exception):
    """A file is not the one that was expected; the message says how that came."""


class Storage:
    """Files below a root of a file system of fsspec."""

    fingerprints: ClassVar[tuple[str, ...]] = (
        "generation",
        "md5Hash",
        "crc32c",
        "ETag",
        "etag",
        "LastModified",
        "mtime",
        "created",
    )
    """What a listing may hold that changes with the content."""
    times: ClassVar[tuple[str, ...]] = ("mtime", "LastModified", "created")
    """Where a listing may say when a file was written."""
    lists = True
    """Whether it can be asked which files there are."""
    concurrency = 16
    """How many requests are under way at a time; 1 where waiting costs nothing."""

    def __init__(self, fs: fsspec.AbstractFileSystem, root: str) -> None:
        self.fs, self.root = fs, root.rstrip("/")

    def path(self, name: str = "") -> str:
        """Full path of a file or folder, as the file system knows it."""
        return f"{self.root}/{name}" if name else self.root

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """List what there is in a folder, files and others."""
        for info in self.fs.ls(self.path(folder), detail=True, refresh=True):
            yield self._entry(info)

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now."""
        return self._entry(self.fs.info(self.path(name), refresh=True))

    def read(self, path: str, entry: Entry, start: int | None, stop: int | None) -> Any:
        """Bytes of a file or of a range of it; raise `Changed` if it is not the one listed."""
        data = self.fs.cat_file(self.path(path), start=start, end=stop)
        if not entry.may_be(self.entry(path)):
            raise Changed(LISTED)
        return data

    def write(self, name: str, data: Any, stamp: str | None) -> None:
        """Put a whole file in place, only over the one with this stamp if one is given."""
        if stamp is not None and stamp != self.stamp(name):
            raise Changed(WRITTEN)
        self.fs.pipe_file(self.path(name), bytes(data))

    def stamp(self, name: str) -> str:
        """What tells this content of a file from the next; empty if there is no file."""
        try:
            return self.entry(name).fingerprint
        except (FileNotFoundError, NotADirectoryError):
            return ""

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with suppress(FileNotFoundError):
            self.fs.rm_file(self.path(name))

    def remove_folder(self, name: str) -> None:
        """Remove a folder, if it is there and empty; most storages have none."""

    def sweep(self, folders: Iterable[str]) -> None:
        """Remove what was being written when a run was killed; most storages keep nothing."""

    def age(self, name: str) -> float | None:
        """Seconds since a file was written, None where the storage does not tell."""
        written = self.entry(name).modified
        return None if written is None else time.time() - written

    def is_transient(self, error: BaseException) -> bool:
        """Whether the same request may go well a moment later."""
        return isinstance(error, TimeoutError | ConnectionError)

    def is_refusal(self, error: BaseException) -> bool:
        """Whether we may not do what we asked for."""
        return isinstance(error, PermissionError)

    def refusal(self, error: BaseException) -> int | None:
        """Status by which a server refuses this one file, None if it does not."""
        return None

    def _entry(self, info: Mapping[str, Any]) -> Entry:
        known = [f"{key}={info[key]}" for key in self.fingerprints if info.get(key) is not None]
        known = [part.replace(" ", "_") for part in known]
        times = (info[key] for key in self.times if info.get(key) is not None)
        time = next(times, None)
        if isinstance(time, str):
            time = datetime.fromisoformat(time)
        modified = time.timestamp() if isinstance(time, datetime) else time
        name = info["name"].rstrip("/").rsplit("/", 1)[-1]
        kind = _KINDS.get(info.get("type", "file"), "file")
        return Entry(name, info.get("size"), " ".join(known), modified, kind)


class Folder(Storage):
    """Files of a folder of this machine."""

    fingerprints = ("mtime",)
    times = ("mtime",)
    concurrency = 1

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """List what there is in a folder and what links lead to, asking the system itself."""
        with os.scandir(self.path(folder)) as found:
            for one in found:
                with suppress(FileNotFoundError):  # it may be gone by now
                    yield self._seen(one.name, one.stat())

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now, as a listing does; refuse what is none."""
        entry = self._seen(name, Path(self.path(name)).stat())
        if entry.kind != "file":
            raise local.refuse_kind(self.path(name), entry.kind)
        return entry

    @staticmethod
    def _seen(name: str, seen: os.stat_result) -> Entry:
        base = name.rpartition("/")[2]
        mtime = seen.st_mtime
        kind = local.kind_of(seen)
        return Entry(base, seen.st_size, f"mtime={mtime}", mtime, kind, seen.st_ctime_ns)

    def read(self, path: str, entry: Entry, start: int | None, stop: int | None) -> memoryview:
        """Bytes of a file or of a range of it, fewer if it ends before."""
        if stop is None:
            stop = (entry.size or 0) + 1
        start = start or 0
        view = buffers.allocate(max(stop - start, 0))
        with open(self.path(path), "rb", buffering=0, opener=local.open_to_read) as file:
            self._expect(file.fileno(), path, entry)
            file.seek(start)
            filled = 0
            while filled < len(view) and (got := file.readinto(view[filled:])):
                filled += got
            self._expect(file.fileno(), path, entry)
        return view[:filled]

    def _expect(self, file: int, path: str, entry: Entry) -> None:
        """Raise if an open file is not the one listed, as its times and its size tell."""
        now = self._seen(path, os.fstat(file))
        if now.kind != "file":
            raise local.refuse_kind(self.path(path), now.kind)
        if not entry.may_be(now):
            raise Changed(LISTED)

    def write(self, name: str, data: Any, stamp: str | None) -> None:
        """Put a whole file in place at once; a reader finds the old file or the new one."""
        if stamp is not None and stamp != self.stamp(name):
            raise Changed(WRITTEN)
        folder, _, base = name.rpartition("/")
        try:
            with local.open_folder(self.root, folder, make=True) as at:
                local.replace(at, base, memoryview(data).cast("B"))
        except IsADirectoryError as error:
            raise local.refuse_kind(self.path(name), "folder") from error

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        folder, _, base = name.rpartition("/")
        with suppress(FileNotFoundError), local.open_folder(self.root, folder) as at:
            local.remove(at, base)

    def remove_folder(self, name: str) -> None:
        """Remove a folder, if it is there and empty."""
        above, _, base = name.rpartition("/")
        with suppress(OSError), local.open_folder(self.root, above) as at:
            os.rmdir(base, dir_fd=at)

    def sweep(self, folders: Iterable[str]) -> None:
        """Remove what was being written when a run was killed, from these folders."""
        for folder in folders:
            with suppress(FileNotFoundError), local.open_folder(self.root, folder) as at:
                local.sweep(at)
