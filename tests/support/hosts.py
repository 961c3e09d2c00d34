"""Hosts of their own on one machine: network namespaces with an address each, behind one switch.

Everything, the switch included, lies in namespaces made here; the machine's own network is left
alone. Needs root and iproute2.
"""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).parents[2]
NETWORK = "10.0.0"


_ASK = """
import socket, sys, time
for _ in range(1200):
    with socket.socket() as one:
        if one.connect_ex((sys.argv[1], int(sys.argv[2]))) == 0:
            sys.exit(0)
    time.sleep(0.1)
sys.exit(1)
"""


def ip(*words: str) -> str:
    """Call ip."""
    done = subprocess.run(["ip", *words], check=True, capture_output=True, text=True)
    return done.stdout


@cache
def permitted() -> bool:
    """Whether namespaces can be made here and programs run in them."""
    name = f"daskbinder-{secrets.token_hex(4)}"
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    try:
        ip("-n", name, "link", "add", "one", "type", "veth", "peer", "name", "two")
        ip("netns", "exec", name, "true")
    except subprocess.CalledProcessError:
        return False
    finally:
        ip("netns", "delete", name)
    return True


class Host:
    """A namespace with one address, in which programs run."""

    def __init__(self, switch: str, number: int) -> None:
        self.switch, self.port = switch, f"port{number}"
        self.name, self.address = f"{switch}-{number}", f"{NETWORK}.{number}"
        self.processes: list[subprocess.Popen[str]] = []
        ip("netns", "add", self.name)
        ends = ("link", "add", self.port, "type", "veth", "peer", "name", "eth0")
        ip("-n", switch, *ends, "netns", self.name)
        ip("-n", switch, "link", "set", self.port, "master", "bridge", "up")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            ip("-n", self.name, "link", "set", device, "up")

    def start(self, *words: object, **options: Any) -> "subprocess.Popen[str]":
        """Start this Python with some arguments; what it prints is kept unless told otherwise."""
        command = ["ip", "netns", "exec", self.name, sys.executable, *map(str, words)]
        given: dict[str, Any] = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "text": True,
            "env": os.environ | {"PYTHONPATH": str(ROOT)},
        }
        process = subprocess.Popen(command, **(given | options))
        self.processes.append(process)
        return process

    def wait_for(self, port: int) -> None:
        """Wait until something started here listens at a port, for two minutes at most."""
        asked = self.start("-S", "-c", _ASK, self.address, port)
        assert asked.wait(150) == 0, f"nothing listens at {self.address}:{port}"

    def cut(self) -> None:
        """Cut the link: nothing comes or goes, and nobody is told."""
        ip("-n", self.switch, "link", "set", self.port, "down")

    def mend(self) -> None:
        """Put the link back."""
        ip("-n", self.switch, "link", "set", self.port, "up")

    def traffic(self) -> tuple[int, int]:
        """Bytes received and sent."""
        shown = json.loads(ip("-n", self.name, "-j", "-s", "link", "show", "eth0"))
        stats = shown[0]["stats64"]
        return stats["rx"]["bytes"], stats["tx"]["bytes"]

    def stop(self) -> None:
        """Kill what was started here and take the host away."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.communicate()
        ip("netns", "delete", self.name)


class Hosts:
    """A switch and hosts, which end with the block."""

    def __init__(self) -> None:
        self.switch = f"daskbinder-{secrets.token_hex(4)}"
        self.number = 0
        self.held = ExitStack()

    def __enter__(self) -> "Hosts":
        ip("netns", "add", self.switch)
        self.held.callback(ip, "netns", "delete", self.switch)
        ip("-n", self.switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self.switch, "link", "set", "bridge", "up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.held.close()

    def add(self) -> Host:
        """Add a host."""
        self.number += 1
        host = Host(self.switch, self.number)
        self.held.callback(host.stop)
        return host


def dask(kind: str, *words: object) -> Sequence[object]:
    """Arguments that start a scheduler or a worker."""
    return "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *words
