"""Which network plugin a cluster runs, and what is known of it: whether it enforces NetworkPolicies, and what becomes of open connections.

Recognised by the DaemonSets in the namespaces where the plugins' own manifests put them; a DaemonSet of that name elsewhere
proves nothing (anybody may make one). What no source says stays "unknown". The API server accepts policies in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from irkit.errors import ForbiddenError
from irkit.model.kube import DAEMONSETS, Obj, Value, at
from irkit.ports import ClusterReader
from irkit.text import printable

Enforcement = Literal["enforced", "none", "unknown"]
Connections = Literal["cut", "open", "unknown"]


class Cni(Value, frozen=True):
    """A network plugin. ``connections``: whether connections that are open when a policy comes are cut. ``note``: for people."""

    name: str
    enforces: Enforcement = "unknown"
    connections: Connections = "unknown"
    note: str = ""


UNKNOWN = Cni(name="", note="the network plugin was not recognised: not known whether it enforces NetworkPolicies")


class _Plugin(NamedTuple):
    daemonset: str
    namespaces: tuple[str, ...]
    cni: Cni
    look: Callable[[Obj, Cni], Cni] = lambda daemonset, cni: cni


def recognise(daemonsets: Sequence[Obj]) -> Cni:
    """The plugin that decides about policies. Of several DaemonSets (a CNI and a policy agent beside it) an enforcing one counts."""
    found = [cni for d in daemonsets if (cni := _one(d)) is not None]
    if not found:
        return UNKNOWN
    rank = {"enforced": 0, "unknown": 1, "none": 2}
    return min(found, key=lambda cni: rank[cni.enforces])


def observe(cluster: ClusterReader) -> Cni:
    """The plugin of ``cluster``, by one list of its DaemonSets; where all may not be listed, of kube-system. Raises UnreachableError, ApiError."""
    try:
        return recognise(cluster.list(DAEMONSETS))
    except ForbiddenError:
        pass
    try:
        return recognise(cluster.list(DAEMONSETS, "kube-system"))
    except ForbiddenError:
        return Cni(name="", note="the network plugin is not known: listing the DaemonSets of kube-system is forbidden")


def _one(daemonset: Obj) -> Cni | None:
    meta = daemonset.get("metadata") or {}
    name, namespace = meta.get("name"), meta.get("namespace")
    plugin = next((p for p in PLUGINS if p.daemonset == name and namespace in p.namespaces), None)
    return None if plugin is None else _coverage(daemonset, plugin.look(daemonset, plugin.cni))


def _coverage(daemonset: Obj, cni: Cni) -> Cni:
    """A plugin whose agent does not run everywhere may not enforce everywhere; one that runs nowhere is no evidence at all."""
    want, ready = at(daemonset, ("status", "desiredNumberScheduled")), at(daemonset, ("status", "numberReady"), 0)
    if want is None or ready >= max(want, 1) or cni.enforces != "enforced":
        return cni
    note = f"{cni.name} is ready on {ready} of {want} nodes only"
    note = f"{note}; {cni.note}" if cni.note else note
    return Cni(name=cni.name, enforces="enforced" if ready else "unknown", connections=cni.connections, note=note)


def _containers(daemonset: Obj) -> list[Obj]:
    return at(daemonset, ("spec", "template", "spec", "containers")) or []


def _policy_sidecar(daemonset: Obj) -> Obj | None:
    """Flannel's chart (``netpol.enabled``) and Talos add kube-network-policies as a container of the same DaemonSet."""
    return next((c for c in _containers(daemonset) if "kube-network-policies" in str(c.get("image"))), None)


def _flannel(daemonset: Obj, cni: Cni) -> Cni:
    if _policy_sidecar(daemonset) is None:
        return cni
    return Cni(name="flannel with kube-network-policies", enforces="enforced", note=_FIRST_PACKET)


def _aws(daemonset: Obj, cni: Cni) -> Cni:
    """The agent is a container since VPC CNI 1.14 and does nothing unless it is told to (EKS user guide, network-policy-disable)."""
    agent = next((c for c in _containers(daemonset) if c.get("name") == "aws-eks-nodeagent"), None)
    words = [str(a) for a in ((agent or {}).get("args") or []) + ((agent or {}).get("command") or [])]
    if "--enable-network-policy=true" in words:
        return Cni(name=cni.name, enforces="enforced", connections="cut")
    return cni


def _kindnet(daemonset: Obj, cni: Cni) -> Cni:
    """kind releases kindnetd by date; the one with policies is kind v0.24.0's, of 2024-08-13."""
    image = str(next((c.get("image") for c in _containers(daemonset)), ""))
    tag = re.search(r":v(\d{8})\b", image)
    if tag is None:
        return Cni(name=cni.name, note=f"not known whether kindnet {printable(image, 120)} enforces NetworkPolicies (kind's does since v0.24)")
    if tag.group(1) < "20240813":
        return Cni(name=cni.name, enforces="none", connections="open", note="kindnet enforces no NetworkPolicies before kind v0.24")
    return Cni(name=cni.name, enforces="enforced", note=_FIRST_PACKET)


