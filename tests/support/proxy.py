"""A forward proxy on loopback: absolute addresses for http, tunnels for https."""

import socket
import socketserver
import threading
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlsplit


@dataclass
class Proxy:
    """Passes on what it is asked for, to whoever knows its user, and remembers what that was."""

    user: str = ""
    """As ``name:password``; empty for everybody."""
    answers: str = ""
    """Given in place of all else, as ``403 Forbidden``."""
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self.server = _Server(("127.0.0.1", 0), _Handler)
        self.server.proxy = self
        self.port = self.server.server_address[1]
        self.url = f"http://{self.user}{'@' if self.user else ''}127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join(10)
        self.server.end()
        self.server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    proxy: Proxy

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.open: set[socket.socket] = set()

    def end(self) -> None:
        """Cut what is still open."""
        for one in list(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


class _Handler(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        ours, proxy = self.request, self.server.proxy
        self.server.open.add(ours)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            if not (byte := ours.recv(1)):
                return
            head += byte
        line, *headers = head.decode().split("\r\n")[:-2]
        method, target, _ = line.split(" ")
        proxy.requests.append(f"{method} {target}")
        known = b64encode(proxy.user.encode()).decode()
        refusal = proxy.answers
        if proxy.user and f"Proxy-Authorization: Basic {known}" not in headers:
            refusal = "407 Proxy Authentication Required"
        if refusal:
            ours.sendall(f"HTTP/1.1 {refusal}\r\nContent-Length: 0\r\n\r\n".encode())
            return
        tunnel = method == "CONNECT"
        url = urlsplit(f"//{target}" if tunnel else target)
        with socket.create_connection((url.hostname, url.port or 80)) as theirs:
            self.server.open.add(theirs)
            if tunnel:
                ours.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            else:
                path = target.partition(url.netloc)[2]
                kept = [one for one in headers if not one.startswith("Proxy-")]
                asked = [f"{method} {path} HTTP/1.1", "Connection: close", *kept, "", ""]
                theirs.sendall("\r\n".join(asked).encode())
            back = threading.Thread(target=_copy, args=(theirs, ours))
            back.start()
            _copy(ours, theirs)
            back.join()
            self.server.open.discard(theirs)
        self.server.open.discard(ours)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
