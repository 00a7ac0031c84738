"""ECDSA over NIST P-256, as much as a throw-away certificate needs.

The rehearsal cluster must start on a machine that has neither openssl nor a crypto package. Nothing here is constant
time: the keys live for one rehearsal on loopback and protect nothing but a toy. Never use it for anything else.

Sources: FIPS 186-5 §6 (ECDSA), SP 800-186 §3.2.1.3 (the curve), SEC 1 v2 §2.3.3 (point encoding).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
     0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5)  # fmt: skip

_Jacobian = tuple[int, int, int]
_INFINITY: _Jacobian = (1, 1, 0)


class Key(NamedTuple):
    secret: int
    public: tuple[int, int]

    @property
    def point(self) -> bytes:
        """The public key as an uncompressed point."""
        return b"\x04" + self.public[0].to_bytes(32, "big") + self.public[1].to_bytes(32, "big")


def generate() -> Key:
    secret = secrets.randbelow(N - 1) + 1
    return Key(secret, _multiply(secret))


def sign(key: Key, message: bytes) -> tuple[int, int]:
    """(r, s) of ECDSA with SHA-256."""
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    while True:
        nonce = secrets.randbelow(N - 1) + 1
        r = _multiply(nonce)[0] % N
        s = pow(nonce, -1, N) * (digest + r * key.secret) % N
        if r and s:
            return r, s


def _multiply(scalar: int) -> tuple[int, int]:
    """``scalar`` times the base point, in affine coordinates."""
    result, addend = _INFINITY, (*G, 1)
    while scalar:
        if scalar & 1:
            result = _add(result, addend)
        addend = _double(addend)
        scalar >>= 1
    x, y, z = result
    inverse = pow(z, -1, P)
    return x * inverse * inverse % P, y * pow(inverse, 3, P) % P


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    if not z:
        return _INFINITY
    yy = y * y % P
    s = 4 * x * yy % P
    m = 3 * (x - z * z) * (x + z * z) % P  # the curve's a is -3
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add(one: _Jacobian, two: _Jacobian) -> _Jacobian:
    x1, y1, z1 = one
    x2, y2, z2 = two
    if not z1:
        return two
    if not z2:
        return one
    zz1, zz2 = z1 * z1 % P, z2 * z2 % P
    u1, u2 = x1 * zz2 % P, x2 * zz1 % P
    s1, s2 = y1 * z2 * zz2 % P, y2 * z1 * zz1 % P
    if u1 == u2:
        return _double(one) if s1 == s2 else _INFINITY
    h, r = u2 - u1, s2 - s1
    hh = h * h % P
    hhh, v = h * hh % P, u1 * hh % P
    x3 = (r * r - hhh - 2 * v) % P
    return x3, (r * (v - x3) - s1 * hhh) % P, h * z1 * z2 % P
