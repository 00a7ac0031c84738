"""Telling people: by mail or webhook where the settings say how, else by showing whom to tell."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from irkit import API_VERSION
from irkit.errors import UndeliveredError
from irkit.model.announcement import Announcement
from irkit.model.incident import Incident
from irkit.ports import Clock
from irkit.settings import Settings
from irkit.settings.notify import Contact, SmtpSettings, WebhookSettings, mailable, meant
from irkit.text import printable


class Messenger:
    """Implements `Notifier`. A server that did not answer is not waited for again in the same run."""

    def __init__(self, settings: Settings, clock: Clock, *, rehearsal: bool = False) -> None:
        """``rehearsal``: everything is shown, nothing is sent."""
        self._settings, self._clock, self._rehearsal = settings, clock, rehearsal
        self._down: dict[str, str] = {}  # by the webhook's name; empty: the mail server

    def send(self, to: Sequence[str], message: str, incident: Incident) -> str:
        how, lost = [], []
        for word, contact in meant(to, self._settings.contacts):
            try:
                how.append(self._told(word, contact, message, incident))
            except UndeliveredError as error:
                lost.append(f"not delivered to {printable(word, 200)}: {error.message}")
        if lost:
            raise UndeliveredError("; ".join([*lost, *how]))
        return "; ".join(how)

    def _told(self, word: str, contact: Contact | None, message: str, incident: Incident) -> str:
        channel = None if self._rehearsal else self._channel(word, contact)
        if channel is None:
            return f"shown here, not sent: {printable(message, 2000)}"
        server, address = channel
        name = contact.webhook if contact is not None else ""
        if why := self._down.get(name):
            raise UndeliveredError(why)
        key = "irkit-" + hashlib.sha256(f"{incident.id}\0{word}\0{message}".encode("utf-8", "surrogatepass")).hexdigest()[:24]
        try:
            return self._delivered(server, address, word, message, incident, key)
        except UndeliveredError as error:
            if error.down:
                self._down[name] = error.message
            raise

    def _channel(self, word: str, contact: Contact | None) -> tuple[SmtpSettings | WebhookSettings, str] | None:
        """Which server takes it, and for a mail which address."""
        notify = self._settings.notify
        if contact is not None and contact.webhook:
            return notify.webhooks[contact.webhook], ""
        address = contact.address if contact is not None else word
        return (notify.smtp, address) if notify.smtp is not None and mailable(address) else None

    def _delivered(
        self, server: SmtpSettings | WebhookSettings, address: str, word: str, message: str, incident: Incident, key: str
    ) -> str:  # fmt: skip
        if isinstance(server, SmtpSettings):
            from irkit.adapters import smtp

            return smtp.deliver(server, address, subject(incident), _mail(message, incident), key)
        from irkit.adapters import announcing, webhook

        what: Any = document(message, incident, word, key)
        if server.template:
            said = Announcement(
                event="message", incident=incident.id, title=subject(incident), text=printable(message, 2000), severity=incident.severity,
                target=str(incident.target.pod), namespace=incident.target.namespace, cluster=incident.cluster.context, at=incident.opened,
                playbook=incident.playbook, operator=incident.operator.name, summary=incident.reported.summary,
            )  # fmt: skip
            what = announcing.body(server, said)
        return webhook.post(server, what, key, int(self._clock.now().timestamp()))


def subject(incident: Incident) -> str:
    """What and where, short enough for a telephone's screen."""
    pod, grave = incident.target.pod, f"{incident.severity} " if incident.severity else ""
    return printable(f"[irkit] {grave}incident {incident.short}: {pod.namespace}/{pod.name}", 160)


def _mail(message: str, incident: Incident) -> str:
    return "\n".join([message, "", *(f"{name:<9} {value}" for name, value in _facts(incident) if value), ""])


def _facts(incident: Incident) -> list[tuple[str, str]]:
    return [("incident", incident.id), ("severity", incident.severity), ("summary", incident.reported.summary),
            ("pod", f"{incident.target.pod.namespace}/{incident.target.pod.name}"),
            ("cluster", f"{incident.cluster.context} ({incident.cluster.server})"), ("playbook", incident.playbook),
            ("opened", f"{incident.opened} by {incident.operator.name}")]  # fmt: skip


def document(message: str, incident: Incident, to: str, key: str) -> dict[str, Any]:
    """What a webhook gets. ``text`` is for chat rooms: there ``<``, ``>`` and ``&`` have a meaning, such as to call everybody."""
    pod = incident.target.pod
    plain = f"{subject(incident)}\n{message}"
    text = plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {
        "apiVersion": API_VERSION, "kind": "Notification", "id": key, "incident": incident.id, "severity": incident.severity,
        "summary": incident.reported.summary, "playbook": incident.playbook, "to": to, "message": message, "text": text,
        "cluster": {"context": incident.cluster.context, "server": incident.cluster.server, "uid": incident.cluster.uid},
        "target": {"kind": pod.kind, "namespace": pod.namespace, "name": pod.name, "uid": pod.uid}, "opened": incident.opened,
        "operator": incident.operator.name,
    }  # fmt: skip
