"""Telling pagers, ticket systems and chat rooms what happens, beside the run: nothing waits for them but its end."""

from __future__ import annotations

import hashlib
import html
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from irkit import API_VERSION
from irkit.adapters import webhook
from irkit.errors import UndeliveredError
from irkit.model.announcement import Announcement
from irkit.ports import Clock
from irkit.settings import Settings, templates
from irkit.settings.notify import WebhookSettings
from irkit.text import printable


class Announcer:
    """Implements `ports.Announcer`: one thread a webhook that wants to know, so that one sees its events in their order."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._after: dict[str, threading.Thread] = {}
        self._lost: dict[str, str] = {}

    def tell(self, announcement: Announcement) -> None:
        for name, hook in self._settings.notify.webhooks.items():
            if announcement.event not in hook.events or name in self._lost:
                continue
            thread = threading.Thread(target=self._told, args=(name, hook, announcement, self._after.get(name)), name="irkit-tell", daemon=True)
            self._after[name] = thread
            thread.start()

    def wait(self) -> Sequence[str]:
        for thread in self._after.values():
            thread.join()
        lost, self._lost, self._after = self._lost, {}, {}
        return [f"{printable(name, 60)} was not told: {why}" for name, why in lost.items()]

    def _told(self, name: str, hook: WebhookSettings, announcement: Announcement, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        if name in self._lost:  # it does not answer: once is enough
            return
        key = "irkit-" + hashlib.sha256(f"{announcement.incident}\0{announcement.event}\0{announcement.text}".encode()).hexdigest()[:24]
        try:
            to = hook.url_closed.replace("${incident.id}", quote(announcement.incident, safe="")) if announcement.event == "closed" else ""
            webhook.post(hook, body(hook, announcement), key, int(self._clock.now().timestamp()), to)
        except UndeliveredError as error:
            self._lost[name] = error.message
        except Exception as error:  # noqa: BLE001 -- a thread that dies says nobody that a pager was not told, and may show what it sent
            self._lost[name] = f"inside irkit: {type(error).__name__}"


def body(hook: WebhookSettings, said: Announcement) -> Any:
    """What that webhook gets: its template filled, or the announcement as it is. Raises UndeliveredError."""
    if not hook.template:
        return {"apiVersion": API_VERSION, "kind": "Announcement", **msgspec.to_builtins(said), "text": said.text, "chat": _chat(said)}
    facts = [said.text, f"incident: {said.incident}", f"target:   {said.target}", f"cluster:  {said.cluster}", f"next:     {said.next}"]
    values = {
        "incident.id": said.incident, "incident.short": said.incident.rpartition("-")[2], "incident.title": said.title, "event": said.event,
        "severity": said.severity, "text": said.text, "target": said.target, "namespace": said.namespace, "cluster": said.cluster,
        "playbook": said.playbook, "operator": said.operator, "summary": said.summary, "next": said.next, "at": said.at, "chat": _chat(said),
        "block": "\n".join(f"    {printable(line, 1000)}" for line in facts),
    }  # fmt: skip
    shown = {name: printable(value, 800) if name not in ("block", "chat") else value for name, value in values.items()}
    return templates.fill(hook.template, {**shown, **webhook.values(hook)})


def _chat(said: Announcement) -> str:
    """For chat rooms: there ``<``, ``>`` and ``&`` have a meaning, such as to call everybody."""
    lines = [said.title, said.text, *([said.next] if said.next else [])]
    return "\n".join(html.escape(printable(line, 1000), quote=False) for line in lines)
