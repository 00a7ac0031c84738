from __future__ import annotations

import json
import os
from datetime import UTC
from pathlib import Path
from typing import Any

import bagit
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irkit.errors import EvidenceError, UnreachableError, UsageError
from irkit.evidence.show import contents
from irkit.evidence.store import BagStore
from irkit.evidence.timeline import sortable
from irkit.model.evidence import Gap
from tests.evidence.bags import artefact, sealed


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


ENDED = {"startedAt": "2026-11-22T03:00:01Z", "finishedAt": "2026-11-22T03:09:00Z", "reason": "OOMKilled", "exitCode": 137}
POD = {
    "metadata": {"name": "a", "creationTimestamp": "2026-11-22T03:00:00Z"},
    "status": {
        "containerStatuses": [
            {
                "name": "app",
                "state": {"running": {"startedAt": "2026-11-22T03:10:00Z"}},
                "lastState": {"terminated": ENDED},
            }
        ]
    },
}
EVENTS = {
    "items": [
        {"reason": "Pulled", "message": "image", "lastTimestamp": "2026-11-22T03:00:00.5Z", "involvedObject": {"kind": "Pod", "name": "a"}},
        {"reason": "New", "message": "x\x1b", "lastTimestamp": None, "eventTime": "2026-11-22T04:30:00.000001+01:00",
         "involvedObject": {"kind": "Pod", "name": "a"}},
        {"reason": "Often", "message": "y", "eventTime": "2026-11-22T03:20:00Z", "involvedObject": {"kind": "Pod", "name": "a"},
         "series": {"lastObservedTime": "2026-11-22T03:40:00Z", "count": 3}},
        {"reason": "First", "message": "z", "lastTimestamp": None, "eventTime": None, "firstTimestamp": "2026-11-22T03:00:02Z", "involvedObject": {}},
        {"reason": "Never", "message": "no time at all"},
    ]
}  # fmt: skip
LOG = b"2026-11-22T03:10:01.000000001Z first\nno time\n2026-11-22T03:10:02Z last\n\xff\xfe\n"


def test_a_timeline_in_the_order_of_what_happened(tmp_path):
    bag = sealed(
        tmp_path,
        artefact("pods/ns/a/pod.json", as_json(POD)),
        artefact("pods/ns/a/events.json", as_json(EVENTS)),
        artefact("namespaces/ns/events.json", as_json(EVENTS)),
        artefact("pods/ns/a/app/current.log", LOG),
        artefact("pods/ns/a/app/previous.log", b"no timestamps\n"),
    )
    assert [(m.at, m.kind, m.subject, m.text) for m in contents(Path(bag.path)).moments] == [
        ("2026-11-22T03:00:00Z", "container", "Pod a", "created"),
        ("2026-11-22T03:00:00.5Z", "event", "Pod a", "Pulled: image"),
        ("2026-11-22T03:00:01Z", "container", "Pod a, container app", "started"),
        ("2026-11-22T03:00:02Z", "event", " ", "First: z"),
        ("2026-11-22T03:09:00Z", "container", "Pod a, container app", "ended: OOMKilled, exit code 137"),
        ("2026-11-22T03:10:00Z", "container", "Pod a, container app", "started"),
        ("2026-11-22T03:10:01.000000001Z", "log", "Pod a, container app", "first line of the current log"),
        ("2026-11-22T03:10:02Z", "log", "Pod a, container app", "last line of the current log"),
        ("2026-11-22T04:30:00.000001+01:00", "event", "Pod a", "New: x\x1b"),
        ("2026-11-22T03:40:00Z", "event", "Pod a", "Often: y (3 times)"),
    ]


def test_the_last_line_of_a_large_log_is_found(tmp_path):
    lines = b"".join(b"2026-11-22T03:10:%02dZ " % (n % 60) + b"x" * 10_000 + b"\n" for n in range(59))
    bag = sealed(tmp_path, artefact("pods/ns/a/app/current.log", lines))
    assert [m.at for m in contents(Path(bag.path)).moments] == ["2026-11-22T03:10:00Z", "2026-11-22T03:10:58Z"]


