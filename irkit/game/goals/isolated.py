from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from irkit.game.cast import shown
from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import DAEMONSETS, NETWORKPOLICIES, Obj, at, controller_of
from irkit.network.verdict import judge, line

SYSTEM = "kube-system"


@dataclass(frozen=True, slots=True)
class Isolated:
    """The suspect can reach nobody and nobody can reach it, by the policies in force; or it is gone.

    ``pods: node``: so are all pods of its node that a policy can hold, without those of DaemonSets and of kube-system.
    """

    kind: ClassVar[str] = "isolated"

    pods: Literal["suspect", "node"] = "suspect"

    def look(self, view: View) -> Seen:
        for ref in view.cast.pods(self.pods):
            pod = view.stage.find(ref)
            if pod is None or (self.pods == "node" and not _held(pod)):
                continue
            if leaks := judge(pod, view.stage.objects(NETWORKPOLICIES, ref.namespace)):
                where = f" of {shown(ref)}" if self.pods == "node" else ""
                return Seen(False, f"left open{where}: {line(leaks[0])}")
        return Seen(True, "no policy lets anything through")


def _held(pod: Obj) -> bool:
    """Whether it can be cut off at all, and anybody should."""
    own = (controller_of(pod) or {}).get("kind") == DAEMONSETS.kind or at(pod, ("metadata", "namespace")) == SYSTEM
    return not own and not at(pod, ("spec", "hostNetwork"), False)
