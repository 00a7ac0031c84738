"""Webhooks: where `irkit serve` listens, who may send what, and how it is known that it is them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

from irkit.settings.section import Section
from irkit.text import printable

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=3600)]
Rate: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=100_000)]
Level: TypeAlias = Literal["critical", "high", "medium", "low", "unknown"]
FIELDS: tuple[str, ...] = ("name", "severity", "namespace", "pod", "workload", "node", "summary", "at", "fingerprint")
_SOURCE = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)+")  # RFC 6901, but not the whole document
_NAME = re.compile(r"(?:CN|DNS|URI|IP|email)=.+")
_HEADER = re.compile(r"[A-Za-z0-9-]{1,80}")
MOST_SOURCES = 50  # each is a label of metrics


class TlsSettings(Section, frozen=True):
    """The server's certificate, and whose clients' it believes."""

    certificate: Path
    """A PEM file: the certificate, and those between it and its authority."""
    key: Path
    """A PEM file: its private key, without a password."""
    client_ca: Path | None = None
    """A PEM file of authorities whose client certificates are believed; for sources with ``mtls``."""


class HmacSettings(Section, frozen=True):
    """Signed messages: HMAC-SHA-256 over ``SECONDS.BODY``."""

    secret_files: tuple[Path, ...]
    """Files that hold a key each; more than one while it is changed."""
    header: str = "Irkit-Signature"
    """The header with the signature: ``t=SECONDS,v1=HEX``; with ``timestamp-header``, ``HEX`` or ``sha256=HEX``."""
    timestamp_header: str = ""
    """The header with the time, in seconds since 1970, where it is not in the signature's."""
    tolerance: Annotated[float, msgspec.Meta(ge=1, le=900)] = 300.0
    """Seconds that the time may be from now; so long a signature is remembered."""

    def __post_init__(self) -> None:
        if not self.secret_files:
            raise ValueError("secret-files names no file")
        for header in (self.header, self.timestamp_header or "x"):
            if not _HEADER.fullmatch(header):
                raise ValueError(f"{printable(header, 60)!r} is no name of a header")


class BearerSettings(Section, frozen=True):
    """Tokens: ``Authorization: Bearer TOKEN``."""

    tokens: dict[str, str]
    """By the name that the log shows: SHA-256 of a token, in hex. The token itself is only with its sender."""

    def __post_init__(self) -> None:
        if not self.tokens:
            raise ValueError("tokens is empty")
        for name, digest in self.tokens.items():
            if not re.fullmatch(r"[0-9a-f]{64}", digest):  # never shown: it may be the token itself
                raise ValueError(f"token {printable(name, 60)!r} is not given as its SHA-256, 64 hexadecimal digits (sha256sum prints it)")


class MtlsSettings(Section, frozen=True):
    """Client certificates of an authority in ``serve.tls.client-ca``."""

    names: tuple[str, ...]
    """Who may send, as the certificate names them: ``CN=…``, ``DNS=…``, ``URI=…``, ``IP=…``, ``email=…``; one that fits is enough."""

    def __post_init__(self) -> None:
        if not self.names:
            raise ValueError("names is empty: every certificate of that authority would do")
        for name in self.names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"{printable(name, 80)!r} is none of CN=…, DNS=…, URI=…, IP=…, email=…")


class MappingSettings(Section, frozen=True):
    """Where things are in a JSON document, as JSON pointers (RFC 6901): ``/event/pod``. For format ``json``."""

    alerts: str = ""
    """The list of alerts; without it, the document is one."""
    fields: dict[str, str] = {}
    """Pointers by field: ``name``, which there must be, and ``severity``, ``namespace``, ``pod``, ``workload``, ``node`` and the like."""
    labels: dict[str, str] = {}
    """Pointers by label that rules may match."""
    severities: dict[str, Level] = {}
    """What the source's own words for severity mean: ``P1: critical``."""

    def __post_init__(self) -> None:
        if "name" not in self.fields:
            raise ValueError("fields has no pointer to the name of an alert")
        if unknown := next((f for f in self.fields if f not in FIELDS), ""):
            raise ValueError(f"fields has {printable(unknown, 60)!r}; known are {', '.join(FIELDS)}")
        for pointer in (*self.fields.values(), *self.labels.values(), self.alerts or "/x"):
            if not _POINTER.fullmatch(pointer):
                raise ValueError(f"{printable(pointer, 80)!r} is no JSON pointer, as in /event/pod")


class SourceSettings(Section, frozen=True):
    """One sender, or several that send alike: ``POST /hooks/NAME``. It has one of ``hmac``, ``bearer`` and ``mtls``."""

    format: Literal["falco", "alertmanager", "trivy", "kubernetes-audit", "json"]
    """What it sends."""
    hmac: HmacSettings | None = None
    """It signs its messages."""
    bearer: BearerSettings | None = None
    """It has a token."""
    mtls: MtlsSettings | None = None
    """It has a client certificate."""
    mapping: MappingSettings | None = None
    """For format ``json``: where things are."""
    rate: Rate = 50.0
    """Messages a second, on the average."""
    burst: Count = 500
    """Messages at once."""

    def __post_init__(self) -> None:
        if sum(s is not None for s in (self.hmac, self.bearer, self.mtls)) != 1:
            raise ValueError("a source has one of hmac, bearer and mtls")
        if (self.mapping is not None) != (self.format == "json"):
            raise ValueError("format json has a mapping, and no other format has one")
        if self.hmac and self.burst + self.rate * 2 * self.hmac.tolerance > 1_000_000:
            raise ValueError("that are more signatures to remember than a million: lower rate, burst or tolerance")


class ServeSettings(Section, frozen=True):
    """`irkit serve`."""

    listen: str = "127.0.0.1:8710"
    """Address and port; ``[::]:8710``; ``--listen`` wins."""
    tls: TlsSettings | None = None
    """Without it, only addresses of this machine are listened on."""
    insecure_behind_proxy: bool = False
    """Listen without TLS on any address: something in front ends it, and nothing else can reach this port."""
    rules: Path | None = None
    """A file of rules, or a directory of them ([rules](rules.md))."""
    sources: dict[str, SourceSettings] = {}
    """Who may send, by the name in the path."""
    body: Annotated[int, msgspec.Meta(ge=1024, le=16_777_216)] = 1_048_576
    """Bytes of a message."""
    head: Annotated[int, msgspec.Meta(ge=1024, le=65_536)] = 16_384
    """Bytes of request line and headers."""
    request: Seconds = 10.0
    """Seconds from a request's first byte to its last."""
    idle: Seconds = 60.0
    """Seconds that a connection may rest."""
    answer: Seconds = 8.0
    """Seconds until a sender is told to come again, where the queue does not answer."""
    connections: Count = 512
    """Connections at once."""
    connections_per_peer: Count = 256
    """Connections at once from one address."""
    peer_rate: Rate = 200.0
    """Requests a second from one address (IPv6: one /64), on the average."""
    peer_burst: Count = 1000
    """Requests at once from one address."""

    def __post_init__(self) -> None:
        if len(self.sources) > MOST_SOURCES:
            raise ValueError(f"more than {MOST_SOURCES} sources")
        for name, source in self.sources.items():
            if not _SOURCE.fullmatch(name):
                raise ValueError(f"{printable(name, 60)!r} is no name of a source: lower-case letters, digits and dashes, at most 63")
            if source.mtls and (self.tls is None or self.tls.client_ca is None):
                raise ValueError(f"source {name} takes client certificates, and tls.client-ca names no authority")
