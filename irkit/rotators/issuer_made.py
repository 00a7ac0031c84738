"""Values that only their issuer can make: a vendor's API key, the login of a registry.

The human gets the new one from the issuer and gives it at a hidden prompt or by a file; irkit stores and delivers it. Of a
pull secret (dockerconfigjson) the human gives the new password of each registry, or a whole new document; the rest stays.
The old one is not dead before its issuer revokes it, so irkit never says so.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec

from irkit.errors import Declined, UsageError
from irkit.model.credential import Credential
from irkit.model.kube import Permission
from irkit.model.outcome import Done, Outcome, Skipped
from irkit.ports import Observed
from irkit.rotators import stored
from irkit.rotators.base import Before, Tools, retired
from irkit.rotators.external_secret import synced
from irkit.rotators.holders import Values
from irkit.text import printable

DOCKER = (".dockerconfigjson", ".dockercfg")
_TRIES = 3  # answers to one question


class IssuerMade:
    name = "issuer-made"
    asks = True

    def takes(self, credential: Credential, seen: Observed) -> bool:
        source = credential.source
        kept = source.kind == "kubernetes" or synced(credential) or (source.kind == "vault" and bool(source.mount and source.path))
        return credential.cls == "issuer-made" and kept

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        return stored.permissions(credential)

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        yield printable(f"{credential.name}: issue the new value at {credential.source.issuer or 'its issuer'} first; irkit asks for it, hidden", 400)
        if credential.source.kind == "kubernetes" and credential.source.owner:
            yield printable(f"{credential.ref} is also written by {credential.source.owner}: put the new value there, or the old one comes back", 400)

    def before(self, credential: Credential, tools: Tools) -> Before:
        return stored.before(credential, tools)

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        declined: list[str] = []

        def make(old: Values) -> Values:
            given: dict[str, bytes] = {}
            try:
                for key in old:
                    if (value := _asked(credential, key, old[key], tools)) is not None:
                        given[key] = value
            except (Declined, UsageError):  # what was given before is not lost
                if not given:
                    raise
            declined.extend(k for k in old if k not in given)
            return given

        outcome = stored.renew(credential, before, tools, make)
        if declined:
            names = ", ".join(f"{credential.ref.name}/{k}" for k in declined)
            return Skipped(printable(f"no new value was given for {names}: issue it, then irkit resume", 400))
        return outcome

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        found = stored.retire(credential, before, tools)
        if not isinstance(found, Done) or found.data["oldValue"] != "dead":
            return found
        issuer = printable(credential.source.issuer or "its issuer")
        return retired("untested", f"{found.data['how']}; whether {issuer} still accepts it is not known: revoke it there")


def _asked(credential: Credential, key: str, old: bytes, tools: Tools) -> bytes | None:
    """The human's new value; None where declined. Raises UsageError where none of the answers is one."""
    name = printable(f"{credential.ref.name}/{key}")
    if key in DOCKER:
        return _docker(name, old, wrapped=key == DOCKER[0], tools=tools)
    given = _answer(name, f"New value of {name}, from {printable(credential.source.issuer or 'its issuer')}", old.strip(), tools)
    return None if given is None else given + (b"\n" if old.endswith(b"\n") else b"")


def _answer(name: str, prompt: str, old: bytes, tools: Tools) -> bytes | None:
    """What was given, without the newline of a file. Asks again for an empty answer or the old value, a few times."""
    wrong = ""
    for _ in range(_TRIES):
        text = tools.ports.approver.secret(name, f"{prompt}{wrong}")
        if text is None:
            return None
        given = text.rstrip("\r\n").encode("utf-8", "surrogatepass")
        wrong = " (it must not be empty)" if not given.strip() else " (that is the old value)" if given.strip() == old else ""
        if not wrong:
            return given
    raise UsageError(f"no new value for {name}{wrong}; nothing was written", next="irkit resume")


def _docker(name: str, old: bytes, *, wrapped: bool, tools: Tools) -> bytes | None:
    """The document with a new password for each registry, or the one that was given whole."""
    document = _document(old)
    registries = document.get("auths") if wrapped and document else document
    if document is None or not isinstance(registries, dict) or not registries:
        raise UsageError(f"{name} names no registry; nothing was written", next="put the new pull secret there by hand")
    new = dict(registries)
    for registry, login in registries.items():
        user, password = _login(login if isinstance(login, dict) else {})
        given = _answer(name, f"New password of {printable(user) or 'the user'} at {printable(registry)} for {name}, or the whole document",
                        password.encode("utf-8", "surrogatepass"), tools)  # fmt: skip
        if given is None:
            return None
        whole = _document(given)
        if whole is not None and (not wrapped or isinstance(whole.get("auths"), dict)):
            return given
        pair = f"{user}:{given.decode('utf-8', 'surrogatepass')}".encode("utf-8", "surrogatepass")
        kept = {k: v for k, v in login.items() if k not in ("identitytoken", "registrytoken")} if isinstance(login, dict) else {}
        new[registry] = {**kept, "username": user, "password": given.decode("utf-8", "surrogatepass"), "auth": base64.b64encode(pair).decode()}
    return msgspec.json.encode({**document, "auths": new} if wrapped else new)


def _document(text: bytes) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return found if isinstance(found, dict) else None


def _login(login: dict[str, Any]) -> tuple[str, str]:
    """User and password of one registry (docker/cli, config/types/authconfig.go: `auth` is base64 of ``user:password``)."""
    try:
        user, _, password = base64.b64decode(str(login.get("auth") or "")).decode().rstrip("\0").partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        user, password = "", ""
    return str(login.get("username") or user), str(login.get("password") or password)
