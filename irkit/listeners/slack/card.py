"""One order as a message: what was asked, where it stands, the plan with its two buttons, what came of it."""

from __future__ import annotations

from collections.abc import Iterator

from irkit.app.orders.rights import approving
from irkit.listeners.slack import blocks
from irkit.listeners.slack.address import Address
from irkit.listeners.slack.escape import code, person, place
from irkit.model.kube import Obj
from irkit.model.order import Decision, Ended, Held, Origin
from irkit.settings import Settings
from irkit.text import plural

APPROVE, DECLINE = "irkit-approve", "irkit-decline"
_MISSING = 10  # lines of what is missing
_WORDS = {"planning": "is being planned; nothing is changed", "waiting": "waits for approval; nothing is changed yet", "queued": "is about to begin",
          "running": "runs", "done": "is done", "failed": "failed", "declined": "was declined; nothing was changed",
          "expired": "has expired; nothing was changed"}  # fmt: skip


_WORDS_AGAIN = {"planning": "is being planned again; nothing more is changed",
                "waiting": "waits for approval again; nothing more is changed until then",
                "declined": "was declined; what was done before stays", "expired": "has expired; what was done before stays"}  # fmt: skip


def root(held: Held, settings: Settings) -> tuple[str, list[Obj]]:
    """The head of the thread. It names those who may approve: Slack tells people of a new message, and of no edit."""
    order = held.order
    asked = f"{_who(order.origin)} asked irkit:" if order.origin.door != "webhook" else f"An alert of {code(order.origin.sender)} asks irkit:"
    text = f"{asked} {code(order.words)}"
    small = [f"order {code(order.id)}", *([f"rule {code(order.rule)}"] if order.rule else [])]
    if order.needs != "nobody" and (who := _approvers(held, settings)):
        small.append(f"for {who} to approve or decline")
    return f"irkit: order {order.id}", [blocks.section(text), blocks.context(*small)]


def live(held: Held, settings: Settings) -> tuple[str, list[Obj]]:
    """The message that is edited: for notifications, and its blocks."""
    return f"irkit: order {held.order.id} {_stands(held)}", order(held, settings)


def _again(held: Held) -> bool:
    """Whether it was approved before, and may have been carried out in part."""
    return any(d.yes and d.void for d in held.status.decisions)


def _stands(held: Held) -> str:
    return (_WORDS_AGAIN if _again(held) else _WORDS).get(held.status.state) or _WORDS[held.status.state]


def order(held: Held, settings: Settings, *, buttons: bool = True) -> list[Obj]:
    """All of it."""
    return blocks.message(_parts(held, settings, buttons))


def _parts(held: Held, settings: Settings, buttons: bool) -> Iterator[Obj]:
    status = held.status
    yield blocks.section(f"{code(held.order.words)} {_stands(held)}")
    if status.note and status.state not in ("waiting", "done", "failed"):
        yield blocks.context(code(status.note))
    if status.planned is not None and not status.over:
        yield from _plan(held, settings, buttons and status.state == "waiting")
    for decision in status.decisions[-5:]:
        yield blocks.context(_decision(decision))
    if status.ended is not None:
        yield from _ended(status.ended, Address.read(status.message), settings)
    small = [f"order {code(held.order.id)}", f"asked for by {_who(held.order.origin)}"]
    yield blocks.context(*small, *([f"incident {code(status.incident)}"] if status.incident else []))


def _plan(held: Held, settings: Settings, buttons: bool) -> Iterator[Obj]:
    planned, order = held.status.planned, held.order
    assert planned is not None
    whole = f"irkit order show {order.id}"
    yield from blocks.listed([f"Note: {w}" for w in planned.warnings], whole)
    yield from blocks.listed([f"{n}. {line}" for n, line in enumerate(planned.lines, 1)] or ["Nothing needs to be changed."], whole)
    yield blocks.context(f"plan {code(planned.digest[:16])}, until {code(order.expires[:19] + 'Z')}")
    if not buttons:
        return
    second = "; whoever asked can't be the one" if order.needs == "two" else ""
    yield blocks.context(
        f"May approve: {_approvers(held, settings) or 'nobody in Slack'}{second}; or at a terminal: {code(f'irkit approve {order.id}')}"
    )
    value = f"{order.id} {planned.digest}"
    changes, more = plural(len(planned.intents), "change"), " more" if _again(held) else ""
    yield blocks.actions(f"irkit-{order.id}", [
        blocks.button("Approve", APPROVE, value, style="primary",
                      ask=("Approve this plan?", f"{changes} to {order.target} in {order.namespace}, plan {planned.digest[:16]}.")),
        blocks.button("Decline", DECLINE, value, style="danger", ask=("Decline this plan?", f"Nothing{more} will be changed.")),
    ])  # fmt: skip


def _approvers(held: Held, settings: Settings) -> str:
    who = settings.slack.members(approving(held.order, settings))
    return ", ".join(map(person, who[:20])) + (f" and {len(who) - 20} more" if len(who) > 20 else "")


def _ended(ended: Ended, shown: Address, settings: Settings) -> Iterator[Obj]:
    yield from blocks.said(f"{ended.outcome}, exit code {ended.exit_code}: {ended.summary}")
    facts = [f"SHA-256 of the bag's tag manifest {code(ended.manifest)}"] if ended.manifest else []
    facts += [f"pushed to {code(ended.pushed)}"] if ended.pushed else []
    facts += [f"the bag is in {place(settings.slack.bag_channel)}"] if shown.file not in ("", "-") else []
    facts += ["the bag is not in Slack: it is too large, not here, or not whole"] if shown.file == "-" else []
    if facts:
        yield blocks.section("\n".join(facts))
    if ended.missing_count:
        lines = [f"Missing: {plural(ended.missing_count, 'piece')}", *ended.missing[:_MISSING]]
        lines += [f"and {ended.missing_count - _MISSING} more"] if ended.missing_count > _MISSING else []
        yield from blocks.said("\n".join(lines))
    if ended.next:
        yield blocks.context(f"next: {code(ended.next)}")


def _decision(decision: Decision) -> str:
    void = f"; it does not count any more: {code(decision.void, 150)}" if decision.void else ""
    return f"{'approved' if decision.yes else 'declined'} by {_who(decision.by)} at {code(decision.at[:19] + 'Z')}{void}"


def _who(origin: Origin) -> str:
    return person(origin.sender) if origin.door == "slack" else f"{origin.door} {code(origin.sender)}"
