"""Operators, and whoever else manages the workload: an owner above it, or a stranger among the managers of the field that stops it."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.kube import Obj, ObjectRef, controller_of, known
from irkit.model.managers import managers_of
from irkit.ports import ClusterReader
from irkit.reverters.base import SCALABLE, Reverter
from irkit.text import printable

# People's tools, Kubernetes' own controllers, and what the other recognisers know: none of these is an operator.
KNOWN = ("kubectl", "kube-controller-manager", "irkit", "helm", "Helm", "argocd", "kustomize-controller", "helm-controller", "flux",
         "keda", "before-first-apply", "client-go", "Mozilla", "rancher", "k9s", "lens", "terraform", "Terraform", "HashiCorp", "pulumi",
         "OpenAPI-Generator")  # fmt: skip


class Operator:
    kind = "operator"

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        owner = controller_of(obj)
        if owner is not None and known(str(owner.get("apiVersion")), str(owner.get("kind"))) is None:
            name = printable(f"{owner.get('kind')} {ref.namespace}/{owner.get('name')}")
            yield Reverter(name=name, kind=self.kind, of=ref,
                           effect=f"{ref} belongs to {name}, which irkit can't stop; its controller may set it up again.",
                           reverts=True)  # fmt: skip
        for manager in sorted({m.name for m in managers_of(obj, _field(ref))}):
            if not manager.startswith(KNOWN):
                name, what = printable(manager), ".".join(_field(ref))
                yield Reverter(name=name, kind=self.kind, of=ref, effect=f"{name} manages {what} of {ref}, and may set it again.", reverts=True)


def _field(ref: ObjectRef) -> tuple[str, ...]:
    """The field that stops this kind."""
    if ref.kind in SCALABLE:
        return ("spec", "replicas")
    return ("spec", "suspend") if ref.kind in ("Job", "CronJob") else ("spec", "template", "spec", "nodeSelector")
