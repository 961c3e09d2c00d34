"""How quick the explorer is in a real browser: start, first paint, figures, each interaction.

    python -m benchmarks.look DEST [--repeat N]

The explorer runs as users run it; headless Chromium opens it anew each time. Times come from the
browser's own clock: an interaction takes from the click until what it changed is painted.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
FIGURES = ("lines", "stacked", "share", "providers", "hours", "repository", "archive")
INTERACTIONS: dict[str, Callable[[Page], Any]] = {
    "90 days": lambda page: page.get_by_text("90 days", exact=True).click(),
    "a year": lambda page: page.get_by_text("A year", exact=True).click(),
    "all days": lambda page: page.get_by_text("All", exact=True).click(),
    "by week": lambda page: page.get_by_text("Week", exact=True).click(),
    "by month": lambda page: page.get_by_text("Month", exact=True).click(),
    "7-day mean": lambda page: page.get_by_text("7-day mean", exact=True).click(),
    "without the largest member": lambda page: page.locator("[name=member]").first.click(),
    "with it again": lambda page: page.locator("[name=member]").first.click(),
    "without the largest provider": lambda page: page.locator("[name=provider]").first.click(),
    "and with it": lambda page: page.locator("[name=provider]").first.click(),
    "stacked": lambda page: page.get_by_text("Stacked", exact=True).click(),
    "share": lambda page: page.get_by_text("Share", exact=True).first.click(),
    "another repository": lambda page: page.locator("#repositories tbody button").nth(3).click(),
    "next page": lambda page: page.get_by_text("Next", exact=True).click(),
    "search": lambda page: page.get_by_placeholder("Find a repository").fill("jupyter"),
}


@contextmanager
def explorer(dest: str) -> Iterator[tuple[str, float]]:
    """Run the explorer: its address, and the seconds until it told it."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "daskbinder", "explore", dest, "--no-browser"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("http"):
            raise SystemExit(f"the explorer does not start with {dest}")
        yield line.split()[0], time.perf_counter() - began
    finally:
        process.terminate()
        process.wait(10)


def measure(page: Page, address: str) -> dict[str, float]:
    """Open the explorer and do everything once; milliseconds."""
    page.goto(address)
    found = {}
    page.wait_for_function(
        "names => names.every(name => [...(window.Bokeh?.documents ?? [])].some("
        "doc => doc.get_model_by_name(`figure-${name}`)))",
        arg=list(FIGURES),
    )
    page.wait_for_function("document.body.dataset.shown !== undefined")
    found["all figures there"] = page.evaluate("performance.now()")
    found["first paint"] = page.evaluate(
        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
    )
    page.wait_for_timeout(1000)
    for name, act in INTERACTIONS.items():
        page.evaluate("performance.clearMarks()")
        act(page)
        page.wait_for_function("performance.getEntriesByName('shown').length > 0")
        found[name] = page.evaluate(
            "performance.getEntriesByName('shown')[0].startTime"
            " - performance.getEntriesByName('asked')[0].startTime"
        )
        page.wait_for_timeout(200)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dest")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with explorer(given.dest) as (address, started), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        rounds = []
        for _ in range(given.repeat):
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            rounds.append(measure(page, address))
            page.close()
        browser.close()
    medians = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    if given.json:
        print(json.dumps({"started": started} | medians))
    else:
        print(f"{'start of the command':30} {started * 1000:8,.0f} ms")
        for name, took in medians.items():
            print(f"{name:30} {took:8,.0f} ms   {max(one[name] for one in rounds):8,.0f} at most")


if __name__ == "__main__":
    main()
