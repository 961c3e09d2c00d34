"""A web site: files can be requested by name, but not listed. Uses fsspec's HTTP file system."""

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import fsspec
from fsspec.asyn import sync

from daskbinder._version import __version__
from daskbinder.redaction import address_of
from daskbinder.storage.backend import LISTED, Allocate, Changed, Entry, Storage
from daskbinder.storage.proxies import heeding_proxies

_WAIT = aiohttp.ClientTimeout(total=None, sock_connect=15, sock_read=30)
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"daskbinder/{__version__}"}
_GONE = {404, 410}
_AGAIN = {408, 425, 429}
_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416


class Site(Storage):
    """Files below a URL."""

    lists = False

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        client = {"timeout": _WAIT} | heeding_proxies(options.get("client_kwargs") or {})
        fs, root = fsspec.core.url_to_fs(url, **options | {"client_kwargs": client})
        root, _, query = root.partition("#")[0].partition("?")
        self.query = query and f"?{query}"
        super().__init__(fs, root)

    def path(self, name: str = "") -> str:
        """URL of a file, with the query of a signed URL."""
        return super().path(name) + self.query

    def entries(self, folder: str = "") -> Iterator[Entry]:
        """Refuse: a site has no listing."""
        raise NotImplementedError("a site lists nothing; ask for files by name")

    def entry(self, name: str) -> Entry:
        """Describe a file by its headers."""
        _, headers, _ = self._ask("HEAD", name, {})
        return _describe(name, headers)

    def read(
        self, path: str, entry: Entry, start: int | None, stop: int | None, allocate: Allocate
    ) -> bytes:
        """Read a file or a byte range of it, even if the server ignores ranges."""
        if stop is None:
            wanted = {}
        elif (start := start or 0) >= stop:
            return b""
        else:
            wanted = {"Range": f"bytes={start}-{stop - 1}"}
        status, headers, data = self._ask("GET", path, wanted)
        if status == _UNSATISFIABLE or _describe(path, headers).fingerprint != entry.fingerprint:
            raise Changed(LISTED)
        return data[start:stop] if wanted and status == _OK else data

    def is_transient(self, error: BaseException) -> bool:
        """Whether a retry may succeed."""
        if isinstance(error, aiohttp.ClientResponseError):
            return error.status in _AGAIN or error.status >= 500
        hopeless = aiohttp.ClientConnectorDNSError | aiohttp.InvalidURL
        return super().is_transient(error) or (
            isinstance(error, aiohttp.ClientError) and not isinstance(error, hopeless)
        )

    def is_refusal(self, error: BaseException) -> bool:
        """Whether permission was denied."""
        return getattr(error, "status", None) in (401, 403)

    def refusal(self, error: BaseException) -> int | None:
        """HTTP status with which a server refuses this one file; None if it does not."""
        status = getattr(error, "status", None)
        refuses = status is not None and 400 <= status < 500 and status not in _AGAIN
        return status if refuses else None

    def _ask(
        self, method: str, name: str, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        return sync(self.fs.loop, self._answer, method, self.path(name), headers)

    async def _answer(
        self, method: str, url: str, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        options = dict(self.fs.kwargs)
        headers = {**_HEADERS, **options.pop("headers", {}), **headers}
        session = await self.fs.set_session()
        async with session.request(
            method, self.fs.encode_url(url), headers=headers, **options
        ) as answer:
            if answer.status in _GONE:
                raise FileNotFoundError(address_of(url))
            if answer.status not in (_OK, _PARTIAL, _UNSATISFIABLE):
                answer.raise_for_status()
                raise OSError(f"{address_of(url)} answers with status {answer.status}")
            return answer.status, answer.headers, await answer.read()


def _describe(name: str, headers: Mapping[str, str]) -> Entry:
    """Describe a file by the headers of a response, which may be for a byte range."""
    etag, modified = headers.get("ETag"), headers.get("Last-Modified")
    size = headers.get("Content-Range", headers.get("Content-Length", "")).rpartition("/")[2]
    fingerprint = {"etag": etag.removeprefix("W/")} if etag else {}
    if modified:
        fingerprint["modified"] = modified
    try:
        seconds = parsedate_to_datetime(modified).timestamp() if modified else None
    except ValueError:
        seconds = None
    return Entry(
        name, int(size) if size.isdigit() else None, fingerprint or {"size": size}, seconds
    )
