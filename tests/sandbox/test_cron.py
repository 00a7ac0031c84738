"""When a schedule is due. The expected moments are those of robfig/cron's own tests (spec_test.go)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from irkit.model import kube
from irkit.sandbox import Sandbox, cron
from tests.clocks import StepClock
from tests.contracts.client import until

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("after", "schedule", "due"),
    [
        ("2012-07-09T14:45", "0/15 * * * *", "2012-07-09T15:00"),
        ("2012-07-09T14:59", "0/15 * * * *", "2012-07-09T15:00"),
        ("2012-07-09T14:59:59", "0/15 * * * *", "2012-07-09T15:00"),
        ("2012-07-09T15:45", "20-35/15 * * * *", "2012-07-09T16:20"),
        ("2012-07-09T23:46", "*/15 * * * *", "2012-07-10T00:00"),
        ("2012-07-09T23:35", "20-35/15 20 * * *", "2012-07-10T20:20"),
        ("2012-07-09T23:35", "0 0 */2 * *", "2012-07-11T00:00"),
        ("2012-07-09T23:35", "0 0 9 Apr-Oct *", "2012-08-09T00:00"),
        ("2012-07-09T23:35", "0 0 * Feb Mon", "2013-02-04T00:00"),
        ("2012-07-09T23:35", "0 0 * Feb Mon/2", "2013-02-01T00:00"),
        ("2012-07-09T23:35", "0 0 29 Feb ?", "2016-02-29T00:00"),
        ("2012-07-09T14:59:30", "@every 90s", "2012-07-09T15:01"),
    ],
)
def test_the_next_run(after: str, schedule: str, due: str) -> None:
    found = cron.parse(schedule).next(datetime.fromisoformat(after).replace(tzinfo=UTC))
    assert found == datetime.fromisoformat(due).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("after", "schedule", "due"),
    [
        ("2012-03-11T00:00:00-05:00", "30 2 11 Mar ?", "2013-03-11T02:30:00-04:00"),  # an hour that there was not that day
        ("2012-03-11T01:00:00-05:00", "0 * * * ?", "2012-03-11T03:00:00-04:00"),
        ("2012-11-04T00:00:00-04:00", "30 1 04 Nov ?", "2012-11-04T01:30:00-04:00"),  # and one that came twice
        ("2012-11-04T01:30:00-04:00", "30 1 04 Nov ?", "2012-11-04T01:30:00-05:00"),
        ("2012-11-04T01:45:00-04:00", "0 1 * * ?", "2012-11-04T01:00:00-05:00"),
    ],
)
def test_summer_time(after: str, schedule: str, due: str) -> None:
    assert cron.parse(schedule).next(datetime.fromisoformat(after), NEW_YORK) == datetime.fromisoformat(due)


def test_a_day_that_never_comes() -> None:
    assert cron.parse("0 0 30 2 *").next(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "Mars/Olympus", "a\x00b", "Europe", "x" * 5000])
def test_zones_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        cron.zone_of(name)


def test_runs_come_by_the_clusters_clock(tmp_path: Path) -> None:
    clock = StepClock(datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "img:1"}]}
    with Sandbox("empty", clock=clock, home=tmp_path, lag=0) as box:
        box.store.add({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "often", "namespace": "default"},
                       "spec": {"schedule": "*/10 * * * *", "jobTemplate": {"spec": {"template": {"spec": pod}}}}})  # fmt: skip
        jobs = box.store.catalog.of_resource(kube.JOBS)
        assert box.settle()
        for expected in (0, 1, 2):
            assert len(box.store.all(jobs, "default")) == expected
            clock.sleep(600)
            until(lambda n=expected: len(box.store.all(jobs, "default")) > n, "the run starts")  # type: ignore[misc]
            assert box.settle()
        events = [e["reason"] for e in box.store.all(box.store.catalog.of_resource(kube.EVENTS), "default")]
        assert events.count("SuccessfulCreate") == 3
        assert not box.problems
