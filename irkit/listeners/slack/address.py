"""Where in Slack an order is told: kept in the queue, so that whoever leads next goes on with the same message."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    channel: str = ""
    root: str = ""  # the message whose thread it is
    message: str = ""  # the one in the thread, which is edited
    file: str = ""  # the bag's, or "-" where it can't be uploaded
    room: str = ""  # the incident's own channel, or "-"

    @classmethod
    def read(cls, text: str) -> Address:
        """Of what `write` made; anything else is no address."""
        parts = text.split("/")
        return cls(*parts) if len(parts) == len(cls._fields) else cls()

    def write(self) -> str:
        return "/".join(self)
