"""Runs commands of the program, as a shell does or inside this process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from daskbinder.cli import main

ROOT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-m", "daskbinder"]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment, with the package to test and some variables more."""
    return os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "100"} | variables


def execute_bytes(
    *words: object, cwd: Path = ROOT, timeout: float = 120, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run any program to its end and keep what it prints, whatever its exit code."""
    return subprocess.run(
        [str(word) for word in words],
        capture_output=True,
        cwd=cwd,
        timeout=timeout,
        env=environment(**variables),
        check=False,
    )


def execute(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    r"""Run a program as `execute_bytes` does; decode its output from UTF-8, every \r as it is."""
    ended = execute_bytes(*words, **options)
    printed = [output.decode() for output in (ended.stdout, ended.stderr)]
    return subprocess.CompletedProcess(ended.args, ended.returncode, *printed)


def command(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a command of daskbinder."""
    return execute(*PROGRAM, *words, **options)


def start(*words: object) -> subprocess.Popen[str]:
    """Start a program that says at once what it prints."""
    return subprocess.Popen(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(PYTHONUNBUFFERED="1"),
    )


def python(code: str, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run some code in a new Python process."""
    return execute(sys.executable, "-c", code, *words, **options)


def invoke(*words: object) -> str:
    """Run a command in this process; it must succeed. Return what it printed to standard output."""
    ended = CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "120"})
    assert ended.exit_code == 0, ended.output
    return ended.stdout
