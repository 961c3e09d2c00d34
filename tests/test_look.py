"""The explorer and the report in a real browser: what is shown, asked of whom, and never run."""

import csv
import http.client
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import holoviews as hv
import psutil
import pytest
from bokeh.embed import components
from bokeh.resources import Resources
from distributed import Client
from playwright.sync_api import Browser, Page

import daskbinder as db
from benchmarks.look import INTERACTIONS
from conftest import MakeArchive, MakeLaunch, Report, needs
from daskbinder import answers, plots
from daskbinder.archive.sample import write_sample
from daskbinder.model.hub import MYBINDER
from daskbinder.pages.data import PageData
from daskbinder.pages.report import render
from daskbinder.plots.timeseries import labels
from support.browsing import Watched, act, count, explorer, figure, shown, visit
from support.commands import ROOT, command, execute
from support.names import MARKUP, NAMES, events
from support.names import count as count_names

pytestmark = needs("chromium")

HOSTILE = (
    "<img src=x onerror=pwned=1>/<b>repo<%2Fb>/master",
    "\"><script>pwned=1</script>/'x' onmouseover='pwned=1/master",
    "</script><script>pwned=1</script>/y/master",
    "=cmd|' -C calc'!A0/+1/master",
    "a/\u202egpj.exe/master",
    "long/" + "x" * 10_000 + "/master",
    "javascript:pwned=1/z/master",
)
RUN = "<img src=x onerror=pwned=1>"


