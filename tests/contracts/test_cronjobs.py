"""CronJobs: a Job at each scheduled time, and when there is none."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from irkit.model import kube
from tests.contracts.client import Obj, until
from tests.contracts.conftest import Cluster

LONG_AGO = "2020-06-01T00:00:00Z"


def cron_job(cluster: Cluster, schedule: str = "0 0 1 1 *", **spec: object) -> Obj:
    """A suspended CronJob whose last run was long ago."""
    pod = {"restartPolicy": "Never", "nodeName": cluster.nodes[0], "containers": [{"name": "c", "image": "img:1"}]}
    inner = {"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}, "spec": {"template": {"spec": pod}}}
    made = cluster.admin.create(cluster.path(kube.CRONJOBS), {
        "metadata": {"name": "nightly"}, "spec": {"schedule": schedule, "suspend": True, "jobTemplate": inner, **spec}})  # fmt: skip
    last_run(cluster)
    return made


def last_run(cluster: Cluster, moment: str = LONG_AGO) -> None:
    cluster.admin.patch(cluster.path(kube.CRONJOBS, "nightly", "status"), {"status": {"lastScheduleTime": moment}})


def change(cluster: Cluster, **spec: object) -> None:
    cluster.admin.patch(cluster.path(kube.CRONJOBS, "nightly"), {"spec": spec})


def another_run(cluster: Cluster) -> None:
    """Another one is missed. The real controller waits for its time where it sees both changes as one."""
    change(cluster, schedule="0 0 1 2 *")
    time.sleep(0.5)
    last_run(cluster)


def jobs(cluster: Cluster) -> list[Obj]:
    items: list[Obj] = cluster.admin.get(cluster.path(kube.JOBS))["items"]
    return items


def one_job(cluster: Cluster, other_than: str = "") -> Obj:
    def look() -> Obj | None:
        found = [job for job in jobs(cluster) if job["metadata"]["name"] != other_than]
        return found[0] if len(found) == 1 else None

    return until(look, "there is one Job")


def status(cluster: Cluster) -> Obj:
    found: Obj = cluster.admin.get(cluster.path(kube.CRONJOBS, "nightly"))["status"]
    return found


def events(cluster: Cluster) -> dict[str, str]:
    items = cluster.admin.get(f"{cluster.path(kube.EVENTS)}?fieldSelector=involvedObject.kind%3DCronJob")["items"]
    return {e["reason"]: e["message"] for e in items}


def finish(cluster: Cluster, job: Obj, phase: str = "Succeeded") -> None:
    pods = until(lambda: cluster.pods(f"job-name={job['metadata']['name']}"), "the Job has its pod")
    path = cluster.path(kube.PODS, cluster.running(pods[0]["metadata"]["name"])["metadata"]["name"], "status")
    cluster.admin.patch(path, {"status": {"phase": phase}})
    end = {"Succeeded": "Complete", "Failed": "Failed"}[phase]

    def done() -> bool:
        reply = cluster.admin.send("GET", cluster.path(kube.JOBS, job["metadata"]["name"]))
        return reply.status == 404 or any(c["type"] == end and c["status"] == "True" for c in reply.json["status"].get("conditions", []))

    until(done, f"the Job is {end}")


def newyear(month: int = 1) -> datetime:
    """When it last was the first of this month."""
    now = datetime.now(UTC)
    this = datetime(now.year, month, 1, tzinfo=UTC)
    return this if this <= now else this.replace(year=now.year - 1)


def test_a_missed_run_starts(cluster: Cluster) -> None:
    made = cron_job(cluster)
    assert made["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
    time.sleep(0.3)
    assert jobs(cluster) == []
    change(cluster, suspend=False)
    job = one_job(cluster)
    due = newyear()
    assert job["metadata"]["name"] == f"nightly-{int(due.timestamp()) // 60}"
    assert job["metadata"]["ownerReferences"] == [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "nightly", "uid": made["metadata"]["uid"],
                                                   "controller": True, "blockOwnerDeletion": True}]  # fmt: skip
    assert job["metadata"]["annotations"] == {"c": "d", "batch.kubernetes.io/cronjob-scheduled-timestamp": f"{due:%Y-%m-%dT%H:%M:%SZ}"}
    assert job["metadata"]["labels"]["a"] == "b"
    until(lambda: status(cluster).get("active"), "the CronJob knows its Job")
    (active,) = status(cluster)["active"]
    assert {**active, "resourceVersion": ""} == {"kind": "Job", "apiVersion": "batch/v1", "namespace": cluster.namespace, "resourceVersion": "",
                                                 "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}  # fmt: skip
    assert status(cluster)["lastScheduleTime"] == f"{due:%Y-%m-%dT%H:%M:%SZ}"
    until(lambda: events(cluster).get("SuccessfulCreate") == f"Created job {job['metadata']['name']}", "there is an Event")


def test_a_finished_run_is_taken_off_the_list(cluster: Cluster) -> None:
    cron_job(cluster)
    change(cluster, suspend=False)
    job = one_job(cluster)
    finish(cluster, job)
    until(lambda: "active" not in status(cluster), "nothing is active")
    done = cluster.admin.get(cluster.path(kube.JOBS, job["metadata"]["name"]))
    until(lambda: status(cluster).get("lastSuccessfulTime") == done["status"]["completionTime"], "the success has its time")
    said = f"Saw completed job: {job['metadata']['name']}, condition: Complete"
    until(lambda: events(cluster).get("SawCompletedJob") == said, "there is an Event")
    assert len(jobs(cluster)) == 1


def test_forbidden_while_another_runs(cluster: Cluster) -> None:
    cron_job(cluster, concurrencyPolicy="Forbid")
    change(cluster, suspend=False)
    first = one_job(cluster)
    until(lambda: status(cluster).get("active"), "the CronJob knows its Job")
    another_run(cluster)
    until(lambda: "JobAlreadyActive" in events(cluster), "it says why not")
    time.sleep(0.3)
    assert [job["metadata"]["name"] for job in jobs(cluster)] == [first["metadata"]["name"]]
    finish(cluster, first)
    until(lambda: len(jobs(cluster)) == 2, "the run that was missed starts")


def test_replaced_by_the_next(cluster: Cluster) -> None:
    cron_job(cluster, concurrencyPolicy="Replace")
    change(cluster, suspend=False)
    first = one_job(cluster)
    until(lambda: status(cluster).get("active"), "the CronJob knows its Job")
    another_run(cluster)
    second = one_job(cluster, other_than=first["metadata"]["name"])
    assert second["metadata"]["name"] == f"nightly-{int(newyear(2).timestamp()) // 60}"
    until(lambda: [job["metadata"]["name"] for job in jobs(cluster)] == [second["metadata"]["name"]], "the first is deleted")
    until(lambda: [a["name"] for a in status(cluster)["active"]] == [second["metadata"]["name"]], "only the second is active")
    until(lambda: len(cluster.pods()) == 1, "the pods of the first are gone")


def test_both_run_where_it_is_allowed(cluster: Cluster) -> None:
    cron_job(cluster)
    change(cluster, suspend=False)
    one_job(cluster)
    until(lambda: status(cluster).get("active"), "the CronJob knows its Job")
    another_run(cluster)
    until(lambda: len(status(cluster).get("active", [])) == 2, "two are active")


@pytest.mark.parametrize(("phase", "limit"), [("Succeeded", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")])
def test_only_so_many_finished_jobs_are_kept(cluster: Cluster, phase: str, limit: str) -> None:
    cron_job(cluster)
    change(cluster, suspend=False, jobTemplate={"spec": {"backoffLimit": 0}}, **{limit: 1})
    first = one_job(cluster)
    finish(cluster, first, phase)
    time.sleep(1.1)  # the oldest is told by its start, in whole seconds
    another_run(cluster)
    second = one_job(cluster, other_than=first["metadata"]["name"])
    finish(cluster, second, phase)
    until(lambda: [job["metadata"]["name"] for job in jobs(cluster)] == [second["metadata"]["name"]], "the oldest is deleted")
    until(lambda: events(cluster).get("SuccessfulDelete") == f"Deleted job {first['metadata']['name']}", "there is an Event")


def test_too_late_to_start(cluster: Cluster) -> None:
    cron_job(cluster, startingDeadlineSeconds=60)
    change(cluster, suspend=False)
    time.sleep(0.5)
    assert jobs(cluster) == []
    assert status(cluster)["lastScheduleTime"] == LONG_AGO


def test_by_the_clock_of_a_time_zone(cluster: Cluster) -> None:
    cron_job(cluster, timeZone="Asia/Tokyo")
    change(cluster, suspend=False)
    annotations = one_job(cluster)["metadata"]["annotations"]
    assert annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"].endswith("-01-01T00:00:00+09:00")


def test_a_job_that_went_missing(cluster: Cluster) -> None:
    cron_job(cluster)
    change(cluster, suspend=False)
    job = one_job(cluster)
    until(lambda: status(cluster).get("active"), "the CronJob knows its Job")
    cluster.admin.send("DELETE", cluster.path(kube.JOBS, job["metadata"]["name"]), {"propagationPolicy": "Background"}).ok()
    until(lambda: "active" not in status(cluster), "nothing is active")
    until(lambda: events(cluster).get("MissingJob") == f"Active job went missing: {job['metadata']['name']}", "there is an Event")
    assert jobs(cluster) == []


@pytest.mark.parametrize(
    ("schedule", "why"),
    [
        ("x", "expected exactly 5 fields, found 1: [x]"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("-1 * * * *", 'failed to parse int from : strconv.Atoi: parsing "": invalid syntax'),
        ("* * * foo *", 'failed to parse int from foo: strconv.Atoi: parsing "foo": invalid syntax'),
        ("@often", "unrecognized descriptor: @often"),
        ("@every x", 'failed to parse duration @every x: time: invalid duration "x"'),
        ("TZ=UTC * * * * *", "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"),
    ],
)
def test_schedules_that_are_none(cluster: Cluster, schedule: str, why: str) -> None:
    causes = [(cause["field"], cause["message"]) for cause in refused(cluster, schedule=schedule)]
    assert causes == [("spec.schedule", f'Invalid value: "{schedule}": {why}')]


@pytest.mark.parametrize("schedule", ["@hourly", "@every 1h30m", "@every -1m", "*/5 1-3,7 ? JAN-mar sun", "+5 * * * *", "0 0 30 2 *", ", * * * *"])
def test_schedules(cluster: Cluster, schedule: str) -> None:
    assert refused(cluster, schedule=schedule) == []


def refused(cluster: Cluster, **spec: object) -> list[Obj]:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "img:1"}]}
    body = {"metadata": {"name": "bad"}, "spec": {"schedule": "@daily", "jobTemplate": {"spec": {"template": {"spec": pod}}}, **spec}}
    reply = cluster.admin.send("POST", f"{cluster.path(kube.CRONJOBS)}?dryRun=All", body)
    causes: list[Obj] = [] if reply.status == 201 else reply.json["details"]["causes"]
    return causes


def test_time_zones_and_policies_that_are_none(cluster: Cluster) -> None:
    (none,) = refused(cluster, schedule="")
    assert (none["field"], none["reason"]) == ("spec.schedule", "FieldValueRequired")
    (zone,) = refused(cluster, timeZone="Mars/Olympus")
    assert zone["message"] == 'Invalid value: "Mars/Olympus": unknown time zone Mars/Olympus'
    (policy,) = refused(cluster, concurrencyPolicy="Maybe")
    assert policy["message"] == 'Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"'
