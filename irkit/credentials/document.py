"""A blast radius as one document: what `irkit blast-radius -o json` prints, and the artefact of a bag. Never a value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irkit.credentials.look import Unknown
from irkit.model.credential import Finding, Source
from irkit.model.kube import ObjectRef

_PLAIN = ("provider", "server", "namespace", "mount", "path", "version", "issuer", "database", "command", "owner")


def finding_doc(finding: Finding) -> dict[str, Any]:
    """One credential; ``age`` in days, null where it is not known."""
    credential = finding.credential
    return {
        "kind": credential.ref.kind, "namespace": credential.ref.namespace, "name": credential.ref.name, "keys": list(credential.keys),
        "class": credential.cls, "why": credential.why, "source": source_doc(credential.source), "age": finding.age,
        "ageFrom": finding.age_from, "changed": finding.changed,
        **({"expires": finding.expires} if finding.expires is not None else {}), "sharedWith": list(finding.shared_with),
        "reasons": [{"how": r.how, "path": r.path} for r in finding.reasons],
    }  # fmt: skip


def source_doc(source: Source) -> dict[str, Any]:
    """Where the value comes from, without what is empty."""
    refs = {"externalSecret": source.external_secret, "store": source.store, "certificate": source.certificate}
    found: dict[str, Any] = {"kind": source.kind}
    found |= {name: _ref(ref) for name, ref in refs.items() if ref is not None}
    found |= {name: text for name in _PLAIN if (text := getattr(source, name))}
    found |= {"properties": dict(source.properties)} if source.properties else {}
    found |= {"whole": True} if source.whole else {}
    return found | ({"notes": list(source.notes)} if source.notes else {})


def _ref(ref: ObjectRef) -> dict[str, str]:
    return {"kind": ref.kind, **({"namespace": ref.namespace} if ref.namespace else {}), "name": ref.name}


def missing_doc(unknown: Sequence[Unknown]) -> list[dict[str, str]]:
    return [{"what": u.what, "why": u.why} for u in unknown]
