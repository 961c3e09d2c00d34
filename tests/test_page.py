"""The pages as pages: what fits, what keys and the way back do, what is said while one waits."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from distributed import Client
from playwright.sync_api import Browser, Page, WebSocketRoute

import daskbinder as db
from conftest import MakeArchive, MakeLaunch, needs
from daskbinder.pages.report import render
from support.browsing import Watched, act, count, explorer, figure, shown, visit

pytestmark = needs("chromium")

LONGEST_USUAL = 40


# What fits ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def long_at(
    client: Client,
    make_archive: MakeArchive,
    launch: MakeLaunch,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """Show repositories with names as long as usual ones get, some of long words."""
    names = [f"{'organisation' if i % 2 else 'w' * 19}-{i:02}/" for i in range(12)]
    names = [name + ("tutorial-of-a-course-" * 3)[: LONGEST_USUAL - len(name)] for name in names]
    days = {"2021-03-04": [launch(spec=f"{name}/master") for name in names]}
    dest = count(make_archive(days), tmp_path_factory.mktemp("long"), client)
    with explorer(dest) as (address, _):
        yield address


@pytest.mark.parametrize("width", [320, 390, 920, 1280, 1440])
def test_usual_names_of_repositories_are_read_whole(
    watch: Callable[..., Watched], long_at: str, width: int
) -> None:
    page = visit(watch(viewport={"width": width, "height": 900}).page, long_at)
    buttons = page.locator("#repositories tbody button")
    assert {len(name) for name in buttons.all_inner_texts()} == {LONGEST_USUAL}
    assert buttons.count() == 12
    inside = buttons.evaluate_all(
        "all => all.map(button => { const text = document.createRange();"
        "text.selectNodeContents(button);"
        "const cell = button.closest('td').getBoundingClientRect();"
        "const clips = ['overflowX', 'textOverflow'].map(it => getComputedStyle(button)[it]);"
        "return String(clips) === 'visible,clip' && [...text.getClientRects()].every(it =>"
        "it.left >= cell.left && it.right <= cell.right && it.bottom <= cell.bottom) })"
    )
    assert inside == [True] * 12
    assert page.evaluate("document.documentElement.scrollWidth") <= width


WIDTHS = (320, 360, 390, 480, 640, 641, 768, 900, 901, 960, 1100, 1101, 1279, 1280, 1440, 1600)


def test_headline_numbers_fit_at_every_width(
    watch: Callable[..., Watched], winter_at: str, winter_report: Path
) -> None:
    """Also those of a much larger archive than today's."""
    page = watch().page
    for address in (winter_at, winter_report.as_uri()):
        page.goto(address)
        page.locator(".number").first.wait_for()
        page.evaluate(
            "() => { const text = ['2,603,336,512', '2,603,336', '1,234,567', 'hetzner-2i2c-bare',"
            "'3,650']; document.querySelectorAll('.number').forEach((it, i) => "
            "it.textContent = text[i]) }"
        )
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            too_wide = page.locator(".number, .figures > div").evaluate_all(
                "all => all.filter(it => it.scrollWidth > it.clientWidth).map(it => it.textContent)"
            )
            assert too_wide == [], width
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            lines = page.locator(".number").evaluate_all(
                "all => all.map(it => Math.round(it.offsetHeight / "
                "parseFloat(getComputedStyle(it).lineHeight)))"
            )
            assert lines[:3] == [1, 1, 1], width


# Keys ---------------------------------------------------------------------------------------------


def test_a_key_is_its_check_box(watch: Callable[..., Watched], winter_at: str) -> None:
    page = visit(watch().page, winter_at + "?member=gke&member=ovh")
    keys, boxes = page.locator("[data-of=member] .key"), page.locator("[name=member]")

    def agree() -> list[bool]:
        pressed = keys.evaluate_all("all => all.map(it => it.ariaPressed === 'true')")
        assert boxes.evaluate_all("all => all.map(it => it.checked)") == pressed
        return pressed

    names = keys.all_inner_texts()
    assert [name for name, on in zip(names, agree(), strict=True) if on] == ["gke", "ovh"]
    launches, points = shown(page, "launches"), "it.renderers.find(r => r.name == 'gke')"
    act(page, keys.nth(names.index("gke")).click)
    assert agree().count(True) == 1
    assert shown(page, "launches") != launches
    assert figure(page, "lines", f"{points}.data_source.get_length() ?? 0") == 0
    assert "gke" not in page.url
    act(page, boxes.nth(names.index("gke")).click)
    assert agree().count(True) == 2
    assert shown(page, "launches") == launches
    act(page, page.locator("button[data-of=member]").click)
    assert all(agree())
    faint = page.locator("[data-of=provider] .key").first
    act(page, faint.click)
    assert "line-through" in faint.evaluate("it => getComputedStyle(it).textDecoration")
    assert not page.locator("[name=provider]").first.is_checked()


