"""A bucket of Google Cloud Storage, through gcsfs."""

import inspect
import json
import logging
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import aiohttp
import gcsfs.core
import gcsfs.retry

from daskbinder.storage.backend import WRITTEN, Allocate, Changed, Entry, Fingerprint, Storage
from daskbinder.storage.proxies import heeding_proxies

logging.getLogger("gcsfs").addHandler(logging.NullHandler())  # errors are raised, not logged

_WAIT = aiohttp.ClientTimeout(sock_connect=15, sock_read=30)


class _FileSystem(gcsfs.core.GCSFileSystem):  # type: ignore[misc]  # has no types
    """Sends each request once: retries happen in one place, for all kinds of storage.

    Unlike the class registered for gs://, this one sends no gRPC request first.
    """

    _request = inspect.unwrap(gcsfs.core.GCSFileSystem._request)


class Bucket(Storage):
    """Files below a prefix of a bucket."""

    fingerprints: ClassVar[tuple[str, ...]] = ("generation", "md5Hash", "crc32c")
    times: ClassVar[tuple[str, ...]] = ("timeCreated",)  # of the generation

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        standing = {"use_listings_cache": False, "requests_timeout": _WAIT, "consistency": "md5"}
        session = heeding_proxies(options.get("session_kwargs") or {})
        fs = _FileSystem(**standing | options | {"session_kwargs": session})
        super().__init__(fs, fs._strip_protocol(url))

    def entry(self, name: str) -> Entry:
        """Describe an object; `info` would also list a folder of that name."""
        bucket, key, _ = self.fs.split_path(self.path(name))
        info = self.fs.call("GET", "b/{}/o/{}", bucket, key, json_out=True)
        return self._entry(info | {"size": int(info["size"])})

    def age(self, name: str) -> float | None:
        """Seconds since an object was written, by the bucket's own clock."""
        bucket, key, _ = self.fs.split_path(self.path(name))
        headers, info = self.fs.call("GET", "b/{}/o/{}", bucket, key)
        written = datetime.fromisoformat(json.loads(info)["timeCreated"])
        return (parsedate_to_datetime(headers["Date"]) - written).total_seconds()

    def read(
        self, path: str, entry: Entry, start: int | None, stop: int | None, allocate: Allocate
    ) -> bytes:
        """Read the generation that was listed."""
        generation = entry.fingerprint.get("generation")
        return self.fs.cat_file(self.path(path), start=start, end=stop, generation=generation)

    def write(self, name: str, data: Any, stamp: Fingerprint | None) -> None:
        """Upload a file in one request; with a `stamp`, replace only the file that has it."""
        if stamp is None:
            self.fs.pipe_file(self.path(name), bytes(data), chunksize=1 << 40)
            return
        bucket, key, _ = self.fs.split_path(self.path(name))
        try:
            self.fs.call(
                "POST",
                self.fs.base.replace("/storage/v1/", "/upload/storage/v1/") + "b/{}/o",
                bucket,
                uploadType="media",
                name=key,
                ifGenerationMatch=stamp.get("generation", "0"),
                data=bytes(data),
            )
        except FileExistsError as error:
            # if only the response was lost, the file is ours
            if self.fs.cat_file(self.path(name)) != bytes(data):
                raise Changed(WRITTEN) from error

    def is_transient(self, error: BaseException) -> bool:
        """Whether a retry may succeed."""
        hopeless = isinstance(error, aiohttp.InvalidURL)
        return not hopeless and (
            super().is_transient(error)
            or isinstance(error, json.JSONDecodeError)
            or gcsfs.retry.is_retriable(error)
        )

    def is_refusal(self, error: BaseException) -> bool:
        """Whether permission was denied."""
        return getattr(error, "code", None) in (401, 403) or str(error).startswith("Forbidden")
