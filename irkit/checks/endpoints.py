"""Whether the Services in front of a workload have somebody behind them."""

from __future__ import annotations

import msgspec

from irkit import workloads
from irkit.checks.base import CheckResult
from irkit.errors import ForbiddenError, NotFoundError
from irkit.model.incident import Incident
from irkit.model.kube import ENDPOINTSLICES, SERVICES, Obj, ObjectRef, at, labels_of
from irkit.ports import Observed
from irkit.text import plural, printable


class Endpoints(msgspec.Struct, frozen=True):
    """Holds where every Service that selects the workload's pods has at least one ready endpoint (discovery.k8s.io/v1)."""

    name = "endpoints"

    def judge(self, incident: Incident, ref: ObjectRef, seen: Observed) -> CheckResult:
        try:
            labels = at(workloads.observe(ref, seen.cluster).object, ("spec", "template", "metadata", "labels")) or {}
            services = [s for s in seen.cluster.list(SERVICES, ref.namespace) if _selects(s, labels)]
            slices = seen.cluster.list(ENDPOINTSLICES, ref.namespace) if services else ()
        except NotFoundError:
            return CheckResult(check=self.name, holds=False, summary=f"{ref} is gone")
        except ForbiddenError as error:
            return CheckResult(check=self.name, holds=None, summary=f"not known whether Services reach {ref}: {error.message}")
        counts = {str(at(s, ("metadata", "name"))): 0 for s in services}
        for piece in slices:
            name = labels_of(piece).get("kubernetes.io/service-name", "")
            if name in counts:  # ready may be left out, which means true
                counts[name] += sum(at(e, ("conditions", "ready"), True) is True for e in piece.get("endpoints") or ())
        empty = [printable(name) for name, count in counts.items() if not count]
        if not services:
            text = f"no Service selects the pods of {ref}"
        elif empty:
            text = f"Service {', '.join(empty)} has no endpoints"
        else:
            text = "; ".join(f"Service {printable(name)} has {plural(count, 'endpoint')}" for name, count in counts.items())
        return CheckResult(check=self.name, holds=not empty, summary=text, data={"endpoints": counts})


def _selects(service: Obj, labels: dict[str, str]) -> bool:
    wanted = at(service, ("spec", "selector")) or {}
    return bool(wanted) and all(labels.get(key) == value for key, value in wanted.items())
