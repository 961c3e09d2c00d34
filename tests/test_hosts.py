"""A cluster of separate hosts, over TLS, of which one is lost, cut off or late."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import daskbinder as db
from conftest import check_same, documented
from support.hosts import Host, Hosts, dask, permitted

pytestmark = [
    pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip"),
    pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root"),
]

PORT = 8786
BLOCK = 1 << 20


class Cluster:
    """A scheduler on a host, workers on others, and a client on one more."""

    def __init__(self, hosts: Hosts, certificates: Path) -> None:
        self.hosts = hosts
        file = {name: certificates / "ours" / f"{name}.pem" for name in ("cert", "key")}
        theirs = ("--tls-ca-file", file["cert"], "--tls-cert", file["cert"])
        self.theirs = (*theirs, "--tls-key", file["key"])
        ours = ("--tls-ca", file["cert"], "--tls-cert", file["cert"])
        self.ours = (*ours, "--tls-key", file["key"])
        self.scheduler, self.client = hosts.add(), hosts.add()
        self.address = f"tls://{self.scheduler.address}:{PORT}"
        words = dask("scheduler", "--protocol", "tls", "--port", PORT, "--no-show", *self.theirs)
        self.scheduler.start(*words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.scheduler.wait_for(PORT)

    def add_worker(self, *words: str) -> Host:
        host = self.hosts.add()
        given = (self.address, "--no-nanny", "--nthreads", 1, *self.theirs, *words)
        words_all = dask("worker", *given)
        host.start(*words_all, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return host

    def wait_for(self, workers: int) -> None:
        """Wait until so many workers have joined, as the client sees it."""
        code = (
            "import sys\nfrom distributed import Client\n"
            "from distributed.security import Security\n"
            "ca, cert, key = sys.argv[3:]\n"
            "s = Security(tls_ca_file=ca, tls_client_cert=cert, tls_client_key=key)\n"
            "with Client(sys.argv[1], security=s) as c: c.wait_for_workers(int(sys.argv[2]), 90)\n"
        )
        files = self.theirs[1::2]
        asked = self.client.start("-c", code, self.address, workers, *files)
        assert asked.wait(150) == 0, asked.communicate()[1]

    def run(self, source: Path, dest: Path, in_mid_run: Callable[[], object]) -> None:
        """Run to the end and do something as soon as the first blocks are counted."""
        words = ("--scheduler", self.address, "--blocksize", BLOCK, *self.ours)
        run = self.client.start("-m", "daskbinder", "run", source, dest, *words)
        assert run.stderr is not None
        said = ""
        for line in run.stderr:
            said += line
            if "% read" in line:
                in_mid_run()
                break
        rest, errors = run.communicate()
        assert run.returncode == 0, said + errors
        assert "warning" not in said + errors
        assert "launches" in rest


@pytest.fixture
def cluster(certificates: Path) -> Iterator[Cluster]:
    if not permitted():
        pytest.skip("may not make network namespaces")
    with Hosts() as hosts:
        yield Cluster(hosts, certificates)


def files_of(dest: Path) -> dict[str, bytes]:
    files = (path for path in dest.rglob("*") if path.is_file())
    return {str(path.relative_to(dest)): path.read_bytes() for path in files}


def counted_here(source: Path, dest: Path) -> dict[str, bytes]:
    db.run(db.plan(db.Archive(source), dest, blocksize=BLOCK), threads=2)
    return files_of(dest)


@pytest.mark.parametrize("protocol", ["tls", pytest.param("tcp", marks=pytest.mark.slow)])
def test_the_documented_lines_make_a_cluster_of_separate_hosts(
    protocol: str, certificates: Path, sampled: Path, counted: Path, tmp_path: Path
) -> None:
    if not permitted():
        pytest.skip("may not make network namespaces")
    which = {"tls": "tls", "tcp": "10.0.0.1"}[protocol]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    folder = certificates / "ours"
    with Hosts() as hosts:
        scheduler, *workers, client = (hosts.add() for _ in range(4))
        assert scheduler.address == "10.0.0.1"
        words = chosen("dask scheduler", which)
        scheduler.start("-m", *words, cwd=folder, **silent)
        scheduler.wait_for(PORT)
        words = chosen("dask worker", f"{protocol}://10.0.0.1")
        for worker in workers:
            worker.start("-m", *words, cwd=folder, **silent)
        words = chosen("daskbinder run", f"{protocol}://10.0.0.1")
        words[2:4] = str(sampled), str(tmp_path / "out")
        run = client.start("-m", *words, cwd=folder)
        _, errors = run.communicate(timeout=180)
        assert run.returncode == 0, errors
        assert ("warning" in errors) == (protocol == "tcp")
        assert min(scheduler.traffic()) > 10_000
    check_same(tmp_path / "out", counted)


def chosen(start: str, part: str) -> list[str]:
    """Find the one documented command line that begins so and has a part in it."""
    (words,) = (one for one in documented(start) if part in " ".join(one))
    return words


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large") / "archive"
    db.write_sample(folder, days=100, events_per_day=20_000, flaws=True)
    return folder


@pytest.fixture(scope="module")
def wanted(large: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return counted_here(large, tmp_path_factory.mktemp("wanted") / "out")


@pytest.mark.slow
def test_a_host_whose_worker_is_killed_changes_nothing(
    cluster: Cluster, large: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    victim, _ = cluster.add_worker(), cluster.add_worker()
    cluster.wait_for(2)
    cluster.run(large, tmp_path / "out", victim.processes[0].kill)
    assert victim.processes[0].wait(10) == -signal.SIGKILL
    assert files_of(tmp_path / "out") == wanted


@pytest.mark.slow
def test_a_host_whose_link_is_cut_changes_nothing(
    cluster: Cluster, large: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    victim, _ = cluster.add_worker(), cluster.add_worker()
    cluster.wait_for(2)
    cluster.run(large, tmp_path / "out", victim.cut)
    assert files_of(tmp_path / "out") == wanted


@pytest.mark.slow
def test_a_host_that_joins_late_is_used(
    cluster: Cluster, large: Path, wanted: dict[str, bytes], tmp_path: Path
) -> None:
    cluster.add_worker()
    cluster.wait_for(1)
    late: list[Host] = []
    cluster.run(large, tmp_path / "out", lambda: late.append(cluster.add_worker()))
    assert files_of(tmp_path / "out") == wanted
    sent = late[0].traffic()[1]
    assert sent > 300_000  # what it counted; a worker without work says no more than hello
