"""The little that irkit reads of certificates and revocation lists (RFC 5280), without a library for them."""

from __future__ import annotations

import base64
import binascii
import re

from irkit.credentials.age import elements
from irkit.errors import EndStateError

_PEM = re.compile(rb"-----BEGIN (CERTIFICATE|X509 CRL)-----([A-Za-z0-9+/=\s]+)-----END \1-----")
_LIMIT = 4 << 20  # bytes of a file that are looked at
_SEQUENCE, _TIMES, _VERSION = 0x30, (0x17, 0x18), 0xA0


def blocks(pem: bytes) -> list[bytes]:
    """The DER of each certificate or list in a file, in its order."""
    try:
        return [base64.b64decode(body) for _, body in _PEM.findall(pem[:_LIMIT])]
    except (binascii.Error, ValueError):
        return []


def serial(pem: bytes) -> str:
    """The serial number of the first certificate, as Vault writes it: ``1a:2b:…``. Raises EndStateError."""
    try:
        signed = list(elements(_first(blocks(pem)[0])))
        return _hex(signed[1 if signed[0][0] == _VERSION else 0][1])
    except (ValueError, IndexError):
        raise EndStateError("there is no certificate in what should be one", next="irkit blast-radius") from None


def revoked(pem: bytes) -> frozenset[str]:
    """The serial numbers in a revocation list (5.1.2.6: the sequence after the times; it may be left out)."""
    try:
        listed = list(elements(_first(blocks(pem)[0])))
        timed = max(i for i, (tag, _) in enumerate(listed) if tag in _TIMES)
        entries = next((value for tag, value in listed[timed + 1 :] if tag == _SEQUENCE), b"")
        return frozenset(_hex(next(elements(entry))[1]) for _, entry in (elements(entries) if entries else ()))
    except (ValueError, IndexError):
        return frozenset()


def _first(der: bytes) -> bytes:
    """What is signed, of a signed thing."""
    return next(elements(next(elements(der))[1]))[1]


def _hex(number: bytes) -> str:
    return (number.lstrip(b"\0") or b"\0").hex(":")
