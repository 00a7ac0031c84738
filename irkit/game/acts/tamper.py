from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from irkit.game.cast import shown
from irkit.game.view import Attempt, View
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Tamper:
    """``labels`` are put back on the suspect, so that another policy selects it, and those that ``without`` names go.

    ``account`` (namespace/name): by its stolen token, as long as that is good and may patch pods; without one, by somebody who can't be stopped.
    """

    kind: ClassVar[str] = "tamper"

    labels: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    account: str = ""

    def do(self, view: View) -> str:
        suspect = view.cast.suspect
        body = {"metadata": {"labels": {**dict.fromkeys(self.without), **self.labels}}}
        if not self.account:
            view.stage.change(suspect, body)
            return ""
        code = view.stage.use(view.tokens.get(self.account, ""), "PATCH", f"/api/v1/namespaces/{suspect.namespace}/pods/{suspect.name}", body)
        view.attempts.append(Attempt(view.now, f"labels of {shown(suspect)} as {self.account}", code < 300, f"the API server answers {code}"))
        return printable(f"the API server's audit log: {self.account} from an address outside patched {shown(suspect)}: {code}", 300)
