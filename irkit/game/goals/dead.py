from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.history import pair
from irkit.game.view import View
from irkit.model.kube import SERVICEACCOUNTS, ObjectRef
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Dead:
    """What was stolen opens nothing any more: a database ``role``'s old ``password`` (namespace/secret/key), or the old tokens of an ``account``."""

    kind: ClassVar[str] = "dead"

    role: str = ""
    password: str = ""
    account: str = ""

    def look(self, view: View) -> Seen:
        if self.role and view.stage.accepts(self.role, view.before(self.password).decode("utf-8", "replace")):
            return Seen(False, printable(f"the database still takes the old password of {self.role}"))
        if self.account:
            namespace, name = pair(self.account)
            found = view.stage.find(ObjectRef(resource=SERVICEACCOUNTS, name=name, namespace=namespace))
            if found is not None and found["metadata"]["uid"] == view.accounts.get((namespace, name)):
                return Seen(False, printable(f"old tokens of ServiceAccount {self.account} are still good: it is the same account"))
        return Seen(True, printable(f"what was stolen of {self.role or self.account} is refused"))
