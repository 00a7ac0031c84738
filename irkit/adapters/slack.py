"""Slack by its official client: Socket Mode for what comes in, the Web API for what goes out. No port is opened.

The connection is kept by this file, not by slack-sdk's own reconnecting: that one tries an expired token every few
seconds for ever, and sleeps where it is asked to wait. slack-sdk logs what it sends; its logger is silenced.
"""

from __future__ import annotations

import json
import logging
import select
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from socket import SHUT_RDWR
from ssl import SSLCertVerificationError
from typing import Any
from urllib.parse import urlsplit

import slack_sdk
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.socket_mode import SocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse

from irkit import __version__
from irkit.adapters.slackhost import trusted
from irkit.errors import ApiError, BusyError, ConflictError, ForbiddenError, IrkitError, NotFoundError, UnreachableError
from irkit.model.kube import Obj
from irkit.ports.chat import ChatChannel, ChatIdentity, Envelope
from irkit.text import printable

TIMEOUT = 10  # seconds for one request
LONGEST_PAUSE = 15.0  # seconds between two attempts to connect; where the token is refused, four times that
_READING = 0.25  # seconds of one read
_TOKEN = frozenset((
    "invalid_auth", "not_authed", "account_inactive", "token_expired", "token_revoked", "no_permission", "missing_scope", "not_allowed_token_type",
    "org_login_required", "ekm_access_denied", "access_denied", "team_access_not_granted", "app_disabled",
))  # fmt: skip
_MISSING = frozenset((
    "channel_not_found", "not_in_channel", "is_archived", "message_not_found", "thread_not_found", "edit_window_closed", "cant_update_message",
    "user_not_found", "users_not_found",
))  # fmt: skip
_Heard = Callable[[str, str], None]


