"""What tests share: the option --slow, makers of archives, one cluster, a browser."""

import gzip
import json
import os
import random
import shlex
import shutil
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pandas  # noqa: F401  # before a command that runs here keeps pyarrow from it
import pyarrow.parquet as pq
import pytest
from distributed import Client, LocalCluster
from hypothesis import HealthCheck, Phase, settings
from playwright.sync_api import Browser, sync_playwright

import daskbinder
from benchmarks.look import ARGUMENTS, CHROMIUM
from daskbinder.archive.sample import write_sample
from daskbinder.storage import retry
from support.browsing import Watched, count, explorer
from support.commands import command

ROOT = Path(__file__).parents[1]
for _name in "http_proxy", "https_proxy", "all_proxy":  # the servers of tests are on loopback
    os.environ.pop(_name, None)
    os.environ.pop(_name.upper(), None)
Body = bytes | list[bytes | dict[str, Any]]
MakeArchive = Callable[..., Path]
MakeLaunch = Callable[..., dict[str, Any]]
MakeEvents = Callable[[date, int], list[dict[str, Any]]]
Report = Callable[[str], None]

_REPORTED = pytest.StashKey[list[str]]()

# what is true is true on a busy machine too
settings.register_profile(
    "patient",
    settings(),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
# the same examples every time, and no more of a failure than that it is one
settings.register_profile(
    "mutants",
    settings.get_profile("patient"),
    max_examples=10,
    derandomize=True,
    database=None,
    report_multiple_bugs=False,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("patient")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(scope="session")
def make_archive(tmp_path_factory: pytest.TempPathFactory) -> MakeArchive:
    """Write day files to a new folder: bytes as they stand, or a list of lines and events."""

    def make(days: Mapping[date | str, Body], gz: Collection[date | str] = ()) -> Path:
        folder = tmp_path_factory.mktemp("archive")
        packed = {str(day) for day in gz}
        for day, body in days.items():
            content = body if isinstance(body, bytes) else b"".join(map(_line, body))
            if str(day) in packed:
                (folder / f"events-{day}.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
            else:
                (folder / f"events-{day}.jsonl").write_bytes(content)
        return folder

    return make


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """Say what a test has seen in the summary of the session."""
    return pytestconfig.stash.setdefault(_REPORTED, []).append


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what was reported to the process that tells, if the tests are shared among some."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["reported"] = session.config.stash.get(_REPORTED, [])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash.setdefault(_REPORTED, []).extend(
        getattr(node, "workeroutput", {}).get("reported", [])
    )


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(_REPORTED, []):
        terminalreporter.write_line(line)


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip tests where a program of the system is missing; the gate, which installs it, fails."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing and "CI" in os.environ:
        raise LookupError(f"not installed: {', '.join(missing)}")
    return pytest.mark.skipif(bool(missing), reason=f"needs {', '.join(missing)}")


def _line(line: bytes | dict[str, Any]) -> bytes:
    return (line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n"


@pytest.fixture(scope="session")
def launch() -> MakeLaunch:
    """Make a plain event; name a field to change it, give it as None to leave it out."""

    def make(timestamp: str = "2021-03-04T10:17:00+00:00", **fields: Any) -> dict[str, Any]:
        event = {
            "timestamp": timestamp,
            "schema": "binderhub.jupyter.org/launch",
            "version": 5,
            "provider": "GitHub",
            "spec": "ipython/ipython-in-depth/master",
            "ref": "24b9f6d6b9e6a9c8d0d2b1b0e1ffd54f0ea72f3d",
            "status": "success",
            "origin": "gke.mybinder.org",
            "build_token": False,
        } | fields
        return {name: value for name, value in event.items() if value is not None}

    return make


def documented(start: str) -> list[list[str]]:
    """Find the words of each command line of docs/clusters.md that begins so."""
    text = (ROOT / "docs" / "clusters.md").read_text("utf-8")
    lines = [line.strip() for line in text.splitlines() if line.startswith(f"    {start}")]
    assert lines, f"no line begins with {start!r}"
    return [shlex.split(line) for line in lines]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two certificates by the very line of the documentation."""
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    (words,) = documented("openssl")
    for name in ("ours", "theirs"):
        (folder / name).mkdir()
        subprocess.run(words, cwd=folder / name, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session")
def events(launch: MakeLaunch) -> MakeEvents:
    """Make so many launches of a day, some of them strays, from a seed."""

    def make(day: date, seed: int) -> list[dict[str, Any]]:
        chance = random.Random(f"{day}{seed}")
        made = []
        for _ in range(chance.randrange(6)):
            off = timedelta(days=chance.choice([0, 0, 0, 0, -1, 1, 2]))
            made.append(
                launch(
                    f"{day + off}T{chance.randrange(24):02}:{chance.randrange(60):02}:00+00:00",
                    spec=f"a/{chance.randrange(3)}/main",
                    origin=chance.choice(["gke.mybinder.org", "ovh.mybinder.org", "new.org"]),
                )
            )
        return made

    return make


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    """Give the one cluster of the session: two threads in this process."""
    local = "127.0.0.1:0"
    with (
        LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            dashboard_address=local,
            worker_dashboard_address=local,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="session")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an archive of eight days in two months, with a day missing and lines of no use."""
    folder = tmp_path_factory.mktemp("sampled") / "archive"
    write_sample(folder, days=9, start=date(2021, 2, 24), events_per_day=200, flaws=True)
    return folder


@pytest.fixture(scope="session")
def counted(sampled: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Count that archive from its folder."""
    dest = tmp_path_factory.mktemp("counted")
    daskbinder.run(daskbinder.plan(daskbinder.Archive(sampled), dest), client)
    return dest


@pytest.fixture(scope="session")
def winter(client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Count 120 days around the beginning of 2020, some of them missing."""
    folder = tmp_path_factory.mktemp("winter")
    write_sample(folder / "archive", days=120, start=date(2019, 12, 1), events_per_day=150)
    return count(folder / "archive", folder / "rollups", client)


@pytest.fixture(scope="module")
def winter_at(winter: Path) -> Iterator[str]:
    """Show that data set in an explorer."""
    with explorer(winter) as (address, _):
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Start the one browser of a module: Playwright's loop must not go on in other modules."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """Give the script of axe-core; the gate, which installs it, fails without."""
    if "CI" not in os.environ:
        pytest.importorskip("axe_playwright_python")
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


@pytest.fixture
def watch(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Open pages, and see to it that none has an error when it is closed."""
    opened: list[Watched] = []

    def open_one(**how: Any) -> Watched:
        opened.append(Watched(browser, **how))
        return opened[-1]

    yield open_one
    for one in opened:
        pwned = one.page.evaluate("typeof window.pwned")
        one.context.close()
        assert one.errors == []
        assert pwned == "undefined"


@pytest.fixture(scope="session")
def winter_report(winter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of that data set."""
    out = tmp_path_factory.mktemp("report") / "report.html"
    ended = command("report", winter, "-o", out)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == f"{out.stat().st_size:,} bytes in {out}\n"
    return out


def check_same(found: Path, wanted: Path) -> None:
    """Compare two results byte for byte; fingerprints alone may differ."""
    names = {str(path.relative_to(wanted)) for path in wanted.rglob("*.parquet")}
    assert {str(path.relative_to(found)) for path in found.rglob("*.parquet")} == names
    for name in names - {"days.parquet"}:
        assert (found / name).read_bytes() == (wanted / name).read_bytes(), name
    days = [pq.read_table(at / "days.parquet").drop(["fingerprint"]) for at in (found, wanted)]
    assert days[0].equals(days[1])
    totals = [json.loads((at / "manifest.json").read_text())["totals"] for at in (found, wanted)]
    assert totals[0] == totals[1]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less between the attempts of a request."""
    monkeypatch.setattr(retry, "FIRST_WAIT", 0.01)
