"""The door for webhooks: who asks for what, is it them, how often, and what became of it. Every answer is an audit line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from irkit.errors import UsageError
from irkit.listeners.log import Log
from irkit.listeners.web.auth import Scheme, Unauthenticated, scheme
from irkit.listeners.web.buckets import Buckets
from irkit.listeners.web.desk import Desk
from irkit.listeners.web.formats import Reader, reader
from irkit.listeners.web.formats.reading import Alerts
from irkit.listeners.web.metrics import CONTENT_TYPE, NO_SOURCE, Metrics
from irkit.listeners.web.ordering import OUT, Outcome
from irkit.model.http import Answer, Head, network
from irkit.ports import Clock
from irkit.settings.serve import ServeSettings
from irkit.text import printable

HOOKS = "/hooks/"
_MOST_SHOWN = 20  # orders in an audit line


class Source(msgspec.Struct, frozen=True):
    name: str
    scheme: Scheme
    reader: Reader
    bucket: Buckets


class Door:
    """`model.http.Door`. ``pages`` are the paths for GET."""

    def __init__(
        self, settings: ServeSettings, desk: Desk, metrics: Metrics, clock: Clock, log: Log, pages: Mapping[str, Callable[[], Answer]]
    ) -> None:
        """Raises UsageError where a source's secrets can't be read."""
        self._settings, self._desk, self._metrics, self._clock, self._log, self._pages = settings, desk, metrics, clock, log, pages
        self._sources = {
            name: Source(name, scheme(name, source, clock), reader(source), Buckets(source.rate, source.burst, clock))
            for name, source in settings.sources.items()
        }
        self._peers = Buckets(settings.peer_rate, settings.peer_burst, clock)

    def head(self, head: Head) -> Answer | None:
        if head.path in self._pages:
            return self._pages[head.path]() if head.method == "GET" else _error(405, "this page is for GET", headers=(("Allow", "GET"),))
        began = self._clock.monotonic()
        source = self._sources.get(head.path.removeprefix(HOOKS)) if head.path.startswith(HOOKS) else None
        name = source.name if source else NO_SOURCE
        if wait := self._peers.take(network(head.peer)):
            return self._end(head, name, began, "limited", _error(429, "this address sends too often", retry_after=wait))
        if source is None:
            return self._end(head, name, began, "refused", _error(404, "there is no such page, and no source of that name"))
        if head.method != "POST":
            return self._end(head, name, began, "refused", _error(405, "webhooks are for POST", headers=(("Allow", "POST"),)))
        if head.headers.get("content-encoding", "identity") != "identity":
            return self._end(head, name, began, "refused", _error(415, "compressed bodies are not read"))
        try:
            source.scheme.head(head)
        except Unauthenticated as error:
            return self._end(head, name, began, "unauthenticated", _unauthenticated(error))
        return None

    async def body(self, head: Head, body: bytes) -> Answer:
        began = self._clock.monotonic()
        source = self._sources[head.path.removeprefix(HOOKS)]
        try:
            sender = source.scheme.body(head, body)
        except Unauthenticated as error:
            return self._end(head, source.name, began, "unauthenticated", _unauthenticated(error))
        if wait := source.bucket.take(""):
            source.scheme.forget(head)
            return self._end(head, source.name, began, "limited", _error(429, f"source {source.name} sends too often", retry_after=wait))
        try:
            alerts = source.reader(source.name, body)
        except UsageError as error:
            return self._end(head, source.name, began, "invalid", _error(400, error.message))
        outcomes = await self._desk.decide(alerts, sender)
        return self._decided(head, source, began, outcomes, alerts)

    def late(self, head: Head) -> Answer:
        source = self._sources[head.path.removeprefix(HOOKS)]
        source.scheme.forget(head)
        answer = _error(503, "the queue of orders does not answer in time", retry_after=OUT)
        return self._end(head, source.name, self._clock.monotonic() - self._settings.answer, "unavailable", answer)

    def refused(self, peer: str, why: str, status: int) -> None:
        self._metrics.request(NO_SOURCE, "refused", 0.0)
        self._log("webhook", level="warning", peer=peer, result="refused", status=status, why=why)

    def _decided(self, head: Head, source: Source, began: float, outcomes: Sequence[Outcome], alerts: Alerts) -> Answer:
        for outcome in outcomes:
            if outcome.dry_run:
                self._metrics.dry_run(outcome.rule)
        shown = [_shown(o) for o in outcomes]
        document: dict[str, Any] = {"results": shown}
        if alerts.left:
            document["left"] = alerts.left
        failed = next((o for o in outcomes if o.error), None)
        ordered = next((o for o in outcomes if o.order and not o.dry_run), None)
        orders = ",".join(dict.fromkeys(o.order for o in outcomes if o.order).keys())[: _MOST_SHOWN * 13]
        facts = {"alerts": len(alerts) + alerts.left, "orders": orders}
        if failed is not None:
            source.scheme.forget(head)
            answer = Answer(503, {"error": failed.error, **document}, retry_after=failed.retry_after)
            return self._end(head, source.name, began, "unavailable", answer, **facts)
        if ordered is not None:
            new = any(o.new for o in outcomes)
            answer = Answer(202 if new else 200, {"order": ordered.order, **document})
            return self._end(head, source.name, began, "ordered" if new else "duplicate", answer, **facts)
        why = "; ".join(dict.fromkeys(o.ignored for o in outcomes if o.ignored)) or "nothing in it is an alert"
        dry = any(o.dry_run for o in outcomes)
        answer = Answer(200, {"ignored": "the rule is a dry run" if dry else why[:1000], **document})
        return self._end(head, source.name, began, "dry-run" if dry else "ignored", answer, why=why, **facts)

    def _end(self, head: Head, source: str, began: float, result: str, answer: Answer, **facts: object) -> Answer:
        passed = self._clock.monotonic() - began
        self._metrics.request(source, result, passed)
        why = str((answer.document or {}).get("error", ""))
        level = "info" if answer.status < 400 else "warning"
        known = {"why": why} if why else {}
        self._log("webhook", level=level, source=source, peer=head.peer, path=head.path, result=result, status=answer.status,
                  milliseconds=round(passed * 1000, 1), **{**facts, **known})  # fmt: skip
        return answer


def plain(text: str, content_type: str = CONTENT_TYPE) -> Answer:
    return Answer(200, text=text, headers=(("Content-Type", content_type),))


def _error(status: int, why: str, retry_after: int = 0, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, {"error": printable(why, 300)}, retry_after=retry_after, headers=headers)


def _unauthenticated(error: Unauthenticated) -> Answer:
    return _error(401, error.message, headers=(("WWW-Authenticate", "Bearer"),))


def _shown(outcome: Outcome) -> dict[str, Any]:
    found = {"alert": printable(outcome.alert, 200), "rule": outcome.rule, "order": outcome.order, "ignored": outcome.ignored, "error": outcome.error}
    extra = {"new": outcome.new} if outcome.order else {}
    return {k: v for k, v in found.items() if v} | extra | ({"dry-run": True} if outcome.dry_run else {})
