"""What a draft says is what the journal and the bags say: of a real run on the rehearsal cluster."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from irkit.app import report
from irkit.app.postmortem.record import Record
from irkit.app.respond import respond
from irkit.errors import EvidenceError, UsageError
from irkit.evidence.report import times
from irkit.evidence.report.values import Report
from irkit.evidence.timeline import sortable
from irkit.model.incident import Reported
from irkit.settings.notify import Contact
from tests.engine.harness import Bench, bench

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def drafted(b: Bench) -> Report:
    return report.draft(Record.of(b.ports.settings, b.state().incident.id), NOW)


def test_a_draft_of_a_containment(tmp_path):
    with bench(tmp_path, seed=7) as b:
        result = respond(b.ports, b.request(reported=Reported(by="SOC", summary="a shell", started_at="25 min ago")))
        draft = drafted(b)
        assert [m.name for m in draft.milestones] == ["Suspected start", "Opened", "Cut off", "Evidence sealed", "Workload stopped"]
        assert [times.nanoseconds(m.at) for m in draft.milestones] == sorted(times.nanoseconds(m.at) for m in draft.milestones)
        assert [sortable(e.at)[0] for e in draft.entries] == sorted(sortable(e.at)[0] for e in draft.entries)
        assert {e.lane for e in draft.entries} == {"cluster", "people", "irkit"}
        assert any(e.source.startswith("bag 1, pods/todo-app/") for e in draft.entries if e.lane == "cluster")
        assert {a.by for a in draft.acts} == {"oncall@example.com"}
        assert any("todo-app/allow-monitoring" in t.what for t in draft.tasks)
        assert any("registry.example/todo/backend:1.11.9 by digest" in t.what for t in draft.tasks)
        assert draft.bags[0].state == "as it was sealed"
        assert any("still so when this was drafted" in s for s in draft.impact)
        assert [line for line in draft.left if "still cut off" in line]
        assert f"{len({c['object']['uid'] for s in result.steps for c in s.changes if c['change'] == 'capture'})} pods" in [
            f.value for f in draft.figures
        ]


def test_owners_are_who_has_the_role(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        settings = msgspec.structs.replace(b.ports.settings, contacts=(Contact("Ada", "ada@example.com", roles=("platform",)),))
        draft = report.draft(Record.of(settings, b.state().incident.id), NOW)
        assert {t.owner for t in draft.tasks} == {"platform (Ada)", "security-lead", "management"}


def test_a_blast_radius_in_a_bag_is_drawn_and_a_wrong_one_is_not(tmp_path):
    credential = {"kind": "Secret", "namespace": "todo-app", "name": "backend-secret", "keys": ["SECRET_KEY"], "class": "generated", "age": 412.3,
                  "source": {"kind": "external-secret", "mount": "secret", "path": "prod/todo"}, "sharedWith": ["Deployment todo-app/worker"],
                  "reasons": [{"how": "rbac", "path": "Role x"}]}  # fmt: skip
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        record = Record.of(b.ports.settings, b.state().incident.id)
        data = record.directory / "1" / "data"
        assert (record.radius == []) == ("credentials.json" not in [p.name for p in data.rglob("*")])
        for text, count in ((b"{", 0), (b'{"kind": "BlastRadius", "credentials": [1, {"age": true, "reasons": 3}]}', 1), (b"[" * 100_000, 0),
                            (json.dumps({"kind": "BlastRadius", "credentials": [credential]}).encode(), 1)):  # fmt: skip
            for old in data.rglob("credentials.json"):
                old.unlink()
            (data / "credentials.json").write_bytes(text)
            assert len(drafted(b).reached) == count
        (reached,) = drafted(b).reached
        assert (reached.name, reached.age, reached.source) == ("todo-app/backend-secret/SECRET_KEY", "412 d", "external-secret secret/prod/todo")
        assert any("Take from backend-sa the right to read" in t.what for t in drafted(b).tasks)


def test_files_are_private_and_no_draft_is_overwritten(tmp_path):
    with bench(tmp_path) as b:
        respond(b.ports, b.request())
        first, second = (report.write(b.ports.settings, b.ports.clock, None) for _ in range(2))
        assert first["html"] != second["html"]
        assert Path(second["markdown"]).name.endswith("-2.md")
        assert {Path(first[kind]).stat().st_mode & 0o777 for kind in ("html", "markdown")} == {0o600}
        elsewhere = report.write(b.ports.settings, b.ports.clock, first["incident"], tmp_path / "out")
        assert Path(elsewhere["html"]).parent == tmp_path / "out"
        with pytest.raises(EvidenceError, match="can't be written"):
            report.write(b.ports.settings, b.ports.clock, None, Path(first["html"]) / "below-a-file")
        with pytest.raises(UsageError, match="there is no incident"):
            report.write(b.ports.settings, b.ports.clock, "../../etc")
