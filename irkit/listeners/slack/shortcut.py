"""The message shortcut "Collect alert evidence", and the modal that asks where the alert leaves a choice."""

from __future__ import annotations

import re

import msgspec

from irkit.engine.binder import parse
from irkit.errors import UsageError
from irkit.listeners.slack import alerts, blocks, people
from irkit.listeners.slack.alerts import Candidate
from irkit.listeners.slack.desk import Desk
from irkit.listeners.slack.people import Asker
from irkit.model.kube import Obj, at
from irkit.text import printable

CALLBACK, POD, NAMESPACE = "irkit-collect", "pod", "namespace"
_METADATA = 3000  # characters that Slack keeps with a modal
_TS = re.compile(r"[0-9]{1,20}\.[0-9]{1,10}")


class Meant(msgspec.Struct, frozen=True):
    """What the modal is about, kept by Slack while it is open. What comes back is judged like anything else that is asked for."""

    channel: str = ""
    thread: str = ""
    found: tuple[Candidate, ...] = ()


def asked(desk: Desk, key: str, asker: Asker, message: Obj, trigger: str) -> None:
    """Order it, or open the modal. Raises IrkitError."""
    people.allowed(asker, "collect", desk.settings.slack)
    stamp = str(message.get("thread_ts") or message.get("ts") or "")
    thread = stamp if _TS.fullmatch(stamp) else ""
    found = [c._replace(namespace=c.namespace or desk.namespace(asker.channel)) for c in alerts.find(message)]
    if not found:
        raise UsageError("irkit finds no pod in that message: it looks for fields like pod and namespace", next="/irkit collect POD -n NAMESPACE")
    if len(found) == 1 and found[0].namespace:
        because = f"an alert in Slack: {' '.join(str(message.get('text') or '').split())}"
        desk.order(key, asker._replace(thread=thread), "collect", found[0].pod, found[0].namespace, because=printable(because, 300))
        return
    desk.log("modal", user=asker.user, channel=asker.channel, candidates=len(found))
    desk.chat.modal(trigger, _modal(Meant(asker.channel, thread, tuple(found))))


def meant(metadata: str) -> Meant:
    """Of a view's ``private_metadata`` that was sent in; empty where it is none of ours."""
    try:
        return msgspec.json.decode(metadata, type=Meant)
    except msgspec.DecodeError:
        return Meant()


def check(desk: Desk, asker: Asker, kept: Meant, state: Obj) -> Candidate:
    """What was chosen. Raises UsageError where that names no pod in a namespace."""
    index = at(state, ("values", POD, POD, "selected_option", "value"), "")
    if not isinstance(index, str) or not index.isdecimal() or int(index) >= len(kept.found):
        raise UsageError("choose one of the pods")
    typed = at(state, ("values", NAMESPACE, NAMESPACE, "value"), "") or ""
    chosen = kept.found[int(index)]
    namespace = str(typed).strip() or chosen.namespace or desk.namespace(asker.channel)
    if not namespace:
        raise UsageError("name the namespace")
    parse(chosen.pod)
    parse(f"pod/{namespace}")
    return Candidate(chosen.pod, namespace)


def chosen(desk: Desk, key: str, asker: Asker, kept: Meant, state: Obj) -> None:
    """Order it. Raises IrkitError."""
    people.allowed(asker, "collect", desk.settings.slack)
    pod, namespace = check(desk, asker, kept, state)
    thread = kept.thread if _TS.fullmatch(kept.thread) else ""
    desk.order(key, asker._replace(thread=thread), "collect", pod, namespace, because="an alert in Slack")


def _modal(kept: Meant) -> Obj:
    while len(packed := msgspec.json.encode(kept).decode()) > _METADATA:
        kept = msgspec.structs.replace(kept, found=kept.found[:-1])
    options = [{"text": blocks.plain(f"{c.pod} in {c.namespace or '…'}", 75), "value": str(n)} for n, c in enumerate(kept.found)]
    choice: Obj = {"type": "static_select", "action_id": POD, "options": options}
    if len(options) == 1:
        choice["initial_option"] = options[0]
    typed = {"type": "plain_text_input", "action_id": NAMESPACE, "max_length": 63}
    return {
        "type": "modal", "callback_id": CALLBACK, "private_metadata": packed, "title": blocks.plain("Collect evidence", 24),
        "submit": blocks.plain("Collect", 24), "close": blocks.plain("Cancel", 24),
        "blocks": [
            {"type": "input", "block_id": POD, "label": blocks.plain("Pod that the alert names", 200), "element": choice},
            {"type": "input", "block_id": NAMESPACE, "optional": True, "element": typed,
             "label": blocks.plain("Namespace, where it is another one or none is shown", 200)},
        ],
    }  # fmt: skip
