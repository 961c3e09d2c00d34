"""Runs on clusters: real schedulers and workers, and what is said of those that cannot be used."""

import re
import signal
import socket
import ssl
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dask
import psutil
import pytest
from distributed import Client
from distributed.security import Security

import daskbinder as db
from conftest import MakeArchive, MakeLaunch, check_same, documented
from daskbinder.cluster import connect, preflight
from daskbinder.cluster.execution import compute
from daskbinder.cluster.managers import read_specification
from daskbinder.cluster.probe import check_scheduler, is_exposed
from support.commands import command, python
from support.machines import Machines, machines

ROOT = Path(__file__).parents[1]
LOCAL = {"memory_limit": "4GiB"}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "archive"
    db.write_sample(folder, days=40, events_per_day=8_000, flaws=True)
    return folder


def answer(dest: Path) -> dict[str, bytes]:
    """Return all that a run left, byte by byte, but for what names the time of the run."""
    files = [path for path in dest.rglob("*") if path.is_file()]
    assert all(not path.name.startswith(".") for path in files)
    return {str(path.relative_to(dest)): path.read_bytes() for path in sorted(files)}


def planned(sample: Path, dest: Path) -> db.Plan:
    return db.plan(db.Archive(sample), dest, blocksize=1 << 20)


@pytest.fixture(scope="module")
def wanted(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    dest = tmp_path_factory.mktemp("local") / "out"
    db.run(planned(sample, dest), threads=2)
    return answer(dest)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """Give a scheduler with two workers for the tests that leave them alone."""
    with machines(tmp_path_factory.mktemp("two")) as made:
        made.add_worker()
        made.add_worker()
        yield made


# Where a run takes place --------------------------------------------------------------------------


def test_a_scheduler_gives_the_same_answer_and_is_left_running(
    sample: Path, wanted: dict[str, bytes], two: Machines, tmp_path: Path
) -> None:
    told: list[str] = []
    db.run(planned(sample, tmp_path / "out"), two.address, tell=told.append)
    assert answer(tmp_path / "out") == wanted
    assert not [line for line in told if "warning" in line]
    with Client(two.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=20)
        assert not client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))


