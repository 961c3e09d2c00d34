"""Passwords, signatures and tokens are shown nowhere, however a command ends."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from conftest import MakeArchive, MakeLaunch, Report
from daskbinder.cli import main
from daskbinder.model.hub import MYBINDER
from daskbinder.redaction import StorageOptions, address_of, without_secrets
from support.gcs import Fault, served
from support.web import FakeSite

FIRST = date(2026, 11, 2)
CANARIES = {
    name: f"canary{name}9f3a"
    for name in ("password", "signature", "header", "token", "spec", "fragment")
}
SPECS = [
    quote(f"https://me:{CANARIES['spec']}@git.example.org/a/b", safe="") + "/main",
    quote(f"https://{CANARIES['spec']}@git.example.org/a/c", safe="") + "/main",
    f"https://git.example.org/a/d?private_token={CANARIES['spec']}/main",
    quote(f"https://ghp_{'x' * 20}{CANARIES['spec']}@github.com/a/e", safe="") + "/main",
]
HEADERS = f"headers={json.dumps({'X-Key': CANARIES['header']})}"
OPTIONS = ["--storage-option", HEADERS]

pytestmark = pytest.mark.usefixtures("impatient")


@pytest.fixture
def archive(make_archive: MakeArchive, launch: MakeLaunch, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(vars(MYBINDER), "first", FIRST)
    days = [FIRST + timedelta(days=i) for i in range(3)]
    return make_archive(
        {
            day: [
                *(
                    launch(f"{day}T10:00:00+00:00", provider="Git", spec=spec, version=4)
                    for spec in SPECS
                    for _ in range(3)
                ),
                launch(f"{day}T10:00:00+00:00"),
                b'{"spec": "%s", "version"' % SPECS[0].encode(),
                b'{"spec": "https://me:%s@git.example.org' % CANARIES["spec"].encode(),
            ]
            for day in days
        }
    )


@pytest.fixture
def site(archive: Path) -> Iterator[FakeSite]:
    with FakeSite() as server:
        server.put_folder(archive)
        yield server


def secret_url(server: FakeSite) -> str:
    host = server.url.removeprefix("http://")
    return (
        f"http://me:{CANARIES['password']}@{host}/"
        f"?sig={CANARIES['signature']}#{CANARIES['fragment']}"
    )


class Shown:
    """Runs commands and looks for canaries in all that they show."""

    def __init__(self) -> None:
        self.commands = self.files = 0

    def __call__(self, *words: object, code: int = 0) -> str:
        found = CliRunner().invoke(main, list(map(str, words)))
        assert found.exit_code == code, (words, found.output, found.exception)
        assert found.exception is None or isinstance(found.exception, SystemExit)
        self.commands += 1
        self.look(" ".join(map(str, words[:2])), found.output.encode())
        return found.output

    def look(self, what: str, data: bytes) -> None:
        for name, canary in CANARIES.items():
            assert canary.encode() not in data, f"the {name} is shown by {what}"

    def look_into(self, folder: Path) -> None:
        """Look into all files but those that hold specs just as they were launched."""
        for path in sorted(folder.rglob("*")):
            self.look("its name", str(path.relative_to(folder)).encode())
            if path.is_file() and path.parts[len(folder.parts)] != "rollups":
                self.look(path.name, path.read_bytes())
                self.files += 1


def test_no_secret_of_an_address_an_option_or_a_spec_is_shown(
    site: FakeSite, tmp_path: Path, report: Report
) -> None:
    shown = Shown()
    source, dest, out = secret_url(site), tmp_path / "dest", tmp_path / "out"
    shown("info", source, *OPTIONS)
    shown("info", source, "--json", *OPTIONS, "-vv")
    shown("sync", source, tmp_path / "copy", *OPTIONS, "-vv")
    shown("run", source, dest, *OPTIONS, "--dry-run")
    said = shown("run", source, dest, "-vv", "--end", "2026-11-04", "--storage-option", HEADERS)
    assert "note: 36 launches have a password, a user or a token in the spec" in said
    shown("run", source, dest, "-vv", "--end", "2026-11-04", *OPTIONS)
    assert "36 launches" in shown("check", dest, source, "--end", "2026-11-04", *OPTIONS)
    shown("info", dest)
    shown("info", dest, "--json")
    for by in ("repo", "org", "provider", "member", "origin", "ref"):
        for form in ((), ("--json",), ("--csv",)):
            shown("top", dest, "--by", by, *form)
    shown("members", dest)
    shown("repo", dest, "git.example.org/a/b", code=2)
    shown("repo", dest, f"https://me:{CANARIES['spec']}@git.example.org/a/b")
    shown("report", dest, "-o", out / "report.html", "-vv")
    shown("export", dest, out / "site", "--least", 1, "-vv")
    shown.look_into(dest)
    shown.look_into(out)

    for status in (403, 500):
        site.faults = [Fault(status, "GET /events", 999)]
        shown("run", source, tmp_path / "new", *OPTIONS, "-vv", code=1)
        shown("sync", source, tmp_path / "more", *OPTIONS, "-vv", code=2 if status == 403 else 1)
        site.faults = [Fault(status, "HEAD", 9_999)]
        shown("info", source, *OPTIONS, code=2 if status == 403 else 1)
    site.faults = []
    shown("run", source, dest, "--errors", "raise", "--full", *OPTIONS, code=2)
    key = f"Authorization {CANARIES['token']}"
    shown("run", source, dest, "--storage-option", key, code=2)
    shown("run", source, dest, "--storage-option", f"nothing={CANARIES['token']}", code=2)
    shown("run", source.replace("/?", ":x/?"), dest, code=2)
    shown("info", source.replace("me:", f"me:{CANARIES['token']}/"), code=2)
    shown("demo", tmp_path / f"a@b?{FIRST}")
    report(f"{shown.commands:,} commands and {shown.files:,} files: no secret is shown")


def test_no_token_of_a_bucket_is_shown(archive: Path, tmp_path: Path) -> None:
    shown = Shown()
    with served(archive) as bucket:
        words = [f"--storage-option=endpoint_url={bucket.url}"]
        shown("run", "gs://archive", tmp_path, *words, "--storage-option=token=anon", "-vv")
        token = f"--storage-option=token={CANARIES['token']}"
        for command in ("run", "sync"):
            shown(command, "gs://archive", tmp_path, *words, token, code=2)
        key = json.dumps({"client_secret": CANARIES["token"], "type": "authorized_user"})
        shown("run", "gs://archive", tmp_path, *words, f"--storage-option=token={key}", code=2)
    shown.look_into(tmp_path)


_WORD = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=9)
_SECRET = st.text("abcXYZ019:-_.~!$&'()*+,;=%", max_size=12).map(lambda text: f"kanarie{text}")


@given(_WORD, _SECRET, _WORD, st.sampled_from(["https", "http", "gs", "ssh", "s3", "filecache"]))
def test_no_address_shows_a_user_a_password_or_a_query(
    user: str, secret: str, path: str, scheme: str
) -> None:
    for url in (
        f"{scheme}://{user}:{secret}@example.org/{path}",
        f"{scheme}://{secret}@example.org/{path}",
        f"{scheme}://example.org/{path}?sig={secret}",
        f"{scheme}://example.org/{path}#{secret}",
        f"{scheme}://{user}:{quote(secret, safe='')}@example.org/{path}?{secret}",
        f"simplecache::{scheme}://{user}:{secret}@example.org/{path}",
    ):
        assert "kanarie" not in address_of(url)
        assert path in address_of(url)
        if f"#{secret}" not in url and f"?{secret}" not in url:
            assert "kanarie" not in without_secrets(f"{url}/main")


@given(st.dictionaries(_WORD, _SECRET, max_size=4))
def test_options_show_their_names_alone(options: dict[str, str]) -> None:
    shown = f"{StorageOptions(options)} {StorageOptions(options)!r}"
    assert "kanarie" not in shown
    assert all(name in shown for name in options)
