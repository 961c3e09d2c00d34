"""A plain web server on loopback that honours ranges, or ignores them."""

from dataclasses import dataclass
from email.utils import formatdate
from hashlib import sha1
from pathlib import Path

from aiohttp import web

from support.gcs import Server, ranged


@dataclass
class FakeSite(Server):
    """Files by name; nothing is listed."""

    ranges: bool = True
    etags: bool = True
    times: bool = True
    answer_all: bytes | None = None
    """What every address answers, as a portal does."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.files: dict[str, bytes] = {}

    def put_folder(self, folder: Path) -> None:
        for path in sorted(folder.iterdir()):
            self.files[path.name] = path.read_bytes()

    def change(self, request: web.Request) -> None:
        name = request.path[1:]
        self.files[name] = self.files[name][::-1]

    async def answer(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        data = self.files.get(request.path[1:]) if self.answer_all is None else self.answer_all
        if data is None:
            return 404, {}, b"no such file"
        status, headers, body = ranged(request, data) if self.ranges else (200, {}, data)
        if self.etags:
            headers["ETag"] = f'"{sha1(data).hexdigest()}"'
        if self.times:
            headers["Last-Modified"] = formatdate(1_614_902_400, usegmt=True)
        return status, headers, body
