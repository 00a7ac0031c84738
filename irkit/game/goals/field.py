from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from irkit.game.cast import named
from irkit.game.goals.base import Seen
from irkit.game.view import View
from irkit.model.kube import at
from irkit.text import printable


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an ``object`` (Kind namespace/name) has one of the ``values``, as text; ``unset``: or is not there at all."""

    kind: ClassVar[str] = "field"

    object: str
    path: tuple[str, ...]
    values: tuple[str, ...] = ()
    unset: bool = False

    def look(self, view: View) -> Seen:
        try:
            found = view.stage.find(named(self.object, view.stage.kinds()))
        except KeyError:
            found = None
        if found is None:
            return Seen(False, printable(f"there is no {self.object}", 200))
        value = at(found, self.path)
        text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        holds = self.unset if value is None else text in self.values
        return Seen(holds, printable(f"{'.'.join(self.path)} of {self.object} is {text or 'not set'}", 300))
