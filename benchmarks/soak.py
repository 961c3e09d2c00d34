"""The tests of what must never go wrong, at sizes that take minutes to hours.

Each is a test of the suite, which runs a small share of it; here it is run by itself, as large as
asked for, and says how much it saw.
"""

import os
import subprocess
import sys
from dataclasses import dataclass

from benchmarks.data import ROOT


@dataclass(frozen=True)
class Soak:
    """A test that can be made as large as one likes.

    Attributes
    ----------
    test : str
        Where it is.
    variable : str
        The environment variable that says how large.
    size : int
        As large as it should be now and then.
    """

    test: str
    variable: str
    size: int


SOAKS = {
    "lines": Soak("tests/test_fuzz.py", "DASKBINDER_LINES", 1_000_000),
    "histories": Soak("tests/test_histories.py", "DASKBINDER_HISTORIES", 1_000),
    "crashes": Soak("tests/test_crash.py", "DASKBINDER_CRASHES", 1_000),
    "reads": Soak("tests/test_reads.py", "DASKBINDER_READS", 3_000),
    "hostile": Soak("tests/test_hostile_dest.py", "DASKBINDER_HOSTILE", 250),
    "rewrites": Soak("tests/test_rewrites.py", "DASKBINDER_REWRITES", 500),
    "kills": Soak("tests/test_kills.py", "DASKBINDER_KILLS", 240),
}
"""The soaks by name."""


def soak(name: str, size: int | None = None) -> bool:
    """Run one to its end, show what it says, and return whether it passed."""
    chosen = SOAKS[name]
    words = [sys.executable, "-m", "pytest", "-q", "--slow", "--durations=1", chosen.test]
    env = os.environ | {chosen.variable: str(size or chosen.size)}
    return subprocess.run(words, cwd=ROOT, env=env, check=False).returncode == 0
