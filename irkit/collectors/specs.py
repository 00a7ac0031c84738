"""What was wished for: owners and their history, what selects the pod, what the pod refers to."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.collectors.base import GET_POD, LIST_PODS, Asker, Read, indented, kept, kept_list, place, pod_file
from irkit.model.evidence import Artefact, Piece, Scope
from irkit.model.kube import (
    CONFIGMAPS,
    CONTROLLERREVISIONS,
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    ENDPOINTSLICES,
    JOBS,
    PVCS,
    REPLICASETS,
    SECRETS,
    SERVICES,
    STATEFULSETS,
    Obj,
    at,
    labels_of,
    owned_by,
    ref_of,
)
from irkit.model.references import Reference, references_of
from irkit.model.secret import elide
from irkit.ports import ClusterReader
from irkit.text import printable

_OWNERS = tuple(Read("get", kind) for kind in (REPLICASETS, DEPLOYMENTS, STATEFULSETS, DAEMONSETS, JOBS, CRONJOBS))
_HISTORY = (Read("list", REPLICASETS), Read("list", CONTROLLERREVISIONS))
_HAVE_HISTORY = {"ReplicaSet": ("Deployment",), "ControllerRevision": ("StatefulSet", "DaemonSet")}
_SERVICES, _SLICES = Read("list", SERVICES), Read("list", ENDPOINTSLICES)
_REFERRED = {"Secret": Read("get", SECRETS), "ConfigMap": Read("get", CONFIGMAPS), "PersistentVolumeClaim": Read("get", PVCS)}


class Specs:
    name = "specs"
    volatility = 40
    reads = (GET_POD, LIST_PODS, *_OWNERS, *_HISTORY, _SERVICES, _SLICES, *_REFERRED.values())

    def collect(self, scope: Scope, cluster: ClusterReader, key: bytes) -> Iterator[Piece]:
        """Objects as they were read, but for Secrets (key names, lengths, HMACs) and ConfigMaps (key names, lengths)."""
        ask = Asker(cluster, scope)
        if pod := ask.pod():
            yield pod_file(scope.pod, pod)
        yield from self._owners(scope, ask)
        yield from self._services(scope, ask)
        for reference in references_of(pod or {}):
            yield from self._referred(reference, ask, key)
        yield from ask.missing

    def _owners(self, scope: Scope, ask: Asker) -> Iterator[Piece]:
        for ref in scope.owners:
            if (found := ask.object(ref, str(ref))) is not None:
                yield kept(found, ref.resource)
        for read in _HISTORY:
            for owner in (o for o in scope.owners if o.kind in _HAVE_HISTORY[read.resource.kind]):
                what = f"{read.resource.kind}s of {owner}"
                if (history := ask.list(read, what)) is not None:
                    path = ("namespaces", owner.namespace, owner.resource.plural, f"{owner.name}.{read.resource.plural}.json")
                    yield kept_list(path, [h for h in history if owned_by(h, owner)], what, owner.uid)

    def _services(self, scope: Scope, ask: Asker) -> Iterator[Piece]:
        """Those that selected the pod by the labels that it had before it was cut off."""
        of_pod, names = ("pods", scope.pod.namespace, scope.pod.name), set()
        what = f"Services that selected {scope.pod}"
        if (services := ask.list(_SERVICES, what)) is not None:
            matched = [s for s in services if _chooses(s, scope)]
            names = {at(s, ("metadata", "name")) for s in matched}
            yield kept_list((*of_pod, "services.json"), matched, what, scope.pod.uid)
        what = f"EndpointSlices of the Services of {scope.pod}"
        if (slices := ask.list(_SLICES, what)) is not None:
            matched = [s for s in slices if labels_of(s).get("kubernetes.io/service-name") in names or _holds(s, scope)]
            yield kept_list((*of_pod, "endpointslices.json"), matched, what, scope.pod.uid)

    def _referred(self, reference: Reference, ask: Asker, key: bytes) -> Iterator[Piece]:
        read = _REFERRED[reference.kind]
        what = f"{reference.kind} {printable(reference.name)}" + ("" if reference.kind == "PersistentVolumeClaim" else " (key names, no values)")
        found = ask.get(read, reference.name, what, optional=reference.optional)
        if found is None:
            return
        safe = found
        if reference.kind == "Secret":
            safe = elide(found, key)
        elif reference.kind == "ConfigMap":
            safe = _keys_only(found)
        content = indented(safe)  # now, so that nothing keeps the values
        yield Artefact(place(ref_of(found, read.resource)), lambda: iter((content,)), what, of=at(found, ("metadata", "uid"), ""))


def _chooses(service: Obj, scope: Scope) -> bool:
    """A Service without a selector chooses nothing: somebody else fills its EndpointSlices."""
    selector = at(service, ("spec", "selector"), {})
    return bool(selector) and all(scope.labels.get(label) == value for label, value in selector.items())


def _holds(part: Obj, scope: Scope) -> bool:
    return any(scope.pod.uid and at(endpoint, ("targetRef", "uid")) == scope.pod.uid for endpoint in part.get("endpoints") or ())


def _keys_only(config: Obj) -> Obj:
    """A ConfigMap may hold passwords, too: values are left out, and annotations, which may repeat them."""
    meta = {k: v for k, v in (config.get("metadata") or {}).items() if k not in ("managedFields", "annotations")}
    keys = {k: {"length": len(str(v).encode("utf-8", "surrogatepass"))} for k, v in (config.get("data") or {}).items()}
    binary = {k: {"base64Length": len(str(v))} for k, v in (config.get("binaryData") or {}).items()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": keys, **({"binaryData": binary} if binary else {})}
