"""The one document that a run ends in (contract.md): computed from the journal, so that `resume` prints the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from irkit import API_VERSION
from irkit.engine import rotated
from irkit.engine.state import State
from irkit.errors import IrkitError, worst
from irkit.model.changes import Change
from irkit.model.incident import Incident
from irkit.model.kube import ObjectRef
from irkit.model.outcome import Declined, Failed, Outcome, reason, word
from irkit.model.plan import Plan
from irkit.model.record import Intent
from irkit.model.titles import title
from irkit.text import printable


class _Doc(msgspec.Struct, kw_only=True, rename="camel"):
    pass


class StepResult(_Doc):
    id: str
    step: str
    phase: str = ""
    outcome: str = ""
    why: str = ""
    changes: list[dict[str, Any]] = []


class Evidence(_Doc):
    bundle: str | None = None
    bundles: list[str] = []
    elsewhere: list[dict[str, Any]] = []
    artefacts: int = 0
    missing: list[dict[str, str]] = []


class RunResult(_Doc):
    """``outcome``: planned | done | incomplete | declined | failed | interrupted; ``exitCode`` as the process ends."""

    api_version: str = API_VERSION
    kind: str = "RunResult"
    incident: str | None = None
    command: str = ""
    outcome: str = "done"
    exit_code: int = 0
    cluster: dict[str, str] | None = None
    target: dict[str, str] | None = None
    isolation: dict[str, Any] | None = None
    steps: list[StepResult] = []
    evidence: Evidence | None = None
    checks: list[dict[str, Any]] = []
    credentials: list[dict[str, Any]] = []
    next: str = ""
    error: dict[str, Any] | None = None


def describe(ref: ObjectRef) -> dict[str, str]:
    return {"kind": ref.kind, "namespace": ref.namespace, "name": ref.name, "uid": ref.uid}


def change_doc(change: Change, outcome: Outcome | None = None) -> dict[str, Any]:
    """A change as scripts see it: what, on which object, and what became of it."""
    ref = getattr(change, "ref", None) or getattr(change, "pod", None)
    doc: dict[str, Any] = {"change": change.__struct_config__.tag, "title": title(change)}
    if isinstance(ref, ObjectRef):
        doc["object"] = describe(ref)
    if outcome is not None:
        doc |= {"outcome": word(outcome), "why": reason(outcome)}
    return doc


def _cluster(incident: Incident) -> dict[str, str]:
    return {"context": incident.cluster.context, "server": incident.cluster.server, "uid": incident.cluster.uid}


def planned(incident: Incident, plan: Plan, command: str, argv: Sequence[str] = ()) -> RunResult:
    """A dry run: the plan and nothing else. ``argv``: as in `again`."""
    steps = [StepResult(id=s.id, step=s.step, phase=s.phase, outcome="planned", why="; ".join(s.notes), changes=[change_doc(c) for c in s.changes])
             for s in plan.steps]  # fmt: skip
    return RunResult(incident=incident.id if command == "lift" else None, outcome="planned", command=command, cluster=_cluster(incident),
                     target=describe(incident.target.pod), steps=steps, next=again(incident, command, argv))  # fmt: skip


def again(incident: Incident, command: str, argv: Sequence[str] = ()) -> str:
    """The command that starts the same in earnest: as it was typed (``argv``), for any option left out means something else."""
    if tuple(argv[1:2]) == (command,):
        import shlex  # only where a run does not begin

        return printable(f"irkit {shlex.join(word for word in argv[1:] if word != '--dry-run')}", 2000)
    if command == "lift":
        return f"irkit lift {incident.id}"
    name = f"respond {incident.playbook}" if command == "respond" else command
    return f"irkit {name} {incident.target.words}"


def finished(state: State, command: str, names: Sequence[tuple[str, str, str]], bags: Path) -> RunResult:
    """The state of an incident after a run. ``names``: id, kind and phase of the playbook's steps, in order."""
    incident = state.incident
    result = RunResult(incident=incident.id, command=command, cluster=_cluster(incident), target=describe(incident.target.pod))
    result.steps = [_step(state, *name) for name in names]
    result.evidence = _evidence(state, bags)
    result.checks = _checks(state)
    result.credentials = rotated.documents(state)
    codes = [_code(state.steps.get(step)) for step, _, _ in names]
    result.isolation = _isolation(state)
    codes += [5 for check in result.checks if check["holds"] is not True]
    codes += [5 for credential in result.credentials if credential["outcome"] == "manual"]
    result.exit_code = worst(codes)
    result.outcome = {0: "done", 3: "declined", 5: "incomplete", 6: "incomplete"}.get(result.exit_code, "failed")
    result.next = _next(result, state)
    return result