# What is said -------------------------------------------------------------------------------------

MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"


def test_dates_are_written_in_one_way(
    watch: Callable[..., Watched], winter_at: str, winter_report: Path
) -> None:
    page = visit(watch().page, winter_at + "?grain=day")
    days = "it.renderers.find(part => part.data_source.data.day).data_source.data.day"
    texts = figure(page, "lines", f"{days}.filter(it => it)")
    texts += figure(page, "archive", "it.renderers[0].data_source.data.day.filter(it => it != '-')")
    seen = [page.inner_text("body")]
    page.goto(winter_report.as_uri())
    texts += [*seen, page.inner_text("body")]
    assert len(texts) > 200
    for text in texts:
        assert re.search(r"\d{4}-\d\d-\d\d", text)
        assert not re.search(rf"\b({MONTHS})[a-z]* \d|\d ({MONTHS})|\d[./]\d+[./]\d{4}", text)


def test_one_is_singular(
    watch: Callable[..., Watched],
    client: Client,
    make_archive: MakeArchive,
    launch: MakeLaunch,
    tmp_path: Path,
) -> None:
    line = make_archive({"2021-03-04": [launch(), b"no launch"]})
    dest = count(line, tmp_path / "one", client)
    out = tmp_path / "report.html"
    out.write_text(render(db.open(str(dest))))
    texts = []
    with explorer(dest) as (address, _):
        page = visit(watch().page, address)
        for grain in ("Day", "Week"):
            act(page, page.get_by_text(grain, exact=True).click)
            texts.append(page.inner_text("body"))
        texts += figure(page, "archive", "it.renderers[0].data_source.data.launches")
        page.goto(out.as_uri())
        texts.append(page.inner_text("body"))
    assert "1 line rejected" in texts[-1]
    for text in texts:
        assert re.search(r"\b1 (day|launch)\b", text)
        assert not re.search(r"(?<![\d.,-])1 [a-z]*( day)?[a-z]*s\b", text), text


def test_a_download_says_what_is_inside(watch: Callable[..., Watched], winter_at: str) -> None:
    page = visit(watch().page, winter_at)
    for grain, values in (
        ("7-day mean", "7-day means"),
        ("Day", "counts by day"),
        ("Week", "daily means by week"),
        ("Month", "daily means by month"),
    ):
        if grain != "7-day mean":
            act(page, page.get_by_text(grain, exact=True).click)
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Series as CSV: {values}", exact=True).click()
        assert download.value.suggested_filename.startswith(f"series-{values.replace(' ', '-')}-20")


# While one waits ----------------------------------------------------------------------------------


class Held:
    """What the server says to a page, which is kept back as long as wanted."""

    def __init__(self, page: Page) -> None:
        self.waiting: list[Any] = []
        self.is_held = False
        page.route_web_socket("**/ws", self._connect)

    def _connect(self, ours: WebSocketRoute) -> None:
        theirs = ours.connect_to_server()
        self.send = ours.send
        theirs.on_message(lambda said: (self.waiting.append if self.is_held else self.send)(said))

    def release(self) -> None:
        self.is_held = False
        for said in self.waiting:
            self.send(said)


def test_figures_that_are_not_there_have_a_place(
    watch: Callable[..., Watched], winter_at: str
) -> None:
    page = watch().page
    held = Held(page)
    held.is_held = True
    page.goto(winter_at)
    empty = page.locator(".plot:not(.there)")
    place = empty.first
    assert empty.count() == 7
    box = place.bounding_box()
    assert box is not None
    assert box["height"] > 250
    assert place.evaluate("it => getComputedStyle(it).animationName") == "awaited"
    page.wait_for_timeout(300)
    assert empty.count() == 7
    held.release()
    page.wait_for_function("document.querySelectorAll('.plot:not(.there)').length == 0")


