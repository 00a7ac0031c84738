"""What each command of ``/irkit`` does, after Slack has its acknowledgement. None of them changes a cluster.

``collect`` and ``contain`` put an order into the queue; ``status`` reads it; the others run irkit's own command that only
reads, in a process of its own, for as long as its time lasts.
"""

from __future__ import annotations

from irkit.engine.binder import parse
from irkit.errors import UsageError
from irkit.listeners.slack import blocks, reading, status
from irkit.listeners.slack.commands import Asked, usage
from irkit.listeners.slack.desk import Desk
from irkit.listeners.slack.people import Asker

ORDERS = ("collect", "contain")


def answer(desk: Desk, key: str, asker: Asker, asked: Asked) -> None:
    """Raises IrkitError where nothing was done."""
    match asked.word:
        case "collect" | "contain" as command:
            desk.order(key, asker, command, asked.target, asked.namespace)
        case "status":
            desk.log("answered", word=asked.word, user=asker.user, channel=asker.channel)
            desk.whisper_blocks(asker, *status.answer(desk, asked.target))
        case "blast-radius" | "verify" | "rehearse" as word:
            words = _words(desk, asker, asked)
            desk.log("asked", word=word, words=" ".join(words), user=asker.user, channel=asker.channel)
            text = reading.told(word, desk.read(words, reading.PATIENCE[word]))
            desk.whisper_blocks(asker, "irkit answered", blocks.said(text))


def _words(desk: Desk, asker: Asker, asked: Asked) -> list[str]:
    """The command line of irkit that answers it. Raises UsageError for what is no name."""
    if asked.word == "rehearse":
        return ["rehearse", "--seed", "0", "--phase", "containment"]
    namespace = asked.namespace or desk.namespace(asker.channel)
    if asked.word == "verify" and asked.target[:8].isdecimal() and not asked.namespace:  # an incident's id begins with its day
        parse(asked.target.lower())
        return ["verify", asked.target]
    if not namespace:
        raise UsageError("name the namespace: -n NAMESPACE", next=usage(asked.word))
    parse(asked.target)
    parse(f"pod/{namespace}")
    return [asked.word, asked.target, "-n", namespace]
