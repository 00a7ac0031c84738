"""What a few harmless commands print inside a simulated container. Nothing is executed: the answers come from the pod's spec.

Known are ``id``, ``whoami``, ``hostname``, ``date``, ``pwd``, ``echo``, ``env``, ``ls``, ``cat``, ``ps``, ``ss`` and ``netstat``, and
``sh -c`` (also ``bash -c``) of one of these. As in a real container, ``env`` and mounted Secrets show their values.
"""

from __future__ import annotations

import base64
import binascii
import shlex
from collections.abc import Callable, Sequence
from typing import NamedTuple

from irkit.model.kube import Obj, at
from irkit.sandbox.catalog import CONFIGMAPS, SECRETS
from irkit.sandbox.store import Store

_ROOTS = ("bin", "etc", "home", "proc", "tmp", "usr", "var")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELLS = ("sh", "/bin/sh", "bash", "/bin/bash")


class Printed(NamedTuple):
    """What a command printed, and how it ended."""

    out: bytes = b""
    err: bytes = b""
    code: int = 0


class NoSuchProgram(Exception):
    """The runtime could not start it."""


class Inside(NamedTuple):
    """One container of a pod."""

    store: Store
    pod: Obj
    container: Obj

    @property
    def user(self) -> int:
        for spec in (self.container, self.pod["spec"]):
            number = at(spec, ("securityContext", "runAsUser"))
            if isinstance(number, int):
                return number
        return 0

    @property
    def hostname(self) -> str:
        spec = self.pod["spec"]
        return str(spec.get("nodeName", "") if spec.get("hostNetwork") else spec.get("hostname") or self.pod["metadata"]["name"])

    @property
    def process(self) -> str:
        """What runs as process 1, as far as the spec says it."""
        words = [*(self.container.get("command") or ()), *(self.container.get("args") or ())]
        image = str(self.container["image"]).partition("@")[0].rpartition("/")[2].partition(":")[0]
        return " ".join(map(str, words)) or image

    def environment(self) -> dict[str, str]:
        found = {"PATH": _PATH, "HOSTNAME": self.hostname, "KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}
        for source in self.container.get("envFrom") or ():
            prefix = source.get("prefix", "")
            for field, secret in (("secretRef", True), ("configMapRef", False)):
                if field in source:
                    found |= {
                        prefix + key: value.decode(errors="replace") for key, value in self._held(source[field].get("name", ""), secret).items()
                    }
        for variable in self.container.get("env") or ():
            found[str(variable["name"])] = str(variable["value"]) if "value" in variable else self._value(variable.get("valueFrom") or {})
        return {**found, "HOME": "/root" if self.user == 0 else "/"}

    def _value(self, source: Obj) -> str:
        for field, secret in (("secretKeyRef", True), ("configMapKeyRef", False)):
            if field in source:
                return self._held(source[field].get("name", ""), secret).get(source[field].get("key", ""), b"").decode(errors="replace")
        return str(at(self.pod, str(at(source, ("fieldRef", "fieldPath"), "")).split("."), ""))

    def _held(self, name: str, secret: bool) -> dict[str, bytes]:
        """The entries of a Secret or ConfigMap in the pod's namespace."""
        found = self.store.get(SECRETS if secret else CONFIGMAPS, self.pod["metadata"]["namespace"], name) or {}
        return {key: _decoded(value) if secret else str(value).encode() for key, value in (found.get("data") or {}).items()}

    def files(self) -> dict[str, bytes]:
        """Path to content: a few of every container, and what is mounted from Secrets and ConfigMaps."""
        ip, name = at(self.pod, ("status", "podIP"), "127.0.0.1"), self.hostname
        found = {"/etc/hostname": f"{name}\n", "/etc/hosts": f"127.0.0.1\tlocalhost\n{ip}\t{name}\n",
                 "/etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n',
                 "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
                 "/etc/resolv.conf": f"nameserver 10.96.0.10\nsearch {self.pod['metadata']['namespace']}.svc.cluster.local svc.cluster.local\n",
                 "/proc/1/cmdline": self.process.replace(" ", "\0") + "\0"}  # fmt: skip
        mounted = {str(mount["mountPath"]).rstrip("/"): mount["name"] for mount in self.container.get("volumeMounts") or ()}
        volumes = {volume["name"]: volume for volume in self.pod["spec"].get("volumes") or ()}
        held: dict[str, bytes] = {}
        for path, volume in mounted.items():
            source = volumes.get(volume, {})
            entries = self._held(at(source, ("secret", "secretName"), ""), True) | self._held(at(source, ("configMap", "name"), ""), False)
            held |= {f"{path}/{key}": value for key, value in entries.items()}
        return {**{path: text.encode() for path, text in found.items()}, **held}


def _decoded(value: object) -> bytes:
    try:
        return base64.b64decode(str(value))
    except binascii.Error:
        return b""


def run(inside: Inside, command: Sequence[str]) -> Printed:
    """Raises NoSuchProgram."""
    program, arguments = (command[0], list(command[1:])) if command else ("", [])
    if program in _SHELLS:
        return _shell(inside, arguments)
    known = _PROGRAMS.get(program.rpartition("/")[2])
    if known is None:
        raise NoSuchProgram(program)
    return known(inside, arguments)


def _shell(inside: Inside, arguments: list[str]) -> Printed:
    if len(arguments) < 2 or arguments[0] != "-c":
        return Printed()  # a shell that finds its input at its end
    try:
        words = shlex.split(arguments[1])
        return run(inside, words) if words else Printed()
    except ValueError:
        return Printed(err=b"sh: 1: Syntax error: Unterminated quoted string\n", code=2)
    except NoSuchProgram as missing:
        return Printed(err=f"sh: 1: {missing}: not found\n".encode(errors="replace"), code=127)


def _id(inside: Inside, arguments: list[str]) -> Printed:
    if arguments == ["-u"]:
        return Printed(f"{inside.user}\n".encode())
    name = "(root)" if inside.user == 0 else ""
    group = at(inside.pod, ("spec", "securityContext", "runAsGroup"), 0)
    return Printed(f"uid={inside.user}{name} gid={group}{'(root)' if group == 0 else ''}\n".encode())


def _whoami(inside: Inside, _: list[str]) -> Printed:
    return Printed(b"root\n") if inside.user == 0 else Printed(err=f"whoami: cannot find name for user ID {inside.user}\n".encode(), code=1)


def _env(inside: Inside, _: list[str]) -> Printed:
    return Printed("".join(f"{name}={value}\n" for name, value in inside.environment().items()).encode(errors="replace"))


def _echo(inside: Inside, arguments: list[str]) -> Printed:
    variables = inside.environment()
    words = arguments[1:] if arguments[:1] == ["-n"] else arguments
    text = " ".join(variables.get(word[1:], "") if word.startswith("$") else word for word in words)
    return Printed(text.encode(errors="replace") + (b"" if arguments[:1] == ["-n"] else b"\n"))


def _ls(inside: Inside, arguments: list[str]) -> Printed:
    places = [a for a in arguments if not a.startswith("-")] or ["/"]
    files, out, err = inside.files(), list[str](), list[str]()
    for place in places:
        path = "/" + place.strip("/")
        below = {file[len(path.rstrip("/")) + 1 :].partition("/")[0] for file in files if file.startswith(path.rstrip("/") + "/")}
        if path == "/":
            below |= set(_ROOTS)
        if path in files:
            out.append(place)
        elif below or path.strip("/") in _ROOTS:
            out += sorted(below)
        else:
            err.append(f"ls: cannot access '{place}': No such file or directory\n")
    return Printed("".join(f"{name}\n" for name in out).encode(errors="replace"), "".join(err).encode(errors="replace"), 2 if err else 0)


def _cat(inside: Inside, arguments: list[str]) -> Printed:
    files, out, err = inside.files(), b"", ""
    for place in (a for a in arguments if not a.startswith("-")):
        found = files.get("/" + place.strip("/"))
        out += found or b""
        err += f"cat: {place}: No such file or directory\n" if found is None else ""
    return Printed(out, err.encode(errors="replace"), 1 if err else 0)


def _ps(inside: Inside, _: list[str]) -> Printed:
    user = "root" if inside.user == 0 else str(inside.user)
    return Printed(f"PID   USER     TIME  COMMAND\n    1 {user:<8} 0:00 {inside.process}\n".encode(errors="replace"))


def _sockets(inside: Inside, _: list[str]) -> Printed:
    ports = [(str(p.get("protocol", "TCP")).lower(), p["containerPort"]) for p in inside.container.get("ports") or ()]
    rows = [f"{protocol:<5} {'LISTEN' if protocol == 'tcp' else 'UNCONN'} 0      128    0.0.0.0:{port:<8} 0.0.0.0:*\n" for protocol, port in ports]
    return Printed(("Netid State  Recv-Q Send-Q Local Address:Port Peer Address:Port\n" + "".join(rows)).encode(errors="replace"))


_PROGRAMS: dict[str, Callable[[Inside, list[str]], Printed]] = {
    "id": _id, "whoami": _whoami, "env": _env, "printenv": _env, "echo": _echo, "ls": _ls, "cat": _cat, "ps": _ps, "ss": _sockets,
    "netstat": _sockets, "hostname": lambda inside, _: Printed(f"{inside.hostname}\n".encode()), "pwd": lambda *_: Printed(b"/\n"),
    "date": lambda inside, _: Printed(f"{inside.store.now():%a %b %e %H:%M:%S UTC %Y}\n".encode()),
    "true": lambda *_: Printed(), "false": lambda *_: Printed(code=1),
}  # fmt: skip
