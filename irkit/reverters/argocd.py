"""Argo CD, by what it writes on the objects it manages: the tracking annotation, its own label, or its field manager.

The label ``app.kubernetes.io/instance`` alone says nothing: Helm charts set it everywhere (argo-cd.readthedocs.io, resource tracking).
Whoever may write the workload may name any Application there, so only one that lists the workload in its status is paused.
"""

from __future__ import annotations

from collections.abc import Iterator

from irkit.errors import IrkitError, NotFoundError
from irkit.model.kube import Obj, ObjectRef, Resource, annotations_of, at, labels_of, ref_of
from irkit.model.managers import managers
from irkit.ports import ClusterReader
from irkit.reverters.base import Reverter, pausing
from irkit.text import printable

APPLICATIONS = Resource("argoproj.io", "v1alpha1", "applications", "Application")
TRACKING, INSTANCE, OWN_INSTANCE = "argocd.argoproj.io/tracking-id", "app.kubernetes.io/instance", "argocd.argoproj.io/instance"
SKIP = "argocd.argoproj.io/skip-reconcile"
MANAGER = "argocd-controller"
HOME = "argocd"  # the namespace in which Argo CD is installed, unless somebody chose another


class ArgoCd:
    kind = "argocd"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        application = _application(obj)
        if application is None:
            return
        name = f"Argo CD Application {application}" if application else "Argo CD"
        what = f"the Application {application}" if application else "its Application"
        effect = f"{name} puts {ref} back as it is in Git if it heals itself; {SKIP} on {what} pauses it."
        found = _managing(ref, application, cluster)
        if isinstance(found, str):
            yield Reverter(name=name, kind=self.kind, of=ref, effect=effect, why_not=found, reverts=True, git=True)
            return
        if annotations_of(found).get(SKIP) == "true":
            yield Reverter(name=name, kind=self.kind, of=ref, effect=f"{name} is paused: {SKIP} is set.", git=True)
            return
        pause = pausing(ref_of(found, APPLICATIONS), found, ("metadata", "annotations", SKIP), "true", name)
        if TRACKING in annotations_of(found):
            parent = printable(annotations_of(found)[TRACKING].partition(":")[0])
            effect += f" It belongs to another Application itself, {parent}, which may end the pause."
        yield Reverter(name=name, kind=self.kind, of=ref, effect=effect, pause=pause, reverts=True, git=True)


def _application(obj: Obj) -> str | None:
    """The Application's name, empty where Argo CD is there without saying which; None where it is not."""
    labels, tracking = labels_of(obj), annotations_of(obj).get(TRACKING)
    if tracking:
        return printable(tracking.partition(":")[0])
    if OWN_INSTANCE in labels:
        return printable(labels[OWN_INSTANCE])
    return printable(labels.get(INSTANCE, "")) if any(m.name == MANAGER for m in managers(obj)) else None


def _managing(ref: ObjectRef, named: str, cluster: ClusterReader) -> Obj | str:
    """The Application that says itself that it manages the workload; else why there is none to pause."""
    try:
        found = [a for a in _applications(cluster) if _lists(a, ref)]
    except IrkitError as error:
        return f"its Application can't be read: {error.message}"
    # of those in any namespace the tracking id says NAMESPACE_NAME
    fitting = [a for a in found if not named or named in (_name(a), f"{at(a, ('metadata', 'namespace'), '')}_{_name(a)}")]
    if len(fitting) == 1:
        return fitting[0]
    return f"no Application{f' {named}' if named else ''} says that it manages {ref}" if not fitting else "several Applications manage it"


def _applications(cluster: ClusterReader) -> list[Obj]:
    try:
        return list(cluster.list(APPLICATIONS, None))
    except NotFoundError:
        return []
    except IrkitError:
        return list(cluster.list(APPLICATIONS, HOME))


def _name(application: Obj) -> str:
    return str(at(application, ("metadata", "name"), ""))


def _lists(application: Obj, ref: ObjectRef) -> bool:
    wanted = (ref.resource.group, ref.kind, ref.namespace, ref.name)
    return any((r.get("group", ""), r.get("kind"), r.get("namespace"), r.get("name")) == wanted
               for r in at(application, ("status", "resources")) or ())  # fmt: skip
