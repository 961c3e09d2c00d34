"""The pages of an exported site: what they say, in a real browser, from any static server."""

import functools
import http.server
import json
import re
import threading
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from click.testing import CliRunner
from distributed import Client
from playwright.sync_api import Page

import daskbinder as db
from conftest import MakeLaunch, needs
from daskbinder import answers
from daskbinder.cli import main
from support.browsing import Watched
from support.commands import invoke
from support.names import MARKUP

FIRST = date(2021, 1, 31)
NO_FILE = "2021-03"
SPECS = {
    ("GitHub", "Owner/Name/main"): 4,
    ("GitHub", "Owner/Name/dev"): 1,
    ("GitHub", "owner/other/main"): 2,
    ("Gist", "someone/0123456789abcdef0123456789abcdef/main"): 1,
    ("GitLab", "a%2Fb%2Fc/main"): 1,
    ("Zenodo", "10.5281/zenodo.1"): 1,
    ("Git", "https%3A%2F%2Fexample.org%2Fa\u202egpj%2Fy/main"): 1,
    **{("Git", f"https%3A%2F%2Fexample.org%2F{text}%2Fy/main"): 1 for text in MARKUP},
}
SUBJECT = "repos/github/owner/name.html"


@pytest.fixture(scope="module")
def dest(launch: MakeLaunch, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Count some days of January, February and April."""
    folder = tmp_path_factory.mktemp("site")
    for day in (FIRST + timedelta(days=i) for i in (0, *range(1, 29), 70)):
        lines = [
            json.dumps(launch(f"{day}T05:00:00+00:00", provider=provider, spec=spec))
            for (provider, spec), often in SPECS.items()
            for _ in range(often)
        ]
        (folder / f"events-{day}.jsonl").write_text("\n".join(lines) + "\n")
    db.run(db.plan(db.Archive(folder), folder / "dest"), client)
    return folder / "dest"


@pytest.fixture(scope="module")
def site(dest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("published") / "out"
    invoke("export", dest, out, "--least", 1)
    return out


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Serve the parent folder, as a site need not be at the root of its server."""
    handler = functools.partial(_Quiet, directory=str(site.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/out"
        server.shutdown()


@pytest.fixture(params=[1280, 390], ids=["desktop", "phone"])
def page(
    watch: Callable[..., Watched], request: pytest.FixtureRequest, address: str
) -> Iterator[Page]:
    """Watch a page: it asks nobody else, and says nothing."""
    seen, said = watch(viewport={"width": request.param, "height": 900}), list[str]()
    seen.page.on("console", lambda message: said.append(message.text))
    yield seen.page
    assert seen.page.evaluate("document.documentElement.scrollWidth") == request.param
    assert [asked for asked in seen.asked if not asked.startswith(address)] == []
    assert said == []


def text_of(site: Path, name: str) -> str:
    return re.sub(r"<[^>]*>", "\n", (site / name).read_text())


# Pages --------------------------------------------------------------------------------------------


def test_a_page_says_what_the_answers_say(dest: Path, site: Path) -> None:
    found = answers.repository(db.open(str(dest)), "owner/name")
    said = text_of(site, SUBJECT).split()
    for value in (f"{found.total}", f"{found.rank}", str(found.first_seen), str(found.last_seen)):
        assert value in said
    bars = re.findall(r"<title>(.*?)</title></rect>", (site / SUBJECT).read_text())
    assert bars == [
        "2021-01: 5 launches, some days without a file",
        "2021-02: 140 launches",
        f"{NO_FILE}: no day file",
        "2021-04: 5 launches, some days without a file",
    ]
    for table in found.by_member["member"], found.by_ref["ref"]:
        assert {*table} <= {*said}


@pytest.mark.parametrize(
    ("path", "link"),
    [
        (SUBJECT, "gh/Owner/Name/HEAD"),
        ("repos/gitlab/a/b~2fc.html", "gl/a%2Fb%2Fc/HEAD"),
        (
            f"repos/gist/someone/{'0123456789abcdef' * 2}.html",
            f"gist/someone/{'0123456789abcdef' * 2}/HEAD",
        ),
        ("repos/zenodo/10.5281/zenodo.1.html", "zenodo/10.5281/zenodo.1"),
    ],
)
def test_a_repository_can_be_launched(site: Path, path: str, link: str) -> None:
    assert f'href="https://mybinder.org/v2/{link}"' in (site / path).read_text()


def test_a_month_with_a_known_loss_says_so(
    launch: MakeLaunch, client: Client, tmp_path: Path
) -> None:
    for day in ("2022-09-30", "2022-10-01", "2022-11-30", "2022-12-01"):
        event = launch(f"{day}T05:00:00+00:00", spec="owner/name/main")
        (tmp_path / f"events-{day}.jsonl").write_text(json.dumps(event) + "\n")
    dest, out = tmp_path / "dest", tmp_path / "out"
    db.run(db.plan(db.Archive(tmp_path), dest), client)
    invoke("export", dest, out, "--least", 1)
    for name in "index.html", SUBJECT:
        bars = re.findall(r"<title>(.*?)</title></rect>", (out / name).read_text())
        assert [bar.endswith(", some of gke lost") for bar in bars] == [False, True, True, False]


def test_nobody_else_is_asked_to_launch(launch: MakeLaunch, client: Client, tmp_path: Path) -> None:
    event = launch(f"{FIRST}T05:00:00+00:00", spec="owner/name/main")
    (tmp_path / f"events-{FIRST}.jsonl").write_text(json.dumps(event) + "\n")
    hub = db.Instance(name="hub.example.org")
    dest, out = tmp_path / "dest", tmp_path / "out"
    db.run(db.plan(db.Archive(tmp_path, instance=hub), dest), client)
    invoke("export", dest, out, "--least", 1)
    assert "mybinder.org" not in (out / SUBJECT).read_text()


# In a browser -------------------------------------------------------------------------------------


@needs("chromium")
def test_every_name_is_found_and_leads_to_its_page(page: Page, address: str, site: Path) -> None:
    index = json.loads((site / "index.json").read_text())
    page.goto(f"{address}/index.html")
    page.get_by_role("searchbox").fill("NAM ner")
    page.get_by_text("1 name", exact=True).wait_for()
    page.locator("#results a").click()
    page.get_by_role("heading", name="Owner/Name").wait_for()
    page.get_by_role("link", name="All names").click()
    page.get_by_role("searchbox").fill("e")
    page.locator("#results a").first.wait_for()
    names = [name for _, name, *_ in index["repositories"] + index["organisations"]]
    matching = [name for name in names if "e" in name.lower()]
    assert page.locator("#found").inner_text() == f"{len(matching)} names"
    page.get_by_role("searchbox").fill("gpj")
    page.get_by_text("https://example.org/a\\u{202e}gpj/y", exact=True).wait_for()


@needs("chromium")
def test_the_markdown_and_the_frame_name_the_site(page: Page, address: str) -> None:
    page.goto(f"{address}/{SUBJECT}")
    markdown, frame = page.locator("pre").all_inner_texts()
    assert f"url={address}/badges/repos/github/owner/name.json)" in markdown
    (source,) = re.findall(r'src="(.*?)"', frame)
    assert source.startswith(f"{address}/{SUBJECT}#")
    page.goto("about:blank")
    page.goto(source)
    assert page.locator("svg.chart").is_visible()
    assert page.locator("h1, pre, .facts").filter(visible=True).count() == 0


@needs("chromium")
def test_hostile_names_are_shown_and_never_run(page: Page, address: str, site: Path) -> None:
    for path in sorted(site.rglob("*.html")):
        page.goto(f"{address}/{path.relative_to(site)}")
        assert page.locator("h1").inner_text()


@needs("chromium")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["index.html", SUBJECT, "orgs/github/owner.html"])
def test_nothing_shuts_anybody_out(
    page: Page, address: str, axe: str, path: str, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.goto(f"{address}/{path}")
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 15
    assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


# In a folder that holds something -----------------------------------------------------------------


def test_pages_come_and_go(dest: Path, site: Path, tmp_path: Path) -> None:
    invoke("export", dest, tmp_path, "--least", 1, "--no-pages")
    assert not list(tmp_path.rglob("*.html"))
    without = set(tmp_path.rglob("*"))
    invoke("export", dest, tmp_path, "--least", 1)
    assert {path.relative_to(tmp_path) for path in tmp_path.rglob("*")} == {
        path.relative_to(site) for path in site.rglob("*")
    }
    invoke("export", dest, tmp_path, "--least", 1, "--no-pages")
    assert set(tmp_path.rglob("*")) == without


@pytest.mark.parametrize("name", ["index.html", "site.js"])
def test_a_page_of_somebody_else_is_kept(dest: Path, tmp_path: Path, name: str) -> None:
    invoke("export", dest, tmp_path, "--least", 1, "--no-pages")
    (tmp_path / name).write_text("mine")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ended = CliRunner().invoke(main, ["export", str(dest), str(tmp_path), "--least", "1"])
    assert ended.exit_code == 2
    assert f"{name} is not from an earlier export" in ended.output
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    invoke("export", dest, tmp_path, "--least", 1, "--no-pages")
    assert (tmp_path / name).read_text() == "mine"
