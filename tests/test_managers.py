"""Runs on real cluster managers, by the command line; and on workers of another Python."""

import os
import re
import shutil
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from distributed import LocalCluster

import daskbinder as db
from conftest import ROOT, check_same, documented
from support import managers
from support.commands import command

pytestmark = pytest.mark.slow
run = partial(command, "run", timeout=180)


@pytest.mark.skipif(
    not all(map(shutil.which, managers.SLURM)) or os.geteuid() != 0, reason="needs Slurm and root"
)
def test_the_documented_slurm_cluster_counts(sampled: Path, counted: Path, tmp_path: Path) -> None:
    pytest.importorskip("dask_jobqueue")
    words = next(one for one in documented("daskbinder run") if "slurm.yaml" in one)
    assert words[4:6] == ["--cluster", "slurm.yaml"]
    text = (ROOT / "docs" / "clusters.md").read_text("utf-8")
    block = re.search(r"^    class: dask_jobqueue.*?(?=^\S)", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    wanted = yaml.safe_load("\n".join(line[4:] for line in block[0].splitlines()))
    (tmp_path / "shared").mkdir()
    wanted["shared_temp_directory"] = str(tmp_path / "shared")
    (tmp_path / "slurm.yaml").write_text(yaml.safe_dump(wanted))
    (tmp_path / "slurm").mkdir()
    with managers.slurm(tmp_path / "slurm") as environment:
        ended = run(sampled, tmp_path / "out", *words[4:], cwd=tmp_path, **environment)
    assert ended.returncode == 0, ended.stderr
    assert "warning" not in ended.stderr
    check_same(tmp_path / "out", counted)


def test_a_gateway_counts_and_its_cluster_ends(
    sampled: Path, counted: Path, tmp_path: Path
) -> None:
    pytest.importorskip("dask_gateway")
    pytest.importorskip("dask_gateway_server")
    with managers.gateway(tmp_path) as address:
        cluster = f"dask_gateway.GatewayCluster(address={address!r})"
        ended = run(sampled, tmp_path / "out", "--cluster", cluster, "--adapt", "1:2", cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
        check_same(tmp_path / "out", counted)
        assert "Stopping cluster" in (tmp_path / "gateway.out").read_text()
        wrong = run(
            sampled,
            tmp_path / "out",
            "--cluster",
            "dask_gateway.GatewayCluster(address='http://127.0.0.1:1')",
            cwd=tmp_path,
        )
    assert wrong.returncode == 1
    assert "GatewayCluster did not start" in wrong.stderr
    assert wrong.stderr.count("\n") == 1


def other_python() -> str | None:
    """Find a Python of another minor version that runs."""
    for name in (os.environ.get("OTHER_PYTHON"), *(f"python3.{minor}" for minor in range(11, 16))):
        if name and (found := shutil.which(name)):
            code = "import ssl, sys; print(sys.version_info.minor)"
            ended = subprocess.run([found, "-c", code], capture_output=True, text=True, check=False)
            if ended.returncode == 0 and int(ended.stdout) != sys.version_info.minor:
                return found
    return None


def test_workers_of_another_python_are_named(sampled: Path, tmp_path: Path) -> None:
    python = other_python()
    if python is None:
        pytest.skip("needs another Python; name it in OTHER_PYTHON")
    folder = tmp_path / "other"
    subprocess.run([python, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"distributed=={version('distributed')}"], check=True)
    with LocalCluster(n_workers=0, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster:
        worker = subprocess.Popen(
            [folder / "bin" / "dask", "worker", cluster.scheduler_address, "--no-dashboard"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            with pytest.raises(db.InputError, match=r"python is 3\.\d+ here and 3\.\d+ at tcp://"):
                db.run(db.plan(db.Archive(sampled), tmp_path / "out"), cluster.scheduler_address)
        finally:
            worker.terminate()
            worker.wait(20)
    assert not (tmp_path / "out").exists()
