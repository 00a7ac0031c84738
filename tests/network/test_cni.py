"""Network plugins by the DaemonSets that their own manifests make."""

from __future__ import annotations

import pytest

from irkit.model.kube import DAEMONSETS, Obj
from irkit.network.cni import PLUGINS, UNKNOWN, observe, recognise
from tests.workloads.world import World, make


def daemonset(name: str, namespace: str = "kube-system", *containers: Obj, want: int | None = 3, ready: int = 3) -> Obj:
    status = {} if want is None else {"desiredNumberScheduled": want, "numberReady": ready}
    return make(DAEMONSETS, name, namespace=namespace, spec={"template": {"spec": {"containers": list(containers)}}}, status=status)


AGENT = {"name": "aws-eks-nodeagent", "args": ["--enable-ipv6=false", "--enable-network-policy=true"]}
IDLE_AGENT = {"name": "aws-eks-nodeagent", "args": ["--enable-network-policy=false"]}


@pytest.mark.parametrize(("found", "name", "enforces", "connections"), [
    (daemonset("calico-node", "calico-system"), "Calico", "enforced", "open"),
    (daemonset("canal"), "Canal", "enforced", "open"),
    (daemonset("cilium"), "Cilium", "enforced", "cut"),
    (daemonset("anetd"), "GKE Dataplane V2", "enforced", "cut"),
    (daemonset("antrea-agent"), "Antrea", "enforced", "open"),
    (daemonset("ovnkube-node", "openshift-ovn-kubernetes"), "OVN-Kubernetes", "enforced", "cut"),
    (daemonset("azure-npm"), "Azure NPM", "enforced", "open"),
    (daemonset("weave-net", "kube-system", {"name": "weave"}, {"name": "weave-npc"}), "Weave Net", "enforced", "open"),
    (daemonset("weave-net", "kube-system", {"name": "weave"}), "Weave Net", "none", "open"),
    (daemonset("kube-router", "kube-system", {"name": "kube-router", "args": ["--run-router=true"]}), "kube-router", "enforced", "open"),
    (daemonset("kube-router", "kube-system", {"name": "kube-router", "args": ["--run-firewall=false"]}), "kube-router", "none", "open"),
    (daemonset("aws-node", "kube-system", {"name": "aws-node"}, AGENT), "AWS VPC CNI", "enforced", "cut"),
    (daemonset("aws-node", "kube-system", {"name": "aws-node"}, IDLE_AGENT), "AWS VPC CNI", "none", "open"),
    (daemonset("aws-node", "kube-system", {"name": "aws-node"}), "AWS VPC CNI", "none", "open"),
    (daemonset("kube-flannel-ds", "kube-flannel", {"name": "kube-flannel", "image": "flannel:v0.25"}), "flannel", "none", "open"),
    (daemonset("kube-flannel", "kube-system", {"name": "f"}, {"name": "p", "image": "registry.k8s.io/networking/kube-network-policies:v0.7.0"}),
     "flannel with kube-network-policies", "enforced", "unknown"),
    (daemonset("kindnet", "kube-system", {"image": "docker.io/kindest/kindnetd:v20240513-cd2ac642"}), "kindnet", "none", "open"),
    (daemonset("kindnet", "kube-system", {"image": "docker.io/kindest/kindnetd:v20241212-9f82dd49"}), "kindnet", "enforced", "unknown"),
    (daemonset("kindnet", "kube-system", {"name": "kindnet-cni", "image": "example/kindnet:main"}), "kindnet", "unknown", "unknown"),
])  # fmt: skip
def test_plugins_are_recognised(found, name, enforces, connections):
    cni = recognise([daemonset("kube-proxy"), found])
    assert (cni.name, cni.enforces, cni.connections) == (name, enforces, connections)


def test_what_is_not_recognised_stays_unknown():
    assert recognise([]) == recognise([daemonset("kube-proxy")]) == UNKNOWN
    assert (UNKNOWN.enforces, UNKNOWN.connections) == ("unknown", "unknown")


def test_a_namesake_in_another_namespace_proves_nothing():
    assert recognise([daemonset("calico-node", "todo-app")]) == UNKNOWN


def test_an_enforcing_agent_beside_a_plain_cni_counts():
    flannel, aws = daemonset("kube-flannel-ds", "kube-flannel"), daemonset("aws-node")
    calico, agent = daemonset("calico-node", "calico-system"), daemonset("kube-network-policies")
    assert recognise([flannel, agent]).name == "kube-network-policies"
    assert recognise([aws, calico]).name == recognise([calico, aws]).name == "Calico"
    assert recognise([flannel, daemonset("kindnet")]).name == "kindnet"  # unknown is doubt; "none" would be a claim


def test_an_agent_that_does_not_run_everywhere_is_said():
    cni = recognise([daemonset("calico-node", ready=2)])
    assert cni.enforces == "enforced"
    assert cni.note.startswith("Calico is ready on 2 of 3 nodes only; ")


@pytest.mark.parametrize("want", [0, 3])
def test_an_agent_that_runs_nowhere_is_no_evidence(want):
    assert recognise([daemonset("cilium", want=want, ready=0)]).enforces == "unknown"


def test_hostile_images_are_escaped():
    cni = recognise([daemonset("kindnet", "kube-system", {"name": "x", "image": "\x1b[2J\u202e"})])
    assert cni.note.isprintable()


def test_each_daemonset_has_one_entry():
    names = [(p.daemonset, n) for p in PLUGINS for n in p.namespaces]
    assert len(names) == len(set(names))


def test_one_list_suffices():
    world = World([daemonset("cilium")])
    assert observe(world).name == "Cilium"
    assert world.requests == ["list daemonsets"]


def test_what_may_not_be_listed_is_not_known():
    cni = observe(World([daemonset("cilium")], forbidden={"DaemonSet"}))
    assert (cni.enforces, cni.name) == ("unknown", "")
    assert "forbidden" in cni.note
