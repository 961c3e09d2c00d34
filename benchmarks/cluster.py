"""What a cluster costs: hosts of their own, and the memory of workers.

    python -m benchmarks.cluster hosts DIR --counts 1 2 4         # as root, on Linux
    python -m benchmarks.cluster memory DIR --limits 512MiB 1GiB 4GiB

DIR is an archive. Hosts are network namespaces of this machine and share its cores: their times say
what more hosts cost, not what they gain. All runs of a table must count the same launches.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from typing import Any

from distributed import Client

import daskbinder as db
from daskbinder.cluster import connect

PORT = 8786


@dataclass(frozen=True)
class Cost:
    """What one run took.

    Attributes
    ----------
    launches, tasks : int
        Launches counted and tasks of the graph.
    seconds, scheduler : float
        Wall time, and CPU seconds of the scheduler meanwhile.
    peaks : list of int
        Largest memory of each worker since it began.
    died : int
        Workers of the start that were not there at the end.
    """

    launches: int
    tasks: int
    seconds: float
    scheduler: float
    peaks: list[int]
    died: int


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def count(client: Client, data: str, dest: str) -> Cost:
    """Run once on a cluster that is ready, and ask everyone what it took."""
    workers = set(client.scheduler_info(n_workers=-1)["workers"])
    cpu = client.run_on_scheduler(time.process_time)
    plan = db.plan(db.Archive(data), dest)
    result = db.run(plan, client)
    cpu = client.run_on_scheduler(time.process_time) - cpu
    stayed = set(client.scheduler_info(n_workers=-1)["workers"])
    return Cost(
        result.launches,
        plan.n_tasks,
        result.seconds,
        cpu,
        list(client.run(_peak).values()),
        len(workers - stayed),
    )


def hosts(data: str, counts: list[int]) -> None:
    """Run on few and many hosts; tell where time and bytes go."""
    from tests.support.hosts import Hosts, dask

    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    print("| hosts | seconds | tasks | scheduler CPU ms a task | workers sent MB | client got MB |")
    print("|---|---|---|---|---|---|")
    launches = set()
    for number in counts:
        with Hosts() as made, tempfile.TemporaryDirectory() as dest:
            scheduler, client = made.add(), made.add()
            where = f"tcp://{scheduler.address}:{PORT}"
            scheduler.start(*dask("scheduler", "--port", PORT, "--no-show"), **silent)
            workers = [made.add() for _ in range(number)]
            for worker in workers:
                given = (where, "--nthreads", 1, "--memory-limit", "2GiB")
                worker.start(*dask("worker", *given), **silent)
            words = ("-m", "benchmarks.cluster", "one", where, number, data, f"{dest}/out")
            said, errors = client.start(*words).communicate()
            if not said:
                sys.exit(errors)
            cost = Cost(**json.loads(said))
            received, _ = client.traffic()
            sent = sum(worker.traffic()[1] for worker in workers)
        launches.add(cost.launches)
        print(
            f"| {number} | {cost.seconds:.1f} | {cost.tasks:,} "
            f"| {1e3 * cost.scheduler / cost.tasks:.2f} | {sent / 1e6:,.0f} "
            f"| {received / 1e6:,.1f} |",
            flush=True,
        )
    assert len(launches) == 1, launches


def one(where: str, number: int, data: str, dest: str) -> None:
    """Be the client of such a run."""
    with Client(where, timeout=30) as client:
        client.wait_for_workers(number, timeout=60)
        print(json.dumps(asdict(count(client, data, dest))))


def memory(data: str, limits: list[str], workers: int, threads: int) -> None:
    """Run on workers of little memory; tell the peak of each, and whether all lived."""
    print("| limit | workers x threads | seconds | peak MiB of each worker | of its limit | died |")
    print("|---|---|---|---|---|---|")
    launches = set()
    for limit in limits:
        options: dict[str, Any] = {"workers": workers, "threads": threads, "memory_limit": limit}
        with (
            tempfile.TemporaryDirectory() as dest,
            connect(**options, block=1, tell=_say) as client,
        ):
            infos = client.scheduler_info(n_workers=-1)["workers"].values()
            allowed = min(info["memory_limit"] for info in infos)
            cost = count(client, data, f"{dest}/out")
        launches.add(cost.launches)
        peaks = ", ".join(f"{peak / 2**20:,.0f}" for peak in cost.peaks)
        print(
            f"| {limit} | {workers} x {threads} | {cost.seconds:.1f} | {peaks} "
            f"| {max(cost.peaks) / allowed:.0%} | {cost.died} |",
            flush=True,
        )
    assert len(launches) == 1, launches


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description="What a cluster costs.")
    kinds = parser.add_subparsers(dest="kind", required=True)
    of_hosts = kinds.add_parser("hosts")
    of_hosts.add_argument("data")
    of_hosts.add_argument("--counts", type=int, nargs="+", default=[1, 2, 4])
    of_memory = kinds.add_parser("memory")
    of_memory.add_argument("data")
    of_memory.add_argument("--limits", nargs="+", default=["512MiB", "1GiB", "4GiB"])
    of_memory.add_argument("--workers", type=int, default=2)
    of_memory.add_argument("--threads", type=int, default=1)
    of_one = kinds.add_parser("one")
    for name, kind in (("where", str), ("number", int), ("data", str), ("dest", str)):
        of_one.add_argument(name, type=kind)
    given = vars(parser.parse_args())
    kind = given.pop("kind")
    if kind == "hosts":
        hosts(given["data"], given["counts"])
    elif kind == "memory":
        memory(**given)
    else:
        one(**given)


if __name__ == "__main__":
    main()
