"""The processes of a node: one outside its namespaces, which made them and takes them down, and the first one inside.

`node.py up` starts this; nobody else does:  supervisor.py outside|inside DIR keep|cut|none [FD]
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.controlplane import binaries
from tests.controlplane.place import API_IP, HOST_IP, LINK, NAME, NODE_IP, PODS, PRIVATE, ROOT, Place, remove_groups, run

OURSELVES = (sys.executable, "-m", "tests.controlplane.supervisor")


class Supervisor(Place):
    def outside(self, policy: str) -> None:
        """Make namespaces, start the first process in them, link them to this machine; take all down at SIGTERM."""
        signal.signal(signal.SIGTERM, lambda *_: sys.exit())
        made = []  # mount points that this machine did not have
        for path in map(Path, PRIVATE):
            made += [p for p in (*reversed(path.parents), path) if not p.exists()]
            path.mkdir(parents=True, exist_ok=True)
        for group in self.groups:
            group.mkdir(exist_ok=True)
        ours, theirs = socket.socketpair()
        flags = ("--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig=KILL", "unshare", *flags, *OURSELVES, "inside", str(self.cluster), policy, str(theirs.fileno())],
            cwd=ROOT,
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        first = str(process.pid)
        try:
            ours.recv(1)  # the namespaces exist
            first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0]
            (self.home / "first.pid").write_text(first)
            run("ip", "link", "add", LINK, "type", "veth", "peer", "name", "uplink", "netns", first)
            run("ip", "addr", "add", f"{HOST_IP}/24", "dev", LINK)
            run("ip", "link", "set", LINK, "up")
            run("ip", "route", "add", PODS, "via", NODE_IP, "dev", LINK)
            ours.send(b".")
            _, sockets, _, _ = socket.recv_fds(ours, 1, 2)
            asyncio.run(self.carry([socket.socket(fileno=s) for s in sockets], process))
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            if process.poll() is None:
                os.kill(int(first), signal.SIGKILL)
            process.wait()
            subprocess.run(["ip", "link", "del", LINK], capture_output=True, check=False)
            remove_groups(self.groups)
            for path in reversed(made):
                with contextlib.suppress(OSError):  # in use by something else
                    path.rmdir()

    async def carry(self, listeners: list[socket.socket], process: subprocess.Popen[bytes]) -> None:
        """Carry connections to these sockets, which are inside the node, to the API server, which is outside."""
        where = urlsplit(self.server)

        async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            try:
                while data := await source.read(65536):
                    sink.write(data)
                    await sink.drain()
            except OSError:
                pass
            finally:
                sink.close()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                to_server = await asyncio.open_connection(where.hostname, where.port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(copy(reader, to_server[1]), copy(to_server[0], writer))

        servers = [await asyncio.start_server(connected, sock=s) for s in listeners]
        while process.poll() is None:
            await asyncio.sleep(0.2)
        for server in servers:
            server.close()
        raise SystemExit(f"the node ended with status {process.returncode}")

    def inside(self, policy: str, channel: socket.socket) -> None:
        """Be the first process: network, mounts, containerd, kubelet, policy agent; end with the first of them that does."""
        channel.send(b".")
        channel.recv(1)  # the uplink is here
        for command in ("link set lo up", f"addr add {API_IP}/32 dev lo", f"addr add {NODE_IP}/24 dev uplink", "link set uplink up"):
            run("ip", *command.split())
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        listeners = [socket.create_server((host, port), backlog=128) for host, port in (("127.0.0.1", urlsplit(self.server).port), (API_IP, 443))]
        socket.send_fds(channel, [b"."], [s.fileno() for s in listeners])
        for s in listeners:
            s.close()
        for path in PRIVATE:
            inside = self.home / "private" / path.replace("/", "-")[1:]
            inside.mkdir(parents=True)
            mount(inside, path)

        admin = f"--kubeconfig={self.cluster / 'admin.kubeconfig'}"
        main = []
        if policy != "none":
            main.append(self.start(binaries.find("policyagent"), admin, f"--established={policy}"))
        main.append(self.start("containerd", "--config", self.home / "containerd.toml"))
        until = time.monotonic() + 30
        while subprocess.run(["ctr", "version"], capture_output=True, check=False).returncode:
            if time.monotonic() > until:
                raise SystemExit("containerd does not answer")
            time.sleep(0.05)
        for image in sorted(self.home.glob("*.tar")):
            run("ctr", "--namespace", "k8s.io", "image", "import", image)
        main.append(
            self.start(
                binaries.find("kubelet"),
                f"--kubeconfig={self.home / 'kubelet.kubeconfig'}",
                f"--config={self.home / 'kubelet.json'}",
                f"--hostname-override={NAME}",
                f"--node-ip={NODE_IP}",
            )
        )
        while True:  # adopt and reap what containers leave, and end with the first main process that does
            pid, status = os.wait()
            for process in main:
                if process.pid == pid:
                    raise SystemExit(f"{process.args!r} ended with status {os.waitstatus_to_exitcode(status)}")

    def start(self, *command: object) -> subprocess.Popen[bytes]:
        with (self.home / "log" / f"{Path(str(command[0])).name}.log").open("wb") as log:
            return subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def mount(source: Path, target: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(os.fsencode(source), os.fsencode(target), None, 0x1000, None):  # MS_BIND
        raise OSError(ctypes.get_errno(), f"mount {source} at {target}")


if __name__ == "__main__":
    _, role, directory, wanted, *descriptor = sys.argv
    supervisor = Supervisor(Path(directory))
    if role == "outside":
        supervisor.outside(wanted)
    else:
        supervisor.inside(wanted, socket.socket(fileno=int(descriptor[0])))
