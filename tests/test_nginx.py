"""A site served by nginx, in plain and over TLS, with ranges and without."""

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from distributed import Client

import daskbinder as db
from conftest import check_same, needs
from daskbinder.archive.reading import Part, read_part
from daskbinder.model.hub import MYBINDER
from support.commands import command

pytestmark = needs("nginx", "openssl")

TODAY = date(2021, 3, 10)
CONFIGURATION = """
daemon off;
pid {own}/pid;
error_log {own}/error.log;
events {{}}
http {{
    access_log {own}/access.log;
    {temporary}
    default_type application/octet-stream;
    server {{
        listen 127.0.0.1:{port}{tls};
        {more}
        root {root};
    }}
}}
"""
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")

Serve = Callable[..., str]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@pytest.fixture
def serve(sampled: Path, tmp_path: Path) -> Iterator[Serve]:
    """Start nginx on loopback with more lines of configuration; give its address."""
    running = []

    def start(more: str = "", keys: Path | None = None) -> str:
        own = tmp_path / "nginx"
        own.mkdir()
        port = free_port()
        if keys:
            more += f" ssl_certificate {keys}/cert.pem; ssl_certificate_key {keys}/key.pem;"
        text = CONFIGURATION.format(
            own=own,
            temporary=" ".join(f"{one}_temp_path {own}/{one};" for one in TEMPORARY),
            port=port,
            tls=" ssl" if keys else "",
            more=more,
            root=sampled,
        )
        (own / "nginx.conf").write_text(text)
        # nginx gives its files to another user when it is started by root
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        command = ["nginx", "-p", str(own), "-c", str(own / "nginx.conf"), *user]
        running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except ConnectionRefusedError:
                time.sleep(0.02)
            else:
                return f"{'https' if keys else 'http'}://127.0.0.1:{port}"
        raise TimeoutError((own / "error.log").read_text())

    yield start
    for process in running:
        process.terminate()
        process.wait(10)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Make a certificate for loopback."""
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=loopback "
    command += "-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(MYBINDER), "first", date(2021, 2, 20))


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("more", "blocksize"),
    [
        ("", 1 << 26),
        ("", 20_000),
        ("max_ranges 0;", 20_000),
        ("etag off;", 20_000),
        ("gzip on; gzip_types application/octet-stream;", 1 << 26),
    ],
)
def test_nginx_counts_as_the_folder_does(
    serve: Serve, counted: Path, client: Client, tmp_path: Path, more: str, blocksize: int
) -> None:
    archive = db.Archive(serve(more), today=TODAY)
    assert len(archive.files) == 8
    db.run(db.plan(archive, tmp_path / "out", blocksize=blocksize), client)
    check_same(tmp_path / "out", counted)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("more", ["", "max_ranges 0;"])
def test_a_range_is_that_range(serve: Serve, sampled: Path, more: str) -> None:
    archive = db.Archive(serve(more), today=TODAY)
    file = archive.files[2]
    whole = (sampled / file.name).read_bytes()
    middle = file.size // 2
    pieces = read_part(archive.location, Part(file, middle, file.size), 1 << 20)
    start = whole.index(b"\n", middle - 1) + 1
    assert b"".join(map(bytes, pieces)) == whole[start:]


def test_the_command_counts_over_tls_from_the_first_day(
    serve: Serve, keys: Path, counted: Path, tmp_path: Path
) -> None:
    url, dest = serve(keys=keys), tmp_path / "out"
    ended = command("run", url, dest, SSL_CERT_FILE=str(keys / "cert.pem"))
    assert ended.returncode == 0, ended.stderr
    check_same(dest, counted)
    asked = (tmp_path / "nginx/access.log").read_text().count("HEAD /events-")
    assert asked > 2_900  # every day since 2018-11-03 and those the run looks at again
