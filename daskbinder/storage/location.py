"""A location of files: a folder, a bucket or a site, behind any fsspec URL.

Checks that bytes match the listing; knows nothing about the content of files.
"""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

from daskbinder.errors import InputError
from daskbinder.redaction import StorageOptions, address_of, has_port
from daskbinder.storage.backend import (
    LISTED,
    REFUSED,
    Allocate,
    Changed,
    Entry,
    Fingerprint,
    Storage,
)
from daskbinder.storage.buffers import allocate_new
from daskbinder.storage.checksums import mismatch
from daskbinder.storage.local import Folder
from daskbinder.storage.retry import Damaged, Explainer, with_retries

T = TypeVar("T")

_BUCKETS = ("gs", "gcs")
_SITES = ("http", "https")

_HASH_KEY = secrets.token_bytes(16)
"""Key for hashing secrets into Dask's names, so that these reveal nothing."""


@dataclass(frozen=True, repr=False)
class Location:
    """Files below one URL, shown as its `address` and the names of its options.

    `secret_url` may hold a password: open it, never show it. `options` are fsspec's file system
    arguments.
    """

    secret_url: str
    options: StorageOptions

    @classmethod
    def at(
        cls,
        url: str | os.PathLike[str],
        options: Mapping[str, Any] | None = None,
        *,
        public: bool = False,
    ) -> "Location":
        """Make a location from a URL or a folder, which may be relative.

        A `public` bucket is read without an account unless the options name one.
        """
        url = os.fspath(url)
        if not url:
            raise InputError("an empty name is no place; give a folder or a URL")
        if "://" not in url and "::" not in url:
            url = str(Path(url).expanduser().absolute())
        if not has_port(url):
            raise InputError(
                f"{address_of(url)} has a port that is not a number, or a password with "
                "unescaped characters; write these as %2F for / and %3F for ?"
            )
        options = dict(options or {})
        if public and _protocol(url) in _BUCKETS:
            options.setdefault("token", "anon")
        return cls(url, StorageOptions(options))

    @cached_property
    def address(self) -> str:
        """Its URL, without user, password, query and tokens."""
        return address_of(self.secret_url)

    @cached_property
    def storage(self) -> Storage:
        """The storage behind it, opened when first needed."""
        url, options = self.secret_url, dict(self.options)
        try:
            if _protocol(url) in _BUCKETS:
                from daskbinder.storage.gcs import Bucket

                return Bucket(url, options)
            if _protocol(url) in _SITES:
                from daskbinder.storage.http import Site

                return Site(url, options)
            fs, root = fsspec.core.url_to_fs(url, **options)
        except Exception as error:
            failed = InputError(f"cannot open {self}: {self._explain.scrub(str(error))}")
            misused = self._explain.misuse(error, self.address)
            raise (misused or failed) from self._explain.safe(error)
        return (Folder if isinstance(fs, LocalFileSystem) else Storage)(fs, root)

    @cached_property
    def _explain(self) -> Explainer:
        return Explainer(self.secret_url, self.options)

    def __getstate__(self) -> dict[str, Any]:
        return {"secret_url": self.secret_url, "options": self.options}

    def __str__(self) -> str:
        return self.address

    def __repr__(self) -> str:
        return f"Location({self.address!r}, {self.options})"

    def __dask_tokenize__(self) -> tuple[str, str]:
        given = repr((self.secret_url, dict(self.options))).encode()
        return self.address, hashlib.blake2b(given, key=_HASH_KEY, digest_size=16).hexdigest()

    @property
    def is_local(self) -> bool:
        """Whether it is a local folder."""
        return self.storage.is_local

    @property
    def lists(self) -> bool:
        """Whether it can list its files."""
        return self.storage.lists

    @property
    def concurrency(self) -> int:
        """Number of concurrent requests that is useful and polite."""
        return self.storage.concurrency

    def path(self, name: str = "") -> str:
        """Full path of a file or folder, as the file system knows it."""
        return self.storage.path(name)

    def refusal(self, name: str = "") -> InputError:
        """Make the permission-denied error for a file, or for the location."""
        return self._explain.refusal(name)

    def listing(self, folder: str = "") -> list[Entry]:
        """List a folder, files and others; raise FileNotFoundError if there is none."""
        return self._try(folder, lambda: list(self.storage.entries(folder)))

    def entries(self, folder: str = "") -> list[Entry]:
        """List the files of a folder; raise FileNotFoundError if there is none."""
        return [entry for entry in self.listing(folder) if entry.kind == "file"]

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now; raise FileNotFoundError if there is none."""
        return self._try(name, lambda: self.storage.entry(name))

    def entries_named(self, names: Iterable[str]) -> list[Entry]:
        """Describe the named files that exist, requesting a few at a time.

        The fingerprint of a file that we may not read is its refusal. Raises `InputError` if all
        are refused.
        """

        def describe(name: str) -> Entry:
            try:
                return self.storage.entry(name)
            except Exception as error:
                if status := self.storage.refusal(error):
                    return Entry(name, 0, {REFUSED: str(status)})
                raise

        def ask(name: str) -> Entry | None:
            try:
                return self._try(name, lambda: describe(name))
            except FileNotFoundError:
                return None

        with ThreadPoolExecutor(self.concurrency) as pool:
            futures = [pool.submit(ask, name) for name in names]
            try:
                entries = [entry for future in futures if (entry := future.result()) is not None]
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        if entries and all(REFUSED in entry.fingerprint for entry in entries):
            raise self.refusal()
        return entries

    def read(self, name: str) -> bytes:
        """Read a file as it is now; raise FileNotFoundError if there is none."""
        return bytes(self.fetch(self.entry(name), name))

    def holds(self, name: str, data: bytes) -> bool:
        """Whether there is a file of exactly these bytes."""
        try:
            entry = self.entry(name)
            return entry.size == len(data) and self.fetch(entry, name) == data
        except (FileNotFoundError, NotADirectoryError):
            return False

    def fetch(
        self, entry: Entry, path: str | None = None, *, allocate: Allocate = allocate_new
    ) -> Any:
        """Read a whole file; raise `JobError` if it changed since it was listed or arrives damaged.

        `path` is its name with folders, if it is not directly below the location. A local file is
        read into memory from `allocate`.
        """
        path = path or entry.name

        def request() -> Any:
            data = self._read(path, entry, None, None, allocate)
            if damage := mismatch(entry, data):
                raise Damaged(damage)
            return data

        return self._try(path, request)

    def fetch_range(
        self, entry: Entry, start: int, stop: int, *, allocate: Allocate = allocate_new
    ) -> Any:
        """Read bytes `start` to `stop` of a file, as `fetch` does; only the length is checked."""

        def request() -> Any:
            data = self._read(entry.name, entry, start, stop, allocate)
            if len(data) != stop - start:
                raise Damaged(f"{len(data):,} bytes came in place of {stop - start:,}")
            return data

        return self._try(entry.name, request)

    def _read(
        self, path: str, entry: Entry, start: int | None, stop: int | None, allocate: Allocate
    ) -> Any:
        try:
            return self.storage.read(path, entry, start, stop, allocate)
        except FileNotFoundError as error:
            raise Changed(LISTED) from error

    def write(self, name: str, data: Any, *, stamp: Fingerprint | None = None) -> None:
        """Write a whole file; a reader sees either the old one or the new one.

        With a `stamp`, only the file that has it is replaced, else `JobError` is raised. A bucket
        checks that itself; elsewhere another writer may still slip in between.
        """
        try:
            self._try(name, lambda: self.storage.write(name, data, stamp), "written")
        except FileNotFoundError as error:
            raise InputError(
                f"cannot write to {self}: {self._explain.scrub(str(error))}; make the bucket first"
            ) from error

    def stamp(self, name: str) -> Fingerprint:
        """Fingerprint of a file as it is now; empty if there is none."""
        return self._try(name, lambda: self.storage.stamp(name))

    def remove(self, name: str) -> None:
        """Remove a file if it exists."""
        self._try(name, lambda: self.storage.remove(name), "removed")

    def remove_folder(self, name: str) -> None:
        """Remove a folder if it exists and is empty."""
        self.storage.remove_folder(name)

    def sweep(self, folders: Iterable[str]) -> None:
        """Remove temporary files that killed runs left in these folders."""
        self.storage.sweep(folders)

    def age(self, name: str) -> float | None:
        """Seconds since a file was written; None if unknown."""
        return self._try(name, lambda: self.storage.age(name))

    def _try(self, name: str, request: Callable[[], T], verb: str = "read") -> T:
        return with_retries(request, self.storage, self._explain, name, verb)


def _protocol(url: str) -> str:
    return "" if "::" in url else url.partition("://")[0]