@pytest.fixture(scope="module")
def hostile(
    client: Client,
    make_archive: MakeArchive,
    launch: MakeLaunch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Count an archive in which everything that may be text is an attack."""
    days = [date(2021, 3, 1) + timedelta(days=i) for i in range(3)]
    archive = make_archive(
        {
            day: [
                launch(f"{day}T10:00", spec=spec, provider=provider, origin=origin)
                for spec in HOSTILE
                for provider in ("GitHub", "Git", RUN)
                for origin in ("gke.mybinder.org", RUN, "date", "=1+1")
            ]
            for day in days
        }
    )
    hub = db.Instance(name=f"{RUN}\u202e</title><script>pwned=1</script>")
    return count(archive, tmp_path_factory.mktemp("hostile"), client, hub)


@pytest.fixture(scope="module")
def hostile_at(hostile: Path) -> Iterator[tuple[str, psutil.Process]]:
    with explorer(hostile) as at:
        yield at


def day(milliseconds: float) -> str:
    return str(date(1970, 1, 1) + timedelta(milliseconds=milliseconds))


# The explorer -------------------------------------------------------------------------------------


def test_it_shows_what_was_counted_and_asks_nobody_else(
    watch: Callable[..., Watched], winter_at: str, winter: Path
) -> None:
    seen = watch()
    page = visit(seen.page, winter_at)
    federation = db.open(str(winter)).federation("day")
    assert shown(page, "launches") == f"{federation['n'].sum():,}"
    assert page.locator("#repositories tbody tr").count() == 12
    drawn = figure(
        page,
        "lines",
        "Object.fromEntries(it.renderers.filter(r => r.name).map(r => "
        "[r.name, [...r.data_source.data[r.glyph.y.field]].at(-1)]))",
    )
    last = federation[federation["timestamp"] == federation["timestamp"].max()]
    for row in last.itertuples():
        assert drawn[row.federation] == pytest.approx(row.mean_7d)
    drawn = (
        "[...it.renderers.map(r => r.data_source.data.number ?? r.data_source.data.get?.('number'))"
        ".find(Boolean)].sort((a, b) => a - b)"
    )
    listed = page.locator("[data-note]:visible b")
    assert figure(page, "lines", drawn) == listed.all_inner_texts()
    act(page, page.locator("[name=member][value=gesis]").click)
    assert figure(page, "lines", drawn) == listed.all_inner_texts() == ["3", "4"]
    act(page, page.locator("[name=member][value=gesis]").click)
    assert page.locator("[data-note]:visible").count() == 5
    assert not seen.strangers(urlsplit(winter_at).netloc)
    assert any(url.startswith("ws://") for url in seen.asked)


def test_choices_change_figures_headlines_and_the_address(
    watch: Callable[..., Watched], winter_at: str, winter: Path
) -> None:
    page = visit(watch().page, winter_at)
    series = db.open(str(winter)).federation("day")
    days = series["timestamp"].dt.date

    act(page, page.get_by_text("90 days", exact=True).click)
    first = days.max() - timedelta(days=89)
    recent = series[days >= first]
    assert shown(page, "launches") == f"{recent['n'].sum():,}"
    assert "against the 90 days before" not in shown(page, "rate_note")  # only 30 are there
    assert day(figure(page, "lines", "it.x_range.start")) == str(first - timedelta(days=1))
    assert page.locator("[name=from]").input_value() == str(first)

    act(page, page.locator("[name=member][value=gke]").click)
    others = recent[recent["federation"] != "gke"]
    assert shown(page, "launches") == f"{others['n'].sum():,}"
    top = others.groupby("federation", observed=True)["n"].sum()
    assert shown(page, "largest") == top.idxmax()
    lengths = figure(
        page,
        "lines",
        "Object.fromEntries(it.renderers.filter(r => r.name).map(r => "
        "[r.name, r.data_source.data[r.glyph.y.field].length]))",
    )
    assert lengths["gke"] == 0
    assert lengths["ovh"] > 90

    act(page, page.get_by_text("Share", exact=True).first.click)
    assert page.locator("[data-kind=share]").is_visible()
    assert not page.locator("[data-kind=lines]").is_visible()
    assert figure(page, "share", "it.y_range.end") == 1

    act(page, lambda: page.locator("[name=from]").fill("2020-03-01"))
    assert page.locator("[name=range][value=own]").is_checked()
    march = others[days.reindex(others.index) >= date(2020, 3, 1)]
    assert shown(page, "launches") == f"{march['n'].sum():,}"
    query = parse_qs(urlsplit(page.url).query)
    assert query["range"] == ["own"]
    assert "gke" not in query["member"]

    act(page, lambda: page.locator("button[data-of=member]").click())
    assert "member=" not in page.url


def test_a_repository_is_found_chosen_linked_and_sent_on(
    watch: Callable[..., Watched], winter_at: str, winter: Path
) -> None:
    page = visit(watch().page, winter_at)
    data = PageData.load(db.open(str(winter)))
    act(page, lambda: page.get_by_label("Find a repository").fill("NBVIEWER"))
    act(page, lambda: page.get_by_label("Find a repository").fill("jupyterlab-DEMO"))
    button = page.locator("#repositories tbody button").first
    name = button.inner_text()
    assert name == "jupyterlab/jupyterlab-demo"
    act(page, button.click)
    assert shown(page, "repository") == name
    assert page.locator("#visit").get_attribute("href") == f"https://github.com/{name}"
    assert page.locator("#visit").get_attribute("rel") == "noopener noreferrer nofollow"
    row = data.directory["repository"].to_pylist().index(name)
    assert f"{data.directory['n'][row].as_py():,} launches in all" in shown(page, "repository_note")
    assert page.evaluate("document.activeElement.textContent") == name

    act(page, page.get_by_text("Day", exact=True).click)
    drawn = figure(
        page,
        "repository",
        "[...it.renderers.find(r => r.name == 'this repository').data_source.data.y]",
    )
    mine = data.launches.repository == row
    lost = [(day - date(1970, 1, 1)).days for day in (date(2020, 1, 15), date(2020, 2, 6))]
    is_lost = (data.launches.day[mine] >= lost[0]) & (data.launches.day[mine] <= lost[1])
    assert sum(value for value in drawn if value == value) == data.launches.n[mine][~is_lost].sum()

    other = visit(watch(color_scheme="dark").page, page.url)
    for what in ("launches", "repository", "repository_note", "page_note"):
        assert shown(other, what) == shown(page, what)
    assert other.get_by_label("Find a repository").input_value() == "jupyterlab-DEMO"
    assert other.locator("#repositories tbody").inner_text() == (
        page.locator("#repositories tbody").inner_text()
    )
    assert other.locator("html").get_attribute("data-theme") == "dark"


def test_what_is_shown_is_downloaded(
    watch: Callable[..., Watched], winter_at: str, winter: Path
) -> None:
    page = visit(watch().page, winter_at + "?range=90d&grain=day&member=ovh&member=gesis")
    files = {}
    for link in ("Series as CSV", "Repositories as CSV"):
        with page.expect_download() as download:
            page.get_by_text(link).click()
        files[download.value.suggested_filename] = download.value.path()
    series = db.open(str(winter)).federation("day", wide=True)
    last = series.index.max().date()
    days = f"{last - timedelta(days=89)}-{last}.csv"
    assert set(files) == {f"series-counts-by-day-{days}", f"repositories-{days}"}
    with files[f"series-counts-by-day-{days}"].open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 90
    recent = series[series.index.date > last - timedelta(days=90)]
    assert sum(float(row["ovh"] or 0) for row in rows) == recent["ovh"].sum()
    assert "gke" not in rows[0]
    with files[f"repositories-{days}"].open() as file:
        launches = sum(int(row["launches"]) for row in csv.DictReader(file))
    assert f"{launches:,}" == shown(page, "launches")


def hover(page: Page, name: str, when: str) -> None:
    """Point at a time in a figure over time."""
    x, y = figure(
        page,
        name,
        "(view => { const box = view.el.getBoundingClientRect(), { frame } = view; return ["
        f"box.left + frame.x_scale.compute(Date.parse('{when}Z')), "
        "box.top + frame.bbox.top + frame.bbox.height / 2] })(Bokeh.index.find_one(it))",
    )
    page.mouse.move(x - 1, y)
    page.mouse.move(x, y)
    page.wait_for_timeout(200)


def test_a_month_is_hovered_over_from_its_first_day_to_its_last(
    watch: Callable[..., Watched], winter_at: str
) -> None:
    page = visit(watch().page, winter_at + "?grain=month")
    for when, month in (
        ("2020-01-01T06:00", "2020-01"),
        ("2020-01-31T18:00", "2020-01"),
        ("2020-02-01T06:00", "2020-02"),
    ):
        hover(page, "lines", when)
        assert page.get_by_text(month, exact=True).is_visible()
    act(page, page.get_by_text("Day", exact=True).click)
    for when, said in (("2020-02-15T14:00", "2020-02-16"), ("2020-02-15T10:00", "2020-02-15")):
        hover(page, "lines", when)
        assert page.get_by_text(re.compile(rf"\w{{3}} {said}$")).is_visible()


def test_an_empty_choice_is_a_sentence_until_something_is_chosen(
    watch: Callable[..., Watched], winter_at: str
) -> None:
    page = visit(watch().page, winter_at + "?member=")
    sentence = page.get_by_text("No launches for this choice")
    figures = page.locator(".bk-Figure").filter(visible=True)
    archive = 1  # which depends on no choice
    assert (sentence.filter(visible=True).count(), figures.count()) == (4, archive)
    assert page.get_by_text("No repository for this choice").is_visible()
    act(page, page.locator("[name=member][value=ovh]").click)
    assert (sentence.filter(visible=True).count(), figures.count()) == (0, 4 + archive)
    assert painted(page) == [True] * 5
    visit(page, winter_at + "?provider=")
    assert sentence.filter(visible=True).count() == 3
    assert figures.count() == 1 + archive  # hours cannot be told apart by provider
    act(page, page.get_by_text("Share", exact=True).first.click)
    assert sentence.filter(visible=True).count() == 3
    act(page, page.locator("button[data-of=provider]").click)
    assert (sentence.filter(visible=True).count(), figures.count()) == (0, 4 + archive)
    act(page, lambda: page.get_by_label("Find a repository").fill("no such repository"))
    assert page.get_by_text("No repository for this choice").is_visible()


def test_it_is_used_with_the_keyboard_alone(watch: Callable[..., Watched], winter_at: str) -> None:
    page = visit(watch().page, winter_at)
    unnamed = page.evaluate(
        "[...document.querySelectorAll('input:not([type=hidden]), button, a')].filter(one => "
        "!(one.labels?.length || one.getAttribute('aria-label') || one.textContent.trim()))"
        ".map(one => one.outerHTML)"
    )
    assert unnamed == []
    reached = []
    for _ in range(45):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("(e => e.name || e.dataset.act || e.className)(document.activeElement)")
        )
    for name in ("range", "from", "to", "grain", "member", "provider", "kind", "theme", "all"):
        assert name in reached, reached
    page.locator("[name=range][value=all]").focus()
    act(page, lambda: page.keyboard.press("ArrowLeft"))
    assert page.locator("[name=range][value='365d']").is_checked()
    page.locator("[name=member][value=gke]").focus()
    act(page, lambda: page.keyboard.press("Space"))
    assert not page.locator("[name=member][value=gke]").is_checked()
    page.locator("#repositories tbody button").nth(2).focus()
    name = page.locator("#repositories tbody button").nth(2).inner_text()
    act(page, lambda: page.keyboard.press("Enter"))
    assert shown(page, "repository") == name


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(watch: Callable[..., Watched], winter_at: str, scheme: str) -> None:
    page = visit(
        watch(
            viewport={"width": 390, "height": 844},
            color_scheme=scheme,
            has_touch=True,
            is_mobile=True,
        ).page,
        winter_at,
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not page.locator("fieldset").first.is_visible()
    page.get_by_text("Choose days").click()
    act(page, page.get_by_text("90 days", exact=True).click)
    assert page.locator("html").get_attribute("data-theme") == scheme
    page.wait_for_function(
        "Bokeh.documents.some(doc => doc.get_model_by_name('figure-lines')?.toolbar.tools"
        ".every(tool => tool.type == 'HoverTool' || !tool.active))"
    )
    ink = figure(
        page, "lines", "it.xaxis?.[0]?.major_label_text_color ?? it.below[0].major_label_text_color"
    )
    assert ink in ("#57606a" if scheme == "light" else "#a2abb6",)


# Whom it serves -----------------------------------------------------------------------------------


def ask(address: str, path: str, **headers: str) -> tuple[int, str]:
    where = urlsplit(address)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
    with closing(connection):
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as answer:
            return answer.status, "" if answer.status == 101 else answer.read().decode()


def test_it_listens_on_loopback_only(hostile_at: tuple[str, psutil.Process]) -> None:
    address, process = hostile_at
    assert urlsplit(address).hostname == "127.0.0.1"
    sockets = process.net_connections("inet")
    listening = {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_pages_of_others_are_refused(winter_at: str) -> None:
    host = urlsplit(winter_at).netloc
    _, own = ask(winter_at, "/", Host=host)
    token = re.search(r'"token":\s*"([^"]+)"', own)
    assert token is not None
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Protocol": f"bokeh, {token[1]}",
    }
    assert ask(winter_at, "/ws", Origin=f"http://{host}", **upgrade)[0] == 101
    for origin in (
        "http://evil.example",
        f"http://evil.example:{urlsplit(winter_at).port}",
        "null",
    ):
        assert ask(winter_at, "/ws", Origin=origin, **upgrade)[0] == 403
    assert "gke" in own
    _, text = ask(winter_at, "/", Host="evil.example")
    assert "gke" not in text
    assert "evil" not in text
    assert ask(winter_at, "/series.csv", Host="evil.example")[0] == 403
    assert ask(winter_at, "/series.csv", Host=host)[0] == 200


# Text of strangers --------------------------------------------------------------------------------


def test_nothing_that_strangers_wrote_is_run_in_the_explorer(
    watch: Callable[..., Watched], hostile_at: tuple[str, psutil.Process]
) -> None:
    address, _ = hostile_at
    seen = watch()
    page = visit(seen.page, address)
    assert RUN in page.locator("form").inner_text()
    assert page.title() == page.locator("h1").inner_text()
    assert page.title() == f"Launches on {RUN}\\u202e</title><script>pwned=1</script>"
    buttons = page.locator("#repositories tbody button")
    for i in range(buttons.count()):
        act(page, buttons.nth(i).click)
        assert shown(page, "repository") == buttons.nth(i).inner_text()
        assert "\u202e" not in shown(page, "repository")
        assert len(shown(page, "repository")) <= 120
        link = page.locator("#visit").get_attribute("href") or "https://github.com/"
        assert re.match(r"https://(github\.com|gitlab\.com|gist\.github\.com|doi\.org)/", link)
        assert not re.search(r"[<>\"'\s]", link)
    for kind in ("Stacked", "Share", "Lines"):
        act(page, page.get_by_text(kind, exact=True).first.click)
        box = page.locator(f"[data-kind={kind.lower()}]").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.move(box["x"] + box["width"] / 2 + 2, box["y"] + box["height"] / 2)
        page.get_by_text(
            re.compile(r"^(Mon|Tue|Wed) 2021-03-0[123](, \d of 7 days)?$")
        ).first.wait_for()
    act(page, lambda: page.get_by_label("Find a repository").fill(RUN))
    act(page, page.locator("[name=member]").first.click)
    assert not seen.strangers(urlsplit(address).netloc)
    with page.expect_download() as download:
        page.get_by_text("Series as CSV").click()
    first = download.value.path().read_text().splitlines()[0]
    assert "'=1+1" in first
    query = f"?member={RUN}&q=%22%3E%3Cscript%3Epwned=1%3C/script%3E&repo={RUN}&kind={RUN}"
    other = visit(seen.page, address + query)
    assert '"><script>' in other.get_by_label("Find a repository").input_value()


def test_a_table_of_strangers_is_safe_in_a_spreadsheet(
    hostile_at: tuple[str, psutil.Process],
) -> None:
    address, _ = hostile_at
    _, text = ask(address, "/repositories.csv", Host=urlsplit(address).netloc)
    cells = [cell for row in csv.reader(text.splitlines()) for cell in row]
    assert any(cell.startswith("'=cmd|") for cell in cells)
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def test_nothing_that_strangers_wrote_is_run_in_the_report(
    watch: Callable[..., Watched], hostile: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.html"
    assert command("report", hostile, "-o", out).returncode == 0
    seen = watch()
    page = seen.page
    page.goto(out.as_uri())
    page.wait_for_function("window.Bokeh?.documents.length > 0")
    page.wait_for_timeout(500)
    assert RUN in page.inner_text("body")
    assert RUN in page.locator("h1").inner_text()
    assert page.title().startswith(f"Launches on {RUN}\\u202e</title><script>pwned=1</script>, ")
    assert "\u202e" not in page.content()
    for link in page.locator("a").all():
        address = link.get_attribute("href") or ""
        assert re.match(r"https://(github\.com|gitlab\.com|gist\.github\.com|doi\.org)/", address)
    assert seen.asked == [out.as_uri()]


# Names of strangers -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def named(
    client: Client,
    make_archive: MakeArchive,
    launch: MakeLaunch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Count an archive in which each hostile name is a member, a provider and a repository."""
    archive = make_archive(dict(events(launch)))
    return count_names(archive, tmp_path_factory.mktemp("named") / "dest", client, MYBINDER)


def painted(page: Page) -> list[bool]:
    """Whether there is something on the canvas of each figure that is in sight."""
    figures = page.locator(".bk-Figure").filter(visible=True)
    return [
        figures.nth(i)
        .locator("canvas")
        .evaluate_all(
            "all => all.some(it => { if (!it.width || !it.height) return false;"
            "const copy = new OffscreenCanvas(it.width, it.height).getContext('2d');"
            "copy.drawImage(it, 0, 0);"
            "return copy.getImageData(0, 0, it.width, it.height).data.some(Boolean) })"
        )
        for i in range(figures.count())
    ]


def drawn_names(page: Page, name: str) -> set[str]:
    """Names of the parts of a figure, all of which have points."""
    points = figure(
        page,
        name,
        "it.renderers.filter(r => r.name)"
        ".map(r => [r.name, r.data_source.get_length() ?? 0, Boolean(r.glyph.y.field)])",
    )
    assert all(length for _, length, _ in points), points
    return {name for name, _, _ in points}


def test_the_report_draws_whatever_members_are_called(
    watch: Callable[..., Watched], named: Path, tmp_path: Path, report: Report
) -> None:
    out = tmp_path / "report.html"
    assert command("report", named, "-o", out).returncode == 0
    data = PageData.load(db.open(str(named)))
    page = watch().page
    page.goto(out.as_uri())
    page.wait_for_function("window.Bokeh?.documents.length > 0 && Bokeh.documents[0].is_idle")
    assert painted(page) == [True] * 6
    members = labels(data.members)
    assert {name for name in NAMES if name.strip()} <= set(data.members)
    for kind in ("lines", "stacked", "share"):
        assert drawn_names(page, kind) == set(members)
    assert drawn_names(page, "providers") == set(labels(data.providers))
    keys = page.locator("[data-figures=figure-stacked] .key")
    assert keys.all_inner_texts() == members
    for name in ("constructor", "__proto__", "(empty)", "\\r"):
        keys.nth(members.index(name)).click()
        visible = f"it.renderers.find(r => r.name == {json.dumps(name)}).visible"
        assert not figure(page, "stacked", visible)
        assert figure(page, "lines", visible)
    report(f"{len(NAMES)} hostile names in the report: each is drawn, nothing is said or run")


def test_the_explorer_draws_whatever_members_are_called(
    watch: Callable[..., Watched], named: Path, report: Report
) -> None:
    data = PageData.load(db.open(str(named)))
    members, providers = labels(data.members), labels(data.providers)
    with explorer(named) as (address, _):
        page = visit(watch().page, address)
        page.wait_for_function("Bokeh.documents.every(doc => doc.is_idle)")
        assert painted(page) == [True] * 5
        for kind in ("lines", "stacked", "share"):
            assert drawn_names(page, kind) == set(members)
        assert drawn_names(page, "providers") == set(providers)
        for kind in ("Stacked", "Share", "Lines"):
            act(page, page.get_by_text(kind, exact=True).first.click)
            assert painted(page) == [True] * 5
        launches = int(shown(page, "launches").replace(",", ""))
        hidden = ["constructor", "__proto__", "toString", "\\r", "\\x00", "self", "x" * 43 + "…"]
        for name in hidden:
            box = page.locator("[name=member]").nth(members.index(name))
            act(page, box.click)
            launches -= int(data.cube[:, members.index(name)].sum())
            assert shown(page, "launches") == f"{launches:,}"
        buttons = page.locator("#repositories tbody button")
        for _ in range(2):
            for i in range(0, buttons.count(), 6):
                act(page, buttons.nth(i).click)
                assert shown(page, "repository") == buttons.nth(i).inner_text()
                assert page.locator("tr[aria-current] button").all_inner_texts() == [
                    buttons.nth(i).inner_text()
                ]
            act(page, page.get_by_text("Next", exact=True).click)
        with page.expect_download() as download:
            page.get_by_text("Series as CSV").click()
        with download.value.path().open(newline="") as file:
            header = next(csv.reader(file))
        chosen = [
            name for name, label in zip(data.members, members, strict=True) if label not in hidden
        ]
        assert [name.replace("'", "") for name in header[1:]] == [
            name.replace("'", "") for name in chosen
        ]
        again = visit(page, page.url)
        assert shown(again, "launches") == f"{launches:,}"
        page.goto("about:blank")
    report(f"{len(NAMES)} hostile names in the explorer: each is drawn, nothing is said or run")


def test_figures_of_a_notebook_draw_whatever_names_are_called(
    watch: Callable[..., Watched], named: Path, tmp_path: Path
) -> None:
    rollups = db.open(str(named))
    days = rollups.federation("day", wide=True)
    by_provider = answers.daily(rollups).pivot_table(
        index="date", columns="provider", values="n", aggfunc="sum", fill_value=0
    )
    figures = [
        plots.members(days),
        plots.members(days, kind="share"),
        plots.providers(by_provider),
        plots.repositories(answers.top(rollups, n=None), most=200),
        *(plots.repository(days.iloc[:, 0].rename(name)) for name in (*NAMES[:3], *MARKUP)),
    ]
    out = tmp_path / "figures.html"
    script, places = components([hv.render(one) for one in figures])
    scripts = Resources(mode="inline", components=["bokeh"]).js_raw
    parts = [f"<script>{one}</script>" for one in scripts]
    out.write_text("<!doctype html><meta charset='utf-8'>" + "".join([*parts, *places, script]))
    seen = watch()
    page = seen.page
    page.goto(out.as_uri())
    page.wait_for_function("window.Bokeh?.documents.length > 0 && Bokeh.documents[0].is_idle")
    assert painted(page) == [True] * len(figures)
    assert seen.asked == [out.as_uri()]


def test_labels_of_a_logarithmic_axis_are_told_apart(
    watch: Callable[..., Watched], winter_at: str
) -> None:
    """Also below one launch a day."""
    ticks = [0.02, 0.05, 0.1, 0.12, 0.15, 0.2, 1, 1.25, 10, 1000]
    shown = figure(
        visit(watch().page, winter_at),
        "providers",
        f"it.left[0].formatter.doFormat({ticks}, {{ loc: 0 }})",
    )
    assert [float(text.replace(",", "")) for text in shown] == ticks


# The report ---------------------------------------------------------------------------------------


def test_the_report_is_one_file_that_works_alone(
    watch: Callable[..., Watched], winter_report: Path, winter: Path
) -> None:
    seen = watch()
    page = seen.page
    page.goto(winter_report.as_uri())
    page.wait_for_function(
        "document.querySelectorAll('.bk-Figure').length > 5 && Bokeh.documents.length > 0"
    )
    assert page.locator("canvas").count() > 5
    text = page.inner_text("body")
    rollups = db.open(str(winter))
    series = rollups.federation("day")
    assert f"{series['n'].sum():,}" in text
    january = series[series["timestamp"].dt.strftime("%Y-%m") == "2020-01"]
    row = page.locator("tr", has_text="2020-01").first.inner_text()
    for n in january.groupby("federation", observed=True)["n"].sum():
        assert f"{n:,}" in row or not n
    assert f"{january['n'].sum():,}" in row
    for missing in rollups.missing:
        assert str(missing) in text
    assert f"to {series['timestamp'].max():%Y-%m-%d} ·" in text
    assert winter.parent.name not in page.content(), "where it lies on our disk"

    key = page.locator("[data-figures=figure-stacked] .key").first
    visible = "it.renderers.find(r => r.name == 'gke').visible"
    assert figure(page, "stacked", visible)
    key.click()
    assert not figure(page, "stacked", visible)
    before = figure(page, "lines", "it.x_range.end - it.x_range.start")
    heights = figure(page, "lines", "[it.y_range.start, it.y_range.end]")
    box = page.locator("[aria-labelledby=h-lines] .bk-Figure").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 300, box["y"] + 120)
    page.get_by_text(re.compile(r"^... (2019-12|2020-01)-\d\d$")).first.wait_for()
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 200, steps=4)
    page.mouse.up()
    page.wait_for_timeout(200)
    assert figure(page, "lines", "it.x_range.end - it.x_range.start") < before / 2
    assert figure(page, "lines", "[it.y_range.start, it.y_range.end]") == heights
    assert seen.asked == [winter_report.as_uri()]


