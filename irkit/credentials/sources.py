"""Where the value of each key of a Secret is made and kept, by the objects that write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from irkit.credentials import external
from irkit.credentials.look import CERTIFICATES, EXTERNALSECRETS, Look
from irkit.credentials.reach import ACCOUNT_NAME, AGENT_NAMESPACE, AGENT_ROLE, AGENT_SERVICE, TOKEN_TYPE, word
from irkit.model.credential import Source
from irkit.model.kube import Obj, ObjectRef, annotations_of, at, labels_of, ref_of
from irkit.model.managers import managers
from irkit.text import printable

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

CERTIFICATE_NAME, ISSUER, ISSUER_KIND = "cert-manager.io/certificate-name", "cert-manager.io/issuer-name", "cert-manager.io/issuer-kind"
_FLUX = {"kustomize.toolkit.fluxcd.io": "Kustomization", "helm.toolkit.fluxcd.io": "HelmRelease"}


class Sources:
    """What writes the Secrets of some namespaces. Lists only what some of them could come from."""

    def __init__(self, look: Look, secrets: Iterable[Obj], namespaces: Collection[str]) -> None:
        here = self.here = frozenset(namespaces)
        self._look = look
        self._found: dict[tuple[str, str, str], Source] = {}
        self._writers: dict[tuple[str, str], list[Obj]] = {}
        for found in look.within(EXTERNALSECRETS, here):
            self._writers.setdefault((at(found, ("metadata", "namespace"), ""), external.target_of(found)), []).append(found)
        self._stores = external.Stores(look, here) if self._writers else None
        certified = any(_certified(s) for s in secrets)
        self._certificates = {(at(c, ("metadata", "namespace"), ""), word(at(c, ("spec", "secretName")))): c
                              for c in (look.within(CERTIFICATES, here) if certified else ())}  # fmt: skip

    def writer(self, secret: Obj) -> Obj | None:
        """The ExternalSecret that writes this Secret: its owner, else the only one whose target it is."""
        meta = secret["metadata"]
        found = self._writers.get((meta.get("namespace", ""), meta.get("name", "")), ())
        owners = {o.get("uid") for o in meta.get("ownerReferences") or ()}
        return next((e for e in found if at(e, ("metadata", "uid")) in owners), found[0] if found else None)

    def certificate(self, secret: Obj) -> Obj | None:
        meta = secret["metadata"]
        return self._certificates.get((meta.get("namespace", ""), meta.get("name", "")))

    def of(self, secret: Obj, key: str) -> Source:
        """The source of one key; the same value for all keys that have the same one."""
        meta = secret["metadata"]
        name = (meta.get("namespace", ""), meta.get("name", ""), key)
        if name not in self._found:
            self._found[name] = self._of(secret, key)
        return self._found[name]

    def _of(self, secret: Obj, key: str) -> Source:
        if secret.get("type") == TOKEN_TYPE:
            return Source(kind="service-account", owner=f"ServiceAccount {printable(annotations_of(secret).get(ACCOUNT_NAME, ''))}")
        if (certificate := self.certificate(secret)) is not None:
            return _of_certificate(certificate)
        if (writer := self.writer(secret)) is not None and self._stores is not None:
            found = external.source_of(writer, key, self._stores, self._look)
            return found if found.external_secret else _plain(secret)
        return _plain(secret)


def _plain(secret: Obj) -> Source:
    owners = at(secret, ("metadata", "ownerReferences"), ())
    synced = next((o for o in owners if o.get("kind") == "SecretProviderClassPodStatus"), None)
    if synced is not None:
        return Source(kind="csi", owner=f"the Secrets Store CSI driver ({printable(synced.get('name', ''))})")
    wanted = annotations_of(secret).get(CERTIFICATE_NAME)
    if wanted and secret.get("type") == "kubernetes.io/tls":
        issuer = f"{annotations_of(secret).get(ISSUER_KIND) or 'Issuer'} {annotations_of(secret).get(ISSUER, '')}"
        gone = f"it names Certificate {printable(wanted)}, which does not write it now"
        return Source(issuer=printable(issuer), owner=owner_of(secret), notes=(gone,))
    return Source(owner=owner_of(secret))


def _of_certificate(certificate: Obj) -> Source:
    ref = ref_of(certificate, CERTIFICATES[0])
    issuer = at(certificate, ("spec", "issuerRef"), {})
    group = word(issuer.get("group"))
    name = f"{issuer.get('kind') or 'Issuer'} {issuer.get('name', '')}" + (f" ({group})" if group not in ("", "cert-manager.io") else "")
    never = word(at(certificate, ("spec", "privateKey", "rotationPolicy"))) == "Never"
    return Source(kind="certificate", certificate=ref, issuer=printable(name),
                  notes=("privateKey.rotationPolicy Never: a renewal keeps the private key",) if never else ())  # fmt: skip


def _certified(secret: Obj) -> bool:
    return secret.get("type") == "kubernetes.io/tls" or CERTIFICATE_NAME in annotations_of(secret)


def owner_of(obj: Obj) -> str:
    """Who else writes it and would undo a change, by the marks that they leave (as `irkit.reverters` reads them); empty: nobody known."""
    labels, annotations = labels_of(obj), annotations_of(obj)
    namespace = at(obj, ("metadata", "namespace"), "")
    if tracking := annotations.get("argocd.argoproj.io/tracking-id"):
        return printable(f"Argo CD Application {tracking.partition(':')[0]}")
    if instance := labels.get("argocd.argoproj.io/instance"):
        return printable(f"Argo CD Application {instance}")
    if any(m.name == "argocd-controller" for m in managers(obj)):
        return "Argo CD"
    for prefix, kind in _FLUX.items():
        if name := labels.get(f"{prefix}/name"):
            return printable(f"Flux {kind} {labels.get(f'{prefix}/namespace', namespace)}/{name}")
    if release := annotations.get("meta.helm.sh/release-name"):
        return printable(f"Helm release {annotations.get('meta.helm.sh/release-namespace', namespace)}/{release}")
    if labels.get("app.kubernetes.io/managed-by") == "Helm":
        return "Helm"
    owner = next((o for o in at(obj, ("metadata", "ownerReferences"), ()) if o.get("controller")), None)
    return printable(f"{owner.get('kind', '')} {owner.get('name', '')}") if owner else ""


def of_agent(path: str, annotations: dict[str, str]) -> Source:
    """What a Vault agent in the pod reads (developer.hashicorp.com/vault, agent injector annotations)."""
    mount, _, rest = path.strip("/").partition("/")
    version = "v2" if rest.startswith("data/") else ""
    role = annotations.get(AGENT_ROLE, "")
    return Source(kind="vault", provider="vault", server=annotations.get(AGENT_SERVICE, ""), namespace=annotations.get(AGENT_NAMESPACE, ""),
                  mount=mount, path=rest.removeprefix("data/") if version else rest, version=version,
                  notes=(f"read by a Vault agent as role {printable(role)}",) if role else ("read by a Vault agent",))  # fmt: skip


def of_provider(reference: ObjectRef, found: Obj | None) -> Source:
    """What a SecretProviderClass reads. ``found`` None: it could not be read, or is gone."""
    if found is None:
        return Source(kind="csi", notes=(f"{reference} could not be read",))
    provider, parameters = word(at(found, ("spec", "provider"))), at(found, ("spec", "parameters"), {})
    server = word(parameters.get("vaultAddress"))
    lines = word(parameters.get("objects"))[:65536].splitlines()
    paths = [line.partition("secretPath:")[2].strip(" \"'") for line in lines if "secretPath:" in line]
    return Source(kind="csi", provider=provider, server=server, path=", ".join(dict.fromkeys(paths)),
                  notes=(f"role {printable(parameters['roleName'])}",) if isinstance(parameters.get("roleName"), str) else ())  # fmt: skip
