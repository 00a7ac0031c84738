"""Lists of a cluster for the blast radius: each asked for once, a fixed number of them; what was refused is kept as a gap."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.kube import SECRETS, Obj, ObjectRef, Resource, at
from irkit.ports import ClusterReader
from irkit.text import printable

ES_GROUP, CM_GROUP, CSI_GROUP = "external-secrets.io", "cert-manager.io", "secrets-store.csi.x-k8s.io"
EXTERNALSECRETS = tuple(Resource(ES_GROUP, v, "externalsecrets", "ExternalSecret") for v in ("v1", "v1beta1"))
SECRETSTORES = tuple(Resource(ES_GROUP, v, "secretstores", "SecretStore") for v in ("v1", "v1beta1"))
CLUSTERSECRETSTORES = tuple(Resource(ES_GROUP, v, "clustersecretstores", "ClusterSecretStore", False) for v in ("v1", "v1beta1"))
CERTIFICATES = (Resource(CM_GROUP, "v1", "certificates", "Certificate"),)
PROVIDERCLASSES = tuple(Resource(CSI_GROUP, v, "secretproviderclasses", "SecretProviderClass") for v in ("v1", "v1alpha1"))


class Unknown(msgspec.Struct, frozen=True):
    """What could not be read, so that nobody takes silence for nothing."""

    what: str
    why: str


class Look:
    """One look at a cluster. UnreachableError and the like go on to the caller; a refusal becomes a gap."""

    def __init__(self, cluster: ClusterReader) -> None:
        self._cluster = cluster
        self._answers: dict[tuple[Resource, str | None], Sequence[Obj] | ForbiddenError | NotFoundError] = {}
        self._groups: dict[Resource, dict[str, list[Obj]]] = {}
        self._gaps: dict[str, Unknown] = {}

    @property
    def unknown(self) -> tuple[Unknown, ...]:
        return tuple(self._gaps.values())

    def gap(self, what: str, why: str) -> None:
        self._gaps.setdefault(what, Unknown(what, why))

    def _ask(self, resource: Resource, namespace: str | None) -> Sequence[Obj] | ForbiddenError | NotFoundError:
        key = (resource, namespace)
        if key not in self._answers:
            try:
                self._answers[key] = self._cluster.list(resource, namespace)
            except (ForbiddenError, NotFoundError) as error:
                self._answers[key] = error
        return self._answers[key]

    def version(self, versions: Sequence[Resource], obj: Obj) -> Resource:
        """Of these, the one that ``obj`` was read as."""
        return next((r for r in versions if r.api_version == obj.get("apiVersion")), versions[0])

    def cluster_wide(self, versions: Sequence[Resource]) -> Sequence[Obj] | None:
        """All objects of all namespaces in the first version that is served; None: may not be read."""
        for resource in versions:
            answer = self._ask(resource, None)
            if isinstance(answer, ForbiddenError):
                return None
            if not isinstance(answer, NotFoundError):
                return answer
        return ()

    def within(self, versions: Sequence[Resource], namespaces: Collection[str]) -> Sequence[Obj]:
        """The objects of these namespaces: one list for one namespace, else one for all, where that may be read."""
        if len(namespaces) > 1 and self.cluster_wide(versions) is not None:
            grouped = self._grouped(versions)
            return [o for n in sorted(namespaces) for o in grouped.get(n, ())]
        return [o for n in sorted(namespaces) for o in self._in_one(versions, n)]

    def list(self, resource: Resource, namespace: str) -> Sequence[Obj]:
        """The objects of one namespace, out of the list of all where that was read already; none where it may not be read."""
        if (resource, None) in self._answers and self.cluster_wide((resource,)) is not None:
            return self._grouped((resource,)).get(namespace, ())
        return self._in_one((resource,), namespace)

    def _grouped(self, versions: Sequence[Resource]) -> Mapping[str, Sequence[Obj]]:
        key = versions[0]
        if key not in self._groups:
            groups = self._groups[key] = {}
            for obj in self.cluster_wide(versions) or ():
                groups.setdefault(at(obj, ("metadata", "namespace"), ""), []).append(obj)
        return self._groups[key]

    def _in_one(self, versions: Sequence[Resource], namespace: str) -> Sequence[Obj]:
        for resource in versions:
            answer = self._ask(resource, namespace)
            if isinstance(answer, ForbiddenError):
                self.gap(f"{resource.kind}s in namespace {printable(namespace)}", answer.message)
                return ()
            if not isinstance(answer, NotFoundError):
                return answer
        return ()

    def secret(self, namespace: str, name: str) -> Obj | None:
        """One Secret by name, for those who may not list; None where there is none or it may not be read (then a gap)."""
        try:
            return self._cluster.get(ObjectRef(resource=SECRETS, name=name, namespace=namespace))
        except NotFoundError:
            return None
        except ForbiddenError as error:
            self.gap(f"Secret {printable(namespace)}/{printable(name)}: its keys, class, source and age", error.message)
            return None

    def refused(self, resource: Resource, namespace: str) -> bool:
        """Whether the objects of this namespace may not be listed."""
        if isinstance(self._answers.get((resource, None)), Sequence):
            return False
        return isinstance(self._ask(resource, namespace), ForbiddenError)
