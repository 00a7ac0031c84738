"""The Home tab: open orders and incidents, for those who may ask irkit at all."""

from __future__ import annotations

from irkit.errors import RefusedError
from irkit.listeners.slack import blocks, people, status
from irkit.listeners.slack.desk import Desk, sentence
from irkit.listeners.slack.people import Asker


def show(desk: Desk, asker: Asker) -> None:
    """Raises UnreachableError, BusyError."""
    try:
        people.known(asker, desk.settings.slack)
        found = [blocks.header("Open now"), *status.overview(desk)]
    except RefusedError as error:
        desk.refuse("home-refused", asker, error)
        if asker.team != desk.settings.slack.team:
            return
        found = blocks.said(sentence(error))
    at = desk.clock.now().strftime("%Y-%m-%d %H:%M:%S UTC")
    desk.chat.home(asker.user, {"type": "home", "blocks": blocks.view([*found, blocks.context(f"As of {at}. Open this tab again to see it anew.")])})
