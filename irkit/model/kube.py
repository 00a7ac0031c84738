"""Names of things in a Kubernetes API, and the selector semantics they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec

from irkit.text import printable

# A JSON object as the API server sent it. Never changed in place.
Obj: TypeAlias = dict[str, Any]


class Value(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of values that are kept in the journal: frozen, comparable, canonical as JSON."""


class Resource(msgspec.Struct, frozen=True):
    """One resource type of the API, as discovery names it."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """The URL path. Every segment is percent-encoded: names come from strangers."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource:
            parts += subresource.split("/")
        return "/" + "/".join(quote(p, safe="", errors="backslashreplace") if p not in (".", "..") else p.replace(".", "%2E") for p in parts)


NAMESPACES = Resource("", "v1", "namespaces", "Namespace", False)
NODES = Resource("", "v1", "nodes", "Node", False)
PODS = Resource("", "v1", "pods", "Pod")
SERVICES = Resource("", "v1", "services", "Service")
SECRETS = Resource("", "v1", "secrets", "Secret")
CONFIGMAPS = Resource("", "v1", "configmaps", "ConfigMap")
EVENTS = Resource("", "v1", "events", "Event")
SERVICEACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
PVCS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
DEPLOYMENTS = Resource("apps", "v1", "deployments", "Deployment")
REPLICASETS = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFULSETS = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMONSETS = Resource("apps", "v1", "daemonsets", "DaemonSet")
CONTROLLERREVISIONS = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
JOBS = Resource("batch", "v1", "jobs", "Job")
CRONJOBS = Resource("batch", "v1", "cronjobs", "CronJob")
NETWORKPOLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
ENDPOINTSLICES = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLEBINDINGS = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
CLUSTERROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", False)
CLUSTERROLEBINDINGS = Resource("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", False)
HPAS = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
PDBS = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
SUBJECTACCESSREVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False)

KNOWN: tuple[Resource, ...] = (
    NAMESPACES, NODES, PODS, SERVICES, SECRETS, CONFIGMAPS, EVENTS, SERVICEACCOUNTS, PVCS, DEPLOYMENTS, REPLICASETS, STATEFULSETS,
    DAEMONSETS, CONTROLLERREVISIONS, JOBS, CRONJOBS, NETWORKPOLICIES, ENDPOINTSLICES, ROLES, ROLEBINDINGS, CLUSTERROLES,
    CLUSTERROLEBINDINGS, HPAS, LEASES, PDBS,
)  # fmt: skip


def known(api_version: str, kind: str) -> Resource | None:
    """The resource of an object's ``apiVersion`` and ``kind`` where its path is known without discovery."""
    return next((r for r in KNOWN if r.kind == kind and r.api_version == api_version), None)


class ObjectRef(Value, frozen=True):
    """One object; with ``uid``, that very object and none that later takes its name."""

    resource: Resource
    name: str
    namespace: str = ""
    uid: str = ""

    @property
    def kind(self) -> str:
        return self.resource.kind

    def path(self, subresource: str = "") -> str:
        return self.resource.path(self.namespace, self.name, subresource)

    def same(self, other: ObjectRef) -> bool:
        """Whether both name one object: by uid where both have it, else by kind, namespace and name."""
        if self.uid and other.uid:
            return self.uid == other.uid
        return (self.resource.group, self.kind, self.namespace, self.name) == (
            other.resource.group, other.kind, other.namespace, other.name)  # fmt: skip

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return printable(f"{self.kind} {where}{self.name}")


def ref_of(obj: Obj, resource: Resource) -> ObjectRef:
    """The reference, with uid, of an object that was read."""
    meta = obj.get("metadata") or {}
    return ObjectRef(resource=resource, name=meta.get("name", ""), namespace=meta.get("namespace", ""), uid=meta.get("uid", ""))


def labels_of(obj: Obj) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations_of(obj: Obj) -> dict[str, str]:
    return (obj.get("metadata") or {}).get("annotations") or {}


def controller_of(obj: Obj) -> Obj | None:
    """The ownerReference with ``controller: true``: who would replace or delete this object."""
    owners = (obj.get("metadata") or {}).get("ownerReferences") or []
    return next((o for o in owners if o.get("controller")), None)


def is_ready(obj: Obj) -> bool:
    """Whether the condition Ready of a Pod or a Node is True."""
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in at(obj, ("status", "conditions")) or ())


def owned_by(obj: Obj, owner: ObjectRef) -> bool:
    controller = controller_of(obj)
    return controller is not None and controller.get("uid") == owner.uid


class Permission(Value, frozen=True):
    """One right, in the words of RBAC: what preflight asks the API server for, and `playbook rbac` prints."""

    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""  # empty: cluster-wide
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        group = f".{self.group}" if self.group else ""
        return printable(f"{self.verb} {what}{group}") + (printable(f" in {self.namespace}") if self.namespace else " cluster-wide")


def permission(verb: str, resource: Resource, namespace: str = "", *, subresource: str = "", name: str = "") -> Permission:
    return Permission(verb=verb, group=resource.group, resource=resource.plural, subresource=subresource,
                      namespace=namespace if resource.namespaced else "", name=name)  # fmt: skip


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a ``metav1.LabelSelector`` selects ``labels``.

    As ``LabelSelectorAsSelector`` (apimachinery): null selects nothing, empty selects everything, all requirements must
    hold, and ``NotIn`` and ``DoesNotExist`` also select what lacks the label. An unknown operator selects everything,
    because here a selector that is not understood must never hide a policy.
    """
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(r, labels) for r in selector.get("matchExpressions") or ())


def _holds(requirement: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = requirement.get("key", ""), requirement.get("values") or ()
    match requirement.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return True


def at(obj: Any, path: Sequence[str], default: Any = None) -> Any:
    """The value at ``path`` in nested mappings, or ``default`` where any part of it is absent or null."""
    for key in path:
        if not isinstance(obj, Mapping) or key not in obj or obj[key] is None:
            return default
        obj = obj[key]
    return obj


def dicts(value: Any) -> list[Obj]:
    """The mappings in a list; none where it is no list."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
