"""Lists of a cluster for the blast radius: each asked for once, a fixed number of them; what was refused is kept as a gap."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.kube import ROLES, SECRETS, Obj, ObjectRef, Resource, at
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
    """One look at a cluster. A refusal becomes a gap; UnreachableError and the like go on to the caller.

    ``here``: the namespaces that it is about. One is listed by itself; several, and any other, out of a list of all
    namespaces, and only where that is refused each by itself. Where several versions of a resource are given, the first
    that is served counts. ``narrow``: why nothing but RBAC is read of other namespaces; empty: all is.
    """

    def __init__(self, cluster: ClusterReader, here: Collection[str], narrow: str = "") -> None:
        self._cluster, self._here, self._narrow = cluster, frozenset(here), narrow
        self._answers: dict[tuple[Resource, str | None], Sequence[Obj] | ForbiddenError | NotFoundError] = {}
        self._groups: dict[Resource, dict[str, list[Obj]]] = {}
        self._gaps: dict[str, Unknown] = {}

    @property
    def narrow(self) -> bool:
        """Whether nothing but RBAC is read of other namespaces, as was asked for."""
        return bool(self._narrow)

    @property
    def unknown(self) -> tuple[Unknown, ...]:
        return tuple(self._gaps.values())

    def gap(self, what: str, why: str) -> None:
        self._gaps.setdefault(what, Unknown(what, why))

    def version(self, versions: Sequence[Resource], obj: Obj) -> Resource:
        """Of these, the one that ``obj`` was read as."""
        return next((r for r in versions if r.api_version == obj.get("apiVersion")), versions[0])

    def _ask(self, resource: Resource, namespace: str | None) -> Sequence[Obj] | ForbiddenError | NotFoundError:
        key = (resource, namespace)
        outside = resource.group != ROLES.group and resource.namespaced and namespace not in self._here
        if key not in self._answers and self._narrow and outside:
            self._answers[key] = ForbiddenError(self._narrow)
        if key not in self._answers:
            try:
                self._answers[key] = self._cluster.list(resource, namespace)
            except (ForbiddenError, NotFoundError) as error:
                self._answers[key] = error
        return self._answers[key]

    def _served(self, versions: Sequence[Resource], namespace: str | None) -> Sequence[Obj] | ForbiddenError:
        """The first answer that is not "not served"; where that is all, there is nothing."""
        for resource in versions:
            answer = self._ask(resource, namespace)
            if not isinstance(answer, NotFoundError):
                return answer
        return ()

    def everywhere(self, *versions: Resource) -> Sequence[Obj]:
        """All objects of all namespaces; where that may not be read, those of ``here``, and the others are a gap."""
        answer = self._served(versions, None)
        if not isinstance(answer, ForbiddenError):
            return answer
        kind = versions[0].kind
        if not versions[0].namespaced:
            self.gap(f"{kind}s", answer.message)
            return ()
        self.gap(f"{kind}s in other namespaces than {', '.join(map(printable, sorted(self._here)))}", answer.message)
        return [o for n in sorted(self._here) for o in self._in_one(versions, n)]

    def within(self, versions: Sequence[Resource], namespaces: Collection[str]) -> Sequence[Obj]:
        """The objects of these namespaces."""
        return [o for n in sorted(namespaces) for o in self._of(versions, n)]

    def list(self, resource: Resource, namespace: str) -> Sequence[Obj]:
        """The objects of one namespace; none where they may not be read."""
        return self._of((resource,), namespace)

    def _of(self, versions: Sequence[Resource], namespace: str) -> Sequence[Obj]:
        alone = self._here == {namespace}
        if alone and not any((r, None) in self._answers for r in versions):
            return self._in_one(versions, namespace)
        if isinstance(self._served(versions, None), ForbiddenError):
            return self._in_one(versions, namespace)
        return self._grouped(versions).get(namespace, ())

    def _grouped(self, versions: Sequence[Resource]) -> Mapping[str, Sequence[Obj]]:
        key = versions[0]
        if key not in self._groups:
            groups = self._groups[key] = {}
            answer = self._served(versions, None)
            for obj in () if isinstance(answer, ForbiddenError) else answer:
                groups.setdefault(at(obj, ("metadata", "namespace"), ""), []).append(obj)
        return self._groups[key]

    def _in_one(self, versions: Sequence[Resource], namespace: str) -> Sequence[Obj]:
        answer = self._served(versions, namespace)
        if isinstance(answer, ForbiddenError):
            self.gap(f"{versions[0].kind}s in namespace {printable(namespace)}", answer.message)
            return ()
        return answer

    def refused(self, resource: Resource, namespace: str | None) -> bool:
        """Whether a list was asked for and refused; of one namespace, whether nothing else told what is in it."""
        if namespace is not None and isinstance(self._answers.get((resource, None)), Sequence):
            return False
        return isinstance(self._answers.get((resource, namespace)), ForbiddenError)

    def secret(self, namespace: str, name: str) -> Obj | None:
        """One Secret by name, for those who may not list; None where there is none or it may not be read (then a gap)."""
        if self._narrow and namespace not in self._here:
            return None
        try:
            return self._cluster.get(ObjectRef(resource=SECRETS, name=name, namespace=namespace))
        except NotFoundError:
            return None
        except ForbiddenError as error:
            self.gap(f"Secret {printable(namespace)}/{printable(name)}: its keys, class, source and age", error.message)
            return None
