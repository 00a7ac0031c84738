"""What there is to see of a game now: the pods, what lets the suspect through, what is at stake, what was said."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from irkit.game.cast import owner_of
from irkit.game.course import Course, Moment, Track
from irkit.game.view import View
from irkit.model.kube import NETWORKPOLICIES, PODS, Obj, at, is_ready, labels_of, selects
from irkit.model.picture import Picture, PodSeen, PolicySeen, Role, Said, Stake
from irkit.network.verdict import judge, line
from irkit.text import printable

_PODS, _SAID, _LEAKS = 200, 200, 20  # at most so many, the newest: it is sent twice a second


def take(course: Course, *, kinds: frozenset[str] = frozenset(), roles: Sequence[Role] = (), over: str = "") -> Picture:
    """One picture, in a turn. ``kinds`` of moments that are in it; without, all."""
    view = course.view
    suspect = view.stage.find(view.cast.suspect)
    policies = view.stage.objects(NETWORKPOLICIES, view.cast.suspect.namespace)
    leaks = judge(suspect, policies) if suspect else ()
    return Picture(
        title=printable(course.scenario.title, 200), seconds=round(course.seconds, 3), lasts=course.scenario.lasts,
        alert=printable(course.filled(course.scenario.alert), 600), pods=tuple(_pods(view)),
        policies=tuple(_policy(p, {leak.policy for leak in leaks}) for p in policies if suspect and _selects(p, suspect)),
        leaks=tuple(line(leak) for leak in leaks[:_LEAKS]), stakes=tuple(_stake(t, course) for t in course.tracks),
        said=tuple(_said([m for m in course.moments if not kinds or m.kind in kinds])), roles=tuple(roles), over=over,
    )  # fmt: skip


def _said(moments: Sequence[Moment]) -> Sequence[Said]:
    """What comes again and again is one line, with the time of the last."""
    found: list[tuple[Moment, int]] = []
    for moment in moments[-_SAID:]:
        same = found and (found[-1][0].kind, found[-1][0].text) == (moment.kind, moment.text)
        count = found.pop()[1] if same else 0
        found.append((moment, count + 1))
    return [Said(at=m.at, kind=m.kind, text=printable(m.text, 400) + (f" ({count} times)" if count > 1 else "")) for m, count in found]


def _pods(view: View) -> Iterator[PodSeen]:
    """The suspect first, then its siblings, then the others of its namespace."""
    found = []
    for pod in view.stage.objects(PODS, view.cast.suspect.namespace):
        uid = pod["metadata"]["uid"]
        part = 0 if uid == view.cast.suspect.uid else 1 if view.cast.workload and owner_of(pod, view.stage) == view.cast.workload else 2
        found.append((part, str(pod["metadata"]["name"]), pod))
    for part, name, pod in sorted(found, key=lambda each: each[:2])[:_PODS]:
        yield PodSeen(namespace=printable(pod["metadata"]["namespace"]), name=printable(name), part=("suspect", "sibling", "other")[part],
                      state=_state(pod), ready=is_ready(pod))  # fmt: skip


def _state(pod: Obj) -> str:
    if at(pod, ("metadata", "deletionTimestamp")):
        return "Terminating"
    waiting = [s["state"]["waiting"].get("reason", "") for s in at(pod, ("status", "containerStatuses"), ()) if at(s, ("state", "waiting"))]
    return printable(next(filter(None, waiting), "") or at(pod, ("status", "phase"), "not known"), 40)


def _selects(policy: Obj, pod: Obj) -> bool:
    return selects(at(policy, ("spec", "podSelector"), {}), labels_of(pod))


def _policy(policy: Obj, open_: set[str | None]) -> PolicySeen:
    name = f"{policy['metadata']['namespace']}/{policy['metadata']['name']}"
    spec = policy.get("spec") or {}
    rules = [f"{len(spec[way])} {word}" for way, word in (("ingress", "in"), ("egress", "out")) if spec.get(way)]
    lets = f"lets through: {', '.join(rules)}" if rules else "lets nothing through"
    return PolicySeen(name=printable(policy["metadata"]["name"]), lets=lets, opens=name in open_)


def _stake(track: Track, course: Course) -> Stake:
    goal = track.goal
    if goal.hold == "always":
        state = "kept" if track.since is not None and track.broken is None else "broken"
        when = track.broken
    else:
        state = "reached" if track.since is not None else "late" if goal.within and course.seconds > goal.within else "open"
        when = track.since
    return Stake(id=printable(goal.id, 60), state=state, why=printable(track.why, 200), at=when, within=goal.within, points=goal.points)  # type: ignore[arg-type]
