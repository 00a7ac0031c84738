"""Looking at evidence: is a bag as it was sealed, and what is in it. Without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from irkit import API_VERSION
from irkit.engine.home import Home
from irkit.errors import UsageError
from irkit.evidence import show as showing
from irkit.evidence import verify as verifying
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
