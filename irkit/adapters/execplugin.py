"""Credential plugins: programs named in a kubeconfig that print an ExecCredential.

Kubernetes docs, "client-go credential plugins"; client.authentication.k8s.io v1 and v1beta1.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from irkit.adapters.credentials import Credential, bearer
from irkit.errors import KubeconfigError
from irkit.text import printable

GROUP = "client.authentication.k8s.io"
VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1")
QUIET_TIMEOUT, INTERACTIVE_TIMEOUT = 60.0, 300.0  # seconds that a plugin may take; with a person at the keyboard
EARLY = timedelta(seconds=10)  # a credential that expires within this is not used any more


@dataclass(frozen=True, slots=True)
class ExecSpec:
    """What the kubeconfig says of the plugin. ``command`` is resolved: relative paths are the file's."""

    where: str  # "user x in FILE", for messages
    api_version: str
    command: str
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    hint: str = ""
    interactive: str = "IfAvailable"
    cluster: dict[str, Any] | None = None  # what the plugin is told of the cluster; None: nothing


@dataclass(slots=True)
class ExecPlugin:
    """Runs the plugin when needed and keeps what it printed until that expires."""

    spec: ExecSpec
    environ: Mapping[str, str] = field(repr=False)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    timeout: float = 0.0  # seconds; 0: QUIET_TIMEOUT or INTERACTIVE_TIMEOUT
    _kept: tuple[Credential, datetime | None] | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def current(self) -> Credential:
        with self._lock:
            if self._kept and (self._kept[1] is None or self._kept[1] - EARLY > self.now()):
                return self._kept[0]
            self._kept = _parsed(self._run(), self.spec)
            return self._kept[0]

    def renew(self, refused: Credential) -> bool:
        """Run the plugin again, but only once where several threads were refused."""
        with self._lock:
            if self._kept and self._kept[0] == refused:
                self._kept = None
        return True

    def _run(self) -> bytes:
        import subprocess

        spec = self.spec
        terminal = sys.stdin is not None and sys.stdin.isatty()
        if spec.interactive == "Always" and not terminal:
            raise KubeconfigError(f"{spec.where}: {printable(spec.command)} asks a person, and there is no terminal")
        interactive = terminal and spec.interactive != "Never"
        limit = self.timeout or (INTERACTIVE_TIMEOUT if interactive else QUIET_TIMEOUT)
        environment = {**self.environ, **dict(spec.environment), "KUBERNETES_EXEC_INFO": self._told(interactive)}
        try:
            # The command is the user's own configuration, as for kubectl; no shell is involved.
            done = subprocess.run(
                [_found(spec.command, environment), *spec.arguments], env=environment, timeout=limit, check=False, stdout=subprocess.PIPE,
                stdin=None if interactive else subprocess.DEVNULL, stderr=None if interactive else subprocess.PIPE)  # fmt: skip
        except subprocess.TimeoutExpired:
            raise KubeconfigError(f"{spec.where}: {printable(spec.command)} did not answer in {limit:g} s") from None
        except OSError as error:
            raise KubeconfigError(f"{spec.where}: can't run {printable(spec.command)}: {error.strerror}", next=printable(spec.hint, 500)) from None
        if done.returncode:
            said = printable((done.stderr or b"").decode(errors="replace").strip())
            raise KubeconfigError(
                f"{spec.where}: {printable(spec.command)} ended with {done.returncode}" + (f": {said}" if said else ""),
                next="run it by hand, or log in again",
            )
        return done.stdout

    def _told(self, interactive: bool) -> str:
        told: dict[str, Any] = {"interactive": interactive}
        if self.spec.cluster is not None:
            told["cluster"] = self.spec.cluster
        return msgspec.json.encode({"apiVersion": self.spec.api_version, "kind": "ExecCredential", "spec": told}).decode()


def _found(command: str, environment: Mapping[str, str]) -> str:
    """The program; without a slash, from the PATH that the plugin itself will have."""
    if os.sep in command:
        return command
    import shutil

    return shutil.which(command, path=environment.get("PATH")) or command


def _parsed(output: bytes, spec: ExecSpec) -> tuple[Credential, datetime | None]:
    command = printable(spec.command)
    try:
        document = msgspec.json.decode(output)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise KubeconfigError(f"{spec.where}: {command} printed no JSON") from None
    status = document.get("status") if isinstance(document, dict) else None
    if not isinstance(status, dict) or document.get("kind") != "ExecCredential":
        raise KubeconfigError(f"{spec.where}: {command} printed no ExecCredential with a status")
    if document.get("apiVersion") != spec.api_version:
        got = printable(document.get("apiVersion"))
        raise KubeconfigError(f"{spec.where}: {command} printed {got}, and the kubeconfig expects {spec.api_version}")
    token, certificate, key = (str(status.get(k) or "") for k in ("token", "clientCertificateData", "clientKeyData"))
    if bool(certificate) != bool(key) or not (token or certificate):
        raise KubeconfigError(f"{spec.where}: {command} printed neither a token nor a client certificate with its key")
    authorization = bearer(token, f"{spec.where}: {command}") if token else ""
    return Credential(authorization, certificate.encode(), key.encode()), _expiry(status.get("expirationTimestamp"), spec)


def _expiry(text: object, spec: ExecSpec) -> datetime | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise KubeconfigError(f"{spec.where}: {printable(spec.command)} printed an expirationTimestamp that is no time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
