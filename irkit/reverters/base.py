"""Things that undo what irkit does: autoscalers, GitOps controllers, operators. Recognised, said, and paused where that can be undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from irkit.errors import IrkitError, NotFoundError
from irkit.model.changes import Patch
from irkit.model.edits import Edit, field_value, present
from irkit.model.kube import HPAS, Obj, ObjectRef, Resource, Value, at, controller_of
from irkit.ports import ClusterReader


class Reverter(Value, frozen=True):
    """``name`` would revert a change of ``of``. ``effect`` is a whole sentence for people, safe for a terminal."""

    name: str  # HorizontalPodAutoscaler todo-app/backend
    kind: str  # hpa | keda | argocd | flux | helm | operator | unknown
    of: ObjectRef
    effect: str
    pause: Patch | None = None  # after which it leaves ``of`` alone; None: nothing to pause, or not known how
    after: bool = False  # whether it is paused after the stop, and goes on before the start, because it holds the number itself
    why_not: str = ""  # why it can't be paused though it should be
    reverts: bool = False  # whether it may start what was stopped, and so should be looked at again
    git: bool = False  # whether it brings back what stands in Git


class Recogniser(Protocol):
    @property
    def kind(self) -> str: ...

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        """The reverters of ``obj``. Raises nothing: what can't be read is said as a reverter of kind ``unknown``."""


SCALABLE = ("Deployment", "ReplicaSet", "StatefulSet")


def pausing(ref: ObjectRef, obj: Obj, path: tuple[str, ...], value: object, what: str) -> Patch | None:
    """The patch of one field by which ``what`` is paused; None where it is so already."""
    edit = Edit(path=path, before=field_value(obj, path), after=present(value))
    return None if edit.before == edit.after else Patch(ref=ref, edits=(edit,), why=f"pause {what}")


def autoscalers(ref: ObjectRef, cluster: ClusterReader) -> Sequence[Obj] | Reverter:
    """The HorizontalPodAutoscalers that scale ``ref``; a `Reverter` of kind ``unknown`` where they can't be read."""
    if ref.kind not in SCALABLE:
        return ()
    found = listed(HPAS, ref, cluster)
    return found if isinstance(found, Reverter) else [h for h in found if _targets(h, ref)]


def by_keda(autoscaler: Obj) -> bool:
    """Whether KEDA made it (it names them so, and owns them)."""
    name = str(at(autoscaler, ("metadata", "name"), ""))
    return name.startswith("keda-hpa-") or (controller_of(autoscaler) or {}).get("kind") == "ScaledObject"


def listed(resource: Resource, ref: ObjectRef, cluster: ClusterReader) -> Sequence[Obj] | Reverter:
    """All of a kind in the namespace of ``ref``. A kind that is not served has none."""
    try:
        return cluster.list(resource, ref.namespace)
    except NotFoundError:
        return ()
    except IrkitError as error:
        return Reverter(name=f"{resource.kind}s", kind="unknown", of=ref,
                        effect=f"Not known whether a {resource.kind} scales {ref}: {error.message}.")  # fmt: skip


def _targets(autoscaler: Obj, ref: ObjectRef) -> bool:
    target = at(autoscaler, ("spec", "scaleTargetRef")) or {}
    group = str(target.get("apiVersion", "")).rpartition("/")[0]
    return (group, target.get("kind"), target.get("name")) == (ref.resource.group, ref.kind, ref.name)
