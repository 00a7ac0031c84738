from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.view import View


@dataclass(frozen=True, slots=True)
class Log:
    """The suspect writes a line into its log."""

    kind: ClassVar[str] = "log"

    line: str

    def do(self, view: View) -> str:
        view.stage.say(view.cast.suspect.namespace, view.cast.suspect.name, self.line)
        return ""
