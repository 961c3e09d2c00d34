"""Cluster managers that are real and end with the block: Slurm on one node, and Dask's gateway."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

SLURM = ("munged", "slurmctld", "slurmd", "sinfo")

_SLURM = """\
ClusterName=daskbinder
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={control}
SlurmdPort={port}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MailProg=/bin/true
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=40000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
"""

_GATEWAY = """\
import sys
c.DaskGateway.address = "127.0.0.1:{private}"
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.Proxy.address = "127.0.0.1:{public}"
c.UnsafeLocalBackend.clusters_directory = "{folder}/clusters"
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
c.ClusterConfig.worker_memory = "1 G"
"""


@contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Start Slurm with this machine as its one node of 8 cores; give the environment to call it."""
    host = socket.gethostname().partition(".")[0]
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(_SLURM.format(host=host, folder=folder, control=_free(), port=_free()))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    environment = os.environ | {"SLURM_CONF": str(conf)}
    files = {name: f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")}
    daemons: Sequence[Sequence[str]] = (
        ("munged", "-F", "--force", f"--socket={folder}/munge.socket", *files.values()),
        ("slurmctld", "-D", "-i", "-f", str(conf)),
        ("slurmd", "-D", "-f", str(conf), "-N", host),
    )
    with ExitStack() as held:
        for daemon in daemons:
            held.enter_context(_running(daemon, folder / f"{daemon[0]}.out", environment))
            if daemon[0] == "munged":
                _wait(lambda: (folder / "munge.socket").exists())
        _wait(lambda: "idle" in _said(("sinfo", "--noheader", "--format=%T"), environment))
        yield environment
        subprocess.run(["scancel", "--user=root"], env=environment, check=False)


@contextmanager
def gateway(folder: Path) -> Iterator[str]:
    """Start Dask's gateway, whose clusters are processes of this machine; give its address."""
    public = _free()
    conf = folder / "gateway.py"
    conf.write_text(_GATEWAY.format(folder=folder, private=_free(), public=public))
    (folder / "clusters").mkdir()
    program = Path(sys.executable).with_name("dask-gateway-server")
    out = folder / "gateway.out"
    with _running((str(program), "-f", str(conf)), out, dict(os.environ)):
        _wait(lambda: "server started" in out.read_text() and _listens(public))
        yield f"http://127.0.0.1:{public}"


@contextmanager
def _running(words: Sequence[str], out: Path, environment: dict[str, str]) -> Iterator[None]:
    with out.open("w") as said:
        program = shutil.which(words[0]) or words[0]
        process = subprocess.Popen(
            [program, *words[1:]], env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(20)


def _said(words: Sequence[str], environment: dict[str, str]) -> str:
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def _wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not until():
        assert time.monotonic() < deadline, "it did not start in 30 seconds"
        time.sleep(0.05)


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def _free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
