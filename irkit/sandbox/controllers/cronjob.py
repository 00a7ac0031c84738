"""CronJobs: a Job at each scheduled time, after pkg/controller/cronjob (its second version)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from irkit.model.kube import Obj, at, controller_of
from irkit.sandbox import cron
from irkit.sandbox.catalog import CRONJOBS, JOBS
from irkit.sandbox.clock import parse, stamp
from irkit.sandbox.controllers import events, owners
from irkit.sandbox.defaults import complete
from irkit.sandbox.store import Store

SCHEDULED = "batch.kubernetes.io/cronjob-scheduled-timestamp"
_COMPONENT = "cronjob-controller"
_MANY = 100


class _Turn(NamedTuple):
    """One CronJob at one moment."""

    store: Store
    cronjob: Obj
    now: datetime
    active: list[Obj]

    def note(self, kind: str, reason: str, message: str, since: datetime | None = None) -> None:
        """Once since ``since``: the real controller looks only when something happens, this one at each write."""
        events.once(self.store, CRONJOBS, self.cronjob, kind, reason, message, _COMPONENT, since)


def reconcile(store: Store) -> None:
    for cronjob in store.all(CRONJOBS):
        if "deletionTimestamp" not in cronjob["metadata"]:
            _reconcile(store, cronjob)


def _reconcile(store: Store, cronjob: Obj) -> None:
    status = cronjob.get("status") or {}
    turn = _Turn(store, cronjob, store.now(), list(status.get("active") or ()))
    jobs = _jobs(store, cronjob)
    for kind, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
        _forget(turn, [job for job in jobs if _end(job) == kind], cronjob["spec"].get(limit))
    done = _follow(turn, jobs)
    started = _due(turn)
    times = {"lastScheduleTime": stamp(started) if started else status.get("lastScheduleTime"),
             "lastSuccessfulTime": max([*done, status.get("lastSuccessfulTime") or ""])}  # fmt: skip
    new = {**({"active": turn.active} if turn.active else {}), **{key: value for key, value in times.items() if value}}
    owners.set_status(store, CRONJOBS, cronjob, new)


def _jobs(store: Store, cronjob: Obj) -> list[Obj]:
    meta = cronjob["metadata"]
    return [job for job in store.all(JOBS, meta["namespace"]) if (controller_of(job) or {}).get("uid") == meta["uid"]]


def _end(job: Obj) -> str:
    return next((c["type"] for c in at(job, ("status", "conditions"), []) if c["type"] in ("Complete", "Failed") and c["status"] == "True"), "")


def _forget(turn: _Turn, finished: list[Obj], limit: int | None) -> None:
    """Delete the oldest of the finished Jobs that are more than ``limit``."""
    if limit is None:
        return
    oldest = sorted(finished, key=lambda job: (at(job, ("status", "startTime"), "9"), job["metadata"]["name"]))
    for job in oldest[: max(0, len(finished) - limit)]:
        _delete(turn, job)


def _delete(turn: _Turn, job: Obj) -> None:
    owners.terminate(turn.store, JOBS, job)
    turn.active[:] = [reference for reference in turn.active if reference["uid"] != job["metadata"]["uid"]]
    turn.note("Normal", "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")


def _follow(turn: _Turn, jobs: list[Obj]) -> list[str]:
    """Take what has finished or gone off the list of active Jobs. Returns when Jobs were completed."""
    done, known = [], {reference["uid"] for reference in turn.active}
    for job in jobs:
        name, uid, end = job["metadata"]["name"], job["metadata"]["uid"], _end(job)
        if end and uid in known:
            turn.active[:] = [reference for reference in turn.active if reference["uid"] != uid]
            turn.note("Normal", "SawCompletedJob", f"Saw completed job: {name}, condition: {end}")
        elif not end and uid not in known:
            turn.note("Warning", "UnexpectedJob", f"Saw a job that the controller did not create or forgot: {name}")
        if end == "Complete" and (moment := at(job, ("status", "completionTime"))):
            done.append(moment)
    for reference in list(turn.active):
        if turn.store.get(JOBS, turn.cronjob["metadata"]["namespace"], reference["name"]) is None:
            turn.active.remove(reference)
            turn.note("Normal", "MissingJob", f"Active job went missing: {reference['name']}")
    return done


def _due(turn: _Turn) -> datetime | None:
    """Start the run that is due. Returns its scheduled time; has the controllers look again at the next one."""
    spec = turn.cronjob["spec"]
    try:
        zone = cron.zone_of(spec.get("timeZone"))
    except ValueError as error:
        turn.note("Warning", "UnknownTimeZone", f'invalid timeZone: "{spec["timeZone"]}": {error}')
        return None
    if spec.get("suspend"):
        return None
    try:
        schedule = cron.parse(spec["schedule"])
    except cron.BadSchedule as error:
        turn.note("Warning", "UnparseableSchedule", f'unparseable schedule: "{spec["schedule"]}" : {error}')
        return None
    scheduled = _missed(turn, schedule, zone)
    started = scheduled if scheduled is not None and _may(turn, scheduled) and _start(turn, scheduled, zone) else None
    following = schedule.next(turn.now, zone)
    if following is not None:
        turn.store.wake(following)
    return started


def _missed(turn: _Turn, schedule: cron.Schedule, zone: tzinfo) -> datetime | None:
    """The latest scheduled time that has come since the last run (mostRecentScheduleTime)."""
    cronjob, now = turn.cronjob, turn.now
    earliest = parse(at(cronjob, ("status", "lastScheduleTime")) or cronjob["metadata"]["creationTimestamp"])
    deadline = cronjob["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=deadline))
    first = schedule.next(earliest, zone)
    if first is None or first > now:
        return None
    second = schedule.next(first, zone)
    if second is None or second > now:
        return first
    apart = round((second - first).total_seconds())
    count = int((now - first).total_seconds()) // apart + 1
    found, moment = None, schedule.next(first + timedelta(seconds=(count - 2) * apart), zone)
    while moment is not None and moment <= now:
        found, moment = moment, schedule.next(moment, zone)
    if count > _MANY and found is not None:
        why = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
        turn.note("Warning", "TooManyMissedTimes", why, found)
    return found


def _may(turn: _Turn, scheduled: datetime) -> bool:
    """Whether a run may start now: not too late, not done yet, and not while another runs where that is forbidden."""
    spec, deadline = turn.cronjob["spec"], turn.cronjob["spec"].get("startingDeadlineSeconds")
    if deadline is not None and scheduled + timedelta(seconds=deadline) < turn.now:
        turn.note("Warning", "MissSchedule", f"Missed scheduled time to start a job: {scheduled:%a, %d %b %Y %H:%M:%S +0000}")
        return False
    if any(reference["name"] == _name(turn.cronjob, scheduled) for reference in turn.active):
        return False
    if at(turn.cronjob, ("status", "lastScheduleTime")) == stamp(scheduled):
        return False
    if spec.get("concurrencyPolicy") == "Forbid" and turn.active:
        why = "Not starting job because prior execution is running and concurrency policy is Forbid"
        turn.note("Normal", "JobAlreadyActive", why, scheduled)
        return False
    return True


def _name(cronjob: Obj, scheduled: datetime) -> str:
    return f"{cronjob['metadata']['name']}-{int(scheduled.timestamp()) // 60}"


def _start(turn: _Turn, scheduled: datetime, zone: tzinfo) -> bool:
    store, cronjob = turn.store, turn.cronjob
    namespace, name = cronjob["metadata"]["namespace"], _name(cronjob, scheduled)
    if cronjob["spec"].get("concurrencyPolicy") == "Replace":
        for reference in list(turn.active):
            if (running := store.get(JOBS, namespace, reference["name"])) is not None:
                _delete(turn, running)
    job = store.get(JOBS, namespace, name)
    if job is not None and (controller_of(job) or {}).get("uid") != cronjob["metadata"]["uid"]:
        return False
    if job is None:
        job = store.insert(JOBS, complete(_job(cronjob, name, scheduled, zone)))
        turn.note("Normal", "SuccessfulCreate", f"Created job {name}")
    meta = job["metadata"]
    turn.active.append({"kind": "Job", "namespace": namespace, "name": name, "uid": meta["uid"], "apiVersion": "batch/v1",
                        "resourceVersion": meta["resourceVersion"]})  # fmt: skip
    return True


def _job(cronjob: Obj, name: str, scheduled: datetime, zone: tzinfo) -> Obj:
    template = cronjob["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    local = scheduled.astimezone(zone)
    when = stamp(scheduled) if zone is UTC or not local.utcoffset() else local.isoformat(timespec="seconds")
    meta = {"name": name, "namespace": cronjob["metadata"]["namespace"], "annotations": {**(given.get("annotations") or {}), SCHEDULED: when},
            "ownerReferences": [owners.owner_reference(CRONJOBS, cronjob)]}  # fmt: skip
    if given.get("labels"):
        meta["labels"] = given["labels"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}
