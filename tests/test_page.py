"""The pages as pages: what fits, what keys and the way back do, what is said while one waits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from distributed import Client

from conftest import MakeArchive, MakeLaunch, needs
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
    """Show repositories with names as long as usual ones get, some of a single word."""
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
