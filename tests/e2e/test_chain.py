"""The whole procedure on the documented app, as a user runs it: from the suspicion to the closed incident, on the real parts."""

from __future__ import annotations

from pathlib import Path

import bagit
import pytest

from tests.controlplane.running import Running
from tests.e2e import todo
from tests.e2e.running import Irkit, Obj
from tests.e2e.talking import Talk
from tests.e2e.todo import Todo
from tests.e2e.world import name_of

pytestmark = [pytest.mark.controlplane, pytest.mark.slow]
PHASES = ["containment", "investigation", "eradication", "recovery", "post-mortem"]


def phases(document: Obj) -> list[str]:
    return list(dict.fromkeys(s["phase"] for s in document["steps"]))


@pytest.mark.parametrize("app", ["vault", "secret"], indirect=True)
def test_from_the_suspicion_to_the_closed_incident(
    app: Todo, oncall: Irkit, vendors: tuple[str, str], control_plane: Running, tmp_path: Path
) -> None:
    suspect, mark = app.pods()[0], control_plane.mark()
    with todo.Watch(app) as watch:
        words = (*app.chain(name_of(suspect), vendors[1]), "--reported-by", "soc@example.com", "--summary", "backend opened a shell")
        done = Talk(oncall, *words).end().ended(0).document
    assert watch.looks > 5
    incident = done["incident"]
    assert set(phases(done)) >= set(PHASES[:4])
    assert {s["id"]: s["outcome"] for s in done["steps"] if s["outcome"] not in ("done", "unchanged")} == {}
    todo.rotated(app, vendors[0])
    todo.recovered(app, suspect, incident)
    todo.started_since(app, control_plane.audit(mark))
    assert {c["oldValue"] for c in done["credentials"]} == {"dead", "untested"}
    assert {c["name"]: c["left"] for c in done["credentials"] if c["consumers"]["restarted"] != c["consumers"]["total"]} == {}

    assert done["evidence"]["missing"] == []
    for bundle in done["evidence"]["bundles"]:
        bagit.Bag(bundle).validate()
        oncall.run("bundle", "verify", bundle).ended(0)

    judged = oncall.json("verify", incident)
    assert {c["check"]: c["holds"] for c in judged["checks"] if c["holds"] is not True} == {}
    report = oncall.json("incident", "report", incident, "--output-dir", str(tmp_path / "report"))
    texts = [Path(report[kind]).read_text().replace("\\", "") for kind in ("markdown", "html")]  # Markdown escapes by it
    for text in texts:
        for word in ("backend-secret", "postgres-secret", "soc@example.com", name_of(suspect), app.patched.partition("@")[2]):
            assert word in text, word
    assert name_of(suspect) in oncall.run("incident", "close", incident, "--yes").ended(5).said, "nobody said what becomes of it"
    oncall.run("lift", incident, "--pod", "delete", "--yes").ended(0)
    todo.back(app)
    assert name_of(suspect) not in control_plane.kubectl("get", "pods", "-n", app.namespace).stdout
    oncall.run("incident", "close", incident, "--yes").ended(0)
    (listed,) = oncall.json("incident", "list")["items"]
    assert listed["status"] == "closed"


def test_without_the_vendors_key_the_incident_stays_open(app: Todo, oncall: Irkit, vendors: tuple[str, str]) -> None:
    suspect = app.pods()[0]
    first = Talk(oncall, *app.chain(name_of(suspect), vendors[1])[:-2]).end().ended(5).document
    assert todo.VENDORS in str(first["credentials"])
    refused = oncall.run("incident", "close", "--yes")
    assert refused.code in (5, 8), refused.said
    assert todo.VENDORS in refused.said
    assert "irkit resume" in refused.said
    second = oncall.json("resume", "--yes", "--value", vendors[1])
    assert second["incident"] == first["incident"]
    todo.rotated(app, vendors[0])
    todo.recovered(app, suspect, first["incident"])
    oncall.run("lift", "--pod", "keep", "--yes").ended(0)
    todo.recovered(app, suspect, first["incident"])
    oncall.run("incident", "close", "--yes").ended(0)


def test_a_script_does_all_but_what_only_people_can(app: Todo, oncall: Irkit, vendors: tuple[str, str]) -> None:
    suspect = app.pods()[0]
    done = oncall.run(*app.chain(name_of(suspect), vendors[1]), "-o", "json").ended(3).document
    todo.rotated(app, vendors[0])
    todo.recovered(app, suspect, done["incident"])
    left = {s["id"]: s["why"] for s in done["steps"] if s["outcome"] not in ("done", "unchanged")}
    assert set(left) == {"how-did-they-get-in", "what-did-they-reach"}
    assert all("needs a person" in why for why in left.values())
    Talk(oncall, "resume", "--yes").end().ended(0)


def test_a_plan_of_everything_changes_nothing(app: Todo, oncall: Irkit, vendors: tuple[str, str]) -> None:
    before, pods = app.secrets(), {name_of(p) for p in app.pods()}
    said = oncall.run(*app.chain(app.suspect, vendors[1]), "--dry-run").ended(0).said
    for word in PHASES[:4]:
        assert word in said
    assert app.secrets() == before
    assert {name_of(p) for p in app.pods()} == pods
    assert max(app.versions()) == 1


def test_redeploy_and_verify_by_themselves(app: Todo, oncall: Irkit) -> None:
    suspect = app.pods()[0]
    oncall.json("contain", name_of(suspect), "-n", app.namespace, "--yes")
    back = oncall.json("redeploy", "deployment/backend", "-n", app.namespace, "--image", app.patched, "--yes")
    todo.recovered(app, suspect, oncall.json("incident", "list")["items"][-1]["id"])
    assert back["outcome"] == "done"
    assert {c["holds"] for c in oncall.json("verify", back["incident"])["checks"]} == {True}
