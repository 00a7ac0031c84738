"""What happens in a game beside what its players do, one file each."""

from __future__ import annotations

from typing import Any

from irkit.game.acts.apply import Apply
from irkit.game.acts.connect import Connect
from irkit.game.acts.crash import Crash
from irkit.game.acts.evict import Evict
from irkit.game.acts.expire import Expire
from irkit.game.acts.log import Log
from irkit.game.acts.seal import Seal
from irkit.game.acts.tamper import Tamper
from irkit.game.acts.use_token import UseToken

ACTS: tuple[type[Any], ...] = (Apply, Connect, Crash, Evict, Expire, Log, Seal, Tamper, UseToken)
