"""What a program owes the shell it runs in: its terminal, its pipes, its proxies, its settings."""

import shlex
import subprocess
import sys
from datetime import date
from functools import partial
from pathlib import Path

import pytest
from distributed import Client

import daskbinder as db
from conftest import MakeArchive, MakeLaunch
from support.commands import PROGRAM, environment, execute, execute_bytes, python
from support.gcs import FakeGCS
from support.web import FakeSite

NAME = "https://example.org/\u00fcn\u00ef/\u65e5\u672c"
SPEC = NAME.replace(":", "%3A").replace("/", "%2F") + "/main"
command = partial(execute_bytes, *PROGRAM)  # in bytes: encodings differ


def sentence(ended: subprocess.CompletedProcess[bytes], code: int = 2) -> str:
    """Return the one sentence that a command ended with."""
    said = ended.stderr.decode()
    assert ended.returncode == code, said
    assert said.startswith("daskbinder: "), said
    assert len(said.splitlines()) == 1, said
    return said.removeprefix("daskbinder: ").rstrip("\n")


@pytest.fixture(scope="module")
def archive(make_archive: MakeArchive, launch: MakeLaunch) -> Path:
    """Make an archive in which names have letters of many scripts."""
    return make_archive(
        {
            day: [
                launch(f"{day}T10:00", provider="Git", spec=SPEC, origin="h\u00f6st.\u65e5\u672c"),
                b"x",
            ]
            for day in (date(2021, 3, 4), date(2021, 3, 6))
        }
    )


