"""A collection: the evidence of many pods into one bag, at the same time, the suspect first."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import msgspec

from irkit import __version__, collectors
from irkit.collectors.base import indented
from irkit.engine.events import BagSealed, Collected, Collecting
from irkit.engine.journal import Journal
from irkit.engine.state import State
from irkit.errors import ApiError, EvidenceError, ForbiddenError, IrkitError, passing
from irkit.model.changes import Capture
from irkit.model.evidence import Artefact, Gap, Missing, Scope, SealedBag, Stored
from irkit.model.incident import Incident
from irkit.model.kube import PODS, Obj, ObjectRef, controller_of
from irkit.model.outcome import Done, Failed, Outcome
from irkit.model.record import Intent, Result, Sealed
from irkit.ports import BagWriter, ClusterReader, Ports
from irkit.text import plural


class _Progress(msgspec.Struct):
    pods: int = 0
    octets: int = 0
    paths: set[str] = msgspec.field(default_factory=set)  # what pods share is in the bag once
    gaps: list[Gap] = msgspec.field(default_factory=list)


class Collection:
    """The open bag of one run. It is opened by the first thing that is put into it, and sealed once."""

    def __init__(self, incident: Incident, ports: Ports, state: State, journal: Journal, pool: ThreadPoolExecutor, run: str) -> None:
        self._incident, self._ports, self._state, self._journal = incident, ports, state, journal
        self._pool, self._run = pool, run
        self._store = ports.evidence(incident.id)
        self._writer: BagWriter | None = None

    def _open(self) -> BagWriter:
        if self._writer is None:
            self._writer = self._store.open(self._state.next_bag)
        return self._writer

    @property
    def unfinished(self) -> bool:
        """Whether a bag is open, or was left open by a run that ended before it was sealed."""
        return self._writer is not None or self._store.unfinished(self._state.next_bag)

    def recover(self) -> None:
        """Put on record the bag of a run that ended between its seal and the line that says so."""
        for bag in self._store.sealed()[len(self._state.bags) :]:
            self._store.open(self._state.next_bag)  # which clears away what the seal had no time to
            self._record(bag)

    def _record(self, bag: SealedBag) -> None:
        for line in self._journal.append(Sealed(bag=bag, run=self._run)):
            self._state.add(line)

    def keep(self, seen: Mapping[str, object]) -> None:
        """Save what the planner read, before anything changes. Raises EvidenceError where the disk refuses."""
        content = indented(seen)
        artefact = Artefact(("before", f"{self._run}.json"), lambda: iter((content,)), "what was seen before the first change")
        self._open().add(artefact)

    def take(self, step: str, captures: Sequence[Capture], cluster: ClusterReader) -> list[Outcome]:
        """Capture all of them; one outcome each, in the journal when this returns.

        A source that refuses is a gap; one that can't be reached, or a disk that is full, fails the capture of its pod.
        """
        began, key = self._ports.clock.monotonic(), self._store.key  # a disk that refuses even this is no gap, but the end of it
        calls = [secrets.token_hex(6) for _ in captures]
        self._note([Intent(call=c, step=step, run=self._run, change=k) for c, k in zip(calls, captures, strict=True)])
        writer, progress, outcomes = self._open(), _Progress(), []
        for capture, pending in [(c, self._begin(c, cluster, writer, key)) for c in captures]:
            outcome = self._finish(capture, pending, progress)
            outcomes.append(outcome)
            self._ports.listen(Collecting(progress.pods, len(captures), len(progress.paths), progress.octets))
        self._note([Result(call=c, outcome=o) for c, o in zip(calls, outcomes, strict=True)])
        seconds = self._ports.clock.monotonic() - began
        self._ports.listen(Collected(progress.pods, len(progress.paths), progress.octets, seconds, tuple(progress.gaps)))
        return outcomes

    def _note(self, bodies: Sequence[Intent | Result]) -> None:
        for line in self._journal.append(*bodies):
            self._state.add(line)

    def _begin(self, capture: Capture, cluster: ClusterReader, writer: BagWriter, key: bytes) -> list[Future[Stored | Gap] | Gap]:
        pending: list[Future[Stored | Gap] | Gap] = []
        for piece in self._pieces(capture, cluster, key):
            if isinstance(piece, Missing):
                gap = Gap(what=piece.what, why=piece.why, transient=piece.transient)
                writer.gap(gap)
                pending.append(gap)
            else:
                pending.append(self._pool.submit(writer.add, piece))
        return pending

    def _pieces(self, capture: Capture, cluster: ClusterReader, key: bytes) -> Iterator[Artefact | Missing]:
        try:
            scope = self._scope(capture, cluster)
        except IrkitError as error:  # what belongs to a pod can't be told without it; the next try knows more
            if not passing(error):
                raise
            yield Missing(str(capture.pod), error.message, transient=True)
            return
        yield from collectors.collect(scope, capture.take, cluster, key)

    def _scope(self, capture: Capture, cluster: ClusterReader) -> Scope:
        target, owners = self._incident.target, self._incident.target.owners
        if capture.suspect:
            return Scope(pod=capture.pod, suspect=True, owners=owners, node=target.node, labels=target.labels, service_account=target.service_account)
        found: Obj = {}
        try:
            found = next((p for p in cluster.list(PODS, capture.pod.namespace) if p["metadata"]["uid"] == capture.pod.uid), {})
        except (ForbiddenError, ApiError) as error:
            if passing(error):
                raise
        spec, meta = found.get("spec") or {}, found.get("metadata") or {}
        return Scope(pod=capture.pod, suspect=False, owners=_owners(found, owners), node=spec.get("nodeName") or "",
                     labels=meta.get("labels") or {}, service_account=spec.get("serviceAccountName") or "")  # fmt: skip

    def _finish(self, capture: Capture, pending: Sequence[Future[Stored | Gap] | Gap], progress: _Progress) -> Outcome:
        failure: Failed | None = None
        stored = octets = 0
        gaps: list[Gap] = []
        for piece in pending:
            try:
                got = piece if isinstance(piece, Gap) else piece.result()
            except EvidenceError as error:
                failure = Failed(error.message, error.exit_code, error.next)
                continue
            if isinstance(got, Stored):
                stored, octets = stored + 1, octets + got.size
                progress.octets += 0 if got.path in progress.paths else got.size
                progress.paths.add(got.path)
            else:
                gaps.append(got)
        progress.pods += 1
        progress.gaps += [g for g in gaps if g not in progress.gaps]
        if failure is None and (lost := [g for g in gaps if g.transient]):
            failure = Failed(
                f"{lost[0].what}: {lost[0].why}" + (f" (and {plural(len(lost) - 1, 'more gap')})" if lost[1:] else ""), 6, "irkit resume"
            )
        return failure or Done(
            f"{plural(stored, 'artefact')}", {"artefacts": stored, "octets": octets, "gaps": [msgspec.to_builtins(g) for g in gaps]}
        )

    def seal(self) -> None:
        """Close the bag with the journal so far in it. Nothing to do where none is open. Raises EvidenceError."""
        if not self.unfinished:
            return
        writer = self._open()
        excerpt = self._journal.path.read_bytes()
        writer.add(Artefact(("journal.jsonl",), lambda: iter((excerpt,)), "the journal up to this bag", of=self._run))
        bag = writer.seal(self._info())
        self._writer = None
        self._record(bag)
        self._ports.listen(BagSealed(bag))

    def _info(self) -> dict[str, str]:
        incident, cluster = self._incident, self._incident.cluster
        skew = "not measured" if cluster.clock_skew is None else f"{cluster.clock_skew:+.3f} s"
        return {
            "Contact-Name": incident.operator.name, "Bagging-Software": f"irkit {__version__}",
            "Bagging-Date": self._ports.clock.now().date().isoformat(), "External-Identifier": incident.id, "Bag-Group-Identifier": incident.id,
            "External-Description": f"Evidence of {incident.target.pod}",
            "Irkit-Operator": incident.operator.name, "Irkit-Operator-Groups": ", ".join(incident.operator.groups),
            **self._reported(),
            "Irkit-Command": " ".join(self._ports.argv), "Irkit-Version": __version__, "Irkit-Run": self._run,
            "Irkit-Playbook": incident.playbook, "Irkit-Playbook-SHA256": incident.playbook_digest,
            "Irkit-Cluster-UID": cluster.uid, "Irkit-Cluster-Server": cluster.server, "Irkit-Cluster-Version": cluster.version,
            "Irkit-Clock-Skew": skew, "Irkit-Journal-Last-SHA256": self._journal.last,
        }  # fmt: skip

    def _reported(self) -> dict[str, str]:
        """What people said of it, as far as they did."""
        said = self._state.reported
        words = {"Reported-By": said.by, "Summary": said.summary, "Severity": self._state.severity, "Started-At": said.started_at}
        return {f"Irkit-{name}": value for name, value in words.items() if value}


def _owners(pod: Obj, bound: Sequence[ObjectRef]) -> tuple[ObjectRef, ...]:
    """The bound owners from the one that controls this sibling on."""
    controller = controller_of(pod) or {}
    start = next((n for n, owner in enumerate(bound) if owner.uid == controller.get("uid")), None)
    return tuple(bound[start:]) if start is not None else tuple(bound[-1:])
