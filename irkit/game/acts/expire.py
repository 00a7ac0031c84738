from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from irkit.game.cast import matching
from irkit.game.history import pair
from irkit.game.view import View
from irkit.text import plural, printable


@dataclass(frozen=True, slots=True)
class Expire:
    """What a ``secret`` (namespace/name) held at the alert is refused from now on: pods with the label ``app`` (namespace/value) with it crash."""

    kind: ClassVar[str] = "expire"

    secret: str
    app: str

    def do(self, view: View) -> str:
        namespace, value = pair(self.app)
        changed = view.history.changed(pair(self.secret))
        hit = 0
        for pod in matching(view.stage, namespace, {"app": value}):
            meta = pod["metadata"]
            if changed is None or datetime.fromisoformat(meta["creationTimestamp"]) < changed.replace(microsecond=0):
                view.stage.say(namespace, meta["name"], f"FATAL the credential in {self.secret} has expired")
                hit += view.stage.crash(namespace, meta["name"])
        return printable(f"{plural(hit, 'pod')} of {self.app} crashed: the credential in {self.secret} has expired", 300) if hit else ""