def test_the_report_fits_a_phone(watch: Callable[..., Watched], winter_report: Path) -> None:
    page = watch(viewport={"width": 390, "height": 844}, color_scheme="dark").page
    page.goto(winter_report.as_uri())
    page.wait_for_function("document.querySelectorAll('.bk-Figure').length > 5")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_a_report_of_all_days_is_small_enough_to_publish(client: Client, tmp_path: Path) -> None:
    """The whole time of the archive, with all members that ever were."""
    write_sample(tmp_path / "in", days=400, start=date(2022, 10, 1), events_per_day=60)
    count(tmp_path / "in", tmp_path / "out", client)
    size = len(render(db.open(str(tmp_path / "out"))).encode())
    assert size < 2_500_000


# Odd data sets ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["explore", "report"])
def test_what_is_no_data_set_is_one_sentence(
    name: str, tmp_path: Path, client: Client, make_archive: MakeArchive
) -> None:
    empty = count(make_archive({"2021-03-04": b""}), tmp_path / "empty", client)
    for dest, said in (
        (tmp_path / "nothing", "holds no finished data set"),
        (empty, "holds no launches"),
    ):
        ended = command(name, dest)
        assert ended.returncode == 2
        lines = [line for line in ended.stderr.splitlines() if line != "loading ..."]
        assert len(lines) == 1
        assert said in lines[0]


