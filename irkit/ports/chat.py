"""A chat, as listeners see it: who asks and decides there was verified by the chat."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from irkit.model.kube import Obj


class Envelope(NamedTuple):
    """One event of a chat, over a connection that the chat has authenticated. ``payload`` is a document that holds a stranger's words."""

    kind: str  # slash_commands, interactive, events_api
    id: str
    payload: Obj
    attempt: int  # 0 for the first delivery


class Chat(Protocol):
    """A chat in which people ask and decide. Each call may raise UnreachableError, BusyError, ForbiddenError (its token), ApiError (it says no)."""

    def listen(self, take: Callable[[Envelope], Obj | None], heard: Callable[[str, str], None]) -> None:
        """Have ``take`` called for each event from now on, in threads; what it returns at once is the answer that the chat waits for.

        ``heard`` is told, in a word and a sentence, what becomes of the connection, which is made again when it ends.
        Raises ForbiddenError where the token is none.
        """

    def close(self) -> None: ...

    def whose(self) -> ChatIdentity:
        """Whose tokens these are; both are tried."""

    def post(self, channel: str, text: str, blocks: Sequence[Obj], *, thread: str = "", broadcast: bool = False) -> str:
        """A message; its id. ``text`` is for notifications. ``broadcast``: shown outside of its thread, too."""

    def edit(self, channel: str, message: str, text: str, blocks: Sequence[Obj]) -> None: ...

    def whisper(self, channel: str, user: str, text: str, blocks: Sequence[Obj], *, url: str = "", thread: str = "") -> None:
        """Only ``user`` sees it. ``url``: where the chat wants an answer to one of its events."""

    def modal(self, trigger: str, view: Obj) -> None:
        """Open it, at most three seconds after the event that ``trigger`` is of."""

    def home(self, user: str, view: Obj) -> None: ...

    def upload(self, channel: str, file: Path, name: str, title: str, *, thread: str = "") -> str:
        """The file's id."""

    def channel(self, identifier: str) -> ChatChannel:
        """Raises NotFoundError where irkit can't see it."""

    def room(self, name: str, users: Sequence[str]) -> str:
        """A private channel of that name with these people in it; its id. Raises ConflictError where the name is taken."""


class ChatIdentity(NamedTuple):
    team: str
    name: str  # of the workspace
    user: str  # irkit's own
    scopes: frozenset[str]  # what the token may


class ChatChannel(NamedTuple):
    name: str
    member: bool  # irkit is in it
    shared: bool  # people of other organisations are
    archived: bool
