"""What people do in that Slack: the payloads of its events, as its documentation shows them."""

from __future__ import annotations

import itertools
import time
from typing import Any

from tests.slack.limits import Obj
from tests.slack.server import Ack, Server

ANN, BOB, EVE = "U0ANN", "U0BOB", "U0EVE"
_count = itertools.count(1)


class People:
    def __init__(self, slack: Server) -> None:
        self.slack = slack

    def trigger(self) -> str:
        found = f"{next(_count)}.trigger"
        self.slack.triggers[found] = time.monotonic()
        return found

    def slash(self, text: str, *, user: str = ANN, channel: str = "C0INC", team: str = "") -> Obj:
        """docs.slack.dev/interactivity/implementing-slash-commands"""
        return {"token": "legacy", "team_id": team or self.slack.team, "team_domain": "example",
                "channel_id": channel, "channel_name": channel.lower(), "user_id": user,
                "user_name": user[2:].lower(), "command": "/irkit", "text": text, "api_app_id": "A0APP",
                "is_enterprise_install": "false", "response_url": self.slack.hook(), "trigger_id": self.trigger()}  # fmt: skip

    def types(self, text: str, **who: Any) -> Ack:
        """``/irkit TEXT``."""
        return self.slack.deliver("slash_commands", self.slash(text, **who))

    def _base(self, kind: str, user: str, channel: str, team: str) -> Obj:
        team = team or self.slack.team
        return {"type": kind, "user": {"id": user, "username": user[2:].lower(), "name": user[2:].lower(), "team_id": team}, "api_app_id": "A0APP",
                "token": "legacy", "team": {"id": team, "domain": "example"}, "enterprise": None, "is_enterprise_install": False,
                "channel": {"id": channel, "name": channel.lower()}, "trigger_id": self.trigger(), "response_url": self.slack.hook()}  # fmt: skip

    def click(self, message: Obj, action: str, *, user: str = BOB, team: str = "", **changed: str) -> Obj:
        """A press on a button of that message, as it is shown."""
        buttons = [e for b in message["blocks"] if b["type"] == "actions" for e in b["elements"] if e["action_id"] == action]
        assert buttons, f"the message has no button {action}"
        pressed = {"type": "button", "action_id": action, "block_id": "b", "value": buttons[0]["value"], "action_ts": f"{next(_count)}.1", **changed}
        container = {"type": "message", "message_ts": message["ts"], "channel_id": message["channel"], "is_ephemeral": False}
        shown = {"type": "message", "text": "whatever it says", "ts": message["ts"], "blocks": message["blocks"]}
        return {**self._base("block_actions", user, message["channel"], team), "container": container, "message": shown, "actions": [pressed]}

    def presses(self, message: Obj, action: str, **who: Any) -> Ack:
        return self.slack.deliver("interactive", self.click(message, action, **who), accepts=False)

    def shortcut(self, message: Obj, *, user: str = ANN, channel: str = "C0INC", callback: str = "irkit-collect", team: str = "") -> Ack:
        """The shortcut on a message that is in the channel."""
        self.slack.messages.setdefault((channel, message["ts"]), {**message, "channel": channel, "edits": 0})
        body = {**self._base("message_action", user, channel, team), "callback_id": callback, "message": message, "message_ts": message["ts"],
                "action_ts": f"{next(_count)}.2"}  # fmt: skip
        return self.slack.deliver("interactive", body, accepts=False)

    def submits(self, view: Obj, choice: str, namespace: str | None, *, user: str = ANN) -> Ack:
        """Send a modal in, with what was chosen and typed."""
        values = {"pod": {"pod": {"type": "static_select", "selected_option": {"value": choice}}},
                  "namespace": {"namespace": {"type": "plain_text_input", "value": namespace}}}  # fmt: skip
        body = {**self._base("view_submission", user, "", ""), "view": {**view, "state": {"values": values}}}
        del body["channel"], body["response_url"]
        return self.slack.deliver("interactive", body)

    def opens_home(self, *, user: str = ANN, team: str = "") -> Ack:
        event = {"type": "app_home_opened", "user": user, "channel": "D0DM", "tab": "home", "event_ts": f"{next(_count)}.3"}
        body = {"token": "legacy", "team_id": team or self.slack.team, "api_app_id": "A0APP", "event": event, "type": "event_callback",
                "event_id": f"Ev{next(_count)}", "event_time": 1700000000}  # fmt: skip
        return self.slack.deliver("events_api", body, accepts=False)
