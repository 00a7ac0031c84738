"""Whom irkit tells, and how. Words of a playbook (`to: [security-lead]`) become contacts here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from irkit.settings import templates
from irkit.settings.section import Section

_TOKEN = re.compile(r"[A-Za-z0-9-]{1,60}")
_OURS = ("authorization", "connection", "content-length", "content-type", "host", "irkit-signature", "transfer-encoding", "user-agent")
Event: TypeAlias = Literal["opened", "approval", "ended", "drift", "closed"]
Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0, le=300)]


class Contact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody to tell."""

    name: str
    """Role or name, as shown: ``security``."""
    address: str
    """Mail address, phone number or channel, as shown."""
    roles: tuple[str, ...] = ()
    """What playbooks call them: ``security-lead``, ``platform``, ``management``."""
    webhook: str = ""
    """Name in ``notify.webhooks``: told there, not by mail."""

    @property
    def label(self) -> str:
        return f"{self.name} <{self.address}>"


class SmtpSettings(Section, frozen=True):
    """A mail server that takes irkit's messages (RFC 6409)."""

    host: str
    sender: str = msgspec.field(name="from")
    """The address that mails come from."""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    """``starttls`` (RFC 3207) and ``tls`` (RFC 8314) verify the certificate; ``none`` only to this machine."""
    user: str = ""
    """Who irkit logs in as; empty: without a login."""
    password_file: Path | None = None
    """A file that holds the password."""
    ca_file: Path | None = None
    """A PEM file of authorities; without it, the system's."""
    timeout: Seconds = 10.0
    """Seconds for one mail, from connecting to the end."""

    def __post_init__(self) -> None:
        if self.security == "none" and not loopback(self.host):
            raise ValueError("security none is only for a mail server on this machine")
        if bool(self.user) != bool(self.password_file):
            raise ValueError("user and password-file go together")
        if not mailable(self.sender):
            raise ValueError("from is no mail address")


class WebhookSettings(Section, frozen=True):
    """Where a message is posted as JSON (docs/reference/notify.md)."""

    url: str = ""
    """``https://…``; ``http://`` only to this machine."""
    url_file: Path | None = None
    """A file that holds the URL: that of a chat room is a secret."""
    secret_file: Path | None = None
    """A file that holds the key of the signature (HMAC-SHA-256); without it, none is sent."""
    ca_file: Path | None = None
    """A PEM file of authorities; without it, the system's."""
    timeout: Seconds = 10.0
    """Seconds for one request, from connecting to the end."""
    events: tuple[Event, ...] = ()
    """What it is told by itself: ``opened``, ``approval`` (an order waits for one), ``ended``, ``drift``, ``closed``; nothing where empty."""
    template: str | dict[str, Any] = ""
    """What is sent instead of irkit's own document: the name of a built-in template ([notify](notify.md)), or a JSON tree."""
    values: dict[str, str] = {}
    """For ``${value.NAME}`` in the template, as ``project: SEC``."""
    value_files: dict[str, Path] = {}
    """The same from files, for what is a secret, as ``routing-key``."""
    headers: dict[str, str] = {}
    """More headers, as ``Accept: application/vnd.github+json``; what is a secret goes into a file."""
    authorization_file: Path | None = None
    """A file that holds the header ``Authorization``: ``Bearer …``, ``GenieKey …``, ``Basic …``."""
    url_closed: str = ""
    """Where ``closed`` is posted instead; ``${incident.id}`` in it is the incident's id."""

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.url_file):
            raise ValueError("a webhook has either url or url-file")
        if why := refused(self.url or "https://x") or refused(self.url_closed.replace("${incident.id}", "x") or "https://x"):
            raise ValueError(why)
        if odd := next((n for n, v in self.headers.items() if not _TOKEN.fullmatch(n) or n.lower() in _OURS or not _plain(v)), ""):
            raise ValueError(f"headers can't have {odd[:60]!r}")
        if self.template:
            templates.check(self.template, {*self.values, *self.value_files})


class NotifySettings(Section, frozen=True):
    smtp: SmtpSettings | None = None
    """The mail server; without it, mail addresses are only shown."""
    webhooks: dict[str, WebhookSettings] = {}
    """By the name that contacts give."""


def _plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and len(text) < 1000


def loopback(host: str) -> bool:
    """Whether that is this machine, by its name or address; no name is looked up."""
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def refused(url: str) -> str:
    """Why nothing may be posted to that URL; empty where it may. Says nothing of what is in it."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return "the url is none"
    if not parts.hostname or parts.username or not url.isascii() or not url.isprintable() or " " in url:
        return "the url is none, or has a user in it"
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback(parts.hostname)):
        return "the url must be https, or http to this machine"
    return ""


def mailable(address: str) -> bool:
    """Whether that is one mail address, without a name, a comment or anything that would end a header."""
    local, at, domain = address.rpartition("@")
    odd = set(' \t"(),:;<>[]\\@')
    return bool(local and at and domain) and address.isprintable() and len(address) < 255 and not odd & set(local + domain)


def meant(words: Sequence[str], contacts: Iterable[Contact]) -> list[tuple[str, Contact | None]]:
    """Who is told, each once: contacts by name, role or label; a word that fits none stays a word. No words: all contacts."""
    known = list(contacts)
    if not words:
        return [(c.label, c) for c in known]
    found: dict[str, Contact | None] = {}
    for word in words:
        fitting = [c for c in known if word in (c.name, c.label, *c.roles)]
        found.update({c.label: c for c in fitting})
        if not fitting:
            found[word] = None
    return list(found.items())
