"""What a journal says has happened: a pure fold over its lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from irkit.errors import EvidenceError
from irkit.model.changes import Capture, Change, Check, Create, Delete, Patch, Rotate, mark_of
from irkit.model.evidence import VITAL, SealedBag
from irkit.model.incident import Incident, Reported
from irkit.model.outcome import Declined, Done, Failed, Outcome, Skipped, Unchanged
from irkit.model.record import (
    Approved,
    Assigned,
    Closed,
    Extended,
    Intent,
    Line,
    Opened,
    Pushed,
    Ran,
    Refused,
    Result,
    Sealed,
    StepEnded,
    Told,
    Waived,
    Watched,
)


class State(msgspec.Struct):
    """Mutable while it is folded; read-only for everybody else."""

    opened: Opened | None = None
    lines: int = 0
    intents: dict[str, Intent] = msgspec.field(default_factory=dict)
    results: dict[str, Outcome] = msgspec.field(default_factory=dict)
    times: dict[str, str] = msgspec.field(default_factory=dict)  # of results, by call
    steps: dict[str, Outcome] = msgspec.field(default_factory=dict)  # the last outcome of each step
    approvals: list[Approved] = msgspec.field(default_factory=list)
    declined: set[str] = msgspec.field(default_factory=set)
    bags: list[SealedBag] = msgspec.field(default_factory=list)
    waived: set[str] = msgspec.field(default_factory=set)
    waiver: Waived | None = None  # the last reason that a human gave
    runs: list[Ran] = msgspec.field(default_factory=list)
    told: list[Told] = msgspec.field(default_factory=list)
    watched: list[Watched] = msgspec.field(default_factory=list)
    roles: dict[str, str] = msgspec.field(default_factory=dict)  # who has which, now
    pushed: dict[int, Pushed] = msgspec.field(default_factory=dict)  # where a bag lies besides, by its number; the last place
    sealed: list[str] = msgspec.field(default_factory=list)  # which invocation sealed each of `bags`
    closed: str = ""
    _befores: dict[tuple[str, str], dict[str, Any]] = msgspec.field(default_factory=dict)  # by credential and step
    _proofs: dict[tuple[str, str], str] = msgspec.field(default_factory=dict)

    @classmethod
    def of(cls, lines: Iterable[Line]) -> State:
        state = cls()
        for line in lines:
            state.add(line)
        return state

    def add(self, line: Line) -> None:  # noqa: C901, PLR0912 - one arm for each kind of record
        body = line.body
        self.lines += 1
        match body:
            case Opened() | Extended():
                self._bind(body)
            case Intent():
                self._begin(body)
            case Result():
                self._end(body, line.at)
            case StepEnded():
                self.steps[body.step] = body.outcome
                self.declined.discard(body.step)
            case Approved():
                self.approvals.append(body)
            case Refused():
                self.declined.update(body.steps)
            case Sealed():
                self.bags.append(body.bag)
                self.sealed.append(body.run)
            case Waived():
                self.waived.update(body.pods)
                self.waiver = body
            case Ran():
                self.runs.append(body)
            case Told():
                self.told.append(body)
            case Watched():
                self.watched.append(body)
            case Pushed():
                self.pushed[body.bag] = body
            case Assigned():
                self.roles = {**{r: n for r, n in self.roles.items() if r != body.role}, **({body.role: body.name} if body.name else {})}
            case Closed():
                self.closed = body.how

    def _bind(self, body: Opened | Extended) -> None:
        """The target stays as it was bound; phases and parameters become more where a later run was asked for more.

        Raises EvidenceError where there is nothing that could be extended: a copy in the cluster may say anything.
        """
        if isinstance(body, Extended):
            if self.opened is None:
                raise EvidenceError("the journal does not begin with an incident")
            incident = msgspec.structs.replace(self.incident, phase=body.phase, parameters={**self.incident.parameters, **body.parameters})
            body = msgspec.structs.replace(self.opened, incident=incident)
        self.opened = body

    def _begin(self, body: Intent) -> None:
        self.intents[body.call] = body
        if isinstance(body.change, Rotate) and body.before:
            self._befores.setdefault((body.change.credential.id, body.step), body.before)

    def _end(self, body: Result, at: str) -> None:
        self.results[body.call] = body.outcome
        self.times[body.call] = at
        intent = self.intents.get(body.call)
        proof = body.outcome.data.get("proof") if isinstance(body.outcome, Done) else None
        if proof and intent is not None and isinstance(intent.change, Rotate) and intent.change.stage == "renew":
            self._proofs.setdefault((intent.change.credential.id, intent.step), str(proof))

    @property
    def incident(self) -> Incident:
        assert self.opened is not None, "a journal begins with its incident"
        return self.opened.incident

    @property
    def reported(self) -> Reported:
        """What people said of it, the last word of each."""
        found = self.incident.reported
        for told in self.told:
            found = told.reported.over(found)
        return found

    @property
    def severity(self) -> str:
        return self.reported.severity or self.incident.playbook_severity

    def done(self, purpose: str = "do") -> list[tuple[Intent, Outcome]]:
        """What was done, or found done already, in the order of its intents."""
        found = ((i, self.results.get(c)) for c, i in self.intents.items() if i.purpose == purpose)
        return [(i, r) for i, r in found if isinstance(r, Done | Unchanged)]

    @property
    def marks(self) -> frozenset[str]:
        """Keys of finished changes that leave no other trace; of credentials and optional objects that a run tried in vain, the key with that run."""
        done = {m for i, _ in self.done() if (m := mark_of(i.change))}
        tried = {f"{i.change.mark}@{i.run}" for c, i in self.intents.items()
                 if isinstance(i.change, Rotate | Create) and isinstance(self.results.get(c), Failed | Skipped)}  # fmt: skip
        return frozenset(done | tried)

    def before(self, credential: str, step: str) -> dict[str, Any] | None:
        """The first before-image of a credential in a step: what it was before irkit touched it. None: it was not begun."""
        return self._befores.get((credential, step))

    def proof(self, credential: str, step: str) -> str:
        """Which attempt with the old value was refused while a credential was renewed; empty: none was made."""
        return self._proofs.get((credential, step), "")

    @property
    def tried(self) -> tuple[Change, ...]:
        """Every change that was begun, in the order of their intents, whatever became of it."""
        return tuple(i.change for i in self.intents.values())

    @property
    def begun(self) -> tuple[Change, ...]:
        """Writes that may be in force, credentials whose rotation was begun, and new images: each once, in the order of their intents."""
        rotations = {i.change.intent: i.change for i in self.intents.values() if isinstance(i.change, Rotate)}
        images = {i.change.intent: i.change for c, i in self.intents.items() if _redeploys(i.change) and _may_hold(self.results.get(c))}
        return (*(i.change for i, _ in self.undone()), *rotations.values(), *images.values())

    @property
    def befores(self) -> dict[str, dict[str, Any]]:
        """By the credential's id, what it was before irkit touched it; of those alone that were rotated."""
        done = [i for i, r in self.done() if isinstance(i.change, Rotate) and i.change.stage == "renew" and isinstance(r, Done)]
        return {i.change.credential.id: b for i in done if isinstance(i.change, Rotate) and (b := self.before(i.change.credential.id, i.step))}

    @property
    def restarts(self) -> dict[str, int]:
        """By ``uid of the pod/container``, its restart count when its workload was back with its new image."""
        found: dict[str, int] = {}
        for call, intent in self.intents.items():
            outcome = self.results.get(call)
            if _redeploys(intent.change):
                found = {}
            elif isinstance(intent.change, Check) and intent.change.check == "steady" and isinstance(outcome, Done):
                found = {**outcome.data.get("restarts", {}), **found}
        return found

    @property
    def captured(self) -> frozenset[str]:
        """Uids of pods that may end: their evidence is stored, or a human typed why not."""
        return self._stored | self.waived

    @property
    def _stored(self) -> frozenset[str]:
        found = ((i.change, r) for i, r in self.done())
        return frozenset(c.pod.uid for c, r in found if isinstance(c, Capture) and isinstance(r, Done) and set(VITAL) <= set(c.take))

    @property
    def unkept(self) -> frozenset[str]:
        """Uids of pods that may end though their evidence is not stored."""
        return frozenset(self.waived - self._stored)

    @property
    def isolation(self) -> tuple[dict[str, object], str] | None:
        """The last verdict (as in RunResult) and when it was given."""
        found = None
        for call, intent in self.intents.items():
            result = self.results.get(call)
            if isinstance(intent.change, Check) and intent.change.check == "isolated" and isinstance(result, Done):
                found = (result.data, self.times[call])
        return found

    def undone(self) -> list[tuple[Intent, Outcome | None]]:
        """Writes that may be in force: done, or begun with no outcome known, and not lifted since. Each once, in the order of their intents."""
        found: dict[bytes, tuple[Intent, Outcome | None]] = {}
        for call, intent in self.intents.items():
            change, result = intent.change, self.results.get(call)
            restoring = intent.purpose == "lift" or (isinstance(change, Patch) and change.restores)
            if not restoring and isinstance(change, Create | Patch) and not getattr(change, "forward", False) and _may_hold(result):
                found[change.intent] = (intent, result)
            elif restoring and isinstance(change, Delete | Patch) and isinstance(result, Done | Unchanged):
                kinds = (Create, Patch) if isinstance(change, Delete) else (Patch,)
                lifted = [k for k, (i, _) in found.items() if isinstance(i.change, kinds) and change.ref.same(i.change.ref)]
                for key in lifted:
                    del found[key]
        return list(found.values())

    @property
    def over(self) -> bool:
        """Whether containing is over: lifted, closed, or a lift has begun. Going on would undo what people undid."""
        return bool(self.closed) or any(i.purpose == "lift" for i in self.intents.values())

    def machine(self, run: str) -> str:
        """Where that invocation of irkit ran; empty where it did not say."""
        return next((str(r.data["host"]) for r in self.runs if r.run == run and r.data.get("host")), "")

    @property
    def next_bag(self) -> int:
        return len(self.bags) + 1

    @property
    def status(self) -> str:
        """interrupted | open | contained | done | lifting, or how it was closed; ``contained``: writes of irkit are in force."""
        if self.closed:
            return self.closed
        if self.over:
            return "lifting"
        last = next((r for r in reversed(self.runs) if r.command not in ("lift", "role")), None)  # these go on with nothing
        if last is None or last.event != "end":
            return "interrupted"
        if last.exit_code not in (0, 5) or any(isinstance(o, Failed | Declined | Skipped) for o in self.steps.values()):
            return "open"
        return "contained" if self.undone() else "done"

    @property
    def unfinished(self) -> bool:
        """Whether there is something to go on with."""
        return self.status in ("interrupted", "open")


def _redeploys(change: Change) -> bool:
    return isinstance(change, Patch) and change.action == "redeploy"


def _may_hold(outcome: Outcome | None) -> bool:
    """Whether a write may be in force: that no answer came (7) says nothing about it."""
    return outcome is None or isinstance(outcome, Done) or (isinstance(outcome, Failed) and outcome.exit_code == 7)
