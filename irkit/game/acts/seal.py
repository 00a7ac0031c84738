from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.view import View


@dataclass(frozen=True, slots=True)
class Seal:
    """The Vault is sealed, or is opened again."""

    kind: ClassVar[str] = "seal"

    sealed: bool = True

    def do(self, view: View) -> str:
        view.stage.seal(self.sealed)
        return "Vault is sealed" if self.sealed else "Vault is unsealed again"