def _kube_router(daemonset: Obj, cni: Cni) -> Cni:
    words = [str(a) for c in _containers(daemonset) for a in (c.get("args") or []) + (c.get("command") or [])]
    if "--run-firewall=false" in words:
        return Cni(name=cni.name, enforces="none", connections="open", note="kube-router enforces no NetworkPolicies: --run-firewall=false")
    return cni


def _weave(daemonset: Obj, cni: Cni) -> Cni:
    if any(c.get("name") == "weave-npc" for c in _containers(daemonset)):
        return cni
    return Cni(name=cni.name, enforces="none", connections="open", note="weave-net runs without weave-npc and enforces no NetworkPolicies")


_FIRST_PACKET = "it looks at the first packet of a connection; open ones are cut only in its strict mode"
_CALICO = Cni(name="Calico", enforces="enforced", connections="open", note="Calico's own policies (projectcalico.org) were not judged")
_CILIUM = Cni(name="Cilium", enforces="enforced", connections="cut", note="Cilium's own policies (cilium.io) were not judged")

# One line a fact: what enforces, then what happens to open connections, each with its source.
PLUGINS: tuple[_Plugin, ...] = (
    # Calico: accepts established flows by conntrack (projectcalico/calico#6399).
    _Plugin("calico-node", ("kube-system", "calico-system"), _CALICO),
    # Canal: flannel's network, Calico's policies (docs.tigera.io, "Install Calico for policy and flannel for networking").
    _Plugin("canal", ("kube-system",), Cni(name="Canal", enforces="enforced", connections="open", note=_CALICO.note)),
    _Plugin("rke2-canal", ("kube-system",), Cni(name="Canal", enforces="enforced", connections="open", note=_CALICO.note)),
    # Cilium: re-judges every packet of an entry when policy changes; GKE Dataplane V2 is Cilium as DaemonSet anetd (GKE docs, dataplane-v2).
    _Plugin("cilium", ("kube-system", "cilium", "cilium-system"), _CILIUM),
    _Plugin("anetd", ("kube-system",), Cni(name="GKE Dataplane V2", enforces="enforced", connections="cut", note=_CILIUM.note)),
    # Antrea: a rule above all others lets established connections through (antrea-io/antrea#5381).
    _Plugin("antrea-agent", ("kube-system",), Cni(name="Antrea", enforces="enforced", connections="open",
                                                  note="Antrea's own policies (crd.antrea.io) were not judged")),
    # OVN-Kubernetes: judges every packet (kubernetes-sigs/network-policy-api#305).
    _Plugin("ovnkube-node", ("openshift-ovn-kubernetes", "ovn-kubernetes"), Cni(name="OVN-Kubernetes", enforces="enforced", connections="cut")),
    # Kube-OVN: NetworkPolicy by OVN ACLs (kubeovn.github.io, "Network Policy"); open connections: no source.
    _Plugin("kube-ovn-cni", ("kube-system",), Cni(name="Kube-OVN", enforces="enforced")),
    # Weave: chain WEAVE-NPC begins with "--state RELATED,ESTABLISHED -j ACCEPT" (iptables-save in weaveworks/weave#3452).
    _Plugin("weave-net", ("kube-system",), Cni(name="Weave Net", enforces="enforced", connections="open"), _weave),
    # kube-router: each pod's chain begins by accepting RELATED,ESTABLISHED (its docs, "how it works", network policy).
    _Plugin("kube-router", ("kube-system",), Cni(name="kube-router", enforces="enforced", connections="open"), _kube_router),
    # Azure NPM: only packets with ctstate NEW reach its chain (Azure/azure-container-networking#1086).
    _Plugin("azure-npm", ("kube-system",), Cni(name="Azure NPM", enforces="enforced", connections="open")),
    # AWS VPC CNI: drops flows that began before the policy (aws/aws-network-policy-agent#73).
    _Plugin("aws-node", ("kube-system",), Cni(name="AWS VPC CNI", enforces="none", connections="open",
                                              note="the network policy agent of the AWS VPC CNI is not enabled"), _aws),
    # kube-network-policies, beside any CNI: judges when a connection begins (kubernetes-sigs/network-policy-api#305); strict mode: its #268.
    _Plugin("kube-network-policies", ("kube-system",), Cni(name="kube-network-policies", enforces="enforced", note=_FIRST_PACKET)),
    # kindnet: kubernetes-sigs/kind#842; built on kube-network-policies.
    _Plugin("kindnet", ("kube-system",), Cni(name="kindnet"), _kindnet),
    # flannel: "does not control how containers are networked to the host"; policies need another agent (its README).
    _Plugin("kube-flannel-ds", ("kube-flannel", "kube-system"), Cni(name="flannel", enforces="none", connections="open",
                                                                    note="flannel alone enforces no NetworkPolicies"), _flannel),
    _Plugin("kube-flannel", ("kube-flannel", "kube-system"), Cni(name="flannel", enforces="none", connections="open",
                                                                 note="flannel alone enforces no NetworkPolicies"), _flannel),
)  # fmt: skip
