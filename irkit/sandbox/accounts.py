"""Tokens of ServiceAccounts: bound ones by `TokenRequest`, and those in Secrets of old (pkg/serviceaccount).

A token is a JWT signed with a key of this run. It is good as long as its ServiceAccount, and the pod or Secret that it is
bound to, are there with the uid that it names: nothing else revokes it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import timedelta
from typing import Any

import msgspec

from irkit.model.kube import Obj, annotations_of, at
from irkit.sandbox.catalog import PODS, SECRETS, SERVICEACCOUNTS
from irkit.sandbox.controllers import owners
from irkit.sandbox.rbac import User
from irkit.sandbox.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
LEGACY = "kubernetes.io/service-account-token"
_NAME, _UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


class Invalid(Exception):
    """Why a token is refused, as a TokenReview says it."""


class Accounts:
    """Mints tokens and knows their owners."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._store, self._key = store, key
        self.authority = b""  # the certificate authority that Secrets of old carry, once there is one

    def mint(self, account: Obj, audiences: list[str], seconds: int, bound: Obj | None = None) -> str:
        """``bound``: the Pod or Secret whose end ends the token."""
        meta, now = account["metadata"], self._store.now()
        inside: Obj = {"namespace": meta["namespace"], "serviceaccount": {"name": meta["name"], "uid": meta["uid"]}}
        if bound is not None:
            inside[bound["kind"].lower()] = {"name": bound["metadata"]["name"], "uid": bound["metadata"]["uid"]}
        began = int(now.timestamp())
        jti = self._store.names.uid("token", meta["namespace"], meta["name"])
        claims = {"aud": audiences, "exp": began + seconds, "iat": began, "iss": ISSUER, "jti": jti, "kubernetes.io": inside, "nbf": began,
                  "sub": f"system:serviceaccount:{meta['namespace']}:{meta['name']}"}  # fmt: skip
        return self._signed(claims)

    def owner(self, token: str) -> User:
        """Whose token it is. Raises Invalid."""
        claims = self._claims(token)
        if ISSUER not in (claims.get("aud") or [ISSUER]):
            raise Invalid(f"token audiences {claims['aud']} is invalid for the target audiences [{ISSUER!r}]")
        if claims.get("exp", self._store.now().timestamp() + 1) <= self._store.now().timestamp():
            raise Invalid("service account token has expired")
        inside = claims["kubernetes.io"]
        namespace, known = inside["namespace"], inside["serviceaccount"]
        account = self._store.get(SERVICEACCOUNTS, namespace, known["name"])
        if account is None or account["metadata"]["uid"] != known["uid"]:
            raise Invalid("service account token has been invalidated")
        for kind, served in (("pod", PODS), ("secret", SECRETS)):
            if (bound := inside.get(kind)) is not None:
                found = self._store.get(served, namespace, bound["name"])
                if found is None or found["metadata"]["uid"] != bound["uid"]:
                    raise Invalid("service account token has been invalidated")
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return User(claims["sub"], groups, known["uid"])

    def _signed(self, claims: Obj) -> str:
        head = _text(msgspec.json.encode({"alg": "HS256", "kid": hashlib.sha256(self._key).hexdigest()[:16]}))
        body = f"{head}.{_text(msgspec.json.encode(claims))}"
        return f"{body}.{_text(hmac.digest(self._key, body.encode(), 'sha256'))}"

    def _claims(self, token: str) -> Any:
        body, _, signature = token.rpartition(".")
        if not hmac.compare_digest(
            _text(hmac.digest(self._key, body.encode(errors="replace"), "sha256")).encode(), signature.encode(errors="replace")
        ):
            raise Invalid("invalid bearer token")
        payload = body.partition(".")[2]
        return msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    # Secrets of old

    def reconcile(self, store: Store) -> None:
        """The token controller: fills Secrets that ask for a token, and deletes those whose ServiceAccount is gone."""
        for secret in store.all(SECRETS):
            if secret.get("type") == LEGACY and "deletionTimestamp" not in secret["metadata"]:
                self._fill(store, secret)

    def _fill(self, store: Store, secret: Obj) -> None:
        namespace, wanted = secret["metadata"]["namespace"], annotations_of(secret)
        account = store.get(SERVICEACCOUNTS, namespace, wanted.get(_NAME, ""))
        if account is None or wanted.get(_UID, account["metadata"]["uid"]) != account["metadata"]["uid"]:
            owners.terminate(store, SECRETS, secret)
            return
        if at(secret, ("data", "token")):
            return
        claims = {"iss": "kubernetes/serviceaccount", "sub": f"system:serviceaccount:{namespace}:{account['metadata']['name']}",
                  "kubernetes.io": {"namespace": namespace, "secret": {"name": secret["metadata"]["name"], "uid": secret["metadata"]["uid"]},
                                    "serviceaccount": {"name": account["metadata"]["name"], "uid": account["metadata"]["uid"]}}}  # fmt: skip
        data = {"token": self._signed(claims).encode(), "ca.crt": self.authority, "namespace": namespace.encode()}
        patch = {"metadata": {"annotations": {_UID: account["metadata"]["uid"]}}, "data": {k: base64.b64encode(v).decode() for k, v in data.items()}}
        store.mutate(SECRETS, secret, patch)

    def expires(self, seconds: int) -> str:
        return (self._store.now() + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
