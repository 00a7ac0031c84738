#!/usr/bin/env python3
"""Real controllers on the control plane of cluster.py: External Secrets Operator and cert-manager.

    controllers.py up DIR [NAME...]    create their CRDs and start them; all of them if none is named
    controllers.py down DIR            stop them; `cluster.py down` does it too

`cluster.py build` builds them. They run without admission webhooks and leader election, each as its usual ServiceAccount
(impersonated, with every right), so that the audit log tells their requests from a test's. Logs: DIR/log/NAME.log. Of
cert-manager the issuers SelfSigned, CA and Vault are built in. EXTERNAL_SECRETS_FLAGS and CERT_MANAGER_FLAGS add flags,
such as --store-requeue-interval=5s or -minimum-backoff=2s.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

if not __package__:  # called by its path
    sys.path[0] = str(Path(__file__).resolve().parents[2])

from tests.controlplane import binaries
from tests.controlplane.cluster import ControlPlane, end, free_ports

# The kinds that each reads at once: it ends when the API server does not serve them yet.
WATCHED = {
    "external-secrets": "externalsecrets,secretstores,clustersecretstores,pushsecrets,clusterexternalsecrets,clusterpushsecrets,generatorstates",
    "cert-manager": "certificates,certificaterequests,issuers,clusterissuers",
}


class Controllers(ControlPlane):
    """Controllers of a control plane that runs."""

    def launch(self, name: str) -> None:
        """Create the CRDs, start the controller, return when its caches are filled. Raises NotBuilt, SystemExit."""
        if (self.home / "run" / f"{name}.pid").exists():
            raise SystemExit(f"{name} runs already")
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        objects = f"{json.dumps(namespace)}\n---\n{binaries.crds(name).read_text()}"
        self.kubectl("apply", "--server-side", "--validate=false", "-f", "-", stdin=objects)
        self.served(WATCHED[name])
        (port,) = free_ports(1)
        health = f"127.0.0.1:{port}"
        flags = {
            "external-secrets": ["--metrics-addr=0", f"--live-addr={health}", "--concurrent=20"],
            "cert-manager": [f"-healthz={health}", "-v=2"],
        }[name]
        flags += os.environ.get(f"{name.upper().replace('-', '_')}_FLAGS", "").split()
        process = self.start(name, *flags, environ={"KUBECONFIG": str(self.impersonating(name))})
        self.wait(name, process, f"http://{health}/healthz", 60)

    def impersonating(self, name: str) -> Path:
        """A kubeconfig for the controller's own ServiceAccount, with every right."""
        document = json.loads((self.home / "admin.kubeconfig").read_text())
        document["users"][0]["user"].update({"as": f"system:serviceaccount:{name}:{name}", "as-groups": ["system:masters"]})
        path = self.home / f"{name}.kubeconfig"
        path.touch(0o600)
        path.write_text(json.dumps(document, indent=1))
        return path

    def served(self, kinds: str, seconds: float = 30) -> None:
        """Wait until the API server serves these kinds (`kubectl wait` on 30 CRDs takes 3 seconds)."""
        command = [str(binaries.find("kubectl")), "--kubeconfig=admin.kubeconfig", "get", kinds, "--all-namespaces", "--request-timeout=5s"]
        until = time.monotonic() + seconds
        while (got := subprocess.run(command, cwd=self.home, capture_output=True, text=True, check=False)).returncode:
            if time.monotonic() > until:
                raise SystemExit(got.stderr)
            time.sleep(0.1)

    def halt(self, *names: str) -> None:
        """End these controllers, as far as they run here."""
        pidfiles = [path for name in names if (path := self.home / "run" / f"{name}.pid").exists()]
        end([pid for path in pidfiles if self.ours(pid := int(path.read_text()))])
        for process in self.processes:
            process.wait()
        for path in pidfiles:
            path.unlink()


@contextlib.contextmanager
def controlling(home: Path, name: str) -> Iterator[Path]:
    """One controller on the control plane in ``home``, for the time of a block or of this process. Gives the path of its log."""
    controllers = Controllers(home, bound=True)
    try:
        controllers.launch(name)
        yield home / "log" / f"{name}.log"
    finally:
        controllers.halt(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up")
    starting.add_argument("dir", type=Path)
    starting.add_argument("names", nargs="*", metavar="NAME", default=list(WATCHED))
    commands.add_parser("down").add_argument("dir", type=Path)
    arguments = parser.parse_args()
    controllers = Controllers(arguments.dir.resolve())
    try:
        if arguments.command == "down":
            controllers.halt(*WATCHED)
            return
        for name in arguments.names:
            controllers.launch(name)
    except binaries.NotBuilt as missing:
        sys.exit(str(missing))


if __name__ == "__main__":
    main()
