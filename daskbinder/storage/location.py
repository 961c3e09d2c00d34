"""A place that holds files: a folder, a bucket or a site, behind any fsspec URL.

The one module that decides how often a storage is asked again, whether bytes are those that were
listed, and what a user is told when they are not. It knows nothing of what is in the files.
"""

import hashlib
import logging
import os
import random
import re
import secrets
import time
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import fsspec
import google_crc32c
from fsspec.implementations.local import LocalFileSystem

from daskbinder.errors import InputError, JobError
from daskbinder.redaction import StorageOptions, address_of, has_port, scrub, secrets_of
from daskbinder.storage.backend import LISTED, REFUSED, Changed, Entry, Folder, Storage

T = TypeVar("T")

log = logging.getLogger(__name__)

ATTEMPTS = 6
"""How often a request that may yet go well is made."""

FIRST_WAIT = 0.5
"""Seconds before the second attempt; each further wait is twice as long."""

_FAST_CRC = google_crc32c.implementation == "c"
_BUCKETS = ("gs", "gcs")
_SITES = ("http", "https")


class _Damaged(Exception):
    """Bytes that are not those listed; a second transfer may bring the right ones."""


_OWN = secrets.token_bytes(16)
"""By this, names that Dask gives to places tell them apart in this process and reveal nothing."""


