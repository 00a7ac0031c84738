"""The reasoning about RBAC against the API server itself: random roles and bindings, and what its own reviews answer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from irkit.adapters.kubernetes import KubernetesCluster, connect
from irkit.credentials import rights
from irkit.credentials.following import follow, load
from irkit.credentials.look import Look
from irkit.credentials.survey import Touched, touch
from irkit.model.credential import Reason
from irkit.model.kube import (
    CLUSTERROLEBINDINGS,
    CLUSTERROLES,
    ROLEBINDINGS,
    ROLES,
    SECRETS,
    SERVICEACCOUNTS,
    Obj,
    ObjectRef,
    Resource,
    at,
)
from irkit.settings import Settings
from tests.controlplane.running import Running

pytestmark = pytest.mark.controlplane
REVIEWS = Resource("authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", False)
GROUP = "rbac.authorization.k8s.io"
NAMES = ("alpha", "beta", "gamma")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "impersonate", "bind", "escalate", "*")
WHAT = (("", "secrets"), ("", "pods"), ("", "pods/exec"), ("", "serviceaccounts"), ("", "serviceaccounts/token"), ("", "*"), ("", "*/exec"),
        ("apps", "deployments"), ("*", "secrets"), (GROUP, "roles"), ("apps", "secrets"))  # fmt: skip


@pytest.fixture
def cluster(control_plane: Running) -> Iterator[KubernetesCluster]:
    found = connect(Settings(kubeconfig=str(control_plane.admin_kubeconfig)), {})
    yield found
    found.close()


class World:
    """Two namespaces, three accounts and Secrets in each, and random grants among them."""

    def __init__(self, dice: random.Random, own: str, verbs: tuple[str, ...], what: tuple[tuple[str, str], ...], wide: int) -> None:
        self.dice, self.own, self.verbs, self.what = dice, own, verbs, what
        self.namespaces = (f"{own}-a", f"{own}-b")
        self.objects: list[tuple[Resource, Obj]] = []
        for namespace in self.namespaces:
            self.add(Resource("", "v1", "namespaces", "Namespace", False), {"metadata": {"name": namespace}})
        for namespace in self.namespaces:
            for name in NAMES:
                self.add(SERVICEACCOUNTS, {"metadata": {"name": name, "namespace": namespace}})
                self.add(SECRETS, {"metadata": {"name": name, "namespace": namespace}, "data": {"key": "dmFsdWU="}})
        for number in range(6):
            self.add(CLUSTERROLES, {"metadata": {"name": f"{own}-{number}", "labels": {f"{own}-{number % 2}": "x"}}, "rules": self.rules()})
            where = {"namespace": dice.choice(self.namespaces), "name": f"r-{number}"}
            self.add(ROLES, {"metadata": where, "rules": self.rules()})
        selectors = [{"matchLabels": {f"{own}-1": "x"}}]
        self.add(CLUSTERROLES, {"metadata": {"name": f"{own}-all"}, "aggregationRule": {"clusterRoleSelectors": selectors}, "rules": []})
        for number in range(9):
            cluster_wide = number < wide
            meta = {"name": f"{own}-{number}"} | ({} if cluster_wide else {"namespace": dice.choice(self.namespaces)})
            kind = "ClusterRole" if cluster_wide or dice.random() < 0.5 else "Role"
            name = dice.choice([f"{own}-{n}" for n in range(6)] + [f"{own}-all", "gone"]) if kind == "ClusterRole" else f"r-{dice.randrange(6)}"
            reference = {"apiGroup": GROUP, "kind": kind, "name": name}
            self.add(CLUSTERROLEBINDINGS if cluster_wide else ROLEBINDINGS,
                     {"metadata": meta, "roleRef": reference, "subjects": [self.subject(here=not cluster_wide) for _ in range(2)]})  # fmt: skip

    def add(self, resource: Resource, obj: Obj) -> None:
        self.objects.append((resource, {"apiVersion": resource.api_version, "kind": resource.kind, **obj}))

    def rules(self) -> list[Obj]:
        found = []
        for _ in range(self.dice.randrange(1, 3)):
            group, resource = self.dice.choice(self.what)
            names = self.dice.choice([{}, {}, {"resourceNames": self.dice.sample(NAMES, 2)}])
            found.append({"apiGroups": [group], "resources": [resource], "verbs": self.dice.sample(self.verbs, min(2, len(self.verbs))), **names})
        return found

    def subject(self, *, here: bool) -> Obj:
        namespace, name = self.dice.choice(self.namespaces), self.dice.choice(NAMES)
        account = {"kind": "ServiceAccount", "name": name, "namespace": namespace}
        without = {"kind": "ServiceAccount", "name": name} if here else account
        user = {"kind": "User", "apiGroup": GROUP, "name": f"system:serviceaccount:{namespace}:{name}"}
        return self.dice.choice(
            [account, account, without, user, {"kind": "Group", "apiGroup": GROUP, "name": f"system:serviceaccounts:{namespace}"}]
        )

    def identities(self) -> list[tuple[str, str]]:
        return [(namespace, name) for namespace in self.namespaces for name in NAMES]

    def make(self, cluster: KubernetesCluster) -> None:
        for resource, obj in self.objects:
            cluster.create(resource, obj)
        until = time.monotonic() + 20
        while not at(cluster.get(ObjectRef(resource=CLUSTERROLES, name=f"{self.own}-all")), ("rules",)):
            assert time.monotonic() < until, "the aggregation controller does nothing"
            time.sleep(0.05)
        time.sleep(1.0)  # until the authorizer has seen the last binding, and what was aggregated

    def clear(self, cluster: KubernetesCluster) -> None:
        for resource, obj in reversed(self.objects):
            meta = obj["metadata"]
            if resource.kind in ("ClusterRole", "ClusterRoleBinding", "Namespace"):
                cluster.delete(ObjectRef(resource=resource, name=meta["name"]))


def allowed(cluster: KubernetesCluster, who: rights.Identity, **attributes: str) -> bool:
    spec = {"user": who.name, "groups": list(who.groups), "resourceAttributes": attributes}
    answer = cluster.create(REVIEWS, {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    return answer["status"]["allowed"] is True


@pytest.fixture
def make(cluster: KubernetesCluster, request: pytest.FixtureRequest) -> Iterator[Any]:
    made: list[World] = []

    def build(seed: int, verbs: tuple[str, ...] = VERBS, what: tuple[tuple[str, str], ...] = WHAT, wide: int = 3) -> World:
        world = World(random.Random(seed), f"oracle-{request.node.callspec.id.replace('_', '-').lower()}-{seed}", verbs, what, wide)
        made.append(world)
        world.make(cluster)
        return world

    yield build
    for world in made:
        world.clear(cluster)


@pytest.mark.parametrize("seed", [1, 2])
def test_rights_are_what_the_api_server_says(cluster: KubernetesCluster, make: Any, seed: int) -> None:
    world = make(seed)
    rbac, dice = load(Look(cluster, set(world.namespaces))), random.Random(seed)
    asked = []
    for _ in range(300):
        who = rights.account(*dice.choice(world.identities()))
        group, resource = dice.choice([w for w in WHAT if "*" not in "".join(w)])
        asked.append((who, dice.choice(VERBS[:-1]), group, resource, dice.choice((*world.namespaces, "")), dice.choice(("", *NAMES))))

    def review(question: tuple[Any, ...]) -> bool:
        who, verb, group, resource, namespace, name = question
        plural, _, sub = resource.partition("/")
        return allowed(cluster, who, verb=verb, group=group, resource=plural, subresource=sub, namespace=namespace, name=name)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(review, asked))
    assert 20 < sum(answers) < 280, "the questions tell nothing"
    for question, answer in zip(asked, answers, strict=True):
        assert rbac.allows(*question) is answer, question


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_exactly_the_secrets_that_could_be_read_are_found(cluster: KubernetesCluster, make: Any, seed: int) -> None:
    """With rights on Secrets alone: neither one too many nor one too few, and each with a path."""
    world = make(
        seed,
        verbs=("get", "list", "watch", "patch", "create", "update", "delete"),
        what=(("", "secrets"), ("*", "secrets"), ("", "secrets/x"), ("apps", "secrets")),
    )
    read = []
    for namespace, name in world.identities():
        touched = Touched()
        touch(touched, ("ServiceAccount", namespace, name), None, Reason(how="token", path="test"))
        follow(touched, Look(cluster, {namespace}))
        found = {(n, s) for kind, n, s in touched if kind == "Secret" and n in world.namespaces}
        who = rights.account(namespace, name)
        really = {(n, s) for n in world.namespaces for s in NAMES if any(
            allowed(cluster, who, verb=v, resource="secrets", namespace=n, name=s) for v in ("get", "list", "watch", "patch"))}  # fmt: skip
        assert found == really, (namespace, name)
        read.append(len(really))
    assert 0 < sum(read) < 36, "everybody or nobody may read everything: that tells nothing"


@pytest.mark.parametrize("verb", ["patch", "deletecollection"])
def test_these_verbs_answer_with_values(control_plane: Running, cluster: KubernetesCluster, namespace: str, verb: str) -> None:
    """Why they count as reading."""
    cluster.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": namespace}, "stringData": {"k": "value"}})
    ref = ObjectRef(resource=SECRETS, name="s", namespace=namespace)
    if verb == "patch":
        assert cluster.patch(ref, {"metadata": {"labels": {"a": "b"}}})["data"] == {"k": "dmFsdWU="}
    else:
        raw = control_plane.kubectl("delete", "--raw", SECRETS.path(namespace)).stdout
        assert '"k":"dmFsdWU="' in raw
