"""Blast radius, rotation and what is due, on the documented app with its real stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.controlplane.running import Running
from tests.e2e import todo
from tests.e2e.running import Irkit, Obj, writes
from tests.e2e.todo import VENDORS, Todo

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]


def by_class(document: Obj) -> dict[tuple[str, str], Obj]:
    return {(c["name"].split("/")[-1], c["class"]): c for c in document["credentials"]}


def test_what_the_pod_could_reach(app: Todo, oncall: Irkit) -> None:
    found = oncall.json("blast-radius", app.suspect, "-n", app.namespace)
    assert found["kind"] == "BlastRadius"
    lines = by_class(found)
    assert {k for k in lines if k[0].endswith("-secret")} == {
        ("backend-secret", "generated"), ("backend-secret", "issuer-made"), ("postgres-secret", "database"), ("session-secret", "generated"),
    }  # fmt: skip
    generated = lines["backend-secret", "generated"]
    assert sorted(generated["keys"]) == list(todo.GENERATED)
    assert (generated["source"]["mount"], generated["source"]["path"]) == (app.mount, todo.ENTRY)
    assert {r["how"] for r in generated["reasons"]} >= {"envFrom", "rbac"}
    assert any("frontend" in who for who in lines["session-secret", "generated"]["sharedWith"])
    said = oncall.run("blast-radius", app.suspect, "-n", app.namespace).ended(0).stdout
    assert "frontend-secret" not in said
    assert not any(value in said for value in app.old.values())


@pytest.mark.parametrize("app", ["vault", "secret"], indirect=True)
def test_everything_is_rotated_and_nobody_is_locked_out(app: Todo, oncall: Irkit, vendors: tuple[str, str], control_plane: Running) -> None:
    suspect, mark = app.suspect, control_plane.mark()
    with todo.Watch(app) as watch:
        done = oncall.json("rotate", suspect, "-n", app.namespace, "--yes", "--value", vendors[1])
    assert watch.looks > 5
    new = todo.rotated(app, vendors[0])
    assert app.starts()
    todo.started_since(app, control_plane.audit(mark))
    lines = by_class(done)
    assert {k: (c["outcome"], c["oldValue"]) for k, c in lines.items()} == {
        ("backend-secret", "generated"): ("rotated", "dead"), ("backend-secret", "issuer-made"): ("rotated", "untested"),
        ("postgres-secret", "database"): ("rotated", "dead"), ("session-secret", "generated"): ("rotated", "untested"),
    }  # fmt: skip
    assert lines["session-secret", "generated"]["consumers"] == {"total": 2, "restarted": 2}
    assert all(c["consumers"]["restarted"] == c["consumers"]["total"] for c in lines.values())
    assert todo.SIBLING.items() <= app.entry().items()
    if app.kept == "vault":
        assert app.custom()["irkit-incident"] == done["incident"]
    again = oncall.json("resume", done["incident"])
    assert again["credentials"] == done["credentials"]
    assert todo.rotated(app, vendors[0]) == new, "resuming what has ended changes nothing"


def test_what_only_the_vendor_can_make_is_left_and_asked_for_again(app: Todo, oncall: Irkit, vendors: tuple[str, str]) -> None:
    first = oncall.json("rotate", app.suspect, "-n", app.namespace, "--yes", code=5)
    assert by_class(first)["backend-secret", "issuer-made"]["outcome"] == "manual"
    assert by_class(first)["backend-secret", "generated"]["outcome"] == "rotated"
    assert "irkit resume" in first["next"]
    assert app.secret("backend-secret")[VENDORS] == app.old[VENDORS], "noise over it would be an outage"
    assert app.starts()
    second = oncall.json("resume", "--yes", "--value", vendors[1])
    assert by_class(second)["backend-secret", "issuer-made"]["outcome"] == "rotated"
    todo.rotated(app, vendors[0])


def test_a_dry_run_changes_nothing(app: Todo, oncall: Irkit, control_plane: Running) -> None:
    before, versions, mark = app.secrets(), (app.versions(), app.versions(todo.LOGIN_ENTRY)), control_plane.mark()
    done = oncall.run("rotate", app.suspect, "-n", app.namespace, "--dry-run").ended(0)
    assert "postgres-secret" in done.said
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert (app.secrets(), (app.versions(), app.versions(todo.LOGIN_ENTRY))) == (before, versions)
    assert app.starts()
    assert not (oncall.home / "incidents").exists() or not list((oncall.home / "incidents").iterdir())


def test_what_is_due(app: Todo, oncall: Irkit, control_plane: Running) -> None:
    assert oncall.json("rotate", "--due", "-n", app.namespace)["due"] == []
    for name, days in (("session-secret", 91), ("postgres-secret", 89), ("backend-secret", 179)):
        written(control_plane, app.namespace, name, datetime.now(UTC) - timedelta(days=days))
    found = oncall.json("rotate", "--due", "-n", app.namespace, code=5)
    due = {(line["name"], line["class"]): line for line in found["due"]}
    assert set(due) == {("session-secret", "generated"), ("backend-secret", "generated")}, "passwords after 90 days, a vendor's key after 180"
    assert 90.9 < due["session-secret", "generated"]["age"] < 91.1
    assert all("managedFields" in line["ageFrom"] for line in found["due"])
    said = oncall.run("rotate", "--due", "-n", app.namespace).ended(5).stdout
    assert "session-secret/COOKIE_KEY" in said
    assert "91 d" in said


def written(plane: Running, namespace: str, name: str, when: datetime) -> None:
    """Have the Secret's data look as if they had been written then."""
    found = plane.get("secret", name, "-n", namespace, "--show-managed-fields")
    for entry in found["metadata"]["managedFields"]:
        entry["time"] = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    plane.kubectl("replace", "-f", "-", stdin=found)
