"""What an act is: something that the attacker, or the rest of the world, does at a moment of the game."""

from __future__ import annotations

from typing import ClassVar, Protocol

from irkit.game.view import View


class Act(Protocol):
    kind: ClassVar[str]

    def do(self, view: View) -> str:
        """Do it. Returns what anybody could see of it, in one printable sentence; empty: nothing, or it could not be done."""
