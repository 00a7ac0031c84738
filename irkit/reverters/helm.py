"""Helm. It undoes nothing by itself; its next upgrade or rollback does."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.kube import Obj, ObjectRef, annotations_of, labels_of
from irkit.ports import ClusterReader
from irkit.reverters.base import Reverter
from irkit.text import printable

RELEASE, NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"


class Helm:
    kind = "helm"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        annotations = annotations_of(obj)
        if RELEASE not in annotations and labels_of(obj).get("app.kubernetes.io/managed-by") != "Helm":
            return
        name = "Helm"
        if release := annotations.get(RELEASE):
            name = printable(f"Helm release {annotations.get(NAMESPACE, ref.namespace)}/{release}")
        yield Reverter(name=name, kind=self.kind, of=ref, effect=f"{name} does not undo changes by itself; its next upgrade sets {ref} up again.")
