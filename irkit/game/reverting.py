"""What puts a drill's workload back as it stands in Git: the objects of Argo CD or Flux, and the mark by which they know what is theirs."""

from __future__ import annotations

from collections.abc import Iterable

from irkit.model.kube import Obj

NAME = "drill"
_FLUX = "kustomize.toolkit.fluxcd.io"
_OF = {"Application": "argocd", "Kustomization": "flux", "HelmRelease": "flux"}


def tool(kinds: Iterable[str]) -> str:
    """Which one it was, by the kinds of objects that were paused in an incident; empty: none."""
    return next((_OF[kind] for kind in kinds if kind in _OF), "")


def objects(tool: str) -> list[Obj]:
    """What stands beside the workload; nothing without a tool."""
    if tool == "argocd":
        spec: Obj = {"project": "default", "source": {"repoURL": "https://git.drill.invalid/drill.git", "path": "deploy", "targetRevision": "main"},
                     "destination": {"server": "https://kubernetes.default.svc", "namespace": NAME},
                     "syncPolicy": {"automated": {"prune": True, "selfHeal": True}}}  # fmt: skip
        return [_namespace("argocd"), {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": _meta("argocd"), "spec": spec}]
    if tool == "flux":
        spec = {"interval": "1m", "path": "./deploy", "prune": True, "sourceRef": {"kind": "GitRepository", "name": NAME}}
        return [_namespace("flux-system"), {"apiVersion": f"{_FLUX}/v1", "kind": "Kustomization", "metadata": _meta("flux-system"), "spec": spec}]
    return []


def marked(workload: Obj, tool: str) -> Obj:
    """The workload as one that stands in Git."""
    meta = workload["metadata"]
    if tool == "argocd":
        track = f"{NAME}:apps/{workload['kind']}:{meta['namespace']}/{meta['name']}"
        return {**workload, "metadata": {**meta, "annotations": {"argocd.argoproj.io/tracking-id": track}}}
    if tool == "flux":
        return {**workload, "metadata": {**meta, "labels": {f"{_FLUX}/name": NAME, f"{_FLUX}/namespace": "flux-system"}}}
    return workload


def _namespace(name: str) -> Obj:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _meta(namespace: str) -> Obj:
    return {"name": NAME, "namespace": namespace}
