"""Before anything changes: may we (SelfSubjectAccessReview of exactly the plan), and would the server take it (dry run)?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from irkit import collectors
from irkit.errors import ApiError, ConflictError, ForbiddenError, InvalidError, IrkitError, NotFoundError
from irkit.model.changes import Capture, Change, Create, Delete, Patch
from irkit.model.edits import ABSENT, Edit
from irkit.model.incident import Incident
from irkit.model.kube import NETWORKPOLICIES, PODS, Permission, permission
from irkit.model.plan import Plan
from irkit.ports import Cluster, ClusterReader, exists
from irkit.text import plural, printable


class Preflight(msgspec.Struct, frozen=True):
    """``missing`` stops the run, ``gaps`` only shorten the evidence; ``denied`` are changes that admission would refuse.

    ``left`` are optional changes that one may not make, where that was asked.
    """

    missing: tuple[Permission, ...]
    gaps: tuple[Permission, ...]
    denied: tuple[tuple[Change, IrkitError], ...]
    left: tuple[Create, ...] = ()


def needed(plan: Plan, namespace: str) -> tuple[Permission, ...]:
    """What the run can't do without: its writes, and reading pods and policies."""
    reads = [permission(verb, PODS, namespace) for verb in ("get", "list")] + [permission("list", NETWORKPOLICIES, namespace)]
    return _unique([*(p for c in plan.changes if c not in _optional(plan) for p in c.permissions), *reads])


def _optional(plan: Plan) -> list[Create]:
    """What nothing depends on: it is not tried before the cut."""
    return [c for c in plan.changes if isinstance(c, Create) and c.optional]


def wanted(plan: Plan, namespace: str) -> tuple[Permission, ...]:
    """What the evidence needs; what is missing of it becomes a gap."""
    take = sorted({kind for c in plan.changes if isinstance(c, Capture) for kind in c.take})
    return _unique(collectors.permissions(take, namespace)) if take else ()


def _unique(permissions: Iterable[Permission]) -> tuple[Permission, ...]:
    return tuple(dict.fromkeys(permissions))


def run(plan: Plan, incident: Incident, cluster: Cluster, seen: ClusterReader, pool: ThreadPoolExecutor, *, evidence: bool) -> Preflight:
    """All questions at the same time. Raises UnreachableError.

    ``evidence``: ask about the rights that only the evidence and optional changes need, too. That is for a person who decides; where nobody
    does, the collection a moment later says the same, and the cut comes sooner.
    """
    must = needed(plan, incident.target.namespace)
    optional = _optional(plan)
    may = () if not evidence else tuple(p for p in wanted(plan, incident.target.namespace) if p not in must)
    extra = {c.permissions[0]: c for c in optional} if evidence else {}
    # what was read a moment ago needs no question
    asked = tuple(p for p in must if p.verb not in ("get", "list"))
    trials = [pool.submit(_trial, change, cluster, seen) for change in plan.changes if change.writes and change not in optional]
    questions = _unique((*asked, *may, *extra))
    answers = dict(zip(questions, pool.map(seen.can, questions), strict=True))
    denied = [(c, e) for c, e in (t.result() for t in trials) if e is not None]
    missing = tuple(p for p in asked if not answers[p])
    left = tuple(c for p, c in extra.items() if not answers[p])
    return Preflight(missing, tuple(p for p in may if not answers[p]), tuple(denied) if not missing else (), left)


def _trial(change: Change, cluster: Cluster, seen: ClusterReader) -> tuple[Change, IrkitError | None]:
    """One write as the server's dry run. What only a later step makes possible is no denial."""
    try:
        match change:
            case Create():
                cluster.create(change.ref.resource, change.object, dry_run=True)
            case Patch():
                current = seen.get(change.ref)
                cluster.patch(change.ref, change.body(current), subresource=change.subresource, dry_run=True)
            case Delete():
                cluster.delete(change.ref, dry_run=True)
    except (ConflictError, NotFoundError):
        return change, None  # changed since we looked: the step looks again
    except (ForbiddenError, InvalidError, ApiError) as error:
        return change, error
    return change, None


# commands that make their playbook themselves: whose role has what they need
_OF_COMMANDS = {"rotate": ("compromised-pod", "eradication"), "redeploy": ("compromised-pod", "recovery")}


def forbidden(missing: Sequence[Permission], who: str, playbook: str, namespace: str, phase: str = "") -> ForbiddenError:
    playbook, phase = _OF_COMMANDS.get(playbook, (playbook, phase))
    only = f" --phase {printable(phase)}" if phase else ""
    rights = "; ".join(str(p) for p in missing)
    where = f" -n {printable(namespace)}" if namespace else ""
    return ForbiddenError(f"you may not {rights} (as {printable(who)}). Nothing was changed.",
                          next=f"irkit playbook rbac {playbook}{where}{only}   prints the role that would do")  # fmt: skip


def labels_to_keep(patch: Patch, cluster: Cluster) -> tuple[str, ...] | None:
    """Which of the stripped labels admission demands, found by dry runs; None where keeping labels does not help.

    Starting from all of them kept, each is stripped in turn and put back where the server then says no.
    """
    current = exists(cluster, patch.ref)
    stripped = [e for e in patch.edits if e.path[:2] == ("metadata", "labels") and e.after == ABSENT]
    if current is None or not stripped:
        return None
    kept = list(stripped)
    if not _passes(patch, kept, cluster):
        return None
    for edit in stripped:
        fewer = [e for e in kept if e != edit]
        if _passes(patch, fewer, cluster):
            kept = fewer
    return tuple(e.path[-1] for e in kept)


def _passes(patch: Patch, kept: Sequence[Edit], cluster: Cluster) -> bool:
    trial = msgspec.structs.replace(patch, edits=tuple(e for e in patch.edits if e not in kept))
    current = exists(cluster, patch.ref)
    return current is not None and _trial(trial, cluster, cluster)[1] is None


def denial(change: Change, error: IrkitError) -> IrkitError:
    """What a refused dry run means for the run: the server's sentence, and that nothing was changed."""
    what = f"{type(change).__name__.lower()} {getattr(change, 'ref', '')}"
    way = "the same command with --keep-workload, which cuts the pod off and leaves the workload running" if change.ends else error.next
    return ForbiddenError(f"the cluster would refuse to {what}: {error.message}. Nothing was changed.", next=way)


def left_warning(change: Create) -> str:
    return f"you may not {change.permissions[0]}: nothing {change.why}"


def evidence_warning(gaps: Sequence[Permission]) -> str:
    return f"{plural(len(gaps), 'right')} missing for evidence, which will have gaps: {'; '.join(str(p) for p in gaps)}"
