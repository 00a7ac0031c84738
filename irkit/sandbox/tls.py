"""A throw-away certificate authority and server certificate, made anew at each start with the standard library alone.

The CA's key is forgotten as soon as it has signed; the server's key is on disk, mode 0600, only while the TLS context
reads it. X.509 v3 as RFC 5280 asks, strict enough for Go's verifier and OpenSSL's VERIFY_X509_STRICT.
"""

from __future__ import annotations

import base64
import hashlib
import os
import ssl
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from irkit.sandbox import p256

_EC_KEY, _P256, _ECDSA_SHA256 = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2"
_COMMON_NAME, _SERVER_AUTH = "2.5.4.3", "1.3.6.1.5.5.7.3.1"
_SUBJECT_KEY, _KEY_USAGE, _ALT_NAME, _CONSTRAINTS, _AUTHORITY_KEY, _EXTENDED_USAGE = (
    "2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.35", "2.5.29.37")  # fmt: skip
LIFETIME = 30 * 24 * 3600
"""Seconds until the certificate expires: longer than any rehearsal."""


class Identity(NamedTuple):
    """PEM texts: the CA that clients trust, the server's certificate and its key."""

    ca: bytes
    certificate: bytes
    key: bytes


def make() -> Identity:
    """A CA and a certificate for 127.0.0.1 and localhost. Uses the wall clock: clients check it against theirs."""
    ca, server = p256.generate(), p256.generate()
    usage = _extension(_KEY_USAGE, _bits(b"\x06", 1), critical=True)
    ca_der = _certificate("irkit rehearsal CA", ca, "irkit rehearsal CA", ca, [
        _extension(_CONSTRAINTS, _sequence(_boolean()), critical=True), usage,
        _extension(_SUBJECT_KEY, _tlv(0x04, _key_id(ca)))])  # fmt: skip
    names = _sequence(_tlv(0x82, b"localhost"), _tlv(0x87, bytes([127, 0, 0, 1])))
    server_der = _certificate("irkit rehearsal cluster", server, "irkit rehearsal CA", ca, [
        _extension(_CONSTRAINTS, _sequence(), critical=True),
        _extension(_KEY_USAGE, _bits(b"\x80", 7), critical=True),
        _extension(_EXTENDED_USAGE, _sequence(_oid(_SERVER_AUTH))),
        _extension(_SUBJECT_KEY, _tlv(0x04, _key_id(server))),
        _extension(_AUTHORITY_KEY, _sequence(_tlv(0x80, _key_id(ca)))),
        _extension(_ALT_NAME, names)])  # fmt: skip
    return Identity(_pem("CERTIFICATE", ca_der), _pem("CERTIFICATE", server_der), _pem("EC PRIVATE KEY", _private(server)))


def context(identity: Identity) -> ssl.SSLContext:
    """A server context. ``ssl`` reads keys from files only, so the key is in one for that moment."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    handle, name = tempfile.mkstemp(prefix="irkit-sandbox-", suffix=".pem")  # 0600
    try:
        os.write(handle, identity.key + identity.certificate)
        os.close(handle)
        made.load_cert_chain(name)
    finally:
        Path(name).unlink()
    return made


def _certificate(subject: str, key: p256.Key, issuer: str, signer: p256.Key, extensions: list[bytes]) -> bytes:
    algorithm = _sequence(_oid(_ECDSA_SHA256))
    now = time.time()
    serial = int.from_bytes(os.urandom(16), "big") >> 1 | 1
    body = _sequence(
        _tlv(0xA0, _integer(2)),
        _integer(serial),
        algorithm,
        _name(issuer),
        _sequence(_time(now - 3600), _time(now + LIFETIME)),
        _name(subject),
        _sequence(_sequence(_oid(_EC_KEY), _oid(_P256)), _bits(key.point, 0)),
        _tlv(0xA3, _sequence(*extensions)),
    )
    r, s = p256.sign(signer, body)
    return _sequence(body, algorithm, _bits(_sequence(_integer(r), _integer(s)), 0))


def _private(key: p256.Key) -> bytes:
    """ECPrivateKey, RFC 5915."""
    return _sequence(_integer(1), _tlv(0x04, key.secret.to_bytes(32, "big")), _tlv(0xA0, _oid(_P256)), _tlv(0xA1, _bits(key.point, 0)))


def _key_id(key: p256.Key) -> bytes:
    return hashlib.sha1(key.point, usedforsecurity=False).digest()  # RFC 5280 §4.2.1.2, method 1


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return _sequence(_oid(oid), *([_boolean()] if critical else []), _tlv(0x04, value))


def _name(common: str) -> bytes:
    return _sequence(_tlv(0x31, _sequence(_oid(_COMMON_NAME), _tlv(0x0C, common.encode()))))


def _time(seconds: float) -> bytes:
    return _tlv(0x17, time.strftime("%y%m%d%H%M%SZ", time.gmtime(seconds)).encode())


def _integer(value: int) -> bytes:
    return _tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _boolean() -> bytes:
    return _tlv(0x01, b"\xff")


def _bits(value: bytes, unused: int) -> bytes:
    return _tlv(0x03, bytes([unused]) + value)


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    encoded = bytearray([first * 40 + second])
    for part in rest:
        groups = [part & 0x7F]
        while part := part >> 7:
            groups.append(part & 0x7F | 0x80)
        encoded += bytes(reversed(groups))
    return _tlv(0x06, bytes(encoded))


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _tlv(tag: int, value: bytes) -> bytes:
    size = len(value)
    if size < 0x80:
        return bytes([tag, size]) + value
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + value


def _pem(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der)
    lines = [text[i : i + 64] for i in range(0, len(text), 64)]
    return b"\n".join([f"-----BEGIN {label}-----".encode(), *lines, f"-----END {label}-----".encode(), b""])
