"""Make the picture of the README: the report of a sample, in Chromium.

python docs/picture.py
"""

import tempfile
from datetime import date
from pathlib import Path

from playwright.sync_api import sync_playwright

import daskbinder as db
from benchmarks.look import ARGUMENTS, CHROMIUM
from daskbinder.pages.report import write

OUT = Path(__file__).with_name("report.png")


def main() -> None:
    """Make it."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        work = Path(folder)
        db.write_sample(work / "archive", days=900, start=date(2019, 3, 1), events_per_day=2_000)
        db.run(db.plan(db.Archive(work / "archive"), work / "rollups"))
        write(db.open(str(work / "rollups")), str(work / "report.html"))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1120, "height": 680}, color_scheme="light")
        page.goto((work / "report.html").as_uri())
        page.wait_for_function("document.querySelectorAll('.bk-Figure').length > 5")
        page.wait_for_timeout(1000)
        page.screenshot(path=OUT)
        browser.close()
    print(f"{OUT.stat().st_size:,} bytes in {OUT}")


if __name__ == "__main__":
    main()
