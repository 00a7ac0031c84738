"""End states, one file each."""

from __future__ import annotations

from typing import Any

from irkit.game.goals.alive import Alive
from irkit.game.goals.collected import Collected
from irkit.game.goals.dead import Dead
from irkit.game.goals.isolated import Isolated
from irkit.game.goals.quiet import Quiet
from irkit.game.goals.recovered import Recovered
from irkit.game.goals.rotated import Rotated
from irkit.game.goals.stopped import Stopped
from irkit.game.goals.unharmed import Unharmed
from irkit.game.goals.untouched import Untouched

GOALS: tuple[type[Any], ...] = (Alive, Collected, Dead, Isolated, Quiet, Recovered, Rotated, Stopped, Unharmed, Untouched)
