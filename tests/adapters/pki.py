"""Throw-away authorities and certificates, by the openssl program."""

from __future__ import annotations

import base64
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Pair:
    certificate: Path
    key: Path

    @property
    def user(self) -> dict[str, str]:
        """As data of a kubeconfig's user."""
        return {f"{k}-data": base64.b64encode(f.read_bytes()).decode() for k, f in
                (("client-certificate", self.certificate), ("client-key", self.key))}  # fmt: skip


@dataclass(frozen=True)
class Authority:
    home: Path
    name: str
    pair: Pair

    @classmethod
    def made(cls, home: Path, name: str) -> Authority:
        pair = Pair(home / f"{name}.crt", home / f"{name}.key")
        _key(pair.key)
        _openssl("req", "-x509", "-new", "-key", pair.key, "-subj", f"/CN={name}", "-days", "2", "-out", pair.certificate)
        return cls(home, name, pair)

    @property
    def cluster(self) -> dict[str, str]:
        """As data of a kubeconfig's cluster."""
        return {"certificate-authority-data": base64.b64encode(self.pair.certificate.read_bytes()).decode()}

    def issue(self, name: str, *alternatives: str, days: int = 2, authority: bool = False) -> Pair:
        pair, request, extensions = (Pair(self.home / f"{name}.crt", self.home / f"{name}.key"), self.home / "csr", self.home / "ext")
        _key(pair.key)
        extensions.write_text(
            (f"subjectAltName={','.join(alternatives)}\n" if alternatives else "") + f"basicConstraints=CA:{str(authority).upper()}\n"
        )
        _openssl("req", "-new", "-key", pair.key, "-subj", f"/O=crew/CN={name}", "-out", request)
        _openssl("x509", "-req", "-in", request, "-CA", self.pair.certificate, "-CAkey", self.pair.key, "-CAcreateserial", "-days", str(days),
                 "-extfile", extensions, "-out", pair.certificate)  # fmt: skip
        return pair


def encrypted(pair: Pair) -> Pair:
    """The same with a key that has a password."""
    locked = pair.key.with_suffix(".locked")
    _openssl("ec", "-in", pair.key, "-aes256", "-passout", "pass:secret", "-out", locked)
    return Pair(pair.certificate, locked)


def served(pair: Pair, clients: Authority | None = None) -> ssl.SSLContext:
    """The context of a server; with ``clients``, one that demands a certificate of theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.pair.certificate)
    return context


@dataclass(frozen=True)
class Pki:
    ours: Authority
    others: Authority
    server: Pair  # for 127.0.0.1 and "kubernetes"
    stray: Pair  # for another name
    old: Pair  # expired
    client: Pair


def made(home: Path) -> Pki:
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program to make certificates")
    ours, others = Authority.made(home, "ours"), Authority.made(home, "others")
    server = ours.issue("server", "IP:127.0.0.1", "DNS:kubernetes")
    return Pki(ours, others, server, ours.issue("stray", "DNS:other.example"), ours.issue("old", "IP:127.0.0.1", days=-1), ours.issue("jane"))


def _key(path: Path) -> None:
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", path)


def _openssl(*arguments: str | Path) -> None:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
