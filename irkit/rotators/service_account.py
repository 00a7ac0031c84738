"""Tokens of a ServiceAccount: the account is made again, so that every token that was bound to it is refused.

There is no revocation of one token. All of an account end with it: a token names the account's uid. Roles are bound by name,
so restarted pods may what they could before. A lasting token ends with the Secret that holds it; where somebody uses that
Secret, it is made again for the cluster to fill. A probe token from before is shown to the API server afterwards: its no is the
proof. irkit does not take the bindings away instead: pods would be as locked out as the thief, and no token would be dead.

Sources: Kubernetes docs, "Managing Service Accounts" (bound tokens; manual secret management), TokenRequest, TokenReview;
pkg/serviceaccount/claims.go. An API server remembers for 10 s that a token was good (authenticator cache): one waits for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import NamedTuple

import msgspec

from irkit.credentials import Consumers
from irkit.errors import ConflictError, EndStateError, ForbiddenError, NotFoundError
from irkit.model.credential import Credential
from irkit.model.kube import SECRETS, SERVICEACCOUNTS, Obj, ObjectRef, Permission, Resource, annotations_of, at, permission
from irkit.model.outcome import Outcome
from irkit.ports import Observed, exists
from irkit.rotators.base import Before, Tools, retired, rotated
from irkit.rotators.secret import decoded
from irkit.text import printable

TOKEN_TYPE = "kubernetes.io/service-account-token"  # noqa: S105 -- a type's name
_OWNER, _UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"
_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False)
_CACHED = 15.0  # seconds in which an API server may still remember a token as good
_PROBE = 600  # seconds: the shortest life of a token
_FIELDS = ("imagePullSecrets", "secrets", "automountServiceAccountToken")
_META = ("labels", "annotations", "ownerReferences")


class ServiceAccount:
    name = "service-account"
    asks = False

    def takes(self, credential: Credential, seen: Observed) -> bool:
        return credential.cls == "token" and (credential.ref.kind == "ServiceAccount" or credential.type == TOKEN_TYPE)

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        """The probe asks for more (create serviceaccounts/token, tokenreviews); without these rights only the proof is missing."""
        namespace, verbs = credential.ref.namespace, ("delete", "create")
        accounts = (*verbs, "patch") if credential.ref.kind == "ServiceAccount" else ()
        return (*(permission(v, SERVICEACCOUNTS, namespace) for v in accounts), *(permission(v, SECRETS, namespace) for v in verbs))

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        if credential.ref.kind == "ServiceAccount":
            yield printable(f"{credential.ref} is deleted and made again: its pods can't call the API server until they are restarted,"
                            " and whoever uses a token of it outside the cluster needs another", 400)  # fmt: skip
        else:
            yield printable(f"{credential.ref} holds a token that never ends, and is deleted: whoever uses it outside the cluster needs another", 400)

    def before(self, credential: Credential, tools: Tools) -> Before:
        cluster, ref = tools.ports.cluster, credential.ref
        if tools.ports.connection.whoami().name == f"system:serviceaccount:{ref.namespace}:{ref.name}":
            raise EndStateError(
                f"irkit itself runs as {ref}: it would end its own token half-way; nothing was written", next="run this as somebody else"
            )
        found = exists(cluster, ref)
        if found is None:
            raise EndStateError(f"{ref} is gone, or another one has its name; nothing was written", next="irkit blast-radius")
        if ref.kind == "Secret":
            return {"tokens": [_kept(found)]}
        secrets = cluster.list(SECRETS, ref.namespace, fields=f"type={TOKEN_TYPE}")
        own = [s for s in secrets if annotations_of(s).get(_OWNER) == ref.name]
        names = {s["metadata"]["name"] for s in own}
        body = {f: found[f] for f in _FIELDS if found.get(f) is not None}
        if "secrets" in body:
            body["secrets"] = [s for s in body["secrets"] if s.get("name") not in names]
        meta = {f: found["metadata"][f] for f in _META if found["metadata"].get(f)}
        return {"uid": found["metadata"]["uid"], "body": body, "meta": meta, "tokens": [_kept(s) for s in own]}

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        account = _Account(credential.ref, before, tools)
        # The account's own and that of the Secret may be under way at the same time: a lasting token is ended, and tried, once.
        ended = [tools.shared.once(f"token {t['uid']}", partial(account.end, t)) for t in before["tokens"]]
        said, proofs = [name for name, _ in ended if name], [proof for name, proof in ended if name]
        if credential.ref.kind == "ServiceAccount":
            said, proofs = account.again(said, proofs)
        for token in before["tokens"]:
            account.remake(token)
        return rotated(printable("; ".join(said) or f"{credential.ref} was made anew already", 600), "; ".join(proofs) if all(proofs) else "")

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        if before.get("proof"):
            return retired("dead", str(before["proof"]))
        what = "its account was made again under another uid" if credential.ref.kind == "ServiceAccount" else "its Secret was deleted"
        return retired("untested", f"{what}, but no token from before was at hand to try (create serviceaccounts/token and tokenreviews are needed)")


class _Account(NamedTuple):
    ref: ObjectRef
    before: Before
    tools: Tools

    def end(self, token: Before) -> tuple[str, str]:
        """Delete one Secret with a lasting token. What was done and the proof; nothing where it is gone already."""
        cluster, ref = self.tools.ports.cluster, self._secret(token)
        secret = exists(cluster, ref)
        if secret is None:
            return "", ""
        probe = self._good(decoded(secret).get("token", b"").decode("ascii", "replace"))
        with suppress(NotFoundError, ConflictError):
            cluster.delete(ref)
        self.tools.wait(lambda: exists(cluster, ref) is None, f"{ref} was not deleted")
        return f"{ref} was deleted", self._refused(probe, ref)

    def again(self, said: list[str], proofs: list[str]) -> tuple[list[str], list[str]]:
        """Delete the old account and make it again. What was done, with what was before, and the proofs."""
        cluster, old = self.tools.ports.cluster, msgspec.structs.replace(self.ref, uid=self.before["uid"])
        there, probe = exists(cluster, old) is not None, ""
        if there:
            probe = self._minted()
            with suppress(NotFoundError, ConflictError):
                cluster.delete(old)
            self.tools.wait(lambda: exists(cluster, old) is None, f"{self.ref} was not deleted")
        self._create()
        return [*said, f"{self.ref} was deleted and made again"], [*proofs, self._refused(probe, self.ref)]

    def remake(self, token: Before) -> None:
        """Make a Secret with a lasting token again where pods use it, and see the cluster fill it: without a token they could not do their work."""
        cluster, ref = self.tools.ports.cluster, msgspec.structs.replace(self._secret(token), uid="")
        if Consumers(ref.namespace, cluster, kept=self.tools.kept).of(ref):
            meta = {**token["meta"], "name": ref.name, "namespace": ref.namespace}
            self.tools.wait(partial(self._filled, ref, meta), f"{ref} was not given a token by the cluster")

    def _filled(self, ref: ObjectRef, meta: Obj) -> bool:
        """Whether it holds a token; where it is not there, or is for the account that is gone, it is made anew. The cluster may fill it late."""
        cluster, found = self.tools.ports.cluster, exists(self.tools.ports.cluster, ref)
        if found is not None and annotations_of(found).get(_UID) == self.before.get("uid", ""):
            with suppress(NotFoundError, ConflictError):
                cluster.delete(ref)
            found = None
        if found is None:
            with suppress(ConflictError):
                cluster.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "type": TOKEN_TYPE, "metadata": meta})
        return found is not None and bool(at(found, ("data", "token")))

    def _create(self) -> None:
        """The account as it was. Where one is there already (an earlier run's; `default` is made by the cluster), it gets what it lacks."""
        cluster, meta = self.tools.ports.cluster, self.before["meta"]
        name = {"name": self.ref.name, "namespace": self.ref.namespace}
        try:
            cluster.create(SERVICEACCOUNTS, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {**meta, **name}, **self.before["body"]})
        except ConflictError:
            now = cluster.get(msgspec.structs.replace(self.ref, uid=""))
            wanted = {**self.before["body"], "metadata": {f: meta[f] for f in ("labels", "annotations") if f in meta}}
            cluster.patch(msgspec.structs.replace(self.ref, uid=now["metadata"]["uid"]), wanted)

    def _minted(self) -> str:
        """A token of the account; empty where one may not ask for it, or for what it is worth."""
        meta = {"name": self.ref.name, "namespace": self.ref.namespace}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "metadata": meta, "spec": {"expirationSeconds": _PROBE}}
        with suppress(ForbiddenError, NotFoundError):
            return self._good(str(at(self.tools.ports.cluster.create(SERVICEACCOUNTS, asked, subresource="token"), ("status", "token"), "")))
        return ""

    def _good(self, token: str) -> str:
        """The token where the API server takes it now; only then its no says something later."""
        with suppress(ForbiddenError):
            return token if token and _taken(token, self.tools) else ""
        return ""

    def _refused(self, probe: str, ref: ObjectRef) -> str:
        """The proof that this token is not taken any more; empty where there was none to try. Raises EndStateError where it still is."""
        if not probe:
            return ""
        tools = msgspec.structs.replace(self.tools, until=self.tools.ports.clock.monotonic() + _CACHED)
        tools.wait(lambda: not _taken(probe, tools), f"a token of {ref} from before is still taken: it was not refused")
        return f"TokenReview of a token of {ref} from before, good until then, answers: not authenticated"

    def _secret(self, token: Before) -> ObjectRef:
        return ObjectRef(resource=SECRETS, name=token["name"], namespace=self.ref.namespace, uid=token["uid"])


def _kept(secret: Obj) -> Before:
    """What is needed to make a token's Secret again; nothing of its data."""
    meta = secret["metadata"]
    drop = (_UID, "kubectl.kubernetes.io/last-applied-configuration")
    annotations = {k: v for k, v in annotations_of(secret).items() if k not in drop}
    labels = {"labels": meta["labels"]} if meta.get("labels") else {}
    return {"name": meta["name"], "uid": meta["uid"], "meta": {"annotations": annotations, **labels}}


def _taken(token: str, tools: Tools) -> bool:
    """Whether the API server takes it. Raises ForbiddenError where one may not ask."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    return at(tools.ports.cluster.create(_REVIEWS, body), ("status", "authenticated")) is True
