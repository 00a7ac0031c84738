"""Who is who in one game: the pod under attack, the others of its workload, everybody else; by uid, so that nobody is mixed up."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from irkit.model.kube import PODS, Obj, ObjectRef, Resource, Value, at, controller_of, ref_of, selects
from irkit.stage import Stage
from irkit.text import printable
from irkit.workloads import KINDS

FILES = "$IRKIT_GAME_FILES"
"""How the directory is named that holds what the players are handed: a variable of their shells."""


class Cast(Value, frozen=True):
    """``workload``: the last owner of the suspect; none of a bare pod."""

    suspect: ObjectRef
    siblings: tuple[ObjectRef, ...]
    neighbours: tuple[ObjectRef, ...]  # the other pods of its node
    workload: ObjectRef | None
    account: str
    node: str
    restarts: dict[str, int]  # by uid of the pod, when the game began
    image: str = ""  # without the hole, by digest

    def names(self) -> dict[str, str]:
        """What ``${…}`` stands for in commands."""
        workload = f"{self.workload.kind.lower()}/{self.workload.name}" if self.workload else f"pod/{self.suspect.name}"
        return {"suspect": self.suspect.name, "namespace": self.suspect.namespace, "workload": workload, "image": self.image,
                "account": self.account, "node": self.node, "files": FILES,
                "replicas": str(len(self.siblings) + 1)}  # fmt: skip

    def pods(self, who: str) -> tuple[ObjectRef, ...]:
        """``suspect``, ``siblings`` (without the suspect), ``all`` of both; ``node``: the suspect and all other pods of its node."""
        return {"suspect": (self.suspect,), "siblings": self.siblings, "all": (self.suspect, *self.siblings),
                "node": (self.suspect, *self.neighbours)}[who]  # fmt: skip


def cast(stage: Stage) -> Cast:
    """Who is who now. Raises KeyError where the suspect is not there."""
    namespace, name = stage.suspect
    pods = {p["metadata"]["name"]: p for p in stage.objects(PODS, namespace)}
    suspect = pods[name]
    workload = owner_of(suspect, stage)
    family = [p for p in pods.values() if p is not suspect and workload is not None and owner_of(p, stage) == workload]
    node = at(suspect, ("spec", "nodeName"), "")
    near = [p for p in stage.objects(PODS) if ref_of(p, PODS) != ref_of(suspect, PODS) and at(p, ("spec", "nodeName"), "") == node]
    known = (suspect, *family, *near)
    restarts = {p["metadata"]["uid"]: sum(s.get("restartCount", 0) for s in at(p, ("status", "containerStatuses"), ())) for p in known}
    return Cast(suspect=ref_of(suspect, PODS), siblings=tuple(ref_of(p, PODS) for p in family),
                neighbours=tuple(ref_of(p, PODS) for p in near), workload=workload,
                account=at(suspect, ("spec", "serviceAccountName"), "default"), node=node,
                restarts=restarts, image=_patched(suspect, stage))  # fmt: skip


def _patched(pod: Obj, stage: Stage) -> str:
    """An image without the hole, by digest: the base's, or one of the same repository as the suspect's."""
    repository, known = _repository(at(pod, ("spec", "containers"), ({},))[0].get("image", "")), stage.images.get("patched", "")
    if _repository(known) == repository:
        return known
    return f"{repository}@sha256:{hashlib.sha256(f'{repository} patched'.encode()).hexdigest()}"


def _repository(image: str) -> str:
    head, slash, last = image.partition("@")[0].rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def owner_of(obj: Obj, stage: Stage) -> ObjectRef | None:
    """The last controller on the way up that is there."""
    found: ObjectRef | None = None
    namespace = at(obj, ("metadata", "namespace"), "")
    for _ in range(4):
        owner = controller_of(obj) or {}
        kind = next((k.resource for k in KINDS if k.resource.kind == owner.get("kind")), None)
        above = stage.find(ObjectRef(resource=kind, name=owner["name"], namespace=namespace, uid=owner.get("uid", ""))) if kind else None
        if above is None or kind is None:
            break
        found, obj = ref_of(above, kind), above
    return found


def named(text: str, resources: dict[str, Resource]) -> ObjectRef:
    """``Deployment todo-app/backend``. Raises KeyError for a kind that is not known."""
    kind, _, where = text.partition(" ")
    namespace, slash, name = where.rpartition("/")
    return ObjectRef(resource=resources[kind], name=name, namespace=namespace if slash else "")


def matching(stage: Stage, namespace: str, labels: dict[str, str]) -> Sequence[Obj]:
    """The pods with these labels."""
    return [p for p in stage.objects(PODS, namespace) if selects({"matchLabels": labels}, at(p, ("metadata", "labels"), {}))]


def shown(ref: ObjectRef) -> str:
    return printable(f"{ref.kind} {ref.namespace}/{ref.name}" if ref.namespace else f"{ref.kind} {ref.name}")
