"""A certificate that cert-manager keeps: issued again with a new private key, and with it everything that a CA has signed.

Renewal is asked for by the condition ``Issuing`` of the status, as `cmctl renew` does; it is done when no such condition is
left, serial number and key have changed and the revision is higher. ``privateKey.rotationPolicy`` becomes ``Always`` first, and
stays so: with ``Never`` the stolen key would be kept, and to delete the Secret would leave nothing where the issuer fails.

Sources: cert-manager docs, "Certificate resource" (Issuance triggers, Private key rotation); "CA issuer"; OpenBao docs,
"PKI secrets engine (API)", revoke and read CRL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC
from typing import NamedTuple

import msgspec

from irkit.credentials import age
from irkit.errors import ConflictError, EndStateError, ForbiddenError, NotFoundError
from irkit.model.credential import Credential
from irkit.model.kube import SECRETS, Obj, ObjectRef, Permission, Resource, at, permission, ref_of
from irkit.model.outcome import Outcome
from irkit.ports import ClusterReader, Observed
from irkit.rotators import x509
from irkit.rotators.base import Before, Tools, retired, rotated
from irkit.rotators.secret import decoded
from irkit.text import printable

GROUP = "cert-manager.io"
CERTIFICATES = Resource(GROUP, "v1", "certificates", "Certificate")
ISSUERS = Resource(GROUP, "v1", "issuers", "Issuer")
CLUSTERISSUERS = Resource(GROUP, "v1", "clusterissuers", "ClusterIssuer", False)
CLUSTER_NAMESPACE = "cert-manager"
"""Where the Secrets of ClusterIssuers are, by default (--cluster-resource-namespace)."""

_TRIES = 3  # issuances: an issuer may sign once more by the authority that it has in its cache
Files = dict[str, bytes]


class CertManager:
    name = "cert-manager"
    asks = False

    def takes(self, credential: Credential, seen: Observed) -> bool:
        return credential.cls == "certificate" and credential.source.certificate is not None

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        namespace = credential.ref.namespace
        return permission("patch", CERTIFICATES, namespace), permission("patch", CERTIFICATES, namespace, subresource="status")

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        ref = _ref(credential)
        yield printable(
            f"{ref} gets a new private key (rotationPolicy Always from now on); the old certificate is valid until it ends or is revoked", 400
        )
        try:
            certificate = seen.cluster.get(ref)
        except (NotFoundError, ForbiddenError):
            return
        if at(certificate, ("spec", "isCA")) is True:
            signed = ", ".join(str(leaf) for leaf in _leaves(certificate, seen.cluster)) or "none"
            yield printable(
                f"{ref} is an authority: what it signed is issued again, too ({signed}); take its old certificate out of what trusts it", 600
            )

    def before(self, credential: Credential, tools: Tools) -> Before:
        one = _Certificate(_ref(credential), tools)
        certificate = one.read()
        files = one.files(certificate)
        if "tls.crt" not in files:
            raise EndStateError(f"{one.ref} has not been issued yet; nothing was written", next=f"kubectl describe certificate {one.ref.name}")
        try:
            ends = age.validity(files["tls.crt"])[1].astimezone(UTC).strftime("%Y-%m-%d")
        except ValueError:
            ends = "its end"
        return {"serial": x509.serial(files["tls.crt"]), "key": tools.print(files.get("tls.key", b"")), "ends": ends,
                "revision": int(at(certificate, ("status", "revision")) or 0)}  # fmt: skip

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        one = _Certificate(_ref(credential), tools)

        def renewed(certificate: Obj, files: Files) -> bool:
            new_key = tools.print(files.get("tls.key", b"")) != before["key"]
            revision = int(at(certificate, ("status", "revision")) or 0)
            return "tls.crt" in files and x509.serial(files["tls.crt"]) != before["serial"] and new_key and revision > before["revision"]

        certificate = one.read()
        if not renewed(certificate, one.files(certificate)):
            one.always(certificate)
        certificate = one.issued(renewed)
        leaves = _sign_again(certificate, tools, {one.ref.uid})
        serial = x509.serial(one.files(certificate)["tls.crt"])
        also = f"; issued again by it: {', '.join(leaves)} (restart what does not reload them)" if leaves else ""
        return rotated(printable(f"{one.ref} has a new key and serial {serial}{also}", 800))

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        serial = str(before["serial"])
        certificate = _Certificate(_ref(credential), tools).read()
        mount = _vault_mount(certificate, tools.ports.cluster)
        if not mount:
            who = credential.source.issuer or "its issuer"
            return retired(
                "untested", printable(f"{who} revokes nothing by itself: certificate {serial} with its key is valid until {before['ends']}", 400)
            )
        vault = tools.ports.vaults.vault()
        try:
            vault.read(f"{mount}/cert/{serial}")
        except NotFoundError:
            known = f"{printable(vault.where)} keeps no certificate {serial} at {printable(mount)}, so it can't be revoked"
            return retired("untested", f"{known}: it is valid until {before['ends']}")
        vault.write(f"{mount}/revoke", {"serial_number": serial})
        if serial in x509.revoked(str(at(vault.read(f"{mount}/cert/crl"), ("data", "certificate"), "")).encode()):
            return retired("dead", f"certificate {serial} is in the revocation list: GET {printable(mount)}/cert/crl")
        return retired(
            "untested", f"Vault revoked certificate {serial}, but GET {printable(mount)}/cert/crl does not list it yet: valid until {before['ends']}"
        )


class _Certificate(NamedTuple):
    ref: ObjectRef
    tools: Tools

    def read(self) -> Obj:
        try:
            found = self.tools.ports.cluster.get(self.ref)
        except NotFoundError:
            raise EndStateError(f"{self.ref} is gone", next="irkit blast-radius") from None
        if self.ref.uid and at(found, ("metadata", "uid")) != self.ref.uid:
            raise EndStateError(f"{self.ref} is another one than before", next="irkit blast-radius")
        return found

    def files(self, certificate: Obj) -> Files:
        """What its Secret holds; none where there is none."""
        name = str(at(certificate, ("spec", "secretName"), ""))
        try:
            return decoded(self.tools.ports.cluster.get(ObjectRef(resource=SECRETS, name=name, namespace=self.ref.namespace)))
        except NotFoundError:
            return {}

    def always(self, certificate: Obj) -> None:
        if at(certificate, ("spec", "privateKey", "rotationPolicy")) != "Always":
            self.tools.ports.cluster.patch(self.ref, {"metadata": {"uid": self.ref.uid}, "spec": {"privateKey": {"rotationPolicy": "Always"}}})

    def issued(self, good: Callable[[Obj, Files], bool]) -> Obj:
        """Have it issued until it is as it should be. Raises EndStateError where the issuer fails, or time is over."""
        certificate = self.read()
        for _ in range(_TRIES):
            if not _issuing(certificate):
                if good(certificate, self.files(certificate)):
                    return certificate
                failed = at(certificate, ("status", "lastFailureTime"))
                certificate = self._ask(certificate)
            else:
                failed = at(certificate, ("status", "lastFailureTime"))
            certificate = self._ended(failed)
        if good(certificate, self.files(certificate)):
            return certificate
        raise EndStateError(f"{self.ref} was issued again, but not with a new key by the new authority: somebody puts rotationPolicy back,"
                            " or its issuer lags behind", next="irkit resume")  # fmt: skip

    def _ask(self, certificate: Obj) -> Obj:
        """The condition by which cert-manager begins. A merge patch replaces the list, so the others are sent as they are."""
        for _ in range(_TRIES):
            meta = certificate["metadata"]
            now = self.tools.ports.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            others = [c for c in at(certificate, ("status", "conditions"), []) if c.get("type") != "Issuing"]
            mine = {"type": "Issuing", "status": "True", "reason": "ManuallyTriggered", "message": f"by irkit, incident {self.tools.incident.id}",
                    "lastTransitionTime": now, "observedGeneration": meta.get("generation", 1)}  # fmt: skip
            body = {"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}, "status": {"conditions": [*others, mine]}}
            try:
                return self.tools.ports.cluster.patch(self.ref, body, subresource="status")
            except ConflictError:
                certificate = self.read()
                if _issuing(certificate):
                    return certificate
        raise EndStateError(f"{self.ref} is changed all the time by somebody else", next="irkit resume")

    def _ended(self, failed: object) -> Obj:
        """When no issuance goes on any more. ``failed``: when one last failed, before this one."""
        latest = self.read()

        def over() -> bool:
            nonlocal latest
            latest = self.read()
            return not _issuing(latest) or at(latest, ("status", "lastFailureTime")) != failed

        try:
            self.tools.wait(over, f"{self.ref} was not issued")
        except EndStateError as late:
            raise EndStateError(f"{late.message}: {_said(latest)}; the old one is still in place", next=late.next) from None
        if at(latest, ("status", "lastFailureTime")) != failed:
            raise EndStateError(f"{self.ref} was not issued: {_said(latest)}; the old one is still in place", next="irkit resume")
        return latest


def _sign_again(authority: Obj, tools: Tools, seen: set[str]) -> list[str]:
    """Have everything issued again that this authority has signed: cert-manager does not by itself. Returns what was."""
    if at(authority, ("spec", "isCA")) is not True:
        return []
    done: list[str] = []
    ref = ref_of(authority, CERTIFICATES)
    own = x509.blocks(_Certificate(ref, tools).files(authority).get("tls.crt", b""))[:1]

    def signed(_: Obj, files: Files) -> bool:
        return bool(own) and own[0] in (*x509.blocks(files.get("tls.crt", b""))[1:], *x509.blocks(files.get("ca.crt", b"")))

    for leaf in _leaves(authority, tools.ports.cluster):
        if leaf.uid not in seen:
            seen.add(leaf.uid)
            issued = _Certificate(leaf, tools).issued(signed)
            done += [str(leaf), *_sign_again(issued, tools, seen)]
    return done


def _leaves(authority: Obj, cluster: ClusterReader) -> list[ObjectRef]:
    """The Certificates of the issuers that sign with this authority's Secret."""
    namespace, secret = at(authority, ("metadata", "namespace"), ""), at(authority, ("spec", "secretName"), "")

    def signing(issuers: Resource, where: str | None) -> set[str]:
        return {i["metadata"]["name"] for i in cluster.list(issuers, where) if at(i, ("spec", "ca", "secretName")) == secret}

    names = signing(ISSUERS, namespace)
    found = [c for c in cluster.list(CERTIFICATES, namespace) if names and _issuer(c) in {("Issuer", n) for n in names}]
    if namespace == CLUSTER_NAMESPACE and (names := signing(CLUSTERISSUERS, None)):
        found += [c for c in cluster.list(CERTIFICATES) if _issuer(c) in {("ClusterIssuer", n) for n in names}]
    return [r for c in found if (r := ref_of(c, CERTIFICATES)).uid != at(authority, ("metadata", "uid"))]