class SlackChat:
    """Implements `Chat`. The tokens leave this object only in headers, to the address given."""

    def __init__(self, app_token: str, bot_token: str, address: str) -> None:
        """``address``: as `slackhost.base` returns it."""
        logger = logging.Logger("irkit.slack", logging.CRITICAL)  # noqa: LOG001 -- nobody's child, and says nothing
        logger.addHandler(logging.NullHandler())
        self._host = urlsplit(address).hostname or ""
        self._web = slack_sdk.WebClient(
            token=bot_token, base_url=address, timeout=TIMEOUT, retry_handlers=[], logger=logger, user_agent_prefix=f"irkit/{__version__}"
        )
        self._app_token, self._logger = app_token, logger
        self._socket: _Socket | None = None
        self._over = threading.Event()
        self._keeper: threading.Thread | None = None

    # what comes in

    def listen(self, take: Callable[[Envelope], Obj | None], heard: _Heard) -> None:
        self._socket = socket = _Socket(self._app_token, self._web, self._logger, self._host)

        def received(client: Any, request: SocketModeRequest) -> None:
            envelope = Envelope(request.type, request.envelope_id, request.payload, request.retry_attempt or 0)
            answer = take(envelope)
            try:
                payload = answer if request.accepts_response_payload else None
                client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id, payload=payload))
            except (SlackClientError, OSError):
                heard("not-acknowledged", "the connection ended before an event was acknowledged; Slack sends it again")

        socket.socket_mode_request_listeners.append(received)
        try:
            self._connect(socket, heard)
            pause = 0.0
        except ForbiddenError:
            socket.close()
            raise
        except IrkitError as error:
            heard("not-connected", error.message)
            pause = 1.0
        self._keeper = threading.Thread(target=self._keep, args=(socket, heard, pause), name="irkit-slack", daemon=True)
        self._keeper.start()

    def _keep(self, socket: _Socket, heard: _Heard, pause: float) -> None:
        """Connect again whenever there is no connection, less and less often while that fails."""
        while not self._over.wait(max(pause, 0.2)):
            try:
                socket.look()
                if not socket.is_connected():
                    self._connect(socket, heard)
                pause = 0.0
            except Exception as error:  # noqa: BLE001 -- whatever slack-sdk raises: a listener that is deaf for good says nothing
                pause = min(max(1.0, pause * 2), LONGEST_PAUSE * (4 if isinstance(error, ForbiddenError) else 1))
                if isinstance(error, BusyError):
                    pause = max(pause, error.seconds)
                why = error.message if isinstance(error, IrkitError) else f"slack-sdk failed: {type(error).__name__}"
                heard("refused" if isinstance(error, ForbiddenError) else "not-connected", f"{why}; again in {pause:.0f} s")

    def _connect(self, socket: _Socket, heard: _Heard) -> None:
        with _translated("apps.connections.open"):
            socket.connect_to_new_endpoint()
            if not socket.is_connected():
                raise UnreachableError("Slack's socket did not open", next="wait: irkit tries again")
        heard("connected", "Slack delivers events")

    def close(self) -> None:
        self._over.set()
        if self._socket is not None:
            self._socket.close()
        if self._keeper is not None:
            self._keeper.join(5.0)

    # what goes out

    def whose(self) -> ChatIdentity:
        found = self._call("auth.test")
        with _translated("apps.connections.open"):
            self._web.apps_connections_open(app_token=self._app_token)
        scopes = next((v for k, v in found.headers.items() if k.lower() == "x-oauth-scopes"), "")
        known = frozenset(s.strip() for s in str(scopes).split(",") if s.strip())
        return ChatIdentity(str(found["team_id"]), str(found.get("team", "")), str(found.get("user", "")), known)

    def post(self, channel: str, text: str, blocks: Sequence[Obj], *, thread: str = "", broadcast: bool = False) -> str:
        inside = {"thread_ts": thread, "reply_broadcast": broadcast} if thread else {}
        found = self._call("chat.postMessage", channel=channel, text=text, blocks=list(blocks), **_QUIET, **inside)
        return str(found["ts"])

    def edit(self, channel: str, message: str, text: str, blocks: Sequence[Obj]) -> None:
        self._call("chat.update", channel=channel, ts=message, text=text, blocks=list(blocks), parse="none", link_names=False)

    def whisper(self, channel: str, user: str, text: str, blocks: Sequence[Obj], *, url: str = "", thread: str = "") -> None:
        body: Obj = {"text": text, "blocks": list(blocks), **({"thread_ts": thread} if thread else {})}
        if url and trusted(self._host, url):
            data = json.dumps({**body, "response_type": "ephemeral", "replace_original": False}).encode()
            self._send(url, data, "application/json; charset=utf-8")
        else:
            self._call("chat.postEphemeral", channel=channel, user=user, **body)

    def modal(self, trigger: str, view: Obj) -> None:
        self._call("views.open", trigger_id=trigger, view=view)

    def home(self, user: str, view: Obj) -> None:
        self._call("views.publish", user_id=user, view=view)

    def upload(self, channel: str, file: Path, name: str, title: str, *, thread: str = "") -> str:
        found = self._web_call("files.getUploadURLExternal", params={"filename": name, "length": file.stat().st_size})
        url = str(found["upload_url"])
        if not trusted(self._host, url):
            raise ApiError("Slack named a strange place to upload to; nothing was uploaded", status=200)
        with file.open("rb") as opened:
            self._send(url, opened, "application/octet-stream", file.stat().st_size)
        identifier = str(found["file_id"])
        self._call("files.completeUploadExternal", files=[{"id": identifier, "title": title}], channel_id=channel,
                   **({"thread_ts": thread} if thread else {}))  # fmt: skip
        return identifier

    def channel(self, identifier: str) -> ChatChannel:
        found: Obj = self._web_call("conversations.info", params={"channel": identifier})["channel"]
        shared = any(found.get(k) for k in ("is_ext_shared", "is_pending_ext_shared"))
        return ChatChannel(str(found.get("name", "")), bool(found.get("is_member")), shared, bool(found.get("is_archived")))

    def room(self, name: str, users: Sequence[str]) -> str:
        found = self._call("conversations.create", name=name, is_private=True)
        identifier = str(found["channel"]["id"])
        if users:
            self._call("conversations.invite", channel=identifier, users=",".join(users))
        return identifier

    def _call(self, method: str, **body: Any) -> Any:
        return self._web_call(method, json=body) if body else self._web_call(method)

    def _web_call(self, method: str, **how: Any) -> Any:
        with _translated(method):
            return self._web.api_call(method, **how)

    def _send(self, url: str, data: Any, kind: str, length: int | None = None) -> None:
        """POST to an address that Slack gave for this one purpose; it carries no token."""
        headers = {"Content-Type": kind, "User-Agent": f"irkit/{__version__}", **({"Content-Length": str(length)} if length is not None else {})}
        request = urllib.request.Request(url, data=data, headers=headers, method="POST")  # noqa: S310 -- the scheme was looked at
        proxies = urllib.request.ProxyHandler({"https": self._web.proxy}) if self._web.proxy and url.startswith("https") else None
        opener = urllib.request.build_opener(_NoRedirects, *([proxies] if proxies else []))
        with _translated("an answer"), opener.open(request, timeout=60 if length else TIMEOUT) as answer:
            answer.read(65536)


