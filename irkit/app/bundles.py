"""Looking at evidence: is a bag as it was sealed, and what is in it; and putting it into an object store. Without a cluster."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from irkit import API_VERSION
from irkit.engine.home import Home
from irkit.errors import UsageError
from irkit.evidence import show as showing
from irkit.evidence import verify as verifying
from irkit.ports import Clock
from irkit.ports.store import ObjectStore
from irkit.settings import Settings
from irkit.text import printable


def locate(settings: Settings, name: str | None) -> Path:
    """A bag: a path, or an incident whose first bag is meant; without a name, the newest incident's. Raises UsageError."""
    home = Home(settings.home)
    if name is not None and name not in home.ids():
        return Path(name)
    identifier = name or next(iter(home.ids()), None)
    if identifier is None:
        raise UsageError("there are no incidents on this machine; name the path of a bag")
    bags = home.directory(identifier) / "bags"
    found = sorted((p for p in bags.glob("*") if p.name.isdigit()), key=lambda p: int(p.name))
    if not found and (pushed := next(iter(home.load(identifier).pushed.values()), None)):
        raise UsageError(f"this machine has no bag of incident {printable(identifier)}", next=f"irkit bundle verify {printable(pushed.url, 1000)}")
    if not found:
        raise UsageError(f"incident {printable(identifier)} has no sealed bag", next=f"irkit resume {printable(identifier)}")
    return found[0]


def verify(path: Path) -> dict[str, Any]:
    """RFC 8493 validity, as a document. Raises UsageError where there is no such directory."""
    report = verifying.verify(path)
    return {"apiVersion": API_VERSION, "kind": "BundleReport", "path": str(path.absolute()), "valid": not report.problems,
            "exitCode": 6 if report.problems else 0, "problems": list(report.problems), "files": report.files, "octets": report.octets,
            "algorithms": list(report.algorithms)}  # fmt: skip


def show(path: Path) -> dict[str, Any]:
    """What is in a bag, as a document. Strings are as they are in the bag."""
    found = showing.contents(path)
    return {
        "apiVersion": API_VERSION, "kind": "Bundle", "path": str(path.absolute()), "info": dict(found.info),
        "entries": [{"path": e.path, "size": e.size, "what": e.what, "complete": e.complete} for e in found.entries],
        "missing": [{"what": g.what, "why": g.why} for g in found.gaps],
        "timeline": [{"at": m.at, "kind": m.kind, "subject": m.subject, "text": m.text, "source": m.source} for m in found.moments],
    }  # fmt: skip


def push(settings: Settings, clock: Clock, store: ObjectStore, name: str | None) -> dict[str, Any]:
    """Push a bag (a path), or all bags of an incident (its id, or the newest), to the object store. Raises as `pushing.push_bag`."""
    from irkit.app import pushing

    home = Home(settings.home)
    identifier = name or next(iter(home.ids()), None)
    if identifier is None:
        raise UsageError("there are no incidents on this machine; name the path of a bag")
    if identifier in home.ids():
        copies = pushing.push_incident(settings, clock, store, identifier)
    else:
        copies = [pushing.push_bag(store, Path(identifier), clock, settings.store)]
    return {"apiVersion": API_VERSION, "kind": "BundlePush", "exitCode": 0,
            "bags": [{"incident": c.incident, "bag": c.bag, "url": c.url, "octets": c.octets, "sha256": c.sha256, "manifest": c.manifest,
                      "version": c.version, "keptUntil": c.kept_until, "unchanged": c.unchanged} for c in copies],
            "next": f"irkit bundle verify {copies[0].url}"}  # fmt: skip


def fetch(store: Callable[[str], ObjectStore], url: str, to: Path) -> Path:
    """The bag at ``s3://bucket/key``, unpacked below ``to``. Raises UsageError, NotFoundError, EvidenceError."""
    from irkit.app import pushing

    found = re.fullmatch(r"(s3://[^/]+(?:/.+)?)/([^/]+/[^/]+)", url)
    if found is None:
        raise UsageError(f"a bag in an object store is s3://BUCKET/…/INCIDENT/bag-N-HASH.tar, not {printable(url, 300)}")
    return pushing.fetched(store(found[1]), found[2], to)
