"""The proxies of the environment: heeded for sites and buckets, by a real proxy that remembers."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import daskbinder as db
from conftest import needs
from daskbinder.storage.location import Location
from support.commands import command
from support.gcs import FakeGCS
from support.proxy import Proxy
from support.web import FakeSite

ROOT = Path(__file__).parents[1]
SECRET = "s3cr3t%2Fword"

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a key and its certificate for 127.0.0.1, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    words = "openssl req -x509 -newkey rsa:2048 -nodes -days 3 -subj /CN=site -addext"
    files = "-keyout key.pem -out cert.pem"
    subprocess.run(
        [*words.split(), "subjectAltName=IP:127.0.0.1", *files.split()],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.fixture
def site() -> Iterator[FakeSite]:
    with FakeSite() as server:
        server.files["a"] = b"of the site"
        yield server


@pytest.fixture
def bucket() -> Iterator[FakeGCS]:
    with FakeGCS() as server:
        server.put("a", b"of the bucket")
        yield server


def read(site: FakeSite, **options: object) -> bytes:
    return Location.at(site.url, {"ssl": False} | options).read("a")


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_site_is_read_through_the_proxy(
    site: FakeSite, monkeypatch: pytest.MonkeyPatch, name: str, scheme: str
) -> None:
    with Proxy() as proxy:
        monkeypatch.setenv(name, f"{scheme}127.0.0.1:{proxy.port}")
        assert read(site) == b"of the site"
        assert proxy.requests == [f"HEAD {site.url}/a", f"GET {site.url}/a"]


@needs("openssl")
def test_a_site_of_https_is_read_through_a_tunnel(
    tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FakeSite(tls=tls) as site, Proxy(user="me:word") as proxy:
        site.files["a"] = b"of the site"
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        assert read(site) == b"of the site"
        assert {*proxy.requests} == {f"CONNECT 127.0.0.1:{site.port}"}


def test_a_bucket_is_read_and_written_through_the_proxy(
    bucket: FakeGCS, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy(user=f"me:{'s3cr3t/word'}") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:{SECRET}@127.0.0.1:{proxy.port}")
        place = Location.at("gs://archive", bucket.options)
        assert place.read("a") == b"of the bucket"
        place.write("b", b"new", stamp={})
        assert [entry.name for entry in place.entries()] == ["a", "b"]
        assert len(proxy.requests) == len(bucket.requests) >= 4


@needs("openssl")
@pytest.mark.parametrize("spared", ["", "127.0.0.1"])
def test_a_command_reads_a_bucket_through_a_tunnel(
    certificate: Path, tls: ssl.SSLContext, spared: str
) -> None:
    with FakeGCS(tls=tls) as bucket, Proxy() as proxy:
        bucket.put("events-2021-03-04.jsonl", b"{}\n")
        options = (f"--storage-option={key}={value}" for key, value in bucket.options.items())
        given = {"HTTPS_PROXY": proxy.url, "NO_PROXY": spared}
        trust = {"SSL_CERT_FILE": str(certificate / "cert.pem")}
        ended = command("info", "gs://archive", *options, **given, **trust)
        assert ended.returncode == 0, ended.stderr
        assert "2021-03-04" in ended.stdout
        assert {*proxy.requests} == (set() if spared else {f"CONNECT 127.0.0.1:{bucket.port}"})


@pytest.mark.parametrize("spared", ["127.0.0.1", "example.org, 127.0.0.1", "*", "127.0.0.1:PORT"])
def test_a_host_that_is_spared_is_asked_itself(
    site: FakeSite, bucket: FakeGCS, monkeypatch: pytest.MonkeyPatch, spared: str
) -> None:
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", spared.replace("PORT", str(site.port)))
        assert read(site) == b"of the site"
        monkeypatch.setenv("NO_PROXY", spared.replace("PORT", str(bucket.port)))
        assert Location.at("gs://archive", bucket.options).read("a") == b"of the bucket"
        assert not proxy.requests


def test_what_an_option_says_goes_before_the_environment(
    site: FakeSite, bucket: FakeGCS, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with Proxy() as proxy:
        assert read(site, client_kwargs={"proxy": proxy.url}) == b"of the site"
        assert read(site, proxy=proxy.url) == b"of the site"
        options = bucket.options | {"session_kwargs": {"proxy": proxy.url}}
        assert Location.at("gs://archive", options).read("a") == b"of the bucket"
        assert len(proxy.requests) == 6
    assert read(site, client_kwargs={"trust_env": False}) == b"of the site"


def test_what_netrc_holds_is_sent_to_nobody(
    site: FakeSite, bucket: FakeGCS, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "netrc").write_text("default login me password s3cr3t\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with Proxy() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        headers = {"Authorization": "Bearer x"}  # which aiohttp refuses beside a netrc
        assert read(site, headers=headers) == b"of the site"
        assert Location.at("gs://archive", bucket.options).read("a") == b"of the bucket"


@pytest.mark.parametrize("kind", ["http", "https", "gs"])
def test_a_proxy_that_wants_a_user_is_named_without_its_password(
    site: FakeSite, bucket: FakeGCS, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    places = {
        "http": Location.at(site.url),
        "https": Location.at(site.url.replace("http", "https")),
        "gs": Location.at("gs://archive", bucket.options),
    }
    name = "HTTPS_PROXY" if kind == "https" else "HTTP_PROXY"
    with Proxy(user="me:right") as proxy:
        monkeypatch.setenv(name, f"http://me:{SECRET}@127.0.0.1:{proxy.port}")
        wanted = f"the proxy http://127.0.0.1:{proxy.port} wants a user and .* in {name}, as"
        with pytest.raises(db.InputError, match=wanted) as raised:
            places[kind].read("a")
        assert "s3cr3t" not in str(raised.value)
        assert len(proxy.requests) == 1


def test_a_proxy_that_forbids_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with Proxy(answers="403 Forbidden") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(db.InputError, match=r"lets nobody through to https://example\.org;"):
            Location.at("https://example.org").read("a")


@pytest.mark.parametrize("kind", ["http", "https", "gs"])
def test_a_proxy_that_is_down_is_one_sentence_without_its_password(
    bucket: FakeGCS, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    with Proxy() as gone:
        port = gone.port
    for name in "HTTP_PROXY", "HTTPS_PROXY":
        monkeypatch.setenv(name, f"http://me:{SECRET}@127.0.0.1:{port}")
    url, options = ("gs://archive", bucket.options) if kind == "gs" else (f"{kind}://a.org", {})
    with pytest.raises(db.JobError, match=rf"in 6 attempts .*Proxy.*127\.0\.0\.1:{port}") as raised:
        Location.at(url, options).read("a")
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize(
    "value", ["socks5://127.0.0.1:9", "http://", f"http://me:{SECRET}@host:port", "http://[::1"]
)
def test_what_is_no_proxy_is_one_sentence(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", value)
    with pytest.raises(db.InputError, match="HTTPS_PROXY names no proxy that can be") as raised:
        Location.at("https://example.org").read("a")
    assert "s3cr3t" not in str(raised.value)