_QUIET = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class _Socket(SocketModeClient):
    """slack-sdk's, which connects only when it is told to, and only to where it may."""

    def __init__(self, app_token: str, web: slack_sdk.WebClient, logger: logging.Logger, host: str) -> None:
        super().__init__(app_token, logger=logger, web_client=web, auto_reconnect_enabled=False, ping_interval=5, concurrency=8, proxy=web.proxy,
                         receive_buffer_size=65536)  # fmt: skip  # it reads a message by recursion, once a buffer
        self._host = host

    def connect(self) -> None:
        super().connect()
        session = self.current_session
        if session is not None and session.sock is not None:
            session.sock.settimeout(_READING)  # while it reads, slack-sdk can neither end a connection nor go on with the next

    def close(self) -> None:
        self.closed = True
        self.message_queue.put("")  # whoever waits for a message waits no longer
        session = self.current_session
        with suppress(OSError):
            if session is not None and session.sock is not None:
                session.sock.shutdown(SHUT_RDWR)
        super().close()

    def look(self) -> None:
        """Notice that the other end is gone. slack-sdk does so after 25 s, in which it reads nothing as fast as it can."""
        session = self.current_session
        connected = session.sock if session is not None else None
        if session is None or connected is None:
            return
        poll = select.poll()
        try:
            poll.register(connected.fileno(), select.POLLRDHUP)
            gone = bool(poll.poll(0))
        except (OSError, ValueError):  # closed meanwhile
            gone = True
        if gone:
            session.disconnect()

    def issue_new_wss_url(self) -> str:
        url = str(self.web_client.apps_connections_open(app_token=self.app_token)["url"])
        if not trusted(self._host, url, ("wss", "ws")):
            raise ApiError("Slack named a strange place to connect to", status=200)
        return url


class _translated:  # noqa: N801 -- it reads as a phrase
    """Our errors for theirs. Nothing of an answer's body is in them but its one word of an error."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SlackApiError):
            raise self._said(error) from None
        if isinstance(error, urllib.error.HTTPError):
            code, wait = error.code, error.headers.get("Retry-After", "")
            error.close()
            raise self._of(code, "", wait) from None
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        if isinstance(cause, SSLCertVerificationError):
            why = f"{printable(cause.verify_message, 200)}; SSL_CERT_FILE names the authorities that are"
            raise UnreachableError(f"the certificate of Slack, or of a proxy, is not trusted: {why}") from None
        if isinstance(error, OSError | HTTPException | SlackClientError | ValueError):
            why = printable(cause.strerror or "", 200) if isinstance(cause, OSError) else ""  # the system's words: never what was sent
            raise UnreachableError(f"Slack gave no answer to {self._what}: {why or type(error).__name__}", next="wait: irkit tries again") from None

    def _said(self, error: SlackApiError) -> IrkitError:
        answer = error.response
        word = answer.get("error", "") if isinstance(answer.data, dict) else ""
        headers = {k.lower(): v for k, v in answer.headers.items()}
        return self._of(answer.status_code, word if isinstance(word, str) and word.isidentifier() else "", str(headers.get("retry-after", "")))

    def _of(self, status: int, word: str, wait: str) -> IrkitError:
        if status == 429 or word in ("ratelimited", "rate_limited"):
            seconds = float(wait) if wait.isdecimal() else 30.0
            return BusyError(f"Slack takes no more of {self._what} for {seconds:.0f} s", seconds=min(seconds, 3600.0))
        said = f"Slack's answer to {self._what}: {printable(word, 60) or f'HTTP {status}'}"
        if word in _TOKEN:
            return ForbiddenError(said, next="irkit slack setup")
        if status >= 500 or word in ("internal_error", "fatal_error", "service_unavailable", "request_timeout"):
            return UnreachableError(said, next="wait: irkit tries again")
        kind = NotFoundError if word in _MISSING else ConflictError if word == "name_taken" else ApiError
        return kind(said, status=status, reason=word, next="irkit slack setup")
