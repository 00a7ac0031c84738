"""Flux, by the labels that its kustomize-controller and helm-controller put on the objects they apply (fluxcd.io)."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.kube import Obj, ObjectRef, annotations_of, labels_of
from irkit.ports import ClusterReader
from irkit.reverters.base import Reverter
from irkit.text import printable

OWNERS = {"kustomize.toolkit.fluxcd.io": "Kustomization", "helm.toolkit.fluxcd.io": "HelmRelease"}
DISABLED = "kustomize.toolkit.fluxcd.io/reconcile"  # "disabled": left alone (fluxcd/kustomize-controller#484)


class Flux:
    kind = "flux"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        labels = labels_of(obj)
        for prefix, kind in OWNERS.items():
            if f"{prefix}/name" not in labels:
                continue
            name = printable(f"Flux {kind} {labels.get(f'{prefix}/namespace', ref.namespace)}/{labels[f'{prefix}/name']}")
            effect = f"{name} puts {ref} back as it is in Git at its next reconciliation; its spec.suspend pauses it."
            if kind == "HelmRelease":
                effect = f"{name} puts {ref} back if it corrects drift, and at its next upgrade; its spec.suspend pauses it."
            elif str(annotations_of(obj).get(DISABLED, "")).lower() == "disabled":
                effect = f"{name} leaves {ref} alone: its reconciliation is disabled there."
            yield Reverter(name=name, kind=self.kind, of=ref, effect=effect)
