"""Argo CD, by what it writes on the objects it manages: the tracking annotation, its own label, or its field manager.

The label ``app.kubernetes.io/instance`` alone says nothing: Helm charts set it everywhere (argo-cd.readthedocs.io, resource tracking).
"""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.kube import Obj, ObjectRef, annotations_of, labels_of
from irkit.model.managers import managers
from irkit.ports import ClusterReader
from irkit.reverters.base import Reverter
from irkit.text import printable

TRACKING, INSTANCE, OWN_INSTANCE = "argocd.argoproj.io/tracking-id", "app.kubernetes.io/instance", "argocd.argoproj.io/instance"
MANAGER = "argocd-controller"


class ArgoCd:
    kind = "argocd"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        application = _application(obj)
        if application is not None:
            name = f"Argo CD Application {application}" if application else "Argo CD"
            what = f"the Application {application}" if application else "its Application"
            yield Reverter(name=name, kind=self.kind, of=ref,
                           effect=f"{name} puts {ref} back as it is in Git if it heals itself; "
                                  f"argocd.argoproj.io/skip-reconcile on {what} pauses it.")  # fmt: skip


def _application(obj: Obj) -> str | None:
    """The Application's name, empty where Argo CD is there without saying which; None where it is not."""
    labels, tracking = labels_of(obj), annotations_of(obj).get(TRACKING)
    if tracking:
        return printable(tracking.partition(":")[0])
    if OWN_INSTANCE in labels:
        return printable(labels[OWN_INSTANCE])
    return printable(labels.get(INSTANCE, "")) if any(m.name == MANAGER for m in managers(obj)) else None
