"""The notebook for mybinder.org: it runs from the first cell to the last, and shows figures."""

import json
import math
import os
import subprocess
import sys
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import holoviews as hv
import pandas as pd
import pytest

import daskbinder as db
from daskbinder import answers, plots

ROOT = Path(__file__).parents[1]
BINDER = ROOT / ".binder"
NOTEBOOK = json.loads((BINDER / "launches.ipynb").read_text("utf-8"))

RUN = """
import sys, nbformat, nbclient
book = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
nbformat.write(book, "out.ipynb")
"""


def test_the_notebook_walks_through_sample_run_load_and_plot(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-c", RUN, str(BINDER / "launches.ipynb")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT), "IPYTHONDIR": str(tmp_path / "ipython")},
        check=True,
        timeout=180,
    )
    cells = json.loads((tmp_path / "out.ipynb").read_text("utf-8"))["cells"]
    figures = [
        cell
        for cell in cells
        if "".join(cell["source"]).splitlines()[-1:]
        and "".join(cell["source"]).splitlines()[-1].startswith("plots.")
    ]
    assert len(figures) == 8
    for cell in figures:
        kinds = {kind for output in cell["outputs"] for kind in output.get("data", {})}
        assert "application/vnd.holoviews_exec.v0+json" in kinds
    assert not [
        output
        for cell in cells
        for output in cell.get("outputs", [])
        if output["output_type"] in ("error", "stream") and "arning" in str(output)
    ]
    assert (tmp_path / "rollups" / "manifest.json").exists()


def test_its_averages_of_providers_are_over_all_days_that_have_a_file(counted: Path) -> None:
    """Also over those on which a provider has no launch."""
    rollups = db.open(str(counted))
    (cell,) = (one for one in NOTEBOOK["cells"] if "plots.providers" in "".join(one["source"]))
    *lines, last = "".join(cell["source"]).splitlines()
    names = {"rollups": rollups, "answers": answers, "plots": plots}
    exec("\n".join(lines), names)
    figure = hv.render(eval(last, names))
    launches: Counter[tuple[date, str]] = Counter()
    for row in rollups.load("monthly", by="day").itertuples():
        launches[row.timestamp.date(), row.provider] += row.n
    files = {day for day, _ in launches}
    drawn = [part for part in figure.renderers if part.name]
    assert {part.name for part in drawn} == {provider for _, provider in launches}
    for part in drawn:
        points = dict(zip(*part.data_source.data.values(), strict=True))
        shown = {pd.Timestamp(at).date(): y for at, y in points.items()}
        for day in files:
            week = files & {day - timedelta(days=back) for back in range(7)}
            mean = sum(launches[each, part.name] for each in week) / len(week)
            assert shown.get(day, math.nan) == pytest.approx(mean or math.nan, nan_ok=True)


def test_it_is_kept_without_what_it_showed() -> None:
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


def test_mybinder_installs_the_project_after_the_environment() -> None:
    """repo2docker makes the environment before the source is there."""
    environment = (BINDER / "environment.yml").read_text("utf-8")
    assert "- ." not in environment
    assert "-e" not in environment
    post = BINDER / "postBuild"
    assert os.access(post, os.X_OK)
    assert post.read_text("utf-8").startswith("#!/bin/bash\n")
    assert "pip install --no-cache-dir .\n" in post.read_text("utf-8")
