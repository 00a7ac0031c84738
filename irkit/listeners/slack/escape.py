"""Text for Slack, made of what strangers wrote: no mention, no link, no markup, and no character that nobody sees.

Slack's own rules (docs.slack.dev/messaging/formatting-message-text): in ``mrkdwn``, ``&``, ``<`` and ``>`` are escaped, and
``<…>`` is a mention or a link. A ``plain_text`` object has none of these. So a stranger's words go into ``plain_text``, or
into a code span whose backticks are ours.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable

from irkit.text import hidden

# Default_Ignorable_Code_Point of Unicode that are not of category Cf, and letters without a shape.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]")
_LINK = re.compile(r"<([^<>|\s]*)(?:\|([^<>]*))?>")
_USER, _CHANNEL = re.compile("[UW][A-Z0-9]{1,20}"), re.compile("[CDG][A-Z0-9]{1,20}")


def visible(text: str, limit: int = 3000) -> str:
    """Every character of it can be seen, or is written as its number; lines stay lines. At most ``limit`` characters."""
    found: list[str] = []
    room = limit - 1
    for character in text[: limit + 1]:
        shown = _shown(character)
        if room < len(shown):
            return "".join(found) + "…"
        found.append(shown)
        room -= len(shown)
    return "".join(found)


def _shown(character: str) -> str:
    if character == "\n" or (character.isascii() and character.isprintable()):
        return character
    if unicodedata.category(character) == "Zs":
        return " "
    if hidden(character) or _BLANK.match(character) or unicodedata.category(character) == "Cn":
        return f"\\u{ord(character):04x}"
    return character


def mrkdwn(text: str) -> str:
    """The three characters that Slack's markup begins with, as entities."""
    return html.escape(text, quote=False)


def unescaped(text: str, bare: Callable[[str], str] = str) -> str:
    """The other way round: what somebody typed. A link is its words, or ``bare`` of its address where it has none."""
    return html.unescape(_LINK.sub(lambda link: link[2] if link[2] is not None else bare(link[1]), text))


def code(text: str, limit: int = 300) -> str:
    """As a code span: in it nothing is markup. A backtick becomes an apostrophe."""
    inside = mrkdwn(visible(text, limit).replace("\n", " ").replace("`", "'")).strip()
    return f"`{inside}`" if inside else "`-`"


def person(user: str) -> str:
    """Their name as a link, for a user id that Slack or the settings gave."""
    return f"<@{user}>" if _USER.fullmatch(user) else code(user)


def place(channel: str) -> str:
    return f"<#{channel}>" if _CHANNEL.fullmatch(channel) else code(channel)
