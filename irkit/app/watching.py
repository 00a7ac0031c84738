"""Watching an incident: look again and again, say what drifts once when it appears and once when it is over, keep both in the journal.

The watch itself is in the journal: when it ends, and what it has found. So it goes on where it was, whatever ended the
process. The journal is open only for the moment of a line: `resume`, `lift` and `redeploy` work beside a watch.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import msgspec

from irkit.app.runs import pool_of
from irkit.app.verify import document, judge, meant
from irkit.checks.base import CheckResult
from irkit.engine.announcing import heard, tell
from irkit.engine.events import Judged, Said
from irkit.engine.home import Home
from irkit.engine.journal import Journal, stamp
from irkit.engine.observe import Snapshot
from irkit.engine.result import RunResult
from irkit.engine.state import State
from irkit.errors import HeldError, InterruptedRun, UnreachableError, UsageError
from irkit.model.incident import Incident
from irkit.model.record import Watched
from irkit.ports import Observed, Ports

_CLUSTER = "cluster"  # the name of what is not found out because the API server does not answer


def watch(ports: Ports, target: str | None, selector: str | None, namespace: str, seconds: float | None) -> RunResult:
    """Watch an incident for so long; ``seconds`` None: go on with the watch that was interrupted. 0: all holds at its end, else 5."""
    with pool_of(ports) as pool:
        seen = Observed(cluster=Snapshot(ports.cluster, pool), now=ports.clock.now(), settings=ports.settings)
        incident, state = meant(ports, target, selector, namespace, seen)
        if state is None:
            raise UsageError(
                f"a watch needs an incident, and there is none of {incident.target.pod}", next="irkit contain, or irkit verify without --watch"
            )
        one = _Watch(ports, incident, pool, Home(ports.settings.home), secrets.token_hex(4))
        until = one.begin(state, seconds)
        try:
            return one.run(until)
        except KeyboardInterrupt:
            stopped = InterruptedRun(f"interrupted; the watch lasts until {until}", next=f"irkit verify {incident.id} --watch")
            stopped.incident = incident.id
            raise stopped from None


class _Watch(msgspec.Struct):
    ports: Ports
    incident: Incident
    pool: ThreadPoolExecutor
    home: Home
    run_id: str
    _late: list[Watched] = msgspec.field(default_factory=list)  # what another run's hold on the journal keeps us from writing

    def begin(self, state: State, seconds: float | None) -> str:
        """When it ends. Raises UsageError where there is no watch to go on with."""
        going = _going(state)
        if seconds is None:
            if going is None:
                raise UsageError(f"no watch of incident {state.incident.id} is to be gone on with",
                                 next=f"irkit verify {state.incident.id} --watch 24h")  # fmt: skip
            self.ports.listen(Said(f"going on with the watch, until {going.until}"))
            return going.until
        until = (self.ports.clock.now() + timedelta(seconds=seconds)).isoformat(timespec="seconds").replace("+00:00", "Z")
        self._note(Watched(run=self.run_id, event="began", until=until))
        self.ports.listen(Said(f"watching until {until}; what drifts is said once"))
        return until

    def run(self, until: str) -> RunResult:
        clock, end, first = self.ports.clock, datetime.fromisoformat(until), True
        while True:
            state = self.home.load(self.incident.id)
            if state.over:
                return self._ended(state, [], f"the watch ended: the incident is {state.closed or 'being lifted'}")
            open_ = _open(state, self._late)
            try:
                results = self._look(state, first)
            except UnreachableError as error:
                results = [CheckResult(check=_CLUSTER, holds=None, summary=f"nothing is known: {error.message}")]
                self._say(results, open_, every=False)
            else:
                self._say(results, open_, every=True)
            first = False
            if clock.now() >= end:
                return self._ended(state, results, "the watch ended")
            clock.sleep(min(self.ports.settings.recovery.watch_interval, max((end - clock.now()).total_seconds(), 0.001)))

    def _look(self, state: State, first: bool) -> list[CheckResult]:
        """The checks, anew. The first look is told in whole, later ones by what has changed."""
        seen = Observed(cluster=Snapshot(self.ports.cluster, self.pool), now=self.ports.clock.now(), settings=self.ports.settings)
        results = []
        for found in judge(self.ports, self.incident, state, seen):
            if first:
                self.ports.listen(Judged(found, stamp(self.ports.clock)))
            results.append(found)
        return results

    def _say(self, results: Sequence[CheckResult], open_: dict[str, str], *, every: bool) -> None:
        """What is new, and what is over; where not ``every`` check could be made, nothing is over."""
        bad = {r.check: r for r in results if r.holds is not True}
        for name, result in bad.items():
            if name not in open_:
                self._tell("drift", name, result.summary, result.findings)
        for name in [n for n in open_ if every and n not in bad]:
            self._tell("over", name, next((r.summary for r in results if r.check == name), "it is no longer asked for"), ())

    def _tell(self, event: str, check: str, summary: str, findings: Sequence[str]) -> None:
        self._note(Watched(run=self.run_id, event=event, check=check, summary=summary))
        if event == "drift":
            tell(self.ports, "drift", self.home.load(self.incident.id), f"{check}: {summary}", f"irkit verify {self.incident.id}",
                 stamp(self.ports.clock))  # fmt: skip
        lines = "".join(f"\n    {line}" for line in findings[:10])
        when = stamp(self.ports.clock)[:19]
        self.ports.listen(
            Said(f"{when}Z  {check}: {'drift' if event == 'drift' else 'holds again'}: {summary}{lines}", "warning" if event == "drift" else "info")
        )

    def _ended(self, state: State, results: list[CheckResult], why: str) -> RunResult:
        self._note(Watched(run=self.run_id, event="ended"))
        for unheard in heard(self.ports):
            self.ports.listen(Said(unheard, "warning"))
        drifts = sum(w.event == "drift" for w in _since(state)) + sum(w.event == "drift" for w in self._late)
        self.ports.listen(Said(f"{why}; drift was seen {drifts} times" if drifts else f"{why}; nothing drifted"))
        return document(self.incident, state, results)

    def _note(self, body: Watched) -> None:
        """Put a line on record; while another run has the journal, keep it for later."""
        self._late.append(body)
        try:
            journal = Journal(self.home.journal(self.incident.id), self.ports.clock)
        except HeldError:
            return
        try:
            journal.append(*self._late)
            self._late.clear()
        finally:
            journal.close()


def _since(state: State) -> list[Watched]:
    """The records of the last watch."""
    last = max((n for n, w in enumerate(state.watched) if w.event == "began"), default=len(state.watched))
    return state.watched[last:]


def _going(state: State) -> Watched | None:
    """How the watch began that has not ended."""
    found = _since(state)
    return None if not found or any(w.event == "ended" for w in found) else found[0]


def _open(state: State, late: Sequence[Watched]) -> dict[str, str]:
    """What does not hold, as the last watch knows: by check, what was said."""
    found: dict[str, str] = {}
    for body in (*_since(state), *late):
        if body.event == "drift":
            found[body.check] = body.summary
        elif body.event == "over":
            found.pop(body.check, None)
    return found
