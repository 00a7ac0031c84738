"""How old a value is, as far as the cluster tells.

- A certificate: ``status.notBefore`` of its Certificate, else the same in the certificate itself (RFC 5280, 4.1.2.5).
- Another Secret: when the last field manager that owns ``data`` wrote (``metadata.managedFields``, KEP-555). That is the time
  of this manager's last write to any field, so the value may be older; never younger.
- Without that bookkeeping, and for ServiceAccounts: ``creationTimestamp``; the value may be younger.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from irkit.model.kube import Obj, at

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")


class Age(NamedTuple):
    """When the value changed, where that was read, and when a certificate ends; None: not known."""

    changed: datetime | None = None
    read: str = ""
    ends: datetime | None = None


def days(then: datetime | None, now: datetime | None) -> float | None:
    """Days from ``then`` to ``now``; None where either is not known."""
    return round((now - then).total_seconds() / 86400, 3) if then and now else None


def of(obj: Obj, certificate: Obj | None) -> Age:
    """The age of a Secret's or ServiceAccount's value."""
    if found := _of_certificate(certificate) or _of_pem(obj):
        return found
    writes = [(w, e.get("manager")) for e in at(obj, ("metadata", "managedFields"), ()) if (w := moment(e.get("time"))) and _writes_data(e)]
    if writes:
        written, manager = max(writes, key=lambda w: w[0])
        return Age(written, f"managedFields: last write of {manager or 'unknown'}, which wrote data")
    created = moment(at(obj, ("metadata", "creationTimestamp")))
    return Age(created, "creationTimestamp") if created else Age()


def _writes_data(entry: Obj) -> bool:
    fields = entry.get("fieldsV1") or {}
    return not entry.get("subresource") and ("f:data" in fields or "f:stringData" in fields)


def _of_certificate(certificate: Obj | None) -> Age | None:
    begin, end = moment(at(certificate, ("status", "notBefore"))), moment(at(certificate, ("status", "notAfter")))
    return Age(begin, "Certificate status.notBefore", end) if begin and end else None


def _of_pem(secret: Obj) -> Age | None:
    """By the first certificate in ``tls.crt``, which is no secret."""
    if secret.get("type") != "kubernetes.io/tls":
        return None
    try:
        begin, end = validity(base64.b64decode(str(at(secret, ("data", "tls.crt"), ""))))
    except (ValueError, binascii.Error):
        return None
    return Age(begin, "notBefore of tls.crt", end)


def validity(pem: bytes) -> tuple[datetime, datetime]:
    """notBefore and notAfter of the first certificate of a PEM file. Raises ValueError."""
    match = _PEM.search(pem[: 1 << 20])
    if match is None:
        raise ValueError("no certificate")
    outer = next(elements(base64.b64decode(match.group(1))))[1]
    signed = list(elements(next(elements(outer))[1]))
    offset = 1 if signed[0][0] == 0xA0 else 0  # version is [0] EXPLICIT, left out in version 1
    times = [_moment(tag, value) for tag, value in elements(signed[offset + 3][1])] if len(signed) > offset + 3 else []
    if len(times) != 2:
        raise ValueError("not a certificate")
    return times[0], times[1]


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element of a DER sequence (X.690)."""
    position = 0
    while position < len(data):
        if len(data) < position + 2:
            raise ValueError("cut short")
        tag, length, position = data[position], data[position + 1], position + 2
        if length & 0x80:
            size = length & 0x7F
            length, position = int.from_bytes(data[position : position + size], "big"), position + size
        if len(data) < position + length:
            raise ValueError("cut short")
        yield tag, data[position : position + length]
        position += length
    if not data:
        raise ValueError("empty")


def _moment(tag: int, value: bytes) -> datetime:
    """UTCTime (0x17) or GeneralizedTime (0x18); two digits below 50 are of this century (RFC 5280, 4.1.2.5.1)."""
    text = value.decode("ascii")
    if tag == 0x17:
        text = ("20" if text[:2] < "50" else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def moment(text: object) -> datetime | None:
    """A time as the API writes it (RFC 3339, nanoseconds too); None where it is none."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
