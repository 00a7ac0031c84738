from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.view import View


@dataclass(frozen=True, slots=True)
class Quiet:
    """Of what the attacker tried last, nothing got through: no connection, and no request with a stolen token."""

    kind: ClassVar[str] = "quiet"

    def look(self, view: View) -> Seen:
        latest = {attempt.what: attempt for attempt in view.attempts}
        through = [a for a in latest.values() if a.through]
        if not latest:
            return Seen(False, "the attacker has not tried anything since")
        return Seen(False, f"the attacker still gets through: {through[0].what}") if through else Seen(True, "the attacker gets through nowhere")
