"""New values for what irkit makes itself: as the settings' formats say, else like the old one.

Like the old one means: a UUID, hex digits, base64, bytes or a private key of the same kind and size; else the same kinds of
characters, no fewer than before, and enough of them that nobody finds it by trying. A value of which only a part is secret
(a URL, JSON, a sentence) is not made anew without a format: noise in its place would be an outage.

`plan` is called before anything is written, so that what can't be made stops nobody half-way.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import secrets
import string
import uuid
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TypeAlias

from irkit.errors import UsageError
from irkit.model.kube import ObjectRef
from irkit.rotators.holders import Values
from irkit.settings.rotation import Format
from irkit.text import hidden, printable

Recipe: TypeAlias = Callable[[], bytes]

WEAKEST = 40.0
"""Bits below which what a format asks for could be tried out: it is refused."""
ENOUGH = 96.0
"""Bits that a value like the old one has at least, however short that was."""

_KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits)
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"([0-9a-f]{2}){8,}|([0-9A-F]{2}){8,}")
_PEM = re.compile(rb"\s*-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")
_PUBLIC = re.compile(rb"\s*(-----BEGIN PUBLIC KEY-----|(ssh-(rsa|ed25519)|ecdsa-sha2-nistp256) )")
_PARTLY = re.compile(r"\s|://|^[{\[<]|-----BEGIN|^\w+=.*;")  # of which perhaps only a part is secret


def plan(old: Values, ref: ObjectRef, formats: Sequence[Format]) -> Mapping[str, Recipe]:
    """How each new value is made. Raises UsageError, which names the key and never a value, where one can't be."""
    found = {}
    for key, value in old.items():
        if not _PUBLIC.match(value) or _format(ref, key, formats):
            found[key] = _recipe(value, _format(ref, key, formats), f"{ref.namespace}/{ref.name}/{key}")
    publics = {key: value for key, value in old.items() if key not in found}
    if publics:
        from irkit.rotators import keypairs

        keypairs.owners(publics, {k: v for k, v in old.items() if _PEM.match(v)})
    return found


def fresh(old: Values, ref: ObjectRef, formats: Sequence[Format]) -> Values:
    """New values, each other than the old one; of a key pair both halves. Raises as `plan`."""
    made: dict[str, bytes] = {}
    for key, recipe in plan(old, ref, formats).items():
        value = recipe()
        while value == old[key]:
            value = recipe()
        made[key] = value
    publics = {key: value for key, value in old.items() if key not in made}
    if publics:
        from irkit.rotators import keypairs

        owners = keypairs.owners(publics, {k: v for k, v in old.items() if _PEM.match(v)})
        made |= {key: keypairs.public(made[owners[key]], like=value) for key, value in publics.items()}
    return made


def _format(ref: ObjectRef, key: str, formats: Sequence[Format]) -> Format | None:
    """The first that fits."""
    return next((f for f in formats if all(fnmatchcase(have, want) for have, want in (
        (ref.namespace, f.namespace), (ref.name, f.name), (key, f.key)))), None)  # fmt: skip


def _recipe(old: bytes, wanted: Format | None, name: str) -> Recipe:
    if wanted is not None and wanted.key_type:
        from irkit.rotators import keypairs

        return keypairs.recipe(wanted.key_type, name)
    if wanted is not None:
        return characters(wanted.length, alphabet(wanted.charset, name), name)
    if _PEM.match(old):
        from irkit.rotators import keypairs

        return keypairs.like(old, name)
    return _like(old, name)


def _like(old: bytes, name: str) -> Recipe:
    try:
        text = old.decode()
    except UnicodeDecodeError:
        return lambda: secrets.token_bytes(max(len(old), 16))
    body = text.rstrip("\r\n")
    end = text[len(body) :].encode()
    if not body or _PARTLY.search(body) or any(map(hidden, body)):
        why = "is empty" if not body else "has more than one secret word in it, as a URL or a sentence has"
        raise _impossible(f"the old value of {printable(name)} {why}, so no new one can be made like it")
    make = _known(body)
    if make is None:
        kinds = "".join(k for k in _KINDS if any(c in k for c in body))
        others = "".join(sorted({c for c in body if not any(c in k for k in _KINDS)}))
        letters = kinds + others
        if len(letters) < 2:
            letters += string.ascii_letters
        make = characters(max(len(body), math.ceil(ENOUGH / math.log2(len(letters)))), letters, name)
    return lambda: make() + end


def _known(body: str) -> Recipe | None:
    """The recipe of a well-known form; None for others."""
    if _UUID.fullmatch(body):
        shape = str.upper if body.isupper() else str.lower
        return lambda: shape(str(uuid.UUID(bytes=secrets.token_bytes(16), version=4))).encode()
    if _HEX.fullmatch(body) and not body.isdigit():
        count, shape = len(body) // 2, str.upper if body.isupper() else str.lower
        return lambda: shape(secrets.token_hex(count)).encode()
    if len(body) >= 16 and len(body) % 4 == 0 and (set(body) & set("+/=")):
        for decode, encode in ((base64.b64decode, base64.b64encode), (base64.urlsafe_b64decode, base64.urlsafe_b64encode)):
            try:
                raw = decode(body.encode())
            except (binascii.Error, ValueError):
                continue
            if encode(raw).decode() == body:
                return lambda: encode(secrets.token_bytes(len(raw)))
    return None


def alphabet(charset: str, name: str) -> str:
    """The characters of ``A-Za-z0-9_-``: ranges, and single ones; a hyphen at an end is itself. Raises UsageError."""
    found: dict[str, None] = {}
    at = 0
    while at < len(charset):
        first, last = charset[at], charset[at]
        if charset[at + 1 : at + 2] == "-" and at + 2 < len(charset):
            last, at = charset[at + 2], at + 2
        if ord(last) < ord(first) or ord(last) - ord(first) > 0x250:
            raise _impossible(f"the charset {printable(charset)!r} for {printable(name)} has a range that goes backwards or is too wide")
        found.update(dict.fromkeys(map(chr, range(ord(first), ord(last) + 1))))
        at += 1
    if bad := [c for c in found if hidden(c)]:
        raise _impossible(f"the charset for {printable(name)} has the invisible character {printable(bad[0])!r}")
    if len(found) < 2:
        raise _impossible(f"the charset {printable(charset)!r} for {printable(name)} has fewer than two characters: nothing could be random")
    return "".join(found)


def characters(length: int, letters: str, name: str) -> Recipe:
    """Random ones, with each kind that there is (lower, upper, digits, others) at least once; letters or digits at both ends."""
    if (bits := length * math.log2(len(letters))) < WEAKEST:
        raise _impossible(f"{length} characters out of {len(letters)} for {printable(name)} have {bits:.0f} bits: that could be tried out")
    kinds = [kind for kind in ({c for c in letters if c in k} for k in _KINDS) if kind]
    plain = set().union(*kinds)
    if others := set(letters) - plain:
        kinds.append(others)
    ends = "".join(sorted(plain)) if len(plain) > 1 else letters

    def make() -> bytes:
        while True:
            middle = [secrets.choice(letters) for _ in range(length - 2)]
            text = "".join([secrets.choice(ends), *middle, secrets.choice(ends)])
            if all(kind & set(text) for kind in kinds):
                return text.encode()

    return make


def _impossible(text: str) -> UsageError:
    return UsageError(f"{text}; nothing was written", next="name a format for it under rotation.formats in the settings, or class manual")
