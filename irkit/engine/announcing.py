"""What others are told of an incident (model/announcement.py), made of its state."""

from __future__ import annotations

from irkit.engine.events import Said
from irkit.engine.state import State
from irkit.model.announcement import Announcement, Event
from irkit.model.incident import Incident
from irkit.model.order import Order, Planned
from irkit.ports import Ports
from irkit.text import printable


def tell(ports: Ports, event: Event, state: State, text: str, next: str = "", at: str = "") -> None:
    """Begin to tell whoever wants to know. Nobody is waited for."""
    if ports.announcer is None:
        return
    incident = state.incident
    target = incident.target
    ports.announcer.tell(Announcement(
        event=event, incident=incident.id, title=title(state.severity, incident.short, target.pod.namespace, target.pod.name),
        text=printable(text, 800), severity=state.severity, target=printable(target.pod), namespace=printable(target.namespace),
        cluster=printable(incident.cluster.context), playbook=printable(incident.playbook), operator=printable(incident.operator.name),
        summary=printable(state.reported.summary, 500), next=printable(next, 300), at=at))  # fmt: skip


def wanted(ports: Ports, order: Order, planned: Planned, incident: Incident) -> None:
    """An order's plan waits for a decision: tell whoever wants to know."""
    if ports.announcer is None:
        return
    ports.announcer.tell(Announcement(
        event="approval", incident=incident.id, title=printable(f"[irkit] approval wanted: {order.words}", 100), severity=incident.severity,
        text=printable(f"asked by {order.origin.label}: {'; '.join(planned.lines[:10])}", 800), target=printable(incident.target.pod),
        namespace=printable(order.namespace), cluster=printable(incident.cluster.context), playbook=printable(order.playbook),
        operator=printable(order.origin.label), summary=printable(order.because, 500), next=f"irkit approve {order.id}",
        at=order.created))  # fmt: skip
    for why in heard(ports):
        ports.listen(Said(why, "warning"))


def title(severity: str, short: str, namespace: str, name: str) -> str:
    """``[irkit] critical incident k7q2ab: todo-app/backend-7c7c``, at most 120 characters."""
    place = f"{namespace}/{name}" if namespace else name
    return printable(f"[irkit] {severity} incident {short}: {place}".replace("  ", " "), 100)


def heard(ports: Ports) -> list[str]:
    """Who was not told, once everybody was, or could not be."""
    return list(ports.announcer.wait()) if ports.announcer is not None else []
