from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import shown
from irkit.game.view import View


@dataclass(frozen=True, slots=True)
class Crash:
    """The suspect's container ends and starts again: its memory and its older log are lost."""

    kind: ClassVar[str] = "crash"

    def do(self, view: View) -> str:
        done = view.stage.crash(view.cast.suspect.namespace, view.cast.suspect.name)
        return f"{shown(view.cast.suspect)} restarted" if done else ""
