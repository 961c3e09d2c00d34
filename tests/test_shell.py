"""What a shell sees of the command line: its versions, its log, its completion."""

import logging
import re
import resource
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner
from distributed import Client

import daskbinder as db
from daskbinder.cli import main
from daskbinder.storage import retry
from support.commands import ROOT, command, python
from support.gcs import Fault, served

DOCS = (ROOT / "docs" / "shell.md").read_text("utf-8")
LINE = re.compile(r"[\d-]{10} [\d:,]{12} ([A-Z]+) (daskbinder(?:\.\w+)+): (.*)")


def logged(ended: subprocess.CompletedProcess[str]) -> list[tuple[str, ...]]:
    """Level, logger and message of each line of the log."""
    assert ended.returncode == 0, ended.stderr
    return [found.groups() for line in ended.stderr.splitlines() if (found := LINE.match(line))]


def test_the_version_comes_with_those_that_matter() -> None:
    from importlib.metadata import version
    from platform import python_version

    lines = command("--version").stdout.splitlines()
    assert lines[:2] == [f"daskbinder {db._version.__version__}", f"python {python_version()}"]
    found = dict(line.split() for line in lines[2:])
    assert list(found) == ["dask", "distributed", "pyarrow", "gcsfs", "fsspec", "numba"]
    assert all(version(name) == number for name, number in found.items())


def test_the_version_says_that_numba_is_missing() -> None:
    code = """if True:
        import importlib.metadata as metadata
        from daskbinder.cli import main
        version = metadata.version
        def without_numba(name):
            if name == "numba":
                raise metadata.PackageNotFoundError(name)
            return version(name)
        metadata.version = without_numba
        main(["--version"])
    """
    said = python(code).stdout.splitlines()
    assert said[-1] == "numba is not installed: large archives are counted more slowly"


def test_help_is_instant() -> None:
    """By the processor's clock: others may be using the machine."""
    for words in ["--help"], ["--version"], ["run", "--help"], ["explore", "--help"]:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert command(*words, COVERAGE_PROCESS_CONFIG="").returncode == 0  # which takes its time
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.3


@pytest.mark.parametrize("name", main.commands)
def test_every_command_can_be_verbose(name: str) -> None:
    assert "-v, --verbose" in CliRunner().invoke(main, [name, "--help"]).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete(shell: str) -> None:
    assert f"_DASKBINDER_COMPLETE={shell}_source daskbinder" in DOCS
    # click refuses to write for a bash it cannot find or that is too old
    script = command(_DASKBINDER_COMPLETE=f"{shell}_source").stdout
    assert "_DASKBINDER_COMPLETE" in script
    assert "daskbinder" in script


def test_completion_knows_commands_options_and_choices() -> None:
    def completed(*words: str) -> list[str]:
        ended = command(
            _DASKBINDER_COMPLETE="bash_complete",
            COMP_WORDS=" ".join(["daskbinder", *words]),
            COMP_CWORD=str(len(words)),
        )
        return [line.partition(",")[2] for line in ended.stdout.splitlines()]

    assert completed("re") == ["repo", "report"]
    assert completed("run", "--keep") == ["--keep-going"]
    assert completed("run", "--window", "w") == ["weekly"]


def test_a_verbose_run_tells_plan_blocks_and_results(sampled: Path, tmp_path: Path) -> None:
    said = logged(command("run", sampled, tmp_path / "out", "-v"))
    texts = [text for _, _, text in said]
    assert texts[0].startswith("run on inproc://")
    assert "plan: covers  8 day files, 2021-02-24 to 2021-03-04, 1 day missing" in texts
    totals = db.open(tmp_path / "out").manifest["totals"]
    blocks = [
        re.fullmatch(r"counted events-\S+\.jsonl(?: to \S+)?: (\d+) bytes, (\d+) launches", text)
        for text in texts
        if text.startswith("counted ")
    ]
    assert sum(int(block[1]) for block in blocks if block) == totals["bytes"]
    assert sum(int(block[2]) for block in blocks if block) == totals["accepted"]
    assert texts[-1].startswith(f"published {tmp_path / 'out'}/manifest.json: ")
    assert {level for level, _, _ in said} == {"INFO"}


def test_a_more_verbose_run_names_what_it_wrote(sampled: Path, tmp_path: Path) -> None:
    said = logged(command("run", sampled, tmp_path / "out", "-vv"))
    wrote = {
        tuple(re.findall(r"wrote (\S+), (\d+) bytes", text)[0])
        for level, _, text in said
        if level == "DEBUG"
    }
    files = db.open(tmp_path / "out").manifest["files"]
    assert wrote == {(name, str(file["bytes"])) for name, file in files.items()}


@pytest.mark.parametrize("workers", [[], ["--workers", 2]])
def test_a_verbose_run_tells_of_reads_that_are_tried_again(
    sampled: Path, tmp_path: Path, workers: list[object]
) -> None:
    with served(sampled) as bucket:
        bucket.faults = [Fault("flipped", r"events-2021-02-28\.jsonl\?alt=media", 1)]
        storage = [f"--storage-option={name}={value}" for name, value in bucket.options.items()]
        said = logged(command("run", "gs://archive", tmp_path / "out", "-v", *storage, *workers))
    retries = [text for level, _, text in said if level == "WARNING"]
    assert len(retries) == 1
    assert re.fullmatch(
        r"gs://archive/events-2021-02-28\.jsonl: attempt 1 of 6 failed "
        r"\(Damaged: the CRC32C is not the one listed\), again in 0\.\d s",
        retries[0],
    )


def test_a_run_that_is_not_verbose_logs_nothing(sampled: Path, tmp_path: Path) -> None:
    ended = command("run", sampled, tmp_path / "out")
    assert ended.returncode == 0
    assert not logged(ended)


def test_a_sync_tells_what_it_fetched(sampled: Path, tmp_path: Path) -> None:
    said = logged(command("sync", sampled, tmp_path / "here", "--verbose"))
    size = (sampled / "events-2021-03-04.jsonl").stat().st_size
    assert (
        "INFO",
        "daskbinder.archive.mirror",
        f"fetched events-2021-03-04.jsonl, {size} bytes",
    ) in said
    assert len(said) == 8


def test_the_log_is_safe_on_a_terminal_and_ends_with_the_command(tmp_path: Path) -> None:
    log = logging.getLogger("daskbinder")
    before = list(log.handlers), log.level
    source = tmp_path / "a\x1b[31m"
    db.write_sample(source, days=1, events_per_day=10)
    ended = CliRunner().invoke(main, ["run", str(source), str(tmp_path / "out"), "-v"])
    assert "a\\x1b[31m" in ended.output
    assert "\x1b" not in ended.output
    assert (log.handlers, log.level) == before


def test_in_python_the_log_is_ours_to_read(
    sampled: Path, tmp_path: Path, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "daskbinder")
    db.run(db.plan(db.Archive(sampled), tmp_path), client)
    assert "published" in caplog.text


def test_without_a_reader_the_package_writes_nothing(tmp_path: Path) -> None:
    """Python prints warnings that no handler takes, unless told that none is wanted."""
    name = "daskbinder.storage.retry"
    code = f"import logging, daskbinder; logging.getLogger({name!r}).warning('again')"
    ended = python(code)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert retry.log.name == "daskbinder.storage.retry"