def test_the_documented_line_for_a_laptop_works(
    sampled: Path, counted: Path, tmp_path: Path
) -> None:
    (words,) = (one for one in documented("daskbinder run") if "--workers" in one)
    words[2:4] = str(sampled), str(tmp_path / "out")
    ended = command(*words[1:], cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "dashboard: http://127.0.0.1:" in ended.stderr
    check_same(tmp_path / "out", counted)


def test_the_address_may_come_from_the_environment(two: Machines, tmp_path: Path) -> None:
    code = "from daskbinder.cluster import connect\nwith connect() as c: print(c.scheduler.address)"
    ended = python(code, DASK_SCHEDULER_ADDRESS=two.address)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() == two.address


def test_what_is_asked_for_goes_before_what_is_around(two: Machines) -> None:
    with dask.config.set({"scheduler-address": two.address}), connect(threads=1, **LOCAL) as client:
        assert client.scheduler.address.startswith("inproc://")
    with Client(two.address) as current, connect() as client:
        assert client is current
    with Client(two.address), connect(threads=1) as client:
        assert client.scheduler.address.startswith("inproc://")


@pytest.mark.parametrize(
    "options",
    [
        {"scheduler": "tcp://127.0.0.1:1", "cluster": "distributed.LocalCluster"},
        {"scheduler": "tcp://127.0.0.1:1", "workers": 2},
        {"cluster": "distributed.LocalCluster", "threads": 2},
        {"adapt": (1, 2)},
        {"cluster": "distributed.LocalCluster", "adapt": (0, 2)},
    ],
)
def test_places_that_exclude_each_other_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(db.InputError), connect(**options):
        pass


def listening() -> set[tuple[str, int]]:
    """Return the addresses at which this process and its children listen."""
    me = psutil.Process()
    found = [one for p in (me, *me.children(recursive=True)) for one in p.net_connections()]
    return {tuple(one.laddr) for one in found if one.status == psutil.CONN_LISTEN}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_cluster_on_this_machine_listens_on_loopback_only(workers: int) -> None:
    before = listening()
    with connect(workers=workers):
        assert {host for host, _ in listening() - before} == {"127.0.0.1"}


# Loss ---------------------------------------------------------------------------------------------


def test_a_worker_killed_in_mid_run_changes_nothing(
    sample: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    with machines(tmp_path) as made:
        victim = made.add_worker()
        made.add_worker()
        with Client(made.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=20)
        read = 0

        def kill(size: int, _events: int) -> None:
            nonlocal read
            read += size
            if read > 40_000_000:
                victim.send_signal(signal.SIGKILL)

        plan = planned(sample, tmp_path / "out")
        db.run(plan, made.address, progress=kill)
        assert victim.wait(10) == -signal.SIGKILL
    assert answer(tmp_path / "out") == wanted
    assert read > plan.bytes  # some blocks were counted again


def test_a_lost_scheduler_is_one_sentence_and_nothing_is_published(
    sample: Path, wanted: dict[str, bytes], two: Machines, tmp_path: Path
) -> None:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with machines(folder) as made:
        made.add_worker()
        kill = made.scheduler.kill
        with pytest.raises(db.JobError, match="scheduler was lost"):
            db.run(planned(sample, tmp_path / "out"), made.address, progress=lambda *_: kill())
    assert not (tmp_path / "out" / "manifest.json").exists()
    db.run(planned(sample, tmp_path / "out"), two.address)
    assert answer(tmp_path / "out") == wanted


def test_a_block_that_kills_workers_is_named_by_its_day_files(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(
        "import os\nfrom daskbinder.counting import scan\n"
        "from daskbinder.pipeline import counting_tasks as tasks\n"
        "scan.first = count = getattr(scan, 'first', tasks.count_block)  # loaded twice\n"
        "def count_block(source, block, *rest):\n"
        "    if 'events-2021-03-09' in repr(block):\n        os._exit(9)\n"
        "    return count(source, block, *rest)\n"
        "tasks.count_block = count_block\n"
    )
    allowed = {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0",
        # else a block that waits at the worker is suspected too
        "DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "1.0",
    }
    with machines(tmp_path, env=allowed) as made:
        for _ in range(2):
            made.add_worker("--preload", str(tmp_path / "deadly.py"))
        with pytest.raises(db.JobError, match=r"died 1 times over events-2021-03-09\.jsonl; ") as e:
            db.run(planned(sample, tmp_path / "out"), made.address)
    assert "count-block" not in str(e.value)
    assert not (tmp_path / "out" / "manifest.json").exists()


# Checks before work -------------------------------------------------------------------------------


def test_without_workers_it_waits_says_so_and_gives_up(tmp_path: Path) -> None:
    told: list[str] = []
    with (
        machines(tmp_path) as made,
        pytest.raises(db.JobError, match=r"no worker for 0 seconds.*--wait"),
        connect(made.address, wait=0.3, tell=told.append),
    ):
        pass
    assert told == [f"waiting for workers to join {made.address}"]


def pretend(**versions: Any) -> SimpleNamespace:
    """Make a client whose one worker differs from us in some versions."""
    ours = {"python": "3.11.7.final.0", "dask": "2026.8.0", "distributed": "2026.8.0"}

    def seen(found: dict[str, str]) -> dict[str, Any]:
        return {"host": {"python": found["python"]}, "packages": found}

    return SimpleNamespace(
        get_versions=lambda: {
            "client": seen(ours),
            "scheduler": seen(ours),
            "workers": {"tcp://10.0.0.7:1": seen(ours | versions)},
        },
        run_on_scheduler=lambda *_: db._version.__version__,
        run=lambda *_: {},
    )


def test_another_python_is_refused_by_name() -> None:
    with pytest.raises(db.InputError, match=r"python is 3\.11 here and 3\.13 at tcp://10.0.0.7:1"):
        preflight.check_software(pretend(python="3.13.1.final.0"), preflight.silent)


def test_another_dask_is_told() -> None:
    told: list[str] = []
    preflight.check_software(pretend(dask="2026.1.0"), told.append)
    assert told == ["warning: dask is 2026.8.0 here and 2026.1.0 at tcp://10.0.0.7:1"]


@pytest.fixture(scope="module")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make an environment with everything of this one but daskbinder."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    (folder / "others").mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "daskbinder" not in path.name and path.suffix != ".pth":
            (folder / "others" / path.name).symlink_to(path)
    (packages,) = (folder / "env").glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(str(folder / "others"))
    return str(folder / "env" / "bin" / "python")


def test_the_package_is_sent_to_machines_that_lack_it(
    sample: Path, wanted: dict[str, bytes], bare_python: str, tmp_path: Path
) -> None:
    here = {path.relative_to(ROOT) for path in (ROOT / "daskbinder").rglob("*")}
    code = {str(path) for path in here if path.suffix in (".py", ".toml")}
    assert {len(Path(name).parts) for name in code} == {2, 3}
    folder = tmp_path / "cluster"
    folder.mkdir()
    with machines(folder, python=bare_python, env={"PYTHONPATH": ""}) as made:
        made.add_worker()
        with Client(made.address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=20)
            find = "__import__('importlib.util').util.find_spec('daskbinder')"
            assert list(client.run(eval, find).values()) == [None]
            assert client.run_on_scheduler(eval, find) is None
            db.run(planned(sample, tmp_path / "out"), client)
            made.add_worker()  # is sent it too
            client.wait_for_workers(2, timeout=20)
            zips = "__import__('zipfile').ZipFile(__import__('daskbinder').__loader__.archive)"
            for names in client.run(eval, f"{zips}.namelist()").values():
                assert set(names) == code
            table = "__import__('daskbinder.model.federation').model.federation.Federation"
            known = client.run(eval, f"len({table}.load().intervals)").values()
            assert list(known) == [len(db.Federation.load().intervals)] * 2
    assert answer(tmp_path / "out") == wanted


def test_a_source_that_workers_do_not_see_is_named(
    make_archive: MakeArchive, launch: MakeLaunch, two: Machines, tmp_path: Path
) -> None:
    folder = make_archive({"2021-03-04": [launch()]})
    plan = db.plan(db.Archive(folder), tmp_path / "out")
    (folder / "events-2021-03-04.jsonl").unlink()
    with pytest.raises(db.InputError, match=r"on 127\.0\.0\.1, .* has no events-2021-03-04.jsonl"):
        db.run(plan, two.address)


def test_a_dest_that_workers_cannot_write_is_named(
    sample: Path, two: Machines, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(db.JobError, match=r"on 127\.0\.0\.1, .*/file/out cannot be written: Not a"):
        db.run(planned(sample, tmp_path / "file" / "out"), two.address)


def test_blocks_too_large_for_a_worker_are_refused_at_the_start(
    sample: Path, tmp_path: Path
) -> None:
    with machines(tmp_path) as made:
        made.add_worker("--memory-limit", "400MiB", "--nthreads", "2")
        plan = db.plan(db.Archive(sample), tmp_path / "out", blocksize=32 << 20)
        with pytest.raises(db.InputError, match=r"400\.00 MiB .*2 blocks .*use --blocksize 16MiB"):
            db.run(plan, made.address)


def test_workers_that_all_lack_memory_are_not_waited_for_for_ever(
    sample: Path, tmp_path: Path
) -> None:
    plan = planned(sample, tmp_path / "out")
    with machines(tmp_path) as made:
        made.add_worker("--memory-limit", "100MiB")  # less than it takes to begin
        with Client(made.address, set_as_default=False) as client:
            client.wait_for_workers(1, timeout=20)
            with pytest.raises(db.JobError, match="no worker has had memory to continue with"):
                compute(client, plan.outputs, plan.about, check_every=0.2, most_paused=1.0)


def test_blocks_are_made_to_fit_the_workers_unless_their_size_is_given(
    sample: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    told: list[str] = []
    with machines(tmp_path) as made:
        made.add_worker("--memory-limit", "400MiB", "--nthreads", "2")
        plan = db.plan(db.Archive(sample), tmp_path / "out")
        assert plan.policy.block_bytes == 64 << 20
        db.run(plan, made.address, tell=told.append)
    assert told[-1] == "blocks of 16.00 MiB for the memory of the workers"
    assert answer(tmp_path / "out") == wanted


def test_the_smallest_share_of_memory_decides() -> None:
    def block(most: int, *workers: tuple[int, int]) -> int:
        known = {
            str(i): {"memory_limit": limit << 20, "nthreads": threads}
            for i, (limit, threads) in enumerate(workers)
        }
        client = SimpleNamespace(scheduler_info=lambda n_workers: {"workers": known})
        return preflight.block_for(client, most << 20) >> 20

    assert block(64, (0, 4)) == 64  # without a limit
    assert block(64, (8192, 8), (1024, 2)) == 64
    assert block(64, (8192, 8), (512, 2)) == 33
    assert block(64, (128, 2)) == preflight.LEAST_BLOCK >> 20  # to be refused
    assert block(2, (512, 2)) == 2


def test_a_small_memory_limit_means_fewer_threads() -> None:
    with connect(memory_limit="512MiB", block=64 << 20) as client:
        assert sum(client.nthreads().values()) == 1
    with pytest.raises(db.InputError, match="give it more memory"), connect(memory_limit="128MiB"):
        pass


@pytest.mark.parametrize(
    ("size", "options", "nthreads"),
    [(2 << 30, {}, [4, 4]), (1 << 30, {}, [8]), (2 << 30, {"threads": 3}, [3])],
)
def test_a_large_archive_gets_a_process_for_each_four_cores(
    size: int, options: dict[str, int], nthreads: list[int], tmp_path: Path
) -> None:
    code = (
        "from daskbinder.cluster import connect, local\n"
        "local.CPU_COUNT = 8\n"
        f"with connect(archive_bytes={size}, **{options}) as client:\n"
        "    print([*client.nthreads().values()])\n"
    )
    ended = python(code, cwd=tmp_path)
    assert ended.stdout == f"{nthreads}\n", ended.stderr


# What answers at an address -----------------------------------------------------------------------


@contextmanager
def server(serve: Callable[[socket.socket], None] | None) -> Iterator[int]:
    """Listen on a port, and serve each connection in turn; with None, accept and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as held:

        def accept() -> None:
            while True:
                try:
                    connected, _ = listening.accept()
                except OSError:
                    return
                held.enter_context(connected)
                if serve is not None:
                    serve(connected)

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)


@pytest.fixture
def web() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as http:
        http.RequestHandlerClass.log_message = lambda *_: None  # type: ignore[method-assign]
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield http.server_port
        http.shutdown()
        thread.join(5)


def said_of(address: str, security: Security | None = None) -> str:
    with pytest.raises(db.InputError) as error:
        check_scheduler(address, security, timeout=0.3)
    return str(error.value)


def test_a_wrong_address_is_one_sentence(web: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = free.getsockname()[1]
    assert "Connection refused" in said_of(f"tcp://127.0.0.1:{nobody}")
    assert "lacks a host or a port" in said_of("tcp://127.0.0.1")
    assert "lacks a host or a port" in said_of("tcp://127.0.0.1:http")
    assert "needs certificates" in said_of(f"tls://127.0.0.1:{web}")
    assert "does not answer as a Dask scheduler" in said_of(f"tcp://127.0.0.1:{web}")
    with server(None) as silent:
        assert "does not answer as a Dask scheduler" in said_of(f"tcp://127.0.0.1:{silent}")
    with server(lambda connected: connected.sendall(b"SSH-2.0-OpenSSH_9\r\n")) as ssh:
        assert "does not answer as a Dask scheduler" in said_of(f"tcp://127.0.0.1:{ssh}")
    unheard = pytest.raises(db.InputError, match=f"cannot connect to tcp://127.0.0.1:{nobody}")
    with unheard, connect(f"127.0.0.1:{nobody}"):
        pass


def test_only_plain_tcp_to_others_is_exposed() -> None:
    assert is_exposed("tcp://192.0.2.7:8786")
    assert is_exposed("tcp://no-such-host.invalid:8786")
    assert not is_exposed("tls://192.0.2.7:8786")
    assert not is_exposed("tcp://localhost:8786")
    assert not is_exposed("tcp://[::1]:8786")
    assert not is_exposed("inproc://192.0.2.7/1/1")


# TLS ----------------------------------------------------------------------------------------------


def security(folder: Path, ca: str = "ours", mine: str = "ours") -> Security:
    return Security(
        tls_ca_file=str(folder / ca / "cert.pem"),
        tls_client_cert=str(folder / mine / "cert.pem"),
        tls_client_key=str(folder / mine / "key.pem"),
        require_encryption=True,
    )


@pytest.fixture(scope="module")
def encrypted(certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    ours = certificates / "ours"
    files = ("--tls-ca-file", "cert.pem", "--tls-cert", "cert.pem", "--tls-key", "key.pem")
    words = [str(ours / word) if word.endswith(".pem") else word for word in files]
    with machines(tmp_path_factory.mktemp("encrypted"), "--protocol", "tls", *words) as made:
        made.add_worker()
        yield made


def test_over_tls_the_answer_is_the_same(
    sample: Path,
    wanted: dict[str, bytes],
    encrypted: Machines,
    certificates: Path,
    tmp_path: Path,
) -> None:
    assert encrypted.address.startswith("tls://")
    ours = certificates / "ours"
    ended = command(
        *("run", sample, tmp_path / "out"),
        *("--scheduler", encrypted.address, "--blocksize", "1MiB"),
        *("--tls-ca", ours / "cert.pem"),
        *("--tls-cert", ours / "cert.pem", "--tls-key", ours / "key.pem"),
    )
    assert ended.returncode == 0, ended.stderr
    assert "warning" not in ended.stderr
    assert answer(tmp_path / "out") == wanted


def test_wrong_certificates_are_told_apart(
    encrypted: Machines, two: Machines, certificates: Path
) -> None:
    plain = encrypted.address.replace("tls://", "tcp://")
    assert "write tls://" in said_of(plain)
    assert "check --tls-ca" in said_of(encrypted.address, security(certificates, ca="theirs"))
    assert "check --tls-cert" in said_of(encrypted.address, security(certificates, mine="theirs"))
    assert "no TLS connection" in said_of(
        two.address.replace("tcp://", "tls://"), security(certificates)
    )
    assert "is not encrypted, but certificates" in said_of(two.address, security(certificates))
    assert ssl.OPENSSL_VERSION


# Cluster managers ---------------------------------------------------------------------------------


def test_a_cluster_is_named_in_python_yaml_or_toml(tmp_path: Path) -> None:
    wanted = "dask_jobqueue.SLURMCluster", {"cores": 4, "memory": "8GiB"}
    (tmp_path / "a.yaml").write_text(f"class: {wanted[0]}\ncores: 4\nmemory: 8GiB\n")
    (tmp_path / "a.toml").write_text(f'class = "{wanted[0]}"\ncores = 4\nmemory = "8GiB"\n')
    assert read_specification(f"{wanted[0]}(cores=4, memory='8GiB')") == wanted
    assert read_specification(str(tmp_path / "a.yaml")) == wanted
    assert read_specification(str(tmp_path / "a.toml")) == wanted
    assert read_specification("coiled.Cluster") == ("coiled.Cluster", {})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Cluster", "is no cluster"),
        ("a.B(1)", "is no cluster"),
        ("a.B(c=open('x'))", "is no cluster"),
        ("__import__('os').system('true')", "is no cluster"),
        ("a.B(**{})", "is no cluster"),
        ("nowhere.yaml", "cannot read nowhere.yaml: No such file"),
        ("no_such_package.Cluster", "is no-such-package installed here"),
        ("distributed.NoCluster", "there is no NoCluster in distributed"),
        ("fractions.Fraction(n_workers=1)", "does not take these arguments"),
        ("fractions.Fraction(denominator=0)", "did not start: ZeroDivisionError"),
    ],
)
def test_a_cluster_that_cannot_be_is_one_sentence(given: str, said: str) -> None:
    with pytest.raises((db.InputError, db.JobError), match=said), connect(cluster=given):
        pass


@pytest.mark.parametrize("processes", [True, False])
def test_a_local_cluster_by_name_listens_on_loopback_only(processes: bool) -> None:
    before = listening()
    told: list[str] = []
    specification = f"distributed.LocalCluster(n_workers=1, processes={processes})"
    with connect(cluster=specification, dashboard=True, tell=told.append):
        assert {host for host, _ in listening() - before} == {"127.0.0.1"}
    assert not [line for line in told if "warning" in line]


def test_a_cluster_that_others_can_reach_is_warned_of() -> None:
    told: list[str] = []
    specification = "distributed.LocalCluster(n_workers=1, host='0.0.0.0')"
    with connect(cluster=specification, tell=told.append) as client:
        where = client.scheduler.address
        with connect(where, tell=told.append):
            pass
    if not where.startswith("tcp://127."):  # unless this machine has no other address
        warned = [line for line in told if line.startswith(f"warning: {where} is not encrypted")]
        assert len(warned) == 2


def test_a_cluster_of_ones_own_is_started_adapted_and_ended(
    sample: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    specification = tmp_path / "cluster.yaml"
    specification.write_text(
        "class: distributed.LocalCluster\nn_workers: 1\nthreads_per_worker: 2\nprocesses: false\n"
        "dashboard_address: 127.0.0.1:0\nworker_dashboard_address: 127.0.0.1:0\n"
    )
    told: list[str] = []
    db.run(
        planned(sample, tmp_path / "out"),
        cluster=str(specification),
        adapt=(1, 2),
        dashboard=True,
        tell=told.append,
    )
    assert answer(tmp_path / "out") == wanted
    assert re.fullmatch(r"dashboard: http://127\.0\.0\.1:\d+/status", told[0])
