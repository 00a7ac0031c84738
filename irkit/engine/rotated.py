"""What became of each credential, by the journal: ``credentials[]`` of a RunResult (contract.md)."""

from __future__ import annotations

from typing import Any

from irkit.engine.state import State
from irkit.model.changes import Rotate
from irkit.model.outcome import Done, Failed, Outcome, Skipped, Unchanged, reason
from irkit.model.record import Intent


def documents(state: State) -> list[dict[str, Any]]:
    """One entry for each (Secret, class, source), in the order in which they were begun."""
    renewed: dict[str, tuple[Intent, Outcome | None]] = {}
    retired: dict[str, Outcome | None] = {}
    for call, intent in state.intents.items():
        change, outcome = intent.change, state.results.get(call)
        if not isinstance(change, Rotate):
            continue
        key = change.credential.id
        if change.stage == "retire":
            retired[key] = outcome
        elif key not in renewed or not _done(renewed[key][1]):  # once rotated, it stays so, whatever a later try met
            renewed[key] = (intent, outcome)
    return [_document(intent, outcome, retired.get(key)) for key, (intent, outcome) in renewed.items()]


def _done(outcome: Outcome | None) -> bool:
    return isinstance(outcome, Done | Unchanged)


def _document(intent: Intent, renewed: Outcome | None, retired: Outcome | None) -> dict[str, Any]:
    change = intent.change
    assert isinstance(change, Rotate)
    credential = change.credential
    found = retired.data if isinstance(retired, Done) else {}
    if isinstance(renewed, Done | Unchanged) and not isinstance(retired, Failed):
        outcome = "unchanged" if isinstance(renewed, Unchanged) else "rotated"
    else:
        outcome = "manual" if isinstance(renewed, Skipped) else "failed"
    why = retired if isinstance(retired, Failed) else renewed
    how = found.get("how") or (reason(why) if why is not None and outcome not in ("rotated", "unchanged") else "not tried yet")
    return {
        "name": f"{credential.ref.namespace}/{credential.ref.name}", "kind": credential.ref.kind, "keys": list(credential.keys),
        "class": credential.cls,
        "outcome": outcome, "oldValue": found.get("oldValue", "alive" if outcome == "manual" else "untested"), "how": how,
        "consumers": found.get("consumers", {"total": 0, "restarted": 0}), "left": found.get("left", []), "rotator": change.rotator,
    }  # fmt: skip