def test_what_is_chosen_early_counts(watch: Callable[..., Watched], winter_at: str) -> None:
    page = watch().page
    held = Held(page)
    held.is_held = True
    page.goto(f"{winter_at}?grain=week")
    page.get_by_text("90 days", exact=True).click()
    page.locator("[name=member]").first.click()
    held.release()
    page.wait_for_function("document.body.dataset.shown?.includes('range=90d')")
    assert urlsplit(page.url).query.startswith("range=90d&grain=week&member=")
    assert page.locator("[name=range][value='90d']").is_checked()
    assert not page.locator("[name=member]").first.is_checked()
    assert page.locator("[data-of=member] .key[aria-pressed=false]").count() == 1


def test_a_wait_is_shown_once_it_is_one(watch: Callable[..., Watched], winter_at: str) -> None:
    page = watch().page
    held = Held(page)
    visit(page, winter_at)
    page.evaluate(
        "() => { window.busy = []; new MutationObserver(() => busy.push(performance.now()))"
        ".observe(document.querySelector('main'), { attributeFilter: ['aria-busy'] }) }"
    )
    faint = "getComputedStyle(document.querySelector('main')).opacity < 0.6"
    act(page, page.get_by_text("Week", exact=True).click)
    took = page.evaluate(
        "performance.getEntriesByName('shown')[0].startTime"
        " - performance.getEntriesByName('asked')[0].startTime"
    )
    if took < 250:
        assert page.evaluate("document.querySelector('main').ariaBusy") == "false"
        assert not page.evaluate(faint)

    page.evaluate("performance.clearMarks(); busy.length = 0")
    held.is_held = True
    page.get_by_text("Month", exact=True).click()
    page.wait_for_function(faint)
    asked, busy = page.evaluate("[performance.getEntriesByName('asked')[0].startTime, busy[0]]")
    assert busy - asked >= 249
    held.release()
    page.wait_for_function("document.querySelector('main').ariaBusy === 'false'")
    page.wait_for_function(f"!({faint})")


def test_a_lost_connection_is_said_and_the_address_kept(browser: Browser, winter: Path) -> None:
    page = browser.new_page()
    with explorer(winter) as (address, process):
        visit(page, address)
        act(page, page.get_by_text("90 days", exact=True).click)
        bar = page.get_by_role("alert")
        assert not bar.is_visible()
        launches = shown(page, "launches")
        process.send_signal(2)
        bar.wait_for()
        assert "Connection lost" in bar.inner_text()
    page.get_by_text("Month", exact=True).click()
    page.wait_for_timeout(400)
    assert page.locator("main").get_attribute("aria-busy") == "false"
    chosen = page.url
    assert urlsplit(chosen).query == "range=90d&grain=month"
    with explorer(winter, urlsplit(address).port or 0):
        bar.get_by_role("button", name="Reload").click()
        page.wait_for_function("document.body.dataset.shown !== undefined")
        assert page.url == chosen
        assert shown(page, "launches") == launches
        assert not bar.is_visible()
        page.close()


@pytest.mark.parametrize("kind", ["lines", "share"])
def test_figures_in_sight_come_first(
    watch: Callable[..., Watched], winter_at: str, kind: str
) -> None:
    page = watch().page
    came: list[str] = []

    def hear(said: str | bytes) -> None:
        came.extend(re.findall(r'"name":"figure-(\w+)"', str(said)))

    page.on("websocket", lambda socket: socket.on("framereceived", hear))
    visit(page, f"{winter_at}?kind={kind}")
    order = list(dict.fromkeys(came))
    assert order[:5] == [kind, "providers", "hours", "repository", "archive"]
    assert len(order) == 7


# The way back -------------------------------------------------------------------------------------


