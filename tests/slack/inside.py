"""The listener in the process of the test: real Slack client, real queue on disk. What a worker would do to an order, the test does."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from irkit.adapters.clock import SystemClock
from irkit.adapters.orderfiles import OrderFiles
from irkit.adapters.slack import SlackChat
from irkit.adapters.slackhost import base
from irkit.app.orders import queue
from irkit.engine.journal import stamp
from irkit.listeners import slack as listener
from irkit.listeners.log import Log
from irkit.model.order import Held, Planned, Status
from irkit.settings import Settings
from irkit.settings.slack import SlackSettings
from tests.slack.limits import Obj
from tests.slack.people import ANN, People
from tests.slack.server import Server
from tests.slack.world import SETTINGS, said, until

DIGEST = "a" * 64
PLAN = Planned(digest=DIGEST, intents=("b" * 64,), lines=("create NetworkPolicy todo-app/irkit-x", "relabel Pod todo-app/web-0"))


class Inside:
    def __init__(self, slack: Server, home: Path, **changed: Any) -> None:
        self.slack, self.people, self.home = slack, People(slack), home
        self.settings = Settings(home=home, slack=msgspec.convert({**SETTINGS, **changed}, SlackSettings))
        self.clock, self.stream = SystemClock(), io.StringIO()
        self.orders = OrderFiles(home / "orders", 200)
        self.asked: list[Sequence[str]] = []
        self.document = b"{}"
        self.woken = threading.Event()
        self._over = threading.Event()

    def __enter__(self) -> Self:
        tokens, before = self.slack.tokens, set(self.slack._sockets)
        chat = SlackChat(tokens["app"], tokens["bot"], base({"IRKIT_SLACK_BASE_URL": self.slack.address}))
        self.listener = listener.start(
            chat, self.orders, self.settings, self.clock, Log(self.clock, self.stream), cluster=lambda: "uid-1", read=self._read, wake=self.woken.set
        )
        if not self.slack.down:
            until(lambda: set(self.slack._sockets) - before, 10, lambda: "no connection")
        self._turns = threading.Thread(target=self._tell, daemon=True)
        self._turns.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._turns.join(5)
        self.listener.close()

    def _tell(self) -> None:
        """As the loop does it, turn by turn."""
        while not self._over.wait(0.05):
            self.listener.tell(self.orders.list())

    def _read(self, words: Sequence[str], timeout: float) -> bytes:
        self.asked.append(words)
        return self.document

    @property
    def lines(self) -> list[Obj]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def event(self, name: str, timeout: float = 10.0) -> Any:
        """The first audit line of that name."""
        return until(lambda: next((line for line in self.lines if line["event"] == name), None), timeout, lambda: f"no {name}: {self.lines}")

    def order(self, timeout: float = 10.0) -> Held:
        """The one order there is."""
        found: Sequence[Held] = until(self.orders.list, timeout, lambda: f"no order: {self.lines}")
        assert len(found) == 1, found
        return found[0]

    def becomes(self, held: Held, **changes: Any) -> Held:
        """What a worker writes into the queue."""

        def change(current: Held) -> Status:
            return msgspec.structs.replace(current.status, changed=stamp(self.clock), **changes)

        return queue.amend(self.orders, held.order.id, change)

    def rewrite(self, **changes: Any) -> None:
        """What no irkit does: change the order itself."""
        with self.orders._locked():
            held = self.order()
            changed = msgspec.structs.replace(
                held, order=msgspec.structs.replace(held.order, **changes), version=str(int(held.version) + 1),
            )  # fmt: skip
            (self.home / "orders" / f"{held.order.id}.json").write_bytes(msgspec.json.encode(changed))

    def planned(self, *, needs: str = "one", user: str = ANN) -> tuple[Held, Obj]:
        """A containment whose plan waits for approval, and the message that shows it."""
        self.people.types("contain web-0 -n todo-app", user=user)
        held = self.order()
        if needs != held.order.needs:
            self.rewrite(needs=needs)
        self.becomes(held, state="waiting", planned=PLAN)
        message = self.live("waits for approval")
        until(lambda: message["ts"] in self.order().status.message, 5, lambda: "the queue does not know the message")
        return self.order(), message

    def live(self, word: str, timeout: float = 10.0) -> Any:
        return until(lambda: next((m for m in list(self.slack.messages.values()) if m.get("thread_ts") and word in said(m)), None), timeout,
                     lambda: f"no message says {word!r}: {[said(m) for m in self.slack.messages.values()]} {self.lines}")  # fmt: skip

    def whisper(self, word: str, timeout: float = 10.0) -> Any:
        return until(lambda: next((w for w in list(self.slack.whispers) if word in said(w)), None), timeout,
                     lambda: f"nobody was told {word!r}: {[said(w) for w in self.slack.whispers]} {self.lines}")  # fmt: skip
