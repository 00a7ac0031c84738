"""Telling a chat what becomes of orders: one message each, in the thread of what was asked, edited at most once a second.

What it tells is the queue's state, whenever it comes to it; so nothing is lost while Slack is out or wants a pause, and
after a restart the same messages are gone on with (`address`). Two messages are never under way at once.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from irkit.app.orders.queue import amend
from irkit.app.orders.rights import approving
from irkit.errors import ApiError, BusyError, ConflictError, ForbiddenError, IrkitError, NotFoundError, UnreachableError
from irkit.listeners.slack import bags, blocks, card
from irkit.listeners.slack.address import Address
from irkit.listeners.slack.desk import Desk
from irkit.model.kube import Obj
from irkit.model.order import Held, Status

PERIOD = 1.0  # seconds between two edits of one message
PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds after a call that got no answer, longer each time
OLD = 86400.0  # seconds: what ended so long ago, and was never told, is no news
_CLOSED = ("edit_window_closed", "cant_update_message")
_PATIENCE = 60.0  # seconds until a message that Slack refused is tried again


class Relay:
    """`tell` only leaves the state to be told, and returns; a thread of its own does the rest."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._latest: Sequence[Held] = ()
        self._fresh, self._over = threading.Event(), threading.Event()
        self._told: dict[str, str] = {}  # by order: digest of what its message says
        self._settled: dict[str, str] = {}  # by order: the version of which everything is told
        self._places: dict[str, Address] = {}  # by order: what `_latest` may not have yet
        self._uploads = bags.Uploads(desk)
        self._pause = PAUSE
        self._next: dict[str, float] = {}  # by order: when its message may be touched again
        self._thread = threading.Thread(target=self._run, name="irkit-relay", daemon=True)
        self._thread.start()

    def tell(self, held: Sequence[Held]) -> None:
        self._latest = held
        self._fresh.set()

    def close(self, timeout: float = 5.0) -> None:
        """Tell what can be told at once, and end."""
        self._over.set()
        self._fresh.set()
        self._thread.join(timeout)

    def _run(self) -> None:
        while not self._over.is_set():
            self._fresh.wait()
            self._fresh.clear()
            try:
                for held in self._latest:
                    self._one(held)
                self._pause = PAUSE
            except BusyError as error:
                self._desk.log("slack-pause", level="warning", why=error.message, seconds=error.seconds)
                self._over.wait(error.seconds)
            except (UnreachableError, ForbiddenError) as error:
                self._desk.log("not-told", level="warning", why=error.message, code=error.exit_code)
                self._over.wait(self._pause)
                self._pause = min(2 * self._pause, LONGEST_PAUSE)
            known = {held.order.id for held in self._latest}
            memories: tuple[dict[str, Any], ...] = (self._next, self._told, self._places, self._settled)
            for memory in memories:
                for forgotten in memory.keys() - known:
                    del memory[forgotten]

    def _one(self, held: Held) -> None:
        """Everything that is new of one order. Raises BusyError, UnreachableError, ForbiddenError: of Slack as a whole."""
        identifier, now = held.order.id, self._desk.clock.monotonic()
        if identifier not in self._next:  # whoever led before may have edited it just now
            self._next[identifier] = now + PERIOD if held.status.message else now
        if now < self._next[identifier]:
            return
        if self._settled.get(identifier) == held.version:
            return
        try:
            held = self._desk.orders.get(identifier)  # what was told to us may be older than a pause, and another irkit may lead by now
            if self._told_of(held):
                self._settled[identifier] = held.version
        except (BusyError, UnreachableError, ForbiddenError):
            raise
        except IrkitError as error:  # of this message alone: not in the channel, archived, deleted
            self._next[identifier] = now + _PATIENCE
            self._desk.log("not-told", level="warning", order=identifier, why=error.message)
            self._complain(held, error)
        except Exception as error:  # noqa: BLE001 -- a relay that dies tells nobody of anything
            self._next[identifier] = now + _PATIENCE
            self._desk.log("relay-failed", level="error", order=identifier, why=type(error).__name__)

    def _told_of(self, held: Held) -> bool:
        """Whether there was nothing to tell of this version of it."""
        where = self._where(held)
        if not where.channel or held.recorded or (not where.message and self._old(held)):
            return True
        chat = self._desk.chat
        if not where.root:
            where = where._replace(root=chat.post(where.channel, *card.root(held, self._desk.settings)))
            self._keep(held, where, "")
        held = msgspec.structs.replace(held, status=msgspec.structs.replace(held.status, message=where.write()))
        text, parts = card.live(held, self._desk.settings)
        digest = hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:32]
        if not where.message:
            try:
                where = where._replace(message=chat.post(where.channel, text, parts, thread=where.root, broadcast=held.order.needs != "nobody"))
            except NotFoundError as error:
                if error.reason != "thread_not_found":
                    raise
                self._keep(held, where._replace(root=""), "")  # somebody removed its head: the next turn begins another one
                return False
            self._said(held, where, digest)
        elif digest != (self._told.get(held.order.id) or held.status.told):
            self._edit(held, where, text, parts, digest)
        else:
            return not self._after(held, where)
        return False

    def _edit(self, held: Held, where: Address, text: str, parts: Sequence[Obj], digest: str) -> None:
        """A message that is gone, or that the workspace lets nobody edit any more, is posted anew: of a progress only the end is."""
        try:
            self._desk.chat.edit(where.channel, where.message, text, parts)
        except NotFoundError as error:
            if error.reason not in ("message_not_found", *_CLOSED):
                raise
            if error.reason == "message_not_found" or held.status.over or held.status.state == "waiting":
                self._keep(held, where._replace(message=""), "")  # the next turn posts it
                return
        self._said(held, where, digest)

    def _where(self, held: Held) -> Address:
        """Where it is told, or is to be told; no channel: nowhere here."""
        settings, origin = self._desk.settings.slack, held.order.origin
        kept = Address.read(held.status.message)
        found = Address(*(a or b for a, b in zip(kept, self._places.get(held.order.id, Address()), strict=True)))
        if found.channel:
            return found
        if origin.door == "slack" and origin.team == settings.team:
            return Address(channel=origin.channel, root=origin.thread)
        return Address(channel=settings.tell_channel)

    def _said(self, held: Held, where: Address, digest: str) -> None:
        self._told[held.order.id] = digest
        self._next[held.order.id] = self._desk.clock.monotonic() + PERIOD
        if held.status.over or held.status.state == "waiting" or where != Address.read(held.status.message):
            self._keep(held, where, digest)

    def _keep(self, held: Held, where: Address, digest: str) -> None:
        """Into the queue. What it can't keep now it may say twice after a restart."""

        def change(current: Held) -> Status:
            return msgspec.structs.replace(current.status, message=where.write(), told=digest)

        self._told[held.order.id], self._places[held.order.id] = digest, where
        amend(self._desk.orders, held.order.id, change)

    def _old(self, held: Held) -> bool:
        return held.status.over and (self._desk.clock.now() - datetime.fromisoformat(held.status.changed)).total_seconds() > OLD

    def _after(self, held: Held, where: Address) -> bool:
        """The bag, once, into the one channel for bags; the incident's own channel. Whether anything was new."""
        settings = self._desk.settings.slack
        changed, waits = where, False
        if settings.incident_channels and held.status.incident and not where.room and held.status.state in ("running", "done"):
            changed = changed._replace(room=self._room(held))
        if settings.bag_channel and held.status.over and held.status.ended and held.status.ended.bundle and not where.file:
            thread = where.root if settings.bag_channel == where.channel else ""
            file = self._uploads.of(held, thread)
            changed, waits = changed._replace(file=file or ""), file is None
            if waits:
                self._next[held.order.id] = self._desk.clock.monotonic() + PERIOD
        if changed != where:
            self._keep(held, changed, self._told.get(held.order.id, ""))
        return changed != where or waits

    def _room(self, held: Held) -> str:
        chat, order = self._desk.chat, held.order
        people = {o.sender for o in (order.origin, *(d.by for d in held.status.decisions)) if o.door == "slack"}
        name = f"irkit-{held.status.incident.lower()}"[:80]
        try:
            room = chat.room(name, sorted(people | set(self._desk.settings.slack.members(approving(order, self._desk.settings)))))
            chat.post(room, *card.root(held, self._desk.settings))
        except ConflictError:
            return "-"
        except ApiError as error:
            self._desk.log("no-channel", level="warning", order=order.id, why=error.message)
            return "-"
        return room

    def _complain(self, held: Held, error: IrkitError) -> None:
        """To whoever asked, where Slack still takes an answer to that: the channel does not take messages of irkit's."""
        origin, url = held.order.origin, self._desk.answers.get(held.order.id)
        if origin.door != "slack" or not url or held.status.message:
            return
        text = f"irkit can't write into this channel ({error.message}). Invite it: /invite @irkit\nnext: irkit order show {held.order.id}"
        try:
            self._desk.chat.whisper(origin.channel, origin.sender, *blocks.note(text), url=url)
        except IrkitError as failed:
            self._desk.log("not-answered", level="warning", user=origin.sender, why=failed.message)