def test_a_data_set_of_one_launch_is_shown(
    watch: Callable[..., Watched],
    client: Client,
    make_archive: MakeArchive,
    launch: MakeLaunch,
    tmp_path: Path,
) -> None:
    dest = count(make_archive({"2021-03-04": [launch()]}), tmp_path / "one", client)
    with explorer(dest) as (address, _):
        page = visit(watch().page, address)
        assert shown(page, "launches") == "1"
        assert shown(page, "repository") == "ipython/ipython-in-depth"
        for grain in ("Month", "Day"):
            act(page, page.get_by_text(grain, exact=True).click)
        act(page, page.locator("[name=member]").first.click)
        assert shown(page, "launches") == "0"
        assert shown(page, "repository") == "No repository"
        page.goto("about:blank")  # before the explorer ends, or the page would look for it


# The benchmark ------------------------------------------------------------------------------------


def test_the_benchmark_times_every_interaction(winter: Path) -> None:
    ended = execute(sys.executable, "-m", "benchmarks.look", winter, "--repeat", 1, "--json")
    assert ended.returncode == 0, ended.stderr
    took = json.loads(ended.stdout)
    assert took.keys() >= {"started", "first paint", *INTERACTIONS}
    assert min(took.values()) > 0


# Visitors who leave -------------------------------------------------------------------------------


