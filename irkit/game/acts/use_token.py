from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from irkit.game.view import Attempt, View
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class UseToken:
    """Somebody outside the cluster uses the token of an ``account`` (namespace/name) that was stolen before the alert."""

    kind: ClassVar[str] = "use-token"

    account: str
    path: str  # of the API: /api/v1/namespaces/todo-app/secrets
    method: Literal["GET", "POST", "PATCH", "DELETE"] = "GET"
    object: dict[str, Any] = field(default_factory=dict)  # what is sent along

    def do(self, view: View) -> str:
        code = view.stage.use(view.tokens.get(self.account, ""), self.method, self.path, self.object or None)
        view.attempts.append(Attempt(view.now, f"{self.method} {self.path} as {self.account}", code < 300, f"the API server answers {code}"))
        return printable(f"the API server's audit log: {self.account} from an address outside, {self.method} {self.path}: {code}", 300)
