"""End states, one file each."""

from __future__ import annotations

from typing import Any

from irkit.game.goals.absent import Absent
from irkit.game.goals.accepted import Accepted
from irkit.game.goals.alive import Alive
from irkit.game.goals.collected import Collected
from irkit.game.goals.cordoned import Cordoned
from irkit.game.goals.dead import Dead
from irkit.game.goals.field import Field
from irkit.game.goals.inert import Inert
from irkit.game.goals.isolated import Isolated
from irkit.game.goals.issued import Issued
from irkit.game.goals.policies import Policies
from irkit.game.goals.quiet import Quiet
from irkit.game.goals.recovered import Recovered
from irkit.game.goals.restarted import Restarted
from irkit.game.goals.rotated import Rotated
from irkit.game.goals.serving import Serving
from irkit.game.goals.steady import Steady
from irkit.game.goals.stopped import Stopped
from irkit.game.goals.unharmed import Unharmed
from irkit.game.goals.untouched import Untouched

GOALS: tuple[type[Any], ...] = (
    Absent, Accepted, Alive, Collected, Cordoned, Dead, Field, Inert, Isolated, Issued, Policies, Quiet, Recovered, Restarted, Rotated, Serving,
    Steady, Stopped, Unharmed, Untouched,
)  # fmt: skip
