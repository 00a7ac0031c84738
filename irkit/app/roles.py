"""Who does what in an incident, as in the Incident Command System: on record, with the time, and who said so."""

from __future__ import annotations

from irkit.app.picking import pick
from irkit.app.runs import pool_of
from irkit.engine.session import Session
from irkit.errors import RefusedError, UsageError
from irkit.model.record import Assigned
from irkit.ports import Ports
from irkit.text import nearest, printable

ROLES = ("incident-commander", "operations-lead", "communications-lead", "scribe")
_LONGEST = 200  # characters of a name


def assign(ports: Ports, identifier: str | None, role: str, name: str) -> dict[str, str]:
    """Put on record who has that role from now on; returns all that have one. An empty ``name``: nobody.

    Raises UsageError for a role that there is not, RefusedError where the incident is closed, HeldError while somebody runs irkit on it.
    """
    if role not in ROLES:
        near = nearest(role, ROLES)
        hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(ROLES)}"
        raise UsageError(f"there is no role {printable(role, 60)!r}{hint}")
    if len(name) > _LONGEST:
        raise UsageError(f"a name takes at most {_LONGEST} characters, not {len(name)}")
    with pool_of(ports) as pool:
        state = pick(ports, identifier, lambda s: not s.closed)
        if state.closed.startswith("closed"):
            raise RefusedError(f"incident {state.incident.id} is closed", next=f"irkit incident show {state.incident.id}")
        if state.roles.get(role, "") == name.strip():
            return state.roles
        who = ports.connection.whoami()
        with Session(ports, state.incident, pool, "role", who, again="irkit incident role") as session:
            session.begin()
            session.note(Assigned(run=session.run, role=role, name=printable(name.strip(), _LONGEST), by=who.name))
            session.over(0)
            return session.state.roles
