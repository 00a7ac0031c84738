from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import matching
from irkit.game.history import pair
from irkit.game.view import Attempt, View
from irkit.model.kube import NAMESPACES, NETWORKPOLICIES, Obj, ObjectRef, at
from irkit.network.reach import Endpoint, flow
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Connect:
    """The suspect opens a connection ``to`` an address, or to ``app`` (namespace/value of the label app); the policies in force decide."""

    kind: ClassVar[str] = "connect"

    to: str = ""
    app: str = ""
    port: int = 443

    def do(self, view: View) -> str:
        pod = view.stage.find(view.cast.suspect)
        where = f"{self.to or self.app}:{self.port}"
        if pod is None:
            view.attempts.append(Attempt(view.now, where, through=False, why="the pod is gone"))
            return ""
        found = flow(_end(view, pod), self._target(view), self.port, "TCP", view.stage.objects(NETWORKPOLICIES))
        view.attempts.append(Attempt(view.now, where, found.allowed, found.why))
        what = "established" if found.allowed else "timed out"
        view.stage.say(view.cast.suspect.namespace, view.cast.suspect.name, f"WARN  outbound connection to {where} {what}")
        return printable(f"a connection from {view.cast.suspect.name} to {where} {what}", 200) if found.allowed else ""

    def _target(self, view: View) -> Endpoint:
        if not self.app:
            return Endpoint(address=self.to)
        namespace, value = pair(self.app)
        pods = matching(view.stage, namespace, {"app": value})
        return _end(view, pods[0]) if pods else Endpoint()


def _end(view: View, pod: Obj) -> Endpoint:
    namespace = view.stage.find(ObjectRef(resource=NAMESPACES, name=at(pod, ("metadata", "namespace"), "")))
    return Endpoint(pod=pod, namespace=namespace)
