"""What a storage can do, and the two plain kinds: a folder, and any file system of fsspec.

Each operation is tried once and says what it saw; who calls decides what to do about it.
"""

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from stat import S_ISREG
from typing import Any, ClassVar

import fsspec

from daskbinder import memory

LISTED = "was rewritten since it was listed"
WRITTEN = "was written by another run meanwhile"

_TEMPORARY = ".daskbinder-"


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
    """

    name: str
    size: int | None
    fingerprint: str
    modified: float | None = None

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
        """List the files of a folder."""
        for info in self.fs.ls(self.path(folder), detail=True, refresh=True):
            if info["type"] == "file":
                yield self._entry(info)

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now."""
        return self._entry(self.fs.info(self.path(name), refresh=True))

    def read(self, path: str, entry: Entry, start: int | None, stop: int | None) -> Any:
        """Bytes of a file or of a range of it; raise `Changed` if it is not the one listed."""
        return self.fs.cat_file(self.path(path), start=start, end=stop)

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

    def sweep(self) -> None:
        """Remove what was being written when a run was killed; most storages keep nothing."""

    def is_transient(self, error: BaseException) -> bool:
        """Whether the same request may go well a moment later."""
        return isinstance(error, TimeoutError | ConnectionError)

    def is_refusal(self, error: BaseException) -> bool:
        """Whether we may not do what we asked for."""
        return isinstance(error, PermissionError)

    def _entry(self, info: Mapping[str, Any]) -> Entry:
        known = [f"{key}={info[key]}" for key in self.fingerprints if info.get(key) is not None]
        known = [part.replace(" ", "_") for part in known]
        times = (info[key] for key in self.times if info.get(key) is not None)
        time = next(times, None)
        if isinstance(time, str):
            time = datetime.fromisoformat(time)
        modified = time.timestamp() if isinstance(time, datetime) else time
        name = info["name"].rstrip("/").rsplit("/", 1)[-1]
        return Entry(name, info.get("size"), " ".join(known), modified)


class Folder(Storage):
    """Files of a folder of this machine."""

    fingerprints = ("mtime",)
    times = ("mtime",)
    concurrency = 1

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """List the files of a folder and those that links lead to, asking the system itself."""
        with os.scandir(self.path(folder)) as found:
            for one in found:
                with suppress(FileNotFoundError):  # it may be gone by now
                    if one.is_file():
                        yield self._seen(one.name, one.stat())

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now, as a listing does."""
        seen = Path(self.path(name)).stat()
        return self._seen(name, seen) if S_ISREG(seen.st_mode) else super().entry(name)

    @staticmethod
    def _seen(name: str, seen: os.stat_result) -> Entry:
        base = name.rpartition("/")[2]
        return Entry(base, seen.st_size, f"mtime={seen.st_mtime}", seen.st_mtime)

    def read(self, path: str, entry: Entry, start: int | None, stop: int | None) -> memoryview:
        """Bytes of a file or of a range of it, fewer if it ends before."""
        whole = stop is None
        if stop is None:
            stop = (entry.size or 0) + 1
        start = start or 0
        view = memory.allocate(max(stop - start, 0))
        with Path(self.path(path)).open("rb", buffering=0) as file:
            file.seek(start)
            filled = 0
            while filled < len(view) and (got := file.readinto(view[filled:])):
                filled += got
        if whole and self.entry(path).fingerprint != entry.fingerprint:
            raise Changed(LISTED)
        return view[:filled]

    def sweep(self) -> None:
        """Remove the temporary files below the folder."""
        for path in Path(self.root).rglob(f"{_TEMPORARY}*"):
            path.unlink(missing_ok=True)

    def write(self, name: str, data: Any, stamp: str | None) -> None:
        """Put a whole file in place at once; a reader finds the old file or the new one."""
        if stamp is not None and stamp != self.stamp(name):
            raise Changed(WRITTEN)
        target = Path(self.path(name))
        with suppress(FileNotFoundError):
            self._replace(target, data)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        self._replace(target, data)

    @staticmethod
    def _replace(target: Path, data: Any) -> None:
        temporary = target.with_name(_TEMPORARY + secrets.token_hex(8))
        try:
            with temporary.open("xb", buffering=0) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
