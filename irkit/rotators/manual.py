"""What irkit can't rotate: nobody knows who makes the new value, so a human does it."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.model.credential import Credential
from irkit.model.kube import Permission
from irkit.model.outcome import Outcome, Skipped
from irkit.ports import Observed
from irkit.rotators.base import Before, Tools, retired
from irkit.text import printable


class Manual:
    """Takes whatever no other rotator takes, and says that it is left to a human."""

    name = "manual"
    asks = False

    def takes(self, credential: Credential, seen: Observed) -> bool:
        return True

    def permissions(self, credential: Credential) -> tuple[Permission, ...]:
        return ()

    def notes(self, credential: Credential, seen: Observed) -> Iterator[str]:
        yield printable(f"{credential.name} is left to you: {credential.why or 'irkit knows no way to rotate it'}", 400)

    def before(self, credential: Credential, tools: Tools) -> Before:
        return {}

    def renew(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        return Skipped(credential.why or "irkit knows no way to rotate it")

    def retire(self, credential: Credential, before: Before, tools: Tools) -> Outcome:
        return retired("untested", "it was rotated by hand")
