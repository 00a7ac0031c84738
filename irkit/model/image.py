"""Images by name: what a reference says, and what a scan and a signature check found. The grammar is the distribution project's."""

from __future__ import annotations

import re
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from irkit.errors import UsageError
from irkit.model.kube import Obj, at
from irkit.text import printable

Severity: TypeAlias = Literal["critical", "high", "medium", "low", "unknown"]
SEVERITIES: tuple[str, ...] = get_args(Severity)
"""The worst first."""

DOCKER = "docker.io"
_DIGEST = r"sha256:[0-9a-f]{64}"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
_NAME = rf"(?:(?P<host>{_HOST})/)?(?P<path>{_PART}(?:/{_PART})*)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?"
# patterns are compiled (and kept, by re) where one is first needed: not on the way to a cut


class Image(msgspec.Struct, frozen=True):
    """``registry.example/todo/backend:1.4.2@sha256:…``, taken apart. ``written`` is as somebody wrote it."""

    written: str
    host: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        return f"{self.host}/{self.path}"

    def pinned(self, digest: str) -> str:
        """The same repository, at a digest."""
        return f"{self.written.partition('@')[0].removesuffix(f':{self.tag}') if self.tag else self.written.partition('@')[0]}@{digest}"


def parse(text: str) -> Image:
    """The parts of an image's name. Raises UsageError where it is none.

    What stands before the first slash is a host where it has a dot, a port, or is ``localhost``; else the host is Docker
    Hub, whose own images lie below ``library`` (github.com/distribution/reference, normalize.go).
    """
    match = re.fullmatch(_NAME, text) if len(text) <= 1024 else None
    if match is None:
        raise UsageError(f"{printable(text, 120)!r} is no image: write it as registry.example/todo/backend@sha256:…")
    host, path = match["host"] or "", match["path"]
    if host and not ("." in host or ":" in host or host == "localhost"):
        host, path = "", f"{host}/{path}"
    if host in ("", "index.docker.io"):
        host, path = DOCKER, path if "/" in path else f"library/{path}"
    return Image(text, host, path, match["tag"] or "", match["digest"] or "")


def repository(text: str) -> str:
    """The repository of an image that a cluster names; empty where its name is none."""
    try:
        return parse(text).repository
    except UsageError:
        return ""


def digest_of(text: str) -> str:
    """The digest at the end of an image or imageID (``docker-pullable://…@sha256:…``); empty where there is none."""
    found = text.rpartition("@")[2]
    return found if re.fullmatch(_DIGEST, found) else ""


class Vulnerability(msgspec.Struct, frozen=True):
    id: str
    severity: str
    package: str = ""
    fixed: str = ""  # the version in which it is


class Scan(msgspec.Struct, frozen=True):
    """``by`` found ``found`` in an image; ``counts`` where only numbers are known."""

    by: str
    found: tuple[Vulnerability, ...] = ()
    counts: dict[str, int] = {}

    def of(self, severity: str, accepted: tuple[str, ...] = ()) -> int:
        """How many of this severity, those that were accepted by their id left out."""
        return self.counts.get(severity, 0) + sum(v.severity == severity and v.id not in accepted for v in self.found)


class Signature(msgspec.Struct, frozen=True):
    """What a signature check said: by whom it must be signed, and why it isn't, where it isn't."""

    by: str
    why_not: str = ""


def running(pod: Obj) -> list[tuple[str, str, str]]:
    """Container, image and imageID of everything in a pod; imageID is empty where the node does not tell."""
    ids: dict[Any, str] = {s.get("name"): str(s.get("imageID") or "")
                           for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
                           for s in at(pod, ("status", field)) or ()}  # fmt: skip
    return [(str(c.get("name", "")), str(c.get("image", "")), ids.get(c.get("name"), ""))
            for field in ("initContainers", "containers", "ephemeralContainers") for c in at(pod, ("spec", field)) or ()]  # fmt: skip