def _next(result: RunResult, state: State) -> str:
    """The one thing to do after this: what a failed step says, or what its outcome asks for."""
    failed = [o for step in result.steps if isinstance(o := state.steps.get(step.id), Failed)]
    said = next((o.next for o in failed if o.next), "irkit resume")
    if failed or result.exit_code == 3:
        return f"{said} {result.incident}" if said == "irkit resume" else said
    if (result.isolation or {}).get("verdict") == "leaks":
        return f"irkit verify {result.incident} --explain"
    if any(step.phase == "post-mortem" and step.outcome != "pending" for step in result.steps):
        return f"irkit incident report {result.incident}"
    changed = result.isolation or result.credentials
    return f"irkit verify {result.incident}" if changed else f"irkit bundle show {result.incident}"


def _code(outcome: Outcome | None) -> int:
    match outcome:
        case Failed():
            return outcome.exit_code
        case Declined():
            return 3
    return 0


def _step(state: State, step: str, kind: str, phase: str) -> StepResult:
    outcome = state.steps.get(step)
    changes = [change_doc(i.change, state.results.get(c)) for c, i in state.intents.items() if i.step == step and i.purpose == "do"]
    return StepResult(
        id=step, step=kind, phase=phase, outcome=word(outcome) if outcome else "pending", why=reason(outcome) if outcome else "", changes=changes
    )


def _evidence(state: State, bags: Path) -> Evidence:
    missing = [{"what": g.what, "why": g.why} for b in state.bags for g in b.gaps]
    places = [bags / Path(b.path).name for b in state.bags]
    paths = [str(place) for place in places if place.is_dir()]
    return Evidence(bundle=paths[0] if paths else None, bundles=paths, elsewhere=elsewhere(state, places),
                    artefacts=sum(b.artefacts for b in state.bags), missing=missing)  # fmt: skip


def elsewhere(state: State, here: Sequence[Path]) -> list[dict[str, Any]]:
    """Where the bags are that this machine does not have, and every bag's copy in an object store."""
    found = []
    for number, (bag, mine) in enumerate(zip(state.bags, here, strict=True), 1):
        if not mine.is_dir():
            machine = state.machine(state.sealed[number - 1]) or "the machine that sealed it"
            found.append({"bag": number, "where": f"{machine}: {bag.path}", "manifest": bag.manifest_sha256})
        if pushed := state.pushed.get(number):
            found.append({"bag": number, "where": pushed.url, "manifest": pushed.manifest_sha256})
    return found


def _isolation(state: State) -> dict[str, Any] | None:
    last = state.isolation
    return {k: v for k, v in last[0].items() if k not in ("holds", "findings")} if last else None


def _checks(state: State) -> list[dict[str, Any]]:
    """The last judgement of each check."""
    found: dict[str, dict[str, Any]] = {}
    for call, intent in state.intents.items():
        outcome = state.results.get(call)
        if _is_check(intent) and outcome is not None and hasattr(outcome, "data"):
            name = intent.change.name  # type: ignore[union-attr]
            found[name] = {
                "check": name,
                "holds": outcome.data.get("holds"),
                "summary": reason(outcome),
                "findings": outcome.data.get("findings", []),
            }
    return list(found.values())


def _is_check(intent: Intent) -> bool:
    return intent.change.__struct_config__.tag == "check"


def failed(error: IrkitError, command: str) -> RunResult:
    """The document of a run that ended in an error, before or after it had an incident."""
    outcome = {3: "declined", 130: "interrupted"}.get(error.exit_code, "failed")
    following = error.next or error.otherwise
    return RunResult(incident=error.incident, command=command, outcome=outcome, exit_code=error.exit_code, next=following,
                     error={"code": error.exit_code, "message": error.message, "next": following})  # fmt: skip
