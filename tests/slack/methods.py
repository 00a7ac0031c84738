"""The Web API's methods that irkit calls: which scope each needs, and what it answers (docs.slack.dev/reference/methods)."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tests.slack import limits
from tests.slack.limits import Invalid, Obj

if TYPE_CHECKING:
    from tests.slack.server import Server

SCOPES: dict[str, frozenset[str]] = {  # one of these
    "chat.postMessage": frozenset(("chat:write",)), "chat.update": frozenset(("chat:write",)), "chat.postEphemeral": frozenset(("chat:write",)),
    "files.getUploadURLExternal": frozenset(("files:write",)), "files.completeUploadExternal": frozenset(("files:write",)),
    "conversations.info": frozenset(("channels:read", "groups:read")),
    "conversations.create": frozenset(("groups:write",)), "conversations.invite": frozenset(("groups:write",)),
    "views.open": frozenset(), "views.publish": frozenset(), "auth.test": frozenset(),
}  # fmt: skip
FORM_ONLY = ("conversations.info", "files.getUploadURLExternal")  # they take no JSON


def call(server: Server, method: str, body: Obj) -> Obj:
    """The answer of a method whose token and scope are good. Raises Invalid."""
    return _METHODS[method](server, body)


def _listed(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _channel(server: Server, body: Obj) -> str:
    channel = str(body.get("channel", ""))
    if channel not in server.channels:
        raise Invalid("channel_not_found", channel)
    if not server.channels[channel]["is_member"]:
        raise Invalid("not_in_channel", channel)
    if server.channels[channel].get("is_archived"):
        raise Invalid("is_archived", channel)
    return channel


def _message(body: Obj) -> Obj:
    found = {**body, "blocks": _listed(body.get("blocks"))}
    limits.message(found)
    if body.get("parse", "none") != "none" or body.get("link_names"):
        raise Invalid("invalid_arguments", "a message whose words become links")
    return found


def _auth_test(server: Server, body: Obj) -> Obj:
    return {"url": "https://example.slack.com/", "team": "Example", "user": "irkit", "team_id": server.team, "user_id": "U0BOT", "bot_id": "B0BOT"}


def _chat_post_message(server: Server, body: Obj) -> Obj:
    channel, found = _channel(server, body), _message(body)
    if (thread := body.get("thread_ts")) and (channel, thread) not in server.messages:
        raise Invalid("thread_not_found", str(thread))
    if body.get("unfurl_links") is not False or body.get("unfurl_media") is not False:
        raise Invalid("invalid_arguments", "a message whose links unfold")
    stamp = server.stamp()
    server.messages[channel, stamp] = {**found, "ts": stamp, "channel": channel, "edits": 0}
    return {"ts": stamp, "channel": channel, "message": {"ts": stamp, "text": body["text"]}}


def _chat_update(server: Server, body: Obj) -> Obj:
    channel, found = _channel(server, body), _message(body)
    held = server.messages.get((channel, str(body.get("ts"))))
    if held is None:
        raise Invalid("message_not_found", str(body.get("ts")))
    if held.get("closed"):
        raise Invalid("edit_window_closed", str(body.get("ts")))
    now = server.now()
    if now - held.get("edited", 0.0) < 0.9:
        raise Invalid("ratelimited", "a message is edited at most once a second")
    held.update(found, edits=held["edits"] + 1, edited=now)
    return {"ts": body["ts"], "channel": channel, "text": body["text"]}


def _chat_post_ephemeral(server: Server, body: Obj) -> Obj:
    channel, found = _channel(server, body), _message(body)
    server.whispers.append({**found, "channel": channel, "user": body.get("user"), "by": "api"})
    return {"message_ts": server.stamp()}


def _views_open(server: Server, body: Obj) -> Obj:
    view = _listed(body.get("view"))
    given = server.triggers.pop(str(body.get("trigger_id")), None)
    if given is None:
        raise Invalid("invalid_trigger_id", "used before, or never given")
    if server.now() - given > 3.0:
        raise Invalid("expired_trigger_id", "older than 3 s")
    limits.view(view)
    found = {**view, "id": f"V{len(server.views):04}", "team_id": server.team}
    server.views.append(found)
    return {"view": found}


def _views_publish(server: Server, body: Obj) -> Obj:
    view = _listed(body.get("view"))
    limits.view(view)
    server.homes[str(body["user_id"])] = view
    return {"view": {"id": "V9", "type": "home"}}


def _files_get_upload_url(server: Server, body: Obj) -> Obj:
    length, name = int(body["length"]), str(body["filename"])
    if length < 1 or not name:
        raise Invalid("invalid_arguments", "filename and length")
    identifier = f"F{len(server.files):04}"
    server.files[identifier] = {"name": name, "length": length, "content": None, "channel": None}
    return {"upload_url": f"{server.address}/upload/{identifier}", "file_id": identifier}


def _files_complete_upload(server: Server, body: Obj) -> Obj:
    files = _listed(body["files"])
    channel = _channel(server, {"channel": body["channel_id"]})
    for one in files:
        file = server.files.get(one["id"])
        if file is None or file["content"] is None or len(file["content"]) != file["length"]:
            raise Invalid("file_not_found", "it was not uploaded, or not all of it")
        file.update(channel=channel, title=one.get("title"), thread=body.get("thread_ts"))
    return {"files": files}


def _conversations_info(server: Server, body: Obj) -> Obj:
    if (found := server.channels.get(str(body.get("channel")))) is None:
        raise Invalid("channel_not_found", str(body.get("channel")))
    return {"channel": found}


def _conversations_create(server: Server, body: Obj) -> Obj:
    name = str(body["name"])
    if not re.fullmatch(r"[a-z0-9_-]{1,80}", name):
        raise Invalid("invalid_name_specials", name)
    if any(c["name"] == name for c in server.channels.values()):
        raise Invalid("name_taken", name)
    identifier = f"C0NEW{len(server.channels)}"
    server.channels[identifier] = {"id": identifier, "name": name, "is_member": True, "is_private": body.get("is_private"), "members": []}
    return {"channel": server.channels[identifier]}


def _conversations_invite(server: Server, body: Obj) -> Obj:
    channel = _channel(server, body)
    server.channels[channel]["members"] += str(body["users"]).split(",")
    return {"channel": server.channels[channel]}


_METHODS: dict[str, Callable[[Server, Obj], Obj]] = {
    "auth.test": _auth_test, "chat.postMessage": _chat_post_message, "chat.update": _chat_update, "chat.postEphemeral": _chat_post_ephemeral,
    "views.open": _views_open, "views.publish": _views_publish, "files.getUploadURLExternal": _files_get_upload_url,
    "files.completeUploadExternal": _files_complete_upload, "conversations.info": _conversations_info,
    "conversations.create": _conversations_create, "conversations.invite": _conversations_invite,
}  # fmt: skip
