"""The scorecard: from how the goals stood and what became of the world, never from what a tool says of itself."""

from __future__ import annotations

import msgspec

from irkit.game.course import Course, Track
from irkit.model.scenario import STAGES

API_VERSION = "irkit.dev/v1"
_LATE = 0.25  # of its points, at least, for what was reached in the end


class Finding(msgspec.Struct, frozen=True):
    """What could have gone better. ``when``: seconds after the alert; None: never reached."""

    when: float | None
    what: str
    why: str
    runbook: str = ""
    better: str = ""


class Scorecard(msgspec.Struct, kw_only=True, rename="camel"):
    """The document of ``-o json``. ``score``: 0 to 100; ``times``: seconds after the alert, null where it was not reached."""

    api_version: str = API_VERSION
    kind: str = "Scorecard"
    scenario: str
    title: str = ""
    seed: int
    player: str = ""
    score: int
    times: dict[str, float | None]
    leaks: list[dict[str, float | str]] = []
    lost: list[str] = []
    findings: list[Finding] = []
    lasted: float = 0.0
    unjudged: dict[str, str] = {}  # by goal: why it was left out of the points, as on a real cluster


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
    findings.sort(key=lambda f: (f.when is None, f.when or 0.0))
    lost = [f"{gone.pod}" for gone in view.gone.values() if not gone.read and gone.pod.uid in {p.uid for p in view.cast.pods("all")}]
    return Scorecard(scenario=course.scenario.name, title=course.scenario.title, seed=seed, player=player, score=max(0, round(score)),
                     times=_times(course), leaks=_leaks(course), lost=lost, findings=findings, lasted=round(course.seconds, 3))  # fmt: skip


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
    when = track.broken if goal.hold == "always" else track.since
    late = goal.hold == "end" and track.since is not None
    what = f"{goal.id}: reached after {track.since:.0f} s, {goal.within:.0f} s were asked for" if late else f"{goal.id}: {track.why}"
    return Finding(when=when, what=what, why=course.filled(goal.why), runbook=goal.runbook, better=course.filled(goal.better))


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
    found: dict[str, list[float]] = {}
    for attempt in course.view.attempts:
        if attempt.through:
            found.setdefault(attempt.what, []).append((attempt.at - course.view.began).total_seconds())
    return [{"what": what, "from": times[0], "to": times[-1]} for what, times in found.items()]
