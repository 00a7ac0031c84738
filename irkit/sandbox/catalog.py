"""What the rehearsal cluster serves. Resources of add-ons (Argo CD, Flux, …) are served once a scenario or test adds them."""

from __future__ import annotations

from dataclasses import dataclass

from irkit.model import kube
from irkit.model.kube import Obj, Resource

READ_WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Served:
    """One resource type as discovery describes it. ``virtual``: answered, never stored (reviews)."""

    resource: Resource
    short: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    virtual: bool = False

    @property
    def id(self) -> tuple[str, str]:
        """Group and plural: what an object is stored under, whichever version it came by."""
        return self.resource.group, self.resource.plural

    @property
    def qualified(self) -> str:
        """``deployments.apps``, as messages name it."""
        return f"{self.resource.plural}.{self.resource.group}" if self.resource.group else self.resource.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.resource.kind}.{self.resource.group}" if self.resource.group else self.resource.kind

    @property
    def singular(self) -> str:
        return self.resource.kind.lower()

    def shown(self, obj: Obj) -> Obj:
        """An object of this kind in the version that was asked for."""
        version = self.resource.api_version
        return obj if obj.get("apiVersion") == version else {**obj, "apiVersion": version}

    @property
    def verbs(self) -> tuple[str, ...]:
        return ("create",) if self.virtual else READ_WRITE


PODS = Served(kube.PODS, ("po",), ("log", "status", "eviction", "ephemeralcontainers", "exec"), ("all",))
NAMESPACES = Served(kube.NAMESPACES, ("ns",), ("status", "finalize"))
NODES = Served(kube.NODES, ("no",), ("status", "proxy"))
SECRETS = Served(kube.SECRETS)
CONFIGMAPS = Served(kube.CONFIGMAPS, ("cm",))
SERVICES = Served(kube.SERVICES, ("svc",), ("status",), ("all",))
SERVICEACCOUNTS = Served(kube.SERVICEACCOUNTS, ("sa",), ("token",))
EVENTS = Served(kube.EVENTS, ("ev",))
PVCS = Served(kube.PVCS, ("pvc",), ("status",))
DEPLOYMENTS = Served(kube.DEPLOYMENTS, ("deploy",), ("scale", "status"), ("all",))
REPLICASETS = Served(kube.REPLICASETS, ("rs",), ("scale", "status"), ("all",))
STATEFULSETS = Served(kube.STATEFULSETS, ("sts",), ("scale", "status"), ("all",))
DAEMONSETS = Served(kube.DAEMONSETS, ("ds",), ("status",), ("all",))
REVISIONS = Served(kube.CONTROLLERREVISIONS)
JOBS = Served(kube.JOBS, (), ("status",), ("all",))
CRONJOBS = Served(kube.CRONJOBS, ("cj",), ("status",), ("all",))
NETWORKPOLICIES = Served(kube.NETWORKPOLICIES, ("netpol",))
ENDPOINTSLICES = Served(kube.ENDPOINTSLICES)
ROLES, ROLEBINDINGS = Served(kube.ROLES), Served(kube.ROLEBINDINGS)
CLUSTERROLES, CLUSTERROLEBINDINGS = Served(kube.CLUSTERROLES), Served(kube.CLUSTERROLEBINDINGS)
LEASES = Served(kube.LEASES)
HPAS = Served(kube.HPAS, ("hpa",), ("status",), ("all",))
PDBS = Served(kube.PDBS, ("pdb",), ("status",))
ACCESS_REVIEWS = Served(Resource("authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", False), virtual=True)
RULES_REVIEWS = Served(Resource("authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", False), virtual=True)
SELF_REVIEWS = Served(Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", False), virtual=True)
TOKEN_REVIEWS = Served(Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", False), virtual=True)
OTHERS_REVIEWS = Served(Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False), virtual=True)
LOCAL_REVIEWS = Served(Resource("authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview"), virtual=True)


def _external(plural: str, kind: str, short: str, *, namespaced: bool = True) -> Served:
    return Served(Resource("external-secrets.io", "v1", plural, kind, namespaced), (short,), ("status",), ("external-secrets",))


EXTERNAL_SECRETS = _external("externalsecrets", "ExternalSecret", "es")
SECRET_STORES = _external("secretstores", "SecretStore", "ss")
CLUSTER_SECRET_STORES = _external("clustersecretstores", "ClusterSecretStore", "css", namespaced=False)

BUILT_IN: tuple[Served, ...] = (
    PODS, NAMESPACES, NODES, SECRETS, CONFIGMAPS, SERVICES, SERVICEACCOUNTS, EVENTS, PVCS,
    Served(Resource("", "v1", "endpoints", "Endpoints"), ("ep",)),
    Served(Resource("", "v1", "persistentvolumes", "PersistentVolume", False), ("pv",), ("status",)),
    Served(Resource("", "v1", "limitranges", "LimitRange"), ("limits",)),
    Served(Resource("", "v1", "resourcequotas", "ResourceQuota"), ("quota",), ("status",)),
    DEPLOYMENTS, REPLICASETS, STATEFULSETS, DAEMONSETS, REVISIONS, JOBS, CRONJOBS,
    NETWORKPOLICIES,
    Served(Resource("networking.k8s.io", "v1", "ingresses", "Ingress"), ("ing",), ("status",)),
    Served(Resource("networking.k8s.io", "v1", "ingressclasses", "IngressClass", False)),
    ENDPOINTSLICES, ROLES, ROLEBINDINGS, CLUSTERROLES, CLUSTERROLEBINDINGS,
    HPAS, LEASES, PDBS,
    Served(Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", False), ("sc",)),
    Served(Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", False), ("pc",)),
    ACCESS_REVIEWS, RULES_REVIEWS, SELF_REVIEWS, TOKEN_REVIEWS, OTHERS_REVIEWS, LOCAL_REVIEWS,
)  # fmt: skip


class Catalog:
    """The resources served now, by path and by kind."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, str], Served] = {}
        for served in BUILT_IN:
            self.add(served)

    def add(self, served: Served) -> None:
        resource = served.resource
        self._by_path[resource.group, resource.version, resource.plural] = served

    def find(self, group: str, version: str, plural: str) -> Served | None:
        return self._by_path.get((group, version, plural))

    def of(self, api_version: str, kind: str) -> Served | None:
        return next((s for s in self._by_path.values() if s.resource.kind == kind and s.resource.api_version == api_version), None)

    def of_resource(self, resource: Resource) -> Served:
        """Raises KeyError where it is not served."""
        return self._by_path[resource.group, resource.version, resource.plural]

    def groups(self) -> dict[str, dict[str, list[Served]]]:
        """Group to version to resources, in the order in which they were added."""
        found: dict[str, dict[str, list[Served]]] = {}
        for (group, version, _), served in self._by_path.items():
            found.setdefault(group, {}).setdefault(version, []).append(served)
        return found
