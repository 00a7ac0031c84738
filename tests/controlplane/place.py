"""Where a node lives: its names and addresses, its directory, its cgroups."""

from __future__ import annotations

import functools
import json
import subprocess
import time
from pathlib import Path

NAME = "node-1"
LINK, HOST_IP, NODE_IP, PODS = "irnode0", "10.97.0.1", "10.97.0.2", "10.98.0.0/24"
API_IP, DNS_IP = "10.96.0.1", "10.96.0.10"  # nothing answers at the second
CGROUPS = Path("/sys/fs/cgroup")
ROOT = Path(__file__).resolve().parents[2]
# Paths that kubelet, containerd and CNI have by default: inside the node each is a directory of DIR/node.
PRIVATE = ("/run/containerd", "/run/netns", "/var/lib/containerd", "/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers")


def run(*command: object) -> str:
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, text=True).stdout


def hierarchies() -> list[Path]:
    """The mount points of the cgroup file systems: one (v2), or one for each controller (v1)."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(m[1]) for m in mounts if m[2] in ("cgroup", "cgroup2") and Path(m[1]).is_relative_to(CGROUPS)]


class Place:
    """The node of the control plane in ``cluster``: all of it lies under ``home``, but for its cgroups."""

    def __init__(self, cluster: Path) -> None:
        self.cluster = cluster
        self.home = cluster / "node"
        self.groups = [h / LINK for h in hierarchies()]

    @functools.cached_property
    def server(self) -> str:
        url: str = json.loads((self.cluster / "admin.kubeconfig").read_text())["clusters"][0]["cluster"]["server"]
        return url


def remove_groups(groups: list[Path], seconds: float = 4) -> None:
    """Remove cgroups and all below them, as soon as their last process is gone."""
    until = time.monotonic() + seconds
    for group in groups:
        for directory in (*sorted((p for p in group.rglob("*") if p.is_dir()), reverse=True), group):
            while True:
                try:
                    directory.rmdir()
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.02)
