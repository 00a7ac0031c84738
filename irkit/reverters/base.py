"""Things that undo what irkit does: autoscalers, GitOps controllers, operators. Recognised and said; paused later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from irkit.model.kube import Obj, ObjectRef, Value
from irkit.ports import ClusterReader


class Reverter(Value, frozen=True):
    """``name`` would revert a change of ``of``. ``effect`` is a whole sentence for people."""

    name: str  # HorizontalPodAutoscaler todo-app/backend
    kind: str  # hpa | keda | argocd | flux | helm | operator
    of: ObjectRef
    effect: str


class Recogniser(Protocol):
    kind: str

    def find(self, ref: ObjectRef, obj: Obj, cluster: ClusterReader) -> Iterator[Reverter]:
        """The reverters of ``obj``. Raises nothing: a right that is missing is said as a reverter of kind ``unknown``."""
