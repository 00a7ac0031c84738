from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.goals.base import Seen
from irkit.game.history import key_of
from irkit.game.view import View
from irkit.model.kube import NETWORKPOLICIES
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Policies:
    """Every NetworkPolicy that was there when the game began says what it said: nobody was cut off by mistake, nobody let in."""

    kind: ClassVar[str] = "policies"

    def look(self, view: View) -> Seen:
        now = {key_of(p): p.get("spec") or {} for p in view.stage.objects(NETWORKPOLICIES)}
        for key, spec in view.history.policies.items():
            if key not in now or now[key] != spec:
                return Seen(False, printable(f"NetworkPolicy {key[0]}/{key[1]} {'was changed' if key in now else 'is gone'}", 200))
        return Seen(True, "every policy says what it said")