@dataclass(frozen=True, repr=False)
class Location:
    """Files below one URL.

    Whatever shows a place shows its `address`, and of its options the names.

    Parameters
    ----------
    secret_url : str
        A local folder or any fsspec URL, with the password that may be in it: to be opened, never
        to be shown.
    options : StorageOptions
        Arguments of the file system, as fsspec takes them.
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
        """Make the place of a URL or of a folder, which may be relative.

        A bucket that is `public` is read without an account unless the options name one.
        """
        url = os.fspath(url)
        if not url:
            raise InputError("an empty name is no place; give a folder or a URL")
        if "://" not in url and "::" not in url:
            url = str(Path(url).expanduser().absolute())
        if not has_port(url):
            raise InputError(
                f"{address_of(url)} has another port than a number, or a password with signs in it "
                "that end there; write these as %2F for / and %3F for ?"
            )
        options = dict(options or {})
        if public and _protocol(url) in _BUCKETS:
            options.setdefault("token", "anon")
        return cls(url, StorageOptions(options))

    @cached_property
    def address(self) -> str:
        """Where it is, without user, password, query and tokens."""
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
            raise self._unusable(error) from self._safe(error)
        return (Folder if isinstance(fs, LocalFileSystem) else Storage)(fs, root)

    def __getstate__(self) -> dict[str, Any]:
        return {"secret_url": self.secret_url, "options": self.options}

    def __repr__(self) -> str:
        return f"Location({self.address!r}, {self.options})"

    def __dask_tokenize__(self) -> tuple[str, str]:
        given = repr((self.secret_url, dict(self.options))).encode()
        return self.address, hashlib.blake2b(given, key=_OWN, digest_size=16).hexdigest()

    @property
    def is_local(self) -> bool:
        """Whether the place is a folder of this machine."""
        return isinstance(self.storage, Folder)

    @property
    def lists(self) -> bool:
        """Whether the place can be asked which files there are."""
        return self.storage.lists

    @property
    def concurrency(self) -> int:
        """How many requests it is polite and useful to have under way."""
        return self.storage.concurrency

    def path(self, name: str = "") -> str:
        """Full path of a file or folder, as the file system knows it."""
        return self.storage.path(name)

    def listing(self, folder: str = "") -> list[Entry]:
        """List what there is in a folder; raise FileNotFoundError if there is none."""
        return self._try(folder, lambda: list(self.storage.entries(folder)))

    def entries(self, folder: str = "") -> list[Entry]:
        """List the files of a folder; raise FileNotFoundError if there is none."""
        return [entry for entry in self.listing(folder) if entry.kind == "file"]

    def entry(self, name: str) -> Entry:
        """Describe a file as it is now; raise FileNotFoundError if there is none."""
        return self._try(name, lambda: self.storage.entry(name))

    def entries_named(self, names: Iterable[str]) -> list[Entry]:
        """Describe those of some files that exist, by asking for each, a few at a time.

        One that we may not read is described by its refusal.

        Raises
        ------
        InputError
            When we may read none of them.
        """

        def look(name: str) -> Entry:
            try:
                return self.storage.entry(name)
            except Exception as error:
                if status := self.storage.refusal(error):
                    return Entry(name, 0, f"{REFUSED}={status}")
                raise

        def ask(name: str) -> Entry | None:
            try:
                return self._try(name, lambda: look(name))
            except FileNotFoundError:
                return None

        with ThreadPoolExecutor(self.concurrency) as pool:
            futures = [pool.submit(ask, name) for name in names]
            try:
                found = [future.result() for future in futures]
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        there = [entry for entry in found if entry is not None]
        if there and all(REFUSED in entry.known for entry in there):
            raise self.refusal()
        return there

    def refusal(self, name: str = "") -> InputError:
        """Make the error that we may not read a file, or anything."""
        return InputError(f"{self._where(name)} is not open to us; {_ADVICE}")

    def _where(self, name: str) -> str:
        return f"{self}/{name}" if name else str(self)

    def read(self, name: str) -> bytes:
        """Bytes of a file as it is now; raise FileNotFoundError if there is none."""
        return bytes(self.fetch(self.entry(name), name))

    def holds(self, name: str, data: bytes) -> bool:
        """Whether there is a file of just these bytes."""
        try:
            entry = self.entry(name)
            return entry.size == len(data) and self.fetch(entry, name) == data
        except (FileNotFoundError, NotADirectoryError):
            return False

    def fetch(self, entry: Entry, path: str | None = None) -> Any:
        """Bytes of a whole file, the ones that were listed and no others.

        Parameters
        ----------
        entry : Entry
            The file as it was listed.
        path : str, optional
            Its name with folders, if it is not right below the place.

        Raises
        ------
        JobError
            When the file is no longer what was listed, or never arrives whole.
        """

        def attempt() -> Any:
            data = self._read(path or entry.name, entry, None, None)
            if damage := flaw(entry, data):
                raise _Damaged(damage)
            return data

        return self._try(path or entry.name, attempt)

    def fetch_range(self, entry: Entry, start: int, stop: int) -> Any:
        """Bytes `start` to `stop` of a file that was listed; their number is all that is checked.

        Raises
        ------
        JobError
            When the file is no longer what was listed, or the range never arrives whole.
        """

        def attempt() -> Any:
            data = self._read(entry.name, entry, start, stop)
            if len(data) != stop - start:
                raise _Damaged(f"{len(data):,} bytes came in place of {stop - start:,}")
            return data

        return self._try(entry.name, attempt)

    def _read(self, path: str, entry: Entry, start: int | None, stop: int | None) -> Any:
        try:
            return self.storage.read(path, entry, start, stop)
        except FileNotFoundError as error:
            raise Changed(LISTED) from error

    def write(self, name: str, data: Any, *, stamp: str | None = None) -> None:
        """Put a whole file in place at once; a reader finds the old file or the new one.

        Parameters
        ----------
        name : str
            Its name below the place.
        data : bytes-like
            What will be in it.
        stamp : str, optional
            Replace only the file that has this stamp. A bucket checks that itself, elsewhere
            someone may still slip in between.

        Raises
        ------
        JobError
            When the file there has another stamp.
        """
        try:
            self._try(name, lambda: self.storage.write(name, data, stamp))
        except FileNotFoundError as error:
            raise InputError(
                f"cannot write to {self}: {self.scrub(str(error))}; make the bucket first"
            ) from error

    def stamp(self, name: str) -> str:
        """What tells this content of a file from the next; empty if there is no file."""
        return self._try(name, lambda: self.storage.stamp(name))

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        self._try(name, lambda: self.storage.remove(name))

    def remove_folder(self, name: str) -> None:
        """Remove a folder, if it is there and empty."""
        self.storage.remove_folder(name)

    def sweep(self, folders: Iterable[str]) -> None:
        """Remove what was being written into these folders when a run was killed."""
        self.storage.sweep(folders)

    def age(self, name: str) -> float | None:
        """Seconds since a file was written, None where the place does not tell."""
        return self._try(name, lambda: self.storage.age(name))

    def _try(self, name: str, attempt: Callable[[], T]) -> T:
        """Do something, again if it may yet go well, and tell the user in one sentence if not."""
        where = self._where(name)
        for tried in range(1, ATTEMPTS + 1):
            try:
                return attempt()
            except (InputError, JobError):
                raise
            except (FileNotFoundError, NotADirectoryError) as error:
                raise self._safe(error) from None
            except Changed as error:
                raise JobError(f"{where} {error}; run again") from error
            except Exception as error:
                safe = self._safe(error)
                if self.storage.is_refusal(error):
                    raise self.refusal(name) from safe
                if isinstance(error, _Damaged) and self.is_local:
                    raise JobError(f"{where} {LISTED}; run again") from error
                seen = self._seen(error)
                if not (isinstance(error, _Damaged) or self.storage.is_transient(error)):
                    if isinstance(error, OSError | MemoryError):
                        raise safe from None
                    raise self._unusable(error, where) from safe
                if tried == ATTEMPTS:
                    raise JobError(
                        f"{where} could not be had in {tried} attempts ({seen}); run again later"
                    ) from safe
            wait = FIRST_WAIT * 2 ** (tried - 1) * random.uniform(0.5, 1.5)
            log.warning(
                "%s: attempt %d of %d failed (%s), again in %.1f s",
                *(where, tried, ATTEMPTS, seen, wait),
            )
            time.sleep(wait)
        raise AssertionError

    def __str__(self) -> str:
        return self.address

    def scrub(self, text: str) -> str:
        """Cut from somebody else's sentence what is secret of this place, and of any URL in it."""
        return scrub(text.replace(self.secret_url, self.address), self._secrets)

    @cached_property
    def _secrets(self) -> frozenset[str]:
        return secrets_of(self.secret_url, self.options)

    def _seen(self, error: BaseException) -> str:
        return self.scrub(f"{type(error).__name__.lstrip('_')}: {error}".rstrip(": "))

    def _safe(self, error: BaseException) -> BaseException:
        """Make an error that says the same without secrets; itself where there are none.

        A traceback shows what an error came from, and so would a notebook that is published.
        """
        if not self._secrets and self.address == self.secret_url:
            return error
        if not isinstance(error, OSError):
            return RuntimeError(self._seen(error))
        kind = type(error) if type(error).__module__ == "builtins" else OSError
        if error.errno is None:
            return kind(self.scrub(str(error)))
        names = (error.filename, None, error.filename2)
        told = (name if name is None else self.scrub(str(name)) for name in names)
        return kind(error.errno, self.scrub(error.strerror or ""), *told)

    def _unusable(self, error: Exception, where: str = "") -> InputError | JobError:
        """Say what does not work here, and which options are at fault if some may be."""
        seen = self._seen(error)
        given = [key for key, value in self.options.items() if value != "anon"]
        if given and isinstance(error, _MISUSED):
            words = set(re.findall(r"\w+", str(error)))
            named = [key for key in given if words & {key, *_keys(self.options[key])}]
            keys = ", ".join(named or given)
            return InputError(
                f"cannot use {where or self} with the storage option {keys} as it is given "
                f"({seen}); see what its file system takes"
            )
        if where:
            return JobError(f"{where} could not be had ({seen})")
        return InputError(f"cannot open {self}: {self.scrub(str(error))}")