def _issuer(certificate: Obj) -> tuple[str, str]:
    ref = at(certificate, ("spec", "issuerRef"), {})
    ours = ref.get("group") in (None, "", GROUP)
    return (ref.get("kind") or "Issuer", ref.get("name", "")) if ours else ("", "")


def _vault_mount(certificate: Obj, cluster: ClusterReader) -> str:
    """Where the PKI engine is that signs it; empty where its issuer is none of Vault's."""
    kind, name = _issuer(certificate)
    resource = {"Issuer": ISSUERS, "ClusterIssuer": CLUSTERISSUERS}.get(kind)
    if resource is None:
        return ""
    try:
        issuer = cluster.get(
            ObjectRef(resource=resource, name=name, namespace=at(certificate, ("metadata", "namespace"), "") if resource.namespaced else "")
        )
    except (NotFoundError, ForbiddenError):
        return ""
    path = str(at(issuer, ("spec", "vault", "path"), "")).strip("/")
    return next((path.partition(f"/{verb}/")[0] for verb in ("sign", "issue", "sign-verbatim") if f"/{verb}/" in path), "")


def _ref(credential: Credential) -> ObjectRef:
    assert credential.source.certificate is not None, "takes() has looked"
    return msgspec.structs.replace(credential.source.certificate, resource=CERTIFICATES)


def _issuing(certificate: Obj) -> bool:
    return any(c.get("type") == "Issuing" and c.get("status") == "True" for c in at(certificate, ("status", "conditions"), ()))


def _said(certificate: Obj) -> str:
    """The last words about an issuance: those of its request's failure, or what it waits for."""
    conditions = {c.get("type"): c for c in at(certificate, ("status", "conditions"), ())}
    return printable(at(conditions.get("Issuing", {}), ("message",), "") or "its issuer gives no reason", 240)
