from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import SECRETS, ObjectRef, at
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Issued:
    """A ``key`` (namespace/secret/key) holds exactly the ``value`` that its vendor issued; the vendor takes nothing else."""

    kind: ClassVar[str] = "issued"

    key: str
    value: str

    def look(self, view: View) -> Seen:
        namespace, _, rest = self.key.partition("/")
        name, _, key = rest.partition("/")
        secret = view.stage.find(ObjectRef(resource=SECRETS, name=name, namespace=namespace)) or {}
        holds = at(secret, ("data", key), "")
        if holds == base64.b64encode(self.value.encode()).decode():
            return Seen(True, printable(f"{self.key} holds the new key of its vendor"))
        old = base64.b64encode(view.before(self.key).encode()).decode()
        what = "the stolen key" if holds == old else "something that the vendor never issued, so that nothing works with it"
        return Seen(False, printable(f"{self.key} holds {what}", 200))