@pytest.fixture(scope="module")
def rollups(archive: Path, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Path:
    dest = tmp_path_factory.mktemp("r\u00e9sults")
    db.run(db.plan(db.Archive(archive), dest), client)
    return dest


# Terminals and pipes ------------------------------------------------------------------------------

COMMANDS = {
    "help": "--help",
    "version": "--version",
    "run-help": "run --help",
    "top": "top ROLLUPS",
    "top-csv": "top ROLLUPS --csv",
    "top-json": "top ROLLUPS --json",
    "repo": f"repo ROLLUPS {NAME}",
    "members": "members ROLLUPS",
    "export": "export ROLLUPS NEW --least 1",
    "info": "info ROLLUPS",
    "info-archive": "info ARCHIVE",
    "check": "check ROLLUPS ARCHIVE",
    "plan": "run ARCHIVE NEW --dry-run",
    "run": "run -v ARCHIVE NEW",
    "sync": "sync ARCHIVE NEW",
    "sample": "sample NEW --days 2 --events-per-day 5",
    "report": "report ROLLUPS -o NEW",
}
"""The arguments of each command that prints and ends by itself."""


WRONG = {"wrong": "top --nonsense", "missing": "top NEW"}


def words_of(name: str, archive: Path, rollups: Path, new: Path) -> list[str]:
    places = {"ARCHIVE": str(archive), "ROLLUPS": str(rollups), "NEW": str(new)}
    return [places.get(word, word) for word in shlex.split((COMMANDS | WRONG)[name])]


@pytest.mark.parametrize(
    ("name", "encoding"), [*((name, "cp1252") for name in COMMANDS), ("top", "C"), ("repo", "C")]
)
def test_a_character_the_terminal_lacks_is_replaced(
    archive: Path, rollups: Path, tmp_path: Path, name: str, encoding: str
) -> None:
    poor = {
        "cp1252": {"PYTHONIOENCODING": "cp1252"},
        "C": {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
    }[encoding]
    ended = command(*words_of(name, archive, rollups, tmp_path / "\u65e5"), **poor)
    assert ended.returncode == 0, ended.stderr
    assert b"Traceback" not in ended.stderr


def test_an_error_of_any_characters_is_one_sentence(tmp_path: Path) -> None:
    ended = command("top", tmp_path / "\u65e5\u672c", PYTHONIOENCODING="cp1252:strict")
    assert "\\u65e5\\u672c" in sentence(ended)


@pytest.mark.parametrize(
    ("name", "pipe"),
    [
        *((name, "2>&1 | true") for name in COMMANDS),
        *((name, "| true") for name in ("help", "top", "top-csv", "check")),
        ("top", "| head -1"),
        ("run", "| head -1"),
        ("run", "2>&1 | head -1"),
        ("run", "2>&1 >FILE | true"),
        ("wrong", "2>&1 | true"),
        ("missing", "2>&1 | true"),
    ],
)
def test_a_reader_that_leaves_is_no_error(
    archive: Path, rollups: Path, tmp_path: Path, name: str, pipe: str
) -> None:
    words = words_of(name, archive, rollups, tmp_path / "new")
    line = f"{shlex.join([*PROGRAM, *words])} {pipe.replace('FILE', str(tmp_path / 'file'))}"
    told = execute("bash", "-c", f'{line}; echo "status ${{PIPESTATUS[0]}}"')
    for complaint in "Traceback", "Exception ignored", "Broken pipe":
        assert complaint not in told.stderr
    *printed, status = told.stdout.splitlines()
    assert status in ("status 0", "status 141")
    assert len(printed) <= 1


def test_a_disk_that_is_full_of_what_is_printed_is_one_sentence(rollups: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        words = [*PROGRAM, "top", str(rollups)]
        ended = subprocess.run(
            words, stdout=full, stderr=subprocess.PIPE, env=environment(), check=False
        )
    assert "No space left on device" in sentence(ended, 1)


# The configuration of Dask ------------------------------------------------------------------------

MISFITS = {
    "distributed.comm.timeouts.connect": "banana",
    "distributed.scheduler.work-stealing-interval": "zz",
    "distributed.worker.memory.target": "lots",
    "distributed.logging": "5",
    "temporary-directory": __file__,
    "scheduler-address": "7",
}


@pytest.mark.parametrize("setting", MISFITS)
def test_a_setting_of_another_kind_is_named_with_its_variable(
    archive: Path, tmp_path: Path, setting: str
) -> None:
    variable = f"DASK_{setting}".replace(".", "__").replace("-", "_").upper()
    ended = command("run", archive, tmp_path / "new", **{variable: MISFITS[setting]})
    begins = f"Dask cannot work with its configuration: {setting} ({variable}) ("
    assert sentence(ended).startswith(begins)


def test_a_setting_of_another_kind_is_named_with_its_file(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("distributed:\n  comm:\n    timeouts:\n      connect: banana\n")
    words = ["run", archive, tmp_path / "new", "--workers", 2]
    ended = command(*words, DASK_CONFIG=str(file))
    assert f": distributed.comm.timeouts.connect ({file}) (" in sentence(ended)


@pytest.mark.parametrize("text", ["distributed: [1,\n  foo: bar: baz\n", "just words\n"])
def test_a_broken_configuration_is_one_sentence(archive: Path, tmp_path: Path, text: str) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text(text)
    ended = command("run", archive, tmp_path / "new", DASK_CONFIG=str(file))
    said = sentence(ended)
    assert said.startswith("Dask cannot read its configuration (ValueError: A dask config file at")
    assert str(file) in said
    script = "import daskbinder as db\ntry:\n  db.run\nexcept db.InputError as e: print(e)"
    told = python(script, DASK_CONFIG=str(file))
    assert told.returncode == 0, told.stderr
    assert str(file) in told.stdout


def test_settings_that_do_no_harm_may_stay(archive: Path, tmp_path: Path) -> None:
    harmless = {"DASK_DISTRIBUTED__WORKER__MEMORY__TARGET": "False", "DASK_OF_MINE": "x"}
    assert command("run", archive, tmp_path / "new", **harmless).returncode == 0


# Scripts ------------------------------------------------------------------------------------------

_SCRIPT = """
import sys
import daskbinder as db

try:
    db.run(db.plan(db.Archive(sys.argv[1]), sys.argv[2]), workers=2)
except db.InputError as error:
    sys.exit(f"daskbinder: {error}")
"""


def test_a_script_without_a_guard_is_told_so_once(archive: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(_SCRIPT)
    ended = execute_bytes(sys.executable, tmp_path / "script.py", archive, tmp_path / "new")
    assert """below 'if __name__ == "__main__":'""" in sentence(ended, 1)
    assert not ended.stdout
    assert not (tmp_path / "new" / "manifest.json").exists()


# Storage options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        "trust_env=True",
        'client_kwargs={"nonsense": "s3cr3t"}',
        "client_kwargs=s3cr3t",
        "client_kwargs=5",
        'client_kwargs={"headers": 7}',
        'client_kwargs={"auth": "me:s3cr3t"}',
        'client_kwargs={"proxy": "socks5://me:s3cr3t@host"}',
        "headers=5",
        "proxy=s3cr3t",
        "timeout=s3cr3t",
        "get_client=s3cr3t",
        "max_paths=s3cr3t",
    ],
)
def test_an_option_that_a_site_does_not_take_is_named_without_its_value(option: str) -> None:
    with FakeSite() as site:
        ended = command("top", site.url, f"--storage-option={option}")
    said = sentence(ended)
    assert f"with the storage option {option.partition('=')[0]} as it is given (" in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize(
    "option",
    ["session_kwargs=5", 'session_kwargs={"headers": 5}', "endpoint_url=s3cr3t", "access=s3cr3t"],
)
def test_an_option_that_a_bucket_does_not_take_is_named_without_its_value(option: str) -> None:
    with FakeGCS() as bucket:
        given = bucket.options | dict([option.split("=", 1)])
        options = (f"--storage-option={key}={value}" for key, value in given.items())
        said = sentence(command("info", "gs://archive", *options))
    assert option.partition("=")[0] in said
    assert "s3cr3t" not in said


@pytest.mark.parametrize("option", ['client_kwargs={"trust_env": true}', "client_kwargs=null"])
def test_an_option_may_be_a_value_of_json(option: str) -> None:
    with FakeSite() as site:
        ended = command("top", site.url, f"--storage-option={option}")
        assert "storage option" not in sentence(ended)
        assert site.requests
