"""Blast radius, rotation and what is due, on the documented app with its real stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from psycopg import sql

from tests.components.synced import eventually
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
    assert {k: c["left"] for k, c in lines.items() if c["consumers"]["restarted"] != c["consumers"]["total"]} == {}
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


def test_the_old_values_first(app: Todo, oncall: Irkit, vendors: tuple[str, str]) -> None:
    done = oncall.json("rotate", app.suspect, "-n", app.namespace, "--revoke-first", "--yes", "--value", vendors[1])
    order = [c["title"].split()[0] for s in done["steps"] for c in s["changes"]]
    assert max(i for i, w in enumerate(order) if w == "retire") < min(i for i, w in enumerate(order) if w == "restart")
    todo.rotated(app, vendors[0])
    assert app.starts()


def test_one_secret_of_the_namespace(app: Todo, oncall: Irkit) -> None:
    done = oncall.json("rotate", "--scope", "namespace", "--secret", "session-secret", "-n", app.namespace, "--yes")
    assert [c["name"] for c in done["credentials"]] == [f"{app.namespace}/session-secret"]
    found = app.secrets()
    assert found["session-secret"]["COOKIE_KEY"] != app.old["COOKIE_KEY"]
    assert found["backend-secret"] == {k: app.old[k] for k in todo.CLASSES}
    everything = oncall.json("rotate", "--scope", "namespace", "-n", app.namespace, "--yes", code=5)
    classes = {(c["name"].split("/")[-1], c["class"]): c["outcome"] for c in everything["credentials"]}
    assert classes["frontend-secret", "manual"] == classes["openbao-token", "manual"] == "manual", "never guessed"
    assert classes["backend-secret", "generated"] == "rotated"
    assert app.starts()


def test_a_lockout_would_be_seen(app: Todo) -> None:
    with app.postgres.superuser() as connection:
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD 'nobody knows it'").format(sql.Identifier(app.login)))
    assert app.locked_out()
    assert not app.starts()
    with pytest.raises(AssertionError, match="nobody had the password"), todo.Watch(app) as watch:
        eventually(lambda: watch.looks)


def test_a_dry_run_changes_nothing(app: Todo, oncall: Irkit, control_plane: Running) -> None:
    before, versions, mark = app.secrets(), (app.versions(), app.versions(todo.LOGIN_ENTRY)), control_plane.mark()
    done = oncall.run("rotate", app.suspect, "-n", app.namespace, "--dry-run").ended(0)
    assert "postgres-secret" in done.said
    assert writes(control_plane.audit(mark, agent="irkit/")) == []
    assert (app.secrets(), (app.versions(), app.versions(todo.LOGIN_ENTRY))) == (before, versions)
    assert app.starts()
    assert not (oncall.home / "incidents").exists() or not list((oncall.home / "incidents").iterdir())


@pytest.mark.parametrize("app", ["secret"], indirect=True)
def test_what_is_due(app: Todo, oncall: Irkit, control_plane: Running) -> None:
    assert oncall.json("rotate", "--due", "-n", app.namespace)["due"] == []
    for name, days in (("session-secret", 91), ("postgres-secret", 89), ("frontend-secret", 179)):
        written(control_plane, app.namespace, name, datetime.now(UTC) - timedelta(days=days))
    found = oncall.json("rotate", "--due", "-n", app.namespace, code=5)
    (due,) = found["due"]  # passwords after 90 days; what irkit can't make itself after 180
    assert (due["name"], due["class"]) == ("session-secret", "generated")
    assert 90.9 < due["age"] < 91.1
    assert "managedFields" in due["ageFrom"]
    ages = {line["name"]: line["age"] for line in found["credentials"]}
    assert round(ages["postgres-secret"]) == 89
    said = oncall.run("rotate", "--due", "-n", app.namespace).ended(5).stdout
    assert "session-secret/COOKIE_KEY" in said
    assert "91 d" in said


def written(plane: Running, namespace: str, name: str, when: datetime) -> None:
    """Have the Secret's data look as if they had been written then."""
    found = plane.get("secret", name, "-n", namespace, "--show-managed-fields")
    for entry in found["metadata"]["managedFields"]:
        entry["time"] = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    plane.kubectl("replace", "-f", "-", stdin=found)
