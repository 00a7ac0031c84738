"""Whether a Secret that was rotated holds its old value again."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.changes import Rotate
from irkit.model.credential import Credential
from irkit.model.incident import Incident
from irkit.model.kube import SECRETS, ObjectRef, at
from irkit.ports import Observed
from irkit.text import plural, printable, texts

_SAME = ("ca.crt",)  # an authority's certificate outlives the certificates that it signed


class Rotated(msgspec.Struct, frozen=True):
    """Holds where no key of a rotated Secret has the HMAC that the journal has of its old value. Values stay within `_old`."""

    name = "rotated"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        done = {c.credential.id: c.credential for c in seen.begun if isinstance(c, Rotate) and c.stage == "renew" and c.credential.id in seen.befores}
        done = {i: c for i, c in done.items() if c.ref.resource == SECRETS}
        if seen.prints is None:
            return CheckResult(check=self.name, holds=None, summary="not known whether Secrets hold old values: this incident's key is not here")
        findings: list[str] = []
        for identifier, credential in done.items():
            try:
                # the HMACs are among its texts, however a rotator arranges them
                back = _old(credential, set(texts(seen.befores[identifier])), seen, seen.prints)
            except ForbiddenError as error:
                return CheckResult(check=self.name, holds=None, summary=f"not known whether {credential.ref} holds its old value: {error.message}")
            except NotFoundError:
                continue  # moved to another Secret, or gone with what used it
            findings += [printable(f"{credential.ref} {key} holds its old value again", 300) for key in back]
        text = f"{plural(len(done), 'rotated credential')}: no old value is back"
        if findings:
            text = f"an old value is back: {plural(len(findings), 'finding')}"
        return CheckResult(check=self.name, holds=not findings, summary=text, findings=tuple(findings))


def _old(credential: Credential, known: set[str], seen: Observed, prints: Callable[[bytes], str]) -> list[str]:
    data = at(seen.cluster.get(ObjectRef(resource=SECRETS, name=credential.ref.name, namespace=credential.ref.namespace)), ("data",)) or {}
    found = []
    for key in credential.keys or tuple(data):
        try:
            value = base64.b64decode(str(data.get(key, "")), validate=True)
        except binascii.Error:
            continue
        if value and key not in _SAME and prints(value) in known:
            found.append(key)
    return found
