from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.view import View


@dataclass(frozen=True, slots=True)
class Tamper:
    """Somebody with the suspect's rights puts labels back on it, so that another policy selects it; without a value, one goes."""

    kind: ClassVar[str] = "tamper"

    labels: dict[str, str]

    def do(self, view: View) -> str:
        labels = {key: value or None for key, value in self.labels.items()}
        view.stage.change(view.cast.suspect, {"metadata": {"labels": labels}})
        return ""
