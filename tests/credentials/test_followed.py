"""What a token may read by RBAC, and on from there; what may not be read is said; the number of requests does not grow."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.credentials import rights
from irkit.credentials.powers import powers
from irkit.credentials.radius import reached
from irkit.errors import ForbiddenError, UnreachableError
from irkit.model.credential import Finding
from irkit.model.kube import DEPLOYMENTS, PODS
from irkit.settings import Settings
from tests.collectors.world import World, meta
from tests.credentials.world import NOW, Objects, account, bind, cluster_role, found, hows, pod, radius, role, rule, secret, token_secret

SUSPECT = pod(serviceAccountName="web-sa", automountServiceAccountToken=True)
BASE: Objects = [account("web-sa"), account("other"), account("far", "far"), secret("one", "a", "b"), secret("two"), secret("far", namespace="far")]
NO = ForbiddenError("you may not")


def read(*more: Any) -> dict[str, list[str]]:
    """Names of what was reached by RBAC, with the paths."""
    findings = found([*BASE, *more], SUSPECT)
    return {name: [r.path for r in f.reasons if r.how == "rbac"] for name, f in findings.items() if "rbac" in hows(f)}


SECRETS_HERE = ["Secret shop/one/a,b", "Secret shop/two/key"]
ACCOUNTS_HERE = ["ServiceAccount shop/other", "ServiceAccount shop/web-sa"]
ALL_HERE, FAR = [*SECRETS_HERE, *ACCOUNTS_HERE], ["Secret far/far/key", "ServiceAccount far/far"]
RBAC = "rbac.authorization.k8s.io"


@pytest.mark.parametrize(("granted", "expected"), [
    (rule("get", "secrets"), SECRETS_HERE), (rule("list", "secrets"), SECRETS_HERE), (rule("watch", "secrets"), SECRETS_HERE),
    (rule("*", "*", "*"), ALL_HERE), (rule("patch", "secrets"), SECRETS_HERE), (rule("deletecollection", "*"), SECRETS_HERE),
    (rule("get", "secrets", "", "two"), SECRETS_HERE[1:]), (rule("get", "secrets", "", "none"), []),
    (rule("create update delete", "secrets"), []), (rule("get", "secrets", "apps"), []), (rule("get", "configmaps"), []),
    (rule("create", "pods"), ALL_HERE), (rule("create", "pods", "", "named"), []), (rule("update", "pods", "", "named"), ALL_HERE),
    (rule("create", "pods/exec"), ALL_HERE), (rule("create", "pods/exec", "", "named"), ALL_HERE), (rule("get", "*/exec"), ALL_HERE),
    (rule("create", "pods/log"), []), (rule("patch", "pods/ephemeralcontainers"), ALL_HERE), (rule("patch", "deployments", "apps"), ALL_HERE),
    (rule("update", "deployments/scale", "apps"), []), (rule("create", "cronjobs", "batch"), ALL_HERE),
    (rule("bind", "roles", RBAC), ALL_HERE), (rule("escalate", "clusterroles", RBAC), ALL_HERE), (rule("get", "roles", RBAC), []),
    (rule("create", "serviceaccounts/token"), ACCOUNTS_HERE), (rule("create", "serviceaccounts/token", "", "other"), ACCOUNTS_HERE[:1]),
    (rule("impersonate", "serviceaccounts", "", "other"), ACCOUNTS_HERE[:1]), (rule("impersonate", "users"), []), (rule("get", "nodes/proxy"), []),
])  # fmt: skip
def test_what_a_rule_of_a_namespace_gives(granted: dict[str, Any], expected: list[str]) -> None:
    assert sorted(read(role("r", granted), bind("b", "r"))) == sorted(expected)


@pytest.mark.parametrize(("granted", "expected"), [
    (rule("get", "secrets"), [*SECRETS_HERE, FAR[0]]), (rule("get", "nodes/proxy"), [*ALL_HERE, *FAR]),
    (rule("impersonate", "users"), [*ALL_HERE, *FAR]),
    (rule("impersonate", "groups", "", "system:masters"), [*ALL_HERE, *FAR]), (rule("impersonate", "users", "", "nobody"), []),
    (rule("impersonate", "users", "", "system:serviceaccount:far:far"), []), (rule("patch", "mutatingwebhookconfigurations", "*"), [*ALL_HERE, *FAR]),
    (rule("approve", "signers", "certificates.k8s.io", "kubernetes.io/kube-apiserver-client"), [*ALL_HERE, *FAR]),
    (rule("approve", "signers", "certificates.k8s.io", "example.com/mine"), []),
    (rule("approve", "signers", "certificates.k8s.io"), [*ALL_HERE, *FAR]),
])  # fmt: skip
def test_what_a_rule_of_the_cluster_gives(granted: dict[str, Any], expected: list[str]) -> None:
    assert sorted(read(cluster_role("r", granted), bind("b", "r", "ClusterRole", ""))) == sorted(expected)


@pytest.mark.parametrize(("subject", "reaches"), [
    ({"kind": "ServiceAccount", "name": "web-sa", "namespace": "shop"}, True), ({"kind": "ServiceAccount", "name": "web-sa"}, True),
    ({"kind": "ServiceAccount", "name": "web-sa", "namespace": "far"}, False), ({"kind": "ServiceAccount", "name": "other"}, False),
    ({"kind": "User", "name": "system:serviceaccount:shop:web-sa"}, True), ({"kind": "User", "name": "web-sa"}, False),
    ({"kind": "Group", "name": "system:serviceaccounts"}, True), ({"kind": "Group", "name": "system:serviceaccounts:shop"}, True),
    ({"kind": "Group", "name": "system:serviceaccounts:far"}, False), ({"kind": "Group", "name": "system:authenticated"}, True),
    ({"kind": "Group", "name": "system:unauthenticated"}, False),
])  # fmt: skip
def test_whom_a_binding_is_about(subject: dict[str, str], reaches: bool) -> None:
    assert bool(read(role("r", rule("get", "secrets")), bind("b", "r", subject=subject))) is reaches


def test_the_path_names_binding_role_and_rule() -> None:
    told = read(role("r", rule("get", "configmaps"), rule("get list", "secrets", "", "two")), bind("b", "r"))
    assert told == {"Secret shop/two/key": ["ServiceAccount shop/web-sa → RoleBinding shop/b → Role shop/r → rule 1: get, list secrets named two"]}


def test_aggregation_counts_before_the_controller_has_done_it_and_without_end() -> None:
    selector = {"clusterRoleSelectors": [{"matchLabels": {"x": "y"}}]}
    told = read(cluster_role("all", aggregationRule=selector, labels={"x": "y"}), cluster_role("part", rule("get", "secrets"), labels={"x": "y"}),
                cluster_role("loop", aggregationRule=selector, labels={"x": "y"}), bind("b", "all", "ClusterRole"))  # fmt: skip
    assert sorted(told) == SECRETS_HERE
    assert "ClusterRole all, aggregated from part" in told[SECRETS_HERE[0]][0]


def test_a_cluster_role_bound_in_a_namespace_holds_there() -> None:
    assert list(read(cluster_role("r", rule("get", "secrets")), bind("b", "r", "ClusterRole", "far"))) == [FAR[0]]  # fmt: skip


def test_tokens_that_may_be_read_are_followed_with_the_whole_path() -> None:
    """shop/web-sa reads a token Secret of shop/other, which may become far/far, who may read the Secrets there."""
    told = read(token_secret("lasting", "other"), role("r", rule("get", "secrets", "", "lasting")), bind("b", "r"),
                role("token", rule("create", "serviceaccounts/token"), namespace="far"),
                bind("step", "token", "Role", "far", subject={"kind": "User", "name": "system:serviceaccount:shop:other"}),
                role("last", rule("list", "secrets"), namespace="far"),
                bind("last", "last", "Role", "far", subject={"kind": "User", "name": "system:serviceaccount:far:far"}))  # fmt: skip
    assert sorted(told) == ["Secret far/far/key", "Secret shop/lasting/token", "ServiceAccount far/far"]
    (path,) = told["Secret far/far/key"]
    assert path == (
        "ServiceAccount shop/web-sa → RoleBinding shop/b → Role shop/r → rule 0: get secrets named lasting → "
        "ServiceAccount shop/other → RoleBinding far/step → Role far/token → rule 0: create serviceaccounts/token → "
        "ServiceAccount far/far → RoleBinding far/last → Role far/last → rule 0: list secrets"
    )


def test_a_mounted_token_of_another_account_counts_too() -> None:
    mounted = pod(volumes=[{"name": "v", "secret": {"secretName": "lasting"}}])
    objects = [*BASE, token_secret("lasting", "other"), role("r", rule("get", "secrets", "", "one")),
               bind("b", "r", "Role", "shop", subject={"kind": "User", "name": "system:serviceaccount:shop:other"})]  # fmt: skip
    assert "Secret shop/one/a,b" in found(objects, mounted)


def test_without_a_token_nothing_is_read() -> None:
    objects = [*BASE, cluster_role("admin", rule("*", "*", "*")), bind("b", "admin", "ClusterRole", "")]
    assert found(objects, pod(serviceAccountName="web-sa")) == {}


@given(st.lists(st.builds(rule, st.sampled_from(["get", "create", "*", "impersonate", "bind approve"]),
                          st.sampled_from(["secrets", "pods", "users", "*", "pods/exec", "*/token", "serviceaccounts/token", "signers"]),
                          st.sampled_from(["", "*", "apps", "certificates.k8s.io"])), max_size=3))  # fmt: skip
def test_more_rights_never_reach_less(rules: list[dict[str, Any]]) -> None:
    one = set(read(role("r", *rules[:1]), bind("b", "r")))
    assert one <= set(read(role("r", *rules), bind("b", "r")))
    assert one <= set(read(cluster_role("r", *rules), bind("b", "r", "ClusterRole", "")))
    assert all(p.what for r in rules for p in powers(r, cluster=True))


def test_who_is_a_service_account_when_impersonated_has_its_groups() -> None:
    assert rights.user("system:serviceaccount:a:b") == rights.account("a", "b")
    assert rights.user("jane").groups == ("system:authenticated",)
    assert str(rights.user("ja\x1bne")) == "user ja\\x1bne"


# what may not be read


def refusing(**refused: list[str]) -> World:
    world = World()
    for verb, plurals in refused.items():
        world.refuses |= {(verb, plural): NO for plural in plurals}
    return world


ADMIN = [cluster_role("admin", rule("*", "*", "*")), bind("b", "admin", "ClusterRole", "")]


@pytest.mark.parametrize(("plurals", "words"), [
    (["rolebindings"], "RoleBindings in namespace shop"), (["rolebindings, everywhere"], "RoleBindings in other namespaces than shop"),
    (["clusterrolebindings"], "ClusterRoleBindings"), (["clusterroles"], "what ServiceAccount shop/web-sa may do by ClusterRole admin"),
    (["secrets, everywhere"], "which Secrets could be reached elsewhere"), (["pods"], "Pods in namespace shop"),
    (["serviceaccounts"], "ServiceAccounts in namespace shop"), (["externalsecrets"], "ExternalSecrets in namespace shop"),
])  # fmt: skip
def test_what_is_refused_is_said(plurals: list[str], words: str) -> None:
    told = radius([*BASE, *ADMIN], SUSPECT, world=refusing(list=plurals))
    assert words in [u.what for u in told.unknown]
    assert all(u.why for u in told.unknown)


def test_who_may_not_list_secrets_may_get_them() -> None:
    holding = pod(volumes=[{"name": "v", "secret": {"secretName": "one"}}])
    (finding,) = radius(BASE, holding, world=refusing(list=["secrets"])).findings
    assert finding.credential.keys == ("a", "b")
    blind = radius(BASE, holding, world=refusing(list=["secrets"], get=["secrets"]))
    assert [(f.credential.name, f.credential.why) for f in blind.findings] == [("shop/one", "you may not read this Secret")]
    assert len(blind.unknown) >= 2


def test_no_answer_is_no_answer() -> None:
    world = World(refuses={("list", "clusterroles"): UnreachableError("no answer")})
    with pytest.raises(UnreachableError):
        radius([*BASE, *ADMIN], SUSPECT, world=world)


# who shares it; how much is asked


def deployment(name: str, *secrets: str) -> Any:
    spec = {"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": s}} for s in secrets]}]}
    return DEPLOYMENTS, {"metadata": meta(name), "spec": {"template": {"spec": spec}}}


def test_sharing_is_by_others() -> None:
    holding = pod(volumes=[{"name": "v", "secret": {"secretName": "one"}}])
    findings = found([*BASE, deployment("front", "one", "two"), deployment("back", "two")], holding)
    assert findings["Secret shop/one/a,b"].shared_with == ("Deployment shop/front",)


def holder(number: int) -> dict[str, Any]:
    return pod(f"p{number}", volumes=[{"name": "v", "secret": {"secretName": f"s{number}"}}])


def lists(world: World) -> int:
    return sum(p.verb == "list" for p in world.asked)


@pytest.mark.parametrize("admin", [True, False])
def test_the_number_of_lists_does_not_grow(admin: bool) -> None:
    asked = []
    for size in (2, 60):
        world = World()
        objects = [*BASE, *(ADMIN if admin else []), *(secret(f"s{n}") for n in range(size)),
                   *(secret(f"f{n}", namespace=f"n{n}") for n in range(size)),
                   *(deployment(f"d{n}", f"s{n}") for n in range(size)), *(account(f"a{n}") for n in range(size))]  # fmt: skip
        told = radius(objects, SUSPECT, *(holder(n) for n in range(size)), world=world)
        asked.append((lists(world), len(world.asked)))
        assert len(told.findings) >= (size * 3 if admin else size)
    assert asked[0] == asked[1]
    assert asked[0][0] == asked[0][1] <= 24


def test_many_accounts_that_can_start_pods_tell_each_way_once() -> None:
    objects: Objects = [*BASE, role("r", rule("create", "pods")), *(account(f"a{n}") for n in range(50))]
    objects += [*(secret(f"s{n}") for n in range(50)), bind("b", "r", subject={"kind": "Group", "name": "system:serviceaccounts"})]
    assert {len(f.reasons) for f in found(objects, SUSPECT).values() if f.credential.ref.kind == "Secret"} == {1}


# hostile names and values

NASTY = "\x1b[2J<b>\n" + "x" * 5000


def test_hostile_text_is_shown_as_text() -> None:
    env = [{"name": NASTY, "valueFrom": {"secretKeyRef": {"name": "one", "key": "a"}}}]
    evil = pod(annotations={"vault.hashicorp.com/agent-inject-secret-x\x1b[2J": NASTY}, serviceAccountName="web-sa",
               automountServiceAccountToken=True, containers=[{"name": NASTY, "env": env}])  # fmt: skip
    objects: Objects = [*BASE, role(NASTY, rule("get", "secrets", "", "one")), bind(NASTY, NASTY)]
    findings = radius(objects, evil).findings
    assert len(findings) == 3
    assert all(r.path.isprintable() and len(r.path) < 1300 for f in findings for r in f.reasons)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda c: (
        st.lists(c, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "secret", "secretName", "items", "env", "valueFrom", "secretKeyRef", "key", "csi", "projected", "sources"]),
            c,
            max_size=3,
        )
    ),
)


@given(JUNK, JUNK, JUNK)
def test_a_pod_of_any_shape_is_read(volumes: Any, containers: Any, pulls: Any) -> None:
    """The API server lets none of these in; whoever answers in its place might."""
    shape = pod(volumes=volumes if isinstance(volumes, list) else [volumes],
                containers=[c for c in containers if isinstance(c, dict)] if isinstance(containers, list) else [],
                imagePullSecrets=pulls)  # fmt: skip
    findings: tuple[Finding, ...] = reached([shape], World(objects=[(PODS, shape)]), Settings(), NOW).findings
    assert all(f.credential.cls == "manual" for f in findings)
