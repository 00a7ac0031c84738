"""Rotating many credentials at the same time: read all, refuse before the first write, write ahead, do, say what became of each."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import msgspec

from irkit import credentials, rotators
from irkit.credentials import moved
from irkit.engine.events import ChangeEnded
from irkit.engine.journal import stamp
from irkit.engine.kept import Kept as KeptByAny
from irkit.engine.observe import Snapshot
from irkit.engine.state import State
from irkit.errors import ApiError, Declined, IrkitError, RefusedError, worst
from irkit.model.changes import Change, Rotate
from irkit.model.credential import fingerprint
from irkit.model.incident import Incident
from irkit.model.outcome import Done, Failed, Outcome, Skipped, Unchanged
from irkit.model.plan import Plan
from irkit.model.record import Intent, Result
from irkit.ports import Kept, Ports
from irkit.rotators.base import Before, Tools
from irkit.text import plural, printable

_KEY = "key"  # in a before-image: which key its HMACs were made with


class _Users:
    """Who uses what, read once for each namespace, when it is first asked for."""

    def __init__(self, cluster: Snapshot, moves: Mapping[str, Mapping[str, str]], begun: Sequence[Change], kept: Kept) -> None:
        self._cluster, self._moves, self._lock, self._begun, self._kept = cluster, moves, threading.Lock(), begun, kept
        self._found: dict[str, credentials.Consumers] = {}

    def of(self, namespace: str) -> credentials.Consumers:
        with self._lock:
            if namespace not in self._found:
                self._found[namespace] = credentials.Consumers(namespace, self._cluster, self._moves.get(namespace), self._kept)
            return self._found[namespace]

    def count(self, change: Rotate) -> credentials.Count:
        """How many of those that use its credential run with the new value."""
        old = credentials.ended_by(self._begun, change.tokens.values())
        return credentials.count(change.credential.ref, change.tokens, self.of(change.credential.ref.namespace), old)


def trial(ports: Ports, incident: Incident, plan: Plan, pool: ThreadPoolExecutor) -> list[str]:
    """What a rotation would meet, found by reading alone: a sentence for each credential that could not be rotated now.

    Raises RefusedError where this is not the Vault that the Secrets are filled from.
    """
    changes = [c for c in plan.changes if isinstance(c, Rotate) and c.stage == "renew"]
    tools = Tools(ports, incident, secrets.token_bytes(32), ports.clock.monotonic() + ports.settings.request_timeout)
    found = list(pool.map(lambda c: _before(c, tools), changes))
    _refuse_wrong_vault(changes, found)
    return [f"{c.credential.name} can't be rotated now: {e.message}" for c, e in zip(changes, found, strict=True)
            if isinstance(e, IrkitError) and not isinstance(e, Declined)]  # fmt: skip


def _before(change: Rotate, tools: Tools) -> Before | IrkitError:
    try:
        return rotators.find(change.rotator).before(change.credential, tools)
    except IrkitError as error:
        return error
    except Exception as error:  # noqa: BLE001 -- as in `_one`
        return _unforeseen(error, change)


def _unforeseen(error: Exception, change: Rotate) -> IrkitError:
    """What a rotator, perhaps a third party's, did not expect of a store: it stops none of the others, and its text may hold a value."""
    return IrkitError(
        f"rotator {change.rotator} failed on {printable(change.credential.name)}: {type(error).__name__}", next="irkit resume; and please report it"
    )


def _refuse_wrong_vault(changes: Sequence[Rotate], befores: Sequence[Before | IrkitError]) -> None:
    """Raises RefusedError where entries disagree with their Secrets and none agrees: then nothing is written anywhere.

    Where one agrees, this is the right Vault, and only the others are refused: whoever may change one Secret must not be
    able to keep all the rest from being rotated.
    """
    refused = next((e for e in befores if isinstance(e, RefusedError)), None)
    agreed = any(c.credential.source.path and not isinstance(b, IrkitError) for c, b in zip(changes, befores, strict=True))
    if refused is not None and not agreed:
        raise refused


