from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from irkit.game.cast import owner_of
from irkit.game.goals.base import Seen
from irkit.game.history import pair
from irkit.game.view import View, name_of
from irkit.model.kube import PODS, at, is_ready, labels_of
from irkit.text import plural, printable


@dataclass(frozen=True, slots=True)
class Restarted:
    """Every pod with the label ``app`` (namespace/value) began after the Secret ``after`` (namespace/name) got its new values, and one is ready.

    A label can be taken off and put on: pods that had it when the game began count until they end, but for the suspect, and a ready one is
    of a workload that had such pods then.
    """

    kind: ClassVar[str] = "restarted"

    app: str
    after: str

    def look(self, view: View) -> Seen:
        changed = view.history.changed(pair(self.after))
        if changed is None:
            return Seen(False, printable(f"Secret {self.after} holds what it held before"))
        key = pair(self.app)
        known = view.apps.get(key, {})
        ready = [p for p in view.stage.objects(PODS, key[0]) if is_ready(p) and not at(p, ("metadata", "deletionTimestamp"))]
        pods = [p for p in ready if labels_of(p).get("app") == key[1]]
        hidden = [p for p in ready if p not in pods and p["metadata"]["uid"] in known.keys() - {view.cast.suspect.uid}]
        old = [p for p in (*pods, *hidden) if datetime.fromisoformat(p["metadata"]["creationTimestamp"]) < changed.replace(microsecond=0)]
        if old:
            return Seen(False, printable(f"{plural(len(old), 'pod')} of {self.app} began before Secret {self.after} changed, with the old value"))
        if not any(name_of(owner_of(p, view.stage)) in known.values() for p in pods):
            return Seen(False, printable(f"no pod of {self.app} is ready"))
        return Seen(True, printable(f"every pod of {self.app} began with the new values of {self.after}"))
