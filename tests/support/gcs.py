"""A loopback server with faults, and on it the part of Google's storage API that gcsfs speaks.

`python tests/support/gcs.py FOLDER` serves the files of a folder as the bucket ``archive`` and
prints the port; it ends with its standard input.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import re
import ssl
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import google_crc32c
from aiohttp import web

PIECE = 1 << 18


@dataclass
class Fault:
    """What goes wrong, with the first `times` requests that match `on`.

    `kind` is a status, or one of reset, truncated (ends before its Content-Length), short (half,
    with a Content-Length that agrees), stalled, flipped (one bit) and changed (rewritten just
    before it is read), or makes another body of the right one.
    """

    kind: int | str | Callable[[bytes], bytes]
    on: str
    times: int = 1


@dataclass
class Server:
    """An HTTP server in a thread, slow and faulty as told."""

    latency: float = 0.0
    bandwidth: float = float("inf")
    faults: list[Fault] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    most: int = 0
    """The most requests there were at a time."""
    sent: int = 0
    """Bytes of bodies sent."""
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self.under_way = 0
        self.free_at = 0.0
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        self.port = asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(10)
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def _start(self) -> int:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        port: int = self.runner.addresses[0][1]
        return port

    async def _stop(self) -> None:
        await self.runner.cleanup()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        line = f"{request.method} {request.path_qs}"
        self.requests.append(line)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.latency)
            kind = self._fault(line)
            if kind == "changed":
                self.change(request)
            if isinstance(kind, int):
                return web.json_response({"error": {"code": kind, "message": "no"}}, status=kind)
            if kind == "reset":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return await self._send(request, kind, *await self.answer(request))
        except ConnectionResetError:  # who asked is gone
            return web.Response()
        finally:
            self.under_way -= 1

    def _fault(self, line: str) -> int | str | Callable[[bytes], bytes] | None:
        for fault in self.faults:
            if fault.times > 0 and re.search(fault.on, line):
                fault.times -= 1
                return fault.kind
        return None

    async def answer(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        raise NotImplementedError

    def change(self, request: web.Request) -> None:
        raise NotImplementedError

    async def _send(
        self,
        request: web.Request,
        kind: str | Callable[[bytes], bytes] | None,
        status: int,
        headers: dict[str, str],
        body: bytes,
    ) -> web.StreamResponse:
        if callable(kind):
            body = kind(body)
        if kind == "short":
            body = body[: len(body) // 2]
        if kind == "flipped" and body:
            middle = len(body) // 2
            body = body[:middle] + bytes([body[middle] ^ 4]) + body[middle + 1 :]
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = len(body)
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        stop = len(body) // 2 if kind in ("truncated", "stalled") else len(body)
        for at in range(0, stop, PIECE):
            piece = body[at : min(at + PIECE, stop)]
            now = self.loop.time()
            self.free_at = max(self.free_at, now) + len(piece) / self.bandwidth
            if self.free_at > now:
                await asyncio.sleep(self.free_at - now)
            self.sent += len(piece)
            await response.write(piece)
        if kind == "stalled":
            await asyncio.sleep(3)
        if kind in ("truncated", "stalled"):
            assert request.transport is not None
            request.transport.abort()
            return response
        await response.write_eof()
        return response


def ranged(request: web.Request, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Answer with the range that is asked for, or with everything."""
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if not found:
        return 200, {}, data
    start, stop = int(found[1]), min(int(found[2] or len(data)) + 1, len(data))
    if start >= len(data):
        return 416, {"Content-Range": f"bytes */{len(data)}"}, b""
    return 206, {"Content-Range": f"bytes {start}-{stop - 1}/{len(data)}"}, data[start:stop]


