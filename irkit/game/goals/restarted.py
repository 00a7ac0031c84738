from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.history import pair
from irkit.game.view import View
from irkit.model.kube import PODS, at, is_ready
from irkit.text import plural, printable


@dataclass(frozen=True, slots=True)
class Restarted:
    """Every pod with the label ``app`` (namespace/value) began after the Secret ``after`` (namespace/name) got its new values, and one is ready."""

    kind: ClassVar[str] = "restarted"

    app: str
    after: str

    def look(self, view: View) -> Seen:
        changed = view.history.changed(pair(self.after))
        if changed is None:
            return Seen(False, printable(f"Secret {self.after} holds what it held before"))
        namespace, value = pair(self.app)
        pods = [p for p in view.stage.objects(PODS, namespace)
                if at(p, ("metadata", "labels", "app")) == value and is_ready(p) and not at(p, ("metadata", "deletionTimestamp"))]  # fmt: skip
        old = [p for p in pods if datetime.fromisoformat(p["metadata"]["creationTimestamp"]) < changed.replace(microsecond=0)]
        if old:
            return Seen(False, printable(f"{plural(len(old), 'pod')} of {self.app} began before Secret {self.after} changed, with the old value"))
        if not pods:
            return Seen(False, printable(f"no pod of {self.app} is ready"))
        return Seen(True, printable(f"every pod of {self.app} began with the new values of {self.after}"))