class Rotations(msgspec.Struct, frozen=True):
    """What one run of one incident does with credentials."""

    ports: Ports
    incident: Incident
    state: State
    pool: ThreadPoolExecutor
    run: str
    note: Callable[..., None]  # puts lines on record, on disk

    def apply(self, step: str, changes: Sequence[Rotate], timeout: float) -> bool:
        """Do all of them; whether every one was done. What failed is on record and stops none of the others.

        Raises RefusedError before the first write where this is not the Vault that the Secrets are filled from.
        """
        until, kept = self.ports.clock.monotonic() + timeout, credentials.with_own(self.incident, self.state.tried, KeptByAny(self.ports))
        tools = Tools(self.ports, self.incident, self.ports.evidence(self.incident.id).key, until, kept=kept)
        befores = self._befores(changes, tools)
        calls = {change.mark: secrets.token_hex(6) for change in changes}
        self.note(*(Intent(call=calls[c.mark], step=step, run=self.run, change=c, before=b if isinstance(b, dict) else {})
                    for c, b in zip(changes, befores, strict=True)))  # fmt: skip
        complete = True
        for ended in self._outcomes(list(zip(changes, befores, strict=True)), tools):
            self.note(*(Result(call=calls[change.mark], outcome=outcome) for change, outcome in ended))
            for change, outcome in ended:
                self.ports.listen(ChangeEnded(step, change, outcome, stamp(self.ports.clock)))
                complete = complete and isinstance(outcome, Done | Unchanged)
        return complete

    def _befores(self, changes: Sequence[Rotate], tools: Tools) -> list[Before | IrkitError]:
        check = fingerprint(b"irkit", tools.key)

        def one(change: Rotate) -> Before | IrkitError:
            kept = self.state.before(change.credential.id, change.step)
            if kept is not None and kept.get(_KEY) == check:  # else of another machine's run: its HMACs say nothing here
                return kept
            taken = _before(change, tools)
            return taken if isinstance(taken, IrkitError) else {**taken, _KEY: check}

        found = list(self.pool.map(one, changes))
        _refuse_wrong_vault(changes, found)
        return found

    def _outcomes(self, todo: Sequence[tuple[Rotate, Before | IrkitError]], tools: Tools) -> Iterator[list[tuple[Rotate, Outcome]]]:
        """Each with its outcome, as they end, with those that ended by then: one fsync for all of them.

        What is kept in one place goes one after another, and so do questions.
        """
        asking = [t for t in todo if rotators.find(t[0].rotator).asks and t[0].stage == "renew"]
        places: dict[str, list[tuple[Rotate, Before | IrkitError]]] = {}
        for item in todo:
            if item not in asking:
                places.setdefault(_place(item[0]), []).append(item)
        users = _Users(Snapshot(self.ports.cluster, self.pool), moved.moves((c.credential for c, _ in todo), self.incident), self.state.tried,
                       tools.kept)  # fmt: skip
        ended: SimpleQueue[Future[list[tuple[Rotate, Outcome]]]] = SimpleQueue()
        for items in places.values():
            self.pool.submit(self._several, items, tools, users).add_done_callback(ended.put)
        left = len(places)
        while left:
            done = [ended.get(), *(ended.get() for _ in range(ended.qsize()))]
            left -= len(done)
            yield [pair for future in done for pair in future.result()]
        for change, before in asking:
            yield [(change, self._one(change, before, tools, users))]

    def _several(self, items: Sequence[tuple[Rotate, Before | IrkitError]], tools: Tools, users: _Users) -> list[tuple[Rotate, Outcome]]:
        return [(c, self._one(c, b, tools, users)) for c, b in items]

    def _one(self, change: Rotate, before: Before | IrkitError, tools: Tools, users: _Users) -> Outcome:
        if isinstance(before, Declined):  # left to a human; no before-image was kept, so the next run looks again
            return Skipped(before.message)
        if isinstance(before, IrkitError):
            return _failed(before)
        rotator = rotators.find(change.rotator)
        try:
            if change.stage == "renew":
                return rotator.renew(change.credential, before, tools)
            proven = {**before, "proof": self.state.proof(change.credential.id, change.step)}
            return _counted(rotator.retire(change.credential, proven, tools), change, users)
        except Declined as error:
            return Skipped(error.message)
        except IrkitError as error:
            return _failed(error)
        except Exception as error:  # noqa: BLE001 -- one credential must not keep the others from being rotated
            return _failed(_unforeseen(error, change))


def _place(change: Rotate) -> str:
    source = change.credential.source
    return f"{source.mount}/{source.path}" if source.path else change.credential.id


def _failed(error: IrkitError) -> Failed:
    # a server's own failure (500) says as little about what was done as no answer at all
    code = 7 if isinstance(error, ApiError) and error.status >= 500 else error.exit_code
    return Failed(error.message, code, error.next)


def _counted(outcome: Outcome, change: Rotate, users: _Users) -> Outcome:
    """With how many of those that use the credential run with the new value."""
    if not isinstance(outcome, Done):
        return outcome
    count = users.count(change)
    elsewhere = [f"what uses {reader}: irkit restarts nothing in other namespaces" for reader in change.credential.source.readers]
    data: dict[str, Any] = {**outcome.data, "consumers": {"total": count.total, "restarted": count.restarted}, "left": [*count.left, *elsewhere]}
    return msgspec.structs.replace(outcome, data=data)


def left_open(state: State, step: str, run: str) -> Failed | None:
    """What this run of a rotate step ends in where not every credential was rotated, or an old value still works."""
    latest = [(i, state.results.get(c)) for c, i in state.intents.items() if i.step == step and i.run == run and isinstance(i.change, Rotate)]
    failed = [o for _, o in latest if isinstance(o, Failed)]
    manual = [i.change for i, o in latest if isinstance(o, Skipped) and isinstance(i.change, Rotate)]
    alive = [i.change for i, o in latest if isinstance(o, Done) and o.data.get("oldValue") == "alive" and isinstance(i.change, Rotate)]
    if not (failed or manual or alive):
        return None
    parts = [f"{plural(len(failed), 'credential')} failed: {failed[0].error}"] if failed else []
    parts += [f"left to a human: {', '.join(c.credential.name for c in manual)}"] if manual else []
    parts += [f"the old value still works: {', '.join(c.credential.name for c in alive)}"] if alive else []
    # a mistake in what was given (2) was met only after others were rotated: that nothing was run would be no longer true
    code = worst([*(5 if f.exit_code == 2 else f.exit_code for f in failed), *([5] if manual or alive else [])])
    return Failed("; ".join(parts), code, next((f.next for f in failed if f.next), "irkit resume"))