def test_back_undoes_a_choice(watch: Callable[..., Watched], winter_at: str) -> None:
    page = visit(watch().page, winter_at)
    said = [f"[data-show={name}]" for name in ("launches", "repository", "page_note", "unit")]
    rows = "#repositories tbody"

    def state() -> list[Any]:
        form = "[...new URLSearchParams(new FormData(document.getElementById('choices')))]"
        pressed = "[...document.querySelectorAll('.key')].map(it => it.ariaPressed)"
        kinds = "[...document.querySelectorAll('[data-kind]')].map(it => it.hidden)"
        starts = figure(page, "providers", "[it.x_range.start, it.x_range.end]")
        texts = [page.locator(at).inner_text() for at in (*said, rows)]
        return [page.url, page.evaluate(f"[{form}, {pressed}, {kinds}]"), starts, texts]

    search = page.get_by_label("Find a repository")
    choices: list[Callable[[], Any]] = [
        page.get_by_text("90 days", exact=True).click,
        lambda: page.locator("[name=from]").fill("2020-01-15"),
        page.locator("[name=member]").first.click,
        page.get_by_text("Share", exact=True).first.click,
        page.get_by_text("Week", exact=True).click,
        page.locator("#repositories tbody button").nth(3).click,
        page.get_by_text("Next", exact=True).click,
    ]
    states = [state()]
    for choose in choices:
        act(page, choose)
        states.append(state())
    for before in states[-2::-1]:
        act(page, page.go_back)
        assert state() == before
    act(page, page.go_forward)
    assert state() == states[1]

    for text in ("j", "ju", "jup"):
        act(page, lambda text=text: search.fill(text))  # type: ignore[misc]
    assert "q=jup" in page.url
    act(page, page.go_back)
    assert state() == states[0]

    act(page, page.get_by_text("Week", exact=True).click)
    act(page, page.get_by_text("7-day mean", exact=True).click)
    page.evaluate("history.pushState(null, '', location.href)")
    page.go_back()  # to what is shown already
    page.wait_for_timeout(400)
    assert page.locator("main").get_attribute("aria-busy") != "true"


# For everybody ------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_shuts_anybody_out(
    watch: Callable[..., Watched],
    winter_at: str,
    winter_report: Path,
    axe: str,
    width: int,
    scheme: str,
) -> None:
    phone = width < 640
    how = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme}
    page = visit(watch(**how, has_touch=phone, is_mobile=phone).page, winter_at)
    if phone:
        page.get_by_text("Choose days").click()
    page.evaluate("document.getElementById('lost').hidden = false")
    for address in (None, winter_report.as_uri()):
        if address:
            page.goto(address)
            page.locator(".bk-Figure").nth(5).wait_for()
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        assert len(found["passes"]) > 20
        assert [(one["id"], one["nodes"][0]["html"]) for one in found["violations"]] == []


def test_tables_of_the_report_scroll_with_the_keyboard(
    watch: Callable[..., Watched], winter_report: Path
) -> None:
    page = watch(viewport={"width": 390, "height": 844}).page
    page.goto(winter_report.as_uri())
    regions = page.get_by_role("region", name="Table of")
    assert regions.count() == page.locator("table").count() == 3
    months = page.get_by_role("region", name="Table of months by member")
    months.focus()
    assert months.evaluate("it => it === document.activeElement && it.scrollWidth > it.clientWidth")
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(500)  # its policy forbids to ask again and again
    assert months.evaluate("it => it.scrollLeft") > 0


@pytest.mark.parametrize("where", ["explorer", "report"])
def test_a_tap_shows_what_a_mouse_would(
    watch: Callable[..., Watched], winter_at: str, winter_report: Path, where: str
) -> None:
    """In a figure below, on a page that a finger has moved."""
    said = []
    for touch in (True, False):
        how = {"viewport": {"width": 390, "height": 844}, "has_touch": touch, "is_mobile": touch}
        page = watch(**how).page
        if where == "explorer":
            visit(page, winter_at)
        else:
            page.goto(winter_report.as_uri())
        drawn = page.locator("[aria-labelledby=h-providers] .bk-Figure")
        drawn.wait_for()
        page.wait_for_timeout(500)
        drawn.scroll_into_view_if_needed()
        text = page.get_by_text(re.compile(r"^... 20(19|20)-\d\d-\d\d$"))
        for part in (0.4, 0.8):
            box = drawn.bounding_box()
            assert box is not None
            at = box["x"] + box["width"] * part, box["y"] + box["height"] * 0.5
            (page.touchscreen.tap if touch else page.mouse.move)(*at)
            text.wait_for()
            page.wait_for_timeout(200)
            said.append(text.inner_text())
        if touch:
            page.locator("#h-providers").tap()
            text.wait_for(state="hidden")
    assert said[:2] == said[2:]
    assert said[0][4:] < said[1][4:]
