"""Slack's documented limits of messages, blocks, views and composition objects (docs.slack.dev/reference/block-kit), and irkit's own law:
nothing that a reader can't see, and no mention or link but those of people and channels by id.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

_ENTITY = re.compile(r"&(?!amp;|lt;|gt;)")
_OURS = re.compile(r"<(?:@[UW][A-Z0-9]+|#[CDG][A-Z0-9]+)>")
_IGNORABLE = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8\U000e0000-\U000e0fff]")
_BUTTON = {"type", "action_id", "text", "value", "style", "confirm", "url", "accessibility_label"}
Obj = dict[str, Any]


class Invalid(Exception):
    """Slack's word for it, and what is wrong."""

    def __init__(self, word: str, why: str) -> None:
        super().__init__(f"{word}: {why}")
        self.word = word


def _need(holds: object, why: str, word: str = "invalid_blocks") -> None:
    if not holds:
        raise Invalid(word, why)


def seen(text: str) -> None:
    """No character that is not seen, and none that turns others round."""
    for character in text:
        bad = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or _IGNORABLE.match(character)
        _need(character == "\n" or not bad, f"hidden character U+{ord(character):04X}", "hidden")


def marked(text: str, word: str = "unescaped") -> None:
    """``mrkdwn`` in which nothing is unescaped but mentions of a person or a channel by id, outside of code spans."""
    seen(text)
    _need(not _ENTITY.search(text), f"& unescaped in {text!r}", word)
    _need("<" not in _OURS.sub("", text) and ">" not in _OURS.sub("", text), f"< or > unescaped in {text!r}", word)
    _need(text.count("`") % 2 == 0, f"a code span that does not end in {text!r}", word)
    outside = re.sub(r"`[^`\n]*`", "", text)
    _need("`" not in outside and not re.search(r"@(here|channel|everyone)\b|://", outside), f"a mention or link in {text!r}", word)


def message(body: Obj) -> None:
    """``text`` and ``blocks`` of a message that is posted, edited, or whispered."""
    text = body.get("text")
    if not isinstance(text, str) or not text:
        raise Invalid("no_text", "no text for notifications")
    _need(len(text) <= 4000, "text is longer than 4000 characters", "msg_too_long")
    marked(text)
    blocks(body.get("blocks", []), 50)


def blocks(found: Any, most: int) -> None:
    _need(isinstance(found, list) and 0 < len(found) <= most, f"1 to {most} blocks, not {len(found)}")
    ids = [b["block_id"] for b in found if "block_id" in b]
    _need(len(ids) == len(set(ids)) and all(0 < len(i) <= 255 for i in ids), "block_id twice, or longer than 255 characters")
    for block in found:
        kind = block.get("type")
        _need(kind in _BLOCKS, f"a block of type {kind!r}")
        _BLOCKS[kind](block)


def text(found: Any, most: int, *kinds: str) -> None:
    """A text object of one of these kinds."""
    _need(isinstance(found, dict) and found.get("type") in kinds, f"a text object of type {kinds}, not {found!r}")
    _need(isinstance(found.get("text"), str) and 0 < len(found["text"]) <= most, f"1 to {most} characters, not {len(found['text'])}")
    allowed = {"type", "text", "emoji"} if found["type"] == "plain_text" else {"type", "text", "verbatim"}
    _need(set(found) <= allowed, f"fields {set(found) - allowed} of a text object")
    if found["type"] == "mrkdwn":
        marked(found["text"])
        _need(found.get("verbatim") is True, "mrkdwn that makes links of what looks like one", "unescaped")
    else:
        seen(found["text"])
        _need(found.get("emoji") is False, "plain_text that makes emoji of :words:", "unescaped")


def _section(block: Obj) -> None:
    _need(set(block) <= {"type", "text", "fields", "accessory", "block_id"}, "fields of a section")
    _need("text" in block or "fields" in block, "a section without text")
    if "text" in block:
        text(block["text"], 3000, "plain_text", "mrkdwn")
    for field in block.get("fields", []):
        text(field, 2000, "plain_text", "mrkdwn")
    _need(len(block.get("fields", [])) <= 10, "more than 10 fields")


def _header(block: Obj) -> None:
    text(block.get("text"), 150, "plain_text")


def _context(block: Obj) -> None:
    _need(0 < len(block.get("elements", [])) <= 10, "1 to 10 elements of a context")
    for element in block["elements"]:
        text(element, 2000, "plain_text", "mrkdwn")


def _actions(block: Obj) -> None:
    _need(0 < len(block.get("elements", [])) <= 25, "1 to 25 elements of actions")
    names = [e.get("action_id") for e in block["elements"]]
    _need(len(set(names)) == len(names), "action_id twice")
    for element in block["elements"]:
        _button(element)


def _button(found: Obj) -> None:
    _need(found.get("type") == "button" and set(found) <= _BUTTON, f"a button, not {found!r}")
    text(found.get("text"), 75, "plain_text")
    _need(0 < len(found.get("action_id", "")) <= 255, "action_id longer than 255 characters")
    _need(len(found.get("value", "")) <= 2000, "value longer than 2000 characters")
    _need(found.get("style", "primary") in ("primary", "danger"), "style")
    if "confirm" in found:
        confirm = found["confirm"]
        _need(set(confirm) <= {"title", "text", "confirm", "deny", "style"}, "fields of a confirm dialog")
        text(confirm.get("title"), 100, "plain_text")
        text(confirm.get("text"), 300, "plain_text")
        text(confirm.get("confirm"), 30, "plain_text")
        text(confirm.get("deny"), 30, "plain_text")


def _input(block: Obj) -> None:
    _need(set(block) <= {"type", "block_id", "label", "element", "optional", "hint", "dispatch_action"}, "fields of an input")
    text(block.get("label"), 2000, "plain_text")
    element = block.get("element", {})
    if element.get("type") == "static_select":
        options = element.get("options", [])
        _need(0 < len(options) <= 100, "1 to 100 options")
        for option in options:
            text(option.get("text"), 75, "plain_text")
            _need(0 < len(option.get("value", "")) <= 150, "an option's value has 1 to 150 characters")
        _need("initial_option" not in element or element["initial_option"] in options, "initial_option is none of the options")
    else:
        _need(element.get("type") == "plain_text_input", f"an element of type {element.get('type')!r}")
        _need(0 < element.get("max_length", 3000) <= 3000, "max_length")


_BLOCKS = {"section": _section, "header": _header, "context": _context, "actions": _actions, "input": _input, "divider": lambda block: None}


def view(found: Any) -> None:
    """A modal, or the Home tab."""
    _need(isinstance(found, dict) and found.get("type") in ("modal", "home"), "a view", "invalid_arguments")
    _need(len(found.get("private_metadata", "")) <= 3000, "private_metadata longer than 3000 characters", "invalid_arguments")
    _need(len(found.get("callback_id", "")) <= 255, "callback_id", "invalid_arguments")
    if found["type"] == "modal":
        for name in ("title", "submit", "close"):
            text(found.get(name), 24, "plain_text")
    blocks(found.get("blocks"), 100)
    _need(found["type"] == "home" or any(b["type"] == "input" for b in found["blocks"]) == ("submit" in found), "submit goes with inputs")
