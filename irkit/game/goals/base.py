"""What a goal is: an end state that can be seen from outside, whoever brought it about and by whatever tool.

A field of a goal or an act that is called ``secret``, ``after``, ``account`` or ``service`` names one as namespace/name, ``password`` and
``key`` a key of a Secret as namespace/name/key, ``app`` the pods with that label as namespace/value. They are there when the game begins.
"""

from __future__ import annotations

from typing import ClassVar, Protocol

import msgspec

from irkit.game.view import View


class Seen(msgspec.Struct, frozen=True):
    """``why``: one sentence, printable, of what is so, or what is missing."""

    holds: bool
    why: str


class State(Protocol):
    kind: ClassVar[str]

    def look(self, view: View) -> Seen:
        """Whether it holds now. Reads only, and only what any observer could see."""
