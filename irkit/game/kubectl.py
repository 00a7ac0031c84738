"""As much of kubectl as the usual recipes type, so that they can be played where there is none. The player's requests, as kubectl's are."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence

from irkit.errors import ApiError, ForbiddenError, UsageError
from irkit.model.kube import (
    CRONJOBS,
    DAEMONSETS,
    DEPLOYMENTS,
    EVENTS,
    HPAS,
    JOBS,
    NAMESPACES,
    NETWORKPOLICIES,
    NODES,
    PODS,
    REPLICASETS,
    ROLEBINDINGS,
    SECRETS,
    SERVICEACCOUNTS,
    SERVICES,
    STATEFULSETS,
    Obj,
    ObjectRef,
    Resource,
    at,
)
from irkit.ports import Cluster
from irkit.text import printable

_KINDS: Mapping[str, Resource] = {name: resource for resource in (
    PODS, DEPLOYMENTS, STATEFULSETS, DAEMONSETS, REPLICASETS, JOBS, SERVICES, SECRETS, SERVICEACCOUNTS, NETWORKPOLICIES, NODES, NAMESPACES, EVENTS,
    CRONJOBS, HPAS, ROLEBINDINGS, Resource("external-secrets.io", "v1", "externalsecrets", "ExternalSecret"),
    Resource("argoproj.io", "v1alpha1", "applications", "Application"),
    Resource("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", "Kustomization"),
) for name in (resource.plural, resource.kind.lower())}  # fmt: skip
_FILES: Mapping[str, Obj] = {
    "quarantine.yaml": {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "quarantine"},
                        "spec": {"podSelector": {"matchLabels": {"quarantine": "true"}}, "policyTypes": ["Ingress", "Egress"]}},
}  # fmt: skip
"""The documented deny-all."""
VERBS = ("label", "annotate", "apply", "logs", "describe", "get", "scale", "delete", "set", "rollout", "patch", "cordon")


class Kubectl:
    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._verbs: Mapping[str, Callable[[list[str], str, dict[str, str]], None]] = {
            "label": self._label, "annotate": self._label, "apply": self._apply, "logs": self._logs, "describe": self._get, "get": self._get,
            "scale": self._scale, "delete": self._delete, "set": self._image, "rollout": self._restart, "patch": self._patch, "cordon": self._cordon,
        }  # fmt: skip

    def run(self, command: str) -> None:
        """Raises UsageError for what it does not know, or can't read; what the cluster refuses is no error, as nobody reads its code."""
        words = shlex.split(command)
        verb, *rest = words[1:] or [""]
        if verb not in self._verbs:
            raise UsageError(f"rehearsals know no {printable(command, 120)!r}; known are {', '.join(self._verbs)}")
        namespace, flags, plain = _sorted(rest)
        try:
            self._verbs[verb](plain, namespace, {**flags, "": verb})
        except (ApiError, ForbiddenError):
            return
        except (IndexError, KeyError, TypeError, ValueError):
            raise UsageError(f"kubectl could not read {printable(command, 120)!r}: something is missing, or is of another form") from None

    def _label(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        ref, rest = _ref(words, namespace)
        field = "annotations" if flags[""] == "annotate" else "labels"
        pairs = {w.removesuffix("-"): None if w.endswith("-") and "=" not in w else w.partition("=")[2] for w in rest}
        self._cluster.patch(ref, {"metadata": {field: {k.partition("=")[0]: v for k, v in pairs.items()}}})

    def _apply(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        if flags.get("-f") not in _FILES:
            raise UsageError(f"rehearsals have no file {printable(flags.get('-f', ''), 80)!r}; they have {', '.join(_FILES)}")
        obj = _FILES[flags["-f"]]
        self._cluster.create(_KINDS[obj["kind"].lower()], {**obj, "metadata": {**obj["metadata"], "namespace": namespace}})

    def _logs(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        ref = ObjectRef(resource=PODS, name=words[0].removeprefix("pod/"), namespace=namespace)
        pod = self._cluster.get(ref)
        for container in at(pod, ("spec", "containers"), ())[:1]:
            with self._cluster.logs(ref, container["name"], previous="--previous" in flags or "-p" in flags) as chunks:
                for _ in chunks:
                    continue

    def _get(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        if len(words) > 1 or "/" in words[0]:
            ref, _ = _ref(words, namespace)
            self._cluster.get(ref)
        else:
            self._cluster.list(_kind(words[0]), namespace, labels=flags.get("-l", ""))

    def _scale(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        ref, _ = _ref(words, namespace)
        self._cluster.patch(ref, {"spec": {"replicas": int(flags["--replicas"])}})

    def _delete(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        if words[0] == "namespace" or "/" in words[0] or len(words) > 1:
            ref, _ = _ref(words, namespace)
            self._cluster.delete(ref)

    def _image(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        ref, rest = _ref(words[1:], namespace)
        containers = at(self._cluster.get(ref), ("spec", "template", "spec", "containers"), ())
        image = rest[0].partition("=")[2] if "=" in rest[0] else rest[0]
        self._cluster.patch(ref, {"spec": {"template": {"spec": {"containers": [{**containers[0], "image": image}, *containers[1:]]}}}})

    def _restart(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        ref, _ = _ref(words[1:], namespace)
        again = str(at(self._cluster.get(ref), ("metadata", "resourceVersion"), ""))
        self._cluster.patch(ref, {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": again}}}}})

    def _patch(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        import json

        ref, _ = _ref(words, namespace)
        self._cluster.patch(ref, json.loads(flags["-p"]))

    def _cordon(self, words: list[str], namespace: str, flags: dict[str, str]) -> None:
        self._cluster.patch(ObjectRef(resource=NODES, name=words[0]), {"spec": {"unschedulable": True}})


def _sorted(words: Sequence[str]) -> tuple[str, dict[str, str], list[str]]:
    """Namespace, flags with their values, and the rest."""
    flags: dict[str, str] = {}
    plain: list[str] = []
    given = iter(words)
    for word in given:
        if word in ("-n", "-f", "-l", "-p", "--namespace", "--type", "--patch"):
            flags["-n" if word == "--namespace" else word] = next(given, "")
        elif word.startswith("--"):
            name, _, value = word.partition("=")
            flags[name] = value
        else:
            plain.append(word)
    return flags.pop("-n", "default"), flags, plain


def _ref(words: Sequence[str], namespace: str) -> tuple[ObjectRef, list[str]]:
    """The object that the first words name, as ``deployment/web`` or ``deployment web``, and the words after it."""
    kind, slash, name = words[0].partition("/")
    rest = list(words[1:])
    if not slash:
        name, rest = (words[1], rest[1:]) if len(words) > 1 else ("", rest)
    resource = _kind(kind)
    return ObjectRef(resource=resource, name=name, namespace=namespace if resource.namespaced else ""), rest


def _kind(word: str) -> Resource:
    if word not in _KINDS:
        raise UsageError(f"rehearsals know no kind {printable(word, 80)!r}; known are {', '.join(sorted(_KINDS))}")
    return _KINDS[word]