def test_every_file_gap_and_second_name_is_listed(tmp_path):
    writer = BagStore(tmp_path / "bags").open(1)
    writer.add(artefact("pods/a", b"12", also=("top.txt",), what="logs\x1b"))
    writer.add(artefact("pods/b", b"123", fails=UnreachableError("no answer")))
    writer.gap(Gap(what="c", why="refused"))
    shown = contents(Path(writer.seal({"External-Identifier": "i"}).path))
    assert [(e.path, e.size, e.what, e.complete) for e in shown.entries] == [
        ("pods/a", 2, "logs\x1b", True),
        ("pods/b.incomplete", 3, "what pods/b is", False),
        ("top.txt", 2, "another name of pods/a", True),
    ]
    assert [g.what for g in shown.gaps] == ["what pods/b is", "c"]
    assert dict(shown.info)["External-Identifier"] == "i"


def test_a_bag_of_others_is_shown_without_what_it_does_not_say(tmp_path):
    (tmp_path / "x").write_text("1")
    bagit.make_bag(str(tmp_path))
    shown = contents(tmp_path)
    assert [(e.path, e.what) for e in shown.entries] == [("x", "")]
    assert (shown.gaps, shown.moments) == ((), ())


NONSENSE = [
    b"", b"[", b"[" * 100_000, b"null", b"1", b'"x"', b"[1,[2]]", b"\xff\xfe", b'{"artefacts":1}',
    b'{"items":1}', b'{"items":[1,null,{"involvedObject":1,"series":2,"metadata":3}]}',
    b'{"metadata":1,"status":{"containerStatuses":[1,{"name":{},"state":1,"lastState":{"terminated":[1]}}]}}',
]  # fmt: skip


@pytest.mark.parametrize("content", NONSENSE)
def test_nonsense_is_left_out(tmp_path, content):
    data = tmp_path / "data" / "pods" / "ns" / "a"
    (data / "app").mkdir(parents=True)
    for name in ("pod.json", "events.json", "app/current.log"):
        (data / name).write_bytes(content)
    for name in ("contents.json", "missing.json", "bag-info.txt"):
        (tmp_path / name).write_bytes(content)
    assert len(contents(tmp_path).entries) == 3


def test_links_and_pipes_are_listed_and_not_opened(tmp_path):
    data = tmp_path / "data" / "pods" / "ns" / "a"
    (data / "app").mkdir(parents=True)
    (data / "app" / "current.log").symlink_to("/etc/passwd")
    os.mkfifo(data / "pod.json")
    os.mkfifo(tmp_path / "contents.json")
    (tmp_path / "missing.json").symlink_to("/dev/zero")
    shown = contents(tmp_path)
    assert ([e.path for e in shown.entries], shown.moments) == (["pods/ns/a/app/current.log", "pods/ns/a/pod.json"], ())


def test_what_is_no_bag(tmp_path):
    with pytest.raises(EvidenceError, match="no bag"):
        contents(tmp_path)
    with pytest.raises(UsageError):
        contents(tmp_path / "none")


@given(st.datetimes(), st.datetimes(), st.integers(-12, 12))
def test_times_sort_by_when_they_were(one, other, zone):
    from datetime import timedelta, timezone

    here = timezone(timedelta(hours=zone))
    first, second = one.replace(tzinfo=here), other.replace(tzinfo=UTC)
    assert (sortable(first.isoformat())[0] < sortable(second.isoformat())[0]) == (first < second)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-99-99T00:00:00Z", "2026-11-22T03:00:00", "٢٠٢٦-11-22T03:00:00Z"])
def test_what_is_no_time_sorts_first(time):
    assert sortable(time) == (0, time)
