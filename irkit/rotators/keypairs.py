"""Private keys and their public halves. The only file that imports `cryptography`, an optional extra (``irkit[keys]``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from irkit.errors import UsageError
from irkit.rotators.holders import Values
from irkit.text import printable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import PrivateFormat

    Private = ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_SMALLEST_RSA = 2048  # bits
_LARGEST = 8192  # octets of a PEM: RSA of 8192 bits has 6400. Larger ones take minutes to check and to make, and who writes a Secret chooses


def recipe(key_type: str, name: str) -> Callable[[], bytes]:
    """Of a format's ``key-type``; PEM, PKCS #8."""
    _library(name)
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import PrivateFormat

    make: Mapping[str, Callable[[], Private]] = {
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "p-256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
        "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
    }
    return lambda: _pem(make[key_type](), PrivateFormat.PKCS8)


def like(old: bytes, name: str) -> Callable[[], bytes]:
    """Of the same type and form as the old one. Raises UsageError for an encrypted one, or a type that is not known."""
    _library(name)
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import PrivateFormat

    key = _read(old, name)
    form = PrivateFormat.OpenSSH if b"OPENSSH" in old else PrivateFormat.PKCS8
    if b"BEGIN RSA PRIVATE" in old or b"BEGIN EC PRIVATE" in old:
        form = PrivateFormat.TraditionalOpenSSL
    match key:
        case ed25519.Ed25519PrivateKey():
            return lambda: _pem(ed25519.Ed25519PrivateKey.generate(), form)
        case rsa.RSAPrivateKey():
            return lambda: _pem(rsa.generate_private_key(65537, max(key.key_size, _SMALLEST_RSA)), form)
        case ec.EllipticCurvePrivateKey():
            return lambda: _pem(ec.generate_private_key(key.curve), form)
    raise UsageError(f"the private key of {printable(name)} is of a type that irkit can't make; nothing was written", next="name a format for it")


def owners(publics: Values, privates: Values) -> Mapping[str, str]:
    """By name of a public key, the name of its private one. Raises UsageError where one has none among these."""
    _library(next(iter(publics), ""))
    found = {}
    for name, text in publics.items():
        owner = next((k for k, v in privates.items() if _same(public(v, like=text), text)), None)
        if owner is None:
            raise UsageError(f"{printable(name)} is a public key whose private key is not beside it; nothing was written",
                             next="class manual for it, in its annotation or the settings")  # fmt: skip
        found[name] = owner
    return found


def public(private: bytes, *, like: bytes) -> bytes:
    """The public half, in the form of ``like``: PEM, or OpenSSH's line."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    half = _read(private, "a private key").public_key()
    if b"-----BEGIN" in like:
        pem: bytes = half.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem
    comment = b" ".join(like.split()[2:])
    line: bytes = half.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return line + (b" " + comment if comment else b"") + (b"\n" if like.endswith(b"\n") else b"")


def _same(one: bytes, other: bytes) -> bool:
    return one.split() == other.split()


def _pem(key: Private, form: PrivateFormat) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption

    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def _read(pem: bytes, name: str) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    if len(pem) > _LARGEST:
        raise UsageError(f"the private key of {printable(name)} is too large to be made again; nothing was written", next="name a format for it")
    load = serialization.load_ssh_private_key if b"OPENSSH" in pem else serialization.load_pem_private_key
    try:
        return load(pem.strip() + b"\n", None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # their texts may quote the key
        raise UsageError(f"the private key of {printable(name)} is encrypted, or of no known form; nothing was written",
                         next="name a format for it under rotation.formats in the settings") from None  # fmt: skip


def _library(name: str) -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError:
        raise UsageError(f"{printable(name)} is a key pair, which irkit makes with the extra `keys`; nothing was written",
                         next="pip install 'irkit[keys]'") from None  # fmt: skip
