from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.history import pair
from irkit.game.view import View
from irkit.model.kube import SECRETS, ObjectRef
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Rotated:
    """These keys of a Secret hold other values than before, and not nothing; ``entry``: so does that entry of the Vault."""

    kind: ClassVar[str] = "rotated"

    secret: str  # namespace/name
    keys: tuple[str, ...] = ()
    entry: str = ""  # below secret/

    def look(self, view: View) -> Seen:
        namespace, name = pair(self.secret)
        before = view.secrets.get((namespace, name), {})
        found = view.stage.find(ObjectRef(resource=SECRETS, name=name, namespace=namespace))
        now = (found or {}).get("data") or {}
        old = sorted(k for k in self.keys or before if now.get(k) in (None, "", before.get(k)))
        if old:
            return Seen(False, printable(f"Secret {self.secret} holds the stolen value of {', '.join(old)}, or none", 300))
        kept = sorted(k for k, v in view.stage.entry(f"secret/data/{self.entry}").items() if v in view.values) if self.entry else []
        if kept:
            return Seen(False, printable(f"Vault entry secret/{self.entry} still holds {', '.join(kept)}: the next sync brings it back", 300))
        return Seen(True, printable(f"Secret {self.secret} holds new values", 200))