@dataclass
class Stored:
    """An object of the bucket."""

    data: bytes
    generation: int
    composite: bool = False
    written: datetime | None = None

    def __post_init__(self) -> None:
        crc = google_crc32c.value(self.data).to_bytes(4, "big")
        self.crc32c = base64.b64encode(crc).decode()
        self.md5 = base64.b64encode(hashlib.md5(self.data).digest()).decode()

    def resource(self, name: str) -> dict[str, Any]:
        created = self.written or datetime(2021, 3, 5, tzinfo=UTC) + timedelta(
            seconds=self.generation
        )
        found = {
            "kind": "storage#object",
            "bucket": "archive",
            "name": name,
            "size": str(len(self.data)),
            "generation": str(self.generation),
            "metageneration": "1",
            "timeCreated": f"{created:%Y-%m-%dT%H:%M:%S.%fZ}",
            "updated": f"{created:%Y-%m-%dT%H:%M:%S.%fZ}",
            "etag": f"CN{self.generation}=",
            "crc32c": self.crc32c,
            "md5Hash": self.md5,
        }
        if self.composite:
            del found["md5Hash"]
        return found


@dataclass
class FakeGCS(Server):
    """One bucket, ``archive``, without versioning: only the newest generation can be read."""

    private: bool = False
    page: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.objects: dict[str, Stored] = {}
        self.uploads: list[str] = []
        self.last = 0

    @property
    def options(self) -> dict[str, Any]:
        """Storage options that lead here."""
        return {"endpoint_url": self.url, "token": "anon"}

    def put(self, name: str, data: bytes) -> Stored:
        self.last += 1
        self.objects[name] = Stored(data, self.last)
        return self.objects[name]

    def put_folder(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            self.put(path.name, path.read_bytes())

    def change(self, request: web.Request) -> None:
        name = request.path.rpartition("/o/")[2]
        self.put(name, self.objects[name].data[::-1])

    async def answer(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        found = re.fullmatch(r"/(\w+/)?storage/v1/b/([^/]+)/o(?:/(.+))?", request.path)
        if not found or found[2] != "archive":
            return _error(404)
        if self.private:
            return _error(401 if "Authorization" not in request.headers else 403)
        if found[1] == "upload/":
            return await self._upload(request)
        if found[3] is None:
            return self._list(request)
        name, query = found[3], request.query
        stored = self.objects.get(name)
        if stored is None or query.get("generation", str(stored.generation)) != str(
            stored.generation
        ):
            return _error(404)
        if request.method == "DELETE":
            del self.objects[name]
            return 204, {}, b""
        if query.get("alt") == "media":
            return ranged(request, stored.data)
        return _json(stored.resource(name))

    def _list(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        prefix, delimiter = request.query.get("prefix", ""), request.query.get("delimiter")
        names, prefixes = [], set()
        for name in sorted(self.objects):
            rest = name.removeprefix(prefix)
            if not name.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                prefixes.add(prefix + rest.partition(delimiter)[0] + delimiter)
            else:
                names.append(name)
        start = int(request.query.get("pageToken", 0))
        stop = start + min(int(request.query.get("maxResults", 1000)), self.page)
        items = [self.objects[name].resource(name) for name in names[start:stop]]
        page: dict[str, Any] = {"kind": "storage#objects", "items": items}
        if prefixes and not start:
            page["prefixes"] = sorted(prefixes)
        if stop < len(names):
            page["nextPageToken"] = str(stop)
        return _json(page)

    async def _upload(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        body = await request.read()
        if request.query["uploadType"] == "media":
            name = request.query["name"]
        else:
            assert request.query["uploadType"] == "multipart"
            _, head, rest = body.split(b"--==0==", 2)
            name = json.loads(head.split(b"\n\n", 1)[1])["name"]
            body = rest.split(b"\n\n", 1)[1].removesuffix(b"\n--==0==--")
        there = self.objects.get(name)
        wanted = request.query.get("ifGenerationMatch")
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            return _error(412)
        self.uploads.append(name)
        stored = self.put(name, body)
        stored.written = datetime.now(UTC)
        return _json(stored.resource(name))


def _json(answer: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def _error(status: int) -> tuple[int, dict[str, str], bytes]:
    _, headers, body = _json({"error": {"code": status, "message": "no"}})
    return status, headers, body


@contextmanager
def served(folder: Path, **options: Any) -> Iterator[FakeGCS]:
    """Serve the files of a folder as a bucket."""
    with FakeGCS(**options) as server:
        server.put_folder(folder)
        yield server


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--bandwidth", type=float, default=float("inf"))
    given = parser.parse_args()
    with served(given.folder, latency=given.latency, bandwidth=given.bandwidth) as server:
        print(server.port, flush=True)
        sys.stdin.read()
