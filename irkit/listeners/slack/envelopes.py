"""Slack's events: each is acknowledged at once, acted upon once, and leaves an audit line whatever becomes of it.

Slack sends an event again where it saw no acknowledgement, to this connection or to another irkit's. The id of an envelope
may be another one then. So an event is known by what it says of itself (trigger, action and view ids), and the queue of
orders, which all irkits share, takes one order an event.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

import msgspec

from irkit.errors import IrkitError, RefusedError, UsageError
from irkit.listeners.slack import answering, blocks, commands, home, interactions, people
from irkit.listeners.slack.desk import Desk, Recent, sentence
from irkit.listeners.slack.people import Asker
from irkit.model.kube import Obj
from irkit.ports.chat import Envelope
from irkit.text import printable

_THREADS = 4
_MOST = 100  # events that may wait for a thread
_LAST = 5.0  # seconds for what is under way at the end
_TAKEN = 1.5  # seconds that an acknowledgement waits for the queue: Slack wants it within 3
_WAITING = 4  # acknowledgements that may wait so at once; the others would be late


class Slash(msgspec.Struct):
    """docs.slack.dev/interactivity/implementing-slash-commands"""

    team_id: str = ""
    channel_id: str = ""
    user_id: str = ""
    user_name: str = ""
    text: str = ""
    trigger_id: str = ""
    response_url: str = ""


class Event(msgspec.Struct):
    type: str = ""
    user: str = ""
    tab: str = ""


class Callback(msgspec.Struct):
    event: Event
    team_id: str = ""
    event_id: str = ""


class Door:
    """`take` is called in the threads of the connection. It waits for nothing but the queue, and not for long.

    So what was acknowledged is in the queue, though this process be killed the moment after: else Slack sends it again.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk, self._seen = desk, Recent()
        self._pool = ThreadPoolExecutor(_THREADS, "irkit-slack")
        self._questions = ThreadPoolExecutor(_THREADS, "irkit-slack-question")  # evidence waits behind no question
        self._begun: set[Future[None]] = set()
        self._lock, self._waiting = threading.Lock(), threading.BoundedSemaphore(_WAITING)

    def close(self) -> None:
        """What was acknowledged is done, as far as that takes no longer than `_LAST`."""
        _, left = wait(list(self._begun), _LAST)
        if left:
            self._desk.log("slack-dropped", level="warning", events=len(left))
        for pool in (self._pool, self._questions):
            pool.shutdown(wait=False, cancel_futures=True)

    def take(self, envelope: Envelope) -> Obj | None:
        """The payload of the acknowledgement."""
        try:
            match envelope.kind:
                case "slash_commands":
                    return self._slash(msgspec.convert(envelope.payload, Slash), envelope)
                case "interactive":
                    return self._interaction(msgspec.convert(envelope.payload, interactions.Interaction), envelope)
                case "events_api":
                    self._event(msgspec.convert(envelope.payload, Callback), envelope)
                case _:
                    self._desk.log("slack-unknown", level="warning", kind=envelope.kind, envelope=envelope.id)
        except msgspec.ValidationError as error:
            self._desk.log("slack-unreadable", level="warning", kind=envelope.kind, envelope=envelope.id, why=printable(error))
        except Exception as error:  # noqa: BLE001 -- slack-sdk would swallow it; the event is acknowledged, and nothing was done
            self._desk.log("slack-failed", level="error", kind=envelope.kind, envelope=envelope.id, why=type(error).__name__)
        return None

    def _slash(self, said: Slash, envelope: Envelope) -> Obj | None:
        desk, slack = self._desk, self._desk.settings.slack
        asker = Asker(said.user_id, said.user_name, said.team_id, said.channel_id, said.response_url)
        try:
            people.known(asker, slack)
            asked = commands.parse(said.text)
            people.allowed(asker, asked.word, slack)
            if asked.word == "help":
                return _ephemeral(commands.overview())
            if not said.trigger_id:
                raise UsageError("Slack's event has no trigger; nothing was done", next="the same command again")
            key = f"slack:{said.team_id}:{said.trigger_id}"
            if self._again(key, envelope):
                return None
            self._later(asker, "command-refused", lambda: answering.answer(desk, key, asker, asked), question=asked.word not in answering.ORDERS,
                        taken=asked.word in answering.ORDERS)  # fmt: skip
        except IrkitError as error:
            desk.refuse("command-refused", asker, error)
            return _ephemeral(sentence(error))
        return None

    def _interaction(self, said: interactions.Interaction, envelope: Envelope) -> Obj | None:
        desk, asker, key = self._desk, said.asker(self._desk.settings.slack.team), said.key()
        if self._again(key, envelope):
            return None
        try:
            if said.type == "view_submission":
                interactions.check_view(desk, asker, said)
            self._later(asker, "interaction-refused", lambda: interactions.handle(desk, key, asker, said), taken=True)
        except IrkitError as error:
            desk.refuse("interaction-refused", asker, error)
            text = sentence(error)
            if said.type == "view_submission":
                self._seen.forget(key)  # whoever corrects it sends the same modal again
                return interactions.shown_in_view(text)
            self._submit(lambda: desk.whisper(asker, text))
        return None

    def _event(self, said: Callback, envelope: Envelope) -> None:
        if said.event.type != "app_home_opened" or said.event.tab not in ("", "home"):
            return
        asker = Asker(said.event.user, "", said.team_id, "")
        if not self._again(f"slack:{said.team_id}:{said.event_id or envelope.id}", envelope):
            self._later(asker, "home-refused", lambda: home.show(self._desk, asker), question=True)

    def _again(self, key: str, envelope: Envelope) -> bool:
        if self._seen.first(key):
            return False
        self._desk.log("slack-again", kind=envelope.kind, envelope=envelope.id, attempt=envelope.attempt)
        return True

    def _later(self, asker: Asker, refused: str, work: Callable[[], None], *, question: bool = False, taken: bool = False) -> None:
        """In a thread of ours; ``taken``: return once that is done, if it is soon. Raises RefusedError where too much waits."""

        def run() -> None:
            try:
                work()
            except IrkitError as error:
                self._desk.refuse(refused, asker, error)
                self._desk.whisper(asker, sentence(error))
            except Exception as error:  # noqa: BLE001 -- a thread that dies says nothing
                self._desk.log("slack-failed", level="error", user=asker.user, why=type(error).__name__)
                self._desk.whisper(asker, "That failed inside irkit; its log says more.")

        if (begun := self._submit(run, question=question)) is None:
            raise RefusedError("irkit has too much to answer just now; nothing was done", next="the same again in a minute")
        if taken and self._waiting.acquire(blocking=False):
            try:
                wait([begun], _TAKEN)
            finally:
                self._waiting.release()

    def _submit(self, work: Callable[[], None], *, question: bool = True) -> Future[None] | None:
        """None where there is no room for it."""
        with self._lock:
            self._begun = {f for f in self._begun if not f.done()}
            if len(self._begun) >= _MOST:
                return None
            begun = (self._questions if question else self._pool).submit(work)
            self._begun.add(begun)
            return begun


def _ephemeral(text: str) -> Obj:
    shown, parts = blocks.note(text)
    return {"response_type": "ephemeral", "text": shown, "blocks": parts}
