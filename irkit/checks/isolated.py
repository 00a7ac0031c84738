"""Whether the pod is cut off, by all policies of its namespace and what is known of the network plugin."""

from __future__ import annotations

import msgspec

from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, IrkitError
from irkit.model.incident import Incident
from irkit.model.kube import NETWORKPOLICIES, ObjectRef
from irkit.network import cni
from irkit.network.verdict import isolation, line, sentence
from irkit.ports import ClusterReader, Observed, exists


class Isolated:
    """Holds where nothing leaks and the plugin isn't known to ignore policies; the pod that is gone leaks nothing.

    ``data`` is the `irkit.network.verdict.Isolation` as plain values.
    """

    name = "isolated"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            pod = None if incident.target.gone and incident.target.is_suspect(ref) else exists(seen.cluster, ref)
            policies = seen.cluster.list(NETWORKPOLICIES, ref.namespace)
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known whether {ref} is cut off: {error.message}")
        found = isolation(pod, policies, _plugin(seen.cluster))
        leaks = tuple(f"{line(leak)} ({leak.why})" for leak in found.leaks)
        return CheckResult(check=self.name, holds=found.holds, summary=sentence(found), findings=leaks, data=msgspec.to_builtins(found))


def _plugin(cluster: ClusterReader) -> cni.Cni:
    """What is not known of the plugin must not keep the verdict back."""
    try:
        return cni.observe(cluster)
    except IrkitError as error:
        return cni.Cni(name="", note=f"the network plugin is not known: {error.message}")