def test_a_visitor_who_leaves_early_leaves_no_complaint(winter: Path, browser: Browser) -> None:
    with explorer(winter) as (address, _):  # which looks at what the server said
        for frames in (0, 3, 5, 8):  # that came from the server
            page = browser.new_page()
            came: list[Any] = []

            def hear(socket: Any, came: list[Any] = came) -> None:
                socket.on("framereceived", lambda frame: came.append(frame))

            page.on("websocket", hear)
            page.goto(address, wait_until="commit")
            deadline = time.monotonic() + 10
            while len(came) < frames and time.monotonic() < deadline:
                page.wait_for_timeout(5)
            page.close()


_COUNTED = """
import functools, gc, sys, threading
import panel as pn
from bokeh.document import Document
import daskbinder as db
from daskbinder.pages import explorer
from daskbinder.pages.content import PageContent

kept = explorer.Visit, PageContent, Document
names = "check_unused_sessions_milliseconds", "unused_session_lifetime_milliseconds"
pn.serve = functools.partial(pn.serve, **dict.fromkeys(names, 500))

def count():
    for _ in sys.stdin:
        gc.collect()
        print(sum(type(one) in kept for one in gc.get_objects()), flush=True)

threading.Thread(target=count, daemon=True).start()
explorer.serve(db.open(sys.argv[1]), show=False, tell=lambda address: print(address, flush=True))
"""


def test_all_of_a_visitor_who_left_is_given_back(winter: Path, browser: Browser) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _COUNTED, str(winter)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def count() -> int:
        print(file=process.stdin, flush=True)
        # Panel's log goes to standard output as well
        return next(int(line) for line in process.stdout if line.strip().isdigit())  # type: ignore[union-attr]

    def comes_to(wanted: Callable[[int], bool]) -> bool:
        deadline = time.monotonic() + 90  # a broken connection is noticed after half a minute
        while not wanted(count()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return wanted(count())

    try:
        address = process.stdout.readline().strip()
        before = count()
        context = browser.new_context()
        for _ in range(3):
            context.new_page().goto(address, wait_until="commit")
        assert comes_to(lambda found: found >= before + 9)
        context.close()
        assert comes_to(lambda found: found == before)
    finally:
        process.kill()
        process.communicate()
