"""The README: its two front-door commands, its guarantees, its length."""

import re
import subprocess
from pathlib import Path

from benchmarks.soak import SOAKS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
GATE = (ROOT / ".ci" / "run").read_text("utf-8")


def test_the_readme_has_two_front_door_commands_and_the_gate_runs_exactly_these() -> None:
    pattern = re.search(r"sed -n '(s/.*/p)' README\.md", GATE)
    assert pattern is not None
    sed = subprocess.run(
        ["sed", "-n", pattern[1], str(ROOT / "README.md")],
        capture_output=True,
        text=True,
        check=True,
    )
    demo, tests = sed.stdout.splitlines()
    assert README.count("python3 -m venv ") == 2
    assert demo.endswith("pip install --quiet . && .venv/bin/daskbinder demo")
    assert "--group test -e . && .venv/bin/python -m pytest" in tests
    assert "pip>=25.1" in tests  # the first that knows groups
    for command in (demo, tests):
        steps = command.split(" && ")
        assert steps[0] == "python3 -m venv .venv"
        assert all(step.startswith(".venv/bin/") for step in steps[1:])


def test_each_guarantee_is_one_that_is_tested_at_length_and_never_was_wrong() -> None:
    section = README.partition("## Guarantees")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([\d,]+) \| (\d+) \|$", section, re.MULTILINE)
    assert {name for name, _, _ in rows} == set(SOAKS)
    assert all(wrong == "0" and int(times.replace(",", "")) > 0 for _, times, wrong in rows)
    for soak in SOAKS.values():
        assert soak.variable in (ROOT / soak.test).read_text("utf-8")
