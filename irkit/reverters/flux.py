"""Flux, by the labels that its kustomize-controller and helm-controller put on the objects they apply (fluxcd.io).

Whoever may write the workload may write these labels, so a Kustomization is paused only where its own inventory has the
workload; a HelmRelease has none (API v2), so it is believed where it releases into the workload's namespace.
"""

from __future__ import annotations

from collections.abc import Iterator

from irkit.errors import IrkitError, NotFoundError
from irkit.model.kube import Obj, ObjectRef, Resource, annotations_of, at, labels_of, ref_of
from irkit.ports import ClusterReader
from irkit.reverters.base import Reverter, pausing
from irkit.text import printable

OWNERS = {"kustomize.toolkit.fluxcd.io": "Kustomization", "helm.toolkit.fluxcd.io": "HelmRelease"}
VERSIONS = {"Kustomization": ("v1", "v1beta2"), "HelmRelease": ("v2", "v2beta2", "v2beta1")}  # newest first; clusters serve some
DISABLED = "kustomize.toolkit.fluxcd.io/reconcile"  # "disabled": left alone (fluxcd/kustomize-controller#484)
SUSPEND = ("spec", "suspend")


class Flux:
    kind = "flux"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        labels = labels_of(obj)
        for group, kind in OWNERS.items():
            if f"{group}/name" in labels:
                yield _reverter(ref, obj, group, kind, cluster)


def _reverter(ref: ObjectRef, obj: Obj, group: str, kind: str, cluster: ClusterReader) -> Reverter:
    labels = labels_of(obj)
    own, where = labels[f"{group}/name"], labels.get(f"{group}/namespace", ref.namespace)
    name = printable(f"Flux {kind} {where}/{own}")
    effect = f"{name} puts {ref} back as it is in Git at its next reconciliation; its spec.suspend pauses it."
    if kind == "HelmRelease":
        effect = f"{name} puts {ref} back if it corrects drift, and at its next upgrade; its spec.suspend pauses it."
    elif str(annotations_of(obj).get(DISABLED, "")).lower() == "disabled":
        return Reverter(name=name, kind="flux", of=ref, effect=f"{name} leaves {ref} alone: its reconciliation is disabled there.")
    found = _managing(ref, group, kind, own, where, cluster)
    if isinstance(found, str):
        return Reverter(name=name, kind="flux", of=ref, effect=effect, why_not=found, reverts=True, git=True)
    owner, resource = found
    pause = pausing(ref_of(owner, resource), owner, SUSPEND, True, name)
    if pause is None:
        return Reverter(name=name, kind="flux", of=ref, effect=f"{name} is suspended.", git=True)
    return Reverter(name=name, kind="flux", of=ref, effect=effect, pause=pause, reverts=True, git=True)


def _managing(ref: ObjectRef, group: str, kind: str, name: str, namespace: str, cluster: ClusterReader) -> tuple[Obj, Resource] | str:
    """The object that manages the workload by its own word; else why there is none to pause."""
    for version in VERSIONS[kind]:
        resource = Resource(group, version, f"{kind.lower()}s", kind)
        try:
            found = cluster.get(ObjectRef(resource=resource, name=name, namespace=namespace))
        except NotFoundError:
            continue
        except IrkitError as error:
            return f"it can't be read: {error.message}"
        if not _has(found, kind, ref):
            return f"it does not say itself that it manages {ref}"
        return found, resource
    return "it is not there"


def _has(owner: Obj, kind: str, ref: ObjectRef) -> bool:
    if kind == "HelmRelease":
        return bool(at(owner, ("spec", "targetNamespace"), at(owner, ("metadata", "namespace"))) == ref.namespace)
    wanted = f"{ref.namespace}_{ref.name}_{ref.resource.group}_{ref.kind}"
    return any(e.get("id") == wanted for e in at(owner, ("status", "inventory", "entries")) or ())
