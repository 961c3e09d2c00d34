"""The pages as pages: what fits, what keys and the way back do, what is said while one waits."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

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
    texts = figure(page, "lines", "it.renderers.at(-1).data_source.data.day")
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
