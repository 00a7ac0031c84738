"""How one cluster is reached, and as whom: what a kubeconfig comes to."""

from __future__ import annotations

import msgspec

from irkit.adapters.credentials import CredentialSource


class About(msgspec.Struct, frozen=True):
    """What people are shown of a connection before anything was asked over it."""

    context: str
    server: str  # URL, without user info
    namespace: str  # the context's, where no other is given
    user: str  # name of the kubeconfig's user entry; the API server may know another
    warnings: tuple[str, ...] = ()
    cluster: str = ""  # name of the kubeconfig's cluster entry


class Endpoint(msgspec.Struct, frozen=True):
    """The API server: ``prefix`` is the path that some gateways put before ``/api``."""

    tls: bool
    host: str
    port: int
    prefix: str = ""

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.prefix}"


class Trust(msgspec.Struct, frozen=True):
    """Whom we believe to be the API server. ``authority`` empty: the authorities of this machine."""

    authority: bytes = b""  # PEM
    server_name: str = ""  # expected in the certificate instead of the host
    insecure: bool = False


class Access(msgspec.Struct, frozen=True):
    about: About
    endpoint: Endpoint
    trust: Trust
    credentials: CredentialSource
    proxy: str = ""  # URL; empty: none
    headers: tuple[tuple[str, str], ...] = ()  # impersonation

    def __repr__(self) -> str:
        return f"Access({self.about!r})"  # a proxy's URL may hold a password
