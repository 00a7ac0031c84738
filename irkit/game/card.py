"""The scorecard: from how the goals stood and what became of the world, never from what a tool says of itself."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from irkit import API_VERSION
from irkit.game import manual
from irkit.game.course import Course, Track
from irkit.game.goals.collected import Collected
from irkit.game.goals.isolated import Isolated
from irkit.game.goals.rotated import Rotated
from irkit.game.goals.unharmed import Unharmed
from irkit.game.harm import Cause, Ending, spans
from irkit.game.team import Deed, Held
from irkit.model.scenario import STAGES
from irkit.text import plural

SOLVED = 80
"""The score that says that a scenario can be mastered, and that it is when somebody has it."""
_LATE = 0.25  # of its points, at least, for what was reached in the end


class Finding(msgspec.Struct, frozen=True):
    """What could have gone better. ``when``: seconds after the alert; None: never reached, and nothing was done about it.

    ``by``: the request that did it, by the audit log; ``says``: what the runbook says there.
    """

    when: float | None
    what: str
    why: str
    runbook: str = ""
    better: str = ""
    by: str = ""
    says: str = ""


class Scorecard(msgspec.Struct, kw_only=True, rename="camel"):
    """The document of ``-o json``. ``score``: 0 to 100; ``times``: seconds after the alert, null where it was not reached.

    ``leaks`` is what the attacker got through with, ``open`` what policies allowed the suspect, each from when to when (null: until the
    end); ``evidence`` what was ``destroyed`` and ``missed``; ``unrotated`` the goals of rotation that do not hold; ``collateral`` the
    healthy ``pods`` of others that ended, and ``outages`` of Services; ``wrong_turns`` each request that broke a goal; ``compared``
    irkit's own play of the same scenario and seed.
    """

    api_version: str = API_VERSION
    kind: str = "Scorecard"
    scenario: str
    title: str = ""
    seed: int
    player: str = ""
    team: str = ""
    score: int
    times: dict[str, float | None]
    leaks: list[dict[str, float | str]] = []
    open: list[dict[str, Any]] = []
    lost: list[str] = []
    evidence: dict[str, list[Any]] = {}
    unrotated: list[dict[str, str]] = []
    collateral: dict[str, list[Any]] = {}
    wrong_turns: list[dict[str, Any]] = []
    findings: list[Finding] = []
    lasted: float = 0.0
    unjudged: dict[str, str] = {}  # by goal: why it was left out of the points, as on a real cluster
    compared: dict[str, Any] | None = None
    roles: list[Held] = []  # of several players, who had which, from when to when
    did: list[Deed] = []  # and what each of them asked of the cluster


def card(course: Course, seed: int, player: str) -> Scorecard:
    """How a game that ended went."""
    view = course.view
    score, findings = 0.0, []
    worth = sum(t.goal.points for t in course.tracks if t.goal.hold == "end") or 1
    for track in course.tracks:
        gained = _gained(track)
        # what must hold all the time is no merit: whoever does nothing has that, too
        score += 100 * gained * track.goal.points / worth if track.goal.hold == "end" else -track.goal.points * (1 - gained)
        if gained < 1:
            findings.append(_finding(track, course))
    lost = [f"{gone.pod}" for gone in view.gone.values() if not gone.read and gone.pod.uid in {p.uid for p in view.cast.pods("all")}]
    hit, outages = _hit(course), _outages(course)
    findings.extend(_uncovered(course, hit))
    findings.sort(key=lambda f: (f.when is None, f.when or 0.0))
    return Scorecard(
        scenario=course.scenario.name, title=course.scenario.title, seed=seed, player=player, score=max(0, round(score)), times=_times(course),
        leaks=_leaks(course), open=_open(course), lost=lost, evidence=_evidence(course),
        unrotated=[{"goal": t.goal.id, "why": t.why} for t in course.tracks if t.goal.stage == "rotate" and t.since is None],
        collateral={"pods": [_ended(e) for e in hit], "outages": outages}, wrong_turns=_wrong_turns(course), findings=findings,
        lasted=round(course.seconds, 3),
    )  # fmt: skip


def _gained(track: Track) -> float:
    """The part of its points that a goal brings."""
    goal = track.goal
    if goal.hold == "always":
        return 0.0 if track.since is None or track.broken is not None else 1.0
    if track.since is None:
        return 0.0
    if not goal.within or track.since <= goal.within:
        return 1.0
    return max(_LATE, 1.0 - (track.since - goal.within) / (2 * goal.within))


def _finding(track: Track, course: Course) -> Finding:
    goal = track.goal
    when, by = track.broken, track.by
    late = goal.hold == "end" and track.since is not None
    if late:
        when, by = track.since, None
    elif when is None:
        when, by = _tried(track, course)
    what = f"{goal.id}: reached after {track.since:.0f} s, {goal.within:.0f} s were asked for" if late else f"{goal.id}: {track.why}"
    return Finding(when=_round(when), what=what, why=course.filled(goal.why), runbook=goal.runbook, better=course.filled(goal.better),
                   by=str(by or ""), says=manual.said(goal.runbook))  # fmt: skip


def _tried(track: Track, course: Course) -> tuple[float | None, Cause | None]:
    """For what was never reached: when it became impossible, or what was done about it fell short."""
    if isinstance(track.goal.state, Collected):
        ended = [course.harm.endings[uid] for uid in _destroyed(course)]
        return (ended[0].when, ended[0].by) if ended else (None, None)
    if isinstance(track.goal.state, Isolated):
        suspect = course.view.cast.suspect
        policies = [f"networkpolicies {suspect.namespace}/", *(a.object for a in course.harm.acts if a.object.startswith("networkpolicies "))]
        by = course.harm.tried(f"pods {suspect.namespace}/{suspect.name}", *policies)
        return (by.when if by else None), by
    if isinstance(track.goal.state, Rotated):
        by = course.harm.tried(f"secrets {track.goal.state.secret}")
        return (by.when if by else None), by
    return None, None


def _uncovered(course: Course, hit: list[Ending]) -> list[Finding]:
    """Healthy pods that ended, where no goal of the scenario says anything about them."""
    if not hit or any(isinstance(t.goal.state, Unharmed) for t in course.tracks):
        return []
    names = ", ".join(e.pod for e in hit[:4])
    return [Finding(when=_round(hit[0].when), what=f"collateral: {plural(len(hit), 'healthy pod')} of others ended: {names}",
                    why="Who had nothing to do with it must not pay for it.", by=str(hit[0].by or ""))]  # fmt: skip


def _times(course: Course) -> dict[str, float | None]:
    """When each stage of the response was complete; ``detect``: when somebody first asked the cluster for anything."""
    times: dict[str, float | None] = {}
    for stage in STAGES[1:]:
        since = [t.since for t in course.tracks if t.goal.stage == stage]
        if since:
            reached = [s for s in since if s is not None]
            times[stage] = round(max(reached), 3) if len(reached) == len(since) else None
    return {"detect": course.first, **times}


def _leaks(course: Course) -> list[dict[str, float | str]]:
    """What the attacker got through with after the alert, from when to when."""
    tried: dict[str, list[tuple[float, bool]]] = {}
    for attempt in course.view.attempts:
        tried.setdefault(attempt.what, []).append(((attempt.at - course.view.began).total_seconds(), attempt.through))
    return [{"what": what, "from": began, "to": ended, "seconds": round(ended - began, 3)}
            for what, times in tried.items() for began, ended in spans(times)]  # fmt: skip


def _open(course: Course) -> list[dict[str, Any]]:
    end = course.seconds
    return [{"what": what, "from": _round(began), "to": _round(ended), "seconds": _round((end if ended is None else ended) - (began or 0.0))}
            for what, spans in course.harm.open.items() for began, ended in spans]  # fmt: skip


def _destroyed(course: Course) -> list[str]:
    """Uids of the pods under attack that ended before anybody had read what ends with them, the first to end first."""
    ours = {p.uid for p in course.view.cast.pods("all")}
    found = [uid for uid, gone in course.view.gone.items() if uid in ours and not gone.read and uid in course.harm.endings]
    return sorted(found, key=lambda uid: course.harm.endings[uid].when)


def _evidence(course: Course) -> dict[str, list[Any]]:
    view = course.view
    missed = [str(pod) for pod in view.cast.pods("all") if pod.uid not in view.gone and not view.read(pod)]
    return {"destroyed": [_ended(course.harm.endings[uid]) for uid in _destroyed(course)], "missed": missed}


def _hit(course: Course) -> list[Ending]:
    """Healthy pods of others, unless the scenario says that they may be restarted."""
    ours = {p.uid for p in course.view.cast.pods("all")}
    allowed = tuple(f"{name}-" for t in course.tracks if isinstance(t.goal.state, Unharmed) for name in t.goal.state.restarted)
    return [e for uid, e in course.harm.endings.items() if uid not in ours and not (allowed and e.pod.startswith(allowed))]


def _outages(course: Course) -> list[dict[str, Any]]:
    """Of Services that had endpoints when the game began. ``own``: of the application under attack."""
    found = []
    for (namespace, name), began, ended in course.view.history.down():
        start, end = _since(course, began), _since(course, ended) if ended else None
        service = f"{namespace}/{name}"
        found.append({"service": service, "from": _round(start), "to": _round(end), "own": service in course.harm.own,
                      "minutes": round(((course.seconds if end is None else end) - start) / 60, 2)})  # fmt: skip
    return found


def _wrong_turns(course: Course) -> list[dict[str, Any]]:
    broken = [t for t in course.tracks if t.broken is not None and t.by is not None]
    return [{"when": _round(t.broken), "goal": t.goal.id, **({k: v for k, v in msgspec.to_builtins(t.by).items() if k != "when"})}
            for t in sorted(broken, key=lambda t: t.broken or 0.0)]  # fmt: skip


def _ended(ending: Ending) -> dict[str, Any]:
    return {"pod": ending.pod, "when": _round(ending.when), "by": str(ending.by or "")}


def _since(course: Course, moment: datetime) -> float:
    return (moment - course.view.began).total_seconds()


def _round(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
