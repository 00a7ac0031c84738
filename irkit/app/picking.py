"""Which incident is meant: by its id, or the newest of this cluster that has something left for what is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from irkit.engine import handover
from irkit.engine.events import Said
from irkit.engine.home import Home
from irkit.engine.state import State
from irkit.errors import RefusedError, UsageError
from irkit.ports import Ports
from irkit.text import printable

ID = re.compile(r"\d{8}T\d{6}Z-")
"""How an incident's id begins."""


def _met(state: State, wishes: Sequence[Callable[[State], bool]]) -> int | None:
    return next((n for n, wish in enumerate(wishes) if wish(state)), None)


def saying(ports: Ports) -> Callable[[str], None]:
    """Tell people of what was not believed."""
    return lambda text: ports.listen(Said(text, "warning"))


def pick(ports: Ports, identifier: str | None, *wishes: Callable[[State], bool]) -> State:
    """The incident that is meant: the newest that meets the first wish, else the next one.

    Raises UsageError where none does, RefusedError where it is another cluster's.
    """
    home = Home(ports.settings.home)
    cluster = ports.connection.identify()
    say = saying(ports)
    if identifier:
        state = home.load(identifier) if identifier in home.ids() else handover.fetch(ports.cluster, identifier, home, say)
        theirs = state.incident.cluster
        if theirs.uid != cluster.uid:
            # a kubeconfig made anew may call another cluster the same
            there = "--kubeconfig FILE, that cluster's" if theirs.context == cluster.context else f"--context {printable(theirs.context)}"
            raise RefusedError(f"incident {identifier} is of another cluster ({printable(theirs.context)}, uid {theirs.uid}), "
                               f"this is {printable(cluster.context)}, uid {cluster.uid}; nothing was changed",
                               next=f"the same command with {there}")  # fmt: skip
        return handover.caught_up(ports.cluster, state, home, say)
    fitting: dict[int, State] = {}
    for opened in home.opened():
        if opened.incident.cluster.uid != cluster.uid:
            continue
        state = home.load(opened.incident.id)
        if _met(state, wishes) is not None:  # else it is not worth a request
            state = handover.caught_up(ports.cluster, state, home, say)
        met = _met(state, wishes)
        if met == 0:
            return state
        if met is not None:
            fitting.setdefault(met, state)
    if fitting:
        return fitting[min(fitting)]
    raise UsageError("no incident of this cluster has anything left for that", next="irkit incident list")