_MISUSED = (TypeError, ValueError, AttributeError, LookupError, RuntimeError, AssertionError)
"""What a file system raises when it is given what it does not know."""


def _keys(value: Any) -> Iterable[str]:
    return value if isinstance(value, Mapping) else ()


_ADVICE = (
    "give an account (--storage-option token=google_default for a bucket), "
    "or check its name and its permissions"
)


def _protocol(url: str) -> str:
    return "" if "::" in url else url.partition("://")[0]


def flaw(entry: Entry, data: Any) -> str | None:
    """How bytes differ from what was listed, None if they do not.

    Of two checksums the CRC is taken: it costs a twentieth of the time and finds what a
    transfer can do to bytes.
    """
    if entry.size is not None and len(data) != entry.size:
        return f"{len(data):,} bytes came in place of {entry.size:,}"
    md5, crc = entry.known.get("md5Hash"), entry.known.get("crc32c")
    if crc and (_FAST_CRC or not md5):
        found = google_crc32c.value(bytes(data)).to_bytes(4, "big")
        return None if b64encode(found).decode() == crc else "the CRC32C is not the one listed"
    if md5:
        found = hashlib.md5(data, usedforsecurity=False).digest()
        return None if b64encode(found).decode() == md5 else "the MD5 is not the one listed"
    return None
