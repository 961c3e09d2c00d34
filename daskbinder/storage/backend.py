"""The storage interface, and its general implementation: any fsspec file system.

Each operation is tried once and raises what it saw; the caller decides what to do about it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import fsspec

LISTED = "was rewritten since it was listed"
WRITTEN = "was written by another run meanwhile"
REFUSED = "refused"
"""Fingerprint key of a file that we may not read; its value is the HTTP status."""

Fingerprint = Mapping[str, str]
"""What changes with the content of a file: generation, md5, crc32c, ETag or modification time."""

Allocate = Callable[[int], memoryview]
"""Allocates a buffer of a given size, to read a file into."""

_KINDS = {"directory": "folder", "other": "special file"}


@dataclass(frozen=True)
class Entry:
    """A file as a listing shows it.

    Attributes
    ----------
    name : str
        Name without folders.
    size : int or None
        Bytes; None if unknown.
    fingerprint : mapping of str to str
        What changes with the content, under the storage's own names.
    modified : float or None
        When it was last written, in seconds since 1970; None if unknown.
    kind : str
        ``"file"``, or what stands in its place, such as ``"folder"``.
    ctime_ns : int or None
        When its content or metadata last changed, in nanoseconds since 1970, by the clock of the
        file system. Only local folders have it, and nobody can set it.
    """

    name: str
    size: int | None
    fingerprint: Fingerprint = field(hash=False)
    modified: float | None = field(default=None, compare=False, repr=False)
    kind: str = "file"
    ctime_ns: int | None = field(default=None, compare=False, repr=False)

    @property
    def fingerprint_text(self) -> str:
        """The fingerprint as written in the day table, such as ``generation=1 crc32c=yZRlqg==``."""
        parts = (f"{key}={value}" for key, value in self.fingerprint.items())
        return " ".join(part.replace(" ", "_") for part in parts)

    def may_be(self, other: "Entry") -> bool:
        """Whether both may have the same content, judging by what both record."""
        known = other.fingerprint
        same = all(known.get(key, value) == value for key, value in self.fingerprint.items())
        facts = (self.size, other.size), (self.ctime_ns, other.ctime_ns)
        return same and all(None in pair or pair[0] == pair[1] for pair in facts)


class Changed(Exception):
    """A file is not the one expected; the message says what happened."""


class Storage:
    """Files below a root of an fsspec file system."""

    fingerprints: ClassVar[tuple[str, ...]] = (
        *("generation", "md5Hash", "crc32c", "ETag", "etag"),
        *("LastModified", "mtime", "created"),
    )
    """Keys of a listing that make up the fingerprint."""
    times: ClassVar[tuple[str, ...]] = ("mtime", "LastModified", "created")
    """Keys of a listing that may say when a file was written."""
    is_local = False
    """Whether it is a local folder."""
    lists = True
    """Whether it can list its files."""
    concurrency = 16
    """Number of concurrent requests; 1 where there is no latency to hide."""

    def __init__(self, fs: fsspec.AbstractFileSystem, root: str) -> None:
        self.fs, self.root = fs, root.rstrip("/")

    def path(self, name: str = "") -> str:
        """Full path of a file or folder, as the file system knows it."""
        return f"{self.root}/{name}" if name else self.root

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """List a folder, files and others."""
        for info in self.fs.ls(self.path(folder), detail=True, refresh=True):
            yield self._entry(info)

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now."""
        return self._entry(self.fs.info(self.path(name), refresh=True))

    def read(
        self, path: str, entry: Entry, start: int | None, stop: int | None, allocate: Allocate
    ) -> Any:
        """Read a file or a byte range of it; raise `Changed` if it is not the one listed.

        Only local folders use `allocate`.
        """
        data = self.fs.cat_file(self.path(path), start=start, end=stop)
        if not entry.may_be(self.entry(path)):
            raise Changed(LISTED)
        return data

    def write(self, name: str, data: Any, stamp: Fingerprint | None) -> None:
        """Write a whole file; with a `stamp`, replace only the file that has it."""
        if stamp is not None and stamp != self.stamp(name):
            raise Changed(WRITTEN)
        self.fs.pipe_file(self.path(name), bytes(data))

    def stamp(self, name: str) -> Fingerprint:
        """Fingerprint of a file; empty if there is none."""
        try:
            return self.entry(name).fingerprint
        except (FileNotFoundError, NotADirectoryError):
            return {}

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        with suppress(FileNotFoundError):
            self.fs.rm_file(self.path(name))

    def remove_folder(self, name: str) -> None:
        """Remove a folder if it exists and is empty; most storages have none."""

    def sweep(self, folders: Iterable[str]) -> None:
        """Remove temporary files of killed runs; most storages have none."""

    def age(self, name: str) -> float | None:
        """Seconds since a file was written; None if unknown."""
        written = self.entry(name).modified
        return None if written is None else time.time() - written

    def is_transient(self, error: BaseException) -> bool:
        """Whether a retry may succeed."""
        return isinstance(error, TimeoutError | ConnectionError)

    def is_refusal(self, error: BaseException) -> bool:
        """Whether permission was denied."""
        return isinstance(error, PermissionError)

    def refusal(self, error: BaseException) -> int | None:
        """HTTP status with which a server refuses this one file; None if it does not."""
        return None

    def _entry(self, info: Mapping[str, Any]) -> Entry:
        time = next((info[key] for key in self.times if info.get(key) is not None), None)
        if isinstance(time, str):
            time = datetime.fromisoformat(time)
        return Entry(
            name=info["name"].rstrip("/").rsplit("/", 1)[-1],
            size=info.get("size"),
            fingerprint={
                key: str(info[key]) for key in self.fingerprints if info.get(key) is not None
            },
            modified=time.timestamp() if isinstance(time, datetime) else time,
            kind=_KINDS.get(info.get("type", "file"), "file"),
        )
